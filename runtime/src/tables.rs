//! The rows of a batch, output by output: compacted where the last change of a row counts alone, parted into rounds
//! where every change counts. Knows nothing of records.
//!
//! Rows are encoded as they are evaluated, so that no value outlives its record. Those that count are told apart at the
//! end, where most of the time all do.

use std::hash::{BuildHasher as _, Hasher as _};
use std::ops::Range;

use hashbrown::{DefaultHashBuilder, HashTable};
use redis_wb_plan::expr::Input;
use redis_wb_plan::plan::{OnVanished, Output, Strategy};
use redis_wb_plan::{Reject, Value};

use crate::evaluate::{self, Effect, Part, Parts};
use crate::layout::Layout;
use crate::rows::{Encode, OutputRows, Round, RowSet};

/// The rows of all outputs, while changes are added.
pub(crate) struct Tables<'l> {
    layout: &'l Layout,
    encode: Encode,
    tables: Vec<Table>,
    /// What the change at hand comes to: the output, and its item there.
    open: Vec<(usize, Item)>,
}

/// What one output gets, while changes are added.
struct Table {
    /// The flush that takes all rows, before any of these is written.
    cleared: Option<usize>,
    sets: Sets,
    items: Vec<Option<Item>>,
    /// Where the item of a row or of a parent stands: of several changes the last counts.
    places: Index,
}

/// What was evaluated for one output, whether it counts or not.
struct Sets {
    writes: RowSet,
    /// Of these only the key columns.
    deletes: RowSet,
    /// Of these only the columns that name a parent.
    parents: RowSet,
}

/// What an output gets from a change.
#[derive(Clone)]
enum Item {
    /// A row to write, by its place.
    Write(usize),
    /// A row to delete.
    Delete(usize),
    /// All rows of a parent: those that it has and are not among them go.
    Family { parent: usize, rows: Range<usize> },
}

/// Places by what tells apart what stands there.
#[derive(Default)]
struct Index {
    table: HashTable<usize>,
    hasher: DefaultHashBuilder,
}

/// What an output gets of one change, while it is evaluated.
struct Staging<'t> {
    output: &'t Output,
    sets: &'t mut Sets,
    encode: Encode,
    entry: usize,
    part: Part,
    items: &'t mut Vec<(usize, Item)>,
    /// The output.
    at: usize,
}

impl<'l> Tables<'l> {
    pub(crate) fn new(layout: &'l Layout, encode: Encode) -> Self {
        let table = |(_, output): (usize, &Output)| {
            let set = || RowSet::new(output.columns.len());
            let sets = Sets { writes: set(), deletes: set(), parents: set() };
            Table { cleared: None, sets, items: Vec::new(), places: Index::default() }
        };
        Self { layout, encode, tables: layout.outputs().map(table).collect(), open: Vec::new() }
    }

    /// Takes all rows of a job's outputs, where the job wants it. Such an entry is the first of its batch.
    pub(crate) fn clear(&mut self, job: usize, entry: usize) {
        for (at, output) in self.layout.outputs_of(job) {
            if let Some(table) = self.tables.get_mut(at).filter(|_| output.clear.is_some()) {
                table.cleared = Some(entry);
            }
        }
    }

    /// Evaluates what an output gets of a change. It counts once the change is kept, for which all of its outputs must
    /// have been evaluated.
    pub(crate) fn evaluate(
        &mut self,
        at: usize,
        entry: usize,
        input: &Input<'_>,
        effect: Effect,
    ) -> Result<(), Reject> {
        let Some((output, table)) = self.layout.output(at).zip(self.tables.get_mut(at)) else { return Ok(()) };
        let (sets, items, encode) = (&mut table.sets, &mut self.open, self.encode);
        let mut staging = Staging { output, sets, encode, entry, part: Part::Write, items, at };
        evaluate::items(output, input, effect, &mut staging).inspect_err(|_| {
            table.sets.drop_open();
            self.open.clear();
        })
    }

    /// Puts what was evaluated of a change behind all that came before; whether there is anything. Where only the last
    /// change of a row counts, an earlier one goes.
    pub(crate) fn keep(&mut self) -> bool {
        let is_any = !self.open.is_empty();
        for (at, item) in self.open.drain(..) {
            if let Some((output, table)) = self.layout.output(at).zip(self.tables.get_mut(at)) {
                table.place(output, item);
            }
        }
        is_any
    }

    /// The rows that count.
    pub(crate) fn finish(self) -> Vec<OutputRows> {
        let outputs = self.layout.outputs().map(|(_, output)| output);
        outputs.zip(self.tables).map(|(output, table)| table.finish(output)).collect()
    }
}

impl Parts for Staging<'_> {
    fn begin(&mut self, part: Part) {
        self.part = part;
    }

    fn cell(&mut self, at: usize, value: &Value<'_>) {
        let set = self.sets.of(self.part);
        if let Some((cells, column)) = set.columns.get_mut(at).zip(self.output.columns.get(at)) {
            cells.push(value, &column.column_type, self.encode);
        }
    }

    fn end(&mut self) {
        let set = self.sets.of(self.part);
        let row = set.len();
        set.entries.push(self.entry);
        let item = match self.part {
            Part::Write => Item::Write(row),
            Part::Delete => Item::Delete(row),
            Part::Parent => {
                let rows = self.sets.writes.len();
                Item::Family { parent: row, rows: rows..rows }
            }
            // They follow their parent.
            Part::Child => {
                if let Some((_, Item::Family { rows, .. })) = self.items.last_mut() {
                    rows.end = row + 1;
                }
                return;
            }
        };
        self.items.push((self.at, item));
    }
}

impl Sets {
    /// Where a part belongs.
    const fn of(&mut self, part: Part) -> &mut RowSet {
        match part {
            Part::Write | Part::Child => &mut self.writes,
            Part::Delete => &mut self.deletes,
            Part::Parent => &mut self.parents,
        }
    }

    /// Drops a row that did not come to its end.
    fn drop_open(&mut self) {
        for set in [&mut self.writes, &mut self.deletes, &mut self.parents] {
            let rows = set.len();
            set.columns.iter_mut().for_each(|cells| cells.truncate(rows));
        }
    }

    /// The cells that tell an item apart, column by column.
    fn key<'s>(&'s self, output: &'s Output, item: &Item) -> impl Iterator<Item = &'s [u8]> + use<'s> {
        let (set, row) = match item {
            Item::Write(row) => (&self.writes, *row),
            Item::Delete(row) => (&self.deletes, *row),
            Item::Family { parent, .. } => (&self.parents, *parent),
        };
        let parent = matches!(item, Item::Family { .. }).then(|| parent(output));
        let columns = set.columns.iter().enumerate();
        let is_key = move |at: usize| parent.map_or(at < output.key_columns, |parent| parent.contains(&at));
        columns.filter(move |(at, _)| is_key(*at)).map(move |(_, cells)| cells.cell(row))
    }

    /// Whether two items are of one row, or of one parent.
    fn are_same(&self, output: &Output, one: &Item, other: &Item) -> bool {
        let is_family = |item: &Item| matches!(item, Item::Family { .. });
        is_family(one) == is_family(other) && self.key(output, one).eq(self.key(output, other))
    }

    /// Whether a row to write belongs to a parent.
    fn is_of(&self, output: &Output, family: usize, row: usize) -> bool {
        let columns = self.parents.columns.iter().zip(&self.writes.columns);
        let mut columns = columns.enumerate().filter(|(at, _)| parent(output).contains(at));
        columns.all(|(_, (parents, writes))| parents.cell(family) == writes.cell(row))
    }

    /// Adds an item to a round.
    fn add(&self, output: &Output, round: &mut Round, item: &Item) {
        match item {
            // Where a delete is appended at all, its statement is that of any other row.
            Item::Write(row) => round.writes.copy(&self.writes, *row),
            Item::Delete(row) => round.deletes.copy(&self.deletes, *row),
            Item::Family { parent, rows } => {
                let start = round.writes.len();
                // Two elements of one key are one row: the last counts.
                let mut index = Index::default();
                let mut kept: Vec<Option<usize>> = rows.clone().map(Some).collect();
                for row in rows.clone() {
                    let key = |row: usize| Some(self.key(output, &Item::Write(row)));
                    let same = |other: usize| self.are_same(output, &Item::Write(row), &Item::Write(other));
                    let earlier = index.put(row, key, same);
                    if let Some(earlier) = earlier.and_then(|earlier| kept.get_mut(earlier - rows.start)) {
                        *earlier = None;
                    }
                }
                kept.into_iter().flatten().for_each(|row| round.writes.copy(&self.writes, row));
                let family = start..round.writes.len();
                let parents = if family.is_empty() { &mut round.gone } else { &mut round.parents };
                parents.copy(&self.parents, *parent);
                if !family.is_empty() {
                    round.families.push(family);
                }
            }
        }
    }
}

/// The columns that name a parent.
fn parent(output: &Output) -> &[usize] {
    output.children.as_ref().map_or(&[], |children| &children.parent)
}

impl Index {
    /// Puts a place in that of what has the same key, and gives that.
    fn put<'k, K: Iterator<Item = &'k [u8]>>(
        &mut self,
        at: usize,
        key: impl Fn(usize) -> Option<K>,
        is_same: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let hash = |at: usize| {
            let mut hasher = self.hasher.build_hasher();
            for cell in key(at).into_iter().flatten() {
                // The length keeps ("a", "bc") and ("ab", "c") apart.
                hasher.write_usize(cell.len());
                hasher.write(cell);
            }
            hasher.finish()
        };
        match self.table.entry(hash(at), |other| is_same(*other), |other| hash(*other)) {
            hashbrown::hash_table::Entry::Occupied(mut place) => Some(std::mem::replace(place.get_mut(), at)),
            hashbrown::hash_table::Entry::Vacant(place) => {
                place.insert(at);
                None
            }
        }
    }
}

impl Table {
    /// Puts an item behind all others.
    fn place(&mut self, output: &Output, item: Item) {
        let keeps_vanished = output.foreach.as_ref().is_some_and(|foreach| foreach.on_vanished == OnVanished::Keep);
        if let Item::Family { parent, .. } = &item
            && keeps_vanished
        {
            // Rows that stand alone because vanished elements keep theirs; written behind the parent's end, they would
            // come back.
            for earlier in &mut self.items {
                let is_of = |row: usize| self.sets.is_of(output, *parent, row);
                if matches!(earlier, Some(Item::Write(row)) if is_of(*row)) {
                    *earlier = None;
                }
            }
        }
        let at = self.items.len();
        self.items.push(Some(item));
        if !output.strategy.compacts() {
            return;
        }
        let (items, sets) = (&self.items, &self.sets);
        let item = |at: usize| items.get(at).and_then(Option::as_ref);
        let same =
            |other: usize| item(at).zip(item(other)).is_some_and(|(one, other)| sets.are_same(output, one, other));
        let earlier = self.places.put(at, |at| item(at).map(|item| sets.key(output, item)), same);
        if let Some(earlier) = earlier.and_then(|earlier| self.items.get_mut(earlier)) {
            *earlier = None;
        }
    }

    /// The rows that count, in rounds.
    fn finish(mut self, output: &Output) -> OutputRows {
        let columns = output.columns.len();
        let mut rounds: Vec<Round> = Vec::new();
        if let Some(entry) = self.cleared {
            let mut round = Round::new(columns);
            round.cleared.entries.push(entry);
            rounds.push(round);
        }
        let all_count = self.items.len() == self.sets.writes.len()
            && self.items.iter().all(|item| matches!(item, Some(Item::Write(_))));
        if all_count && output.strategy != Strategy::Type2 {
            if !self.items.is_empty() {
                rounds.resize_with(1, || Round::new(columns));
                rounds.iter_mut().for_each(|round| round.writes = std::mem::take(&mut self.sets.writes));
            }
            return OutputRows { rounds };
        }
        let numbers = if output.strategy == Strategy::Type2 { self.versions(output) } else { Vec::new() };
        for (at, item) in self.items.iter().enumerate() {
            let Some(item) = item else { continue };
            let number = numbers.get(at).copied().unwrap_or(0);
            if rounds.len() <= number {
                rounds.resize_with(number + 1, || Round::new(columns));
            }
            if let Some(round) = rounds.get_mut(number) {
                self.sets.add(output, round, item);
            }
        }
        OutputRows { rounds }
    }

    /// How many versions of its row came before each item: two of one row must not be written at once.
    fn versions(&self, output: &Output) -> Vec<usize> {
        let mut index = Index::default();
        let mut versions: Vec<usize> = Vec::with_capacity(self.items.len());
        let item = |at: usize| self.items.get(at).and_then(Option::as_ref);
        for at in 0..self.items.len() {
            let same = |other: usize| {
                item(at).zip(item(other)).is_some_and(|(one, other)| self.sets.are_same(output, one, other))
            };
            let before = index.put(at, |at| item(at).map(|item| self.sets.key(output, item)), same);
            versions.push(before.and_then(|before| versions.get(before)).map_or(0, |before| before + 1));
        }
        versions
    }
}
