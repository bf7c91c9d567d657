//! `WB.READ`: it gives what XRANGE gives.

use redis::Value;
use redis_wb_record::read_entries;

use crate::support::Server;

const STREAM: &str = "wb:{0}:emp";

/// What a read gives: each id and record.
fn read(server: &mut Server, behind: &str, rows: &str, bytes: &str) -> Vec<(String, Vec<u8>)> {
    let reply = server.run(&format!("WB.READ {STREAM} {behind} {rows} {bytes}"));
    let Value::BulkString(reply) = reply else { panic!("WB.READ gives a string, not {reply:?}") };
    let entries = read_entries(&reply).expect("entries");
    entries.into_iter().map(|entry| (format!("{}-{}", entry.ms, entry.seq), reply[entry.record].to_vec())).collect()
}

#[test]
fn it_gives_the_entries_behind_an_id() {
    let mut server = Server::start();
    assert_eq!(read(&mut server, "0-0", "10", "1000"), [], "no stream");
    server.run("WB.TRACK emp *");
    for at in 0..250 {
        server.run(&format!("HSET emp:{at} name {at} text {}", "x".repeat(at + 1)));
    }
    server.run_all(&["DEL emp:1", "SADD tags a b"]);
    let all = server.entries(STREAM);
    assert_eq!(all.len(), 252);
    assert_eq!(read(&mut server, "0-0", "1000", "1000000"), all);
    // Page by page, from the middle on, and with holes where entries were deleted.
    server.run(&format!("XDEL {STREAM} {} {}", all[3].0, all[100].0));
    let all = server.entries(STREAM);
    let mut paged = Vec::new();
    let mut behind = "0-0".to_owned();
    loop {
        let page = read(&mut server, &behind, "7", "1000000");
        let Some((last, _)) = page.last() else { break };
        assert!(page.len() <= 7);
        behind.clone_from(last);
        paged.extend(page);
    }
    assert_eq!(paged, all);
    let (middle, _) = all[120].clone();
    assert_eq!(read(&mut server, &middle, "1000", "1000000"), all[121..]);
    assert_eq!(read(&mut server, "18446744073709551615-18446744073709551615", "10", "1000"), []);
}

#[test]
fn it_ends_with_the_entry_that_passes_the_bytes() {
    let mut server = Server::start();
    server.run("WB.TRACK emp *");
    for at in 0..5 {
        server.run(&format!("HSET emp:{at} text {}", "x".repeat(1_000)));
    }
    assert_eq!(read(&mut server, "0-0", "10", "1500").len(), 2);
    assert_eq!(read(&mut server, "0-0", "10", "1").len(), 1, "one at least");
    assert_eq!(read(&mut server, "0-0", "0", "1500").len(), 0);
}

#[test]
fn entries_of_others_have_no_record_or_more_fields() {
    let mut server = Server::start();
    server.run_all(&[
        &format!("XADD {STREAM} 1-1 x y"),
        &format!("XADD {STREAM} 1-2 a b r record c d o 0"),
        &format!("XADD {STREAM} 1-3 r first r second"),
    ]);
    let expected: [(&str, &[u8]); 3] = [("1-1", b""), ("1-2", b"record"), ("1-3", b"first")];
    assert_eq!(read(&mut server, "0-0", "10", "1000"), expected.map(|(id, record)| (id.to_owned(), record.to_vec())));
}

#[test]
fn what_is_wrong_is_said() {
    let mut server = Server::start();
    server.run("SET emp text");
    for (command, reason) in [
        ("WB.READ emp 0-0 1", "wrong number"),
        ("WB.READ emp 0-0 1 1 1", "wrong number"),
        ("WB.READ emp 0 1 1", "wants an id"),
        ("WB.READ emp 0-x 1 1", "wants an id"),
        ("WB.READ emp 0-0 x 1", "wants an id"),
        ("WB.READ emp 0-0 1 -1", "wants an id"),
        ("WB.READ emp 0-0 1 1", "WRONGTYPE"),
    ] {
        let error = server.try_run(command).unwrap_err();
        assert!(error.contains(reason), "`{command}`: {error}");
    }
}
