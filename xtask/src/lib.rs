//! What the demo and all tests stand on: the tools of this machine, and private servers.
//!
//! | part | what it does |
//! |---|---|
//! | [`tools`] | finds the programs that are needed, installs those that are missing |
//! | [`cargo`] | builds what is run |
//! | [`servers`] | starts Redis, PostgreSQL and other processes, and ends them whatever happens |
//! | [`chaos`] | rounds of random changes while all of these fail, and what must hold afterwards |
//!
//! It must not know how redis-wb works: no crate of the workspace is a dependency of this one but `redis-wb-record`,
//! the public contract between capture and whoever reads.

pub mod cargo;
pub mod chaos;
pub mod servers;
pub mod tools;

use std::fmt;
use std::path::{Path, PathBuf};

/// What went wrong, and where it is known, what to do about it.
#[derive(Debug)]
pub struct Error {
    what: String,
    help: Option<String>,
}

impl Error {
    /// An error that says `what` went wrong.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), help: None }
    }

    /// The same error, with what to do about it.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// For `map_err`: an error that says what was being done when `cause` came.
    pub fn during<C: fmt::Display>(doing: impl fmt::Display) -> impl FnOnce(C) -> Self {
        move |cause| Self::new(format!("cannot {doing}: {cause}"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match &self.help {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

/// The root of the repository.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}
