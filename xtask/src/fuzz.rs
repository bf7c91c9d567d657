//! Every fuzz target of `fuzz/` for some seconds, without cargo-fuzz: the same flags, on the stable toolchain.
//! It must not know what a target looks at.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use xtask::{Error, cargo, root};

/// What makes the compiler count which code an input reaches: the flags of cargo-fuzz, without a sanitizer.
const FLAGS: [&str; 11] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
    "-Clink-dead-code",
    "-Ccodegen-units=1",
    "-Cdebug-assertions",
    "-Coverflow-checks",
    "--cfg=fuzzing",
];

/// No input is longer, takes longer, or may need more memory.
const LIMITS: [&str; 3] = ["-max_len=65536", "-timeout=10", "-rss_limit_mb=1024"];

/// How many lines of a target that failed are shown.
const LINES_MAX: usize = 40;

/// Builds all targets and runs each for some seconds, from its corpus, which stays as it is.
pub(crate) fn run(seconds: u32) -> Result<(), Error> {
    let folder = root().join("fuzz");
    let targets = targets(&folder)?;
    let built = build(&folder)?;
    for target in targets {
        run_target(&folder, &built.join(&target), &target, seconds)?;
    }
    Ok(())
}

/// The programs that `fuzz/Cargo.toml` names.
fn targets(folder: &Path) -> Result<Vec<String>, Error> {
    let output = cargo::command()?
        .args(["metadata", "--format-version", "1", "--no-deps", "--locked"])
        .current_dir(folder)
        .stderr(Stdio::inherit())
        .output()
        .map_err(Error::during("run cargo metadata"))?;
    if !output.status.success() {
        return Err(Error::new("`cargo metadata --locked` failed in fuzz/")
            .with_help("if fuzz/Cargo.lock is behind, run `cargo metadata` there once and commit it"));
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).map_err(Error::during("read what cargo says"))?;
    let names = targets_of(&metadata);
    if names.is_empty() { Err(Error::new("`fuzz/Cargo.toml` names no target")) } else { Ok(names) }
}

fn targets_of(metadata: &Value) -> Vec<String> {
    let list = |value: &Value, name: &str| value.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let is_bin = |target: &Value| list(target, "kind").iter().any(|kind| kind == "bin");
    let packages = list(metadata, "packages");
    let targets = packages.iter().flat_map(|package| list(package, "targets")).filter(is_bin);
    targets.filter_map(|target| Some(target.get("name")?.as_str()?.to_owned())).collect()
}

/// Builds the targets and gives the folder that they are in.
fn build(folder: &Path) -> Result<PathBuf, Error> {
    let host = host()?;
    let status = cargo::command()?
        // With `--target` the flags go to the targets alone, not to build scripts, which nothing would link.
        .args(["build", "--release", "--locked", "--bins", "--target", &host, "--target-dir", "target"])
        .current_dir(folder)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", FLAGS.join(" "))
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .status()
        .map_err(Error::during("run cargo"))?;
    if !status.success() {
        return Err(Error::new("the fuzz targets do not compile").with_help("mend what the compiler reports above"));
    }
    Ok(folder.join("target").join(host).join("release"))
}

fn host() -> Result<String, Error> {
    let output = Command::new("rustc").arg("-vV").output().map_err(Error::during("run rustc"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| Error::new("`rustc -vV` names no host"))
}

fn run_target(folder: &Path, program: &Path, name: &str, seconds: u32) -> Result<(), Error> {
    let corpus = tempfile::tempdir().map_err(Error::during("create a temporary folder"))?;
    let inputs = copy(&folder.join("corpus").join(name), corpus.path())?;
    let artifacts = folder.join("target").join("artifacts").join(name);
    fs::create_dir_all(&artifacts).map_err(Error::during(format_args!("create `{}`", artifacts.display())))?;
    let dictionary = folder.join("dictionaries").join(format!("{name}.dict"));
    let dictionary = dictionary.is_file().then(|| format!("-dict={}", dictionary.display()));
    let output = Command::new(program)
        .args(dictionary)
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .args(LIMITS)
        .arg(corpus.path())
        .current_dir(corpus.path())
        .output()
        .map_err(Error::during(format_args!("run the fuzz target `{name}`")))?;
    let log = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = log.lines().collect();
    if output.status.success() {
        let done = lines.iter().rev().find(|line| line.starts_with("Done ")).unwrap_or(&"Done");
        println!("{name}: {inputs} inputs to start from. {done}");
        return Ok(());
    }
    let tail = lines.get(lines.len().saturating_sub(LINES_MAX)..).unwrap_or_default().join("\n");
    Err(Error::new(format!("the fuzz target `{name}` failed:\n{tail}"))
        .with_help(format!("run `{}` with the input that it wrote", program.display())))
}

/// Copies a corpus, which there need not be, and says how many inputs it has.
fn copy(from: &Path, to: &Path) -> Result<usize, Error> {
    let Ok(entries) = fs::read_dir(from) else { return Ok(0) };
    let mut inputs = 0;
    for path in entries.flatten().map(|entry| entry.path()) {
        if let Some(name) = path.file_name() {
            fs::copy(&path, to.join(name)).map_err(Error::during(format_args!("copy `{}`", path.display())))?;
            inputs += 1;
        }
    }
    Ok(inputs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_fuzz_targets_is_a_target_and_has_a_corpus() {
        let folder = root().join("fuzz");
        let mut targets = targets(&folder).unwrap();
        targets.sort();
        let files = fs::read_dir(folder.join("fuzz_targets")).unwrap().flatten();
        let mut files: Vec<String> = files.map(|file| file.file_name().to_string_lossy().replace(".rs", "")).collect();
        files.sort();
        assert_eq!(targets, files);
        for target in targets {
            assert!(folder.join("corpus").join(&target).is_dir(), "corpus/{target}");
        }
    }
}
