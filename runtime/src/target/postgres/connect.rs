//! A connection to PostgreSQL, from what the plan says of it.

use std::time::Duration;

use redis_wb_plan::plan::Connection;
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::failure;
use crate::error::Failure;
use crate::secret::{expand, secret};
use crate::tls::{self, Mode};

/// The port where none is named.
const PORT: u16 = 5_432;
/// How long a connection may take to come about.
const CONNECT_SECONDS_MAX: Duration = Duration::from_secs(10);
/// How long the hosts together may take until one has let the user in.
const ANSWER_SECONDS_MAX: Duration = Duration::from_secs(40);
/// How long a connection may be silent before the kernel asks whether the other side is there.
const KEEPALIVE_SECONDS: Duration = Duration::from_secs(15);
/// How long sent bytes may wait for their receipt before the connection counts as broken.
const RECEIPT_SECONDS_MAX: Duration = Duration::from_secs(30);

/// Text must mean the same whatever the server's or the user's settings are, and what is committed must stay, since
/// the stream is trimmed then. The locks of a worker that stands still in a transaction are not waited for: the server
/// ends it.
const SETTINGS: &str = "\
    SET standard_conforming_strings = on; SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET synchronous_commit = on; \
    SET idle_in_transaction_session_timeout = '10s'";

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
    config(connection)?;
    tls(connection)?.client().map(drop)
}

pub(super) async fn connect(connection: &Connection) -> Result<Session, Failure> {
    let config = config(connection)?;
    let tls = MakeRustlsConnect::new(tls(connection)?.client()?);
    let connected = tokio::time::timeout(ANSWER_SECONDS_MAX, config.connect(tls)).await;
    let (client, wire) = match connected {
        Ok(connected) => connected.map_err(|error| unconnected(error, &config))?,
        Err(_) => return Err(Failure::Transient(format!("PostgreSQL does not answer ({})", address(&config)))),
    };
    let wire = tokio::spawn(async move {
        if let Err(error) = wire.await {
            tracing::debug!(%error, "the connection to PostgreSQL ended");
        }
    });
    match tokio::time::timeout(CONNECT_SECONDS_MAX, client.batch_execute(SETTINGS)).await {
        Ok(set) => set.map_err(failure::of)?,
        Err(_) => return Err(Failure::Transient("PostgreSQL does not answer".to_owned())),
    }
    Ok(Session { client, wire })
}

/// What kept a connection from coming about.
fn unconnected(error: tokio_postgres::Error, config: &Config) -> Failure {
    if let Some(failure) = tls::refusal(&error, tls::LIBPQ) {
        return failure.at(&format!("PostgreSQL at {}", address(config)));
    }
    match failure::of(error) {
        Failure::Transient(why) if why.contains("server does not support TLS") => Failure::configuration(
            format!("{} speaks no TLS, which `sslmode` asks for", address(config)),
            "turn TLS on there (`ssl = on`), or use `sslmode: disable` on a network that you trust",
        ),
        Failure::Transient(why) => Failure::Transient(format!("{why} ({})", address(config))),
        Failure::Configuration { message, help } => {
            Failure::Configuration { message: format!("{message} ({})", address(config)), help }
        }
        other => other,
    }
}

/// As libpq has it, without `sslmode` TLS is used where the server offers it.
fn tls(connection: &Connection) -> Result<tls::Settings, Failure> {
    tls::Settings::read(&connection.args, Mode::Prefer)
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
        .ssl_mode(match tls(connection)?.mode {
            Mode::Disable => SslMode::Disable,
            Mode::Prefer => SslMode::Prefer,
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => SslMode::Require,
        });
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
    Ok(config)
}
