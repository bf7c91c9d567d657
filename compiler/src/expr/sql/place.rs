//! Where something stands: sqlparser counts lines and characters from 1, diagnostics count bytes.

use sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, FunctionArguments, InTarget, Spanned as _};
use sqlparser::tokenizer::{Location, Span};

/// The places of a text.
pub(super) struct Places<'t> {
    text: &'t str,
    line_starts: Vec<usize>,
}

impl<'t> Places<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, line_starts }
    }

    /// The byte of a line and column; the end of the text where it has none.
    fn byte(&self, location: Location) -> usize {
        let line = usize::try_from(location.line.saturating_sub(1)).unwrap_or(usize::MAX);
        let column = usize::try_from(location.column.saturating_sub(1)).unwrap_or(usize::MAX);
        let Some(start) = self.line_starts.get(line).copied() else { return self.text.len() };
        let rest = self.text.get(start..).unwrap_or_default();
        rest.char_indices().nth(column).map_or(self.text.len(), |(at, _)| start + at)
    }

    /// The bytes of an expression, from its first word to its last. sqlparser's own way of finding them goes as deep
    /// as the expression.
    pub(super) fn of(&self, ast: &Expr) -> (usize, usize) {
        let (start, end) = (self.bytes(first(ast)), self.bytes(last(ast)));
        (start.0, end.1.max(start.1))
    }

    /// The bytes of a span; the whole text where sqlparser knows none.
    pub(super) fn bytes(&self, span: Span) -> (usize, usize) {
        if span == Span::empty() {
            return (0, self.text.len());
        }
        let (start, end) = (self.byte(span.start), self.byte(span.end));
        (start, end.max(start))
    }

    /// The bytes of the token that begins at a place.
    pub(super) fn token(&self, location: Location) -> (usize, usize) {
        let start = if location.line == 0 { self.text.len() } else { self.byte(location) };
        let rest = self.text.get(start..).unwrap_or_default();
        let is_word = |char: char| char.is_alphanumeric() || char == '_';
        let word: usize = rest.chars().take_while(|char| is_word(*char)).map(char::len_utf8).sum();
        let len = if word > 0 { word } else { rest.chars().next().map_or(0, char::len_utf8) };
        (start, start + len)
    }
}

/// A message of sqlparser, which ends in ` at Line: 3, Column: 7`, without its place.
pub(super) fn located(message: &str) -> (&str, Option<Location>) {
    let Some((text, place)) = message.rsplit_once(" at Line: ") else { return (message, None) };
    let location = place
        .split_once(", Column: ")
        .and_then(|(line, column)| Some(Location::new(line.parse().ok()?, column.trim().parse().ok()?)));
    (text, location)
}

/// The place of an expression's first word.
fn first(mut ast: &Expr) -> Span {
    loop {
        ast = match ast {
            Expr::BinaryOp { left: inner, .. }
            | Expr::IsNull(inner)
            | Expr::IsNotNull(inner)
            | Expr::IsDistinctFrom(inner, _)
            | Expr::IsNotDistinctFrom(inner, _)
            | Expr::Between { expr: inner, .. }
            | Expr::In { expr: inner, .. }
            | Expr::Like { expr: inner, .. }
            | Expr::Collate { expr: inner, .. }
            | Expr::UnaryOp { expr: inner, .. }
            | Expr::Cast { expr: inner, .. }
            | Expr::Nested(inner) => inner,
            Expr::Tuple(items) => match items.first() {
                Some(item) => item,
                None => return Span::empty(),
            },
            Expr::Value(value) => return value.span,
            Expr::CompoundIdentifier(names) => return names.first().map_or_else(Span::empty, |name| name.span),
            Expr::Function(function) => return function.name.span(),
            Expr::Case { case_token, .. } => return case_token.0.span,
            Expr::Subquery(query) | Expr::Exists { subquery: query, .. } => return query.span(),
            _ => return Span::empty(),
        };
    }
}

/// The place of an expression's last word.
fn last(mut ast: &Expr) -> Span {
    loop {
        ast = match ast {
            Expr::BinaryOp { right: inner, .. }
            | Expr::IsNull(inner)
            | Expr::IsNotNull(inner)
            | Expr::IsDistinctFrom(_, inner)
            | Expr::IsNotDistinctFrom(_, inner)
            | Expr::Between { high: inner, .. }
            | Expr::Like { escape_char: Some(inner), .. }
            | Expr::Like { pattern: inner, .. }
            | Expr::UnaryOp { expr: inner, .. }
            | Expr::Cast { expr: inner, .. }
            | Expr::Nested(inner) => inner,
            Expr::In { expr, target: InTarget::List(items), .. } => items.last().unwrap_or(expr),
            Expr::Tuple(items) => match items.last() {
                Some(item) => item,
                None => return Span::empty(),
            },
            Expr::Value(value) => return value.span,
            Expr::CompoundIdentifier(names) => return names.last().map_or_else(Span::empty, |name| name.span),
            Expr::Collate { collation, .. } => return collation.span(),
            Expr::Function(function) => match &function.args {
                FunctionArguments::List(list) => match list.args.last() {
                    Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))) => arg,
                    _ => return function.name.span(),
                },
                _ => return function.name.span(),
            },
            Expr::Case { end_token, .. } => return end_token.0.span,
            Expr::Subquery(query)
            | Expr::Exists { subquery: query, .. }
            | Expr::In { target: InTarget::Subquery(query), .. } => return query.span(),
            _ => return Span::empty(),
        };
    }
}
