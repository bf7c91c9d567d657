//! What a target refuses: exactly the culprits go to the dead-letter queue, whatever the constraint and whenever it
//! is checked.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helping functions as well")]

mod support;

use redis::Commands as _;
use support::{Project, Row};

/// A job that maps the fields of `t:<id>` to columns of the same names, for both targets.
fn job(columns: &str) -> String {
    let output = |connection: &str| {
        format!(
            "  - uses: relational.write\n    with:\n      connection: {connection}\n      table: t\n      keys: [id]\n      \
             mapping: [{columns}]\n"
        )
    };
    format!(
        "source:\n  redis:\n    key_pattern: t:*\n    trigger: write-behind\n    key: t:<id:int>\noutput:\n{}{}",
        output("pg"),
        output("lite")
    )
}

/// Captures the writes in one go, then carries them over, so that they are one batch.
fn carry(project: &Project, writes: &[(u32, &[(&str, &str)])]) {
    project.drain();
    let mut pipe = redis::pipe();
    for (id, fields) in writes {
        pipe.hset_multiple(format!("t:{id}"), fields).ignore();
    }
    let () = pipe.query(&mut project.client()).unwrap();
    project.drain();
}

/// Connection, key and code of every dead letter, in order.
fn dead_letters(project: &Project) -> Vec<String> {
    let all: redis::streams::StreamRangeReply = project.client().xrange_all("dlq:wb:{0}:ts").unwrap();
    let text = |entry: &redis::streams::StreamId, name: &str| entry.get::<String>(name).unwrap_or_default();
    let mut letters: Vec<String> = all
        .ids
        .iter()
        .map(|entry| format!("{} {} {}", text(entry, "connection"), text(entry, "key"), text(entry, "code")))
        .collect();
    letters.sort();
    letters
}

fn rows(list: &[&[&str]]) -> Vec<Row> {
    list.iter().map(|row| row.iter().map(|&cell| cell.to_owned()).collect()).collect()
}

#[test]
fn a_division_by_zero_of_the_table_is_no_moved_checkpoint() {
    let table = "CREATE TABLE t (id integer PRIMARY KEY, qty integer,
        share integer GENERATED ALWAYS AS (100 / qty) STORED);";
    let project = Project::new("ts", &job("qty"), table);
    carry(&project, &[(1, &[("qty", "4")]), (2, &[("qty", "0")]), (3, &[("qty", "5")])]);
    let select = "SELECT CAST(id AS text), CAST(share AS text) FROM t ORDER BY t.id";
    assert_eq!(project.pg_rows(select), rows(&[&["1", "25"], &["3", "20"]]));
    // SQLite gives null for it.
    assert_eq!(project.lite_rows(select), rows(&[&["1", "25"], &["2", "∅"], &["3", "20"]]));
    assert_eq!(dead_letters(&project), ["pg t:2 R0521"]);
}

#[test]
fn a_foreign_key_that_is_checked_at_the_commit() {
    let table = "CREATE TABLE dept (id integer PRIMARY KEY); INSERT INTO dept VALUES (1);
        CREATE TABLE t (id integer PRIMARY KEY, dept integer REFERENCES dept(id) DEFERRABLE INITIALLY DEFERRED);";
    let project = Project::new("ts", &job("dept"), table);
    carry(&project, &[(1, &[("dept", "1")]), (2, &[("dept", "9")]), (3, &[("dept", "1")])]);
    let select = "SELECT CAST(id AS text) FROM t ORDER BY t.id";
    assert_eq!(project.pg_rows(select), rows(&[&["1"], &["3"]]));
    assert_eq!(project.lite_rows(select), rows(&[&["1"], &["3"]]));
    assert_eq!(dead_letters(&project), ["lite t:2 R0522", "pg t:2 R0522"]);
}

#[test]
fn rows_that_need_each_other_are_not_taken_for_culprits() {
    let table = "CREATE TABLE t (id integer PRIMARY KEY, manager integer REFERENCES t(id));";
    let project = Project::new("ts", &job("manager"), table);
    // 21 comes before its manager 22; 23 has none.
    carry(&project, &[(21, &[("manager", "22")]), (22, &[("x", "1")]), (23, &[("manager", "999")])]);
    let select = "SELECT CAST(id AS text) FROM t ORDER BY t.id";
    assert_eq!(project.pg_rows(select), rows(&[&["21"], &["22"]]));
    assert_eq!(project.lite_rows(select), rows(&[&["21"], &["22"]]));
    assert_eq!(dead_letters(&project), ["lite t:23 R0522", "pg t:23 R0522"]);
}

#[test]
fn a_value_that_moves_between_rows_is_no_duplicate() {
    let table = "CREATE TABLE t (id integer PRIMARY KEY, email varchar(20) UNIQUE);";
    let project = Project::new("ts", &job("email"), table);
    carry(&project, &[(1, &[("email", "x")])]);
    carry(&project, &[(1, &[("email", "y")]), (2, &[("email", "x")]), (1, &[("email", "z")])]);
    let select = "SELECT CAST(id AS text), email FROM t ORDER BY t.id";
    assert_eq!(project.pg_rows(select), rows(&[&["1", "z"], &["2", "x"]]));
    assert_eq!(project.lite_rows(select), rows(&[&["1", "z"], &["2", "x"]]));
    assert_eq!(dead_letters(&project), Vec::<String>::new());
}

#[test]
fn a_trigger_that_rolls_back_the_transaction_takes_nothing_with_it() {
    let table = "CREATE TABLE t (id integer PRIMARY KEY, name text);";
    let project = Project::new("ts", &job("name"), table);
    project
        .lite()
        .execute_batch(
            "CREATE TRIGGER no BEFORE INSERT ON t WHEN NEW.name = 'no' BEGIN SELECT RAISE(ROLLBACK, 'not this'); END;",
        )
        .unwrap();
    carry(&project, &[(1, &[("name", "a")]), (2, &[("name", "no")]), (3, &[("name", "b")])]);
    let select = "SELECT CAST(id AS text) FROM t ORDER BY t.id";
    assert_eq!(project.lite_rows(select), rows(&[&["1"], &["3"]]));
    assert_eq!(dead_letters(&project), ["lite t:2 R0520"]);
    let kept = project.lite_rows("SELECT position FROM redis_wb_checkpoint WHERE epoch <> 'fence'");
    assert_eq!(kept.len(), 1, "the rows came with the checkpoint");
}

#[test]
fn a_decimal_that_sqlite_would_round_is_rejected_there() {
    let table = "CREATE TABLE t (id integer PRIMARY KEY, price numeric(20, 2));";
    let project = Project::new("ts", &job("price"), table);
    carry(&project, &[(1, &[("price", "12345678901234567.89")]), (2, &[("price", "1234567890123.45")])]);
    let select = "SELECT CAST(id AS text), CAST(price AS text) FROM t ORDER BY t.id";
    assert_eq!(project.pg_rows(select), rows(&[&["1", "12345678901234567.89"], &["2", "1234567890123.45"]]));
    assert_eq!(project.lite_rows(select), rows(&[&["2", "1234567890123.45"]]));
    assert_eq!(dead_letters(&project), ["lite t:1 R0507"]);
}
