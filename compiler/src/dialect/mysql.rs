//! MySQL: many rows in one text, `ON DUPLICATE KEY UPDATE` with an alias of the new row (8.0.19).
//! <https://dev.mysql.com/doc/refman/8.4/en/insert-on-duplicate.html>

use redis_wb_plan::plan::Dialect as Id;
use redis_wb_plan::{ColumnType, Type};
use sqlparser::dialect::MySqlDialect;

use super::{Capabilities, Kind, Template, Unit, digits, sized, templates};

pub(super) struct MySql;

impl Capabilities for MySql {
    fn id(&self) -> Id {
        Id::MySql
    }

    fn quote(&self, name: &str) -> String {
        backticks(name)
    }

    fn name_max(&self, _kind: Kind) -> Option<(usize, Unit)> {
        NAME_MAX
    }

    fn refuses(&self, character: char, _kind: Kind) -> Option<&'static str> {
        refuses(character)
    }

    fn ignores_case(&self) -> bool {
        true
    }

    fn default_schema(&self) -> &'static str {
        ""
    }

    fn reader(&self) -> Option<&'static dyn sqlparser::dialect::Dialect> {
        Some(&MySqlDialect {})
    }

    fn type_name(&self, column: &ColumnType, is_key: bool) -> String {
        match column.kind {
            Type::Uuid => "char(36) CHARACTER SET ascii".to_owned(),
            Type::Text | Type::Unknown if is_key => key_text(column, "utf8mb4_0900_bin"),
            _ => type_name(column, is_key),
        }
    }

    fn parser(&self) -> Option<&'static dyn sqlparser::dialect::Dialect> {
        self.reader()
    }

    fn templates(&self) -> &'static [Template] {
        templates!("mysql": "insert", "upsert", "delete", "clear", "children", "close", "open", "table")
    }

    fn upserts_by_any_index(&self) -> bool {
        true
    }

    fn parameters_max(&self) -> usize {
        PARAMETERS_MAX
    }

    /// As [`cast`]; and JSON is compared with JSON.
    fn cast(&self, column: &ColumnType, _type_name: Option<&str>) -> Option<String> {
        if column.kind == Type::Json { Some("JSON".to_owned()) } else { cast(column) }
    }
}

/// The type of a parameter that is not a column's own. Decimals, dates and times are bound as texts: with a text a
/// decimal would be compared as a floating-point number of 16 digits. A `float` is compared with what it keeps of a
/// number, and bytes in a SELECT would be taken for a text, and those that are none of its characters lost.
pub(super) fn cast(column: &ColumnType) -> Option<String> {
    match (column.kind, column.bits) {
        (Type::Float, Some(32)) => Some("FLOAT".to_owned()),
        (Type::Bytes, _) => Some("BINARY".to_owned()),
        (Type::Decimal, _) => Some(digits("DECIMAL", column, 65, "DECIMAL(65,30)")),
        (Type::Date, _) => Some("DATE".to_owned()),
        (Type::Time, _) => Some("TIME(6)".to_owned()),
        (Type::Timestamp | Type::TimestampTz, _) => Some("DATETIME(6)".to_owned()),
        _ => None,
    }
}

/// <https://dev.mysql.com/doc/refman/8.4/en/identifier-length.html>
pub(super) const NAME_MAX: Option<(usize, Unit)> = Some((64, Unit::Characters));

/// The number of parameters has 16 bits in the protocol of prepared statements.
pub(super) const PARAMETERS_MAX: usize = 65_535;

pub(super) fn backticks(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// <https://dev.mysql.com/doc/refman/8.4/en/identifiers.html>
pub(super) fn refuses(character: char) -> Option<&'static str> {
    (character > '\u{FFFF}').then_some("its names take no character above U+FFFF")
}

/// Of a text that is a key: what an index takes (768 characters in all), compared byte by byte, since by default
/// `a` and `A` would be the same row.
pub(super) fn key_text(column: &ColumnType, collation: &str) -> String {
    let size = sized("varchar", column.length_max, 768, "varchar(255)");
    format!("{size} CHARACTER SET utf8mb4 COLLATE {collation}")
}

/// Types that MySQL and MariaDB share. Instants are kept as date-times in UTC, since `timestamp` ends in 2038.
pub(super) fn type_name(column: &ColumnType, is_key: bool) -> String {
    let sign = if column.unsigned { " unsigned" } else { "" };
    match column.kind {
        Type::Bool => "boolean".to_owned(),
        Type::Int => match column.bits {
            Some(8) => format!("tinyint{sign}"),
            Some(16) => format!("smallint{sign}"),
            Some(24) => format!("mediumint{sign}"),
            Some(32) => format!("int{sign}"),
            _ => format!("bigint{sign}"),
        },
        Type::Float if column.bits == Some(32) => "float".to_owned(),
        Type::Float => "double".to_owned(),
        Type::Decimal => digits("decimal", column, 65, "decimal(65,30)"),
        Type::Bytes if is_key => sized("varbinary", column.length_max, 3_072, "varbinary(255)"),
        Type::Bytes => sized("varbinary", column.length_max, 16_383, "longblob"),
        Type::Date => "date".to_owned(),
        Type::Time => "time(6)".to_owned(),
        Type::Timestamp | Type::TimestampTz => "datetime(6)".to_owned(),
        Type::Json => "json".to_owned(),
        // A row has at most 65,535 bytes besides its long texts; a character has up to four.
        _ => sized("varchar", column.length_max, 1_000, "longtext"),
    }
}
