//! A job file: source, transform, output.

use redis_wb_grammar::{SyntaxError, key, path};
use redis_wb_plan::Type;
use redis_wb_plan::plan::OnGone;

use super::mapping::{Context, Mapping};
use super::strategy;
use crate::ast::{Expression, From, Job, KeyTemplate, Mapping as Column, Path, Relational, Source};
use crate::codes::Code;
use crate::expr::Language;
use crate::source::{Files, Span, Spanned};
use crate::suggest::did_you_mean;
use crate::yaml::{Node, Value};
use crate::{Diagnostic, Diagnostics};

/// Reads a job. `None` where so much is wrong that nothing could be said of the rest.
pub fn job(name: &str, root: &Node, files: &Files, diagnostics: &mut Diagnostics) -> Option<Job> {
    let context = &mut Context { files, diagnostics };
    let mut map = Mapping::open(context, root, "job", Span::top(root.span.file))?;
    if is_ingest(context, root) {
        return None;
    }
    let source = map.required(context, "source", "source:\n  redis:\n    key_pattern: emp:*");
    let source = source.and_then(|(key, node)| source_section(context, key.span, node));
    if let Some((key, node)) = map.optional("transform")
        && !matches!(&node.value, Value::Null)
    {
        unsupported(context, key.span, "transform");
    }
    let output = map.required(context, "output", "output:\n  - uses: relational.write");
    let outputs = output.map(|(_, node)| outputs(context, node)).unwrap_or_default();
    map.finish(context);
    Some(Job { name: name.to_owned(), file: root.span.file, source: source?, outputs })
}

/// Whether the job goes the other way, which is reported; the rest of such a job is not looked at.
fn is_ingest(context: &mut Context<'_>, root: &Node) -> bool {
    let entry = |node: &Node, wanted: &[&str]| match &node.value {
        Value::Map(entries) => entries.iter().find(|(key, _)| wanted.contains(&key.value.as_str())).cloned(),
        _ => None,
    };
    let source = entry(root, &["source"]);
    let Some((key, _)) = source.and_then(|(_, node)| entry(&node, &["server_name", "schema", "table"])) else {
        return false;
    };
    let message = "this is an ingest job: it goes from a database to Redis";
    let diagnostic = Diagnostic::new(Code::E0007, key.span, message, "names a source database");
    context.report(diagnostic.help("redis-wb goes the other way; a job of it starts with `source:\n  redis:`"));
    true
}

fn unsupported(context: &mut Context<'_>, span: Span, what: &str) {
    let diagnostic = Diagnostic::new(Code::E0010, span, format!("`{what}` is not supported yet"), "not supported yet");
    context.report(diagnostic.help("this version compiles jobs that map hash fields to columns by `relational.write`"));
}

fn source_section(context: &mut Context<'_>, key: Span, node: &Node) -> Option<Source> {
    let mut map = Mapping::open(context, node, "source", key)?;
    if older_spellings(context, &mut map, &["keyspace", "pattern", "exclude-commands"]) {
        return None;
    }
    let redis = map.required(context, "redis", "redis:\n    key_pattern: emp:*\n    trigger: write-behind");
    map.finish(context);
    let (key, node) = redis?;
    redis_source(context, key.span, node)
}

/// Reports the older spellings that the mapping has; whether there was one.
fn older_spellings(context: &mut Context<'_>, map: &mut Mapping<'_>, old: &[&'static str]) -> bool {
    let found: Vec<_> = old.iter().filter_map(|old| map.optional(old)).collect();
    found.iter().for_each(|(key, _)| older_spelling(context, key));
    !found.is_empty()
}

fn older_spelling(context: &mut Context<'_>, key: &Spanned<String>) {
    let new = match key.value.as_str() {
        "keyspace" => "redis",
        "exclude-commands" => "exclude_commands",
        _ => "key_pattern",
    };
    let message = format!("`{}` is the spelling of an older RDI", key.value);
    let diagnostic = Diagnostic::new(Code::E0006, key.span, message, "older spelling");
    context.report(diagnostic.help(format!(
        "it is now `{new}`:\nsource:\n  redis:\n    key_pattern: emp:*\n    trigger: write-behind\n    exclude_commands: [json.del]"
    )));
}

const GONE: [(&str, OnGone); 2] = [("delete", OnGone::Delete), ("ignore", OnGone::Ignore)];

fn redis_source(context: &mut Context<'_>, key: Span, node: &Node) -> Option<Source> {
    let mut map = Mapping::open(context, node, "source.redis", key)?;
    if older_spellings(context, &mut map, &["pattern", "exclude-commands"]) {
        return None;
    }
    let pattern = map.required(context, "key_pattern", "key_pattern: emp:*");
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
    let format = map.optional("row_format");
    let full = format.and_then(|(_, node)| context.word(node, "row_format", &[("data_only", false), ("full", true)]));
    if let Some((_, node)) = map.optional("data_type") {
        context.word(node, "data_type", &[("hash", ())]);
    }
    let template = map.optional("key").and_then(|(_, node)| key_template(context, node));
    let fields = map.optional("fields").map(|(key, node)| fields(context, key.span, node)).unwrap_or_default();
    let db = map.optional("db").and_then(|(_, node)| context.number(node, "db", 0, i64::from(i32::MAX)));
    map.finish(context);
    Some(Source {
        key_pattern: key_pattern?,
        exclude_commands,
        full: full.unwrap_or(false),
        key: template,
        fields,
        db: db.and_then(|db| u32::try_from(db).ok()).unwrap_or(0),
        on_delete,
        on_expire,
        on_evict,
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
            context.report(Diagnostic::new(Code::E0008, node.span, message, "not `write-behind`").help(HELP));
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
            let words = Type::NAMED.map(Type::name);
            for part in &parts {
                if let key::Part::Field { kind: Some((kind, span)), .. } = part
                    && Type::named(kind).is_none()
                {
                    let span = node.part_span(context.files, span.start, span.end);
                    let diagnostic =
                        Diagnostic::new(Code::E0005, span, format!("there is no type `{kind}`"), "not a type");
                    context.report(diagnostic.maybe_help(did_you_mean(kind, words)));
                }
            }
            Some(KeyTemplate { parts, node: node.clone() })
        }
        Err(error) => {
            syntax(context, node, Code::E0102, &error, "for example `key: orders:<customer_id:int>:<order_id>`");
            None
        }
    }
}

fn syntax(context: &mut Context<'_>, node: &Node, code: Code, error: &SyntaxError, help: &str) {
    let span = node.part_span(context.files, error.span.start, error.span.end);
    context.report(Diagnostic::new(code, span, error.message.clone(), "here").help(help));
}

fn fields(context: &mut Context<'_>, key: Span, node: &Node) -> Vec<(Spanned<String>, Spanned<Type>)> {
    let words = Type::NAMED.map(|kind| (kind.name(), kind));
    let Some(mut map) = Mapping::open(context, node, "source.redis.fields", key) else {
        return Vec::new();
    };
    map.rest()
        .into_iter()
        .filter_map(|(name, node)| {
            let kind = context.word(node, "fields", &words)?;
            Some((name.clone(), Spanned { value: kind, span: node.text_span(context.files) }))
        })
        .collect()
}

fn outputs(context: &mut Context<'_>, node: &Node) -> Vec<Relational> {
    if let Value::List(items) = &node.value
        && !items.is_empty()
    {
        return items.iter().filter_map(|item| output(context, item)).collect();
    }
    context.wrong_shape(node, "output", "a list of writers");
    Vec::new()
}

#[derive(Clone, Copy, PartialEq)]
enum Writer {
    Relational,
    Other,
}

const WRITERS: [(&str, Writer); 3] =
    [("relational.write", Writer::Relational), ("redis.write", Writer::Other), ("cassandra.write", Writer::Other)];

fn output(context: &mut Context<'_>, node: &Node) -> Option<Relational> {
    let top = Span { end: node.span.start, ..node.span };
    let mut map = Mapping::open(context, node, "output", top)?;
    let uses = map.required(context, "uses", "uses: relational.write");
    let with = map.required(context, "with", "with:\n      connection: target\n      table: emp");
    map.finish(context);
    let (_, uses) = uses?;
    if context.word(uses, "uses", &WRITERS)? == Writer::Other {
        unsupported(context, uses.span, uses.text().unwrap_or_default());
        return None;
    }
    let (key, with) = with?;
    relational(context, key.span, with)
}

/// Keys of `relational.write` that RDI has and this version does not compile yet.
const LATER: [&str; 2] = ["foreach", "opcode_field"];

fn relational(context: &mut Context<'_>, key: Span, node: &Node) -> Option<Relational> {
    let mut map = Mapping::open(context, node, "relational.write", key)?;
    let connection = map.required(context, "connection", "connection: target");
    let connection = connection.and_then(|(_, node)| context.text(node, "connection"));
    let schema = map.optional("schema").filter(|(_, node)| !matches!(&node.value, Value::Null));
    let schema = schema.filter(|(_, node)| node.text() != Some("")).and_then(|(_, node)| context.text(node, "schema"));
    let table = map.required(context, "table", "table: emp");
    let table = table.and_then(|(_, node)| context.text(node, "table"));
    let before = context.diagnostics.len();
    let keys = map.required(context, "keys", "keys:\n        - empno");
    let keys_span = keys.map_or(key, |(key, _)| key.span);
    let keys = keys.map(|(_, node)| columns(context, node, "keys"));
    let mapping = map.optional("mapping").map(|(_, node)| columns(context, node, "mapping")).unwrap_or_default();
    let mut complete = context.diagnostics.len() == before;
    for later in LATER {
        if let Some((key, _)) = map.optional(later) {
            unsupported(context, key.span, later);
        }
    }
    let (strategy, versions) = strategy::strategy(context, &mut map);
    map.finish(context);
    let keys = keys?;
    if keys.is_empty() && complete {
        complete = false;
        let message = "`keys` names no column";
        let diagnostic = Diagnostic::new(Code::E0203, keys_span, message, "no key column");
        context.report(
            diagnostic
                .help("name the columns that tell one row from another: without them a delete would empty the table"),
        );
    }
    let (connection, table) = (connection?, table?);
    Some(Relational { connection, schema, table, keys, keys_span, mapping, complete, strategy, versions })
}

fn columns(context: &mut Context<'_>, node: &Node, what: &'static str) -> Vec<Column> {
    let items = context.list(node, what).iter();
    items.filter_map(|item| column(context, item, what)).collect()
}

/// `column`, `{column: path}` or `{column: {expression, language}}`.
fn column(context: &mut Context<'_>, node: &Node, what: &'static str) -> Option<Column> {
    match &node.value {
        Value::Map(entries) => match entries.as_slice() {
            [(column, value)] if value.text().is_some() => {
                Some(Column { column: column.clone(), from: From::Path(parse_path(context, value)?) })
            }
            [(column, value)] if matches!(&value.value, Value::Map(_)) => {
                let expression = expression(context, column.span, value)?;
                Some(Column { column: column.clone(), from: From::Expression(expression) })
            }
            [(_, value)] => {
                context.wrong_shape(value, what, "the path of a field, or `expression` and `language`");
                None
            }
            _ => {
                context.wrong_shape(node, what, "a list whose items are `column` or `column: path`");
                None
            }
        },
        _ => {
            let column = context.text(node, what)?;
            Some(Column { column, from: From::Path(parse_path(context, node)?) })
        }
    }
}

/// `{expression, language}`.
fn expression(context: &mut Context<'_>, key: Span, node: &Node) -> Option<Expression> {
    let mut map = Mapping::open(context, node, "expression", key)?;
    let text = map.required(context, "expression", "expression: upper(name)");
    let language = map.required(context, "language", "language: jmespath");
    map.finish(context);
    let (_, node) = text?;
    let text = context.text(node, "expression");
    let (_, language) = language?;
    let language = context.word(language, "language", &Language::NAMED)?;
    let text = text?;
    Some(Expression { text: text.value, language, span: text.span, node: node.clone() })
}

fn parse_path(context: &mut Context<'_>, node: &Node) -> Option<Path> {
    let text = context.text(node, "path")?;
    match path::parse(&text.value) {
        Ok(names) => {
            Some(Path { names: names.into_iter().map(|name| name.text).collect(), text: text.value, span: text.span })
        }
        Err(error) => {
            syntax(
                context,
                node,
                Code::E0101,
                &error,
                "for example `address.city`, or `zip\\.code` for a dot in a name",
            );
            None
        }
    }
}
