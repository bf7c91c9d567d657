//! Db2: `MERGE` over a list of `VALUES`, whose parameters must be cast, since nothing else gives them a type.
//! <https://www.ibm.com/docs/en/db2/11.5?topic=statements-merge>

use redis_wb_plan::plan::Dialect as Id;
use redis_wb_plan::{ColumnType, Type};
use sqlparser::dialect::GenericDialect;

use super::{Capabilities, Kind, Template, Unit, digits, oracle, sized, templates, upper};

pub(super) struct Db2;

impl Capabilities for Db2 {
    fn id(&self) -> Id {
        Id::Db2
    }

    fn quote(&self, name: &str) -> String {
        format!("\"{}\"", upper::of_target(name).replace('"', "\"\""))
    }

    fn name_max(&self, _kind: Kind) -> Option<(usize, Unit)> {
        Some((128, Unit::Bytes))
    }

    fn named(&self, written: &str, quoted: bool) -> String {
        upper::of_job(written, quoted)
    }

    fn default_schema(&self) -> &'static str {
        ""
    }

    fn reader(&self) -> Option<&'static dyn sqlparser::dialect::Dialect> {
        Some(&GenericDialect {})
    }

    /// Lengths count bytes: a character has up to four. Times have no fraction, instants no zone: both are kept as
    /// timestamps would be, in UTC.
    fn type_name(&self, column: &ColumnType, is_key: bool) -> String {
        let length = column.length_max.map(|length| length.saturating_mul(4));
        match column.kind {
            Type::Bool => "boolean".to_owned(),
            Type::Int => match (column.bits, column.unsigned) {
                (Some(8), _) | (Some(16), false) => "smallint".to_owned(),
                (Some(24 | 32), false) | (Some(16 | 24), true) => "integer".to_owned(),
                (Some(64) | None, true) => "decimal(20,0)".to_owned(),
                _ => "bigint".to_owned(),
            },
            Type::Float if column.bits == Some(32) => "real".to_owned(),
            Type::Float => "double".to_owned(),
            Type::Decimal => digits("decimal", column, 31, "decfloat(34)"),
            Type::Bytes => sized(
                "varbinary",
                column.length_max,
                32_672,
                if is_key { "varbinary(255)" } else { "blob(1073741824)" },
            ),
            Type::Date => "date".to_owned(),
            Type::Time => "varchar(15)".to_owned(),
            Type::Timestamp | Type::TimestampTz => "timestamp(6)".to_owned(),
            Type::Uuid => "char(36)".to_owned(),
            _ => sized("varchar", length, 32_672, if is_key { "varchar(255)" } else { "clob(1073741824)" }),
        }
    }

    fn parser(&self) -> Option<&'static dyn sqlparser::dialect::Dialect> {
        None
    }

    fn templates(&self) -> &'static [Template] {
        templates!("db2": "insert", "upsert", "delete", "clear", "children", "close", "open", "table")
    }

    fn parameters_max(&self) -> usize {
        32_767
    }

    fn cast(&self, column: &ColumnType, type_name: Option<&str>) -> Option<String> {
        Some(type_name.map_or_else(|| self.type_name(column, false), str::to_owned))
    }

    fn is_opaque(&self, column: &ColumnType, type_name: Option<&str>) -> bool {
        oracle::is_large(column, type_name, 8_168)
    }
}
