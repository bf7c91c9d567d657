//! Where the characters of a scalar stand in the file: the way back through quotes, escapes, folding and indentation.
//! Reads the file beside the text that YAML made of it; knows nothing of nodes.

use std::ops::Range;

/// How a scalar is written.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Style {
    Plain,
    SingleQuoted,
    DoubleQuoted,
    /// Literal or folded, indented by so many bytes.
    Block(usize),
}

/// One character of a scalar's text: where it begins there, and the bytes of the file that gave it.
#[derive(Debug, Clone)]
struct Place {
    at: usize,
    source: Range<usize>,
}

/// The bytes of the file that gave the bytes `part` of `text`, a scalar that begins at `start` in the file. `None`
/// where the two cannot be brought together.
pub(super) fn find(file: &str, start: usize, text: &str, part: Range<usize>) -> Option<Range<usize>> {
    let places = Walk::new(file, start)?.places(text)?;
    let first = places.iter().find(|place| place.at >= part.start);
    let last = places.iter().rev().find(|place| place.at < part.end);
    let end_of_text = places.last().map_or(start, |place| place.source.end);
    let from = first.map_or(end_of_text, |place| place.source.start);
    let to = last.map_or(from, |place| place.source.end);
    Some(from..to.max(from))
}

/// The walk through the file, one character of the text after the other.
struct Walk<'f> {
    file: &'f str,
    at: usize,
    style: Style,
}

impl<'f> Walk<'f> {
    fn new(file: &'f str, start: usize) -> Option<Self> {
        let style = style(file, start)?;
        let at = if matches!(style, Style::SingleQuoted | Style::DoubleQuoted) { start + 1 } else { start };
        Some(Self { file, at, style })
    }

    fn places(mut self, text: &str) -> Option<Vec<Place>> {
        let mut places = Vec::with_capacity(text.len());
        let mut chars = text.char_indices().peekable();
        while let Some((at, char)) = chars.next() {
            self.continue_line();
            if char == '\n' && self.breaks_line() {
                let mut count = 1;
                while chars.next_if(|(_, next)| *next == '\n').is_some() {
                    count += 1;
                }
                self.breaks(at, count, text.len() == at + count, &mut places)?;
                continue;
            }
            let source = if char == ' ' && self.breaks_line() { self.one_break()? } else { self.character(char)? };
            places.push(Place { at, source });
        }
        Some(places)
    }

    fn rest(&self) -> &'f str {
        self.file.get(self.at..).unwrap_or_default()
    }

    /// Spaces that the line break behind them takes along; a block keeps them.
    fn trailing_spaces(&self) -> usize {
        if matches!(self.style, Style::Block(_)) {
            return 0;
        }
        self.rest().len() - self.rest().trim_start_matches([' ', '\t']).len()
    }

    fn break_at(&self, offset: usize) -> Option<usize> {
        let rest = self.rest().get(offset..)?;
        if rest.starts_with("\r\n") { Some(2) } else { rest.starts_with('\n').then_some(1) }
    }

    /// Whether the text goes on in another line of the file.
    fn breaks_line(&self) -> bool {
        self.break_at(self.trailing_spaces()).is_some()
    }

    /// Takes one line break and the indentation behind it.
    fn one_break(&mut self) -> Option<Range<usize>> {
        let spaces = self.trailing_spaces();
        let start = self.at + spaces;
        let end = start + self.break_at(spaces)?;
        self.at = end;
        let indent = self.rest().bytes().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        self.at += match self.style {
            Style::Block(own) => indent.min(own),
            _ => indent,
        };
        Some(start..end)
    }

    /// Takes all line breaks up to the next line that has text. Folding drops the first of several; the line breaks at
    /// the end of a block may be more than its text keeps.
    fn breaks(&mut self, at: usize, count: usize, is_last: bool, places: &mut Vec<Place>) -> Option<()> {
        let mut taken = Vec::new();
        while self.breaks_line() && !(is_last && taken.len() > count) {
            taken.push(self.one_break()?);
        }
        let dropped =
            if is_last && matches!(self.style, Style::Block(_)) { 0 } else { taken.len().checked_sub(count)? };
        let kept = taken.into_iter().skip(dropped).take(count);
        places.extend(kept.enumerate().map(|(nth, source)| Place { at: at + nth, source }));
        Some(())
    }

    /// Takes the characters that give one of the text.
    fn character(&mut self, wanted: char) -> Option<Range<usize>> {
        let start = self.at;
        let mut chars = self.rest().chars();
        let first = chars.next()?;
        let len = match (self.style, first) {
            (Style::DoubleQuoted, '\\') => {
                let kind = chars.next()?;
                kind.len_utf8()
                    + match kind {
                        'x' => 3,
                        'u' => 5,
                        'U' => 9,
                        _ => 1,
                    }
            }
            (Style::SingleQuoted, '\'') => 2,
            _ if first == wanted => first.len_utf8(),
            _ => return None,
        };
        self.at = start + len;
        Some(start..self.at)
    }

    /// Passes over line breaks that a backslash takes away.
    fn continue_line(&mut self) {
        while self.style == Style::DoubleQuoted
            && self.rest().starts_with('\\')
            && let Some(len) = self.break_at(1)
        {
            self.at += 1 + len;
            self.at += self.trailing_spaces();
        }
    }
}

/// Whether the scalar that begins at `start` stands in quotes.
pub(super) fn is_quoted(file: &str, start: usize) -> bool {
    matches!(style(file, start), Some(Style::SingleQuoted | Style::DoubleQuoted))
}

fn style(file: &str, start: usize) -> Option<Style> {
    let line_start = file.get(..start)?.rfind('\n').map_or(0, |at| at + 1);
    Some(match file.get(start..)?.chars().next() {
        _ if is_block(file, line_start, start) => Style::Block(start - line_start),
        Some('\'') => Style::SingleQuoted,
        Some('"') => Style::DoubleQuoted,
        _ => Style::Plain,
    })
}

/// Whether the line before the scalar's own ends in `|` or `>`, with or without its indicators and a comment.
fn is_block(file: &str, line_start: usize, start: usize) -> bool {
    let own = file.get(line_start..start).unwrap_or_default();
    let mut before = file.get(..line_start).unwrap_or_default().lines().rev();
    let header = before.find(|line| !line.trim().is_empty()).unwrap_or_default();
    let header = header.split(" #").next().unwrap_or_default().trim_end();
    let header = header.trim_end_matches(|char: char| char.is_ascii_digit() || matches!(char, '+' | '-'));
    let indicator = header.strip_suffix(['|', '>']);
    own.trim().is_empty() && indicator.is_some_and(|before| before.is_empty() || before.ends_with([' ', '\t']))
}
