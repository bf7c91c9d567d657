//! Mends what Redis lost although a target has it: by a snapshot of the job, beside the pipelines. Only for jobs whose
//! rows all say how their keys are; what keeps every change would keep the snapshot, too.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use redis_wb_plan::Plan;
use redis_wb_plan::plan::{Job, RedisContent};
use tokio::task::JoinSet;

use crate::Shutdown;
use crate::shard::Shard;
use crate::snapshot::{Progress, walk};
use crate::topology::Topology;

/// The snapshots of one unit; they end when this is dropped, and go on with the next owner.
pub(crate) struct Mending {
    plan: Arc<Plan>,
    shard: Shard,
    stop: Shutdown,
    begun: Mutex<(BTreeSet<String>, JoinSet<()>)>,
}

impl Mending {
    pub(crate) fn new(plan: Arc<Plan>, shard: Shard, stop: Shutdown) -> Self {
        Self { plan, shard, stop, begun: Mutex::default() }
    }

    /// Begins the snapshot of a job, unless it was begun.
    pub(crate) fn begin(&self, job: &Job) {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let (jobs, running) = &mut *begun;
        if jobs.insert(job.name.clone()) {
            let (plan, job) = (Arc::clone(&self.plan), job.name.clone());
            running.spawn(mend(plan, job, self.shard.clone(), self.stop.clone()));
        }
    }
}

async fn mend(plan: Arc<Plan>, name: String, shard: Shard, mut stop: Shutdown) {
    let Some(job) = plan.jobs.iter().find(|job| job.name == name) else { return };
    let mut tell = |progress| match progress {
        Progress::Begins(walked) => {
            tracing::info!(job = name, thousandths = walked.thousandths, "a snapshot mends what was lost");
        }
        Progress::Ends(walked) => tracing::info!(job = name, records = walked.records, "the snapshot is whole"),
        other => tracing::debug!(job = name, "the snapshot: {other:?}"),
    };
    let topology = Topology::Standalone(Box::new(shard));
    if let Err(error) = walk(&topology, job, plan.applier.retry_ms, &mut stop, &mut tell).await {
        let help = error.help().unwrap_or_default();
        tracing::error!(job = name, help, "what was lost is not mended: {error}");
    }
}

/// Whether a snapshot may be made of a job without being asked for.
pub(crate) fn mends_itself(job: &Job) -> bool {
    job.outputs.iter().all(|output| output.strategy.compacts())
        && job.redis.iter().all(|write| !matches!(write.content, RedisContent::Stream(_)))
}
