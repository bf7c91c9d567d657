//! Paths into a document, `$.name[0]`, and the changes that are made at one (`json.c`: `jsonLookupStep`,
//! `jsonMergePatch`). A path is read only as far as the document follows it, as in SQLite.

use std::borrow::Cow;

use super::DEPTH_MAX;
use super::node::{Escapes, Label, Node};
use super::parse::unescape;

/// Why a path leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Miss {
    /// The document has no such place.
    NotFound,
    /// The path is none.
    BadPath,
    /// `json_array_insert()` at a place that is no element of an array.
    NotArray,
    /// The path has too many steps.
    TooDeep,
}

/// What is changed at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sql) enum Edit {
    Remove,
    Replace,
    Insert,
    Set,
    ArrayInsert,
}

impl Edit {
    const fn creates(self) -> bool {
        matches!(self, Self::Insert | Self::Set | Self::ArrayInsert)
    }
}

/// One step of a path.
enum Step<'p> {
    Member(Cow<'p, str>, Escapes, &'p str),
    Element(usize),
}

/// Reads a step off a path that is not empty; `len` is the length of the array that `[#]` counts from.
fn step<'p>(path: &'p str, node: &Node<'_>) -> Result<(Step<'p>, &'p str), Miss> {
    if let Some(path) = path.strip_prefix('.') {
        let (raw, quoted, rest) = member(path)?;
        if !matches!(node, Node::Object(_)) {
            return Err(Miss::NotFound);
        }
        let escapes = if quoted && raw.contains('\\') { Escapes::Json5 } else { Escapes::Raw };
        let name = match escapes {
            Escapes::Json5 => Cow::Owned(unescape(raw).unwrap_or_else(|_| raw.to_owned())),
            _ => Cow::Borrowed(raw),
        };
        Ok((Step::Member(name, escapes, raw), rest))
    } else if let Some(path) = path.strip_prefix('[') {
        let Node::Array(items) = node else { return Err(Miss::NotFound) };
        let (index, rest) = element(path, items.len())?;
        Ok((Step::Element(index), rest))
    } else {
        Err(Miss::BadPath)
    }
}

/// The name behind a point, whether it stands in quotes, and what follows.
pub(super) fn member(path: &str) -> Result<(&str, bool, &str), Miss> {
    if let Some(quoted) = path.strip_prefix('"') {
        let mut escaped = false;
        for (at, char) in quoted.char_indices() {
            match char {
                '"' if !escaped => {
                    let (name, rest) = quoted.split_at_checked(at).unwrap_or((quoted, ""));
                    return Ok((name, true, rest.get(1..).unwrap_or_default()));
                }
                '\\' => escaped = !escaped,
                _ => escaped = false,
            }
        }
        return Err(Miss::BadPath);
    }
    let end = path.find(['.', '[']).unwrap_or(path.len());
    let (name, rest) = path.split_at_checked(end).unwrap_or((path, ""));
    if name.is_empty() { Err(Miss::BadPath) } else { Ok((name, false, rest)) }
}

/// The index behind a bracket: `3]`, `#]`, `#-1]`.
fn element(path: &str, len: usize) -> Result<(usize, &str), Miss> {
    if let Some((index, rest)) = number(path)
        && let Some(rest) = rest.strip_prefix(']')
    {
        return Ok((index, rest));
    }
    let rest = path.strip_prefix('#').ok_or(Miss::BadPath)?;
    let (index, rest) = match rest.strip_prefix('-').and_then(number) {
        Some((back, rest)) => (len.checked_sub(back).ok_or(Miss::NotFound)?, rest),
        None => (len, rest),
    };
    Ok((index, rest.strip_prefix(']').ok_or(Miss::BadPath)?))
}

/// A number that may be beyond every array.
pub(super) fn number(text: &str) -> Option<(usize, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at_checked(digits)?;
    if digits.is_empty() {
        return None;
    }
    Some((digits.parse().unwrap_or(usize::MAX), rest))
}

/// Whether a member has that name.
fn is_named(label: &Label<'_>, name: &str) -> bool {
    match label {
        (Escapes::None | Escapes::Raw, text) => text == name,
        (_, text) => unescape(text).is_ok_and(|text| text == name),
    }
}

/// The place that a path (without its `$`) leads to.
pub(super) fn find<'n, 'a>(mut node: &'n Node<'a>, mut path: &str) -> Result<&'n Node<'a>, Miss> {
    while !path.is_empty() {
        let (taken, rest) = step(path, node)?;
        let next = match (&taken, node) {
            (Step::Member(name, ..), Node::Object(members)) => {
                members.iter().find(|(label, _)| is_named(label, name)).map(|(_, value)| value)
            }
            (Step::Element(index), Node::Array(items)) => items.get(*index),
            _ => None,
        };
        node = next.ok_or(Miss::NotFound)?;
        path = rest;
    }
    Ok(node)
}

/// What the parent of a place has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    Nothing,
    Remove,
    InsertBefore,
}

/// Changes the document at a path that is longer than `$`.
pub(super) fn edit<'a>(root: &mut Node<'a>, path: &str, edit: Edit, new: &Node<'a>) -> Result<(), Miss> {
    Editor { edit, new, path }.at(root, path, 0).map(|_| ())
}

struct Editor<'e, 'a> {
    edit: Edit,
    new: &'e Node<'a>,
    path: &'e str,
}

impl<'a> Editor<'_, 'a> {
    fn at(&self, node: &mut Node<'a>, path: &str, depth: usize) -> Result<After, Miss> {
        if path.is_empty() {
            return self.here(node);
        }
        if depth >= DEPTH_MAX {
            return Err(Miss::TooDeep);
        }
        let (step, rest) = step(path, node)?;
        match (step, node) {
            (Step::Member(name, escapes, raw), Node::Object(members)) => {
                match members.iter().position(|(label, _)| is_named(label, &name)) {
                    Some(at) => self.member(members, at, rest, depth),
                    None => self.new_member(members, (escapes, raw), rest, depth),
                }
            }
            (Step::Element(index), Node::Array(items)) => self.element(items, index, rest, depth),
            _ => Err(Miss::NotFound),
        }
    }

    fn here(&self, node: &mut Node<'a>) -> Result<After, Miss> {
        match self.edit {
            Edit::Remove => Ok(After::Remove),
            Edit::Insert => Ok(After::Nothing),
            Edit::ArrayInsert if self.path.ends_with(']') => Ok(After::InsertBefore),
            Edit::ArrayInsert => Err(Miss::NotArray),
            Edit::Replace | Edit::Set => {
                *node = self.new.clone();
                Ok(After::Nothing)
            }
        }
    }

    fn member(
        &self,
        members: &mut Vec<(Label<'a>, Node<'a>)>,
        at: usize,
        rest: &str,
        depth: usize,
    ) -> Result<After, Miss> {
        let (_, value) = members.get_mut(at).ok_or(Miss::NotFound)?;
        match self.at(value, rest, depth + 1)? {
            After::Nothing => {}
            After::Remove => {
                members.remove(at);
            }
            After::InsertBefore => return Err(Miss::NotArray),
        }
        Ok(After::Nothing)
    }

    fn new_member(
        &self,
        members: &mut Vec<(Label<'a>, Node<'a>)>,
        (escapes, name): (Escapes, &str),
        rest: &str,
        depth: usize,
    ) -> Result<After, Miss> {
        if !self.edit.creates() {
            return Err(Miss::NotFound);
        }
        if self.edit == Edit::ArrayInsert && !rest.ends_with(']') {
            return Err(Miss::NotArray);
        }
        let value = self.created(rest, depth)?;
        members.push(((escapes, Cow::Owned(name.to_owned())), value));
        Ok(After::Nothing)
    }

    fn element(&self, items: &mut Vec<Node<'a>>, index: usize, rest: &str, depth: usize) -> Result<After, Miss> {
        if let Some(item) = items.get_mut(index) {
            match self.at(item, rest, depth + 1)? {
                After::Nothing => {}
                After::Remove => {
                    items.remove(index);
                }
                After::InsertBefore => items.insert(index, self.new.clone()),
            }
            return Ok(After::Nothing);
        }
        if index != items.len() || !self.edit.creates() {
            return Err(Miss::NotFound);
        }
        items.push(self.created(rest, depth)?);
        Ok(After::Nothing)
    }

    /// The new value, within the arrays and objects that the rest of the path asks for.
    fn created(&self, rest: &str, depth: usize) -> Result<Node<'a>, Miss> {
        if rest.is_empty() {
            return Ok(self.new.clone());
        }
        let mut node = if rest.starts_with('.') { Node::Object(Vec::new()) } else { Node::Array(Vec::new()) };
        self.at(&mut node, rest, depth + 1)?;
        Ok(node)
    }
}

/// RFC 7396: applies a patch to a document.
pub(super) fn merge<'a>(target: &mut Node<'a>, patch: Node<'a>) {
    let patch = match patch {
        Node::Object(patch) => patch,
        other => {
            *target = other;
            return;
        }
    };
    if !matches!(target, Node::Object(_)) {
        *target = Node::Object(Vec::new());
    }
    let Node::Object(members) = target else { return };
    for (label, value) in patch {
        let name = match &label {
            (Escapes::None | Escapes::Raw, text) => text.to_string(),
            (_, text) => unescape(text).unwrap_or_else(|_| text.to_string()),
        };
        let found = members.iter().position(|(own, _)| is_named(own, &name));
        match (found, value) {
            (Some(at), Node::Null) => {
                members.remove(at);
            }
            (None, Node::Null) => {}
            (Some(at), value) => {
                if let Some((_, own)) = members.get_mut(at) {
                    merge(own, value);
                }
            }
            (None, value) => {
                let mut own = Node::Null;
                merge(&mut own, value);
                members.push((label, own));
            }
        }
    }
}
