//! The arguments of one call, evaluated when the body asks for them.

use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::sync::OnceLock;

use super::{Accepts, Function};
use crate::evaluate::{Elements, Evaluator, Held, Item, Ref, VALUE_UNITS};
use crate::{Expr, Reject, RejectCode, Value, convert};

/// What a constant argument was made into once, such as a compiled pattern. Takes no part in equality: it follows
/// from the arguments.
#[derive(Default)]
pub struct Prepared(OnceLock<Result<Box<dyn Any + Send + Sync>, Reject>>);

impl Prepared {
    /// Nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// What `make` makes; it is asked once. `None` where something of another type was made before.
    #[inline]
    pub(crate) fn get<T: Send + Sync + 'static>(&self, make: impl FnOnce() -> T) -> Option<&T> {
        match self.0.get_or_init(|| Ok(Box::new(make()))) {
            Ok(made) => made.downcast_ref(),
            Err(_) => None,
        }
    }
}

// The arguments of a copy may be changed, so it is prepared anew.
impl Clone for Prepared {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Prepared {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Prepared")
    }
}

/// The arguments of one call.
#[derive(Debug, Clone, Copy)]
pub struct Args<'t, 'a> {
    evaluator: Evaluator<'t, 'a>,
    function: Function,
    exprs: &'a [Expr],
    prepared: &'a Prepared,
}

impl<'t, 'a> Args<'t, 'a> {
    pub(crate) const fn new(
        evaluator: Evaluator<'t, 'a>,
        function: Function,
        exprs: &'a [Expr],
        prepared: &'a Prepared,
    ) -> Self {
        Self { evaluator, function, exprs, prepared }
    }

    /// How many arguments there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.exprs.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.exprs.is_empty()
    }

    /// An argument to look at; one that was left out is null.
    ///
    /// # Errors
    /// The argument's own, or that it is of the wrong kind; the same holds for every method below.
    pub fn look(&self, at: usize) -> Result<Held<'t, 'a>, Reject> {
        let Some(expr) = self.exprs.get(at) else {
            return Ok(Held::NULL);
        };
        if let Some(found) = self.evaluator.plain(expr) {
            return if self.accepts(at).takes(found.get()) {
                Ok(found.held())
            } else {
                Err(self.wrong(at, found.get()))
            };
        }
        let held = self.evaluator.look(expr)?;
        if self.accepts(at).takes(held.get()) { Ok(held) } else { Err(self.wrong(at, held.get())) }
    }

    /// An argument to keep.
    pub fn value(&self, at: usize) -> Result<Value<'a>, Reject> {
        self.evaluator.keep(self.look(at)?)
    }

    /// A text; `None` for null, if the parameter takes null.
    pub fn text(&self, at: usize) -> Result<Option<Cow<'a, str>>, Reject> {
        // The commonest argument is a text of the record or the plan.
        if let Some(Ref::Lasting(Value::Text(text))) = self.exprs.get(at).and_then(|expr| self.evaluator.plain(expr))
            && self.accepts(at).contains(Accepts::TEXT)
        {
            return Ok(Some(Cow::Borrowed(text)));
        }
        Ok(match self.value(at)? {
            Value::Null => None,
            Value::Text(text) | Value::Json(text) => Some(text),
            other => Some(Cow::Owned(convert::display(&other))),
        })
    }

    /// The text of a parameter that does not take null.
    pub fn some_text(&self, at: usize) -> Result<Cow<'a, str>, Reject> {
        Ok(self.text(at)?.unwrap_or_default())
    }

    /// A whole number, in any spelling: `2`, `2.0`.
    pub fn whole(&self, at: usize) -> Result<i64, Reject> {
        let held = self.look(at)?;
        match convert::convert(held.get().clone(), &crate::Type::Int.into())? {
            Value::Int(number) => Ok(number),
            _ => Err(self.wrong(at, held.get())),
        }
    }

    /// The elements of a list, charged for as if all were kept; none for null, if the parameter takes null.
    pub fn elements(&self, at: usize) -> Result<Elements<'t, 'a>, Reject> {
        let elements = self.look(at)?.elements().unwrap_or(Elements::Own(Vec::new().into_iter()));
        self.charge(elements.len().saturating_mul(VALUE_UNITS))?;
        Ok(elements)
    }

    /// Visits the elements of a list as they come, without the list being made; each is checked against `element`.
    pub fn each(
        &self,
        at: usize,
        element: Accepts,
        visit: &mut dyn FnMut(&Value<'a>) -> Result<(), Reject>,
    ) -> Result<(), Reject> {
        self.each_item(at, &mut |item| match item.get() {
            value if element.takes(value) => visit(value),
            value => Err(self.wrong(at, value)),
        })
    }

    /// The same, with what the expression argument `by` gives for each element, to keep.
    pub fn each_applied(
        &self,
        at: usize,
        by: usize,
        visit: &mut dyn FnMut(Value<'a>) -> Result<(), Reject>,
    ) -> Result<(), Reject> {
        self.each_item(at, &mut |item| visit(self.applied(by, item.as_ref())?))
    }

    fn each_item(&self, at: usize, visit: &mut dyn FnMut(Item<'_, 'a>) -> Result<(), Reject>) -> Result<(), Reject> {
        let Some(expr) = self.exprs.get(at) else {
            return Ok(());
        };
        let is_list = self.evaluator.each(expr, visit)?;
        if is_list { Ok(()) } else { Err(self.wrong(at, self.evaluator.look(expr)?.get())) }
    }

    /// How many elements a list has, as far as that is known before it is made.
    pub fn expected_len(&self, at: usize) -> usize {
        self.exprs.get(at).map_or(0, |expr| self.evaluator.expected_len(expr))
    }

    /// A value to keep.
    pub fn keep(&self, held: Held<'_, 'a>) -> Result<Value<'a>, Reject> {
        self.evaluator.keep(held)
    }

    /// What an expression argument gives for an element.
    pub fn apply<'s>(&self, at: usize, element: Ref<'s, 'a>) -> Result<Held<'s, 'a>, Reject>
    where
        't: 's,
    {
        match self.exprs.get(at) {
            Some(Expr::Lambda(body)) => self.evaluator.with_current(element).look(body),
            Some(other) => self.evaluator.look(other),
            None => Ok(Held::NULL),
        }
    }

    /// The same, to keep.
    pub fn applied(&self, at: usize, element: Ref<'_, 'a>) -> Result<Value<'a>, Reject> {
        match self.exprs.get(at) {
            Some(Expr::Lambda(body)) => self.evaluator.with_current(element).value(body),
            Some(other) => self.evaluator.value(other),
            None => Ok(Value::Null),
        }
    }

    /// The time that is now: microseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn now_us(&self) -> i64 {
        self.evaluator.now_us()
    }

    /// Charges for items visited or bytes made.
    pub fn charge(&self, units: usize) -> Result<(), Reject> {
        self.evaluator.charge(units)
    }

    /// A text made anew, charged for.
    pub fn made(&self, text: String) -> Result<Value<'a>, Reject> {
        self.charge(text.len())?;
        Ok(Value::Text(Cow::Owned(text)))
    }

    /// What `make` makes of a text argument: once for a plan if it is a constant, else each time.
    pub fn prepare<T: Send + Sync + 'static, R>(
        &self,
        at: usize,
        make: impl Fn(&str) -> Result<T, Reject>,
        then: impl FnOnce(&T) -> Result<R, Reject>,
    ) -> Result<R, Reject> {
        if !matches!(self.exprs.get(at), Some(Expr::Literal(_))) {
            return then(&make(&self.some_text(at)?)?);
        }
        let made = self.prepared.0.get_or_init(|| Ok(Box::new(make(&self.some_text(at)?)?)));
        match made {
            Ok(made) => made.downcast_ref().map_or_else(|| Err(self.rejected("is not prepared")), then),
            Err(reject) => Err(reject.clone()),
        }
    }

    /// That this call cannot be answered.
    #[must_use]
    pub fn rejected(&self, why: impl fmt::Display) -> Reject {
        Reject::new(RejectCode::InvalidArgument, format!("`{}` {why}", self.function.definition().name))
    }

    /// That a text argument is not in the form that is read.
    #[must_use]
    pub fn malformed(&self, why: impl fmt::Display) -> Reject {
        Reject::new(RejectCode::MalformedText, format!("`{}`: {why}", self.function.definition().name))
    }

    fn accepts(&self, at: usize) -> Accepts {
        let params = self.function.definition().params;
        params.get(at).or(params.last()).map_or(Accepts::ANY, |param| param.accepts)
    }

    fn wrong(&self, at: usize, value: &Value<'_>) -> Reject {
        let quoted = convert::quoted(value);
        self.rejected(format_args!(
            "takes {} as argument {}, not {quoted}, which is {}",
            self.accepts(at),
            at + 1,
            value.kind()
        ))
    }
}
