//! Functions of numbers.

use std::borrow::Cow;

use super::{Accepts, Args, Definition, Family, PLAIN, Param, Returns, eg};
use crate::expr_type::ExprType;
use crate::number::Sum;
use crate::{Reject, Type, Value, number};

const NUMBER: Param = Param::new("number", Accepts::NUMBER);
const NUMBERS: Param = Param::new("numbers", Accepts::NUMBERS);

pub(super) const ALL: &[Definition] = &[ABS, AVG, CEIL, FLOOR, SUM];

const ABS: Definition = Definition {
    name: "abs",
    family: Family::Number,
    params: &[NUMBER],
    returns: Returns::Infer(|args| args.first().cloned().unwrap_or(ExprType::UNKNOWN).not_null()),
    doc: "The number without its sign.",
    examples: &[eg("abs(@)", "-2.5", "2.5")],
    body: |args| {
        Ok(match args.value(0)? {
            Value::Int(int) => {
                int.checked_abs().map_or_else(|| Value::Decimal(Cow::Owned(int.unsigned_abs().to_string())), Value::Int)
            }
            Value::Float(float) => Value::Float(float.abs()),
            Value::Decimal(text) => Value::Decimal(match text {
                Cow::Borrowed(text) => Cow::Borrowed(text.trim_start_matches('-')),
                Cow::Owned(text) => Cow::Owned(text.trim_start_matches('-').to_owned()),
            }),
            other => other,
        })
    },
    ..PLAIN
};

const CEIL: Definition = Definition {
    name: "ceil",
    family: Family::Number,
    params: &[NUMBER],
    returns: Returns::Infer(whole),
    doc: "The least whole number that is not below the number.",
    examples: &[eg("ceil(@)", "1.2", "2"), eg("ceil(@)", "-1.2", "-1")],
    body: |args| round(args, f64::ceil, 1),
    ..PLAIN
};

const FLOOR: Definition = Definition {
    name: "floor",
    family: Family::Number,
    params: &[NUMBER],
    returns: Returns::Infer(whole),
    doc: "The greatest whole number that is not above the number.",
    examples: &[eg("floor(@)", "1.8", "1"), eg("floor(@)", "-1.2", "-2")],
    body: |args| round(args, f64::floor, -1),
    ..PLAIN
};

/// Whole numbers stay whole; those of other kinds may be too large for 64 bits.
fn whole(args: &[ExprType]) -> ExprType {
    match args.first().map(|arg| arg.kind) {
        Some(Type::Int) => ExprType::of(Type::Int),
        _ => ExprType { nullable: false, ..ExprType::UNKNOWN },
    }
}

/// Rounds towards the side of `away`: 1 is up, -1 is down.
fn round<'a>(args: &Args<'_, 'a>, float: fn(f64) -> f64, away: i64) -> Result<Value<'a>, Reject> {
    Ok(match args.value(0)? {
        Value::Float(number) => number::whole_or_float(float(number)),
        Value::Decimal(text) => {
            let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
            let is_above = !text.starts_with('-');
            let moves = fraction.bytes().any(|digit| digit != b'0') && is_above == (away > 0);
            let terms = [Value::Decimal(Cow::Borrowed(whole)), Value::Int(if moves { away } else { 0 })];
            let rounded =
                number::sum(&terms).ok_or_else(|| args.rejected("cannot round a number of so many digits"))?;
            match rounded {
                Value::Decimal(text) => text.parse().map_or_else(|_| Value::Decimal(text.clone()), Value::Int),
                other => other,
            }
        }
        other => other,
    })
}

/// The numbers of the first argument, added.
fn added(args: &Args<'_, '_>) -> Result<Sum, Reject> {
    let mut sum = Sum::default();
    args.each(0, Accepts::NUMBER, &mut |number| {
        sum.add(number);
        Ok(())
    })?;
    Ok(sum)
}

const SUM: Definition = Definition {
    name: "sum",
    family: Family::Number,
    params: &[NUMBERS],
    returns: Returns::Infer(|_| ExprType { nullable: false, ..ExprType::UNKNOWN }),
    doc: "The sum of the numbers; 0 for an empty list. Whole numbers and decimals are added exactly.",
    examples: &[
        eg("sum(items[*].price)", r#"{"items": [{"price": 1}, {"price": 2.5}]}"#, "3.5"),
        eg("sum(@)", "[]", "0"),
    ],
    body: |args| added(args)?.total().ok_or_else(|| args.rejected("gives a number of too many digits")),
    ..PLAIN
};

const AVG: Definition = Definition {
    name: "avg",
    family: Family::Number,
    params: &[NUMBERS],
    returns: Returns::OrNull(Type::Float),
    doc: "The mean of the numbers, a floating-point number; null for an empty list.",
    examples: &[eg("avg(@)", "[1, 2]", "1.5"), eg("avg(@)", "[]", "null")],
    body: |args| {
        let sum = added(args)?;
        if sum.count() == 0 {
            return Ok(Value::Null);
        }
        #[expect(clippy::cast_precision_loss, reason = "no list is that long")]
        let count = sum.count() as f64;
        let total = sum.total().ok_or_else(|| args.rejected("adds up to a number of too many digits"))?;
        Ok(Value::Float(number::to_f64(&total) / count))
    },
    ..PLAIN
};
