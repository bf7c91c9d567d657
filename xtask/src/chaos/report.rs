//! What is printed: a line for each round, a table for all. It must not know how a round is run.

use std::collections::BTreeMap;

use super::faults::{KINDS, Kind};
use super::round::Outcome;
use super::side::Shape;

/// The Redis of a round.
fn shape(outcome: &Outcome) -> &'static str {
    if outcome.shape == Shape::Cluster { "cluster" } else { "primary with a replica" }
}

/// How a round went, in one line; and what did not hold, if anything did not.
pub(super) fn line(outcome: &Outcome) -> String {
    let shape = shape(outcome);
    let Outcome { seed, changes, recorded, poison, wrote, drained, .. } = outcome;
    let faults: Vec<String> = outcome.faults.iter().map(|(kind, times)| format!("{} {times}", kind.name())).collect();
    let total: u64 = outcome.faults.values().sum();
    let verdict = if outcome.wrong.is_empty() { "clean" } else { "WRONG" };
    let mut line = format!(
        "seed {seed}, a {shape}: {changes} changes in {:.0} s, {recorded} rows of the log, {poison} poison, {total} faults ({}), \
         drained in {:.1} s: {verdict}",
        wrote.as_secs_f64(),
        faults.join(", "),
        drained.as_secs_f64(),
    );
    for (_, why) in &outcome.missing {
        line += &format!("\n  left out: {why}");
    }
    for wrong in &outcome.wrong {
        line += &format!("\n  {wrong}");
    }
    if let Some(kept) = &outcome.kept {
        line += &format!("\n  logs, jobs and the list of faults are kept in {}", kept.display());
    }
    line
}

/// All rounds; then all faults, how often each was there, and in how many rounds of these something did not hold.
pub(super) fn table(outcomes: &[Outcome]) -> String {
    let mut lines = vec![
        "| seed | Redis | changes | written in | rows of the log | poison | faults | drained in | |".to_owned(),
        "|--:|---|--:|--:|--:|--:|--:|--:|---|".to_owned(),
    ];
    for outcome in outcomes {
        let Outcome { seed, changes, recorded, poison, .. } = outcome;
        let [wrote, drained] = [outcome.wrote, outcome.drained].map(|time| time.as_secs_f64());
        let total: u64 = outcome.faults.values().sum();
        let verdict = if outcome.wrong.is_empty() { "clean" } else { "**not clean**" };
        lines.push(format!(
            "| {seed} | {} | {changes} | {wrote:.0} s | {recorded} | {poison} | {total} | {drained:.1} s | {verdict} |",
            shape(outcome),
        ));
    }
    lines.push("\n| fault | what is done | times | rounds | of these not clean |".to_owned());
    lines.push("|---|---|--:|--:|--:|".to_owned());
    for (kind, name, what) in KINDS {
        let with: Vec<&Outcome> = outcomes.iter().filter(|outcome| outcome.faults.contains_key(&kind)).collect();
        if with.is_empty() {
            continue;
        }
        let times: u64 = with.iter().filter_map(|outcome| outcome.faults.get(&kind)).sum();
        let wrong = with.iter().filter(|outcome| !outcome.wrong.is_empty()).count();
        lines.push(format!("| `{name}` | {what} | {times} | {} | {wrong} |", with.len()));
    }
    let mut all: BTreeMap<Kind, u64> = BTreeMap::new();
    for outcome in outcomes {
        outcome.faults.iter().for_each(|(kind, times)| *all.entry(*kind).or_default() += times);
    }
    let changes: u64 = outcomes.iter().map(|outcome| outcome.changes).sum();
    let recorded: usize = outcomes.iter().map(|outcome| outcome.recorded).sum();
    let poison: usize = outcomes.iter().map(|outcome| outcome.poison).sum();
    let clean = outcomes.iter().filter(|outcome| outcome.wrong.is_empty()).count();
    let slowest = outcomes.iter().map(|outcome| outcome.drained.as_secs_f64()).fold(0.0, f64::max);
    lines.push(format!(
        "\n{clean} of {} rounds are clean: {changes} changes, {recorded} records of the log, {poison} poison records, {} \
         faults; drained after at most {slowest:.1} s.",
        outcomes.len(),
        all.values().sum::<u64>(),
    ));
    lines.join("\n")
}
