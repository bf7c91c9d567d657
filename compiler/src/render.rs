//! The columns of an output into its prepared statements, by the templates of the dialect. Knows no job: a name that
//! the dialect cannot have was reported before.

use redis_wb_plan::Type;
use redis_wb_plan::expr::Root;
use redis_wb_plan::plan::{Children, Closing, Column, Of, Param, Repeat, Shape, Statement, Strategy, Versions};
use serde::Serialize;
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, Tokenizer};

use crate::dialect::{self, Dialect, Kind};
use crate::templates::{self, Mark};

/// What statements are made from.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'r> {
    /// The schema of the table, where one is named.
    pub schema: Option<&'r str>,
    /// The table.
    pub table: &'r str,
    /// The columns, key columns first.
    pub columns: &'r [Column],
    /// What the target calls the type of each column, where its table is known.
    pub type_names: &'r [Option<&'r str>],
    /// How many of the columns, from the first, name the row.
    pub key_columns: usize,
    /// What a change does to the rows that are there.
    pub strategy: Strategy,
    /// For [`Strategy::Type2`]: which row is active, and how it is closed.
    pub versions: Option<&'r Versions>,
    /// The columns that name the parent, by their places, where rows that vanish from it are to be deleted.
    pub parent: &'r [usize],
    /// Whether an update leaves columns alone whose value is null.
    pub keep: bool,
}

impl Rows<'_> {
    /// The columns in which two versions differ: those of `values` that do not close a row.
    fn compared(&self, values: &[usize]) -> Vec<usize> {
        let closing = self.versions.map_or(&[][..], |versions| &versions.closing);
        let name = |at: usize| self.columns.get(at).map(|column| column.name.as_str());
        let closes = |at: usize| closing.iter().any(|closing| Some(closing.column.as_str()) == name(at));
        values.iter().copied().filter(|at| !closes(*at)).collect()
    }
}

/// The statements of an output.
#[derive(Debug)]
pub struct Statements {
    /// See [`redis_wb_plan::Output::write`].
    pub write: Vec<Statement>,
    /// See [`redis_wb_plan::Output::delete`].
    pub delete: Option<Statement>,
    /// See [`redis_wb_plan::Output::clear`]; to be kept only where the job wants it.
    pub clear: Option<Statement>,
    /// See [`redis_wb_plan::Output::children`].
    pub children: Option<Children>,
}

/// Why no statement came out.
#[derive(Debug)]
pub enum Failure {
    /// The dialect cannot have one of the names, does not support the strategy, or cannot read one of its
    /// expressions: the user's mistake.
    Job,
    /// A bug, in words for its report.
    Bug(String),
}

/// Renders the statements of an output and reads each again in its dialect.
///
/// # Errors
/// [`Failure`]: a mistake that [`crate::check`] reports, or a bug.
pub fn statements(rows: &Rows<'_>, dialect: Dialect) -> Result<Statements, Failure> {
    let target = Target::new(rows, dialect).ok_or(Failure::Job)?;
    let statement =
        |name: &str, keys: &[usize], values: &[usize]| target.statement(name, keys, values, &[]).map_err(Failure::Bug);
    let all: Vec<usize> = (0..rows.columns.len()).collect();
    let (keys, values) = all.split_at_checked(rows.key_columns).unwrap_or((&all, &[]));
    let (write, delete) = match rows.strategy {
        Strategy::Upsert => (vec![statement("upsert", keys, values)?], Some(statement("delete", keys, &[])?)),
        Strategy::Replace => {
            let delete = statement("delete", keys, &[])?;
            (vec![delete.clone(), statement("insert", keys, values)?], Some(delete))
        }
        Strategy::Append => {
            let insert = statement("insert", keys, values)?;
            let tells = rows.columns.iter().any(|column| column.expr.reads(Root::Opcode));
            (vec![insert.clone()], tells.then_some(insert))
        }
        Strategy::Type2 => {
            let compared = rows.compared(values);
            let open = statement("open", keys, values)?;
            // Where nothing can differ no version is ever closed by another.
            let close = (!compared.is_empty()).then(|| statement("close", keys, &compared)).transpose()?;
            (close.into_iter().chain([open]).collect(), Some(statement("close", keys, &[])?))
        }
    };
    let children = if rows.parent.is_empty() { None } else { Some(target.children(rows.parent)?) };
    // What was appended is history, and no row of a key.
    let clear = (rows.strategy != Strategy::Append).then(|| statement("clear", &[], &[])).transpose()?;
    Ok(Statements { write, delete, clear, children })
}

/// A table and its columns, quoted.
struct Target<'t> {
    dialect: Dialect,
    rows: &'t Rows<'t>,
    table: String,
    columns: Vec<templates::Column>,
    active: String,
    closing: String,
}

/// What a template sees.
#[derive(Serialize)]
struct Context<'c> {
    table: &'c str,
    columns: Vec<&'c templates::Column>,
    keys: Vec<&'c templates::Column>,
    values: Vec<&'c templates::Column>,
    parent: Vec<templates::Column>,
    active: &'c str,
    closing: &'c str,
    keep: bool,
}

impl<'t> Target<'t> {
    fn new(rows: &'t Rows<'t>, dialect: Dialect) -> Option<Self> {
        let supported =
            dialect.supports(rows.strategy) && (rows.strategy != Strategy::Type2 || rows.versions.is_some());
        if !supported {
            return None;
        }
        let columns = rows.columns.iter().enumerate().map(|(at, column)| {
            let type_name = rows.type_names.get(at).copied().flatten();
            Some(templates::Column {
                name: quote(&column.name, Kind::Column, dialect)?,
                new: format!("new_{}", at + 1),
                parameter: Mark::Row(at).write(),
                cast: dialect.cast(&column.column_type, type_name),
                opaque: dialect.is_opaque(&column.column_type, type_name),
                text: column.column_type.kind == Type::Text,
            })
        });
        let (mut active, mut closing) = (String::new(), Vec::new());
        if let Some(versions) = rows.versions.filter(|_| rows.strategy == Strategy::Type2) {
            active = dialect::expression(dialect, &versions.active).ok()?;
            for Closing { column, value } in &versions.closing {
                let value = dialect::expression(dialect, value).ok()?;
                closing.push(format!("{} = {value}", quote(column, Kind::Column, dialect)?));
            }
        }
        Some(Self {
            dialect,
            rows,
            table: table_name(rows.schema, rows.table, dialect)?,
            columns: columns.collect::<Option<_>>()?,
            active,
            closing: closing.join(", "),
        })
    }

    fn children(&self, parent: &[usize]) -> Result<Children, Failure> {
        let keys: Vec<usize> = (0..self.rows.key_columns).collect();
        let others = templates::has(self.dialect, "children").then(|| self.statement("children", &keys, &[], parent));
        Ok(Children {
            parent: parent.to_vec(),
            all: self.statement("delete", parent, &[], &[]).map_err(Failure::Bug)?,
            others: others.transpose().map_err(Failure::Bug)?,
        })
    }

    /// A statement that finds rows by its keys, and writes or compares its values.
    fn statement(&self, name: &str, keys: &[usize], values: &[usize], parent: &[usize]) -> Result<Statement, String> {
        let bug = |what: String| format!("the statement `{name}` of {}: {what}", self.dialect.id().name());
        let of = |places: &[usize]| -> Vec<&templates::Column> {
            places.iter().filter_map(|at| self.columns.get(*at)).collect()
        };
        let as_parent = |at: &usize| {
            let column = self.columns.get(*at)?.clone();
            Some(templates::Column { parameter: Mark::Parent(*at).write(), ..column })
        };
        let context = Context {
            table: &self.table,
            columns: of(&[keys, values].concat()),
            keys: of(keys),
            values: of(values),
            parent: parent.iter().filter_map(as_parent).collect(),
            active: &self.active,
            closing: &self.closing,
            keep: self.rows.keep,
        };
        let text = templates::render(self.dialect, name, context).map_err(bug)?;
        let statement = Assembly::new(self.dialect, self.rows.columns, &text).assemble(&text).map_err(bug)?;
        read_again(self.dialect, &statement).map_err(bug)?;
        Ok(statement)
    }
}

/// A table's full name, quoted. `None` where the dialect cannot have it.
pub(crate) fn table_name(schema: Option<&str>, table: &str, dialect: Dialect) -> Option<String> {
    let table = quote(table, Kind::Table, dialect)?;
    match schema {
        Some(schema) => Some(format!("{}.{table}", quote(schema, Kind::Schema, dialect)?)),
        None => Some(table),
    }
}

/// A name, quoted. `None` where the dialect cannot have it.
pub(crate) fn quote(name: &str, kind: Kind, dialect: Dialect) -> Option<String> {
    dialect::fault(dialect, name, kind).is_none().then(|| dialect.quote(name))
}

/// Rendered text on its way to a statement: marks become parameters.
struct Assembly<'a> {
    dialect: Dialect,
    columns: &'a [Column],
    repeats: bool,
    /// The text up to here, or up to the rows.
    prefix: String,
    row: Vec<String>,
    separator: Option<String>,
    suffix: String,
    params: Vec<Param>,
}

impl<'a> Assembly<'a> {
    fn new(dialect: Dialect, columns: &'a [Column], text: &str) -> Self {
        let repeats = text.contains(&Mark::Begin.write());
        let (prefix, suffix) = (String::new(), String::new());
        Self { dialect, columns, repeats, prefix, row: Vec::new(), separator: None, suffix, params: Vec::new() }
    }

    fn assemble(mut self, text: &str) -> Result<Statement, String> {
        for (at, piece) in text.split('\0').enumerate() {
            if at % 2 == 0 {
                self.open_text().push_str(piece);
                continue;
            }
            match Mark::read(piece).ok_or_else(|| format!("there is no mark `{piece}`"))? {
                Mark::Begin => self.row.push(String::new()),
                Mark::End(separator) => self.separator = Some(separator.to_owned()),
                Mark::Row(column) => self.parameter(Param { column, of: Of::Row })?,
                Mark::Parent(column) => self.parameter(Param { column, of: Of::Parent })?,
            }
        }
        self.finish()
    }

    /// Where text goes now.
    fn open_text(&mut self) -> &mut String {
        if self.separator.is_some() {
            return &mut self.suffix;
        }
        match self.row.last_mut() {
            Some(piece) => piece,
            None => &mut self.prefix,
        }
    }

    fn parameter(&mut self, param: Param) -> Result<(), String> {
        let column = self.columns.get(param.column).ok_or_else(|| format!("there is no column {}", param.column))?;
        if self.separator.is_some() {
            return Err("a parameter stands behind the rows".to_owned());
        }
        if self.repeats {
            self.params.push(param);
            match self.row.is_empty() {
                true => self.dialect.marker().write(self.params.len(), &mut self.prefix),
                false => self.row.push(String::new()),
            }
            return Ok(());
        }
        let known = self.params.iter().position(|known| *known == param).filter(|_| self.dialect.reuses_parameters());
        let at = known.unwrap_or_else(|| {
            self.params.push(param);
            self.params.len() - 1
        });
        self.prefix.push_str(&self.dialect.parameter(at + 1, &column.column_type));
        Ok(())
    }

    fn finish(self) -> Result<Statement, String> {
        let Self { dialect, prefix, row, separator, suffix, params, .. } = self;
        if !self.repeats {
            let shape = if dialect.is_columnar() { Shape::Columnar } else { Shape::Row };
            return Ok(Statement { sql: prefix, shape, params });
        }
        let separator = separator.ok_or("the repeated part does not end")?;
        let in_row = row.len().saturating_sub(1);
        let head = params.len().saturating_sub(in_row);
        let fit = dialect.parameters_max().saturating_sub(head).checked_div(in_row).unwrap_or(1);
        let rows_max = fit.min(dialect.rows_max()).max(1);
        let mut sql = prefix.clone();
        for (at, piece) in row.iter().enumerate() {
            if at > 0 {
                dialect.marker().write(head + at, &mut sql);
            }
            sql.push_str(piece);
        }
        sql.push_str(&suffix);
        let repeat = Repeat { prefix, row, separator, suffix, marker: dialect.marker(), rows_max };
        Ok(Statement { sql, shape: Shape::Rows(repeat), params })
    }
}

/// Reads a statement again: by sqlparser in its dialect or, where that does not know the dialect, word by word.
fn read_again(dialect: Dialect, statement: &Statement) -> Result<(), String> {
    let sql = &statement.sql;
    let Some(parser) = dialect.parser() else {
        return well_formed(statement).map_err(|what| format!("{what} in `{sql}`"));
    };
    match Parser::parse_sql(parser, sql) {
        Ok(parsed) if parsed.len() == 1 => Ok(()),
        Ok(parsed) => Err(format!("{} statements in `{sql}`", parsed.len())),
        Err(error) => Err(format!("`{sql}` does not parse: {error}")),
    }
}

/// Whether all quotes and brackets of a text close, it is one statement, and its parameters are those of the
/// statement. This is no parse: it finds a template gone wrong, not a word that the target does not know.
fn well_formed(statement: &Statement) -> Result<(), String> {
    let tokens = Tokenizer::new(&GenericDialect {}, &statement.sql).tokenize().map_err(|error| error.to_string())?;
    let mut depth = 0_usize;
    let mut params = 0_usize;
    for token in &tokens {
        match token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.checked_sub(1).ok_or("a bracket closes that was not opened")?,
            Token::Placeholder(_) => params += 1,
            Token::SemiColon => return Err("there is a semicolon".to_owned()),
            _ => {}
        }
    }
    if depth > 0 {
        return Err("a bracket does not close".to_owned());
    }
    if params != statement.params.len() {
        return Err(format!("there are {params} parameters instead of {}", statement.params.len()));
    }
    Ok(())
}
