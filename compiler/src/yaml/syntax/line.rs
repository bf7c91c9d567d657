//! Mistakes of lines: tabs, indentation, colons, keys that stand twice, documents behind the first.

use super::Mistake;
use super::text::{Line, Text, quoted};

/// A tab in the indentation of the line or of the one behind it: the parser names the token before it.
pub(super) fn tab(text: &Text<'_>) -> Option<Mistake> {
    let mut lines = std::iter::once(text.line()).chain(text.line_after());
    let (line, at) = lines.find_map(|line| {
        let at = line.text.get(..line.indent())?.find('\t')?;
        Some((line, at))
    })?;
    let at = line.start + at..line.start + at + 1;
    Some(Mistake::new(at, "a tab stands in the indentation", "a tab", "indent by spaces: YAML takes no tabs there"))
}

pub(super) fn second_document(text: &Text<'_>, said: &str) -> Option<Mistake> {
    if !said.starts_with("multiple YAML documents") {
        return None;
    }
    let own = std::iter::once(text.line());
    let mark = own.chain(text.lines_before()).find(|line| line.text.starts_with("---"))?;
    let message = "the file holds more than one YAML document";
    let help = "a file is one job, or the configuration: put what is behind `---` into a file of its own";
    Some(Mistake::new(mark.start..mark.start + 3, message, "the next document begins here", help))
}

pub(super) fn duplicate_key(text: &Text<'_>, said: &str) -> Option<Mistake> {
    let rest = said.strip_prefix("duplicate mapping key: ")?;
    let key = rest.split(", set DuplicateKeyPolicy").next()?;
    let at = text.at..text.at + written_length(text.whole.get(text.at..)?, key);
    let message = format!("the key `{key}` stands here twice");
    let mut mistake = Mistake::new(at, message, "the second", "keep one of the two");
    let indent = text.at.checked_sub(text.line().start)?;
    let first = text.lines_before().into_iter().find_map(|line| {
        // An item's first key stands behind the `- ` of the item.
        let before = line.text.get(..indent)?;
        let is_key = before.chars().all(|char| matches!(char, ' ' | '-'));
        let behind = line.text.get(indent..)?;
        let length = written_length(behind, key);
        let is_same = is_key && behind.get(length..)?.trim_start().starts_with(':');
        is_same.then_some(line.start + indent..line.start + indent + length)
    });
    mistake.because = first.map(|first| (first, "the first"));
    Some(mistake)
}

/// How many bytes the key has at the beginning of `text`: with its quotes, if it has them; 0 if it is not there.
fn written_length(text: &str, key: &str) -> usize {
    let quotes = usize::from(text.starts_with(['"', '\'']));
    if text.get(quotes..).is_some_and(|rest| rest.starts_with(key)) { key.len() + 2 * quotes } else { 0 }
}

/// A colon without its space, or one that makes a key of what is meant as a value.
pub(super) fn colon(text: &Text<'_>, said: &str) -> Option<Mistake> {
    let is_value = said.starts_with("mapping values are not allowed");
    if !is_value && !said.starts_with("simple key expected") && !said.contains("did not find expected key") {
        return None;
    }
    let line = text.line();
    let before = text.lines_before();
    if let Some((line, at)) = std::iter::once(&line).chain(before.first()).find_map(|line| Some((*line, joined(line)?)))
    {
        let (key, value) = line.text.trim().split_at_checked(at - line.indent())?;
        let help = format!("write `{key}: {}`", value.get(1..)?);
        let at = line.start + at;
        return Some(Mistake::new(at..at + 1, "a space is missing behind the colon", "no space behind it", help));
    }
    let within = line.text.get(..text.at.checked_sub(line.start)?)?;
    if !is_value || !within.contains(": ") {
        return None;
    }
    let message = "a value with a colon and a space in it must stand in quotes";
    let help = format!("write {}", shown(&quoted(line.value())));
    Some(Mistake::new(text.character(), message, "YAML takes what is before it for a key", help))
}

fn shown(text: &str) -> String {
    format!("`{text}`")
}

/// Where the colon of `key:value` stands in a line that begins so.
fn joined(line: &Line<'_>) -> Option<usize> {
    let content = line.text.get(line.indent()..)?;
    let key = content.strip_prefix("- ").unwrap_or(content);
    let length = key.find(|char: char| !char.is_alphanumeric() && !matches!(char, '_' | '-' | '.'))?;
    let is_joined = length > 0 && key.get(length..)?.starts_with(':') && !key.get(length + 1..)?.starts_with(' ');
    let has_value = key.len() > length + 1;
    (is_joined && has_value).then_some(line.text.len() - key.len() + length)
}

/// Lines that stand too far to the right or the left.
pub(super) fn indentation(text: &Text<'_>, said: &str) -> Option<Mistake> {
    let line = text.line();
    let above = *text.lines_before().first()?;
    let at = line.content();
    let (own, other) = (line.indent(), above.indent());
    if said.contains("did not find expected '-'") {
        let help = "begin it by `- ` if it is an item, indent it more if it belongs to the item above, or less if it \
                    stands beside the key of the list";
        return Some(Mistake::new(at, "a line that is no item stands in a list", "no `- ` before it", help));
    }
    if own == other && line.text.trim_start().starts_with("- ") {
        let help = "make all of them items, with `- ` before each, or none: a list and the keys of a mapping cannot be \
                    mixed";
        let mut mistake = Mistake::new(at, "an item of a list stands among the keys of a mapping", "an item", help);
        mistake.because = Some((above.content(), "a key of a mapping"));
        return Some(mistake);
    }
    let is_deeper = said.starts_with("mapping values are not allowed") && own > other;
    if !is_deeper && !said.contains("did not find expected key") {
        return None;
    }
    let message = "the indentation of this line fits no line above it";
    let label = if is_deeper { "deeper than the line above, which has its value" } else { "not below any key" };
    let help = format!(
        "it is indented by {}, the line above by {}: keys of one mapping stand exactly below each other",
        spaces(own),
        spaces(other)
    );
    let mut mistake = Mistake::new(at, message, label, help);
    mistake.because = Some((above.content(), "the line above"));
    Some(mistake)
}

fn spaces(count: usize) -> String {
    if count == 1 { "1 space".to_owned() } else { format!("{count} spaces") }
}
