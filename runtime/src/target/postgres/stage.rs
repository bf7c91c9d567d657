//! Many rows by COPY: into a temporary table of this session, and from there by the statement that would take them as
//! arrays. The server reads a COPY faster than arrays, of which `unnest` keeps a copy for each column. Which row is written
//! first is then the table's to say: a small one finds room on an earlier page.
//! Source: <https://www.postgresql.org/docs/current/sql-copy.html>, "Binary Format".

use std::ops::Range;

use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::SinkExt as _;
use futures_util::future::{BoxFuture, FutureExt as _};
use redis_wb_plan::plan::{Of, Param, Shape};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Kind;
use tokio_postgres::{Client, Statement};

use super::{Bound, failure, prepare};
use crate::error::Failure;
use crate::rows::RowSet;

/// From how many rows on a COPY is worth its round trip, and emptying the table afterwards.
pub(super) const STAGE_ROWS_MIN: usize = 256;
/// How much is sent at once.
const CHUNK_BYTES: usize = 256 * 1024;
/// What binary data begins with: the signature, flags and the length of what extends the header.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// The way of one statement's rows through a table.
pub(super) struct Stage {
    copy: Statement,
    merge: Statement,
    params: Vec<Param>,
    sql: String,
}

impl Stage {
    /// Makes the table. `None` where the statement takes more than rows, or this user may make no temporary table.
    pub(super) async fn prepare(
        client: &Client,
        at: usize,
        statement: &redis_wb_plan::Statement,
        bound: &Bound,
    ) -> Result<Option<Self>, Failure> {
        let Some(rows) = rows_of(statement) else { return Ok(None) };
        let name = format!("redis_wb_rows_{at}");
        let table = format!("pg_temp.{name}");
        let mut columns = Vec::new();
        for (at, parameter) in bound.statement.params().iter().enumerate() {
            let Kind::Array(element) = parameter.kind() else { return Ok(None) };
            columns.push(format!("c{at} {}.\"{}\"", element.schema(), element.name()));
        }
        let columns = columns.join(", ");
        match client.batch_execute(&format!("CREATE TEMPORARY TABLE {name} ({columns}) ON COMMIT DELETE ROWS")).await {
            Ok(()) => {}
            Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => return Ok(None),
            Err(error) => return Err(failure::of(error)),
        }
        let mut sql = statement.sql.clone();
        sql.replace_range(rows, &table);
        let copy = prepare(client, &format!("COPY {table} FROM STDIN (FORMAT binary)")).await?;
        let merge = prepare(client, &sql).await?;
        Ok(Some(Self { copy, merge, params: statement.params.clone(), sql }))
    }

    /// Sends the rows to the table; what is given ends that, and waits until they are there.
    pub(super) async fn copy(
        &self,
        client: &Client,
        set: &RowSet,
    ) -> Result<BoxFuture<'static, Result<(), Failure>>, Failure> {
        let mut sink = Box::pin(client.copy_in::<_, Bytes>(&self.copy).await.map_err(failure::of)?);
        let columns: Vec<_> = self.params.iter().filter_map(|param| set.columns.get(param.column)).collect();
        let count = i16::try_from(columns.len()).unwrap_or(i16::MAX);
        let mut chunk = BytesMut::from(HEADER);
        for row in 0..set.len() {
            chunk.put_i16(count);
            columns.iter().for_each(|cells| chunk.put_slice(cells.cell(row)));
            if chunk.len() >= CHUNK_BYTES {
                sink.send(chunk.split().freeze()).await.map_err(failure::of)?;
            }
        }
        chunk.put_i16(-1);
        sink.send(chunk.freeze()).await.map_err(failure::of)?;
        Ok(async move { sink.as_mut().finish().await.map(drop).map_err(failure::of) }.boxed())
    }

    /// Writes them from there.
    pub(super) async fn merge(&self, client: &Client) -> Result<(), Failure> {
        let done = client.execute(&self.merge, &[]).await.map(drop);
        done.map_err(|error| failure::of(error).refusal(|refusal| refusal.statement = Some(self.sql.clone())))
    }
}

/// Where the arrays stand of a statement that takes nothing else.
fn rows_of(statement: &redis_wb_plan::Statement) -> Option<Range<usize>> {
    const BEGIN: &str = "unnest(";
    let is_of_rows = statement.shape == Shape::Columnar && statement.params.iter().all(|param| param.of == Of::Row);
    let mut found = statement.sql.match_indices(BEGIN);
    // A table may be called so.
    let (Some((start, _)), None, true) = (found.next(), found.next(), is_of_rows) else { return None };
    let end = start + statement.sql.get(start..)?.find(')')? + 1;
    Some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_found_where_they_are_all_that_a_statement_takes() {
        let statement = |sql: &str, of: Of| redis_wb_plan::Statement {
            sql: sql.to_owned(),
            shape: Shape::Columnar,
            params: vec![Param { column: 0, of }],
        };
        let found = |sql: &str, of: Of| rows_of(&statement(sql, of)).map(|rows| sql[rows].to_owned());
        let sql = r#"INSERT INTO "t" ("a") SELECT r."a" FROM unnest($1::bigint[]) AS r("a")"#;
        assert_eq!(found(sql, Of::Row).as_deref(), Some("unnest($1::bigint[])"));
        assert_eq!(found(sql, Of::Parent), None);
        let sql = r#"INSERT INTO "unnest(" ("a") SELECT r."a" FROM unnest($1::bigint[]) AS r("a")"#;
        assert_eq!(found(sql, Of::Row), None);
    }
}
