//! One round: faults come and go while the application writes; then all is drained, and looked at. It must not know what
//! a fault does.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use super::Options;
use super::driver::{Driver, Line};
use super::faults::{Kind, Place};
use super::jobs::jobs;
use super::side::Shape;
use super::stage::{Stage, streams};
use super::verify::verify;
use crate::Error;

/// How many faults there are at once, at most.
const ACTIVE_MAX: usize = 3;
/// How long until the next fault, in milliseconds.
const NEXT_MS: std::ops::Range<u64> = 200..2_500;
/// How long to wait between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// How long nothing may be drained of the streams once nothing fails any more.
const STALL_SECONDS_MAX: Duration = Duration::from_secs(180);
/// How long a worker may take to end.
const END_SECONDS_MAX: Duration = Duration::from_secs(30);
/// What a worker must never log.
const NEVER_LOGGED: [&str; 2] = ["panicked at", "please report this bug"];

/// What a round came to.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) seed: u64,
    pub(super) shape: Shape,
    /// How many changes were sent.
    pub(super) changes: u64,
    /// How many records of the log's keys there were, and how many of them were poison.
    pub(super) recorded: usize,
    pub(super) poison: usize,
    pub(super) faults: BTreeMap<Kind, u64>,
    pub(super) wrote: Duration,
    pub(super) drained: Duration,
    /// What is not to be had on this machine, and why.
    pub(super) missing: Vec<(&'static str, String)>,
    /// What did not hold.
    pub(super) wrong: Vec<String>,
    /// Where logs and project are kept, if something did not hold.
    pub(super) kept: Option<PathBuf>,
}

/// A fault that is there.
struct Active {
    kind: Kind,
    places: Vec<Place>,
    until: Instant,
}

/// What is under way.
struct Round {
    stage: Stage,
    random: StdRng,
    start: Instant,
    /// The kinds in the order in which they come; each comes once before one comes again.
    deck: Vec<Kind>,
    kinds: Vec<Kind>,
    active: Vec<Active>,
    outcome: Outcome,
    log: Vec<String>,
}

/// Runs a round.
pub(super) fn run(options: &Options, seed: u64) -> Result<Outcome, Error> {
    let shape = options.shape.unwrap_or(if seed.is_multiple_of(3) { Shape::Cluster } else { Shape::Pair });
    let stage = Stage::set(shape, &options.program, &options.module)?;
    let missing = stage.missing.clone();
    let can = |kind: &Kind| {
        kind.suits(shape) && kind.needs().is_none_or(|need| missing.iter().all(|(what, _)| *what != need))
    };
    let outcome = Outcome {
        seed,
        shape,
        changes: 0,
        recorded: 0,
        poison: 0,
        faults: BTreeMap::new(),
        wrote: Duration::ZERO,
        drained: Duration::ZERO,
        missing: missing.clone(),
        wrong: Vec::new(),
        kept: None,
    };
    let mut round = Round {
        stage,
        // Not that of the changes: how many faults there are depends on time, and must not change what is written.
        random: StdRng::seed_from_u64(seed ^ 0x5eed),
        start: Instant::now(),
        deck: Vec::new(),
        kinds: options.kinds.iter().copied().filter(can).collect(),
        active: Vec::new(),
        outcome,
        log: Vec::new(),
    };
    let ran = round.run(options, seed);
    if let Err(error) = &ran {
        round.outcome.wrong.push(format!("the round broke off: {error}"));
    }
    if !round.outcome.wrong.is_empty() {
        round.keep()?;
    }
    Ok(round.outcome)
}

impl Round {
    fn run(&mut self, options: &Options, seed: u64) -> Result<(), Error> {
        let driver = Driver::start(seed, self.stage.side.places(), options.changes, options.changes_per_s);
        let line = std::sync::Arc::clone(&driver.line);
        let mut next = Instant::now();
        while !driver.is_done() {
            self.heal(Instant::now())?;
            if Instant::now() >= next && self.active.len() < ACTIVE_MAX {
                self.draw(&line)?;
                next = Instant::now() + Duration::from_millis(self.random.random_range(NEXT_MS));
            }
            self.look_at_workers()?;
            thread::sleep(LOOK_AGAIN);
        }
        while let Some(last) = self.active.iter().map(|fault| fault.until).max() {
            self.heal(last)?;
        }
        self.outcome.changes = line.sent();
        self.outcome.wrote = self.start.elapsed();
        self.drain()?;
        self.end_workers();
        if !self.outcome.wrong.is_empty() {
            // What is behind differs everywhere.
            return Ok(());
        }
        let verdict = verify(self.outcome.shape, &self.stage)?;
        self.outcome.recorded = verdict.recorded;
        self.outcome.poison = verdict.poison;
        self.outcome.wrong.extend(verdict.wrong);
        Ok(())
    }

    /// Undoes what has lasted until `now`.
    fn heal(&mut self, now: Instant) -> Result<(), Error> {
        let (over, active) = std::mem::take(&mut self.active).into_iter().partition(|fault| fault.until <= now);
        self.active = active;
        for Active { kind, places, .. } in over {
            let place = places.first().copied().unwrap_or(Place::Primary);
            self.note(&format!("{} of {place:?} ends", kind.name()));
            kind.heal(place, &mut self.stage)?;
        }
        Ok(())
    }

    /// Lets the next fault come whose place is free.
    fn draw(&mut self, line: &Line) -> Result<(), Error> {
        if self.deck.is_empty() {
            self.deck.clone_from(&self.kinds);
            self.deck.shuffle(&mut self.random);
        }
        for at in 0..self.deck.len() {
            let Some(kind) = self.deck.get(at).copied() else { break };
            let places = kind.places(&mut self.random, &mut self.stage);
            if self.active.iter().any(|fault| fault.places.iter().any(|place| places.contains(place))) {
                continue;
            }
            self.deck.remove(at);
            let place = places.first().copied().unwrap_or(Place::Primary);
            self.note(&format!("{} of {place:?}", kind.name()));
            let lasts = kind.inflict(place, &mut self.stage, line, &mut self.random)?;
            *self.outcome.faults.entry(kind).or_default() += 1;
            self.active.push(Active { kind, places, until: Instant::now() + lasts });
            break;
        }
        Ok(())
    }

    /// No worker ends by itself.
    fn look_at_workers(&mut self) -> Result<(), Error> {
        let hit = |at: usize| self.active.iter().any(|fault| fault.places.contains(&Place::Worker(at)));
        let free: Vec<usize> = (0..self.stage.workers.len()).filter(|at| !hit(*at)).collect();
        for at in free {
            let status = self.stage.workers.get_mut(at).and_then(|worker| worker.process.status());
            if let Some(status) = status {
                self.note(&format!("worker {at} ended by itself"));
                self.outcome.wrong.push(format!("worker {at} ended by itself: {status}"));
                self.stage.restart(at)?;
            }
        }
        Ok(())
    }

    /// Waits until nothing waits in the streams.
    fn drain(&mut self) -> Result<(), Error> {
        let start = Instant::now();
        self.note("all faults are over");
        let mut space = self.stage.side.space()?;
        space.settle_expiry()?;
        let (mut least, mut since) = (u64::MAX, Instant::now());
        loop {
            let (mut left, mut total) = (Vec::new(), 0);
            for (job, _) in jobs() {
                let lengths = space.each(&streams(job), |stream, client| {
                    redis::cmd("XLEN").arg(stream).query::<u64>(client).map(|length| (stream.to_owned(), length))
                })?;
                total += lengths.iter().map(|(_, length)| length).sum::<u64>();
                let open = lengths.into_iter().filter(|(_, length)| *length > 0);
                left.extend(open.map(|(stream, length)| format!("{stream} {length}")));
            }
            if left.is_empty() {
                break;
            }
            if total < least {
                (least, since) = (total, Instant::now());
            }
            if since.elapsed() > STALL_SECONDS_MAX {
                self.outcome.wrong.push(format!("nothing drained for {STALL_SECONDS_MAX:?}: {}", left.join(", ")));
                break;
            }
            self.look_at_workers()?;
            thread::sleep(LOOK_AGAIN);
        }
        self.outcome.drained = start.elapsed();
        self.note("drained");
        Ok(())
    }

    fn end_workers(&mut self) {
        for (at, worker) in self.stage.workers.iter_mut().enumerate() {
            let start = Instant::now();
            worker.process.stop();
            if !worker.process.status().is_some_and(|status| status.success()) || start.elapsed() > END_SECONDS_MAX {
                self.outcome.wrong.push(format!("worker {at} did not end well: {:?}", worker.process.status()));
            }
        }
        for (name, log) in self.stage.worker_logs() {
            let lines = log.lines().filter(|line| NEVER_LOGGED.iter().any(|never| line.contains(never)));
            self.outcome.wrong.extend(lines.take(3).map(|line| format!("{name} logged: {line}")));
        }
    }

    fn note(&mut self, what: &str) {
        self.log.push(format!("{:8.3} s  {what}", self.start.elapsed().as_secs_f64()));
    }

    /// Keeps what tells why.
    fn keep(&mut self) -> Result<(), Error> {
        let at = std::env::temp_dir().join(format!("redis-wb-chaos-{}-{}", self.outcome.seed, std::process::id()));
        self.stage.keep(&at)?;
        let faults = self.log.join("\n") + "\n";
        let written = std::fs::write(at.join("faults.log"), faults)
            .and_then(|()| std::fs::write(at.join("wrong.txt"), self.outcome.wrong.join("\n") + "\n"));
        written.map_err(Error::during("keep the list of faults"))?;
        self.outcome.kept = Some(at);
        Ok(())
    }
}
