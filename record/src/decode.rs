//! MessagePack to record, in place. Reads the whole message once and checks every image, so that iterating over
//! an image later cannot fail.

use rmp::decode::{self as mp, RmpRead};

use crate::{DataType, FORMAT_VERSION, Flags, Image, Members, Opcode, Pairs, Record, ScoredMembers};

/// Why bytes are not a change record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end before the record does, or an element has another type than the format says.
    #[error("the change record is malformed at byte {at}: expected {expected}")]
    Malformed {
        /// Offset of the element that could not be read.
        at: usize,
        /// What should be there.
        expected: &'static str,
    },
    /// The record was written by a newer capture module.
    #[error("the change record has format version {found}; this redis-wb reads up to {FORMAT_VERSION}")]
    Version {
        /// The version in the record.
        found: u64,
    },
}

/// Decodes one change record. Elements that a later minor writer may add at the end are passed over.
///
/// # Errors
/// [`DecodeError`] for anything that is not a record; no input panics.
pub fn decode(message: &[u8]) -> Result<Record<'_>, DecodeError> {
    let mut rest = message;
    record(&mut rest).map_err(|failure| failure.at(message, rest))
}

/// Decodes a record but for its images, which are not looked at.
///
/// # Errors
/// As [`decode`] has them.
pub fn decode_head(message: &[u8]) -> Result<Record<'_>, DecodeError> {
    let mut rest = message;
    head(&mut rest).map_err(|failure| failure.at(message, rest))
}

/// The key of a record of which only the beginning is at hand: as much of it as is there, and whether that is all.
/// `None` where it is no record of this version.
#[must_use]
pub fn key_of(beginning: &[u8]) -> Option<(&[u8], bool)> {
    let mut rest = beginning;
    mp::read_array_len(&mut rest).ok()?;
    if uint(&mut rest, "").ok()? != u64::from(FORMAT_VERSION) {
        return None;
    }
    for what in ["the epoch", "the capture time", "the database"] {
        uint(&mut rest, what).ok()?;
    }
    let len = bytes_len(&mut rest).ok()?;
    Some(rest.split_at_checked(len).map_or((rest, false), |(key, _)| (key, true)))
}

pub(crate) enum Failure {
    Expected(&'static str),
    Version(u64),
}

impl Failure {
    /// With its place: what is left of a message begins there.
    fn at(self, message: &[u8], rest: &[u8]) -> DecodeError {
        match self {
            Self::Expected(expected) => DecodeError::Malformed { at: message.len() - rest.len(), expected },
            Self::Version(found) => DecodeError::Version { found },
        }
    }
}

fn record<'a>(rest: &mut &'a [u8]) -> Result<Record<'a>, Failure> {
    let head = head(rest)?;
    Ok(Record { after: image(rest)?, before: image(rest)?, ..head })
}

fn head<'a>(rest: &mut &'a [u8]) -> Result<Record<'a>, Failure> {
    let len = mp::read_array_len(rest).map_err(|_| Failure::Expected("an array"))?;
    let version = uint(rest, "the format version")?;
    if version != u64::from(FORMAT_VERSION) {
        return Err(Failure::Version(version));
    }
    if len < 11 {
        return Err(Failure::Expected("at least 11 elements"));
    }
    Ok(Record {
        epoch: uint(rest, "the epoch")?,
        time_us: uint(rest, "the capture time")?,
        db: narrow(uint(rest, "the database")?, "a database below 2^32")?,
        key: bytes(rest)?,
        opcode: Opcode::from_letter(bytes(rest)?).ok_or(Failure::Expected("an opcode: c, u, d or f"))?,
        command: std::str::from_utf8(bytes(rest)?).map_err(|_| Failure::Expected("a command in UTF-8"))?,
        data_type: data_type(rest)?,
        flags: Flags::from_bits(narrow(uint(rest, "the flags")?, "flags below 2^32")?),
        after: None,
        before: None,
    })
}

fn image<'a>(rest: &mut &'a [u8]) -> Result<Option<Image<'a>>, Failure> {
    if rest.first() == Some(&0xc0) {
        *rest = rest.get(1..).unwrap_or_default();
        return Ok(None);
    }
    if mp::read_array_len(rest).map_err(|_| Failure::Expected("an image"))? != 2 {
        return Err(Failure::Expected("an image of two elements"));
    }
    Ok(Some(match data_type(rest)? {
        DataType::Hash => {
            let (bytes, len) = sequence(rest, 2, pair)?;
            Image::Hash(Pairs { bytes, len })
        }
        DataType::Set => {
            let (bytes, len) = sequence(rest, 1, bytes)?;
            Image::Set(Members { bytes, len })
        }
        DataType::SortedSet => {
            let (bytes, len) = sequence(rest, 2, scored)?;
            Image::SortedSet(ScoredMembers { bytes, len })
        }
        DataType::Json => Image::Json(bytes(rest)?),
        DataType::String => Image::String(bytes(rest)?),
        DataType::Unknown => return Err(Failure::Expected("an image of a known data type")),
    }))
}

// INVARIANT (validated image): every item is read here once, so iterating over the image cannot fail.
fn sequence<'a, T>(
    rest: &mut &'a [u8],
    parts: usize,
    read: impl Fn(&mut &'a [u8]) -> Result<T, Failure>,
) -> Result<(&'a [u8], usize), Failure> {
    let elements = mp::read_array_len(rest).map_err(|_| Failure::Expected("the parts of an image"))?;
    let elements: usize = narrow(u64::from(elements), "a length that fits memory")?;
    if !elements.is_multiple_of(parts) {
        return Err(Failure::Expected("an even number of parts"));
    }
    let start = *rest;
    let len = elements / parts;
    for _ in 0..len {
        read(rest)?;
    }
    let (items, _) = start.split_at_checked(start.len() - rest.len()).unwrap_or((start, &[]));
    Ok((items, len))
}

pub(crate) fn pair<'a>(rest: &mut &'a [u8]) -> Result<(&'a [u8], &'a [u8]), Failure> {
    Ok((bytes(rest)?, bytes(rest)?))
}

pub(crate) fn scored<'a>(rest: &mut &'a [u8]) -> Result<(&'a [u8], f64), Failure> {
    let member = bytes(rest)?;
    let score = mp::read_f64(rest).map_err(|_| Failure::Expected("a score"))?;
    Ok((member, score))
}

/// Reads a `bin` or a `str`; both are accepted wherever bytes are wanted, so that any producer's library will do.
pub(crate) fn bytes<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Failure> {
    let len = bytes_len(rest)?;
    let (bytes, after) = rest.split_at_checked(len).ok_or(Failure::Expected("as many bytes as announced"))?;
    *rest = after;
    Ok(bytes)
}

/// How many bytes a `bin` or a `str` announces.
fn bytes_len(rest: &mut &[u8]) -> Result<usize, Failure> {
    const EXPECTED: Failure = Failure::Expected("bytes or a string");
    let marker = mp::read_marker(rest).map_err(|_| EXPECTED)?;
    Ok(match marker {
        rmp::Marker::FixStr(len) => usize::from(len),
        rmp::Marker::Str8 | rmp::Marker::Bin8 => usize::from(rest.read_data_u8().map_err(|_| EXPECTED)?),
        rmp::Marker::Str16 | rmp::Marker::Bin16 => usize::from(rest.read_data_u16().map_err(|_| EXPECTED)?),
        rmp::Marker::Str32 | rmp::Marker::Bin32 => {
            narrow(u64::from(rest.read_data_u32().map_err(|_| EXPECTED)?), "a length that fits memory")?
        }
        _ => return Err(EXPECTED),
    })
}

fn data_type(rest: &mut &[u8]) -> Result<DataType, Failure> {
    let code = narrow(uint(rest, "a data type")?, "a data type below 256")?;
    DataType::from_code(code).ok_or(Failure::Expected("a data type that this version knows"))
}

fn uint(rest: &mut &[u8], expected: &'static str) -> Result<u64, Failure> {
    mp::read_int(rest).map_err(|_| Failure::Expected(expected))
}

fn narrow<T: TryFrom<u64>>(value: u64, expected: &'static str) -> Result<T, Failure> {
    T::try_from(value).map_err(|_| Failure::Expected(expected))
}
