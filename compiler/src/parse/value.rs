//! What stands behind a key in more than one part of a job: paths, expressions, columns.

use redis_wb_grammar::{SyntaxError, path};
use redis_wb_plan::Type;

use super::mapping::{Context, Mapping};
use super::shape;
use crate::Diagnostic;
use crate::ast::{Expression, From, Mapping as Column, Path};
use crate::codes::Code;
use crate::expr::Language;
use crate::source::{Span, Spanned};
use crate::suggest::{did_you_mean, meant};
use crate::yaml::{Node, Value};

/// What types are called elsewhere.
const OTHER_NAMES: [(&str, Type); 27] = [
    ("integer", Type::Int),
    ("bigint", Type::Int),
    ("smallint", Type::Int),
    ("long", Type::Int),
    ("number", Type::Decimal),
    ("numeric", Type::Decimal),
    ("double", Type::Float),
    ("real", Type::Float),
    ("boolean", Type::Bool),
    ("string", Type::Text),
    ("str", Type::Text),
    ("varchar", Type::Text),
    ("char", Type::Text),
    ("datetime", Type::Timestamp),
    ("jsonb", Type::Json),
    ("blob", Type::Bytes),
    ("bytea", Type::Bytes),
    ("binary", Type::Bytes),
    ("money", Type::Decimal),
    ("dec", Type::Decimal),
    ("double precision", Type::Float),
    ("character varying", Type::Text),
    ("nvarchar", Type::Text),
    ("varchar2", Type::Text),
    ("clob", Type::Text),
    ("timestamp with time zone", Type::TimestampTz),
    ("timestamp without time zone", Type::Timestamp),
];

/// Reports a word that is no type.
pub(super) fn no_type(context: &mut Context<'_>, word: &str, span: Span) {
    // Sizes are the table's: `varchar(40)`.
    let lower = word.split('(').next().unwrap_or_default().trim().to_ascii_lowercase();
    let other = OTHER_NAMES.iter().find(|(name, _)| *name == lower).map(|(_, kind)| meant(kind.name()));
    let help = other.or_else(|| did_you_mean(word, Type::NAMED.map(Type::name)));
    let diagnostic = Diagnostic::new(Code::E0005, span, format!("there is no type `{word}`"), "not a type");
    context.report(diagnostic.maybe_help(help));
}

/// The name of a type.
pub(super) fn type_name(context: &mut Context<'_>, node: &Node) -> Option<Spanned<Type>> {
    let text = context.text(node, "type")?;
    let found = Type::NAMED.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(&text.value));
    if found.is_none() {
        no_type(context, &text.value, text.span);
    }
    Some(Spanned { value: found?, span: text.span })
}

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
            let help =
                "write one dot between two names, `address.city`, and `zip\\.code` for a dot that belongs to a name";
            syntax(context, node, Code::E0101, &error, help);
            None
        }
    }
}

/// `{expression, language}` where nothing else may stand.
pub(super) fn expression(context: &mut Context<'_>, key: Span, node: &Node) -> Option<Expression> {
    if let Some(text) = node.text().filter(|text| !text.is_empty()) {
        let diagnostic =
            Diagnostic::new(Code::E0004, node.span, "an expression needs its language, too", "this is a text");
        let language = language_of(text).unwrap_or("jmespath");
        context.report(diagnostic.help(format!("write below the key:\nexpression: {text}\nlanguage: {language}")));
        return None;
    }
    let mut map = Mapping::open(context, node, "expression", key)?;
    let expression = expression_of(context, &mut map);
    map.finish(context);
    expression
}

/// The keys `expression` and `language` of a block.
pub(super) fn expression_of(context: &mut Context<'_>, map: &mut Mapping<'_>) -> Option<Expression> {
    let text = map.required("expression", "expression: upper(name)");
    let language = language(context, map);
    let (_, node) = text?;
    expression_text(context, node, language)
}

/// The key `language` of a block.
pub(super) fn language(context: &mut Context<'_>, map: &mut Mapping<'_>) -> Option<Language> {
    let (_, node) = map.required("language", "language: jmespath")?;
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
                is_a_name(context, column, value)?;
                let from = From::Path(parse_path(context, value)?);
                Some(Column { column: column.clone(), kind: None, from })
            }
            [(column, value)] if matches!(&value.value, Value::Map(_)) => typed_column(context, column, value),
            [(_, value)] => {
                context.wrong_shape(value, what, "the path of a field, or `expression` and `language`");
                None
            }
            [(first, _), ..] => {
                let message = format!("an item of `{what}` is one column, and this one has {}", entries.len());
                let diagnostic = Diagnostic::new(Code::E0004, node.span, message, "several columns");
                let help = format!("write each as an item of its own, the first as `- {}: …`", first.value);
                context.report(diagnostic.help(help));
                None
            }
            [] => {
                context.wrong_shape(node, what, "a list whose items are `column` or `column: path`");
                None
            }
        },
        _ => {
            let column = context.text(node, what)?;
            let is_plain = node.text_span(context.files).start == node.span.start;
            if let Some((name, path)) = shape::joined(&column.value).filter(|_| is_plain) {
                let message = "a space is missing behind the colon";
                let diagnostic = Diagnostic::new(Code::E0004, column.span, message, "this is one name");
                context.report(
                    diagnostic
                        .help(format!("write `- {name}: {path}`; a column with a colon in its name stands in quotes")),
                );
                return None;
            }
            Some(Column { column, kind: None, from: From::Path(parse_path(context, node)?) })
        }
    }
}

/// The language in which a text that is no name would be an expression.
pub(super) fn language_of(text: &str) -> Option<&'static str> {
    let is_call = text.ends_with(')') && text.find('(').is_some_and(|at| at > 0);
    let has_index = text.find('[').is_some_and(|at| at > 0) && text.contains(']');
    if [" || ", " * ", " + ", " - ", " / "].iter().any(|operator| text.contains(operator)) {
        Some("sql")
    } else if is_call || has_index || text.starts_with("$.") {
        Some("jmespath")
    } else {
        None
    }
}

/// Refuses an expression in the place of a field, which would read a field of that name and find none.
fn is_a_name(context: &mut Context<'_>, column: &Spanned<String>, node: &Node) -> Option<()> {
    let text = node.text().unwrap_or_default();
    let is_quoted = node.text_span(context.files).start != node.span.start;
    if is_quoted {
        return Some(());
    }
    let message = "the name of a field is wanted here, and this is an expression";
    let diagnostic = Diagnostic::new(Code::E0101, node.span, message, "would be read as a name");
    // JSONPath, or what other languages have for a field.
    let path = text.strip_prefix("$.").unwrap_or(text).replace("['", ".").replace("']", "");
    if path != text && language_of(&path).is_none() {
        context.report(diagnostic.help(format!("a path is names with dots: `{}: {path}`", column.value)));
        return None;
    }
    let Some(language) = language_of(text) else { return Some(()) };
    context.report(diagnostic.help(format!(
        "write:\n- {}:\n    expression: {text}\n    language: {language}\na field that has this name stands in quotes",
        column.value
    )));
    None
}

/// `{expression, language, type}` or `{field, type}`; without either the field has the column's name.
fn typed_column(context: &mut Context<'_>, column: &Spanned<String>, node: &Node) -> Option<Column> {
    let mut map = Mapping::open(context, node, "column", column.span)?;
    let written = map.optional("type");
    let kind = written.and_then(|(_, node)| type_name(context, node));
    let field = map.optional("field");
    let has_expression = map.has("expression") || map.has("language");
    let from = match field {
        Some((_, node)) => parse_path(context, node).map(From::Path),
        None if has_expression || written.is_none() => expression_of(context, &mut map).map(From::Expression),
        None => parsed_path(context, node, column.clone()).map(From::Path),
    };
    map.finish(context);
    Some(Column { column: column.clone(), kind, from: from? })
}
