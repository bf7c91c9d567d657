//! Any text is an SQL expression or an error that points into it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redis_wb_compiler::expr::Language;

fuzz_target!(|text: &str| {
    redis_wb_fuzz::expression(Language::Sql, text);
});
