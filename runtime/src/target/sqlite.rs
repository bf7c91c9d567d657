//! SQLite: one thread owns the file's connection and writes row by row, in one transaction a batch.

mod encode;
mod failure;
mod schema;
mod thread;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use redis_wb_plan::Statement;
use redis_wb_plan::plan::Connection as PlanConnection;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ToSql, Transaction, TransactionBehavior};

use super::{Probed, Streams, halves, kept, step};
use crate::batch::{Prepared, Rejected};
use crate::checkpoint::{Advance, Epoch, TABLE};
use crate::error::Failure;
use crate::layout::Layout;
use crate::position::Position;
use crate::rows::RowSet;
use crate::secret::expand;
pub(super) use encode::encode;
pub(super) use schema::schema;
use thread::Writer;

/// How long to wait for another process that writes to the file.
const BUSY_SECONDS_MAX: Duration = Duration::from_secs(5);
/// Prepared statements that are kept: two of each output, and a few of our own.
const STATEMENTS_MAX: usize = 4_096;

/// A SQLite file with its writer thread.
pub(crate) struct Sqlite {
    writer: Writer,
    layout: Arc<Layout>,
}

impl Sqlite {
    pub(super) async fn connect(connection: &PlanConnection, layout: &Arc<Layout>) -> Result<Self, Failure> {
        let path = path(connection)?;
        let writer = Writer::start(move || open(&path))?;
        let sqlite = Self { writer, layout: Arc::clone(layout) };
        let own = Arc::clone(&sqlite.layout);
        sqlite.writer.run(move |file| prepare_all(file, &own)).await?;
        Ok(sqlite)
    }

    pub(super) async fn checkpoint(
        &mut self,
        streams: &Arc<Streams>,
    ) -> Result<Vec<(usize, Epoch, Position)>, Failure> {
        let streams = Arc::clone(streams);
        self.writer
            .run(move |file| {
                let sql = format!("SELECT stream, epoch, position FROM {TABLE} ORDER BY updated_at");
                let mut select = file.prepare_cached(&sql)?;
                let rows = select.query_map([], |row| {
                    let (stream, epoch, position): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
                    Ok(kept(&streams, &stream, &epoch, &position))
                })?;
                Ok(rows.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
            })
            .await
    }

    pub(super) async fn write(&mut self, streams: &Arc<Streams>, batch: &Arc<Prepared>) -> Result<(), Failure> {
        let (layout, streams, batch) = (Arc::clone(&self.layout), Arc::clone(streams), Arc::clone(batch));
        self.writer
            .run(move |file| {
                let transaction = begin(file, &streams, &batch.advances)?;
                for piece in pieces(&layout, &batch) {
                    for row in 0..piece.set.len() {
                        piece.write(&transaction, row)?;
                    }
                }
                commit(transaction)
            })
            .await
    }

    /// A statement writes one row and fails alone, so each row is simply tried.
    pub(super) async fn probe(&mut self, streams: &Arc<Streams>, batch: &Arc<Prepared>) -> Result<Probed, Failure> {
        let (layout, streams, batch) = (Arc::clone(&self.layout), Arc::clone(streams), Arc::clone(batch));
        self.writer
            .run(move |file| {
                let mut transaction = begin(file, &streams, &batch.advances)?;
                let mut culprits = Vec::new();
                for piece in pieces(&layout, &batch) {
                    piece.probe(&mut transaction, &mut culprits)?;
                }
                if culprits.is_empty() {
                    commit(transaction)?;
                    return Ok(Probed::Committed);
                }
                transaction.rollback()?;
                Ok(Probed::Culprits(culprits))
            })
            .await
    }
}

/// The rows of one statement.
struct Piece<'p> {
    statement: &'p Statement,
    set: &'p RowSet,
}

/// A cell of a row, bound in place.
struct Cell<'c>(&'c [u8]);

impl ToSql for Cell<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(encode::decode(self.0)))
    }
}

impl Piece<'_> {
    fn write(&self, transaction: &Transaction<'_>, row: usize) -> Result<(), Failure> {
        let mut statement = transaction.prepare_cached(&self.statement.sql)?;
        statement.execute(rusqlite::params_from_iter(self.cells(row))).map_err(failure::of)?;
        Ok(())
    }

    /// The parameters of one row.
    fn cells(&self, row: usize) -> impl Iterator<Item = Cell<'_>> {
        let columns = self.statement.params.iter().filter_map(|param| self.set.columns.get(param.column));
        columns.map(move |cells| Cell(cells.cell(row)))
    }

    /// Writes what can be written, in ever smaller parts behind savepoints, and names the rows that cannot.
    fn probe(&self, transaction: &mut Transaction<'_>, culprits: &mut Vec<Rejected>) -> Result<(), Failure> {
        let all = 0..self.set.len();
        let mut open = vec![all];
        while let Some(rows) = open.pop() {
            let savepoint = transaction.savepoint()?;
            let written = rows.clone().try_for_each(|row| {
                let mut statement = savepoint.prepare_cached(&self.statement.sql)?;
                statement.execute(rusqlite::params_from_iter(self.cells(row))).map_err(failure::of)?;
                Ok(())
            });
            match written {
                Ok(()) => savepoint.commit()?,
                Err(Failure::Refused { code, reason, .. }) if rows.len() == 1 => {
                    let entry = self.set.entries.get(rows.start).copied().unwrap_or_default();
                    culprits.push(Rejected { entry, code, reason, statement: Some(self.statement.sql.clone()) });
                }
                Err(Failure::Refused { .. }) => open.extend(halves(&rows)),
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }
}

/// Deletes before upserts, so that a row can take over what another gave up.
fn pieces<'p>(layout: &'p Layout, batch: &'p Prepared) -> Vec<Piece<'p>> {
    let outputs = layout.outputs().zip(&batch.outputs);
    outputs
        .flat_map(|((_, output), rows)| {
            let deletes = output.delete.iter().map(|statement| Piece { statement, set: &rows.deletes });
            deletes.chain(output.write.iter().map(|statement| Piece { statement, set: &rows.upserts }))
        })
        .collect()
}

/// The file of a connection. A relative path counts from the folder that the worker was started in.
fn path(connection: &PlanConnection) -> Result<PathBuf, Failure> {
    let database = connection.database.as_ref().ok_or_else(|| {
        Failure::configuration("a sqlite connection names no file", "write `database: path/of/the/file.db`")
    })?;
    Ok(PathBuf::from(expand(database)?))
}

fn open(path: &PathBuf) -> Result<Connection, Failure> {
    let file = Connection::open(path)?;
    file.busy_timeout(BUSY_SECONDS_MAX)?;
    // WAL lets others read while rows are written. FULL: what is committed stays, so the stream may be trimmed.
    file.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;")?;
    file.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    file.execute_batch(&format!(
        "CREATE TABLE IF NOT EXISTS {TABLE} (\
           stream TEXT NOT NULL, epoch TEXT NOT NULL, position TEXT NOT NULL, \
           fence INTEGER NOT NULL, updated_at TEXT NOT NULL, PRIMARY KEY (stream, epoch))"
    ))?;
    Ok(file)
}

/// Finds out at once what a statement lacks.
fn prepare_all(file: &mut Connection, layout: &Layout) -> Result<(), Failure> {
    for (_, output) in layout.outputs() {
        for statement in output.delete.iter().chain(&output.write) {
            file.prepare_cached(&statement.sql).map_err(failure::of)?;
        }
    }
    Ok(())
}

/// Begins a transaction and moves the checkpoint in it.
fn begin<'f>(file: &'f mut Connection, streams: &Streams, advances: &[Advance]) -> Result<Transaction<'f>, Failure> {
    let transaction = file.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for advance in advances {
        let (stream, epoch, to, from) = step(streams, advance);
        let mut insert = transaction.prepare_cached(&format!(
            "INSERT INTO {TABLE} (stream, epoch, position, fence, updated_at) \
             VALUES (?1, ?2, ?3, 0, strftime('%Y-%m-%d %H:%M:%f', 'now')) \
             ON CONFLICT (stream, epoch) DO UPDATE SET position = excluded.position, updated_at = excluded.updated_at \
             WHERE {TABLE}.position = ?4"
        ))?;
        if insert.execute(rusqlite::params![stream, epoch, to, from])? != 1 {
            return Err(Failure::Overtaken);
        }
    }
    Ok(transaction)
}

fn commit(transaction: Transaction<'_>) -> Result<(), Failure> {
    transaction.commit().map_err(|error| match failure::of(error) {
        Failure::Refused { code, reason, .. } => Failure::Refused { code, reason, at_commit: true },
        other => other,
    })
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        failure::of(error)
    }
}

/// What a cell holds, for SQLite.
type Held<'c> = ValueRef<'c>;
