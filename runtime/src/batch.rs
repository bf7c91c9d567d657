//! Entries of change streams into the rows of one transaction: decoded, evaluated, compacted.
//! Knows neither Redis nor a target, only how the target encodes a value.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;

use redis_wb_plan::expr::Input;
use redis_wb_plan::plan::{OnGone, Output, Source};
use redis_wb_plan::{Reject, RejectCode, Rejection, Slots, Value, json};
use redis_wb_record::{Flags, Image, Opcode, Record};

use crate::checkpoint::{Advance, Applied};
use crate::layout::Layout;
use crate::position::Position;
use crate::rows::{Encode, OutputRows, RowSet};

/// One entry of a change stream.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The place of its job in the layout, which is also that of its stream.
    pub(crate) job: usize,
    /// Its id.
    pub(crate) position: Position,
    /// The change record, encoded.
    pub(crate) record: Vec<u8>,
    /// Whether nothing follows from it: it said "read the key now", and the key was gone.
    pub(crate) is_void: bool,
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
    /// The entries that these rows are from.
    pub(crate) written: Vec<usize>,
    /// The records that cannot become rows.
    pub(crate) rejected: Vec<Rejected>,
    /// How far the batch takes each stream.
    pub(crate) advances: Vec<Advance>,
    /// Entries whose database was flushed.
    pub(crate) flushed: Vec<usize>,
    /// Entries that were not applied before.
    pub(crate) fresh: usize,
}

/// Prepares a batch, as what is applied already lets it be.
pub(crate) fn prepare(layout: &Layout, entries: &[Entry], applied: &Applied, encode: Encode) -> Prepared {
    let mut prepared = Prepared {
        outputs: Vec::new(),
        written: Vec::new(),
        rejected: Vec::new(),
        advances: Vec::new(),
        flushed: Vec::new(),
        fresh: 0,
    };
    // All records are read before any is evaluated, so that values can be borrowed from them until all is encoded.
    let changes = read(layout, entries, applied, &mut prepared);
    let mut tables = Tables::new(layout, encode);
    for change in &changes {
        match tables.add(change) {
            Ok(()) => prepared.written.push(change.entry),
            Err(reject) => {
                let Rejection { code, reason } = reject.into_rejection();
                prepared.rejected.push(Rejected { entry: change.entry, code, reason, statement: None });
            }
        }
    }
    prepared.outputs = tables.finish();
    prepared.rejected.sort_by_key(|rejected| rejected.entry);
    prepared
}

/// The rows of some entries of a batch, in the order given. Those are entries that were written before.
pub(crate) fn rows_of(layout: &Layout, entries: &[Entry], which: &[usize], encode: Encode) -> Vec<OutputRows> {
    let change = |at: &usize| {
        let entry = entries.get(*at)?;
        let record = redis_wb_record::decode(&entry.record).ok()?;
        match outcome(layout, entry.job, record) {
            Ok(Outcome::Change(effect, input)) => Some(Change { entry: *at, job: entry.job, effect, input }),
            _ => None,
        }
    };
    let changes: Vec<Change<'_>> = which.iter().filter_map(change).collect();
    let mut tables = Tables::new(layout, encode);
    for change in &changes {
        // Whatever can be rejected here was rejected when the batch was prepared.
        let _ = tables.add(change);
    }
    tables.finish()
}

/// A record that concerns rows.
struct Change<'b> {
    entry: usize,
    job: usize,
    effect: Effect,
    input: Input<'b>,
}

/// Reads the records that were not applied before.
fn read<'b>(layout: &'b Layout, entries: &'b [Entry], applied: &Applied, prepared: &mut Prepared) -> Vec<Change<'b>> {
    let mut progress = applied.clone();
    let mut changes = Vec::with_capacity(entries.len());
    for (at, entry) in entries.iter().enumerate() {
        let decoded = redis_wb_record::decode(&entry.record);
        let epoch = decoded.as_ref().map_or_else(|_| progress.epoch(entry.job), |record| record.epoch);
        if !progress.advance(entry.job, epoch, entry.position) {
            continue;
        }
        prepared.fresh += 1;
        if entry.is_void {
            continue;
        }
        let outcome = decoded
            .map_err(|error| Reject::new(RejectCode::MalformedRecord, error.to_string()))
            .and_then(|record| outcome(layout, entry.job, record));
        match outcome {
            Ok(Outcome::Change(effect, input)) => changes.push(Change { entry: at, job: entry.job, effect, input }),
            Ok(Outcome::Nothing) => {}
            Ok(Outcome::Flushed) => prepared.flushed.push(at),
            Err(reject) => {
                let Rejection { code, reason } = reject.into_rejection();
                prepared.rejected.push(Rejected { entry: at, code, reason, statement: None });
            }
        }
    }
    prepared.advances = progress.advances();
    changes
}

/// What a record asks for.
enum Outcome<'b> {
    Change(Effect, Input<'b>),
    Nothing,
    Flushed,
}

/// Whether a record says "read the key now".
pub(crate) fn is_thin(entry: &Entry) -> bool {
    let decoded = redis_wb_record::decode(&entry.record);
    decoded.is_ok_and(|record| record.flags.contains(Flags::THIN) && record.opcode != Opcode::Delete)
}

fn outcome<'b>(layout: &'b Layout, job: usize, record: Record<'b>) -> Result<Outcome<'b>, Reject> {
    let Some(source) = layout.job(job).map(|job| &job.source) else {
        return Ok(Outcome::Nothing);
    };
    if record.opcode == Opcode::Flush {
        return Ok(Outcome::Flushed);
    }
    Ok(match effect(source, &record) {
        Some(effect) => Outcome::Change(effect, input(source, record, effect)?),
        None => Outcome::Nothing,
    })
}

/// What a change does to the rows of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Upsert,
    Delete,
}

/// The rows of all outputs, while changes are added.
struct Tables<'b> {
    layout: &'b Layout,
    encode: Encode,
    tables: Vec<Table<'b>>,
}

/// The rows of one output, while changes are added.
struct Table<'b> {
    rows: Vec<Option<Row<'b>>>,
    /// Which row has a key: the last change of a row wins.
    places: HashMap<Vec<u8>, usize>,
}

struct Row<'b> {
    effect: Effect,
    entry: usize,
    values: Vec<Value<'b>>,
}

impl<'b> Tables<'b> {
    fn new(layout: &'b Layout, encode: Encode) -> Self {
        let tables = layout.outputs().map(|_| Table { rows: Vec::new(), places: HashMap::new() }).collect();
        Self { layout, encode, tables }
    }

    /// Evaluates one record; its rows count only if all of them could be made.
    fn add(&mut self, change: &'b Change<'b>) -> Result<(), Reject> {
        let outputs = self.layout.outputs().enumerate().filter(|(_, (job, _))| *job == change.job);
        let rows: Vec<(usize, Vec<Value<'b>>)> = outputs
            .map(|(at, (_, output))| Ok((at, row(output, &change.input, change.effect)?)))
            .collect::<Result<_, _>>()?;
        for (output, values) in rows {
            self.place(output, Row { effect: change.effect, entry: change.entry, values });
        }
        Ok(())
    }

    /// Puts a row behind all others of its output; an earlier one of the same key goes.
    fn place(&mut self, output: usize, row: Row<'b>) {
        let Some((plan, table)) = self.layout.output(output).zip(self.tables.get_mut(output)) else {
            return;
        };
        let mut key = Vec::new();
        for (column, value) in plan.keys().iter().zip(&row.values) {
            let start = key.len();
            (self.encode)(value, &column.column_type, &mut key);
            // The length keeps ("a", "bc") and ("ab", "c") apart.
            let len = key.len() - start;
            key.extend_from_slice(&len.to_le_bytes());
        }
        let at = table.rows.len();
        match table.places.entry(key) {
            Slot::Occupied(mut place) => {
                if let Some(earlier) = table.rows.get_mut(*place.get()) {
                    *earlier = None;
                }
                place.insert(at);
            }
            Slot::Vacant(place) => {
                place.insert(at);
            }
        }
        table.rows.push(Some(row));
    }

    /// The rows that are left, encoded.
    fn finish(self) -> Vec<OutputRows> {
        let encode = self.encode;
        let encoded = |(output, table): (&Output, Table<'b>)| {
            let mut rows = OutputRows {
                deletes: RowSet::new(output.delete.params.len()),
                upserts: RowSet::new(output.upsert.params.len()),
            };
            for row in table.rows.into_iter().flatten() {
                let (set, statement) = match row.effect {
                    Effect::Delete => (&mut rows.deletes, &output.delete),
                    Effect::Upsert => (&mut rows.upserts, &output.upsert),
                };
                for (cells, param) in set.columns.iter_mut().zip(&statement.params) {
                    if let Some((column, value)) = output.columns.get(param.column).zip(row.values.get(param.column)) {
                        cells.push(value, &column.column_type, encode);
                    }
                }
                set.entries.push(row.entry);
            }
            rows
        };
        self.layout.outputs().map(|(_, output)| output).zip(self.tables).map(encoded).collect()
    }
}

/// A key that is gone, or that now holds something that is no document of fields, has no rows.
fn effect(source: &Source, record: &Record<'_>) -> Option<Effect> {
    if matches!(record.after, Some(Image::Hash(_) | Image::Json(_) | Image::Set(_) | Image::SortedSet(_))) {
        return Some(Effect::Upsert);
    }
    let on_gone = match record.command {
        "expired" => source.on_expire,
        "evicted" => source.on_evict,
        _ => source.on_delete,
    };
    (on_gone == OnGone::Delete).then_some(Effect::Delete)
}

/// The record as expressions see it.
fn input<'b>(source: &'b Source, record: Record<'b>, effect: Effect) -> Result<Input<'b>, Reject> {
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

/// The values of one row; of its key columns only, where it is to be deleted.
fn row<'b>(output: &'b Output, input: &'b Input<'b>, effect: Effect) -> Result<Vec<Value<'b>>, Reject> {
    let columns = if effect == Effect::Delete { output.keys() } else { &output.columns };
    let mut values = Vec::with_capacity(columns.len());
    let slots = Slots::new(&output.shared);
    for (at, column) in columns.iter().enumerate() {
        let value = slots
            .evaluate(&column.expr, input)
            .map_err(|reject| Reject::new(reject.code, format!("column `{}`: {}", column.name, reject.reason)))?;
        if value.is_null() && at < output.key_columns {
            return Err(null_key(output, input, &column.name, effect));
        }
        if value.is_null() && !column.nullable {
            let reason = format!("column `{}` takes no null, and `{}` is missing", column.name, column.origin);
            return Err(Reject::new(RejectCode::NullColumn, reason));
        }
        values.push(value);
    }
    Ok(values)
}

fn null_key(output: &Output, input: &Input<'_>, column: &str, effect: Effect) -> Reject {
    if effect == Effect::Delete && input.before.is_null() {
        let reason = format!(
            "the key column `{column}` of `{}` comes from the value, and the delete has no before image",
            output.table
        );
        return Reject::new(RejectCode::NoBeforeImage, reason);
    }
    Reject::new(RejectCode::NullKey, format!("the key column `{column}` of `{}` is null", output.table))
}
