//! The servers that take writes: has the jobs tracked at each, as soon as it is there and whenever it came back.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use redis_wb_plan::Plan;

use crate::error::Failure;
use crate::shard::{Connection, Shard};

/// How long one server may take to say that it is still there, or to track all jobs.
const ANSWER_SECONDS_MAX: Duration = Duration::from_secs(5);

/// The connections to all of them. A rule lives as long as its server does, so it is made again where a connection had
/// to be.
pub(crate) struct Primaries {
    plan: Arc<Plan>,
    known: Vec<Primary>,
}

struct Primary {
    shard: Shard,
    /// None where it broke.
    connection: Option<Connection>,
}

/// What a look at all of them came to.
#[derive(Default)]
pub(crate) struct Looked {
    /// Whether jobs were tracked somewhere: there may be more units now.
    pub(crate) is_new: bool,
    /// What failed, at the first that failed.
    pub(crate) failed: Option<Failure>,
}

impl Primaries {
    pub(crate) fn new(plan: Arc<Plan>) -> Self {
        Self { plan, known: Vec::new() }
    }

    /// Has all jobs tracked at those servers where that is not known to be so.
    pub(crate) async fn track(&mut self, shards: &[Shard]) -> Looked {
        self.known.retain(|primary| shards.contains(&primary.shard));
        for shard in shards {
            if !self.known.iter().any(|primary| primary.shard == *shard) {
                self.known.push(Primary { shard: shard.clone(), connection: None });
            }
        }
        let plan = &self.plan;
        let looks = self.known.iter_mut().map(|primary| async {
            let looked = tokio::time::timeout(ANSWER_SECONDS_MAX, primary.look(plan)).await;
            let shard = &primary.shard;
            looked.unwrap_or_else(|_| {
                primary.connection = None;
                Err(Failure::Transient(format!("{shard} does not answer")))
            })
        });
        let mut all = Looked::default();
        for looked in join_all(looks).await {
            match looked {
                Ok(is_new) => all.is_new |= is_new,
                // What somebody has to mend is told first.
                Err(failure @ Failure::Configuration { .. }) => all.failed = Some(failure),
                Err(failure) => all.failed = all.failed.or(Some(failure)),
            }
        }
        all
    }
}

impl Primary {
    /// Makes sure that it is there and takes writes. Whether the jobs had to be tracked.
    async fn look(&mut self, plan: &Plan) -> Result<bool, Failure> {
        if let Some(connection) = &mut self.connection {
            if connection.is_primary().await.unwrap_or(false) {
                return Ok(false);
            }
            self.connection = None;
        }
        let mut connection = self.shard.connect().await?;
        for job in &plan.jobs {
            connection.track(job).await?;
        }
        for rule in connection.rules().await? {
            let rule = rule.name;
            if !plan.jobs.iter().any(|job| job.name == rule) {
                tracing::warn!(
                    rule,
                    "this rule belongs to no job of the plan: its stream grows; `WB.UNTRACK {rule}` ends it"
                );
            }
        }
        self.connection = Some(connection);
        Ok(true)
    }
}
