//! Walks over expressions: the children of each kind of node, once by reference and once mutably.

use super::Expr;

/// What a child sees as `Current`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sees {
    /// The same as its parent.
    Same,
    /// What its parent hands in.
    Other,
}

macro_rules! children {
    ($expr:expr, $visit:expr, $iter:ident) => {
        match $expr {
            Expr::Literal(_) | Expr::Path { .. } | Expr::Current | Expr::Shared(_) => {}
            Expr::Field { of, .. }
            | Expr::Index { of, .. }
            | Expr::Slice { of, .. }
            | Expr::Flatten(of)
            | Expr::Values(of)
            | Expr::Not(of)
            | Expr::Convert { from: of, .. } => $visit(of, Sees::Same),
            Expr::Lambda(body) => $visit(body, Sees::Other),
            Expr::Project { of, body } | Expr::Filter { of, keep: body } | Expr::Pipe { of, body, .. } => {
                $visit(of, Sees::Same);
                $visit(body, Sees::Other);
            }
            Expr::List(items)
            | Expr::And(items)
            | Expr::Or(items)
            | Expr::Call { args: items, .. }
            | Expr::Sql { args: items, .. } => {
                items.$iter().for_each(|item| $visit(item, Sees::Same));
            }
            Expr::Object(fields) => fields.$iter().for_each(|(_, value)| $visit(value, Sees::Same)),
            Expr::Altered { of, set, .. } => {
                $visit(of, Sees::Same);
                set.$iter().for_each(|(_, value)| $visit(value, Sees::Same));
            }
            Expr::Compare { left, right, .. } => {
                $visit(left, Sees::Same);
                $visit(right, Sees::Same);
            }
            Expr::With { shared, body } => {
                shared.$iter().for_each(|item| $visit(item, Sees::Same));
                $visit(body, Sees::Same);
            }
        }
    };
}

impl Expr {
    /// Calls `visit` for each child, in the order of evaluation.
    pub fn each_child<'e>(&'e self, visit: &mut dyn FnMut(&'e Self, Sees)) {
        children!(self, visit, iter);
    }

    /// Calls `visit` for each child, which may replace it.
    pub fn each_child_mut(&mut self, visit: &mut dyn FnMut(&mut Self, Sees)) {
        children!(self, visit, iter_mut);
    }

    /// Whether this or anything in it is what `test` looks for.
    pub fn any(&self, test: &mut dyn FnMut(&Self) -> bool) -> bool {
        if test(self) {
            return true;
        }
        let mut found = false;
        self.each_child(&mut |child, _| found = found || child.any(test));
        found
    }

    /// Whether it needs a `Current` from outside.
    #[must_use]
    pub fn uses_current(&self) -> bool {
        let mut found = matches!(self, Self::Current);
        self.each_child(&mut |child, sees| found = found || (sees == Sees::Same && child.uses_current()));
        found
    }

    /// How many levels it has.
    #[must_use]
    pub fn depth(&self) -> usize {
        let mut deepest = 0;
        self.each_child(&mut |child, _| deepest = deepest.max(child.depth()));
        deepest + 1
    }
}
