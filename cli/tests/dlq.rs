//! Dead letters by commands: listed, shown, replayed, dropped. A replay never overwrites a newer row.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helping functions as well")]

mod support;

use redis::Commands as _;
use support::{Project, Row, assert_same_rows, text};

const JOB: &str = "source:\n  redis:\n    trigger: write-behind\n    key_pattern: emp:*\n    key: emp:<id:int>\noutput:\n  \
    - uses: relational.write\n    with: {connection: pg, table: emp, keys: [id], mapping: [age]}\n  \
    - uses: relational.write\n    with: {connection: lite, table: log, load_strategy: APPEND, keys: [id], mapping: [age]}\n";
const TABLES: &str = "CREATE TABLE emp (id integer PRIMARY KEY, age integer CHECK (age < 100));
    CREATE TABLE log (id integer NOT NULL, age integer CHECK (age < 100));";
const ROWS: &str = "SELECT CAST(id AS text), CAST(age AS text) FROM emp ORDER BY emp.id";
const LOG: &str = "SELECT CAST(id AS text), CAST(age AS text) FROM log ORDER BY rowid";

fn rows(rows: &[[&str; 2]]) -> Vec<Row> {
    rows.iter().map(|row| row.map(str::to_owned).to_vec()).collect()
}

fn dlq(project: &Project, arguments: &[&str]) -> String {
    let output = project.command(&["dlq"]).args(arguments).args(["--redis", &project.redis.url()]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn what_was_mended_is_replayed_as_it_is_now() {
    let project = Project::new("emp", JOB, TABLES);
    project.drain();
    let mut client = project.client();
    for (id, age) in [(1, "200"), (2, "300"), (3, "40"), (4, "old")] {
        let _: () = client.hset(format!("emp:{id}"), "age", age).unwrap();
    }
    project.drain();
    assert_same_rows(&project.pg_rows(ROWS), &rows(&[["3", "40"]]));
    assert_same_rows(&project.lite_rows(LOG), &rows(&[["3", "40"]]));

    let listed = dlq(&project, &["list"]);
    assert_eq!(listed.lines().count(), 2 * 7, "a title, and three records for each of two connections:\n{listed}");
    assert!(listed.lines().all(|line| line.chars().count() <= 80), "{listed}");
    let by_code = dlq(&project, &["list", "--code", "R0504", "--format", "json"]);
    let letters: serde_json::Value = serde_json::from_str(&by_code).unwrap();
    let letters = letters.as_array().unwrap();
    assert_eq!(letters.len(), 2, "{by_code}");
    assert_eq!(letters.first().unwrap().get("after"), Some(&serde_json::json!({"age": "old"})));
    let id = letters.first().unwrap().get("id").unwrap().as_str().unwrap().to_owned();
    let shown = dlq(&project, &["show", &id]);
    assert!(
        shown.contains("emp:4") && shown.contains(r#"{"age":"old"}"#) && shown.contains("explain R0504"),
        "{shown}"
    );
    assert_eq!(dlq(&project, &["list", "--since", "1h", "--max", "1"]).lines().count(), 2 * 2);
    assert_eq!(dlq(&project, &["list", "--until", "2026-01-01T00:00:00Z"]), "no record was rejected\n");
    let rejected = project.command(&["get-rejected", "--max-records", "2", "--oldest", "--dlq-name", "emp"]);
    let rejected = { rejected }.args(["--redis", &project.redis.url()]).output().unwrap();
    assert_eq!(text(&rejected.stdout).lines().count(), 2 * 3, "{}", text(&rejected.stderr));

    // The table takes more now; one key has a newer value meanwhile, and one is gone.
    project.pg("ALTER TABLE emp DROP CONSTRAINT emp_age_check");
    let _: () = client.hset("emp:1", "age", "50").unwrap();
    let _: () = client.del("emp:2").unwrap();
    project.drain();
    assert_same_rows(&project.pg_rows(ROWS), &rows(&[["1", "50"], ["3", "40"]]));
    let choosy = project.command(&["dlq", "replay"]).output().unwrap();
    assert!(!choosy.status.success() && text(&choosy.stderr).contains("--all"), "{}", text(&choosy.stderr));
    let replayed = dlq(&project, &["replay", "--all"]);
    assert!(replayed.starts_with("6 replayed"), "{replayed}");
    project.drain();
    assert_same_rows(&project.pg_rows(ROWS), &rows(&[["1", "50"], ["3", "40"]]));
    // What keeps every change got none twice: those that are still wrong are rejected again.
    let log = project.lite_rows(LOG);
    assert_same_rows(&log, &rows(&[["3", "40"], ["1", "50"]]));
    let again: serde_json::Value = serde_json::from_str(&dlq(&project, &["list", "--format", "json"])).unwrap();
    let again: Vec<_> =
        again.as_array().unwrap().iter().map(|letter| letter.get("connection").unwrap().clone()).collect();
    // `old` is no number for either; 200 and 300 are still too much for the log.
    assert_eq!(again.iter().filter(|connection| *connection == "lite").count(), 3, "{again:?}");
    assert_eq!(again.iter().filter(|connection| *connection == "pg").count(), 1, "{again:?}");

    // A change that a log refused is logged once it can be, though the key says something else by now.
    project.lite().execute_batch("DROP TABLE log; CREATE TABLE log (id integer NOT NULL, age integer)").unwrap();
    dlq(&project, &["replay", "--code", "R0520"]);
    project.drain();
    assert_same_rows(&project.lite_rows(LOG), &rows(&[["1", "200"], ["2", "300"]]));
    assert_same_rows(&project.pg_rows(ROWS), &rows(&[["1", "50"], ["3", "40"]]));
    let dropped = dlq(&project, &["drop", "--job", "emp"]);
    assert_eq!(dropped, "2 dropped\n");
    assert_eq!(dlq(&project, &["list"]), "no record was rejected\n");
}

/// A record that is still wrong for both connections comes back once for each, however often it is replayed.
#[test]
fn letters_do_not_multiply() {
    let job = JOB.replace("table: log, load_strategy: APPEND", "table: emp");
    let project = Project::new("emp", &job, TABLES);
    project.drain();
    let _: () = project.client().hset("emp:1", "age", "old").unwrap();
    project.drain();
    for _ in 0..3 {
        assert_eq!(dlq(&project, &["replay", "--all"]).split(' ').next(), Some("2"));
        project.drain();
    }
    assert_eq!(dlq(&project, &["list"]).lines().count(), 2 * 3, "a title, and one record for each connection");
}

#[test]
fn a_refused_change_is_reported_though_a_later_one_comes_to_nothing() {
    let job = "source:\n  redis:\n    trigger: write-behind\n    key_pattern: emp:*\n    key: emp:<id:int>\ntransform:\n  \
        - uses: filter\n    with: {expression: CAST(age AS integer) < 1000, language: sql, on_unmatched: keep}\noutput:\n  \
        - uses: relational.write\n    with: {connection: pg, table: emp, keys: [id], mapping: [age]}\n";
    let project = Project::new("emp", job, TABLES);
    project.drain();
    let mut client = project.client();
    for age in ["200", "5000"] {
        let _: () = client.hset("emp:1", "age", age).unwrap();
    }
    project.drain();
    assert_same_rows(&project.pg_rows(ROWS), &[]);
    let listed = dlq(&project, &["list"]);
    assert_eq!(listed.lines().count(), 2 * 2, "a title and the record with 200:\n{listed}");
}

/// More letters than one page has, some of them large.
#[test]
fn many_letters_are_gone_through_by_pages() {
    const LETTERS: usize = 1_300;
    let project = Project::new("emp", JOB, TABLES);
    project.drain();
    let mut client = project.client();
    let mut pipe = redis::pipe();
    for id in 0..LETTERS {
        pipe.hset(format!("emp:{id}"), "age", "old").ignore();
    }
    let () = pipe.query(&mut client).unwrap();
    let _: () = client.hset("emp:7", "note", "x".repeat(500_000)).unwrap();
    project.drain();
    let all = dlq(&project, &["list", "--max", "100000", "--format", "json"]);
    let all: serde_json::Value = serde_json::from_str(&all).unwrap();
    let all = all.as_array().unwrap();
    assert_eq!(all.len(), 2 * LETTERS + 2, "two connections, and one key twice");
    let ids: std::collections::BTreeSet<_> = all.iter().map(|letter| letter.get("id").unwrap().as_str()).collect();
    assert_eq!(ids.len(), all.len());
    assert_eq!(
        dlq(&project, &["list", "--max", "1000", "--oldest"]).lines().count(),
        2_002,
        "two lines each, and two of titles"
    );

    // Those that come back while others are replayed are not replayed again and again.
    let mut worker = project.worker();
    project.wait_until_tracked();
    let replayed = dlq(&project, &["replay", "--all"]);
    assert!(replayed.starts_with(&format!("{} replayed;", 2 * LETTERS + 2)), "{replayed}");
    worker.stop();
    project.drain();
    let dropped = dlq(&project, &["drop", "--all"]);
    let dropped: usize = dropped.split(' ').next().unwrap().parse().unwrap();
    // Of the two letters of one key, each outputs that says how a key is now gets the same anew.
    assert!((2 * LETTERS..=2 * LETTERS + 2).contains(&dropped), "{dropped}");
    assert_eq!(dlq(&project, &["list"]), "no record was rejected\n");
}
