//! `load_strategy` of `relational.write`, and what its `TYPE2` needs.

use redis_wb_plan::plan::Strategy;

use super::mapping::{Context, Mapping};
use crate::Diagnostic;
use crate::ast::{TargetSql, Versions};
use crate::codes::Code;
use crate::source::{Span, Spanned};
use crate::yaml::Node;

const STRATEGIES: [(&str, Strategy); 4] = [
    ("UPSERT", Strategy::Upsert),
    ("APPEND", Strategy::Append),
    ("REPLACE", Strategy::Replace),
    ("TYPE2", Strategy::Type2),
];

/// The keys of [`Versions`], and how to write them.
const ACTIVE: (&str, &str) = ("active_record_indicator", "active_record_indicator: valid_to IS NULL");
const CLOSING: (&str, &str) = (
    "inactive_record_mapping",
    "inactive_record_mapping:\n        - source: CURRENT_TIMESTAMP\n          target: valid_to",
);

/// Reads the strategy, and for `TYPE2` what tells versions apart.
pub(super) fn strategy(context: &mut Context<'_>, map: &mut Mapping<'_>) -> (Spanned<Strategy>, Option<Versions>) {
    let mut strategy = Spanned { value: Strategy::default(), span: map.span() };
    if let Some((_, node)) = map.optional("load_strategy") {
        let word = context.word(node, "load_strategy", &STRATEGIES);
        strategy = Spanned { value: word.unwrap_or_default(), span: node.text_span(context.files) };
    }
    if strategy.value == Strategy::Type2 {
        return (strategy, versions(context, map));
    }
    for (key, _) in [ACTIVE, CLOSING] {
        if let Some((key, _)) = map.optional(key) {
            let message = format!("`{}` is for `load_strategy: TYPE2` alone", key.value);
            let label = format!("means nothing to `{}`", strategy.value.word());
            let diagnostic = Diagnostic::new(Code::E0413, key.span, message, label);
            context.report(diagnostic.help("take it out, or keep the versions of a row by `load_strategy: TYPE2`"));
        }
    }
    (strategy, None)
}

fn versions(context: &mut Context<'_>, map: &mut Mapping<'_>) -> Option<Versions> {
    let active = map.required(ACTIVE.0, ACTIVE.1);
    let active = active.and_then(|(_, node)| sql(context, node, ACTIVE.0));
    let (key, node) = map.required(CLOSING.0, CLOSING.1)?;
    let items = context.list(node, CLOSING.0);
    if items.is_empty() {
        context.wrong_shape(node, CLOSING.0, "a list of `source` and `target`");
        return None;
    }
    let closing: Option<Vec<_>> = items.iter().map(|item| closing(context, key.span, item)).collect();
    Some(Versions { active: active?, closing: closing? })
}

/// `{source, target}`; a source that is a column's name may stand alone.
fn closing(context: &mut Context<'_>, key: Span, node: &Node) -> Option<(Spanned<String>, TargetSql)> {
    let mut map = Mapping::open(context, node, CLOSING.0, key)?;
    let source = map.required("source", "source: CURRENT_TIMESTAMP");
    let source = source.and_then(|(_, node)| sql(context, node, "source"));
    let target = map.optional("target").map(|(_, node)| context.text(node, "target"));
    map.finish(context);
    let source = source?;
    Some((target.unwrap_or_else(|| Some(source.text.clone()))?, source))
}

fn sql(context: &mut Context<'_>, node: &Node, what: &str) -> Option<TargetSql> {
    Some(TargetSql { text: context.text(node, what)?, node: node.clone() })
}
