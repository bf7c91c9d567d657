//! Proves what can be proved of a resolved job: its columns against the table, its keys, the types of its fields.
//! Reports only; what was reported before is not reported again as a consequence.
//!
//! | part | what it proves |
//! |---|---|
//! | this file | columns against their table, keys |
//! | `children` | rows of a list, against their key and against each other |
//! | `redis` | what a flush and an update leave in another Redis |
//! | `shared` | keys that cannot tell records apart |
//! | `steps` | conditions and fields that steps set |
//! | `target` | what the dialect can do |
//! | `between` | jobs against each other |
//! | `foreign_keys` | the order in which rows are written |

mod between;
mod children;
mod foreign_keys;
mod redis;
mod shared;
mod steps;
mod target;

use redis_wb_plan::Type;
use redis_wb_plan::expr::Root;
use redis_wb_plan::plan::Strategy;
use redis_wb_plan::schema::{Table, TableColumn};

use crate::codes::Code;
use crate::resolve::{Bound, Column, Job, Output};
use crate::source::{Files, Span};
use crate::{Diagnostic, Diagnostics, ast, dialect};

/// Checks jobs against each other.
pub fn between(jobs: &[Job<'_>], diagnostics: &mut Diagnostics) {
    between::jobs(jobs, diagnostics);
    foreign_keys::circles(jobs, diagnostics);
}

/// Checks a job.
pub fn job(job: &Job<'_>, files: &Files, diagnostics: &mut Diagnostics) {
    template_matches(job.ast, diagnostics);
    for output in &job.outputs {
        let has_names = target::output(output, files, diagnostics);
        for column in &output.columns {
            type_fits(column, diagnostics);
            written(column, diagnostics);
        }
        let table = output.table.filter(|_| output.ast.complete);
        let lacks = table.map(|table| lacking(output, table)).unwrap_or_default();
        let told_apart = children::told_apart(output, &lacks, diagnostics);
        if let Some(table) = table {
            if told_apart {
                keys_are_unique(output, table, &lacks, diagnostics);
            }
            required_columns(output, table, &lacks, diagnostics);
        } else if output.blind && has_names {
            types_are_known(output, diagnostics);
        }
        keys_stay(job, output, diagnostics);
        children::rows(output, &lacks, diagnostics);
    }
    shared::keys(job, diagnostics);
    foreign_keys::order(job, diagnostics);
    steps::conditions(job, diagnostics);
    steps::fields(job, diagnostics);
    redis::flush_reaches(job, diagnostics);
    redis::names_stay(job, diagnostics);
    limits(job.ast, diagnostics);
}

/// A key of the template must be able to match the pattern: its literal start must agree with the pattern's.
fn template_matches(job: &ast::Job, diagnostics: &mut Diagnostics) {
    let Some(template) = &job.source.key else {
        return;
    };
    let Some(redis_wb_grammar::key::Part::Literal(literal)) = template.parts.first() else {
        return;
    };
    let pattern = &job.source.key_pattern;
    let fixed: String = pattern.value.chars().take_while(|char| !"*?[\\".contains(*char)).collect();
    if literal.starts_with(&fixed) || fixed.starts_with(literal.as_str()) {
        return;
    }
    let message = "no key of this pattern has the shape of the template";
    let diagnostic = Diagnostic::new(Code::W0205, template.node.span, message, format!("begins with `{literal}`"));
    let diagnostic = diagnostic.because(pattern.span, format!("the pattern begins with `{fixed}`"));
    diagnostics.report(diagnostic.help("every record would be rejected: make both begin alike"));
}

/// Whether some value of the one type is also a value of the other.
const fn can_fit(from: Type, to: Type) -> bool {
    use Type::{Bool, Bytes, Date, Decimal, Float, Int, Json, List, Text, Time, Timestamp, TimestampTz, Uuid};
    if matches!(from, Type::Unknown) || matches!(to, Type::Unknown) {
        return true;
    }
    matches!(
        (from, to),
        (Bool | Int | Decimal | Float | Date | Time | Timestamp | TimestampTz | Uuid, Text | Json)
            | (Int | Float | Decimal, Int | Float | Decimal)
            | (Bool, Int | Bool | Decimal)
            | (Int, Bool)
            | (Text, _)
            | (Json, Text | Json | List)
            | (Date | Timestamp | TimestampTz, Date | Timestamp | TimestampTz)
            | (Bytes, Bytes)
            | (Time, Time)
            | (Uuid, Uuid)
    )
}

fn type_fits(column: &Column<'_>, diagnostics: &mut Diagnostics) {
    let Some(target) = column.target else {
        return;
    };
    let kind = target.column_type.kind;
    let Some(bound) = &column.value else { return };
    let Some((declared, span)) = bound.declared else {
        return expression_fits(column, bound, target, diagnostics);
    };
    if can_fit(declared, kind) {
        return;
    }
    let message = format!("a value of type `{declared}` never fits the column `{}`", target.name);
    let label = format!("the column is `{}`", target.type_name);
    let diagnostic = Diagnostic::new(Code::E0301, column.ast.from.span(), message, label);
    let diagnostic = diagnostic.because(span, "the field is declared here");
    diagnostics.report(diagnostic.help(format!("declare the field as `{kind}`, or write it to another column")));
}

fn expression_fits(column: &Column<'_>, bound: &Bound, target: &TableColumn, diagnostics: &mut Diagnostics) {
    let Some(of) = &bound.kind else { return };
    let (from, to) = (of.kind, target.column_type.kind);
    let is_document = matches!(from, Type::List | Type::Object) && matches!(to, Type::Json | Type::Text)
        || from == Type::List && to == Type::List;
    if from == Type::Null || is_document || can_fit(from, to) {
        return;
    }
    let message = format!("an expression of type `{of}` never fits the column `{}`", target.name);
    let label = format!("the column is `{}`", target.type_name);
    let diagnostic = Diagnostic::new(Code::E0308, column.ast.from.span(), message, label);
    let diagnostic = because_set(diagnostic, bound);
    diagnostics.report(diagnostic.help(format!("make it a `{to}`, or write it to another column")));
}

fn written(column: &Column<'_>, diagnostics: &mut Diagnostics) {
    if let Some(target) = column.target
        && target.generated
    {
        let message = format!("the target computes the column `{}`; it cannot be written", target.name);
        let diagnostic = Diagnostic::new(Code::E0405, column.ast.column.span, message, "a generated column");
        diagnostics.report(diagnostic.help("take it out of the job"));
    }
}

/// The key columns as the table has them, where an upsert asks its index for rows by them and it has none. `None` as
/// well where a key column does not exist, which was reported. No other strategy asks the index.
fn not_unique<'a>(output: &Output<'a>, table: &Table) -> Option<Vec<&'a str>> {
    let keys = output.columns.iter().take(output.key_columns);
    let names: Vec<&str> = keys.map(|column| Some(column.target?.name.as_str())).collect::<Option<_>>()?;
    let is_upsert = output.ast.strategy.value == Strategy::Upsert;
    (!names.is_empty() && is_upsert && !table.is_unique(&names)).then_some(names)
}

/// The columns that `keys` lacks for being those of a unique index: those of the index that lacks fewest.
fn lacking<'a>(output: &Output<'a>, table: &'a Table) -> Vec<&'a str> {
    let Some(names) = not_unique(output, table) else { return Vec::new() };
    let is_over = |unique: &&Vec<String>| names.iter().all(|name| unique.iter().any(|column| column == name));
    let lacks = table.unique.iter().filter(is_over).map(|unique| {
        let others = unique.iter().map(String::as_str).filter(|column| !names.contains(column));
        others.collect::<Vec<_>>()
    });
    lacks.min_by_key(Vec::len).unwrap_or_default()
}

fn keys_are_unique(output: &Output<'_>, table: &Table, lacks: &[&str], diagnostics: &mut Diagnostics) {
    let Some(names) = not_unique(output, table) else { return };
    let keys: Vec<&Column<'_>> = output.columns.iter().take(output.key_columns).collect();
    let list = names.join(", ");
    let message = format!("the table `{}` has no unique index over exactly ({list})", table.name);
    let label = "an upsert needs one: without it rows would double";
    let unique: Vec<String> = table.unique.iter().map(|columns| format!("({})", columns.join(", "))).collect();
    let help = if !lacks.is_empty() {
        let items: Vec<String> = lacks.iter().map(|column| item(output, column)).collect();
        format!("write in `keys`, and not in `mapping`, what else tells the rows apart:\n{}", items.join("\n"))
    } else if unique.is_empty() {
        format!("create one{}: `CREATE UNIQUE INDEX {1}_keys ON {1} ({list})`", also_in_ddl(output), table.name)
    } else {
        format!(
            "use the columns of a unique index as `keys`, {}; or create one{}: \
             `CREATE UNIQUE INDEX {2}_keys ON {2} ({list})`",
            unique.join(" or "),
            also_in_ddl(output),
            table.name
        )
    };
    let first = keys.first().map_or(output.ast.keys_span, |column| column.ast.column.span);
    let last = keys.last().map_or(first, |column| column.ast.column.span);
    let span = Span { end: last.end.max(first.end), ..first };
    diagnostics.report(Diagnostic::new(Code::E0403, span, message, label).help(help));
}

/// A column as an item of `keys`: as the job writes it elsewhere, of the element where rows are made of a list.
fn item(output: &Output<'_>, column: &str) -> String {
    let written = output.columns.iter().find(|own| own.target.is_some_and(|target| target.name == column));
    match (written.map(|own| &own.ast.from), &output.foreach) {
        (Some(ast::From::Path(path)), _) if path.text != column => format!("- {column}: {}", path.text),
        (None, Some(foreach))
            if output.columns.iter().take(output.key_columns).all(|own| !own.reads(Root::Element)) =>
        {
            format!("- {column}: {}.{column}", foreach.ast.name.value)
        }
        _ => format!("- {column}"),
    }
}

/// Where a change of the table has to be made, so that it is seen here.
fn also_in_ddl(output: &Output<'_>) -> String {
    output.connection.ddl().map_or_else(String::new, |ddl| format!(" in the target and in `{ddl}`"))
}

fn required_columns(output: &Output<'_>, table: &Table, lacks: &[&str], diagnostics: &mut Diagnostics) {
    let is_written = |name: &str| {
        lacks.contains(&name) || output.columns.iter().any(|column| column.target.is_some_and(|own| own.name == name))
    };
    for column in &table.columns {
        if column.nullable || column.has_default || column.generated || is_written(&column.name) {
            continue;
        }
        let message = format!("the column `{}` takes no null, has no default and is not written", column.name);
        let label = format!("`{}` needs `{}`", table.name, column.name);
        let diagnostic = Diagnostic::new(Code::E0404, output.ast.table.span, message, label);
        diagnostics.report(diagnostic.help(format!(
            "add `- {}` to `mapping`, or give the column a default{}",
            column.name,
            also_in_ddl(output)
        )));
    }
}

/// The most columns that one message names.
const NAMED_MAX: usize = 8;

fn types_are_known(output: &Output<'_>, diagnostics: &mut Diagnostics) {
    let unknown: Vec<&str> = output
        .columns
        .iter()
        .filter(|column| column.kind().is_none())
        .map(|column| column.ast.column.value.as_str())
        .collect();
    if unknown.is_empty() {
        return;
    }
    let more = unknown.len().saturating_sub(NAMED_MAX);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let named: Vec<&str> = unknown.into_iter().take(NAMED_MAX).collect();
    let message = format!("nothing tells the types of {}{more}", named.join(", "));
    let name = &output.ast.connection.value;
    let help = if dialect::of(output.connection.dialect()).reader().is_some() {
        format!(
            "name the table's DDL in config.yaml, `connections.{name}.ddl: schema.sql`, so that the job is proved \
             before it runs; `redis-wb run` asks the database itself"
        )
    } else {
        format!(
            "declare them: under `source.redis.fields`, or at the column, `- {}: {{type: text}}`",
            named.first().unwrap_or(&"name")
        )
    };
    let diagnostic = Diagnostic::new(Code::W0409, output.ast.table.span, message, "the table is not known");
    diagnostics.report(diagnostic.help(help));
}

/// The same with a label on the step that set the field, where one did.
fn because_set(diagnostic: Diagnostic, bound: &Bound) -> Diagnostic {
    match bound.set {
        Some(span) => diagnostic.because(span, "the field is set here"),
        None => diagnostic,
    }
}

/// A key column taken from a field that can change would leave the old row behind.
fn keys_stay(job: &Job<'_>, output: &Output<'_>, diagnostics: &mut Diagnostics) {
    if job.ast.source.key_unreadable {
        return;
    }
    for column in output.deleted_by() {
        // A column that the table does not have was reported: what it should be called may be in the key.
        if output.table.is_some() && column.target.is_none() {
            continue;
        }
        let Some(bound) = column.value.as_ref().filter(|bound| job.reads_content(&bound.expr)) else {
            continue;
        };
        let name = column.ast.from.text();
        let message = format!("the key column `{}` comes from a field that can change", column.ast.column.value);
        let label = "when it changes, the old row stays";
        let fixed = job.ast.source.key_pattern.value.trim_end_matches('*');
        let is_path = matches!(column.ast.from, ast::From::Path(_));
        let field = if is_path { name } else { &column.ast.column.value };
        let help = format!(
            "if the key's name holds it, take it from there: write `key: {fixed}<{field}>` under `source.redis`"
        );
        let diagnostic = Diagnostic::new(Code::W0302, column.ast.from.span(), message, label);
        diagnostics.report(because_set(diagnostic, bound).help(help));
    }
}

/// The most columns of one output.
const COLUMNS_MAX: usize = 1_000;
/// The most steps of one job; each `add_field` of a list is one.
const STEPS_MAX: usize = 1_000;

/// The most lookups of one job: each is a round trip for every batch.
const LOOKUPS_MAX: usize = 8;

fn limits(job: &ast::Job, diagnostics: &mut Diagnostics) {
    let mut refuse = |what: &str, count: usize, max: usize, span: Span| {
        if count > max {
            let message = format!("{count} {what}; the most is {max}");
            let help = format!("split the job: two jobs may have the same key pattern and {what} of their own");
            diagnostics.report(Diagnostic::new(Code::E0017, span, message, "too many").help(help));
        }
    };
    for output in &job.outputs {
        refuse("columns", output.keys.len() + output.mapping.len(), COLUMNS_MAX, output.table.span);
    }
    refuse("steps", job.transform.len(), STEPS_MAX, job.source.key_pattern.span);
    let lookups: Vec<&ast::Lookup> = job.transform.iter().filter_map(ast::Step::lookup).collect();
    let first_beyond = lookups.get(LOOKUPS_MAX).map_or(job.source.key_pattern.span, |lookup| lookup.command.span);
    refuse("lookups", lookups.len(), LOOKUPS_MAX, first_beyond);
}
