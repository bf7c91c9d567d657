//! `redis-wb check`: what is wrong with the jobs.

mod connect;
mod github;
mod sarif;

use clap::{Args, ValueEnum};
use redis_wb_compiler::Live;

use crate::exit::{Failure, print};
use crate::project::{Location, count, refuse_bugs};
use crate::redis::Redis;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    location: Location,
    /// How to print what is wrong.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Ask the connections for their tables, and check the jobs against these instead of the DDL; ask each Redis whether
    /// it takes what the jobs write, and the one of `--redis` for settings that would lose changes.
    #[arg(long)]
    connect: bool,
    #[command(flatten)]
    redis: Redis,
    /// Fail on warnings, too.
    #[arg(long)]
    deny_warnings: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// An array of {code, severity, message, help, replacement, labels}.
    Json,
    /// Workflow commands: GitHub Actions shows them beside the lines.
    Github,
    /// SARIF 2.1.0, for code scanning and editors.
    Sarif,
}

pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    let mut project = arguments.location.read()?;
    let mut compiled = project.compile(Live::default());
    if arguments.connect {
        let (live, settings) = connect::ask(compiled.targets, compiled.redis_targets, &arguments.redis.into())?;
        compiled = project.compile(live);
        match settings {
            Ok(found) => compiled.diagnostics.extend(found.into_iter().map(|setting| project.unsafe_setting(setting))),
            // The jobs can be checked without it.
            Err(error) => eprintln!("the settings of Redis are not checked: {error}"),
        }
    }
    refuse_bugs(&compiled)?;
    let (errors, warnings) = count(&compiled.diagnostics);
    match arguments.format {
        Format::Json => project.report_json(&compiled.diagnostics)?,
        Format::Github => print(&github::render(&compiled.diagnostics, project.files())),
        Format::Sarif => print(&format!("{:#}\n", sarif::render(&compiled.diagnostics, project.files()))),
        Format::Text => {
            project.report(compiled.diagnostics);
            eprintln!("{} checked: {}", plural(project.job_count(), "job"), verdict(errors, warnings));
        }
    }
    if errors > 0 || (arguments.deny_warnings && warnings > 0) { Err(Failure::Reported) } else { Ok(()) }
}

fn verdict(errors: usize, warnings: usize) -> String {
    match (errors, warnings) {
        (0, 0) => "nothing is wrong".to_owned(),
        (0, _) => plural(warnings, "warning"),
        (_, 0) => plural(errors, "error"),
        _ => format!("{}, {}", plural(errors, "error"), plural(warnings, "warning")),
    }
}

fn plural(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
