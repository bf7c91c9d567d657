//! JMESPath: text into a tree whose every node knows its place. Knows no function and no type.
//!
//! Precedence, from loose to tight: `|`, `||`, `&&`, comparisons, `[]`, `[?…]`, `.`, `!`, `[…]`; as the reference
//! implementations have it, so `!a.b` is `(!a).b`, which the compiler warns about.

mod chain;
mod guard;
mod print;

use std::fmt;
use std::sync::LazyLock;

use pest::Parser as _;
use pest::iterators::{Pair, Pairs};
use pest::pratt_parser::{Assoc, Op, PrattParser};

use self::chain::Chain;
use crate::{Span, SyntaxError, position};

pub use self::guard::{DEPTH_MAX, NESTING_MAX, NOTS_MAX};

mod rules {
    #[derive(pest_derive::Parser)]
    #[grammar = "jmespath.pest"]
    pub(super) struct Grammar;
}
use rules::{Grammar, Rule};

/// An expression.
#[derive(Debug, Clone)]
pub struct Ast {
    /// What it is.
    pub kind: Kind,
    /// Where it stands; empty for a `Current` that is not written.
    pub span: Span,
}

// Spans take no part in equality, so that trees compare by what they say.
impl PartialEq for Ast {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

/// What an expression is.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// `@`, or nothing where an expression starts with `[`, `*` or ends behind a projection.
    Current,
    /// A field of the current value.
    Field(Name),
    /// JSON between backticks: the text between them.
    Literal(String),
    /// A text between single quotes.
    Raw(String),
    /// `left.right`: the right side sees the left as its current value.
    Sub(Box<Ast>, Box<Ast>),
    /// `left | right`: the same, but it ends projections.
    Pipe(Box<Ast>, Box<Ast>),
    /// `of[at]`
    Index(Box<Ast>, i64),
    /// `of[start:stop:step]`
    Slice {
        /// The list.
        of: Box<Ast>,
        /// The first element.
        start: Option<i64>,
        /// Behind the last element.
        stop: Option<i64>,
        /// How many elements to go on each time.
        step: Option<i64>,
    },
    /// `of[]`
    Flatten(Box<Ast>),
    /// `of.*`
    Values(Box<Ast>),
    /// `of[?keep]`
    Filter(Box<Ast>, Box<Ast>),
    /// A list, and what becomes of each of its elements.
    Project(Box<Ast>, Box<Ast>),
    /// `[a, b]`
    List(Vec<Ast>),
    /// `{a: b}`
    Object(Vec<(Name, Ast)>),
    /// `a || b || c`
    Or(Vec<Ast>),
    /// `a && b && c`
    And(Vec<Ast>),
    /// `!of`
    Not(Box<Ast>),
    /// `left == right` and its like.
    Compare(Comparator, Box<Ast>, Box<Ast>),
    /// `name(arguments)`
    Call(Name, Vec<Ast>),
    /// `&of`, an argument that the function evaluates itself.
    Reference(Box<Ast>),
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparator {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Comparator {
    /// As it is written.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

/// A name and its place.
#[derive(Debug, Clone)]
pub struct Name {
    /// The name, quotes and escapes taken away.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// Parses an expression.
///
/// # Errors
/// [`SyntaxError`] for what is no JMESPath, and for what is nested too deep.
pub fn parse(text: &str) -> Result<Ast, SyntaxError> {
    crate::guard(text)?;
    guard::nesting(text)?;
    let pairs = Grammar::parse(Rule::jmespath, text).map_err(|error| unexpected(text, &error))?;
    let expression = pairs.flat_map(Pair::into_inner).find(|pair| pair.as_rule() == Rule::expression);
    let Some(expression) = expression else {
        return Err(SyntaxError { message: "an expression is missing".to_owned(), span: Span { start: 0, end: 0 } });
    };
    Ok(self::expression(expression)?.close())
}

static PRATT: LazyLock<PrattParser<Rule>> = LazyLock::new(|| {
    PrattParser::new()
        .op(Op::infix(Rule::pipe, Assoc::Left))
        .op(Op::infix(Rule::or, Assoc::Left))
        .op(Op::infix(Rule::and, Assoc::Left))
        .op(Op::infix(Rule::compare, Assoc::Left))
        .op(Op::postfix(Rule::flatten))
        .op(Op::postfix(Rule::filter))
        .op(Op::postfix(Rule::dot))
        .op(Op::prefix(Rule::not))
        .op(Op::postfix(Rule::bracket))
});

type Built = Result<Chain, SyntaxError>;

fn expression(pair: Pair<'_, Rule>) -> Built {
    PRATT
        .map_primary(primary)
        .map_prefix(|not, of| of?.not(Span::from(not.as_span())))
        .map_postfix(|of, pair| postfix(of?, pair))
        .map_infix(|left, pair, right| infix(left?, &pair, right?))
        .parse(pair.into_inner())
}

fn primary(pair: Pair<'_, Rule>) -> Built {
    let span = Span::from(pair.as_span());
    // A bracket or wildcard without anything before it is one of the current value.
    let before = Ast { kind: Kind::Current, span: Span { end: span.start, ..span } };
    match pair.as_rule() {
        Rule::leading => match pair.into_inner().next() {
            Some(inner) => postfix(Chain::of(before), inner),
            None => Ok(Chain::of(before)),
        },
        Rule::wildcard => Chain::of(before).values(span),
        Rule::paren => Ok(Chain::of(child(pair)?).spanned(span)),
        _ => operand(pair),
    }
}

/// An operand that may stand on its own and behind a dot.
fn operand(pair: Pair<'_, Rule>) -> Built {
    let span = Span::from(pair.as_span());
    let kind = match pair.as_rule() {
        Rule::current => Kind::Current,
        Rule::identifier | Rule::quoted => Kind::Field(name(&pair)?),
        Rule::literal => Kind::Literal(unquote(pair.as_str(), "\\`", "`")),
        Rule::raw => Kind::Raw(unquote(pair.as_str(), "\\'", "'")),
        Rule::list => Kind::List(children(pair.into_inner())?),
        Rule::hash => Kind::Object(pair.into_inner().map(field).collect::<Result<_, _>>()?),
        Rule::call => call(pair)?,
        _ => Kind::Current,
    };
    Chain::node(kind, span)
}

fn field(pair: Pair<'_, Rule>) -> Result<(Name, Ast), SyntaxError> {
    let span = Span::from(pair.as_span());
    let mut inner = pair.into_inner();
    match (inner.next(), inner.next()) {
        (Some(key), Some(value)) => Ok((name(&key)?, expression(value)?.close())),
        _ => Err(SyntaxError { message: "a field is written `name: expression`".to_owned(), span }),
    }
}

fn call(pair: Pair<'_, Rule>) -> Result<Kind, SyntaxError> {
    let mut inner = pair.into_inner();
    let function = inner.next().map_or_else(
        || Name { text: String::new(), span: Span { start: 0, end: 0 } },
        |name| Name { text: name.as_str().trim_end().to_owned(), span: trimmed(&name) },
    );
    Ok(Kind::Call(function, children(inner)?))
}

fn children(pairs: Pairs<'_, Rule>) -> Result<Vec<Ast>, SyntaxError> {
    let one = |pair: Pair<'_, Rule>| match pair.as_rule() {
        Rule::reference => {
            let span = Span::from(pair.as_span());
            Ok(Chain::node(Kind::Reference(Box::new(child(pair)?)), span)?.close())
        }
        _ => Ok(expression(pair)?.close()),
    };
    pairs.map(one).collect()
}

/// The expression inside a pair that holds one.
fn child(pair: Pair<'_, Rule>) -> Result<Ast, SyntaxError> {
    let span = Span::from(pair.as_span());
    match pair.into_inner().next() {
        Some(inner) => Ok(expression(inner)?.close()),
        None => Err(SyntaxError { message: "an expression is missing".to_owned(), span }),
    }
}

fn postfix(of: Chain, pair: Pair<'_, Rule>) -> Built {
    let span = Span::from(pair.as_span());
    match pair.as_rule() {
        Rule::flatten => of.flatten(span),
        Rule::filter => of.filter(child(pair)?, span),
        _ => match pair.into_inner().next() {
            Some(inner) => match inner.as_rule() {
                Rule::star => of.elements(span),
                Rule::wildcard => of.values(span),
                Rule::index => of.index(number(inner.as_str(), span)?, span),
                Rule::slice => slice(of, inner, span),
                _ => of.sub(operand(inner)?.close()),
            },
            None => Ok(of),
        },
    }
}

fn slice(of: Chain, pair: Pair<'_, Rule>, span: Span) -> Built {
    let (mut start, mut stop, mut step) = (None, None, None);
    for bound in pair.into_inner() {
        let value = Some(number(bound.as_str(), Span::from(bound.as_span()))?);
        match bound.as_rule() {
            Rule::start => start = value,
            Rule::stop => stop = value,
            _ => step = value,
        }
    }
    of.slice((start, stop, step), span)
}

fn infix(left: Chain, pair: &Pair<'_, Rule>, right: Chain) -> Built {
    let op = match pair.as_rule() {
        Rule::pipe => return Chain::pipe(left, right),
        Rule::or => return Chain::or(left, right),
        Rule::and => return Chain::and(left, right),
        _ => pair.as_str(),
    };
    let op = match op {
        "==" => Comparator::Equal,
        "!=" => Comparator::NotEqual,
        "<" => Comparator::Less,
        "<=" => Comparator::LessOrEqual,
        ">" => Comparator::Greater,
        _ => Comparator::GreaterOrEqual,
    };
    Chain::compare(op, left, right)
}

fn number(text: &str, span: Span) -> Result<i64, SyntaxError> {
    let message = || "this number is beyond 64 bits".to_owned();
    text.trim().parse().map_err(|_| SyntaxError { message: message(), span })
}

fn name(pair: &Pair<'_, Rule>) -> Result<Name, SyntaxError> {
    let span = Span::from(pair.as_span());
    if pair.as_rule() != Rule::quoted {
        return Ok(Name { text: pair.as_str().to_owned(), span });
    }
    match serde_json::from_str(pair.as_str()) {
        Ok(text) => Ok(Name { text, span }),
        Err(_) => {
            let message = "a name in double quotes is written as a JSON string: an escape in it is none";
            Err(SyntaxError { message: message.to_owned(), span })
        }
    }
}

/// The place of a pair without the spaces behind it.
fn trimmed(pair: &Pair<'_, Rule>) -> Span {
    let span = Span::from(pair.as_span());
    Span { end: span.start + pair.as_str().trim_end().len(), ..span }
}

fn unquote(text: &str, escaped: &str, quote: &str) -> String {
    let inner = text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote)).unwrap_or(text);
    inner.replace(escaped, quote)
}

/// A syntax error in words: what stands there, and what could.
fn unexpected(text: &str, error: &pest::error::Error<Rule>) -> SyntaxError {
    let at = position(error).start;
    let rest = text.get(at..).unwrap_or_default();
    // Behind a bracket that is never closed, pest points to its content.
    let only_bounds = rest.chars().all(|char| char.is_ascii_digit() || " -:".contains(char));
    if let Some((opening, _)) = guard::unclosed(text).filter(|_| only_bounds) {
        let message = format!("the expression ends before `{opening}` is closed");
        return SyntaxError { message, span: Span { start: text.len(), end: text.len() } };
    }
    let message = match rest.chars().next() {
        _ if text.trim().is_empty() => "the expression is empty".to_owned(),
        None => "the expression ends where a value is wanted".to_owned(),
        Some(quote @ ('"' | '\'' | '`')) if guard::is_unclosed_quote(rest) => {
            format!("the closing `{quote}` is missing")
        }
        Some('=') if !rest.starts_with("==") => "one `=` compares nothing: write `==`".to_owned(),
        Some(found) => format!("`{found}` cannot stand here"),
    };
    let end = at + rest.chars().next().map_or(0, char::len_utf8);
    SyntaxError { message, span: Span { start: at, end } }
}

impl fmt::Display for Ast {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        print::ast(self, out)
    }
}

#[cfg(test)]
mod tests;
