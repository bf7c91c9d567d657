//! One unit of work: the streams of one hash tag, and the pipelines of all connections over them. Knows no target.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::pipeline::Pipeline;
use crate::shard::Shard;
use crate::supervisor::{Common, broken};
use crate::topology::Tag;
use crate::{Error, Shutdown};

/// A unit, as long as its tag is there.
pub(crate) struct Unit {
    common: Arc<Common>,
    tag: Tag,
    /// The server that owns it now.
    shard: watch::Receiver<Shard>,
    stop: Shutdown,
}

impl Unit {
    pub(crate) fn new(common: Arc<Common>, tag: Tag, shard: watch::Receiver<Shard>, stop: Shutdown) -> Self {
        Self { common, tag, shard, stop }
    }

    /// Runs until it is stopped or, if that is asked for, nothing is left to do.
    pub(crate) async fn run(mut self) -> Result<(), Error> {
        loop {
            let shard = self.shard.borrow_and_update().clone();
            if let Some(ended) = self.work(&shard).await {
                return ended;
            }
        }
    }

    /// Works at one server; `None` where another owns the unit now.
    async fn work(&mut self, shard: &Shard) -> Option<Result<(), Error>> {
        let (trigger, stop) = Shutdown::new();
        let mut pipelines = JoinSet::new();
        for layout in &self.common.layouts {
            let pipeline = Pipeline::new(
                Arc::clone(&self.common),
                Arc::clone(layout),
                self.tag.clone(),
                shard.clone(),
                stop.clone(),
            );
            pipelines.spawn(pipeline.run());
        }
        let mut failed = None;
        loop {
            tokio::select! {
                ended = pipelines.join_next() => match ended {
                    Some(ended) => failed = failed.or(ended.unwrap_or_else(|error| Err(broken(&error))).err()),
                    None => return Some(failed.map_or(Ok(()), Err)),
                },
                () = self.stop.requested(), if !stop.is_requested() => trigger.trigger(),
                // Whatever is under way is read again there, and skipped where it was committed.
                Ok(()) = self.shard.changed() => return None,
            }
        }
    }
}
