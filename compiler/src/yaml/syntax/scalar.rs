//! Mistakes of values: quotes, brackets, characters that mean something to YAML.

use super::Mistake;
use super::text::{Line, Text, quoted};

pub(super) fn quotes(text: &Text<'_>, said: &str) -> Option<Mistake> {
    let line = text.line();
    if said.starts_with("unclosed quote") {
        let quote = text.first()?;
        let rest = line.text.get(text.at.checked_sub(line.start)?..)?.trim_end();
        let help = format!("write the other one at the end of the text: `{rest}{quote}`");
        return Some(Mistake::new(text.character(), "this quote is not closed", "opened here", help));
    }
    if said.starts_with("invalid trailing content") {
        let end = line.content().end.max(text.at);
        let help = format!("put the whole value into quotes of the other kind: `{}`", quoted(line.value()));
        let at = text.at + (text.whole.get(text.at..end)?.len() - text.whole.get(text.at..end)?.trim_start().len());
        return Some(Mistake::new(at..end, "the value goes on behind its closing quote", "outside the quotes", help));
    }
    if said.contains("unknown escape") {
        let (at, escape) = unknown_escape(text)?;
        let message = format!("`{escape}` means nothing in double quotes");
        let help = format!("write `\\{escape}` for a backslash, or put the text into single quotes, where it is one");
        return Some(Mistake::new(at..at + escape.len(), message, "not an escape", help));
    }
    None
}

/// The first backslash of a text in double quotes that escapes what cannot be escaped.
fn unknown_escape<'t>(text: &Text<'t>) -> Option<(usize, &'t str)> {
    let rest = text.whole.get(text.at..)?;
    let mut chars = rest.char_indices();
    while let Some((at, char)) = chars.next() {
        if char != '\\' {
            continue;
        }
        let (_, escaped) = chars.next()?;
        if !"0abtnvfre \"/\\N_LPxuU\t\r\n".contains(escaped) {
            return Some((text.at + at, rest.get(at..at + 1 + escaped.len_utf8())?));
        }
    }
    None
}

/// What a character means at the beginning of a value.
const fn meaning(first: char) -> Option<&'static str> {
    Some(match first {
        '@' | '`' => "YAML keeps it for itself",
        '%' => "YAML takes it for a directive",
        '*' => "YAML takes it for a reference to an anchor",
        '&' => "YAML takes it for an anchor",
        '!' => "YAML takes it for a tag",
        '|' | '>' => "YAML takes it for a text on the lines below",
        _ => return None,
    })
}

pub(super) fn first_character(text: &Text<'_>, said: &str) -> Option<Mistake> {
    let is_such = ["unexpected character", "anchor", "tag", "block scalar", "directive"];
    if !is_such.iter().any(|word| said.contains(word)) {
        return None;
    }
    let first = text.first()?;
    if first.is_control() {
        let message = format!("the character U+{:04X} cannot stand in YAML", u32::from(first));
        return Some(Mistake::new(text.character(), message, "cannot be seen", "take it out"));
    }
    must_be_quoted(&text.line(), text.at, first)
}

fn must_be_quoted(line: &Line<'_>, at: usize, first: char) -> Option<Mistake> {
    let meaning = meaning(first)?;
    let value = line.text.get(at.checked_sub(line.start)?..)?.trim_end();
    let named = if first == '`' { "a backtick".to_owned() } else { format!("`{first}`") };
    let message = format!("a value that begins with {named} must stand in quotes");
    let help = format!("write {}", quoted(value));
    Some(Mistake::new(at..at + first.len_utf8(), message, meaning, help))
}

/// The `!…` or `&…` directly before the place, where it is all that begins a value.
pub(super) fn swallowed(text: &Text<'_>, is_null: bool) -> Option<Mistake> {
    let line = text.line();
    let before = line.text.get(..text.at.checked_sub(line.start)?)?.trim_end();
    let word = before.rsplit([' ', '\t']).next()?;
    let first = word.chars().next()?;
    let is_swallowed = first == '!' && !word.starts_with("!!") || first == '&' && is_null;
    let start = before.len() - word.len();
    let key = before.get(..start)?.trim_end();
    let begins = key.is_empty() || key.ends_with([':', '-', '[', ',', '{']);
    if is_swallowed && begins { must_be_quoted(&line, line.start + start, first) } else { None }
}

/// A bracket before the place that is closed nowhere, or a comma behind nothing.
pub(super) fn bracket(text: &Text<'_>) -> Option<Mistake> {
    let before = text.whole.get(..text.at)?.trim_end();
    if text.first() == Some(',') && before.ends_with([',', '[']) {
        return Some(Mistake::new(
            text.character(),
            "an item is missing before this comma",
            "one too many",
            "take it out",
        ));
    }
    let (at, open) = unclosed(text)?;
    let close = if open == '[' { ']' } else { '}' };
    let line = text.whole.get(at..)?.lines().next()?.trim_end();
    let message = format!("this `{open}` is not closed");
    let help = format!("write `{line}{close}`; a text that begins with `{open}` stands in quotes: `{}`", quoted(line));
    Some(Mistake::new(at..at + 1, message, "opened here", help))
}

/// The last bracket before the place that begins a value and has no partner in the whole text.
fn unclosed(text: &Text<'_>) -> Option<(usize, char)> {
    let mut open: Vec<(usize, char)> = Vec::new();
    let mut quote = None;
    let mut before = '\n';
    let mut is_comment = false;
    for (at, char) in text.whole.char_indices() {
        let begins = before.is_whitespace() || matches!(before, '[' | '{' | ',');
        match char {
            '\n' => (is_comment, quote) = (false, None),
            _ if is_comment => {}
            '#' if before.is_whitespace() && quote.is_none() => is_comment = true,
            '"' | '\'' if quote == Some(char) => quote = None,
            '"' | '\'' if quote.is_none() && begins => quote = Some(char),
            '[' | '{' if quote.is_none() && (begins || !open.is_empty()) => open.push((at, char)),
            ']' if quote.is_none() => drop(open.pop_if(|(_, open)| *open == '[')),
            '}' if quote.is_none() => drop(open.pop_if(|(_, open)| *open == '{')),
            _ => {}
        }
        before = char;
    }
    open.into_iter().rfind(|(at, _)| *at <= text.at)
}
