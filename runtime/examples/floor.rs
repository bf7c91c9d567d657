//! The floor of the benchmark of draining: the least that a program must do. It sends rows that it has in memory, in the
//! same transactions as a worker, and nothing else: no Redis, no records, no expressions, no checkpoint.
//!
//! `floor postgresql-unnest|postgresql-copy|mariadb|sqlite ADDRESS CHANGES KEYS BATCH` prints the seconds that it took.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a benchmark fails by panicking")]

use std::fmt::Write as _;
use std::time::Instant;

use bytes::Bytes;
use futures_util::SinkExt as _;
use mysql_async::prelude::Queryable as _;
use tokio_postgres::{Client, NoTls};

/// `empno`, then the seven texts.
type Row = (i64, [String; 7]);

/// The rows that `cargo xtask bench` writes to Redis.
fn row(at: i64, keys: i64) -> Row {
    let key = at % keys;
    let text = str::to_owned;
    let (name, email) = (format!("Ada{at}"), format!("ada{key}@example.com"));
    (
        key,
        [name, text("Lovelace"), text("Countess"), text("5200.50"), text("1843-09-05"), email, format!("change {at}")],
    )
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [kind, address, changes, keys, batch] = arguments.as_slice() else { panic!("see the head of this file") };
    let (changes, keys): (i64, i64) = (changes.parse().unwrap(), keys.parse().unwrap());
    let batch: usize = batch.parse().unwrap();
    let rows: Vec<Row> = (0..changes).map(|at| row(at, keys)).collect();
    let start = Instant::now();
    match kind.as_str() {
        "sqlite" => sqlite(address, &rows, batch),
        "mariadb" => mariadb(address, &rows, batch).await,
        kind => {
            let (client, connection) = tokio_postgres::connect(address, NoTls).await.unwrap();
            tokio::spawn(connection);
            match kind {
                "postgresql-unnest" => unnest(client, &rows, batch).await,
                "postgresql-copy" => copy(client, &rows, batch).await,
                other => panic!("no floor is called {other}"),
            }
        }
    }
    println!("{}", start.elapsed().as_secs_f64());
}

const MERGE: &str = "ON CONFLICT (empno) DO UPDATE SET fname = excluded.fname, lname = excluded.lname, \
    title = excluded.title, salary = excluded.salary, hired = excluded.hired, email = excluded.email, note = excluded.note";

async fn unnest(mut client: Client, rows: &[Row], batch: usize) {
    let sql = format!(
        "INSERT INTO emp SELECT a, b, c, d, e::numeric, f::date, g, h FROM unnest($1::bigint[], $2::text[], $3::text[], \
         $4::text[], $5::text[], $6::text[], $7::text[], $8::text[]) AS t(a, b, c, d, e, f, g, h) {MERGE}"
    );
    let statement = client.prepare(&sql).await.unwrap();
    for rows in rows.chunks(batch) {
        let keys: Vec<i64> = rows.iter().map(|row| row.0).collect();
        let column = |at: usize| rows.iter().map(|row| row.1[at].as_str()).collect::<Vec<_>>();
        let columns: Vec<Vec<&str>> = (0..7).map(column).collect();
        let transaction = client.transaction().await.unwrap();
        let [b, c, d, e, f, g, h] = columns.as_slice() else { panic!("there are seven") };
        transaction.execute(&statement, &[&keys, b, c, d, e, f, g, h]).await.unwrap();
        transaction.commit().await.unwrap();
    }
}

async fn copy(mut client: Client, rows: &[Row], batch: usize) {
    client.batch_execute("CREATE TEMP TABLE stage (LIKE emp) ON COMMIT DELETE ROWS").await.unwrap();
    let merge = client.prepare(&format!("INSERT INTO emp SELECT * FROM stage {MERGE}")).await.unwrap();
    for rows in rows.chunks(batch) {
        let mut text = String::new();
        for (key, texts) in rows {
            writeln!(text, "{key}\t{}", texts.join("\t")).unwrap();
        }
        let transaction = client.transaction().await.unwrap();
        let sink = transaction.copy_in("COPY stage FROM STDIN").await.unwrap();
        let mut sink = Box::pin(sink);
        sink.send(Bytes::from(text)).await.unwrap();
        sink.as_mut().finish().await.unwrap();
        transaction.execute(&merge, &[]).await.unwrap();
        transaction.commit().await.unwrap();
    }
}

/// A statement of MariaDB has at most 65,535 parameters; beyond some hundred rows a longer one is no faster.
const MARIADB_ROWS: usize = 1_000;

async fn mariadb(address: &str, rows: &[Row], batch: usize) {
    let mut client = mysql_async::Conn::from_url(address).await.unwrap();
    let sql = |rows: usize| {
        let values = vec!["(?,?,?,?,?,?,?,?)"; rows].join(",");
        format!(
            "INSERT INTO emp VALUES {values} ON DUPLICATE KEY UPDATE fname = VALUES(fname), lname = VALUES(lname), \
             title = VALUES(title), salary = VALUES(salary), hired = VALUES(hired), email = VALUES(email), \
             note = VALUES(note)"
        )
    };
    for rows in rows.chunks(batch) {
        client.query_drop("BEGIN").await.unwrap();
        for rows in rows.chunks(MARIADB_ROWS) {
            let mut params: Vec<mysql_async::Value> = Vec::with_capacity(rows.len() * 8);
            for (key, texts) in rows {
                params.push((*key).into());
                params.extend(texts.iter().map(|text| mysql_async::Value::from(text.as_str())));
            }
            client.exec_drop(sql(rows.len()), params).await.unwrap();
        }
        client.query_drop("COMMIT").await.unwrap();
    }
}

fn sqlite(path: &str, rows: &[Row], batch: usize) {
    let mut client = rusqlite::Connection::open(path).unwrap();
    client.execute_batch("PRAGMA journal_mode = WAL").unwrap();
    for rows in rows.chunks(batch) {
        let transaction = client.transaction().unwrap();
        {
            let sql = format!("INSERT INTO emp VALUES (?,?,?,?,?,?,?,?) {MERGE}");
            let mut statement = transaction.prepare_cached(&sql).unwrap();
            for (key, [b, c, d, e, f, g, h]) in rows {
                statement.execute(rusqlite::params![key, b, c, d, e, f, g, h]).unwrap();
            }
        }
        transaction.commit().unwrap();
    }
}
