//! `eval` and `functions`: one expression over one document, and what there is to call.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helping functions as well")]

use std::fs;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

fn redis_wb(arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_redis-wb"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// What a call prints, which must succeed.
fn gives(arguments: &[&str], input: &str) -> String {
    let output = redis_wb(arguments, input);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What a call prints to standard error that ends with this code; it prints nothing else.
fn refused(code: i32, arguments: &[&str], input: &str) -> String {
    let output = redis_wb(arguments, input);
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(code), &b""[..]));
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn the_result_is_json_on_standard_output() {
    let jmespath = ["eval", "--language", "jmespath", "lines[?qty > `1`].{sku: sku}"];
    let input = r#"{"lines": [{"sku": "a", "qty": 1}, {"sku": "ß", "qty": 2}]}"#;
    assert_eq!(gives(&jmespath, input), "[{\"sku\":\"ß\"}]\n");
    let sql = ["eval", "--language", "sql", "upper(country) || '-' || `address.zip`"];
    assert_eq!(gives(&sql, r#"{"country": "de", "address": {"zip": "10115"}}"#), "\"DE-10115\"\n");
    assert_eq!(gives(&["eval", "--language", "sql", "-1"], ""), "-1\n");
}

#[test]
fn the_input_may_be_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("input.json");
    fs::write(&path, r#"{"a": 1}"#).unwrap();
    let arguments = ["eval", "--language", "jmespath", "--input", path.to_str().unwrap(), "a"];
    assert_eq!(gives(&arguments, "{}"), "1\n");
    let missing = ["eval", "--language", "jmespath", "--input", "nowhere.json", "a"];
    assert!(refused(2, &missing, "").contains("`nowhere.json` cannot be read"));
}

#[test]
fn the_type_and_the_ir_need_no_input() {
    assert_eq!(gives(&["eval", "--language", "jmespath", "--type", "length('abc')"], ""), "int\n");
    let ir = gives(&["eval", "--language", "sql", "--ir", "1 + 2"], "");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&ir).unwrap(), serde_json::json!({"literal": 3}));
}

#[test]
fn what_does_not_compile_is_shown_in_the_expression() {
    let error = refused(1, &["eval", "--language", "jmespath", "lenght(name)"], "{}");
    assert!(error.contains("E0207") && error.contains("lenght(name)") && error.contains("`length`"), "{error}");
    let error = refused(1, &["eval", "--language", "sql", "(SELECT 1)"], "{}");
    assert!(error.contains("(SELECT 1)"), "{error}");
}

#[test]
fn what_is_rejected_is_shown_in_the_expression() {
    let error = refused(1, &["eval", "--language", "jmespath", "name == 'x' && abs(name)"], r#"{"name": "x"}"#);
    assert!(error.contains("R0") && error.contains("evaluated here"), "{error}");
    assert!(refused(1, &["eval", "--language", "jmespath", "a"], "{").contains("one JSON document"));
}

#[test]
fn functions_of_both_languages_are_listed_and_described() {
    let all = gives(&["functions"], "");
    assert!(all.contains("JMESPath: ") && all.contains("regex_replace(") && all.contains("SQL: "));
    assert!(all.contains("json_extract("), "{all}");
    let both = gives(&["functions", "replace"], "");
    assert!(both.contains("### `replace(text, old, new)` (SQL)") && both.matches("### ").count() == 2, "{both}");
    let one = gives(&["functions", "--language", "jmespath", "replace"], "");
    assert_eq!(one.matches("### ").count(), 1, "{one}");
    assert!(refused(2, &["functions", "repalce"], "").contains("there is no function `repalce`"));
}
