//! Metrics in the text that Prometheus reads: what a worker has done, and what was seen of streams, leases and servers.
//! Knows neither Redis nor HTTP.

mod book;
mod seen;

use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

use crate::status::Status;
use crate::topology::Tag;
use crate::vitals::Vitals;
use book::Book;
pub use book::Described;
use seen::Seen;

/// Names and values; no value is a secret, or of a key.
pub(crate) type Labels = Vec<(&'static str, String)>;
type Counters = Family<Labels, Counter>;
type Gauges = Family<Labels, Gauge>;
type Floats = Family<Labels, Gauge<f64, std::sync::atomic::AtomicU64>>;
type Histograms = Family<Labels, Histogram, fn() -> Histogram>;

/// What the text is, for the header of an answer.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What a worker has done.
pub(crate) struct Work {
    pub(crate) records: Counters,
    pub(crate) rejects: Counters,
    pub(crate) retries: Counters,
    leases: Counters,
    pub(crate) batch_rows: Histograms,
    pub(crate) batch_bytes: Histograms,
    pub(crate) commit_seconds: Histograms,
    pub(crate) writing: Floats,
    pub(crate) units: Gauge,
    pub(crate) units_held: Gauge,
}

impl Default for Work {
    fn default() -> Self {
        Self {
            records: Counters::default(),
            rejects: Counters::default(),
            retries: Counters::default(),
            leases: Counters::default(),
            // 1 to 16,384 rows, 256 bytes to 64 MB, a quarter of a millisecond to eight seconds.
            batch_rows: Histograms::new_with_constructor(|| Histogram::new(exponential_buckets(1.0, 4.0, 8))),
            batch_bytes: Histograms::new_with_constructor(|| Histogram::new(exponential_buckets(256.0, 4.0, 10))),
            commit_seconds: Histograms::new_with_constructor(|| Histogram::new(exponential_buckets(0.000_25, 2.0, 16))),
            writing: Floats::default(),
            units: Gauge::default(),
            units_held: Gauge::default(),
        }
    }
}

impl Work {
    /// Takes note of a lease that changed.
    pub(crate) fn lease(&self, tag: &Tag, change: &'static str) {
        self.leases.get_or_create(&vec![("unit", tag.to_string()), ("change", change.to_owned())]).inc();
    }

    fn enter(&self, book: &mut Book) {
        let pipeline = "unit, connection";
        let (name, labels) = ("redis_wb_records", "job, unit, connection, operation");
        book.counter(name, labels, "Records that this worker has applied, by what became of them", &self.records);
        let (name, labels) = ("redis_wb_rejects", "job, unit, connection, code");
        book.counter(name, labels, "Records that this worker has rejected, by reason", &self.rejects);
        let (name, labels) = ("redis_wb_retries", "unit, connection, class");
        book.counter(name, labels, "Sessions that ended by a failure and began anew", &self.retries);
        let (name, labels) = ("redis_wb_lease_changes", "unit, change");
        book.counter(
            name,
            labels,
            "Leases that were taken, released, given back, lost, fenced off, moved",
            &self.leases,
        );
        let (name, rows) = ("redis_wb_batch_rows", "Rows and commands of a committed batch");
        book.histogram(name, pipeline, rows, &self.batch_rows);
        let (name, bytes) = ("redis_wb_batch_bytes", "Bytes of the change records of a committed batch");
        book.histogram(name, pipeline, bytes, &self.batch_bytes);
        let (name, seconds) = ("redis_wb_commit_seconds", "Seconds from handing a batch over to its commit");
        book.histogram(name, pipeline, seconds, &self.commit_seconds);
        let (name, help) =
            ("redis_wb_writing_seconds", "For how long the batch under way is not committed; 0 for none");
        book.gauge(name, pipeline, help, &self.writing);
        book.gauge("redis_wb_units", "", "Units of work that there are", &self.units);
        book.gauge("redis_wb_units_held", "", "Units of work that this worker has", &self.units_held);
    }
}

/// All metrics of a process.
pub struct Exporter {
    book: Book,
    seen: Seen,
    vitals: Option<Arc<Vitals>>,
    /// What was seen is taken in as a whole.
    whole: Mutex<()>,
}

impl Exporter {
    /// Those of a worker, of the units that it has.
    #[must_use]
    pub fn of_worker(vitals: Arc<Vitals>) -> Self {
        Self::new(Some(vitals))
    }

    /// Those that can be seen without being a worker, of all units.
    #[must_use]
    pub fn of_monitor() -> Self {
        Self::new(None)
    }

    fn new(vitals: Option<Arc<Vitals>>) -> Self {
        let (mut book, seen) = (Book::default(), Seen::default());
        seen.enter(&mut book);
        if let Some(vitals) = &vitals {
            vitals.work.enter(&mut book);
        }
        Self { book, seen, vitals, whole: Mutex::default() }
    }

    /// Every metric that there is, in the order of the documentation.
    #[must_use]
    pub fn described(&self) -> &[Described] {
        self.book.described()
    }

    /// Takes in what was seen; `None` where nothing could be.
    pub fn observe(&self, status: Option<&Status>) {
        let held = self.vitals.as_ref().map(|vitals| vitals.held());
        let _whole = self.whole.lock().unwrap_or_else(PoisonError::into_inner);
        self.seen.take(status, |tag| held.as_ref().is_none_or(|held| held.iter().any(|own| own.to_string() == tag)));
    }

    /// All of them as text.
    #[must_use]
    pub fn text(&self) -> String {
        if let Some(vitals) = &self.vitals {
            vitals.refresh();
        }
        let _whole = self.whole.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = String::new();
        // Writing into a text does not fail.
        let _ = text::encode(&mut out, self.book.registry());
        out
    }
}
