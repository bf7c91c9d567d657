//! Any text is a configuration or is explained.
#![no_main]

use libfuzzer_sys::fuzz_target;

/// A job that uses the connection of the gallery.
const JOB: &str = include_str!("../../jobs/employees.yaml");

fuzz_target!(|text: &str| redis_wb_fuzz::job(Some(text), JOB));
