//! MariaDB: as MySQL, but `VALUES(column)` where MySQL has an alias of the new row, and no type for JSON.
//! <https://mariadb.com/kb/en/insert-on-duplicate-key-update/>

use redis_wb_plan::plan::Dialect as Id;
use redis_wb_plan::{ColumnType, Type};
use sqlparser::dialect::MySqlDialect;

use super::mysql::{NAME_MAX, PARAMETERS_MAX, backticks, cast, key_text, refuses, type_name};
use super::{Capabilities, Kind, Template, Unit, templates};

pub(super) struct MariaDb;

impl Capabilities for MariaDb {
    fn id(&self) -> Id {
        Id::MariaDb
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
            Type::Uuid => "uuid".to_owned(),
            Type::Text | Type::Unknown if is_key => key_text(column, "utf8mb4_nopad_bin"),
            _ => type_name(column, is_key),
        }
    }

    fn parser(&self) -> Option<&'static dyn sqlparser::dialect::Dialect> {
        self.reader()
    }

    fn templates(&self) -> &'static [Template] {
        templates!("mariadb": "insert", "upsert", "delete", "clear", "children", "close", "open", "table")
    }

    fn upserts_by_any_index(&self) -> bool {
        true
    }

    fn parameters_max(&self) -> usize {
        PARAMETERS_MAX
    }

    /// As [`cast`]. JSON is kept as text, and compared as that.
    fn cast(&self, column: &ColumnType, _type_name: Option<&str>) -> Option<String> {
        cast(column)
    }
}
