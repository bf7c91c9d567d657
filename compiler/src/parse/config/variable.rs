//! `${VAR}`: whether what stands there can be the name of a variable. What it holds only the runtime knows.

use super::super::mapping::Context;
use crate::Diagnostic;
use crate::codes::Code;
use crate::source::Spanned;
use crate::yaml::Node;

/// Whether the text holds a `${`, so that its value is not known here.
pub(super) fn is_in(text: &str) -> bool {
    text.contains("${")
}

/// Reports each `${` of a scalar that names no variable.
pub(in crate::parse) fn check(context: &mut Context<'_>, node: &Node, text: &Spanned<String>) {
    let mut at = 0;
    while let Some(start) = text.value.get(at..).and_then(|rest| rest.find("${")).map(|found| at + found) {
        let inside = text.value.get(start + 2..).unwrap_or_default();
        let Some(length) = inside.find('}') else {
            report(context, node, start..text.value.len(), "a `${` is not closed", &example(inside));
            return;
        };
        let end = start + 2 + length + 1;
        let name = inside.get(..length).unwrap_or_default();
        if name.is_empty() {
            report(context, node, start..end, "`${}` names no variable", "write the name: `${TARGET_PASSWORD}`");
        } else if !name.chars().all(is_of_name) {
            let message = format!("`{name}` is no name of an environment variable");
            report(context, node, start..end, &message, &example(name));
        }
        at = end;
    }
}

const fn is_of_name(char: char) -> bool {
    char.is_ascii_alphanumeric() || matches!(char, '_' | '-' | '.')
}

/// Help that shows the name that was probably meant.
fn example(text: &str) -> String {
    let name: String =
        text.chars().skip_while(|char| !is_of_name(*char)).take_while(|char| is_of_name(*char)).collect();
    let name = if name.is_empty() { "TARGET_PASSWORD" } else { &name };
    format!("write `${{{name}}}`: the name alone, of letters, digits and `_`; there are no defaults and no nesting")
}

fn report(context: &mut Context<'_>, node: &Node, part: std::ops::Range<usize>, message: &str, help: &str) {
    let span = node.part_span(context.files, part.start, part.end);
    context.report(Diagnostic::new(Code::E0019, span, message, "not `${VARIABLE}`").help(help));
}
