//! The collector: where it is, and a request to it. It must not know what is in it.

use std::time::Duration;

use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a request may take.
const POST_SECONDS_MAX: Duration = Duration::from_secs(5);
/// The port where nothing else is said.
const PORT: u16 = 4_318;

/// A collector that speaks OTLP over HTTP.
#[derive(Debug, Clone)]
pub(crate) struct Collector {
    host: String,
    port: u16,
    /// What stands before `/v1/logs`.
    base: String,
}

impl Collector {
    /// The collector at an address: `http://host:4318`.
    ///
    /// # Errors
    /// How an address is written. The text itself is not told: it may hold a password.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        const WRITE: &str = "write it as http://host:4318 (for TLS, or a password, run a collector beside this)";
        let uri: Uri = text.parse().map_err(|_| WRITE)?;
        let has_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
        let is_plain = uri.scheme_str() == Some("http") && !has_user;
        let host = uri.host().filter(|_| is_plain).ok_or(WRITE)?.to_owned();
        let base = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { host, port: uri.port_u16().unwrap_or(PORT), base })
    }

    /// Sends a request; the reason where it is not taken.
    pub(super) async fn post(&self, path: &str, body: &str) -> Result<(), String> {
        let sent = timeout(POST_SECONDS_MAX, self.send(path, body)).await;
        sent.unwrap_or_else(|_| Err(format!("it did not answer for {} seconds", POST_SECONDS_MAX.as_secs())))
    }

    async fn send(&self, path: &str, body: &str) -> Result<(), String> {
        let told = |error: &dyn std::fmt::Display| format!("{}:{}: {error}", self.host, self.port);
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let stream = TcpStream::connect((host, self.port)).await.map_err(|error| told(&error))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| told(&error))?;
        let connection = tokio::spawn(connection);
        let request = Request::post(format!("{}{path}", self.base))
            .header(HOST, format!("{}:{}", self.host, self.port))
            .header(CONTENT_TYPE, "application/json")
            .body(body.to_owned())
            .map_err(|error| told(&error))?;
        let answer = sender.send_request(request).await.map_err(|error| told(&error));
        connection.abort();
        match answer? {
            answer if answer.status().is_success() => Ok(()),
            answer => Err(told(&answer.status())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_may_have_more() {
        let parsed = |text: &str| Collector::parse(text).map(|one| (one.host, one.port, one.base));
        assert_eq!(parsed("http://otel"), Ok(("otel".to_owned(), 4_318, String::new())));
        assert_eq!(parsed("http://[::1]:9/base/"), Ok(("[::1]".to_owned(), 9, "/base".to_owned())));
        for wrong in ["https://otel", "otel:4318", "", "http://", "http://user:password@otel"] {
            assert!(parsed(wrong).is_err_and(|why| why.contains("http://host:4318")), "{wrong}");
        }
    }
}
