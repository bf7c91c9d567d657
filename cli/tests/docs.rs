//! The configurations and jobs that the pages for users show are right: each is checked as a user would.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helping functions as well")]

use std::fs;
use std::process::Command;

const JOB: &str = "source:\n  redis:\n    trigger: write-behind\n    key_pattern: emp:*\n    key: emp:<id:int>\noutput:\n  \
    - uses: relational.write\n    with: {connection: target, table: emp, keys: [id], mapping: [name]}\n";

/// What may be said: certificates and tables are not here.
const EXPECTED: [&str; 2] = ["W0023", "W0409"];

/// The blocks of YAML on a page, in order.
fn blocks(page: &str) -> Vec<String> {
    let text = fs::read_to_string(xtask::root().join(page)).unwrap();
    text.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn what_the_pages_show_can_be_used() {
    let mut configurations = 0;
    for page in ["README.md", "docs/targets.md"] {
        let blocks = blocks(page);
        for (at, config) in blocks.iter().enumerate().filter(|(_, block)| block.contains("connections:\n")) {
            let folder = tempfile::tempdir().unwrap();
            let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
            fs::create_dir(folder.path().join("jobs")).unwrap();
            write("config.yaml", config);
            write(
                "schema.sql",
                "CREATE TABLE emp (empno INTEGER PRIMARY KEY, fname TEXT, lname TEXT, salary INTEGER);",
            );
            // The job that stands behind it, where one does.
            let job = blocks.get(at + 1).filter(|block| block.starts_with("# jobs/")).map_or(JOB, String::as_str);
            write("jobs/emp.yaml", job);
            let mut command = Command::new(env!("CARGO_BIN_EXE_redis-wb"));
            let checked = command.args(["check", "--format", "json"]).current_dir(folder.path()).output().unwrap();
            let told = String::from_utf8_lossy(&checked.stdout).into_owned();
            let codes: serde_json::Value = serde_json::from_str(&told).unwrap();
            let code = |one: &serde_json::Value| one.get("code").unwrap().as_str().unwrap().to_owned();
            let codes: Vec<String> = codes.as_array().unwrap().iter().map(code).collect();
            assert!(codes.iter().all(|code| EXPECTED.contains(&code.as_str())), "{page}:\n{config}\n{told}");
            configurations += 1;
        }
    }
    assert_eq!(configurations, 6, "two in the README, four in docs/targets.md");
}
