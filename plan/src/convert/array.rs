//! A list as PostgreSQL writes an array: `{1,NULL,"a\"b"}`. What the elements are is the column's to say.
//! <https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO>

use std::borrow::Cow;

use super::{clip, display, not};
use crate::{Reject, RejectCode, Value, json};

/// Converts a list, or a text that is one: a JSON array, or an array as PostgreSQL writes it.
pub(super) fn convert(value: Value<'_>) -> Result<Value<'_>, Reject> {
    let mut out = String::new();
    match &value {
        Value::List(items) => list(&mut out, items),
        Value::Text(text) | Value::Json(text) => match json::parse(text) {
            Ok(Value::List(items)) => list(&mut out, &items),
            _ if text.trim_start().starts_with('{') => return Ok(value),
            _ => return Err(not(&value, "a list")),
        },
        _ => return Err(not(&value, "a list")),
    }
    if out.contains('\0') {
        let reason = format!("`{}` contains a NUL character", clip(&out));
        return Err(Reject::new(RejectCode::InvalidText, reason));
    }
    Ok(Value::Text(Cow::Owned(out)))
}

fn list(out: &mut String, items: &[Value<'_>]) {
    out.push('{');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        match item {
            Value::Null => out.push_str("NULL"),
            Value::List(items) => list(out, items),
            other => quoted(out, &display(other)),
        }
    }
    out.push('}');
}

/// An element in quotes, so that it may hold anything.
fn quoted(out: &mut String, text: &str) {
    out.push('"');
    for char in text.chars() {
        if matches!(char, '"' | '\\') {
            out.push('\\');
        }
        out.push(char);
    }
    out.push('"');
}
