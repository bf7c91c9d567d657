//! Whether a JSON document is small, found out in a time that does not depend on how large it is: its levels are
//! counted from the root down, no further than a small document goes. RedisJSON tells the size of a document only by
//! walking through all of it. It must not know why that is asked.

use crate::ffi::Context;

/// The most values that a small document has.
const VALUES_MAX: u64 = 256;
/// The most levels that a small document has.
const LEVELS_MAX: usize = 8;
/// The most bytes of memory that it takes. Its text is shorter.
const BYTES_MAX: u64 = 256 * 1024;

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
