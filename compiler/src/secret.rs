//! How a configuration names a secret without holding it. The runtime goes by the same rules (`secret.rs` there).

/// Whether a secret is the path of a file that holds it: it begins with `/`, `./` or `../`.
#[must_use]
pub fn is_path(text: &str) -> bool {
    ["/", "./", "../"].iter().any(|start| text.starts_with(start))
}

/// Whether a parameter of a connection is a file of TLS, whatever its path begins with; the value may be a variable.
#[must_use]
pub fn is_file(name: &str, value: &str) -> bool {
    let is_known = ["sslrootcert", "sslcert", "sslkey", "ssl_ca", "ssl_cert", "ssl_key"].contains(&name);
    is_known || name.starts_with("ssl") && is_path(value)
}

/// Whether a parameter of this name is a secret, such as `ssl_password`.
#[must_use]
pub fn is_one(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["pass", "pwd", "secret", "token"].iter().any(|part| name.contains(part))
}

/// Whether a text holds no part of a secret: it is one `${VAR}`, or a path.
#[must_use]
pub fn is_reference(text: &str) -> bool {
    let variable = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    is_path(text) || variable.is_some_and(|name| !name.contains('}'))
}

/// Where a configuration holds secrets, line by line, found without parsing it: one that does not parse is shown, too.
/// Values that only name a secret are left out.
#[must_use]
pub fn places(text: &str) -> Vec<std::ops::Range<usize>> {
    let mut places = Vec::new();
    let mut start = 0;
    // How deep the key stands whose value goes on in the lines below.
    let mut open: Option<usize> = None;
    for line in text.split_inclusive('\n') {
        let depth = line.len() - line.trim_start().len();
        let found =
            if open.is_some_and(|key| depth > key || line.trim().is_empty()) { Some(depth) } else { value(line) };
        if let Some(value) = found {
            let written = line.get(value..).unwrap_or_default().trim_end();
            // What YAML itself is written with may be seen.
            let own = written.trim_start_matches(SIGNS);
            let at = start + value + written.len() - own.len();
            let own = own.trim_end_matches(SIGNS);
            if !own.is_empty() && !is_reference(unquoted(written)) {
                places.push(at..at + own.len());
            }
            open = open.filter(|key| depth > *key || line.trim().is_empty()).or(Some(depth));
        } else {
            open = None;
        }
        start += line.len();
    }
    places
}

/// What stands around a value, and what a value that begins with it has to be quoted for.
const SIGNS: [char; 18] = ['"', '\'', '[', ']', '{', '}', '|', '>', ' ', '@', '`', '&', '*', '!', '%', '#', ',', '\t'];

/// Where the value begins in a line that has the key of a secret.
fn value(line: &str) -> Option<usize> {
    let mut at = 0;
    while let Some(colon) = line.get(at..)?.find(':').map(|found| at + found) {
        let key = line.get(..colon)?.trim_end_matches(['"', '\'', ' ']);
        let key = key.rsplit(|char: char| !(char.is_alphanumeric() || char == '_' || char == '-')).next()?;
        at = colon + 1;
        if is_one(key) {
            let rest = line.get(at..)?;
            return Some(at + rest.len() - rest.trim_start().len());
        }
    }
    None
}

/// A scalar without quotes, and without a comment behind it.
fn unquoted(text: &str) -> &str {
    text.split(" #").next().unwrap_or(text).trim_end().trim_matches(['"', '\''])
}

#[cfg(test)]
mod tests {
    use super::places;

    #[test]
    fn secrets_are_found_in_any_text() {
        let text = "a:\n  user: x\n  password: one two # not\n  port: 1\n  b: {type: c, password: \"thr:ee\"}\n  \
                    ssl_password: |\n    four\n\n    five: six\n  host: h\n  password: ${VAR} # told\n  password: ./file\n  \
                    'password' : 'seven'\n  password:\n    - eight\n";
        let found: Vec<&str> = places(text).into_iter().map(|place| &text[place]).collect();
        assert_eq!(found, ["one two # not", "thr:ee", "four", "five: six", "seven", "- eight"]);
        for text in ["password", "password:", ":", "\u{e4}: \u{fc}", "pass\u{e4}: \u{fc}", "\n\n", "a:b:password:c:d"] {
            assert!(places(text).iter().all(|place| text.get(place.clone()).is_some()), "{text}");
        }
    }
}
