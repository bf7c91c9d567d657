//! The modules that Redis loads. It must not know which server loads them.

use std::env;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use super::or_panic;
use crate::{Error, cargo, tools};

/// The module as built by this process, so that cargo is asked once.
static BUILT: Mutex<Option<PathBuf>> = Mutex::new(None);

/// The file that the crate `redis-wb-capture` becomes.
pub const CAPTURE_FILE: &str = "libredis_wb_capture.so";

/// The capture module: that of the environment variable `REDIS_WB_CAPTURE`, else a fresh build.
#[track_caller]
pub fn capture_module() -> PathBuf {
    or_panic(try_capture_module())
}

/// RedisJSON, for the tests of JSON keys.
#[track_caller]
pub fn rejson_module() -> PathBuf {
    or_panic(tools::rejson())
}

/// As [`capture_module`], for those who must not panic.
pub fn try_capture_module() -> Result<PathBuf, Error> {
    if let Some(path) = env::var_os("REDIS_WB_CAPTURE").map(PathBuf::from) {
        if path.is_file() {
            return Ok(path);
        }
        return Err(Error::new(format!("REDIS_WB_CAPTURE names `{}`, which is no file", path.display())));
    }
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(path) = built.as_ref() {
        return Ok(path.clone());
    }
    let path = cargo::build(&["redis-wb-capture"], &["--quiet"])?.file(CAPTURE_FILE)?;
    *built = Some(path.clone());
    Ok(path)
}
