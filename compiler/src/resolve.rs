//! Binds names: outputs to connections and tables, paths to the key or the value of the record.

mod record;

use redis_wb_plan::Type;
use redis_wb_plan::expr::Root;
use redis_wb_plan::schema::{Schema, Table, TableColumn};

use crate::ast;
use crate::codes::Code;
use crate::expr::{self, Compiled};
use crate::source::{Files, Span, Spanned};
use crate::suggest::did_you_mean;
use crate::{Diagnostic, Diagnostics};

/// A job whose names are bound.
#[derive(Debug)]
pub struct Job<'a> {
    /// The job as written.
    pub ast: &'a ast::Job,
    /// Its outputs, those whose connection is known.
    pub outputs: Vec<Output<'a>>,
}

/// An output whose names are bound.
#[derive(Debug)]
pub struct Output<'a> {
    /// The output as written.
    pub ast: &'a ast::Relational,
    /// Its connection.
    pub connection: &'a ast::Connection,
    /// Its table, where the schema is known and has it.
    pub table: Option<&'a Table>,
    /// Whether nothing at all is known of the connection's tables.
    pub blind: bool,
    /// Its columns, key columns first, each once.
    pub columns: Vec<Column<'a>>,
    /// How many of the columns are key columns.
    pub key_columns: usize,
}

/// A column whose names are bound.
#[derive(Debug)]
pub struct Column<'a> {
    /// The column as written.
    pub ast: &'a ast::Mapping,
    /// The column of the table, where the table is known and has it.
    pub target: Option<&'a TableColumn>,
    /// What gives its value.
    pub value: ColumnValue<'a>,
}

/// What gives the value of a column.
#[derive(Debug)]
pub enum ColumnValue<'a> {
    /// A field.
    Path {
        /// Where its path begins.
        root: Root,
        /// The names behind the root.
        names: &'a [String],
        /// The type that the job declares for the field, and where.
        declared: Option<(Type, Span)>,
    },
    /// An expression.
    Expression(Compiled),
    /// An expression that has an error, which was reported.
    Unknown,
}

impl Column<'_> {
    /// Whether the value depends on a part of the record.
    #[must_use]
    pub fn reads(&self, wanted: Root) -> bool {
        match &self.value {
            ColumnValue::Path { root, .. } => *root == wanted,
            ColumnValue::Expression(compiled) => compiled.expr.reads(wanted),
            ColumnValue::Unknown => false,
        }
    }

    /// The type of the values, as far as the job tells.
    #[must_use]
    pub fn kind(&self) -> Option<Type> {
        match &self.value {
            ColumnValue::Path { declared, .. } => declared.map(|(kind, _)| kind),
            ColumnValue::Expression(compiled) => Some(compiled.kind.kind).filter(|kind| *kind != Type::Unknown),
            ColumnValue::Unknown => None,
        }
    }
}

/// What is known of the tables of a connection.
#[derive(Debug, Clone, Copy)]
pub enum Tables<'a> {
    /// Nobody was asked.
    Nothing,
    /// They could not be read, which was reported: nothing follows from it.
    Unreadable,
    /// All of them.
    Known(&'a Schema),
}

/// What is known besides the job itself.
pub struct Scope<'a> {
    /// The configuration.
    pub config: &'a ast::Config,
    /// What is known of the tables of a connection.
    pub tables: &'a dyn Fn(&str) -> Tables<'a>,
    /// The texts, to place what is inside a scalar.
    pub files: &'a Files,
}

/// Binds the names of a job.
pub fn job<'a>(job: &'a ast::Job, scope: &Scope<'a>, diagnostics: &mut Diagnostics) -> Job<'a> {
    let outputs = job.outputs.iter().filter_map(|ast| output(job, ast, scope, diagnostics)).collect();
    Job { ast: job, outputs }
}

fn output<'a>(
    job: &'a ast::Job,
    ast: &'a ast::Relational,
    scope: &Scope<'a>,
    diagnostics: &mut Diagnostics,
) -> Option<Output<'a>> {
    let name = &ast.connection;
    let Some((_, connection)) = scope.config.connections.iter().find(|(known, _)| known.value == name.value) else {
        unknown_connection(name, scope.config, diagnostics);
        return None;
    };
    let tables = (scope.tables)(&name.value);
    let table = match tables {
        Tables::Known(schema) => find_table(schema, ast, diagnostics),
        Tables::Nothing | Tables::Unreadable => None,
    };
    let mut columns: Vec<Column<'a>> = Vec::new();
    let mut key_columns = 0;
    for (at, mapping) in ast.keys.iter().chain(&ast.mapping).enumerate() {
        if let Some(first) = columns.iter().find(|column| column.ast.column.value == mapping.column.value) {
            let message = format!("the column `{}` is written twice", mapping.column.value);
            let diagnostic = Diagnostic::new(Code::E0202, mapping.column.span, message, "written again here");
            let diagnostic = diagnostic.because(first.ast.column.span, "written first here");
            diagnostics.report(diagnostic.help("keep one of the two; a column of `keys` is written without `mapping`"));
            continue;
        }
        columns.push(column(job, mapping, table, scope, diagnostics));
        key_columns += usize::from(at < ast.keys.len());
    }
    Some(Output { ast, connection, table, blind: matches!(tables, Tables::Nothing), columns, key_columns })
}

fn unknown_connection(name: &Spanned<String>, config: &ast::Config, diagnostics: &mut Diagnostics) {
    // A connection that could not be read was reported where it stands.
    if !config.complete {
        return;
    }
    let message = format!("there is no connection `{}`", name.value);
    let known = config.connections.iter().map(|(known, _)| known.value.as_str());
    let help = did_you_mean(&name.value, known)
        .unwrap_or_else(|| format!("add `connections:\n  {}:\n    type: postgresql` to config.yaml", name.value));
    diagnostics.report(Diagnostic::new(Code::E0201, name.span, message, "not in `connections`").help(help));
}

fn find_table<'a>(schema: &'a Schema, ast: &ast::Relational, diagnostics: &mut Diagnostics) -> Option<&'a Table> {
    let wanted = ast.schema.as_ref().map(|schema| schema.value.as_str());
    let found = schema.table(wanted, &ast.table.value);
    if found.is_none() {
        let in_schema = wanted.map(|schema| format!(" in the schema `{schema}`")).unwrap_or_default();
        let message = format!("there is no table `{}`{in_schema}", ast.table.value);
        let names = schema.tables.iter().filter(|table| table.schema.as_deref() == wanted);
        let help = did_you_mean(&ast.table.value, names.map(|table| table.name.as_str()));
        let help = help.unwrap_or_else(|| "the schema that was read has no table; add its CREATE TABLE".to_owned());
        diagnostics.report(Diagnostic::new(Code::E0401, ast.table.span, message, "unknown table").help(help));
    }
    found
}

fn column<'a>(
    job: &'a ast::Job,
    mapping: &'a ast::Mapping,
    table: Option<&'a Table>,
    scope: &Scope<'_>,
    diagnostics: &mut Diagnostics,
) -> Column<'a> {
    let target = table.and_then(|table| find_column(table, &mapping.column, diagnostics));
    let value = match &mapping.from {
        ast::From::Path(path) => {
            let (root, names) = root(job, path, diagnostics);
            ColumnValue::Path { root, names, declared: declared(&job.source, root, names, scope.files) }
        }
        ast::From::Expression(expression) => expression_value(job, expression, scope, diagnostics),
    };
    Column { ast: mapping, target, value }
}

fn expression_value<'a>(
    job: &ast::Job,
    expression: &ast::Expression,
    scope: &Scope<'_>,
    diagnostics: &mut Diagnostics,
) -> ColumnValue<'a> {
    let place = |start: usize, end: usize| expression.node.part_span(scope.files, start, end);
    let text = expr::Text { text: &expression.text, place: &place };
    let names = record::RecordScope { source: &job.source, files: scope.files };
    let compiled = expr::compile(expression.language, &text, &names, diagnostics);
    compiled.map_or(ColumnValue::Unknown, ColumnValue::Expression)
}

fn find_column<'a>(table: &'a Table, name: &Spanned<String>, diagnostics: &mut Diagnostics) -> Option<&'a TableColumn> {
    let found = table.column(&name.value);
    if found.is_none() {
        let message = format!("the table `{}` has no column `{}`", table.name, name.value);
        let help = did_you_mean(&name.value, table.columns.iter().map(|column| column.name.as_str()));
        diagnostics.report(Diagnostic::new(Code::E0402, name.span, message, "unknown column").maybe_help(help));
    }
    found
}

/// Where a path begins. `key.x` is the field `x` of the key template (`key.key` the whole key); with
/// `row_format: full` the content is below `before` and `after`; a single name that the template has is that one.
fn root<'a>(job: &'a ast::Job, path: &'a ast::Path, diagnostics: &mut Diagnostics) -> (Root, &'a [String]) {
    let source = &job.source;
    match path.names.as_slice() {
        [first, rest @ ..] if source.full && first == "after" => (Root::After, rest),
        [first, rest @ ..] if source.full && first == "before" => (Root::Before, rest),
        [only] if source.full && only == "opcode" => (Root::Opcode, &[]),
        [only] if template_field(source, only).is_some() => (Root::Key, &path.names),
        [first, name, ..] if first == "key" && (source.full || source.key.is_some()) => {
            if name != "key" && template_field(source, name).is_none() {
                unknown_key_field(source, name, path, diagnostics);
            }
            (Root::Key, path.names.get(1..).unwrap_or_default())
        }
        names => (Root::Value, names),
    }
}

fn template_field<'a>(
    source: &'a ast::Source,
    name: &str,
) -> Option<(&'a str, Option<&'a (String, redis_wb_grammar::Span)>)> {
    source.key.as_ref()?.parts.iter().find_map(|part| match part {
        redis_wb_grammar::key::Part::Field { name: own, kind, .. } if own == name => {
            Some((own.as_str(), kind.as_ref()))
        }
        _ => None,
    })
}

fn unknown_key_field(source: &ast::Source, name: &str, path: &ast::Path, diagnostics: &mut Diagnostics) {
    let parts = source.key.as_ref().map_or(&[][..], |key| &key.parts);
    let mut known: Vec<&str> = vec!["key"];
    known.extend(parts.iter().filter_map(|part| match part {
        redis_wb_grammar::key::Part::Field { name, .. } => Some(name.as_str()),
        redis_wb_grammar::key::Part::Literal(_) => None,
    }));
    let message = format!("the key has no field `{name}`");
    let mut diagnostic = Diagnostic::new(Code::E0204, path.span, message, "not in the key template");
    if let Some(key) = &source.key {
        diagnostic = diagnostic.because(key.node.span, "the template is here");
    }
    diagnostics.report(diagnostic.maybe_help(did_you_mean(name, known)));
}

fn declared(source: &ast::Source, root: Root, names: &[String], files: &Files) -> Option<(Type, Span)> {
    match (root, names) {
        (Root::Key, [name]) => {
            let (_, kind) = template_field(source, name)?;
            let (kind, span) = kind?;
            let template = source.key.as_ref()?;
            Some((Type::named(kind)?, template.node.part_span(files, span.start, span.end)))
        }
        (Root::Value | Root::Before | Root::After, [name]) => {
            let (_, kind) = source.fields.iter().find(|(field, _)| field.value == *name)?;
            Some((kind.value, kind.span))
        }
        _ => None,
    }
}
