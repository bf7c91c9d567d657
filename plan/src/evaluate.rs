//! Evaluation of expressions over one record. What is in the record or the plan is borrowed, never copied; lists are
//! streamed through projections and filters, so that only results are built.
//!
//! Every item visited and every byte made is charged to a budget, so that no expression runs away.

mod each;
mod held;

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};

pub use held::{Elements, Held, Item, Ref};

use crate::expr::{Comparator, Input, Literal, Names, Root};
use crate::functions::Args;
use crate::value::Items;
use crate::{Expr, Reject, RejectCode, Value, compare, convert, sql};

/// The most items visited and bytes made for one record: about a second of work, and as many bytes of memory.
pub const UNITS_MAX: u64 = 256 * 1024 * 1024;
/// What a value that is made costs: the bytes that it takes, its text or elements aside.
pub(crate) const VALUE_UNITS: usize = size_of::<Value<'_>>();
/// What a field that is made costs.
const FIELD_UNITS: usize = size_of::<crate::value::Field<'_>>();

/// The most items for which a list is made in advance.
const EXPECTED_ITEMS_MAX: usize = 1024;

type Slot<'a> = OnceCell<Result<Value<'a>, Reject>>;

/// The shared expressions of an output over one record, each evaluated when it is first asked for.
#[derive(Debug)]
pub struct Slots<'a> {
    exprs: &'a [Expr],
    values: Vec<Slot<'a>>,
    units: Cell<u64>,
}

impl<'a> Slots<'a> {
    /// Slots for one record, none of them evaluated yet.
    #[must_use]
    pub fn new(exprs: &'a [Expr]) -> Self {
        Self::bounded(exprs, UNITS_MAX)
    }

    /// The same with another bound than [`UNITS_MAX`].
    #[must_use]
    pub fn bounded(exprs: &'a [Expr], units_max: u64) -> Self {
        Self { exprs, values: exprs.iter().map(|_| OnceCell::new()).collect(), units: Cell::new(units_max) }
    }

    /// Evaluates an expression that may use them. All calls for one `Slots` must have the same input.
    ///
    /// # Errors
    /// The reason for which the record must be rejected.
    pub fn evaluate(&self, expr: &'a Expr, input: &'a Input<'a>) -> Result<Value<'a>, Reject> {
        let shared = Shared { exprs: self.exprs, values: &self.values };
        let record = Record { input, shared, units: &self.units };
        Evaluator { record: &record, current: Ref::NULL }.value(expr)
    }
}

/// The value of an expression that stands alone.
pub(crate) fn alone<'a>(expr: &'a Expr, input: &'a Input<'a>) -> Result<Value<'a>, Reject> {
    let units = Cell::new(UNITS_MAX);
    let record = Record { input, shared: Shared { exprs: &[], values: &[] }, units: &units };
    Evaluator { record: &record, current: Ref::NULL }.value(expr)
}

/// What a path leads to.
#[inline]
pub(crate) fn path<'a>(input: &'a Input<'a>, root: Root, names: &Names) -> Value<'a> {
    match input.root(root).and_then(|start| names.follow(start)) {
        Some(found) => found.borrowed(),
        None => Value::Null,
    }
}

/// Shared expressions and their values so far.
#[derive(Debug, Clone, Copy)]
struct Shared<'t, 'a> {
    exprs: &'a [Expr],
    values: &'t [Slot<'a>],
}

/// What stays the same while one record is evaluated.
#[derive(Debug)]
struct Record<'t, 'a> {
    input: &'a Input<'a>,
    shared: Shared<'t, 'a>,
    units: &'t Cell<u64>,
}

/// The state of an evaluation at one place of the expression. `'a` is how long results live, `'t` how long what
/// this evaluation made in passing.
#[derive(Debug, Clone, Copy)]
pub struct Evaluator<'t, 'a> {
    record: &'t Record<'t, 'a>,
    current: Ref<'t, 'a>,
}

impl<'t, 'a> Evaluator<'t, 'a> {
    /// The value of an expression, to keep.
    ///
    /// # Errors
    /// The reason for which the record must be rejected; the same holds for every method below.
    #[inline]
    pub fn value(&self, expr: &'a Expr) -> Result<Value<'a>, Reject> {
        match expr {
            Expr::Sql { op, args, prepared } => sql::evaluate(self, op, args, prepared),
            Expr::Call { function, args, prepared } => function.call(&Args::new(*self, *function, args, prepared)),
            _ => match self.plain(expr) {
                Some(Ref::Lasting(value)) => Ok(value.borrowed()),
                _ => self.made(expr),
            },
        }
    }

    /// The value of an expression that no operator or function gives, and that no path leads to.
    fn made(&self, expr: &'a Expr) -> Result<Value<'a>, Reject> {
        match expr {
            Expr::Slice { .. } | Expr::Flatten(_) | Expr::Values(_) | Expr::Project { .. } | Expr::Filter { .. } => {
                self.collect(expr)
            }
            Expr::List(items) => self.list(items),
            Expr::Object(fields) => self.object(fields),
            Expr::Altered { of, set, without } => self.altered(of, set, without),
            Expr::Not(of) => Ok(Value::Bool(!self.is_true(of)?)),
            Expr::Compare { op, left, right } => Ok(self.compare(*op, left, right)?.map_or(Value::Null, Value::Bool)),
            Expr::Lambda(_) => Err(misplaced("an expression reference", "an argument")),
            Expr::Convert { from, to } => convert::convert(self.value(from)?, to),
            Expr::With { shared, body } => self.with(shared, body),
            _ => self.keep(self.look(expr)?),
        }
    }

    /// The value of an expression, only to look at.
    pub fn look(&self, expr: &'a Expr) -> Result<Held<'t, 'a>, Reject> {
        if let Some(found) = self.plain(expr) {
            return Ok(found.held());
        }
        match expr {
            Expr::Path { .. } => Ok(Held::Own(Value::Text(Cow::Borrowed(self.record.input.opcode)))),
            Expr::Sql { op, args, prepared } => sql::evaluate(self, op, args, prepared).map(Held::Own),
            Expr::Field { of, name } => Ok(self.look(of)?.field(name)),
            Expr::Index { of, at } => self.index(of, *at),
            Expr::Shared(at) => self.slot(*at),
            Expr::Pipe { of, body, stops_at_null } => self.pipe(of, body, *stops_at_null),
            Expr::And(items) => self.first(items, false),
            Expr::Or(items) => self.first(items, true),
            other => self.value(other).map(Held::Own),
        }
    }

    /// What `then` makes of a value that it only looks at. The value stays where it was made: to move one costs more
    /// than most operators.
    #[inline]
    pub(crate) fn seen<R>(
        &self,
        expr: &'a Expr,
        then: impl FnOnce(Ref<'_, 'a>) -> Result<R, Reject>,
    ) -> Result<R, Reject> {
        let made;
        let held;
        let seen = match self.plain(expr) {
            Some(found) => found,
            None if makes(expr) => {
                made = self.value(expr);
                match &made {
                    Ok(value) => Ref::Passing(value),
                    Err(reject) => return Err(again(reject)),
                }
            }
            None => {
                held = self.look(expr)?;
                held.as_ref()
            }
        };
        then(seen)
    }

    /// What `then` makes of a value that it may take.
    #[inline]
    pub(crate) fn taken<R>(
        &self,
        expr: &'a Expr,
        then: impl FnOnce(Item<'_, 'a>) -> Result<R, Reject>,
    ) -> Result<R, Reject> {
        let mut made;
        let mut held;
        let item = match self.plain(expr) {
            Some(found) => found.item(),
            None if makes(expr) => {
                made = self.value(expr);
                match &mut made {
                    Ok(value) => Item::Made(value),
                    Err(reject) => return Err(again(reject)),
                }
            }
            None => {
                held = self.look(expr)?;
                held.item()
            }
        };
        then(item)
    }

    /// The same with two values, looked at from left to right.
    #[inline]
    pub(crate) fn both<R>(
        &self,
        left: &'a Expr,
        right: &'a Expr,
        then: impl FnOnce(&Value<'a>, &Value<'a>) -> Result<R, Reject>,
    ) -> Result<R, Reject> {
        self.seen(left, |left| self.seen(right, |right| then(left.get(), right.get())))
    }

    /// The value of an expression that only leads to one, without anything being made; `None` for any other. A constant
    /// is told without a call.
    #[expect(clippy::inline_always, reason = "every operator asks for its arguments, of which half are constants")]
    #[inline(always)]
    pub(crate) fn plain(&self, expr: &'a Expr) -> Option<Ref<'t, 'a>> {
        match expr {
            Expr::Literal(Literal(value)) => Some(Ref::Lasting(value)),
            Expr::Path { root, names } => self.path(*root, names).map(Ref::Lasting),
            Expr::Current => Some(self.current),
            Expr::Field { of, name } => self.plain_field(of, name),
            _ => None,
        }
    }

    fn plain_field(&self, of: &'a Expr, name: &str) -> Option<Ref<'t, 'a>> {
        Some(self.plain(of)?.field(name))
    }

    /// What a path leads to; `None` for the opcode, which is no value of the record.
    fn path(&self, root: Root, names: &'a Names) -> Option<&'a Value<'a>> {
        let start = self.record.input.root(root)?;
        Some(names.follow(start).unwrap_or(held::null()))
    }

    /// How long a list expression gets, roughly: how much room to make.
    pub(crate) fn expected_len(&self, expr: &'a Expr) -> usize {
        match expr {
            Expr::Project { of, .. } | Expr::Flatten(of) => self.expected_len(of),
            Expr::Filter { of, .. } | Expr::Slice { of, .. } => self.expected_len(of) / 2,
            other => match self.plain(other).map(Ref::get) {
                Some(Value::List(items)) => items.len().min(EXPECTED_ITEMS_MAX),
                _ => 0,
            },
        }
    }

    /// Whether an expression is true as JMESPath has it, without its value being made.
    pub(crate) fn is_true(&self, expr: &'a Expr) -> Result<bool, Reject> {
        match expr {
            Expr::Compare { op, left, right } => {
                self.both(left, right, |left, right| Ok(compare::compare(*op, left, right) == Some(true)))
            }
            Expr::Not(of) => Ok(!self.is_true(of)?),
            Expr::And(items) => self.are(items, true),
            Expr::Or(items) => Ok(!self.are(items, false)?),
            other => self.seen(other, |value| Ok(compare::is_true(value.get()))),
        }
    }

    /// Whether the truth of every expression is `wanted`; the first that is not ends it.
    fn are(&self, items: &'a [Expr], wanted: bool) -> Result<bool, Reject> {
        for item in items {
            if self.is_true(item)? != wanted {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The same evaluation with another `Current`.
    #[must_use]
    pub const fn with_current<'s>(&self, current: Ref<'s, 'a>) -> Evaluator<'s, 'a>
    where
        't: 's,
    {
        Evaluator { record: self.record, current }
    }

    /// A value to keep: what is only passing is copied, and charged for.
    pub fn keep(&self, held: Held<'_, 'a>) -> Result<Value<'a>, Reject> {
        match held {
            Held::Lasting(value) => Ok(value.borrowed()),
            Held::Passing(value) => self.copy(value),
            Held::Own(value) => Ok(value),
        }
    }

    /// The same of a value on its way.
    pub(crate) fn keep_item(&self, item: Item<'_, 'a>) -> Result<Value<'a>, Reject> {
        match item {
            Item::Lasting(value) => Ok(value.borrowed()),
            Item::Passing(value) => self.copy(value),
            Item::Made(value) => Ok(std::mem::replace(value, Value::Null)),
        }
    }

    /// The time that is now: microseconds since 1970-01-01T00:00:00Z.
    pub(crate) const fn now_us(&self) -> i64 {
        self.record.input.now_us
    }

    /// Charges for items visited or bytes made.
    #[inline]
    pub fn charge(&self, units: usize) -> Result<(), Reject> {
        let cell = self.record.units;
        match cell.get().checked_sub(units as u64) {
            Some(left) => {
                cell.set(left);
                Ok(())
            }
            None => Err(too_much()),
        }
    }

    fn copy(&self, value: &Value<'a>) -> Result<Value<'a>, Reject> {
        match value {
            Value::List(crate::value::Items::Owned(items)) => {
                self.charge(items.len().saturating_mul(VALUE_UNITS))?;
                items.iter().map(|item| self.copy(item)).collect::<Result<_, _>>().map(Value::List)
            }
            Value::Object(crate::value::Items::Owned(fields)) => {
                self.charge(fields.len().saturating_mul(FIELD_UNITS))?;
                let copy = |(name, value): &crate::value::Field<'a>| Ok((name.clone(), self.copy(value)?));
                fields.iter().map(copy).collect::<Result<_, _>>().map(Value::Object)
            }
            Value::Text(Cow::Owned(text)) | Value::Json(Cow::Owned(text)) | Value::Decimal(Cow::Owned(text)) => {
                self.charge(text.len())?;
                Ok(value.clone())
            }
            Value::Bytes(Cow::Owned(bytes)) => {
                self.charge(bytes.len())?;
                Ok(value.clone())
            }
            other => Ok(other.clone()),
        }
    }

    fn slot(&self, at: usize) -> Result<Held<'t, 'a>, Reject> {
        let shared = self.record.shared;
        let (Some(expr), Some(slot)) = (shared.exprs.get(at), shared.values.get(at)) else {
            return Err(misplaced("a shared value", "an output that has it"));
        };
        // A shared expression sees only those before it, so it never waits for itself.
        let found = slot.get_or_init(|| {
            let before = Shared { exprs: shared.exprs.get(..at).unwrap_or_default(), values: shared.values };
            let record = Record { shared: before, ..*self.record };
            Evaluator { record: &record, current: Ref::NULL }.value(expr)
        });
        found.as_ref().map(Held::Passing).map_err(Clone::clone)
    }

    fn with(&self, exprs: &'a [Expr], body: &'a Expr) -> Result<Value<'a>, Reject> {
        let values: Vec<Slot<'a>> = exprs.iter().map(|_| OnceCell::new()).collect();
        let shared = Shared { exprs, values: &values };
        let record = Record { shared, ..*self.record };
        Evaluator { record: &record, current: self.current }.value(body)
    }

    fn pipe(&self, of: &'a Expr, body: &'a Expr, stops_at_null: bool) -> Result<Held<'t, 'a>, Reject> {
        let held = self.look(of)?;
        if stops_at_null && held.get().is_null() {
            return Ok(Held::NULL);
        }
        match held {
            Held::Lasting(value) => self.with_current(Ref::Lasting(value)).look(body),
            Held::Passing(value) => self.with_current(Ref::Passing(value)).look(body),
            Held::Own(value) => self.with_current(Ref::Passing(&value)).value(body).map(Held::Own),
        }
    }

    /// An element. Of a list that would be made for it, only the element is.
    fn index(&self, of: &'a Expr, at: i64) -> Result<Held<'t, 'a>, Reject> {
        let is_made = matches!(of, Expr::Filter { .. } | Expr::Project { .. } | Expr::Flatten(_));
        let Some(at) = u64::try_from(at).ok().filter(|_| is_made) else {
            return Ok(self.look(of)?.index(at));
        };
        let (mut place, mut found) = (0, Held::NULL);
        self.each(of, &mut |item| {
            if place == at {
                found = match item {
                    Item::Lasting(value) => Held::Lasting(value),
                    Item::Passing(value) => Held::Own(self.copy(value)?),
                    Item::Made(value) => Held::Own(std::mem::replace(value, Value::Null)),
                };
            }
            place += 1;
            Ok(())
        })?;
        Ok(found)
    }

    /// The first operand that is true, or false; else the last.
    fn first(&self, items: &'a [Expr], wanted: bool) -> Result<Held<'t, 'a>, Reject> {
        let Some((last, items)) = items.split_last() else { return Ok(Held::NULL) };
        for item in items {
            if let Some(found) = self.plain(item) {
                if compare::is_true(found.get()) == wanted {
                    return Ok(found.held());
                }
            } else if let Expr::Compare { op, left, right } = item {
                let outcome = self.compare(*op, left, right)?;
                if (outcome == Some(true)) == wanted {
                    return Ok(Held::Own(outcome.map_or(Value::Null, Value::Bool)));
                }
            } else {
                let held = self.look(item)?;
                if compare::is_true(held.get()) == wanted {
                    return Ok(held);
                }
            }
        }
        self.look(last)
    }

    fn compare(&self, op: Comparator, left: &'a Expr, right: &'a Expr) -> Result<Option<bool>, Reject> {
        self.both(left, right, |left, right| Ok(compare::compare(op, left, right)))
    }

    fn list(&self, exprs: &'a [Expr]) -> Result<Value<'a>, Reject> {
        self.charge(exprs.len().saturating_mul(VALUE_UNITS))?;
        let mut items = Vec::with_capacity(exprs.len());
        for expr in exprs {
            items.push(self.value(expr)?);
        }
        Ok(Value::List(items.into()))
    }

    fn object(&self, exprs: &'a [(String, Expr)]) -> Result<Value<'a>, Reject> {
        self.charge(exprs.len().saturating_mul(FIELD_UNITS))?;
        let mut fields = Vec::with_capacity(exprs.len());
        for (name, expr) in exprs {
            fields.push((Cow::Borrowed(name.as_str()), self.value(expr)?));
        }
        Ok(Value::Object(fields.into()))
    }

    fn altered(&self, of: &'a Expr, set: &'a [(String, Expr)], without: &[String]) -> Result<Value<'a>, Reject> {
        let mut fields = match self.keep(self.look(of)?)? {
            Value::Object(Items::Owned(fields)) => fields,
            Value::Object(Items::Borrowed(fields)) => {
                fields.iter().map(|(name, value)| (Cow::Borrowed(name.as_ref()), value.borrowed())).collect()
            }
            _ => Vec::new(),
        };
        self.charge(fields.len().saturating_add(set.len()).saturating_mul(FIELD_UNITS))?;
        fields.retain(|(name, _)| without.iter().all(|gone| gone != name));
        for (name, expr) in set {
            let value = self.value(expr)?;
            match fields.iter_mut().find(|(known, _)| known == name) {
                Some((_, known)) => *known = value,
                None => fields.push((Cow::Borrowed(name.as_str()), value)),
            }
        }
        Ok(Value::Object(fields.into()))
    }
}

/// Whether an expression makes a value of its own, which [`Evaluator::value`] gives without a copy.
const fn makes(expr: &Expr) -> bool {
    matches!(expr, Expr::Sql { .. } | Expr::Call { .. } | Expr::Compare { .. } | Expr::Convert { .. } | Expr::Not(_))
}

/// The same rejection, of a value that stays where it was made.
#[cold]
fn again(reject: &Reject) -> Reject {
    reject.clone()
}

#[cold]
fn too_much() -> Reject {
    let reason = "the expression visits or makes more items and bytes than it may for one record";
    Reject::new(RejectCode::LimitExceeded, reason)
}

/// A plan that no compiler makes.
fn misplaced(what: &str, place: &str) -> Reject {
    Reject::new(RejectCode::InvalidArgument, format!("the plan is damaged: {what} stands outside {place}"))
}
