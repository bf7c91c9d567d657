//! How fast a snapshot carries keys over that are there already, beside changes of them that wait. It must not know how
//! either is done.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use xtask::servers::{CAPTURE_FILE, Folder, Postgres, Redis};
use xtask::{Error, cargo};

use super::asked::{self, psql};
use super::employees::{self, RESET, TABLE};
use super::times::Times;
use super::waiting::{Source, Waiting};
use super::worker::{self, DRAIN_SECONDS_MAX};
use super::{machine, publish};

/// What the section begins with.
const HEADING: &str = "## Keys that are there already\n";
/// How often each is timed; they take turns.
const RUNS: usize = 5;
/// How many keys there are.
const KEYS: u64 = 1_000_000;
/// How long to wait between two looks at a stream.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

pub(crate) fn run() -> Result<(), Error> {
    let built = cargo::build(&["redis-wb", "redis-wb-capture"], &["--locked", "--release"])?;
    let program = built.file("redis-wb")?;
    let postgres = Postgres::try_start()?;
    let empty = format!("{RESET}; {TABLE}");
    psql(&postgres, &empty)?;
    let project = employees::project(&asked::settings(&postgres), "")?;
    let source = Source::Redis(Redis::try_start(Some(&built.file(CAPTURE_FILE)?), &[])?);
    let changes = employees::changes(KEYS, KEYS);
    let mut waiting = Waiting::fill(source, &program, (employees::JOB.0, &project), &changes)?;
    let (mut drained, mut walked) = (Times::of(KEYS), Times::of(KEYS));
    for _ in 0..RUNS {
        psql(&postgres, &empty)?;
        drained.add(waiting.drain(&program, &project)?);
        are_all_there(&postgres)?;
        psql(&postgres, &empty)?;
        walked.add(snapshot(&mut waiting, &program, &project)?);
        are_all_there(&postgres)?;
    }
    let mut section = format!(
        "{HEADING}\n`cargo xtask bench existing`: {RUNS} runs in turns, medians and ranges; {KEYS} hashes of 8 fields \
         to PostgreSQL, with default settings. A worker from its start until it has drained a change of each key that \
         waits; and a worker and `redis-wb snapshot`, from the start of both until all rows are there.\n\n\
         | | rows a second | range | beside the drain | goal |\n|---|--:|--:|--:|--:|\n"
    );
    section += &drained.row("drain of waiting changes", "", "");
    section += &walked.row("snapshot of existing keys", &format!("{:.2}", walked.beside(&drained)), "0.8");
    let _ = write!(section, "\n{}.\n", machine());
    publish(HEADING, &section)
}

/// The seconds that worker and snapshot take.
fn snapshot(waiting: &mut Waiting, program: &Path, project: &Folder) -> Result<f64, Error> {
    waiting.empty()?;
    let start = Instant::now();
    let mut worker = worker::start(program, project.path(), &waiting.url(), false)?;
    let mut command = Command::new(program);
    command.args(["snapshot", "--redis", &waiting.url()]).current_dir(project.path());
    let output = command.output().map_err(Error::during("run `redis-wb snapshot`"))?;
    if !output.status.success() {
        return Err(Error::new(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    // What is applied is trimmed.
    while waiting.left()? > 0 {
        if !worker.runs() || start.elapsed() > DRAIN_SECONDS_MAX {
            return Err(Error::new("the worker has left records in the stream"));
        }
        thread::sleep(LOOK_AGAIN);
    }
    let seconds = start.elapsed().as_secs_f64();
    worker.stop();
    Ok(seconds)
}

fn are_all_there(postgres: &Postgres) -> Result<(), Error> {
    let count = psql(postgres, "SELECT count(*) FROM emp")?;
    if count == KEYS.to_string() { Ok(()) } else { Err(Error::new(format!("only {count} rows came"))) }
}
