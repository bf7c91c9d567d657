//! A connection to PostgreSQL, from what the plan says of it.

use std::time::Duration;

use redis_wb_plan::plan::Connection;
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, NoTls};

use super::failure;
use crate::error::Failure;
use crate::secret::{expand, secret};

/// The port where none is named.
const PORT: u16 = 5_432;
/// How long a connection may take to come about.
const CONNECT_SECONDS_MAX: Duration = Duration::from_secs(10);
/// How long a connection may be silent before the kernel asks whether the other side is there.
const KEEPALIVE_SECONDS: Duration = Duration::from_secs(15);
/// How long sent bytes may wait for their receipt before the connection counts as broken.
const RECEIPT_SECONDS_MAX: Duration = Duration::from_secs(30);

/// Text must mean the same whatever the server's or the user's settings are, and what is committed must stay, since
/// the stream is trimmed then.
const SETTINGS: &str = "\
    SET standard_conforming_strings = on; SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET synchronous_commit = on";

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

/// Whether the configuration is whole.
pub(in crate::target) fn check(connection: &Connection) -> Result<(), Failure> {
    config(connection).map(drop)
}

pub(super) async fn connect(connection: &Connection) -> Result<Session, Failure> {
    let config = config(connection)?;
    let (client, wire) = config.connect(NoTls).await.map_err(|error| match failure::of(error) {
        Failure::Transient(why) => Failure::Transient(format!("{why} ({})", address(&config))),
        other => other,
    })?;
    let wire = tokio::spawn(async move {
        if let Err(error) = wire.await {
            tracing::debug!(%error, "the connection to PostgreSQL ended");
        }
    });
    client.batch_execute(SETTINGS).await.map_err(failure::of)?;
    Ok(Session { client, wire })
}

/// The address for people, without user and password.
fn address(config: &Config) -> String {
    let hosts = config.get_hosts().iter().map(|host| match host {
        tokio_postgres::config::Host::Tcp(name) => name.clone(),
        #[cfg(unix)]
        tokio_postgres::config::Host::Unix(path) => path.display().to_string(),
    });
    let port = config.get_ports().first().copied().unwrap_or(PORT);
    format!("{}, port {port}", hosts.collect::<Vec<_>>().join(", "))
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
