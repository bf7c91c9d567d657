//! Content to images, images to records, records to streams. It must not know why a record is made.

use std::fmt::Write as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use redis_wb_record::{DataType, Flags, Opcode, RecordWriter};

use crate::capture::{self, Counters};
use crate::cluster::{self, slot_of};
use crate::ffi::{Context, Key, Reply};
use crate::image::{self, Bounds, Content};
use crate::rules::{Rule, STREAMS_DB};
use crate::streams::{self, Waiting};

/// A warning about records that could not be appended is logged at most this often.
const WARN_AGAIN: Duration = Duration::from_secs(1);
/// How many tags are tried for a record: that of the moment, and those picked where its slot has just left.
const TAGS_MAX: usize = 3;

/// What an image may have at most that has to be read in time: a larger one would take too long to copy.
const HURRIED_BYTES_MAX: usize = 64 * 1024;

/// Kept from record to record, so that most allocate nothing.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    pub(crate) image: image::Buffers,
    record: Vec<u8>,
    stream: Vec<u8>,
    /// Where the record stands among those of other servers, in a cluster.
    order: String,
}

impl Buffers {
    /// Without anything.
    pub(crate) const EMPTY: Self =
        Self { image: image::Buffers::EMPTY, record: Vec::new(), stream: Vec::new(), order: String::new() };
}

/// Makes records, with what the state lent it.
pub(crate) struct Recorder {
    epoch: u64,
    image_bytes_max: usize,
    pub(crate) buffers: Buffers,
}

/// All of a record but its images.
pub(crate) struct Head<'a> {
    pub(crate) db: u32,
    pub(crate) key: &'a [u8],
    pub(crate) opcode: Opcode,
    pub(crate) command: &'a str,
    pub(crate) data_type: DataType,
    pub(crate) flags: Flags,
}

/// A record as it is to be: what [`Recorder::append`] was given.
#[derive(Clone, Copy)]
struct Whole<'a> {
    head: &'a Head<'a>,
    after: bool,
    before: Option<&'a [u8]>,
}

impl Recorder {
    /// Makes records of an epoch.
    pub(crate) const fn new(epoch: u64, image_bytes_max: usize, buffers: Buffers) -> Self {
        Self { epoch, image_bytes_max, buffers }
    }

    /// Reads a key of the selected database, for its after image; one that takes longer than `until` is thin.
    pub(crate) fn read(&mut self, context: &Context, key: &[u8], until: Option<Instant>) -> Content {
        match context.open(key) {
            Some(open) => self.read_open(context, &open, key, until),
            None => Content::Gone(DataType::Unknown),
        }
    }

    /// Reads a key that is open.
    pub(crate) fn read_open(
        &mut self,
        context: &Context,
        open: &Key<'_>,
        key: &[u8],
        until: Option<Instant>,
    ) -> Content {
        let hurried_bytes_max = until.map_or(usize::MAX, |_| HURRIED_BYTES_MAX);
        let bounds = Bounds { bytes_max: self.image_bytes_max.min(hurried_bytes_max), until, can_wait: true };
        image::read(context, open, key, bounds, &mut self.buffers.image)
    }

    /// Reads a key that is open and about to go.
    pub(crate) fn read_last(&mut self, context: &Context, open: &Key<'_>, key: &[u8]) -> Content {
        let bounds = Bounds { bytes_max: self.image_bytes_max, until: None, can_wait: false };
        image::read(context, open, key, bounds, &mut self.buffers.image)
    }

    /// Appends a record; `after` says whether what was read last is its after image. Selects the streams' database.
    ///
    /// # Errors
    /// Why it could not be appended; it is counted and logged already.
    pub(crate) fn append(
        &mut self,
        context: &Context,
        rule: &Rule,
        head: &Head<'_>,
        after: bool,
        before: Option<&[u8]>,
    ) -> Result<(), String> {
        let content = Whole { head, after, before };
        self.place(context, rule, head);
        self.encode(&content);
        let appended = self.append_encoded(context, rule, &content);
        // The stream's own time to live had passed, and an epoch ended with it: the record belongs to the new one.
        if appended.is_ok() && self.takes_epoch() {
            self.encode(&content);
            return self.append_encoded(context, rule, &content);
        }
        appended
    }

    /// Finds out which stream a record goes to, and where it stands among those of other servers.
    fn place(&mut self, context: &Context, rule: &Rule, head: &Head<'_>) {
        let Buffers { stream, order, .. } = &mut self.buffers;
        order.clear();
        if capture::with(|state| state.is_clustered) == Some(true) {
            let slot = slot_of(head.key);
            cluster::look(context, Some(slot));
            streams::settle_tag(context);
            capture::with(|state| {
                if head.opcode != Opcode::Flush {
                    // Writing into a string cannot fail.
                    let _ = write!(order, "{}", state.cluster.order(slot, now_us()));
                }
            });
        }
        capture::with(|state| state.write_stream(&rule.name, stream));
        self.takes_epoch();
    }

    /// Takes over the epoch of the moment; whether it is another one.
    fn takes_epoch(&mut self) -> bool {
        let epoch = capture::with(|state| state.epoch).unwrap_or(self.epoch);
        std::mem::replace(&mut self.epoch, epoch) != epoch
    }

    fn encode(&mut self, whole: &Whole<'_>) {
        let Whole { head, after, before } = *whole;
        let record = &mut self.buffers.record;
        record.clear();
        let mut writer = RecordWriter::new(record);
        let Head { db, key, opcode, command, data_type, flags } = *head;
        writer.head(self.epoch, now_us(), db, key, opcode, command, data_type, flags);
        for image in [after.then_some(self.buffers.image.encoded.as_slice()), before] {
            match image {
                Some(image) => writer.encoded_image(image),
                None => writer.no_image(),
            }
        }
    }

    fn append_encoded(&mut self, context: &Context, rule: &Rule, whole: &Whole<'_>) -> Result<(), String> {
        context.select(STREAMS_DB);
        let appended = if capture::with(|state| state.is_clustered) == Some(true) {
            self.append_in_cluster(context, rule, whole)
        } else {
            append(context, &self.buffers.stream, &self.buffers.record, None).map(drop)
        };
        match appended {
            Ok(()) => {
                let bytes = u64::try_from(self.buffers.record.len()).unwrap_or_default();
                capture::with(|state| state.counters.count(bytes, whole.head.flags));
                Ok(())
            }
            Err(error) => {
                let error = format!("stream `{}`: {error}", String::from_utf8_lossy(&self.buffers.stream));
                failed(context, 1, &error);
                Err(error)
            }
        }
    }

    /// Appends under the tag of a slot that this shard has. Where it has none, as long as the cluster is down or all
    /// slots are still on their way, the record waits.
    fn append_in_cluster(&mut self, context: &Context, rule: &Rule, whole: &Whole<'_>) -> Result<(), String> {
        let mut error = NO_SLOT.to_owned();
        if streams::append_waiting(context) {
            for _ in 0..TAGS_MAX {
                match self.append_once(context, rule) {
                    Ok(()) => return Ok(()),
                    Err(why) if !is_of_cluster(&why) => return Err(why),
                    Err(why) => error = why,
                }
                capture::with(|state| state.cluster.is_stale = true);
                cluster::look(context, None);
                streams::settle_tag(context);
                capture::with(|state| state.write_stream(&rule.name, &mut self.buffers.stream));
                if self.takes_epoch() {
                    self.encode(whole);
                }
            }
        }
        // Whoever walks the keys can ask again.
        if whole.head.flags.contains(Flags::SNAPSHOT) {
            return Err(error);
        }
        let Buffers { record, order, .. } = &self.buffers;
        let waiting = Waiting { rule: rule.name.clone(), record: record.clone(), order: order.clone() };
        let waits = capture::with(|state| state.streams.wait(waiting)) == Some(true);
        if waits { Ok(()) } else { Err(error) }
    }

    fn append_once(&mut self, context: &Context, rule: &Rule) -> Result<(), String> {
        let Buffers { stream, order, record, .. } = &mut self.buffers;
        if stream.is_empty() {
            return Err(NO_SLOT.to_owned());
        }
        let len = order.len();
        capture::with(|state| {
            if len > 0
                && let Some(before) = state.streams.before(&rule.name)
            {
                order.extend([" ", before]);
            }
        });
        let appended = append(context, stream, record, Some(order.as_bytes()).filter(|order| !order.is_empty()));
        order.truncate(len);
        let id = appended?;
        capture::with(|state| state.streams.appended(&rule.name, id.text(), len > 0));
        Ok(())
    }
}

/// Appends an encoded record to a stream of the selected database, behind all that streams held which were lost.
pub(crate) fn append<'c>(
    context: &'c Context,
    stream: &[u8],
    record: &[u8],
    order: Option<&[u8]>,
) -> Result<Reply<'c>, String> {
    let first = capture::with(|state| state.ids.first(stream, || now_us() / 1_000)).flatten();
    let appended = match first.map(|id| context.append(stream, &id, record, order)) {
        Some(Ok(id)) => id,
        // The clock goes on, also where the stream is there and has further ids.
        _ => context.append(stream, c"*", record, order)?,
    };
    capture::with(|state| state.ids.given(stream, appended.text()));
    Ok(appended)
}

/// What stands for a place that is not there.
const NO_SLOT: &str = "no slot of this server is there for a change stream";

/// Whether Redis refused a record for a reason that passes with the slots.
pub(crate) fn is_of_cluster(error: &str) -> bool {
    ["non local key", "cluster is down", NO_SLOT].iter().any(|why| error.contains(why))
}

impl Counters {
    fn count(&mut self, bytes: u64, flags: Flags) {
        self.records = self.records.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
        self.thin = self.thin.saturating_add(u64::from(flags.contains(Flags::THIN)));
    }
}

/// Counts records that could not be appended, and says so in the log, but not for each of very many.
pub(crate) fn failed(context: &Context, records: u64, error: &str) {
    let warning = capture::with(|state| {
        state.counters.failed = state.counters.failed.saturating_add(records);
        error.clone_into(&mut state.counters.last_error);
        let now = Instant::now();
        if state.warned.is_some_and(|warned| now.duration_since(warned) < WARN_AGAIN) {
            return None;
        }
        state.warned = Some(now);
        Some(state.counters.failed)
    });
    if let Some(failed) = warning.flatten() {
        context.warn(&format!("a change record could not be appended, {failed} so far: {error}"));
    }
}

/// Microseconds since 1970.
pub(crate) fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or_default()
}
