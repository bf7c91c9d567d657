//! `LIKE` and `GLOB` (<https://www.sqlite.org/lang_expr.html#like>, `func.c`: `patternCompare`).
//!
//! Only the last `%` or `*` that was met can need another try, so that matching needs no recursion.

use super::storage::{self, until_nul};
use crate::{Reject, RejectCode, Value};

/// The longest pattern, in bytes (`SQLITE_MAX_LIKE_PATTERN_LENGTH`).
pub const PATTERN_BYTES_MAX: usize = 50_000;

/// What the characters of a pattern mean.
#[derive(Debug, Clone, Copy)]
struct Style {
    many: Option<char>,
    one: Option<char>,
    sets: bool,
    escape: Option<char>,
    ignore_case: bool,
}

const LIKE: Style = Style { many: Some('%'), one: Some('_'), sets: false, escape: None, ignore_case: true };
const GLOB: Style = Style { many: Some('*'), one: Some('?'), sets: true, escape: None, ignore_case: false };

/// `text LIKE pattern ESCAPE escape`: `%` and `_`, the letters of ASCII without regard to case.
pub(super) fn like(pattern: &Value<'_>, text: &Value<'_>, escape: Option<&Value<'_>>) -> Result<Option<bool>, Reject> {
    let mut style = LIKE;
    if let Some(escape) = escape {
        let Some(escape) = storage::text(escape)? else { return Ok(None) };
        let mut chars = until_nul(&escape).chars();
        let (Some(char), None) = (chars.next(), chars.next()) else {
            let message = "the text behind ESCAPE must be a single character";
            return Err(Reject::new(RejectCode::NotConvertible, message));
        };
        style.escape = Some(char);
        style.many = style.many.filter(|many| *many != char);
        style.one = style.one.filter(|one| *one != char);
    }
    matches(style, pattern, text)
}

/// `text GLOB pattern`: `*`, `?` and `[…]`, with regard to case.
pub(super) fn glob(pattern: &Value<'_>, text: &Value<'_>) -> Result<Option<bool>, Reject> {
    matches(GLOB, pattern, text)
}

/// Where the only text of a pattern has to stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// It is all: `text`.
    Whole,
    /// `text%`
    Start,
    /// `%text`
    End,
    /// `%text%`
    Anywhere,
}

/// A constant pattern that is one text of ASCII, with or without something before or behind it. No character beyond
/// ASCII holds such bytes, so that bytes can be compared.
#[derive(Debug)]
pub(super) struct OneText {
    text: Box<[u8]>,
    place: Place,
    ignore_case: bool,
}

impl OneText {
    /// A pattern of `LIKE`; `None` where it is more than one text.
    pub(super) fn of_like(pattern: &Value<'_>) -> Option<Self> {
        Self::of(LIKE, pattern)
    }

    /// The same of `GLOB`.
    pub(super) fn of_glob(pattern: &Value<'_>) -> Option<Self> {
        Self::of(GLOB, pattern)
    }

    fn of(style: Style, pattern: &Value<'_>) -> Option<Self> {
        let Value::Text(pattern) = pattern else { return None };
        let many = style.many?;
        let (before, text) = pattern.strip_prefix(many).map_or((false, &**pattern), |rest| (true, rest));
        let (behind, text) = text.strip_suffix(many).map_or((false, text), |rest| (true, rest));
        let is_plain = |char: char| {
            char.is_ascii() && char != '\0' && Some(char) != style.one && char != many && !(style.sets && char == '[')
        };
        if text.is_empty() || pattern.len() > PATTERN_BYTES_MAX || !text.chars().all(is_plain) {
            return None;
        }
        let place = match (before, behind) {
            (false, false) => Place::Whole,
            (false, true) => Place::Start,
            (true, false) => Place::End,
            (true, true) => Place::Anywhere,
        };
        Some(Self { text: text.as_bytes().into(), place, ignore_case: style.ignore_case })
    }

    /// Whether a value matches, or `None` where it is NULL.
    pub(super) fn matches(&self, value: &Value<'_>) -> Result<Option<bool>, Reject> {
        Ok(match value {
            Value::Text(text) => Some(self.matches_text(text)),
            other => storage::text(other)?.map(|text| self.matches_text(&text)),
        })
    }

    fn matches_text(&self, text: &str) -> bool {
        let text = until_nul(text).as_bytes();
        let wanted = self.text.len();
        match self.place {
            Place::Whole => self.is(text),
            Place::Start => text.get(..wanted).is_some_and(|start| self.is(start)),
            Place::End => text.len().checked_sub(wanted).and_then(|at| text.get(at..)).is_some_and(|end| self.is(end)),
            Place::Anywhere if self.ignore_case => text.windows(wanted).any(|part| self.is(part)),
            Place::Anywhere => memchr::memmem::find(text, &self.text).is_some(),
        }
    }

    fn is(&self, part: &[u8]) -> bool {
        if self.ignore_case { self.text.eq_ignore_ascii_case(part) } else { *self.text == *part }
    }
}

fn matches(style: Style, pattern: &Value<'_>, text: &Value<'_>) -> Result<Option<bool>, Reject> {
    let (Some(pattern), Some(text)) = (storage::text(pattern)?, storage::text(text)?) else { return Ok(None) };
    if pattern.len() > PATTERN_BYTES_MAX {
        let message = format!("the pattern is longer than {PATTERN_BYTES_MAX} bytes");
        return Err(Reject::new(RejectCode::TooLong, message));
    }
    let (pattern, text) = (until_nul(&pattern), until_nul(&text));
    Ok(Some(match style.ascii(pattern) {
        Some(style) if pattern.is_ascii() && text.is_ascii() => style.matches(pattern.as_bytes(), text.as_bytes()),
        _ => style.matches(pattern, text),
    }))
}

/// A [`Style`] without sets and escapes, for texts whose characters are bytes.
struct AsciiStyle {
    many: u8,
    one: u8,
    ignore_case: bool,
}

impl AsciiStyle {
    fn matches(&self, mut pattern: &[u8], mut text: &[u8]) -> bool {
        // Behind the last `many`: the pattern, and the text from which it was tried.
        let mut retry: Option<(&[u8], &[u8])> = None;
        loop {
            match (pattern, text) {
                ([wanted, rest @ ..], _) if *wanted == self.many => {
                    // What ends with it matches whatever comes.
                    if rest.is_empty() {
                        return true;
                    }
                    pattern = rest;
                    retry = Some((rest, text));
                }
                ([wanted, pattern_rest @ ..], [byte, text_rest @ ..]) if self.same(*wanted, *byte) => {
                    (pattern, text) = (pattern_rest, text_rest);
                }
                ([], []) => return true,
                _ => {
                    let Some((pattern_again, [_, text_again @ ..])) = retry else { return false };
                    retry = Some((pattern_again, text_again));
                    (pattern, text) = (pattern_again, text_again);
                }
            }
        }
    }

    const fn same(&self, wanted: u8, byte: u8) -> bool {
        wanted == self.one || wanted == byte || (self.ignore_case && wanted.eq_ignore_ascii_case(&byte))
    }
}

impl Style {
    /// The same for texts of ASCII. A set has a form of its own; so has an escaped character.
    fn ascii(self, pattern: &str) -> Option<AsciiStyle> {
        if self.escape.is_some() || (self.sets && pattern.contains('[')) {
            return None;
        }
        let (many, one) = (u8::try_from(self.many?).ok()?, u8::try_from(self.one?).ok()?);
        Some(AsciiStyle { many, one, ignore_case: self.ignore_case })
    }

    fn matches(self, mut pattern: &str, mut text: &str) -> bool {
        // Behind the last `many`: the pattern, and the text from which it was tried.
        let mut retry: Option<(&str, &str)> = None;
        loop {
            match self.step(pattern, text) {
                Step::Many(rest) => {
                    pattern = rest;
                    retry = Some((rest, text));
                }
                Step::Matched(pattern_rest, text_rest) => {
                    pattern = pattern_rest;
                    text = text_rest;
                }
                Step::End => return true,
                Step::Differs => {
                    let Some((pattern_again, text_again)) = retry else { return false };
                    let Some(text_again) = skip_char(text_again) else { return false };
                    retry = Some((pattern_again, text_again));
                    pattern = pattern_again;
                    text = text_again;
                }
            }
        }
    }

    fn step<'p, 't>(self, pattern: &'p str, text: &'t str) -> Step<'p, 't> {
        let mut chars = pattern.chars();
        let Some(mut wanted) = chars.next() else {
            return if text.is_empty() { Step::End } else { Step::Differs };
        };
        if Some(wanted) == self.many {
            return Step::Many(chars.as_str());
        }
        let mut texts = text.chars();
        let Some(char) = texts.next() else { return Step::Differs };
        if self.sets && wanted == '[' {
            return match set(chars.as_str(), char) {
                Some(rest) => Step::Matched(rest, texts.as_str()),
                None => Step::Differs,
            };
        }
        let mut literal = false;
        if Some(wanted) == self.escape {
            match chars.next() {
                Some(next) => (wanted, literal) = (next, true),
                None => return Step::Differs,
            }
        }
        let same = wanted == char
            || (self.ignore_case && wanted.is_ascii() && wanted.eq_ignore_ascii_case(&char))
            || (!literal && Some(wanted) == self.one);
        if same { Step::Matched(chars.as_str(), texts.as_str()) } else { Step::Differs }
    }
}

enum Step<'p, 't> {
    Many(&'p str),
    Matched(&'p str, &'t str),
    Differs,
    End,
}

fn skip_char(text: &str) -> Option<&str> {
    let mut chars = text.chars();
    chars.next()?;
    Some(chars.as_str())
}

/// What follows a set `[…]` that the character belongs to, or `None`. A `]` right behind `[` or `[^` belongs to the
/// set; so does a `-` that stands last.
fn set(pattern: &str, char: char) -> Option<&str> {
    let (invert, pattern) = pattern.strip_prefix('^').map_or((false, pattern), |rest| (true, rest));
    let mut seen = false;
    let mut prior: Option<char> = None;
    let mut chars = pattern.chars();
    let mut next = chars.next();
    if next == Some(']') {
        seen = char == ']';
        next = chars.next();
    }
    loop {
        match next? {
            ']' => break,
            '-' if prior.is_some() && !matches!(chars.as_str().chars().next(), None | Some(']')) => {
                let last = chars.next()?;
                seen |= prior.is_some_and(|first| (first..=last).contains(&char));
                prior = None;
            }
            member => {
                seen |= member == char;
                prior = Some(member);
            }
        }
        next = chars.next();
    }
    (seen != invert).then_some(chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value<'_> {
        Value::Text(text.into())
    }

    #[test]
    fn only_patterns_of_one_text_are_read_in_advance() {
        for pattern in ["a", "a%", "%a", "%a%", "%a b%"] {
            assert!(OneText::of_like(&text(pattern)).is_some(), "{pattern}");
        }
        for pattern in ["", "%", "%%", "a_", "a%b", "%%a", "a%%", "ä%", "a\0%"] {
            assert!(OneText::of_like(&text(pattern)).is_none(), "{pattern}");
        }
        assert!(OneText::of_glob(&text("a_%*")).is_some());
        assert!(OneText::of_glob(&text("[a]*")).is_none());
    }

    proptest::proptest! {
        #[test]
        fn one_text_matches_as_every_pattern_does(pattern in "[%*]?[aAbB]{1,3}[%*]?", text in "[abABä\u{0}]{0,6}") {
            let (of_pattern, of_text) = (self::text(&pattern), self::text(&text));
            if let Some(read) = OneText::of_like(&of_pattern) {
                proptest::prop_assert_eq!(read.matches(&of_text), like(&of_pattern, &of_text, None));
            }
            if let Some(read) = OneText::of_glob(&of_pattern) {
                proptest::prop_assert_eq!(read.matches(&of_text), glob(&of_pattern, &of_text));
            }
        }
    }
}
