//! `redis-wb snapshot`: the keys that are there before anything is captured reach both targets, whatever is written
//! meanwhile and however often the walk is broken off.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helping functions as well")]

mod support;

use std::fs::{self, File};
use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use redis::Commands as _;
use support::{Project, Row, assert_same_rows, seed, text};
use xtask::servers::{Process, Redis};

/// More than a stream may hold before a snapshot waits for a worker.
const KEYS: u32 = 15_000;

const TABLES: &str = "CREATE TABLE item (id integer PRIMARY KEY, qty integer, note text);";
const ROWS: &str = "SELECT CAST(id AS text), CAST(qty AS text), note FROM item ORDER BY item.id";

fn job(more: &str) -> String {
    let output = |connection| {
        format!(
            "  - uses: relational.write\n    with:\n      connection: {connection}\n      table: item\n      keys: [id]\n      \
             mapping: [qty, note]\n"
        )
    };
    format!(
        "source:\n  redis:\n    key_pattern: item:*\n    trigger: write-behind\n    key: item:<id:int>\n{more}output:\n{}{}",
        output("pg"),
        output("lite")
    )
}

/// Makes hashes `item:0` and so on in the database that the client is in, and keys that no job wants.
fn fill(client: &mut redis::Connection, keys: u32) {
    let script = "for i = 0, ARGV[1] - 1 do redis.call('HSET', 'item:' .. i, 'qty', i, 'note', 'old')
        redis.call('SET', 'other:' .. i, i) end";
    let () = redis::cmd("EVAL").arg(script).arg(0).arg(keys).query(client).unwrap();
}

/// Changes keys old and new until it is told to stop.
fn write_until(done: &AtomicBool, mut client: redis::Connection, mut random: StdRng) {
    while !done.load(Ordering::Relaxed) {
        let mut pipe = redis::pipe();
        for _ in 0..50 {
            let (all, id) = (KEYS + KEYS / 10, random.random_range(0..KEYS + KEYS / 10));
            // Redis copies no key to itself.
            let (key, other) = (format!("item:{id}"), format!("item:{}", (id + random.random_range(1..all)) % all));
            match random.random_range(0..5) {
                0 => pipe.del(key),
                1 => pipe.cmd("COPY").arg(key).arg(other).arg("REPLACE"),
                2 => pipe.cmd("PEXPIRE").arg(key).arg(random.random_range(1..500)),
                _ => pipe.hset(key, "qty", random.random_range(0..1_000)),
            };
        }
        pipe.ignore().exec(&mut client).unwrap();
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The rows that the keys of Redis call for.
fn expected(client: &mut redis::Connection) -> Vec<Row> {
    let mut rows = Vec::new();
    for id in 0..KEYS + KEYS / 10 {
        let (qty, note): (Option<String>, Option<String>) =
            redis::cmd("HMGET").arg(format!("item:{id}")).arg(&["qty", "note"]).query(client).unwrap();
        if qty.is_some() || note.is_some() {
            rows.push(vec![
                id.to_string(),
                qty.unwrap_or_else(|| "∅".to_owned()),
                note.unwrap_or_else(|| "∅".to_owned()),
            ]);
        }
    }
    rows
}

fn snapshot(project: &Project, arguments: &[&str]) -> Output {
    let mut command = project.command(&["snapshot", "--redis", &project.redis.url()]);
    command.args(arguments).output().unwrap()
}

/// Starts a snapshot in the background, and waits until it has to wait itself, in the middle.
fn begun(project: &Project) -> Process {
    let log = File::create(project.path("snapshot.log")).unwrap();
    let mut command = project.command(&["snapshot", "items", "--redis", &project.redis.url()]);
    let process = Process::spawn(command.stdout(log.try_clone().unwrap()).stderr(log)).unwrap();
    project.wait("the stream is long", || log_of(project).contains("wait for `redis-wb run`"));
    process
}

fn log_of(project: &Project) -> String {
    fs::read_to_string(project.path("snapshot.log")).unwrap_or_default()
}

#[test]
fn keys_from_before_reach_the_targets_though_the_walk_is_broken_off_and_keys_change_meanwhile() {
    let mut random = StdRng::seed_from_u64(seed());
    let project = Project::new("items", &job("    on_expire: delete\n"), TABLES);
    let mut client = project.client();
    fill(&mut client, KEYS);

    // Nothing reads the stream yet, so the first walks come to a standstill in the middle.
    let mut process = begun(&project);
    process.kill();
    let records = |client: &mut redis::Connection| -> u32 { client.hget("wb:{0}/snapshot/items/", "records").unwrap() };
    let first = records(&mut client);
    assert!(first > 0 && first < KEYS, "{first} records");
    let mut process = begun(&project);
    let log = log_of(&project);
    assert!(log.contains("items: goes on at ") && log.contains(&format!(" %, {first} records")), "{log}");
    process.stop();
    let code = process.status().unwrap().code();
    assert_eq!(
        (code, log_of(&project).contains("run the same command again")),
        (Some(2), true),
        "{}",
        log_of(&project)
    );

    let done = AtomicBool::new(false);
    let mut worker = project.worker();
    std::thread::scope(|scope| {
        let writer = StdRng::seed_from_u64(random.random());
        let (done_seen, other) = (&done, project.client());
        scope.spawn(move || write_until(done_seen, other, writer));
        let output = snapshot(&project, &[]);
        done.store(true, Ordering::Relaxed);
        let said = text(&output.stderr);
        assert!(output.status.success() && said.contains("items: goes on at "), "{said}");
        assert!(text(&output.stdout).contains("items: all keys are walked"), "{}", text(&output.stdout));
    });
    std::thread::sleep(Duration::from_millis(600));
    // Asking for them makes Redis notice which have expired.
    let expected = expected(&mut client);
    worker.stop();
    project.drain();
    assert_same_rows(&project.pg_rows(ROWS), &expected);
    assert_same_rows(&project.lite_rows(ROWS), &expected);
    assert!(!client.exists::<_, bool>("wb:{0}/snapshot/items/").unwrap(), "nothing is left of a walk that is over");
    assert_eq!(client.xlen::<_, u32>("dlq:wb:{0}:items").unwrap(), 0);
}

#[test]
fn a_walk_begins_anew_on_demand_and_where_the_server_did() {
    let mut project = Project::new("items", &job(""), TABLES);
    project.redis = Redis::start_with(&["--appendonly", "yes"]);
    fill(&mut project.client(), KEYS);
    begun(&project).kill();
    project.redis.kill();
    project.redis.restart();
    let mut client = project.client();
    project.wait("the AOF is loaded", || redis::cmd("PING").exec(&mut client).is_ok());
    let worker = project.worker();
    let output = snapshot(&project, &["items"]);
    let said = text(&output.stderr);
    assert!(output.status.success() && said.contains("items: begins anew"), "{said}");
    drop(worker);
    project.drain();
    assert_eq!(project.pg_rows(ROWS).len(), usize::try_from(KEYS).unwrap());

    let () = redis::cmd("XTRIM").arg("wb:{0}:items").arg("MAXLEN").arg(0).query(&mut client).unwrap();
    begun(&project).kill();
    let worker = project.worker();
    let output = snapshot(&project, &["items", "--restart"]);
    drop(worker);
    let said = text(&output.stderr);
    assert!(output.status.success() && said.contains("items: begins\n") && !said.contains("goes on"), "{said}");
}

#[test]
fn keys_of_another_database_and_of_one_type() {
    let project = Project::new("items", &job("    db: 3\n    data_type: hash\n"), TABLES);
    let mut client = project.client();
    let () = redis::cmd("SELECT").arg(3).query(&mut client).unwrap();
    fill(&mut client, 10);
    let () = client.sadd("item:77", "no hash").unwrap();
    let output = snapshot(&project, &[]);
    assert_eq!(text(&output.stdout), "items: all keys are walked, 10 records appended\n", "{}", text(&output.stderr));
    project.drain();
    assert_eq!(project.pg_rows(ROWS).len(), 10);
    assert_eq!(project.lite_rows(ROWS), project.pg_rows(ROWS));
}

/// Whoever reads what it says may be gone: it goes on, and ends when it is told to.
#[test]
fn a_snapshot_that_nobody_listens_to_ends_all_the_same() {
    let project = Project::new("items", &job(""), TABLES);
    fill(&mut project.client(), KEYS);
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = project.command(&["snapshot", "--redis", &project.redis.url()]);
    let mut process = Process::spawn(command.stdout(writer.try_clone().unwrap()).stderr(writer)).unwrap();
    drop((reader, command));
    let mut client = project.client();
    project.wait("the stream is long", || client.xlen::<_, u32>("wb:{0}:items").unwrap() > 10_000);
    assert!(process.runs());
    process.stop();
    assert!(process.status().is_some_and(|status| status.code().is_some()), "it was not killed");
}

/// A snapshot that cannot be made says what to do.
#[test]
fn what_a_snapshot_says_where_it_cannot_be_made() {
    let mut project = Project::new("items", &job(""), TABLES);
    let mut client = project.client();
    fill(&mut client, 10);
    let refused = |project: &Project, arguments: &[&str], words: &[&str]| {
        let output = snapshot(project, arguments);
        let said = text(&output.stderr).replace("\n  │", "");
        assert_eq!(output.status.code(), Some(2), "{said}");
        for word in words {
            assert!(said.contains(word), "`{word}` is not in:\n{said}");
        }
    };
    refused(&project, &["itmes"], &["there is no job `itmes`", "the jobs are: items"]);
    let () = redis::cmd("WB.TRACK").arg("items").arg("thing:*").query(&mut client).unwrap();
    refused(&project, &[], &["captures `thing:*` in database 0", "redis-wb run"]);
    let () = redis::cmd("WB.UNTRACK").arg("items").query(&mut client).unwrap();
    let () = client.set("wb:{0}:items", "no stream").unwrap();
    refused(&project, &[], &["WRONGTYPE"]);
    project.redis = Redis::start_bare(&[]);
    refused(&project, &[], &["this Redis has no capture module", "--loadmodule"]);
}

#[test]
fn a_snapshot_waits_for_memory() {
    let project = Project::new("items", &job(""), TABLES);
    let mut client = project.client();
    fill(&mut client, 10);
    let set = |client: &mut redis::Connection, bytes: &str| {
        let () = redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(bytes).query(client).unwrap();
    };
    set(&mut client, "1");
    let log = File::create(project.path("snapshot.log")).unwrap();
    let mut command = project.command(&["snapshot", "--redis", &project.redis.url()]);
    let mut process = Process::spawn(command.stdout(log.try_clone().unwrap()).stderr(log)).unwrap();
    project.wait("it waits", || log_of(&project).contains("items: waiting: Redis has reached its `maxmemory`"));
    set(&mut client, "0");
    let status = process.wait(Duration::from_secs(60));
    assert!(status.is_some_and(|status| status.success()), "{}", log_of(&project));
    assert!(log_of(&project).contains("10 records appended"), "{}", log_of(&project));
}
