//! A Redis Cluster: its primaries, the streams that each has, and who has a key. Slots, servers and streams come and
//! go; nothing here is believed for longer than one look. Knows no target, and no worker.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_async::ClusterConnection;
use redis::{Cmd, FromRedisValue, TlsCertificates, Value};
use redis_wb_record::STREAM_FIELD;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{Shards, Tag};
use crate::error::Failure;
use crate::shard::{CONNECT_SECONDS_MAX, Connection, RESPONSE_SECONDS_MAX, Shard, beside};

/// How long one server may take to tell what it has.
const ANSWER_SECONDS_MAX: Duration = Duration::from_secs(5);
/// How often all servers are asked for their streams until two rounds agree.
const ROUNDS_MAX: usize = 8;
/// How long the client that finds keys waits before it tries again; by itself it would wait for minutes in the end.
const RETRY_MS_MIN: u64 = 10;
const RETRY_MS_MAX: u64 = 500;
/// How many servers are looked at to find one that tells of the others.
const TELLERS_MAX: usize = 32;
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

impl Settled {
    /// Whether that is known of a slot.
    pub(crate) fn holds(&self, of: &(String, String), slot: &str, since_us: u64) -> bool {
        let settled = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        settled.get(of).and_then(|slots| slots.get(slot)) == Some(&since_us)
    }

    /// Takes note of it.
    pub(crate) fn note(&self, of: &(String, String), slot: &str, since_us: u64) {
        let mut settled = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        settled.entry(of.clone()).or_default().insert(slot.to_owned(), since_us);
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

/// One shard, as `CLUSTER SHARDS` tells.
#[derive(Debug, Clone, PartialEq)]
struct Told {
    /// First and last slots of ranges.
    slots: Vec<(u16, u16)>,
    /// Where its primary is: host and port.
    primary: Option<(String, u16)>,
    /// Where all its servers are.
    servers: Vec<(String, u16)>,
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
                left.extend(answer.left().into_iter().map(|(tag, streams)| (primary.clone(), tag, streams)));
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
        for (primary, tag, streams) in left {
            if !current.contains(&tag) && self.drop_empty(&primary, &streams).await {
                tracing::info!(%tag, "the streams that moved here are drained, and taken away");
                units.remove(&tag);
            }
        }
        let registry = self.registry(&told, &primaries).await?.of_cluster(self);
        let primaries = primaries.into_iter().map(|primary| primary.of_cluster(self)).collect();
        Ok(Shards { primaries, units, registry })
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

    /// Appends records, those that are not empty, to the stream of a job at the shard that has a key.
    pub(crate) async fn append(&self, key: &[u8], job: &str, records: &[&[u8]]) -> Result<(), Failure> {
        let told = self.told().await?;
        let first = self.primaries(&told).into_iter().next().ok_or_else(no_primary)?;
        let slot: u16 = self.ask(&first, redis::cmd("CLUSTER").arg("KEYSLOT").arg(key)).await?;
        let owner = self.owner(slot, &told)?;
        let rules = self.connection(&owner).await?.rules().await?;
        let stream = rules.into_iter().find(|rule| rule.name == job).map(|rule| rule.stream);
        let stream = stream.filter(|stream| !stream.is_empty()).ok_or_else(|| {
            Failure::configuration(
                format!("{owner} captures no keys of job `{job}`"),
                "start `redis-wb run`, which has them captured, then replay again",
            )
        })?;
        let mut append = redis::pipe();
        for record in records.iter().filter(|record| !record.is_empty()) {
            append.cmd("XADD").arg(&stream).arg("*").arg(STREAM_FIELD).arg(*record).ignore();
        }
        self.connection(&owner).await?.run(append.atomic()).await
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

    /// What the first server that answers tells of all shards.
    async fn told(&self) -> Result<Vec<Told>, Failure> {
        let servers = self.known.lock().await.servers.clone();
        let mut failed = None;
        for server in servers.iter().chain(&self.seeds).take(TELLERS_MAX) {
            match self.ask::<Value>(server, redis::cmd("CLUSTER").arg("SHARDS")).await {
                Ok(shards) => {
                    let told = read(&shards, &server.host(), server.has_tls());
                    let all = told.iter().flat_map(|shard| &shard.servers);
                    let all = all.map(|(host, port)| server.elsewhere(host, *port)).collect::<Result<_, _>>()?;
                    self.known.lock().await.servers = all;
                    return Ok(told);
                }
                Err(failure) => failed = Some(failure),
            }
        }
        Err(failed.unwrap_or_else(|| Failure::Transient("no server of the cluster is known".to_owned())))
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
        let has = |shard: &&Told| shard.slots.iter().any(|(first, last)| (first..=last).contains(&&slot));
        let place = told.iter().find(has).and_then(|shard| shard.primary.as_ref());
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

fn no_primary() -> Failure {
    Failure::Moving("the cluster has no primary at the moment".to_owned())
}

/// Reads the reply of `CLUSTER SHARDS`; `asked` is the host of the server that gave it. Each server tells the shards in
/// an order of its own; here they have one, so that two looks can be compared whoever told.
fn read(reply: &Value, asked: &str, has_tls: bool) -> Vec<Told> {
    let mut told: Vec<Told> = parts(reply).iter().map(|shard| read_shard(shard, asked, has_tls)).collect();
    told.sort_by(|one, other| (&one.slots, &one.primary).cmp(&(&other.slots, &other.primary)));
    told
}

fn read_shard(shard: &Value, asked: &str, has_tls: bool) -> Told {
    let numbers = field(shard, "slots").map(|slots| parts(slots).iter().filter_map(number).collect::<Vec<u16>>());
    let slots =
        numbers.unwrap_or_default().chunks_exact(2).filter_map(|pair| Some((*pair.first()?, *pair.get(1)?))).collect();
    let mut told = Told { slots, primary: None, servers: Vec::new() };
    for node in field(shard, "nodes").map(parts).unwrap_or_default() {
        let text = |name| field(node, name).map(text).unwrap_or_default();
        let host = [text("endpoint"), text("ip")].into_iter().find(|host| !host.is_empty() && host != "?");
        let Some(port) = field(node, if has_tls { "tls-port" } else { "port" }).and_then(number) else { continue };
        let place = (host.unwrap_or_else(|| asked.to_owned()), port);
        if text("role") == "master" && text("health") != "fail" {
            told.primary = Some(place.clone());
        }
        told.servers.push(place);
    }
    told.servers.sort();
    told
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
        Value::SimpleString(text) => text.clone(),
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

    fn node(endpoint: &str, port: i64, role: &str, health: &str) -> Value {
        let pairs = [("endpoint", word(endpoint)), ("port", Value::Int(port)), ("tls-port", Value::Int(port + 1))];
        let all = pairs.into_iter().chain([("role", word(role)), ("health", word(health))]);
        list(all.flat_map(|(name, value)| [word(name), value]).collect())
    }

    #[test]
    fn shards_are_read_as_redis_tells_them() {
        let slots = list([0, 10, 12, 12].map(Value::Int).to_vec());
        let nodes = list(vec![
            node("", 1, "master", "fail"),
            node("b", 2, "master", "online"),
            node("c", 3, "replica", "online"),
        ]);
        let shard = list(vec![word("slots"), slots, word("nodes"), nodes]);
        let place = |host: &str, port| (host.to_owned(), port);
        let mut told = Told {
            slots: vec![(0, 10), (12, 12)],
            primary: Some(place("b", 2)),
            servers: vec![place("asked", 1), place("b", 2), place("c", 3)],
        };
        assert_eq!(read(&list(vec![shard.clone()]), "asked", false), [told.clone()]);
        told.primary = Some(place("b", 3));
        told.servers = vec![place("asked", 2), place("b", 3), place("c", 4)];
        assert_eq!(read(&list(vec![shard]), "asked", true), [told]);
        assert_eq!(read(&Value::Nil, "asked", false), []);
    }

    #[test]
    fn two_servers_tell_the_same_in_whichever_order() {
        let shard = |first, port| {
            let slots = list([first, first + 10].map(Value::Int).to_vec());
            list(vec![word("slots"), slots, word("nodes"), list(vec![node("a", port, "master", "online")])])
        };
        let told = |shards: [Value; 2]| read(&list(shards.to_vec()), "asked", false);
        assert_eq!(told([shard(0, 1), shard(20, 2)]), told([shard(20, 2), shard(0, 1)]));
    }
}
