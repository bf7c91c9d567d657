//! Exact comparison and addition of numbers of different kinds. A decimal never goes through a float.

use std::cmp::Ordering;

use crate::Value;
use crate::convert::decimal;

/// The order of two numbers; `None` where one of them is none.
#[must_use]
pub fn order(left: &Value<'_>, right: &Value<'_>) -> Option<Ordering> {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => Some(left.cmp(right)),
        (Value::Float(left), Value::Float(right)) => left.partial_cmp(right),
        (Value::Int(left), Value::Float(right)) => int_float(*left, *right),
        (Value::Float(left), Value::Int(right)) => int_float(*right, *left).map(Ordering::reverse),
        (Value::Decimal(_), _) | (_, Value::Decimal(_)) => decimal::order(left, right),
        _ => None,
    }
}

/// Whether a value is a number.
#[must_use]
pub const fn is_number(value: &Value<'_>) -> bool {
    matches!(value, Value::Int(_) | Value::Float(_) | Value::Decimal(_))
}

fn int_float(int: i64, float: f64) -> Option<Ordering> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if float.is_nan() {
        return None;
    }
    if float >= LIMIT {
        return Some(Ordering::Less);
    }
    if float < -LIMIT {
        return Some(Ordering::Greater);
    }
    #[expect(clippy::cast_possible_truncation, reason = "the bounds were checked")]
    let whole = float as i64;
    #[expect(clippy::cast_precision_loss, reason = "what was cut off a float is a float again, without loss")]
    let rest = || float - whole as f64;
    Some(int.cmp(&whole).then_with(|| 0.0_f64.partial_cmp(&rest()).unwrap_or(Ordering::Equal)))
}

/// A sum of numbers: exact for whole numbers and decimals; of floats, or whole numbers and floats, as floats add.
#[derive(Debug, Default)]
pub struct Sum {
    whole: i128,
    /// The decimals.
    exact: Vec<Value<'static>>,
    /// Every term so far, as floats add them.
    rounded: f64,
    /// The floats, which are added exactly where there is a decimal, too.
    floats: Vec<f64>,
    count: u64,
}

impl Sum {
    /// Adds a number.
    pub fn add(&mut self, number: &Value<'_>) {
        self.count += 1;
        self.rounded += to_f64(number);
        match number {
            Value::Int(int) => self.whole += i128::from(*int),
            Value::Float(float) => self.floats.push(*float),
            other => self.exact.push(other.clone().into_static()),
        }
    }

    /// How many numbers were added.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The sum; `None` where it has more digits than 128 bits hold.
    #[must_use]
    pub fn total<'a>(mut self) -> Option<Value<'a>> {
        let whole =
            i64::try_from(self.whole).map_or_else(|_| Value::Decimal(self.whole.to_string().into()), Value::Int);
        if self.exact.is_empty() {
            return Some(if self.floats.is_empty() { whole } else { Value::Float(self.rounded) });
        }
        self.exact.push(whole.into_static());
        self.exact.extend(self.floats.into_iter().map(Value::Float));
        decimal::sum(&self.exact)
    }
}

/// The sum of numbers. `None` where it has more digits than 128 bits hold.
#[must_use]
pub fn sum<'a>(numbers: &[Value<'_>]) -> Option<Value<'a>> {
    let mut sum = Sum::default();
    numbers.iter().for_each(|number| sum.add(number));
    sum.total()
}

/// A number as a float, rounded.
#[must_use]
pub fn to_f64(number: &Value<'_>) -> f64 {
    match number {
        #[expect(clippy::cast_precision_loss, reason = "it is said to be rounded")]
        Value::Int(int) => *int as f64,
        Value::Float(float) => *float,
        Value::Decimal(text) => text.parse().unwrap_or(f64::NAN),
        _ => f64::NAN,
    }
}

/// A float as a whole number where it is one, else as it is.
#[must_use]
pub fn whole_or_float<'a>(float: f64) -> Value<'a> {
    crate::convert::float_to_int(float).map_or(Value::Float(float), Value::Int)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_different_kinds_compare_exactly() {
        let decimal = |text: &'static str| Value::Decimal(text.into());
        for (left, right, expected) in [
            (Value::Int(1), Value::Float(1.0), Some(Ordering::Equal)),
            (Value::Int(i64::MAX), Value::Float(9_223_372_036_854_775_808.0), Some(Ordering::Less)),
            (Value::Float(-0.5), Value::Int(0), Some(Ordering::Less)),
            (Value::Float(-0.0), Value::Int(0), Some(Ordering::Equal)),
            (decimal("1.50"), Value::Float(1.5), Some(Ordering::Equal)),
            (decimal("-9223372036854775809"), Value::Int(i64::MIN), Some(Ordering::Less)),
            (decimal("0.1"), decimal("0.09999"), Some(Ordering::Greater)),
            (decimal("-0.1"), decimal("-10"), Some(Ordering::Greater)),
            (decimal("0"), Value::Int(0), Some(Ordering::Equal)),
            (Value::Int(1), Value::Text("1".into()), None),
            (decimal("1"), Value::Text("1".into()), None),
        ] {
            assert_eq!(order(&left, &right), expected, "{left:?} {right:?}");
        }
    }

    #[test]
    fn sums_are_exact() {
        let decimal = |text: &'static str| Value::Decimal(text.into());
        assert_eq!(sum(&[]), Some(Value::Int(0)));
        assert_eq!(sum(&[Value::Int(i64::MAX), Value::Int(1)]), Some(decimal("9223372036854775808")));
        assert_eq!(sum(&[decimal("0.10"), Value::Int(1), Value::Float(0.2)]), Some(decimal("1.3")));
        assert_eq!(sum(&[Value::Int(1), Value::Float(0.5)]), Some(Value::Float(1.5)));
    }
}
