//! What one pipeline works on: the jobs that write to its connection, and their outputs there.

use std::ops::Range;
use std::sync::Arc;

use redis_wb_plan::Plan;
use redis_wb_plan::plan::{Connection, Job, Output, RedisConnection, RedisContent, RedisWrite};

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
    /// Which of them each job has.
    of_jobs: Vec<Range<usize>>,
    /// The writes to it, if it is a Redis: the place of the job in [`Self::jobs`], that of the write in the job.
    writes: Vec<(usize, usize)>,
}

impl Layout {
    /// One layout per connection that is written to.
    pub(crate) fn all(plan: &Arc<Plan>) -> Vec<Self> {
        let names = plan.connections.keys().chain(plan.redis.keys());
        names.map(|name| Self::new(plan, name)).filter(|layout| !layout.jobs.is_empty()).collect()
    }

    fn new(plan: &Arc<Plan>, name: &str) -> Self {
        let mut jobs = Vec::new();
        let (mut outputs, mut of_jobs, mut writes) = (Vec::new(), Vec::new(), Vec::new());
        for (at, job) in plan.jobs.iter().enumerate() {
            let own = job.outputs.iter().enumerate().filter(|(_, output)| output.connection == name);
            let (first, before) = (outputs.len(), outputs.len() + writes.len());
            outputs.extend(own.map(|(output, _)| (jobs.len(), output)));
            let own = job.redis.iter().enumerate().filter(|(_, write)| write.connection == name);
            writes.extend(own.map(|(write, _)| (jobs.len(), write)));
            if outputs.len() + writes.len() > before {
                jobs.push(at);
                of_jobs.push(first..outputs.len());
            }
        }
        Self { plan: Arc::clone(plan), name: name.to_owned(), jobs, outputs, of_jobs, writes }
    }

    /// The connection.
    pub(crate) fn connection(&self) -> Option<&Connection> {
        self.plan.connections.get(&self.name)
    }

    /// The connection, if it is a Redis.
    pub(crate) fn redis(&self) -> Option<&RedisConnection> {
        self.plan.redis.get(&self.name)
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
        let own = self.of_jobs.get(job).cloned().unwrap_or_default();
        own.filter_map(|at| Some((at, self.output(at)?)))
    }

    /// The writes of one job to a Redis.
    pub(crate) fn writes_of(&self, job: usize) -> impl Iterator<Item = &RedisWrite> {
        let own = self.writes.iter().filter(move |(own, _)| *own == job);
        own.filter_map(|(job, write)| self.job(*job)?.redis.get(*write))
    }

    /// All writes to a Redis.
    pub(crate) fn writes(&self) -> impl Iterator<Item = &RedisWrite> {
        self.writes.iter().filter_map(|(job, write)| self.job(*job)?.redis.get(*write))
    }

    /// One output.
    pub(crate) fn output(&self, at: usize) -> Option<&Output> {
        let (job, output) = self.outputs.get(at)?;
        self.job(*job)?.outputs.get(*output)
    }
}

/// Whether, of several changes of a key, the last alone is not enough for a job: one of its outputs keeps them all.
pub(crate) fn keeps_changes(job: &Job) -> bool {
    job.outputs.iter().any(|output| !output.strategy.compacts())
        || job.redis.iter().any(|write| matches!(write.content, RedisContent::Stream(_)))
}
