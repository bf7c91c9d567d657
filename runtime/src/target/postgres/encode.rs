//! Values in PostgreSQL's binary format, as elements of arrays: a length of 32 bits, then the bytes.
//! Source: the `*_recv` functions of <https://github.com/postgres/postgres/tree/master/src/backend/utils/adt>.

use bytes::{BufMut as _, BytesMut};
use redis_wb_plan::convert::display;
use redis_wb_plan::{ColumnType, Type, Value};
use tokio_postgres::types::{IsNull, Kind, ToSql, Type as PgType, to_sql_checked};

/// Days from 1970-01-01 to 2000-01-01, PostgreSQL's zero.
const EPOCH_DAYS: i32 = 10_957;
/// The same in microseconds.
const EPOCH_US: i64 = 946_684_800_000_000;

/// Appends a value as an element of an array of the type that the dialect binds the column as.
pub(in crate::target) fn encode(value: &Value<'_>, column: &ColumnType, out: &mut Vec<u8>) {
    match (value, column.kind) {
        (Value::Null, _) => out.extend((-1_i32).to_be_bytes()),
        (Value::Bool(value), Type::Bool) => element(out, &[u8::from(*value)]),
        (Value::Int(number), Type::Int) => integer(*number, column, out),
        (Value::Float(number), Type::Float) => float(*number, column, out),
        (Value::Bytes(bytes), Type::Bytes) => element(out, bytes),
        (Value::Date(days), Type::Date) => element(out, &days.saturating_sub(EPOCH_DAYS).to_be_bytes()),
        (Value::Time(us), Type::Time) => element(out, &us.to_be_bytes()),
        (Value::Timestamp(us), Type::Timestamp) | (Value::TimestampTz(us), Type::TimestampTz) => {
            element(out, &us.saturating_sub(EPOCH_US).to_be_bytes());
        }
        (Value::Uuid(bytes), Type::Uuid) => element(out, bytes),
        (Value::Decimal(text), Type::Decimal) if column.precision.is_some() => numeric(text, out),
        // Everything else is bound as text, and cast by the statement where the column is no text.
        (Value::Text(text) | Value::Decimal(text) | Value::Json(text), _) => element(out, text.as_bytes()),
        (other, _) => element(out, display(other).as_bytes()),
    }
}

fn integer(number: i64, column: &ColumnType, out: &mut Vec<u8>) {
    // The conversion refused what does not fit before.
    match column.bits {
        Some(16) => element(out, &i16::try_from(number).unwrap_or_default().to_be_bytes()),
        Some(32) => element(out, &i32::try_from(number).unwrap_or_default().to_be_bytes()),
        _ => element(out, &number.to_be_bytes()),
    }
}

fn float(number: f64, column: &ColumnType, out: &mut Vec<u8>) {
    match column.bits {
        #[expect(clippy::cast_possible_truncation, reason = "the column holds no more, and the conversion checked it")]
        Some(32) => element(out, &(number as f32).to_be_bytes()),
        _ => element(out, &number.to_be_bytes()),
    }
}

/// A number in digits, as `numeric_recv` reads it: groups of four digits that begin at the point.
fn numeric(text: &str, out: &mut Vec<u8>) {
    const NEGATIVE: u16 = 0x4000;
    let (sign, digits) = text.strip_prefix('-').map_or((0, text), |digits| (NEGATIVE, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let whole = whole.trim_start_matches('0').as_bytes();
    let groups_before = whole.len().div_ceil(4);
    let groups = groups_before + fraction.len().div_ceil(4);
    // A number of digits that a precision lets through is far below the bounds of these.
    let short = |number: usize| u16::try_from(number).unwrap_or(u16::MAX).to_be_bytes();
    out.extend(u32::try_from(8 + 2 * groups).unwrap_or(u32::MAX).to_be_bytes());
    out.extend(short(groups));
    out.extend((i16::try_from(groups_before).unwrap_or(i16::MAX) - 1).to_be_bytes());
    out.extend(sign.to_be_bytes());
    out.extend(short(fraction.len()));
    let group = |digits: &[u8]| digits.iter().fold(0, |group, digit| 10 * group + u16::from(digit.wrapping_sub(b'0')));
    let (first, rest) = whole.split_at_checked(whole.len() % 4).unwrap_or((&[], whole));
    let ahead = (!first.is_empty()).then(|| group(first));
    let behind = fraction.as_bytes().chunks(4).map(|digits| {
        // The last group may be short of digits.
        (digits.len()..4).fold(group(digits), |group, _| 10 * group)
    });
    ahead.into_iter().chain(rest.chunks(4).map(group)).chain(behind).for_each(|group| out.extend(group.to_be_bytes()));
}

fn element(out: &mut Vec<u8>, bytes: &[u8]) {
    // A Redis value is at most 512 MB.
    out.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend(bytes);
}

/// An array whose elements are encoded already. Putting it on the wire is one copy.
#[derive(Debug)]
pub(super) struct Array<'a> {
    pub(super) cells: &'a [u8],
    pub(super) len: usize,
}

impl ToSql for Array<'_> {
    fn to_sql(&self, kind: &PgType, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        let element = match kind.kind() {
            Kind::Array(element) => element.oid(),
            _ => kind.oid(),
        };
        out.reserve(self.cells.len() + 20);
        out.put_i32(1);
        // Whether there are nulls is not looked at by the server.
        out.put_i32(1);
        out.put_u32(element);
        out.put_i32(i32::try_from(self.len)?);
        out.put_i32(1);
        out.put_slice(self.cells);
        Ok(IsNull::No)
    }

    fn accepts(kind: &PgType) -> bool {
        matches!(kind.kind(), Kind::Array(_))
    }

    to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_groups_of_four_digits_from_the_point() {
        let column = ColumnType { precision: Some(30), scale: Some(10), ..Type::Decimal.into() };
        let encoded = |text: &str| {
            let mut out = Vec::new();
            encode(&Value::Decimal(text.into()), &column, &mut out);
            let words: Vec<u16> = out.chunks(2).map(|word| u16::from_be_bytes([word[0], word[1]])).collect();
            assert_eq!(usize::from(words[1]), out.len() - 4, "the length is that of what follows");
            words[2..].to_vec()
        };
        assert_eq!(encoded("12345.678"), [3, 1, 0, 3, 1, 2345, 6780]);
        assert_eq!(encoded("-0.5"), [1, u16::MAX, 0x4000, 1, 5000]);
        assert_eq!(encoded("10000"), [2, 1, 0, 0, 1, 0]);
        assert_eq!(encoded("0"), [0, u16::MAX, 0, 0]);
        assert_eq!(encoded("0.00012"), [2, u16::MAX, 0, 5, 1, 2000]);
        assert_eq!(encoded("1234"), [1, 0, 0, 0, 1234]);
    }
}
