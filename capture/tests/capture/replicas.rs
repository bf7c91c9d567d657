//! Who captures, and in which epoch.

use redis_wb_record::decode;

use crate::support::Server;

fn epochs(server: &mut Server) -> Vec<u64> {
    server.entries("wb:{0}:emp").iter().map(|(_, record)| decode(record).unwrap().epoch).collect()
}

#[test]
fn a_promoted_replica_captures_in_an_epoch_of_its_own() {
    let mut primary = Server::start();
    primary.run_all(&["WB.TRACK emp emp:*", "HSET emp:1 a 1"]);
    let mut replica = Server::replica_of(&primary, &[]);
    let as_replica = replica.info("wb_epoch");
    primary.run("HSET emp:1 a 2");
    primary.wait_for_replica();
    replica.run_all(&["REPLICAOF NO ONE", "HSET emp:1 a 3"]);
    let (first, second) = (primary.info("wb_epoch"), replica.info("wb_epoch"));
    assert_ne!(second, as_replica);
    assert_ne!(second, first);
    assert_eq!(epochs(&mut replica), [&first, &first, &second].map(|epoch| epoch.parse::<u64>().unwrap()));
    // The old primary comes back as a replica, and with the records of the new one.
    primary.run(&format!("REPLICAOF 127.0.0.1 {}", replica.redis.port()));
    primary.wait_for("link", |primary| primary.info("master_link_status") == "up");
    replica.run("DEL emp:1");
    replica.wait_for_replica();
    assert_eq!(primary.entries("wb:{0}:emp"), replica.entries("wb:{0}:emp"));
    assert_eq!(primary.info("wb_records"), "2");
}

#[test]
fn each_load_is_an_epoch() {
    let mut server = Server::start_with(&["--appendonly", "yes"]);
    server.run_all(&["WB.TRACK emp emp:*", "HSET emp:1 a 1"]);
    server.restart();
    server.run("HSET emp:1 a 2");
    let epochs = epochs(&mut server);
    assert_ne!(epochs[0], epochs[1]);
    assert!(epochs.iter().all(|epoch| i64::try_from(*epoch).is_ok_and(|epoch| epoch > 0)));
}

#[test]
fn a_writable_replica_emits_nothing() {
    let mut primary = Server::start();
    primary.run_all(&["WB.TRACK emp emp:*"]);
    let mut replica = Server::replica_of(&primary, &["--replica-read-only", "no"]);
    replica.run_all(&["HSET emp:9 a 1", "FLUSHALL"]);
    assert!(replica.records("emp").is_empty());
    assert_eq!(replica.info("wb_failed"), "0");
}

#[test]
fn what_a_primary_flushes_its_replica_flushes() {
    let mut primary = Server::start();
    primary.run_all(&["WB.TRACK emp emp:*", "HSET emp:1 a 1"]);
    let mut replica = Server::replica_of(&primary, &[]);
    primary.run_all(&["FLUSHALL", "HSET emp:2 a 1"]);
    primary.wait_for_replica();
    assert_eq!(replica.records("emp"), ["f flushall", "c hset emp:2 hash{a=1}"]);
    assert_eq!(replica.entries("wb:{0}:emp"), primary.entries("wb:{0}:emp"));
}

#[test]
fn capture_times_are_microseconds_of_now() {
    let mut server = Server::start();
    server.run_all(&["WB.TRACK emp emp:*", "HSET emp:1 a 1"]);
    let (id, record) = server.entries("wb:{0}:emp").remove(0);
    let (appended_ms, _) = id.split_once('-').unwrap();
    let captured_ms = decode(&record).unwrap().time_us / 1_000;
    assert!(captured_ms.abs_diff(appended_ms.parse().unwrap()) < 5_000);
}
