//! Keeps the vital signs of a unit's pipelines beside its streams, so that any process can read them: about once a
//! second where something changed, and now and then where nothing did. Knows no target.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::{Phase, Signs, Told, Watch};
use crate::counts::{Counts, Operation};
use crate::error::Failure;
use crate::lease::Fence;
use crate::shard::{Connection, Shard, beside};

/// Keeps what is told.
const REPORT_SCRIPT: &str = include_str!("report.lua");
/// How often something is told at most, and how soon what changed is.
const REPORT_AGAIN: Duration = Duration::from_secs(1);
const REPORT_SOON: Duration = Duration::from_millis(100);
/// How often it is told that nothing changed.
const REPORT_AT_LEAST: Duration = Duration::from_secs(3);
/// How long one report may take.
const REPORT_SECONDS_MAX: Duration = Duration::from_secs(3);
/// How long a report is kept when nobody renews it.
const REPORT_KEPT: Duration = Duration::from_secs(7 * 24 * 3_600);
/// How many hashes one script writes.
const HASHES_MAX: usize = 50;
/// Over how many reports a rate is taken.
const RATE_REPORTS: usize = 5;

/// The reports of one unit; they end when it is dropped.
pub(crate) struct Reporter {
    leave: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Reporter {
    pub(crate) fn begin(watch: &Watch, shard: Shard, worker: &str, fence: Fence) -> Self {
        let (leave, left) = oneshot::channel();
        let jobs = watch.signs.iter().flat_map(|signs| (0..signs.jobs.len()).map(move |job| (signs, job)));
        let reports = jobs.filter_map(|(signs, job)| Report::new(signs, job)).collect();
        let changed = Arc::clone(&watch.changed);
        let reports = Reports { shard, worker: worker.to_owned(), fence, redis: None, reports };
        Self { leave: Some(leave), task: tokio::spawn(reports.run(changed, left)) }
    }

    /// Tells that this worker goes.
    pub(crate) async fn end(mut self) {
        if let Some(leave) = self.leave.take() {
            let _ = leave.send(());
        }
        let _ = timeout(REPORT_SECONDS_MAX, &mut self.task).await;
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Reports {
    shard: Shard,
    worker: String,
    fence: Fence,
    redis: Option<Connection>,
    reports: Vec<Report>,
}

/// The connection, fields to set and fields to add to, each with its value.
type Words = (String, Vec<String>, Vec<String>);

/// What is told of one job of a pipeline.
struct Report {
    key: String,
    /// The set of the connections that have one.
    all: String,
    signs: Arc<Signs>,
    job: usize,
    /// What was told of it last, and when.
    last: Option<(Vec<String>, Instant)>,
    /// The counts that were told.
    counted: Counts,
    /// How many records there were at the last reports.
    history: VecDeque<(Instant, u64)>,
}

impl Reports {
    async fn run(mut self, changed: Arc<Notify>, mut left: oneshot::Receiver<()>) {
        loop {
            if let Err(failure) = self.tell(None).await {
                tracing::debug!("the state of unit is not kept: {}", crate::Error::from(failure));
            }
            let told = Instant::now();
            let pause = async {
                tokio::select! {
                    () = changed.notified() => sleep(REPORT_SOON).await,
                    () = sleep(REPORT_AGAIN) => {}
                }
                // What a pipeline does again and again many times a second is no more than a state.
                if told.elapsed() < REPORT_SOON * 2 {
                    sleep(REPORT_SOON).await;
                }
            };
            // Whoever takes over does not wait for that.
            tokio::select! {
                () = pause => {}
                _ = &mut left => break,
            }
        }
        let _ = self.tell(Some(Phase::Left)).await;
    }

    /// Tells what is new.
    async fn tell(&mut self, phase: Option<Phase>) -> Result<(), Failure> {
        let (mut keys, mut words, mut due) = (Vec::new(), Vec::new(), Vec::new());
        for (at, report) in self.reports.iter_mut().enumerate() {
            let Some(told) = report.signs.told(report.job) else { continue };
            let set = report.set(&told, phase, &self.worker);
            let add = report.add(&told.counts);
            let is_old = report.last.as_ref().is_none_or(|(last, at)| *last != set || at.elapsed() > REPORT_AT_LEAST);
            if is_old || !add.is_empty() {
                keys.push([report.key.clone(), report.all.clone()]);
                words.push((report.signs.connection.clone(), set.clone(), add));
                due.push((at, set, told.counts));
            }
        }
        for (keys, words) in keys.chunks(HASHES_MAX).zip(words.chunks(HASHES_MAX)) {
            let sent = timeout(REPORT_SECONDS_MAX, self.send(keys, words)).await;
            let sent = sent.unwrap_or_else(|_| Err(Failure::Transient(format!("{} does not answer", self.shard))));
            if sent.is_err() {
                self.redis = None;
            }
            sent?;
        }
        for (at, set, counts) in due {
            if let Some(report) = self.reports.get_mut(at) {
                report.last = Some((set, Instant::now()));
                report.counted = counts;
            }
        }
        Ok(())
    }

    async fn send(&mut self, keys: &[[String; 2]], words: &[Words]) -> Result<(), Failure> {
        let redis = match &mut self.redis {
            Some(redis) => redis,
            none => none.insert(self.shard.connect().await?),
        };
        let script = redis::Script::new(REPORT_SCRIPT);
        let mut call = script.prepare_invoke();
        for key in keys.iter().flatten() {
            call.key(key);
        }
        call.arg(self.fence).arg(u64::try_from(REPORT_KEPT.as_millis()).unwrap_or(u64::MAX));
        for (connection, set, add) in words {
            call.arg(connection).arg(set.len()).arg(set).arg(add.len()).arg(add);
        }
        redis.invoke::<u8>(&call).await.map(drop)
    }
}

impl Report {
    fn new(signs: &Arc<Signs>, job: usize) -> Option<Self> {
        let stream = signs.tag.stream(&signs.jobs.get(job)?.name);
        let (key, all) = (beside(&stream, "state", &signs.connection), beside(&stream, "state", ""));
        let counted = signs.told(job)?.counts;
        Some(Self { key, all, signs: Arc::clone(signs), job, last: None, counted, history: VecDeque::new() })
    }

    /// The fields that are set, each with its value.
    fn set(&mut self, told: &Told, phase: Option<Phase>, worker: &str) -> Vec<String> {
        let mut set = Vec::new();
        let mut field = |name: &str, value: String| set.extend([name.to_owned(), value]);
        field("worker", worker.to_owned());
        field("state", phase.unwrap_or(told.phase).word().to_owned());
        field("since", told.since_ms.to_string());
        // Whole seconds, so that a target that is waited for is told of once a second.
        field("writing_s", (told.writing_ms / 1_000).to_string());
        field("rate", format!("{:.1}", if phase.is_some() { 0.0 } else { self.rate(told.counts.all()) }));
        if let Some(committed_ms) = told.committed_ms {
            field("committed", committed_ms.to_string());
        }
        if let Some(trouble) = &told.trouble {
            field("code", trouble.code.clone());
            field("message", trouble.message.clone());
            field("help", trouble.help.clone());
            field("trouble", trouble.at_ms.to_string());
        }
        set
    }

    /// The fields that are added to, each with what is added.
    fn add(&self, counts: &Counts) -> Vec<String> {
        let new = |operation: &Operation| counts.of(*operation).saturating_sub(self.counted.of(*operation));
        let words = |operation: &Operation| [operation.word().to_owned(), new(operation).to_string()];
        Operation::ALL.iter().filter(|operation| new(operation) > 0).flat_map(words).collect()
    }

    /// Records a second, of late.
    fn rate(&mut self, all: u64) -> f64 {
        let now = Instant::now();
        if self.history.back().is_none_or(|(at, _)| at.elapsed() >= REPORT_AGAIN / 2) {
            self.history.push_back((now, all));
        }
        while self.history.len() > RATE_REPORTS + 1 {
            self.history.pop_front();
        }
        let Some((begun, before)) = self.history.front() else { return 0.0 };
        let seconds = now.duration_since(*begun).as_secs_f64();
        let new = u32::try_from(all.saturating_sub(*before)).unwrap_or(u32::MAX);
        if seconds > 0.0 { f64::from(new) / seconds } else { 0.0 }
    }
}
