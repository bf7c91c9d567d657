//! Any text is a key template and a path, or an error that points into it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redis_wb_grammar::{key, path};

fuzz_target!(|text: &str| {
    if let Err(error) = key::parse(text) {
        assert!(text.get(error.span.start..error.span.end).is_some(), "{error:?}");
    }
    if let Err(error) = path::parse(text) {
        assert!(text.get(error.span.start..error.span.end).is_some(), "{error:?}");
    }
});
