//! Reading one YAML mapping key by key: what is missing, misspelt, misshapen or unknown is reported once.

use crate::codes::Code;
use crate::source::{Files, Span, Spanned};
use crate::suggest::did_you_mean;
use crate::yaml::{Node, Plain, Value};
use crate::{Diagnostic, Diagnostics};

/// What every parse function needs.
pub(super) struct Context<'c> {
    pub(super) files: &'c Files,
    pub(super) diagnostics: &'c mut Diagnostics,
}

impl Context<'_> {
    pub(super) fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.report(diagnostic);
    }

    /// Reports that a node has another shape than `wanted`.
    pub(super) fn wrong_shape(&mut self, node: &Node, what: &str, wanted: &str) {
        let message = format!("`{what}` must be {wanted}");
        let label = format!("this is {}", node.value.shape());
        self.report(Diagnostic::new(Code::E0004, node.span, message, label).help(format!("write {wanted} here")));
    }

    /// The text of a scalar.
    pub(super) fn text(&mut self, node: &Node, what: &str) -> Option<Spanned<String>> {
        match node.text() {
            Some(text) if !text.is_empty() => {
                Some(Spanned { value: text.to_owned(), span: node.text_span(self.files) })
            }
            _ => {
                self.wrong_shape(node, what, "a text");
                None
            }
        }
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
            None => {
                self.wrong_shape(node, what, "a whole number");
                None
            }
        }
    }

    /// One of some words.
    pub(super) fn word<T: Copy>(&mut self, node: &Node, what: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(node, what)?;
        let found = words.iter().find(|(word, _)| text.value.eq_ignore_ascii_case(word)).map(|(_, value)| *value);
        if found.is_none() {
            let message = format!("`{what}` cannot be `{}`", text.value);
            let help = did_you_mean(&text.value, words.iter().map(|(word, _)| *word));
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

/// A mapping whose keys are taken one by one; [`Mapping::finish`] reports those that nobody took.
pub(super) struct Mapping<'n> {
    /// What the mapping is called in messages: `source.redis`.
    name: &'static str,
    span: Span,
    entries: Vec<(&'n Spanned<String>, &'n Node)>,
    known: Vec<&'static str>,
}

impl<'n> Mapping<'n> {
    /// The mapping in `node`, or a report that it is none.
    pub(super) fn open(context: &mut Context<'_>, node: &'n Node, name: &'static str, key: Span) -> Option<Self> {
        match &node.value {
            Value::Map(entries) => {
                let entries = entries.iter().map(|(key, value)| (key, value)).collect();
                Some(Self { name, span: key, entries, known: Vec::new() })
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

    /// Takes a key that must be there; `example` shows how to write it.
    pub(super) fn required(
        &mut self,
        context: &mut Context<'_>,
        key: &'static str,
        example: &str,
    ) -> Option<(&'n Spanned<String>, &'n Node)> {
        let found = self.optional(key);
        if found.is_none() {
            let near = crate::suggest::nearest(key, self.entries.iter().map(|(name, _)| name.value.as_str()));
            // A misspelt key is reported as unknown; that it is also missing would be the same mistake twice.
            if near.is_none() {
                let message = format!("`{}` needs `{key}`", self.name);
                let label = format!("`{key}` is missing here");
                context
                    .report(Diagnostic::new(Code::E0003, self.span, message, label).help(format!("add `{example}`")));
            }
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

    /// Reports every key that nobody took.
    pub(super) fn finish(mut self, context: &mut Context<'_>) {
        for (key, _) in self.rest() {
            let message = format!("`{}` has no key `{}`", self.name, key.value);
            let help = did_you_mean(&key.value, self.known.iter().copied());
            context.report(Diagnostic::new(Code::E0002, key.span, message, "unknown key").maybe_help(help));
        }
    }
}
