//! The licences of all dependencies, and dependencies that are there twice, by `cargo metadata`.
//! It must not know what the dependencies are for.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};

use serde_json::Value;
use xtask::{Error, root};

/// Where redis-wb runs; what only other systems need does not count.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

/// Licences that ask for no more than being named, or that bind only their own files (MPL).
const ALLOWED: [&str; 14] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Old versions that are there beside a newer one: name, version up to its first non-zero part,
/// and why that is so. An entry that no longer holds is an error too.
const DOUBLED: [(&str, &str, &str); 24] = [
    ("base64", "0.22", "tokio-postgres, until its next release"),
    ("bitflags", "1", "redis-module by nix 0.26"),
    ("block-buffer", "0.10", "mysql_async by mysql_common, until its next release"),
    ("const-oid", "0.9", "tokio-postgres-rustls by x509-cert"),
    ("cpufeatures", "0.2", "mysql_async by mysql_common, until its next release"),
    ("crypto-common", "0.1", "mysql_async by mysql_common, until its next release"),
    ("digest", "0.10", "mysql_async by mysql_common, until its next release"),
    ("fallible-iterator", "0.2", "tokio-postgres, until its next release"),
    ("getrandom", "0.2", "ring"),
    ("getrandom", "0.3", "mysql_async by mysql_common, until its next release"),
    ("heck", "0.4", "redis-module by strum's macros, when compiling only"),
    ("itertools", "0.13", "criterion and bindgen, until their next releases; for benchmarks and when compiling only"),
    ("num-traits", "0.1", "redis-module by enum-primitive-derive, when compiling only"),
    ("object", "0.39", "pest by stacker's build script, when compiling only"),
    ("quote", "0.3", "redis-module by enum-primitive-derive, when compiling only"),
    ("sha1", "0.10", "mysql_async by mysql_common, until its next release"),
    ("sha2", "0.10", "mysql_async by mysql_common, until its next release"),
    ("shlex", "1", "redis-module by bindgen, when compiling only"),
    ("signal-hook", "0.3", "ratatui by crossterm, until its next release"),
    ("strum_macros", "0.24", "redis-module, when compiling only"),
    ("syn", "0.11", "redis-module by enum-primitive-derive, when compiling only"),
    ("syn", "1", "redis-module by its macros, when compiling only"),
    ("syn", "2", "many macro crates have not moved to syn 3 yet; when compiling only"),
    ("unicode-width", "0.1", "miette, until its next release"),
];

/// Refuses licences that are not allowed and dependencies that are doubled.
pub(crate) fn check() -> Result<(), Error> {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", PLATFORM])
        .current_dir(root())
        .stderr(Stdio::inherit())
        .output()
        .map_err(Error::during("run cargo metadata"))?;
    if !output.status.success() {
        return Err(Error::new("`cargo metadata --locked` failed")
            .with_help("if Cargo.lock is behind, run `cargo metadata` once and commit it"));
    }
    let metadata = serde_json::from_slice(&output.stdout).map_err(Error::during("read what cargo metadata says"))?;
    let packages = packages(&metadata);
    let mut wrong = refused_licences(&packages);
    wrong.extend(doubled(&built(&metadata), &packages));
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Error::new(wrong.join("\n"))
        .with_help("choose another crate or version, or add it with its reason to xtask/src/licences.rs"))
}

/// A package, as far as it matters here.
#[derive(Debug)]
struct Package<'a> {
    name: &'a str,
    version: &'a str,
    licence: Option<&'a str>,
}

/// All packages of the workspace and below it, by cargo's id.
fn packages(metadata: &Value) -> BTreeMap<&str, Package<'_>> {
    array(metadata.get("packages"))
        .filter_map(|package| {
            let field = |name| package.get(name).and_then(Value::as_str);
            Some((
                field("id")?,
                Package { name: field("name")?, version: field("version")?, licence: field("license") },
            ))
        })
        .collect()
}

/// The ids of what is compiled into the crates or run while they are compiled; tests do not count.
fn built(metadata: &Value) -> BTreeSet<&str> {
    let needs: BTreeMap<&str, Vec<&str>> = array(metadata.pointer("/resolve/nodes"))
        .filter_map(|node| {
            let needed = array(node.get("deps")).filter(|dependency| {
                array(dependency.get("dep_kinds")).any(|kind| kind.get("kind").and_then(Value::as_str) != Some("dev"))
            });
            Some((node.get("id")?.as_str()?, needed.filter_map(|dependency| dependency.get("pkg")?.as_str()).collect()))
        })
        .collect();
    let mut open: Vec<&str> = array(metadata.get("workspace_members")).filter_map(Value::as_str).collect();
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        if seen.insert(id) {
            open.extend(needs.get(id).into_iter().flatten());
        }
    }
    seen
}

fn refused_licences(packages: &BTreeMap<&str, Package<'_>>) -> Vec<String> {
    packages
        .values()
        .filter(|package| !package.licence.is_some_and(allowed))
        .map(|Package { name, version, licence }| match licence {
            Some(licence) => format!("{name} {version} has the licence `{licence}`, which is not allowed"),
            None => format!("{name} {version} names no licence"),
        })
        .collect()
}

/// What is there in more than one version, and what [`DOUBLED`] lists without need.
fn doubled(built: &BTreeSet<&str>, packages: &BTreeMap<&str, Package<'_>>) -> Vec<String> {
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in built.iter().filter_map(|id| packages.get(id)) {
        versions.entry(package.name).or_default().insert(package.version);
    }
    let listed = |name: &str, version: &str| {
        DOUBLED.iter().any(|(doubled, old, _)| *doubled == name && is_version(version, old))
    };
    let mut wrong = Vec::new();
    for (name, versions) in &versions {
        let new: Vec<&str> = versions.iter().copied().filter(|version| !listed(name, version)).collect();
        if new.len() > 1 {
            wrong.push(format!("{name} is there in versions {}", new.join(" and ")));
        }
    }
    for (name, old, _) in DOUBLED {
        let held = versions.get(name).is_some_and(|all| all.len() > 1 && all.iter().any(|one| is_version(one, old)));
        if !held {
            wrong.push(format!("{name} {old} is not there beside a newer one any more: take it out of DOUBLED"));
        }
    }
    wrong
}

/// Whether `version` is one of `old`: `0.11.11` of `0.11`, `1.0.109` of `1`.
fn is_version(version: &str, old: &str) -> bool {
    version.strip_prefix(old).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Whether a licence expression can be met with allowed licences alone. `OR` binds weaker than
/// `AND`; `/` is how `OR` was written once.
fn allowed(expression: &str) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words = spaced.split_whitespace().peekable();
    let met = any(&mut words);
    met == Some(true) && words.next().is_none()
}

/// The words of a licence expression.
type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any(words: &mut Words<'_>) -> Option<bool> {
    let mut met = all(words)?;
    while words.next_if_eq(&"OR").is_some() {
        met |= all(words)?;
    }
    Some(met)
}

fn all(words: &mut Words<'_>) -> Option<bool> {
    let mut met = one(words)?;
    while words.next_if_eq(&"AND").is_some() {
        met &= one(words)?;
    }
    Some(met)
}

fn one(words: &mut Words<'_>) -> Option<bool> {
    let word = words.next()?;
    if word == "(" {
        let met = any(words)?;
        return (words.next()? == ")").then_some(met);
    }
    let licence = match words.next_if_eq(&"WITH") {
        Some(_) => format!("{word} WITH {}", words.next()?),
        None => word.to_owned(),
    };
    Some(ALLOWED.contains(&licence.as_str()))
}

fn array(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licence_expressions_are_evaluated() {
        for good in [
            "MIT",
            "MIT/Apache-2.0",
            "GPL-3.0-only OR MIT",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR GPL-2.0",
            "MIT OR GPL-3.0-only AND GPL-2.0",
        ] {
            assert!(allowed(good), "{good}");
        }
        for bad in ["GPL-3.0-only", "MIT AND GPL-3.0-only", "MIT-0-like", "", "MIT OR", "(MIT", "MIT MIT", "MIT WITH x"]
        {
            assert!(!allowed(bad), "{bad}");
        }
    }

    #[test]
    fn versions_match_by_whole_parts() {
        assert!(is_version("0.11.11", "0.11") && is_version("1.0.109", "1"));
        assert!(!is_version("0.110.0", "0.11") && !is_version("10.0.0", "1"));
    }
}
