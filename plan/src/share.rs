//! Common parts of expressions, read once: a part that stands in them more than once, and costs more than looking up
//! its value again, moves to a list of shared expressions.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::Expr;
use crate::expr::visit::Sees;

/// The most parts that are shared.
const SHARED_MAX: usize = 64;
/// What keeping and looking up a value costs, in steps of a path.
const SHARING_COST: usize = 4;

/// Moves what several expressions have in common to a list; they refer to it by [`Expr::Shared`].
pub fn hoist(exprs: &mut [&mut Expr]) -> Vec<Expr> {
    let mut shared: Vec<Expr> = Vec::new();
    while shared.len() < SHARED_MAX {
        let Some(best) = best(exprs, &shared) else { break };
        let at = Expr::Shared(shared.len());
        exprs.iter_mut().for_each(|expr| replace(expr, &best, &at));
        shared.iter_mut().for_each(|expr| replace(expr, &best, &at));
        shared.push(best);
    }
    in_order(exprs, shared)
}

/// The shared parts, each behind those that it uses: a small part that saves much is found before a larger one that
/// holds it, and the other way round.
fn in_order(exprs: &mut [&mut Expr], shared: Vec<Expr>) -> Vec<Expr> {
    let mut order: Vec<usize> = Vec::with_capacity(shared.len());
    while order.len() < shared.len() {
        let is_ready = |at: &usize| {
            let part = shared.get(*at);
            let waits =
                part.is_some_and(|part| part.any(&mut |e| matches!(e, Expr::Shared(on) if !order.contains(on))));
            !order.contains(at) && !waits
        };
        // No part holds itself, so one of those that are left is always ready.
        let Some(next) = (0..shared.len()).find(is_ready) else { break };
        order.push(next);
    }
    let place = |at: usize| order.iter().position(|own| *own == at).unwrap_or(at);
    exprs.iter_mut().for_each(|expr| renumber(expr, &place));
    let mut placed: Vec<(usize, Expr)> = shared.into_iter().enumerate().map(|(at, part)| (place(at), part)).collect();
    placed.sort_by_key(|(at, _)| *at);
    placed.iter_mut().for_each(|(_, part)| renumber(part, &place));
    placed.into_iter().map(|(_, part)| part).collect()
}

/// The same expression, what stands in it more than once shared.
#[must_use]
pub fn within(mut expr: Expr) -> Expr {
    let shared = hoist(&mut [&mut expr]);
    if shared.is_empty() { expr } else { Expr::With { shared, body: Box::new(expr) } }
}

/// A part of expressions, and how often it stands in them.
struct Part<'e> {
    expr: &'e Expr,
    uses: usize,
    cost: usize,
}

/// The parts, by what they look like from afar: those of one hash may differ.
type Parts<'e> = HashMap<u64, Vec<Part<'e>>>;

impl Part<'_> {
    /// What sharing it saves, where it saves anything.
    fn saves(&self) -> Option<usize> {
        let saved = self.cost.saturating_mul(self.uses.saturating_sub(1));
        saved.checked_sub(SHARING_COST).filter(|saved| *saved > 0)
    }
}

/// The part that saves most.
fn best(exprs: &[&mut Expr], shared: &[Expr]) -> Option<Expr> {
    let mut parts = Parts::new();
    exprs.iter().map(|expr| &**expr).chain(shared).for_each(|expr| {
        count(expr, &mut parts);
    });
    let saving = parts.values().flatten().filter_map(|part| Some((part.saves()?, part)));
    let best = saving.max_by(|(left_saves, left), (right_saves, right)| {
        // Of equal savings the larger part, then any fixed order.
        let first = (left_saves, left.cost).cmp(&(right_saves, right.cost));
        first.then_with(|| format!("{:?}", left.expr).cmp(&format!("{:?}", right.expr)))
    });
    best.map(|(_, part)| part.expr.clone())
}

/// Counts an expression and all in it; gives its hash.
fn count<'e>(expr: &'e Expr, parts: &mut Parts<'e>) -> u64 {
    let mut hasher = DefaultHasher::new();
    own_hash(expr, &mut hasher);
    expr.each_child(&mut |child, _| hasher.write_u64(count(child, parts)));
    let hash = hasher.finish();
    let is_leaf = matches!(expr, Expr::Literal(_) | Expr::Current | Expr::Shared(_) | Expr::Lambda(_));
    if !is_leaf && !expr.uses_current() && expr.is_pure() {
        let alike = parts.entry(hash).or_default();
        match alike.iter_mut().find(|part| part.expr == expr) {
            Some(part) => part.uses += 1,
            None => alike.push(Part { expr, uses: 1, cost: cost(expr) }),
        }
    }
    hash
}

/// The hash of what an expression is besides its parts; what is left out only makes more of them look alike.
fn own_hash(expr: &Expr, hasher: &mut DefaultHasher) {
    std::mem::discriminant(expr).hash(hasher);
    match expr {
        Expr::Path { root, names } => (std::mem::discriminant(root), &**names).hash(hasher),
        Expr::Field { name, .. } => name.hash(hasher),
        Expr::Index { at, .. } => at.hash(hasher),
        Expr::Shared(at) => at.hash(hasher),
        Expr::Call { function, .. } => function.definition().name.hash(hasher),
        Expr::Sql { op, .. } => std::mem::discriminant(op).hash(hasher),
        Expr::Object(fields) => fields.iter().for_each(|(name, _)| name.hash(hasher)),
        _ => {}
    }
}

/// What an evaluation costs, in steps of a path.
fn cost(expr: &Expr) -> usize {
    let own = match expr {
        Expr::Literal(_) | Expr::Current | Expr::Shared(_) | Expr::Lambda(_) => 0,
        Expr::Path { names, .. } => names.len(),
        Expr::Field { .. } | Expr::Index { .. } | Expr::Pipe { .. } | Expr::And(_) | Expr::Or(_) | Expr::Not(_) => 1,
        Expr::Compare { .. } | Expr::With { .. } => 2,
        Expr::Convert { .. } | Expr::List(_) | Expr::Object(_) | Expr::Altered { .. } => 4,
        Expr::Call { .. } | Expr::Sql { .. } => 6,
        Expr::Slice { .. } | Expr::Flatten(_) | Expr::Values(_) | Expr::Project { .. } | Expr::Filter { .. } => 16,
    };
    let mut total = own;
    expr.each_child(&mut |child, _| total += cost(child));
    total
}

fn replace(expr: &mut Expr, part: &Expr, by: &Expr) {
    if expr == part {
        *expr = by.clone();
        return;
    }
    expr.each_child_mut(&mut |child, _: Sees| replace(child, part, by));
}

fn renumber(expr: &mut Expr, place: &dyn Fn(usize) -> usize) {
    if let Expr::Shared(at) = expr {
        *at = place(*at);
    }
    expr.each_child_mut(&mut |child, _| renumber(child, place));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::{Input, Root};
    use crate::functions::Function;
    use crate::{Slots, Value};

    fn path(names: &[&str]) -> Expr {
        Expr::Path { root: Root::Value, names: names.iter().map(|name| (*name).to_owned()).collect() }
    }

    fn call(name: &str, arg: Expr) -> Expr {
        Expr::call(Function::named(name).expect("a builtin"), vec![arg])
    }

    #[test]
    fn what_stands_twice_is_evaluated_once() {
        let parsed = || call("json_parse", path(&["payload"]));
        let field = |name: &str| Expr::Field { of: Box::new(parsed()), name: name.to_owned() };
        let (mut left, mut right) =
            (call("upper", field("a")), Expr::List(vec![call("upper", field("a")), field("b")]));
        let shared = hoist(&mut [&mut left, &mut right]);
        assert_eq!(shared, [parsed(), call("upper", Expr::Field { of: Box::new(Expr::Shared(0)), name: "a".into() })]);
        assert_eq!(left, Expr::Shared(1));
        let payload = Value::Text(r#"{"a": "x", "b": 1}"#.into());
        let input = Input::of(Value::Object(vec![("payload".into(), payload)].into()));
        let slots = Slots::new(&shared);
        assert_eq!(slots.evaluate(&left, &input), Ok(Value::Text("X".into())));
        let list = Value::List(vec![Value::Text("X".into()), Value::Int(1)].into());
        assert_eq!(slots.evaluate(&right, &input), Ok(list));
    }

    #[test]
    fn a_part_stands_behind_those_it_uses() {
        // The small part saves more than the large one that holds it, and is found first.
        let small = || call("upper", path(&["a"]));
        let large = || call("lower", call("upper", Expr::List(vec![small(), path(&["b"])])));
        let mut exprs = [small(), small(), small(), small(), large(), large()];
        let shared = hoist(&mut exprs.iter_mut().collect::<Vec<_>>());
        assert_eq!(shared.first(), Some(&small()));
        for (at, part) in shared.iter().enumerate() {
            assert!(!part.any(&mut |expr| matches!(expr, Expr::Shared(on) if *on >= at)), "{shared:?}");
        }
    }

    #[test]
    fn what_is_cheap_or_random_stays() {
        let cheap = Expr::List(vec![path(&["a", "b"]), path(&["a", "b"])]);
        assert_eq!(within(cheap.clone()), cheap);
        let uuid = || Expr::call(Function::named("uuid").expect("a builtin"), Vec::new());
        let random = Expr::List(vec![call("upper", uuid()), call("upper", uuid())]);
        assert_eq!(within(random.clone()), random);
    }
}
