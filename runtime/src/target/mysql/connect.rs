//! A connection to MariaDB or MySQL, from what the plan says of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use mysql_async::{ClientIdentity, Conn, Opts, OptsBuilder, SslOpts};
use redis_wb_plan::plan::{Connection, Dialect};

use super::failure;
use crate::error::Failure;
use crate::secret::{expand, secret};
use crate::tls::{self, Mode};

/// The port where none is named.
const PORT: u16 = 3_306;
/// How long a connection may take to come about.
const CONNECT_SECONDS_MAX: Duration = Duration::from_secs(10);
/// How long a connection may be silent before the kernel asks whether the other side is there.
const KEEPALIVE_SECONDS: Duration = Duration::from_secs(15);
/// Prepared statements that are kept.
const STATEMENTS_MAX: usize = 1_024;
/// The oldest MySQL whose upserts have an alias of the new row.
const MYSQL_VERSION_MIN: (u16, u16, u16) = (8, 0, 19);

/// Values must mean the same whatever the server's settings are: nothing is cut, rounded or guessed, a zero is no order
/// to number the row, and a time is in UTC. `READ COMMITTED` locks only the rows that are written.
const SETTINGS: [&str; 3] = [
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,\
     NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO', time_zone = '+00:00', autocommit = 1, foreign_key_checks = 1, \
     unique_checks = 1",
    "SET NAMES utf8mb4",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
];

/// The locks of a worker that stands still in a transaction are not waited for: the server ends it. MySQL knows only
/// connections that stand still, which is why a pipeline gives a sign of life in between (`Target::ping`).
const fn patience(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::MariaDb => "SET SESSION idle_transaction_timeout = 10",
        _ => "SET SESSION wait_timeout = 20",
    }
}

/// A connection with its settings.
pub(super) struct Session {
    pub(super) connection: Conn,
    /// The most bytes that the server takes at once.
    pub(super) packet_bytes_max: usize,
}

/// Whether the configuration is whole.
pub(in crate::target) fn check(connection: &Connection) -> Result<(), Failure> {
    every_host(connection).map(drop)
}

/// Connects to the first host that answers and takes writes.
pub(super) async fn connect(plan: &Connection) -> Result<Session, Failure> {
    let mut last = None;
    for options in every_host(plan)? {
        match connect_to(options, plan.dialect).await {
            Ok(session) => return Ok(session),
            Err(failure @ Failure::Transient(_)) => last = Some(failure),
            Err(failure) => return Err(failure),
        }
    }
    Err(last.unwrap_or_else(|| Failure::Transient("the connection names no host".to_owned())))
}

async fn connect_to(options: Opts, dialect: Dialect) -> Result<Session, Failure> {
    let address = format!("{}, port {}", options.ip_or_hostname(), options.tcp_port());
    let connected = tokio::time::timeout(CONNECT_SECONDS_MAX, async {
        let mut connection = Conn::new(options).await.map_err(failure::of)?;
        for setting in SETTINGS.into_iter().chain([patience(dialect)]) {
            connection.query_drop(setting).await.map_err(failure::of)?;
        }
        look_at_server(connection, dialect).await
    });
    let connected = connected.await.unwrap_or_else(|_| Err(Failure::Transient("no answer".to_owned())));
    connected.map_err(|failure| match failure {
        Failure::Transient(why) => Failure::Transient(format!("{}: {why} ({address})", dialect.title())),
        other => other.at(&format!("{} at {address}", dialect.title())),
    })
}

/// Makes sure that the server is what the connection says, and takes writes.
async fn look_at_server(mut connection: Conn, dialect: Dialect) -> Result<Session, Failure> {
    let asked = "SELECT VERSION(), CAST(@@global.read_only AS CHAR), @@max_allowed_packet";
    let facts: Option<(String, String, usize)> = connection.query_first(asked).await.map_err(failure::of)?;
    let Some((version, read_only, packet_bytes_max)) = facts else {
        return Err(Failure::Transient("the server does not tell its version".to_owned()));
    };
    let is_mariadb = version.to_ascii_lowercase().contains("mariadb");
    if is_mariadb != (dialect == Dialect::MariaDb) {
        let (found, name) = if is_mariadb { ("MariaDB", "mariadb") } else { ("MySQL", "mysql") };
        return Err(Failure::configuration(
            format!("the connection says `type: {}`, but the server is {found} {version}", dialect.name()),
            format!("write `type: {name}`, since the two have different statements"),
        ));
    }
    if !is_mariadb && connection.server_version() < MYSQL_VERSION_MIN {
        return Err(Failure::configuration(
            format!("the server is MySQL {version}, whose statements lack what redis-wb needs"),
            "upgrade it to 8.0.19 or newer",
        ));
    }
    if !matches!(read_only.as_str(), "0" | "OFF") {
        return Err(Failure::Transient("this server is read-only: waiting until it is a primary".to_owned()));
    }
    Ok(Session { connection, packet_bytes_max })
}

/// TLS where one of its parameters is named: with the server verified by `ssl_ca`, or else by the system's issuers.
fn tls(args: &BTreeMap<String, String>) -> Result<Option<SslOpts>, Failure> {
    let get = |name: &str| args.get(name).map(|text| expand(text)).transpose();
    let (root, certificate, key) = (get(tls::MYSQL.root)?, get(tls::MYSQL.certificate)?, get(tls::MYSQL.key)?);
    if root.is_none() && certificate.is_none() && key.is_none() {
        return Ok(None);
    }
    let identity = tls::identity(certificate, key, tls::MYSQL)?;
    let settings = tls::Settings { mode: Mode::VerifyFull, root, identity };
    // The client reads the files only when it connects; what is wrong with them is told before.
    settings.client()?;
    let mut options = SslOpts::default();
    match settings.root {
        Some(root) => {
            options = options.with_root_certs(vec![PathBuf::from(root).into()]).with_disable_built_in_roots(true);
        }
        None => {
            let all = rustls_native_certs::load_native_certs().certs;
            let all = all.into_iter().map(|certificate| certificate.to_vec().into());
            options = options.with_root_certs(all.collect()).with_disable_built_in_roots(true);
        }
    }
    if let Some((certificate, key)) = settings.identity {
        let identity = ClientIdentity::new(PathBuf::from(certificate).into(), PathBuf::from(key).into());
        options = options.with_client_identity(Some(identity));
    }
    Ok(Some(options))
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
        let name = connection.dialect.name();
        let message = format!("a {name} connection names no database");
        return Err(Failure::configuration(message, "write `database: shop`, or whatever its name is"));
    }
    let password = connection.password.as_ref().map(|password| secret(password)).transpose()?;
    let tls = tls(&connection.args)?;
    let local = vec!["localhost".to_owned()];
    let hosts = if connection.hosts.is_empty() { &local } else { &connection.hosts };
    let options = |host: &String| {
        let options = OptsBuilder::default()
            .ip_or_hostname(expand(host)?)
            .tcp_port(port)
            .prefer_socket(false)
            .user(user.clone())
            .pass(password.clone())
            .db_name(database.clone())
            .tcp_keepalive(Some(KEEPALIVE_SECONDS))
            .tcp_nodelay(true)
            .ssl_opts(tls.clone())
            .stmt_cache_size(STATEMENTS_MAX);
        Ok(options.into())
    };
    hosts.iter().map(options).collect()
}
