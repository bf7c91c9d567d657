//! YAML trees into the AST: which keys there are, what shape each has, which words it takes. Binds no name.
//!
//! | part | what it reads |
//! |---|---|
//! | `job` | a job file, and the writers of tables |
//! | `source`, `transform`, `redis` | its sections and `redis.write` |
//! | `config` | `config.yaml`: connections, `${VAR}`, applier |
//! | `value` | paths, expressions and columns |
//! | `mapping` | one mapping, key by key |
//! | `shape` | what to do about a wrong shape |

mod config;
mod job;
mod mapping;
mod redis;
mod shape;
mod source;
mod strategy;
mod transform;
mod value;

pub use config::config;
pub use job::job;
