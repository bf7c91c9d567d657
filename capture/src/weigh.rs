//! Whether a JSON document is small, or surely large, found out in a time that does not depend on how large it is: its
//! levels are counted from the root down, no further than need be. RedisJSON tells the size of a document only by walking
//! through all of it. It must not know why that is asked.

use crate::ffi::Context;

/// The most values that a small document has.
const VALUES_MAX: u64 = 256;
/// The most levels that a small document has.
const LEVELS_MAX: usize = 8;
/// The most bytes of memory that it takes. Its text is shorter.
const BYTES_MAX: u64 = 256 * 1024;
/// A level is looked at if the one above has at most so many values.
const LOOKED_AT_MAX: u64 = 16 * 1024;
/// What an item of a list takes at least, with the comma, and a field, with its quotes and the colon, too.
const ITEM_BYTES_MIN: u64 = 2;
const FIELD_BYTES_MIN: u64 = 5;

/// Whether the document at `key` is small. One that cannot be looked at is not.
pub(crate) fn is_small_document(context: &Context, key: &[u8]) -> bool {
    let (mut path, mut values) = (b"$".to_vec(), 1_u64);
    for _ in 0..LEVELS_MAX {
        let below = [c"JSON.ARRLEN", c"JSON.OBJLEN"].map(|command| context.lengths(command, key, &path));
        let [Ok(items), Ok(fields)] = below else { return false };
        let below = items.saturating_add(fields);
        if below == 0 {
            // Few values are soon added up, however long their texts.
            return context.memory(key).is_ok_and(|bytes| bytes <= BYTES_MAX);
        }
        values = values.saturating_add(below);
        if values > VALUES_MAX {
            return false;
        }
        path.extend_from_slice(b".*");
    }
    false
}

/// Whether the text of the document at `key` surely has more than `bytes_max` bytes. One with many values on many levels
/// may have more all the same.
pub(crate) fn is_surely_larger(context: &Context, key: &[u8], bytes_max: usize) -> bool {
    let bytes_max = u64::try_from(bytes_max).unwrap_or(u64::MAX);
    let (mut path, mut bytes) = (b"$".to_vec(), 0_u64);
    for _ in 0..LEVELS_MAX {
        let counts = [c"JSON.ARRLEN", c"JSON.OBJLEN", c"JSON.STRLEN"];
        let [Ok(items), Ok(fields), Ok(letters)] = counts.map(|command| context.lengths(command, key, &path)) else {
            return false;
        };
        let least = [items.saturating_mul(ITEM_BYTES_MIN), fields.saturating_mul(FIELD_BYTES_MIN), letters];
        bytes = least.into_iter().fold(bytes, u64::saturating_add);
        if bytes > bytes_max {
            return true;
        }
        let below = items.saturating_add(fields);
        if below == 0 || below > LOOKED_AT_MAX {
            return false;
        }
        path.extend_from_slice(b".*");
    }
    false
}
