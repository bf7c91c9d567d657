//! The tables that are made, read again.

use redis_wb_plan::expr::Root;
use redis_wb_plan::plan::{Applier, Closing, Connection, PLAN_VERSION, Source, Versions};
use redis_wb_plan::{Expr, sql_type};

use super::*;
use crate::{Diagnostics, Files, ddl};

fn column(name: &str, column_type: ColumnType) -> Column {
    let expr = Expr::Path { root: Root::Value, names: vec![name.to_owned()].into() };
    Column { name: name.to_owned(), column_type, nullable: name != "key", expr, origin: name.to_owned() }
}

fn plan(dialect: Dialect, output: Output) -> Plan {
    let source: Source = serde_json::from_str(r#"{"key_pattern": "*", "db": 0}"#).expect("a source");
    let connection: Connection =
        serde_json::from_str(&format!(r#"{{"dialect": "{}"}}"#, dialect.id().name())).expect("a connection");
    Plan {
        version: PLAN_VERSION,
        fingerprint: String::new(),
        applier: Applier::default(),
        connections: [("target".to_owned(), connection)].into(),
        redis: BTreeMap::new(),
        jobs: vec![Job { name: "job".to_owned(), source, steps: Vec::new(), outputs: vec![output], redis: Vec::new() }],
    }
}

fn output(columns: Vec<Column>, strategy: Strategy, versions: Option<Versions>) -> Output {
    let columns = serde_json::to_value(columns).expect("plain data");
    let (versions, strategy) = (serde_json::to_value(versions), serde_json::to_value(strategy));
    let json = serde_json::json!({
        "connection": "target", "table": "t", "columns": columns, "key_columns": 1, "write": [],
        "strategy": strategy.expect("plain data"), "versions": versions.expect("plain data"),
    });
    serde_json::from_value(json).expect("an output")
}

fn int(bits: u8, unsigned: bool) -> ColumnType {
    ColumnType { bits: Some(bits), unsigned, ..Type::Int.into() }
}

fn all_types() -> Vec<Column> {
    let text = |length_max| ColumnType { length_max: Some(length_max), ..Type::Text.into() };
    let decimal = ColumnType { precision: Some(12), scale: Some(2), ..Type::Decimal.into() };
    let ints = [8, 16, 24, 32, 64].into_iter().flat_map(|bits| [int(bits, false), int(bits, true)]);
    let more = [text(20), text(100_000), decimal, ColumnType { bits: Some(32), ..Type::Float.into() }];
    let types = Type::NAMED.into_iter().map(ColumnType::from).chain(ints).chain(more);
    let columns = types.enumerate().map(|(at, kind)| column(&format!("c{at}"), kind));
    std::iter::once(column("key", text(20))).chain(columns).collect()
}

/// Whether every value of one type is also one of the other.
fn holds(from: &ColumnType, to: &ColumnType) -> bool {
    // A whole number of redis-wb has 64 bits with its sign, whatever the column would take.
    let digits = |kind: &ColumnType| (u32::from(kind.bits.unwrap_or(64)) * 2 - u32::from(!kind.unsigned)).min(127);
    match (from.kind, to.kind) {
        (Type::Int, Type::Int) => digits(to) >= digits(from) && (from.unsigned || !to.unsigned),
        (Type::Int, Type::Decimal) => to.precision.is_none_or(|precision| precision >= 3),
        (Type::Text | Type::Bytes, _) if from.kind == to.kind => {
            to.length_max.is_none_or(|max| Some(max) >= from.length_max)
        }
        (Type::Bool, Type::Decimal) | (Type::Timestamp | Type::TimestampTz, Type::Timestamp | Type::TimestampTz) => {
            true
        }
        (Type::Decimal | Type::Time | Type::Uuid | Type::Json, Type::Text) | (Type::Date, Type::Timestamp) => true,
        (left, right) => left == right,
    }
}

#[test]
fn every_type_has_a_name_that_reads_as_a_type_that_holds_it() {
    for dialect in dialect::ALL {
        let columns = all_types();
        let text = tables(&plan(dialect, output(columns.clone(), Strategy::Upsert, None))).expect("no bug");
        let name = dialect.id().name();
        for column in &columns {
            let type_name = dialect.type_name(&column.column_type, column.name == "key");
            assert!(text.contains(&type_name), "{name}: {type_name}\n{text}");
            let first = type_name.split(" CHARACTER SET").next().and_then(|first| first.split(" COLLATE").next());
            let read = sql_type::column_type(dialect.id(), first.unwrap_or_default());
            assert!(holds(&column.column_type, &read), "{name}: {} as {type_name}: {read}", column.column_type);
        }
        if dialect.reader().is_none() {
            continue;
        }
        let (mut files, mut diagnostics) = (Files::new(), Diagnostics::default());
        let file = files.add("schema.sql", text.clone());
        let schema = ddl::parse(file, &files, dialect, &mut diagnostics).unwrap_or_else(|| panic!("{name}: {text}"));
        let table = schema.table(None, "t").unwrap_or_else(|| panic!("{name}: {schema:?}"));
        assert!(table.is_unique(&["key"]), "{name}");
        for column in &columns {
            let read = table.column(&column.name).unwrap_or_else(|| panic!("{name}: {}", column.name));
            assert_eq!(read.nullable, column.nullable, "{name}: {}", column.name);
            assert!(holds(&column.column_type, &read.column_type), "{name}: {} {}", read.type_name, column.column_type);
        }
    }
}

#[test]
fn versions_begin_active() {
    let versions = Versions {
        active: "state = 'live' AND valid_to IS NULL".to_owned(),
        closing: [("state", "'old'"), ("valid_to", "CURRENT_TIMESTAMP")]
            .map(|(column, value)| Closing { column: column.to_owned(), value: value.to_owned() })
            .into(),
    };
    let columns = vec![column("key", Type::Int.into()), column("name", Type::Text.into())];
    let output = output(columns, Strategy::Type2, Some(versions));
    let text = tables(&plan(dialect::of(redis_wb_plan::plan::Dialect::PostgreSql), output)).expect("no bug");
    assert_eq!(
        text,
        "-- on connection target, PostgreSQL: written by job\n\
         CREATE TABLE \"t\" (\n    \"key\" bigint NOT NULL,\n    \"name\" text,\n    \
         \"state\" varchar(40) DEFAULT 'live',\n    \"valid_to\" timestamp\n);\n\
         CREATE INDEX \"t_keys\" ON \"t\" (\"key\");\n\n"
    );
}
