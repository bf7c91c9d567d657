//! What the steps of a job come to: conditions that never change, rows that a filter leaves behind, fields for nothing.

use redis_wb_plan::{Expr, ExprType, Type};

use crate::codes::Code;
use crate::resolve::{Job, Step};
use crate::source::Span;
use crate::suggest::nearest;
use crate::{Diagnostic, Diagnostics, ast};

/// Checks the filters of a job and the `when` of its outputs.
pub(super) fn conditions(job: &Job<'_>, diagnostics: &mut Diagnostics) {
    for step in &job.steps {
        let Step::Filter { ast, expr, kind, on_unmatched } = step else { continue };
        if !is_constant(expr, kind, ast.span, "filter", diagnostics) && on_unmatched.is_none() {
            rows_stay(job, ast.span, expr, diagnostics);
        }
    }
    let tables = job.outputs.iter().map(|output| (&output.ast.when, &output.when));
    let redis = job.redis.iter().map(|write| (&write.ast.when, &write.when));
    for (ast, compiled) in tables.chain(redis) {
        if let (Some(ast), Some(compiled)) = (ast, compiled) {
            is_constant(&compiled.expr, &compiled.kind, ast.span, "condition", diagnostics);
        }
    }
}

fn is_constant(expr: &Expr, kind: &ExprType, span: Span, what: &str, diagnostics: &mut Diagnostics) -> bool {
    let holds = match (expr.as_literal(), kind.kind) {
        (Some(value), _) => redis_wb_plan::compare::passes(value),
        (None, Type::Null) => false,
        _ => return false,
    };
    let outcome = if holds { "lets every record pass" } else { "drops every record" };
    let diagnostic = Diagnostic::new(Code::E0321, span, format!("this {what} {outcome}"), "the same for every record");
    diagnostics.report(diagnostic.help(
        "name a field of the record in it; in JMESPath a number is written `10` in backticks, a text 'in quotes'",
    ));
    true
}

/// A record that no longer passes leaves its rows as they were.
fn rows_stay(job: &Job<'_>, span: Span, expr: &Expr, diagnostics: &mut Diagnostics) {
    if !job.reads_content(expr) {
        return;
    }
    let message = "a record that stops passing this filter leaves its rows as they were";
    let diagnostic = Diagnostic::new(Code::W0320, span, message, "reads fields that can change");
    let help = "say beside `expression` what happens to them: `on_unmatched: delete` takes them away, `on_unmatched: keep` \
         leaves them, as in RDI";
    diagnostics.report(diagnostic.help(help));
}

/// Warns of fields that steps set and nothing reads.
pub(super) fn fields(job: &Job<'_>, diagnostics: &mut Diagnostics) {
    // A mistake in what reads the field may be all that is wrong.
    if !job.ast.complete || diagnostics.has_errors() {
        return;
    }
    for step in job.unused.iter().filter_map(|at| job.ast.transform.get(*at)) {
        let (field, from) = match step {
            ast::Step::Add { field, .. } | ast::Step::Lookup(ast::Lookup { field, .. }) => (field, None),
            ast::Step::Rename { from, to } => (to, Some(from)),
            _ => continue,
        };
        let message = format!("nothing reads the field `{}`", field.text);
        let read = job.captured.iter().map(String::as_str);
        // What an output reads and nothing sets may be this field, written in another way.
        let near = read.filter(|name| alike(name, &field.text)).find(|name| from.is_none_or(|from| from.text != *name));
        let help = match near {
            Some(near) => {
                format!("an output reads `{near}`, which nothing sets: write `{near}` here, or `{}` there", field.text)
            }
            None => format!("write it to a column, `- {}` in `mapping`, or take the step out", field.text),
        };
        diagnostics.report(Diagnostic::new(Code::W0215, field.span, message, "set for nothing").help(help));
    }
}

/// Whether two names are the same but for case, separators or a slip.
fn alike(left: &str, right: &str) -> bool {
    let plain = |name: &str| name.chars().filter(|char| char.is_alphanumeric()).collect::<String>().to_lowercase();
    plain(left) == plain(right) || nearest(left, [right]).is_some()
}
