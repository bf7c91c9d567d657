//! Expressions as people write them in real jobs, with inputs and outputs: `tests/real.txt`, one part a language.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking, in its helping functions as well")]

use redis_wb_compiler::Diagnostics;
use redis_wb_compiler::expr::scope::AnyRecord;
use redis_wb_compiler::expr::{self, Language, Text};
use redis_wb_compiler::source::{Files, Span};
use redis_wb_plan::{Input, compare, json};

/// What an expression gives: JSON, or `! ` and the code that refuses it.
fn outcome(language: Language, expression: &str, input: &str) -> String {
    let mut files = Files::new();
    let file = files.add("expression", expression);
    let place = |start: usize, end: usize| Span { file, start, end };
    let mut diagnostics = Diagnostics::default();
    let text = Text { text: expression, place: &place };
    let Some(compiled) = expr::compile(language, &text, &AnyRecord, &mut diagnostics) else {
        return format!("! {}", diagnostics.into_sorted().first().expect("an error is reported").code.name());
    };
    let input = Input::of(json::parse(input).expect("the input is JSON"));
    let output = compiled.expr.evaluate(&input).and_then(|value| json::write(&value, json::JSON_BYTES_MAX));
    output.unwrap_or_else(|reject| format!("! {}", reject.code))
}

fn same(given: &str, wanted: &str) -> bool {
    match (json::parse(given), json::parse(wanted)) {
        (Ok(given), Ok(wanted)) => compare::equal(&given, &wanted),
        _ => given == wanted,
    }
}

/// Every expression of the part of a language.
fn run(language: Language, heading: &str) {
    let file = include_str!("real.txt");
    let part = file.split_once(heading).map(|(_, rest)| rest.split("\n== ").next().unwrap_or_default());
    let part = part.expect("every language has its part");
    let mut lines = part.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let (mut count, mut wrong) = (0, Vec::new());
    while let Some(expression) = lines.next() {
        let (Some(input), Some(wanted)) = (lines.next(), lines.next().and_then(|line| line.strip_prefix("  => ")))
        else {
            panic!("{expression}: an input and an output must follow")
        };
        let given = outcome(language, expression, input);
        // The types of SQL count: 1 is not 1.0.
        let right = if language == Language::Sql { given == wanted } else { same(&given, wanted) };
        if !right {
            wrong.push(format!("{expression} of {input} gives {given}, not {wanted}"));
        }
        count += 1;
    }
    println!("{count} expressions");
    assert!(count >= 50, "{count} expressions are too few");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn jmespath_gives_what_the_file_says() {
    run(Language::JmesPath, "== JMESPath ==\n");
}

#[test]
fn sql_gives_what_the_file_says() {
    run(Language::Sql, "== SQL ==\n");
}
