//! Entries of change streams into the rows and commands of one transaction: read here, completed by `lookup`,
//! evaluated in `evaluate` and `commands`, compacted in `tables`. Talks to no server itself and knows no target, only
//! how it encodes a value.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use redis_wb_plan::expr::Input;
use redis_wb_plan::plan::{DataType, OnGone, RedisContent, Source, Strategy};
use redis_wb_plan::{Reject, RejectCode, Rejection, Value, json};
use redis_wb_record::{DecodeError, Flags, Image, Opcode, Record};

use crate::again::{self, Parted};
use crate::checkpoint::{Advance, Applied};
use crate::commands::{Command, commands};
use crate::counts::{Counts, Operation};
use crate::dead_letters::is_for;
use crate::error::Failure;
use crate::evaluate::{Effect, filtered, filtered_telling};
use crate::layout::Layout;
use crate::lookup::{Asking, Lookups};
use crate::order::Order;
use crate::position::Position;
use crate::rows::{Encode, OutputRows};
use crate::tables::Tables;

/// One entry of a change stream.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The place of its job in the layout, which is also that of its stream.
    pub(crate) job: usize,
    /// Its id.
    pub(crate) position: Position,
    /// The change record, encoded.
    pub(crate) record: Bytes,
    /// Where it stands among those of other streams, as long as that matters.
    pub(crate) order: Option<Order>,
    /// What its key was found to hold, where it said "read the key now".
    pub(crate) found: Found,
}

/// What came of reading a key now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// The record is as it was written, or was completed.
    AsWritten,
    /// Nothing, so that nothing follows from the record.
    Nothing,
    /// So many bytes, which is too much.
    TooLarge(i64),
}

/// A record that cannot become rows.
#[derive(Debug, Clone)]
pub(crate) struct Rejected {
    /// The entry of the batch.
    pub(crate) entry: usize,
    /// The kind of reason.
    pub(crate) code: RejectCode,
    /// The reason in words.
    pub(crate) reason: String,
    /// The statement that the target refused, where it was the target.
    pub(crate) statement: Option<String>,
}

/// What a batch comes to.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// The rows, output by output as the layout has them.
    pub(crate) outputs: Vec<OutputRows>,
    /// The commands for a Redis, each with its entry, in order.
    pub(crate) commands: Vec<(usize, Command)>,
    /// What lookups gave, by entry.
    replies: HashMap<usize, Vec<Arc<Value<'static>>>>,
    /// The entries that the rows are from.
    pub(crate) written: Vec<usize>,
    /// The records that cannot become rows.
    pub(crate) rejected: Vec<Rejected>,
    /// How far the batch takes each stream.
    pub(crate) advances: Vec<Advance>,
    /// Entries that tell of a flush and leave the rows as they are.
    pub(crate) flushed: Vec<usize>,
    /// Entries that were not applied before.
    pub(crate) fresh: usize,
    /// What became of those, by job; what nothing follows from counts as filtered.
    pub(crate) counts: Vec<Counts>,
}

/// Prepares a batch, as what is applied already lets it be. `None` where lookups give more than memory is for: then it
/// has to be done in parts. One entry is never too much.
///
/// # Errors
/// Where a Redis that is looked things up in does not answer.
pub(crate) async fn prepare(
    layout: &Layout,
    entries: &[Entry],
    applied: &Applied,
    encode: Encode,
    lookups: &mut Lookups,
) -> Result<Option<Prepared>, Failure> {
    let mut prepared = Prepared {
        outputs: Vec::new(),
        commands: Vec::new(),
        replies: HashMap::new(),
        written: Vec::new(),
        rejected: Vec::new(),
        advances: Vec::new(),
        flushed: Vec::new(),
        fresh: 0,
        counts: layout.jobs().map(|_| Counts::default()).collect(),
    };
    let now_us = redis_wb_plan::now_us();
    let Some(mut refused) = look_up(layout, entries, applied, now_us, lookups, &mut prepared).await? else {
        return Ok(None);
    };
    let mut tables = Tables::new(layout, encode);
    let mut progress = applied.clone();
    for (at, entry, decoded) in fresh(entries, &mut progress) {
        prepared.fresh += 1;
        if let Some(counts) = prepared.counts.get_mut(entry.job) {
            counts.add(Operation::Filtered, 1);
        }
        let change = match refused.remove(&at) {
            Some(reject) => Err(reject),
            None => read(layout, entry, decoded, now_us),
        };
        if let Err(reject) = change.and_then(|outcome| prepared.take(layout, &mut tables, at, entry.job, outcome)) {
            prepared.rejected.push(rejected(at, reject));
            prepared.count(entry.job, Operation::Rejected);
        }
    }
    prepared.advances = progress.advances();
    prepared.outputs = tables.finish();
    Ok(Some(prepared))
}

/// The entries that were not applied before, each with its record.
fn fresh<'b>(
    entries: &'b [Entry],
    progress: &mut Applied,
) -> impl Iterator<Item = (usize, &'b Entry, Result<Record<'b>, DecodeError>)> {
    entries.iter().enumerate().filter_map(|(at, entry)| {
        let decoded = redis_wb_record::decode(&entry.record);
        let epoch = decoded.as_ref().map_or_else(|_| progress.epoch(entry.job), |record| record.epoch);
        progress.advance(entry.job, epoch, entry.position).then_some((at, entry, decoded))
    })
}

impl Prepared {
    /// Takes what an entry asks for; it is no part of the batch unless all of it can be.
    fn take(
        &mut self,
        layout: &Layout,
        tables: &mut Tables<'_>,
        at: usize,
        job: usize,
        outcome: Outcome<'_>,
    ) -> Result<(), Reject> {
        match outcome {
            Outcome::Nothing => {}
            Outcome::Flushed => self.flushed.push(at),
            Outcome::Clear => {
                tables.clear(job, at);
                self.written.push(at);
                self.count(job, Operation::Deleted);
            }
            Outcome::Change(mut change) => {
                if let Some(replies) = self.replies.get(&at) {
                    change.input.lookups.clone_from(replies);
                }
                let (effect, is_new) = (change.effect, change.input.opcode == Opcode::Create.letter());
                let commands = make(layout, tables, at, job, &change)?;
                let is_any = tables.keep() || !commands.is_empty();
                self.commands.extend(commands.into_iter().map(|command| (at, command)));
                if is_any {
                    self.written.push(at);
                    self.count(job, Operation::of(effect, is_new));
                }
            }
        }
        Ok(())
    }

    /// Counts a record of a job as something else than filtered.
    fn count(&mut self, job: usize, operation: Operation) {
        if let Some(counts) = self.counts.get_mut(job) {
            counts.turn(Operation::Filtered, operation);
        }
    }

    /// What became of the records, by job, where the target refused some of them.
    /// Those that are tried again count as filtered until then.
    pub(crate) fn counts_without(&self, layout: &Layout, entries: &[Entry], parted: &Parted) -> Vec<Counts> {
        let mut all = self.counts.clone();
        let parts = [(&parted.refused, Operation::Rejected), (&parted.awaited, Operation::Filtered)];
        for (part, to) in parts {
            for entry in part.iter().filter_map(|one| entries.get(one.entry)) {
                if let Some(counts) = all.get_mut(entry.job) {
                    counts.turn(operation(layout, entry), to);
                }
            }
        }
        all
    }
}

/// What a record counts as that rows or commands came of.
fn operation(layout: &Layout, entry: &Entry) -> Operation {
    let (Ok(record), Some(job)) = (redis_wb_record::decode(&entry.record), layout.job(entry.job)) else {
        return Operation::Filtered;
    };
    if record.opcode == Opcode::Flush {
        return Operation::Deleted;
    }
    let is_new = record.opcode == Opcode::Create;
    effect(&job.source, &record).map_or(Operation::Filtered, |effect| Operation::of(effect, is_new))
}

fn rejected(entry: usize, reject: Reject) -> Rejected {
    let Rejection { code, reason } = reject.into_rejection();
    Rejected { entry, code, reason, statement: None }
}

/// Asks what the jobs look up, and keeps it for whoever evaluates the changes. Gives why entries must be rejected, by
/// entry; `None` where it is too much.
async fn look_up(
    layout: &Layout,
    entries: &[Entry],
    applied: &Applied,
    now_us: i64,
    lookups: &mut Lookups,
    prepared: &mut Prepared,
) -> Result<Option<HashMap<usize, Reject>>, Failure> {
    let mut refused = HashMap::new();
    if layout.jobs().all(|job| job.lookups().next().is_none()) {
        return Ok(Some(refused));
    }
    let mut changes = Vec::new();
    for (at, entry, decoded) in fresh(entries, &mut applied.clone()) {
        let Some(job) = layout.job(entry.job).filter(|job| job.lookups().next().is_some()) else { continue };
        // What is rejected is told when all are read.
        if let Ok(Outcome::Change(change)) = read(layout, entry, decoded, now_us) {
            changes.push((at, job, change));
        }
    }
    let mut asking = Vec::with_capacity(changes.len());
    for (_, job, change) in &mut changes {
        let Change { effect, input, .. } = change;
        asking.push(Asking { job, effect: *effect, input, rejected: None });
    }
    if !lookups.answer(&mut asking).await? {
        return Ok(None);
    }
    let rejects: Vec<Option<Reject>> = asking.into_iter().map(|asked| asked.rejected).collect();
    for ((at, _, change), reject) in changes.into_iter().zip(rejects) {
        match reject {
            Some(reject) => drop(refused.insert(at, reject)),
            None => drop(prepared.replies.insert(at, change.input.lookups)),
        }
    }
    Ok(Some(refused))
}

/// What the steps of a job said of one entry of a batch.
#[derive(Debug, Default)]
pub(crate) struct StepsTold {
    /// Each filter that was asked: its text, and whether the record passes.
    pub(crate) filters: Vec<(String, bool)>,
    /// What each lookup gave.
    pub(crate) replies: Vec<Arc<Value<'static>>>,
    /// Whether the change concerns rows at all.
    pub(crate) is_change: bool,
}

/// What the steps of a job said of an entry, for people.
pub(crate) fn steps_told(layout: &Layout, at: usize, entry: &Entry, batch: &Prepared) -> StepsTold {
    let mut told = StepsTold { replies: batch.replies.get(&at).cloned().unwrap_or_default(), ..StepsTold::default() };
    let Ok(record) = redis_wb_record::decode(&entry.record) else { return told };
    let Ok(Outcome::Change(Change { effect, mut input, .. })) =
        outcome(layout, entry.job, record, redis_wb_plan::now_us())
    else {
        return told;
    };
    told.is_change = true;
    input.lookups.clone_from(&told.replies);
    if let Some(job) = layout.job(entry.job) {
        // Why it cannot be evaluated was told when the batch was prepared.
        let _ = filtered_telling(job, &input, effect, |filter, passes| {
            told.filters.push((filter.condition.origin.clone(), passes));
        });
    }
    told
}

/// The rows of some entries of a batch, in the order given. Those are entries that were written before.
pub(crate) fn rows_of(
    layout: &Layout,
    entries: &[Entry],
    batch: &Prepared,
    which: &[usize],
    encode: Encode,
) -> Vec<OutputRows> {
    let now_us = redis_wb_plan::now_us();
    let mut tables = Tables::new(layout, encode);
    for at in which {
        let Some(entry) = entries.get(*at) else { continue };
        match read(layout, entry, redis_wb_record::decode(&entry.record), now_us) {
            Ok(Outcome::Clear) => tables.clear(entry.job, *at),
            Ok(Outcome::Change(mut change)) => {
                change.input.lookups = batch.replies.get(at).cloned().unwrap_or_default();
                // Whatever can be rejected here was rejected when the batch was prepared.
                if make(layout, &mut tables, *at, entry.job, &change).is_ok() {
                    tables.keep();
                }
            }
            Ok(Outcome::Nothing | Outcome::Flushed) | Err(_) => {}
        }
    }
    tables.finish()
}

/// Evaluates one change into rows, which are to be kept then, and commands.
fn make(
    layout: &Layout,
    tables: &mut Tables<'_>,
    at: usize,
    job: usize,
    change: &Change<'_>,
) -> Result<Vec<Command>, Reject> {
    let mut made = Vec::new();
    let Change { input, command, .. } = change;
    let Some(plan) = layout.job(job) else { return Ok(made) };
    let Some(effect) = filtered(plan, input, change.effect)? else { return Ok(made) };
    let is_for = |keeps_changes: bool| is_for(command, &layout.name, keeps_changes);
    for (place, output) in layout.outputs_of(job) {
        if is_for(output.strategy == Strategy::Append) {
            tables.evaluate(place, at, input, effect)?;
        }
    }
    for write in layout.writes_of(job) {
        if is_for(matches!(write.content, RedisContent::Stream(_))) {
            made.extend(commands(write, input, effect)?);
        }
    }
    Ok(made)
}

/// A record that concerns rows.
struct Change<'b> {
    effect: Effect,
    input: Input<'b>,
    /// The event that the record names.
    command: &'b str,
}

/// What a record asks for.
enum Outcome<'b> {
    Change(Change<'b>),
    Nothing,
    /// All rows go.
    Clear,
    /// The rows stay.
    Flushed,
}

/// Whether a record says "read the key now".
pub(crate) const fn is_thin(record: &Record<'_>) -> bool {
    record.flags.contains(Flags::THIN) && !matches!(record.opcode, Opcode::Delete)
}

/// The record of an entry, if it tells of a flush.
pub(crate) fn flush_of(entry: &Entry) -> Option<Record<'_>> {
    redis_wb_record::decode(&entry.record).ok().filter(|record| record.opcode == Opcode::Flush)
}

/// Whether a flush took the job's stream and not its keys, which are in another database.
pub(crate) const fn is_of_streams(source: &Source, record: &Record<'_>) -> bool {
    record.db != source.db
}

/// What an entry asks for, as its key was found.
fn read<'b>(
    layout: &'b Layout,
    entry: &Entry,
    decoded: Result<Record<'b>, DecodeError>,
    now_us: i64,
) -> Result<Outcome<'b>, Reject> {
    match entry.found {
        Found::AsWritten => {
            let record = decoded.map_err(|error| Reject::new(RejectCode::MalformedRecord, error.to_string()))?;
            outcome(layout, entry.job, record, now_us)
        }
        Found::Nothing => Ok(Outcome::Nothing),
        Found::TooLarge(bytes) => {
            let mb = json::JSON_BYTES_MAX / 1024 / 1024;
            let reason = format!("the key holds {bytes} bytes; the most that becomes rows is {mb} MB");
            Err(Reject::new(RejectCode::LimitExceeded, reason))
        }
    }
}

fn outcome<'b>(layout: &'b Layout, job: usize, record: Record<'b>, now_us: i64) -> Result<Outcome<'b>, Reject> {
    let Some(source) = layout.job(job).map(|job| &job.source) else {
        return Ok(Outcome::Nothing);
    };
    if record.opcode == Opcode::Flush {
        let clears = source.on_flush == Some(OnGone::Delete) && !is_of_streams(source, &record);
        return Ok(if clears { Outcome::Clear } else { Outcome::Flushed });
    }
    Ok(match effect(source, &record) {
        Some(effect) => {
            let command = record.command;
            Outcome::Change(Change { effect, input: input(source, record, effect, now_us)?, command })
        }
        None => Outcome::Nothing,
    })
}

/// A key that is gone, or that now holds another type than the job maps or no document of fields, has no rows.
pub(crate) fn effect(source: &Source, record: &Record<'_>) -> Option<Effect> {
    let found = match record.after {
        Some(Image::Hash(_)) => Some(DataType::Hash),
        Some(Image::Json(_)) => Some(DataType::Json),
        Some(Image::Set(_)) => Some(DataType::Set),
        Some(Image::SortedSet(_)) => Some(DataType::SortedSet),
        Some(Image::String(_)) | None => None,
    };
    if found.is_some() && (source.data_type.is_none() || source.data_type == found) {
        return Some(Effect::Upsert);
    }
    let on_gone = match record.command {
        // That it deletes was found when it was refused.
        command if again::deletes(command) => OnGone::Delete,
        "expired" => source.on_expire,
        "evicted" => source.on_evict,
        _ => source.on_delete,
    };
    (on_gone == OnGone::Delete).then_some(Effect::Delete)
}

/// The record as expressions see it.
fn input<'b>(source: &'b Source, record: Record<'b>, effect: Effect, now_us: i64) -> Result<Input<'b>, Reject> {
    let mut key = match &source.key {
        Some(template) => template.read(record.key)?,
        None => Vec::new(),
    };
    key.push(("key".into(), Value::from_redis(record.key)));
    let after = if effect == Effect::Upsert { record.after } else { None };
    Ok(Input {
        key: Value::Object(key.into()),
        before: record.before.map_or(Ok(Value::Null), value)?,
        after: after.map_or(Ok(Value::Null), value)?,
        opcode: if effect == Effect::Delete { Opcode::Delete.letter() } else { record.opcode.letter() },
        element: Value::Null,
        lookups: Vec::new(),
        now_us,
    })
}

/// The content of a key as a value.
fn value(image: Image<'_>) -> Result<Value<'_>, Reject> {
    Ok(match image {
        Image::Hash(pairs) => Value::Object(
            pairs.iter().map(|(name, value)| (String::from_utf8_lossy(name), Value::from_redis(value))).collect(),
        ),
        Image::Set(members) => {
            let members = Value::List(members.iter().map(Value::from_redis).collect());
            Value::Object(vec![("members".into(), members)].into())
        }
        Image::SortedSet(members) => {
            let member = |(member, score)| {
                let fields = vec![("member".into(), Value::from_redis(member)), ("score".into(), Value::Float(score))];
                Value::Object(fields.into())
            };
            Value::Object(vec![("members".into(), Value::List(members.iter().map(member).collect()))].into())
        }
        Image::Json(text) => match std::str::from_utf8(text) {
            Ok(text) => json::parse(text)?,
            Err(_) => return Err(Reject::new(RejectCode::InvalidText, "the document is not UTF-8")),
        },
        Image::String(bytes) => Value::from_redis(bytes),
    })
}
