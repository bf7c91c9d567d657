//! Where records go: the tag of the streams, the streams that are here, the records that wait for a place. It must not
//! know what a record says.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::capture::{self, State};
use crate::cluster::{self, Place, slot_of};
use crate::ffi::{Context, Kind};
use crate::recorder::{self, now_us};
use crate::rules::{STREAM_PREFIX, STREAMS_DB, is_own};

/// The tag on a standalone server: it only has to be there, so that names have the same shape everywhere.
const STANDALONE_TAG: &[u8] = b"0";
/// How many bytes of records may wait for a place.
const WAITING_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A record that could not be appended as yet.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// The name of its rule.
    pub(crate) rule: Vec<u8>,
    pub(crate) record: Vec<u8>,
    pub(crate) order: String,
}

/// Where the records of this server go.
#[derive(Debug)]
pub(crate) struct Streams {
    /// The tag in a cluster: it hashes to a slot of this shard. Empty until there is one.
    tag: Vec<u8>,
    /// The one before.
    tag_before: Vec<u8>,
    /// The last entry that each rule got: milliseconds and number.
    last: BTreeMap<Vec<u8>, (u64, u64)>,
    /// By rule, whose stream has another name since: the tag before, and its last entry of this server. Where a server
    /// just began, two of them.
    before: BTreeMap<Vec<u8>, String>,
    /// Whether a server before this one may have appended under the tag.
    is_inherited: bool,
    /// Every stream that is here, also those that came with a slot.
    here: BTreeSet<Vec<u8>>,
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
}

impl Streams {
    /// None.
    pub(crate) const EMPTY: Self = Self {
        tag: Vec::new(),
        tag_before: Vec::new(),
        last: BTreeMap::new(),
        before: BTreeMap::new(),
        is_inherited: false,
        here: BTreeSet::new(),
        waiting: VecDeque::new(),
        waiting_bytes: 0,
    };

    /// The tag in a cluster; empty where there is none.
    pub(crate) fn tag(&self) -> &[u8] {
        &self.tag
    }

    /// The tag before.
    pub(crate) fn tag_before(&self) -> &[u8] {
        &self.tag_before
    }

    /// All streams that are here.
    pub(crate) fn here(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.here.iter()
    }

    /// A stream came to be.
    pub(crate) fn comes(&mut self, stream: &[u8]) {
        if is_stream(stream) {
            self.here.insert(stream.to_vec());
        }
    }

    /// A stream is gone.
    pub(crate) fn goes(&mut self, stream: &[u8]) {
        self.here.remove(stream);
    }

    /// Forgets all that data brings along.
    pub(crate) fn forget(&mut self) {
        *self = Self::EMPTY;
    }

    /// How many records wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Takes over the tag that the primary, or this server before, had.
    pub(crate) fn repeat(&mut self, tag: &[u8], before: &[u8]) {
        tag.clone_into(&mut self.tag);
        before.clone_into(&mut self.tag_before);
    }

    /// Lets a record wait; false where there is no room.
    pub(crate) fn wait(&mut self, waiting: Waiting) -> bool {
        let bytes = waiting.record.len();
        let fits = self.waiting_bytes.saturating_add(bytes) <= WAITING_BYTES_MAX;
        if fits {
            self.waiting_bytes += bytes;
            self.waiting.push_back(waiting);
        }
        fits
    }

    /// Takes the record that waits longest.
    pub(crate) fn next(&mut self) -> Option<Waiting> {
        let next = self.waiting.pop_front()?;
        self.waiting_bytes = self.waiting_bytes.saturating_sub(next.record.len());
        Some(next)
    }

    /// Puts it back.
    pub(crate) fn put_back(&mut self, next: Waiting) {
        self.waiting_bytes += next.record.len();
        self.waiting.push_front(next);
    }

    /// What the first record in a stream of another name says of the stream before.
    pub(crate) fn before(&self, rule: &[u8]) -> Option<&str> {
        self.before.get(rule).map(String::as_str)
    }

    /// The order of a record with what it is behind; `None` where it has none.
    fn whole_order(&self, rule: &[u8], order: &str) -> Option<String> {
        let before = self.before(rule).map(|before| format!(" {before}")).unwrap_or_default();
        (!order.is_empty()).then(|| format!("{order}{before}"))
    }

    /// Takes note of an entry that a rule got; one without an order (a flush) cannot say what it is behind, and leaves
    /// that to the next.
    pub(crate) fn appended(&mut self, rule: &[u8], id: &[u8], has_order: bool) {
        if has_order {
            self.before.remove(rule);
        }
        let id = std::str::from_utf8(id).ok().and_then(|id| id.split_once('-'));
        let Some((Ok(ms), Ok(seq))) = id.map(|(ms, seq)| (ms.parse(), seq.parse())) else { return };
        match self.last.get_mut(rule) {
            Some(last) => *last = (ms, seq),
            None => drop(self.last.insert(rule.to_vec(), (ms, seq))),
        }
    }

    /// Gives the streams of all rules another tag.
    fn rename<'r>(&mut self, tag: &[u8], rules: impl Iterator<Item = &'r [u8]>) {
        if self.tag.is_empty() {
            self.tag = tag.to_vec();
            return;
        }
        self.note_before(rules);
        self.is_inherited = false;
        self.tag_before = std::mem::replace(&mut self.tag, tag.to_vec());
    }

    /// Keeps what the streams of this tag have, for those that come after.
    fn note_before<'r>(&mut self, rules: impl Iterator<Item = &'r [u8]>) {
        for rule in rules {
            let mut before = self.before.remove(rule).unwrap_or_default();
            // A stream that got nothing under this tag is still behind the one before.
            if before.is_empty() || self.is_inherited {
                // What a server before this one appended is not known; all of it is in the past.
                let (ms, seq) = self.last.remove(rule).unwrap_or_else(|| (now_us() / 1_000, u64::MAX));
                let space = if before.is_empty() { "" } else { " " };
                before += &format!("{space}{} {ms}-{seq}", String::from_utf8_lossy(&self.tag));
            }
            self.before.insert(rule.to_vec(), before);
        }
    }

    /// A server begins: what it appends under its tag may come behind streams of the tag before, of which only the
    /// server before knew whether they were mentioned.
    pub(crate) fn begins<'r>(&mut self, rules: impl Iterator<Item = &'r [u8]>) {
        self.last.clear();
        self.before.clear();
        self.is_inherited = true;
        if !self.tag_before.is_empty() {
            let tag = std::mem::replace(&mut self.tag, self.tag_before.clone());
            self.note_before(rules);
            self.tag = tag;
        }
    }
}

impl State {
    /// The name of the stream of a rule; empty where there is no slot for it.
    pub(crate) fn stream(&self, rule: &[u8]) -> Vec<u8> {
        let mut name = Vec::new();
        self.write_stream(rule, &mut name);
        name
    }

    /// As [`State::stream`], written into a buffer.
    pub(crate) fn write_stream(&self, rule: &[u8], name: &mut Vec<u8>) {
        name.clear();
        let tag = if self.is_clustered { self.streams.tag.as_slice() } else { STANDALONE_TAG };
        if !tag.is_empty() {
            [STREAM_PREFIX, tag, b"}:", rule].iter().for_each(|part| name.extend_from_slice(part));
        }
    }

    /// Whether a stream is one that records are appended to.
    pub(crate) fn appends_to(&self, stream: &[u8]) -> bool {
        let rest = stream.strip_prefix(STREAM_PREFIX).and_then(|rest| rest.strip_prefix(self.streams.tag.as_slice()));
        !self.is_clustered || rest.is_some_and(|rest| rest.starts_with(b"}:"))
    }
}

/// Makes sure that the tag is one of this shard's slots that stays, where there is such a slot. A new tag begins an
/// epoch: the name may have been in use before, and the stream starts from the clock.
pub(crate) fn settle_tag(context: &Context) {
    let picked = capture::with(|state| {
        let tag = state.streams.tag();
        let stays = !tag.is_empty() && state.cluster.place(slot_of(tag)) == Place::Own;
        if stays { None } else { state.cluster.pick() }
    });
    let Some(tag) = picked.flatten().and_then(|slot| context.tag(slot)) else { return };
    capture::with(|state| {
        let rules = state.rules.iter().map(|rule| rule.name.as_slice());
        state.streams.rename(&tag, rules);
    });
    let before = capture::with(|state| state.streams.tag_before().to_vec()).unwrap_or_default();
    context.replicate_tag(&tag, &before);
    capture::draw_epoch();
}

/// Appends the records that wait, in their order; whether none is left.
pub(crate) fn append_waiting(context: &Context) -> bool {
    while let Some(next) = capture::with(|state| state.streams.next()).flatten() {
        cluster::look(context, None);
        settle_tag(context);
        let (stream, order) =
            capture::with(|state| (state.stream(&next.rule), state.streams.whole_order(&next.rule, &next.order)))
                .unwrap_or_default();
        context.select(STREAMS_DB);
        let id = if stream.is_empty() {
            Err(String::new())
        } else {
            recorder::append(context, &stream, &next.record, order.as_ref().map(String::as_bytes))
        };
        match id {
            Ok(id) => {
                capture::with(|state| state.streams.appended(&next.rule, id.text(), order.is_some()));
            }
            Err(_) => {
                capture::with(|state| {
                    state.cluster.is_stale = true;
                    state.streams.put_back(next);
                });
                return false;
            }
        }
    }
    true
}

/// Looks for streams of a rule that were here before it, in all slots: nobody told of those.
pub(crate) fn find(context: &Context, rule: &[u8]) {
    if capture::with(|state| state.is_clustered) != Some(true) {
        return;
    }
    context.select(STREAMS_DB);
    for tag in (0..cluster::SLOTS).filter_map(|slot| context.tag(slot)) {
        let stream = [STREAM_PREFIX, &tag, b"}:", rule].concat();
        if context.open(&stream).is_some_and(|open| open.kind() == Kind::Stream) {
            capture::with(|state| state.streams.comes(&stream));
        }
    }
}

/// The streams that are here, and those that records will be appended to. The slot of the tag may have gone to another
/// server since the last record, and whoever reads the streams there must not be sent here.
pub(crate) fn here(context: &Context) -> Vec<Vec<u8>> {
    capture::with(|state| state.cluster.is_stale |= state.is_clustered);
    cluster::look(context, None);
    let (known, own) = capture::with(|state| {
        let known: Vec<Vec<u8>> = state.streams.here().cloned().collect();
        let stays = !state.is_clustered || state.cluster.place(slot_of(state.streams.tag())) == Place::Own;
        let rules = state.rules.iter().filter(|_| stays);
        let own: BTreeSet<Vec<u8>> = rules.map(|rule| state.stream(&rule.name)).collect();
        (known, own)
    })
    .unwrap_or_default();
    context.select(STREAMS_DB);
    let is_here = |stream: &Vec<u8>| context.open(stream).is_some_and(|open| open.kind() == Kind::Stream);
    let others = known.into_iter().filter(|stream| !own.contains(stream)).filter(is_here);
    others.chain(own.iter().filter(|stream| !stream.is_empty()).cloned()).collect()
}

/// Whether a key is a change stream: `wb:{tag}:job`.
pub(crate) fn is_stream(key: &[u8]) -> bool {
    let rest = key.strip_prefix(STREAM_PREFIX).unwrap_or_default();
    is_own(key)
        && rest
            .iter()
            .position(|byte| *byte == b'}')
            .is_some_and(|close| rest.get(close + 1) == Some(&b':') && rest.len() > close + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_told_from_what_stands_beside_them() {
        for (key, is) in [
            (&b"wb:{0}:emp"[..], true),
            (b"wb:{06S}:a}:b", true),
            (b"wb:{0}/applied/emp/", false),
            (b"wb:{0}:", false),
            (b"wb:{0}", false),
            (b"dlq:wb:{0}:emp", false),
        ] {
            assert_eq!(is_stream(key), is, "{}", String::from_utf8_lossy(key));
        }
    }

    #[test]
    fn another_name_is_behind_the_one_before() {
        let mut streams = Streams::EMPTY;
        let rules = || [&b"emp"[..], b"dept"].into_iter();
        streams.rename(b"a", rules());
        assert_eq!(streams.before(b"emp"), None);
        streams.appended(b"emp", b"17-3", true);
        streams.rename(b"b", rules());
        assert_eq!(streams.before(b"emp"), Some("a 17-3"));
        assert!(streams.before(b"dept").unwrap().ends_with("-18446744073709551615"), "all until now");
        streams.appended(b"dept", b"17-9", false);
        assert!(
            streams.before(b"dept").is_some() && streams.whole_order(b"dept", "").is_none(),
            "a flush says nothing"
        );
        streams.appended(b"dept", b"18-0", true);
        streams.rename(b"c", rules());
        assert_eq!(streams.before(b"emp"), Some("a 17-3"), "nothing was appended in between");
        assert_eq!(streams.before(b"dept"), Some("b 18-0"));
        streams.appended(b"emp", b"19-0", true);
        assert_eq!(streams.before(b"emp"), None);
        // A promoted replica knows the two tags only.
        let mut promoted = Streams::EMPTY;
        promoted.repeat(streams.tag(), streams.tag_before());
        promoted.begins(rules());
        assert!(promoted.before(b"emp").unwrap().starts_with("b "));
        assert_eq!(promoted.tag(), b"c");
        promoted.rename(b"d", rules());
        let both: Vec<_> = promoted.before(b"emp").unwrap().split(' ').step_by(2).collect();
        assert_eq!(both, ["b", "c"]);
    }
}
