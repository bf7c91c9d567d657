//! A plan for people: each statement, its parameters, and where each value comes from.

use std::fmt::Write as _;

use redis_wb_plan::expr::{Expr, Root};
use redis_wb_plan::plan::{Column, Job, Output, Plan, Statement};

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
        describe_statement(text, "upsert", &output.upsert, output);
        describe_statement(text, "delete", &output.delete, output);
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
            let _ = writeln!(
                text,
                "--   {}: {} {}{null}, from {}",
                at + 1,
                column.name,
                column.column_type,
                provenance(column)
            );
        }
    }
    let _ = writeln!(text, "{};", statement.sql);
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
