//! Values in the middle of an evaluation: borrowed for good, borrowed in passing, or owned.

use std::borrow::Cow;
use std::slice;
use std::vec;

use crate::Value;
use crate::value::{Items, find};

static NULL: Value<'static> = Value::Null;

/// A null that lasts.
pub(super) const fn null<'a>() -> &'a Value<'a> {
    &NULL
}

/// A value that is only looked at.
#[derive(Debug, Clone, Copy)]
pub enum Ref<'t, 'a> {
    /// Of the record or the plan: it lives as long as the result, which can borrow it.
    Lasting(&'a Value<'a>),
    /// Of this evaluation: a result must copy it.
    Passing(&'t Value<'a>),
}

impl<'t, 'a> Ref<'t, 'a> {
    pub(super) const NULL: Self = Self::Lasting(&NULL);

    /// The value to look at.
    #[must_use]
    pub const fn get(self) -> &'t Value<'a>
    where
        'a: 't,
    {
        match self {
            Self::Lasting(value) => value,
            Self::Passing(value) => value,
        }
    }

    /// A field; null where there is none or the value is no object.
    #[must_use]
    #[inline]
    pub fn field(self, name: &str) -> Self {
        let found = match self {
            Self::Lasting(value) => value.field(name).map(Self::Lasting),
            Self::Passing(&Value::Object(Items::Borrowed(fields))) => find(fields, name).map(Self::Lasting),
            Self::Passing(value) => value.field(name).map(Self::Passing),
        };
        found.unwrap_or(Self::NULL)
    }

    pub(super) const fn item(self) -> Item<'t, 'a> {
        match self {
            Self::Lasting(value) => Item::Lasting(value),
            Self::Passing(value) => Item::Passing(value),
        }
    }

    pub(crate) const fn held(self) -> Held<'t, 'a> {
        match self {
            Self::Lasting(value) => Held::Lasting(value),
            Self::Passing(value) => Held::Passing(value),
        }
    }
}

/// A value in the middle of an evaluation.
#[derive(Debug)]
pub enum Held<'t, 'a> {
    /// As [`Ref::Lasting`].
    Lasting(&'a Value<'a>),
    /// As [`Ref::Passing`].
    Passing(&'t Value<'a>),
    /// Made here and moved on.
    Own(Value<'a>),
}

impl<'t, 'a> Held<'t, 'a> {
    /// Null.
    pub const NULL: Self = Self::Lasting(&NULL);

    /// The value to look at.
    #[must_use]
    pub const fn get(&self) -> &Value<'a> {
        match self {
            Self::Lasting(value) => value,
            Self::Passing(value) => value,
            Self::Own(value) => value,
        }
    }

    /// The value as the `Current` of an inner expression.
    #[must_use]
    pub const fn as_ref<'s>(&'s self) -> Ref<'s, 'a>
    where
        't: 's,
    {
        match self {
            Self::Lasting(value) => Ref::Lasting(value),
            Self::Passing(value) => Ref::Passing(value),
            Self::Own(value) => Ref::Passing(value),
        }
    }

    pub(super) const fn item(&mut self) -> Item<'_, 'a> {
        match self {
            Self::Lasting(value) => Item::Lasting(value),
            Self::Passing(value) => Item::Passing(value),
            Self::Own(value) => Item::Made(value),
        }
    }

    /// A field; null where there is none or the value is no object.
    #[must_use]
    pub fn field(self, name: &str) -> Self {
        let found = match self {
            Self::Lasting(value) => value.field(name).map(Self::Lasting),
            Self::Passing(&Value::Object(Items::Borrowed(fields)))
            | Self::Own(Value::Object(Items::Borrowed(fields))) => find(fields, name).map(Self::Lasting),
            Self::Passing(value) => value.field(name).map(Self::Passing),
            Self::Own(Value::Object(Items::Owned(mut fields))) => {
                let at = fields.iter().position(|(own, _)| own == name);
                at.map(|at| Self::Own(fields.swap_remove(at).1))
            }
            Self::Own(_) => None,
        };
        found.unwrap_or(Self::NULL)
    }

    /// An element, from 0 or, if negative, from the end; null where there is none or the value is no list.
    #[must_use]
    pub fn index(self, at: i64) -> Self {
        let Value::List(items) = self.get() else {
            return Self::NULL;
        };
        let at = if at < 0 { i64::try_from(items.len()).unwrap_or(i64::MAX).saturating_add(at) } else { at };
        let Some(at) = usize::try_from(at).ok().filter(|at| *at < items.len()) else {
            return Self::NULL;
        };
        self.elements().and_then(|mut elements| elements.nth(at)).unwrap_or(Self::NULL)
    }

    /// The elements of a list; `None` where the value is none.
    #[must_use]
    pub fn elements(self) -> Option<Elements<'t, 'a>> {
        match self {
            Self::Lasting(Value::List(items)) => Some(Elements::Lasting(items.iter())),
            Self::Passing(&Value::List(Items::Borrowed(items))) | Self::Own(Value::List(Items::Borrowed(items))) => {
                Some(Elements::Lasting(items.iter()))
            }
            Self::Passing(Value::List(Items::Owned(items))) => Some(Elements::Passing(items.iter())),
            Self::Own(Value::List(Items::Owned(items))) => Some(Elements::Own(items.into_iter())),
            _ => None,
        }
    }
}

/// An element on its way through a projection. It is handed on as it is made, so it must be small.
#[derive(Debug)]
pub enum Item<'s, 'a> {
    /// As [`Ref::Lasting`].
    Lasting(&'a Value<'a>),
    /// As [`Ref::Passing`].
    Passing(&'s Value<'a>),
    /// Made here; who keeps it takes it away.
    Made(&'s mut Value<'a>),
}

impl<'a> Item<'_, 'a> {
    /// The text that it is, where a result can borrow that.
    pub(crate) fn lasting_text(&self) -> Option<&'a str> {
        match self {
            Self::Lasting(Value::Text(text) | Value::Json(text)) => Some(text),
            Self::Passing(Value::Text(Cow::Borrowed(text)) | Value::Json(Cow::Borrowed(text))) => Some(text),
            Self::Made(Value::Text(Cow::Borrowed(text)) | Value::Json(Cow::Borrowed(text))) => Some(text),
            _ => None,
        }
    }

    /// The value to look at.
    #[must_use]
    pub const fn get(&self) -> &Value<'a> {
        match self {
            Self::Lasting(value) => value,
            Self::Passing(value) => value,
            Self::Made(value) => value,
        }
    }

    /// The value as the `Current` of an inner expression.
    #[must_use]
    pub const fn as_ref(&self) -> Ref<'_, 'a> {
        match self {
            Self::Lasting(value) => Ref::Lasting(value),
            Self::Passing(value) => Ref::Passing(value),
            Self::Made(value) => Ref::Passing(value),
        }
    }
}

/// The elements of a list, each as lasting as the list allows.
#[derive(Debug)]
pub enum Elements<'t, 'a> {
    /// Of a list that lasts.
    Lasting(slice::Iter<'a, Value<'a>>),
    /// Of a list in passing.
    Passing(slice::Iter<'t, Value<'a>>),
    /// Of a list that is taken apart.
    Own(vec::IntoIter<Value<'a>>),
}

impl<'t, 'a> Iterator for Elements<'t, 'a> {
    type Item = Held<'t, 'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.nth(0)
    }

    fn nth(&mut self, at: usize) -> Option<Self::Item> {
        match self {
            Self::Lasting(items) => items.nth(at).map(Held::Lasting),
            Self::Passing(items) => items.nth(at).map(Held::Passing),
            Self::Own(items) => items.nth(at).map(Held::Own),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            Self::Lasting(items) => items.size_hint(),
            Self::Passing(items) => items.size_hint(),
            Self::Own(items) => items.size_hint(),
        }
    }
}

impl ExactSizeIterator for Elements<'_, '_> {}

impl DoubleEndedIterator for Elements<'_, '_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        match self {
            Self::Lasting(items) => items.next_back().map(Held::Lasting),
            Self::Passing(items) => items.next_back().map(Held::Passing),
            Self::Own(items) => items.next_back().map(Held::Own),
        }
    }
}
