//! A hundred expressions as people write them in jobs: `expressions.yaml` has each with a record and what it gives.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking, in its helping functions as well")]

use std::fs;
use std::path::Path;

use redis_wb_compiler::Diagnostics;
use redis_wb_compiler::expr::scope::AnyRecord;
use redis_wb_compiler::expr::{self, Language, Text};
use redis_wb_compiler::source::{Files, Span};
use redis_wb_plan::{Input, json};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    title: String,
    sql: Option<String>,
    jmespath: Option<String>,
    input: serde_json::Value,
    #[serde(default)]
    output: serde_json::Value,
    rejects: Option<String>,
}

/// What an expression gives as JSON, the code of the rejection, or the diagnostics.
fn outcome(language: Language, expression: &str, input: &serde_json::Value) -> String {
    let mut files = Files::new();
    let file = files.add("expression", expression);
    let place = |start: usize, end: usize| Span { file, start, end };
    let mut diagnostics = Diagnostics::default();
    let compiled = expr::compile(language, &Text { text: expression, place: &place }, &AnyRecord, &mut diagnostics);
    let Some(compiled) = compiled else {
        let diagnostics = diagnostics.into_sorted();
        return diagnostics.iter().map(|one| one.message.as_str()).collect::<Vec<_>>().join("; ");
    };
    let text = input.to_string();
    let input = Input::of(json::parse(&text).expect("it is JSON"));
    match compiled.expr.evaluate(&input) {
        Ok(value) => json::write(&value, json::JSON_BYTES_MAX).expect("it is not large"),
        Err(reject) => reject.code.to_string(),
    }
}

#[test]
fn expressions_of_jobs_give_what_people_expect() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/expressions.yaml");
    let text = fs::read_to_string(path).expect("tests/expressions.yaml");
    let cases: Vec<Case> = serde_yaml::from_str(&text).expect("a list of cases");
    let mut wrong = Vec::new();
    for case in &cases {
        let (language, expression) = match (&case.sql, &case.jmespath) {
            (Some(sql), None) => (Language::Sql, sql),
            (None, Some(jmespath)) => (Language::JmesPath, jmespath),
            _ => panic!("`{}` is in one language", case.title),
        };
        let given = outcome(language, expression, &case.input);
        let wanted = case.rejects.clone().unwrap_or_else(|| case.output.to_string());
        let normal = serde_json::from_str::<serde_json::Value>(&given).map_or(given, |value| value.to_string());
        if normal != wanted {
            wrong.push(format!("{}: {expression}\n  gives {normal}, not {wanted}", case.title));
        }
    }
    println!("{} expressions", cases.len());
    assert!(cases.len() >= 100, "{} are fewer than a hundred", cases.len());
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}
