//! Everything that runs in a round: servers, workers, proxies between them. It must not know what goes wrong when.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::jobs::{self, LITE_AUDIT, MARIA_AUDIT, PG_AUDIT, TABLES, jobs};
use super::proxy::Proxy;
use super::side::{Shape, Side};
use super::targets::Targets;
use crate::Error;
use crate::servers::{Folder, MariaDb, Postgres, Process, SmallDisk};

/// How many workers share the work.
const WORKERS: usize = 3;
/// How much room the tables of PostgreSQL and the file of SQLite have, in megabytes.
const DISK_MEGABYTES: u32 = 768;
/// How long the workers may take to have all keys tracked.
const TRACK_SECONDS_MAX: Duration = Duration::from_secs(60);
/// How long to wait between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// A rule of the suite's own: capture appends each change of the hashes to its stream, and nobody reads it.
pub(super) const MIRROR: &str = "mirror";
/// What a worker logs when it begins to work.
const TAKEN: &str = "this worker has the lease";

/// What the streams of a job are called, on whichever server: the dead-letter queues are not among them.
pub(super) fn streams(job: &str) -> String {
    format!("wb:{{*}}:{job}")
}

/// A worker and its own way to Redis.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) process: Process,
    /// None in a cluster, where each server has one.
    pub(super) link: Option<Proxy>,
    name: String,
}

/// All that runs.
#[derive(Debug)]
pub(super) struct Stage {
    // Fields drop in this order: workers first, folders last.
    pub(super) workers: Vec<Worker>,
    pub(super) pg_link: Proxy,
    pub(super) maria_link: Proxy,
    pub(super) side: Side,
    /// What is missing, so that some faults are not to be had, and why.
    pub(super) missing: Vec<(&'static str, String)>,
    pub(super) disk: Option<SmallDisk>,
    pub(super) postgres: Postgres,
    pub(super) maria: MariaDb,
    program: PathBuf,
    lite: PathBuf,
    folder: Folder,
}

impl Stage {
    /// Starts everything, and waits until all keys are tracked.
    pub(super) fn set(shape: Shape, program: &Path, module: &Path) -> Result<Self, Error> {
        let folder = Folder::create("redis-wb-chaos-")?;
        let mut missing = Vec::new();
        let side = Side::start(shape, module, folder.path(), &mut missing)?;
        let postgres = Postgres::try_start()?;
        let maria = MariaDb::try_start(&[])?;
        let disk = match SmallDisk::mount(&postgres.dir().join("disk"), DISK_MEGABYTES) {
            Ok(disk) => Some(disk),
            Err(error) => {
                missing.push(("disk", format!("no disk is full: {error}")));
                None
            }
        };
        let lite = disk.as_ref().map_or_else(|| folder.path().to_path_buf(), |disk| disk.path().to_path_buf());
        let mut stage = Self {
            workers: Vec::new(),
            pg_link: Proxy::start(postgres.port())?,
            maria_link: Proxy::start(maria.port())?,
            side,
            missing,
            disk,
            postgres,
            maria,
            program: program.to_path_buf(),
            lite: lite.join("lite.db"),
            folder,
        };
        stage.make_tables()?;
        stage.write_project().map_err(Error::during("write the jobs"))?;
        for connection in stage.side.space()?.all() {
            mirror(connection)?;
        }
        for number in 0..WORKERS {
            let name = format!("worker{number}");
            let link = match &stage.side {
                Side::Pair(pair) => Some(Proxy::start(pair.port())?),
                Side::Cluster(_) => None,
            };
            let process = stage.launch(&name, link.as_ref())?;
            stage.workers.push(Worker { process, link, name });
        }
        stage.wait_until_tracked()?;
        Ok(stage)
    }

    /// All three targets, asked directly.
    pub(super) fn targets(&self) -> Targets<'_> {
        Targets { postgres: &self.postgres, maria: &self.maria, lite: &self.lite }
    }

    /// Starts a worker again.
    pub(super) fn restart(&mut self, which: usize) -> Result<(), Error> {
        let Some(worker) = self.workers.get(which) else { return Ok(()) };
        let process = self.launch(&worker.name, worker.link.as_ref())?;
        if let Some(worker) = self.workers.get_mut(which) {
            worker.process = process;
        }
        Ok(())
    }

    /// What the workers logged, one after the other.
    pub(super) fn worker_logs(&self) -> Vec<(String, String)> {
        let log = |worker: &Worker| {
            let bytes = fs::read(self.folder.path().join(format!("{}.log", worker.name))).unwrap_or_default();
            (worker.name.clone(), String::from_utf8_lossy(&bytes).into_owned())
        };
        self.workers.iter().map(log).collect()
    }

    /// The worker that says it works, as far as the logs tell.
    pub(super) fn holder(&self) -> Option<usize> {
        let last = |log: &str| log.lines().rfind(|line| line.contains(TAKEN)).map(str::to_owned);
        let taken = self.worker_logs().into_iter().enumerate().filter_map(|(at, (_, log))| Some((last(&log)?, at)));
        // A line begins with its time.
        taken.max().map(|(_, at)| at)
    }

    /// Copies logs and project to a folder that stays.
    pub(super) fn keep(&self, at: &Path) -> Result<(), Error> {
        let kept = || -> std::io::Result<()> {
            fs::create_dir_all(at)?;
            for entry in fs::read_dir(self.folder.path())?.flatten().filter(|entry| entry.path().is_file()) {
                fs::copy(entry.path(), at.join(entry.file_name()))?;
            }
            fs::copy(&self.lite, at.join("lite.db"))?;
            for (number, log) in self.side.logs().into_iter().enumerate() {
                fs::write(at.join(format!("redis{number}.log")), log)?;
            }
            fs::write(at.join("postgres.log"), self.postgres.log())?;
            fs::write(at.join("mariadb.log"), self.maria.log())
        };
        kept().map_err(Error::during(format_args!("keep the logs in `{}`", at.display())))
    }

    fn make_tables(&self) -> Result<(), Error> {
        let targets = self.targets();
        if let Some(disk) = &self.disk {
            let place = disk.folder_of("pg", "postgres")?;
            targets.pg(&format!("CREATE TABLESPACE small LOCATION '{}'", place.display()))?;
            targets.pg("ALTER DATABASE postgres SET default_tablespace = small")?;
        }
        targets.pg(&format!("{TABLES}{PG_AUDIT}"))?;
        targets.maria(&format!("{TABLES}{MARIA_AUDIT}"))?;
        targets.lite(&format!("{TABLES}{LITE_AUDIT}"))
    }

    fn write_project(&self) -> std::io::Result<()> {
        let at = self.folder.path();
        fs::create_dir(at.join("jobs"))?;
        fs::write(at.join("schema.sql"), TABLES)?;
        let lite = self.lite.to_string_lossy();
        fs::write(at.join("config.yaml"), jobs::config(self.pg_link.port(), self.maria_link.port(), &lite))?;
        jobs().into_iter().try_for_each(|(name, text)| fs::write(at.join(format!("jobs/{name}.yaml")), text))
    }

    fn launch(&self, name: &str, link: Option<&Proxy>) -> Result<Process, Error> {
        let log = File::options().create(true).append(true).open(self.folder.path().join(format!("{name}.log")));
        let log = log.map_err(Error::during("open the log of a worker"))?;
        let errors = log.try_clone().map_err(Error::during("open the log of a worker"))?;
        let mut command = Command::new(&self.program);
        let ports = link.map_or_else(|| self.side.places().into_keys().collect(), |link| vec![link.port()]);
        let urls: Vec<String> = ports.into_iter().map(|port| format!("redis://127.0.0.1:{port}")).collect();
        command.args(["run", "--redis", &urls.join(",")]);
        command.current_dir(self.folder.path()).env("NO_COLOR", "1").env_remove("RUST_LOG").stdout(log).stderr(errors);
        Process::spawn(&mut command)
    }

    /// Waits until all jobs are tracked everywhere; the mirror is one more.
    fn wait_until_tracked(&self) -> Result<(), Error> {
        let start = Instant::now();
        let mut space = self.side.space()?;
        loop {
            let mut is_whole = true;
            for connection in space.all() {
                is_whole &= is_tracked(connection).map_err(Error::during("ask for the tracking rules"))?;
            }
            if is_whole {
                return Ok(());
            }
            if start.elapsed() > TRACK_SECONDS_MAX {
                let logs: Vec<String> = self.worker_logs().into_iter().map(|(_, log)| log).collect();
                return Err(Error::new(format!("the workers did not start; their logs:\n{}", logs.join("\n"))));
            }
            thread::sleep(LOOK_AGAIN);
        }
    }
}

/// Whether a server has the rules of all jobs, and the mirror's.
fn is_tracked(connection: &mut redis::Connection) -> redis::RedisResult<bool> {
    Ok(redis::cmd("WB.RULES").query::<Vec<redis::Value>>(connection)?.len() > jobs().len())
}

/// Waits until the workers have all jobs tracked at a server that joined, as an operator is told to.
pub(super) fn wait_until_joined(connection: &mut redis::Connection) -> Result<(), Error> {
    let start = Instant::now();
    while !is_tracked(connection).map_err(Error::during("ask for the tracking rules"))? {
        if start.elapsed() > TRACK_SECONDS_MAX {
            return Err(Error::new("the workers did not have the jobs tracked at a server that joined"));
        }
        thread::sleep(LOOK_AGAIN);
    }
    Ok(())
}

/// Has a server keep each change of the hashes in a stream that nobody reads.
pub(super) fn mirror(connection: &mut redis::Connection) -> Result<(), Error> {
    let tracked = redis::cmd("WB.TRACK").arg(MIRROR).arg("item:*").exec(connection);
    tracked.map_err(Error::during("track the keys"))
}
