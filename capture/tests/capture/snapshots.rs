//! The keys that are there as records, in slices, among live changes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use redis::Value;
use redis_wb_record::{Flags, decode};

use crate::support::{Server, text};
use crate::units::Random;

/// Whatever the machine is busy with: a slice is not without bound.
const SLICE_MAX: Duration = Duration::from_secs(1);

/// Asks for slices until there are no more; gives how many there were, the keys seen, the records appended.
fn snapshot(server: &mut Server, rule: &str) -> (u64, u64, u64) {
    let (mut cursor, mut slices, mut seen, mut appended) = ("0".to_owned(), 0, 0, 0);
    loop {
        let reply = server.run(&format!("WB.SNAPSHOT {rule} {cursor}"));
        let Value::Array(parts) = &reply else { panic!("an array, not {reply:?}") };
        let [next, Value::Int(of_slice), Value::Int(records)] = parts.as_slice() else { panic!("{reply:?}") };
        slices += 1;
        seen += u64::try_from(*of_slice).unwrap();
        appended += u64::try_from(*records).unwrap();
        cursor = text(next);
        if cursor == "0" {
            return (slices, seen, appended);
        }
    }
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
        ("WB.SNAPSHOT emp", "wrong arguments"),
        ("WB.SNAPSHOT emp 0 COUNT", "wrong arguments"),
        ("WB.SNAPSHOT emp 0 COUNT 0", "COUNT wants a number of keys"),
        ("WB.SNAPSHOT emp 0 COUNT x", "COUNT wants a number of keys"),
        ("WB.SNAPSHOT emp x", "invalid cursor"),
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

#[test]
fn no_slice_holds_the_server_up() {
    let keys: u64 = if std::env::var_os("REDIS_WB_FAST").is_some() { 20_000 } else { 100_000 };
    let mut server = Server::start();
    let fill = "for i = 1, ARGV[1] do redis.call('HSET', 'emp:' .. i, 'name', 'Ann', 'salary', i, 'dept', 'ops') end";
    server.send(&[b"EVAL", fill.as_bytes(), b"0", keys.to_string().as_bytes()]);
    // Images of these alone would take longer than a slice may.
    let fill = "for i = 1, 120000 do redis.call('SADD', KEYS[1], i) redis.call('HSET', KEYS[2], i, i) end";
    server.send(&[b"EVAL", fill.as_bytes(), b"2", b"emp:set", b"emp:hash"]);
    server.run_all(&[
        "WB.TRACK emp emp:*",
        "CONFIG SET slowlog-max-len 1000000",
        "CONFIG SET slowlog-log-slower-than 0",
    ]);
    let (slices, seen, appended) = snapshot(&mut server, "emp");
    assert!(seen == appended && appended >= keys + 2, "{seen} keys, {appended} records");
    let Value::Array(entries) = server.run("SLOWLOG GET -1") else { panic!("SLOWLOG gives an array") };
    let mut took_us: Vec<u64> = entries.iter().filter_map(slice_us).collect();
    took_us.sort_unstable();
    assert_eq!(took_us.len(), usize::try_from(slices).unwrap());
    let (median, longest) = (took_us[took_us.len() / 2], took_us[took_us.len() - 1]);
    println!(
        "{keys} keys in {slices} slices: median {median} us, longest {longest} us, thin {}",
        server.info("wb_thin")
    );
    assert!(Duration::from_micros(longest) < SLICE_MAX);
}

/// How long the server took for a command in its slow log, if it was a slice.
fn slice_us(entry: &Value) -> Option<u64> {
    let Value::Array(parts) = entry else { return None };
    let [_, _, Value::Int(took_us), Value::Array(words), ..] = parts.as_slice() else { return None };
    (text(words.first()?) == "WB.SNAPSHOT").then(|| u64::try_from(*took_us).unwrap())
}
