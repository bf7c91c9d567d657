//! The operators of SQL expressions, as the plan has them: everything that depends on how the expression is written,
//! such as affinities and collations, is settled when compiling.

use serde::{Deserialize, Serialize};

pub use super::arithmetic::{Arithmetic, Bitwise};
pub use super::cast::Cast;
pub use super::compare::{Affinity, Collation, Comparator, Comparison};
pub use super::function::SqlFunction;

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
    /// A function of the values of its arguments.
    Call(SqlFunction),
}

impl SqlOp {
    /// Whether the same arguments always give the same result.
    #[must_use]
    pub fn is_pure(&self) -> bool {
        !matches!(self, Self::Call(function) if !function.definition().pure)
    }
}
