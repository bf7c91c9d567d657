//! Values as SQLite stores them: a byte that tells the storage class, then the content.
//!
//! Booleans are 0 and 1; decimals, dates, times, UUIDs and JSON are text, to which the column's affinity applies.

use redis_wb_plan::convert::display;
use redis_wb_plan::{ColumnType, Value};

use super::Held;

const NULL: u8 = 0;
const INTEGER: u8 = 1;
const REAL: u8 = 2;
const TEXT: u8 = 3;
const BLOB: u8 = 4;

/// Appends a value.
pub(in crate::target) fn encode(value: &Value<'_>, _column: &ColumnType, out: &mut Vec<u8>) {
    let (class, content): (u8, &[u8]) = match value {
        Value::Null => (NULL, &[]),
        Value::Bool(value) => (INTEGER, &i64::from(*value).to_le_bytes()),
        Value::Int(number) => (INTEGER, &number.to_le_bytes()),
        Value::Float(number) => (REAL, &number.to_le_bytes()),
        Value::Bytes(bytes) => (BLOB, bytes),
        Value::Text(text) | Value::Decimal(text) | Value::Json(text) => (TEXT, text.as_bytes()),
        other => {
            out.push(TEXT);
            out.extend(display(other).as_bytes());
            return;
        }
    };
    out.push(class);
    out.extend(content);
}

/// Reads a cell in place.
pub(super) fn decode(cell: &[u8]) -> Held<'_> {
    let eight = |content: &[u8]| content.try_into().unwrap_or_default();
    match cell {
        [INTEGER, content @ ..] => Held::Integer(i64::from_le_bytes(eight(content))),
        [REAL, content @ ..] => Held::Real(f64::from_le_bytes(eight(content))),
        [TEXT, content @ ..] => Held::Text(content),
        [BLOB, content @ ..] => Held::Blob(content),
        _ => Held::Null,
    }
}
