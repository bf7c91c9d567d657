//! Random changes, and how a value reads whatever the database.

use std::borrow::Cow;

use redis_wb_plan::convert::display;
use redis_wb_plan::{Type, Value};

/// The values of all columns.
pub(crate) type Row = Vec<Value<'static>>;

/// What happens to a key.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// The row is written.
    Write(Row),
    /// The key is gone; of the row only the key columns are known.
    Delete(Row),
}

impl Change {
    pub(crate) fn row(&self) -> &Row {
        match self {
            Self::Write(row) | Self::Delete(row) => row,
        }
    }
}

/// Random numbers that are the same in every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        // Knuth's MMIX; the upper bits are the good ones.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % bound
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// Texts that only differ in what a collation, a padding or a quote could hide.
const TEXTS: [&str; 10] = ["a", "A", "a ", "á", "", "it's", "say \"hi\"", "`x` [y] \\ %_", "ß → 😀", "null"];

/// A key of two columns, of few that there are.
pub(crate) fn key(random: &mut Random) -> Row {
    let number = i64::try_from(random.below(3)).expect("small");
    vec![Value::Int(number), text(random.pick(&TEXTS[..5]))]
}

/// A row: the key, then a value of each type, any of which may be null.
pub(crate) fn row(random: &mut Random) -> Row {
    let mut row = key(random);
    let values = [
        text(random.pick(&TEXTS)),
        Value::Decimal(random.pick(&["0", "-12.5", "12345678901234567890.25", "3"]).into()),
        Value::Bool(random.below(2) == 0),
        Value::Date(i32::try_from(random.below(40_000)).expect("small") - 10_000),
        Value::Timestamp(random.pick(&[0, 1_700_000_000_123_456, 951_782_400_000_000])),
        Value::Float(random.pick(&[0.1, -2.5e10, 0.0])),
        Value::Json(random.pick(&["{\"a\": [1, null]}", "\"text\"", "[]"]).into()),
        Value::Bytes(Cow::Borrowed(random.pick(&[b"\x00\xff".as_slice(), b"", b"\xf0\x01"]))),
    ];
    row.extend(values.into_iter().map(|value| if random.below(5) == 0 { Value::Null } else { value }));
    row
}

fn text(text: &'static str) -> Value<'static> {
    Value::Text(Cow::Borrowed(text))
}

/// A batch of changes. `written` holds rows that were written before: some are written again as they were, some with
/// another text.
pub(crate) fn batch(random: &mut Random, written: &mut Vec<Row>) -> Vec<Change> {
    let changes = random.below(25);
    (0..changes).map(|_| change(random, written)).collect()
}

fn change(random: &mut Random, written: &mut Vec<Row>) -> Change {
    match random.below(4) {
        0 => Change::Delete(key(random)),
        1 if !written.is_empty() => {
            let mut row = written[random.below(written.len())].clone();
            if random.below(2) == 0 {
                row[2] = text(random.pick(&TEXTS));
            }
            Change::Write(row)
        }
        _ => {
            let row = row(random);
            written.push(row.clone());
            Change::Write(row)
        }
    }
}

/// A value as a test compares it.
pub(crate) fn shown(value: &Value<'_>) -> String {
    match value {
        Value::Null => read(None, Type::Null),
        other => read(Some(display(other)), other.kind()),
    }
}

/// What a database gives, as a test compares it.
pub(crate) fn read(text: Option<String>, kind: Type) -> String {
    let Some(text) = text else {
        return "∅".to_owned();
    };
    match kind {
        Type::Bool => matches!(text.as_str(), "t" | "1" | "true").to_string(),
        Type::Decimal if text.contains('.') => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        Type::Float => text.parse::<f64>().expect("a number").to_string(),
        Type::Timestamp => {
            let text = text.replace('T', " ");
            if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
        }
        Type::Json => serde_json::from_str::<serde_json::Value>(&text).expect("JSON").to_string(),
        _ => text,
    }
}
