//! The content of a key as an encoded image. It must not know why it is read.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Instant;

use redis_wb_record::{DataType, RecordWriter};

use crate::ffi::{Context, Key, Kind};
use crate::{recorder, saved, weigh};

/// What a key was found to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// Nothing: there is no key, or one whose last field or member just went.
    Gone(DataType),
    /// A string. It makes no rows, so no image; and to read it would make Redis keep it in another encoding.
    Bare(DataType),
    /// More than an image may hold, or a type that has none.
    Thin(DataType),
    /// What [`Buffers::encoded`] holds.
    Whole(DataType),
}

impl Content {
    pub(crate) const fn data_type(self) -> DataType {
        match self {
            Self::Gone(data_type) | Self::Bare(data_type) | Self::Thin(data_type) | Self::Whole(data_type) => data_type,
        }
    }
}

/// What an image may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) bytes_max: usize,
    /// When it has to be read, if ever. A JSON document that was begun is read to its end, so only a small one is begun.
    pub(crate) until: Option<Instant>,
    /// Whether it can be read later as well, as what a key holds now can: then a document that was found to be too large
    /// is not read again to find that out.
    pub(crate) can_wait: bool,
}

impl Bounds {
    fn is_late(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }
}

/// After so many fields or members, the clock is looked at.
const LATE_ITEMS: usize = 64;

/// How many documents are known to be too large.
const TOO_LARGE_MAX: usize = 1_024;
/// After so many changes one of them is read again: it may have shrunk.
const LOOK_AGAIN_CHANGES: u32 = 100;

/// Kept from image to image.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    /// The image that was read last.
    pub(crate) encoded: Vec<u8>,
    /// Its fields or members while their number is not known.
    items: Vec<u8>,
    too_large: TooLarge,
}

impl Buffers {
    /// Without an image.
    pub(crate) const EMPTY: Self =
        Self { encoded: Vec::new(), items: Vec::new(), too_large: TooLarge(VecDeque::new()) };
}

/// Documents that were found to be too large, the latest last: hashes of their keys, and how many changes ago that was.
/// To write one as text takes long, and only tells again that it is too large. One that is here by mistake, since it
/// shrank, is read by the worker, which is never wrong.
#[derive(Debug, Default)]
struct TooLarge(VecDeque<(u64, u32)>);

impl TooLarge {
    /// Whether a document is one, and has not become small.
    fn holds(&mut self, context: &Context, key: &[u8]) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let hash = hash_of(context, key);
        let Some(at) = self.0.iter().position(|(known, _)| *known == hash) else { return false };
        let is_due = self.0.get_mut(at).is_none_or(|(_, changes)| {
            *changes += 1;
            *changes >= LOOK_AGAIN_CHANGES
        });
        if is_due || weigh::is_small_document(context, key) {
            self.0.remove(at);
            return false;
        }
        true
    }

    fn note(&mut self, context: &Context, key: &[u8]) {
        let hash = hash_of(context, key);
        self.0.retain(|(known, _)| *known != hash);
        if self.0.len() >= TOO_LARGE_MAX {
            self.0.pop_front();
        }
        self.0.push_back((hash, 0));
    }
}

fn hash_of(context: &Context, key: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    (context.db(), key).hash(&mut hasher);
    hasher.finish()
}

/// The type of a key that can be told without reading it.
pub(crate) const fn data_type(kind: Kind) -> DataType {
    match kind {
        Kind::Hash => DataType::Hash,
        Kind::Set => DataType::Set,
        Kind::SortedSet => DataType::SortedSet,
        Kind::String => DataType::String,
        Kind::Empty | Kind::Stream | Kind::Module | Kind::Other => DataType::Unknown,
    }
}

/// Reads the open `key`; its image, if it has one within the bounds, goes to `buffers`.
pub(crate) fn read(context: &Context, open: &Key<'_>, key: &[u8], bounds: Bounds, buffers: &mut Buffers) -> Content {
    let kind = open.kind();
    let data_type = data_type(kind);
    buffers.encoded.clear();
    match kind {
        Kind::Empty => Content::Gone(data_type),
        Kind::Stream | Kind::Other => Content::Thin(data_type),
        Kind::Hash | Kind::Set | Kind::SortedSet => scan(open, data_type, bounds, buffers),
        Kind::String => Content::Bare(data_type),
        Kind::Module if !has_time(context, key, bounds) => Content::Thin(data_type),
        Kind::Module if bounds.can_wait && buffers.too_large.holds(context, key) => Content::Thin(DataType::Json),
        Kind::Module if !bounds.can_wait && weigh::is_surely_larger(context, key, bounds.bytes_max) => {
            Content::Thin(DataType::Json)
        }
        Kind::Module => match context.json(key) {
            Ok(reply) => {
                let content = document(reply.text(), bounds.bytes_max, buffers);
                // In a hurry, less is too large already.
                if matches!(content, Content::Thin(_)) && bounds.until.is_none() {
                    buffers.too_large.note(context, key);
                }
                content
            }
            Err(why) if recorder::is_of_cluster(&why) => on_its_way(open, bounds, buffers),
            Err(_) => Content::Thin(DataType::Unknown),
        },
    }
}

/// Reads a document whose slot is on its way here: Redis lets a module run no command at its key, not even for a client
/// that was sent on to it. To read it later instead would show what it became by then, and older versions after that.
fn on_its_way(open: &Key<'_>, bounds: Bounds, buffers: &mut Buffers) -> Content {
    match open.saved(|saved| saved::document(saved, bounds.bytes_max)) {
        Some(text) => document(&text, bounds.bytes_max, buffers),
        None => Content::Thin(DataType::Unknown),
    }
}

/// Whether a document may be read to its end: where time is short, only a small one.
fn has_time(context: &Context, key: &[u8], bounds: Bounds) -> bool {
    bounds.until.is_none() || (!bounds.is_late() && weigh::is_small_document(context, key))
}

/// A document as an image, where it is not too large for one.
fn document(text: &[u8], bytes_max: usize, buffers: &mut Buffers) -> Content {
    if text.len() > bytes_max {
        return Content::Thin(DataType::Json);
    }
    RecordWriter::new(&mut buffers.encoded).blob(DataType::Json, text);
    Content::Whole(DataType::Json)
}

fn scan(open: &Key<'_>, data_type: DataType, bounds: Bounds, buffers: &mut Buffers) -> Content {
    // Every member has at least one byte and another that says so: a long set need not be walked to be too long.
    if open.len().saturating_mul(2) > bounds.bytes_max {
        return Content::Thin(data_type);
    }
    buffers.items.clear();
    let mut fits = true;
    let mut len = 0_usize;
    open.scan(|name, value| {
        fits = buffers.items.len() + name.len() + value.len() <= bounds.bytes_max
            && !(len % LATE_ITEMS == LATE_ITEMS - 1 && bounds.is_late())
            && item(&mut RecordWriter::new(&mut buffers.items), data_type, name, value);
        len += 1;
        fits
    });
    if !fits {
        return Content::Thin(data_type);
    }
    if len == 0 {
        return Content::Gone(data_type);
    }
    RecordWriter::new(&mut buffers.encoded).items(data_type, len, &buffers.items);
    Content::Whole(data_type)
}

/// Writes one field or member; false where its score cannot be read.
fn item(writer: &mut RecordWriter<'_>, data_type: DataType, name: &[u8], value: &[u8]) -> bool {
    match data_type {
        DataType::Set => writer.member(name),
        DataType::SortedSet => match std::str::from_utf8(value).ok().and_then(|score| score.parse().ok()) {
            Some(score) => writer.scored(name, score),
            None => return false,
        },
        _ => writer.field(name, value),
    }
    true
}
