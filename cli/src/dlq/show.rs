//! Rejected records for people and for programs.

use std::fmt::Write as _;

use redis_wb_record::{Image, Record};
use redis_wb_runtime::DeadLetter;
use serde_json::{Map, Value, json};

/// The widest line of the list, in characters.
const LINE_CHARS_MAX: usize = 80;
/// How much of a key a line has at most, the rest being for the reason.
const KEY_CHARS_MAX: usize = 32;
/// What a record's second line begins with.
const INDENT: &str = "    ";

/// A table that is printed in parts: for each record a line, and below it its key and the reason. The first part says how
/// wide its columns are.
#[derive(Default)]
pub(super) struct Table {
    widths: Vec<usize>,
}

impl Table {
    /// Whether nothing was printed yet.
    pub(super) fn is_empty(&self) -> bool {
        self.widths.is_empty()
    }

    /// The lines of some letters, below the titles where they are the first.
    pub(super) fn lines(&mut self, letters: &[DeadLetter]) -> String {
        let titles = ["id", "time", "code", "job", "connection"].map(str::to_owned);
        let titles = (titles, "key: reason".to_owned());
        let rows = letters.iter().map(|letter| {
            let DeadLetter { id, job, connection, code, .. } = letter;
            let key = clip(&String::from_utf8_lossy(&letter.key), KEY_CHARS_MAX);
            let below = clip(&format!("{key}: {}", letter.reason), LINE_CHARS_MAX - INDENT.len() - 1);
            ([id.clone(), time(id), code.clone(), job.clone(), connection.clone()], below)
        });
        let rows: Vec<([String; 5], String)> = self.is_empty().then_some(titles).into_iter().chain(rows).collect();
        if self.is_empty() {
            let width =
                |at: usize| rows.iter().filter_map(|(row, _)| row.get(at)).map(|cell| cell.chars().count()).max();
            self.widths = (0..5).map(|at| width(at).unwrap_or(0)).collect();
        }
        let mut out = String::new();
        for (row, below) in &rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&self.widths) {
                let _ = write!(line, "{cell:width$}  ");
            }
            let _ = writeln!(out, "{}\n{INDENT}{below}", line.trim_end());
        }
        out
    }
}

/// All about one record.
pub(super) fn whole(letter: &DeadLetter) -> String {
    let DeadLetter { id, job, connection, code, reason, statement, position, key, .. } = letter;
    let mut out = format!(
        "{id}, {}\n  job         {job}, connection {connection}, position {position}\n  key         {}\n  \
         reason      {code}: {reason}\n",
        time(id),
        String::from_utf8_lossy(key),
    );
    if !statement.is_empty() {
        let _ = writeln!(out, "  statement   {}", statement.replace('\n', "\n              "));
    }
    match redis_wb_record::decode(&letter.record) {
        Ok(record) => {
            let Record { opcode, command, db, after, before, .. } = record;
            let _ = writeln!(out, "  change      {} by {command} in database {db}", opcode.letter());
            for (name, image) in [("after", after), ("before", before)] {
                if let Some(image) = image {
                    let _ = writeln!(out, "  {name:<11} {}", content(&image));
                }
            }
        }
        Err(error) => {
            let _ = writeln!(out, "  change      not readable: {error}");
        }
    }
    let _ = writeln!(out, "  what to do  `redis-wb explain {code}`");
    out
}

/// An object, as an element of an array.
pub(super) fn json(letter: &DeadLetter) -> String {
    let text = format!("{:#}", object(letter));
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

fn object(letter: &DeadLetter) -> Value {
    let record = redis_wb_record::decode(&letter.record).ok();
    let image = |image: Option<Image<'_>>| image.map_or(Value::Null, |image| content(&image));
    json!({
        "queue": letter.queue,
        "id": letter.id,
        "time": time(&letter.id),
        "job": letter.job,
        "connection": letter.connection,
        "position": letter.position,
        "key": String::from_utf8_lossy(&letter.key),
        "code": letter.code,
        "reason": letter.reason,
        "statement": letter.statement,
        "opcode": record.as_ref().map(|record| record.opcode.letter()),
        "command": record.as_ref().map(|record| record.command),
        "db": record.as_ref().map(|record| record.db),
        "after": image(record.as_ref().and_then(|record| record.after)),
        "before": image(record.as_ref().and_then(|record| record.before)),
    })
}

/// The content of a key; what is no UTF-8 is shown with U+FFFD in its place.
pub(crate) fn content(image: &Image<'_>) -> Value {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match image {
        Image::Hash(pairs) => {
            let fields: Map<String, Value> =
                pairs.iter().map(|(name, value)| (text(name), Value::String(text(value)))).collect();
            Value::Object(fields)
        }
        Image::Json(document) => serde_json::from_slice(document).unwrap_or_else(|_| Value::String(text(document))),
        Image::Set(members) => members.iter().map(|member| Value::String(text(member))).collect(),
        Image::SortedSet(members) => members.iter().map(|(member, score)| json!([text(member), score])).collect(),
        Image::String(bytes) => Value::String(text(bytes)),
    }
}

/// The time that an id begins with.
fn time(id: &str) -> String {
    let ms = id.split('-').next().and_then(|ms| ms.parse().ok());
    let at = ms.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.map_or_else(String::new, |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// The first line of a text, no longer than this.
fn clip(text: &str, chars_max: usize) -> String {
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None if line.len() < text.len() => format!("{line}…"),
        None => line.to_owned(),
    }
}
