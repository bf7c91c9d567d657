//! Why a record cannot become rows. The codes are those of the dead-letter queue and are never reused.

use std::fmt;
use std::ops::Deref;

/// A stable code of a rejected record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RejectCode {
    /// The stream entry is no change record.
    MalformedRecord,
    /// The key does not have the shape of `source.redis.key`.
    KeyMismatch,
    /// The key holds another Redis type than the job maps.
    WrongDataType,
    /// The value is not of the column's type and cannot be read as it.
    NotConvertible,
    /// The number, date or time is outside what the column can hold.
    OutOfRange,
    /// The text or the bytes are longer than the column.
    TooLong,
    /// The conversion would lose digits.
    Inexact,
    /// The value is not text that the column can hold: no UTF-8, or a NUL character.
    InvalidText,
    /// A key column is null.
    NullKey,
    /// A column that takes no null got one.
    NullColumn,
    /// A delete has no before image although a key column comes from the value.
    NoBeforeImage,
    /// The record says "read the key now" and the key cannot be read.
    Unreadable,
    /// A function got an argument that it cannot take.
    InvalidArgument,
    /// An expression does too much, a value is nested too deep, or a key or a reply is too large.
    LimitExceeded,
    /// A text is not what a function reads: no JSON, base64, XML or date.
    MalformedText,
    /// The target refused the row because of a constraint.
    Constraint,
    /// The target refused a value of the row.
    TargetValue,
    /// The row points to a row of another table that does not come.
    ForeignKey,
}

impl RejectCode {
    /// Every code, in ascending order.
    pub const ALL: [Self; 18] = [
        Self::MalformedRecord,
        Self::KeyMismatch,
        Self::WrongDataType,
        Self::NotConvertible,
        Self::OutOfRange,
        Self::TooLong,
        Self::Inexact,
        Self::InvalidText,
        Self::NullKey,
        Self::NullColumn,
        Self::NoBeforeImage,
        Self::Unreadable,
        Self::InvalidArgument,
        Self::LimitExceeded,
        Self::MalformedText,
        Self::Constraint,
        Self::TargetValue,
        Self::ForeignKey,
    ];

    /// The code as it stands in the dead-letter queue.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::MalformedRecord => "R0501",
            Self::KeyMismatch => "R0502",
            Self::WrongDataType => "R0503",
            Self::NotConvertible => "R0504",
            Self::OutOfRange => "R0505",
            Self::TooLong => "R0506",
            Self::Inexact => "R0507",
            Self::InvalidText => "R0508",
            Self::NullKey => "R0509",
            Self::NullColumn => "R0510",
            Self::NoBeforeImage => "R0511",
            Self::Unreadable => "R0512",
            Self::InvalidArgument => "R0513",
            Self::LimitExceeded => "R0514",
            Self::MalformedText => "R0515",
            Self::Constraint => "R0520",
            Self::TargetValue => "R0521",
            Self::ForeignKey => "R0522",
        }
    }

    /// What `redis-wb explain` prints for the code: what happened, and what to do.
    #[must_use]
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::MalformedRecord => {
                "The entry of the change stream is not a change record of a known version.\n\
                 Something other than the capture module appended it, or the module is newer than this redis-wb.\n\
                 record/FORMAT.md describes the format. Upgrade redis-wb, or mend the producer."
            }
            Self::KeyMismatch => {
                "The key matches the job's `key_pattern` but does not have the shape of its `key` template,\n\
                 or a part of it cannot be read as the type the template gives it.\n\
                 Narrow `key_pattern`, or loosen the template."
            }
            Self::WrongDataType => {
                "The key holds another Redis type than the job maps: a string where the job maps hashes, say.\n\
                 Narrow `key_pattern`, or mend the application that wrote the key."
            }
            Self::NotConvertible => {
                "The value cannot be read as the column's type: the text `abc` as a whole number, say.\n\
                 Mend the value in Redis and write the key again; or map the field to a column of another type, and\n\
                 put the record back by `redis-wb dlq replay`."
            }
            Self::OutOfRange => {
                "The value is of the right kind but outside what the column can hold: 40000 in a smallint, say.\n\
                 Widen the column, then write the key again."
            }
            Self::TooLong => {
                "The text or the bytes are longer than the column allows.\n\
                 Widen the column, then write the key again."
            }
            Self::Inexact => {
                "The value has digits that the column cannot hold: 4.5 in an integer, 1.234 in a decimal(10,2).\n\
                 redis-wb never rounds silently. Widen the column, or round the value where it is written."
            }
            Self::InvalidText => {
                "The value is not text that the column can hold: it is no UTF-8, or it contains a NUL character.\n\
                 Map it to a column of bytes, or mend the value."
            }
            Self::NullKey => {
                "A key column is null, so that no row can be named: the field that it comes from is missing.\n\
                 Take the key columns from the Redis key by `source.redis.key`, which is always there."
            }
            Self::NullColumn => {
                "A column that is NOT NULL got null: the field that it comes from is missing.\n\
                 Write the field; or allow nulls, or give the column a value by an expression such as\n\
                 `not_null(status, 'A')`, then `redis-wb dlq replay`. A default of the table does not help: the column\n\
                 is written."
            }
            Self::NoBeforeImage => {
                "The key was deleted, a key column of the table comes from the value, and the record carries no\n\
                 before image to take it from. Take the key columns from the Redis key by `source.redis.key`."
            }
            Self::Unreadable => {
                "The record carries no image of the key (it was too large, or another producer left it out),\n\
                 and the key could not be read from Redis. Write the key again when it can be read."
            }
            Self::InvalidArgument => {
                "A function of an expression got a value that it cannot take: `abs` of a text, say.\n\
                 Convert the value in the expression, or say what to do without it: `not_null(price, `0`)`."
            }
            Self::LimitExceeded => {
                "An expression visits or makes more than it may for one record, a value is nested too deep, or a key or the\n\
                 reply to a lookup is larger than a worker takes at once. The reason names the limit. Make the expression\n\
                 or the value smaller, or keep such records out by a filter before it."
            }
            Self::MalformedText => {
                "A function of an expression reads a text that is not in its form: no JSON, base64, XML or date.\n\
                 Mend the value in Redis, write the key again, or keep such records out by a filter."
            }
            Self::Constraint => {
                "The target refused the row: a CHECK, UNIQUE, NOT NULL or other constraint does not hold.\n\
                 The reason names the constraint. Mend the value and write the key again; or mend the constraint, then\n\
                 put the record back by `redis-wb dlq replay`."
            }
            Self::TargetValue => {
                "The target could not take a value of the row. The reason is the target's own message.\n\
                 Mend the value and write the key again; or mend the column, then `redis-wb dlq replay`."
            }
            Self::ForeignKey => {
                "The row points to a row of another table that did not come in time, or rows still point to one that was to go.\n\
                 It was tried again for as long as `foreign_key_wait` of `applier` says (seconds, 30), unless the job keeps\n\
                 every change there. Write the parent, then put the record back by `redis-wb dlq replay`."
            }
        }
    }
}

impl fmt::Display for RejectCode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.code())
    }
}

/// One record that cannot become rows. It is the size of a pointer, since every step of an evaluation may give one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} ({})", .0.reason, .0.code)]
pub struct Reject(Box<Rejection>);

/// Why a record cannot become rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The kind of reason.
    pub code: RejectCode,
    /// The reason in words, with the column, the value and what was expected.
    pub reason: String,
}

impl Reject {
    /// A rejection with its reason.
    #[cold]
    pub fn new(code: RejectCode, reason: impl Into<String>) -> Self {
        Self(Box::new(Rejection { code, reason: reason.into() }))
    }

    /// The code and the reason, to keep.
    #[must_use]
    pub fn into_rejection(self) -> Rejection {
        *self.0
    }
}

impl Deref for Reject {
    type Target = Rejection;

    fn deref(&self) -> &Rejection {
        &self.0
    }
}
