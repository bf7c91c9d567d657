//! What is done to a Redis Cluster: failovers, servers that join, slots that move. It must not know what comes of it.

use std::thread;
use std::time::{Duration, Instant};

use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use redis::Value;

use super::driver::Line;
use super::faults::Kind;
use super::side::Nodes;
use super::space::Space;
use super::stage::{Stage, mirror, wait_until_joined};
use super::workload::{SLOTS, key};
use crate::Error;
use crate::servers::{Cluster, Redis};

/// How long a replica may take to have what it is asked for, in milliseconds.
const WAIT_MS_MAX: &str = "30000";
/// How long a cluster may take to have another primary.
const FAIL_OVER_SECONDS_MAX: Duration = Duration::from_secs(60);
/// How long to wait for a replica that is up to date.
const CATCH_UP_SECONDS_MAX: Duration = Duration::from_secs(5);
/// How long to wait between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// How many slots move in one go.
const MOVES: usize = 6;
/// What Redis says where a server is to give or take a slot that has become a replica.
const NO_PRIMARY: &str = "only with masters";
/// How many servers join a cluster, at most.
const NODES_MAX: usize = 8;

/// Does it. All are over when this comes back.
pub(super) fn inflict(kind: Kind, stage: &mut Stage, line: &Line, random: &mut StdRng) -> Result<(), Error> {
    let tag = random.random_range(0..SLOTS);
    match kind {
        Kind::ClusterFailover => stage.side.nodes().map_or(Ok(()), |nodes| fail_over(nodes, tag)),
        Kind::ClusterPrimaryKill => kill_primary(stage, line, tag),
        Kind::ClusterPause => stage.side.nodes().map_or(Ok(()), |Nodes { cluster, .. }| {
            let owner = owner(cluster, tag)?;
            cluster.node_mut(owner).pause();
            thread::sleep(Duration::from_millis(random.random_range(200..1_500)));
            cluster.node_mut(owner).resume();
            cluster.try_settle()
        }),
        Kind::ClusterReshard => stage.side.nodes().map_or(Ok(()), |nodes| reshard(&nodes.cluster, line, None, random)),
        _ => join(stage, line, random),
    }
}

/// The place of the server that has the keys of a tag.
fn owner(cluster: &Cluster, tag: u32) -> Result<usize, Error> {
    let start = Instant::now();
    loop {
        let has = |at: &usize| cluster.run(*at, &["EXISTS", &key("item", tag)]).is_ok();
        if let Some(at) = (0..cluster.nodes().len()).find(has) {
            return Ok(at);
        }
        if start.elapsed() > FAIL_OVER_SECONDS_MAX {
            return Err(Error::new(format!("no server has the keys of tag {tag}")));
        }
        thread::sleep(LOOK_AGAIN);
    }
}

/// The places of all servers that take writes.
fn primaries(cluster: &Cluster) -> Vec<usize> {
    (0..cluster.nodes().len()).filter(|at| role(cluster, *at).is_some_and(|(role, _)| role == "master")).collect()
}

/// What a server is, and the port of its primary if it is a replica that is up to date.
fn role(cluster: &Cluster, at: usize) -> Option<(String, Option<u16>)> {
    let Value::Array(said) = cluster.run(at, &["ROLE"]).ok()? else { return None };
    let word = |at: usize| said.get(at).cloned().and_then(|word| redis::from_redis_value::<String>(word).ok());
    let port = said.get(2).cloned().and_then(|port| redis::from_redis_value(port).ok());
    Some((word(0)?, port.filter(|_| word(3).is_some_and(|state| state == "connected"))))
}

/// A replica takes over while its primary lives: nothing is lost.
fn fail_over(nodes: &Nodes, tag: u32) -> Result<(), Error> {
    let cluster = &nodes.cluster;
    let owner = owner(cluster, tag)?;
    let port = Some(nodes.port(owner));
    let is_its = |at: &usize| role(cluster, *at).is_some_and(|(role, of)| role == "slave" && of == port);
    let start = Instant::now();
    let replica = loop {
        match (0..cluster.nodes().len()).find(is_its) {
            Some(replica) => break replica,
            // Its connection may have been cut a moment ago. Servers that joined have none.
            None if start.elapsed() > CATCH_UP_SECONDS_MAX => return Ok(()),
            None => thread::sleep(LOOK_AGAIN),
        }
    };
    cluster.run(replica, &["CLUSTER", "FAILOVER"])?;
    let start = Instant::now();
    while start.elapsed() < FAIL_OVER_SECONDS_MAX && role(cluster, replica).is_none_or(|(role, _)| role != "master") {
        thread::sleep(LOOK_AGAIN);
    }
    cluster.try_settle()
}

/// A primary dies, and its replica is elected. The application stands still meanwhile, the workers too, and the replica
/// has all that the primary has: what asynchronous replication would lose is not what is tested here.
fn kill_primary(stage: &mut Stage, line: &Line, tag: u32) -> Result<(), Error> {
    let places = line.hold();
    stage.workers.iter_mut().for_each(|worker| worker.process.pause());
    let killed = stage.side.space().and_then(|mut space| {
        space.settle_expiry()?;
        let client = space.of(tag)?;
        let failed = |error: redis::RedisError| Error::during("wait for a replica")(error);
        redis::cmd("INCR").arg(format!("chaos:{{{tag}}}:mark")).exec(client).map_err(failed)?;
        redis::cmd("WAIT").arg(1).arg(WAIT_MS_MAX).query::<u32>(client).map_err(failed)
    });
    let killed = killed.and_then(|replicas| match (replicas, stage.side.nodes()) {
        // Servers that joined have no replica.
        (0, _) | (_, None) => Ok(None),
        (_, Some(Nodes { cluster, .. })) => {
            let owner = owner(cluster, tag)?;
            cluster.node_mut(owner).kill();
            Ok(Some(owner))
        }
    });
    stage.workers.iter_mut().for_each(|worker| worker.process.resume());
    let (Some(killed), Some(nodes)) = (killed?, stage.side.nodes()) else { return Ok(()) };
    owner(&nodes.cluster, tag)?;
    drop(places);
    nodes.cluster.node_mut(killed).try_restart()?;
    nodes.announce(killed)?;
    nodes.cluster.try_settle()
}

/// Moves some slots that have keys or streams to other servers, or all to one.
fn reshard(cluster: &Cluster, line: &Line, to: Option<usize>, random: &mut StdRng) -> Result<(), Error> {
    let mut slots = slots_in_use(cluster)?;
    slots.shuffle(random);
    for slot in slots.into_iter().take(MOVES) {
        // One that lost its last slot has become a replica.
        let primaries = primaries(cluster);
        let from = cluster.try_owner(slot, primaries.first().copied().unwrap_or_default())?;
        let Some(to) = to.or_else(|| primaries.choose(random).copied()) else { break };
        if from == to {
            continue;
        }
        // What changes in a server's last slot while that leaves may be lost, as docs/cluster.md says.
        let held = if slots_of(cluster, from)? == 1 { Some(line.hold()) } else { None };
        if held.is_some() {
            Space::open(cluster.nodes().iter().map(Redis::port))?.settle_expiry()?;
        }
        match cluster.open_slot(slot, from, to) {
            // A busy machine let another be elected since.
            Err(error) if error.to_string().contains(NO_PRIMARY) => {
                cluster.run(to, &["CLUSTER", "SETSLOT", &slot.to_string(), "STABLE"]).ok();
                continue;
            }
            opened => opened?,
        }
        thread::sleep(Duration::from_millis(random.random_range(0..100)));
        while cluster.move_keys(slot, from, to)? > 0 {
            thread::sleep(Duration::from_millis(random.random_range(0..50)));
        }
        close(cluster, &primaries, slot, to)?;
    }
    cluster.try_settle()
}

/// How many slots a server says that it has.
fn slots_of(cluster: &Cluster, at: usize) -> Result<usize, Error> {
    let nodes: String = redis::from_redis_value(cluster.run(at, &["CLUSTER", "NODES"])?).unwrap_or_default();
    let own = nodes.lines().find(|line| line.contains("myself")).unwrap_or_default();
    let count = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        // Slots on their way are told as `[77->-id]`.
        Some(last.parse::<usize>().ok()?.saturating_sub(first.parse().ok()?) + 1)
    };
    Ok(own.split(' ').skip(8).filter_map(count).sum())
}

/// Ends a move and tells all primaries, so that the next move begins with what they agree on.
fn close(cluster: &Cluster, primaries: &[usize], slot: u16, to: usize) -> Result<(), Error> {
    let id = cluster.try_id(to)?;
    for at in [to].iter().chain(primaries.iter().filter(|at| **at != to)) {
        // A server may have heard of it already.
        cluster.run(*at, &["CLUSTER", "SETSLOT", &slot.to_string(), "NODE", &id]).ok();
    }
    Ok(())
}

/// The slots of all keys of the workload, and those of the change streams several times: they are to move often.
fn slots_in_use(cluster: &Cluster) -> Result<Vec<u16>, Error> {
    let mut keys: Vec<String> = (0..SLOTS).map(|tag| key("item", tag)).collect();
    // One that was killed may still be reading its keys.
    let mut answering = primaries(cluster);
    answering.retain(|at| cluster.run(*at, &["PING"]).is_ok());
    let asked = answering.first().copied().unwrap_or(0);
    for at in answering {
        let streams = cluster.run(at, &["KEYS", "wb:{*}:*"])?;
        let streams: Vec<String> = redis::from_redis_value(streams).unwrap_or_default();
        keys.extend(streams.iter().flat_map(|stream| std::iter::repeat_n(stream.clone(), 3)));
    }
    let slot = |key: &String| {
        let slot = cluster.run(asked, &["CLUSTER", "KEYSLOT", key])?;
        redis::from_redis_value(slot).map_err(|error| Error::new(format!("no slot of `{key}`: {error}")))
    };
    keys.iter().map(slot).collect()
}

/// A server joins and takes over slots; the application hears of it.
fn join(stage: &mut Stage, line: &Line, random: &mut StdRng) -> Result<(), Error> {
    let Some(nodes) = stage.side.nodes() else { return Ok(()) };
    if nodes.links.len() >= NODES_MAX {
        return reshard(&nodes.cluster, line, None, random);
    }
    let at = nodes.cluster.try_add()?;
    nodes.announce(at)?;
    let (announced, cluster) = (nodes.port(at), &nodes.cluster);
    let port = cluster.nodes().get(at).map_or(0, Redis::port);
    let mut joined = super::driver::connect(port).map_err(Error::during("connect to a server that joined"))?;
    mirror(&mut joined)?;
    // What changes there before is not captured.
    wait_until_joined(&mut joined)?;
    line.hold().insert(announced, port);
    reshard(cluster, line, Some(at), random)
}
