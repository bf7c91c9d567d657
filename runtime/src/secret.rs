//! `${VAR}` and secret files: what a plan names and only this process may know.

use crate::error::Failure;

/// No secret file is read beyond this size.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// Replaces every `${VAR}` of a text by the environment's value.
///
/// # Errors
/// [`Failure::Configuration`] for a variable that is not set, or a `${` that is not closed.
pub(crate) fn expand(text: &str) -> Result<String, Failure> {
    expand_with(text, |name| std::env::var(name).ok())
}

fn expand_with(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<String, Failure> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, behind) = after.split_once('}').ok_or_else(|| {
            Failure::configuration("a `${` of the configuration is not closed", "write it as `${VARIABLE}`")
        })?;
        let value = variable(name).ok_or_else(|| {
            Failure::configuration(
                format!("the environment has no variable `{name}`, which the configuration names"),
                format!("set it before the start: `export {name}=…`"),
            )
        })?;
        expanded.push_str(before);
        expanded.push_str(&value);
        rest = behind;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// A secret: the text itself or, where it is a path (it begins with `/`, `./` or `../`), what that file holds, a line
/// end after it left off.
///
/// # Errors
/// As [`expand`]; also where the file cannot be read.
pub(crate) fn secret(text: &str) -> Result<String, Failure> {
    let is_path = ["/", "./", "../"].iter().any(|start| text.starts_with(start));
    let text = expand(text)?;
    if !is_path {
        return Ok(text);
    }
    let unreadable = |why: String| {
        Failure::configuration(
            format!("the secret file `{text}` cannot be read: {why}"),
            "check its path and owner; a password that begins like a path goes into a variable: `${VAR}`",
        )
    };
    let facts = std::fs::metadata(&text).map_err(|error| unreadable(error.to_string()))?;
    if facts.len() > SECRET_BYTES_MAX {
        return Err(unreadable(format!("it has more than {SECRET_BYTES_MAX} bytes")));
    }
    let held = std::fs::read_to_string(&text).map_err(|error| unreadable(error.to_string()))?;
    Ok(held.strip_suffix('\n').map_or(held.as_str(), |line| line.strip_suffix('\r').unwrap_or(line)).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced() {
        let variable = |name: &str| (name == "USER").then(|| "ada".to_owned());
        assert_eq!(expand_with("x${USER}y${USER}", variable).unwrap(), "xadayada");
        assert_eq!(expand_with("plain $x {y}", variable).unwrap(), "plain $x {y}");
        for broken in ["${NOBODY}", "${USER"] {
            assert!(matches!(expand_with(broken, variable), Err(Failure::Configuration { .. })), "{broken}");
        }
    }

    #[test]
    fn a_path_stands_for_what_the_file_holds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        std::fs::write(&path, "s3cret\n").unwrap();
        assert_eq!(secret(path.to_str().unwrap()).unwrap(), "s3cret");
        assert_eq!(secret("no/path").unwrap(), "no/path");
        assert!(matches!(secret("/no/such/file"), Err(Failure::Configuration { .. })));
    }
}
