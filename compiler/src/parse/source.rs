//! `source`: which keys are captured, and how their records are read.

use redis_wb_grammar::key;
use redis_wb_plan::Type;
use redis_wb_plan::plan::{DataType, OnGone};

use super::mapping::{Context, Mapping};
use super::value::{parsed_path, syntax};
use crate::Diagnostic;
use crate::ast::{KeyTemplate, Path, Source};
use crate::codes::Code;
use crate::source::{Span, Spanned};
use crate::suggest::did_you_mean;
use crate::yaml::Node;

/// The section `source`.
pub(super) fn source(context: &mut Context<'_>, key: Span, node: &Node) -> Option<Source> {
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

fn fields(context: &mut Context<'_>, key: Span, node: &Node) -> Vec<(Path, Spanned<Type>)> {
    let words = Type::NAMED.map(|kind| (kind.name(), kind));
    let Some(mut map) = Mapping::open(context, node, "source.redis.fields", key) else {
        return Vec::new();
    };
    map.rest()
        .into_iter()
        .filter_map(|(name, node)| {
            let kind = context.word(node, "fields", &words)?;
            let path = parsed_path(context, node, name.clone())?;
            Some((path, Spanned { value: kind, span: node.text_span(context.files) }))
        })
        .collect()
}
