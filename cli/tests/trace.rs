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
            if clients.lines().any(|line| line.contains("name=redis-wb-trace ") && line.contains("cmd=xread ")) {
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
    // Only where it is not in capitals.
    hset(&project, "2", "refused", "50");
    project.wait("the target refuses it", || project.client().xlen::<_, u32>("dlq:wb:{0}:emps").unwrap() > 0);
    hset(&project, "3", "much too long a name", "70");
    let told = trace.objects();
    let connections = told.iter().flat_map(|one| one["connections"].as_array().unwrap());
    let mut codes: Vec<&str> = connections.filter_map(|connection| connection["outcome"]["code"].as_str()).collect();
    // Streams and queues are read apart.
    codes.sort_unstable();
    assert_eq!(codes, ["R0506", "R0520"], "{told:?}");
    let refused = told.iter().find(|one| one["key"] == "emp:2").unwrap();
    assert_eq!(refused["connections"][0]["outcome"]["by_target"], true, "{refused}");
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

const LISTS: &str = r#"source:
  redis:
    key_pattern: order:*
    trigger: write-behind
    key: order:<id:int>
    on_flush: ignore
transform:
  - uses: redis.lookup
    with:
      connection: cache
      cmd: HGET
      args: ["concat(['customer:', customer])", "'name'"]
      language: jmespath
      field: buyer
output:
  - uses: relational.write
    with:
      connection: pg
      table: line
      foreach: "one: lines[]"
      keys: [id, no: one.no]
      mapping: [what: one.what]
  - uses: redis.write
    with:
      connection: cache
      key: {expression: "'order:' || id", language: sql}
      mapping: [buyer]
"#;

/// What a lookup gave, the rows of a list, a document that was too large to be captured, the commands to a Redis.
#[test]
fn lookups_lists_and_commands_are_shown() {
    let cache = xtask::servers::Redis::start_bare(&[]);
    let module = xtask::servers::rejson_module();
    let mut project = Project::new("orders", LISTS, TABLES);
    project.redis = xtask::servers::Redis::start_with(&["--loadmodule", &module.to_string_lossy()]);
    let config = std::fs::read_to_string(project.path("config.yaml")).unwrap();
    let connection =
        format!("connections:\n  cache:\n    type: redis\n    host: 127.0.0.1\n    port: {}\n", cache.port());
    project.write("config.yaml", &config.replacen("connections:\n", &connection, 1));
    project.drain();
    let mut client = redis::Client::open(cache.url()).unwrap().get_connection().unwrap();
    let () = client.hset("customer:7", "name", "Ada").unwrap();
    let arguments = ["--max-change-records", "1", "--format", "json", "--timeout", "60"];
    let trace = Trace::begin(&project, &arguments);
    let document = format!(
        r#"{{"customer":"7","lines":[{{"no":1,"what":"tea"}},{{"no":2,"what":"milk"}}],"rest":"{}"}}"#,
        "x".repeat(2_000_000)
    );
    let () = redis::cmd("JSON.SET").arg("order:1").arg("$").arg(document).query(&mut project.client()).unwrap();
    let told = trace.objects();
    let connections = told[0]["connections"].as_array().unwrap();
    let of = |name: &str| connections.iter().find(|one| one["connection"] == name).unwrap();
    assert_eq!(told[0]["was_thin"], true, "it is too large to be captured");
    assert_eq!(told[0]["lookups"], serde_json::json!([{"field": "buyer", "reply": "'Ada'"}]));
    let rows = of("pg")["rows"].as_array().unwrap();
    let lines: Vec<&Value> = rows.iter().filter(|row| row["what"] == "write").map(|row| &row["columns"]).collect();
    let line = |no: &str, what: &str| serde_json::json!({"id": "1", "no": no, "what": what});
    assert_eq!(lines, [&line("1", "'tea'"), &line("2", "'milk'")], "{rows:?}");
    assert!(rows.iter().any(|row| row["what"] == "delete the other rows of"), "{rows:?}");
    let commands = of("cache")["statements"].as_array().unwrap();
    assert!(commands.iter().any(|one| one["text"] == "HSET" && one["parameters"][2] == "Ada"), "{commands:?}");
    let trace = Trace::begin(&project, &arguments);
    let () = redis::cmd("FLUSHALL").query(&mut project.client()).unwrap();
    let told = trace.objects();
    assert_eq!(told[0]["opcode"], "f");
    assert_eq!(told[0]["connections"][0]["outcome"]["outcome"], "filtered");
}
