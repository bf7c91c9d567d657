//! Any text is a job or is explained.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| redis_wb_fuzz::job(None, text));
