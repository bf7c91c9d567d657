//! Functions of texts.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Mutex;

use regex::{Regex, RegexBuilder};

use super::{Accepts, Args, Definition, PLAIN, Param, Returns, eg};
use crate::expr_type::ExprType;
use crate::text::replaced;
use crate::value::Items;
use crate::{Reject, Type, Value, compare, convert, json};

/// The most bytes that a compiled pattern may take.
const REGEX_BYTES_MAX: usize = 1024 * 1024;

/// How long a text gets that is put together, for the greater part: room for it is made at once.
const TEXT_BYTES_EXPECTED: usize = 64;

const TEXT: Param = Param::new("text", Accepts::TEXT);
const TEXT_OR_NULL: Param = TEXT.or_null();
const COUNT: Param = Param::new("count", Accepts::NUMBER);

pub(super) const ALL: &[Definition] = &[
    CAPITALIZE,
    CONCAT,
    CONTAINS,
    ENDS_WITH,
    JOIN,
    LEFT,
    LENGTH,
    LOWER,
    MID,
    REGEX_REPLACE,
    REPLACE,
    REVERSE,
    RIGHT,
    SPLIT,
    STARTS_WITH,
    UPPER,
];

/// `change` of the text, or null.
fn changed<'a>(args: &Args<'_, 'a>, change: impl FnOnce(&str) -> String) -> Result<Value<'a>, Reject> {
    match args.text(0)? {
        Some(text) => args.made(change(&text)),
        None => Ok(Value::Null),
    }
}

const LOWER: Definition = Definition {
    name: "lower",
    params: &[TEXT_OR_NULL],
    returns: Returns::NullForNull(Type::Text),
    doc: "The text in lower case; null for null.",
    examples: &[eg("lower(name)", r#"{"name": "ÄRGER"}"#, r#""ärger""#), eg("lower(name)", "{}", "null")],
    body: |args| changed(args, str::to_lowercase),
    ..PLAIN
};

const UPPER: Definition = Definition {
    name: "upper",
    params: &[TEXT_OR_NULL],
    returns: Returns::NullForNull(Type::Text),
    doc: "The text in upper case; null for null.",
    examples: &[eg("upper(name)", r#"{"name": "ada"}"#, r#""ADA""#), eg("upper(name)", "{}", "null")],
    body: |args| changed(args, str::to_uppercase),
    ..PLAIN
};

const CAPITALIZE: Definition = Definition {
    name: "capitalize",
    params: &[TEXT_OR_NULL],
    returns: Returns::NullForNull(Type::Text),
    doc: "Every word with a capital letter first and small letters behind, one space between words; null for null.",
    examples: &[eg("capitalize(name)", r#"{"name": " john  DOE"}"#, r#""John Doe""#)],
    body: |args| {
        changed(args, |text| {
            let words: Vec<String> = text.split_whitespace().map(capitalized).collect();
            words.join(" ")
        })
    },
    ..PLAIN
};

fn capitalized(word: &str) -> String {
    let mut chars = word.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    first + &chars.as_str().to_lowercase()
}

const REPLACE: Definition = Definition {
    name: "replace",
    params: &[TEXT_OR_NULL, Param::new("old", Accepts::TEXT), Param::new("new", Accepts::TEXT)],
    returns: Returns::NullForNull(Type::Text),
    doc: "The text with every `old` in it replaced by `new`; null for null.",
    examples: &[
        eg("replace(phone, '-', '')", r#"{"phone": "555-01-23"}"#, r#""5550123""#),
        eg("replace(phone, '', 'x')", r#"{"phone": "555"}"#, r#""555""#),
    ],
    body: |args| {
        let Some(text) = args.text(0)? else {
            return Ok(Value::Null);
        };
        let (old, new) = (args.some_text(1)?, args.some_text(2)?);
        if old.is_empty() {
            return Ok(Value::Text(text));
        }
        if new.len() > old.len() {
            args.charge(text.matches(&*old).count().saturating_mul(new.len()))?;
        }
        match replaced(&text, &old, &new) {
            Some(made) => args.made(made),
            None => Ok(Value::Text(text)),
        }
    },
    ..PLAIN
};

/// The part of a text from character `start` up to `end`, a borrowed text staying borrowed.
fn part(text: Cow<'_, str>, start: usize, end: usize) -> Value<'_> {
    let byte = |text: &str, at: usize| text.char_indices().nth(at).map_or(text.len(), |(byte, _)| byte);
    let from = byte(&text, start);
    let to = byte(&text, end).max(from);
    Value::Text(match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.get(from..to).unwrap_or_default()),
        Cow::Owned(text) => Cow::Owned(text.get(from..to).unwrap_or_default().to_owned()),
    })
}

/// A place in a text of `len` characters: negative counts from the end.
fn place(at: i64, len: usize) -> usize {
    let size = usize::try_from(at.unsigned_abs()).unwrap_or(usize::MAX);
    if at < 0 { len.saturating_sub(size) } else { size.min(len) }
}

const LEFT: Definition = Definition {
    name: "left",
    params: &[TEXT_OR_NULL, COUNT],
    returns: Returns::NullForNull(Type::Text),
    doc: "The first `count` characters; a negative count leaves out as many at the end; null for null.",
    examples: &[
        eg("left(code, `2`)", r#"{"code": "DE-1234"}"#, r#""DE""#),
        eg("left(code, `-1`)", r#"{"code": "äöü"}"#, r#""äö""#),
    ],
    body: |args| {
        let Some(text) = args.text(0)? else {
            return Ok(Value::Null);
        };
        let count = args.whole(1)?;
        let len = if count < 0 { text.chars().count() } else { usize::MAX };
        Ok(part(text, 0, place(count, len)))
    },
    ..PLAIN
};

const RIGHT: Definition = Definition {
    name: "right",
    params: &[TEXT_OR_NULL, COUNT],
    returns: Returns::NullForNull(Type::Text),
    doc: "The last `count` characters; a negative count leaves out as many at the start; null for null.",
    examples: &[
        eg("right(code, `4`)", r#"{"code": "DE-1234"}"#, r#""1234""#),
        eg("right(code, `0`)", r#"{"code": "DE"}"#, r#""""#),
    ],
    body: |args| {
        let Some(text) = args.text(0)? else {
            return Ok(Value::Null);
        };
        let (len, count) = (text.chars().count(), args.whole(1)?);
        let start = if count == 0 { len } else { place(count.saturating_neg(), len) };
        Ok(part(text, start, len))
    },
    ..PLAIN
};

const MID: Definition = Definition {
    name: "mid",
    params: &[TEXT_OR_NULL, Param::new("offset", Accepts::NUMBER), COUNT],
    returns: Returns::NullForNull(Type::Text),
    doc: "`count` characters from `offset` on, which counts from 0, or from the end if negative; null for null.",
    examples: &[eg("mid(greeting, `4`, `3`)", r#"{"greeting": "hello world!"}"#, r#""o w""#)],
    body: |args| {
        let Some(text) = args.text(0)? else {
            return Ok(Value::Null);
        };
        let (offset, count) = (args.whole(1)?, args.whole(2)?);
        let len = if offset < 0 || count < 0 { text.chars().count() } else { usize::MAX };
        let end = offset.saturating_add(count);
        // From the end, a part that reaches the end has no end of its own.
        let end = if offset < 0 && end >= 0 { usize::MAX } else { place(end, len) };
        Ok(part(text, place(offset, len), end))
    },
    ..PLAIN
};

const SPLIT: Definition = Definition {
    name: "split",
    params: &[TEXT_OR_NULL, Param::new("separator", Accepts::TEXT).optional()],
    returns: Returns::Infer(|args| {
        let list = ExprType::list(ExprType::of(Type::Text));
        if args.first().is_some_and(|text| text.nullable) { list.or_null() } else { list }
    }),
    doc: "The parts of the text between the separators, which are commas if none is given; null for null.",
    examples: &[
        eg("split(tags)", r#"{"tags": "a,b"}"#, r#"["a", "b"]"#),
        eg("split(path, '/')[-1]", r#"{"path": "home/ada"}"#, r#""ada""#),
    ],
    body: |args| {
        let Some(text) = args.text(0)? else {
            return Ok(Value::Null);
        };
        let separator = if args.len() > 1 { args.some_text(1)? } else { Cow::Borrowed(",") };
        if separator.is_empty() {
            return Err(args.rejected("needs a separator that is not empty"));
        }
        args.charge(text.len())?;
        Ok(Value::List(match text {
            Cow::Borrowed(text) => text.split(&*separator).map(|part| Value::Text(Cow::Borrowed(part))).collect(),
            Cow::Owned(text) => text.split(&*separator).map(|part| Value::Text(Cow::Owned(part.to_owned()))).collect(),
        }))
    },
    ..PLAIN
};

const CONCAT: Definition = Definition {
    name: "concat",
    params: &[Param::new("parts", Accepts::LIST)],
    returns: Returns::Always(Type::Text),
    doc: "The parts, one behind the other. Numbers, booleans, lists and objects are written as JSON; null as nothing.",
    examples: &[
        eg("concat([first, ' ', last])", r#"{"first": "john", "last": "doe"}"#, r#""john doe""#),
        eg("concat(['a', `1`, `true`, missing])", "{}", r#""a1true""#),
    ],
    body: |args| {
        let mut text = Joined::new(args);
        args.each(0, Accepts::ANY, &mut |part| match part {
            Value::Null => Ok(()),
            Value::Text(part) => text.push(part),
            other => text.push(&written(other)?),
        })?;
        Ok(text.into_value())
    },
    ..PLAIN
};

/// A text that is put together, each part charged for before it is copied.
struct Joined<'e, 't, 'a> {
    args: &'e Args<'t, 'a>,
    text: String,
}

impl<'e, 't, 'a> Joined<'e, 't, 'a> {
    fn new(args: &'e Args<'t, 'a>) -> Self {
        Self { args, text: String::with_capacity(TEXT_BYTES_EXPECTED) }
    }

    fn push(&mut self, part: &str) -> Result<(), Reject> {
        self.args.charge(part.len())?;
        self.text.push_str(part);
        Ok(())
    }

    fn into_value(self) -> Value<'a> {
        Value::Text(Cow::Owned(self.text))
    }
}

/// A value as a text: a text as it is, anything else as JSON.
pub(super) fn written(value: &Value<'_>) -> Result<String, Reject> {
    if compare::is_textual(value) { Ok(convert::display(value)) } else { json::write(value, json::JSON_BYTES_MAX) }
}

const JOIN: Definition = Definition {
    name: "join",
    params: &[Param::new("glue", Accepts::TEXT), Param::new("texts", Accepts::TEXTS)],
    returns: Returns::Always(Type::Text),
    doc: "The texts with the glue between them.",
    examples: &[eg("join(', ', tags)", r#"{"tags": ["a", "b"]}"#, r#""a, b""#)],
    body: |args| {
        let glue = args.some_text(0)?;
        let mut text = Joined::new(args);
        let mut is_first = true;
        args.each(1, Accepts::TEXT, &mut |part| {
            if !std::mem::take(&mut is_first) {
                text.push(&glue)?;
            }
            match part {
                Value::Text(part) => text.push(part),
                other => text.push(&convert::display(other)),
            }
        })?;
        Ok(text.into_value())
    },
    ..PLAIN
};

const LENGTH: Definition = Definition {
    name: "length",
    params: &[Param::new("of", Accepts::TEXT.or(Accepts::LIST).or(Accepts::OBJECT))],
    returns: Returns::Always(Type::Int),
    doc: "How many characters a text has, how many elements a list, how many fields an object.",
    examples: &[eg("length(name)", r#"{"name": "äöü"}"#, "3"), eg("length(@)", r#"{"a": 1, "b": 2}"#, "2")],
    body: |args| {
        let held = args.look(0)?;
        let length = match held.get() {
            Value::List(items) => items.len(),
            Value::Object(fields) => fields.len(),
            Value::Text(text) => text.chars().count(),
            other => convert::display(other).chars().count(),
        };
        Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
    },
    ..PLAIN
};

const REVERSE: Definition = Definition {
    name: "reverse",
    params: &[Param::new("of", Accepts::TEXT.or(Accepts::LIST))],
    returns: Returns::Infer(|args| args.first().cloned().unwrap_or(ExprType::UNKNOWN).not_null()),
    doc: "A text or a list from its end to its start.",
    examples: &[eg("reverse(@)", "[1, 2, 3]", "[3, 2, 1]"), eg("reverse(name)", r#"{"name": "abc"}"#, r#""cba""#)],
    body: |args| match args.value(0)? {
        Value::List(Items::Owned(mut items)) => {
            items.reverse();
            Ok(Value::List(items.into()))
        }
        Value::List(Items::Borrowed(items)) => {
            args.charge(items.len())?;
            let mut reversed = Vec::with_capacity(items.len());
            reversed.extend(items.iter().rev().map(Value::borrowed));
            Ok(Value::List(reversed.into()))
        }
        other => args.made(convert::display(&other).chars().rev().collect()),
    },
    ..PLAIN
};

const STARTS_WITH: Definition = Definition {
    name: "starts_with",
    params: &[TEXT, Param::new("prefix", Accepts::TEXT)],
    returns: Returns::Always(Type::Bool),
    doc: "Whether the text begins with `prefix`.",
    examples: &[eg("starts_with(phone, '+')", r#"{"phone": "+49"}"#, "true")],
    body: |args| Ok(Value::Bool(args.some_text(0)?.starts_with(&*args.some_text(1)?))),
    ..PLAIN
};

const ENDS_WITH: Definition = Definition {
    name: "ends_with",
    params: &[TEXT, Param::new("suffix", Accepts::TEXT)],
    returns: Returns::Always(Type::Bool),
    doc: "Whether the text ends with `suffix`.",
    examples: &[eg("ends_with(file, '.csv')", r#"{"file": "a.csv"}"#, "true")],
    body: |args| Ok(Value::Bool(args.some_text(0)?.ends_with(&*args.some_text(1)?))),
    ..PLAIN
};

const CONTAINS: Definition = Definition {
    name: "contains",
    params: &[Param::new("in", Accepts::TEXT.or(Accepts::LIST)), Param::new("what", Accepts::ANY)],
    returns: Returns::Always(Type::Bool),
    doc: "Whether a text has a part, or a list an element.",
    examples: &[
        eg("contains(name, 'da')", r#"{"name": "ada"}"#, "true"),
        eg("contains(tags, `1`)", r#"{"tags": [1.0]}"#, "true"),
    ],
    body: |args| {
        let (of, what) = (args.look(0)?, args.look(1)?);
        match (of.get(), what.get()) {
            (Value::List(items), what) => {
                args.charge(items.len())?;
                Ok(Value::Bool(items.iter().any(|item| compare::equal(item, what))))
            }
            (Value::Text(text), Value::Text(what)) => Ok(Value::Bool(text.contains(&**what))),
            (text, Value::Text(what)) => Ok(Value::Bool(convert::display(text).contains(&**what))),
            _ => Ok(Value::Bool(false)),
        }
    },
    ..PLAIN
};

const REGEX_REPLACE: Definition = Definition {
    name: "regex_replace",
    params: &[TEXT_OR_NULL, Param::new("pattern", Accepts::TEXT), Param::new("replacement", Accepts::TEXT)],
    returns: Returns::NullForNull(Type::Text),
    doc: "The text with every match of a regular expression replaced; `\\1` or `\\g<name>` in the replacement stands \
          for a group; null for null. Patterns are matched in linear time, so there are no look-arounds and no \
          back-references in them.",
    examples: &[
        eg("regex_replace(phone, '[^0-9]+', '')", r#"{"phone": "(030) 12-34"}"#, r#""0301234""#),
        eg("regex_replace(name, '(\\w+), (\\w+)', '\\2 \\1')", r#"{"name": "Doe, John"}"#, r#""John Doe""#),
    ],
    body: |args| {
        let Some(text) = args.text(0)? else {
            return Ok(Value::Null);
        };
        let replacement = template(&args.some_text(2)?);
        let replaced = args.prepare(1, pattern, |regex| {
            let replaced = regex.replace_all(&text, replacement.as_str());
            Ok(matches!(replaced, Cow::Owned(_)).then(|| replaced.into_owned()))
        })?;
        replaced.map_or(Ok(Value::Text(text)), |replaced| args.made(replaced))
    },
    checks: &[(1, is_pattern)],
    ..PLAIN
};

/// Patterns that were found to be right: of a thousand jobs many have the same ones, and each costs a tenth of what
/// else is to be checked of its job.
static PATTERNS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
/// The most of them.
const PATTERNS_MAX: usize = 1_024;

fn is_pattern(text: &str) -> Result<(), Reject> {
    if PATTERNS.lock().is_ok_and(|known| known.contains(text)) {
        return Ok(());
    }
    pattern(text)?;
    if let Ok(mut known) = PATTERNS.lock()
        && known.len() < PATTERNS_MAX
    {
        known.insert(text.to_owned());
    }
    Ok(())
}

fn pattern(pattern: &str) -> Result<Regex, Reject> {
    RegexBuilder::new(pattern).size_limit(REGEX_BYTES_MAX).build().map_err(|error| {
        let text = error.to_string();
        let why = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
        let reason = format!("`{pattern}` is no regular expression: {why}");
        Reject::new(crate::RejectCode::InvalidArgument, reason)
    })
}

/// A replacement with groups as Python writes them, `\1`, as the regex crate has them, `${1}`.
fn template(replacement: &str) -> String {
    let mut text = String::new();
    let mut rest = replacement;
    while let Some(at) = rest.find(['\\', '$']) {
        let (plain, special) = rest.split_at_checked(at).unwrap_or((rest, ""));
        text.push_str(plain);
        let mut chars = special.chars();
        if chars.next() == Some('$') {
            text.push_str("$$");
            rest = chars.as_str();
            continue;
        }
        let after = chars.as_str();
        if let Some((name, after)) = after.strip_prefix("g<").and_then(|after| after.split_once('>')) {
            text.push_str(&format!("${{{name}}}"));
            rest = after;
            continue;
        }
        match chars.next() {
            Some(digit) if digit.is_ascii_digit() => text.push_str(&format!("${{{digit}}}")),
            Some('n') => text.push('\n'),
            Some('t') => text.push('\t'),
            Some('\\') => text.push('\\'),
            Some(other) => text.extend(['\\', other]),
            None => text.push('\\'),
        }
        rest = chars.as_str();
    }
    text + rest
}
