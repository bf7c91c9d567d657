//! How much memory a worker takes when millions of changes wait. It must not know how it works: it fills a stream, runs a
//! worker with default settings until the stream is drained, and reads what the kernel says of the process.

use std::fmt::Write as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use xtask::servers::{CAPTURE_FILE, Postgres, Redis};
use xtask::{Error, cargo};

use super::asked::{self, psql};
use super::employees::{self, TABLE};
use super::worker::{self, DRAIN_SECONDS_MAX, ended};
use super::{machine, publish};

/// What the section begins with.
const HEADING: &str = "## Memory of a worker\n";
/// How many changes wait.
const CHANGES: u64 = 5_000_000;
/// How many keys they are of.
const KEYS: u64 = 1_000_000;
/// How often the process is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Measures with each target.
pub(crate) fn run() -> Result<(), Error> {
    let built = cargo::build(&["redis-wb", "redis-wb-capture"], &["--locked", "--release"])?;
    let (program, module) = (built.file("redis-wb")?, built.file(CAPTURE_FILE)?);
    let postgres = Postgres::try_start()?;
    let lite = "type: sqlite\n    database: hr.db";
    let pg = asked::settings(&postgres);
    psql(&postgres, TABLE)?;
    let mut rows = String::new();
    for (name, target) in [("PostgreSQL", pg.as_str()), ("SQLite", lite)] {
        rows += &row(name, target, &program, &module)?;
    }
    let section = format!(
        "{HEADING}\n`cargo xtask bench memory`: 5,000,000 changes of 1,000,000 hashes of 8 fields wait when a worker starts, with \
         default settings; its peak of resident memory (VmHWM) and the time that processors spend on it until all are applied \
         (with SQLite, which is a part of the worker, also for the database); {}.\n\n\
         | target | peak | goal | processors for a million changes | goal | seconds | changes a second |\n\
         |---|--:|--:|--:|--:|--:|--:|\n{rows}",
        machine(),
    );
    publish(HEADING, &section)
}

fn row(name: &str, target: &str, program: &Path, module: &Path) -> Result<String, Error> {
    let folder = employees::project(target, "")?;
    let path = folder.path();
    rusqlite_table(&path.join("hr.db")).map_err(Error::during("make the table"))?;
    let redis = Redis::try_start(Some(module), &[])?;
    // The keys are captured from here on.
    worker::drain(program, path, &redis.url())?;
    let made = employees::changes(CHANGES, KEYS).make(&mut asked::connect(&redis)?);
    made.map_err(Error::during("write the changes"))?;
    let start = Instant::now();
    let mut worker = worker::start(program, path, &redis.url(), true)?;
    let (mut peak_kb, mut cpu_ms) = (0, 0);
    while worker.runs() && start.elapsed() < DRAIN_SECONDS_MAX {
        peak_kb = peak_kb.max(worker.peak_memory_kb());
        cpu_ms = cpu_ms.max(worker.cpu_ms());
        thread::sleep(LOOK_AGAIN);
    }
    ended(&mut worker, path)?;
    let seconds = start.elapsed().as_secs().max(1);
    let mut row = String::new();
    let (mb, rate) = (peak_kb / 1_024, CHANGES / seconds);
    let cpu_ms = cpu_ms * 1_000_000 / CHANGES;
    // Writing to a `String` cannot fail.
    let _ = writeln!(
        row,
        "| {name} | {mb} MB | 200 MB | {}.{:02} s | 5 s | {seconds} | {rate} |",
        cpu_ms / 1_000,
        cpu_ms % 1_000 / 10
    );
    Ok(row)
}

fn rusqlite_table(path: &Path) -> rusqlite::Result<()> {
    rusqlite::Connection::open(path).and_then(|lite| lite.execute_batch(TABLE))
}
