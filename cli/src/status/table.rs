//! The state of all work as lines for people, and as JSON. Fits a terminal of 80 columns.

use redis_wb_runtime::status::{ConnectionStatus, ServerStatus, Status, StreamStatus};
use redis_wb_runtime::{Operation, Phase, Trouble};
use serde_json::{Map, Value, json};

/// How wide a screen is.
const WIDTH: usize = 80;
/// The columns: title, width, whether numbers stand in it.
const COLUMNS: [(&str, usize, bool); 8] = [
    ("JOB", 15, false),
    ("UNIT", 5, false),
    ("CONNECTION", 11, false),
    ("STATE", 9, false),
    ("LAG", 9, true),
    ("AGE", 8, true),
    ("RATE/S", 8, true),
    ("DEAD", 7, true),
];
/// What memory is told in, in bytes.
const MEGABYTE: u64 = 1 << 20;
/// What an explanation is moved in by.
const INDENT: &str = "    ";

/// A line, and what it is.
pub(super) struct Line {
    pub(super) text: String,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Title,
    /// A row in this state.
    Row(Phase),
    /// Why, what to do, since when.
    Note,
}

/// All of it.
pub(super) fn text(status: &Status) -> String {
    lines(status).into_iter().map(|line| line.text + "\n").collect()
}

/// All of it, line by line.
pub(super) fn lines(status: &Status) -> Vec<Line> {
    let mut lines = Vec::new();
    let note = |text: String| Line { text, kind: Kind::Note };
    lines.extend(wrapped("", &summary(status)).into_iter().map(note));
    lines.extend(status.failed.iter().flat_map(|why| wrapped("", &format!("not seen: {why}"))).map(note));
    if status.streams.is_empty() {
        return lines;
    }
    let titles = COLUMNS.map(|(title, _, _)| title.to_owned());
    lines.push(Line { text: row(&titles), kind: Kind::Title });
    for stream in &status.streams {
        for connection in &stream.connections {
            lines.push(Line { text: row(&cells(stream, connection)), kind: Kind::Row(connection.phase) });
            lines.extend(notes(stream, connection).iter().flat_map(|text| wrapped(INDENT, text)).map(note));
        }
        if stream.connections.is_empty() {
            let dead = stream.dead_letters.to_string();
            let (job, unit) = (stream.job.clone(), stream.unit.clone());
            let (lag, none) = (stream.entries.to_string(), String::new);
            let state = Phase::Unattended.word().to_owned();
            let cells = [job, unit, "-".to_owned(), state, lag, none(), none(), dead];
            lines.push(Line { text: row(&cells), kind: Kind::Row(Phase::Unattended) });
            let why = "no worker has carried it over yet; start one: `redis-wb run`".to_owned();
            lines.extend(wrapped(INDENT, &why).into_iter().map(note));
        }
    }
    lines.extend(units(status).iter().flat_map(|text| wrapped("", text)).map(note));
    for server in status.servers.iter().filter(|server| !server.unsafe_setting.is_empty()) {
        let text = format!("{} will lose changes: {}", server.name, server.unsafe_setting);
        lines.extend(wrapped("", &text).into_iter().map(note));
    }
    for server in status.servers.iter().filter(|server| is_nearly_full(server)) {
        let waiting: u64 = status.streams.iter().filter(|one| one.server == server.name).map(|one| one.bytes).sum();
        let (used, max) = (server.memory_bytes / MEGABYTE, server.memory_bytes_max / MEGABYTE);
        let text = format!(
            "{} has {used} MB of `maxmemory` {max} MB in use, {} MB of it by change streams; what is more is refused to \
             those who write",
            server.name,
            waiting / MEGABYTE
        );
        lines.extend(wrapped("", &text).into_iter().map(note));
    }
    for server in status.servers.iter().filter(|server| !server.last_error.is_empty()) {
        let text = format!("capture at {} failed last by: {}", server.name, server.last_error);
        lines.extend(wrapped("", &text).into_iter().map(note));
    }
    lines
}

/// Whether a server has little memory left of what it may have.
fn is_nearly_full(server: &ServerStatus) -> bool {
    server.memory_bytes_max > 0 && server.memory_bytes > server.memory_bytes_max / 10 * 9
}

fn summary(status: &Status) -> String {
    let plural = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    if status.streams.is_empty() {
        return "no job is tracked: start a worker by `redis-wb run`".to_owned();
    }
    let workers = match (status.workers.len(), status.standing_by.len()) {
        (0, 0) => "no worker runs: start one by `redis-wb run`".to_owned(),
        (0, free) => format!("{} that stands by, and none at work", plural(free, "worker")),
        (count, 0) => plural(count, "worker"),
        (count, free) => format!("{} and {free} standing by", plural(count, "worker")),
    };
    let bad = status.streams.iter().flat_map(|stream| &stream.connections).filter(|one| !one.phase.works()).count();
    let bad = if bad > 0 && !status.workers.is_empty() { format!("; {bad} not running") } else { String::new() };
    format!("{workers}, {}{bad}", plural(status.streams.len(), "stream"))
}

/// The cells of a row.
fn cells(stream: &StreamStatus, connection: &ConnectionStatus) -> [String; 8] {
    let more = if connection.has_more { "+" } else { "" };
    [
        stream.job.clone(),
        stream.unit.clone(),
        connection.name.clone(),
        connection.phase.word().to_owned(),
        format!("{}{more}", connection.lag_rows),
        if connection.lag_rows > 0 { span(connection.lag_ms) } else { "-".to_owned() },
        format!("{:.0}", connection.rate),
        stream.dead_letters.to_string(),
    ]
}

/// What is said below a row.
fn notes(stream: &StreamStatus, connection: &ConnectionStatus) -> Vec<String> {
    let mut notes = Vec::new();
    if connection.writing_s > 0 {
        notes.push(format!("the target has not answered for {} s", connection.writing_s));
    }
    if connection.phase == Phase::Slow {
        notes.push("what to do: look for locks, load or a full disk of the target".to_owned());
    }
    if stream.is_walked {
        notes.push("a snapshot is under way; where it was interrupted, `redis-wb snapshot` goes on with it".to_owned());
    }
    if connection.phase == Phase::Silent {
        notes.push("the worker that has this unit writes nothing to it, or tells nothing: see its log".to_owned());
    }
    if let Some(trouble) = &connection.trouble {
        let ago = span(stream.at_ms.saturating_sub(trouble.at_ms));
        let Trouble { code, message, help, .. } = trouble;
        if connection.phase.works() && trouble.passes() {
            notes.push(format!("passed: {code}, {ago} ago: {message}"));
        } else {
            notes.push(format!("{code}, {ago} ago: {message}"));
            notes.push(format!("what to do: {help}"));
        }
    }
    notes
}

/// Who has which unit, and since when.
fn units(status: &Status) -> Vec<String> {
    let mut units: Vec<(&str, String)> = Vec::new();
    for stream in &status.streams {
        if units.iter().any(|(unit, _)| *unit == stream.unit) {
            continue;
        }
        let StreamStatus { unit, server, worker, worker_since_ms, at_ms, .. } = stream;
        let told = match worker {
            Some(worker) => {
                let since = if *worker_since_ms == 0 {
                    String::new()
                } else {
                    format!(", for {}", span(at_ms.saturating_sub(*worker_since_ms)))
                };
                format!("unit {unit} at {server}: worker {worker}{since}")
            }
            None => format!("unit {unit} at {server}: no worker"),
        };
        units.push((unit, told));
    }
    units.into_iter().map(|(_, told)| told).collect()
}

/// A row whose cells stand below their titles.
fn row(cells: &[String; 8]) -> String {
    let mut line = String::new();
    for (cell, (_, width, is_number)) in cells.iter().zip(COLUMNS) {
        let cell = clipped(cell, width);
        if is_number {
            line.push_str(&format!("{cell:>width$} "));
        } else {
            line.push_str(&format!("{cell:width$} "));
        }
    }
    line.trim_end().to_owned()
}

fn clipped(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// A text in lines that fit, moved in.
fn wrapped(indent: &str, text: &str) -> Vec<String> {
    let room = WIDTH - indent.len();
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let mut word: Vec<char> = word.chars().collect();
        loop {
            let part: String = word.iter().take(room).collect();
            match lines.last_mut() {
                Some(line) if line.chars().count() + 1 + part.chars().count() <= WIDTH => {
                    line.push(' ');
                    line.push_str(&part);
                }
                _ => lines.push(format!("{indent}{part}")),
            }
            if word.len() <= room {
                break;
            }
            word.drain(..room);
        }
    }
    lines
}

/// A time that passed, for people.
fn span(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..120_000 => format!("{} s", ms / 1_000),
        120_000..7_200_000 => format!("{} min", ms / 60_000),
        7_200_000..172_800_000 => format!("{} h", ms / 3_600_000),
        _ => format!("{} days", ms / 86_400_000),
    }
}

/// All of it as one object.
pub(super) fn json(status: &Status) -> String {
    let rows: Vec<Value> = status
        .streams
        .iter()
        .flat_map(|stream| stream.connections.iter().map(|connection| object(stream, connection)))
        .collect();
    let servers: Vec<Value> = status
        .servers
        .iter()
        .map(|server| {
            let counts: Map<String, Value> =
                server.capture.iter().map(|(name, count)| (name.clone(), json!(count))).collect();
            json!({
                "server": server.name,
                "capture": counts,
                "last_error": server.last_error,
                "unsafe_setting": server.unsafe_setting,
                "memory_bytes": server.memory_bytes,
                "memory_bytes_max": server.memory_bytes_max,
            })
        })
        .collect();
    let (workers, standing_by) = (&status.workers, &status.standing_by);
    let all = json!({
        "workers": workers,
        "standing_by": standing_by,
        "rows": rows,
        "servers": servers,
        "failed": status.failed,
    });
    format!("{all:#}\n")
}

fn object(stream: &StreamStatus, connection: &ConnectionStatus) -> Value {
    let counts: Map<String, Value> = Operation::ALL
        .iter()
        .map(|operation| (operation.word().to_owned(), json!(connection.counts.of(*operation))))
        .collect();
    let trouble = connection.trouble.as_ref().map(|trouble| {
        json!({"code": trouble.code, "message": trouble.message, "help": trouble.help, "time": time(trouble.at_ms)})
    });
    json!({
        "job": stream.job,
        "unit": stream.unit,
        "server": stream.server,
        "stream": stream.name,
        "connection": connection.name,
        "state": connection.phase.word(),
        "since": time(connection.since_ms),
        "lag_records": connection.lag_rows,
        "lag_is_least": connection.has_more,
        "lag_ms": connection.lag_ms,
        "rate": connection.rate,
        "not_answered_s": connection.writing_s,
        "last_commit": connection.committed_ms.map(time),
        "dead_letters": stream.dead_letters,
        "stream_entries": stream.entries,
        "stream_bytes": stream.bytes,
        "snapshot_runs": stream.is_walked,
        "counts": counts,
        "last_error": trouble,
        "worker": stream.worker,
        "worker_since": time(stream.worker_since_ms),
    })
}

/// A time as RFC 3339 has it; null where it is not known.
fn time(ms: u64) -> Value {
    let at = i64::try_from(ms).ok().filter(|ms| *ms > 0).and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.map_or(Value::Null, |at| Value::String(at.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_wrapped_within_the_screen() {
        let text = format!("{} {}", "short words ".repeat(20), "x".repeat(200));
        let lines = wrapped(INDENT, &text);
        assert!(lines.len() > 4 && lines.iter().all(|line| line.chars().count() <= WIDTH), "{lines:?}");
        assert!(lines.iter().all(|line| line.starts_with(INDENT)));
    }

    #[test]
    fn a_row_fits_the_screen_whatever_is_in_it() {
        let cells: [String; 8] = std::array::from_fn(|_| "1234567890123456789".to_owned());
        assert!(row(&cells).chars().count() <= WIDTH, "{}", row(&cells).chars().count());
    }

    #[test]
    fn times_are_told_in_words_of_their_size() {
        let told = [5, 5_000, 130_000, 8_000_000, 1_000_000_000].map(span);
        assert_eq!(told, ["5 ms", "5 s", "2 min", "2 h", "11 days"]);
    }
}
