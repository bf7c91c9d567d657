//! The statements of every load strategy, executed on real databases: PostgreSQL, MariaDB and SQLite are given the same
//! batches and must end with the same rows, those of a model in memory.
//!
//! | file | what it is |
//! |---|---|
//! | `strategies.rs` | the tests: random batches by each strategy, and families of children |
//! | `writer.rs` | a writer in small: what a runtime does with the statements of an output |
//! | `model.rs` | what the rows must be |
//! | `values.rs` | random changes; how a value reads whatever the database |
//! | `database.rs` | the three databases: how parameters are bound, how rows are read |

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking, in its helping functions as well")]
#![expect(clippy::indexing_slicing, reason = "a test fails by panicking, in its helping functions as well")]

mod database;
mod model;
mod strategies;
mod values;
mod writer;
