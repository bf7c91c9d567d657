//! The grammar of SQLite's expressions for sqlparser: which tokens begin an expression, how tightly each operator binds
//! (<https://www.sqlite.org/lang_expr.html#operators_and_parse_affecting_attributes>, `parse.y`), and nothing of other
//! dialects. Names and functions are not known here.

use std::any::TypeId;

use sqlparser::ast::{
    BinaryOperator, CastKind, DataType, Expr, Ident, ObjectName, UnaryOperator, Value, ValueWithSpan,
};
use sqlparser::dialect::{Dialect, Precedence, SQLiteDialect};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

/// How tightly operators bind, loosest first.
mod binds {
    pub(super) const NOTHING: u8 = 0;
    pub(super) const OR: u8 = 10;
    pub(super) const AND: u8 = 20;
    pub(super) const NOT: u8 = 30;
    /// `=` `==` `<>` `!=` `IS` `IN` `LIKE` `GLOB` `MATCH` `REGEXP` `BETWEEN` `ISNULL` `NOTNULL`
    pub(super) const EQUALITY: u8 = 40;
    /// `<` `<=` `>` `>=`
    pub(super) const ORDER: u8 = 50;
    /// `&` `|` `<<` `>>`
    pub(super) const BITS: u8 = 60;
    /// `+` `-`
    pub(super) const SUM: u8 = 70;
    /// `*` `/` `%`
    pub(super) const PRODUCT: u8 = 80;
    /// `||` `->` `->>`
    pub(super) const CONCAT: u8 = 90;
    pub(super) const COLLATE: u8 = 100;
    /// `-` `+` `~` before an operand.
    pub(super) const UNARY: u8 = 110;
}

type Parsed = Result<Expr, ParserError>;

/// SQLite's expressions.
#[derive(Debug, Clone, Copy)]
pub(super) struct SqliteExpressions;

impl Dialect for SqliteExpressions {
    // Within sqlparser, what SQLite's tokens are depends on this.
    fn dialect(&self) -> TypeId {
        TypeId::of::<SQLiteDialect>()
    }

    fn is_delimited_identifier_start(&self, char: char) -> bool {
        SQLiteDialect {}.is_delimited_identifier_start(char)
    }

    fn is_identifier_start(&self, char: char) -> bool {
        SQLiteDialect {}.is_identifier_start(char)
    }

    fn is_identifier_part(&self, char: char) -> bool {
        SQLiteDialect {}.is_identifier_part(char)
    }

    fn supports_numeric_literal_underscores(&self) -> bool {
        true
    }

    fn supports_non_decimal_integer_literals(&self) -> bool {
        true
    }

    fn supports_national_string_literal(&self) -> bool {
        false
    }

    fn supports_dollar_placeholder(&self) -> bool {
        true
    }

    fn supports_bitwise_shift_operators(&self) -> bool {
        true
    }

    fn supports_unterminated_block_comments(&self) -> bool {
        true
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn supports_aggregate_order_by_with_empty_args(&self) -> bool {
        true
    }

    fn parse_prefix(&self, parser: &mut Parser) -> Option<Parsed> {
        prefix(parser)
    }

    fn parse_infix(&self, parser: &mut Parser, left: &Expr, _: u8) -> Option<Parsed> {
        infix(parser, left)
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        Some(Ok(precedence(&parser.peek_token_ref().token)))
    }

    fn prec_value(&self, precedence: Precedence) -> u8 {
        match precedence {
            Precedence::Or => binds::OR,
            Precedence::And => binds::AND,
            Precedence::UnaryNot => binds::NOT,
            _ => binds::EQUALITY,
        }
    }

    fn prec_unknown(&self) -> u8 {
        binds::NOTHING
    }
}

/// What begins an expression; `None` leaves it to sqlparser: subqueries, and everything that is an error.
fn prefix(parser: &mut Parser) -> Option<Parsed> {
    let next = parser.peek_token();
    match &next.token {
        Token::Number(..) | Token::SingleQuotedString(_) | Token::HexStringLiteral(_) | Token::Placeholder(_) => {
            Some(literal(parser))
        }
        Token::Minus => Some(unary(parser, UnaryOperator::Minus)),
        Token::Plus => Some(unary(parser, UnaryOperator::Plus)),
        Token::Tilde => Some(unary(parser, UnaryOperator::BitwiseNot)),
        Token::LParen => parenthesis(parser),
        Token::Word(word) => match word.keyword {
            _ if word.quote_style.is_some() => Some(column(parser)),
            _ if is_isnull(word) => Some(expected(parser, "an expression", &next)),
            Keyword::NULL | Keyword::TRUE | Keyword::FALSE => Some(literal(parser)),
            Keyword::NOT if follows(parser, Keyword::EXISTS) => None,
            Keyword::NOT => Some(not(parser)),
            Keyword::CASE => {
                parser.next_token();
                Some(parser.parse_case_expr())
            }
            Keyword::CAST if is_call(parser) => Some(cast(parser)),
            Keyword::EXISTS if is_call(parser) => None,
            // Words that are no names in SQLite.
            Keyword::AND
            | Keyword::OR
            | Keyword::WHEN
            | Keyword::THEN
            | Keyword::ELSE
            | Keyword::IN
            | Keyword::IS
            | Keyword::BETWEEN
            | Keyword::SELECT
            | Keyword::FROM
            | Keyword::WHERE
            | Keyword::COLLATE
            | Keyword::NOTNULL
            | Keyword::ESCAPE => Some(expected(parser, "an expression", &next)),
            _ if is_call(parser) => {
                parser.next_token();
                let name = ObjectName::from(vec![word.clone().into_ident(next.span)]);
                Some(parser.parse_function(name))
            }
            _ => Some(column(parser)),
        },
        _ => Some(expected(parser, "an expression", &next)),
    }
}

fn expected<T>(parser: &Parser, what: &str, found: &TokenWithSpan) -> Result<T, ParserError> {
    parser.expected(what, found.clone())
}

fn is_call(parser: &Parser) -> bool {
    parser.peek_nth_token_ref(1).token == Token::LParen
}

fn is_word(token: &Token, keyword: Keyword) -> bool {
    matches!(token, Token::Word(word) if word.keyword == keyword && word.quote_style.is_none())
}

/// `ISNULL`, which sqlparser has no keyword for.
fn is_isnull(word: &Word) -> bool {
    word.quote_style.is_none() && word.value.eq_ignore_ascii_case("isnull")
}

fn follows(parser: &Parser, keyword: Keyword) -> bool {
    is_word(&parser.peek_nth_token_ref(1).token, keyword)
}

fn literal(parser: &mut Parser) -> Parsed {
    let token = parser.next_token();
    let value = match token.token {
        Token::Number(digits, _) => Value::Number(digits, false),
        Token::SingleQuotedString(text) => Value::SingleQuotedString(text),
        Token::HexStringLiteral(digits) => Value::HexStringLiteral(digits),
        Token::Placeholder(name) => Value::Placeholder(name),
        Token::Word(word) if word.keyword == Keyword::TRUE => Value::Boolean(true),
        Token::Word(word) if word.keyword == Keyword::FALSE => Value::Boolean(false),
        _ => Value::Null,
    };
    Ok(Expr::Value(ValueWithSpan { value, span: token.span }))
}

fn unary(parser: &mut Parser, op: UnaryOperator) -> Parsed {
    parser.next_token();
    Ok(Expr::UnaryOp { op, expr: Box::new(parser.parse_subexpr(binds::UNARY)?) })
}

fn not(parser: &mut Parser) -> Parsed {
    parser.next_token();
    Ok(Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(parser.parse_subexpr(binds::NOT)?) })
}

/// An expression in parentheses, or several: a row value, which is refused later.
fn parenthesis(parser: &mut Parser) -> Option<Parsed> {
    let inside = &parser.peek_nth_token_ref(1).token;
    if [Keyword::SELECT, Keyword::WITH, Keyword::VALUES].iter().any(|keyword| is_word(inside, *keyword)) {
        return None;
    }
    parser.next_token();
    Some(parenthesized(parser))
}

fn parenthesized(parser: &mut Parser) -> Parsed {
    let mut items = parser.parse_comma_separated(Parser::parse_expr)?;
    parser.expect_token(&Token::RParen)?;
    match items.len() {
        1 => Ok(Expr::Nested(Box::new(items.swap_remove(0)))),
        _ => Ok(Expr::Tuple(items)),
    }
}

/// A field, its names joined by dots.
fn column(parser: &mut Parser) -> Parsed {
    let mut names = vec![name(parser)?];
    while parser.consume_token(&Token::Period) {
        names.push(name(parser)?);
    }
    Ok(Expr::CompoundIdentifier(names))
}

fn name(parser: &mut Parser) -> Result<Ident, ParserError> {
    let token = parser.next_token();
    match token.token {
        Token::Word(word) => Ok(word.into_ident(token.span)),
        _ => expected(parser, "a field's name", &token),
    }
}

/// `CAST(x AS type)`: the type is any words, with numbers in parentheses behind them.
fn cast(parser: &mut Parser) -> Parsed {
    parser.next_token();
    parser.expect_token(&Token::LParen)?;
    let expr = parser.parse_expr()?;
    parser.expect_keyword(Keyword::AS)?;
    let mut words = Vec::new();
    loop {
        let token = parser.next_token();
        match &token.token {
            Token::RParen => break,
            Token::Word(word) => words.push(word.clone().into_ident(token.span)),
            Token::LParen if !words.is_empty() => sizes(parser)?,
            _ => return expected(parser, "the name of a type", &token),
        }
    }
    let data_type = DataType::Custom(ObjectName::from(words), Vec::new());
    Ok(Expr::Cast { kind: CastKind::Cast, expr: Box::new(expr), data_type, format: None })
}

/// `10)` or `10, 2)`: SQLite reads the sizes of a type and does nothing with them.
fn sizes(parser: &mut Parser) -> Result<(), ParserError> {
    loop {
        if !parser.consume_token(&Token::Minus) {
            let _ = parser.consume_token(&Token::Plus);
        }
        let token = parser.next_token();
        if !matches!(token.token, Token::Number(..)) {
            return expected(parser, "a number", &token);
        }
        if !parser.consume_token(&Token::Comma) {
            return parser.expect_token(&Token::RParen).map(|_| ());
        }
    }
}

/// How tightly a token binds what stands before it.
fn precedence(token: &Token) -> u8 {
    match token {
        Token::Eq | Token::DoubleEq | Token::Neq => binds::EQUALITY,
        Token::Lt | Token::LtEq | Token::Gt | Token::GtEq => binds::ORDER,
        Token::Ampersand | Token::Pipe | Token::ShiftLeft | Token::ShiftRight => binds::BITS,
        Token::Plus | Token::Minus => binds::SUM,
        Token::Mul | Token::Div | Token::Mod => binds::PRODUCT,
        Token::StringConcat | Token::Arrow | Token::LongArrow => binds::CONCAT,
        Token::Word(word) if word.quote_style.is_none() => match word.keyword {
            Keyword::OR => binds::OR,
            Keyword::AND => binds::AND,
            Keyword::COLLATE => binds::COLLATE,
            Keyword::IS
            | Keyword::IN
            | Keyword::LIKE
            | Keyword::GLOB
            | Keyword::MATCH
            | Keyword::REGEXP
            | Keyword::BETWEEN
            | Keyword::NOTNULL
            | Keyword::NOT => binds::EQUALITY,
            _ if is_isnull(word) => binds::EQUALITY,
            _ => binds::NOTHING,
        },
        _ => binds::NOTHING,
    }
}

/// The operators that are words. Signs are left to sqlparser, which need not copy the left side for them.
fn infix(parser: &mut Parser, left: &Expr) -> Option<Parsed> {
    let token = parser.peek_token();
    let Token::Word(word) = &token.token else { return None };
    if matches!(word.keyword, Keyword::AND | Keyword::OR) {
        return None;
    }
    parser.next_token();
    let left = left.clone();
    Some(if is_isnull(word) {
        Ok(Expr::IsNull(Box::new(left)))
    } else {
        word_infix(parser, left, word.keyword, &token)
    })
}

/// Whether a token stands between operands, or behind one.
pub(super) fn is_operator(token: &Token) -> bool {
    match token {
        Token::Word(word) => precedence(token) > binds::NOTHING || word.keyword == Keyword::ESCAPE,
        other => precedence(other) > binds::NOTHING,
    }
}

fn binary(parser: &mut Parser, left: Expr, op: BinaryOperator, precedence: u8) -> Parsed {
    let right = parser.parse_subexpr(precedence)?;
    Ok(Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) })
}

fn word_infix(parser: &mut Parser, left: Expr, keyword: Keyword, token: &TokenWithSpan) -> Parsed {
    match keyword {
        Keyword::COLLATE => {
            let collation = ObjectName::from(vec![name(parser)?]);
            Ok(Expr::Collate { expr: Box::new(left), collation })
        }
        Keyword::NOTNULL => Ok(Expr::IsNotNull(Box::new(left))),
        Keyword::IS => is(parser, left),
        Keyword::NOT => {
            let negated = parser.next_token();
            match &negated.token {
                Token::Word(word) if word.keyword == Keyword::NULL => Ok(Expr::IsNotNull(Box::new(left))),
                Token::Word(word) => match_operator(parser, left, true, word.keyword, &negated),
                _ => expected(parser, "IN, LIKE, GLOB or BETWEEN", &negated),
            }
        }
        other => match_operator(parser, left, false, other, token),
    }
}

/// `IS`, `IS NOT`, `IS [NOT] DISTINCT FROM`.
fn is(parser: &mut Parser, left: Expr) -> Parsed {
    let negated = parser.parse_keyword(Keyword::NOT);
    let distinct = parser.parse_keywords(&[Keyword::DISTINCT, Keyword::FROM]);
    let (left, right) = (Box::new(left), Box::new(parser.parse_subexpr(binds::EQUALITY)?));
    if negated == distinct { Ok(Expr::IsNotDistinctFrom(left, right)) } else { Ok(Expr::IsDistinctFrom(left, right)) }
}

/// `[NOT] IN`, `LIKE`, `GLOB`, `REGEXP`, `MATCH`, `BETWEEN`.
fn match_operator(parser: &mut Parser, left: Expr, negated: bool, keyword: Keyword, token: &TokenWithSpan) -> Parsed {
    let op = match keyword {
        Keyword::IN => return is_in(parser, left, negated),
        Keyword::LIKE => return like(parser, left, negated),
        Keyword::BETWEEN => return between(parser, left, negated),
        Keyword::GLOB => BinaryOperator::Glob,
        Keyword::REGEXP => BinaryOperator::Regexp,
        Keyword::MATCH => BinaryOperator::Match,
        _ => return expected(parser, "IN, LIKE, GLOB or BETWEEN", token),
    };
    let expr = binary(parser, left, op, binds::EQUALITY)?;
    Ok(if negated { Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(expr) } } else { expr })
}

fn is_in(parser: &mut Parser, left: Expr, negated: bool) -> Parsed {
    parser.expect_token(&Token::LParen)?;
    let inside = parser.peek_token();
    let expr = Box::new(left);
    if [Keyword::SELECT, Keyword::WITH, Keyword::VALUES].iter().any(|keyword| is_word(&inside.token, *keyword)) {
        let subquery = parser.parse_query()?;
        parser.expect_token(&Token::RParen)?;
        let target = sqlparser::ast::InTarget::Subquery(subquery);
        return Ok(Expr::In { expr, target, negated, global: false });
    }
    let list =
        if inside.token == Token::RParen { Vec::new() } else { parser.parse_comma_separated(Parser::parse_expr)? };
    parser.expect_token(&Token::RParen)?;
    Ok(Expr::In { expr, target: sqlparser::ast::InTarget::List(list), negated, global: false })
}

fn like(parser: &mut Parser, left: Expr, negated: bool) -> Parsed {
    let pattern = Box::new(parser.parse_subexpr(binds::EQUALITY)?);
    let escape = if parser.parse_keyword(Keyword::ESCAPE) {
        Some(Box::new(parser.parse_subexpr(binds::EQUALITY)?))
    } else {
        None
    };
    Ok(Expr::Like { negated, any: false, expr: Box::new(left), pattern, escape_char: escape })
}

/// The lower bound ends at `AND`, whatever stands in it.
fn between(parser: &mut Parser, left: Expr, negated: bool) -> Parsed {
    let low = Box::new(parser.parse_subexpr(binds::AND)?);
    parser.expect_keyword(Keyword::AND)?;
    let high = Box::new(parser.parse_subexpr(binds::EQUALITY)?);
    Ok(Expr::Between { expr: Box::new(left), negated, low, high })
}
