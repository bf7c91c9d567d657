//! Nanoseconds per record, side by side: expressions of redis-wb and the same expressions of the crate `jmespath`, over
//! the same parsed record. `cargo bench -p redis-wb-compiler` prints the table of `docs/benchmarks.md`.

#![expect(clippy::expect_used, clippy::panic, reason = "a benchmark fails by panicking")]
#![allow(missing_docs, clippy::allow_attributes, reason = "criterion's macros make undocumented functions")]

use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use criterion::Criterion;
use redis_wb_compiler::Diagnostics;
use redis_wb_compiler::expr::scope::AnyRecord;
use redis_wb_compiler::expr::{self, Language, Text};
use redis_wb_compiler::source::{Files, Span};
use redis_wb_plan::{Expr, Input, json, share};

/// One expression; whether the crate `jmespath` has its functions, too.
struct Case {
    name: &'static str,
    expression: &'static str,
    both: bool,
}

const fn both(name: &'static str, expression: &'static str) -> Case {
    Case { name, expression, both: true }
}

const fn ours(name: &'static str, expression: &'static str) -> Case {
    Case { name, expression, both: false }
}

const CASES: &[Case] = &[
    both("plain field", "name"),
    both("nested field", "address.city"),
    both("length", "length(name)"),
    both("contains", "contains(tags, 'vip')"),
    both("starts_with", "starts_with(phone, '+49')"),
    both("ends_with", "ends_with(email, '.com')"),
    both("join", "join(', ', tags)"),
    both("not_null", "not_null(nick, name)"),
    both("to_string", "to_string(age)"),
    both("to_number", "to_number(credit)"),
    both("sort", "sort(tags)"),
    both("sort_by", "sort_by(orders, &total)"),
    both("max_by", "max_by(orders, &total)"),
    both("sum", "sum(orders[*].total)"),
    both("abs", "abs(balance)"),
    both("keys", "keys(address)"),
    both("merge", "merge(address, {country: 'DE'})"),
    both("map", "map(&total, orders)"),
    both("reverse", "reverse(tags)"),
    both("type", "type(age)"),
    ours("upper", "upper(name)"),
    ours("lower", "lower(email)"),
    ours("replace", "replace(phone, '-', '')"),
    ours("concat", "concat([name, ' <', email, '>'])"),
    ours("split", "split(path, '/')"),
    ours("left", "left(phone, `3`)"),
    ours("regex_replace", "regex_replace(phone, '[^0-9+]', '')"),
    ours("hash", "hash(email, 'sha256')"),
    ours("json_parse", "json_parse(payload).lines[0].sku"),
    both("filter + projection, 100 elements", "lines[?price > `50`].sku"),
    both("filter + multiselect, 100 elements", "lines[?price > `50` && qty >= `2`].{sku: sku, price: price}"),
    both("flatten, 100 elements", "lines[].price"),
    both("job: default value", "not_null(nick, name, 'nobody')"),
    both("job: pick from an array", "orders[?state == 'open'] | [0].id"),
    both("job: total of open orders", "sum(orders[?state == 'open'].total)"),
    both("job: document of some fields", "{id: id, name: name, city: address.city, tags: join(',', tags)}"),
    both("job: condition ladder", "(age > `65` && 'senior') || (age > `17` && 'adult') || 'minor'"),
];

fn record() -> String {
    let line = |at: usize| format!(r#"{{"sku": "sku-{at}", "price": {}, "qty": {}}}"#, at, at % 5);
    let lines: Vec<String> = (0..100).map(line).collect();
    format!(
        r#"{{"id": 4711, "name": "Ada Lovelace", "email": "ada@example.com", "phone": "+49-30-1234-567", "age": 36,
        "nick": null, "credit": "1250.50", "balance": -12.5, "path": "a/b/c/d",
        "payload": "{{\"lines\": [{{\"sku\": \"x1\"}}]}}",
        "address": {{"city": "London", "street": "Main St 1", "zip": "N1"}}, "tags": ["new", "vip", "eu"],
        "orders": [{{"id": 1, "state": "done", "total": 10}}, {{"id": 2, "state": "open", "total": 25.5}},
        {{"id": 3, "state": "open", "total": 7}}], "lines": [{}]}}"#,
        lines.join(",")
    )
}

fn compile(expression: &str) -> Expr {
    let mut files = Files::new();
    let file = files.add("expression", expression);
    let place = |start: usize, end: usize| Span { file, start, end };
    let text = Text { text: expression, place: &place };
    let compiled = expr::compile(Language::JmesPath, &text, &AnyRecord, &mut Diagnostics::default());
    share::within(compiled.unwrap_or_else(|| panic!("{expression} does not compile")).expr)
}

/// The median that criterion found, in nanoseconds.
fn median(group: &str, function: &str) -> f64 {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../criterion");
    let path = folder.join(group).join(function).join("new/estimates.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let estimates: serde_json::Value = serde_json::from_str(&text).expect("criterion writes JSON");
    estimates.pointer("/median/point_estimate").and_then(serde_json::Value::as_f64).expect("criterion writes a median")
}

/// The name of a case as criterion makes a folder of it.
fn folder(name: &str) -> String {
    name.chars().map(|char| if "?\"/\\*<>:|^".contains(char) { '_' } else { char }).collect()
}

/// What `Expression::search` does, without the copy that it makes of an input that is already parsed.
fn search(expression: &jmespath::Expression<'_>, input: &jmespath::Rcvar) -> jmespath::Rcvar {
    let mut context = jmespath::Context::new(expression.as_str(), &jmespath::DEFAULT_RUNTIME);
    jmespath::interpret(input, expression.as_ast(), &mut context).expect("both evaluate it")
}

fn measure(criterion: &mut Criterion, text: &str) {
    let input = Input::of(json::parse(text).expect("the record is JSON"));
    let variable = jmespath::Rcvar::new(jmespath::Variable::from_json(text).expect("the record is JSON"));
    for Case { name, expression, both } in CASES {
        let mut group = criterion.benchmark_group(*name);
        let ours = compile(expression);
        let value = ours.evaluate(&input).unwrap_or_else(|reject| panic!("{expression}: {reject}"));
        // The results are looked at where they lie: moving one may take longer than the evaluation.
        group.bench_function("redis-wb", |bencher| {
            bencher.iter(|| {
                black_box(&ours.evaluate(black_box(&input)));
            });
        });
        if *both {
            let theirs = jmespath::compile(expression).expect("both have it");
            let found = search(&theirs, &variable).to_string();
            let found = json::parse(&found).expect("it is JSON").into_static();
            assert!(redis_wb_plan::compare::equal(&value, &found), "{expression}: {value:?}, {found:?}");
            group.bench_function("jmespath", |bencher| {
                bencher.iter(|| {
                    black_box(&search(&theirs, black_box(&variable)));
                });
            });
            group.bench_function("jmespath search", |bencher| {
                bencher.iter(|| {
                    black_box(&theirs.search(black_box(&variable)));
                });
            });
        }
        group.finish();
    }
}

fn table() {
    println!(
        "\n| expression | redis-wb, ns | `jmespath`, `interpret`, ns | times faster | `jmespath`, `search`, ns |\n\
         |---|--:|--:|--:|--:|"
    );
    let mut ratios = Vec::new();
    for Case { name, both, .. } in CASES {
        let ours = median(&folder(name), "redis-wb");
        if *both {
            let theirs = median(&folder(name), "jmespath");
            ratios.push(theirs / ours);
            let search = median(&folder(name), "jmespath search");
            println!("| {name} | {ours:.0} | {theirs:.0} | {:.1} | {search:.0} |", theirs / ours);
        } else {
            println!("| {name} | {ours:.0} | | | |");
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "there are a few dozen")]
    let count = ratios.len() as f64;
    let geometric = (ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / count).exp();
    let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    println!("\nOn average (geometric mean) {geometric:.1} times faster, at least {least:.1} times.");
}

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800))
        .sample_size(30)
        .configure_from_args();
    measure(&mut criterion, &record());
    if !std::env::args().any(|argument| argument == "--test") {
        table();
    }
}
