//! A worker, run as a user runs it: a folder with a job and settings, the program, its log. It must not know what is
//! measured.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use xtask::Error;
use xtask::servers::{Folder, Process};

/// How long a worker may take.
pub(super) const DRAIN_SECONDS_MAX: Duration = Duration::from_secs(1_800);

/// A job: its name and its file.
pub(super) type Job = (&'static str, &'static str);

/// A folder with a job, its connection, and settings of the applier.
pub(super) fn project((name, job): Job, connection: &str, applier: &str) -> Result<Folder, Error> {
    let folder = Folder::create("redis-wb-bench-")?;
    let path = folder.path();
    let config = format!("connections:\n  target:\n    {connection}\n{applier}");
    let written = fs::create_dir(path.join("jobs"))
        .and_then(|()| fs::write(path.join(format!("jobs/{name}.yaml")), job))
        .and_then(|()| fs::write(path.join("config.yaml"), config));
    written.map_err(Error::during("write the job"))?;
    Ok(folder)
}

/// Settings of the applier: batches of so many.
pub(super) fn batches(read_rows: u64, write_rows: u64) -> String {
    format!("applier:\n  read_batch_size: {read_rows}\n  write_batch_size: {write_rows}\n")
}

/// A worker that ends when the stream is drained, if it is to end by itself.
pub(super) fn start(program: &Path, folder: &Path, redis: &str, until_idle: bool) -> Result<Process, Error> {
    let log = File::create(folder.join("worker.log")).map_err(Error::during("make a log"))?;
    let mut command = Command::new(program);
    command.args(["run", "--redis", redis]).args(until_idle.then_some("--until-idle")).current_dir(folder);
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

/// Runs a worker from its start to its end, when nothing waits any more.
pub(super) fn drain(program: &Path, folder: &Path, redis: &str) -> Result<(), Error> {
    ended(&mut start(program, folder, redis, true)?, folder)
}
