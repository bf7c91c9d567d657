//! Evaluates the operators. `AND`, `OR`, `CASE`, `coalesce()` and `BETWEEN` evaluate only what decides, so that a
//! condition can guard a cast; the others evaluate all arguments from left to right.
//!
//! An operator is evaluated as what it gives: a condition as a truth value, arithmetic as a number, anything else as a
//! value. Only where the expression ends, or a function wants one, does a value come of a truth value or a number.

use super::arithmetic::{self, Arithmetic};
use super::compare::{Comparator, Comparison};
use super::date::Times;
use super::function::Body;
use super::op::SqlOp;
use super::pattern::{self, OneText};
use super::storage::{self, Operand};
use super::{cast, compare, json};
use crate::evaluate::{Evaluator, Held, Item};
use crate::functions::Prepared;
use crate::{Expr, Reject, RejectCode, Value};

/// The value of an operator for its arguments.
pub(crate) fn evaluate<'a>(
    evaluator: &Evaluator<'_, 'a>,
    op: &'a SqlOp,
    args: &'a [Expr],
    prepared: &'a Prepared,
) -> Result<Value<'a>, Reject> {
    if op.is_condition() {
        return condition(evaluator, op, args, prepared).map(storage::truth_value);
    }
    match (op, args) {
        (SqlOp::Arithmetic(operator), [left, right]) => {
            arithmetic(evaluator, *operator, left, right).map(Operand::value)
        }
        (SqlOp::Call(function), args) => call(evaluator, function.definition().body, args, prepared),
        (SqlOp::Case, args) => case(evaluator, args),
        (SqlOp::CaseOf(how), [operand, args @ ..]) => case_of(evaluator, how, operand, args),
        (SqlOp::Coalesce, args) => coalesce(evaluator, args),
        (SqlOp::Concat, args) => concat(evaluator, args),
        (SqlOp::Min(how), args) => extreme(evaluator, *how, false, args),
        (SqlOp::Max(how), args) => extreme(evaluator, *how, true, args),
        (SqlOp::NullIf(how), [value, other]) => null_if(evaluator, *how, value, other),
        (SqlOp::Cast { to, lossy }, [value]) if to.is_number() => {
            evaluator.seen(value, |value| cast::to_number(*to, *lossy, value.get())).map(Operand::value)
        }
        (SqlOp::Cast { to, lossy }, [value]) => cast::cast(*to, *lossy, evaluator.value(value)?),
        (SqlOp::Plain, [value]) => plain(evaluator, value),
        (SqlOp::Negate, [value]) => evaluator.seen(value, |value| arithmetic::negate(value.get())),
        (SqlOp::Complement, [value]) => arithmetic::complement(evaluator.look(value)?.get()),
        (SqlOp::Bitwise(operator), [left, right]) => {
            evaluator.both(left, right, |left, right| arithmetic::bitwise(*operator, left, right))
        }
        (SqlOp::Arrow | SqlOp::LongArrow, [document, path]) => {
            let is_sql = matches!(op, SqlOp::LongArrow);
            charged(evaluator, || {
                evaluator
                    .taken(document, |document| evaluator.seen(path, |path| json::arrow(is_sql, &document, path.get())))
            })
        }
        _ => Err(damaged()),
    }
}

/// A plan that no compiler makes.
#[cold]
fn damaged() -> Reject {
    Reject::new(RejectCode::InvalidArgument, "the plan is damaged: an operator has the wrong number of arguments")
}

/// A result, charged for what it holds that was made anew.
#[inline]
fn charged<'a>(
    evaluator: &Evaluator<'_, 'a>,
    make: impl FnOnce() -> Result<Value<'a>, Reject>,
) -> Result<Value<'a>, Reject> {
    let mut value = make();
    let bytes = match &value {
        Ok(Value::Text(text) | Value::Json(text)) => text.len(),
        Ok(Value::Bytes(bytes)) => bytes.len(),
        _ => 0,
    };
    if let Err(reject) = evaluator.charge(bytes) {
        value = Err(reject);
    }
    value
}

/// Whether an expression is true, or `None` where it is NULL.
fn truth<'a>(evaluator: &Evaluator<'_, 'a>, expr: &'a Expr) -> Result<Option<bool>, Reject> {
    match expr {
        Expr::Sql { op, args, prepared } if op.is_condition() => condition(evaluator, op, args, prepared),
        other => evaluator.seen(other, |value| storage::truth(value.get())),
    }
}

/// The truth of an operator that [`SqlOp::is_condition`], or `None` where it is NULL.
fn condition<'a>(
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
        (SqlOp::IsNull, [value]) => evaluator.seen(value, |value| Ok(Some(value.get().is_null()))),
        (SqlOp::Is(how), [left, right]) => {
            evaluator.both(left, right, |left, right| compare::is(*how, left, right).map(Some))
        }
        (SqlOp::IsTruth(wanted), [of]) => Ok(Some(truth(evaluator, of)? == Some(*wanted))),
        (SqlOp::Like, [text, pattern]) => match constant(prepared, pattern, OneText::of_like) {
            Some(pattern) => evaluator.seen(text, |text| pattern.matches(text.get())),
            None => evaluator.both(text, pattern, |text, pattern| pattern::like(pattern, text, None)),
        },
        (SqlOp::Like, [text, pattern, escape]) => {
            let (text, pattern, escape) = (evaluator.look(text)?, evaluator.look(pattern)?, evaluator.look(escape)?);
            pattern::like(pattern.get(), text.get(), Some(escape.get()))
        }
        (SqlOp::Glob, [text, pattern]) => match constant(prepared, pattern, OneText::of_glob) {
            Some(pattern) => evaluator.seen(text, |text| pattern.matches(text.get())),
            None => evaluator.both(text, pattern, |text, pattern| pattern::glob(pattern, text)),
        },
        _ => Err(damaged()),
    }
}

/// What a constant pattern was read as once.
fn constant<'a>(prepared: &'a Prepared, pattern: &Expr, read: fn(&str) -> Option<OneText>) -> Option<&'a OneText> {
    let Some(Value::Text(pattern)) = pattern.as_literal() else { return None };
    prepared.get(|| read(pattern))?.as_ref()
}

fn comparison<'a>(
    evaluator: &Evaluator<'_, 'a>,
    (comparator, how): (Comparator, Comparison),
    left: &'a Expr,
    right: &'a Expr,
) -> Result<Option<bool>, Reject> {
    evaluator.both(left, right, |left, right| compare::compare(comparator, how, left, right))
}

/// An operand as far as it can be told without making a value.
fn operand<'a>(evaluator: &Evaluator<'_, 'a>, expr: &'a Expr) -> Result<Operand, Reject> {
    match expr {
        Expr::Sql { op: SqlOp::Arithmetic(operator), args, .. } if let [left, right] = args.as_slice() => {
            arithmetic(evaluator, *operator, left, right)
        }
        Expr::Sql { op: SqlOp::Cast { to, lossy }, args, .. }
            if to.is_number()
                && let [of] = args.as_slice() =>
        {
            evaluator.seen(of, |value| cast::to_number(*to, *lossy, value.get()))
        }
        _ => Ok(evaluator.plain(expr).map_or(Operand::Value, |found| Operand::of(found.get()))),
    }
}

/// What an operator gives: a number or NULL.
fn arithmetic<'a>(
    evaluator: &Evaluator<'_, 'a>,
    operator: Arithmetic,
    left: &'a Expr,
    right: &'a Expr,
) -> Result<Operand, Reject> {
    let left_operand = operand(evaluator, left)?;
    let right_operand = operand(evaluator, right)?;
    if let (Some(left), Some(right)) = (left_operand.number(), right_operand.number()) {
        return Ok(arithmetic::of_numbers(operator, left, right).into());
    }
    if left_operand == Operand::Null || right_operand == Operand::Null {
        return Ok(Operand::Null);
    }
    let number = match (left_operand.number(), right_operand.number()) {
        (Some(left), _) => evaluator.seen(right, |right| arithmetic::of_values(operator, &left.value(), right.get())),
        (_, Some(right)) => evaluator.seen(left, |left| arithmetic::of_values(operator, left.get(), &right.value())),
        _ => evaluator.both(left, right, |left, right| arithmetic::of_values(operator, left, right)),
    };
    number.map(Operand::from)
}

fn null_if<'a>(
    evaluator: &Evaluator<'_, 'a>,
    how: Comparison,
    value: &'a Expr,
    other: &'a Expr,
) -> Result<Value<'a>, Reject> {
    evaluator.taken(value, |value| {
        evaluator.seen(other, |other| {
            if compare::is(how, value.get(), other.get())? { Ok(Value::Null) } else { evaluator.keep_item(value) }
        })
    })
}

/// JSON that a function made, as text like any other.
fn plain<'a>(evaluator: &Evaluator<'_, 'a>, value: &'a Expr) -> Result<Value<'a>, Reject> {
    Ok(match evaluator.value(value)? {
        Value::Json(text) => Value::Text(text),
        other => other,
    })
}

/// Calls with more arguments than this collect them first.
const ARGUMENTS_MAX: usize = 8;

fn call<'a>(
    evaluator: &Evaluator<'_, 'a>,
    body: Body,
    args: &'a [Expr],
    prepared: &'a Prepared,
) -> Result<Value<'a>, Reject> {
    match body {
        Body::Values(body) => call_with(evaluator, args, body),
        Body::Passes(body) => pass(evaluator, body, args),
        Body::Timed(body) => {
            let times = Times::of(evaluator.now_us(), args, prepared);
            call_with(evaluator, args, |values| body(&times, values))
        }
        Body::Operator => Err(damaged()),
    }
}

/// A call of a function that may hand its first argument on.
fn pass<'a>(
    evaluator: &Evaluator<'_, 'a>,
    body: fn(Item<'_, 'a>, &[&Value<'_>]) -> Result<Value<'a>, Reject>,
    args: &'a [Expr],
) -> Result<Value<'a>, Reject> {
    let Some((first, rest)) = args.split_first() else { return Err(damaged()) };
    charged(evaluator, || {
        evaluator.taken(first, |first| match rest {
            [] => body(first, &[]),
            [one] => evaluator.seen(one, |one| body(first, &[one.get()])),
            [one, two] => evaluator.both(one, two, |one, two| body(first, &[one, two])),
            rest => call_with_many(evaluator, |rest| body(first, rest), rest),
        })
    })
}

fn call_with<'a>(
    evaluator: &Evaluator<'_, 'a>,
    args: &'a [Expr],
    body: impl FnOnce(&[&Value<'_>]) -> Result<Value<'a>, Reject>,
) -> Result<Value<'a>, Reject> {
    charged(evaluator, || match args {
        [] => body(&[]),
        [one] => evaluator.seen(one, |one| body(&[one.get()])),
        [one, two] => evaluator.both(one, two, |one, two| body(&[one, two])),
        args => call_with_many(evaluator, body, args),
    })
}

fn call_with_many<'a>(
    evaluator: &Evaluator<'_, 'a>,
    body: impl FnOnce(&[&Value<'_>]) -> Result<Value<'a>, Reject>,
    args: &'a [Expr],
) -> Result<Value<'a>, Reject> {
    let null = Value::Null;
    let mut plain = [&null; ARGUMENTS_MAX];
    let mut count = 0;
    for (place, arg) in plain.iter_mut().zip(args) {
        let Some(found) = evaluator.plain(arg) else { break };
        *place = found.get();
        count += 1;
    }
    match plain.get(..count) {
        Some(values) if count == args.len() => body(values),
        _ => {
            let held: Vec<Held<'_, 'a>> = args.iter().map(|arg| evaluator.look(arg)).collect::<Result<_, _>>()?;
            let values: Vec<&Value<'_>> = held.iter().map(Held::get).collect();
            body(&values)
        }
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

fn case<'a>(evaluator: &Evaluator<'_, 'a>, args: &'a [Expr]) -> Result<Value<'a>, Reject> {
    for branch in args.chunks(2) {
        match branch {
            [condition, then] => {
                if holds(evaluator, condition)? {
                    return evaluator.value(then);
                }
            }
            [otherwise] => return evaluator.value(otherwise),
            _ => return Err(damaged()),
        }
    }
    Ok(Value::Null)
}

/// Whether a condition is true. What is NULL is as good as false here, so less has to be evaluated.
fn holds<'a>(evaluator: &Evaluator<'_, 'a>, condition: &'a Expr) -> Result<bool, Reject> {
    let Expr::Sql { op, args, .. } = condition else {
        return Ok(truth(evaluator, condition)? == Some(true));
    };
    match (op, args.as_slice()) {
        (SqlOp::And, args) => {
            for arg in args {
                if !holds(evaluator, arg)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (SqlOp::Or, args) => {
            for arg in args {
                if holds(evaluator, arg)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        (SqlOp::Between(low, high), [value, least, most]) => {
            holds_between(evaluator, (*low, *high), value, least, most)
        }
        _ => Ok(truth(evaluator, condition)? == Some(true)),
    }
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

fn case_of<'a>(
    evaluator: &Evaluator<'_, 'a>,
    how: &'a [Comparison],
    operand: &'a Expr,
    args: &'a [Expr],
) -> Result<Value<'a>, Reject> {
    let operand = evaluator.look(operand)?;
    let mut how = how.iter();
    for branch in args.chunks(2) {
        match branch {
            [wanted, then] => {
                let how = how.next().copied().unwrap_or_default();
                let wanted = evaluator.look(wanted)?;
                if compare::compare(Comparator::Equal, how, operand.get(), wanted.get())? == Some(true) {
                    return evaluator.value(then);
                }
            }
            [otherwise] => return evaluator.value(otherwise),
            _ => return Err(damaged()),
        }
    }
    Ok(Value::Null)
}

fn coalesce<'a>(evaluator: &Evaluator<'_, 'a>, args: &'a [Expr]) -> Result<Value<'a>, Reject> {
    let Some((last, args)) = args.split_last() else { return Ok(Value::Null) };
    for arg in args {
        match evaluator.plain(arg) {
            Some(found) if found.get().is_null() => {}
            Some(_) => return evaluator.value(arg),
            None => {
                let value = evaluator.value(arg);
                if !matches!(value, Ok(Value::Null)) {
                    return value;
                }
            }
        }
    }
    evaluator.value(last)
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

fn is_in<'a>(
    evaluator: &Evaluator<'_, 'a>,
    how: Comparison,
    value: &'a Expr,
    list: &'a [Expr],
) -> Result<Option<bool>, Reject> {
    evaluator.seen(value, |value| {
        let mut outcome = Some(false);
        for item in list {
            let equal =
                evaluator.seen(item, |item| compare::compare(Comparator::Equal, how, value.get(), item.get()))?;
            match equal {
                Some(true) => return Ok(Some(true)),
                Some(false) => {}
                None => outcome = None,
            }
        }
        Ok(outcome)
    })
}

fn concat<'a>(evaluator: &Evaluator<'_, 'a>, args: &'a [Expr]) -> Result<Value<'a>, Reject> {
    charged(evaluator, || {
        let mut out = arithmetic::Concat::new();
        for arg in args {
            evaluator.seen(arg, |value| out.push(value.get()))?;
        }
        out.finish()
    })
}

fn extreme<'a>(
    evaluator: &Evaluator<'_, 'a>,
    how: Comparison,
    greatest: bool,
    args: &'a [Expr],
) -> Result<Value<'a>, Reject> {
    let values = args.iter().map(|arg| evaluator.value(arg)).collect::<Result<_, _>>()?;
    compare::extreme(how, greatest, values)
}
