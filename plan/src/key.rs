//! Key templates: `orders:<customer_id:int>:<order_id>` and what they read from a key.
//!
//! A literal part matches itself. A field takes the shortest non-empty text up to the next literal part, the last
//! one the rest of the key. The compiler refuses two fields with nothing between, so matching never goes back.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{ColumnType, Reject, RejectCode, Type, Value, convert};

/// A template that names the parts of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyTemplate {
    /// Literal texts and fields in turn.
    pub parts: Vec<KeyPart>,
}

/// One part of a key template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyPart {
    /// Text that stands in every key.
    Literal(String),
    /// A field.
    Field {
        /// The name by which expressions see it.
        name: String,
        /// How its text is read.
        #[serde(rename = "type")]
        kind: Type,
    },
}

impl KeyTemplate {
    /// The fields of a key.
    ///
    /// # Errors
    /// [`RejectCode::KeyMismatch`] where the key does not have the shape of the template.
    pub fn read<'a>(&'a self, key: &'a [u8]) -> Result<Vec<(Cow<'a, str>, Value<'a>)>, Reject> {
        let mismatch = |why: String| {
            Reject::new(RejectCode::KeyMismatch, format!("the key `{}` {why}", String::from_utf8_lossy(key)))
        };
        let text = std::str::from_utf8(key).map_err(|_| mismatch("is not UTF-8".to_owned()))?;
        let mut rest = text;
        let mut fields = Vec::new();
        let mut parts = self.parts.iter().peekable();
        while let Some(part) = parts.next() {
            match part {
                KeyPart::Literal(literal) => {
                    rest = rest
                        .strip_prefix(literal.as_str())
                        .ok_or_else(|| mismatch(format!("does not have `{literal}` where the template does")))?;
                }
                KeyPart::Field { name, kind } => {
                    let len = match parts.peek() {
                        Some(KeyPart::Literal(literal)) => rest.find(literal.as_str()),
                        _ => Some(rest.len()),
                    };
                    let (value, after) = len
                        .filter(|len| *len > 0)
                        .and_then(|len| rest.split_at_checked(len))
                        .ok_or_else(|| mismatch(format!("has no `{name}`")))?;
                    let value = convert::convert(Value::Text(Cow::Borrowed(value)), &ColumnType::from(*kind))
                        .map_err(|reject| mismatch(format!("has a wrong `{name}`: {}", reject.reason)))?;
                    fields.push((Cow::Borrowed(name.as_str()), value));
                    rest = after;
                }
            }
        }
        if rest.is_empty() { Ok(fields) } else { Err(mismatch(format!("goes on with `{rest}` after the template"))) }
    }

    /// The names and types of the fields.
    pub fn fields(&self) -> impl Iterator<Item = (&str, Type)> {
        self.parts.iter().filter_map(|part| match part {
            KeyPart::Field { name, kind } => Some((name.as_str(), *kind)),
            KeyPart::Literal(_) => None,
        })
    }
}
