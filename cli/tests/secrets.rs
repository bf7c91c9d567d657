//! No password shows up anywhere: planted ones are looked for in all that commands print and send, and in all that they
//! leave behind, whatever goes wrong.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helping functions as well")]

mod support;

use std::fs::File;
use std::process::Command;
use std::time::Duration;

use redis::Commands as _;
use support::maria::Maria;
use support::web::{address, collector, get};
use support::{Project, text};
use xtask::servers::{Process, Redis};

/// What is planted: in variables, in a file, in an address, in the configuration itself.
const PLANTED: [&str; 7] =
    ["planted-pg", "planted-file", "planted-cache", "planted-source", "planted-text", "planted-env", "planted-key"];
/// A key where the path of one is wanted.
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nplanted-key\n-----END PRIVATE KEY-----\n";

const JOB: &str = "source:\n  redis:\n    trigger: write-behind\n    key_pattern: emp:*\n    key: emp:<id:int>\noutput:\n  \
    - uses: relational.write\n    with: {connection: pg, table: emp, keys: [id], mapping: [name]}\n  \
    - uses: relational.write\n    with: {connection: maria, table: emp, keys: [id], mapping: [name]}\n  \
    - uses: redis.write\n    with: {connection: cache, key: {expression: \"'e:' || id\", language: sql}, mapping: [name]}\n";
const TABLE: &str = "CREATE TABLE emp (id integer PRIMARY KEY, name varchar(40) CHECK (name <> 'refused'));";

/// Servers that all ask for a password.
struct Stage {
    project: Project,
    maria: Maria,
    cache: Redis,
    /// The address of the source.
    source: String,
}

#[track_caller]
fn assert_clean(what: &str, said: &str) {
    for planted in PLANTED {
        assert!(!said.contains(planted), "{what} shows {planted}:\n{said}");
    }
}

impl Stage {
    fn new() -> Self {
        let mut project = Project::new("emp", JOB, TABLE);
        project.redis = Redis::start_with(&["--requirepass", "planted-source"]);
        let cache = Redis::start_bare(&["--requirepass", "planted-cache"]);
        let maria = Maria { server: xtask::servers::MariaDb::start() };
        maria.run(TABLE);
        maria.run("CREATE USER worker IDENTIFIED BY 'planted-file'; GRANT ALL ON test.* TO worker");
        project.pg("CREATE ROLE worker LOGIN PASSWORD 'planted-pg'; GRANT ALL ON SCHEMA public TO worker; GRANT ALL ON emp TO worker");
        project.write("maria.password", "planted-file\n");
        let source = format!("redis://:planted-source@127.0.0.1:{}", project.redis.port());
        let stage = Self { project, maria, cache, source };
        stage.configure("${PG_PASSWORD}", "");
        stage
    }

    /// Writes the configuration; `rest` is what stands below the password of PostgreSQL.
    fn configure(&self, pg_password: &str, rest: &str) {
        let config = format!(
            "connections:\n  pg:\n    type: postgresql\n    host: 127.0.0.1\n    port: {}\n    database: postgres\n    \
             user: worker\n    ddl: schema.sql\n    password: {pg_password}\n{rest}  maria:\n    type: mariadb\n    \
             host: 127.0.0.1\n    port: {}\n    database: test\n    user: worker\n    password: ./maria.password\n    \
             ddl: schema.sql\n  cache:\n    type: redis\n    host: 127.0.0.1\n    port: {}\n    \
             password: ${{CACHE_PASSWORD}}\napplier:\n  on_failed_retry_interval: 0\n",
            self.project.postgres.port(),
            self.maria.server.port(),
            self.cache.port(),
        );
        self.project.write("config.yaml", &config);
    }

    fn command(&self, arguments: &[&str], cache_password: &str) -> Command {
        let mut command = self.project.command(arguments);
        command.env("RUST_LOG", "trace").env("PG_PASSWORD", "planted-pg").env("CACHE_PASSWORD", cache_password);
        command.env("PG_KEY", KEY);
        command
    }

    /// Runs a command to its end; whether it succeeded, and what it printed.
    #[track_caller]
    fn run_as(&self, arguments: &[&str], cache_password: &str, log_format: &str) -> (bool, String) {
        let output = self.command(arguments, cache_password).args(["--log-format", log_format]).output().unwrap();
        let all = text(&output.stdout) + &text(&output.stderr);
        assert_clean(&format!("{arguments:?}"), &all);
        (output.status.success(), all)
    }

    #[track_caller]
    fn run(&self, arguments: &[&str]) -> (bool, String) {
        self.run_as(arguments, "planted-cache", "text")
    }

    /// Runs a command against the source, which succeeds.
    #[track_caller]
    fn shows(&self, arguments: &[&str]) -> String {
        let (is_done, all) = self.run(&[arguments, &["--redis", &self.source]].concat());
        assert!(is_done, "{arguments:?}: {all}");
        all
    }

    fn client(&self) -> redis::Connection {
        redis::Client::open(self.source.as_str()).unwrap().get_connection().unwrap()
    }

    fn hset(&self, id: u32, name: &str) {
        let _: () = self.client().hset(format!("emp:{id}"), "name", name).unwrap();
    }

    /// Starts a worker whose metrics are served, and whose logs and traces go to a collector, too.
    fn worker(&self, otlp: &str, cache_password: &str) -> Process {
        let log = File::options().create(true).append(true).open(self.project.path("worker.log")).unwrap();
        let arguments = ["run", "--redis", &self.source, "--metrics", "127.0.0.1:0", "--otlp", otlp];
        let mut command = self.command(&arguments, cache_password);
        Process::spawn(command.stdout(log.try_clone().unwrap()).stderr(log)).unwrap()
    }
}

/// All texts of a reply.
fn texts(value: &redis::Value, all: &mut String) {
    match value {
        redis::Value::BulkString(bytes) => *all += &(String::from_utf8_lossy(bytes).into_owned() + "\n"),
        redis::Value::SimpleString(text) => *all += &(text.clone() + "\n"),
        redis::Value::Array(parts) | redis::Value::Set(parts) => parts.iter().for_each(|part| texts(part, all)),
        redis::Value::Map(pairs) => pairs.iter().for_each(|(key, value)| {
            texts(key, all);
            texts(value, all);
        }),
        _ => {}
    }
}

/// All that a Redis holds.
fn kept(client: &mut redis::Connection) -> String {
    let mut all = String::new();
    for key in client.keys::<_, Vec<String>>("*").unwrap() {
        let read = match client.key_type::<_, String>(&key).unwrap().as_str() {
            "hash" => redis::cmd("HGETALL").arg(&key).to_owned(),
            "set" => redis::cmd("SMEMBERS").arg(&key).to_owned(),
            "zset" => redis::cmd("ZRANGE").arg(&key).arg(0).arg(-1).to_owned(),
            "stream" => redis::cmd("XRANGE").arg(&key).arg("-").arg("+").to_owned(),
            "string" => redis::cmd("GET").arg(&key).to_owned(),
            other => panic!("{key} is a {other}"),
        };
        all += &format!("{key}\n");
        texts(&read.query(client).unwrap(), &mut all);
    }
    all
}

#[test]
fn no_command_prints_a_secret() {
    let stage = Stage::new();
    let drain = ["run", "--until-idle", "--redis", &stage.source];
    stage.shows(&["run", "--until-idle"]);
    stage.hset(1, "Ada");
    let (is_done, all) = stage.run_as(&drain, "planted-cache", "json");
    assert!(is_done, "{all}");
    assert_eq!(stage.project.pg_rows("SELECT name FROM emp"), [["Ada"]]);
    for format in ["text", "json", "github", "sarif"] {
        assert!(stage.run(&["check", "--format", format]).0);
        assert!(stage.run(&["check", "--connect", "--format", format]).0);
    }
    for format in ["sql", "yaml", "json"] {
        assert!(stage.run(&["compile", "--format", format]).0);
    }

    // Whatever is wrong with a password, it is not said which it was.
    assert!(!stage.run_as(&drain, "planted-env", "text").0);
    let wrong = stage.source.replace("planted-source", "planted-text");
    for arguments in [
        &["run", "--until-idle"][..],
        &["snapshot"],
        &["status"],
        &["status", "--format", "json"],
        &["trace", "--timeout", "1"],
        &["dlq", "list"],
        &["dlq", "replay", "--all"],
        &["get-rejected"],
    ] {
        let (is_done, all) = stage.run(&[arguments, &["--redis", &wrong]].concat());
        assert!(!is_done, "{arguments:?}: {all}");
    }
    stage.project.write("maria.password", "planted-text\n");
    assert!(!stage.run(&drain).0);
    for format in ["text", "json", "github", "sarif"] {
        assert!(!stage.run(&["check", "--connect", "--format", format]).0);
    }
}

#[test]
fn what_is_wrong_with_an_address_is_said_without_its_password() {
    let stage = Stage::new();
    let port = stage.project.redis.port();
    for address in [
        format!("redis://:planted-source@127.0.0.1:{port}/7"),
        "redis://:planted-source@127.0.0.1:many".to_owned(),
        "http://:planted-source@127.0.0.1".to_owned(),
        "worker:planted-source@127.0.0.1".to_owned(),
        "redis+sentinel://:planted-source@127.0.0.1:many/shop".to_owned(),
        "redis+sentinel://:planted-source@127.0.0.1".to_owned(),
    ] {
        for arguments in [&["run", "--until-idle"][..], &["status"]] {
            let (is_done, all) = stage.run(&[arguments, &["--redis", &address]].concat());
            assert!(!is_done, "{arguments:?} {address}: {all}");
        }
    }
    // Nobody is there: a worker waits for it.
    for scheme in ["redis", "rediss"] {
        let address = format!("{scheme}://:planted-source@127.0.0.1:1");
        let log = stage.project.path(&format!("{scheme}.log"));
        let file = File::create(&log).unwrap();
        let mut command = stage.command(&["run", "--redis", &address], "planted-cache");
        let mut worker = Process::spawn(command.stdout(file.try_clone().unwrap()).stderr(file)).unwrap();
        let said = || std::fs::read_to_string(&log).unwrap();
        stage.project.wait("the worker says what it waits for", || said().contains("cannot be reached"));
        worker.kill();
        assert_clean("the log", &said());
    }
    for address in ["https://worker:planted-env@otel:4318", "http://worker:planted-env@127.0.0.1:1", "planted-env"] {
        let (is_done, all) = stage.run(&["check", "--otlp", address]);
        assert!(!is_done && all.contains("no address of a collector"), "{address}: {all}");
    }
    let mut help = stage.command(&["run", "--help"], "planted-cache");
    let help = help.env("REDIS_WB_REDIS", &stage.source).env("REDIS_WB_OTLP", "http://worker:planted-env@otel");
    assert_clean("the help", &text(&help.output().unwrap().stdout));
}

/// A diagnostic shows the lines that it is about, and those beside them.
#[test]
fn no_line_that_is_shown_holds_a_secret() {
    let stage = Stage::new();
    let mut seen = 0;
    for (password, rest) in [
        ("planted-text", ""),
        ("planted-text", "    prot: 5432\n"),
        ("planted-text", "    query_args: {sslmode: some}\n"),
        ("planted-text", "    query_args:\n      password: planted-env\n      nonsense: yes\n"),
        ("planted-text", "    hosts: []\n"),
        ("planted-text", "   broken\n"),
        ("\"planted-text", ""),
        ("*planted-text", ""),
        ("&planted-text x", ""),
        ("!planted-text", ""),
        ("@planted-text", ""),
        ("%planted-text", ""),
        ("planted-text: #planted-env", ""),
        ("'planted-text' x", ""),
        ("[planted-text]", ""),
        ("{planted-text: planted-env}", ""),
        ("planted-text: planted-env", ""),
        ("|\n      planted-text\n      planted-env", "    prot: 5432\n"),
        ("planted-text${PG_PASSWORD", ""),
        ("${PG_PASSWORD}", "    query_args: {sslmode: verify-full, sslcert: \"${PG_KEY}\", sslkey: \"${PG_KEY}\"}\n"),
        ("${PG_PASSWORD}", "    query_args: {sslmode: verify-full, sslrootcert: \"${PG_KEY}\"}\n"),
        (
            "${PG_PASSWORD}",
            "    query_args:\n      sslkey: |\n        -----BEGIN PRIVATE KEY-----\n        planted-key\n      prot: 1\n",
        ),
    ] {
        stage.configure(password, rest);
        let mut is_right = true;
        for format in ["text", "json", "github", "sarif"] {
            let (is_done, all) = stage.run(&["check", "--format", format]);
            seen += usize::from(!is_done || all.contains("W0011"));
            is_right &= is_done;
        }
        stage.run(&["compile", "--format", "json"]);
        // Otherwise the same is said.
        if is_right {
            stage.run(&["check", "--connect"]);
            stage.run(&["run", "--until-idle", "--redis", &stage.source]);
        }
    }
    assert!(seen > 60, "{seen} diagnostics were shown");
}

#[test]
fn nothing_that_is_seen_of_a_worker_or_left_by_it_holds_a_secret() {
    let stage = Stage::new();
    let (otlp, sent) = collector();
    let mut worker = stage.worker(&otlp, "planted-cache");
    stage.project.wait("the worker runs", || stage.project.log().matches("running").count() >= 3);
    stage.hset(1, "Ada");
    stage.hset(2, "refused");
    stage.project.wait("both were dealt with", || {
        stage.project.log().contains("R0520") && stage.maria.rows("SELECT name FROM emp") == [["Ada"]]
    });
    let running = address(&stage.project, 1);
    let served = |at: &str, paths: &[&str]| {
        let served: String = paths.iter().map(|path| get(at, path).1).collect();
        assert_clean(&format!("{at} {paths:?}"), &served);
        served
    };
    assert!(served(&running, &["/metrics", "/healthz", "/readyz"]).contains("redis_wb_records_total"));

    // A change while it is followed.
    for format in ["text", "json"] {
        let stage = &stage;
        let told = std::thread::scope(|scope| {
            let trace = ["trace", "--max-change-records", "1", "--timeout", "20", "--format", format];
            let trace = scope.spawn(move || stage.shows(&trace));
            while !trace.is_finished() {
                stage.hset(3, "Grace");
                std::thread::sleep(Duration::from_millis(50));
            }
            trace.join().unwrap()
        });
        assert!(told.contains("Grace") && told.contains("INSERT"), "{told}");
    }
    for format in ["text", "json"] {
        assert!(stage.shows(&["status", "--format", format]).contains("R0520"));
        assert!(stage.shows(&["dlq", "list", "--format", format]).contains("emp:2"));
        assert!(stage.shows(&["get-rejected", "--format", format]).contains("emp:2"));
        let ids: Vec<(String, redis::Value)> =
            redis::cmd("XRANGE").arg("dlq:wb:{0}:emp").arg("-").arg("+").query(&mut stage.client()).unwrap();
        for (id, _) in ids {
            assert!(stage.shows(&["dlq", "show", &id, "--format", format]).contains("refused"));
        }
    }
    stage.shows(&["snapshot"]);
    stage.shows(&["dlq", "replay", "--code", "R0520"]);
    stage.project.wait("it is rejected again", || stage.client().xlen::<_, usize>("dlq:wb:{0}:emp").unwrap() > 0);
    worker.stop();

    // A worker with passwords that are refused.
    stage.project.write("maria.password", "planted-text\n");
    let mut worker = stage.worker(&otlp, "planted-env");
    stage.project.wait("it is stopped at both", || {
        let all = stage.shows(&["status", "--format", "json"]);
        all.matches("\"stopped\"").count() >= 2
    });
    let stopped = address(&stage.project, 2);
    assert!(served(&stopped, &["/metrics", "/healthz", "/readyz"]).contains("stopped"));
    assert!(stage.shows(&["status"]).contains("what to do"));
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let monitor = ["monitor", "--exporter-port", &port, "--redis", &stage.source];
    let log = File::create(stage.project.path("monitor.log")).unwrap();
    let mut monitor = stage.command(&monitor, "planted-cache");
    let mut monitor = Process::spawn(monitor.stdout(log.try_clone().unwrap()).stderr(log)).unwrap();
    stage.project.wait("the monitor answers", || std::net::TcpStream::connect(format!("127.0.0.1:{port}")).is_ok());
    served(&format!("127.0.0.1:{port}"), &["/metrics", "/healthz"]);
    monitor.stop();
    worker.stop();

    for log in ["worker.log", "monitor.log"] {
        let log = std::fs::read_to_string(stage.project.path(log)).unwrap();
        assert!(!log.is_empty());
        assert_clean("the log", &log);
    }
    let sent = sent.lock().unwrap();
    for path in ["/v1/logs", "/v1/traces"] {
        let sent: String = sent.iter().filter(|(own, _)| own == path).map(|(_, body)| body.to_string()).collect();
        assert!(!sent.is_empty(), "nothing was sent to {path}");
        assert_clean(path, &sent);
    }
    let in_source = kept(&mut stage.client());
    assert!(in_source.contains("R0520") && in_source.contains("Access denied"), "{in_source}");
    assert_clean("the source", &in_source);
    let mut cache = client_with(&stage.cache, "planted-cache");
    assert_clean("the cache", &kept(&mut cache));
    stage.shows(&["dlq", "drop", "--all"]);
}

/// A connection to a Redis that asks for a password.
fn client_with(redis: &Redis, password: &str) -> redis::Connection {
    let url = redis.url().replace("redis://", &format!("redis://:{password}@"));
    redis::Client::open(url).unwrap().get_connection().unwrap()
}
