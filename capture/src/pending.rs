//! The changes of one execution unit (a command, a transaction, a script): noted by events, appended when it ends.
//! It must not know Redis: what it is told comes from `capture`.

use std::collections::HashMap;
use std::sync::Arc;

use redis_wb_record::DataType;

use crate::rules::{Rule, STREAMS_DB};

/// How a key goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Deleted,
    Expired,
    Evicted,
    /// Another value takes its place.
    Overwritten,
}

impl How {
    /// The event that stands for it where Redis reports none.
    const fn event(self) -> &'static str {
        match self {
            Self::Deleted => "del",
            Self::Expired => "expired",
            Self::Evicted => "evicted",
            Self::Overwritten => "set",
        }
    }
}

/// The content that a key had when the unit began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Before {
    pub(crate) data_type: DataType,
    /// Its encoded image, where a rule asked for it and it was small enough.
    pub(crate) image: Option<Vec<u8>>,
}

/// A key that changed.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) db: u32,
    pub(crate) key: Vec<u8>,
    /// The last event that changed it, in lower case as Redis reports it.
    pub(crate) event: String,
    /// Whether the key did not exist when the unit began.
    pub(crate) created: bool,
    /// Whether an event told of a change, and not only the key's coming or going.
    pub(crate) told: bool,
    /// Which rules want it.
    pub(crate) rules: Vec<Arc<Rule>>,
    pub(crate) before: Option<Before>,
}

/// All changes of a unit, each key once.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    changes: Vec<Change>,
    /// Where each key stands, once there are more than a search takes in its stride.
    places: Option<HashMap<(u32, Vec<u8>), usize>>,
    /// Databases that were emptied, `None` for all of them, and by what.
    flushes: Vec<(Option<u32>, &'static str)>,
    /// Whether a job waits for the end of the unit.
    pub(crate) scheduled: bool,
    /// The key that is about to go, if that was the last that happened: it may not be gone yet.
    going: Option<(u32, Vec<u8>)>,
}

/// Whether a rule for the keys of `db` has to be told that `flushed`, or all databases where none is named, were
/// emptied: it lost its keys, or its stream.
pub(crate) fn concerns(flushed: &[u32], db: u32) -> bool {
    flushed.is_empty() || flushed.contains(&db) || flushed.contains(&STREAMS_DB)
}

/// Up to this many changes are searched one by one.
const SEARCHED_MAX: usize = 16;

impl Pending {
    /// Nothing.
    pub(crate) const EMPTY: Self =
        Self { changes: Vec::new(), places: None, flushes: Vec::new(), scheduled: false, going: None };

    /// Whether there is nothing to append.
    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.flushes.is_empty()
    }

    /// Notes that a key came to be; its command's event follows. A key that is known here already was there when
    /// the unit began, or is known to be new.
    pub(crate) fn comes(&mut self, db: u32, key: &[u8]) {
        self.going = None;
        if self.place(db, key).is_none() {
            self.add(db, key, "new", true);
        }
    }

    /// Notes that a key goes, or is overwritten, with what it held; the first such content of a unit counts.
    pub(crate) fn goes(&mut self, db: u32, key: &[u8], how: How, before: Before) {
        self.going = (how != How::Overwritten).then(|| (db, key.to_vec()));
        let change = self.change(db, key, how.event());
        if !change.told {
            how.event().clone_into(&mut change.event);
        }
        if !change.created && change.before.is_none() {
            change.before = Some(before);
        }
    }

    /// The key that may be in the middle of going.
    pub(crate) fn going(&self) -> Option<(u32, Vec<u8>)> {
        self.going.clone()
    }

    /// Notes that no key is in the middle of going.
    pub(crate) fn gone(&mut self) {
        self.going = None;
    }

    /// Notes an event that changed a key, and which rules want it.
    pub(crate) fn changed<'r>(&mut self, db: u32, key: &[u8], event: &str, rules: impl Iterator<Item = &'r Arc<Rule>>) {
        self.going = None;
        let change = self.change(db, key, event);
        event.clone_into(&mut change.event);
        change.told = true;
        for rule in rules {
            if !change.rules.iter().any(|other| Arc::ptr_eq(other, rule)) {
                change.rules.push(Arc::clone(rule));
            }
        }
    }

    /// Notes that databases were emptied, or all where none is named, and forgets what changed in them before.
    pub(crate) fn flushed(&mut self, dbs: &[u32], by: &'static str) {
        self.places = None;
        self.changes.retain(|change| !dbs.is_empty() && !dbs.contains(&change.db));
        self.flushes.extend(dbs.iter().map(|db| (Some(*db), by)));
        if dbs.is_empty() {
            self.flushes.push((None, by));
        }
    }

    /// What a rule for the keys of `db` has to be told: which database was emptied, and by what. Its own counts before
    /// the one with its stream.
    pub(crate) fn flush_of(&self, db: u32) -> Option<(u32, &'static str)> {
        let last = |db| self.flushes.iter().rev().find(|(flushed, _)| flushed.is_none_or(|flushed| flushed == db));
        [db, STREAMS_DB].into_iter().find_map(|db| last(db).map(|(_, by)| (db, *by)))
    }

    /// The changes, in the order in which the keys first changed.
    pub(crate) fn changes(&self) -> &[Change] {
        &self.changes
    }

    fn change(&mut self, db: u32, key: &[u8], event: &str) -> &mut Change {
        let at = match self.place(db, key) {
            Some(at) => at,
            None => self.add(db, key, event, false),
        };
        // INVARIANT (place): `place` and `add` give an index into `changes`, whose length never shrinks in between.
        #[expect(clippy::indexing_slicing, reason = "INVARIANT (place)")]
        &mut self.changes[at]
    }

    /// Where a key stands. The one that changed last is the most likely.
    fn place(&self, db: u32, key: &[u8]) -> Option<usize> {
        match &self.places {
            Some(places) => places.get(&(db, key.to_vec())).copied(),
            None => self.changes.iter().rposition(|change| change.db == db && change.key == key),
        }
    }

    fn add(&mut self, db: u32, key: &[u8], event: &str, created: bool) -> usize {
        let at = self.changes.len();
        let (key, event) = (key.to_vec(), event.to_owned());
        self.changes.push(Change { db, key, event, created, told: false, rules: Vec::new(), before: None });
        match &mut self.places {
            Some(places) => {
                let key = self.changes.last().map(|change| change.key.clone()).unwrap_or_default();
                places.insert((db, key), at);
            }
            None if at >= SEARCHED_MAX => {
                let places = self.changes.iter().enumerate();
                self.places = Some(places.map(|(at, change)| ((change.db, change.key.clone()), at)).collect());
            }
            None => {}
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(count: usize) -> Vec<Arc<Rule>> {
        let rule = |at: usize| Rule::parse(&[at.to_string().as_bytes(), b"*"]).unwrap();
        (0..count).map(|at| Arc::new(rule(at))).collect()
    }

    fn hash(image: &[u8]) -> Before {
        Before { data_type: DataType::Hash, image: Some(image.to_vec()) }
    }

    #[test]
    fn a_key_stands_once_with_its_last_event() {
        let rules = rules(2);
        let mut pending = Pending::default();
        pending.comes(0, b"a");
        pending.changed(0, b"a", "hset", rules[..1].iter());
        pending.changed(0, b"b", "hset", rules[..1].iter());
        pending.goes(0, b"b", How::Deleted, hash(b"1"));
        pending.comes(0, b"b");
        pending.changed(0, b"b", "hset", rules.iter());
        pending.goes(0, b"b", How::Deleted, hash(b"2"));
        pending.goes(0, b"a", How::Deleted, hash(b"3"));
        pending.changed(0, b"a", "del", rules.iter());
        let changes = pending.changes();
        assert_eq!(changes.len(), 2);
        assert_eq!((changes[0].event.as_str(), changes[0].created, changes[0].rules.len()), ("del", true, 2));
        assert_eq!(changes[0].before, None, "it was not there when the unit began");
        assert_eq!((changes[1].event.as_str(), changes[1].created), ("hset", false));
        assert_eq!(changes[1].before, Some(hash(b"1")), "the first counts");
    }

    #[test]
    fn many_keys_are_found_again() {
        let rules = rules(1);
        let mut pending = Pending::default();
        for round in ["hset", "hdel"] {
            for key in 0..1_000_u32 {
                pending.changed(key % 3, &key.to_be_bytes(), round, rules.iter());
            }
        }
        assert_eq!(pending.changes().len(), 1_000);
        assert!(pending.changes().iter().all(|change| change.event == "hdel" && change.rules.len() == 1));
    }

    #[test]
    fn a_flush_takes_the_changes_of_its_database() {
        let rules = rules(1);
        let mut pending = Pending::default();
        pending.changed(0, b"a", "hset", rules.iter());
        pending.changed(1, b"a", "hset", rules.iter());
        pending.flushed(&[1], "flushdb");
        pending.changed(1, b"b", "hset", rules.iter());
        assert_eq!((pending.flush_of(0), pending.flush_of(1)), (None, Some((1, "flushdb"))));
        assert_eq!(pending.changes().len(), 2);
        pending.flushed(&[0], "swapdb");
        assert_eq!((pending.flush_of(0), pending.flush_of(1)), (Some((0, "swapdb")), Some((1, "flushdb"))));
        assert_eq!(pending.flush_of(2), Some((0, "swapdb")), "it lost its stream");
        pending.flushed(&[], "flushall");
        assert_eq!((pending.flush_of(0), pending.flush_of(1)), (Some((0, "flushall")), Some((1, "flushall"))));
        assert!(pending.changes().is_empty() && !pending.is_empty());
    }
}
