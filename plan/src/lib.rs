//! What compiler and runtime agree on.
//!
//! | part | what it is |
//! |---|---|
//! | [`types`] | the types of columns, fields and expressions |
//! | [`value`] | a value, borrowed from the record where it can be |
//! | [`convert`] | a value into a column's type, exactly or not at all |
//! | [`json`] | JSON text into values and back |
//! | [`number`], [`compare`] | numbers of different kinds; truth, equality and order |
//! | [`expr`] | the typed expressions of a plan: one form for JMESPath and SQL |
//! | [`expr_type`] | the types of expressions |
//! | [`evaluate`] | expressions over one record |
//! | [`infer`], [`fold`], [`share`] | passes over expressions: types, constants, common parts |
//! | [`functions`] | builtin functions: signature, doc, examples and body in one place |
//! | [`key`] | key templates: the fields that a key's name holds |
//! | [`plan`] | jobs, outputs and statements: all that the runtime gets |
//! | [`schema`] | the tables of a target, as far as they are known |
//! | [`sql`] | SQL expressions with SQLite's semantics: operators and functions |
//! | [`sql_type`] | what the type names of a target mean |
//! | [`reject`] | why one record cannot become rows: the `R05xx` codes |
//! | `text` | what both languages do with texts |
//!
//! This crate knows neither YAML nor SQL syntax nor Redis nor any database client, and does no I/O.

pub mod compare;
pub mod convert;
pub mod evaluate;
pub mod expr;
pub mod expr_type;
pub mod fold;
pub mod functions;
pub mod infer;
pub mod json;
pub mod key;
pub mod number;
pub mod plan;
pub mod reject;
pub mod schema;
pub mod share;
pub mod sql;
pub mod sql_type;
mod text;
pub mod types;
pub mod value;

pub use evaluate::Slots;
pub use expr::{Expr, Input, now_us};
pub use expr_type::ExprType;
pub use key::KeyTemplate;
pub use plan::{Column, Job, Output, Plan, Statement, Strategy};
pub use reject::{Reject, RejectCode, Rejection};
pub use types::{ColumnType, Type};
pub use value::Value;
