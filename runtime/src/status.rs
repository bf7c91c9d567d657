//! What can be seen of all work from outside, whether a worker runs or not: streams, leases, and what workers told of
//! their pipelines. Reads Redis only, and knows no plan.

use std::collections::HashMap;
use std::time::Duration;

use redis::Value;
use tokio::time::timeout;

use crate::counts::{Counts, Operation};
use crate::error::Failure;
use crate::shard::{Connection, Shard, beside};
use crate::topology::{Tag, Topology};
use crate::vitals::{Phase, Trouble};
use crate::workers::living;
use crate::{Error, Server};

/// Tells all that is known of one stream.
const LOOK_SCRIPT: &str = include_str!("status/look.lua");
/// The most entries that are counted one by one, and the most bytes that they may have.
const COUNTED_ROWS_MAX: u64 = 1_000;
const COUNTED_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// How long one server may take to tell of all its streams.
const ANSWER_SECONDS_MAX: Duration = Duration::from_secs(5);
/// A worker that told nothing for longer is silent, in milliseconds.
const SILENT_MS: u64 = 10_000;

/// All that was seen at one moment.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// Every stream: of each job one in each unit.
    pub streams: Vec<StreamStatus>,
    /// Every server that takes writes.
    pub servers: Vec<ServerStatus>,
    /// The workers that have units.
    pub workers: Vec<String>,
    /// Those that live and have none.
    pub standing_by: Vec<String>,
    /// What could not be seen, and why.
    pub failed: Vec<String>,
}

/// A stream: a job in a unit.
#[derive(Debug, Clone)]
pub struct StreamStatus {
    /// The job.
    pub job: String,
    /// The hash tag of the unit.
    pub unit: String,
    /// The stream's key.
    pub name: String,
    /// The server that has it.
    pub server: String,
    /// How many entries it has.
    pub entries: u64,
    /// How much memory it takes.
    pub bytes: u64,
    /// How many rejected records its dead-letter queue has.
    pub dead_letters: u64,
    /// Whether a snapshot of the job is under way.
    pub is_walked: bool,
    /// The worker that has the lease of the unit.
    pub worker: Option<String>,
    /// Since when it has it, in milliseconds since 1970; 0 where that is not known.
    pub worker_since_ms: u64,
    /// The connections that it is carried over to.
    pub connections: Vec<ConnectionStatus>,
    /// When this was seen, by the clock of the server, in milliseconds since 1970.
    pub at_ms: u64,
}

/// A connection that a stream is carried over to.
#[derive(Debug, Clone)]
pub struct ConnectionStatus {
    /// Its name.
    pub name: String,
    /// The state of the job there.
    pub phase: Phase,
    /// Since when, in milliseconds since 1970; 0 where that is not known.
    pub since_ms: u64,
    /// How many entries are not applied there.
    pub lag_rows: u64,
    /// Whether that is only the least: few can be counted one by one.
    pub has_more: bool,
    /// The age of the oldest of them, in milliseconds.
    pub lag_ms: u64,
    /// How many records a second were applied of late.
    pub rate: f64,
    /// For how long the target has not answered, in seconds.
    pub writing_s: u64,
    /// When something was committed last, in milliseconds since 1970.
    pub committed_ms: Option<u64>,
    /// What went wrong last. It may have passed.
    pub trouble: Option<Trouble>,
    /// What became of the records, in the last days.
    pub counts: Counts,
}

/// A server that takes writes.
#[derive(Debug, Clone)]
pub struct ServerStatus {
    /// Its address.
    pub name: String,
    /// The counters of capture: the names that `INFO wb` has for them.
    pub capture: Vec<(String, u64)>,
    /// Why capture could not append a record, the last time that it could not.
    pub last_error: String,
    /// The setting that would lose change streams or rules, and what to do; empty where there is none.
    pub unsafe_setting: String,
    /// How much memory it has in use.
    pub memory_bytes: u64,
    /// How much it may have; 0 for as much as there is.
    pub memory_bytes_max: u64,
}

/// Looks at all work again and again.
pub struct Observer {
    topology: Topology,
    connections: HashMap<String, Connection>,
}

impl Observer {
    /// Of the work at a Redis.
    ///
    /// # Errors
    /// Where the address is none.
    pub fn new(redis: &Server) -> Result<Self, Error> {
        Ok(Self { topology: Topology::new(redis)?, connections: HashMap::new() })
    }

    /// Looks once.
    ///
    /// # Errors
    /// Where no server of Redis can be asked.
    pub async fn look(&mut self) -> Result<Status, Error> {
        let found = timeout(ANSWER_SECONDS_MAX, self.topology.look()).await;
        let shards = found.unwrap_or_else(|_| Err(Failure::Transient("Redis does not answer".to_owned())))?;
        let mut status = Status::default();
        let mut refused = None;
        for server in &shards.primaries {
            let own: Vec<&Tag> =
                shards.units.iter().filter(|(_, shard)| *shard == server).map(|(tag, _)| tag).collect();
            let looked = timeout(ANSWER_SECONDS_MAX, self.look_at(server, &own, &mut status)).await;
            if let Err(failure) =
                looked.unwrap_or_else(|_| Err(Failure::Transient(format!("{server} does not answer"))))
            {
                self.connections.remove(&server.to_string());
                let error = Error::from(failure);
                status.failed.push(error.to_string());
                refused = Some(error);
            }
        }
        if let Some(error) = refused.filter(|_| status.failed.len() >= shards.primaries.len()) {
            return Err(error);
        }
        status.streams.sort_by(|one, other| (&one.job, &one.unit).cmp(&(&other.job, &other.unit)));
        status.workers = status.streams.iter().filter_map(|stream| stream.worker.clone()).collect();
        status.workers.sort();
        status.workers.dedup();
        status.standing_by = self.living(&shards.registry).await;
        status.standing_by.retain(|worker| !status.workers.contains(worker));
        Ok(status)
    }

    /// The workers that live; none where that is not told.
    async fn living(&mut self, registry: &Shard) -> Vec<String> {
        let Some(redis) = self.connections.get_mut(&registry.to_string()) else { return Vec::new() };
        match timeout(ANSWER_SECONDS_MAX, living(redis)).await {
            Ok(Ok(living)) => living,
            _ => Vec::new(),
        }
    }

    async fn look_at(&mut self, server: &Shard, units: &[&Tag], status: &mut Status) -> Result<(), Failure> {
        let name = server.to_string();
        let redis = match self.connections.entry(name.clone()) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(place) => place.insert(server.connect().await?),
        };
        let address = name.strip_prefix("Redis at ").unwrap_or(&name).to_owned();
        let rules = redis.rules().await?;
        for tag in units {
            for rule in &rules {
                if let Some(stream) = look_at_stream(redis, &address, tag, &rule.name).await? {
                    status.streams.push(stream);
                }
            }
        }
        let info: redis::InfoDict = redis.query(redis::cmd("INFO").arg("wb").arg("memory")).await?;
        let count = |name: &str| Some((name.to_owned(), info.get::<u64>(&format!("wb_{name}"))?));
        status.servers.push(ServerStatus {
            name: address,
            capture: ["rules", "records", "bytes", "thin", "failed", "waiting"].into_iter().filter_map(count).collect(),
            last_error: info.get("wb_last_error").unwrap_or_default(),
            unsafe_setting: info.get("wb_unsafe_setting").unwrap_or_default(),
            memory_bytes: info.get("used_memory").unwrap_or_default(),
            memory_bytes_max: info.get("maxmemory").unwrap_or_default(),
        });
        Ok(())
    }
}

async fn look_at_stream(
    redis: &mut Connection,
    server: &str,
    tag: &Tag,
    job: &str,
) -> Result<Option<StreamStatus>, Failure> {
    let name = tag.stream(job);
    let script = redis::Script::new(LOOK_SCRIPT);
    let mut call = script.prepare_invoke();
    call.key(&name).key(beside(&name, "applied", "")).key(format!("dlq:{name}"));
    call.key(beside(&name, "snapshot", "")).key(tag.key("lease")).key(beside(&name, "state", ""));
    call.arg(beside(&name, "state", "")).arg(COUNTED_ROWS_MAX).arg(COUNTED_BYTES_MAX);
    let reply: Vec<Value> = redis.invoke(&call).await?;
    let [now, entries, bytes, dead_letters, is_walked, owner, ends, since, fence, connections] = reply.as_slice()
    else {
        return Ok(None);
    };
    let at_ms = number(now);
    let lease = Lease {
        owner: Some(text(owner)).filter(|owner| !owner.is_empty() && number(ends) > at_ms),
        since_ms: number(since),
        fence: number(fence),
    };
    Ok(Some(StreamStatus {
        job: job.to_owned(),
        unit: tag.to_string(),
        name,
        server: server.to_owned(),
        entries: number(entries),
        bytes: number(bytes),
        dead_letters: number(dead_letters),
        is_walked: number(is_walked) > 0,
        connections: list(connections).iter().map(|connection| told(list(connection), at_ms, &lease)).collect(),
        worker_since_ms: if lease.owner.is_some() { lease.since_ms } else { 0 },
        worker: lease.owner,
        at_ms,
    }))
}

/// The lease of a unit.
struct Lease {
    /// Whoever has it now.
    owner: Option<String>,
    since_ms: u64,
    fence: u64,
}

/// What is told of one connection.
fn told(reply: &[Value], at_ms: u64, lease: &Lease) -> ConnectionStatus {
    let part = |at: usize| reply.get(at).unwrap_or(&Value::Nil);
    let fields: HashMap<String, String> =
        list(part(4)).chunks_exact(2).filter_map(|pair| Some((text(pair.first()?), text(pair.get(1)?)))).collect();
    let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
    let count = |name: &str| field(name).parse::<u64>().unwrap_or_default();
    let oldest = text(part(3));
    let oldest_ms = oldest.split('-').next().and_then(|ms| ms.parse::<u64>().ok());
    let mut counts = Counts::default();
    for operation in Operation::ALL {
        counts.add(operation, count(operation.word()));
    }
    let is_fresh = count("fence") == lease.fence && at_ms.saturating_sub(count("at")) <= SILENT_MS;
    let phase = match (&lease.owner, is_fresh) {
        (None, _) => Phase::Unattended,
        (Some(_), true) => Phase::of(field("state")).unwrap_or(Phase::Silent),
        // Whoever has just come has not told of anything yet.
        (Some(_), false) if at_ms.saturating_sub(lease.since_ms) <= SILENT_MS => Phase::Starting,
        (Some(_), false) => Phase::Silent,
    };
    let trouble = Trouble {
        code: field("code").to_owned(),
        message: field("message").to_owned(),
        help: field("help").to_owned(),
        at_ms: count("trouble"),
    };
    ConnectionStatus {
        name: text(part(0)),
        phase,
        since_ms: if is_fresh && phase != Phase::Unattended { count("since") } else { 0 },
        lag_rows: number(part(1)),
        has_more: number(part(2)) > 0,
        lag_ms: oldest_ms.map_or(0, |ms| at_ms.saturating_sub(ms)),
        rate: if is_fresh { field("rate").parse().unwrap_or_default() } else { 0.0 },
        writing_s: if is_fresh { count("writing_s") } else { 0 },
        committed_ms: Some(count("committed")).filter(|ms| *ms > 0),
        trouble: Some(trouble).filter(|trouble| !trouble.code.is_empty()),
        counts,
    }
}

fn list(value: &Value) -> &[Value] {
    match value {
        Value::Array(items) | Value::Set(items) => items,
        _ => &[],
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::SimpleString(text) => text.clone(),
        Value::Int(number) => number.to_string(),
        _ => String::new(),
    }
}

fn number(value: &Value) -> u64 {
    match value {
        Value::Int(number) => u64::try_from(*number).unwrap_or_default(),
        other => text(other).parse().unwrap_or_default(),
    }
}
