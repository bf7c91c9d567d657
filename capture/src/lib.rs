//! The Redis module that appends a change record to a change stream in the same atomic step as the write.
//!
//! | file | what it does |
//! |---|---|
//! | `glob.rs` | key patterns as Redis matches them |
//! | `rules.rs` | tracking rules: which keys, which changes, which stream |
//! | `exclude.rs` | the commands that a rule ignores, as the events that stand for them |
//! | `pending.rs` | the changes of one execution unit, noted by events and not yet appended |
//! | `image.rs` | the content of a key, encoded |
//! | `capture.rs` | events to changes, changes to records, records to streams |
//! | `commands.rs` | `WB.TRACK`, `WB.UNTRACK`, `WB.RULES`, the INFO section, saving and loading of rules |
//! | `ffi.rs` | everything `unsafe`: Redis's module API as safe functions, and the callbacks that Redis calls |
//!
//! It knows the change record and nothing of jobs, plans or targets.

mod capture;
mod commands;
mod exclude;
mod ffi;
mod glob;
mod image;
mod pending;
mod rules;
