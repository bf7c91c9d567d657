//! Foreign keys between the tables that jobs write: whether there is an order in which their rows can be written.

use redis_wb_plan::schema::Table;

use crate::codes::Code;
use crate::resolve::{Job, Output};
use crate::{Diagnostic, Diagnostics};

/// Checks that a job writes parents before their children.
pub(super) fn order(job: &Job<'_>, diagnostics: &mut Diagnostics) {
    for (at, child) in job.outputs.iter().enumerate() {
        let Some(table) = child.table else { continue };
        let mut earlier = job.outputs.iter().take(at);
        let is_written = earlier.any(|output| output.table.is_some_and(|own| refers(table, own)));
        let mut later = job.outputs.iter().skip(at + 1).filter(|output| same_connection(child, output));
        // Where the parent refers back, no order helps.
        let parent = later.find(|output| output.table.is_some_and(|own| refers(table, own) && !refers(own, table)));
        if let Some(parent) = parent.filter(|_| !is_written) {
            let (child_name, parent_name) = (&child.ast.table, &parent.ast.table);
            let message = format!("rows of `{}` are written before those they refer to", child_name.value);
            let label = format!("has a foreign key to `{}`", parent_name.value);
            let diagnostic = Diagnostic::new(Code::W0421, child_name.span, message, label);
            let diagnostic = diagnostic.because(parent_name.span, "written only here");
            diagnostics.report(diagnostic.help("outputs are written in their order: put the parent's output first"));
        }
    }
}

/// Checks that the foreign keys of the tables that jobs write do not go round in a circle.
pub(super) fn circles(jobs: &[Job<'_>], diagnostics: &mut Diagnostics) {
    let outputs: Vec<&Output<'_>> = jobs.iter().flat_map(|job| &job.outputs).collect();
    let mut told: Vec<&str> = Vec::new();
    for output in &outputs {
        let is_open = |table: &&Table| !table.references.is_empty() && !told.contains(&table.name.as_str());
        let Some(table) = output.table.filter(is_open) else { continue };
        let Some(way) = way_back(table, output, &outputs) else { continue };
        let names: Vec<String> = way.iter().map(|table| format!("`{}`", table.name)).collect();
        told.extend(way.iter().map(|table| table.name.as_str()));
        let message = format!("the foreign keys of {} go round in a circle", names.join(" and "));
        let diagnostic =
            Diagnostic::new(Code::W0420, output.ast.table.span, message, "no order of writing suits them all");
        let help = "have one of them checked at the end of a transaction: `DEFERRABLE INITIALLY DEFERRED`";
        diagnostics.report(diagnostic.help(help));
    }
}

/// The tables on the way from a table by its foreign keys back to itself, among those that are written.
fn way_back<'a>(from: &'a Table, output: &Output<'a>, outputs: &[&Output<'a>]) -> Option<Vec<&'a Table>> {
    let mut ways: Vec<Vec<&Table>> = vec![vec![from]];
    let mut seen: Vec<&Table> = vec![from];
    while let Some(way) = ways.pop() {
        let last = *way.last()?;
        if way.len() > 1 && refers(last, from) {
            return Some(way);
        }
        let written = outputs.iter().filter(|other| same_connection(output, other)).filter_map(|other| other.table);
        for next in written.filter(|next| refers(last, next)) {
            if !seen.contains(&next) {
                seen.push(next);
                ways.push(way.iter().copied().chain([next]).collect());
            }
        }
    }
    None
}

fn same_connection(left: &Output<'_>, right: &Output<'_>) -> bool {
    left.ast.connection.value == right.ast.connection.value
}

fn refers(child: &Table, parent: &Table) -> bool {
    child.references.iter().any(|(schema, name)| *schema == parent.schema && *name == parent.name)
}
