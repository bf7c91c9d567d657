//! The registry of metrics, and what the documentation says of each. Knows no value of them.

use prometheus_client::registry::{Metric, Registry};

use super::{Counters, Histograms};

/// What the documentation says of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Described {
    /// The name of its series; of a histogram what they begin with.
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// Its labels.
    pub labels: &'static str,
    /// What it means.
    pub help: &'static str,
}

/// All metrics that are entered.
#[derive(Default)]
pub(super) struct Book {
    registry: Registry,
    described: Vec<Described>,
}

impl Book {
    pub(super) const fn registry(&self) -> &Registry {
        &self.registry
    }

    pub(super) fn described(&self) -> &[Described] {
        &self.described
    }

    /// A counter; its series end in `_total`.
    pub(super) fn counter(
        &mut self,
        name: &'static str,
        labels: &'static str,
        help: &'static str,
        counters: &Counters,
    ) {
        self.enter(name, "counter", labels, help, counters);
    }

    pub(super) fn histogram(
        &mut self,
        name: &'static str,
        labels: &'static str,
        help: &'static str,
        histograms: &Histograms,
    ) {
        self.enter(name, "histogram", labels, help, histograms);
    }

    pub(super) fn gauge(
        &mut self,
        name: &'static str,
        labels: &'static str,
        help: &'static str,
        gauge: &(impl Metric + Clone),
    ) {
        self.enter(name, "gauge", labels, help, gauge);
    }

    fn enter(
        &mut self,
        name: &'static str,
        kind: &'static str,
        labels: &'static str,
        help: &'static str,
        metric: &(impl Metric + Clone),
    ) {
        self.described.push(Described { name, kind, labels, help });
        self.registry.register(name, help, metric.clone());
    }
}
