//! What the rows must be, for each strategy: written down again, without SQL.

use redis_wb_plan::Strategy;

use crate::values::{Change, Row, shown};

/// How many columns name a row.
const KEYS: usize = 2;

/// A row as it must be, and whether it is an active version.
type Shown = (Vec<String>, bool);

/// The rows of a table.
#[derive(Default)]
pub(crate) struct Model {
    rows: Vec<Shown>,
}

fn show(row: &Row) -> Vec<String> {
    row.iter().map(shown).collect()
}

impl Model {
    /// Applies one change.
    pub(crate) fn apply(&mut self, strategy: Strategy, change: &Change) {
        let new = show(change.row());
        let key = &new[..KEYS];
        match (strategy, change) {
            (Strategy::Append, Change::Write(_)) => self.rows.push((new, true)),
            (Strategy::Append, Change::Delete(_)) => {}
            (Strategy::Upsert | Strategy::Replace, change) => {
                self.rows.retain(|(row, _)| row[..KEYS] != *key);
                if matches!(change, Change::Write(_)) {
                    self.rows.push((new, true));
                }
            }
            (Strategy::Type2, change) => {
                let written = matches!(change, Change::Write(_));
                let active = self.rows.iter_mut().find(|(row, active)| *active && row[..KEYS] == *key);
                if let Some((row, active)) = active {
                    if written && *row == new {
                        return;
                    }
                    *active = false;
                }
                if written {
                    self.rows.push((new, true));
                }
            }
        }
    }

    /// All rows, sorted.
    pub(crate) fn sorted(&self) -> Vec<Shown> {
        let mut rows = self.rows.clone();
        rows.sort();
        rows
    }
}
