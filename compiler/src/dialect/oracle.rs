//! Oracle: one row per execution, `MERGE` from a row of `dual`; clients bind arrays, so a batch is one round trip.
//! <https://docs.oracle.com/en/database/oracle/oracle-database/19/sqlrf/MERGE.html>

use redis_wb_plan::plan::{Dialect as Id, Marker};
use redis_wb_plan::{ColumnType, Type};
use sqlparser::dialect::OracleDialect;

use super::{Capabilities, Kind, Template, Unit, digits, sized, templates, upper};

pub(super) struct Oracle;

impl Capabilities for Oracle {
    fn id(&self) -> Id {
        Id::Oracle
    }

    fn quote(&self, name: &str) -> String {
        format!("\"{}\"", upper::of_target(name))
    }

    fn name_max(&self, _kind: Kind) -> Option<(usize, Unit)> {
        Some((128, Unit::Bytes))
    }

    fn refuses(&self, character: char, _kind: Kind) -> Option<&'static str> {
        (character == '"').then_some("its names take no double quote")
    }

    fn named(&self, written: &str, quoted: bool) -> String {
        upper::of_job(written, quoted)
    }

    fn default_schema(&self) -> &'static str {
        ""
    }

    fn reader(&self) -> Option<&'static dyn sqlparser::dialect::Dialect> {
        Some(&OracleDialect {})
    }

    /// Before version 23 there is no boolean. A `DATE` is a date and a time of day, and there is no time alone.
    fn type_name(&self, column: &ColumnType, is_key: bool) -> String {
        match column.kind {
            Type::Bool => "number(1)".to_owned(),
            Type::Int => match column.bits {
                Some(8) => "number(3)".to_owned(),
                Some(16) => "number(5)".to_owned(),
                Some(24 | 32) => "number(10)".to_owned(),
                _ if column.unsigned => "number(20)".to_owned(),
                _ => "number(19)".to_owned(),
            },
            Type::Float if column.bits == Some(32) => "binary_float".to_owned(),
            Type::Float => "binary_double".to_owned(),
            Type::Decimal => digits("number", column, 38, "number"),
            Type::Bytes => sized("raw", column.length_max, 2_000, if is_key { "raw(255)" } else { "blob" }),
            Type::Date => "date".to_owned(),
            Type::Time => "varchar2(15 char)".to_owned(),
            Type::Timestamp => "timestamp(6)".to_owned(),
            Type::TimestampTz => "timestamp(6) with time zone".to_owned(),
            Type::Uuid => "varchar2(36 char)".to_owned(),
            // 4,000 bytes at most, and a character has up to four.
            _ => match column.length_max {
                Some(length) if length <= 1_000 => format!("varchar2({length} char)"),
                _ if is_key => "varchar2(255 char)".to_owned(),
                _ => "clob".to_owned(),
            },
        }
    }

    fn parser(&self) -> Option<&'static dyn sqlparser::dialect::Dialect> {
        self.reader()
    }

    fn templates(&self) -> &'static [Template] {
        templates!("oracle": "insert", "upsert", "delete", "clear", "children", "close", "open", "table")
    }

    fn marker(&self) -> Marker {
        Marker::Numbered(":".to_owned())
    }

    fn parameters_max(&self) -> usize {
        65_535
    }

    fn is_opaque(&self, column: &ColumnType, type_name: Option<&str>) -> bool {
        is_large(column, type_name, 1_000)
    }
}

/// Whether a column is a large object, which `=` does not compare.
pub(super) fn is_large(column: &ColumnType, type_name: Option<&str>, length_max: u32) -> bool {
    match (type_name, column.kind) {
        (Some(name), _) => name.to_ascii_lowercase().contains("lob"),
        (None, Type::Text | Type::Bytes) => column.length_max.is_none_or(|length| length > length_max),
        (None, Type::Json | Type::Unknown) => true,
        _ => false,
    }
}
