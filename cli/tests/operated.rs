//! What an operator does to the servers, and what logs, status and health tell of it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helping functions as well")]

mod support;

use std::time::{Duration, Instant};

use redis::Commands as _;
use support::web::{address, get};
use support::{Project, Row, text};
use xtask::servers::Process;

const JOB: &str = "source:\n  redis:\n    trigger: write-behind\n    key_pattern: emp:*\n    key: emp:<id:int>\noutput:\n  \
    - uses: relational.write\n    with: {connection: pg, table: emp, keys: [id], mapping: [name]}\n";
const TABLES: &str = "CREATE TABLE emp (id integer PRIMARY KEY, name varchar(20));";
const ROWS: &str = "SELECT CAST(id AS text), name FROM emp ORDER BY id";
/// How soon an operator has to see what is wrong.
const SEEN_WITHIN: Duration = Duration::from_secs(10);

fn hset(project: &Project, id: u32, name: &str) {
    let () = project.client().hset(format!("emp:{id}"), "name", name).unwrap();
}

fn row(id: u32, name: &str) -> Row {
    vec![id.to_string(), name.to_owned()]
}

fn status(project: &Project) -> String {
    text(&project.command(&["status", "--redis", &project.redis.url()]).output().unwrap().stdout)
}

fn config_set(project: &Project, name: &str, value: &str) {
    let () = redis::cmd("CONFIG").arg("SET").arg(name).arg(value).query(&mut project.client()).unwrap();
}

/// Waits for something that an operator has to see soon.
#[track_caller]
fn seen(project: &Project, what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < SEEN_WITHIN, "{what} is not seen; {}\n{}", status(project), project.log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A worker that runs, and the address of its metrics.
fn worker(project: &Project, which: usize) -> (Process, String) {
    let worker = project.worker_at(&project.redis.url(), &["--metrics", "127.0.0.1:0"]);
    project.wait_until_tracked();
    (worker, address(project, which))
}

/// A running project whose `config.yaml` has more in its `applier`.
fn begun(more: &str) -> (Project, Process, String) {
    let project = Project::new("emps", JOB, TABLES);
    let config = std::fs::read_to_string(project.path("config.yaml")).unwrap();
    let config = config.replace("  dlq_max_messages: 100000\n", more);
    project.write("config.yaml", &config);
    let (worker, at) = worker(&project, 1);
    project.wait("it runs", || project.log().contains("running"));
    (project, worker, at)
}

#[test]
fn who_stands_by_is_seen_and_is_not_ready_without_redis() {
    let (mut project, mut first, _) = begun("");
    let (mut second, at) = worker(&project, 2);
    seen(&project, "who stands by", || status(&project).starts_with("1 worker and 1 standing by, 1 stream"));
    seen(&project, "it in the log", || project.log().contains("standing by: another worker has the lease"));
    assert_eq!(get(&at, "/readyz").0, 200);
    project.redis.kill();
    seen(&project, "that Redis is not there", || {
        let (code, why) = get(&at, "/readyz");
        code == 503 && why.contains("cannot be reached")
    });
    first.stop();
    second.stop();
}

#[test]
fn what_redis_is_set_to_and_has_left_is_seen() {
    let (project, mut worker, _) = begun("");
    assert!(!status(&project).contains("will lose changes") && !status(&project).contains("maxmemory"));
    config_set(&project, "maxmemory-policy", "allkeys-lru");
    seen(&project, "the setting", || status(&project).contains("will lose changes: `maxmemory-policy allkeys-lru`"));
    config_set(&project, "maxmemory-policy", "noeviction");
    config_set(&project, "maxmemory", "1mb");
    seen(&project, "the memory", || status(&project).contains("MB of `maxmemory` 1 MB in use"));
    worker.stop();
}

#[test]
fn a_target_that_ended_is_seen_though_nothing_is_written() {
    let (project, mut worker, at) = begun("");
    hset(&project, 1, "Ada");
    project.wait("the row", || project.pg_rows(ROWS) == [row(1, "Ada")]);
    project.pg("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'redis-wb'");
    seen(&project, "the end", || project.log().contains("the server ended the connection"));
    seen(&project, "that it goes on", || {
        get(&at, "/readyz").0 == 200 && status(&project).contains("passed: transient")
    });
    assert!(!status(&project).contains("what to do"), "{}", status(&project));
    worker.stop();
}

/// A target that goes back to an earlier state is noticed, and gets again what Redis has let go of.
#[test]
fn a_target_from_a_backup_is_brought_up_to_date() {
    let (project, mut worker, _) = begun("");
    hset(&project, 1, "Ada");
    project.wait("the row", || project.pg_rows(ROWS) == [row(1, "Ada")]);
    worker.stop();
    project.pg("CREATE TABLE kept AS TABLE emp; CREATE TABLE kept_checkpoint AS TABLE redis_wb_checkpoint");
    let (mut worker, _) = self::worker(&project, 2);
    hset(&project, 1, "Alan");
    hset(&project, 2, "Grace");
    let newest = [row(1, "Alan"), row(2, "Grace")];
    project.wait("both rows", || project.pg_rows(ROWS) == newest);
    worker.stop();
    assert!(!project.log().contains("has lost"), "{}", project.log());
    project.pg("TRUNCATE emp, redis_wb_checkpoint; INSERT INTO emp TABLE kept; \
         INSERT INTO redis_wb_checkpoint TABLE kept_checkpoint");
    let (mut worker, _) = self::worker(&project, 3);
    seen(&project, "the loss", || project.log().contains("the target has lost changes that it had"));
    project.wait("both rows again", || project.pg_rows(ROWS) == newest);
    seen(&project, "it in the status", || status(&project).contains("    lost, "));
    worker.stop();
    // It is told once.
    let (mut worker, _) = self::worker(&project, 4);
    hset(&project, 3, "Edsger");
    project.wait("the third row", || project.pg_rows(ROWS).len() == 3);
    worker.stop();
    assert_eq!(project.log().matches("has lost changes").count(), 1, "{}", project.log());
}

#[test]
fn dead_letters_that_make_room_are_told_of() {
    let (project, mut worker, _) = begun("  dlq_max_messages: 3\n");
    for id in 0..50 {
        hset(&project, id, "much longer than twenty");
    }
    let queued = || project.client().xlen::<_, usize>("dlq:wb:{0}:emps");
    project.wait("they are rejected", || project.client().xlen::<_, usize>("wb:{0}:emps") == Ok(0));
    assert_eq!(queued(), Ok(3));
    let log = project.log();
    assert!(log.contains("the dead-letter queue is full") && log.contains("dlq_max_messages"), "{log}");
    assert!(log.lines().filter(|line| line.contains("rejected")).count() <= 3, "{log}");
    worker.stop();
}

#[test]
fn what_is_rejected_and_not_kept_is_told_of() {
    let (project, mut worker, _) = begun("  error_handling: ignore\n");
    hset(&project, 1, "much longer than twenty");
    seen(&project, "it in the log", || project.log().contains("R0506"));
    seen(&project, "it in the status", || status(&project).contains("none is kept"));
    assert!(project.log().contains("error_handling: ignore"), "{}", project.log());
    worker.stop();
}
