//! `source`: which keys are captured, and how their records are read.

use std::fmt::Write as _;

use redis_wb_grammar::key;
use redis_wb_plan::Type;
use redis_wb_plan::plan::{DataType, OnGone};

use super::mapping::{Context, Mapping};
use super::value::{no_type, parsed_path, syntax, type_name};
use crate::Diagnostic;
use crate::ast::{KeyTemplate, Path, Source};
use crate::codes::Code;
use crate::source::{Span, Spanned};
use crate::suggest::{meant, nearest};
use crate::yaml::{Node, Value};

/// The section `source`.
pub(super) fn source(context: &mut Context<'_>, key: Span, node: &Node) -> Option<Source> {
    let mut map = Mapping::open(context, node, "source", key)?;
    if older_spellings(context, &mut map, &["keyspace", "pattern", "exclude-commands"]) {
        return None;
    }
    let redis = map.required("redis", "redis:\n  key_pattern: emp:*\n  trigger: write-behind");
    map.finish(context);
    let (key, node) = redis?;
    redis_source(context, key.span, node)
}

/// Reports the older spellings that the mapping has; whether there was one.
fn older_spellings(context: &mut Context<'_>, map: &mut Mapping<'_>, old: &[&'static str]) -> bool {
    let found: Vec<_> = old.iter().filter_map(|old| map.optional(old)).collect();
    found.iter().for_each(|(key, node)| older_spelling(context, key, node));
    !found.is_empty()
}

fn older_spelling(context: &mut Context<'_>, key: &Spanned<String>, node: &Node) {
    let help = match key.value.as_str() {
        "exclude-commands" => "it is now `exclude_commands`".to_owned(),
        "pattern" => "it is now `key_pattern`, below `source.redis`".to_owned(),
        _ => format!("it is now `redis`:\n{}", section(node)),
    };
    let message = format!("`{}` is the spelling of an older RDI", key.value);
    context.report(Diagnostic::new(Code::E0006, key.span, message, "older spelling").help(help));
}

/// `source` as it is written now, with what the older section says.
fn section(node: &Node) -> String {
    let of = |names: &[&str]| match &node.value {
        Value::Map(entries) => {
            entries.iter().find(|(key, _)| names.contains(&key.value.as_str())).map(|(_, value)| value)
        }
        _ => None,
    };
    let pattern = of(&["pattern", "key_pattern"]).or(Some(node)).and_then(Node::text).unwrap_or("emp:*");
    let mut section = format!("source:\n  redis:\n    key_pattern: {pattern}\n    trigger: write-behind");
    if let Some(Node { value: Value::List(commands), .. }) = of(&["exclude-commands", "exclude_commands"]) {
        let commands: Vec<&str> = commands.iter().filter_map(Node::text).collect();
        let _ = write!(section, "\n    exclude_commands: [{}]", commands.join(", "));
    }
    section
}

const GONE: [(&str, OnGone); 2] = [("delete", OnGone::Delete), ("ignore", OnGone::Ignore)];

fn redis_source(context: &mut Context<'_>, key: Span, node: &Node) -> Option<Source> {
    let mut map = Mapping::open(context, node, "source.redis", key)?;
    if older_spellings(context, &mut map, &["pattern", "exclude-commands"]) {
        return None;
    }
    let pattern = map.required("key_pattern", "key_pattern: emp:*");
    let key_pattern = pattern.and_then(|(_, node)| context.text(node, "key_pattern"));
    trigger(context, &mut map);
    let exclude = map.optional("exclude_commands");
    let exclude_commands = exclude.map(|(_, node)| commands(context, node)).unwrap_or_default();
    let mut word = |context: &mut Context<'_>, key| {
        let (_, node) = map.optional(key)?;
        context.word(node, key, &GONE)
    };
    let on_delete = word(context, "on_delete").unwrap_or(OnGone::Delete);
    let on_expire = word(context, "on_expire").unwrap_or(OnGone::Ignore);
    let on_evict = word(context, "on_evict").unwrap_or(OnGone::Ignore);
    let on_flush = word(context, "on_flush");
    let format = map.optional("row_format");
    let full = format.and_then(|(_, node)| context.word(node, "row_format", &[("data_only", false), ("full", true)]));
    let data_type = map.optional("data_type").and_then(|(_, node)| context.word(node, "data_type", &DataType::NAMED));
    let template = map.optional("key").map(|(_, node)| key_template(context, node));
    let fields = map.optional("fields").map(|(key, node)| fields(context, key.span, node)).unwrap_or_default();
    let db = map.optional("db").and_then(|(_, node)| context.number(node, "db", 0, i64::from(i32::MAX)));
    map.finish(context);
    Some(Source {
        key_pattern: key_pattern?,
        exclude_commands,
        full: full.unwrap_or(false),
        key_unreadable: matches!(template, Some(None)),
        key: template.flatten(),
        data_type,
        fields,
        db: db.and_then(|db| u32::try_from(db).ok()).unwrap_or(0),
        on_delete,
        on_expire,
        on_evict,
        on_flush,
    })
}

fn trigger(context: &mut Context<'_>, map: &mut Mapping<'_>) {
    const HELP: &str = "add `trigger: write-behind`";
    match map.optional("trigger") {
        None => {
            let message = "`source.redis` needs `trigger: write-behind`";
            context.report(Diagnostic::new(Code::E0008, map.span(), message, "`trigger` is missing here").help(HELP));
        }
        Some((_, node)) if node.text() == Some("write-behind") => {}
        Some((_, node)) => {
            let message = "the only trigger is `write-behind`";
            let near = nearest(node.text().unwrap_or_default(), ["write-behind"]);
            let help = near.map_or_else(|| "write `trigger: write-behind`".to_owned(), meant);
            let span = node.text_span(context.files);
            context.report(Diagnostic::new(Code::E0008, span, message, "not `write-behind`").help(help));
        }
    }
}

fn commands(context: &mut Context<'_>, node: &Node) -> Vec<String> {
    let items = context.list(node, "exclude_commands").iter();
    items.filter_map(|item| context.text(item, "exclude_commands")).map(|text| text.value.to_lowercase()).collect()
}

fn key_template(context: &mut Context<'_>, node: &Node) -> Option<KeyTemplate> {
    let text = context.text(node, "key")?;
    match key::parse(&text.value) {
        Ok(parts) => {
            for part in &parts {
                if let key::Part::Field { kind: Some((kind, span)), .. } = part
                    && Type::named(kind).is_none()
                {
                    let span = node.part_span(context.files, span.start, span.end);
                    no_type(context, kind, span);
                }
            }
            names_a_part(context, &text, &parts)?;
            Some(KeyTemplate { parts, node: node.clone() })
        }
        Err(error) => {
            syntax(
                context,
                node,
                Code::E0102,
                &error,
                "write the key's name with its parts in `<>`, such as `key: orders:<customer_id:int>:<order_id>`",
            );
            None
        }
    }
}

/// A template without a field that has the brackets or wildcards of another notation is meant to have one.
fn names_a_part(context: &mut Context<'_>, text: &Spanned<String>, parts: &[key::Part]) -> Option<()> {
    let has_field = parts.iter().any(|part| matches!(part, key::Part::Field { .. }));
    if has_field || !text.value.contains(['{', '}', '*', '?', '%', '$']) {
        return Some(());
    }
    let named = text.value.replace("${", "{").replace('{', "<").replace('}', ">").replace('*', "<id>");
    let message = "the template names no part of the key";
    let diagnostic = Diagnostic::new(Code::E0102, text.span, message, "all of it stands for itself");
    let parses = key::parse(&named).is_ok_and(|parts| parts.len() > 1 || named.contains('<'));
    let example = if parses { named } else { "orders:<customer_id:int>:<order_id>".to_owned() };
    context.report(diagnostic.help(format!("write the parts in `<>`, such as `key: {example}`")));
    None
}

fn fields(context: &mut Context<'_>, key: Span, node: &Node) -> Vec<(Path, Spanned<Type>)> {
    let Some(mut map) = Mapping::open(context, node, "source.redis.fields", key) else {
        return Vec::new();
    };
    map.rest()
        .into_iter()
        .filter_map(|(name, node)| {
            let kind = type_name(context, node)?;
            Some((parsed_path(context, node, name.clone())?, kind))
        })
        .collect()
}
