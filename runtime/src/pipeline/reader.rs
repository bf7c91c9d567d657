//! The reading half of a pipeline: entries off the streams, made into batches ahead of the writing half.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::Batch;
use crate::batch::{Entry, Prepared, prepare};
use crate::checkpoint::Applied;
use crate::error::Failure;
use crate::layout::Layout;
use crate::position::Position;
use crate::rows::Encode;
use crate::shard::Connection;

/// How many batches wait for the writing half.
const BATCHES_AHEAD_MAX: usize = 1;
/// How many bytes of records a read aims for; the count of the next read follows from the sizes seen.
const READ_BYTES_AIM: usize = 16 * 1024 * 1024;
/// The count of the first read, before any size was seen.
const FIRST_COUNT: usize = 64;

/// What the reading half hands over.
pub(super) enum Read {
    /// A batch with something to write or to take note of.
    Batch(Batch),
    /// Nothing is left, and that was asked for.
    Idle,
    /// Reading failed.
    Failed(Failure),
}

pub(super) struct Reader {
    layout: Arc<Layout>,
    redis: Connection,
    /// Each stream, and the last entry that was read.
    places: Vec<(String, Position)>,
    applied: Applied,
    encode: Encode,
    /// How many entries the next read asks of each stream.
    count: usize,
}

impl Reader {
    pub(super) fn new(
        layout: Arc<Layout>,
        redis: Connection,
        places: Vec<(String, Position)>,
        applied: Applied,
        encode: Encode,
    ) -> Self {
        Self { layout, redis, places, applied, encode, count: FIRST_COUNT }
    }

    /// Reads in the background until something fails or nobody listens any more.
    pub(super) fn start(mut self, until_idle: bool) -> mpsc::Receiver<Read> {
        let (sender, receiver) = mpsc::channel(BATCHES_AHEAD_MAX);
        tokio::spawn(async move {
            loop {
                let read = tokio::select! {
                    read = self.read(until_idle) => read,
                    () = sender.closed() => return,
                };
                let (read, is_last) = match read {
                    Ok(Some(batch)) => (Read::Batch(batch), false),
                    Ok(None) if until_idle => (Read::Idle, true),
                    Ok(None) => continue,
                    Err(failure) => (Read::Failed(failure), true),
                };
                if sender.send(read).await.is_err() || is_last {
                    return;
                }
            }
        });
        receiver
    }

    /// One batch; `None` where no entry was there to read.
    async fn read(&mut self, until_idle: bool) -> Result<Option<Batch>, Failure> {
        loop {
            let mut entries = self.redis.read(&self.places, self.count, !until_idle).await?;
            if entries.is_empty() {
                return Ok(None);
            }
            self.adapt(&entries);
            for entry in &entries {
                if let Some((_, place)) = self.places.get_mut(entry.job) {
                    *place = entry.position;
                }
            }
            let prepared = self.prepare(&mut entries).await?;
            if prepared.advances.is_empty() {
                // All of it was applied before.
                continue;
            }
            let applied = self.applied.clone();
            self.applied.committed(&prepared.advances);
            return Ok(Some(Batch { entries, prepared, applied }));
        }
    }

    async fn prepare(&mut self, entries: &mut [Entry]) -> Result<Prepared, Failure> {
        loop {
            let prepared = prepare(&self.layout, entries, &self.applied, &[], self.encode);
            for at in &prepared.flushed {
                let job = entries.get(*at).and_then(|entry| self.layout.job(entry.job)).map(|job| &job.name);
                tracing::warn!(job, "Redis was flushed; the rows of the target stay as they are");
            }
            if prepared.thin.is_empty() {
                return Ok(prepared);
            }
            for at in prepared.thin {
                if let Some(entry) = entries.get_mut(at)
                    && let Some(job) = self.layout.job(entry.job)
                    && let Ok(record) = redis_wb_record::decode(&entry.record)
                {
                    entry.record = self.redis.complete(&job.source, &record).await?;
                }
            }
        }
    }

    /// The next read asks for as many entries as the sizes seen let hope for.
    fn adapt(&mut self, entries: &[Entry]) {
        let bytes: usize = entries.iter().map(|entry| entry.record.len()).sum();
        let each = (bytes / entries.len().max(1)).max(1);
        let hoped = READ_BYTES_AIM / each / self.places.len().max(1);
        let grown = self.count.saturating_mul(4);
        self.count = hoped.min(grown).clamp(1, self.layout.plan.applier.read_batch_rows_max);
    }
}
