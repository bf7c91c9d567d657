//! Record to MessagePack. Writes into a buffer the caller keeps, so that capture allocates nothing per change.

use crate::{DataType, FORMAT_VERSION, Flags, Image, Opcode, Record};

/// The longest text whose length stands in MessagePack's marker.
const FIXSTR_BYTES_MAX: usize = 31;

/// Encodes a whole record, appending to `out`.
pub fn encode(record: &Record<'_>, out: &mut Vec<u8>) {
    let mut writer = RecordWriter::new(out);
    writer.head(
        record.epoch,
        record.time_us,
        record.db,
        record.key,
        record.opcode,
        record.command,
        record.data_type,
        record.flags,
    );
    for image in [&record.after, &record.before] {
        match image {
            Some(image) => writer.image(image),
            None => writer.no_image(),
        }
    }
}

/// Writes a record piece by piece: the head, then the after image, then the before image.
///
/// Capture uses it to write the fields of a key straight from the callback that scans them.
pub struct RecordWriter<'o> {
    out: &'o mut Vec<u8>,
}

impl<'o> RecordWriter<'o> {
    /// Appends to `out`.
    pub const fn new(out: &'o mut Vec<u8>) -> Self {
        Self { out }
    }

    /// Writes all but the images; exactly two images (or [`Self::no_image`]) must follow: after, then before.
    #[expect(clippy::too_many_arguments, reason = "these are the elements of the format, in its order")]
    pub fn head(
        &mut self,
        epoch: u64,
        time_us: u64,
        db: u32,
        key: &[u8],
        opcode: Opcode,
        command: &str,
        data_type: DataType,
        flags: Flags,
    ) {
        self.array(11);
        self.uint(u64::from(FORMAT_VERSION));
        self.uint(epoch);
        self.uint(time_us);
        self.uint(u64::from(db));
        self.bin(key);
        self.str(opcode.letter());
        self.str(command);
        self.uint(u64::from(data_type.code()));
        self.uint(u64::from(flags.bits()));
    }

    /// Writes that an image is absent.
    pub fn no_image(&mut self) {
        self.out.push(0xc0);
    }

    /// Writes an image that was decoded before.
    pub fn image(&mut self, image: &Image<'_>) {
        match image {
            Image::Hash(pairs) => {
                self.open(DataType::Hash, pairs.len());
                pairs.iter().for_each(|(field, value)| self.field(field, value));
            }
            Image::Set(members) => {
                self.open(DataType::Set, members.len());
                members.iter().for_each(|member| self.member(member));
            }
            Image::SortedSet(members) => {
                self.open(DataType::SortedSet, members.len());
                members.iter().for_each(|(member, score)| self.scored(member, score));
            }
            Image::Json(text) => self.blob(DataType::Json, text),
            Image::String(bytes) => self.blob(DataType::String, bytes),
        }
    }

    /// Opens an image of `len` fields, members or scored members, which must follow.
    pub fn open(&mut self, data_type: DataType, len: usize) {
        self.array(2);
        self.uint(u64::from(data_type.code()));
        self.array(if data_type == DataType::Set { len } else { len.saturating_mul(2) });
    }

    /// Writes one field of a hash image.
    pub fn field(&mut self, name: &[u8], value: &[u8]) {
        self.bin(name);
        self.bin(value);
    }

    /// Writes one member of a set image.
    pub fn member(&mut self, member: &[u8]) {
        self.bin(member);
    }

    /// Writes one member of a sorted-set image.
    pub fn scored(&mut self, member: &[u8], score: f64) {
        self.bin(member);
        self.out.push(0xcb);
        self.out.extend_from_slice(&score.to_bits().to_be_bytes());
    }

    /// Writes a whole JSON or string image.
    pub fn blob(&mut self, data_type: DataType, bytes: &[u8]) {
        self.array(2);
        self.uint(u64::from(data_type.code()));
        self.bin(bytes);
    }

    /// Writes an image whose `len` items were encoded before by [`Self::field`], [`Self::member`] or [`Self::scored`]
    /// into a buffer of their own, because their number was not known yet.
    pub fn items(&mut self, data_type: DataType, len: usize, encoded: &[u8]) {
        self.open(data_type, len);
        self.out.extend_from_slice(encoded);
    }

    /// Writes an image that is encoded already.
    pub fn encoded_image(&mut self, encoded: &[u8]) {
        self.out.extend_from_slice(encoded);
    }

    fn array(&mut self, len: usize) {
        // A Redis value is at most 512 MB and has fewer than 2^32 parts.
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        infallible(rmp::encode::write_array_len(self.out, len));
    }

    fn uint(&mut self, value: u64) {
        infallible(rmp::encode::write_uint(self.out, value));
    }

    fn str(&mut self, text: &str) {
        infallible(rmp::encode::write_str(self.out, text));
    }

    fn bin(&mut self, bytes: &[u8]) {
        // A byte less each: the greater part of the fields and values that records have.
        if bytes.len() <= FIXSTR_BYTES_MAX && bytes.is_ascii() {
            #[expect(clippy::cast_possible_truncation, reason = "at most 31")]
            self.out.push(0xa0 | bytes.len() as u8);
            self.out.extend_from_slice(bytes);
            return;
        }
        infallible(rmp::encode::write_bin(self.out, bytes));
    }
}

/// Writing into a `Vec` cannot fail: its `io::Write` returns no error.
fn infallible<T, E>(result: Result<T, E>) {
    drop(result);
}
