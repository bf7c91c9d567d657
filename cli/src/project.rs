//! Finds and reads the files that the commands work on: the configuration, the jobs, the DDL.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use redis_wb_compiler::{Compiled, Diagnostic, Files, Inputs, Severity, diagnostic, source::FileId};
use redis_wb_plan::plan::Dialect;
use redis_wb_plan::schema::Schema;

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
        let text =
            read(&config_path).map_err(|why| Failure::with_help(why, "name the configuration by `--config FILE`"))?;
        let config = files.add(config_path.display().to_string(), text);
        let paths = if self.paths.is_empty() { vec![folder.join("jobs")] } else { self.paths.clone() };
        let mut jobs = Vec::new();
        for path in paths {
            for file in job_files(&path, &config_path)? {
                let name = file.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                let text = read(&file).map_err(|why| Failure::with_help(why, "check the path of the job"))?;
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

/// Reads a text file of bounded size.
fn read(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let bytes = fs::metadata(path).map_err(|error| format!("cannot read {shown}: {error}"))?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(format!("{shown} has {bytes} bytes; the most is {FILE_BYTES_MAX}"));
    }
    let bytes = fs::read(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
    String::from_utf8(bytes).map_err(|_| format!("{shown} is not UTF-8"))
}

impl Project {
    /// Compiles the jobs; `live` holds what connections told of their tables.
    pub(crate) fn compile(&mut self, live: BTreeMap<String, Schema>) -> Compiled {
        let folder = &self.folder;
        let mut read = |path: &str| read(&folder.join(path));
        let inputs = Inputs { config: self.config, jobs: self.jobs.clone(), read: &mut read, live };
        let mut compiled = redis_wb_compiler::compile(&mut self.files, inputs);
        // As the paths of DDL files, that of a SQLite file counts from the folder of the configuration.
        let connections = compiled.plan.iter_mut().flat_map(|plan| plan.connections.values_mut());
        for connection in connections.filter(|connection| connection.dialect == Dialect::Sqlite) {
            if let Some(file) = connection.database.as_mut().filter(|file| !file.starts_with("${")) {
                *file = folder.join(file.as_str()).to_string_lossy().into_owned();
            }
        }
        compiled
    }

    /// How many jobs there are.
    pub(crate) fn job_count(&self) -> usize {
        self.jobs.len()
    }

    /// Prints diagnostics as text, to standard error.
    pub(crate) fn report(&self, diagnostics: Vec<Diagnostic>) {
        for diagnostic in diagnostics {
            eprintln!("{:?}", miette::Report::new(diagnostic::Report::new(diagnostic, &self.files)));
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
