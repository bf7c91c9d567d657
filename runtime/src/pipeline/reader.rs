//! The reading half of a pipeline: entries off the streams, made into batches ahead of the writing half.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::Batch;
use crate::batch::{Entry, is_thin, prepare};
use crate::checkpoint::Applied;
use crate::error::Failure;
use crate::layout::Layout;
use crate::position::Position;
use crate::rows::Encode;
use crate::shard::Connection;

/// How many batches wait for the writing half.
const BATCHES_AHEAD_MAX: usize = 1;
/// How many bytes of records make a batch; it ends with the record that passes this.
const BATCH_BYTES_AIM: usize = 16 * 1024 * 1024;
/// The most entries of one stream that one command reads: it bounds what a run of large records can bring at once.
const READ_ROWS_MAX: usize = 128;

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
    /// What was read and is in no batch yet.
    waiting: VecDeque<Entry>,
    applied: Applied,
    encode: Encode,
    /// How many entries the next command asks of each stream.
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
        Self { layout, redis, places, waiting: VecDeque::new(), applied, encode, count: READ_ROWS_MAX }
    }

    /// Reads in the background until something fails or nobody listens any more.
    pub(super) fn start(mut self, until_idle: bool) -> mpsc::Receiver<Read> {
        let (sender, receiver) = mpsc::channel(BATCHES_AHEAD_MAX);
        tokio::spawn(async move {
            loop {
                let read = tokio::select! {
                    read = self.read(!until_idle) => read,
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
    async fn read(&mut self, may_wait: bool) -> Result<Option<Batch>, Failure> {
        loop {
            let entries = self.gather(may_wait).await?;
            if entries.is_empty() {
                return Ok(None);
            }
            let prepared = prepare(&self.layout, &entries, &self.applied, self.encode);
            for at in &prepared.flushed {
                let job = entries.get(*at).and_then(|entry| self.layout.job(entry.job)).map(|job| &job.name);
                tracing::warn!(job, "Redis was flushed; the rows of the target stay as they are");
            }
            // Where nothing advances, all of it was applied before.
            if !prepared.advances.is_empty() {
                self.applied.committed(&prepared.advances);
                return Ok(Some(Batch { entries, prepared }));
            }
        }
    }

    /// The entries of a batch: as many as are there, up to the bounds. Only the first is waited for.
    async fn gather(&mut self, may_wait: bool) -> Result<Vec<Entry>, Failure> {
        let rows_max = self.layout.plan.applier.read_batch_rows_max;
        let mut entries = Vec::new();
        let mut bytes = 0;
        while entries.len() < rows_max && bytes < BATCH_BYTES_AIM {
            if self.waiting.is_empty() {
                self.fetch(may_wait && entries.is_empty()).await?;
            }
            let Some(mut entry) = self.waiting.pop_front() else { break };
            if is_thin(&entry) {
                self.complete(&mut entry).await?;
            }
            bytes += entry.record.len();
            entries.push(entry);
        }
        Ok(entries)
    }

    /// Reads what comes next in the streams.
    async fn fetch(&mut self, may_wait: bool) -> Result<(), Failure> {
        let entries = self.redis.read(&self.places, self.count, may_wait).await?;
        let Some(largest) = entries.iter().map(|entry| entry.record.len()).max() else {
            return if may_wait { self.look_for_new_streams().await } else { Ok(()) };
        };
        self.count = (BATCH_BYTES_AIM / largest.max(1) / self.places.len().max(1)).clamp(1, READ_ROWS_MAX);
        for entry in &entries {
            if let Some((_, place)) = self.places.get_mut(entry.job) {
                *place = entry.position;
            }
        }
        self.waiting.extend(entries);
        Ok(())
    }

    /// Where a stream began anew below what was read, its entries would never be seen.
    async fn look_for_new_streams(&mut self) -> Result<(), Failure> {
        for (stream, place) in &self.places {
            if self.redis.began_anew(stream, *place).await? {
                return Err(Failure::Transient(format!(
                    "the stream {stream} began anew; it is read from its beginning"
                )));
            }
        }
        Ok(())
    }

    /// Gives a record that says "read the key now" what the key holds now.
    async fn complete(&mut self, entry: &mut Entry) -> Result<(), Failure> {
        if let Some(job) = self.layout.job(entry.job)
            && let Ok(record) = redis_wb_record::decode(&entry.record)
        {
            match self.redis.complete(&job.source, &record).await? {
                Some(record) => entry.record = record,
                None => entry.is_void = true,
            }
        }
        Ok(())
    }
}
