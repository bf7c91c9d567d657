//! The type of every expression, from the types of the record's parts.

use crate::expr::{Comparator, Literal, Root};
use crate::expr_type::ExprType;
use crate::{Expr, Type};

/// The types that an expression sees.
#[derive(Clone, Copy)]
pub struct Types<'t> {
    /// What each part of the record is.
    pub root: &'t dyn Fn(Root) -> ExprType,
    /// What `Current` is.
    pub current: &'t ExprType,
    /// What each shared expression is.
    pub shared: &'t [ExprType],
}

impl<'t> Types<'t> {
    /// The same with another `Current`.
    #[must_use]
    pub const fn with_current<'s>(self, current: &'s ExprType) -> Types<'s>
    where
        't: 's,
    {
        Types { root: self.root, current, shared: self.shared }
    }
}

/// The type of an expression.
#[must_use]
pub fn infer(expr: &Expr, types: Types<'_>) -> ExprType {
    match expr {
        Expr::Literal(Literal(value)) => ExprType::of_value(value),
        Expr::Path { root, names } => names.iter().fold((types.root)(*root), |kind, name| kind.field(name)),
        Expr::Current => types.current.clone(),
        Expr::Field { of, name } => infer(of, types).field(name),
        Expr::Index { of, .. } => element(&infer(of, types)).or_null(),
        Expr::Slice { of, .. } | Expr::Filter { of, .. } => list_of(&infer(of, types), |item| item),
        Expr::Flatten(of) => list_of(&infer(of, types), flattened),
        Expr::Values(of) => values(&infer(of, types)),
        Expr::Project { of, body } => {
            list_of(&infer(of, types), |item| infer(body, types.with_current(&item.not_null())).not_null())
        }
        Expr::List(items) => items
            .iter()
            .map(|item| infer(item, types))
            .reduce(ExprType::either)
            .map_or_else(|| ExprType::list(ExprType::UNKNOWN), ExprType::list),
        Expr::Object(fields) => {
            ExprType::object(fields.iter().map(|(name, value)| (name.clone(), infer(value, types))).collect())
        }
        Expr::Altered { of, set, without } => altered(&infer(of, types), set, without, types),
        Expr::Pipe { of, body, stops_at_null } => pipe(&infer(of, types), body, *stops_at_null, types),
        Expr::And(items) => either(items, types),
        Expr::Or(items) => {
            let kinds: Vec<ExprType> = items.iter().map(|item| infer(item, types)).collect();
            let nullable = kinds.last().is_none_or(|last| last.nullable);
            ExprType { nullable, ..kinds.into_iter().reduce(ExprType::either).unwrap_or(ExprType::UNKNOWN) }
        }
        Expr::Not(_) => ExprType::of(Type::Bool),
        Expr::Compare { op, left, right } => comparison(*op, &infer(left, types), &infer(right, types)),
        Expr::Call { function, args, .. } => function.definition().returns.infer(&arguments(args, types)),
        Expr::Lambda(_) => ExprType::UNKNOWN,
        Expr::Convert { from, to } => ExprType { nullable: infer(from, types).nullable, ..ExprType::of(to.kind) },
        Expr::Sql { op, args, .. } => {
            crate::sql::infer(op, &args.iter().map(|arg| infer(arg, types)).collect::<Vec<_>>())
        }
        Expr::Shared(at) => types.shared.get(*at).cloned().unwrap_or(ExprType::UNKNOWN),
        Expr::With { shared, body } => with(shared, body, types),
    }
}

/// The types of a call's arguments; for an expression argument, of what it gives for an element.
#[must_use]
pub fn arguments(args: &[Expr], types: Types<'_>) -> Vec<ExprType> {
    let values = values_of(args, types);
    let element = element_seen(&values);
    let pairs = args.iter().zip(values);
    pairs
        .map(|(arg, value)| match (arg, value) {
            (Expr::Lambda(body), _) => infer(body, types.with_current(&element)),
            (_, value) => value.unwrap_or(ExprType::UNKNOWN),
        })
        .collect()
}

/// What an expression argument sees as `Current`: an element of the list or an entry of the object beside it.
#[must_use]
pub fn lambda_sees(args: &[Expr], types: Types<'_>) -> ExprType {
    element_seen(&values_of(args, types))
}

/// The types of the arguments that are values. Each is inferred once: calls nest.
fn values_of(args: &[Expr], types: Types<'_>) -> Vec<Option<ExprType>> {
    args.iter().map(|arg| (!matches!(arg, Expr::Lambda(_))).then(|| infer(arg, types))).collect()
}

fn element_seen(values: &[Option<ExprType>]) -> ExprType {
    match values.iter().flatten().next() {
        Some(of) if of.kind == Type::Object => {
            ExprType::object(vec![("key".to_owned(), ExprType::of(Type::Text)), ("value".to_owned(), of.item())])
        }
        Some(of) => element(of),
        None => ExprType::UNKNOWN,
    }
}

fn element(of: &ExprType) -> ExprType {
    if of.kind == Type::Object { ExprType::NULL } else { of.item() }
}

fn list_of(of: &ExprType, item: impl FnOnce(ExprType) -> ExprType) -> ExprType {
    match of.kind {
        Type::List => ExprType { nullable: of.nullable, ..ExprType::list(item(of.item())) },
        Type::Unknown => ExprType::list(item(ExprType::UNKNOWN)).or_null(),
        _ => ExprType::NULL,
    }
}

fn flattened(item: ExprType) -> ExprType {
    match item.kind {
        Type::List => item.item(),
        _ => item,
    }
}

fn values(of: &ExprType) -> ExprType {
    match of.kind {
        Type::Object => ExprType { nullable: of.nullable, ..ExprType::list(of.item()) },
        Type::Unknown => ExprType::list(ExprType::UNKNOWN).or_null(),
        _ => ExprType::NULL,
    }
}

fn altered(of: &ExprType, set: &[(String, Expr)], without: &[String], types: Types<'_>) -> ExprType {
    let is_changed = |name: &String| without.contains(name) || set.iter().any(|(own, _)| own == name);
    let kept = of.fields.iter().filter(|(name, _)| !is_changed(name)).cloned();
    let gone = without.iter().map(|name| (name.clone(), ExprType::NULL));
    let set = set.iter().map(|(name, value)| (name.clone(), infer(value, types)));
    let rest = match of.kind {
        Type::Object => of.item.as_deref().cloned().unwrap_or(ExprType::UNKNOWN),
        Type::Unknown | Type::Json => ExprType::UNKNOWN,
        _ => ExprType::NULL,
    };
    ExprType::record(kept.chain(gone).chain(set).collect(), rest)
}

fn pipe(of: &ExprType, body: &Expr, stops_at_null: bool, types: Types<'_>) -> ExprType {
    if !stops_at_null {
        return infer(body, types.with_current(of));
    }
    let result = infer(body, types.with_current(&of.clone().not_null()));
    if of.nullable { result.or_null() } else { result }
}

fn either(items: &[Expr], types: Types<'_>) -> ExprType {
    items.iter().map(|item| infer(item, types)).reduce(ExprType::either).unwrap_or(ExprType::UNKNOWN)
}

fn comparison(op: Comparator, left: &ExprType, right: &ExprType) -> ExprType {
    let is_number = |kind: &ExprType| matches!(kind.kind, Type::Int | Type::Float | Type::Decimal) && !kind.nullable;
    let sure = !op.is_order() || (is_number(left) && is_number(right));
    let bool = ExprType::of(Type::Bool);
    if sure { bool } else { bool.or_null() }
}

fn with(shared: &[Expr], body: &Expr, types: Types<'_>) -> ExprType {
    let mut kinds: Vec<ExprType> = Vec::new();
    for expr in shared {
        let kind = infer(expr, Types { root: types.root, current: types.current, shared: &kinds });
        kinds.push(kind);
    }
    infer(body, Types { root: types.root, current: types.current, shared: &kinds })
}
