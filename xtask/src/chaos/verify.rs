//! What must hold when a round is over: the tables against Redis, the log against what capture recorded, the history of
//! each row, the dead-letter queues. It must not know what went wrong in the round.

use std::collections::{BTreeMap, BTreeSet};

use redis::streams::StreamRangeReply;
use redis_wb_record::{Image, Record, STREAM_FIELD};

use super::jobs::{COMPARED, CONNECTIONS, jobs};
use super::stage::{MIRROR, Stage, stream};
use super::targets::{NULL, Row, texts};
use super::workload::{DOCS, GAMES, ITEMS, POISON_FROM, POISON_KEY, TAGS};
use crate::Error;

/// How many differing rows of one comparison are shown.
const SHOWN_MAX: usize = 8;
/// How many entries of a stream are read at once.
const PAGE: usize = 5_000;

/// Which version came over which; a row that was deleted may only come back newer.
const WENT_BACK: &str = "
SELECT kind, CAST(id AS text), CAST(version AS text), CAST(earlier AS text) FROM
  (SELECT kind, id, version, lag(version) OVER (PARTITION BY kind, id ORDER BY seq) AS earlier FROM audit) AS a
WHERE version < earlier";

/// What a round came to.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// What does not hold, each in words.
    pub(super) wrong: Vec<String>,
    /// How many records of hashes capture made.
    pub(super) recorded: usize,
    /// How many poison records there were.
    pub(super) poison: usize,
}

impl Verdict {
    /// Notes where two sets of rows differ.
    fn compare(&mut self, what: &str, found: &[Row], expected: &[Row]) {
        let count = |rows: &[Row]| {
            let mut counted: BTreeMap<Row, i64> = BTreeMap::new();
            rows.iter().for_each(|row| *counted.entry(row.clone()).or_default() += 1);
            counted
        };
        let (found, expected) = (count(found), count(expected));
        let beyond = |these: &BTreeMap<Row, i64>, those: &BTreeMap<Row, i64>| -> Vec<Row> {
            let more = these.iter().filter(|(row, count)| those.get(*row).copied().unwrap_or(0) < **count);
            more.map(|(row, _)| row.clone()).collect()
        };
        let (missing, surplus) = (beyond(&expected, &found), beyond(&found, &expected));
        for (how, rows) in [("missing", missing), ("too many", surplus)] {
            if !rows.is_empty() {
                let shown: Vec<String> = rows.iter().take(SHOWN_MAX).map(|row| format!("{row:?}")).collect();
                self.wrong.push(format!("{what}: {how} {}: {}", rows.len(), shown.join(" ")));
            }
        }
    }
}

/// Looks at everything.
pub(super) fn verify(stage: &Stage) -> Result<Verdict, Error> {
    let mut client = stage.client()?;
    let mut verdict = Verdict::default();
    let poison: BTreeSet<String> = redis::cmd("SMEMBERS").arg(POISON_KEY).query(&mut client).map_err(failed)?;
    verdict.poison = poison.len();
    let expected = expected(&mut client).map_err(failed)?;
    let targets = stage.targets();
    for (table, columns) in COMPARED {
        let nothing = Vec::new();
        let expected = expected.get(table).unwrap_or(&nothing);
        for (target, found) in targets.select(&format!("SELECT {} FROM {table}", texts(columns)))? {
            verdict.compare(&format!("{table} in {target}"), &found, expected);
        }
    }
    for (target, rows) in targets.select(WENT_BACK)? {
        if !rows.is_empty() {
            let shown: Vec<String> = rows.iter().take(SHOWN_MAX).map(|row| format!("{row:?}")).collect();
            verdict.wrong.push(format!("{target}: {} older changes over newer ones: {}", rows.len(), shown.join(" ")));
        }
    }
    logged(stage, &mut client, &mut verdict)?;
    letters(&mut client, &poison, &mut verdict)?;
    let info: String = redis::cmd("INFO").arg("wb").query(&mut client).map_err(failed)?;
    let lost = info.lines().find_map(|line| line.strip_prefix("wb_failed:"));
    if lost.map(str::trim) != Some("0") {
        verdict.wrong.push(format!("capture says of records that it could not append: {lost:?}"));
    }
    Ok(verdict)
}

fn failed(error: redis::RedisError) -> Error {
    Error::during("read Redis")(error)
}

/// The rows that the keys of Redis call for, by table.
fn expected(client: &mut redis::Connection) -> redis::RedisResult<BTreeMap<&'static str, Vec<Row>>> {
    let mut tables: BTreeMap<&'static str, Vec<Row>> = BTreeMap::new();
    let mut add = |table, row: Vec<String>| tables.entry(table).or_default().push(row);
    let kind = |client: &mut redis::Connection, key: &str| redis::cmd("TYPE").arg(key).query::<String>(client);
    let late: Vec<String> = redis::cmd("SMEMBERS").arg(POISON_KEY).query(client)?;
    let mended = redis::cmd("KEYS").arg(format!("item:{}*", POISON_FROM / 1_000_000)).query::<Vec<String>>(client)?;
    let items: BTreeSet<String> = (0..ITEMS).map(|id| format!("item:{id}")).chain(late).chain(mended).collect();
    for key in items {
        if kind(client, &key)? == "hash" {
            let fields: Vec<Option<String>> =
                redis::cmd("HMGET").arg(&key).arg(&["v", "name", "qty", "note", "place"]).query(client)?;
            let id = key.trim_start_matches("item:").to_owned();
            let fields = fields.into_iter().map(|field| field.unwrap_or_else(|| NULL.to_owned()));
            let row: Row = std::iter::once(id).chain(fields).collect();
            if !is_poison(row.get(3), row.get(5)) {
                add("item", row);
            }
        }
    }
    for id in 0..DOCS {
        let key = format!("doc:{id}");
        if kind(client, &key)? == "ReJSON-RL" {
            let text: String = redis::cmd("JSON.GET").arg(&key).query(client)?;
            let document: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
            add("doc", vec![id.to_string(), plain(document.get("v")), plain(document.get("title"))]);
            for line in document.get("lines").and_then(serde_json::Value::as_array).into_iter().flatten() {
                add("doc_line", vec![id.to_string(), plain(line.get("no")), plain(line.get("article"))]);
            }
        }
    }
    for id in 0..TAGS {
        let key = format!("tags:{id}");
        if kind(client, &key)? == "set" {
            let members: Vec<String> = redis::cmd("SMEMBERS").arg(&key).query(client)?;
            members.into_iter().for_each(|member| add("tag", vec![id.to_string(), member]));
        }
    }
    for id in 0..GAMES {
        let key = format!("game:{id}");
        if kind(client, &key)? == "zset" {
            let members: Vec<(String, i64)> =
                redis::cmd("ZRANGE").arg(&key).arg(0).arg(-1).arg("WITHSCORES").query(client)?;
            members.into_iter().for_each(|(who, points)| add("score", vec![id.to_string(), who, points.to_string()]));
        }
    }
    Ok(tables)
}

fn plain(value: Option<&serde_json::Value>) -> String {
    match value {
        None | Some(serde_json::Value::Null) => NULL.to_owned(),
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn is_poison(quantity: Option<&String>, place: Option<&String>) -> bool {
    let is_number = quantity.is_none_or(|text| text == NULL || text.parse::<i64>().is_ok());
    !is_number || place.is_some_and(|place| place == "nowhere")
}

/// The log must have one row for every record that capture made but the poison, for each key in the same order.
fn logged(stage: &Stage, client: &mut redis::Connection, verdict: &mut Verdict) -> Result<(), Error> {
    let mut expected: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    let mut from = "-".to_owned();
    loop {
        let page: StreamRangeReply = redis::cmd("XRANGE")
            .arg(stream(MIRROR))
            .arg(&from)
            .arg("+")
            .arg("COUNT")
            .arg(PAGE)
            .query(client)
            .map_err(failed)?;
        let Some(last) = page.ids.last() else { break };
        from = format!("({}", last.id);
        for entry in &page.ids {
            verdict.recorded += 1;
            let bytes: Vec<u8> = entry.get(STREAM_FIELD).unwrap_or_default();
            let record = redis_wb_record::decode(&bytes).map_err(Error::during("read a record"))?;
            if let Some((id, row)) = log_row(&record) {
                expected.entry(id).or_default().push(row);
            }
        }
    }
    for (target, by) in [("pg", "seq"), ("maria", "seq"), ("lite", "rowid")] {
        let sql = format!("SELECT {} FROM item_log ORDER BY {by}", texts(&["id", "op", "version"]));
        let rows = stage.targets().rows(target, &sql)?;
        let mut found: BTreeMap<String, Vec<Row>> = BTreeMap::new();
        for mut row in rows {
            let id = row.drain(..1).next().unwrap_or_default();
            found.entry(id).or_default().push(row);
        }
        let ids: BTreeSet<&String> = found.keys().chain(expected.keys()).collect();
        let nothing = Vec::new();
        let differing: Vec<&String> = ids.into_iter().filter(|id| found.get(*id) != expected.get(*id)).collect();
        for id in differing.iter().take(SHOWN_MAX) {
            let (found, expected) = (found.get(*id).unwrap_or(&nothing), expected.get(*id).unwrap_or(&nothing));
            let same = found.iter().zip(expected).take_while(|(found, expected)| found == expected).count();
            verdict.wrong.push(format!(
                "item_log in {target}: item {id} has {} rows, and {} were recorded; from the {}th on: {:?}, recorded {:?}",
                found.len(),
                expected.len(),
                same + 1,
                found.iter().skip(same).take(4).collect::<Vec<_>>(),
                expected.iter().skip(same).take(4).collect::<Vec<_>>(),
            ));
        }
        if differing.len() > SHOWN_MAX {
            verdict.wrong.push(format!("item_log in {target}: {} items differ", differing.len()));
        }
    }
    Ok(())
}

/// The row that a record comes to: opcode and version; none for poison.
fn log_row(record: &Record<'_>) -> Option<(String, Row)> {
    let id = String::from_utf8_lossy(record.key).trim_start_matches("item:").to_owned();
    let Some(Image::Hash(pairs)) = record.after else {
        return Some((id, vec!["d".to_owned(), NULL.to_owned()]));
    };
    let field = |name: &str| pairs.get(name.as_bytes()).map(|value| String::from_utf8_lossy(value).into_owned());
    if is_poison(field("qty").as_ref(), field("place").as_ref()) {
        return None;
    }
    Some((id, vec![record.opcode.letter().to_owned(), field("v").unwrap_or_else(|| NULL.to_owned())]))
}

/// Every poison record is in the queue of both jobs of its key once for each connection, and no other is.
fn letters(client: &mut redis::Connection, poison: &BTreeSet<String>, verdict: &mut Verdict) -> Result<(), Error> {
    for (job, _) in jobs() {
        let queue = format!("dlq:{}", stream(job));
        let all: StreamRangeReply = redis::cmd("XRANGE").arg(&queue).arg("-").arg("+").query(client).map_err(failed)?;
        for connection in CONNECTIONS {
            let text = |entry: &redis::streams::StreamId, name: &str| entry.get::<String>(name).unwrap_or_default();
            let own = all.ids.iter().filter(|entry| text(entry, "connection") == connection);
            let found: Vec<Row> = own.map(|entry| vec![text(entry, "key")]).collect();
            let is_poisoned = job == "items" || job == "log";
            let expected: Vec<Row> = poison.iter().filter(|_| is_poisoned).map(|key| vec![key.clone()]).collect();
            verdict.compare(&format!("{queue} of {connection}"), &found, &expected);
        }
    }
    Ok(())
}
