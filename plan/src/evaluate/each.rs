//! Lists in motion: projections, filters, slices and flattening hand each element on as soon as it is known, so a
//! chain of them builds one list, the last.

use super::{Evaluator, Held, Item, VALUE_UNITS, makes};
use crate::value::Items;
use crate::{Expr, Reject, RejectCode, Value};

/// What is done with each element.
pub(crate) type Visit<'v, 'a> = &'v mut dyn FnMut(Item<'_, 'a>) -> Result<(), Reject>;

impl<'a> Evaluator<'_, 'a> {
    /// The elements of a list expression as a list; null where it is none.
    pub(super) fn collect(&self, expr: &'a Expr) -> Result<Value<'a>, Reject> {
        let mut items = Vec::with_capacity(self.expected_len(expr));
        let is_list = self.each(expr, &mut |item| {
            self.charge(VALUE_UNITS)?;
            match item {
                Item::Lasting(value) => items.push(value.borrowed()),
                Item::Passing(value) => items.push(self.copy(value)?),
                Item::Made(value) => items.push(std::mem::replace(value, Value::Null)),
            }
            Ok(())
        })?;
        Ok(if is_list { Value::List(Items::Owned(items)) } else { Value::Null })
    }

    /// Visits each element of a list; whether the expression gives one.
    pub(crate) fn each(&self, expr: &'a Expr, visit: Visit<'_, 'a>) -> Result<bool, Reject> {
        match expr {
            Expr::Project { of, body } => self.each(of, &mut |item| self.project(item, body, visit)),
            Expr::Filter { of, keep } => self.each(of, &mut |item| {
                if self.with_current(item.as_ref()).is_true(keep)? { visit(item) } else { Ok(()) }
            }),
            Expr::Flatten(of) => self.each(of, &mut |item| match item.get() {
                Value::List(_) => self.visit_all(item, visit).map(|_| ()),
                _ => visit(item),
            }),
            Expr::Slice { of, start, stop, step } => {
                let held = self.look(of)?;
                self.slice(held, (*start, *stop, step.unwrap_or(1)), visit)
            }
            Expr::Values(of) => match self.plain(of) {
                Some(found) => self.values(found.item(), visit),
                None => self.values(self.look(of)?.item(), visit),
            },
            other => match self.plain(other) {
                Some(found) => self.visit_all(found.item(), visit),
                None => self.visit_all(self.look(other)?.item(), visit),
            },
        }
    }

    fn project(&self, item: Item<'_, 'a>, body: &'a Expr, visit: Visit<'_, 'a>) -> Result<(), Reject> {
        if matches!(body, Expr::Current) {
            return if item.get().is_null() { Ok(()) } else { visit(item) };
        }
        let inner = self.with_current(item.as_ref());
        if let Some(found) = inner.plain(body) {
            return if found.get().is_null() { Ok(()) } else { visit(found.item()) };
        }
        if makes(body) || matches!(body, Expr::Object(_) | Expr::List(_)) {
            return match &mut inner.value(body) {
                Ok(value) if value.is_null() => Ok(()),
                Ok(value) => visit(Item::Made(value)),
                Err(reject) => Err(reject.clone()),
            };
        }
        let mut result = inner.look(body)?;
        if result.get().is_null() { Ok(()) } else { visit(result.item()) }
    }

    fn visit_all(&self, item: Item<'_, 'a>, visit: Visit<'_, 'a>) -> Result<bool, Reject> {
        match item {
            Item::Lasting(Value::List(items)) => self.visit_lasting(items, visit)?,
            Item::Passing(&Value::List(Items::Borrowed(items)))
            | Item::Made(&mut Value::List(Items::Borrowed(items))) => self.visit_lasting(items, visit)?,
            Item::Passing(Value::List(Items::Owned(items))) => {
                self.charge(items.len())?;
                items.iter().try_for_each(|item| visit(Item::Passing(item)))?;
            }
            Item::Made(Value::List(Items::Owned(items))) => {
                self.charge(items.len())?;
                items.iter_mut().try_for_each(|item| visit(Item::Made(item)))?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn visit_lasting(&self, items: &'a [Value<'a>], visit: Visit<'_, 'a>) -> Result<(), Reject> {
        self.charge(items.len())?;
        items.iter().try_for_each(|item| visit(Item::Lasting(item)))
    }

    fn values(&self, item: Item<'_, 'a>, visit: Visit<'_, 'a>) -> Result<bool, Reject> {
        match item {
            Item::Lasting(Value::Object(fields)) => self.values_lasting(fields, visit)?,
            Item::Passing(&Value::Object(Items::Borrowed(fields)))
            | Item::Made(&mut Value::Object(Items::Borrowed(fields))) => self.values_lasting(fields, visit)?,
            Item::Passing(Value::Object(Items::Owned(fields))) => {
                self.charge(fields.len())?;
                fields.iter().try_for_each(|(_, value)| visit(Item::Passing(value)))?;
            }
            Item::Made(Value::Object(Items::Owned(fields))) => {
                self.charge(fields.len())?;
                fields.iter_mut().try_for_each(|(_, value)| visit(Item::Made(value)))?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn values_lasting(&self, fields: &'a [crate::value::Field<'a>], visit: Visit<'_, 'a>) -> Result<(), Reject> {
        self.charge(fields.len())?;
        fields.iter().try_for_each(|(_, value)| visit(Item::Lasting(value)))
    }

    /// A slice as Python has it: bounds are clamped, negative ones count from the end.
    fn slice(
        &self,
        held: Held<'_, 'a>,
        (start, stop, step): (Option<i64>, Option<i64>, i64),
        visit: Visit<'_, 'a>,
    ) -> Result<bool, Reject> {
        let Some(elements) = held.elements() else {
            return Ok(false);
        };
        let len = i64::try_from(elements.len()).unwrap_or(i64::MAX);
        let from_end = |at: i64| if at < 0 { at.saturating_add(len) } else { at };
        if step == 0 {
            return Err(Reject::new(RejectCode::InvalidArgument, "the step of a slice is 0"));
        }
        self.charge(elements.len())?;
        let every = usize::try_from(step.unsigned_abs()).unwrap_or(usize::MAX);
        if step > 0 {
            let start = usize_of(start.map_or(0, from_end).clamp(0, len));
            let stop = usize_of(stop.map_or(len, from_end).clamp(0, len));
            let part = elements.skip(start).take(stop.saturating_sub(start));
            part.step_by(every).try_for_each(|mut held| visit(held.item()))?;
        } else {
            // The same from the other end: the element `at` is the element `len - 1 - at` of the reversed list.
            let start = start.map_or(len - 1, from_end).clamp(-1, len - 1);
            let stop = stop.map_or(-1, from_end).clamp(-1, len - 1);
            let part = elements.rev().skip(usize_of(len - 1 - start)).take(usize_of((start - stop).max(0)));
            part.step_by(every).try_for_each(|mut held| visit(held.item()))?;
        }
        Ok(true)
    }
}

/// A number that is known not to be negative.
fn usize_of(number: i64) -> usize {
    usize::try_from(number).unwrap_or(0)
}
