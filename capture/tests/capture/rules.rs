//! What rules survive, how they travel, and what is refused.

use crate::support::{Server, text};

fn rules(server: &mut Server) -> String {
    text(&server.run("WB.RULES"))
}

const EMP: &str = "[name emp pattern emp:* db 0 exclude [] before 0 stream wb:{0}:emp]";
const FULL: &str = "[name full pattern x db 3 exclude [hdel json.del] before 1 stream wb:{0}:full]";

#[test]
fn rules_are_made_replaced_listed_and_taken_away() {
    let mut server = Server::start();
    assert_eq!(rules(&mut server), "[]");
    assert_eq!(text(&server.run("WB.TRACK emp old:*")), "wb:{0}:emp");
    server.run("WB.TRACK emp emp:*");
    server.run("wb.track full x db 3 exclude JSON.DEL hdel HDEL before");
    assert_eq!(rules(&mut server), format!("[{EMP} {FULL}]"));
    server.run_all(&["HSET old:1 a 1", "HSET emp:1 a 1"]);
    assert_eq!(text(&server.run("WB.UNTRACK emp")), "1");
    assert_eq!(text(&server.run("WB.UNTRACK emp")), "0");
    assert_eq!(rules(&mut server), format!("[{FULL}]"));
    server.run("HSET emp:2 a 1");
    assert_eq!(server.records("emp"), ["c hset emp:1 hash{a=1}"], "the stream stays");
}

#[test]
fn the_same_rule_again_is_not_repeated() {
    let mut server = Server::start_with(&["--appendonly", "yes"]);
    server.run_all(&["WB.TRACK emp emp:*", "WB.TRACK emp emp:* DB 0", "WB.UNTRACK nothing", "SET end 1"]);
    server.run("WAITAOF 1 0 10000");
    let aof = server.aof();
    let commands: Vec<&str> = aof.iter().map(|command| command[0].as_str()).collect();
    assert_eq!(commands, ["SELECT", "WB.TRACK", "SET"]);
}

#[test]
fn rules_survive_restarts_by_rdb() {
    let mut server = Server::start();
    server.run_all(&["WB.TRACK emp emp:*", "WB.TRACK full x DB 3 EXCLUDE hdel json.del BEFORE", "SAVE"]);
    server.crash();
    assert_eq!(rules(&mut server), format!("[{EMP} {FULL}]"));
    assert_eq!(server.records_of("emp", &["HSET emp:1 a 1"]), ["c hset emp:1 hash{a=1}"]);
}

#[test]
fn rules_survive_restarts_by_aof_and_its_rewrites() {
    let mut server = Server::start_with(&["--appendonly", "yes", "--appendfsync", "always"]);
    server.run_all(&["WB.TRACK gone x", "WB.TRACK emp emp:*", "WB.TRACK full x DB 3 EXCLUDE hdel json.del BEFORE"]);
    server.run("WB.UNTRACK gone");
    for step in ["FLUSHALL", "BGREWRITEAOF", "WB.TRACK full x DB 3 EXCLUDE hdel json.del BEFORE"] {
        server.run(step);
        server.wait_for("end of the rewrite", |server| server.info("aof_rewrite_in_progress") == "0");
        server.crash();
        assert_eq!(rules(&mut server), format!("[{EMP} {FULL}]"), "after {step}");
    }
    server.run_all(&["WB.UNTRACK full", "FLUSHALL"]);
    server.crash();
    assert_eq!(rules(&mut server), format!("[{EMP}]"));
}

#[test]
fn rules_survive_flushes_and_reloads() {
    let mut server = Server::start_with(&["--enable-debug-command", "yes"]);
    server.run_all(&["WB.TRACK emp emp:*", "FLUSHALL", "FLUSHDB", "DEBUG RELOAD"]);
    assert_eq!(rules(&mut server), format!("[{EMP}]"));
}

#[test]
fn rules_reach_replicas() {
    let mut primary = Server::start();
    primary.run("WB.TRACK emp emp:*");
    for arguments in [&["--repl-diskless-load", "disabled"], &["--repl-diskless-load", "on-empty-db"]] {
        let mut replica = Server::replica_of(&primary, arguments);
        assert_eq!(rules(&mut replica), format!("[{EMP}]"), "by full sync, {arguments:?}");
        primary.run("WB.TRACK full x DB 3 EXCLUDE hdel json.del BEFORE");
        replica.wait_for("rule", |replica| rules(replica) == format!("[{EMP} {FULL}]"));
        primary.run("WB.UNTRACK full");
        replica.wait_for("rule that went", |replica| rules(replica) == format!("[{EMP}]"));
    }
}

#[test]
fn a_replica_drops_rules_that_its_primary_does_not_have() {
    let mut primary = Server::start();
    primary.run("WB.TRACK emp emp:*");
    let mut replica = Server::start();
    replica.run("WB.TRACK own own:*");
    replica.run(&format!("REPLICAOF 127.0.0.1 {}", primary.redis.port()));
    replica.wait_for("rules of the primary", |replica| rules(replica) == format!("[{EMP}]"));
    assert!(replica.try_run("WB.TRACK own own:*").unwrap_err().contains("ReadOnly"));
}

#[test]
fn a_policy_that_evicts_streams_is_refused() {
    let mut server = Server::start_with(&["--maxmemory-policy", "allkeys-lru"]);
    let error = server.try_run("WB.TRACK emp emp:*").unwrap_err();
    assert!(error.contains("`maxmemory-policy allkeys-lru` evicts change streams whole"), "{error}");
    assert_eq!(rules(&mut server), "[]");
    server.run_all(&["CONFIG SET maxmemory-policy volatile-lru", "WB.TRACK emp emp:*"]);
    assert_eq!(server.info("wb_unsafe_setting"), "");
    server.run("CONFIG SET maxmemory-policy allkeys-lfu");
    assert!(server.info("wb_unsafe_setting").contains("allkeys-lfu"));
    assert!(server.redis.log().contains("keys are tracked, but `maxmemory-policy allkeys-lfu`"));
    server.run("CONFIG SET maxmemory-policy noeviction");
    assert_eq!(server.info("wb_unsafe_setting"), "");
}

#[test]
fn an_aof_that_would_lose_the_rules_is_refused() {
    let mut server = Server::start_with(&["--aof-use-rdb-preamble", "no"]);
    let error = server.try_run("WB.TRACK emp emp:*").unwrap_err();
    assert!(error.contains("`aof-use-rdb-preamble no` loses the rules"), "{error}");
    server.run_all(&["CONFIG SET aof-use-rdb-preamble yes", "WB.TRACK emp emp:*"]);
}

#[test]
fn a_rule_that_was_accepted_earlier_is_kept_and_its_danger_shown() {
    let mut server = Server::start();
    server.run_all(&["WB.TRACK emp emp:*", "SAVE"]);
    let folder = server.redis.dir().to_string_lossy().into_owned();
    let mut other = Server::start_with(&["--dir", &folder, "--maxmemory-policy", "allkeys-random"]);
    assert_eq!(rules(&mut other), format!("[{EMP}]"));
    assert!(other.info("wb_unsafe_setting").contains("allkeys-random"));
}

#[test]
fn wrong_commands_are_told_why() {
    let mut server = Server::start();
    for (command, reason) in [
        ("WB.TRACK", "wrong number of arguments"),
        ("WB.TRACK emp", "wrong number of arguments"),
        ("WB.TRACK emp emp:* BEFOER", "unknown word `BEFOER`"),
        ("WB.TRACK emp emp:* DB x", "number of a database"),
        ("WB.TRACK emp emp:* DB 16", "there is no database 16"),
        ("WB.TRACK emp dlq:*", "keys that begin with `dlq:` are redis-wb's own"),
        ("WB.TRACK emp wb:{0}:*", "keys that begin with `wb:{0}:` are redis-wb's own"),
        (
            "WB.TRACK emp emp:* EXCLUDE hset hste",
            "`hste` cannot be excluded: there is no such command; did you mean `hset`?",
        ),
        ("WB.TRACK emp emp:* EXCLUDE JSON.DLE", "did you mean `json.del`?"),
        ("WB.TRACK emp emp:* EXCLUDE GET", "`get` cannot be excluded: it is no command that writes keys"),
        ("WB.TRACK emp emp:* EXCLUDE FLUSHALL", "that a database was emptied is always recorded"),
        ("WB.UNTRACK", "wrong number of arguments"),
        ("WB.RULES emp", "wrong number of arguments"),
    ] {
        let error = server.try_run(command).unwrap_err();
        assert!(error.contains(reason), "`{command}`: {error}");
    }
}

#[test]
fn commands_that_the_module_does_not_know_are_those_of_the_server() {
    let mut server = Server::start();
    // RedisJSON is not loaded; lists and streams have commands that no rule needs.
    server.run("WB.TRACK emp emp:* EXCLUDE JSON.SET LPUSH XADD Unlink");
    assert!(rules(&mut server).contains("exclude [json.set lpush unlink xadd]"));
    server.run_all(&["WB.TRACK own wb:*", "WB.TRACK own [d]lq:*"]);
}

#[test]
fn a_file_without_rules_needs_no_module() {
    let mut server = Server::start();
    server.run_all(&["WB.TRACK emp emp:*", "WB.UNTRACK emp", "SET x y", "SAVE"]);
    let folder = server.redis.dir().to_string_lossy().into_owned();
    let mut bare = Server::of(xtask::servers::Redis::start_bare(&["--dir", &folder]));
    assert_eq!(text(&bare.run("GET x")), "y");
}

/// An RDB file with two rules as the first version of the module saved them: without what is said of streams today.
#[test]
fn rules_that_the_first_version_saved_are_loaded() {
    const UINT: u8 = 2;
    const TEXT: u8 = 5;
    let mut file = b"REDIS0011\xf7\x81".to_vec();
    file.extend(*b"\xc1\xbf\xbe\xae\xe9\x5e\xb0\x01");
    // When it was saved, and how many rules follow.
    file.extend([UINT, 1, UINT, 2]);
    for rule in [&["emp", "emp:*", "DB", "0"][..], &["full", "x", "DB", "3", "EXCLUDE", "hdel", "json.del", "BEFORE"]] {
        file.extend([UINT, u8::try_from(rule.len()).unwrap()]);
        for word in rule {
            file.extend([TEXT, u8::try_from(word.len()).unwrap()]);
            file.extend(word.bytes());
        }
    }
    // Its end, that of the file, and no checksum.
    file.extend([0, 0xff, 0, 0, 0, 0, 0, 0, 0, 0]);
    let mut server = Server::start();
    std::fs::write(server.redis.dir().join("dump.rdb"), file).unwrap();
    server.crash();
    assert_eq!(rules(&mut server), format!("[{EMP} {FULL}]"));
    assert_eq!(server.records_of("emp", &["HSET emp:1 a 1"]), ["c hset emp:1 hash{a=1}"]);
}
