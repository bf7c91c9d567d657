//! Follows single changes through the pipeline: reads the streams beside the worker, without taking anything, and has
//! them evaluated as the worker does, up to the statements. Writes nothing, and talks to no target.

mod shown;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use redis::streams::StreamReadReply;
use redis_wb_plan::Plan;
use redis_wb_plan::plan::{Job, OnGone};
use redis_wb_record::Opcode;
use redis_wb_record::glob::Glob;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::batch::{Entry, Found, Prepared, StepsTold, is_thin, prepare, steps_told};
use crate::checkpoint::Applied;
use crate::dead_letters::{DeadLetter, letter};
use crate::error::Failure;
use crate::layout::Layout;
use crate::lookup::Lookups;
use crate::position::Position;
use crate::shard::{Connection, Shard};
use crate::target::{self, Bound};
use crate::topology::{Tag, Topology};
use crate::{Error, Server, Shutdown};
use shown::{rows, shown, text};

/// How long a read waits for changes, in milliseconds.
const BLOCK_MS: u64 = 1_000;
/// How often dead-letter queues are looked at.
const LETTERS_AGAIN: Duration = Duration::from_millis(250);
/// How many entries are read ahead of those that are shown.
const READ_AHEAD_ROWS_MAX: usize = 64;
/// What Redis calls the connection that reads.
const CLIENT_NAME: &str = "redis-wb-trace";
/// How many entries one command reads of each stream.
const READ_ROWS_MAX: usize = 64;
/// How many changes wait to be shown.
const WAITING_MAX: usize = 16;

/// Which changes are followed.
#[derive(Debug, Clone)]
pub struct TraceOptions {
    /// The Redis whose changes are followed.
    pub redis: Server,
    /// The most changes of each unit.
    pub records_max: usize,
    /// How long to wait for them.
    pub timeout: Duration,
    /// Whether only those are told that are rejected.
    pub only_rejected: bool,
    /// Only keys that match this, in the syntax of `KEYS`.
    pub key: Option<Vec<u8>>,
}

/// A change that was followed.
#[derive(Debug, Clone)]
pub struct Traced {
    /// The job.
    pub job: String,
    /// The stream.
    pub stream: String,
    /// Its place there.
    pub position: String,
    /// The change record, encoded; see [`redis_wb_record::decode`]. With what the key held when it was read, where it
    /// carried no image.
    pub record: Vec<u8>,
    /// Whether it carried no image.
    pub was_thin: bool,
    /// Each filter that was asked: its text, and whether the record passes.
    pub filters: Vec<(String, bool)>,
    /// Each lookup: its field, and what it gave.
    pub lookups: Vec<(String, String)>,
    /// What becomes of it at each connection.
    pub connections: Vec<TracedConnection>,
}

/// What becomes of a change at a connection.
#[derive(Debug, Clone)]
pub struct TracedConnection {
    /// Its name.
    pub name: String,
    /// What becomes of it.
    pub outcome: Outcome,
    /// The rows.
    pub rows: Vec<TracedRow>,
    /// The statements, each with its parameters; of a Redis the commands.
    pub statements: Vec<TracedStatement>,
}

/// What becomes of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is written, unless the target refuses it.
    Written,
    /// Nothing follows from it, and why.
    Filtered(String),
    /// It is rejected.
    Rejected {
        /// The code.
        code: String,
        /// The reason in words.
        reason: String,
        /// Whether it was the target that refused it.
        by_target: bool,
    },
    /// The job stops in front of it.
    Stops,
}

/// A row of an output.
#[derive(Debug, Clone)]
pub struct TracedRow {
    /// The table.
    pub table: String,
    /// What happens to it: `write`, `delete`, …
    pub what: &'static str,
    /// Its columns, those that are known, and their values.
    pub columns: Vec<(String, String)>,
}

/// A statement.
#[derive(Debug, Clone)]
pub struct TracedStatement {
    /// Its text, or the command.
    pub text: String,
    /// Its parameters.
    pub parameters: Vec<String>,
}

/// Follows changes until all are told, the time is over, or the shutdown comes. Gives how many were told.
///
/// # Errors
/// Where Redis, or a Redis that is looked things up in, does not answer.
pub async fn trace(
    plan: &Arc<Plan>,
    options: &TraceOptions,
    mut shutdown: Shutdown,
    mut tell: impl FnMut(&Traced),
) -> Result<usize, Error> {
    let ends = Instant::now() + options.timeout;
    let shards = Topology::new(&options.redis)?.look().await?;
    let (sender, mut traced) = mpsc::channel(WAITING_MAX);
    let mut units = JoinSet::new();
    for (tag, shard) in shards.units {
        let follower = Follower::new(plan, options, shard, &tag);
        units.spawn(follower.follow(sender.clone()));
    }
    drop(sender);
    let mut told = 0;
    loop {
        tokio::select! {
            biased;
            () = shutdown.requested() => break,
            next = traced.recv() => match next {
                Some(next) => {
                    tell(&next);
                    told += 1;
                }
                None => break,
            },
            () = sleep_until(ends) => break,
        }
    }
    while let Some(ended) = units.try_join_next() {
        if let Ok(Err(failure)) = ended {
            return Err(failure.into());
        }
    }
    Ok(told)
}

/// Follows the changes of one unit.
struct Follower {
    plan: Arc<Plan>,
    layouts: Vec<Layout>,
    lookups: Lookups,
    shard: Shard,
    /// The stream of each job of the plan.
    streams: Vec<String>,
    left: usize,
    only_rejected: bool,
    key: Option<Glob>,
    /// What was told to be rejected already: stream, position, connection.
    rejected: BTreeSet<(String, String, String)>,
}

impl Follower {
    fn new(plan: &Arc<Plan>, options: &TraceOptions, shard: Shard, tag: &Tag) -> Self {
        Self {
            plan: Arc::clone(plan),
            layouts: Layout::all(plan),
            lookups: Lookups::new(plan),
            shard,
            streams: plan.jobs.iter().map(|job| tag.stream(&job.name)).collect(),
            left: options.records_max,
            only_rejected: options.only_rejected,
            key: options.key.as_deref().map(Glob::new),
            rejected: BTreeSet::new(),
        }
    }

    /// Tells of changes as they come, until there were enough or nobody listens.
    async fn follow(mut self, tell: mpsc::Sender<Traced>) -> Result<(), Failure> {
        let mut redis = self.shard.connect().await?;
        let mut letters = Vec::new();
        for stream in &self.streams {
            let queue = format!("dlq:{stream}");
            let last = redis.last_id(&queue).await?;
            letters.push((queue, last));
        }
        // Read apart from all else: what is committed while nobody reads is gone.
        let (sender, mut entries) = mpsc::channel(READ_AHEAD_ROWS_MAX);
        let mut reading = JoinSet::new();
        reading.spawn(read(self.shard.clone(), self.streams.clone(), self.key.clone(), sender));
        let mut looks = interval(LETTERS_AGAIN);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                entry = entries.recv() => {
                    let Some(entry) = entry else { break };
                    if let Some(traced) = self.of_entry(&mut redis, entry).await?
                        && !self.tell(&tell, traced).await
                    {
                        return Ok(());
                    }
                }
                _ = looks.tick() => {
                    for letter in read_letters(&mut redis, &mut letters).await? {
                        if let Some(traced) = self.of_letter(&letter).await?
                            && !self.tell(&tell, traced).await
                        {
                            return Ok(());
                        }
                    }
                }
            }
        }
        match reading.join_next().await {
            Some(Ok(Err(failure))) => Err(failure),
            _ => Ok(()),
        }
    }

    /// Tells of a change; whether any more is wanted.
    async fn tell(&mut self, tell: &mpsc::Sender<Traced>, traced: Traced) -> bool {
        let rejected = traced.connections.iter().filter(|one| matches!(one.outcome, Outcome::Rejected { .. }));
        let rejected: Vec<&String> = rejected.map(|one| &one.name).collect();
        if self.only_rejected && rejected.is_empty() {
            return true;
        }
        let place = |name: &&String| (traced.stream.clone(), traced.position.clone(), (*name).clone());
        self.rejected.extend(rejected.iter().map(place));
        self.left = self.left.saturating_sub(1);
        tell.send(traced).await.is_ok() && self.left > 0
    }

    async fn of_entry(&mut self, redis: &mut Connection, mut entry: Entry) -> Result<Option<Traced>, Failure> {
        let plan = Arc::clone(&self.plan);
        let Some((job, stream)) = plan.jobs.get(entry.job).zip(self.streams.get(entry.job).cloned()) else {
            return Ok(None);
        };
        let was_thin = redis_wb_record::decode(&entry.record).is_ok_and(|record| is_thin(&record));
        if was_thin {
            redis.complete_entry(&job.source, &mut entry).await?;
        }
        self.evaluate(job, stream, entry, was_thin).await.map(Some)
    }

    /// A record that the target refused, or that was rejected before it was followed.
    async fn of_letter(&mut self, letter: &DeadLetter) -> Result<Option<Traced>, Failure> {
        let plan = Arc::clone(&self.plan);
        let stream = letter.queue.strip_prefix("dlq:").unwrap_or(&letter.queue).to_owned();
        let place = (stream.clone(), letter.position.clone(), letter.connection.clone());
        let job = plan.jobs.iter().find(|job| job.name == letter.job);
        let Some(job) = job.filter(|_| !self.rejected.contains(&place) && wants(self.key.as_ref(), &letter.record))
        else {
            return Ok(None);
        };
        let position = Position::parse(letter.position.as_bytes()).unwrap_or(Position::START);
        let entry =
            Entry { job: 0, position, record: letter.record.clone().into(), found: Found::AsWritten, order: None };
        let mut traced = self.evaluate(job, stream, entry, false).await?;
        traced.connections.retain(|connection| connection.name == letter.connection);
        for connection in &mut traced.connections {
            connection.outcome = Outcome::Rejected {
                code: letter.code.clone(),
                reason: letter.reason.clone(),
                by_target: !letter.statement.is_empty(),
            };
        }
        Ok(Some(traced))
    }

    /// What becomes of a change, at each connection of its job.
    async fn evaluate(
        &mut self,
        job: &Job,
        stream: String,
        mut entry: Entry,
        was_thin: bool,
    ) -> Result<Traced, Failure> {
        let mut traced = Traced {
            job: job.name.clone(),
            stream,
            position: entry.position.to_string(),
            record: Vec::new(),
            was_thin,
            filters: Vec::new(),
            lookups: Vec::new(),
            connections: Vec::new(),
        };
        for layout in &self.layouts {
            let Some(at) = layout.jobs().position(|own| own.name == job.name) else { continue };
            entry.job = at;
            let entries = [entry];
            let applied = Applied::new(layout.jobs().count(), []);
            let batch = prepare(layout, &entries, &applied, shown, &mut self.lookups).await?;
            // One entry is never too much.
            let batch = batch.ok_or_else(|| Failure::Transient("lookups gave too much".to_owned()))?;
            let [returned] = entries;
            entry = returned;
            let told = steps_told(layout, 0, &entry, &batch);
            let outcome = match batch.rejected.first() {
                Some(rejected) => Outcome::Rejected {
                    code: rejected.code.code().to_owned(),
                    reason: rejected.reason.clone(),
                    by_target: false,
                },
                None if stops(job, &entry, self.shard.cluster().is_some()) => Outcome::Stops,
                None if batch.written.is_empty() => Outcome::Filtered(why_nothing(&entry, &told)),
                None => Outcome::Written,
            };
            let is_written = outcome == Outcome::Written;
            let statements = if is_written { statements(layout, &batch) } else { Vec::new() };
            let rows = if is_written { rows(layout, &batch.outputs) } else { Vec::new() };
            traced.connections.push(TracedConnection { name: layout.name.clone(), outcome, rows, statements });
            traced.lookups = job
                .lookups()
                .map(|lookup| lookup.field.clone())
                .zip(told.replies.iter().map(|reply| text(reply)))
                .collect();
            traced.filters = told.filters;
        }
        traced.record = entry.record.into();
        Ok(traced)
    }
}

/// What is written, in order.
fn statements(layout: &Layout, batch: &Prepared) -> Vec<TracedStatement> {
    let text_of = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let parameter = |bound: Bound| match bound {
        Bound::Value(cell) => text_of(&cell),
        Bound::Column(cells) => {
            format!("[{}]", cells.iter().map(|cell| text_of(cell)).collect::<Vec<_>>().join(", "))
        }
    };
    let statements = target::statements(layout, &batch.outputs).into_iter();
    let mut all: Vec<TracedStatement> = statements
        .map(|(text, bound)| TracedStatement { text, parameters: bound.into_iter().map(parameter).collect() })
        .collect();
    all.extend(batch.commands.iter().map(|(_, command)| TracedStatement {
        text: command.first().map(|name| text_of(name)).unwrap_or_default(),
        parameters: command.iter().skip(1).map(|word| text_of(word)).collect(),
    }));
    all
}

/// Whether the job stops in front of an entry.
fn stops(job: &Job, entry: &Entry, is_clustered: bool) -> bool {
    let is_flush = redis_wb_record::decode(&entry.record).is_ok_and(|record| record.opcode == Opcode::Flush);
    match job.source.on_flush {
        None => is_flush,
        // A flush of one shard says nothing of the keys of others.
        Some(OnGone::Delete) => is_flush && is_clustered,
        Some(OnGone::Ignore) => false,
    }
}

/// Why nothing follows from a change.
fn why_nothing(entry: &Entry, told: &StepsTold) -> String {
    if entry.found == Found::Nothing {
        return "the record says \"read the key now\", and the key was gone or of another type".to_owned();
    }
    if let Some((origin, _)) = told.filters.iter().find(|(_, passes)| !passes) {
        return format!("the filter `{origin}` does not let it pass");
    }
    if !told.is_change {
        return "the job does nothing on this: see `on_delete`, `on_expire`, `on_evict`, `on_flush`".to_owned();
    }
    "no output wants it: the conditions (`when`) do not hold, or the list is empty".to_owned()
}

/// Whether the key of a record is wanted.
fn wants(key: Option<&Glob>, record: &[u8]) -> bool {
    key.is_none_or(|glob| redis_wb_record::decode(record).is_ok_and(|record| glob.matches(record.key)))
}

/// Reads the entries of streams as they come, those whose keys are wanted, until nobody listens.
async fn read(
    shard: Shard,
    streams: Vec<String>,
    key: Option<Glob>,
    entries: mpsc::Sender<Entry>,
) -> Result<(), Failure> {
    let mut redis = shard.connect().await?;
    // So that `CLIENT LIST` shows who reads; a user who may not say so reads all the same.
    let _ = redis.query::<()>(redis::cmd("CLIENT").arg("SETNAME").arg(CLIENT_NAME)).await;
    let mut places = Vec::new();
    for stream in streams {
        let last = redis.last_id(&stream).await?;
        places.push((stream, last));
    }
    loop {
        for entry in redis.read_within(&places, READ_ROWS_MAX, Some(BLOCK_MS)).await? {
            if let Some((_, place)) = places.get_mut(entry.job) {
                *place = entry.position;
            }
            if wants(key.as_ref(), &entry.record) && entries.send(entry).await.is_err() {
                return Ok(());
            }
        }
    }
}

/// What came into the dead-letter queues.
async fn read_letters(redis: &mut Connection, places: &mut [(String, Position)]) -> Result<Vec<DeadLetter>, Failure> {
    let mut command = redis::cmd("XREAD");
    command.arg("COUNT").arg(READ_ROWS_MAX).arg("STREAMS");
    for (queue, _) in places.iter() {
        command.arg(queue);
    }
    for (_, place) in places.iter() {
        command.arg(place.to_string());
    }
    let reply: Option<StreamReadReply> = redis.query(&command).await?;
    let mut letters = Vec::new();
    for queue in reply.map(|reply| reply.keys).unwrap_or_default() {
        letters.extend(queue.ids.iter().map(|entry| letter(&queue.key, entry)));
        let last = queue.ids.last().and_then(|entry| Position::parse(entry.id.as_bytes()));
        if let (Some(last), Some((_, place))) = (last, places.iter_mut().find(|(own, _)| *own == queue.key)) {
            *place = last;
        }
    }
    Ok(letters)
}
