//! The examples of every builtin function, and its reference page: `docs/functions.md` is made here.
//! `UPDATE_DOCS=1 cargo test -p redis-wb-compiler --test functions` writes it anew.

#![expect(clippy::panic, reason = "a test fails by panicking, in its helping functions as well")]

use std::fs;
use std::path::Path;

use redis_wb_compiler::Diagnostics;
use redis_wb_compiler::expr::scope::AnyRecord;
use redis_wb_compiler::expr::{self, Language, Text};
use redis_wb_compiler::source::{Files, Span};
use redis_wb_plan::functions::{self, Example, docs};
use redis_wb_plan::{Input, json};

/// What an example gives: JSON, the code of the rejection, or the codes of the diagnostics.
fn outcome(expression: &str, input: &str) -> String {
    let mut files = Files::new();
    let file = files.add("expression", expression);
    let place = |start: usize, end: usize| Span { file, start, end };
    let mut diagnostics = Diagnostics::default();
    let text = Text { text: expression, place: &place };
    let compiled = expr::compile(Language::JmesPath, &text, &AnyRecord, &mut diagnostics);
    let Some(compiled) = compiled else {
        // What is rejected for every record is an error of the compiler, which names the same reason.
        let diagnostics = diagnostics.into_sorted();
        return diagnostics.iter().map(|one| one.code.name()).collect::<Vec<_>>().join(" ");
    };
    let value = json::parse(input).unwrap_or_else(|reject| panic!("{input}: {reject}"));
    let input = Input::of(value);
    match compiled.expr.evaluate(&input) {
        Ok(value) => json::write(&value, json::JSON_BYTES_MAX).unwrap_or_else(|reject| reject.code.to_string()),
        Err(reject) => reject.code.to_string(),
    }
}

/// JSON without spaces; a code as it is.
fn normal(output: &str) -> String {
    let parsed = json::parse(output).and_then(|value| json::write(&value, json::JSON_BYTES_MAX));
    parsed.unwrap_or_else(|_| output.to_owned())
}

#[test]
fn every_example_gives_what_it_says() {
    let mut count = 0;
    for function in functions::all() {
        let definition = function.definition();
        assert!(!definition.examples.is_empty(), "{} has no example", definition.name);
        assert!(!definition.doc.is_empty(), "{} has no doc", definition.name);
        for Example { expression, input, output } in definition.examples {
            let given = outcome(expression, input);
            let same = given == normal(output) || (given == "E0306" && output.starts_with('R'));
            assert!(same, "{expression} of {input} gives {given}, not {output}");
            count += 1;
        }
    }
    println!("{count} examples of {} functions", functions::all().count());
}

#[test]
fn the_reference_page_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/functions.md");
    let page = docs::page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &page).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == page, "docs/functions.md is out of date: run this test with UPDATE_DOCS=1");
}
