//! Keys that cannot tell records apart: what is written for one takes the place of what was written for another.

use std::collections::BTreeSet;

use redis_wb_plan::Expr;
use redis_wb_plan::expr::Root;
use redis_wb_plan::plan::{OnMissing, OnUpdate, RedisContent, Strategy};

use crate::codes::Code;
use crate::expr::Language;
use crate::resolve::{Job, Output, RedisWrite, Step};
use crate::source::Span;
use crate::{Diagnostic, Diagnostics, ast};

/// Checks what a job writes: rows by their key columns, keys of a Redis by their expressions.
pub(super) fn keys(job: &Job<'_>, diagnostics: &mut Diagnostics) {
    if job.ast.source.key_unreadable {
        return;
    }
    job.outputs.iter().for_each(|output| rows(job, output, diagnostics));
    job.redis.iter().for_each(|write| redis(job, write, diagnostics));
}

/// Rows of which each key of Redis should have one of its own; those of lists are looked at by `children`.
fn rows(job: &Job<'_>, output: &Output<'_>, diagnostics: &mut Diagnostics) {
    let keeps_one = matches!(output.ast.strategy.value, Strategy::Upsert | Strategy::Replace);
    let is_whole = output.ast.foreach.is_none() && output.ast.on_missing != OnMissing::Keep;
    let keys = output.columns.iter().take(output.key_columns);
    let keys: Option<Vec<&Expr>> = keys.map(|column| Some(&column.value.as_ref()?.expr)).collect();
    let Some(keys) = keys.filter(|keys| keeps_one && is_whole && !keys.is_empty()) else { return };
    let Some(unread) = unread(job, &keys, output.when.as_ref().map(|when| &when.expr)) else { return };
    let (message, help) = match unread.first() {
        Some(first) => (
            format!("records that differ in {} alone become the same row", list(&unread)),
            format!(
                "add to `keys` what tells them apart, `- {first}`; if they make up one row together, say `on_missing: keep`"
            ),
        ),
        None => (
            "all records become the same row".to_owned(),
            format!("name in `keys` a field that tells records apart, such as `- {}`", own_field(job)),
        ),
    };
    report(output.ast.keys_span, message, help, job, diagnostics);
}

/// A key that holds one thing; in sets and streams many records may be.
fn redis(job: &Job<'_>, write: &RedisWrite<'_>, diagnostics: &mut Diagnostics) {
    let named = match &write.content {
        RedisContent::Hash(_) | RedisContent::Json(_) if write.on_update == OnUpdate::Merge => return,
        RedisContent::Hash(_) | RedisContent::Json(_) | RedisContent::String { .. } => vec![&write.key],
        RedisContent::Set { member } | RedisContent::SortedSet { member, .. } => vec![&write.key, member],
        RedisContent::Stream(_) | RedisContent::Nested { .. } => return,
    };
    let Some(key) = &write.ast.key else { return };
    let Some(unread) = unread(job, &named, write.when.as_ref().map(|when| &when.expr)) else { return };
    let field = unread.first().copied().unwrap_or_else(|| own_field(job));
    let example = with_field(key, &write.key, field);
    let message = match unread.is_empty() {
        true => "all records are written to the same place".to_owned(),
        false => format!("records that differ in {} alone are written to the same place", list(&unread)),
    };
    let help = format!("put what tells records apart into the key: `{example}`");
    report(key.span, message, help, job, diagnostics);
}

/// The expression of a key, and a further field in it.
fn with_field(key: &ast::Expression, expr: &Expr, field: &str) -> String {
    let text = key.text.trim();
    let constant = match expr {
        Expr::Literal(_) => Some(text.trim_matches(['\'', '"', '`']).trim_end_matches(':')),
        _ => None,
    };
    match (key.language, constant, text.strip_prefix("concat([").and_then(|text| text.strip_suffix("])"))) {
        (Language::JmesPath, Some(constant), _) => format!("concat(['{constant}:', {field}])"),
        (Language::JmesPath, None, Some(parts)) => format!("concat([{parts}, ':', {field}])"),
        (Language::JmesPath, None, None) => format!("concat([{text}, ':', {field}])"),
        (Language::Sql, Some(constant), _) => format!("'{constant}:' || {field}"),
        (Language::Sql, None, _) => format!("{text} || ':' || {field}"),
    }
}

fn report(span: Span, message: String, help: String, job: &Job<'_>, diagnostics: &mut Diagnostics) {
    let diagnostic = Diagnostic::new(Code::W0328, span, message, "the same for several records");
    let diagnostic = match &job.ast.source.key {
        Some(key) => diagnostic.because(key.node.span, "what the names of the keys hold"),
        None => diagnostic,
    };
    diagnostics.report(diagnostic.help(help));
}

fn list(fields: &[&str]) -> String {
    fields.iter().map(|field| format!("`{field}`")).collect::<Vec<_>>().join(", ")
}

/// A field that may tell records apart.
fn own_field<'j>(job: &'j Job<'_>) -> &'j str {
    job.ast.source.key.as_ref().and_then(|key| key.names().next()).unwrap_or("id")
}

/// The fields of the key that these expressions and the conditions do not read, so that records which differ in them
/// alone cannot be told apart; empty where nothing is read. `None` where they can: all is read, or other fields are.
fn unread<'j>(job: &'j Job<'_>, exprs: &[&Expr], when: Option<&Expr>) -> Option<Vec<&'j str>> {
    let mut read = BTreeSet::new();
    let told = exprs.iter().any(|expr| job.reads_content(expr) || expr.any(&mut |part| tells(part, &mut read)));
    let filters = job.steps.iter().filter_map(|step| match step {
        Step::Filter { expr, .. } => Some(expr),
        Step::Lookup(_) => None,
    });
    let mut picked = BTreeSet::new();
    let picks_whole = filters.chain(when).any(|expr| expr.any(&mut |part| tells(part, &mut picked)));
    let template = job.ast.source.key.as_ref();
    let unread: Vec<&str> =
        template.into_iter().flat_map(ast::KeyTemplate::names).filter(|name| !read.contains(*name)).collect();
    let is_whole = template.is_some() && unread.is_empty();
    let is_picked = picks_whole || unread.iter().any(|name| picked.contains(*name));
    if told || is_whole || is_picked {
        return None;
    }
    Some(if read.is_empty() { Vec::new() } else { unread })
}

/// Whether a part of an expression tells records apart; what it reads of the key's fields is noted.
fn tells(part: &Expr, read: &mut BTreeSet<String>) -> bool {
    match part {
        Expr::Path { root: Root::Key, names } => match &**names {
            [name, ..] if name != "key" => {
                read.insert(name.clone());
                false
            }
            _ => true,
        },
        Expr::Path { root: Root::Opcode, .. } => false,
        Expr::Path { .. } => true,
        other => !other.is_pure(),
    }
}
