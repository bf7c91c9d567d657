//! MariaDB and MySQL: statements of many rows, one transaction a batch.

mod connect;
mod encode;
pub(super) mod failure;
mod schema;

use std::ops::Range;
use std::sync::Arc;

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Params};
use redis_wb_plan::plan::Connection;
use redis_wb_plan::{RejectCode, Statement};

use super::steps::{Step, steps};
use super::{Streams, fenced, is_fenced, kept, sql_fence, step, unmade};
use crate::batch::Prepared;
use crate::checkpoint::{Advance, Epoch, FENCE_ROW, TABLE};
use crate::error::Failure;
use crate::layout::Layout;
use crate::lease::Fence;
use crate::position::Position;
use crate::rows::OutputRows;
use connect::Session;
pub(super) use connect::check;
pub(super) use encode::encode;
pub(super) use schema::schema;

/// The most bytes of the values of one execution, a single row aside.
const EXECUTION_BYTES_MAX: usize = 4 * 1024 * 1024;
/// What the protocol adds to a value at most: its type, its length, its bit among the nulls.
const VALUE_OVERHEAD_BYTES: usize = 12;
/// What the protocol adds to an execution at most.
const EXECUTION_OVERHEAD_BYTES: usize = 64;

/// A connected MariaDB or MySQL.
pub(crate) struct MySql {
    connection: Conn,
    layout: Arc<Layout>,
    /// The fence of this worker.
    fence: i64,
    /// The most bytes that the server takes at once.
    packet_bytes_max: usize,
}

impl MySql {
    pub(super) async fn connect(plan: &Connection, layout: &Arc<Layout>) -> Result<Self, Failure> {
        let Session { mut connection, packet_bytes_max } = connect::connect(plan).await?;
        make_table(&mut connection).await?;
        let mut target = Self { connection, layout: Arc::clone(layout), fence: 0, packet_bytes_max };
        target.look_at_tables().await?;
        Ok(target)
    }

    /// Finds out at once what a statement lacks, and what a transaction could not take back.
    async fn look_at_tables(&mut self) -> Result<(), Failure> {
        let layout = Arc::clone(&self.layout);
        for (_, output) in layout.outputs() {
            let mut statements: Vec<&Statement> =
                output.delete.iter().chain(&output.clear).chain(&output.write).collect();
            if let Some(children) = &output.children {
                statements.push(&children.all);
                statements.extend(&children.others);
            }
            for statement in statements {
                self.connection.prep(statement.sql.clone()).await.map_err(failure::of)?;
            }
            let asked = Params::from((output.schema.clone(), output.table.clone()));
            let engine: Option<String> =
                self.connection.exec_first(ENGINE_WITHOUT_TRANSACTIONS, asked).await.map_err(failure::of)?;
            if let Some(engine) = engine {
                let table = &output.table;
                return Err(Failure::configuration(
                    format!("the table `{table}` is kept by {engine}, which has no transactions"),
                    format!("ALTER TABLE `{table}` ENGINE = InnoDB; it goes on by itself then"),
                ));
            }
        }
        Ok(())
    }

    pub(super) async fn claim(&mut self, streams: &Arc<Streams>, fence: Fence, is_own: bool) -> Result<(), Failure> {
        self.fence = sql_fence(fence);
        self.run("ROLLBACK").await?;
        let mut names: Vec<String> = streams.to_vec();
        names.sort_unstable();
        let insert = format!(
            "INSERT IGNORE INTO {TABLE} (stream, epoch, position, fence, updated_at) \
             VALUES (?, '{FENCE_ROW}', '', 0, UTC_TIMESTAMP(6))"
        );
        for name in &names {
            self.connection.exec_drop(&insert, (name,)).await.map_err(failure::of)?;
        }
        self.run("START TRANSACTION").await?;
        let claimed = self.claim_open(names, is_own).await;
        self.run(if claimed.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
        claimed
    }

    /// It waits for transactions of the owner before, which are then whole or gone.
    async fn claim_open(&mut self, names: Vec<String>, is_own: bool) -> Result<(), Failure> {
        for name in names {
            let select = format!("SELECT fence FROM {TABLE} WHERE stream = ? AND epoch = '{FENCE_ROW}' FOR UPDATE");
            let known: Option<i64> = self.connection.exec_first(select, (&name,)).await.map_err(failure::of)?;
            let known = known.unwrap_or_default();
            if is_fenced(known, self.fence, is_own) {
                return Err(fenced(known));
            }
            let update = format!(
                "UPDATE {TABLE} SET fence = ?, updated_at = UTC_TIMESTAMP(6) WHERE stream = ? AND epoch = '{FENCE_ROW}'"
            );
            self.connection.exec_drop(update, (self.fence, name)).await.map_err(failure::of)?;
        }
        Ok(())
    }

    pub(super) async fn checkpoint(
        &mut self,
        streams: &Arc<Streams>,
    ) -> Result<Vec<(usize, Epoch, Position)>, Failure> {
        let sql = format!("SELECT stream, epoch, position FROM {TABLE} ORDER BY updated_at");
        let rows: Vec<(String, String, String)> = self.connection.query(sql).await.map_err(failure::of)?;
        Ok(rows.iter().filter_map(|(stream, epoch, position)| kept(streams, stream, epoch, position)).collect())
    }

    pub(super) async fn write(&mut self, streams: &Arc<Streams>, batch: &Arc<Prepared>) -> Result<(), Failure> {
        if let Err(failed) = self.write_open(streams, batch).await {
            // Where even this fails the connection is gone, and with it the transaction.
            self.run("ROLLBACK").await?;
            return Err(failed);
        }
        self.commit().await
    }

    async fn write_open(&mut self, streams: &Arc<Streams>, batch: &Arc<Prepared>) -> Result<(), Failure> {
        self.run("START TRANSACTION").await?;
        self.advance(streams, &batch.advances).await?;
        self.write_all(&batch.outputs).await
    }

    pub(super) async fn begin(&mut self, streams: &Arc<Streams>, batch: &Arc<Prepared>) -> Result<(), Failure> {
        self.run("ROLLBACK").await?;
        self.run("START TRANSACTION").await?;
        self.advance(streams, &batch.advances).await
    }

    /// There are no constraints that a commit checks, so nothing is deferred.
    pub(super) async fn attempt(&mut self, rows: &[OutputRows]) -> Result<(), Failure> {
        self.run("SAVEPOINT piece").await?;
        let written = self.write_all(rows).await;
        if let Err(failed @ Failure::Transient(_)) = written {
            // The whole transaction may be gone, or the connection.
            return Err(failed);
        }
        self.run(if written.is_ok() { "RELEASE SAVEPOINT piece" } else { "ROLLBACK TO SAVEPOINT piece" }).await?;
        written
    }

    pub(super) async fn commit(&mut self) -> Result<(), Failure> {
        self.run("COMMIT").await.map_err(|failed| failed.refusal(|refusal| refusal.at_commit = true))
    }

    pub(super) async fn ping(&mut self) -> Result<(), Failure> {
        self.connection.ping().await.map_err(failure::of)
    }

    async fn run(&mut self, sql: &str) -> Result<(), Failure> {
        self.connection.query_drop(sql).await.map_err(failure::of)
    }

    /// Moves the checkpoint. A claim, or another transaction that moves the same step, is waited for, and then found to
    /// have been first.
    async fn advance(&mut self, streams: &Streams, advances: &[Advance]) -> Result<(), Failure> {
        let mut names: Vec<&str> = advances.iter().map(|advance| step(streams, advance).0).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let select =
                format!("SELECT fence FROM {TABLE} WHERE stream = ? AND epoch = '{FENCE_ROW}' LOCK IN SHARE MODE");
            let known: Option<i64> = self.connection.exec_first(select, (name,)).await.map_err(failure::of)?;
            if known.is_none_or(|known| known > self.fence) {
                return Err(Failure::Overtaken);
            }
        }
        for advance in advances {
            let (stream, epoch, to, from) = step(streams, advance);
            let (sql, values) = match from {
                Some(from) => {
                    let sql = format!(
                        "UPDATE {TABLE} SET position = ?, fence = ?, updated_at = UTC_TIMESTAMP(6) \
                         WHERE stream = ? AND epoch = ? AND position = ?"
                    );
                    (sql, Params::from((to, self.fence, stream.to_owned(), epoch, from)))
                }
                None => {
                    let sql = format!(
                        "INSERT INTO {TABLE} (stream, epoch, position, fence, updated_at) \
                         VALUES (?, ?, ?, ?, UTC_TIMESTAMP(6))"
                    );
                    (sql, Params::from((stream.to_owned(), epoch, to, self.fence)))
                }
            };
            self.connection.exec_drop(sql, values).await.map_err(failure::of_advance)?;
            if self.connection.affected_rows() != 1 {
                return Err(Failure::Overtaken);
            }
        }
        Ok(())
    }

    async fn write_all(&mut self, outputs: &[OutputRows]) -> Result<(), Failure> {
        let layout = Arc::clone(&self.layout);
        for step in steps(&layout, outputs) {
            let mut start = step.rows.start;
            loop {
                let rows = at_once(&step, start);
                start = rows.end;
                self.execute(&step, rows).await?;
                if start >= step.rows.end {
                    break;
                }
            }
        }
        Ok(())
    }

    async fn execute(&mut self, step: &Step<'_>, rows: Range<usize>) -> Result<(), Failure> {
        let refused =
            |failure: Failure| failure.refusal(|refusal| refusal.statement = Some(step.statement.sql.clone()));
        let bytes = bytes(step, &rows);
        // The server would end the connection, again and again.
        if bytes > self.packet_bytes_max {
            let max = self.packet_bytes_max;
            let reason = format!("{bytes} bytes are more than the server takes at once (max_allowed_packet is {max})");
            return Err(refused(Failure::refused(RejectCode::TargetValue, reason)));
        }
        let values = step.cells(rows.clone()).map(encode::decode).collect();
        let sql = step.statement.text(rows.len()).into_owned();
        let done = self.connection.exec_drop(sql, Params::Positional(values)).await;
        done.map_err(|error| refused(failure::of(error)))
    }
}

/// Which rows of a step are written at once, from one on. Their number is a power of two, since every number is a
/// statement of its own, which the server prepares and keeps.
fn at_once(step: &Step<'_>, start: usize) -> Range<usize> {
    if step.parent.is_some() {
        return step.rows.clone();
    }
    let most = step.rows.end.saturating_sub(start).min(step.statement.rows_max());
    let mut count = most.checked_ilog2().map_or(1, |power| 1_usize << power);
    while count > 1 && bytes(step, &(start..start + count)) > EXECUTION_BYTES_MAX {
        count /= 2;
    }
    start..start + count
}

/// The most bytes that an execution takes on the wire.
fn bytes(step: &Step<'_>, rows: &Range<usize>) -> usize {
    let values = step.cells(rows.clone()).map(|cell| cell.len() + VALUE_OVERHEAD_BYTES);
    EXECUTION_OVERHEAD_BYTES + values.sum::<usize>()
}

/// Which engine keeps a table, where it has no transactions.
const ENGINE_WITHOUT_TRANSACTIONS: &str = "\
    SELECT t.engine FROM information_schema.tables AS t \
    JOIN information_schema.engines AS e ON e.engine = t.engine \
    WHERE t.table_schema = COALESCE(?, DATABASE()) AND t.table_name = ? AND e.transactions = 'NO'";

/// A column that is there already.
const DUPLICATE_COLUMN: u16 = 1060;

async fn make_table(connection: &mut Conn) -> Result<(), Failure> {
    // Asked first, so that a user who may not create tables can work with one that is there.
    let known = format!(
        "SELECT column_name FROM information_schema.columns \
         WHERE table_schema = DATABASE() AND table_name = '{TABLE}' ORDER BY ordinal_position"
    );
    let columns: Vec<String> = connection.query(known).await.map_err(failure::of)?;
    if columns.iter().any(|column| column.eq_ignore_ascii_case("fence")) {
        return Ok(());
    }
    if !columns.is_empty() {
        // A table of an early version. Another worker may be first.
        let alter = format!("ALTER TABLE {TABLE} ADD COLUMN fence bigint NOT NULL DEFAULT 0");
        return match connection.query_drop(alter).await {
            Err(mysql_async::Error::Server(error)) if error.code == DUPLICATE_COLUMN => Ok(()),
            altered => altered.map_err(failure::of),
        };
    }
    let create = format!(
        "CREATE TABLE IF NOT EXISTS {TABLE} (\
           stream varchar(512) NOT NULL, epoch varchar(16) NOT NULL, position varchar(64) NOT NULL, \
           fence bigint NOT NULL, updated_at datetime(6) NOT NULL, PRIMARY KEY (stream, epoch)\
         ) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
    );
    connection.query_drop(&create).await.map_err(|error| unmade(failure::of(error), &create))
}
