//! `redis-wb compile`: the plan, for people (`sql`, `yaml`) or for `run` (`json`); or the tables that it writes.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use redis_wb_compiler::{Live, create, describe, secret};
use redis_wb_plan::Plan;

use crate::exit::{Failure, print};
use crate::project::{Location, refuse_bugs};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    location: Location,
    /// How to print the plan.
    #[arg(long, value_enum, default_value_t = Format::Sql)]
    format: Format,
    /// Print the CREATE TABLE statements of the tables that the jobs write, instead of the plan.
    #[arg(long, conflicts_with = "format")]
    ddl: bool,
    /// Write to a file instead of standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Format {
    /// For people: each statement, its parameters and where each comes from.
    Sql,
    /// The whole plan, readable.
    Yaml,
    /// The whole plan, as `run --plan` takes it.
    Json,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut project = arguments.location.read()?;
    let compiled = project.compile(Live::default());
    refuse_bugs(&compiled)?;
    project.report(compiled.diagnostics);
    let plan = without_passwords(compiled.plan.ok_or(Failure::Reported)?);
    let text = match arguments.format {
        _ if arguments.ddl => create::tables(&plan).map_err(bug)?,
        Format::Sql => describe::sql(&plan),
        Format::Yaml => serde_yaml::to_string(&plan).map_err(unable)?,
        Format::Json => serde_json::to_string_pretty(&plan).map_err(unable)? + "\n",
    };
    match &arguments.output {
        None => print(&text),
        Some(path) => fs::write(path, text).map_err(|error| {
            let message = format!("cannot write {}: {error}", path.display());
            Failure::with_help(message, "check that the folder exists and can be written to")
        })?,
    }
    Ok(())
}

fn unable(error: impl std::fmt::Display) -> Failure {
    Failure::Unable { message: format!("the plan cannot be printed: {error}"), help: None }
}

fn bug(what: String) -> Failure {
    Failure::with_help(what, "this is a bug in redis-wb: please report it with the job")
}

/// A plan that leaves the process holds no password, only how to come by one: a variable, or a file.
fn without_passwords(mut plan: Plan) -> Plan {
    let tables = plan.connections.iter_mut().map(|(name, connection)| (name, &mut connection.password));
    let redis = plan.redis.iter_mut().map(|(name, connection)| (name, &mut connection.password));
    for (name, password) in tables.chain(redis) {
        // What begins like a path where there is no file may be the password itself.
        let names = |text: &String| secret::is_reference(text) && (!secret::is_path(text) || Path::new(text).is_file());
        if password.as_ref().is_some_and(|password| !names(password)) {
            eprintln!(
                "the password of `{name}` is left out of the plan: it is neither ${{VAR}} nor a file that is there"
            );
            *password = None;
        }
    }
    plan
}
