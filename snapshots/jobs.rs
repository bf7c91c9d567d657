//! Every job of `jobs/` and what comes out of it: the plan for each dialect, the diagnostics of each mistake.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking, in its helping functions as well")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use redis_wb_compiler::codes::Code;
use redis_wb_compiler::{
    Compiled, Diagnostic, Files, Inputs, Live, Unanswered, compile, create, describe, diagnostic, dialect,
    unsafe_setting,
};
use redis_wb_plan::Strategy;
use redis_wb_plan::plan::Dialect;

fn jobs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../jobs")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The job files of a folder, in ascending order.
fn job_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder is there");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .filter(|path| path.file_name().is_some_and(|name| name != "config.yaml"))
        .collect();
    files.sort();
    files
}

fn stem(path: &Path) -> String {
    path.file_stem().expect("a file has a name").to_string_lossy().into_owned()
}

fn run(folder: &Path, config: &str, jobs: &[(String, String)]) -> (Files, Compiled) {
    run_with(&mut |path| fs::read_to_string(folder.join(path)).map_err(|_| "no such file".to_owned()), config, jobs)
}

fn run_with(
    read: &mut dyn FnMut(&str) -> Result<String, String>,
    config: &str,
    jobs: &[(String, String)],
) -> (Files, Compiled) {
    run_live(read, config, jobs, Live::default())
}

fn run_live(
    read: &mut dyn FnMut(&str) -> Result<String, String>,
    config: &str,
    jobs: &[(String, String)],
    live: Live,
) -> (Files, Compiled) {
    let mut files = Files::new();
    let config = files.add("config.yaml", config);
    let jobs = jobs.iter().map(|(name, text)| (name.clone(), files.add(format!("{name}.yaml"), text))).collect();
    let compiled = compile(&mut files, Inputs { config, jobs, variables: BTreeMap::new(), read, live });
    assert_eq!(compiled.bugs, Vec::<String>::new());
    (files, compiled)
}

/// Diagnostics as a terminal of 80 columns without colours shows them.
fn show(files: &Files, compiled: &Compiled) -> String {
    let handler = miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor())
        .with_width(80)
        .with_links(false);
    let mut text = String::new();
    for diagnostic in &compiled.diagnostics {
        let report = diagnostic::Report::new(diagnostic.clone(), files);
        handler.render_report(&mut text, &report).expect("a report renders");
        text.push('\n');
    }
    diagnostic::unglued(&text)
}

fn settings() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings
}

/// The strategies of a job's outputs.
fn strategies(config: &str, job: &(String, String)) -> Vec<Strategy> {
    let (_, compiled) = run(&jobs(), config, std::slice::from_ref(job));
    let plan = compiled.plan.expect("the job compiles for PostgreSQL");
    plan.jobs.iter().flat_map(|job| &job.outputs).map(|output| output.strategy).collect()
}

/// The tables of a job as `compile --ddl` makes them for a dialect, from what `schema.sql` says of their types.
fn ddl(config: &str, job: &(String, String), dialect: Dialect) -> String {
    let (_, compiled) = run(&jobs(), config, std::slice::from_ref(job));
    let mut plan = compiled.plan.expect("the job compiles for PostgreSQL");
    for connection in plan.connections.values_mut() {
        connection.dialect = dialect;
    }
    create::tables(&plan).expect("no bug")
}

#[test]
fn every_job_compiles_for_every_dialect() {
    let config = read(&jobs().join("config.yaml"));
    for path in job_files(&jobs()) {
        let job = (stem(&path), read(&path));
        let strategies = strategies(&config, &job);
        let can = |dialect: &Dialect| strategies.iter().all(|strategy| dialect::of(*dialect).supports(*strategy));
        for dialect in Dialect::ALL.into_iter().filter(can) {
            let ddl = ddl(&config, &job, dialect);
            let config = config.replace("type: postgresql", &format!("type: {}", dialect.name()));
            let is_read = dialect::of(dialect).reader().is_some();
            let config = if is_read { config } else { config.replace("    ddl: schema.sql\n", "") };
            let (files, compiled) = run_with(&mut |_| Ok(ddl.clone()), &config, std::slice::from_ref(&job));
            let blind = |one: &Diagnostic| !is_read && one.code == Code::W0409;
            let rest: Vec<_> = compiled.diagnostics.iter().filter(|one| !blind(one)).collect();
            assert!(rest.is_empty(), "{}\n{ddl}", show(&files, &compiled));
            let plan = compiled.plan.expect("no error, so a plan");
            let text = format!("{ddl}{}", describe::sql(&plan));
            let name = format!("{}__{}", job.0, dialect.name());
            settings().bind(|| insta::assert_snapshot!(name, text));
        }
    }
}

/// Jobs as they are written for RDI compile as they stand; what is said of them are warnings.
#[test]
fn jobs_of_rdi_compile_unchanged() {
    let folder = jobs().join("rdi");
    let config = read(&folder.join("config.yaml"));
    for path in job_files(&folder) {
        let (files, compiled) = run(&folder, &config, &[(stem(&path), read(&path))]);
        let said = show(&files, &compiled);
        let plan = compiled.plan.unwrap_or_else(|| panic!("{said}"));
        let text = format!("{said}{}", describe::sql(&plan));
        settings().bind(|| insta::assert_snapshot!(format!("rdi_{}", stem(&path)), text));
    }
}

#[test]
fn a_plan_survives_json() {
    let all: Vec<_> = job_files(&jobs()).iter().map(|path| (stem(path), read(path))).collect();
    let (_, compiled) = run(&jobs(), &read(&jobs().join("config.yaml")), &all);
    let plan = compiled.plan.expect("the jobs compile");
    let json = serde_json::to_string_pretty(&plan).expect("a plan is plain data");
    assert_eq!(redis_wb_plan::Plan::from_json(&json), Ok(plan));
    settings().bind(|| insta::assert_snapshot!("plan_json", json));
}

/// What comes out of a fixture: it is a job, or a configuration that is compiled with a job that is right.
fn run_fixture(path: &Path) -> (Files, Compiled) {
    let folder = jobs().join("reject");
    let (name, text) = (stem(path), read(path));
    let config = read(&folder.join("config.yaml"));
    if text.contains("\nconnections:") {
        let good = read(&jobs().join("employees.yaml"));
        let good = [("employees".to_owned(), good)];
        if name.starts_with(Code::E0416.name()) {
            let why = "Connection refused (db.internal, port 5432)".to_owned();
            let tables = BTreeMap::from([("target".to_owned(), Err(Unanswered { why, help: None }))]);
            let live = Live { tables, redis: BTreeMap::new() };
            return run_live(&mut |_| Err("no DDL is read".to_owned()), &text, &good, live);
        }
        let (files, mut compiled) = run(&folder, &text, &good);
        if name.starts_with(Code::W0430.name()) {
            let why = "`maxmemory-policy allkeys-lru` evicts change streams whole";
            // The configuration is the first file of every run.
            let config = Files::new().add("config.yaml", &text);
            compiled.diagnostics.push(unsafe_setting(config, why, "set it to `noeviction`"));
        }
        return (files, compiled);
    }
    let twice = name.starts_with(Code::E0206.name());
    let beside = [Code::W0216, Code::W0217, Code::W0218].iter().any(|code| name.starts_with(code.name()));
    let mut jobs = vec![(name, text); if twice { 2 } else { 1 }];
    if beside {
        jobs.insert(0, ("employees".to_owned(), read(&folder.join("beside/employees.yaml"))));
    }
    run(&folder, &config, &jobs)
}

#[test]
fn every_mistake_is_explained() {
    mistakes(&jobs().join("reject"), "");
}

/// Each file of the folder gives the code of its name and no other error.
fn mistakes(folder: &Path, prefix: &str) {
    let mut wrong = Vec::new();
    for path in job_files(folder) {
        let (files, compiled) = run_fixture(&path);
        let name = stem(&path);
        let code = name.split('_').next().unwrap_or_default();
        let given: Vec<&str> = compiled.diagnostics.iter().map(|one| one.code.name()).collect();
        if given.iter().any(|other| other.starts_with('E') && *other != code) || !given.contains(&code) {
            wrong.push(format!(
                "{name} must give {code} and no other error, not {given:?}:\n{}",
                show(&files, &compiled)
            ));
        }
        let helpless = compiled.diagnostics.iter().find(|one| one.help.is_none());
        if let Some(one) = helpless {
            wrong.push(format!("{name}: {} does not say what to do: {}", one.code.name(), one.message));
        }
        settings().bind(|| insta::assert_snapshot!(format!("{prefix}{name}"), show(&files, &compiled)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Further mistakes of a code: `jobs/reject/more/E0001_a_tab.yaml`.
#[test]
fn further_mistakes_are_explained() {
    mistakes(&jobs().join("reject/more"), "more_");
}

#[test]
fn every_code_has_a_fixture_and_every_fixture_a_code() {
    let mut expected: Vec<String> = Code::ALL.iter().map(|code| code.fixture().to_owned()).collect();
    expected.sort();
    let found: Vec<String> = job_files(&jobs().join("reject")).iter().map(|path| stem(path)).collect();
    assert_eq!(found, expected);
    for code in Code::ALL {
        assert!(!code.explanation().is_empty(), "{} has no explanation", code.name());
        assert!(!code.example().is_empty(), "{} has no example", code.name());
    }
}
