//! XML documents into values. Entities are the five of XML and characters by number; no document type is read, so no
//! entity grows.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::Value;
use crate::value::Items;

/// The most elements inside each other.
const DEPTH_MAX: usize = 64;

/// An element whose end has not come yet.
#[derive(Default)]
struct Element {
    name: String,
    fields: Vec<(Cow<'static, str>, Value<'static>)>,
    text: String,
}

/// Parses a document.
pub(super) fn parse(text: &str) -> Result<Value<'static>, String> {
    let mut reader = Reader::from_str(text);
    let mut open = vec![Element::default()];
    loop {
        let event = reader.read_event().map_err(|error| error.to_string())?;
        match event {
            Event::Start(start) => {
                if open.len() > DEPTH_MAX {
                    return Err(format!("the XML is nested deeper than {DEPTH_MAX} elements"));
                }
                open.push(element(&start)?);
            }
            Event::Empty(start) => {
                let element = element(&start)?;
                close(&mut open, element);
            }
            Event::End(_) => {
                if let Some(element) = open.pop() {
                    close(&mut open, element);
                }
            }
            Event::Text(part) => append(&mut open, &part),
            Event::CData(part) => append(&mut open, &part),
            Event::GeneralRef(name) => {
                let character = name.resolve_char_ref().map_err(|error| error.to_string())?;
                match character.map(String::from).or_else(|| predefined(&name)) {
                    Some(text) => append(&mut open, &text),
                    None => return Err(format!("the entity `&{};` is not known", &*name)),
                }
            }
            Event::Eof => break,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
    match open.pop() {
        Some(Element { fields, text, .. }) if open.is_empty() && fields.len() == 1 && text.trim().is_empty() => {
            Ok(Value::Object(fields.into()))
        }
        _ => Err("an XML document is one element, opened and closed".to_owned()),
    }
}

fn predefined(name: &str) -> Option<String> {
    quick_xml::escape::resolve_predefined_entity(name).map(str::to_owned)
}

fn append(open: &mut [Element], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(text);
    }
}

fn element(start: &BytesStart<'_>) -> Result<Element, String> {
    let name = start.name().as_ref().to_owned();
    let mut element = Element { name, ..Element::default() };
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| error.to_string())?;
        let value = quick_xml::escape::unescape(&attribute.value).map_err(|error| error.to_string())?.into_owned();
        let name = format!("@{}", attribute.key.as_ref());
        element.fields.push((Cow::Owned(name), Value::Text(Cow::Owned(value))));
    }
    Ok(element)
}

/// Puts a finished element into the one around it.
fn close(open: &mut [Element], element: Element) {
    let Element { name, mut fields, text } = element;
    let text = text.trim();
    let value = match (fields.is_empty(), text.is_empty()) {
        (true, true) => Value::Null,
        (true, false) => Value::Text(Cow::Owned(text.to_owned())),
        (false, is_empty) => {
            if !is_empty {
                fields.push((Cow::Borrowed("#text"), Value::Text(Cow::Owned(text.to_owned()))));
            }
            Value::Object(fields.into())
        }
    };
    let Some(parent) = open.last_mut() else {
        return;
    };
    match parent.fields.iter_mut().find(|(known, _)| *known == name) {
        Some((_, Value::List(Items::Owned(items)))) => items.push(value),
        Some((_, known)) => {
            let first = std::mem::replace(known, Value::Null);
            *known = Value::List(vec![first, value].into());
        }
        None => parent.fields.push((Cow::Owned(name), value)),
    }
}
