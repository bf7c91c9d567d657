//! What the tests of the whole chain share: a project folder, the worker as a process, both targets.

#![allow(dead_code, clippy::allow_attributes, reason = "each test uses a part of it")]

pub(crate) mod cache;
pub(crate) mod everywhere;
pub(crate) mod maria;
pub(crate) mod web;

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use xtask::servers::{Postgres, Process, Redis};

/// How long the worker may take to drain a stream, or to end.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A folder with a configuration and jobs, and the servers that it names.
pub(crate) struct Project {
    pub(crate) redis: Redis,
    pub(crate) postgres: Postgres,
    pub(crate) folder: TempDir,
}

/// A row, each column as text.
pub(crate) type Row = Vec<String>;

impl Project {
    /// A project whose job writes to the connections `pg` and `lite`.
    pub(crate) fn new(job_name: &str, job: &str, tables: &str) -> Self {
        let project = Self { redis: Redis::start(), postgres: Postgres::start(), folder: tempfile::tempdir().unwrap() };
        let config = format!(
            "connections:\n  pg:\n    type: postgresql\n    host: 127.0.0.1\n    port: {}\n    database: postgres\n    \
             user: postgres\n    ddl: schema.sql\n  lite:\n    type: sqlite\n    database: {}\n    ddl: schema.sql\n\
             applier:\n  on_failed_retry_interval: 0\n  foreign_key_wait: 2\n  dlq_max_messages: 100000\n",
            project.postgres.port(),
            project.lite_path().display(),
        );
        project.write("config.yaml", &config);
        project.write("schema.sql", tables);
        project.write(&format!("jobs/{job_name}.yaml"), job);
        project.lite().execute_batch(tables).unwrap();
        project.pg(tables);
        project
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn lite_path(&self) -> PathBuf {
        self.path("lite.db")
    }

    /// A connection to the SQLite target.
    pub(crate) fn lite(&self) -> rusqlite::Connection {
        let lite = rusqlite::Connection::open(self.lite_path()).unwrap();
        lite.busy_timeout(PATIENCE).unwrap();
        lite
    }

    /// Runs statements on the PostgreSQL target.
    pub(crate) fn pg(&self, sql: &str) {
        self.pg_rows_of(sql, |client, sql| {
            Box::pin(async move { client.batch_execute(sql).await.map(|()| Vec::new()) })
        });
    }

    /// The rows of a query, whose columns are all text.
    pub(crate) fn pg_rows(&self, sql: &str) -> Vec<Row> {
        self.pg_rows_of(sql, |client, sql| Box::pin(async move { client.query(sql, &[]).await }))
            .iter()
            .map(|row| (0..row.len()).map(|at| row.get::<_, Option<String>>(at).unwrap_or_else(null)).collect())
            .collect()
    }

    fn pg_rows_of(
        &self,
        sql: &str,
        query: impl for<'c> FnOnce(
            &'c tokio_postgres::Client,
            &'c str,
        ) -> std::pin::Pin<
            Box<dyn Future<Output = Result<Vec<tokio_postgres::Row>, tokio_postgres::Error>> + 'c>,
        >,
    ) -> Vec<tokio_postgres::Row> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (client, wire) = tokio_postgres::connect(&self.postgres.url(), tokio_postgres::NoTls).await.unwrap();
            let wire = tokio::spawn(wire);
            let rows = query(&client, sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
            wire.abort();
            rows
        })
    }

    /// The rows of a query, whose columns are all text.
    pub(crate) fn lite_rows(&self, sql: &str) -> Vec<Row> {
        let lite = self.lite();
        let mut select = lite.prepare(sql).unwrap();
        let columns = select.column_count();
        let rows = select.query_map([], |row| {
            (0..columns).map(|at| Ok(row.get::<_, Option<String>>(at)?.unwrap_or_else(null))).collect()
        });
        rows.unwrap().collect::<Result<_, _>>().unwrap()
    }

    /// A connection to Redis.
    pub(crate) fn client(&self) -> redis::Connection {
        redis::Client::open(self.redis.url()).unwrap().get_connection().unwrap()
    }

    /// The command, ready for more arguments.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_redis-wb"));
        command.args(arguments).current_dir(self.folder.path()).env("NO_COLOR", "1").env_remove("RUST_LOG");
        // Tests kill workers often, and the next one is to begin soon. A machine that is very busy needs more.
        if std::env::var_os("REDIS_WB_TAKEOVER_MS").is_none() {
            command.env("REDIS_WB_TAKEOVER_MS", "2000");
        }
        command
    }

    /// Starts a worker; its log is appended to `worker.log`.
    pub(crate) fn worker(&self) -> Process {
        self.worker_at(&self.redis.url(), &[])
    }

    /// Starts a worker at an address, with more arguments.
    pub(crate) fn worker_at(&self, url: &str, arguments: &[&str]) -> Process {
        let log = File::options().create(true).append(true).open(self.path("worker.log")).unwrap();
        let mut command = self.command(&["run", "--redis", url]);
        command.args(arguments);
        Process::spawn(command.stdout(log.try_clone().unwrap()).stderr(log)).unwrap()
    }

    /// Runs a worker until the streams are drained.
    pub(crate) fn drain(&self) -> Output {
        let output = self.command(&["run", "--until-idle", "--redis", &self.redis.url()]).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        output
    }

    /// What the workers logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("worker.log")).unwrap_or_default()
    }

    /// Waits until a condition holds.
    #[track_caller]
    pub(crate) fn wait(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let start = Instant::now();
        while !holds() {
            assert!(start.elapsed() < PATIENCE, "{what}, waited {PATIENCE:?}; the workers said:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until the keys of a job are captured.
    #[track_caller]
    pub(crate) fn wait_until_tracked(&self) {
        let mut client = self.client();
        self.wait("the keys are tracked", || {
            let rules: Vec<redis::Value> = redis::cmd("WB.RULES").query(&mut client).unwrap();
            !rules.is_empty()
        });
    }
}

fn null() -> String {
    "∅".to_owned()
}

/// Output of a process as text.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The seed of a random test: that of `REDIS_WB_SEED`, else a new one. Printed, so that a failure can be repeated.
pub(crate) fn seed() -> u64 {
    let seed = std::env::var("REDIS_WB_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    println!("REDIS_WB_SEED={seed}");
    seed
}

/// Fewer rounds of a random test where `cargo xtask test --fast` asks for it.
pub(crate) fn rounds(full: usize) -> usize {
    if std::env::var_os("REDIS_WB_FAST").is_some() { full / 10 } else { full }
}

/// How many differing rows a failure shows.
const DIFFERENCES_MAX: usize = 10;

/// Compares tables, and shows only where they differ.
#[track_caller]
pub(crate) fn assert_same_rows(found: &[Row], expected: &[Row]) {
    // Looking for differences takes time with the square of the rows.
    if found == expected {
        return;
    }
    let missing: Vec<_> = expected.iter().filter(|row| !found.contains(row)).take(DIFFERENCES_MAX).collect();
    let surplus: Vec<_> = found.iter().filter(|row| !expected.contains(row)).take(DIFFERENCES_MAX).collect();
    assert!(missing.is_empty() && surplus.is_empty(), "missing {missing:?}\nsurplus {surplus:?}");
    panic!("the same rows in another order, or some twice");
}
