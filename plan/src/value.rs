//! A value: what an expression gives and a column takes. Borrows from the record where it can.

use std::borrow::Cow;

use crate::Type;

/// One value of one record.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// SQL's NULL and JSON's null.
    Null,
    /// A boolean.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A floating-point number; finite.
    Float(f64),
    /// A decimal number in plain notation: `-12.50`. No exponent, no plus sign.
    Decimal(Cow<'a, str>),
    /// A text.
    Text(Cow<'a, str>),
    /// Bytes, among them what a hash holds that is not UTF-8.
    Bytes(Cow<'a, [u8]>),
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds since midnight.
    Time(i64),
    /// Microseconds since 1970-01-01T00:00:00 of the same local clock.
    Timestamp(i64),
    /// Microseconds since 1970-01-01T00:00:00Z.
    TimestampTz(i64),
    /// The 16 bytes of a UUID.
    Uuid([u8; 16]),
    /// A JSON document as text.
    Json(Cow<'a, str>),
    /// A list.
    List(Vec<Value<'a>>),
    /// An object; a name stands in it once.
    Object(Vec<(Cow<'a, str>, Value<'a>)>),
}

impl<'a> Value<'a> {
    /// Bytes of Redis as a value: text where they are UTF-8, bytes where they are not.
    #[must_use]
    pub fn from_redis(bytes: &'a [u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(Cow::Borrowed(text)),
            Err(_) => Self::Bytes(Cow::Borrowed(bytes)),
        }
    }

    /// The type of the value.
    #[must_use]
    pub const fn kind(&self) -> Type {
        match self {
            Self::Null => Type::Null,
            Self::Bool(_) => Type::Bool,
            Self::Int(_) => Type::Int,
            Self::Float(_) => Type::Float,
            Self::Decimal(_) => Type::Decimal,
            Self::Text(_) => Type::Text,
            Self::Bytes(_) => Type::Bytes,
            Self::Date(_) => Type::Date,
            Self::Time(_) => Type::Time,
            Self::Timestamp(_) => Type::Timestamp,
            Self::TimestampTz(_) => Type::TimestampTz,
            Self::Uuid(_) => Type::Uuid,
            Self::Json(_) => Type::Json,
            Self::List(_) => Type::List,
            Self::Object(_) => Type::Object,
        }
    }

    /// The field of an object, or `None` where there is none or the value is no object.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(fields) => fields.iter().find(|(field, _)| field == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// Whether this is null.
    #[must_use]
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The same value with every borrowed part borrowed from `self`.
    #[must_use]
    pub fn borrowed(&'a self) -> Self {
        match self {
            Self::Decimal(text) => Self::Decimal(Cow::Borrowed(text)),
            Self::Text(text) => Self::Text(Cow::Borrowed(text)),
            Self::Bytes(bytes) => Self::Bytes(Cow::Borrowed(bytes)),
            Self::Json(text) => Self::Json(Cow::Borrowed(text)),
            Self::List(items) => Self::List(items.iter().map(Self::borrowed).collect()),
            Self::Object(fields) => {
                Self::Object(fields.iter().map(|(name, value)| (Cow::Borrowed(&**name), value.borrowed())).collect())
            }
            Self::Null => Self::Null,
            Self::Bool(value) => Self::Bool(*value),
            Self::Int(value) => Self::Int(*value),
            Self::Float(value) => Self::Float(*value),
            Self::Date(value) => Self::Date(*value),
            Self::Time(value) => Self::Time(*value),
            Self::Timestamp(value) => Self::Timestamp(*value),
            Self::TimestampTz(value) => Self::TimestampTz(*value),
            Self::Uuid(value) => Self::Uuid(*value),
        }
    }
}
