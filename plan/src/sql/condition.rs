//! Evaluates conditions: operators that give a truth value, which is never made into a value on the way. `AND` and `OR`
//! evaluate only what decides, so that a condition can guard a cast.

use super::compare::{self, Comparator, Comparison};
use super::evaluate::{constant, damaged, operand};
use super::op::SqlOp;
use super::pattern::{self, OneText};
use super::storage::{self, Operand};
use crate::evaluate::Evaluator;
use crate::functions::Prepared;
use crate::{Expr, Reject, Value};

/// Whether an expression is true, or `None` where it is NULL.
fn truth<'a>(evaluator: &Evaluator<'_, 'a>, expr: &'a Expr) -> Result<Option<bool>, Reject> {
    match expr {
        Expr::Sql { op, args, prepared } if op.is_condition() => condition(evaluator, op, args, prepared),
        other => evaluator.seen(other, |value| storage::truth(value.get())),
    }
}

/// The truth of an operator that [`SqlOp::is_condition`], or `None` where it is NULL.
pub(super) fn condition<'a>(
    evaluator: &Evaluator<'_, 'a>,
    op: &'a SqlOp,
    args: &'a [Expr],
    prepared: &'a Prepared,
) -> Result<Option<bool>, Reject> {
    match (op, args) {
        (SqlOp::Compare(comparator, how), [left, right]) => comparison(evaluator, (*comparator, *how), left, right),
        (SqlOp::And, args) => junction(evaluator, args, false),
        (SqlOp::Or, args) => junction(evaluator, args, true),
        (SqlOp::Not, [of]) => Ok(truth(evaluator, of)?.map(|truth| !truth)),
        (SqlOp::Between(low, high), [value, least, most]) => between(evaluator, (*low, *high), value, least, most),
        // SQLite does not look at the value, either.
        (SqlOp::In(_), [_]) => Ok(Some(false)),
        (SqlOp::In(how), [value, list @ ..]) => is_in(evaluator, *how, value, list),
        (SqlOp::IsNull, [value]) => is_null(evaluator, value),
        (SqlOp::Is(how), [left, right]) => is(evaluator, *how, left, right),
        (SqlOp::IsTruth(wanted), [of]) => Ok(Some(truth(evaluator, of)? == Some(*wanted))),
        (SqlOp::Like, [text, pattern]) => like(evaluator, text, pattern, prepared),
        (SqlOp::Like, [text, pattern, escape]) => like_with(evaluator, text, pattern, escape),
        (SqlOp::Glob, [text, pattern]) => glob(evaluator, text, pattern, prepared),
        _ => Err(damaged()),
    }
}

/// Whether a condition is true. What is NULL is as good as false here, so less has to be evaluated.
pub(super) fn holds<'a>(evaluator: &Evaluator<'_, 'a>, condition: &'a Expr) -> Result<bool, Reject> {
    let Expr::Sql { op, args, .. } = condition else {
        return Ok(truth(evaluator, condition)? == Some(true));
    };
    match (op, args.as_slice()) {
        (SqlOp::Compare(comparator, how), [left, right]) => {
            Ok(comparison(evaluator, (*comparator, *how), left, right)? == Some(true))
        }
        (SqlOp::And, args) => hold(evaluator, args, true),
        (SqlOp::Or, args) => hold(evaluator, args, false).map(|hold| !hold),
        (SqlOp::Between(low, high), [value, least, most]) => {
            holds_between(evaluator, (*low, *high), value, least, most)
        }
        _ => Ok(truth(evaluator, condition)? == Some(true)),
    }
}

/// Whether every condition is `wanted`; the first that is not ends it.
fn hold<'a>(evaluator: &Evaluator<'_, 'a>, conditions: &'a [Expr], wanted: bool) -> Result<bool, Reject> {
    for condition in conditions {
        if holds(evaluator, condition)? != wanted {
            return Ok(false);
        }
    }
    Ok(true)
}

#[inline]
fn comparison<'a>(
    evaluator: &Evaluator<'_, 'a>,
    (comparator, how): (Comparator, Comparison),
    left: &'a Expr,
    right: &'a Expr,
) -> Result<Option<bool>, Reject> {
    match (evaluator.plain(left), evaluator.plain(right)) {
        (Some(left), Some(right)) => compare::compare(comparator, how, left.get(), right.get()),
        _ => comparison_of_made(evaluator, (comparator, how), left, right),
    }
}

/// The same with a side that must be made; numbers are compared without a value of them.
fn comparison_of_made<'a>(
    evaluator: &Evaluator<'_, 'a>,
    (comparator, how): (Comparator, Comparison),
    left: &'a Expr,
    right: &'a Expr,
) -> Result<Option<bool>, Reject> {
    let (left_operand, right_operand) = (operand(evaluator, left)?, operand(evaluator, right)?);
    match (left_operand, right_operand) {
        (Operand::Value, Operand::Value) => {
            evaluator.both(left, right, |left, right| compare::compare(comparator, how, left, right))
        }
        (Operand::Value, right) => {
            evaluator.seen(left, |left| compare::compare(comparator, how, left.get(), &right.value()))
        }
        (left, Operand::Value) => {
            evaluator.seen(right, |right| compare::compare(comparator, how, &left.value(), right.get()))
        }
        (left, right) => Ok(compare::numbers(comparator, left, right)),
    }
}

/// `AND` and `OR`: the first truth that `decides`, else NULL where one is NULL.
fn junction<'a>(evaluator: &Evaluator<'_, 'a>, args: &'a [Expr], decides: bool) -> Result<Option<bool>, Reject> {
    let mut outcome = Some(!decides);
    for arg in args {
        match truth(evaluator, arg)? {
            Some(truth) if truth == decides => return Ok(Some(decides)),
            Some(_) => {}
            None => outcome = None,
        }
    }
    Ok(outcome)
}

fn between<'a>(
    evaluator: &Evaluator<'_, 'a>,
    (low, high): (Comparison, Comparison),
    value: &'a Expr,
    least: &'a Expr,
    most: &'a Expr,
) -> Result<Option<bool>, Reject> {
    let value = evaluator.look(value)?;
    let above = compare::compare(Comparator::GreaterOrEqual, low, value.get(), evaluator.look(least)?.get())?;
    if above == Some(false) {
        return Ok(Some(false));
    }
    let below = compare::compare(Comparator::LessOrEqual, high, value.get(), evaluator.look(most)?.get())?;
    Ok(match (above, below) {
        (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    })
}

fn holds_between<'a>(
    evaluator: &Evaluator<'_, 'a>,
    (low, high): (Comparison, Comparison),
    value: &'a Expr,
    least: &'a Expr,
    most: &'a Expr,
) -> Result<bool, Reject> {
    let value = evaluator.look(value)?;
    let least = evaluator.look(least)?;
    if compare::compare(Comparator::GreaterOrEqual, low, value.get(), least.get())? != Some(true) {
        return Ok(false);
    }
    let most = evaluator.look(most)?;
    Ok(compare::compare(Comparator::LessOrEqual, high, value.get(), most.get())? == Some(true))
}

fn is_in<'a>(
    evaluator: &Evaluator<'_, 'a>,
    how: Comparison,
    value: &'a Expr,
    list: &'a [Expr],
) -> Result<Option<bool>, Reject> {
    match evaluator.plain(value) {
        Some(found) => is_among(evaluator, how, found.get(), list),
        None => evaluator.seen(value, |value| is_among(evaluator, how, value.get(), list)),
    }
}

fn is_among<'a>(
    evaluator: &Evaluator<'_, 'a>,
    how: Comparison,
    value: &Value<'a>,
    list: &'a [Expr],
) -> Result<Option<bool>, Reject> {
    let mut outcome = Some(false);
    for item in list {
        let equal = match item.as_literal() {
            Some(item) => compare::compare(Comparator::Equal, how, value, item)?,
            None => evaluator.seen(item, |item| compare::compare(Comparator::Equal, how, value, item.get()))?,
        };
        match equal {
            Some(true) => return Ok(Some(true)),
            Some(false) => {}
            None => outcome = None,
        }
    }
    Ok(outcome)
}

fn is_null<'a>(evaluator: &Evaluator<'_, 'a>, value: &'a Expr) -> Result<Option<bool>, Reject> {
    evaluator.seen(value, |value| Ok(Some(value.get().is_null())))
}

fn is<'a>(
    evaluator: &Evaluator<'_, 'a>,
    how: Comparison,
    left: &'a Expr,
    right: &'a Expr,
) -> Result<Option<bool>, Reject> {
    evaluator.both(left, right, |left, right| compare::is(how, left, right).map(Some))
}

fn like<'a>(
    evaluator: &Evaluator<'_, 'a>,
    text: &'a Expr,
    pattern: &'a Expr,
    prepared: &'a Prepared,
) -> Result<Option<bool>, Reject> {
    match constant(prepared, pattern, OneText::of_like) {
        Some(pattern) => matches(evaluator, text, pattern),
        None => evaluator.both(text, pattern, |text, pattern| pattern::like(pattern, text, None)),
    }
}

fn like_with<'a>(
    evaluator: &Evaluator<'_, 'a>,
    text: &'a Expr,
    pattern: &'a Expr,
    escape: &'a Expr,
) -> Result<Option<bool>, Reject> {
    let (text, pattern, escape) = (evaluator.look(text)?, evaluator.look(pattern)?, evaluator.look(escape)?);
    pattern::like(pattern.get(), text.get(), Some(escape.get()))
}

fn glob<'a>(
    evaluator: &Evaluator<'_, 'a>,
    text: &'a Expr,
    pattern: &'a Expr,
    prepared: &'a Prepared,
) -> Result<Option<bool>, Reject> {
    match constant(prepared, pattern, OneText::of_glob) {
        Some(pattern) => matches(evaluator, text, pattern),
        None => evaluator.both(text, pattern, |text, pattern| pattern::glob(pattern, text)),
    }
}

fn matches<'a>(evaluator: &Evaluator<'_, 'a>, text: &'a Expr, pattern: &OneText) -> Result<Option<bool>, Reject> {
    match evaluator.plain(text) {
        Some(found) => pattern.matches(found.get()),
        None => evaluator.seen(text, |text| pattern.matches(text.get())),
    }
}
