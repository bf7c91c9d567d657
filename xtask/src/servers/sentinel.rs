//! A private sentinel. It must not know what the servers that it watches hold.

use std::fs;
use std::process::Command;
use std::time::Duration;

use super::redis::launch;
use super::{Folder, Port, Process, Redis, or_panic};
use crate::{Error, tools};

/// How long a server may be silent before it counts as down.
const DOWN_AFTER: Duration = Duration::from_secs(1);
/// How long a failover may take before another is tried.
const FAILOVER_SECONDS_MAX: Duration = Duration::from_secs(3);

/// A sentinel that watches one primary, on 127.0.0.1.
#[derive(Debug)]
pub struct Sentinel {
    // Fields drop in this order: the process ends before its folder and its port are given back.
    _process: Process,
    _folder: Folder,
    port: Port,
    name: String,
}

impl Sentinel {
    /// Starts a sentinel that watches a primary and its replicas; `quorum` sentinels have to agree that it is down.
    #[track_caller]
    pub fn start(name: &str, primary: &Redis, quorum: u32) -> Self {
        or_panic(Self::try_start(name, primary, quorum))
    }

    fn try_start(name: &str, primary: &Redis, quorum: u32) -> Result<Self, Error> {
        let (folder, port) = (Folder::create("redis-wb-sentinel-")?, Port::claim()?);
        // A sentinel keeps what it learns in its configuration.
        let path = folder.path().join("sentinel.conf");
        let configuration = format!(
            "sentinel monitor {name} 127.0.0.1 {} {quorum}\nsentinel down-after-milliseconds {name} {}\n\
             sentinel failover-timeout {name} {}\n",
            primary.port(),
            DOWN_AFTER.as_millis(),
            FAILOVER_SECONDS_MAX.as_millis(),
        );
        fs::write(&path, configuration).map_err(Error::during("write the configuration of a sentinel"))?;
        let mut command = Command::new(tools::redis_server()?);
        command.arg(path).arg("--sentinel");
        let process = launch(command, &folder, &port, &[])?;
        Ok(Self { _process: process, _folder: folder, port, name: name.to_owned() })
    }

    /// The port of 127.0.0.1 that it listens on.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The address of the primary by way of this sentinel, as `redis-wb` takes it.
    pub fn url(&self) -> String {
        format!("redis+sentinel://127.0.0.1:{}/{}", self.port(), self.name)
    }
}
