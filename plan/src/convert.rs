//! A value into a column's type, exactly or not at all: no rounding, no truncation, no guess.
//!
//! What is read: text as the number, boolean, date or time that it spells; a whole number in any spelling
//! (`42`, `42.0`, `4.2e1`) as an integer; `true/false`, `t/f`, `yes/no`, `on/off`, `1/0` as booleans (PostgreSQL's
//! spellings); ISO 8601 dates and times, a space allowed for the `T`. A date-time without a zone is UTC where an
//! instant is wanted; one with a zone gives its UTC reading where none is wanted.

mod array;
pub(crate) mod decimal;
mod temporal;

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::types::Members;
use crate::{ColumnType, Reject, RejectCode, Type, Value};

/// The most characters of a value that a reason quotes.
const QUOTED_CHARS_MAX: usize = 64;

/// Converts a value to the type of a column. Null stays null.
///
/// # Errors
/// The reason for which the record must be rejected: the value is not of that type, or would lose something.
pub fn convert<'a>(value: Value<'a>, to: &ColumnType) -> Result<Value<'a>, Reject> {
    if value.is_null() {
        return Ok(Value::Null);
    }
    match to.kind {
        Type::Unknown | Type::Null | Type::Object => Ok(value),
        Type::List => array::convert(value),
        Type::Bool => to_bool(&value),
        Type::Int => to_int(&value, to),
        Type::Float => to_float(&value, to),
        Type::Decimal => decimal::convert(value, to),
        Type::Text => to_text(value, to),
        Type::Bytes => to_bytes(value, to),
        Type::Date | Type::Time | Type::Timestamp | Type::TimestampTz => temporal::convert(&value, to),
        Type::Uuid => to_uuid(&value),
        Type::Json => to_json(value),
    }
}

fn to_bool<'a>(value: &Value<'_>) -> Result<Value<'a>, Reject> {
    const TRUE: [&str; 6] = ["true", "t", "yes", "y", "on", "1"];
    const FALSE: [&str; 6] = ["false", "f", "no", "n", "off", "0"];
    let spelled =
        |text: &str, spellings: &[&str]| spellings.iter().any(|known| known.eq_ignore_ascii_case(text.trim()));
    match value {
        Value::Bool(value) => Ok(Value::Bool(*value)),
        Value::Int(0) => Ok(Value::Bool(false)),
        Value::Int(1) => Ok(Value::Bool(true)),
        Value::Text(text) if spelled(text, &TRUE) => Ok(Value::Bool(true)),
        Value::Text(text) if spelled(text, &FALSE) => Ok(Value::Bool(false)),
        _ => Err(not(value, "a boolean")),
    }
}

fn to_int<'a>(value: &Value<'_>, to: &ColumnType) -> Result<Value<'a>, Reject> {
    let number = match value {
        Value::Int(number) => *number,
        Value::Bool(value) => i64::from(*value),
        Value::Text(text) => match text.trim().parse() {
            Ok(number) => number,
            Err(_) => decimal::whole(text.trim(), value)?,
        },
        Value::Float(number) => decimal::whole(&number.to_string(), value)?,
        Value::Decimal(text) => decimal::whole(text, value)?,
        _ => return Err(not(value, "a whole number")),
    };
    let bits = u32::from(to.bits.unwrap_or(64)).clamp(1, 64);
    let (lowest, highest) = match to.range {
        Some([lowest, highest]) => (lowest, highest),
        // A 64-bit unsigned column can hold more than `Value::Int`; what is beyond is refused before.
        None if to.unsigned => (0, if bits >= 63 { i64::MAX } else { (1_i64 << bits) - 1 }),
        None => (i64::MIN >> (64 - bits), i64::MAX >> (64 - bits)),
    };
    if (lowest..=highest).contains(&number) {
        Ok(Value::Int(number))
    } else {
        Err(out_of_range(value, &format!("a whole number from {lowest} to {highest}")))
    }
}

fn to_float<'a>(value: &Value<'_>, to: &ColumnType) -> Result<Value<'a>, Reject> {
    let number = match value {
        Value::Float(number) => *number,
        Value::Int(number) => {
            #[expect(clippy::cast_precision_loss, reason = "the next line checks that nothing was lost")]
            let float = *number as f64;
            if float_to_int(float) != Some(*number) {
                return Err(inexact(value, "a floating-point number"));
            }
            float
        }
        Value::Decimal(text) | Value::Text(text) => {
            let text = text.trim();
            // Rust also reads `inf`, `infinity` and `nan`; no SQL target stores them the same way.
            if !text.bytes().any(|byte| byte.is_ascii_digit()) {
                return Err(not(value, "a number"));
            }
            text.parse().map_err(|_| not(value, "a number"))?
        }
        _ => return Err(not(value, "a number")),
    };
    #[expect(clippy::cast_possible_truncation, reason = "an overflow gives infinity, which is refused")]
    let fits = number.is_finite() && (to.bits != Some(32) || (number as f32).is_finite());
    if !fits {
        return Err(out_of_range(value, "a floating-point number"));
    }
    // What the column would round.
    if let Some(scale) = to.scale
        && number.to_string().split_once('.').is_some_and(|(_, digits)| digits.len() > usize_of(scale))
    {
        return Err(inexact(value, &format!("a number of {scale} digits behind the point")));
    }
    Ok(Value::Float(number))
}

/// The integer that a float stands for exactly.
pub(crate) fn float_to_int(float: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "checked by the bounds before the cast")]
    let int = (float.fract() == 0.0 && (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&float))
        .then_some(float as i64);
    int
}

fn to_text<'a>(value: Value<'a>, to: &ColumnType) -> Result<Value<'a>, Reject> {
    let text: Cow<'a, str> = match value {
        Value::Text(text) | Value::Decimal(text) | Value::Json(text) => text,
        Value::Bytes(_) => {
            return Err(Reject::new(RejectCode::InvalidText, format!("{} is not UTF-8", quoted(&value))));
        }
        other => Cow::Owned(display(&other)),
    };
    if text.contains('\0') {
        return Err(Reject::new(RejectCode::InvalidText, format!("`{}` contains a NUL character", clip(&text))));
    }
    // Bytes bound characters from above, so most texts need not be counted.
    if let Some(max) = to.length_max
        && text.len() > usize_of(max)
        && text.chars().count() > usize_of(max)
    {
        return Err(Reject::new(RejectCode::TooLong, format!("`{}` is longer than {max} characters", clip(&text))));
    }
    match &to.members {
        Some(members) if !is_among(members, &text) => {
            let reason = format!("`{}` is none of the members of the column", clip(&text));
            Err(Reject::new(RejectCode::NotConvertible, reason))
        }
        _ => Ok(Value::Text(text)),
    }
}

/// Whether a column that takes certain texts takes this one. Letters in another case are left to its collation.
fn is_among(members: &Members, text: &str) -> bool {
    let is_member = |text: &str| {
        let same = |name: &String| name == text || name.to_lowercase() == text.to_lowercase();
        members.names.iter().any(same)
    };
    if members.is_set { text.is_empty() || text.split(',').all(is_member) } else { is_member(text) }
}

fn to_bytes<'a>(value: Value<'a>, to: &ColumnType) -> Result<Value<'a>, Reject> {
    let bytes = match value {
        Value::Bytes(bytes) => bytes,
        Value::Text(Cow::Borrowed(text)) => Cow::Borrowed(text.as_bytes()),
        Value::Text(Cow::Owned(text)) => Cow::Owned(text.into_bytes()),
        other => return Err(not(&other, "bytes")),
    };
    match to.length_max {
        Some(max) if bytes.len() > usize_of(max) => {
            Err(Reject::new(RejectCode::TooLong, format!("{} bytes are more than {max}", bytes.len())))
        }
        _ => Ok(Value::Bytes(bytes)),
    }
}

fn to_uuid<'a>(value: &Value<'_>) -> Result<Value<'a>, Reject> {
    let parsed = match value {
        Value::Uuid(bytes) => Some(*bytes),
        Value::Text(text) => parse_uuid(text.trim()),
        _ => None,
    };
    parsed.map(Value::Uuid).ok_or_else(|| not(value, "a UUID"))
}

/// 32 hexadecimal digits, hyphens between any of them and braces around them ignored, as PostgreSQL reads a UUID.
fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let inner = text.strip_prefix('{').map_or(Some(text), |rest| rest.strip_suffix('}'))?;
    let mut bytes = [0_u8; 16];
    let mut digits = inner.bytes().filter(|byte| *byte != b'-').map(|byte| char::from(byte).to_digit(16));
    for byte in &mut bytes {
        let (high, low) = (digits.next()??, digits.next()??);
        *byte = u8::try_from(high * 16 + low).ok()?;
    }
    digits.next().is_none().then_some(bytes)
}

fn to_json(value: Value<'_>) -> Result<Value<'_>, Reject> {
    match value {
        Value::Json(text) => Ok(Value::Json(text)),
        // A text that is itself JSON is that document, not a JSON string: it is not encoded twice.
        Value::Text(text) => {
            let valid = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            if valid { Ok(Value::Json(text)) } else { Err(not(&Value::Text(text), "a JSON document")) }
        }
        other => Ok(Value::Json(Cow::Owned(crate::json::write(&other, crate::json::JSON_BYTES_MAX)?))),
    }
}

/// A value in the notation that every target reads: ISO 8601 for dates and times, hex for bytes.
#[must_use]
pub fn display(value: &Value<'_>) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Decimal(text) | Value::Text(text) | Value::Json(text) => text.to_string(),
        Value::Bytes(bytes) => bytes.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        }),
        Value::Date(days) => temporal::date(*days),
        Value::Time(us) => temporal::time(*us),
        Value::Timestamp(us) => temporal::timestamp(*us),
        Value::TimestampTz(us) => format!("{}+00:00", temporal::timestamp(*us)),
        Value::Uuid(bytes) => bytes.iter().enumerate().fold(String::new(), |mut text, (at, byte)| {
            let hyphen = if matches!(at, 4 | 6 | 8 | 10) { "-" } else { "" };
            let _ = write!(text, "{hyphen}{byte:02x}");
            text
        }),
        Value::List(_) | Value::Object(_) => crate::json::write(value, crate::json::JSON_BYTES_MAX).unwrap_or_default(),
    }
}

fn usize_of(max: u32) -> usize {
    usize::try_from(max).unwrap_or(usize::MAX)
}

pub(crate) fn clip(text: &str) -> String {
    match text.char_indices().nth(QUOTED_CHARS_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

pub(crate) fn quoted(value: &Value<'_>) -> String {
    match value {
        Value::Bytes(bytes) => {
            let head = bytes.get(..QUOTED_CHARS_MAX / 2).unwrap_or(bytes);
            format!("the value 0x{}", clip(&display(&Value::Bytes(Cow::Borrowed(head)))))
        }
        other => format!("`{}`", clip(&display(other))),
    }
}

fn not(value: &Value<'_>, what: &str) -> Reject {
    Reject::new(RejectCode::NotConvertible, format!("{} is not {what}", quoted(value)))
}

fn inexact(value: &Value<'_>, what: &str) -> Reject {
    Reject::new(RejectCode::Inexact, format!("{} cannot be {what} without losing digits", quoted(value)))
}

fn out_of_range(value: &Value<'_>, what: &str) -> Reject {
    Reject::new(RejectCode::OutOfRange, format!("{} is not {what}", quoted(value)))
}

#[cfg(test)]
mod tests;
