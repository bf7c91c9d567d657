//! What cleans up after an owner that was killed and could not. It must not know what it guards.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::Error;

/// Waits until the owner is gone, since the owner holds the other end of the pipe that `read`
/// reads; then does its duty. (PR_SET_PDEATHSIG would not do: it fires when the *thread* that
/// spawned a process ends, and test threads end early.)
const KILL: &str = r#"read -r _; kill -"$1" "$2" 2>/dev/null"#;

/// The same for a folder; servers that live in it are given time to die.
const REMOVE: &str = r#"read -r _; for pause in 1 5; do sleep $pause; rm -rf -- "$1"; done"#;

/// The same for a mounted file system, whoever uses it still.
const UNMOUNT: &str = r#"read -r _; umount -l -- "$1""#;

/// A shell that acts when this process dies, unless it was dismissed (dropped) before.
#[derive(Debug)]
pub(super) struct Guard(Child);

impl Guard {
    /// Sends `signal` to a child of this process. It is to be dismissed as soon as the child was
    /// waited for, since the id may then go to another process.
    pub(super) fn kill(signal: Signal, pid: u32) -> Result<Self, Error> {
        Self::post(KILL, &[&signal.as_raw().to_string(), &pid.to_string()])
    }

    /// Removes a folder.
    fn remove(folder: &Path) -> Result<Self, Error> {
        Self::post(REMOVE, &[&folder.to_string_lossy()])
    }

    /// Takes a mounted file system away.
    pub(super) fn unmount(folder: &Path) -> Result<Self, Error> {
        Self::post(UNMOUNT, &[&folder.to_string_lossy()])
    }

    #[cfg(test)]
    pub(super) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// What the kernel does when the owner is killed: its end of the pipe closes.
    #[cfg(test)]
    pub(super) fn owner_is_gone(&mut self) {
        drop(self.0.stdin.take());
    }

    fn post(duty: &str, arguments: &[&str]) -> Result<Self, Error> {
        Command::new("/bin/sh")
            .args(["-c", duty, "redis-wb-guard"])
            .args(arguments)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C in the terminal is meant for the owner.
            .process_group(0)
            .spawn()
            .map(Self)
            .map_err(Error::during("start a guard"))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).ok();
    }
}

/// A temporary folder that is removed when dropped, and also when its owner is killed.
#[derive(Debug)]
pub struct Folder {
    // Fields drop in this order: the folder is removed while it is still guarded.
    folder: TempDir,
    _guard: Guard,
}

impl Folder {
    /// A new, empty folder, whose name starts with `prefix`.
    pub fn create(prefix: &str) -> Result<Self, Error> {
        let folder =
            tempfile::Builder::new().prefix(prefix).tempdir().map_err(Error::during("create a temporary folder"))?;
        let guard = Guard::remove(folder.path())?;
        Ok(Self { folder, _guard: guard })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;
    use std::time::{Duration, Instant};

    #[test]
    fn a_folder_goes_with_its_owner() {
        let mut folder = Folder::create("redis-wb-guard-").unwrap();
        folder._guard.owner_is_gone();
        let start = Instant::now();
        while folder.path().exists() && start.elapsed() < Duration::from_secs(20) {
            thread::sleep(Duration::from_millis(20));
        }
        assert!(!folder.path().exists());
    }

    #[test]
    fn a_dropped_folder_is_gone() {
        let folder = Folder::create("redis-wb-guard-").unwrap();
        let path = folder.path().to_path_buf();
        drop(folder);
        assert!(!path.exists());
    }
}
