//! Servers of a Redis Cluster: where records go while slots move and servers fail.

use std::time::{Duration, Instant};

use redis::{Connection, Value};
use redis_wb_record::{ORDER_FIELD, STREAM_FIELD, decode};
use xtask::servers::{Cluster, Redis, rejson_module};

use crate::support::{shown, text};

/// How long the cluster may take for anything that it does by itself.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// A key, its slot, and the server that has it where three share the slots.
const KEY: &str = "emp:{foo}1";
const SLOT: u16 = 12_182;
const SOURCE: usize = 2;

/// A cluster that captures `emp:*`.
struct Tracked {
    cluster: Cluster,
    connections: Vec<Connection>,
}

/// What an entry of a stream says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    id: String,
    /// The record on one line.
    record: String,
    epoch: u64,
    /// The parts of its order: slot, epoch, letter, time, and what stands before.
    order: Vec<String>,
}

impl Tracked {
    fn start(primaries: usize, replicas: usize) -> Self {
        Self::start_with(primaries, replicas, &[])
    }

    fn start_with(primaries: usize, replicas: usize, arguments: &[&str]) -> Self {
        let cluster = Cluster::start_with(primaries, replicas, arguments);
        let mut tracked = Self { cluster, connections: Vec::new() };
        tracked.connect();
        (0..primaries).for_each(|at| drop(tracked.run(at, "WB.TRACK emp emp:*")));
        tracked
    }

    fn connect(&mut self) {
        self.connections = (0..self.cluster.nodes().len()).map(|at| self.cluster.connect(at)).collect();
    }

    fn add(&mut self) -> usize {
        let at = self.cluster.add();
        self.connect();
        at
    }

    #[track_caller]
    fn run(&mut self, at: usize, line: &str) -> Value {
        self.try_run(at, line).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    fn try_run(&mut self, at: usize, line: &str) -> Result<Value, redis::RedisError> {
        let mut command = redis::Cmd::new();
        line.split(' ').for_each(|word| {
            command.arg(word);
        });
        command.query(&mut self.connections[at])
    }

    /// Runs a command as a client that was sent on by the source of a slot.
    fn ask(&mut self, at: usize, line: &str) {
        self.run(at, "ASKING");
        self.run(at, line);
    }

    fn info(&mut self, at: usize, field: &str) -> String {
        let info = match self.run(at, "INFO everything") {
            Value::VerbatimString { text, .. } => text,
            other => text(&other),
        };
        let line = info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.unwrap_or_default().to_owned()
    }

    fn stream(&mut self, at: usize) -> String {
        format!("wb:{{{}}}:emp", self.info(at, "wb_tag"))
    }

    fn slot(&mut self, key: &str) -> u16 {
        let Value::Int(slot) = self.run(0, &format!("CLUSTER KEYSLOT {key}")) else { panic!("a slot") };
        slot.try_into().unwrap()
    }

    /// The entries of the stream that a server appends to.
    fn entries(&mut self, at: usize) -> Vec<Entry> {
        let stream = self.stream(at);
        self.entries_of(at, &stream)
    }

    fn entries_of(&mut self, at: usize, stream: &str) -> Vec<Entry> {
        let reply: redis::streams::StreamRangeReply =
            redis::cmd("XRANGE").arg(stream).arg("-").arg("+").query(&mut self.connections[at]).unwrap();
        let entry = |found: redis::streams::StreamId| {
            let record: Vec<u8> = found.get(STREAM_FIELD).unwrap();
            let record = decode(&record).unwrap();
            let order: String = found.get(ORDER_FIELD).unwrap_or_default();
            let order = order.split(' ').map(str::to_owned).collect();
            Entry { id: found.id.clone(), record: shown(&record), epoch: record.epoch, order }
        };
        reply.ids.into_iter().map(entry).collect()
    }

    fn records(&mut self, at: usize) -> Vec<String> {
        self.entries(at).into_iter().map(|entry| entry.record).collect()
    }

    fn streams_here(&mut self, at: usize) -> Vec<String> {
        let Value::Array(streams) = self.run(at, "WB.STREAMS") else { panic!("an array") };
        streams.iter().map(text).collect()
    }

    #[track_caller]
    fn wait_for(&mut self, what: &str, mut holds: impl FnMut(&mut Self) -> bool) {
        let start = Instant::now();
        while !holds(self) {
            let logs: Vec<String> = self.cluster.nodes().iter().map(Redis::log).collect();
            assert!(start.elapsed() < WAIT_MAX, "still no {what}; the logs:\n{}", logs.join("\n"));
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Letters and epochs of orders: what says which record comes first.
fn orders(entries: &[Entry]) -> Vec<(&str, u64)> {
    entries.iter().map(|Entry { order, .. }| (order[2].as_str(), u64::from_str_radix(&order[1], 16).unwrap())).collect()
}

#[test]
fn each_shard_has_a_stream_in_a_slot_of_its_own() {
    let mut tracked = Tracked::start(3, 0);
    let streams: Vec<String> = (0..3).map(|at| tracked.stream(at)).collect();
    for (at, stream) in streams.iter().enumerate() {
        let slot = tracked.slot(stream);
        assert_eq!(tracked.cluster.owner(slot, 0), at, "{streams:?}");
    }
    for number in 0..30 {
        let key = format!("emp:{number}");
        let slot = tracked.slot(&key);
        let at = tracked.cluster.owner(slot, 0);
        tracked.run(at, &format!("HSET {key} a {number}"));
        let entries = tracked.entries(at);
        let last = entries.last().unwrap();
        assert_eq!(last.record, format!("c hset {key} hash{{a={number}}}"));
        assert_eq!((last.order[0].clone(), last.order.len()), (format!("{slot:x}"), 4));
    }
    let kept: usize = (0..3).map(|at| tracked.records(at).len()).sum();
    assert_eq!(kept, 30);
    // Rules and tags of all the servers outlive a restart.
    tracked.run(0, "SAVE");
    tracked.cluster.node_mut(0).restart();
    tracked.cluster.settle();
    tracked.connect();
    let key = (0..).map(|at| format!("emp:{at}")).find(|key| tracked.slot(key) < 5_000).unwrap();
    tracked.run(0, &format!("HSET {key} a again"));
    assert_eq!(tracked.stream(0), streams[0]);
    assert!(tracked.records(0).last().unwrap().ends_with("hash{a=again}"));
}

#[test]
fn a_key_that_moves_has_not_changed() {
    let mut tracked = Tracked::start(3, 0);
    tracked.run(SOURCE, &format!("HSET {KEY} a 1"));
    tracked.run(SOURCE, "HSET emp:{foo}2 a 1");
    tracked.run(SOURCE, "HSET emp:{foo}3 a 1 b 2");
    tracked.cluster.open_slot(SLOT, SOURCE, 0).unwrap();
    tracked.run(SOURCE, &format!("HSET {KEY} a 2"));
    // Deleted before it moves, and made again where the others go.
    tracked.run(SOURCE, "DEL emp:{foo}2");
    tracked.ask(0, "HSET emp:{foo}2 a 3");
    while tracked.cluster.move_keys(SLOT, SOURCE, 0).unwrap() > 0 {}
    tracked.ask(0, &format!("HSET {KEY} a 3"));
    tracked.ask(0, "HDEL emp:{foo}3 b");
    tracked.ask(0, "DEL emp:{foo}3");
    tracked.cluster.close_slot(SLOT, SOURCE, 0).unwrap();
    tracked.run(0, &format!("DEL {KEY}"));
    let before = tracked.entries(SOURCE);
    let records: Vec<&str> = before.iter().map(|entry| entry.record.as_str()).collect();
    assert_eq!(
        records,
        [
            "c hset emp:{foo}1 hash{a=1}",
            "c hset emp:{foo}2 hash{a=1}",
            "c hset emp:{foo}3 hash{a=1 b=2}",
            "u hset emp:{foo}1 hash{a=2}",
            "d del emp:{foo}2 hash",
        ]
    );
    let after = tracked.entries(0);
    let records: Vec<&str> = after.iter().map(|entry| entry.record.as_str()).collect();
    assert_eq!(
        records,
        [
            "c hset emp:{foo}2 hash{a=3}",
            "u hset emp:{foo}1 hash{a=3}",
            "u hdel emp:{foo}3 hash{a=1}",
            "d del emp:{foo}3 hash",
            "d del emp:{foo}1 hash",
        ]
    );
    assert!(orders(&before).iter().all(|order| *order == ("o", 3)), "{before:?}");
    let orders = orders(&after);
    assert_eq!(orders.iter().map(|(letter, _)| *letter).collect::<String>(), "iiiio");
    assert!(orders[..4].iter().all(|(_, epoch)| *epoch == 3) && orders[4].1 > 3, "{orders:?}");
}

#[test]
fn a_document_is_recorded_as_it_is_while_its_slot_comes() {
    let mut tracked = Tracked::start_with(3, 0, &["--loadmodule", &rejson_module().to_string_lossy()]);
    // One that Redis saves as it is, one that it compresses, one that is no object.
    let long = format!(r#"{{"a":"{}","b":[1,-2.5,null,true]}}"#, "名前".repeat(200));
    let documents = [(1, r#"{"a":1}"#), (2, long.as_str()), (3, "7")];
    tracked.cluster.open_slot(SLOT, SOURCE, 0).unwrap();
    for (at, document) in documents {
        tracked.ask(0, &format!("JSON.SET emp:{{foo}}{at} $ {document}"));
    }
    tracked.ask(0, "JSON.NUMINCRBY emp:{foo}1 $.a 5");
    tracked.cluster.close_slot(SLOT, SOURCE, 0).unwrap();
    tracked.run(0, "JSON.DEL emp:{foo}1");
    let expected = [
        r#"c json.set emp:{foo}1 {"a":1}"#.to_owned(),
        format!("c json.set emp:{{foo}}2 {long}"),
        "c json.set emp:{foo}3 thin".to_owned(),
        r#"u json.numincrby emp:{foo}1 {"a":6}"#.to_owned(),
        "d json.del emp:{foo}1".to_owned(),
    ];
    assert_eq!(tracked.records(0), expected);
}

#[test]
fn a_server_without_slots_keeps_its_records_until_it_has_one() {
    let mut tracked = Tracked::start(3, 0);
    let fourth = tracked.add();
    assert_eq!(text(&tracked.run(fourth, "WB.TRACK emp emp:*")), "");
    tracked.run(SOURCE, &format!("HSET {KEY} a 1"));
    tracked.cluster.open_slot(SLOT, SOURCE, fourth).unwrap();
    while tracked.cluster.move_keys(SLOT, SOURCE, fourth).unwrap() > 0 {}
    for value in 2..5 {
        tracked.ask(fourth, &format!("HSET {KEY} a {value}"));
    }
    assert_eq!((tracked.info(fourth, "wb_waiting"), tracked.info(fourth, "wb_failed")), ("3".into(), "0".into()));
    tracked.cluster.close_slot(SLOT, SOURCE, fourth).unwrap();
    tracked.wait_for("records", |tracked| tracked.info(fourth, "wb_waiting") == "0");
    let stream = tracked.stream(fourth);
    assert_eq!(tracked.slot(&stream), SLOT);
    tracked.run(fourth, &format!("HSET {KEY} a 5"));
    let records: Vec<String> = (2..6).map(|value| format!("u hset {KEY} hash{{a={value}}}")).collect();
    assert_eq!(tracked.records(fourth), records);
}

#[test]
fn a_stream_leaves_with_its_slot_and_another_goes_on() {
    let mut tracked = Tracked::start(3, 0);
    tracked.run(SOURCE, &format!("HSET {KEY} a 1"));
    let first = tracked.stream(SOURCE);
    let old = tracked.entries(SOURCE);
    let slot = tracked.slot(&first);
    tracked.cluster.move_slot(slot, SOURCE, 0).unwrap();
    assert!(!tracked.streams_here(SOURCE).contains(&first), "before any other record is captured");
    assert!(tracked.streams_here(0).contains(&first));
    tracked.run(SOURCE, &format!("HSET {KEY} a 2"));
    tracked.run(SOURCE, &format!("HSET {KEY} a 3"));
    let second = tracked.stream(SOURCE);
    assert_ne!(first, second);
    assert_eq!(tracked.entries_of(0, &first), old, "it is with its slot now");
    let both = tracked.streams_here(0);
    assert!(both.contains(&first), "{both:?}");
    assert_eq!(tracked.streams_here(SOURCE), [second]);
    let new = tracked.entries(SOURCE);
    let tag = first.strip_prefix("wb:{").unwrap().split('}').next().unwrap();
    assert_eq!(new[0].order[4..], [tag.to_owned(), old[0].id.clone()], "the first says what it is behind");
    assert_eq!(new[1].order.len(), 4);
    assert_ne!(new[0].epoch, old[0].epoch);
    assert_eq!(tracked.info(SOURCE, "wb_failed"), "0");
    tracked.run(0, &format!("DEL {first}"));
    assert!(!tracked.streams_here(0).contains(&first));
}

#[test]
fn what_follows_a_move_comes_behind_what_was_captured_in_it() {
    // A slot that comes to the server with the greatest epoch: Redis does not raise it.
    let (key, slot) = ("emp:{bar}1", 5_061);
    let mut tracked = Tracked::start(3, 0);
    assert_eq!(tracked.slot(key), slot);
    tracked.run(0, &format!("HSET {key} a 1"));
    tracked.cluster.open_slot(slot, 0, SOURCE).unwrap();
    while tracked.cluster.move_keys(slot, 0, SOURCE).unwrap() > 0 {}
    tracked.ask(SOURCE, &format!("HSET {key} a 2"));
    tracked.cluster.close_slot(slot, 0, SOURCE).unwrap();
    let (first, before) = (tracked.stream(SOURCE), tracked.entries(SOURCE));
    let stream_slot = tracked.slot(&first);
    tracked.cluster.move_slot(stream_slot, SOURCE, 0).unwrap();
    tracked.run(SOURCE, &format!("HSET {key} a 3"));
    let after = tracked.entries(SOURCE);
    assert_eq!((orders(&before), orders(&after)), (vec![("i", 3)], vec![("b", 3)]));
    let time = |entry: &Entry| u64::from_str_radix(&entry.order[3], 16).unwrap();
    assert!(time(&before[0]) < time(&after[0]), "{before:?} {after:?}");
    assert_eq!(after[0].order[5], before[0].id);
}

#[test]
fn a_flush_leaves_it_to_the_next_record_what_it_is_behind() {
    let mut tracked = Tracked::start(3, 0);
    tracked.run(SOURCE, &format!("HSET {KEY} a 1"));
    let (first, old) = (tracked.stream(SOURCE), tracked.entries(SOURCE));
    let slot = tracked.slot(&first);
    tracked.cluster.move_slot(slot, SOURCE, 0).unwrap();
    tracked.run(SOURCE, "FLUSHALL");
    tracked.run(SOURCE, &format!("HSET {KEY} a 2"));
    tracked.run(SOURCE, &format!("HSET {KEY} a 3"));
    let new = tracked.entries(SOURCE);
    assert!(new[0].record.starts_with("f flushall") && new[0].order == [""], "{new:?}");
    let tag = first.strip_prefix("wb:{").unwrap().split('}').next().unwrap();
    assert_eq!(new[1].order[4..], [tag.to_owned(), old[0].id.clone()]);
    assert_eq!(new[2].order.len(), 4);
}

#[test]
fn records_that_wait_are_counted_where_the_last_slot_is_lost() {
    let mut tracked = Tracked::start(3, 0);
    let fourth = tracked.add();
    tracked.run(fourth, "WB.TRACK emp emp:*");
    tracked.cluster.move_slot(SLOT, SOURCE, fourth).unwrap();
    tracked.run(fourth, &format!("HSET {KEY} a 1"));
    let (stream, port) = (tracked.stream(fourth), tracked.cluster.nodes()[0].port());
    tracked.cluster.open_slot(SLOT, fourth, 0).unwrap();
    tracked.run(fourth, &format!("MIGRATE 127.0.0.1 {port} {stream} 0 10000"));
    tracked.run(fourth, &format!("HSET {KEY} a 2"));
    assert_eq!((tracked.info(fourth, "wb_waiting"), tracked.info(fourth, "wb_failed")), ("1".into(), "0".into()));
    while tracked.cluster.move_keys(SLOT, fourth, 0).unwrap() > 0 {}
    // The source hears of it from the other servers.
    let target = tracked.cluster.id(0);
    tracked.run(0, &format!("CLUSTER SETSLOT {SLOT} NODE {target}"));
    tracked.wait_for("replica", |tracked| tracked.info(fourth, "master_link_status") == "up");
    assert_eq!((tracked.info(fourth, "wb_waiting"), tracked.info(fourth, "wb_failed")), ("0".into(), "1".into()));
    let log = tracked.cluster.nodes()[fourth].log();
    assert!(log.contains("the server became a replica while records waited for a slot"), "{log}");
}

#[test]
fn a_key_that_leaves_the_cluster_is_deleted() {
    let mut tracked = Tracked::start(3, 0);
    let elsewhere = Redis::start_bare(&[]);
    tracked.run(SOURCE, &format!("HSET {KEY} a 1"));
    tracked.run(SOURCE, &format!("MIGRATE 127.0.0.1 {} {KEY} 0 10000", elsewhere.port()));
    let records = tracked.records(SOURCE);
    assert_eq!(records, [format!("c hset {KEY} hash{{a=1}}"), format!("d del {KEY} hash")]);
}

#[test]
fn a_move_that_was_given_up_is_remembered() {
    let mut tracked = Tracked::start(3, 0);
    tracked.run(SOURCE, &format!("HSET {KEY} a 1"));
    tracked.cluster.open_slot(SLOT, SOURCE, 0).unwrap();
    while tracked.cluster.move_keys(SLOT, SOURCE, 0).unwrap() > 0 {}
    tracked.ask(0, &format!("HSET {KEY} a 2"));
    tracked.run(SOURCE, &format!("CLUSTER SETSLOT {SLOT} STABLE"));
    while tracked.cluster.move_keys(SLOT, 0, SOURCE).unwrap() > 0 {}
    tracked.run(0, &format!("CLUSTER SETSLOT {SLOT} STABLE"));
    tracked.run(SOURCE, &format!("HSET {KEY} a 3"));
    tracked.run(SOURCE, "SAVE");
    tracked.cluster.node_mut(SOURCE).restart();
    tracked.cluster.settle();
    tracked.connect();
    tracked.run(SOURCE, &format!("HSET {KEY} a 4"));
    let (there, here) = (tracked.entries(0), tracked.entries(SOURCE));
    assert_eq!((orders(&there), orders(&here)), (vec![("i", 3)], vec![("o", 3), ("b", 3), ("b", 3)]));
    let time = |entry: &Entry| u64::from_str_radix(&entry.order[3], 16).unwrap();
    assert!([&there[0], &here[1], &here[2]].is_sorted_by_key(|entry| time(entry)), "{there:?} {here:?}");
}

#[test]
fn keys_of_a_slot_that_was_lost_are_not_deleted() {
    let mut tracked = Tracked::start(3, 0);
    for key in 0..10 {
        tracked.run(SOURCE, &format!("HSET emp:{{foo}}{key} a 1"));
    }
    tracked.run(SOURCE, "HSET emp:{foo}0 a 2");
    // The slot is taken while its keys are still there; the source hears of it, and throws them away.
    let (source, target) = (tracked.cluster.id(SOURCE), tracked.cluster.id(0));
    tracked.run(0, &format!("CLUSTER SETSLOT {SLOT} IMPORTING {source}"));
    tracked.run(0, &format!("CLUSTER SETSLOT {SLOT} NODE {target}"));
    tracked.wait_for("loss of the slot", |tracked| {
        tracked.run(SOURCE, &format!("CLUSTER COUNTKEYSINSLOT {SLOT}")) == Value::Int(0)
    });
    let records = tracked.records(SOURCE);
    assert_eq!(records.len(), 11, "{records:?}");
    assert!(records.iter().all(|record| !record.starts_with('d')), "{records:?}");
}

#[test]
fn a_promoted_replica_goes_on_in_the_same_stream() {
    let mut tracked = Tracked::start(3, 1);
    tracked.run(SOURCE, &format!("HSET {KEY} a 1"));
    let replica = SOURCE + 3;
    let (stream, first) = (tracked.stream(SOURCE), tracked.entries(SOURCE));
    tracked.run(SOURCE, "WAIT 1 10000");
    assert_eq!(tracked.stream(replica), stream, "a replica knows the tag");
    tracked.cluster.node_mut(SOURCE).kill();
    tracked.cluster.fail_over(replica).unwrap();
    tracked.wait_for("takeover", |tracked| tracked.try_run(replica, &format!("HSET {KEY} a 2")).is_ok());
    assert_eq!(tracked.stream(replica), stream);
    let entries = tracked.entries(replica);
    assert_eq!(entries[..1], first);
    assert_eq!(entries[1].record, format!("u hset {KEY} hash{{a=2}}"));
    assert_ne!(entries[1].epoch, first[0].epoch);
    assert!(orders(&entries)[1].1 > orders(&entries)[0].1, "{entries:?}");
}
