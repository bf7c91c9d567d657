//! MariaDB and MySQL: statements of many rows, one transaction a batch.

mod connect;
mod encode;
mod failure;
mod schema;

use std::ops::Range;
use std::sync::Arc;

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Params, Value};
use redis_wb_plan::plan::{Connection, Of, Output, Statement};

use super::{Streams, kept, step};
use crate::batch::Prepared;
use crate::checkpoint::{Advance, Epoch, TABLE};
use crate::error::Failure;
use crate::layout::Layout;
use crate::position::Position;
use crate::rows::{OutputRows, Round, RowSet};
pub(super) use connect::check;
pub(super) use encode::encode;
pub(super) use schema::schema;

/// A connected MariaDB or MySQL.
pub(crate) struct MySql {
    connection: Conn,
    layout: Arc<Layout>,
    /// The most rows of one statement.
    rows_max: usize,
    /// The most bytes of one statement's values, a single row aside.
    bytes_max: usize,
}

impl MySql {
    pub(super) async fn connect(plan: &Connection, layout: &Arc<Layout>) -> Result<Self, Failure> {
        let mut connection = connect::connect(plan).await?;
        make_table(&mut connection).await?;
        let packet_bytes: Option<usize> =
            connection.query_first("SELECT @@max_allowed_packet").await.map_err(failure::of)?;
        let mut target = Self {
            connection,
            layout: Arc::clone(layout),
            rows_max: layout.plan.applier.write_batch_rows_max.max(1),
            bytes_max: packet_bytes.unwrap_or(PACKET_BYTES) / 2,
        };
        target.look_at_tables().await?;
        Ok(target)
    }

    /// Finds out at once what a statement lacks, and what a transaction could not take back.
    async fn look_at_tables(&mut self) -> Result<(), Failure> {
        let layout = Arc::clone(&self.layout);
        for (_, output) in layout.outputs() {
            let mut statements: Vec<&Statement> = output.delete.iter().chain(&output.write).collect();
            if let Some(children) = &output.children {
                statements.push(&children.all);
                statements.extend(&children.others);
            }
            for statement in statements {
                let prepared = self.connection.prep(statement.sql.clone()).await.map_err(failure::of)?;
                self.connection.close(prepared).await.map_err(failure::of)?;
            }
            let table = Params::from((output.schema.clone(), output.table.clone()));
            let engine: Option<String> =
                self.connection.exec_first(ENGINE_WITHOUT_TRANSACTIONS, table).await.map_err(failure::of)?;
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

    pub(super) async fn checkpoint(
        &mut self,
        streams: &Arc<Streams>,
    ) -> Result<Vec<(usize, Epoch, Position)>, Failure> {
        let sql = format!("SELECT stream, epoch, position FROM {TABLE} ORDER BY updated_at");
        let rows: Vec<(String, String, String)> = self.connection.query(sql).await.map_err(failure::of)?;
        Ok(rows.iter().filter_map(|(stream, epoch, position)| kept(streams, stream, epoch, position)).collect())
    }

    pub(super) async fn write(&mut self, streams: &Arc<Streams>, batch: &Arc<Prepared>) -> Result<(), Failure> {
        let written = self.write_open(streams, batch).await;
        if let Err(failed) = written {
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
        self.run(if written.is_ok() { "RELEASE SAVEPOINT piece" } else { "ROLLBACK TO SAVEPOINT piece" }).await?;
        written
    }

    pub(super) async fn commit(&mut self) -> Result<(), Failure> {
        self.run("COMMIT").await.map_err(|failed| failed.refusal(|refusal| refusal.at_commit = true))
    }

    async fn run(&mut self, sql: &'static str) -> Result<(), Failure> {
        self.connection.query_drop(sql).await.map_err(failure::of)
    }

    /// Moves the checkpoint. Another transaction that moves the same step is waited for, and then found to have.
    async fn advance(&mut self, streams: &Arc<Streams>, advances: &[Advance]) -> Result<(), Failure> {
        for advance in advances {
            let (stream, epoch, to, from) = step(streams, advance);
            let moved = match from {
                Some(from) => {
                    let sql = format!(
                        "UPDATE {TABLE} SET position = ?, updated_at = UTC_TIMESTAMP(6) \
                         WHERE stream = ? AND epoch = ? AND position = ?"
                    );
                    self.connection.exec_drop(sql, Params::from((to, stream, epoch, from))).await
                }
                None => {
                    let sql = format!(
                        "INSERT INTO {TABLE} (stream, epoch, position, fence, updated_at) \
                         VALUES (?, ?, ?, 0, UTC_TIMESTAMP(6))"
                    );
                    self.connection.exec_drop(sql, Params::from((stream, epoch, to))).await
                }
            };
            moved.map_err(failure::of_advance)?;
            if self.connection.affected_rows() != 1 {
                return Err(Failure::Overtaken);
            }
        }
        Ok(())
    }

    /// Writes all rows, round by round: first what goes, children before parents, so that a row can take over what
    /// another gave up; then what comes, parents before children.
    async fn write_all(&mut self, outputs: &[OutputRows]) -> Result<(), Failure> {
        let layout = Arc::clone(&self.layout);
        let rounds = outputs.iter().map(|rows| rows.rounds.len()).max().unwrap_or_default();
        for round in 0..rounds {
            let outputs: Vec<(&Output, &Round)> = layout
                .outputs()
                .zip(outputs)
                .filter_map(|(output, rows)| Some((output.1, rows.rounds.get(round)?)))
                .collect();
            for (output, round) in outputs.iter().rev() {
                self.delete(output, round).await?;
            }
            for (output, round) in &outputs {
                for statement in &output.write {
                    self.execute_all(statement, &round.writes).await?;
                }
            }
        }
        Ok(())
    }

    /// Deletes what goes from one output.
    async fn delete(&mut self, output: &Output, round: &Round) -> Result<(), Failure> {
        if let Some(children) = &output.children {
            self.execute_all(&children.all, &round.gone).await?;
            for (parent, family) in round.families.iter().enumerate() {
                let others = children.others.as_ref();
                match others.filter(|others| !family.is_empty() && family.len() <= others.rows_max()) {
                    Some(others) => {
                        // The parent's parameters stand before those of its rows.
                        let mut values = Vec::new();
                        push(&mut values, others, Of::Parent, &round.parents, &(parent..parent + 1));
                        push(&mut values, others, Of::Row, &round.writes, family);
                        self.execute(others, others.text(family.len()).into_owned(), values).await?;
                    }
                    // All go, and those that stay are written again.
                    None => {
                        let mut values = Vec::new();
                        push_params(&mut values, &children.all, &round.parents, &(parent..parent + 1));
                        self.execute(&children.all, children.all.text(1).into_owned(), values).await?;
                    }
                }
            }
        }
        match &output.delete {
            Some(statement) => self.execute_all(statement, &round.deletes).await,
            None => Ok(()),
        }
    }

    /// Executes a statement for all rows of a set, as many at once as it takes.
    async fn execute_all(&mut self, statement: &Statement, set: &RowSet) -> Result<(), Failure> {
        let at_once = self.rows_max.min(statement.rows_max()).max(1);
        let mut start = 0;
        while start < set.len() {
            let rows = start..self.end(statement, set, start, at_once);
            start = rows.end;
            let mut values = Vec::with_capacity(rows.len().saturating_mul(statement.params.len()));
            push_params(&mut values, statement, set, &rows);
            self.execute(statement, statement.text(rows.len()).into_owned(), values).await?;
        }
        Ok(())
    }

    /// Where a statement ends that begins with a row: at the bound of rows or of bytes.
    fn end(&self, statement: &Statement, set: &RowSet, start: usize, at_once: usize) -> usize {
        let last = set.len().min(start.saturating_add(at_once));
        let mut bytes = 0_usize;
        for row in start..last {
            let of_row =
                statement.params.iter().filter_map(|param| Some(set.columns.get(param.column)?.cell(row).len()));
            bytes = bytes.saturating_add(of_row.sum());
            if bytes > self.bytes_max && row > start {
                return row;
            }
        }
        last
    }

    async fn execute(&mut self, statement: &Statement, sql: String, values: Vec<Value>) -> Result<(), Failure> {
        let params = if values.is_empty() { Params::Empty } else { Params::Positional(values) };
        let done = self.connection.exec_drop(sql, params).await;
        done.map_err(|error| failure::of(error).refusal(|refusal| refusal.statement = Some(statement.sql.clone())))
    }
}

/// The packet size where the server does not tell it: the client's own default.
const PACKET_BYTES: usize = 4 * 1024 * 1024;

/// Which engine keeps a table, where it has no transactions.
const ENGINE_WITHOUT_TRANSACTIONS: &str = "\
    SELECT t.engine FROM information_schema.tables AS t \
    JOIN information_schema.engines AS e ON e.engine = t.engine \
    WHERE t.table_schema = COALESCE(?, DATABASE()) AND t.table_name = ? AND e.transactions = 'NO'";

/// The values of some rows, for those parameters that are of one kind.
fn push(values: &mut Vec<Value>, statement: &Statement, of: Of, set: &RowSet, rows: &Range<usize>) {
    for row in rows.clone() {
        let own = statement.params.iter().filter(|param| param.of == of);
        values.extend(own.filter_map(|param| Some(encode::decode(set.columns.get(param.column)?.cell(row)))));
    }
}

/// The values of some rows, for all parameters.
fn push_params(values: &mut Vec<Value>, statement: &Statement, set: &RowSet, rows: &Range<usize>) {
    for row in rows.clone() {
        let all = statement.params.iter();
        values.extend(all.filter_map(|param| Some(encode::decode(set.columns.get(param.column)?.cell(row)))));
    }
}

async fn make_table(connection: &mut Conn) -> Result<(), Failure> {
    // Asked first, so that a user who may not create tables can work with one that is there.
    let known: Option<String> =
        connection.query_first(format!("SHOW TABLES LIKE '{TABLE}'")).await.map_err(failure::of)?;
    if known.is_some() {
        return Ok(());
    }
    let create = format!(
        "CREATE TABLE IF NOT EXISTS {TABLE} (\
           stream varchar(512) NOT NULL, epoch varchar(16) NOT NULL, position varchar(64) NOT NULL, \
           fence bigint NOT NULL, updated_at datetime(6) NOT NULL, PRIMARY KEY (stream, epoch)\
         ) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
    );
    connection.query_drop(create).await.map_err(failure::of)
}
