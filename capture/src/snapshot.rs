//! A snapshot: records of the keys that are there, appended in slices between the live changes, so in order with them.
//! It must not know who asks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis_wb_record::{DataType, Flags, Opcode};

use crate::capture::{self, State};
use crate::cluster::{self, Place, slot_of};
use crate::ffi::{Context, Kind};
use crate::image::{self, Content};
use crate::recorder::{Head, Recorder};
use crate::rules::{self, Rule};

/// How many keys a slice has at most, unless the command says otherwise.
const SLICE_KEYS: u64 = 1_000;
/// The server does nothing else during a slice: after this time, no further step begins.
const SLICE_MAX: Duration = Duration::from_millis(1);
/// After this time since the slice began, images are left out: the records that its step still owes are thin.
const IMAGES_MAX: Duration = Duration::from_millis(2);
/// How many keys are looked up at a time. SCAN cannot go back, so every key of a step gets its record.
const STEP_KEYS: u64 = 8;
/// The cursor of the first slice, and that after the last.
const ENDS: &[u8] = b"0";
/// What a walk through the whole database comes to.
const WALKED: u64 = 1_000;
/// The types that a job can ask for.
const TYPES: [DataType; 4] = [DataType::Hash, DataType::Json, DataType::Set, DataType::SortedSet];

/// What a slice is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    rule: Arc<Rule>,
    cursor: Vec<u8>,
    keys_max: u64,
    /// The only type that is wanted, if not all are.
    data_type: Option<DataType>,
}

impl Request {
    /// Reads the arguments of `WB.SNAPSHOT`, the command's own name not among them; `find` gives a rule by its name.
    ///
    /// # Errors
    /// What is wrong with them, as the reply to the client.
    pub(crate) fn parse(words: &[&[u8]], find: impl Fn(&[u8]) -> Option<Arc<Rule>>) -> Result<Self, String> {
        const USAGE: &str = "WB.SNAPSHOT name cursor [COUNT n] [TYPE hash|json|set|sorted_set]";
        let [name, cursor, options @ ..] = words else {
            return Err(format!("ERR wrong number of arguments: {USAGE}"));
        };
        let (mut keys_max, mut data_type) = (SLICE_KEYS, None);
        for option in options.chunks(2) {
            let [word, value] = option else {
                return Err(format!("ERR wrong number of arguments: {USAGE}"));
            };
            match word.to_ascii_uppercase().as_slice() {
                b"COUNT" => {
                    let number = std::str::from_utf8(value).ok().and_then(|number| number.parse().ok());
                    keys_max = number
                        .filter(|number| *number > 0)
                        .ok_or_else(|| format!("ERR COUNT wants a number of keys: {USAGE}"))?;
                }
                b"TYPE" => {
                    let wanted = TYPES.into_iter().find(|known| value.eq_ignore_ascii_case(known.name().as_bytes()));
                    data_type = Some(wanted.ok_or_else(|| format!("ERR TYPE wants one that jobs have: {USAGE}"))?);
                }
                _ => return Err(format!("ERR unknown word `{}`: {USAGE}", String::from_utf8_lossy(word))),
            }
        }
        let rule = find(name)
            .ok_or_else(|| format!("ERR there is no rule `{}`: WB.TRACK makes it", String::from_utf8_lossy(name)))?;
        Ok(Self { rule, cursor: cursor.to_vec(), keys_max, data_type })
    }

    /// Where SCAN goes on.
    fn scan_cursor(&self, walk: u64) -> Result<Vec<u8>, String> {
        if self.cursor == ENDS {
            return Ok(ENDS.to_vec());
        }
        let invalid = || "ERR invalid cursor: it is `0`, or what the slice before gave".to_owned();
        let (of, cursor) =
            std::str::from_utf8(&self.cursor).ok().and_then(|text| text.split_once('-')).ok_or_else(invalid)?;
        let of = u64::from_str_radix(of, 16).map_err(|_| invalid())?;
        let _number: u64 = cursor.parse().map_err(|_| invalid())?;
        if of == walk { Ok(cursor.as_bytes().to_vec()) } else { Err(over()) }
    }

    /// What the walk that this slice is part of is known by. It ends with the rule, since what changes while there is
    /// none is not captured, and with the epoch: records may be lost, or the order of the keys be another one.
    fn walk(&self) -> u64 {
        let epoch = capture::with(|state| state.epoch).unwrap_or_default();
        let data_type = self.data_type.map_or(0, DataType::code);
        epoch.wrapping_add(self.rule.serial.wrapping_mul(1 << 8)).wrapping_add(u64::from(data_type))
    }
}

/// Says that a walk cannot be gone on with.
fn over() -> String {
    "STALE the walk of this cursor is over, since server, rule, streams or type are other ones: begin with cursor 0"
        .to_owned()
}

/// What a slice came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slice {
    /// Where the next one begins; `0` where there is none.
    pub(crate) cursor: Vec<u8>,
    /// How many keys matched the rule's pattern.
    pub(crate) seen: u64,
    /// How many records were appended.
    pub(crate) appended: u64,
    /// How much of the database the walk has behind it, in thousandths.
    pub(crate) walked: u64,
}

/// Appends the records of a slice. The context keeps the database that it had selected.
///
/// # Errors
/// Why the slice could not be finished, as the reply to the client. Some of its records may stand: it can be asked for
/// again.
pub(crate) fn slice(context: &Context, request: &Request) -> Result<Slice, String> {
    let walk = request.walk();
    let cursor = request.scan_cursor(walk)?;
    let flushed = |state: &mut State| state.pending.flush_of(request.rule.db).is_some();
    if capture::with(flushed) == Some(true) {
        return Err("ERR a database was emptied in this transaction, and that record comes first".to_owned());
    }
    if context.standing().clustered() {
        cluster::look(context, None);
    }
    let recorder = capture::with(State::lend).ok_or("ERR the module is at work already")?;
    let (selected, begun) = (context.db(), Instant::now());
    let mut steps =
        Steps { context, request, recorder, images_until: begun + IMAGES_MAX, cursor, seen: 0, appended: 0 };
    let mut walked = steps.step();
    while walked.is_ok() && !steps.is_done() && begun.elapsed() < SLICE_MAX {
        walked = steps.step();
    }
    context.select(selected);
    let Steps { recorder, cursor, seen, appended, .. } = steps;
    capture::with(|state| state.buffers = recorder.buffers);
    walked.map_err(|why| format!("ERR snapshot: {why}"))?;
    if request.walk() != walk {
        return Err(over());
    }
    let (walked, cursor) = match thousandths(&cursor) {
        WALKED => (WALKED, cursor),
        some => (some, [format!("{walk:x}-").as_bytes(), &cursor].concat()),
    };
    Ok(Slice { cursor, seen, appended, walked })
}

/// How much of a table lies behind a cursor of SCAN: it counts up from the highest bit, whatever the table's size.
fn thousandths(cursor: &[u8]) -> u64 {
    let cursor = std::str::from_utf8(cursor).ok().and_then(|text| text.parse().ok()).unwrap_or(0_u64);
    if cursor == 0 {
        return WALKED;
    }
    let walked = (u128::from(cursor.reverse_bits()) * u128::from(WALKED)) >> u64::BITS;
    u64::try_from(walked).unwrap_or_default()
}

/// A slice that is being made.
struct Steps<'a> {
    context: &'a Context,
    request: &'a Request,
    recorder: Recorder,
    images_until: Instant,
    cursor: Vec<u8>,
    seen: u64,
    appended: u64,
}

impl Steps<'_> {
    fn is_done(&self) -> bool {
        self.cursor == ENDS || self.seen >= self.request.keys_max
    }

    /// Appends the records of the next few keys.
    fn step(&mut self) -> Result<(), String> {
        let Request { rule, keys_max, .. } = self.request;
        let count = STEP_KEYS.min(keys_max.saturating_sub(self.seen)).max(1);
        let context = self.context;
        context.select(rule.db);
        let found = context.scan(&self.cursor, &rule.pattern, count)?;
        let (Some(cursor), Some(keys)) = (found.part(0), found.part(1)) else {
            return Err("SCAN gave no keys".to_owned());
        };
        for key in keys.parts() {
            self.append(key.text())?;
        }
        self.cursor = cursor.text().to_vec();
        Ok(())
    }

    fn append(&mut self, key: &[u8]) -> Result<(), String> {
        let rule = &self.request.rule;
        if rules::is_own(key) || !rule.wants(rule.db, key) || is_left_over(key) {
            return Ok(());
        }
        self.seen = self.seen.saturating_add(1);
        self.context.select(rule.db);
        let Some(open) = self.context.open(key).filter(|open| self.wants(open.kind())) else {
            return Ok(());
        };
        let content = self.recorder.read_open(self.context, &open, key, Some(self.images_until));
        let flags = match content {
            Content::Gone(_) => return Ok(()),
            Content::Thin(_) => Flags::SNAPSHOT.union(Flags::THIN),
            Content::Bare(_) | Content::Whole(_) => Flags::SNAPSHOT,
        };
        drop(open);
        let (db, opcode, command, data_type) = (rule.db, Opcode::Update, "snapshot", content.data_type());
        let head = Head { db, key, opcode, command, data_type, flags };
        self.recorder.append(self.context, rule, &head, matches!(content, Content::Whole(_)), None)?;
        self.appended = self.appended.saturating_add(1);
        Ok(())
    }

    /// Whether keys of this kind are wanted. What another module than RedisJSON keeps is not told apart here.
    fn wants(&self, kind: Kind) -> bool {
        match self.request.data_type {
            None => true,
            Some(DataType::Json) => kind == Kind::Module,
            Some(wanted) => image::data_type(kind) == wanted,
        }
    }
}

/// Whether a key is one that Redis has yet to throw away: its slot is another server's.
fn is_left_over(key: &[u8]) -> bool {
    let is_foreign = |state: &mut State| state.is_clustered && state.cluster.place(slot_of(key)) == Place::Foreign;
    capture::with(is_foreign) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::thousandths;

    #[test]
    fn a_cursor_tells_how_far_it_is() {
        // A table of 8 is walked in the order 0, 4, 2, 6, 1, 5, 3, 7.
        assert_eq!(
            ["4", "2", "6", "1", "7", "0"].map(|cursor| thousandths(cursor.as_bytes())),
            [125, 250, 375, 500, 875, 1_000]
        );
    }
}
