//! The faults: what is done to whom, and how it is undone. It must not know what comes of it.

use std::thread;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;

use super::driver::{Line, connect};
use super::proxy::{Mode, Proxy};
use super::stage::Stage;
use super::workload::{self, TTL_MS_MAX};
use crate::Error;

/// Longer than a worker keeps a lease that it does not renew, in milliseconds.
const PAST_LEASE_MS: std::ops::Range<u64> = 11_000..14_000;
/// How long a replica may take to have what it is asked for, in milliseconds.
const WAIT_MS_MAX: u64 = 30_000;
/// How long to wait between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

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
}

/// Every kind: how the command line calls it, and what it is.
pub const KINDS: [(Kind, &str, &str); 30] = [
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
];

impl Kind {
    /// How the command line calls it.
    pub fn name(self) -> &'static str {
        KINDS.iter().find(|(kind, ..)| *kind == self).map_or("", |(_, name, _)| name)
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
    pub(super) fn places(self, random: &mut StdRng, stage: &Stage) -> Vec<Place> {
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
            Self::PostgresKill | Self::PostgresBackendKill | Self::PostgresPause => vec![Place::Postgres],
            Self::MariaKill | Self::MariaPause => vec![Place::Maria],
            Self::PostgresCut | Self::PostgresDelay | Self::PostgresSilent | Self::PostgresCutInMessage => {
                vec![Place::PostgresLink]
            }
            Self::MariaCut | Self::MariaDelay | Self::MariaSilent | Self::MariaCutInMessage => vec![Place::MariaLink],
            Self::DiskFull => vec![Place::Disk],
            Self::ClockForward | Self::ClockBack => vec![Place::Clock(stage.primary)],
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
                stage.set_clock(stage.primary, if self == Self::ClockBack { -seconds } else { seconds })?;
                ms = random.random_range(2_000..6_000);
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
            Self::RedisDelay | Self::PostgresDelay | Self::MariaDelay => {
                link.set(Mode::Delay(Duration::from_millis(random.random_range(10..200))));
            }
            Self::RedisSilent | Self::PostgresSilent | Self::MariaSilent => link.set(Mode::Silent),
            Self::WorkerCutOffPastLease => {
                link.set(Mode::Silent);
                return random.random_range(PAST_LEASE_MS);
            }
            Self::RedisCutInMessage | Self::PostgresCutInMessage | Self::MariaCutInMessage => {
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
                let primary = stage.primary;
                stage.server_mut(primary).try_restart()?;
            }
            Self::ReplicaKill => {
                let (primary, replica) = (stage.primary, 1 - stage.primary);
                stage.server_mut(replica).try_restart()?;
                replicate(stage, replica, primary)?;
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
            Self::ClockForward | Self::ClockBack => {
                if let Place::Clock(at) = place {
                    stage.set_clock(at, 0)?;
                }
            }
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
    let primary = stage.primary;
    match place {
        Place::Worker(at) => stage.workers.iter_mut().skip(at).take(1).for_each(|worker| worker.process.pause()),
        Place::Primary => stage.server_mut(primary).pause(),
        Place::Replica => stage.server_mut(1 - primary).pause(),
        Place::Postgres => stage.postgres.pause(),
        Place::Maria => stage.maria.pause(),
        _ => {}
    }
}

fn resume(place: Place, stage: &Stage) {
    match place {
        Place::Worker(at) => stage.workers.iter().skip(at).take(1).for_each(|worker| worker.process.resume()),
        Place::Primary => stage.server(stage.primary).resume(),
        Place::Replica => stage.server(1 - stage.primary).resume(),
        Place::Postgres => stage.postgres.resume(),
        Place::Maria => stage.maria.resume(),
        _ => {}
    }
}

fn kill(place: Place, stage: &mut Stage) {
    let primary = stage.primary;
    match place {
        Place::Primary => stage.server_mut(primary).kill(),
        Place::Replica => stage.server_mut(1 - primary).kill(),
        Place::Postgres => stage.postgres.kill(),
        Place::Maria => stage.maria.kill(),
        _ => {}
    }
}

fn link(place: Place, stage: &Stage) -> Option<&Proxy> {
    match place {
        Place::RedisLink(at) => stage.workers.get(at).map(|worker| &worker.link),
        Place::PostgresLink => Some(&stage.pg_link),
        Place::MariaLink => Some(&stage.maria_link),
        _ => None,
    }
}

/// Promotes the replica in place of the primary, which dies. What asynchronous replication would lose is not what is
/// tested here: the application stands still, the workers are cut off, and the replica has all that the primary has.
fn fail_over(stage: &mut Stage, line: &Line) -> Result<(), Error> {
    let failed = |error: redis::RedisError| Error::during("fail over")(error);
    let mut port = line.hold();
    stage.workers.iter().for_each(|worker| {
        worker.link.set(Mode::Refuse);
        worker.link.cut();
    });
    let (old, new) = (stage.primary, 1 - stage.primary);
    let mut client = connect(stage.server(old).port()).map_err(failed)?;
    settle_expiry(&mut client).map_err(failed)?;
    redis::cmd("INCR").arg("chaos:failovers").exec(&mut client).map_err(failed)?;
    let replicas: u32 = redis::cmd("WAIT").arg(1).arg(WAIT_MS_MAX).query(&mut client).map_err(failed)?;
    if replicas == 0 {
        return Err(Error::new("the replica did not come to have what its primary has"));
    }
    stage.server_mut(old).kill();
    let mut client = connect(stage.server(new).port()).map_err(failed)?;
    redis::cmd("REPLICAOF").arg("NO").arg("ONE").exec(&mut client).map_err(failed)?;
    stage.primary = new;
    *port = stage.redis_port();
    stage.workers.iter().for_each(|worker| {
        worker.link.lead_to(*port);
        worker.link.heal();
    });
    drop(port);
    stage.server_mut(old).try_restart()?;
    replicate(stage, old, new)
}

/// Makes one server the replica of the other, and does not wait.
fn replicate(stage: &Stage, replica: usize, primary: usize) -> Result<(), Error> {
    let mut client = connect(stage.server(replica).port()).map_err(Error::during("make a replica"))?;
    let port = stage.server(primary).port();
    redis::cmd("REPLICAOF").arg("127.0.0.1").arg(port).exec(&mut client).map_err(Error::during("make a replica"))
}

/// Waits until nothing lives on borrowed time: all that expires has. Asking for a key makes Redis look.
pub(super) fn settle_expiry(client: &mut redis::Connection) -> redis::RedisResult<()> {
    thread::sleep(Duration::from_millis(2 * TTL_MS_MAX));
    loop {
        let mut pipe = redis::pipe();
        for (kind, count) in
            [("item", workload::ITEMS), ("doc", workload::DOCS), ("tags", workload::TAGS), ("game", workload::GAMES)]
        {
            (0..count).for_each(|id| {
                pipe.cmd("EXISTS").arg(format!("{kind}:{id}")).ignore();
            });
        }
        pipe.exec(client)?;
        // `db0:keys=812,expires=3,avg_ttl=120,subexpiry=0`: hashes with fields that expire.
        let info: String = redis::cmd("INFO").arg("keyspace").query(client)?;
        let is_left = info.lines().any(|line| line.contains("subexpiry=") && !line.ends_with("subexpiry=0"));
        if !is_left {
            return Ok(());
        }
        thread::sleep(LOOK_AGAIN);
    }
}
