//! A writer in small: what a runtime does with the statements of an output.

use redis_wb_plan::Output;
use redis_wb_plan::plan::{Children, Shape, Statement};

use crate::database::{Call, Database};
use crate::values::{Change, Row, shown};

/// Writes a batch.
pub(crate) fn write(database: &mut dyn Database, output: &Output, batch: &[Change]) {
    if output.strategy.compacts() {
        let last = batch.iter().enumerate().filter(|(at, change)| {
            batch.iter().skip(at + 1).all(|later| key(output, later.row()) != key(output, change.row()))
        });
        let last: Vec<&Change> = last.map(|(_, change)| change).collect();
        return write_round(database, output, &last);
    }
    // Of each key one change a round, so that every one of them takes effect.
    let mut open: Vec<&Change> = batch.iter().collect();
    while !open.is_empty() {
        let mut round: Vec<&Change> = Vec::new();
        open.retain(|change| {
            let taken = round.iter().any(|other| key(output, other.row()) == key(output, change.row()));
            if !taken {
                round.push(change);
            }
            taken
        });
        write_round(database, output, &round);
    }
}

fn key(output: &Output, row: &Row) -> Vec<String> {
    row[..output.key_columns].iter().map(shown).collect()
}

/// Writes changes of different keys: deletes, then every statement that writes, with the same rows.
fn write_round(database: &mut dyn Database, output: &Output, changes: &[&Change]) {
    let rows = |wanted: fn(&Change) -> bool| -> Vec<&Row> {
        changes.iter().filter(|change| wanted(change)).map(|change| change.row()).collect()
    };
    let (deleted, written) =
        (rows(|change| matches!(change, Change::Delete(_))), rows(|change| matches!(change, Change::Write(_))));
    if let Some(statement) = &output.delete {
        execute(database, output, statement, &deleted, &[]);
    }
    for statement in &output.write {
        execute(database, output, statement, &written, &[]);
    }
}

fn execute(database: &mut dyn Database, output: &Output, statement: &Statement, rows: &[&Row], parents: &[&Row]) {
    if !rows.is_empty() || !parents.is_empty() {
        database.execute(&Call { statement, columns: &output.columns, rows, parents });
    }
}

/// Makes the rows of each parent those that are kept, and no others.
pub(crate) fn write_families(
    database: &mut dyn Database,
    output: &Output,
    children: &Children,
    families: &[(Row, Vec<Row>)],
) {
    let others = children.others.as_ref().expect("these databases have it");
    let kept: Vec<&Row> = families.iter().flat_map(|(_, rows)| rows).collect();
    if others.shape == Shape::Columnar {
        let parents: Vec<&Row> = families.iter().map(|(parent, _)| parent).collect();
        execute(database, output, others, &kept, &parents);
    } else {
        for (parent, rows) in families {
            let rows: Vec<&Row> = rows.iter().collect();
            if rows.is_empty() || rows.len() > others.rows_max() {
                execute(database, output, &children.all, &[parent], &[]);
            } else {
                execute(database, output, others, &rows, &[parent]);
            }
        }
    }
    for statement in &output.write {
        execute(database, output, statement, &kept, &[]);
    }
}
