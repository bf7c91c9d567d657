//! Builtin functions. Each is defined once, in the file of its family: signature, doc, examples and body; type
//! checking, evaluation and `docs/functions.md` all come from that definition.
//!
//! A body asks for its arguments one by one: each is evaluated when asked for and checked against the signature.

mod args;
pub mod docs;
mod signature;

mod encoding;
mod lists;
mod numbers;
mod objects;
mod text;
mod time;
mod types;
mod xml;

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use args::{Args, Prepared};
pub use signature::{Accepts, Count, Param, Returns};

use crate::{Reject, Value};

/// Everything about one function.
#[derive(Debug)]
pub struct Definition {
    /// The name.
    pub name: &'static str,
    /// Other names that mean the same.
    pub aliases: &'static [&'static str],
    /// What kind of function it is, for the reference page.
    pub family: Family,
    /// The parameters, in order.
    pub params: &'static [Param],
    /// The type of its results.
    pub returns: Returns,
    /// Whether the same arguments always give the same result.
    pub pure: bool,
    /// What it does, in Markdown.
    pub doc: &'static str,
    /// Examples, which are also its tests.
    pub examples: &'static [Example],
    /// What it does.
    pub body: Body,
    /// What constant texts as arguments must be, beyond their types: which argument, and its check.
    pub checks: &'static [(usize, Check)],
}

/// A check of a constant text.
pub type Check = fn(&str) -> Result<(), Reject>;

/// The body of a function.
pub type Body = for<'t, 'a> fn(&Args<'t, 'a>) -> Result<Value<'a>, Reject>;

/// One example of a function.
#[derive(Debug)]
pub struct Example {
    /// An expression.
    pub expression: &'static str,
    /// The input, as JSON.
    pub input: &'static str,
    /// What it gives, as JSON, or the code of the rejection.
    pub output: &'static str,
}

/// A kind of functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// Texts.
    Text,
    /// Numbers.
    Number,
    /// Lists.
    List,
    /// Objects.
    Object,
    /// Types, and null.
    Type,
    /// Dates and times.
    Time,
    /// Hashes, encodings and documents.
    Encoding,
}

impl Family {
    /// Every family, in the order of the reference page.
    pub const ALL: [Self; 7] =
        [Self::Text, Self::Number, Self::List, Self::Object, Self::Type, Self::Time, Self::Encoding];

    /// The heading of the reference page.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Text => "Texts",
            Self::Number => "Numbers",
            Self::List => "Lists",
            Self::Object => "Objects",
            Self::Type => "Types and null",
            Self::Time => "Dates and times",
            Self::Encoding => "Hashes, encodings and documents",
        }
    }
}

const ALL: &[&[Definition]] =
    &[text::ALL, numbers::ALL, lists::ALL, objects::ALL, types::ALL, time::ALL, encoding::ALL];

/// What most definitions have in common: `..PLAIN` stands for it.
const PLAIN: Definition = Definition {
    name: "",
    aliases: &[],
    family: Family::Text,
    params: &[],
    returns: Returns::Always(crate::Type::Unknown),
    pure: true,
    doc: "",
    examples: &[],
    body: |_| Ok(Value::Null),
    checks: &[],
};

/// An example: an expression, its input as JSON, and what it gives, as JSON or the code of the rejection.
const fn eg(expression: &'static str, input: &'static str, output: &'static str) -> Example {
    Example { expression, input, output }
}

/// Every function, family by family.
pub fn all() -> impl Iterator<Item = Function> {
    ALL.iter().copied().flatten().map(Function)
}

/// A function; in a plan its name stands for it.
#[derive(Clone, Copy)]
pub struct Function(&'static Definition);

impl Function {
    /// The function of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        all().find(|function| function.0.name == name || function.0.aliases.contains(&name))
    }

    /// All about it.
    #[must_use]
    pub const fn definition(self) -> &'static Definition {
        self.0
    }

    /// Whether the same arguments always give the same result.
    #[must_use]
    pub const fn is_pure(self) -> bool {
        self.0.pure
    }

    pub(crate) fn call<'a>(self, args: &Args<'_, 'a>) -> Result<Value<'a>, Reject> {
        (self.0.body)(args)
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0.name)
    }
}

impl Serialize for Function {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name)
    }
}

impl<'de> Deserialize<'de> for Function {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::named(&name).ok_or_else(|| D::Error::custom(format!("there is no function `{name}`")))
    }
}
