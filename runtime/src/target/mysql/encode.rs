//! Values as MariaDB and MySQL are given them: a byte that tells the class, then the content.
//!
//! Booleans are 0 and 1; decimals, dates, times, UUIDs and JSON are text, which the server reads as the column's type.

use mysql_async::Value as Bound;
use redis_wb_plan::convert::display;
use redis_wb_plan::{ColumnType, Value};

const NULL: u8 = 0;
const INTEGER: u8 = 1;
const DOUBLE: u8 = 2;
const BYTES: u8 = 3;

/// Appends a value.
pub(in crate::target) fn encode(value: &Value<'_>, _column: &ColumnType, out: &mut Vec<u8>) {
    let (class, content): (u8, &[u8]) = match value {
        Value::Null => (NULL, &[]),
        Value::Bool(value) => (INTEGER, &i64::from(*value).to_le_bytes()),
        Value::Int(number) => (INTEGER, &number.to_le_bytes()),
        Value::Float(number) => (DOUBLE, &number.to_le_bytes()),
        Value::Bytes(bytes) => (BYTES, bytes),
        Value::Text(text) | Value::Decimal(text) | Value::Json(text) => (BYTES, text.as_bytes()),
        // The session's zone is UTC, and MariaDB reads no offset.
        Value::TimestampTz(us) => return text(&display(&Value::Timestamp(*us)), out),
        other => return text(&display(other), out),
    };
    out.push(class);
    out.extend(content);
}

fn text(text: &str, out: &mut Vec<u8>) {
    out.push(BYTES);
    out.extend(text.as_bytes());
}

/// Reads a cell.
pub(super) fn decode(cell: &[u8]) -> Bound {
    let eight = |content: &[u8]| content.try_into().unwrap_or_default();
    match cell {
        [INTEGER, content @ ..] => Bound::Int(i64::from_le_bytes(eight(content))),
        [DOUBLE, content @ ..] => Bound::Double(f64::from_le_bytes(eight(content))),
        [BYTES, content @ ..] => Bound::Bytes(content.to_vec()),
        _ => Bound::NULL,
    }
}
