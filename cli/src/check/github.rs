//! Diagnostics as workflow commands of GitHub Actions, which shows them beside the lines of a pull request.
//!
//! Source: <https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions>; what is escaped and how
//! columns count is as in `@actions/core`.

use std::fmt::Write as _;

use redis_wb_compiler::{Diagnostic, Files, Severity};

/// One command a diagnostic, each on a line of its own.
pub(super) fn render(diagnostics: &[Diagnostic], files: &Files) -> String {
    diagnostics.iter().map(|diagnostic| command(diagnostic, files)).collect()
}

fn command(diagnostic: &Diagnostic, files: &Files) -> String {
    let level = match diagnostic.severity() {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let place = place(diagnostic, files);
    let title = property(diagnostic.code.name());
    format!("::{level} {place}title={title}::{}\n", data(&text(diagnostic, files)))
}

/// The place of the first label as properties. A command may name columns only where it stands on one line.
fn place(diagnostic: &Diagnostic, files: &Files) -> String {
    let Some(label) = diagnostic.labels.first() else {
        return String::new();
    };
    let file = files.get(label.span.file);
    let (start, end) = (file.line_column(label.span.start), file.line_column(label.span.end));
    let mut place = format!("file={},line={},", property(&file.name), start.line);
    // The end column is that of the last character, not of the one behind it.
    let last = end.column.saturating_sub(1).max(start.column);
    let _ = if end.line == start.line {
        write!(place, "col={},endLine={},endColumn={last},", start.column, end.line)
    } else {
        write!(place, "endLine={},", end.line)
    };
    place
}

/// Message, labels and help; further labels with their places, since a command has one place only.
fn text(diagnostic: &Diagnostic, files: &Files) -> String {
    let mut text = diagnostic.message.clone();
    for (nth, label) in diagnostic.labels.iter().enumerate().filter(|(_, label)| !label.text.is_empty()) {
        let file = files.get(label.span.file);
        let at = file.line_column(label.span.start);
        let _ = match nth {
            0 => write!(text, "\n{}", label.text),
            _ => write!(text, "\n{}:{}:{}: {}", file.name, at.line, at.column, label.text),
        };
    }
    if let Some(help) = &diagnostic.help {
        let _ = write!(text, "\nhelp: {help}");
    }
    text
}

/// The text behind `::`, escaped.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The value of a property, escaped.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
