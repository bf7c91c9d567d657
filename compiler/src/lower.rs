//! A resolved job into the columns of a plan: paths become expressions, conversions are chosen.

use redis_wb_grammar::key::Part;
use redis_wb_plan::expr::Root;
use redis_wb_plan::key::KeyPart;
use redis_wb_plan::plan::{Closing, Column, Source, Versions};
use redis_wb_plan::{ColumnType, Expr, KeyTemplate, Type, share};

use crate::ast;
use crate::resolve::{self, ColumnValue};

/// What capture is asked for and how records are read.
#[must_use]
pub fn source(job: &resolve::Job<'_>) -> Source {
    let ast = &job.ast.source;
    let keys = job.outputs.iter().flat_map(|output| output.columns.iter().take(output.key_columns));
    Source {
        key_pattern: ast.key_pattern.value.clone(),
        db: ast.db,
        exclude_commands: ast.exclude_commands.clone(),
        // A delete has no after image: what it needs of the value, only the before image has.
        before_images: keys.into_iter().any(|column| VALUES.into_iter().any(|root| column.reads(root)))
            || job.outputs.iter().flat_map(|output| &output.columns).any(|column| column.reads(Root::Before)),
        key: ast.key.as_ref().map(key_template),
        on_delete: ast.on_delete,
        on_expire: ast.on_expire,
        on_evict: ast.on_evict,
    }
}

/// The parts of a record that its key does not give.
const VALUES: [Root; 3] = [Root::Value, Root::After, Root::Before];

fn key_template(template: &ast::KeyTemplate) -> KeyTemplate {
    let part = |part: &Part| match part {
        Part::Literal(text) => KeyPart::Literal(text.clone()),
        Part::Field { name, kind, .. } => KeyPart::Field {
            name: name.clone(),
            kind: kind.as_ref().and_then(|(kind, _)| Type::named(kind)).unwrap_or(Type::Text),
        },
    };
    KeyTemplate { parts: template.parts.iter().map(part).collect() }
}

/// What tells the versions of a key apart.
#[must_use]
pub fn versions(output: &resolve::Output<'_>) -> Option<Versions> {
    let versions = output.ast.versions.as_ref()?;
    let closing = versions.closing.iter();
    Some(Versions {
        active: versions.active.value.clone(),
        closing: closing
            .map(|(column, value)| Closing { column: column.value.clone(), value: value.value.clone() })
            .collect(),
    })
}

/// The columns of one output.
#[must_use]
pub fn columns(output: &resolve::Output<'_>) -> Vec<Column> {
    output.columns.iter().enumerate().map(|(at, resolved)| column(resolved, at < output.key_columns)).collect()
}

fn column(column: &resolve::Column<'_>, is_key: bool) -> Column {
    let to = column_type(column);
    Column {
        name: column.ast.column.value.clone(),
        column_type: to,
        nullable: !is_key && column.target.is_none_or(|target| target.nullable),
        expr: expression(column, to, is_key),
        origin: column.ast.from.text().to_owned(),
    }
}

fn expression(column: &resolve::Column<'_>, to: ColumnType, is_key: bool) -> Expr {
    let convert = |from: Expr, to: ColumnType| match to.kind {
        Type::Unknown => from,
        _ => Expr::Convert { from: Box::new(from), to },
    };
    let mut expr = match &column.value {
        ColumnValue::Path { root, names, declared } => {
            let path = Expr::Path { root: *root, names: names.to_vec() };
            match declared {
                // Fields of the key template have their type already.
                Some((declared, _)) if *declared != to.kind && *root != Root::Key => convert(path, (*declared).into()),
                _ => path,
            }
        }
        ColumnValue::Expression(compiled) => compiled.expr.clone(),
        ColumnValue::Unknown => Expr::NULL,
    };
    if is_key {
        after_or_before(&mut expr);
    }
    convert(expr, to)
}

/// On a delete `after` is null, and the key columns come from before.
fn after_or_before(expr: &mut Expr) {
    if let Expr::Path { root, .. } = expr
        && *root == Root::After
    {
        *root = Root::Value;
    }
    expr.each_child_mut(&mut |child, _| after_or_before(child));
}

/// What the columns of an output have in common, which moves out of them.
#[must_use]
pub fn shared(columns: &mut [Column]) -> Vec<Expr> {
    let mut exprs: Vec<&mut Expr> = columns.iter_mut().map(|column| &mut column.expr).collect();
    share::hoist(&mut exprs)
}

/// The type of a column: the table's, else that of its values, else unknown.
fn column_type(column: &resolve::Column<'_>) -> ColumnType {
    match (column.target, column.kind()) {
        (Some(target), _) => target.column_type,
        (None, Some(Type::Null) | None) => Type::Unknown.into(),
        (None, Some(kind)) => kind.into(),
    }
}
