//! The columns of an output into its prepared statements, by the templates of the dialect.

use minijinja::Environment;
use minijinja::value::{Serde, Value};
use redis_wb_plan::plan::{Column, OnMissing, Param, Statement};
use serde::Serialize;
use sqlparser::parser::Parser;

use crate::codes::Code;
use crate::dialect::Dialect;
use crate::resolve::Output;
use crate::source::Spanned;
use crate::{Diagnostic, Diagnostics};

/// The statements of an output.
pub struct Statements {
    /// Writes rows, whether or not they exist.
    pub upsert: Statement,
    /// Deletes rows.
    pub delete: Statement,
}

#[derive(Serialize)]
struct TemplateColumn {
    name: String,
    parameter: String,
    cast: Option<String>,
}

/// Why no statement came out: a name that cannot be quoted was reported; anything else is a bug of the compiler.
pub enum Failure {
    /// The user's mistake, already reported.
    Reported,
    /// A bug, in words for its report.
    Bug(String),
}

/// What a template sees.
#[derive(Serialize)]
struct Names<'n> {
    table: &'n str,
    columns: &'n [TemplateColumn],
    keys: &'n [TemplateColumn],
    values: &'n [TemplateColumn],
    /// Whether a value that is null keeps what is there.
    keep: bool,
}

/// Renders the statements of an output and parses each again in its dialect.
///
/// # Errors
/// [`Failure`]: a name that the dialect cannot have, or a bug.
pub fn statements(
    output: &Output<'_>,
    columns: &[Column],
    dialect: Dialect,
    diagnostics: &mut Diagnostics,
) -> Result<Statements, Failure> {
    let table = table_name(output, dialect, diagnostics);
    let named: Vec<Option<TemplateColumn>> = output
        .columns
        .iter()
        .zip(columns)
        .enumerate()
        .map(|(at, (resolved, column))| {
            let name = quote(&resolved.ast.column, dialect, diagnostics)?;
            let parameter = dialect.parameter(at + 1, &column.column_type);
            let type_name = resolved.target.map(|target| target.type_name.as_str());
            Some(TemplateColumn { name, parameter, cast: dialect.cast(&column.column_type, type_name) })
        })
        .collect();
    let named: Option<Vec<TemplateColumn>> = named.into_iter().collect();
    let (Some(table), Some(named)) = (table, named) else {
        return Err(Failure::Reported);
    };
    let statement = |name: &str, params: usize| {
        let (keys, values) = named.split_at_checked(output.key_columns).unwrap_or((&named, &[]));
        let keep = output.ast.on_missing == OnMissing::Keep;
        let names = Names { table: &table, columns: &named, keys, values, keep };
        let sql = render(name, names, dialect).map_err(Failure::Bug)?;
        let params = (0..params).map(|column| Param { column }).collect();
        Ok(Statement { sql, shape: dialect.shape(), params })
    };
    Ok(Statements { upsert: statement("upsert", named.len())?, delete: statement("delete", output.key_columns)? })
}

fn table_name(output: &Output<'_>, dialect: Dialect, diagnostics: &mut Diagnostics) -> Option<String> {
    let table = quote(&output.ast.table, dialect, diagnostics)?;
    match &output.ast.schema {
        Some(schema) => Some(format!("{}.{table}", quote(schema, dialect, diagnostics)?)),
        None => Some(table),
    }
}

fn quote(name: &Spanned<String>, dialect: Dialect, diagnostics: &mut Diagnostics) -> Option<String> {
    let quoted = dialect.quote(&name.value);
    if quoted.is_none() {
        let message = format!("{} can have no name like this", dialect.id().name());
        let diagnostic = Diagnostic::new(Code::E0408, name.span, message, "cannot be quoted");
        diagnostics.report(diagnostic.help("a name needs at least one character and no NUL"));
    }
    quoted
}

fn render(statement: &str, names: Names<'_>, dialect: Dialect) -> Result<String, String> {
    let bug = |what: String| format!("the {statement} statement of {}: {what}", dialect.id().name());
    let template = dialect.template(statement).ok_or_else(|| bug("there is no template".to_owned()))?;
    let sql = Environment::new()
        .render_str(template, Value::from(Serde(names)))
        .map_err(|error| bug(error.to_string()))?;
    match Parser::parse_sql(dialect.parser(), &sql) {
        Ok(parsed) if parsed.len() == 1 => Ok(sql),
        Ok(parsed) => Err(bug(format!("{} statements in `{sql}`", parsed.len()))),
        Err(error) => Err(bug(format!("`{sql}` does not parse: {error}"))),
    }
}
