//! The plan: all that the runtime gets. Plain data, so it can be printed, diffed, stored and read by a newer runtime.

mod redis;
mod steps;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use redis::{OnUpdate, RedisConnection, RedisContent, RedisField, RedisFields, RedisWrite};
pub use steps::{Condition, Filter, Foreach, Lookup, OnMissing, OnUnmatched, OnVanished, Step};

use crate::{ColumnType, Expr, KeyTemplate};

/// The version of the plan's format that this crate writes, and the highest that it reads.
///
/// Version 2 has steps, lists and Redis as a target: a runtime of version 1 would not see a filter.
pub const PLAN_VERSION: u32 = 2;

/// Everything that the runtime needs to carry changes to their targets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// [`PLAN_VERSION`] of the compiler that wrote it.
    pub version: u32,
    /// A hash of the job files, the configuration and the schema that it was compiled from.
    pub fingerprint: String,
    /// How batches are read and written.
    pub applier: Applier,
    /// The connections that the jobs name.
    pub connections: BTreeMap<String, Connection>,
    /// The connections to Redis that the jobs name, for lookups and `redis.write`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub redis: BTreeMap<String, RedisConnection>,
    /// The jobs, by name in ascending order.
    pub jobs: Vec<Job>,
}

impl Plan {
    /// Reads a plan from JSON.
    ///
    /// # Errors
    /// What is wrong with it, in words for the user.
    pub fn from_json(json: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Head {
            version: u32,
        }
        if depth(json) > PLAN_JSON_DEPTH_MAX {
            return Err(format!("this is not a plan: it is nested deeper than {PLAN_JSON_DEPTH_MAX} levels"));
        }
        let head: Head = read(json).map_err(|error| format!("this is not a plan: {error}"))?;
        if head.version > PLAN_VERSION {
            return Err(format!(
                "the plan has version {}, this redis-wb reads up to {PLAN_VERSION}: upgrade it, or compile again",
                head.version
            ));
        }
        read(json).map_err(|error| format!("the plan is damaged: {error}"))
    }
}

/// The most levels of a plan's JSON: an expression of [`crate::expr::EXPR_DEPTH_MAX`] levels, each of at most four.
const PLAN_JSON_DEPTH_MAX: usize = 4 * crate::expr::EXPR_DEPTH_MAX + 16;

/// Reads JSON whose depth was checked; serde's own limit is below what an expression may have.
fn read<'de, T: Deserialize<'de>>(json: &'de str) -> Result<T, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    deserializer.disable_recursion_limit();
    let value = T::deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// How many levels of brackets a JSON text has.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_text, mut escaped) = (false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// How batches are read and written (`applier` of `config.yaml`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applier {
    /// The most entries of one read of a stream.
    pub read_batch_rows_max: usize,
    /// The most records of one transaction.
    pub write_batch_rows_max: usize,
    /// The first pause after a temporary failure, in milliseconds.
    pub retry_ms: u64,
    /// Whether rejected records go to the dead-letter queue; otherwise they are only counted.
    pub dead_letter: bool,
    /// The most entries of one dead-letter queue.
    pub dlq_rows_max: usize,
}

impl Default for Applier {
    fn default() -> Self {
        Self {
            read_batch_rows_max: 2_000,
            write_batch_rows_max: 200,
            retry_ms: 5_000,
            dead_letter: true,
            dlq_rows_max: 1_000,
        }
    }
}

/// A SQL dialect, by the name that `connections.<name>.type` has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// PostgreSQL.
    PostgreSql,
    /// SQLite.
    Sqlite,
}

impl Dialect {
    /// Every dialect.
    pub const ALL: [Self; 2] = [Self::PostgreSql, Self::Sqlite];

    /// The name as a configuration writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PostgreSql => "postgresql",
            Self::Sqlite => "sqlite",
        }
    }
}

/// Where a target is. Any text may hold `${VAR}`, which only the runtime replaces, so a plan holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// What it speaks.
    pub dialect: Dialect,
    /// Host names or addresses; the first that answers and takes writes is used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Port, a number as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// Database; for SQLite the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// User.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Password, as `${VAR}` or the path of a file that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Further parameters of the client.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub args: BTreeMap<String, String>,
}

/// One job: which keys, and the rows that they become.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The name: that of the job file without its ending. Also the name of the tracking rule.
    pub name: String,
    /// What is captured.
    pub source: Source,
    /// What is done with a record before its rows are made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    /// The rows that are written.
    pub outputs: Vec<Output>,
    /// What is written to Redis.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redis: Vec<RedisWrite>,
}

impl Job {
    /// The lookups, in the order of [`crate::expr::Root::Lookup`].
    pub fn lookups(&self) -> impl Iterator<Item = &Lookup> {
        self.steps.iter().filter_map(|step| match step {
            Step::Lookup(lookup) => Some(lookup),
            Step::Filter(_) => None,
        })
    }
}

/// What capture is asked for, and how a record is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The keys to track, in the syntax of `KEYS`.
    pub key_pattern: String,
    /// The database that the keys are in.
    pub db: u32,
    /// The type of the keys, where the job says it; keys of other types are then no records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_type: Option<DataType>,
    /// Commands whose changes are ignored, in lower case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude_commands: Vec<String>,
    /// Whether deletes must carry the content from before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub before_images: bool,
    /// The fields that the key's name holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyTemplate>,
    /// What to do when a key is deleted.
    #[serde(default = "OnGone::delete", skip_serializing_if = "OnGone::is_delete")]
    pub on_delete: OnGone,
    /// What to do when a key expires.
    #[serde(default = "OnGone::ignore", skip_serializing_if = "OnGone::is_ignore")]
    pub on_expire: OnGone,
    /// What to do when a key is evicted.
    #[serde(default = "OnGone::ignore", skip_serializing_if = "OnGone::is_ignore")]
    pub on_evict: OnGone,
    /// What to do when the database is flushed; `None` stops the job and says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_flush: Option<OnGone>,
}

/// The type of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataType {
    /// A hash: an object whose fields are texts.
    Hash,
    /// A JSON document.
    Json,
    /// A set: `{members: [text]}`.
    Set,
    /// A sorted set: `{members: [{member, score}]}`.
    SortedSet,
}

impl DataType {
    /// Every type, by the name that a job gives it.
    pub const NAMED: [(&'static str, Self); 4] =
        [("hash", Self::Hash), ("json", Self::Json), ("set", Self::Set), ("sorted_set", Self::SortedSet)];

    /// The name as a job writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hash => "hash",
            Self::Json => "json",
            Self::Set => "set",
            Self::SortedSet => "sorted_set",
        }
    }
}

/// What happens to the rows of a key that is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnGone {
    /// The rows are deleted.
    Delete,
    /// The rows stay.
    Ignore,
}

impl OnGone {
    const fn delete() -> Self {
        Self::Delete
    }

    const fn ignore() -> Self {
        Self::Ignore
    }

    // serde's `skip_serializing_if` hands over a reference.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
    fn is_delete(&self) -> bool {
        *self == Self::Delete
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
    fn is_ignore(&self) -> bool {
        *self == Self::Ignore
    }
}

/// The rows of one table that a key becomes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// The connection, a key of [`Plan::connections`].
    pub connection: String,
    /// The schema of the table, where the job names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// The table.
    pub table: String,
    /// Which records are written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Condition>,
    /// The list whose elements become rows; otherwise a record is one row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreach: Option<Foreach>,
    /// What gives `c`, `u` or `d`, where a field of the record says what is to be done; null and anything else leave it
    /// to the change itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opcode: Option<Expr>,
    /// What a column gets whose value is null.
    #[serde(default, skip_serializing_if = "OnMissing::is_null")]
    pub on_missing: OnMissing,
    /// What several columns have in common; a column has it as [`Expr::Shared`]. Evaluated by [`crate::Slots`], at
    /// most once a record.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shared: Vec<Expr>,
    /// The columns that are written, key columns first.
    pub columns: Vec<Column>,
    /// How many of the columns, from the first, name the row.
    pub key_columns: usize,
    /// Writes rows, whether or not they exist.
    pub upsert: Statement,
    /// Deletes rows.
    pub delete: Statement,
}

impl Output {
    /// The columns that name a row.
    #[must_use]
    pub fn keys(&self) -> &[Column] {
        self.columns.get(..self.key_columns).unwrap_or(&self.columns)
    }
}

/// One column that is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type; [`crate::Type::Unknown`] where neither job nor schema tells.
    #[serde(flatten)]
    pub column_type: ColumnType,
    /// Whether it takes null; a key column never does.
    pub nullable: bool,
    /// What gives its value, already in the column's type.
    pub expr: Expr,
    /// The text of the job that it comes from, for people.
    pub origin: String,
}

/// A prepared statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The text, one statement, in the dialect of the connection.
    pub sql: String,
    /// How rows are bound.
    pub shape: Shape,
    /// What each parameter is, in their order.
    pub params: Vec<Param>,
}

/// How a statement takes the rows of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// Each parameter is an array: the values of one column of all rows.
    Columnar,
    /// Each parameter is a value of one row; the statement is executed once a row.
    Row,
}

/// One parameter of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Param {
    /// The column whose value it takes: an index into [`Output::columns`].
    pub column: usize,
}
