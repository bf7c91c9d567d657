//! Metrics and health over HTTP: for Prometheus, and for whoever keeps the process alive. It must not know what is
//! measured.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use redis_wb_runtime::metrics::{self, Exporter};
use redis_wb_runtime::status::Observer;
use redis_wb_runtime::{Server, Vitals};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::exit::Failure;

/// How many connections are answered at once; more wait.
const CONNECTIONS_MAX: usize = 32;
/// How long a request may take to come, and to be answered.
const REQUEST_SECONDS_MAX: Duration = Duration::from_secs(10);
/// How long to wait where no connection can be taken: the process is out of file descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(200);
/// What no scraper's request comes near.
const REQUEST_BYTES_MAX: usize = 16 * 1024;

/// What is told of a process.
pub(crate) struct Told {
    pub(crate) exporter: Exporter,
    /// Of a worker: whether its units are worked.
    pub(crate) vitals: Option<Arc<Vitals>>,
}

/// The address of `HOST:PORT`, of `:PORT` or of a port alone, which are those of this machine.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.strip_prefix(':').unwrap_or(text).parse::<u16>() {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    let wrong = || format!("`{text}` is no address; write a port such as 9122, or host:port (0.0.0.0:9122 for all)");
    text.to_socket_addrs().map_err(|_| wrong())?.next().ok_or_else(wrong)
}

/// Answers until the process ends.
pub(crate) async fn serve(address: SocketAddr, told: Arc<Told>) -> Result<(), Failure> {
    let listener = TcpListener::bind(address).await.map_err(|error| {
        let help = "name another port, or end the process that has this one (`ss -ltnp` shows it)";
        Failure::with_help(format!("cannot listen on {address}: {error}"), help)
    })?;
    let at = listener.local_addr().unwrap_or(address);
    tracing::info!("metrics at http://{at}/metrics, health at /healthz and /readyz");
    if !at.ip().is_loopback() {
        tracing::warn!("anybody who reaches {at} can read the metrics: there is no password");
    }
    tokio::spawn(accept(listener, told));
    Ok(())
}

async fn accept(listener: TcpListener, told: Arc<Told>) {
    let seats = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        // Never closed.
        let Ok(seat) = Arc::clone(&seats).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            sleep(ACCEPT_AGAIN).await;
            continue;
        };
        let told = Arc::clone(&told);
        tokio::spawn(async move {
            let answer = service_fn(|request: Request<Incoming>| {
                let answer = answer(&request, &told);
                async move { Ok::<_, Infallible>(answer) }
            });
            let mut server = http1::Builder::new();
            // One request a connection: so none is kept open by whoever says nothing.
            server.timer(TokioTimer::new()).header_read_timeout(REQUEST_SECONDS_MAX).keep_alive(false);
            server.max_buf_size(REQUEST_BYTES_MAX);
            // What a client does wrong is no concern of ours.
            let _ = timeout(REQUEST_SECONDS_MAX, server.serve_connection(TokioIo::new(stream), answer)).await;
            drop(seat);
        });
    }
}

fn answer(request: &Request<Incoming>, told: &Told) -> Response<String> {
    const TEXT: &str = "text/plain; charset=utf-8";
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused = with(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET is answered\n".to_owned());
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    match request.uri().path() {
        "/metrics" => with(StatusCode::OK, metrics::CONTENT_TYPE, told.exporter.text()),
        "/healthz" => with(StatusCode::OK, TEXT, "ok\n".to_owned()),
        "/readyz" => match told.vitals.as_ref().map_or(Ok(()), |vitals| vitals.is_ready()) {
            Ok(()) => with(StatusCode::OK, TEXT, "ready\n".to_owned()),
            Err(why) => with(StatusCode::SERVICE_UNAVAILABLE, TEXT, why.join("\n") + "\n"),
        },
        _ => with(StatusCode::NOT_FOUND, TEXT, "there are /metrics, /healthz and /readyz\n".to_owned()),
    }
}

fn with(status: StatusCode, kind: &'static str, body: String) -> Response<String> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// Looks at streams and leases again and again, for the metrics.
pub(crate) async fn collect(redis: Server, told: Arc<Told>, every: Duration) {
    let mut observer = match Observer::new(&redis) {
        Ok(observer) => observer,
        Err(error) => return tracing::error!("nothing is seen of the streams: {error}"),
    };
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_said = false;
    loop {
        ticks.tick().await;
        let looked = observer.look().await;
        match &looked {
            Ok(_) => is_said = false,
            Err(error) if !is_said => {
                is_said = true;
                tracing::warn!("the metrics of streams stand still: {error}");
            }
            Err(_) => {}
        }
        told.exporter.observe(looked.as_ref().ok());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_this_machine() {
        for text in ["9122", ":9122", "127.0.0.1:9122"] {
            assert_eq!(address(text).unwrap().to_string(), "127.0.0.1:9122");
        }
        assert_eq!(address("0.0.0.0:1").unwrap().to_string(), "0.0.0.0:1");
        assert_eq!(address("[::1]:2").unwrap().to_string(), "[::1]:2");
        assert!(address("99999").is_err() && address("").is_err() && address("127.0.0.1").is_err());
    }
}
