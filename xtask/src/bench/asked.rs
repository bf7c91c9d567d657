//! How measurements ask servers. It must not know what they hold.

use std::process::Command;

use xtask::servers::{Postgres, Redis};
use xtask::{Error, tools};

pub(super) fn connect(redis: &Redis) -> Result<redis::Connection, Error> {
    let client = redis::Client::open(redis.url());
    client.and_then(|client| client.get_connection()).map_err(Error::during("connect to Redis"))
}

/// The settings of a connection, as `config.yaml` has them.
pub(super) fn settings(server: &Postgres) -> String {
    let port = server.port();
    format!("type: postgresql\n    host: 127.0.0.1\n    port: {port}\n    database: postgres\n    user: postgres")
}

/// Gives SQL to a PostgreSQL; what it prints, without titles.
pub(super) fn psql(postgres: &Postgres, sql: &str) -> Result<String, Error> {
    let output = Command::new(tools::psql()?).arg(postgres.url()).args(["-q", "-t", "-A", "-c", sql]).output();
    let output = output.map_err(Error::during("run psql"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    Err(Error::new(format!("psql: {}", String::from_utf8_lossy(&output.stderr))))
}
