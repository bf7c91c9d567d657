//! A plan for people: each statement, its parameters, and where each value comes from.

use std::fmt::Write as _;

use redis_wb_plan::expr::{Expr, Root};
use redis_wb_plan::plan::{
    Column, Condition, Foreach, Job, Of, OnGone, OnMissing, OnUnmatched, OnUpdate, OnVanished, Output, Plan,
    RedisContent, RedisFields, RedisWrite, Shape, Source, Statement, Step,
};

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
    let _ = writeln!(text, "-- job {}: keys {}", job.name, job.source.key_pattern);
    describe_source(text, &job.source);
    for step in &job.steps {
        describe_step(text, step);
    }
    for output in &job.outputs {
        let _ = writeln!(text, "\n-- to {} on connection {}", table(output), output.connection);
        describe_output(text, output);
        describe_statements(text, output);
    }
    for write in &job.redis {
        describe_redis(text, write);
    }
    text.push('\n');
}

fn describe_statements(text: &mut String, output: &Output) {
    for (name, statement) in output.steps() {
        describe_statement(text, name, statement, output);
    }
    let gone = output.delete.iter().map(|delete| ("delete of a key that is gone", delete));
    let children = output.children.iter().flat_map(|children| {
        let others = children.others.iter().map(|others| ("delete of children that are not kept", others));
        std::iter::once(("delete of all children", &children.all)).chain(others)
    });
    let clear = output.clear.iter().map(|clear| ("when the database is flushed", clear));
    for (name, statement) in gone.chain(children).chain(clear) {
        describe_statement(text, name, statement, output);
    }
}

fn describe_source(text: &mut String, source: &Source) {
    if let Some(data_type) = source.data_type {
        let _ = writeln!(text, "--   of type {}", data_type.name());
    }
    if !source.exclude_commands.is_empty() {
        let _ = writeln!(text, "--   changes by {} are ignored", source.exclude_commands.join(", "));
    }
    if source.before_images {
        let _ = writeln!(text, "--   deletes carry the content from before: key columns come from it");
    }
    if let Some(on_flush) = source.on_flush {
        let rows = if on_flush == OnGone::Delete { "are deleted" } else { "stay" };
        let _ = writeln!(text, "--   when the database is flushed, the rows {rows}");
    }
}

fn describe_step(text: &mut String, step: &Step) {
    match step {
        Step::Filter(filter) => {
            let rows = match filter.on_unmatched {
                OnUnmatched::Keep => "leave their rows as they are",
                OnUnmatched::Delete => "lose their rows",
            };
            let _ = writeln!(text, "-- only where {}; others {rows}", condition(&filter.condition));
            describe_reads(text, &filter.condition);
        }
        Step::Lookup(lookup) => {
            let args: Vec<String> = lookup.args.iter().map(|arg| value(arg, None)).collect();
            let (command, connection, field) = (&lookup.command, &lookup.connection, &lookup.field);
            let _ = writeln!(text, "-- look up `{field}`: {command} {} on connection {connection}", args.join(", "));
        }
    }
}

fn condition(condition: &Condition) -> String {
    let deletes = if condition.holds_deletes { "" } else { " (deletes always pass)" };
    format!("`{}`{deletes}", one_line(&condition.origin))
}

/// What a condition depends on: the names in its text may be of fields that steps set.
fn describe_reads(text: &mut String, condition: &Condition) {
    let mut parts = Vec::new();
    fields_of(&condition.expr, &mut parts);
    if !parts.is_empty() {
        let _ = writeln!(text, "--   which depends on {}", parts.join(", "));
    }
}

fn fields_of(expr: &Expr, parts: &mut Vec<String>) {
    if matches!(expr, Expr::Path { .. }) {
        let part = value(expr, None);
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    expr.each_child(&mut |child, _| fields_of(child, parts));
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn table(output: &Output) -> String {
    output.schema.as_ref().map_or_else(|| output.table.clone(), |schema| format!("{schema}.{}", output.table))
}

fn describe_output(text: &mut String, output: &Output) {
    if !output.strategy.compacts() {
        let _ = writeln!(text, "--   {}: every change counts, in its order", output.strategy.word());
    }
    if let Some(when) = &output.when {
        let _ = writeln!(text, "--   only where {}", condition(when));
        describe_reads(text, when);
    }
    if let Some(foreach) = &output.foreach {
        let _ = writeln!(text, "--   one row for each `{}` of {}", foreach.name, value(&foreach.list, None));
        let _ = writeln!(text, "--   {}", vanished(output, foreach));
    }
    if let Some(opcode) = &output.opcode {
        let _ = writeln!(text, "--   {} says whether a row is written or deleted", value(opcode, None));
    }
    match output.on_missing {
        OnMissing::Null => {}
        OnMissing::Keep => {
            let _ = writeln!(text, "--   a column whose value is missing keeps what it had");
        }
        OnMissing::Reject => {
            let _ = writeln!(text, "--   a record in which a value is missing is rejected");
        }
    }
}

fn vanished(output: &Output, foreach: &Foreach) -> String {
    let parent: Vec<&str> = foreach
        .parent_columns
        .iter()
        .filter_map(|at| output.columns.get(*at))
        .map(|column| column.name.as_str())
        .collect();
    match foreach.on_vanished {
        OnVanished::Delete if !parent.is_empty() => {
            format!("rows of the same {} whose element vanished are deleted", parent.join(", "))
        }
        _ => "rows whose element vanished stay".to_owned(),
    }
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

fn describe_redis(text: &mut String, write: &RedisWrite) {
    let kind = write.content.name();
    let _ = writeln!(text, "\n-- to Redis on connection {}: a {kind} at {}", write.connection, value(&write.key, None));
    if let Some(when) = &write.when {
        let _ = writeln!(text, "--   only where {}", condition(when));
        describe_reads(text, when);
    }
    match &write.content {
        RedisContent::Hash(fields) | RedisContent::Json(fields) | RedisContent::Stream(fields) => {
            describe_fields(text, fields);
        }
        RedisContent::Set { member } => {
            let _ = writeln!(text, "--   member: {}", value(member, None));
        }
        RedisContent::SortedSet { member, score } => {
            let _ = writeln!(text, "--   member: {}, score: {}", value(member, None), value(score, None));
        }
        RedisContent::String { value: content } => {
            let _ = writeln!(text, "--   value: {}", value(content, None));
        }
        RedisContent::Nested { path, member, fields } => {
            let _ = writeln!(text, "--   in {path}, under the name {}", value(member, None));
            describe_fields(text, fields);
        }
    }
    if write.on_update == OnUpdate::Merge {
        let _ = writeln!(text, "--   what is there and not written stays");
    }
    if write.expire_s > 0 {
        let _ = writeln!(text, "--   expires after {} s", write.expire_s);
    }
}

fn describe_fields(text: &mut String, fields: &RedisFields) {
    match fields {
        RedisFields::Whole(_) => {
            let _ = writeln!(text, "--   the whole record");
        }
        RedisFields::Each(fields) => {
            for field in fields {
                let _ = writeln!(text, "--   {}: {}", field.path.join("."), value(&field.expr, Some(&field.origin)));
            }
        }
    }
}

/// Where the value of a column comes from.
fn provenance(column: &Column) -> String {
    value(&column.expr, Some(&column.origin))
}

/// Where a value comes from: a field by its name, anything else by the text of the job where that is at hand.
fn value(expr: &Expr, origin: Option<&str>) -> String {
    let mut expr = expr;
    while let Expr::Convert { from, .. } = expr {
        expr = from;
    }
    let names = |names: &[String]| names.join(".");
    match (expr, origin) {
        (Expr::Path { root, names: path }, _) if path.is_empty() => whole(*root),
        (Expr::Path { root: Root::Key, names: path }, _) => format!("the key's `{}`", names(path)),
        (Expr::Path { root: Root::Before, names: path }, _) => format!("the field `{}` before the change", names(path)),
        (Expr::Path { root: Root::Element, names: path }, _) => format!("the element's `{}`", names(path)),
        (Expr::Path { root: Root::Lookup(at), names: path }, _) => {
            format!("`{}` of the reply to lookup {}", names(path), at + 1)
        }
        (Expr::Path { names: path, .. }, _) => format!("the field `{}`", names(path)),
        (Expr::Literal(redis_wb_plan::expr::Literal(value)), None) => {
            format!("`{}`", redis_wb_plan::json::write(value, 1_000).unwrap_or_default())
        }
        (_, Some(origin)) => format!("`{}`", one_line(origin)),
        (Expr::Flatten(of), None) => value(of, None),
        (expr, None) => composed(expr),
    }
}

fn whole(root: Root) -> String {
    match root {
        Root::Opcode => "the opcode".to_owned(),
        Root::Element => "the element".to_owned(),
        Root::Key => "the key".to_owned(),
        Root::Lookup(at) => format!("the reply to lookup {}", at + 1),
        Root::Value | Root::After => "the record".to_owned(),
        Root::Before => "the record before the change".to_owned(),
    }
}

/// What an expression is made of, where the job has no text of it.
fn composed(expr: &Expr) -> String {
    let mut parts: Vec<String> = Vec::new();
    parts_of(expr, &mut parts);
    if parts.is_empty() { "an expression".to_owned() } else { format!("an expression of {}", parts.join(", ")) }
}

fn parts_of(expr: &Expr, parts: &mut Vec<String>) {
    if matches!(expr, Expr::Path { .. } | Expr::Literal(_)) {
        let part = value(expr, None);
        if !parts.contains(&part) {
            parts.push(part);
        }
        return;
    }
    expr.each_child(&mut |child, _| parts_of(child, parts));
}
