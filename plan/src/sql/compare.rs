//! Comparison: storage classes, affinity and collation (<https://www.sqlite.org/datatype3.html#comparison_expressions>,
//! `vdbe.c`: `OP_Eq` to `OP_Ge`, `vdbeaux.c`: `sqlite3MemCompare`).

use std::borrow::Cow;
use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::number;
use super::storage::{self, Class, Number, Operand};
use crate::convert::clip;
use crate::value::same_bytes;
use crate::{Reject, RejectCode, Value};

/// How texts are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Collation {
    /// Byte by byte.
    #[default]
    Binary,
    /// Byte by byte, the 26 letters of ASCII without regard to case.
    NoCase,
    /// Byte by byte, without regard to trailing spaces.
    Rtrim,
}

impl Collation {
    /// The collation of this name, in any case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match () {
            () if name.eq_ignore_ascii_case("binary") => Some(Self::Binary),
            () if name.eq_ignore_ascii_case("nocase") => Some(Self::NoCase),
            () if name.eq_ignore_ascii_case("rtrim") => Some(Self::Rtrim),
            () => None,
        }
    }

    /// Serde's `skip_serializing_if`.
    #[must_use]
    pub const fn is_default(&self) -> bool {
        matches!(self, Self::Binary)
    }

    fn compare(self, left: &str, right: &str) -> Ordering {
        match self {
            Self::Binary => left.as_bytes().cmp(right.as_bytes()),
            Self::NoCase => left
                .bytes()
                .map(|byte| byte.to_ascii_lowercase())
                .cmp(right.bytes().map(|byte| byte.to_ascii_lowercase())),
            Self::Rtrim => left.trim_end_matches(' ').as_bytes().cmp(right.trim_end_matches(' ').as_bytes()),
        }
    }
}

/// What is done to the two sides of a comparison first. Chosen when compiling, from the two expressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Affinity {
    /// Where one side is a text and the other a number, the text is read as a number. This is the deliberate
    /// difference from SQLite, for which a text is greater than every number: a field of a Redis hash is text, so that
    /// `age > 20` would always hold.
    #[default]
    Read,
    /// Nothing is done, as SQLite does where neither side has a type.
    None,
    /// Numbers become text.
    Text,
    /// Texts that are numbers become numbers.
    Numeric,
}

impl Affinity {
    /// Serde's `skip_serializing_if`.
    #[must_use]
    pub const fn is_default(&self) -> bool {
        matches!(self, Self::Read)
    }
}

/// How one comparison is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Comparison {
    /// How texts are compared.
    #[serde(default, skip_serializing_if = "Collation::is_default")]
    pub collation: Collation,
    /// What is done to the sides first.
    #[serde(default, skip_serializing_if = "Affinity::is_default")]
    pub affinity: Affinity,
}

/// What is asked of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comparator {
    /// `=`
    #[serde(rename = "=")]
    Equal,
    /// `<>`
    #[serde(rename = "<>")]
    NotEqual,
    /// `<`
    #[serde(rename = "<")]
    Less,
    /// `<=`
    #[serde(rename = "<=")]
    LessOrEqual,
    /// `>`
    #[serde(rename = ">")]
    Greater,
    /// `>=`
    #[serde(rename = ">=")]
    GreaterOrEqual,
}

impl Comparator {
    const fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::NotEqual => ordering.is_ne(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }

    fn holds_for_texts(self, collation: Collation, left: &str, right: &str) -> bool {
        match (self, collation) {
            (Self::Equal, Collation::Binary) => same_bytes(left.as_bytes(), right.as_bytes()),
            (Self::NotEqual, Collation::Binary) => !same_bytes(left.as_bytes(), right.as_bytes()),
            _ => self.holds(collation.compare(left, right)),
        }
    }

    /// Whether it asks which of the two is greater.
    #[must_use]
    pub const fn orders(self) -> bool {
        !matches!(self, Self::Equal | Self::NotEqual)
    }
}

/// The same for two numbers; `None` where one is NULL.
pub(super) fn numbers(comparator: Comparator, left: Operand, right: Operand) -> Option<bool> {
    let ordering = match (left.number()?, right.number()?) {
        (Number::Int(left), Number::Int(right)) => left.cmp(&right),
        (left, right) => order_stored(Collation::Binary, &left.value(), &right.value()),
    };
    Some(comparator.holds(ordering))
}

/// `left comparator right`; NULL where a side is.
#[inline]
pub(super) fn compare(
    comparator: Comparator,
    how: Comparison,
    left: &Value<'_>,
    right: &Value<'_>,
) -> Result<Option<bool>, Reject> {
    // The commonest sides need no conversion.
    match (left, right) {
        (Value::Int(left), Value::Int(right)) if how.affinity != Affinity::Text => {
            Ok(Some(comparator.holds(left.cmp(right))))
        }
        (Value::Text(left), Value::Text(right)) if how.affinity != Affinity::Numeric => {
            Ok(Some(comparator.holds_for_texts(how.collation, left, right)))
        }
        _ => compare_any(comparator, how, left, right),
    }
}

fn compare_any(
    comparator: Comparator,
    how: Comparison,
    left: &Value<'_>,
    right: &Value<'_>,
) -> Result<Option<bool>, Reject> {
    if left.is_null() || right.is_null() {
        return Ok(None);
    }
    order(how, comparator.orders(), left, right).map(|ordering| Some(comparator.holds(ordering)))
}

/// `left IS right`: equality in which two NULLs are equal.
pub(super) fn is(how: Comparison, left: &Value<'_>, right: &Value<'_>) -> Result<bool, Reject> {
    match (left.is_null(), right.is_null()) {
        (false, false) => order(how, false, left, right).map(Ordering::is_eq),
        (left, right) => Ok(left == right),
    }
}

/// The order of two values that are not NULL. With `strict`, a text that must be a number and is none rejects the
/// record: it has no place among numbers. Without, it only differs from every number.
fn order(how: Comparison, strict: bool, left: &Value<'_>, right: &Value<'_>) -> Result<Ordering, Reject> {
    let (left, right) = (storage::stored(left)?, storage::stored(right)?);
    let (left_class, right_class) = (storage::class(&left), storage::class(&right));
    let (left, right) = match how.affinity {
        Affinity::None => (left, right),
        Affinity::Numeric if left_class == Class::Text || right_class == Class::Text => (numeric(left), numeric(right)),
        Affinity::Text if left_class == Class::Text || right_class == Class::Text => (textual(left)?, textual(right)?),
        Affinity::Read if left_class == Class::Text && right_class.is_number() => (read(left, strict, &right)?, right),
        Affinity::Read if right_class == Class::Text && left_class.is_number() => {
            let right = read(right, strict, &left)?;
            (left, right)
        }
        _ => (left, right),
    };
    Ok(order_stored(how.collation, &left, &right))
}

fn numeric(value: Value<'_>) -> Value<'_> {
    match &value {
        Value::Text(text) | Value::Json(text) => storage::number_of_text(text, false).map_or(value, Number::value),
        _ => value,
    }
}

fn textual(value: Value<'_>) -> Result<Value<'_>, Reject> {
    match value {
        Value::Int(_) | Value::Float(_) => {
            let text = storage::text(&value)?.map(Cow::into_owned);
            Ok(text.map_or(Value::Null, storage::text_value))
        }
        other => Ok(other),
    }
}

/// A text that stands beside a number, as a number.
fn read<'a>(value: Value<'a>, strict: bool, beside: &Value<'_>) -> Result<Value<'a>, Reject> {
    let (Value::Text(text) | Value::Json(text)) = &value else { return Ok(value) };
    match storage::number_of_text(text, false) {
        Some(number) => Ok(number.value()),
        None if strict => {
            let beside = storage::text(beside)?.unwrap_or_default();
            let message = format!("`{}` is compared with the number {beside} and is not a number", clip(text));
            Err(Reject::new(RejectCode::NotConvertible, message))
        }
        None => Ok(value),
    }
}

/// The order of two stored values as they are: NULL, numbers, texts, blobs.
fn order_stored(collation: Collation, left: &Value<'_>, right: &Value<'_>) -> Ordering {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => left.cmp(right),
        (Value::Float(left), Value::Float(right)) => left.partial_cmp(right).unwrap_or(Ordering::Equal),
        (Value::Int(left), Value::Float(right)) => integer_with_real(*left, *right),
        (Value::Float(left), Value::Int(right)) => integer_with_real(*right, *left).reverse(),
        (Value::Text(left) | Value::Json(left), Value::Text(right) | Value::Json(right)) => {
            collation.compare(left, right)
        }
        (Value::Bytes(left), Value::Bytes(right)) => left.cmp(right),
        _ => rank(left).cmp(&rank(right)),
    }
}

fn rank(value: &Value<'_>) -> Class {
    match storage::class(value) {
        Class::Real => Class::Integer,
        class => class,
    }
}

/// Exact, although a real has fewer bits than an integer: `sqlite3IntFloatCompare`.
fn integer_with_real(integer: i64, real: f64) -> Ordering {
    if real < -9_223_372_036_854_775_808.0 {
        return Ordering::Greater;
    }
    if real >= 9_223_372_036_854_775_808.0 {
        return Ordering::Less;
    }
    integer
        .cmp(&number::real_to_integer(real))
        .then_with(|| number::integer_to_real(integer).partial_cmp(&real).unwrap_or(Ordering::Equal))
}

/// The smallest or greatest of at least two values, NULL where one is: the functions `min()` and `max()`.
pub(super) fn extreme<'a>(how: Comparison, greatest: bool, values: Vec<Value<'a>>) -> Result<Value<'a>, Reject> {
    let mut best: Option<Value<'a>> = None;
    for value in values {
        if value.is_null() {
            return Ok(Value::Null);
        }
        best = Some(match best {
            None => value,
            Some(best) => {
                let ordering = order(how, true, &best, &value)?;
                // SQLite keeps the first of equals for max(), the last for min().
                let replace = if greatest { ordering.is_lt() } else { ordering.is_ge() };
                if replace { value } else { best }
            }
        });
    }
    Ok(best.unwrap_or(Value::Null))
}
