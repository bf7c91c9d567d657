//! Key templates in the place of an expression: what is meant by them, written as one. Only for help texts.

use redis_wb_grammar::key::{self, Part};

use super::Language;

/// The expression that gives the keys of a template, such as `product:<sku>` or `product:{sku}`; `None` where the text
/// is no template with a field in it.
#[must_use]
pub fn expression(text: &str, language: Language) -> Option<String> {
    let text = text.trim().trim_matches(['\'', '"']);
    // What is meant by a template holds no spaces; with them it is rather a comparison.
    if text.contains(|char: char| char.is_whitespace() || matches!(char, '\'' | '"' | '`' | '(')) {
        return None;
    }
    let angled = text.replace("${", "{").replace('{', "<").replace('}', ">");
    let parts = key::parse(&angled).ok()?;
    let is_template = parts.iter().any(|part| matches!(part, Part::Field { .. }));
    let parts: Vec<String> = parts
        .iter()
        .map(|part| match part {
            Part::Literal(text) => format!("'{text}'"),
            Part::Field { name, .. } => name.clone(),
        })
        .collect();
    is_template.then(|| match language {
        Language::JmesPath if parts.len() == 1 => parts.concat(),
        Language::JmesPath => format!("concat([{}])", parts.join(", ")),
        Language::Sql => parts.join(" || "),
    })
}
