//! The modules that Redis loads. It must not know which server loads them.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use super::or_panic;
use crate::{Error, root, tools};

/// The module as built by this process, so that cargo is asked once.
static BUILT: Mutex<Option<PathBuf>> = Mutex::new(None);

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
    if let Some(path) = env::var_os("REDIS_WB_CAPTURE") {
        let path = PathBuf::from(path);
        return match path.is_file() {
            true => Ok(path),
            false => Err(Error::new(format!("REDIS_WB_CAPTURE names `{}`, which is no file", path.display()))),
        };
    }
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(path) = built.as_ref() {
        return Ok(path.clone());
    }
    let path = build()?;
    *built = Some(path.clone());
    Ok(path)
}

/// Builds the module beside the running test: in the same target folder and profile, so that
/// nothing is compiled that `cargo test` has compiled already.
fn build() -> Result<PathBuf, Error> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(["build", "--quiet", "--package", "redis-wb-capture", "--message-format=json-render-diagnostics"])
        .current_dir(root())
        .stderr(Stdio::inherit());
    let exe = env::current_exe().unwrap_or_default();
    if let Some(profile) = exe.ancestors().find(|folder| folder.join(".fingerprint").is_dir()) {
        if profile.ends_with("release") {
            command.arg("--release");
        }
        if let Some(target) = profile.parent() {
            command.arg("--target-dir").arg(target);
        }
    }
    // What `cargo test` sets for the test is not meant for a build, and would start one anew.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text == "LD_LIBRARY_PATH" || text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    if let Some(libclang) = tools::libclang()? {
        command.env("LIBCLANG_PATH", libclang);
    }
    let output = command.output().map_err(Error::during("run cargo"))?;
    let built = String::from_utf8_lossy(&output.stdout).lines().find_map(library);
    match built {
        Some(path) if output.status.success() => Ok(path),
        _ => Err(Error::new("the capture module does not build")
            .with_help("run `cargo build -p redis-wb-capture` and mend what it reports")),
    }
}

/// The shared library that a message of cargo announces.
fn library(message: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    (message.pointer("/target/name")?.as_str()?.replace('-', "_") == "redis_wb_capture").then_some(())?;
    message
        .get("filenames")?
        .as_array()?
        .iter()
        .filter_map(|name| Some(Path::new(name.as_str()?)))
        .find(|path| path.extension().is_some_and(|extension| extension == "so"))
        .map(Path::to_path_buf)
}
