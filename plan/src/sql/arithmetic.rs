//! Operators on numbers and bits (<https://www.sqlite.org/lang_expr.html#operators>, `vdbe.c`: `OP_Add` to
//! `OP_Remainder`, `OP_BitAnd` to `OP_ShiftRight`).

use serde::{Deserialize, Serialize};

use super::number;
use super::storage::{self, Number};
use crate::{Reject, Value};

/// An operator on two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Arithmetic {
    /// `+`
    #[serde(rename = "+")]
    Add,
    /// `-`
    #[serde(rename = "-")]
    Subtract,
    /// `*`
    #[serde(rename = "*")]
    Multiply,
    /// `/`: of integers an integer.
    #[serde(rename = "/")]
    Divide,
    /// `%`: of the integer parts.
    #[serde(rename = "%")]
    Remainder,
}

/// An operator on the bits of two integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Bitwise {
    /// `&`
    #[serde(rename = "&")]
    And,
    /// `|`
    #[serde(rename = "|")]
    Or,
    /// `<<`
    #[serde(rename = "<<")]
    ShiftLeft,
    /// `>>`
    #[serde(rename = ">>")]
    ShiftRight,
}

/// The result for two numbers; `None` is NULL. Integers stay integers as long as they fit 64 bits; then, and with a
/// real, the result is REAL. A division by zero is NULL.
#[inline]
pub(super) fn of_numbers(operator: Arithmetic, left: Number, right: Number) -> Option<Number> {
    if let (Number::Int(left), Number::Int(right)) = (left, right) {
        if right == 0 && matches!(operator, Arithmetic::Divide | Arithmetic::Remainder) {
            return None;
        }
        if let Some(exact) = of_integers(operator, left, right) {
            return Some(Number::Int(exact));
        }
    }
    of_reals(operator, (left.real(), right.real()), || (left.integer(), right.integer()))
}

/// The result for any two values, which are read as numbers first.
pub(super) fn of_values(operator: Arithmetic, left: &Value<'_>, right: &Value<'_>) -> Result<Option<Number>, Reject> {
    let (Some(left_number), Some(right_number)) = (storage::operand(left)?, storage::operand(right)?) else {
        return Ok(None);
    };
    if let (Number::Int(_), Number::Int(_)) = (left_number, right_number) {
        let result = of_numbers(operator, left_number, right_number);
        if let None | Some(Number::Int(_)) = result {
            return Ok(result);
        }
    }
    // SQLite takes the reals of the operands again, not of what they were read as.
    let reals = (storage::real(left)?, storage::real(right)?);
    let integers = (storage::integer(left)?, storage::integer(right)?);
    Ok(of_reals(operator, reals, || integers))
}

/// `None` where it does not fit 64 bits. The divisor is not 0.
fn of_integers(operator: Arithmetic, left: i64, right: i64) -> Option<i64> {
    match operator {
        Arithmetic::Add => left.checked_add(right),
        Arithmetic::Subtract => left.checked_sub(right),
        Arithmetic::Multiply => left.checked_mul(right),
        Arithmetic::Divide => left.checked_div(right),
        Arithmetic::Remainder => Some(left.checked_rem(right).unwrap_or(0)),
    }
}

/// The operands as reals and, for the remainder, as integers.
#[inline]
fn of_reals(operator: Arithmetic, (left, right): (f64, f64), integers: impl FnOnce() -> (i64, i64)) -> Option<Number> {
    let real = match operator {
        Arithmetic::Add => left + right,
        Arithmetic::Subtract => left - right,
        Arithmetic::Multiply => left * right,
        Arithmetic::Divide if right == 0.0 => return None,
        Arithmetic::Divide => left / right,
        Arithmetic::Remainder => match integers() {
            (_, 0) => return None,
            (left, right) => number::integer_to_real(left.checked_rem(right).unwrap_or(0)),
        },
    };
    Number::of_real(real)
}

/// `-value`: zero minus the value.
pub(super) fn negate(value: &Value<'_>) -> Result<Option<Number>, Reject> {
    of_values(Arithmetic::Subtract, &Value::Int(0), value)
}

/// The bits of the integers that the operands are read as.
pub(super) fn bitwise<'a>(operator: Bitwise, left: &Value<'_>, right: &Value<'_>) -> Result<Value<'a>, Reject> {
    if left.is_null() || right.is_null() {
        return Ok(Value::Null);
    }
    let (left, right) = (storage::integer(left)?, storage::integer(right)?);
    Ok(Value::Int(match operator {
        Bitwise::And => left & right,
        Bitwise::Or => left | right,
        Bitwise::ShiftLeft => shift(left, right),
        Bitwise::ShiftRight => shift(left, right.checked_neg().unwrap_or(i64::MAX)),
    }))
}

/// A shift to the left, or to the right where the count is negative; the sign stays.
const fn shift(value: i64, left: i64) -> i64 {
    match left {
        0 => value,
        1..64 => value << left,
        -63..0 => value >> -left,
        _ if left < 0 && value < 0 => -1,
        _ => 0,
    }
}

/// `~value`.
pub(super) fn complement<'a>(value: &Value<'_>) -> Result<Value<'a>, Reject> {
    Ok(if value.is_null() { Value::Null } else { Value::Int(!storage::integer(value)?) })
}
