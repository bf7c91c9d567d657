//! Constant folding: what reads no part of the record and asks no clock is evaluated once, when compiling.

use crate::expr::visit::Sees;
use crate::expr::{Expr, Input};
use crate::{Reject, RejectCode, Slots, Value, json};

/// The most bytes, as JSON, of a constant that folding makes; larger ones are made anew for each record.
const FOLDED_BYTES_MAX: usize = 4 * 1024;
/// The most items visited and bytes made to fold one expression.
const FOLDED_UNITS_MAX: u64 = 1024 * 1024;

/// Folds every constant part. What would be rejected for every record stays as it is.
#[must_use]
pub fn fold(mut expr: Expr) -> Expr {
    expr.each_child_mut(&mut |child, _| *child = fold(std::mem::replace(child, Expr::Current)));
    match constant(&expr) {
        Some(Ok(value)) => Expr::literal(value),
        _ => expr,
    }
}

/// The value of an expression that is the same for every record, or why every record is rejected; `None` for an
/// expression that is no constant, or one too large to keep.
#[must_use]
pub fn constant(expr: &Expr) -> Option<Result<Value<'static>, Reject>> {
    if matches!(expr, Expr::Literal(_) | Expr::Lambda(_)) || !is_constant(expr, false) {
        return None;
    }
    let input = Input::of(Value::Null);
    match Slots::bounded(&[], FOLDED_UNITS_MAX).evaluate(expr, &input) {
        Ok(value) => json::write(&value, FOLDED_BYTES_MAX).ok().map(|_| Ok(value.into_static())),
        Err(reject) if reject.code == RejectCode::LimitExceeded => None,
        Err(reject) => Some(Err(reject)),
    }
}

/// Whether nothing in it comes from outside; `bound` says that `Current` does not.
fn is_constant(expr: &Expr, bound: bool) -> bool {
    let own = match expr {
        Expr::Path { .. } | Expr::Shared(_) | Expr::With { .. } => false,
        Expr::Current => bound,
        Expr::Call { function, .. } => function.is_pure(),
        Expr::Sql { op, args, .. } => op.is_pure(args),
        _ => true,
    };
    let mut all = own;
    expr.each_child(&mut |child, sees| all = all && is_constant(child, bound || sees == Sees::Other));
    all
}
