//! Finds and reads the files that the commands work on: the configuration, the jobs, the DDL.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::string::FromUtf8Error;

use clap::Args;
use redis_wb_compiler::{Compiled, Diagnostic, Files, Inputs, Live, Severity, diagnostic, secret, source::FileId};
use redis_wb_plan::plan::{Connection, Dialect};
use redis_wb_runtime::UnsafeSetting;

use crate::exit::{Failure, print};

/// No file that is read may be larger.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Which jobs and which configuration.
#[derive(Debug, Args)]
pub(crate) struct Location {
    /// Job files, or folders of them; by default `jobs/` beside the configuration.
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The configuration; by default `config.yaml` here or, failing that, in the folder of the jobs.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// The files of a compilation, read.
pub(crate) struct Project {
    files: Files,
    config: FileId,
    folder: PathBuf,
    jobs: Vec<(String, FileId)>,
}

impl Location {
    pub(crate) const fn new(paths: Vec<PathBuf>, config: Option<PathBuf>) -> Self {
        Self { paths, config }
    }

    fn find_config(&self) -> Result<PathBuf, Failure> {
        if let Some(config) = &self.config {
            return Ok(config.clone());
        }
        let beside = self.paths.iter().flat_map(|path| {
            let folder = if path.is_dir() { path.as_path() } else { path.parent().unwrap_or(path) };
            [folder.join("config.yaml"), folder.join("../config.yaml")]
        });
        let mut candidates = std::iter::once(PathBuf::from("config.yaml")).chain(beside);
        candidates.find(|path| path.is_file()).ok_or_else(|| {
            let help = "name it by `--config FILE`; it holds the connections that the jobs write to:\n\
                        connections:\n  target:\n    type: postgresql\n    host: localhost";
            Failure::with_help("there is no config.yaml here or beside the jobs", help)
        })
    }

    /// Reads everything that is named.
    pub(crate) fn read(&self) -> Result<Project, Failure> {
        let config_path = self.find_config()?;
        let folder = config_path.parent().unwrap_or(Path::new("")).to_owned();
        let mut files = Files::new();
        let text = read(&config_path).map_err(|why| why.failure("name the configuration by `--config FILE`"))?;
        let config = files.add(config_path.display().to_string(), text);
        let paths = if self.paths.is_empty() { vec![folder.join("jobs")] } else { self.paths.clone() };
        let mut jobs = Vec::new();
        for path in paths {
            for file in job_files(&path, &config_path)? {
                let name = file.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                let text = read(&file).map_err(|why| why.failure("check the path of the job"))?;
                jobs.push((name, files.add(file.display().to_string(), text)));
            }
        }
        Ok(Project { files, config, folder, jobs })
    }
}

/// The job files that a path names, in ascending order.
fn job_files(path: &Path, config: &Path) -> Result<Vec<PathBuf>, Failure> {
    let unable = |error: std::io::Error| {
        let message = format!("cannot read {}: {error}", path.display());
        Failure::with_help(
            message,
            "name job files or folders of them; by default they are in `jobs/` beside the configuration",
        )
    };
    if !fs::metadata(path).map_err(unable)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let is_config = |file: &Path| match (file.canonicalize(), config.canonicalize()) {
        (Ok(file), Ok(config)) => file == config,
        _ => false,
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(path).map_err(unable)? {
        let file = entry.map_err(unable)?.path();
        let is_yaml = file.extension().is_some_and(|ending| ending == "yaml" || ending == "yml");
        if is_yaml && file.is_file() && !is_config(&file) {
            found.push(file);
        }
    }
    if found.is_empty() {
        let message = format!("there is no job in {}", path.display());
        return Err(Failure::with_help(message, "a job is a file that ends in .yaml; the README shows a first one"));
    }
    found.sort();
    Ok(found)
}

/// Why a file cannot be read.
struct Unreadable {
    why: String,
    /// What to do, where it is not the path that is wrong.
    help: Option<String>,
}

impl Unreadable {
    /// As the failure of a command; `help` is for a wrong path.
    fn failure(self, help: &str) -> Failure {
        Failure::with_help(self.why, self.help.unwrap_or_else(|| help.to_owned()))
    }
}

/// The environment, without what is no UTF-8.
fn variables() -> BTreeMap<String, String> {
    let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    std::env::vars_os().filter_map(text).collect()
}

/// Reads a text file of bounded size.
fn read(path: &Path) -> Result<String, Unreadable> {
    let shown = path.display();
    let wrong = |error: std::io::Error| Unreadable { why: format!("cannot read {shown}: {error}"), help: None };
    let bytes = fs::metadata(path).map_err(wrong)?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(Unreadable { why: format!("{shown} has {bytes} bytes; the most is {FILE_BYTES_MAX}"), help: None });
    }
    String::from_utf8(fs::read(path).map_err(wrong)?).map_err(|error| not_utf8(path, &error))
}

fn not_utf8(path: &Path, error: &FromUtf8Error) -> Unreadable {
    let shown = path.display();
    let bytes = error.as_bytes();
    let is_utf16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    let (why, from) = if is_utf16 {
        (format!("{shown} is UTF-16, not UTF-8"), "UTF-16")
    } else {
        let before = bytes.iter().take(error.utf8_error().valid_up_to());
        let line = before.filter(|byte| **byte == b'\n').count() + 1;
        (format!("{shown} is not UTF-8: line {line} has a byte that is no part of it"), "ISO-8859-1")
    };
    let help = format!("save it as UTF-8 in your editor, or: `iconv -f {from} -t UTF-8 {shown}`");
    Unreadable { why, help: Some(help) }
}

impl Project {
    /// Compiles the jobs; `live` holds what connections told of their tables.
    pub(crate) fn compile(&mut self, live: Live) -> Compiled {
        let folder = &self.folder;
        let mut read = |path: &str| read(&folder.join(path)).map_err(|error| error.why);
        let (config, jobs, variables) = (self.config, self.jobs.clone(), variables());
        let inputs = Inputs { config, jobs, variables, read: &mut read, live };
        let mut compiled = redis_wb_compiler::compile(&mut self.files, inputs);
        let (connections, redis) = match &mut compiled.plan {
            Some(plan) => (Some(&mut plan.connections), Some(&mut plan.redis)),
            None => (None, None),
        };
        let targets = compiled.targets.values_mut().map(|target| &mut target.connection);
        let connections = connections.into_iter().flat_map(|connections| connections.values_mut()).chain(targets);
        connections.for_each(|connection| paths_from(folder, connection));
        let targets = compiled.redis_targets.values_mut().map(|target| &mut target.connection);
        let redis = redis.into_iter().flat_map(|redis| redis.values_mut()).chain(targets);
        redis.for_each(|redis| secrets_from(folder, &mut redis.password, &mut redis.args));
        compiled
    }

    /// A warning of a setting of Redis.
    pub(crate) fn unsafe_setting(&self, UnsafeSetting { why, help }: UnsafeSetting) -> Diagnostic {
        redis_wb_compiler::unsafe_setting(self.config, &why, help)
    }

    /// The texts, to which the places of diagnostics refer.
    pub(crate) const fn files(&self) -> &Files {
        &self.files
    }

    /// How many jobs there are.
    pub(crate) fn job_count(&self) -> usize {
        self.jobs.len()
    }

    /// Prints diagnostics as text, to standard error.
    pub(crate) fn report(&self, diagnostics: Vec<Diagnostic>) {
        for diagnostic in diagnostics {
            let report = miette::Report::new(diagnostic::Report::new(diagnostic, &self.files));
            eprintln!("{}", diagnostic::unglued(&format!("{report:?}")));
        }
    }

    /// Prints diagnostics as a JSON array, to standard output.
    pub(crate) fn report_json(&self, diagnostics: &[Diagnostic]) -> Result<(), Failure> {
        let list: Vec<_> = diagnostics.iter().map(|one| diagnostic::JsonDiagnostic::new(one, &self.files)).collect();
        let json = serde_json::to_string_pretty(&list)
            .map_err(|error| Failure::Unable { message: error.to_string(), help: None })?;
        print(&format!("{json}\n"));
        Ok(())
    }
}

/// Makes the paths of a connection count from where this process stands. As those of DDL files, the configuration counts
/// those of SQLite and secret files from its own folder.
fn paths_from(folder: &Path, connection: &mut Connection) {
    secrets_from(folder, &mut connection.password, &mut connection.args);
    if let Some(file) = connection.database.as_mut().filter(|_| connection.dialect == Dialect::Sqlite)
        && !file.starts_with("${")
    {
        *file = folder.join(file.as_str()).to_string_lossy().into_owned();
    }
}

fn secrets_from(folder: &Path, password: &mut Option<String>, args: &mut BTreeMap<String, String>) {
    // A variable is read where the plan runs, and counts from there.
    let is_file = |name: &str, value: &str| secret::is_file(name, value) && !value.starts_with("${");
    let files = args.iter_mut().filter(|(name, value)| is_file(name, value)).map(|(_, value)| value);
    for text in password.iter_mut().filter(|text| secret::is_path(text)).chain(files) {
        let path = folder.join(text.strip_prefix("./").unwrap_or(text));
        // A path without one of the beginnings that tell it would be read as the secret itself.
        let path = if path.is_absolute() { path } else { Path::new("./").join(path) };
        *text = path.to_string_lossy().into_owned();
    }
}

/// Bugs of the compiler end a command: no plan can be trusted then.
pub(crate) fn refuse_bugs(compiled: &Compiled) -> Result<(), Failure> {
    match compiled.bugs.as_slice() {
        [] => Ok(()),
        bugs => Err(Failure::with_help(bugs.join("\n"), "this is a bug in redis-wb: please report it with the job")),
    }
}

/// How many errors and warnings there are.
pub(crate) fn count(diagnostics: &[Diagnostic]) -> (usize, usize) {
    let errors = diagnostics.iter().filter(|one| one.severity() == Severity::Error).count();
    (errors, diagnostics.len() - errors)
}
