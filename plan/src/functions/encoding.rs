//! Hashes, encodings and documents.

use std::borrow::Cow;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use blake2::{Blake2b512, Blake2s256};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};
use sha3::{Sha3_224, Sha3_256, Sha3_384, Sha3_512};

use super::{Accepts, Definition, Family, PLAIN, Param, Returns, eg, xml};
use crate::expr_type::ExprType;
use crate::{Reject, RejectCode, Type, Value, json};

const TEXT: Param = Param::new("text", Accepts::TEXT);

pub(super) const ALL: &[Definition] = &[BASE64_DECODE, HASH, JSON_PARSE, UUID, XML_TO_DICT];

const UUID: Definition = Definition {
    name: "uuid",
    family: Family::Encoding,
    params: &[],
    returns: Returns::Always(Type::Text),
    pure: false,
    doc: "A random UUID (version 4) as text. Each evaluation gives another, so a row that is written again gets \
          another one, too.",
    examples: &[eg("length(uuid())", "null", "36")],
    body: |args| args.made(uuid::Uuid::new_v4().to_string()),
    ..PLAIN
};

/// Bytes into the hexadecimal digits of their hash.
type Algorithm = fn(&[u8]) -> String;

/// The algorithms of `hash`, by name.
const ALGORITHMS: [(&str, Algorithm); 12] = [
    ("sha1", hex::<Sha1>),
    ("sha224", hex::<Sha224>),
    ("sha256", hex::<Sha256>),
    ("sha384", hex::<Sha384>),
    ("sha512", hex::<Sha512>),
    ("sha3_224", hex::<Sha3_224>),
    ("sha3_256", hex::<Sha3_256>),
    ("sha3_384", hex::<Sha3_384>),
    ("sha3_512", hex::<Sha3_512>),
    ("md5", hex::<Md5>),
    ("blake2b", hex::<Blake2b512>),
    ("blake2s", hex::<Blake2s256>),
];

fn hex<D: Digest>(bytes: &[u8]) -> String {
    D::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn algorithm(name: &str) -> Result<Algorithm, Reject> {
    let found = ALGORITHMS.iter().find(|(known, _)| *known == name);
    found.map(|(_, algorithm)| *algorithm).ok_or_else(|| {
        let known: Vec<&str> = ALGORITHMS.iter().map(|(name, _)| *name).collect();
        let reason = format!("`hash` has no algorithm `{name}`, only {}", known.join(", "));
        Reject::new(RejectCode::InvalidArgument, reason)
    })
}

const HASH: Definition = Definition {
    name: "hash",
    family: Family::Encoding,
    params: &[Param::new("value", Accepts::ANY), Param::new("algorithm", Accepts::TEXT).optional()],
    returns: Returns::Always(Type::Text),
    doc: "A hash in hexadecimal digits: of a text or bytes as they are, of null as nothing, of any other value as \
          JSON. Algorithms: `sha1` (if none is given), `sha224`, `sha256`, `sha384`, `sha512`, `sha3_224`, \
          `sha3_256`, `sha3_384`, `sha3_512`, `md5`, `blake2b`, `blake2s`.",
    examples: &[
        eg("hash(some_str, `sha1`)", r#"{"some_str": "some_value"}"#, r#""8c818171573b03feeae08b0b4ffeb6999e3afc05""#),
        eg("hash(@, 'md5')", r#""abc""#, r#""900150983cd24fb0d6963f7d28e17f72""#),
        eg("hash(missing)", "{}", r#""da39a3ee5e6b4b0d3255bfef95601890afd80709""#),
    ],
    body: |args| {
        let name = if args.len() > 1 { args.some_text(1)? } else { Cow::Borrowed("sha1") };
        let algorithm = algorithm(&name)?;
        let held = args.look(0)?;
        let made = match held.get() {
            Value::Null => algorithm(b""),
            Value::Text(text) => algorithm(text.as_bytes()),
            Value::Bytes(bytes) => algorithm(bytes),
            other => algorithm(super::text::written(other)?.as_bytes()),
        };
        args.made(made)
    },
    checks: &[(1, |name| algorithm(name).map(|_| ()))],
    ..PLAIN
};

/// Standard base64; padding may be left out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

const BASE64_DECODE: Definition = Definition {
    name: "base64_decode",
    family: Family::Encoding,
    params: &[TEXT],
    returns: Returns::Infer(|_| ExprType { nullable: false, ..ExprType::UNKNOWN }),
    doc: "What a text in base64 (RFC 4648) stands for: a text if it is UTF-8, else bytes.",
    examples: &[
        eg("base64_decode(encoded)", r#"{"encoded": "SGVsbG8gV29ybGQh"}"#, r#""Hello World!""#),
        eg("base64_decode('%')", "null", "R0515"),
    ],
    body: |args| {
        let bytes = BASE64.decode(args.some_text(0)?.trim()).map_err(|error| args.malformed(error))?;
        args.charge(bytes.len())?;
        Ok(match String::from_utf8(bytes) {
            Ok(text) => Value::Text(Cow::Owned(text)),
            Err(error) => Value::Bytes(Cow::Owned(error.into_bytes())),
        })
    },
    ..PLAIN
};

const JSON_PARSE: Definition = Definition {
    name: "json_parse",
    aliases: &["parse_json"],
    family: Family::Encoding,
    params: &[TEXT.or_null()],
    returns: Returns::Infer(|_| ExprType::UNKNOWN),
    doc: "What a text of JSON says; null for null. `parse_json` is the same.",
    examples: &[
        eg("json_parse(payload).a[0]", r#"{"payload": "{\"a\": [1]}"}"#, "1"),
        eg("parse_json(payload)", r#"{"payload": "{"}"#, "R0515"),
        eg("json_parse(payload)", "{}", "null"),
    ],
    body: |args| {
        let Some(text) = args.text(0)? else {
            return Ok(Value::Null);
        };
        // `[0,0,…]` is the text that grows most: a value for every two bytes.
        args.charge(text.len().saturating_mul(16))?;
        match text {
            Cow::Borrowed(text) => json::parse(text),
            Cow::Owned(text) => json::parse(&text).map(Value::into_static),
        }
    },
    ..PLAIN
};

const XML_TO_DICT: Definition = Definition {
    name: "xml_to_dict",
    family: Family::Encoding,
    params: &[TEXT.or_null()],
    returns: Returns::NullForNull(Type::Object),
    doc: "An XML document as an object: an element is a field; its attributes are fields with `@` before their names, \
          its text is the field `#text`, or the whole value where it has neither attributes nor children; elements of \
          one name become a list; an empty element is null. Null for null.",
    examples: &[
        eg(
            "xml_to_dict(doc).order.item",
            r#"{"doc": "<order id=\"7\"><item>a</item><item n=\"2\">b</item></order>"}"#,
            r##"["a", {"@n": "2", "#text": "b"}]"##,
        ),
        eg("xml_to_dict(doc)", r#"{"doc": "<a><b/></a>"}"#, r#"{"a": {"b": null}}"#),
        eg("xml_to_dict('<a>')", "null", "R0515"),
    ],
    body: |args| {
        let Some(text) = args.text(0)? else {
            return Ok(Value::Null);
        };
        args.charge(text.len())?;
        xml::parse(&text).map_err(|why| args.malformed(why))
    },
    ..PLAIN
};
