//! Packages of Debian and Ubuntu. It must not know what they are for, except libclang, whose
//! packages carry their version in the name.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::geteuid;

use super::{on_path, output};
use crate::Error;

/// The version of libclang that is taken where several are to be had.
const LIBCLANG_VERSION: &str = "14";

/// Installs packages; where that is not allowed, the error is the command to run.
pub(super) fn install(packages: &[&str]) -> Result<(), Error> {
    let names = packages.join(" ");
    if on_path("apt-get").is_none() {
        return Err(Error::new(format!("this machine lacks what Debian has in: {names}"))
            .with_help("install the same with this machine's package manager, then run this again"));
    }
    if !geteuid().is_root() {
        return Err(Error::new(format!("these Debian packages are missing: {names}"))
            .with_help(format!("run `sudo apt-get install --no-install-recommends {names}`, then this again")));
    }
    eprintln!("installing Debian packages: {names}");
    update()?;
    output(
        Command::new("apt-get")
            .args(["install", "--yes", "--quiet", "--no-install-recommends"])
            .args(packages)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
    .map(drop)
}

/// The folder of a libclang that has its headers beside it.
pub(super) fn find_libclang() -> Option<PathBuf> {
    let mut versions: Vec<PathBuf> = children(Path::new("/usr/lib")).filter(|path| is_llvm(path)).collect();
    // Version 14 first, then whatever there is.
    versions.sort_by_key(|path| !path.ends_with(format!("llvm-{LIBCLANG_VERSION}")));
    versions.into_iter().map(|version| version.join("lib")).find(|lib| {
        let library = children(lib).any(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("libclang.so") || (name.starts_with("libclang-") && !name.starts_with("libclang-cpp"))
        });
        let headers = children(&lib.join("clang")).any(|version| version.join("include/stddef.h").is_file());
        library && headers
    })
}

pub(super) fn install_libclang() -> Result<PathBuf, Error> {
    let mut names = libclang_names();
    if names.is_empty() && geteuid().is_root() {
        update()?;
        names = libclang_names();
    }
    let version = names
        .iter()
        .find(|version| *version == LIBCLANG_VERSION)
        .or_else(|| names.iter().max_by_key(|version| version.parse::<u32>().unwrap_or_default()))
        .map_or(LIBCLANG_VERSION, String::as_str);
    install(&[&format!("libclang1-{version}"), &format!("libclang-common-{version}-dev")])?;
    find_libclang().ok_or_else(|| {
        Error::new("libclang was installed, but not found in /usr/lib/llvm-*")
            .with_help("set LIBCLANG_PATH to the folder of libclang.so")
    })
}

/// The versions of libclang that apt knows.
fn libclang_names() -> Vec<String> {
    let mut search = Command::new("apt-cache");
    search.args(["search", "--names-only", "^libclang1-[0-9]+$"]);
    let found = output(&mut search).unwrap_or_default();
    found.lines().filter_map(|line| Some(line.split(' ').next()?.strip_prefix("libclang1-")?.to_owned())).collect()
}

/// Fetches the lists of packages; a fresh container has none.
fn update() -> Result<(), Error> {
    output(Command::new("apt-get").args(["update", "--quiet"])).map(drop)
}

fn is_llvm(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("llvm-"))
}

fn children(folder: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}
