//! Rows that refer to rows which come later, from the same shard or another: they are waited for, nothing else is held
//! up, and what never comes is told in the end.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helping functions as well")]

mod support;

use std::thread;
use std::time::{Duration, Instant};

use redis::Commands as _;
use redis::cluster::ClusterClient;
use support::maria::Maria;
use support::{Project, Row, assert_same_rows, text};
use xtask::servers::{Cluster, Redis};

const TABLES: &str = "
CREATE TABLE dept (id integer PRIMARY KEY, name varchar(40));
CREATE TABLE emp (id integer PRIMARY KEY, dept integer, note varchar(40), FOREIGN KEY (dept) REFERENCES dept (id));
";
const EMPS: &str = "SELECT CAST(id AS text), CAST(dept AS text), note FROM emp ORDER BY emp.id";
const DEPTS: &str = "SELECT CAST(id AS text), name FROM dept ORDER BY dept.id";
/// How long the parent of a row takes to come.
const LATE: Duration = Duration::from_secs(2);

/// A job that maps fields of `<table>:<id>` to columns of the same names.
fn job(table: &str, columns: &str, connections: &[&str]) -> String {
    let output = |connection: &&str| {
        format!(
            "  - uses: relational.write\n    with:\n      connection: {connection}\n      table: {table}\n      keys: [id]\n      \
             mapping: [{columns}]\n"
        )
    };
    let outputs: String = connections.iter().map(output).collect();
    format!(
        "source:\n  redis:\n    key_pattern: {table}:*\n    trigger: write-behind\n    key: {table}:<id:int>\noutput:\n\
         {outputs}"
    )
}

/// Employees and their departments, at these connections, which wait for so many seconds.
fn project(connections: &[&str], wait_seconds: u32) -> Project {
    let project = Project::new("emp", &job("emp", "dept, note", connections), TABLES);
    project.write("jobs/dept.yaml", &job("dept", "name", connections));
    let config = std::fs::read_to_string(project.path("config.yaml")).unwrap();
    let (_, known) = config.split_once("foreign_key_wait: ").unwrap();
    let known = known.lines().next().unwrap();
    let wait = format!("foreign_key_wait: {wait_seconds}");
    project.write("config.yaml", &config.replace(&format!("foreign_key_wait: {known}"), &wait));
    project
}

fn row(cells: &[&str]) -> Row {
    cells.iter().map(|&cell| cell.to_owned()).collect()
}

/// Code, key and connection of the dead letters of a job.
fn dead_letters(project: &Project, url: &str) -> Vec<String> {
    let output =
        project.command(&["dlq", "list", "--format", "json", "--max", "10000", "--redis", url]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let letters: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    let shown = |letter: &serde_json::Value| {
        ["code", "key", "connection"].map(|field| letter[field].as_str().unwrap_or_default()).join(" ")
    };
    let mut letters: Vec<String> = letters.iter().map(shown).collect();
    letters.sort();
    letters
}

#[test]
fn a_row_waits_for_its_parent_and_holds_nothing_up() {
    let connections = ["pg", "lite", "maria"];
    let project = project(&connections, 60);
    let maria = Maria::join(&project, TABLES);
    let all = |sql: &str| [project.pg_rows(sql), project.lite_rows(sql), maria.rows(sql)];
    let everywhere = |sql: &str, rows: &[Row]| all(sql).iter().all(|found| found == rows);
    let mut worker = project.worker();
    project.wait_until_tracked();
    let mut redis = project.client();
    let () = redis.hset_multiple("dept:1", &[("name", "one")]).unwrap();
    let () = redis.hset_multiple("emp:1", &[("dept", "2"), ("note", "first")]).unwrap();
    let () = redis.hset_multiple("emp:2", &[("dept", "1"), ("note", "of one")]).unwrap();
    let others = [row(&["2", "1", "of one"])];
    project.wait("the others go on", || everywhere(EMPS, &others));
    project.wait("status tells of it", || {
        let output = project.command(&["status", "--redis", &project.redis.url()]).output().unwrap();
        text(&output.stdout).matches("foreign_key_wait").count() == connections.len()
    });
    thread::sleep(LATE);
    assert!(everywhere(EMPS, &others));
    // What comes meanwhile of the same key counts.
    let () = redis.hset("emp:1", "note", "second").unwrap();
    let () = redis.hset("dept:2", "name", "two").unwrap();
    let expected = [row(&["1", "2", "second"]), row(&["2", "1", "of one"])];
    project.wait("its parent came", || everywhere(EMPS, &expected));
    assert_eq!(dead_letters(&project, &project.redis.url()), Vec::<String>::new());

    // A parent goes before its children do.
    let () = redis.del("dept:2").unwrap();
    thread::sleep(LATE);
    assert!(everywhere(DEPTS, &[row(&["1", "one"]), row(&["2", "two"])]), "{}", project.log());
    let () = redis.del("emp:1").unwrap();
    project.wait("it is gone", || everywhere(DEPTS, &[row(&["1", "one"])]));
    assert_eq!(dead_letters(&project, &project.redis.url()), Vec::<String>::new());
    worker.stop();
    // Nothing is left in the streams, also for those who may not wait.
    project.drain();
    assert_eq!(redis.xlen::<_, u32>("wb:{0}:emp").unwrap(), 0);
}

#[test]
fn what_never_comes_is_a_dead_letter_after_the_wait() {
    let connections = ["pg", "lite", "maria"];
    let project = project(&connections, 3);
    let maria = Maria::join(&project, TABLES);
    project.drain();
    let mut redis = project.client();
    let mut pipe = redis::pipe();
    for id in 0..200 {
        let dept = if id == 77 || id == 78 { "9" } else { "1" };
        pipe.hset_multiple(format!("emp:{id}"), &[("dept", dept), ("note", "x")]).ignore();
        // A key that is written again and again waits no longer for it.
        if id > 77 {
            pipe.hset("emp:77", "note", id.to_string()).ignore();
        }
    }
    pipe.hset("dept:1", "name", "one").ignore();
    let () = pipe.query(&mut redis).unwrap();
    let begun = Instant::now();
    project.drain();
    assert!(begun.elapsed() > Duration::from_secs(3));
    let expected: Vec<Row> =
        (0..200).filter(|id| ![77, 78].contains(id)).map(|id| row(&[&id.to_string(), "1", "x"])).collect();
    for found in [project.pg_rows(EMPS), project.lite_rows(EMPS), maria.rows(EMPS)] {
        assert_same_rows(&found, &expected);
    }
    let letters: Vec<String> = ["emp:77", "emp:78"]
        .iter()
        .flat_map(|key| ["lite", "maria", "pg"].map(|at| format!("R0522 {key} {at}")))
        .collect();
    assert_eq!(dead_letters(&project, &project.redis.url()), letters);
    // Mended, they land.
    let () = redis.hset("dept:9", "name", "nine").unwrap();
    let output = project.command(&["dlq", "replay", "--all", "--redis", &project.redis.url()]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    project.drain();
    assert_eq!(project.pg_rows(EMPS)[77], row(&["77", "9", "199"]));
    assert_eq!(dead_letters(&project, &project.redis.url()), Vec::<String>::new());
}

/// A log would get the row behind later ones of its key.
#[test]
fn what_keeps_every_change_does_not_wait() {
    let project = project(&["pg"], 600);
    let log =
        job("emp", "dept", &["pg"]).replace("table: emp", "table: log").replace("keys: [id]", "keys: [id: key.id]");
    let log = log.replace("mapping: [dept]", "mapping: [dept: after.dept]\n      load_strategy: APPEND");
    project.write("jobs/emp.yaml", &log.replace("key: emp", "row_format: full\n    key: emp"));
    let tables = "CREATE TABLE log (id integer NOT NULL, dept integer REFERENCES dept (id));";
    project.pg(tables);
    project.write("schema.sql", &format!("{TABLES}{tables}"));
    project.drain();
    let () = project.client().hset("emp:1", "dept", "2").unwrap();
    project.drain();
    assert_eq!(dead_letters(&project, &project.redis.url()), ["R0522 emp:1 pg"]);
}

/// All children of all shards come before all parents, most of which are in other shards: no shard can go first.
#[test]
fn parents_come_from_other_shards() {
    const COUNT: u32 = 300;
    let connections = ["pg", "lite"];
    let project = project(&connections, 100);
    let cluster = Cluster::start(3, 0);
    let urls: Vec<String> = cluster.nodes().iter().map(Redis::url).collect();
    let mut worker = project.worker_at(&urls[0], &[]);
    project.wait("all shards are tracked", || {
        let rules = |at| redis::cmd("WB.RULES").query::<Vec<redis::Value>>(&mut cluster.connect(at));
        (0..3).all(|at| rules(at).is_ok_and(|rules| rules.len() == 2))
    });
    let mut redis = ClusterClient::new(urls.clone()).unwrap().get_connection().unwrap();
    for id in 0..COUNT {
        let () = redis.hset_multiple(format!("emp:{id}"), &[("dept", id.to_string().as_str()), ("note", "x")]).unwrap();
    }
    let () = redis.hset("dept:0", "name", "d").unwrap();
    project.wait("the first row", || project.pg_rows(EMPS).len() == 1 && project.lite_rows(EMPS).len() == 1);
    thread::sleep(LATE);
    for id in 1..COUNT {
        let () = redis.hset(format!("dept:{id}"), "name", "d").unwrap();
    }
    let expected: Vec<Row> = (0..COUNT).map(|id| row(&[&id.to_string(), &id.to_string(), "x"])).collect();
    project.wait("all rows", || project.pg_rows(EMPS) == expected && project.lite_rows(EMPS) == expected);
    assert_eq!(dead_letters(&project, &urls[0]), Vec::<String>::new());
    worker.stop();
    assert!(worker.status().unwrap().success(), "{}", project.log());
}
