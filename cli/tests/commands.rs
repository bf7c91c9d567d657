//! The commands as scripts and people call them: exit codes, formats, what is printed where.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helping functions as well")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

const CONFIG: &str = "connections:\n  target:\n    type: postgresql\n    password: ${PASSWORD}\n    ddl: schema.sql\n";
const SCHEMA: &str = "CREATE TABLE emp (empno integer PRIMARY KEY, fname text);\n";
const JOB: &str = "source:
  redis:
    key_pattern: emp:*
    trigger: write-behind
    key: emp:<empno:int>
output:
  - uses: relational.write
    with:
      connection: target
      table: emp
      keys: [empno]
      mapping: [fname]
";

fn project(job: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("jobs")).unwrap();
    for (name, text) in [("config.yaml", CONFIG), ("schema.sql", SCHEMA), ("jobs/emp.yaml", job)] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn redis_wb(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_redis-wb"));
    command.args(arguments).current_dir(folder).env_remove("PASSWORD").output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_clean_job_exits_with_0() {
    let folder = project(JOB);
    let output = redis_wb(folder.path(), &["check"]);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(0), ""));
    assert!(stderr(&output).contains("1 job checked: nothing is wrong"));
    let output = redis_wb(folder.path(), &["check", "--format", "json"]);
    assert_eq!((output.status.code(), stdout(&output).trim()), (Some(0), "[]"));
}

#[test]
fn errors_exit_with_1_and_stand_in_json_with_their_places() {
    let folder = project(&JOB.replace("[fname]", "[naem, sälary: x]"));
    let output = redis_wb(folder.path(), &["check", "--format", "json", "jobs/emp.yaml"]);
    assert_eq!(output.status.code(), Some(1));
    let list: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), 2);
    let first = &list[0];
    assert_eq!((first["code"].as_str(), first["severity"].as_str()), (Some("E0402"), Some("error")));
    assert!(first["message"].as_str().unwrap().contains("`naem`"));
    assert!(first["help"].as_str().unwrap().contains("fname"));
    let label = &first["labels"][0];
    let place = ["line", "column", "length"].map(|name| label[name].as_u64().unwrap());
    assert_eq!((label["file"].as_str(), place), (Some("jobs/emp.yaml"), [12, 17, 4]));
    assert_eq!(list[1]["labels"][0]["column"], 23);
}

#[test]
fn warnings_fail_only_on_demand() {
    let folder = project(&JOB.replace("key: emp:<empno:int>", "on_evict: ignore"));
    assert_eq!(redis_wb(folder.path(), &["check"]).status.code(), Some(0));
    assert_eq!(redis_wb(folder.path(), &["check", "--deny-warnings"]).status.code(), Some(1));
}

#[test]
fn what_cannot_run_exits_with_2_and_says_what_to_do() {
    let folder = project(JOB);
    for arguments in [
        &["check", "--config", "nowhere.yaml"][..],
        &["check", "nowhere/"],
        &["compile", "-o", "nowhere/plan.json"],
        &["run", "--plan", "nowhere.json"],
        &["run", "--plan", "config.yaml"],
        &["explain", "E9999"],
        &["run", "--redis", "http://localhost"],
        // PASSWORD is not set.
        &["run", "--redis", "redis://127.0.0.1:1"],
    ] {
        let output = redis_wb(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains("help:"), "{arguments:?}: {}", stderr(&output));
    }
    assert_eq!(redis_wb(folder.path(), &["chekc"]).status.code(), Some(2));
}

#[test]
fn a_plan_is_for_people_or_for_run() {
    let folder = project(JOB);
    let sql = stdout(&redis_wb(folder.path(), &["compile"]));
    assert!(sql.contains("INSERT INTO \"emp\"") && sql.contains("the key's `empno`"), "{sql}");
    let yaml = stdout(&redis_wb(folder.path(), &["compile", "--format", "yaml"]));
    assert!(yaml.contains("key_pattern: emp:*") || yaml.contains("key_pattern: \"emp:*\""), "{yaml}");
    let output = redis_wb(folder.path(), &["compile", "--format", "json", "-o", "plan.json"]);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(0), ""));
    let plan = fs::read_to_string(folder.path().join("plan.json")).unwrap();
    let plan = redis_wb_plan::Plan::from_json(&plan).unwrap();
    assert_eq!(plan.jobs[0].name, "emp");
    assert_eq!(plan.connections["target"].password.as_deref(), Some("${PASSWORD}"));
}

#[test]
fn the_tables_of_the_jobs_can_be_made() {
    let folder = project(JOB);
    let output = redis_wb(folder.path(), &["compile", "--ddl"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let expected = "-- on connection target, PostgreSQL: written by emp\nCREATE TABLE \"emp\" (\n    \
                    \"empno\" integer NOT NULL,\n    \"fname\" text,\n    PRIMARY KEY (\"empno\")\n);\n\n";
    assert_eq!(stdout(&output), expected);
    // What is made can be read.
    fs::write(folder.path().join("schema.sql"), expected).unwrap();
    assert_eq!(redis_wb(folder.path(), &["check", "--deny-warnings"]).status.code(), Some(0));
}

#[test]
fn what_is_only_compiled_is_not_run() {
    let folder = project(JOB);
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    // All that is said, in one line.
    let said =
        |output: &Output| stderr(output).split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ");
    for (kind, title) in [("sqlserver", "SQL Server"), ("oracle", "Oracle"), ("db2", "Db2"), ("cassandra", "Cassandra")]
    {
        let config = CONFIG.replace("postgresql", kind);
        let sentence = format!(
            "× connection `target`: this version compiles for {title} but does not run against it help: run against \
             `postgresql`, `mariadb`, `mysql` or `sqlite`, or use the statements by `redis-wb compile`"
        );
        // With the tables' DDL it is the plan that is refused, and without it whoever would ask for the tables.
        let without = config.replace("    ddl: schema.sql\n", "");
        let configs: &[&String] = if kind == "cassandra" { &[&without] } else { &[&without, &config] };
        for config in configs {
            write("config.yaml", config);
            assert_eq!(redis_wb(folder.path(), &["check"]).status.code(), Some(0));
            let output = redis_wb(folder.path(), &["run"]);
            assert!(output.status.code() == Some(2) && said(&output).ends_with(&sentence), "{}", stderr(&output));
            let output = redis_wb(folder.path(), &["check", "--connect"]);
            assert_eq!(output.status.code(), Some(1));
            assert!(said(&output).contains(&format!("compiles for {title} but does not run")), "{}", stderr(&output));
        }
        let plan = stdout(&redis_wb(folder.path(), &["compile", "--format", "json"]));
        assert!(plan.contains("INSERT") || plan.contains("MERGE"), "{kind}: {plan}");
        write("plan.json", &plan);
        let output = redis_wb(folder.path(), &["run", "--plan", "plan.json"]);
        assert_eq!((output.status.code(), said(&output)), (Some(2), sentence));
    }
}

#[test]
fn a_plan_that_is_printed_holds_no_password() {
    let folder = project(JOB);
    for password in ["hunter2", "sec/ret", "/no/such/file", "x${PASSWORD}"] {
        fs::write(folder.path().join("config.yaml"), CONFIG.replace("${PASSWORD}", password)).unwrap();
        let output = redis_wb(folder.path(), &["compile", "--format", "json"]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(!stdout(&output).contains(password), "{password}");
        assert!(stderr(&output).contains("left out of the plan"), "{}", stderr(&output));
    }
}

#[test]
fn codes_are_explained() {
    let folder = tempfile::tempdir().unwrap();
    for (code, word) in [("E0402", "column"), ("w0302", "key"), ("R0504", "column's type")] {
        let output = redis_wb(folder.path(), &["explain", code]);
        assert_eq!(output.status.code(), Some(0));
        assert!(stdout(&output).contains(word), "{}", stdout(&output));
    }
    let all = stdout(&redis_wb(folder.path(), &["explain"]));
    for line in ["E0402  A column that the table does not have\n", "W0409  ", "R0522  "] {
        assert!(all.contains(line), "{all}");
    }
}

#[test]
fn it_tells_its_version_and_completes() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(stdout(&redis_wb(folder.path(), &["--version"])), format!("redis-wb {}\n", env!("CARGO_PKG_VERSION")));
    for shell in ["bash", "zsh", "fish"] {
        assert!(stdout(&redis_wb(folder.path(), &["completions", shell])).contains("until-idle"), "{shell}");
    }
}

#[test]
fn logs_can_be_json_and_have_no_colours_off_a_terminal() {
    let folder = project(JOB);
    let arguments = ["run", "--redis", "redis://127.0.0.1:1", "--log-format", "json"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_redis-wb"));
    let mut child = command
        .args(arguments)
        .env("PASSWORD", "secret")
        .current_dir(folder.path())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stderr.take().unwrap()), &mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["level"], "WARN");
}

#[test]
fn a_plan_names_secrets_and_holds_none() {
    let folder = project(JOB);
    let config = CONFIG
        .replace("${PASSWORD}", "./password")
        .replace("    ddl", "    query_args:\n      sslmode: verify-full\n      sslkey: ../key.pem\n    ddl");
    fs::write(folder.path().join("config.yaml"), &config).unwrap();
    let said = stderr(&redis_wb(folder.path(), &["check"]));
    assert!(said.contains("W0023") && said.contains("sslkey") && said.contains("password"), "{said}");
    fs::write(folder.path().join("password"), "s3cret\n").unwrap();
    fs::write(folder.path().join("jobs/key.pem"), "").unwrap();
    fs::create_dir(folder.path().join("here")).unwrap();
    // Paths count from the folder of the configuration, wherever the command is called.
    let arguments = ["compile", "--config", "../config.yaml", "--format", "json", "../jobs"];
    let output = redis_wb(&folder.path().join("here"), &arguments);
    let plan = redis_wb_plan::Plan::from_json(&stdout(&output)).unwrap();
    let target = &plan.connections["target"];
    assert_eq!(target.password.as_deref(), Some("./../password"));
    assert_eq!(target.args["sslkey"], "./../../key.pem");
    assert!(!stdout(&output).contains("s3cret"));

    fs::write(folder.path().join("config.yaml"), CONFIG.replace("${PASSWORD}", "a/${PASSWORD}")).unwrap();
    let output = redis_wb(folder.path(), &["compile", "--format", "json"]);
    assert!(stderr(&output).contains("W0011") && stderr(&output).contains("left out of the plan"), "{output:?}");
    assert!(!stdout(&output).contains("a/$"), "{output:?}");
}

#[test]
fn a_file_in_another_encoding_is_told_from_a_wrong_path() {
    let folder = project(JOB);
    let path = folder.path().join("jobs/emp.yaml");
    let utf16: Vec<u8> = std::iter::once(0xfeff).chain(JOB.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    for (bytes, said) in
        [(utf16, "UTF-16"), (JOB.replace("emp:*", "emp:\u{fc}").chars().map(|c| c as u8).collect(), "line 3")]
    {
        fs::write(&path, bytes).unwrap();
        let output = redis_wb(folder.path(), &["check"]);
        assert_eq!(output.status.code(), Some(2));
        let stderr = stderr(&output);
        assert!(stderr.contains(said) && stderr.contains("iconv") && !stderr.contains("check the path"), "{stderr}");
    }
    // A byte order mark shifts no place.
    fs::write(&path, format!("\u{feff}{}", JOB.replace("source:", "sauce:"))).unwrap();
    let output = redis_wb(folder.path(), &["check", "--format", "github"]);
    assert!(stdout(&output).contains("line=1,col=1,endLine=1,endColumn=5,title=E0002"), "{}", stdout(&output));
    fs::write(&path, format!("\u{feff}{JOB}")).unwrap();
    assert_eq!(redis_wb(folder.path(), &["check", "--deny-warnings"]).status.code(), Some(0));
}
