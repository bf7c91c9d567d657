//! What is not there for a while is waited for; what will never come is said at once.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helping functions as well")]

mod support;

use std::time::Duration;

use support::{Project, Row, assert_same_rows, text};
use xtask::servers::Redis;

const JOB: &str = "
source:
  redis:
    key_pattern: emp:*
    trigger: write-behind
    key: emp:<id:int>
output:
  - uses: relational.write
    with:
      connection: pg
      table: emp
      keys: [id]
      mapping: [name]
  - uses: relational.write
    with:
      connection: lite
      table: emp
      keys: [id]
      mapping: [name]
";
const TABLES: &str = "CREATE TABLE emp (id integer PRIMARY KEY, name text);";
const ROWS: &str = "SELECT CAST(id AS text), name FROM emp ORDER BY emp.id";

fn row(id: u32, name: &str) -> Row {
    vec![id.to_string(), name.to_owned()]
}

fn hset(project: &Project, id: u32, name: &str) {
    let _: () = redis::Commands::hset(&mut project.client(), format!("emp:{id}"), "name", name).unwrap();
}

#[test]
fn each_side_may_go_and_come_back() {
    let mut project = Project::new("emps", JOB, TABLES);
    project.redis = Redis::start_with(&["--appendonly", "yes"]);
    let mut worker = project.worker();
    project.wait_until_tracked();
    hset(&project, 1, "Ada");
    project.wait("the first row", || project.pg_rows(ROWS) == [row(1, "Ada")]);

    project.postgres.stop();
    hset(&project, 2, "Alan");
    project.wait("SQLite does not wait for PostgreSQL", || project.lite_rows(ROWS).len() == 2);
    assert_eq!(redis::Commands::xlen::<_, usize>(&mut project.client(), "wb:{0}:emps"), Ok(1), "kept for PostgreSQL");
    project.postgres.restart();
    project.wait("PostgreSQL is back", || project.pg_rows(ROWS).len() == 2);

    project.redis.kill();
    std::thread::sleep(Duration::from_millis(300));
    project.redis.restart();
    hset(&project, 3, "Grace");
    project.wait("Redis is back", || project.pg_rows(ROWS).len() == 3 && project.lite_rows(ROWS).len() == 3);

    worker.stop();
    assert!(worker.status().unwrap().success(), "{}", project.log());
    project.wait("the streams are trimmed", || {
        redis::Commands::xlen::<_, usize>(&mut project.client(), "wb:{0}:emps") == Ok(0)
    });
}

#[test]
fn a_table_that_is_missing_is_waited_for() {
    let project = Project::new("emps", JOB, TABLES);
    project.pg("DROP TABLE emp");
    let _worker = project.worker();
    project.wait_until_tracked();
    hset(&project, 1, "Ada");
    project.wait("the log says what is missing", || {
        project.log().contains("relation \\\"emp\\\" does not exist")
            || project.log().contains("relation \"emp\" does not exist")
    });
    assert!(project.log().contains("create the table"));
    project.pg(TABLES);
    project.wait("the row", || project.pg_rows(ROWS) == [row(1, "Ada")]);
}

#[test]
fn a_worker_goes_on_where_another_stopped_and_two_do_no_harm() {
    let project = Project::new("emps", JOB, TABLES);
    project.drain();
    for id in 0..500 {
        hset(&project, id, "Ada");
    }
    let mut workers = [project.worker(), project.worker()];
    for id in 0..500 {
        hset(&project, id, if id % 50 == 0 { "no\0name" } else { "Alan" });
    }
    project.wait("both have drained the streams", || {
        redis::Commands::xlen::<_, usize>(&mut project.client(), "wb:{0}:emps") == Ok(0)
    });
    let expected: Vec<Row> = (0..500).map(|id| row(id, if id % 50 == 0 { "Ada" } else { "Alan" })).collect();
    assert_same_rows(&project.pg_rows(ROWS), &expected);
    assert_same_rows(&project.lite_rows(ROWS), &expected);
    let letters: usize = redis::Commands::xlen(&mut project.client(), "dlq:wb:{0}:emps").unwrap();
    assert_eq!(letters, 20, "each poison is buried once for each connection");
    for worker in &mut workers {
        worker.stop();
        assert!(worker.status().unwrap().success(), "{}", project.log());
    }
}

#[test]
fn a_redis_without_the_module_is_told_at_once() {
    let mut project = Project::new("emps", JOB, TABLES);
    project.redis = Redis::start_bare(&[]);
    let output = project.command(&["run", "--redis", &project.redis.url()]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains("this Redis has no capture module") && said.contains("--loadmodule"), "{said}");
}

#[test]
fn a_setting_that_would_lose_changes_is_refused_with_its_reason() {
    let mut project = Project::new("emps", JOB, TABLES);
    project.redis = Redis::start_with(&["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]);
    let output = project.command(&["run", "--redis", &project.redis.url()]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains("allkeys") && said.contains("`emps`"), "{said}");
}

#[test]
fn a_job_without_ddl_asks_the_database() {
    let project = Project::new("emps", JOB, TABLES);
    let config = std::fs::read_to_string(project.path("config.yaml")).unwrap();
    project.write("config.yaml", &config.replace("    ddl: schema.sql\n", ""));
    project.drain();
    hset(&project, 7, "Ada");
    project.drain();
    assert_eq!(project.pg_rows(ROWS), [row(7, "Ada")]);
    assert_eq!(project.lite_rows(ROWS), [row(7, "Ada")]);
}

#[test]
fn a_full_redis_is_drained() {
    let project = Project::new("emps", JOB, TABLES);
    project.drain();
    let note = "x".repeat(2_000);
    for id in 0..300 {
        let _: () = redis::Commands::hset_multiple(
            &mut project.client(),
            format!("emp:{id}"),
            &[("name", "Ada"), ("note", note.as_str())],
        )
        .unwrap();
    }
    let () = redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg("2mb").query(&mut project.client()).unwrap();
    project.drain();
    assert_eq!(project.pg_rows(ROWS).len(), 300);
    assert_eq!(project.lite_rows(ROWS).len(), 300);
    assert_eq!(redis::Commands::xlen::<_, usize>(&mut project.client(), "wb:{0}:emps"), Ok(0));
}

#[test]
fn a_worker_stops_although_its_target_is_locked() {
    let project = Project::new("emps", JOB, TABLES);
    let mut worker = project.worker();
    project.wait_until_tracked();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let (client, wire) = tokio_postgres::connect(&project.postgres.url(), tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(wire);
        client.batch_execute("BEGIN; LOCK TABLE emp IN ACCESS EXCLUSIVE MODE").await.unwrap();
        hset(&project, 1, "Ada");
        project.wait("SQLite has it", || project.lite_rows(ROWS).len() == 1);
        worker.stop();
    });
    assert!(worker.status().unwrap().success(), "{}", project.log());
    drop(runtime);
    project.drain();
    assert_eq!(project.pg_rows(ROWS), [row(1, "Ada")]);
}

#[test]
fn large_values_are_read_when_they_are_needed() {
    let mut project = Project::new("emps", JOB, TABLES);
    project.redis = Redis::start_with_module_arguments(&["image-bytes-max", "200"]);
    project.drain();
    hset(&project, 1, "Ada");
    hset(&project, 2, &"x".repeat(1_000));
    hset(&project, 3, &"y".repeat(1_000));
    project.drain();
    assert_eq!(project.pg_rows(ROWS), [row(1, "Ada"), row(2, &"x".repeat(1_000)), row(3, &"y".repeat(1_000))]);
    // What is gone when it is looked for follows what its own record says: expired rows stay, deleted ones go.
    let mut client = project.client();
    hset(&project, 2, &"z".repeat(1_000));
    let _: () = redis::Commands::pexpire(&mut client, "emp:2", 1).unwrap();
    hset(&project, 3, &"z".repeat(1_000));
    let _: () = redis::Commands::del(&mut client, "emp:3").unwrap();
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(redis::Commands::exists::<_, bool>(&mut client, "emp:2"), Ok(false));
    project.drain();
    assert_eq!(project.pg_rows(ROWS), [row(1, "Ada"), row(2, &"x".repeat(1_000))]);
}
