//! Whose turn it is among the streams of a Redis Cluster. A key whose slot moved has changes in several streams, and
//! another pipeline, or another worker, may be behind with the earlier ones: the later ones wait for those.
//!
//! Only entries of the same key are waited for, and only those that were captured before. So what waits was captured
//! later than what it waits for, and no two pipelines ever wait for each other.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use redis_wb_record::key_of;
use tokio::time::{Instant, sleep};

use crate::batch::Entry;
use crate::error::Failure;
use crate::order::Order;
use crate::position::Position;
use crate::shard::{Shard, Waiting};
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

/// Another stream, who has it, and what waits there.
type Scanned<'s> = (&'s String, &'s Shard, Vec<Other>);

/// An entry of another stream that its pipeline has not applied.
#[derive(Debug)]
pub(super) struct Other {
    slot: String,
    rank: (u64, u64),
    /// The key, and whether that is all of it.
    key: (Vec<u8>, bool),
    at: Position,
}

impl Turns {
    pub(super) fn new(cluster: Arc<Cluster>, tag: Tag, connection: String, streams: &[String]) -> Self {
        let streams = streams.iter().map(|stream| (stream.clone(), connection.clone())).collect();
        Self { cluster, tag, connection, streams, waits: None }
    }

    /// Whether it is known that nothing comes before an entry.
    pub(super) fn is_clear(&self, entry: &Entry) -> bool {
        entry.order.as_ref().is_none_or(|order| self.is_settled(entry.job, order))
    }

    fn is_settled(&self, job: usize, order: &Order) -> bool {
        let Order { slot, time_us, is_coming, behind, .. } = order;
        let holds = |of| self.cluster.settled().holds(of, slot, *time_us);
        !is_coming && behind.is_empty() && self.streams.get(job).is_some_and(holds)
    }

    /// Waits until an obstacle is applied, but not for long: it may move, and other jobs may go on.
    pub(super) async fn wait_for(&mut self, obstacle: &Obstacle) -> Result<(), Failure> {
        let Obstacle { stream, at, home } = obstacle;
        let (begun, mut pause) = (Instant::now(), LOOK_AGAIN);
        while begun.elapsed() < LOOK_AT_ALL_AGAIN {
            sleep(pause).await;
            pause *= 2;
            match self.scan(home, stream, Some(*at), 1, &BTreeSet::new()).await {
                Ok(waiting) if !waiting.is_empty() => {}
                // It may have moved.
                _ => return Ok(()),
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
                    let Obstacle { stream, at, .. } = obstacle;
                    tracing::warn!(
                        connection = self.connection,
                        unit = %self.tag,
                        "a key's slot moved, and its earlier changes in {stream}, up to {at}, are not applied yet: waiting"
                    );
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
        let open = |entry: &&Entry| entry.job == place && !self.is_clear(entry);
        let orders: Vec<&Order> = waiting.iter().filter(open).filter_map(|entry| entry.order.as_ref()).collect();
        if orders.is_empty() {
            return Ok(None);
        }
        let slots: BTreeSet<String> = orders.iter().map(|order| order.slot.clone()).collect();
        let last = last_of_interest(&orders);
        let behind: Vec<(Tag, Position)> = orders.iter().flat_map(|order| order.behind.clone()).collect();
        // From here on: every entry above was read already, so what comes before it is in its stream by now.
        let mut streams = self.cluster.streams().await.map_err(elsewhere)?;
        streams.retain(|stream, _| Tag::of(stream).is_some_and(|tag| tag.stream(job) == *stream && tag != self.tag));
        let scans = streams.iter().map(|(stream, home)| self.scan(home, stream, last, usize::MAX, &slots));
        let scans = join_all(scans).await.into_iter().collect::<Result<Vec<_>, _>>().map_err(elsewhere)?;
        let others: Vec<_> = streams.iter().zip(scans).map(|((stream, home), found)| (stream, home, found)).collect();
        let mut unfinished = BTreeMap::new();
        for (tag, at) in behind {
            let stream = tag.stream(job);
            if let Some(home) = streams.get(&stream)
                && !self.scan(home, &stream, Some(at), 1, &BTreeSet::new()).await.map_err(elsewhere)?.is_empty()
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
        for order in waiting.iter().filter(|entry| entry.job == job).filter_map(|entry| entry.order.as_ref()) {
            let comes_first = |other: &Other| other.slot == order.slot && other.rank < order.rank();
            if !order.is_coming && !others.iter().flat_map(|(.., others)| others).any(comes_first) {
                self.cluster.settled().note(of, &order.slot, order.time_us);
            }
        }
    }

    /// The entries of a stream that this connection has not applied, up to a place, with keys in some slots; of any
    /// slot, and no more than `most`, where no slot is named.
    async fn scan(
        &self,
        home: &Shard,
        stream: &str,
        last: Option<Position>,
        most: usize,
        slots: &BTreeSet<String>,
    ) -> Result<Vec<Other>, Failure> {
        let mut found = Vec::new();
        let mut redis = self.cluster.connection(home).await?;
        let mut from = String::new();
        loop {
            let page =
                Waiting { stream, connection: &self.connection, from: &from, last, rows: most.min(SCAN_ROWS), slots };
            let (next, entries) = self.cluster.checked(home, redis.waiting(&page).await).await?;
            found.extend(entries.into_iter().filter_map(|(id, order, beginning)| other(&id, &order, &beginning)));
            if next.is_empty() || found.len() >= most {
                return Ok(found);
            }
            from = next;
        }
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
fn last_of_interest(orders: &[&Order]) -> Option<Position> {
    if orders.iter().any(|order| order.is_coming) {
        return None;
    }
    let since_us = orders.iter().map(|order| order.time_us).max()?;
    Some(Position { ms: since_us / 1_000 + CLOCKS_APART_MS, seq: u64::MAX })
}

/// The last entry of the same key that comes before a record.
fn obstacle(order: &Order, record: &[u8], others: &[Scanned<'_>]) -> Option<Obstacle> {
    let (key, is_whole) = key_of(record.get(..BEGINNING_BYTES).unwrap_or(record))?;
    let is_same = |other: &&Other| {
        let (found, found_whole) = &other.key;
        match (is_whole, found_whole) {
            (true, true) => found == key,
            // As much of both as is there.
            _ => found.starts_with(key) || key.starts_with(found),
        }
    };
    others
        .iter()
        .filter_map(|(stream, home, others)| {
            let earlier = others.iter().filter(is_same).filter(|other| other.rank < order.rank());
            let at = earlier.map(|other| other.at).max()?;
            Some(Obstacle { stream: (*stream).clone(), at, home: (*home).clone() })
        })
        .next()
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

    fn others(entries: &[(&str, &str, &[u8])]) -> Vec<Other> {
        let other = |(id, order, key): &(&str, &str, &[u8])| {
            let record = record(key);
            let beginning = &record[..record.len().min(BEGINNING_BYTES)];
            other(id.as_bytes(), order.as_bytes(), beginning).unwrap()
        };
        entries.iter().map(other).collect()
    }

    #[test]
    fn only_earlier_changes_of_the_same_key_are_waited_for() {
        let order = Order::parse(b"2f 5 i ff").unwrap();
        let (stream, home) = ("wb:{a}:emp".to_owned(), Shard::of(redis::Client::open("redis://a").unwrap()));
        let first = |entries: &[(&str, &str, &[u8])], key: &[u8]| {
            obstacle(&order, &record(key), &[(&stream, &home, others(entries))]).map(|obstacle| obstacle.at.ms)
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
    fn what_is_looked_at_ends_soon_after_the_slot_was_taken_over() {
        let [own, coming] = ["2f 5 o 3e8", "2f 5 i ff"].map(|text| Order::parse(text.as_bytes()).unwrap());
        assert_eq!(last_of_interest(&[&own]), Some(Position { ms: 1 + CLOCKS_APART_MS, seq: u64::MAX }));
        assert_eq!(last_of_interest(&[&own, &coming]), None);
    }
}
