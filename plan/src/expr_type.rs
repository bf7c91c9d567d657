//! Types of expressions: what a value can be, whether it can be null, and what it holds. Knows no expression.

use std::fmt;

use crate::{Type, Value};

/// The most levels of types within types that are kept; below them all is unknown.
const DEPTH_MAX: usize = 16;
/// The most types within one type.
const SIZE_MAX: usize = 256;

/// The type of an expression. `Unknown` is checked when evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExprType {
    /// What a value is when it is not null.
    pub kind: Type,
    /// Whether it can be null.
    pub nullable: bool,
    /// What a list holds; what the fields of an object hold that are not in `fields`.
    pub item: Option<Box<ExprType>>,
    /// The fields of an object that are known by name.
    pub fields: Vec<(String, ExprType)>,
}

impl ExprType {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self { kind: Type::Unknown, nullable: true, item: None, fields: Vec::new() };
    /// Always null.
    pub const NULL: Self = Self { kind: Type::Null, nullable: true, item: None, fields: Vec::new() };

    /// A type that is never null.
    #[must_use]
    pub const fn of(kind: Type) -> Self {
        Self { kind, nullable: false, item: None, fields: Vec::new() }
    }

    /// A list of such items.
    #[must_use]
    pub fn list(item: Self) -> Self {
        let item = if item.is_large() { Self::UNKNOWN } else { item };
        Self { item: Some(Box::new(item)), ..Self::of(Type::List) }
    }

    /// An object with these fields and no others.
    #[must_use]
    pub fn object(fields: Vec<(String, Self)>) -> Self {
        let object = Self { item: Some(Box::new(Self::NULL)), fields, ..Self::of(Type::Object) };
        if object.is_large() { Self::of(Type::Object) } else { object }
    }

    /// An object whose fields are these, and of type `rest` any other.
    #[must_use]
    pub fn record(fields: Vec<(String, Self)>, rest: Self) -> Self {
        Self { item: Some(Box::new(rest)), fields, ..Self::of(Type::Object) }
    }

    /// The same type, or null.
    #[must_use]
    pub fn or_null(mut self) -> Self {
        self.nullable = true;
        self
    }

    /// The same type, never null.
    #[must_use]
    pub fn not_null(mut self) -> Self {
        self.nullable = self.kind == Type::Null;
        self
    }

    /// What a list holds or an object's fields hold, whichever it is asked of.
    #[must_use]
    pub fn item(&self) -> Self {
        match self.kind {
            Type::List => self.item.as_deref().cloned().unwrap_or(Self::UNKNOWN),
            Type::Object => self.values(),
            Type::Unknown => Self::UNKNOWN,
            _ => Self::NULL,
        }
    }

    fn values(&self) -> Self {
        let rest = self.item.as_deref().filter(|rest| rest.kind != Type::Null);
        self.fields.iter().map(|(_, kind)| kind).chain(rest).cloned().reduce(Self::either).unwrap_or(Self::UNKNOWN)
    }

    /// The type of a field.
    #[must_use]
    pub fn field(&self, name: &str) -> Self {
        let found = match self.kind {
            Type::Object => {
                let named = self.fields.iter().find(|(known, _)| known == name).map(|(_, kind)| kind);
                named.or(self.item.as_deref()).cloned().unwrap_or(Self::UNKNOWN)
            }
            // A document is read where a field of it is wanted.
            Type::Unknown | Type::Json => Self::UNKNOWN,
            _ => Self::NULL,
        };
        if self.nullable { found.or_null() } else { found }
    }

    /// The type of a value that has the one type or the other.
    #[must_use]
    pub fn either(self, other: Self) -> Self {
        if self.kind == Type::Null {
            return other.or_null();
        }
        if other.kind == Type::Null {
            return self.or_null();
        }
        let nullable = self.nullable || other.nullable;
        if self.kind != other.kind {
            return Self { nullable, ..Self::UNKNOWN };
        }
        if self.fields != other.fields {
            return Self { nullable, ..Self::of(self.kind) };
        }
        let item = match (self.item, other.item) {
            (Some(left), Some(right)) => Some(Box::new(left.either(*right))),
            _ => None,
        };
        Self { kind: self.kind, nullable, item, fields: self.fields }
    }

    /// The type of a constant.
    #[must_use]
    pub fn of_value(value: &Value<'_>) -> Self {
        match value {
            Value::Null => Self::NULL,
            Value::List(items) => match items.iter().map(Self::of_value).reduce(Self::either) {
                Some(item) => Self::list(item),
                None => Self::list(Self::UNKNOWN),
            },
            Value::Object(fields) => {
                Self::object(fields.iter().map(|(name, value)| (name.to_string(), Self::of_value(value))).collect())
            }
            other => Self::of(other.kind()),
        }
    }

    /// Whether it is too large to go into another type.
    fn is_large(&self) -> bool {
        self.depth() >= DEPTH_MAX || self.size() > SIZE_MAX
    }

    fn parts(&self) -> impl Iterator<Item = &Self> {
        self.fields.iter().map(|(_, kind)| kind).chain(self.item.as_deref())
    }

    fn depth(&self) -> usize {
        1 + self.parts().map(Self::depth).max().unwrap_or(0)
    }

    fn size(&self) -> usize {
        1 + self.parts().map(Self::size).sum::<usize>()
    }
}

impl fmt::Display for ExprType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.kind, &self.item) {
            (Type::List, Some(item)) => write!(out, "list<{item}>")?,
            (Type::Object, _) if !self.fields.is_empty() => {
                out.write_str("object<")?;
                for (at, (name, kind)) in self.fields.iter().enumerate() {
                    write!(out, "{}{name}: {kind}", if at == 0 { "" } else { ", " })?;
                }
                out.write_str(">")?;
            }
            (kind, _) => kind.fmt(out)?,
        }
        if self.nullable && !matches!(self.kind, Type::Unknown | Type::Null) {
            out.write_str(" or null")
        } else {
            Ok(())
        }
    }
}
