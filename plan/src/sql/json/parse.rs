//! Reads JSON and JSON5 as SQLite does (`json.c`: `jsonTranslateTextToBlob`). It remembers whether something was only
//! JSON5, and where an error is.

use std::borrow::Cow;

use super::DEPTH_MAX;
use super::node::{self, Escapes, Label, Node, Notation};
use crate::Reject;

/// A document, or where its error is.
pub(super) struct Parsed<'a> {
    /// The document; where there is none, the byte at which the error was seen.
    pub document: Result<Node<'a>, usize>,
    /// Whether something in it is JSON5 and not JSON.
    pub nonstandard: bool,
}

/// Reads a text as one document.
pub(super) fn parse(text: &str) -> Parsed<'_> {
    // For C the text ends at a NUL.
    let text = crate::sql::storage::until_nul(text);
    let mut parser = Parser { text, depth: 0, error_at: 0, nonstandard: false };
    let document = match parser.element(0) {
        Ok((node, end)) => {
            let end = end + parser.spaces(end);
            let more = parser.at(end) != 0;
            let end = end + parser.json5_space(end);
            if parser.at(end) == 0 {
                parser.nonstandard |= more;
                Ok(node)
            } else {
                // SQLite has no place for what follows a document.
                Err(parser.error_at)
            }
        }
        Err(_) => Err(parser.error_at),
    };
    Parsed { document, nonstandard: parser.nonstandard }
}

/// Why there is no element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    End,
    Error,
    ObjectEnd,
    ArrayEnd,
    Comma,
    Colon,
}

struct Parser<'a> {
    text: &'a str,
    depth: usize,
    error_at: usize,
    nonstandard: bool,
}

type Element<'a> = Result<(Node<'a>, usize), Stop>;

impl<'a> Parser<'a> {
    fn at(&self, at: usize) -> u8 {
        self.text.as_bytes().get(at).copied().unwrap_or(0)
    }

    fn from(&self, at: usize) -> &'a [u8] {
        self.text.as_bytes().get(at..).unwrap_or_default()
    }

    fn slice(&self, start: usize, end: usize) -> Cow<'a, str> {
        Cow::Borrowed(self.text.get(start..end).unwrap_or_default())
    }

    fn spaces(&self, at: usize) -> usize {
        self.from(at).iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count()
    }

    fn json5_space(&self, at: usize) -> usize {
        json5_space(self.from(at))
    }

    fn error<T>(&mut self, at: usize) -> Result<T, Stop> {
        self.error_at = at;
        Err(Stop::Error)
    }

    /// An error at `at`, unless one was met before.
    fn error_unless_met<T>(&mut self, stop: Stop, at: usize) -> Result<T, Stop> {
        if stop != Stop::Error {
            self.error_at = at;
        }
        Err(Stop::Error)
    }

    fn element(&mut self, start: usize) -> Element<'a> {
        let mut at = start + self.spaces(start);
        let stop = loop {
            match self.at(at) {
                b'{' => return self.nested(at, Self::object),
                b'[' => return self.nested(at, Self::array),
                b'"' | b'\'' => return self.string(at),
                b'+' | b'-' | b'.' | b'0'..=b'9' => return self.number(at),
                b'}' => break Stop::ObjectEnd,
                b']' => break Stop::ArrayEnd,
                b',' => break Stop::Comma,
                b':' => break Stop::Colon,
                0 if at >= self.text.len() => return Err(Stop::End),
                0x0b | 0x0c | b'/' | 0xc2 | 0xe1..=0xe3 | 0xef => {
                    let space = self.json5_space(at);
                    if space == 0 {
                        return self.error(at);
                    }
                    self.nonstandard = true;
                    at += space;
                    at += self.spaces(at);
                }
                _ => return self.word(at),
            }
        };
        self.error_at = at;
        Err(stop)
    }

    fn nested(&mut self, at: usize, read: fn(&mut Self, usize) -> Element<'a>) -> Element<'a> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return self.error(at);
        }
        let element = read(self, at);
        self.depth -= 1;
        element
    }

    /// `true`, `false`, `null`, and what JSON5 has for numbers that are none.
    fn word(&mut self, at: usize) -> Element<'a> {
        let rest = self.from(at);
        let ends = |len: usize| !rest.get(len).is_some_and(u8::is_ascii_alphanumeric);
        for (word, node) in [("true", Node::True), ("false", Node::False), ("null", Node::Null)] {
            if rest.starts_with(word.as_bytes()) && ends(word.len()) {
                return Ok((node, at + word.len()));
            }
        }
        for word in ["inf", "infinity", "nan", "qnan", "snan"] {
            if rest.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word.as_bytes())) && ends(word.len())
            {
                self.nonstandard = true;
                let node = if word.starts_with('i') {
                    Node::Number(Notation::Real, Cow::Borrowed("9e999"))
                } else {
                    Node::Null
                };
                return Ok((node, at + word.len()));
            }
        }
        self.error(at)
    }

    fn array(&mut self, start: usize) -> Element<'a> {
        let mut items = Vec::new();
        let mut at = start + 1;
        loop {
            match self.element(at) {
                Ok((item, next)) => {
                    items.push(item);
                    at = next;
                }
                Err(Stop::ArrayEnd) => {
                    self.nonstandard |= !items.is_empty();
                    return Ok((Node::Array(items), self.error_at + 1));
                }
                Err(stop) => return self.error_unless_met(stop, at),
            }
            match self.separator(at, b']', Stop::ArrayEnd)? {
                (true, next) => at = next,
                (false, end) => return Ok((Node::Array(items), end)),
            }
        }
    }

    /// A comma (true) or the end, and the byte behind it.
    fn separator(&mut self, at: usize, end_byte: u8, end: Stop) -> Result<(bool, usize), Stop> {
        let at = at + self.spaces(at);
        match self.at(at) {
            b',' => return Ok((true, at + 1)),
            byte if byte == end_byte => return Ok((false, at + 1)),
            _ => {}
        }
        match self.element(at) {
            Err(Stop::Comma) => Ok((true, self.error_at + 1)),
            Err(stop) if stop == end => Ok((false, self.error_at + 1)),
            _ => self.error(at),
        }
    }

    fn object(&mut self, start: usize) -> Element<'a> {
        let mut members = Vec::new();
        let mut at = start + 1;
        loop {
            let (label, next) = match self.label(at)? {
                Some(label) => label,
                None => {
                    self.nonstandard |= !members.is_empty();
                    return Ok((Node::Object(members), self.error_at + 1));
                }
            };
            at = self.colon(next)?;
            match self.element(at) {
                Ok((value, next)) => {
                    members.push((label, value));
                    at = next;
                }
                Err(stop) => return self.error_unless_met(stop, at),
            }
            match self.separator(at, b'}', Stop::ObjectEnd)? {
                (true, next) => at = next,
                (false, end) => return Ok((Node::Object(members), end)),
            }
        }
    }

    /// The name of a member, or `None` where the object ends.
    fn label(&mut self, at: usize) -> Result<Option<(Label<'a>, usize)>, Stop> {
        match self.element(at) {
            Ok((Node::Text(escapes, text), next)) => Ok(Some(((escapes, text), next))),
            Ok(_) => self.error(at),
            Err(Stop::ObjectEnd) => Ok(None),
            Err(stop) => {
                let at = at + self.json5_space(at);
                match self.bare_label(at) {
                    Some(label) => {
                        self.nonstandard = true;
                        Ok(Some(label))
                    }
                    None => self.error_unless_met(stop, at),
                }
            }
        }
    }

    /// A name without quotes, as JSON5 has it.
    fn bare_label(&self, start: usize) -> Option<(Label<'a>, usize)> {
        let first = |byte: u8| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'$') || byte >= 0x80;
        let escape = |at: usize| {
            self.at(at) == b'\\'
                && self.at(at + 1) == b'u'
                && (2..6).all(|digit| self.at(at + digit).is_ascii_hexdigit())
        };
        if !first(self.at(start)) && !escape(start) {
            return None;
        }
        let mut escaped = escape(start);
        let mut end = start + 1;
        loop {
            let byte = self.at(end);
            if (first(byte) || byte.is_ascii_digit()) && self.json5_space(end) == 0 {
                end += 1;
            } else if escape(end) {
                escaped = true;
                end += 1;
            } else {
                break;
            }
        }
        let escapes = if escaped { Escapes::Json } else { Escapes::None };
        Some(((escapes, self.slice(start, end)), end))
    }

    fn colon(&mut self, at: usize) -> Result<usize, Stop> {
        let at = at + self.spaces(at);
        if self.at(at) == b':' {
            return Ok(at + 1);
        }
        match self.element(at) {
            Err(Stop::Colon) => Ok(self.error_at + 1),
            Err(Stop::Error) => Err(Stop::Error),
            _ => self.error(at),
        }
    }

    fn string(&mut self, start: usize) -> Element<'a> {
        let quote = self.at(start);
        self.nonstandard |= quote == b'\'';
        let mut escapes = Escapes::None;
        let mut at = start + 1;
        loop {
            match self.at(at) {
                byte if byte == quote => break,
                b'\\' => {
                    at += 1;
                    match escape_kind(self.from(at)) {
                        Some((Escapes::Json, _)) if escapes == Escapes::None => escapes = Escapes::Json,
                        Some((Escapes::Json, _)) => {}
                        Some((_, extra)) => {
                            escapes = Escapes::Json5;
                            self.nonstandard = true;
                            at += extra;
                        }
                        None => return self.error(at),
                    }
                }
                0 if at >= self.text.len() => return self.error(at),
                0..=0x1f => {
                    escapes = Escapes::Json5;
                    self.nonstandard = true;
                }
                b'"' => escapes = Escapes::Json5,
                _ => {}
            }
            at += 1;
        }
        Ok((Node::Text(escapes, self.slice(start + 1, at)), at + 1))
    }

    fn number(&mut self, start: usize) -> Element<'a> {
        let sign = matches!(self.at(start), b'+' | b'-');
        self.nonstandard |= self.at(start) == b'+';
        let digits = start + usize::from(sign);
        let written = if self.at(start) == b'+' { digits } else { start };
        match (self.at(digits), self.at(digits + 1)) {
            (b'0', b'x' | b'X') if self.at(digits + 2).is_ascii_hexdigit() => {
                self.nonstandard = true;
                let count = self.from(digits + 2).iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
                let end = digits + 2 + count;
                return Ok((Node::Number(Notation::Hexadecimal, self.slice(written, end)), end));
            }
            (b'0', next) if next.is_ascii_digit() => return self.error(start + 1),
            (b'i' | b'I', _) if sign => return self.infinity(start),
            (b'.', _) if sign => {}
            (b'.', next) if next.is_ascii_digit() => {}
            (first, _) if first.is_ascii_digit() => {}
            _ => return self.error(start),
        }
        self.decimal(start, written)
    }

    /// `+Infinity` and `-Infinity`.
    fn infinity(&mut self, start: usize) -> Element<'a> {
        let rest = self.from(start + 1);
        let starts = |word: &[u8]| rest.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word));
        if !starts(b"inf") {
            return self.error(start);
        }
        self.nonstandard = true;
        let digits = if self.at(start) == b'-' { "-9e999" } else { "9e999" };
        let len = if starts(b"infinity") { 9 } else { 4 };
        Ok((Node::Number(Notation::Real, Cow::Borrowed(digits)), start + len))
    }

    fn decimal(&mut self, start: usize, written: usize) -> Element<'a> {
        let mut point = self.at(start) == b'.';
        let mut exponent = false;
        let mut json5 = point || (matches!(self.at(start), b'+' | b'-') && self.at(start + 1) == b'.');
        self.nonstandard |= json5;
        let mut at = start + 1;
        loop {
            match self.at(at) {
                byte if byte.is_ascii_digit() => {}
                b'.' if point => return self.error(at),
                b'.' => point = true,
                b'e' | b'E' => {
                    json5 |= self.ends_in_point(start, at)?;
                    if exponent {
                        return self.error(at);
                    }
                    (point, exponent) = (true, true);
                    if matches!(self.at(at + 1), b'+' | b'-') {
                        at += 1;
                    }
                    if !self.at(at + 1).is_ascii_digit() {
                        return self.error(at);
                    }
                }
                _ => break,
            }
            at += 1;
        }
        json5 |= self.ends_in_point(start, at)?;
        let notation = match (point, json5) {
            (false, _) => Notation::Integer,
            (true, false) => Notation::Real,
            (true, true) => Notation::Real5,
        };
        Ok((Node::Number(notation, self.slice(written, at)), at))
    }

    /// Whether the digits that end here end in a point, as only JSON5 allows. An error where they are none.
    fn ends_in_point(&mut self, start: usize, end: usize) -> Result<bool, Stop> {
        let last = self.at(end - 1);
        if last >= b'0' {
            return Ok(false);
        }
        if last == b'.' && end >= start + 2 && self.at(end - 2).is_ascii_digit() {
            self.nonstandard = true;
            return Ok(true);
        }
        self.error(end)
    }
}

/// Which kind of escape stands behind a backslash, and by how many bytes it is longer than one.
fn escape_kind(text: &[u8]) -> Option<(Escapes, usize)> {
    let at = |index: usize| text.get(index).copied().unwrap_or(0);
    let hex = |from: usize, to: usize| (from..to).all(|index| at(index).is_ascii_hexdigit());
    match at(0) {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some((Escapes::Json, 0)),
        b'u' if hex(1, 5) => Some((Escapes::Json, 0)),
        b'\'' | b'v' | b'\n' => Some((Escapes::Json5, 0)),
        b'0' if !at(1).is_ascii_digit() => Some((Escapes::Json5, 0)),
        b'x' if hex(1, 3) => Some((Escapes::Json5, 0)),
        0xe2 if at(1) == 0x80 && matches!(at(2), 0xa8 | 0xa9) => Some((Escapes::Json5, 0)),
        b'\r' => Some((Escapes::Json5, usize::from(at(1) == b'\n'))),
        _ => None,
    }
}

/// The bytes of JSON5's white space and comments that a text begins with: `json5Whitespace`.
fn json5_space(text: &[u8]) -> usize {
    let mut len = 0;
    loop {
        let rest = text.get(len..).unwrap_or_default();
        let space = match rest {
            [0x09..=0x0d | b' ', ..] => 1,
            [b'/', b'*', _, ..] => match rest.get(2..).and_then(|body| body.windows(2).position(|end| end == b"*/")) {
                Some(end) => end + 4,
                None => return len,
            },
            [b'/', b'/', ..] => line_comment(rest),
            [0xc2, 0xa0, ..] => 2,
            [0xe1, 0x9a, 0x80, ..]
            | [0xe2, 0x80, 0x80..=0x8a | 0xa8 | 0xa9 | 0xaf, ..]
            | [0xe2, 0x81, 0x9f, ..]
            | [0xe3, 0x80, 0x80, ..]
            | [0xef, 0xbb, 0xbf, ..] => 3,
            _ => return len,
        };
        len += space;
    }
}

fn line_comment(text: &[u8]) -> usize {
    let mut at = 2;
    while let Some(byte) = text.get(at) {
        match (byte, text.get(at + 1), text.get(at + 2)) {
            (b'\n' | b'\r', ..) => return at + 1,
            (0xe2, Some(0x80), Some(0xa8 | 0xa9)) => return at + 3,
            _ => at += 1,
        }
    }
    at
}

/// A text with JSON's and JSON5's escapes as what it says.
pub(super) fn unescape(text: &str) -> Result<String, Reject> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, _)) = rest.split_once('\\') {
        out.push_str(before);
        let escape = rest.get(before.len()..).unwrap_or_default();
        let (char, len) = unescape_one(escape).ok_or_else(super::malformed)?;
        out.extend(char);
        rest = escape.get(len..).unwrap_or_default();
    }
    out.push_str(rest);
    Ok(out)
}

/// The character that an escape stands for, if any, and the escape's length in bytes: `jsonUnescapeOneChar`.
pub(super) fn unescape_one(text: &str) -> Option<(Option<char>, usize)> {
    let mut chars = text.chars();
    chars.next()?;
    let simple = |char: char| Some((Some(char), 2));
    match chars.next()? {
        'u' => {
            let high = hex4(text.get(2..6)?)?;
            if high & 0xfc00 == 0xd800
                && let Some(low) = text.get(6..12).and_then(|low| hex4(low.strip_prefix("\\u")?))
                && low & 0xfc00 == 0xdc00
            {
                let code = ((high & 0x3ff) << 10) + (low & 0x3ff) + 0x1_0000;
                return Some((char::from_u32(code), 12));
            }
            // Half of a pair is no character; a text here is always UTF-8.
            Some((Some(char::from_u32(high)?), 6))
        }
        'b' => simple('\u{8}'),
        'f' => simple('\u{c}'),
        'n' => simple('\n'),
        'r' => simple('\r'),
        't' => simple('\t'),
        'v' => simple('\u{b}'),
        '0' => simple('\0'),
        char @ ('\'' | '"' | '/' | '\\') => simple(char),
        'x' => Some((char::from_u32(u32::from_str_radix(text.get(2..4)?, 16).ok()?), 4)),
        // An escaped end of line is nothing.
        '\r' if chars.as_str().starts_with('\n') => Some((None, 3)),
        '\r' | '\n' => Some((None, 2)),
        '\u{2028}' | '\u{2029}' => Some((None, 4)),
        _ => None,
    }
}

fn hex4(digits: &str) -> Option<u32> {
    let all = digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    all.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
}

/// A text with JSON5's escapes as a string of JSON.
pub(super) fn write_json5_text(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        let len = match char {
            '\\' => write_json5_escape(out, rest),
            '"' => {
                out.push_str("\\\"");
                1
            }
            char if char < ' ' => {
                node::write_escaped(out, char);
                1
            }
            char => {
                out.push(char);
                char.len_utf8()
            }
        };
        rest = rest.get(len..).unwrap_or_default();
    }
    out.push('"');
}

fn write_json5_escape(out: &mut String, text: &str) -> usize {
    let mut chars = text.chars();
    chars.next();
    match chars.next() {
        Some('\'') => out.push('\''),
        Some('v') => out.push_str("\\u000b"),
        Some('0') => out.push_str("\\u0000"),
        Some('x') => {
            out.push_str("\\u00");
            out.push_str(text.get(2..4).unwrap_or("00"));
            return 4;
        }
        Some('\r') if chars.as_str().starts_with('\n') => return 3,
        Some('\r' | '\n') => {}
        Some('\u{2028}' | '\u{2029}') => return 4,
        Some(other) => {
            out.push('\\');
            out.push(other);
            return 1 + other.len_utf8();
        }
        None => return 1,
    }
    2
}
