//! Random writes while the worker and the servers die again and again: at the end all targets say what Redis says,
//! and no older change was ever written over a newer one.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helping functions as well"
)]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use support::maria::Maria;
use support::{Project, Row, assert_same_rows, rounds, seed};

const KEYS: u32 = 500;
const WRITES: usize = 20_000;
/// How often the worker is killed, and how often each server restarts, over all writes.
const KILLS: usize = 12;
const RESTARTS: usize = 2;
/// The longest time to live, in milliseconds.
const TTL_MS_MAX: u64 = 40;

const JOB: &str = "
source:
  redis:
    key_pattern: item:*
    trigger: write-behind
    key: item:<id:int>
    on_expire: delete
output:
  - uses: relational.write
    with:
      connection: pg
      table: item
      keys: [id]
      mapping: [version: v, name, quantity: qty, price, note]
  - uses: relational.write
    with:
      connection: lite
      table: item
      keys: [id]
      mapping: [version: v, name, quantity: qty, price, note]
  - uses: relational.write
    with:
      connection: maria
      table: item
      keys: [id]
      mapping: [version: v, name, quantity: qty, price, note]
";

const TABLES: &str = "
CREATE TABLE item (
    id integer PRIMARY KEY, version bigint NOT NULL, name varchar(40), quantity bigint, price numeric(10, 2), note text
);
";

/// Each write of a row, in order: which version came over which. A row that was deleted may only come back newer.
const PG_AUDIT: &str = "
CREATE TABLE audit (seq bigserial PRIMARY KEY, id integer NOT NULL, version bigint NOT NULL);
CREATE FUNCTION record() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN INSERT INTO audit (id, version) VALUES (NEW.id, NEW.version); RETURN NULL; END';
CREATE TRIGGER record AFTER INSERT OR UPDATE ON item FOR EACH ROW EXECUTE FUNCTION record();
";
const LITE_AUDIT: &str = "
CREATE TABLE audit (seq INTEGER PRIMARY KEY, id integer NOT NULL, version bigint NOT NULL);
CREATE TRIGGER inserted AFTER INSERT ON item BEGIN INSERT INTO audit (id, version) VALUES (NEW.id, NEW.version); END;
CREATE TRIGGER updated AFTER UPDATE ON item BEGIN INSERT INTO audit (id, version) VALUES (NEW.id, NEW.version); END;
";
const MARIA_AUDIT: &str = "
CREATE TABLE audit (seq bigint AUTO_INCREMENT PRIMARY KEY, id integer NOT NULL, version bigint NOT NULL);
CREATE TRIGGER inserted AFTER INSERT ON item FOR EACH ROW INSERT INTO audit (id, version) VALUES (NEW.id, NEW.version);
CREATE TRIGGER updated AFTER UPDATE ON item FOR EACH ROW INSERT INTO audit (id, version) VALUES (NEW.id, NEW.version);
";
const WENT_BACK: &str = "
SELECT CAST(id AS text), CAST(version AS text), CAST(earlier AS text) FROM
  (SELECT id, version, lag(version) OVER (PARTITION BY id ORDER BY seq) AS earlier FROM audit) AS a
WHERE version < earlier
";
const ROWS: &str = "
SELECT CAST(id AS text), CAST(version AS text), name, CAST(quantity AS text), CAST(price AS text), note
FROM item ORDER BY item.id
";

/// One random write. Whatever changes what a key holds also gives it the newest version, where it can.
fn write(random: &mut StdRng, version: usize) -> redis::Pipeline {
    let mut pipe = redis::pipe();
    let key = |random: &mut StdRng| format!("item:{}", random.random_range(0..KEYS));
    let (one, other) = (key(random), key(random));
    let price = format!("{}.{:02}", random.random_range(0..1_000), random.random_range(0..100));
    match random.random_range(0..100) {
        0..35 => {
            pipe.cmd("HSET").arg(&one).arg("v").arg(version).arg("name").arg(random_name(random)).arg("qty").arg(1)
        }
        35..45 => pipe.cmd("HSET").arg(&one).arg("v").arg(version).arg("price").arg(price),
        45..55 => pipe
            .atomic()
            .cmd("HSET")
            .arg(&one)
            .arg("v")
            .arg(version)
            .cmd("HINCRBY")
            .arg(&one)
            .arg("qty")
            .arg(random.random_range(-5..9))
            .cmd("HSET")
            .arg(&other)
            .arg("v")
            .arg(version)
            .arg("note")
            .arg("two at once"),
        55..62 => {
            pipe.atomic().cmd("HSET").arg(&one).arg("v").arg(version).cmd("HDEL").arg(&one).arg("note").arg("price")
        }
        62..72 => pipe.cmd("DEL").arg(&one),
        72..76 => pipe.cmd("DEL").arg(&one).arg(&other).arg(key(random)),
        76..82 => pipe.cmd("EVAL").arg(RENAME).arg(2).arg(&one).arg(&other).arg(version),
        82..86 => pipe.cmd("EVAL").arg(RENAME).arg(2).arg(&one).arg("elsewhere").arg(version),
        86..92 => pipe.cmd("PEXPIRE").arg(&one).arg(random.random_range(1..=TTL_MS_MAX)),
        92..94 => pipe.cmd("SET").arg(&one).arg("no hash any more"),
        94..96 => pipe.cmd("EVAL").arg(COPY).arg(2).arg(&one).arg(&other).arg(version),
        _ => pipe.cmd("EVAL").arg(COUNT).arg(2).arg(&one).arg(&other).arg(version),
    };
    pipe
}

/// Moves a hash, which is a newer version at its new place.
const RENAME: &str = "
if redis.call('TYPE', KEYS[1]).ok == 'hash' then
  redis.call('RENAME', KEYS[1], KEYS[2]) redis.call('HSET', KEYS[2], 'v', ARGV[1])
end";
const COPY: &str = "
if redis.call('TYPE', KEYS[1]).ok == 'hash' and KEYS[1] ~= KEYS[2] then
  redis.call('COPY', KEYS[1], KEYS[2], 'REPLACE') redis.call('HSET', KEYS[2], 'v', ARGV[1])
end";
const COUNT: &str = "
for at, key in ipairs(KEYS) do
  if redis.call('TYPE', key).ok ~= 'string' then
    redis.call('HSET', key, 'v', ARGV[1]) redis.call('HINCRBY', key, 'qty', at)
  end
end";

fn random_name(random: &mut StdRng) -> String {
    ["Ada", "Gödel", "名前", "O'Hara", "{1,2}", "", "back\\slash", "\"quoted\"", "NULL"][random.random_range(0..9)]
        .to_owned()
}

/// The rows that the keys of Redis call for.
fn expected(client: &mut redis::Connection) -> Vec<Row> {
    let mut rows = BTreeMap::new();
    for id in 0..KEYS {
        let key = format!("item:{id}");
        let kind: String = redis::cmd("TYPE").arg(&key).query(client).unwrap();
        if kind != "hash" {
            continue;
        }
        let fields: Vec<Option<String>> =
            redis::cmd("HMGET").arg(&key).arg(&["v", "name", "qty", "price", "note"]).query(client).unwrap();
        let fields = fields.into_iter().map(|field| field.unwrap_or_else(|| "∅".to_owned()));
        rows.insert(id, std::iter::once(id.to_string()).chain(fields).collect());
    }
    rows.into_values().collect()
}

/// SQLite's NUMERIC columns keep a number, not its spelling: `7.10` comes back as `7.1`.
fn as_numbers(rows: Vec<Row>) -> Vec<Row> {
    let price = |mut row: Row| {
        if let Ok(price) = row[4].parse::<f64>() {
            row[4] = price.to_string();
        }
        row
    };
    rows.into_iter().map(price).collect()
}

#[test]
fn all_targets_end_as_redis_does() {
    let mut random = StdRng::seed_from_u64(seed());
    let mut project = Project::new("items", JOB, TABLES);
    project.pg(PG_AUDIT);
    project.lite().execute_batch(LITE_AUDIT).unwrap();
    let mut maria = Maria::join(&project, TABLES);
    maria.run(MARIA_AUDIT);
    let writes = rounds(WRITES);
    let mut worker = project.worker();
    project.wait_until_tracked();
    let mut client = project.client();
    for version in 1..=writes {
        // A write on a key that holds a string is refused; that is the application's business.
        let _ = write(&mut random, version).query::<redis::Value>(&mut client);
        if version % (writes / KILLS) == 0 {
            std::thread::sleep(Duration::from_millis(random.random_range(0..200)));
            worker.kill();
            worker = project.worker();
        }
        if version % (writes / RESTARTS) == writes / RESTARTS / 2 {
            if random.random_bool(0.5) {
                project.postgres.kill();
                maria.server.kill();
            }
            project.postgres.restart();
            maria.server.restart();
        }
    }
    // Keys that live on borrowed time end now; asking for a key makes Redis look.
    std::thread::sleep(Duration::from_millis(2 * TTL_MS_MAX));
    let expected = expected(&mut client);
    worker.stop();
    assert!(worker.status().unwrap().success(), "{}", project.log());
    project.drain();

    assert_same_rows(&project.pg_rows(ROWS), &expected);
    assert_same_rows(&maria.rows(ROWS), &expected);
    assert_same_rows(&as_numbers(project.lite_rows(ROWS)), &as_numbers(expected));
    assert_same_rows(&project.pg_rows(WENT_BACK), &[]);
    assert_same_rows(&project.lite_rows(WENT_BACK), &[]);
    assert_same_rows(&maria.rows(WENT_BACK), &[]);
    let left: usize = redis::cmd("XLEN").arg("wb:{0}:items").query(&mut client).unwrap();
    assert_eq!(left, 0, "the stream is trimmed");
    // Rows need a version: a HINCRBY on nothing would make one without, and no write above does that.
    let rejected: usize = redis::cmd("XLEN").arg("dlq:wb:{0}:items").query(&mut client).unwrap();
    assert_eq!(rejected, 0);
    let count = "SELECT CAST(count(*) AS text) FROM audit";
    for (target, counted) in [("PostgreSQL", project.pg_rows(count)), ("MariaDB", maria.rows(count))] {
        let written: usize = counted[0][0].parse().unwrap();
        println!("{writes} writes became {written} row versions in {target}");
        assert!(written > writes / 10, "the pipeline worked while the writes went on");
    }
}
