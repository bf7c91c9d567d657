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
//! | `otlp.rs` | logs and traces for an OpenTelemetry collector |
//! | `serve.rs` | metrics and health over HTTP |
//! | `redis.rs` | where the Redis is: options that commands have in common |
//! | `plan.rs` | the plan of commands that need no live tables |
//! | `project.rs` | finds and reads the files that the commands work on |
//! | `format.rs` | for whom a command prints |
//! | `exit.rs` | how a command ends, and what is printed then |
//!
//! It only connects the compiler and the runtime to files, terminals and signals.

mod check;
mod compile;
mod dlq;
mod eval;
mod exit;
mod explain;
mod format;
mod functions;
mod monitor;
mod otlp;
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
use exit::Failure;
use otlp::{Collector, Sending};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

/// Write-behind for Redis: carries every change of Redis keys to the database behind it.
#[derive(Debug, Parser)]
#[command(name = "redis-wb", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// How logs are written to standard error; their level is set by `RUST_LOG`.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// Send logs and traces to this OpenTelemetry collector, too (OTLP over HTTP): http://host:4318.
    // Read by hand: where clap refuses a value it prints it, and this one may hold a password.
    #[arg(long, global = true, value_name = "URL", env = "REDIS_WB_OTLP", hide_env_values = true)]
    otlp: Option<String>,
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
    let collector = match cli.otlp.as_deref().map(Collector::parse).transpose() {
        Ok(collector) => collector,
        Err(help) => return Failure::with_help("`--otlp` is no address of a collector", help).print(),
    };
    // The last of them are sent when it is dropped.
    let _sending = start_logging(cli.log_format, collector);
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

fn start_logging(format: LogFormat, collector: Option<Collector>) -> Option<Sending> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        LogFormat::Text => lines.with_target(false).with_ansi(colour()).with_filter(filter).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_filter(filter).boxed(),
    };
    let mut layers = vec![lines];
    let sending = collector.map(|collector| {
        let (exporting, sending) = otlp::begin(collector);
        layers.push(exporting.with_filter(filter_fn(otlp::is_wanted)).boxed());
        sending
    });
    tracing_subscriber::registry().with(layers).init();
    sending
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
