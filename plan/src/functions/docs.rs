//! The reference page of the functions, made from their definitions.

use std::fmt::Write as _;

use super::{Count, Definition, Example, Family, all};

/// The whole page, in Markdown.
#[must_use]
pub fn page() -> String {
    let mut text = "# Functions of JMESPath expressions\n\n\
        Every function of the JMESPath specification and every function of RDI. This page is made from their\n\
        definitions in `plan/src/functions/`, and each example is a test.\n"
        .to_owned();
    for family in Family::ALL {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "\n## {}\n", family.title());
        let mut functions: Vec<&Definition> =
            all().map(super::Function::definition).filter(|definition| definition.family == family).collect();
        functions.sort_by_key(|definition| definition.name);
        for definition in functions {
            let _ = write!(text, "\n{}", function(definition));
        }
    }
    text
}

/// The entry of one function, in Markdown.
#[must_use]
pub fn function(definition: &Definition) -> String {
    let mut text = format!("### `{}`\n\n{}\n", definition.signature(), definition.doc);
    if !definition.params.is_empty() {
        text.push('\n');
    }
    for param in definition.params {
        let _ = writeln!(text, "- `{}`: {}", param.name, param.accepts);
    }
    text.push_str("\n```\n");
    for Example { expression, input, output } in definition.examples {
        let _ = writeln!(text, "{expression}\n  {input}\n  => {output}");
    }
    text.push_str("```\n");
    text
}

impl Definition {
    /// The signature for people: `split(text, [separator])`.
    #[must_use]
    pub fn signature(&self) -> String {
        let params: Vec<String> = self
            .params
            .iter()
            .map(|param| match param.count {
                Count::One => param.name.to_owned(),
                Count::Optional => format!("[{}]", param.name),
                Count::Many => format!("{}, ...", param.name),
            })
            .collect();
        format!("{}({})", self.name, params.join(", "))
    }

    /// The fewest and the most arguments; `None` for any number.
    #[must_use]
    pub fn arity(&self) -> (usize, Option<usize>) {
        let least = self.params.iter().filter(|param| param.count != Count::Optional).count();
        let many = self.params.iter().any(|param| param.count == Count::Many);
        (least, (!many).then_some(self.params.len()))
    }
}
