//! What holds for any expression and any record: nothing panics, and the forms that an expression takes on its way
//! (folded, shared, through JSON) all give the same.

use proptest::prelude::*;
use redis_wb_compiler::Diagnostics;
use redis_wb_compiler::expr::scope::AnyRecord;
use redis_wb_compiler::expr::{self, Language, Text};
use redis_wb_compiler::source::{Files, Span};
use redis_wb_plan::functions;
use redis_wb_plan::{Expr, Input, Value, infer, json, share};

fn compile(text: &str) -> Option<expr::Compiled> {
    let mut files = Files::new();
    let file = files.add("expression", text);
    let place = |start: usize, end: usize| Span { file, start, end };
    let mut diagnostics = Diagnostics::default();
    let compiled = expr::compile(Language::JmesPath, &Text { text, place: &place }, &AnyRecord, &mut diagnostics);
    for label in diagnostics.into_sorted().iter().flat_map(|one| &one.labels) {
        assert!(text.is_char_boundary(label.span.start) && text.is_char_boundary(label.span.end), "{text}");
    }
    compiled
}

fn values() -> impl Strategy<Value = Value<'static>> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-3_i64..3).prop_map(Value::Int),
        any::<i64>().prop_map(Value::Int),
        prop_oneof![Just(0.5), Just(-0.0), Just(1e300)].prop_map(Value::Float),
        prop_oneof!["[ab,é]{0,3}", Just("1".to_owned()), Just("[1]".to_owned()), Just("2024-01-01".to_owned())]
            .prop_map(|text| Value::Text(text.into())),
        Just(Value::Decimal("12345678901234567890.5".into())),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(|items| Value::List(items.into())),
            proptest::collection::btree_map("[a-c]", inner, 0..3).prop_map(|fields| {
                Value::Object(fields.into_iter().map(|(name, value)| (name.into(), value)).collect())
            }),
        ]
    })
}

/// Text of expressions that mostly compile: every function, every operator.
fn expressions() -> impl Strategy<Value = String> {
    let names: Vec<&str> = functions::all().map(|function| function.definition().name).collect();
    let leaf = prop_oneof![
        4 => "[a-c]".boxed(),
        1 => Just("@".to_owned()).boxed(),
        1 => values().prop_map(|value| {
            let json = json::write(&value, 1 << 20).unwrap_or_default();
            format!("`{}`", json.replace('`', "\\`"))
        }).boxed(),
        1 => prop_oneof![Just("'a'"), Just("','"), Just("'md5'"), Just("'(a|b)+'")].prop_map(str::to_owned).boxed(),
    ];
    leaf.prop_recursive(4, 20, 3, move |inner| {
        let two = (inner.clone(), inner.clone());
        let postfix = prop_oneof![
            Just("[0]"),
            Just("[-1]"),
            Just("[*]"),
            Just("[]"),
            Just(".*"),
            Just("[::-1]"),
            Just("[1:5:2]"),
            Just(".a"),
            Just(".[a, @]"),
            Just(".{x: a, y: @}"),
            Just(" | [0]"),
            Just("[*].b"),
            Just("[?a].b"),
        ];
        let op = prop_oneof![Just("||"), Just("&&"), Just("|"), Just("=="), Just("!="), Just("<"), Just(">=")];
        let arguments = proptest::collection::vec((any::<bool>(), inner.clone()), 0..4);
        prop_oneof![
            (two.clone(), op).prop_map(|((left, right), op)| format!("({left} {op} {right})")),
            (inner.clone(), postfix).prop_map(|(of, postfix)| format!("{of}{postfix}")),
            two.prop_map(|(of, keep)| format!("{of}[?{keep}]")),
            inner.prop_map(|of| format!("!{of}")),
            (proptest::sample::select(names.clone()), arguments).prop_map(|(name, arguments)| {
                let argument = |(is_reference, text)| if is_reference { format!("&{text}") } else { text };
                format!("{name}({})", arguments.into_iter().map(argument).collect::<Vec<_>>().join(", "))
            }),
        ]
    })
}

/// Whether a value may be of the type that was inferred.
fn fits(value: &Value<'_>, kind: &redis_wb_plan::ExprType) -> bool {
    use redis_wb_plan::Type;
    if value.is_null() {
        return kind.nullable;
    }
    match kind.kind {
        Type::Unknown => true,
        Type::List => match value {
            Value::List(items) => items.iter().all(|item| fits(item, &kind.item())),
            _ => false,
        },
        other => value.kind() == other,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn every_form_of_an_expression_gives_the_same(text in expressions(), value in values()) {
        let Some(compiled) = compile(&text) else { return Ok(()) };
        let input = Input::of(value);
        let given = compiled.expr.evaluate(&input);
        let json = serde_json::to_string(&compiled.expr).expect("an expression is plain data");
        let again: Expr = serde_json::from_str(&json).expect("an expression is plain data");
        prop_assert_eq!(&again, &compiled.expr);
        if compiled.expr.is_pure() {
            let shared = share::within(compiled.expr.clone());
            prop_assert_eq!(shared.evaluate(&input), given.clone(), "{}", text);
        }
        if let Ok(value) = &given {
            prop_assert!(fits(value, &compiled.kind), "{} gives {:?}, not {}", text, value, compiled.kind);
            let written = json::write(value, 1 << 24).expect("it is not large");
            prop_assert!(json::parse(&written).is_ok(), "{} gives {}", text, written);
        }
        let _ = infer::infer(&compiled.expr, infer::Types {
            root: &|_| redis_wb_plan::ExprType::UNKNOWN,
            current: &redis_wb_plan::ExprType::UNKNOWN,
            shared: &[],
        });
    }

    #[test]
    fn any_text_compiles_or_is_refused_in_place(text in "\\PC{0,30}|[a\\[\\](){}*.!&|@=<>?:,`'\"\\\\0-9 -]{0,30}") {
        let _ = compile(&text);
    }
}
