//! The order of the phases.

use std::collections::{BTreeMap, BTreeSet};

use redis_wb_plan::plan::{Connection, Job as PlanJob, OnGone, OnMissing, Output, PLAN_VERSION, Plan, RedisConnection};
use redis_wb_plan::schema::Schema;

use crate::codes::Code;
use crate::resolve::{Scope, Tables};
use crate::source::{FileId, Files, Span, Spanned};
use crate::{Diagnostic, Diagnostics, ast, check, ddl, dialect, lower, parallel, parse, render, resolve, secret, yaml};

/// What is compiled.
pub struct Inputs<'i> {
    /// `config.yaml`.
    pub config: FileId,
    /// The job files and the names of their jobs.
    pub jobs: Vec<(String, FileId)>,
    /// The environment: what `${VAR}` is where the configuration says what the compiler itself has to know.
    pub variables: BTreeMap<String, String>,
    /// Reads a file that the configuration names; the error is in words for the user.
    pub read: &'i mut dyn FnMut(&str) -> Result<String, String>,
    /// What connections told when they were asked.
    pub live: Live,
}

/// What connections told, of those that were asked.
#[derive(Debug, Default)]
pub struct Live {
    /// Their tables; they come before any DDL.
    pub tables: BTreeMap<String, Result<Schema, Unanswered>>,
    /// Of those that are a Redis: why one cannot be used.
    pub redis: BTreeMap<String, Unanswered>,
}

/// Why a connection does not tell its tables, or cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unanswered {
    /// What is wrong.
    pub why: String,
    /// What to do, where it is known.
    pub help: Option<String>,
}

/// What a connection can be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Where it is.
    pub connection: Connection,
    /// The tables that the jobs write: schema and name, each once.
    pub tables: Vec<(Option<String>, String)>,
    /// Whether nothing is known of its tables.
    pub is_blind: bool,
}

/// What a connection to a Redis can be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisTarget {
    /// Where it is.
    pub connection: RedisConnection,
    /// The commands of modules, and those of lookups, that the jobs need there.
    pub commands: BTreeSet<String>,
}

/// What came out.
#[derive(Debug)]
pub struct Compiled {
    /// The plan, unless there is an error.
    pub plan: Option<Plan>,
    /// Everything that is wrong, by place.
    pub diagnostics: Vec<Diagnostic>,
    /// The connections that the jobs write rows to.
    pub targets: BTreeMap<String, Target>,
    /// The connections to a Redis that the jobs use.
    pub redis_targets: BTreeMap<String, RedisTarget>,
    /// Bugs of the compiler that showed, in words for their report.
    pub bugs: Vec<String>,
}

/// Compiles jobs.
#[must_use]
pub fn compile(files: &mut Files, mut inputs: Inputs<'_>) -> Compiled {
    let mut diagnostics = Diagnostics::default();
    for place in secret::places(&files.get(inputs.config).text) {
        files.hide(Span { file: inputs.config, start: place.start, end: place.end });
    }
    let mut config = yaml::parse(inputs.config, files, &mut diagnostics)
        .map(|root| parse::config(&root, &inputs.variables, files, &mut diagnostics))
        .unwrap_or_default();
    secret_files(&config, &mut inputs, &mut diagnostics);
    // What the database itself told comes before any DDL, which then says nothing.
    let asked = |name: &str| inputs.live.tables.contains_key(name);
    config.connections.iter_mut().filter(|(name, _)| asked(&name.value)).for_each(|(_, one)| one.ddl = None);
    redis_answers(&config, &mut inputs, &mut diagnostics);
    let schemas = schemas(&config, files, &mut inputs, &mut diagnostics);
    let read: &Files = files;
    let asts = collected(&mut diagnostics, &inputs.jobs, |(name, file), diagnostics| {
        let root = yaml::parse(*file, read, diagnostics)?;
        parse::job(name, &root, &config, read, diagnostics)
    });
    let asts: Vec<ast::Job> = asts.into_iter().flatten().collect();
    duplicate_jobs(&inputs.jobs, &mut diagnostics);

    let tables = |connection: &str| match schemas.get(connection) {
        Some(Some(schema)) => Tables::Known(schema),
        Some(None) => Tables::Unreadable,
        None => Tables::Nothing,
    };
    let scope = Scope { config: &config, tables: &tables, files: read };
    let resolved = collected(&mut diagnostics, &asts, |ast, diagnostics| {
        let resolved = resolve::job(ast, &scope, diagnostics);
        check::job(&resolved, read, diagnostics);
        resolved
    });
    let mut targets: BTreeMap<String, Target> = BTreeMap::new();
    resolved.iter().flat_map(|job| &job.outputs).for_each(|output| add_target(output, &mut targets));
    let redis_targets = redis_targets(&config, &resolved);
    check::between(&resolved, &mut diagnostics);
    let has_errors = diagnostics.has_errors();
    let (jobs, bugs): (Vec<PlanJob>, Vec<Vec<String>>) =
        parallel::map(&resolved, |job| plan_job(job, has_errors)).into_iter().unzip();
    let bugs = bugs.concat();
    config.secrets.plain.iter().for_each(|secret| files.hide(*secret));
    let plan = (!diagnostics.has_errors() && bugs.is_empty()).then(|| plan(config, jobs, files, &inputs));
    Compiled { plan, diagnostics: diagnostics.into_sorted(), targets, redis_targets, bugs }
}

/// What `work` makes of each item, and all that it reports, in the order of the items.
fn collected<'t, T: Sync, R: Send>(
    diagnostics: &mut Diagnostics,
    items: &'t [T],
    work: impl Fn(&'t T, &mut Diagnostics) -> R + Sync,
) -> Vec<R> {
    let made = parallel::map(items, |item| {
        let mut own = Diagnostics::default();
        (work(item, &mut own), own)
    });
    made.into_iter()
        .map(|(made, own)| {
            diagnostics.append(own);
            made
        })
        .collect()
}

/// Adds the table of an output to what its connection can be asked for.
fn add_target(output: &resolve::Output<'_>, targets: &mut BTreeMap<String, Target>) {
    let schema = output.ast.schema.as_ref().map(|schema| schema.value.clone());
    let table = (schema, output.ast.table.value.clone());
    let target = targets.entry(output.ast.connection.value.clone()).or_insert_with(|| Target {
        connection: output.connection.plan.clone(),
        tables: Vec::new(),
        is_blind: output.blind,
    });
    if !target.tables.contains(&table) {
        target.tables.push(table);
    }
}

/// What the jobs need of each Redis that they use.
fn redis_targets(config: &ast::Config, jobs: &[resolve::Job<'_>]) -> BTreeMap<String, RedisTarget> {
    let mut targets: BTreeMap<String, RedisTarget> = BTreeMap::new();
    let writes = jobs.iter().flat_map(|job| &job.redis).map(|write| (&write.ast.connection.value, write.command()));
    let lookups = jobs.iter().flat_map(|job| &job.steps).filter_map(|step| match step {
        resolve::Step::Lookup(lookup) => {
            Some((&lookup.ast.connection.value, Some(lookup.ast.command.value.to_uppercase())))
        }
        resolve::Step::Filter { .. } => None,
    });
    for (name, command) in writes.map(|(name, command)| (name, command.map(str::to_owned))).chain(lookups) {
        let Some((_, connection)) = config.redis.iter().find(|(known, _)| known.value == *name) else { continue };
        let target = targets
            .entry(name.clone())
            .or_insert_with(|| RedisTarget { connection: connection.clone(), commands: BTreeSet::new() });
        target.commands.extend(command);
    }
    targets
}

/// Reports each Redis that was asked and cannot be used.
fn redis_answers(config: &ast::Config, inputs: &mut Inputs<'_>, diagnostics: &mut Diagnostics) {
    for (name, _) in &config.redis {
        let Some(Unanswered { why, help }) = inputs.live.redis.remove(&name.value) else { continue };
        let message = format!("the Redis `{}` cannot be used: {why}", name.value);
        let help = help.unwrap_or_else(|| "start it, and check that it can be reached from here".to_owned());
        diagnostics.report(Diagnostic::new(Code::E0416, name.span, message, "asked this connection").help(help));
    }
}

/// Warns of secret files that are not there. They may be where the worker runs, so this is no error.
fn secret_files(config: &ast::Config, inputs: &mut Inputs<'_>, diagnostics: &mut Diagnostics) {
    for file in &config.secrets.files {
        let Err(why) = (inputs.read)(&file.path.value) else { continue };
        let message = format!("the file for `{}` cannot be read: {why}", file.key);
        let diagnostic = Diagnostic::new(Code::W0023, file.path.span, message, "this file");
        diagnostics.report(diagnostic.help(
            "`redis-wb run` needs it: create it there, or mend the path, which counts from the folder of config.yaml; \
             a secret that only begins like a path goes into a variable, `${VAR}`",
        ));
    }
}

/// The tables of each connection of which anything was asked; `None` where they could not be read.
fn schemas(
    config: &ast::Config,
    files: &mut Files,
    inputs: &mut Inputs<'_>,
    diagnostics: &mut Diagnostics,
) -> BTreeMap<String, Option<Schema>> {
    let mut live = std::mem::take(&mut inputs.live.tables);
    let mut schemas: BTreeMap<_, _> = BTreeMap::new();
    for (name, connection) in &config.connections {
        if let Some(told) = live.remove(&name.value) {
            let schema = told.map_err(|unanswered| diagnostics.report(no_answer(name, unanswered)));
            schemas.insert(name.value.clone(), schema.ok());
            continue;
        }
        let Some(path) = &connection.ddl else { continue };
        match (inputs.read)(&path.value) {
            Ok(text) => {
                let file = files.add(path.value.clone(), text);
                let schema = ddl::parse(file, files, dialect::of(connection.dialect()), diagnostics);
                schemas.insert(name.value.clone(), schema);
            }
            Err(why) => {
                let message = format!("the DDL of `{}` cannot be read: {why}", name.value);
                let diagnostic = Diagnostic::new(Code::E0407, path.span, message, "this file");
                diagnostics.report(diagnostic.help(
                    "mend the path, which counts from the folder of config.yaml; without `ddl` the tables are only \
                     looked at when `redis-wb run` starts",
                ));
                schemas.insert(name.value.clone(), None);
            }
        }
    }
    schemas
}

fn no_answer(name: &Spanned<String>, Unanswered { why, help }: Unanswered) -> Diagnostic {
    let message = format!("`{}` does not tell its tables: {why}", name.value);
    let help = help.unwrap_or_else(|| "start the database, and check that it can be reached from here".to_owned());
    Diagnostic::new(Code::E0416, name.span, message, "asked this connection").help(help)
}

/// A warning of a setting of the Redis whose changes are carried over, which no file names.
#[must_use]
pub fn unsafe_setting(config: FileId, why: &str, help: impl Into<String>) -> Diagnostic {
    let message = format!("the Redis whose changes are carried over would lose some: {why}");
    Diagnostic::new(Code::W0430, crate::source::Span::top(config), message, "for all jobs of this project").help(help)
}

fn duplicate_jobs(jobs: &[(String, FileId)], diagnostics: &mut Diagnostics) {
    let mut known: BTreeMap<&str, FileId> = BTreeMap::new();
    for (name, file) in jobs {
        let first = *known.entry(name).or_insert(*file);
        if first == *file {
            continue;
        }
        let message = format!("there are two jobs `{name}`");
        let diagnostic = Diagnostic::new(Code::E0206, crate::source::Span::top(*file), message, "the second");
        let diagnostic = diagnostic.because(crate::source::Span::top(first), "the first");
        diagnostics.report(diagnostic.help("a job is named by its file; rename one of the files"));
    }
}

/// The job's part of the plan, and the bugs that showed in making it.
fn plan_job(job: &resolve::Job<'_>, has_errors: bool) -> (PlanJob, Vec<String>) {
    let (mut outputs, mut bugs) = (Vec::new(), Vec::new());
    for output in job.outputs.iter().filter(|output| output.key_columns > 0) {
        match plan_output(job, output) {
            Ok(output) => outputs.push(output),
            // Without an error there is a plan, and then nothing may be missing from it.
            Err(render::Failure::Job) if has_errors => {}
            Err(render::Failure::Job) => bugs.push(format!("job `{}`: an output went without a report", job.ast.name)),
            Err(render::Failure::Bug(what)) => bugs.push(format!("job `{}`: {what}", job.ast.name)),
        }
    }
    let redis = job.redis.iter().map(|write| lower::redis(job, write)).collect();
    let (name, source, steps) = (job.ast.name.clone(), lower::source(job), lower::steps(job));
    (PlanJob { name, source, steps, outputs, redis }, bugs)
}

fn plan_output(job: &resolve::Job<'_>, output: &resolve::Output<'_>) -> Result<Output, render::Failure> {
    let ast = output.ast;
    let mut columns = lower::columns(output);
    let versions = lower::versions(output);
    let type_names: Vec<Option<&str>> =
        output.columns.iter().map(|column| Some(column.target?.type_name.as_str())).collect();
    let rows = render::Rows {
        schema: ast.schema.as_ref().map(|schema| schema.value.as_str()),
        table: &ast.table.value,
        columns: &columns,
        type_names: &type_names,
        key_columns: output.key_columns,
        strategy: ast.strategy.value,
        versions: versions.as_ref(),
        parent: output.foreach.as_ref().map_or(&[], |foreach| &foreach.parent),
        keep: ast.on_missing == OnMissing::Keep,
    };
    let render::Statements { write, delete, clear, children } =
        render::statements(&rows, dialect::of(output.connection.dialect()))?;
    Ok(Output {
        connection: ast.connection.value.clone(),
        schema: ast.schema.as_ref().map(|schema| schema.value.clone()),
        table: ast.table.value.clone(),
        when: lower::when(job, ast.when.as_ref(), output.when.as_ref()),
        foreach: lower::foreach(output),
        opcode: output.opcode.clone(),
        on_missing: ast.on_missing,
        shared: lower::shared(&mut columns),
        columns,
        key_columns: output.key_columns,
        strategy: ast.strategy.value,
        versions,
        write,
        delete,
        clear: clear.filter(|_| job.ast.source.on_flush == Some(OnGone::Delete)),
        children,
    })
}

fn plan(config: ast::Config, mut jobs: Vec<PlanJob>, files: &Files, inputs: &Inputs<'_>) -> Plan {
    jobs.sort_by(|left, right| left.name.cmp(&right.name));
    let used = |name: &str| jobs.iter().flat_map(|job| &job.outputs).any(|output| output.connection == name);
    let uses_redis = |name: &str| {
        let writes = jobs.iter().flat_map(|job| &job.redis).map(|write| &write.connection);
        jobs.iter().flat_map(PlanJob::lookups).map(|lookup| &lookup.connection).chain(writes).any(|used| used == name)
    };
    let redis = config.redis.into_iter().filter(|(name, _)| uses_redis(&name.value));
    let redis = redis.map(|(name, connection)| (name.value, connection)).collect();
    let connections = config
        .connections
        .into_iter()
        .filter(|(name, _)| used(&name.value))
        .map(|(name, connection)| (name.value, connection.plan))
        .collect();
    let fingerprint = fingerprint(files, inputs, &config.expanded);
    Plan { version: PLAN_VERSION, fingerprint, applier: config.applier, connections, redis, jobs }
}

/// A hash over all that was compiled, to tell plans apart; FNV-1a, since it guards against nothing but mix-ups.
fn fingerprint(files: &Files, inputs: &Inputs<'_>, variables: &[String]) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let texts = std::iter::once(inputs.config).chain(inputs.jobs.iter().map(|(_, file)| *file));
    let texts = texts.map(|file| files.get(file).text.as_str()).chain(variables.iter().map(String::as_str));
    for byte in texts.flat_map(|text| text.bytes().chain([0])) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("{hash:016x}")
}
