//! A Redis that a plan names, to write to or to look things up in: connecting, and what its errors mean.

use std::collections::BTreeSet;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ConnectionAddr, ErrorKind, IntoConnectionInfo as _, RedisConnectionInfo};
use redis::{ClientTlsConfig, RedisError, ServerErrorKind, TlsCertificates, Value};
use redis_wb_plan::plan::RedisConnection;

use crate::error::Failure;
use crate::secret::{expand, secret};
use crate::shard::{CONNECT_SECONDS_MAX, RESPONSE_SECONDS_MAX};
use crate::tls::{self, Mode, Settings, bytes_of};

/// How long one command may wait for replicas; it must end before a reply counts as lost.
pub(crate) const WAIT_SECONDS_MAX: Duration = Duration::from_secs(10);
/// The port where nothing else is said.
const PORT: u16 = 6379;

/// Connects to the first host that answers and takes writes.
pub(crate) async fn connect(name: &str, plan: &RedisConnection) -> Result<MultiplexedConnection, Failure> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_SECONDS_MAX))
        .set_response_timeout(Some(RESPONSE_SECONDS_MAX));
    let mut last = None;
    for client in clients(name, plan)? {
        let found = match client.get_multiplexed_async_connection_with_config(&config).await {
            Ok(mut redis) => match redis::cmd("ROLE").query_async::<Vec<Value>>(&mut redis).await {
                Ok(role) if matches!(role.first(), Some(Value::BulkString(role)) if role == b"master") => {
                    return Ok(redis);
                }
                Ok(_) => Failure::Transient(format!("the Redis of connection `{name}` is a replica")),
                Err(error) => failure(name, &error),
            },
            Err(error) => failure(name, &error),
        };
        if let Failure::Configuration { .. } = found {
            return Err(found);
        }
        last = Some(found);
    }
    Err(last.unwrap_or_else(|| no_host(name)))
}

/// Connects, and makes sure that the server has these commands.
pub(crate) async fn look_at(name: &str, plan: &RedisConnection, commands: &BTreeSet<String>) -> Result<(), Failure> {
    let mut redis = connect(name, plan).await?;
    let mut info = redis::cmd("COMMAND");
    info.arg("INFO").arg(commands);
    if commands.is_empty() {
        return Ok(());
    }
    let found: Vec<Value> = info.query_async(&mut redis).await.map_err(|error| failure(name, &error))?;
    let missing = commands.iter().zip(found).find(|(_, found)| *found == Value::Nil);
    let Some((command, _)) = missing else { return Ok(()) };
    Err(Failure::configuration(
        format!("it has no command `{command}`"),
        if command.starts_with("JSON.") { "load RedisJSON 2.6 or newer into it" } else { "use a newer Redis" },
    ))
}

/// Makes sure of all that can be known of a connection without asking for it.
pub(crate) fn check(name: &str, plan: &RedisConnection) -> Result<(), Failure> {
    clients(name, plan).map(drop)
}

fn clients(name: &str, plan: &RedisConnection) -> Result<Vec<Client>, Failure> {
    let number = |text: &str, what: &str, most: i64| {
        let text = expand(text)?;
        let number = text.trim().parse::<i64>().ok().filter(|number| (0..=most).contains(number));
        number.ok_or_else(|| {
            let message = format!("the {what} of connection `{name}` is `{text}`, which is none");
            Failure::configuration(message, format!("write a whole number from 0 to {most}"))
        })
    };
    let port = plan.port.as_ref().map(|port| number(port, "port", i64::from(u16::MAX))).transpose()?;
    let port = port.map_or(PORT, |port| u16::try_from(port).unwrap_or(PORT));
    let mut settings = RedisConnectionInfo::default();
    if let Some(database) = &plan.database {
        settings = settings.set_db(number(database, "database", i64::from(i32::MAX))?);
    }
    if let Some(user) = &plan.user {
        settings = settings.set_username(expand(user)?);
    }
    if let Some(password) = &plan.password {
        settings = settings.set_password(secret(password)?);
    }
    let has_tls = plan.args.keys().any(|key| key.starts_with("ssl"));
    let tls = Settings::read(&plan.args, if has_tls { Mode::VerifyFull } else { Mode::Disable })?;
    let client = |host: &String| {
        let (host, insecure) = (expand(host)?, tls.mode == Mode::Require);
        let address = match tls.mode {
            Mode::Disable => ConnectionAddr::Tcp(host, port),
            Mode::Require | Mode::VerifyFull => ConnectionAddr::TcpTls { host, port, insecure, tls_params: None },
            Mode::Prefer | Mode::VerifyCa => {
                return Err(Failure::configuration(
                    format!("a Redis knows no such `sslmode` (connection `{name}`)"),
                    "write disable, require (without `sslrootcert`) or verify-full",
                ));
            }
        };
        let info = address.into_connection_info().map_err(|error| failure(name, &error))?;
        let info = info.set_redis_settings(settings.clone());
        let client = if tls.mode == Mode::Disable {
            Client::open(info)
        } else {
            Client::build_with_tls(info, certificates(&tls)?)
        };
        client.map_err(|error| failure(name, &error))
    };
    let clients = plan.hosts.iter().map(client).collect::<Result<Vec<_>, _>>()?;
    if clients.is_empty() { Err(no_host(name)) } else { Ok(clients) }
}

/// The certificates of a client, read.
pub(crate) fn certificates(tls: &Settings) -> Result<TlsCertificates, Failure> {
    // The client reads them only when it connects, and takes what is wrong with them for something that passes.
    tls.client()?;
    let root_cert = tls.root.as_deref().map(bytes_of).transpose()?;
    let client_tls = match &tls.identity {
        Some((certificate, key)) => {
            Some(ClientTlsConfig { client_cert: bytes_of(certificate)?, client_key: bytes_of(key)? })
        }
        None => None,
    };
    Ok(TlsCertificates { client_tls, root_cert })
}

fn no_host(name: &str) -> Failure {
    Failure::configuration(format!("the connection `{name}` names no host"), "write `host: 127.0.0.1`")
}

/// What an error of such a server means: all pass by themselves but those of rights and passwords.
pub(crate) fn failure(name: &str, error: &RedisError) -> Failure {
    if let Some(failure) = tls::refusal(error, tls::LIBPQ) {
        return failure.at(&format!("the Redis of connection `{name}`"));
    }
    let code = error.code().unwrap_or_default();
    if matches!(code, "MOVED" | "CROSSSLOT") || matches!(error.kind(), ErrorKind::Server(ServerErrorKind::Moved)) {
        return Failure::configuration(
            format!("the Redis of connection `{name}` is a cluster, which is not talked to yet"),
            "name a Redis that is no cluster",
        );
    }
    if error.kind() == ErrorKind::AuthenticationFailed || matches!(code, "NOAUTH" | "WRONGPASS" | "NOPERM") {
        return Failure::configuration(
            format!("the Redis of connection `{name}` refuses this worker: {error}"),
            "mend `user` and `password` of the connection, or give the user the rights",
        );
    }
    Failure::Transient(format!("the Redis of connection `{name}`: {error}"))
}
