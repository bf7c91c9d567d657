//! JSONB, SQLite's binary form of JSON (<https://sqlite.org/jsonb.html>): an element is a byte of type and size, more
//! bytes of size where it is long, and its payload.

use std::borrow::Cow;

use super::DEPTH_MAX;
use super::node::{Escapes, Node, Notation};
use super::parse::unescape_one;

/// Appends a node as JSONB.
pub(super) fn write(out: &mut Vec<u8>, node: &Node<'_>) {
    match node {
        Node::Null => out.push(0),
        Node::True => out.push(1),
        Node::False => out.push(2),
        Node::Number(notation, digits) => element(out, *notation as u8, digits.as_bytes()),
        Node::Text(escapes, text) => element(out, *escapes as u8, text.as_bytes()),
        Node::Array(items) => {
            let mut payload = Vec::new();
            for item in items {
                write(&mut payload, item);
            }
            element(out, 11, &payload);
        }
        Node::Object(members) => {
            let mut payload = Vec::new();
            for ((escapes, name), value) in members {
                element(&mut payload, *escapes as u8, name.as_bytes());
                write(&mut payload, value);
            }
            element(out, 12, &payload);
        }
    }
}

fn element(out: &mut Vec<u8>, kind: u8, payload: &[u8]) {
    let len = payload.len();
    match (u8::try_from(len), u16::try_from(len)) {
        (Ok(len), _) if len <= 11 => out.push(kind | (len << 4)),
        (Ok(len), _) => out.extend([kind | 0xc0, len]),
        (_, Ok(len)) => {
            out.push(kind | 0xd0);
            out.extend(len.to_be_bytes());
        }
        _ => {
            out.push(kind | 0xe0);
            out.extend(u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
}

/// The type, the header's length and the payload's length of the element at `at`: `jsonbPayloadSize`.
fn header(bytes: &[u8], at: usize) -> Option<(u8, usize, usize)> {
    let rest = bytes.get(at..)?;
    let first = rest.first()?;
    let wide = |len: usize| {
        let size = rest.get(1..=len)?;
        size.iter().try_fold(0_usize, |size, byte| size.checked_mul(256)?.checked_add(usize::from(*byte)))
    };
    let (head, len) = match first >> 4 {
        small @ 0..=11 => (1, usize::from(small)),
        12 => (2, wide(1)?),
        13 => (3, wide(2)?),
        14 => (5, wide(4)?),
        _ => (9, wide(8).filter(|len| u32::try_from(*len).is_ok())?),
    };
    (head + len <= rest.len()).then_some((first & 0xf, head, len))
}

/// Whether a blob looks like JSONB: `jsonArgIsJsonb`. Short blobs that could be the text of JSON are looked at closely.
pub(super) fn is_jsonb(bytes: &[u8]) -> bool {
    let Some((kind, head, len)) = header(bytes, 0) else { return false };
    let first = bytes.first().copied().unwrap_or(0);
    kind <= 12
        && head + len == bytes.len()
        && (kind > 2 || len == 0)
        && (len > 7 || !matches!(first, 0x7b | 0x5b | b'0'..=b'9') || error_at(bytes).is_none())
}

/// Where a blob stops being JSONB, counted from 1 in bytes: `jsonbValidityCheck`.
pub(super) fn error_at(bytes: &[u8]) -> Option<usize> {
    check(bytes, 0, 1).err()
}

fn check(bytes: &[u8], at: usize, depth: usize) -> Result<usize, usize> {
    let (kind, head, len) = header(bytes, at).ok_or(at + 1)?;
    if depth > DEPTH_MAX {
        return Err(at + 1);
    }
    let (start, end) = (at + head, at + head + len);
    let payload = bytes.get(start..end).unwrap_or_default();
    let inner = |offset: Option<usize>| offset.map_or(Ok(()), |offset| Err(start + offset + 1));
    match kind {
        0..=2 if head + len == 1 => {}
        3 => check_integer(payload).map_err(|offset| offset.map_or(at + 1, |offset| start + offset + 1))?,
        4 => check_hexadecimal(payload).map_err(|offset| offset.map_or(at + 1, |offset| start + offset + 1))?,
        5 | 6 => check_real(payload, kind == 5).map_err(|offset| offset.map_or(at + 1, |offset| start + offset + 1))?,
        7 => inner(payload.iter().position(|byte| *byte < b' ' || matches!(byte, b'"' | b'\\')))?,
        8 | 9 => inner(check_escapes(payload, kind == 9))?,
        10 => {}
        11 | 12 => check_members(bytes, (start, end), kind == 12, depth)?,
        _ => return Err(at + 1),
    }
    Ok(end)
}

fn check_members(bytes: &[u8], (start, end): (usize, usize), object: bool, depth: usize) -> Result<(), usize> {
    let (mut at, mut count) = (start, 0_usize);
    while at < end {
        let (kind, head, len) = header(bytes, at).ok_or(at + 1)?;
        if at + head + len > end || (object && count.is_multiple_of(2) && !(7..=10).contains(&kind)) {
            return Err(at + 1);
        }
        at = check(bytes, at, depth + 1)?;
        count += 1;
    }
    if object && !count.is_multiple_of(2) { Err(at + 1) } else { Ok(()) }
}

/// An error within the payload, or of the element as a whole.
type Check = Result<(), Option<usize>>;

fn check_integer(payload: &[u8]) -> Check {
    let digits = payload.strip_prefix(b"-").unwrap_or(payload);
    if digits.is_empty() {
        return Err(None);
    }
    match digits.iter().position(|byte| !byte.is_ascii_digit()) {
        Some(at) => Err(Some(at + payload.len() - digits.len())),
        None => Ok(()),
    }
}

fn check_hexadecimal(payload: &[u8]) -> Check {
    let unsigned = payload.strip_prefix(b"-").unwrap_or(payload);
    let sign = payload.len() - unsigned.len();
    match unsigned {
        [b'0', b'x' | b'X', _, ..] => {}
        [b'0', _, _, ..] => return Err(Some(sign + 1)),
        _ => return Err(None),
    }
    let wrong = unsigned.iter().skip(2).position(|byte| !byte.is_ascii_hexdigit());
    wrong.map_or(Ok(()), |at| Err(Some(sign + 2 + at)))
}

fn check_real(payload: &[u8], strict: bool) -> Check {
    let unsigned = payload.strip_prefix(b"-").unwrap_or(payload);
    let sign = payload.len() - unsigned.len();
    let at = |index: usize| unsigned.get(index).copied().unwrap_or(0);
    if unsigned.len() < 2 {
        return Err(None);
    }
    let (mut index, mut point, mut exponent) = (0, false, false);
    match at(0) {
        b'.' if strict || !at(1).is_ascii_digit() => return Err(Some(sign)),
        b'.' => (index, point) = (2, true),
        b'0' if strict => {
            if unsigned.len() < 3 || !matches!(at(1), b'.' | b'e' | b'E') {
                return Err(Some(sign));
            }
            index = 1;
        }
        _ => {}
    }
    while index < unsigned.len() {
        let last = index + 1 == unsigned.len();
        match at(index) {
            byte if byte.is_ascii_digit() => {}
            b'.' if point || exponent || (strict && (last || !at(index + 1).is_ascii_digit())) => {
                return Err(Some(sign + index));
            }
            b'.' => point = true,
            b'e' | b'E' if exponent || last => return Err(Some(sign + index)),
            b'e' | b'E' => {
                if matches!(at(index + 1), b'+' | b'-') {
                    index += 1;
                    if index + 1 == unsigned.len() {
                        return Err(Some(sign + index));
                    }
                }
                exponent = true;
            }
            _ => return Err(Some(sign + index)),
        }
        index += 1;
    }
    if point || exponent { Ok(()) } else { Err(None) }
}

/// Where a text has an escape that is none, or a character that needs one.
fn check_escapes(payload: &[u8], json5: bool) -> Option<usize> {
    let mut at = 0;
    while let Some(byte) = payload.get(at) {
        let rest = payload.get(at..).unwrap_or_default();
        match byte {
            b'"' | 0..=0x1f if !json5 => return Some(at),
            b'\\' => match rest.get(1) {
                Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => at += 1,
                Some(b'u') if rest.get(2..6).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) => at += 1,
                Some(b'u') | None => return Some(at),
                Some(_) if !json5 => return Some(at),
                Some(_) => match std::str::from_utf8(rest).ok().and_then(unescape_one) {
                    Some((_, len)) => at += len - 1,
                    None => return Some(at),
                },
            },
            _ => {}
        }
        at += 1;
    }
    None
}

fn is_hexadecimal(digits: &str) -> bool {
    let unsigned = digits.strip_prefix('-').unwrap_or(digits);
    unsigned.get(2..).is_some_and(|hex| !hex.is_empty() && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Reads JSONB; `None` where it is malformed.
pub(super) fn read(bytes: &[u8]) -> Option<Node<'_>> {
    let (node, end) = read_element(bytes, 0, 0)?;
    (end == bytes.len()).then_some(node)
}

fn read_element(bytes: &[u8], at: usize, depth: usize) -> Option<(Node<'_>, usize)> {
    let (kind, head, len) = header(bytes, at)?;
    if depth > DEPTH_MAX {
        return None;
    }
    let (start, end) = (at + head, at + head + len);
    let text = || std::str::from_utf8(bytes.get(start..end)?).ok().map(Cow::Borrowed);
    let node = match kind {
        0 => Node::Null,
        1 => Node::True,
        2 => Node::False,
        3 => Node::Number(Notation::Integer, text().filter(|digits| !digits.is_empty())?),
        4 => Node::Number(Notation::Hexadecimal, text().filter(|digits| is_hexadecimal(digits))?),
        5 => Node::Number(Notation::Real, text().filter(|digits| !digits.is_empty())?),
        6 => Node::Number(Notation::Real5, text().filter(|digits| !digits.is_empty())?),
        7 => Node::Text(Escapes::None, text()?),
        8 => Node::Text(Escapes::Json, text()?),
        9 => Node::Text(Escapes::Json5, text()?),
        10 => Node::Text(Escapes::Raw, text()?),
        11 => {
            let mut items = Vec::new();
            let mut at = start;
            while at < end {
                let (item, next) = read_element(bytes, at, depth + 1)?;
                items.push(item);
                at = next;
            }
            (at == end).then_some(Node::Array(items))?
        }
        12 => {
            let mut members = Vec::new();
            let mut at = start;
            while at < end {
                let (label, next) = read_element(bytes, at, depth + 1)?;
                let Node::Text(escapes, name) = label else { return None };
                if next >= end {
                    return None;
                }
                let (value, next) = read_element(bytes, next, depth + 1)?;
                members.push(((escapes, name), value));
                at = next;
            }
            (at == end).then_some(Node::Object(members))?
        }
        _ => return None,
    };
    Some((node, end))
}
