//! Write and record are one unit: for a replica, for the AOF, after a SIGKILL.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::thread;
use std::time::Duration;

use crate::support::{Server, commands, text};

const AOF: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "no"];

/// No key or field that has a time to live has a longer one.
const LIVE_MS_MAX: u64 = 20;

/// Waits until all that expires by itself has expired, and the records say so.
#[track_caller]
fn settle(server: &mut Server) {
    thread::sleep(Duration::from_millis(2 * LIVE_MS_MAX));
    server.wait_for("agreement", |server| server.folded("emp") == server.keyspace("emp:*"));
}

/// Random commands, the same for the same seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    /// Mostly a tracked key, else one that is not.
    fn key(&mut self) -> String {
        let kind = if self.below(5) == 0 { "other" } else { "emp" };
        format!("{kind}:{}", self.below(12))
    }

    /// A command that changes something, of every kind that redis-wb has to tell apart.
    pub(crate) fn command(&mut self) -> String {
        let (key, other, number) = (self.key(), self.key(), self.below(100));
        match self.below(24) {
            0..5 => format!("HSET {key} f{} {number}", self.below(4)),
            5 | 6 => format!("HDEL {key} f{} f{}", self.below(4), self.below(4)),
            7 => format!("HINCRBY {key} f0 {number}"),
            8 => format!("SET {key} {number}"),
            9 => format!("SADD {key} {number}"),
            10 => format!("SPOP {key}"),
            11 => format!("ZADD {key} {number} m{}", self.below(4)),
            12 => format!("ZREM {key} m{}", self.below(4)),
            13 => format!("RENAME {key} {other}"),
            14 => format!("COPY {key} {other} REPLACE"),
            15 => format!("DEL {key} {other}"),
            16 => format!("UNLINK {key}"),
            17 => format!("PEXPIRE {key} {}", self.below(LIVE_MS_MAX)),
            18 => format!("SUNIONSTORE {key} {other}"),
            19 => format!("GETDEL {key}"),
            20 => format!("HPEXPIRE {key} {} FIELDS 1 f0", 1 + self.below(LIVE_MS_MAX)),
            21 => format!("RPUSH {key} {number}"),
            22 => format!("LPOP {key}"),
            _ => format!("SORT {key} BY nosort STORE {other}"),
        }
    }

    /// Sends commands, some of them in transactions. Many are refused, since keys change their types.
    fn send(&mut self, server: &mut Server, units: usize) {
        for _ in 0..units {
            if self.below(4) > 0 {
                let _refused = server.try_run(&self.command());
                continue;
            }
            server.run("MULTI");
            for _ in 0..=self.below(6) {
                let _refused = server.try_run(&self.command());
            }
            let _some_refused = server.try_run("EXEC");
        }
    }
}

#[test]
fn records_tell_what_the_keys_hold() {
    let units = if std::env::var_os("REDIS_WB_FAST").is_some() { 500 } else { 3_000 };
    for seed in 0..3 {
        let mut server = Server::start();
        server.run_all(&["WB.TRACK emp emp:* BEFORE", "WB.TRACK twin emp:*"]);
        Random(seed).send(&mut server, units);
        settle(&mut server);
        assert_eq!(server.folded("twin"), server.keyspace("emp:*"));
        assert_eq!(server.info("wb_failed"), "0");
    }
}

#[test]
fn a_replica_has_the_records_of_what_it_has() {
    let mut primary = Server::start();
    primary.run("WB.TRACK emp emp:*");
    Random(7).send(&mut primary, 500);
    let mut replica = Server::replica_of(&primary, &[]);
    Random(8).send(&mut primary, 1_000);
    settle(&mut primary);
    primary.wait_for_replica();
    assert_eq!(replica.entries("wb:{0}:emp"), primary.entries("wb:{0}:emp"));
    assert_eq!(replica.folded("emp"), replica.keyspace("emp:*"));
    assert_eq!(replica.info("wb_records"), "0", "a replica makes no records of its own");
}

#[test]
fn an_aof_replay_brings_back_the_records_and_makes_none() {
    let mut server = Server::start_with(&AOF);
    server.run("WB.TRACK emp emp:*");
    Random(11).send(&mut server, 1_000);
    settle(&mut server);
    let (entries, keys) = (server.entries("wb:{0}:emp"), server.keyspace("*"));
    server.restart();
    assert_eq!(server.entries("wb:{0}:emp"), entries);
    assert_eq!(server.keyspace("*"), keys);
    assert_eq!(server.info("wb_records"), "0");
    assert_eq!(server.records_of("emp", &["DEL emp:1", "HSET emp:1 a 1"]).last().unwrap(), "c hset emp:1 hash{a=1}");
}

/// Every write of a tracked key stands in a MULTI with the record of it, in what goes to an AOF or a replica.
fn assert_units(commands: &[Vec<String>], writes: usize) {
    let mut unit: Option<Vec<&Vec<String>>> = None;
    let mut found = 0;
    for command in commands {
        match (command[0].to_uppercase().as_str(), &mut unit) {
            ("MULTI", None) => unit = Some(Vec::new()),
            ("EXEC", Some(commands)) => {
                found += assert_unit(commands);
                unit = None;
            }
            (_, Some(commands)) => commands.push(command),
            (_, None) => assert!(!command.iter().any(|word| word.starts_with("emp:")), "outside a unit: {command:?}"),
        }
    }
    assert_eq!(found, writes);
}

fn assert_unit(commands: &[&Vec<String>]) -> usize {
    let (records, writes): (Vec<&Vec<String>>, Vec<&Vec<String>>) =
        commands.iter().partition(|command| command[0] == "XADD");
    let mut keys: Vec<&String> =
        writes.iter().flat_map(|write| &write[1..]).filter(|w| w.starts_with("emp:")).collect();
    keys.sort();
    keys.dedup();
    for key in &keys {
        let of_key = records.iter().filter(|record| record[4].contains(key.as_str())).count();
        assert_eq!(of_key, 1, "records of {key} in {commands:?}");
    }
    keys.len()
}

const WRITES: [&str; 18] = [
    "HSET source a 1",
    "HSET emp:1 a 1",
    "MULTI",
    "HSET emp:2 a 1",
    "HSET emp:3 a 1",
    "HSET emp:2 b 1",
    "EXEC",
    "RENAME emp:2 emp:4",
    "COPY source emp:5",
    "SET emp:5 x",
    "SET plain x",
    "DEL emp:3 emp:4",
    "PEXPIRE plain 100000",
    "HSET emp:6 a 1",
    "SADD emp:7 a",
    "SPOP emp:7",
    "GETDEL emp:5",
    "EXPIRE emp:6 -1",
];

/// How many keys change in how many units: 14 in [`WRITES`], and one each that is set, expires, is set, is evicted.
const CHANGES: usize = 14 + 4;

fn write_expire_and_evict(server: &mut Server) {
    server.run_all(&WRITES);
    server.run_all(&["SET emp:8 x PX 1"]);
    server.wait_for("expiry", |server| text(&server.run("EXISTS emp:8")) == "0");
    server.wait_for("record", |server| server.records("emp").iter().any(|record| record.contains("expired")));
    server.run_all(&["HSET emp:9 a 1", "EXPIRE emp:9 1000", "PERSIST plain", "CONFIG SET maxmemory 1"]);
    let _out_of_memory = server.try_run("SET x y");
    server.run_all(&["CONFIG SET maxmemory 0", "SET end 1"]);
    assert!(server.records("emp").iter().any(|record| record.contains("evicted")));
}

/// EXPIRE of a tracked key changes no data, and `WB.TRACK emp emp:*` writes no key.
fn has_records(command: &[String]) -> bool {
    !["PEXPIREAT", "WB.TRACK"].contains(&command[0].as_str())
}

#[test]
fn the_aof_has_write_and_record_in_one_transaction() {
    let mut server = Server::start_with(&["--appendonly", "yes", "--maxmemory-policy", "volatile-ttl"]);
    server.run("WB.TRACK emp emp:*");
    write_expire_and_evict(&mut server);
    server.run("WAITAOF 1 0 10000");
    let aof: Vec<_> = server.aof().into_iter().filter(|command| has_records(command)).collect();
    assert_units(&aof, CHANGES);
}

#[test]
fn a_replica_is_fed_write_and_record_in_one_transaction() {
    let mut server = Server::start_with(&["--maxmemory-policy", "volatile-ttl"]);
    server.run("WB.TRACK emp emp:*");
    let feed = Feed::of(&server);
    write_expire_and_evict(&mut server);
    let fed: Vec<_> = feed.until("end").into_iter().filter(|command| has_records(command)).collect();
    assert_units(&fed, CHANGES);
}

/// What a server sends to its replicas, as it sends it.
struct Feed(TcpStream);

impl Feed {
    fn of(server: &Server) -> Self {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.redis.port())).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        stream.write_all(b"SYNC\r\n").expect("a write");
        let mut length = String::new();
        while !length.starts_with('$') || !length.ends_with("\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("the length of the RDB file");
            if byte != *b"\n" || !length.is_empty() {
                length.push(char::from(byte[0]));
            }
        }
        let mut rdb = vec![0; length[1..].trim_end().parse().expect("a length")];
        stream.read_exact(&mut rdb).expect("the RDB file");
        Self(stream)
    }

    fn until(mut self, key: &str) -> Vec<Vec<String>> {
        let (mut bytes, mut part) = (Vec::new(), [0; 4_096]);
        loop {
            let len = self.0.read(&mut part).expect("more of the feed");
            bytes.extend_from_slice(&part[..len]);
            let commands = commands(&bytes);
            if commands.last().is_some_and(|command| command.get(1).is_some_and(|word| word == key)) {
                return commands;
            }
        }
    }
}

#[test]
fn a_killed_server_has_the_records_of_what_it_has() {
    let mut server = Server::start_with(&AOF);
    server.run("WB.TRACK emp emp:*");
    for round in 0..4 {
        let url = server.redis.url();
        let writers: Vec<_> = (0..2)
            .map(|writer| {
                thread::spawn({
                    let url = url.clone();
                    move || write_until_killed(&url, round * 2 + writer)
                })
            })
            .collect();
        thread::sleep(Duration::from_millis(150));
        server.crash();
        let written: u64 = writers.into_iter().map(|writer| writer.join().unwrap()).sum();
        assert!(written > 0, "killed too early to show anything");
        server.wait_for("agreement", |server| server.folded("emp") == server.keyspace("emp:*"));
        assert!(!server.keyspace("emp:*").is_empty());
    }
}

/// Writes in pipelines, so that the AOF is written in the middle of many a command.
fn write_until_killed(url: &str, seed: u64) -> u64 {
    let mut random = Random(seed);
    let mut connection = redis::Client::open(url).and_then(|client| client.get_connection()).expect("a connection");
    let mut written = 0;
    loop {
        let mut pipeline = redis::pipe();
        for _ in 0..50 {
            let (key, field) = (random.below(200), random.below(8));
            match random.below(6) {
                0 => pipeline.cmd("DEL").arg(format!("emp:{key}")).ignore(),
                1 => pipeline.cmd("COPY").arg(format!("emp:{key}")).arg(format!("emp:{field}")).arg("REPLACE").ignore(),
                _ => pipeline.cmd("HSET").arg(format!("emp:{key}")).arg(field).arg(random.below(1_000)).ignore(),
            };
        }
        if pipeline.query::<()>(&mut connection).is_err() {
            return written;
        }
        written += 50;
    }
}
