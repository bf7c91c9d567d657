//! The vital signs of a worker: what state each of its pipelines is in, and what it has done. Whoever runs a pipeline
//! tells them, a few times a batch and never once a record; whoever asks does not hold it up. Knows no Redis and no
//! target.

mod report;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::again::Parted;
use crate::batch::{Entry, Prepared, Rejected};
use crate::counts::{Counts, Operation};
use crate::error::Failure;
use crate::layout::Layout;
use crate::metrics::{Labels, Work};
use crate::rows::OutputRows;
use crate::topology::Tag;
pub(crate) use report::Reporter;

/// How long a target may take for a batch before its pipeline counts as slow, and how long a job may wait for changes in
/// another stream before it counts as waiting.
pub(crate) const SLOW: Duration = Duration::from_secs(2);
/// How much of a message is kept, in characters.
const MESSAGE_CHARS_MAX: usize = 500;

/// The state of a pipeline, or of one of its jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// It connects.
    Starting,
    /// It carries changes over.
    Running,
    /// It carries changes over, and the target takes its time for the batch under way.
    Slow,
    /// It waits for something that passes by itself.
    Waiting,
    /// It waits for somebody to mend something.
    Stopped,
    /// Its worker has gone, in good order or because another has taken over.
    Left,
    /// No worker has the unit.
    Unattended,
    /// The worker that has the unit tells nothing of it.
    Silent,
}

impl Phase {
    /// Every one.
    pub const ALL: [Self; 8] = [
        Self::Starting,
        Self::Running,
        Self::Slow,
        Self::Waiting,
        Self::Stopped,
        Self::Left,
        Self::Unattended,
        Self::Silent,
    ];

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Slow => "slow",
            Self::Waiting => "waiting",
            Self::Stopped => "stopped",
            Self::Left => "left",
            Self::Unattended => "no worker",
            Self::Silent => "silent",
        }
    }

    /// The phase of a word.
    pub(crate) fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.word() == word)
    }

    /// Whether changes are carried over.
    #[must_use]
    pub const fn works(self) -> bool {
        matches!(self, Self::Running | Self::Slow)
    }
}

/// What went wrong last, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The code of a rejected record, or the kind of failure in one word.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
    /// When it was, in milliseconds since 1970.
    pub at_ms: u64,
}

impl Trouble {
    /// Whether it has passed once changes are carried over again; a rejected record, and what was lost, stay.
    #[must_use]
    pub fn passes(&self) -> bool {
        !matches!(self.code.as_str(), "lost" | "dependency") && !self.code.starts_with('R')
    }

    fn new(code: &str, message: &str, help: &str) -> Self {
        Self { code: code.to_owned(), message: clipped(message), help: clipped(help), at_ms: now_ms() }
    }

    fn of(failure: &Failure) -> Self {
        let code = failure.class();
        match failure {
            Failure::Configuration { message, help } => Self::new(code, message, help),
            Failure::Transient(message) | Failure::Moving(message) => Self::new(
                code,
                message,
                "nothing is lost, and it is tried again by itself; where it lasts, mend what it names",
            ),
            Failure::Overtaken => Self::new(code, "another worker moved the checkpoint", "it is read anew by itself"),
            Failure::Fenced(_) => Self::new(code, "a later owner of this unit is known", "it carries on there"),
            Failure::Refused(refusal) => Self::new(code, &refusal.reason, &format!("`redis-wb explain {code}`")),
        }
    }
}

fn clipped(text: &str) -> String {
    match text.char_indices().nth(MESSAGE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The vital signs of a worker: of all units that it holds.
#[derive(Default)]
pub struct Vitals {
    pub(crate) work: Work,
    signs: Mutex<Vec<Arc<Signs>>>,
    units: AtomicUsize,
    has_begun: AtomicBool,
    /// Why the servers of Redis cannot be seen, or a unit not be tried for: by unit.
    unseen: Mutex<BTreeMap<Option<Tag>, String>>,
}

impl fmt::Debug for Vitals {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Vitals").finish_non_exhaustive()
    }
}

impl Vitals {
    /// Takes note of how many units there are: the servers are known.
    pub(crate) fn set_units(&self, units: usize) {
        self.units.store(units, Ordering::Relaxed);
        self.has_begun.store(true, Ordering::Relaxed);
        self.work.units.set(i64::try_from(units).unwrap_or(i64::MAX));
    }

    /// Takes note of why the servers of Redis cannot be seen, or a unit not be tried for; of nothing where they can.
    pub(crate) fn set_unseen(&self, unit: Option<&Tag>, why: Option<&Failure>) {
        let mut unseen = locked(&self.unseen);
        match why {
            // Slots that are on their way are where they go within moments.
            Some(Failure::Moving(_)) => {}
            Some(why) => drop(unseen.insert(unit.cloned(), format!("no unit is held: {}", why.message()))),
            None => drop(unseen.remove(&unit.cloned())),
        }
    }

    /// Begins to watch the pipelines of a unit.
    pub(crate) fn watch(self: &Arc<Self>, tag: &Tag, layouts: &[Arc<Layout>]) -> Watch {
        self.work.lease(tag, "taken");
        let changed = Arc::new(Notify::new());
        let signs: Vec<_> =
            layouts.iter().map(|layout| Arc::new(Signs::new(self, tag, layout, Arc::clone(&changed)))).collect();
        locked(&self.signs).extend(signs.iter().cloned());
        self.count_held();
        Watch { vitals: Arc::clone(self), tag: tag.clone(), signs, changed }
    }

    fn count_held(&self) {
        let held = self.held().len();
        self.work.units_held.set(i64::try_from(held).unwrap_or(i64::MAX));
    }

    /// The units that it holds.
    pub(crate) fn held(&self) -> std::collections::BTreeSet<Tag> {
        locked(&self.signs).iter().map(|signs| signs.tag.clone()).collect()
    }

    /// Has what is measured in time be as it is now.
    pub(crate) fn refresh(&self) {
        for signs in locked(&self.signs).iter() {
            let writing = signs.state().writing.map_or(0.0, |since| since.elapsed().as_secs_f64());
            self.work.writing.get_or_create(&signs.labels()).set(writing);
        }
    }

    /// Whether all units that it holds are worked.
    ///
    /// # Errors
    /// What is not, each in a line.
    pub fn is_ready(&self) -> Result<(), Vec<String>> {
        if !self.has_begun.load(Ordering::Relaxed) {
            return Err(vec![
                "starting: targets have not told their tables, or the servers of Redis are not known".to_owned(),
            ]);
        }
        let mut why: Vec<String> = locked(&self.signs).iter().flat_map(|signs| signs.why_not()).collect();
        // Pipelines tell by themselves what they do not reach.
        if locked(&self.signs).is_empty() {
            why.extend(locked(&self.unseen).values().cloned());
        }
        if why.is_empty() { Ok(()) } else { Err(why) }
    }
}

/// The pipelines of one unit, watched until it is dropped.
pub(crate) struct Watch {
    vitals: Arc<Vitals>,
    tag: Tag,
    /// Those of each pipeline, in the order of the layouts.
    pub(crate) signs: Vec<Arc<Signs>>,
    changed: Arc<Notify>,
}

impl Watch {
    /// Takes note of how it ended.
    pub(crate) fn ended(&self, how: &'static str) {
        self.vitals.work.lease(&self.tag, how);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        locked(&self.vitals.signs).retain(|signs| !self.signs.iter().any(|own| Arc::ptr_eq(own, signs)));
        for signs in &self.signs {
            self.vitals.work.writing.remove(&signs.labels());
        }
        self.vitals.count_held();
    }
}

/// The vital signs of one pipeline.
pub(crate) struct Signs {
    vitals: Arc<Vitals>,
    tag: Tag,
    connection: String,
    jobs: Vec<JobSigns>,
    batch_rows: Histogram,
    batch_bytes: Histogram,
    commit_seconds: Histogram,
    state: Mutex<State>,
    /// Told when a state changed.
    changed: Arc<Notify>,
}

/// Those of one of its jobs.
struct JobSigns {
    name: String,
    counts: [Counter; Operation::ALL.len()],
}

struct State {
    phase: Phase,
    since_ms: u64,
    /// Since when a batch is on its way to the target, and how long the one before took.
    writing: Option<Instant>,
    took: Duration,
    committed_ms: Option<u64>,
    /// By job.
    jobs: Vec<JobState>,
}

#[derive(Default)]
struct JobState {
    /// Whether it is stopped although the pipeline is not, and since when.
    stopped_ms: Option<u64>,
    /// Since when its next change waits for earlier ones in another stream.
    waits: Option<(Instant, u64)>,
    trouble: Option<Trouble>,
}

/// What is told of one job of a pipeline.
pub(crate) struct Told {
    pub(crate) phase: Phase,
    pub(crate) since_ms: u64,
    /// How long the target has not answered.
    pub(crate) writing_ms: u64,
    pub(crate) committed_ms: Option<u64>,
    pub(crate) trouble: Option<Trouble>,
    pub(crate) counts: Counts,
}

impl Signs {
    fn new(vitals: &Arc<Vitals>, tag: &Tag, layout: &Layout, changed: Arc<Notify>) -> Self {
        let connection = layout.name.clone();
        let labels = labels(tag, &connection);
        let counter = |job: &str, operation: Operation| {
            let mut labels = with_job(&labels, job);
            labels.push(("operation", operation.word().to_owned()));
            vitals.work.records.get_or_create_owned(&labels)
        };
        let job = |name: &str| JobSigns {
            name: name.to_owned(),
            counts: Operation::ALL.map(|operation| counter(name, operation)),
        };
        let jobs: Vec<JobSigns> = layout.jobs().map(|own| job(&own.name)).collect();
        let state = State {
            phase: Phase::Starting,
            since_ms: now_ms(),
            writing: None,
            took: Duration::ZERO,
            committed_ms: None,
            jobs: jobs.iter().map(|_| JobState::default()).collect(),
        };
        let work = &vitals.work;
        Self {
            vitals: Arc::clone(vitals),
            tag: tag.clone(),
            connection,
            jobs,
            batch_rows: work.batch_rows.get_or_create_owned(&labels),
            batch_bytes: work.batch_bytes.get_or_create_owned(&labels),
            commit_seconds: work.commit_seconds.get_or_create_owned(&labels),
            state: Mutex::new(state),
            changed,
        }
    }

    /// The unit.
    pub(crate) const fn unit(&self) -> &Tag {
        &self.tag
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }

    fn labels(&self) -> Labels {
        labels(&self.tag, &self.connection)
    }

    fn turn(&self, phase: Phase) {
        let mut state = self.state();
        if state.phase != phase {
            (state.phase, state.since_ms) = (phase, now_ms());
            self.changed.notify_one();
        }
    }

    /// It reads and writes from here on.
    pub(crate) fn runs(&self) {
        self.state().jobs.iter_mut().for_each(|job| (job.stopped_ms, job.waits) = (None, None));
        self.turn(Phase::Running);
    }

    /// A session ended by a failure; another begins after a pause.
    pub(crate) fn failed(&self, failure: &Failure) {
        let mut labels = self.labels();
        labels.push(("class", failure.class().to_owned()));
        self.vitals.work.retries.get_or_create(&labels).inc();
        let trouble = Trouble::of(failure);
        {
            let mut state = self.state();
            state.writing = None;
            state.jobs.iter_mut().for_each(|job| job.trouble = Some(trouble.clone()));
        }
        self.turn(if matches!(failure, Failure::Configuration { .. }) { Phase::Stopped } else { Phase::Waiting });
    }

    /// One of the jobs is stopped, until somebody mends it.
    pub(crate) fn job_stopped(&self, job: usize, message: &str, help: &str) {
        if let Some(job) = self.state().jobs.get_mut(job) {
            job.stopped_ms = Some(now_ms());
            job.trouble = Some(Trouble::new("flush", message, help));
        }
        self.changed.notify_one();
    }

    /// Redis or the target lost changes of one of the jobs.
    pub(crate) fn job_lost(&self, job: usize, message: &str, help: &str) {
        if let Some(job) = self.state().jobs.get_mut(job) {
            job.trouble = Some(Trouble::new("lost", message, help));
        }
    }

    /// The next change of one of the jobs waits for this, or for nothing any more.
    pub(crate) fn job_waits(&self, job: usize, what: Option<String>) {
        let mut state = self.state();
        let Some(job) = state.jobs.get_mut(job) else { return };
        let Some(what) = what else {
            job.waits = None;
            return;
        };
        let (since, _) = *job.waits.get_or_insert_with(|| (Instant::now(), now_ms()));
        if since.elapsed() >= SLOW {
            let help = "it passes by itself; where it lasts, look how that stream stands (its unit is in the braces)";
            job.trouble = Some(Trouble::new("order", &what, help));
        }
    }

    /// A batch is on its way to the target.
    pub(crate) fn writes(&self) {
        self.state().writing = Some(Instant::now());
    }

    /// The batch is committed, without the records that the target refused.
    pub(crate) fn committed(&self, layout: &Layout, entries: &[Entry], batch: &Prepared, parted: &Parted) {
        let rows = batch.outputs.iter().map(OutputRows::len).sum::<usize>() + batch.commands.len();
        self.batch_rows.observe(float(rows));
        self.batch_bytes.observe(float(entries.iter().map(|entry| entry.record.len()).sum()));
        for (job, counts) in self.jobs.iter().zip(batch.counts_without(layout, entries, parted)) {
            for (counter, operation) in job.counts.iter().zip(Operation::ALL) {
                counter.inc_by(counts.of(operation));
            }
        }
        for rejected in batch.rejected.iter().chain(&parted.refused) {
            let job = entries.get(rejected.entry).map_or(usize::MAX, |entry| entry.job);
            self.rejects(job, rejected, layout.plan.applier.dead_letter);
        }
        let mut state = self.state();
        state.committed_ms = Some(now_ms());
        if let Some(begun) = state.writing.take() {
            state.took = begun.elapsed();
            self.commit_seconds.observe(state.took.as_secs_f64());
        }
    }

    /// Rows of a job refer to what is not there yet, and are tried again.
    pub(crate) fn awaits(&self, job: usize, reason: &str, wait_ms: u64) {
        let help = format!(
            "they are tried again until what they refer to is there, for {} s at most (`foreign_key_wait`); then \
             `redis-wb dlq list` shows them",
            wait_ms / 1_000
        );
        if let Some(job) = self.state().jobs.get_mut(job) {
            job.trouble = Some(Trouble::new("dependency", reason, &help));
        }
    }

    /// A record of a job was rejected.
    fn rejects(&self, job: usize, rejected: &Rejected, is_kept: bool) {
        let Some(name) = self.jobs.get(job).map(|job| &job.name) else { return };
        let code = rejected.code.code();
        let mut labels = with_job(&self.labels(), name);
        labels.push(("code", code.to_owned()));
        self.vitals.work.rejects.get_or_create(&labels).inc();
        if let Some(job) = self.state().jobs.get_mut(job) {
            let letters = if is_kept {
                format!("`redis-wb dlq list --job {name}`")
            } else {
                "none is kept (`error_handling: ignore`)".to_owned()
            };
            let help = format!("`redis-wb explain {code}`, {letters}");
            job.trouble = Some(Trouble::new(code, &rejected.reason, &help));
        }
    }

    /// What is told of one of the jobs.
    pub(crate) fn told(&self, job: usize) -> Option<Told> {
        let signs = self.jobs.get(job)?;
        let mut counts = Counts::default();
        for (counter, operation) in signs.counts.iter().zip(Operation::ALL) {
            counts.add(operation, counter.get());
        }
        let state = self.state();
        let own = state.jobs.get(job)?;
        let writing = state.writing.map(|since| since.elapsed()).unwrap_or_default();
        // So that a target that is slow with each batch is not told to run at the start of every one.
        let before = state.writing.map(|_| state.took).unwrap_or_default();
        let (phase, since_ms) = match (state.phase, own.stopped_ms) {
            (Phase::Running, Some(since_ms)) => (Phase::Stopped, since_ms),
            (Phase::Running, None) if own.waits.is_some_and(|(since, _)| since.elapsed() >= SLOW) => {
                (Phase::Waiting, own.waits.map_or(state.since_ms, |(_, since_ms)| since_ms))
            }
            (Phase::Running, None) if writing.max(before) >= SLOW => (Phase::Slow, state.since_ms),
            (phase, _) => (phase, state.since_ms),
        };
        let writing_ms = u64::try_from(writing.as_millis()).unwrap_or(u64::MAX);
        let (committed_ms, trouble) = (state.committed_ms, own.trouble.clone());
        Some(Told { phase, since_ms, writing_ms, committed_ms, trouble, counts })
    }

    /// Why it is not ready, if it is not: a line for each job.
    fn why_not(&self) -> Vec<String> {
        let all = (0..self.jobs.len()).filter_map(|at| Some((self.jobs.get(at)?, self.told(at)?)));
        all.filter(|(_, told)| !told.phase.works())
            .map(|(job, told)| {
                let why = told.trouble.map(|trouble| format!(": {} ({})", trouble.message, trouble.help));
                let (unit, connection) = (&self.tag, &self.connection);
                let (name, phase) = (&job.name, told.phase.word());
                format!("job {name}, unit {unit}, connection {connection}: {phase}{}", why.unwrap_or_default())
            })
            .collect()
    }
}

fn labels(tag: &Tag, connection: &str) -> Labels {
    vec![("unit", tag.to_string()), ("connection", connection.to_owned())]
}

fn with_job(labels: &Labels, job: &str) -> Labels {
    std::iter::once(("job", job.to_owned())).chain(labels.iter().cloned()).collect()
}

/// A count as metrics have it. No batch has so many rows or bytes that any would be lost.
fn float(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}
