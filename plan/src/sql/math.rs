//! The mathematical functions (<https://www.sqlite.org/lang_mathfunc.html>, `func.c`). What is no number, and what has
//! no result among the reals, is NULL.

use super::number;
use super::storage::{self, Number};
use crate::{Reject, RejectCode, Value};

/// A function of one real.
pub(super) fn unary<'a>(function: fn(f64) -> f64, value: &Value<'_>) -> Result<Value<'a>, Reject> {
    let number = storage::strict_number(value)?;
    Ok(number.map_or(Value::Null, |number| storage::real_value(function(number.real()))))
}

/// A function of two reals.
pub(super) fn binary<'a>(
    function: fn(f64, f64) -> f64,
    left: &Value<'_>,
    right: &Value<'_>,
) -> Result<Value<'a>, Reject> {
    let (Some(left), Some(right)) = (storage::strict_number(left)?, storage::strict_number(right)?) else {
        return Ok(Value::Null);
    };
    Ok(storage::real_value(function(left.real(), right.real())))
}

/// `ceil`, `floor`, `trunc`: an integer stays as it is.
pub(super) fn rounding<'a>(function: fn(f64) -> f64, value: &Value<'_>) -> Result<Value<'a>, Reject> {
    Ok(match storage::strict_number(value)? {
        None => Value::Null,
        Some(Number::Int(value)) => Value::Int(value),
        Some(Number::Real(value)) => storage::real_value(function(value)),
    })
}

/// A logarithm of one number above zero.
pub(super) fn logarithm<'a>(function: fn(f64) -> f64, value: &Value<'_>) -> Result<Value<'a>, Reject> {
    Ok(match storage::strict_number(value)? {
        Some(number) if number.real() > 0.0 => storage::real_value(function(number.real())),
        _ => Value::Null,
    })
}

/// `log(base, value)`. SQLite reads the value as a real even where it is a text that is no number.
pub(super) fn logarithm_of_base<'a>(base: &Value<'_>, value: &Value<'_>) -> Result<Value<'a>, Reject> {
    let Some(base) = storage::strict_number(base)? else { return Ok(Value::Null) };
    let divisor = base.real().ln();
    let value = storage::real(value)?;
    // Not written as `<=`, for a divisor that is no number goes on as in SQLite.
    if base.real() <= 0.0 || divisor <= 0.0 || value <= 0.0 {
        return Ok(Value::Null);
    }
    Ok(storage::real_value(value.ln() / divisor))
}

/// `abs(value)`.
pub(super) fn abs<'a>(value: &Value<'_>) -> Result<Value<'a>, Reject> {
    Ok(match storage::stored(value)? {
        Value::Null => Value::Null,
        Value::Int(value) => Value::Int(value.checked_abs().ok_or_else(|| {
            Reject::new(RejectCode::OutOfRange, format!("abs({value}) is not a whole number of 64 bits"))
        })?),
        other => storage::real_value(storage::real(&other)?.abs()),
    })
}

/// `sign(value)`: -1, 0 or 1.
pub(super) fn sign<'a>(value: &Value<'_>) -> Result<Value<'a>, Reject> {
    let number = storage::strict_number(value)?.map(Number::real);
    Ok(number.map_or(Value::Null, |real| Value::Int(i64::from(real > 0.0) - i64::from(real < 0.0))))
}

/// The largest real that has a fraction: 2^52.
const FRACTION_MAX: f64 = 4_503_599_627_370_496.0;

/// `round(value, digits)`: half away from zero, by way of the decimal digits.
pub(super) fn round<'a>(value: &Value<'_>, digits: Option<&Value<'_>>) -> Result<Value<'a>, Reject> {
    let digits = match digits {
        Some(Value::Null) => return Ok(Value::Null),
        Some(digits) => storage::integer(digits)?.clamp(0, 30),
        None => 0,
    };
    if value.is_null() {
        return Ok(Value::Null);
    }
    let real = storage::real(value)?;
    let rounded = if !(-FRACTION_MAX..=FRACTION_MAX).contains(&real) {
        real
    } else if digits == 0 {
        let half = if real < 0.0 { -0.5 } else { 0.5 };
        number::integer_to_real(number::real_to_integer(real + half))
    } else {
        number::rounded(real, usize::try_from(digits).unwrap_or(0))
    };
    Ok(storage::real_value(rounded))
}

/// Radians as degrees, in SQLite's order of operations.
pub(super) fn degrees(radians: f64) -> f64 {
    radians * (180.0 / std::f64::consts::PI)
}

/// Degrees as radians, in SQLite's order of operations.
pub(super) fn radians(degrees: f64) -> f64 {
    degrees * (std::f64::consts::PI / 180.0)
}

/// Up to here the general formulas are used; beyond it a square loses its last digits, or says nothing more.
const HUGE: f64 = 268_435_456.0;

/// Inverse hyperbolic cosine by the formulas of glibc, whose last digit SQLite has.
pub(super) fn acosh(x: f64) -> f64 {
    if x > HUGE {
        x.ln() + std::f64::consts::LN_2
    } else if x > 2.0 {
        (2.0 * x - 1.0 / (x + (x * x - 1.0).sqrt())).ln()
    } else if x >= 1.0 {
        let t = x - 1.0;
        (t + (2.0 * t + t * t).sqrt()).ln_1p()
    } else {
        f64::NAN
    }
}

/// Inverse hyperbolic sine by the formulas of glibc.
pub(super) fn asinh(x: f64) -> f64 {
    let magnitude = x.abs();
    let result = if magnitude < 1.0 / HUGE {
        return x;
    } else if magnitude > HUGE {
        magnitude.ln() + std::f64::consts::LN_2
    } else if magnitude > 2.0 {
        (2.0 * magnitude + 1.0 / ((magnitude * magnitude + 1.0).sqrt() + magnitude)).ln()
    } else {
        let t = magnitude * magnitude;
        (magnitude + t / (1.0 + (1.0 + t).sqrt())).ln_1p()
    };
    result.copysign(x)
}

/// Inverse hyperbolic tangent by the formulas of glibc.
pub(super) fn atanh(x: f64) -> f64 {
    let magnitude = x.abs();
    let result = if magnitude < 1.0 / HUGE {
        return x;
    } else if magnitude < 0.5 {
        let t = magnitude + magnitude;
        0.5 * (t + t * magnitude / (1.0 - magnitude)).ln_1p()
    } else {
        0.5 * ((magnitude + magnitude) / (1.0 - magnitude)).ln_1p()
    };
    result.copysign(x)
}
