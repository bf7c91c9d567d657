//! Records whose rows a foreign key refuses: what they refer to may still come, from the same shard or another. They go
//! to the end of their stream, to be tried again from there until `foreign_key_wait` has passed, while all others go on.
//! Says what is put back and for how long; knows no target and no Redis.
//!
//! What is put back says "read the key now", so it never comes in front of a newer change. So only outputs that say how
//! a key is wait in this way; what keeps every change would get this one behind later ones.

use std::collections::BTreeMap;

use redis_wb_plan::RejectCode;
use redis_wb_record::{Flags, Opcode, Record};

use crate::batch::{Entry, Rejected, effect, flush_of};
use crate::checkpoint::Epoch;
use crate::evaluate::Effect;
use crate::layout::Layout;

/// How long a record that was put back waits until it is tried, in milliseconds: what stands behind it in its stream
/// waits as long.
pub(crate) const AGAIN_MS: u64 = 1_000;

/// What the event of a record is called that was put back, in front of the connection that refused its rows.
const AGAIN: &str = "wb.again ";
/// The same where its rows were to go.
const GONE: &str = "wb.gone ";

/// The connection that a record was put back for; `None` where it was not.
pub(crate) fn connection(command: &str) -> Option<&str> {
    command.strip_prefix(AGAIN).or_else(|| command.strip_prefix(GONE))
}

/// Whether a record was put back whose rows were to go.
pub(crate) fn deletes(command: &str) -> bool {
    command.starts_with(GONE)
}

/// Whether an entry was put back.
pub(crate) fn is_again(entry: &Entry) -> bool {
    redis_wb_record::decode(&entry.record).is_ok_and(|record| connection(record.command).is_some())
}

/// Refused records, parted.
#[derive(Debug, Default)]
pub(crate) struct Parted {
    /// Those that are refused for good.
    pub(crate) refused: Vec<Rejected>,
    /// Those that are tried again.
    pub(crate) awaited: Vec<Rejected>,
    /// What is put back for them, each key once.
    pub(crate) put_back: Vec<PutBack>,
}

/// A record to put back.
#[derive(Debug)]
pub(crate) struct PutBack {
    /// The place of its job in the layout.
    pub(crate) job: usize,
    pub(crate) key: Vec<u8>,
    pub(crate) record: Vec<u8>,
}

/// Parts what a target refused at `now_us` by the clock of Redis. `epoch` is that of what is put back: a life of its own,
/// so that nothing of it counts as applied before.
pub(crate) fn part(layout: &Layout, entries: &[Entry], refused: Vec<Rejected>, now_us: u64, epoch: Epoch) -> Parted {
    let mut parted = Parted::default();
    // By job and key: the last record, and when the first of them was refused first.
    let mut waiting: BTreeMap<(usize, &[u8]), (Record<'_>, u64)> = BTreeMap::new();
    for one in refused {
        let record = entries.get(one.entry).and_then(|entry| Some((entry, waits(layout, entry, &one, now_us)?)));
        let Some((entry, (record, first_us))) = record else {
            parted.refused.push(one);
            continue;
        };
        parted.awaited.push(one);
        let known = waiting.get(&(entry.job, record.key)).map_or(first_us, |(_, known_us)| first_us.min(*known_us));
        waiting.insert((entry.job, record.key), (record, known));
    }
    for ((job, key), (record, first_us)) in waiting {
        let deletes = layout.job(job).is_some_and(|job| effect(&job.source, &record) == Some(Effect::Delete));
        let command = format!("{}{}", if deletes { GONE } else { AGAIN }, layout.name);
        // What is known of the content, so that rows are found whose keys come from it.
        let before = record.before.or(record.after).filter(|_| deletes);
        let (opcode, flags) = (if deletes { Opcode::Update } else { record.opcode }, Flags::THIN);
        let again =
            Record { epoch, time_us: first_us, opcode, command: &command, after: None, before, flags, ..record };
        let mut encoded = Vec::new();
        redis_wb_record::encode(&again, &mut encoded);
        parted.put_back.push(PutBack { job, key: key.to_vec(), record: encoded });
    }
    parted
}

/// The record of an entry whose rows may still be taken, and when they were refused first.
fn waits<'e>(layout: &Layout, entry: &'e Entry, refused: &Rejected, now_us: u64) -> Option<(Record<'e>, u64)> {
    let keeps_changes = layout.outputs_of(entry.job).any(|(_, output)| !output.strategy.compacts());
    if refused.code != RejectCode::ForeignKey || keeps_changes || flush_of(entry).is_some() {
        return None;
    }
    let record = redis_wb_record::decode(&entry.record).ok()?;
    let first_us = if connection(record.command).is_some() { record.time_us } else { now_us };
    // Where the clock of Redis was set back meanwhile, it is not waited for either.
    let is_over = now_us.abs_diff(first_us) / 1_000 >= layout.plan.applier.foreign_key_wait_ms;
    (!is_over).then_some((record, first_us))
}
