//! The types of what operators give, as far as they are known. A number is INTEGER or REAL as its value has it, so the
//! result of arithmetic is known only where it must be REAL.

use super::arithmetic::Arithmetic;
use super::cast::Cast;
use super::op::SqlOp;
use crate::{ExprType, Type};

/// The type of an operator's result for arguments of these types.
pub(crate) fn infer(op: &SqlOp, args: &[ExprType]) -> ExprType {
    let any_null = args.iter().any(|arg| arg.nullable);
    let of = |kind: Type, nullable: bool| ExprType { nullable, ..ExprType::of(kind) };
    match op {
        SqlOp::Arithmetic(operator) => arithmetic(*operator, args, any_null),
        SqlOp::Negate => arithmetic(Arithmetic::Subtract, args, any_null),
        SqlOp::Bitwise(_) | SqlOp::Complement | SqlOp::Compare(..) | SqlOp::Not => of(Type::Int, any_null),
        SqlOp::And | SqlOp::Or | SqlOp::Like | SqlOp::Glob | SqlOp::In(_) | SqlOp::Between(..) => {
            of(Type::Int, any_null)
        }
        SqlOp::Is(_) | SqlOp::IsNull | SqlOp::IsTruth(_) => ExprType::of(Type::Int),
        SqlOp::Concat => of(Type::Text, any_null),
        SqlOp::Cast { to, .. } => match to {
            Cast::Blob => of(Type::Bytes, any_null),
            Cast::Text => of(Type::Text, any_null),
            Cast::Integer => of(Type::Int, any_null),
            Cast::Real => of(Type::Float, any_null),
            Cast::Numeric => ExprType { nullable: any_null, ..ExprType::UNKNOWN },
        },
        SqlOp::Case => branches(args),
        SqlOp::CaseOf(_) => branches(args.get(1..).unwrap_or_default()),
        SqlOp::Coalesce => {
            let nullable = args.iter().all(|arg| arg.nullable);
            let kind = args.iter().cloned().reduce(ExprType::either).unwrap_or(ExprType::UNKNOWN);
            ExprType { nullable, ..kind }
        }
        SqlOp::NullIf(_) => args.first().cloned().unwrap_or(ExprType::UNKNOWN).or_null(),
        SqlOp::Min(_) | SqlOp::Max(_) => args.iter().cloned().reduce(ExprType::either).unwrap_or(ExprType::UNKNOWN),
        SqlOp::Arrow => ExprType::of(Type::Json).or_null(),
        SqlOp::LongArrow => ExprType::UNKNOWN,
        SqlOp::Plain => match args.first().cloned().unwrap_or(ExprType::UNKNOWN) {
            json if json.kind == Type::Json => of(Type::Text, json.nullable),
            other => other,
        },
        SqlOp::Call(function) => function.definition().returns.infer(args),
    }
}

fn arithmetic(operator: Arithmetic, args: &[ExprType], any_null: bool) -> ExprType {
    let is = |kind: Type| args.iter().any(|arg| arg.kind == kind);
    let divides = matches!(operator, Arithmetic::Divide | Arithmetic::Remainder);
    if is(Type::Float) {
        // Infinity minus infinity is no number, and what is none is NULL.
        return ExprType::of(Type::Float).or_null();
    }
    ExprType { nullable: any_null || divides || !args.iter().all(|arg| arg.kind == Type::Int), ..ExprType::UNKNOWN }
}

/// The values of CASE: every second, and the last where their number is odd.
fn branches(args: &[ExprType]) -> ExprType {
    let otherwise = if args.len().is_multiple_of(2) { Some(ExprType::NULL) } else { args.last().cloned() };
    let values = args.chunks(2).filter_map(|branch| match branch {
        [_, value] => Some(value.clone()),
        _ => None,
    });
    values.chain(otherwise).reduce(ExprType::either).unwrap_or(ExprType::UNKNOWN)
}
