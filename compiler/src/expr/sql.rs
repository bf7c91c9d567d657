//! SQL expressions into the IR: parsed by sqlparser with SQLite's grammar, names bound by the scope, affinities and
//! collations settled as SQLite settles them (`expr.c`).
//!
//! | part | what it does |
//! |---|---|
//! | `dialect` | SQLite's tokens and precedence for sqlparser |
//! | `place` | sqlparser's lines and columns as bytes of the text |
//! | `lower` | the tree into the IR |
//! | `call` | functions: which one, how many arguments, what is no function of one record |
//! | `compare` | affinity and collation of comparisons, and what is odd about them |

mod call;
mod compare;
mod dialect;
mod lower;
mod place;

use redis_wb_plan::Expr;
use redis_wb_plan::sql::SqlOp;
use redis_wb_plan::sql::function::Family;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

use super::{Language, Scope, Text, foreign};
use crate::codes::Code;
use crate::{Diagnostic, Diagnostics};
use dialect::SqliteExpressions;
use place::Places;

/// The longest expression, in bytes.
pub const EXPRESSION_BYTES_MAX: usize = 64 * 1024;
/// The most operators of an expression: a chain of them is as deep as it is long.
pub const EXPRESSION_OPERATORS_MAX: usize = 256;
/// The most levels of parentheses and the like.
pub const EXPRESSION_LEVELS_MAX: usize = 64;

/// Where what SQLite does and what is safe differ, which of the two is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Manner {
    /// A text compared with a number is read as one, a cast that loses something rejects.
    #[default]
    Safe,
    /// Exactly as SQLite, for comparison with it.
    Exact,
}

/// Compiles an expression. `None` where there is an error, which is reported.
pub(super) fn compile(text: &Text<'_>, scope: &dyn Scope, diagnostics: &mut Diagnostics) -> Option<Expr> {
    compile_as(Manner::Safe, text, scope, diagnostics)
}

/// Compiles an expression in one manner or the other.
pub fn compile_as(manner: Manner, text: &Text<'_>, scope: &dyn Scope, diagnostics: &mut Diagnostics) -> Option<Expr> {
    let places = Places::new(text.text);
    let ast = match parse(text.text) {
        Ok(ast) => ast,
        Err(failure) => {
            let (start, end) = match failure.at {
                Some(location) => places.token(location),
                None => (0, text.text.len()),
            };
            let diagnostic = Diagnostic::new(Code::E0103, (text.place)(start, end), failure.message, "here");
            let help = foreign::help(text.text, Language::Sql).filter(|_| failure.help == SYNTAX_HELP);
            diagnostics.report(diagnostic.help(failure.help).maybe_help(help));
            return None;
        }
    };
    let expr = lower::Lowering { text: *text, places, scope, diagnostics, manner }.expression(&ast)?;
    Some(if may_make_json(&expr) { Expr::sql(SqlOp::Plain, vec![expr]) } else { expr })
}

/// Whether the result can be JSON that a function made. Within an expression that matters, `json_array(json(x))` holds
/// what `x` holds; its result is text, as it is for SQLite.
fn may_make_json(expr: &Expr) -> bool {
    let Expr::Sql { op, args, .. } = expr else { return false };
    match op {
        SqlOp::Arrow => true,
        SqlOp::Call(function) => function.definition().family == Family::Json,
        SqlOp::Case | SqlOp::CaseOf(_) | SqlOp::Coalesce | SqlOp::NullIf(_) | SqlOp::Min(_) | SqlOp::Max(_) => {
            args.iter().any(may_make_json)
        }
        SqlOp::Cast { .. } => args.iter().any(may_make_json),
        _ => false,
    }
}

/// Whether a text is an expression.
pub(super) fn parses(text: &str) -> bool {
    parse(text).is_ok()
}

/// Why a text does not parse.
struct Failure {
    message: String,
    at: Option<Location>,
    help: &'static str,
}

const SYNTAX_HELP: &str = "an SQL expression is what stands between SELECT and FROM in SQLite: \
                           https://www.sqlite.org/lang_expr.html";
const SIZE_HELP: &str = "take it apart: let one field hold what another one uses";

impl Failure {
    fn too_large(message: String) -> Self {
        Self { message, at: None, help: SIZE_HELP }
    }
}

fn parse(text: &str) -> Result<sqlparser::ast::Expr, Failure> {
    if text.len() > EXPRESSION_BYTES_MAX {
        return Err(Failure::too_large(format!("the expression is longer than {EXPRESSION_BYTES_MAX} bytes")));
    }
    let tokens = Tokenizer::new(&SqliteExpressions, text).tokenize_with_location().map_err(|error| Failure {
        message: lowered(&error.message),
        at: Some(error.location),
        help: SYNTAX_HELP,
    })?;
    let tokens: Vec<TokenWithSpan> =
        tokens.into_iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).collect();
    if tokens.iter().filter(|token| dialect::is_operator(&token.token)).count() > EXPRESSION_OPERATORS_MAX {
        let message = format!("the expression has more than {EXPRESSION_OPERATORS_MAX} operators");
        return Err(Failure::too_large(message));
    }
    let mut parser =
        Parser::new(&SqliteExpressions).with_recursion_limit(EXPRESSION_LEVELS_MAX).with_tokens_with_locations(tokens);
    let ast = parser.parse_expr().map_err(failure)?;
    let rest = parser.next_token();
    if rest.token == Token::EOF {
        return Ok(ast);
    }
    let message = format!("`{}` does not belong to the expression", rest.token);
    Err(Failure { message, at: Some(rest.span.start), help: SYNTAX_HELP })
}

fn failure(error: ParserError) -> Failure {
    let message = match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => message,
        ParserError::RecursionLimitExceeded => {
            return Failure::too_large(format!("the expression nests deeper than {EXPRESSION_LEVELS_MAX} levels"));
        }
    };
    let (message, at) = place::located(&message);
    match message.strip_suffix(", found: EOF") {
        // Behind the last character, where something is missing.
        Some(message) => Failure {
            message: lowered(&format!("{message}, but the expression ends here")),
            at: Some(Location::new(0, 0)),
            help: SYNTAX_HELP,
        },
        None => Failure { message: lowered(message), at, help: SYNTAX_HELP },
    }
}

/// A message of sqlparser as ours begin.
fn lowered(message: &str) -> String {
    let mut chars = message.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}
