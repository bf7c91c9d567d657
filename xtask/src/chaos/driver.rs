//! Sends the workload to whichever server takes it, at a steady pace. It must not know what fails, nor why.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};

use super::workload::{Batch, Workload};

/// How long to wait before a server that did not answer is tried again.
const TRY_AGAIN: Duration = Duration::from_millis(20);
/// How long to wait at least between two batches, so that whoever wants the line gets it.
const BETWEEN: Duration = Duration::from_millis(1);

/// Where servers are: the port by which each calls itself, and the one at which the application finds it. It comes by no
/// proxy: what it sent before a cut would be carried out behind what it sends next, by its own doing.
pub(super) type Places = BTreeMap<u16, u16>;

/// Where the changes go. Whoever holds the line knows that none is under way.
#[derive(Debug)]
pub(super) struct Line {
    /// The servers that may take them.
    places: Mutex<Places>,
    sent: AtomicU64,
    is_over: AtomicBool,
}

impl Line {
    /// Holds all changes back as long as what it gives lives; the places may be changed.
    pub(super) fn hold(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
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
    pub(super) fn start(seed: u64, places: Places, changes: u64, changes_per_s: u64) -> Self {
        let line = Line { places: Mutex::new(places), sent: AtomicU64::new(0), is_over: AtomicBool::new(false) };
        let line = Arc::new(line);
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
    let mut routes = Routes::default();
    while line.sent() < changes && !line.is_over.load(Ordering::SeqCst) {
        let due = Duration::from_micros(line.sent().saturating_mul(1_000_000) / changes_per_s.max(1));
        thread::sleep(due.saturating_sub(start.elapsed()).max(BETWEEN));
        let places = line.hold();
        let batch = workload.batch(changes - line.sent());
        let has_answered = routes.send(&batch, &places);
        drop(places);
        line.sent.fetch_add(batch.count, Ordering::SeqCst);
        if !has_answered {
            thread::sleep(TRY_AGAIN);
        }
    }
}

/// Which server has which tag, as far as the servers told.
#[derive(Default)]
struct Routes {
    connections: BTreeMap<u16, redis::Connection>,
    owners: BTreeMap<u32, u16>,
    /// Where the keys of a tag go that move at the moment.
    asking: BTreeMap<u32, u16>,
    tries: usize,
}

impl Routes {
    /// Sends a batch once; whether a server answered. Nothing is sent twice and no answer is given up: a server that
    /// stands still carries out later what it was sent, and an older change would come behind a newer one by the
    /// application's own doing. What of the batch happened, Redis knows.
    fn send(&mut self, batch: &Batch, places: &Places) -> bool {
        let asked = self.asking.remove(&batch.slot);
        let Some(port) = asked.or_else(|| self.owner(batch.slot, places)) else { return false };
        let Some(mut connection) = self.connections.remove(&port).or_else(|| connect(port).ok()) else {
            self.owners.remove(&batch.slot);
            return false;
        };
        let mut pipe = redis::pipe();
        for command in batch.units.iter().filter(|unit| asked.is_none() || unit.len() == 1).flatten() {
            if asked.is_some() {
                pipe.cmd("ASKING");
            }
            pipe.add_command(command.clone());
        }
        if pipe.is_empty() {
            return true;
        }
        let replies: RedisResult<Vec<RedisResult<Value>>> = pipe.ignore_errors().query(&mut connection);
        match replies {
            Ok(replies) => {
                self.connections.insert(port, connection);
                replies.into_iter().filter_map(Result::err).for_each(|error| self.learn(batch.slot, &error, places));
                true
            }
            Err(error) => {
                self.learn(batch.slot, &error, places);
                self.owners.remove(&batch.slot);
                false
            }
        }
    }

    fn owner(&mut self, slot: u32, places: &Places) -> Option<u16> {
        if let Some(owner) = self.owners.get(&slot).filter(|owner| places.values().any(|port| port == *owner)) {
            return Some(*owner);
        }
        self.tries += 1;
        let port = places.values().nth(self.tries % places.len().max(1)).copied()?;
        self.owners.insert(slot, port);
        Some(port)
    }

    /// Takes note of where a server sent us on to.
    fn learn(&mut self, slot: u32, error: &RedisError, places: &Places) {
        let port = error.redirect_node().and_then(|(address, _)| address.rsplit_once(':')?.1.parse().ok());
        let port = port.map(|port| places.get(&port).copied().unwrap_or(port));
        match (error.kind(), port) {
            (ErrorKind::Server(ServerErrorKind::Ask), Some(port)) => self.asking.insert(slot, port),
            (ErrorKind::Server(ServerErrorKind::Moved), Some(port)) => self.owners.insert(slot, port),
            (ErrorKind::Server(ServerErrorKind::ReadOnly), _) => self.owners.remove(&slot),
            _ => None,
        };
    }
}

/// A connection without any limit of time.
pub(super) fn connect(port: u16) -> RedisResult<redis::Connection> {
    redis::Client::open(format!("redis://127.0.0.1:{port}"))?.get_connection()
}
