//! Any text is DDL of each dialect or is explained.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redis_wb_compiler::{Diagnostics, Files, ddl, dialect};

fuzz_target!(|text: &str| {
    for dialect in dialect::ALL {
        let mut files = Files::new();
        let file = files.add("schema.sql", text);
        let mut diagnostics = Diagnostics::default();
        let schema = ddl::parse(file, &files, dialect, &mut diagnostics);
        let diagnostics = diagnostics.into_sorted();
        assert!(schema.is_some() || !diagnostics.is_empty());
        redis_wb_fuzz::point_into(&files, &diagnostics);
    }
});
