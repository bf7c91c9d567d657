//! A plan into the `CREATE TABLE` of its tables: what the outputs write, in types of the target.
//!
//! What a job does not say it cannot know: lengths, foreign keys, further columns. What it gives is a table that takes
//! every row of the job, to be looked at before it is used.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use redis_wb_plan::plan::{Column, Job, Output, Plan};
use redis_wb_plan::{ColumnType, Strategy, Type};
use serde::Serialize;
use sqlparser::ast::{BinaryOperator, Expr, Value};
use sqlparser::parser::Parser;

use crate::dialect::{self, Dialect, Kind};
use crate::{render, templates};

/// The connection, schema and name of a table.
type TableName<'p> = (&'p str, Option<&'p str>, &'p str);

/// The `CREATE TABLE` statements of everything that a plan writes, by connection and table.
///
/// # Errors
/// A bug, in words for its report.
pub fn tables(plan: &Plan) -> Result<String, String> {
    let mut tables: BTreeMap<TableName<'_>, Vec<(&Job, &Output)>> = BTreeMap::new();
    for (job, output) in plan.jobs.iter().flat_map(|job| job.outputs.iter().map(move |output| (job, output))) {
        let name = (output.connection.as_str(), output.schema.as_deref(), output.table.as_str());
        tables.entry(name).or_default().push((job, output));
    }
    let mut text = String::new();
    for ((connection, schema, table), outputs) in tables {
        let target =
            plan.connections.get(connection).ok_or_else(|| format!("there is no connection `{connection}`"))?;
        let dialect = dialect::of(target.dialect);
        let jobs: Vec<&str> = outputs.iter().map(|(job, _)| job.name.as_str()).collect();
        let outputs: Vec<&Output> = outputs.iter().map(|(_, output)| *output).collect();
        let (title, jobs) = (dialect.id().title(), jobs.join(", "));
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "-- on connection {connection}, {title}: written by {jobs}");
        text.push_str(&one(schema, table, &outputs, dialect)?);
        text.push_str(";\n\n");
    }
    Ok(text)
}

#[derive(Serialize)]
struct NewColumn {
    name: String,
    #[serde(rename = "type")]
    type_name: String,
    required: bool,
}

#[derive(Serialize)]
struct Context {
    table: String,
    columns: Vec<NewColumn>,
    keys: Vec<NewColumn>,
    /// Whether the key columns are the primary key.
    keyed: bool,
    /// Otherwise the name of an index over them, where one is of use.
    index: Option<String>,
}

fn one(schema: Option<&str>, table: &str, outputs: &[&Output], dialect: Dialect) -> Result<String, String> {
    let bug = |what: &str| format!("CREATE TABLE of `{table}` for {}: {what}", dialect.id().name());
    let all = columns(outputs);
    // Where outputs differ, one that needs a key has it.
    let first = outputs.iter().find(|output| output.strategy.compacts()).or(outputs.first());
    let first = first.ok_or_else(|| bug("no output writes it"))?;
    let context = context(schema, table, first, &all, dialect).ok_or_else(|| bug("a name cannot be quoted"))?;
    let statement = templates::render(dialect, "table", context).map_err(|error| bug(&error))?;
    if let Some(parser) = dialect.parser() {
        Parser::parse_sql(parser, &statement).map_err(|error| bug(&format!("{error} in `{statement}`")))?;
    }
    let is_unknown = |column: &&Column| column.column_type.kind == Type::Unknown;
    let unknown: Vec<&str> = all.iter().filter(is_unknown).map(|column| column.name.as_str()).collect();
    if unknown.is_empty() {
        return Ok(statement);
    }
    Ok(format!("-- nothing tells the type of {}: taken for text\n{statement}", unknown.join(", ")))
}

/// What the template sees. `None` where a name cannot be quoted.
fn context(schema: Option<&str>, table: &str, output: &Output, all: &[Column], dialect: Dialect) -> Option<Context> {
    let keyed = output.strategy.compacts();
    let indexed = output.strategy == Strategy::Type2;
    let new = |column: &Column| {
        let is_key = output.keys().iter().any(|key| key.name == column.name);
        Some(NewColumn {
            name: render::quote(&column.name, Kind::Column, dialect)?,
            type_name: dialect.type_name(&column.column_type, is_key && (keyed || indexed)),
            required: !column.nullable,
        })
    };
    let mut columns = all.iter().map(new).collect::<Option<Vec<_>>>()?;
    columns.extend(version_columns(output, all, dialect)?);
    Some(Context {
        table: render::table_name(schema, table, dialect)?,
        columns,
        keys: output.keys().iter().map(new).collect::<Option<_>>()?,
        keyed,
        index: indexed.then(|| index_name(table, dialect)),
    })
}

/// The columns of all outputs, each once, as the first that knows its type has it. One that some output does not write
/// takes null.
fn columns(outputs: &[&Output]) -> Vec<Column> {
    let mut all: Vec<Column> = Vec::new();
    for column in outputs.iter().flat_map(|output| &output.columns) {
        match all.iter_mut().find(|known| known.name == column.name) {
            Some(known) if known.column_type.kind == Type::Unknown => *known = column.clone(),
            Some(_) => {}
            None => all.push(column.clone()),
        }
    }
    for column in &mut all {
        let written = |output: &&Output| output.columns.iter().any(|own| own.name == column.name);
        column.nullable |= !outputs.iter().all(written);
    }
    all
}

/// What the versions of a row need beside the columns that the job maps: those that close a row, and a default that
/// makes a new row active.
fn version_columns(output: &Output, known: &[Column], dialect: Dialect) -> Option<Vec<NewColumn>> {
    let Some(versions) = &output.versions else {
        return Some(Vec::new());
    };
    let active = defaults(&versions.active, dialect);
    let mut new: Vec<(String, String)> = Vec::new();
    let closing = versions.closing.iter().map(|closing| (closing.column.clone(), closing.value.clone(), None));
    let by_default = active.iter().map(|(column, value)| (column.clone(), value.clone(), Some(value.clone())));
    // The condition first: its columns may be closed by other values, but must begin with this one.
    for (column, value, default) in by_default.chain(closing) {
        if known.iter().any(|own| own.name == column) || new.iter().any(|(name, _)| *name == column) {
            continue;
        }
        let type_name = dialect.type_name(&type_of(&value, dialect), false);
        new.push((column, default.map_or(type_name.clone(), |default| format!("{type_name} DEFAULT {default}"))));
    }
    new.into_iter()
        .map(|(name, type_name)| {
            Some(NewColumn { name: render::quote(&name, Kind::Column, dialect)?, type_name, required: false })
        })
        .collect()
}

fn parse(text: &str, dialect: Dialect) -> Option<Expr> {
    Parser::new(dialect.reader()?).try_with_sql(text).ok()?.parse_expr().ok()
}

/// The columns that must have a value for a condition to hold, with that value, as far as it says so: those of
/// `column = literal`, joined by AND.
fn defaults(condition: &str, dialect: Dialect) -> Vec<(String, String)> {
    let mut open: Vec<Expr> = parse(condition, dialect).into_iter().collect();
    let mut found = Vec::new();
    while let Some(expr) = open.pop() {
        match expr {
            Expr::Nested(inner) => open.push(*inner),
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => open.extend([*right, *left]),
            Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
                if let (Expr::Identifier(column), Expr::Value(value)) = (*left, *right) {
                    let name = dialect.named(&column.value, column.quote_style.is_some());
                    found.push((name, value.to_string()));
                }
            }
            _ => {}
        }
    }
    found
}

/// The length of a column that texts of the job are put into.
const LITERAL_CHARS: u32 = 40;

/// The type of an expression of the target's SQL, as far as its first word tells.
fn type_of(text: &str, dialect: Dialect) -> ColumnType {
    let kind = match parse(text, dialect) {
        Some(Expr::Value(value)) => match value.value {
            Value::Boolean(_) => Type::Bool,
            Value::Number(..) => Type::Int,
            // Of a bounded length, since MySQL gives longer texts no default.
            _ => return ColumnType { length_max: Some(LITERAL_CHARS), ..Type::Text.into() },
        },
        Some(Expr::Function(_) | Expr::Identifier(_)) => {
            let word: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            match word.to_ascii_lowercase().as_str() {
                "current_date" | "curdate" => Type::Date,
                "current_timestamp" | "now" | "localtimestamp" | "utc_timestamp" | "sysdate" | "systimestamp"
                | "getdate" | "getutcdate" | "sysdatetime" | "sysutcdatetime" => Type::Timestamp,
                _ => Type::Unknown,
            }
        }
        _ => Type::Unknown,
    };
    kind.into()
}

/// A name for the index over the keys, within the dialect's length.
fn index_name(table: &str, dialect: Dialect) -> String {
    let mut name = format!("{table}_keys");
    while dialect::fault(dialect, &name, Kind::Table).is_some() && name.pop().is_some() {}
    dialect.quote(&name)
}

#[cfg(test)]
mod tests;
