//! What evaluation allocates: nothing where the result is in the record or the plan, one text where one is made.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use redis_wb_compiler::Diagnostics;
use redis_wb_compiler::expr::scope::AnyRecord;
use redis_wb_compiler::expr::{self, Language, Text};
use redis_wb_compiler::source::{Files, Span};
use redis_wb_plan::{Expr, Input, json, share};

const RECORD: &str = r#"{
    "id": 4711, "name": "Ada Lovelace", "email": "  ada@example.com", "phone": "+49-30-1234", "nick": null, "age": 36,
    "address": {"city": "London", "geo": {"lat": 51.5}}, "tags": ["new", "vip"],
    "orders": [{"id": 1, "state": "done", "total": 10}, {"id": 2, "state": "open", "total": 25.5}]
}"#;

fn compile(language: Language, text: &str) -> Expr {
    let mut files = Files::new();
    let file = files.add("expression", text);
    let place = |start: usize, end: usize| Span { file, start, end };
    let compiled = expr::compile(language, &Text { text, place: &place }, &AnyRecord, &mut Diagnostics::default());
    share::within(compiled.unwrap().expr)
}

/// How often one evaluation allocates; the second, since a constant pattern is compiled in the first.
fn allocations(language: Language, text: &str) -> u64 {
    let input = Input::of(json::parse(RECORD).unwrap());
    let compiled = compile(language, text);
    assert!(!compiled.evaluate(&input).unwrap().is_null(), "{text} gives nothing");
    let counted = allocation_counter::measure(|| drop(compiled.evaluate(&input)));
    counted.count_total
}

#[test]
fn what_is_in_the_record_or_the_plan_is_not_allocated() {
    for text in [
        "name",
        "address.city",
        "address.geo.lat",
        "address",
        "orders",
        "tags[-1]",
        "orders[1].state",
        "`7`",
        "'text'",
        "nick || name",
        "not_null(nick, name)",
        "age > `17` && 'adult' || 'minor'",
        "contains(tags, 'vip')",
        "starts_with(phone, '+49')",
        "length(orders)",
        "max_by(orders, &total).id",
    ] {
        assert_eq!(allocations(Language::JmesPath, text), 0, "{text}");
    }
    for text in [
        "name",
        "address.city",
        "name = 'Ada Lovelace'",
        "age * 3 + 1",
        "CAST(age AS INTEGER) > 17 AND name IS NOT NULL",
        "coalesce(nick, name)",
        "CASE WHEN age > 65 THEN 'senior' ELSE 'adult' END",
        "name LIKE 'Ada%'",
        "name IN ('Grace', 'Ada Lovelace')",
        "trim(email)",
        "substr(phone, 1, 3)",
        "replace(name, '-', '')",
        "ltrim(phone, '+0')",
        "instr(email, '@')",
    ] {
        assert_eq!(allocations(Language::Sql, text), 0, "{text}");
    }
}

#[test]
fn a_text_that_is_made_is_allocated_once() {
    for (language, text) in [
        (Language::JmesPath, "join(',', tags)"),
        (Language::JmesPath, "concat([name, ' <', email, '>'])"),
        (Language::JmesPath, "orders[*].total"),
        (Language::Sql, "name || ' <' || email || '>'"),
        (Language::Sql, "replace(phone, '-', '')"),
        (Language::Sql, "upper(trim(email))"),
        (Language::Sql, "replace(replace(replace(ltrim(phone, '+0'), ' ', ''), '-', ''), '/', '')"),
    ] {
        assert_eq!(allocations(language, text), 1, "{text}");
    }
}
