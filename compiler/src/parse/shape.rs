//! What to do about a node of the wrong shape.

use crate::yaml::{Node, Value};

/// Help where a variable stands in a job.
pub(super) const NOT_A_VARIABLE: &str = "write the value itself: only config.yaml has variables";

/// The remedy where a node is not what is wanted, such as `a list`.
pub(super) fn help(node: &Node, wanted: &str) -> String {
    let text = node.text().unwrap_or_default();
    let dash = text.strip_prefix('-').filter(|rest| !rest.is_empty());
    match (&node.value, wanted) {
        _ if text.contains("${") => NOT_A_VARIABLE.to_owned(),
        (_, "a list") if let Some(item) = dash => format!("write a space behind the dash: `- {item}`"),
        (Value::Map(entries), _) if wanted.starts_with("a list") => {
            let first = entries.first().map_or("", |(key, _)| &key.value);
            if first == "uses" {
                "write `- ` before `uses`, and indent the lines that belong to it by as much".to_owned()
            } else {
                format!("write `- ` before each of them: `- {first}: …`")
            }
        }
        (_, "a list") if !text.is_empty() => format!("write `[{text}]`, or `- {text}` on a line of its own"),
        (Value::Text(_), _) if wanted.starts_with("a mapping") && joined(text).is_some() => {
            let (key, value) = joined(text).unwrap_or_default();
            format!("write a space behind the colon: `{key}: {value}`")
        }
        (Value::List(_), _) if wanted.starts_with("a mapping") => {
            format!("write {wanted} here, its keys below each other and without `- ` before them")
        }
        (Value::Null, _) if wanted.starts_with("a mapping") || wanted.starts_with("a list") => {
            format!("write {wanted} here, on the lines below and indented")
        }
        (Value::Null, _) => format!("write {wanted} behind the colon"),
        _ => format!("write {wanted} here"),
    }
}

/// `key:value`, of which YAML makes one text.
pub(super) fn joined(text: &str) -> Option<(&str, &str)> {
    let (key, value) = text.split_once(':')?;
    let is_name =
        |text: &str| !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'));
    let value = value.split_whitespace().next()?;
    (is_name(key) && !value.starts_with('/')).then_some((key, value))
}
