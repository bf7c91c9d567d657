//! `check --format github|sarif`: what other programs read.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helping functions as well")]

use std::fs;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

const CONFIG: &str = "connections:\n  target:\n    type: postgresql\n    ddl: schema.sql\n";
const SCHEMA: &str = "CREATE TABLE emp (empno integer PRIMARY KEY, fname text);\n";

/// A job in a file whose name needs escaping, with two mistakes on its last line.
fn check(mapping: &str, format: &str) -> (TempDir, Output) {
    let folder = tempfile::tempdir().unwrap();
    let job = format!(
        "source:\n  redis:\n    key_pattern: emp:*\n    trigger: write-behind\n    key: emp:<empno:int>\n\
         output:\n  - uses: relational.write\n    with:\n      connection: target\n      table: emp\n      \
         keys: [empno]\n      mapping: {mapping}\n"
    );
    for (name, text) in [("config.yaml", CONFIG), ("schema.sql", SCHEMA), ("a,b: 100%.yaml", &job)] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_redis-wb"));
    let arguments = ["check", "--format", format, "a,b: 100%.yaml"];
    let output = command.args(arguments).current_dir(folder.path()).output().unwrap();
    (folder, output)
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn github_shows_each_mistake_on_its_line() {
    let (_folder, output) = check("[\"ä%\": x, fnaem]", "github");
    assert_eq!(output.status.code(), Some(1));
    let expected = "::error file=a%2Cb%3A 100%25.yaml,line=12,col=18,endLine=12,endColumn=19,title=E0402::the table \
                    `emp` has no column `ä%25`%0Anot in `schema.sql`%0Ahelp: known here: `empno`, `fname`; if the \
                    target has it, add it to `schema.sql`\n\
                    ::error file=a%2Cb%3A 100%25.yaml,line=12,col=26,endLine=12,endColumn=30,title=E0402::the table \
                    `emp` has no column `fnaem`%0Anot in `schema.sql`%0Ahelp: did you mean `fname`?\n";
    assert_eq!(stdout(&output), expected);
}

#[test]
fn github_is_told_nothing_of_what_is_right() {
    let (_folder, output) = check("[fname]", "github");
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(0), ""));
}

#[test]
fn sarif_has_rules_places_and_fixes() {
    let (_folder, output) = check("[\"ä%\": x, fnaem]", "sarif");
    assert_eq!(output.status.code(), Some(1));
    let log: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    assert_eq!(run["columnKind"], "unicodeCodePoints");
    let result = &run["results"][1];
    assert_eq!((&result["ruleId"], &result["level"]), (&json!("E0402"), &json!("error")));
    let region = json!({"startLine": 12, "startColumn": 26, "endLine": 12, "endColumn": 31});
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place, &json!({"artifactLocation": {"uri": "a%2Cb%3A%20100%25.yaml"}, "region": region}));
    let change = &result["fixes"][0]["artifactChanges"][0]["replacements"][0];
    assert_eq!(change, &json!({"deletedRegion": region, "insertedContent": {"text": "fname"}}));
    // For the other mistake no word is near enough.
    assert_eq!(run["results"][0]["fixes"], json!([]));

    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let rule = &rules[usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()];
    assert_eq!(rule["id"], "E0402");
    let page = Command::new(env!("CARGO_BIN_EXE_redis-wb")).args(["explain", "E0402"]).output().unwrap();
    assert!(stdout(&page).starts_with(rule["help"]["text"].as_str().unwrap()));
    for rule in rules {
        let name = rule["id"].as_str().unwrap();
        assert!(!rule["shortDescription"]["text"].as_str().unwrap().is_empty(), "{name}");
        let level = if name.starts_with('E') { "error" } else { "warning" };
        assert_eq!(rule["defaultConfiguration"]["level"], level);
    }
}

#[test]
fn sarif_is_whole_where_nothing_is_wrong() {
    let (_folder, output) = check("[fname]", "sarif");
    assert_eq!(output.status.code(), Some(0));
    let log: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(log["runs"][0]["results"], json!([]));
}

#[test]
fn a_second_place_is_named() {
    let (_folder, output) = check("[fname, fname: other]", "sarif");
    let log: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let result = &log["runs"][0]["results"][0];
    assert_eq!(result["ruleId"], "E0202");
    assert_eq!(result["relatedLocations"][0]["physicalLocation"]["region"]["startColumn"], 17);
    let (_folder, output) = check("[fname, fname: other]", "github");
    assert!(stdout(&output).contains("%0Aa,b: 100%25.yaml:12:17: "), "{}", stdout(&output));
}
