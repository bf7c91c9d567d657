//! What functions take and give: checked by the compiler as far as types are known, and again when evaluated.

use std::fmt;

use crate::expr_type::ExprType;
use crate::{Type, Value};

/// The kinds of values that a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepts(u16);

impl Accepts {
    /// Null.
    pub const NULL: Self = Self(1);
    /// A boolean.
    pub const BOOL: Self = Self(2);
    /// A number.
    pub const NUMBER: Self = Self(4);
    /// A text, or what is a text in JSON: a date, a time, a UUID.
    pub const TEXT: Self = Self(8);
    /// A list of anything.
    pub const LIST: Self = Self(16);
    /// A list of numbers.
    pub const NUMBERS: Self = Self(32);
    /// A list of texts.
    pub const TEXTS: Self = Self(64);
    /// An object.
    pub const OBJECT: Self = Self(128);
    /// Bytes.
    pub const BYTES: Self = Self(256);
    /// An expression that is evaluated for each element: `&age`.
    pub const EXPRESSION: Self = Self(512);
    /// Any value.
    pub const ANY: Self = Self(1 | 2 | 4 | 8 | 16 | 128 | 256);

    const NAMES: [(Self, &'static str); 10] = [
        (Self::TEXT, "text"),
        (Self::NUMBER, "number"),
        (Self::BOOL, "boolean"),
        (Self::LIST, "list"),
        (Self::NUMBERS, "list of numbers"),
        (Self::TEXTS, "list of texts"),
        (Self::OBJECT, "object"),
        (Self::BYTES, "bytes"),
        (Self::EXPRESSION, "&expression"),
        (Self::NULL, "null"),
    ];

    /// Any of both.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether it takes all that `other` takes.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether it takes a value.
    #[must_use]
    pub fn takes(self, value: &Value<'_>) -> bool {
        if self.contains(Self::of(value.kind())) {
            return true;
        }
        let Value::List(items) = value else {
            return false;
        };
        let all = |test: fn(&Value<'_>) -> bool| items.iter().all(test);
        (self.contains(Self::NUMBERS) && all(crate::number::is_number))
            || (self.contains(Self::TEXTS) && all(crate::compare::is_textual))
    }

    /// Whether some value of a type may be taken, null aside: what never can be is an error when compiling.
    #[must_use]
    pub fn may_take(self, kind: &ExprType) -> bool {
        match kind.kind {
            Type::Unknown => true,
            Type::Null => self.contains(Self::NULL),
            Type::List => {
                let item = kind.item();
                self.contains(Self::LIST)
                    || (self.contains(Self::NUMBERS) && Self::NUMBER.may_hold(&item))
                    || (self.contains(Self::TEXTS) && Self::TEXT.may_hold(&item))
            }
            kind => self.contains(Self::of(kind)),
        }
    }

    /// Whether a list whose items are known to be of a type may be one of these; an empty list always may.
    fn may_hold(self, item: &ExprType) -> bool {
        item.kind == Type::Unknown || self.contains(Self::of(item.kind))
    }

    /// The kind of values of a type.
    const fn of(kind: Type) -> Self {
        match kind {
            Type::Null => Self::NULL,
            Type::Bool => Self::BOOL,
            Type::Int | Type::Float | Type::Decimal => Self::NUMBER,
            Type::Text | Type::Json | Type::Date | Type::Time | Type::Timestamp | Type::TimestampTz | Type::Uuid => {
                Self::TEXT
            }
            Type::Bytes => Self::BYTES,
            Type::List => Self::LIST,
            Type::Object => Self::OBJECT,
            Type::Unknown => Self::ANY,
        }
    }
}

impl fmt::Display for Accepts {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.contains(Self::ANY) {
            return out.write_str("any value");
        }
        let names = Self::NAMES.iter().filter(|(kind, _)| self.contains(*kind)).map(|(_, name)| *name);
        out.write_str(&names.collect::<Vec<_>>().join(" or "))
    }
}

/// One parameter.
#[derive(Debug, Clone, Copy)]
pub struct Param {
    /// Its name, for people.
    pub name: &'static str,
    /// What it takes.
    pub accepts: Accepts,
    /// How often it may be given.
    pub count: Count,
}

/// How often a parameter may be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// Once.
    One,
    /// Once or never.
    Optional,
    /// Once or more; only the last parameter.
    Many,
}

impl Param {
    /// A parameter that must be given.
    #[must_use]
    pub const fn new(name: &'static str, accepts: Accepts) -> Self {
        Self { name, accepts, count: Count::One }
    }

    /// The same, but it may be left out.
    #[must_use]
    pub const fn optional(self) -> Self {
        Self { count: Count::Optional, ..self }
    }

    /// The same, but it may be given more than once.
    #[must_use]
    pub const fn many(self) -> Self {
        Self { count: Count::Many, ..self }
    }

    /// The same, but null is taken, too.
    #[must_use]
    pub const fn or_null(self) -> Self {
        Self { accepts: self.accepts.or(Accepts::NULL), ..self }
    }
}

/// The type of a function's results.
#[derive(Debug, Clone, Copy)]
pub enum Returns {
    /// Of this type, never null.
    Always(Type),
    /// Of this type, or null.
    OrNull(Type),
    /// Of this type; null for null as the first argument, and else never.
    NullForNull(Type),
    /// As the types of the arguments say.
    Infer(fn(&[ExprType]) -> ExprType),
}

impl Returns {
    /// The type of the result for arguments of these types.
    #[must_use]
    pub fn infer(self, args: &[ExprType]) -> ExprType {
        match self {
            Self::Always(kind) => ExprType::of(kind),
            Self::OrNull(kind) => ExprType::of(kind).or_null(),
            Self::NullForNull(kind) => {
                let nullable = args.first().is_none_or(|first| first.nullable);
                ExprType { nullable, ..ExprType::of(kind) }
            }
            Self::Infer(infer) => infer(args),
        }
    }
}
