//! The Redis module that appends a change record to a change stream in the same atomic step as the write.
//!
//! | file | what it does |
//! |---|---|
//! | `rules.rs` | tracking rules: which keys, which changes, which stream |
//! | `exclude.rs` | the commands that a rule ignores, as the events that stand for them |
//! | `pending.rs` | the changes of one execution unit, noted by events and not yet appended |
//! | `image.rs` | the content of a key, encoded |
//! | `weigh.rs` | whether a JSON document is small, or surely large |
//! | `saved.rs` | the text of a document whose slot is on its way here, which no command may read |
//! | `recorder.rs` | content to images, images to records, records to streams |
//! | `streams.rs` | where records go: the tag, the streams that are here, what waits for a slot |
//! | `ids.rs` | ids of entries behind those of streams that were lost |
//! | `cluster.rs` | the slots of this server, and where its records stand among those of others |
//! | `capture.rs` | events to changes, changes to records |
//! | `snapshot.rs` | records of the keys that are there, in slices |
//! | `commands.rs` | the commands, the INFO section, saving and loading of rules |
//! | `ffi.rs` | everything `unsafe`: Redis's module API as safe functions, and the callbacks that Redis calls |
//!
//! | command | what it does |
//! |---|---|
//! | `WB.TRACK name pattern [DB n] [EXCLUDE command...] [BEFORE]` | makes the rule of this name, or replaces it; gives its stream |
//! | `WB.UNTRACK name` | takes a rule away and leaves its stream; 1 if there was one |
//! | `WB.RULES` | all rules |
//! | `WB.STREAMS` | the change streams that are here, in a cluster also those that came with a slot |
//! | `WB.TAG tag before` | how a primary tells its replicas and its AOF which tag its streams have |
//! | `WB.READ stream id rows bytes` | entries of a stream behind an id as one string, as many as asked for; ends with the one that passes the bytes |
//! | `WB.SNAPSHOT name cursor [COUNT n] [TYPE t]` | appends a record for each of the next keys that the rule wants, of one type if it is named; gives `[cursor, keys seen, records appended, thousandths of the database walked]`, and goes from cursor `0` to cursor `0`; `STALE` where a walk cannot be gone on with |
//!
//! It knows the change record and nothing of jobs, plans or targets.

mod capture;
mod cluster;
mod commands;
mod exclude;
mod ffi;
mod ids;
mod image;
mod pending;
mod recorder;
mod rules;
mod saved;
mod snapshot;
mod streams;
mod weigh;
