//! Logs and spans as OTLP has them in JSON.

use std::fmt;

use serde_json::{Value, json};
use tracing::Level;
use tracing::field::{Field, Visit};

use super::attributes;

/// The fields of a log or of a span.
#[derive(Default)]
pub(super) struct Fields {
    message: String,
    others: Vec<(String, Value)>,
}

pub(super) struct Log {
    pub(super) at_ns: u64,
    pub(super) level: Level,
    /// The trace and the span that it belongs to.
    pub(super) span: Option<(String, String)>,
    pub(super) fields: Fields,
}

pub(super) struct Span {
    pub(super) trace_id: String,
    pub(super) span_id: String,
    pub(super) parent_id: Option<String>,
    pub(super) name: &'static str,
    pub(super) begun_ns: u64,
    pub(super) ended_ns: u64,
    pub(super) fields: Fields,
}

impl Fields {
    fn add(&mut self, field: &Field, value: Value) {
        self.others.push((field.name().to_owned(), value));
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" {
            self.message = text;
        } else {
            self.add(field, json!({"stringValue": text}));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, json!({"stringValue": value}));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, json!({"intValue": value.to_string()}));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, json!({"intValue": value.to_string()}));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, json!({"doubleValue": value}));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, json!({"boolValue": value}));
    }
}

/// Who tells.
fn resource() -> Value {
    let name = std::env::var("OTEL_SERVICE_NAME").ok().filter(|name| !name.is_empty());
    let text = |text: &str| json!({"stringValue": text});
    let pairs = [
        ("service.name".to_owned(), text(name.as_deref().unwrap_or("redis-wb"))),
        ("service.version".to_owned(), text(env!("CARGO_PKG_VERSION"))),
        ("process.pid".to_owned(), json!({"intValue": std::process::id().to_string()})),
    ];
    json!({"attributes": attributes(&pairs)})
}

/// A request with logs; `None` where there are none.
pub(super) fn logs(logs: &[Log]) -> Option<String> {
    let records: Vec<Value> = logs.iter().map(log).collect();
    let scope = json!({"scope": {"name": "redis-wb"}, "logRecords": records});
    let all = json!({"resourceLogs": [{"resource": resource(), "scopeLogs": [scope]}]});
    (!logs.is_empty()).then(|| all.to_string())
}

fn log(log: &Log) -> Value {
    let severity = match log.level {
        Level::ERROR => 17,
        Level::WARN => 13,
        Level::INFO => 9,
        Level::DEBUG => 5,
        Level::TRACE => 1,
    };
    let mut one = json!({
        "timeUnixNano": log.at_ns.to_string(),
        "severityNumber": severity,
        "severityText": log.level.as_str(),
        "body": {"stringValue": log.fields.message},
        "attributes": attributes(&log.fields.others),
    });
    if let (Some((trace_id, span_id)), Some(fields)) = (&log.span, one.as_object_mut()) {
        fields.insert("traceId".to_owned(), json!(trace_id));
        fields.insert("spanId".to_owned(), json!(span_id));
    }
    one
}

/// A request with spans; `None` where there are none.
pub(super) fn traces(spans: &[Span]) -> Option<String> {
    let told: Vec<Value> = spans
        .iter()
        .map(|span| {
            json!({
                "traceId": span.trace_id,
                "spanId": span.span_id,
                "parentSpanId": span.parent_id.as_deref().unwrap_or_default(),
                "name": span.name,
                "kind": 1,
                "startTimeUnixNano": span.begun_ns.to_string(),
                "endTimeUnixNano": span.ended_ns.to_string(),
                "attributes": attributes(&span.fields.others),
            })
        })
        .collect();
    let scope = json!({"scope": {"name": "redis-wb"}, "spans": told});
    let all = json!({"resourceSpans": [{"resource": resource(), "scopeSpans": [scope]}]});
    (!spans.is_empty()).then(|| all.to_string())
}
