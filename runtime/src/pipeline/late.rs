//! What keys were found to hold whose records say "read the key now". A key is read once for all of its records that had
//! been read from the stream by then: what it holds is at least as new as what each of them tells of. Knows no Redis.

use std::collections::HashMap;

use bytes::Bytes;
use redis_wb_record::{Flags, Opcode, Record};

use crate::batch::{Entry, Found};
use crate::dead_letters::is_of_application;

/// How many bytes of images are kept for records that follow; the last one is, however large.
const KEPT_BYTES_AIM: usize = 16 * 1024 * 1024;

/// By job and key, for as long as nothing more is read from the streams.
#[derive(Debug, Default)]
pub(super) struct Late {
    keys: HashMap<(usize, Vec<u8>), Held>,
    /// How many bytes of images there are.
    bytes: usize,
}

#[derive(Debug)]
struct Held {
    opcode: Opcode,
    found: Found,
    /// The record with its image, where those that follow need it, too.
    record: Option<Bytes>,
}

impl Late {
    /// Answers a record by what was read for one before it; false where its key has to be read. Where every change is
    /// kept it gets the same image; otherwise nothing follows from it, since the one before says it already.
    pub(super) fn answers(&self, entry: &mut Entry) -> bool {
        let Some(record) = self.follower(entry) else { return false };
        let Some(held) = self.keys.get(&(entry.job, record.key.to_vec())) else { return false };
        match (held.found, &held.record) {
            (Found::AsWritten, Some(whole)) => match with_image_of(whole, record) {
                Some(record) => entry.record = record.into(),
                None => return false,
            },
            (Found::AsWritten, None) if held.opcode != record.opcode => return false,
            (Found::AsWritten, None) => entry.found = Found::Nothing,
            (found, _) => entry.found = found,
        }
        true
    }

    /// The record of an entry, if it may be answered. In a cluster, as long as order matters, what another server tells of
    /// the key may come in between; and what its key held before belongs to one record alone.
    fn follower<'e>(&self, entry: &'e Entry) -> Option<Record<'e>> {
        if self.keys.is_empty() || entry.order.is_some() {
            return None;
        }
        let record = redis_wb_record::decode(&entry.record).ok()?;
        (record.before.is_none() && is_of_application(record.command)).then_some(record)
    }

    /// Takes note of what the key of an entry was found to hold.
    pub(super) fn note(&mut self, entry: &Entry, keeps_changes: bool) {
        let Ok(record) = redis_wb_record::decode_head(&entry.record) else { return };
        if entry.order.is_some() || !is_of_application(record.command) {
            return;
        }
        let whole = (keeps_changes && entry.found == Found::AsWritten).then(|| entry.record.clone());
        let bytes = whole.as_ref().map_or(0, Bytes::len);
        if self.bytes.saturating_add(bytes) > KEPT_BYTES_AIM {
            self.forget();
        }
        self.bytes = self.bytes.saturating_add(bytes);
        let held = Held { opcode: record.opcode, found: entry.found, record: whole };
        self.keys.insert((entry.job, record.key.to_vec()), held);
    }

    /// Takes note of an entry that is written as it is: what follows of its key, or of all after a flush, is not said yet.
    pub(super) fn passes(&mut self, entry: &Entry) {
        if self.keys.is_empty() {
            return;
        }
        match redis_wb_record::decode_head(&entry.record) {
            Ok(record) if record.opcode != Opcode::Flush => drop(self.keys.remove(&(entry.job, record.key.to_vec()))),
            _ => self.forget(),
        }
    }

    /// Forgets all: what is read from now on may be newer.
    pub(super) fn forget(&mut self) {
        self.keys.clear();
        self.bytes = 0;
    }
}

/// A record with the image of another of the same key.
fn with_image_of(whole: &[u8], record: Record<'_>) -> Option<Vec<u8>> {
    let Record { after, data_type, .. } = redis_wb_record::decode(whole).ok()?;
    let flags = Flags::from_bits(record.flags.bits() & !Flags::THIN.bits());
    let mut encoded = Vec::with_capacity(whole.len());
    redis_wb_record::encode(&Record { after, data_type, flags, ..record }, &mut encoded);
    Some(encoded)
}

#[cfg(test)]
mod tests {
    use redis_wb_record::{DataType, Image};

    use super::*;
    use crate::order::Order;
    use crate::position::Position;

    fn entry(opcode: Opcode, command: &str, after: Option<Image<'_>>) -> Entry {
        let flags = if after.is_none() { Flags::THIN } else { Flags::NONE };
        let (key, data_type) = (b"k".as_slice(), DataType::Json);
        let record =
            Record { epoch: 1, time_us: 1, db: 0, key, opcode, command, data_type, after, before: None, flags };
        let mut encoded = Vec::new();
        redis_wb_record::encode(&record, &mut encoded);
        let position = Position { ms: 1, seq: 1 };
        Entry { job: 0, position, record: encoded.into(), order: None, found: Found::AsWritten }
    }

    fn thin() -> Entry {
        entry(Opcode::Update, "json.set", None)
    }

    /// A record whose key was read.
    fn read() -> Entry {
        entry(Opcode::Update, "json.set", Some(Image::Json(b"{}")))
    }

    #[test]
    fn one_that_follows_says_nothing_new() {
        let mut late = Late::default();
        assert!(!late.answers(&mut thin()));
        late.note(&read(), false);
        let mut next = thin();
        assert!(late.answers(&mut next));
        assert_eq!(next.found, Found::Nothing);
        let mut of_other_job = Entry { job: 1, ..thin() };
        assert!(!late.answers(&mut of_other_job));
    }

    #[test]
    fn where_every_change_is_kept_it_has_the_same_image() {
        let mut late = Late::default();
        late.note(&entry(Opcode::Create, "json.set", Some(Image::Json(b"[7]"))), true);
        let mut next = entry(Opcode::Update, "json.clear", None);
        assert!(late.answers(&mut next));
        let record = redis_wb_record::decode(&next.record).unwrap();
        assert_eq!(
            (record.opcode, record.command, record.after),
            (Opcode::Update, "json.clear", Some(Image::Json(b"[7]")))
        );
        assert!(!record.flags.contains(Flags::THIN) && next.found == Found::AsWritten);
    }

    #[test]
    fn what_is_too_large_is_so_for_all_that_follow() {
        let mut late = Late::default();
        late.note(&Entry { found: Found::TooLarge(9), ..thin() }, true);
        let mut next = thin();
        assert!(late.answers(&mut next) && next.found == Found::TooLarge(9));
    }

    /// Each of these stands between the one whose key was read and the one that follows.
    #[test]
    fn the_key_is_read_anew_behind_what_is_written_as_it_is() {
        let between = [
            entry(Opcode::Update, "json.set", Some(Image::Json(b"{}"))),
            entry(Opcode::Delete, "del", None),
            entry(Opcode::Flush, "flushdb", None),
        ];
        for between in between {
            let mut late = Late::default();
            late.note(&read(), false);
            late.passes(&between);
            assert!(!late.answers(&mut thin()), "{between:?}");
        }
    }

    #[test]
    fn records_that_are_not_like_the_one_before_are_read_themselves() {
        let mut late = Late::default();
        late.note(&read(), false);
        assert!(!late.answers(&mut entry(Opcode::Create, "json.set", None)), "a condition may ask for the opcode");
        assert!(!late.answers(&mut entry(Opcode::Update, "wb.replay pg", None)));
        let order = Order::parse(b"2f 3 o ff");
        assert!(order.is_some() && !late.answers(&mut Entry { order, ..thin() }));
        late.forget();
        assert!(!late.answers(&mut thin()));
    }
}
