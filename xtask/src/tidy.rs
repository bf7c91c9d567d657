//! Rules of style that no lint knows, as a step of the tests. It must not know what the code does.

use std::fs;

use xtask::Error;

use crate::sources::{self, Source};

/// The only folder that may hold `unsafe`, and in one file only.
const UNSAFE_HOME: &str = "capture/src/";

/// What may stand in no file, and what to do instead. Written in two halves, so that this file
/// does not break its own rules.
const FORBIDDEN: [(&str, &str, &str); 3] = [
    ("todo", "!(", "finish it, or take it out"),
    ("#[ig", "nore", "make the test quick and sure, or take it out"),
    ("if dialect", " ==", "add a capability method to the dialect (style.md, rule 7)"),
];

/// Refuses files that break a rule; the error names all of them.
pub(crate) fn check() -> Result<(), Error> {
    let mut broken = Vec::new();
    let mut unsafe_files = Vec::new();
    for source in sources::files()?.iter().filter(|source| source.name.ends_with(".rs")) {
        let text = fs::read_to_string(&source.path).map_err(Error::during(format_args!("read `{}`", source.name)))?;
        broken.extend(file(source, &text));
        if let Some(line) = first_unsafe(&text) {
            if !source.name.starts_with(UNSAFE_HOME) {
                broken.push(format!("{}:{line}: `unsafe` lives in {UNSAFE_HOME} alone", source.name));
            }
            unsafe_files.push(source.name.clone());
        }
    }
    if unsafe_files.len() > 1 {
        broken.push(format!("`unsafe` lives in one file, not in {}", unsafe_files.join(", ")));
    }
    if broken.is_empty() {
        Ok(())
    } else {
        Err(Error::new(format!("rules of style are broken:\n{}", broken.join("\n"))))
    }
}

/// The rules that look at one file.
fn file(source: &Source, text: &str) -> Vec<String> {
    let mut broken = Vec::new();
    if !text.starts_with("//!") {
        broken.push(format!("{}:1: opens with `//!`: what it does, and what it must not know", source.name));
    }
    for (number, line) in code(text) {
        for (first, second, instead) in FORBIDDEN {
            if line.contains(&format!("{first}{second}")) {
                broken.push(format!("{}:{number}: no `{first}{second}`: {instead}", source.name));
            }
        }
    }
    broken
}

/// The first line with `unsafe` code, as opposed to the name of a lint.
fn first_unsafe(text: &str) -> Option<usize> {
    let keyword = |line: &str| {
        let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '`' && c != '"');
        words.any(|word| word == "unsafe")
    };
    code(text).find(|(_, line)| keyword(line)).map(|(number, _)| number)
}

/// The lines that are not comments, with their numbers.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines()).filter(|(_, line)| !line.trim_start().starts_with("//"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn complaints(text: &str) -> Vec<String> {
        file(&Source { path: PathBuf::new(), name: "a.rs".into() }, text)
    }

    #[test]
    fn a_tidy_file_passes() {
        assert!(complaints("//! A file.\n\n// No #[ign] here.\nfn f() {}\n").is_empty());
    }

    #[test]
    fn each_rule_is_seen_where_it_is_broken() {
        let text = ["fn f() { todo", "!() }\n#[ig", "nore]\nif dialect", " == x {}\n"].concat();
        let complaints = complaints(&text);
        assert_eq!(complaints.len(), 4, "{complaints:?}");
        assert!(complaints[3].starts_with("a.rs:3: "), "{complaints:?}");
    }

    #[test]
    fn unsafe_code_is_told_from_its_lint() {
        let text = ["#![expect(un", "safe_code)]\n// un", "safe\nun", "safe { f() }\n"].concat();
        assert_eq!(first_unsafe(&text), Some(3));
    }
}
