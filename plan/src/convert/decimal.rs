//! Decimal numbers as digits: of any size, never through a float.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::{inexact, not, out_of_range};
use crate::{ColumnType, Reject, Value};

/// The largest exponent that is written out as digits; beyond it a number is out of range.
const EXPONENT_MAX: i64 = 1_000;
/// The most digits that are kept: PostgreSQL's numeric takes 131,072 before the point.
const DIGITS_MAX: usize = 131_072;

/// A number as a decimal: sign, digits, and how many of the digits stand behind the point.
struct Number {
    negative: bool,
    /// Without leading zeros; empty for zero.
    digits: String,
    /// Trailing zeros behind the point are gone, so this is the least scale that is exact.
    scale: usize,
}

pub(super) fn convert<'a>(value: Value<'a>, to: &ColumnType) -> Result<Value<'a>, Reject> {
    let text: Cow<'_, str> = match &value {
        // Targets without a boolean keep it as such a number.
        Value::Bool(value) => Cow::Borrowed(if *value { "1" } else { "0" }),
        Value::Int(number) => Cow::Owned(number.to_string()),
        Value::Float(number) => Cow::Owned(number.to_string()),
        Value::Text(text) | Value::Decimal(text) => Cow::Borrowed(text.trim()),
        _ => return Err(not(&value, "a number")),
    };
    // Most numbers are digits that fit, which needs no copy of them to be seen.
    if let (Value::Text(Cow::Borrowed(_)) | Value::Decimal(Cow::Borrowed(_)), Some(precision), None) =
        (&value, to.precision, to.significant_max)
        && let Some((whole, scale)) = digits_of_plain(&text)
        && scale <= super::usize_of(to.scale.unwrap_or(0))
        && whole + super::usize_of(to.scale.unwrap_or(0)) <= super::usize_of(precision)
    {
        return Ok(match value {
            Value::Text(Cow::Borrowed(text)) => Value::Decimal(Cow::Borrowed(text.trim())),
            other => other,
        });
    }
    let number = parse(&text).ok_or_else(|| not(&value, "a number"))?;
    if let Some(precision) = to.precision {
        let scale = super::usize_of(to.scale.unwrap_or(0));
        if number.scale > scale {
            return Err(inexact(&value, &format!("a decimal({precision},{scale})")));
        }
        if number.digits.len().saturating_sub(number.scale) > super::usize_of(precision).saturating_sub(scale) {
            return Err(out_of_range(&value, &format!("a decimal({precision},{scale})")));
        }
    }
    if let Some(max) = to.significant_max
        && number.digits.trim_end_matches('0').len() > super::usize_of(max)
        && (number.scale > 0 || number.to_plain().parse::<i64>().is_err())
    {
        return Err(inexact(&value, &format!("a number of {max} significant digits")));
    }
    let plain = is_plain(&text);
    Ok(match value {
        Value::Decimal(text) => Value::Decimal(text),
        Value::Text(Cow::Borrowed(text)) if plain => Value::Decimal(Cow::Borrowed(text.trim())),
        _ => Value::Decimal(Cow::Owned(number.to_plain())),
    })
}

/// The 64-bit integer that `text` spells, in any notation.
pub(super) fn whole(text: &str, value: &Value<'_>) -> Result<i64, Reject> {
    let number = parse(text).ok_or_else(|| not(value, "a whole number"))?;
    if number.scale > 0 {
        return Err(inexact(value, "a whole number"));
    }
    number.to_plain().parse().map_err(|_| out_of_range(value, "a whole number of 64 bits"))
}

/// The order of two numbers of any kind; `None` where one of them is none.
pub(crate) fn order(left: &Value<'_>, right: &Value<'_>) -> Option<Ordering> {
    let (left, right) = (of(left)?, of(right)?);
    Some(match (left.sign(), right.sign()) {
        (1, 1) => left.order_of_size(&right),
        (-1, -1) => right.order_of_size(&left),
        (left, right) => left.cmp(&right),
    })
}

/// The exact sum of numbers of any kind; `None` where it, or one of them, has more digits than 128 bits hold.
pub(crate) fn sum<'a>(values: &[Value<'_>]) -> Option<Value<'a>> {
    let numbers: Vec<Number> = values.iter().map(of).collect::<Option<_>>()?;
    let scale = numbers.iter().map(|number| number.scale).max().unwrap_or(0);
    let mut total: i128 = 0;
    for number in &numbers {
        let zeros = u32::try_from(scale - number.scale).ok()?;
        let digits = if number.digits.is_empty() { 0 } else { number.digits.parse::<i128>().ok()? };
        let scaled = digits.checked_mul(10_i128.checked_pow(zeros)?)?;
        total = total.checked_add(if number.negative { -scaled } else { scaled })?;
    }
    let digits = if total == 0 { String::new() } else { total.unsigned_abs().to_string() };
    Some(Value::Decimal(Cow::Owned(Number { negative: total < 0, digits, scale }.to_plain())))
}

fn of(value: &Value<'_>) -> Option<Number> {
    match value {
        Value::Int(number) => parse(&number.to_string()),
        Value::Float(number) => parse(&number.to_string()),
        Value::Decimal(text) => parse(text),
        _ => None,
    }
}

/// How many digits of a number in plain notation stand before its point, and how many behind it; `None` where it is
/// none, or may be written shorter.
fn digits_of_plain(text: &str) -> Option<(usize, usize)> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = match digits.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (digits, ""),
    };
    let are_digits =
        !whole.is_empty() && [whole, fraction].iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    are_digits.then_some((whole.len(), fraction.len()))
}

/// Whether a number is already as [`Value::Decimal`] has it.
fn is_plain(text: &str) -> bool {
    !text.contains(['e', 'E', '+']) && !text.ends_with('.') && !text.trim_start_matches('-').starts_with('.')
}

fn parse(text: &str) -> Option<Number> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (negative, unsigned) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    if exponent.abs() > EXPONENT_MAX || whole.len() + fraction.len() > DIGITS_MAX {
        return None;
    }
    let mut digits = format!("{whole}{fraction}");
    let mut scale = i64::try_from(fraction.len()).ok()? - exponent;
    while scale < 0 {
        digits.push('0');
        scale += 1;
    }
    while scale > 0 && digits.ends_with('0') {
        digits.pop();
        scale -= 1;
    }
    let digits = digits.trim_start_matches('0').to_owned();
    let scale = if digits.is_empty() { 0 } else { usize::try_from(scale).ok()? };
    Some(Number { negative: negative && !digits.is_empty(), digits, scale })
}

impl Number {
    const fn sign(&self) -> i8 {
        match (self.digits.is_empty(), self.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        }
    }

    /// The order of two numbers without their signs, neither of them 0.
    fn order_of_size(&self, other: &Self) -> Ordering {
        // Where the first digit stands decides; then the digits do, from the first on.
        let first = |number: &Self| {
            i128::try_from(number.digits.len()).unwrap_or(0) - i128::try_from(number.scale).unwrap_or(0)
        };
        let digits = |number: &Self| number.digits.trim_end_matches('0').to_owned();
        first(self).cmp(&first(other)).then_with(|| digits(self).cmp(&digits(other)))
    }

    fn to_plain(&self) -> String {
        let sign = if self.negative { "-" } else { "" };
        let padded = format!("{:0>width$}", self.digits, width = self.scale + 1);
        let (whole, fraction) = padded.split_at_checked(padded.len() - self.scale).unwrap_or((&padded, ""));
        let point = if fraction.is_empty() { "" } else { "." };
        format!("{sign}{whole}{point}{fraction}")
    }
}
