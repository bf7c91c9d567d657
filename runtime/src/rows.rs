//! Rows on their way to one output, column by column and already in the target's encoding. Knows no target.

use std::ops::Range;

use redis_wb_plan::{ColumnType, Value};

/// Appends one value in the encoding of a target. The value has the column's type already.
pub(crate) type Encode = fn(&Value<'_>, &ColumnType, &mut Vec<u8>);

/// One column of many rows: the encoded cells, one behind the other.
#[derive(Debug, Default)]
pub(crate) struct Cells {
    bytes: Vec<u8>,
    /// Where each cell ends.
    ends: Vec<usize>,
}

impl Cells {
    /// Appends one cell.
    pub(crate) fn push(&mut self, value: &Value<'_>, column: &ColumnType, encode: Encode) {
        encode(value, column, &mut self.bytes);
        self.ends.push(self.bytes.len());
    }

    /// Appends one cell that is encoded already.
    fn copy(&mut self, cell: &[u8]) {
        self.bytes.extend_from_slice(cell);
        self.ends.push(self.bytes.len());
    }

    /// Drops the cells of all rows but the first.
    pub(crate) fn truncate(&mut self, rows: usize) {
        self.ends.truncate(rows);
        self.bytes.truncate(self.start(rows));
    }

    /// Whether a row has a cell here.
    pub(crate) fn has(&self, row: usize) -> bool {
        row < self.ends.len()
    }

    /// The encoded cells of a range of rows, one behind the other.
    pub(crate) fn slice(&self, rows: &Range<usize>) -> &[u8] {
        let start = self.start(rows.start);
        let end = self.start(rows.end);
        self.bytes.get(start..end).unwrap_or_default()
    }

    /// The encoded cell of one row.
    pub(crate) fn cell(&self, row: usize) -> &[u8] {
        self.slice(&(row..row + 1))
    }

    fn start(&self, row: usize) -> usize {
        row.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0)
    }
}

/// Rows for one statement.
#[derive(Debug, Default)]
pub(crate) struct RowSet {
    /// The columns, in the order of the output's; of rows to delete its key columns.
    pub(crate) columns: Vec<Cells>,
    /// Which entry of the batch each row is from.
    pub(crate) entries: Vec<usize>,
}

impl RowSet {
    /// No row yet.
    pub(crate) fn new(columns: usize) -> Self {
        Self { columns: (0..columns).map(|_| Cells::default()).collect(), entries: Vec::new() }
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Appends a row of another set of the same output.
    pub(crate) fn copy(&mut self, other: &Self, row: usize) {
        for (cells, from) in self.columns.iter_mut().zip(&other.columns).filter(|(_, from)| from.has(row)) {
            cells.copy(from.cell(row));
        }
        self.entries.extend(other.entries.get(row));
    }
}

/// What one output gets from a batch.
#[derive(Debug)]
pub(crate) struct OutputRows {
    /// What is written one behind the other.
    pub(crate) rounds: Vec<Round>,
}

impl OutputRows {
    /// How many rows there are, each counted once for what happens to it.
    pub(crate) fn len(&self) -> usize {
        let all = |round: &Round| [&round.cleared, &round.gone, &round.deletes, &round.writes].map(RowSet::len);
        self.rounds.iter().flat_map(all).sum()
    }
}

/// Rows that are written at once, in the order of these parts. Each set has all columns of the output, of which those
/// have cells that its statements take.
#[derive(Debug)]
pub(crate) struct Round {
    /// The flush that takes all rows of the table, as one row without cells.
    pub(crate) cleared: RowSet,
    /// Parents none of whose rows stays.
    pub(crate) gone: RowSet,
    /// Parents of whose rows those stay that are written.
    pub(crate) parents: RowSet,
    /// Which of the written rows each of these parents has.
    pub(crate) families: Vec<Range<usize>>,
    /// Rows to delete.
    pub(crate) deletes: RowSet,
    /// Rows to write.
    pub(crate) writes: RowSet,
}

impl Round {
    /// Nothing yet, for an output of so many columns.
    pub(crate) fn new(columns: usize) -> Self {
        let set = || RowSet::new(columns);
        Self { cleared: set(), gone: set(), parents: set(), families: Vec::new(), deletes: set(), writes: set() }
    }
}
