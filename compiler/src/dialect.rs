//! What a dialect can do, as capability methods; how its statements look is in `templates/<dialect>/`.
//!
//! The rest of the compiler asks these methods and never compares dialects.

mod cassandra;
mod db2;
mod mariadb;
mod mysql;
mod oracle;
mod postgresql;
mod sqlite;
mod sqlserver;

use redis_wb_plan::ColumnType;
use redis_wb_plan::plan::{Dialect as Id, Marker, Strategy};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, Tokenizer};

/// A dialect's capabilities.
pub trait Capabilities: Sync {
    /// Which dialect it is.
    fn id(&self) -> Id;

    // --- names

    /// A name in quotes, quotes within it doubled. Only for names without a [`Fault`].
    fn quote(&self, name: &str) -> String {
        format!("\"{}\"", name.replace('"', "\"\""))
    }

    /// The longest name, and in what it is counted.
    fn name_max(&self, kind: Kind) -> Option<(usize, Unit)>;

    /// Why a name cannot hold this character even in quotes. (None can hold a NUL; that need not be said again.)
    fn refuses(&self, _character: char, _kind: Kind) -> Option<&'static str> {
        None
    }

    /// The name that a job must write for the one that DDL writes so, in quotes or without.
    fn named(&self, written: &str, _quoted: bool) -> String {
        written.to_owned()
    }

    /// Whether names that differ in case alone are the same even in quotes.
    fn ignores_case(&self) -> bool {
        false
    }

    /// The schema that a table is in when none is named; empty where it depends on the user.
    fn default_schema(&self) -> &'static str;

    // --- DDL

    /// The dialect of sqlparser that reads DDL, and expressions of the target's SQL. `None` where it has none that
    /// comes near.
    fn reader(&self) -> Option<&'static dyn sqlparser::dialect::Dialect>;

    /// Whether a word on a line of its own ends a statement of a script, as a semicolon does.
    fn ends_statement(&self, _word: &str) -> bool {
        false
    }

    /// Whether a primary key of this type gives itself a value.
    fn numbers_rows(&self, _type_name: &str) -> bool {
        false
    }

    /// The name of a type that holds every value of the column's type; for key columns one that can be indexed, and
    /// that tells any two values apart.
    fn type_name(&self, column: &ColumnType, is_key: bool) -> String;

    // --- statements

    /// The dialect of sqlparser that must be able to read every statement. `None` where it does not know the dialect.
    fn parser(&self) -> Option<&'static dyn sqlparser::dialect::Dialect>;

    /// The templates of its statements.
    fn templates(&self) -> &'static [Template];

    /// Whether rows can be written by this strategy.
    fn supports(&self, _strategy: Strategy) -> bool {
        true
    }

    /// Whether an upsert updates the row that holds *any* unique value of the new one, not just its key.
    fn upserts_by_any_index(&self) -> bool {
        false
    }

    /// Whether a parameter is an array: the values of one column of all rows.
    fn is_columnar(&self) -> bool {
        false
    }

    /// What a parameter of a text is written as that repeats a part of itself for each row.
    fn marker(&self) -> Marker {
        Marker::Question
    }

    /// A parameter of any other text, from its number (from 1) and its type.
    fn parameter(&self, number: usize, _column: &ColumnType) -> String {
        let mut text = String::new();
        self.marker().write(number, &mut text);
        text
    }

    /// Whether a parameter may be named again by its number.
    fn reuses_parameters(&self) -> bool {
        false
    }

    /// The most parameters of one execution.
    fn parameters_max(&self) -> usize;

    /// The most rows of one execution of a text that is repeated.
    fn rows_max(&self) -> usize {
        ROWS_MAX
    }

    /// The type a value must be cast to inside the statement, where the parameter cannot have it.
    fn cast(&self, _column: &ColumnType, _type_name: Option<&str>) -> Option<String> {
        None
    }

    /// Whether values of this type have no equality, so that a template must compare them in another way.
    fn is_opaque(&self, _column: &ColumnType, _type_name: Option<&str>) -> bool {
        false
    }
}

/// The most rows of one execution of a text that is repeated: SQL Server takes no more in one `VALUES`, Oracle no more
/// in one `IN`, and a longer text costs more to prepare than a further round trip.
const ROWS_MAX: usize = 1_000;

/// A dialect, by its capabilities.
pub type Dialect = &'static dyn Capabilities;

/// A template: the name of its statement, and its text.
pub type Template = (&'static str, &'static str);

/// The templates of a folder.
macro_rules! templates {
    ($folder:literal: $($name:literal),+) => {
        &[$(($name, include_str!(concat!("../../templates/", $folder, "/", $name, ".sql.j2")))),+]
    };
}
use templates;

/// Every dialect.
pub const ALL: [Dialect; 8] = [
    &postgresql::PostgreSql,
    &mysql::MySql,
    &mariadb::MariaDb,
    &sqlite::Sqlite,
    &sqlserver::SqlServer,
    &oracle::Oracle,
    &db2::Db2,
    &cassandra::Cassandra,
];

/// The capabilities of a dialect.
#[must_use]
pub fn of(id: Id) -> Dialect {
    match id {
        Id::PostgreSql => &postgresql::PostgreSql,
        Id::MySql => &mysql::MySql,
        Id::MariaDb => &mariadb::MariaDb,
        Id::Sqlite => &sqlite::Sqlite,
        Id::SqlServer => &sqlserver::SqlServer,
        Id::Oracle => &oracle::Oracle,
        Id::Db2 => &db2::Db2,
        Id::Cassandra => &cassandra::Cassandra,
    }
}

/// What a name is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A schema; a keyspace of Cassandra, a database of MySQL.
    Schema,
    /// A table.
    Table,
    /// A column.
    Column,
}

/// In what the length of a name is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes of UTF-8.
    Bytes,
    /// Characters.
    Characters,
    /// Pairs of bytes of UTF-16.
    Utf16,
}

impl Unit {
    /// The length of a name.
    #[must_use]
    pub fn count(self, name: &str) -> usize {
        match self {
            Self::Bytes => name.len(),
            Self::Characters => name.chars().count(),
            Self::Utf16 => name.encode_utf16().count(),
        }
    }

    /// The plural.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Characters | Self::Utf16 => "characters",
        }
    }
}

/// Why a dialect cannot have a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It has no character.
    Empty,
    /// It has a character that no name can have, for this reason.
    Character(&'static str),
    /// It is too long.
    TooLong {
        /// How long it is.
        length: usize,
        /// How long it may be.
        max: usize,
        /// Of what.
        unit: Unit,
    },
}

/// Why the dialect cannot have a name, if it cannot.
#[must_use]
pub fn fault(dialect: Dialect, name: &str, kind: Kind) -> Option<Fault> {
    if name.is_empty() {
        return Some(Fault::Empty);
    }
    if name.contains('\0') {
        return Some(Fault::Character("no name can have a NUL"));
    }
    if let Some(why) = name.chars().find_map(|character| dialect.refuses(character, kind)) {
        return Some(Fault::Character(why));
    }
    let (max, unit) = dialect.name_max(kind)?;
    let length = unit.count(name);
    (length > max).then_some(Fault::TooLong { length, max, unit })
}

/// An expression of the target's SQL, read and written again, so that nothing but one expression can be in it.
///
/// # Errors
/// What is wrong with it.
pub fn expression(dialect: Dialect, text: &str) -> Result<String, String> {
    let Some(reader) = dialect.reader() else {
        return Err("this dialect has no such expressions".to_owned());
    };
    let words = |error: ParserError| {
        let message = match error {
            ParserError::TokenizerError(message) | ParserError::ParserError(message) => message,
            ParserError::RecursionLimitExceeded => "it is nested too deeply".to_owned(),
        };
        message.split(" at Line: ").next().unwrap_or_default().to_lowercase()
    };
    let tokens = Tokenizer::new(reader, text).tokenize().map_err(|error| words(error.into()))?;
    let placeholder = tokens.iter().find(|token| matches!(token, Token::Placeholder(_)));
    if let Some(placeholder) = placeholder {
        return Err(format!("it has a parameter, {placeholder}"));
    }
    if text.contains('\0') {
        return Err("it contains a NUL".to_owned());
    }
    let mut parser = Parser::new(reader).with_tokens(tokens);
    let expression = parser.parse_expr().map_err(words)?;
    match parser.next_token().token {
        Token::EOF => Ok(expression.to_string()),
        more => Err(format!("it goes on behind its end, with {more}")),
    }
}

/// Upper-case names as SQLAlchemy, and with it RDI, has jobs write them for Oracle and Db2, which fold unquoted names
/// to upper case: a name that is all in lower case stands for the one all in upper case.
mod upper {
    /// The name that the target has for one of a job.
    pub(super) fn of_target(name: &str) -> String {
        if is_plain(name) && name == name.to_lowercase() { name.to_uppercase() } else { name.to_owned() }
    }

    /// The name that a job has for one of DDL.
    pub(super) fn of_job(written: &str, quoted: bool) -> String {
        let folds = !quoted || (is_plain(written) && written == written.to_uppercase());
        if folds { written.to_lowercase() } else { written.to_owned() }
    }

    /// Whether a name could stand without quotes, reserved words aside.
    fn is_plain(name: &str) -> bool {
        name.chars().next().is_some_and(char::is_alphabetic)
            && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '$' | '#'))
    }
}

/// `name(n)` where the length is known and small enough, else another type.
fn sized(name: &str, length: Option<u32>, max: u32, otherwise: &str) -> String {
    match length {
        Some(length) if (1..=max).contains(&length) => format!("{name}({length})"),
        _ => otherwise.to_owned(),
    }
}

/// `decimal(p,s)` within the dialect's limit, else another type.
fn digits(name: &str, column: &ColumnType, precision_max: u32, otherwise: &str) -> String {
    match (column.precision, column.scale) {
        (Some(precision), scale) if (1..=precision_max).contains(&precision) => {
            format!("{name}({precision},{})", scale.unwrap_or(0))
        }
        _ => otherwise.to_owned(),
    }
}

#[cfg(test)]
mod tests;
