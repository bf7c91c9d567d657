//! A JSON document as SQLite holds it: numbers and texts as they were written, members in their order, names that may
//! repeat. How it becomes text and how its values become SQL values.

use std::borrow::Cow;

use super::{parse, scan};
use crate::sql::number::{self, IntegerText};
use crate::sql::storage::{self, text_value};
use crate::{Reject, Value};

/// A value of a document. The numbers are those of the element types of JSONB.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node<'a> {
    Null,
    True,
    False,
    /// A number as it was written.
    Number(Notation, Cow<'a, str>),
    /// A text as it was written, without its quotes.
    Text(Escapes, Cow<'a, str>),
    Array(Vec<Node<'a>>),
    Object(Vec<(Label<'a>, Node<'a>)>),
}

/// How a number is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notation {
    /// Decimal digits.
    Integer = 3,
    /// `0x` and hexadecimal digits.
    Hexadecimal = 4,
    /// With point or exponent, as JSON has it.
    Real = 5,
    /// With point or exponent, as JSON5 has it: `.5`, `5.`.
    Real5 = 6,
}

/// How a text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escapes {
    /// No escape, and nothing that needs one.
    None = 7,
    /// JSON's escapes.
    Json = 8,
    /// JSON5's escapes.
    Json5 = 9,
    /// The text itself, which JSON may have to escape.
    Raw = 10,
}

/// The name of a member.
pub(super) type Label<'a> = (Escapes, Cow<'a, str>);

impl<'a> Node<'a> {
    /// The name that `json_type()` gives.
    pub(super) const fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::True => "true",
            Self::False => "false",
            Self::Number(Notation::Integer | Notation::Hexadecimal, _) => "integer",
            Self::Number(..) => "real",
            Self::Text(..) => "text",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
        }
    }

    /// Appends the node as JSON: `jsonTranslateBlobToText`.
    pub(super) fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::True => out.push_str("true"),
            Self::False => out.push_str("false"),
            Self::Number(notation, digits) => write_number(out, *notation, digits),
            Self::Text(escapes, text) => write_text(out, *escapes, text),
            Self::Array(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (at, ((escapes, name), value)) in members.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    write_text(out, *escapes, name);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }

    /// Appends the node as JSON for people: `json_pretty()`.
    pub(super) fn write_pretty(&self, out: &mut String, indent: &str, depth: usize) {
        let line = |out: &mut String, depth: usize| {
            out.push('\n');
            for _ in 0..depth {
                out.push_str(indent);
            }
        };
        match self {
            Self::Array(items) if !items.is_empty() => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    line(out, depth + 1);
                    item.write_pretty(out, indent, depth + 1);
                }
                line(out, depth);
                out.push(']');
            }
            Self::Object(members) if !members.is_empty() => {
                out.push('{');
                for (at, ((escapes, name), value)) in members.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    line(out, depth + 1);
                    write_text(out, *escapes, name);
                    out.push_str(": ");
                    value.write_pretty(out, indent, depth + 1);
                }
                line(out, depth);
                out.push('}');
            }
            other => other.write(out),
        }
    }

    /// The node as JSON.
    pub(super) fn to_json(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    /// The node as an SQL value; `None` for arrays and objects, which have none: `jsonReturnFromBlob`.
    pub(super) fn to_sql<'v>(&self) -> Option<Result<Value<'v>, Reject>> {
        Some(match self {
            Self::Null => Ok(Value::Null),
            Self::True => Ok(Value::Int(1)),
            Self::False => Ok(Value::Int(0)),
            Self::Number(Notation::Integer, digits) => Ok(integer(digits)),
            Self::Number(Notation::Hexadecimal, digits) => hexadecimal(digits),
            Self::Number(_, digits) => real(digits),
            Self::Text(Escapes::None | Escapes::Raw, text) => Ok(text_value(&**text)),
            Self::Text(_, text) => parse::unescape(text).map(text_value),
            Self::Array(_) | Self::Object(_) => return None,
        })
    }

    /// The same node, owning all that it has.
    pub(super) fn into_owned<'o>(self) -> Node<'o> {
        match self {
            Self::Null => Node::Null,
            Self::True => Node::True,
            Self::False => Node::False,
            Self::Number(notation, digits) => Node::Number(notation, Cow::Owned(digits.into_owned())),
            Self::Text(escapes, text) => Node::Text(escapes, Cow::Owned(text.into_owned())),
            Self::Array(items) => Node::Array(items.into_iter().map(Node::into_owned).collect()),
            Self::Object(members) => Node::Object(
                members
                    .into_iter()
                    .map(|((escapes, name), value)| ((escapes, Cow::Owned(name.into_owned())), value.into_owned()))
                    .collect(),
            ),
        }
    }
}

fn integer<'v>(digits: &str) -> Value<'v> {
    match number::parse_integer(digits.as_bytes()) {
        IntegerText::Whole(value) => Value::Int(value),
        _ => Value::Float(number::parse_real(digits.as_bytes()).value),
    }
}

/// A hexadecimal integer; above 63 bits it is a real, for in JSON it cannot be negative without a minus.
fn hexadecimal<'v>(digits: &str) -> Result<Value<'v>, Reject> {
    let (negative, unsigned) = digits.strip_prefix('-').map_or((false, digits), |rest| (true, rest));
    let hex = unsigned.get(2..).unwrap_or_default();
    let Ok(value) = u64::from_str_radix(hex, 16) else {
        // More than 64 bits: SQLite reads the text as a real, which stops at the `x`.
        return Err(super::malformed());
    };
    Ok(match i64::try_from(value) {
        Ok(value) => Value::Int(if negative { -value } else { value }),
        Err(_) => {
            #[expect(clippy::cast_precision_loss, reason = "as SQLite does it")]
            let real = value as f64;
            Value::Float(if negative { -real } else { real })
        }
    })
}

fn real<'v>(digits: &str) -> Result<Value<'v>, Reject> {
    let read = number::parse_real(digits.as_bytes());
    if read.prefix && read.whole { Ok(storage::real_value(read.value)) } else { Err(super::malformed()) }
}

/// Numbers of JSON5 as JSON has them.
fn write_number(out: &mut String, notation: Notation, digits: &str) {
    match notation {
        Notation::Integer | Notation::Real => out.push_str(digits),
        Notation::Hexadecimal => {
            let unsigned = digits.strip_prefix('-').inspect(|_| out.push('-')).unwrap_or(digits);
            match u64::from_str_radix(unsigned.get(2..).unwrap_or_default(), 16) {
                Ok(value) => out.push_str(&value.to_string()),
                Err(_) => out.push_str("9.0e999"),
            }
        }
        Notation::Real5 => {
            let unsigned = digits.strip_prefix('-').inspect(|_| out.push('-')).unwrap_or(digits);
            if unsigned.starts_with('.') {
                out.push('0');
            }
            match unsigned.split_once('.') {
                Some((whole, rest)) if !rest.starts_with(|char: char| char.is_ascii_digit()) => {
                    out.push_str(whole);
                    out.push_str(".0");
                    out.push_str(rest);
                }
                _ => out.push_str(unsigned),
            }
        }
    }
}

fn write_text(out: &mut String, escapes: Escapes, text: &str) {
    match escapes {
        Escapes::None | Escapes::Json => {
            out.push('"');
            out.push_str(text);
            out.push('"');
        }
        Escapes::Raw => write_string(out, text),
        Escapes::Json5 => parse::write_json5_text(out, text),
    }
}

/// Appends a text as a JSON string.
pub(super) fn write_string(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    // Where nothing is special the text is written in one piece.
    while let Some((before, from)) = rest.split_at_checked(scan::plain_end(rest.as_bytes(), 0)) {
        out.push_str(before);
        let mut chars = from.chars();
        let Some(char) = chars.next() else { break };
        write_escaped(out, char);
        rest = chars.as_str();
    }
    out.push('"');
}

/// Appends a character that JSON must escape.
pub(super) fn write_escaped(out: &mut String, char: char) {
    match char {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\u{8}' => out.push_str("\\b"),
        '\t' => out.push_str("\\t"),
        '\n' => out.push_str("\\n"),
        '\u{c}' => out.push_str("\\f"),
        '\r' => out.push_str("\\r"),
        control if control < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(control))),
        other => out.push(other),
    }
}
