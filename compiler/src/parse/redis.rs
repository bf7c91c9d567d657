//! `redis.write`.

use redis_wb_plan::plan::OnUpdate;

use super::mapping::{Context, Mapping, Names};
use super::value::{self, columns, expression, parse_path, parsed_path};
use crate::Diagnostic;
use crate::ast::{Expression, Nest, Path, RedisDefaults, RedisType, RedisWrite};
use crate::codes::Code;
use crate::expr::{Language, template};
use crate::source::{Span, Spanned};
use crate::yaml::{Node, Value};

/// The longest time to live: a hundred years.
const EXPIRE_S_MAX: i64 = 100 * 366 * 86_400;

/// What `on_update` can be.
pub(super) const ON_UPDATE: [(&str, OnUpdate); 2] = [("merge", OnUpdate::Merge), ("replace", OnUpdate::Replace)];

/// The arguments of all data types.
const ARGS: [&str; 3] = ["member", "score", "value"];

/// Reads `redis.write`.
pub(super) fn write(
    context: &mut Context<'_>,
    block: Span,
    node: &Node,
    defaults: &RedisDefaults,
) -> Option<RedisWrite> {
    let mut map = Mapping::open(context, node, "redis.write", block)?;
    let connection = connection(context, &mut map, block);
    let kind = map.optional("data_type");
    let data_type = kind.and_then(|(_, node)| context.word(node, "data_type", &RedisType::NAMED));
    let data_type_span = kind.map_or(block, |(_, node)| node.text_span(context.files));
    let nest = map.optional("nest");
    let is_nested = nest.is_some();
    let key = if is_nested {
        map.optional("key")
    } else {
        let id = context.names.id();
        map.required("key", format!("key:\n  expression: concat(['copy:', {id}])\n  language: jmespath"))
    };
    let args = map.optional("args");
    let mapping = map.optional("mapping");
    if is_nested {
        ignored(context, key.into_iter().chain(args).map(|(key, _)| key), "`nest`", "tells the place by its own keys");
    }
    let nest = nest.and_then(|(key, node)| nested(context, key.span, node));
    let update = map.optional("on_update");
    let on_update = update.and_then(|(_, node)| context.word(node, "on_update", &ON_UPDATE));
    if is_nested {
        let update = update.filter(|_| on_update == Some(OnUpdate::Replace));
        let kind = kind.filter(|_| data_type.is_some_and(|data_type| data_type != RedisType::Json));
        let keys = update.into_iter().chain(kind).map(|(key, _)| key);
        ignored(context, keys, "`nest`", "merges into a JSON document, whatever else is said");
    }
    let expire = map.optional("expire").and_then(|(_, node)| context.number(node, "expire", 0, EXPIRE_S_MAX));
    let when = map.optional("when").and_then(|(key, node)| expression(context, key.span, node));
    // A field that stands beside `args` is told to move there: that it is missing there would be the same mistake twice.
    let is_beside = ARGS.iter().any(|name| map.has(name));
    map.finish_below(context, "args", &ARGS);
    if kind.is_some() && data_type.is_none() {
        return None;
    }
    let data_type = if is_nested { RedisType::Json } else { data_type.unwrap_or(defaults.data_type) };
    let unsaid = match data_type {
        RedisType::Json => defaults.json_on_update,
        _ => OnUpdate::Replace,
    };
    let key_span = key.map(|(key, _)| key.span);
    let args_given = args.map(|(_, node)| arguments(context, node)).unwrap_or_default();
    if !is_nested {
        if !is_beside {
            needed(context, data_type, data_type_span, &args_given);
        }
        if !data_type.args().is_empty() && !args_given.is_empty() {
            ignored(context, mapping.into_iter().map(|(key, _)| key), "this data type", "takes `args` alone");
        }
    }
    let key = key.filter(|_| !is_nested).and_then(|(_, node)| key_expression(context, key_span.unwrap_or(block), node));
    if is_nested && nest.is_none() || !is_nested && key.is_none() {
        return None;
    }
    Some(RedisWrite {
        connection: connection?,
        data_type,
        data_type_span,
        key,
        args: args_given,
        mapping: mapping.map(|(_, node)| columns(context, node, "mapping")).unwrap_or_default(),
        on_update: if is_nested { OnUpdate::Merge } else { on_update.unwrap_or(unsaid) },
        expire_s: expire.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(0),
        nest,
        when,
    })
}

/// `connection`; without it RDI's default, where there is such a connection.
fn connection(context: &mut Context<'_>, map: &mut Mapping<'_>, block: Span) -> Option<Spanned<String>> {
    const DEFAULT: &str = "target";
    let Names { tables, redis, .. } = &context.names;
    let is_known = !tables.is_empty() || !redis.is_empty();
    if is_known && redis.iter().all(|name| name != DEFAULT) {
        let (_, node) = map.required("connection", context.names.connection(true))?;
        return context.text(node, "connection");
    }
    match map.optional("connection") {
        Some((_, node)) => context.text(node, "connection"),
        None => Some(Spanned { value: DEFAULT.to_owned(), span: block }),
    }
}

/// Warns of keys that have no effect.
fn ignored<'k>(context: &mut Context<'_>, keys: impl Iterator<Item = &'k Spanned<String>>, beside: &str, why: &str) {
    for key in keys {
        let message = format!("`{}` says nothing here: {beside} {why}", key.value);
        let diagnostic = Diagnostic::new(Code::W0014, key.span, message, "has no effect");
        context.report(diagnostic.help("take it out"));
    }
}

/// `key`: an expression, where a template such as that of the source is easily written.
fn key_expression(context: &mut Context<'_>, key: Span, node: &Node) -> Option<Expression> {
    let Some(text) = node.text().filter(|text| !text.is_empty()) else { return expression(context, key, node) };
    let message = "`key` must be an expression and its language, not a text";
    let (text, language) = match template::expression(text, Language::JmesPath) {
        Some(expression) => (expression, "jmespath"),
        None => (text.to_owned(), value::language_of(text).unwrap_or("jmespath")),
    };
    let diagnostic = Diagnostic::new(Code::E0004, node.span, message, "this is a text");
    context.report(diagnostic.help(format!("write:\nkey:\n  expression: {text}\n  language: {language}")));
    None
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
            let field = if *wanted == "member" { context.names.id().to_owned() } else { (*wanted).to_owned() };
            context.report(diagnostic.help(format!("name the field that holds it:\nargs:\n  {wanted}: {field}")));
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
    let parent = map.required("parent", "parent:\n  table: invoice");
    let table = parent.and_then(|(key, node)| parent_table(context, key.span, node));
    let parent_key = map.required("parent_key", "parent_key: invoice_id");
    let parent_key = parent_key.and_then(|(_, node)| Some((context.text(node, "parent_key")?, node)));
    let child_key = map.optional("child_key").and_then(|(_, node)| parse_path(context, node));
    let nesting_key = map.required("nesting_key", "nesting_key: line_id");
    let nesting_key = nesting_key.and_then(|(_, node)| parse_path(context, node));
    let path = map.required("path", "path: $.lines");
    let path = path.and_then(|(_, node)| place(context, node));
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

/// `path`: a place below the top of the document, so that its other fields stay.
fn place(context: &mut Context<'_>, node: &Node) -> Option<Spanned<String>> {
    let path = context.text(node, "path")?;
    let fields = path.value.strip_prefix("$.");
    if fields.is_some_and(|fields| !fields.is_empty() && !fields.starts_with('.') && !fields.ends_with('.')) {
        return Some(path);
    }
    let below = path.value.trim_matches(['$', '.']);
    let below = if below.is_empty() { "lines" } else { below };
    let message = "`path` names no field of the parent's document";
    let diagnostic = Diagnostic::new(Code::E0101, path.span, message, "not `$.` and a field");
    context.report(diagnostic.help(format!("write `path: $.{below}`: the map stands in a field of its own")));
    None
}

/// `parent`. Only the table is part of the parent's key, as in RDI; `server_name` and `schema` tell there which table
/// of which database it is, and here there is none.
fn parent_table(context: &mut Context<'_>, key: Span, node: &Node) -> Option<Spanned<String>> {
    let mut map = Mapping::open(context, node, "parent", key)?;
    let table = map.required("table", "table: invoice");
    let database: Vec<_> = ["server_name", "schema"].into_iter().filter_map(|name| map.optional(name)).collect();
    ignored(context, database.into_iter().map(|(key, _)| key), "the parent's key", "holds its `table` alone");
    map.finish(context);
    let (_, node) = table?;
    context.text(node, "table")
}
