//! Whose turn it is among the streams of a Redis Cluster. A key whose slot moved has changes in several streams, and
//! another pipeline, or another worker, may be behind with the earlier ones: the later ones wait for those.
//!
//! Only entries of the same key are waited for, and only those that were captured before. So what waits was captured
//! later than what it waits for, and no two pipelines ever wait for each other.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use redis_wb_record::key_of;
use tokio::time::{Instant, sleep};

use crate::batch::Entry;
use crate::error::Failure;
use crate::order::Order;
use crate::position::Position;
use crate::shard::{Shard, Unapplied, Waiting};
use crate::topology::{Cluster, Tag};

/// How much of a record is looked at to find its key.
pub(crate) const BEGINNING_BYTES: usize = 1_024;
/// How many entries one command looks at.
const SCAN_ROWS: usize = 1_000;
/// How far the clocks of two servers may be apart, in milliseconds.
const CLOCKS_APART_MS: u64 = 600_000;
/// How long to wait before the first look at a stream that is behind; each further pause is twice as long.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// How long to wait for one stream until all are looked at again.
const LOOK_AT_ALL_AGAIN: Duration = Duration::from_millis(500);
/// How long to wait before the log says so.
const WAIT_EXPECTED: Duration = Duration::from_secs(10);

/// What one pipeline knows of the streams of others.
pub(super) struct Turns {
    cluster: Arc<Cluster>,
    tag: Tag,
    connection: String,
    /// The streams, job by job as the layout has them, each with the connection.
    streams: Vec<(String, String)>,
    /// What is waited for, since when, and whether the log says so.
    waits: Option<(Obstacle, Instant, bool)>,
}

/// An entry of another stream that comes first.
#[derive(Debug, Clone)]
pub(super) struct Obstacle {
    stream: String,
    at: Position,
    home: Shard,
}

impl std::fmt::Display for Obstacle {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { stream, at, .. } = self;
        write!(out, "a key's slot moved, and its earlier changes in {stream}, up to {at}, are not applied yet")
    }
}

/// Another stream, who has it, and what waits there.
type Scanned<'s> = (&'s String, &'s Shard, Found);

/// Where a record stands among those of its key; what is smaller comes first.
type Rank = (u64, u64);

/// An entry of another stream that its pipeline has not applied.
#[derive(Debug)]
struct Other {
    slot: String,
    rank: Rank,
    /// The key, and whether that is all of it.
    key: (Vec<u8>, bool),
    at: Position,
}

/// What is looked for in other streams: what comes before entries that wait here.
#[derive(Debug, Default)]
struct Wanted {
    slots: BTreeSet<String>,
    /// The last place that matters, if not all do.
    last: Option<Position>,
    /// The keys, those that are too long to be looked at whole apart, with as much of them as is looked at.
    keys: HashSet<Vec<u8>>,
    long_keys: HashSet<Vec<u8>>,
}

/// What of it one stream has. It grows with what is wanted, not with what the stream holds.
#[derive(Debug, Default)]
struct Found {
    /// By slot, the first rank.
    first: HashMap<String, Rank>,
    /// By wanted key and rank, the last entry.
    last: HashMap<Vec<u8>, BTreeMap<Rank, Position>>,
}

impl Wanted {
    fn new<'e>(entries: impl Iterator<Item = (&'e Order, &'e [u8])> + Clone) -> Self {
        let mut wanted = Self { last: last_of_interest(entries.clone().map(|(order, _)| order)), ..Self::default() };
        for (order, record) in entries {
            if !wanted.slots.contains(&order.slot) {
                wanted.slots.insert(order.slot.clone());
            }
            match key_in(record) {
                Some((key, true)) => wanted.keys.insert(key.to_vec()),
                Some((key, false)) => wanted.long_keys.insert(key.to_vec()),
                None => false,
            };
        }
        wanted
    }

    /// The wanted keys that another entry's key is, as far as is seen of both.
    fn matching<'w>(&'w self, (key, is_whole): &'w (Vec<u8>, bool)) -> impl Iterator<Item = &'w Vec<u8>> {
        let same = self.keys.get(key).filter(|_| *is_whole);
        let begins = |wanted: &&Vec<u8>| wanted.starts_with(key) || key.starts_with(wanted);
        let cut = self.keys.iter().filter(move |_| !is_whole).chain(&self.long_keys).filter(begins);
        same.into_iter().chain(cut)
    }
}

impl Found {
    fn add(&mut self, other: &Other, wanted: &Wanted) {
        match self.first.get_mut(&other.slot) {
            Some(rank) => *rank = other.rank.min(*rank),
            None => drop(self.first.insert(other.slot.clone(), other.rank)),
        }
        for key in wanted.matching(&other.key) {
            let ranks = match self.last.get_mut(key) {
                Some(ranks) => ranks,
                None => self.last.entry(key.clone()).or_default(),
            };
            let last = ranks.entry(other.rank).or_insert(other.at);
            *last = other.at.max(*last);
        }
    }

    /// The last entry of a key that comes before a rank.
    fn before(&self, key: &[u8], rank: Rank) -> Option<Position> {
        self.last.get(key)?.range(..rank).map(|(_, at)| *at).max()
    }
}

impl Turns {
    pub(super) fn new(cluster: Arc<Cluster>, tag: Tag, connection: String, streams: &[String]) -> Self {
        let streams = streams.iter().map(|stream| (stream.clone(), connection.clone())).collect();
        Self { cluster, tag, connection, streams, waits: None }
    }

    /// Lets go of the order of entries that were just read, where it is known that nothing comes before them.
    pub(super) fn clear(&self, entries: &mut [Entry]) {
        let settled = self.cluster.settled().hold();
        for entry in entries {
            let is_settled = |order: &Order| {
                let holds = |of| settled.has(of, &order.slot, order.time_us);
                !order.is_coming && order.behind.is_empty() && self.streams.get(entry.job).is_some_and(holds)
            };
            if entry.order.as_ref().is_some_and(is_settled) {
                entry.order = None;
            }
        }
    }

    /// Waits until an obstacle is applied, but not for long: it may move, and other jobs may go on.
    pub(super) async fn wait_for(&mut self, obstacle: &Obstacle) -> Result<(), Failure> {
        let Obstacle { stream, at, home } = obstacle;
        let (begun, mut pause) = (Instant::now(), LOOK_AGAIN);
        while begun.elapsed() < LOOK_AT_ALL_AGAIN {
            sleep(pause).await;
            pause *= 2;
            // Where that is not known, it may have moved.
            if !self.is_behind(home, stream, *at).await.unwrap_or(false) {
                return Ok(());
            }
        }
        self.say(obstacle);
        Ok(())
    }

    /// Says once what is waited for long.
    fn say(&mut self, obstacle: &Obstacle) {
        match &self.waits {
            Some((same, since, is_said)) if same.stream == obstacle.stream => {
                if since.elapsed() >= WAIT_EXPECTED && !is_said {
                    tracing::warn!(connection = self.connection, unit = %self.tag, "{obstacle}: waiting");
                    self.waits = Some((obstacle.clone(), *since, true));
                }
            }
            _ => self.waits = Some((obstacle.clone(), Instant::now(), false)),
        }
    }

    /// Looks for what comes before each entry of a job that was read and is in no batch yet, and lets go of the order of
    /// those before which nothing does. Gives what comes before the first.
    pub(super) async fn look(
        &mut self,
        place: usize,
        job: &str,
        waiting: &mut VecDeque<Entry>,
    ) -> Result<Option<Obstacle>, Failure> {
        let of_job = waiting.iter().filter(|entry| entry.job == place);
        let open = of_job.filter_map(|entry| Some((entry.order.as_ref()?, &entry.record[..])));
        let wanted = Wanted::new(open.clone());
        if wanted.slots.is_empty() {
            return Ok(None);
        }
        let behind: Vec<(Tag, Position)> = open.flat_map(|(order, _)| order.behind.clone()).collect();
        // From here on: every entry above was read already, so what comes before it is in its stream by now.
        let mut streams = self.cluster.streams().await.map_err(elsewhere)?;
        streams.retain(|stream, _| Tag::of(stream).is_some_and(|tag| tag.stream(job) == *stream && tag != self.tag));
        let scans = streams.iter().map(|(stream, home)| self.scan(home, stream, &wanted));
        let scans = join_all(scans).await.into_iter().collect::<Result<Vec<_>, _>>().map_err(elsewhere)?;
        let others: Vec<_> = streams.iter().zip(scans).map(|((stream, home), found)| (stream, home, found)).collect();
        let mut unfinished = BTreeMap::new();
        for (tag, at) in behind {
            let stream = tag.stream(job);
            if let Some(home) = streams.get(&stream)
                && self.is_behind(home, &stream, at).await.map_err(elsewhere)?
            {
                unfinished.insert((tag, at), Obstacle { stream, at, home: home.clone() });
            }
        }
        self.settle(place, waiting, &others);
        let mut first = None;
        for (nth, entry) in waiting.iter_mut().filter(|entry| entry.job == place).enumerate() {
            let Some(order) = &entry.order else { continue };
            let named = order.behind.iter().find_map(|behind| unfinished.get(behind)).cloned();
            match named.or_else(|| obstacle(order, &entry.record, &others)) {
                None => entry.order = None,
                Some(obstacle) if nth == 0 => first = Some(obstacle),
                Some(_) => {}
            }
        }
        Ok(first)
    }

    /// Notes slots of which nothing earlier waits: nor will it, since nobody else captures their keys any more.
    fn settle(&self, job: usize, waiting: &VecDeque<Entry>, others: &[Scanned<'_>]) {
        let Some(of) = self.streams.get(job) else { return };
        let mut settled = self.cluster.settled().hold();
        for order in waiting.iter().filter(|entry| entry.job == job).filter_map(|entry| entry.order.as_ref()) {
            let comes_first = |found: &Found| found.first.get(&order.slot).is_some_and(|first| *first < order.rank());
            if !order.is_coming && !others.iter().any(|(.., found)| comes_first(found)) {
                settled.note(of, &order.slot, order.time_us);
            }
        }
    }

    /// What is wanted of the entries of a stream that this connection has not applied.
    async fn scan(&self, home: &Shard, stream: &str, wanted: &Wanted) -> Result<Found, Failure> {
        let mut found = Found::default();
        let mut from = String::new();
        loop {
            let Wanted { last, slots, .. } = wanted;
            let page = Waiting {
                stream,
                connection: &self.connection,
                from: &from,
                last: *last,
                rows: SCAN_ROWS,
                bytes: BEGINNING_BYTES,
                slots,
            };
            let (next, entries) = self.page(home, &page).await?;
            for (id, order, beginning) in entries {
                if let Some(other) = other(&id, &order, &beginning) {
                    found.add(&other, wanted);
                }
            }
            if next.is_empty() {
                return Ok(found);
            }
            from = next;
        }
    }

    /// Whether a stream has entries up to a place that this connection has not applied.
    async fn is_behind(&self, home: &Shard, stream: &str, at: Position) -> Result<bool, Failure> {
        let (connection, slots) = (self.connection.as_str(), &BTreeSet::new());
        let page = Waiting { stream, connection, from: "", last: Some(at), rows: 1, bytes: 0, slots };
        Ok(!self.page(home, &page).await?.1.is_empty())
    }

    async fn page(&self, home: &Shard, page: &Waiting<'_>) -> Result<(String, Vec<Unapplied>), Failure> {
        let mut redis = self.cluster.connection(home).await?;
        self.cluster.checked(home, redis.waiting(page).await).await
    }
}

/// What fails at another server passes as soon as it is back, or another took over.
fn elsewhere(failure: Failure) -> Failure {
    match failure {
        Failure::Transient(why) => {
            Failure::Moving(format!("whether a key's earlier changes wait elsewhere is not known: {why}"))
        }
        other => other,
    }
}

fn other(id: &[u8], order: &[u8], beginning: &[u8]) -> Option<Other> {
    let at = Position::parse(id)?;
    // What no module of a cluster captured comes before nothing.
    let (slot, rank) = Order::parse(order).map_or((String::new(), (u64::MAX, 0)), |order| {
        let rank = order.rank();
        (order.slot, rank)
    });
    let (key, is_whole) = key_of(beginning).unwrap_or_default();
    Some(Other { slot, rank, key: (key.to_vec(), is_whole), at })
}

/// The last place where something can stand that comes before one of the orders; `None` where that is not known. Since
/// a slot is settled, nobody else captures its keys.
fn last_of_interest<'o>(orders: impl Iterator<Item = &'o Order> + Clone) -> Option<Position> {
    if orders.clone().any(|order| order.is_coming) {
        return None;
    }
    let since_us = orders.map(|order| order.time_us).max()?;
    Some(Position { ms: since_us / 1_000 + CLOCKS_APART_MS, seq: u64::MAX })
}

/// The key of a record, as much as is seen of it, and whether that is all.
fn key_in(record: &[u8]) -> Option<(&[u8], bool)> {
    key_of(record.get(..BEGINNING_BYTES).unwrap_or(record))
}

/// The last entry of the same key that comes before a record.
fn obstacle(order: &Order, record: &[u8], others: &[Scanned<'_>]) -> Option<Obstacle> {
    let (key, _) = key_in(record)?;
    let found = others.iter().find_map(|(stream, home, found)| Some((stream, home, found.before(key, order.rank())?)));
    found.map(|(stream, home, at)| Obstacle { stream: (*stream).clone(), at, home: (*home).clone() })
}

#[cfg(test)]
mod tests {
    use redis_wb_record::{DataType, Flags, Opcode, Record, encode};

    use super::*;

    fn record(key: &[u8]) -> Vec<u8> {
        let (opcode, command, data_type, flags) = (Opcode::Update, "hset", DataType::Hash, Flags::NONE);
        let mut encoded = Vec::new();
        let record =
            Record { epoch: 1, time_us: 1, db: 0, key, opcode, command, data_type, flags, after: None, before: None };
        encode(&record, &mut encoded);
        encoded
    }

    fn shard() -> Shard {
        Shard::of(redis::Client::open("redis://a").unwrap())
    }

    fn found(entries: &[(&str, &str, &[u8])], wanted: &Wanted) -> Found {
        let mut found = Found::default();
        for (id, order, key) in entries {
            let record = record(key);
            let beginning = &record[..record.len().min(BEGINNING_BYTES)];
            found.add(&other(id.as_bytes(), order.as_bytes(), beginning).unwrap(), wanted);
        }
        found
    }

    #[test]
    fn only_earlier_changes_of_the_same_key_are_waited_for() {
        let order = Order::parse(b"2f 5 i ff").unwrap();
        let (stream, home) = ("wb:{a}:emp".to_owned(), shard());
        let first = |entries: &[(&str, &str, &[u8])], key: &[u8]| {
            let record = record(key);
            let wanted = Wanted::new([(&order, record.as_slice())].into_iter());
            obstacle(&order, &record, &[(&stream, &home, found(entries, &wanted))]).map(|obstacle| obstacle.at.ms)
        };
        let entries: &[(&str, &str, &[u8])] = &[
            ("1-0", "2f 3 o 1", b"k"),
            ("2-0", "2f 5 o 1", b"k"),
            ("3-0", "2f 5 i ff", b"k"),
            ("4-0", "2f 6 o 1", b"k"),
            ("5-0", "", b"k"),
            ("6-0", "2f 3 o 1", b"other"),
        ];
        assert_eq!(first(entries, b"k"), Some(2), "the last of those before");
        assert_eq!(first(entries, b"other"), Some(6));
        assert_eq!(first(entries, b"third"), None);
        let long = [b'x'; 5_000];
        assert_eq!(first(&[("7-0", "2f 3 o 1", &long)], &long), Some(7), "keys too long to be told apart");
    }

    #[test]
    fn what_is_kept_of_a_long_stream_is_what_is_wanted() {
        let orders = ["2f 5 o 1", "30 5 o 1"].map(|text| Order::parse(text.as_bytes()).unwrap());
        let (short, long) = (record(b"k"), record(&[b'x'; 5_000]));
        let wanted = Wanted::new([(&orders[0], short.as_slice()), (&orders[1], &long)].into_iter());
        let mut all = Found::default();
        for nth in 0..10_000 {
            let key = if nth % 100 == 0 { b"k".to_vec() } else { format!("other:{nth}").into_bytes() };
            let order = if nth % 2 == 0 { "2f 3 o 1" } else { "2f 4 o 1" };
            all.add(&other(format!("{nth}-0").as_bytes(), order.as_bytes(), &record(&key)).unwrap(), &wanted);
        }
        assert_eq!(all.last.values().map(BTreeMap::len).sum::<usize>(), 1);
        assert_eq!((all.first.len(), all.first["2f"]), (1, (3, 0)));
        assert_eq!(all.before(b"k", orders[0].rank()), Some(Position { ms: 9_900, seq: 0 }));
        assert_eq!(all.before(b"k", (3, 0)), None);
        // A key of which too little is seen counts as any of those that begin so.
        let mut cut = Found::default();
        let beginning = &record(&[b'x'; 6_000])[..BEGINNING_BYTES];
        cut.add(&other(b"7-0", b"30 3 o 1", beginning).unwrap(), &wanted);
        assert_eq!(obstacle(&orders[1], &long, &[(&String::new(), &shard(), cut)]).map(|one| one.at.ms), Some(7));
    }

    #[test]
    fn what_is_looked_at_ends_soon_after_the_slot_was_taken_over() {
        let [own, coming] = ["2f 5 o 3e8", "2f 5 i ff"].map(|text| Order::parse(text.as_bytes()).unwrap());
        assert_eq!(last_of_interest([&own].into_iter()), Some(Position { ms: 1 + CLOCKS_APART_MS, seq: u64::MAX }));
        assert_eq!(last_of_interest([&own, &coming].into_iter()), None);
    }
}
