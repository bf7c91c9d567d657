//! Dead-letter queues for people: listed, replayed, dropped.
//!
//! A replay never overwrites a newer row: what says how a key is now is read anew, behind all changes so far, and only
//! what keeps every change gets the old one.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use redis::Value;
use redis_wb_plan::Plan;
use redis_wb_plan::plan::{Job, RedisContent, Strategy};
use redis_wb_record::{Flags, Opcode, Record};

use crate::again;
use crate::position::Position;
use crate::shard::Connection;
use crate::topology::{Cluster, Topology};
use crate::{Error, Server};

/// What the event of a record is called that says how a key is now, in front of the connection that rejected it.
const PRESENT: &str = "wb.present ";
/// The same of the change that was rejected.
const PAST: &str = "wb.replay ";
/// How many letters one command reads at most, and the first one.
const PAGE_ROWS_MAX: usize = 500;
const PAGE_ROWS_FIRST: usize = 8;
/// How many bytes of records it should read.
const PAGE_BYTES_AIM: usize = 4 * 1024 * 1024;
/// What the name of a queue begins with.
const QUEUE_PREFIX: &str = "dlq:";

/// One rejected record.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// The queue, a stream: `dlq:wb:{0}:emp`.
    pub queue: String,
    /// Its id there; the milliseconds before the dash are when it was rejected.
    pub id: String,
    /// The job.
    pub job: String,
    /// The connection whose rows the record could not become.
    pub connection: String,
    /// The place of the record in the change stream.
    pub position: String,
    /// The key, as Redis has it.
    pub key: Vec<u8>,
    /// The kind of reason, such as `R0520`.
    pub code: String,
    /// The reason in words.
    pub reason: String,
    /// The statement that the target refused; empty where it was not the target.
    pub statement: String,
    /// The change record, encoded; see [`redis_wb_record::decode`].
    pub record: Vec<u8>,
}

/// Which letters.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// The jobs, or the names of queues; all where there is none.
    pub jobs: Vec<String>,
    /// The codes; all where there is none.
    pub codes: Vec<String>,
    /// The ids; all where there is none.
    pub ids: Vec<String>,
    /// Rejected at this time or later, in milliseconds since 1970-01-01T00:00:00Z.
    pub since_ms: Option<u64>,
    /// Rejected before this time, in milliseconds since 1970-01-01T00:00:00Z.
    pub until_ms: Option<u64>,
    /// Whether the oldest come first; else the newest do.
    pub oldest_first: bool,
    /// The most letters of one queue.
    pub max: usize,
}

/// What a replay did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Letters that are back in their stream.
    pub replayed: usize,
    /// Letters that were no longer in their queue.
    pub gone: usize,
}

/// The dead-letter queues of one Redis, or of all primaries of a cluster.
pub struct DeadLetters {
    servers: Vec<Connection>,
    cluster: Option<Arc<Cluster>>,
    /// Where each queue was found, by the place of its server.
    homes: BTreeMap<String, usize>,
}

impl DeadLetters {
    /// Connects.
    ///
    /// # Errors
    /// Where the address is none, or nobody answers there.
    pub async fn connect(redis: &Server) -> Result<Self, Error> {
        let topology = Topology::new(redis)?;
        let mut servers = Vec::new();
        for server in topology.primaries().await? {
            servers.push(server.connect().await?);
        }
        Ok(Self { servers, cluster: topology.cluster().await?.cloned(), homes: BTreeMap::new() })
    }

    /// Every queue that has letters, by name.
    ///
    /// # Errors
    /// Where Redis does not answer; the same holds for every method below.
    pub async fn queues(&mut self) -> Result<Vec<String>, Error> {
        self.homes.clear();
        for (at, server) in self.servers.iter_mut().enumerate() {
            let mut cursor = "0".to_owned();
            loop {
                let mut scan = redis::cmd("SCAN");
                scan.arg(&cursor).arg("MATCH").arg("dlq:wb:{*}:*").arg("COUNT").arg(1_000).arg("TYPE").arg("stream");
                let (next, page): (String, Vec<String>) = server.query(&scan).await?;
                self.homes.extend(page.into_iter().map(|queue| (queue, at)));
                if next == "0" {
                    break;
                }
                cursor = next;
            }
        }
        Ok(self.homes.keys().cloned().collect())
    }

    /// The server that has a queue.
    async fn home(&mut self, queue: &str) -> Result<&mut Connection, Error> {
        if !self.homes.contains_key(queue) {
            self.queues().await?;
        }
        // One that is gone has no letters anywhere.
        let at = self.homes.get(queue).copied().unwrap_or_default();
        self.servers.get_mut(at).ok_or_else(|| Error::new("no server of Redis is known", "name one by `--redis`"))
    }

    /// The letters of a selection, as pages that [`Self::next`] reads. Letters that come later are none of them.
    pub async fn pages(&mut self, selection: &Selection) -> Result<Pages, Error> {
        let mut walks = VecDeque::new();
        for queue in self.queues().await? {
            if !selection.jobs.is_empty() && !selection.jobs.iter().any(|name| *name == queue || name == job_of(&queue))
            {
                continue;
            }
            let walk = |low: String, high: String| Walk { queue: queue.clone(), low, high, left: selection.max };
            if !selection.ids.is_empty() {
                let ids = selection.ids.iter().filter(|id| selection.has_time_of(id));
                walks.extend(ids.map(|id| walk(id.clone(), id.clone())));
            } else if let Some(newest) = self.newest(&queue).await? {
                let low = selection.since_ms.map_or_else(|| "-".to_owned(), |ms| ms.to_string());
                // What is rejected again while letters are replayed comes back behind the newest.
                let until = selection.until_ms.filter(|until_ms| *until_ms <= newest.ms);
                walks.push_back(walk(low, until.map_or_else(|| newest.to_string(), |ms| format!("({ms}-0"))));
            }
        }
        Ok(Pages { selection: selection.clone(), walks, count: PAGE_ROWS_FIRST })
    }

    async fn newest(&mut self, queue: &str) -> Result<Option<Position>, Error> {
        let mut range = redis::cmd("XREVRANGE");
        range.arg(queue).arg("+").arg("-").arg("COUNT").arg(1);
        let page: redis::streams::StreamRangeReply = self.home(queue).await?.query(&range).await?;
        Ok(page.ids.first().and_then(|entry| Position::parse(entry.id.as_bytes())))
    }

    /// The next page that has letters, all of one queue; `None` behind the last.
    pub async fn next(&mut self, pages: &mut Pages) -> Result<Option<Vec<DeadLetter>>, Error> {
        while let Some(walk) = pages.walks.front_mut() {
            let oldest_first = pages.selection.oldest_first;
            let (command, first, second) =
                if oldest_first { ("XRANGE", &walk.low, &walk.high) } else { ("XREVRANGE", &walk.high, &walk.low) };
            let mut range = redis::cmd(command);
            range.arg(&walk.queue).arg(first).arg(second).arg("COUNT").arg(pages.count);
            let page: redis::streams::StreamRangeReply = self.home(&walk.queue).await?.query(&range).await?;
            let mut letters: Vec<DeadLetter> = page.ids.iter().map(|entry| letter(&walk.queue, entry)).collect();
            let is_last = letters.len() < pages.count;
            if let Some(last) = letters.last() {
                *(if oldest_first { &mut walk.low } else { &mut walk.high }) = format!("({}", last.id);
            }
            let largest = letters.iter().map(|letter| letter.record.len()).max().unwrap_or(0);
            pages.count = (PAGE_BYTES_AIM / largest.max(1)).clamp(1, PAGE_ROWS_MAX);
            letters.retain(|letter| pages.selection.wants(letter));
            letters.truncate(walk.left);
            walk.left = walk.left.saturating_sub(letters.len());
            if is_last || walk.left == 0 {
                pages.walks.pop_front();
            }
            if !letters.is_empty() {
                return Ok(Some(letters));
            }
        }
        Ok(None)
    }

    /// Drops letters for good; gives how many were still there.
    pub async fn drop(&mut self, selection: &Selection) -> Result<usize, Error> {
        let mut pages = self.pages(selection).await?;
        let mut dropped = 0;
        while let Some(letters) = self.next(&mut pages).await? {
            let queue = letters.first().map_or("", |letter| &letter.queue);
            let mut command = redis::cmd("XDEL");
            command.arg(queue);
            letters.iter().for_each(|letter| {
                command.arg(&letter.id);
            });
            let gone: usize = self.home(queue).await?.query(&command).await?;
            dropped += gone;
        }
        Ok(dropped)
    }

    /// Puts letters back into their streams, in the order of the selection, and takes them out of their queues.
    ///
    /// # Errors
    /// Also where the plan has no such job or connection any more; nothing is replayed then.
    pub async fn replay(&mut self, plan: &Plan, selection: &Selection) -> Result<Replayed, Error> {
        // A life of its own: nothing of it counts as applied before, whatever the stream's clock says.
        let epoch = rand::random_range(1..1_u64 << 63);
        let mut pages = self.pages(selection).await?;
        let mut again = pages.clone();
        while let Some(letters) = self.next(&mut pages).await? {
            letters.iter().try_for_each(|letter| call(plan, letter, epoch).map(drop))?;
        }
        let mut outcome = Replayed::default();
        while let Some(letters) = self.next(&mut again).await? {
            for letter in &letters {
                if self.replay_one(letter, &call(plan, letter, epoch)?).await? {
                    outcome.replayed += 1;
                } else {
                    outcome.gone += 1;
                }
            }
        }
        Ok(outcome)
    }
}

impl DeadLetters {
    /// Puts one letter back; false where it was no longer in its queue.
    async fn replay_one(&mut self, letter: &DeadLetter, call: &Call) -> Result<bool, Error> {
        let DeadLetter { queue, id, job, key, .. } = letter;
        let own = queue.strip_prefix(QUEUE_PREFIX).unwrap_or(queue);
        let Some(cluster) = self.cluster.clone() else {
            return Ok(self.home(queue).await?.replay(queue, own, id, call).await?);
        };
        // Not into the stream that it came from, where the key is elsewhere now: order is kept only with the other changes
        // of the key, and those are in the stream of the shard that has it.
        let places = cluster.places(job, &[key.as_slice()]).await?;
        let Some(place) = places.first() else { return Ok(false) };
        if place.stream == own {
            // What the key holds, where it is in a slot of its own, is looked at when the record's turn comes.
            let call = Call { gone: Vec::new(), order: place.order.clone(), ..call.clone() };
            return Ok(cluster.connection(&place.owner).await?.replay(queue, own, id, &call).await?);
        }
        let mut there = redis::cmd("XRANGE");
        there.arg(queue).arg(id).arg(id);
        let found: redis::streams::StreamRangeReply = self.home(queue).await?.query(&there).await?;
        if found.ids.is_empty() {
            return Ok(false);
        }
        let records = [&call.change, &call.present].into_iter().filter(|record| !record.is_empty());
        let records: Vec<_> = records.map(|record| (record.as_slice(), place.order.as_str())).collect();
        // Whoever ends between the two leaves the letter in both places: it is never lost.
        cluster.connection(&place.owner).await?.append(&place.stream, &records).await?;
        self.home(queue).await?.query::<usize>(redis::cmd("XDEL").arg(queue).arg(id)).await?;
        Ok(true)
    }
}

/// The letters of a selection that were there when it was made, a page at a time.
#[derive(Debug, Clone)]
pub struct Pages {
    selection: Selection,
    walks: VecDeque<Walk>,
    /// How many letters the next page has at most.
    count: usize,
}

/// What is still to be read of a queue: the first and the last id, and the most letters.
#[derive(Debug, Clone)]
struct Walk {
    queue: String,
    low: String,
    high: String,
    left: usize,
}

impl Selection {
    fn has_time_of(&self, id: &str) -> bool {
        Position::parse(id.as_bytes()).is_some_and(|Position { ms, .. }| {
            self.since_ms.is_none_or(|since| ms >= since) && self.until_ms.is_none_or(|until| ms < until)
        })
    }

    fn wants(&self, letter: &DeadLetter) -> bool {
        self.codes.is_empty() || self.codes.iter().any(|code| code.eq_ignore_ascii_case(&letter.code))
    }
}

/// What goes back into a stream for one letter; an empty record stands for none.
#[derive(Debug, Default, Clone)]
pub(crate) struct Call {
    pub(crate) change: Vec<u8>,
    pub(crate) db: u32,
    pub(crate) key: Vec<u8>,
    pub(crate) present: Vec<u8>,
    pub(crate) gone: Vec<u8>,
    /// Where the records stand among those of the key in other streams; empty where there are none.
    pub(crate) order: String,
}

/// `emp` of `dlq:wb:{0}:emp`.
fn job_of(queue: &str) -> &str {
    queue.split_once("}:").map_or(queue, |(_, job)| job)
}

pub(crate) fn letter(queue: &str, entry: &redis::streams::StreamId) -> DeadLetter {
    let bytes = |field: &str| match entry.map.get(field) {
        Some(Value::BulkString(bytes)) => bytes.clone(),
        _ => Vec::new(),
    };
    let text = |field: &str| String::from_utf8_lossy(&bytes(field)).into_owned();
    DeadLetter {
        queue: queue.to_owned(),
        id: entry.id.clone(),
        job: text("job"),
        connection: text("connection"),
        position: text("position"),
        key: bytes("key"),
        code: text("code"),
        reason: text("reason"),
        statement: text("statement"),
        record: bytes("record"),
    }
}

fn call(plan: &Plan, letter: &DeadLetter, epoch: u64) -> Result<Call, Error> {
    let lacking =
        |what: String| Error::new(what, "take the job back into the project, or `redis-wb dlq drop` the record");
    let DeadLetter { id, job: name, connection, .. } = letter;
    let job = plan.jobs.iter().find(|job| job.name == *name);
    let job = job.ok_or_else(|| lacking(format!("no job `{name}` is there to replay {id} with")))?;
    let (keeps_changes, keeps_state) = kinds(job, connection);
    if !keeps_changes && !keeps_state {
        return Err(lacking(format!("the job `{name}` no longer writes to the connection `{connection}` ({id})")));
    }
    let record = redis_wb_record::decode(&letter.record).map_err(|error| {
        let why = format!("{id} is no change record and never becomes rows: {error}");
        Error::new(why, "`redis-wb dlq drop` it")
    })?;
    if record.opcode == Opcode::Flush {
        return Err(Error::new(
            format!("{id} is a flush of Redis, which cannot be replayed: rows have been written since"),
            "delete from the tables what is no longer in Redis, then `redis-wb dlq drop` it",
        ));
    }
    let mut call = Call { db: record.db, key: record.key.to_vec(), ..Call::default() };
    if keeps_changes {
        let command = format!("{PAST}{connection}");
        redis_wb_record::encode(&Record { epoch, command: &command, ..record.clone() }, &mut call.change);
    }
    if keeps_state {
        // For none but this: what another connection rejected as well has a letter of its own.
        let command = format!("{PRESENT}{connection}");
        let gone = Record {
            epoch,
            opcode: Opcode::Delete,
            command: &command,
            after: None,
            // What is known of the content, so that rows are found whose keys come from it.
            before: record.before.or(record.after),
            flags: Flags::NONE,
            ..record
        };
        redis_wb_record::encode(&gone, &mut call.gone);
        let present = Record { opcode: Opcode::Update, flags: Flags::THIN, ..gone };
        redis_wb_record::encode(&present, &mut call.present);
    }
    Ok(call)
}

/// Whether a job has something at a connection that keeps every change, and something that says how a key is now.
fn kinds(job: &Job, connection: &str) -> (bool, bool) {
    let outputs = job.outputs.iter().filter(|output| output.connection == connection);
    let writes = job.redis.iter().filter(|write| write.connection == connection);
    let all: Vec<bool> = outputs
        .map(|output| output.strategy == Strategy::Append)
        .chain(writes.map(|write| matches!(write.content, RedisContent::Stream(_))))
        .collect();
    (all.contains(&true), all.contains(&false))
}

/// Whether a record says what becomes of rows whose key is gone, since it was replayed, or put back where they were to go:
/// what it says of the content before is that of the record then, and not of the key now.
pub(crate) fn is_replay(command: &str) -> bool {
    command.starts_with(PRESENT) || again::deletes(command)
}

/// Whether a record tells of what an application did, or of what a snapshot found, and was not replayed or put back.
pub(crate) fn is_of_application(command: &str) -> bool {
    ![PRESENT, PAST].iter().any(|replayed| command.starts_with(replayed)) && again::connection(command).is_none()
}

/// What such a record, which says "read the key now", says of a key that is gone.
pub(crate) fn gone(record: Record<'_>) -> Option<Vec<u8>> {
    if !is_replay(record.command) {
        return None;
    }
    let mut encoded = Vec::new();
    redis_wb_record::encode(&Record { opcode: Opcode::Delete, flags: Flags::NONE, ..record }, &mut encoded);
    Some(encoded)
}

/// Whether a record that was replayed, or put back, is for an output: one that keeps every change, or one that says how a
/// key is now.
pub(crate) fn is_for(command: &str, connection: &str, keeps_changes: bool) -> bool {
    if let Some(own) = again::connection(command).or_else(|| command.strip_prefix(PRESENT)) {
        return !keeps_changes && own == connection;
    }
    command.strip_prefix(PAST).is_none_or(|own| keeps_changes && own == connection)
}
