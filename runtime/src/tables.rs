//! The rows of a batch, output by output: compacted where the last change of a row counts alone, parted into rounds
//! where every change counts. Knows nothing of records.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;

use redis_wb_plan::Value;
use redis_wb_plan::plan::{OnVanished, Output, Strategy};

use crate::evaluate::{Effect, Item, Row};
use crate::layout::Layout;
use crate::rows::{Encode, OutputRows, Round, RowSet};

/// The rows of all outputs, while changes are added.
pub(crate) struct Tables<'b> {
    layout: &'b Layout,
    encode: Encode,
    tables: Vec<Table<'b>>,
}

/// What one output gets, while changes are added: each with its entry.
#[derive(Default)]
struct Table<'b> {
    /// The flush that takes all rows, before any of these is written.
    cleared: Option<usize>,
    items: Vec<Option<(usize, Item<'b>)>>,
    /// Where the item of a row or of a parent stands: of several changes the last counts.
    places: HashMap<Vec<u8>, usize>,
}

impl<'b> Tables<'b> {
    pub(crate) fn new(layout: &'b Layout, encode: Encode) -> Self {
        Self { layout, encode, tables: layout.outputs().map(|_| Table::default()).collect() }
    }

    /// Takes all rows of a job's outputs, where the job wants it. Such an entry is the first of its batch.
    pub(crate) fn clear(&mut self, job: usize, entry: usize) {
        for (at, output) in self.layout.outputs_of(job) {
            if let Some(table) = self.tables.get_mut(at).filter(|_| output.clear.is_some()) {
                table.cleared = Some(entry);
            }
        }
    }

    /// Puts an item behind all others of its output. Where only the last change of a row counts, an earlier one goes.
    pub(crate) fn place(&mut self, output: usize, entry: usize, item: Item<'b>) {
        let Some((plan, table)) = self.layout.output(output).zip(self.tables.get_mut(output)) else {
            return;
        };
        let keeps_vanished = plan.foreach.as_ref().is_some_and(|foreach| foreach.on_vanished == OnVanished::Keep);
        if let Item::Family { parent, .. } = &item
            && keeps_vanished
        {
            // Rows that stand alone because vanished elements keep theirs; written behind the parent's end, they would
            // come back.
            for earlier in &mut table.items {
                if matches!(earlier, Some((_, Item::Row(row))) if is_of(parent, row)) {
                    *earlier = None;
                }
            }
        }
        let at = table.items.len();
        if plan.strategy.compacts() {
            let place = match table.places.entry(key(plan, &item, self.encode)) {
                Slot::Occupied(mut place) => Some(place.insert(at)),
                Slot::Vacant(place) => {
                    place.insert(at);
                    None
                }
            };
            if let Some(earlier) = place.and_then(|place| table.items.get_mut(place)) {
                *earlier = None;
            }
        }
        table.items.push(Some((entry, item)));
    }

    /// The rows that are left, encoded.
    pub(crate) fn finish(self) -> Vec<OutputRows> {
        let outputs = self.layout.outputs().map(|(_, output)| output);
        outputs.zip(self.tables).map(|(output, table)| rounds(output, table, self.encode)).collect()
    }
}

/// Whether a row belongs to a parent.
fn is_of(parent: &[(usize, Value<'_>)], row: &Row<'_>) -> bool {
    parent.iter().all(|(at, value)| row.values.get(*at) == Some(value))
}

/// What tells the rows of an output apart, or its parents.
fn key(output: &Output, item: &Item<'_>, encode: Encode) -> Vec<u8> {
    match item {
        Item::Row(row) => key_of(output, (0..output.key_columns).zip(&row.values), encode),
        Item::Family { parent, .. } => key_of(output, parent.iter().map(|(at, value)| (*at, value)), encode),
    }
}

fn key_of<'v, 'b: 'v>(
    output: &Output,
    values: impl Iterator<Item = (usize, &'v Value<'b>)>,
    encode: Encode,
) -> Vec<u8> {
    let mut key = Vec::new();
    for (at, value) in values {
        let start = key.len();
        if let Some(column) = output.columns.get(at) {
            encode(value, &column.column_type, &mut key);
        }
        // The length keeps ("a", "bc") and ("ab", "c") apart.
        let len = key.len() - start;
        key.extend_from_slice(&len.to_le_bytes());
    }
    key
}

fn rounds(output: &Output, table: Table<'_>, encode: Encode) -> OutputRows {
    let mut rounds: Vec<Round> = Vec::new();
    if let Some(entry) = table.cleared {
        let mut round = Round::new(output.columns.len());
        round.cleared.entries.push(entry);
        rounds.push(round);
    }
    // How many versions of a row came before: two of one row must not be written at once.
    let mut versions: HashMap<Vec<u8>, usize> = HashMap::new();
    for (entry, item) in table.items.into_iter().flatten() {
        let round = match output.strategy {
            Strategy::Type2 => {
                let count = versions.entry(key(output, &item, encode)).or_default();
                *count += 1;
                *count - 1
            }
            _ => 0,
        };
        while rounds.len() <= round {
            rounds.push(Round::new(output.columns.len()));
        }
        if let Some(round) = rounds.get_mut(round) {
            add(output, round, entry, item, encode);
        }
    }
    OutputRows { rounds }
}

fn add(output: &Output, round: &mut Round, entry: usize, item: Item<'_>, encode: Encode) {
    match item {
        Item::Row(Row { effect: Effect::Delete, values }) if output.strategy != Strategy::Append => {
            push(output, &mut round.deletes, entry, (0..).zip(&values), encode);
        }
        // Where a delete is appended at all, its statement is that of any other row.
        Item::Row(Row { effect: Effect::Delete, .. }) if output.delete.is_none() => {}
        Item::Row(Row { values, .. }) => push(output, &mut round.writes, entry, (0..).zip(&values), encode),
        Item::Family { parent, rows } => {
            let start = round.writes.len();
            // Two elements of one key are one row: the last counts.
            let mut last: HashMap<Vec<u8>, usize> = HashMap::new();
            for (at, row) in rows.iter().enumerate() {
                last.insert(key_of(output, (0..output.key_columns).zip(row), encode), at);
            }
            let mut kept: Vec<usize> = last.into_values().collect();
            kept.sort_unstable();
            for row in kept.into_iter().filter_map(|at| rows.get(at)) {
                push(output, &mut round.writes, entry, (0..).zip(row), encode);
            }
            let family = start..round.writes.len();
            let parents = if family.is_empty() { &mut round.gone } else { &mut round.parents };
            push(output, parents, entry, parent.iter().map(|(at, value)| (*at, value)), encode);
            if !family.is_empty() {
                round.families.push(family);
            }
        }
    }
}

/// Adds a row, or as much of one as there is.
fn push<'v, 'b: 'v>(
    output: &Output,
    set: &mut RowSet,
    entry: usize,
    values: impl Iterator<Item = (usize, &'v Value<'b>)>,
    encode: Encode,
) {
    for (at, value) in values {
        if let Some((cells, column)) = set.columns.get_mut(at).zip(output.columns.get(at)) {
            cells.push(value, &column.column_type, encode);
        }
    }
    set.entries.push(entry);
}
