//! A small file system in memory that can be full. It must not know who writes to it.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::guard::Guard;
use super::user::give_away;
use crate::{Error, tools};

/// What takes up the room.
const FILLER: &str = "filler";
/// How much of it is written at once.
const PIECE_BYTES: usize = 64 * 1024;

/// A mounted tmpfs. Dropping it takes it away, and if the owner is killed, a guard does.
#[derive(Debug)]
pub struct SmallDisk {
    path: PathBuf,
    _guard: Guard,
}

impl SmallDisk {
    /// Mounts one of `megabytes` at `path`, which is made. Only root may do so, and not in every container.
    pub fn mount(path: &Path, megabytes: u32) -> Result<Self, Error> {
        fs::create_dir(path).map_err(Error::during(format_args!("create `{}`", path.display())))?;
        let size = format!("size={megabytes}m,mode=755");
        tools::output(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(path))?;
        Ok(Self { path: path.to_path_buf(), _guard: Guard::unmount(path)? })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A new folder on it that belongs to `user`.
    pub fn folder_of(&self, name: &str, user: &str) -> Result<PathBuf, Error> {
        let folder = self.path.join(name);
        fs::create_dir(&folder).map_err(Error::during(format_args!("create `{}`", folder.display())))?;
        give_away(&folder, user)?;
        Ok(folder)
    }

    /// Takes up all room that is left.
    pub fn fill(&self) -> Result<(), Error> {
        let filler = File::options().create(true).append(true).open(self.path.join(FILLER));
        let mut filler = filler.map_err(Error::during("fill a disk"))?;
        let piece = vec![0; PIECE_BYTES];
        // Ends when there is no room for one piece, and then for one byte.
        for piece in [piece.as_slice(), &[0]] {
            while filler.write_all(piece).is_ok() {}
        }
        Ok(())
    }

    /// Gives the room back.
    pub fn free(&self) {
        fs::remove_file(self.path.join(FILLER)).ok();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        tools::output(Command::new("umount").args(["-l", "--"]).arg(&self.path)).ok();
    }
}
