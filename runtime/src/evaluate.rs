//! One change into the rows that it asks for: filters, conditions, lists, columns. Knows no other change.

use redis_wb_plan::expr::Input;
use redis_wb_plan::plan::{Condition, Filter, Job, OnUnmatched, OnVanished, Output, Step, Strategy};
use redis_wb_plan::value::Items;
use redis_wb_plan::{Reject, RejectCode, Slots, Value};

/// What a change does to the rows of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Upsert,
    Delete,
}

/// What an output gets from a change.
pub(crate) enum Item<'b> {
    /// One row.
    Row(Row<'b>),
    /// All rows of a parent: those that it has and are not among them go.
    Family {
        /// The columns that name the parent, by their place, and their values.
        parent: Vec<(usize, Value<'b>)>,
        /// The rows that it has.
        rows: Vec<Vec<Value<'b>>>,
    },
}

/// One row of an output.
pub(crate) struct Row<'b> {
    pub(crate) effect: Effect,
    /// The values of its columns; of the key columns only, where it is to be deleted by its key.
    pub(crate) values: Vec<Value<'b>>,
}

/// What the filters of a job leave of a change: `None` where its rows stay as they are.
pub(crate) fn filtered<'b>(job: &'b Job, input: &'b Input<'b>, effect: Effect) -> Result<Option<Effect>, Reject> {
    filtered_telling(job, input, effect, |_, _| ())
}

/// The same; tells of each filter that was asked whether the change passes.
pub(crate) fn filtered_telling<'b>(
    job: &'b Job,
    input: &'b Input<'b>,
    effect: Effect,
    mut tell: impl FnMut(&'b Filter, bool),
) -> Result<Option<Effect>, Reject> {
    for step in &job.steps {
        let Step::Filter(filter) = step else { continue };
        let does_pass = passes(&filter.condition, input, effect)?;
        tell(filter, does_pass);
        if !does_pass {
            return Ok(match filter.on_unmatched {
                OnUnmatched::Delete => Some(Effect::Delete),
                OnUnmatched::Keep => None,
            });
        }
    }
    Ok(Some(effect))
}

/// Whether a change passes. A delete does where the condition cannot say anything of it.
pub(crate) fn passes<'b>(condition: &'b Condition, input: &'b Input<'b>, effect: Effect) -> Result<bool, Reject> {
    if effect == Effect::Delete && !condition.holds_deletes {
        return Ok(true);
    }
    condition.passes(input)
}

/// The record once for each element of the list that an output makes rows of.
pub(crate) fn elements<'b>(output: &'b Output, input: &'b Input<'b>) -> Result<Vec<Input<'b>>, Reject> {
    let Some(foreach) = &output.foreach else {
        return Ok(Vec::new());
    };
    let list = match Slots::new(&[]).evaluate(&foreach.list, input)? {
        Value::List(Items::Owned(items)) => items,
        Value::List(Items::Borrowed(items)) => items.iter().map(Value::borrowed).collect(),
        Value::Null => Vec::new(),
        other => {
            let reason =
                format!("`foreach` of `{}` needs a list and got a value of type {}", output.table, other.kind());
            return Err(Reject::new(RejectCode::NotConvertible, reason));
        }
    };
    let of_element = |element| Input {
        key: input.key.borrowed(),
        before: input.before.borrowed(),
        after: input.after.borrowed(),
        opcode: input.opcode,
        element,
        lookups: input.lookups.clone(),
        now_us: input.now_us,
    };
    Ok(list.into_iter().map(of_element).collect())
}

/// Tells what an output gets from a change; `elements` are those of [`elements`].
pub(crate) fn items<'b>(
    output: &'b Output,
    input: &'b Input<'b>,
    elements: &'b [Input<'b>],
    effect: Effect,
    mut tell: impl FnMut(Item<'b>),
) -> Result<(), Reject> {
    let effect = told(output, input, effect)?;
    if let Some(condition) = &output.when
        && !passes(condition, input, effect)?
    {
        return Ok(());
    }
    let keeps_vanished = output.foreach.as_ref().is_some_and(|foreach| foreach.on_vanished == OnVanished::Keep);
    // Where elements that vanish keep their rows, only the end of the key concerns all rows of a parent.
    let children = output.children.as_ref().filter(|_| effect == Effect::Delete || !keeps_vanished);
    if let Some(children) = children {
        let mut parent = Vec::with_capacity(children.parent.len());
        for at in &children.parent {
            parent.push((*at, column(output, &Slots::new(&output.shared), input, *at, effect)?));
        }
        let has_rows = effect == Effect::Upsert;
        let rows = elements.iter().filter(|_| has_rows).map(|element| row(output, element, effect));
        tell(Item::Family { parent, rows: rows.collect::<Result<_, _>>()? });
        return Ok(());
    }
    let own = std::slice::from_ref(input);
    for element in if output.foreach.is_some() { elements } else { own } {
        tell(Item::Row(Row { effect, values: row(output, element, effect)? }));
    }
    Ok(())
}

/// What the opcode of the record itself says, where the output reads one.
fn told<'b>(output: &'b Output, input: &'b Input<'b>, effect: Effect) -> Result<Effect, Reject> {
    let Some(opcode) = output.opcode.as_ref().filter(|_| effect == Effect::Upsert) else {
        return Ok(effect);
    };
    Ok(match Slots::new(&output.shared).evaluate(opcode, input)? {
        Value::Text(opcode) if opcode == "d" => Effect::Delete,
        _ => effect,
    })
}

/// The values of one row.
fn row<'b>(output: &'b Output, input: &'b Input<'b>, effect: Effect) -> Result<Vec<Value<'b>>, Reject> {
    // A delete that is appended is a row like any other.
    let by_key = effect == Effect::Delete && output.strategy != Strategy::Append;
    let columns = if by_key { output.keys() } else { &output.columns };
    let slots = Slots::new(&output.shared);
    (0..columns.len()).map(|at| column(output, &slots, input, at, effect)).collect()
}

/// The value of one column.
fn column<'b>(
    output: &'b Output,
    slots: &Slots<'b>,
    input: &'b Input<'b>,
    at: usize,
    effect: Effect,
) -> Result<Value<'b>, Reject> {
    let Some(column) = output.columns.get(at) else {
        return Ok(Value::Null);
    };
    let named = |reject: Reject| Reject::new(reject.code, format!("column `{}`: {}", column.name, reject.reason));
    let value = slots.evaluate(&column.expr, input).map_err(named)?;
    if value.is_null() && at < output.key_columns {
        return Err(null_key(output, input, &column.name, effect));
    }
    if value.is_null() && !column.nullable && effect == Effect::Upsert {
        let reason = format!("column `{}` takes no null, and `{}` is missing", column.name, column.origin);
        return Err(Reject::new(RejectCode::NullColumn, reason));
    }
    Ok(value)
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
