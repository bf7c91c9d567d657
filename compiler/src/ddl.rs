//! `CREATE TABLE` and its like into a [`Schema`]. Reads what says something of columns and unique keys, passes over
//! everything else a dump has in it (functions, grants, comments, data).

use redis_wb_plan::schema::{Schema, Table, TableColumn};
use redis_wb_plan::sql_type::column_type;
use sqlparser::ast::{
    AlterTable, AlterTableOperation, ColumnDef, ColumnOption, CreateIndex, CreateTable, DeferrableInitial, Expr,
    ForeignKeyConstraint, GeneratedAs, Ident, IndexColumn, ObjectName, Statement, TableConstraint,
};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

use crate::codes::Code;
use crate::dialect::Dialect;
use crate::source::{FileId, Files, Span};
use crate::{Diagnostic, Diagnostics};

/// Reads the DDL of one connection. `None` where a statement does not parse, which is reported: what is left would
/// only lead to wrong conclusions.
pub fn parse(file: FileId, files: &Files, dialect: Dialect, diagnostics: &mut Diagnostics) -> Option<Schema> {
    let text = &files.get(file).text;
    let mut schema = Schema::default();
    let mut complete = true;
    let Some(reader) = dialect.reader() else {
        let message = format!("redis-wb does not read DDL of {}", dialect.id().title());
        let diagnostic = Diagnostic::new(Code::E0407, Span::top(file), message, "not read");
        diagnostics.report(diagnostic.help("take `ddl` out of the connection; declare types by `source.redis.fields`"));
        return None;
    };
    let tokens = match Tokenizer::new(reader, text).tokenize_with_location() {
        Ok(tokens) => tokens,
        Err(error) => {
            report(file, text, error.location, &error.message, diagnostics);
            return None;
        }
    };
    for statement in statements(&tokens, dialect) {
        if !concerns_tables(statement) {
            continue;
        }
        match Parser::new(reader).with_tokens_with_locations(statement.to_vec()).parse_statement() {
            Ok(statement) => apply(&mut schema, statement, dialect),
            Err(error) => {
                let start =
                    statement.iter().find(|token| !is_space(token)).map_or(Location::new(1, 1), |t| t.span.start);
                let message = match error {
                    ParserError::TokenizerError(message) | ParserError::ParserError(message) => message,
                    ParserError::RecursionLimitExceeded => "the statement is nested too deeply".to_owned(),
                };
                let (message, location) = located(&message, start);
                report(file, text, location, &message, diagnostics);
                complete = false;
            }
        }
    }
    complete.then_some(schema)
}

/// The statements of a script: between semicolons, and between what else the dialect ends a statement with.
fn statements(tokens: &[TokenWithSpan], dialect: Dialect) -> impl Iterator<Item = &[TokenWithSpan]> {
    tokens.split(move |token| match &token.token {
        Token::SemiColon => true,
        Token::Word(word) => word.quote_style.is_none() && dialect.ends_statement(&word.value),
        _ => false,
    })
}

fn is_space(token: &TokenWithSpan) -> bool {
    matches!(token.token, Token::Whitespace(_))
}

/// Whether a statement starts with `CREATE … TABLE`, `CREATE UNIQUE INDEX` or `ALTER TABLE`.
fn concerns_tables(statement: &[TokenWithSpan]) -> bool {
    let words: Vec<String> = statement
        .iter()
        .filter(|token| !is_space(token))
        .take(5)
        .map(|token| token.token.to_string().to_ascii_uppercase())
        .collect();
    let has = |word: &str| words.iter().any(|known| known == word);
    match words.first().map(String::as_str) {
        Some("CREATE") => has("TABLE") || (has("UNIQUE") && has("INDEX")),
        Some("ALTER") => words.get(1).is_some_and(|word| word == "TABLE"),
        _ => false,
    }
}

/// sqlparser ends a message with ` at Line: 3, Column: 7`.
fn located(message: &str, fallback: Location) -> (String, Location) {
    let Some((text, place)) = message.rsplit_once(" at Line: ") else {
        return (message.to_owned(), fallback);
    };
    let location = place
        .split_once(", Column: ")
        .and_then(|(line, column)| Some(Location::new(line.parse().ok()?, column.trim().parse().ok()?)));
    (text.to_owned(), location.unwrap_or(fallback))
}

fn report(file: FileId, text: &str, at: Location, message: &str, diagnostics: &mut Diagnostics) {
    let line = usize::try_from(at.line).unwrap_or(1).saturating_sub(1);
    let before: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let rest = text.get(before..).unwrap_or_default();
    let chars = usize::try_from(at.column).unwrap_or(1).saturating_sub(1);
    let (within, len) = rest.char_indices().nth(chars).map_or((rest.len(), 0), |(at, char)| (at, char.len_utf8()));
    let span = Span { file, start: before + within, end: before + within + len };
    let message = format!("this DDL does not parse: {message}");
    let help = "mend the statement, or take it out of the file: only CREATE TABLE, CREATE UNIQUE INDEX and \
                ALTER TABLE are read";
    diagnostics.report(Diagnostic::new(Code::E0406, span, message, "here").help(help));
}

fn apply(schema: &mut Schema, statement: Statement, dialect: Dialect) {
    match statement {
        Statement::CreateTable(table) => schema.tables.push(create_table(table, dialect)),
        Statement::CreateIndex(index) => create_index(schema, &index, dialect),
        Statement::AlterTable(alter) => alter_table(schema, alter, dialect),
        _ => {}
    }
}

fn create_table(statement: CreateTable, dialect: Dialect) -> Table {
    let (schema, name) = names(&statement.name, dialect);
    let (columns, unique, references) = (Vec::new(), Vec::new(), Vec::new());
    let mut table = Table { schema, name, columns, unique, references, ignores_case: dialect.ignores_case() };
    for column in statement.columns {
        add_column(&mut table, &column, dialect);
    }
    for constraint in &statement.constraints {
        add_constraint(&mut table, constraint, dialect);
    }
    table
}

fn alter_table(schema: &mut Schema, statement: AlterTable, dialect: Dialect) {
    let Some(table) = find(schema, &statement.name, dialect) else {
        return;
    };
    for operation in statement.operations {
        match operation {
            AlterTableOperation::AddConstraint { constraint, .. } => add_constraint(table, &constraint, dialect),
            AlterTableOperation::AddColumn { column_def, .. } => add_column(table, &column_def, dialect),
            _ => {}
        }
    }
}

fn create_index(schema: &mut Schema, index: &CreateIndex, dialect: Dialect) {
    // A partial index is no promise about all rows.
    if index.unique
        && index.predicate.is_none()
        && let Some(table) = find(schema, &index.table_name, dialect)
    {
        table.unique.extend(index_columns(&index.columns, dialect));
    }
}

fn find<'s>(schema: &'s mut Schema, name: &ObjectName, dialect: Dialect) -> Option<&'s mut Table> {
    let (schema_name, name) = names(name, dialect);
    schema.tables.iter_mut().find(|table| table.name == name && table.schema == schema_name)
}

/// Schema and table; the schema that a connection uses by default counts as none.
fn names(name: &ObjectName, dialect: Dialect) -> (Option<String>, String) {
    let mut parts: Vec<String> =
        name.0.iter().filter_map(|part| part.as_ident()).map(|ident| identifier(ident, dialect)).collect();
    let table = parts.pop().unwrap_or_default();
    let schema = parts.pop().filter(|schema| schema != dialect.default_schema());
    (schema, table)
}

fn identifier(ident: &Ident, dialect: Dialect) -> String {
    dialect.named(&ident.value, ident.quote_style.is_some())
}

fn add_column(table: &mut Table, definition: &ColumnDef, dialect: Dialect) {
    let name = identifier(&definition.name, dialect);
    let type_name = definition.data_type.to_string();
    let lower = type_name.to_ascii_lowercase();
    let mut column = TableColumn {
        name: name.clone(),
        column_type: column_type(dialect.id(), &type_name),
        nullable: true,
        has_default: lower.contains("serial"),
        generated: false,
        type_name,
    };
    for option in &definition.options {
        match &option.option {
            ColumnOption::NotNull => column.nullable = false,
            ColumnOption::Default(_) => column.has_default = true,
            ColumnOption::PrimaryKey(_) => {
                column.nullable = false;
                // SQLite numbers the rows of an INTEGER PRIMARY KEY by itself.
                column.has_default |= dialect.numbers_rows(&lower);
                table.unique.push(vec![name.clone()]);
            }
            ColumnOption::Unique(_) => table.unique.push(vec![name.clone()]),
            ColumnOption::Generated { generated_as, generation_expr, .. } => {
                column.generated = generation_expr.is_some() || *generated_as == GeneratedAs::Always;
                column.has_default = true;
            }
            ColumnOption::ForeignKey(key) => add_reference(table, key, dialect),
            ColumnOption::Identity(_) => column.has_default = true,
            ColumnOption::DialectSpecific(tokens) => column.has_default |= tokens.iter().any(numbers_rows),
            _ => {}
        }
    }
    table.columns.push(column);
}

/// MySQL's `AUTO_INCREMENT`, SQLite's `AUTOINCREMENT`.
fn numbers_rows(token: &Token) -> bool {
    matches!(token, Token::Word(word) if ["AUTO_INCREMENT", "AUTOINCREMENT"].contains(&word.value.to_uppercase().as_str()))
}

fn add_constraint(table: &mut Table, constraint: &TableConstraint, dialect: Dialect) {
    match constraint {
        TableConstraint::PrimaryKey(key) => {
            if let Some(columns) = index_columns(&key.columns, dialect) {
                for column in table.columns.iter_mut().filter(|column| columns.contains(&column.name)) {
                    column.nullable = false;
                }
                table.unique.push(columns);
            }
        }
        TableConstraint::ForeignKey(key) => add_reference(table, key, dialect),
        TableConstraint::Unique(unique) => table.unique.extend(index_columns(&unique.columns, dialect)),
        _ => {}
    }
}

/// A foreign key that is checked with each statement.
fn add_reference(table: &mut Table, key: &ForeignKeyConstraint, dialect: Dialect) {
    let initially = key.characteristics.as_ref().and_then(|characteristics| characteristics.initially);
    if initially != Some(DeferrableInitial::Deferred) {
        table.references.push(names(&key.foreign_table, dialect));
    }
}

/// The columns of an index, or `None` where one of them is an expression.
fn index_columns(columns: &[IndexColumn], dialect: Dialect) -> Option<Vec<String>> {
    let column = |column: &IndexColumn| match &column.column.expr {
        Expr::Identifier(ident) => Some(identifier(ident, dialect)),
        _ => None,
    };
    columns.iter().map(column).collect()
}

#[cfg(test)]
mod tests;
