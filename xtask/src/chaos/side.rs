//! The Redis of a round: a primary and its replica, or a cluster. It must not know what is written to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::driver::{Places, connect};
use super::proxy::Proxy;
use super::space::Space;
use crate::servers::{Cluster, Redis};
use crate::{Error, tools};

/// How long a replica may take to have all that its primary has.
const REPLICATE_SECONDS_MAX: Duration = Duration::from_secs(60);
/// How long to wait between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// How many primaries a cluster begins with, and how many replicas each has.
const PRIMARIES: usize = 3;
const REPLICAS: usize = 1;

/// Which of the two a round has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A primary and its replica.
    Pair,
    /// A cluster of three primaries, each with a replica.
    Cluster,
}

/// How long a server of a cluster may be silent until its replica is elected: failovers are to be many.
const NODE_TIMEOUT_MS: &str = "2000";

/// The servers. What was acknowledged outlives SIGKILL.
#[derive(Debug)]
pub(super) enum Side {
    Pair(Box<Pair>),
    Cluster(Box<Nodes>),
}

/// A cluster. Its servers tell workers, and each other as replicas, to come by way of proxies.
#[derive(Debug)]
pub(super) struct Nodes {
    pub(super) cluster: Cluster,
    /// The way to each server.
    pub(super) links: Vec<Proxy>,
}

/// A primary and its replica.
#[derive(Debug)]
pub(super) struct Pair {
    servers: [Redis; 2],
    /// Which of the two is the primary.
    pub(super) primary: usize,
    /// The file by which the clock of each is set.
    clocks: Option<[PathBuf; 2]>,
}

impl Side {
    /// Starts the servers.
    pub(super) fn start(
        shape: Shape,
        module: &Path,
        folder: &Path,
        missing: &mut Vec<(&'static str, String)>,
    ) -> Result<Self, Error> {
        let rejson = tools::rejson()?.to_string_lossy().into_owned();
        // A replica that is to wait by a clock that is set back in between would wait for as long.
        let at_once = ["--repl-diskless-sync-delay", "0"];
        let arguments = ["--appendonly", "yes", "--appendfsync", "always", "--loadmodule", &rejson];
        let arguments = [at_once.as_slice(), &arguments].concat();
        Ok(match shape {
            Shape::Pair => Self::Pair(Box::new(Pair::start(module, &arguments, folder, missing)?)),
            Shape::Cluster => {
                let arguments = [&["--cluster-node-timeout", NODE_TIMEOUT_MS], arguments.as_slice()].concat();
                let cluster = Cluster::try_start(module, PRIMARIES, REPLICAS, &arguments)?;
                let mut nodes = Nodes { cluster, links: Vec::new() };
                for at in 0..nodes.cluster.nodes().len() {
                    nodes.announce(at)?;
                }
                Self::Cluster(Box::new(nodes))
            }
        })
    }

    /// The two servers, where they are two.
    pub(super) fn pair(&mut self) -> Option<&mut Pair> {
        match self {
            Self::Pair(pair) => Some(pair),
            Self::Cluster(_) => None,
        }
    }

    /// The cluster, where it is one.
    pub(super) fn nodes(&mut self) -> Option<&mut Nodes> {
        match self {
            Self::Pair(_) => None,
            Self::Cluster(nodes) => Some(nodes),
        }
    }

    /// The same to look at.
    pub(super) fn links(&self) -> &[Proxy] {
        match self {
            Self::Pair(_) => &[],
            Self::Cluster(nodes) => &nodes.links,
        }
    }

    /// The ports of the primary, or of all servers of a cluster.
    pub(super) fn ports(&self) -> Vec<u16> {
        match self {
            Self::Pair(pair) => vec![pair.port()],
            Self::Cluster(nodes) => nodes.cluster.nodes().iter().map(Redis::port).collect(),
        }
    }

    /// Where the application finds the servers.
    pub(super) fn places(&self) -> Places {
        match self {
            Self::Pair(pair) => Places::from([(pair.port(), pair.port())]),
            Self::Cluster(nodes) => nodes.links.iter().map(Proxy::port).zip(self.ports()).collect(),
        }
    }

    /// Everything that is there.
    pub(super) fn space(&self) -> Result<Space, Error> {
        Space::open(self.ports())
    }

    /// What the servers logged.
    pub(super) fn logs(&self) -> Vec<String> {
        match self {
            Self::Pair(pair) => pair.servers.iter().map(Redis::log).collect(),
            Self::Cluster(nodes) => nodes.cluster.nodes().iter().map(Redis::log).collect(),
        }
    }
}

impl Nodes {
    /// Has a server call itself by the port of its proxy, which begins with it; again after each start.
    pub(super) fn announce(&mut self, at: usize) -> Result<(), Error> {
        let port = self.cluster.nodes().get(at).map_or(0, Redis::port);
        if self.links.len() == at {
            self.links.push(Proxy::start(port)?);
        }
        let announced = self.port(at).to_string();
        self.cluster.run(at, &["CONFIG", "SET", "cluster-announce-port", &announced]).map(drop)
    }

    /// The port by which a server calls itself.
    pub(super) fn port(&self, at: usize) -> u16 {
        self.links.get(at).map_or(0, Proxy::port)
    }
}

impl Pair {
    /// Starts both, each with a clock of its own where that can be had.
    fn start(
        module: &Path,
        arguments: &[&str],
        folder: &Path,
        missing: &mut Vec<(&'static str, String)>,
    ) -> Result<Self, Error> {
        let library = match tools::faketime() {
            Ok(library) => Some(library),
            Err(error) => {
                missing.push(("clock", format!("no clock jumps: {error}")));
                None
            }
        };
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
            Redis::try_start_in(&environment, Some(module), arguments)
        };
        let clocks = ["clock0", "clock1"].map(|name| folder.join(name));
        let [first, second] = &clocks;
        let servers = [start(first)?, start(second)?];
        let pair = Self { servers, primary: 0, clocks: library.is_some().then_some(clocks) };
        pair.replicate()?;
        pair.wait_for_replica()?;
        Ok(pair)
    }

    /// The port of the primary.
    pub(super) fn port(&self) -> u16 {
        let [first, second] = &self.servers;
        if self.primary == 0 { first.port() } else { second.port() }
    }

    pub(super) fn primary_mut(&mut self) -> &mut Redis {
        let [first, second] = &mut self.servers;
        if self.primary == 0 { first } else { second }
    }

    pub(super) fn replica_mut(&mut self) -> &mut Redis {
        let [first, second] = &mut self.servers;
        if self.primary == 0 { second } else { first }
    }

    fn replica_port(&self) -> u16 {
        let [first, second] = &self.servers;
        if self.primary == 0 { second.port() } else { first.port() }
    }

    /// Makes one the replica of the other, and does not wait.
    pub(super) fn replicate(&self) -> Result<(), Error> {
        let mut client = connect(self.replica_port()).map_err(failed)?;
        redis::cmd("REPLICAOF").arg("127.0.0.1").arg(self.port()).exec(&mut client).map_err(failed)
    }

    /// Makes the replica a primary; the other one is to be gone.
    pub(super) fn promote(&mut self) -> Result<(), Error> {
        let mut client = connect(self.replica_port()).map_err(failed)?;
        redis::cmd("REPLICAOF").arg("NO").arg("ONE").exec(&mut client).map_err(failed)?;
        self.primary = 1 - self.primary;
        Ok(())
    }

    fn wait_for_replica(&self) -> Result<(), Error> {
        let mut client = connect(self.replica_port()).map_err(failed)?;
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

    /// Sets the clock of one server off by some seconds, where that can be had.
    pub(super) fn set_clock(&self, which: usize, seconds: i64) -> Result<(), Error> {
        let Some(clock) = self.clocks.as_ref().and_then(|clocks| clocks.get(which)) else { return Ok(()) };
        set_clock(clock, seconds)
    }
}

fn failed(error: redis::RedisError) -> Error {
    Error::during("make a replica")(error)
}

fn set_clock(clock: &Path, seconds: i64) -> Result<(), Error> {
    // By way of a second file, so that it is never read half.
    let half = clock.with_extension("half");
    fs::write(&half, format!("{seconds:+}s\n"))
        .and_then(|()| fs::rename(&half, clock))
        .map_err(Error::during("set a clock"))
}
