//! Places in a stream.

use std::fmt;

/// The id of a stream entry. Ids compare only within one epoch of capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Position {
    /// Milliseconds since 1970, by the clock of Redis.
    pub(crate) ms: u64,
    /// The number within the millisecond.
    pub(crate) seq: u64,
}

impl Position {
    /// Before every entry.
    pub(crate) const START: Self = Self { ms: 0, seq: 0 };

    /// Reads `ms-seq`.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let (ms, seq) = std::str::from_utf8(text).ok()?.split_once('-')?;
        Some(Self { ms: ms.parse().ok()?, seq: seq.parse().ok()? })
    }
}

impl fmt::Display for Position {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}-{}", self.ms, self.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::Position;

    #[test]
    fn they_read_print_and_compare_as_redis_does() {
        let position = Position::parse(b"1718-12").unwrap();
        assert_eq!(position.to_string(), "1718-12");
        assert!(position < Position::parse(b"1719-0").unwrap());
        assert_eq!(Position::parse(b"1718"), None);
        assert_eq!(Position::parse(b"-1-2"), None);
    }
}
