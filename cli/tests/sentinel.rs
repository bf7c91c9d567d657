//! Failover by a sentinel: the worker follows by itself, and what the new primary never heard of is noticed and mended.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helping functions as well")]

mod support;

use std::time::Duration;

use redis::Commands as _;
use support::{Project, Row, assert_same_rows, text};
use xtask::servers::{Redis, Sentinel};

const KEYS: u32 = 50;
const TABLES: &str = "CREATE TABLE emp (id integer PRIMARY KEY, name text);";
const ROWS: &str = "SELECT CAST(id AS text), name FROM emp ORDER BY emp.id";
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

/// A project whose Redis is a primary with a replica, and the sentinel of both.
fn project() -> (Project, Redis, Sentinel) {
    let project = Project::new("emps", JOB, TABLES);
    let replica = Redis::start_replica_of(&project.redis);
    project.wait("the replica follows", || has_all(&project.redis));
    let sentinel = Sentinel::start("shop", &project.redis, 1);
    let mut client = client(sentinel.port());
    project.wait("the sentinel knows the replica", || {
        let replicas: Vec<redis::Value> =
            redis::cmd("SENTINEL").arg("REPLICAS").arg("shop").query(&mut client).unwrap();
        !replicas.is_empty()
    });
    (project, replica, sentinel)
}

fn client(port: u16) -> redis::Connection {
    redis::Client::open(format!("redis://127.0.0.1:{port}")).unwrap().get_connection().unwrap()
}

/// Writes as an application does that has to be told where the primary is; whether it was taken.
fn hset(redis: &Redis, id: u32, name: &str) -> bool {
    let client = redis::Client::open(redis.url()).unwrap();
    let set = |mut redis: redis::Connection| redis.hset::<_, _, _, ()>(format!("emp:{id}"), "name", name);
    client.get_connection().and_then(set).is_ok()
}

#[track_caller]
fn wait_until_promoted(project: &Project, replica: &Redis) {
    project.wait("the replica is promoted", || has_role(replica, "master"));
}

/// Asked of a new connection each time: a sentinel ends those that are there.
fn has_role(redis: &Redis, name: &str) -> bool {
    let client = redis::Client::open(redis.url()).unwrap();
    let role = client.get_connection().and_then(|mut redis| redis::cmd("ROLE").query::<Vec<redis::Value>>(&mut redis));
    role.is_ok_and(|role| role.first() == Some(&redis::Value::BulkString(name.into())))
}

/// Whether the replica of a primary has all that it has. `WAIT` counts from the last write of its own connection.
fn has_all(primary: &Redis) -> bool {
    let mut client = client(primary.port());
    let () = client.set("mark", 1).unwrap();
    redis::cmd("WAIT").arg(1).arg(1_000).query::<u32>(&mut client).unwrap() == 1
}

fn expected(redis: &Redis) -> Vec<Row> {
    let mut client = client(redis.port());
    let mut row = |id: u32| {
        let name: Option<String> = client.hget(format!("emp:{id}"), "name").unwrap();
        Some(vec![id.to_string(), name?])
    };
    (0..KEYS).filter_map(&mut row).collect()
}

#[test]
fn a_worker_follows_a_failover_under_load() {
    let (mut project, mut replica, sentinel) = project();
    let mut worker = project.worker_at(&sentinel.url(), &[]);
    project.wait_until_tracked();
    for version in 0..500 {
        assert!(hset(&project.redis, version % KEYS, &version.to_string()));
    }
    project.redis.kill();
    // Nobody takes writes until the sentinel has decided.
    let mut version = 500;
    while version < 1_000 {
        if hset(&replica, version % KEYS, &version.to_string()) {
            version += 1;
        } else {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    let expected = expected(&replica);
    assert_eq!(expected.len(), usize::try_from(KEYS).unwrap());
    project.wait("PostgreSQL says what Redis says", || project.pg_rows(ROWS) == expected);
    project.wait("SQLite says what Redis says", || project.lite_rows(ROWS) == expected);

    // The old primary comes back as a replica, and takes over again.
    project.redis.restart();
    project.wait("the old primary follows", || has_role(&project.redis, "slave"));
    project.wait("it has caught up", || has_all(&replica));
    let () = redis::cmd("SENTINEL").arg("FAILOVER").arg("shop").query(&mut client(sentinel.port())).unwrap();
    wait_until_promoted(&project, &project.redis);
    project.wait("it is written to", || hset(&project.redis, 0, "back"));
    project.wait("the row", || {
        project.pg_rows(ROWS).first().is_some_and(|row| row[1] == "back")
            && project.lite_rows(ROWS).first().is_some_and(|row| row[1] == "back")
    });
    // Other commands find the primary in the same way.
    let output = project.command(&["dlq", "list", "--redis", &sentinel.url()]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let output = project.command(&["snapshot", "--redis", &sentinel.url()]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    worker.stop();
    assert!(worker.status().unwrap().success(), "{}", project.log());
    replica.stop();
}

/// What the replica never got is in the target and no longer in Redis.
#[test]
fn what_a_failover_loses_is_told_and_mended() {
    let (mut project, mut replica, sentinel) = project();
    let mut worker = project.worker_at(&sentinel.url(), &[]);
    project.wait_until_tracked();
    assert!(hset(&project.redis, 1, "Ada"));
    assert!(hset(&project.redis, 2, "Alan"));
    project.wait("the rows", || project.pg_rows(ROWS).len() == 2 && project.lite_rows(ROWS).len() == 2);
    project.wait("the stream is drained", || project.client().xlen::<_, u32>("wb:{0}:emps").unwrap() == 0);
    project.wait("the replica has them", || has_all(&project.redis));
    // Its connection goes, too, since that would keep what is sent until it is resumed.
    replica.pause();
    redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("replica").exec(&mut project.client()).unwrap();
    assert!(hset(&project.redis, 1, "lost"));
    let _: () = project.client().del("emp:2").unwrap();
    let lost = |rows: Vec<Row>| rows == [vec!["1".to_owned(), "lost".to_owned()]];
    project.wait("the targets have it", || lost(project.pg_rows(ROWS)) && lost(project.lite_rows(ROWS)));
    project.redis.kill();
    replica.resume();
    wait_until_promoted(&project, &replica);
    let expected = expected(&replica);
    project.wait("it is mended", || project.pg_rows(ROWS) == expected && project.lite_rows(ROWS) == expected);
    assert_same_rows(&expected, &[vec!["1".to_owned(), "Ada".to_owned()], vec!["2".to_owned(), "Alan".to_owned()]]);
    let log = project.log();
    assert!(log.contains("Redis has lost changes") && log.contains("redis-wb snapshot emps"), "{log}");
    project.wait("that is noted beside the stream", || {
        let noted: Vec<String> = client(replica.port()).hvals("wb:{0}/lost/emps/").unwrap();
        noted.len() == 2 && noted.iter().all(|noted| noted.ends_with(" mended"))
    });
    // It is told once, and nothing is taken for lost that is not.
    worker.kill();
    let mut worker = project.worker_at(&sentinel.url(), &[]);
    assert!(hset(&replica, 3, "Grace"));
    project.wait("the third row", || project.pg_rows(ROWS).len() == 3 && project.lite_rows(ROWS).len() == 3);
    worker.stop();
    assert_eq!(project.log().matches("Redis has lost changes").count(), 2, "{}", project.log());
}

#[test]
fn an_address_that_is_none_is_told() {
    let (project, _replica, sentinel) = project();
    for (url, said) in [
        ("redis+sentinel://127.0.0.1", "no primary"),
        ("redis+sentinel:///shop", "no sentinel"),
        ("redis://127.0.0.1:6379/3", "`source.redis.db`"),
    ] {
        let output = project.command(&["run", "--redis", url]).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains(said), "{}", text(&output.stderr));
    }
    let mut worker = project.worker_at(&format!("redis+sentinel://127.0.0.1:{}/nobody", sentinel.port()), &[]);
    project.wait("it waits", || project.log().contains("no sentinel knows a living primary `nobody`"));
    worker.stop();
}
