//! What stands behind a key in more than one part of a job: paths, expressions, columns.

use redis_wb_grammar::{SyntaxError, path};
use redis_wb_plan::Type;

use super::mapping::{Context, Mapping};
use crate::Diagnostic;
use crate::ast::{Expression, From, Mapping as Column, Path};
use crate::codes::Code;
use crate::expr::Language;
use crate::source::{Span, Spanned};
use crate::yaml::{Node, Value};

/// Reports a text that does not parse.
pub(super) fn syntax(context: &mut Context<'_>, node: &Node, code: Code, error: &SyntaxError, help: &str) {
    let span = node.part_span(context.files, error.span.start, error.span.end);
    context.report(Diagnostic::new(code, span, error.message.clone(), "here").help(help));
}

/// The path of a field.
pub(super) fn parse_path(context: &mut Context<'_>, node: &Node) -> Option<Path> {
    let text = context.text(node, "path")?;
    parsed_path(context, node, text)
}

/// A path of which only the text and its place are known, such as the key of a mapping.
pub(super) fn parsed_path(context: &mut Context<'_>, node: &Node, text: Spanned<String>) -> Option<Path> {
    match path::parse(&text.value) {
        Ok(names) => {
            Some(Path { names: names.into_iter().map(|name| name.text).collect(), text: text.value, span: text.span })
        }
        Err(error) => {
            let help = "for example `address.city`, or `zip\\.code` for a dot in a name";
            syntax(context, node, Code::E0101, &error, help);
            None
        }
    }
}

/// `{expression, language}` where nothing else may stand.
pub(super) fn expression(context: &mut Context<'_>, key: Span, node: &Node) -> Option<Expression> {
    let mut map = Mapping::open(context, node, "expression", key)?;
    let expression = expression_of(context, &mut map);
    map.finish(context);
    expression
}

/// The keys `expression` and `language` of a block.
pub(super) fn expression_of(context: &mut Context<'_>, map: &mut Mapping<'_>) -> Option<Expression> {
    let text = map.required(context, "expression", "expression: upper(name)");
    let language = language(context, map);
    let (_, node) = text?;
    expression_text(context, node, language)
}

/// The key `language` of a block.
pub(super) fn language(context: &mut Context<'_>, map: &mut Mapping<'_>) -> Option<Language> {
    let (_, node) = map.required(context, "language", "language: jmespath")?;
    context.word(node, "language", &Language::NAMED)
}

/// A text that is an expression, where its language is known.
pub(super) fn expression_text(
    context: &mut Context<'_>,
    node: &Node,
    language: Option<Language>,
) -> Option<Expression> {
    let text = context.text(node, "expression");
    let (text, language) = (text?, language?);
    Some(Expression { text: text.value, language, span: text.span, node: node.clone(), offset: 0 })
}

/// The columns of `keys` or `mapping`.
pub(super) fn columns(context: &mut Context<'_>, node: &Node, what: &'static str) -> Vec<Column> {
    let items = context.list(node, what).iter();
    items.filter_map(|item| column(context, item, what)).collect()
}

/// `column`, `{column: path}`, `{column: {expression, language}}`; the longest forms may have a `type`.
fn column(context: &mut Context<'_>, node: &Node, what: &'static str) -> Option<Column> {
    match &node.value {
        Value::Map(entries) => match entries.as_slice() {
            [(column, value)] if value.text().is_some() => {
                let from = From::Path(parse_path(context, value)?);
                Some(Column { column: column.clone(), kind: None, from })
            }
            [(column, value)] if matches!(&value.value, Value::Map(_)) => typed_column(context, column, value),
            [(_, value)] => {
                context.wrong_shape(value, what, "the path of a field, or `expression` and `language`");
                None
            }
            _ => {
                context.wrong_shape(node, what, "a list whose items are `column` or `column: path`");
                None
            }
        },
        _ => {
            let column = context.text(node, what)?;
            Some(Column { column, kind: None, from: From::Path(parse_path(context, node)?) })
        }
    }
}

/// `{expression, language, type}` or `{field, type}`; without either the field has the column's name.
fn typed_column(context: &mut Context<'_>, column: &Spanned<String>, node: &Node) -> Option<Column> {
    let words = Type::NAMED.map(|kind| (kind.name(), kind));
    let mut map = Mapping::open(context, node, "column", column.span)?;
    let kind = map.optional("type").and_then(|(_, node)| {
        let value = context.word(node, "type", &words)?;
        Some(Spanned { value, span: node.text_span(context.files) })
    });
    let field = map.optional("field");
    let has_expression = map.has("expression") || map.has("language");
    let from = match field {
        Some((_, node)) => parse_path(context, node).map(From::Path),
        None if has_expression || kind.is_none() => expression_of(context, &mut map).map(From::Expression),
        None => parsed_path(context, node, column.clone()).map(From::Path),
    };
    map.finish(context);
    Some(Column { column: column.clone(), kind, from: from? })
}
