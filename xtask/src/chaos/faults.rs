//! The faults: what is done to whom, and how it is undone. It must not know what comes of it.

use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;

use super::driver::{Line, connect};
use super::proxy::{Mode, Proxy};
use super::resharding;
use super::side::{Pair, Shape};
use super::stage::Stage;
use crate::Error;

/// Longer than a worker keeps a lease that it does not renew, in milliseconds.
const PAST_LEASE_MS: std::ops::Range<u64> = 11_000..14_000;
/// How long a replica may take to have what it is asked for, in milliseconds.
const WAIT_MS_MAX: u64 = 30_000;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is named by what it does, and described in the table below")]
pub enum Kind {
    WorkerKill,
    WorkerTerm,
    WorkerPause,
    WorkerPausePastLease,
    WorkerCutOffPastLease,
    RedisKill,
    RedisPause,
    ReplicaKill,
    ReplicaPause,
    Failover,
    PostgresKill,
    PostgresBackendKill,
    PostgresPause,
    MariaKill,
    MariaPause,
    RedisCut,
    RedisDelay,
    RedisSilent,
    RedisCutInMessage,
    PostgresCut,
    PostgresDelay,
    PostgresSilent,
    PostgresCutInMessage,
    MariaCut,
    MariaDelay,
    MariaSilent,
    MariaCutInMessage,
    DiskFull,
    ClockForward,
    ClockBack,
    ClusterFailover,
    ClusterPrimaryKill,
    ClusterPause,
    ClusterReshard,
    ClusterJoin,
    ClusterCut,
    ClusterDelay,
    ClusterSilent,
    ClusterCutInMessage,
}

/// What is hit; one fault at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Worker(usize),
    /// The way of one worker to Redis.
    RedisLink(usize),
    Primary,
    Replica,
    Postgres,
    PostgresLink,
    Maria,
    MariaLink,
    Disk,
    /// The clock of one Redis.
    Clock(usize),
    Cluster,
    /// The way of all others to one server of a cluster.
    ServerLink(usize),
}

/// Every kind: how the command line calls it, and what it is.
pub const KINDS: [(Kind, &str, &str); 39] = [
    (Kind::WorkerKill, "worker-kill", "SIGKILL of a worker; a new one up to 2 s later"),
    (Kind::WorkerTerm, "worker-term", "SIGTERM of a worker; a new one at once"),
    (Kind::WorkerPause, "worker-pause", "SIGSTOP of a worker for 1 to 6 s"),
    (Kind::WorkerPausePastLease, "worker-pause-past-lease", "SIGSTOP of a worker for 11 to 14 s, past its lease"),
    (
        Kind::WorkerCutOffPastLease,
        "worker-cut-off-past-lease",
        "Redis does not answer one worker for 11 to 14 s; the targets do",
    ),
    (Kind::RedisKill, "redis-kill", "SIGKILL of the Redis primary; it starts again up to 2 s later"),
    (Kind::RedisPause, "redis-pause", "SIGSTOP of the Redis primary for 1 to 6 s"),
    (Kind::ReplicaKill, "replica-kill", "SIGKILL of the replica; it starts again up to 2 s later"),
    (Kind::ReplicaPause, "replica-pause", "SIGSTOP of the replica for 1 to 6 s"),
    (
        Kind::Failover,
        "failover",
        "SIGKILL of the Redis primary, the replica is promoted; the old one becomes its replica",
    ),
    (Kind::PostgresKill, "postgres-kill", "PostgreSQL ends at once and recovers up to 2 s later"),
    (Kind::PostgresBackendKill, "postgres-backend-kill", "SIGKILL of one process of PostgreSQL; all of it recovers"),
    (Kind::PostgresPause, "postgres-pause", "SIGSTOP of PostgreSQL for 1 to 6 s"),
    (Kind::MariaKill, "mariadb-kill", "SIGKILL of MariaDB; it starts again up to 2 s later"),
    (Kind::MariaPause, "mariadb-pause", "SIGSTOP of MariaDB for 1 to 6 s"),
    (Kind::RedisCut, "redis-cut", "all connections of a worker to Redis are cut"),
    (Kind::RedisDelay, "redis-delay", "10 to 200 ms more for each message between a worker and Redis, 1 to 6 s long"),
    (Kind::RedisSilent, "redis-silent", "half-open connections between a worker and Redis for 1 to 6 s"),
    (
        Kind::RedisCutInMessage,
        "redis-cut-in-message",
        "connections of a worker to Redis break in the middle of messages, 1 to 6 s long",
    ),
    (Kind::PostgresCut, "postgres-cut", "all connections to PostgreSQL are cut"),
    (Kind::PostgresDelay, "postgres-delay", "10 to 200 ms more for each message to and from PostgreSQL, 1 to 6 s long"),
    (Kind::PostgresSilent, "postgres-silent", "half-open connections to PostgreSQL for 1 to 6 s"),
    (
        Kind::PostgresCutInMessage,
        "postgres-cut-in-message",
        "connections to PostgreSQL break in the middle of messages, 1 to 6 s long",
    ),
    (Kind::MariaCut, "mariadb-cut", "all connections to MariaDB are cut"),
    (Kind::MariaDelay, "mariadb-delay", "10 to 200 ms more for each message to and from MariaDB, 1 to 6 s long"),
    (Kind::MariaSilent, "mariadb-silent", "half-open connections to MariaDB for 1 to 6 s"),
    (
        Kind::MariaCutInMessage,
        "mariadb-cut-in-message",
        "connections to MariaDB break in the middle of messages, 1 to 6 s long",
    ),
    (Kind::DiskFull, "disk-full", "the disk of PostgreSQL's tables and SQLite's file is full for 1 to 6 s"),
    (
        Kind::ClockForward,
        "clock-forward",
        "the clock of the Redis primary jumps ahead by 20 to 400 s, and back 2 to 6 s later",
    ),
    (
        Kind::ClockBack,
        "clock-back",
        "the clock of the Redis primary jumps back by 20 to 400 s, and ahead 2 to 6 s later",
    ),
    (
        Kind::ClusterFailover,
        "cluster-failover",
        "a replica of a cluster takes over from its primary, as for maintenance",
    ),
    (
        Kind::ClusterPrimaryKill,
        "cluster-primary-kill",
        "SIGKILL of a primary of a cluster; its replica is elected, it starts again and becomes a replica",
    ),
    (
        Kind::ClusterPause,
        "cluster-pause",
        "SIGSTOP of a primary of a cluster for 0.2 to 1.5 s, too short for an election",
    ),
    (Kind::ClusterReshard, "cluster-reshard", "slots with keys and change streams move to another primary under load"),
    (Kind::ClusterJoin, "cluster-join", "a server joins the cluster and takes over slots"),
    (Kind::ClusterCut, "cluster-cut", "all connections of workers and of its replica to a server of a cluster are cut"),
    (Kind::ClusterDelay, "cluster-delay", "10 to 200 ms more for each message on these connections, 1 to 6 s long"),
    (Kind::ClusterSilent, "cluster-silent", "these connections are half-open for 1 to 6 s"),
    (
        Kind::ClusterCutInMessage,
        "cluster-cut-in-message",
        "these connections break in the middle of messages, 1 to 6 s long",
    ),
];

impl Kind {
    /// How the command line calls it.
    pub fn name(self) -> &'static str {
        KINDS.iter().find(|(kind, ..)| *kind == self).map_or("", |(_, name, _)| name)
    }

    /// Whether it can be done to such a Redis.
    pub(super) fn suits(self, shape: Shape) -> bool {
        match self {
            Self::ClusterFailover
            | Self::ClusterPrimaryKill
            | Self::ClusterPause
            | Self::ClusterReshard
            | Self::ClusterJoin
            | Self::ClusterCut
            | Self::ClusterDelay
            | Self::ClusterSilent
            | Self::ClusterCutInMessage => shape == Shape::Cluster,
            Self::WorkerCutOffPastLease
            | Self::RedisCut
            | Self::RedisDelay
            | Self::RedisSilent
            | Self::RedisCutInMessage
            | Self::RedisKill
            | Self::RedisPause
            | Self::ReplicaKill
            | Self::ReplicaPause
            | Self::Failover
            | Self::ClockForward
            | Self::ClockBack => shape == Shape::Pair,
            _ => true,
        }
    }

    /// Which of the machine's abilities it needs.
    pub(super) fn needs(self) -> Option<&'static str> {
        match self {
            Self::DiskFull => Some("disk"),
            Self::ClockForward | Self::ClockBack => Some("clock"),
            _ => None,
        }
    }

    /// All that must be left alone by others meanwhile; the first is what is hit.
    pub(super) fn places(self, random: &mut StdRng, stage: &mut Stage) -> Vec<Place> {
        // Most often the worker that works: what is done to the others is soon done with.
        let any = random.random_range(0..stage.workers.len());
        let any = if random.random_bool(0.6) { stage.holder().unwrap_or(any) } else { any };
        match self {
            Self::WorkerKill | Self::WorkerTerm | Self::WorkerPause | Self::WorkerPausePastLease => {
                vec![Place::Worker(any)]
            }
            Self::WorkerCutOffPastLease => vec![Place::RedisLink(any), Place::Worker(any)],
            Self::RedisCut | Self::RedisDelay | Self::RedisSilent | Self::RedisCutInMessage => {
                vec![Place::RedisLink(any)]
            }
            Self::RedisKill | Self::RedisPause => vec![Place::Primary],
            Self::ReplicaKill | Self::ReplicaPause => vec![Place::Replica],
            Self::Failover => {
                let links = (0..stage.workers.len()).map(Place::RedisLink);
                [Place::Primary, Place::Replica, Place::Clock(0), Place::Clock(1)].into_iter().chain(links).collect()
            }
            // It cannot recover where its disk is full.
            Self::PostgresKill | Self::PostgresBackendKill => vec![Place::Postgres, Place::Disk],
            Self::PostgresPause => vec![Place::Postgres],
            Self::MariaKill | Self::MariaPause => vec![Place::Maria],
            Self::PostgresCut | Self::PostgresDelay | Self::PostgresSilent | Self::PostgresCutInMessage => {
                vec![Place::PostgresLink]
            }
            Self::MariaCut | Self::MariaDelay | Self::MariaSilent | Self::MariaCutInMessage => vec![Place::MariaLink],
            Self::DiskFull => vec![Place::Disk],
            Self::ClockForward | Self::ClockBack => {
                vec![Place::Clock(stage.side.pair().map_or(0, |pair| pair.primary))]
            }
            Self::ClusterPause | Self::ClusterReshard | Self::ClusterJoin => vec![Place::Cluster],
            // The replica is to have all that its primary has.
            Self::ClusterFailover | Self::ClusterPrimaryKill => {
                let workers = if self == Self::ClusterPrimaryKill { stage.workers.len() } else { 0 };
                let links = (0..stage.side.links().len()).map(Place::ServerLink);
                std::iter::once(Place::Cluster).chain(links).chain((0..workers).map(Place::Worker)).collect()
            }
            Self::ClusterCut | Self::ClusterDelay | Self::ClusterSilent | Self::ClusterCutInMessage => {
                vec![Place::ServerLink(random.random_range(0..stage.side.links().len().max(1)))]
            }
        }
    }

    /// Does it; how long it lasts.
    pub(super) fn inflict(
        self,
        place: Place,
        stage: &mut Stage,
        line: &Line,
        random: &mut StdRng,
    ) -> Result<Duration, Error> {
        let mut ms = random.random_range(1_000..6_000);
        match self {
            Self::WorkerKill | Self::WorkerTerm => {
                if let Place::Worker(at) = place
                    && let Some(worker) = stage.workers.get_mut(at)
                {
                    if self == Self::WorkerKill { worker.process.kill() } else { worker.process.stop() }
                }
                ms = if self == Self::WorkerKill { random.random_range(0..2_000) } else { 0 };
            }
            Self::WorkerPause => pause(place, stage),
            Self::WorkerPausePastLease => {
                pause(place, stage);
                ms = random.random_range(PAST_LEASE_MS);
            }
            Self::RedisPause | Self::ReplicaPause | Self::PostgresPause | Self::MariaPause => pause(place, stage),
            Self::RedisKill | Self::ReplicaKill | Self::PostgresKill | Self::MariaKill => {
                kill(place, stage);
                ms = random.random_range(0..2_000);
            }
            Self::PostgresBackendKill => stage.postgres.kill_child(),
            Self::Failover => {
                fail_over(stage, line)?;
                ms = 0;
            }
            Self::DiskFull => stage.disk.as_ref().map_or(Ok(()), crate::servers::SmallDisk::fill)?,
            Self::ClockForward | Self::ClockBack => {
                let seconds = random.random_range(20..400);
                set_clock(place, stage, if self == Self::ClockBack { -seconds } else { seconds })?;
                ms = random.random_range(2_000..6_000);
            }
            Self::ClusterFailover
            | Self::ClusterPrimaryKill
            | Self::ClusterPause
            | Self::ClusterReshard
            | Self::ClusterJoin => {
                resharding::inflict(self, stage, line, random)?;
                ms = 0;
            }
            _ => {
                let link = link(place, stage);
                ms = self.disturb(link, ms, random);
            }
        }
        Ok(Duration::from_millis(ms))
    }

    /// Does it to a connection; how long it lasts, in milliseconds.
    fn disturb(self, link: Option<&Proxy>, ms: u64, random: &mut StdRng) -> u64 {
        let Some(link) = link else { return 0 };
        match self {
            Self::RedisDelay | Self::PostgresDelay | Self::MariaDelay | Self::ClusterDelay => {
                link.set(Mode::Delay(Duration::from_millis(random.random_range(10..200))));
            }
            Self::RedisSilent | Self::PostgresSilent | Self::MariaSilent | Self::ClusterSilent => {
                link.set(Mode::Silent);
            }
            Self::WorkerCutOffPastLease => {
                link.set(Mode::Silent);
                return random.random_range(PAST_LEASE_MS);
            }
            Self::RedisCutInMessage
            | Self::PostgresCutInMessage
            | Self::MariaCutInMessage
            | Self::ClusterCutInMessage => {
                link.set(Mode::CutAfter(random.random_range(1..20_000)));
            }
            _ => {
                link.cut();
                return 0;
            }
        }
        ms
    }

    /// Undoes it.
    pub(super) fn heal(self, place: Place, stage: &mut Stage) -> Result<(), Error> {
        match self {
            Self::WorkerKill | Self::WorkerTerm => {
                if let Place::Worker(at) = place {
                    stage.restart(at)?;
                }
            }
            Self::RedisKill => {
                if let Some(pair) = stage.side.pair() {
                    pair.primary_mut().try_restart()?;
                }
            }
            Self::ReplicaKill => {
                if let Some(pair) = stage.side.pair() {
                    pair.replica_mut().try_restart()?;
                    pair.replicate()?;
                }
            }
            Self::PostgresKill => stage.postgres.try_restart()?,
            Self::MariaKill => stage.maria.try_restart()?,
            Self::WorkerPause | Self::WorkerPausePastLease => resume(place, stage),
            Self::RedisPause | Self::ReplicaPause | Self::PostgresPause | Self::MariaPause => resume(place, stage),
            Self::DiskFull => {
                if let Some(disk) = &stage.disk {
                    disk.free();
                }
            }
            Self::ClockForward | Self::ClockBack => set_clock(place, stage, 0)?,
            Self::PostgresBackendKill | Self::Failover => {}
            _ => {
                if let Some(link) = link(place, stage) {
                    link.heal();
                }
            }
        }
        Ok(())
    }
}

fn pause(place: Place, stage: &mut Stage) {
    match place {
        Place::Worker(at) => stage.workers.iter_mut().skip(at).take(1).for_each(|worker| worker.process.pause()),
        Place::Primary => stage.side.pair().into_iter().for_each(|pair| pair.primary_mut().pause()),
        Place::Replica => stage.side.pair().into_iter().for_each(|pair| pair.replica_mut().pause()),
        Place::Postgres => stage.postgres.pause(),
        Place::Maria => stage.maria.pause(),
        _ => {}
    }
}

fn resume(place: Place, stage: &mut Stage) {
    match place {
        Place::Worker(at) => stage.workers.iter_mut().skip(at).take(1).for_each(|worker| worker.process.resume()),
        Place::Primary => stage.side.pair().into_iter().for_each(|pair| pair.primary_mut().resume()),
        Place::Replica => stage.side.pair().into_iter().for_each(|pair| pair.replica_mut().resume()),
        Place::Postgres => stage.postgres.resume(),
        Place::Maria => stage.maria.resume(),
        _ => {}
    }
}

fn kill(place: Place, stage: &mut Stage) {
    match place {
        Place::Primary => stage.side.pair().into_iter().for_each(|pair| pair.primary_mut().kill()),
        Place::Replica => stage.side.pair().into_iter().for_each(|pair| pair.replica_mut().kill()),
        Place::Postgres => stage.postgres.kill(),
        Place::Maria => stage.maria.kill(),
        _ => {}
    }
}

fn set_clock(place: Place, stage: &mut Stage, seconds: i64) -> Result<(), Error> {
    match (place, stage.side.pair()) {
        (Place::Clock(which), Some(pair)) => pair.set_clock(which, seconds),
        _ => Ok(()),
    }
}

fn link(place: Place, stage: &Stage) -> Option<&Proxy> {
    match place {
        Place::RedisLink(at) => stage.workers.get(at).and_then(|worker| worker.link.as_ref()),
        Place::PostgresLink => Some(&stage.pg_link),
        Place::MariaLink => Some(&stage.maria_link),
        Place::ServerLink(at) => stage.side.links().get(at),
        _ => None,
    }
}

/// Promotes the replica in place of the primary, which dies. What asynchronous replication would lose is not what is
/// tested here: the application stands still, the workers are cut off, and the replica has all that the primary has.
fn fail_over(stage: &mut Stage, line: &Line) -> Result<(), Error> {
    let failed = |error: redis::RedisError| Error::during("fail over")(error);
    let mut places = line.hold();
    for link in stage.workers.iter().filter_map(|worker| worker.link.as_ref()) {
        link.set(Mode::Refuse);
        link.cut();
    }
    stage.side.space()?.settle_expiry()?;
    let Some(pair) = stage.side.pair() else { return Ok(()) };
    let mut client = connect(pair.port()).map_err(failed)?;
    redis::cmd("INCR").arg("chaos:failovers").exec(&mut client).map_err(failed)?;
    let replicas: u32 = redis::cmd("WAIT").arg(1).arg(WAIT_MS_MAX).query(&mut client).map_err(failed)?;
    if replicas == 0 {
        return Err(Error::new("the replica did not come to have what its primary has"));
    }
    pair.primary_mut().kill();
    pair.promote()?;
    let port = pair.port();
    *places = [(port, port)].into();
    for link in stage.workers.iter().filter_map(|worker| worker.link.as_ref()) {
        link.lead_to(port);
        link.heal();
    }
    drop(places);
    stage.side.pair().map_or(Ok(()), restore)
}

/// Starts the one that was the primary again, as the replica of the other.
fn restore(pair: &mut Pair) -> Result<(), Error> {
    pair.replica_mut().try_restart()?;
    pair.replicate()
}
