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

use crate::batch::{Prepared, Rejected};
use crate::checkpoint::{Advance, Epoch, epoch_text};
use crate::error::Failure;
use crate::layout::Layout;
use crate::position::Position;
use crate::rows::Encode;

/// A table that is asked for: its schema, where the job names one, and its name.
pub(crate) type TableName = (Option<String>, String);

/// A connected target.
pub(crate) enum Target {
    Postgres(postgres::Postgres),
    Sqlite(sqlite::Sqlite),
}

/// What a target says to a batch that it refused as a whole.
pub(crate) enum Probed {
    /// The rows could be written one piece after the other, and are committed.
    Committed,
    /// These rows are the culprits; nothing is written.
    Culprits(Vec<Rejected>),
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

    /// Writes the rows and moves the checkpoint, in one transaction.
    pub(crate) async fn write(&mut self, streams: &Arc<Streams>, batch: &Arc<Prepared>) -> Result<(), Failure> {
        match self {
            Self::Postgres(target) => target.write(streams, batch).await,
            Self::Sqlite(target) => target.write(streams, batch).await,
        }
    }

    /// Finds the rows that make the target refuse a batch. `at_commit`: only its commit showed it.
    pub(crate) async fn probe(
        &mut self,
        streams: &Arc<Streams>,
        batch: &Arc<Prepared>,
        at_commit: bool,
    ) -> Result<Probed, Failure> {
        match self {
            Self::Postgres(target) => target.probe(streams, batch, at_commit).await,
            Self::Sqlite(target) => target.probe(streams, batch).await,
        }
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
pub(crate) fn runs(plan: &Plan) -> Result<(), Failure> {
    let runs = |dialect| matches!(dialect, Dialect::PostgreSql | Dialect::Sqlite);
    if let Some(other) = plan.connections.values().map(|connection| connection.dialect).find(|other| !runs(*other)) {
        return Err(compile_only(other));
    }
    let strategies = plan.jobs.iter().flat_map(|job| &job.outputs).map(|output| output.strategy);
    // A batch is compacted whatever the strategy, so those for which every change counts would lose some.
    match strategies.into_iter().find(|strategy| !strategy.compacts()) {
        Some(strategy) => Err(Failure::configuration(
            format!("this version compiles `load_strategy: {}` but does not run it", strategy.word()),
            "write by `UPSERT` or `REPLACE`, or use the statements by `redis-wb compile`",
        )),
        None => Ok(()),
    }
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

/// The pieces in which a range of refused rows is tried again: halves, the first one last, as a stack wants it.
fn halves(rows: &std::ops::Range<usize>) -> [std::ops::Range<usize>; 2] {
    let middle = rows.start + (rows.end - rows.start) / 2;
    [middle..rows.end, rows.start..middle]
}
