//! What several fuzz targets do with their input.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use redis_wb_compiler::expr::scope::AnyRecord;
use redis_wb_compiler::expr::{self, Language, Text};
use redis_wb_compiler::source::Span;
use redis_wb_compiler::{Diagnostic, Diagnostics, Files, Inputs, Live, Severity};
use redis_wb_plan::Expr;
use serde::Deserialize as _;

/// Compiles an expression. Every diagnostic points into it, one without an error has a result, and what comes out is
/// read back from its serialised form as it was.
pub fn expression(language: Language, text: &str) -> Option<Expr> {
    let mut files = Files::new();
    let file = files.add("expression", text);
    let place = |start: usize, end: usize| Span { file, start, end };
    let mut diagnostics = Diagnostics::default();
    let compiled = expr::compile(language, &Text { text, place: &place }, &AnyRecord, &mut diagnostics);
    let diagnostics = diagnostics.into_sorted();
    let wrong = diagnostics.iter().any(|one| one.severity() == Severity::Error);
    assert_eq!(compiled.is_none(), wrong, "{diagnostics:?}");
    point_into(&files, &diagnostics);
    let expr = compiled?.expr;
    let text = serde_json::to_string(&expr).expect("an expression can be serialised");
    let mut reader = serde_json::Deserializer::from_str(&text);
    // As `Plan::from_json` does, which bounds the depth itself.
    reader.disable_recursion_limit();
    let again = Expr::deserialize(&mut reader).expect("what was serialised can be read");
    assert_eq!(text, serde_json::to_string(&again).expect("an expression can be serialised"));
    Some(expr)
}

/// Compiles a job with the configuration and the tables of the gallery, or with another configuration.
pub fn job(config: Option<&str>, job: &str) {
    static GALLERY: LazyLock<(String, String)> = LazyLock::new(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../jobs");
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect("the gallery is there");
        (read("config.yaml"), read("schema.sql"))
    });
    let mut files = Files::new();
    let config = files.add("config.yaml", config.unwrap_or(&GALLERY.0));
    let jobs = vec![("job".to_owned(), files.add("job.yaml", job))];
    let mut read = |_: &str| Ok(GALLERY.1.clone());
    let inputs = Inputs { config, jobs, variables: BTreeMap::new(), read: &mut read, live: Live::default() };
    let compiled = redis_wb_compiler::compile(&mut files, inputs);
    assert_eq!(compiled.bugs, Vec::<String>::new());
    point_into(&files, &compiled.diagnostics);
}

/// Every label lies inside its file, between characters.
pub fn point_into(files: &Files, diagnostics: &[Diagnostic]) {
    for label in diagnostics.iter().flat_map(|diagnostic| &diagnostic.labels) {
        let text = &files.get(label.span.file).text;
        assert!(text.get(label.span.start..label.span.end).is_some(), "{label:?} in {text}");
    }
}
