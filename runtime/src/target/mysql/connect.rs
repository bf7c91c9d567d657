//! A connection to MariaDB or MySQL, from what the plan says of it.

use std::time::Duration;

use mysql_async::{Conn, Opts, OptsBuilder};
use redis_wb_plan::plan::Connection;

use super::failure;
use crate::error::Failure;
use crate::secret::{expand, secret};

/// The port where none is named.
const PORT: u16 = 3_306;
/// How long a connection may take to come about.
const CONNECT_SECONDS_MAX: Duration = Duration::from_secs(10);
/// How long a connection may be silent before the kernel asks whether the other side is there.
const KEEPALIVE_SECONDS: Duration = Duration::from_secs(15);
/// Prepared statements that are kept: each number of rows is a text of its own.
const STATEMENTS_MAX: usize = 256;

/// Values must mean the same whatever the server's settings are: nothing is cut, rounded or guessed, and a time is in
/// UTC. `READ COMMITTED` locks only the rows that are written.
const SETTINGS: [&str; 3] = [
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,\
     NO_ENGINE_SUBSTITUTION', time_zone = '+00:00', autocommit = 1, foreign_key_checks = 1, unique_checks = 1",
    "SET NAMES utf8mb4",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
];

/// Whether the configuration is whole.
pub(in crate::target) fn check(connection: &Connection) -> Result<(), Failure> {
    every_host(connection).map(drop)
}

/// Connects to the first host that answers and takes writes.
pub(super) async fn connect(connection: &Connection) -> Result<Conn, Failure> {
    let mut last = None;
    for options in every_host(connection)? {
        match connect_to(options).await {
            Ok(connection) => return Ok(connection),
            Err(failure @ Failure::Transient(_)) => last = Some(failure),
            Err(failure) => return Err(failure),
        }
    }
    Err(last.unwrap_or_else(|| Failure::Transient("no host answers".to_owned())))
}

async fn connect_to(options: Opts) -> Result<Conn, Failure> {
    let address = format!("{}, port {}", options.ip_or_hostname(), options.tcp_port());
    let unreachable = |why: String| Failure::Transient(format!("{why} ({address})"));
    let mut connection = match tokio::time::timeout(CONNECT_SECONDS_MAX, Conn::new(options)).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => {
            return Err(match failure::of(error) {
                Failure::Transient(why) => unreachable(why),
                other => other,
            });
        }
        Err(_) => return Err(unreachable("the server does not answer".to_owned())),
    };
    use mysql_async::prelude::Queryable as _;
    for setting in SETTINGS {
        connection.query_drop(setting).await.map_err(failure::of)?;
    }
    let read_only: Option<bool> = connection.query_first("SELECT @@global.read_only").await.map_err(failure::of)?;
    if read_only == Some(true) {
        return Err(unreachable("this server is read-only: waiting until it is a primary".to_owned()));
    }
    Ok(connection)
}

/// What is needed to connect to each host.
fn every_host(connection: &Connection) -> Result<Vec<Opts>, Failure> {
    let port = match &connection.port {
        None => PORT,
        Some(port) => {
            let port = expand(port)?;
            port.parse().map_err(|_| {
                Failure::configuration(format!("`port` is no port: `{port}`"), "write a number from 1 to 65535")
            })?
        }
    };
    let optional = |text: &Option<String>| text.as_ref().map(|text| expand(text)).transpose();
    let (database, user) = (optional(&connection.database)?, optional(&connection.user)?);
    if database.is_none() {
        return Err(Failure::configuration("the connection names no `database`", "write `database: shop`"));
    }
    let password = connection.password.as_ref().map(|password| secret(password)).transpose()?;
    let local = vec!["localhost".to_owned()];
    let hosts = if connection.hosts.is_empty() { &local } else { &connection.hosts };
    hosts
        .iter()
        .map(|host| {
            let options = OptsBuilder::default()
                .ip_or_hostname(expand(host)?)
                .tcp_port(port)
                .prefer_socket(false)
                .user(user.clone())
                .pass(password.clone())
                .db_name(database.clone())
                .tcp_keepalive(Some(KEEPALIVE_SECONDS))
                .tcp_nodelay(true)
                // A step of the checkpoint that finds its row counts, whether or not it changes it.
                .client_found_rows(true)
                .stmt_cache_size(STATEMENTS_MAX);
            Ok(options.into())
        })
        .collect()
}
