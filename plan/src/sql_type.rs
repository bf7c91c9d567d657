//! What a target's type name means: `character varying(20)` is a text of at most 20 characters.
//!
//! Compiler (from DDL) and runtime (from a live connection) both ask here, so that they agree.

use crate::plan::Dialect;
use crate::{ColumnType, Type};

/// The type that `name` stands for in the dialect; [`Type::Unknown`] for one that redis-wb does not know, whose
/// values are sent as text and cast by the target.
#[must_use]
pub fn column_type(dialect: Dialect, name: &str) -> ColumnType {
    let lower = name.trim().to_ascii_lowercase().replace('"', "");
    let (base, arguments) = split(&lower);
    match dialect {
        Dialect::PostgreSql => postgresql(&base, &arguments),
        Dialect::Sqlite => sqlite(&base, &arguments),
    }
}

/// `timestamp(3) with time zone` is `timestamp with time zone` and `[3]`.
fn split(name: &str) -> (String, Vec<u32>) {
    let Some((before, rest)) = name.split_once('(') else {
        return (squeeze(name), Vec::new());
    };
    let (inside, after) = rest.split_once(')').unwrap_or((rest, ""));
    let arguments = inside.split(',').map_while(|argument| argument.trim().parse().ok()).collect();
    (squeeze(&format!("{before} {after}")), arguments)
}

fn squeeze(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn int(bits: u8) -> ColumnType {
    ColumnType { bits: Some(bits), ..Type::Int.into() }
}

fn float(bits: u8) -> ColumnType {
    ColumnType { bits: Some(bits), ..Type::Float.into() }
}

fn decimal(arguments: &[u32]) -> ColumnType {
    let precision = arguments.first().copied();
    let scale = precision.map(|_| arguments.get(1).copied().unwrap_or(0));
    ColumnType { precision, scale, ..Type::Decimal.into() }
}

fn text(length_max: Option<u32>) -> ColumnType {
    ColumnType { length_max, ..Type::Text.into() }
}

/// <https://www.postgresql.org/docs/current/datatype.html>, aliases included.
fn postgresql(base: &str, arguments: &[u32]) -> ColumnType {
    match base {
        "smallint" | "int2" | "smallserial" | "serial2" => int(16),
        "integer" | "int" | "int4" | "serial" | "serial4" => int(32),
        "bigint" | "int8" | "bigserial" | "serial8" => int(64),
        "real" | "float4" => float(32),
        "float" => float(if arguments.first().is_some_and(|digits| *digits <= 24) { 32 } else { 64 }),
        "double precision" | "float8" => float(64),
        "numeric" | "decimal" | "dec" => decimal(arguments),
        "boolean" | "bool" => Type::Bool.into(),
        "text" => text(None),
        "character varying" | "varchar" => text(arguments.first().copied()),
        "character" | "char" | "bpchar" => text(Some(arguments.first().copied().unwrap_or(1))),
        "bytea" => Type::Bytes.into(),
        "date" => Type::Date.into(),
        "time" | "time without time zone" => Type::Time.into(),
        "timestamp" | "timestamp without time zone" => Type::Timestamp.into(),
        "timestamptz" | "timestamp with time zone" => Type::TimestampTz.into(),
        "uuid" => Type::Uuid.into(),
        "json" | "jsonb" => Type::Json.into(),
        _ => Type::Unknown.into(),
    }
}

/// What NUMERIC affinity keeps: <https://www.sqlite.org/datatype3.html#type_affinity>.
const SQLITE_SIGNIFICANT_MAX: u32 = 15;

/// Names that say more than SQLite's affinity are taken at their word; the rest by affinity, with the rules of
/// <https://www.sqlite.org/datatype3.html#determination_of_column_affinity>.
fn sqlite(base: &str, arguments: &[u32]) -> ColumnType {
    match base {
        "boolean" | "bool" => return Type::Bool.into(),
        "date" => return Type::Date.into(),
        "time" => return Type::Time.into(),
        "datetime" | "timestamp" => return Type::Timestamp.into(),
        "timestamptz" | "timestamp with time zone" => return Type::TimestampTz.into(),
        "uuid" => return Type::Uuid.into(),
        "json" | "jsonb" => return Type::Json.into(),
        "numeric" | "decimal" => {
            return ColumnType { significant_max: Some(SQLITE_SIGNIFICANT_MAX), ..decimal(arguments) };
        }
        _ => {}
    }
    if base.contains("int") {
        int(64)
    } else if ["char", "clob", "text"].iter().any(|part| base.contains(part)) {
        text(None)
    } else if base.contains("blob") {
        Type::Bytes.into()
    } else if ["real", "floa", "doub"].iter().any(|part| base.contains(part)) {
        float(64)
    } else {
        Type::Unknown.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_aliases() {
        for (dialect, name, expected) in [
            (Dialect::PostgreSql, "INTEGER", "int32"),
            (Dialect::PostgreSql, "character varying(20)", "text(20)"),
            (Dialect::PostgreSql, "NUMERIC(10, 2)", "decimal(10,2)"),
            (Dialect::PostgreSql, "timestamp(3) with time zone", "timestamptz"),
            (Dialect::PostgreSql, "char", "text(1)"),
            (Dialect::PostgreSql, "inet", "unknown"),
            (Dialect::Sqlite, "VARCHAR(20)", "text"),
            (Dialect::Sqlite, "UNSIGNED BIG INT", "int"),
            (Dialect::Sqlite, "", "unknown"),
        ] {
            assert_eq!(column_type(dialect, name).to_string(), expected, "{name}");
        }
    }
}
