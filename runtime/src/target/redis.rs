//! Redis: one script applies a batch's commands and moves the checkpoint, in one atomic step.
//!
//! There is no way back from a command, so what Redis refuses is told by the script itself: nothing has to be isolated.

use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use redis::aio::MultiplexedConnection;
use redis_wb_plan::RejectCode;
use redis_wb_plan::plan::{OnUpdate, RedisContent};

use super::Streams;
use crate::batch::{Entry, Prepared, Rejected};
use crate::checkpoint::{Epoch, epoch_text};
use crate::error::Failure;
use crate::layout::Layout;
use crate::lease::Fence;
use crate::position::Position;
use crate::redis_server;
use crate::shard::beside;

/// Applies a batch.
const APPLY_SCRIPT: &str = include_str!("redis/apply.lua");
/// Keeps other owners of the unit out.
const CLAIM_SCRIPT: &str = include_str!("redis/claim.lua");
/// What the field of a record begins with that was refused and may not be in the dead-letter queue yet.
const REFUSED: &str = "refused:";
/// The field that names the epoch of the last record.
const CURRENT: &str = "current";
/// How many replicas must have a batch where that is waited for.
const REPLICAS: usize = 1;

/// A record that was refused before, perhaps without having come into the dead-letter queue.
pub(crate) struct Unburied {
    /// The place of its stream.
    pub(crate) stream: usize,
    pub(crate) epoch: Epoch,
    pub(crate) position: Position,
    pub(crate) reason: String,
}

/// A connected Redis.
pub(crate) struct RedisTarget {
    layout: Arc<Layout>,
    redis: MultiplexedConnection,
    script: redis::Script,
    /// The fence of this worker.
    fence: Fence,
}

impl RedisTarget {
    pub(super) async fn connect(layout: &Arc<Layout>) -> Result<Self, Failure> {
        let plan = layout.redis().ok_or_else(|| super::missing(&layout.name))?;
        let redis = redis_server::connect(&layout.name, plan).await?;
        let mut target = Self { layout: Arc::clone(layout), redis, script: redis::Script::new(APPLY_SCRIPT), fence: 0 };
        target.look_at_server().await?;
        Ok(target)
    }

    /// Makes sure that the server can do what the plan asks.
    async fn look_at_server(&mut self) -> Result<(), Failure> {
        let name = self.layout.name.clone();
        let info: redis::InfoDict = self.query(redis::cmd("INFO").arg("cluster")).await?;
        if info.get::<u8>("cluster_enabled") == Some(1) {
            return Err(Failure::configuration(
                format!("the Redis of connection `{name}` is a cluster, which `redis.write` does not write to yet"),
                "name a Redis that is no cluster",
            ));
        }
        let mut commands: Vec<&str> = Vec::new();
        for write in self.layout.writes() {
            match (&write.content, write.on_update) {
                (RedisContent::Json(_), OnUpdate::Replace) => commands.push("JSON.SET"),
                (RedisContent::Json(_), OnUpdate::Merge) | (RedisContent::Nested { .. }, _) => {
                    commands.push("JSON.MERGE");
                }
                _ => {}
            }
        }
        for command in commands {
            let found: Vec<Value> = self.query(redis::cmd("COMMAND").arg("INFO").arg(command)).await?;
            if matches!(found.first(), None | Some(Value::Nil)) {
                return Err(Failure::configuration(
                    format!("the Redis of connection `{name}` has no command `{command}`"),
                    "load RedisJSON 2.6 or newer into it",
                ));
            }
        }
        Ok(())
    }

    async fn query<T: redis::FromRedisValue>(&mut self, command: &redis::Cmd) -> Result<T, Failure> {
        command.query_async(&mut self.redis).await.map_err(|error| redis_server::failure(&self.layout.name, &error))
    }

    fn checkpoint_key(&self, stream: &str) -> String {
        beside(stream, "checkpoint", &self.layout.name)
    }

    pub(super) async fn claim(&mut self, streams: &Arc<Streams>, fence: Fence, is_own: bool) -> Result<(), Failure> {
        self.fence = fence;
        let script = redis::Script::new(CLAIM_SCRIPT);
        let mut call = script.prepare_invoke();
        call.arg(fence).arg(u8::from(is_own));
        for stream in streams.iter() {
            call.key(self.checkpoint_key(stream));
        }
        let known: Fence = call
            .invoke_async(&mut self.redis)
            .await
            .map_err(|error| redis_server::failure(&self.layout.name, &error))?;
        if known == 0 { Ok(()) } else { Err(Failure::Fenced(known)) }
    }

    async fn kept(&mut self, stream: &str) -> Result<Vec<(String, String)>, Failure> {
        let key = self.checkpoint_key(stream);
        self.query(redis::cmd("HGETALL").arg(key)).await
    }

    pub(super) async fn checkpoint(
        &mut self,
        streams: &Arc<Streams>,
    ) -> Result<Vec<(usize, Epoch, Position)>, Failure> {
        let mut all = Vec::new();
        for stream in streams.iter() {
            let mut kept = self.kept(stream).await?;
            let current = kept.iter().find(|(field, _)| field == CURRENT).map(|(_, epoch)| epoch.clone());
            kept.sort_by_key(|(field, _)| Some(field) == current.as_ref());
            all.extend(kept.iter().filter_map(|(epoch, position)| super::kept(streams, stream, epoch, position)));
        }
        Ok(all)
    }

    /// Records that were refused, and may not be in the dead-letter queue: a worker ended in between.
    pub(super) async fn unburied(&mut self, streams: &Arc<Streams>) -> Result<Vec<Unburied>, Failure> {
        let mut all = Vec::new();
        for (at, stream) in streams.iter().enumerate() {
            for (field, reason) in self.kept(stream).await? {
                let Some((epoch, position)) = field.strip_prefix(REFUSED).and_then(|place| place.split_once(':'))
                else {
                    continue;
                };
                if let (Ok(epoch), Some(position)) =
                    (Epoch::from_str_radix(epoch, 16), Position::parse(position.as_bytes()))
                {
                    all.push(Unburied { stream: at, epoch, position, reason });
                }
            }
        }
        Ok(all)
    }

    /// Takes note that all refused records are in the dead-letter queue.
    pub(super) async fn buried(&mut self, streams: &Arc<Streams>) -> Result<(), Failure> {
        for stream in streams.iter() {
            let fields: Vec<String> = self.kept(stream).await?.into_iter().map(|(field, _)| field).collect();
            let refused: Vec<String> = fields.into_iter().filter(|field| field.starts_with(REFUSED)).collect();
            if !refused.is_empty() {
                let key = self.checkpoint_key(stream);
                let (): () = self.query(redis::cmd("HDEL").arg(key).arg(refused)).await?;
            }
        }
        Ok(())
    }

    /// Applies a batch; gives the records that were refused.
    pub(super) async fn write(
        &mut self,
        streams: &Arc<Streams>,
        entries: &[Entry],
        batch: &Prepared,
    ) -> Result<Vec<Rejected>, Failure> {
        let mut call = self.script.prepare_invoke();
        call.arg(self.fence).arg(streams.len());
        for stream in streams.iter() {
            call.arg(self.checkpoint_key(stream));
        }
        call.arg(batch.advances.len());
        for advance in &batch.advances {
            let (_, epoch, to, from) = super::step(streams, advance);
            call.arg(advance.stream + 1).arg(epoch).arg(from.unwrap_or_default()).arg(to);
            call.arg(u8::from(advance.is_last));
        }
        let places: Vec<String> = batch.commands.iter().map(|(at, _)| place(entries, *at)).collect();
        for ((_, command), place) in batch.commands.iter().zip(&places) {
            call.arg(place).arg(command.len()).arg(command);
        }
        let reply: Vec<String> = call
            .invoke_async(&mut self.redis)
            .await
            .map_err(|error| redis_server::failure(&self.layout.name, &error))?;
        match reply.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["overtaken"] => return Err(Failure::Overtaken),
            ["denied", command, key] => {
                return Err(Failure::configuration(
                    format!("the user of connection `{}` may not do `{command} {key}`", self.layout.name),
                    "give the user the rights (`ACL SETUSER`); it goes on by itself then",
                ));
            }
            _ => {}
        }
        let refused = refused(batch, &places, &reply);
        self.wait().await?;
        Ok(refused)
    }

    /// Waits until a replica has what was written, where the configuration wants that.
    async fn wait(&mut self) -> Result<(), Failure> {
        let applier = &self.layout.plan.applier;
        let (Some(timeout_ms), retries) = (applier.replica_wait_ms, applier.retry_on_replica_failure) else {
            return Ok(());
        };
        // What one reply may take is bounded; a longer wait is several.
        let timeout = Duration::from_millis(timeout_ms).min(redis_server::WAIT_SECONDS_MAX);
        loop {
            let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX).max(1);
            let replicas: usize = self.query(redis::cmd("WAIT").arg(REPLICAS).arg(timeout_ms)).await?;
            if replicas >= REPLICAS {
                return Ok(());
            }
            let connection = &self.layout.name;
            if !retries {
                tracing::warn!(connection, timeout_ms, "no replica has the batch yet; going on");
                return Ok(());
            }
            tracing::warn!(connection, timeout_ms, "no replica has the batch yet; waiting on");
        }
    }
}

/// An entry as the script knows it: stream, epoch, position.
fn place(entries: &[Entry], at: usize) -> String {
    let Some(entry) = entries.get(at) else { return String::new() };
    let epoch = redis_wb_record::decode(&entry.record).map_or(0, |record| record.epoch);
    format!("{}:{}:{}", entry.job + 1, epoch_text(epoch), entry.position)
}

/// The records behind the entries that the script names.
fn refused(batch: &Prepared, places: &[String], reply: &[String]) -> Vec<Rejected> {
    let mut refused = Vec::new();
    for pair in reply.chunks_exact(2) {
        let [entry, reason] = pair else { continue };
        let found = places.iter().position(|place| place == entry).and_then(|at| batch.commands.get(at));
        if let Some((at, command)) = found {
            let statement = command.iter().take(2).map(|word| String::from_utf8_lossy(word)).collect::<Vec<_>>();
            refused.push(Rejected {
                entry: *at,
                code: RejectCode::TargetValue,
                reason: reason.clone(),
                statement: Some(statement.join(" ")),
            });
        }
    }
    refused
}
