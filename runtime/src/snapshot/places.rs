//! The walks through the keys of one job: one at each server that takes writes. It must not know what a walk asks.

use std::time::Duration;

use redis_wb_plan::plan::Job;

use super::{Progress, Walked, Walker};
use crate::error::Failure;
use crate::pause::{Pauses, wait};
use crate::topology::Topology;
use crate::{Error, Shutdown};

/// How often to look whether a server of a cluster still takes writes.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// What one walk comes to.
const WHOLE: u64 = 1_000;

/// All walks of one job.
pub(super) struct Walks<'w> {
    pub(super) topology: &'w Topology,
    pub(super) job: &'w Job,
    /// Whether what earlier walks left is to be forgotten first.
    pub(super) restart: bool,
    pub(super) retry_ms: u64,
}

/// How the walks went.
enum Went {
    Whole(Walked),
    /// A server is none of those any more that take writes.
    Gone,
    Stopped,
}

impl Walks<'_> {
    /// Walks everywhere. Where slots or servers changed meanwhile, keys may have moved past the walks, which begin anew.
    /// False where the shutdown came first.
    pub(super) async fn run(
        &mut self,
        shutdown: &mut Shutdown,
        tell: &mut impl FnMut(Progress),
    ) -> Result<bool, Error> {
        let mut pauses = Pauses::new(self.retry_ms);
        while !shutdown.is_requested() {
            let (places, slots) = match self.look().await {
                Ok(found) => found,
                Err(failure @ (Failure::Transient(_) | Failure::Moving(_))) => {
                    tell(Progress::Waits(Error::from(failure).to_string()));
                    wait(pauses.next(), shutdown).await;
                    continue;
                }
                Err(failure) => return Err(failure.into()),
            };
            let walked = match self.walk(&places, &slots, shutdown, tell).await? {
                Went::Stopped => return Ok(false),
                Went::Gone => None,
                Went::Whole(walked) => Some(walked),
            };
            // Where it is not known who has the slots, it is as if they had moved.
            match (walked, self.look().await) {
                (Some(walked), Ok((_, same))) if same == slots => {
                    tell(Progress::Ends(walked));
                    return Ok(true);
                }
                _ => {
                    self.restart = true;
                    tell(Progress::BeginsAnew);
                }
            }
        }
        Ok(false)
    }

    /// Walks at each place, one after the other.
    async fn walk(
        &mut self,
        places: &[Topology],
        slots: &str,
        shutdown: &mut Shutdown,
        tell: &mut impl FnMut(Progress),
    ) -> Result<Went, Error> {
        let count = u64::try_from(places.len()).unwrap_or(u64::MAX).max(1);
        let mut behind = Walked::default();
        for place in places {
            let mut ended = Walked::default();
            let share = |walked: Walked| Walked {
                thousandths: behind.thousandths + walked.thousandths / count,
                records: behind.records + walked.records,
            };
            let mut own = |progress| match progress {
                Progress::Ends(walked) => ended = walked,
                Progress::Begins(walked) => tell(Progress::Begins(share(walked))),
                Progress::Walks(walked) => tell(Progress::Walks(share(walked))),
                other => tell(other),
            };
            let mut walker = Walker { topology: place, job: self.job, restart: self.restart, shutdown };
            let is_whole = tokio::select! {
                is_whole = walker.run(&mut own, Pauses::new(self.retry_ms)) => is_whole?,
                () = self.change(slots) => return Ok(Went::Gone),
            };
            if !is_whole {
                return Ok(Went::Stopped);
            }
            behind.thousandths += WHOLE / count;
            behind.records += ended.records;
        }
        self.restart = false;
        behind.thousandths = WHOLE;
        Ok(Went::Whole(behind))
    }

    /// Waits until the slots of a cluster have moved.
    async fn change(&self, slots: &str) {
        loop {
            tokio::time::sleep(LOOK_AGAIN).await;
            if self.look().await.is_ok_and(|(_, now)| now != slots) {
                return;
            }
        }
    }

    /// Where to walk, and who has which slots; the latter is empty where there are none.
    async fn look(&self) -> Result<(Vec<Topology>, String), Failure> {
        Ok(match self.topology.cluster().await? {
            Some(cluster) => {
                let slots = cluster.slots().await?;
                let servers = cluster.all_primaries().await?.into_iter();
                (servers.map(|server| Topology::Standalone(Box::new(server))).collect(), slots)
            }
            None => (vec![self.topology.clone()], String::new()),
        })
    }
}
