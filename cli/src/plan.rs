//! Where commands that need no live tables have their plan from: the options that they have in common. Asks no database.

use std::path::PathBuf;

use clap::Args;
use redis_wb_compiler::Live;
use redis_wb_plan::Plan;

use crate::exit::Failure;
use crate::project::{Location, refuse_bugs};
use crate::run::read_plan;

#[derive(Debug, Args)]
pub(crate) struct PlanArguments {
    /// Job files, or folders of them; by default `jobs/` beside the configuration.
    #[arg(long = "jobs", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The configuration; by default `config.yaml` here or, failing that, in the folder of the jobs.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Take the jobs from this plan of `redis-wb compile --format json` instead of compiling them.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["paths", "config"])]
    plan: Option<PathBuf>,
}

impl PlanArguments {
    /// Reads the plan, or compiles the jobs. What only a live database tells of its tables changes nothing for their
    /// keys.
    pub(crate) fn read(self) -> Result<Plan, Failure> {
        let Self { paths, config, plan } = self;
        if let Some(path) = plan {
            return read_plan(&path);
        }
        let mut project = Location::new(paths, config).read()?;
        let compiled = project.compile(Live::default());
        refuse_bugs(&compiled)?;
        compiled.plan.ok_or_else(|| {
            project.report(compiled.diagnostics);
            Failure::Reported
        })
    }
}
