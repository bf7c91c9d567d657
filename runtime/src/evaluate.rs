//! One change into the rows that it asks for: filters, conditions, lists, columns. Knows no other change.

use redis_wb_plan::expr::Input;
use redis_wb_plan::plan::{Column, Condition, Filter, Job, OnUnmatched, OnVanished, Output, Step, Strategy};
use redis_wb_plan::value::Items;
use redis_wb_plan::{Reject, RejectCode, Slots, Value};

/// What a change does to the rows of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Upsert,
    Delete,
}

/// A part of what an output gets from a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// A row to write, with all columns.
    Write,
    /// A row to delete, with its key columns.
    Delete,
    /// All rows of a parent, with the columns that name it: those that it has and do not follow as its children go.
    Parent,
    /// A row of the parent before, with all columns.
    Child,
}

/// What takes the parts that an output gets, cell by cell.
pub(crate) trait Parts {
    /// A part begins.
    fn begin(&mut self, part: Part);
    /// The value of one of its columns.
    fn cell(&mut self, at: usize, value: &Value<'_>);
    /// It is whole. One that does not come to its end is none.
    fn end(&mut self);
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
fn elements<'b>(output: &'b Output, input: &'b Input<'b>) -> Result<Vec<Input<'b>>, Reject> {
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

/// Tells what an output gets from a change.
pub(crate) fn items(output: &Output, input: &Input<'_>, effect: Effect, parts: &mut impl Parts) -> Result<(), Reject> {
    let effect = told(output, input, effect)?;
    let is_appended = output.strategy == Strategy::Append;
    if is_appended && effect == Effect::Delete && output.delete.is_none() {
        return Ok(());
    }
    if let Some(condition) = &output.when
        && !passes(condition, input, effect)?
    {
        return Ok(());
    }
    let elements = elements(output, input)?;
    let keeps_vanished = output.foreach.as_ref().is_some_and(|foreach| foreach.on_vanished == OnVanished::Keep);
    // Where elements that vanish keep their rows, only the end of the key concerns all rows of a parent.
    let children = output.children.as_ref().filter(|_| effect == Effect::Delete || !keeps_vanished);
    if let Some(children) = children {
        parts.begin(Part::Parent);
        for at in &children.parent {
            parts.cell(*at, &column(output, &Slots::new(&output.shared), input, *at, effect)?);
        }
        parts.end();
        let has_rows = effect == Effect::Upsert;
        return elements.iter().filter(|_| has_rows).try_for_each(|element| {
            parts.begin(Part::Child);
            row(output, &output.columns, element, effect, parts)
        });
    }
    let own = std::slice::from_ref(input);
    // A delete that is appended is a row like any other.
    let by_key = effect == Effect::Delete && !is_appended;
    for element in if output.foreach.is_some() { &elements } else { own } {
        parts.begin(if by_key { Part::Delete } else { Part::Write });
        row(output, if by_key { output.keys() } else { &output.columns }, element, effect, parts)?;
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

/// Tells the values of one row.
fn row<'b>(
    output: &'b Output,
    columns: &'b [Column],
    input: &'b Input<'b>,
    effect: Effect,
    parts: &mut impl Parts,
) -> Result<(), Reject> {
    let slots = Slots::new(&output.shared);
    for at in 0..columns.len() {
        parts.cell(at, &column(output, &slots, input, at, effect)?);
    }
    parts.end();
    Ok(())
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
