//! A job file: source, transform, output. The parts have files of their own.

use redis_wb_plan::plan::{OnMissing, OnVanished, Strategy};

use super::mapping::{Context, Mapping, Names};
use super::value::{columns, expression, parse_path};
use super::{redis, source, strategy, transform};
use crate::ast::{Config, Expression, Foreach, Job, RedisDefaults, Relational, Source, Writer};
use crate::codes::Code;
use crate::expr::Language;
use crate::source::{Files, Span, Spanned};
use crate::yaml::{Node, Value};
use crate::{Diagnostic, Diagnostics, ast};

/// Reads a job. `None` where so much is wrong that nothing could be said of the rest.
pub fn job(name: &str, root: &Node, config: &Config, files: &Files, diagnostics: &mut Diagnostics) -> Option<Job> {
    let names = connections(config);
    let context = &mut Context { files, diagnostics, names, variables: None, expanded: Vec::new() };
    if root.value == Value::Null {
        let diagnostic = Diagnostic::new(Code::E0004, root.span, "the file says nothing", "here a job is wanted");
        context.report(diagnostic.help(
            "a job names the keys that are read and the tables that are written:\nsource:\n  redis:\n    key_pattern: \
             emp:*\n    trigger: write-behind\noutput:\n  - uses: relational.write\n    with:\n      connection: \
             target\n      table: emp\n      keys:\n        - empno",
        ));
        return None;
    }
    let mut map = Mapping::open(context, root, "job", Span::top(root.span.file))?;
    if is_ingest(context, root) {
        return None;
    }
    let source = map.required("source", "source:\n  redis:\n    key_pattern: emp:*\n    trigger: write-behind");
    let source = source.and_then(|(key, node)| source::source(context, key.span, node));
    source.iter().for_each(|source| keys(source, &mut context.names));
    let transform = map.optional("transform").map(|(_, node)| transform::steps(context, node)).unwrap_or_default();
    // An `output` inside of `source` is reported there: that it is also missing would be the same mistake twice.
    let output = if is_inside(root, "source", "output") {
        map.optional("output")
    } else {
        map.required("output", example(&context.names))
    };
    let before = context.diagnostics.len();
    let (mut outputs, mut redis) = (Vec::new(), Vec::new());
    for written in output.map(|(_, node)| writers(context, node, &config.redis_defaults)).unwrap_or_default() {
        match written {
            Written::Table(output) => outputs.push(output),
            Written::Redis(output) => redis.push(output),
        }
    }
    let complete = output.is_some() && context.diagnostics.len() == before;
    map.finish(context);
    Some(Job { name: name.to_owned(), file: root.span.file, source: source?, transform, outputs, redis, complete })
}

/// The connections, so that examples name some that there are.
fn connections(config: &Config) -> Names {
    let tables = config.connections.iter().map(|(name, _)| name.value.clone()).collect();
    let redis = config.redis.iter().map(|(name, _)| name.value.clone()).collect();
    Names { tables, redis, ..Names::default() }
}

/// What the source tells of its keys, for the same.
fn keys(source: &Source, names: &mut Names) {
    names.key = source.key.iter().flat_map(ast::KeyTemplate::names).map(str::to_owned).collect();
    let pattern = source.key_pattern.value.chars();
    let prefix: String = pattern.take_while(|char| char.is_alphanumeric() || *char == '_').collect();
    names.prefix = Some(prefix).filter(|prefix| !prefix.is_empty());
}

/// The smallest output.
fn example(names: &Names) -> String {
    let (connection, table) = (names.connection(false), names.table());
    let keys = key_items(names, "        ");
    format!(
        "output:\n  - uses: relational.write\n    with:\n      {connection}\n      table: {table}\n      keys:\n{keys}"
    )
}

/// The fields of the key as items of `keys`.
fn key_items(names: &Names, indent: &str) -> String {
    let fields = if names.key.is_empty() { vec![names.id()] } else { names.key.iter().map(String::as_str).collect() };
    fields.iter().map(|field| format!("{indent}- {field}")).collect::<Vec<_>>().join("\n")
}

/// Whether a key stands in a section or in a mapping of it.
fn is_inside(root: &Node, section: &str, key: &str) -> bool {
    let entries = |node: &Node| match &node.value {
        Value::Map(entries) => entries.clone(),
        _ => Vec::new(),
    };
    let inside =
        entries(root).into_iter().filter(|(name, _)| name.value == section).flat_map(|(_, node)| entries(&node));
    inside.clone().chain(inside.flat_map(|(_, node)| entries(&node))).any(|(name, _)| name.value == key)
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
    context.report(diagnostic.help(
        "redis-wb goes the other way, from Redis to a database: name the keys that are written\nsource:\n  redis:\n    \
         key_pattern: emp:*\n    trigger: write-behind",
    ));
    true
}

/// What one entry of `output` writes.
enum Written {
    Table(Relational),
    Redis(ast::RedisWrite),
}

fn writers(context: &mut Context<'_>, node: &Node, defaults: &RedisDefaults) -> Vec<Written> {
    if let Value::List(items) = &node.value
        && !items.is_empty()
    {
        return items.iter().filter_map(|item| writer(context, item, defaults)).collect();
    }
    context.wrong_shape(node, "output", "a list of writers");
    Vec::new()
}

/// The writers, by name; `None` for `redis.write`.
const WRITERS: [(&str, Option<Writer>); 3] = [
    ("relational.write", Some(Writer::Relational)),
    ("redis.write", None),
    ("cassandra.write", Some(Writer::Cassandra)),
];

fn writer(context: &mut Context<'_>, node: &Node, defaults: &RedisDefaults) -> Option<Written> {
    let top = Span { end: node.span.start, ..node.span };
    block_as_key(context, node, &NAMES)?;
    let mut map = Mapping::open(context, node, "output", top)?;
    let uses = map.required("uses", "uses: relational.write");
    let below = format!("with:\n  {}\n  table: {}", context.names.connection(false), context.names.table());
    let with = map.required_above("with", &below, &BELOW);
    map.finish_below(context, "with", &BELOW);
    let (_, uses) = uses?;
    let writer = context.block(uses, "output", &WRITERS, ("transform", &transform::NAMES))?;
    let (key, with) = with?;
    match writer {
        Some(writer) => table(context, writer, key.span, with).map(Written::Table),
        None => redis::write(context, key.span, with, defaults).map(Written::Redis),
    }
}

/// Reports a block whose name stands in the place of `uses`: `- filter:`.
pub(super) fn block_as_key(context: &mut Context<'_>, node: &Node, names: &[&str]) -> Option<()> {
    let Value::Map(entries) = &node.value else { return Some(()) };
    let is_named = entries.iter().any(|(key, _)| key.value == "uses");
    let found = entries.iter().find(|(key, _)| names.contains(&key.value.as_str())).filter(|_| !is_named);
    let Some((key, _)) = found else { return Some(()) };
    let message = format!("a block is named by `uses`, not by its key: `{}`", key.value);
    let diagnostic = Diagnostic::new(Code::E0002, key.span, message, "the name of a block");
    context.report(diagnostic.help(format!("write, with its own keys below `with`:\n- uses: {}\n  with:", key.value)));
    None
}

/// Keys that belong below `with`.
const BELOW: [&str; 9] =
    ["connection", "schema", "table", "keys", "mapping", "foreach", "key", "data_type", "load_strategy"];

/// The names of the writers, to tell where a misplaced block belongs.
pub(super) const NAMES: [&str; 3] = ["relational.write", "redis.write", "cassandra.write"];

fn table(context: &mut Context<'_>, writer: Writer, key: Span, node: &Node) -> Option<Relational> {
    let mut map = Mapping::open(context, node, writer.name(), key)?;
    let connection = map.required("connection", context.names.connection(false));
    let connection = connection.and_then(|(_, node)| context.text(node, "connection"));
    let schema = schema(context, &mut map, writer);
    let table = map.required("table", format!("table: {}", context.names.table()));
    let table = table.and_then(|(_, node)| context.text(node, "table"));
    let before = context.diagnostics.len();
    let keys = map.required("keys", format!("keys:\n{}", key_items(&context.names, "  ")));
    let keys_span = keys.map_or(key, |(key, _)| key.span);
    let keys = keys.map(|(_, node)| columns(context, node, "keys"));
    let mapping = map.optional("mapping").map(|(_, node)| columns(context, node, "mapping")).unwrap_or_default();
    let mut complete = context.diagnostics.len() == before;
    let opcode_field = map.optional("opcode_field").and_then(|(_, node)| parse_path(context, node));
    let (mut when, mut on_missing) = (None, None);
    if writer == Writer::Relational {
        when = map.optional("when").and_then(|(key, node)| expression(context, key.span, node));
        on_missing = map
            .optional("on_missing")
            .and_then(|(key, node)| Some((key.span, context.word(node, "on_missing", &ON_MISSING)?)));
    }
    let (strategy, versions) = match writer {
        Writer::Relational => strategy::strategy(context, &mut map),
        Writer::Cassandra => (Spanned { value: Strategy::Upsert, span: key }, None),
    };
    keeps_nothing(context, on_missing, strategy.value);
    let foreach = if writer == Writer::Relational { foreach(context, &mut map) } else { None };
    // An unknown key may be a misspelt `mapping`: of columns that are missing then nothing is said.
    complete &= map.finish(context);
    let keys = keys?;
    if keys.is_empty() && complete {
        complete = false;
        no_keys(context, keys_span);
    }
    Some(Relational {
        writer,
        connection: connection?,
        schema,
        table: table?,
        keys,
        keys_span,
        mapping,
        when,
        foreach,
        opcode_field,
        on_missing: on_missing.map(|(_, on_missing)| on_missing).unwrap_or_default(),
        complete,
        strategy,
        versions,
    })
}

fn no_keys(context: &mut Context<'_>, keys: Span) {
    let diagnostic = Diagnostic::new(Code::E0203, keys, "`keys` names no column", "no key column");
    let help = "name the columns that tell one row from another, such as `- id`: without them a delete would empty \
                the table";
    context.report(diagnostic.help(help));
}

/// `schema`, which may be blank, or `keyspace`, which may not.
fn schema(context: &mut Context<'_>, map: &mut Mapping<'_>, writer: Writer) -> Option<Spanned<String>> {
    if writer == Writer::Cassandra {
        let (_, node) = map.required("keyspace", "keyspace: shop")?;
        return context.text(node, "keyspace");
    }
    let (_, node) = map.optional("schema")?;
    let is_blank = matches!(&node.value, Value::Null) || node.text() == Some("");
    if is_blank { None } else { context.text(node, "schema") }
}

/// A column can keep what it had only where there is one row, which is updated.
fn keeps_nothing(context: &mut Context<'_>, on_missing: Option<(Span, OnMissing)>, strategy: Strategy) {
    if let Some((span, OnMissing::Keep)) = on_missing
        && strategy != Strategy::Upsert
    {
        let message = format!("`on_missing: keep` says nothing to `load_strategy: {}`", strategy.word());
        let diagnostic = Diagnostic::new(Code::W0014, span, message, "has no effect");
        context.report(diagnostic.help("take it out: each row is written anew"));
    }
}

const ON_MISSING: [(&str, OnMissing); 3] =
    [("null", OnMissing::Null), ("keep", OnMissing::Keep), ("reject", OnMissing::Reject)];

const ON_VANISHED: [(&str, OnVanished); 2] = [("delete", OnVanished::Delete), ("keep", OnVanished::Keep)];

/// `foreach`, `parent` and `on_vanished`.
fn foreach(context: &mut Context<'_>, map: &mut Mapping<'_>) -> Option<Foreach> {
    let foreach = map.optional("foreach");
    let (parent, on_vanished) = (map.optional("parent"), map.optional("on_vanished"));
    let Some((_, node)) = foreach else {
        for (key, _) in parent.into_iter().chain(on_vanished) {
            let message = format!("`{}` says nothing without `foreach`", key.value);
            let diagnostic = Diagnostic::new(Code::W0014, key.span, message, "has no effect");
            context.report(diagnostic.help("take it out, or make rows of a list: `foreach: \"line: lines[]\"`"));
        }
        return None;
    };
    let parent = parent.map(|(_, node)| {
        // What is written without a list is reported, and meant all the same.
        let items = context.list(node, "parent").iter().chain(node.text().is_some().then_some(node));
        items.filter_map(|item| context.text(item, "parent")).collect()
    });
    let on_vanished = on_vanished.and_then(|(_, node)| context.word(node, "on_vanished", &ON_VANISHED));
    let unreadable = || (Spanned { value: String::new(), span: node.span }, None);
    let (name, list) = element(context, node).map_or_else(unreadable, |(name, list)| (name, Some(list)));
    Some(Foreach { name, list, parent, on_vanished: on_vanished.unwrap_or_default() })
}

/// `name: expression` as one text, or as a mapping of one key.
fn element(context: &mut Context<'_>, node: &Node) -> Option<(Spanned<String>, Expression)> {
    if let Value::Map(entries) = &node.value
        && let [(name, list)] = entries.as_slice()
    {
        let text = context.text(list, "foreach")?;
        let expression = Expression {
            text: text.value,
            language: Language::JmesPath,
            span: text.span,
            node: list.clone(),
            offset: 0,
        };
        return Some((name.clone(), expression));
    }
    let text = node.text().unwrap_or_default();
    let (name, list) = text.split_once(':').unwrap_or_default();
    let (name, behind) = (name.trim(), list.trim_start());
    if name.is_empty() || behind.trim_end().is_empty() {
        let list = text.trim_end_matches(|char: char| !char.is_alphanumeric());
        let is_plain = !list.is_empty() && list.chars().all(|char| char.is_alphanumeric() || char == '_');
        let list = if is_plain { list } else { "lines" };
        let element = list.strip_suffix('s').filter(|element| !element.is_empty()).unwrap_or("line");
        let message = "`foreach` names an element and says which list it is from";
        let diagnostic = Diagnostic::new(Code::E0013, node.span, message, "not `name: expression`");
        context.report(diagnostic.help(format!(
            "write `foreach: \"{element}: {list}[]\"`; then `{element}.price` is a field of an element"
        )));
        return None;
    }
    let start = text.find(name).unwrap_or(0);
    let offset = text.len() - behind.len();
    let name_span = node.part_span(context.files, start, start + name.len());
    let expression = Expression {
        text: behind.to_owned(),
        language: Language::JmesPath,
        span: node.part_span(context.files, offset, text.len()),
        node: node.clone(),
        offset,
    };
    Some((Spanned { value: name.to_owned(), span: name_span }, expression))
}
