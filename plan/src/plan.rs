//! The plan: all that the runtime gets. Plain data, so it can be printed, diffed, stored and read by a newer runtime.

mod redis;
mod steps;

use std::borrow::Cow;
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
    /// How long a row that a foreign key refuses is tried again, since it was refused first, in milliseconds: what it
    /// refers to may come from another shard. 0 for not at all.
    #[serde(default = "foreign_key_wait_ms", skip_serializing_if = "is_foreign_key_wait_ms")]
    pub foreign_key_wait_ms: u64,
    /// How long a batch for a Redis waits for a replica to have it, in milliseconds; `None` for not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica_wait_ms: Option<u64>,
    /// Whether that wait begins again where no replica has the batch in time; otherwise the log says so.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub retry_on_replica_failure: bool,
}

const fn yes() -> bool {
    true
}

/// More than another worker takes to begin with the shard of one that died.
const fn foreign_key_wait_ms() -> u64 {
    30_000
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_foreign_key_wait_ms(wait_ms: &u64) -> bool {
    *wait_ms == foreign_key_wait_ms()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_yes(word: &bool) -> bool {
    *word
}

impl Default for Applier {
    fn default() -> Self {
        Self {
            read_batch_rows_max: 2_000,
            write_batch_rows_max: 200,
            retry_ms: 5_000,
            dead_letter: true,
            dlq_rows_max: 1_000,
            foreign_key_wait_ms: foreign_key_wait_ms(),
            replica_wait_ms: None,
            retry_on_replica_failure: true,
        }
    }
}

/// A dialect, by the name that `connections.<name>.type` has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// PostgreSQL.
    PostgreSql,
    /// MySQL 8.0.19 or newer.
    MySql,
    /// MariaDB 10.6 or newer.
    MariaDb,
    /// SQLite 3.24 or newer.
    Sqlite,
    /// Microsoft SQL Server 2016 or newer.
    SqlServer,
    /// Oracle Database 12.2 or newer.
    Oracle,
    /// Db2 for Linux, Unix and Windows 11.1 or newer.
    Db2,
    /// CQL of Apache Cassandra 3.11 or newer.
    Cassandra,
}

impl Dialect {
    /// Every dialect.
    pub const ALL: [Self; 8] = [
        Self::PostgreSql,
        Self::MySql,
        Self::MariaDb,
        Self::Sqlite,
        Self::SqlServer,
        Self::Oracle,
        Self::Db2,
        Self::Cassandra,
    ];

    /// The name as a configuration writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PostgreSql => "postgresql",
            Self::MySql => "mysql",
            Self::MariaDb => "mariadb",
            Self::Sqlite => "sqlite",
            Self::SqlServer => "sqlserver",
            Self::Oracle => "oracle",
            Self::Db2 => "db2",
            Self::Cassandra => "cassandra",
        }
    }

    /// The name as its vendor writes it.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::PostgreSql => "PostgreSQL",
            Self::MySql => "MySQL",
            Self::MariaDb => "MariaDB",
            Self::Sqlite => "SQLite",
            Self::SqlServer => "SQL Server",
            Self::Oracle => "Oracle",
            Self::Db2 => "Db2",
            Self::Cassandra => "Cassandra",
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
    /// What to do with the rows when the database of the keys is flushed; where nothing is said, the job stops and
    /// asks for it.
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
    /// What a change does to the rows that are there.
    #[serde(default, skip_serializing_if = "Strategy::is_upsert")]
    pub strategy: Strategy,
    /// For [`Strategy::Type2`]: what tells the versions of a key apart. The statements have it in them already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versions: Option<Versions>,
    /// Write rows: every one of these is executed, in this order, with the same rows.
    pub write: Vec<Statement>,
    /// Does away with the row of a key that is gone: takes key columns only, or all of them where the strategy is
    /// [`Strategy::Append`]. `None` where nothing is to be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete: Option<Statement>,
    /// Does away with all rows of the table, or closes all active ones where the strategy is [`Strategy::Type2`], when
    /// the database of the keys is emptied; it takes no parameters, and its shape says nothing. `None` where they stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clear: Option<Statement>,
    /// For an output with `foreach` whose vanished rows are to go: how they are deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub children: Option<Children>,
}

/// What a change does to the rows that are there (`load_strategy`).
///
/// RDI names these words, and runs upserts and appends; its engine never had the others. So their meaning is decided
/// here, by what the words and DataYoga's first, Spark-based engine say
/// (<https://redis.io/docs/latest/integrate/write-behind/reference/data-transformation-block-types/relational_write>).
/// Upsert is what RDI does as soon as `opcode_field` is there, and the default here, where the opcode is always known.
///
/// | strategy | `write` | `delete` | may be compacted |
/// |---|---|---|---|
/// | upsert | insert, or update the mapped columns | by key | yes |
/// | append | insert | insert, if a column tells the opcode | no |
/// | replace | delete by key, insert | by key | yes |
/// | type2 | close the active row if it differs, insert if none is active | close the active row | no |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// The row of the key takes the values of the mapped columns; its other columns stay.
    #[default]
    Upsert,
    /// Every change is a row of its own. A delete is one only if a column tells the opcode: without it nobody could
    /// tell the row from a write.
    Append,
    /// The row of the key is deleted and inserted again, so that columns that are not mapped get their defaults. As
    /// with any delete, `ON DELETE` rules of foreign keys apply.
    Replace,
    /// A slowly changing dimension of type 2: each version of a key is a row, of which one at most is active. A write
    /// closes the active row if it differs in a mapped column, and inserts the new version if none is active then; so a
    /// change that is written again changes nothing. A delete closes the active row. The rows of one execution must be
    /// of different keys, or versions would be lost.
    Type2,
}

impl Strategy {
    /// Whether, of several changes of a row, the last alone need be written.
    #[must_use]
    pub const fn compacts(self) -> bool {
        matches!(self, Self::Upsert | Self::Replace)
    }

    /// The word of `load_strategy`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Upsert => "UPSERT",
            Self::Append => "APPEND",
            Self::Replace => "REPLACE",
            Self::Type2 => "TYPE2",
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
    fn is_upsert(&self) -> bool {
        *self == Self::Upsert
    }
}

/// What tells the versions of a key apart. Conditions and values are expressions of the target's SQL, as RDI has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// True for the active row (`active_record_indicator`), which a row just inserted must be: by what it maps or by
    /// defaults of the table.
    pub active: String,
    /// The columns that close a row, and their values (`inactive_record_mapping`).
    pub closing: Vec<Closing>,
}

/// One column that closes a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closing {
    /// The column.
    pub column: String,
    /// Its value.
    pub value: String,
}

/// How the rows of a parent key are deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Children {
    /// The columns that name the parent: indexes into [`Output::columns`].
    pub parent: Vec<usize>,
    /// Deletes all rows of parents; a row of its parameters is one parent.
    pub all: Statement,
    /// Deletes the rows of parents that are not kept. Parameters of [`Of::Parent`] name the parents, those of
    /// [`Of::Row`] the rows that are kept. In columnar shape it takes many parents at once, otherwise one parent and
    /// its kept rows. Where a parent keeps more rows than the statement takes, or none, or where there is no such
    /// statement, [`Children::all`] is executed and the kept rows are written behind it: the same rows in the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub others: Option<Statement>,
}

impl Output {
    /// The columns that name a row.
    #[must_use]
    pub fn keys(&self) -> &[Column] {
        self.columns.get(..self.key_columns).unwrap_or(&self.columns)
    }

    /// The statements that write rows, each with what it does.
    pub fn steps(&self) -> impl Iterator<Item = (&'static str, &Statement)> {
        let names: &[&str] = match self.strategy {
            Strategy::Upsert => &["upsert"],
            Strategy::Append => &["insert"],
            Strategy::Replace => &["delete", "insert"],
            Strategy::Type2 => &["close", "insert"],
        };
        // Where nothing but keys is written no version differs from another, and none need be closed.
        names.iter().copied().skip(names.len().saturating_sub(self.write.len())).zip(&self.write)
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
    /// The text, one statement, in the dialect of the connection; in the shape [`Shape::Rows`] that for one row.
    pub sql: String,
    /// How rows are bound.
    pub shape: Shape,
    /// What each parameter is, in their order; in the shape [`Shape::Rows`] those of the prefix, then those of one row.
    pub params: Vec<Param>,
}

/// How a statement takes the rows of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// Each parameter is an array: the values of one column of all rows.
    Columnar,
    /// Each parameter is a value of one row; the statement is executed once a row, with arrays bound where the client
    /// can.
    Row,
    /// Each parameter is a value of one row, and part of the text is repeated for each further row.
    Rows(Repeat),
}

/// The parts of a text that is repeated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repeat {
    /// What stands before the rows.
    pub prefix: String,
    /// The text of one row, cut where its parameters are.
    pub row: Vec<String>,
    /// What stands between two rows.
    pub separator: String,
    /// What stands behind the rows; it has no parameters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub suffix: String,
    /// What a parameter is written as.
    pub marker: Marker,
    /// The most rows of one execution.
    pub rows_max: usize,
}

/// What a parameter of a repeated text is written as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Marker {
    /// `?`
    Question,
    /// This text and the parameter's number, from 1: `@P1`.
    Numbered(String),
}

/// One parameter of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Param {
    /// The column whose value it takes: an index into [`Output::columns`].
    pub column: usize,
    /// Of what it is the column.
    #[serde(default, skip_serializing_if = "Of::is_row")]
    pub of: Of,
}

/// What a parameter's value is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Of {
    /// A row of the batch; in [`Children::others`] a row that is kept.
    #[default]
    Row,
    /// The parent whose rows are deleted.
    Parent,
}

impl Of {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
    fn is_row(&self) -> bool {
        *self == Self::Row
    }
}

impl Statement {
    /// The text for so many rows; it is the same for any number unless the shape is [`Shape::Rows`].
    #[must_use]
    pub fn text(&self, rows: usize) -> Cow<'_, str> {
        match &self.shape {
            Shape::Rows(repeat) if rows > 1 => Cow::Owned(self.repeated(repeat, rows)),
            _ => Cow::Borrowed(&self.sql),
        }
    }

    /// The most rows of one execution.
    #[must_use]
    pub const fn rows_max(&self) -> usize {
        match &self.shape {
            Shape::Columnar => usize::MAX,
            Shape::Row => 1,
            Shape::Rows(repeat) => repeat.rows_max,
        }
    }

    fn repeated(&self, repeat: &Repeat, rows: usize) -> String {
        let mut text = repeat.prefix.clone();
        let mut number = self.params.len().saturating_sub(repeat.row.len().saturating_sub(1));
        for row in 0..rows {
            if row > 0 {
                text.push_str(&repeat.separator);
            }
            for (at, piece) in repeat.row.iter().enumerate() {
                if at > 0 {
                    number += 1;
                    repeat.marker.write(number, &mut text);
                }
                text.push_str(piece);
            }
        }
        text + &repeat.suffix
    }
}

impl Marker {
    /// Appends the parameter of this number, from 1.
    pub fn write(&self, number: usize, text: &mut String) {
        match self {
            Self::Question => text.push('?'),
            Self::Numbered(prefix) => {
                text.push_str(prefix);
                text.push_str(&number.to_string());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_repeated_for_each_row() {
        let repeat = Repeat {
            prefix: "DELETE FROM t WHERE a = @P1 AND b NOT IN (".to_owned(),
            row: vec!["(".to_owned(), ", ".to_owned(), ")".to_owned()],
            separator: ", ".to_owned(),
            suffix: ")".to_owned(),
            marker: Marker::Numbered("@P".to_owned()),
            rows_max: 10,
        };
        let param = |column, of| Param { column, of };
        let statement = Statement {
            sql: "DELETE FROM t WHERE a = @P1 AND b NOT IN ((@P2, @P3))".to_owned(),
            shape: Shape::Rows(repeat.clone()),
            params: vec![param(0, Of::Parent), param(1, Of::Row), param(2, Of::Row)],
        };
        assert_eq!(statement.repeated(&repeat, 1), statement.sql);
        assert_eq!(statement.text(2), "DELETE FROM t WHERE a = @P1 AND b NOT IN ((@P2, @P3), (@P4, @P5))");
    }
}
