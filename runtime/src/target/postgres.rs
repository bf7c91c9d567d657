//! PostgreSQL: columnar statements, one transaction a batch, all of it but the commit in one round trip; many rows by COPY.

mod connect;
mod encode;
pub(super) mod failure;
mod schema;
mod stage;

use std::mem;
use std::ops::Range;
use std::sync::Arc;
use std::task::Poll;

use futures_util::future::{BoxFuture, FutureExt as _};
use redis_wb_plan::plan::{Connection, Of, Param};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement};

use super::{Streams, fenced, kept, sql_fence, step, unmade};
use crate::batch::Prepared;
use crate::checkpoint::{Advance, Epoch, FENCE_ROW, TABLE};
use crate::error::Failure;
use crate::layout::Layout;
use crate::lease::Fence;
use crate::position::Position;
use crate::rows::{OutputRows, RowSet};
use connect::Session;
pub(super) use connect::check;
use encode::Array;
pub(super) use encode::encode;
pub(super) use schema::schema;
use stage::{STAGE_ROWS_MIN, Stage};

/// A connected PostgreSQL with its prepared statements.
pub(crate) struct Postgres {
    session: Session,
    advance: Statement,
    /// The fence of this worker.
    fence: i64,
    outputs: Vec<Prepares>,
    /// The most rows of one statement.
    rows_max: usize,
}

/// The statements of one output.
#[derive(Default)]
struct Prepares {
    delete: Option<Bound>,
    /// Deletes all rows.
    clear: Option<Bound>,
    write: Vec<Bound>,
    /// The other way of many rows to be written.
    stage: Option<Stage>,
    /// Deletes all rows of parents.
    all: Option<Bound>,
    /// Deletes the rows of parents but those that are written.
    others: Option<Bound>,
}

/// A prepared statement, and which columns it takes.
struct Bound {
    statement: Statement,
    params: Vec<Param>,
    sql: String,
}

/// What is sent at once.
enum Piece<'p> {
    Execution(Execution<'p>),
    /// The rows of a COPY, once they are in their table.
    Staged(&'p Stage, &'p RowSet),
}

/// One execution of a statement.
struct Execution<'p> {
    statement: &'p Bound,
    set: &'p RowSet,
    rows: Range<usize>,
    /// The parents, for a statement that takes them beside rows.
    parents: &'p RowSet,
}

impl Postgres {
    pub(super) async fn connect(connection: &Connection, layout: &Arc<Layout>) -> Result<Self, Failure> {
        let session = connect::connect(connection).await?;
        make_table(&session.client).await?;
        // The lock of the fence waits for a claim, and then finds a greater fence. The update waits for a transaction that
        // moves the same step, and then finds it moved. Either way division by zero ends the transaction, and with it
        // everything that was sent behind.
        let advance = format!(
            "WITH held AS (\
               SELECT 1 FROM {TABLE} WHERE stream = ANY($1::text[]) AND epoch = '{FENCE_ROW}' AND fence <= $5::bigint \
               ORDER BY stream FOR SHARE), \
             moved AS (\
               INSERT INTO {TABLE} AS c (stream, epoch, position, fence, updated_at) \
               SELECT s.stream, s.epoch, s.position, $5::bigint, clock_timestamp() \
               FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS s(stream, epoch, position, held) \
               ON CONFLICT (stream, epoch) DO UPDATE \
               SET position = excluded.position, fence = excluded.fence, updated_at = clock_timestamp() \
               WHERE c.position = (\
                 SELECT h.held FROM unnest($1::text[], $2::text[], $4::text[]) AS h(stream, epoch, held) \
                 WHERE h.stream = c.stream AND h.epoch = c.epoch) \
               RETURNING 1) \
             SELECT 1 / CASE WHEN (SELECT count(*) FROM moved) = cardinality($1::text[]) \
               AND (SELECT count(*) FROM held) = (SELECT count(DISTINCT s) FROM unnest($1::text[]) AS s) \
               THEN 1 ELSE 0 END"
        );
        let advance = prepare(&session.client, &advance).await?;
        let mut outputs = Vec::new();
        for (_, output) in layout.outputs() {
            let mut prepares = Prepares::default();
            if let Some(delete) = &output.delete {
                prepares.delete = Some(bound(&session.client, delete).await?);
            }
            if let Some(clear) = &output.clear {
                prepares.clear = Some(bound(&session.client, clear).await?);
            }
            if let Some(children) = &output.children {
                prepares.all = Some(bound(&session.client, &children.all).await?);
                if let Some(others) = &children.others {
                    prepares.others = Some(bound(&session.client, others).await?);
                }
            }
            for statement in &output.write {
                prepares.write.push(bound(&session.client, statement).await?);
            }
            // A table has no order. Of compacted rows each is another one's.
            if output.strategy.compacts()
                && let ([statement], [bound]) = (output.write.as_slice(), prepares.write.as_slice())
            {
                prepares.stage = Stage::prepare(&session.client, outputs.len(), statement, bound).await?;
            }
            outputs.push(prepares);
        }
        let rows_max = layout.plan.applier.write_batch_rows_max;
        Ok(Self { session, advance, fence: 0, outputs, rows_max })
    }

    /// Whether the server has not ended the connection.
    pub(super) fn is_there(&self) -> Result<(), Failure> {
        if self.session.client.is_closed() {
            return Err(Failure::Transient("PostgreSQL: the server ended the connection".to_owned()));
        }
        Ok(())
    }

    pub(super) async fn claim(&mut self, streams: &Arc<Streams>, fence: Fence, is_own: bool) -> Result<(), Failure> {
        self.fence = sql_fence(fence);
        let client = &self.session.client;
        let compares = if is_own { "<=" } else { "<" };
        let names: Vec<&str> = streams.iter().map(String::as_str).collect();
        client.batch_execute("ROLLBACK; BEGIN").await.map_err(failure::of)?;
        // It waits for transactions of the owner before, which are then whole or gone.
        let claim = format!(
            "INSERT INTO {TABLE} AS c (stream, epoch, position, fence, updated_at) \
             SELECT s, '{FENCE_ROW}', '', $2::bigint, now() FROM unnest($1::text[]) AS s ORDER BY s \
             ON CONFLICT (stream, epoch) DO UPDATE SET fence = excluded.fence, updated_at = now() \
             WHERE c.fence {compares} excluded.fence"
        );
        let claimed = client.execute(&claim, &[&names, &self.fence]).await.map_err(failure::of)?;
        if claimed == u64::try_from(names.len()).unwrap_or(u64::MAX) {
            return client.batch_execute("COMMIT").await.map_err(failure::of);
        }
        client.batch_execute("ROLLBACK").await.map_err(failure::of)?;
        let known = format!("SELECT max(fence) FROM {TABLE} WHERE stream = ANY($1::text[]) AND epoch = '{FENCE_ROW}'");
        let known = client.query_one(&known, &[&names]).await.map_err(failure::of)?;
        Err(fenced(known.get::<_, Option<i64>>(0).unwrap_or_default()))
    }

    pub(super) async fn checkpoint(
        &mut self,
        streams: &Arc<Streams>,
    ) -> Result<Vec<(usize, Epoch, Position)>, Failure> {
        let sql =
            format!("SELECT stream, epoch, position FROM {TABLE} WHERE stream = ANY($1::text[]) ORDER BY updated_at");
        let names: Vec<&str> = streams.iter().map(String::as_str).collect();
        let rows = self.session.client.query(&sql, &[&names]).await.map_err(failure::of)?;
        Ok(rows.iter().filter_map(|row| kept(streams, row.get(0), row.get(1), row.get(2))).collect())
    }

    pub(super) async fn write(&mut self, streams: &Arc<Streams>, batch: &Arc<Prepared>) -> Result<(), Failure> {
        if let Some(failed) = self.send_all(streams, batch).await {
            // Where even this fails the connection is gone, and with it the transaction.
            self.session.client.batch_execute("ROLLBACK").await.map_err(failure::of)?;
            return Err(failed);
        }
        // It is not sent before: whoever stands still in a transaction for longer than its lease must not commit then.
        self.commit().await
    }

    /// Begins a transaction and sends all of a batch; the first failure.
    async fn send_all(&self, streams: &Arc<Streams>, batch: &Arc<Prepared>) -> Option<Failure> {
        let client = &self.session.client;
        let pieces = self.pieces(&batch.outputs, true);
        let mut sent = vec![async { client.batch_execute("BEGIN").await.map_err(failure::of) }.boxed()];
        if !batch.advances.is_empty() {
            sent.push(self.advance(streams, &batch.advances).boxed());
        }
        for piece in &pieces {
            // One by one: a COPY that is refused at its begin, as in a transaction that failed, takes the connection along.
            if let Piece::Staged(stage, set) = piece {
                if let Some(failed) = in_order(mem::take(&mut sent)).await {
                    return Some(failed);
                }
                match stage.copy(client, set).await {
                    Ok(end) => sent.push(end),
                    Err(failed) => return Some(failed),
                }
            }
        }
        sent.extend(pieces.iter().map(|piece| self.send(piece).boxed()));
        in_order(sent).await
    }

    pub(super) async fn begin(&mut self, streams: &Arc<Streams>, batch: &Arc<Prepared>) -> Result<(), Failure> {
        self.session.client.batch_execute("ROLLBACK; BEGIN").await.map_err(failure::of)?;
        match batch.advances.as_slice() {
            [] => Ok(()),
            advances => self.advance(streams, advances).await,
        }
    }

    pub(super) async fn attempt(&mut self, rows: &[OutputRows], checks_deferred: bool) -> Result<(), Failure> {
        let client = &self.session.client;
        client.batch_execute("SAVEPOINT piece").await.map_err(failure::of)?;
        let pieces = self.pieces(rows, false);
        let mut failed = in_order(pieces.iter().map(|piece| self.send(piece).boxed()).collect()).await;
        if failed.is_none() && checks_deferred {
            // What is deferred is checked now, and deferred again for those that come.
            let checked = client.batch_execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED").await;
            failed = checked.err().map(failure::of);
        }
        let end = if failed.is_some() { "ROLLBACK TO SAVEPOINT piece" } else { "RELEASE SAVEPOINT piece" };
        client.batch_execute(end).await.map_err(failure::of)?;
        failed.map_or(Ok(()), Err)
    }

    pub(super) async fn commit(&mut self) -> Result<(), Failure> {
        self.session.client.batch_execute("COMMIT").await.map_err(failure::of_commit)
    }

    /// The executions that rows take, round by round: first what goes, children before parents, so that a row can take
    /// over what another gave up; then what comes, parents before children. `may_stage`: many rows may go by COPY.
    fn pieces<'p>(&'p self, outputs: &'p [OutputRows], may_stage: bool) -> Vec<Piece<'p>> {
        let rounds = outputs.iter().map(|rows| rows.rounds.len()).max().unwrap_or_default();
        let mut pieces = Vec::new();
        for round in 0..rounds {
            // A table holds the rows of one transaction.
            let may_stage = may_stage && round == 0;
            let outputs: Vec<_> = self
                .outputs
                .iter()
                .zip(outputs)
                .filter_map(|(prepares, rows)| Some((prepares, rows.rounds.get(round)?)))
                .collect();
            for (prepares, round) in outputs.iter().rev() {
                // Where no statement spares the rows that stay, all go, and those that stay are written again.
                let spared = prepares.others.as_ref().or(prepares.all.as_ref());
                self.add(&mut pieces, prepares.clear.as_ref(), &round.cleared);
                self.add(&mut pieces, prepares.all.as_ref(), &round.gone);
                let spared = spared.filter(|_| round.parents.len() > 0).map(|statement| Execution {
                    statement,
                    set: if prepares.others.is_some() { &round.writes } else { &round.parents },
                    rows: 0..if prepares.others.is_some() { round.writes.len() } else { round.parents.len() },
                    parents: &round.parents,
                });
                pieces.extend(spared.map(Piece::Execution));
                self.add(&mut pieces, prepares.delete.as_ref(), &round.deletes);
            }
            for (prepares, round) in &outputs {
                match prepares.stage.as_ref().filter(|_| may_stage && round.writes.len() >= STAGE_ROWS_MIN) {
                    Some(stage) => pieces.push(Piece::Staged(stage, &round.writes)),
                    None => {
                        prepares
                            .write
                            .iter()
                            .for_each(|statement| self.add(&mut pieces, Some(statement), &round.writes));
                    }
                }
            }
        }
        pieces
    }

    /// Executions of one statement, each of a bounded number of rows.
    fn add<'p>(&self, pieces: &mut Vec<Piece<'p>>, statement: Option<&'p Bound>, set: &'p RowSet) {
        let rows_max = self.rows_max.max(1);
        for start in (0..set.len()).step_by(rows_max) {
            let rows = start..set.len().min(start + rows_max);
            let execution = statement.map(|statement| Execution { statement, set, rows, parents: set });
            pieces.extend(execution.map(Piece::Execution));
        }
    }

    async fn send(&self, piece: &Piece<'_>) -> Result<(), Failure> {
        match piece {
            Piece::Execution(execution) => self.execute(execution).await,
            Piece::Staged(stage, _) => stage.merge(&self.session.client).await,
        }
    }

    async fn execute(&self, piece: &Execution<'_>) -> Result<(), Failure> {
        let array = |param: &Param| {
            let (set, rows) = match param.of {
                Of::Row => (piece.set, piece.rows.clone()),
                Of::Parent if std::ptr::eq(piece.parents, piece.set) => (piece.set, piece.rows.clone()),
                Of::Parent => (piece.parents, 0..piece.parents.len()),
            };
            Some(Array { cells: set.columns.get(param.column)?.slice(&rows), len: rows.len() })
        };
        let arrays: Vec<Array<'_>> = piece.statement.params.iter().filter_map(array).collect();
        let params: Vec<&(dyn ToSql + Sync)> = arrays.iter().map(|array| array as &(dyn ToSql + Sync)).collect();
        let done = self.session.client.execute(&piece.statement.statement, &params).await;
        let sql = || Some(piece.statement.sql.clone());
        done.map(drop).map_err(|error| failure::of(error).refusal(|refusal| refusal.statement = sql()))
    }

    async fn advance(&self, streams: &Arc<Streams>, advances: &[Advance]) -> Result<(), Failure> {
        let steps: Vec<_> = advances.iter().map(|advance| step(streams, advance)).collect();
        let names: Vec<&str> = steps.iter().map(|step| step.0).collect();
        let epochs: Vec<&str> = steps.iter().map(|step| step.1.as_str()).collect();
        let to: Vec<&str> = steps.iter().map(|step| step.2.as_str()).collect();
        let from: Vec<Option<&str>> = steps.iter().map(|step| step.3.as_deref()).collect();
        let moved = self.session.client.query(&self.advance, &[&names, &epochs, &to, &from, &self.fence]).await;
        moved.map(drop).map_err(failure::of_advance)
    }
}

async fn bound(client: &Client, statement: &redis_wb_plan::Statement) -> Result<Bound, Failure> {
    let sql = statement.sql.clone();
    Ok(Bound { statement: prepare(client, &sql).await?, params: statement.params.clone(), sql })
}

/// Sends requests in this order without waiting between them, then waits for all. A request is sent when it is polled
/// first. The first failure is the cause of those behind it.
async fn in_order(mut requests: Vec<BoxFuture<'_, Result<(), Failure>>>) -> Option<Failure> {
    let mut results: Vec<Option<Result<(), Failure>>> = requests.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        let mut is_done = true;
        for (request, result) in requests.iter_mut().zip(&mut results) {
            if result.is_none() {
                match request.poll_unpin(context) {
                    Poll::Ready(ready) => *result = Some(ready),
                    Poll::Pending => is_done = false,
                }
            }
        }
        if is_done { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    results.into_iter().flatten().find_map(Result::err)
}

async fn prepare(client: &Client, sql: &str) -> Result<Statement, Failure> {
    client.prepare(sql).await.map_err(failure::of)
}

async fn make_table(client: &Client) -> Result<(), Failure> {
    // Asked first, so that a user who may not create tables can work with one that is there.
    let asked = "SELECT to_regclass($1) IS NOT NULL, EXISTS (\
         SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass($1) AND attname = 'fence' AND NOT attisdropped)";
    let known = client.query_one(asked, &[&TABLE]).await.map_err(failure::of)?;
    let make = match (known.get(0), known.get(1)) {
        (true, true) => return Ok(()),
        // A table of an early version.
        (true, false) => format!("ALTER TABLE {TABLE} ADD COLUMN IF NOT EXISTS fence bigint NOT NULL DEFAULT 0"),
        (false, _) => create_table(),
    };
    // Two workers that start at once may both try; the loser comes again.
    client.batch_execute(&make).await.map_err(|error| match failure::of(error) {
        Failure::Refused(refusal) => Failure::Transient(refusal.reason),
        other => unmade(other, &make),
    })
}

fn create_table() -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS {TABLE} (\
           stream text NOT NULL, epoch text NOT NULL, position text NOT NULL, \
           fence bigint NOT NULL, updated_at timestamptz NOT NULL, PRIMARY KEY (stream, epoch))"
    )
}
