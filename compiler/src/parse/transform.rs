//! `transform`: the steps that a record goes through.

use redis_wb_plan::plan::OnUnmatched;

use super::job;
use super::mapping::{Context, Mapping};
use super::value::{expression_of, expression_text, language, parse_path};
use crate::Diagnostic;
use crate::ast::{Lookup, MapBody, Step};
use crate::codes::Code;
use crate::expr::Language;
use crate::source::Span;
use crate::yaml::{Node, Value};

#[derive(Clone, Copy)]
enum Block {
    AddField,
    RenameField,
    RemoveField,
    Map,
    Filter,
    Lookup,
}

const BLOCKS: [(&str, Block); 6] = [
    ("add_field", Block::AddField),
    ("rename_field", Block::RenameField),
    ("remove_field", Block::RemoveField),
    ("map", Block::Map),
    ("filter", Block::Filter),
    ("redis.lookup", Block::Lookup),
];

/// Keys that belong below `with`.
const BELOW: [&str; 10] = [
    "field",
    "fields",
    "expression",
    "language",
    "from_field",
    "to_field",
    "connection",
    "cmd",
    "args",
    "on_unmatched",
];

/// The names of the blocks, to tell where a misplaced one belongs.
pub(super) const NAMES: [&str; 6] = ["add_field", "rename_field", "remove_field", "map", "filter", "redis.lookup"];

/// The steps, in their order.
pub(super) fn steps(context: &mut Context<'_>, node: &Node) -> Vec<Step> {
    context.list(node, "transform").iter().flat_map(|item| block(context, item)).collect()
}

fn block(context: &mut Context<'_>, node: &Node) -> Vec<Step> {
    read_block(context, node).unwrap_or_else(|| vec![Step::Unknown])
}

fn read_block(context: &mut Context<'_>, node: &Node) -> Option<Vec<Step>> {
    let top = Span { end: node.span.start, ..node.span };
    job::block_as_key(context, node, &NAMES)?;
    let mut map = Mapping::open(context, node, "transform", top)?;
    let uses = map.required("uses", "uses: add_field");
    let with = map.required_above("with", "with:\n  field: name", &BELOW);
    map.finish_below(context, "with", &BELOW);
    let (_, uses) = uses?;
    let block = context.block(uses, "transform", &BLOCKS, ("output", &job::NAMES))?;
    let (key, with) = with?;
    let (span, key) = (uses.text_span(context.files), key.span);
    Some(match block {
        Block::AddField => each(context, with, "add_field", key, add_field),
        Block::RenameField => each(context, with, "rename_field", key, rename_field),
        Block::RemoveField => each(context, with, "remove_field", key, remove_field),
        Block::Map => vec![map_block(context, with, key, span)?],
        Block::Filter => vec![filter(context, with, key)?],
        Block::Lookup => vec![Step::Lookup(lookup(context, with, key)?)],
    })
}

/// The entries of a block: those of `fields`, or the block itself.
fn each(
    context: &mut Context<'_>,
    node: &Node,
    name: &'static str,
    key: Span,
    read: fn(&mut Context<'_>, Mapping<'_>) -> Option<Step>,
) -> Vec<Step> {
    let mut steps = Vec::new();
    let Some(mut map) = Mapping::open(context, node, name, key) else {
        return vec![Step::Unknown];
    };
    let Some((fields_key, fields)) = map.optional("fields") else {
        return vec![read(context, map).unwrap_or(Step::Unknown)];
    };
    if let Some((extra, _)) = map.rest().first() {
        let message = format!("`{name}` has both `fields` and `{}`", extra.value);
        let diagnostic = Diagnostic::new(Code::E0016, extra.span, message, "beside the list");
        let diagnostic = diagnostic.because(fields_key.span, "the list of fields is here");
        context.report(diagnostic.help("move it into the list, as an entry of its own"));
    }
    for item in context.list(fields, "fields") {
        let span = Span { end: item.span.start, ..item.span };
        let step = Mapping::open(context, item, name, span).and_then(|map| read(context, map));
        steps.push(step.unwrap_or(Step::Unknown));
    }
    steps
}

fn add_field(context: &mut Context<'_>, mut map: Mapping<'_>) -> Option<Step> {
    let field = map.required("field", "field: new_name");
    let expression = expression_of(context, &mut map);
    map.finish(context);
    let (_, field) = field?;
    Some(Step::Add { field: parse_path(context, field)?, expression })
}

fn rename_field(context: &mut Context<'_>, mut map: Mapping<'_>) -> Option<Step> {
    let from = map.required("from_field", "from_field: old_name");
    let to = map.required("to_field", "to_field: new_name");
    map.finish(context);
    let (from, to) =
        (from.and_then(|(_, node)| parse_path(context, node)), to.and_then(|(_, node)| parse_path(context, node)));
    Some(Step::Rename { from: from?, to: to? })
}

fn remove_field(context: &mut Context<'_>, mut map: Mapping<'_>) -> Option<Step> {
    let field = map.required("field", "field: name");
    map.finish(context);
    let (_, field) = field?;
    Some(Step::Remove { field: parse_path(context, field)? })
}

fn map_block(context: &mut Context<'_>, node: &Node, key: Span, span: Span) -> Option<Step> {
    let mut map = Mapping::open(context, node, "map", key)?;
    let body = map.required("expression", "expression: \"{id: id, name: name}\"");
    let language = language(context, &mut map);
    map.finish(context);
    let (_, body) = body?;
    let Value::Map(entries) = &body.value else {
        let expression = expression_text(context, body, language)?;
        return Some(Step::Map { body: MapBody::Expression(expression), span });
    };
    if language == Some(Language::JmesPath) {
        context.wrong_shape(body, "expression", "one text in JMESPath, such as \"{id: id, name: name}\"");
        return None;
    }
    let fields: Vec<_> =
        entries.iter().map(|(name, node)| Some((name.clone(), expression_text(context, node, language)?))).collect();
    let fields: Option<Vec<_>> = fields.into_iter().collect();
    Some(Step::Map { body: MapBody::Fields(fields?), span })
}

const ON_UNMATCHED: [(&str, OnUnmatched); 2] = [("keep", OnUnmatched::Keep), ("delete", OnUnmatched::Delete)];

fn filter(context: &mut Context<'_>, node: &Node, key: Span) -> Option<Step> {
    let mut map = Mapping::open(context, node, "filter", key)?;
    let expression = expression_of(context, &mut map);
    let on_unmatched = map.optional("on_unmatched");
    let on_unmatched = on_unmatched.and_then(|(_, node)| context.word(node, "on_unmatched", &ON_UNMATCHED));
    map.finish(context);
    Some(Step::Filter { expression: expression?, on_unmatched })
}

fn lookup(context: &mut Context<'_>, node: &Node, key: Span) -> Option<Lookup> {
    let mut map = Mapping::open(context, node, "redis.lookup", key)?;
    let mut text = |context: &mut Context<'_>, key, example| {
        let (_, node) = map.required(key, example)?;
        context.text(node, key)
    };
    let connection = text(context, "connection", "connection: cache");
    let command = text(context, "cmd", "cmd: HGET");
    let args = map.required("args", "args: [\"concat(['artist:', artist_id])\", \"'name'\"]");
    let language = language(context, &mut map);
    let field = map.required("field", "field: artist_name");
    let field = field.and_then(|(_, node)| parse_path(context, node));
    map.finish(context);
    let (_, args) = args?;
    let items = context.list(args, "args").iter();
    let args: Vec<_> = items.map(|item| expression_text(context, item, language)).collect();
    let args: Option<Vec<_>> = args.into_iter().collect();
    Some(Lookup { connection: connection?, command: command?, args: args?, field: field? })
}
