//! Every dialect by every strategy, over columns of every type and names of every kind.

use super::*;
use crate::render::{Rows, Statements, statements};
use redis_wb_plan::expr::{Names, Root};
use redis_wb_plan::plan::{Closing, Column, Shape, Statement, Versions};
use redis_wb_plan::{ColumnType, Expr, Type};
use sqlparser::parser::Parser;

fn column(name: &str, column_type: ColumnType) -> Column {
    let expr = Expr::Path { root: Root::Value, names: vec![name.to_owned()].into() };
    Column { name: name.to_owned(), column_type, nullable: true, expr, origin: name.to_owned() }
}

/// Two key columns and one column of each type.
fn columns() -> Vec<Column> {
    let keys = [column("select", Type::Int.into()), column("Mixed Case", Type::Text.into())];
    let values = Type::NAMED.into_iter().map(|kind| column(&format!("a {kind}"), kind.into()));
    keys.into_iter().chain(values).chain([column("unknown", Type::Unknown.into())]).collect()
}

fn render(dialect: Dialect, strategy: Strategy, columns: &[Column], key_columns: usize) -> Statements {
    let versions = Versions {
        active: "is_active = 'Y' OR (valid_to IS NULL)".to_owned(),
        closing: vec![Closing { column: "valid_to".to_owned(), value: "CURRENT_TIMESTAMP".to_owned() }],
    };
    let names = vec![None; columns.len()];
    let rows = Rows {
        schema: Some("Sales"),
        table: "order",
        columns,
        type_names: &names,
        key_columns,
        strategy,
        versions: Some(&versions),
        keep: false,
        parent: &[0],
    };
    statements(&rows, dialect).unwrap_or_else(|failure| panic!("{} {strategy:?}: {failure:?}", dialect.id().name()))
}

fn every(found: &Statements) -> Vec<&Statement> {
    let children = found.children.as_ref().expect("a parent is named");
    let all =
        found.write.iter().chain(&found.delete).chain(&found.clear).chain([&children.all]).chain(&children.others);
    all.collect()
}

#[test]
fn every_statement_renders_and_is_read_again_however_many_rows() {
    let columns = columns();
    for dialect in ALL {
        let strategies = [Strategy::Upsert, Strategy::Append, Strategy::Replace, Strategy::Type2];
        for strategy in strategies.into_iter().filter(|strategy| dialect.supports(*strategy)) {
            // Keys alone are a table, too; and a single key makes no tuple.
            for (columns, keys) in [(columns.as_slice(), 2), (&columns[..2], 2), (&columns[..1], 1)] {
                let found = render(dialect, strategy, columns, keys);
                for statement in every(&found) {
                    assert!(!statement.sql.contains('\0'), "{}", statement.sql);
                    assert_eq!(statement.text(1), statement.sql);
                    let text = statement.text(statement.rows_max().min(3));
                    if let Some(parser) = dialect.parser() {
                        Parser::parse_sql(parser, &text).unwrap_or_else(|error| panic!("{error}: {text}"));
                    }
                    let Shape::Rows(repeat) = &statement.shape else { continue };
                    let in_row = repeat.row.len() - 1;
                    let head = statement.params.len() - in_row;
                    assert!(head + in_row * repeat.rows_max <= dialect.parameters_max());
                }
            }
        }
    }
}

#[test]
fn a_plan_does_not_say_what_a_dialect_cannot_do() {
    let found = render(of(Id::Cassandra), Strategy::Upsert, &columns(), 2);
    assert!(found.children.expect("a parent is named").others.is_none(), "CQL cannot keep some rows of a parent");
    let columns = columns();
    let rows = Rows {
        schema: None,
        table: "t",
        columns: &columns,
        type_names: &[],
        key_columns: 2,
        strategy: Strategy::Replace,
        versions: None,
        keep: false,
        parent: &[],
    };
    assert!(statements(&rows, of(Id::Cassandra)).is_err());
}

#[test]
fn an_append_writes_a_row_for_a_delete_only_where_a_column_tells() {
    let dialect = of(Id::PostgreSql);
    let mut columns = columns();
    assert!(render(dialect, Strategy::Append, &columns, 2).delete.is_none());
    let opcode = Expr::Path { root: Root::Opcode, names: Names::new() };
    columns.push(Column { expr: opcode, ..column("op", Type::Text.into()) });
    let delete = render(dialect, Strategy::Append, &columns, 2).delete.expect("the opcode is told");
    assert_eq!(delete.params.len(), columns.len());
}

#[test]
fn names_are_quoted_whatever_is_in_them() {
    for dialect in ALL {
        for name in ["plain", "select", "Mixed", "it's", "a`b", "a\"b", "a]b[", "a\\b", "ä ö", "semi;colon", "-- no"]
        {
            if fault(dialect, name, Kind::Column).is_some() {
                continue;
            }
            let quoted = dialect.quote(name);
            let Some(parser) = dialect.parser() else { continue };
            let read = Parser::new(parser).try_with_sql(&quoted).and_then(|mut parser| parser.parse_identifier());
            let read = read.unwrap_or_else(|error| panic!("{}: {quoted}: {error}", dialect.id().name()));
            assert_eq!(dialect.named(&read.value, true), name, "{}: {quoted}", dialect.id().name());
        }
    }
}

#[test]
fn names_that_a_dialect_cannot_have_are_told_with_the_reason() {
    let too_long = |length, max, unit| Some(Fault::TooLong { length, max, unit });
    let (letters, umlauts) = ("a".repeat(65), "ä".repeat(64));
    for (id, name, kind, expected) in [
        (Id::PostgreSql, letters.as_str(), Kind::Table, too_long(65, 63, Unit::Bytes)),
        (Id::PostgreSql, umlauts.as_str(), Kind::Table, too_long(128, 63, Unit::Bytes)),
        (Id::MySql, umlauts.as_str(), Kind::Column, None),
        (Id::MariaDb, letters.as_str(), Kind::Column, too_long(65, 64, Unit::Characters)),
        (Id::Sqlite, letters.as_str(), Kind::Table, None),
        (Id::Cassandra, letters.as_str(), Kind::Table, too_long(65, 48, Unit::Characters)),
        (Id::Cassandra, letters.as_str(), Kind::Column, None),
        (Id::Sqlite, "", Kind::Table, Some(Fault::Empty)),
    ] {
        assert_eq!(fault(of(id), name, kind), expected, "{} {name}", id.name());
    }
    for (id, name) in [(Id::Oracle, "a\"b"), (Id::MySql, "😀"), (Id::Cassandra, "a-b"), (Id::Db2, "a\0b")] {
        assert!(matches!(fault(of(id), name, Kind::Table), Some(Fault::Character(_))), "{} {name}", id.name());
    }
}

#[test]
fn lower_case_names_stand_for_upper_case_ones_where_those_are_the_rule() {
    for id in [Id::Oracle, Id::Db2] {
        let dialect = of(id);
        assert_eq!(dialect.quote("emp_no"), "\"EMP_NO\"");
        assert_eq!(dialect.quote("Emp"), "\"Emp\"");
        assert_eq!(dialect.quote("emp no"), "\"emp no\"");
        for (written, quoted) in [("EMP", false), ("Emp", false), ("EMP", true)] {
            assert_eq!(dialect.named(written, quoted), "emp");
        }
        assert_eq!(dialect.named("Emp", true), "Emp");
    }
    assert_eq!(of(Id::PostgreSql).named("EMP", false), "emp");
    assert_eq!(of(Id::PostgreSql).named("EMP", true), "EMP");
}

#[test]
fn expressions_of_the_target_are_one_expression() {
    let dialect = of(Id::PostgreSql);
    for (text, expected) in [("valid_to is null", "valid_to IS NULL"), ("a = 'x;--' -- why", "a = 'x;--'")] {
        assert_eq!(expression(dialect, text).as_deref(), Ok(expected));
    }
    for text in ["", "a = 1; DROP TABLE t", "a = 1) OR (1 = 1", "a = $1", "a =", "'open", "a = '\0'"] {
        assert!(expression(dialect, text).is_err(), "{text}");
    }
}
