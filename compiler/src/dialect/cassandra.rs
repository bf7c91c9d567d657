//! CQL of Cassandra: an INSERT is an upsert, and a row can be found by its key alone. One row per execution; a client
//! that writes many rows of one partition sends them as an unlogged batch.
//! <https://cassandra.apache.org/doc/stable/cassandra/cql/dml.html>

use redis_wb_plan::plan::{Dialect as Id, Strategy};
use redis_wb_plan::{ColumnType, Type};

use super::{Capabilities, Kind, Template, Unit, templates};

pub(super) struct Cassandra;

impl Capabilities for Cassandra {
    fn id(&self) -> Id {
        Id::Cassandra
    }

    fn name_max(&self, kind: Kind) -> Option<(usize, Unit)> {
        match kind {
            Kind::Schema | Kind::Table => Some((48, Unit::Characters)),
            Kind::Column => Some((65_535, Unit::Bytes)),
        }
    }

    fn refuses(&self, character: char, kind: Kind) -> Option<&'static str> {
        let refused = kind != Kind::Column && !character.is_ascii_alphanumeric() && character != '_';
        refused.then_some("the names of its keyspaces and tables take letters, digits and `_` alone")
    }

    fn named(&self, written: &str, quoted: bool) -> String {
        if quoted { written.to_owned() } else { written.to_lowercase() }
    }

    fn default_schema(&self) -> &'static str {
        ""
    }

    fn reader(&self) -> Option<&'static dyn sqlparser::dialect::Dialect> {
        None
    }

    /// A `timestamp` is an instant, in milliseconds; a date-time without a zone is kept as one in UTC.
    fn type_name(&self, column: &ColumnType, _is_key: bool) -> String {
        let name = match column.kind {
            Type::Bool => "boolean",
            Type::Int => match (column.bits, column.unsigned) {
                (Some(8), false) => "tinyint",
                (Some(16), false) | (Some(8), true) => "smallint",
                (Some(24 | 32), false) | (Some(16 | 24), true) => "int",
                (Some(64) | None, true) => "varint",
                _ => "bigint",
            },
            Type::Float if column.bits == Some(32) => "float",
            Type::Float => "double",
            Type::Decimal => "decimal",
            Type::Bytes => "blob",
            Type::Date => "date",
            Type::Time => "time",
            Type::Timestamp | Type::TimestampTz => "timestamp",
            Type::Uuid => "uuid",
            _ => "text",
        };
        name.to_owned()
    }

    fn parser(&self) -> Option<&'static dyn sqlparser::dialect::Dialect> {
        None
    }

    fn templates(&self) -> &'static [Template] {
        templates!("cassandra": "insert", "upsert", "delete", "clear", "table")
    }

    /// A delete and an insert of one key in the same batch have the same time, and then the delete wins; and no
    /// statement can ask for anything but a key, as closing a version must.
    fn supports(&self, strategy: Strategy) -> bool {
        matches!(strategy, Strategy::Upsert | Strategy::Append)
    }

    fn parameters_max(&self) -> usize {
        65_535
    }
}
