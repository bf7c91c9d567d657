//! Finds what a path leads to in a text of plain JSON, without a tree of it. The whole text is checked on the way.
//!
//! Whatever is not plain gives no answer, and is left to `parse` and `path`: JSON5, names with escapes, a path with
//! more than names and indexes, an error of either. So there is one meaning, and this file is only the quick way.

use super::path;

/// How deep the quick way goes.
const DEPTH_MAX: u32 = 64;

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place<'t> {
    /// The text of a value.
    Found(&'t str),
    /// The document has no such place.
    Missing,
}

/// The steps of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Steps<'p> {
    /// As they stand behind the `$` of a path.
    Path(&'p str),
    /// One name alone.
    Name(&'p str),
    /// One index alone, from 0.
    Index(usize),
}

/// What the steps lead to; `None` where only the long way can tell.
pub(super) fn find<'t>(text: &'t str, steps: Steps<'_>) -> Option<Place<'t>> {
    let mut scanner = Scanner { text: text.as_bytes(), at: 0, found: None };
    scanner.space();
    scanner.walk(steps, 0)?;
    scanner.space();
    if scanner.at < text.len() {
        return None;
    }
    match scanner.found {
        Some((start, end)) => text.get(start..end).map(Place::Found),
        None => Some(Place::Missing),
    }
}

const NO_STEPS: Steps<'static> = Steps::Path("");

/// The first step of a path, and what follows it; `None` where only the long way understands it.
fn first(steps: Steps<'_>) -> Option<(Steps<'_>, Steps<'_>)> {
    let Steps::Path(path) = steps else { return Some((steps, NO_STEPS)) };
    if let Some(path) = path.strip_prefix('.') {
        let (name, quoted, rest) = path::member(path).ok()?;
        // For C a path ends at a NUL.
        let is_plain = !name.bytes().any(|byte| byte == 0 || (quoted && byte == b'\\'));
        is_plain.then_some((Steps::Name(name), Steps::Path(rest)))
    } else {
        let (index, rest) = path::number(path.strip_prefix('[')?)?;
        Some((Steps::Index(index), Steps::Path(rest.strip_prefix(']')?)))
    }
}

struct Scanner<'t> {
    text: &'t [u8],
    at: usize,
    /// Where the value that is looked for starts and ends.
    found: Option<(usize, usize)>,
}

impl Scanner<'_> {
    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    #[inline]
    fn take(&mut self, byte: u8) -> Option<()> {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next.then_some(())
    }

    #[inline]
    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Passes over a value, and notes where within it the steps lead. `None` where something is not plain; the same
    /// holds for every method below.
    fn walk(&mut self, steps: Steps<'_>, depth: u32) -> Option<()> {
        if depth >= DEPTH_MAX {
            return None;
        }
        if steps == NO_STEPS {
            let start = self.at;
            self.skip(depth)?;
            self.found = Some((start, self.at));
            return Some(());
        }
        let (step, rest) = first(steps)?;
        match (self.peek()?, step) {
            (b'{', Steps::Name(name)) => self.walk_object(name, rest, depth),
            (b'[', Steps::Index(index)) => self.walk_array(index, rest, depth),
            _ => self.skip(depth),
        }
    }

    fn walk_object(&mut self, name: &str, rest: Steps<'_>, depth: u32) -> Option<()> {
        let mut is_wanted = true;
        self.at += 1;
        self.space();
        if self.take(b'}').is_some() {
            return Some(());
        }
        loop {
            let (start, end) = self.label()?;
            // Of members with one name the first counts.
            if is_wanted && self.text.get(start..end) == Some(name.as_bytes()) {
                is_wanted = false;
                self.walk(rest, depth + 1)?;
            } else {
                self.skip(depth + 1)?;
            }
            self.space();
            if self.take(b'}').is_some() {
                return Some(());
            }
            self.take(b',')?;
            self.space();
        }
    }

    fn walk_array(&mut self, wanted: usize, rest: Steps<'_>, depth: u32) -> Option<()> {
        self.at += 1;
        self.space();
        if self.take(b']').is_some() {
            return Some(());
        }
        let mut index = 0;
        loop {
            if index == wanted {
                self.walk(rest, depth + 1)?;
            } else {
                self.skip(depth + 1)?;
            }
            self.space();
            if self.take(b']').is_some() {
                return Some(());
            }
            self.take(b',')?;
            self.space();
            index += 1;
        }
    }

    /// Passes over a value. What is open is kept in the bits of a number: 1 for an object, 0 for an array.
    fn skip(&mut self, mut depth: u32) -> Option<()> {
        let outside = depth;
        let mut open = 0_u64;
        loop {
            match self.peek()? {
                b'"' => {
                    self.string()?;
                }
                byte @ (b'{' | b'[') => {
                    if depth >= DEPTH_MAX {
                        return None;
                    }
                    self.at += 1;
                    self.space();
                    // The brackets that close are two places behind those that open.
                    if self.take(byte + 2).is_none() {
                        depth += 1;
                        open = (open << 1) | u64::from(byte == b'{');
                        if byte == b'{' {
                            self.label()?;
                        }
                        continue;
                    }
                }
                b't' => self.word(b"true")?,
                b'f' => self.word(b"false")?,
                b'n' => self.word(b"null")?,
                _ => self.number()?,
            }
            loop {
                if depth == outside {
                    return Some(());
                }
                self.space();
                let is_object = open & 1 == 1;
                if self.take(b',').is_some() {
                    self.space();
                    if is_object {
                        self.label()?;
                    }
                    break;
                }
                self.take(if is_object { b'}' } else { b']' })?;
                depth -= 1;
                open >>= 1;
            }
        }
    }

    /// Passes over a name, its colon and the space behind it. The name has no escape.
    #[inline]
    fn label(&mut self) -> Option<(usize, usize)> {
        let (start, end, has_escape) = self.string()?;
        if has_escape {
            return None;
        }
        self.space();
        self.take(b':')?;
        self.space();
        Some((start, end))
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        let is_next = self.text.get(self.at..)?.starts_with(word);
        self.at += word.len();
        is_next.then_some(())
    }

    fn number(&mut self) -> Option<()> {
        let _ = self.take(b'-');
        if self.take(b'0').is_none() {
            self.digits()?;
        }
        if self.take(b'.').is_some() {
            self.digits()?;
        }
        if self.take(b'e').or_else(|| self.take(b'E')).is_some() {
            let _ = self.take(b'+').or_else(|| self.take(b'-'));
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    /// Passes over a text in quotes: where what is between them starts and ends, and whether it has escapes.
    #[inline]
    fn string(&mut self) -> Option<(usize, usize, bool)> {
        self.take(b'"')?;
        let start = self.at;
        let mut has_escape = false;
        loop {
            self.at = plain_end(self.text, self.at);
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Some((start, self.at - 1, has_escape));
                }
                b'\\' => {
                    self.at += escape_len(self.text.get(self.at..)?)?;
                    has_escape = true;
                }
                _ => return None,
            }
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
fn plain_end(text: &[u8], mut at: usize) -> usize {
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

    fn agrees(text: &str, path: &str) -> bool {
        let Some(place) = find(text, Steps::Path(path)) else { return false };
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
        assert_eq!(find(text, Steps::Name("é")), Some(Place::Found("true")));
        assert_eq!(find("[1, 2]", Steps::Index(1)), Some(Place::Found("2")));
        assert_eq!(find("[1, 2]", Steps::Name("a")), Some(Place::Missing));
    }

    #[test]
    fn the_rest_is_left_to_the_long_way() {
        for text in ["", "{", "[1,]", "{a: 1}", "{\"a\" 1}", "'a'", "01", "+1", ".5", "1.", "[1 2]", "nul", "\"\t\""] {
            assert_eq!(find(text, Steps::Path("")), None, "{text}");
        }
        for (text, path) in [("{\"\\u0061\": 1}", ".a"), ("[1]", "[#-1]"), ("{}", "."), ("[1]", "x"), ("[1]", "[x]")] {
            assert_eq!(find(text, Steps::Path(path)), None, "{text} {path}");
        }
        assert_eq!(find(&"[".repeat(100_000), Steps::Path("")), None);
        let deep = format!("{}{}", "[".repeat(65), "]".repeat(65));
        assert_eq!(find(&deep, Steps::Path("")), None);
        assert_eq!(find("1\u{0}", Steps::Path("")), None);
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
