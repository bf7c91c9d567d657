//! The published JMESPath compliance suite, case by case, errors included; `benchmarks.json` must compile.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking, in its helping functions as well")]

use std::fs;
use std::path::{Path, PathBuf};

use redis_wb_compiler::codes::Code;
use redis_wb_compiler::expr::scope::AnyRecord;
use redis_wb_compiler::expr::{self, Language, Text};
use redis_wb_compiler::source::{Files, Span};
use redis_wb_compiler::{Diagnostics, Severity};
use redis_wb_plan::{Expr, Input, RejectCode, Value, compare, json};

/// A compiled expression, or the codes of its errors.
fn compile(text: &str) -> Result<Expr, Vec<Code>> {
    let mut files = Files::new();
    let file = files.add("expression", text);
    let place = |start: usize, end: usize| Span { file, start, end };
    let mut diagnostics = Diagnostics::default();
    let compiled = expr::compile(Language::JmesPath, &Text { text, place: &place }, &AnyRecord, &mut diagnostics);
    let errors = diagnostics.into_sorted().into_iter().filter(|one| one.severity() == Severity::Error);
    let errors: Vec<Code> = errors.map(|one| one.code).collect();
    match compiled {
        Some(compiled) if errors.is_empty() => Ok(compiled.expr),
        _ => Err(errors),
    }
}

/// What the suite calls an error.
fn class_of(codes: &[Code]) -> &'static str {
    match codes.first() {
        Some(Code::E0103) => "syntax",
        Some(Code::E0207) => "unknown-function",
        Some(Code::E0303) => "invalid-arity",
        Some(Code::E0304 | Code::E0305) => "invalid-type",
        Some(Code::E0306) => "invalid-type or invalid-value",
        other => panic!("no class for {other:?}"),
    }
}

/// The outcome of a case in words: what it gives as JSON, or the error.
fn outcome(expression: &str, given: &Value<'_>) -> Result<String, String> {
    let expr = compile(expression).map_err(|codes| class_of(&codes).to_owned())?;
    let input = Input::of(given.borrowed());
    match expr.evaluate(&input) {
        Ok(value) => Ok(json::write(&value, json::JSON_BYTES_MAX).expect("it is not large")),
        Err(reject) if reject.code == RejectCode::InvalidArgument => Err("invalid-type or invalid-value".to_owned()),
        Err(reject) => panic!("{expression}: {reject}"),
    }
}

/// Why a case fails, if it does.
fn failure(given: &Value<'_>, case: &Value<'_>) -> Option<String> {
    let Some(Value::Text(expression)) = case.field("expression") else { panic!("a case without expression") };
    let outcome = outcome(expression, given);
    let passes = match (&outcome, case.field("result"), case.field("error")) {
        (Ok(given), Some(wanted), None) => {
            compare::equal(&json::parse(given).expect("what is written can be read"), wanted)
        }
        (Err(given), None, Some(Value::Text(wanted))) => given.contains(&**wanted),
        // A benchmark has neither: it must compile and evaluate.
        (Ok(_), None, None) => true,
        _ => false,
    };
    (!passes).then(|| format!("{expression}: {outcome:?}, wanted {:?}", case.field("result").or(case.field("error"))))
}

/// How many cases of a file there are, and why some of them fail.
fn run(path: &Path) -> (usize, Vec<String>) {
    let text = fs::read_to_string(path).expect("the suite is there");
    let suites = json::parse(&text).expect("the suite is JSON");
    let Value::List(suites) = &suites else { panic!("no list of suites") };
    let mut count = 0;
    let mut failures = Vec::new();
    for suite in suites.iter() {
        let (Some(given), Some(Value::List(cases))) = (suite.field("given"), suite.field("cases")) else {
            panic!("a suite without cases")
        };
        count += cases.len();
        failures.extend(cases.iter().filter_map(|case| failure(given, case)));
    }
    (count, failures)
}

#[test]
fn every_case_of_the_suite_passes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compliance");
    let entries = fs::read_dir(folder).expect("the suite is there").map(|entry| entry.expect("readable").path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
    files.sort();
    let (mut total, mut all_failures) = (0, Vec::new());
    for path in &files {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let (count, failures) = run(path);
        println!("{name:12} {:3} of {count:3} pass", count - failures.len());
        total += count;
        all_failures.extend(failures.into_iter().map(|failure| format!("{name}: {failure}")));
    }
    println!("{:12} {:3} of {total:3} pass", "all", total - all_failures.len());
    assert!(all_failures.is_empty(), "{}", all_failures.join("\n"));
    assert_eq!(total, 908, "the suite has lost cases");
}
