//! SQLite: one thread owns the file's connection and writes row by row, in one transaction a batch.

mod encode;
pub(super) mod failure;
mod schema;
mod thread;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use redis_wb_plan::RejectCode;
use redis_wb_plan::plan::Connection as PlanConnection;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension as _, ToSql};

use super::steps::steps;
use super::{Streams, fenced, is_fenced, kept, sql_fence, step};
use crate::batch::Prepared;
use crate::checkpoint::{Advance, Epoch, FENCE_ROW, TABLE};
use crate::error::Failure;
use crate::layout::Layout;
use crate::lease::Fence;
use crate::position::Position;
use crate::rows::OutputRows;
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
    /// The fence of this worker.
    fence: i64,
}

impl Sqlite {
    pub(super) async fn connect(connection: &PlanConnection, layout: &Arc<Layout>) -> Result<Self, Failure> {
        let path = path(connection)?;
        let writer = Writer::start(move || open(&path)).await?;
        let sqlite = Self { writer, layout: Arc::clone(layout), fence: 0 };
        let own = Arc::clone(&sqlite.layout);
        sqlite.writer.run(move |file| prepare_all(file, &own)).await?;
        Ok(sqlite)
    }

    pub(super) async fn claim(&mut self, streams: &Arc<Streams>, fence: Fence, is_own: bool) -> Result<(), Failure> {
        self.fence = sql_fence(fence);
        let (streams, fence) = (Arc::clone(streams), self.fence);
        self.writer
            .run(move |file| {
                roll_back(file)?;
                let claimed = claim(file, &streams, fence, is_own);
                roll_back(file)?;
                claimed
            })
            .await
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
        let fence = self.fence;
        self.writer
            .run(move |file| {
                let written = begin(file, &streams, &batch.advances, fence)
                    .and_then(|()| write_all(file, &layout, &batch.outputs))
                    .and_then(|()| commit(file));
                if written.is_err() {
                    roll_back(file)?;
                }
                written
            })
            .await
    }

    pub(super) async fn begin(&mut self, streams: &Arc<Streams>, batch: &Arc<Prepared>) -> Result<(), Failure> {
        let (streams, batch, fence) = (Arc::clone(streams), Arc::clone(batch), self.fence);
        self.writer
            .run(move |file| {
                roll_back(file)?;
                begin(file, &streams, &batch.advances, fence)
            })
            .await
    }

    pub(super) async fn attempt(&mut self, rows: Vec<OutputRows>, checks_deferred: bool) -> Result<(), Failure> {
        let layout = Arc::clone(&self.layout);
        self.writer.run(move |file| attempt(file, &layout, &rows, checks_deferred)).await
    }

    pub(super) async fn commit(&mut self) -> Result<(), Failure> {
        self.writer.run(|file| commit(file)).await
    }
}

/// A cell of a row, bound in place.
struct Cell<'c>(&'c [u8]);

impl ToSql for Cell<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(encode::decode(self.0)))
    }
}

/// Writes all rows, one by one.
fn write_all(file: &Connection, layout: &Layout, outputs: &[OutputRows]) -> Result<(), Failure> {
    for step in steps(layout, outputs) {
        let sql = step.statement.text(step.parent.map_or(1, |_| step.rows.len()));
        let mut prepared = file.prepare_cached(&sql)?;
        let mut execute = |rows: Range<usize>| {
            let done = prepared.execute(rusqlite::params_from_iter(step.cells(rows).map(Cell)));
            done.map(drop).map_err(|error| refused(error, &sql))
        };
        match step.parent {
            Some(_) => execute(step.rows.clone())?,
            None => step.rows.clone().try_for_each(|row| execute(row..row + 1))?,
        }
    }
    Ok(())
}

fn refused(error: rusqlite::Error, sql: &str) -> Failure {
    failure::of(error).refusal(|refusal| refusal.statement = Some(sql.to_owned()))
}

/// Writes rows behind a savepoint.
fn attempt(file: &Connection, layout: &Layout, outputs: &[OutputRows], checks_deferred: bool) -> Result<(), Failure> {
    file.execute_batch("SAVEPOINT piece")?;
    let orphans = if checks_deferred { orphans(file, layout)? } else { 0 };
    let written = write_all(file, layout, outputs).and_then(|()| {
        if checks_deferred && self::orphans(file, layout)? > orphans {
            return Err(Failure::refused(RejectCode::ForeignKey, "FOREIGN KEY constraint failed at the commit"));
        }
        Ok(())
    });
    // `RAISE(ROLLBACK)` of a trigger ends the whole transaction, savepoints and all.
    if file.is_autocommit() {
        return written.map_err(|failed| failed.refusal(|refusal| refusal.has_ended = true));
    }
    file.execute_batch(if written.is_ok() { "RELEASE piece" } else { "ROLLBACK TO piece; RELEASE piece" })?;
    written
}

/// How many rows point to a parent that is not there. SQLite tells nothing else of constraints that are deferred to
/// the commit; it reads the tables for it, which only a refused commit is worth.
fn orphans(file: &Connection, layout: &Layout) -> Result<i64, Failure> {
    let mut tables: Vec<&str> = layout.outputs().map(|(_, output)| output.table.as_str()).collect();
    tables.sort_unstable();
    tables.dedup();
    let mut count = file.prepare_cached("SELECT count(*) FROM pragma_foreign_key_check(?1)")?;
    let mut orphans = 0;
    for table in tables {
        orphans += count.query_row([table], |row| row.get::<_, i64>(0))?;
    }
    Ok(orphans)
}

/// Whether the configuration is whole.
pub(super) fn check(connection: &PlanConnection) -> Result<(), Failure> {
    path(connection).map(drop)
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
    add_fence(&file)?;
    Ok(file)
}

/// Gives the table of an early version its column.
fn add_fence(file: &Connection) -> Result<(), Failure> {
    let known = format!("SELECT count(*) FROM pragma_table_info('{TABLE}') WHERE name = 'fence'");
    let has_fence = || file.query_row(&known, [], |row| row.get::<_, u32>(0)).map(|count| count > 0);
    if has_fence()? {
        return Ok(());
    }
    file.execute_batch("BEGIN IMMEDIATE")?;
    // Another worker may have been first.
    if !has_fence()? {
        file.execute_batch(&format!("ALTER TABLE {TABLE} ADD COLUMN fence INTEGER NOT NULL DEFAULT 0"))?;
    }
    Ok(file.execute_batch("COMMIT")?)
}

/// Finds out at once what a statement lacks.
fn prepare_all(file: &mut Connection, layout: &Layout) -> Result<(), Failure> {
    for (_, output) in layout.outputs() {
        for statement in output.delete.iter().chain(&output.clear).chain(&output.write) {
            file.prepare_cached(&statement.sql).map_err(failure::of)?;
        }
    }
    Ok(())
}

/// Writes the fence to each stream; other writers have no say meanwhile.
fn claim(file: &Connection, streams: &Streams, fence: i64, is_own: bool) -> Result<(), Failure> {
    file.execute_batch("BEGIN IMMEDIATE")?;
    for stream in streams {
        let known = fence_of(file, stream)?.unwrap_or_default();
        if is_fenced(known, fence, is_own) {
            return Err(fenced(known));
        }
        let mut insert = file.prepare_cached(&format!(
            "INSERT OR REPLACE INTO {TABLE} (stream, epoch, position, fence, updated_at) \
             VALUES (?1, '{FENCE_ROW}', '', ?2, strftime('%Y-%m-%d %H:%M:%f', 'now'))"
        ))?;
        insert.execute(rusqlite::params![stream, fence])?;
    }
    commit(file)
}

fn fence_of(file: &Connection, stream: &str) -> Result<Option<i64>, Failure> {
    let select = format!("SELECT fence FROM {TABLE} WHERE stream = ?1 AND epoch = '{FENCE_ROW}'");
    Ok(file.prepare_cached(&select)?.query_row([stream], |row| row.get(0)).optional()?)
}

/// Begins a transaction and moves the checkpoint in it.
fn begin(file: &Connection, streams: &Streams, advances: &[Advance], fence: i64) -> Result<(), Failure> {
    file.execute_batch("BEGIN IMMEDIATE")?;
    for advance in advances {
        let (stream, epoch, to, from) = step(streams, advance);
        if fence_of(file, stream)?.is_none_or(|known| known > fence) {
            return Err(Failure::Overtaken);
        }
        let mut insert = file.prepare_cached(&format!(
            "INSERT INTO {TABLE} (stream, epoch, position, fence, updated_at) \
             VALUES (?1, ?2, ?3, ?5, strftime('%Y-%m-%d %H:%M:%f', 'now')) \
             ON CONFLICT (stream, epoch) DO UPDATE \
             SET position = excluded.position, fence = excluded.fence, updated_at = excluded.updated_at \
             WHERE {TABLE}.position = ?4"
        ))?;
        if insert.execute(rusqlite::params![stream, epoch, to, from, fence])? != 1 {
            return Err(Failure::Overtaken);
        }
    }
    Ok(())
}

fn commit(file: &Connection) -> Result<(), Failure> {
    let done = file.execute_batch("COMMIT").map_err(failure::of);
    done.map_err(|failed| failed.refusal(|refusal| refusal.at_commit = true))
}

/// Ends a transaction without a trace; some failures have done that already.
fn roll_back(file: &Connection) -> Result<(), Failure> {
    if file.is_autocommit() { Ok(()) } else { Ok(file.execute_batch("ROLLBACK")?) }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        failure::of(error)
    }
}

/// What a cell holds, for SQLite.
type Held<'c> = ValueRef<'c>;
