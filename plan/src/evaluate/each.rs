//! Lists in motion: projections, filters, slices and flattening hand each element on as soon as it is known, so a
//! chain of them builds one list, the last.

use super::{Evaluator, Held, Item, Ref, VALUE_UNITS, makes};
use crate::value::Items;
use crate::{Expr, Reject, RejectCode, Value};

/// What is done with each element.
pub(crate) type Visit<'v, 'a> = &'v mut dyn FnMut(Item<'_, 'a>) -> Result<(), Reject>;

impl<'a> Evaluator<'_, 'a> {
    /// The elements of a list expression as a list; null where it is none.
    pub(super) fn collect(&self, expr: &'a Expr) -> Result<Value<'a>, Reject> {
        if let Some(fields) = self.collect_fields(expr) {
            return fields;
        }
        let mut items = Vec::with_capacity(self.expected_len(expr));
        let is_list = self.each(expr, &mut |item| {
            self.charge(VALUE_UNITS)?;
            items.push(self.keep_item(item)?);
            Ok(())
        })?;
        Ok(if is_list { Value::List(Items::Owned(items)) } else { Value::Null })
    }

    /// The commonest projection, one field of each element of a list that lasts, in one loop; `None` for any other.
    fn collect_fields(&self, expr: &'a Expr) -> Option<Result<Value<'a>, Reject>> {
        let Expr::Project { of, body } = expr else { return None };
        let Expr::Field { of: current, name } = &**body else { return None };
        let (list, flattens) = if let Expr::Flatten(list) = &**of { (list, true) } else { (of, false) };
        let (Expr::Current, Some(Ref::Lasting(Value::List(items)))) = (&**current, self.plain(list)) else {
            return None;
        };
        if flattens && items.iter().any(|item| matches!(item, Value::List(_))) {
            return None;
        }
        if let Err(reject) = self.charge(items.len().saturating_mul(VALUE_UNITS + 1)) {
            return Some(Err(reject));
        }
        let mut values = Vec::with_capacity(items.len());
        for item in &**items {
            if let Some(value) = item.field(name).filter(|value| !value.is_null()) {
                values.push(value.borrowed());
            }
        }
        Some(Ok(Value::List(values.into())))
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
            Expr::Pipe { of, body, stops_at_null } => match self.plain(of) {
                Some(found) if *stops_at_null && found.get().is_null() => Ok(false),
                Some(found) => self.with_current(found).each(body, visit),
                None => self.visit_all(self.look(expr)?.item(), visit),
            },
            Expr::List(items) => {
                self.charge(items.len())?;
                items.iter().try_for_each(|item| self.visit_value(item, visit))?;
                Ok(true)
            }
            other => match self.plain(other) {
                Some(found) => self.visit_all(found.item(), visit),
                None => self.visit_all(self.look(other)?.item(), visit),
            },
        }
    }

    fn project(&self, item: Item<'_, 'a>, body: &'a Expr, visit: Visit<'_, 'a>) -> Result<(), Reject> {
        let mut not_null = |item: Item<'_, 'a>| if item.get().is_null() { Ok(()) } else { visit(item) };
        if matches!(body, Expr::Current) {
            return not_null(item);
        }
        self.with_current(item.as_ref()).visit_value(body, &mut not_null)
    }

    /// Visits the value of an expression, which stays where it is made.
    fn visit_value(&self, expr: &'a Expr, visit: Visit<'_, 'a>) -> Result<(), Reject> {
        if let Some(found) = self.plain(expr) {
            return visit(found.item());
        }
        if makes(expr) || matches!(expr, Expr::Object(_) | Expr::List(_)) {
            return match &mut self.value(expr) {
                Ok(value) => visit(Item::Made(value)),
                Err(reject) => Err(reject.clone()),
            };
        }
        visit(self.look(expr)?.item())
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
