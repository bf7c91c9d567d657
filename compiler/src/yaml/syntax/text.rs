//! A text and the place in it that the parser complains of.

use std::ops::Range;

/// A text and a place in it.
pub(super) struct Text<'t> {
    pub(super) whole: &'t str,
    /// The byte that the parser names.
    pub(super) at: usize,
}

/// A line: its first byte and its text without the line end.
#[derive(Clone, Copy)]
pub(super) struct Line<'t> {
    pub(super) start: usize,
    pub(super) text: &'t str,
}

impl<'t> Text<'t> {
    pub(super) fn new(whole: &'t str, at: usize) -> Self {
        Self { whole, at: at.min(whole.len()) }
    }

    /// The bytes of the character at the place.
    pub(super) fn character(&self) -> Range<usize> {
        let length = self.first().map_or(0, char::len_utf8);
        self.at..self.at + length
    }

    /// The character at the place.
    pub(super) fn first(&self) -> Option<char> {
        self.whole.get(self.at..)?.chars().next()
    }

    fn lines(&self) -> impl DoubleEndedIterator<Item = Line<'t>> + use<'t> {
        let whole = self.whole;
        let starts = std::iter::once(0).chain(whole.match_indices('\n').map(|(at, _)| at + 1));
        starts.filter_map(move |start| Some(Line { start, text: whole.get(start..)?.lines().next().unwrap_or("") }))
    }

    /// The line of the place.
    pub(super) fn line(&self) -> Line<'t> {
        let before = self.whole.get(..self.at).unwrap_or_default();
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let text = self.whole.get(start..).unwrap_or_default().lines().next().unwrap_or_default();
        Line { start, text }
    }

    /// The lines before that of the place, the nearest first, without those that say nothing.
    pub(super) fn lines_before(&self) -> Vec<Line<'t>> {
        let own = self.line().start;
        let mut lines: Vec<_> =
            self.lines().take_while(|line| line.start < own).filter(|line| !line.is_empty()).collect();
        lines.reverse();
        lines
    }

    /// The line behind that of the place.
    pub(super) fn line_after(&self) -> Option<Line<'t>> {
        self.lines().find(|line| line.start > self.at)
    }
}

impl<'t> Line<'t> {
    /// Whether there is nothing but a comment.
    fn is_empty(&self) -> bool {
        let text = self.text.trim_start();
        text.is_empty() || text.starts_with('#')
    }

    /// How many spaces and tabs it begins with.
    pub(super) fn indent(&self) -> usize {
        self.text.len() - self.text.trim_start_matches([' ', '\t']).len()
    }

    /// Its text from the first character that is no space, and where that stands in the file.
    pub(super) fn content(&self) -> Range<usize> {
        let start = self.start + self.indent();
        start..(self.start + self.text.trim_end().len()).max(start)
    }

    /// The value on the line: what is behind its key and the `- ` of an item.
    pub(super) fn value(&self) -> &'t str {
        let mut rest = self.text.trim();
        while let Some(item) = rest.strip_prefix("- ") {
            rest = item.trim_start();
        }
        rest.split_once(": ").map_or(rest, |(_, value)| value).trim()
    }
}

/// A text in the quotes that it needs: double ones, single ones where it holds double ones.
pub(super) fn quoted(text: &str) -> String {
    if text.contains(['"', '\\']) { format!("'{}'", text.replace('\'', "''")) } else { format!("\"{text}\"") }
}
