//! Any bytes are a change record or an error, and a record survives being encoded again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redis_wb_record::{Image, decode, encode};

fuzz_target!(|message: &[u8]| {
    let Ok(record) = decode(message) else { return };
    for image in [record.after, record.before].into_iter().flatten() {
        match image {
            Image::Hash(pairs) => assert_eq!(pairs.iter().count(), pairs.len()),
            Image::Set(members) => assert_eq!(members.iter().count(), members.len()),
            Image::SortedSet(members) => assert_eq!(members.iter().count(), members.len()),
            Image::Json(_) | Image::String(_) => {}
        }
    }
    let mut encoded = Vec::new();
    encode(&record, &mut encoded);
    let again = decode(&encoded).expect("what was encoded is a record");
    let mut twice = Vec::new();
    encode(&again, &mut twice);
    // Bytes, not records: a score may be no number, which equals nothing.
    assert_eq!(encoded, twice);
});
