//! The texts that are compiled, and places in them.

/// What some editors write at the beginning of a file in UTF-8.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// A file of [`Files`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(usize);

/// A range of bytes in a file.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// The first byte.
    pub start: usize,
    /// Behind the last byte.
    pub end: usize,
}

impl Span {
    /// An empty span at the start of a file.
    #[must_use]
    pub const fn top(file: FileId) -> Self {
        Self { file, start: 0, end: 0 }
    }

    /// The part of this span from `start` to `end`, counted from its own start.
    #[must_use]
    pub fn part(self, start: usize, end: usize) -> Self {
        let at = |offset: usize| self.start.saturating_add(offset).min(self.end);
        Self { file: self.file, start: at(start), end: at(end) }
    }
}

// Spans take no part in equality, so that trees compare by what they say.
impl PartialEq for Span {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl Eq for Span {}

/// A value and the place it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

/// One text.
#[derive(Debug)]
pub struct File {
    /// The path as the user gave it.
    pub name: String,
    /// The whole text.
    pub text: String,
    /// The text as people may see it, where that is not the whole.
    shown: Option<String>,
    line_starts: Vec<usize>,
}

/// A line and a column, both counted from 1; the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineColumn {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// All texts of one compilation.
#[derive(Debug, Default)]
pub struct Files {
    files: Vec<File>,
}

impl Files {
    /// No file yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a text under the name that diagnostics show. A byte order mark is no part of it.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> FileId {
        let mut text = text.into();
        if text.starts_with(BYTE_ORDER_MARK) {
            text.drain(..BYTE_ORDER_MARK.len_utf8());
        }
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        self.files.push(File { name: name.into(), text, shown: None, line_starts });
        FileId(self.files.len() - 1)
    }

    /// The file.
    #[must_use]
    pub fn get(&self, id: FileId) -> &File {
        // INVARIANT (file ids): only `add` makes an id, and no file is ever taken away.
        #[expect(clippy::indexing_slicing, reason = "see the invariant")]
        &self.files[id.0]
    }

    /// Keeps a secret from being shown with the lines around it: asterisks stand in its place.
    pub fn hide(&mut self, secret: Span) {
        let Some(file) = self.files.get_mut(secret.file.0) else { return };
        let shown = file.shown.get_or_insert_with(|| file.text.clone());
        if shown.is_char_boundary(secret.start) && shown.is_char_boundary(secret.end) && secret.start < secret.end {
            shown.replace_range(secret.start..secret.end, &"*".repeat(secret.end - secret.start));
        }
    }

    /// The text of a span.
    #[must_use]
    pub fn text(&self, span: Span) -> &str {
        self.get(span.file).text.get(span.start..span.end).unwrap_or_default()
    }
}

impl File {
    /// The text as people may see it.
    #[must_use]
    pub fn shown(&self) -> &str {
        self.shown.as_deref().unwrap_or(&self.text)
    }

    /// The same for whoever looks into it: letters stand in place of a secret, which mean nothing in YAML.
    #[must_use]
    pub fn masked(&self) -> String {
        let mask = |(own, shown)| if own == shown { own } else { b'x' };
        let bytes = self.text.bytes().zip(self.shown().bytes()).map(mask).collect();
        String::from_utf8(bytes).unwrap_or_else(|_| self.shown().to_owned())
    }

    /// The line and column of a byte.
    #[must_use]
    pub fn line_column(&self, offset: usize) -> LineColumn {
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let start = line.checked_sub(1).and_then(|index| self.line_starts.get(index)).copied().unwrap_or(0);
        let column = self.text.get(start..offset).map_or(0, |before| before.chars().count());
        LineColumn { line: line.max(1), column: column + 1 }
    }
}
