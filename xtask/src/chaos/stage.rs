//! Everything that runs in a round: servers, workers, proxies between them. It must not know what goes wrong when.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::driver::connect;
use super::jobs::{self, LITE_AUDIT, MARIA_AUDIT, PG_AUDIT, TABLES, jobs};
use super::proxy::Proxy;
use super::targets::Targets;
use crate::servers::{Folder, MariaDb, Postgres, Process, Redis, SmallDisk};
use crate::{Error, tools};

/// How many workers share the work.
const WORKERS: usize = 3;
/// How much room the tables of PostgreSQL and the file of SQLite have, in megabytes.
const DISK_MEGABYTES: u32 = 768;
/// How long the workers may take to have all keys tracked.
const TRACK_SECONDS_MAX: Duration = Duration::from_secs(60);
/// How long a replica may take to have all that its primary has.
const REPLICATE_SECONDS_MAX: Duration = Duration::from_secs(60);
/// How long to wait between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// A rule of the suite's own: capture appends each change of the hashes to its stream, and nobody reads it.
pub(super) const MIRROR: &str = "mirror";
/// What a worker logs when it begins to work.
const TAKEN: &str = "this worker has the lease";

/// The stream of a job, as capture names it.
pub(super) fn stream(job: &str) -> String {
    format!("wb:{{0}}:{job}")
}

/// A worker and its own way to Redis.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) process: Process,
    pub(super) link: Proxy,
    name: String,
}

/// All that runs.
#[derive(Debug)]
pub(super) struct Stage {
    // Fields drop in this order: workers first, folders last.
    pub(super) workers: Vec<Worker>,
    pub(super) pg_link: Proxy,
    pub(super) maria_link: Proxy,
    pub(super) redis: [Redis; 2],
    /// Which of the two is the primary.
    pub(super) primary: usize,
    /// What is missing, so that some faults are not to be had, and why.
    pub(super) missing: Vec<(&'static str, String)>,
    pub(super) disk: Option<SmallDisk>,
    pub(super) postgres: Postgres,
    pub(super) maria: MariaDb,
    /// The file by which the clock of each Redis is set.
    clocks: Option<[PathBuf; 2]>,
    program: PathBuf,
    lite: PathBuf,
    folder: Folder,
}

impl Stage {
    /// Starts everything, and waits until all keys are tracked.
    pub(super) fn set(program: &Path, module: &Path) -> Result<Self, Error> {
        let folder = Folder::create("redis-wb-chaos-")?;
        let mut missing = Vec::new();
        let (redis, clocks) = start_redis(module, folder.path(), &mut missing)?;
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
            redis,
            primary: 0,
            missing,
            disk,
            postgres,
            maria,
            clocks,
            program: program.to_path_buf(),
            lite: lite.join("lite.db"),
            folder,
        };
        stage.make_tables()?;
        stage.write_project().map_err(Error::during("write the jobs"))?;
        stage.follow(1, 0)?;
        let () = redis::cmd("WB.TRACK")
            .arg(MIRROR)
            .arg("item:*")
            .query::<redis::Value>(&mut stage.client()?)
            .map(drop)
            .map_err(Error::during("track the keys"))?;
        for number in 0..WORKERS {
            let name = format!("worker{number}");
            let link = Proxy::start(stage.redis_port())?;
            let process = stage.launch(&name, link.port())?;
            stage.workers.push(Worker { process, link, name });
        }
        stage.wait_until_tracked()?;
        Ok(stage)
    }

    /// The port of the primary.
    pub(super) fn redis_port(&self) -> u16 {
        self.server(self.primary).port()
    }

    /// One of the two servers.
    pub(super) fn server(&self, which: usize) -> &Redis {
        let [first, second] = &self.redis;
        if which == 0 { first } else { second }
    }

    pub(super) fn server_mut(&mut self, which: usize) -> &mut Redis {
        let [first, second] = &mut self.redis;
        if which == 0 { first } else { second }
    }

    /// A connection to the primary.
    pub(super) fn client(&self) -> Result<redis::Connection, Error> {
        connect(self.redis_port()).map_err(Error::during("connect to the primary"))
    }

    /// All three targets, asked directly.
    pub(super) fn targets(&self) -> Targets<'_> {
        Targets { postgres: &self.postgres, maria: &self.maria, lite: &self.lite }
    }

    /// Starts a worker again.
    pub(super) fn restart(&mut self, which: usize) -> Result<(), Error> {
        let Some(worker) = self.workers.get(which) else { return Ok(()) };
        let process = self.launch(&worker.name, worker.link.port())?;
        if let Some(worker) = self.workers.get_mut(which) {
            worker.process = process;
        }
        Ok(())
    }

    /// Makes one server the replica of the other, and waits until it has all data.
    pub(super) fn follow(&self, replica: usize, primary: usize) -> Result<(), Error> {
        let failed = |error| Error::during("make a replica")(error);
        let mut client = connect(self.server(replica).port()).map_err(failed)?;
        let port = self.server(primary).port();
        redis::cmd("REPLICAOF").arg("127.0.0.1").arg(port).exec(&mut client).map_err(failed)?;
        let start = Instant::now();
        loop {
            let info: String = redis::cmd("INFO").arg("replication").query(&mut client).map_err(failed)?;
            if info.contains("master_link_status:up") {
                return Ok(());
            }
            if start.elapsed() > REPLICATE_SECONDS_MAX {
                return Err(Error::new("the replica did not come to have the data of its primary"));
            }
            thread::sleep(LOOK_AGAIN);
        }
    }

    /// Sets the clock of a Redis off by some seconds, where that can be had.
    pub(super) fn set_clock(&self, which: usize, seconds: i64) -> Result<(), Error> {
        let Some(clock) = self.clocks.as_ref().and_then(|clocks| clocks.get(which)) else { return Ok(()) };
        set_clock(clock, seconds)
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
            fs::write(at.join("redis0.log"), self.server(0).log())?;
            fs::write(at.join("redis1.log"), self.server(1).log())?;
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

    fn launch(&self, name: &str, redis_port: u16) -> Result<Process, Error> {
        let log = File::options().create(true).append(true).open(self.folder.path().join(format!("{name}.log")));
        let log = log.map_err(Error::during("open the log of a worker"))?;
        let errors = log.try_clone().map_err(Error::during("open the log of a worker"))?;
        let mut command = Command::new(&self.program);
        command.args(["run", "--redis", &format!("redis://127.0.0.1:{redis_port}")]);
        command.current_dir(self.folder.path()).env("NO_COLOR", "1").env_remove("RUST_LOG").stdout(log).stderr(errors);
        Process::spawn(&mut command)
    }

    fn wait_until_tracked(&self) -> Result<(), Error> {
        let start = Instant::now();
        let mut client = self.client()?;
        loop {
            let rules: Vec<redis::Value> =
                redis::cmd("WB.RULES").query(&mut client).map_err(Error::during("ask for the tracking rules"))?;
            // The mirror is one more.
            if rules.len() > jobs().len() {
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

/// Two servers, each with a clock of its own where that can be had. What was acknowledged outlives SIGKILL.
fn start_redis(
    module: &Path,
    folder: &Path,
    missing: &mut Vec<(&'static str, String)>,
) -> Result<([Redis; 2], Option<[PathBuf; 2]>), Error> {
    let library = match tools::faketime() {
        Ok(library) => Some(library),
        Err(error) => {
            missing.push(("clock", format!("no clock jumps: {error}")));
            None
        }
    };
    let rejson = tools::rejson()?;
    let start = |clock: &Path| {
        set_clock(clock, 0)?;
        let variable = |name: &str, value: &Path| (name.to_owned(), value.to_string_lossy().into_owned());
        let environment = library.as_ref().map_or_else(Vec::new, |library| {
            vec![
                variable("LD_PRELOAD", library),
                variable("FAKETIME_TIMESTAMP_FILE", clock),
                variable("FAKETIME_CACHE_DURATION", Path::new("1")),
                variable("FAKETIME_DONT_FAKE_MONOTONIC", Path::new("1")),
            ]
        });
        let arguments = ["--appendonly", "yes", "--appendfsync", "always", "--loadmodule", &rejson.to_string_lossy()];
        Redis::try_start_in(&environment, Some(module), &arguments)
    };
    let clocks = ["clock0", "clock1"].map(|name| folder.join(name));
    let [first, second] = &clocks;
    let servers = [start(first)?, start(second)?];
    Ok((servers, library.is_some().then_some(clocks)))
}

fn set_clock(clock: &Path, seconds: i64) -> Result<(), Error> {
    // By way of a second file, so that it is never read half.
    let half = clock.with_extension("half");
    fs::write(&half, format!("{seconds:+}s\n"))
        .and_then(|()| fs::rename(&half, clock))
        .map_err(Error::during("set a clock"))
}
