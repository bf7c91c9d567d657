//! Diagnostics as SARIF 2.1.0, which code scanning and editors read.
//!
//! Source: <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>. Lines and columns count from 1, columns
//! in Unicode code points; an end column is behind the last character.

use std::fmt::Write as _;
use std::path::Path;

use redis_wb_compiler::codes::Code;
use redis_wb_compiler::diagnostic::Label;
use redis_wb_compiler::source::Span;
use redis_wb_compiler::{Diagnostic, Files, Severity};
use serde_json::{Value, json};

/// The whole log, with every code as a rule.
pub(super) fn render(diagnostics: &[Diagnostic], files: &Files) -> Value {
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "redis-wb",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": Code::ALL.iter().map(|code| rule(*code)).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": diagnostics.iter().map(|one| result(one, files)).collect::<Vec<_>>(),
        }],
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// A code and its page of `redis-wb explain`, of which the first paragraph is the short description.
fn rule(code: Code) -> Value {
    let explanation = code.explanation();
    let first = explanation.split("\n\n").next().unwrap_or_default().replace('\n', " ");
    json!({
        "id": code.name(),
        "shortDescription": {"text": first},
        "help": {"text": explanation},
        "defaultConfiguration": {"level": level(code.severity())},
    })
}

fn result(diagnostic: &Diagnostic, files: &Files) -> Value {
    let mut text = diagnostic.message.clone();
    if let Some(help) = &diagnostic.help {
        let _ = write!(text, "\n{help}");
    }
    let mut labels = diagnostic.labels.iter();
    let first = labels.next();
    let location = first.map(|label| location(label, files));
    let fix = first.and_then(|label| Some(fix(label.span, diagnostic.replacement(files)?, files)));
    json!({
        "ruleId": diagnostic.code.name(),
        "ruleIndex": Code::ALL.iter().position(|code| *code == diagnostic.code),
        "level": level(diagnostic.severity()),
        "message": {"text": text},
        "locations": Vec::from_iter(location),
        "relatedLocations": labels.map(|label| self::location(label, files)).collect::<Vec<_>>(),
        "fixes": Vec::from_iter(fix),
    })
}

fn location(label: &Label, files: &Files) -> Value {
    json!({"physicalLocation": place(label.span, files), "message": {"text": label.text}})
}

fn place(span: Span, files: &Files) -> Value {
    json!({"artifactLocation": artifact(span, files), "region": region(span, files)})
}

fn artifact(span: Span, files: &Files) -> Value {
    json!({"uri": uri(&files.get(span.file).name)})
}

fn region(span: Span, files: &Files) -> Value {
    let file = files.get(span.file);
    let (start, end) = (file.line_column(span.start), file.line_column(span.end));
    json!({"startLine": start.line, "startColumn": start.column, "endLine": end.line, "endColumn": end.column})
}

fn fix(span: Span, replacement: &str, files: &Files) -> Value {
    json!({
        "description": {"text": format!("write `{replacement}`")},
        "artifactChanges": [{
            "artifactLocation": artifact(span, files),
            "replacements": [{"deletedRegion": region(span, files), "insertedContent": {"text": replacement}}],
        }],
    })
}

/// A path as a URI: relative as it was given, or `file:///…`; what may not stand in one is written as `%20`.
fn uri(path: &str) -> String {
    let mut uri = if Path::new(path).is_absolute() { "file://".to_owned() } else { String::new() };
    let path = path.strip_prefix("./").unwrap_or(path);
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => uri.push(char::from(byte)),
            _ => {
                let _ = write!(uri, "%{byte:02X}");
            }
        }
    }
    uri
}
