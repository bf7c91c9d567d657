//! JSON text into values and back. Texts are borrowed where they have no escapes; numbers beyond 64 bits are kept as
//! decimals, digit for digit.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;

use crate::value::Field;
use crate::{Reject, RejectCode, Type, Value, convert};

/// The most levels of a document.
pub const JSON_DEPTH_MAX: usize = 128;
/// The most bytes of a document that are read.
pub const JSON_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Objects with more fields than this are searched for doubled names by a table.
const FIELDS_SCANNED_MAX: usize = 16;

/// Parses one JSON document. Of doubled names the last counts, in the place of the first.
///
/// # Errors
/// [`RejectCode::MalformedText`] with the byte where it goes wrong; [`RejectCode::LimitExceeded`].
pub fn parse(text: &str) -> Result<Value<'_>, Reject> {
    if text.len() > JSON_BYTES_MAX {
        return Err(limit(format!("a JSON document is longer than {JSON_BYTES_MAX} bytes")));
    }
    let mut parser = Parser { text, at: 0 };
    let value = parser.value(0)?;
    parser.space();
    if parser.at == text.len() { Ok(value) } else { Err(parser.wrong("nothing more")) }
}

fn limit(reason: String) -> Reject {
    Reject::new(RejectCode::LimitExceeded, reason)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn wrong(&self, wanted: &str) -> Reject {
        let found =
            self.rest().chars().next().map_or("the end".to_owned(), |found| format!("`{}`", found.escape_debug()));
        let reason = format!("the text is not JSON: {wanted} is wanted at byte {}, not {found}", self.at);
        Reject::new(RejectCode::MalformedText, reason)
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Takes a byte if it comes next.
    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: usize) -> Result<Value<'a>, Reject> {
        if depth > JSON_DEPTH_MAX {
            return Err(limit(format!("a JSON document is nested deeper than {JSON_DEPTH_MAX} levels")));
        }
        self.space();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => self.string().map(Value::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            _ => Err(self.wrong("a value")),
        }
    }

    fn word(&mut self, word: &str, value: Value<'a>) -> Result<Value<'a>, Reject> {
        if !self.rest().starts_with(word) {
            return Err(self.wrong("a value"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn list(&mut self, depth: usize) -> Result<Value<'a>, Reject> {
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.take(b']') {
            return Ok(Value::List(items.into()));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.space();
            if self.take(b']') {
                return Ok(Value::List(items.into()));
            }
            if !self.take(b',') {
                return Err(self.wrong("`,` or `]`"));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value<'a>, Reject> {
        self.at += 1;
        let mut fields = Fields::default();
        self.space();
        if self.take(b'}') {
            return Ok(Value::Object(Vec::new().into()));
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(self.wrong("a name"));
            }
            let name = self.string()?;
            self.space();
            if !self.take(b':') {
                return Err(self.wrong("`:`"));
            }
            let value = self.value(depth + 1)?;
            fields.insert(name, value);
            self.space();
            if self.take(b'}') {
                return Ok(fields.into_object());
            }
            if !self.take(b',') {
                return Err(self.wrong("`,` or `}`"));
            }
        }
    }

    fn string(&mut self) -> Result<Cow<'a, str>, Reject> {
        self.at += 1;
        let plain = self.plain();
        if self.take(b'"') {
            return Ok(Cow::Borrowed(plain));
        }
        let mut text = plain.to_owned();
        loop {
            if self.take(b'"') {
                return Ok(Cow::Owned(text));
            }
            if !self.take(b'\\') {
                return Err(self.wrong("a character of a text"));
            }
            text.push(self.escape()?);
            text.push_str(self.plain());
        }
    }

    /// The characters up to a quote, an escape or what no text may hold.
    fn plain(&mut self) -> &'a str {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
            self.at += 1;
        }
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn escape(&mut self) -> Result<char, Reject> {
        let escaped = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                return self.unicode();
            }
            _ => return Err(self.wrong("an escape")),
        };
        self.at += 1;
        Ok(escaped)
    }

    /// The four digits behind `\u`, and the second half where they are the first of a pair. Half a pair alone is no
    /// character: it becomes U+FFFD.
    fn unicode(&mut self) -> Result<char, Reject> {
        let high = self.hex()?;
        if (0xD800..0xDC00).contains(&high) && self.rest().starts_with("\\u") {
            let back = self.at;
            self.at += 2;
            let low = self.hex()?;
            if (0xDC00..0xE000).contains(&low) {
                let code = 0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = back;
        }
        Ok(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex(&mut self) -> Result<u32, Reject> {
        let digits = self.text.get(self.at..self.at + 4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let code = code.ok_or_else(|| self.wrong("four hexadecimal digits"))?;
        self.at += 4;
        Ok(code)
    }

    fn number(&mut self) -> Result<Value<'a>, Reject> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        let mut is_whole = true;
        if self.take(b'.') {
            is_whole = false;
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            is_whole = false;
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        if is_whole && let Ok(number) = text.parse() {
            return Ok(Value::Int(number));
        }
        number(text)
    }

    fn digits(&mut self) -> Result<(), Reject> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(self.wrong("a digit")) }
    }
}

/// The most digits that every double keeps.
const FLOAT_DIGITS_SURE: usize = 15;

/// A number that is no 64-bit integer: a float where that loses nothing, else a decimal.
///
/// # Errors
/// [`Reject`] where it has more digits or a larger exponent than decimals may have.
pub fn number(text: &str) -> Result<Value<'_>, Reject> {
    let float: f64 = text.parse().unwrap_or(f64::INFINITY);
    let is_whole = !text.contains(['.', 'e', 'E']);
    if !is_whole && float.is_finite() && (float != 0.0 || !text.bytes().any(|byte| matches!(byte, b'1'..=b'9'))) {
        let digits = text.bytes().filter(u8::is_ascii_digit).count();
        if digits <= FLOAT_DIGITS_SURE {
            return Ok(Value::Float(float));
        }
        let as_decimal = convert::decimal::order(&Value::Decimal(Cow::Borrowed(text)), &Value::Float(float));
        if as_decimal == Some(std::cmp::Ordering::Equal) {
            return Ok(Value::Float(float));
        }
    }
    let decimal = convert::convert(Value::Text(Cow::Borrowed(text)), &Type::Decimal.into());
    decimal.map_err(|_| limit("a number has more digits, or a larger exponent, than can be kept".to_owned()))
}

/// Fields in their order, each name once.
#[derive(Default)]
pub(crate) struct Fields<'a> {
    list: Vec<Field<'a>>,
    /// Where each name stands, once there are too many to look through.
    places: HashMap<Cow<'a, str>, usize>,
}

impl<'a> Fields<'a> {
    pub(crate) fn into_object(self) -> Value<'a> {
        Value::Object(self.list.into())
    }

    /// Of a doubled name the last value counts, in the place of the first.
    pub(crate) fn insert(&mut self, name: Cow<'a, str>, value: Value<'a>) {
        let place = if self.list.len() <= FIELDS_SCANNED_MAX {
            self.list.iter().position(|(known, _)| *known == name)
        } else {
            if self.places.is_empty() {
                self.places = self.list.iter().enumerate().map(|(at, (name, _))| (name.clone(), at)).collect();
            }
            self.places.get(&name).copied()
        };
        if let Some((_, known)) = place.and_then(|at| self.list.get_mut(at)) {
            *known = value;
            return;
        }
        if !self.places.is_empty() {
            self.places.insert(name.clone(), self.list.len());
        }
        self.list.push((name, value));
    }
}

/// Writes a value as JSON, without spaces. What JSON has no type for becomes a string in its usual notation.
///
/// # Errors
/// [`RejectCode::LimitExceeded`] where the text gets longer than `bytes_max`.
pub fn write(value: &Value<'_>, bytes_max: usize) -> Result<String, Reject> {
    let mut out = String::new();
    append(&mut out, value, bytes_max)?;
    Ok(out)
}

fn append(out: &mut String, value: &Value<'_>, bytes_max: usize) -> Result<(), Reject> {
    if out.len() > bytes_max {
        return Err(limit(format!("a JSON document gets longer than {bytes_max} bytes")));
    }
    // Writing to a `String` cannot fail, so the results of `write!` below are not looked at.
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(number) => {
            let _ = write!(out, "{number}");
        }
        Value::Float(number) => float(out, *number),
        Value::Decimal(text) => out.push_str(text),
        Value::Json(text) => out.push_str(text),
        Value::Text(text) => string(out, text),
        Value::List(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                append(out, item, bytes_max)?;
            }
            out.push(']');
        }
        Value::Object(fields) => {
            out.push('{');
            for (at, (name, value)) in fields.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                string(out, name);
                out.push(':');
                append(out, value, bytes_max)?;
            }
            out.push('}');
        }
        other => string(out, &convert::display(other)),
    }
    Ok(())
}

/// The shortest text that reads back as the same float; JSON has no infinity.
fn float(out: &mut String, number: f64) {
    let _ = if number.is_finite() { write!(out, "{number:?}") } else { write!(out, "null") };
}

fn string(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c < ' ' || c == '"' || c == '\\') {
        let (plain, special) = rest.split_at_checked(at).unwrap_or((rest, ""));
        out.push_str(plain);
        let mut chars = special.chars();
        match chars.next() {
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some(other) => {
                let _ = write!(out, "\\u{:04x}", u32::from(other));
            }
            None => {}
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roundtrip(text: &str) -> String {
        parse(text).and_then(|value| write(&value, 1 << 20)).unwrap_or_else(|reject| reject.code.to_string())
    }

    #[test]
    fn documents_come_back_digit_for_digit() {
        for (text, expected) in [
            (" { \"a\" : [ 1 , -2.50, true, null ] } ", r#"{"a":[1,-2.5,true,null]}"#),
            ("1.0", "1.0"),
            ("0.1", "0.1"),
            ("-0.0", "-0.0"),
            ("1e3", "1000.0"),
            ("1e300", "1e300"),
            ("9223372036854775807", "9223372036854775807"),
            ("9223372036854775808", "9223372036854775808"),
            ("123456789012345678.25", "123456789012345678.25"),
            ("0.1000000000000000055511151231257827", "0.1000000000000000055511151231257827"),
            ("1e400", &format!("1{}", "0".repeat(400))),
            ("1e9999", "R0514"),
            (r#""a\u00e9\n\ud83d\ude00\/""#, "\"aé\\n😀/\""),
            (r#""\ud800x\u0000""#, "\"\u{fffd}x\\u0000\""),
            (r#"{"a":1,"b":2,"a":3}"#, r#"{"a":3,"b":2}"#),
            ("[]", "[]"),
            ("{}", "{}"),
            ("", "R0515"),
            ("[1,]", "R0515"),
            ("{\"a\"}", "R0515"),
            ("01", "R0515"),
            ("1.", "R0515"),
            ("\"\n\"", "R0515"),
            ("\"\\x\"", "R0515"),
            ("\"\\u12\"", "R0515"),
            ("nul", "R0515"),
            ("1 2", "R0515"),
        ] {
            assert_eq!(roundtrip(text), expected, "{text}");
        }
        assert_eq!(roundtrip(&"[".repeat(100_000)), "R0514");
        let many: Vec<String> = (0..100).map(|at| format!("\"{}\":{at}", at % 50)).collect();
        let all: Vec<String> = (0..50).map(|at| format!("\"{at}\":{}", at + 50)).collect();
        assert_eq!(roundtrip(&format!("{{{}}}", many.join(","))), format!("{{{}}}", all.join(",")));
    }

    #[test]
    fn output_is_bounded() {
        let list = Value::List(vec![Value::Text("x".repeat(100).into()); 100].into());
        assert_eq!(write(&list, 1_000).unwrap_err().code, RejectCode::LimitExceeded);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_as_serde_reads_it(text in "[\\[\\]{}:,\"\\\\u0-9a-e.+ -]{0,24}|\\PC{0,12}") {
            let serde: Result<serde_json::Value, _> = serde_json::from_str(&text);
            // serde refuses half a surrogate pair, and numbers that no double holds.
            if serde.is_ok() {
                proptest::prop_assert!(parse(&text).is_ok());
            } else if !text.contains("\\u") && !text.contains('e') && !text.contains('E') {
                proptest::prop_assert!(parse(&text).is_err());
            }
        }
    }
}
