//! The text that a function works on and may hand on, whole or in part. What is in the record or the plan is never
//! copied, and what was made for the call is taken.

use std::borrow::Cow;
use std::mem;

use super::storage;
use crate::evaluate::Item;
use crate::{Reject, Value};

/// A text with what may be done to it.
pub(super) enum Subject<'s, 'a> {
    /// Of the record or the plan: a result can borrow it.
    Lasting(&'a str),
    /// Made for this call: a result can be it.
    Made(&'s mut String),
    /// Anything else: a result must copy it.
    Passing(Cow<'s, str>),
}

impl<'s, 'a> Subject<'s, 'a> {
    /// A value as text, or `None` where it is NULL.
    #[inline]
    pub(super) fn of(item: Item<'s, 'a>) -> Result<Option<Self>, Reject> {
        Ok(match item {
            Item::Lasting(Value::Text(text)) => Some(Self::Lasting(text)),
            Item::Made(Value::Text(Cow::Owned(text))) => Some(Self::Made(text)),
            Item::Passing(Value::Text(Cow::Borrowed(text))) => Some(Self::Lasting(text)),
            Item::Made(Value::Text(Cow::Borrowed(text))) => Some(Self::Lasting(text)),
            Item::Lasting(value) => storage::text(value)?.map(|text| match text {
                Cow::Borrowed(text) => Self::Lasting(text),
                Cow::Owned(text) => Self::Passing(Cow::Owned(text)),
            }),
            Item::Passing(value) => storage::text(value)?.map(Self::Passing),
            Item::Made(value) => storage::text(value)?.map(Self::Passing),
        })
    }

    /// The text to look at.
    #[inline]
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Lasting(text) => text,
            Self::Made(text) => text,
            Self::Passing(text) => text,
        }
    }

    /// All of it.
    pub(super) fn whole(self) -> Value<'a> {
        Value::Text(match self {
            Self::Lasting(text) => Cow::Borrowed(text),
            Self::Made(text) => Cow::Owned(mem::take(text)),
            Self::Passing(text) => Cow::Owned(text.into_owned()),
        })
    }

    /// A part of it.
    #[inline]
    pub(super) fn part(self, start: usize, end: usize) -> Value<'a> {
        Value::Text(match self {
            Self::Lasting(text) => Cow::Borrowed(text.get(start..end).unwrap_or_default()),
            Self::Made(text) if start == 0 && end == text.len() => Cow::Owned(mem::take(text)),
            other => Cow::Owned(other.text().get(start..end).unwrap_or_default().to_owned()),
        })
    }

    /// The same text after a change of its letters: in place where it was made for the call.
    pub(super) fn changed(self, change: impl FnOnce(&mut str)) -> Value<'a> {
        let mut text = match self {
            Self::Lasting(text) => text.to_owned(),
            Self::Made(text) => mem::take(text),
            Self::Passing(text) => text.into_owned(),
        };
        change(&mut text);
        Value::Text(Cow::Owned(text))
    }
}
