//! The typed expressions of a plan, and their evaluation over one record.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{ColumnType, Reject, Value, convert};

/// Where a path begins: which part of the record it reads (its *provenance*).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Root {
    /// The fields of the key template.
    Key,
    /// The content after the change or, for a delete whose plan asked for it, before.
    Value,
    /// The content before the change.
    Before,
    /// The content after the change.
    After,
    /// The opcode: `c`, `u` or `d`.
    Opcode,
}

/// An expression.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Expr {
    /// A constant.
    Literal(Literal),
    /// A field, reached by names from a root. No name at all is the root itself.
    Path {
        /// Where it begins.
        root: Root,
        /// The names on the way.
        names: Vec<String>,
    },
    /// The value of another expression in a column's type.
    Convert {
        /// What to convert.
        from: Box<Expr>,
        /// Into what.
        to: ColumnType,
    },
}

/// A constant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Literal {
    /// Null.
    Null,
    /// A boolean.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// A text.
    Text(String),
}

/// One record as expressions see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Input<'a> {
    /// The fields of the key template, as an object.
    pub key: Value<'a>,
    /// The content before the change; null where it is not known.
    pub before: Value<'a>,
    /// The content after the change; null for a delete.
    pub after: Value<'a>,
    /// `c`, `u` or `d`.
    pub opcode: &'static str,
}

impl<'a> Input<'a> {
    /// What a path starts from.
    #[must_use]
    pub fn root(&'a self, root: Root) -> Option<&'a Value<'a>> {
        match root {
            Root::Key => Some(&self.key),
            Root::Before => Some(&self.before),
            Root::After => Some(&self.after),
            Root::Value => Some(if self.after.is_null() { &self.before } else { &self.after }),
            Root::Opcode => None,
        }
    }
}

impl Expr {
    /// Evaluates the expression over one record. Plain paths borrow from it.
    ///
    /// # Errors
    /// The reason for which the record must be rejected.
    pub fn evaluate<'a>(&'a self, input: &'a Input<'a>) -> Result<Value<'a>, Reject> {
        match self {
            Self::Literal(literal) => Ok(literal.value()),
            Self::Path { root: Root::Opcode, .. } => Ok(Value::Text(Cow::Borrowed(input.opcode))),
            Self::Path { root, names } => {
                let found =
                    names.iter().fold(input.root(*root), |value, name| value.and_then(|value| value.field(name)));
                Ok(found.map_or(Value::Null, Value::borrowed))
            }
            Self::Convert { from, to } => convert::convert(from.evaluate(input)?, to),
        }
    }

    /// Which parts of the record the expression reads.
    #[must_use]
    pub fn reads(&self, root: Root) -> bool {
        match self {
            Self::Literal(_) => false,
            Self::Path { root: own, .. } => *own == root,
            Self::Convert { from, .. } => from.reads(root),
        }
    }
}

impl Literal {
    /// The constant as a value.
    #[must_use]
    pub fn value(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Int(value) => Value::Int(*value),
            Self::Float(value) => Value::Float(*value),
            Self::Text(text) => Value::Text(Cow::Borrowed(text)),
        }
    }
}
