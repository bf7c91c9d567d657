//! The job that draining is measured with: changes of hashes of eight fields, each key a row. It must not know how a
//! worker works.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use xtask::servers::{Folder, Postgres, Process, Redis};
use xtask::{Error, tools};

/// The stream of the job.
pub(super) const STREAM: &str = "wb:{0}:emp";
/// How long a worker may take.
pub(super) const DRAIN_SECONDS_MAX: Duration = Duration::from_secs(1_800);
/// The table.
pub(super) const TABLE: &str = "CREATE TABLE emp (empno bigint PRIMARY KEY, fname varchar(50), lname varchar(50), \
    title varchar(50), salary numeric(10,2), hired date, email varchar(100), note text)";

/// How many changes one script makes, since Redis keeps those of a script until its end.
const CHANGES_AT_ONCE: u64 = 10_000;

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

/// Writes changes of hashes: ARGV has the first number, the last, and the number of keys. `runtime/examples/floor.rs`
/// has the same rows.
const WRITE: &str = "for i = ARGV[1], ARGV[2] do
    local key = i % tonumber(ARGV[3])
    redis.call('HSET', 'emp:' .. key, 'empno', key, 'fname', 'Ada' .. i, 'lname', 'Lovelace', 'title', 'Countess',
        'salary', '5200.50', 'hired', '1843-09-05', 'email', 'ada' .. key .. '@example.com', 'note', 'change ' .. i)
end";

/// The settings of a connection, as `config.yaml` has them.
pub(super) fn postgres(server: &Postgres) -> String {
    let port = server.port();
    format!("type: postgresql\n    host: 127.0.0.1\n    port: {port}\n    database: postgres\n    user: postgres")
}

/// A folder with the job, its connection, and settings of the applier.
pub(super) fn project(connection: &str, applier: &str) -> Result<Folder, Error> {
    let folder = Folder::create("redis-wb-bench-")?;
    let path = folder.path();
    let config = format!("connections:\n  target:\n    {connection}\n{applier}");
    let written = fs::create_dir(path.join("jobs"))
        .and_then(|()| fs::write(path.join("jobs/emp.yaml"), JOB))
        .and_then(|()| fs::write(path.join("config.yaml"), config));
    written.map_err(Error::during("write the job"))?;
    Ok(folder)
}

/// A worker that ends when the stream is drained, if it is to end by itself.
pub(super) fn worker(program: &Path, folder: &Path, redis: &Redis, until_idle: bool) -> Result<Process, Error> {
    let log = File::create(folder.join("worker.log")).map_err(Error::during("make a log"))?;
    let mut command = Command::new(program);
    command.args(["run", "--redis", &redis.url()]).args(until_idle.then_some("--until-idle")).current_dir(folder);
    Process::spawn(command.stderr(log))
}

/// Waits for a worker that ends by itself; what it logged is told where it does not end well.
pub(super) fn ended(worker: &mut Process, folder: &Path) -> Result<(), Error> {
    if worker.wait(DRAIN_SECONDS_MAX).is_some_and(|status| status.success()) {
        return Ok(());
    }
    let log = fs::read_to_string(folder.join("worker.log")).unwrap_or_default();
    Err(Error::new(format!("the worker did not end well:\n{log}")))
}

/// Makes changes, which are captured.
pub(super) fn fill(redis: &mut redis::Connection, changes: u64, keys: u64) -> redis::RedisResult<()> {
    for start in (0..changes).step_by(usize::try_from(CHANGES_AT_ONCE).unwrap_or(1)) {
        let last = (start + CHANGES_AT_ONCE).min(changes) - 1;
        redis::cmd("EVAL").arg(WRITE).arg(0).arg(start).arg(last).arg(keys).exec(redis)?;
    }
    Ok(())
}

pub(super) fn connect(redis: &Redis) -> Result<redis::Connection, Error> {
    let client = redis::Client::open(redis.url());
    client.and_then(|client| client.get_connection()).map_err(Error::during("connect to Redis"))
}

/// Gives SQL to a PostgreSQL; what it prints, without titles.
pub(super) fn psql(postgres: &Postgres, sql: &str) -> Result<String, Error> {
    let program = tools::ensure()?.postgres_programs.join("psql");
    let output = Command::new(program).arg(postgres.url()).args(["-q", "-t", "-A", "-c", sql]).output();
    let output = output.map_err(Error::during("run psql"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Error::new(format!("psql: {}", String::from_utf8_lossy(&output.stderr))))
}
