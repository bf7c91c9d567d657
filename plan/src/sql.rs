//! SQL expressions with SQLite's semantics: what `SELECT <expression>` gives over one record.
//!
//! | part | what it is | SQLite's source |
//! |---|---|---|
//! | [`op`] | the operators of the plan | `expr.c` |
//! | [`function`] | the scalar functions | `func.c`, `date.c`, `json.c` |
//! | `infer` | the types of their results | |
//! | `evaluate`, `condition`, `piece` | operators over one record: values and numbers, truth, texts | `vdbe.c` |
//! | `storage` | values as SQLite's five storage classes | `vdbemem.c` |
//! | `number`, `printf` | numbers and text, digit for digit | `util.c`, `printf.c` |
//! | `compare` | affinity, collation, order | `vdbe.c`, `vdbeaux.c` |
//! | `arithmetic`, `cast`, `math` | numbers | `vdbe.c`, `vdbemem.c`, `func.c` |
//! | `text`, `pattern` | texts and blobs, `LIKE` and `GLOB` | `func.c` |
//! | `date`, `json` | dates and times, JSON | `date.c`, `json.c` |
//!
//! The reference is the version of SQLite that the tests link, 3.54. Deliberate differences stand in `docs/sql.md`.

mod arithmetic;
mod cast;
mod compare;
mod condition;
mod date;
mod evaluate;
pub mod function;
mod infer;
mod json;
mod math;
mod number;
pub mod op;
mod pattern;
mod piece;
mod printf;
mod random;
mod storage;
mod text;

pub use json::DEPTH_MAX as JSON_DEPTH_MAX;
pub use op::SqlOp;
pub use pattern::PATTERN_BYTES_MAX;
pub use storage::TEXT_BYTES_MAX;

pub(crate) use evaluate::evaluate;
pub(crate) use infer::infer;

use crate::{Reject, Value};

/// The name that SQLite's `typeof()` gives a value.
#[must_use]
pub fn type_name(value: &Value<'_>) -> &'static str {
    storage::class(value).name()
}

/// A value in one of SQLite's storage classes: a boolean as an integer, a date as text and so on.
///
/// # Errors
/// A decimal that neither 64 bits nor a real hold exactly.
pub fn stored<'v>(value: &'v Value<'_>) -> Result<Value<'v>, Reject> {
    storage::stored(value)
}

/// The real that a text of digits is, as SQLite reads it.
#[must_use]
pub fn real(text: &str) -> f64 {
    number::parse_real(text.as_bytes()).value
}

/// A value as an SQL literal, as `quote()` writes it.
///
/// # Errors
/// A decimal that neither 64 bits nor a real hold exactly.
pub fn literal(value: &Value<'_>) -> Result<String, Reject> {
    let quoted = text::quote(value, false)?;
    Ok(storage::text(&quoted)?.unwrap_or_default().into_owned())
}
