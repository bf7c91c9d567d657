//! The keys that are there as records, in slices, among live changes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use redis::Value;
use redis_wb_record::{Flags, decode};
use xtask::servers::rejson_module;

use crate::support::{Server, text};
use crate::units::Random;

/// The reply to a slice.
struct Slice {
    cursor: String,
    seen: u64,
    appended: u64,
    walked: u64,
}

fn try_slice(server: &mut Server, command: &str) -> Result<Slice, String> {
    let reply = server.try_run(&format!("WB.SNAPSHOT {command}"))?;
    let Value::Array(parts) = &reply else { panic!("an array, not {reply:?}") };
    let [cursor, Value::Int(seen), Value::Int(appended), Value::Int(walked)] = parts.as_slice() else {
        panic!("{reply:?}")
    };
    let [seen, appended, walked] = [seen, appended, walked].map(|number| u64::try_from(*number).unwrap());
    Ok(Slice { cursor: text(cursor), seen, appended, walked })
}

/// Asks for slices until there are no more; gives how many there were, the keys seen, the records appended.
fn snapshot(server: &mut Server, rule: &str) -> (u64, u64, u64) {
    let (mut cursor, mut walked) = ("0".to_owned(), 0);
    let (mut slices, mut seen, mut appended) = (0, 0, 0);
    loop {
        let slice = try_slice(server, &format!("{rule} {cursor}")).unwrap();
        slices += 1;
        seen += slice.seen;
        appended += slice.appended;
        assert!(slice.walked >= walked && (slice.walked == 1_000) == (slice.cursor == "0"));
        (cursor, walked) = (slice.cursor, slice.walked);
        if cursor == "0" {
            return (slices, seen, appended);
        }
    }
}

/// The first slice of a walk that more must follow.
fn begun(server: &mut Server, command: &str) -> Slice {
    let slice = try_slice(server, command).unwrap();
    assert!(slice.cursor != "0" && slice.walked < 1_000);
    slice
}

#[test]
fn a_snapshot_is_a_record_of_each_key_that_a_rule_wants() {
    let mut server = Server::start();
    server.run_all(&["HSET emp:1 a 1", "SADD emp:2 x", "ZADD emp:3 1.5 y", "SET emp:4 5", "RPUSH emp:5 z"]);
    server.run_all(&["HSET dept:1 a 1", "SET emp:6 gone PX 1", "WB.TRACK emp emp:* EXCLUDE hset", "WB.TRACK all *"]);
    thread::sleep(Duration::from_millis(20));
    server.run("XADD wb:{0}:all * r x");
    assert_eq!(snapshot(&mut server, "emp"), (1, 5, 5));
    let mut records = server.records("emp");
    // Redis may have noticed before that the sixth is gone, or when it looked at the keys.
    records.retain(|record| record != "d expired emp:6 string");
    records.sort();
    assert_eq!(
        records,
        [
            "u snapshot emp:1 hash{a=1}",
            "u snapshot emp:2 set{x}",
            "u snapshot emp:3 sorted_set{y=1.5}",
            "u snapshot emp:4 string",
            "u snapshot emp:5 thin",
        ]
    );
    for (_, entry) in server.entries("wb:{0}:emp") {
        let record = decode(&entry).unwrap();
        assert_eq!(record.flags.contains(Flags::SNAPSHOT), record.command == "snapshot");
    }
    assert_eq!(text(&server.run("OBJECT ENCODING emp:4")), "int");
    server.run("DEL wb:{0}:all");
    assert_eq!(snapshot(&mut server, "all"), (1, 6, 6), "not the streams of redis-wb itself");
}

#[test]
fn a_snapshot_of_another_database() {
    let mut server = Server::start();
    server.run_all(&["HSET emp:1 a 0", "SELECT 3", "HSET emp:1 a 3", "WB.TRACK three emp:* DB 3", "SELECT 2"]);
    assert_eq!(snapshot(&mut server, "three"), (1, 1, 1));
    server.run_all(&["SET here 1", "SELECT 0"]);
    assert_eq!(server.records("three"), ["u snapshot db3 emp:1 hash{a=3}"]);
    assert_eq!(server.keyspace("here").len(), 0, "the client kept its database");
}

#[test]
fn a_snapshot_in_a_transaction_stands_in_order() {
    let mut server = Server::start();
    server.run_all(&["HSET emp:1 a 1", "HSET emp:2 a 1", "WB.TRACK emp emp:*"]);
    server.run_all(&["MULTI", "HSET emp:1 a 2", "WB.SNAPSHOT emp 0", "DEL emp:1", "HSET emp:3 a 1", "EXEC"]);
    assert_eq!(server.folded("emp"), server.keyspace("emp:*"));
    // The record of the flush is appended when the unit ends, and must come before the snapshot.
    server.run_all(&["MULTI", "FLUSHALL", "HSET emp:1 a 3", "WB.SNAPSHOT emp 0"]);
    let error = server.try_run("EXEC").unwrap_err();
    assert!(error.contains("emptied in this transaction"), "{error}");
    assert_eq!(server.records("emp"), ["f flushall", "c hset emp:1 hash{a=3}"]);
}

#[test]
fn a_replica_and_an_aof_have_the_records_and_not_the_command() {
    let mut server = Server::start_with(&["--appendonly", "yes"]);
    server.run_all(&["HSET emp:1 a 1", "HSET emp:2 a 1", "WB.TRACK emp emp:*"]);
    let mut replica = Server::replica_of(&server, &["--replica-read-only", "no"]);
    assert_eq!(snapshot(&mut server, "emp").2, 2);
    server.wait_for_replica();
    assert_eq!(replica.entries("wb:{0}:emp"), server.entries("wb:{0}:emp"));
    assert!(replica.try_run("WB.SNAPSHOT emp 0").unwrap_err().contains("replica"));
    server.run("WAITAOF 1 0 10000");
    let aof = server.aof();
    let commands: Vec<String> = aof.iter().map(|command| command[0].to_uppercase()).collect();
    assert_eq!(commands[commands.len() - 4..], ["MULTI", "XADD", "XADD", "EXEC"]);
    assert!(!commands.contains(&"WB.SNAPSHOT".to_owned()));
}

#[test]
fn what_a_snapshot_refuses() {
    let mut server = Server::start();
    server.run_all(&["HSET emp:1 a 1", "WB.TRACK emp emp:*"]);
    for (command, reason) in [
        ("WB.SNAPSHOT emp", "wrong number"),
        ("WB.SNAPSHOT emp 0 COUNT", "wrong number"),
        ("WB.SNAPSHOT emp 0 CUONT 1", "unknown word `CUONT`"),
        ("WB.SNAPSHOT emp 0 COUNT 0", "COUNT wants a number of keys"),
        ("WB.SNAPSHOT emp 0 COUNT x", "COUNT wants a number of keys"),
        ("WB.SNAPSHOT emp 0 TYPE string", "TYPE wants"),
        ("WB.SNAPSHOT emp x", "invalid cursor"),
        ("WB.SNAPSHOT emp 1-x", "invalid cursor"),
        ("WB.SNAPSHOT emp 1-17", "STALE"),
        ("WB.SNAPSHOT emq 0", "there is no rule `emq`"),
    ] {
        let error = server.try_run(command).unwrap_err();
        assert!(error.contains(reason), "`{command}`: {error}");
    }
    server.run("CONFIG SET maxmemory 1");
    assert!(server.try_run("WB.SNAPSHOT emp 0").unwrap_err().contains("OOM"));
    server.run_all(&["CONFIG SET maxmemory 0", "SET wb:{0}:emp taken"]);
    assert!(server.try_run("WB.SNAPSHOT emp 0").unwrap_err().contains("WRONGTYPE"));
    assert_eq!(server.info("wb_failed"), "1");
    server.run("DEL wb:{0}:emp");
    assert_eq!(snapshot(&mut server, "emp"), (1, 1, 1));
}

#[test]
fn a_snapshot_among_live_changes_tells_what_the_keys_hold() {
    let mut server = Server::start();
    let mut random = Random(1);
    for key in 0..3_000 {
        server.run(&format!("HSET emp:old:{key} f0 {}", random.below(100)));
    }
    server.run("WB.TRACK emp emp:*");
    let done = AtomicBool::new(false);
    let url = server.redis.url();
    let (done_seen, url) = (&done, url.as_str());
    thread::scope(|scope| {
        for seed in 2..4 {
            scope.spawn(move || write_until(done_seen, url, seed));
        }
        for _ in 0..2 {
            let (slices, seen, appended) = snapshot(&mut server, "emp");
            assert!(seen >= appended && slices > 1, "{slices} slices, {seen} keys, {appended} records");
        }
        done.store(true, Ordering::Relaxed);
    });
    thread::sleep(Duration::from_millis(50));
    server.wait_for("agreement", |server| server.folded("emp") == server.keyspace("emp:*"));
    assert!(server.keyspace("emp:*").len() > 1_000);
    assert_eq!(server.info("wb_failed"), "0");
}

/// Writes to keys of every kind, old and new ones, so that the keyspace grows and shrinks meanwhile.
fn write_until(done: &AtomicBool, url: &str, seed: u64) {
    let mut random = Random(seed);
    let mut connection = redis::Client::open(url).and_then(|client| client.get_connection()).unwrap();
    while !done.load(Ordering::Relaxed) {
        let mut pipeline = redis::pipe();
        for _ in 0..20 {
            let old = random.below(3_000);
            let command = match random.below(4) {
                0 => random.command(),
                1 => format!("DEL emp:old:{old}"),
                2 => format!("RENAME emp:old:{old} emp:new:{old}"),
                _ => format!("HSET emp:old:{old} f1 {}", random.below(100)),
            };
            let mut words = command.split(' ');
            pipeline.cmd(words.next().unwrap()).arg(words.collect::<Vec<_>>()).ignore();
        }
        // Many are refused, since keys change their types or are not there.
        let _some_refused: Result<(), _> = pipeline.query(&mut connection);
    }
}

/// A hundred thousand fields and members are more than a slice has time for: such keys are thin.
#[test]
fn large_keys_are_thin() {
    let mut server = Server::start();
    let fill = "for i = 1, 120000 do redis.call('SADD', KEYS[1], i) redis.call('HSET', KEYS[2], i, i) end";
    server.send(&[b"EVAL", fill.as_bytes(), b"2", b"emp:set", b"emp:hash"]);
    server.run_all(&["HSET emp:small a 1", "WB.TRACK emp emp:*"]);
    assert_eq!(snapshot(&mut server, "emp").2, 3);
    let mut records = server.records("emp");
    records.sort();
    assert_eq!(
        records,
        ["u snapshot emp:hash hash thin", "u snapshot emp:set set thin", "u snapshot emp:small hash{a=1}"]
    );
}

/// A document is read in a slice only where it is known to be small, whatever makes a large one large.
#[test]
fn large_documents_are_thin() {
    let mut server = Server::start_with(&["--loadmodule", &rejson_module().to_string_lossy()]);
    let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    let numbers = |count: usize| format!("[{}7]", "7,".repeat(count - 1));
    for (key, document) in [
        ("whole:object", r#"{"a":{"b":[1,2,{"c":"d"}]},"e":[]}"#.to_owned()),
        ("whole:text", format!("\"{}\"", "x".repeat(60_000))),
        ("whole:number", "7".to_owned()),
        ("whole:numbers", numbers(200)),
        ("whole:nested", nested(7)),
        ("thin:numbers", numbers(1_000_000)),
        ("thin:text", format!("[\"{}\"]", "x".repeat(300_000))),
        ("thin:nested", nested(60)),
        ("thin:wide", format!("[{}[]]", format!("{},", numbers(20)).repeat(60))),
    ] {
        server.send(&[b"JSON.SET", format!("emp:{key}").as_bytes(), b"$", document.as_bytes()]);
    }
    server.run("WB.TRACK emp emp:*");
    // Where the machine has no time for the server, a small one is thin as well.
    let mut whole = std::collections::BTreeSet::new();
    for _ in 0..1_000 {
        assert_eq!(snapshot(&mut server, "emp").2, 9);
        let with_images = server.records("emp").into_iter().filter(|record| !record.ends_with("thin"));
        whole.extend(with_images.map(|record| record.split(' ').nth(2).unwrap_or_default().to_owned()));
        server.run("XTRIM wb:{0}:emp MAXLEN 0");
        if whole.len() == 5 {
            break;
        }
    }
    assert!(whole.len() == 5 && whole.iter().all(|key| key.starts_with("emp:whole:")), "{whole:?}");
}

#[test]
fn a_slice_has_no_more_keys_than_it_may() {
    let mut server = Server::start();
    fill(&mut server, 500);
    server.run("WB.TRACK emp emp:*");
    let (mut cursor, mut seen) = ("0".to_owned(), 0);
    loop {
        let slice = try_slice(&mut server, &format!("emp {cursor} COUNT 10")).unwrap();
        // SCAN gives the keys of a bucket together.
        assert!(slice.seen <= 10 + 8, "{}", slice.seen);
        seen += slice.seen;
        cursor = slice.cursor;
        if cursor == "0" {
            break;
        }
    }
    assert!(seen >= 500);
    assert_eq!(server.folded("emp"), server.keyspace("emp:*"));
}

#[test]
fn a_snapshot_of_one_type() {
    let mut server = Server::start_with(&["--loadmodule", &rejson_module().to_string_lossy()]);
    server.run_all(&["HSET emp:1 a 1", "SADD emp:2 x", "ZADD emp:3 1.5 y", "SET emp:4 5", "RPUSH emp:5 z"]);
    server.run_all(&["JSON.SET emp:6 $ {\"a\":1}", "XADD emp:7 * a b", "WB.TRACK emp emp:*"]);
    for (data_type, record) in [
        ("hash", "u snapshot emp:1 hash{a=1}"),
        ("SET", "u snapshot emp:2 set{x}"),
        ("sorted_set", "u snapshot emp:3 sorted_set{y=1.5}"),
        ("json", "u snapshot emp:6 {\"a\":1}"),
    ] {
        let command = format!("WB.SNAPSHOT emp 0 TYPE {data_type}");
        assert_eq!(server.records_of("emp", &[&command]), [record]);
    }
}

/// Whatever makes a walk miss keys or their changes ends it, and nothing else does.
#[test]
fn a_walk_ends_where_it_would_miss_something() {
    let mut server = Server::start();
    fill(&mut server, 2_000);
    server.run_all(&["SELECT 3", "HSET emp:x a 1", "SELECT 0", "WB.TRACK emp emp:*", "WB.TRACK dept dept:*"]);
    let begin = |server: &mut Server| begun(server, "emp 0 COUNT 10").cursor;
    let goes_on = |server: &mut Server, cursor: &str| try_slice(server, &format!("emp {cursor} COUNT 10")).map(drop);
    let cursor = begin(&mut server);
    for harmless in [
        &["WB.TRACK emp emp:*"][..],
        &["WB.UNTRACK dept", "WB.TRACK other o:*", "HSET emp:y a 1", "DEL emp:y"],
        &["SWAPDB 3 4", "SELECT 3", "FLUSHDB", "SELECT 0"],
        &["XTRIM wb:{0}:emp MAXLEN 0"],
    ] {
        server.run_all(harmless);
        assert_eq!(goes_on(&mut server, &cursor), Ok(()), "{harmless:?}");
    }
    let stale = try_slice(&mut server, &format!("emp {cursor} TYPE hash")).map(drop).unwrap_err();
    assert!(stale.contains("STALE"), "{stale}");
    for loss in [
        &["WB.UNTRACK emp", "WB.TRACK emp emp:*"][..],
        &["WB.TRACK emp emp:1*", "WB.TRACK emp emp:*"],
        &["WB.TRACK emp emp:* BEFORE"],
        &["SWAPDB 0 1", "SWAPDB 0 1"],
        &["DEL wb:{0}:emp"],
    ] {
        let cursor = begin(&mut server);
        server.run_all(loss);
        let stale = goes_on(&mut server, &cursor).unwrap_err();
        assert!(stale.contains("STALE"), "{loss:?}: {stale}");
    }
    server.run("SAVE");
    let cursor = begin(&mut server);
    server.crash();
    let stale = goes_on(&mut server, &cursor).unwrap_err();
    assert!(stale.contains("STALE"), "a restarted server has its keys in another order: {stale}");
    assert!(snapshot(&mut server, "emp").2 >= 2_000);
}

#[test]
fn swapped_databases_end_the_walks_through_them() {
    let mut server = Server::start();
    server.run("SELECT 3");
    fill(&mut server, 200);
    server.run_all(&["SELECT 0", "WB.TRACK three emp:* DB 3"]);
    let cursor = begun(&mut server, "three 0 COUNT 10").cursor;
    server.run("SWAPDB 3 4");
    let stale = try_slice(&mut server, &format!("three {cursor}")).map(drop).unwrap_err();
    assert!(stale.contains("STALE"), "{stale}");
}

/// Whoever asks for slices may die and be followed by another: what it had behind it need not be walked again.
#[test]
fn a_walk_goes_on_for_another_client_whatever_is_written_meanwhile() {
    let mut server = Server::start();
    fill(&mut server, 3_000);
    server.run("WB.TRACK emp emp:*");
    let mut cursor = begun(&mut server, "emp 0 COUNT 500").cursor;
    let mut random = Random(7);
    while cursor != "0" {
        server.reconnect();
        for _ in 0..200 {
            let key = random.below(3_000);
            server.run(&match random.below(3) {
                0 => format!("HSET emp:{key} f {}", random.below(9)),
                1 => format!("DEL emp:{key}"),
                _ => format!("SADD emp:more:{key} {}", random.below(9)),
            });
        }
        cursor = try_slice(&mut server, &format!("emp {cursor} COUNT 500")).unwrap().cursor;
    }
    assert_eq!(server.folded("emp"), server.keyspace("emp:*"));
}

/// Makes the hashes `emp:0` and so on.
fn fill(server: &mut Server, keys: u64) {
    let fill = "for i = 0, ARGV[1] - 1 do redis.call('HSET', 'emp:' .. i, 'f', i) end";
    server.send(&[b"EVAL", fill.as_bytes(), b"0", keys.to_string().as_bytes()]);
}
