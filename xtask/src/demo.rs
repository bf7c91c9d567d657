//! The whole chain on this machine: a private Redis, the worker, tables in a SQLite file.
//! It must not know how any of them works: it talks to Redis and to the file as an application would.

mod tables;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use xtask::servers::{CAPTURE_FILE, Folder, Process, Redis};
use xtask::{Error, cargo, root, tools};

use tables::{EMPLOYEES, ORDERS, Row, SCHEMA, Table};

/// What happens at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// All ends and nothing is left.
    CleanUp,
    /// All goes on until Ctrl-C.
    KeepRunning,
}

/// The jobs that run, from the root of the repository on.
const JOBS: [&str; 2] = ["jobs/employees.yaml", "jobs/orders.yaml"];

/// What an application does: a title, commands of Redis, and the tables that follow.
const SCENES: [(&str, &[&str], &[Table]); 4] = [
    (
        "three employees come, each a hash",
        &[
            "HSET emp:1 first_name Ada last_name Lovelace salary 5200 hired 2024-03-01",
            "HSET emp:2 first_name Alan last_name Turing salary 4800 hired 2024-09-15",
            "HSET emp:3 first_name Grace last_name Hopper salary 6100 hired 2025-01-07",
        ],
        &EMPLOYEES,
    ),
    (
        "one gets a raise, one a new name, one leaves",
        &["HINCRBY emp:2 salary 350", "HSET emp:1 last_name King", "DEL emp:3"],
        &EMPLOYEES,
    ),
    (
        "an order comes: one JSON document, rows in three tables",
        &[concat!(
            r#"JSON.SET order:1 $ {"customer":{"name":"Ada","address":{"street":"Elm-St-3","city":"Rome"}},"#,
            r#""placed_at":"2026-03-01T10:00:00Z","currency":"EUR","lines":["#,
            r#"{"no":1,"article":"pen","quantity":2,"price":3.5},{"no":2,"article":"ink","quantity":1,"price":8}]}"#,
        )],
        &ORDERS,
    ),
    ("a line of it is deleted", &["JSON.DEL order:1 $.lines[0]"], &ORDERS),
];

/// How long the rows may take to follow.
const FOLLOW_MAX: Duration = Duration::from_secs(20);

/// How long to wait between two looks at the table.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// How long to wait between two looks once nothing more is expected of the demo itself.
const LOOK_AGAIN_LATER: Duration = Duration::from_millis(200);

/// Shows the chain at work.
pub(crate) fn run(ending: Ending) -> Result<(), Error> {
    let interrupted = watch_signals()?;
    let mut stage = match Stage::set() {
        // Ctrl-C reached the build as well; its failure is none.
        Err(_) if interrupted.load(Ordering::Relaxed) => return Err(Error::new("interrupted")),
        stage => stage?,
    };
    stage.introduce();
    for (title, commands, tables) in SCENES {
        println!("\n{title}");
        stage.play(commands, tables, &interrupted)?;
    }
    if ending == Ending::KeepRunning {
        stage.keep(&interrupted)?;
    }
    stage.clear()
}

/// A flag that a signal sets. A second signal ends this process at once; even then nothing is
/// left, since the servers' guards see to it.
fn watch_signals() -> Result<Arc<AtomicBool>, Error> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&flag))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&flag)))
            .map_err(Error::during("watch for Ctrl-C"))?;
    }
    Ok(flag)
}

/// All that runs, and the two clients that look at it.
struct Stage {
    // Fields drop in this order: the worker first, the folder with the table last.
    worker: Process,
    redis: redis::Connection,
    file: rusqlite::Connection,
    server: Redis,
    folder: Folder,
}

impl Stage {
    /// Builds and starts everything.
    fn set() -> Result<Self, Error> {
        // Asked for first, so that a machine that lacks it says so before minutes of building.
        tools::redis_server()?;
        let rejson = tools::rejson()?;
        let built = cargo::build(&["redis-wb", "redis-wb-capture"], &["--locked"])?;
        let server = Redis::try_start(Some(&built.file(CAPTURE_FILE)?), &["--loadmodule", &rejson.to_string_lossy()])?;
        let redis = redis::Client::open(server.url())
            .and_then(|client| client.get_connection())
            .map_err(Error::during("connect to Redis"))?;
        let folder = Folder::create("redis-wb-demo-")?;
        let file = create_tables(folder.path()).map_err(Error::during("create the tables"))?;
        let config = configure(folder.path()).map_err(Error::during("write the configuration"))?;
        let worker = start_worker(&built.file("redis-wb")?, &config, &server, folder.path())?;
        let mut stage = Self { worker, redis, file, server, folder };
        stage.wait_for_worker()?;
        Ok(stage)
    }

    /// Waits until the worker has its jobs' keys tracked: what was written before would not be captured.
    fn wait_for_worker(&mut self) -> Result<(), Error> {
        let start = Instant::now();
        loop {
            let rules: Vec<redis::Value> =
                redis::cmd("WB.RULES").query(&mut self.redis).map_err(Error::during("ask for the tracking rules"))?;
            if rules.len() == JOBS.len() {
                return Ok(());
            }
            if !self.worker.runs() || start.elapsed() > FOLLOW_MAX {
                return Err(self.worker_failed("the worker did not start"));
            }
            thread::sleep(LOOK_AGAIN);
        }
    }

    fn introduce(&self) {
        println!("Redis   {} (private, with the capture module and RedisJSON)", self.server.url());
        println!("SQLite  {}", database(self.folder.path()).display());
        println!("jobs    {}", JOBS.join(", "));
    }

    /// Sends commands, then shows the tables once they say what Redis says.
    fn play(&mut self, commands: &[&str], tables: &[Table], interrupted: &AtomicBool) -> Result<(), Error> {
        for command in commands {
            println!("  redis> {command}");
            send(&mut self.redis, command)?;
        }
        let start = Instant::now();
        let wanted: Vec<Vec<Row>> = tables
            .iter()
            .map(|table| (table.wanted)(&mut self.redis))
            .collect::<redis::RedisResult<_>>()
            .map_err(Error::during("read Redis"))?;
        while self.rows(tables)? != wanted {
            self.go_on(interrupted)?;
            if start.elapsed() > FOLLOW_MAX {
                return Err(self.worker_failed("the rows did not follow"));
            }
            thread::sleep(LOOK_AGAIN);
        }
        println!("  SQLite after {} ms:\n{}", start.elapsed().as_millis(), drawn(tables, &wanted));
        Ok(())
    }

    /// Leaves all running until Ctrl-C, and shows tables whenever they change.
    fn keep(&mut self, interrupted: &AtomicBool) -> Result<(), Error> {
        println!("\nAll is left running until Ctrl-C. In another terminal:");
        println!("  redis-cli -p {} HSET emp:7 first_name Edsger last_name Dijkstra salary 5000", self.server.port());
        if tools::on_path("redis-cli").is_none() {
            println!("    (redis-cli comes with Debian's package redis-tools)");
        }
        println!("  sqlite3 {} 'SELECT * FROM emp'", database(self.folder.path()).display());
        println!("  tail -f {}", worker_log(self.folder.path()).display());
        let all = [EMPLOYEES.as_slice(), ORDERS.as_slice()];
        let mut shown = all.iter().map(|tables| self.rows(tables)).collect::<Result<Vec<_>, _>>()?;
        while !interrupted.load(Ordering::Relaxed) {
            if !self.worker.runs() {
                return Err(self.worker_failed("the worker has ended"));
            }
            for (tables, shown) in all.iter().zip(&mut shown) {
                let rows = self.rows(tables)?;
                if rows != *shown {
                    println!("\n  SQLite now:\n{}", drawn(tables, &rows));
                    *shown = rows;
                }
            }
            thread::sleep(LOOK_AGAIN_LATER);
        }
        println!();
        Ok(())
    }

    /// The rows of tables.
    fn rows(&self, tables: &[Table]) -> Result<Vec<Vec<Row>>, Error> {
        let rows = tables.iter().map(|table| table.rows(&self.file)).collect::<rusqlite::Result<_>>();
        rows.map_err(Error::during("read the tables"))
    }

    /// Ends everything in good order; dropping would do it too, but could not say what went wrong.
    fn clear(mut self) -> Result<(), Error> {
        self.worker.stop();
        if !self.worker.status().is_some_and(|status| status.success()) {
            return Err(self.worker_failed("the worker did not end well"));
        }
        let Self { worker, redis, file, server, folder } = self;
        drop((worker, redis, file, server, folder));
        println!("\neverything is stopped and removed");
        Ok(())
    }

    /// An error if there was a signal, or if the worker has ended.
    fn go_on(&mut self, interrupted: &AtomicBool) -> Result<(), Error> {
        if interrupted.load(Ordering::Relaxed) {
            return Err(Error::new("interrupted; everything is stopped and removed"));
        }
        if !self.worker.runs() {
            return Err(self.worker_failed("the worker has ended"));
        }
        Ok(())
    }

    fn worker_failed(&self, what: &str) -> Error {
        let log = fs::read_to_string(worker_log(self.folder.path())).unwrap_or_default();
        Error::new(format!("{what}; its log:\n{}", log.trim_end()))
    }
}

fn database(folder: &Path) -> PathBuf {
    folder.join("hr.db")
}

fn worker_log(folder: &Path) -> PathBuf {
    folder.join("worker.log")
}

fn create_tables(folder: &Path) -> rusqlite::Result<rusqlite::Connection> {
    let file = rusqlite::Connection::open(database(folder))?;
    file.busy_timeout(FOLLOW_MAX)?;
    file.execute_batch(SCHEMA)?;
    Ok(file)
}

/// Tables for people.
fn drawn(tables: &[Table], rows: &[Vec<Row>]) -> String {
    let drawn: Vec<String> = tables.iter().zip(rows).map(|(table, rows)| table.drawn(rows)).collect();
    drawn.join("\n")
}

/// Writes the schema and the configuration, which names the one connection of the jobs.
fn configure(folder: &Path) -> std::io::Result<PathBuf> {
    fs::write(folder.join("schema.sql"), SCHEMA)?;
    let config = folder.join("config.yaml");
    let database = database(folder);
    fs::write(
        &config,
        format!(
            "connections:\n  target:\n    type: sqlite\n    database: {}\n    ddl: schema.sql\n",
            database.display()
        ),
    )?;
    Ok(config)
}

fn start_worker(program: &Path, config: &Path, server: &Redis, folder: &Path) -> Result<Process, Error> {
    let log = File::create(worker_log(folder)).map_err(Error::during("create the worker's log"))?;
    let errors = log.try_clone().map_err(Error::during("open the worker's log"))?;
    let mut command = Command::new(program);
    command
        .arg("run")
        .arg("--config")
        .arg(config)
        .args(JOBS.map(|job| root().join(job)))
        .args(["--redis", &server.url()]);
    command.current_dir(folder).env("NO_COLOR", "1").stdout(log).stderr(errors);
    Process::spawn(&mut command)
}

fn send(redis: &mut redis::Connection, command: &str) -> Result<(), Error> {
    let mut words = command.split(' ');
    let mut sent = redis::cmd(words.next().unwrap_or_default());
    words.for_each(|word| {
        sent.arg(word);
    });
    sent.exec(redis).map_err(Error::during(format_args!("run `{command}`")))
}
