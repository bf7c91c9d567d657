//! `redis-wb trace`: single changes followed beside a worker, on real servers.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helping functions as well")]

mod support;

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redis::Commands;
use serde_json::Value;
use support::{Project, text};

const TABLES: &str =
    "CREATE TABLE emp (id integer PRIMARY KEY, name varchar(10) CHECK (name <> 'refused'), pay integer);
    CREATE TABLE line (id integer, no integer, what varchar(10), PRIMARY KEY (id, no));";
const JOB: &str = r#"source:
  redis:
    key_pattern: emp:*
    trigger: write-behind
    key: emp:<id:int>
    fields: {pay: int}
transform:
  - uses: filter
    with: {expression: "pay > 10", language: sql}
  - uses: add_field
    with: {field: loud, expression: "upper(name)", language: sql}
output:
  - uses: relational.write
    with:
      connection: pg
      table: emp
      keys: [id]
      mapping: [name: loud, pay]
  - uses: relational.write
    with:
      connection: lite
      table: emp
      keys: [id]
      mapping: [name, pay]
"#;

/// A trace that runs beside whatever else happens.
struct Trace(Option<Child>);

impl Trace {
    fn begin(project: &Project, arguments: &[&str]) -> Self {
        let mut command = project.command(&["trace", "--redis", &project.redis.url()]);
        let child = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // Until it waits for changes.
        let begun = Instant::now();
        let mut client = project.client();
        loop {
            let clients: String = redis::cmd("CLIENT").arg("LIST").query(&mut client).unwrap();
            if clients.lines().any(|line| line.contains("cmd=xread ") && line.contains("flags=b")) {
                break;
            }
            assert!(begun.elapsed() < support::PATIENCE, "{clients}");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self(Some(child))
    }

    fn end(mut self) -> String {
        let output = self.0.take().unwrap().wait_with_output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    }

    fn objects(self) -> Vec<Value> {
        self.end().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

fn project() -> Project {
    let project = Project::new("emps", JOB, TABLES);
    // So that the keys are tracked; no worker is in the way of the trace's own reads.
    project.drain();
    project
}

fn hset(project: &Project, id: &str, name: &str, pay: &str) {
    let _: () = project.client().hset_multiple(format!("emp:{id}"), &[("name", name), ("pay", pay)]).unwrap();
}

#[test]
fn a_change_is_followed_from_its_record_to_its_statements() {
    let project = project();
    let trace = Trace::begin(&project, &["--max-change-records", "5", "--format", "json", "--timeout", "60"]);
    hset(&project, "1", "Ada", "50");
    hset(&project, "2", "Alan", "5");
    hset(&project, "3", "much too long a name", "70");
    hset(&project, "x", "Grace", "70");
    let _: () = project.client().del("emp:1").unwrap();
    let told = trace.objects();
    assert_eq!(told.len(), 5, "{told:?}");
    let at = |change: usize, connection: usize| &told[change]["connections"][connection];

    assert_eq!((&told[0]["key"], &told[0]["command"]), (&"emp:1".into(), &"hset".into()));
    assert_eq!(told[0]["after"]["name"], "Ada");
    assert_eq!(told[0]["filters"][0]["passes"], true);
    let (lite, pg) = (at(0, 0), at(0, 1));
    assert_eq!((&lite["connection"], &pg["connection"]), (&"lite".into(), &"pg".into()));
    assert_eq!(pg["outcome"]["outcome"], "written");
    assert_eq!(pg["rows"][0]["columns"], serde_json::json!({"id": "1", "name": "'ADA'", "pay": "50"}));
    assert_eq!(pg["statements"][0]["parameters"], serde_json::json!(["[1]", "['ADA']", "[50]"]));
    assert!(pg["statements"][0]["text"].as_str().unwrap().contains("unnest"), "{pg}");
    assert_eq!(lite["statements"][0]["parameters"], serde_json::json!(["1", "'Ada'", "50"]));

    assert_eq!(told[1]["filters"][0]["passes"], false);
    assert_eq!(at(1, 1)["outcome"]["outcome"], "filtered");
    assert!(at(1, 1)["outcome"]["reason"].as_str().unwrap().contains("pay > 10"), "{}", told[1]);

    assert_eq!(at(2, 1)["outcome"]["code"], "R0506");
    assert_eq!(at(2, 1)["statements"], serde_json::json!([]));
    assert_eq!(at(3, 0)["outcome"]["code"], "R0502");
    assert_eq!((&told[4]["opcode"], &at(4, 1)["rows"][0]["what"]), (&"d".into(), &"delete".into()));
    assert_eq!(at(4, 1)["rows"][0]["columns"], serde_json::json!({"id": "1"}));
    // It has taken nothing and written nothing.
    assert_eq!(project.client().xlen::<_, u32>("wb:{0}:emps").unwrap(), 5);
    assert!(project.pg_rows("SELECT name FROM emp").is_empty());
}

#[test]
fn only_what_is_rejected_is_told_also_where_the_target_refuses_it() {
    let project = project();
    let mut worker = project.worker();
    project.wait("it works", || project.log().contains("running"));
    let arguments = ["--trace-only-rejected", "--max-change-records", "2", "--format", "json", "--timeout", "60"];
    let trace = Trace::begin(&project, &arguments);
    hset(&project, "1", "Ada", "50");
    hset(&project, "2", "refused", "50");
    project.wait("the target refuses it", || project.client().xlen::<_, u32>("dlq:wb:{0}:emps").unwrap() > 0);
    hset(&project, "3", "much too long a name", "70");
    let told = trace.objects();
    let codes: Vec<&str> = told.iter().map(|one| one["connections"][0]["outcome"]["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["R0520", "R0506"], "{told:?}");
    assert_eq!(told[0]["connections"][0]["outcome"]["by_target"], true);
    assert_eq!(told[0]["key"], "emp:2");
    worker.stop();
}

#[test]
fn keys_are_chosen_by_a_pattern_and_text_is_for_people_without_any_secret() {
    let project = project();
    let config = std::fs::read_to_string(project.path("config.yaml")).unwrap();
    std::fs::write(project.path("password"), "the-secret-word").unwrap();
    project.write("config.yaml", &config.replace("user: postgres\n", "user: postgres\n    password: ./password\n"));
    let trace = Trace::begin(&project, &["--key", "emp:[2-3]", "--max-change-records", "2", "--timeout", "60"]);
    for id in ["1", "2", "4", "3"] {
        hset(&project, id, "Ada", "50");
    }
    let told = trace.end();
    assert!(told.contains("emp:2 (job emps)") && told.contains("emp:3 (job emps)"), "{told}");
    assert!(!told.contains("emp:1 ") && !told.contains("emp:4 "), "{told}");
    assert!(told.contains("filter      `pay > 10`: passes") && told.contains("INSERT INTO"), "{told}");
    assert!(!told.contains("the-secret-word") && !told.contains("127.0.0.1"), "{told}");
}

#[test]
fn it_ends_when_its_time_is_over_and_where_no_redis_answers() {
    let project = project();
    let begun = Instant::now();
    let output = project.command(&["trace", "--timeout", "1", "--redis", &project.redis.url()]).output().unwrap();
    assert!(output.status.success() && output.stdout.is_empty(), "{}", text(&output.stdout));
    assert!(text(&output.stderr).contains("no change came in 1 s"), "{}", text(&output.stderr));
    assert!(begun.elapsed() >= Duration::from_secs(1));
    let mut nobody: Command = project.command(&["trace", "--redis", "redis://127.0.0.1:1"]);
    let output = nobody.output().unwrap();
    assert!(output.status.code() == Some(2) && text(&output.stderr).contains("cannot be reached"));
    let mut wrong = project.command(&["trace", "--timeout", "601"]);
    assert_eq!(wrong.output().unwrap().status.code(), Some(2));
}
