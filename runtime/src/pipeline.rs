//! One pipeline: the changes of all jobs that write to one connection, read ► evaluated ► written ► committed ►
//! trimmed, in order. Batch N+1 is read and evaluated while N is written.

mod late;
mod reader;
mod tellings;
mod turns;

use std::mem;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use redis_wb_plan::RejectCode;
use redis_wb_plan::plan::Job;
use tokio::sync::mpsc;
use tracing::Instrument as _;

use crate::again::{Parted, is_again, part};
use crate::batch::{Entry, Prepared, Rejected};
use crate::checkpoint::{Advance, Applied, Epoch};
use crate::error::Failure;
use crate::isolate::Isolation;
use crate::layout::Layout;
use crate::lease::{Fence, Tenure};
use crate::mend::{Mending, mends_itself};
use crate::pause::{MOVE_LONG_PAUSE, MOVE_PAUSE, Pauses, Told, wait};
use crate::position::Position;
use crate::rows::Encode;
use crate::shard::{Connection, Letter, Loss, Settled, Shard};
use crate::supervisor::Common;
use crate::target::{Target, Unburied};
use crate::topology::Tag;
use crate::vitals::Signs;
use crate::{Error, Shutdown};
use reader::{Read, Reader};
use tellings::Tellings;
use turns::Turns;

/// How long to wait before the position is read anew after another transaction was first.
const OVERTAKEN_MS: Duration = Duration::from_millis(200);

/// How long a target may take for a batch before the log says so.
const ANSWER_SECONDS_EXPECTED: Duration = Duration::from_secs(10);
/// How long a batch may still take once the run is to end.
const STOP_SECONDS_MAX: Duration = Duration::from_secs(10);

/// How often a target hears of a pipeline that has nothing to write.
const SIGN_OF_LIFE_AGAIN: Duration = Duration::from_secs(5);

/// A batch on its way to the target.
pub(crate) struct Batch {
    entries: Vec<Entry>,
    prepared: Prepared,
    /// What is done for it.
    span: tracing::Span,
}

/// One pipeline.
pub(crate) struct Pipeline {
    common: Arc<Common>,
    layout: Arc<Layout>,
    tag: Tag,
    shard: Shard,
    tenure: Tenure,
    mending: Arc<Mending>,
    signs: Arc<Signs>,
    /// Whether this fence stands in the target.
    has_claimed: bool,
    /// The epoch of what it puts back: one for as long as it works at one server.
    again: Epoch,
    shutdown: Shutdown,
    pauses: Pauses,
    /// What was said of slots that are on their way.
    told: Told,
    /// What was said of rejected records, and of dead letters that made room for them.
    rejections: Tellings,
    dropped: Tellings,
}

/// What the pipelines of a unit have in common while this worker has its lease.
#[derive(Clone)]
pub(crate) struct Tenant {
    pub(crate) common: Arc<Common>,
    pub(crate) tag: Tag,
    pub(crate) shard: Shard,
    pub(crate) tenure: Tenure,
    pub(crate) mending: Arc<Mending>,
}

/// How a pipeline ended.
pub(crate) enum Ended {
    /// All that was asked for is done.
    Done,
    /// The target knows the fence of a later owner.
    Fenced(Fence),
}

/// One try: everything that lives as long as the connections do.
struct Session {
    control: Connection,
    target: Target,
    streams: Arc<[String]>,
    encode: Encode,
    /// What is committed and not let go of yet, by stream.
    committed: Vec<Step>,
    /// Whether it has put something back.
    has_put_back: bool,
}

/// How far a stream is applied.
struct Step {
    stream: usize,
    epoch: Epoch,
    position: Position,
    /// How many entries of the stream lead there, and where the first of them stands.
    entries: Option<(usize, Position)>,
}

impl Step {
    /// What was applied before.
    const fn known((stream, epoch, position): (usize, Epoch, Position)) -> Self {
        Self { stream, epoch, position, entries: None }
    }
}

/// How a session ended that did not fail.
enum Over {
    /// All that was asked for is done.
    Done,
    /// The reader found nothing more, but records were put back since.
    Again,
}

impl Pipeline {
    pub(crate) fn new(tenant: &Tenant, layout: Arc<Layout>, signs: Arc<Signs>, shutdown: Shutdown) -> Self {
        let Tenant { common, tag, shard, tenure, mending } = tenant.clone();
        let pauses = Pauses::new(layout.plan.applier.retry_ms);
        Self {
            common,
            layout,
            tag,
            shard,
            tenure,
            mending,
            signs,
            has_claimed: false,
            again: rand::random_range(1..1_u64 << 63),
            shutdown,
            pauses,
            told: Told::default(),
            rejections: Tellings::default(),
            dropped: Tellings::default(),
        }
    }

    /// Runs until the shutdown comes or, if that is asked for, nothing is left to do.
    pub(crate) async fn run(mut self) -> Result<Ended, Error> {
        while !self.shutdown.is_requested() {
            match self.session().await {
                Ok(Over::Done) => break,
                Ok(Over::Again) => {}
                Err(failure @ Failure::Overtaken) => {
                    self.signs.failed(&failure);
                    tracing::warn!(connection = self.layout.name, "the checkpoint was moved by another worker");
                    wait(OVERTAKEN_MS, &mut self.shutdown).await;
                }
                Err(Failure::Fenced(known)) => return Ok(Ended::Fenced(known)),
                Err(failure @ Failure::Configuration { .. }) if self.common.until_idle => {
                    return Err(failure.of_connection(&self.layout.name).into());
                }
                Err(failure) => self.pause(failure).await,
            }
        }
        Ok(Ended::Done)
    }

    async fn pause(&mut self, failure: Failure) {
        self.common.look_again.notify_one();
        if let Failure::Moving(_) = &failure {
            self.pause_for_move(failure).await;
            return;
        }
        self.signs.failed(&failure);
        let pause = self.pauses.next();
        let connection = &self.layout.name;
        let retry_ms = pause.as_millis();
        match &failure {
            Failure::Configuration { message, help } => {
                tracing::error!(connection, retry_ms, help, "waiting: {message}");
            }
            _ => {
                let error = Error::from(failure);
                tracing::warn!(connection, retry_ms, "waiting: {error}");
            }
        }
        wait(pause, &mut self.shutdown).await;
    }

    /// Waits for slots that are on their way: not for long, since nothing has to recover.
    async fn pause_for_move(&mut self, failure: Failure) {
        let pause = if self.told.is_brief(&failure) {
            MOVE_PAUSE
        } else {
            self.signs.failed(&failure);
            self.told.say_now(failure);
            MOVE_LONG_PAUSE
        };
        wait(pause, &mut self.shutdown).await;
    }

    async fn session(&mut self) -> Result<Over, Failure> {
        let mut shutdown = self.shutdown.clone();
        let begun = tokio::select! {
            begun = self.begin() => begun?,
            () = shutdown.requested() => return Ok(Over::Done),
        };
        let (mut session, mut batches) = begun;
        loop {
            // Where the next batch is there already, it is written while this is done.
            if batches.is_empty() {
                session.let_go(&self.layout).await?;
            }
            let read = tokio::select! {
                biased;
                () = shutdown.requested() => return session.let_go(&self.layout).await.map(|()| Over::Done),
                read = batches.recv() => read,
                () = tokio::time::sleep(SIGN_OF_LIFE_AGAIN) => {
                    tokio::select! {
                        pinged = session.target.ping() => pinged?,
                        () = shutdown.requested() => {}
                    }
                    continue;
                }
            };
            match read {
                Some(Read::Batch(batch)) => {
                    self.write_patiently(&mut session, *batch).await?;
                    self.pauses.reset();
                }
                Some(Read::Idle) => {
                    session.let_go(&self.layout).await?;
                    return Ok(if session.has_put_back { Over::Again } else { Over::Done });
                }
                Some(Read::Failed(failure)) => {
                    session.let_go(&self.layout).await?;
                    return Err(failure);
                }
                None => return Err(Failure::Transient("the reader ended".to_owned())),
            }
        }
    }

    /// Connects to both sides, finds out where to go on, starts to read there.
    async fn begin(&mut self) -> Result<(Session, mpsc::Receiver<Read>), Failure> {
        let mut control = self.shard.connect().await?;
        let mut streams = Vec::new();
        for job in self.layout.jobs() {
            let stream = self.tag.stream(&job.name);
            control.make_group(&stream, &self.layout.name).await?;
            streams.push(stream);
        }
        let streams: Arc<[String]> = streams.into();
        let mut target = Target::connect(&self.layout).await?;
        // From here on nothing that an earlier owner still does is committed, and the checkpoint stands still.
        target.claim(&streams, self.tenure.fence, self.has_claimed).await?;
        self.has_claimed = true;
        let applied = Applied::new(streams.len(), target.checkpoint(&streams).await?);
        let (mut starts, mut there) = (Vec::new(), Vec::new());
        for (at, stream) in streams.iter().enumerate() {
            // Where the last applied entry is still there, so is nothing but what was applied before it; otherwise
            // all is read, and what was applied is told by its epoch and position.
            let start = match applied.last(at) {
                Some((epoch, position)) if control.has(stream, epoch, position).await? => {
                    there.push((at, epoch, position));
                    position
                }
                _ => {
                    self.look_for_loss(&mut control, stream, at, &applied).await?;
                    Position::START
                }
            };
            self.mend(&mut control, stream, at).await?;
            starts.push((stream.clone(), start));
        }
        let encode = target.encode();
        let turns = self.shard.cluster().map(|cluster| {
            let (cluster, connection) = (Arc::clone(cluster), self.layout.name.clone());
            Turns::new(cluster, self.tag.clone(), connection, &streams)
        });
        let layout = Arc::clone(&self.layout);
        let signs = Arc::clone(&self.signs);
        let reader = Reader::new(layout, self.shard.connect().await?, starts, applied, turns, signs);
        self.signs.runs();
        tracing::info!(connection = self.layout.name, streams = streams.len(), "running");
        let batches = reader.start(self.common.until_idle, encode);
        // Whoever committed that may have ended before it let go of it.
        let mut session = Session {
            control,
            target,
            streams,
            encode,
            committed: there.into_iter().map(Step::known).collect(),
            has_put_back: false,
        };
        self.bury_left(&mut session).await?;
        session.let_go(&self.layout).await?;
        Ok((session, batches))
    }

    /// Notes what Redis or the target lost, and says so once.
    async fn look_for_loss(
        &self,
        control: &mut Connection,
        stream: &str,
        at: usize,
        applied: &Applied,
    ) -> Result<(), Failure> {
        let Some(job) = self.layout.job(at) else { return Ok(()) };
        let (name, connection) = (&job.name, self.layout.name.as_str());
        let Some(loss) = control.loss(stream, connection, &job.source, (applied, at)).await? else { return Ok(()) };
        let (Loss::OfRedis(last) | Loss::OfTarget(last)) = loss;
        if !control.note_loss(stream, connection, last).await? {
            return Ok(());
        }
        let (what, stays) = match loss {
            Loss::OfRedis(_) => (
                "Redis has lost changes that the target has: a failover or a restart came before they had reached the \
                 replica or the disk",
                "came with the lost changes",
            ),
            Loss::OfTarget(_) => (
                "the target has lost changes that it had: it was restored from a backup, a replica that was behind took \
                 over, or it is another database",
                "were deleted by them",
            ),
        };
        let help = if mends_itself(job) {
            format!(
                "mended by a snapshot, as `redis-wb snapshot {name}` makes it; rows of keys that {stays} stay: compare them"
            )
        } else {
            format!(
                "`redis-wb snapshot {name}` brings rows up to date; what keeps every change gets one more of each key"
            )
        };
        let position = last.1;
        tracing::warn!(job = name, connection, %position, help, "{what}");
        self.signs.job_lost(at, what, &help);
        Ok(())
    }

    /// Has mended what is noted as lost, where that is safe.
    async fn mend(&self, control: &mut Connection, stream: &str, at: usize) -> Result<(), Failure> {
        if let Some(job) = self.layout.job(at).filter(|job| mends_itself(job))
            && !self.common.until_idle
            && control.has_open_loss(stream, &self.layout.name).await?
        {
            self.mending.begin(job);
        }
        Ok(())
    }

    /// Writes a batch. Says so where the target keeps it waiting, and gives up soon after a shutdown came: what is
    /// not committed then is read again by the next worker.
    async fn write_patiently(&mut self, session: &mut Session, batch: Batch) -> Result<(), Failure> {
        // The target would refuse it, too, once another worker has taken over.
        if !self.tenure.holds() {
            return Err(Failure::Transient("the lease has ended".to_owned()));
        }
        let mut shutdown = self.shutdown.clone();
        let connection = self.layout.name.clone();
        let span = batch.span.clone();
        let mut write = pin!(self.write(session, batch).instrument(span));
        loop {
            tokio::select! {
                written = &mut write => return written,
                () = tokio::time::sleep(ANSWER_SECONDS_EXPECTED) => {
                    let help = "nothing is lost; look for locks, load or a full disk of the target";
                    tracing::warn!(connection, help, "the target does not answer; still waiting");
                }
                () = shutdown.requested() => break,
            }
        }
        match tokio::time::timeout(STOP_SECONDS_MAX, write).await {
            Ok(written) => written,
            Err(_) => Err(Failure::Transient("the target did not answer before the stop".to_owned())),
        }
    }

    /// Writes a batch. Where the target refuses it, the records that it refuses are found and the rest is written.
    async fn write(&mut self, session: &mut Session, batch: Batch) -> Result<(), Failure> {
        let Batch { entries, prepared, .. } = batch;
        if prepared.advances.is_empty() {
            let place = |entry: &Entry| {
                let record = redis_wb_record::decode(&entry.record).ok()?;
                Some((entry.job, record.epoch, entry.position))
            };
            // In their order: the last of each stream counts.
            let there: Vec<_> = entries.iter().filter_map(place).collect();
            let last = |at: usize| there.iter().rev().find(|(stream, ..)| *stream == at).copied();
            session.committed = (0..session.streams.len()).filter_map(last).map(Step::known).collect();
            return Ok(());
        }
        self.bury(session, &entries, &prepared.rejected).await?;
        self.signs.writes();
        let prepared = Arc::new(prepared);
        let mut parted = Parted::default();
        let commit = tracing::debug_span!("commit", records = prepared.written.len());
        let Session { control, target, streams, committed, .. } = session;
        let before = mem::take(committed);
        let (written, let_go) = tokio::join!(
            target.write(streams, &entries, &prepared).instrument(commit),
            settle(&self.layout, streams, control, &before),
        );
        match written {
            Err(Failure::Refused(refusal)) => {
                parted = self.isolate(session, &entries, &prepared, refusal.at_commit).await?;
            }
            written => {
                parted.refused.extend(written?);
                if !parted.refused.is_empty() {
                    self.bury(session, &entries, &parted.refused).await?;
                    session.target.buried(&session.streams).await?;
                }
            }
        }
        self.signs.committed(&self.layout, &entries, &prepared, &parted);
        let rejected = prepared.rejected.len() + parted.refused.len();
        self.common.counted.add(prepared.fresh.saturating_sub(rejected + parted.awaited.len()), rejected);
        let last = prepared.advances.iter().filter(|advance| advance.is_last);
        session.committed = last.map(|advance| step(&entries, advance)).collect();
        let_go
    }

    /// Writes all but what the target refuses, which goes to the dead-letter queue, or is put back to be tried again.
    async fn isolate(
        &mut self,
        session: &mut Session,
        entries: &[Entry],
        batch: &Arc<Prepared>,
        mut checks_deferred: bool,
    ) -> Result<Parted, Failure> {
        loop {
            let Session { target, streams, encode, .. } = session;
            let isolation =
                Isolation { layout: &self.layout, entries, encode: *encode, streams, batch, checks_deferred };
            let refused = isolation.run(target).await?;
            let parted = self.part(session, entries, refused).await?;
            self.bury(session, entries, &parted.refused).await?;
            match session.target.commit().await {
                // A first look does not check what is deferred to the commit.
                Err(Failure::Refused(_)) if !checks_deferred => checks_deferred = true,
                committed => return committed.map(|()| parted),
            }
        }
    }

    /// Parts what a target refused, and puts back what is tried again: before the commit lets go of it. Where that does not
    /// come to pass, it is there twice, which does no harm: it says "read the key now".
    async fn part(&self, session: &mut Session, entries: &[Entry], refused: Vec<Rejected>) -> Result<Parted, Failure> {
        if refused.is_empty() {
            return Ok(Parted::default());
        }
        let now_us = session.control.now_us().await?;
        let parted = part(&self.layout, entries, refused, now_us, self.again);
        for (at, stream) in session.streams.iter().enumerate() {
            let of_job = parted.put_back.iter().filter(|one| one.job == at);
            let records: Vec<(&[u8], &[u8])> = of_job.map(|one| (one.key.as_slice(), one.record.as_slice())).collect();
            let Some(job) = self.layout.job(at).filter(|_| !records.is_empty()) else { continue };
            match self.shard.cluster() {
                Some(cluster) => cluster.append(&job.name, &records).await?,
                None => {
                    let records: Vec<_> = records.iter().map(|(_, record)| (*record, "")).collect();
                    session.control.append(stream, &records).await?;
                }
            }
            session.has_put_back = true;
        }
        self.tell_awaited(entries, &parted);
        Ok(parted)
    }

    /// Says what is tried again, the first time.
    fn tell_awaited(&self, entries: &[Entry], parted: &Parted) {
        let wait_ms = self.layout.plan.applier.foreign_key_wait_ms;
        for (at, job) in self.layout.jobs().enumerate() {
            let of_job = |one: &&Rejected| entries.get(one.entry).is_some_and(|entry| entry.job == at);
            let Some(first) = parted.awaited.iter().find(of_job) else { continue };
            self.signs.awaits(at, &first.reason, wait_ms);
            let is_new = |one: &&Rejected| entries.get(one.entry).is_some_and(|entry| !is_again(entry));
            let count = parted.awaited.iter().filter(of_job).filter(is_new).count();
            if count > 0 {
                let (job, reason) = (&job.name, &first.reason);
                tracing::info!(
                    job,
                    count,
                    wait_ms,
                    reason,
                    "what rows refer to is not there yet; they are tried again"
                );
            }
        }
    }

    /// Puts what a target refused into the dead-letter queue, where the worker before ended in between.
    async fn bury_left(&mut self, session: &mut Session) -> Result<(), Failure> {
        let left = session.target.unburied(&session.streams).await?;
        if left.is_empty() {
            return Ok(());
        }
        let (mut entries, mut rejected) = (Vec::new(), Vec::new());
        for Unburied { stream, epoch, position, reason } in left {
            let name = session.streams.get(stream).map_or("", String::as_str);
            if let Some(entry) = session.control.entry(name, stream, epoch, position).await? {
                let entry_at = entries.len();
                entries.push(entry);
                rejected.push(Rejected { entry: entry_at, code: RejectCode::TargetValue, reason, statement: None });
            } else {
                tracing::warn!(stream = name, %position, reason, "a rejected record is gone from its stream; no letter");
            }
        }
        self.bury(session, &entries, &rejected).await?;
        session.target.buried(&session.streams).await
    }

    /// Puts rejected records into the dead-letter queue, before the commit lets go of them.
    async fn bury(&mut self, session: &mut Session, entries: &[Entry], rejected: &[Rejected]) -> Result<(), Failure> {
        let applier = &self.layout.plan.applier;
        let connection = &self.layout.name;
        for (at, stream) in session.streams.iter().enumerate() {
            let job = self.layout.job(at).map_or("", |job| &job.name);
            let of_stream = |rejected: &&Rejected| entries.get(rejected.entry).is_some_and(|entry| entry.job == at);
            let letters: Vec<Letter<'_>> = rejected
                .iter()
                .filter(of_stream)
                .filter_map(|rejected| Some(letter(job, rejected, entries.get(rejected.entry)?)))
                .collect();
            let Some(first) = letters.first() else { continue };
            if let Some(count) = self.rejections.due(at, letters.len()) {
                let (code, reason, key) = (first.code, first.reason, String::from_utf8_lossy(first.key));
                let help =
                    if applier.dead_letter { "`redis-wb dlq list`" } else { "`error_handling: ignore` keeps none" };
                tracing::warn!(job, connection, count, %key, code, reason, help, "rejected");
            }
            if !applier.dead_letter {
                continue;
            }
            let rows_max = applier.dlq_rows_max;
            let dropped = session.control.bury(stream, connection, rows_max, &letters).await?;
            if let Some(count) = self.dropped.due(at, dropped) {
                let help = "replay or drop what is mended, or raise `dlq_max_messages`";
                tracing::warn!(
                    job,
                    count,
                    rows_max,
                    help,
                    "the dead-letter queue is full: its oldest letters are gone"
                );
            }
        }
        Ok(())
    }
}

impl Session {
    /// Lets go of what is committed, in Redis.
    async fn let_go(&mut self, layout: &Layout) -> Result<(), Failure> {
        let committed = mem::take(&mut self.committed);
        settle(layout, &self.streams, &mut self.control, &committed).await
    }
}

/// How far a batch takes a stream.
fn step(entries: &[Entry], advance: &Advance) -> Step {
    let Advance { stream, epoch, to: position, .. } = *advance;
    let mut led = entries.iter().filter(|entry| entry.job == stream && entry.position <= position);
    let entries = led.next().map(|first| (1 + led.count(), first.position));
    Step { stream, epoch, position, entries }
}

/// Lets go of what nobody needs any more, by stream, up to the last entry that is applied. That must be there, since
/// positions say nothing of a stream that began anew.
async fn settle(
    layout: &Layout,
    streams: &[String],
    control: &mut Connection,
    applied: &[Step],
) -> Result<(), Failure> {
    let settled = |step: &Step| {
        let Step { epoch, position, entries, .. } = *step;
        let (stream, job) = streams.get(step.stream).zip(layout.job(step.stream))?;
        Some(Settled { stream, epoch, position, entries, connections: connections(job) })
    };
    let steps: Vec<Settled<'_>> = applied.iter().filter_map(settled).collect();
    if steps.is_empty() {
        return Ok(());
    }
    control.settle(&layout.name, &steps).instrument(tracing::debug_span!("settle")).await
}

/// All connections that a job writes to.
fn connections(job: &Job) -> Vec<&str> {
    let tables = job.outputs.iter().map(|output| output.connection.as_str());
    let mut connections: Vec<&str> = tables.chain(job.redis.iter().map(|write| write.connection.as_str())).collect();
    connections.sort_unstable();
    connections.dedup();
    connections
}

/// A rejected record as the dead-letter queue keeps it.
fn letter<'l>(job: &'l str, rejected: &'l Rejected, entry: &'l Entry) -> Letter<'l> {
    let (epoch, key) = redis_wb_record::decode(&entry.record).map_or((0, &[][..]), |record| (record.epoch, record.key));
    Letter {
        epoch,
        position: entry.position,
        job,
        key,
        code: rejected.code.code(),
        reason: &rejected.reason,
        statement: rejected.statement.as_deref().unwrap_or_default(),
        record: &entry.record,
    }
}
