//! Builds packages of the workspace for those who run what comes out.
//! It must not know what the packages are.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::{Error, root, tools};

/// What a build brought forth.
#[derive(Debug)]
pub struct Built(Vec<PathBuf>);

impl Built {
    /// The file of this name.
    pub fn file(&self, name: &str) -> Result<PathBuf, Error> {
        let found = self.0.iter().find(|path| path.file_name().is_some_and(|file| file == name));
        found.cloned().ok_or_else(|| Error::new(format!("the build made no `{name}`")))
    }
}

/// A call of cargo at the root of the repository.
pub fn command() -> Result<Command, Error> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    // What `cargo test` and `cargo run` set for their program is not meant for a build, and
    // would start one anew.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text == "LD_LIBRARY_PATH" || text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    if let Some(libclang) = tools::libclang()? {
        command.env("LIBCLANG_PATH", libclang);
    }
    Ok(command)
}

/// Builds packages beside the running program: in the same target folder and profile, so that
/// nothing is compiled that cargo compiled already to run this. Errors of the compiler go to
/// standard error.
pub fn build(packages: &[&str], options: &[&str]) -> Result<Built, Error> {
    let mut command = command()?;
    command.args(["build", "--message-format=json-render-diagnostics"]).args(options).stderr(Stdio::inherit());
    for package in packages {
        command.args(["--package", package]);
    }
    let exe = env::current_exe().unwrap_or_default();
    if let Some(profile) = exe.ancestors().find(|folder| folder.join(".fingerprint").is_dir()) {
        if profile.ends_with("release") {
            command.arg("--release");
        }
        if let Some(target) = profile.parent() {
            command.arg("--target-dir").arg(target);
        }
    }
    let output = command.output().map_err(Error::during("run cargo"))?;
    if !output.status.success() {
        let packages = packages.join(" -p ");
        return Err(Error::new("the build failed")
            .with_help(format!("run `cargo build -p {packages}` and mend what it reports")));
    }
    Ok(Built(String::from_utf8_lossy(&output.stdout).lines().flat_map(files).collect()))
}

/// The files that a message of cargo announces.
fn files(message: &str) -> Vec<PathBuf> {
    let message: Value = serde_json::from_str(message).unwrap_or_default();
    let files = message.get("filenames").and_then(Value::as_array);
    files.into_iter().flatten().filter_map(|name| Some(Path::new(name.as_str()?).to_path_buf())).collect()
}
