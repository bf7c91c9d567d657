//! A private PostgreSQL server. It must not know which tables it will hold.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Instant;

use rustix::process::{Signal, geteuid};

use super::process::signal;
use super::user::{User, give_away, unprivileged};
use super::{Folder, LOOK_AGAIN, Port, Process, START_SECONDS_MAX, copy, log_tail, or_panic};
use crate::{Error, tools};

/// The user it runs as where we are root; Debian's package makes it.
const USER: &str = "postgres";

/// The settings of every server. Data reach the operating system at each commit, so they survive
/// the death of the server's processes, which is all that tests inflict; they would not survive
/// the machine's, which is what saves the time.
const SETTINGS: [&str; 7] = [
    "listen_addresses=127.0.0.1",
    "fsync=off",
    "full_page_writes=off",
    "max_connections=60",
    "shared_buffers=32MB",
    "timezone=UTC",
    "log_timezone=UTC",
];

/// A PostgreSQL server of one's own, on 127.0.0.1, with superuser `postgres` and no password.
#[derive(Debug)]
pub struct Postgres {
    // Fields drop in this order: the process ends before its folder and its port are given back.
    process: Process,
    programs: PathBuf,
    folder: Folder,
    port: Port,
}

impl Postgres {
    /// Starts a server with an empty database `postgres`.
    #[track_caller]
    pub fn start() -> Self {
        or_panic(Self::try_start())
    }

    /// As [`Postgres::start`], for those who must not panic.
    pub fn try_start() -> Result<Self, Error> {
        let programs = tools::postgres_programs()?;
        let template = template(&programs)?;
        let folder = folder()?;
        copy(&template, &folder.path().join("data"))?;
        // The template may itself have been copied about, and have lost its owner.
        give_away(folder.path(), USER)?;
        let port = Port::claim()?;
        let process = launch(&programs, &folder, &port)?;
        Ok(Self { process, programs, folder, port })
    }

    /// The port of 127.0.0.1 that it listens on.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Its address, as clients take it.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port())
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(log_path(&self.folder)).unwrap_or_default()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Its working folder, which belongs to the user that it runs as.
    pub fn dir(&self) -> &Path {
        self.folder.path()
    }

    /// Lets it and all its processes stand still (SIGSTOP) with all connections open.
    pub fn pause(&mut self) {
        self.process.pause();
        self.process.children().into_iter().for_each(|child| signal(child, Signal::STOP));
    }

    /// Lets all of it go on after [`Postgres::pause`].
    pub fn resume(&self) {
        self.process.children().into_iter().for_each(|child| signal(child, Signal::CONT));
        self.process.resume();
    }

    /// Kills one of its processes by SIGKILL, the one that was started last: the server then ends all of them and
    /// recovers by itself.
    pub fn kill_child(&self) {
        let last = self.process.children().into_iter().max_by_key(|child| child.as_raw_nonzero());
        last.into_iter().for_each(|child| signal(child, Signal::KILL));
    }

    /// Ends it at once, without a checkpoint ("immediate"): it must recover when it starts again.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Ends it in good order, breaking off open connections ("fast").
    pub fn stop(&mut self) {
        self.process.end(Signal::INT);
    }

    /// Starts it again on the same port and with the same data, after [`Postgres::kill`] or
    /// [`Postgres::stop`]; if it still runs it is stopped first.
    #[track_caller]
    pub fn restart(&mut self) {
        or_panic(self.try_restart());
    }

    /// As [`Postgres::restart`], for those who must not panic.
    pub fn try_restart(&mut self) -> Result<(), Error> {
        self.stop();
        self.process = launch(&self.programs, &self.folder, &self.port)?;
        Ok(())
    }
}

fn log_path(folder: &Folder) -> PathBuf {
    folder.path().join("postgres.log")
}

fn launch(programs: &Path, folder: &Folder, port: &Port) -> Result<Process, Error> {
    let log = log_path(folder);
    let open = || File::options().create(true).append(true).open(&log);
    let mut command = unprivileged(&programs.join("postgres"), USER)?;
    command.arg("-D").arg(folder.path().join("data"));
    command.args(["-p", &port.number().to_string(), "-k"]).arg(folder.path());
    for setting in SETTINGS {
        command.args(["-c", setting]);
    }
    command
        .current_dir(folder.path())
        .stdout(open().map_err(Error::during("open the log of PostgreSQL"))?)
        .stderr(open().map_err(Error::during("open the log of PostgreSQL"))?);
    // SIGQUIT and not SIGKILL: it ends as abruptly for clients and data, but gives back its
    // shared memory.
    let mut process = Process::spawn_to_end_by(Signal::QUIT, &mut command)?;
    let start = Instant::now();
    while !ready(folder, process.pid()) {
        if !process.runs() || start.elapsed() > START_SECONDS_MAX {
            return Err(Error::new(format!("PostgreSQL did not start; the end of its log:\n{}", log_tail(&log))));
        }
        thread::sleep(LOOK_AGAIN);
    }
    Ok(process)
}

/// Whether the server takes connections, by the file that `pg_ctl` too looks at: its first line
/// is the process id, its eighth the status.
fn ready(folder: &Folder, pid: u32) -> bool {
    let text = fs::read_to_string(folder.path().join("data/postmaster.pid")).unwrap_or_default();
    let mut lines = text.lines();
    lines.next() == Some(pid.to_string().as_str()) && lines.nth(6).map(str::trim) == Some("ready")
}

/// A temporary folder that belongs to the user the server runs as.
fn folder() -> Result<Folder, Error> {
    let folder = Folder::create("redis-wb-postgres-")?;
    give_away(folder.path(), USER)?;
    Ok(folder)
}

/// A data folder that `initdb` made once for this version; each server starts from a copy.
fn template(programs: &Path) -> Result<PathBuf, Error> {
    let version = tools::output(Command::new(programs.join("postgres")).arg("--version"))?;
    // `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`
    let version = version.split(' ').nth(2).unwrap_or("unknown");
    let owner = User::for_server(USER)?.map_or_else(|| geteuid().as_raw(), |user| user.uid);
    let template = tools::folder().join(format!("pgtemplate-{version}-{owner}"));
    tools::once(&template, || {
        let folder = folder()?;
        let data = folder.path().join("data");
        let mut command = unprivileged(&programs.join("initdb"), USER)?;
        command
            .args(["-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"])
            .args(["--no-sync", "--no-instructions", "--wal-segsize=4", "-D"])
            .arg(&data)
            .current_dir(folder.path());
        tools::output(&mut command)?;
        // By way of a second name, so that a half-made copy is never taken for a template.
        let half = template.with_extension("half");
        fs::remove_dir_all(&half).ok();
        copy(&data, &half)?;
        fs::rename(&half, &template).map_err(Error::during("put the template of PostgreSQL in place"))
    })?;
    Ok(template)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpStream};

    #[test]
    fn it_listens_restarts_and_leaves_nothing() {
        let mut postgres = Postgres::start();
        let folder = postgres.folder.path().to_path_buf();
        let connect = |port| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        assert!(connect(postgres.port()));
        postgres.kill();
        assert!(!connect(postgres.port()));
        postgres.restart();
        assert!(connect(postgres.port()));
        postgres.stop();
        postgres.restart();
        let port = postgres.port();
        drop(postgres);
        assert!(!connect(port));
        assert!(!folder.exists());
    }
}
