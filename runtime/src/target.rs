//! Targets: the databases that rows are written to, and the Redis that commands go to. One file per kind; this one only
//! dispatches. `steps` is the order of writes, for those kinds that take rows one behind the other.
//!
//! A target connects, tells its tables, keeps the checkpoint, writes a batch in one atomic step with it, and finds the
//! rows that it refuses; a Redis, which takes nothing back, tells what it refused.

mod meaning;
mod mysql;
mod postgres;
mod redis;
mod sqlite;
mod steps;

use std::sync::Arc;

use redis_wb_plan::plan::{Connection, Dialect, Output};
use redis_wb_plan::schema::Schema;
use redis_wb_plan::{ColumnType, Plan, Value};

use crate::TableName;
use crate::batch::{Entry, Prepared, Rejected};
use crate::checkpoint::{Advance, Epoch, TABLE, epoch_text};
use crate::error::Failure;
use crate::layout::Layout;
use crate::lease::Fence;
use crate::position::Position;
use crate::rows::{Encode, OutputRows};
use crate::secret::expand;

pub(crate) use redis::Unburied;
pub(crate) use steps::Bound;

/// A connected target.
pub(crate) enum Target {
    Postgres(postgres::Postgres),
    Sqlite(sqlite::Sqlite),
    MySql(Box<mysql::MySql>),
    Redis(redis::RedisTarget),
}

/// The streams of a pipeline, in the order of its jobs.
pub(crate) type Streams = [String];

impl Target {
    /// How the target encodes values.
    pub(crate) const fn encode(&self) -> Encode {
        match self {
            Self::Postgres(_) => postgres::encode,
            Self::Sqlite(_) => sqlite::encode,
            Self::MySql(_) => mysql::encode,
            Self::Redis(_) => no_cells,
        }
    }

    /// Connects, makes the checkpoint table where it is missing, and prepares the statements.
    pub(crate) async fn connect(layout: &Arc<Layout>) -> Result<Self, Failure> {
        let Some(connection) = layout.connection() else {
            return redis::RedisTarget::connect(layout).await.map(Self::Redis);
        };
        match connection.dialect {
            Dialect::PostgreSql => postgres::Postgres::connect(connection, layout).await.map(Self::Postgres),
            Dialect::Sqlite => sqlite::Sqlite::connect(connection, layout).await.map(Self::Sqlite),
            Dialect::MariaDb | Dialect::MySql => {
                mysql::MySql::connect(connection, layout).await.map(Box::new).map(Self::MySql)
            }
            other => Err(compile_only(other)),
        }
    }

    /// Writes the fence of this worker beside the checkpoint of each stream, so that no earlier owner commits anything
    /// from here on. A greater fence there is that of a later owner; an equal one counts as such where this worker has
    /// not written it itself (`is_own`), since a Redis that lost the last lease may give out a fence twice.
    pub(crate) async fn claim(&mut self, streams: &Arc<Streams>, fence: Fence, is_own: bool) -> Result<(), Failure> {
        match self {
            Self::Postgres(target) => target.claim(streams, fence, is_own).await,
            Self::Sqlite(target) => target.claim(streams, fence, is_own).await,
            Self::MySql(target) => target.claim(streams, fence, is_own).await,
            Self::Redis(target) => target.claim(streams, fence, is_own).await,
        }
    }

    /// The positions that the checkpoint table keeps for the streams, the last written last.
    pub(crate) async fn checkpoint(
        &mut self,
        streams: &Arc<Streams>,
    ) -> Result<Vec<(usize, Epoch, Position)>, Failure> {
        match self {
            Self::Postgres(target) => target.checkpoint(streams).await,
            Self::Sqlite(target) => target.checkpoint(streams).await,
            Self::MySql(target) => target.checkpoint(streams).await,
            Self::Redis(target) => target.checkpoint(streams).await,
        }
    }

    /// Writes the rows and moves the checkpoint, in one transaction. Whatever fails, nothing is written. Gives the
    /// records that were refused where the target tells them itself; see [`Self::buried`].
    pub(crate) async fn write(
        &mut self,
        streams: &Arc<Streams>,
        entries: &[Entry],
        batch: &Arc<Prepared>,
    ) -> Result<Vec<Rejected>, Failure> {
        match self {
            Self::Postgres(target) => target.write(streams, batch).await.map(|()| Vec::new()),
            Self::Sqlite(target) => target.write(streams, batch).await.map(|()| Vec::new()),
            Self::MySql(target) => target.write(streams, batch).await.map(|()| Vec::new()),
            Self::Redis(target) => target.write(streams, entries, batch).await,
        }
    }

    /// Gives a sign of life, where the target would end a connection that gives none; finds a connection that ended.
    pub(crate) async fn ping(&mut self) -> Result<(), Failure> {
        match self {
            Self::MySql(target) => target.ping().await,
            Self::Postgres(target) => target.is_there(),
            Self::Sqlite(_) | Self::Redis(_) => Ok(()),
        }
    }

    /// Records that were refused earlier and may not be in the dead-letter queue yet.
    pub(crate) async fn unburied(&mut self, streams: &Arc<Streams>) -> Result<Vec<Unburied>, Failure> {
        match self {
            Self::Redis(target) => target.unburied(streams).await,
            _ => Ok(Vec::new()),
        }
    }

    /// Takes note that all records that [`Self::write`] gave back are in the dead-letter queue.
    pub(crate) async fn buried(&mut self, streams: &Arc<Streams>) -> Result<(), Failure> {
        match self {
            Self::Redis(target) => target.buried(streams).await,
            _ => Ok(()),
        }
    }

    /// Begins a transaction and moves the checkpoint in it, so that rows can be written piece by piece.
    pub(crate) async fn begin(&mut self, streams: &Arc<Streams>, batch: &Arc<Prepared>) -> Result<(), Failure> {
        match self {
            Self::Postgres(target) => target.begin(streams, batch).await,
            Self::Sqlite(target) => target.begin(streams, batch).await,
            Self::MySql(target) => target.begin(streams, batch).await,
            Self::Redis(_) => Err(never_isolated()),
        }
    }

    /// Writes rows within the transaction, or none of them where the target refuses. `checks_deferred`: constraints
    /// that are deferred to the commit are checked at once.
    pub(crate) async fn attempt(&mut self, rows: Vec<OutputRows>, checks_deferred: bool) -> Result<(), Failure> {
        match self {
            Self::Postgres(target) => target.attempt(&rows, checks_deferred).await,
            Self::Sqlite(target) => target.attempt(rows, checks_deferred).await,
            Self::MySql(target) => target.attempt(&rows).await,
            Self::Redis(_) => Err(never_isolated()),
        }
    }

    /// Commits the transaction.
    pub(crate) async fn commit(&mut self) -> Result<(), Failure> {
        match self {
            Self::Postgres(target) => target.commit().await,
            Self::Sqlite(target) => target.commit().await,
            Self::MySql(target) => target.commit().await,
            Self::Redis(_) => Err(never_isolated()),
        }
    }
}

/// Makes sure of all that can be known of a connection without asking for it: variables, files, numbers.
pub(crate) fn check(connection: &Connection) -> Result<(), Failure> {
    match connection.dialect {
        Dialect::PostgreSql => postgres::check(connection),
        Dialect::Sqlite => sqlite::check(connection),
        Dialect::MariaDb | Dialect::MySql => mysql::check(connection),
        other => Err(compile_only(other)),
    }
}

/// Makes sure that no job writes to one database by two connections: their checkpoint would be one, and each would take
/// for applied what the other applied.
pub(crate) fn check_apart(plan: &Plan) -> Result<(), Failure> {
    for job in &plan.jobs {
        let mut known: Vec<(&str, String)> = Vec::new();
        for Output { connection: name, .. } in &job.outputs {
            let Some(connection) = plan.connections.get(name) else { continue };
            if known.iter().any(|(known, _)| known == name) {
                continue;
            }
            let place = place(connection)?;
            if let Some((other, _)) = known.iter().find(|(_, known)| *known == place) {
                return Err(Failure::configuration(
                    format!("the connections `{other}` and `{name}` of job `{}` are one database", job.name),
                    "name the same connection in all outputs of the job",
                ));
            }
            known.push((name, place));
        }
    }
    Ok(())
}

/// Where a connection leads. Another user may have tables of the same names elsewhere.
fn place(connection: &Connection) -> Result<String, Failure> {
    let Connection { dialect, hosts, port, database, user, .. } = connection;
    let parts = hosts.iter().chain(port).chain(database).chain(user);
    let parts = parts.map(|part| expand(part)).collect::<Result<Vec<_>, _>>()?;
    Ok(format!("{dialect:?} {}", parts.join(" ")))
}

/// What a connection tells of tables. Those that it does not have are left out.
pub(crate) async fn schema(connection: &Connection, tables: &[TableName]) -> Result<Schema, Failure> {
    match connection.dialect {
        Dialect::PostgreSql => postgres::schema(connection, tables).await,
        Dialect::Sqlite => sqlite::schema(connection, tables),
        Dialect::MariaDb | Dialect::MySql => mysql::schema(connection, tables).await,
        other => Err(compile_only(other)),
    }
}

/// The statements of a batch for people, in order, each with its parameters.
pub(crate) fn statements(layout: &Layout, outputs: &[OutputRows]) -> Vec<(String, Vec<Bound>)> {
    steps::texts(layout, outputs)
}

/// A Redis has no rows of cells.
fn no_cells(_: &Value<'_>, _: &ColumnType, _: &mut Vec<u8>) {}

/// A Redis tells itself what it refuses.
fn never_isolated() -> Failure {
    Failure::Transient("a batch for Redis is written as a whole".to_owned())
}

/// What it means that the table of positions is not there and could not be made.
fn unmade(failure: Failure, create: &str) -> Failure {
    match failure {
        Failure::Configuration { message, .. } => Failure::configuration(
            format!("the table `{TABLE}`, which keeps the positions, cannot be made: {message}"),
            format!("let the user make it, or make it and grant SELECT, INSERT and UPDATE on it: {create}"),
        ),
        other => other,
    }
}

fn compile_only(dialect: Dialect) -> Failure {
    Failure::configuration(
        format!("this version compiles for {} but does not run against it", dialect.title()),
        "run against `postgresql`, `mariadb`, `mysql` or `sqlite`, or use the statements by `redis-wb compile`",
    )
}

fn missing(name: &str) -> Failure {
    Failure::configuration(format!("the plan has no connection `{name}`"), "compile the jobs again")
}

/// A fence as the integers of SQL have it.
fn sql_fence(fence: Fence) -> i64 {
    i64::try_from(fence).unwrap_or(i64::MAX)
}

/// Whether a claim fails on a fence that the target knows.
const fn is_fenced(known: i64, own: i64, is_own: bool) -> bool {
    known > own || (known == own && !is_own)
}

/// That a claim failed, or a step of a claimed stream.
fn fenced(known: i64) -> Failure {
    Failure::Fenced(Fence::try_from(known).unwrap_or_default())
}

/// A step of the checkpoint in words of the table: stream, epoch, new position, old position.
fn step<'s>(streams: &'s Streams, advance: &Advance) -> (&'s str, String, String, Option<String>) {
    let stream = streams.get(advance.stream).map_or("", String::as_str);
    (stream, epoch_text(advance.epoch), advance.to.to_string(), advance.from.map(|from| from.to_string()))
}

/// A row of the checkpoint table.
fn kept(streams: &Streams, stream: &str, epoch: &str, position: &str) -> Option<(usize, Epoch, Position)> {
    let at = streams.iter().position(|name| name == stream)?;
    Some((at, Epoch::from_str_radix(epoch, 16).ok()?, Position::parse(position.as_bytes())?))
}
