//! The operators of SQL expressions, as the plan has them: everything that depends on how the expression is written,
//! such as affinities and collations, is settled when compiling.

use serde::{Deserialize, Serialize};

pub use super::arithmetic::{Arithmetic, Bitwise};
pub use super::cast::Cast;
pub use super::compare::{Affinity, Collation, Comparator, Comparison};
use super::function::Family;
pub use super::function::SqlFunction;
use crate::{Expr, Value};

/// An operator; its arguments stand beside it in [`crate::Expr::Sql`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SqlOp {
    /// Two numbers.
    Arithmetic(Arithmetic),
    /// The bits of two integers.
    Bitwise(Bitwise),
    /// `-x`
    Negate,
    /// `~x`
    Complement,
    /// `x || y || …`
    Concat,
    /// `x = y` and so on.
    Compare(Comparator, Comparison),
    /// `x IS y`: NULL equals NULL.
    Is(Comparison),
    /// `x IS TRUE`, `x IS FALSE`
    IsTruth(bool),
    /// `x ISNULL`
    IsNull,
    /// `NOT x`
    Not,
    /// `x AND y AND …`, which stops at the first that is false.
    And,
    /// `x OR y OR …`, which stops at the first that is true.
    Or,
    /// `x LIKE pattern ESCAPE escape`
    Like,
    /// `x GLOB pattern`
    Glob,
    /// `x IN (y, …)`
    In(Comparison),
    /// `x BETWEEN low AND high`, with how each bound is compared.
    Between(Comparison, Comparison),
    /// `CAST(x AS …)`
    Cast {
        /// To what.
        to: Cast,
        /// As SQLite does it: what does not fit is dropped.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        lossy: bool,
    },
    /// `CASE WHEN condition THEN x … ELSE y END`: conditions and values in turn, then the last value if there is one.
    Case,
    /// `CASE x WHEN y THEN z … ELSE z END`: first `x`, then as `Case`; how each `y` is compared.
    CaseOf(Vec<Comparison>),
    /// `coalesce(x, …)`
    Coalesce,
    /// `nullif(x, y)`
    NullIf(Comparison),
    /// `min(x, …)`
    Min(Comparison),
    /// `max(x, …)`
    Max(Comparison),
    /// `json -> path`
    Arrow,
    /// `json ->> path`
    LongArrow,
    /// A result as SQLite gives it: JSON that a function made is text like any other.
    Plain,
    /// A function of the values of its arguments.
    Call(SqlFunction),
}

impl SqlOp {
    /// Whether it gives a truth value: 1, 0 or NULL.
    #[must_use]
    pub const fn is_condition(&self) -> bool {
        matches!(
            self,
            Self::Compare(..)
                | Self::And
                | Self::Or
                | Self::Not
                | Self::In(_)
                | Self::Between(..)
                | Self::Is(_)
                | Self::IsNull
                | Self::IsTruth(_)
                | Self::Like
                | Self::Glob
        )
    }

    /// Whether the same arguments always give the same result.
    #[must_use]
    pub fn is_pure(&self, args: &[Expr]) -> bool {
        let Self::Call(function) = self else { return true };
        let definition = function.definition();
        definition.pure && (definition.family != Family::Date || !reads_clock(definition.name, args))
    }
}

/// Whether a date function may ask what time it is. A text that only comes with the record may be `now`, too, but what
/// depends on the record is never taken for the same.
fn reads_clock(name: &str, args: &[Expr]) -> bool {
    let times = if name == "strftime" { args.get(1..).unwrap_or_default() } else { args };
    let is_now = |arg: &Expr| match arg.as_literal() {
        Some(Value::Text(text)) => ["now", "subsec", "subsecond"].iter().any(|now| text.eq_ignore_ascii_case(now)),
        _ => false,
    };
    if name == "timediff" { times.iter().any(is_now) } else { times.first().is_none_or(is_now) }
}
