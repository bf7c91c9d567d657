//! Mends what Redis lost although a target has it: by a snapshot of the job, beside the pipelines. Only for jobs whose
//! rows all say how their keys are; what keeps every change would keep the snapshot, too.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis_wb_plan::Plan;
use redis_wb_plan::plan::Job;
use tokio::task::JoinSet;

use crate::error::Failure;
use crate::layout::keeps_changes;
use crate::shard::Shard;
use crate::snapshot::{Progress, walk};
use crate::topology::{Tag, Topology};
use crate::{Error, Shutdown};

/// How long to wait before a snapshot begins: other connections of the job may have lost something, too.
const OTHERS_ARE_HEARD: Duration = Duration::from_secs(1);

/// The snapshots of one unit; they end when this is dropped, and go on with the next owner.
pub(crate) struct Mending {
    plan: Arc<Plan>,
    tag: Tag,
    shard: Shard,
    stop: Shutdown,
    /// The jobs whose snapshot runs.
    begun: Arc<Mutex<BTreeSet<String>>>,
    running: Mutex<JoinSet<()>>,
}

impl Mending {
    pub(crate) fn new(plan: Arc<Plan>, tag: Tag, shard: Shard, stop: Shutdown) -> Self {
        Self { plan, tag, shard, stop, begun: Arc::default(), running: Mutex::default() }
    }

    /// Begins the snapshot of a job, unless it runs.
    pub(crate) fn begin(&self, job: &Job) {
        if !locked(&self.begun).insert(job.name.clone()) {
            return;
        }
        let (begun, name) = (Arc::clone(&self.begun), job.name.clone());
        let (plan, shard, stop) = (Arc::clone(&self.plan), self.shard.clone(), self.stop.clone());
        let stream = self.tag.stream(&name);
        locked(&self.running).spawn(async move {
            tokio::time::sleep(OTHERS_ARE_HEARD).await;
            mend(plan, name.clone(), &stream, shard, stop).await;
            locked(&begun).remove(&name);
        });
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn mend(plan: Arc<Plan>, name: String, stream: &str, shard: Shard, mut stop: Shutdown) {
    let Some(job) = plan.jobs.iter().find(|job| job.name == name) else { return };
    let mut tell = |progress| match progress {
        Progress::Begins(walked) => {
            tracing::info!(job = name, thousandths = walked.thousandths, "a snapshot mends what was lost");
        }
        Progress::Ends(walked) => tracing::info!(job = name, records = walked.records, "the snapshot is whole"),
        other => tracing::debug!(job = name, "the snapshot: {other:?}"),
    };
    let topology = Topology::Standalone(Box::new(shard.clone()));
    let mended = match walk(&topology, job, plan.applier.retry_ms, &mut stop, &mut tell).await {
        // The records of the snapshot are in the stream that the server has now; the loss was of this one.
        Ok(true) => note_mended(&shard, stream).await.map_err(Error::from),
        walked => walked.map(drop),
    };
    if let Err(error) = mended {
        let help = error.help().unwrap_or_default();
        tracing::error!(job = name, help, "what was lost is not mended: {error}");
    }
}

async fn note_mended(shard: &Shard, stream: &str) -> Result<(), Failure> {
    shard.connect().await?.note_mended(stream).await
}

/// Whether a snapshot may be made of a job without being asked for.
pub(crate) fn mends_itself(job: &Job) -> bool {
    !keeps_changes(job)
}
