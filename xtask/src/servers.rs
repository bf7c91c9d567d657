//! Private servers for tests and the demo, each on a free port and in a temporary folder of its own.
//!
//! | part | what it starts |
//! |---|---|
//! | [`Process`] | any command; it ends when its owner drops it or dies, even by SIGKILL |
//! | [`Folder`] | no process, but a folder that goes in the same way |
//! | [`SmallDisk`] | no process, but a file system that can be full |
//! | [`Redis`] | a Redis server with the capture module |
//! | [`Cluster`] | a Redis Cluster, with the capture module |
//! | [`Sentinel`] | a sentinel of a Redis server and its replicas |
//! | [`Postgres`] | a PostgreSQL server |
//! | [`MariaDb`] | a MariaDB server |
//! | [`capture_module`], [`rejson_module`] | what Redis loads |
//!
//! Nothing here is shared between servers, so tests run in parallel, in threads and in processes.
//! Functions without `try_` panic: tests call them, and a test without its server has failed.

mod cluster;
mod disk;
mod guard;
mod mariadb;
mod module;
mod port;
mod postgres;
mod process;
mod redis;
mod sentinel;
mod user;

pub use cluster::Cluster;
pub use disk::SmallDisk;
pub use guard::Folder;
pub use mariadb::MariaDb;
pub use module::{CAPTURE_FILE, capture_module, rejson_module, try_capture_module};
pub use port::Port;
pub use postgres::Postgres;
pub use process::Process;
pub use redis::Redis;
pub use sentinel::Sentinel;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::{Error, tools};

/// How long a server may take to answer after its start; generous, since tests load all cores.
const START_SECONDS_MAX: Duration = Duration::from_secs(60);

/// How long a server may take to end by itself before it is killed.
const STOP_SECONDS_MAX: Duration = Duration::from_secs(30);

/// How long to wait between two looks at a server that starts or stops.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// How many lines of a server's log an error shows.
const LOG_LINES_MAX: usize = 20;

/// The value, or a panic that points at the test that asked.
#[track_caller]
#[expect(clippy::panic, reason = "only tests come here, and a test without its server has failed")]
fn or_panic<T>(result: Result<T, Error>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}

/// The end of a log, for error messages.
fn log_tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(LOG_LINES_MAX);
    lines.get(from..).unwrap_or_default().join("\n")
}

/// Copies a folder with its owners and permissions.
fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    tools::output(Command::new("cp").args(["-a", "--reflink=auto"]).arg(from).arg(to)).map(drop)
}
