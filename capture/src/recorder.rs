//! Content to images, images to records, records to streams. It must not know why a record is made.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use redis_wb_record::{DataType, Flags, Opcode, RecordWriter, STREAM_FIELD};

use crate::capture::{self, Counters};
use crate::ffi::{Context, Key};
use crate::image::{self, Bounds, Content};
use crate::rules::{Rule, STREAMS_DB};

/// A warning about records that could not be appended is logged at most this often.
const WARN_AGAIN: Duration = Duration::from_secs(1);

/// What an image may have at most that has to be read in time: a larger one would take too long to copy.
const HURRIED_BYTES_MAX: usize = 64 * 1024;

/// Kept from record to record, so that most allocate nothing.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    pub(crate) image: image::Buffers,
    record: Vec<u8>,
}

impl Buffers {
    /// Without anything.
    pub(crate) const EMPTY: Self = Self { image: image::Buffers::EMPTY, record: Vec::new() };
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
        let bounds = Bounds { bytes_max: self.image_bytes_max.min(hurried_bytes_max), until };
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
        self.encode(head, after, before);
        context.select(STREAMS_DB);
        let appended = self.append_encoded(context, rule, head.flags);
        // The stream's own time to live had passed, and an epoch ended with it: the record belongs to the new one.
        match capture::with(|state| state.epoch) {
            Some(epoch) if appended.is_ok() && epoch != self.epoch => {
                self.epoch = epoch;
                self.encode(head, after, before);
                self.append_encoded(context, rule, head.flags)
            }
            _ => appended,
        }
    }

    fn encode(&mut self, head: &Head<'_>, after: bool, before: Option<&[u8]>) {
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

    fn append_encoded(&self, context: &Context, rule: &Rule, flags: Flags) -> Result<(), String> {
        let record = &self.buffers.record;
        match context.append(&rule.stream, STREAM_FIELD.as_bytes(), record) {
            Ok(()) => {
                let bytes = u64::try_from(record.len()).unwrap_or_default();
                capture::with(|state| state.counters.count(bytes, flags));
                Ok(())
            }
            Err(error) => {
                let error = format!("stream `{}`: {error}", String::from_utf8_lossy(&rule.stream));
                failed(context, 1, &error);
                Err(error)
            }
        }
    }
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

fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or_default()
}
