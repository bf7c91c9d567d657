//! Types of columns, fields and expressions. Knows no dialect: what a type is called in SQL is the compiler's.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a value can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Type {
    /// Nothing is known; checked when evaluated.
    Unknown,
    /// Only null.
    Null,
    /// True or false.
    Bool,
    /// A whole number of at most 64 bits.
    Int,
    /// A binary floating-point number of 64 bits.
    Float,
    /// A decimal number of any size, exact.
    Decimal,
    /// Text in UTF-8.
    Text,
    /// Any bytes.
    Bytes,
    /// A calendar date.
    Date,
    /// A time of day, in microseconds.
    Time,
    /// A date and time without a zone, in microseconds.
    Timestamp,
    /// An instant, in microseconds.
    TimestampTz,
    /// A UUID.
    Uuid,
    /// A JSON document.
    Json,
    /// A list.
    List,
    /// An object.
    Object,
}

impl Type {
    /// Every type that a job can name, in the order of the documentation.
    pub const NAMED: [Self; 12] = [
        Self::Bool,
        Self::Int,
        Self::Float,
        Self::Decimal,
        Self::Text,
        Self::Bytes,
        Self::Date,
        Self::Time,
        Self::Timestamp,
        Self::TimestampTz,
        Self::Uuid,
        Self::Json,
    ];

    /// The name as a job writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Null => "null",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Float => "float",
            Self::Decimal => "decimal",
            Self::Text => "text",
            Self::Bytes => "bytes",
            Self::Date => "date",
            Self::Time => "time",
            Self::Timestamp => "timestamp",
            Self::TimestampTz => "timestamptz",
            Self::Uuid => "uuid",
            Self::Json => "json",
            Self::List => "list",
            Self::Object => "object",
        }
    }

    /// The type that a job names, or `None`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMED.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for Type {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// The type of a column, with the limits that its table sets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnType {
    /// What the values are.
    #[serde(rename = "type")]
    pub kind: Type,
    /// Bits of a whole or floating-point number: 8, 16, 32 or 64, and any number of a field of bits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bits: Option<u8>,
    /// Whether a whole number cannot be negative.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unsigned: bool,
    /// The most characters that a text may have, or the most bytes that bytes may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length_max: Option<u32>,
    /// The most digits that a decimal may have, or a floating-point number of so many digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<u32>,
    /// The most digits behind the point of a decimal, or of the seconds of a time; a time has at most six.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<u32>,
    /// The most significant digits of a decimal that the column keeps, unless it is a whole number of 64 bits: SQLite
    /// has no decimals, only integers and floating-point numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub significant_max: Option<u32>,
    /// The lowest and the highest whole number, where bits do not say it: the years of MySQL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<[i64; 2]>,
    /// The texts that there are, where the column takes no others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<Box<Members>>,
}

/// What an `ENUM` or a `SET` of MySQL takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Members {
    /// The members, as the table's definition spells them.
    pub names: Vec<String>,
    /// Whether a value is any number of them, with commas between.
    pub is_set: bool,
}

impl From<Type> for ColumnType {
    fn from(kind: Type) -> Self {
        Self {
            kind,
            bits: None,
            unsigned: false,
            length_max: None,
            precision: None,
            scale: None,
            significant_max: None,
            range: None,
            members: None,
        }
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(out)?;
        match (self.bits, self.length_max, self.precision, self.scale) {
            (Some(bits), ..) if bits != 64 => write!(out, "{bits}"),
            (_, Some(length), ..) => write!(out, "({length})"),
            (_, _, Some(precision), scale) => write!(out, "({precision},{})", scale.unwrap_or(0)),
            (_, _, None, Some(digits)) => write!(out, "({digits})"),
            _ => Ok(()),
        }
    }
}
