//! SQLite: one row per execution of a prepared statement; in-process, so a round trip costs nothing.
//! <https://www.sqlite.org/lang.html>

use redis_wb_plan::plan::Dialect as Id;
use redis_wb_plan::{ColumnType, Type};
use sqlparser::dialect::SQLiteDialect;

use super::{Capabilities, Kind, Template, Unit, digits, templates};

pub(super) struct Sqlite;

/// A REAL keeps this many decimal digits exactly.
const REAL_DIGITS: u32 = 15;

impl Capabilities for Sqlite {
    fn id(&self) -> Id {
        Id::Sqlite
    }

    fn name_max(&self, _kind: Kind) -> Option<(usize, Unit)> {
        None
    }

    fn ignores_case(&self) -> bool {
        true
    }

    fn default_schema(&self) -> &'static str {
        "main"
    }

    fn reader(&self) -> Option<&'static dyn sqlparser::dialect::Dialect> {
        Some(&SQLiteDialect {})
    }

    fn numbers_rows(&self, type_name: &str) -> bool {
        type_name == "integer"
    }

    /// A column of NUMERIC affinity turns the text of a decimal into a REAL, so those with more digits than that keeps
    /// are texts.
    fn type_name(&self, column: &ColumnType, _is_key: bool) -> String {
        match column.kind {
            Type::Bool => "boolean".to_owned(),
            Type::Int => "integer".to_owned(),
            Type::Float => "real".to_owned(),
            Type::Decimal => digits("numeric", column, REAL_DIGITS, "text"),
            Type::Bytes => "blob".to_owned(),
            Type::Date => "date".to_owned(),
            Type::Time => "time".to_owned(),
            Type::Timestamp => "timestamp".to_owned(),
            Type::TimestampTz => "timestamptz".to_owned(),
            Type::Uuid => "uuid".to_owned(),
            Type::Json => "json".to_owned(),
            _ => "text".to_owned(),
        }
    }

    fn parser(&self) -> Option<&'static dyn sqlparser::dialect::Dialect> {
        self.reader()
    }

    fn templates(&self) -> &'static [Template] {
        templates!("sqlite": "insert", "upsert", "delete", "clear", "children", "close", "open", "table")
    }

    fn parameter(&self, number: usize, _column: &ColumnType) -> String {
        format!("?{number}")
    }

    fn reuses_parameters(&self) -> bool {
        true
    }

    /// `SQLITE_MAX_VARIABLE_NUMBER`, <https://www.sqlite.org/limits.html>.
    fn parameters_max(&self) -> usize {
        32_766
    }

    fn rows_max(&self) -> usize {
        self.parameters_max()
    }
}
