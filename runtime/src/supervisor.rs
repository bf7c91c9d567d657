//! The supervisor of a run: keeps the topology, and a unit for every tag that is there, as tags come and go. Knows no
//! target.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis_wb_plan::Plan;
use tokio::sync::{Notify, watch};
use tokio::task::{JoinError, JoinSet};

use crate::error::Failure;
use crate::layout::Layout;
use crate::pause::{Told, wait};
use crate::primaries::{Looked, Primaries};
use crate::shard::Shard;
use crate::topology::{Shards, Tag, Topology};
use crate::unit::Unit;
use crate::vitals::Vitals;
use crate::workers::Workers;
use crate::{Error, Options, Shutdown, Summary, Trigger};

/// How long to wait between two looks at what is there.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long to wait at least, where a connection failed.
const LOOK_AT_ONCE: Duration = Duration::from_millis(100);

/// No lease lasts shorter: it must be renewed several times.
const TAKEOVER_MIN: Duration = Duration::from_millis(500);

/// What all units of a worker have in common.
pub(crate) struct Common {
    pub(crate) plan: Arc<Plan>,
    /// What each pipeline of a unit works on.
    pub(crate) layouts: Vec<Arc<Layout>>,
    /// Whether a unit ends as soon as its streams are drained.
    pub(crate) until_idle: bool,
    /// Where a connection failed: servers may have changed.
    pub(crate) look_again: Notify,
    pub(crate) counted: Counted,
    pub(crate) workers: Arc<Workers>,
    pub(crate) vitals: Arc<Vitals>,
    /// How long a lease lasts: then another worker takes over from one that died.
    pub(crate) takeover: Duration,
}

/// What was done so far.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    applied: AtomicU64,
    rejected: AtomicU64,
}

impl Counted {
    pub(crate) fn add(&self, applied: usize, rejected: usize) {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        self.applied.fetch_add(count(applied), Ordering::Relaxed);
        self.rejected.fetch_add(count(rejected), Ordering::Relaxed);
    }

    fn summary(&self) -> Summary {
        Summary { applied: self.applied.load(Ordering::Relaxed), rejected: self.rejected.load(Ordering::Relaxed) }
    }
}

/// Runs all units of work that there are.
pub(crate) struct Supervisor {
    common: Arc<Common>,
    topology: Topology,
    primaries: Primaries,
    units: BTreeMap<Tag, Seat>,
    running: JoinSet<(Tag, Result<(), Error>)>,
    told: Told,
    shutdown: Shutdown,
    /// Where the workers register, once it is known.
    registry: watch::Sender<Option<Shard>>,
    /// Whether jobs were tracked somewhere, and refused nowhere.
    has_begun: bool,
    failed: Option<Error>,
}

/// A unit that runs, and how it is told what changes.
struct Seat {
    shard: watch::Sender<Shard>,
    stop: Trigger,
    /// Whether it has ended.
    is_done: bool,
    /// Whether its tag is gone: it is taken away once it has ended.
    is_leaving: bool,
}

impl Supervisor {
    pub(crate) fn new(plan: &Arc<Plan>, topology: Topology, options: &Options, shutdown: Shutdown) -> Self {
        let common = Common {
            plan: Arc::clone(plan),
            layouts: Layout::all(plan).into_iter().map(Arc::new).collect(),
            until_idle: options.until_idle,
            look_again: Notify::new(),
            counted: Counted::default(),
            workers: Workers::new(),
            vitals: Arc::clone(&options.vitals),
            takeover: options.takeover.max(TAKEOVER_MIN),
        };
        Self {
            common: Arc::new(common),
            topology,
            primaries: Primaries::new(Arc::clone(plan)),
            units: BTreeMap::new(),
            running: JoinSet::new(),
            told: Told::default(),
            shutdown,
            registry: watch::Sender::new(None),
            has_begun: false,
            failed: None,
        }
    }

    /// Runs until the shutdown comes or, if that is asked for, nothing is left to do.
    pub(crate) async fn run(mut self) -> Result<Summary, Error> {
        let mut shutdown = self.shutdown.clone();
        let beat = tokio::spawn(Arc::clone(&self.common.workers).beat(self.registry.subscribe()));
        let done = self.supervise(&mut shutdown).await;
        beat.abort();
        self.units.values().for_each(|seat| seat.stop.trigger());
        // While batches come to their end, so that whoever takes over counts without this worker.
        let registry = self.registry.borrow().clone();
        if let Some(registry) = registry {
            self.common.workers.leave(&registry).await;
        }
        done?;
        while let Some(ended) = self.running.join_next().await {
            self.ended(ended);
        }
        self.failed.map_or(Ok(self.common.counted.summary()), Err)
    }

    /// Keeps the units running until the shutdown comes or, if that is asked for, nothing is left to do.
    async fn supervise(&mut self, shutdown: &mut Shutdown) -> Result<(), Error> {
        while !shutdown.is_requested() {
            let looked = tokio::select! {
                looked = self.look() => looked,
                () = shutdown.requested() => break,
            };
            let is_whole = match looked {
                Ok(()) => {
                    self.told.forget();
                    self.common.vitals.set_unseen(None, None);
                    true
                }
                // What Redis refuses at the start ends the run: nobody would see a log that repeats it.
                Err(failure @ Failure::Configuration { .. }) if !self.has_begun => return Err(failure.into()),
                Err(failure) => {
                    self.common.vitals.set_unseen(None, Some(&failure));
                    self.told.say(failure);
                    false
                }
            };
            if self.common.until_idle && is_whole && self.units.values().all(|seat| seat.is_done) {
                break;
            }
            // What is left to wait out never ends a unit.
            if !self.common.until_idle && self.failed.is_some() {
                break;
            }
            tokio::select! {
                Some(ended) = self.running.join_next() => self.ended(ended),
                () = self.common.look_again.notified() => wait(LOOK_AT_ONCE, shutdown).await,
                () = tokio::time::sleep(LOOK_AGAIN) => {}
                () = shutdown.requested() => break,
            }
        }
        Ok(())
    }

    /// Looks what there is, has the jobs tracked there, and lets the units follow.
    async fn look(&mut self) -> Result<(), Failure> {
        let mut shards = self.topology.look().await?;
        let Looked { is_new, failed } = self.primaries.track(&shards.primaries).await;
        if is_new {
            shards = self.topology.look().await?;
        }
        self.topology.tidy(&mut shards).await;
        // Servers that are there need not wait for one that is not; what is refused at the start ends the run.
        let is_refused = matches!(failed, Some(Failure::Configuration { .. }));
        self.has_begun |= failed.is_none() || (is_new && !is_refused);
        if self.has_begun {
            self.follow(shards);
        }
        failed.map_or(Ok(()), Err)
    }

    /// Begins, moves and ends units.
    fn follow(&mut self, shards: Shards) {
        for (tag, seat) in &mut self.units {
            if !shards.units.contains_key(tag) && !seat.is_leaving {
                tracing::info!(%tag, "this unit is gone");
                seat.is_leaving = true;
                seat.stop.trigger();
            }
        }
        self.units.retain(|_, seat| !seat.is_leaving || !seat.is_done);
        self.common.workers.set_units(shards.units.len());
        self.common.vitals.set_units(shards.units.len());
        self.registry.send_if_modified(|known| {
            let is_other = known.as_ref() != Some(&shards.registry);
            *known = Some(shards.registry.clone());
            is_other
        });
        for (tag, shard) in shards.units {
            match self.units.get(&tag) {
                // It begins anew once it has ended.
                Some(seat) if seat.is_leaving => {}
                Some(seat) => {
                    seat.shard.send_if_modified(|known| {
                        let is_other = *known != shard;
                        *known = shard;
                        is_other
                    });
                }
                None => self.begin(tag, shard),
            }
        }
    }

    fn begin(&mut self, tag: Tag, shard: Shard) {
        let (sender, receiver) = watch::channel(shard);
        let (trigger, stop) = Shutdown::new();
        let unit = Unit::new(Arc::clone(&self.common), tag.clone(), receiver, stop);
        let own = tag.clone();
        self.running.spawn(async move { (own, unit.run().await) });
        self.units.insert(tag, Seat { shard: sender, stop: trigger, is_done: false, is_leaving: false });
    }

    fn ended(&mut self, ended: Result<(Tag, Result<(), Error>), JoinError>) {
        let result = match ended {
            Ok((tag, result)) => {
                if let Some(seat) = self.units.get_mut(&tag) {
                    seat.is_done = true;
                }
                result
            }
            Err(error) => Err(broken(&error)),
        };
        // The others have batches of their own to bring to an end.
        self.failed = self.failed.take().or(result.err());
    }
}

/// What a task that panicked comes to.
pub(crate) fn broken(error: &JoinError) -> Error {
    Error::new(format!("a pipeline broke: {error}"), "please report this bug")
}
