//! How fast waiting changes reach each target, beside the least that a program must do: `runtime/examples/floor.rs` sends
//! the same rows in the same transactions from memory. It must not know how a worker works.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use xtask::servers::{CAPTURE_FILE, Folder, MariaDb, Postgres, Redis};
use xtask::{Error, cargo};

use super::employees::{self, STREAM, TABLE, ended, psql};
use super::{machine, publish};

/// What the section begins with.
const HEADING: &str = "## Draining a stream\n";
/// How often each is timed; they take turns.
const RUNS: usize = 5;
/// How many changes wait, and of how many keys.
const CHANGES: u64 = 500_000;
const KEYS: u64 = 100_000;
/// Changes of few keys, most of which a later one in the same batch replaces.
const HOT_CHANGES: u64 = 1_000_000;
const HOT_KEYS: u64 = 10_000;
/// The size of a batch where worker and floor have the same.
const BATCH_ROWS: u64 = 10_000;
/// Where the floor looks for its best size.
const FLOOR_BATCHES: [u64; 4] = [1_000, 2_000, 10_000, 20_000];

/// The programs, and a Redis full of changes.
struct Bench {
    program: PathBuf,
    floor: PathBuf,
    redis: Redis,
    client: redis::Connection,
}

/// A database that rows are drained to.
enum Target {
    Postgres(Postgres),
    MariaDb(MariaDb),
    Sqlite(Folder),
}

/// Seconds of each run.
#[derive(Default)]
struct Times(Vec<f64>);

pub(crate) fn run() -> Result<(), Error> {
    let built = cargo::build(&["redis-wb", "redis-wb-capture"], &["--locked", "--release"])?;
    let floor = cargo::build(&["redis-wb-runtime"], &["--locked", "--release", "--example", "floor"])?;
    let redis = Redis::try_start(Some(&built.file(CAPTURE_FILE)?), &[])?;
    let client = employees::connect(&redis)?;
    let mut bench = Bench { program: built.file("redis-wb")?, floor: floor.file("floor")?, redis, client };
    let mut section = format!(
        "{HEADING}\n`cargo xtask bench drain`: {RUNS} runs in turns, medians and ranges; a worker from its start until the stream \
         is drained, and beside it the floor, a program that sends the same rows in the same transactions from memory \
         (`runtime/examples/floor.rs`); the servers do not wait for the disk. {CHANGES} changes of {KEYS} hashes of 8 fields, \
         unless it says otherwise.\n\n| | changes a second | range | share of the floor | goal |\n|---|--:|--:|--:|--:|\n"
    );
    let first = bench.postgres(&mut section)?;
    let maria = Target::MariaDb(MariaDb::try_start(&[])?);
    bench.beside_floor("MariaDB", &maria, &["mariadb"], &mut section)?;
    let lite = Target::Sqlite(Folder::create("redis-wb-bench-")?);
    bench.beside_floor("SQLite", &lite, &["sqlite"], &mut section)?;
    bench.hot(first, &mut section)?;
    let _ = write!(section, "\n{}.\n", machine());
    publish(HEADING, &section)
}

impl Bench {
    /// PostgreSQL with equal batches, and with default settings beside the floor at its best; gives the first's rate.
    fn postgres(&mut self, section: &mut String) -> Result<f64, Error> {
        let target = Target::Postgres(Postgres::try_start()?);
        let rate = self.beside_floor("PostgreSQL", &target, &["postgresql-unnest", "postgresql-copy"], section)?;
        self.fill(CHANGES, KEYS)?;
        let mut floors: Vec<(u64, &str, Times)> = Vec::new();
        for batch in FLOOR_BATCHES {
            floors.extend(["postgresql-unnest", "postgresql-copy"].map(|kind| (batch, kind, Times::default())));
        }
        let mut own = Times::default();
        for _ in 0..RUNS {
            own.0.push(self.drain(&target, "")?);
            for (batch, kind, times) in &mut floors {
                times.0.push(self.floor(&target, kind, *batch)?);
            }
        }
        let best = floors.into_iter().min_by(|a, b| a.2.median().total_cmp(&b.2.median()));
        let Some((batch, kind, best)) = best else { return Ok(rate) };
        let row = own.row("PostgreSQL, default settings", CHANGES, Some((&best, "0.7")));
        let floor = best.row(&format!("its floor at its best, {kind} of {batch}"), CHANGES, None);
        section.push_str(&(row + &floor));
        Ok(rate)
    }

    /// A target and its floor, with batches of the same size; gives the changes a second.
    fn beside_floor(
        &mut self,
        name: &str,
        target: &Target,
        kinds: &[&str],
        section: &mut String,
    ) -> Result<f64, Error> {
        self.fill(CHANGES, KEYS)?;
        let applier = format!("applier:\n  read_batch_size: {BATCH_ROWS}\n  write_batch_size: {BATCH_ROWS}\n");
        let mut own = Times::default();
        let mut floors: Vec<(&str, Times)> = kinds.iter().map(|kind| (*kind, Times::default())).collect();
        for _ in 0..RUNS {
            own.0.push(self.drain(target, &applier)?);
            for (kind, times) in &mut floors {
                times.0.push(self.floor(target, kind, BATCH_ROWS)?);
            }
        }
        let best = floors.into_iter().min_by(|a, b| a.1.median().total_cmp(&b.1.median()));
        let Some((kind, best)) = best else { return Ok(0.0) };
        section.push_str(&own.row(&format!("{name}, batches of {BATCH_ROWS}"), CHANGES, Some((&best, "0.9"))));
        section.push_str(&best.row(&format!("its floor, {kind}"), CHANGES, None));
        Ok(own.rate(CHANGES))
    }

    /// Few keys that change often.
    fn hot(&mut self, first: f64, section: &mut String) -> Result<(), Error> {
        let target = Target::Postgres(Postgres::try_start()?);
        self.fill(HOT_CHANGES, HOT_KEYS)?;
        let applier = format!("applier:\n  read_batch_size: {}\n  write_batch_size: {BATCH_ROWS}\n", 10 * BATCH_ROWS);
        let mut own = Times::default();
        for _ in 0..RUNS {
            own.0.push(self.drain(&target, &applier)?);
        }
        let row = own.row("hot keys: 1,000,000 changes of 10,000 keys, batches of 100,000", HOT_CHANGES, None);
        let ratio = own.rate(HOT_CHANGES) / first;
        section.push_str(&row.replace("| | |\n", &format!("| {ratio:.1} times the first row | 5 times |\n")));
        Ok(())
    }

    /// Captures changes, and keeps a copy of the stream for every run.
    fn fill(&mut self, changes: u64, keys: u64) -> Result<(), Error> {
        let folder = Target::Sqlite(Folder::create("redis-wb-bench-")?);
        let filled = |bench: &mut Self| -> redis::RedisResult<()> {
            // A flush of keys that are tracked would be a change, too.
            redis::cmd("WB.UNTRACK").arg("emp").exec(&mut bench.client)?;
            redis::cmd("FLUSHALL").exec(&mut bench.client)?;
            redis::cmd("WB.TRACK").arg("emp").arg("emp:*").exec(&mut bench.client)?;
            employees::fill(&mut bench.client, changes, keys)?;
            redis::cmd("COPY").arg(STREAM).arg("kept").exec(&mut bench.client)
        };
        folder.reset()?;
        filled(self).map_err(Error::during("write the changes"))
    }

    /// The seconds that a worker takes.
    fn drain(&mut self, target: &Target, applier: &str) -> Result<f64, Error> {
        target.reset()?;
        let restored = |client: &mut redis::Connection| -> redis::RedisResult<()> {
            let beside: Vec<String> = redis::cmd("KEYS").arg("wb:{0}/*").query(client)?;
            beside.iter().try_for_each(|key| redis::cmd("DEL").arg(key).exec(client))?;
            redis::cmd("COPY").arg("kept").arg(STREAM).arg("REPLACE").exec(client)
        };
        restored(&mut self.client).map_err(Error::during("put the changes back"))?;
        let folder = employees::project(&target.connection(), applier)?;
        let start = Instant::now();
        let mut worker = employees::worker(&self.program, folder.path(), &self.redis, true)?;
        ended(&mut worker, folder.path())?;
        let seconds = start.elapsed().as_secs_f64();
        let left: u64 = redis::cmd("XLEN").arg(STREAM).query(&mut self.client).map_err(Error::during("look"))?;
        if left > 0 { Err(Error::new(format!("{left} changes were left in the stream"))) } else { Ok(seconds) }
    }

    /// The seconds that the floor takes.
    fn floor(&self, target: &Target, kind: &str, batch: u64) -> Result<f64, Error> {
        target.reset()?;
        let output = Command::new(&self.floor)
            .args([kind, &target.address(), &CHANGES.to_string(), &KEYS.to_string(), &batch.to_string()])
            .output()
            .map_err(Error::during("run the floor"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        text.trim().parse().map_err(|_| Error::new(String::from_utf8_lossy(&output.stderr).into_owned()))
    }
}

impl Target {
    /// The settings of its connection.
    fn connection(&self) -> String {
        match self {
            Self::Postgres(server) => employees::postgres(server),
            Self::MariaDb(server) => {
                let port = server.port();
                format!("type: mariadb\n    host: 127.0.0.1\n    port: {port}\n    database: test\n    user: root")
            }
            Self::Sqlite(folder) => format!("type: sqlite\n    database: {}", file(folder.path()).display()),
        }
    }

    /// How the floor finds it.
    fn address(&self) -> String {
        match self {
            Self::Postgres(server) => server.url(),
            Self::MariaDb(server) => server.url(),
            Self::Sqlite(folder) => file(folder.path()).to_string_lossy().into_owned(),
        }
    }

    /// Empty tables, and no checkpoint.
    fn reset(&self) -> Result<(), Error> {
        let sql = format!("DROP TABLE IF EXISTS redis_wb_checkpoint; DROP TABLE IF EXISTS emp; {TABLE};");
        match self {
            Self::Postgres(server) => psql(server, &sql).map(drop),
            Self::MariaDb(server) => {
                // Debian's `mariadb-server` brings its client along.
                let port = format!("--port={}", server.port());
                let mut client = Command::new("mariadb");
                client.args(["--no-defaults", "--host=127.0.0.1", &port, "--user=root", "test", "-e", &sql]);
                let output = client.output().map_err(Error::during("run Debian's `mariadb`"))?;
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                if output.status.success() { Ok(()) } else { Err(Error::new(said)) }
            }
            Self::Sqlite(folder) => {
                let path = file(folder.path());
                for ending in ["", "-wal", "-shm"] {
                    let _ = fs::remove_file(format!("{}{ending}", path.display()));
                }
                let made = rusqlite::Connection::open(path).and_then(|lite| lite.execute_batch(TABLE));
                made.map_err(Error::during("make the table"))
            }
        }
    }
}

fn file(folder: &Path) -> PathBuf {
    folder.join("emp.db")
}

impl Times {
    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }

    fn median(&self) -> f64 {
        self.sorted().get(self.0.len() / 2).copied().unwrap_or(f64::NAN)
    }

    #[expect(clippy::cast_precision_loss, reason = "a count of some millions")]
    fn rate(&self, changes: u64) -> f64 {
        changes as f64 / self.median()
    }

    #[expect(clippy::cast_precision_loss, reason = "a count of some millions")]
    fn row(&self, name: &str, changes: u64, floor: Option<(&Self, &str)>) -> String {
        let sorted = self.sorted();
        let at = |seconds: Option<&f64>| seconds.map_or(f64::NAN, |seconds| changes as f64 / seconds);
        let (least, most) = (at(sorted.last()), at(sorted.first()));
        let share = floor.map_or_else(
            || "| |".to_owned(),
            |(floor, goal)| format!("{:.2} | {goal} |", floor.median() / self.median()),
        );
        let row = format!("| {name} | {:.0} | {least:.0} to {most:.0} | {share}\n", self.rate(changes));
        // All of it takes many minutes.
        eprint!("{row}");
        row
    }
}
