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
    List(List<'a>),
    /// An object; a name stands in it once.
    Object(Object<'a>),
}

/// The items of a list: its own, or those of another value, so that passing a list on copies nothing.
pub type List<'a> = Items<'a, Value<'a>>;

/// The fields of an object, in their order, own or borrowed as those of a [`List`].
pub type Object<'a> = Items<'a, Field<'a>>;

/// One field of an object.
pub type Field<'a> = (Cow<'a, str>, Value<'a>);

/// A sequence that is owned or borrowed; reads as a slice. Unlike `Cow<[T]>` it is covariant in what it holds.
#[derive(Debug, Clone)]
pub enum Items<'a, T> {
    /// The items of another value.
    Borrowed(&'a [T]),
    /// Its own items.
    Owned(Vec<T>),
}

impl<T> std::ops::Deref for Items<'_, T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        match self {
            Self::Borrowed(items) => items,
            Self::Owned(items) => items,
        }
    }
}

impl<T: PartialEq> PartialEq for Items<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T> From<Vec<T>> for Items<'_, T> {
    fn from(items: Vec<T>) -> Self {
        Self::Owned(items)
    }
}

impl<T> FromIterator<T> for Items<'_, T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self::Owned(items.into_iter().collect())
    }
}

/// The value of the field with a name. A record has few fields, and most names differ in their length or first byte,
/// which is told without a call.
#[inline]
pub(crate) fn find<'f, 'a>(fields: &'f [Field<'a>], name: &str) -> Option<&'f Value<'a>> {
    fields.iter().find(|(own, _)| same_bytes(own.as_bytes(), name.as_bytes())).map(|(_, value)| value)
}

/// Whether two names or texts are the same. Most are short, and a call takes longer than a look at them.
#[inline]
pub(crate) fn same_bytes(own: &[u8], name: &[u8]) -> bool {
    if own.len() != name.len() {
        return false;
    }
    match (own.first_chunk::<4>(), name.first_chunk::<4>()) {
        (Some(own_start), Some(start)) => {
            // The last four bytes overlap the first four where there are fewer than eight.
            own_start == start && own.last_chunk::<4>() == name.last_chunk::<4>() && (own.len() <= 8 || own == name)
        }
        _ => own.iter().zip(name).all(|(own, byte)| own == byte),
    }
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
    #[inline]
    pub fn field(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(fields) => find(fields, name),
            _ => None,
        }
    }

    /// Whether this is null.
    #[must_use]
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The same value, borrowing from `self`: no text, list or object is copied.
    #[must_use]
    #[inline]
    pub fn borrowed(&'a self) -> Self {
        match self {
            Self::Decimal(text) => Self::Decimal(Cow::Borrowed(text)),
            Self::Text(text) => Self::Text(Cow::Borrowed(text)),
            Self::Bytes(bytes) => Self::Bytes(Cow::Borrowed(bytes)),
            Self::Json(text) => Self::Json(Cow::Borrowed(text)),
            Self::List(items) => Self::List(Items::Borrowed(items)),
            Self::Object(fields) => Self::Object(Items::Borrowed(fields)),
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

    /// The same value with everything owned.
    #[must_use]
    pub fn into_static(self) -> Value<'static> {
        let text = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        match self {
            Self::Decimal(value) => Value::Decimal(text(value)),
            Self::Text(value) => Value::Text(text(value)),
            Self::Bytes(bytes) => Value::Bytes(Cow::Owned(bytes.into_owned())),
            Self::Json(value) => Value::Json(text(value)),
            Self::List(items) => Value::List(items.iter().map(|item| item.clone().into_static()).collect()),
            Self::Object(fields) => {
                let own = |(name, value): &Field<'_>| (Cow::Owned(name.to_string()), value.clone().into_static());
                Value::Object(fields.iter().map(own).collect())
            }
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(value),
            Self::Int(value) => Value::Int(value),
            Self::Float(value) => Value::Float(value),
            Self::Date(value) => Value::Date(value),
            Self::Time(value) => Value::Time(value),
            Self::Timestamp(value) => Value::Timestamp(value),
            Self::TimestampTz(value) => Value::TimestampTz(value),
            Self::Uuid(value) => Value::Uuid(value),
        }
    }
}
