//! Records survive the codec, and no bytes whatever make the decoder panic.

use proptest::collection::vec;
use proptest::prelude::*;
use redis_wb_record::{
    DataType, DecodeError, EntryWriter, FORMAT_VERSION, Flags, Image, Opcode, Record, RecordWriter, StreamEntry,
    decode, encode, read_entries,
};

/// An image with content of its own; [`Image`] borrows.
#[derive(Debug, Clone)]
enum Content {
    Hash(Vec<(Vec<u8>, Vec<u8>)>),
    Set(Vec<Vec<u8>>),
    SortedSet(Vec<(Vec<u8>, f64)>),
    Blob(DataType, Vec<u8>),
}

impl Content {
    fn write(&self, writer: &mut RecordWriter<'_>) {
        match self {
            Self::Hash(pairs) => {
                writer.open(DataType::Hash, pairs.len());
                pairs.iter().for_each(|(name, value)| writer.field(name, value));
            }
            Self::Set(members) => {
                writer.open(DataType::Set, members.len());
                members.iter().for_each(|member| writer.member(member));
            }
            Self::SortedSet(members) => {
                writer.open(DataType::SortedSet, members.len());
                members.iter().for_each(|(member, score)| writer.scored(member, *score));
            }
            Self::Blob(data_type, bytes) => writer.blob(*data_type, bytes),
        }
    }

    fn is(&self, image: &Image<'_>) -> bool {
        match (self, image) {
            (Self::Hash(own), Image::Hash(pairs)) => {
                own.len() == pairs.len()
                    && own.iter().zip(pairs.iter()).all(|(a, b)| (a.0.as_slice(), a.1.as_slice()) == b)
            }
            (Self::Set(own), Image::Set(members)) => {
                own.len() == members.len() && own.iter().zip(members.iter()).all(|(a, b)| a == b)
            }
            (Self::SortedSet(own), Image::SortedSet(members)) => {
                own.len() == members.len()
                    && own.iter().zip(members.iter()).all(|(a, b)| a.0 == b.0 && a.1.to_bits() == b.1.to_bits())
            }
            (Self::Blob(DataType::Json, own), Image::Json(bytes)) => own == bytes,
            (Self::Blob(DataType::String, own), Image::String(bytes)) => own == bytes,
            _ => false,
        }
    }
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(any::<u8>(), 0..40), vec(any::<u8>(), 200..300), Just(vec![7; 70_000])]
}

fn content() -> impl Strategy<Value = Option<Content>> {
    let blob = (prop_oneof![Just(DataType::Json), Just(DataType::String)], bytes());
    prop_oneof![
        Just(None),
        vec((bytes(), bytes()), 0..20).prop_map(|pairs| Some(Content::Hash(pairs))),
        vec(bytes(), 0..40).prop_map(|members| Some(Content::Set(members))),
        vec((bytes(), any::<f64>()), 0..20).prop_map(|members| Some(Content::SortedSet(members))),
        blob.prop_map(|(data_type, bytes)| Some(Content::Blob(data_type, bytes))),
    ]
}

fn opcode() -> impl Strategy<Value = Opcode> {
    prop_oneof![Just(Opcode::Create), Just(Opcode::Update), Just(Opcode::Delete), Just(Opcode::Flush)]
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        (epoch, time_us, db) in any::<(u64, u64, u32)>(),
        (key, command, opcode, code, bits) in (bytes(), ".{0,40}", opcode(), 0_u8..6, any::<u32>()),
        (after, before) in (content(), content()),
    ) {
        let (data_type, flags) = (DataType::from_code(code).unwrap(), Flags::from_bits(bits));
        let mut message = Vec::new();
        let mut writer = RecordWriter::new(&mut message);
        writer.head(epoch, time_us, db, &key, opcode, &command, data_type, flags);
        for content in [&after, &before] {
            match content {
                Some(content) => content.write(&mut writer),
                None => writer.no_image(),
            }
        }
        let record = decode(&message).unwrap();
        prop_assert_eq!((record.epoch, record.time_us, record.db, record.key), (epoch, time_us, db, key.as_slice()));
        prop_assert_eq!((record.opcode, record.command, record.data_type), (opcode, command.as_str(), data_type));
        prop_assert_eq!(record.flags, flags);
        for (content, image) in [(&after, &record.after), (&before, &record.before)] {
            match (content, image) {
                (Some(content), Some(image)) => prop_assert!(content.is(image)),
                (content, image) => prop_assert!(content.is_none() && image.is_none()),
            }
        }
        // Encoding what was decoded gives the same bytes, so that a record can be put aside and played again.
        let mut again = Vec::new();
        encode(&record, &mut again);
        prop_assert_eq!(&again, &message);
        // A record that is cut off anywhere is none.
        for len in (0..message.len()).step_by(1 + message.len() / 64) {
            prop_assert!(decode(&message[..len]).is_err());
        }
    }

    #[test]
    fn any_bytes_are_a_record_or_an_error(message in vec(any::<u8>(), 0..200)) {
        visit(&message);
    }

    #[test]
    fn a_spoiled_record_is_a_record_or_an_error(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut message = sample();
        let at = at.index(message.len());
        message[at] = byte;
        visit(&message);
    }
}

/// Decodes and reads all that there is.
fn visit(message: &[u8]) {
    let Ok(record) = decode(message) else { return };
    for image in [record.after, record.before].into_iter().flatten() {
        match image {
            Image::Hash(pairs) => assert_eq!(pairs.iter().count(), pairs.len()),
            Image::Set(members) => assert_eq!(members.iter().count(), members.len()),
            Image::SortedSet(members) => assert_eq!(members.iter().count(), members.len()),
            Image::Json(_) | Image::String(_) => {}
        }
    }
}

fn sample() -> Vec<u8> {
    let mut message = Vec::new();
    let mut writer = RecordWriter::new(&mut message);
    writer.head(1, 2, 3, b"emp:1", Opcode::Update, "hset", DataType::Hash, Flags::NONE);
    Content::Hash(vec![(b"a".to_vec(), b"1".to_vec()), (b"b".to_vec(), b"2".to_vec())]).write(&mut writer);
    Content::SortedSet(vec![(b"m".to_vec(), 0.5)]).write(&mut writer);
    message
}

#[test]
fn a_record_is_these_bytes() {
    let head = b"\x9b\x01\x01\x02\x03\xa5emp:1\xa1u\xa4hset\x01\x00";
    let after = b"\x92\x01\x94\xa1a\xa11\xa1b\xa12";
    let before = b"\x92\x04\x92\xa1m\xcb\x3f\xe0\x00\x00\x00\x00\x00\x00";
    assert_eq!(sample(), [&head[..], &after[..], &before[..]].concat());
}

#[test]
fn bytes_that_are_short_ascii_take_the_shorter_form() {
    for (member, header) in [
        (&[b'm'; 31][..], &b"\xbf"[..]),
        (&[b'm'; 32], b"\xc4\x20"),
        (&[0xff], b"\xc4\x01"),
        ("ü".as_bytes(), b"\xc4\x02"),
        (b"", b"\xa0"),
    ] {
        let mut message = Vec::new();
        RecordWriter::new(&mut message).member(member);
        assert_eq!(message, [header, member].concat());
    }
}

#[test]
fn other_producers_may_write_strings_and_more_elements() {
    let message = b"\x9c\x01\x01\x02\x03\xa5emp:1\xc4\x01u\xc4\x04hset\x01\x00\x92\x01\x92\xa1a\xd9\x011\xc0\xa5extra";
    let record = decode(message).unwrap();
    assert_eq!((record.key, record.opcode, record.command), (&b"emp:1"[..], Opcode::Update, "hset"));
    let Some(Image::Hash(pairs)) = record.after else { panic!("a hash") };
    assert_eq!(pairs.get(b"a"), Some(&b"1"[..]));
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let spoiled = |at: usize, byte: u8| {
        let mut message = sample();
        message[at] = byte;
        decode(&message).unwrap_err()
    };
    assert_eq!(spoiled(1, 2), DecodeError::Version { found: 2 });
    assert!(spoiled(1, 2).to_string().contains(&format!("reads up to {FORMAT_VERSION}")));
    assert_eq!(spoiled(0, 0x9a), malformed(2, "at least 11 elements"));
    assert_eq!(spoiled(0, 0x01), malformed(1, "an array"));
    assert_eq!(spoiled(12, b'x'), malformed(13, "an opcode: c, u, d or f"));
    assert_eq!(spoiled(22, 0x93), malformed(23, "an even number of parts"));
    assert_eq!(decode(b""), Err(malformed(0, "an array")));
    // A length that no message can hold neither allocates nor runs on.
    let endless = b"\x9b\x01\x01\x02\x03\xc0\xa1u\xa4hset\x01\x00";
    assert_eq!(decode(endless), Err(malformed(6, "bytes or a string")));
    let long = b"\x9b\x01\x01\x02\x03\xc4\x00\xa1u\xa4hset\x01\x00\x92\x01\xdd\xff\xff\xff\xfe\xc0";
    assert!(decode(long).is_err());
}

fn malformed(at: usize, expected: &'static str) -> DecodeError {
    DecodeError::Malformed { at, expected }
}

#[test]
fn the_key_is_known_from_the_beginning() {
    for key in [&b"emp:1"[..], b"", &[b'k'; 300], &[b'k'; 70_000]] {
        let record = Record {
            epoch: u64::MAX,
            time_us: 1,
            db: 0,
            key,
            opcode: Opcode::Update,
            command: "hset",
            data_type: DataType::Hash,
            flags: Flags::NONE,
            after: None,
            before: None,
        };
        let mut encoded = Vec::new();
        encode(&record, &mut encoded);
        assert_eq!(redis_wb_record::key_of(&encoded), Some((key, true)));
        let cut = encoded.len().min(1_024);
        let (found, is_whole) = redis_wb_record::key_of(&encoded[..cut]).unwrap();
        assert!(key.starts_with(found) && is_whole == (found.len() == key.len()) && found.len() + 20 > cut / 2);
    }
    assert_eq!(redis_wb_record::key_of(b""), None);
    assert_eq!(redis_wb_record::key_of(&[0x9b, 2, 1, 1, 0, 0xc4, 0]), None, "another version");
}

/// An entry: its id, its record, its order.
type Written<'w> = (u64, u64, &'w [u8], Option<&'w [u8]>);

fn entries_of(entries: &[Written<'_>]) -> Vec<u8> {
    let mut reply = Vec::new();
    let mut writer = EntryWriter::new(&mut reply);
    for (ms, seq, record, order) in entries {
        writer.entry(*ms, *seq);
        if let Some(order) = order {
            writer.order(order);
        }
        writer.record(record);
    }
    reply
}

#[test]
fn entries_come_back_as_they_were_written() {
    let written: &[Written<'_>] =
        &[(1, 0, b"first", None), (u64::MAX, 7, b"", Some(b"2f 5 o 1")), (3, u64::MAX, &[b'x'; 70_000], None)];
    let reply = entries_of(written);
    let read: Vec<_> = read_entries(&reply)
        .unwrap()
        .into_iter()
        .map(|entry| (entry.ms, entry.seq, &reply[entry.record], entry.order.map(|order| &reply[order])))
        .collect();
    assert_eq!(read, written);
    assert_eq!(read_entries(b""), Some(Vec::new()));
    // A stream may have an entry of somebody else.
    let mut reply = Vec::new();
    EntryWriter::new(&mut reply).entry(5, 6);
    assert_eq!(read_entries(&reply), Some(vec![StreamEntry { ms: 5, seq: 6, record: 20..20, order: None }]));
}

#[test]
fn a_reply_that_ends_early_is_none() {
    let reply = entries_of(&[(1, 2, b"record", Some(b"order"))]);
    for len in 1..reply.len() {
        assert_eq!(read_entries(&reply[..len]), None, "{len} bytes of it");
    }
    for at in 16..reply.len() {
        let mut spoiled = reply.clone();
        spoiled[at] = 0xff;
        // None, or another reply; never a place outside.
        for entry in read_entries(&spoiled).unwrap_or_default() {
            assert!(spoiled.get(entry.record).is_some());
        }
    }
}
