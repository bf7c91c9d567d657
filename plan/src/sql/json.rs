//! The JSON functions and operators (<https://www.sqlite.org/json1.html>, `json.c`).
//!
//! What SQLite marks as JSON by a subtype is [`Value::Json`] here: `json_array('[1]')` holds a text, while
//! `json_array(json('[1]'))` holds an array. Lists and objects of a record are JSON from the start. The functions
//! `jsonb_…` give SQLite's binary JSON as a blob, byte for byte, except where SQLite edits in place and leaves a size
//! written longer than it must be.

use super::printf;
use super::storage::{self, TEXT_BYTES_MAX, until_nul};
use crate::convert::clip;
use crate::evaluate::Item;
use crate::{Reject, RejectCode, Value};
use std::borrow::Cow;

mod jsonb;
mod node;
mod parse;
mod path;
mod scan;

use node::{Escapes, Node, Notation};
use path::Miss;
use scan::Place;

pub(super) use path::Edit;
pub use scan::Route;

/// For how many bytes of what is no text a document makes room at first.
const NUMBER_BYTES_EXPECTED: usize = 12;

/// How deep a document may be nested.
pub const DEPTH_MAX: usize = 1_000;

/// In which form a function gives JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Text.
    Text,
    /// SQLite's binary form.
    Binary,
}

impl Form {
    fn value<'a>(self, node: &Node<'_>) -> Result<Value<'a>, Reject> {
        match self {
            Self::Text => json_value(node.to_json()),
            Self::Binary => {
                let mut out = Vec::new();
                jsonb::write(&mut out, node);
                if out.len() > TEXT_BYTES_MAX { Err(storage::too_long()) } else { Ok(Value::Bytes(Cow::Owned(out))) }
            }
        }
    }

    /// Text that this module wrote, in this form.
    fn value_of_text<'a>(self, json: String) -> Result<Value<'a>, Reject> {
        match self {
            Self::Text => json_value(json),
            Self::Binary => self.value(&parse::parse(&json).document.map_err(|_| malformed())?),
        }
    }
}

fn json_value<'a>(json: String) -> Result<Value<'a>, Reject> {
    if json.len() > TEXT_BYTES_MAX { Err(storage::too_long()) } else { Ok(Value::Json(Cow::Owned(json))) }
}

pub(super) fn malformed() -> Reject {
    Reject::new(RejectCode::NotConvertible, "the value is malformed JSON")
}

fn bad_path(path: &str, miss: Miss) -> Reject {
    let path = clip(path);
    let message = match miss {
        Miss::NotArray => format!("the JSON path `{path}` leads to no element of an array"),
        Miss::TooDeep => format!("the JSON path `{path}` has more than {DEPTH_MAX} steps"),
        Miss::NotFound | Miss::BadPath => format!("`{path}` is not a JSON path, which begins with `$`"),
    };
    Reject::new(RejectCode::NotConvertible, message)
}

/// Appends a byte of a text as JSON has it in a string.
pub(super) fn push_escaped(out: &mut Vec<u8>, byte: u8) {
    if byte < b' ' || matches!(byte, b'"' | b'\\') {
        let mut escaped = String::new();
        node::write_escaped(&mut escaped, char::from(byte));
        out.extend_from_slice(escaped.as_bytes());
    } else {
        out.push(byte);
    }
}

/// The texts and bytes that the documents of one call are read from.
struct Source<'s> {
    text: Option<Cow<'s, str>>,
    bytes: Option<&'s [u8]>,
}

impl<'s> Source<'s> {
    /// Where a document is read from; `None` for NULL. A blob that is no JSONB is read as text, as SQLite does.
    fn of(value: &'s Value<'_>) -> Result<Option<Self>, Reject> {
        if let Value::Bytes(bytes) = value
            && jsonb::is_jsonb(bytes)
        {
            return Ok(Some(Self { text: None, bytes: Some(bytes) }));
        }
        Ok(storage::text(value)?.map(|text| Self { text: Some(text), bytes: None }))
    }

    fn document(&self) -> Result<Node<'_>, Reject> {
        match (&self.text, self.bytes) {
            (Some(text), _) => parse::parse(text).document.map_err(|_| malformed()),
            (None, Some(bytes)) => jsonb::read(bytes).ok_or_else(malformed),
            (None, None) => Err(malformed()),
        }
    }
}

/// A value as it stands within a new document: `jsonFunctionArgToBlob`.
fn as_node<'s>(value: &'s Value<'_>) -> Result<Node<'s>, Reject> {
    Ok(match value {
        Value::Json(text) => parse::parse(text).document.map_err(|_| malformed())?,
        Value::Bytes(bytes) if jsonb::is_jsonb(bytes) => jsonb::read(bytes).ok_or_else(malformed)?,
        Value::Bytes(_) => return Err(no_blob()),
        Value::List(_) | Value::Object(_) => {
            let text = storage::text(value)?.unwrap_or_default();
            parse::parse(&text).document.map_err(|_| malformed())?.into_owned()
        }
        other => match storage::stored(other)? {
            Value::Null => Node::Null,
            Value::Int(value) => Node::Number(Notation::Integer, Cow::Owned(value.to_string())),
            Value::Float(value) => {
                let digits = match value {
                    f64::INFINITY => "9e999".to_owned(),
                    f64::NEG_INFINITY => "-9e999".to_owned(),
                    value => printf::real(value),
                };
                Node::Number(Notation::Real, Cow::Owned(digits))
            }
            other => {
                let text = storage::text(&other)?.unwrap_or_default().into_owned();
                Node::Text(Escapes::Raw, Cow::Owned(text))
            }
        },
    })
}

fn no_blob() -> Reject {
    Reject::new(RejectCode::NotConvertible, "JSON cannot hold bytes")
}

/// Appends a value to a document that is being written: `jsonAppendSqlValue`.
fn append(out: &mut String, value: &Value<'_>) -> Result<(), Reject> {
    match value {
        Value::Text(text) => node::write_string(out, text),
        Value::Int(value) => out.push_str(itoa::Buffer::new().format(*value)),
        Value::Json(text) => out.push_str(text),
        Value::List(_) | Value::Object(_) => out.push_str(&storage::text(value)?.unwrap_or_default()),
        Value::Bytes(bytes) if jsonb::is_jsonb(bytes) => {
            jsonb::read(bytes).ok_or_else(malformed)?.write(out);
        }
        Value::Bytes(_) => return Err(no_blob()),
        other => match storage::stored(other)? {
            Value::Null => out.push_str("null"),
            Value::Int(value) => out.push_str(itoa::Buffer::new().format(value)),
            Value::Float(value) => out.push_str(&printf::real_literal(value)),
            other => node::write_string(out, &storage::text(&other)?.unwrap_or_default()),
        },
    }
    if out.len() > TEXT_BYTES_MAX { Err(storage::too_long()) } else { Ok(()) }
}

/// `json_array(value, …)`.
pub(super) fn array<'a>(form: Form, values: &[&Value<'_>]) -> Result<Value<'a>, Reject> {
    let mut out = opened('[', values);
    for value in values {
        separate(&mut out);
        append(&mut out, value)?;
    }
    out.push(']');
    form.value_of_text(out)
}

/// The beginning of a document, with room for values of the usual length.
fn opened(bracket: char, values: &[&Value<'_>]) -> String {
    let bytes = values.iter().map(|value| match value {
        Value::Text(text) | Value::Json(text) => text.len().saturating_add(3),
        _ => NUMBER_BYTES_EXPECTED,
    });
    let bytes = bytes.fold(2, usize::saturating_add);
    let mut out = String::with_capacity(bytes.min(TEXT_BYTES_MAX));
    out.push(bracket);
    out
}

/// A comma, unless something was just opened.
fn separate(out: &mut String) {
    if !out.ends_with(['[', '{']) {
        out.push(',');
    }
}

/// `json_object(name, value, …)`.
pub(super) fn object<'a>(form: Form, values: &[&Value<'_>]) -> Result<Value<'a>, Reject> {
    let mut out = opened('{', values);
    for pair in values.chunks(2) {
        let [name, value] = pair else {
            let message = "json_object() takes names and values in pairs";
            return Err(Reject::new(RejectCode::NotConvertible, message));
        };
        separate(&mut out);
        match name {
            Value::Text(name) | Value::Json(name) => node::write_string(&mut out, name),
            other => match storage::stored(other)? {
                Value::Text(name) | Value::Json(name) => node::write_string(&mut out, &name),
                _ => return Err(Reject::new(RejectCode::NotConvertible, "the names of json_object() must be texts")),
            },
        }
        out.push(':');
        append(&mut out, value)?;
    }
    out.push('}');
    form.value_of_text(out)
}

/// `json_quote(value)`.
pub(super) fn quote<'a>(value: &Value<'_>) -> Result<Value<'a>, Reject> {
    let mut out = String::new();
    append(&mut out, value)?;
    json_value(out)
}

/// `json_array_length(json, path)`.
pub(super) fn array_length<'a>(value: &Value<'_>, path: Option<&Value<'_>>) -> Result<Value<'a>, Reject> {
    let Some(source) = Source::of(value)? else { return Ok(Value::Null) };
    let document = source.document()?;
    let mut node = &document;
    if let Some(path) = path {
        let Some(path) = storage::text(path)? else { return Ok(Value::Null) };
        match path::find(node, until_nul(&path).strip_prefix('$').unwrap_or("@")) {
            Ok(found) => node = found,
            Err(Miss::NotFound) => return Ok(Value::Null),
            Err(miss) => return Err(bad_path(&path, miss)),
        }
    }
    let len = if let Node::Array(items) = node { items.len() } else { 0 };
    Ok(Value::Int(i64::try_from(len).unwrap_or(i64::MAX)))
}

/// What a place of a document becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    /// JSON: `->`.
    Json,
    /// An SQL value, and text of what has none: `->>`.
    Sql,
    /// An SQL value, and JSON of what has none: `json_extract()`.
    Extracted(Form),
}

impl Taken {
    fn of_node<'a>(self, node: &Node<'_>) -> Result<Value<'a>, Reject> {
        let value = if self == Self::Json { None } else { node.to_sql() };
        match (self, value) {
            (_, Some(value)) => value,
            (Self::Extracted(form), None) => form.value(node),
            (Self::Json, None) => json_value(node.to_json()),
            (Self::Sql, None) => match json_value(node.to_json())? {
                Value::Json(text) => Ok(Value::Text(text)),
                other => Ok(other),
            },
        }
    }

    /// The same of a part of a text.
    fn of_text(self, text: &str) -> Result<Value<'_>, Reject> {
        let plain = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).filter(|text| !text.contains('\\'));
        match plain {
            Some(plain) if self != Self::Json => Ok(Value::Text(Cow::Borrowed(plain))),
            _ => self.of_node(&parse::parse(text).document.map_err(|_| malformed())?),
        }
    }

    /// The quick way into a document; `None` where only the long one can tell.
    fn quickly<'a>(self, document: &Item<'_, 'a>, route: &Route) -> Option<Result<Value<'a>, Reject>> {
        match (document.lasting_text(), document.get()) {
            (Some(text), _) => Some(self.of_place(route.find(text)?)),
            (None, Value::Text(text) | Value::Json(text)) => {
                Some(self.of_place(route.find(text)?).map(Value::into_static))
            }
            _ => None,
        }
    }

    fn of_place(self, place: Place<'_>) -> Result<Value<'_>, Reject> {
        match place {
            Place::Found(text) => self.of_text(text),
            Place::Missing => Ok(Value::Null),
        }
    }
}

/// `json_extract(json, path, …)`: one path gives a value, several an array.
pub(super) fn extract<'a>(
    form: Form,
    value: &Item<'_, 'a>,
    constant: Option<&Route>,
    paths: &[&Value<'_>],
) -> Result<Value<'a>, Reject> {
    let taken = Taken::Extracted(form);
    if let [path] = paths
        && let Some(found) = with_route(constant, path, Route::of_extract, |route| taken.quickly(value, route))
    {
        return found;
    }
    if paths.is_empty() {
        return Ok(Value::Null);
    }
    let Some(source) = Source::of(value.get())? else { return Ok(Value::Null) };
    let document = source.document()?;
    let mut found = Vec::with_capacity(paths.len());
    for path in paths {
        let Some(path) = storage::text(path)? else { return Ok(Value::Null) };
        let path = until_nul(&path);
        let Some(steps) = path.strip_prefix('$') else { return Err(bad_path(path, Miss::BadPath)) };
        match path::find(&document, steps) {
            Ok(node) => found.push(Some(node)),
            Err(Miss::NotFound) if paths.len() == 1 => return Ok(Value::Null),
            Err(Miss::NotFound) => found.push(None),
            Err(miss) => return Err(bad_path(path, miss)),
        }
    }
    if let ([_], [Some(node)]) = (paths, found.as_slice()) {
        return taken.of_node(node);
    }
    let mut out = String::from("[");
    for node in found {
        separate(&mut out);
        node.unwrap_or(&Node::Null).write(&mut out);
    }
    out.push(']');
    form.value_of_text(out)
}

/// `json -> path` gives JSON, `json ->> path` an SQL value. The path may be a name or an index alone.
pub(super) fn arrow<'a>(
    sql: bool,
    value: &Item<'_, 'a>,
    constant: Option<&Route>,
    path: &Value<'_>,
) -> Result<Value<'a>, Reject> {
    let taken = if sql { Taken::Sql } else { Taken::Json };
    if let Some(found) = with_route(constant, path, Route::of_arrow, |route| taken.quickly(value, route)) {
        return found;
    }
    let Some(source) = Source::of(value.get())? else { return Ok(Value::Null) };
    let document = source.document()?;
    let Some(text) = storage::text(path)? else { return Ok(Value::Null) };
    let text = until_nul(&text);
    let steps = match text.strip_prefix('$') {
        Some(steps) => Cow::Borrowed(steps),
        None => Cow::Owned(abbreviated(path, text)),
    };
    let node = match path::find(&document, &steps) {
        Ok(node) => node,
        Err(Miss::NotFound) => return Ok(Value::Null),
        Err(miss) => return Err(bad_path(text, miss)),
    };
    taken.of_node(node)
}

/// What `find` finds by the route that a path is: a constant one was read before.
fn with_route<R>(
    constant: Option<&Route>,
    path: &Value<'_>,
    read: fn(&Value<'_>) -> Option<Route>,
    find: impl FnOnce(&Route) -> Option<R>,
) -> Option<R> {
    match constant {
        Some(route) => find(route),
        None => find(&read(path)?),
    }
}

impl Route {
    /// The route of a path of `json_extract()` that has only names and indexes.
    pub(super) fn of_extract(path: &Value<'_>) -> Option<Self> {
        let Value::Text(text) = path else { return None };
        Self::of_path(text.strip_prefix('$')?)
    }

    /// The same of `->`, behind which a name or an index may stand alone.
    pub(super) fn of_arrow(path: &Value<'_>) -> Option<Self> {
        match path {
            Value::Int(index) => usize::try_from(*index).ok().map(Self::of_index),
            Value::Text(text) => match text.strip_prefix('$') {
                Some(steps) => Self::of_path(steps),
                None if text.is_empty() || text.contains(['"', '\\', '[', '\0']) => None,
                None => Some(Self::of_name(text)),
            },
            _ => None,
        }
    }
}

/// A name, an index or `[index]` as the steps of a path.
fn abbreviated(path: &Value<'_>, text: &str) -> String {
    if matches!(path, Value::Int(_) | Value::Bool(_)) {
        return format!("[{}{text}]", if text.starts_with('-') { "#" } else { "" });
    }
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return format!(".{text}");
    }
    if text.len() >= 3 && text.starts_with('[') && text.ends_with(']') {
        return text.to_owned();
    }
    format!(".\"{text}\"")
}

/// `json_insert`, `json_replace`, `json_set`, `json_array_insert`: `(json, path, value, …)`.
pub(super) fn edit<'a>(form: Form, edit: Edit, values: &[&Value<'_>]) -> Result<Value<'a>, Reject> {
    let Some((value, changes)) = values.split_first() else { return Ok(Value::Null) };
    if !changes.len().is_multiple_of(2) {
        let message = "a change of JSON takes paths and values in pairs";
        return Err(Reject::new(RejectCode::NotConvertible, message));
    }
    let Some(source) = Source::of(value)? else { return Ok(Value::Null) };
    let mut document = source.document()?;
    for change in changes.chunks(2) {
        let [path, value] = change else { continue };
        let Some(path) = storage::text(path)? else { continue };
        let path = until_nul(&path);
        let Some(steps) = path.strip_prefix('$') else { return Err(bad_path(path, Miss::BadPath)) };
        let new = as_node(value)?.into_owned();
        if steps.is_empty() {
            if matches!(edit, Edit::Replace | Edit::Set) {
                document = new;
            }
            continue;
        }
        match path::edit(&mut document, steps, edit, &new) {
            Ok(()) | Err(Miss::NotFound) => {}
            Err(miss) => return Err(bad_path(path, miss)),
        }
    }
    form.value(&document)
}

/// `json_remove(json, path, …)`; without a path it is `json(json)`.
pub(super) fn remove<'a>(form: Form, values: &[&Value<'_>]) -> Result<Value<'a>, Reject> {
    let Some((value, paths)) = values.split_first() else { return Ok(Value::Null) };
    let Some(source) = Source::of(value)? else { return Ok(Value::Null) };
    let mut document = source.document()?;
    for path in paths {
        let Some(path) = storage::text(path)? else { return Ok(Value::Null) };
        let path = until_nul(&path);
        match path.strip_prefix('$') {
            None => return Err(bad_path(path, Miss::BadPath)),
            Some("") => return Ok(Value::Null),
            Some(steps) => match path::edit(&mut document, steps, Edit::Remove, &Node::Null) {
                Ok(()) | Err(Miss::NotFound) => {}
                Err(miss) => return Err(bad_path(path, miss)),
            },
        }
    }
    form.value(&document)
}

/// `json_patch(json, patch)`: RFC 7396.
pub(super) fn patch<'a>(form: Form, value: &Value<'_>, patch: &Value<'_>) -> Result<Value<'a>, Reject> {
    let Some(source) = Source::of(value)? else { return Ok(Value::Null) };
    let mut document = source.document()?;
    let Some(patch) = Source::of(patch)? else { return Ok(Value::Null) };
    path::merge(&mut document, patch.document()?);
    form.value(&document)
}

/// `json_pretty(json, indent)`: four spaces unless told otherwise.
pub(super) fn pretty<'a>(value: &Value<'_>, indent: Option<&Value<'_>>) -> Result<Value<'a>, Reject> {
    let Some(source) = Source::of(value)? else { return Ok(Value::Null) };
    let document = source.document()?;
    let indent = indent.map_or(Ok(None), storage::text)?;
    let indent = indent.as_deref().map_or("    ", until_nul);
    let mut out = String::new();
    document.write_pretty(&mut out, indent, 0);
    if out.len() > TEXT_BYTES_MAX { Err(storage::too_long()) } else { Ok(storage::text_value(out)) }
}

/// `json_type(json, path)`.
pub(super) fn type_of<'a>(value: &Value<'_>, path: Option<&Value<'_>>) -> Result<Value<'a>, Reject> {
    let Some(source) = Source::of(value)? else { return Ok(Value::Null) };
    let document = source.document()?;
    let mut node = &document;
    if let Some(path) = path {
        let Some(path) = storage::text(path)? else { return Ok(Value::Null) };
        let path = until_nul(&path);
        let Some(steps) = path.strip_prefix('$') else { return Err(bad_path(path, Miss::BadPath)) };
        match path::find(node, steps) {
            Ok(found) => node = found,
            Err(Miss::NotFound) => return Ok(Value::Null),
            Err(miss) => return Err(bad_path(path, miss)),
        }
    }
    Ok(Value::Text(Cow::Borrowed(node.type_name())))
}

/// `json_valid(json, flags)`: 1 JSON text, 2 JSON5 text, 4 looks like JSONB, 8 is JSONB.
pub(super) fn valid<'a>(value: &Value<'_>, flags: Option<&Value<'_>>) -> Result<Value<'a>, Reject> {
    let flags = flags.map_or(Ok(1), storage::integer)?;
    if !(1..=15).contains(&flags) {
        let message = format!("the flags of json_valid() are between 1 and 15, not {flags}");
        return Err(Reject::new(RejectCode::OutOfRange, message));
    }
    if value.is_null() {
        return Ok(Value::Null);
    }
    if let Value::Bytes(bytes) = value
        && jsonb::is_jsonb(bytes)
    {
        let valid = flags & 4 != 0 || (flags & 8 != 0 && jsonb::error_at(bytes).is_none());
        return Ok(Value::Int(i64::from(valid)));
    }
    if flags & 3 == 0 {
        return Ok(Value::Int(0));
    }
    // Bytes that are no text are no JSON.
    let Ok(Some(text)) = storage::text(value) else { return Ok(Value::Int(0)) };
    let parsed = parse::parse(&text);
    let valid = parsed.document.is_ok() && (flags & 2 != 0 || !parsed.nonstandard);
    Ok(Value::Int(i64::from(valid)))
}

/// `json_error_position(json)`: the character, counted from 1, at which it stops being JSON5; 0 where it is.
pub(super) fn error_position<'a>(value: &Value<'_>) -> Result<Value<'a>, Reject> {
    if let Value::Bytes(bytes) = value
        && jsonb::is_jsonb(bytes)
    {
        let at = jsonb::error_at(bytes).unwrap_or(0);
        return Ok(Value::Int(i64::try_from(at).unwrap_or(i64::MAX)));
    }
    let Some(text) = storage::text(value)? else { return Ok(Value::Null) };
    let position = match parse::parse(&text).document {
        Ok(_) => 0,
        Err(at) => {
            let before = text.as_bytes().get(..at).unwrap_or(text.as_bytes());
            before.iter().filter(|byte| **byte & 0xc0 != 0x80).count() + 1
        }
    };
    Ok(Value::Int(i64::try_from(position).unwrap_or(i64::MAX)))
}
