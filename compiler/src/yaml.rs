//! YAML into a tree whose every node knows its place. Knows nothing of jobs.

mod places;
mod syntax;

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::codes::Code;
use crate::source::{FileId, Files, Span, Spanned};
use crate::{Diagnostic, Diagnostics};

/// One node of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What it holds.
    pub value: Value,
    /// Where it stands: a scalar with its quotes, a list or mapping from its first to its last child.
    pub span: Span,
}

/// What a node holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing, `null` or `~`.
    Null,
    /// A plain scalar that YAML reads as a boolean or number; `text` is what the file says.
    Plain {
        /// The text as written.
        text: String,
        /// What YAML makes of it.
        value: Plain,
    },
    /// Any other scalar.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order of the file.
    Map(Vec<(Spanned<String>, Node)>),
}

/// A scalar that is no text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Plain {
    /// A boolean.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Another number.
    Float(f64),
}

impl Value {
    /// What the node is, for people.
    #[must_use]
    pub const fn shape(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Plain { value: Plain::Bool(_), .. } => "a boolean",
            Self::Plain { .. } => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

impl Node {
    /// The scalar as the file writes it: a column called `no` or `1` stays what it is.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) | Value::Plain { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Where the characters of the scalar begin: behind the quote, if it has one.
    #[must_use]
    pub fn text_span(&self, files: &Files) -> Span {
        let file = &files.get(self.span.file).text;
        if self.span.end > self.span.start + 1 && places::is_quoted(file, self.span.start) {
            return Span { start: self.span.start + 1, end: self.span.end - 1, ..self.span };
        }
        self.span
    }

    /// The place of the bytes `start..end` of the scalar's text, in whichever style the file writes it.
    #[must_use]
    pub fn part_span(&self, files: &Files, start: usize, end: usize) -> Span {
        let whole = self.text_span(files);
        let Some(text) = self.text() else { return whole };
        if text == files.text(whole) {
            return whole.part(start, end);
        }
        let file = &files.get(self.span.file).text;
        let found = places::find(file, self.span.start, text, start..end);
        found.map_or(whole, |found| Span { start: found.start, end: found.end, ..whole })
    }
}

/// Parses one file. `None` where it is no YAML, which is reported.
pub fn parse(file: FileId, files: &Files, diagnostics: &mut Diagnostics) -> Option<Node> {
    let text = &files.get(file).text;
    match serde_yaml::from_str::<serde_yaml::Spanned<Raw>>(text) {
        Ok(raw) => {
            let before = diagnostics.len();
            let root = node(raw, file, files, diagnostics);
            swallowed(&root, files).into_iter().for_each(|mistake| diagnostics.report(mistake));
            (diagnostics.len() == before).then_some(root)
        }
        Err(error) => {
            diagnostics.report(syntax::explain(&error, file, files));
            None
        }
    }
}

/// A scalar that lost its beginning to a tag or an anchor.
fn swallowed(node: &Node, files: &Files) -> Option<Diagnostic> {
    match &node.value {
        Value::List(items) => items.iter().find_map(|item| swallowed(item, files)),
        Value::Map(entries) => entries.iter().find_map(|(_, value)| swallowed(value, files)),
        value => syntax::swallowed(node.span.file, files, node.span.start, *value == Value::Null),
    }
}

/// The byte of a line and column, both from 1, the column in characters.
fn offset(text: &str, line: u64, column: u64) -> Option<usize> {
    let line_index = usize::try_from(line).ok()?.checked_sub(1)?;
    let before: usize = text.split_inclusive('\n').take(line_index).map(str::len).sum();
    let rest = text.get(before..)?;
    let chars = usize::try_from(column).ok()?.checked_sub(1)?;
    let within = rest.char_indices().nth(chars).map_or(rest.len(), |(at, _)| at);
    Some(before + within)
}

/// What serde hands over, before places are made whole.
enum Raw {
    Null,
    Plain(Plain),
    Text(String),
    List(Vec<serde_yaml::Spanned<Raw>>),
    Map(Vec<(serde_yaml::Spanned<Raw>, serde_yaml::Spanned<Raw>)>),
}

fn node(raw: serde_yaml::Spanned<Raw>, file: FileId, files: &Files, diagnostics: &mut Diagnostics) -> Node {
    let mut span = place(&raw, file, files);
    let value = match raw.value {
        Raw::Null => Value::Null,
        Raw::Text(text) => Value::Text(text),
        Raw::Plain(value) => Value::Plain { text: files.text(span).to_owned(), value },
        Raw::List(items) => Value::List(items.into_iter().map(|item| node(item, file, files, diagnostics)).collect()),
        Raw::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(key, value)| {
                    let key = node(key, file, files, diagnostics);
                    is_name(&key, diagnostics);
                    let name = key.text().map_or_else(|| files.text(key.span).to_owned(), str::to_owned);
                    (Spanned { value: name, span: key.text_span(files) }, node(value, file, files, diagnostics))
                })
                .collect(),
        ),
    };
    // The parser places a block list or mapping at its first byte only.
    let last = match &value {
        Value::List(items) => items.last().map(|item| item.span.end),
        Value::Map(entries) => entries.last().map(|(key, value)| value.span.end.max(key.span.end)),
        _ => None,
    };
    span.end = last.map_or(span.end, |last| last.max(span.end));
    Node { value, span }
}

/// Reports a list or a mapping in the place of a key.
fn is_name(key: &Node, diagnostics: &mut Diagnostics) {
    if !matches!(key.value, Value::List(_) | Value::Map(_)) {
        return;
    }
    let message = "the key of a mapping is one name";
    let diagnostic = Diagnostic::new(Code::E0004, key.span, message, format!("this is {}", key.value.shape()));
    diagnostics.report(
        diagnostic.help("write a line of its own for each name; a name that begins with `[` or `{` stands in quotes"),
    );
}

fn place(raw: &serde_yaml::Spanned<Raw>, file: FileId, files: &Files) -> Span {
    let span = raw.referenced.span();
    let text = &files.get(file).text;
    let start = span.byte_offset().and_then(|at| usize::try_from(at).ok()).unwrap_or(0).min(text.len());
    let len = span.byte_len().and_then(|len| usize::try_from(len).ok()).unwrap_or(0);
    Span { file, start, end: start.saturating_add(len).min(text.len()) }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("any YAML")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Plain(Plain::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Plain(Plain::Int(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(i64::try_from(value).map_or_else(|_| Raw::Text(value.to_string()), |value| Raw::Plain(Plain::Int(value))))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Plain(Plain::Float(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Raw, E> {
        Ok(Raw::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}
