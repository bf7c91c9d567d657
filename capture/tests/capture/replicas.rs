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

// A new stream takes its ids from the clock, which may be behind those of the lost one.
#[test]
fn an_epoch_ends_where_streams_are_lost() {
    let mut server = Server::start();
    server.run_all(&["WB.TRACK emp emp:*", "HSET emp:1 a 1"]);
    for loss in [
        &["FLUSHALL"][..],
        &["FLUSHDB ASYNC"],
        &["MULTI", "HSET emp:2 a 1", "FLUSHDB", "HSET emp:3 a 1", "EXEC"],
        &["SWAPDB 0 1"],
        &["SWAPDB 2 0"],
        &["DEL wb:{0}:emp"],
        &["RENAME wb:{0}:emp elsewhere"],
        &["SET wb:{0}:emp x", "DEL wb:{0}:emp"],
        &["WB.UNTRACK emp", "UNLINK wb:{0}:emp", "WB.TRACK emp emp:*"],
    ] {
        let earlier = server.info("wb_epoch");
        server.run("XADD wb:{0}:emp 99999999999999-0 r x");
        server.run_all(loss);
        server.run("HSET emp:1 a 2");
        let epoch = server.info("wb_epoch");
        assert_ne!(epoch, earlier, "{loss:?}");
        assert!(epochs(&mut server).iter().all(|found| found.to_string() == epoch), "{loss:?}");
    }
    let epoch = server.info("wb_epoch");
    server.run_all(&["SELECT 3", "HSET emp:1 a 1", "FLUSHDB", "SWAPDB 1 2", "SELECT 0", "XTRIM wb:{0}:emp MAXLEN 0"]);
    server.run_all(&["HSET emp:1 a 3", "XADD wb:x * a b", "SET wb:{0}:lease x", "DEL wb:x wb:{0}:lease"]);
    assert_eq!(server.info("wb_epoch"), epoch);
    assert_eq!(epochs(&mut server).len(), 1);
}

#[test]
fn an_epoch_ends_where_a_stream_expires() {
    let mut server = Server::start_with(&["--enable-debug-command", "yes"]);
    server.run_all(&["WB.TRACK emp emp:*", "DEBUG SET-ACTIVE-EXPIRE 0", "HSET emp:1 a 1", "PEXPIRE wb:{0}:emp 1"]);
    let earlier = server.info("wb_epoch");
    std::thread::sleep(std::time::Duration::from_millis(20));
    // Redis notices when the next record is appended.
    server.run("HSET emp:1 a 2");
    let epoch = server.info("wb_epoch");
    assert_ne!(epoch, earlier);
    let found: Vec<String> = epochs(&mut server).iter().map(u64::to_string).collect();
    assert_eq!(found, [earlier, epoch], "the record is there again, in the new epoch");
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
