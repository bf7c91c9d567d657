//! What the target's dialect must be able to do for an output: have its names, write by its strategy, read its
//! expressions.

use redis_wb_plan::plan::Strategy;
use redis_wb_plan::schema::Table;

use crate::codes::Code;
use crate::dialect::{self, Dialect, Fault, Kind};
use crate::resolve::Output;
use crate::source::{Files, Span, Spanned};
use crate::suggest::did_you_mean;
use crate::{Diagnostic, Diagnostics};

/// Checks an output against its dialect. Whether this can have all its names.
pub(super) fn output(output: &Output<'_>, files: &Files, diagnostics: &mut Diagnostics) -> bool {
    let dialect = dialect::of(output.connection.dialect());
    let has_names = names(output, dialect, diagnostics);
    strategy(output, dialect, files, diagnostics);
    if let Some(table) = output.table {
        one_row_per_key(output, table, diagnostics);
        upsert_by_any_index(output, table, dialect, diagnostics);
        closing_columns(output, table, diagnostics);
    }
    has_names
}

fn names(output: &Output<'_>, dialect: Dialect, diagnostics: &mut Diagnostics) -> bool {
    let before = diagnostics.len();
    let schema = output.ast.schema.as_ref().map(|schema| (schema, Kind::Schema));
    let columns = output.columns.iter().map(|column| (&column.ast.column, Kind::Column));
    let closing = output.ast.versions.iter().flat_map(|versions| &versions.closing);
    let closing = closing.map(|(column, _)| (column, Kind::Column));
    for (name, kind) in schema.into_iter().chain([(&output.ast.table, Kind::Table)]).chain(columns).chain(closing) {
        if let Some(fault) = dialect::fault(dialect, &name.value, kind) {
            report_name(name, &fault, dialect, diagnostics);
        }
    }
    diagnostics.len() == before
}

fn report_name(name: &Spanned<String>, fault: &Fault, dialect: Dialect, diagnostics: &mut Diagnostics) {
    let title = dialect.id().title();
    let diagnostic = match fault {
        Fault::Empty => {
            let message = format!("{title} can have no name like this");
            Diagnostic::new(Code::E0408, name.span, message, "no character").help("a name needs at least one character")
        }
        Fault::Character(why) => {
            let message = format!("{title} can have no name like this");
            Diagnostic::new(Code::E0408, name.span, message, "cannot be quoted")
                .help(format!("{why}: rename it in the target, and here"))
        }
        Fault::TooLong { length, max, unit } => {
            let message = format!("the name is too long for {title}");
            let label = format!("{length} {}, and the most is {max}", unit.name());
            Diagnostic::new(Code::E0410, name.span, message, label)
                .help("nothing there can have a name this long: write the name that the target really has")
        }
    };
    diagnostics.report(diagnostic);
}

fn strategy(output: &Output<'_>, dialect: Dialect, files: &Files, diagnostics: &mut Diagnostics) {
    let strategy = &output.ast.strategy;
    if !dialect.supports(strategy.value) {
        let message = format!("{} cannot write by `{}`", dialect.id().title(), strategy.value.word());
        let words: Vec<String> = [Strategy::Upsert, Strategy::Append, Strategy::Replace, Strategy::Type2]
            .into_iter()
            .filter(|known| dialect.supports(*known))
            .map(|known| format!("`{}`", known.word()))
            .collect();
        let diagnostic = Diagnostic::new(Code::E0411, strategy.span, message, "not possible there");
        diagnostics.report(diagnostic.help(format!("what it can do is {}", words.join(" and "))));
        return;
    }
    let Some(versions) = &output.ast.versions else {
        return;
    };
    for sql in std::iter::once(&versions.active).chain(versions.closing.iter().map(|(_, value)| value)) {
        if let Err(wrong) = dialect::expression(dialect, &sql.text.value) {
            let message = format!("this is no SQL expression of {}: {}", dialect.id().title(), wrong.what);
            let span = sql.node.part_span(files, wrong.part.start, wrong.part.end);
            let diagnostic = Diagnostic::new(Code::E0412, span, message, "here");
            diagnostics.report(diagnostic.help(
                "write one expression over the columns of the table, such as `valid_to IS NULL`, `is_active = 'Y'`, \
                 `CURRENT_TIMESTAMP` or `'N'`",
            ));
        }
    }
}

/// Strategies that keep several rows of a key need a table that takes them.
fn one_row_per_key(output: &Output<'_>, table: &Table, diagnostics: &mut Diagnostics) {
    let strategy = &output.ast.strategy;
    if strategy.value.compacts() {
        return;
    }
    let keys: Vec<&str> =
        output.columns.iter().take(output.key_columns).filter_map(|c| Some(c.target?.name.as_str())).collect();
    let unique = table.unique.iter().find(|unique| unique.iter().all(|column| keys.contains(&column.as_str())));
    let Some(unique) = unique else {
        return;
    };
    let list = unique.join(", ");
    let message = format!("the table `{}` takes one row of each ({list})", table.name);
    let label = format!("`{}` keeps several rows of a key", strategy.value.word());
    let diagnostic = Diagnostic::new(Code::E0414, strategy.span, message, label);
    let diagnostic = diagnostic.because(output.ast.keys_span, "the keys");
    diagnostics.report(diagnostic.help(format!(
        "the second would be refused: take away the primary key or unique index over ({list}), widen it by a column \
         that tells the rows apart, or write by `UPSERT`"
    )));
}

/// Where an upsert updates whatever row is in its way, a second unique index makes it update the wrong one.
fn upsert_by_any_index(output: &Output<'_>, table: &Table, dialect: Dialect, diagnostics: &mut Diagnostics) {
    if output.ast.strategy.value != Strategy::Upsert || !dialect.upserts_by_any_index() {
        return;
    }
    let keys: Vec<&str> =
        output.columns.iter().take(output.key_columns).filter_map(|c| Some(c.target?.name.as_str())).collect();
    let is_key = |unique: &&Vec<String>| unique.iter().all(|column| keys.contains(&column.as_str()));
    let Some(other) = table.unique.iter().find(|unique| !is_key(unique)) else {
        return;
    };
    let list = other.join(", ");
    let message = format!("a row with the same ({list}) would be updated in place of that of the key");
    let label = format!("`{}` is unique over ({list}) as well", table.name);
    let diagnostic = Diagnostic::new(Code::W0415, output.ast.table.span, message, label);
    diagnostics.report(diagnostic.help(format!(
        "{} updates the row that any unique index finds; if two keys can have the same ({list}), write by \
         `load_strategy: REPLACE`, which rejects the second instead",
        dialect.id().title()
    )));
}

fn closing_columns(output: &Output<'_>, table: &Table, diagnostics: &mut Diagnostics) {
    for (column, _) in output.ast.versions.iter().flat_map(|versions| &versions.closing) {
        if table.column(&column.value).is_none() {
            let message = format!("the table `{}` has no column `{}`", table.name, column.value);
            let help = did_you_mean(&column.value, table.columns.iter().map(|column| column.name.as_str()));
            let span: Span = column.span;
            diagnostics.report(Diagnostic::new(Code::E0402, span, message, "unknown column").maybe_help(help));
        }
    }
}
