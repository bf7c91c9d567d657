//! Paths: `address.zip\.code` is the field `zip.code` of `address`.

use pest::Parser as _;
use pest::iterators::Pair;

use crate::{Span, SyntaxError, guard, position};

mod rules {
    #[derive(pest_derive::Parser)]
    #[grammar = "path.pest"]
    pub(super) struct Grammar;
}
use rules::{Grammar, Rule};

/// One name of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The name, escapes taken away.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

/// Parses a path into its names; there is at least one.
///
/// # Errors
/// [`SyntaxError`] for an empty path, an empty name (`a..b`) or a backslash at the end.
pub fn parse(text: &str) -> Result<Vec<Name>, SyntaxError> {
    guard(text)?;
    let pairs = Grammar::parse(Rule::path, text).map_err(|error| {
        let span = position(&error);
        let message = match text.get(span.start..) {
            _ if text.is_empty() => "the path is empty",
            Some("\\") => "a backslash ends the path; it must stand before the character it escapes",
            _ => "a name is missing here: a dot separates two names, `\\.` is a dot inside a name",
        };
        SyntaxError { message: message.to_owned(), span }
    })?;
    Ok(pairs.flatten().filter(|pair| pair.as_rule() == Rule::name).map(name).collect())
}

fn name(pair: Pair<'_, Rule>) -> Name {
    let span = Span::from(pair.as_span());
    let text = pair
        .into_inner()
        .map(|part| match part.as_rule() {
            Rule::escaped => part.as_str().get(1..).unwrap_or_default(),
            _ => part.as_str(),
        })
        .collect();
    Name { text, span }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Result<Vec<String>, usize> {
        parse(text).map(|names| names.into_iter().map(|name| name.text).collect()).map_err(|error| error.span.start)
    }

    #[test]
    fn dots_separate_and_backslashes_escape() {
        assert_eq!(names("name"), Ok(vec!["name".to_owned()]));
        assert_eq!(names("address.zip\\.code"), Ok(vec!["address".to_owned(), "zip.code".to_owned()]));
        assert_eq!(names("größe.ü m"), Ok(vec!["größe".to_owned(), "ü m".to_owned()]));
        assert_eq!(names("a\\\\.b"), Ok(vec!["a\\".to_owned(), "b".to_owned()]));
        assert_eq!(names(""), Err(0));
        assert_eq!(names("a..b"), Err(2));
        assert_eq!(names("a."), Err(2));
        assert_eq!(names("a\\"), Err(1));
    }

    proptest::proptest! {
        #[test]
        fn escaping_brings_any_names_back(input in proptest::collection::vec(".{1,8}", 1..4)) {
            let path: Vec<String> = input
                .iter()
                .map(|name| name.replace('\\', "\\\\").replace('.', "\\."))
                .collect();
            proptest::prop_assert_eq!(names(&path.join(".")), Ok(input));
        }
    }
}
