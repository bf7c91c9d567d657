//! How much memory a worker takes when millions of changes wait. It must not know how it works: it fills a stream, runs a
//! worker with default settings until the stream is drained, and reads what the kernel says of the process.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use xtask::servers::{CAPTURE_FILE, Folder, Postgres, Process, Redis};
use xtask::{Error, cargo, tools};

use super::{machine, publish};

/// What the section begins with.
const HEADING: &str = "## Memory of a worker\n";
/// How many changes wait.
const CHANGES: u64 = 5_000_000;
/// How many keys they are of.
const KEYS: u64 = 1_000_000;
/// How many changes one script makes, since Redis keeps those of a script until its end.
const CHANGES_AT_ONCE: u64 = 10_000;
/// How often the process is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// How long a worker may take.
const DRAIN_SECONDS_MAX: Duration = Duration::from_secs(1_800);

const TABLE: &str = "CREATE TABLE emp (empno bigint PRIMARY KEY, fname varchar(50), lname varchar(50), \
    title varchar(50), salary numeric(10,2), hired date, email varchar(100), note text);";

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
      mapping: [fname, lname, title, salary, hired, email, note]
";

/// Writes changes of hashes: ARGV has the first number and the last.
const WRITE: &str = "for i = ARGV[1], ARGV[2] do
    local key = i % tonumber(ARGV[3])
    redis.call('HSET', 'emp:' .. key, 'empno', key, 'fname', 'Ada' .. i, 'lname', 'Lovelace', 'title', 'Countess',
        'salary', '5200.50', 'hired', '1843-09-05', 'email', 'ada' .. key .. '@example.com', 'note', 'change ' .. i)
end";

/// Measures with each target.
pub(crate) fn run() -> Result<(), Error> {
    let built = cargo::build(&["redis-wb", "redis-wb-capture"], &["--locked", "--release"])?;
    let (program, module) = (built.file("redis-wb")?, built.file(CAPTURE_FILE)?);
    let postgres = Postgres::try_start()?;
    let lite = "type: sqlite\n    database: hr.db";
    let pg = format!(
        "type: postgresql\n    host: 127.0.0.1\n    port: {}\n    database: postgres\n    user: postgres",
        postgres.port()
    );
    psql(&postgres, TABLE)?;
    let mut rows = String::new();
    for (name, target) in [("PostgreSQL", pg.as_str()), ("SQLite", lite)] {
        rows += &row(name, target, &program, &module)?;
    }
    let section = format!(
        "{HEADING}\n`cargo xtask bench memory`: 5,000,000 changes of 1,000,000 hashes of 8 fields wait when a worker starts, with \
         default settings; its peak of resident memory (VmHWM) until all are applied; {}.\n\n\
         | target | peak | goal | seconds | changes a second |\n|---|--:|--:|--:|--:|\n{rows}",
        machine(),
    );
    publish(HEADING, &section)
}

fn row(name: &str, target: &str, program: &Path, module: &Path) -> Result<String, Error> {
    let folder = Folder::create("redis-wb-bench-")?;
    let path = folder.path();
    let written = fs::create_dir(path.join("jobs"))
        .and_then(|()| fs::write(path.join("jobs/emp.yaml"), JOB))
        .and_then(|()| fs::write(path.join("config.yaml"), format!("connections:\n  target:\n    {target}\n")))
        .and_then(|()| rusqlite_table(&path.join("hr.db")));
    written.map_err(Error::during("write the job"))?;
    let redis = Redis::try_start(Some(module), &[])?;
    // The keys are captured from here on.
    worker(program, path, &redis)?.wait(DRAIN_SECONDS_MAX);
    fill(&redis).map_err(Error::during("write the changes"))?;
    let start = Instant::now();
    let mut worker = worker(program, path, &redis)?;
    let mut peak_kb = 0;
    while worker.runs() && start.elapsed() < DRAIN_SECONDS_MAX {
        peak_kb = peak_kb.max(worker.peak_memory_kb());
        thread::sleep(LOOK_AGAIN);
    }
    if !worker.status().is_some_and(|status| status.success()) {
        let log = fs::read_to_string(path.join("worker.log")).unwrap_or_default();
        return Err(Error::new(format!("the worker did not end well:\n{log}")));
    }
    let seconds = start.elapsed().as_secs().max(1);
    let mut row = String::new();
    let (mb, rate) = (peak_kb / 1_024, CHANGES / seconds);
    // Writing to a `String` cannot fail.
    let _ = writeln!(row, "| {name} | {mb} MB | 200 MB | {seconds} | {rate} |");
    Ok(row)
}

/// A worker that ends when the stream is drained.
fn worker(program: &Path, folder: &Path, redis: &Redis) -> Result<Process, Error> {
    let log = File::create(folder.join("worker.log")).map_err(Error::during("make a log"))?;
    let mut command = Command::new(program);
    command.args(["run", "--until-idle", "--redis", &redis.url()]).current_dir(folder);
    Process::spawn(command.stderr(log))
}

fn fill(redis: &Redis) -> redis::RedisResult<()> {
    let mut redis = redis::Client::open(redis.url())?.get_connection()?;
    for start in (0..CHANGES).step_by(usize::try_from(CHANGES_AT_ONCE).unwrap_or(1)) {
        redis::cmd("EVAL").arg(WRITE).arg(0).arg(start).arg(start + CHANGES_AT_ONCE - 1).arg(KEYS).exec(&mut redis)?;
    }
    Ok(())
}

fn rusqlite_table(path: &Path) -> std::io::Result<()> {
    let made = rusqlite::Connection::open(path).and_then(|lite| lite.execute_batch(TABLE));
    made.map_err(std::io::Error::other)
}

fn psql(postgres: &Postgres, sql: &str) -> Result<(), Error> {
    let program = tools::ensure()?.postgres_programs.join("psql");
    let output = Command::new(program).arg(postgres.url()).args(["-q", "-c", sql]).output();
    let output = output.map_err(Error::during("run psql"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::new(format!("psql: {}", String::from_utf8_lossy(&output.stderr))))
}
