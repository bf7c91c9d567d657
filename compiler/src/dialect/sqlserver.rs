//! SQL Server: `MERGE` over a list of `VALUES`, with HOLDLOCK, without which two writers could insert the same key.
//! <https://learn.microsoft.com/en-us/sql/t-sql/statements/merge-transact-sql>

use redis_wb_plan::plan::{Dialect as Id, Marker};
use redis_wb_plan::{ColumnType, Type};
use sqlparser::dialect::MsSqlDialect;

use super::{Capabilities, Kind, Template, Unit, digits, sized, templates};

pub(super) struct SqlServer;

impl Capabilities for SqlServer {
    fn id(&self) -> Id {
        Id::SqlServer
    }

    fn quote(&self, name: &str) -> String {
        format!("[{}]", name.replace(']', "]]"))
    }

    /// `sysname`.
    fn name_max(&self, _kind: Kind) -> Option<(usize, Unit)> {
        Some((128, Unit::Utf16))
    }

    fn ignores_case(&self) -> bool {
        true
    }

    fn default_schema(&self) -> &'static str {
        "dbo"
    }

    fn reader(&self) -> Option<&'static dyn sqlparser::dialect::Dialect> {
        Some(&MsSqlDialect {})
    }

    fn ends_statement(&self, word: &str) -> bool {
        word.eq_ignore_ascii_case("go")
    }

    fn type_name(&self, column: &ColumnType, is_key: bool) -> String {
        match column.kind {
            Type::Bool => "bit".to_owned(),
            Type::Int => match (column.bits, column.unsigned) {
                (Some(8), true) => "tinyint".to_owned(),
                (Some(8 | 16), false) => "smallint".to_owned(),
                (Some(24 | 32), false) | (Some(16 | 24), true) => "int".to_owned(),
                (Some(64) | None, true) => "decimal(20,0)".to_owned(),
                _ => "bigint".to_owned(),
            },
            Type::Float if column.bits == Some(32) => "real".to_owned(),
            Type::Float => "float(53)".to_owned(),
            Type::Decimal => digits("decimal", column, 38, "decimal(38,10)"),
            Type::Bytes if is_key => sized("varbinary", column.length_max, 900, "varbinary(255)"),
            Type::Bytes => sized("varbinary", column.length_max, 8_000, "varbinary(max)"),
            Type::Date => "date".to_owned(),
            Type::Time => "time(6)".to_owned(),
            Type::Timestamp => "datetime2(6)".to_owned(),
            Type::TimestampTz => "datetimeoffset(6)".to_owned(),
            Type::Uuid => "uniqueidentifier".to_owned(),
            // By default `a` and `A` would be the same row.
            Type::Text | Type::Unknown if is_key => {
                let size = sized("nvarchar", column.length_max, 450, "nvarchar(255)");
                format!("{size} COLLATE Latin1_General_100_BIN2")
            }
            _ => sized("nvarchar", column.length_max, 4_000, "nvarchar(max)"),
        }
    }

    fn parser(&self) -> Option<&'static dyn sqlparser::dialect::Dialect> {
        self.reader()
    }

    fn templates(&self) -> &'static [Template] {
        templates!("sqlserver": "insert", "upsert", "delete", "clear", "children", "close", "open", "table")
    }

    fn marker(&self) -> Marker {
        Marker::Numbered("@P".to_owned())
    }

    /// 2,100 of a procedure, of which `sp_executesql` itself takes two.
    fn parameters_max(&self) -> usize {
        2_098
    }
}
