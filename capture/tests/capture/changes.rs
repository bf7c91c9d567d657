//! Which record each kind of write gives. Every test reads: commands, then the records that come of them.

use std::fmt::Write as _;

use crate::support::{Server, text};

fn tracking(rule: &str) -> Server {
    let mut server = Server::start();
    server.run(&format!("WB.TRACK emp {rule}"));
    server
}

#[test]
fn writes_of_hashes() {
    let mut server = tracking("emp:*");
    assert_eq!(
        server.records_of(
            "emp",
            &[
                "HSET emp:1 name Ann salary 10",
                "HINCRBY emp:1 salary 5",
                "HSET dept:1 name Ops",
                "HDEL emp:1 salary",
                "HDEL emp:1 name",
                "HSETNX emp:2 name Bob",
                "HDEL emp:2 nothing",
                "HGETALL emp:2",
                "DEL emp:2 emp:3",
            ]
        ),
        [
            "c hset emp:1 hash{name=Ann salary=10}",
            "u hincrby emp:1 hash{name=Ann salary=15}",
            "u hdel emp:1 hash{name=Ann}",
            "d del emp:1 hash",
            "c hset emp:2 hash{name=Bob}",
            "d del emp:2 hash",
        ]
    );
    assert_eq!((server.info("wb_rules"), server.info("wb_records"), server.info("wb_failed")), one_rule(6));
    assert_ne!(server.info("wb_bytes"), "0");
}

fn one_rule(records: u32) -> (String, String, String) {
    ("1".to_owned(), records.to_string(), "0".to_owned())
}

#[test]
fn time_to_live_changes_no_data() {
    let mut server = tracking("emp:*");
    let records = server.records_of("emp", &["HSET emp:1 a 1", "EXPIRE emp:1 100", "PERSIST emp:1", "TOUCH emp:1"]);
    assert_eq!(records, ["c hset emp:1 hash{a=1}"]);
    let records = server.records_of("emp", &["HEXPIRE emp:1 100 FIELDS 1 a", "HPERSIST emp:1 FIELDS 1 a"]);
    assert!(records.is_empty(), "{records:?}");
    assert_eq!(server.records_of("emp", &["EXPIRE emp:1 -1"]), ["d del emp:1 hash"]);
}

#[test]
fn a_key_that_goes_brings_its_last_content_where_asked() {
    let mut server = tracking("emp:* BEFORE");
    assert_eq!(
        server.records_of(
            "emp",
            &["HSET emp:1 a 1", "HSET emp:1 a 2", "DEL emp:1", "HSET emp:2 a 1", "UNLINK emp:2", "HSET emp:3 a 1"]
        ),
        [
            "c hset emp:1 hash{a=1}",
            "u hset emp:1 hash{a=2}",
            "d del emp:1 hash was hash{a=2}",
            "c hset emp:2 hash{a=1}",
            "d del emp:2 hash was hash{a=1}",
            "c hset emp:3 hash{a=1}",
        ]
    );
    // The last field goes before its key does: there is no content left to bring.
    assert_eq!(server.records_of("emp", &["HDEL emp:3 a"]), ["d del emp:3 hash"]);
}

// Redis is not asked for the events of strings and lists, which no job reads: what is seen is that one takes the place
// of a key, or comes to be where none was.
#[test]
fn a_string_over_a_hash() {
    let mut server = tracking("emp:* BEFORE");
    assert_eq!(
        server.records_of("emp", &["HSET emp:1 a 1", "SET emp:1 x", "SET emp:1 y", "DEL emp:1", "SET emp:2 z"]),
        [
            "c hset emp:1 hash{a=1}",
            "u set emp:1 string was hash{a=1}",
            "u set emp:1 string",
            "d del emp:1 string",
            "c new emp:2 string",
        ]
    );
}

#[test]
fn a_string_over_a_hash_that_is_excluded() {
    let mut server = tracking("emp:* EXCLUDE set");
    assert_eq!(server.records_of("emp", &["HSET emp:1 a 1", "SET emp:1 x", "DEL emp:1"])[1..], ["d del emp:1 string"]);
}

#[test]
fn renames() {
    let mut server = tracking("emp:* BEFORE");
    assert_eq!(
        server.records_of(
            "emp",
            &[
                "HSET emp:1 a 1",
                "RENAME emp:1 emp:2",
                "HSET emp:3 b 1",
                "RENAME emp:3 emp:2",
                "RENAME emp:2 gone:2",
                "RENAME gone:2 emp:4",
                "RENAME emp:4 emp:4",
            ]
        ),
        [
            "c hset emp:1 hash{a=1}",
            "d rename_from emp:1 hash was hash{a=1}",
            "c rename_to emp:2 hash{a=1}",
            "c hset emp:3 hash{b=1}",
            "u rename_to emp:2 hash{b=1} was hash{a=1}",
            "d rename_from emp:3 hash was hash{b=1}",
            "d rename_from emp:2 hash was hash{b=1}",
            "c rename_to emp:4 hash{b=1}",
        ]
    );
}

#[test]
fn copies_and_restores() {
    let mut server = tracking("emp:*");
    assert_eq!(
        server.records_of(
            "emp",
            &["HSET emp:1 a 1", "HSET other b 2", "COPY emp:1 emp:2", "COPY other emp:2 REPLACE", "COPY emp:1 other2"]
        ),
        ["c hset emp:1 hash{a=1}", "c copy_to emp:2 hash{a=1}", "u copy_to emp:2 hash{b=2}",]
    );
    let redis::Value::BulkString(dump) = server.run("DUMP emp:1") else { panic!("DUMP gives bytes") };
    server.send(&[b"RESTORE", b"emp:3", b"0", &dump]);
    server.send(&[b"RESTORE", b"emp:2", b"0", &dump, b"REPLACE"]);
    let records = server.records("emp");
    assert_eq!(records[3..], ["c restore emp:3 hash{a=1}", "u restore emp:2 hash{a=1}"]);
}

#[test]
fn one_command_on_many_keys() {
    let mut server = tracking("emp:*");
    let mut delete = "DEL".to_owned();
    for key in 0..200 {
        server.run(&format!("HSET emp:{key} a 1"));
        write!(delete, " emp:{key}").unwrap();
    }
    let records = server.records_of("emp", &[&delete]);
    let expected: Vec<String> = (0..200).map(|key| format!("d del emp:{key} hash")).collect();
    assert_eq!(records, expected);
}

#[test]
fn a_transaction_gives_each_key_one_record() {
    let mut server = tracking("emp:* BEFORE");
    server.run("HSET emp:9 a 1");
    assert_eq!(
        server.records_of(
            "emp",
            &[
                "MULTI",
                "HSET emp:1 a 1",
                "HSET emp:2 a 1",
                "HSET emp:1 b 2",
                "HSET emp:3 a 1",
                "DEL emp:3",
                "DEL emp:9",
                "HSET emp:9 a 2",
                "EXEC",
            ]
        ),
        ["c hset emp:1 hash{a=1 b=2}", "c hset emp:2 hash{a=1}", "d del emp:3", "u hset emp:9 hash{a=2} was hash{a=1}",]
    );
    assert!(server.records_of("emp", &["MULTI", "HSET emp:1 a 2", "DISCARD"]).is_empty());
}

#[test]
fn scripts() {
    let mut server = tracking("emp:*");
    let script = "redis.call('HSET', KEYS[1], 'a', 1) redis.call('HSET', KEYS[2], 'a', 1) redis.call('DEL', KEYS[1])";
    server.send(&[b"EVAL", script.as_bytes(), b"2", b"emp:1", b"emp:2"]);
    assert_eq!(server.records("emp"), ["d del emp:1", "c hset emp:2 hash{a=1}"]);
    // A script that fails halfway has written what it has written.
    let script = "redis.call('HSET', KEYS[1], 'a', 2) return redis.call('INCR', KEYS[1])";
    assert!(server.try_send(&[b"EVAL", script.as_bytes(), b"1", b"emp:2"]).is_err());
    assert_eq!(server.records("emp")[2..], ["u hset emp:2 hash{a=2}"]);
}

#[test]
fn expired_keys() {
    let mut server = tracking("emp:* BEFORE");
    server.run_all(&["HSET emp:1 a 1", "PEXPIRE emp:1 1"]);
    server.wait_for("record of the active expiry", |server| server.records("emp").len() == 2);
    assert_eq!(server.records("emp")[1], "d expired emp:1 hash was hash{a=1}");

    let mut server = Server::start_with(&["--enable-debug-command", "yes"]);
    server.run_all(&["WB.TRACK emp emp:*", "DEBUG SET-ACTIVE-EXPIRE 0", "HSET emp:1 a 1", "PEXPIRE emp:1 1"]);
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert_eq!(server.records("emp").len(), 1);
    assert_eq!(server.records_of("emp", &["GET emp:1"]), ["d expired emp:1 hash"]);
    server.run_all(&["HSET emp:2 a 1", "PEXPIRE emp:2 1"]);
    std::thread::sleep(std::time::Duration::from_millis(20));
    // Written to after its time, before Redis noticed: it was there when the command began.
    assert_eq!(server.records_of("emp", &["HSET emp:2 b 1"]), ["u hset emp:2 hash{b=1}"]);
}

#[test]
fn evicted_keys() {
    let mut server = Server::start_with(&["--maxmemory-policy", "volatile-ttl"]);
    server.run_all(&["WB.TRACK emp emp:* BEFORE", "HSET emp:1 a 1", "EXPIRE emp:1 1000", "CONFIG SET maxmemory 1"]);
    let _out_of_memory = server.try_run("SET x y");
    server.run("CONFIG SET maxmemory 0");
    assert_eq!(server.records("emp")[1..], ["d evicted emp:1 hash was hash{a=1}"]);
}

#[test]
fn expired_fields() {
    let mut server = tracking("emp:* BEFORE");
    server.run_all(&["HSET emp:1 a 1 b 2", "HPEXPIRE emp:1 1 FIELDS 1 a"]);
    server.wait_for("record of the expired field", |server| server.records("emp").len() == 2);
    assert_eq!(server.records("emp")[1], "u hexpired emp:1 hash{b=2}");
    server.run("HPEXPIRE emp:1 1 FIELDS 1 b");
    server.wait_for("record of the last expired field", |server| server.records("emp").len() == 3);
    assert_eq!(server.records("emp")[2], "d del emp:1 hash");
}

#[test]
fn many_hashes_that_field_expiry_empties_at_once() {
    let mut server = Server::start_with(&["--enable-debug-command", "yes"]);
    server.run_all(&["DEBUG SET-ACTIVE-EXPIRE 0", "WB.TRACK emp emp:* EXCLUDE hset BEFORE"]);
    for key in 0..2_000 {
        server.run(&format!("HSET emp:{key} a 1"));
        server.run(&format!("HPEXPIRE emp:{key} 1 FIELDS 1 a"));
    }
    server.run("DEBUG SET-ACTIVE-EXPIRE 1");
    server.wait_for("2,000 records", |server| server.records("emp").len() == 2_000);
    let mut records = server.records("emp");
    records.sort();
    let mut expected: Vec<String> = (0..2_000).map(|key| format!("d del emp:{key} hash")).collect();
    expected.sort();
    assert_eq!(records, expected);
    assert_eq!(text(&server.run("DBSIZE")), "1");
}

#[test]
fn excluded_commands() {
    let mut server = tracking("emp:* EXCLUDE HINCRBY hdel");
    server.run("WB.TRACK all emp:*");
    let commands = ["HSET emp:1 a 1 b 2", "HINCRBY emp:1 a 1", "HDEL emp:1 a", "HDEL emp:1 b"];
    // The command that takes the last field away brings forth `del` too, which is not excluded.
    assert_eq!(server.records_of("emp", &commands), ["c hset emp:1 hash{a=1 b=2}", "d del emp:1 hash"]);
    assert_eq!(server.records("all").len(), 4);
    assert_eq!(server.records_of("emp", &["HSET emp:2 a 1", "MULTI", "HINCRBY emp:2 a 1", "EXEC"]).len(), 1);
}

// Redis tells events and not commands: `HMSET` fires `hset`, `UNLINK` fires `del`.
#[test]
fn excluded_commands_go_by_their_events() {
    let mut server = tracking("emp:* EXCLUDE HMSET unlink ZINCRBY SETEX rename");
    assert_eq!(
        server.records_of(
            "emp",
            &[
                "HMSET emp:1 a 1",
                "HSET emp:1 b 1",
                "HSETNX emp:1 c 1",
                "HINCRBY emp:1 c 1",
                "UNLINK emp:1",
                "ZADD emp:2 1 a",
                "ZINCRBY emp:2 1 a",
                "RENAME emp:2 emp:3",
                "SETEX emp:4 100 x",
                "HINCRBY emp:5 a 1",
                "SETEX emp:5 100 x",
            ]
        ),
        ["u hincrby emp:1 hash{a=1 b=1 c=2}", "c zadd emp:2 sorted_set{a=1}", "c hincrby emp:5 hash{a=1}"]
    );
}

#[test]
fn several_jobs_on_one_key() {
    let mut server = tracking("emp:*");
    server.run_all(&["WB.TRACK before emp:* BEFORE", "WB.TRACK one emp:1", "HSET emp:1 a 1", "DEL emp:1"]);
    assert_eq!(server.records("emp")[1..], ["d del emp:1 hash"]);
    assert_eq!(server.records("before")[1..], ["d del emp:1 hash was hash{a=1}"]);
    assert_eq!(server.records("one")[1..], ["d del emp:1 hash"]);
}

#[test]
fn a_rule_holds_for_what_follows_it_in_a_transaction() {
    let mut server = Server::start();
    server.run_all(&["MULTI", "HSET emp:1 a 1", "WB.TRACK emp emp:*", "HSET emp:2 a 1", "WB.UNTRACK emp"]);
    server.run_all(&["HSET emp:3 a 1", "EXEC", "HSET emp:4 a 1"]);
    assert_eq!(server.records("emp"), ["c hset emp:2 hash{a=1}"]);
}

#[test]
fn keys_of_redis_wb_itself_are_not_captured() {
    let mut server = tracking("*");
    server.run_all(&["HSET wb:{0}:x a 1", "HSET dlq:wb:{0}:x a 1", "SET wb:{lease} 1", "DEL dlq:wb:{0}:x"]);
    assert!(server.records("emp").is_empty());
    assert_eq!(server.records_of("emp", &["HSET wb:x a 1"]), ["c hset wb:x hash{a=1}"]);
}

#[test]
fn bytes_that_are_no_text() {
    let mut server = tracking("*");
    let (key, field, value) = (&b"\xff\x00\r\n"[..], &b"\x00\x01"[..], &b"\xfe\n"[..]);
    server.send(&[b"HSET", key, field, value]);
    let entries = server.entries("wb:{0}:emp");
    let record = redis_wb_record::decode(&entries[0].1).unwrap();
    assert_eq!(record.key, key);
    let Some(redis_wb_record::Image::Hash(pairs)) = record.after else { panic!("a hash") };
    assert_eq!(pairs.iter().collect::<Vec<_>>(), [(field, value)]);
}
