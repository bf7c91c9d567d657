//! What one pipeline works on: the jobs that write to its connection, and their outputs there.

use std::sync::Arc;

use redis_wb_plan::Plan;
use redis_wb_plan::plan::{Connection, Job, Output};

/// The part of a plan that concerns one connection.
#[derive(Debug)]
pub(crate) struct Layout {
    /// The whole plan.
    pub(crate) plan: Arc<Plan>,
    /// The connection's name.
    pub(crate) name: String,
    /// The jobs that write to it, by their place in the plan.
    jobs: Vec<usize>,
    /// The outputs that write to it: the place of the job in [`Self::jobs`], that of the output in the job.
    outputs: Vec<(usize, usize)>,
}

impl Layout {
    /// One layout per connection.
    pub(crate) fn all(plan: &Arc<Plan>) -> Vec<Self> {
        plan.connections.keys().map(|name| Self::new(plan, name)).collect()
    }

    fn new(plan: &Arc<Plan>, name: &str) -> Self {
        let mut jobs = Vec::new();
        let mut outputs = Vec::new();
        for (at, job) in plan.jobs.iter().enumerate() {
            let own = job.outputs.iter().enumerate().filter(|(_, output)| output.connection == name);
            let own: Vec<usize> = own.map(|(at, _)| at).collect();
            if !own.is_empty() {
                outputs.extend(own.into_iter().map(|output| (jobs.len(), output)));
                jobs.push(at);
            }
        }
        Self { plan: Arc::clone(plan), name: name.to_owned(), jobs, outputs }
    }

    /// The connection.
    pub(crate) fn connection(&self) -> Option<&Connection> {
        self.plan.connections.get(&self.name)
    }

    /// The jobs.
    pub(crate) fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.jobs.iter().filter_map(|at| self.plan.jobs.get(*at))
    }

    /// One job.
    pub(crate) fn job(&self, at: usize) -> Option<&Job> {
        self.plan.jobs.get(*self.jobs.get(at)?)
    }

    /// All outputs, in the order in which they are written, each with the place of its job.
    pub(crate) fn outputs(&self) -> impl Iterator<Item = (usize, &Output)> {
        self.outputs.iter().filter_map(|(job, output)| Some((*job, self.job(*job)?.outputs.get(*output)?)))
    }

    /// The outputs of one job, each with its place among all.
    pub(crate) fn outputs_of(&self, job: usize) -> impl Iterator<Item = (usize, &Output)> {
        self.outputs().enumerate().filter(move |(_, (own, _))| *own == job).map(|(at, (_, output))| (at, output))
    }

    /// One output.
    pub(crate) fn output(&self, at: usize) -> Option<&Output> {
        let (job, output) = self.outputs.get(at)?;
        self.job(*job)?.outputs.get(*output)
    }
}
