//! Random numbers, from the seeds that the operating system gives to hash tables. Not for secrets.

use std::borrow::Cow;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use super::storage::{self, TEXT_BYTES_MAX};
use crate::{Reject, Value};

fn bits() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// `random()`: never the smallest integer, of which there is no absolute value.
pub(super) fn integer<'a>() -> Value<'a> {
    Value::Int(bits().cast_signed().max(-i64::MAX))
}

/// `randomblob(length)`.
pub(super) fn bytes<'a>(length: &Value<'_>) -> Result<Value<'a>, Reject> {
    let length = usize::try_from(storage::integer(length)?.max(1)).unwrap_or(usize::MAX);
    if length > TEXT_BYTES_MAX {
        return Err(storage::too_long());
    }
    let mut out = Vec::with_capacity(length);
    while out.len() < length {
        let word = bits().to_ne_bytes();
        out.extend(word.into_iter().take(length - out.len()));
    }
    Ok(Value::Bytes(Cow::Owned(out)))
}
