//! Other databases, flushes, swaps, moves.

use crate::support::{Server, text};

#[test]
fn another_database() {
    let mut server = Server::start();
    server.run_all(&["WB.TRACK three emp:* DB 3 BEFORE", "WB.TRACK zero emp:*"]);
    server.run_all(&["SELECT 3", "HSET emp:1 a 1", "DEL emp:1", "SELECT 0", "HSET emp:1 a 2"]);
    assert_eq!(server.records("three"), ["c hset db3 emp:1 hash{a=1}", "d del db3 emp:1 hash was hash{a=1}"]);
    assert_eq!(server.records("zero"), ["c hset emp:1 hash{a=2}"]);
}

#[test]
fn keys_that_move_between_databases() {
    let mut server = Server::start();
    server.run_all(&["WB.TRACK three emp:* DB 3", "WB.TRACK zero emp:*"]);
    server.run_all(&["HSET emp:1 a 1", "MOVE emp:1 3", "HSET emp:1 a 2", "COPY emp:1 emp:2 DB 3"]);
    let zero = ["c hset emp:1 hash{a=1}", "d move_from emp:1 hash", "c hset emp:1 hash{a=2}"];
    assert_eq!(server.records("zero"), zero);
    assert_eq!(server.records("three"), ["c move_to db3 emp:1 hash{a=1}", "c copy_to db3 emp:2 hash{a=2}"]);
}

#[test]
fn a_flush_of_everything_is_the_first_record_after_it() {
    let mut server = Server::start();
    server.run_all(&["WB.TRACK three emp:* DB 3", "WB.TRACK zero emp:*", "HSET emp:1 a 1"]);
    for flush in ["FLUSHALL", "FLUSHALL ASYNC", "FLUSHALL SYNC"] {
        server.run_all(&[flush, "HSET emp:2 a 1"]);
        assert_eq!(server.records("zero"), ["f flushall", "c hset emp:2 hash{a=1}"], "{flush}");
        assert_eq!(server.records("three"), ["f flushall db3"], "{flush}");
    }
}

#[test]
fn a_flush_of_one_database() {
    let mut server = Server::start();
    server.run_all(&["WB.TRACK three emp:* DB 3", "WB.TRACK zero emp:*", "HSET emp:1 a 1"]);
    // Streams stand in database 0, so those of other databases keep what they have.
    server.run_all(&["SELECT 3", "HSET emp:1 a 1", "FLUSHDB", "SELECT 0"]);
    assert_eq!(server.records("three"), ["c hset db3 emp:1 hash{a=1}", "f flushdb db3"]);
    assert_eq!(server.records("zero"), ["c hset emp:1 hash{a=1}"]);
    server.run("FLUSHDB");
    assert_eq!(server.records("zero"), ["f flushdb"]);
    // Its keys are still there, but not its stream: who reads it has to know.
    assert_eq!(server.records("three"), ["f flushdb"]);
    server.run_all(&[
        "SELECT 3",
        "HSET emp:1 a 2",
        "MULTI",
        "HSET emp:2 a 1",
        "FLUSHDB",
        "SELECT 0",
        "FLUSHDB",
        "EXEC",
    ]);
    assert_eq!(server.records("three"), ["f flushdb db3"], "the loss of the keys says more");
}

#[test]
fn a_flush_within_a_transaction() {
    let mut server = Server::start();
    server.run_all(&["WB.TRACK emp emp:*", "MULTI", "HSET emp:1 a 1", "FLUSHALL", "HSET emp:2 a 1", "EXEC"]);
    assert_eq!(server.records("emp"), ["f flushall", "c hset emp:2 hash{a=1}"]);
}

#[test]
fn swapped_databases_are_flushed_ones() {
    let mut server = Server::start();
    server.run_all(&["WB.TRACK one emp:* DB 1", "WB.TRACK two emp:* DB 2", "WB.TRACK zero emp:*"]);
    server.run_all(&["HSET emp:1 a 1", "SWAPDB 1 2"]);
    assert_eq!(server.records("one"), ["f swapdb db1"]);
    assert_eq!(server.records("two"), ["f swapdb db2"]);
    assert_eq!(server.records("zero"), ["c hset emp:1 hash{a=1}"]);
    // The streams of before go to database 1 with everything else.
    server.run_all(&["SWAPDB 0 1", "HSET emp:1 a 2"]);
    assert_eq!(server.records("zero"), ["f swapdb", "c hset emp:1 hash{a=2}"]);
    assert_eq!(server.records("one"), ["f swapdb db1"]);
    assert_eq!(server.records("two"), ["f swapdb"], "only its stream");
}

#[test]
fn a_reload_is_no_flush() {
    let mut server = Server::start_with(&["--enable-debug-command", "yes"]);
    server.run_all(&["WB.TRACK emp emp:*", "HSET emp:1 a 1", "DEBUG RELOAD", "HSET emp:1 a 2"]);
    assert_eq!(server.records("emp"), ["c hset emp:1 hash{a=1}", "u hset emp:1 hash{a=2}"]);
}

/// Whoever read the lost stream would take entries with earlier ids for read, and the clock gives the same to all that
/// happens within a millisecond.
#[test]
fn a_stream_that_begins_anew_goes_on_behind_the_one_that_was_lost() {
    let mut server = Server::start();
    server.run("WB.TRACK emp emp:*");
    let script = "local last = redis.call('XREVRANGE', 'wb:{0}:emp', '+', '-', 'COUNT', 1)[1][1] redis.call(ARGV[1], unpack(ARGV, 2)) \
                  return last";
    let parts = |id: &str| -> (u64, u64) {
        let (ms, seq) = id.split_once('-').unwrap();
        (ms.parse().unwrap(), seq.parse().unwrap())
    };
    for _ in 0..50 {
        for loss in [&["FLUSHALL"][..], &["FLUSHDB", "SYNC"], &["SWAPDB", "0", "1"], &["UNLINK", "wb:{0}:emp"]] {
            server.run_all(&["HSET emp:1 a 1", "HSET emp:2 a 1", "HSET emp:3 a 1"]);
            let words: Vec<&[u8]> =
                [&["EVAL", script, "0"][..], loss].concat().into_iter().map(str::as_bytes).collect();
            let last = text(&server.send(&words));
            server.run("HSET emp:1 a 2");
            let (first, _) = server.entries("wb:{0}:emp").into_iter().next().expect("an entry");
            assert!(parts(&first) > parts(&last), "{loss:?}: {first} after {last}");
        }
    }
}
