//! What is written to another Redis: what a flush leaves there, and what an update does.

use redis_wb_plan::Expr;
use redis_wb_plan::expr::Root;
use redis_wb_plan::plan::{OnGone, RedisContent};

use crate::codes::Code;
use crate::resolve::{Job, RedisWrite};
use crate::source::Span;
use crate::{Diagnostic, Diagnostics};

/// A flush empties tables. Which keys of another Redis came from the job, nothing tells.
pub(super) fn flush_reaches(job: &Job<'_>, diagnostics: &mut Diagnostics) {
    if job.ast.source.on_flush != Some(OnGone::Delete) {
        return;
    }
    for write in &job.redis {
        let connection = &write.ast.connection;
        let message = format!("`on_flush: delete` deletes nothing of what is written to `{}`", connection.value);
        let diagnostic = Diagnostic::new(Code::W0219, connection.span, message, "its keys stay");
        diagnostics
            .report(diagnostic.help("write `on_flush: ignore`, or flush that Redis, too, when you flush this one"));
    }
}

/// A key or a member taken from a field that can change would leave the old one behind. Streams keep everything.
pub(super) fn names_stay(job: &Job<'_>, diagnostics: &mut Diagnostics) {
    if job.ast.source.key_unreadable {
        return;
    }
    let is_stream = |write: &&RedisWrite<'_>| matches!(write.content, RedisContent::Stream(_));
    let names = job.redis.iter().filter(|write| !is_stream(write)).flat_map(names);
    let mut moving = names.filter(|name| job.reads_content(name.expr));
    let Some(Name { what, span, expr }) = moving.next() else { return };
    let message = format!("the {what} that is written comes from a field that can change");
    let label = format!("when it changes, the old {what} stays");
    let mut diagnostic = Diagnostic::new(Code::W0220, span, message, label);
    for name in moving {
        diagnostic = diagnostic.because(name.span, format!("so does this {}", name.what));
    }
    let fixed = job.ast.source.key_pattern.value.trim_end_matches('*');
    let field = content_field(expr).unwrap_or_else(|| "id".to_owned());
    diagnostics.report(diagnostic.help(format!(
        "if the name of the source's key holds it, take it from there: write `key: {fixed}<{field}>` under \
         `source.redis`, and `{field}` in the expression; if it never changes, all is well"
    )));
}

/// What a place in another Redis is called by.
struct Name<'n> {
    what: &'static str,
    span: Span,
    expr: &'n Expr,
}

/// The key of a write, and the member where it writes one.
fn names<'n>(write: &'n RedisWrite<'_>) -> impl Iterator<Item = Name<'n>> {
    let nest = write.ast.nest.as_ref();
    let key_span = nest.map(|nest| nest.child_key.span).or_else(|| write.ast.key.as_ref().map(|key| key.span));
    let member = match &write.content {
        RedisContent::Set { member } | RedisContent::SortedSet { member, .. } => {
            let argument = write.ast.args.iter().find(|(name, _)| name.value == "member");
            argument.map(|(_, path)| (path.span, member))
        }
        RedisContent::Nested { member, .. } => nest.map(|nest| (nest.nesting_key.span, member)),
        _ => None,
    };
    let key = key_span.map(|span| Name { what: "key", span, expr: &write.key });
    key.into_iter().chain(member.map(|(span, expr)| Name { what: "member", span, expr }))
}

/// The name of the first field of the content that an expression reads.
fn content_field(expr: &Expr) -> Option<String> {
    let mut found = None;
    expr.any(&mut |part| match part {
        Expr::Path { root: Root::Value | Root::After | Root::Before, names } => {
            let is_name = |name: &&String| name.chars().all(|char| char.is_alphanumeric() || char == '_');
            found = names.last().filter(is_name).cloned();
            found.is_some()
        }
        _ => false,
    });
    found
}
