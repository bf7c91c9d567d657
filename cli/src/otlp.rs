//! Logs and traces for an OpenTelemetry collector, where that is asked for: OTLP over HTTP, as JSON
//! (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>). It must not know what is logged.
//!
//! Whoever logs never waits for the collector: what it does not take in time is dropped, and that is said once.

mod record;
mod send;

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use record::{Fields, Log, Span};
pub(crate) use send::Collector;

/// How many logs and spans wait to be sent.
const WAITING_MAX: usize = 4_096;
/// How many of them one request holds.
const SENT_AT_ONCE_MAX: usize = 512;
/// How long they wait for more.
const SENT_AFTER: Duration = Duration::from_secs(1);
/// How long the end of the process waits for the last of them.
const END_SECONDS_MAX: Duration = Duration::from_secs(2);
/// How soon it sees that they are sent.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// What goes to the collector.
enum Item {
    Log(Log),
    Span(Span),
}

/// Takes logs and spans in.
pub(crate) struct Exporting {
    items: SyncSender<Item>,
}

/// Sends what is left when it is dropped.
pub(crate) struct Sending {
    stop: SyncSender<()>,
    thread: Option<JoinHandle<()>>,
}

/// Begins to send to a collector.
pub(crate) fn begin(collector: Collector) -> (Exporting, Sending) {
    let (items, waiting) = sync_channel(WAITING_MAX);
    let (stop, stopped) = sync_channel(1);
    let thread = spawn(move || send_all(&collector, &waiting, &stopped));
    (Exporting { items }, Sending { stop, thread: Some(thread) })
}

impl Drop for Sending {
    fn drop(&mut self) {
        let _ = self.stop.try_send(());
        let begun = Instant::now();
        while self.thread.as_ref().is_some_and(|thread| !thread.is_finished()) && begun.elapsed() < END_SECONDS_MAX {
            std::thread::sleep(LOOK_AGAIN);
        }
    }
}

fn send_all(collector: &Collector, waiting: &Receiver<Item>, stopped: &Receiver<()>) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    let (mut is_said, mut is_last) = (false, false);
    loop {
        is_last |= stopped.try_recv().is_ok();
        let (logs, spans) = gather(waiting, if is_last { Duration::ZERO } else { SENT_AFTER });
        for (path, body) in [("/v1/logs", record::logs(&logs)), ("/v1/traces", record::traces(&spans))] {
            let Some(body) = body else { continue };
            match runtime.block_on(collector.post(path, &body)) {
                Ok(()) => is_said = false,
                // Not by a log, which would come back here.
                Err(why) if !is_said => {
                    is_said = true;
                    crate::exit::say(&format!("OpenTelemetry: the collector does not take logs or traces: {why}"));
                }
                Err(_) => {}
            }
        }
        if is_last && logs.len() + spans.len() < SENT_AT_ONCE_MAX {
            return;
        }
    }
}

/// What came, until there is enough for a request or it has waited for long enough.
fn gather(waiting: &Receiver<Item>, patience: Duration) -> (Vec<Log>, Vec<Span>) {
    let (mut logs, mut spans) = (Vec::new(), Vec::new());
    let begun = Instant::now();
    while logs.len() + spans.len() < SENT_AT_ONCE_MAX {
        match waiting.recv_timeout(patience.saturating_sub(begun.elapsed())) {
            Ok(Item::Log(log)) => logs.push(log),
            Ok(Item::Span(span)) => spans.push(span),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
        }
    }
    (logs, spans)
}

/// Whether a log or a span goes to the collector.
pub(crate) fn is_wanted(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("redis_wb") && (metadata.is_span() || *metadata.level() <= Level::INFO)
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Exporting {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(own) = context.span(id) else { return };
        let parent = own.parent().and_then(|parent| {
            parent.extensions().get::<Span>().map(|span| (span.trace_id.clone(), span.span_id.clone()))
        });
        let (trace_id, parent_id) = match parent {
            Some((trace_id, span_id)) => (trace_id, Some(span_id)),
            None => (format!("{:016x}{:016x}", id_of(), id_of()), None),
        };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let span_id = format!("{:016x}", id_of());
        let name = attributes.metadata().name();
        own.extensions_mut().insert(Span {
            trace_id,
            span_id,
            parent_id,
            name,
            begun_ns: now_ns(),
            ended_ns: 0,
            fields,
        });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(own) = context.span(id)
            && let Some(span) = own.extensions_mut().get_mut::<Span>()
        {
            values.record(&mut span.fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let span = context
            .event_span(event)
            .and_then(|span| span.extensions().get::<Span>().map(|span| (span.trace_id.clone(), span.span_id.clone())));
        let level = *event.metadata().level();
        let _ = self.items.try_send(Item::Log(Log { at_ns: now_ns(), level, span, fields }));
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        if let Some(own) = context.span(&id)
            && let Some(mut span) = own.extensions_mut().remove::<Span>()
        {
            span.ended_ns = now_ns();
            let _ = self.items.try_send(Item::Span(span));
        }
    }
}

/// A number that nothing else has; not zero.
fn id_of() -> u64 {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u64(COUNT.fetch_add(1, Ordering::Relaxed));
    hasher.finish().max(1)
}

fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Names and values as OTLP has them.
fn attributes(pairs: &[(String, Value)]) -> Value {
    pairs.iter().map(|(key, value)| json!({"key": key, "value": value})).collect()
}
