//! A plan for people: each statement, its parameters, and where each value comes from.

use std::fmt::Write as _;

use redis_wb_plan::expr::{Expr, Root};
use redis_wb_plan::plan::{Column, Job, Of, Output, Plan, Shape, Statement};

/// The plan as commented SQL.
#[must_use]
pub fn sql(plan: &Plan) -> String {
    let mut text = String::new();
    for job in &plan.jobs {
        describe_job(&mut text, job);
    }
    text
}

// Writing to a `String` cannot fail, so the results of `writeln!` below are not looked at.
fn describe_job(text: &mut String, job: &Job) {
    let source = &job.source;
    let _ = writeln!(text, "-- job {}: keys {}", job.name, source.key_pattern);
    if !source.exclude_commands.is_empty() {
        let _ = writeln!(text, "--   changes by {} are ignored", source.exclude_commands.join(", "));
    }
    if source.before_images {
        let _ = writeln!(text, "--   deletes carry the content from before: key columns come from it");
    }
    for output in &job.outputs {
        let _ = writeln!(text, "\n-- to {} on connection {}", table(output), output.connection);
        if !output.strategy.compacts() {
            let _ = writeln!(text, "--   {}: every change counts, in its order", output.strategy.word());
        }
        for (name, statement) in output.steps() {
            describe_statement(text, name, statement, output);
        }
        let gone = output.delete.iter().map(|delete| ("delete of a key that is gone", delete));
        let children = output.children.iter().flat_map(|children| {
            let others = children.others.iter().map(|others| ("delete of children that are not kept", others));
            std::iter::once(("delete of all children", &children.all)).chain(others)
        });
        for (name, statement) in gone.chain(children) {
            describe_statement(text, name, statement, output);
        }
    }
    text.push('\n');
}

fn table(output: &Output) -> String {
    output.schema.as_ref().map_or_else(|| output.table.clone(), |schema| format!("{schema}.{}", output.table))
}

fn describe_statement(text: &mut String, name: &str, statement: &Statement, output: &Output) {
    let _ = writeln!(text, "\n-- {name}");
    for (at, param) in statement.params.iter().enumerate() {
        if let Some(column) = output.columns.get(param.column) {
            let null = if column.nullable { "" } else { ", never null" };
            let of = match param.of {
                Of::Row => "",
                Of::Parent => "of the parent, ",
            };
            let _ = writeln!(
                text,
                "--   {}: {of}{} {}{null}, from {}",
                at + 1,
                column.name,
                column.column_type,
                provenance(column)
            );
        }
    }
    if let Shape::Rows(repeat) = &statement.shape {
        let _ = writeln!(text, "--   shown for one row, executed with up to {}", repeat.rows_max);
    }
    let _ = writeln!(text, "{};", statement.sql.trim_end_matches(';'));
}

/// Where the value of a column comes from.
fn provenance(column: &Column) -> String {
    let mut expr = &column.expr;
    while let Expr::Convert { from, .. } = expr {
        expr = from;
    }
    match expr {
        Expr::Path { root: Root::Key, names } => format!("the key's `{}`", names.join(".")),
        Expr::Path { root: Root::Opcode, .. } => "the opcode".to_owned(),
        Expr::Path { root: Root::Before, names } => format!("the field `{}` before the change", names.join(".")),
        Expr::Path { names, .. } => format!("the field `{}`", names.join(".")),
        _ => format!("`{}`", column.origin),
    }
}
