//! Expressions that the target evaluates: that they are one, and where they are not.

use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

use super::Dialect;

/// Why a text is no expression of the target's SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoExpression {
    /// In words.
    pub what: String,
    /// The bytes of the text that are wrong; empty where something is missing.
    pub part: std::ops::Range<usize>,
}

/// An expression of the target's SQL, read and written again, so that nothing but one expression can be in it.
///
/// # Errors
/// What is wrong with it, and where.
pub fn expression(dialect: Dialect, text: &str) -> Result<String, NoExpression> {
    let wrong = |what: &str, part| NoExpression { what: what.to_owned(), part };
    let Some(reader) = dialect.reader() else {
        return Err(wrong("this dialect has no such expressions", 0..text.len()));
    };
    if let Some(at) = text.find('\0') {
        return Err(wrong("it contains a NUL", at..at + 1));
    }
    let tokens = Tokenizer::new(reader, text).tokenize_with_location().map_err(|error| {
        let at = byte(text, error.location);
        wrong(&in_words(&error.message), at..text.len())
    })?;
    let place = |token: &TokenWithSpan| byte(text, token.span.start)..byte(text, token.span.end);
    if let Some(placeholder) = tokens.iter().find(|token| matches!(token.token, Token::Placeholder(_))) {
        return Err(wrong(&format!("it has a parameter, {placeholder}"), place(placeholder)));
    }
    let mut parser = Parser::new(reader).with_tokens_with_locations(tokens);
    let expression = parser.parse_expr().map_err(|error| {
        let what = match error {
            ParserError::TokenizerError(message) | ParserError::ParserError(message) => message,
            ParserError::RecursionLimitExceeded => "it is nested too deeply".to_owned(),
        };
        // The parser stands behind the token that it did not expect.
        let part = place(parser.get_current_token());
        wrong(&in_words(&what), part)
    })?;
    let next = parser.next_token();
    match next.token {
        Token::EOF => Ok(expression.to_string()),
        ref more => Err(wrong(&format!("it goes on behind its end, with {more}"), place(&next))),
    }
}

/// What sqlparser says, as a part of a sentence and without the place.
pub(crate) fn in_words(said: &str) -> String {
    let said = said.split(" at Line: ").next().unwrap_or_default();
    if let Some((wanted, found)) = said.strip_prefix("Expected: ").and_then(|rest| rest.rsplit_once(", found: ")) {
        let found = if found == "EOF" { "the end".to_owned() } else { format!("`{found}`") };
        return format!("expected {wanted}, found {found}");
    }
    let mut chars = said.chars();
    chars.next().map_or_else(String::new, |first| format!("{}{}", first.to_lowercase(), chars.as_str()))
}

/// The byte of a place, whose line and column count from 1; the end of the text where there is none.
fn byte(text: &str, place: Location) -> usize {
    let number = |number: u64| usize::try_from(number).ok()?.checked_sub(1);
    let found = || {
        let before: usize = text.split_inclusive('\n').take(number(place.line)?).map(str::len).sum();
        let (at, _) = text.get(before..)?.char_indices().nth(number(place.column)?)?;
        Some(before + at)
    };
    found().unwrap_or(text.len())
}
