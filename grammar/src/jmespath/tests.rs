//! Trees and errors, as tables; and what holds for any text.

use super::*;

fn printed(text: &str) -> String {
    match parse(text) {
        Ok(ast) => ast.to_string(),
        Err(error) => format!("{}: {}", error.span.start, error.message),
    }
}

#[test]
fn precedence_is_that_of_the_reference_implementations() {
    for (text, expected) in [
        ("a || b && c == d | e", "(a || (b && (c == d))) | e"),
        ("a || b || c", "a || b || c"),
        ("!a.b", "(!a).b"),
        ("!a[0]", "!(a[0])"),
        ("!a[*].b", "!(a[*].b)"),
        ("a.b.c[0].d", "a.b.c[0].d"),
        ("a[*].b[0].c[*].d", "a[*].b[0].c[*].d"),
        ("a[*].b[].c", "(a[*].b)[].c"),
        ("a[?x].b[?y]", "(a[?x].b)[?y]"),
        ("a[?x][?y]", "a[?x][?y]"),
        ("a[*].b[?y].c[?z].d", "a[*].b[?y].c[?z].d"),
        ("*.a", "@.*.a"),
        ("[0]", "@[0]"),
        ("[*]", "@[*]"),
        ("[a, b].c", "[a, b].c"),
        ("sort_by(a, &b.c)[-1]", "sort_by(a, &b.c)[-1]"),
        ("{\"a b\": @, c: 'it\\'s'}", "{\"a b\": @, c: 'it\\'s'}"),
        ("a[1:-1:2].b", "a[1:-1:2].b"),
        ("(a[*]).b", "(a[*]).b"),
    ] {
        let shown = printed(text);
        let again = parse(&shown).map(|ast| ast.to_string());
        assert_eq!(again.as_deref(), Ok(shown.as_str()), "{text}");
        assert_eq!(shown, expected, "{text}");
    }
}

#[test]
fn errors_point_to_what_is_wrong() {
    for (text, expected) in [
        ("", "0: the expression is empty"),
        ("foo.", "4: the expression ends where a value is wanted"),
        ("foo[0", "5: the expression ends before `[` is closed"),
        ("a = b", "2: one `=` compares nothing: write `==`"),
        ("'abc", "0: the closing `'` is missing"),
        ("foo.1", "4: `1` cannot stand here"),
        ("&a", "0: `&` cannot stand here"),
        ("a[99999999999999999999]", "1: this number is beyond 64 bits"),
        ("\"\\u\"", "0: a name in double quotes is written as a JSON string: an escape in it is none"),
    ] {
        assert_eq!(printed(text), expected, "{text}");
    }
}

#[test]
fn nothing_nests_without_bounds() {
    for text in [
        "(".repeat(60_000),
        "[".repeat(60_000),
        "!".repeat(60_000),
        "! ".repeat(30_000) + "a",
        "f(".repeat(30_000),
        "a|".repeat(30_000) + "a",
        "a.".repeat(30_000) + "a",
        "a==".repeat(20_000) + "a",
        "[0]".repeat(20_000),
        "a[*]".to_owned() + &"[*]".repeat(20_000),
        "{a:".repeat(20_000),
    ] {
        assert!(parse(&text).is_err(), "{}", text.get(..10).unwrap_or(&text));
    }
    let most = format!("{}a{}", "(".repeat(NESTING_MAX), ")".repeat(NESTING_MAX));
    assert!(parse(&most).is_ok());
    assert!(parse(&("a||".repeat(20_000) + "a")).is_ok());
}

#[test]
fn spans_cover_what_they_name() {
    let text = "größe || items[?price > `10`].name";
    let error = parse(text).map(|_| ());
    assert_eq!(error.map_err(|error| error.span.start), Err(2));
    let text = "total || items[?price > `10`].name";
    let Ok(Ast { kind: Kind::Or(items), .. }) = parse(text) else { panic!("no `||`") };
    let at = |ast: &Ast| text.get(ast.span.start..ast.span.end).unwrap_or_default().to_owned();
    assert_eq!(items.iter().map(at).collect::<Vec<_>>(), ["total", "items[?price > `10`].name"]);
}

/// Text of expressions, by the grammar.
fn expressions() -> impl proptest::strategy::Strategy<Value = String> {
    use proptest::prelude::*;
    let leaf = prop_oneof![
        "[a-c]",
        Just("@".to_owned()),
        Just("`1`".to_owned()),
        Just("'x'".to_owned()),
        Just("*".to_owned())
    ];
    leaf.prop_recursive(5, 24, 3, |inner| {
        let two = (inner.clone(), inner.clone());
        prop_oneof![
            (two.clone(), prop_oneof![Just("||"), Just("&&"), Just("|"), Just("=="), Just("<")])
                .prop_map(|((left, right), op)| format!("{left} {op} {right}")),
            (
                inner.clone(),
                prop_oneof![
                    Just("[0]"),
                    Just("[*]"),
                    Just("[]"),
                    Just(".*"),
                    Just("[1:]"),
                    Just(".a"),
                    Just(".[a]"),
                    Just(".{a: b}"),
                    Just(".f(@)")
                ]
            )
                .prop_map(|(of, postfix)| format!("{of}{postfix}")),
            two.clone().prop_map(|(of, keep)| format!("{of}[?{keep}]")),
            two.prop_map(|(left, right)| format!("f({left}, &{right})")),
            inner.clone().prop_map(|of| format!("!{of}")),
            inner.clone().prop_map(|of| format!("({of})")),
            inner.clone().prop_map(|of| format!("[{of}, a]")),
            inner.prop_map(|of| format!("{{a: {of}}}")),
        ]
    })
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_printed_tree_parses_to_the_same_tree(text in expressions()) {
        if let Ok(ast) = parse(&text) {
            let shown = ast.to_string();
            proptest::prop_assert_eq!(parse(&shown), Ok(ast), "{} -> {}", text, shown);
        }
    }

    #[test]
    fn any_text_parses_or_is_refused_in_place(text in "\\PC{0,40}|[a\\[\\](){}*.!&|@=<>?:,`'\"\\\\0-9 -]{0,40}") {
        if let Err(error) = parse(&text) {
            proptest::prop_assert!(text.is_char_boundary(error.span.start) && text.is_char_boundary(error.span.end));
        }
    }
}
