//! The reading half of a pipeline: entries off the streams, gathered by one task and prepared by another ahead of the
//! writing half, so that Redis, this process and the target work at the same time.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use redis_wb_plan::plan::{Job, OnGone};
use redis_wb_record::{Opcode, Record};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::Batch;
use super::late::Late;
use super::turns::{Obstacle, Turns};
use crate::again::{self, AGAIN_MS};
use crate::batch::{Entry, Found, flush_of, is_of_streams, is_thin, prepare};
use crate::checkpoint::Applied;
use crate::error::Failure;
use crate::layout::{Layout, keeps_changes};
use crate::lookup::Lookups;
use crate::position::Position;
use crate::rows::Encode;
use crate::shard::Connection;
use crate::vitals::Signs;

/// How many batches wait for each of those who go on with them.
const BATCHES_AHEAD_MAX: usize = 1;
/// How many bytes of records make a batch; it ends with the record that passes this.
const BATCH_BYTES_AIM: usize = 16 * 1024 * 1024;
/// How many entries of one stream one command reads at most, and how many bytes of records, so that Redis soon has time
/// for others; it ends with the record that passes them.
const READ_ROWS_MAX: usize = 1_000;
const READ_BYTES_AIM: usize = 512 * 1024;
/// How often the log says that a job is stopped.
const STOPPED_SAID_AGAIN: Duration = Duration::from_secs(60);
/// How long to wait where no stream is read.
const STOPPED_PAUSE: Duration = Duration::from_secs(5);

/// What the reading half hands over: batches with something to write or to take note of.
pub(super) enum Read<B = Box<Batch>> {
    Batch(B),
    /// Nothing is left, and that was asked for.
    Idle,
    /// Reading failed.
    Failed(Failure),
}

/// Jobs that are blocked, and by what.
type Blocked = BTreeMap<usize, Obstacle>;

pub(super) struct Reader {
    layout: Arc<Layout>,
    redis: Connection,
    /// Each stream, and the last entry that was read.
    places: Vec<(String, Position)>,
    /// What was read and is in no batch yet.
    waiting: VecDeque<Entry>,
    /// What was applied when the session began.
    applied: Applied,
    /// What keys were found to hold that were read late.
    late: Late,
    /// In a cluster: whose turn it is among its streams.
    turns: Option<Turns>,
    signs: Arc<Signs>,
    /// Why a job is stopped: its stream is not read any more.
    stopped: Vec<Option<Stop>>,
    said: Instant,
    /// Up to which time of their ids, in milliseconds, the turn of records has come that were put back.
    due_ms: u64,
}

/// Makes of entries what is written.
struct Preparer {
    layout: Arc<Layout>,
    applied: Applied,
    encode: Encode,
    lookups: Lookups,
    signs: Arc<Signs>,
}

impl Reader {
    pub(super) fn new(
        layout: Arc<Layout>,
        redis: Connection,
        places: Vec<(String, Position)>,
        applied: Applied,
        turns: Option<Turns>,
        signs: Arc<Signs>,
    ) -> Self {
        let stopped = places.iter().map(|_| None).collect();
        let (waiting, late, said, due_ms) = (VecDeque::new(), Late::default(), Instant::now(), 0);
        Self { layout, redis, places, waiting, applied, late, turns, signs, stopped, said, due_ms }
    }

    /// Reads in the background until something fails or nobody listens any more.
    pub(super) fn start(mut self, until_idle: bool, encode: Encode) -> mpsc::Receiver<Read> {
        let (sender, gathered) = mpsc::channel(BATCHES_AHEAD_MAX);
        let preparer = Preparer {
            layout: Arc::clone(&self.layout),
            applied: self.applied.clone(),
            encode,
            lookups: Lookups::new(&self.layout.plan),
            signs: Arc::clone(&self.signs),
        };
        tokio::spawn(async move {
            loop {
                let gathered = tokio::select! {
                    gathered = self.gather(!until_idle) => gathered,
                    () = sender.closed() => return,
                };
                let (read, is_last) = match gathered {
                    Ok(entries) if !entries.is_empty() => (Read::Batch(entries), false),
                    Ok(_) if until_idle => (self.stopped().map_or(Read::Idle, Read::Failed), true),
                    Ok(_) => continue,
                    Err(failure) => (Read::Failed(failure), true),
                };
                if sender.send(read).await.is_err() || is_last {
                    return;
                }
            }
        });
        preparer.start(gathered)
    }

    /// The entries of a batch: as many as are there, up to the bounds. Only the first is waited for.
    async fn gather(&mut self, may_wait: bool) -> Result<Vec<Entry>, Failure> {
        let rows_max = self.layout.plan.applier.read_batch_rows_max;
        let mut entries = Vec::new();
        let mut bytes = 0;
        // Jobs whose next entry waits for one of another stream. The other jobs go on: two jobs that waited for each
        // other's streams, each behind the other at another server, would wait for ever.
        let mut blocked = Blocked::new();
        while entries.len() < rows_max && bytes < BATCH_BYTES_AIM {
            let Some(at) = self.waiting.iter().position(|entry| !blocked.contains_key(&entry.job)) else {
                let is_new = self.fetch(may_wait && entries.is_empty(), &blocked).await?;
                if !is_new && (blocked.is_empty() || !entries.is_empty()) {
                    break;
                }
                if !is_new {
                    self.wait_for_others(&mut blocked).await?;
                }
                continue;
            };
            if self.is_blocked(at, &mut blocked).await? {
                continue;
            }
            let Some(mut entry) = self.waiting.remove(at) else { break };
            let turn = self.turn(&entry);
            if !matches!(turn, Turn::Completed) {
                self.late.passes(&entry);
            }
            match turn {
                Turn::Now => {}
                Turn::Completed => self.complete_once(&mut entry, &blocked).await?,
                Turn::Elsewhere => entry.found = Found::Nothing,
                Turn::Again if entries.is_empty() || entry.position.ms <= self.due_ms => {
                    self.wait_for_turn(entry.position).await?;
                    self.complete(&mut entry).await?;
                }
                Turn::First if entries.is_empty() => {}
                Turn::First | Turn::Again => {
                    self.waiting.insert(at, entry);
                    break;
                }
                Turn::Never(stop) => {
                    self.stop(entry.job, stop);
                    continue;
                }
            }
            bytes += entry.record.len();
            entries.push(entry);
        }
        Ok(entries)
    }

    /// In a cluster: whether something that comes before an entry, the next of its job, waits in another stream.
    async fn is_blocked(&mut self, at: usize, blocked: &mut Blocked) -> Result<bool, Failure> {
        let (Some(turns), Some(next)) = (&mut self.turns, self.waiting.get(at)) else { return Ok(false) };
        let Some(job) = self.layout.job(next.job).filter(|_| next.order.is_some()) else { return Ok(false) };
        let (place, record) = (next.job, redis_wb_record::decode(&next.record));
        if record.is_ok_and(|record| self.applied.holds(place, record.epoch, next.position)) {
            return Ok(false);
        }
        // What another stream has of a key may be applied in between.
        self.late.forget();
        let obstacle = turns.look(place, &job.name, &mut self.waiting).await?;
        self.signs.job_waits(place, obstacle.as_ref().map(ToString::to_string));
        Ok(obstacle.is_some_and(|obstacle| blocked.insert(place, obstacle).is_none()))
    }

    /// Waits a moment for what blocks jobs; they are looked at again then.
    async fn wait_for_others(&mut self, blocked: &mut Blocked) -> Result<(), Failure> {
        if let (Some(turns), Some(obstacle)) = (&mut self.turns, blocked.values().next()) {
            turns.wait_for(obstacle).await?;
        }
        blocked.clear();
        Ok(())
    }

    /// Reads what comes next in the streams of jobs that are not blocked; whether there was something.
    async fn fetch(&mut self, may_wait: bool, blocked: &Blocked) -> Result<bool, Failure> {
        self.late.forget();
        let may_wait = may_wait && blocked.is_empty();
        let is_open = |job: usize, stopped: &Option<Stop>| stopped.is_none() && !blocked.contains_key(&job);
        let all = self.stopped.iter().zip(&self.places).enumerate();
        let open = all.filter(|(job, (stopped, _))| is_open(*job, stopped));
        let (jobs, places): (Vec<usize>, Vec<_>) = open.map(|(job, (_, place))| (job, place.clone())).unzip();
        self.say_what_stopped();
        if places.is_empty() {
            if may_wait {
                tokio::time::sleep(STOPPED_PAUSE).await;
            }
            return Ok(false);
        }
        let mut entries = if may_wait {
            self.redis.wait(&places).await?
        } else {
            let bytes = READ_BYTES_AIM.min(BATCH_BYTES_AIM / places.len());
            self.redis.read(&places, READ_ROWS_MAX, bytes).await?
        };
        for entry in &mut entries {
            entry.job = jobs.get(entry.job).copied().unwrap_or(entry.job);
        }
        if entries.is_empty() {
            if may_wait {
                self.look_for_new_streams().await?;
            }
            return Ok(false);
        }
        for entry in &entries {
            if let Some((_, place)) = self.places.get_mut(entry.job) {
                *place = entry.position;
            }
        }
        if let Some(turns) = &self.turns {
            turns.clear(&mut entries);
        }
        self.waiting.extend(entries);
        Ok(true)
    }

    /// Where a stream began anew below what was read, its entries would never be seen.
    async fn look_for_new_streams(&mut self) -> Result<(), Failure> {
        for (stream, place) in &self.places {
            if self.redis.began_anew(stream, *place).await? {
                return Err(Failure::Transient(format!(
                    "the stream {stream} began anew; it is read from its beginning"
                )));
            }
        }
        Ok(())
    }

    /// Gives a record that says "read the key now" what the key holds now.
    async fn complete(&mut self, entry: &mut Entry) -> Result<(), Failure> {
        match self.layout.job(entry.job) {
            Some(job) => self.redis.complete_entry(&job.source, entry).await,
            None => Ok(()),
        }
    }

    /// The same, once for all records of the key that are there by now.
    async fn complete_once(&mut self, entry: &mut Entry, blocked: &Blocked) -> Result<(), Failure> {
        if self.late.answers(entry) {
            return Ok(());
        }
        if self.waiting.is_empty() {
            self.fetch(false, blocked).await?;
        }
        self.complete(entry).await?;
        self.late.note(entry, self.layout.job(entry.job).is_some_and(keeps_changes));
        Ok(())
    }

    /// Waits until the turn of a record has come that was put back. Where the clock of Redis jumps, it is not waited for.
    async fn wait_for_turn(&mut self, place: Position) -> Result<(), Failure> {
        if place.ms <= self.due_ms {
            return Ok(());
        }
        let now_ms = self.redis.now_us().await? / 1_000;
        let left_ms = place.ms.saturating_add(AGAIN_MS).saturating_sub(now_ms).min(AGAIN_MS);
        tokio::time::sleep(Duration::from_millis(left_ms)).await;
        // Those that were put back with it have theirs now, too.
        self.due_ms = place.ms.saturating_add(AGAIN_MS / 10).max(now_ms.saturating_sub(AGAIN_MS));
        Ok(())
    }

    /// When an entry's turn is.
    fn turn(&self, entry: &Entry) -> Turn {
        let Ok(record) = redis_wb_record::decode_head(&entry.record) else { return Turn::Now };
        let Some(job) = self.layout.job(entry.job).filter(|_| record.opcode == Opcode::Flush) else {
            return match again::connection(record.command) {
                Some(_) if self.applied.holds(entry.job, record.epoch, entry.position) => Turn::Now,
                Some(own) if own == self.layout.name => Turn::Again,
                Some(_) => Turn::Elsewhere,
                None if is_thin(&record) && !self.applied.holds(entry.job, record.epoch, entry.position) => {
                    Turn::Completed
                }
                None => Turn::Now,
            };
        };
        match job.source.on_flush {
            _ if self.applied.holds(entry.job, record.epoch, entry.position) => Turn::Now,
            None => Turn::Never(Stop::new(job, &record)),
            Some(OnGone::Delete) if self.turns.is_some() => Turn::Never(Stop::of_one_shard(job, &record)),
            Some(OnGone::Delete) => Turn::First,
            Some(OnGone::Ignore) => Turn::Now,
        }
    }

    /// Leaves a job's stream alone from here on. Nothing behind this place is applied, so nothing is lost.
    fn stop(&mut self, job: usize, stop: Stop) {
        self.waiting.retain(|entry| entry.job != job);
        stop.say(&self.layout.name);
        self.signs.job_stopped(job, &stop.message, &stop.help);
        self.said = Instant::now();
        if let Some(stopped) = self.stopped.get_mut(job) {
            *stopped = Some(stop);
        }
    }

    /// Why a job is stopped, if one is.
    fn stopped(&self) -> Option<Failure> {
        let Stop { message, help } = self.stopped.iter().flatten().next()?;
        Some(Failure::configuration(message, help))
    }

    fn say_what_stopped(&mut self) {
        if self.said.elapsed() >= STOPPED_SAID_AGAIN {
            self.stopped.iter().flatten().for_each(|stop| stop.say(&self.layout.name));
            self.said = Instant::now();
        }
    }
}

impl Preparer {
    /// Prepares what is gathered, in the background, until nobody listens any more.
    fn start(mut self, mut gathered: mpsc::Receiver<Read<Vec<Entry>>>) -> mpsc::Receiver<Read> {
        let (sender, receiver) = mpsc::channel(BATCHES_AHEAD_MAX);
        tokio::spawn(async move {
            while let Some(read) = gathered.recv().await {
                let done = match read {
                    Read::Batch(entries) => self.prepare(entries, &sender).await,
                    Read::Idle => sender.send(Read::Idle).await.map_err(drop),
                    Read::Failed(failure) => sender.send(Read::Failed(failure)).await.map_err(drop),
                };
                if done.is_err() {
                    return;
                }
            }
        });
        receiver
    }

    /// Hands over entries as a batch, or as several where what they look up is too much to be held at once. Fails where
    /// nobody listens any more, or will.
    async fn prepare(&mut self, entries: Vec<Entry>, sender: &mpsc::Sender<Read>) -> Result<(), ()> {
        let mut parts = vec![entries];
        while let Some(mut entries) = parts.pop() {
            let (connection, unit) = (&self.layout.name, self.signs.unit());
            let span = tracing::debug_span!("batch", connection, %unit);
            let prepared = prepare(&self.layout, &entries, &self.applied, self.encode, &mut self.lookups)
                .instrument(tracing::debug_span!(parent: &span, "prepare", records = entries.len()));
            // It is work without a pause, and the target must not wait until this thread has time for its answer.
            match tokio::task::block_in_place(|| Handle::current().block_on(prepared)) {
                Ok(Some(prepared)) => {
                    prepared
                        .flushed
                        .iter()
                        .filter_map(|at| entries.get(*at))
                        .for_each(|entry| self.say_what_stays(entry));
                    // Where nothing advances, all of it was applied before, and waits to be let go of.
                    self.applied.committed(&prepared.advances);
                    sender.send(Read::Batch(Box::new(Batch { entries, prepared, span }))).await.map_err(drop)?;
                }
                Ok(None) => {
                    let rest = entries.split_off(entries.len() / 2);
                    parts.extend([rest, entries]);
                }
                Err(failure) => {
                    // It is the last that is said.
                    let _ = sender.send(Read::Failed(failure)).await;
                    return Err(());
                }
            }
        }
        Ok(())
    }

    /// Says that a flush leaves the rows as they are.
    fn say_what_stays(&self, entry: &Entry) {
        let Some((job, flush)) = self.layout.job(entry.job).zip(flush_of(entry)) else { return };
        let (name, command, db) = (&job.name, flush.command, flush.db);
        if is_of_streams(&job.source, &flush) {
            tracing::warn!(
                job = name,
                command,
                db,
                "the change streams were lost with this database: changes may be missing; `redis-wb snapshot {name}` \
                 brings those of keys that are there"
            );
        } else {
            tracing::warn!(
                job = name,
                command,
                db,
                "this database was emptied; the rows of the target stay as they are"
            );
        }
    }
}

/// When an entry goes into a batch.
enum Turn {
    Now,
    /// With what its key holds now.
    Completed,
    /// It was put back: not at once, and with what its key holds now.
    Again,
    /// It was put back for another connection.
    Elsewhere,
    /// It begins a batch.
    First,
    /// Its job stops before it.
    Never(Stop),
}

/// Why a job stopped.
struct Stop {
    message: String,
    help: String,
}

impl Stop {
    /// A flush of which the job does not say what becomes of its rows.
    fn new(job: &Job, flush: &Record<'_>) -> Self {
        let (name, Record { command, db, .. }) = (&job.name, flush);
        let (lost, snapshot) = if is_of_streams(&job.source, flush) {
            ("took the change streams, so that changes may be missing", format!(", then `redis-wb snapshot {name}`"))
        } else {
            ("took the keys, and `on_flush` does not say what becomes of the rows", String::new())
        };
        Self {
            message: format!("job `{name}` is stopped: `{command}` of database {db} {lost}"),
            help: format!(
                "write `on_flush: delete` (the rows go) or `on_flush: ignore` (they stay) into `source.redis` of the job, \
                 and start `redis-wb run` again{snapshot}"
            ),
        }
    }

    /// A flush in a cluster, where other shards have keys whose rows are in the same tables.
    fn of_one_shard(job: &Job, flush: &Record<'_>) -> Self {
        let (name, command) = (&job.name, flush.command);
        Self {
            message: format!(
                "job `{name}` is stopped: `{command}` emptied one shard of the cluster, and its rows are not told from \
                 those of the others"
            ),
            help: format!(
                "write `on_flush: ignore` into `source.redis` of the job and start `redis-wb run` again, delete the rows \
                 of its tables, then `redis-wb snapshot {name}`"
            ),
        }
    }

    fn say(&self, connection: &str) {
        tracing::error!(connection, help = self.help, "{}", self.message);
    }
}
