//! Lists whose elements become rows: what an element is, and which columns tie its row to the key.

use redis_wb_grammar::key::Part;
use redis_wb_plan::expr::{Names, Root};
use redis_wb_plan::plan::OnVanished;
use redis_wb_plan::{Expr, ExprType, Type};

use super::environment::Environment;
use super::{Column, Output, compiled};
use crate::ast;
use crate::codes::Code;
use crate::expr::field_of;
use crate::suggest::did_you_mean;
use crate::{Diagnostic, Diagnostics};

/// A list whose names are bound.
#[derive(Debug)]
pub struct Foreach<'a> {
    /// As written.
    pub ast: &'a ast::Foreach,
    /// The list.
    pub list: Expr,
    /// The columns that tie a row to its key, by their place.
    pub parent: Vec<usize>,
    /// What happens to rows whose elements vanished.
    pub on_vanished: OnVanished,
}

/// The list, and the record beside an element of it. `None` where the list has an error, which is reported.
pub(super) fn list<'a>(
    ast: &'a ast::Foreach,
    environment: &Environment<'a>,
    diagnostics: &mut Diagnostics,
) -> (Option<Foreach<'a>>, Environment<'a>) {
    let Some(list) = &ast.list else {
        let mut inner = environment.clone();
        inner.forget();
        return (None, inner);
    };
    let found = compiled(list, environment, diagnostics);
    let found = found.and_then(|compiled| {
        let (expr, kind) = elements(compiled.expr, compiled.kind);
        is_list(list, &kind, diagnostics).then_some((expr, kind))
    });
    let element = found.as_ref().map_or(ExprType::UNKNOWN, |(_, kind)| kind.item());
    let inner = environment.with_element(&ast.name.value, element);
    let foreach = found.map(|(list, _)| Foreach { ast, list, parent: Vec::new(), on_vanished: ast.on_vanished });
    (foreach, inner)
}

/// A document that holds a list is read as one.
fn elements(expr: Expr, kind: ExprType) -> (Expr, ExprType) {
    if kind.kind != Type::Json {
        return (expr, kind);
    }
    let parse = redis_wb_plan::functions::Function::named("json_parse");
    (parse.map_or(Expr::NULL, |parse| Expr::call(parse, vec![expr])), ExprType::UNKNOWN)
}

fn is_list(list: &ast::Expression, kind: &ExprType, diagnostics: &mut Diagnostics) -> bool {
    if matches!(kind.kind, Type::List | Type::Unknown) {
        return true;
    }
    let message = format!("`foreach` needs a list, not a value of type `{}`", kind.kind);
    let diagnostic = Diagnostic::new(Code::E0323, list.span, message, format!("this is `{kind}`"));
    let help = match kind.kind {
        Type::Text => {
            "if the text is JSON, write `json_parse(...)` around it; if it is a list with commas, `split(...)`"
        }
        Type::Object => "for the values of an object write `values(...)`, for names and values `to_entries(...)`",
        _ => "name a field that holds a list; for documents say `source.redis.data_type: json`",
    };
    diagnostics.report(diagnostic.help(help));
    false
}

/// The columns that tie rows to their key: those that the job names, else those that hold the whole key, or the keys
/// of an output of the same job that writes the parent.
pub(super) fn parent(
    source: &ast::Source,
    foreach: &ast::Foreach,
    columns: &[Column<'_>],
    others: &[Output<'_>],
    diagnostics: &mut Diagnostics,
) -> Vec<usize> {
    if let Some(named) = &foreach.parent {
        return named.iter().filter_map(|name| column(name, columns, diagnostics)).collect();
    }
    let key = key_fields(source).and_then(|fields| places(&fields, columns));
    let from_output = |other: &Output<'_>| {
        let keys = other.columns.iter().take(other.key_columns);
        let keys: Option<Vec<Expr>> = keys.map(|column| Some(column.value.as_ref()?.expr.clone())).collect();
        keys.filter(|keys| !keys.is_empty()).and_then(|keys| places(&keys, columns))
    };
    let parents = others.iter().filter(|other| other.foreach.is_none());
    key.or_else(|| parents.into_iter().find_map(from_output)).unwrap_or_default()
}

fn column(
    name: &crate::source::Spanned<String>,
    columns: &[Column<'_>],
    diagnostics: &mut Diagnostics,
) -> Option<usize> {
    let found = columns.iter().position(|column| column.ast.column.value == name.value);
    if found.is_none() {
        let message = format!("`parent` names `{}`, which is no column of this output", name.value);
        let help = did_you_mean(&name.value, columns.iter().map(|column| column.ast.column.value.as_str()));
        diagnostics.report(Diagnostic::new(Code::E0214, name.span, message, "not a column here").maybe_help(help));
    }
    found
}

/// Where columns with these values are, if there is one for each.
fn places(values: &[Expr], columns: &[Column<'_>]) -> Option<Vec<usize>> {
    let place = |value: &Expr| {
        columns.iter().position(|column| column.value.as_ref().is_some_and(|bound| bound.expr == *value))
    };
    values.iter().map(place).collect()
}

/// What together is the whole key.
fn key_fields(source: &ast::Source) -> Option<Vec<Expr>> {
    let template = source.key.as_ref()?;
    let key = Expr::Path { root: Root::Key, names: Names::new() };
    let fields: Vec<Expr> = template
        .parts
        .iter()
        .filter_map(|part| match part {
            Part::Field { name, .. } => Some(field_of(key.clone(), &ExprType::UNKNOWN, name)),
            Part::Literal(_) => None,
        })
        .collect();
    (!fields.is_empty()).then_some(fields)
}
