//! One unit of work: the streams of one hash tag, and the pipelines of all connections over them, for as long as this
//! worker has the unit's lease. Knows no target.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::error::Failure;
use crate::lease::{Candidacy, Fence, Lease, Tried};
use crate::mend::Mending;
use crate::pause::Told;
use crate::pipeline::{Ended, Pipeline, Tenant};
use crate::shard::{Connection, Shard};
use crate::supervisor::{Common, broken};
use crate::topology::Tag;
use crate::vitals::Reporter;
use crate::{Error, Shutdown};

/// How long to wait before the lease is tried for again.
const TRY_AGAIN: Duration = Duration::from_millis(500);
/// How long a unit that was given back is left to others.
const LEFT_TO_OTHERS: Duration = Duration::from_secs(3);

/// A unit, as long as its tag is there.
pub(crate) struct Unit {
    common: Arc<Common>,
    tag: Tag,
    /// The server that owns it now.
    shard: watch::Receiver<Shard>,
    stop: Shutdown,
    candidacy: Candidacy,
    told: Told,
    /// Not tried for before this time.
    left_until: Instant,
    /// Whoever was said to have the lease.
    stands_by_for: Option<String>,
}

/// How the work at one server came to an end.
enum Worked {
    /// All that was asked for is done.
    Done(Result<(), Error>),
    /// It was given back to be another worker's.
    GivenBack,
    /// The lease is lost, and why.
    Lost(String),
    /// A target knows the fence of a later owner.
    Fenced(Fence),
    /// Another server owns the unit now.
    Moved,
}

impl Worked {
    /// The word that metrics have for it.
    const fn word(&self) -> &'static str {
        match self {
            Self::Done(_) => "released",
            Self::GivenBack => "given_back",
            Self::Lost(_) => "lost",
            Self::Fenced(_) => "fenced",
            Self::Moved => "moved",
        }
    }
}

impl Unit {
    pub(crate) fn new(common: Arc<Common>, tag: Tag, shard: watch::Receiver<Shard>, stop: Shutdown) -> Self {
        let candidacy = Candidacy::new(&tag, &common.workers.own, common.takeover);
        Self {
            common,
            tag,
            shard,
            stop,
            candidacy,
            told: Told::default(),
            left_until: Instant::now(),
            stands_by_for: None,
        }
    }

    /// Runs until it is stopped or, if that is asked for, nothing is left to do.
    pub(crate) async fn run(mut self) -> Result<(), Error> {
        loop {
            let shard = self.shard.borrow_and_update().clone();
            let (mut stop, mut moved) = (self.stop.clone(), self.shard.clone());
            let lease = tokio::select! {
                lease = self.compete(&shard) => lease,
                () = stop.requested() => None,
                Ok(()) = moved.changed() => continue,
            };
            let tag = self.tag.clone();
            let Some(lease) = lease else {
                self.common.vitals.set_unseen(Some(&tag), None);
                return Ok(());
            };
            match self.hold(&shard, lease).await {
                Worked::Done(result) => return result,
                Worked::Moved => {}
                Worked::GivenBack => {
                    tracing::info!(unit = %tag, "given back, for another worker to take");
                    self.left_until = Instant::now() + LEFT_TO_OTHERS;
                }
                Worked::Lost(why) => tracing::warn!(unit = %tag, "the lease is lost, its work is dropped: {why}"),
                Worked::Fenced(known) => {
                    tracing::warn!(
                        unit = %tag,
                        known,
                        "fenced off: a target knows a later owner of this unit; nothing more is written, and the lease \
                         is tried for again"
                    );
                    self.candidacy.fence_known = known.max(self.candidacy.fence_known);
                }
            }
        }
    }

    /// Waits until this worker has the lease. `None` where it is asked to end as soon as nothing is left, and another
    /// worker has drained the streams.
    async fn compete(&mut self, shard: &Shard) -> Option<Box<Lease>> {
        let mut redis = None;
        loop {
            let tried = self.attempt(shard, &mut redis).await;
            self.common.vitals.set_unseen(Some(&self.tag), tried.as_ref().err());
            match tried {
                Ok(Some(Tried::Taken(lease))) => {
                    self.told.forget();
                    self.stands_by_for = None;
                    return Some(lease);
                }
                Ok(Some(Tried::Held(by))) => {
                    if self.stands_by_for.as_ref() != Some(&by) {
                        tracing::info!(unit = %self.tag, by, "standing by: another worker has the lease");
                        self.stands_by_for = Some(by);
                    }
                    self.told.forget();
                    if self.common.until_idle && self.is_drained(&mut redis).await.unwrap_or(false) {
                        return None;
                    }
                }
                Ok(_) => self.told.forget(),
                Err(failure) => {
                    redis = None;
                    self.common.look_again.notify_one();
                    self.told.say(failure);
                }
            }
            sleep(TRY_AGAIN).await;
        }
    }

    /// Tries for the lease once, as far as this worker's share goes.
    async fn attempt(&mut self, shard: &Shard, redis: &mut Option<Connection>) -> Result<Option<Tried>, Failure> {
        if Instant::now() < self.left_until {
            return Ok(None);
        }
        let redis = match redis {
            Some(redis) => redis,
            none => none.insert(shard.connect().await?),
        };
        let workers = Arc::clone(&self.common.workers);
        let claim = workers.claim(false);
        let tried = self.candidacy.take(shard, redis, claim.is_some()).await?;
        match tried {
            // Those who have room for it do not want it.
            Tried::Free(since) if since > self.common.takeover => {
                let _claim = workers.claim(true);
                self.candidacy.take(shard, redis, true).await.map(Some)
            }
            tried => Ok(Some(tried)),
        }
    }

    /// Whether no stream has anything left.
    async fn is_drained(&self, redis: &mut Option<Connection>) -> Result<bool, Failure> {
        let Some(redis) = redis else { return Ok(false) };
        for stream in self.common.plan.jobs.iter().map(|job| self.tag.stream(&job.name)) {
            let left: u64 = redis.query(redis::cmd("XLEN").arg(stream)).await?;
            if left > 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Works at one server for as long as the lease holds.
    async fn hold(&mut self, shard: &Shard, mut lease: Box<Lease>) -> Worked {
        let holding = self.common.workers.hold(&self.tag);
        let watch = self.common.vitals.watch(&self.tag, &self.common.layouts);
        let tenure = lease.tenure();
        let reporter = Reporter::begin(&watch, shard.clone(), &self.common.workers.own, tenure.fence);
        tracing::info!(unit = %self.tag, fence = tenure.fence, "this worker has the lease");
        let (trigger, stop) = Shutdown::new();
        let mut pipelines = JoinSet::new();
        let mending =
            Arc::new(Mending::new(Arc::clone(&self.common.plan), self.tag.clone(), shard.clone(), stop.clone()));
        let (common, tag, shard) = (Arc::clone(&self.common), self.tag.clone(), shard.clone());
        let tenant = Tenant { common, tag, shard, tenure, mending };
        for (layout, signs) in self.common.layouts.iter().zip(&watch.signs) {
            let signs = Arc::clone(signs);
            pipelines.spawn(Pipeline::new(&tenant, Arc::clone(layout), signs, stop.clone()).run());
        }
        let mut is_given_back = false;
        let mut failed = None;
        let worked = {
            let mut keep = pin!(lease.keep());
            loop {
                tokio::select! {
                    ended = pipelines.join_next() => match ended {
                        None if is_given_back => break Worked::GivenBack,
                        None => break Worked::Done(failed.map_or(Ok(()), Err)),
                        Some(Ok(Ok(Ended::Done))) => {}
                        Some(Ok(Ok(Ended::Fenced(known)))) => break Worked::Fenced(known),
                        Some(Ok(Err(error))) => failed = failed.or(Some(error)),
                        Some(Err(error)) => {
                            failed = failed.or(Some(broken(&error)));
                            trigger.trigger();
                        }
                    },
                    why = &mut keep => break Worked::Lost(why),
                    () = self.stop.requested(), if !stop.is_requested() => trigger.trigger(),
                    () = holding.give_back.notified(), if !stop.is_requested() => {
                        is_given_back = true;
                        trigger.trigger();
                    }
                    // Whatever is under way is read again there, and skipped where it was committed.
                    Ok(()) = self.shard.changed() => break Worked::Moved,
                }
            }
        };
        pipelines.shutdown().await;
        drop(holding);
        watch.ended(worked.word());
        match worked {
            Worked::Lost(_) => {}
            // The server that had it may be gone, and nothing waits for that.
            Worked::Moved => drop(tokio::spawn(lease.release())),
            _ => {
                reporter.end().await;
                lease.release().await;
            }
        }
        worked
    }
}
