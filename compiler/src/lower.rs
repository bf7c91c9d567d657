//! A resolved job into the parts of a plan: conversions are chosen, what capture must deliver is found, steps are put
//! into the order in which they cost least.

use redis_wb_grammar::key::Part;
use redis_wb_plan::expr::Root;
use redis_wb_plan::key::KeyPart;
use redis_wb_plan::plan::{self, Closing, Column, Condition, Filter, OnGone, OnMissing, Source, Versions};
use redis_wb_plan::{ColumnType, Expr, KeyTemplate, Type, share};

use crate::ast;
use crate::expr::Compiled;
use crate::resolve::{self, Bound, Job, Step};

/// What capture is asked for and how records are read.
#[must_use]
pub fn source(job: &Job<'_>) -> Source {
    let ast = &job.ast.source;
    Source {
        key_pattern: ast.key_pattern.value.clone(),
        db: ast.db,
        data_type: ast.data_type,
        exclude_commands: ast.exclude_commands.clone(),
        before_images: needs_before(job),
        key: ast.key.as_ref().map(key_template),
        on_delete: ast.on_delete,
        on_expire: ast.on_expire,
        on_evict: ast.on_evict,
        on_flush: ast.on_flush,
    }
}

/// A delete has no after image: what it needs of the content, only the before image has.
fn needs_before(job: &Job<'_>) -> bool {
    let ast = &job.ast.source;
    let deletes = [ast.on_delete, ast.on_expire, ast.on_evict].contains(&OnGone::Delete);
    let columns = job.outputs.iter().flat_map(resolve::Output::deleted_by);
    let keys = columns.filter_map(|column| column.value.as_ref()).map(|bound| &bound.expr);
    let members = job.redis.iter().flat_map(|write| match &write.content {
        plan::RedisContent::Set { member }
        | plan::RedisContent::SortedSet { member, .. }
        | plan::RedisContent::Nested { member, .. } => vec![&write.key, member],
        _ => vec![&write.key],
    });
    (deletes && keys.chain(members).any(|expr| job.reads_content(expr)))
        || all(job).into_iter().any(|expr| job.reads(expr, Root::Before))
}

/// Every expression of a job.
fn all<'j>(job: &'j Job<'_>) -> Vec<&'j Expr> {
    let steps = job.steps.iter().flat_map(|step| match step {
        Step::Filter { expr, .. } => vec![expr],
        Step::Lookup(lookup) => lookup.args.iter().collect(),
    });
    let outputs = job.outputs.iter().flat_map(|output| {
        let columns = output.columns.iter().filter_map(|column| Some(&column.value.as_ref()?.expr));
        let list = output.foreach.iter().map(|foreach| &foreach.list);
        columns.chain(list).chain(&output.opcode).chain(output.when.as_ref().map(|when| &when.expr))
    });
    let redis = job.redis.iter().flat_map(|write| {
        let when = write.when.iter().map(|when| &when.expr);
        write.content.exprs().into_iter().chain([&write.key]).chain(when)
    });
    steps.chain(outputs).chain(redis).collect()
}

/// The steps: a filter goes before every lookup that it does not need.
#[must_use]
pub fn steps(job: &Job<'_>) -> Vec<plan::Step> {
    let mut steps = Vec::new();
    let mut lookups: Vec<usize> = Vec::new();
    for step in &job.steps {
        match step {
            Step::Filter { ast, expr, on_unmatched, .. } => {
                let needed =
                    (0_u16..).zip(&lookups).filter(|(at, _)| expr.reads(Root::Lookup(*at))).map(|(_, at)| at + 1);
                let at = needed.max().unwrap_or(0).max(last_filter(&steps));
                let condition = condition(job, expr, &ast.text);
                let filter = Filter { condition, on_unmatched: on_unmatched.unwrap_or_default() };
                lookups.iter_mut().filter(|lookup| **lookup >= at).for_each(|lookup| *lookup += 1);
                steps.insert(at, plan::Step::Filter(filter));
            }
            Step::Lookup(lookup) => {
                lookups.push(steps.len());
                steps.push(plan::Step::Lookup(plan::Lookup {
                    connection: lookup.ast.connection.value.clone(),
                    command: lookup.ast.command.value.to_uppercase(),
                    args: lookup.args.clone(),
                    field: lookup.ast.field.text.clone(),
                }));
            }
        }
    }
    steps
}

/// Behind the last filter: filters keep their own order.
fn last_filter(steps: &[plan::Step]) -> usize {
    steps.iter().rposition(|step| matches!(step, plan::Step::Filter(_))).map_or(0, |at| at + 1)
}

/// A condition; one that reads what the key holds after the change says nothing of deletes.
fn condition(job: &Job<'_>, expr: &Expr, origin: &str) -> Condition {
    let reads_after = job.reads(expr, Root::Value) || job.reads(expr, Root::After);
    Condition { expr: share::within(expr.clone()), holds_deletes: !reads_after, origin: origin.to_owned() }
}

/// The `when` of an output.
#[must_use]
pub fn when(job: &Job<'_>, ast: Option<&ast::Expression>, compiled: Option<&Compiled>) -> Option<Condition> {
    let (ast, compiled) = ast.zip(compiled)?;
    Some(condition(job, &compiled.expr, &ast.text))
}

/// The list whose elements become rows.
#[must_use]
pub fn foreach(output: &resolve::Output<'_>) -> Option<plan::Foreach> {
    let foreach = output.foreach.as_ref()?;
    Some(plan::Foreach {
        name: foreach.ast.name.value.clone(),
        list: share::within(foreach.list.clone()),
        parent_columns: foreach.parent.clone(),
        on_vanished: foreach.on_vanished,
    })
}

/// A write to Redis.
#[must_use]
pub fn redis(job: &Job<'_>, write: &resolve::RedisWrite<'_>) -> plan::RedisWrite {
    let (mut key, mut content) = (write.key.clone(), write.content.clone());
    after_or_before(&mut key);
    if let plan::RedisContent::Set { member }
    | plan::RedisContent::SortedSet { member, .. }
    | plan::RedisContent::Nested { member, .. } = &mut content
    {
        after_or_before(member);
    }
    let shared = share::hoist(&mut content.exprs_mut().into_iter().chain([&mut key]).collect::<Vec<_>>());
    plan::RedisWrite {
        connection: write.ast.connection.value.clone(),
        when: when(job, write.ast.when.as_ref(), write.when.as_ref()),
        shared,
        key,
        content,
        on_update: write.on_update,
        expire_s: write.ast.expire_s,
    }
}

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
        active: versions.active.text.value.clone(),
        closing: closing
            .map(|(column, value)| Closing { column: column.value.clone(), value: value.text.value.clone() })
            .collect(),
    })
}

/// The columns of one output.
#[must_use]
pub fn columns(output: &resolve::Output<'_>) -> Vec<Column> {
    let parent = output.foreach.as_ref().map_or(&[][..], |foreach| &foreach.parent);
    let columns = output.columns.iter().enumerate();
    columns
        .map(|(at, resolved)| {
            let is_key = at < output.key_columns;
            let to = column_type(resolved);
            let refuses_null = output.ast.on_missing == OnMissing::Reject || parent.contains(&at);
            let takes_null = resolved.target.is_none_or(|target| target.nullable);
            Column {
                name: resolved.ast.column.value.clone(),
                column_type: to.clone(),
                nullable: !is_key && !refuses_null && takes_null,
                expr: expression(resolved, to, is_key || parent.contains(&at)),
                origin: resolved.ast.from.text().to_owned(),
            }
        })
        .collect()
}

fn expression(column: &resolve::Column<'_>, to: ColumnType, names_row: bool) -> Expr {
    let convert = |from: Expr, to: ColumnType| match to.kind {
        Type::Unknown => from,
        _ => Expr::Convert { from: Box::new(from), to },
    };
    let Some(Bound { expr, declared, .. }) = &column.value else {
        return Expr::NULL;
    };
    // Fields of the key template have their type already.
    let is_key = matches!(expr, Expr::Path { root: Root::Key, .. });
    let mut expr = match declared {
        Some((declared, _)) if *declared != to.kind && !is_key => convert(expr.clone(), (*declared).into()),
        _ => expr.clone(),
    };
    if names_row {
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
        (Some(target), _) => target.column_type.clone(),
        (None, Some(Type::Null) | None) => Type::Unknown.into(),
        (None, Some(kind)) => kind.into(),
    }
}
