//! How fast waiting changes reach each target, beside the least that a program must do: `runtime/examples/floor.rs`
//! sends the same rows in the same transactions from memory. It must not know how a worker works.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use xtask::servers::{CAPTURE_FILE, Folder, MariaDb, Postgres, Redis};
use xtask::{Error, cargo, tools};

use super::asked::{self, psql};
use super::employees::{self, RESET, TABLE};
use super::times::Times;
use super::waiting::{Source, Waiting};
use super::{machine, publish, worker};

/// What the section begins with.
const HEADING: &str = "## Draining a stream\n";
/// How often each is timed; they take turns.
const RUNS: usize = 5;
/// How many changes wait, and of how many keys.
pub(super) const CHANGES: u64 = 500_000;
pub(super) const KEYS: u64 = 100_000;
/// Changes of few keys, most of which a later one in the same batch replaces.
const HOT_CHANGES: u64 = 1_000_000;
const HOT_KEYS: u64 = 10_000;
/// The size of a batch where worker and floor have the same.
pub(super) const BATCH_ROWS: u64 = 10_000;
/// Where the floor looks for its best size.
const FLOOR_BATCHES: [u64; 4] = [1_000, 2_000, BATCH_ROWS, 20_000];
/// The ways of PostgreSQL's floor.
const FLOOR_KINDS: [&str; 2] = ["postgresql-unnest", "postgresql-copy"];
/// Those of its ways drop out, beside default settings, that took so many times as long as the best in the first turn.
const FLOOR_BEHIND: f64 = 1.15;

/// The programs.
struct Bench {
    program: PathBuf,
    floor: PathBuf,
    module: PathBuf,
}

/// One way of the floor.
struct Floor {
    kind: &'static str,
    batch: u64,
    times: Times,
}

/// A database that rows are drained to.
enum Target {
    Postgres(Postgres),
    MariaDb(MariaDb),
    Sqlite(Folder),
}

pub(crate) fn run() -> Result<(), Error> {
    let built = cargo::build(&["redis-wb", "redis-wb-capture"], &["--locked", "--release"])?;
    let floor = cargo::build(&["redis-wb-runtime"], &["--locked", "--release", "--example", "floor"])?;
    let module = built.file(CAPTURE_FILE)?;
    let bench = Bench { program: built.file("redis-wb")?, floor: floor.file("floor")?, module };
    let mut section = format!(
        "{HEADING}\n`cargo xtask bench drain`: {RUNS} runs in turns, medians and ranges; a worker from its start \
         until the stream is drained, and beside it the floor, a program that sends the same rows in the same \
         transactions from memory (`runtime/examples/floor.rs`); the servers do not wait for the disk. {CHANGES} \
         changes of {KEYS} hashes of 8 fields, unless it says otherwise. PostgreSQL's floor is the best of arrays \
         (`unnest`) and of COPY and merge, beside default settings with batches of {FLOOR_BATCHES:?}; those of its \
         ways that took {FLOOR_BEHIND} times as long as the best one in the first turn drop out then.\n\n| | changes \
         a second | range | beside it | goal |\n|---|--:|--:|--:|--:|\n"
    );
    let postgres = Target::Postgres(Postgres::try_start()?);
    let mut waiting = bench.fill(&postgres, CHANGES, KEYS)?;
    let first = bench.postgres(&postgres, &mut waiting, &mut section)?;
    let maria = Target::MariaDb(MariaDb::try_start(&[])?);
    bench.other("MariaDB", "mariadb", &maria, &mut waiting, &mut section)?;
    let lite = Target::Sqlite(Folder::create("redis-wb-bench-")?);
    bench.other("SQLite", "sqlite", &lite, &mut waiting, &mut section)?;
    drop(waiting);
    bench.hot(&postgres, &first, &mut section)?;
    let _ = write!(section, "\n{}.\n", machine());
    publish(HEADING, &section)
}

impl Bench {
    /// PostgreSQL with equal batches, and with default settings beside the floor at its best; gives the first's times.
    fn postgres(&self, target: &Target, waiting: &mut Waiting, section: &mut String) -> Result<Times, Error> {
        let of_batch = |batch| FLOOR_KINDS.map(|kind| Floor { kind, batch, times: Times::of(CHANGES) });
        let mut floors: Vec<Floor> = FLOOR_BATCHES.into_iter().flat_map(of_batch).collect();
        let (mut equal, mut default) = (Times::of(CHANGES), Times::of(CHANGES));
        for turn in 0..RUNS {
            equal.add(drain(&self.program, target, waiting, &worker::batches(BATCH_ROWS, BATCH_ROWS))?);
            default.add(drain(&self.program, target, waiting, "")?);
            for floor in &mut floors {
                floor.turn(&self.floor, target)?;
            }
            if turn == 0 {
                let best = best(&floors, |_| true).map_or(f64::INFINITY, |best| best.times.median());
                floors.retain(|floor| floor.batch == BATCH_ROWS || floor.times.median() < best * FLOOR_BEHIND);
            }
        }
        let floor = best(&floors, |floor| floor.batch == BATCH_ROWS);
        *section += &rows(&format!("PostgreSQL, batches of {BATCH_ROWS}"), &equal, "its floor", floor, "0.9");
        let floor = best(&floors, |_| true);
        *section += &rows("PostgreSQL, default settings", &default, "its floor at its best", floor, "0.7");
        Ok(equal)
    }

    /// Another target and its floor, with batches of the same size.
    fn other(
        &self,
        name: &str,
        kind: &'static str,
        target: &Target,
        waiting: &mut Waiting,
        section: &mut String,
    ) -> Result<(), Error> {
        let mut own = Times::of(CHANGES);
        let mut floor = Floor { kind, batch: BATCH_ROWS, times: Times::of(CHANGES) };
        for _ in 0..RUNS {
            own.add(drain(&self.program, target, waiting, &worker::batches(BATCH_ROWS, BATCH_ROWS))?);
            floor.turn(&self.floor, target)?;
        }
        *section += &rows(&format!("{name}, batches of {BATCH_ROWS}"), &own, "its floor", Some(&floor), "0.9");
        Ok(())
    }

    /// Few keys that change often.
    fn hot(&self, target: &Target, first: &Times, section: &mut String) -> Result<(), Error> {
        let mut waiting = self.fill(target, HOT_CHANGES, HOT_KEYS)?;
        let mut own = Times::of(HOT_CHANGES);
        let read_rows = 10 * BATCH_ROWS;
        for _ in 0..RUNS {
            own.add(drain(&self.program, target, &mut waiting, &worker::batches(read_rows, BATCH_ROWS))?);
        }
        let name = format!("hot keys: {HOT_CHANGES} changes of {HOT_KEYS} keys, batches of {read_rows}");
        *section += &own.row(&name, &format!("{:.1} times the first row", own.beside(first)), "5 times");
        Ok(())
    }

    /// A Redis where changes wait.
    fn fill(&self, target: &Target, changes: u64, keys: u64) -> Result<Waiting, Error> {
        target.reset()?;
        let redis = Redis::try_start(Some(&self.module), &[])?;
        let project = employees::project(&target.connection(), "")?;
        let changes = employees::changes(changes, keys);
        Waiting::fill(Source::Redis(redis), &self.program, (employees::JOB.0, &project), &changes)
    }
}

/// The seconds that a worker takes.
fn drain(program: &Path, target: &Target, waiting: &mut Waiting, applier: &str) -> Result<f64, Error> {
    target.reset()?;
    waiting.drain(program, &employees::project(&target.connection(), applier)?)
}

/// The one that takes the shortest time.
fn best(floors: &[Floor], which: impl Fn(&Floor) -> bool) -> Option<&Floor> {
    floors.iter().filter(|floor| which(floor)).min_by(|a, b| a.times.median().total_cmp(&b.times.median()))
}

/// The row of a worker and that of its floor.
fn rows(name: &str, own: &Times, floor_is: &str, floor: Option<&Floor>, goal: &str) -> String {
    let Some(Floor { kind, batch, times }) = floor else { return String::new() };
    let share = format!("{:.2} of its floor", own.beside(times));
    own.row(name, &share, goal) + &times.row(&format!("{floor_is}, {kind} of {batch}"), "", "")
}

impl Floor {
    /// Runs it once more.
    fn turn(&mut self, program: &Path, target: &Target) -> Result<(), Error> {
        target.reset()?;
        let output = Command::new(program)
            .args([self.kind, &target.address()])
            .args([CHANGES, KEYS, self.batch].map(|number| number.to_string()))
            .output()
            .map_err(Error::during("run the floor"))?;
        let seconds = String::from_utf8_lossy(&output.stdout).trim().parse();
        self.times.add(seconds.map_err(|_| Error::new(String::from_utf8_lossy(&output.stderr).into_owned()))?);
        Ok(())
    }
}

impl Target {
    /// The settings of its connection.
    fn connection(&self) -> String {
        match self {
            Self::Postgres(server) => asked::settings(server),
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
        let sql = format!("{RESET}; {TABLE};");
        match self {
            Self::Postgres(server) => psql(server, &sql).map(drop),
            Self::MariaDb(server) => {
                let port = format!("--port={}", server.port());
                let mut client = Command::new(tools::mariadb_client()?);
                client.args(["--no-defaults", "--host=127.0.0.1", &port, "--user=root", "test", "-e", &sql]);
                let output = client.output().map_err(Error::during("run `mariadb`"))?;
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
