//! The lease of a unit: exactly one worker has it, and every owner has a greater *fence* than the one before. Knows no
//! pipeline.
//!
//! A lease lasts for a while and is renewed in time. Its owner counts from before the renewal was sent, by its own
//! clock, and stops before anybody else can have it. Whoever waits for it takes it when its time is over by the clock of
//! Redis, or when its beat stood still for as long by the clock of whoever waits, since that of Redis may be set back.
//! What a worker still does that was stopped in between and knows nothing of it, the targets refuse by the fence.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::error::Failure;
use crate::shard::{Connection, Shard};
use crate::topology::Tag;

/// Takes a lease.
const TAKE_SCRIPT: &str = include_str!("lease/take.lua");
/// Renews it.
const RENEW_SCRIPT: &str = include_str!("lease/renew.lua");
/// Lets go of it.
const RELEASE_SCRIPT: &str = include_str!("lease/release.lua");
/// A lease is renewed after this part of its time, and no renewal may take longer.
const RENEWED_AFTER: u32 = 3;
/// This part of its time is left when its owner stops.
const SPARED: u32 = 6;
/// How long to wait before a renewal is tried again.
const RENEW_AGAIN: Duration = Duration::from_millis(100);
/// How long letting go of it may take; it ends by itself otherwise.
const RELEASE_SECONDS_MAX: Duration = Duration::from_secs(2);

/// The number that each owner of a unit has for itself; later owners have greater ones.
pub(crate) type Fence = u64;

/// A lease, as seen by a worker that wants it.
pub(crate) struct Candidacy {
    key: String,
    worker: String,
    lasts: Duration,
    /// The greatest fence that a target was found to know.
    pub(crate) fence_known: Fence,
    /// Who has it, at which beat, and since when that was seen.
    seen: Option<(Holder, Instant)>,
    /// Since when it is free.
    free: Option<Instant>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Holder {
    owner: String,
    beat: String,
    lasts: Duration,
}

/// What came of a try.
pub(crate) enum Tried {
    /// It is ours.
    Taken(Box<Lease>),
    /// It is free for so long, and was to be looked at only.
    Free(Duration),
    /// This worker has it.
    Held(String),
}

impl Candidacy {
    pub(crate) fn new(tag: &Tag, worker: &str, lasts: Duration) -> Self {
        Self { key: tag.key("lease"), worker: worker.to_owned(), lasts, fence_known: 0, seen: None, free: None }
    }

    /// Takes the lease if nobody has it; where it is not wanted, only looks.
    pub(crate) async fn take(
        &mut self,
        shard: &Shard,
        redis: &mut Connection,
        is_wanted: bool,
    ) -> Result<Tried, Failure> {
        let gone = self.seen.as_ref().filter(|(holder, since)| since.elapsed() > holder.lasts);
        let (owner, beat) = gone.map_or(("", ""), |(holder, _)| (&holder.owner, &holder.beat));
        let script = redis::Script::new(TAKE_SCRIPT);
        let mut call = script.key(&self.key);
        call.arg(&self.worker).arg(millis(self.lasts)).arg(self.fence_known).arg(u8::from(is_wanted));
        call.arg(owner).arg(beat);
        let sent = Instant::now();
        let (fence, owner, beat, lasts_ms): (Fence, String, String, u64) = redis.invoke(&call).await?;
        if fence > 0 {
            (self.seen, self.free) = (None, None);
            return Ok(Tried::Taken(Box::new(Lease::new(self, shard.clone(), redis.clone(), fence, sent))));
        }
        if owner.is_empty() {
            // Whoever was seen stays known: that its beat stands still may be all that makes the lease free.
            return Ok(Tried::Free(self.free.get_or_insert(sent).elapsed()));
        }
        self.free = None;
        let holder = Holder { owner: owner.clone(), beat, lasts: Duration::from_millis(lasts_ms) };
        if self.seen.as_ref().is_none_or(|(seen, _)| *seen != holder) {
            self.seen = Some((holder, Instant::now()));
        }
        Ok(Tried::Held(owner))
    }
}

/// A lease that this worker has.
pub(crate) struct Lease {
    key: String,
    worker: String,
    lasts: Duration,
    shard: Shard,
    redis: Option<Connection>,
    fence: Fence,
    sent: Instant,
    ends: watch::Sender<Instant>,
}

/// What the holder of a lease knows of it; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Tenure {
    pub(crate) fence: Fence,
    ends: watch::Receiver<Instant>,
}

impl Tenure {
    /// Whether the lease still holds by this worker's own clock.
    pub(crate) fn holds(&self) -> bool {
        Instant::now() < *self.ends.borrow()
    }
}

impl Lease {
    fn new(candidacy: &Candidacy, shard: Shard, redis: Connection, fence: Fence, sent: Instant) -> Self {
        let Candidacy { key, worker, lasts, .. } = candidacy;
        let ends = watch::Sender::new(sent + own_time(*lasts));
        Self { key: key.clone(), worker: worker.clone(), lasts: *lasts, shard, redis: Some(redis), fence, sent, ends }
    }

    pub(crate) fn tenure(&self) -> Tenure {
        Tenure { fence: self.fence, ends: self.ends.subscribe() }
    }

    /// Renews it again and again; comes back when it is lost, and says why.
    pub(crate) async fn keep(&mut self) -> String {
        loop {
            let ends = *self.ends.borrow();
            sleep_until((self.sent + self.lasts / RENEWED_AFTER).min(ends)).await;
            let sent = Instant::now();
            let why = match timeout(self.lasts / RENEWED_AFTER, self.renew()).await {
                Ok(Ok(true)) if sent < ends => {
                    self.sent = sent;
                    self.ends.send_replace(sent + own_time(self.lasts));
                    continue;
                }
                Ok(Ok(true)) => "it was not renewed in time".to_owned(),
                Ok(Ok(false)) => return "another worker has it".to_owned(),
                Ok(Err(failure)) => format!("it could not be renewed: {}", crate::Error::from(failure)),
                Err(_) => format!("it could not be renewed: {} does not answer", self.shard),
            };
            self.redis = None;
            if Instant::now() >= ends {
                return why;
            }
            sleep(RENEW_AGAIN).await;
        }
    }

    async fn renew(&mut self) -> Result<bool, Failure> {
        let redis = match &mut self.redis {
            Some(redis) => redis,
            none => none.insert(self.shard.connect().await?),
        };
        let script = redis::Script::new(RENEW_SCRIPT);
        let mut call = script.key(&self.key);
        call.arg(&self.worker).arg(self.fence).arg(millis(self.lasts));
        redis.invoke(&call).await
    }

    /// Lets go of it, so that others need not wait until it ends.
    pub(crate) async fn release(mut self) {
        let released = timeout(RELEASE_SECONDS_MAX, async {
            let mut redis = match self.redis.take() {
                Some(redis) => redis,
                None => self.shard.connect().await?,
            };
            let script = redis::Script::new(RELEASE_SCRIPT);
            let mut call = script.key(&self.key);
            call.arg(&self.worker).arg(self.fence);
            redis.invoke::<u8>(&call).await
        });
        match released.await {
            Ok(Ok(_)) => {}
            Ok(Err(failure)) => {
                tracing::debug!("the lease {} ends by itself: {}", self.key, crate::Error::from(failure))
            }
            Err(_) => tracing::debug!("the lease {} ends by itself: {} does not answer", self.key, self.shard),
        }
    }
}

/// How long an owner counts on its lease.
fn own_time(lasts: Duration) -> Duration {
    lasts - lasts / SPARED
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
