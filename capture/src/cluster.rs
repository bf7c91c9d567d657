//! What this server knows of its Redis Cluster: which slots are its own, which are on the move, and in which order its
//! records of a slot stand to those of other servers. It must not know how a record is made or where it goes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::ffi::Context;
use crate::recorder::now_us;

/// How many slots there are.
pub(crate) const SLOTS: u16 = 16_384;
/// How often the cluster is looked at for the sake of slots that are another server's.
const LOOK_AT_FOREIGN: Duration = Duration::from_millis(100);

/// What a slot is to this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Another server's, or nobody's.
    Foreign,
    /// Its own.
    Own,
    /// Its own, and on its way to another server.
    Leaving,
    /// Another server's, and on its way here: keys that have arrived are written to here.
    Coming,
}

/// What the command that runs does to keys without changing them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Running {
    /// Nothing of the kind.
    Other,
    /// `MIGRATE`: keys that go from here are at another server now.
    Sends,
    /// `RESTORE-ASKING`, by which `MIGRATE` sends a key: one that comes was at another server before.
    Receives,
}

/// Why the records of a slot are behind those of other servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Since {
    /// The slot is this server's.
    Owned,
    /// The slot is on its way here.
    Coming,
    /// The slot is this server's, and its epoch alone does not put it behind all that was captured before: keys came
    /// back that had been on their way to another server, or it was captured here while it was on its way here.
    CameBack,
}

/// Since when, and with what right, this server captures the keys of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tenure {
    since: Since,
    /// The cluster's epoch then.
    epoch: u64,
    time_us: u64,
}

/// What was known when this server began to capture again, and had forgotten since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Begun {
    epoch: u64,
    time_us: u64,
}

/// Where a record of a slot stands among those that other servers captured of the same key; see `record/FORMAT.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Order {
    slot: u16,
    epoch: u64,
    letter: char,
    time_us: u64,
}

impl std::fmt::Display for Order {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { slot, epoch, letter, time_us } = self;
        write!(out, "{slot:x} {epoch:x} {letter} {time_us:x}")
    }
}

/// What is known of the cluster; empty on a standalone server.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// One for each slot; empty as long as nothing was read.
    places: Vec<Place>,
    /// The epoch that this server's slots were claimed in, and the newest that it has heard of.
    own_epoch: u64,
    newest_epoch: u64,
    tenures: BTreeMap<u16, Tenure>,
    begun: Option<Begun>,
    /// Whether the next look is the first since then.
    has_forgotten: bool,
    looked: Option<Instant>,
    /// Whether something happened since the last look.
    pub(crate) is_stale: bool,
    pub(crate) running: Running,
    /// Whether the deletion that was announced last belongs to a slot that went to another server.
    pub(crate) goes_with_slot: bool,
}

impl Cluster {
    /// Nothing is known.
    pub(crate) const UNKNOWN: Self = Self {
        places: Vec::new(),
        own_epoch: 0,
        newest_epoch: 0,
        tenures: BTreeMap::new(),
        begun: None,
        has_forgotten: false,
        looked: None,
        is_stale: true,
        running: Running::Other,
        goes_with_slot: false,
    };

    /// What a slot is to this server.
    pub(crate) fn place(&self, slot: u16) -> Place {
        self.places.get(usize::from(slot)).copied().unwrap_or(Place::Foreign)
    }

    /// The slot whose tag the streams get: its own, and not about to leave. The highest, since whoever moves slots
    /// commonly begins with the lowest.
    pub(crate) fn pick(&self) -> Option<u16> {
        (0..SLOTS).rev().find(|slot| self.place(*slot) == Place::Own)
    }

    /// Takes note of a command that is about to run.
    pub(crate) fn runs(&mut self, words: &[&[u8]], time_us: impl FnOnce() -> u64) {
        let [name, rest @ ..] = words else { return };
        let is = |word: &[u8], other: &str| word.eq_ignore_ascii_case(other.as_bytes());
        self.running = match name.len() {
            7 if is(name, "migrate") => Running::Sends,
            14 if is(name, "restore-asking") => Running::Receives,
            7 if is(name, "cluster") => {
                self.is_stale = true;
                if let [sub, slot, how, ..] = rest
                    && is(sub, "setslot")
                    && is(how, "importing")
                    && let Some(slot) = std::str::from_utf8(slot).ok().and_then(|slot| slot.parse().ok())
                {
                    // What was captured here before is over. All other ends and turns of a move leave the tenure as it
                    // is: what was captured in it must not come behind what follows.
                    let (since, epoch) = (Since::Coming, self.newest_epoch);
                    self.tenures.insert(slot, Tenure { since, epoch, time_us: time_us() });
                }
                Running::Other
            }
            _ => Running::Other,
        };
    }

    /// A key came from another server: whoever captured it there did so before.
    pub(crate) fn arrived(&mut self, key: &[u8], time_us: u64) {
        let slot = slot_of(key);
        let since = if self.place(slot) == Place::Coming { Since::Coming } else { Since::CameBack };
        self.tenures.insert(slot, Tenure { since, epoch: self.newest_epoch, time_us });
    }

    /// Forgets since when slots were captured: this server begins to.
    pub(crate) fn begins(&mut self) {
        self.tenures.clear();
        self.begun = None;
        self.has_forgotten = true;
        self.is_stale = true;
    }

    /// Where a record of a slot stands that is captured now.
    pub(crate) fn order(&mut self, slot: u16, time_us: u64) -> Order {
        let coming = !matches!(self.place(slot), Place::Own | Place::Leaving);
        let (since, epoch) = if coming { (Since::Coming, self.newest_epoch) } else { (Since::Owned, self.own_epoch) };
        let begins = Tenure { since, epoch, time_us };
        let first = match self.begun {
            // This server may have captured the slot as one that came back, and not remember it.
            Some(Begun { epoch, time_us }) if !coming && epoch >= self.own_epoch => {
                Tenure { since: Since::CameBack, epoch, time_us }
            }
            _ => begins,
        };
        let tenure = self.tenures.entry(slot).or_insert(first);
        match tenure.since {
            // The epoch may have grown.
            same if same == since => tenure.epoch = epoch,
            // It stays in the epoch in which it came back, until this server claims slots in a newer one.
            Since::CameBack if !coming && tenure.epoch >= epoch => {}
            // Redis raises the epoch of the server that a slot comes to, but not if it is the greatest already.
            Since::Coming if tenure.epoch >= epoch => {
                let time_us = time_us.max(tenure.time_us.saturating_add(1));
                *tenure = Tenure { since: Since::CameBack, epoch: tenure.epoch, time_us };
            }
            _ => *tenure = begins,
        }
        let letter = match tenure.since {
            Since::Owned => 'o',
            Since::Coming => 'i',
            Since::CameBack => 'b',
        };
        Order { slot, epoch: tenure.epoch, letter, time_us: tenure.time_us }
    }

    /// Takes in what `CLUSTER NODES` and `CLUSTER INFO` say.
    fn read(&mut self, nodes: &str, info: &str, time_us: u64) {
        self.is_stale = false;
        self.looked = Some(Instant::now());
        let newest = info.lines().find_map(|line| line.strip_prefix("cluster_current_epoch:"));
        self.newest_epoch = newest.and_then(|epoch| epoch.trim().parse().ok()).unwrap_or(self.newest_epoch);
        self.places = vec![Place::Foreign; usize::from(SLOTS)];
        let is_own = |line: &&str| line.split(' ').nth(2).is_some_and(|flags| flags.split(',').any(|f| f == "myself"));
        let Some(own) = nodes.lines().find(is_own) else { return };
        let mut words = own.split(' ').skip(6);
        self.own_epoch = words.next().and_then(|epoch| epoch.parse().ok()).unwrap_or(self.own_epoch);
        for range in words.skip(1) {
            self.read_range(range);
        }
        if std::mem::take(&mut self.has_forgotten) {
            self.begin(time_us);
        }
        let places = &self.places;
        self.tenures.retain(|slot, _| places.get(usize::from(*slot)).is_some_and(|place| *place != Place::Foreign));
    }

    /// Notes what is known at first. Other servers capture keys of a slot that leaves already: only its epoch tells that
    /// this server was before them.
    fn begin(&mut self, time_us: u64) {
        self.begun = Some(Begun { epoch: self.newest_epoch, time_us });
        for slot in (0..SLOTS).filter(|slot| self.place(*slot) == Place::Leaving).collect::<Vec<_>>() {
            let (since, epoch) = (Since::Owned, self.own_epoch);
            self.tenures.entry(slot).or_insert(Tenure { since, epoch, time_us });
        }
    }

    /// Whether the cluster has to be looked at before a slot's place counts.
    fn is_due(&self, slot: Option<u16>) -> bool {
        self.is_stale
            || slot.is_some_and(|slot| match self.place(slot) {
                Place::Own | Place::Leaving => false,
                Place::Coming => true,
                Place::Foreign => self.looked.is_none_or(|looked| looked.elapsed() >= LOOK_AT_FOREIGN),
            })
    }

    /// One of `0-5460`, `77`, `[77->-id]`, `[93-<-id]`.
    fn read_range(&mut self, range: &str) {
        let number = |text: &str| text.parse::<u16>().ok();
        if let Some(open) = range.strip_prefix('[') {
            let (slot, place) = match (open.split_once("->-"), open.split_once("-<-")) {
                (Some((slot, _)), _) => (number(slot), Place::Leaving),
                (_, Some((slot, _))) => (number(slot), Place::Coming),
                _ => return,
            };
            self.set(slot, place);
            return;
        }
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        if let (Some(first), Some(last)) = (number(first), number(last)) {
            (first..=last).for_each(|slot| self.set(Some(slot), Place::Own));
        }
    }

    fn set(&mut self, slot: Option<u16>, place: Place) {
        if let Some(found) = slot.and_then(|slot| self.places.get_mut(usize::from(slot))) {
            *found = place;
        }
    }
}

/// Looks at the cluster if something happened, or if a slot is on its way here, whose order hangs on the newest epoch. For
/// slots of other servers, not at every key: Redis may throw away very many at once.
pub(crate) fn look(context: &Context, slot: Option<u16>) {
    if crate::capture::with(|state| state.cluster.is_due(slot)) != Some(true) {
        return;
    }
    if let (Ok(nodes), Ok(info)) = (context.cluster(c"NODES"), context.cluster(c"INFO")) {
        let [nodes, info] = [nodes.text(), info.text()].map(|text| String::from_utf8_lossy(text).into_owned());
        crate::capture::with(|state| state.cluster.read(&nodes, &info, now_us()));
    }
}

/// The slot of a key: that of what stands in its first pair of braces, if something does.
pub(crate) fn slot_of(key: &[u8]) -> u16 {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = key.get(open + 1..)?;
        let close = rest.iter().position(|byte| *byte == b'}')?;
        rest.get(..close).filter(|tag| !tag.is_empty())
    });
    crc16(tag.unwrap_or(key)) % SLOTS
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc: u16, byte| {
        let at = usize::from((crc >> 8) ^ u16::from(*byte));
        (crc << 8) ^ CRC.get(at).copied().unwrap_or_default()
    })
}

/// What one byte does to the sum.
static CRC: [u16; 256] = {
    let mut table = [0; 256];
    let mut at: u16 = 0;
    while at < 256 {
        let mut crc = at << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
            bit += 1;
        }
        #[expect(clippy::indexing_slicing, reason = "`at` is below 256; a constant cannot ask more politely")]
        {
            table[at as usize] = crc;
        }
        at += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    const NODES: &str = "\
07c3 127.0.0.1:30004@31004,host slave e7d1 0 1426238317239 4 connected
67ed 127.0.0.1:30002@31002,host master - 0 1426238316232 2 connected 5461-10922
e7d1 127.0.0.1:30001@31001,host myself,master - 0 0 7 connected 0-5459 5460 [77->-67ed] [9000-<-67ed]
";

    fn cluster() -> Cluster {
        let mut cluster = Cluster::UNKNOWN;
        cluster.read(NODES, "cluster_state:ok\r\ncluster_current_epoch:9\r\ncluster_my_epoch:7\r\n", 0x9);
        cluster
    }

    #[test]
    fn slots_are_as_redis_computes_them() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!(
            [&b"foo"[..], b"{user1000}.following", b"foo{}{bar}", b"0"].map(slot_of),
            [12182, 3443, 8363, 13907]
        );
        assert_eq!(slot_of(b"{user1000}.followers"), slot_of(b"user1000"));
    }

    #[test]
    fn the_own_line_tells_the_slots() {
        let cluster = cluster();
        let places = [0, 77, 5460, 5461, 9000].map(|slot| cluster.place(slot));
        assert_eq!(places, [Place::Own, Place::Leaving, Place::Own, Place::Foreign, Place::Coming]);
        assert_eq!((cluster.own_epoch, cluster.newest_epoch, cluster.pick()), (7, 9, Some(5460)));
    }

    #[test]
    fn records_of_a_slot_are_ordered_by_who_had_it() {
        let mut cluster = cluster();
        let shown = |cluster: &mut Cluster, slot, time| cluster.order(slot, time).to_string();
        assert_eq!(shown(&mut cluster, 16, 0xa), "10 7 o a");
        assert_eq!(shown(&mut cluster, 9000, 0xa), "2328 9 i a");
        assert_eq!(shown(&mut cluster, 16, 0xb), "10 7 o a", "still the same");
        // The slot is this server's now, which claimed it in a new epoch.
        cluster.runs(&[b"CLUSTER", b"SETSLOT", b"9000", b"NODE", b"e7d1"], || 0xc);
        assert!(cluster.is_stale);
        let after = NODES.replace("0 0 7 connected", "0 0 10 connected").replace("[9000-<-67ed]", "9000");
        cluster.read(&after, "cluster_current_epoch:10\r\n", 0xc);
        assert_eq!(shown(&mut cluster, 9000, 0xc), "2328 a o c");
        // A key comes back, since its slot does not move after all.
        cluster.arrived(b"{user1000}", 0xd);
        assert_eq!(shown(&mut cluster, 3443, 0xe), "d73 a b d");
        // The move is over, and nothing else changed.
        cluster.runs(&[b"cluster", b"setslot", b"3443", b"stable"], || 0xf);
        assert_eq!(shown(&mut cluster, 3443, 0xf), "d73 a b d");
        // It claims slots in a newer epoch.
        cluster.read(&NODES.replace("0 0 7 connected", "0 0 11 connected"), "cluster_current_epoch:11\r\n", 0x10);
        assert_eq!(shown(&mut cluster, 3443, 0x10), "d73 b o 10");
    }

    #[test]
    fn a_slot_that_comes_to_the_greatest_epoch_goes_on_behind_what_was_captured() {
        let nodes = NODES.replace("0 0 7 connected", "0 0 9 connected");
        let info = "cluster_current_epoch:9\r\n";
        for captures_while_open in [true, false] {
            let mut cluster = Cluster::UNKNOWN;
            cluster.read(&nodes.replace(" [9000-<-67ed]", ""), info, 0x1);
            cluster.runs(&[b"cluster", b"setslot", b"9000", b"importing", b"67ed"], || 0xa);
            cluster.read(&nodes, info, 0xa);
            if captures_while_open {
                assert_eq!(cluster.order(9000, 0xb).to_string(), "2328 9 i a");
            }
            cluster.runs(&[b"cluster", b"setslot", b"9000", b"node", b"e7d1"], || 0xc);
            cluster.read(&nodes.replace("[9000-<-67ed]", "9000"), info, 0xc);
            // No `o`: that would come before what was captured here, or where keys came back to.
            assert_eq!(cluster.order(9000, 0xd).to_string(), "2328 9 b d");
            assert_eq!(cluster.order(9000, 0xe).to_string(), "2328 9 b d", "and stays there");
        }
    }

    #[test]
    fn a_server_that_begins_is_behind_what_it_forgot() {
        let mut cluster = cluster();
        cluster.arrived(b"{user1000}", 0xa);
        assert_eq!(cluster.order(3443, 0xb).to_string(), "d73 9 b a");
        cluster.begins();
        cluster.read(NODES, "cluster_current_epoch:9\r\n", 0xc);
        assert_eq!(cluster.order(3443, 0xd).to_string(), "d73 9 b c");
        assert_eq!(cluster.order(77, 0xd).to_string(), "4d 7 o c", "others capture keys of it already");
    }

    #[test]
    fn foreign_slots_are_looked_at_now_and_then() {
        let mut cluster = cluster();
        assert_eq!([0, 77, 9000, 5461].map(|slot| cluster.is_due(Some(slot))), [false, false, true, false]);
        cluster.looked = None;
        assert!(cluster.is_due(Some(5461)) && !cluster.is_due(None));
        cluster.begins();
        assert!(cluster.is_due(None));
    }

    #[test]
    fn commands_that_move_keys_are_known() {
        let mut cluster = cluster();
        for (words, running) in [
            (&[&b"MIGRATE"[..], b"127.0.0.1"][..], Running::Sends),
            (&[b"hset", b"a"], Running::Other),
            (&[b"restore-asking", b"a"], Running::Receives),
            (&[b"restore", b"a"], Running::Other),
        ] {
            cluster.runs(words, || 0);
            assert_eq!(cluster.running, running);
        }
    }
}
