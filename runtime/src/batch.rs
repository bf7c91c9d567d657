//! Entries of change streams into the rows and commands of one transaction: read here, completed by `lookup`,
//! evaluated in `evaluate` and `commands`, compacted in `tables`. Talks to no server itself and knows no target, only
//! how it encodes a value.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use redis_wb_plan::expr::Input;
use redis_wb_plan::plan::{DataType, OnGone, RedisContent, Source, Strategy};
use redis_wb_plan::{Reject, RejectCode, Rejection, Value, json};
use redis_wb_record::{Flags, Image, Opcode, Record};

use crate::again::{self, Parted};
use crate::checkpoint::{Advance, Applied};
use crate::commands::{Command, commands};
use crate::counts::{Counts, Operation};
use crate::dead_letters::is_for;
use crate::error::Failure;
use crate::evaluate::{self, Effect, Item, elements, filtered, filtered_telling};
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
    // All records are read before any is evaluated, so that values can be borrowed from them until all is encoded.
    let Changes { mut changes, clears } = read(layout, entries, applied, &mut prepared);
    if !look_up(layout, lookups, &mut changes, &mut prepared).await? {
        return Ok(None);
    }
    let elements: Vec<_> = changes.iter().map(|change| elements_of(layout, change)).collect();
    let mut tables = Tables::new(layout, encode);
    let mut items = Vec::new();
    for (entry, job) in clears {
        tables.clear(job, entry);
        prepared.written.push(entry);
        prepared.count(job, Operation::Deleted);
    }
    for (change, elements) in changes.iter().zip(&elements) {
        match add(layout, &mut tables, &mut items, change, elements) {
            Ok(Made { commands, is_any }) => {
                if is_any {
                    prepared.written.push(change.entry);
                    let is_new = change.input.opcode == Opcode::Create.letter();
                    prepared.count(change.job, Operation::of(change.effect, is_new));
                }
                prepared.commands.extend(commands.into_iter().map(|command| (change.entry, command)));
            }
            Err(reject) => prepared.rejected.push(rejected(change.entry, reject)),
        }
    }
    prepared.outputs = tables.finish();
    prepared.rejected.sort_by_key(|rejected| rejected.entry);
    for at in prepared.rejected.iter().map(|rejected| rejected.entry).collect::<Vec<_>>() {
        prepared.count(entries.get(at).map_or(usize::MAX, |entry| entry.job), Operation::Rejected);
    }
    Ok(Some(prepared))
}

impl Prepared {
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

/// Asks what the jobs look up, and keeps it for whoever evaluates the changes again. False where it is too much.
async fn look_up<'b>(
    layout: &'b Layout,
    lookups: &mut Lookups,
    changes: &mut Vec<Change<'b>>,
    prepared: &mut Prepared,
) -> Result<bool, Failure> {
    let mut asking = Vec::new();
    let mut places = Vec::new();
    for (place, change) in changes.iter_mut().enumerate() {
        if let Some(job) = layout.job(change.job).filter(|job| job.lookups().next().is_some()) {
            asking.push(Asking { job, effect: change.effect, input: &mut change.input, rejected: None });
            places.push(place);
        }
    }
    if !lookups.answer(&mut asking).await? {
        return Ok(false);
    }
    let mut rejects = HashMap::new();
    for (place, asked) in places.into_iter().zip(asking) {
        if let Some(reject) = asked.rejected {
            rejects.insert(place, reject);
        }
    }
    let mut place = 0;
    changes.retain(|change| {
        let reject = rejects.remove(&place);
        place += 1;
        let stays = reject.is_none();
        match reject {
            Some(reject) => prepared.rejected.push(rejected(change.entry, reject)),
            None if change.input.lookups.is_empty() => {}
            None => {
                prepared.replies.insert(change.entry, change.input.lookups.clone());
            }
        }
        stays
    });
    Ok(true)
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
    let Ok(Outcome::Change(effect, mut input, _)) = outcome(layout, entry.job, record, redis_wb_plan::now_us()) else {
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
    let mut changes = Changes::default();
    for at in which {
        let Some(entry) = entries.get(*at) else { continue };
        let Ok(record) = redis_wb_record::decode(&entry.record) else { continue };
        if let Ok(mut outcome) = outcome(layout, entry.job, record, now_us) {
            if let Outcome::Change(_, input, _) = &mut outcome {
                input.lookups = batch.replies.get(at).cloned().unwrap_or_default();
            }
            changes.add(*at, entry.job, outcome);
        }
    }
    let Changes { changes, clears } = changes;
    let elements: Vec<_> = changes.iter().map(|change| elements_of(layout, change)).collect();
    let mut tables = Tables::new(layout, encode);
    let mut items = Vec::new();
    for (entry, job) in clears {
        tables.clear(job, entry);
    }
    for (change, elements) in changes.iter().zip(&elements) {
        // Whatever can be rejected here was rejected when the batch was prepared.
        let _ = add(layout, &mut tables, &mut items, change, elements);
    }
    tables.finish()
}

/// The elements that each output of a change makes rows of; of none where no output has any.
type Elements<'b> = Result<Vec<Vec<Input<'b>>>, Reject>;

fn elements_of<'b>(layout: &'b Layout, change: &'b Change<'b>) -> Elements<'b> {
    if layout.outputs_of(change.job).all(|(_, output)| output.foreach.is_none()) {
        return Ok(Vec::new());
    }
    layout.outputs_of(change.job).map(|(_, output)| elements(output, &change.input)).collect()
}

/// Evaluates one change into rows and commands; they count only if all of them could be made. `items` is where rows are
/// until then, kept from change to change.
fn add<'b>(
    layout: &'b Layout,
    tables: &mut Tables<'b>,
    items: &mut Vec<(usize, Item<'b>)>,
    change: &'b Change<'b>,
    elements: &'b Elements<'b>,
) -> Result<Made, Reject> {
    let elements = elements.as_ref().map_err(Clone::clone)?;
    let mut made = Made::default();
    let Some(job) = layout.job(change.job) else { return Ok(made) };
    let Some(effect) = filtered(job, &change.input, change.effect)? else {
        return Ok(made);
    };
    let is_for = |keeps_changes: bool| is_for(change.command, &layout.name, keeps_changes);
    items.clear();
    for (nth, (at, output)) in layout.outputs_of(change.job).enumerate() {
        if !is_for(output.strategy == Strategy::Append) {
            continue;
        }
        let elements = elements.get(nth).map_or(&[][..], Vec::as_slice);
        evaluate::items(output, &change.input, elements, effect, |item| items.push((at, item)))?;
    }
    for write in layout.writes_of(change.job) {
        if !is_for(matches!(write.content, RedisContent::Stream(_))) {
            continue;
        }
        made.commands.extend(commands(write, &change.input, effect)?);
    }
    made.is_any = !made.commands.is_empty() || !items.is_empty();
    items.drain(..).for_each(|(output, item)| tables.place(output, change.entry, item));
    Ok(made)
}

/// What a change is made into.
#[derive(Default)]
struct Made {
    commands: Vec<Command>,
    /// Whether it is rows or commands at all: filters and conditions may leave nothing of it.
    is_any: bool,
}

/// A record that concerns rows.
struct Change<'b> {
    entry: usize,
    job: usize,
    effect: Effect,
    input: Input<'b>,
    /// The event that the record names.
    command: &'b str,
}

/// What records ask for.
#[derive(Default)]
struct Changes<'b> {
    changes: Vec<Change<'b>>,
    /// Flushes that take all rows of a job: the entry and its job.
    clears: Vec<(usize, usize)>,
}

impl<'b> Changes<'b> {
    fn add(&mut self, entry: usize, job: usize, outcome: Outcome<'b>) {
        match outcome {
            Outcome::Change(effect, input, command) => {
                self.changes.push(Change { entry, job, effect, input, command });
            }
            Outcome::Clear => self.clears.push((entry, job)),
            Outcome::Nothing | Outcome::Flushed => {}
        }
    }
}

/// Reads the records that were not applied before.
fn read<'b>(layout: &'b Layout, entries: &'b [Entry], applied: &Applied, prepared: &mut Prepared) -> Changes<'b> {
    let mut progress = applied.clone();
    let now_us = redis_wb_plan::now_us();
    let mut changes = Changes { changes: Vec::with_capacity(entries.len()), clears: Vec::new() };
    for (at, entry) in entries.iter().enumerate() {
        let decoded = redis_wb_record::decode(&entry.record);
        let epoch = decoded.as_ref().map_or_else(|_| progress.epoch(entry.job), |record| record.epoch);
        if !progress.advance(entry.job, epoch, entry.position) {
            continue;
        }
        prepared.fresh += 1;
        if let Some(counts) = prepared.counts.get_mut(entry.job) {
            counts.add(Operation::Filtered, 1);
        }
        match entry.found {
            Found::AsWritten => {}
            Found::Nothing => continue,
            Found::TooLarge(bytes) => {
                let mb = json::JSON_BYTES_MAX / 1024 / 1024;
                let reason = format!("the key holds {bytes} bytes; the most that becomes rows is {mb} MB");
                prepared.rejected.push(rejected(at, Reject::new(RejectCode::LimitExceeded, reason)));
                continue;
            }
        }
        let outcome = decoded
            .map_err(|error| Reject::new(RejectCode::MalformedRecord, error.to_string()))
            .and_then(|record| outcome(layout, entry.job, record, now_us));
        match outcome {
            Ok(outcome) => {
                if matches!(outcome, Outcome::Flushed) {
                    prepared.flushed.push(at);
                }
                changes.add(at, entry.job, outcome);
            }
            Err(reject) => prepared.rejected.push(rejected(at, reject)),
        }
    }
    prepared.advances = progress.advances();
    changes
}

/// What a record asks for.
enum Outcome<'b> {
    Change(Effect, Input<'b>, &'b str),
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
            Outcome::Change(effect, input(source, record, effect, now_us)?, command)
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
