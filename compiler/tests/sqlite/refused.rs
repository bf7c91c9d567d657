//! What is refused when compiling: the code, the message, and the words that the label is on.

use redis_wb_compiler::expr::sql::{Manner, compile_as};
use redis_wb_compiler::expr::{Scope, Text};
use redis_wb_compiler::source::Span;
use redis_wb_compiler::{Diagnostics, Files};
use redis_wb_plan::expr::{Names, Root};
use redis_wb_plan::{Expr, ExprType, Type};

/// The fields of a hash: all of them text.
struct Hash;

impl Scope for Hash {
    fn root(&self) -> Expr {
        Expr::Path { root: Root::Value, names: Names::new() }
    }

    fn name(&self, name: &str) -> Result<Expr, Vec<String>> {
        Ok(Expr::Path { root: Root::Value, names: vec![name.to_owned()].into() })
    }

    fn type_of(&self, _: Root) -> ExprType {
        ExprType::record(Vec::new(), ExprType::of(Type::Text).or_null())
    }
}

/// Code and label of the first diagnostic, and its message.
fn first(expression: &str) -> (String, String) {
    let mut files = Files::new();
    let file = files.add("expression", expression);
    let place = |start: usize, end: usize| Span { file, start, end };
    let mut diagnostics = Diagnostics::default();
    let _ = compile_as(Manner::Safe, &Text { text: expression, place: &place }, &Hash, &mut diagnostics);
    let diagnostics = diagnostics.into_sorted();
    let diagnostic = diagnostics.first().unwrap_or_else(|| panic!("`{expression}` is not refused"));
    let words = files.text(diagnostic.labels[0].span);
    (format!("{} `{words}`", diagnostic.code.name()), diagnostic.message.clone())
}

#[test]
fn a_mistake_is_named_where_it_stands() {
    let rows = [
        ("upper((SELECT name FROM t))", "E0104 `SELECT name FROM t`", "a subquery reads tables"),
        ("EXISTS (SELECT 1)", "E0104 `SELECT 1`", "a subquery reads tables"),
        ("a IN (SELECT b FROM t)", "E0104 `a IN (SELECT b FROM t`", "a subquery reads tables"),
        ("1 + count(*)", "E0104 `count`", "`count` is an aggregate over many rows"),
        ("sum(qty)", "E0104 `sum`", "`sum` is an aggregate"),
        ("max(qty)", "E0104 `max`", "`max` is an aggregate"),
        ("group_concat(DISTINCT a ORDER BY b)", "E0104 `group_concat`", "is an aggregate"),
        ("row_number() OVER (ORDER BY a)", "E0104 `row_number`", "over a window"),
        ("abs(a) OVER (PARTITION BY b)", "E0104 `abs`", "over a window"),
        ("a = ?1", "E0104 `?1`", "a bind parameter has no value"),
        ("a = $name", "E0104 `$name`", "a bind parameter has no value"),
        ("changes() + 1", "E0104 `changes`", "`changes` needs the last statement of a connection"),
        ("load_extension('x')", "E0104 `load_extension`", "native code"),
        ("a MATCH 'x'", "E0104 `a MATCH 'x'`", "SQLite has no `MATCH`"),
        ("a REGEXP 'x'", "E0104 `a REGEXP 'x'`", "SQLite has no `REGEXP`"),
        ("(a, b) = (1, 2)", "E0104 `a, b`", "a row value"),
        ("1 + uper(first)", "E0207 `uper`", "SQLite has no function `uper`"),
        ("substr(a)", "E0303 `substr`", "`substr` takes 2 to 3 arguments, not 1"),
        ("abs()", "E0303 `abs`", "`abs` takes 1 argument, not 0"),
        ("json_object('a')", "E0303 `json_object`", "an even number of arguments"),
        ("json_set(a, '$.x')", "E0303 `json_set`", "an odd number of arguments"),
        ("a COLLATE german", "E0209 `german`", "there is no collation `german`"),
        ("a +", "E0103 ``", "the expression ends here"),
        ("a b", "E0103 `b`", "does not belong to the expression"),
        ("(a", "E0103 ``", "expected: )"),
        ("a ! b", "E0103 `!`", ""),
        ("'unterminated", "E0103 `'`", "unterminated string literal"),
        ("a::int", "E0103 `:`", "does not belong to the expression"),
        ("x'0'", "E0103 `x'0'`", "is not a blob"),
        ("0x1ffffffffffffffff", "E0103 `0x1ffffffffffffffff`", "is not an integer of 64 bits"),
        ("CAST('abc' AS INTEGER) + json('{')", "E0306 `json('{'`", "rejected for every record"),
        ("age > 20", "W0309 `age`", "the text `age` is read as a number"),
        ("20 < age", "W0309 `age`", "the text `age` is read as a number"),
        ("age IN (1, 2)", "W0309 `age`", "the text `age` is read as a number"),
        ("CAST(age AS REAL)", "W0311 `age`", "where `age` is not a number"),
        ("length(a) = 'x'", "W0310 `length(a) = 'x'`", "never equals"),
        ("CASE WHEN naïve = 'ä' THEN\n  uper(b) END", "E0207 `uper`", "SQLite has no function"),
    ];
    let mut wrong = Vec::new();
    for (expression, place, message) in rows {
        let found = first(expression);
        if found.0 != place || !found.1.contains(message) {
            wrong.push(format!("{expression}: {} {}, not {place} {message}", found.0, found.1));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn several_mistakes_are_reported_in_one_run() {
    let mut files = Files::new();
    let text = "uper(a) || lowr(b) || count(c)";
    let file = files.add("expression", text);
    let place = |start: usize, end: usize| Span { file, start, end };
    let mut diagnostics = Diagnostics::default();
    assert!(compile_as(Manner::Safe, &Text { text, place: &place }, &Hash, &mut diagnostics).is_none());
    assert_eq!(diagnostics.len(), 3);
}
