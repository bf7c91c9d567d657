//! The chaos suite: rounds of random changes while workers, servers and the network fail at random, and what must hold
//! afterwards.
//!
//! | part | what it is |
//! |---|---|
//! | [`run`] | rounds, one after the other, each with a seed of its own |
//! | `round` | one round: begins everything, lets faults come and go, waits until all is drained, looks |
//! | `stage` | servers, workers, and the proxies between them; `jobs` is what they run, `targets` asks the databases |
//! | `side`, `space` | the Redis of a round, a pair or a cluster; all its keys, looked at together |
//! | `driver`, `workload` | the application |
//! | `faults` | what goes wrong; `proxy` is how it does on the network, `resharding` how in a cluster |
//! | `verify` | what must hold |
//! | `report` | what is printed |
//!
//! It must not know how redis-wb works: it runs the command, and reads the documented change record.

mod driver;
mod faults;
mod jobs;
mod proxy;
mod report;
mod resharding;
mod round;
mod side;
mod space;
mod stage;
mod targets;
mod verify;
mod workload;

use std::collections::BTreeMap;
use std::path::PathBuf;

pub use faults::{KINDS, Kind};
pub use side::Shape;

use crate::Error;

/// What is to be done.
#[derive(Debug, Clone)]
pub struct Options {
    /// The command, `redis-wb`.
    pub program: PathBuf,
    /// The capture module.
    pub module: PathBuf,
    /// How many rounds.
    pub rounds: u64,
    /// The seed of the first round; each other has the next one.
    pub seed: u64,
    /// How many changes a round has.
    pub changes: u64,
    /// How many changes there are in a second, at most.
    pub changes_per_s: u64,
    /// Which Redis a round has; where none is said, every third seed has a cluster.
    pub shape: Option<Shape>,
    /// Which faults there are.
    pub kinds: Vec<Kind>,
}

/// What all rounds came to.
#[derive(Debug, Default)]
pub struct Summary {
    /// The rounds in which something did not hold, by their seed, and what.
    pub wrong: Vec<(u64, String)>,
    /// How often each fault was there.
    pub faults: BTreeMap<Kind, u64>,
}

/// Runs all rounds, and prints a line for each and a table at the end.
///
/// # Errors
/// Where a round could not be run at all.
pub fn run(options: &Options) -> Result<Summary, Error> {
    let mut summary = Summary::default();
    let mut outcomes = Vec::new();
    for seed in (options.seed..).take(usize::try_from(options.rounds).unwrap_or(usize::MAX)) {
        let outcome = round::run(options, seed)?;
        println!("{}", report::line(&outcome));
        for (kind, times) in &outcome.faults {
            *summary.faults.entry(*kind).or_default() += times;
        }
        if !outcome.wrong.is_empty() {
            summary.wrong.push((seed, outcome.wrong.join("\n")));
        }
        outcomes.push(outcome);
    }
    println!("\n{}", report::table(&outcomes));
    Ok(summary)
}
