//! The workers that share the units: which live, what each holds, and what this one may take and has to give back.
//! Knows no lease itself.

mod share;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};

use crate::error::Failure;
use crate::shard::{Connection, Shard};
use crate::topology::Tag;
use share::{Members, has_room, surplus};

/// Notes that a worker lives.
const BEAT_SCRIPT: &str = include_str!("workers/beat.lua");
/// The key that keeps who lives, in a slot of its own.
const WORKERS_KEY: &str = "wb:{redis-wb}/workers";
/// How often a worker says that it lives.
const BEAT_AGAIN: Duration = Duration::from_secs(1);
/// How long that counts.
const BEAT_LASTS: Duration = Duration::from_secs(5);
/// How long one beat may take.
const BEAT_SECONDS_MAX: Duration = Duration::from_secs(3);
/// How long a worker gives nothing back after it took back what nobody else wanted.
const UNWANTED_FOR: Duration = Duration::from_secs(60);

/// This worker among the others.
pub(crate) struct Workers {
    /// Its name.
    pub(crate) own: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How many units there are.
    units: usize,
    /// Those that live, as of the last beat.
    members: Members,
    /// What this worker holds, and how each unit is told to be given back.
    held: BTreeMap<Tag, Arc<Notify>>,
    /// How many units are being taken.
    taking: usize,
    /// Nothing is given back before this time.
    keeps_until: Option<Instant>,
}

/// The workers that have said of late that they live.
pub(crate) async fn living(redis: &mut Connection) -> Result<Vec<String>, Failure> {
    let now_ms = redis.now_us().await? / 1_000;
    let all: BTreeMap<String, String> = redis.query(redis::cmd("HGETALL").arg(WORKERS_KEY)).await?;
    let lives = |beat: &String| {
        beat.split(' ').next().and_then(|ends| ends.parse().ok()).is_some_and(|ends: u64| ends > now_ms)
    };
    Ok(all.into_iter().filter(|(_, beat)| lives(beat)).map(|(worker, _)| worker).collect())
}

/// The right to try to take one unit; given up when dropped.
pub(crate) struct Claim<'w>(&'w Workers);

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.taking = state.taking.saturating_sub(1);
    }
}

/// A unit that is held; no longer when dropped.
pub(crate) struct Holding {
    workers: Arc<Workers>,
    tag: Tag,
    /// Told when the unit is to be given back.
    pub(crate) give_back: Arc<Notify>,
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.workers.state().held.remove(&self.tag);
    }
}

impl Workers {
    pub(crate) fn new() -> Arc<Self> {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host = if host.trim().is_empty() { "worker" } else { host.trim() };
        let own = format!("{host}-{}-{:08x}", std::process::id(), rand::random::<u32>());
        Arc::new(Self { own, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of how many units there are.
    pub(crate) fn set_units(&self, units: usize) {
        self.state().units = units;
    }

    /// The right to take one more unit, as far as this worker's share goes. What stays free goes to whoever wants it.
    pub(crate) fn claim(&self, is_left: bool) -> Option<Claim<'_>> {
        let mut state = self.state();
        let held = state.held.len() + state.taking;
        let has_room = has_room(&self.own, held, state.units, &state.members);
        if !has_room && !is_left {
            return None;
        }
        if !has_room {
            state.keeps_until = Some(Instant::now() + UNWANTED_FOR);
        }
        state.taking += 1;
        Some(Claim(self))
    }

    /// Takes note that a unit is held.
    pub(crate) fn hold(self: &Arc<Self>, tag: &Tag) -> Holding {
        let give_back = Arc::new(Notify::new());
        self.state().held.insert(tag.clone(), Arc::clone(&give_back));
        Holding { workers: Arc::clone(self), tag: tag.clone(), give_back }
    }

    /// Takes note of who lives, and has given back what others should have.
    fn learn(&self, members: Members) {
        let mut state = self.state();
        let surplus = surplus(&self.own, state.units, &members);
        state.members = members;
        if state.keeps_until.is_none_or(|until| until < Instant::now()) {
            state.held.values().rev().take(surplus).for_each(|give_back| give_back.notify_one());
        }
    }

    /// Says again and again that this worker lives, and learns who else does.
    pub(crate) async fn beat(self: Arc<Self>, mut registry: watch::Receiver<Option<Shard>>) {
        let mut redis = None;
        loop {
            let shard = registry.borrow().clone();
            if let Some(shard) = shard {
                let beat = timeout(BEAT_SECONDS_MAX, self.beat_once(&shard, &mut redis)).await;
                match beat.unwrap_or_else(|_| Err(Failure::Transient(format!("{shard} does not answer")))) {
                    Ok(members) => self.learn(members),
                    Err(failure) => {
                        redis = None;
                        tracing::debug!("the other workers are not known: {}", crate::Error::from(failure));
                    }
                }
            }
            tokio::select! {
                () = sleep(BEAT_AGAIN) => {}
                Ok(()) = registry.changed() => redis = None,
            }
        }
    }

    async fn beat_once(&self, shard: &Shard, redis: &mut Option<Connection>) -> Result<Members, Failure> {
        let redis = match redis {
            Some(redis) => redis,
            none => none.insert(shard.connect().await?),
        };
        let held = self.state().held.len();
        let script = redis::Script::new(BEAT_SCRIPT);
        let mut call = script.key(WORKERS_KEY);
        call.arg(&self.own).arg(held).arg(u64::try_from(BEAT_LASTS.as_millis()).unwrap_or(u64::MAX));
        redis.invoke(&call).await
    }

    /// Says that this worker goes, so that its share is taken at once.
    pub(crate) async fn leave(&self, shard: &Shard) {
        let left = timeout(BEAT_SECONDS_MAX, async {
            let mut redis = shard.connect().await?;
            redis.query::<u8>(redis::cmd("HDEL").arg(WORKERS_KEY).arg(&self.own)).await
        });
        if !matches!(left.await, Ok(Ok(_))) {
            tracing::debug!("the other workers were not told that this one goes");
        }
    }
}
