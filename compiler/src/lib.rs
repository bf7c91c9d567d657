//! The job compiler: YAML jobs in, a plan out, and everything that is wrong with them.
//!
//! | phase | from | to | public function |
//! |---|---|---|---|
//! | [`yaml`] | text | a tree whose every node knows its place | `yaml::parse` |
//! | [`parse`] | the tree | the AST of jobs and configuration ([`ast`]) | `parse::config`, `parse::job` |
//! | [`ddl`] | `CREATE TABLE …` | the [`Schema`](redis_wb_plan::schema::Schema) of a connection | `ddl::parse` |
//! | [`resolve`] | AST | names bound: connections, tables, paths | `resolve::job` |
//! | [`check`] | resolved job, schema | nothing: only diagnostics | `check::job` |
//! | [`lower`] | resolved job | typed IR: the columns of a plan | `lower::job` |
//! | [`render`] | columns | statements, by the templates of a [`dialect`] | `render::statements` |
//! | [`create`] | a plan | the `CREATE TABLE` of its tables | `create::tables` |
//!
//! Jobs go through the phases on all cores at once. [`expr`] compiles the expressions that the phases meet. [`describe`] shows a plan to people.
//!
//! Each phase returns what it could make and reports all that is wrong to [`Diagnostics`]. Phases do not call each
//! other; [`compile`] is the only place that knows their order. There is no async, clock, network or file system
//! here: the caller reads files and connects to databases.

pub mod ast;
pub mod check;
pub mod codes;
pub mod create;
pub mod ddl;
pub mod describe;
pub mod diagnostic;
pub mod dialect;
pub mod expr;
pub mod lower;
pub mod parse;
pub mod render;
pub mod resolve;
pub mod secret;
pub mod source;
pub mod yaml;

mod compile;
mod parallel;
mod suggest;
mod templates;

pub use compile::{Compiled, Inputs, Live, RedisTarget, Target, Unanswered, compile, unsafe_setting};
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use source::{FileId, Files};
