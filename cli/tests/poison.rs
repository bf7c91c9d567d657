//! Records that cannot become rows: exactly those are in the dead-letter queue, everything else has landed.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helping functions as well")]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use redis::streams::StreamRangeReply;
use support::{Project, Row, assert_same_rows, rounds, seed, text};
use xtask::servers::Process;

const KEYS: u32 = 400;
const WRITES: usize = 6_000;

const JOB: &str = "
source:
  redis:
    key_pattern: meter:*
    trigger: write-behind
    key: meter:<id:int>
output:
  - uses: relational.write
    with:
      connection: pg
      table: meter
      keys: [id]
      mapping: [reading, unit, day, place]
  - uses: relational.write
    with:
      connection: lite
      table: meter
      keys: [id]
      mapping: [reading, unit, day, place]
";

/// Most poison is found by the conversions of the plan; a place that is `nowhere` only by the target.
const TABLES: &str = "
CREATE TABLE meter (
    id integer PRIMARY KEY, reading smallint, unit varchar(5), day date,
    place text CHECK (place <> 'nowhere')
);
";

const ROWS: &str =
    "SELECT CAST(id AS text), CAST(reading AS text), unit, CAST(day AS text), place FROM meter ORDER BY meter.id";

/// Values that a column cannot hold, each with the code of its rejection, and whether SQLite, whose types have no
/// limits, rejects it as well.
const POISON: [(&str, &str, &str, bool); 7] = [
    ("reading", "many", "R0504", true),
    ("reading", "9223372036854775808", "R0505", true),
    ("reading", "40000", "R0505", false),
    ("reading", "4.5", "R0507", true),
    ("unit", "furlong", "R0506", false),
    ("day", "2024-02-30", "R0504", true),
    ("place", "a\0b", "R0508", true),
];

/// A dead letter: the field that was wrong is told by the code and the reason.
type Letter = (String, String);

/// The dead letters of one connection.
fn letters(client: &mut redis::Connection, connection: &str) -> Vec<Letter> {
    let all: StreamRangeReply = redis::cmd("XRANGE").arg("dlq:wb:{0}:meters").arg("-").arg("+").query(client).unwrap();
    let field = |entry: &redis::streams::StreamId, name: &str| -> Vec<u8> { entry.get(name).unwrap_or_default() };
    let own = all.ids.iter().filter(|entry| field(entry, "connection") == connection.as_bytes());
    own.map(|entry| {
        assert!(!field(entry, "reason").is_empty());
        let record = field(entry, "record");
        let record = redis_wb_record::decode(&record).unwrap();
        (text(record.key), text(&field(entry, "code")))
    })
    .collect()
}

#[test]
fn exactly_the_poison_is_rejected() {
    let mut random = StdRng::seed_from_u64(seed());
    let project = Project::new("meters", JOB, TABLES);
    let mut worker: Process = project.worker();
    project.wait_until_tracked();
    let mut client = project.client();
    let writes = rounds(WRITES);
    // What the rows must be: the last good state of each key, since a key keeps its poison until it is written over.
    let mut rows: [BTreeMap<u32, Row>; 2] = Default::default();
    let mut poisoned: [Vec<Letter>; 2] = Default::default();
    for at in 1..=writes {
        let id = random.random_range(0..KEYS);
        let key = format!("meter:{id}");
        let mut fields: BTreeMap<&str, String> = BTreeMap::from([
            ("reading", random.random_range(-32_768..32_768).to_string()),
            ("unit", "kWh".to_owned()),
            ("day", format!("2024-02-{:02}", random.random_range(1..30))),
            ("place", "somewhere".to_owned()),
        ]);
        let (mut rejected, mut poison) = ([false, false], Letter::default());
        if random.random_bool(0.01) {
            let (field, value, code, both) = POISON[random.random_range(0..POISON.len())];
            fields.insert(field, value.to_owned());
            rejected = [true, both];
            poison = (key.clone(), code.to_owned());
        }
        let row = ["reading", "unit", "day", "place"].map(|field| fields[field].clone());
        let row: Row = std::iter::once(id.to_string()).chain(row).collect();
        for target in 0..2 {
            if rejected[target] {
                poisoned[target].push(poison.clone());
            } else {
                rows[target].insert(id, row.clone());
            }
        }
        let fields: Vec<(&str, String)> = fields.into_iter().collect();
        let _: () = redis::Commands::hset_multiple(&mut client, &key, &fields).unwrap();
        if at % (writes / 5) == 0 {
            worker.kill();
            worker = project.worker();
        }
    }
    worker.stop();
    project.drain();
    let [pg_rows, lite_rows] = rows.map(|rows| rows.into_values().collect::<Vec<Row>>());
    assert_same_rows(&project.pg_rows(ROWS), &pg_rows);
    assert_same_rows(&project.lite_rows(ROWS), &lite_rows);
    for (connection, mut wanted) in ["pg", "lite"].into_iter().zip(poisoned) {
        let mut found = letters(&mut client, connection);
        // A refusal of the target is found out later than one of a conversion, within one batch.
        found.sort();
        wanted.sort();
        assert!(!wanted.is_empty());
        assert_eq!(found, wanted, "{connection}");
    }
}

#[test]
fn what_only_the_target_refuses_is_found_among_the_rest() {
    let project = Project::new("meters", JOB, TABLES);
    project.drain();
    let mut client = project.client();
    let mut pipe = redis::pipe();
    // One change a key: of several within one batch only the last is written, so only it can be refused.
    for id in 0..1_000 {
        let place = if id % 100 == 42 { "nowhere" } else { "somewhere" };
        pipe.hset_multiple(format!("meter:{id}"), &[("reading", "1"), ("place", place)]).ignore();
    }
    let () = pipe.query(&mut client).unwrap();
    project.drain();
    let kept = (0..1_000).filter(|id| id % 100 != 42);
    let expected: Vec<Row> =
        kept.map(|id| [id.to_string().as_str(), "1", "∅", "∅", "somewhere"].map(str::to_owned).to_vec()).collect();
    let wanted: Vec<Letter> =
        (0..10).map(|hundred| (format!("meter:{}", hundred * 100 + 42), "R0520".to_owned())).collect();
    assert_same_rows(&project.pg_rows(ROWS), &expected);
    assert_same_rows(&project.lite_rows(ROWS), &expected);
    assert_eq!(letters(&mut client, "pg"), wanted);
    assert_eq!(letters(&mut client, "lite"), wanted);
}

/// Rows that are many take another way to PostgreSQL, on which it finds the same ones wrong.
#[test]
fn of_many_rows_those_that_a_target_refuses_are_found() {
    const MANY: u32 = 3_000;
    let place = "  - uses: relational.write
    with:
      connection: pg
      table: place
      keys: [id]
      mapping: [place, day]
";
    let tables = format!(
        "{TABLES}CREATE TABLE place (id integer PRIMARY KEY, place varchar(12), day date CHECK (day > '1999-01-01'));"
    );
    let project = Project::new("meters", &format!("{JOB}{place}"), &tables);
    project.drain();
    let mut client = project.client();
    let mut pipe = redis::pipe();
    for id in 0..MANY {
        let place = if id % 1_000 == 7 { "nowhere" } else { "somewhere" };
        let day = if id % 1_000 == 8 { "1998-02-03" } else { "2024-02-29" };
        let fields = [("reading", "1"), ("unit", "kWh"), ("day", day), ("place", place)];
        pipe.hset_multiple(format!("meter:{id}"), &fields).ignore();
    }
    pipe.exec(&mut client).unwrap();
    project.drain();
    let wrong = |found: &[u32]| -> BTreeSet<String> {
        (0..MANY).filter(|id| found.contains(&(id % 1_000))).map(|id| format!("meter:{id}")).collect()
    };
    let keys = |connection: &str| letters(&mut project.client(), connection).into_iter().map(|(key, _)| key);
    // A record is a whole for its connection: none of its rows are there where one is refused.
    let right =
        |table: &str| format!("SELECT count(*)::text FROM {table} WHERE day = '2024-02-29' AND place = 'somewhere'");
    for table in ["meter", "place"] {
        assert_eq!(project.pg_rows(&right(table)), [["2994"]], "{table}");
        assert_eq!(project.pg_rows(&format!("SELECT count(*)::text FROM {table}")), [["2994"]], "{table}");
    }
    assert_eq!(keys("pg").collect::<BTreeSet<_>>(), wrong(&[7, 8]));
    assert_eq!(keys("lite").collect::<BTreeSet<_>>(), wrong(&[7]));
    assert_eq!(project.lite_rows("SELECT CAST(count(*) AS text) FROM meter"), [["2997"]]);
}

/// Of rows that are many, those of a log stay in order, however large each is.
#[test]
fn many_rows_of_a_log_stay_in_order() {
    const MANY: usize = 4_000;
    let job = "
source:
  redis: {key_pattern: 'note:*', trigger: write-behind, key: 'note:<id:int>'}
output:
  - uses: relational.write
    with: {connection: pg, table: log, load_strategy: APPEND, keys: [id], mapping: [version, text]}
";
    let tables = "CREATE TABLE log (seq bigserial, id integer, version integer, text text);";
    let project = Project::new("notes", job, tables);
    project.drain();
    let mut pipe = redis::pipe();
    for version in 0..MANY {
        let text = "x".repeat(if version % 7 == 3 { 1_900 } else { version % 23 * 9 });
        pipe.hset_multiple("note:1", &[("version", version.to_string()), ("text", text)]).ignore();
    }
    pipe.exec(&mut project.client()).unwrap();
    project.drain();
    let expected: Vec<Row> = (0..MANY).map(|version| [version.to_string()].into()).collect();
    assert_same_rows(&project.pg_rows("SELECT version::text FROM log ORDER BY seq"), &expected);
}
