//! A private MariaDB server. It must not know which tables it will hold.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Instant;

use rustix::process::Signal;

use super::user::{User, give_away, unprivileged};
use super::{Folder, LOOK_AGAIN, Port, Process, START_SECONDS_MAX, copy, log_tail, or_panic};
use crate::tools::MariaDbPrograms;
use crate::{Error, tools};

/// The user it runs as where we are root; Debian's package makes it.
const USER: &str = "mysql";

/// The settings of every server. Commits reach the operating system, so they survive the death of the server, which is
/// all that tests inflict. Names of tables are compared as on any Linux.
const SETTINGS: [&str; 10] = [
    "--no-defaults",
    "--bind-address=127.0.0.1",
    "--skip-log-bin",
    "--skip-name-resolve",
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-buffer-pool-size=32M",
    "--innodb-log-file-size=8M",
    "--max-connections=60",
    "--character-set-server=utf8mb4",
    "--default-time-zone=+00:00",
];

/// A MariaDB server of one's own, on 127.0.0.1, with the superuser `root` and no password.
#[derive(Debug)]
pub struct MariaDb {
    // Fields drop in this order: the process ends before its folder and its port are given back.
    process: Process,
    programs: MariaDbPrograms,
    folder: Folder,
    port: Port,
    arguments: Vec<String>,
}

impl MariaDb {
    /// Starts a server with an empty database `test`.
    #[track_caller]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with more arguments, such as `&["--ssl-cert=/path/own.crt"]`.
    #[track_caller]
    pub fn start_with(arguments: &[String]) -> Self {
        or_panic(Self::try_start(arguments))
    }

    /// As [`MariaDb::start_with`], for those who must not panic.
    pub fn try_start(arguments: &[String]) -> Result<Self, Error> {
        let programs = tools::mariadb()?;
        let template = template(&programs)?;
        let folder = Folder::create("redis-wb-mariadb-")?;
        copy(&template, &folder.path().join("data"))?;
        give_away(folder.path(), USER)?;
        let port = Port::claim()?;
        let process = launch(&programs, &folder, &port, arguments)?;
        Ok(Self { process, programs, folder, port, arguments: arguments.to_vec() })
    }

    /// The port of 127.0.0.1 that it listens on.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Its address, as clients take it.
    pub fn url(&self) -> String {
        format!("mysql://root@127.0.0.1:{}/test", self.port())
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(log_path(&self.folder)).unwrap_or_default()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Lets it stand still (SIGSTOP) with all connections open.
    pub fn pause(&mut self) {
        self.process.pause();
    }

    /// Lets it go on after [`MariaDb::pause`].
    pub fn resume(&self) {
        self.process.resume();
    }

    /// Ends it at once: it must recover when it starts again.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Ends it in good order.
    pub fn stop(&mut self) {
        self.process.stop();
    }

    /// Starts it again on the same port and with the same data, after [`MariaDb::kill`] or [`MariaDb::stop`]; if it
    /// still runs it is stopped first.
    #[track_caller]
    pub fn restart(&mut self) {
        or_panic(self.try_restart());
    }

    /// As [`MariaDb::restart`], for those who must not panic.
    pub fn try_restart(&mut self) -> Result<(), Error> {
        self.stop();
        self.process = launch(&self.programs, &self.folder, &self.port, &self.arguments)?;
        Ok(())
    }
}

fn log_path(folder: &Folder) -> PathBuf {
    folder.path().join("mariadb.log")
}

fn launch(programs: &MariaDbPrograms, folder: &Folder, port: &Port, arguments: &[String]) -> Result<Process, Error> {
    let log = log_path(folder);
    let open = || File::options().create(true).append(true).open(&log);
    let mut command = unprivileged(&programs.server, USER)?;
    command
        .args(SETTINGS)
        .args(arguments)
        .arg(format!("--datadir={}", folder.path().join("data").display()))
        .arg(format!("--socket={}", folder.path().join("socket").display()))
        .arg(format!("--pid-file={}", folder.path().join("pid").display()))
        .arg(format!("--port={}", port.number()))
        .current_dir(folder.path())
        .stdout(open().map_err(Error::during("open the log of MariaDB"))?)
        .stderr(open().map_err(Error::during("open the log of MariaDB"))?);
    let mut process = Process::spawn_to_end_by(Signal::KILL, &mut command)?;
    let start = Instant::now();
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port.number())).is_err() {
        if !process.runs() || start.elapsed() > START_SECONDS_MAX {
            return Err(Error::new(format!("MariaDB did not start; the end of its log:\n{}", log_tail(&log))));
        }
        thread::sleep(LOOK_AGAIN);
    }
    Ok(process)
}

/// A data folder that `mariadb-install-db` made once for this version; each server starts from a copy.
fn template(programs: &MariaDbPrograms) -> Result<PathBuf, Error> {
    let version = tools::output(Command::new(&programs.server).args(["--no-defaults", "--version"]))?;
    // `/usr/sbin/mariadbd  Ver 10.11.19-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64 (Debian 12)`
    let version = version.split_whitespace().skip_while(|word| *word != "Ver").nth(1).unwrap_or("unknown");
    let owner = User::for_server(USER)?.map_or("own", |_| USER);
    let template = tools::folder().join(format!("mariadb-template-{version}-{owner}"));
    tools::once(&template, || make_template(programs, &template))?;
    Ok(template)
}

fn make_template(programs: &MariaDbPrograms, template: &Path) -> Result<(), Error> {
    let folder = Folder::create("redis-wb-mariadb-")?;
    give_away(folder.path(), USER)?;
    let data = folder.path().join("data");
    let mut command = unprivileged(&programs.install, USER)?;
    command
        .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-name-resolve"])
        .args(["--skip-test-db", "--innodb-log-file-size=8M"])
        .arg(format!("--datadir={}", data.display()))
        .current_dir(folder.path());
    tools::output(&mut command)?;
    // A database is a folder.
    fs::create_dir(data.join("test")).map_err(Error::during("make the database `test`"))?;
    give_away(&data, USER)?;
    // By way of a second name, so that a half-made copy is never taken for a template.
    let half = template.with_extension("half");
    fs::remove_dir_all(&half).ok();
    copy(&data, &half)?;
    fs::rename(&half, template).map_err(Error::during("put the template of MariaDB in place"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_listens_restarts_and_leaves_nothing() {
        let mut mariadb = MariaDb::start();
        let folder = mariadb.folder.path().to_path_buf();
        let connect = |port| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        assert!(connect(mariadb.port()));
        mariadb.kill();
        assert!(!connect(mariadb.port()));
        mariadb.restart();
        assert!(connect(mariadb.port()));
        let port = mariadb.port();
        drop(mariadb);
        assert!(!connect(port));
        assert!(!folder.exists());
    }
}
