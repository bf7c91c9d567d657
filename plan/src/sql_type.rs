//! What a target's type name means: `character varying(20)` is a text of at most 20 characters.
//!
//! Compiler (from DDL) and runtime (from a live connection) both ask here, so that they agree.

use crate::plan::Dialect;
use crate::types::Members;
use crate::{ColumnType, Type};

/// The type that `name` stands for in the dialect; [`Type::Unknown`] for one that redis-wb does not know, whose
/// values are sent as text and cast by the target.
#[must_use]
pub fn column_type(dialect: Dialect, name: &str) -> ColumnType {
    let lower = name.trim().to_ascii_lowercase().replace(['"', '[', ']', '`'], "");
    let (base, arguments) = split(&lower);
    match dialect {
        Dialect::PostgreSql if is_array(name) => Type::List.into(),
        Dialect::PostgreSql => postgresql(&base, &arguments),
        Dialect::MySql | Dialect::MariaDb => members(name).unwrap_or_else(|| mysql(&base, &arguments)),
        Dialect::Sqlite => sqlite(&base, &arguments),
        Dialect::SqlServer => sqlserver(&base, &arguments),
        Dialect::Oracle => oracle(&base, &arguments),
        Dialect::Db2 => db2(&base, &arguments),
        Dialect::Cassandra => cassandra(&base),
    }
}

/// `integer[]`, `text[3][3]`, `integer ARRAY`.
fn is_array(name: &str) -> bool {
    let name = name.trim_end();
    name.ends_with(']') || name.rsplit(' ').any(|word| word.eq_ignore_ascii_case("array"))
}

/// `timestamp(3) with time zone` is `timestamp with time zone` and `[3]`.
fn split(name: &str) -> (String, Vec<u32>) {
    let Some((before, rest)) = name.split_once('(') else {
        return (squeeze(name), Vec::new());
    };
    let (inside, after) = rest.split_once(')').unwrap_or((rest, ""));
    // A length may have a unit: `40 char`.
    let number = |argument: &str| argument.split_whitespace().next()?.parse().ok();
    let arguments = inside.split(',').map_while(number).collect();
    (squeeze(&format!("{before} {after}")), arguments)
}

fn squeeze(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn int(bits: u8) -> ColumnType {
    ColumnType { bits: Some(bits), ..Type::Int.into() }
}

fn unsigned(bits: u8) -> ColumnType {
    ColumnType { unsigned: true, ..int(bits) }
}

fn float(bits: u8) -> ColumnType {
    ColumnType { bits: Some(bits), ..Type::Float.into() }
}

fn decimal(arguments: &[u32]) -> ColumnType {
    let precision = arguments.first().copied();
    let scale = precision.map(|_| arguments.get(1).copied().unwrap_or(0));
    ColumnType { precision, scale, ..Type::Decimal.into() }
}

/// A decimal whose digits are these where the name says none.
fn decimal_or(arguments: &[u32], otherwise: [u32; 2]) -> ColumnType {
    if arguments.is_empty() { decimal(&otherwise) } else { decimal(arguments) }
}

/// A time whose seconds have so many digits behind the point, where the name says it.
fn clock(kind: Type, arguments: &[u32]) -> ColumnType {
    let scale = arguments.first().copied().filter(|digits| *digits < CLOCK_DIGITS_MAX);
    ColumnType { scale, ..kind.into() }
}

/// The digits of a microsecond: more are never asked for.
const CLOCK_DIGITS_MAX: u32 = 6;

fn text(length_max: Option<u32>) -> ColumnType {
    ColumnType { length_max, ..Type::Text.into() }
}

fn bytes(length_max: Option<u32>) -> ColumnType {
    ColumnType { length_max, ..Type::Bytes.into() }
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
        "time" | "time without time zone" => clock(Type::Time, arguments),
        "timestamp" | "timestamp without time zone" => clock(Type::Timestamp, arguments),
        "timestamptz" | "timestamp with time zone" => clock(Type::TimestampTz, arguments),
        "uuid" => Type::Uuid.into(),
        "json" | "jsonb" => Type::Json.into(),
        _ => Type::Unknown.into(),
    }
}

/// <https://dev.mysql.com/doc/refman/8.4/en/data-types.html> and <https://mariadb.com/kb/en/data-types/>.
///
/// A display width as in `int(11)` bounds nothing. `tinyint(1)` is what both make of `boolean`. Texts in bytes
/// (`tinytext`, `text`) are bound by bytes of which a character has up to four, so no bound in characters is known.
fn mysql(base: &str, arguments: &[u32]) -> ColumnType {
    let is_unsigned = base.split(' ').any(|word| word == "unsigned" || word == "zerofill");
    let whole = |bits| if is_unsigned { unsigned(bits) } else { int(bits) };
    let first = base.split(' ').next().unwrap_or_default();
    match first {
        "boolean" | "bool" => Type::Bool.into(),
        "tinyint" if arguments == [1] && !is_unsigned => Type::Bool.into(),
        "bit" if matches!(arguments, [] | [1]) => Type::Bool.into(),
        "bit" => unsigned(arguments.first().and_then(|bits| u8::try_from(*bits).ok()).unwrap_or(64)),
        "tinyint" => whole(8),
        "smallint" => whole(16),
        "mediumint" => whole(24),
        "int" | "integer" => whole(32),
        "bigint" | "serial" => whole(64),
        "year" => ColumnType { range: Some(YEARS), ..unsigned(16) },
        "float" => match arguments {
            [digits] => float(if *digits > 24 { 64 } else { 32 }),
            _ => rounded(float(32), arguments),
        },
        "double" | "real" => rounded(float(64), arguments),
        "decimal" | "numeric" | "dec" | "fixed" => decimal_or(arguments, [10, 0]),
        "char" | "character" | "nchar" if !base.contains("varying") => {
            text(Some(arguments.first().copied().unwrap_or(1)))
        }
        "varchar" | "nvarchar" | "character" | "char" => text(arguments.first().copied()),
        "tinytext" | "text" | "mediumtext" | "longtext" => text(None),
        "binary" => bytes(Some(arguments.first().copied().unwrap_or(1))),
        "varbinary" => bytes(arguments.first().copied()),
        "tinyblob" => bytes(Some(255)),
        "blob" => bytes(Some(65_535)),
        "mediumblob" | "longblob" => bytes(None),
        "date" => Type::Date.into(),
        "time" => whole_seconds_or(Type::Time, arguments),
        "datetime" => whole_seconds_or(Type::Timestamp, arguments),
        "timestamp" => whole_seconds_or(Type::TimestampTz, arguments),
        "uuid" => Type::Uuid.into(),
        "json" => Type::Json.into(),
        _ => Type::Unknown.into(),
    }
}

/// The years that `year` keeps as they are; it takes 1 to 99 for others, and 0 for none.
const YEARS: [i64; 2] = [1_901, 2_155];

/// `float(7,2)` rounds to two digits behind the point.
fn rounded(column: ColumnType, arguments: &[u32]) -> ColumnType {
    match arguments {
        [precision, scale] => ColumnType { precision: Some(*precision), scale: Some(*scale), ..column },
        _ => column,
    }
}

/// `enum('a','b')` and `set('a','b')`, whose members keep their case. What is none of them would be read as a number
/// where it looks like one: `1` as the first.
fn members(name: &str) -> Option<ColumnType> {
    let (base, rest) = name.split_once('(')?;
    let is_set = base.trim().eq_ignore_ascii_case("set");
    if !is_set && !base.trim().eq_ignore_ascii_case("enum") {
        return None;
    }
    let (mut names, mut rest) = (Vec::new(), rest.trim_start());
    while let Some(text) = rest.strip_prefix('\'') {
        let (member, behind) = member(text)?;
        names.push(member);
        rest = behind.trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
    }
    let members = Some(Box::new(Members { names, is_set }));
    rest.starts_with(')').then(|| ColumnType { members, ..Type::Text.into() })
}

/// The text up to its closing quote, and what stands behind it. The server shows a quote twice and what cannot be
/// printed behind a backslash.
fn member(text: &str) -> Option<(String, &str)> {
    let mut member = String::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, char)) = chars.next() {
        let next = chars.peek().map(|(_, next)| *next);
        let shown = match (char, next) {
            ('\'', Some('\'')) => '\'',
            ('\'', _) => return Some((member, text.get(at + 1..)?)),
            ('\\', Some('0')) => '\0',
            ('\\', Some('n')) => '\n',
            ('\\', Some('r')) => '\r',
            ('\\', Some('\\')) => '\\',
            _ => {
                member.push(char);
                continue;
            }
        };
        chars.next();
        member.push(shown);
    }
    None
}

/// A time that has no digits behind the seconds where the name says none.
fn whole_seconds_or(kind: Type, arguments: &[u32]) -> ColumnType {
    clock(kind, if arguments.is_empty() { &[0] } else { arguments })
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

/// <https://learn.microsoft.com/en-us/sql/t-sql/data-types/data-types-transact-sql>. `varchar` counts bytes of the
/// column's code page, `nvarchar` pairs of bytes; characters are what they hold of text in the common plane.
fn sqlserver(base: &str, arguments: &[u32]) -> ColumnType {
    match base {
        "bit" => Type::Bool.into(),
        "tinyint" => unsigned(8),
        "smallint" => int(16),
        "int" | "integer" => int(32),
        "bigint" => int(64),
        "real" => float(32),
        "float" | "double precision" => {
            float(if arguments.first().is_some_and(|digits| *digits <= 24) { 32 } else { 64 })
        }
        "decimal" | "numeric" | "dec" => decimal_or(arguments, [18, 0]),
        "money" => decimal(&[19, 4]),
        "smallmoney" => decimal(&[10, 4]),
        "char" | "nchar" | "character" => text(Some(arguments.first().copied().unwrap_or(1))),
        "varchar" | "nvarchar" | "character varying" | "text" | "ntext" => text(arguments.first().copied()),
        "binary" => bytes(Some(arguments.first().copied().unwrap_or(1))),
        "varbinary" | "image" => bytes(arguments.first().copied()),
        "date" => Type::Date.into(),
        "time" => clock(Type::Time, arguments),
        "datetime" | "datetime2" | "smalldatetime" => clock(Type::Timestamp, arguments),
        "datetimeoffset" => clock(Type::TimestampTz, arguments),
        "uniqueidentifier" => Type::Uuid.into(),
        "json" => Type::Json.into(),
        _ => Type::Unknown.into(),
    }
}

/// <https://docs.oracle.com/en/database/oracle/oracle-database/19/sqlrf/Data-Types.html>. A `DATE` holds a time of day
/// as well; `NUMBER` without digits holds any scale.
fn oracle(base: &str, arguments: &[u32]) -> ColumnType {
    match base {
        "number" | "numeric" | "decimal" => decimal(arguments),
        "smallint" | "integer" | "int" => decimal(&[38, 0]),
        "binary_float" => float(32),
        "binary_double" | "float" | "real" | "double precision" => float(64),
        "boolean" => Type::Bool.into(),
        "char" | "nchar" => text(Some(arguments.first().copied().unwrap_or(1))),
        "varchar2" | "nvarchar2" | "varchar" | "character varying" => text(arguments.first().copied()),
        "clob" | "nclob" | "long" => text(None),
        "raw" => bytes(arguments.first().copied()),
        "blob" | "long raw" => bytes(None),
        "date" | "timestamp" => clock(Type::Timestamp, arguments),
        "timestamp with time zone" | "timestamp with local time zone" => clock(Type::TimestampTz, arguments),
        "json" => Type::Json.into(),
        _ => Type::Unknown.into(),
    }
}

/// <https://www.ibm.com/docs/en/db2/11.5?topic=statements-create-table>. Lengths count bytes unless they say
/// `CODEUNITS32`; so a text may turn out too long for the target only.
fn db2(base: &str, arguments: &[u32]) -> ColumnType {
    let for_bits = base.ends_with("for bit data");
    let first = base.split(' ').next().unwrap_or_default();
    match first {
        "smallint" => int(16),
        "integer" | "int" => int(32),
        "bigint" => int(64),
        "real" => float(32),
        "double" | "float" => float(64),
        "decimal" | "numeric" | "dec" => decimal_or(arguments, [5, 0]),
        "decfloat" => Type::Decimal.into(),
        "boolean" => Type::Bool.into(),
        "char" | "character" | "varchar" if for_bits => bytes(arguments.first().copied()),
        "char" | "character" if !base.contains("varying") => text(Some(arguments.first().copied().unwrap_or(1))),
        "varchar" | "char" | "character" | "vargraphic" => text(arguments.first().copied()),
        "clob" | "dbclob" | "nclob" => text(None),
        "binary" => bytes(Some(arguments.first().copied().unwrap_or(1))),
        "varbinary" => bytes(arguments.first().copied()),
        "blob" => bytes(None),
        "date" => Type::Date.into(),
        "time" => Type::Time.into(),
        "timestamp" => clock(Type::Timestamp, arguments),
        _ => Type::Unknown.into(),
    }
}

/// <https://cassandra.apache.org/doc/stable/cassandra/cql/types.html>. A `timestamp` is an instant.
fn cassandra(base: &str) -> ColumnType {
    match base {
        "boolean" => Type::Bool.into(),
        "tinyint" => int(8),
        "smallint" => int(16),
        "int" => int(32),
        "bigint" => int(64),
        "varint" => decimal(&[1_000, 0]),
        "float" => float(32),
        "double" => float(64),
        "decimal" => Type::Decimal.into(),
        "text" | "varchar" | "ascii" => text(None),
        "blob" => Type::Bytes.into(),
        "date" => Type::Date.into(),
        "time" => Type::Time.into(),
        "timestamp" => Type::TimestampTz.into(),
        "uuid" | "timeuuid" => Type::Uuid.into(),
        _ => Type::Unknown.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_read_as_the_server_shows_them() {
        for (name, names, is_set) in [
            ("enum('a','B c')", &["a", "B c"][..], false),
            (r"SET('it''s', 'a\\b','', 'x,y)') CHARACTER SET latin1", &["it's", r"a\b", "", "x,y)"], true),
        ] {
            let members = column_type(Dialect::MariaDb, name).members.unwrap();
            assert_eq!(
                (members.names.as_slice(), members.is_set),
                (&*names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(), is_set)
            );
        }
        assert_eq!(column_type(Dialect::MariaDb, "enum('a").members, None);
    }

    #[test]
    fn names_and_aliases() {
        for (dialect, name, expected) in [
            (Dialect::PostgreSql, "INTEGER", "int32"),
            (Dialect::PostgreSql, "character varying(20)", "text(20)"),
            (Dialect::PostgreSql, "NUMERIC(10, 2)", "decimal(10,2)"),
            (Dialect::PostgreSql, "timestamp(3) with time zone", "timestamptz(3)"),
            (Dialect::PostgreSql, "timestamp(6)", "timestamp"),
            (Dialect::PostgreSql, "char", "text(1)"),
            (Dialect::PostgreSql, "inet", "unknown"),
            (Dialect::MySql, "int(11)", "int32"),
            (Dialect::MySql, "INT UNSIGNED", "int32"),
            (Dialect::MySql, "tinyint(1)", "bool"),
            (Dialect::MySql, "tinyint(4)", "int8"),
            (Dialect::MySql, "bit(1)", "bool"),
            (Dialect::MariaDb, "bit(5)", "int5"),
            (Dialect::MySql, "decimal", "decimal(10,0)"),
            (Dialect::MySql, "double precision", "float"),
            (Dialect::MySql, "float(7,2)", "float32"),
            (Dialect::MySql, "datetime(6)", "timestamp"),
            (Dialect::MySql, "datetime", "timestamp(0)"),
            (Dialect::MariaDb, "time(2)", "time(2)"),
            (Dialect::MySql, "enum('a','b')", "text"),
            (Dialect::MySql, "year", "int16"),
            (Dialect::MySql, "double(7,2)", "float(7,2)"),
            (Dialect::MySql, "character varying(9)", "text(9)"),
            (Dialect::MariaDb, "uuid", "uuid"),
            (Dialect::Sqlite, "VARCHAR(20)", "text"),
            (Dialect::Sqlite, "UNSIGNED BIG INT", "int"),
            (Dialect::Sqlite, "", "unknown"),
            (Dialect::SqlServer, "nvarchar(max)", "text"),
            (Dialect::SqlServer, "[nvarchar](40)", "text(40)"),
            (Dialect::SqlServer, "datetimeoffset(7)", "timestamptz"),
            (Dialect::Oracle, "VARCHAR2(40 CHAR)", "text(40)"),
            (Dialect::Oracle, "NUMBER", "decimal"),
            (Dialect::Oracle, "TIMESTAMP(6) WITH TIME ZONE", "timestamptz"),
            (Dialect::Db2, "CHAR(16) FOR BIT DATA", "bytes(16)"),
            (Dialect::Db2, "DECIMAL", "decimal(5,0)"),
            (Dialect::Cassandra, "timeuuid", "uuid"),
        ] {
            assert_eq!(column_type(dialect, name).to_string(), expected, "{name}");
        }
    }
}
