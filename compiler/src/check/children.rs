//! The rows of a list: against their key, so that vanished ones can be deleted, and against each other.

use redis_wb_plan::Expr;
use redis_wb_plan::expr::Root;
use redis_wb_plan::plan::OnVanished;

use crate::codes::Code;
use crate::resolve::{Column, Foreach, Output};
use crate::{Diagnostic, Diagnostics, ast};

/// Checks an output that makes rows of a list's elements. `lacks` names the columns of the table's unique index that
/// `keys` lacks: such a mistake tells all that follows from it.
pub(super) fn rows(output: &Output<'_>, lacks: &[&str], diagnostics: &mut Diagnostics) {
    let Some(foreach) = &output.foreach else {
        return;
    };
    if lacks.is_empty() && !is_one_row(output) {
        tied(output, foreach, diagnostics);
    }
    same_for_all(output, foreach, diagnostics);
    of_the_list(output, foreach, diagnostics);
}

/// A field of the list itself, where one of its elements is meant: lists have no fields.
fn of_the_list(output: &Output<'_>, foreach: &Foreach<'_>, diagnostics: &mut Diagnostics) {
    let Expr::Path { root, names: list } = base(&foreach.list) else { return };
    for column in output.columns.iter().filter(|_| !list.is_empty()) {
        let (ast::From::Path(path), Some(bound)) = (&column.ast.from, &column.value) else { continue };
        let Expr::Path { root: own, names } = &bound.expr else { continue };
        let Some([field, ..]) = names.strip_prefix(&**list).filter(|_| own == root) else { continue };
        let message = format!("`{}` is always null: it is a field of the list, not of an element", path.text);
        let diagnostic = Diagnostic::new(Code::W0307, path.span, message, "never there");
        let diagnostic = diagnostic.because(foreach.ast.name.span, "an element is called so");
        diagnostics.report(diagnostic.help(format!("write `{}.{field}`", foreach.ast.name.value)));
    }
}

/// What a list is made of.
fn base(list: &Expr) -> &Expr {
    match list {
        Expr::Flatten(of) | Expr::Project { of, .. } | Expr::Filter { of, .. } | Expr::Slice { of, .. } => base(of),
        other => other,
    }
}

/// Whether no key column differs from element to element.
fn is_one_row(output: &Output<'_>) -> bool {
    let mut keys = output.columns.iter().take(output.key_columns);
    // What could not be compiled may well read the element.
    let differs = |column: &Column<'_>| column.value.is_none() || column.reads(Root::Element);
    output.foreach.is_some() && output.key_columns > 0 && !keys.any(differs)
}

/// Some key column must differ from element to element. Whether they do not, which is reported.
pub(super) fn told_apart(output: &Output<'_>, lacks: &[&str], diagnostics: &mut Diagnostics) -> bool {
    let Some(foreach) = output.foreach.as_ref().filter(|_| is_one_row(output)) else { return true };
    let name = &foreach.ast.name;
    let message = format!("all elements of `{}` become one row: no key column reads the element", name.value);
    let diagnostic = Diagnostic::new(Code::E0326, output.ast.keys_span, message, "the same for all elements");
    let diagnostic = diagnostic.because(name.span, "the element is named here");
    // A field that is read of the record, and is not its key, may be meant as one of the element.
    let keys = output.columns.iter().take(output.key_columns);
    let meant = keys.filter(|column| column.reads(Root::Value) || column.reads(Root::After)).last();
    let help = match (meant.map(|column| (&column.ast.column.value, &column.ast.from)), lacks.first()) {
        (Some((column, ast::From::Path(path))), None) => format!(
            "write what tells elements apart as a field of the element: `- {column}: {}.{}`",
            name.value, path.text
        ),
        (_, lacks) => {
            let column = lacks.copied().unwrap_or("line_no");
            let (element, field) = (&name.value, column);
            format!("add to `keys` what tells elements apart, such as `- {column}: {element}.{field}`")
        }
    };
    diagnostics.report(diagnostic.help(help));
    false
}

/// Something must tie the rows to their key, or rows of vanished elements stay for ever.
fn tied(output: &Output<'_>, foreach: &Foreach<'_>, diagnostics: &mut Diagnostics) {
    let is_named = foreach.ast.parent.as_ref().is_some_and(|parent| !parent.is_empty());
    if !foreach.parent.is_empty() || is_named || foreach.on_vanished == OnVanished::Keep {
        return;
    }
    let keys = output.columns.iter().take(output.key_columns);
    let same: Vec<&str> = keys
        .filter(|column| column.value.is_some() && !column.reads(Root::Element))
        .map(|column| column.ast.column.value.as_str())
        .collect();
    let message = "nothing tells which rows belong to one key: those of vanished elements stay";
    let label = format!("`{}` is one of many", foreach.ast.name.value);
    let diagnostic = Diagnostic::new(Code::W0324, foreach.ast.name.span, message, label);
    let help = if same.is_empty() {
        "write a column that holds the key, such as `- parent: key.key` (with a template in `source.redis.key`), and \
         say `parent: [parent]`"
            .to_owned()
    } else {
        format!("add `parent: [{}]` beside `foreach`; `on_vanished: keep` if they are to stay", same.join(", "))
    };
    diagnostics.report(diagnostic.help(help));
}

/// What ties rows to their key is the same for all elements.
fn same_for_all(output: &Output<'_>, foreach: &Foreach<'_>, diagnostics: &mut Diagnostics) {
    let parent: Vec<&Column<'_>> = foreach.parent.iter().filter_map(|at| output.columns.get(*at)).collect();
    for column in parent.into_iter().filter(|column| column.reads(Root::Element)) {
        let name = &column.ast.column.value;
        let named = foreach.ast.parent.iter().flatten().find(|named| named.value == *name);
        let span = named.map_or(column.ast.column.span, |named| named.span);
        let message = format!("the parent column `{name}` differs from element to element");
        let diagnostic = Diagnostic::new(Code::E0325, span, message, "must be the same for all rows of a key");
        let diagnostic = diagnostic.because(column.ast.from.span(), "this reads the element");
        diagnostics.report(diagnostic.help("name columns whose values come from the key or from the record itself"));
    }
}
