//! The functions on text and bytes (<https://www.sqlite.org/lang_corefunc.html>, `func.c`). Case is that of the 26
//! letters of ASCII. Where SQLite's C code stops at a NUL character, so does this.

use std::borrow::Cow;

use super::piece::{self, Piece};
use super::printf;
use super::storage::{self, TEXT_BYTES_MAX, text_value, until_nul};
use crate::evaluate::{Evaluator, Held};
use crate::text::replace_into;
use crate::{Expr, Reject, RejectCode, Value};

/// `length(value)`: characters of a text up to a NUL, bytes of a blob, characters of a number as it is written.
pub(super) fn length<'a>(value: &Value<'_>) -> Result<Value<'a>, Reject> {
    Ok(match value {
        Value::Null => Value::Null,
        Value::Bytes(bytes) => count(bytes.len()),
        Value::Text(text) => count(characters(until_nul(text))),
        other => storage::text(other)?.map_or(Value::Null, |text| count(characters(until_nul(&text)))),
    })
}

/// `octet_length(value)`: bytes.
pub(super) fn octet_length<'a>(value: &Value<'_>) -> Result<Value<'a>, Reject> {
    Ok(storage::bytes(value)?.map_or(Value::Null, |bytes| count(bytes.len())))
}

/// How many characters a text has.
fn characters(text: &str) -> usize {
    // Every byte but those that go on with a character begins one; so short texts need no call.
    text.bytes().filter(|byte| byte & 0xc0 != 0x80).count()
}

fn count<'a>(count: usize) -> Value<'a> {
    Value::Int(i64::try_from(count).unwrap_or(i64::MAX))
}

/// `upper(value)`. A text that has no small letters stays what it is.
pub(super) fn upper<'a>(
    evaluator: &Evaluator<'_, 'a>,
    args: &'a [Expr],
    out: &mut String,
) -> Result<Piece<'a>, Reject> {
    changed(evaluator, args, out, (u8::is_ascii_lowercase, str::make_ascii_uppercase))
}

/// `lower(value)`. A text that has no capital letters stays what it is.
pub(super) fn lower<'a>(
    evaluator: &Evaluator<'_, 'a>,
    args: &'a [Expr],
    out: &mut String,
) -> Result<Piece<'a>, Reject> {
    changed(evaluator, args, out, (u8::is_ascii_uppercase, str::make_ascii_lowercase))
}

/// A text after a change of its letters: which of them change, and how.
#[inline]
fn changed<'a>(
    evaluator: &Evaluator<'_, 'a>,
    args: &'a [Expr],
    out: &mut String,
    (changes, change): (impl Fn(&u8) -> bool, impl Fn(&mut str)),
) -> Result<Piece<'a>, Reject> {
    let [subject] = args else { return Ok(Piece::Null) };
    let start = out.len();
    match piece::text(evaluator, subject, out)? {
        Piece::Lasting(text) if text.as_bytes().iter().any(&changes) => piece::push(out, text),
        Piece::Made => {}
        piece => return Ok(piece),
    }
    if let Some(made) = out.get_mut(start..) {
        change(made);
    }
    Ok(Piece::Made)
}

/// `substr(value, start, length)`: characters of a text, bytes of a blob. A negative start counts from the end, a
/// negative length takes what stands before the start.
pub(super) fn substr<'a>(
    evaluator: &Evaluator<'_, 'a>,
    args: &'a [Expr],
    out: &mut String,
) -> Result<Piece<'a>, Reject> {
    let [subject, start, length @ ..] = args else { return Ok(Piece::Null) };
    let begin = out.len();
    let subject = piece::any(evaluator, subject, out)?;
    match (evaluator.plain(start), length.first().map(|length| evaluator.plain(length))) {
        (Some(start), None) => substr_of(subject, out, begin, (start.get(), None)),
        (Some(start), Some(Some(length))) => substr_of(subject, out, begin, (start.get(), Some(length.get()))),
        _ => {
            let start = evaluator.look(start)?;
            let length = length.first().map(|length| evaluator.look(length)).transpose()?;
            substr_of(subject, out, begin, (start.get(), length.as_ref().map(Held::get)))
        }
    }
}

fn substr_of<'a>(
    subject: Piece<'a>,
    out: &mut String,
    begin: usize,
    (start, length): (&Value<'_>, Option<&Value<'_>>),
) -> Result<Piece<'a>, Reject> {
    if matches!(subject, Piece::Null) || start.is_null() || length.is_some_and(Value::is_null) {
        out.truncate(begin);
        return Ok(Piece::Null);
    }
    let start = storage::integer(start)?;
    let length = length.map_or(Ok(i64::MAX), storage::integer)?;
    match subject.seen(out, begin) {
        Some(text) => {
            let seen = until_nul(text);
            let (skip, take) = window(start, length, || characters(seen));
            let from = char_at(seen, skip);
            let to = from + char_at(seen.get(from..).unwrap_or_default(), take);
            Ok(subject.part(out, begin, (from, to)))
        }
        None => Ok(match subject {
            Piece::Bytes(bytes) => part_of_bytes(&bytes, start, length),
            other => other,
        }),
    }
}

fn part_of_bytes<'a>(bytes: &[u8], start: i64, length: i64) -> Piece<'a> {
    // For SQLite a blob without bytes is no blob at all here.
    if bytes.is_empty() {
        return Piece::Null;
    }
    let (skip, take) = window(start, length, || bytes.len());
    let rest = bytes.get(skip..).unwrap_or_default();
    Piece::Bytes(Cow::Owned(rest.get(..take).unwrap_or(rest).to_vec()))
}

/// Where the character after the first `skip` begins; behind the text where there are fewer.
fn char_at(text: &str, skip: usize) -> usize {
    match text.as_bytes().get(..skip) {
        // No text has more characters than bytes.
        None => text.len(),
        Some(skipped) if skipped.is_ascii() => skip,
        _ => text.char_indices().nth(skip).map_or(text.len(), |(at, _)| at),
    }
}

/// How many to skip and how many to take.
fn window(mut start: i64, mut length: i64, all: impl FnOnce() -> usize) -> (usize, usize) {
    if start < 0 {
        start += i64::try_from(all()).unwrap_or(i64::MAX);
        if start < 0 {
            length = if length < 0 { 0 } else { length + start };
            start = 0;
        }
    } else if start > 0 {
        start -= 1;
    } else if length > 0 {
        length -= 1;
    }
    if length < 0 {
        length = if length < -start { start } else { -length };
        start -= length;
    }
    (usize::try_from(start).unwrap_or(0), usize::try_from(length).unwrap_or(usize::MAX))
}

/// `instr(haystack, needle)`: where the needle first stands, counted from 1 in characters, or in bytes of two blobs.
pub(super) fn instr<'a>(haystack: &Value<'_>, needle: &Value<'_>) -> Result<Value<'a>, Reject> {
    if haystack.is_null() || needle.is_null() {
        return Ok(Value::Null);
    }
    if let (Value::Text(haystack), Value::Text(needle)) = (haystack, needle) {
        return Ok(count(place(haystack, needle)));
    }
    if let (Value::Bytes(haystack), Value::Bytes(needle)) = (haystack, needle) {
        let found = if needle.is_empty() {
            Some(0)
        } else {
            haystack.windows(needle.len()).position(|window| window == &**needle)
        };
        return Ok(count(found.map_or(0, |at| at + 1)));
    }
    if storage::bytes(needle)?.is_some_and(|needle| needle.is_empty()) {
        return Ok(Value::Int(1));
    }
    let (Some(haystack), Some(needle)) = (storage::text(haystack)?, storage::text(needle)?) else {
        return Ok(Value::Null);
    };
    Ok(count(place(&haystack, &needle)))
}

/// Where a text first stands in another, counted from 1 in characters; 0 where it does not.
fn place(haystack: &str, needle: &str) -> usize {
    let found = match needle.as_bytes() {
        [] => return 1,
        // The commonest needle is one character, which is found at once.
        [byte] => memchr::memchr(*byte, haystack.as_bytes()),
        needle => memchr::memmem::find(haystack.as_bytes(), needle),
    };
    found.and_then(|at| haystack.get(..at)).map_or(0, |before| characters(before) + 1)
}

/// `replace(text, old, new)`: every `old`, byte by byte. A text without one stays what it is.
pub(super) fn replace<'a>(
    evaluator: &Evaluator<'_, 'a>,
    args: &'a [Expr],
    out: &mut String,
) -> Result<Piece<'a>, Reject> {
    let [subject, old, new] = args else { return Ok(Piece::Null) };
    let start = out.len();
    let subject = piece::any(evaluator, subject, out)?;
    match (evaluator.plain(old), evaluator.plain(new)) {
        (Some(old), Some(new)) => replace_in(subject.text(out)?, out, start, (old.get(), new.get())),
        _ => {
            let (old, new) = (evaluator.look(old)?, evaluator.look(new)?);
            replace_in(subject.text(out)?, out, start, (old.get(), new.get()))
        }
    }
}

fn replace_in<'a>(
    subject: Piece<'a>,
    out: &mut String,
    start: usize,
    (old, new): (&Value<'_>, &Value<'_>),
) -> Result<Piece<'a>, Reject> {
    let Some(text) = subject.seen(out, start) else { return Ok(subject) };
    let Some(old) = storage::text(old)? else {
        out.truncate(start);
        return Ok(Piece::Null);
    };
    if old.is_empty() || old.starts_with('\0') {
        return Ok(subject);
    }
    let Some(new) = storage::text(new)? else {
        out.truncate(start);
        return Ok(Piece::Null);
    };
    if new.len() > old.len() {
        let added = text.matches(&*old).count().saturating_mul(new.len() - old.len());
        if text.len().saturating_add(added) > TEXT_BYTES_MAX {
            return Err(storage::too_long());
        }
    }
    match subject {
        Piece::Lasting(text) => {
            Ok(if replace_into(out, text, &old, &new) { Piece::Made } else { Piece::Lasting(text) })
        }
        other => {
            if text.contains(&*old) {
                let text = out.split_off(start);
                replace_into(out, &text, &old, &new);
            }
            Ok(other)
        }
    }
}

/// Which ends of a text are trimmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Both,
    Left,
    Right,
}

/// `trim(text, characters)` and its like: spaces where no characters are given.
pub(super) fn trim<'a>(
    side: Side,
    evaluator: &Evaluator<'_, 'a>,
    args: &'a [Expr],
    out: &mut String,
) -> Result<Piece<'a>, Reject> {
    let [subject, set @ ..] = args else { return Ok(Piece::Null) };
    let start = out.len();
    let subject = piece::any(evaluator, subject, out)?;
    match set {
        [] => Ok(trimmed(side, subject.text(out)?, out, start, " ")),
        [set, ..] => match evaluator.plain(set) {
            Some(set) => trimmed_by(side, subject.text(out)?, out, start, set.get()),
            None => {
                let set = evaluator.look(set)?;
                trimmed_by(side, subject.text(out)?, out, start, set.get())
            }
        },
    }
}

fn trimmed_by<'a>(
    side: Side,
    subject: Piece<'a>,
    out: &mut String,
    start: usize,
    set: &Value<'_>,
) -> Result<Piece<'a>, Reject> {
    if matches!(subject, Piece::Null) {
        return Ok(subject);
    }
    let Some(set) = storage::text(set)? else {
        out.truncate(start);
        return Ok(Piece::Null);
    };
    Ok(trimmed(side, subject, out, start, &set))
}

fn trimmed<'a>(side: Side, subject: Piece<'a>, out: &mut String, start: usize, set: &str) -> Piece<'a> {
    let Some(text) = subject.seen(out, start) else { return subject };
    let set = until_nul(set);
    let ends = match set.as_bytes() {
        [byte] if byte.is_ascii() => ascii_ends(side, text, |at| at == *byte),
        bytes if bytes.is_ascii() => ascii_ends(side, text, |at| bytes.contains(&at)),
        _ => ends(side, text, |char| set.contains(char)),
    };
    subject.part(out, start, ends)
}

/// The same as [`ends`] for characters of ASCII, which are bytes.
#[inline]
fn ascii_ends(side: Side, text: &str, belongs: impl Fn(u8) -> bool) -> (usize, usize) {
    let bytes = text.as_bytes();
    let stays = |byte: &u8| !belongs(*byte);
    let from = if side == Side::Right { 0 } else { bytes.iter().position(stays).unwrap_or(bytes.len()) };
    let rest = bytes.get(from..).unwrap_or_default();
    let kept = if side == Side::Left { rest.len() } else { rest.iter().rposition(stays).map_or(0, |last| last + 1) };
    (from, from + kept)
}

/// Where what is left of a text starts and ends.
fn ends(side: Side, text: &str, belongs: impl Fn(char) -> bool) -> (usize, usize) {
    let from_start = if side == Side::Right { text } else { text.trim_start_matches(&belongs) };
    let start = text.len() - from_start.len();
    let left = if side == Side::Left { from_start } else { from_start.trim_end_matches(&belongs) };
    (start, start + left.len())
}

/// `hex(value)`: the bytes in hexadecimal capitals; of NULL the empty text.
pub(super) fn hex<'a>(value: &Value<'_>) -> Result<Value<'a>, Reject> {
    let bytes = storage::bytes(value)?.unwrap_or_default();
    if bytes.len() > TEXT_BYTES_MAX / 2 {
        return Err(storage::too_long());
    }
    let mut out = String::with_capacity(bytes.len() * 2);
    push_hex(&mut out, &bytes);
    Ok(text_value(out))
}

fn push_hex(out: &mut String, bytes: &[u8]) {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0').to_ascii_uppercase();
    for byte in bytes {
        out.push(digit(byte >> 4));
        out.push(digit(byte & 0xf));
    }
}

/// `unhex(text, ignored)`: the bytes that pairs of hexadecimal digits spell; NULL where the text is anything else. The
/// characters of `ignored` may stand between pairs.
pub(super) fn unhex<'a>(text: &Value<'_>, ignored: Option<&Value<'_>>) -> Result<Value<'a>, Reject> {
    let Some(text) = storage::text(text)? else { return Ok(Value::Null) };
    let ignored = match ignored {
        None => Cow::Borrowed(""),
        Some(ignored) => match storage::text(ignored)? {
            Some(ignored) => ignored,
            None => return Ok(Value::Null),
        },
    };
    let mut out = Vec::with_capacity(text.len() / 2);
    let mut chars = until_nul(&text).chars();
    while let Some(char) = chars.next() {
        match char.to_digit(16) {
            Some(high) => match chars.next().and_then(|char| char.to_digit(16)) {
                Some(low) => out.push(u8::try_from(high * 16 + low).unwrap_or(0)),
                None => return Ok(Value::Null),
            },
            None if ignored.contains(char) => {}
            None => return Ok(Value::Null),
        }
    }
    Ok(Value::Bytes(Cow::Owned(out)))
}

/// `quote(value)`: the value as an SQL literal; with `escape`, control characters are written by `unistr()`.
pub(super) fn quote<'a>(value: &Value<'_>, escape: bool) -> Result<Value<'a>, Reject> {
    Ok(match storage::stored(value)? {
        Value::Null => text_value("NULL"),
        Value::Int(value) => text_value(value.to_string()),
        Value::Float(value) => text_value(printf::real_literal(value)),
        Value::Bytes(bytes) => {
            if bytes.len() > TEXT_BYTES_MAX / 2 {
                return Err(storage::too_long());
            }
            let mut out = String::with_capacity(bytes.len() * 2 + 3);
            out.push_str("X'");
            push_hex(&mut out, &bytes);
            out.push('\'');
            text_value(out)
        }
        other => {
            let text = storage::text(&other)?.unwrap_or_default();
            text_value(storage::utf8(printf::quoted(until_nul(&text), escape))?)
        }
    })
}

/// `unistr(text)`: `\XXXX`, `\uXXXX`, `\+XXXXXX` and `\UXXXXXXXX` become the characters that they name.
pub(super) fn unistr<'a>(value: &Value<'_>) -> Result<Value<'a>, Reject> {
    let Some(text) = storage::text(value)? else { return Ok(Value::Null) };
    let mut out = String::with_capacity(text.len());
    let mut rest = &*text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        rest = if let Some(after) = after.strip_prefix('\\') {
            out.push('\\');
            after
        } else {
            let (digits, after) = match after.chars().next() {
                Some('+') => (6, after.get(1..)),
                Some('u') => (4, after.get(1..)),
                Some('U') => (8, after.get(1..)),
                _ => (4, Some(after)),
            };
            let (char, after) = after.and_then(|after| escaped_char(after, digits)).ok_or_else(bad_escape)?;
            out.push(char);
            after
        };
    }
    out.push_str(rest);
    Ok(text_value(out))
}

fn escaped_char(text: &str, digits: usize) -> Option<(char, &str)> {
    let (hex, rest) = text.split_at_checked(digits)?;
    if !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    Some((char::from_u32(u32::from_str_radix(hex, 16).ok()?)?, rest))
}

fn bad_escape() -> Reject {
    Reject::new(RejectCode::InvalidText, "the text has an invalid Unicode escape")
}

/// `unicode(text)`: the code point of the first character.
pub(super) fn unicode<'a>(value: &Value<'_>) -> Result<Value<'a>, Reject> {
    let text = storage::text(value)?;
    let first = text.as_deref().and_then(|text| until_nul(text).chars().next());
    Ok(first.map_or(Value::Null, |char| Value::Int(i64::from(u32::from(char)))))
}

/// `char(code point, …)`: the text of those characters.
pub(super) fn char<'a>(values: &[&Value<'_>]) -> Result<Value<'a>, Reject> {
    let mut out = String::with_capacity(values.len());
    for value in values {
        let code = storage::integer(value)?;
        let code = u32::try_from(code).ok().filter(|code| *code <= 0x10_ffff).unwrap_or(0xfffd);
        out.push(char::from_u32(code).ok_or_else(storage::not_utf8)?);
    }
    Ok(text_value(out))
}

/// `concat(value, …)` and `concat_ws(separator, value, …)`: what is not NULL.
pub(super) fn concat<'a>(separator: &str, values: &[&Value<'_>]) -> Result<Value<'a>, Reject> {
    let mut out = String::new();
    let mut first = true;
    for value in values {
        if let Some(text) = storage::text(value)? {
            if !first {
                out.push_str(separator);
            }
            first = false;
            out.push_str(&text);
        }
        if out.len() > TEXT_BYTES_MAX {
            return Err(storage::too_long());
        }
    }
    Ok(text_value(out))
}

/// `concat_ws(separator, value, …)`.
pub(super) fn concat_with<'a>(values: &[&Value<'_>]) -> Result<Value<'a>, Reject> {
    let Some((separator, values)) = values.split_first() else { return Ok(Value::Null) };
    match storage::text(separator)? {
        Some(separator) => concat(&separator, values),
        None => Ok(Value::Null),
    }
}

/// `soundex(text)`: how an English word sounds; `?000` where it has no letter.
pub(super) fn soundex<'a>(value: &Value<'_>) -> Result<Value<'a>, Reject> {
    let text = storage::text(value)?.unwrap_or_default();
    let bytes = until_nul(&text).as_bytes();
    let letters = bytes.iter().skip_while(|byte| !byte.is_ascii_alphabetic());
    let Some(first) = letters.clone().next() else { return Ok(text_value("?000")) };
    let mut out = String::from(char::from(first.to_ascii_uppercase()));
    let mut previous = soundex_code(*first);
    for byte in letters {
        if out.len() == 4 {
            break;
        }
        let code = soundex_code(*byte);
        if code > 0 && code != previous {
            out.push(char::from(b'0' + code));
        }
        previous = code;
    }
    while out.len() < 4 {
        out.push('0');
    }
    Ok(text_value(out))
}

/// The seven bits of the byte decide, as in SQLite.
const fn soundex_code(byte: u8) -> u8 {
    match (byte & 0x7f).to_ascii_lowercase() {
        b'b' | b'f' | b'p' | b'v' => 1,
        b'c' | b'g' | b'j' | b'k' | b'q' | b's' | b'x' | b'z' => 2,
        b'd' | b't' => 3,
        b'l' => 4,
        b'm' | b'n' => 5,
        b'r' => 6,
        _ => 0,
    }
}

/// `zeroblob(length)`.
pub(super) fn zeroblob<'a>(length: &Value<'_>) -> Result<Value<'a>, Reject> {
    let length = usize::try_from(storage::integer(length)?.max(0)).unwrap_or(usize::MAX);
    if length > TEXT_BYTES_MAX { Err(storage::too_long()) } else { Ok(Value::Bytes(Cow::Owned(vec![0; length]))) }
}

/// `typeof(value)`.
pub(super) fn type_of<'a>(value: &Value<'_>) -> Value<'a> {
    Value::Text(Cow::Borrowed(storage::class(value).name()))
}
