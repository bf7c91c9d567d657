//! What becomes of rows whose key goes: those that are named by what the key held, and those of keys that Redis throws
//! away for room.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helping functions as well")]

mod support;

use std::time::Duration;

use redis::Commands as _;
use serde_json::json;
use support::everywhere::{contents, everywhere, write};
use support::maria::Maria;
use support::{Project, Row, assert_same_rows, cache, text};
use xtask::servers::{Redis, rejson_module};

const TABLES: &str = "
CREATE TABLE emp (no integer PRIMARY KEY, name text);
CREATE TABLE line (order_no integer NOT NULL, no integer NOT NULL, article text, PRIMARY KEY (order_no, no));
CREATE TABLE kept (id varchar(20) PRIMARY KEY, name text);
CREATE TABLE lost (id varchar(20) PRIMARY KEY, name text);
";

fn run(project: &Project, words: &[&str]) {
    redis::Cmd::new().arg(words).exec(&mut project.client()).unwrap_or_else(|error| panic!("{words:?}: {error}"));
}

#[track_caller]
fn assert_everywhere(project: &Project, maria: &Maria, select: &str, expected: &[&[&str]]) {
    let expected: Vec<Row> = expected.iter().map(|row| row.iter().map(|&column| column.to_owned()).collect()).collect();
    for (target, found) in
        [("pg", project.pg_rows(select)), ("lite", project.lite_rows(select)), ("maria", maria.rows(select))]
    {
        println!("{target}");
        assert_same_rows(&found, &expected);
    }
}

/// The names of rows are fields of what the key holds, so they are known from what it held last.
#[test]
fn rows_that_the_content_names_go_with_it() {
    let source = |pattern: &str, data_type: &str| {
        format!("    key_pattern: {pattern}:*\n    data_type: {data_type}\n    on_expire: delete")
    };
    let emps = everywhere(&source("emp", "hash"), &["      table: emp\n      keys: [no]\n      mapping: [name]"])
        + &write("'all'", "data_type: set\n      args: {member: no}");
    let orders = everywhere(
        &source("order", "json"),
        &[
            "      table: line\n      foreach: 'line: lines[]'\n      parent: [order_no]\n      keys: [order_no: no, no: line.no]\n      \
           mapping: [article: line.article]",
        ],
    );
    let mut project = Project::new("emps", &emps, TABLES);
    let maria = Maria::join(&project, TABLES);
    let cache = cache::join(&project);
    project.redis = Redis::start_with(&["--loadmodule", &rejson_module().to_string_lossy()]);
    project.write("jobs/orders.yaml", &orders);
    project.drain();
    for (key, no) in [("a", "1"), ("b", "2"), ("c", "3"), ("d", "4"), ("e", "5")] {
        run(&project, &["HSET", &format!("emp:{key}"), "no", no, "name", key]);
        let lines = json!({"no": no, "lines": [{"no": 1, "article": key}, {"no": 2, "article": key}]}).to_string();
        run(&project, &["JSON.SET", &format!("order:{key}"), "$", &lines]);
    }
    run(&project, &["JSON.DEL", "order:e", "$.lines[0]"]);
    project.drain();
    let (emps, lines) = (
        "SELECT CAST(no AS text), name FROM emp ORDER BY emp.no",
        "SELECT CAST(order_no AS text), CAST(no AS text) FROM line ORDER BY line.order_no, line.no",
    );
    let all: [&[&str]; 5] = [&["1", "a"], &["2", "b"], &["3", "c"], &["4", "d"], &["5", "e"]];
    assert_everywhere(&project, &maria, emps, &all);
    let all: Vec<[&str; 2]> =
        ["1", "2", "3", "4"].into_iter().flat_map(|no| [[no, "1"], [no, "2"]]).chain([["5", "2"]]).collect();
    assert_everywhere(&project, &maria, lines, &all.iter().map(|row| &row[..]).collect::<Vec<_>>());
    for kind in ["emp", "order"] {
        run(&project, &["DEL", &format!("{kind}:a")]);
        run(&project, &["PEXPIRE", &format!("{kind}:b"), "1"]);
        run(&project, &["SET", &format!("{kind}:c"), "a text"]);
        run(&project, &["RENAME", &format!("{kind}:d"), &format!("elsewhere:{kind}")]);
    }
    std::thread::sleep(Duration::from_millis(20));
    assert!(!project.client().exists::<_, bool>(&["emp:b", "order:b"]).unwrap());
    project.drain();
    assert_everywhere(&project, &maria, emps, &[&["5", "e"]]);
    assert_everywhere(&project, &maria, lines, &[&["5", "2"]]);
    let members = contents(&mut cache::client(&cache));
    assert_eq!(members.get("all"), Some(&json!(["5"])));
    // The last field goes before its key does, so nothing tells which row it was: that is said, and the row stays.
    run(&project, &["HDEL", "emp:e", "no", "name"]);
    project.drain();
    assert_everywhere(&project, &maria, emps, &[&["5", "e"]]);
    let listed = project.command(&["dlq", "list", "--redis", &project.redis.url()]).output().unwrap();
    let listed = text(&listed.stdout);
    assert!(listed.contains("emp:e"), "{listed}");
}

#[test]
fn rows_of_keys_that_are_evicted_go_where_the_job_says_so() {
    let job = |table: &str, on_evict: &str| {
        everywhere(
            &format!("    key_pattern: item:*\n    key: item:<id>\n{on_evict}"),
            &[&format!("      table: {table}\n      keys: [id]\n      mapping: [name]")],
        )
    };
    let mut project = Project::new("lost", &job("lost", "    on_evict: delete"), TABLES);
    let maria = Maria::join(&project, TABLES);
    project.write("jobs/kept.yaml", &job("kept", ""));
    project.redis = Redis::start_with(&["--maxmemory-policy", "volatile-ttl"]);
    project.drain();
    run(&project, &["HSET", "item:1", "name", "stays"]);
    run(&project, &["HSET", "item:2", "name", "goes"]);
    run(&project, &["EXPIRE", "item:2", "1000"]);
    run(&project, &["CONFIG", "SET", "maxmemory", "1"]);
    let _out_of_memory = project.client().set::<_, _, ()>("x", "y");
    run(&project, &["CONFIG", "SET", "maxmemory", "0"]);
    assert!(!project.client().exists::<_, bool>("item:2").unwrap());
    project.drain();
    let select = |table: &str| format!("SELECT id, name FROM {table} ORDER BY id");
    assert_everywhere(&project, &maria, &select("lost"), &[&["1", "stays"]]);
    assert_everywhere(&project, &maria, &select("kept"), &[&["1", "stays"], &["2", "goes"]]);
}
