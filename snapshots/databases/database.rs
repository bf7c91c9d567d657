//! The three databases: how parameters are bound, how rows are read. They know no strategy.

use bytes::{BufMut as _, BytesMut};
use mysql_async::prelude::Queryable as _;
use redis_wb_plan::convert::display;
use redis_wb_plan::plan::{Column, Dialect, Of, Param, Shape, Statement};
use redis_wb_plan::{ColumnType, Type, Value};
use tokio::runtime::Runtime;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::types::{IsNull, ToSql, Type as PgType, to_sql_checked};
use xtask::servers::{MariaDb, Postgres};

use crate::values::Row;

/// One execution of a statement.
pub(crate) struct Call<'c> {
    pub(crate) statement: &'c Statement,
    pub(crate) columns: &'c [Column],
    pub(crate) rows: &'c [&'c Row],
    pub(crate) parents: &'c [&'c Row],
}

type Bound<'c> = (&'c Value<'static>, &'c ColumnType);

impl<'c> Call<'c> {
    /// The texts to execute, each with its parameters: one for all rows, one for each, or one for so many.
    fn executions(&self) -> Vec<(String, Vec<Bound<'c>>)> {
        let statement = self.statement;
        let head: Vec<&Param> = statement.params.iter().filter(|param| param.of == Of::Parent).collect();
        let in_row = &statement.params[head.len()..];
        let head: Vec<Bound<'c>> = head.iter().map(|param| self.bound(self.parents[0], param)).collect();
        // Few rows at once, so that there are several executions, of several lengths.
        let keeps = !head.is_empty();
        let at_once = if keeps { self.rows.len() } else { statement.rows_max().min(7) };
        assert!(at_once <= statement.rows_max());
        self.rows
            .chunks(at_once.max(1))
            .map(|rows| {
                let values = rows.iter().flat_map(|row| in_row.iter().map(|param| self.bound(row, param)));
                (statement.text(rows.len()).into_owned(), head.iter().copied().chain(values).collect())
            })
            .collect()
    }

    fn bound(&self, row: &'c Row, param: &Param) -> Bound<'c> {
        (&row[param.column], &self.columns[param.column].column_type)
    }
}

/// A database of one's own.
pub(crate) trait Database {
    fn dialect(&self) -> Dialect;
    /// Executes statements without parameters.
    fn script(&mut self, sql: &str);
    fn execute(&mut self, call: &Call<'_>);
    /// The rows of a query, each value as text; bytes as hexadecimal digits.
    fn select(&mut self, sql: &str) -> Vec<Vec<Option<String>>>;
}

/// All three.
pub(crate) fn all() -> Vec<Box<dyn Database>> {
    vec![Box::new(Pg::start()), Box::new(Maria::start()), Box::new(Lite::start())]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

struct Pg {
    runtime: Runtime,
    client: tokio_postgres::Client,
    _server: Postgres,
}

impl Pg {
    fn start() -> Self {
        let server = Postgres::start();
        let runtime = Runtime::new().expect("a runtime");
        let client = runtime.block_on(async {
            let (client, connection) =
                tokio_postgres::connect(&server.url(), tokio_postgres::NoTls).await.expect("it answers");
            tokio::spawn(connection);
            client
        });
        Self { runtime, client, _server: server }
    }
}

impl Database for Pg {
    fn dialect(&self) -> Dialect {
        Dialect::PostgreSql
    }

    fn script(&mut self, sql: &str) {
        self.runtime.block_on(self.client.batch_execute(sql)).unwrap_or_else(|error| panic!("{error:?}\n{sql}"));
    }

    fn execute(&mut self, call: &Call<'_>) {
        assert_eq!(call.statement.shape, Shape::Columnar);
        let arrays: Vec<Array<'_>> = call
            .statement
            .params
            .iter()
            .map(|param| {
                let rows = if param.of == Of::Parent { call.parents } else { call.rows };
                Array(rows.iter().map(|row| call.bound(row, param)).collect())
            })
            .collect();
        let params: Vec<&(dyn ToSql + Sync)> = arrays.iter().map(|array| array as &(dyn ToSql + Sync)).collect();
        let sql = &call.statement.sql;
        self.runtime
            .block_on(async { self.client.execute(sql, &params).await })
            .unwrap_or_else(|error| panic!("{error:?}\n{sql}"));
    }

    fn select(&mut self, sql: &str) -> Vec<Vec<Option<String>>> {
        let messages = self.runtime.block_on(self.client.simple_query(sql)).expect("the query runs");
        messages
            .iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => {
                    Some((0..row.len()).map(|at| row.get(at).map(|text| text.replace("\\x", ""))).collect())
                }
                _ => None,
            })
            .collect()
    }
}

/// The values of one column, as an array in PostgreSQL's binary format.
#[derive(Debug)]
struct Array<'a>(Vec<Bound<'a>>);

impl ToSql for Array<'_> {
    fn to_sql(&self, kind: &PgType, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        let element = match kind.kind() {
            tokio_postgres::types::Kind::Array(element) => element.oid(),
            _ => return Err("no array".into()),
        };
        out.put_i32(1);
        out.put_i32(1);
        out.put_u32(element);
        out.put_i32(i32::try_from(self.0.len())?);
        out.put_i32(1);
        for (value, kind) in &self.0 {
            let bytes: Vec<u8> = match (value, kind.kind) {
                (Value::Null, _) => {
                    out.put_i32(-1);
                    continue;
                }
                (Value::Bool(value), Type::Bool) => vec![u8::from(*value)],
                (Value::Int(number), Type::Int) => number.to_be_bytes().to_vec(),
                (Value::Float(number), Type::Float) => number.to_be_bytes().to_vec(),
                (Value::Bytes(bytes), Type::Bytes) => bytes.to_vec(),
                (Value::Date(days), Type::Date) => (days - 10_957).to_be_bytes().to_vec(),
                (Value::Timestamp(us), Type::Timestamp) => (us - 946_684_800_000_000).to_be_bytes().to_vec(),
                (other, _) => display(other).into_bytes(),
            };
            out.put_i32(i32::try_from(bytes.len())?);
            out.put_slice(&bytes);
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &PgType) -> bool {
        true
    }

    to_sql_checked!();
}

struct Maria {
    runtime: Runtime,
    connection: mysql_async::Conn,
    _server: MariaDb,
}

impl Maria {
    fn start() -> Self {
        let server = MariaDb::start();
        let runtime = Runtime::new().expect("a runtime");
        let connection =
            runtime.block_on(mysql_async::Conn::from_url(server.url())).unwrap_or_else(|error| panic!("{error}"));
        Self { runtime, connection, _server: server }
    }
}

impl Database for Maria {
    fn dialect(&self) -> Dialect {
        Dialect::MariaDb
    }

    fn script(&mut self, sql: &str) {
        for statement in sql.split(";\n").filter(|statement| !statement.trim().is_empty()) {
            self.runtime
                .block_on(self.connection.query_drop(statement))
                .unwrap_or_else(|error| panic!("{error}\n{statement}"));
        }
    }

    fn execute(&mut self, call: &Call<'_>) {
        for (sql, values) in call.executions() {
            let params = values.iter().map(|(value, _)| match value {
                Value::Null => mysql_async::Value::NULL,
                Value::Bool(value) => mysql_async::Value::Int(i64::from(*value)),
                Value::Int(number) => mysql_async::Value::Int(*number),
                Value::Float(number) => mysql_async::Value::Double(*number),
                Value::Bytes(bytes) => mysql_async::Value::Bytes(bytes.to_vec()),
                other => mysql_async::Value::Bytes(display(other).into_bytes()),
            });
            let params = mysql_async::Params::Positional(params.collect());
            self.runtime
                .block_on(self.connection.exec_drop(&sql, params))
                .unwrap_or_else(|error| panic!("{error}\n{sql}"));
        }
    }

    fn select(&mut self, sql: &str) -> Vec<Vec<Option<String>>> {
        let rows: Vec<mysql_async::Row> =
            self.runtime.block_on(self.connection.query(sql)).unwrap_or_else(|error| panic!("{error}\n{sql}"));
        let text = |value| match value {
            mysql_async::Value::NULL => None,
            mysql_async::Value::Bytes(bytes) => {
                Some(String::from_utf8(bytes).unwrap_or_else(|error| hex(error.as_bytes())))
            }
            other => Some(other.as_sql(true)),
        };
        rows.into_iter().map(|row| row.unwrap().into_iter().map(text).collect()).collect()
    }
}

struct Lite(rusqlite::Connection);

impl Lite {
    fn start() -> Self {
        Self(rusqlite::Connection::open_in_memory().expect("memory"))
    }
}

impl Database for Lite {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn script(&mut self, sql: &str) {
        self.0.execute_batch(sql).unwrap_or_else(|error| panic!("{error}\n{sql}"));
    }

    fn execute(&mut self, call: &Call<'_>) {
        use rusqlite::types::Value as Lite;
        for (sql, values) in call.executions() {
            let params = values.iter().map(|(value, _)| match value {
                Value::Null => Lite::Null,
                Value::Bool(value) => Lite::Integer(i64::from(*value)),
                Value::Int(number) => Lite::Integer(*number),
                Value::Float(number) => Lite::Real(*number),
                Value::Bytes(bytes) => Lite::Blob(bytes.to_vec()),
                other => Lite::Text(display(other)),
            });
            self.0.execute(&sql, rusqlite::params_from_iter(params)).unwrap_or_else(|error| panic!("{error}\n{sql}"));
        }
    }

    fn select(&mut self, sql: &str) -> Vec<Vec<Option<String>>> {
        use rusqlite::types::ValueRef;
        let mut statement = self.0.prepare(sql).unwrap_or_else(|error| panic!("{error}\n{sql}"));
        let width = statement.column_count();
        let rows = statement.query_map([], |row| {
            (0..width)
                .map(|at| {
                    Ok(match row.get_ref(at)? {
                        ValueRef::Null => None,
                        ValueRef::Integer(number) => Some(number.to_string()),
                        ValueRef::Real(number) => Some(number.to_string()),
                        ValueRef::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
                        ValueRef::Blob(bytes) => Some(hex(bytes)),
                    })
                })
                .collect()
        });
        rows.expect("the query runs").collect::<rusqlite::Result<_>>().expect("rows are read")
    }
}
