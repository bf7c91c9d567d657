//! Which servers take writes, and which units of work there are at the moment. Knows no target, and no worker.
//!
//! A *unit* is one hash tag: the streams `wb:{tag}:<job>` of all jobs, their dead-letter queues, and the lease, all in
//! one slot. Whoever works a unit does so for all connections. A standalone Redis has one.

mod cluster;
mod sentinel;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use redis::TlsCertificates;
use tokio::sync::OnceCell;

use crate::error::Failure;
use crate::shard::Shard;
use crate::{Error, Server};
pub(crate) use cluster::Cluster;
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

    /// The tag of a stream.
    pub(crate) fn of(stream: &str) -> Option<Self> {
        stream.strip_prefix("wb:{")?.split_once("}:").map(|(tag, _)| Self::new(tag))
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
    /// Streams that moved to a server and are of no use any more once they are drained.
    pub(crate) left: Vec<Left>,
}

/// Streams of a tag that its server does not append to any more.
#[derive(Debug, Clone)]
pub(crate) struct Left {
    primary: Shard,
    tag: Tag,
    streams: Vec<String>,
}

/// How the servers are found.
#[derive(Debug, Clone)]
pub(crate) enum Topology {
    /// The server at an address, which itself tells whether it is one of a cluster.
    Direct(Arc<Direct>),
    /// One server, and nothing but this.
    Standalone(Box<Shard>),
    /// One server at a time, whichever the sentinels say.
    Sentinel(Sentinels),
}

/// The servers at fixed addresses: one, or some of a cluster.
pub(crate) struct Direct {
    servers: Vec<Shard>,
    certificates: Option<TlsCertificates>,
    /// Known as soon as one of them was asked.
    cluster: OnceCell<Option<Arc<Cluster>>>,
}

impl fmt::Debug for Direct {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.servers.fmt(out)
    }
}

impl Topology {
    pub(crate) fn new(server: &Server) -> Result<Self, Error> {
        if let Some(sentinels) = Sentinels::new(server)? {
            return Ok(Self::Sentinel(sentinels));
        }
        let (servers, certificates) = Shard::all(server)?;
        Ok(Self::Direct(Arc::new(Direct { servers, certificates, cluster: OnceCell::new() })))
    }

    /// Looks what there is now. Asked about every second, and at once after a connection failed; what it finds may
    /// differ each time. Units appear once their jobs are tracked, so it is asked again after that.
    ///
    /// # Errors
    /// Where it cannot be known for the moment: what was there before stays until then.
    pub(crate) async fn look(&self) -> Result<Shards, Failure> {
        match self {
            Self::Direct(direct) => match (direct.cluster().await?, direct.servers.first()) {
                (Some(cluster), _) => cluster.look().await,
                (None, Some(server)) => Ok(only(server.clone())),
                (None, None) => Err(Failure::Transient("no server is named".to_owned())),
            },
            Self::Standalone(shard) => Ok(only(Shard::clone(shard))),
            Self::Sentinel(sentinels) => sentinels.primary().await.map(only),
        }
    }

    /// Takes away streams that moved and are drained. Only who works them may: others look without a trace.
    pub(crate) async fn tidy(&self, shards: &mut Shards) {
        if let Ok(Some(cluster)) = self.cluster().await {
            cluster.tidy(shards).await;
        }
    }

    /// The cluster, if the servers are of one.
    pub(crate) async fn cluster(&self) -> Result<Option<&Arc<Cluster>>, Failure> {
        match self {
            Self::Direct(direct) => direct.cluster().await,
            Self::Standalone(_) | Self::Sentinel(_) => Ok(None),
        }
    }

    /// Every server that takes writes.
    pub(crate) async fn primaries(&self) -> Result<Vec<Shard>, Failure> {
        match self.cluster().await? {
            Some(cluster) => cluster.all_primaries().await,
            None => Ok(self.look().await?.primaries),
        }
    }
}

impl Direct {
    async fn cluster(&self) -> Result<Option<&Arc<Cluster>>, Failure> {
        let found = self.cluster.get_or_try_init(|| async {
            let is_clustered = self.ask().await?;
            let cluster = is_clustered.then(|| Cluster::new(self.servers.clone(), self.certificates.clone()));
            Ok::<_, Failure>(cluster.transpose()?.map(Arc::new))
        });
        Ok(found.await?.as_ref())
    }

    /// Asks the first server that answers whether it is of a cluster.
    async fn ask(&self) -> Result<bool, Failure> {
        let mut failed = None;
        for server in &self.servers {
            let asked = async { server.open().await?.is_clustered().await };
            match asked.await {
                Ok(false) if self.servers.len() > 1 => {
                    return Err(Failure::configuration(
                        format!("`--redis` names several servers, and {server} is of no cluster"),
                        "name one server, or servers of one cluster",
                    ));
                }
                Ok(is_clustered) => return Ok(is_clustered),
                Err(failure) => failed = Some(failure),
            }
        }
        Err(failed.unwrap_or_else(|| Failure::Transient("no server is named".to_owned())))
    }
}

/// All that there is where one server has all keys.
fn only(shard: Shard) -> Shards {
    let units = BTreeMap::from([(Tag::new(ONLY), shard.clone())]);
    Shards { primaries: vec![shard.clone()], units, registry: shard, left: Vec::new() }
}
