//! Finds what a route leads to in a text of plain JSON, without a tree of it. The whole text is checked on the way.
//!
//! Whatever is not plain gives no answer, and is left to `parse` and `path`: JSON5, names with escapes, a path with
//! more than names and indexes, an error of either. So there is one meaning, and this file is only the quick way.
//!
//! The place in the text is handed from function to function, so that it stays in a register.

use super::path;

/// How deep the quick way goes.
const DEPTH_MAX: u32 = 64;

/// What a route leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place<'t> {
    /// The text of a value.
    Found(&'t str),
    /// The document has no such place.
    Missing,
}

/// One step of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Name(Box<str>),
    /// From 0.
    Index(usize),
}

/// The steps of a path that has only names and indexes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route(Vec<Step>);

impl Route {
    /// The route of what stands behind the `$` of a path; `None` where only the long way understands it.
    pub(super) fn of_path(mut path: &str) -> Option<Self> {
        let mut steps = Vec::new();
        while !path.is_empty() {
            let (step, rest) = first(path)?;
            steps.push(step);
            path = rest;
        }
        Some(Self(steps))
    }

    /// One name alone.
    pub(super) fn of_name(name: &str) -> Self {
        Self(vec![Step::Name(name.into())])
    }

    /// One index alone.
    pub(super) fn of_index(index: usize) -> Self {
        Self(vec![Step::Index(index)])
    }

    /// What it leads to; `None` where only the long way can tell.
    pub(super) fn find<'t>(&self, text: &'t str) -> Option<Place<'t>> {
        let mut scanner = Scanner { text: text.as_bytes(), found: None };
        let end = scanner.walk(space(scanner.text, 0), &self.0, 0)?;
        if space(scanner.text, end) < text.len() {
            return None;
        }
        match scanner.found {
            Some((start, end)) => text.get(start..end).map(Place::Found),
            None => Some(Place::Missing),
        }
    }
}

/// The first step of a path, and what follows it.
fn first(path: &str) -> Option<(Step, &str)> {
    if let Some(path) = path.strip_prefix('.') {
        let (name, quoted, rest) = path::member(path).ok()?;
        // For C a path ends at a NUL.
        let is_plain = !name.bytes().any(|byte| byte == 0 || (quoted && byte == b'\\'));
        is_plain.then(|| (Step::Name(name.into()), rest))
    } else {
        let (index, rest) = path::number(path.strip_prefix('[')?)?;
        Some((Step::Index(index), rest.strip_prefix(']')?))
    }
}

struct Scanner<'t> {
    text: &'t [u8],
    /// Where the value that is looked for starts and ends.
    found: Option<(usize, usize)>,
}

impl Scanner<'_> {
    /// Passes over the value at a place, and notes where within it the steps lead. Gives the place behind it, or `None`
    /// where something is not plain; the same holds for every function below.
    fn walk(&mut self, at: usize, steps: &[Step], depth: u32) -> Option<usize> {
        if depth >= DEPTH_MAX {
            return None;
        }
        let Some((step, rest)) = steps.split_first() else {
            let end = skip(self.text, at, depth)?;
            self.found = Some((at, end));
            return Some(end);
        };
        match (*self.text.get(at)?, step) {
            (b'{', Step::Name(name)) => self.walk_object(at + 1, name, rest, depth),
            (b'[', Step::Index(index)) => self.walk_array(at + 1, *index, rest, depth),
            _ => skip(self.text, at, depth),
        }
    }

    fn walk_object(&mut self, at: usize, name: &str, rest: &[Step], depth: u32) -> Option<usize> {
        let mut is_wanted = true;
        let mut at = space(self.text, at);
        if self.text.get(at) == Some(&b'}') {
            return Some(at + 1);
        }
        loop {
            let (start, end) = (at + 1, name_end(self.text, at)?);
            at = colon(self.text, end)?;
            // Of members with one name the first counts.
            at = if is_wanted && self.text.get(start..end) == Some(name.as_bytes()) {
                is_wanted = false;
                self.walk(at, rest, depth + 1)?
            } else {
                skip(self.text, at, depth + 1)?
            };
            at = space(self.text, at);
            match self.text.get(at)? {
                b',' => at = space(self.text, at + 1),
                b'}' => return Some(at + 1),
                _ => return None,
            }
        }
    }

    fn walk_array(&mut self, at: usize, wanted: usize, rest: &[Step], depth: u32) -> Option<usize> {
        let mut at = space(self.text, at);
        if self.text.get(at) == Some(&b']') {
            return Some(at + 1);
        }
        let mut index = 0;
        loop {
            at = if index == wanted { self.walk(at, rest, depth + 1)? } else { skip(self.text, at, depth + 1)? };
            at = space(self.text, at);
            match self.text.get(at)? {
                b',' => at = space(self.text, at + 1),
                b']' => return Some(at + 1),
                _ => return None,
            }
            index += 1;
        }
    }
}

#[inline]
fn space(text: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t' | b'\n' | b'\r') = text.get(at) {
        at += 1;
    }
    at
}

/// Passes over a value. What is open is kept in the bits of a number: 1 for an object, 0 for an array.
fn skip(text: &[u8], mut at: usize, mut depth: u32) -> Option<usize> {
    let outside = depth;
    let mut open = 0_u64;
    loop {
        match *text.get(at)? {
            b'"' => at = string(text, at + 1)?,
            byte @ (b'{' | b'[') => {
                if depth >= DEPTH_MAX {
                    return None;
                }
                at = space(text, at + 1);
                // The brackets that close are two places behind those that open.
                if *text.get(at)? == byte + 2 {
                    at += 1;
                } else {
                    depth += 1;
                    open = (open << 1) | u64::from(byte == b'{');
                    if byte == b'{' {
                        at = label(text, at)?;
                    }
                    continue;
                }
            }
            b'-' | b'0'..=b'9' => at = number(text, at)?,
            b't' => at = word(text, at, b"true")?,
            b'f' => at = word(text, at, b"false")?,
            b'n' => at = word(text, at, b"null")?,
            _ => return None,
        }
        while depth > outside {
            at = space(text, at);
            let is_object = open & 1 == 1;
            match *text.get(at)? {
                b',' => {
                    at = space(text, at + 1);
                    if is_object {
                        at = label(text, at)?;
                    }
                    break;
                }
                byte if byte == if is_object { b'}' } else { b']' } => {
                    at += 1;
                    depth -= 1;
                    open >>= 1;
                }
                _ => return None,
            }
        }
        if depth == outside {
            return Some(at);
        }
    }
}

/// Passes over a name, its colon and the space around that.
#[inline]
fn label(text: &[u8], at: usize) -> Option<usize> {
    colon(text, name_end(text, at)?)
}

/// Where a name in quotes ends, which has no escape.
#[inline]
fn name_end(text: &[u8], at: usize) -> Option<usize> {
    if text.get(at) != Some(&b'"') {
        return None;
    }
    let end = plain_end(text, at + 1);
    (text.get(end) == Some(&b'"')).then_some(end)
}

/// Passes over the quote behind a name, the colon and the space around that.
#[inline]
fn colon(text: &[u8], quote: usize) -> Option<usize> {
    let at = space(text, quote + 1);
    (text.get(at) == Some(&b':')).then(|| space(text, at + 1))
}

fn word(text: &[u8], at: usize, word: &[u8]) -> Option<usize> {
    text.get(at..)?.starts_with(word).then_some(at + word.len())
}

fn number(text: &[u8], mut at: usize) -> Option<usize> {
    at += usize::from(text.get(at) == Some(&b'-'));
    at = if text.get(at) == Some(&b'0') { at + 1 } else { digits(text, at)? };
    if text.get(at) == Some(&b'.') {
        at = digits(text, at + 1)?;
    }
    if let Some(b'e' | b'E') = text.get(at) {
        at += 1;
        at += usize::from(matches!(text.get(at), Some(b'+' | b'-')));
        at = digits(text, at)?;
    }
    Some(at)
}

#[inline]
fn digits(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    while text.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    (at > start).then_some(at)
}

/// Passes over what is left of a text in quotes.
#[inline]
fn string(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at = plain_end(text, at);
        match text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += escape_len(text.get(at..)?)?,
            _ => return None,
        }
    }
}

/// The length of an escape of JSON.
fn escape_len(text: &[u8]) -> Option<usize> {
    match text.get(1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'u' => text.get(2..6)?.iter().all(u8::is_ascii_hexdigit).then_some(6),
        _ => None,
    }
}

/// Where the next quote, backslash or control character stands. Eight bytes are looked at in one step: a byte is zero
/// where the borrow of a subtraction sets its highest bit, and the lowest such byte is told exactly.
#[inline]
pub(super) fn plain_end(text: &[u8], mut at: usize) -> usize {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGHEST: u64 = ONES << 7;
    const QUOTES: u64 = ONES * b'"' as u64;
    const BACKSLASHES: u64 = ONES * b'\\' as u64;
    const SPACES: u64 = ONES * b' ' as u64;
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word;
    while let Some(bytes) = text.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*bytes);
        let controls = word.wrapping_sub(SPACES) & !word;
        let special = (zeros(word ^ QUOTES) | zeros(word ^ BACKSLASHES) | controls) & HIGHEST;
        if special != 0 {
            return at + usize::try_from(special.trailing_zeros() / 8).unwrap_or(0);
        }
        at += 8;
    }
    let rest = text.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|byte| **byte >= b' ' && !matches!(byte, b'"' | b'\\')).count()
}

#[cfg(test)]
mod tests {
    use super::super::{parse, path};
    use super::*;

    /// What the long way gives, as JSON.
    fn long(text: &str, path: &str) -> Result<Option<String>, String> {
        let document = parse::parse(text).document.map_err(|at| format!("malformed at {at}"))?;
        match path::find(&document, path) {
            Ok(node) => Ok(Some(node.to_json())),
            Err(path::Miss::NotFound) => Ok(None),
            Err(miss) => Err(format!("{miss:?}")),
        }
    }

    fn find<'t>(text: &'t str, path: &str) -> Option<Place<'t>> {
        Route::of_path(path)?.find(text)
    }

    fn agrees(text: &str, path: &str) -> bool {
        let Some(place) = find(text, path) else { return false };
        let found = match place {
            Place::Found(found) => Some(parse::parse(found).document.expect("it is JSON").to_json()),
            Place::Missing => None,
        };
        assert_eq!(Ok(found), long(text, path), "{text} {path}");
        true
    }

    #[test]
    fn what_is_plain_is_found_the_quick_way() {
        let text = r#" {"a": {"b": [1, -2.5e3, "x\n\"", {"c": null}], "b": 2}, "é": true, "long name here": false } "#;
        for path in ["", ".a", ".a.b", ".a.b[0]", ".a.b[1]", ".a.b[2]", ".a.b[3].c", ".a.b[9]", ".é", ".\"a\"", ".z"] {
            assert!(agrees(text, path), "{path}");
        }
        assert!(agrees(text, ".\"long name here\""));
        assert_eq!(Route::of_name("é").find(text), Some(Place::Found("true")));
        assert_eq!(Route::of_index(1).find("[1, 2]"), Some(Place::Found("2")));
        assert_eq!(Route::of_name("a").find("[1, 2]"), Some(Place::Missing));
    }

    #[test]
    fn the_rest_is_left_to_the_long_way() {
        for text in ["", "{", "[1,]", "{a: 1}", "{\"a\" 1}", "'a'", "01", "+1", ".5", "1.", "[1 2]", "nul", "\"\t\""] {
            assert_eq!(find(text, ""), None, "{text}");
        }
        for (text, path) in [("{\"\\u0061\": 1}", ".a"), ("[1]", "[#-1]"), ("{}", "."), ("[1]", "x"), ("[1]", "[x]")] {
            assert_eq!(find(text, path), None, "{text} {path}");
        }
        assert_eq!(find(&"[".repeat(100_000), ""), None);
        let deep = format!("{}{}", "[".repeat(65), "]".repeat(65));
        assert_eq!(find(&deep, ""), None);
        assert_eq!(find("1\u{0}", ""), None);
    }

    proptest::proptest! {
        #[test]
        fn both_ways_agree(
            text in "([\\[\\]{}:,0-9a-c\"\\\\ \u{1}é.-]|\"[a-c]{0,9}\"|\"a\":|true|null){0,16}",
            path in "(\\.[a-c]{0,2}|\\.\"[a-c]\"|\\[[0-3#x]\\]){0,3}",
        ) {
            agrees(&text, &path);
        }

        #[test]
        fn special_bytes_are_seen_wherever_they_stand(text in "[a-z !\u{7f}é]{0,20}[\"\\\\\u{0}\u{1f}]?[a-zé\"]{0,9}") {
            let expected = text.bytes().position(|byte| byte < b' ' || matches!(byte, b'"' | b'\\')).unwrap_or(text.len());
            proptest::prop_assert_eq!(plain_end(text.as_bytes(), 0), expected);
        }
    }
}
