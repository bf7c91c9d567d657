//! Operators on numbers and bits, and `||` (<https://www.sqlite.org/lang_expr.html#operators>, `vdbe.c`: `OP_Add` to
//! `OP_Remainder`, `OP_BitAnd` to `OP_ShiftRight`, `OP_Concat`).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::number;
use super::storage::{self, Number, TEXT_BYTES_MAX};
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

/// Integers stay integers as long as they fit 64 bits; then, and with a real, the result is REAL. A division by zero
/// is NULL.
pub(super) fn arithmetic<'a>(operator: Arithmetic, left: &Value<'_>, right: &Value<'_>) -> Result<Value<'a>, Reject> {
    let (Some(left_number), Some(right_number)) = (storage::operand(left)?, storage::operand(right)?) else {
        return Ok(Value::Null);
    };
    if let (Number::Int(left), Number::Int(right)) = (left_number, right_number) {
        if right == 0 && matches!(operator, Arithmetic::Divide | Arithmetic::Remainder) {
            return Ok(Value::Null);
        }
        let exact = match operator {
            Arithmetic::Add => left.checked_add(right),
            Arithmetic::Subtract => left.checked_sub(right),
            Arithmetic::Multiply => left.checked_mul(right),
            Arithmetic::Divide => left.checked_div(right),
            Arithmetic::Remainder => Some(left.checked_rem(right).unwrap_or(0)),
        };
        if let Some(exact) = exact {
            return Ok(Value::Int(exact));
        }
    }
    // SQLite takes the reals of the operands again, not of what they were read as.
    let (left_real, right_real) = (storage::real(left)?, storage::real(right)?);
    Ok(match operator {
        Arithmetic::Add => storage::real_value(left_real + right_real),
        Arithmetic::Subtract => storage::real_value(left_real - right_real),
        Arithmetic::Multiply => storage::real_value(left_real * right_real),
        Arithmetic::Divide if right_real == 0.0 => Value::Null,
        Arithmetic::Divide => storage::real_value(left_real / right_real),
        Arithmetic::Remainder => match storage::integer(right)? {
            0 => Value::Null,
            divisor => {
                let rest = storage::integer(left)?.checked_rem(divisor).unwrap_or(0);
                Value::Float(number::integer_to_real(rest))
            }
        },
    })
}

/// `-value`: zero minus the value.
pub(super) fn negate<'a>(value: &Value<'_>) -> Result<Value<'a>, Reject> {
    arithmetic(Arithmetic::Subtract, &Value::Int(0), value)
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

/// `x || y || …`: all as one text; NULL where one is NULL.
#[derive(Debug, Default)]
pub(super) struct Concat {
    text: String,
    null: bool,
    /// Why there is no text, unless there need not be one.
    reject: Option<Reject>,
}

impl Concat {
    /// Appends a value.
    pub(super) fn push(&mut self, value: &Value<'_>) -> Result<(), Reject> {
        match storage::text(value) {
            Ok(Some(text)) if self.text.len().saturating_add(text.len()) > TEXT_BYTES_MAX => {
                return Err(storage::too_long());
            }
            Ok(Some(text)) => self.text.push_str(&text),
            Ok(None) => self.null = true,
            Err(reject) => self.reject = Some(reject),
        }
        Ok(())
    }

    /// The text. NULL wins over bytes that are no text.
    pub(super) fn finish<'a>(self) -> Result<Value<'a>, Reject> {
        match self.reject {
            _ if self.null => Ok(Value::Null),
            Some(reject) => Err(reject),
            None => Ok(Value::Text(Cow::Owned(self.text))),
        }
    }
}
