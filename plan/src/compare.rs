//! Truth, equality and order as JMESPath has them. Dates, times and UUIDs count as the texts that they are in JSON.

use std::cmp::Ordering;

use crate::expr::Comparator;
use crate::{Value, convert, number};

/// Whether a value is true: neither null nor false nor empty. A number always is.
#[must_use]
pub fn is_true(value: &Value<'_>) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Text(text) => !text.is_empty(),
        Value::List(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    }
}

/// Whether a record passes a condition that gives this value, in either language: neither null nor false nor 0 nor
/// empty.
#[must_use]
pub fn passes(value: &Value<'_>) -> bool {
    let is_zero = number::order(value, &Value::Int(0)) == Some(Ordering::Equal);
    is_true(value) && !is_zero
}

/// The outcome of a comparison; `None` for an order of what has none.
#[must_use]
pub fn compare(op: Comparator, left: &Value<'_>, right: &Value<'_>) -> Option<bool> {
    match op {
        Comparator::Equal => Some(equal(left, right)),
        Comparator::NotEqual => Some(!equal(left, right)),
        Comparator::Less => order(left, right).map(Ordering::is_lt),
        Comparator::LessOrEqual => order(left, right).map(Ordering::is_le),
        Comparator::Greater => order(left, right).map(Ordering::is_gt),
        Comparator::GreaterOrEqual => order(left, right).map(Ordering::is_ge),
    }
}

/// The order of two numbers, or of two dates, times or instants of one kind.
fn order(left: &Value<'_>, right: &Value<'_>) -> Option<Ordering> {
    match (left, right) {
        (Value::Date(left), Value::Date(right)) => Some(left.cmp(right)),
        (Value::Time(left), Value::Time(right))
        | (Value::Timestamp(left), Value::Timestamp(right))
        | (Value::TimestampTz(left), Value::TimestampTz(right)) => Some(left.cmp(right)),
        _ => number::order(left, right),
    }
}

/// Whether two values are the same, in depth; numbers of different kinds by what they are worth.
#[must_use]
pub fn equal(left: &Value<'_>, right: &Value<'_>) -> bool {
    match (left, right) {
        (Value::Text(left), Value::Text(right)) => left == right,
        (Value::Null, Value::Null) => true,
        (Value::Bool(left), Value::Bool(right)) => left == right,
        (Value::List(left), Value::List(right)) => {
            left.len() == right.len() && left.iter().zip(right.iter()).all(|(left, right)| equal(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            let same = |(name, value): &crate::value::Field<'_>| {
                right.iter().any(|(other, theirs)| other == name && equal(value, theirs))
            };
            left.len() == right.len() && left.iter().all(same)
        }
        (left, Value::Text(right)) | (Value::Text(right), left) if is_textual(left) => convert::display(left) == *right,
        (left, right) if number::is_number(left) => number::order(left, right) == Some(Ordering::Equal),
        (left, right) => left == right,
    }
}

/// Whether a value has a type of its own here and is a text in JSON.
#[must_use]
pub const fn is_textual(value: &Value<'_>) -> bool {
    matches!(
        value,
        Value::Text(_) | Value::Date(_) | Value::Time(_) | Value::Timestamp(_) | Value::TimestampTz(_) | Value::Uuid(_)
    )
}
