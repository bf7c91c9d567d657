//! What the compiler has to say: a code, a message, labels on the culprit and its causes, and a remedy.

use serde::Serialize;

use crate::codes::Code;
use crate::source::{Files, Span};
use crate::suggest;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The plan is made all the same.
    Warning,
    /// No plan is made.
    Error,
}

/// One place, and what is to be said of it.
#[derive(Debug, Clone)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// What is there.
    pub text: String,
}

/// One thing that is wrong.
#[derive(Debug, Clone)]
pub struct Diagnostic {
    /// Its code.
    pub code: Code,
    /// What is wrong, in one line.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// Where: the first is what is wrong, further ones are why.
    pub labels: Vec<Label>,
}

impl Diagnostic {
    /// A diagnostic whose first label is on `span`.
    pub fn new(code: Code, span: Span, message: impl Into<String>, label: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: None, labels: vec![Label { span, text: label.into() }] }
    }

    /// The same with a remedy.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same with a remedy where there is one.
    #[must_use]
    pub fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }

    /// The same with a further label that says why.
    #[must_use]
    pub fn because(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    /// What may be put in the place of the first label, where the help proposes one word for what stands there.
    #[must_use]
    pub fn replacement(&self, files: &Files) -> Option<&str> {
        let word = suggest::proposed(self.help.as_deref()?)?;
        let written = files.text(self.labels.first()?.span);
        // The label may be on more than the word.
        suggest::nearest(written, [word]).filter(|_| written != word)
    }

    /// How bad it is: the code's first letter says it.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.code.severity()
    }
}

/// Everything that is wrong, in the order in which it was found.
#[derive(Debug, Default)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Adds one.
    pub fn report(&mut self, diagnostic: Diagnostic) {
        self.list.push(diagnostic);
    }

    /// Adds all that another one holds.
    pub fn append(&mut self, mut others: Self) {
        self.list.append(&mut others.list);
    }

    /// Whether any of them is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|diagnostic| diagnostic.severity() == Severity::Error)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All of them, by place.
    #[must_use]
    pub fn into_sorted(mut self) -> Vec<Diagnostic> {
        self.list.sort_by_key(|diagnostic| diagnostic.labels.first().map(|label| (label.span.file, label.span.start)));
        self.list
    }
}

/// A diagnostic as `check --format json` prints it.
#[derive(Debug, Serialize)]
pub struct JsonDiagnostic<'a> {
    code: &'static str,
    severity: Severity,
    message: &'a str,
    help: Option<&'a str>,
    replacement: Option<&'a str>,
    labels: Vec<JsonLabel<'a>>,
}

#[derive(Debug, Serialize)]
struct JsonLabel<'a> {
    file: &'a str,
    line: usize,
    column: usize,
    length: usize,
    text: &'a str,
}

impl<'a> JsonDiagnostic<'a> {
    /// The JSON form; lines and columns count from 1, columns and lengths in characters.
    #[must_use]
    pub fn new(diagnostic: &'a Diagnostic, files: &'a Files) -> Self {
        let label = |label: &'a Label| {
            let file = files.get(label.span.file);
            let at = file.line_column(label.span.start);
            let length = files.text(label.span).chars().count();
            JsonLabel { file: &file.name, line: at.line, column: at.column, length, text: &label.text }
        };
        Self {
            code: diagnostic.code.name(),
            severity: diagnostic.severity(),
            message: &diagnostic.message,
            help: diagnostic.help.as_deref(),
            replacement: diagnostic.replacement(files),
            labels: diagnostic.labels.iter().map(label).collect(),
        }
    }
}

/// Stands for a space at which no line may be broken, until [`unglued`] puts the space back: what stands between
/// backticks is there to be copied. No text of a user has it, since it is for private use.
const GLUE: char = '\u{f8d0}';
/// Code that is longer than this is broken all the same.
const GLUED_CHARS_MAX: usize = 60;

/// The text, its code held together: what stands between backticks, one or two on each side.
fn glued(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('`') {
        let (before, behind) = rest.split_at(start);
        let mark = if behind.starts_with("``") { "``" } else { "`" };
        let inside = behind.get(mark.len()..).unwrap_or_default();
        let Some(end) = inside.find(mark) else { break };
        let (code, behind) = inside.split_at(end);
        let is_short = code.chars().count() <= GLUED_CHARS_MAX;
        let code = if is_short { code.replace(' ', &GLUE.to_string()) } else { code.to_owned() };
        out.extend([before, mark, &code, mark]);
        rest = behind.get(mark.len()..).unwrap_or_default();
    }
    out + rest
}

/// A rendered [`Report`] as people read it.
#[must_use]
pub fn unglued(rendered: &str) -> String {
    rendered.replace(GLUE, " ")
}

/// A diagnostic as miette renders it, to be shown by way of [`unglued`]. Labels in other files than the first become related diagnostics.
#[derive(Debug)]
pub struct Report {
    diagnostic: Diagnostic,
    source: miette::NamedSource<String>,
    labels: Vec<miette::LabeledSpan>,
    related: Vec<RelatedLabel>,
}

#[derive(Debug)]
struct RelatedLabel {
    text: String,
    source: miette::NamedSource<String>,
    label: miette::LabeledSpan,
}

impl Report {
    /// Prepares a diagnostic for rendering.
    #[must_use]
    pub fn new(diagnostic: Diagnostic, files: &Files) -> Self {
        let source = |span: Span| {
            let file = files.get(span.file);
            miette::NamedSource::new(&file.name, file.shown().to_owned())
        };
        let main = diagnostic.labels.first().map(|label| label.span);
        let spot = |label: &Label| {
            let text = (!label.text.is_empty()).then(|| label.text.clone());
            miette::LabeledSpan::new(text, label.span.start, label.span.end - label.span.start)
        };
        let here = |label: &&Label| main.is_some_and(|main| main.file == label.span.file);
        Self {
            source: main.map_or_else(|| miette::NamedSource::new("", String::new()), source),
            labels: diagnostic.labels.iter().filter(here).map(spot).collect(),
            related: diagnostic
                .labels
                .iter()
                .filter(|label| !here(label))
                .map(|label| RelatedLabel {
                    text: label.text.clone(),
                    source: source(label.span),
                    label: miette::LabeledSpan::new(None, label.span.start, label.span.end - label.span.start),
                })
                .collect(),
            diagnostic,
        }
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&glued(&self.diagnostic.message))
    }
}

impl std::error::Error for Report {}

impl miette::Diagnostic for Report {
    fn code<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        Some(Box::new(self.diagnostic.code.name()))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.diagnostic.severity() {
            Severity::Warning => miette::Severity::Warning,
            Severity::Error => miette::Severity::Error,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        self.diagnostic.help.as_deref().map(|help| Box::new(glued(help)) as Box<dyn std::fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = miette::LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn miette::Diagnostic> + 'a>> {
        Some(Box::new(self.related.iter().map(|related| related as &dyn miette::Diagnostic)))
    }
}

impl std::fmt::Display for RelatedLabel {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.text)
    }
}

impl std::error::Error for RelatedLabel {}

impl miette::Diagnostic for RelatedLabel {
    fn severity(&self) -> Option<miette::Severity> {
        Some(miette::Severity::Advice)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = miette::LabeledSpan> + '_>> {
        Some(Box::new(std::iter::once(self.label.clone())))
    }
}
