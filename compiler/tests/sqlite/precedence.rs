//! Every operator beside every other: which of the two binds tighter.

use redis_wb_compiler::expr::sql::Manner;
use redis_wb_plan::Value;

use super::generate::{Random, value};
use super::oracle::{FIELDS, Record, Sqlite, evaluate, same};

const BINARY: [&str; 31] = [
    "||",
    "->",
    "->>",
    "*",
    "/",
    "%",
    "+",
    "-",
    "&",
    "|",
    "<<",
    ">>",
    "<",
    "<=",
    ">",
    ">=",
    "=",
    "==",
    "<>",
    "!=",
    "IS",
    "IS NOT",
    "IS DISTINCT FROM",
    "IS NOT DISTINCT FROM",
    "LIKE",
    "NOT LIKE",
    "GLOB",
    "NOT GLOB",
    "AND",
    "OR",
    "COLLATE NOCASE =",
];

const BEFORE: [&str; 5] = ["-", "+", "~", "NOT", "- ~"];

const BEHIND: [&str; 14] = [
    "ISNULL",
    "NOTNULL",
    "NOT NULL",
    "IS NULL",
    "IS NOT NULL",
    "IS TRUE",
    "IS NOT FALSE",
    "COLLATE NOCASE",
    "COLLATE NOCASE COLLATE BINARY",
    "IN (1, 2, 'a')",
    "NOT IN (1)",
    "BETWEEN 0 AND 5",
    "NOT BETWEEN 'a' AND 3",
    "LIKE 'a' ESCAPE 'x'",
];

/// Records that tell apart what is grouped differently: small numbers above all.
fn records() -> Vec<Record> {
    let mut random = Random::new(7);
    let mut small = || {
        (0..FIELDS.len())
            .map(|_| match random.below(6) {
                0 => Value::Null,
                1..=3 => Value::Int(i64::try_from(random.below(5)).unwrap() - 1),
                4 => Value::Text((*random.pick(&["1", "a", "A", "0", "2b"])).to_owned().into()),
                _ => value(&mut random),
            })
            .collect::<Record>()
    };
    (0..12)
        .map(|_| {
            let mut record = small();
            for (value, (_, kind)) in record.iter_mut().zip(FIELDS) {
                if kind.is_some() {
                    *value = Value::Null;
                }
            }
            record
        })
        .collect()
}

fn check(expressions: &[String]) {
    let sqlite = Sqlite::new();
    let mut wrong = Vec::new();
    for expression in expressions {
        for record in records() {
            let theirs = sqlite.evaluate(expression, &record);
            let ours = evaluate(Manner::Exact, expression, &record);
            let agree = match (&ours, &theirs) {
                (Ok(ours), Ok(theirs)) => same(ours, theirs),
                (Err(_), Err(_)) => true,
                _ => false,
            };
            if !agree {
                wrong.push(format!("{expression}: SQLite {theirs:?}, redis-wb {ours:?} for {record:?}"));
                break;
            }
        }
    }
    println!("{} expressions, {} wrong", expressions.len(), wrong.len());
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), expressions.len(), wrong.join("\n"));
}

#[test]
fn two_binary_operators_group_as_in_sqlite() {
    let pairs = BINARY.iter().flat_map(|left| BINARY.iter().map(move |right| format!("a {left} b {right} c")));
    check(&pairs.collect::<Vec<_>>());
}

#[test]
fn an_operator_before_an_operand_groups_as_in_sqlite() {
    let left = BEFORE.iter().flat_map(|before| BINARY.iter().map(move |op| format!("{before} a {op} b")));
    let right = BEFORE.iter().flat_map(|before| BINARY.iter().map(move |op| format!("a {op} {before} b = c")));
    let behind = BEFORE.iter().flat_map(|before| BEHIND.iter().map(move |behind| format!("{before} a {behind}")));
    check(&left.chain(right).chain(behind).collect::<Vec<_>>());
}

#[test]
fn an_operator_behind_an_operand_groups_as_in_sqlite() {
    let left = BEHIND.iter().flat_map(|behind| BINARY.iter().map(move |op| format!("a {behind} {op} b")));
    let right = BEHIND.iter().flat_map(|behind| BINARY.iter().map(move |op| format!("a {op} b {behind}")));
    let twice = BEHIND.iter().flat_map(|first| BEHIND.iter().map(move |second| format!("a {first} {second}")));
    check(&left.chain(right).chain(twice).collect::<Vec<_>>());
}

#[test]
fn bounds_of_between_and_escapes_end_where_sqlite_ends_them() {
    let low = BINARY.iter().map(|op| format!("a BETWEEN b {op} c AND d"));
    let high = BINARY.iter().map(|op| format!("a BETWEEN b AND c {op} d"));
    let escape = BINARY.iter().map(|op| format!("a LIKE b ESCAPE 'x' {op} c"));
    let pattern = BINARY.iter().map(|op| format!("a LIKE b {op} c ESCAPE 'x'"));
    let cases = BINARY.iter().map(|op| format!("CASE a {op} b WHEN c {op} d THEN a {op} c ELSE d {op} a END"));
    check(&low.chain(high).chain(escape).chain(pattern).chain(cases).collect::<Vec<_>>());
}
