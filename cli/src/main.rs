//! The `redis-wb` command.
//!
//! | file | command |
//! |---|---|
//! | `check.rs` | `check`: what is wrong with the jobs |
//! | `compile.rs` | `compile`: the plan, for people or for `run` |
//! | `run.rs` | `run`: carries changes to their targets |
//! | `status.rs` | `status`: how each job is |
//! | `trace.rs` | `trace`: single changes on their way |
//! | `monitor.rs` | `monitor`: metrics without being a worker |
//! | `snapshot.rs` | `snapshot`: carries the keys over that are there already |
//! | `dlq.rs` | `dlq`, `get-rejected`: records that could not become rows |
//! | `eval.rs` | `eval`: one expression over one JSON document |
//! | `functions.rs` | `functions`: the builtin functions of expressions |
//! | `explain.rs` | `explain`: what a code means |
//! | `serve.rs` | metrics and health over HTTP |
//! | `redis.rs` | where the Redis is: options that commands have in common |
//! | `plan.rs` | the plan of commands that need no live tables |
//! | `project.rs` | finds and reads the files that the commands work on |
//! | `exit.rs` | how a command ends, and what is printed then |
//!
//! It only connects the compiler and the runtime to files, terminals and signals.

mod check;
mod compile;
mod dlq;
mod eval;
mod exit;
mod explain;
mod functions;
mod monitor;
mod plan;
mod project;
mod redis;
mod run;
mod serve;
mod snapshot;
mod status;
mod trace;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;

/// Write-behind for Redis: carries every change of Redis keys to the database behind it.
#[derive(Debug, Parser)]
#[command(name = "redis-wb", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// How logs are written to standard error; their level is set by `RUST_LOG`.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say what is wrong with jobs, and what to write instead.
    Check(check::Arguments),
    /// Compile jobs to a plan.
    Compile(compile::Arguments),
    /// Carry changes from Redis to their targets.
    Run(run::Arguments),
    /// Show how each job is: its state, how far it is behind, what went wrong last and what to do.
    Status(status::Arguments),
    /// Follow single changes through the pipeline as they come, up to the statements.
    Trace(trace::Arguments),
    /// Export metrics for Prometheus without being a worker.
    Monitor(monitor::Arguments),
    /// Carry the keys over that are there already, while `run` carries their changes.
    Snapshot(snapshot::Arguments),
    /// List, show, replay or drop the records that could not become rows.
    Dlq(dlq::Arguments),
    /// List the records that could not become rows.
    GetRejected(dlq::GetRejected),
    /// Evaluate an expression over a JSON document.
    Eval(eval::Arguments),
    /// Print the builtin functions of both languages, or all about one.
    Functions(functions::Arguments),
    /// Explain a code of a diagnostic or of a rejected record.
    Explain(explain::Arguments),
    /// Print the completions for a shell.
    Completions {
        /// The shell.
        #[arg(value_enum)]
        shell: Shell,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    /// bash
    Bash,
    /// zsh
    Zsh,
    /// fish
    Fish,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    start_logging(cli.log_format);
    let result = match cli.command {
        Command::Check(arguments) => check::run(arguments),
        Command::Compile(arguments) => compile::run(&arguments),
        Command::Run(arguments) => run::run(arguments),
        Command::Status(arguments) => status::run(arguments),
        Command::Trace(arguments) => trace::run(arguments),
        Command::Monitor(arguments) => monitor::run(arguments),
        Command::Snapshot(arguments) => snapshot::run(arguments),
        Command::Dlq(arguments) => dlq::run(arguments),
        Command::GetRejected(arguments) => dlq::get_rejected(arguments),
        Command::Eval(arguments) => eval::run(&arguments),
        Command::Functions(arguments) => functions::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Completions { shell } => {
            completions(shell);
            Ok(())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.print(),
    }
}

fn start_logging(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => builder.with_target(false).with_ansi(colour()).init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
}

/// Colours only on a terminal, and never where `NO_COLOR` is set (<https://no-color.org>).
fn colour() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn completions(shell: Shell) {
    let shell = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    // Written in one go and without `clap_complete`'s own panic when the reader has gone.
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "redis-wb", &mut text);
    exit::print(&String::from_utf8_lossy(&text));
}
