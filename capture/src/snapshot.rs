//! A snapshot: records of the keys that are there, appended in slices between the live changes, so in order with them.
//! It must not know who asks.

use std::time::{Duration, Instant};

use redis_wb_record::{Flags, Opcode};

use crate::capture::{self, State};
use crate::ffi::Context;
use crate::image::Content;
use crate::recorder::{Head, Recorder};
use crate::rules::{self, Rule};

/// How many keys a slice has at most, unless the command says otherwise.
pub(crate) const SLICE_KEYS: u64 = 1_000;
/// The server does nothing else during a slice: after this time, no further step begins.
const SLICE_MAX: Duration = Duration::from_millis(1);
/// After this time since the slice began, images are left out: the records that its step still owes are thin.
const IMAGES_MAX: Duration = Duration::from_millis(2);
/// How many keys are looked up at a time. SCAN cannot go back, so every key of a step gets its record.
const STEP_KEYS: u64 = 8;

/// What a slice came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slice {
    /// Where the next one begins; `0` where there is none.
    pub(crate) cursor: Vec<u8>,
    /// How many keys matched the rule's pattern.
    pub(crate) seen: u64,
    /// How many records were appended.
    pub(crate) appended: u64,
}

/// The cursor of the first slice, and that after the last.
const ENDS: &[u8] = b"0";

/// Appends the records of a slice. The context keeps the database that it had selected.
///
/// # Errors
/// Why the slice could not be finished. Some of its records may stand: it can be asked for again.
pub(crate) fn slice(context: &Context, rule: &Rule, cursor: &[u8], keys_max: u64) -> Result<Slice, String> {
    let flushed = |state: &mut State| state.pending.flush_of(rule.db).is_some();
    if capture::with(flushed) == Some(true) {
        return Err("a database was emptied in this transaction, and that record comes first".to_owned());
    }
    let recorder = capture::with(State::lend).ok_or("the module is at work already")?;
    let (selected, begun) = (context.db(), Instant::now());
    let slice = Slice { cursor: cursor.to_vec(), seen: 0, appended: 0 };
    let mut walk = Walk { context, rule, recorder, images_until: begun + IMAGES_MAX, slice };
    let mut walked = walk.step(keys_max);
    while walked.is_ok() && walk.slice.cursor != ENDS && walk.slice.seen < keys_max && begun.elapsed() < SLICE_MAX {
        walked = walk.step(keys_max);
    }
    context.select(selected);
    let Walk { recorder, slice, .. } = walk;
    capture::with(|state| state.buffers = recorder.buffers);
    walked.map(|()| slice)
}

/// A slice that is being made.
struct Walk<'a> {
    context: &'a Context,
    rule: &'a Rule,
    recorder: Recorder,
    images_until: Instant,
    slice: Slice,
}

impl Walk<'_> {
    /// Appends the records of the next few keys.
    fn step(&mut self, keys_max: u64) -> Result<(), String> {
        let count = STEP_KEYS.min(keys_max - self.slice.seen.min(keys_max)).max(1);
        let context = self.context;
        context.select(self.rule.db);
        let found = context.scan(&self.slice.cursor, &self.rule.pattern, count)?;
        let (Some(cursor), Some(keys)) = (found.part(0), found.part(1)) else {
            return Err("SCAN gave no keys".to_owned());
        };
        for key in keys.parts() {
            self.append(key.text())?;
        }
        self.slice.cursor = cursor.text().to_vec();
        Ok(())
    }

    fn append(&mut self, key: &[u8]) -> Result<(), String> {
        if rules::is_own(key) || !self.rule.wants(self.rule.db, key) {
            return Ok(());
        }
        self.slice.seen = self.slice.seen.saturating_add(1);
        self.context.select(self.rule.db);
        let content = self.recorder.read(self.context, key, Some(self.images_until));
        let flags = match content {
            Content::Gone(_) => return Ok(()),
            Content::Thin(_) => Flags::SNAPSHOT.union(Flags::THIN),
            Content::Bare(_) | Content::Whole(_) => Flags::SNAPSHOT,
        };
        let (db, opcode, command, data_type) = (self.rule.db, Opcode::Update, "snapshot", content.data_type());
        let head = Head { db, key, opcode, command, data_type, flags };
        self.recorder.append(self.context, self.rule, &head, matches!(content, Content::Whole(_)), None)?;
        self.slice.appended = self.slice.appended.saturating_add(1);
        Ok(())
    }
}
