//! What a SQL dialect can do, as capability methods; how its statements look is in `templates/<dialect>/`.
//!
//! The rest of the compiler asks these methods and never compares dialects.

mod postgresql;
mod sqlite;

use redis_wb_plan::ColumnType;
use redis_wb_plan::plan::{Dialect as Id, Shape};

/// A dialect's capabilities.
pub trait Capabilities: Sync {
    /// Which dialect it is.
    fn id(&self) -> Id;

    /// The dialect of sqlparser that reads its statements and its DDL.
    fn parser(&self) -> &'static dyn sqlparser::dialect::Dialect;

    /// A name in quotes, quotes within it doubled. `None` where the dialect can have no such name.
    fn quote(&self, name: &str) -> Option<String> {
        (!name.is_empty() && !name.contains('\0')).then(|| format!("\"{}\"", name.replace('"', "\"\"")))
    }

    /// What an unquoted name in DDL becomes.
    fn fold(&self, name: &str) -> String {
        name.to_owned()
    }

    /// The schema that a table is in when none is named.
    fn default_schema(&self) -> &'static str;

    /// Whether a primary key of this type gives itself a value.
    fn numbers_rows(&self, _type_name: &str) -> bool {
        false
    }

    /// How a statement takes the rows of a batch.
    fn shape(&self) -> Shape;

    /// A parameter: its text, from its number (from 1) and its type.
    fn parameter(&self, number: usize, column: &ColumnType) -> String;

    /// The type a value must be cast to inside the statement, where the parameter cannot have it.
    fn cast(&self, _column: &ColumnType, _type_name: Option<&str>) -> Option<String> {
        None
    }

    /// The template of a statement.
    fn template(&self, statement: &str) -> Option<&'static str>;
}

/// A dialect, by its capabilities.
pub type Dialect = &'static dyn Capabilities;

/// The capabilities of a dialect.
#[must_use]
pub fn of(id: Id) -> Dialect {
    match id {
        Id::PostgreSql => &postgresql::PostgreSql,
        Id::Sqlite => &sqlite::Sqlite,
    }
}
