//! The deliberate differences from SQLite, which are those of `docs/sql.md`; and that there are no others.

use redis_wb_compiler::expr::sql::Manner;
use redis_wb_plan::sql::SqlOp;
use redis_wb_plan::sql::op::{Affinity, Comparison};
use redis_wb_plan::{Expr, RejectCode, Value, sql};

use super::generate::{Random, expression, record};
use super::oracle::{FIELDS, Record, Refusal, Sqlite, compile, evaluate, run, same};

/// A record whose field `a` is this text.
fn with(text: &str) -> Record {
    let mut record = vec![Value::Null; FIELDS.len()];
    record[0] = Value::Text(text.to_owned().into());
    record
}

fn ours(expression: &str, text: &str) -> String {
    match evaluate(Manner::Safe, expression, &with(text)) {
        Ok(value) => sql::literal(&value).unwrap(),
        Err(Refusal::Reject(reject)) => reject.code.code().to_owned(),
        Err(refusal) => panic!("{expression}: {refusal:?}"),
    }
}

fn theirs(expression: &str, text: &str) -> String {
    let answer = Sqlite::new().evaluate(expression, &with(text));
    answer.map_or_else(|error| error, |value| sql::literal(&value).unwrap())
}

#[test]
fn each_difference_is_as_documented() {
    // The expression, the text in `a`, what SQLite gives, what redis-wb gives.
    let rows = [
        // A text compared with a number is read as a number.
        ("a > 20", "9", "1", "0"),
        ("a > 20", "21", "1", "1"),
        ("a = 5", "5", "0", "1"),
        ("a = 5", "5.0", "0", "1"),
        ("5 < a", " 6 ", "1", "1"),
        ("a IN (5, 6)", "6", "0", "1"),
        ("a BETWEEN 1 AND 10", "7", "0", "1"),
        ("a IS 5", "5", "0", "1"),
        ("a IS NOT 5", "5", "1", "0"),
        ("CASE a WHEN 1 THEN 'one' ELSE 'other' END", "1", "'other'", "'one'"),
        ("nullif(a, 0)", "0", "'0'", "NULL"),
        ("max(a, 9)", "5", "'5'", "9"),
        ("min(a, 9)", "5", "9", "'5'"),
        ("substr(a, 2) < 50", "149", "0", "1"),
        // Where it is none, an order rejects, equality does not hold.
        ("a > 20", "unknown", "1", "R0504"),
        ("a > 20", "", "1", "R0504"),
        ("a BETWEEN 1 AND 10", "x", "0", "R0504"),
        ("a = 5", "five", "0", "0"),
        ("a <> 5", "five", "1", "1"),
        ("a IN (5, 'five')", "five", "1", "1"),
        // What has a type is compared as SQLite compares it.
        ("CAST(a AS TEXT) > 20", "9", "1", "1"),
        ("a > '20'", "9", "1", "1"),
        // A lossy cast rejects.
        ("CAST(a AS INTEGER)", "42", "42", "42"),
        ("CAST(a AS INTEGER)", " 42 ", "42", "42"),
        ("CAST(a AS INTEGER)", "abc", "0", "R0504"),
        ("CAST(a AS INTEGER)", "12abc", "12", "R0504"),
        ("CAST(a AS INTEGER)", "4.7", "4", "R0504"),
        ("CAST(a AS INTEGER)", "", "0", "R0504"),
        ("CAST(a AS INTEGER)", "9223372036854775808", "9223372036854775807", "R0504"),
        ("CAST(4.7 AS INTEGER) || substr(a, 9)", "", "'4'", "R0504"),
        ("CAST(4.0 AS INTEGER) || substr(a, 9)", "", "'4'", "'4'"),
        ("CAST(1e30 AS INTEGER) || substr(a, 9)", "", "'9223372036854775807'", "R0504"),
        ("CAST(9007199254740993 AS REAL) || substr(a, 9)", "", "'9007199254740992.0'", "R0504"),
        ("CAST(a AS REAL)", "1.5x", "1.5", "R0504"),
        ("CAST(a AS REAL)", "1e999", "9.0e+999", "R0504"),
        ("CAST(a AS NUMERIC)", "n/a", "0", "R0504"),
        ("CAST(a AS NUMERIC)", "1.0", "1", "1"),
        // A cast that does not run does not reject.
        ("CASE WHEN a GLOB '[0-9]*' THEN CAST(a AS INTEGER) END", "n/a", "NULL", "NULL"),
        ("a IS NOT NULL AND a <> '' AND CAST(a AS INTEGER) > 1", "", "0", "0"),
    ];
    for (expression, text, sqlite, redis_wb) in rows {
        assert_eq!(theirs(expression, text), sqlite, "SQLite: {expression} of {text:?}");
        assert_eq!(ours(expression, text), redis_wb, "redis-wb: {expression} of {text:?}");
    }
}

#[test]
fn a_text_is_always_utf8() {
    for expression in ["CAST(x'ff' AS TEXT)", "x'ff' || ''", "char(55296)", "upper(x'c3')"] {
        let answer = evaluate(Manner::Safe, expression, &with(""));
        let code = match answer {
            Err(Refusal::Reject(reject)) => reject.code,
            // Known when compiling.
            Err(Refusal::Compile(why)) if why.starts_with("E0306") => RejectCode::InvalidText,
            other => panic!("{expression}: {other:?}"),
        };
        assert_eq!(code, RejectCode::InvalidText, "{expression}");
    }
}

/// Whether a node may differ: a comparison without types, a cast that may lose something.
fn may_differ(expr: &Expr) -> bool {
    let reads = |how: &Comparison| how.affinity == Affinity::Read;
    expr.any(&mut |part| match part {
        Expr::Sql { op, .. } => match op {
            SqlOp::Compare(_, how) | SqlOp::Is(how) | SqlOp::In(how) | SqlOp::NullIf(how) => reads(how),
            SqlOp::Min(how) | SqlOp::Max(how) => reads(how),
            SqlOp::Between(low, high) => reads(low) || reads(high),
            SqlOp::CaseOf(how) => how.iter().any(reads),
            SqlOp::Cast { lossy, .. } => !lossy,
            _ => false,
        },
        _ => false,
    })
}

#[test]
fn there_is_no_other_difference() {
    let mut random = Random::new(23);
    let (mut differ, mut cases) = (0, 0);
    for _ in 0..4_000 {
        let depth = 1 + random.below(3);
        let expression = expression(&mut random, depth);
        let record = record(&mut random);
        let Ok(safe) = compile(Manner::Safe, &expression) else { continue };
        let exact = compile(Manner::Exact, &expression).expect("what is safe is exact, too");
        cases += 1;
        let (safe_value, exact_value) = (run(&safe, &record), run(&exact, &record));
        let agree = match (&safe_value, &exact_value) {
            (Ok(safe), Ok(exact)) => same(safe, exact),
            (Err(_), Err(_)) => true,
            _ => false,
        };
        if !agree {
            differ += 1;
            assert!(may_differ(&safe), "{expression} for {record:?}: {safe_value:?}, SQLite {exact_value:?}");
        }
    }
    println!("{differ} of {cases} differ, all by a comparison without types or a cast");
}
