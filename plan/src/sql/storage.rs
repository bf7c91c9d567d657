//! Values as SQLite stores them: five storage classes, and how one is read as another
//! (<https://www.sqlite.org/datatype3.html>, `vdbemem.c`).
//!
//! A [`Value`] can be more than those five. In SQL a boolean is an INTEGER, a decimal a number, dates, times and UUIDs
//! are TEXT in ISO notation, lists and objects are JSON text. [`Value::Json`] is TEXT that the JSON functions take for
//! JSON, as SQLite's subtype does.

use std::borrow::Cow;

use super::number::{self, IntegerText};
use super::printf;
use crate::convert::{clip, display};
use crate::{Reject, RejectCode, Value};

/// The longest text or blob that an SQL expression makes, in bytes.
pub const TEXT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// SQLite's storage classes, in the order in which they compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    Null,
    Integer,
    Real,
    Text,
    Blob,
}

impl Class {
    /// The name that `typeof()` gives.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Integer => "integer",
            Self::Real => "real",
            Self::Text => "text",
            Self::Blob => "blob",
        }
    }

    /// Whether it is INTEGER or REAL.
    pub(super) const fn is_number(self) -> bool {
        matches!(self, Self::Integer | Self::Real)
    }
}

/// A value in one of SQLite's storage classes: null, int, float, text, JSON text or bytes.
///
/// # Errors
/// A decimal that neither 64 bits nor a real hold exactly.
pub(super) fn stored<'s>(value: &'s Value<'_>) -> Result<Value<'s>, Reject> {
    Ok(match value {
        Value::Null => Value::Null,
        Value::Int(value) => Value::Int(*value),
        Value::Float(value) => Value::Float(*value),
        Value::Text(text) => Value::Text(Cow::Borrowed(text)),
        Value::Bytes(bytes) => Value::Bytes(Cow::Borrowed(bytes)),
        Value::Json(text) => Value::Json(Cow::Borrowed(text)),
        Value::Bool(value) => Value::Int(i64::from(*value)),
        Value::Decimal(text) => decimal(text)?,
        Value::List(_) | Value::Object(_) => Value::Json(Cow::Owned(display(value))),
        Value::Date(_) | Value::Time(_) | Value::Timestamp(_) | Value::TimestampTz(_) | Value::Uuid(_) => {
            Value::Text(Cow::Owned(display(value)))
        }
    })
}

/// A decimal as INTEGER or REAL, where one of them is the same number.
fn decimal<'a>(text: &str) -> Result<Value<'a>, Reject> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.bytes().all(|byte| byte == b'0')
        && let Ok(integer) = whole.parse()
    {
        return Ok(Value::Int(integer));
    }
    let real: f64 = text.parse().unwrap_or(f64::NAN);
    // A real has its shortest decimal; if that is this one, nothing is lost.
    let shortest = real.to_string();
    if trimmed(&shortest) == trimmed(text) {
        return Ok(Value::Float(real));
    }
    let message = format!("`{}` has more digits than a real holds", clip(text));
    Err(Reject::new(RejectCode::Inexact, message))
}

/// A decimal without the zeros that say nothing.
fn trimmed(text: &str) -> (bool, &str, &str) {
    let (negative, unsigned) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    (negative, whole.trim_start_matches('0'), fraction.trim_end_matches('0'))
}

/// The storage class of a value.
pub(super) fn class(value: &Value<'_>) -> Class {
    match value {
        Value::Null => Class::Null,
        Value::Int(_) | Value::Bool(_) => Class::Integer,
        Value::Float(_) => Class::Real,
        Value::Bytes(_) => Class::Blob,
        Value::Decimal(text) => match decimal(text) {
            Ok(Value::Int(_)) => Class::Integer,
            _ => Class::Real,
        },
        _ => Class::Text,
    }
}

/// A value as text, or `None` where it is NULL: `sqlite3_value_text`.
///
/// # Errors
/// Bytes that are not UTF-8: here a text always is.
#[inline]
pub(super) fn text<'s>(value: &'s Value<'_>) -> Result<Option<Cow<'s, str>>, Reject> {
    match value {
        Value::Text(text) => Ok(Some(Cow::Borrowed(&**text))),
        other => text_of_other(other),
    }
}

fn text_of_other<'s>(value: &'s Value<'_>) -> Result<Option<Cow<'s, str>>, Reject> {
    Ok(Some(match value {
        Value::Null => return Ok(None),
        Value::Text(text) | Value::Json(text) | Value::Decimal(text) => Cow::Borrowed(&**text),
        Value::Int(value) => Cow::Owned(value.to_string()),
        Value::Float(value) => Cow::Owned(printf::real(*value)),
        Value::Bool(value) => Cow::Borrowed(if *value { "1" } else { "0" }),
        Value::Bytes(bytes) => Cow::Borrowed(std::str::from_utf8(bytes).map_err(|_| not_utf8())?),
        other => Cow::Owned(display(other)),
    }))
}

/// A value as bytes, or `None` where it is NULL: `sqlite3_value_blob`.
pub(super) fn bytes<'s>(value: &'s Value<'_>) -> Result<Option<Cow<'s, [u8]>>, Reject> {
    Ok(match value {
        Value::Bytes(bytes) => Some(Cow::Borrowed(&**bytes)),
        other => text(other)?.map(|text| match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        }),
    })
}

/// A value as an integer, whatever it is: `sqlite3_value_int64`.
pub(super) fn integer(value: &Value<'_>) -> Result<i64, Reject> {
    Ok(match value {
        Value::Null => 0,
        Value::Int(value) => *value,
        Value::Float(value) => number::real_to_integer(*value),
        Value::Bool(value) => i64::from(*value),
        Value::Text(text) | Value::Json(text) => number::parse_integer(text.as_bytes()).value(),
        Value::Bytes(bytes) => number::parse_integer(bytes).value(),
        other => match stored(other)? {
            Value::Int(value) => value,
            Value::Float(value) => number::real_to_integer(value),
            Value::Text(text) | Value::Json(text) => number::parse_integer(text.as_bytes()).value(),
            _ => 0,
        },
    })
}

/// A value as a real, whatever it is: `sqlite3_value_double`.
pub(super) fn real(value: &Value<'_>) -> Result<f64, Reject> {
    Ok(match value {
        Value::Null => 0.0,
        Value::Int(value) => number::integer_to_real(*value),
        Value::Float(value) => *value,
        Value::Bool(value) => f64::from(u8::from(*value)),
        Value::Text(text) | Value::Json(text) => number::parse_real(text.as_bytes()).value,
        Value::Bytes(bytes) => number::parse_real(bytes).value,
        other => match stored(other)? {
            Value::Int(value) => number::integer_to_real(value),
            Value::Float(value) => value,
            Value::Text(text) | Value::Json(text) => number::parse_real(text.as_bytes()).value,
            _ => 0.0,
        },
    })
}

/// Whether a value counts as true, or `None` where it is NULL: `sqlite3VdbeBooleanValue`.
pub(super) fn truth(value: &Value<'_>) -> Result<Option<bool>, Reject> {
    Ok(match value {
        Value::Null => None,
        Value::Bool(value) => Some(*value),
        Value::Int(value) => Some(*value != 0),
        other => Some(real(other)? != 0.0),
    })
}

/// A number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Int(i64),
    Real(f64),
}

impl Number {
    pub(super) const fn real(self) -> f64 {
        match self {
            Self::Int(value) => number::integer_to_real(value),
            Self::Real(value) => value,
        }
    }

    /// A real as a result; what is not a number is NULL.
    pub(super) const fn of_real(real: f64) -> Option<Self> {
        if real.is_nan() { None } else { Some(Self::Real(real)) }
    }

    pub(super) fn integer(self) -> i64 {
        match self {
            Self::Int(value) => value,
            Self::Real(value) => number::real_to_integer(value),
        }
    }

    pub(super) fn value<'a>(self) -> Value<'a> {
        match self {
            Self::Int(value) => Value::Int(value),
            Self::Real(value) => real_value(value),
        }
    }
}

/// An operand of arithmetic, or what arithmetic gives, as far as it can be told without making a value. It is handed on
/// as it is, for to make another form of a result that was just written takes longer than to compute it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Operand {
    /// INTEGER.
    Int(i64),
    /// REAL.
    Real(f64),
    /// NULL.
    Null,
    /// Anything that is yet to be looked at.
    Value,
}

impl Operand {
    /// A value that is a number.
    #[inline]
    pub(super) const fn of(value: &Value<'_>) -> Self {
        match value {
            Value::Int(value) => Self::Int(*value),
            Value::Float(value) => Self::Real(*value),
            _ => Self::Value,
        }
    }

    /// The number, if it is one.
    #[inline]
    pub(super) const fn number(self) -> Option<Number> {
        match self {
            Self::Int(value) => Some(Number::Int(value)),
            Self::Real(value) => Some(Number::Real(value)),
            Self::Null | Self::Value => None,
        }
    }

    /// The value of a result.
    #[inline]
    pub(super) fn value<'a>(self) -> Value<'a> {
        match self {
            Self::Int(value) => Value::Int(value),
            Self::Real(value) => real_value(value),
            Self::Null | Self::Value => Value::Null,
        }
    }
}

impl From<Option<Number>> for Operand {
    #[inline]
    fn from(number: Option<Number>) -> Self {
        match number {
            Some(Number::Int(value)) => Self::Int(value),
            Some(Number::Real(value)) => Self::Real(value),
            None => Self::Null,
        }
    }
}

/// The number that an operand of arithmetic is, whatever it is: `numericType`. NULL is no number.
pub(super) fn operand(value: &Value<'_>) -> Result<Option<Number>, Reject> {
    Ok(match value {
        Value::Null => None,
        Value::Int(value) => Some(Number::Int(*value)),
        Value::Float(value) => Some(Number::Real(*value)),
        Value::Bool(value) => Some(Number::Int(i64::from(*value))),
        Value::Text(text) | Value::Json(text) => Some(operand_of_text(text.as_bytes())),
        Value::Bytes(bytes) => Some(operand_of_text(bytes)),
        other => match stored(other)? {
            Value::Int(value) => Some(Number::Int(value)),
            Value::Float(value) => Some(Number::Real(value)),
            Value::Text(text) | Value::Json(text) => Some(operand_of_text(text.as_bytes())),
            _ => None,
        },
    })
}

/// Of a text that is no number the longest prefix that is one; without any, the integer 0.
fn operand_of_text(text: &[u8]) -> Number {
    let read = number::parse_real(text);
    if read.fractional {
        return Number::Real(read.value);
    }
    match number::parse_integer(text) {
        IntegerText::Whole(value) => Number::Int(value),
        IntegerText::Prefix(value) if !read.whole => Number::Int(value),
        IntegerText::None => Number::Int(0),
        IntegerText::Prefix(_) | IntegerText::TooLarge(_) => Number::Real(read.value),
    }
}

/// The number that a whole text is, or `None`: `applyNumericAffinity`. With `integers`, `4.0` is the integer 4.
pub(super) fn number_of_text(text: &str, integers: bool) -> Option<Number> {
    let read = number::parse_real(text.as_bytes());
    if !(read.prefix && read.whole) {
        return None;
    }
    if !read.fractional {
        let integer = number::real_to_integer(read.value);
        if number::real_is_integer(read.value, integer) {
            return Some(Number::Int(integer));
        }
        if let IntegerText::Whole(integer) = number::parse_integer(text.as_bytes()) {
            return Some(Number::Int(integer));
        }
        return Some(integer_affinity(read.value).filter(|_| integers).unwrap_or(Number::Real(read.value)));
    }
    Some(integer_affinity(read.value).filter(|_| integers).unwrap_or(Number::Real(read.value)))
}

/// The integer that a real is, where it is one within 64 bits: `sqlite3VdbeIntegerAffinity`.
pub(super) fn integer_affinity(real: f64) -> Option<Number> {
    let integer = number::real_to_integer(real);
    #[expect(clippy::float_cmp, reason = "the round trip must be exact")]
    let same = number::integer_to_real(integer) == real;
    (same && integer > i64::MIN && integer < i64::MAX).then_some(Number::Int(integer))
}

/// The number that a value is for the functions that take only numbers: `sqlite3_value_numeric_type`.
pub(super) fn strict_number(value: &Value<'_>) -> Result<Option<Number>, Reject> {
    Ok(match value {
        Value::Int(value) => Some(Number::Int(*value)),
        Value::Float(value) => Some(Number::Real(*value)),
        Value::Null | Value::Bytes(_) => None,
        Value::Text(text) | Value::Json(text) => number_of_text(text, false),
        other => match stored(other)? {
            Value::Int(value) => Some(Number::Int(value)),
            Value::Float(value) => Some(Number::Real(value)),
            Value::Text(text) | Value::Json(text) => number_of_text(&text, false),
            _ => None,
        },
    })
}

/// A real as a result: what is not a number is NULL.
pub(super) fn real_value<'a>(value: f64) -> Value<'a> {
    if value.is_nan() { Value::Null } else { Value::Float(value) }
}

/// A truth value as a result: INTEGER 1 or 0, or NULL.
#[inline]
pub(super) fn truth_value<'a>(truth: Option<bool>) -> Value<'a> {
    match truth {
        Some(truth) => Value::Int(i64::from(truth)),
        None => Value::Null,
    }
}

/// A text as a result.
pub(super) fn text_value<'a>(text: impl Into<String>) -> Value<'a> {
    Value::Text(Cow::Owned(text.into()))
}

/// Bytes that became text.
pub(super) fn utf8(bytes: Vec<u8>) -> Result<String, Reject> {
    if bytes.len() > TEXT_BYTES_MAX {
        return Err(too_long());
    }
    String::from_utf8(bytes).map_err(|_| not_utf8())
}

/// The part of a text before its first NUL: what C sees of it.
pub(super) fn until_nul(text: &str) -> &str {
    if text.as_bytes().contains(&0) { text.split_once('\0').map_or(text, |(before, _)| before) } else { text }
}

pub(super) fn not_utf8() -> Reject {
    Reject::new(RejectCode::InvalidText, "the bytes are not UTF-8, so they cannot become text")
}

pub(super) fn too_long() -> Reject {
    Reject::new(RejectCode::TooLong, format!("the text would be longer than {TEXT_BYTES_MAX} bytes"))
}
