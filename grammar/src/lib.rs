//! The small languages inside a job: their pest grammars and the syntax trees they give.
//!
//! | grammar | parser | example |
//! |---|---|---|
//! | `path.pest` | [`path::parse`] | `address.zip\.code` |
//! | `jmespath.pest` | [`jmespath::parse`] | `items[?price > \`10\`].name` |
//! | `key.pest` | [`key::parse`] | `orders:<customer_id:int>:<order_id>` |
//!
//! Syntax only: this crate knows no types, no functions and no YAML. Offsets are bytes in the parsed text.

pub mod jmespath;
pub mod key;
pub mod path;

/// The most bytes of one text that is parsed here; longer ones are refused before they cost anything.
pub const INPUT_BYTES_MAX: usize = 64 * 1024;

/// Why a text does not parse, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SyntaxError {
    /// What is wrong, in words.
    pub message: String,
    /// Where it is wrong.
    pub span: Span,
}

/// A range of bytes in the parsed text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// Behind the last byte.
    pub end: usize,
}

impl From<pest::Span<'_>> for Span {
    fn from(span: pest::Span<'_>) -> Self {
        Self { start: span.start(), end: span.end() }
    }
}

fn guard(text: &str) -> Result<(), SyntaxError> {
    if text.len() <= INPUT_BYTES_MAX {
        return Ok(());
    }
    let message = format!("this text is longer than {INPUT_BYTES_MAX} bytes");
    Err(SyntaxError { message, span: Span { start: 0, end: text.len() } })
}

/// Where a pest error points to.
fn position<R: pest::RuleType>(error: &pest::error::Error<R>) -> Span {
    let (start, end) = match error.location {
        pest::error::InputLocation::Pos(at) => (at, at),
        pest::error::InputLocation::Span(span) => span,
    };
    Span { start, end }
}
