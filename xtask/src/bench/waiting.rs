//! Changes that wait in Redis, put back before every run. It must not know which changes they are.

use std::path::Path;
use std::time::Instant;

use redis::{Connection, RedisResult};
use xtask::Error;
use xtask::servers::{Cluster, Folder, Redis};

use super::{asked, worker};

/// How many changes one script makes at most, since Redis keeps those of a script until its end. Of those of one key it
/// would tell the last only.
const CHANGES_AT_ONCE: u64 = 10_000;
/// What is beside the streams: leases, positions, what workers tell.
const BESIDE: &str = "wb:{*}/*";

/// Where they wait.
pub(super) enum Source {
    Redis(Redis),
    Cluster(Cluster),
}

/// How changes are made: a script that gets the first number, the last, and the number of keys.
pub(super) struct Changes<'s> {
    pub(super) script: &'s str,
    pub(super) changes: u64,
    pub(super) keys: u64,
}

/// Servers with the streams of a job full, each with a copy beside it.
pub(super) struct Waiting {
    source: Source,
    clients: Vec<Connection>,
    /// Each with the place of its server.
    streams: Vec<(usize, String)>,
}

impl Source {
    pub(super) fn nodes(&self) -> &[Redis] {
        match self {
            Self::Redis(redis) => std::slice::from_ref(redis),
            Self::Cluster(cluster) => cluster.nodes(),
        }
    }

    /// The addresses, as `--redis` takes them.
    pub(super) fn url(&self) -> String {
        self.nodes().iter().map(Redis::url).collect::<Vec<_>>().join(",")
    }
}

impl Waiting {
    /// Makes changes, which are captured since a worker was there before. In a cluster every server gets the script,
    /// which has to leave out the keys of the others.
    pub(super) fn fill(
        source: Source,
        program: &Path,
        (job, project): (&str, &Folder),
        changes: &Changes<'_>,
    ) -> Result<Self, Error> {
        worker::drain(program, project.path(), &source.url())?;
        let clients = source.nodes().iter().map(asked::connect).collect::<Result<_, _>>()?;
        let mut waiting = Self { source, clients, streams: Vec::new() };
        waiting.make(job, changes).map_err(Error::during("write the changes"))?;
        let count = waiting.left()?;
        if count == changes.changes {
            return Ok(waiting);
        }
        Err(Error::new(format!("{count} changes were captured, and not {}", changes.changes)))
    }

    fn make(&mut self, job: &str, changes: &Changes<'_>) -> RedisResult<()> {
        for (at, client) in self.clients.iter_mut().enumerate() {
            changes.make(client)?;
            let streams: Vec<String> = redis::cmd("KEYS").arg(format!("wb:{{*}}:{job}")).query(client)?;
            for stream in streams {
                redis::cmd("COPY").arg(&stream).arg(copy_of(&stream)).exec(client)?;
                self.streams.push((at, stream));
            }
        }
        Ok(())
    }

    pub(super) fn url(&self) -> String {
        self.source.url()
    }

    /// The seconds that a worker takes from its start until it has drained the changes. Its target has to be as new.
    pub(super) fn drain(&mut self, program: &Path, project: &Folder) -> Result<f64, Error> {
        self.each(|client, stream| redis::cmd("COPY").arg(copy_of(stream)).arg(stream).arg("REPLACE").exec(client))?;
        let start = Instant::now();
        worker::drain(program, project.path(), &self.url())?;
        let seconds = start.elapsed().as_secs_f64();
        match self.left()? {
            0 => Ok(seconds),
            left => Err(Error::new(format!("{left} changes were left in the stream"))),
        }
    }

    /// No change waits any more, and no worker was ever there.
    pub(super) fn empty(&mut self) -> Result<(), Error> {
        self.each(|client, stream| redis::cmd("XTRIM").arg(stream).arg("MAXLEN").arg(0).exec(client))
    }

    /// How many changes wait.
    pub(super) fn left(&mut self) -> Result<u64, Error> {
        let mut left = 0;
        for (at, stream) in &self.streams {
            let Some(client) = self.clients.get_mut(*at) else { continue };
            left += redis::cmd("XLEN").arg(stream).query::<u64>(client).map_err(Error::during("look at the stream"))?;
        }
        Ok(left)
    }

    /// Lets workers be forgotten, and does something to each stream.
    fn each(&mut self, mut act: impl FnMut(&mut Connection, &str) -> RedisResult<()>) -> Result<(), Error> {
        let mut all = || -> RedisResult<()> {
            for client in &mut self.clients {
                let beside: Vec<String> = redis::cmd("KEYS").arg(BESIDE).query(client)?;
                beside.iter().try_for_each(|key| redis::cmd("DEL").arg(key).exec(client))?;
            }
            for (at, stream) in &self.streams {
                if let Some(client) = self.clients.get_mut(*at) {
                    act(client, stream)?;
                }
            }
            Ok(())
        };
        all().map_err(Error::during("put the changes back"))
    }
}

impl Changes<'_> {
    /// Makes them at one server.
    pub(super) fn make(&self, client: &mut Connection) -> RedisResult<()> {
        let at_once = CHANGES_AT_ONCE.min(self.keys);
        for start in (0..self.changes).step_by(usize::try_from(at_once).unwrap_or(1)) {
            let last = (start + at_once).min(self.changes) - 1;
            redis::cmd("EVAL").arg(self.script).arg(0).arg(start).arg(last).arg(self.keys).exec(client)?;
        }
        Ok(())
    }
}

/// In the same slot.
fn copy_of(stream: &str) -> String {
    stream.replacen("wb:", "kept:", 1)
}
