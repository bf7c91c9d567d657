//! Events to changes, changes to records. It must not know how Redis's C API is called.

use std::mem;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use redis_wb_record::{DataType, Flags, Opcode};

use crate::cluster::{self, Cluster, Place, Running, slot_of};
use crate::ffi::{Context, Key, Kind};
use crate::ids::Ids;
use crate::image::{self, Content};
use crate::pending::{self, Before, Change, How, Pending};
use crate::recorder::{self, Buffers, Head, Recorder};
use crate::rules::{self, Rule, STREAMS_DB};
use crate::streams::{self, Streams};

/// The default of `image-bytes-max`.
const IMAGE_BYTES_MAX: usize = 1024 * 1024;
/// How often the cluster is looked at without a cause.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What the module knows.
///
/// INVARIANT (not borrowed): the state is never borrowed while Redis is called, since Redis may call back.
pub(crate) struct State {
    pub(crate) rules: Vec<Arc<Rule>>,
    /// The serial of the rule that was made last.
    pub(crate) serial: u64,
    /// Drawn at load, at promotion, and when a change stream is lost.
    pub(crate) epoch: u64,
    /// Larger images are left out, and the record is thin.
    pub(crate) image_bytes_max: usize,
    pub(crate) counters: Counters,
    /// Why the server's settings lose records or rules, if they do.
    pub(crate) unsafe_setting: Option<String>,
    pub(crate) pending: Pending,
    pub(crate) buffers: Buffers,
    /// Whether the server is part of a Redis Cluster: it is so from its start on, or never.
    pub(crate) is_clustered: bool,
    pub(crate) cluster: Cluster,
    pub(crate) streams: Streams,
    pub(crate) ids: Ids,
    /// Whether this module is woken before the server sleeps.
    woken_before_sleep: bool,
    pub(crate) warned: Option<Instant>,
    /// When the cluster was looked at last without a cause.
    looked: Option<Instant>,
}

/// What INFO shows.
#[derive(Debug, Default, Clone)]
pub(crate) struct Counters {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    pub(crate) thin: u64,
    /// Records that could not be appended: changes that the targets will not see.
    pub(crate) failed: u64,
    pub(crate) last_error: String,
}

/// One for all threads: a module that writes on a thread of its own, under Redis's global lock, is captured, too.
static STATE: Mutex<State> = Mutex::new(State {
    rules: Vec::new(),
    serial: 0,
    epoch: 0,
    image_bytes_max: IMAGE_BYTES_MAX,
    counters: Counters { records: 0, bytes: 0, thin: 0, failed: 0, last_error: String::new() },
    unsafe_setting: None,
    pending: Pending::EMPTY,
    buffers: Buffers::EMPTY,
    is_clustered: false,
    cluster: Cluster::UNKNOWN,
    streams: Streams::EMPTY,
    ids: Ids::NONE,
    looked: None,
    woken_before_sleep: false,
    warned: None,
});

/// Works with the state; `None` if it is borrowed, which (one thread at a time) and (not borrowed) rule out but for a
/// crash report, which then lacks the module's section.
pub(crate) fn with<T>(work: impl FnOnce(&mut State) -> T) -> Option<T> {
    STATE.try_lock().ok().map(|mut state| work(&mut state))
}

/// What Redis tells of a key.
pub(crate) enum Happening<'a> {
    /// A keyspace event, by its name.
    Event(&'a [u8]),
    /// The key is about to go or to be overwritten, and can be read for the last time.
    Goes { key: &'a Key<'a>, how: How },
}

/// Whether nothing is tracked, so that no event matters.
pub(crate) fn is_idle() -> bool {
    with(|state| state.rules.is_empty()).unwrap_or(true)
}

/// Notes what happened to a key, if a rule wants it.
pub(crate) fn happened(context: &Context, db: u32, key: &[u8], happening: &Happening<'_>) {
    if rules::is_own(key) {
        happened_to_stream(db, key, happening);
        return;
    }
    if !with(|state| state.wanting(db, key).next().is_some()).unwrap_or(false) {
        return;
    }
    if !with(|state| state.pending.scheduled).unwrap_or(false) && !context.standing().captures() {
        return;
    }
    if with(|state| state.is_clustered) == Some(true) && moves(context, key, happening) {
        return;
    }
    match happening {
        Happening::Goes { key: open, how } => {
            goes(context, db, key, open, *how);
            schedule(context);
        }
        Happening::Event(b"expire" | b"persist" | b"hexpire" | b"hpersist") => {}
        Happening::Event(b"new") => {
            with(|state| state.pending.comes(db, key));
            schedule(context);
        }
        Happening::Event(event) => {
            with(|state| state.changed(db, key, event));
            schedule(context);
            if *event == b"hexpired" {
                wake_before_sleep(context);
            }
        }
    }
}

/// Notes what happened to a change stream.
fn happened_to_stream(db: u32, key: &[u8], happening: &Happening<'_>) {
    if db != STREAMS_DB {
        return;
    }
    match happening {
        Happening::Event(b"new") => {
            with(|state| state.streams.comes(key));
        }
        Happening::Goes { key: open, .. } if open.kind() == Kind::Stream => {
            let ends = with(|state| {
                state.streams.goes(key);
                state.appends_to(key)
            });
            if ends == Some(true) {
                streams_are_lost();
            }
        }
        _ => {}
    }
}

/// Whether a key, in a cluster, only moves: it is at another server, before or after, and has not changed.
fn moves(context: &Context, key: &[u8], happening: &Happening<'_>) -> bool {
    if matches!(happening, Happening::Event(b"hexpired")) {
        // Fields expire between commands, and the key may follow its last one.
        with(|state| state.cluster.running = Running::Other);
    }
    let running = with(|state| state.cluster.running).unwrap_or(Running::Other);
    let deleted = match happening {
        Happening::Goes { how, .. } => *how == How::Deleted,
        Happening::Event(event) => *event == b"del",
    };
    match running {
        Running::Receives => {
            let comes = matches!(happening, Happening::Event(b"new" | b"restore"));
            let overwritten = matches!(happening, Happening::Goes { how: How::Overwritten, .. });
            if comes {
                cluster::look(context, None);
                with(|state| state.cluster.arrived(key, recorder::now_us()));
            }
            comes || overwritten || deleted
        }
        // A key that is sent elsewhere, while its slot stays, is gone from this cluster.
        Running::Sends => {
            cluster::look(context, None);
            deleted && with(|state| state.cluster.place(slot_of(key))) != Some(Place::Own)
        }
        Running::Other if !deleted => false,
        // Redis throws away the keys of a slot that it finds to be another server's, and tells as of any deletion.
        Running::Other => {
            if matches!(happening, Happening::Goes { .. }) {
                let goes_with_slot = !context.serves(key) && is_foreign(context, key);
                with(|state| state.cluster.goes_with_slot = goes_with_slot);
            }
            with(|state| state.cluster.goes_with_slot) == Some(true)
        }
    }
}

/// Whether the slot of a key that is not served is another server's and not on its way here. Other servers take a slot
/// without a command here, so what is not known to be foreign is looked up; all other keys of the slot follow at once.
fn is_foreign(context: &Context, key: &[u8]) -> bool {
    let slot = slot_of(key);
    let is_foreign = |state: &mut State| state.cluster.place(slot) == Place::Foreign;
    with(|state| state.cluster.is_stale |= !is_foreign(state));
    cluster::look(context, Some(slot));
    with(is_foreign) == Some(true)
}

/// Notes what a key held. An event follows that tells of the change, or came before.
fn goes(context: &Context, db: u32, key: &[u8], open: &Key<'_>, how: How) {
    let lent = with(|state| {
        let wanted = state.wanting(db, key).any(|rule| rule.before);
        wanted.then(|| state.lend())
    });
    let Some(mut recorder) = lent.flatten() else {
        let before = Before { data_type: image::data_type(open.kind()), image: None };
        with(|state| state.pending.goes(db, key, how, before));
        return;
    };
    let content = recorder.read_last(context, open, key);
    let image = matches!(content, Content::Whole(_)).then(|| recorder.buffers.image.encoded.clone());
    let before = Before { data_type: content.data_type(), image };
    with(|state| {
        state.pending.goes(db, key, how, before);
        state.buffers = recorder.buffers;
    });
}

/// Lets the changes be appended when the unit ends.
fn schedule(context: &Context) {
    let scheduled = with(|state| mem::replace(&mut state.pending.scheduled, true)).unwrap_or(true);
    if !scheduled && !context.schedule() {
        let lost = with(|state| mem::replace(&mut state.pending, Pending::EMPTY)).unwrap_or_default();
        let lost = lost.changes().len();
        recorder::failed(
            context,
            u64::try_from(lost).unwrap_or_default(),
            "Redis refused to call at the end of the unit",
        );
    }
}

/// Field expiry happens outside an execution unit, for the greater part right before the server writes its AOF and
/// sleeps. From the first time on, the module is called between the two.
fn wake_before_sleep(context: &Context) {
    let woken = with(|state| mem::replace(&mut state.woken_before_sleep, true)).unwrap_or(true);
    if !woken && !context.subscribe_to_event_loop() {
        with(|state| state.woken_before_sleep = false);
    }
}

/// Lets changes be appended that no unit's end took along.
pub(crate) fn wake(context: &Context) {
    if with(|state| state.is_clustered) == Some(true) {
        look_at_cluster(context);
    }
    let waiting = with(|state| {
        state.pending.gone();
        !state.pending.is_empty() && !state.pending.scheduled
    });
    if waiting == Some(true) {
        schedule(context);
    }
}

/// Looks at the cluster every now and then, and appends what waited for a slot.
fn look_at_cluster(context: &Context) {
    let (due, waiting) = with(|state| {
        let due = !state.rules.is_empty() && state.looked.is_none_or(|looked| looked.elapsed() >= LOOK_AGAIN);
        if due {
            state.looked = Some(Instant::now());
            state.cluster.is_stale = true;
        }
        (due, state.streams.waiting() > 0)
    })
    .unwrap_or_default();
    if due {
        cluster::look(context, None);
    }
    // A replica cannot, and may be about to load what another server has.
    if waiting && due && context.standing().captures() {
        schedule(context);
    }
}

/// Notes that databases were emptied, or all where none is named.
pub(crate) fn flushed(context: &Context, dbs: &[u32], by: &'static str) {
    if dbs.is_empty() || dbs.contains(&STREAMS_DB) {
        streams_are_lost();
    }
    let tracked = with(|state| state.rules.iter().any(|rule| pending::concerns(dbs, rule.db)));
    if tracked == Some(true) && context.standing().captures() {
        with(|state| state.pending.flushed(dbs, by));
        schedule(context);
    }
}

/// Notes that two databases were swapped: the keys of either are other ones now, and a walk through them has not seen
/// those.
pub(crate) fn swapped(context: &Context, dbs: [u32; 2]) {
    with(|state| {
        for at in 0..state.rules.len() {
            let serial = state.next_serial();
            if let Some(rule) = state.rules.get_mut(at).filter(|rule| dbs.contains(&rule.db)) {
                Arc::make_mut(rule).serial = serial;
            }
        }
    });
    flushed(context, &dbs, "swapdb");
}

/// Forgets everything: what is loaded brings its own rules, and its changes are records already. Only records that wait
/// for a slot are nobody else's: this server lost its last one, and follows whoever has it now.
pub(crate) fn loading_starts(context: &Context) {
    let lost = with(|state| {
        let lost = state.streams.waiting();
        // This loss is not one of many alike.
        state.warned = None;
        state.rules.clear();
        state.pending = Pending::EMPTY;
        state.streams.forget();
        state.cluster.begins();
        lost
    });
    if let Some(lost @ 1..) = lost {
        let lost = u64::try_from(lost).unwrap_or_default();
        recorder::failed(context, lost, "the server became a replica while records waited for a slot");
    }
}

/// This server begins to capture, or has loaded its data.
pub(crate) fn begins() {
    with(|state| {
        state.cluster.begins();
        let rules: Vec<_> = state.rules.iter().map(|rule| rule.name.clone()).collect();
        state.streams.begins(rules.iter().map(Vec::as_slice));
    });
}

/// Begins an epoch, in which streams that were lost begin anew behind what they held.
fn streams_are_lost() {
    draw_epoch();
    with(|state| state.ids.lost(recorder::now_us() / 1_000));
}

/// Begins an epoch: this server begins to capture, or streams were lost, and the ids of those that take their place
/// start from the clock and may run behind. 63 bits, so that it fits the integers of SQL.
pub(crate) fn draw_epoch() {
    let epoch = Context::random() >> 1;
    with(|state| state.epoch = epoch.max(1));
}

/// Looks for settings that lose records or rules, and says so in INFO and in the log.
pub(crate) fn settled(context: &Context) {
    let tracking = !is_idle() && context.standing().captures();
    let found = if tracking { unsafe_setting(context) } else { None };
    let new = with(|state| {
        let new = state.unsafe_setting != found;
        state.unsafe_setting.clone_from(&found);
        new
    });
    if let (Some(true), Some(why)) = (new, found) {
        context.warn(&format!("keys are tracked, but {why}"));
    }
}

/// Why the server's settings would lose records or rules.
pub(crate) fn unsafe_setting(context: &Context) -> Option<String> {
    let read = |name| context.config(name).map(|value| String::from_utf8_lossy(&value).into_owned());
    match read(c"maxmemory-policy") {
        Ok(policy) if policy.starts_with("allkeys-") => {
            return Some(format!(
                "`maxmemory-policy {policy}` evicts change streams whole: set `noeviction` or a `volatile-` policy"
            ));
        }
        Ok(_) => {}
        Err(error) => return Some(format!("`maxmemory-policy` cannot be read: {error}")),
    }
    match read(c"aof-use-rdb-preamble") {
        Ok(value) if value == "yes" => None,
        Ok(_) => {
            Some("`aof-use-rdb-preamble no` loses the rules when the AOF is rewritten: set it to `yes`".to_owned())
        }
        Err(error) => Some(format!("`aof-use-rdb-preamble` cannot be read: {error}")),
    }
}

impl State {
    /// A number that no rule had.
    pub(crate) fn next_serial(&mut self) -> u64 {
        self.serial = self.serial.wrapping_add(1);
        self.serial
    }

    fn wanting(&self, db: u32, key: &[u8]) -> impl Iterator<Item = &Arc<Rule>> {
        self.rules.iter().filter(move |rule| rule.wants(db, key))
    }

    fn changed(&mut self, db: u32, key: &[u8], event: &[u8]) {
        let wanting = self.rules.iter().filter(|rule| rule.wants(db, key) && !rule.excludes(event));
        self.pending.changed(db, key, &String::from_utf8_lossy(event), wanting);
    }

    /// What makes records; its buffers are to be given back.
    pub(crate) fn lend(&mut self) -> Recorder {
        Recorder::new(self.epoch, self.image_bytes_max, mem::take(&mut self.buffers))
    }

    /// The changes of the unit that ends.
    fn take_unit(&mut self) -> Unit {
        let pending = mem::replace(&mut self.pending, Pending::EMPTY);
        Unit { pending, rules: self.rules.clone(), recorder: self.lend() }
    }
}

/// Appends a record for every change of the unit that ends.
pub(crate) fn append_pending(context: &Context) {
    if is_unlinking(context) {
        with(|state| state.pending.scheduled = false);
        return;
    }
    let Some(mut unit) = with(State::take_unit) else { return };
    if context.standing().captures() {
        if unit.pending.is_empty() {
            streams::append_waiting(context);
        }
        unit.append(context);
    }
    with(|state| state.buffers = unit.recorder.buffers);
}

/// Whether Redis is in the middle of unlinking a key. Field expiry does that outside an execution unit, and Redis runs
/// waiting jobs then too, while it holds a pointer into the keyspace (`dbGenericDelete`): a stream must not be made
/// there. What waits is appended after the next event or by [`wake`].
fn is_unlinking(context: &Context) -> bool {
    let going = with(|state| state.pending.going()).flatten();
    going.is_some_and(|(db, key)| context.select(db) && context.open(&key).is_some())
}

/// The changes of one execution unit, taken out of the state to become records.
struct Unit {
    pending: Pending,
    rules: Vec<Arc<Rule>>,
    recorder: Recorder,
}

impl Unit {
    fn append(&mut self, context: &Context) {
        let pending = mem::take(&mut self.pending);
        for rule in &self.rules.clone() {
            if let Some((db, command)) = pending.flush_of(rule.db) {
                let (opcode, data_type) = (Opcode::Flush, DataType::Unknown);
                let head = Head { db, key: &[], opcode, command, data_type, flags: Flags::NONE };
                let _counted = self.recorder.append(context, rule, &head, false, None);
            }
        }
        for change in pending.changes() {
            self.append_change(context, change);
        }
    }

    fn append_change(&mut self, context: &Context, change: &Change) {
        let untold = if change.told { Vec::new() } else { self.wanting(change) };
        let rules = if change.told { &change.rules } else { &untold };
        if rules.is_empty() {
            return;
        }
        context.select(change.db);
        let content = self.recorder.read(context, &change.key, None);
        let present = if change.created { Opcode::Create } else { Opcode::Update };
        let (opcode, flags) = match content {
            Content::Gone(_) => (Opcode::Delete, Flags::NONE),
            Content::Thin(_) => (present, Flags::THIN),
            Content::Bare(_) | Content::Whole(_) => (present, Flags::NONE),
        };
        let before = change.before.as_ref();
        let data_type = match (&content, before) {
            (Content::Gone(_), Some(before)) => before.data_type,
            _ => content.data_type(),
        };
        let (db, key, command) = (change.db, change.key.as_slice(), change.event.as_str());
        let head = Head { db, key, opcode, command, data_type, flags };
        let whole = matches!(content, Content::Whole(_));
        for rule in rules {
            let before = before.and_then(|before| before.image.as_deref()).filter(|_| rule.before);
            let _counted = self.recorder.append(context, rule, &head, whole, before);
        }
    }

    /// Rules that want a key whose coming or going no event told of.
    fn wanting(&self, change: &Change) -> Vec<Arc<Rule>> {
        let wants = |rule: &&Arc<Rule>| rule.wants(change.db, &change.key) && !rule.excludes(change.event.as_bytes());
        self.rules.iter().filter(wants).map(Arc::clone).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Counters, STATE, State, with};

    // What a thread of another module's does under the lock must see the same rules: `thread_local!` would not.
    #[test]
    fn all_threads_share_one_state() {
        fn shared<T: Sync>(_: &T) {}
        fn passed_on<T: Send>() {}
        shared(&STATE);
        passed_on::<State>();
        with(|state| state.counters = Counters { failed: 7, ..Counters::default() });
        let seen = std::thread::spawn(|| with(|state| state.counters.failed)).join().unwrap();
        assert_eq!(seen, Some(7));
        // Never waited for: who holds it may be the thread that crashed.
        assert_eq!(with(|_| with(|_| ())), Some(None));
    }
}
