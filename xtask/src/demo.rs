//! The whole chain on this machine: a private Redis, the worker, a table in a SQLite file.
//! It must not know how any of them works: it talks to Redis and to the file as an application would.

use std::fmt::Write as _;
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

/// What happens at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// All ends and nothing is left.
    CleanUp,
    /// All goes on until Ctrl-C.
    KeepRunning,
}

/// The job that runs, from the root of the repository on.
const JOB: &str = "jobs/employees.yaml";

/// The table that the job writes to.
const SCHEMA: &str = "\
CREATE TABLE emp (
    empno  INTEGER PRIMARY KEY,
    fname  TEXT NOT NULL,
    lname  TEXT NOT NULL,
    salary INTEGER,
    hired  DATE
);
";

/// What an application does to its employees: a title, and commands of Redis.
const SCENES: [(&str, &[&str]); 3] = [
    (
        "three employees come",
        &[
            "HSET emp:1 first_name Ada last_name Lovelace salary 5200 hired 2024-03-01",
            "HSET emp:2 first_name Alan last_name Turing salary 4800 hired 2024-09-15",
            "HSET emp:3 first_name Grace last_name Hopper salary 6100 hired 2025-01-07",
        ],
    ),
    ("one gets a raise, one a new name", &["HINCRBY emp:2 salary 350", "HSET emp:1 last_name King"]),
    ("one leaves", &["DEL emp:3"]),
];

/// The hash fields that the job maps, in the order of the table's columns.
const FIELDS: [&str; 4] = ["first_name", "last_name", "salary", "hired"];

/// The table's columns.
const COLUMNS: [&str; 5] = ["empno", "fname", "lname", "salary", "hired"];

/// How long the rows may take to follow.
const FOLLOW_MAX: Duration = Duration::from_secs(20);

/// How long to wait between two looks at the table.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// How long to wait between two looks once nothing more is expected of the demo itself.
const LOOK_AGAIN_LATER: Duration = Duration::from_millis(200);

/// A row, or what a row should be, as text.
type Row = Vec<String>;

/// Shows the chain at work.
pub(crate) fn run(ending: Ending) -> Result<(), Error> {
    let interrupted = watch_signals()?;
    let mut stage = match Stage::set() {
        // Ctrl-C reached the build as well; its failure is none.
        Err(_) if interrupted.load(Ordering::Relaxed) => return Err(Error::new("interrupted")),
        stage => stage?,
    };
    stage.introduce();
    for (title, commands) in SCENES {
        println!("\n{title}");
        stage.play(commands, &interrupted)?;
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
    table: rusqlite::Connection,
    server: Redis,
    folder: Folder,
}

impl Stage {
    /// Builds and starts everything.
    fn set() -> Result<Self, Error> {
        // Asked for first, so that a machine that lacks it says so before minutes of building.
        tools::redis_server()?;
        let built = cargo::build(&["redis-wb", "redis-wb-capture"], &["--locked"])?;
        let server = Redis::try_start(Some(&built.file(CAPTURE_FILE)?), &[])?;
        let redis = redis::Client::open(server.url())
            .and_then(|client| client.get_connection())
            .map_err(Error::during("connect to Redis"))?;
        let folder = Folder::create("redis-wb-demo-")?;
        let table = create_table(folder.path()).map_err(Error::during("create the table"))?;
        let config = configure(folder.path()).map_err(Error::during("write the configuration"))?;
        let worker = start_worker(&built.file("redis-wb")?, &config, &server, folder.path())?;
        let mut stage = Self { worker, redis, table, server, folder };
        stage.wait_for_worker()?;
        Ok(stage)
    }

    /// Waits until the worker has its job's keys tracked: what was written before would not be captured.
    fn wait_for_worker(&mut self) -> Result<(), Error> {
        let start = Instant::now();
        loop {
            let rules: Vec<redis::Value> =
                redis::cmd("WB.RULES").query(&mut self.redis).map_err(Error::during("ask for the tracking rules"))?;
            if !rules.is_empty() {
                return Ok(());
            }
            if !self.worker.runs() || start.elapsed() > FOLLOW_MAX {
                return Err(self.worker_failed("the worker did not start"));
            }
            thread::sleep(LOOK_AGAIN);
        }
    }

    fn introduce(&self) {
        println!("Redis   {} (private, with the capture module)", self.server.url());
        println!("SQLite  {}", database(self.folder.path()).display());
        println!("job     {JOB}");
    }

    /// Sends commands, then shows the table once it says what Redis says.
    fn play(&mut self, commands: &[&str], interrupted: &AtomicBool) -> Result<(), Error> {
        for command in commands {
            println!("  redis> {command}");
            send(&mut self.redis, command)?;
        }
        let start = Instant::now();
        let expected = employees(&mut self.redis).map_err(Error::during("read Redis"))?;
        loop {
            let rows = rows(&self.table).map_err(Error::during("read the table"))?;
            if rows == expected {
                println!("  SQLite after {} ms:\n{}", start.elapsed().as_millis(), drawn(&rows));
                return Ok(());
            }
            self.go_on(interrupted)?;
            if start.elapsed() > FOLLOW_MAX {
                return Err(self.worker_failed("the rows did not follow"));
            }
            thread::sleep(LOOK_AGAIN);
        }
    }

    /// Leaves all running until Ctrl-C, and shows the table whenever it changes.
    fn keep(&mut self, interrupted: &AtomicBool) -> Result<(), Error> {
        println!("\nAll is left running until Ctrl-C. In another terminal:");
        println!("  redis-cli -p {} HSET emp:7 first_name Edsger last_name Dijkstra salary 5000", self.server.port());
        if tools::on_path("redis-cli").is_none() {
            println!("    (redis-cli comes with Debian's package redis-tools)");
        }
        println!("  sqlite3 {} 'SELECT * FROM emp'", database(self.folder.path()).display());
        println!("  tail -f {}", worker_log(self.folder.path()).display());
        let mut shown = rows(&self.table).map_err(Error::during("read the table"))?;
        while !interrupted.load(Ordering::Relaxed) {
            if !self.worker.runs() {
                return Err(self.worker_failed("the worker has ended"));
            }
            let rows = rows(&self.table).map_err(Error::during("read the table"))?;
            if rows != shown {
                println!("\n  SQLite now:\n{}", drawn(&rows));
                shown = rows;
            }
            thread::sleep(LOOK_AGAIN_LATER);
        }
        println!();
        Ok(())
    }

    /// Ends everything in good order; dropping would do it too, but could not say what went wrong.
    fn clear(mut self) -> Result<(), Error> {
        self.worker.stop();
        if !self.worker.status().is_some_and(|status| status.success()) {
            return Err(self.worker_failed("the worker did not end well"));
        }
        let Self { worker, redis, table, server, folder } = self;
        drop((worker, redis, table, server, folder));
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

fn create_table(folder: &Path) -> rusqlite::Result<rusqlite::Connection> {
    let table = rusqlite::Connection::open(database(folder))?;
    table.busy_timeout(FOLLOW_MAX)?;
    table.execute_batch(SCHEMA)?;
    Ok(table)
}

/// Writes the schema and the configuration, which names the one connection of the job.
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
    command.arg("run").arg("--config").arg(config).arg(root().join(JOB)).args(["--redis", &server.url()]);
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

/// The rows that the keys of Redis call for, ordered as the table's.
fn employees(redis: &mut redis::Connection) -> redis::RedisResult<Vec<Row>> {
    let keys: Vec<String> = redis::cmd("KEYS").arg("emp:*").query(redis)?;
    let mut rows = Vec::new();
    for key in keys {
        let fields: Vec<Option<String>> = redis::cmd("HMGET").arg(&key).arg(&FIELDS).query(redis)?;
        let number = key.trim_start_matches("emp:").to_owned();
        rows.push([number].into_iter().chain(fields.into_iter().map(Option::unwrap_or_default)).collect());
    }
    rows.sort();
    Ok(rows)
}

/// The rows of the table.
fn rows(table: &rusqlite::Connection) -> rusqlite::Result<Vec<Row>> {
    let columns: Vec<String> = COLUMNS.iter().map(|column| format!("coalesce(CAST({column} AS TEXT), '')")).collect();
    let mut select = table.prepare(&format!("SELECT {} FROM emp ORDER BY 1", columns.join(", ")))?;
    let rows = select.query_map([], |row| (0..COLUMNS.len()).map(|column| row.get(column)).collect())?;
    rows.collect()
}

/// The rows as a table for people.
fn drawn(rows: &[Row]) -> String {
    let header: Row = COLUMNS.iter().map(|&column| column.to_owned()).collect();
    let lines: Vec<&Row> = std::iter::once(&header).chain(rows).collect();
    let widths: Vec<usize> = (0..COLUMNS.len())
        .map(|column| lines.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max())
        .map(Option::unwrap_or_default)
        .collect();
    let mut text = String::new();
    for line in lines {
        let cells: Vec<String> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        writeln!(text, "    {}", cells.join("  ").trim_end()).ok();
    }
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_drawn_in_columns() {
        let rows = ["1 Ada Lovelace 5200 2024-03-01", "12 Alan Turing  2024-09-15"]
            .map(|row| row.split(' ').map(str::to_owned).collect());
        let expected = [
            "    empno  fname  lname     salary  hired",
            "    1      Ada    Lovelace  5200    2024-03-01",
            "    12     Alan   Turing            2024-09-15",
        ];
        assert_eq!(drawn(&rows), expected.join("\n"));
    }

    #[test]
    fn the_table_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let table = create_table(folder.path()).unwrap();
        table.execute("INSERT INTO emp VALUES (2, 'Alan', 'Turing', NULL, '2024-09-15')", []).unwrap();
        assert_eq!(rows(&table).unwrap(), [["2", "Alan", "Turing", "", "2024-09-15"]]);
    }
}
