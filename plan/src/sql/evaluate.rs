//! Evaluates the operators. `CASE` and `coalesce()` evaluate only what decides; the others evaluate all arguments from
//! left to right.
//!
//! An operator is evaluated as what it gives: a condition as a truth value (`condition`), arithmetic as a number, a text
//! in a buffer (`piece`), anything else as a value. Only where the expression ends, or a function wants one, does a value
//! come of a truth value, a number or a text.
//!
//! Each operator has a function of its own, and what is seldom needed is out of line: to enter a large function takes
//! longer than to do what most of these do.

use super::arithmetic::{self, Arithmetic, Bitwise};
use super::cast::{self, Cast};
use super::compare::{self, Comparator, Comparison};
use super::condition::{condition, holds};
use super::date::Times;
use super::function::{Body, Find};
use super::json::{self, Route};
use super::op::SqlOp;
use super::piece;
use super::storage::{self, Operand};
use crate::evaluate::{Evaluator, Held};
use crate::functions::Prepared;
use crate::{Expr, Reject, RejectCode, Value};

/// The value of an operator for its arguments.
pub(crate) fn evaluate<'a>(
    evaluator: &Evaluator<'_, 'a>,
    op: &'a SqlOp,
    args: &'a [Expr],
    prepared: &'a Prepared,
) -> Result<Value<'a>, Reject> {
    match (op, args) {
        (SqlOp::Compare(..), _) => truth(evaluator, op, args, prepared),
        (SqlOp::Call(function), args) => call(evaluator, function.definition().body, (op, args), prepared),
        (SqlOp::Concat, args) => piece::value(evaluator, op, args),
        (SqlOp::Arithmetic(_) | SqlOp::Negate, _) => number(evaluator, op, args),
        (SqlOp::Cast { to, .. }, _) if to.is_number() => number(evaluator, op, args),
        (SqlOp::Case, args) => case(evaluator, args),
        (SqlOp::CaseOf(how), [operand, args @ ..]) => case_of(evaluator, how, operand, args),
        (SqlOp::Coalesce, args) => coalesce(evaluator, args),
        (SqlOp::Min(how), args) => extreme(evaluator, *how, false, args),
        (SqlOp::Max(how), args) => extreme(evaluator, *how, true, args),
        (SqlOp::NullIf(how), [value, other]) => null_if(evaluator, *how, value, other),
        (SqlOp::Cast { to, lossy }, [value]) => cast(evaluator, (*to, *lossy), value),
        (SqlOp::Plain, [value]) => plain(evaluator, value),
        (SqlOp::Complement, [value]) => complement(evaluator, value),
        (SqlOp::Bitwise(operator), [left, right]) => bitwise(evaluator, *operator, left, right),
        (SqlOp::Arrow, [document, path]) => arrow(evaluator, false, (document, path), prepared),
        (SqlOp::LongArrow, [document, path]) => arrow(evaluator, true, (document, path), prepared),
        (op, args) if op.is_condition() => truth(evaluator, op, args, prepared),
        _ => Err(damaged()),
    }
}

/// A plan that no compiler makes.
#[cold]
pub(super) fn damaged() -> Reject {
    Reject::new(RejectCode::InvalidArgument, "the plan is damaged: an operator has the wrong number of arguments")
}

/// What a constant argument was read as once; `None` where it is none, or was not understood.
pub(super) fn constant<'a, T: Send + Sync + 'static>(
    prepared: &'a Prepared,
    arg: &Expr,
    read: fn(&Value<'_>) -> Option<T>,
) -> Option<&'a T> {
    let value = arg.as_literal()?;
    prepared.get(|| read(value))?.as_ref()
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

fn truth<'a>(
    evaluator: &Evaluator<'_, 'a>,
    op: &'a SqlOp,
    args: &'a [Expr],
    prepared: &'a Prepared,
) -> Result<Value<'a>, Reject> {
    condition(evaluator, op, args, prepared).map(storage::truth_value)
}

fn number<'a>(evaluator: &Evaluator<'_, 'a>, op: &'a SqlOp, args: &'a [Expr]) -> Result<Value<'a>, Reject> {
    match number_of(evaluator, op, args) {
        Ok(Operand::Value) => Err(damaged()),
        Ok(operand) => Ok(operand.value()),
        Err(reject) => Err(reject),
    }
}

/// An operand as far as it can be told without making a value.
#[inline]
pub(super) fn operand<'a>(evaluator: &Evaluator<'_, 'a>, expr: &'a Expr) -> Result<Operand, Reject> {
    match expr {
        Expr::Sql { op, args, .. } => number_of(evaluator, op, args),
        _ => Ok(evaluator.plain(expr).map_or(Operand::Value, |found| Operand::of(found.get()))),
    }
}

/// What an operator gives, if it always gives a number or NULL.
fn number_of<'a>(evaluator: &Evaluator<'_, 'a>, op: &'a SqlOp, args: &'a [Expr]) -> Result<Operand, Reject> {
    match (op, args) {
        (SqlOp::Arithmetic(operator), [left, right]) => arithmetic(evaluator, *operator, left, right),
        (SqlOp::Cast { to, lossy }, [value]) if to.is_number() => match evaluator.plain(value) {
            Some(found) => cast::to_number(*to, *lossy, found.get()),
            None => evaluator.seen(value, |value| cast::to_number(*to, *lossy, value.get())),
        },
        (SqlOp::Negate, [value]) => negate(evaluator, value),
        _ => Ok(Operand::Value),
    }
}

/// What an operator gives: a number or NULL.
fn arithmetic<'a>(
    evaluator: &Evaluator<'_, 'a>,
    operator: Arithmetic,
    left: &'a Expr,
    right: &'a Expr,
) -> Result<Operand, Reject> {
    let (left_operand, right_operand) = (operand(evaluator, left)?, operand(evaluator, right)?);
    match (left_operand.number(), right_operand.number()) {
        (Some(left), Some(right)) => Ok(arithmetic::of_numbers(operator, left, right).into()),
        _ => arithmetic_of_made(evaluator, operator, (left, left_operand), (right, right_operand)),
    }
}

/// The same where a side is NULL or must be made.
fn arithmetic_of_made<'a>(
    evaluator: &Evaluator<'_, 'a>,
    operator: Arithmetic,
    (left, left_operand): (&'a Expr, Operand),
    (right, right_operand): (&'a Expr, Operand),
) -> Result<Operand, Reject> {
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

fn negate<'a>(evaluator: &Evaluator<'_, 'a>, value: &'a Expr) -> Result<Operand, Reject> {
    evaluator.seen(value, |value| arithmetic::negate(value.get()).map(Operand::from))
}

fn cast<'a>(evaluator: &Evaluator<'_, 'a>, (to, lossy): (Cast, bool), value: &'a Expr) -> Result<Value<'a>, Reject> {
    cast::cast(to, lossy, evaluator.value(value)?)
}

fn complement<'a>(evaluator: &Evaluator<'_, 'a>, value: &'a Expr) -> Result<Value<'a>, Reject> {
    evaluator.seen(value, |value| arithmetic::complement(value.get()))
}

fn bitwise<'a>(
    evaluator: &Evaluator<'_, 'a>,
    operator: Bitwise,
    left: &'a Expr,
    right: &'a Expr,
) -> Result<Value<'a>, Reject> {
    evaluator.both(left, right, |left, right| arithmetic::bitwise(operator, left, right))
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

fn arrow<'a>(
    evaluator: &Evaluator<'_, 'a>,
    is_sql: bool,
    (document, path): (&'a Expr, &'a Expr),
    prepared: &'a Prepared,
) -> Result<Value<'a>, Reject> {
    let route = constant(prepared, path, Route::of_arrow);
    charged(evaluator, || {
        evaluator
            .taken(document, |document| evaluator.seen(path, |path| json::arrow(is_sql, &document, route, path.get())))
    })
}

/// Calls with more arguments than this collect them first.
const ARGUMENTS_MAX: usize = 8;

fn call<'a>(
    evaluator: &Evaluator<'_, 'a>,
    body: Body,
    (op, args): (&'a SqlOp, &'a [Expr]),
    prepared: &'a Prepared,
) -> Result<Value<'a>, Reject> {
    match (body, args) {
        (Body::Text(_), _) => piece::value(evaluator, op, args),
        (Body::Values(body), [one]) => call_with_one(evaluator, one, |one| body(&[one])),
        (Body::Values(body), [one, two]) => call_with_two(evaluator, one, two, |one, two| body(&[one, two])),
        (Body::Values(body), args) => call_with_many(evaluator, args, body),
        (Body::Timed(body), args) => call_timed(evaluator, body, args, prepared),
        (Body::Finds(body), [document, paths @ ..]) => find(evaluator, body, document, paths, prepared),
        (Body::Finds(_), []) => Ok(Value::Null),
        (Body::Operator, _) => Err(damaged()),
    }
}

fn call_timed<'a>(
    evaluator: &Evaluator<'_, 'a>,
    body: fn(&Times<'_>, &[&Value<'_>]) -> Result<Value<'static>, Reject>,
    args: &'a [Expr],
    prepared: &'a Prepared,
) -> Result<Value<'a>, Reject> {
    let times = Times::of(evaluator.now_us(), args, prepared);
    match args {
        [one] => call_with_one(evaluator, one, |one| body(&times, &[one])),
        [one, two] => call_with_two(evaluator, one, two, |one, two| body(&times, &[one, two])),
        args => call_with_many(evaluator, args, |values| body(&times, values)),
    }
}

/// A call of a function that looks for what it gives in a document.
fn find<'a>(
    evaluator: &Evaluator<'_, 'a>,
    body: Find,
    document: &'a Expr,
    paths: &'a [Expr],
    prepared: &'a Prepared,
) -> Result<Value<'a>, Reject> {
    charged(evaluator, || {
        evaluator.taken(document, |document| match paths {
            [path] => {
                let route = constant(prepared, path, Route::of_extract);
                evaluator.seen(path, |path| body(&document, route, &[path.get()]))
            }
            paths => with_many(evaluator, paths, |paths| body(&document, None, paths)),
        })
    })
}

#[inline]
fn call_with_one<'a>(
    evaluator: &Evaluator<'_, 'a>,
    one: &'a Expr,
    body: impl Fn(&Value<'_>) -> Result<Value<'a>, Reject>,
) -> Result<Value<'a>, Reject> {
    charged(evaluator, || match evaluator.plain(one) {
        Some(found) => body(found.get()),
        None => evaluator.seen(one, |one| body(one.get())),
    })
}

#[inline]
fn call_with_two<'a>(
    evaluator: &Evaluator<'_, 'a>,
    one: &'a Expr,
    two: &'a Expr,
    body: impl Fn(&Value<'_>, &Value<'_>) -> Result<Value<'a>, Reject>,
) -> Result<Value<'a>, Reject> {
    charged(evaluator, || match (evaluator.plain(one), evaluator.plain(two)) {
        (Some(one), Some(two)) => body(one.get(), two.get()),
        _ => evaluator.both(one, two, &body),
    })
}

fn call_with_many<'a>(
    evaluator: &Evaluator<'_, 'a>,
    args: &'a [Expr],
    body: impl FnOnce(&[&Value<'_>]) -> Result<Value<'a>, Reject>,
) -> Result<Value<'a>, Reject> {
    charged(evaluator, || with_many(evaluator, args, body))
}

#[inline]
fn with_many<'a>(
    evaluator: &Evaluator<'_, 'a>,
    args: &'a [Expr],
    body: impl FnOnce(&[&Value<'_>]) -> Result<Value<'a>, Reject>,
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

fn extreme<'a>(
    evaluator: &Evaluator<'_, 'a>,
    how: Comparison,
    greatest: bool,
    args: &'a [Expr],
) -> Result<Value<'a>, Reject> {
    let values = args.iter().map(|arg| evaluator.value(arg)).collect::<Result<_, _>>()?;
    compare::extreme(how, greatest, values)
}
