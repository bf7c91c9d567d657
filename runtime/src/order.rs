//! Where a record of a Redis Cluster stands among those of the same key in other streams; see `record/FORMAT.md`.

use crate::position::Position;
use crate::topology::Tag;

/// What the field `o` of an entry says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    /// The slot of the key, as the field has it.
    pub(crate) slot: String,
    epoch: u64,
    is_own: bool,
    /// Whether other shards captured keys of the slot at the same time.
    pub(crate) is_coming: bool,
    /// Since when the shard captures the slot, in microseconds since 1970.
    pub(crate) time_us: u64,
    /// Entries of streams with an earlier tag that come first.
    pub(crate) behind: Vec<(Tag, Position)>,
}

impl Order {
    /// Reads the field.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let mut words = std::str::from_utf8(text).ok()?.split(' ');
        let slot = words.next()?.to_owned();
        let epoch = u64::from_str_radix(words.next()?, 16).ok()?;
        let letter = words.next()?;
        let time_us = u64::from_str_radix(words.next()?, 16).ok()?;
        let mut behind = Vec::new();
        while let Some(tag) = words.next() {
            behind.push((Tag::new(tag), Position::parse(words.next()?.as_bytes())?));
        }
        Some(Self { slot, epoch, is_own: letter == "o", is_coming: letter == "i", time_us, behind })
    }

    /// What is smaller comes first.
    pub(crate) const fn rank(&self) -> (u64, u64) {
        (self.epoch, if self.is_own { 0 } else { self.time_us })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_come_before_those_whom_slots_come_to() {
        let order = |text: &str| Order::parse(text.as_bytes()).unwrap();
        let ranks = ["2f 3 o ff", "2f 3 i a", "2f 3 b b", "2f 4 o 1", "2f 10 o 0"].map(|text| order(text).rank());
        assert!(ranks.is_sorted() && ranks.windows(2).all(|pair| pair[0] != pair[1]), "{ranks:?}");
        assert_eq!(order("0 3 o ff").rank(), order("0 3 o 1").rank());
        let behind = order("0 3 o ff 06S 17-2 a 18-18446744073709551615").behind;
        let at = |ms, seq| Position { ms, seq };
        assert_eq!(behind, [(Tag::new("06S"), at(17, 2)), (Tag::new("a"), at(18, u64::MAX))]);
        assert_eq!(Order::parse(b"0 3 o"), None);
        assert_eq!(Order::parse(b"0 3 o ff 06S"), None);
    }
}
