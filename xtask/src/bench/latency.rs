//! From the reply of a write to its row being committed. It must not know how a worker works: PostgreSQL itself tells when
//! a row was committed.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use xtask::servers::{CAPTURE_FILE, Postgres, Redis};
use xtask::{Error, cargo};

use super::asked::{self, psql};
use super::employees::{self, TABLE};
use super::{machine, publish, worker};

/// What the section begins with.
const HEADING: &str = "## From a write to its row\n";
/// How many changes, one each millisecond.
const CHANGES: u32 = 30_000;
const PACE: Duration = Duration::from_millis(1);
/// The first ones find connections and statements that are new.
const WARM_UP: u32 = 2_000;
/// How long the last row may take.
const SETTLE_SECONDS_MAX: Duration = Duration::from_secs(30);

pub(crate) fn run() -> Result<(), Error> {
    let built = cargo::build(&["redis-wb", "redis-wb-capture"], &["--locked", "--release"])?;
    let mut postgres = Postgres::try_start()?;
    psql(&postgres, "ALTER SYSTEM SET track_commit_timestamp = on")?;
    postgres.try_restart()?;
    psql(&postgres, TABLE)?;
    let redis = Redis::try_start(Some(&built.file(CAPTURE_FILE)?), &[])?;
    let folder = employees::project(&asked::settings(&postgres), "")?;
    let _worker = worker::start(&built.file("redis-wb")?, folder.path(), &redis.url(), false)?;
    let replied = write(&redis).map_err(Error::during("write"))?;
    let committed = committed(&postgres)?;
    let mut waits: Vec<f64> =
        replied.iter().filter_map(|(key, replied)| Some((committed.get(key)? - replied) * 1_000.0)).collect();
    if waits.len() != replied.len() {
        return Err(Error::new(format!("{} rows never came", replied.len() - waits.len())));
    }
    waits.sort_by(f64::total_cmp);
    let at = |share: usize| waits.get(waits.len() * share / 1_000).copied().unwrap_or(f64::NAN);
    let section = format!(
        "{HEADING}\n`cargo xtask bench latency`: one change each millisecond, {CHANGES} in all, each of a key of its own, to \
         PostgreSQL, with default settings; from Redis's reply to the commit, as `pg_xact_commit_timestamp` has it, for all but \
         the first {WARM_UP}; {}.\n\n| | | goal |\n|---|--:|--:|\n| median | {:.1} ms | 3 ms |\n| 99 % | {:.1} ms | 10 ms |\n| 99.9 % \
         | {:.1} ms | |\n| longest | {:.1} ms | |\n",
        machine(),
        at(500),
        at(990),
        at(999),
        waits.last().copied().unwrap_or(f64::NAN),
    );
    publish(HEADING, &section)
}

/// Writes at an even pace; when each reply came, in seconds since 1970.
fn write(redis: &Redis) -> redis::RedisResult<BTreeMap<u32, f64>> {
    let mut client = redis::Client::open(redis.url())?.get_connection()?;
    let mut replied = BTreeMap::new();
    // The worker tracks the keys when it starts.
    while redis::cmd("WB.RULES").query::<Vec<redis::Value>>(&mut client)?.is_empty() {
        thread::sleep(PACE);
    }
    let start = Instant::now();
    for at in 0..CHANGES {
        thread::sleep((start + PACE * at).saturating_duration_since(Instant::now()));
        redis::cmd("HSET")
            .arg(format!("emp:{at}"))
            .arg(&["fname", "Ada", "lname", "Lovelace", "title", "Countess", "salary", "5200.50"])
            .arg(&["hired", "1843-09-05", "email", "ada@example.com", "note", "none"])
            .exec(&mut client)?;
        if at >= WARM_UP {
            replied.insert(at, SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64());
        }
    }
    Ok(replied)
}

/// When each row was committed, in seconds since 1970, as soon as all are there.
fn committed(postgres: &Postgres) -> Result<BTreeMap<u32, f64>, Error> {
    let start = Instant::now();
    while psql(postgres, "SELECT count(*) FROM emp")? != CHANGES.to_string() && start.elapsed() < SETTLE_SECONDS_MAX {
        thread::sleep(Duration::from_millis(100));
    }
    let rows = psql(postgres, "SELECT empno, extract(epoch FROM pg_xact_commit_timestamp(xmin)) FROM emp")?;
    let row = |line: &str| {
        let (key, time) = line.split_once('|')?;
        Some((key.parse().ok()?, time.parse().ok()?))
    };
    Ok(rows.lines().filter_map(row).collect())
}
