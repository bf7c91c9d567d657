//! How far the changes of each stream have been applied, kept in the target beside the rows.
//!
//! The checkpoint moves in the same transaction as the rows, from the position that this worker knows to the next.
//! Where it is not at that position any more, another transaction was there first and nothing is written: each
//! change takes effect exactly once, whoever runs.

use std::collections::BTreeMap;

use crate::position::Position;

/// The table that keeps it.
pub(crate) const TABLE: &str = "redis_wb_checkpoint";

/// What stands in place of an epoch in the row of a stream that keeps the fence of its owner. Every transaction locks
/// that row against a claim, and finds no greater fence in it.
pub(crate) const FENCE_ROW: &str = "fence";

/// The id of one life of the capture module: stream ids compare within it.
pub(crate) type Epoch = u64;

/// An epoch as text: 16 hexadecimal digits.
pub(crate) fn epoch_text(epoch: Epoch) -> String {
    format!("{epoch:016x}")
}

/// A step of the checkpoint of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Advance {
    /// The place of the stream in the layout.
    pub(crate) stream: usize,
    /// The epoch of the records.
    pub(crate) epoch: Epoch,
    /// Where it stands now; `None` where this epoch was not met before.
    pub(crate) from: Option<Position>,
    /// Where it goes.
    pub(crate) to: Position,
    /// Whether it is the step of the stream's last record; others are of epochs that ended.
    pub(crate) is_last: bool,
}

/// The positions of one stream.
#[derive(Debug, Clone, Default)]
struct Stream {
    /// The last applied position of each epoch.
    epochs: BTreeMap<Epoch, Step>,
    /// The epoch of the last record.
    current: Epoch,
}

#[derive(Debug, Clone, Copy)]
struct Step {
    /// What the target holds.
    committed: Option<Position>,
    now: Position,
}

/// The positions of all streams of a pipeline.
#[derive(Debug, Clone, Default)]
pub(crate) struct Applied {
    streams: Vec<Stream>,
}

impl Applied {
    /// The positions that a target keeps: stream, epoch and position, the last written last.
    pub(crate) fn new(streams: usize, kept: impl IntoIterator<Item = (usize, Epoch, Position)>) -> Self {
        let mut applied = Self { streams: vec![Stream::default(); streams] };
        for (stream, epoch, position) in kept {
            if let Some(stream) = applied.streams.get_mut(stream) {
                stream.epochs.insert(epoch, Step { committed: Some(position), now: position });
                stream.current = epoch;
            }
        }
        applied
    }

    /// The epoch of the stream's last record: entries that are no record are counted to it.
    pub(crate) fn epoch(&self, stream: usize) -> Epoch {
        self.streams.get(stream).map_or(0, |stream| stream.current)
    }

    /// The last position of the stream's last epoch.
    pub(crate) fn last(&self, stream: usize) -> Option<(Epoch, Position)> {
        let stream = self.streams.get(stream)?;
        stream.epochs.get(&stream.current).map(|step| (stream.current, step.now))
    }

    /// Whether an entry was applied before.
    pub(crate) fn holds(&self, stream: usize, epoch: Epoch, position: Position) -> bool {
        let step = self.streams.get(stream).and_then(|stream| stream.epochs.get(&epoch));
        step.is_some_and(|step| position <= step.now)
    }

    /// Takes an entry into account. False where it was applied before.
    pub(crate) fn advance(&mut self, stream: usize, epoch: Epoch, to: Position) -> bool {
        let Some(stream) = self.streams.get_mut(stream) else {
            return false;
        };
        stream.current = epoch;
        let step = stream.epochs.entry(epoch).or_insert(Step { committed: None, now: Position::START });
        let is_new = to > step.now;
        if is_new {
            step.now = to;
        }
        is_new
    }

    /// What has to be written so that the target knows all of it, the last record's step of each stream behind those of
    /// epochs that ended: the one written last is where the stream goes on.
    pub(crate) fn advances(&self) -> Vec<Advance> {
        let mut advances = Vec::new();
        for (at, stream) in self.streams.iter().enumerate() {
            for (epoch, step) in &stream.epochs {
                if step.committed != Some(step.now) {
                    let (from, to, is_last) = (step.committed, step.now, *epoch == stream.current);
                    advances.push(Advance { stream: at, epoch: *epoch, from, to, is_last });
                }
            }
            advances.sort_by_key(|advance| (advance.stream, advance.is_last));
        }
        advances
    }

    /// Takes note that the target has committed these steps.
    pub(crate) fn committed(&mut self, advances: &[Advance]) {
        for advance in advances {
            if let Some(stream) = self.streams.get_mut(advance.stream) {
                let step = Step { committed: Some(advance.to), now: advance.to };
                stream.epochs.insert(advance.epoch, step);
                if advance.is_last {
                    stream.current = advance.epoch;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Position {
        Position { ms, seq: 0 }
    }

    #[test]
    fn each_entry_counts_once_in_its_epoch() {
        let mut applied = Applied::new(1, [(0, 7, at(100))]);
        assert_eq!(applied.last(0), Some((7, at(100))));
        assert!(!applied.advance(0, 7, at(100)));
        assert!(applied.holds(0, 7, at(100)) && !applied.holds(0, 7, at(101)) && !applied.holds(0, 8, at(1)));
        assert_eq!(applied.advances(), []);
        assert!(applied.advance(0, 7, at(101)));
        // A new primary may count from an earlier id; its records are new all the same.
        assert!(applied.advance(0, 8, at(90)));
        let advances = applied.advances();
        assert_eq!(
            advances,
            [
                Advance { stream: 0, epoch: 7, from: Some(at(100)), to: at(101), is_last: false },
                Advance { stream: 0, epoch: 8, from: None, to: at(90), is_last: true },
            ]
        );
        applied.committed(&advances);
        assert_eq!(applied.advances(), []);
        assert_eq!(applied.last(0), Some((8, at(90))));
        assert!(!applied.advance(0, 8, at(90)));
    }
}
