//! How a configuration names a secret without holding it. The runtime goes by the same rules (`secret.rs` there).

/// Whether a secret is the path of a file that holds it: it begins with `/`, `./` or `../`.
#[must_use]
pub fn is_path(text: &str) -> bool {
    ["/", "./", "../"].iter().any(|start| text.starts_with(start))
}

/// Whether a text holds no part of a secret: it is one `${VAR}`, or a path.
#[must_use]
pub fn is_reference(text: &str) -> bool {
    let variable = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    is_path(text) || variable.is_some_and(|name| !name.contains('}'))
}
