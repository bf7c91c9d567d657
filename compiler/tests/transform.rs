//! Steps of a job as what they are in the end: the values of columns, over one record.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking, in its helping functions as well")]

use std::collections::BTreeMap;
use std::sync::Arc;

use redis_wb_compiler::{Files, Inputs, Live, compile};
use redis_wb_plan::plan::{Job, Step};
use redis_wb_plan::{Input, Slots, Value, json};

const CONFIG: &str =
    "connections:\n  target:\n    type: sqlite\n    database: x.db\n  cache:\n    type: redis\n    host: localhost\n";

/// Compiles a job of which the sections behind `trigger` are given.
fn job(source: &str, rest: &str) -> Job {
    let text = format!("source:\n  redis:\n    key_pattern: t:*\n    trigger: write-behind\n{source}\n{rest}");
    let mut files = Files::new();
    let config = files.add("config.yaml", CONFIG);
    let jobs = vec![("t".to_owned(), files.add("t.yaml", text))];
    let mut read = |_: &str| Err(String::new());
    let compiled = compile(
        &mut files,
        Inputs { config, jobs, variables: BTreeMap::new(), read: &mut read, live: Live::default() },
    );
    let plan = compiled.plan.unwrap_or_else(|| panic!("{:?}", compiled.diagnostics));
    plan.jobs.into_iter().next().expect("one job")
}

/// The columns `a`, `b` and so on of the only output, as JSON, over a record given as JSON.
fn columns(job: &Job, key: &str, before: &str, after: &str, opcode: &'static str) -> Vec<String> {
    let value = |text: &str| json::parse(text).expect("JSON").into_static();
    let key = value(&format!(r#"{{"id": 7, "key": "{key}"}}"#));
    let (element, lookups) = (value(r#"{"no": 3}"#), vec![Arc::new(value(r#"["x", "y"]"#))]);
    let input = Input { key, before: value(before), after: value(after), opcode, element, lookups, now_us: 0 };
    let output = job.outputs.first().expect("one output");
    let slots = Slots::new(&output.shared);
    let evaluate = |expr| slots.evaluate(expr, &input).and_then(|value: Value<'_>| json::write(&value, 1_000));
    output
        .columns
        .iter()
        .map(|column| evaluate(&column.expr).unwrap_or_else(|reject| reject.into_rejection().reason))
        .collect()
}

fn output(columns: &str) -> String {
    format!(
        "output:\n  - uses: relational.write\n    with:\n      connection: target\n      table: t\n      keys: [id]\n      \
         mapping: [{columns}]\n"
    )
}

const KEY: &str = "    key: t:<id:int>";
const JSON: &str = "    key: t:<id:int>\n    data_type: json";

#[test]
fn fields_are_set_renamed_and_removed_one_after_the_other() {
    let steps = "transform:\n  - uses: rename_field\n    with: {from_field: a.b, to_field: c}\n  \
                 - uses: add_field\n    with:\n      fields:\n        \
                 - {field: d.e, expression: 'upper(c)', language: jmespath}\n        \
                 - {field: d.f, expression: \"d.e || '!'\", language: sql}\n  \
                 - uses: remove_field\n    with: {field: a.x}\n";
    let columns_of = |after| {
        let job = job(JSON, &format!("{steps}{}", output("c, d: d.f, all: {expression: '@', language: jmespath}")));
        columns(&job, "t:7", "null", after, "u")
    };
    let all = r#"{"a":{},"z":1,"c":"hi","d":{"q":0,"e":"HI","f":"HI!"}}"#;
    let given = columns_of(r#"{"a": {"b": "hi", "x": 1}, "d": {"q": 0}, "z": 1}"#);
    assert_eq!(given[..3], ["7", "\"hi\"", "\"HI!\""].map(str::to_owned));
    let (given, wanted) = (json::parse(&given[3]).expect("JSON"), json::parse(all).expect("JSON"));
    for name in ["a", "z", "c", "d"] {
        assert!(redis_wb_plan::compare::equal(
            given.field(name).unwrap_or(&Value::Null),
            wanted.field(name).unwrap_or(&Value::Null)
        ));
    }
}

#[test]
fn a_map_gives_a_record_of_its_own() {
    let jmespath =
        "transform:\n  - uses: map\n    with: {expression: '{n: name, l: length(name)}', language: jmespath}\n";
    let job_of = |steps: &str| job(KEY, &format!("{steps}{}", output("n, l")));
    let record = r#"{"name": "abc"}"#;
    assert_eq!(columns(&job_of(jmespath), "t:7", "null", record, "c"), ["7", "\"abc\"", "3"]);
    // On a delete there is the key alone, or the content from before.
    assert_eq!(columns(&job_of(jmespath), "t:7", record, "null", "d"), ["7", "\"abc\"", "3"]);
    let sql = "transform:\n  - uses: map\n    with: {expression: {n: 'upper(name)', l: id + 1}, language: sql}\n";
    assert_eq!(columns(&job_of(sql), "t:7", "null", record, "c"), ["7", "\"ABC\"", "8"]);
    let opaque = "transform:\n  - uses: map\n    with: {expression: json_parse(doc), language: jmespath}\n";
    let document = r#"{"doc": "{\"n\": 1, \"l\": [2]}"}"#;
    assert_eq!(columns(&job_of(opaque), "t:7", "null", document, "c"), ["7", "1", "[2]"]);
}

#[test]
fn the_full_format_shows_both_sides() {
    let steps = "transform:\n  - uses: rename_field\n    with: {from_field: after.n, to_field: after.m}\n";
    let source = "    key: t:<id:int>\n    row_format: full";
    let job = job(source, &format!("{steps}{}", output("m: after.m, was: before.n, op: opcode, k: key.key")));
    let wanted = ["7", "\"new\"", "\"old\"", "\"u\"", "\"t:7\""];
    assert_eq!(columns(&job, "t:7", r#"{"n": "old"}"#, r#"{"n": "new"}"#, "u"), wanted);
    assert!(job.source.before_images);
}

#[test]
fn dots_in_names_are_escaped() {
    let steps = "transform:\n  - uses: rename_field\n    with: {from_field: 'a\\.b', to_field: 'c\\.d'}\n";
    let job = job(KEY, &format!("{steps}{}", output("x: 'c\\.d'")));
    assert_eq!(columns(&job, "t:7", "null", r#"{"a.b": "v"}"#, "c"), ["7", "\"v\""]);
}

#[test]
fn filters_come_before_the_lookups_that_they_do_not_need() {
    let steps = "transform:\n  \
        - uses: redis.lookup\n    with: {connection: cache, cmd: smembers, args: [x], language: jmespath, field: found}\n  \
        - uses: filter\n    with: {expression: x = 'a', language: sql}\n  \
        - uses: filter\n    with: {expression: 'length(found) > `1`', language: jmespath}\n  \
        - uses: redis.lookup\n    with: {connection: cache, cmd: get, args: ['found[0]'], language: jmespath, field: y}\n";
    let job = job(KEY, &format!("{steps}{}", output("found: {expression: 'found[1]', language: jmespath}, y")));
    let order: Vec<&str> = job
        .steps
        .iter()
        .map(|step| match step {
            Step::Filter(filter) => filter.condition.origin.as_str(),
            Step::Lookup(lookup) => lookup.command.as_str(),
        })
        .collect();
    assert_eq!(order, ["x = 'a'", "SMEMBERS", "length(found) > `1`", "GET"]);
    assert_eq!(columns(&job, "t:7", "null", r#"{"x": "a"}"#, "c"), ["7", "\"y\"", "null"]);
}

#[test]
fn a_filter_holds_deletes_only_where_it_reads_what_a_delete_has() {
    let condition = |source: &str, expression: &str| {
        let steps = format!("transform:\n  - uses: filter\n    with: {{expression: {expression}, language: sql}}\n");
        let job = job(source, &format!("{steps}{}", output("n: key.key")));
        match job.steps.into_iter().next() {
            Some(Step::Filter(filter)) => (filter.condition.holds_deletes, job.source.before_images),
            _ => panic!("a filter"),
        }
    };
    let full = "    key: t:<id:int>\n    row_format: full";
    assert_eq!(condition(KEY, "n > 1"), (false, false));
    assert_eq!(condition(KEY, "id > 1"), (true, false));
    assert_eq!(condition(full, "after.n > 1"), (false, false));
    assert_eq!(condition(full, "before.n > 1"), (true, true));
    assert_eq!(condition(full, "opcode = 'c'"), (true, false));
}

#[test]
fn elements_stand_beside_the_record() {
    let rest = "output:\n  - uses: relational.write\n    with:\n      connection: target\n      table: t\n      \
                foreach: 'line: lines[]'\n      keys: [id, no: line.no]\n      mapping: [city]\n";
    let job = job(JSON, rest);
    assert_eq!(columns(&job, "t:7", "null", r#"{"city": "Ulm", "line": {"no": 9}}"#, "c"), ["7", "3", "\"Ulm\""]);
    let foreach = job.outputs.first().and_then(|output| output.foreach.clone()).expect("a list");
    assert_eq!(foreach.parent_columns, [0]);
    assert!(!job.source.before_images);
}

#[test]
fn now_does_not_move_within_a_record() {
    let now = "a: {expression: unixepoch(), language: sql}, b: {expression: \"datetime('now')\", language: sql}, \
               c: {expression: \"strftime('%s', 'now', '+1 minute')\", language: sql}, \
               d: {expression: \"time_delta_seconds('1969-12-31T23:59:00Z')\", language: jmespath}";
    let job = job(KEY, &output(now));
    let columns = columns(&job, "t:7", "null", "{}", "c");
    assert_eq!(columns, ["7", "0", "\"1970-01-01 00:00:00\"", "\"60\"", "60"], "the record's time is the epoch");
}
