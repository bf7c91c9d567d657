//! Sends the workload to whichever server is the primary, at a steady pace. It must not know what fails, nor why.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::workload::Workload;

/// How long to wait before a server that did not answer is tried again.
const TRY_AGAIN: Duration = Duration::from_millis(20);
/// How long to wait at least between two batches, so that whoever wants the line gets it.
const BETWEEN: Duration = Duration::from_millis(1);

/// Where the changes go. Whoever holds the line knows that none is under way.
#[derive(Debug)]
pub(super) struct Line {
    port: Mutex<u16>,
    sent: AtomicU64,
    is_over: AtomicBool,
}

impl Line {
    /// Holds all changes back as long as what it gives lives; the port is that of the primary, and may be changed.
    pub(super) fn hold(&self) -> MutexGuard<'_, u16> {
        self.port.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many changes were sent.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }
}

/// The application.
#[derive(Debug)]
pub(super) struct Driver {
    pub(super) line: Arc<Line>,
    thread: Option<JoinHandle<()>>,
}

impl Driver {
    /// Begins to send so many changes, at most so many a second.
    pub(super) fn start(seed: u64, port: u16, changes: u64, changes_per_s: u64) -> Self {
        let line = Arc::new(Line { port: Mutex::new(port), sent: AtomicU64::new(0), is_over: AtomicBool::new(false) });
        let own = Arc::clone(&line);
        let thread = thread::spawn(move || drive(&own, Workload::new(seed), changes, changes_per_s));
        Self { line, thread: Some(thread) }
    }

    /// Whether all is sent.
    pub(super) fn is_done(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.line.is_over.store(true, Ordering::SeqCst);
        self.thread.take().and_then(|thread| thread.join().ok());
    }
}

fn drive(line: &Line, mut workload: Workload, changes: u64, changes_per_s: u64) {
    let start = Instant::now();
    let mut connection: Option<redis::Connection> = None;
    while line.sent() < changes && !line.is_over.load(Ordering::SeqCst) {
        let due = Duration::from_micros(line.sent().saturating_mul(1_000_000) / changes_per_s.max(1));
        thread::sleep(due.saturating_sub(start.elapsed()).max(BETWEEN));
        let port = line.hold();
        let Some(open) = connection.take().or_else(|| connect(*port).ok()) else {
            drop(port);
            thread::sleep(TRY_AGAIN);
            continue;
        };
        let mut open = open;
        let (pipe, count) = workload.batch(changes - line.sent());
        // Never given up by itself: a server that stands still carries out later what it was sent, and then an older
        // change would come behind a newer one by the application's own doing. Where the connection broke, a part of
        // the batch may not have happened; Redis knows.
        let answer: redis::RedisResult<redis::Value> = pipe.query(&mut open);
        line.sent.fetch_add(count, Ordering::SeqCst);
        let is_broken = answer.is_err_and(|error| error.is_io_error() || error.is_connection_dropped());
        connection = (!is_broken && redis::ConnectionLike::is_open(&open)).then_some(open);
    }
}

/// A connection without any limit of time.
pub(super) fn connect(port: u16) -> redis::RedisResult<redis::Connection> {
    redis::Client::open(format!("redis://127.0.0.1:{port}"))?.get_connection()
}
