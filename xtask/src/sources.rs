//! The files of the repository, for the steps that read them. It must not know what they look for.

use std::fs;
use std::path::{Path, PathBuf};

use xtask::{Error, root};

/// One file of the repository.
pub(crate) struct Source {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// The same, from the root of the repository on.
    pub(crate) name: String,
}

/// All files, except what is built or downloaded and what git keeps.
pub(crate) fn files() -> Result<Vec<Source>, Error> {
    let root = root();
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).map_err(Error::during(format_args!("read `{}`", folder.display())))?;
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.is_symlink() || left_out(&path) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(&root).unwrap_or(&path).to_string_lossy().into_owned();
                found.push(Source { path, name });
            }
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn left_out(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // cargo marks its target folders, whatever they are called.
    [".git", ".tools"].contains(&name.as_ref()) || path.join("CACHEDIR.TAG").is_file()
}
