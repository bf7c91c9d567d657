//! What an operator sees: status, metrics and health of workers that carry on, wait, are stuck or gone, on real servers.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::expect_used,
    reason = "a test fails by panicking, in its helping functions as well"
)]

mod support;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use redis::Commands;
use serde_json::Value;
use support::web::{address, collector, get};
use support::{Project, Row, text};
use xtask::servers::{Cluster, Process};

const TABLES: &str = "CREATE TABLE emp (id integer PRIMARY KEY, name varchar(20) CHECK (name <> 'refused'));";
const ROWS: &str = "SELECT CAST(id AS text), name FROM emp ORDER BY id";
/// How soon an operator has to see what is wrong.
const SEEN_WITHIN: Duration = Duration::from_secs(10);

fn job(connections: &[&str]) -> String {
    let output = |connection: &&str| {
        format!(
            "  - uses: relational.write\n    with:\n      connection: {connection}\n      table: emp\n      keys: [id]\n      \
             mapping: [name]\n"
        )
    };
    let outputs: String = connections.iter().map(output).collect();
    format!(
        "source:\n  redis:\n    key_pattern: emp:*\n    trigger: write-behind\n    key: emp:<id:int>\noutput:\n{outputs}"
    )
}

fn hset(project: &Project, id: u32, name: &str) {
    let _: () = project.client().hset(format!("emp:{id}"), "name", name).unwrap();
}

/// The value of a series whose labels hold all of these.
fn metric(body: &str, name: &str, labels: &[&str]) -> Option<f64> {
    let lines = body.lines().filter(|line| !line.starts_with('#'));
    let found = lines.filter(|line| line.split(['{', ' ']).next() == Some(name));
    let mut found = found.filter(|line| labels.iter().all(|label| line.contains(label)));
    found.next().map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

fn status(project: &Project, arguments: &[&str]) -> String {
    let output = project.command(&["status", "--redis", &project.redis.url()]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// The rows of `status --format json`, by connection.
fn row(project: &Project, connection: &str) -> Value {
    let all: Value = serde_json::from_str(&status(project, &["--format", "json"])).unwrap();
    let rows = all["rows"].as_array().unwrap();
    rows.iter().find(|row| row["connection"] == connection).cloned().unwrap_or(Value::Null)
}

/// Waits for something that an operator has to see soon.
#[track_caller]
fn seen(project: &Project, what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        let (log, shown) = (project.log(), status(project, &["--format", "json"]));
        assert!(begun.elapsed() < SEEN_WITHIN, "{what} is not seen; {shown}\n{log}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A worker that captures the keys, and the address of its metrics.
fn worker(project: &Project) -> (Process, String) {
    let worker = project.worker_at(&project.redis.url(), &["--metrics", "127.0.0.1:0"]);
    project.wait_until_tracked();
    (worker, address(project, 1))
}

/// A lock that holds writers up until it is dropped.
struct Lock {
    runtime: tokio::runtime::Runtime,
    client: tokio_postgres::Client,
}

impl Lock {
    fn of(project: &Project) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let client = runtime.block_on(async {
            let (client, wire) = tokio_postgres::connect(&project.postgres.url(), tokio_postgres::NoTls).await.unwrap();
            tokio::spawn(wire);
            client.batch_execute("BEGIN; LOCK TABLE emp").await.unwrap();
            client
        });
        Self { runtime, client }
    }

    fn open(self) {
        self.runtime.block_on(self.client.batch_execute("COMMIT")).unwrap();
    }
}

#[test]
fn a_stuck_table_is_seen_and_so_is_that_it_is_mended() {
    let project = Project::new("emps", &job(&["pg", "lite"]), TABLES);
    let (mut worker, at) = worker(&project);
    hset(&project, 1, "Ada");
    project.wait("the first row", || project.pg_rows(ROWS).len() == 1 && project.lite_rows(ROWS).len() == 1);
    seen(&project, "that it runs", || row(&project, "pg")["state"] == "running");
    assert_eq!(get(&at, "/healthz"), (200, "ok\n".to_owned()));
    seen(&project, "that it is ready", || get(&at, "/readyz").0 == 200);
    assert_eq!(get(&at, "/other").0, 404);

    project.pg("ALTER TABLE emp RENAME TO away");
    hset(&project, 2, "Alan");
    seen(&project, "the stuck table", || row(&project, "pg")["state"] == "stopped");
    let stuck = row(&project, "pg");
    assert_eq!((&stuck["last_error"]["code"], &stuck["lag_records"]), (&"configuration".into(), &1.into()), "{stuck}");
    assert!(stuck["last_error"]["message"].as_str().unwrap().contains("emp"), "{stuck}");
    assert!(!stuck["last_error"]["help"].as_str().unwrap().is_empty(), "{stuck}");
    assert!(stuck["worker"].as_str().unwrap().contains(&format!("-{}-", worker.pid())), "{stuck}");
    assert!(!stuck["worker_since"].is_null(), "{stuck}");
    let (code, why) = get(&at, "/readyz");
    assert!(code == 503 && why.contains("job emps") && why.contains("stopped"), "{code} {why}");
    let is_stopped = r#"state="stopped""#;
    seen(&project, "it in the metrics", || {
        metric(&get(&at, "/metrics").1, "redis_wb_state", &[r#"connection="pg""#, is_stopped]) == Some(1.0)
    });
    // The other connection goes on meanwhile, and that is seen.
    project.wait("the other has the row", || project.lite_rows(ROWS).len() == 2);
    seen(&project, "that the other runs", || {
        let other = row(&project, "lite");
        other["state"] == "running" && other["lag_records"] == 0
    });
    let shown = status(&project, &[]);
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    assert!(shown.contains("what to do: ") && shown.contains("configuration, "), "{shown}");

    project.pg("ALTER TABLE away RENAME TO emp");
    project.wait("the second row", || project.pg_rows(ROWS).len() == 2);
    seen(&project, "that it is mended", || row(&project, "pg")["state"] == "running");
    assert!(metric(&get(&at, "/metrics").1, "redis_wb_retries_total", &[r#"class="configuration""#]).unwrap() >= 1.0);
    worker.stop();
}

#[test]
fn a_slow_target_and_a_growing_stream_are_seen() {
    let project = Project::new("emps", &job(&["pg", "lite"]), TABLES);
    let (mut worker, at) = worker(&project);
    hset(&project, 1, "Ada");
    project.wait("the first row", || project.pg_rows(ROWS).len() == 1);
    let lock = Lock::of(&project);
    for id in 1..=300 {
        hset(&project, id, "Alan");
    }
    project.wait("the other has the rows", || project.lite_rows(ROWS).len() == 300);
    seen(&project, "the slow target", || row(&project, "pg")["state"] == "slow");
    let slow = row(&project, "pg");
    assert!(slow["lag_records"] == 300 && slow["lag_ms"].as_u64().unwrap() >= 2_000, "{slow}");
    assert!(slow["not_answered_s"].as_u64().unwrap() >= 2, "{slow}");
    seen(&project, "that the other runs and is not behind", || row(&project, "lite")["lag_records"] == 0);
    assert_eq!(row(&project, "lite")["state"], "running");
    let pg = r#"connection="pg""#;
    seen(&project, "it in the metrics", || {
        let body = get(&at, "/metrics").1;
        metric(&body, "redis_wb_writing_seconds", &[pg]).unwrap() >= 2.0
            && metric(&body, "redis_wb_lag_records", &[pg]) == Some(300.0)
            && metric(&body, "redis_wb_lag_ms", &[pg]).unwrap() >= 2_000.0
            && metric(&body, "redis_wb_stream_entries", &[r#"job="emps""#]) == Some(300.0)
            && metric(&body, "rdi_incoming_entries", &[r#"data_source="wb:{0}:emps""#, r#"operation="pending""#])
                == Some(300.0)
            && metric(&body, "rdi_stream_event_latency_ms", &[r#"data_source="wb:{0}:emps""#]).unwrap() >= 2_000.0
    });
    // A worker that is slow is ready all the same: to end it would not help.
    assert_eq!(get(&at, "/readyz").0, 200);
    lock.open();
    seen(&project, "that it caught up", || row(&project, "pg")["lag_records"] == 0);
    seen(&project, "its counts", || row(&project, "pg")["counts"]["inserted"] == 300);
    assert_eq!(row(&project, "pg")["counts"]["updated"], 1);
    let body = get(&at, "/metrics").1;
    assert!(metric(&body, "redis_wb_commit_seconds_count", &[pg]).unwrap() >= 2.0, "{body}");
    assert!(metric(&body, "redis_wb_commit_seconds_sum", &[pg]).unwrap() >= 2.0, "{body}");
    assert!(metric(&body, "redis_wb_batch_rows_sum", &[pg]).unwrap() >= 300.0, "{body}");
    assert_eq!(metric(&body, "redis_wb_records_total", &[pg, r#"operation="inserted""#]), Some(300.0));
    worker.stop();
}

#[test]
fn what_waits_is_seen_where_no_worker_runs_by_status_and_by_the_monitor() {
    let project = Project::new("emps", &job(&["pg"]), TABLES);
    assert!(status(&project, &[]).contains("no job is tracked"), "{}", status(&project, &[]));
    let (mut worker, _) = worker(&project);
    hset(&project, 1, "Ada");
    project.wait("the first row", || project.pg_rows(ROWS).len() == 1);
    worker.stop();
    for id in 2..=21 {
        hset(&project, id, "Alan");
    }
    let waiting = row(&project, "pg");
    assert!(waiting["state"] == "no worker" && waiting["lag_records"] == 20, "{waiting}");
    assert!(waiting["worker"].is_null() && waiting["lag_ms"].as_u64().unwrap() < 60_000, "{waiting}");
    assert!(status(&project, &[]).contains("no worker runs: start one"), "{}", status(&project, &[]));

    let log = std::fs::File::options().append(true).open(project.path("worker.log")).unwrap();
    let mut monitor = project.command(&["monitor", "--exporter-port", "0", "--collect-interval", "1"]);
    monitor.args(["--redis", &project.redis.url()]);
    let mut monitor = Process::spawn(monitor.stdout(log.try_clone().unwrap()).stderr(log)).unwrap();
    let at = address(&project, 2);
    let source = r#"data_source="wb:{0}:emps""#;
    seen(&project, "what waits", || {
        let body = get(&at, "/metrics").1;
        metric(&body, "rdi_incoming_entries", &[source, r#"operation="pending""#]) == Some(20.0)
            && metric(&body, "rdi_incoming_entries", &[source, r#"operation="inserted""#]) == Some(1.0)
            && metric(&body, "rdi_engine_state", &[r#"state="STOPPED""#, r#"sync_mode="UNKNOWN""#]) == Some(1.0)
            && metric(&body, "redis_wb_state", &[r#"state="no worker""#]) == Some(1.0)
            && metric(&body, "redis_wb_lease_held", &[]) == Some(0.0)
            && metric(&body, "redis_wb_capture_records", &[]) == Some(21.0)
    });
    let mut worker = project.worker();
    seen(&project, "that it is carried over", || {
        let body = get(&at, "/metrics").1;
        metric(&body, "rdi_incoming_entries", &[source, r#"operation="pending""#]) == Some(0.0)
            && metric(&body, "rdi_incoming_entries", &[source, r#"operation="inserted""#]) == Some(21.0)
            && metric(&body, "rdi_engine_state", &[r#"state="RUNNING""#, r#"sync_mode="STREAMING""#]) == Some(1.0)
            && metric(&body, "redis_wb_up", &[]) == Some(1.0)
    });
    assert_eq!(get(&at, "/readyz").0, 200);
    worker.stop();
    monitor.stop();
    assert!(monitor.status().unwrap().success());
}

#[test]
fn a_worker_that_died_is_told_from_one_that_went() {
    let project = Project::new("emps", &job(&["pg"]), TABLES);
    let (mut worker, _) = worker(&project);
    seen(&project, "that it runs", || row(&project, "pg")["state"] == "running");
    worker.kill();
    seen(&project, "that none runs", || row(&project, "pg")["state"] == "no worker");
}

#[test]
fn a_flush_that_stops_a_job_and_what_was_rejected_are_seen() {
    let project = Project::new("emps", &job(&["pg"]), TABLES);
    let (mut worker, at) = worker(&project);
    hset(&project, 1, "refused");
    hset(&project, 2, "much longer than twenty");
    hset(&project, 3, "Grace");
    project.wait("the good row", || project.pg_rows(ROWS) == [vec!["3".to_owned(), "Grace".to_owned()]]);
    seen(&project, "what was rejected", || row(&project, "pg")["counts"]["rejected"] == 2);
    let rejected = row(&project, "pg");
    assert_eq!((&rejected["state"], &rejected["dead_letters"]), (&"running".into(), &2.into()), "{rejected}");
    assert!(rejected["last_error"]["code"].as_str().unwrap().starts_with("R05"), "{rejected}");
    assert!(rejected["last_error"]["help"].as_str().unwrap().contains("redis-wb explain R05"), "{rejected}");
    let body = get(&at, "/metrics").1;
    for code in [r#"code="R0520""#, r#"code="R0506""#] {
        assert_eq!(metric(&body, "redis_wb_rejects_total", &[code]), Some(1.0), "{body}");
    }
    let () = redis::cmd("FLUSHALL").query(&mut project.client()).unwrap();
    seen(&project, "the stopped job", || row(&project, "pg")["state"] == "stopped");
    let stopped = row(&project, "pg");
    assert!(stopped["last_error"]["help"].as_str().unwrap().contains("on_flush"), "{stopped}");
    assert_eq!(get(&at, "/readyz").0, 503);
    worker.stop();
}

/// Every metric that is documented is exported, and none that is not; no board asks for another.
#[test]
fn the_documentation_and_the_board_name_what_is_exported() {
    let project = Project::new("emps", &job(&["pg"]), TABLES);
    let (mut worker, at) = worker(&project);
    hset(&project, 1, "refused");
    hset(&project, 2, "Alan");
    project.wait("the good row", || project.pg_rows(ROWS).len() == 1);
    project.pg("ALTER TABLE emp RENAME TO away");
    hset(&project, 3, "Grace");
    seen(&project, "the stuck table", || row(&project, "pg")["state"] == "stopped");
    let documented = documented();
    let exported = || -> BTreeSet<String> {
        let body = get(&at, "/metrics").1;
        assert!(body.ends_with("# EOF\n"), "{body}");
        let types = body.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        types.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    };
    seen(&project, "every metric", || exported() == documented);
    assert_eq!(exported(), documented);
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/");
    let board: Value =
        serde_json::from_str(&std::fs::read_to_string(format!("{folder}grafana.json")).unwrap()).unwrap();
    let alerts = std::fs::read_to_string(format!("{folder}alerts.yaml")).unwrap();
    let mut queries = Vec::new();
    collect(&board, &mut queries);
    assert!(queries.len() >= 10, "{queries:?}");
    queries.extend(alerts.lines().filter_map(|line| Some(line.trim().strip_prefix("expr: ")?.to_owned())));
    let body = get(&at, "/metrics").1;
    let series: BTreeSet<&str> = body.lines().filter_map(|line| line.split(['{', ' ']).next()).collect();
    for query in &queries {
        let words = query.split(|one: char| !one.is_ascii_alphanumeric() && one != '_');
        let names: Vec<&str> = words.filter(|word| word.starts_with("redis_wb_") || word.starts_with("rdi_")).collect();
        assert!(!names.is_empty(), "{query}");
        names.iter().for_each(|name| assert!(series.contains(name), "`{name}` of `{query}` is not exported"));
    }
    worker.stop();
}

/// Every `expr` of a board.
fn collect(part: &Value, queries: &mut Vec<String>) {
    match part {
        Value::Object(fields) => {
            if let Some(Value::String(query)) = fields.get("expr") {
                queries.push(query.clone());
            }
            fields.values().for_each(|part| collect(part, queries));
        }
        Value::Array(parts) => parts.iter().for_each(|part| collect(part, queries)),
        _ => {}
    }
}

/// The table of metrics in docs/operating.md, which is written from what is registered. `UPDATE_DOCS=1` writes it anew.
fn documented() -> BTreeSet<String> {
    const BEGINS: &str = "<!-- metrics: begins -->\n";
    const ENDS: &str = "<!-- metrics: ends -->";
    let exporter = redis_wb_runtime::metrics::Exporter::of_worker(Arc::default());
    let mut table = "| metric | kind | labels | what it tells |\n|---|---|---|---|\n".to_owned();
    for one in exporter.described() {
        let ending = if one.kind == "counter" { "_total" } else { "" };
        table += &format!("| `{}{ending}` | {} | {} | {} |\n", one.name, one.kind, one.labels, one.help);
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operating.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (before, rest) = page.split_once(BEGINS).expect("docs/operating.md marks where the table begins");
    let (found, after) = rest.split_once(ENDS).expect("docs/operating.md marks where the table ends");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, format!("{before}{BEGINS}{table}{ENDS}{after}")).unwrap();
    } else {
        assert_eq!(found, table, "UPDATE_DOCS=1 cargo test -p redis-wb --test visible writes it anew");
    }
    exporter.described().iter().map(|one| one.name.to_owned()).collect()
}

/// A terminal of 80 columns in which a command runs; `script` makes it.
struct Terminal {
    child: Child,
    screen: Arc<Mutex<vt100::Parser>>,
}

impl Terminal {
    fn run(project: &Project, arguments: &str) -> Self {
        let command = format!("stty cols 80 rows 24; exec {} {arguments}", env!("CARGO_BIN_EXE_redis-wb"));
        let mut child = Command::new("script")
            .args(["-qefc", &command, "/dev/null"])
            .current_dir(project.folder.path())
            .env("TERM", "xterm-256color")
            .env_remove("NO_COLOR")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let screen = Arc::new(Mutex::new(vt100::Parser::new(24, 80, 0)));
        let (mut output, shown) = (child.stdout.take().unwrap(), Arc::clone(&screen));
        std::thread::spawn(move || {
            let mut bytes = [0; 4_096];
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                shown.lock().unwrap().process(&bytes[..count]);
            }
        });
        Self { child, screen }
    }

    fn contents(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    fn press(&mut self, keys: &[u8]) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(keys).unwrap();
        stdin.flush().unwrap();
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn the_live_screen_follows_and_ends_at_q() {
    let project = Project::new("emps", &job(&["pg"]), TABLES);
    let (mut worker, _) = worker(&project);
    hset(&project, 1, "Ada");
    project.wait("the first row", || project.pg_rows(ROWS).len() == 1);
    let mut terminal = Terminal::run(&project, &format!("status --live --redis {}", project.redis.url()));
    project.wait("the running job is shown", || {
        let shown = terminal.contents();
        let runs = |line: &str| line.starts_with("emps") && line.contains(" running ");
        shown.contains("redis-wb status") && shown.contains("CONNECTION") && shown.lines().any(runs)
    });
    assert!(terminal.screen.lock().unwrap().screen().alternate_screen());
    let shown = terminal.contents();
    let line = shown.lines().find(|line| line.starts_with("emps")).unwrap_or_else(|| panic!("{shown}"));
    assert_eq!(line.split_whitespace().take(5).collect::<Vec<_>>(), ["emps", "0", "pg", "running", "0"], "{shown}");
    assert!(shown.contains("q ends"), "{shown}");
    worker.stop();
    hset(&project, 2, "Alan");
    seen(&project, "on the screen that the worker went", || {
        let shown = terminal.contents();
        shown.contains("no worker runs") && shown.lines().any(|line| line.starts_with("emps") && line.contains(" 1 "))
    });
    terminal.press(b"x");
    assert!(terminal.child.try_wait().unwrap().is_none());
    terminal.press(b"q");
    project.wait("it ends", || terminal.child.try_wait().unwrap().is_some());
    assert!(terminal.child.wait().unwrap().success());
    assert!(!terminal.screen.lock().unwrap().screen().alternate_screen(), "the screen is as it was");
    let output = project.command(&["status", "--live", "--redis", &project.redis.url()]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "without a terminal it says so");
}

/// What `XINFO GROUPS` of Redis says of a connection, for whoever looks there.
fn lag(project: &Project, connection: &str) -> Option<u64> {
    let mut info = redis::cmd("XINFO");
    let groups: Vec<std::collections::HashMap<String, redis::Value>> =
        info.arg("GROUPS").arg("wb:{0}:emps").query(&mut project.client()).unwrap();
    let is_it = |value: &redis::Value| redis::from_redis_value_ref::<String>(value).unwrap() == connection;
    let group = groups.iter().find(|group| group.get("name").is_some_and(is_it)).unwrap();
    redis::from_redis_value_ref(&group["lag"]).unwrap()
}

#[test]
fn redis_itself_shows_how_far_each_connection_is_behind() {
    let project = Project::new("emps", &job(&["pg", "lite"]), TABLES);
    let mut worker = project.worker();
    project.wait_until_tracked();
    hset(&project, 1, "Ada");
    project.wait("the first row", || project.pg_rows(ROWS).len() == 1 && project.lite_rows(ROWS).len() == 1);
    project.wait("nothing waits", || lag(&project, "pg") == Some(0) && lag(&project, "lite") == Some(0));
    let lock = Lock::of(&project);
    // One connection is ahead of the other in several batches, and then stops in the middle of the stream.
    for id in 2..=4 {
        hset(&project, id, "Alan");
        project.wait("its row", || project.lite_rows(ROWS).len() == id as usize && lag(&project, "lite") == Some(0));
    }
    let lite = project.lite();
    lite.execute_batch("BEGIN IMMEDIATE").unwrap();
    (5..=6).for_each(|id| hset(&project, id, "Grace"));
    assert_eq!((lag(&project, "lite"), lag(&project, "pg")), (Some(2), Some(5)));
    lite.execute_batch("COMMIT").unwrap();
    project.wait("it goes on", || lag(&project, "lite") == Some(0));
    lite.execute_batch("BEGIN IMMEDIATE").unwrap();
    hset(&project, 7, "Edsger");
    assert_eq!((lag(&project, "lite"), lag(&project, "pg")), (Some(1), Some(6)));
    lite.execute_batch("COMMIT").unwrap();
    lock.open();
    project.wait("all is applied", || lag(&project, "lite") == Some(0) && lag(&project, "pg") == Some(0));
    assert_eq!(project.pg_rows(ROWS).len(), 7);
    worker.stop();
}

/// In a cluster every shard has units of its own, and what is behind there is seen wherever it is.
#[test]
fn each_shard_of_a_cluster_has_its_rows() {
    let project = Project::new("emps", &job(&["pg"]), TABLES);
    let cluster = Cluster::start(3, 0);
    let mut worker = project.worker_at(&cluster.url(), &[]);
    let rows = || -> Vec<Value> {
        let command = ["status", "--format", "json", "--redis", &cluster.url()];
        let output = project.command(&command).output().unwrap();
        let all: Value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        all["rows"].as_array().cloned().unwrap_or_default()
    };
    project.wait("every shard is worked", || {
        let rows = rows();
        rows.len() == 3 && rows.iter().all(|row| row["state"] == "running")
    });
    let servers: BTreeSet<String> = rows().iter().map(|row| row["server"].to_string()).collect();
    assert_eq!(servers.len(), 3, "{servers:?}");
    let urls: Vec<String> = cluster.nodes().iter().map(xtask::servers::Redis::url).collect();
    let mut client = redis::cluster::ClusterClient::new(urls).unwrap().get_connection().unwrap();
    let mut write = |ids: std::ops::Range<u32>| {
        ids.for_each(|id| client.hset(format!("emp:{id}"), "name", "Ada").unwrap());
    };
    write(0..60);
    let sum = |name: &dyn Fn(&Value) -> u64| rows().iter().map(name).sum::<u64>();
    project.wait("all is counted", || sum(&|row| row["counts"]["inserted"].as_u64().unwrap()) == 60);
    assert_eq!(project.pg_rows(ROWS).len(), 60);
    worker.stop();
    write(60..90);
    assert_eq!(sum(&|row| row["lag_records"].as_u64().unwrap()), 30);
    assert!(rows().iter().all(|row| row["state"] == "no worker"));
}

#[test]
fn a_busy_port_is_told_with_what_to_do() {
    let project = Project::new("emps", &job(&["pg"]), TABLES);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap().to_string();
    let run = project.command(&["run", "--metrics", &at, "--redis", &project.redis.url()]).output().unwrap();
    let said = text(&run.stderr);
    assert!(run.status.code() == Some(2) && said.contains("cannot listen on") && said.contains("help"), "{said}");
    let _: Vec<Row> = project.pg_rows(ROWS);
}

/// All objects within that have a field.
fn having<'v>(part: &'v Value, field: &str, found: &mut Vec<&'v Value>) {
    match part {
        Value::Object(fields) => {
            if fields.contains_key(field) {
                found.push(part);
            }
            fields.values().for_each(|part| having(part, field, found));
        }
        Value::Array(parts) => parts.iter().for_each(|part| having(part, field, found)),
        _ => {}
    }
}

#[test]
fn logs_and_traces_go_to_a_collector_that_was_asked_for_and_nobody_waits_for_it() {
    let project = Project::new("emps", &job(&["pg"]), TABLES);
    let (at, kept) = collector();
    let mut worker = project.worker_at(&project.redis.url(), &["--otlp", &at]);
    project.wait_until_tracked();
    hset(&project, 1, "Ada");
    hset(&project, 2, "refused");
    project.wait("the row", || project.pg_rows(ROWS).len() == 1);
    project.wait("what was rejected", || project.log().contains("R0520"));
    worker.stop();
    assert!(worker.status().unwrap().success());
    let kept = kept.lock().unwrap();
    let of =
        |path: &str| Value::Array(kept.iter().filter(|(own, _)| own == path).map(|(_, body)| body.clone()).collect());
    let (traces, logs) = (of("/v1/traces"), of("/v1/logs"));
    let (mut spans, mut lines) = (Vec::new(), Vec::new());
    having(&traces, "spanId", &mut spans);
    having(&logs, "severityNumber", &mut lines);
    let commit = spans.iter().find(|span| span["name"] == "commit").unwrap_or_else(|| panic!("{traces}"));
    let batch = spans.iter().find(|span| span["spanId"] == commit["parentSpanId"]).unwrap();
    assert_eq!((&batch["name"], &batch["traceId"]), (&"batch".into(), &commit["traceId"]));
    assert_eq!(batch["traceId"].as_str().unwrap().len(), 32);
    let ns = |value: &Value| value.as_str().unwrap().parse::<u64>().unwrap();
    assert!(ns(&commit["endTimeUnixNano"]) > ns(&commit["startTimeUnixNano"]), "{commit}");
    let says = |text: &str| lines.iter().find(|line| line["body"]["stringValue"].as_str().unwrap().contains(text));
    assert_eq!(says("running").unwrap()["severityNumber"], 9, "{logs}");
    assert!(says("stopped").is_some(), "the last of them are sent: {logs}");
    let rejected = says("rejected").unwrap();
    assert!(spans.iter().any(|span| span["name"] == "batch" && span["traceId"] == rejected["traceId"]), "{rejected}");

    let mut worker = project.worker_at(&project.redis.url(), &["--otlp", "http://127.0.0.1:1"]);
    hset(&project, 3, "Grace");
    project.wait("the next row", || project.pg_rows(ROWS).len() == 2);
    project.wait("that nobody takes it", || project.log().contains("the collector does not take logs or traces"));
    worker.stop();
    assert!(worker.status().unwrap().success());
}
