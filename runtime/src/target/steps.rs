//! The order in which the rows of a batch are written by statements that take rows one behind the other. Knows no
//! target.

use std::ops::Range;

use redis_wb_plan::Statement;
use redis_wb_plan::plan::{Of, Output, Param, Shape};

use crate::layout::Layout;
use crate::rows::{OutputRows, Round, RowSet};

/// Rows for one statement.
pub(super) struct Step<'s> {
    pub(super) statement: &'s Statement,
    /// The parent, where the statement takes one beside its rows; all rows are then for one execution.
    pub(super) parent: Option<(&'s RowSet, usize)>,
    set: &'s RowSet,
    pub(super) rows: Range<usize>,
}

impl<'s> Step<'s> {
    /// A statement for rows of which any number may be taken at once.
    const fn of(statement: &'s Statement, set: &'s RowSet, rows: Range<usize>) -> Self {
        Self { statement, parent: None, set, rows }
    }

    /// The parameters of an execution for some of the rows, in their order.
    pub(super) fn cells(&self, rows: Range<usize>) -> impl Iterator<Item = &'s [u8]> {
        let of_parent = self.parent.into_iter().flat_map(|(set, row)| cells(self.statement, Of::Parent, set, row));
        let (statement, set) = (self.statement, self.set);
        of_parent.chain(rows.flat_map(move |row| cells(statement, Of::Row, set, row)))
    }
}

/// What a parameter of a statement is bound to.
pub(crate) enum Bound {
    /// One value, encoded.
    Value(Vec<u8>),
    /// A column of values.
    Column(Vec<Vec<u8>>),
}

/// The statements of a batch for people, in order, each with its parameters.
pub(super) fn texts(layout: &Layout, outputs: &[OutputRows]) -> Vec<(String, Vec<Bound>)> {
    let mut texts = Vec::new();
    for step in steps(layout, outputs) {
        let statement = step.statement;
        if statement.shape == Shape::Columnar {
            let column = |param: &Param| {
                let (set, rows) = match (param.of, step.parent) {
                    (Of::Parent, Some((set, row))) => (set, row..row + 1),
                    _ => (step.set, step.rows.clone()),
                };
                let cells = set.columns.get(param.column);
                Bound::Column(rows.filter_map(|row| Some(cells?.cell(row).to_vec())).collect())
            };
            texts.push((statement.sql.clone(), statement.params.iter().map(column).collect()));
            continue;
        }
        let mut rows = step.rows.clone();
        loop {
            let part = rows.start..rows.end.min(rows.start.saturating_add(statement.rows_max()));
            let cells = step.cells(part.clone()).map(|cell| Bound::Value(cell.to_vec())).collect();
            texts.push((statement.text(part.len()).into_owned(), cells));
            rows.start = part.end;
            if rows.is_empty() {
                break;
            }
        }
    }
    texts
}

/// The parameters of one row, or of one parent.
fn cells<'s>(statement: &'s Statement, of: Of, set: &'s RowSet, row: usize) -> impl Iterator<Item = &'s [u8]> {
    let own = statement.params.iter().filter(move |param| param.of == of);
    own.filter_map(move |param| Some(set.columns.get(param.column)?.cell(row)))
}

/// All steps, round by round: first what goes, children before parents, so that a row can take over what another gave
/// up; then what comes, parents before children.
pub(super) fn steps<'s>(layout: &'s Layout, outputs: &'s [OutputRows]) -> Vec<Step<'s>> {
    let mut steps = Vec::new();
    let rounds = outputs.iter().map(|rows| rows.rounds.len()).max().unwrap_or_default();
    for round in 0..rounds {
        let outputs: Vec<(&Output, &Round)> = layout
            .outputs()
            .zip(outputs)
            .filter_map(|(output, rows)| Some((output.1, rows.rounds.get(round)?)))
            .collect();
        outputs.iter().rev().for_each(|(output, round)| deletes(output, round, &mut steps));
        for (output, round) in &outputs {
            let all = |statement| Step::of(statement, &round.writes, 0..round.writes.len());
            steps.extend(output.write.iter().map(all));
        }
    }
    steps.retain(|step| step.parent.is_some() || !step.rows.is_empty());
    steps
}

/// What goes from one output.
fn deletes<'s>(output: &'s Output, round: &'s Round, steps: &mut Vec<Step<'s>>) {
    if let Some(statement) = &output.clear {
        steps.push(Step::of(statement, &round.cleared, 0..round.cleared.len()));
    }
    if let Some(children) = &output.children {
        steps.push(Step::of(&children.all, &round.gone, 0..round.gone.len()));
        for (parent, family) in round.families.iter().enumerate() {
            let step = match children.others.as_ref().filter(|others| family.len() <= others.rows_max()) {
                Some(statement) => {
                    let parent = Some((&round.parents, parent));
                    Step { statement, parent, set: &round.writes, rows: family.clone() }
                }
                // All go, and those that stay are written again.
                None => Step::of(&children.all, &round.parents, parent..parent + 1),
            };
            steps.push(step);
        }
    }
    if let Some(statement) = &output.delete {
        steps.push(Step::of(statement, &round.deletes, 0..round.deletes.len()));
    }
}
