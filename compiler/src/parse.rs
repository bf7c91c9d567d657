//! YAML trees into the AST: which keys there are, what shape each has, which words it takes. Binds no name.

mod config;
mod job;
mod mapping;
mod strategy;

pub use config::config;
pub use job::job;
