//! What compiler and runtime agree on.
//!
//! | part | what it is |
//! |---|---|
//! | [`types`] | the types of columns, fields and expressions |
//! | [`value`] | a value, borrowed from the record where it can be |
//! | [`convert`] | a value into a column's type, exactly or not at all |
//! | [`expr`] | the typed expressions of a plan, and their evaluation over one record |
//! | [`key`] | key templates: the fields that a key's name holds |
//! | [`plan`] | jobs, outputs and statements: all that the runtime gets |
//! | [`schema`] | the tables of a target, as far as they are known |
//! | [`sql_type`] | what the type names of a target mean |
//! | [`reject`] | why one record cannot become rows: the `R05xx` codes |
//!
//! This crate knows neither YAML nor SQL syntax nor Redis nor any database client, and does no I/O.

pub mod convert;
pub mod expr;
pub mod key;
pub mod plan;
pub mod reject;
pub mod schema;
pub mod sql_type;
pub mod types;
pub mod value;

pub use expr::{Expr, Input};
pub use key::KeyTemplate;
pub use plan::{Column, Job, Output, Plan, Statement, Strategy};
pub use reject::{Reject, RejectCode};
pub use types::{ColumnType, Type};
pub use value::Value;
