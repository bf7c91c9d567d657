//! The scalar functions of SQLite: name, arity, type, doc, example and body in one place. They are apart from
//! JMESPath's ([`crate::functions`]), since `replace`, `length` or `min` mean something else there.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use super::date::Times;
pub use super::json::Route;
pub use super::piece::Piece;
use crate::evaluate::{Evaluator, Item};
pub use crate::functions::Returns;
use crate::{Expr, Reject, Value};

mod core;
mod date;
mod json;
mod math;

/// The page of SQLite's documentation on which a function stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// `lang_corefunc.html`
    Core,
    /// `lang_mathfunc.html`
    Math,
    /// `lang_datefunc.html`
    Date,
    /// `json1.html`
    Json,
}

impl Family {
    /// Every family, in the order of the documentation.
    pub const ALL: [Self; 4] = [Self::Core, Self::Math, Self::Date, Self::Json];

    /// What it is called in the documentation.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Core => "Core functions",
            Self::Math => "Mathematical functions",
            Self::Date => "Dates and times",
            Self::Json => "JSON",
        }
    }
}

/// Finds a part of a document by paths, or by the route of a constant one.
pub(super) type Find = for<'a> fn(&Item<'_, 'a>, Option<&Route>, &[&Value<'_>]) -> Result<Value<'a>, Reject>;

/// How a function gets at its result.
#[derive(Clone, Copy)]
pub enum Body {
    /// From the values of its arguments.
    Values(fn(&[&Value<'_>]) -> Result<Value<'static>, Reject>),
    /// A text, which it may hand on from its first argument or writes into a buffer.
    Text(for<'a> fn(&Evaluator<'_, 'a>, &'a [Expr], &mut String) -> Result<Piece<'a>, Reject>),
    /// A part of a document, its first argument. The others are paths; of one that is constant there is the route.
    Finds(Find),
    /// From the time that is now, and the values of its arguments.
    Timed(fn(&Times<'_>, &[&Value<'_>]) -> Result<Value<'static>, Reject>),
    /// The compiler makes an operator of it, which does not evaluate every argument or needs a collation.
    Operator,
}

/// All about one function.
pub struct Definition {
    /// Its name.
    pub name: &'static str,
    /// Other names for it.
    pub aliases: &'static [&'static str],
    /// Where SQLite documents it.
    pub family: Family,
    /// The fewest arguments.
    pub least: usize,
    /// The most arguments; `None` for any number.
    pub most: Option<usize>,
    /// Its arguments, for people.
    pub args: &'static str,
    /// The type of its results.
    pub returns: Returns,
    /// Whether the same arguments always give the same result.
    pub pure: bool,
    /// What it does.
    pub doc: &'static str,
    /// An expression and its result as an SQL literal; a test evaluates it here and by SQLite.
    pub example: (&'static str, &'static str),
    /// How it gets at its result.
    pub body: Body,
}

impl Definition {
    /// The signature for people: `substr(x, start, length)`.
    #[must_use]
    pub fn signature(&self) -> String {
        self.call(self.name)
    }

    /// How it is called by its name or an alias. The standard's `current_date` and its like have no parentheses.
    #[must_use]
    pub fn call(&self, name: &str) -> String {
        if self.name.starts_with("current_") { name.to_owned() } else { format!("{name}({})", self.args) }
    }

    /// The entry of the function, in Markdown.
    #[must_use]
    pub fn entry(&self) -> String {
        let aliases: String = self.aliases.iter().map(|name| format!("Also: `{}`\n\n", self.call(name))).collect();
        let (example, result) = self.example;
        let (signature, doc) = (self.signature(), self.doc);
        format!("### `{signature}` (SQL)\n\n{doc}\n\n{aliases}```\n{example}\n  => {result}\n```\n")
    }
}

/// A function; in a plan its name stands for it.
#[derive(Clone, Copy)]
pub struct SqlFunction(&'static Definition);

/// Every function, family by family.
pub fn all() -> impl Iterator<Item = SqlFunction> {
    [core::ALL, math::ALL, date::ALL, json::ALL].into_iter().flatten().map(SqlFunction)
}

impl SqlFunction {
    /// The function of this name, in any case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let is = |known: &&str| known.eq_ignore_ascii_case(name);
        all().find(|function| is(&function.0.name) || function.0.aliases.iter().any(is))
    }

    /// All about it.
    #[must_use]
    pub const fn definition(self) -> &'static Definition {
        self.0
    }

    /// Whether it takes that many arguments.
    #[must_use]
    pub fn takes(self, args: usize) -> bool {
        args >= self.0.least && self.0.most.is_none_or(|most| args <= most)
    }
}

impl PartialEq for SqlFunction {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for SqlFunction {}

impl fmt::Debug for SqlFunction {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0.name)
    }
}

impl Serialize for SqlFunction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name)
    }
}

impl<'de> Deserialize<'de> for SqlFunction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::named(&name).ok_or_else(|| D::Error::custom(format!("there is no SQL function `{name}`")))
    }
}

/// An argument; one that was left out is NULL, which no body sees: the compiler checks the arity.
fn arg<'v, 'a>(values: &[&'v Value<'a>], at: usize) -> &'v Value<'a> {
    values.get(at).copied().unwrap_or(&Value::Null)
}
