//! Key templates: `orders:<customer_id:int>:<order_id>`.

use pest::Parser as _;
use pest::iterators::Pair;

use crate::{Span, SyntaxError, guard, position};

mod rules {
    #[derive(pest_derive::Parser)]
    #[grammar = "key.pest"]
    pub(super) struct Grammar;
}
use rules::{Grammar, Rule};

/// One part of a key template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Text that every key has, escapes taken away.
    Literal(String),
    /// A named part of the key.
    Field {
        /// Its name.
        name: String,
        /// Where the name stands.
        name_span: Span,
        /// The name of its type and where that stands, if one is given.
        kind: Option<(String, Span)>,
        /// Where the field stands, angle brackets included.
        span: Span,
    },
}

/// Parses a key template.
///
/// # Errors
/// [`SyntaxError`] for an unclosed `<`, a name that is none, a backslash at the end, or two fields with nothing
/// between them (where one ends could not be told).
pub fn parse(text: &str) -> Result<Vec<Part>, SyntaxError> {
    guard(text)?;
    let pairs = Grammar::parse(Rule::template, text).map_err(|error| SyntaxError {
        message: "a field is written `<name>` or `<name:type>`; a literal `<` is written `\\<`".to_owned(),
        span: position(&error),
    })?;
    let mut parts = Vec::new();
    let inner = pairs.flat_map(Pair::into_inner).filter(|pair| pair.as_rule() != Rule::EOI);
    for pair in inner {
        let part = part(pair);
        if let (Some(Part::Field { .. }), Part::Field { span, .. }) = (parts.last(), &part) {
            let message = "two fields need literal text between them, or the end of the first could not be told";
            return Err(SyntaxError { message: message.to_owned(), span: *span });
        }
        parts.push(part);
    }
    Ok(parts)
}

fn part(pair: Pair<'_, Rule>) -> Part {
    if pair.as_rule() == Rule::literal {
        let unescape = |part: Pair<'_, Rule>| match part.as_rule() {
            Rule::escaped => part.as_str().get(1..).unwrap_or_default().to_owned(),
            _ => part.as_str().to_owned(),
        };
        return Part::Literal(pair.into_inner().map(unescape).collect());
    }
    let span = Span::from(pair.as_span());
    let mut idents = pair.into_inner().map(|ident| (ident.as_str().to_owned(), Span::from(ident.as_span())));
    let (name, name_span) = idents.next().unwrap_or((String::new(), span));
    Part::Field { name, name_span, kind: idents.next(), span }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parts in a short notation, or where the error points to.
    fn shape(text: &str) -> Result<Vec<String>, usize> {
        let show = |part| match part {
            Part::Literal(text) => format!("'{text}'"),
            Part::Field { name, kind, .. } => format!("{name}/{}", kind.map_or_else(String::new, |kind| kind.0)),
        };
        parse(text).map(|parts| parts.into_iter().map(show).collect()).map_err(|error| error.span.start)
    }

    #[test]
    fn fields_stand_between_literals() {
        let shapes = |list: &[&str]| Ok(list.iter().map(|part| (*part).to_owned()).collect());
        assert_eq!(shape("emp:<id:int>"), shapes(&["'emp:'", "id/int"]));
        assert_eq!(shape("<a>:<b>"), shapes(&["a/", "':'", "b/"]));
        assert_eq!(shape("x\\<y>"), shapes(&["'x<y>'"]));
        assert_eq!(shape(""), shapes(&[]));
        assert_eq!(shape("emp:<id"), Err(4));
        assert_eq!(shape("emp:<1d>"), Err(5));
        assert_eq!(shape("<a><b>"), Err(3));
    }

    proptest::proptest! {
        #[test]
        fn any_text_parses_or_is_refused_in_place(input in ".*") {
            if let Err(error) = parse(&input) {
                proptest::prop_assert!(input.is_char_boundary(error.span.start));
            }
        }
    }
}
