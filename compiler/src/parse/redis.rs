//! `redis.write`.

use redis_wb_plan::plan::OnUpdate;

use super::mapping::{Context, Mapping};
use super::value::{columns, expression, parse_path, parsed_path};
use crate::Diagnostic;
use crate::ast::{Nest, Path, RedisType, RedisWrite};
use crate::codes::Code;
use crate::source::{Span, Spanned};
use crate::yaml::{Node, Value};

/// The longest time to live: a hundred years.
const EXPIRE_S_MAX: i64 = 100 * 366 * 86_400;

const ON_UPDATE: [(&str, OnUpdate); 2] = [("merge", OnUpdate::Merge), ("replace", OnUpdate::Replace)];

/// Reads `redis.write`.
pub(super) fn write(context: &mut Context<'_>, block: Span, node: &Node) -> Option<RedisWrite> {
    let mut map = Mapping::open(context, node, "redis.write", block)?;
    let connection = map.optional("connection").and_then(|(_, node)| context.text(node, "connection"));
    let connection = connection.unwrap_or_else(|| Spanned { value: "target".to_owned(), span: block });
    let kind = map.optional("data_type");
    let data_type = kind.and_then(|(_, node)| context.word(node, "data_type", &RedisType::NAMED));
    let data_type_span = kind.map_or(block, |(_, node)| node.text_span(context.files));
    let nest = map.optional("nest");
    let is_nested = nest.is_some();
    let key = if is_nested {
        map.optional("key")
    } else {
        map.required(context, "key", "key:\n        expression: concat(['copy:', id])\n        language: jmespath")
    };
    let args = map.optional("args");
    let mapping = map.optional("mapping");
    if is_nested {
        ignored(context, key.into_iter().chain(args).map(|(key, _)| key), "`nest`", "tells the place by its own keys");
    }
    let nest = nest.and_then(|(key, node)| nested(context, key.span, node));
    let on_update = map.optional("on_update").and_then(|(_, node)| context.word(node, "on_update", &ON_UPDATE));
    let expire = map.optional("expire").and_then(|(_, node)| context.number(node, "expire", 0, EXPIRE_S_MAX));
    let when = map.optional("when").and_then(|(key, node)| expression(context, key.span, node));
    map.finish(context);
    let data_type = if is_nested { RedisType::Json } else { data_type.unwrap_or(RedisType::Hash) };
    let key_span = key.map(|(key, _)| key.span);
    let args_given = args.map(|(_, node)| arguments(context, node)).unwrap_or_default();
    if !is_nested {
        needed(context, data_type, data_type_span, &args_given);
        if !data_type.args().is_empty() {
            ignored(context, mapping.into_iter().map(|(key, _)| key), "this data type", "takes `args` alone");
        }
    }
    let key = key.filter(|_| !is_nested).and_then(|(_, node)| expression(context, key_span.unwrap_or(block), node));
    if is_nested && nest.is_none() || !is_nested && key.is_none() {
        return None;
    }
    Some(RedisWrite {
        connection,
        data_type,
        data_type_span,
        key,
        args: args_given,
        mapping: mapping.map(|(_, node)| columns(context, node, "mapping")).unwrap_or_default(),
        on_update: if is_nested { OnUpdate::Merge } else { on_update.unwrap_or_default() },
        expire_s: expire.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(0),
        nest,
        when,
    })
}

/// Warns of keys that have no effect.
fn ignored<'k>(context: &mut Context<'_>, keys: impl Iterator<Item = &'k Spanned<String>>, beside: &str, why: &str) {
    for key in keys {
        let message = format!("`{}` says nothing here: {beside} {why}", key.value);
        let diagnostic = Diagnostic::new(Code::W0014, key.span, message, "has no effect");
        context.report(diagnostic.help("take it out"));
    }
}

fn arguments(context: &mut Context<'_>, node: &Node) -> Vec<(Spanned<String>, Path)> {
    let Value::Map(entries) = &node.value else {
        context.wrong_shape(node, "args", "a mapping, such as `member: id`");
        return Vec::new();
    };
    entries.iter().filter_map(|(name, node)| Some((name.clone(), parse_path(context, node)?))).collect()
}

/// Each data type has the arguments that it needs, and no others.
fn needed(context: &mut Context<'_>, kind: RedisType, span: Span, given: &[(Spanned<String>, Path)]) {
    let name = RedisType::NAMED.iter().find(|(_, known)| *known == kind).map_or("", |(name, _)| name);
    for wanted in kind.args() {
        if given.iter().all(|(known, _)| known.value != *wanted) {
            let message = format!("a `{name}` needs the argument `{wanted}`");
            let diagnostic = Diagnostic::new(Code::E0015, span, message, format!("`args.{wanted}` is missing"));
            context.report(diagnostic.help(format!("name the field that holds it:\nargs:\n  {wanted}: id")));
        }
    }
    for (known, _) in given.iter().filter(|(known, _)| !kind.args().contains(&known.value.as_str())) {
        let message = format!("a `{name}` has no argument `{}`", known.value);
        let help = match kind.args() {
            [] => "its fields are named by `mapping`".to_owned(),
            all => format!("it takes {}", all.join(" and ")),
        };
        context.report(Diagnostic::new(Code::E0015, known.span, message, "unknown argument").help(help));
    }
}

fn nested(context: &mut Context<'_>, key: Span, node: &Node) -> Option<Nest> {
    let mut map = Mapping::open(context, node, "nest", key)?;
    let parent = map.required(context, "parent", "parent:\n          table: invoice");
    let table = parent.and_then(|(key, node)| parent_table(context, key.span, node));
    let parent_key = map.required(context, "parent_key", "parent_key: invoice_id");
    let parent_key = parent_key.and_then(|(_, node)| Some((context.text(node, "parent_key")?, node)));
    let child_key = map.optional("child_key").and_then(|(_, node)| parse_path(context, node));
    let nesting_key = map.required(context, "nesting_key", "nesting_key: line_id");
    let nesting_key = nesting_key.and_then(|(_, node)| parse_path(context, node));
    let path = map.required(context, "path", "path: $.lines");
    let path = path.and_then(|(_, node)| context.text(node, "path"));
    if let Some((_, node)) = map.optional("structure") {
        context.word(node, "structure", &[("map", ())]);
    }
    map.finish(context);
    let (parent_key, parent_node) = parent_key?;
    let child_key = match child_key {
        Some(path) => path,
        None => parsed_path(context, parent_node, parent_key.clone())?,
    };
    Some(Nest { table: table?, parent_key, child_key, nesting_key: nesting_key?, path: path? })
}

/// `parent`: of `server_name`, `schema` and `table` the table alone is part of the parent's key.
fn parent_table(context: &mut Context<'_>, key: Span, node: &Node) -> Option<Spanned<String>> {
    let mut map = Mapping::open(context, node, "parent", key)?;
    let table = map.required(context, "table", "table: invoice");
    for name in ["server_name", "schema"] {
        map.optional(name);
    }
    map.finish(context);
    let (_, node) = table?;
    context.text(node, "table")
}
