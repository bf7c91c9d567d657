//! A short round of the chaos suite; `cargo xtask chaos` runs long ones.

use xtask::chaos::{KINDS, Options, Shape, run};
use xtask::servers::capture_module;

/// What is tested where `REDIS_WB_SEED` says nothing else.
const SEED: u64 = 7;
const CHANGES: u64 = 5_000;
const CHANGES_PER_S: u64 = 250;

#[test]
fn all_is_right_whatever_fails() {
    let seed = std::env::var("REDIS_WB_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(SEED);
    println!("REDIS_WB_SEED={seed}");
    let summary = run(&Options {
        program: env!("CARGO_BIN_EXE_redis-wb").into(),
        module: capture_module(),
        rounds: 1,
        seed,
        changes: CHANGES,
        changes_per_s: CHANGES_PER_S,
        shape: Some(Shape::Pair),
        kinds: KINDS.iter().map(|(kind, ..)| *kind).collect(),
    })
    .unwrap();
    assert!(summary.wrong.is_empty(), "see above");
    assert!(summary.faults.values().sum::<u64>() >= 3, "faults came: {:?}", summary.faults);
}
