//! What is particular to MariaDB: values to the byte, what it refuses, and what is wrong with a server.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helping functions as well")]

mod support;

use std::time::Duration;

use redis::Commands as _;
use support::maria::Maria;
use support::{Project, Row, assert_same_rows, text};

/// A job that maps the fields of `t:<id>` to columns of the same names.
fn job(id: &str, columns: &str, rest: &str) -> String {
    format!(
        "source:\n  redis:\n    key_pattern: t:*\n    trigger: write-behind\n    key: t:<id:{id}>\noutput:\n  - uses: \
         relational.write\n    with:\n      connection: maria\n      table: t\n      keys: [id]\n      mapping: \
         [{columns}]\n{rest}"
    )
}

fn project(job: &str, tables: &str) -> (Project, Maria) {
    let project = Project::new("ts", job, "");
    let maria = Maria::join(&project, tables);
    (project, maria)
}

/// Key and code of every dead letter, in order.
fn dead_letters(project: &Project) -> Vec<String> {
    let all: redis::streams::StreamRangeReply = project.client().xrange_all("dlq:wb:{0}:ts").unwrap();
    let text = |entry: &redis::streams::StreamId, name: &str| entry.get::<String>(name).unwrap_or_default();
    let mut letters: Vec<String> =
        all.ids.iter().map(|entry| format!("{} {}", text(entry, "key"), text(entry, "code"))).collect();
    letters.sort();
    letters
}

fn rows(list: &[&[&str]]) -> Vec<Row> {
    list.iter().map(|row| row.iter().map(|&cell| cell.to_owned()).collect()).collect()
}

/// The columns of the table of values.
const COLUMNS: &str = "
    small smallint, big bigint, huge bigint unsigned, flag boolean, one bit(1), five bit(5), price decimal(12, 2), money decimal(40, 10),
    half float, twice double, day date, clock time, clock6 time(6), at datetime, at3 datetime(3), at6 datetime(6),
    instant timestamp(6) NULL, word varchar(3), latin varchar(9) CHARACTER SET latin1, raw varbinary(4), blob_ longblob,
    doc json, id_ uuid, pick enum('a', 'b')";

/// Column, value, and the text that it reads as or the code that rejects it.
const VALUES: &[(&str, &[u8], Result<&str, &str>)] = &[
    ("small", b"-32768", Ok("-32768")),
    ("small", b"32768", Err("R0505")),
    ("small", b"1.5", Err("R0507")),
    ("big", b"9223372036854775807", Ok("9223372036854775807")),
    ("huge", b"9223372036854775807", Ok("9223372036854775807")),
    ("huge", b"-1", Err("R0505")),
    ("flag", b"yes", Ok("1")),
    ("flag", b"2", Err("R0504")),
    ("one", b"true", Ok("1")),
    ("one", b"0", Ok("0")),
    ("five", b"31", Ok("31")),
    ("five", b"32", Err("R0505")),
    ("price", b"9999999999.99", Ok("9999999999.99")),
    ("price", b"1.005", Err("R0507")),
    ("price", b"10000000000", Err("R0505")),
    ("money", b"123456789012345678901234567890.0123456789", Ok("123456789012345678901234567890.0123456789")),
    ("money", b"-0.0000000001", Ok("-0.0000000001")),
    ("half", b"0.5", Ok("0.5")),
    ("half", b"1e39", Err("R0505")),
    ("twice", b"1.7976931348623157e308", Ok("1.7976931348623157e308")),
    ("day", b"9999-12-31", Ok("9999-12-31")),
    ("day", b"2024-02-30", Err("R0504")),
    ("day", b"-000001-01-01", Err("R0521")),
    ("clock", b"23:59:59", Ok("23:59:59")),
    ("clock", b"23:59:59.5", Err("R0507")),
    ("clock6", b"23:59:59.999999", Ok("23:59:59.999999")),
    ("at", b"2024-01-02T03:04:05", Ok("2024-01-02 03:04:05")),
    ("at", b"2024-01-02T03:04:05.5", Err("R0507")),
    ("at3", b"2024-01-02T03:04:05.123", Ok("2024-01-02 03:04:05.123")),
    ("at3", b"2024-01-02T03:04:05.1234", Err("R0507")),
    ("at6", b"2024-01-02T03:04:05.123456", Ok("2024-01-02 03:04:05.123456")),
    ("at6", b"2024-01-02T03:04:05+02:00", Ok("2024-01-02 01:04:05.000000")),
    ("instant", b"2024-01-02T03:04:05.123456+02:00", Ok("2024-01-02 01:04:05.123456")),
    ("instant", b"2039-01-01T00:00:00Z", Err("R0521")),
    ("word", "ß→😀".as_bytes(), Ok("ß→😀")),
    ("word", b"", Ok("")),
    ("word", b"  a", Ok("  a")),
    ("word", b"abcd", Err("R0506")),
    ("word", b"abc ", Err("R0506")),
    ("word", b"a\0b", Err("R0508")),
    ("word", b"\xff", Err("R0508")),
    ("latin", "größe".as_bytes(), Ok("größe")),
    ("latin", "→".as_bytes(), Err("R0521")),
    ("raw", b"\xff\0\x80", Ok("FF0080")),
    ("raw", b"abcde", Err("R0506")),
    ("blob_", b"\xf0\x9f\0'\"\\", Ok("F09F0027225C")),
    ("doc", br#"{"a": [1, 1e400, "\u00e4"]}"#, Ok(r#"{"a": [1, 1e400, "\u00e4"]}"#)),
    ("doc", b"{", Err("R0520")),
    ("id_", b"00112233-4455-6677-8899-AABBCCDDEEFF", Ok("00112233-4455-6677-8899-aabbccddeeff")),
    ("pick", b"b", Ok("b")),
    ("pick", b"c", Err("R0504")),
];

#[test]
fn values_land_to_the_byte_or_are_rejected() {
    let names: Vec<&str> = COLUMNS.split(',').flat_map(|part| part.split_whitespace().next()).collect();
    let names: Vec<&str> = names.into_iter().filter(|name| VALUES.iter().any(|(column, ..)| column == name)).collect();
    let tables = format!("CREATE TABLE t (id int PRIMARY KEY, {COLUMNS}) CHARACTER SET utf8mb4");
    let (project, maria) = project(&job("int", &names.join(", "), ""), &tables);
    project.drain();
    let mut pipe = redis::pipe();
    for (at, (column, value, _)) in VALUES.iter().enumerate() {
        pipe.hset(format!("t:{at}"), *column, *value).ignore();
    }
    let () = pipe.query(&mut project.client()).unwrap();
    project.drain();
    let letters = dead_letters(&project);
    let mut wrong = Vec::new();
    for (at, (column, value, expected)) in VALUES.iter().enumerate() {
        let shown = match *column {
            "raw" | "blob_" => format!("hex({column})"),
            "one" | "five" => format!("{column} + 0"),
            _ => (*column).to_owned(),
        };
        let found = maria.rows(&format!("SELECT CAST({shown} AS text) FROM t WHERE id = {at}"));
        let letter = letters.iter().find_map(|letter| letter.strip_prefix(&format!("t:{at} ")));
        let found = found.first().and_then(|row| row.first()).map(String::as_str);
        if (found, letter) != (expected.ok(), expected.err()) {
            wrong.push(format!("{column} {:?}: {found:?} {letter:?}, not {expected:?}", text(value)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn keys_are_told_apart_by_every_digit() {
    let (project, maria) =
        project(&job("decimal", "name", ""), "CREATE TABLE t (id decimal(30, 0) PRIMARY KEY, name text)");
    project.drain();
    let mut client = project.client();
    let key = |last: u32| format!("t:12345678901234567890123456789{last}");
    for last in 0..10 {
        let _: () = client.hset(key(last), "name", "Ada").unwrap();
    }
    project.drain();
    let mut pipe = redis::pipe();
    (0..8).for_each(|last| {
        pipe.del(key(last)).ignore();
    });
    let () = pipe.query(&mut client).unwrap();
    project.drain();
    let expected = [8, 9].map(|last| vec![key(last)[2..].to_owned(), "Ada".to_owned()]);
    assert_same_rows(&maria.rows("SELECT CAST(id AS text), name FROM t ORDER BY t.id"), &expected);
}

/// Types of a child's key, and two values of it that are easily taken for one.
const TWINS: [(&str, [&str; 2]); 8] = [
    ("decimal(30, 0)", ["123456789012345678901234567890", "123456789012345678901234567891"]),
    ("decimal(30, 10)", ["12345678901234567890.0000000001", "12345678901234567890.0000000002"]),
    ("bigint", ["9223372036854775806", "9223372036854775807"]),
    ("date", ["2024-02-28", "2024-02-29"]),
    ("datetime(6)", ["2024-02-28 01:02:03.000000", "2024-02-28 01:02:03.000001"]),
    ("time(3)", ["01:02:03.000", "01:02:03.001"]),
    ("uuid", ["00112233-4455-6677-8899-aabbccddeef0", "00112233-4455-6677-8899-aabbccddeeff"]),
    ("varchar(20) COLLATE utf8mb4_nopad_bin", ["a", "a "]),
];

/// A child that stays is not touched, let alone written again, and one that vanished goes.
#[test]
fn children_are_told_apart_by_every_digit() {
    let job = "source:\n  redis:\n    key_pattern: t:*\n    trigger: write-behind\n    data_type: set\n    key: \
               t:<id:int>\noutput:\n  - uses: relational.write\n    with:\n      connection: maria\n      table: \
               t\n      foreach: 'member: members'\n      keys: [id, no: member]\n";
    let (project, maria) = project(job, "");
    for (kind, [stays, goes]) in TWINS {
        println!("{kind}");
        maria.run(&format!(
            "CREATE OR REPLACE TABLE t (id int, no {kind}, note text DEFAULT 'new', PRIMARY KEY (id, no))"
        ));
        project.drain();
        let mut client = project.client();
        let _: () = client.del("t:1").unwrap();
        let _: () = client.sadd("t:1", &[stays, goes]).unwrap();
        project.drain();
        maria.run("UPDATE t SET note = 'old'");
        let _: () = client.srem("t:1", goes).unwrap();
        project.drain();
        assert_same_rows(&maria.rows("SELECT CAST(no AS text), note FROM t"), &rows(&[&[stays, "old"]]));
    }
}

#[test]
fn replace_and_an_opcode_of_the_application() {
    let rest = "      load_strategy: REPLACE\n      opcode_field: op\n";
    let tables = "CREATE TABLE t (id int PRIMARY KEY, name text, state varchar(9) DEFAULT 'new')";
    let (project, maria) = project(&job("int", "name", rest), tables);
    project.drain();
    let mut client = project.client();
    for id in 1..=3 {
        let _: () = client.hset(format!("t:{id}"), "name", "Ada").unwrap();
    }
    project.drain();
    maria.run("UPDATE t SET state = 'old'");
    let _: () = client.hset("t:1", "name", "Alan").unwrap();
    let _: () = client.hset("t:2", "op", "d").unwrap();
    project.drain();
    let select = "SELECT CAST(id AS text), name, state FROM t ORDER BY t.id";
    assert_same_rows(&maria.rows(select), &rows(&[&["1", "Alan", "new"], &["3", "Ada", "old"]]));
}

#[test]
fn poison_goes_to_the_dead_letter_queue_and_the_rest_lands() {
    let tables = "CREATE TABLE dept (id int PRIMARY KEY);
        INSERT INTO dept VALUES (1);
        CREATE TABLE t (id int PRIMARY KEY AUTO_INCREMENT, name varchar(2000) CHECK (name <> 'no'), dept int,
            note longtext, FOREIGN KEY (dept) REFERENCES dept (id));
        SET GLOBAL max_allowed_packet = 1048576";
    let (project, maria) = project(&job("int", "name, dept, note", ""), tables);
    project.drain();
    let large = "x".repeat(2 << 20);
    let mut pipe = redis::pipe();
    for id in 0..300 {
        let (name, dept, note) = match id {
            50 => ("no", "1", ""),
            100 => ("Ada", "9", ""),
            150 => ("Ada", "1", large.as_str()),
            200 => ("Ada", "one", ""),
            _ => ("Ada", "1", ""),
        };
        pipe.hset_multiple(format!("t:{id}"), &[("name", name), ("dept", dept), ("note", note)]).ignore();
    }
    let () = pipe.query(&mut project.client()).unwrap();
    project.drain();
    assert_eq!(dead_letters(&project), ["t:100 R0522", "t:150 R0521", "t:200 R0504", "t:50 R0520"]);
    let expected: Vec<Row> =
        (0..300).filter(|id| ![50, 100, 150, 200].contains(id)).map(|id| vec![id.to_string()]).collect();
    assert_same_rows(&maria.rows("SELECT CAST(id AS text) FROM t ORDER BY t.id"), &expected);
}

#[test]
fn two_workers_do_no_harm() {
    let tables = "CREATE TABLE t (id int PRIMARY KEY, name text)";
    let (project, maria) = project(&job("int", "name", ""), tables);
    let mut workers = [project.worker(), project.worker()];
    project.wait_until_tracked();
    let mut client = project.client();
    for round in 0..4 {
        for id in 0..300 {
            let _: () = client.hset(format!("t:{id}"), "name", format!("{round}")).unwrap();
        }
    }
    project.wait("the stream is drained", || client.xlen::<_, usize>("wb:{0}:ts") == Ok(0));
    let expected: Vec<Row> = (0..300).map(|id| vec![id.to_string(), "3".to_owned()]).collect();
    assert_same_rows(&maria.rows("SELECT CAST(id AS text), name FROM t ORDER BY t.id"), &expected);
    for worker in &mut workers {
        worker.stop();
        assert!(worker.status().unwrap().success(), "{}", project.log());
    }
}

#[test]
fn a_connection_that_the_server_ends_comes_back() {
    let tables = "CREATE TABLE t (id int PRIMARY KEY, name text); SET GLOBAL wait_timeout = 1";
    let (project, maria) = project(&job("int", "name", ""), tables);
    let mut worker = project.worker();
    project.wait_until_tracked();
    let mut client = project.client();
    for id in 0..3 {
        let _: () = client.hset(format!("t:{id}"), "name", "Ada").unwrap();
        project.wait("the row", || maria.rows("SELECT name FROM t").len() == id + 1);
        std::thread::sleep(Duration::from_millis(2_500));
    }
    worker.stop();
    assert!(worker.status().unwrap().success(), "{}", project.log());
}

/// What a run to the end says that cannot begin, in one line.
fn refused(project: &Project) -> String {
    let output = project.command(&["run", "--until-idle", "--redis", &project.redis.url()]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    text(&output.stderr).split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ")
}

#[test]
fn what_somebody_has_to_mend_is_said() {
    let ddl = "CREATE TABLE t (id int PRIMARY KEY, name text);";
    let (project, maria) = project(&job("int", "name", ""), ddl);
    let config = std::fs::read_to_string(project.path("config.yaml")).unwrap();
    project.write("config.yaml", &config.replace("user: root\n", "user: root\n    ddl: schema.sql\n"));
    project.write("schema.sql", ddl);
    maria.run("ALTER TABLE t ENGINE = MyISAM");
    let said = refused(&project);
    assert!(said.contains("no transactions") && said.contains("ENGINE = InnoDB"), "{said}");
    maria.run("DROP TABLE t");
    let said = refused(&project);
    assert!(said.contains("'test.t' doesn't exist") && said.contains("create the table"), "{said}");
    let config = std::fs::read_to_string(project.path("config.yaml")).unwrap();
    project.write("config.yaml", &config.replace("type: mariadb", "type: mysql"));
    let said = refused(&project);
    assert!(said.contains("the server is MariaDB") && said.contains("type: mariadb"), "{said}");
    project.write("config.yaml", &config.replace("user: root", "user: root\n    password: ${SECRET}"));
    let mut command = project.command(&["run", "--until-idle", "--redis", &project.redis.url()]);
    let said = text(&command.env("SECRET", "planted").output().unwrap().stderr);
    assert!(said.contains("check user and password") && !said.contains("planted"), "{said}");
}
