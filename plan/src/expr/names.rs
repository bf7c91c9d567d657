//! The names of a path, and where the last record had them: records of one key pattern mostly have the same fields in
//! the same order, so that a look at one place finds what a search through all fields would.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::Value;
use crate::value::{Field, same_bytes};

/// The names on the way from a root to a field.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Names {
    list: Vec<String>,
    /// Takes no part in equality: it only says where to look first.
    #[serde(skip)]
    places: Places,
}

impl Names {
    /// No name: the root itself.
    #[must_use]
    pub const fn new() -> Self {
        Self { list: Vec::new(), places: Places(AtomicU64::new(0)) }
    }

    /// One more name.
    pub fn push(&mut self, name: String) {
        self.list.push(name);
    }

    /// What the names lead to, or `None` where they lead nowhere.
    #[inline]
    pub(crate) fn follow<'a>(&self, start: &'a Value<'a>) -> Option<&'a Value<'a>> {
        let places = self.places.0.load(Ordering::Relaxed);
        let mut value = start;
        for (level, name) in self.list.iter().enumerate() {
            let Value::Object(fields) = value else { return None };
            value = match fields.get(place(places, level)) {
                Some((own, value)) if same_bytes(own.as_bytes(), name.as_bytes()) => value,
                _ => self.search(fields, name, level)?,
            };
        }
        Some(value)
    }

    /// Looks through all fields, and remembers the place.
    #[cold]
    fn search<'f, 'a>(&self, fields: &'f [Field<'a>], name: &str, level: usize) -> Option<&'f Value<'a>> {
        let at = fields.iter().position(|(own, _)| same_bytes(own.as_bytes(), name.as_bytes()))?;
        self.places.remember(level, at);
        fields.get(at).map(|(_, value)| value)
    }
}

/// The places of the first names, each in 16 bits. Threads that share a plan overwrite one another's, at no harm.
#[derive(Debug, Default)]
struct Places(AtomicU64);

const BITS: usize = 16;
const MASK: u64 = (1 << BITS) - 1;

/// The place of a name; 0 where none is kept.
#[inline]
fn place(places: u64, level: usize) -> usize {
    let kept = if level < 64 / BITS { (places >> (level * BITS)) & MASK } else { 0 };
    usize::try_from(kept).unwrap_or(0)
}

impl Places {
    fn remember(&self, level: usize, at: usize) {
        let Some(at) = u64::try_from(at).ok().filter(|at| *at <= MASK && level < 64 / BITS) else { return };
        let places = self.0.load(Ordering::Relaxed);
        let shift = level * BITS;
        self.0.store((places & !(MASK << shift)) | (at << shift), Ordering::Relaxed);
    }
}

impl Deref for Names {
    type Target = [String];

    fn deref(&self) -> &[String] {
        &self.list
    }
}

impl From<Vec<String>> for Names {
    fn from(list: Vec<String>) -> Self {
        Self { list, ..Self::new() }
    }
}

impl FromIterator<String> for Names {
    fn from_iter<I: IntoIterator<Item = String>>(names: I) -> Self {
        names.into_iter().collect::<Vec<_>>().into()
    }
}

impl<'n> IntoIterator for &'n Names {
    type Item = &'n String;
    type IntoIter = std::slice::Iter<'n, String>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.iter()
    }
}

impl Clone for Names {
    fn clone(&self) -> Self {
        self.list.clone().into()
    }
}

impl PartialEq for Names {
    fn eq(&self, other: &Self) -> bool {
        self.list == other.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(fields: &[(&'static str, Value<'static>)]) -> Value<'static> {
        Value::Object(fields.iter().map(|(name, value)| ((*name).into(), value.clone())).collect())
    }

    #[test]
    fn records_may_have_their_fields_anywhere() {
        let names: Names = ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec().into();
        let number = |before: usize| Value::Int(i64::try_from(before).unwrap());
        let nested = |before: usize| {
            let others = ["x", "yy", "z"];
            names.iter().rev().fold(number(before), |value, name| {
                let mut fields: Vec<Field<'_>> =
                    others.iter().take(before).map(|other| ((*other).into(), Value::Null)).collect();
                fields.push((name.clone().into(), value));
                Value::Object(fields.into())
            })
        };
        for before in [0, 2, 2, 1, 3, 0, 0] {
            assert_eq!(names.follow(&nested(before)), Some(&number(before)));
        }
        assert_eq!(names.follow(&object(&[("a", Value::Int(1))])), None);
        assert_eq!(names.follow(&object(&[])), None);
        assert_eq!(names.follow(&Value::Null), None);
        assert_eq!(Names::new().follow(&Value::Int(1)), Some(&Value::Int(1)));
    }

    #[test]
    fn a_place_too_far_behind_is_searched_for_each_time() {
        let names: Names = vec!["last".to_owned()].into();
        let mut fields: Vec<Field<'_>> = (0..70_000).map(|at| (at.to_string().into(), Value::Null)).collect();
        fields.push(("last".into(), Value::Int(7)));
        let value = Value::Object(fields.into());
        for _ in 0..2 {
            assert_eq!(names.follow(&value), Some(&Value::Int(7)));
        }
    }
}
