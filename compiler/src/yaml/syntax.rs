//! What is wrong with a file that is no YAML: from what the parser says and what stands there, the mistake that was
//! probably made. Knows lines and characters, nothing of nodes.
//!
//! | part | which mistakes |
//! |---|---|
//! | this file | the order in which they are looked for |
//! | `line` | of the lines: tabs, indentation, a space missing behind a colon |
//! | `scalar` | of values: quotes, brackets, characters that mean something at their beginning |
//! | `text` | lines, values and quotes of a text |

mod line;
mod scalar;
mod text;

use super::offset;
use crate::Diagnostic;
use crate::codes::Code;
use crate::source::{FileId, Files, Span};
use text::Text;

/// A mistake, before it is a diagnostic.
struct Mistake {
    /// The bytes that are wrong.
    at: std::ops::Range<usize>,
    message: String,
    label: &'static str,
    help: String,
    /// The bytes that are the cause, and what they are.
    because: Option<(std::ops::Range<usize>, &'static str)>,
}

impl Mistake {
    fn new(
        at: std::ops::Range<usize>,
        message: impl Into<String>,
        label: &'static str,
        help: impl Into<String>,
    ) -> Self {
        Self { at, message: message.into(), label, help: help.into(), because: None }
    }

    fn diagnostic(self, file: FileId) -> Diagnostic {
        let span = |range: std::ops::Range<usize>| Span { file, start: range.start, end: range.end };
        let diagnostic = Diagnostic::new(Code::E0001, span(self.at), self.message, self.label).help(self.help);
        match self.because {
            Some((range, what)) => diagnostic.because(span(range), what),
            None => diagnostic,
        }
    }
}

/// Explains an error of the parser.
pub(super) fn explain(error: &serde_yaml::Error, file: FileId, files: &Files) -> Diagnostic {
    let whole = &files.get(file).masked();
    let location = error.location().and_then(|at| offset(whole, at.line(), at.column()));
    let text = Text::new(whole, location.unwrap_or(0));
    let said = error.without_snippet().to_string();
    let said = said.split(" at line ").next().unwrap_or_default();
    let mistake = line::tab(&text)
        .or_else(|| line::second_document(&text, said))
        .or_else(|| line::duplicate_key(&text, said))
        .or_else(|| scalar::quotes(&text, said))
        .or_else(|| scalar::first_character(&text, said))
        .or_else(|| scalar::bracket(&text))
        .or_else(|| line::colon(&text, said))
        .or_else(|| line::indentation(&text, said))
        .unwrap_or_else(|| {
            let help = "check the indentation, the quotes and the colons of this line";
            Mistake::new(text.character(), format!("this is no valid YAML: {said}"), "here", help)
        });
    mistake.diagnostic(file)
}

/// The mistake of a scalar that begins at `start`, of whose beginning YAML made a tag or an anchor, so that it is
/// lost. `is_null` tells whether nothing is left of it.
pub(super) fn swallowed(file: FileId, files: &Files, start: usize, is_null: bool) -> Option<Diagnostic> {
    let masked = files.get(file).masked();
    let text = Text::new(&masked, start);
    scalar::swallowed(&text, is_null).map(|mistake| mistake.diagnostic(file))
}
