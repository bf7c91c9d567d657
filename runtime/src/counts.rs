//! What became of the records of a job, counted. Knows no record itself.

use crate::evaluate::Effect;

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// A key that was new came to rows or commands.
    Inserted,
    /// A key that was there came to rows or commands.
    Updated,
    /// The rows of a key went.
    Deleted,
    /// Nothing follows from it: a filter, a condition or the job's `on_…` said so.
    Filtered,
    /// It could not become rows.
    Rejected,
}

impl Operation {
    /// Every one, in the order in which they are counted.
    pub const ALL: [Self; 5] = [Self::Inserted, Self::Updated, Self::Deleted, Self::Filtered, Self::Rejected];

    /// The word that RDI has for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Inserted => "inserted",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
            Self::Filtered => "filtered",
            Self::Rejected => "rejected",
        }
    }

    /// What a change is that concerns rows; `is_new`: its record tells that the key was not there before.
    pub(crate) const fn of(effect: Effect, is_new: bool) -> Self {
        match effect {
            Effect::Delete => Self::Deleted,
            Effect::Upsert if is_new => Self::Inserted,
            Effect::Upsert => Self::Updated,
        }
    }
}

/// How many records became what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    counts: [u64; Operation::ALL.len()],
}

impl Counts {
    /// How many became this.
    #[must_use]
    pub fn of(&self, operation: Operation) -> u64 {
        self.counts.get(operation as usize).copied().unwrap_or_default()
    }

    /// How many there were.
    #[must_use]
    pub fn all(&self) -> u64 {
        self.counts.iter().sum()
    }

    pub(crate) fn add(&mut self, operation: Operation, count: u64) {
        if let Some(own) = self.counts.get_mut(operation as usize) {
            *own = own.saturating_add(count);
        }
    }

    /// Counts a record otherwise than it was.
    pub(crate) fn turn(&mut self, from: Operation, to: Operation) {
        if let Some(own) = self.counts.get_mut(from as usize) {
            *own = own.saturating_sub(1);
        }
        self.add(to, 1);
    }
}
