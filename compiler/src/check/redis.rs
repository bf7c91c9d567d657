//! What is written to another Redis: what a flush leaves there, and what an update does.

use redis_wb_plan::Expr;
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
    let is_stream = |write: &&RedisWrite<'_>| matches!(write.content, RedisContent::Stream(_));
    for write in job.redis.iter().filter(|write| !is_stream(write)) {
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
        let names = [key_span.map(|span| ("key", span, &write.key)), member.map(|(span, expr)| ("member", span, expr))];
        names.into_iter().flatten().for_each(|(what, span, expr)| name_stays(job, what, span, expr, diagnostics));
    }
}

fn name_stays(job: &Job<'_>, what: &str, span: Span, expr: &Expr, diagnostics: &mut Diagnostics) {
    if job.ast.source.key_unreadable || !job.reads_content(expr) {
        return;
    }
    let message = format!("the {what} that is written comes from a field that can change");
    let label = format!("when the field changes, the old {what} stays");
    let fixed = job.ast.source.key_pattern.value.trim_end_matches('*');
    let help = format!(
        "if the key's name holds it, take it from there: write `key: {fixed}<field>` under `source.redis`; if it never \
         changes, all is well"
    );
    diagnostics.report(Diagnostic::new(Code::W0220, span, message, label).help(help));
}
