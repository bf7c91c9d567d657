//! `CAST` (<https://www.sqlite.org/lang_expr.html#castexpr>, `vdbemem.c`: `sqlite3VdbeMemCast`).
//!
//! SQLite's casts always give something: `CAST('12abc' AS INTEGER)` is 12, `CAST('abc' AS INTEGER)` 0. Here a cast that
//! loses something rejects the record. That is one of the deliberate differences.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::number::{self, IntegerText};
use super::storage::{self, Number, Operand};
use crate::convert::clip;
use crate::{Reject, RejectCode, Value};

/// What a value is cast to: SQLite has five targets, whatever the type's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cast {
    /// Bytes.
    Blob,
    /// Text.
    Text,
    /// INTEGER or REAL, whatever the value is.
    Numeric,
    /// INTEGER.
    Integer,
    /// REAL.
    Real,
}

impl Cast {
    /// Whether it gives INTEGER or REAL.
    pub(super) const fn is_number(self) -> bool {
        matches!(self, Self::Integer | Self::Real)
    }

    /// The target that a type's name means: `sqlite3AffinityType`
    /// (<https://www.sqlite.org/datatype3.html#determination_of_column_affinity>). No name at all is a blob.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let name = name.to_ascii_lowercase();
        let has = |part: &str| name.contains(part);
        if name.trim().is_empty() {
            Self::Blob
        } else if has("int") {
            Self::Integer
        } else if has("char") || has("clob") || has("text") {
            Self::Text
        } else if has("blob") {
            Self::Blob
        } else if has("real") || has("floa") || has("doub") {
            Self::Real
        } else {
            Self::Numeric
        }
    }
}

/// Casts a value. `lossy` is SQLite's own way: whatever does not fit is dropped.
pub(super) fn cast<'a>(target: Cast, lossy: bool, value: Value<'a>) -> Result<Value<'a>, Reject> {
    if value.is_null() {
        return Ok(value);
    }
    match target {
        Cast::Text => text(value),
        Cast::Blob => blob(value),
        Cast::Integer | Cast::Real => to_number(target, lossy, &value).map(Operand::value),
        Cast::Numeric => numeric(value, lossy),
    }
}

/// Casts a value to INTEGER or REAL.
#[inline]
pub(super) fn to_number(target: Cast, lossy: bool, value: &Value<'_>) -> Result<Operand, Reject> {
    match (target, value) {
        (_, Value::Null) => Ok(Operand::Null),
        (Cast::Integer, Value::Int(integer)) => Ok(Operand::Int(*integer)),
        (Cast::Integer, Value::Text(text)) => integer_of_text(text, lossy),
        (Cast::Integer, value) => integer(value, lossy),
        (_, Value::Text(text)) => real_of_text(text, lossy),
        (_, value) => real(value, lossy),
    }
}

fn integer_of_text(text: &str, lossy: bool) -> Result<Operand, Reject> {
    match number::parse_integer(text.as_bytes()) {
        IntegerText::Whole(integer) => Ok(Operand::Int(integer)),
        read if lossy => Ok(Operand::Int(read.value())),
        _ => Err(loses(&Value::Text(text.into()), "INTEGER")),
    }
}

/// The text must be a number and nothing else. Its digits may be more than a real holds, as everywhere in floating
/// point; it must not overflow.
fn real_of_text(text: &str, lossy: bool) -> Result<Operand, Reject> {
    let read = number::parse_real(text.as_bytes());
    if lossy || (read.prefix && read.whole && read.value.is_finite()) {
        return Ok(Number::of_real(read.value).into());
    }
    Err(loses(&Value::Text(text.into()), "REAL"))
}

fn text(value: Value<'_>) -> Result<Value<'_>, Reject> {
    match value {
        Value::Text(_) | Value::Json(_) => Ok(value),
        Value::Decimal(text) => Ok(Value::Text(text)),
        Value::Bytes(Cow::Owned(bytes)) => storage::utf8(bytes).map(storage::text_value),
        Value::Bytes(Cow::Borrowed(bytes)) => {
            std::str::from_utf8(bytes).map(|text| Value::Text(Cow::Borrowed(text))).map_err(|_| storage::not_utf8())
        }
        other => {
            let text = storage::text(&other)?.map(Cow::into_owned);
            Ok(text.map_or(Value::Null, storage::text_value))
        }
    }
}

fn blob(value: Value<'_>) -> Result<Value<'_>, Reject> {
    if let Value::Bytes(_) = value {
        return Ok(value);
    }
    let bytes = storage::bytes(&value)?.map(Cow::into_owned);
    Ok(bytes.map_or(Value::Null, |bytes| Value::Bytes(Cow::Owned(bytes))))
}

fn integer(value: &Value<'_>, lossy: bool) -> Result<Operand, Reject> {
    let result = storage::integer(value)?;
    let exact = lossy
        || match storage::stored(value)? {
            Value::Float(real) => storage::integer_affinity(real).is_some() || real_is_bound(real),
            Value::Text(text) | Value::Json(text) => text_is_integer(text.as_bytes()),
            Value::Bytes(bytes) => text_is_integer(&bytes),
            _ => true,
        };
    if exact { Ok(Operand::Int(result)) } else { Err(loses(value, "INTEGER")) }
}

/// -2^63 is a real and an integer; 2^63 is only a real.
fn real_is_bound(real: f64) -> bool {
    #[expect(clippy::float_cmp, reason = "the bound is exact")]
    let bound = real == -9_223_372_036_854_775_808.0;
    bound
}

/// Whether a text is an integer of 64 bits and nothing else: `4.0` is not, for SQLite's cast stops at the point.
fn text_is_integer(text: &[u8]) -> bool {
    matches!(number::parse_integer(text), IntegerText::Whole(_))
}

fn real(value: &Value<'_>, lossy: bool) -> Result<Operand, Reject> {
    let result = storage::real(value)?;
    let exact = lossy
        || match storage::stored(value)? {
            Value::Int(integer) => number::real_to_integer(result) == integer && result < 9_223_372_036_854_775_808.0,
            Value::Text(text) | Value::Json(text) => text_is_real(text.as_bytes()),
            Value::Bytes(bytes) => text_is_real(&bytes),
            _ => true,
        };
    if exact { Ok(Number::of_real(result).into()) } else { Err(loses(value, "REAL")) }
}

/// Whether a text is a number and nothing else. Its digits may be more than a real holds, as everywhere in floating
/// point; it must not overflow.
fn text_is_real(text: &[u8]) -> bool {
    let read = number::parse_real(text);
    read.prefix && read.whole && read.value.is_finite()
}

fn numeric(value: Value<'_>, lossy: bool) -> Result<Value<'_>, Reject> {
    let stored = storage::stored(&value)?;
    let (text, is_text): (&[u8], bool) = match &stored {
        Value::Text(text) | Value::Json(text) => (text.as_bytes(), true),
        Value::Bytes(bytes) => (bytes, true),
        _ => (&[], false),
    };
    if !is_text {
        return match stored {
            Value::Int(integer) => Ok(Value::Int(integer)),
            Value::Float(real) => Ok(Value::Float(real)),
            _ => Ok(Value::Null),
        };
    }
    if !lossy && !text_is_real(text) {
        return Err(loses(&value, "NUMERIC"));
    }
    Ok(numeric_of_text(text).value())
}

/// The number that a text begins with: `sqlite3VdbeMemNumerify`.
fn numeric_of_text(text: &[u8]) -> Number {
    let read = number::parse_real(text);
    if !read.fractional {
        match number::parse_integer(text) {
            IntegerText::TooLarge(_) => {}
            integer => return Number::Int(integer.value()),
        }
    }
    let integer = number::real_to_integer(read.value);
    if number::real_is_integer(read.value, integer) { Number::Int(integer) } else { Number::Real(read.value) }
}

fn loses(value: &Value<'_>, target: &str) -> Reject {
    let shown = crate::convert::display(value);
    let message = format!("`{}` cannot be cast to {target} without loss", clip(&shown));
    Reject::new(RejectCode::NotConvertible, message)
}
