//! Jobs against each other: columns that two of them write, patterns whose keys reach two of them.

use redis_wb_plan::plan::{OnGone, Strategy};

use crate::codes::Code;
use crate::resolve::{Job, Output};
use crate::{Diagnostic, Diagnostics, ast};

/// Checks the jobs of one run against each other.
pub(super) fn jobs(jobs: &[Job<'_>], diagnostics: &mut Diagnostics) {
    for (at, later) in jobs.iter().enumerate() {
        for earlier in jobs.iter().take(at).filter(|earlier| earlier.ast.name != later.ast.name) {
            patterns(earlier.ast, later.ast, diagnostics);
            for (first, second) in pairs(earlier, later) {
                columns(first, second, &earlier.ast.name, diagnostics);
                flushes((earlier, first), (later, second), diagnostics);
            }
        }
    }
}

/// The outputs of two jobs that write the same table.
fn pairs<'j, 'a>(earlier: &'j Job<'a>, later: &'j Job<'a>) -> impl Iterator<Item = (&'j Output<'a>, &'j Output<'a>)> {
    later.outputs.iter().flat_map(move |second| {
        earlier.outputs.iter().filter(move |first| same_table(first, second)).map(move |first| (first, second))
    })
}

/// Every pair of jobs asks this, so it compares what mostly differs first, and copies nothing.
fn same_table(left: &Output<'_>, right: &Output<'_>) -> bool {
    let (left, right) = (left.ast, right.ast);
    left.table.value == right.table.value
        && left.connection.value == right.connection.value
        && left.schema.as_ref().map(|schema| &schema.value) == right.schema.as_ref().map(|schema| &schema.value)
}

fn columns(first: &Output<'_>, second: &Output<'_>, earlier: &str, diagnostics: &mut Diagnostics) {
    let twice = values(second).find_map(|mapping| {
        let known = values(first).find(|known| known.column.value == mapping.column.value)?;
        Some((mapping, known))
    });
    if let Some((mapping, known)) = twice {
        let message =
            format!("the jobs write the same column `{}` of `{}`", mapping.column.value, second.ast.table.value);
        let diagnostic = Diagnostic::new(Code::W0216, mapping.column.span, message, "written here");
        let diagnostic = diagnostic.because(known.column.span, format!("and by the job `{earlier}`"));
        let help = "the one that comes last wins, and which is last nobody can tell: leave the column to one job";
        diagnostics.report(diagnostic.help(help));
    }
}

/// A flush takes all rows of a table, whichever job wrote them.
fn flushes(first: (&Job<'_>, &Output<'_>), second: (&Job<'_>, &Output<'_>), diagnostics: &mut Diagnostics) {
    let clears = |(job, output): &(&Job<'_>, &Output<'_>)| {
        job.ast.source.on_flush == Some(OnGone::Delete) && output.ast.strategy.value != Strategy::Append
    };
    let pairs = [(second, first), (first, second)];
    let Some(((job, output), (other, others))) = pairs.into_iter().find(|(one, _)| clears(one)) else { return };
    let table = &output.ast.table;
    let message = format!(
        "when Redis is flushed, `on_flush: delete` of `{}` takes rows of the job `{}`, too",
        job.ast.name, other.ast.name
    );
    let diagnostic = Diagnostic::new(Code::W0218, table.span, message, "all rows of this table go");
    let diagnostic = diagnostic.because(others.ast.table.span, format!("`{}` writes to it", other.ast.name));
    diagnostics.report(diagnostic.help("write `on_flush: ignore`, or give each job a table of its own"));
}

/// The columns that an output writes besides its keys.
fn values<'o>(output: &'o Output<'_>) -> impl Iterator<Item = &'o ast::Mapping> {
    output.columns.iter().skip(output.key_columns).map(|column| column.ast)
}

/// Two patterns that differ and have keys in common are seldom meant: `order:*` catches `order:7:line:1` as well.
fn patterns(earlier: &ast::Job, later: &ast::Job, diagnostics: &mut Diagnostics) {
    let (first, second) = (&earlier.source.key_pattern, &later.source.key_pattern);
    let is_same_db = earlier.source.db == later.source.db;
    if !is_same_db || first.value == second.value || !meet(&first.value, &second.value) {
        return;
    }
    let types = (earlier.source.data_type, later.source.data_type);
    if matches!(types, (Some(one), Some(other)) if one != other) {
        return;
    }
    let message = format!("keys of `{}` also reach the job `{}`", second.value, earlier.name);
    let diagnostic = Diagnostic::new(Code::W0217, second.span, message, "has keys in common");
    let diagnostic = diagnostic.because(first.span, "with this pattern");
    let help =
        "if that is not meant, give the keys different beginnings, or narrow one pattern, such as `order:[0-9]*`";
    diagnostics.report(diagnostic.help(help));
}

/// Whether some key matches both patterns; one pattern's fixed text is tried as a key of the other.
fn meet(left: &str, right: &str) -> bool {
    covers(left.as_bytes(), right.as_bytes()) || covers(right.as_bytes(), left.as_bytes())
}

/// Whether `wide` matches what `narrow` looks like, a `*` of the latter taken as a character that only `*` matches.
fn covers(wide: &[u8], narrow: &[u8]) -> bool {
    // Most patterns differ in how they begin. Every pair of jobs asks this.
    let is_other = |(wide, narrow): (&u8, &u8)| wide != narrow || b"*?[\\".contains(wide);
    let first = wide.iter().zip(narrow).find(|pair| is_other(*pair));
    if first.is_some_and(|(wide, narrow)| !b"*?[\\".contains(wide) && !b"*?[\\".contains(narrow)) {
        return false;
    }
    // Only stars are understood; other patterns are left alone.
    if wide.iter().chain(narrow).any(|byte| b"?[\\".contains(byte)) {
        return false;
    }
    let mut parts = wide.split(|byte| *byte == b'*');
    let Some(mut rest) = parts.next().and_then(|first| narrow.strip_prefix(first)) else { return false };
    let mut parts: Vec<&[u8]> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts.into_iter().filter(|part| !part.is_empty()) {
        let Some(at) = rest.windows(part.len()).position(|window| window == part) else { return false };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    rest.ends_with(last)
}
