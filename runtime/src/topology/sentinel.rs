//! Sentinels: they know which server is the primary of a name. Asked by the client of the crate `redis`; this file only
//! reads their address.

use std::fmt;
use std::sync::Arc;

use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{ConnectionAddr, ErrorKind, IntoConnectionInfo as _, RedisError, RedisResult, TlsMode};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::error::Failure;
use crate::shard::{CONNECT_SECONDS_MAX, Shard, certificates_of, failure_of};
use crate::{Error, Server};

/// What an address of sentinels begins with, and what that of one of them would begin with.
const SCHEMES: [(&str, &str, bool); 2] =
    [("redis+sentinel://", "redis://", false), ("rediss+sentinel://", "rediss://", true)];
/// The port of a sentinel where none is named.
const PORT: u16 = 26379;
/// How an address is written.
const FORM: &str = "write it as redis+sentinel://[user:password@]host:26379[,host2:26379…]/name-of-the-primary\
    [?sentinel_user=…&sentinel_password=…], with rediss+sentinel:// for TLS";

/// The sentinels of one primary.
#[derive(Clone)]
pub(crate) struct Sentinels {
    name: String,
    client: Arc<Mutex<SentinelClient>>,
}

impl fmt::Debug for Sentinels {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Sentinels({})", self.name)
    }
}

/// An address of sentinels, taken apart.
#[derive(Debug, PartialEq)]
struct Parts<'a> {
    /// `redis://` or `rediss://`.
    scheme: &'static str,
    has_tls: bool,
    /// User and password of the servers, with the `@` behind them.
    user: &'a str,
    /// Each sentinel, with its port.
    hosts: Vec<String>,
    name: &'a str,
    sentinel_user: &'a str,
    sentinel_password: &'a str,
}

impl Sentinels {
    /// The sentinels that an address names; `None` where it is one of another kind.
    pub(crate) fn new(server: &Server) -> Result<Option<Self>, Error> {
        let Some(parts) = parse(&server.url)? else { return Ok(None) };
        let none = |error: RedisError| Error::new(format!("`--redis` is no address of sentinels: {error}"), FORM);
        let certificates = certificates_of(server, parts.has_tls)?;
        let client = builder(&parts, certificates).and_then(SentinelClientBuilder::build).map_err(none)?;
        Ok(Some(Self { name: parts.name.to_owned(), client: Arc::new(Mutex::new(client)) }))
    }

    /// The server that is the primary now.
    pub(crate) async fn primary(&self) -> Result<Shard, Failure> {
        let found = timeout(CONNECT_SECONDS_MAX, async { self.client.lock().await.async_get_client().await });
        let name = &self.name;
        match found.await {
            Ok(Ok(client)) => Ok(Shard::of(client)),
            Ok(Err(error)) if error.kind() == ErrorKind::MasterNameNotFoundBySentinel => Err(Failure::Transient(
                format!("no sentinel knows a living primary `{name}`: waiting for a failover, if the name is right"),
            )),
            Ok(Err(error)) => Err(match failure_of(&error) {
                Failure::Transient(why) => {
                    Failure::Transient(format!("the sentinels of `{name}` do not lead to a primary: {why}"))
                }
                other => other,
            }),
            Err(_) => Err(Failure::Transient(format!("the sentinels of `{name}` do not answer"))),
        }
    }
}

fn builder(parts: &Parts<'_>, certificates: Option<redis::TlsCertificates>) -> RedisResult<SentinelClientBuilder> {
    let Parts { scheme, user, .. } = parts;
    // What stands in for a host is not looked at: only user and password, decoded.
    let credentials = |user: &str| format!("{scheme}{user}host").into_connection_info();
    let mut sentinels: Vec<ConnectionAddr> = Vec::new();
    for host in &parts.hosts {
        sentinels.push(format!("{scheme}{host}").into_connection_info()?.addr().clone());
    }
    let mut builder = SentinelClientBuilder::new(sentinels, parts.name, SentinelServerType::Master)?;
    let servers = credentials(user)?;
    if let Some(name) = servers.redis_settings().username() {
        builder = builder.set_client_to_redis_username(name);
    }
    if let Some(password) = servers.redis_settings().password() {
        builder = builder.set_client_to_redis_password(password);
    }
    let own = credentials(&match (parts.sentinel_user, parts.sentinel_password) {
        ("", "") => String::new(),
        (name, password) => format!("{name}:{password}@"),
    })?;
    if let Some(name) = own.redis_settings().username() {
        builder = builder.set_client_to_sentinel_username(name);
    }
    if let Some(password) = own.redis_settings().password() {
        builder = builder.set_client_to_sentinel_password(password);
    }
    if parts.has_tls {
        builder =
            builder.set_client_to_redis_tls_mode(TlsMode::Secure).set_client_to_sentinel_tls_mode(TlsMode::Secure);
    }
    Ok(match certificates {
        Some(certificates) => builder
            .set_client_to_redis_certificates(certificates.clone())
            .set_client_to_sentinel_certificates(certificates),
        None => builder,
    })
}

fn parse(url: &str) -> Result<Option<Parts<'_>>, Error> {
    let scheme = SCHEMES.iter().find_map(|(start, one, tls)| Some((*one, *tls, url.strip_prefix(start)?)));
    let Some((scheme, has_tls, rest)) = scheme else { return Ok(None) };
    let wrong = |what: &str| Error::new(format!("`--redis` {what}"), FORM);
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    // A password may hold an `@` or a `/` only in its encoded form.
    let (hosts, name) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, hosts) = hosts.rfind('@').map_or(("", hosts), |at| hosts.split_at(at + 1));
    if name.is_empty() || name.contains('/') {
        return Err(wrong("names sentinels and no primary"));
    }
    let hosts: Vec<String> = hosts.split(',').filter(|host| !host.is_empty()).map(with_port).collect();
    if hosts.is_empty() {
        return Err(wrong("names no sentinel"));
    }
    let (mut sentinel_user, mut sentinel_password) = ("", "");
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sentinel_user", value)) => sentinel_user = value,
            Some(("sentinel_password", value)) => sentinel_password = value,
            _ => return Err(wrong("has a parameter that sentinels do not know")),
        }
    }
    Ok(Some(Parts { scheme, has_tls, user, hosts, name, sentinel_user, sentinel_password }))
}

fn with_port(host: &str) -> String {
    // An IPv6 address has colons of its own, in brackets.
    let port = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    if port.is_some() { host.to_owned() } else { format!("{host}:{PORT}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        let parts = parse("redis+sentinel://ada:s%40e@a,b:26380,[::1]/shop?sentinel_user=u&sentinel_password=p%2F");
        let parts = parts.unwrap().unwrap();
        assert_eq!(parts.hosts, ["a:26379", "b:26380", "[::1]:26379"]);
        assert_eq!((parts.user, parts.name), ("ada:s%40e@", "shop"));
        assert_eq!((parts.sentinel_user, parts.sentinel_password), ("u", "p%2F"));
        assert!(!parts.has_tls);
        assert!(builder(&parts, None).unwrap().build().is_ok());
        let parts = parse("rediss+sentinel://:secret@a/shop").unwrap().unwrap();
        assert!(parts.has_tls && builder(&parts, None).unwrap().build().is_ok());
        assert_eq!(parse("redis://a:6379").unwrap(), None);
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (url, said) in [
            ("redis+sentinel://a:26379", "no primary"),
            ("redis+sentinel://a:26379/shop/2", "no primary"),
            ("redis+sentinel://user@/shop", "no sentinel"),
            ("redis+sentinel://a/shop?db=2", "a parameter"),
        ] {
            assert!(parse(url).unwrap_err().to_string().contains(said), "{url}");
        }
    }
}
