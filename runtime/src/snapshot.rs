//! A snapshot: has the keys that are there already appended to the streams of their jobs, so that `run` carries them
//! over among the live changes. It must not know how its progress is shown.
//!
//! The capture module walks the keys in slices; here they are asked for one by one, with room for the application
//! between them, as long as the stream is short enough. Where a walk stands is kept in Redis beside the stream: another
//! process goes on from there.

mod places;

use std::time::{Duration, Instant};

use redis_wb_plan::Plan;
use redis_wb_plan::plan::Job;

use crate::error::Failure;
use crate::pause::{Pauses, wait};
use crate::shard::{Backlog, Connection, Rule, Walk};
use crate::topology::Topology;
use crate::{Error, Server, Shutdown};
use places::Walks;

/// A stream with more entries is waited for until half of them are gone.
const BACKLOG_ROWS_MAX: u64 = 10_000;
/// A stream that takes more memory is waited for until half of it is free.
const BACKLOG_BYTES_MAX: u64 = 128 * 1024 * 1024;
/// How long to wait between two looks at a stream.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What a snapshot is told besides its plan.
#[derive(Debug, Clone)]
pub struct SnapshotOptions {
    /// The Redis whose keys are walked.
    pub redis: Server,
    /// The jobs, by name.
    pub jobs: Vec<String>,
    /// Whether to begin anew where an earlier snapshot stopped in the middle.
    pub restart: bool,
}

/// What the snapshot of one job tells of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// It begins or, where something is behind it already, goes on.
    Begins(Walked),
    /// What was behind it does not count any more: keys or changes would be missed.
    BeginsAnew,
    /// A slice was appended.
    Walks(Walked),
    /// It waits until `run` has made room, and for what.
    Waits(String),
    /// It waits for something to pass, such as a Redis that does not answer, and what that is.
    Retries(String),
    /// All keys are walked.
    Ends(Walked),
}

/// How far the snapshot of a job is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Walked {
    /// How much of the database is behind it, in thousandths.
    pub thousandths: u64,
    /// How many records were appended.
    pub records: u64,
}

/// Walks the keys of jobs, one job after the other. False where the shutdown came before the end.
///
/// # Errors
/// What no waiting mends: an address that is none, a Redis without the module, a job that is captured otherwise.
pub async fn snapshot(
    plan: &Plan,
    options: &SnapshotOptions,
    mut shutdown: Shutdown,
    mut tell: impl FnMut(&str, Progress),
) -> Result<bool, Error> {
    let topology = Topology::new(&options.redis)?;
    let named = |name: &String| {
        plan.jobs.iter().find(|job| job.name == *name).ok_or_else(|| {
            let jobs: Vec<&str> = plan.jobs.iter().map(|job| job.name.as_str()).collect();
            Error::new(format!("there is no job `{name}`"), format!("the jobs are: {}", jobs.join(", ")))
        })
    };
    let jobs: Vec<&Job> = options.jobs.iter().map(named).collect::<Result<_, _>>()?;
    for job in jobs {
        let mut tell = |progress| tell(&job.name, progress);
        let mut walks = Walks { topology: &topology, job, restart: options.restart, retry_ms: plan.applier.retry_ms };
        if !walks.run(&mut shutdown, &mut tell).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Walks the keys of one job at one place. False where the shutdown came before the end.
pub(crate) async fn walk(
    topology: &Topology,
    job: &Job,
    retry_ms: u64,
    shutdown: &mut Shutdown,
    tell: &mut impl FnMut(Progress),
) -> Result<bool, Error> {
    Walker { topology, job, restart: false, shutdown }.run(tell, Pauses::new(retry_ms)).await
}

/// Walks the keys of one job.
struct Walker<'w> {
    topology: &'w Topology,
    job: &'w Job,
    /// Whether what an earlier walk left is to be forgotten first.
    restart: bool,
    shutdown: &'w mut Shutdown,
}

impl Walker<'_> {
    /// Walks to the end, through whatever passes by itself. False where the shutdown came first.
    async fn run(&mut self, tell: &mut impl FnMut(Progress), mut pauses: Pauses) -> Result<bool, Error> {
        while !self.shutdown.is_requested() {
            match self.session(tell, &mut pauses).await {
                Ok(is_whole) => return Ok(is_whole),
                Err(failure @ (Failure::Transient(_) | Failure::Moving(_))) => {
                    tell(Progress::Retries(Error::from(failure).to_string()));
                    wait(pauses.next(), self.shutdown).await;
                }
                Err(failure) => return Err(failure.into()),
            }
        }
        Ok(false)
    }

    /// Walks as long as the connection lives.
    async fn session(&mut self, tell: &mut impl FnMut(Progress), pauses: &mut Pauses) -> Result<bool, Failure> {
        let mut redis = self.topology.look().await?.registry.connect().await?;
        let rule = rule(&mut redis, self.job).await?;
        // A server of a cluster without a slot has no keys.
        if rule.stream.is_empty() {
            tell(Progress::Ends(Walked::default()));
            return Ok(true);
        }
        if std::mem::take(&mut self.restart) {
            redis.forget_walk(&rule.stream).await?;
        }
        let mut walk = redis.kept_walk(&rule.stream).await?.unwrap_or_else(Walk::start);
        tell(Progress::Begins(walked(&walk)));
        while self.make_room(&mut redis, &rule, tell).await? {
            let begun = Instant::now();
            let Some(next) = redis.slice(&rule, self.job.source.data_type, &walk).await? else {
                redis.forget_walk(&rule.stream).await?;
                walk = Walk::start();
                tell(Progress::BeginsAnew);
                continue;
            };
            if next.is_whole() {
                redis.end_walk(&rule.stream).await?;
                tell(Progress::Ends(walked(&next)));
                return Ok(true);
            }
            redis.keep_walk(&rule.stream, &next).await?;
            pauses.reset();
            tell(Progress::Walks(walked(&next)));
            walk = next;
            // The application gets as much of the server as the snapshot.
            wait(begun.elapsed(), self.shutdown).await;
        }
        Ok(false)
    }

    /// Waits while the stream is long. False where the shutdown came.
    async fn make_room(
        &mut self,
        redis: &mut Connection,
        rule: &Rule,
        tell: &mut impl FnMut(Progress),
    ) -> Result<bool, Failure> {
        let mut share = 1;
        while !self.shutdown.is_requested() {
            let Backlog { rows, bytes } = redis.backlog(rule).await?;
            if rows <= BACKLOG_ROWS_MAX / share && bytes <= BACKLOG_BYTES_MAX / share {
                return Ok(true);
            }
            share = 2;
            let mib = bytes / (1024 * 1024);
            tell(Progress::Waits(format!(
                "{rows} records ({mib} MiB) wait for `redis-wb run` in {}; see `redis-wb status`",
                rule.stream
            )));
            wait(LOOK_AGAIN, self.shutdown).await;
        }
        Ok(false)
    }
}

/// The rule of a job, which is made where there is none. One that differs is that of a worker with another plan: made
/// anew here, it would take away what that worker reads.
async fn rule(redis: &mut Connection, job: &Job) -> Result<Rule, Failure> {
    let found = redis.rules().await?.into_iter().find(|rule| rule.name == job.name);
    let (pattern, db) = (&job.source.key_pattern, job.source.db);
    match found {
        None => {
            let stream = redis.track(job).await?;
            Ok(Rule { name: job.name.clone(), pattern: pattern.clone(), db, stream })
        }
        Some(rule) if rule.pattern == *pattern && rule.db == db => Ok(rule),
        Some(rule) => Err(Failure::configuration(
            format!(
                "Redis captures `{}` in database {} for job `{}`, and the job says `{pattern}` in database {db}",
                rule.pattern, rule.db, job.name
            ),
            "start `redis-wb run` again with the jobs as they are now, then make the snapshot",
        )),
    }
}

const fn walked(walk: &Walk) -> Walked {
    Walked { thousandths: walk.walked, records: walk.records }
}
