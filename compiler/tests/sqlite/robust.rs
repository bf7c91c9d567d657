//! No text, and no record, makes the compiler or the evaluator panic.

use proptest::prelude::*;
use redis_wb_compiler::expr::sql::{EXPRESSION_BYTES_MAX, Manner};

use super::generate::{Random, expression, record};
use super::oracle::{compile, evaluate};

fn survives(text: &str, seed: u64) {
    let _ = evaluate(Manner::Safe, text, &record(&mut Random::new(seed)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_text_is_compiled_or_refused(text in ".{0,60}") {
        survives(&text, 1);
    }

    #[test]
    fn any_sequence_of_words_is_compiled_or_refused(
        words in prop::collection::vec(prop::sample::select(vec![
            "a", "1", "'x'", "(", ")", ",", "+", "-", "||", "NOT", "AND", "OR", "IN", "BETWEEN", "CASE", "WHEN", "THEN",
            "ELSE", "END", "CAST", "AS", "INTEGER", "LIKE", "ESCAPE", "IS", "NULL", "DISTINCT", "FROM", "COLLATE",
            "NOCASE", "json", "->", ".", "`", "\"", "x'", "SELECT", "*", "EXISTS", "?1", ":a", "@b", "count", "OVER",
            "FILTER", "~", "<", "=", "0x", "1e", "date", "'now'", "--", "/*", ";", "[", "]", "INTERVAL", "ARRAY",
        ]), 0..24)
    ) {
        survives(&words.join(" "), 2);
    }

    #[test]
    fn a_damaged_expression_is_compiled_or_refused(seed in any::<u64>(), at in any::<prop::sample::Index>(), with in ".") {
        let mut random = Random::new(seed);
        let mut text: Vec<char> = expression(&mut random, 3).chars().collect();
        let at = at.index(text.len() + 1);
        if at < text.len() && seed % 2 == 0 {
            text.remove(at);
        } else {
            text.splice(at..at, with.chars());
        }
        survives(&text.into_iter().collect::<String>(), seed);
    }
}

#[test]
fn depth_and_length_are_bounded() {
    for text in [
        format!("{}a{}", "(".repeat(10_000), ")".repeat(10_000)),
        format!("{}a", "- ".repeat(2_000)),
        format!("{}a", "NOT ".repeat(2_000)),
        format!("a{}", "+1".repeat(2_000)),
        format!("a{}", " = 1".repeat(2_000)),
        format!("a{}", " = 1".repeat(250)),
        format!("a{}", " IS 1".repeat(250)),
        format!("(a{}) IS NULL", " AND a = 1".repeat(60)) + &" IS 1".repeat(135),
        "CASE WHEN ".repeat(1_000),
        format!("{}a{}", "abs(".repeat(500), ")".repeat(500)),
        "a".repeat(EXPRESSION_BYTES_MAX + 1),
        format!("a{}", ", b".repeat(30_000)),
    ] {
        assert!(compile(Manner::Safe, &text).is_err(), "{}…", &text[..40]);
    }
    for text in [
        format!("a{}", " || b".repeat(250)),
        format!("a{}", " AND b".repeat(250)),
        format!("a IN ({}1)", "1, ".repeat(1_900)),
        format!("{}a{}", "(".repeat(40), ")".repeat(40)),
        format!("a{}", " + b".repeat(100)),
    ] {
        assert!(compile(Manner::Safe, &text).is_ok(), "{}…", &text[..40]);
        survives(&text, 3);
    }
}

#[test]
fn deeply_nested_json_is_refused_and_not_a_crash() {
    for depth in [900, 5_000, 100_000] {
        let document = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        let record = vec![document; 8].into_iter().map(|text| redis_wb_plan::Value::Text(text.into())).collect();
        for text in
            ["json(a)", "json_extract(a, '$[0][0]')", "jsonb(a)", "json_pretty(a)", "json_patch(a, b)", "json_valid(a)"]
        {
            assert_eq!(
                evaluate(Manner::Safe, text, &record).is_ok(),
                depth < 1_000 || text.contains("valid"),
                "{text}"
            );
        }
    }
}
