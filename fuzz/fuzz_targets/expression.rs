//! Any expression over any document gives a value, which can be written as JSON, or the reason of a rejection. The
//! first character chooses the language, the first line is the expression, the rest the document.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redis_wb_compiler::expr::Language;
use redis_wb_plan::{Input, json};

fuzz_target!(|text: &str| {
    let Some((line, document)) = text.split_once('\n') else { return };
    let (language, expression) = match line.split_at_checked(1) {
        Some(("j", expression)) => (Language::JmesPath, expression),
        Some(("s", expression)) => (Language::Sql, expression),
        _ => return,
    };
    let Ok(value) = json::parse(document) else { return };
    let Some(expr) = redis_wb_fuzz::expression(language, expression) else { return };
    let input = Input::of(value);
    let Ok(value) = expr.evaluate(&input) else { return };
    let Ok(written) = json::write(&value, json::JSON_BYTES_MAX) else { return };
    json::parse(&written).expect("what was written is JSON");
});
