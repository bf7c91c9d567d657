//! PostgreSQL: one array per column, so that one prepared statement serves any batch size.
//! <https://www.postgresql.org/docs/current/sql-insert.html>

use redis_wb_plan::plan::Dialect as Id;
use redis_wb_plan::{ColumnType, Type};
use sqlparser::dialect::PostgreSqlDialect;

use super::{Capabilities, Kind, Template, Unit, digits, sized, templates};

pub(super) struct PostgreSql;

impl Capabilities for PostgreSql {
    fn id(&self) -> Id {
        Id::PostgreSql
    }

    /// NAMEDATALEN less one; the server cuts longer names silently, so two of them may become one.
    fn name_max(&self, _kind: Kind) -> Option<(usize, Unit)> {
        Some((63, Unit::Bytes))
    }

    fn named(&self, written: &str, quoted: bool) -> String {
        if quoted { written.to_owned() } else { written.to_lowercase() }
    }

    fn default_schema(&self) -> &'static str {
        "public"
    }

    fn reader(&self) -> Option<&'static dyn sqlparser::dialect::Dialect> {
        Some(&PostgreSqlDialect {})
    }

    fn type_name(&self, column: &ColumnType, _is_key: bool) -> String {
        match column.kind {
            Type::Int if column.unsigned => match column.bits {
                Some(8) => "smallint".to_owned(),
                Some(16 | 24) => "integer".to_owned(),
                Some(32) => "bigint".to_owned(),
                _ => "numeric(20,0)".to_owned(),
            },
            Type::Decimal => digits("numeric", column, 1_000, "numeric"),
            Type::Text => sized("varchar", column.length_max, 10_485_760, "text"),
            Type::Json => "jsonb".to_owned(),
            Type::TimestampTz => "timestamp with time zone".to_owned(),
            _ => bound(column).to_owned(),
        }
    }

    fn parser(&self) -> Option<&'static dyn sqlparser::dialect::Dialect> {
        self.reader()
    }

    fn templates(&self) -> &'static [Template] {
        templates!("postgresql": "insert", "upsert", "delete", "clear", "children", "close", "open", "table")
    }

    fn is_columnar(&self) -> bool {
        true
    }

    fn parameter(&self, number: usize, column: &ColumnType) -> String {
        format!("${number}::{}[]", bound(column))
    }

    fn reuses_parameters(&self) -> bool {
        true
    }

    fn parameters_max(&self) -> usize {
        65_535
    }

    /// Types without a binary form of ours travel as text and are cast by the statement.
    fn cast(&self, column: &ColumnType, type_name: Option<&str>) -> Option<String> {
        let by_text = bound(column) == "text" && column.kind != Type::Text;
        match (column.kind, type_name) {
            (_, Some(name)) if by_text || column.kind == Type::Decimal => Some(name.to_owned()),
            (Type::Decimal, None) => Some("numeric".to_owned()),
            (Type::Json, None) => Some("jsonb".to_owned()),
            _ => None,
        }
    }

    /// `json` has no equality; `jsonb` has one, and is what redis-wb takes where it does not know better.
    fn is_opaque(&self, _column: &ColumnType, type_name: Option<&str>) -> bool {
        type_name.is_some_and(|name| name.eq_ignore_ascii_case("json"))
    }
}

/// The type that a parameter is bound as.
fn bound(column: &ColumnType) -> &'static str {
    match column.kind {
        Type::Bool => "boolean",
        Type::Int => match column.bits {
            Some(8 | 16) => "smallint",
            Some(24 | 32) => "integer",
            _ => "bigint",
        },
        Type::Float => match column.bits {
            Some(32) => "real",
            _ => "double precision",
        },
        // The binary form has at most 12,000 digits, and a precision is at most 1,000.
        Type::Decimal if column.precision.is_some() => "numeric",
        Type::Bytes => "bytea",
        Type::Date => "date",
        Type::Time => "time",
        Type::Timestamp => "timestamp",
        Type::TimestampTz => "timestamptz",
        Type::Uuid => "uuid",
        _ => "text",
    }
}
