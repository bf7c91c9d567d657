//! Evaluates the operators. `AND`, `OR`, `CASE`, `coalesce()` and `BETWEEN` evaluate only what decides, so that a
//! condition can guard a cast; the others evaluate all arguments from left to right.

use super::function::Body;
use super::op::SqlOp;
use super::{arithmetic, cast, compare, json, pattern, storage};
use crate::evaluate::{Evaluator, Held};
use crate::sql::compare::{Comparator, Comparison};
use crate::{Expr, Reject, RejectCode, Value};

/// The value of an operator for its arguments.
pub(crate) fn evaluate<'a>(
    evaluator: &Evaluator<'_, 'a>,
    op: &'a SqlOp,
    args: &'a [Expr],
) -> Result<Value<'a>, Reject> {
    match (op, args) {
        (SqlOp::Call(function), args) => call(evaluator, function.definition().body, args),
        (SqlOp::And, args) => junction(evaluator, args, false),
        (SqlOp::Or, args) => junction(evaluator, args, true),
        (SqlOp::Case, args) => case(evaluator, args),
        (SqlOp::CaseOf(how), [operand, args @ ..]) => case_of(evaluator, how, operand, args),
        (SqlOp::Coalesce, args) => coalesce(evaluator, args),
        (SqlOp::Between(low, high), [value, least, most]) => between(evaluator, (*low, *high), value, least, most),
        // SQLite does not look at the value, either.
        (SqlOp::In(_), [_]) => Ok(Value::Int(0)),
        (SqlOp::In(how), [value, list @ ..]) => is_in(evaluator, *how, value, list),
        (SqlOp::Concat, args) => concat(evaluator, args),
        (SqlOp::Min(how), args) => extreme(evaluator, *how, false, args),
        (SqlOp::Max(how), args) => extreme(evaluator, *how, true, args),
        (SqlOp::NullIf(how), [value, other]) => {
            let value = evaluator.value(value)?;
            compare::null_if(*how, value, evaluator.look(other)?.get())
        }
        (SqlOp::Cast { to, lossy }, [value]) => cast::cast(*to, *lossy, evaluator.value(value)?),
        (SqlOp::Plain, [value]) => Ok(match evaluator.value(value)? {
            Value::Json(text) => Value::Text(text),
            other => other,
        }),
        (op, [value]) => unary(op, evaluator.look(value)?.get()),
        (op, [left, right]) => {
            let (left, right) = (evaluator.look(left)?, evaluator.look(right)?);
            let value = binary(op, left.get(), right.get())?;
            charge(evaluator, value)
        }
        (SqlOp::Like, [text, pattern, escape]) => {
            let (text, pattern, escape) = (evaluator.look(text)?, evaluator.look(pattern)?, evaluator.look(escape)?);
            pattern::like(pattern.get(), text.get(), Some(escape.get())).map(storage::truth_value)
        }
        _ => Err(damaged()),
    }
}

/// A plan that no compiler makes.
fn damaged() -> Reject {
    Reject::new(RejectCode::InvalidArgument, "the plan is damaged: an operator has the wrong number of arguments")
}

/// Charges for what a value holds that was made anew.
fn charge<'a>(evaluator: &Evaluator<'_, 'a>, value: Value<'a>) -> Result<Value<'a>, Reject> {
    let made = match &value {
        Value::Text(text) | Value::Json(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        _ => 0,
    };
    if made > 0 {
        evaluator.charge(made)?;
    }
    Ok(value)
}

fn unary<'a>(op: &SqlOp, value: &Value<'_>) -> Result<Value<'a>, Reject> {
    match op {
        SqlOp::Negate => arithmetic::negate(value),
        SqlOp::Complement => arithmetic::complement(value),
        SqlOp::Not => Ok(storage::truth_value(storage::truth(value)?.map(|truth| !truth))),
        SqlOp::IsNull => Ok(Value::Int(i64::from(value.is_null()))),
        SqlOp::IsTruth(wanted) => Ok(Value::Int(i64::from(storage::truth(value)? == Some(*wanted)))),
        _ => Err(damaged()),
    }
}

fn binary<'a>(op: &SqlOp, left: &Value<'_>, right: &Value<'_>) -> Result<Value<'a>, Reject> {
    match op {
        SqlOp::Arithmetic(operator) => arithmetic::arithmetic(*operator, left, right),
        SqlOp::Bitwise(operator) => arithmetic::bitwise(*operator, left, right),
        SqlOp::Compare(comparator, how) => compare::compare(*comparator, *how, left, right).map(storage::truth_value),
        SqlOp::Is(how) => Ok(Value::Int(i64::from(compare::is(*how, left, right)?))),
        SqlOp::Like => pattern::like(right, left, None).map(storage::truth_value),
        SqlOp::Glob => pattern::glob(right, left).map(storage::truth_value),
        SqlOp::Arrow => json::arrow(false, left, right),
        SqlOp::LongArrow => json::arrow(true, left, right),
        _ => Err(damaged()),
    }
}

fn call<'a>(evaluator: &Evaluator<'_, 'a>, body: Body, args: &'a [Expr]) -> Result<Value<'a>, Reject> {
    let Body::Values(body) = body else { return Err(damaged()) };
    let value = match args {
        [] => body(&[])?,
        [one] => {
            let one = evaluator.look(one)?;
            body(&[one.get().borrowed()])?
        }
        [one, two] => {
            let (one, two) = (evaluator.look(one)?, evaluator.look(two)?);
            body(&[one.get().borrowed(), two.get().borrowed()])?
        }
        [one, two, three] => {
            let (one, two, three) = (evaluator.look(one)?, evaluator.look(two)?, evaluator.look(three)?);
            body(&[one.get().borrowed(), two.get().borrowed(), three.get().borrowed()])?
        }
        args => {
            let held: Vec<Held<'_, 'a>> = args.iter().map(|arg| evaluator.look(arg)).collect::<Result<_, _>>()?;
            let values: Vec<Value<'_>> = held.iter().map(|held| held.get().borrowed()).collect();
            body(&values)?
        }
    };
    charge(evaluator, value)
}

/// `AND` and `OR`: the first value that `decides`, else NULL where one is NULL.
fn junction<'a>(evaluator: &Evaluator<'_, 'a>, args: &'a [Expr], decides: bool) -> Result<Value<'a>, Reject> {
    let mut unknown = false;
    for arg in args {
        match storage::truth(evaluator.look(arg)?.get())? {
            Some(truth) if truth == decides => return Ok(Value::Int(i64::from(decides))),
            Some(_) => {}
            None => unknown = true,
        }
    }
    Ok(if unknown { Value::Null } else { Value::Int(i64::from(!decides)) })
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
    let Expr::Sql { op, args } = condition else {
        return Ok(storage::truth(evaluator.look(condition)?.get())? == Some(true));
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
            let value = evaluator.look(value)?;
            let least = evaluator.look(least)?;
            let above = compare::compare(Comparator::GreaterOrEqual, *low, value.get(), least.get())?;
            if above != Some(true) {
                return Ok(false);
            }
            let most = evaluator.look(most)?;
            Ok(compare::compare(Comparator::LessOrEqual, *high, value.get(), most.get())? == Some(true))
        }
        _ => Ok(storage::truth(evaluator.look(condition)?.get())? == Some(true)),
    }
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
    for arg in args {
        let held = evaluator.look(arg)?;
        if !held.get().is_null() {
            return evaluator.keep(held);
        }
    }
    Ok(Value::Null)
}

fn between<'a>(
    evaluator: &Evaluator<'_, 'a>,
    (low, high): (Comparison, Comparison),
    value: &'a Expr,
    least: &'a Expr,
    most: &'a Expr,
) -> Result<Value<'a>, Reject> {
    let value = evaluator.look(value)?;
    let above = compare::compare(Comparator::GreaterOrEqual, low, value.get(), evaluator.look(least)?.get())?;
    if above == Some(false) {
        return Ok(Value::Int(0));
    }
    let below = compare::compare(Comparator::LessOrEqual, high, value.get(), evaluator.look(most)?.get())?;
    Ok(storage::truth_value(match (above, below) {
        (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }))
}

fn is_in<'a>(
    evaluator: &Evaluator<'_, 'a>,
    how: Comparison,
    value: &'a Expr,
    list: &'a [Expr],
) -> Result<Value<'a>, Reject> {
    let value = evaluator.look(value)?;
    let mut unknown = false;
    for item in list {
        match compare::compare(Comparator::Equal, how, value.get(), evaluator.look(item)?.get())? {
            Some(true) => return Ok(Value::Int(1)),
            Some(false) => {}
            None => unknown = true,
        }
    }
    Ok(if unknown { Value::Null } else { Value::Int(0) })
}

fn concat<'a>(evaluator: &Evaluator<'_, 'a>, args: &'a [Expr]) -> Result<Value<'a>, Reject> {
    let mut out = arithmetic::Concat::default();
    for arg in args {
        out.push(evaluator.look(arg)?.get())?;
    }
    charge(evaluator, out.finish()?)
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
