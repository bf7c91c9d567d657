//! A connection to PostgreSQL, from what the plan says of it.

use std::time::Duration;

use redis_wb_plan::plan::Connection;
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, NoTls};

use super::failure;
use crate::error::Failure;
use crate::secret::{expand, secret};

/// How long a connection may take to come about.
const CONNECT_SECONDS_MAX: Duration = Duration::from_secs(10);
/// How long a connection may be silent before the kernel asks whether the other side is there.
const KEEPALIVE_SECONDS: Duration = Duration::from_secs(15);
/// How long sent bytes may wait for their receipt before the connection counts as broken.
const RECEIPT_SECONDS_MAX: Duration = Duration::from_secs(30);

/// A client and the task that moves its bytes; both end together.
pub(super) struct Session {
    pub(super) client: Client,
    wire: JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.wire.abort();
    }
}

pub(super) async fn connect(connection: &Connection) -> Result<Session, Failure> {
    let (client, wire) = config(connection)?.connect(NoTls).await.map_err(failure::of)?;
    let wire = tokio::spawn(async move {
        if let Err(error) = wire.await {
            tracing::debug!(%error, "the connection to PostgreSQL ended");
        }
    });
    // Text that a driver sends must mean the same whatever the server's or the user's settings are.
    client
        .batch_execute("SET standard_conforming_strings = on; SET TimeZone = 'UTC'; SET DateStyle = 'ISO'")
        .await
        .map_err(failure::of)?;
    Ok(Session { client, wire })
}

fn config(connection: &Connection) -> Result<Config, Failure> {
    let mut config = Config::new();
    config
        .application_name("redis-wb")
        .connect_timeout(CONNECT_SECONDS_MAX)
        .keepalives_idle(KEEPALIVE_SECONDS)
        .tcp_user_timeout(RECEIPT_SECONDS_MAX)
        .target_session_attrs(tokio_postgres::config::TargetSessionAttrs::ReadWrite)
        .ssl_mode(SslMode::Disable);
    for host in &connection.hosts {
        config.host(expand(host)?);
    }
    if connection.hosts.is_empty() {
        config.host("localhost");
    }
    if let Some(port) = &connection.port {
        let port = expand(port)?;
        let number = port.parse().map_err(|_| {
            Failure::configuration(format!("`port` is no port: `{port}`"), "write a number from 1 to 65535")
        })?;
        config.port(number);
    }
    if let Some(database) = &connection.database {
        config.dbname(expand(database)?);
    }
    if let Some(user) = &connection.user {
        config.user(expand(user)?);
    }
    if let Some(password) = &connection.password {
        config.password(secret(password)?);
    }
    if let Some(mode) = connection.args.get("sslmode")
        && !matches!(mode.as_str(), "disable" | "allow" | "prefer")
    {
        return Err(Failure::configuration(
            format!("`sslmode: {mode}` asks for TLS, which this version does not speak yet"),
            "use `sslmode: disable` on a network that you trust",
        ));
    }
    Ok(config)
}
