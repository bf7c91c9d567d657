//! What was seen of streams, leases and servers, as metrics; those with RDI's names among them.

use prometheus_client::metrics::gauge::Gauge;

use super::book::Book;
use super::{Floats, Gauges, Labels};
use crate::counts::Operation;
use crate::status::{ConnectionStatus, Status, StreamStatus};
use crate::vitals::Phase;

/// The states that RDI knows.
const ENGINE_STATES: [&str; 2] = ["RUNNING", "STOPPED"];
/// The modes that RDI knows.
const SYNC_MODES: [&str; 3] = ["SNAPSHOT", "STREAMING", "UNKNOWN"];

#[derive(Default)]
pub(super) struct Seen {
    engine: Gauges,
    incoming: Gauges,
    latency: Gauges,
    up: Gauge,
    state: Gauges,
    lag_records: Gauges,
    lag_ms: Gauges,
    rate: Floats,
    entries: Gauges,
    bytes: Gauges,
    dead_letters: Gauges,
    lease: Gauges,
    capture: [Gauges; 6],
}

/// The counters of capture that are handed on: their names in `INFO wb`, as metrics, and what they mean.
const CAPTURE: [(&str, &str, &str); 6] = [
    ("records", "redis_wb_capture_records", "Change records that capture has appended since the server started"),
    ("bytes", "redis_wb_capture_bytes", "Bytes of those records"),
    ("thin", "redis_wb_capture_thin", "Those without an image, whose keys are read by the worker"),
    ("failed", "redis_wb_capture_failed", "Changes of which no record could be appended: they are lost to the targets"),
    ("rules", "redis_wb_capture_rules", "Rules that are tracked"),
    ("waiting", "redis_wb_capture_waiting", "Records that wait in capture for a stream in a slot of the shard"),
];

impl Seen {
    pub(super) fn enter(&self, book: &mut Book) {
        let connection = "job, unit, connection";
        let help = "1 for the state of the engine; RUNNING while a worker has any unit";
        book.gauge("rdi_engine_state", "state, sync_mode", help, &self.engine);
        let help = "Records of a stream: waiting, or by what became of them";
        book.gauge("rdi_incoming_entries", "data_source, operation", help, &self.incoming);
        let help = "Age of the oldest record that waits in a stream, in milliseconds; 0 for none";
        book.gauge("rdi_stream_event_latency_ms", "data_source", help, &self.latency);
        book.gauge("redis_wb_up", "", "1 if Redis answered when it was last looked at, else 0", &self.up);
        let help = "1 for the state of a job at a connection, as `redis-wb status` shows it";
        book.gauge("redis_wb_state", "job, unit, connection, state", help, &self.state);
        let help = "Records that a connection has not applied yet";
        book.gauge("redis_wb_lag_records", connection, help, &self.lag_records);
        let help = "Age of the oldest record that a connection has not applied yet, in milliseconds; 0 for none";
        book.gauge("redis_wb_lag_ms", connection, help, &self.lag_ms);
        book.gauge("redis_wb_rate", connection, "Records a second that were applied of late", &self.rate);
        book.gauge("redis_wb_stream_entries", "job, unit", "Entries of a change stream", &self.entries);
        book.gauge("redis_wb_stream_bytes", "job, unit", "Memory that a change stream takes in Redis", &self.bytes);
        book.gauge("redis_wb_dead_letters", "job, unit", "Records in a dead-letter queue", &self.dead_letters);
        book.gauge("redis_wb_lease_held", "unit", "1 if a worker has the lease of the unit, else 0", &self.lease);
        for ((_, name, help), gauges) in CAPTURE.iter().zip(&self.capture) {
            book.gauge(name, "server", help, gauges);
        }
    }

    /// Takes in what was seen of those units; what is gone since last time goes.
    pub(super) fn take(&self, status: Option<&Status>, is_own: impl Fn(&str) -> bool) {
        self.up.set(i64::from(status.is_some_and(|status| status.failed.is_empty())));
        for gauges in [&self.state, &self.incoming, &self.latency, &self.lag_records, &self.lag_ms] {
            gauges.clear();
        }
        for gauges in [&self.entries, &self.bytes, &self.dead_letters, &self.lease].into_iter().chain(&self.capture) {
            gauges.clear();
        }
        self.rate.clear();
        self.take_engine(status);
        let Some(status) = status else { return };
        for stream in status.streams.iter().filter(|stream| is_own(&stream.unit)) {
            self.take_stream(stream);
            stream.connections.iter().for_each(|connection| self.take_connection(stream, connection));
        }
        for server in &status.servers {
            for ((name, _, _), gauges) in CAPTURE.iter().zip(&self.capture) {
                if let Some((_, count)) = server.capture.iter().find(|(own, _)| own == name) {
                    set(gauges, &vec![("server", server.name.clone())], *count);
                }
            }
        }
    }

    fn take_engine(&self, status: Option<&Status>) {
        let is_running = status.is_some_and(|status| status.streams.iter().any(|stream| stream.worker.is_some()));
        let is_walked = status.is_some_and(|status| status.streams.iter().any(|stream| stream.is_walked));
        let mode = match (is_running, is_walked) {
            (true, true) => "SNAPSHOT",
            (true, false) => "STREAMING",
            (false, _) => "UNKNOWN",
        };
        let state = if is_running { "RUNNING" } else { "STOPPED" };
        for one in ENGINE_STATES {
            for sync_mode in SYNC_MODES {
                let labels: Labels = vec![("state", one.to_owned()), ("sync_mode", sync_mode.to_owned())];
                set(&self.engine, &labels, u64::from(one == state && sync_mode == mode));
            }
        }
    }

    fn take_stream(&self, stream: &StreamStatus) {
        let labels: Labels = vec![("job", stream.job.clone()), ("unit", stream.unit.clone())];
        set(&self.entries, &labels, stream.entries);
        set(&self.bytes, &labels, stream.bytes);
        set(&self.dead_letters, &labels, stream.dead_letters);
        set(&self.lease, &vec![("unit", stream.unit.clone())], u64::from(stream.worker.is_some()));
        let source = ("data_source", stream.name.clone());
        let incoming = |operation: &str, count| {
            set(&self.incoming, &vec![source.clone(), ("operation", operation.to_owned())], count);
        };
        incoming("pending", stream.entries);
        for operation in Operation::ALL {
            // A change counts once, however many connections it goes to.
            let counts = stream.connections.iter().map(|connection| connection.counts.of(operation));
            incoming(operation.word(), counts.max().unwrap_or_default());
        }
        let oldest = stream.connections.iter().map(|connection| connection.lag_ms).max().unwrap_or_default();
        set(&self.latency, &vec![source], oldest);
    }

    fn take_connection(&self, stream: &StreamStatus, connection: &ConnectionStatus) {
        let labels: Labels =
            vec![("job", stream.job.clone()), ("unit", stream.unit.clone()), ("connection", connection.name.clone())];
        set(&self.lag_records, &labels, connection.lag_rows);
        set(&self.lag_ms, &labels, connection.lag_ms);
        self.rate.get_or_create(&labels).set(connection.rate);
        for phase in Phase::ALL {
            let mut labels = labels.clone();
            labels.push(("state", phase.word().to_owned()));
            set(&self.state, &labels, u64::from(connection.phase == phase));
        }
    }
}

fn set(gauges: &Gauges, labels: &Labels, value: u64) {
    gauges.get_or_create(labels).set(i64::try_from(value).unwrap_or(i64::MAX));
}
