//! Values and rows for people. Knows no stream.

use redis_wb_plan::{ColumnType, Value, convert};

use super::TracedRow;
use crate::layout::Layout;
use crate::rows::{OutputRows, RowSet};

/// A value as a person reads it, where a target would have its own encoding.
pub(super) fn shown(value: &Value<'_>, _: &ColumnType, out: &mut Vec<u8>) {
    out.extend_from_slice(text(value).as_bytes());
}

/// Texts in quotes, bytes in hexadecimal.
pub(super) fn text(value: &Value<'_>) -> String {
    let shown = convert::display(value);
    match value {
        Value::Text(_) | Value::Json(_) => format!("'{}'", shown.replace('\'', "''")),
        Value::Bytes(_) => format!("x'{shown}'"),
        _ => shown,
    }
}

/// The rows that a change comes to, output by output.
pub(super) fn rows(layout: &Layout, outputs: &[OutputRows]) -> Vec<TracedRow> {
    let mut all = Vec::new();
    for ((_, output), rows) in layout.outputs().zip(outputs) {
        let table = match &output.schema {
            Some(schema) => format!("{schema}.{}", output.table),
            None => output.table.clone(),
        };
        let mut add = |what: &'static str, set: &RowSet| {
            for row in 0..set.len() {
                let cells = output.columns.iter().zip(&set.columns).filter(|(_, cells)| cells.has(row));
                let cell = |(column, cells): (&redis_wb_plan::plan::Column, &crate::rows::Cells)| {
                    (column.name.clone(), String::from_utf8_lossy(cells.cell(row)).into_owned())
                };
                all.push(TracedRow { table: table.clone(), what, columns: cells.map(cell).collect() });
            }
        };
        for round in &rows.rounds {
            add("delete all rows", &round.cleared);
            add("delete all rows of", &round.gone);
            add("delete the other rows of", &round.parents);
            add("delete", &round.deletes);
            add("write", &round.writes);
        }
    }
    all
}
