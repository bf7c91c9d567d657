//! SQLite: one row per execution of a prepared statement; in-process, so a round trip costs nothing.

use redis_wb_plan::ColumnType;
use redis_wb_plan::plan::{Dialect as Id, Shape};
use sqlparser::dialect::SQLiteDialect;

use super::Capabilities;

pub(super) struct Sqlite;

impl Capabilities for Sqlite {
    fn id(&self) -> Id {
        Id::Sqlite
    }

    fn parser(&self) -> &'static dyn sqlparser::dialect::Dialect {
        &SQLiteDialect {}
    }

    fn default_schema(&self) -> &'static str {
        "main"
    }

    fn numbers_rows(&self, type_name: &str) -> bool {
        type_name == "integer"
    }

    fn shape(&self) -> Shape {
        Shape::Row
    }

    fn parameter(&self, number: usize, _column: &ColumnType) -> String {
        format!("?{number}")
    }

    fn template(&self, statement: &str) -> Option<&'static str> {
        match statement {
            "upsert" => Some(include_str!("../../templates/sqlite/upsert.sql.j2")),
            "delete" => Some(include_str!("../../templates/sqlite/delete.sql.j2")),
            _ => None,
        }
    }
}
