//! What must hold when a round is over: the tables against Redis, the log against what capture recorded, the history of
//! each row, the dead-letter queues. It must not know what went wrong in the round.

use std::collections::{BTreeMap, BTreeSet};

use redis::streams::StreamRangeReply;
use redis_wb_record::{Image, Record, STREAM_FIELD};

use super::jobs::{COMPARED, CONNECTIONS, jobs};
use super::side::Shape;
use super::space::Space;
use super::stage::{MIRROR, Stage, streams};
use super::targets::{NULL, Row, texts};
use super::workload::{DOCS, GAMES, ITEMS, SLOTS, TAGS, key, poison_key};
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
pub(super) fn verify(shape: Shape, stage: &Stage) -> Result<Verdict, Error> {
    let mut space = stage.side.space()?;
    let mut verdict = Verdict::default();
    let mut poison = BTreeSet::new();
    for slot in 0..SLOTS {
        let own: Vec<String> = redis::cmd("SMEMBERS").arg(poison_key(slot)).query(space.of(slot)?).map_err(failed)?;
        poison.extend(own);
    }
    verdict.poison = poison.len();
    let expected = expected(&mut space)?;
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
    logged(shape, stage, &mut space, &mut verdict)?;
    letters(&mut space, &poison, &mut verdict)?;
    for connection in space.all() {
        let info: String = redis::cmd("INFO").arg("wb").query(connection).map_err(failed)?;
        let lost = info.lines().find_map(|line| line.strip_prefix("wb_failed:"));
        if lost.map(str::trim) != Some("0") {
            verdict.wrong.push(format!("capture says of records that it could not append: {lost:?}"));
        }
    }
    Ok(verdict)
}

fn failed(error: redis::RedisError) -> Error {
    Error::during("read Redis")(error)
}

/// The rows that the keys of Redis call for, by table.
fn expected(space: &mut Space) -> Result<BTreeMap<&'static str, Vec<Row>>, Error> {
    let mut tables = BTreeMap::from([("item", items(space)?)]);
    for id in 0..DOCS {
        if let Some(text) = held::<String>(space, "doc", id, "ReJSON-RL", &["JSON.GET"])? {
            let document: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
            let row = vec![id.to_string(), plain(document.get("v")), plain(document.get("title"))];
            tables.entry("doc").or_default().push(row);
            for line in document.get("lines").and_then(serde_json::Value::as_array).into_iter().flatten() {
                let row = vec![id.to_string(), plain(line.get("no")), plain(line.get("article"))];
                tables.entry("doc_line").or_default().push(row);
            }
        }
    }
    for id in 0..TAGS {
        for member in held::<Vec<String>>(space, "tags", id, "set", &["SMEMBERS"])?.into_iter().flatten() {
            tables.entry("tag").or_default().push(vec![id.to_string(), member]);
        }
    }
    for id in 0..GAMES {
        let command = ["ZRANGE", "0", "-1", "WITHSCORES"];
        for (who, points) in held::<Vec<(String, i64)>>(space, "game", id, "zset", &command)?.into_iter().flatten() {
            tables.entry("score").or_default().push(vec![id.to_string(), who, points.to_string()]);
        }
    }
    Ok(tables)
}

/// What a key holds by a command, whose first word the key follows, if it is of this type.
fn held<T: redis::FromRedisValue>(
    space: &mut Space,
    kind: &str,
    id: u32,
    data_type: &str,
    command: &[&str],
) -> Result<Option<T>, Error> {
    let (key, client) = (key(kind, id), space.of(id)?);
    let found: String = redis::cmd("TYPE").arg(&key).query(client).map_err(failed)?;
    if found != data_type {
        return Ok(None);
    }
    let mut words = command.iter();
    let mut asked = redis::cmd(words.next().copied().unwrap_or_default());
    asked.arg(key).arg(words.copied().collect::<Vec<_>>());
    asked.query(client).map(Some).map_err(failed)
}

/// The rows of the hashes, also of those that began as poison.
fn items(space: &mut Space) -> Result<Vec<Row>, Error> {
    // Numbers from `POISON_FROM` on have seven digits.
    let late =
        space.each("item:*:1??????", |key, _| Ok(key.rsplit(':').next().and_then(|id| id.parse::<u32>().ok())))?;
    let mut rows = Vec::new();
    for id in (0..ITEMS).chain(late.into_iter().flatten()) {
        let fields = ["HMGET", "v", "name", "qty", "note", "place"];
        if let Some(fields) = held::<Vec<Option<String>>>(space, "item", id, "hash", &fields)? {
            let fields = fields.into_iter().map(|field| field.unwrap_or_else(|| NULL.to_owned()));
            let row: Row = std::iter::once(id.to_string()).chain(fields).collect();
            if !is_poison(row.get(3), row.get(5)) {
                rows.push(row);
            }
        }
    }
    Ok(rows)
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

/// What capture recorded of each item, as the rows that the log should have; poison has none.
fn recorded(space: &mut Space, verdict: &mut Verdict) -> Result<BTreeMap<String, Vec<Row>>, Error> {
    let mut expected: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    let mut bytes: Vec<Vec<u8>> = Vec::new();
    space.each(&streams(MIRROR), |stream, client| {
        let mut from = "-".to_owned();
        loop {
            let page: StreamRangeReply =
                redis::cmd("XRANGE").arg(stream).arg(&from).arg("+").arg("COUNT").arg(PAGE).query(client)?;
            let Some(last) = page.ids.last() else { return Ok(()) };
            from = format!("({}", last.id);
            bytes.extend(page.ids.iter().map(|entry| entry.get(STREAM_FIELD).unwrap_or_default()));
        }
    })?;
    verdict.recorded = bytes.len();
    for bytes in &bytes {
        let record = redis_wb_record::decode(bytes).map_err(Error::during("read a record"))?;
        if let Some((id, row)) = log_row(&record) {
            expected.entry(id).or_default().push(row);
        }
    }
    Ok(expected)
}

/// The log must have one row for every record that capture made but the poison, for each key in the same order.
fn logged(shape: Shape, stage: &Stage, space: &mut Space, verdict: &mut Verdict) -> Result<(), Error> {
    let mut expected = recorded(space, verdict)?;
    for (target, by) in [("pg", "seq"), ("maria", "seq"), ("lite", "rowid")] {
        let sql = format!("SELECT {} FROM item_log ORDER BY {by}", texts(&["id", "op", "version"]));
        let mut found: BTreeMap<String, Vec<Row>> = BTreeMap::new();
        for mut row in stage.targets().rows(target, &sql)? {
            let id = row.drain(..1).next().unwrap_or_default();
            found.entry(id).or_default().push(row);
        }
        if shape == Shape::Cluster {
            // Records of a key whose slot moved are in several streams: which came first, only their versions tell.
            found.iter().filter(|(_, rows)| !ascend(rows)).take(SHOWN_MAX).for_each(|(id, _)| {
                verdict.wrong.push(format!("item_log in {target}: the versions of item {id} go back"));
            });
            found.values_mut().chain(expected.values_mut()).for_each(|rows| rows.sort());
        }
        let ids: BTreeSet<&String> = found.keys().chain(expected.keys()).collect();
        let differing: Vec<&String> = ids.into_iter().filter(|id| found.get(*id) != expected.get(*id)).collect();
        for id in differing.iter().take(SHOWN_MAX) {
            verdict.wrong.push(difference(target, id, &found, &expected));
        }
        if differing.len() > SHOWN_MAX {
            verdict.wrong.push(format!("item_log in {target}: {} items differ", differing.len()));
        }
    }
    Ok(())
}

/// Whether no version comes behind a newer one.
fn ascend(rows: &[Row]) -> bool {
    let versions = rows.iter().filter_map(|row| row.get(1)?.parse::<u64>().ok());
    versions.is_sorted()
}

/// Where the rows of an item begin to differ.
fn difference(
    target: &str,
    id: &str,
    found: &BTreeMap<String, Vec<Row>>,
    expected: &BTreeMap<String, Vec<Row>>,
) -> String {
    let nothing = Vec::new();
    let (found, expected) = (found.get(id).unwrap_or(&nothing), expected.get(id).unwrap_or(&nothing));
    let same = found.iter().zip(expected).take_while(|(found, expected)| found == expected).count();
    format!(
        "item_log in {target}: item {id} has {} rows, and {} were recorded; from the {}th on: {:?}, recorded {:?}",
        found.len(),
        expected.len(),
        same + 1,
        found.iter().skip(same).take(4).collect::<Vec<_>>(),
        expected.iter().skip(same).take(4).collect::<Vec<_>>(),
    )
}

/// The row that a record comes to: opcode and version; none for poison.
fn log_row(record: &Record<'_>) -> Option<(String, Row)> {
    let id = String::from_utf8_lossy(record.key).rsplit(':').next().unwrap_or_default().to_owned();
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
fn letters(space: &mut Space, poison: &BTreeSet<String>, verdict: &mut Verdict) -> Result<(), Error> {
    for (job, _) in jobs() {
        let queues = format!("dlq:{}", streams(job));
        let all: Vec<StreamRangeReply> =
            space.each(&queues, |queue, client| redis::cmd("XRANGE").arg(queue).arg("-").arg("+").query(client))?;
        for connection in CONNECTIONS {
            let text = |entry: &redis::streams::StreamId, name: &str| entry.get::<String>(name).unwrap_or_default();
            let own = all.iter().flat_map(|all| &all.ids).filter(|entry| text(entry, "connection") == connection);
            let found: Vec<Row> = own.map(|entry| vec![text(entry, "key")]).collect();
            let is_poisoned = job == "items" || job == "log";
            let expected: Vec<Row> = poison.iter().filter(|_| is_poisoned).map(|key| vec![key.clone()]).collect();
            verdict.compare(&format!("dead letters of {job} and {connection}"), &found, &expected);
        }
    }
    Ok(())
}
