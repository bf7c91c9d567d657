//! Records that cannot be appended, memory that is full.

use crate::support::{Server, text};

#[test]
fn a_record_that_cannot_be_appended_is_counted_and_logged() {
    let mut server = Server::start();
    server.run_all(&["WB.TRACK emp emp:*", "SET wb:{0}:emp taken"]);
    for key in 0..50 {
        server.run(&format!("HSET emp:{key} a 1"));
    }
    assert_eq!(server.info("wb_failed"), "50");
    assert_eq!(server.info("wb_records"), "0");
    let error = server.info("wb_last_error");
    assert!(error.starts_with("stream `wb:{0}:emp`: WRONGTYPE"), "{error}");
    let log = server.redis.log();
    let warnings = log.lines().filter(|line| line.contains("a change record could not be appended")).count();
    assert!((1..=10).contains(&warnings), "{log}");
    server.run("DEL wb:{0}:emp");
    assert_eq!(server.records_of("emp", &["HSET emp:1 a 2"]), ["u hset emp:1 hash{a=2}"]);
    assert_eq!(server.info("wb_failed"), "50");
}

#[test]
fn a_warning_that_quotes_a_nul_is_logged() {
    let mut server = Server::start();
    server.send(&[b"WB.TRACK", b"a\0b", b"emp:*"]);
    server.send(&[b"SET", b"wb:{0}:a\0b", b"taken"]);
    server.run("HSET emp:1 a 1");
    let log = server.redis.log();
    assert!(log.contains("a change record could not be appended, 1 so far: stream `wb:{0}:a b`: WRONGTYPE"), "{log}");
}

#[test]
fn what_goes_through_when_memory_is_full_has_its_record() {
    let mut server = Server::start();
    server.run_all(&["WB.TRACK emp emp:*", "HSET emp:1 a 1", "HSET emp:2 a 1", "CONFIG SET maxmemory 1"]);
    assert!(server.try_run("HSET emp:1 a 2").unwrap_err().contains("OOM"));
    server.run_all(&["DEL emp:1", "HDEL emp:2 a", "WB.TRACK again emp:*"]);
    let records = server.records("emp");
    assert_eq!(records[2..], ["d del emp:1 hash", "d del emp:2 hash"]);
    assert_eq!(server.info("wb_failed"), "0");
}

#[test]
fn a_worker_that_is_not_there_loses_nothing() {
    let mut server = Server::start();
    server.run("WB.TRACK emp emp:*");
    for number in 0..500 {
        server.run(&format!("HSET emp:1 a {number}"));
    }
    assert_eq!(text(&server.run("XLEN wb:{0}:emp")), "500");
    assert_eq!(server.records("emp").last().unwrap(), "u hset emp:1 hash{a=499}");
}
