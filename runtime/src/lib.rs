//! Executes plans: carries change records from Redis to their targets.
//!
//! | part | what it does |
//! |---|---|
//! | [`run`] | one pipeline per connection, until the shutdown or until nothing is left |
//! | [`snapshot`] | has the keys that are there already appended to the streams |
//! | `topology` | which servers take writes, and which units of work there are |
//! | `supervisor` | keeps a unit running for every tag that is there |
//! | `primaries` | has the jobs tracked at every server that takes writes |
//! | `unit` | the pipelines of all connections over the streams of one tag |
//! | `lease` | which worker has a unit, and the fence that tells its owners apart |
//! | `workers` | which workers live, and how many units each may hold |
//! | `pipeline` | read ► evaluate ► write ► commit ► trim, for one connection |
//! | `shard` | Redis: tracking, streams, dead-letter queues, what was lost |
//! | `mend` | a snapshot of a job where Redis lost what its target has |
//! | `batch` | entries of streams into the rows of one transaction: read, then by `evaluate` and `tables` into rows |
//! | `lookup` | what the records of a batch look up in another Redis |
//! | `commands` | one change into the commands that it asks of a Redis |
//! | `isolate` | finds the records that a target refuses, and writes all others |
//! | `again` | what is put back and tried again, since what it refers to may still come |
//! | `checkpoint` | how far each stream was applied, moved in the transaction of the rows |
//! | `target` | the databases, one folder a kind |
//! | `dead_letters` | dead-letter queues for people: listed, replayed, dropped |
//! | `vitals`, `counts` | what state each pipeline is in, what it has done; kept beside the streams once a second |
//! | [`status`] | all that can be seen of the work from outside |
//! | [`metrics`] | the same, and what a worker has done, for Prometheus |
//! | [`trace`] | single changes followed through the pipeline, beside the worker |
//! | `layout`, `rows`, `position` | which jobs a connection has, encoded rows, places in a stream |
//! | `order` | places among several streams, in a cluster |
//! | [`unsafe_settings`] | settings of Redis that lose change streams |
//! | `redis_server` | connections to a Redis that a plan names |
//! | `tls` | which certificates are trusted, and our own |
//! | `secret`, `pause`, `error` | `${VAR}` and secret files, pauses between tries, what can go wrong |
//!
//! It gets a plan and nothing else: no YAML, no grammar, no SQL parser.

mod again;
mod batch;
mod checkpoint;
mod commands;
mod counts;
mod dead_letters;
mod error;
mod evaluate;
mod isolate;
mod layout;
mod lease;
mod lookup;
mod mend;
pub mod metrics;
mod order;
mod pause;
mod pipeline;
mod position;
mod primaries;
mod redis_server;
mod rows;
mod secret;
mod settings;
mod shard;
mod shutdown;
mod snapshot;
pub mod status;
mod supervisor;
mod tables;
mod target;
mod tls;
mod topology;
pub mod trace;
mod unit;
mod vitals;
mod workers;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis_wb_plan::Plan;
use redis_wb_plan::plan::{Connection, RedisConnection};
use redis_wb_plan::schema::Schema;

pub use counts::{Counts, Operation};
pub use dead_letters::{DeadLetter, DeadLetters, Pages, Replayed, Selection};
pub use error::Error;
use error::Failure;
use pause::{Pauses, wait};
pub use settings::{UnsafeSetting, unsafe_settings};
pub use shutdown::{Shutdown, Trigger};
pub use snapshot::{Progress, SnapshotOptions, Walked, snapshot};
use supervisor::Supervisor;
use topology::Topology;
pub use vitals::{Phase, Trouble, Vitals};

/// Where a Redis is, and how it is come by.
#[derive(Clone, Default)]
pub struct Server {
    /// Its address: `redis://[user:password@]host:port`, or `redis+sentinel://[user:password@]host:port,…/name` for the
    /// primary that sentinels know by this name; `rediss` for TLS. Commas separate several servers of one cluster, each
    /// of which is enough to find all others.
    pub url: String,
    /// The file with the certificates of trusted issuers, in PEM; those of the system where there is none.
    pub ca: Option<String>,
    /// The file with this worker's certificate, in PEM.
    pub cert: Option<String>,
    /// The file with its key.
    pub key: Option<String>,
}

impl fmt::Debug for Server {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The address may hold a password.
        out.write_str("Server")
    }
}

/// What a run is told besides its plan.
#[derive(Debug, Clone)]
pub struct Options {
    /// The Redis whose changes are carried over.
    pub redis: Server,
    /// Whether to end as soon as the streams are drained.
    pub until_idle: bool,
    /// How long a worker that died is waited for before another takes over.
    pub takeover: Duration,
    /// Where it tells how it is.
    pub vitals: Arc<Vitals>,
}

/// What a run has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Records that took effect, or whose job wants nothing of them.
    pub applied: u64,
    /// Records that were rejected.
    pub rejected: u64,
}

/// Carries changes over until the shutdown comes or, with [`Options::until_idle`], nothing is left.
///
/// # Errors
/// What no waiting mends: an address that is none, a Redis without the module. With [`Options::until_idle`] also
/// what somebody has to mend in the target.
pub async fn run(plan: Arc<Plan>, options: Options, shutdown: Shutdown) -> Result<Summary, Error> {
    let topology = Topology::new(&options.redis)?;
    // What is wrong here does not mend itself while the process runs.
    for (name, connection) in &plan.connections {
        target::check(connection).map_err(|failure| failure.of_connection(name))?;
    }
    for (name, connection) in &plan.redis {
        redis_server::check(name, connection).map_err(|failure| failure.of_connection(name))?;
    }
    target::check_apart(&plan)?;
    Supervisor::new(&plan, topology, &options, shutdown).run().await
}

async fn retry(connection: &str, failure: Failure, pauses: &mut Pauses, shutdown: &mut Shutdown) {
    let pause = pauses.next();
    let (error, retry_ms) = (Error::from(failure), pause.as_millis());
    tracing::warn!(connection, retry_ms, "waiting: {error}");
    wait(pause, shutdown).await;
}

/// How long a target may take to tell its tables.
const SCHEMA_SECONDS_MAX: Duration = Duration::from_secs(30);

/// A table that is asked for: its schema, where the job names one, and its name.
pub type TableName = (Option<String>, String);

/// Asks a target for tables. Those that it does not have are left out.
///
/// # Errors
/// Why it does not tell them: it does not answer, the password is wrong, this version does not connect to its kind.
pub async fn schema(connection: &Connection, tables: &[TableName]) -> Result<Schema, Error> {
    Ok(ask(connection, tables).await?)
}

/// Asks a Redis that jobs write to or look things up in: whether it answers, takes writes, and has these commands.
///
/// # Errors
/// Why it cannot be used.
pub async fn look_at_redis(name: &str, plan: &RedisConnection, commands: &BTreeSet<String>) -> Result<(), Error> {
    let asked = tokio::time::timeout(SCHEMA_SECONDS_MAX, redis_server::look_at(name, plan, commands));
    let seconds = SCHEMA_SECONDS_MAX.as_secs();
    let told =
        asked.await.unwrap_or_else(|_| Err(Failure::Transient(format!("it did not answer for {seconds} seconds"))));
    Ok(told?)
}

/// As [`schema`], but waits for a target that is not there for the moment.
///
/// # Errors
/// What somebody has to mend: the address, the password, the rights.
pub async fn wait_for_schema(
    name: &str,
    connection: &Connection,
    tables: &[TableName],
    mut shutdown: Shutdown,
) -> Result<Schema, Error> {
    let mut pauses = Pauses::new(redis_wb_plan::plan::Applier::default().retry_ms);
    loop {
        match ask(connection, tables).await {
            Ok(schema) => return Ok(schema),
            Err(failure @ Failure::Transient(_)) if !shutdown.is_requested() => {
                retry(name, failure, &mut pauses, &mut shutdown).await;
            }
            Err(failure) => return Err(failure.of_connection(name).into()),
        }
    }
}

async fn ask(connection: &Connection, tables: &[TableName]) -> Result<Schema, Failure> {
    let asked = tokio::time::timeout(SCHEMA_SECONDS_MAX, target::schema(connection, tables));
    let seconds = SCHEMA_SECONDS_MAX.as_secs();
    asked.await.unwrap_or_else(|_| Err(Failure::Transient(format!("it did not answer for {seconds} seconds"))))
}
