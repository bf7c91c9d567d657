//! Bounds that hold before anything recurses: a parser that recurses by nesting must not be given too much of it.

use crate::{Span, SyntaxError};

/// The most brackets, braces and parentheses inside each other.
pub const NESTING_MAX: usize = 64;
/// The most `!` in a row.
pub const NOTS_MAX: usize = 32;
/// The most levels of a tree.
pub const DEPTH_MAX: usize = 120;

/// Refuses text that is nested too deep.
pub(super) fn nesting(text: &str) -> Result<(), SyntaxError> {
    let (mut depth, mut nots) = (0_usize, 0_usize);
    for (at, char) in outside_quotes(text) {
        match char {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        nots = match char {
            '!' => nots + 1,
            ' ' | '\t' | '\n' | '\r' => nots,
            _ => 0,
        };
        let span = Span { start: at, end: at + char.len_utf8() };
        if depth > NESTING_MAX {
            return Err(too_deep(span, &format!("brackets nest deeper than {NESTING_MAX} levels")));
        }
        if nots > NOTS_MAX {
            return Err(too_deep(span, &format!("more than {NOTS_MAX} `!` follow each other")));
        }
    }
    Ok(())
}

pub(super) fn too_deep(span: Span, message: &str) -> SyntaxError {
    SyntaxError { message: message.to_owned(), span }
}

/// The innermost bracket that is never closed, and where.
pub(super) fn unclosed(text: &str) -> Option<(char, usize)> {
    let mut open = Vec::new();
    for (at, char) in outside_quotes(text) {
        match char {
            '(' | '[' | '{' => open.push((char, at)),
            ')' | ']' | '}' => drop(open.pop()),
            _ => {}
        }
    }
    open.pop()
}

/// Whether a text that begins with a quote never closes it.
pub(super) fn is_unclosed_quote(text: &str) -> bool {
    let mut chars = text.chars();
    let quote = chars.next();
    let mut escaped = false;
    !chars.any(|char| {
        let closes = !escaped && Some(char) == quote;
        escaped = !escaped && char == '\\';
        closes
    })
}

/// The characters that stand outside quotes of any kind.
fn outside_quotes(text: &str) -> impl Iterator<Item = (usize, char)> {
    let (mut quote, mut escaped) = (None, false);
    text.char_indices().filter(move |(_, char)| match quote {
        Some(open) => {
            let closes = !escaped && *char == open;
            escaped = !escaped && *char == '\\';
            if closes {
                quote = None;
            }
            false
        }
        None if matches!(char, '"' | '\'' | '`') => {
            (quote, escaped) = (Some(*char), false);
            false
        }
        None => true,
    })
}
