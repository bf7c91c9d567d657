//! `redis-wb run`: carries changes from Redis to their targets.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use redis_wb_compiler::Live;
use redis_wb_plan::Plan;
use redis_wb_runtime::metrics::Exporter;
use redis_wb_runtime::{Error, Options, Server, Shutdown, Vitals};
use tokio::signal::unix::{SignalKind, signal};

use crate::exit::Failure;
use crate::project::{Location, Project, refuse_bugs};
use crate::redis::Redis;
use crate::serve::{Told, address, collect, serve};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    location: Location,
    /// Run this plan of `redis-wb compile --format json` instead of compiling jobs.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["paths", "config"])]
    plan: Option<PathBuf>,
    #[command(flatten)]
    redis: Redis,
    /// End with 0 as soon as the streams are drained: for scripts and tests.
    #[arg(long)]
    until_idle: bool,
    /// How long a worker that died is waited for before another takes over, in milliseconds.
    #[arg(long, value_name = "N", default_value_t = TAKEOVER_MS, env = "REDIS_WB_TAKEOVER_MS",
        value_parser = clap::value_parser!(u64).range(TAKEOVER_MS_MIN..=TAKEOVER_MS_MAX))]
    takeover_ms: u64,
    /// Answer `/metrics`, `/healthz` and `/readyz` there: a port of this machine such as 9122, or host:port.
    #[arg(long, value_name = "ADDR", env = "REDIS_WB_METRICS", value_parser = address)]
    metrics: Option<SocketAddr>,
}

/// How often streams are looked at for the metrics.
const COLLECT_INTERVAL: Duration = Duration::from_secs(5);

/// What it is where nothing else is said.
const TAKEOVER_MS: u64 = 6_000;
/// A lease must be renewed several times.
const TAKEOVER_MS_MIN: u64 = 500;
/// Ten minutes: nobody wants a longer standstill.
const TAKEOVER_MS_MAX: u64 = 600_000;

pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    runtime()?.block_on(async move {
        let shutdown = shutdown("stopping after the current batch")?;
        let (redis, vitals) = (Server::from(arguments.redis), Arc::new(Vitals::default()));
        // First, so that whoever looks sees what is waited for.
        if let Some(address) = arguments.metrics {
            let exporter = Exporter::of_worker(Arc::clone(&vitals));
            let told = Arc::new(Told { exporter, vitals: Some(Arc::clone(&vitals)) });
            serve(address, Arc::clone(&told)).await?;
            tokio::spawn(collect(redis.clone(), told, COLLECT_INTERVAL));
        }
        let plan = match &arguments.plan {
            Some(path) => read_plan(path)?,
            None => compile(&arguments.location, &shutdown).await?,
        };
        let options = Options {
            redis,
            until_idle: arguments.until_idle,
            takeover: Duration::from_millis(arguments.takeover_ms),
            vitals,
        };
        let summary = redis_wb_runtime::run(Arc::new(plan), options, shutdown).await.map_err(failure)?;
        tracing::info!(applied = summary.applied, rejected = summary.rejected, "stopped");
        Ok(())
    })
}

/// What futures run on.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| Failure::Unable { message: format!("cannot start: {error}"), help: None })
}

pub(crate) fn read_plan(path: &PathBuf) -> Result<Plan, Failure> {
    let help = "make one by `redis-wb compile --format json -o plan.json`";
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::with_help(format!("cannot read {}: {error}", path.display()), help))?;
    Plan::from_json(&text).map_err(|why| Failure::with_help(format!("{}: {why}", path.display()), help))
}

/// Compiles the jobs. Tables of which no DDL tells are asked of their database, and the jobs compiled again.
async fn compile(location: &Location, shutdown: &Shutdown) -> Result<Plan, Failure> {
    let mut project = location.read()?;
    let first = project.compile(Live::default());
    refuse_bugs(&first)?;
    if first.plan.is_none() || first.targets.values().all(|target| !target.is_blind) {
        return finish(&project, first);
    }
    let mut live = Live::default();
    for (name, target) in first.targets.into_iter().filter(|(_, target)| target.is_blind) {
        let (connection, tables) = (&target.connection, &target.tables);
        tracing::info!(connection = name, "asking for its tables, since no `ddl` tells of them");
        let told = redis_wb_runtime::wait_for_schema(&name, connection, tables, shutdown.clone()).await;
        live.tables.insert(name, Ok(told.map_err(failure)?));
    }
    let second = project.compile(live);
    refuse_bugs(&second)?;
    finish(&project, second)
}

fn finish(project: &Project, compiled: redis_wb_compiler::Compiled) -> Result<Plan, Failure> {
    project.report(compiled.diagnostics);
    compiled.plan.ok_or(Failure::Reported)
}

pub(crate) fn failure(error: Error) -> Failure {
    let help = error.help();
    Failure::Unable { message: error.to_string(), help }
}

/// Comes at SIGTERM and SIGINT; what follows is logged then.
pub(crate) fn shutdown(follows: &'static str) -> Result<Shutdown, Failure> {
    let unable =
        |error: std::io::Error| Failure::Unable { message: format!("cannot wait for signals: {error}"), help: None };
    let mut terminate = signal(SignalKind::terminate()).map_err(unable)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(unable)?;
    let (trigger, shutdown) = Shutdown::new();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        // First, since a log that nobody reads any more can end this task.
        trigger.trigger();
        tracing::info!("{follows}");
    });
    Ok(shutdown)
}
