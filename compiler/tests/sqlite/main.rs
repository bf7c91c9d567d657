//! SQL expressions evaluated here and by real SQLite: the same value and the same type, always.
//!
//! `REDIS_WB_SEED` repeats a run, `REDIS_WB_CASES` sets how many expressions are generated, `REDIS_WB_FAST` takes few.

mod coverage;
mod generate;
mod generated;
mod oracle;
mod precedence;
mod robust;
