//! A private Redis server. It must not know what the capture module does.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{Folder, LOOK_AGAIN, Port, Process, START_SECONDS_MAX, log_tail, or_panic, try_capture_module};
use crate::{Error, tools};

/// How long one PING may take.
const PING_SECONDS_MAX: Duration = Duration::from_secs(2);

/// A Redis server of one's own, on 127.0.0.1, without persistence unless its arguments say so.
#[derive(Debug)]
pub struct Redis {
    // Fields drop in this order: the process ends before its folder and its port are given back.
    process: Process,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    program: PathBuf,
    folder: Folder,
    port: Port,
}

impl Redis {
    /// Starts a server with the capture module.
    #[track_caller]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with the capture module and more configuration, such as
    /// `&["--appendonly", "yes"]`.
    #[track_caller]
    pub fn start_with(arguments: &[&str]) -> Self {
        or_panic(try_capture_module().and_then(|module| Self::try_start(Some(&module), arguments)))
    }

    /// Starts a server with the capture module, which gets these arguments of its own.
    #[track_caller]
    pub fn start_with_module_arguments(arguments: &[&str]) -> Self {
        let start = |module: std::path::PathBuf| {
            let mut all = vec!["--loadmodule".to_owned(), module.to_string_lossy().into_owned()];
            all.extend(arguments.iter().map(|&argument| argument.to_owned()));
            let all: Vec<&str> = all.iter().map(String::as_str).collect();
            Self::try_start(None, &all)
        };
        or_panic(try_capture_module().and_then(start))
    }

    /// Starts a server without the capture module.
    #[track_caller]
    pub fn start_bare(arguments: &[&str]) -> Self {
        or_panic(Self::try_start(None, arguments))
    }

    /// Starts a server with the capture module that follows another.
    #[track_caller]
    pub fn start_replica_of(primary: &Self) -> Self {
        Self::start_with(&["--replicaof", "127.0.0.1", &primary.port().to_string()])
    }

    /// Starts a server with `module`, if any, and more configuration.
    pub fn try_start(module: Option<&Path>, arguments: &[&str]) -> Result<Self, Error> {
        Self::try_start_in(&[], module, arguments)
    }

    /// The same with more variables in its environment.
    pub fn try_start_in(
        environment: &[(String, String)],
        module: Option<&Path>,
        arguments: &[&str],
    ) -> Result<Self, Error> {
        let program = tools::redis_server()?;
        let folder = Folder::create("redis-wb-redis-")?;
        let port = Port::claim()?;
        let mut all: Vec<String> = ["--save", "", "--appendonly", "no"].map(str::to_owned).into();
        if let Some(module) = module {
            all.extend(["--loadmodule".to_owned(), module.to_string_lossy().into_owned()]);
        }
        all.extend(arguments.iter().map(|&argument| argument.to_owned()));
        let process = launch(command_of(&program, environment), &folder, &port, &all)?;
        Ok(Self { process, arguments: all, environment: environment.to_vec(), program, folder, port })
    }

    /// The port of 127.0.0.1 that it listens on.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Its address, as clients take it.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port())
    }

    /// Its working folder, with its RDB and AOF files if it writes any.
    pub fn dir(&self) -> &Path {
        self.folder.path()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(log_path(&self.folder)).unwrap_or_default()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Ends it by SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Ends it by SIGTERM, as an orderly shutdown does.
    pub fn stop(&mut self) {
        self.process.stop();
    }

    /// Lets it stand still (SIGSTOP) with all connections open.
    pub fn pause(&mut self) {
        self.process.pause();
    }

    /// Lets it go on after [`Redis::pause`].
    pub fn resume(&self) {
        self.process.resume();
    }

    /// Starts it again on the same port, in the same folder and with the same arguments,
    /// after [`Redis::kill`] or [`Redis::stop`]; if it still runs it is stopped first.
    #[track_caller]
    pub fn restart(&mut self) {
        or_panic(self.try_restart());
    }

    /// As [`Redis::restart`], for those who must not panic.
    pub fn try_restart(&mut self) -> Result<(), Error> {
        self.process.stop();
        let command = command_of(&self.program, &self.environment);
        self.process = launch(command, &self.folder, &self.port, &self.arguments)?;
        Ok(())
    }
}

fn log_path(folder: &Folder) -> PathBuf {
    folder.path().join("redis.log")
}

fn command_of(program: &Path, environment: &[(String, String)]) -> Command {
    let mut command = Command::new(program);
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    command
}

/// Starts a server of this family and waits until it answers.
pub(super) fn launch(
    mut command: Command,
    folder: &Folder,
    port: &Port,
    arguments: &[String],
) -> Result<Process, Error> {
    let log = log_path(folder);
    let open = || File::options().create(true).append(true).open(&log);
    command
        .args(["--bind", "127.0.0.1", "--port", &port.number().to_string()])
        .arg("--dir")
        .arg(folder.path())
        .args(arguments)
        .current_dir(folder.path())
        .stdout(open().map_err(Error::during("open the log of Redis"))?)
        .stderr(open().map_err(Error::during("open the log of Redis"))?);
    let mut process = Process::spawn_to_end_by(Signal::KILL, &mut command)?;
    let start = Instant::now();
    while !answers(port.number()) {
        if !process.runs() || start.elapsed() > START_SECONDS_MAX {
            return Err(Error::new(format!("Redis did not start; the end of its log:\n{}", log_tail(&log))));
        }
        thread::sleep(LOOK_AGAIN);
    }
    Ok(process)
}

/// Whether PING gets its PONG: not while Redis loads its data. One that asks for a password is up.
fn answers(port: u16) -> bool {
    let ping = || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(PING_SECONDS_MAX))?;
        stream.write_all(b"PING\r\n")?;
        let mut reply = vec![0; 7];
        stream.read_exact(&mut reply)?;
        Ok(reply)
    };
    matches!(ping().as_deref(), Ok(b"+PONG\r\n" | b"-NOAUTH"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_answers_restarts_and_leaves_nothing() {
        let mut redis = Redis::start_bare(&["--appendonly", "yes"]);
        let folder = redis.dir().to_path_buf();
        assert!(answers(redis.port()));
        assert!(folder.join("appendonlydir").is_dir());
        redis.kill();
        assert!(!answers(redis.port()));
        redis.restart();
        assert!(answers(redis.port()));
        let port = redis.port();
        drop(redis);
        assert!(!answers(port));
        assert!(!folder.exists());
    }

    #[test]
    fn a_failed_start_shows_the_log() {
        let error = Redis::try_start(None, &["--no-such-option", "1"]).unwrap_err();
        assert!(error.to_string().contains("no-such-option"), "{error}");
    }
}
