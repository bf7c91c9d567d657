//! The typed expressions of a plan: one form for JMESPath and SQL. What they do is in [`crate::evaluate`].

mod fields;
mod literal;
mod names;
pub mod visit;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use literal::Literal;
pub use names::Names;

use crate::evaluate;
use crate::functions::{Function, Prepared};
use crate::sql::SqlOp;
use crate::{ColumnType, Reject, Value};

/// The most levels of an expression; the compiler refuses deeper ones, so that no walk over one overflows the stack.
pub const EXPR_DEPTH_MAX: usize = 128;

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
    /// The element of the list that an output makes rows of.
    Element,
    /// The reply to a lookup, by its place among the lookups of the job.
    Lookup(u16),
}

/// An expression. `Current` is what the nearest enclosing `Project`, `Filter`, `Pipe` or `Lambda` hands in.
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
        names: Names,
    },
    /// What the enclosing expression hands in: an element of a projection, the left side of a pipe.
    Current,
    /// A field of an object; null where there is none or the value is no object.
    Field {
        /// The object.
        of: Box<Expr>,
        /// The name of the field.
        name: String,
    },
    /// An element of a list, from 0; negative counts from the end. Null where there is none.
    Index {
        /// The list.
        of: Box<Expr>,
        /// Which element.
        at: i64,
    },
    /// A part of a list, as Python slices it; null where the value is no list.
    Slice {
        /// The list.
        of: Box<Expr>,
        /// The first element.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        start: Option<i64>,
        /// Behind the last element.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stop: Option<i64>,
        /// How many elements to go on each time; not 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<i64>,
    },
    /// A list whose elements that are lists are replaced by their elements; null where the value is no list.
    Flatten(Box<Expr>),
    /// The values of an object as a list; null where the value is no object.
    Values(Box<Expr>),
    /// The body for each element, nulls left out; null where the value is no list.
    Project {
        /// The list.
        of: Box<Expr>,
        /// What becomes of each element.
        body: Box<Expr>,
    },
    /// The elements for which `keep` is true as JMESPath has it; null where the value is no list.
    Filter {
        /// The list.
        of: Box<Expr>,
        /// Which elements stay.
        keep: Box<Expr>,
    },
    /// A list of these elements.
    List(Vec<Expr>),
    /// An object of these fields.
    #[serde(with = "fields")]
    Object(Vec<(String, Expr)>),
    /// An object as the steps of a job left it: some of its fields set, others taken away. What is no object counts as
    /// an empty one.
    Altered {
        /// The object before.
        of: Box<Expr>,
        /// The fields that were set.
        #[serde(with = "fields")]
        set: Vec<(String, Expr)>,
        /// The fields that were taken away.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        without: Vec<String>,
    },
    /// The body, with the result of another expression as `Current`.
    Pipe {
        /// What is handed in.
        of: Box<Expr>,
        /// What becomes of it.
        body: Box<Expr>,
        /// Whether null gives null without a look at the body.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        stops_at_null: bool,
    },
    /// The first value that is false as JMESPath has it, else the last.
    And(Vec<Expr>),
    /// The first value that is true as JMESPath has it, else the last.
    Or(Vec<Expr>),
    /// Whether a value is false as JMESPath has it: null, false, or empty.
    Not(Box<Expr>),
    /// A comparison as JMESPath has it: equality of any two values, order of numbers, else null.
    Compare {
        /// How.
        op: Comparator,
        /// The left side.
        left: Box<Expr>,
        /// The right side.
        right: Box<Expr>,
    },
    /// A builtin function.
    Call {
        /// Which; serialised as its name.
        function: Function,
        /// Its arguments; the body of the function decides which of them it evaluates.
        args: Vec<Expr>,
        /// What a constant argument was made into once, such as a compiled pattern.
        #[serde(skip)]
        prepared: Prepared,
    },
    /// An argument that the function evaluates itself, for each element: `&age`.
    Lambda(Box<Expr>),
    /// An operator or function of SQL, with SQLite's semantics.
    Sql {
        /// Which.
        op: SqlOp,
        /// What it works on; which of them are evaluated depends on the operator.
        args: Vec<Expr>,
        /// What constant arguments were made into once.
        #[serde(skip)]
        prepared: Prepared,
    },
    /// The value of another expression in a column's type.
    Convert {
        /// What to convert.
        from: Box<Expr>,
        /// Into what.
        to: ColumnType,
    },
    /// The value of a shared expression of the enclosing `With` or output, evaluated at most once a record.
    Shared(usize),
    /// An expression some parts of which stand in it more than once.
    With {
        /// The parts, each of which may use those before it.
        shared: Vec<Expr>,
        /// The expression that uses them by `Shared`.
        body: Box<Expr>,
    },
}

/// How two values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Comparator {
    /// Equal.
    #[serde(rename = "==")]
    Equal,
    /// Not equal.
    #[serde(rename = "!=")]
    NotEqual,
    /// Less.
    #[serde(rename = "<")]
    Less,
    /// Less or equal.
    #[serde(rename = "<=")]
    LessOrEqual,
    /// Greater.
    #[serde(rename = ">")]
    Greater,
    /// Greater or equal.
    #[serde(rename = ">=")]
    GreaterOrEqual,
}

impl Comparator {
    /// Whether it asks for an order, which only numbers have.
    #[must_use]
    pub const fn is_order(self) -> bool {
        !matches!(self, Self::Equal | Self::NotEqual)
    }
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
    /// The element of a list, where an output makes rows of its elements; else null.
    pub element: Value<'a>,
    /// The replies to the job's lookups, in their order. Records that asked the same share what it gave.
    pub lookups: Vec<Arc<Value<'static>>>,
    /// What every expression takes for now: microseconds since 1970-01-01T00:00:00Z. Like `now` in one statement of
    /// SQLite, it does not move while a record is evaluated.
    pub now_us: i64,
}

/// The time by the machine's clock: microseconds since 1970-01-01T00:00:00Z.
#[must_use]
pub fn now_us() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

impl<'a> Input<'a> {
    /// A record without key and history, as `redis-wb eval` sees its input.
    #[must_use]
    pub fn of(value: Value<'a>) -> Self {
        let (key, before, element) = (Value::Null, Value::Null, Value::Null);
        Self { key, before, after: value, opcode: "c", element, lookups: Vec::new(), now_us: now_us() }
    }

    /// What a path starts from.
    #[must_use]
    pub fn root(&'a self, root: Root) -> Option<&'a Value<'a>> {
        match root {
            Root::Key => Some(&self.key),
            Root::Before => Some(&self.before),
            Root::After => Some(&self.after),
            Root::Value => Some(if self.after.is_null() { &self.before } else { &self.after }),
            Root::Element => Some(&self.element),
            Root::Lookup(at) => Some(self.lookups.get(usize::from(at)).map_or(&Value::Null, |reply| &**reply)),
            Root::Opcode => None,
        }
    }
}

impl Expr {
    /// The constant null.
    pub const NULL: Self = Self::Literal(Literal(Value::Null));

    /// A constant.
    #[must_use]
    pub const fn literal(value: Value<'static>) -> Self {
        Self::Literal(Literal(value))
    }

    /// A call of a builtin function.
    #[must_use]
    pub fn call(function: Function, args: Vec<Self>) -> Self {
        Self::Call { function, args, prepared: Prepared::default() }
    }

    /// An operator of SQL.
    #[must_use]
    pub const fn sql(op: SqlOp, args: Vec<Self>) -> Self {
        Self::Sql { op, args, prepared: Prepared::new() }
    }

    /// The value, if this is a constant.
    #[must_use]
    pub const fn as_literal(&self) -> Option<&Value<'static>> {
        match self {
            Self::Literal(Literal(value)) => Some(value),
            _ => None,
        }
    }

    /// Evaluates the expression over one record. Paths, projections and filters borrow from it.
    ///
    /// # Errors
    /// The reason for which the record must be rejected.
    #[inline]
    pub fn evaluate<'a>(&'a self, input: &'a Input<'a>) -> Result<Value<'a>, Reject> {
        // The commonest expression needs nothing of an evaluation.
        match self {
            Self::Path { root, names } if *root != Root::Opcode => Ok(evaluate::path(input, *root, names)),
            _ => evaluate::alone(self, input),
        }
    }

    /// Which parts of the record the expression reads. Of the shared expressions of an output, ask each.
    #[must_use]
    pub fn reads(&self, root: Root) -> bool {
        self.any(&mut |expr| matches!(expr, Self::Path { root: own, .. } if *own == root))
    }

    /// Whether the same record always gives the same value.
    #[must_use]
    pub fn is_pure(&self) -> bool {
        !self.any(&mut |expr| match expr {
            Self::Call { function, .. } => !function.is_pure(),
            Self::Sql { op, args, .. } => !op.is_pure(args),
            _ => false,
        })
    }
}
