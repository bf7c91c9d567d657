//! Finds the records that a target refuses, and writes all others: in ever smaller pieces, in the order of the
//! changes, each piece behind a savepoint of one transaction.

use std::sync::Arc;

use crate::batch::{Entry, Prepared, Rejected, flush_of, rows_of};
use crate::error::{Failure, Refusal};
use crate::layout::Layout;
use crate::rows::{Encode, OutputRows};
use crate::target::{Streams, Target};

/// How often refused records are tried again on top of what was written since: their parents may have come.
const PASSES_MAX: usize = 16;

/// A batch that was refused as a whole, and where its pieces are tried.
pub(crate) struct Isolation<'i> {
    pub(crate) layout: &'i Layout,
    pub(crate) entries: &'i [Entry],
    pub(crate) encode: Encode,
    pub(crate) streams: &'i Arc<Streams>,
    pub(crate) batch: &'i Arc<Prepared>,
    /// Whether only the commit showed that something is refused.
    pub(crate) checks_deferred: bool,
}

impl Isolation<'_> {
    /// Writes what can be written. The transaction is left open; those records that it must not hold are named.
    pub(crate) async fn run(&self, target: &mut Target) -> Result<Vec<Rejected>, Failure> {
        target.begin(self.streams, self.batch).await?;
        let mut written: Vec<usize> = Vec::new();
        let refused = self.pass(target, &self.batch.written, &mut written).await?;
        // A flush that is tried again would take what was written since.
        let is_flush = |one: &Rejected| self.entries.get(one.entry).is_some_and(|entry| flush_of(entry).is_some());
        let (flushes, mut refused): (Vec<_>, Vec<_>) = refused.into_iter().partition(is_flush);
        let mut left: Vec<Rejected> = Vec::new();
        for _ in 1..PASSES_MAX {
            let before = refused.len();
            if before == 0 {
                break;
            }
            let open;
            (left, open) = refused.into_iter().chain(left).partition(|one| self.is_superseded(one.entry, &written));
            let again: Vec<usize> = open.iter().map(|one: &Rejected| one.entry).collect();
            refused = self.pass(target, &again, &mut written).await?;
            if refused.len() == before {
                break;
            }
        }
        refused.extend(left);
        refused.sort_by_key(|one| one.entry);
        // Of rows that say how a key is, nobody misses an earlier version; of those that keep every change, each counts.
        refused.retain(|one| self.keeps_changes(one.entry) || !self.is_superseded(one.entry, &written));
        Ok([flushes, refused].concat())
    }

    /// Writes entries in order; gives those that were refused, each alone.
    async fn pass(
        &self,
        target: &mut Target,
        entries: &[usize],
        written: &mut Vec<usize>,
    ) -> Result<Vec<Rejected>, Failure> {
        let mut refused = Vec::new();
        let mut open: Vec<&[usize]> = vec![entries];
        while let Some(piece) = open.pop() {
            let Some((&entry, rest)) = piece.split_first() else { continue };
            let Some(refusal) = self.attempt(target, piece, written).await? else {
                written.extend_from_slice(piece);
                continue;
            };
            if rest.is_empty() {
                let Refusal { code, reason, statement, .. } = refusal;
                refused.push(Rejected { entry, code, reason, statement });
            } else if let Some((first, second)) = piece.split_at_checked(piece.len() / 2) {
                open.extend([second, first]);
            }
        }
        Ok(refused)
    }

    /// Tries one piece. Where the target ended the whole transaction, it is brought back to where it was.
    async fn attempt(
        &self,
        target: &mut Target,
        piece: &[usize],
        written: &[usize],
    ) -> Result<Option<Refusal>, Failure> {
        match target.attempt(self.rows(piece), self.checks_deferred).await {
            Ok(()) => Ok(None),
            Err(Failure::Refused(refusal)) if refusal.has_ended => {
                target.begin(self.streams, self.batch).await?;
                target.attempt(self.rows(written), self.checks_deferred).await?;
                Ok(Some(refusal))
            }
            Err(Failure::Refused(refusal)) => Ok(Some(refusal)),
            Err(failure) => Err(failure),
        }
    }

    fn rows(&self, which: &[usize]) -> Vec<OutputRows> {
        rows_of(self.layout, self.entries, self.batch, which, self.encode)
    }

    /// Whether a job has an output that keeps every change or version.
    fn keeps_changes(&self, at: usize) -> bool {
        let job = self.entries.get(at).map(|entry| entry.job);
        job.is_some_and(|job| self.layout.outputs_of(job).any(|(_, output)| !output.strategy.compacts()))
    }

    /// Whether a later change of the same key was written, so that this one must not come behind it.
    fn is_superseded(&self, at: usize, written: &[usize]) -> bool {
        let key = |at: usize| {
            let entry = self.entries.get(at)?;
            Some((entry.job, redis_wb_record::decode(&entry.record).ok()?.key))
        };
        written.iter().any(|other| *other > at && key(*other) == key(at))
    }
}
