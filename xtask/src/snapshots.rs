//! Snapshots that wait for a decision, and snapshots that no test looks at any more.
//! It must not know what they show.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use xtask::{Error, root};

use crate::sources;

/// The variable that makes insta append the path of every snapshot it compares to a file.
pub(crate) const REFERENCES_VARIABLE: &str = "INSTA_SNAPSHOT_REFERENCES_FILE";

/// Refuses pending snapshots, and those that are not listed in `references`, which insta wrote
/// while all tests ran.
pub(crate) fn check(references: &Path) -> Result<(), Error> {
    let used: BTreeSet<PathBuf> = fs::read_to_string(references)
        .unwrap_or_default()
        .lines()
        .filter_map(|line| root().join(line).canonicalize().ok())
        .collect();
    let files = sources::files()?;
    let list = |of: &dyn Fn(&sources::Source) -> bool| -> Vec<&str> {
        files.iter().filter(|&file| of(file)).map(|file| file.name.as_str()).collect()
    };
    let pending = list(&|file| file.name.ends_with(".snap.new") || file.name.ends_with(".pending-snap"));
    if !pending.is_empty() {
        return Err(Error::new(format!("snapshots wait for a decision:\n{}", pending.join("\n")))
            .with_help("look at each, then accept it (`cargo insta review`) or mend the code and remove it"));
    }
    let orphaned =
        list(&|file| file.name.ends_with(".snap") && !file.path.canonicalize().is_ok_and(|path| used.contains(&path)));
    if !orphaned.is_empty() {
        return Err(Error::new(format!("no test looks at these snapshots:\n{}", orphaned.join("\n")))
            .with_help("remove them, or bring back the test that made them"));
    }
    Ok(())
}
