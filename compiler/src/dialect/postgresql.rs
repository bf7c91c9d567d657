//! PostgreSQL: one array per column, so that one prepared statement serves any batch size.

use redis_wb_plan::plan::{Dialect as Id, Shape};
use redis_wb_plan::{ColumnType, Type};
use sqlparser::dialect::PostgreSqlDialect;

use super::Capabilities;

pub(super) struct PostgreSql;

impl Capabilities for PostgreSql {
    fn id(&self) -> Id {
        Id::PostgreSql
    }

    fn parser(&self) -> &'static dyn sqlparser::dialect::Dialect {
        &PostgreSqlDialect {}
    }

    fn fold(&self, name: &str) -> String {
        name.to_lowercase()
    }

    fn default_schema(&self) -> &'static str {
        "public"
    }

    fn shape(&self) -> Shape {
        Shape::Columnar
    }

    fn parameter(&self, number: usize, column: &ColumnType) -> String {
        format!("${number}::{}[]", bound(column))
    }

    /// Types without a binary form of ours travel as text and are cast by the statement.
    fn cast(&self, column: &ColumnType, type_name: Option<&str>) -> Option<String> {
        let by_text = bound(column) == "text" && column.kind != Type::Text;
        match (column.kind, type_name) {
            (_, Some(name)) if by_text => Some(name.to_owned()),
            (Type::Decimal, None) => Some("numeric".to_owned()),
            (Type::Json, None) => Some("jsonb".to_owned()),
            _ => None,
        }
    }

    fn template(&self, statement: &str) -> Option<&'static str> {
        match statement {
            "upsert" => Some(include_str!("../../templates/postgresql/upsert.sql.j2")),
            "delete" => Some(include_str!("../../templates/postgresql/delete.sql.j2")),
            _ => None,
        }
    }
}

/// The type that a parameter is bound as.
fn bound(column: &ColumnType) -> &'static str {
    match column.kind {
        Type::Bool => "boolean",
        Type::Int => match column.bits {
            Some(16) => "smallint",
            Some(32) => "integer",
            _ => "bigint",
        },
        Type::Float => match column.bits {
            Some(32) => "real",
            _ => "double precision",
        },
        Type::Bytes => "bytea",
        Type::Date => "date",
        Type::Time => "time",
        Type::Timestamp => "timestamp",
        Type::TimestampTz => "timestamptz",
        Type::Uuid => "uuid",
        _ => "text",
    }
}
