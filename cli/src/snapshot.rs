//! `redis-wb snapshot`: carries the keys over that are there already.

use std::io::IsTerminal as _;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use redis_wb_runtime::{Progress, SnapshotOptions, Walked};

use crate::exit::{Failure, print, say};
use crate::plan::PlanArguments;
use crate::redis::Redis;
use crate::run::{failure, runtime, shutdown};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The jobs whose keys are carried over, by name; by default all of them.
    #[arg(value_name = "JOB")]
    names: Vec<String>,
    #[command(flatten)]
    plan: PlanArguments,
    #[command(flatten)]
    redis: Redis,
    /// Begin anew where an earlier snapshot stopped in the middle, instead of going on from there.
    #[arg(long)]
    restart: bool,
}

pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { names, plan, redis, restart } = arguments;
    let plan = plan.read()?;
    let all = || plan.jobs.iter().map(|job| job.name.clone()).collect();
    let jobs = if names.is_empty() { all() } else { names };
    let options = SnapshotOptions { redis: redis.into(), jobs, restart };
    runtime()?.block_on(async {
        let shutdown = shutdown("stopping after the current slice")?;
        let mut screen = Screen::new();
        let tell = |job: &str, progress| screen.show(job, progress);
        let is_whole = redis_wb_runtime::snapshot(&plan, &options, shutdown, tell).await;
        screen.bar.finish_and_clear();
        if is_whole.map_err(failure)? {
            return Ok(());
        }
        let help = "run the same command again: it goes on from there";
        Err(Failure::with_help("the snapshot was interrupted", help))
    })
}

/// How much of a database there is to walk.
const WHOLE: u64 = 1_000;
/// Without a terminal, a line is printed for every so many thousandths.
const LINE_EVERY: u64 = 100;

/// Shows progress on standard error: a bar on a terminal, otherwise lines; results on standard output.
struct Screen {
    bar: ProgressBar,
    /// At how many thousandths the next line is due.
    line_at: u64,
    /// Whether it was said that something is waited for.
    waits: bool,
}

impl Screen {
    fn new() -> Self {
        let bar = if std::io::stderr().is_terminal() { ProgressBar::new(WHOLE) } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{prefix} {wide_bar} {percent:>3} %  {msg}") {
            bar.set_style(style);
        }
        Self { bar, line_at: 0, waits: false }
    }

    fn show(&mut self, job: &str, progress: Progress) {
        let waits = matches!(progress, Progress::Waits(_) | Progress::Retries(_));
        match progress {
            Progress::Begins(walked) => {
                self.bar.set_prefix(job.to_owned());
                self.line_at = (walked.thousandths / LINE_EVERY + 1) * LINE_EVERY;
                match walked {
                    Walked { thousandths: 0, records: 0 } => self.line(&format!("{job}: begins")),
                    walked => self.line(&format!("{job}: goes on at {}", so_far(walked))),
                }
                self.advance(walked);
            }
            Progress::BeginsAnew => {
                self.line_at = LINE_EVERY;
                let why = "since Redis or the tracking of the job began anew meanwhile";
                self.bar.suspend(|| say(&format!("{job}: begins anew, {why}")));
                self.advance(Walked::default());
            }
            Progress::Walks(walked) => {
                self.advance(walked);
                if walked.thousandths >= self.line_at {
                    self.line_at = (walked.thousandths / LINE_EVERY + 1) * LINE_EVERY;
                    self.line(&format!("{job}: {}", so_far(walked)));
                }
            }
            Progress::Waits(what) => {
                if !self.waits {
                    self.line(&format!("{job}: waiting: {what}"));
                }
                self.bar.set_message(what);
            }
            Progress::Retries(what) => {
                if !self.waits {
                    let goes_on = "it goes on by itself once that passes; Ctrl-C ends it";
                    self.bar.suspend(|| say(&format!("{job}: waiting: {what}\n  {goes_on}")));
                }
                self.bar.set_message(what);
            }
            Progress::Ends(walked) => {
                let records = records(walked);
                self.bar.suspend(|| print(&format!("{job}: all keys are walked, {records} appended\n")));
            }
        }
        self.waits = waits;
    }

    fn advance(&self, walked: Walked) {
        self.bar.set_position(walked.thousandths);
        self.bar.set_message(records(walked));
    }

    /// Prints a line where there is no bar.
    fn line(&self, line: &str) {
        if self.bar.is_hidden() {
            say(line);
        }
    }
}

fn so_far(walked: Walked) -> String {
    format!("{} %, {}", walked.thousandths / 10, records(walked))
}

fn records(walked: Walked) -> String {
    format!("{} record{}", walked.records, if walked.records == 1 { "" } else { "s" })
}
