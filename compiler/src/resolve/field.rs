//! The record as a tree of fields, while the steps of a job change it: what is set, what is gone, what is untouched.
//! Knows no step and no language, only where values come from.

use redis_wb_plan::{Expr, ExprType, Type};

use crate::expr::{Gone, field_of};
use crate::source::Span;

/// A field, or the record itself.
#[derive(Debug, Clone)]
pub(super) struct Field {
    /// Its value where no step changed anything below it; `None` for an object of what is below alone.
    value: Option<Expr>,
    /// What steps changed below it.
    below: Vec<(String, Below)>,
    /// The step that left no other fields than those below.
    closed: Option<Gone>,
    /// The step that set it.
    pub(super) set: Option<Set>,
}

/// Which step set a field.
#[derive(Debug, Clone, Copy)]
pub(super) struct Set {
    /// Its number in the job.
    pub(super) step: usize,
    /// Where it names the field.
    pub(super) span: Span,
}

#[derive(Debug, Clone)]
enum Below {
    There(Field),
    Gone(Gone),
}

/// What a path leads to.
pub(super) enum Found {
    /// A field that a step set, or an untouched one.
    There(Field),
    /// Nothing: this step took it away.
    Gone(Gone),
    /// Nothing that is known.
    Unknown,
}

impl Field {
    /// A field with this value. The fields of an object are known one by one.
    pub(super) fn of(expr: Expr) -> Self {
        match expr {
            Expr::Object(fields) => Self::object(fields.into_iter().map(|(name, value)| (name, Self::of(value)))),
            Expr::Pipe { of, body, stops_at_null } if matches!(*body, Expr::Object(_)) => {
                let Expr::Object(fields) = *body else { return Self::plain(Expr::NULL) };
                Self::object(fields.into_iter().map(|(name, body)| {
                    let piped = Expr::Pipe { of: of.clone(), body: Box::new(body.clone()), stops_at_null };
                    (name, Self::of(if body.uses_current() { piped } else { body }))
                }))
            }
            other => Self::plain(other),
        }
    }

    const fn plain(value: Expr) -> Self {
        Self { value: Some(value), below: Vec::new(), closed: None, set: None }
    }

    /// An object of these fields and no others.
    pub(super) fn object(fields: impl Iterator<Item = (String, Self)>) -> Self {
        let below = fields.map(|(name, field)| (name, Below::There(field))).collect();
        Self { value: None, below, closed: None, set: None }
    }

    /// The same, set by a step.
    pub(super) fn set_by(mut self, set: Set) -> Self {
        self.set = Some(set);
        self
    }

    /// The same, whose other fields a step took away.
    pub(super) fn closed_by(mut self, gone: Gone) -> Self {
        self.closed = self.value.is_none().then_some(gone);
        self
    }

    /// The names of the fields that are known.
    pub(super) fn names(&self) -> Vec<String> {
        let there = self.below.iter().filter(|(_, below)| matches!(below, Below::There(_)));
        there.map(|(name, _)| name.clone()).collect()
    }

    /// The value of the field, with all changes below it.
    pub(super) fn expr(&self) -> Expr {
        let (mut set, mut without) = (Vec::new(), Vec::new());
        for (name, below) in &self.below {
            match below {
                Below::There(field) => set.push((name.clone(), field.expr())),
                Below::Gone(_) => without.push(name.clone()),
            }
        }
        match &self.value {
            Some(value) if self.below.is_empty() => value.clone(),
            Some(value) => Expr::Altered { of: Box::new(value.clone()), set, without },
            None => Expr::Object(set),
        }
    }

    /// Whether a step changed the field of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.below.iter().any(|(known, _)| known == name)
    }

    /// The steps that set this field or something below it.
    pub(super) fn steps(&self) -> Vec<usize> {
        let below = self.below.iter().filter_map(|(_, below)| match below {
            Below::There(field) => Some(field.steps()),
            Below::Gone(_) => None,
        });
        self.set.iter().map(|set| set.step).chain(below.flatten()).collect()
    }

    /// What a path from this field leads to.
    pub(super) fn find(&self, names: &[String], kind: &dyn Fn(&Expr) -> ExprType) -> Found {
        let Some((first, rest)) = names.split_first() else {
            return Found::There(self.clone());
        };
        match self.below.iter().find(|(name, _)| name == first).map(|(_, below)| below) {
            Some(Below::There(field)) => field.find(rest, kind),
            Some(Below::Gone(gone)) => Found::Gone(gone.clone()),
            None => match (self.child(first, kind), &self.closed) {
                (Some(child), _) => child.find(rest, kind),
                (None, Some(gone)) => Found::Gone(gone.clone()),
                (None, None) => Found::Unknown,
            },
        }
    }

    /// An untouched field of this name.
    fn child(&self, name: &str, kind: &dyn Fn(&Expr) -> ExprType) -> Option<Self> {
        let value = self.value.as_ref()?;
        let child = Self::plain(field_of(value.clone(), &kind(value), name));
        Some(Self { set: self.set, ..child })
    }

    /// Puts a field at a path.
    pub(super) fn put(&mut self, names: &[String], field: Self, kind: &dyn Fn(&Expr) -> ExprType) {
        self.change(names, Below::There(field), kind);
    }

    /// Takes the field at a path away.
    pub(super) fn take(&mut self, names: &[String], gone: Gone, kind: &dyn Fn(&Expr) -> ExprType) {
        self.change(names, Below::Gone(gone), kind);
    }

    fn change(&mut self, names: &[String], change: Below, kind: &dyn Fn(&Expr) -> ExprType) {
        let Some((first, rest)) = names.split_first() else {
            return;
        };
        let at = self.below.iter().position(|(name, _)| name == first);
        if rest.is_empty() {
            match at.and_then(|at| self.below.get_mut(at)) {
                Some((_, below)) => *below = change,
                None => self.below.push((first.clone(), change)),
            }
            return;
        }
        let untouched = self.child(first, kind).unwrap_or_else(|| Self::object(std::iter::empty()));
        let at = at.unwrap_or_else(|| {
            self.below.push((first.clone(), Below::There(untouched)));
            self.below.len() - 1
        });
        let Some((_, below)) = self.below.get_mut(at) else { return };
        if let Below::Gone(_) = below {
            *below = Below::There(Self::object(std::iter::empty()));
        }
        if let Below::There(field) = below {
            field.change(rest, change, kind);
        }
    }
}

/// Whether a value of this type can be a record.
pub(super) const fn has_fields(kind: &ExprType) -> bool {
    matches!(kind.kind, Type::Unknown | Type::Object | Type::Json)
}
