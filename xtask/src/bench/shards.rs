//! How much faster more shards are where each commit of the target takes its time. It must not know how a worker works.

use std::fmt::Write as _;
use std::path::Path;

use xtask::servers::{CAPTURE_FILE, Cluster, Folder, Postgres};
use xtask::{Error, cargo};

use super::asked::{self, psql};
use super::employees::{self, RESET, TABLE};
use super::times::Times;
use super::waiting::{Source, Waiting};
use super::{machine, publish, worker};

/// What the section begins with.
const HEADING: &str = "## Shards\n";
/// How often each is timed; they take turns.
const RUNS: usize = 5;
/// How many changes wait, each of a key of its own.
const CHANGES: u64 = 200_000;
/// Small, so that commits are what takes time.
const BATCH_ROWS: u32 = 100;
/// Clusters of so many shards.
const SHARDS: [u32; 3] = [1, 2, 4];
/// How much longer each commit takes, in milliseconds.
const COMMIT_MS: u32 = 5;

/// A cluster whose shards all have changes that wait.
struct Scene {
    shards: u32,
    waiting: Waiting,
    times: Times,
}

pub(crate) fn run() -> Result<(), Error> {
    let built = cargo::build(&["redis-wb", "redis-wb-capture"], &["--locked", "--release"])?;
    let program = built.file("redis-wb")?;
    let postgres = Postgres::try_start()?;
    psql(&postgres, &format!("{RESET}; {TABLE}"))?;
    let project =
        employees::project(&asked::settings(&postgres), &worker::batches(BATCH_ROWS.into(), BATCH_ROWS.into()))?;
    let mut scenes = Vec::new();
    for shards in SHARDS {
        let cluster = Cluster::try_start(&built.file(CAPTURE_FILE)?, usize::try_from(shards).unwrap_or(1), 0, &[])?;
        let changes = employees::changes(CHANGES, CHANGES);
        let waiting = Waiting::fill(Source::Cluster(cluster), &program, (employees::JOB.0, &project), &changes)?;
        scenes.push(Scene { shards, waiting, times: Times::of(CHANGES) });
    }
    slow_down(&postgres)?;
    for _ in 0..RUNS {
        for scene in &mut scenes {
            scene.turn(&program, &project, &postgres)?;
        }
    }
    let mut section = format!(
        "{HEADING}\n`cargo xtask bench shards`: {RUNS} runs in turns, medians and ranges; one worker from its start \
         until the streams of all shards of a Redis Cluster are drained to one PostgreSQL: {CHANGES} changes of as \
         many hashes of 8 fields, in batches of {BATCH_ROWS}. A deferred trigger on the table of checkpoints, of \
         which each transaction moves one row, lets each commit sleep for {COMMIT_MS} ms. (`commit_delay` would let \
         transactions that commit at once share one delay.)\n\n\
         | shards | changes a second | range | beside 1 shard | goal | a batch takes |\n|---|--:|--:|--:|--:|--:|\n"
    );
    let first = scenes.first().map_or(f64::NAN, |scene| scene.times.rate());
    for Scene { shards, times, .. } in &scenes {
        let beside = format!("{:.2}", times.rate() / first);
        let row = times.row(&shards.to_string(), &beside, &shards.to_string());
        let took_ms = f64::from(shards * BATCH_ROWS) / times.rate() * 1_000.0;
        let _ = writeln!(section, "{} {took_ms:.1} ms |", row.trim_end());
    }
    let _ = write!(section, "\n{}.\n", machine());
    publish(HEADING, &section)
}

/// Lets each commit sleep.
fn slow_down(postgres: &Postgres) -> Result<(), Error> {
    let sql = format!(
        "CREATE FUNCTION sleep() RETURNS trigger LANGUAGE plpgsql AS \
           'BEGIN PERFORM pg_sleep({COMMIT_MS} / 1000.0); RETURN NULL; END'; \
         CREATE CONSTRAINT TRIGGER sleep AFTER INSERT OR UPDATE ON redis_wb_checkpoint DEFERRABLE INITIALLY DEFERRED \
           FOR EACH ROW EXECUTE FUNCTION sleep()"
    );
    psql(postgres, &sql).map(drop)
}

impl Scene {
    /// Drains the changes once more, into empty tables.
    fn turn(&mut self, program: &Path, project: &Folder, postgres: &Postgres) -> Result<(), Error> {
        psql(postgres, "TRUNCATE emp, redis_wb_checkpoint")?;
        self.times.add(self.waiting.drain(program, project)?);
        let count = psql(postgres, "SELECT count(*) FROM emp")?;
        if count == CHANGES.to_string() { Ok(()) } else { Err(Error::new(format!("only {count} rows came"))) }
    }
}
