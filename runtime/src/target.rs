//! Targets: the databases that rows are written to. One file per kind; this one only dispatches.
//!
//! A target connects, tells its tables, keeps the checkpoint, writes a batch in one transaction, and finds the rows
//! that it refuses.

mod postgres;
mod sqlite;

use std::sync::Arc;

use redis_wb_plan::Plan;
use redis_wb_plan::plan::{Connection, Dialect};
use redis_wb_plan::schema::Schema;

use crate::batch::Prepared;
use crate::checkpoint::{Advance, Epoch, epoch_text};
use crate::error::Failure;
use crate::layout::Layout;
use crate::position::Position;
use crate::rows::{Encode, OutputRows};

/// A table that is asked for: its schema, where the job names one, and its name.
pub(crate) type TableName = (Option<String>, String);

/// A connected target.
pub(crate) enum Target {
    Postgres(postgres::Postgres),
    Sqlite(sqlite::Sqlite),
}

/// The streams of a pipeline, in the order of its jobs.
pub(crate) type Streams = [String];

impl Target {
    /// How the target encodes values.
    pub(crate) const fn encode(&self) -> Encode {
        match self {
            Self::Postgres(_) => postgres::encode,
            Self::Sqlite(_) => sqlite::encode,
        }
    }

    /// Connects, makes the checkpoint table where it is missing, and prepares the statements.
    pub(crate) async fn connect(layout: &Arc<Layout>) -> Result<Self, Failure> {
        let connection = layout.connection().ok_or_else(|| missing(&layout.name))?;
        match connection.dialect {
            Dialect::PostgreSql => postgres::Postgres::connect(connection, layout).await.map(Self::Postgres),
            Dialect::Sqlite => sqlite::Sqlite::connect(connection, layout).await.map(Self::Sqlite),
            other => Err(compile_only(other)),
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
        }
    }

    /// Writes the rows and moves the checkpoint, in one transaction. Whatever fails, nothing is written.
    pub(crate) async fn write(&mut self, streams: &Arc<Streams>, batch: &Arc<Prepared>) -> Result<(), Failure> {
        match self {
            Self::Postgres(target) => target.write(streams, batch).await,
            Self::Sqlite(target) => target.write(streams, batch).await,
        }
    }

    /// Begins a transaction and moves the checkpoint in it, so that rows can be written piece by piece.
    pub(crate) async fn begin(&mut self, streams: &Arc<Streams>, batch: &Arc<Prepared>) -> Result<(), Failure> {
        match self {
            Self::Postgres(target) => target.begin(streams, batch).await,
            Self::Sqlite(target) => target.begin(streams, batch).await,
        }
    }

    /// Writes rows within the transaction, or none of them where the target refuses. `checks_deferred`: constraints
    /// that are deferred to the commit are checked at once.
    pub(crate) async fn attempt(&mut self, rows: Vec<OutputRows>, checks_deferred: bool) -> Result<(), Failure> {
        match self {
            Self::Postgres(target) => target.attempt(&rows, checks_deferred).await,
            Self::Sqlite(target) => target.attempt(rows, checks_deferred).await,
        }
    }

    /// Commits the transaction.
    pub(crate) async fn commit(&mut self) -> Result<(), Failure> {
        match self {
            Self::Postgres(target) => target.commit().await,
            Self::Sqlite(target) => target.commit().await,
        }
    }
}

/// Makes sure of all that can be known of a connection without asking for it: variables, files, numbers.
pub(crate) fn check(connection: &Connection) -> Result<(), Failure> {
    match connection.dialect {
        Dialect::PostgreSql => postgres::check(connection),
        Dialect::Sqlite => sqlite::check(connection),
        other => Err(compile_only(other)),
    }
}

/// What a connection tells of tables. Those that it does not have are left out.
pub(crate) async fn schema(connection: &Connection, tables: &[TableName]) -> Result<Schema, Failure> {
    match connection.dialect {
        Dialect::PostgreSql => postgres::schema(connection, tables).await,
        Dialect::Sqlite => sqlite::schema(connection, tables),
        other => Err(compile_only(other)),
    }
}

/// Refuses a plan with something in it that is compiled, but not run, before anything is captured for it.
pub(crate) fn check_features(plan: &Plan) -> Result<(), Failure> {
    for job in &plan.jobs {
        let lookup = job.lookups().map(|_| "`redis.lookup`");
        if let Some(feature) = lookup.chain(job.redis.iter().map(|_| "`redis.write`")).next() {
            return Err(Failure::configuration(
                format!("this version compiles {feature} but does not run it (job `{}`)", job.name),
                "leave it out, or use what `redis-wb compile` prints",
            ));
        }
    }
    Ok(())
}

fn compile_only(dialect: Dialect) -> Failure {
    Failure::configuration(
        format!("this version compiles for {} but does not run against it", dialect.title()),
        "run against `postgresql` or `sqlite`, or use the statements by `redis-wb compile`",
    )
}

fn missing(name: &str) -> Failure {
    Failure::configuration(format!("the plan has no connection `{name}`"), "compile the jobs again")
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
