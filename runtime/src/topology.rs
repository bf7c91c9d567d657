//! Which servers take writes, and which units of work there are at the moment. Knows no target, and no worker.
//!
//! A *unit* is one hash tag: the streams `wb:{tag}:<job>` of all jobs, their dead-letter queues, and the lease, all in
//! one slot. Whoever works a unit does so for all connections. A standalone Redis has one.

mod sentinel;

use std::collections::BTreeMap;
use std::fmt;

use crate::error::Failure;
use crate::shard::Shard;
use crate::{Error, Server};
use sentinel::Sentinels;

/// The unit of a Redis that is no cluster.
const ONLY: &str = "0";

/// The hash tag of a unit's keys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Tag(String);

impl Tag {
    pub(crate) fn new(tag: impl Into<String>) -> Self {
        Self(tag.into())
    }

    /// The stream of a job: `wb:{0}:emp`.
    pub(crate) fn stream(&self, job: &str) -> String {
        format!("wb:{{{}}}:{job}", self.0)
    }

    /// A key of the unit as a whole, in the same slot as its streams: `wb:{0}/lease`.
    pub(crate) fn key(&self, what: &str) -> String {
        format!("wb:{{{}}}/{what}", self.0)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// What there is at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Shards {
    /// Every server that takes writes: the jobs are tracked at each.
    pub(crate) primaries: Vec<Shard>,
    /// Every unit, and the server that owns its slot now. Several may be at one server.
    pub(crate) units: BTreeMap<Tag, Shard>,
    /// The server where the workers register.
    pub(crate) registry: Shard,
}

/// How the servers are found.
#[derive(Debug, Clone)]
pub(crate) enum Topology {
    /// One server, at a fixed address.
    Standalone(Box<Shard>),
    /// One server at a time, whichever the sentinels say.
    Sentinel(Sentinels),
}

impl Topology {
    pub(crate) fn new(server: &Server) -> Result<Self, Error> {
        Ok(match Sentinels::new(server)? {
            Some(sentinels) => Self::Sentinel(sentinels),
            None => Self::Standalone(Box::new(Shard::new(server)?)),
        })
    }

    /// Looks what there is now. Asked about every second, and at once after a connection failed; what it finds may
    /// differ each time. Units appear once their jobs are tracked, so it is asked again after that.
    ///
    /// # Errors
    /// Where it cannot be known for the moment: what was there before stays until then.
    pub(crate) async fn look(&self) -> Result<Shards, Failure> {
        match self {
            Self::Standalone(shard) => Ok(only(Shard::clone(shard))),
            Self::Sentinel(sentinels) => sentinels.primary().await.map(only),
        }
    }
}

/// All that there is where one server has all keys.
fn only(shard: Shard) -> Shards {
    let units = BTreeMap::from([(Tag::new(ONLY), shard.clone())]);
    Shards { primaries: vec![shard.clone()], units, registry: shard }
}
