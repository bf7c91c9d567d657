//! YAML trees into the AST: which keys there are, what shape each has, which words it takes. Binds no name.
//!
//! | part | what it reads |
//! |---|---|
//! | `job` | a job file, and the writers of tables |
//! | `source`, `transform`, `redis` | its sections and `redis.write` |
//! | `config` | `config.yaml` |
//! | `value` | paths, expressions and columns |
//! | `mapping` | one mapping, key by key |

mod config;
mod job;
mod mapping;
mod redis;
mod source;
mod strategy;
mod transform;
mod value;

pub use config::config;
pub use job::job;
