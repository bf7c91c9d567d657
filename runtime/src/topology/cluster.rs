//! A Redis Cluster: its primaries, the streams that each has, and who has a key. Slots, servers and streams come and
//! go; nothing here is believed for longer than one look. Knows no target, and no worker.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_async::ClusterConnection;
use redis::{Cmd, FromRedisValue, TlsCertificates, Value};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{Left, Shards, Tag};
use crate::error::Failure;
use crate::shard::{CONNECT_SECONDS_MAX, Connection, RESPONSE_SECONDS_MAX, Shard, beside};

/// How long one server may take to tell what it has.
const ANSWER_SECONDS_MAX: Duration = Duration::from_secs(5);
/// How often all servers are asked for their streams until two rounds agree.
const ROUNDS_MAX: usize = 8;
/// How long the client that finds keys waits before it tries again; by itself it would wait for minutes in the end.
const RETRY_MS_MIN: u64 = 10;
const RETRY_MS_MAX: u64 = 500;
/// How many servers are asked what they know of the others.
const TELLERS_MAX: usize = 32;
/// How long the others are waited for once one that knows them has answered, and how long once one has that does not.
const OTHERS_MS_MAX: Duration = Duration::from_millis(200);
const BETTER_MS_MAX: Duration = Duration::from_secs(1);
/// Takes away streams that are empty.
const DROP_EMPTY_SCRIPT: &str = include_str!("../drop_empty.lua");
/// A key in the slot of all that workers keep for each other.
const REGISTRY_KEY: &str = "wb:{redis-wb}/workers";

/// A cluster.
pub(crate) struct Cluster {
    /// The servers that `--redis` names.
    seeds: Vec<Shard>,
    client: ClusterClient,
    known: Mutex<Known>,
    /// All streams, and when they were begun to be listed.
    listed: Mutex<Option<(Instant, Homes)>>,
    settled: Settled,
}

/// Who has each stream.
pub(crate) type Homes = BTreeMap<String, Shard>;

/// Slots of whose keys nothing earlier waits in other streams: by stream, connection and slot, since when the stream has
/// their changes. It stays so, whatever becomes of pipelines.
#[derive(Default)]
pub(crate) struct Settled(std::sync::Mutex<HashMap<(String, String), HashMap<String, u64>>>);

/// The same, held for several questions.
pub(crate) struct HeldSettled<'s>(MutexGuard<'s, HashMap<(String, String), HashMap<String, u64>>>);

impl Settled {
    /// Holds it for questions and notes that belong together.
    pub(crate) fn hold(&self) -> HeldSettled<'_> {
        HeldSettled(self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl HeldSettled<'_> {
    /// Whether that is known of a slot.
    pub(crate) fn has(&self, of: &(String, String), slot: &str, since_us: u64) -> bool {
        self.0.get(of).and_then(|slots| slots.get(slot)) == Some(&since_us)
    }

    /// Takes note of it.
    pub(crate) fn note(&mut self, of: &(String, String), slot: &str, since_us: u64) {
        self.0.entry(of.clone()).or_default().insert(slot.to_owned(), since_us);
    }
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Cluster").field("seeds", &self.seeds).finish_non_exhaustive()
    }
}

/// What was found so far.
#[derive(Default)]
struct Known {
    /// Servers that were there last time: more seeds.
    servers: Vec<Shard>,
    connections: HashMap<String, Connection>,
    /// What a primary had when it answered last.
    streams: HashMap<String, Streams>,
    keys: Option<ClusterConnection>,
    registry_slot: Option<u16>,
}

/// The streams of one primary.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Streams {
    /// All of them.
    here: BTreeSet<String>,
    /// The tags that records are appended under.
    current: BTreeSet<Tag>,
}

/// Where a record goes that no shard captured.
pub(crate) struct Place {
    /// The server that has its key.
    pub(crate) owner: Shard,
    /// The stream there.
    pub(crate) stream: String,
    /// Where the record stands among those of its key in other streams: behind what was captured by shards that had the
    /// slot before, as all that this one captures.
    pub(crate) order: String,
}

/// A server that is counted as a primary.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Told {
    /// First and last slots of ranges.
    slots: Vec<(u16, u16)>,
    /// The cluster's epoch in which it claimed them.
    epoch: u64,
    /// Where it is, unless the others found that it failed: host and port.
    primary: Option<(String, u16)>,
}

/// How much a server knows of the cluster; more is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Knows {
    /// Whether it is with most of the others, and sees all slots served.
    is_ok: bool,
    /// The newest epoch that it has heard of.
    epoch: u64,
}

impl Knows {
    /// Reads what `CLUSTER INFO` says.
    fn read(info: &str) -> Self {
        let value = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let epoch = value("cluster_current_epoch").and_then(|epoch| epoch.trim().parse().ok());
        let is_ok = value("cluster_state").is_some_and(|state| state.trim() == "ok");
        Self { is_ok, epoch: epoch.unwrap_or(0) }
    }
}

impl Cluster {
    pub(crate) fn new(seeds: Vec<Shard>, certificates: Option<TlsCertificates>) -> Result<Self, Failure> {
        let mut builder: ClusterClientBuilder = ClusterClient::builder(seeds.iter().map(Shard::connection_info))
            .connection_timeout(CONNECT_SECONDS_MAX)
            .response_timeout(RESPONSE_SECONDS_MAX)
            .min_retry_wait(RETRY_MS_MIN)
            .max_retry_wait(RETRY_MS_MAX);
        if let Some(certificates) = certificates {
            builder = builder.certs(certificates);
        }
        let client = builder.build().map_err(|error| {
            Failure::configuration(
                format!("the addresses of `--redis` are not those of one cluster: {error}"),
                "write one server of the cluster, or several with the same user and password, separated by commas",
            )
        })?;
        Ok(Self { seeds, client, known: Mutex::default(), listed: Mutex::default(), settled: Settled::default() })
    }

    /// What is known of slots that moved.
    pub(crate) const fn settled(&self) -> &Settled {
        &self.settled
    }

    /// What there is now.
    pub(crate) async fn look(self: &Arc<Self>) -> Result<Shards, Failure> {
        let told = self.told().await?;
        let primaries = self.primaries(&told);
        let answers = self.streams_of(&primaries).await;
        let mut units = BTreeMap::new();
        let mut known = self.known.lock().await;
        let mut left = Vec::new();
        for (primary, answer) in primaries.iter().zip(answers) {
            let place = known.streams.entry(primary.to_string()).or_default();
            // One that does not answer still has what it had.
            if let Ok(answer) = answer {
                let of_server = |(tag, streams)| Left { primary: primary.clone(), tag, streams };
                left.extend(answer.left().into_iter().map(of_server));
                *place = answer;
            }
            let tags = place.here.iter().filter_map(|stream| Tag::of(stream));
            units.extend(tags.map(|tag| (tag, primary.clone().of_cluster(self))));
        }
        let names: Vec<String> = primaries.iter().map(ToString::to_string).collect();
        known.streams.retain(|name, _| names.contains(name));
        known.connections.retain(|name, _| names.contains(name));
        let current: BTreeSet<Tag> = known.streams.values().flat_map(|streams| streams.current.clone()).collect();
        drop(known);
        left.retain(|left| !current.contains(&left.tag));
        let registry = self.registry(&told, &primaries).await?.of_cluster(self);
        let primaries = primaries.into_iter().map(|primary| primary.of_cluster(self)).collect();
        Ok(Shards { primaries, units, registry, left })
    }

    /// Takes away streams that moved and are drained.
    pub(crate) async fn tidy(&self, shards: &mut Shards) {
        for Left { primary, tag, streams } in std::mem::take(&mut shards.left) {
            if self.drop_empty(&primary, &streams).await {
                tracing::info!(%tag, "the streams that moved here are drained, and taken away");
                shards.units.remove(&tag);
            }
        }
    }

    /// All streams that there are, and who has each, as they are after this was asked. Those who ask at the same time
    /// share the answer.
    pub(crate) async fn streams(&self) -> Result<Homes, Failure> {
        let asked = Instant::now();
        let mut listed = self.listed.lock().await;
        if let Some((begun, homes)) = &*listed
            && *begun >= asked
        {
            return Ok(homes.clone());
        }
        let begun = Instant::now();
        let homes = self.list().await?;
        *listed = Some((begun, homes.clone()));
        Ok(homes)
    }

    /// Lists the streams. One that is on its way is not missed: all are asked until two rounds agree.
    async fn list(&self) -> Result<Homes, Failure> {
        let mut last: Option<Homes> = None;
        for _ in 0..ROUNDS_MAX {
            let told = self.told().await?;
            if told.iter().any(|shard| shard.primary.is_none() && !shard.slots.is_empty()) {
                return Err(Failure::Moving("a shard of the cluster has no primary at the moment".to_owned()));
            }
            let primaries = self.primaries(&told);
            let here = join_all(primaries.iter().map(|primary| self.here(primary))).await;
            let mut round = Homes::new();
            for (primary, here) in primaries.iter().zip(here) {
                round.extend(here?.into_iter().map(|stream| (stream, primary.clone())));
            }
            if last.as_ref() == Some(&round) {
                return Ok(round);
            }
            last = Some(round);
        }
        Err(Failure::Moving("the streams of the cluster move too fast to be counted".to_owned()))
    }

    /// The streams of one primary.
    async fn here(&self, primary: &Shard) -> Result<Vec<String>, Failure> {
        self.ask(primary, &redis::cmd("WB.STREAMS")).await
    }

    /// All servers that take writes.
    pub(crate) async fn all_primaries(self: &Arc<Self>) -> Result<Vec<Shard>, Failure> {
        let primaries = self.primaries(&self.told().await?);
        Ok(primaries.into_iter().map(|primary| primary.of_cluster(self)).collect())
    }

    /// Where records of a job go, each to the stream of the shard that has its key.
    pub(crate) async fn places(&self, job: &str, keys: &[&[u8]]) -> Result<Vec<Place>, Failure> {
        let told = self.told().await?;
        let first = self.primaries(&told).into_iter().next().ok_or_else(no_primary)?;
        let mut slots = redis::pipe();
        for key in keys {
            slots.cmd("CLUSTER").arg("KEYSLOT").arg(*key);
        }
        let slots: Vec<u16> = self.connection(&first).await?.ask_all(&slots).await?;
        let since = redis_wb_plan::now_us();
        let mut streams: BTreeMap<String, String> = BTreeMap::new();
        let mut places = Vec::with_capacity(keys.len());
        for slot in slots {
            let owner = self.owner(slot, &told)?;
            let stream = match streams.get(&owner.to_string()) {
                Some(stream) => stream.clone(),
                None => {
                    let stream = self.stream(&owner, job).await?;
                    streams.insert(owner.to_string(), stream.clone());
                    stream
                }
            };
            let epoch = shard_of(slot, &told).map_or(0, |shard| shard.epoch);
            places.push(Place { owner, stream, order: format!("{slot:x} {epoch:x} o {since:x}") });
        }
        Ok(places)
    }

    /// The stream that a server appends the records of a job to.
    async fn stream(&self, server: &Shard, job: &str) -> Result<String, Failure> {
        let rules = self.connection(server).await?.rules().await?;
        match rules.into_iter().find(|rule| rule.name == job).map(|rule| rule.stream) {
            Some(stream) if stream.is_empty() => {
                Err(Failure::Moving(format!("{server} has no slot for the stream of job `{job}` at the moment")))
            }
            Some(stream) => Ok(stream),
            None => Err(Failure::configuration(
                format!("{server} captures no keys of job `{job}`"),
                "start `redis-wb run`, which has them captured, then try again",
            )),
        }
    }

    /// Appends records of a job, each to the stream of the shard that has its key, which stands first; those of a key in
    /// their order.
    pub(crate) async fn append(&self, job: &str, records: &[(&[u8], &[u8])]) -> Result<(), Failure> {
        let keys: Vec<&[u8]> = records.iter().map(|(key, _)| *key).collect();
        let places = self.places(job, &keys).await?;
        let mut parts: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (at, place) in places.iter().enumerate() {
            parts.entry(&place.stream).or_default().push(at);
        }
        for (stream, part) in parts {
            let Some(first) = part.first().and_then(|at| places.get(*at)) else { continue };
            let own = |at: &usize| Some((records.get(*at)?.1, places.get(*at)?.order.as_str()));
            let own: Vec<(&[u8], &str)> = part.iter().filter_map(own).collect();
            self.connection(&first.owner).await?.append(stream, &own).await?;
        }
        Ok(())
    }

    /// Who has which slots, as one text: two that are the same mean that no slot has moved in between.
    pub(crate) async fn slots(&self) -> Result<String, Failure> {
        Ok(format!("{:?}", self.told().await?))
    }

    /// A connection that finds the server of each key, wherever its slot is on the way.
    pub(crate) async fn keys(&self) -> Result<ClusterConnection, Failure> {
        let mut known = self.known.lock().await;
        if let Some(keys) = &known.keys {
            return Ok(keys.clone());
        }
        let keys = self.client.get_async_connection().await.map_err(|error| crate::shard::failure_of(&error))?;
        Ok(known.keys.insert(keys).clone())
    }

    /// Sends a command to one server.
    pub(crate) async fn ask<T: FromRedisValue>(&self, server: &Shard, command: &Cmd) -> Result<T, Failure> {
        let mut connection = self.connection(server).await?;
        let answer = tokio::time::timeout(ANSWER_SECONDS_MAX, connection.query(command)).await;
        let answer = answer.unwrap_or_else(|_| Err(Failure::Transient(format!("{server} does not answer"))));
        self.checked(server, answer).await
    }

    /// What a server answered. A connection that failed is not used again.
    pub(crate) async fn checked<T>(&self, server: &Shard, answer: Result<T, Failure>) -> Result<T, Failure> {
        if answer.is_err() {
            self.known.lock().await.connections.remove(&server.to_string());
        }
        answer
    }

    /// A connection to one server, whatever its role.
    pub(crate) async fn connection(&self, server: &Shard) -> Result<Connection, Failure> {
        let name = server.to_string();
        if let Some(connection) = self.known.lock().await.connections.get(&name) {
            return Ok(connection.clone());
        }
        let connection = server.open().await?;
        self.known.lock().await.connections.insert(name, connection.clone());
        Ok(connection)
    }

    /// What the server that knows best tells of all primaries.
    async fn told(&self) -> Result<Vec<Told>, Failure> {
        let (tellers, mut failed) = self.tellers().await;
        for server in &tellers {
            match self.told_by(server).await {
                Ok((told, servers)) => {
                    let all = servers.iter().map(|(host, port)| server.elsewhere(host, *port));
                    let all = all.collect::<Result<_, _>>()?;
                    self.known.lock().await.servers = all;
                    return Ok(told);
                }
                Err(failure) => failed = Some(failure),
            }
        }
        Err(failed.unwrap_or_else(|| Failure::Transient("no server of the cluster is known".to_owned())))
    }

    /// The servers that answer, who knows best first: one that is cut off from the others, or has left them, tells what was.
    /// Also what the others failed with. Nobody waits for a server that is silent where another has answered.
    async fn tellers(&self) -> (Vec<Shard>, Option<Failure>) {
        let mut servers = self.known.lock().await.servers.clone();
        self.seeds.iter().for_each(|seed| servers.extend((!servers.contains(seed)).then(|| seed.clone())));
        servers.truncate(TELLERS_MAX);
        let mut asked: FuturesUnordered<_> =
            servers.iter().enumerate().map(|(at, server)| async move { (at, self.knows(server).await) }).collect();
        let (mut known, mut failed) = (Vec::new(), None);
        let mut patience = None;
        loop {
            let next = match patience {
                Some(until) => tokio::time::timeout_at(until, asked.next()).await.unwrap_or(None),
                None => asked.next().await,
            };
            match next {
                Some((at, Ok(knows))) => {
                    known.push((knows, at));
                    let until = Instant::now() + if knows.is_ok { OTHERS_MS_MAX } else { BETTER_MS_MAX };
                    patience = patience.min(Some(until)).or(Some(until));
                }
                Some((_, Err(failure))) => failed = Some(failure),
                None => break,
            }
        }
        known.sort_by_key(|(knows, at)| (Reverse(*knows), *at));
        (known.iter().filter_map(|(_, at)| servers.get(*at).cloned()).collect(), failed)
    }

    /// How much one server knows of the cluster.
    async fn knows(&self, server: &Shard) -> Result<Knows, Failure> {
        let info: Value = self.ask(server, redis::cmd("CLUSTER").arg("INFO")).await?;
        Ok(Knows::read(&text(&info)))
    }

    /// What one server tells: the primaries, and where all servers are.
    async fn told_by(&self, server: &Shard) -> Result<(Vec<Told>, Vec<(String, u16)>), Failure> {
        let shards: Value = self.ask(server, redis::cmd("CLUSTER").arg("SHARDS")).await?;
        let nodes: Value = self.ask(server, redis::cmd("CLUSTER").arg("NODES")).await?;
        let places = places(&shards, &server.host(), server.has_tls());
        let told = read(&text(&nodes), &places);
        let mut servers: Vec<_> = places.into_values().collect();
        servers.sort();
        Ok((told, servers))
    }

    fn primaries(&self, told: &[Told]) -> Vec<Shard> {
        let places = told.iter().filter_map(|shard| shard.primary.as_ref());
        let seed = self.seeds.first();
        places.filter_map(|(host, port)| seed?.elsewhere(host, *port).ok()).collect()
    }

    async fn streams_of(&self, primaries: &[Shard]) -> Vec<Result<Streams, Failure>> {
        join_all(primaries.iter().map(|primary| async {
            let here = self.here(primary).await?;
            let rules = self.connection(primary).await?.rules().await?;
            let current = rules.iter().filter_map(|rule| Tag::of(&rule.stream)).collect();
            Ok(Streams { here: here.into_iter().collect(), current })
        }))
        .await
    }

    /// Takes away the streams of a tag, if all are empty.
    async fn drop_empty(&self, primary: &Shard, streams: &[String]) -> bool {
        let script = redis::Script::new(DROP_EMPTY_SCRIPT);
        let mut call = script.prepare_invoke();
        // What was applied stays noted: nobody must take what is gone from here for lost.
        let keys = |stream: &String| [stream.clone(), beside(stream, "snapshot", "")];
        call.arg(keys(&String::new()).len());
        for key in streams.iter().flat_map(keys) {
            call.key(key);
        }
        let Ok(mut connection) = self.connection(primary).await else { return false };
        // Where it fails, it is tried again at the next look.
        connection.invoke::<u64>(&call).await.is_ok_and(|dropped| dropped > 0)
    }

    /// The server where the workers register.
    async fn registry(&self, told: &[Told], primaries: &[Shard]) -> Result<Shard, Failure> {
        let slot = self.known.lock().await.registry_slot;
        let slot = match (slot, primaries.first()) {
            (Some(slot), _) => slot,
            (None, Some(primary)) => {
                let slot: u16 = self.ask(primary, redis::cmd("CLUSTER").arg("KEYSLOT").arg(REGISTRY_KEY)).await?;
                self.known.lock().await.registry_slot = Some(slot);
                slot
            }
            (None, None) => return Err(no_primary()),
        };
        self.owner(slot, told)
    }

    /// The server that has a slot.
    fn owner(&self, slot: u16, told: &[Told]) -> Result<Shard, Failure> {
        let place = shard_of(slot, told).and_then(|shard| shard.primary.as_ref());
        let owner = place.and_then(|(host, port)| self.seeds.first()?.elsewhere(host, *port).ok());
        owner.ok_or_else(|| Failure::Moving(format!("no server of the cluster serves slot {slot} at the moment")))
    }
}

impl Streams {
    /// The streams of tags that nothing is appended under here.
    fn left(&self) -> BTreeMap<Tag, Vec<String>> {
        let mut left: BTreeMap<Tag, Vec<String>> = BTreeMap::new();
        for stream in &self.here {
            if let Some(tag) = Tag::of(stream).filter(|tag| !self.current.contains(tag)) {
                left.entry(tag).or_default().push(stream.clone());
            }
        }
        left
    }
}

fn shard_of(slot: u16, told: &[Told]) -> Option<&Told> {
    told.iter().find(|shard| shard.slots.iter().any(|(first, last)| (first..=last).contains(&&slot)))
}

fn no_primary() -> Failure {
    Failure::Moving("the cluster has no primary at the moment".to_owned())
}

/// Where each server is, by its id, as `CLUSTER SHARDS` tells: by the names that clients are to use. `asked` is the host of
/// the server that told.
fn places(shards: &Value, asked: &str, has_tls: bool) -> BTreeMap<String, (String, u16)> {
    let nodes = parts(shards).iter().filter_map(|shard| field(shard, "nodes")).flat_map(parts);
    let place = |node| {
        let text = |name| field(node, name).map(text).unwrap_or_default();
        let host = [text("endpoint"), text("ip")].into_iter().find(|host| !host.is_empty() && host != "?");
        let port = field(node, if has_tls { "tls-port" } else { "port" }).and_then(number)?;
        Some((text("id"), (host.unwrap_or_else(|| asked.to_owned()), port)))
    };
    nodes.filter_map(place).collect()
}

/// The primaries and their slots, as `CLUSTER NODES` tells. `CLUSTER SHARDS` shows a shard without slots as long as a
/// primary that failed stands first in it (redis/redis#13414). Each server tells them in an order of its own; here they
/// have one, so that two looks can be compared whoever told.
fn read(nodes: &str, places: &BTreeMap<String, (String, u16)>) -> Vec<Told> {
    let primary = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let (id, flags) = (*words.first()?, words.get(2)?.split(',').collect::<Vec<_>>());
        if !flags.contains(&"master") {
            return None;
        }
        let slots = words.get(8..).unwrap_or_default().iter().filter_map(|range| slots(range)).collect();
        let epoch = words.get(6).and_then(|epoch| epoch.parse().ok()).unwrap_or(0);
        Some(Told { slots, epoch, primary: places.get(id).filter(|_| !flags.contains(&"fail")).cloned() })
    };
    let mut told: Vec<Told> = nodes.lines().filter_map(primary).collect();
    told.sort();
    told
}

/// `0-5460` or `77`; not `[77->-id]`, which is on its way.
fn slots(range: &str) -> Option<(u16, u16)> {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    Some((first.parse().ok()?, last.parse().ok()?))
}

fn parts(value: &Value) -> &[Value] {
    match value {
        Value::Array(parts) => parts,
        _ => &[],
    }
}

/// A value of a flat list of names and values.
fn field<'v>(list: &'v Value, name: &str) -> Option<&'v Value> {
    let pair = parts(list).chunks_exact(2).find(|pair| pair.first().is_some_and(|found| text(found) == name))?;
    pair.get(1)
}

fn text(value: &Value) -> String {
    match value {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => text.clone(),
        _ => String::new(),
    }
}

fn number(value: &Value) -> Option<u16> {
    match value {
        Value::Int(number) => u16::try_from(*number).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(parts: Vec<Value>) -> Value {
        Value::Array(parts)
    }

    fn word(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn node(id: &str, endpoint: &str, port: i64) -> Value {
        let pairs = [("port", Value::Int(port)), ("tls-port", Value::Int(port + 1)), ("id", word(id))];
        let all = pairs.into_iter().chain([("endpoint", word(endpoint))]);
        list(all.flat_map(|(name, value)| [word(name), value]).collect())
    }

    #[test]
    fn servers_are_where_clients_are_to_look_for_them() {
        let nodes = list(vec![node("one", "", 1), node("two", "b", 2)]);
        let shards = list(vec![list(vec![word("slots"), list(Vec::new()), word("nodes"), nodes])]);
        let found = |has_tls| places(&shards, "asked", has_tls).into_values().collect::<Vec<_>>();
        assert_eq!(found(false), [("asked".to_owned(), 1), ("b".to_owned(), 2)]);
        assert_eq!(found(true), [("asked".to_owned(), 2), ("b".to_owned(), 3)]);
        assert!(places(&Value::Nil, "asked", false).is_empty());
    }

    #[test]
    fn whoever_is_with_most_of_the_others_knows_best() {
        let read = |state: &str, epoch: u32| {
            Knows::read(&format!("cluster_state:{state}\r\ncluster_slots_ok:1\r\ncluster_current_epoch:{epoch}\r\n"))
        };
        let all = [Knows::read(""), read("fail", 5), read("fail", 19), read("ok", 5), read("ok", 6), read("ok", 10)];
        assert!(all.is_sorted() && all.windows(2).all(|pair| pair[0] != pair[1]), "{all:?}");
    }

    #[test]
    fn whoever_took_over_has_the_slots() {
        let places = ["dead", "new", "other"].map(|id| (id.to_owned(), (id.to_owned(), 1))).into();
        let dead = "dead 127.0.0.1:1@2,,shard-id=a master,fail - 1 1 2 disconnected";
        let new = "new 127.0.0.1:2@3,,shard-id=a master - 0 1 7 connected 0-10 12 [77->-other]";
        let other = "other 127.0.0.1:3@4,,shard-id=b myself,master - 0 0 3 connected";
        let replica = "replica 127.0.0.1:4@5,,shard-id=b slave other 0 1 3 connected";
        let told = |slots: &[(u16, u16)], epoch, id: Option<&str>| Told {
            slots: slots.to_vec(),
            epoch,
            primary: id.map(|id| (id.to_owned(), 1)),
        };
        let expected = [told(&[], 2, None), told(&[], 3, Some("other")), told(&[(0, 10), (12, 12)], 7, Some("new"))];
        for lines in [[dead, new, other, replica], [replica, other, new, dead]] {
            assert_eq!(read(&lines.join("\n"), &places), expected, "whoever tells, in whichever order");
        }
        assert_eq!(read("", &places), []);
    }
}
