//! A Redis Cluster under random writes while its slots move back and forth, a server joins and a primary dies: the
//! target ends as Redis does, and a log has every change once, those of each key in order. Commands reach all shards.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helping functions as well"
)]

mod support;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use redis::cluster::{ClusterClient, ClusterConnection};
use support::{Project, Row, assert_same_rows, rounds, seed};
use xtask::servers::Cluster;

const KEYS: u32 = 120;
/// How many slots move in each phase.
const MOVES: usize = 30;
/// How often the application tries a command again where the cluster asks it to wait, and how long it waits at most, in
/// milliseconds.
const RETRIES: u32 = 1_000;
const RETRY_MS: u64 = 100;
/// A machine that is busy with other tests must not look like one that died.
const TAKEOVER: &[&str] = &["--takeover-ms", "5000"];

/// A server whose last slot goes would become a replica, and slots are to come back to it.
const STAYS_PRIMARY: &[&str] = &["--cluster-allow-replica-migration", "no"];

const ITEM: &str = "
source:
  redis:
    key_pattern: item:*
    trigger: write-behind
    key: item:<id:int>
output:
  - uses: relational.write
    with:
      connection: lite
      table: item
      keys: [id]
      mapping: [version: v, note]
";
const LOG: &str = "
source:
  redis:
    key_pattern: item:*
    trigger: write-behind
    key: item:<id:int>
    row_format: full
output:
  - uses: relational.write
    with:
      connection: lite
      table: log
      keys: [id: key.id]
      mapping:
        - version: after.v
        - op: {expression: opcode, language: jmespath}
      load_strategy: APPEND
";
const TABLES: &str = "
CREATE TABLE item (id integer PRIMARY KEY, version bigint NOT NULL, note text);
CREATE TABLE log (seq integer PRIMARY KEY, id integer NOT NULL, version bigint, op text NOT NULL);
";

/// What the writer did to each key: the version written, or `None` where it was deleted.
type History = BTreeMap<u32, Vec<Option<u64>>>;

/// Writes at random until it is told to end, and stands still when it is asked to.
struct Writer {
    ends: AtomicBool,
    /// Taken by whoever wants no write under way; says whether servers have changed since the last one.
    turn: Mutex<bool>,
    written: AtomicUsize,
}

impl Writer {
    fn run(&self, urls: &[String], mut random: StdRng) -> History {
        let mut redis = connect(urls);
        let mut history = History::new();
        let mut there = BTreeMap::new();
        for version in 1.. {
            if self.ends.load(Ordering::Relaxed) {
                break;
            }
            let mut has_changed = self.turn.lock().unwrap();
            if std::mem::take(&mut *has_changed) {
                redis = connect(urls);
            }
            let id = random.random_range(0..KEYS);
            let is_deleted = there.get(&id) == Some(&true) && random.random_bool(0.2);
            let mut command = redis::Cmd::new();
            if is_deleted {
                command.arg("DEL").arg(format!("item:{id}"));
            } else {
                command.arg("HSET").arg(format!("item:{id}")).arg("v").arg(version);
                if random.random_bool(0.3) {
                    command.arg("note").arg(format!("note {version}"));
                }
            }
            command.query::<redis::Value>(&mut redis).unwrap_or_else(|error| panic!("{version} of {id}: {error}"));
            history.entry(id).or_default().push((!is_deleted).then_some(version));
            there.insert(id, !is_deleted);
            self.written.fetch_add(1, Ordering::Relaxed);
            drop(has_changed);
            thread::sleep(Duration::from_micros(random.random_range(0..1_500)));
        }
        history
    }
}

fn connect(urls: &[String]) -> ClusterConnection {
    // The pauses of the client grow to minutes by themselves.
    let builder = ClusterClient::builder(urls.to_vec()).retries(RETRIES).retry_wait_formula(RETRY_MS, 1);
    let client = builder.min_retry_wait(1).max_retry_wait(RETRY_MS).build().unwrap();
    client.get_connection().unwrap()
}

/// Moves slots with keys or streams in them between servers that take writes, two at a time in opposite directions.
fn reshard(cluster: &Cluster, servers: &[usize], moves: usize, random: &mut StdRng) {
    let slots = slots_in_use(cluster, servers);
    for _ in 0..moves / 2 {
        let (one, other) = (*slots.choose(random).unwrap(), *slots.choose(random).unwrap());
        let (from, to) = (cluster.owner(one, servers[0]), *servers.choose(random).unwrap());
        if from == to {
            continue;
        }
        let back = cluster.owner(other, servers[0]) == to && one != other;
        cluster.open_slot(one, from, to).unwrap();
        if back {
            cluster.open_slot(other, to, from).unwrap();
        }
        thread::sleep(Duration::from_millis(random.random_range(0..20)));
        while cluster.move_keys(one, from, to).unwrap() > 0 {}
        if back {
            while cluster.move_keys(other, to, from).unwrap() > 0 {}
        }
        thread::sleep(Duration::from_millis(random.random_range(0..20)));
        close(cluster, servers, one, to);
        if back {
            close(cluster, servers, other, from);
        }
    }
}

/// Ends a move, and tells all servers, so that the next move begins with what they agree on.
fn close(cluster: &Cluster, servers: &[usize], slot: u16, to: usize) {
    cluster.agree().unwrap();
    let id = cluster.id(to);
    let others = servers.iter().filter(|at| **at != to);
    for at in [to].iter().chain(others) {
        // A server may have heard of it already.
        let _ = cluster.run(*at, &["CLUSTER", "SETSLOT", &slot.to_string(), "NODE", &id]);
    }
}

/// The slots of all keys, and those of the change streams several times: they are to move often.
fn slots_in_use(cluster: &Cluster, servers: &[usize]) -> Vec<u16> {
    let mut redis = cluster.connect(servers[0]);
    let mut slot = |key: &str| redis::cmd("CLUSTER").arg("KEYSLOT").arg(key).query::<u16>(&mut redis).unwrap();
    let mut slots: Vec<u16> = (0..KEYS).map(|id| slot(&format!("item:{id}"))).collect();
    for at in servers {
        let streams: Vec<String> = redis::cmd("WB.STREAMS").query(&mut cluster.connect(*at)).unwrap();
        slots.extend(streams.iter().flat_map(|stream| [slot(stream); 8]));
    }
    slots
}

/// The rows that the keys of Redis call for.
fn expected(redis: &mut ClusterConnection) -> Vec<Row> {
    let row = |id: u32| -> Option<Row> {
        let fields: (Option<String>, Option<String>) =
            redis::cmd("HMGET").arg(format!("item:{id}")).arg(&["v", "note"]).query(redis).unwrap();
        Some(vec![id.to_string(), fields.0?, fields.1.unwrap_or_else(|| "∅".to_owned())])
    };
    (0..KEYS).filter_map(row).collect()
}

#[test]
fn changes_of_a_key_stay_in_order_wherever_its_slot_goes() {
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    let project = Project::new("items", ITEM, TABLES);
    project.write("jobs/log.yaml", LOG);
    let mut cluster = Cluster::start_with(3, 1, STAYS_PRIMARY);
    let (urls, seeds) = (cluster.nodes().iter().map(xtask::servers::Redis::url).collect::<Vec<_>>(), cluster.url());
    let mut workers = vec![project.worker_at(&seeds, TAKEOVER), project.worker_at(&urls[1], TAKEOVER)];
    project.wait("all primaries track the jobs", || (0..3).all(|at| is_tracked(&cluster, at)));

    let writer =
        Arc::new(Writer { ends: AtomicBool::new(false), turn: Mutex::new(false), written: AtomicUsize::new(0) });
    let (own, own_urls) = (Arc::clone(&writer), urls.clone());
    let writing = thread::spawn(move || own.run(&own_urls, StdRng::seed_from_u64(seed ^ 1)));
    let moves = rounds(MOVES).max(10);

    reshard(&cluster, &[0, 1, 2], moves, &mut random);
    let fourth = cluster.add();
    project.wait("the new primary tracks the jobs", || is_tracked(&cluster, fourth));
    reshard(&cluster, &[0, 1, 2, fourth], moves, &mut random);
    workers[0].kill();
    workers[0] = project.worker_at(&seeds, TAKEOVER);

    // What a primary has not sent to its replica dies with it; here, nothing.
    let mut turn = writer.turn.lock().unwrap();
    let (dies, replica) = (1, 4);
    wait_for_replica(&mut cluster.connect(dies));
    cluster.node_mut(dies).kill();
    cluster.fail_over(replica).unwrap();
    *turn = true;
    drop(turn);
    let servers = [0, replica, 2, fourth];
    reshard(&cluster, &servers, moves, &mut random);
    writer.ends.store(true, Ordering::Relaxed);
    let history = writing.join().unwrap();

    let mut redis = connect(&urls[..1]);
    let expected_rows = expected(&mut redis);
    let changes: usize = history.values().map(Vec::len).sum();
    let count = || project.lite_rows("SELECT CAST(count(*) AS text) FROM log")[0][0].parse::<usize>().unwrap();
    project.wait("all changes are applied", || count() >= changes);
    for mut worker in workers {
        worker.stop();
        assert!(worker.status().unwrap().success(), "{}", project.log());
    }
    assert!(!project.log().contains("Redis has lost"), "{}", project.log());
    let mut last = project.worker_at(&urls[0], &["--until-idle"]);
    project.wait("the rest is drained", || !last.runs());
    assert!(last.status().unwrap().success(), "{}", project.log());

    assert_same_rows(
        &project.lite_rows("SELECT CAST(id AS text), CAST(version AS text), note FROM item ORDER BY item.id"),
        &expected_rows,
    );
    for (id, versions) in &history {
        let log = project.lite_rows(&format!("SELECT CAST(version AS text), op FROM log WHERE id = {id} ORDER BY seq"));
        let found: Vec<Option<u64>> = log.iter().map(|row| row[0].parse().ok()).collect();
        assert_eq!(&found, versions, "of key {id}; the workers said:\n{}", project.log());
    }
    for at in servers {
        let info: String = redis::cmd("INFO").arg("wb").query(&mut cluster.connect(at)).unwrap();
        assert!(info.contains("wb_failed:0") && info.contains("wb_waiting:0"), "{info}");
    }
    println!("{changes} changes, {} rows", expected_rows.len());
}

/// `snapshot` and `dlq` find what all shards have, also after slots moved; a server that joins is tracked at once.
#[test]
fn commands_reach_all_shards() {
    let tables =
        "CREATE TABLE item (id integer PRIMARY KEY, version bigint NOT NULL CHECK (version < 100), note text);";
    let project = Project::new("items", ITEM, tables);
    let mut cluster = Cluster::start(3, 0);
    let urls: Vec<String> = cluster.nodes().iter().map(xtask::servers::Redis::url).collect();
    let redis_wb = |arguments: &[&str]| {
        let output = project.command(arguments).args(["--redis", &urls[0]]).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", support::text(&output.stderr));
        support::text(&output.stdout)
    };
    let rows = || project.lite_rows("SELECT CAST(id AS text), CAST(version AS text), note FROM item ORDER BY item.id");
    let mut redis = connect(&urls);
    let mut write = |id: u32, version: u32| {
        let key = format!("item:{id}");
        redis::cmd("HSET").arg(key).arg("v").arg(version).query::<redis::Value>(&mut redis).unwrap();
    };

    // Nothing captured these keys.
    (0..KEYS).for_each(|id| write(id, 1));
    redis_wb(&["run", "--until-idle"]);
    assert_same_rows(&rows(), &[]);
    redis_wb(&["snapshot", "items"]);
    redis_wb(&["run", "--until-idle"]);
    assert_same_rows(&rows(), &expected(&mut connect(&urls)));

    // All shards have dead letters, and a key goes elsewhere without its own.
    (0..KEYS).for_each(|id| write(id, 200 + id));
    redis_wb(&["run", "--until-idle"]);
    let letters: serde_json::Value =
        serde_json::from_str(&redis_wb(&["dlq", "list", "--format", "json", "--max", "1000"])).unwrap();
    assert_eq!(letters.as_array().unwrap().len(), usize::try_from(KEYS).unwrap());
    let slot = slots_in_use(&cluster, &[0, 1, 2])[0];
    let from = cluster.owner(slot, 0);
    cluster.move_slot(slot, from, (from + 1) % 3).unwrap();
    cluster.settle();
    project
        .lite()
        .execute_batch(&format!("DROP TABLE item; {}", tables.replace(" CHECK (version < 100)", "")))
        .unwrap();
    let replayed = redis_wb(&["dlq", "replay", "--all"]);
    assert!(replayed.starts_with(&format!("{KEYS} replayed")), "{replayed}");
    redis_wb(&["run", "--until-idle"]);
    assert_same_rows(&rows(), &expected(&mut connect(&urls)));
    assert_eq!(redis_wb(&["dlq", "list"]), "no record was rejected\n");

    let mut worker = project.worker_at(&urls[0], TAKEOVER);
    let fourth = cluster.add();
    project.wait("the new primary tracks the job", || rules(&cluster, fourth) == 1);
    cluster.move_slot(slot, (from + 1) % 3, fourth).unwrap();
    cluster.settle();
    (0..KEYS).for_each(|id| write(id, 1_000 + id));
    let all = expected(&mut connect(&urls));
    project.wait("all rows", || rows() == all);
    worker.stop();
}

/// A key's slot moved, and nobody works the stream that has its earlier change.
#[test]
fn a_job_that_waits_for_another_shard_says_so() {
    let project = Project::new("items", ITEM, TABLES);
    let cluster = Cluster::start(3, 0);
    let url = cluster.nodes()[0].url();
    let redis_wb = |arguments: &[&str]| {
        let output = project.command(arguments).args(["--redis", &url]).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", support::text(&output.stderr));
        support::text(&output.stdout)
    };
    redis_wb(&["run", "--until-idle"]);
    let (slot, from) = (slots_in_use(&cluster, &[0, 1, 2])[0], 0);
    let from = cluster.owner(slot, from);
    let to = (from + 1) % 3;
    let tag = |at: usize| {
        let info: redis::InfoDict = redis::cmd("INFO").arg("wb").query(&mut cluster.connect(at)).unwrap();
        info.get::<String>("wb_tag").unwrap()
    };
    let (earlier, later) = (tag(from), tag(to));
    let lease = format!("wb:{{{earlier}}}/lease");
    let held = ["HSET", &lease, "owner", "nobody", "beat", "1", "ends", "99999999999999", "lasts", "99999999"];
    cluster.run(from, &held).unwrap();
    let mut worker = project.worker_at(&url, TAKEOVER);
    let mut redis = connect(std::slice::from_ref(&url));
    let mut write = |version: u32| {
        let () = redis::Commands::hset(&mut redis, "item:0", "v", version).unwrap();
    };
    write(1);
    cluster.move_slot(slot, from, to).unwrap();
    cluster.settle();
    write(2);
    let seen = |unit: &str| -> serde_json::Value {
        let status: serde_json::Value = serde_json::from_str(&redis_wb(&["status", "--format", "json"])).unwrap();
        status["rows"].as_array().unwrap().iter().find(|row| row["unit"] == unit).cloned().unwrap_or_default()
    };
    let stream = format!("wb:{{{earlier}}}:items");
    project.wait("it says that it waits, and for what", || {
        let row = seen(&later);
        let names_it = row["last_error"]["message"].as_str().is_some_and(|said| said.contains(&stream));
        row["state"] == "waiting" && names_it && row["lag_records"] == 1
    });
    let select = "SELECT CAST(id AS text), CAST(version AS text), note FROM item";
    assert_eq!(project.lite_rows(select), Vec::<Row>::new());
    cluster.run(from, &["HDEL", &lease, "owner", "ends"]).unwrap();
    project.wait("the row", || project.lite_rows(select) == [["0", "2", "∅"]]);
    project.wait("it says that it works", || seen(&later)["state"] == "running");
    worker.stop();
}

/// A server that left the cluster answers, and knows nothing of it.
#[test]
fn the_server_that_knows_best_is_believed() {
    let project = Project::new("items", ITEM, TABLES);
    let mut cluster = Cluster::start(3, 0);
    let left = cluster.add();
    let urls: Vec<String> = cluster.nodes().iter().map(xtask::servers::Redis::url).collect();
    cluster.run(left, &["CLUSTER", "RESET"]).unwrap();
    let seeds = [urls[left].as_str(), urls[1].as_str()].join(",");
    let mut worker = project.worker_at(&seeds, TAKEOVER);
    project.wait("all shards track the job", || (0..3).all(|at| rules(&cluster, at) == 1));
    let mut redis = connect(&urls[..1]);
    for id in 0..KEYS {
        let () = redis::Commands::hset(&mut redis, format!("item:{id}"), "v", 1).unwrap();
    }
    let all = expected(&mut redis);
    let select = "SELECT CAST(id AS text), CAST(version AS text), note FROM item ORDER BY item.id";
    project.wait("all rows", || project.lite_rows(select) == all);
    worker.stop();
}

/// Waits until a replica has all that its primary has. `WAIT` counts from the last write of its own connection.
fn wait_for_replica(redis: &mut redis::Connection) {
    let mut writes = (0..).map(|nth| redis::cmd("SET").arg(format!("mark:{nth}")).arg(1).exec(redis).is_ok());
    assert!(writes.any(|is_here| is_here));
    assert_eq!(redis::cmd("WAIT").arg(1).arg(20_000).query::<usize>(redis).unwrap(), 1);
}

fn is_tracked(cluster: &Cluster, at: usize) -> bool {
    rules(cluster, at) == 2
}

fn rules(cluster: &Cluster, at: usize) -> usize {
    let rules: redis::RedisResult<Vec<redis::Value>> = redis::cmd("WB.RULES").query(&mut cluster.connect(at));
    rules.map_or(0, |rules| rules.len())
}
