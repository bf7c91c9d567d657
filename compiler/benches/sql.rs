//! Nanoseconds per record, side by side: SQL expressions of redis-wb and the same expressions as prepared statements of
//! SQLite, over the same records in turn. Both start from a record and end with a value that outlives the next one:
//! redis-wb evaluates over the record; SQLite's side finds the fields that the expression reads, binds them to the
//! parameters that stand for them, steps, takes the value out and resets. `cargo bench -p redis-wb-compiler --bench sql`
//! prints the table of `docs/benchmarks.md`.

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
use redis_wb_plan::{Expr, Input, Value};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Statement};

/// Name, expression, and the fields that it reads.
type Case = (&'static str, &'static str, &'static [&'static str]);

const CASES: &[Case] = &[
    ("plain field", "email", &["email"]),
    ("concat", "first || ' ' || last", &["first", "last"]),
    ("comparison", "status = 'open'", &["status"]),
    ("arithmetic", "n * 3 + 1", &["n"]),
    ("cast", "CAST(qty AS INTEGER) * 2", &["qty"]),
    ("cast to real", "CAST(price AS REAL) * 1.19", &["price"]),
    ("upper", "upper(country)", &["country"]),
    ("lower + trim", "lower(trim(email))", &["email"]),
    ("substr", "substr(phone, 1, 3)", &["phone"]),
    ("replace", "replace(phone, '-', '')", &["phone"]),
    ("instr", "instr(email, '@')", &["email"]),
    ("length", "length(first)", &["first"]),
    ("coalesce", "coalesce(nick, first, 'nobody')", &["nick", "first"]),
    ("iif", "iif(status = 'open', 1, 0)", &["status"]),
    ("IN list", "status IN ('open', 'paid', 'sent', 'late', 'void')", &["status"]),
    ("LIKE", "email LIKE '%@example.com'", &["email"]),
    ("GLOB", "phone GLOB '+49*'", &["phone"]),
    ("round", "round(n / 7.0, 2)", &["n"]),
    ("printf", "printf('%08d', n)", &["n"]),
    ("date", "date(created)", &["created"]),
    ("unixepoch", "unixepoch(created)", &["created"]),
    ("strftime", "strftime('%Y-%m', created)", &["created"]),
    ("date + modifiers", "date(created, 'start of month', '+1 month', '-1 day')", &["created"]),
    ("epoch to text", "datetime(n + 1700000000, 'unixepoch')", &["n"]),
    ("json ->>", "doc ->> '$.address.city'", &["doc"]),
    ("json_extract", "json_extract(doc, '$.tags[0]')", &["doc"]),
    ("json_object", "json_object('id', n, 'name', first)", &["n", "first"]),
    ("job: key", "'order:' || country || ':' || n", &["country", "n"]),
    ("job: phone", "'+' || replace(replace(replace(ltrim(phone, '+0'), ' ', ''), '-', ''), '/', '')", &["phone"]),
    (
        "job: condition ladder",
        "CASE WHEN n > 65 THEN 'senior' WHEN n > 17 THEN 'adult' WHEN n > 12 THEN 'teen' ELSE 'child' END",
        &["n"],
    ),
    ("job: default and case", "upper(coalesce(nullif(trim(nick), ''), first))", &["nick", "first"]),
    (
        "job: filter",
        "status IN ('open', 'paid') AND CAST(qty AS INTEGER) > 0 AND country <> 'XX'",
        &["status", "qty", "country"],
    ),
];

const RECORDS: i64 = 16;

/// A record as a hash gives it, but for `n`, which is declared to be a number.
fn record(at: i64) -> Vec<(&'static str, Value<'static>)> {
    let text = |text: String| Value::Text(text.into());
    let pick = |list: &[&str]| {
        let index = usize::try_from(at).unwrap_or(0) % list.len();
        list.get(index).map_or_else(String::new, |text| (*text).to_owned())
    };
    vec![
        ("first", text(pick(&["Ada", "Grace", "Konrad"]))),
        ("last", text(pick(&["Lovelace", "Hopper", "Zuse", "Turing"]))),
        ("nick", if at % 2 == 0 { Value::Null } else { text(format!("nick{at}")) }),
        ("email", text(format!(" user{at}@example.com"))),
        ("phone", text(format!("+49-30-1234-{at}"))),
        ("country", text(pick(&["de", "fr", "gb"]))),
        ("status", text(pick(&["open", "paid", "late"]))),
        ("qty", text((at * 3).to_string())),
        ("price", text(format!("{at}.95"))),
        ("created", text(format!("2024-03-{:02}T12:30:{:02}", at + 1, at + 10))),
        ("n", Value::Int(at * 7)),
        (
            "doc",
            text(format!(
                r#"{{"id": {at}, "name": "Ada", "address": {{"street": "Main St {at}", "city": "London", "zip": "N1"}}, "tags": ["new", "vip", "eu"]}}"#
            )),
        ),
    ]
}

fn compile(text: &str) -> Expr {
    let mut files = Files::new();
    let file = files.add("expression", text);
    let place = |start: usize, end: usize| Span { file, start, end };
    let mut diagnostics = Diagnostics::default();
    let compiled = expr::compile(Language::Sql, &Text { text, place: &place }, &AnyRecord, &mut diagnostics);
    compiled.map(|compiled| compiled.expr).unwrap_or_else(|| panic!("{text}: {:?}", diagnostics.into_sorted()))
}

/// The statement of SQLite: a parameter for each field, which is quicker for it than a column of a subquery.
fn query(expression: &str, fields: &[&str]) -> String {
    let mut query = "SELECT ".to_owned();
    // Every second part between quotes is a text.
    for (at, part) in expression.split('\'').enumerate() {
        if at > 0 {
            query.push('\'');
        }
        if at % 2 == 1 {
            query.push_str(part);
            continue;
        }
        for word in part.split_inclusive(|char: char| !char.is_ascii_alphanumeric()) {
            let name = word.trim_end_matches(|char: char| !char.is_ascii_alphanumeric());
            match fields.iter().position(|field| *field == name) {
                Some(at) => query.push_str(&word.replace(name, &format!("?{}", at + 1))),
                None => query.push_str(word),
            }
        }
    }
    query
}

/// Binds the fields of a record, steps, takes the value and resets. A text that SQLite hands out lasts until the reset,
/// so it is copied, and checked to be UTF-8, as every safe interface does.
fn step(statement: &mut Statement<'_>, record: &Value<'static>, fields: &[&str]) -> Value<'static> {
    for (at, field) in fields.iter().enumerate() {
        let bound = match record.field(field) {
            Some(Value::Int(value)) => statement.raw_bind_parameter(at + 1, *value),
            Some(Value::Text(text)) => statement.raw_bind_parameter(at + 1, &**text),
            Some(Value::Null) | None => statement.raw_bind_parameter(at + 1, rusqlite::types::Null),
            Some(other) => panic!("{other:?} is no field"),
        };
        bound.expect("it can be bound");
    }
    let mut rows = statement.raw_query();
    let row = rows.next().expect("no error").expect("a row");
    match row.get_ref(0).expect("a column") {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(value) => Value::Int(value),
        ValueRef::Real(value) => Value::Float(value),
        ValueRef::Text(text) => Value::Text(std::str::from_utf8(text).expect("UTF-8").to_owned().into()),
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec().into()),
    }
}

fn same(ours: &Value<'_>, theirs: &Value<'_>) -> bool {
    match (ours, theirs) {
        (Value::Float(ours), Value::Float(theirs)) => ours.to_bits() == theirs.to_bits(),
        _ => ours == theirs,
    }
}

fn measure(criterion: &mut Criterion) {
    let sqlite = Connection::open_in_memory().expect("SQLite");
    let records: Vec<_> = (0..RECORDS)
        .map(|at| Value::Object(record(at).into_iter().map(|(name, value)| (name.into(), value)).collect()))
        .collect();
    let inputs: Vec<Input<'_>> = records.iter().map(|record| Input::of(record.borrowed())).collect();
    for (name, expression, fields) in CASES {
        let ours = compile(expression);
        let mut statement = sqlite.prepare(&query(expression, fields)).expect("SQLite takes it");
        for (input, record) in inputs.iter().zip(&records) {
            let value = ours.evaluate(input).unwrap_or_else(|reject| panic!("{expression}: {reject}"));
            let theirs = step(&mut statement, record, fields);
            assert!(same(&value, &theirs), "{expression}: {value:?}, {theirs:?}");
        }
        let mut group = criterion.benchmark_group(format!("sql {name}"));
        // The results are looked at where they lie: moving one may take longer than the evaluation.
        let mut turn = inputs.iter().cycle();
        group.bench_function("redis-wb", |bencher| {
            bencher.iter(|| {
                if let Some(input) = turn.next() {
                    black_box(&ours.evaluate(black_box(input)));
                }
            });
        });
        let mut turn = records.iter().cycle();
        group.bench_function("sqlite", |bencher| {
            bencher.iter(|| {
                if let Some(record) = turn.next() {
                    black_box(&step(&mut statement, black_box(record), fields));
                }
            });
        });
        group.finish();
    }
}

/// The median that criterion found, in nanoseconds.
fn median(name: &str, function: &str) -> f64 {
    let name: String =
        format!("sql {name}").chars().map(|char| if "?\"/\\*<>:|^".contains(char) { '_' } else { char }).collect();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../criterion").join(name).join(function);
    let text = std::fs::read_to_string(folder.join("new/estimates.json")).unwrap_or_else(|error| panic!("{error}"));
    let estimates: serde_json::Value = serde_json::from_str(&text).expect("criterion writes JSON");
    estimates.pointer("/median/point_estimate").and_then(serde_json::Value::as_f64).expect("criterion writes a median")
}

fn table() {
    println!("\n| SQL expression | | redis-wb, ns | SQLite, ns | times faster |\n|---|---|--:|--:|--:|");
    let mut logarithms = Vec::new();
    for (name, expression, _) in CASES {
        let (ours, theirs) = (median(name, "redis-wb"), median(name, "sqlite"));
        logarithms.push((theirs / ours).ln());
        let expression = expression.replace('|', "\\|");
        println!("| {name} | `{expression}` | {ours:.0} | {theirs:.0} | {:.1} |", theirs / ours);
    }
    #[expect(clippy::cast_precision_loss, reason = "there are a few dozen")]
    let count = logarithms.len() as f64;
    let average = (logarithms.iter().sum::<f64>() / count).exp();
    let least = logarithms.iter().copied().fold(f64::INFINITY, f64::min).exp();
    println!("\nOn average (geometric mean) {average:.1} times faster, at least {least:.1} times.");
}

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(150))
        .measurement_time(Duration::from_millis(500))
        .sample_size(20)
        .configure_from_args();
    measure(&mut criterion);
    if !std::env::args().any(|argument| argument == "--test") {
        table();
    }
}
