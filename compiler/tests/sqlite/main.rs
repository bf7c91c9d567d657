//! SQL expressions evaluated here and by real SQLite: the same value and the same type, always.
//!
//! `REDIS_WB_SEED` repeats a run, `REDIS_WB_CASES` sets how many expressions are generated, `REDIS_WB_FAST` takes few.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::approx_constant,
    reason = "a test fails by panicking, in its helping functions as well, and its numbers are small or any"
)]

mod coverage;
mod differences;
mod generate;
mod generated;
mod oracle;
mod precedence;
mod refused;
mod robust;
