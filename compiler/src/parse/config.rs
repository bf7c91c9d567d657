//! `config.yaml`: connections and applier.

mod applier;
mod arguments;
mod connection;
pub(super) mod variable;

use std::collections::BTreeMap;

use super::mapping::{Context, Mapping, Names};
use crate::ast::Config;
use crate::codes::Code;
use crate::source::{Files, Span};
use crate::yaml::{Node, Value};
use crate::{Diagnostic, Diagnostics};
use connection::Any;

/// Reads the configuration. What the compiler itself has to know may stand in `variables`.
pub fn config(
    root: &Node,
    variables: &BTreeMap<String, String>,
    files: &Files,
    diagnostics: &mut Diagnostics,
) -> Config {
    let (names, variables) = (Names::default(), Some(variables));
    let context = &mut Context { files, diagnostics, names, variables, expanded: Vec::new() };
    if root.value == Value::Null {
        let diagnostic = Diagnostic::new(Code::E0004, root.span, "the configuration says nothing", "here it is wanted");
        let help = "name what the jobs write to:\nconnections:\n  target:\n    type: postgresql\n    host: localhost";
        context.report(diagnostic.help(help));
        return Config::default();
    }
    let Some(mut map) = Mapping::open(context, root, "config.yaml", Span::top(root.span.file)) else {
        return Config::default();
    };
    let mut config = Config::default();
    if let Some((_, node)) = map.required("connections", "connections:\n  target:\n    type: postgresql") {
        connections(context, node, &mut config);
    }
    if let Some((key, node)) = map.optional("applier") {
        applier::read(context, key.span, node, &mut config);
    }
    map.finish(context);
    config.expanded = std::mem::take(&mut context.expanded);
    config
}

fn connections(context: &mut Context<'_>, node: &Node, config: &mut Config) {
    let Value::Map(entries) = &node.value else {
        return context.wrong_shape(node, "connections", "a mapping of names to connections");
    };
    let before = context.diagnostics.len();
    for (name, node) in entries {
        match connection::read(context, name, node, &mut config.secrets) {
            Some(Any::Table(connection)) => config.connections.push((name.clone(), connection)),
            Some(Any::Redis(connection)) => config.redis.push((name.clone(), connection)),
            None => {}
        }
    }
    let read = config.connections.len() + config.redis.len();
    config.complete = context.diagnostics.len() == before || read == entries.len();
}
