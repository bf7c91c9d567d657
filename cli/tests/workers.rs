//! Several workers: one has the lease, another takes over when it dies, goes or stands still, and whoever comes back
//! then writes nothing.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helping functions as well")]

mod support;

use std::time::{Duration, Instant};

use redis::Commands as _;
use support::maria::Maria;
use support::{Project, Row, assert_same_rows, text};
use xtask::servers::{Cluster, Process, Redis};

const TABLES: &str = "CREATE TABLE emp (id integer PRIMARY KEY, name text);";
const ROWS: &str = "SELECT CAST(id AS text), name FROM emp ORDER BY emp.id";
const LEASE: &str = "wb:{0}/lease";
const WORKERS: &str = "wb:{redis-wb}/workers";

/// A job that writes to tables of these connections.
fn job(connections: &[&str]) -> String {
    let output = |connection: &&str| {
        format!(
            "  - uses: relational.write\n    with:\n      connection: {connection}\n      table: emp\n      keys: [id]\n      \
             mapping: [name]\n"
        )
    };
    let outputs: String = connections.iter().map(output).collect();
    format!(
        "source:\n  redis:\n    key_pattern: emp:*\n    trigger: write-behind\n    key: emp:<id:int>\noutput:\n{outputs}"
    )
}

fn row(id: u32, name: &str) -> Row {
    vec![id.to_string(), name.to_owned()]
}

fn hset(project: &Project, id: u32, name: &str) {
    let _: () = project.client().hset(format!("emp:{id}"), "name", name).unwrap();
}

fn owner(project: &Project) -> String {
    project.client().hget::<_, _, Option<String>>(LEASE, "owner").unwrap().unwrap_or_default()
}

fn has_lease(project: &Project, worker: &Process) -> bool {
    owner(project).contains(&format!("-{}-", worker.pid()))
}

#[track_caller]
fn wait_until_it_has_the_lease(project: &Project, worker: &Process) {
    project.wait("the worker has the lease", || has_lease(project, worker));
}

#[track_caller]
fn wait_until_it_registers(project: &Project, worker: &Process) {
    project.wait("the worker registers", || {
        let all: Vec<String> = project.client().hkeys(WORKERS).unwrap();
        all.iter().any(|name| name.contains(&format!("-{}-", worker.pid())))
    });
}

/// The goals: a takeover within ten seconds of a death, a handover at once when a worker is asked to go.
#[test]
fn another_takes_over_from_one_that_dies_and_from_one_that_goes() {
    let project = Project::new("emps", &job(&["pg", "lite"]), TABLES);
    let takeover = ["--takeover-ms", "6000"];
    let mut first = project.worker_at(&project.redis.url(), &takeover);
    wait_until_it_has_the_lease(&project, &first);
    let mut second = project.worker_at(&project.redis.url(), &takeover);
    wait_until_it_registers(&project, &second);
    hset(&project, 1, "Ada");
    project.wait("the first row", || project.pg_rows(ROWS).len() == 1 && project.lite_rows(ROWS).len() == 1);
    // Whoever is to end when nothing is left sees that another has drained the streams.
    project.drain();
    assert!(has_lease(&project, &first));

    first.kill();
    let killed = Instant::now();
    hset(&project, 2, "Alan");
    project.wait("the second row", || project.pg_rows(ROWS).len() == 2 && project.lite_rows(ROWS).len() == 2);
    assert!(killed.elapsed() < Duration::from_secs(10), "it took {:?}", killed.elapsed());
    assert!(has_lease(&project, &second));

    let mut third = project.worker_at(&project.redis.url(), &takeover);
    wait_until_it_registers(&project, &third);
    let asked = Instant::now();
    second.stop();
    assert!(second.status().unwrap().success(), "{}", project.log());
    hset(&project, 3, "Grace");
    project.wait("the third row", || project.pg_rows(ROWS).len() == 3 && project.lite_rows(ROWS).len() == 3);
    // Had the lease not been let go of, it would have lasted longer.
    assert!(asked.elapsed() < Duration::from_secs(5), "it took {:?}", asked.elapsed());
    third.stop();
    let fences = "SELECT DISTINCT CAST(fence AS text) FROM redis_wb_checkpoint";
    assert_eq!(project.pg_rows(fences), [["3"]]);
    assert_eq!(project.lite_rows(fences), [["3"]]);
    assert_eq!(project.client().hkeys::<_, Vec<String>>(WORKERS).unwrap(), Vec::<String>::new());
}

/// A worker that stood still past the end of its lease and knows nothing of it tries to write what nobody else has
/// written; only the target can tell it. `rows` counts them there.
fn comes_back_and_writes_nothing(project: &Project, rows: impl Fn() -> usize) {
    // None of them looks at its lease for a while.
    let takeover = ["--takeover-ms", "120000"];
    let mut first = project.worker_at(&project.redis.url(), &takeover);
    wait_until_it_has_the_lease(project, &first);
    hset(project, 1, "Ada");
    project.wait("the first row", || rows() == 1);
    first.pause();
    let _: () = project.client().hset_multiple(LEASE, &[("owner", ""), ("ends", "0")]).unwrap();
    let mut second = project.worker_at(&project.redis.url(), &takeover);
    wait_until_it_has_the_lease(project, &second);
    project.wait("it works", || project.log().matches("running").count() == 2);
    second.pause();
    hset(project, 2, "Alan");
    first.resume();
    project.wait("the first is told", || project.log().contains("fenced off"));
    assert_eq!(rows(), 1, "{}", project.log());
    assert!(has_lease(project, &second));
    second.resume();
    project.wait("the second row", || rows() == 2);
    second.stop();
    // Whoever was fenced off competes anew.
    wait_until_it_has_the_lease(project, &first);
    hset(project, 3, "Grace");
    project.wait("the third row", || rows() == 3);
}

#[test]
fn postgresql_refuses_a_worker_that_was_replaced() {
    let project = Project::new("emps", &job(&["pg"]), TABLES);
    comes_back_and_writes_nothing(&project, || project.pg_rows(ROWS).len());
}

#[test]
fn sqlite_refuses_a_worker_that_was_replaced() {
    let project = Project::new("emps", &job(&["lite"]), TABLES);
    comes_back_and_writes_nothing(&project, || project.lite_rows(ROWS).len());
}

#[test]
fn mariadb_refuses_a_worker_that_was_replaced() {
    let project = Project::new("emps", &job(&["maria"]), TABLES);
    let maria = Maria::join(&project, TABLES);
    comes_back_and_writes_nothing(&project, || maria.rows(ROWS).len());
}

#[test]
fn a_redis_refuses_a_worker_that_was_replaced() {
    let cache = Redis::start_bare(&[]);
    let job = job(&[])
        + "  - uses: redis.write\n    with:\n      connection: cache\n      \
           key: {expression: \"'e:' || id\", language: sql}\n      mapping: [name]\n";
    let project = Project::new("emps", &job, TABLES);
    let config = std::fs::read_to_string(project.path("config.yaml")).unwrap();
    let connection =
        format!("connections:\n  cache:\n    type: redis\n    host: 127.0.0.1\n    port: {}\n", cache.port());
    project.write("config.yaml", &config.replacen("connections:\n", &connection, 1));
    let target = redis::Client::open(cache.url()).unwrap();
    comes_back_and_writes_nothing(&project, || {
        target.get_connection().unwrap().keys::<_, Vec<String>>("e:*").unwrap().len()
    });
}

/// While it stands still in a transaction, the server ends that; nobody waits for ever.
#[test]
fn a_worker_that_stands_still_in_a_transaction_holds_nobody_up() {
    let project = Project::new("emps", &job(&["pg", "maria"]), TABLES);
    let maria = Maria::join(&project, TABLES);
    let mut first = project.worker();
    wait_until_it_has_the_lease(&project, &first);
    project.wait("it works", || project.log().matches("running").count() == 2);
    // The transaction gets as far as the row, which it waits for.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = runtime.block_on(async {
        let (client, wire) = tokio_postgres::connect(&project.postgres.url(), tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(wire);
        client.batch_execute("BEGIN; LOCK TABLE emp").await.unwrap();
        client
    });
    hset(&project, 1, "Ada");
    project.wait("MariaDB has the row", || maria.rows(ROWS).len() == 1);
    project.wait("PostgreSQL waits with it", || {
        project
            .pg_rows(
                "SELECT wait_event_type FROM pg_stat_activity WHERE application_name = 'redis-wb' AND \
            wait_event_type = 'Lock'",
            )
            .len()
            == 1
    });
    first.pause();
    runtime.block_on(client.batch_execute("COMMIT")).unwrap();
    let mut second = project.worker();
    project.wait("the row", || project.pg_rows(ROWS) == [row(1, "Ada")]);
    assert!(has_lease(&project, &second));
    hset(&project, 2, "Alan");
    project.wait("the next", || project.pg_rows(ROWS).len() == 2 && maria.rows(ROWS).len() == 2);
    first.resume();
    hset(&project, 3, "Grace");
    project.wait("the third", || project.pg_rows(ROWS).len() == 3 && maria.rows(ROWS).len() == 3);
    first.stop();
    second.stop();
    assert!(first.status().unwrap().success() && second.status().unwrap().success(), "{}", project.log());
}

/// Workers stand still in turn, for longer than their lease, while keys change all the time.
#[test]
fn workers_that_stand_still_in_turn_lose_and_double_nothing() {
    let project = Project::new("emps", &job(&["pg", "lite"]), TABLES);
    project.pg("CREATE TABLE audit (seq bigserial PRIMARY KEY, id integer, name text);
         CREATE FUNCTION record() RETURNS trigger LANGUAGE plpgsql AS
           'BEGIN INSERT INTO audit (id, name) VALUES (NEW.id, NEW.name); RETURN NULL; END';
         CREATE TRIGGER record AFTER INSERT OR UPDATE ON emp FOR EACH ROW EXECUTE FUNCTION record();");
    let mut workers = [project.worker(), project.worker()];
    project.wait_until_tracked();
    let mut version = 0;
    for _ in 0..4 {
        project.wait("one has the lease", || workers.iter().any(|worker| has_lease(&project, worker)));
        let holder = usize::from(has_lease(&project, &workers[1]));
        workers[holder].pause();
        let paused = Instant::now();
        while paused.elapsed() < Duration::from_secs(3) {
            version += 1;
            hset(&project, version % 20, &format!("{version:08}"));
        }
        assert!(!has_lease(&project, &workers[holder]), "it is {}", owner(&project));
        workers[holder].resume();
    }
    project.wait("the stream is drained", || project.client().xlen::<_, u32>("wb:{0}:emps").unwrap() == 0);
    let expected: Vec<Row> = (0..20)
        .filter_map(|id| {
            Some((id, project.client().hget::<_, _, Option<String>>(format!("emp:{id}"), "name").unwrap()?))
        })
        .map(|(id, name)| row(id, &name))
        .collect();
    assert_same_rows(&project.pg_rows(ROWS), &expected);
    assert_same_rows(&project.lite_rows(ROWS), &expected);
    let back =
        "SELECT name FROM (SELECT id, name, lag(name) OVER (PARTITION BY id ORDER BY seq) AS before FROM audit) AS a
        WHERE name <= before";
    assert_same_rows(&project.pg_rows(back), &[]);
    for worker in &mut workers {
        worker.stop();
        assert!(worker.status().unwrap().success(), "{}", project.log());
    }
}

/// Tables of an early version get their column, by whichever of two workers comes first, and keep their positions.
#[test]
fn a_checkpoint_without_fences_is_migrated() {
    let project = Project::new("emps", &job(&["pg", "lite", "maria"]), TABLES);
    let maria = Maria::join(&project, TABLES);
    project.drain();
    hset(&project, 1, "Ada");
    project.drain();
    let drop =
        "DELETE FROM redis_wb_checkpoint WHERE epoch = 'fence'; ALTER TABLE redis_wb_checkpoint DROP COLUMN fence;";
    project.pg(drop);
    project.lite().execute_batch(drop).unwrap();
    maria.run(drop);
    let kept = "SELECT position FROM redis_wb_checkpoint WHERE epoch <> 'fence'";
    let before = project.pg_rows(kept);
    let mut workers = [project.worker(), project.worker()];
    hset(&project, 2, "Alan");
    let has_both = || [project.pg_rows(ROWS).len(), project.lite_rows(ROWS).len(), maria.rows(ROWS).len()] == [2, 2, 2];
    project.wait("both rows everywhere", has_both);
    assert_eq!(before.len(), 1);
    assert_eq!(project.pg_rows(kept).len(), 1, "the position moved, and no other came");
    let fences = "SELECT DISTINCT CAST(fence AS text) FROM redis_wb_checkpoint";
    assert_eq!(project.pg_rows(fences), [["3"]]);
    assert_eq!(project.lite_rows(fences), [["3"]]);
    assert_eq!(maria.rows(fences), [["3"]]);
    workers.iter_mut().for_each(Process::stop);
}

/// The lease goes with the database; whoever had it keeps it.
#[test]
fn a_flush_takes_no_lease() {
    let project = Project::new("emps", &job(&["pg"]).replace("redis:\n", "redis:\n    on_flush: delete\n"), TABLES);
    let mut worker = project.worker();
    wait_until_it_has_the_lease(&project, &worker);
    hset(&project, 1, "Ada");
    project.wait("the row", || project.pg_rows(ROWS).len() == 1);
    let () = redis::cmd("FLUSHALL").query(&mut project.client()).unwrap();
    hset(&project, 2, "Alan");
    project.wait("the other row", || project.pg_rows(ROWS) == [row(2, "Alan")]);
    wait_until_it_has_the_lease(&project, &worker);
    worker.stop();
    assert!(!project.log().contains("fenced off"), "{}", project.log());
    // A Redis that gives out the same fences again is told so by the target.
    let () = redis::cmd("FLUSHALL").query(&mut project.client()).unwrap();
    project.drain();
    hset(&project, 3, "Grace");
    project.drain();
    assert_eq!(project.pg_rows(ROWS), [row(3, "Grace")]);
    assert_eq!(project.pg_rows("SELECT CAST(fence AS text) FROM redis_wb_checkpoint WHERE epoch = 'fence'").len(), 1);
}

/// In a cluster every shard has a unit. Whoever joins gets its share from those that have more, and whoever goes leaves it
/// to the others; rows follow all the while.
#[test]
fn workers_share_the_units_of_a_cluster() {
    let cluster = Cluster::start(3, 0);
    let project = Project::new("emps", &job(&["pg"]), TABLES);
    let worker = || project.worker_at(&cluster.url(), &[]);
    let held = || {
        let mut leases: Vec<String> = Vec::new();
        for at in 0..3 {
            let mut redis = cluster.connect(at);
            for key in redis.keys::<_, Vec<String>>("wb:{*}/lease").unwrap() {
                let owner: Option<String> = redis.hget(key, "owner").unwrap();
                leases.extend(owner.filter(|owner| !owner.is_empty()));
            }
        }
        leases
    };
    let share = |worker: &Process| {
        let own = format!("-{}-", worker.pid());
        held().iter().filter(|owner| owner.contains(&own)).count()
    };
    let mut written = 0;
    let mut follow = |what: &str, holds: &dyn Fn() -> bool| {
        project.wait(what, || {
            written += 1;
            let key = format!("emp:{}", written % 100);
            let mut hset = redis::cmd("HSET");
            hset.arg(&key).arg("name").arg(written);
            // Two of three are told to ask another server.
            assert!((0..3).any(|at| hset.query::<u32>(&mut cluster.connect(at)).is_ok()));
            holds()
        });
    };
    let mut first = worker();
    follow("one holds all", &|| share(&first) == 3);
    let mut second = worker();
    follow("two share", &|| held().len() == 3 && share(&second) == 1);
    let third = worker();
    follow("three share", &|| [&first, &second, &third].map(&share) == [1, 1, 1]);
    second.stop();
    follow("one goes", &|| share(&first) + share(&third) == 3);
    first.kill();
    follow("one dies", &|| share(&third) == 3);
    follow("a hundred keys", &|| project.pg_rows(ROWS).len() == 100);
    let last = written.to_string();
    let newest = "SELECT max(CAST(name AS integer))::text FROM emp";
    project.wait("the last row", || project.pg_rows(newest) == [[last.as_str()]]);
    assert!(!project.log().contains("fenced off"), "{}", project.log());
}

#[test]
fn one_database_under_two_names_is_told() {
    let project = Project::new("emps", &job(&["pg", "other"]), TABLES);
    let config = std::fs::read_to_string(project.path("config.yaml")).unwrap();
    let (_, pg) = config.split_once("  pg:\n").unwrap();
    let (pg, _) = pg.split_once("  lite:\n").unwrap();
    project.write("config.yaml", &config.replacen("  pg:\n", &format!("  other:\n{pg}  pg:\n"), 1));
    let output = project.command(&["run", "--redis", &project.redis.url()]).output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("`pg` and `other` of job `emps` are one database"), "{said}");
}
