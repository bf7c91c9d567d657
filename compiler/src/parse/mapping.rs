//! Reading one YAML mapping key by key: what is missing, misspelt, misshapen or unknown is reported once.

use std::collections::BTreeMap;

use crate::codes::Code;
use crate::parse::shape;
use crate::source::{Files, Span, Spanned};
use crate::suggest::{did_you_mean, meant, nearest};
use crate::yaml::{Node, Plain, Value};
use crate::{Diagnostic, Diagnostics};

/// What every parse function needs.
pub(super) struct Context<'c> {
    pub(super) files: &'c Files,
    pub(super) diagnostics: &'c mut Diagnostics,
    /// What examples are made of.
    pub(super) names: Names,
    /// The variables whose values are known, where the file may have some: the configuration.
    pub(super) variables: Option<&'c BTreeMap<String, String>>,
    /// The values of those that were read.
    pub(super) expanded: Vec<String>,
}

/// The names that a job has, so that what is proposed for a key that is missing can be pasted.
#[derive(Default)]
pub(super) struct Names {
    /// The connections to tables.
    pub(super) tables: Vec<String>,
    /// The connections to a Redis.
    pub(super) redis: Vec<String>,
    /// The fields of the key template.
    pub(super) key: Vec<String>,
    /// What the key pattern begins with, without its separator.
    pub(super) prefix: Option<String>,
}

impl Names {
    /// A field of the key, else an invented one.
    pub(super) fn id(&self) -> &str {
        self.key.first().map_or("id", String::as_str)
    }

    /// What a table for such keys may be called.
    pub(super) fn table(&self) -> &str {
        self.prefix.as_deref().unwrap_or("emp")
    }

    /// `connection: …`, of those that there are.
    pub(super) fn connection(&self, is_redis: bool) -> String {
        let known = if is_redis { &self.redis } else { &self.tables };
        format!("connection: {}", known.first().map_or("target", String::as_str))
    }
}

impl Context<'_> {
    pub(super) fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.report(diagnostic);
    }

    /// Reports that a node has another shape than `wanted`.
    pub(super) fn wrong_shape(&mut self, node: &Node, what: &str, wanted: &str) {
        let message = format!("`{what}` must be {wanted}");
        let label = format!("this is {}", node.value.shape());
        let help = shape::help(node, wanted);
        self.report(Diagnostic::new(Code::E0004, node.span, message, label).help(help));
    }

    /// The text of a scalar.
    pub(super) fn text(&mut self, node: &Node, what: &str) -> Option<Spanned<String>> {
        match node.text() {
            Some(text) if !text.is_empty() => {
                Some(Spanned { value: text.to_owned(), span: node.text_span(self.files) })
            }
            Some(_) => {
                let message = format!("`{what}` is empty");
                self.report(
                    Diagnostic::new(Code::E0004, node.span, message, "nothing between the quotes")
                        .help("write it between the quotes"),
                );
                None
            }
            None => {
                self.wrong_shape(node, what, "a text");
                None
            }
        }
    }

    /// The same of a scalar that the compiler itself has to know: `${VAR}` in it is read now, not when the job runs.
    pub(super) fn known(&mut self, node: &Node, what: &str) -> Option<Spanned<String>> {
        let text = self.text(node, what)?;
        let Some(variables) = self.variables else { return Some(text) };
        let before = self.diagnostics.len();
        super::config::variable::check(self, node, &text);
        if self.diagnostics.len() > before {
            return None;
        }
        let (mut known, mut rest) = (String::new(), text.value.as_str());
        while let Some((fixed, behind)) = rest.split_once("${") {
            let (name, behind) = behind.split_once('}')?;
            let Some(value) = variables.get(name) else {
                let message = format!("`{what}` has to be known when compiling, and the variable `{name}` is not set");
                let help =
                    format!("set it for `redis-wb check` and `compile`, too (`export {name}=…`), or write the value");
                self.report(Diagnostic::new(Code::E0019, text.span, message, "not set here").help(help));
                return None;
            };
            self.expanded.push(value.clone());
            known.push_str(fixed);
            known.push_str(value);
            rest = behind;
        }
        known.push_str(rest);
        Some(Spanned { value: known, ..text })
    }

    /// Whether a scalar has a variable in it that is read now.
    fn has_variable(&self, node: &Node) -> bool {
        self.variables.is_some() && node.text().is_some_and(|text| text.contains("${"))
    }

    /// The items of a list.
    pub(super) fn list<'n>(&mut self, node: &'n Node, what: &str) -> &'n [Node] {
        match &node.value {
            Value::List(items) => items,
            Value::Null => &[],
            _ => {
                self.wrong_shape(node, what, "a list");
                &[]
            }
        }
    }

    /// A whole number from `lowest` to `highest`.
    pub(super) fn number(&mut self, node: &Node, what: &str, lowest: i64, highest: i64) -> Option<i64> {
        let number = match &node.value {
            _ if self.has_variable(node) => self.known_number(node, what),
            Value::Plain { value: Plain::Int(number), .. } => Some(*number),
            Value::Text(text) => text.parse().ok(),
            _ => None,
        };
        match number {
            Some(number) if (lowest..=highest).contains(&number) => Some(number),
            Some(number) => {
                let message = format!("`{what}` must be from {lowest} to {highest}");
                self.report(
                    Diagnostic::new(Code::E0009, node.span, message, format!("{number} is outside"))
                        .help(format!("write a whole number from {lowest} to {highest}")),
                );
                None
            }
            None if self.has_variable(node) => None,
            None => {
                match duration(node.text().unwrap_or_default(), what) {
                    Some(help) => {
                        let message = format!("`{what}` must be a whole number");
                        self.report(Diagnostic::new(Code::E0004, node.span, message, "not a number alone").help(help));
                    }
                    None => self.wrong_shape(node, what, "a whole number"),
                }
                None
            }
        }
    }

    /// The number that a variable holds. `None` where it holds none, which is reported.
    fn known_number(&mut self, node: &Node, what: &str) -> Option<i64> {
        let text = self.known(node, what)?;
        let number = text.value.trim().parse().ok();
        if number.is_none() {
            let message = format!("`{what}` must be a whole number, and the variable holds `{}`", text.value);
            let diagnostic = Diagnostic::new(Code::E0004, text.span, message, "no number");
            self.report(diagnostic.help("set the variable to a whole number, or write that here"));
        }
        number
    }

    /// One of some words.
    pub(super) fn word<T: Copy>(&mut self, node: &Node, what: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.known(node, what)?;
        let found = words.iter().find(|(word, _)| text.value.eq_ignore_ascii_case(word)).map(|(_, value)| *value);
        if found.is_none() {
            let message = format!("`{what}` cannot be `{}`", text.value);
            let other = OTHER_WORDS.iter().find(|(other, _)| text.value.eq_ignore_ascii_case(other));
            let other = other.and_then(|(_, word)| words.iter().find(|(known, _)| known == word));
            let help = if text.value.contains("${") {
                Some(shape::NOT_A_VARIABLE.to_owned())
            } else if let Some((word, _)) = other {
                Some(meant(word))
            } else {
                did_you_mean(&text.value, words.iter().map(|(word, _)| *word))
            };
            self.report(Diagnostic::new(Code::E0005, text.span, message, "not a known word").maybe_help(help));
        }
        found
    }
}

impl Context<'_> {
    /// A block by its name in `uses`. `elsewhere` names another section and its blocks, to say where one belongs.
    pub(super) fn block<T: Copy>(
        &mut self,
        node: &Node,
        section: &str,
        blocks: &[(&str, T)],
        elsewhere: (&str, &[&str]),
    ) -> Option<T> {
        let text = self.text(node, "uses")?;
        if let Some((_, block)) = blocks.iter().find(|(name, _)| text.value.eq_ignore_ascii_case(name)) {
            return Some(*block);
        }
        let (other, names) = elsewhere;
        let is_misplaced = names.iter().any(|name| text.value.eq_ignore_ascii_case(name));
        let help = if is_misplaced {
            Some(format!("it belongs under `{other}`"))
        } else {
            did_you_mean(&text.value, blocks.iter().map(|(name, _)| *name))
        };
        let message = format!("`{section}` has no block `{}`", text.value);
        self.report(Diagnostic::new(Code::E0012, text.span, message, "unknown block").maybe_help(help));
        None
    }
}

/// Words that others have for ours.
const OTHER_WORDS: [(&str, &str); 15] = [
    ("zset", "sorted_set"),
    ("sortedset", "sorted_set"),
    ("document", "json"),
    ("rejson", "json"),
    ("redisjson", "json"),
    ("map", "hash"),
    ("upsert", "merge"),
    ("update", "merge"),
    ("overwrite", "replace"),
    ("insert", "APPEND"),
    ("scd2", "TYPE2"),
    ("postgres", "postgresql"),
    ("pg", "postgresql"),
    ("mssql", "sqlserver"),
    ("sqlite3", "sqlite"),
];

/// The keys that are times, with the unit they count in and how many milliseconds that is.
const TIMES: [(&str, &str, u64); 5] = [
    ("expire", "seconds", 1_000),
    ("on_failed_retry_interval", "seconds", 1_000),
    ("foreign_key_wait", "seconds", 1_000),
    ("duration", "milliseconds", 1),
    ("wait_timeout", "milliseconds", 1),
];

/// The units of time that people write, in milliseconds.
const UNITS: [(&str, u64); 16] = [
    ("ms", 1),
    ("s", 1_000),
    ("sec", 1_000),
    ("seconds", 1_000),
    ("m", 60_000),
    ("min", 60_000),
    ("minutes", 60_000),
    ("h", 3_600_000),
    ("hours", 3_600_000),
    ("d", 86_400_000),
    ("days", 86_400_000),
    ("w", 604_800_000),
    ("second", 1_000),
    ("minute", 60_000),
    ("hour", 3_600_000),
    ("day", 86_400_000),
];

/// Help where a time has a unit behind it: `10m`.
fn duration(text: &str, what: &str) -> Option<String> {
    let (_, counts_in, own_ms) = TIMES.iter().find(|(key, ..)| *key == what)?;
    let (digits, unit) = text.split_at(text.find(|char: char| !char.is_ascii_digit())?);
    let (_, unit_ms) = UNITS.iter().find(|(name, _)| unit.trim().eq_ignore_ascii_case(name))?;
    let ms = digits.parse::<u64>().ok()?.checked_mul(*unit_ms)?;
    Some(format!("it counts in {counts_in}: write `{what}: {}`", ms.div_ceil(*own_ms)))
}

/// What the whole of a job file is called, and its sections that a wrong indentation puts elsewhere.
const SECTIONS_OF: &str = "job";
const SECTIONS: [&str; 2] = ["transform", "output"];

/// A mapping whose keys are taken one by one; [`Mapping::finish`] reports those that nobody took.
pub(super) struct Mapping<'n> {
    /// What the mapping is called in messages: `source.redis`.
    name: &'static str,
    span: Span,
    entries: Vec<(&'n Spanned<String>, &'n Node)>,
    known: Vec<&'static str>,
    /// The keys that must be there and are not, each with an example. Reported at the end, when it is known which keys
    /// are there instead.
    missing: Vec<(&'static str, String)>,
}

/// Names that a key has elsewhere, or that people give it.
const ALIASES: [(&str, &[&str]); 16] = [
    ("uses", &["type", "writer", "block", "kind"]),
    ("with", &["config", "options", "args"]),
    ("connection", &["target", "database", "db"]),
    ("table", &["name", "table_name"]),
    ("keys", &["key", "primary_key", "pk", "id"]),
    ("mapping", &["columns", "fields", "map"]),
    ("field", &["name", "column", "to"]),
    ("fields", &["columns", "types"]),
    ("from_field", &["from", "old", "source", "field"]),
    ("to_field", &["to", "new", "name", "target"]),
    ("expression", &["expr", "value", "condition", "where", "sql", "jmespath", "template"]),
    ("language", &["lang"]),
    ("cmd", &["command"]),
    ("key_pattern", &["pattern", "prefix", "keys"]),
    ("data_type", &["type", "kind", "format"]),
    ("expire", &["ttl", "expiry", "expiration"]),
];

/// The key that is meant by another name.
fn alias<'k>(written: &str, known: &[&'k str]) -> Option<&'k str> {
    let of = |known: &&'k str| ALIASES.iter().any(|(key, names)| key == known && names.contains(&written));
    known.iter().copied().find(of)
}

impl<'n> Mapping<'n> {
    /// The mapping in `node`, or a report that it is none.
    pub(super) fn open(context: &mut Context<'_>, node: &'n Node, name: &'static str, key: Span) -> Option<Self> {
        match &node.value {
            Value::Map(entries) => {
                let entries = entries.iter().map(|(key, value)| (key, value)).collect();
                Some(Self { name, span: key, entries, known: Vec::new(), missing: Vec::new() })
            }
            _ => {
                context.wrong_shape(node, name, "a mapping");
                None
            }
        }
    }

    /// Takes a key that may be absent.
    pub(super) fn optional(&mut self, key: &'static str) -> Option<(&'n Spanned<String>, &'n Node)> {
        self.known.push(key);
        let at = self.entries.iter().position(|(name, _)| name.value == key)?;
        Some(self.entries.swap_remove(at))
    }

    /// Whether a key is there that nobody took yet.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(name, _)| name.value == key)
    }

    /// The same for a key whose own keys may stand beside it by mistake, which is reported when they are.
    pub(super) fn required_above(
        &mut self,
        key: &'static str,
        example: &str,
        below: &[&str],
    ) -> Option<(&'n Spanned<String>, &'n Node)> {
        if below.iter().any(|below| self.has(below)) {
            return self.optional(key);
        }
        self.required(key, example)
    }

    /// Takes a key that must be there, which [`Self::finish`] reports; `example` shows how to write it.
    pub(super) fn required(
        &mut self,
        key: &'static str,
        example: impl Into<String>,
    ) -> Option<(&'n Spanned<String>, &'n Node)> {
        let found = self.optional(key);
        if found.is_none() {
            self.missing.push((key, example.into()));
        }
        found
    }

    /// The span that reports about the whole mapping point to.
    pub(super) const fn span(&self) -> Span {
        self.span
    }

    /// All that nobody took yet.
    pub(super) fn rest(&mut self) -> Vec<(&'n Spanned<String>, &'n Node)> {
        std::mem::take(&mut self.entries)
    }

    /// Reports every key that nobody took, and every one that is missing; whether there was none.
    pub(super) fn finish(self, context: &mut Context<'_>) -> bool {
        self.finish_below(context, "", &[])
    }

    /// The same where `below` is a key whose mapping has the keys `known_below`: they may stand too far to the left.
    pub(super) fn finish_below(mut self, context: &mut Context<'_>, below: &str, known_below: &[&str]) -> bool {
        let rest = self.rest();
        let only = rest.len() == 1 && self.missing.len() == 1;
        for (key, _) in &rest {
            let message = format!("`{}` has no key `{}`", self.name, key.value);
            let help = if self.name != SECTIONS_OF && SECTIONS.contains(&key.value.as_str()) {
                Some(format!("`{}` begins a line, as `source` does: indent it less", key.value))
            } else if known_below.contains(&key.value.as_str()) {
                Some(format!("it belongs below `{below}`: indent it more"))
            } else {
                self.meant(&key.value, only)
            };
            context.report(Diagnostic::new(Code::E0002, key.span, message, "unknown key").maybe_help(help));
        }
        for (key, example) in &self.missing {
            let message = format!("`{}` needs `{key}`", self.name);
            let label = format!("`{key}` is missing here");
            let help = if example.contains('\n') { format!("add:\n{example}") } else { format!("add `{example}`") };
            context.report(Diagnostic::new(Code::E0003, self.span, message, label).help(help));
        }
        rest.is_empty() && self.missing.is_empty()
    }

    /// Help for a key that is unknown. One that stands in the place of a key that is missing is told by it: that the
    /// other is missing would be the same mistake twice.
    fn meant(&mut self, key: &str, only: bool) -> Option<String> {
        let missing: Vec<&str> = self.missing.iter().map(|(missing, _)| *missing).collect();
        let found = nearest(key, missing.iter().copied()).or_else(|| alias(key, &missing));
        if let Some(found) = found {
            self.missing.retain(|(missing, _)| *missing != found);
            return Some(meant(found));
        }
        if nearest(key, self.known.iter().copied()).is_some() {
            return did_you_mean(key, self.known.iter().copied());
        }
        if let Some(found) = alias(key, &self.known) {
            return Some(meant(found));
        }
        match self.missing.pop_if(|_| only) {
            Some((missing, example)) if example.contains('\n') => {
                Some(format!("it needs `{missing}`; write in the place of `{key}`:\n{example}"))
            }
            Some((missing, example)) => Some(format!("it needs `{missing}`, such as `{example}`: is `{key}` meant?")),
            None => did_you_mean(key, self.known.iter().copied()),
        }
    }
}
