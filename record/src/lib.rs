//! The change record: what capture appends to a change stream and the runtime reads from it.
//!
//! | part | what it is |
//! |---|---|
//! | [`Record`] | one change of one key, borrowed from the bytes it was decoded from |
//! | [`Image`] | the content of the key after or before the change |
//! | [`encode`] | record to MessagePack (in [`RecordWriter`] when the image is written piece by piece) |
//! | [`key_of`] | the key of a record that is not whole |
//! | [`read_entries`] | entries of a change stream as one string (written by [`EntryWriter`]) |
//! | [`glob`] | key patterns as Redis matches them |
//! | [`decode`] | MessagePack to record; any bytes give a record or a [`DecodeError`], never a panic |
//!
//! The record is a public contract, described in `record/FORMAT.md`: whatever appends such records to a stream
//! can feed the runtime. This crate knows neither Redis nor plans.

mod decode;
mod encode;
mod entries;
pub mod glob;

pub use decode::{DecodeError, decode, decode_head, key_of};
pub use encode::{RecordWriter, encode};
pub use entries::{EntryWriter, StreamEntry, read_entries};

/// The version of the format that this crate writes, and the highest that it reads.
pub const FORMAT_VERSION: u8 = 1;

/// The name of the field of a stream entry that holds the change record.
pub const STREAM_FIELD: &str = "r";

/// The name of the field that says, in a cluster, where the record stands among those of other servers.
pub const ORDER_FIELD: &str = "o";

/// What happened to the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Opcode {
    /// The key did not exist before the change.
    Create,
    /// The key existed before the change.
    Update,
    /// The key exists no longer.
    Delete,
    /// A whole database, or all of them, was emptied; the record names no key.
    Flush,
}

impl Opcode {
    /// The letter that stands for the opcode in a record and in `opcode_field`.
    #[must_use]
    pub const fn letter(self) -> &'static str {
        match self {
            Self::Create => "c",
            Self::Update => "u",
            Self::Delete => "d",
            Self::Flush => "f",
        }
    }

    fn from_letter(letter: &[u8]) -> Option<Self> {
        match letter {
            b"c" => Some(Self::Create),
            b"u" => Some(Self::Update),
            b"d" => Some(Self::Delete),
            b"f" => Some(Self::Flush),
            _ => None,
        }
    }
}

/// The Redis type of a key. The number is the code in the record and is never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DataType {
    /// The type is not known (a delete without a before image), or not one that is tracked.
    Unknown = 0,
    /// A hash.
    Hash = 1,
    /// A RedisJSON document.
    Json = 2,
    /// A set.
    Set = 3,
    /// A sorted set.
    SortedSet = 4,
    /// A string.
    String = 5,
}

impl DataType {
    /// The type with this code, or `None` where the code is not one of version 1.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Unknown,
            1 => Self::Hash,
            2 => Self::Json,
            3 => Self::Set,
            4 => Self::SortedSet,
            5 => Self::String,
            _ => return None,
        })
    }

    /// The code of the type in a record.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The name of the type as a job spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Hash => "hash",
            Self::Json => "json",
            Self::Set => "set",
            Self::SortedSet => "sorted_set",
            Self::String => "string",
        }
    }
}

/// Facts about a record that are either true or not, as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(u32);

impl Flags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// The record carries no image and means "read the key now".
    pub const THIN: Self = Self(1);
    /// The record was made by a snapshot, not by a write.
    pub const SNAPSHOT: Self = Self(2);

    /// Whether every bit of `other` is set here.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets of flags together.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The flags as the record holds them. Unknown bits of a newer writer are kept.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The bits, as the record holds them.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }
}

/// One change of one key. Borrows every byte from the message that it was decoded from.
#[derive(Debug, Clone, PartialEq)]
pub struct Record<'a> {
    /// The id that the capture module drew when it last became the primary: stream ids compare within one epoch.
    pub epoch: u64,
    /// When the change was captured, in microseconds since 1970-01-01T00:00:00Z.
    pub time_us: u64,
    /// The database that the key is in.
    pub db: u32,
    /// The key. Empty for [`Opcode::Flush`].
    pub key: &'a [u8],
    /// What happened.
    pub opcode: Opcode,
    /// The event that Redis reported, in lower case: `hset`, `del`, `expired`, `json.set`, ...
    pub command: &'a str,
    /// The type of the key after the change or, for a delete, before it where that is known.
    pub data_type: DataType,
    /// The content after the change; `None` for deletes, flushes and thin records.
    pub after: Option<Image<'a>>,
    /// The content before the change, where the tracking rule asked for it.
    pub before: Option<Image<'a>>,
    /// Further facts.
    pub flags: Flags,
}

/// The content of a key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Image<'a> {
    /// The fields and values of a hash.
    Hash(Pairs<'a>),
    /// The text of a JSON document.
    Json(&'a [u8]),
    /// The members of a set.
    Set(Members<'a>),
    /// The members and scores of a sorted set.
    SortedSet(ScoredMembers<'a>),
    /// The bytes of a string.
    String(&'a [u8]),
}

impl Image<'_> {
    /// The type of key that has such content.
    #[must_use]
    pub const fn data_type(&self) -> DataType {
        match self {
            Self::Hash(_) => DataType::Hash,
            Self::Json(_) => DataType::Json,
            Self::Set(_) => DataType::Set,
            Self::SortedSet(_) => DataType::SortedSet,
            Self::String(_) => DataType::String,
        }
    }
}

macro_rules! sequence {
    ($(#[$doc:meta])* $name:ident, $item:ty, $next:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name<'a> {
            // INVARIANT (validated image): `bytes` starts with `len` well-formed items; only `decode` makes one.
            pub(crate) bytes: &'a [u8],
            pub(crate) len: usize,
        }

        impl<'a> $name<'a> {
            /// How many there are.
            #[must_use]
            pub const fn len(&self) -> usize {
                self.len
            }

            /// Whether there is none.
            #[must_use]
            pub const fn is_empty(&self) -> bool {
                self.len == 0
            }

            /// All of them, in the order of the record.
            pub fn iter(&self) -> impl Iterator<Item = $item> + use<'a> {
                let mut rest = self.bytes;
                (0..self.len).map_while(move |_| $next(&mut rest).ok())
            }
        }
    };
}

sequence!(
    /// The fields and values of a hash, read in place.
    Pairs, (&'a [u8], &'a [u8]), decode::pair
);
sequence!(
    /// The members of a set, read in place.
    Members, &'a [u8], decode::bytes
);
sequence!(
    /// The members and scores of a sorted set, read in place.
    ScoredMembers, (&'a [u8], f64), decode::scored
);

impl<'a> Pairs<'a> {
    /// The value of one field. A hash image holds a field once, so the first is the only one.
    #[must_use]
    pub fn get(&self, field: &[u8]) -> Option<&'a [u8]> {
        self.iter().find(|(name, _)| *name == field).map(|(_, value)| value)
    }
}
