//! Entries of a change stream as one string: what `WB.READ` replies. A client that reads entry by entry spends more on the
//! protocol than on the records.

use std::ops::Range;

/// The length of an id, of a length, and of what a part begins with.
const ID_BYTES: usize = 16;
const LEN_BYTES: usize = 4;
const PART_BYTES: usize = 1 + LEN_BYTES;

/// What the part of a record, and that of an order, begin with.
const RECORD: u8 = b'r';
const ORDER: u8 = b'o';

/// Writes entries, one behind the other.
pub struct EntryWriter<'o> {
    out: &'o mut Vec<u8>,
    /// Where the length of the entry stands.
    len_at: usize,
}

impl<'o> EntryWriter<'o> {
    /// Writes into an empty buffer.
    pub const fn new(out: &'o mut Vec<u8>) -> Self {
        Self { out, len_at: 0 }
    }

    /// Begins an entry.
    pub fn entry(&mut self, ms: u64, seq: u64) {
        self.out.extend_from_slice(&ms.to_be_bytes());
        self.out.extend_from_slice(&seq.to_be_bytes());
        self.len_at = self.out.len();
        self.out.extend_from_slice(&[0; LEN_BYTES]);
    }

    /// Its record.
    pub fn record(&mut self, record: &[u8]) {
        self.part(RECORD, record);
    }

    /// Its order among the records of other servers.
    pub fn order(&mut self, order: &[u8]) {
        self.part(ORDER, order);
    }

    /// How many bytes were written.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether nothing was written.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    fn part(&mut self, kind: u8, bytes: &[u8]) {
        self.out.push(kind);
        self.out.extend_from_slice(&len_bytes(bytes.len()));
        self.out.extend_from_slice(bytes);
        let len = len_bytes(self.out.len() - self.len_at - LEN_BYTES);
        if let Some(place) = self.out.get_mut(self.len_at..self.len_at + LEN_BYTES) {
            place.copy_from_slice(&len);
        }
    }
}

/// A length: a Redis value is at most 512 MB.
fn len_bytes(len: usize) -> [u8; LEN_BYTES] {
    u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes()
}

/// One entry, and where its parts stand in the whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamEntry {
    /// The milliseconds of its id.
    pub ms: u64,
    /// Its number among those of one millisecond.
    pub seq: u64,
    /// The record; empty where it has none.
    pub record: Range<usize>,
    /// Its order.
    pub order: Option<Range<usize>>,
}

/// The entries of a reply. `None` where it is none.
#[must_use]
pub fn read_entries(reply: &[u8]) -> Option<Vec<StreamEntry>> {
    let mut entries = Vec::new();
    let mut at = 0;
    while at < reply.len() {
        let ms = u64::from_be_bytes(*reply.get(at..)?.first_chunk()?);
        let seq = u64::from_be_bytes(*reply.get(at + 8..)?.first_chunk()?);
        at += ID_BYTES;
        let end = at + LEN_BYTES + len_at(reply, at)?;
        at += LEN_BYTES;
        let mut entry = StreamEntry { ms, seq, record: at..at, order: None };
        while at < end {
            let kind = *reply.get(at)?;
            let part = at + PART_BYTES..at + PART_BYTES + len_at(reply, at + 1)?;
            at = part.end;
            match kind {
                // The first counts.
                RECORD if entry.record.is_empty() => entry.record = part,
                ORDER if entry.order.is_none() => entry.order = Some(part),
                _ => {}
            }
        }
        if at != end || end > reply.len() {
            return None;
        }
        entries.push(entry);
    }
    Some(entries)
}

fn len_at(reply: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32::from_be_bytes(*reply.get(at..)?.first_chunk()?)).ok()
}
