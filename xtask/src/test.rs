//! Everything that must hold before `main` moves, step by step; `.ci/run` is this.
//! It must not know what the tests do.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use xtask::{Error, cargo, servers, tools};

use crate::{fuzz, licences, snapshots, tidy};

/// How much is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Without clippy and licences; long random tests are told to be short.
    Fast,
    /// Everything.
    Full,
}

impl Depth {
    /// How long each fuzz target runs.
    const fn fuzz_seconds(self) -> u32 {
        match self {
            Self::Fast => 2,
            Self::Full => 10,
        }
    }
}

/// The variable that tells long random tests to be short.
const FAST_VARIABLE: &str = "REDIS_WB_FAST";

/// Runs all steps, up to the first that fails.
pub(crate) fn run(depth: Depth) -> Result<(), Error> {
    let start = Instant::now();
    let folder = tempfile::tempdir().map_err(Error::during("create a temporary folder"))?;
    let references = folder.path().join("snapshots");
    step("tools", tools::ensure)?;
    step("format", || run_cargo(&["fmt", "--all", "--check"], &[], "run `cargo fmt --all`"))?;
    step("style", tidy::check)?;
    if depth == Depth::Full {
        step("licences", licences::check)?;
        let arguments = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
        step("clippy", || run_cargo(&arguments, &[], "mend what clippy reports above"))?;
    }
    let module =
        step("capture module", || cargo::build(&["redis-wb-capture"], &["--locked"])?.file(servers::CAPTURE_FILE))?;
    step("tests", || {
        let mut variables = vec![
            ("REDIS_WB_CAPTURE", module.clone()),
            (snapshots::REFERENCES_VARIABLE, references.clone()),
            ("INSTA_UPDATE", PathBuf::from("no")),
        ];
        variables.extend((depth == Depth::Fast).then(|| (FAST_VARIABLE, PathBuf::from("1"))));
        let arguments = ["test", "--workspace", "--locked", "--no-fail-fast"];
        run_cargo(&arguments, &variables, "mend the tests that failed above")
    })?;
    step("snapshots", || snapshots::check(&references))?;
    step("fuzz", || fuzz::run(depth.fuzz_seconds()))?;
    println!("\nall is well after {}", shown(start.elapsed()));
    Ok(())
}

/// Runs one step and prints how it went.
fn step<T>(name: &str, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    println!("── {name}");
    let start = Instant::now();
    let result = work();
    let verdict = if result.is_ok() { "ok" } else { "FAILED" };
    println!("── {name}: {verdict}, {}", shown(start.elapsed()));
    result
}

/// Runs cargo, its output passed through.
fn run_cargo(arguments: &[&str], variables: &[(&str, PathBuf)], help: &str) -> Result<(), Error> {
    let status = cargo::command()?
        .args(arguments)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .env_remove("INSTA_FORCE_PASS")
        .status()
        .map_err(Error::during("run cargo"))?;
    if status.success() {
        return Ok(());
    }
    Err(Error::new(format!("`cargo {}` failed", arguments.join(" "))).with_help(help))
}

fn shown(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
