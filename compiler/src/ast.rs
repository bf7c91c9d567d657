//! Jobs and configuration as they are written: checked in shape, every part with its place, no name bound yet.

use redis_wb_plan::Type;
use redis_wb_plan::plan::{
    Applier, DataType, Dialect, OnGone, OnMissing, OnUnmatched, OnUpdate, OnVanished, RedisConnection, Strategy,
};

use crate::expr::Language;
use crate::source::{FileId, Files, Span, Spanned};
use crate::yaml::Node;

/// A job file.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// The name: the file's without its ending.
    pub name: String,
    /// The file.
    pub file: FileId,
    /// What is captured.
    pub source: Source,
    /// `transform`: the steps, a block with `fields` as one step for each.
    pub transform: Vec<Step>,
    /// The tables that are written.
    pub outputs: Vec<Relational>,
    /// What is written to Redis.
    pub redis: Vec<RedisWrite>,
    /// Whether every part of `output` could be read, so that what none of them names is really unused.
    pub complete: bool,
}

/// `source.redis`.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// `key_pattern`.
    pub key_pattern: Spanned<String>,
    /// `exclude_commands`, in lower case.
    pub exclude_commands: Vec<String>,
    /// Whether `row_format` is `full`.
    pub full: bool,
    /// `key`: the template.
    pub key: Option<KeyTemplate>,
    /// Whether the template could not be read, which was reported: nothing follows from its absence.
    pub key_unreadable: bool,
    /// `data_type`.
    pub data_type: Option<DataType>,
    /// `fields`: declared types.
    pub fields: Vec<(Path, Spanned<Type>)>,
    /// `db`.
    pub db: u32,
    /// `on_delete`.
    pub on_delete: OnGone,
    /// `on_expire`.
    pub on_expire: OnGone,
    /// `on_evict`.
    pub on_evict: OnGone,
    /// `on_flush`.
    pub on_flush: Option<OnGone>,
}

/// A key template: its parts and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyTemplate {
    /// Its parts.
    pub parts: Vec<redis_wb_grammar::key::Part>,
    /// The YAML node, to place what is inside.
    pub node: Node,
}

impl KeyTemplate {
    /// The names of its fields.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            redis_wb_grammar::key::Part::Field { name, .. } => Some(name.as_str()),
            redis_wb_grammar::key::Part::Literal(_) => None,
        })
    }
}

/// One step of `transform`.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// `add_field`.
    Add {
        /// The field.
        field: Path,
        /// Its value; `None` where it could not be read, which was reported.
        expression: Option<Expression>,
    },
    /// `rename_field`.
    Rename {
        /// `from_field`.
        from: Path,
        /// `to_field`.
        to: Path,
    },
    /// `remove_field`.
    Remove {
        /// The field.
        field: Path,
    },
    /// `map`.
    Map {
        /// What the record becomes.
        body: MapBody,
        /// Where `uses` says so.
        span: Span,
    },
    /// `filter`.
    Filter {
        /// Which records stay.
        expression: Expression,
        /// `on_unmatched`.
        on_unmatched: Option<OnUnmatched>,
    },
    /// `redis.lookup`.
    Lookup(Lookup),
    /// A step that could not be read, which was reported: nothing is known of the record behind it.
    Unknown,
}

impl Step {
    /// The lookup, if it is one.
    #[must_use]
    pub const fn lookup(&self) -> Option<&Lookup> {
        match self {
            Self::Lookup(lookup) => Some(lookup),
            _ => None,
        }
    }
}

/// What `map` makes of a record.
#[derive(Debug, Clone, PartialEq)]
pub enum MapBody {
    /// The value of one expression.
    Expression(Expression),
    /// Fields, each with its own expression.
    Fields(Vec<(Spanned<String>, Expression)>),
}

/// `redis.lookup`.
#[derive(Debug, Clone, PartialEq)]
pub struct Lookup {
    /// `connection`.
    pub connection: Spanned<String>,
    /// `cmd`.
    pub command: Spanned<String>,
    /// `args`.
    pub args: Vec<Expression>,
    /// `field`.
    pub field: Path,
}

/// `redis.write`.
#[derive(Debug, Clone, PartialEq)]
pub struct RedisWrite {
    /// `connection`.
    pub connection: Spanned<String>,
    /// `data_type`.
    pub data_type: RedisType,
    /// Where the data type stands, else the block.
    pub data_type_span: Span,
    /// `key`; only with `nest` there is none.
    pub key: Option<Expression>,
    /// `args`.
    pub args: Vec<(Spanned<String>, Path)>,
    /// `mapping`; empty for the whole record.
    pub mapping: Vec<Mapping>,
    /// `on_update`.
    pub on_update: OnUpdate,
    /// `expire`.
    pub expire_s: u64,
    /// `nest`.
    pub nest: Option<Nest>,
    /// `when`.
    pub when: Option<Expression>,
}

/// A data type of `redis.write`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedisType {
    /// `hash`.
    Hash,
    /// `json`.
    Json,
    /// `set`.
    Set,
    /// `sorted_set`.
    SortedSet,
    /// `stream`.
    Stream,
    /// `string`.
    String,
}

impl RedisType {
    /// Every type, by the name that a job gives it.
    pub const NAMED: [(&'static str, Self); 6] = [
        ("hash", Self::Hash),
        ("json", Self::Json),
        ("set", Self::Set),
        ("sorted_set", Self::SortedSet),
        ("stream", Self::Stream),
        ("string", Self::String),
    ];

    /// The arguments that it needs.
    #[must_use]
    pub const fn args(self) -> &'static [&'static str] {
        match self {
            Self::Hash | Self::Json | Self::Stream => &[],
            Self::Set => &["member"],
            Self::SortedSet => &["member", "score"],
            Self::String => &["value"],
        }
    }
}

/// `nest`: a place in the document of a parent.
#[derive(Debug, Clone, PartialEq)]
pub struct Nest {
    /// `parent.table`: what the parent's key begins with.
    pub table: Spanned<String>,
    /// `parent_key`: the parent's field that its key holds.
    pub parent_key: Spanned<String>,
    /// `child_key`: the field that holds the parent's; else the one of the same name.
    pub child_key: Path,
    /// `nesting_key`: the field that tells the members of the map apart.
    pub nesting_key: Path,
    /// `path`.
    pub path: Spanned<String>,
}

/// What writes tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// `relational.write`.
    Relational,
    /// `cassandra.write`.
    Cassandra,
}

impl Writer {
    /// What a job calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Relational => "relational.write",
            Self::Cassandra => "cassandra.write",
        }
    }
}

/// `relational.write`, or `cassandra.write`, whose keyspace is the schema.
#[derive(Debug, Clone, PartialEq)]
pub struct Relational {
    /// Which of the two.
    pub writer: Writer,
    /// `connection`.
    pub connection: Spanned<String>,
    /// `schema`; `None` where it is blank.
    pub schema: Option<Spanned<String>>,
    /// `table`.
    pub table: Spanned<String>,
    /// `keys`.
    pub keys: Vec<Mapping>,
    /// Where `keys` stands, to point at all of them.
    pub keys_span: Span,
    /// `mapping`.
    pub mapping: Vec<Mapping>,
    /// `when`.
    pub when: Option<Expression>,
    /// `foreach`.
    pub foreach: Option<Foreach>,
    /// `opcode_field`.
    pub opcode_field: Option<Path>,
    /// `on_missing`.
    pub on_missing: OnMissing,
    /// Whether every column could be read, so that one that is not there is really missing.
    pub complete: bool,
    /// `load_strategy`, upsert where there is none.
    pub strategy: Spanned<Strategy>,
    /// `active_record_indicator` and `inactive_record_mapping`.
    pub versions: Option<Versions>,
}

/// What tells the versions of a key apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Versions {
    /// `active_record_indicator`.
    pub active: TargetSql,
    /// `inactive_record_mapping`: each `target` with its `source`.
    pub closing: Vec<(Spanned<String>, TargetSql)>,
}

/// An expression that the target evaluates.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetSql {
    /// As written.
    pub text: Spanned<String>,
    /// The YAML node, to place what is inside.
    pub node: Node,
}

/// `foreach` and what belongs to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Foreach {
    /// What an element is called.
    pub name: Spanned<String>,
    /// The list; `None` where it could not be read, which was reported.
    pub list: Option<Expression>,
    /// `parent`.
    pub parent: Option<Vec<Spanned<String>>>,
    /// `on_vanished`.
    pub on_vanished: OnVanished,
}

/// One column of `keys` or `mapping`, or a field that is written to Redis.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapping {
    /// The column.
    pub column: Spanned<String>,
    /// `type`.
    pub kind: Option<Spanned<Type>>,
    /// What gives its value.
    pub from: From,
}

/// What gives the value of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum From {
    /// A field.
    Path(Path),
    /// An expression.
    Expression(Expression),
}

impl From {
    /// As it is written.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Path(path) => &path.text,
            Self::Expression(expression) => &expression.text,
        }
    }

    /// Where it stands.
    #[must_use]
    pub const fn span(&self) -> Span {
        match self {
            Self::Path(path) => path.span,
            Self::Expression(expression) => expression.span,
        }
    }
}

/// `{expression, language}`.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    /// The text, as YAML reads it.
    pub text: String,
    /// In which language it is.
    pub language: Language,
    /// Where the text stands.
    pub span: Span,
    /// The YAML node that holds the text, to place what is inside.
    pub node: Node,
    /// Where the text begins in that of the node.
    pub offset: usize,
}

impl Expression {
    /// Where the bytes `start..end` of the text stand.
    #[must_use]
    pub fn place(&self, files: &Files, start: usize, end: usize) -> Span {
        self.node.part_span(files, self.offset + start, self.offset + end)
    }
}

/// A parsed path.
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    /// The names, escapes taken away.
    pub names: Vec<String>,
    /// The text as written.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

/// `config.yaml`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Config {
    /// `connections`.
    pub connections: Vec<(Spanned<String>, Connection)>,
    /// Those of them that are Redis.
    pub redis: Vec<(Spanned<String>, RedisConnection)>,
    /// Whether the whole of `connections` could be read, so that a name that is not there is really unknown.
    pub complete: bool,
    /// `applier`.
    pub applier: Applier,
    /// What `applier` says of every `redis.write`.
    pub redis_defaults: RedisDefaults,
    /// Where it has secrets.
    pub secrets: Secrets,
    /// The values of the variables that were read when compiling.
    pub expanded: Vec<String>,
}

/// The secrets of a configuration.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Secrets {
    /// Files that hold some.
    pub files: Vec<SecretFile>,
    /// Where some stand in plain text.
    pub plain: Vec<Span>,
}

/// A file that the configuration names because it holds a secret. Only the runtime reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct SecretFile {
    /// The key that names it: `password`.
    pub key: String,
    /// Its path.
    pub path: Spanned<String>,
}

/// What a `redis.write` is that does not say it itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RedisDefaults {
    /// `target_data_type`.
    pub data_type: RedisType,
    /// `json_update_strategy`: `on_update` of documents.
    pub json_on_update: OnUpdate,
}

impl Default for RedisDefaults {
    fn default() -> Self {
        Self { data_type: RedisType::Hash, json_on_update: OnUpdate::Replace }
    }
}

/// One entry of `connections`.
#[derive(Debug, Clone, PartialEq)]
pub struct Connection {
    /// What the plan gets.
    pub plan: redis_wb_plan::plan::Connection,
    /// `ddl`: the file that describes the tables.
    pub ddl: Option<Spanned<String>>,
}

impl Connection {
    /// The path of the file that describes the tables.
    #[must_use]
    pub fn ddl(&self) -> Option<&str> {
        self.ddl.as_ref().map(|ddl| ddl.value.as_str())
    }

    /// The dialect.
    #[must_use]
    pub const fn dialect(&self) -> Dialect {
        self.plan.dialect
    }

    /// Whether a writer can write to it: rows go to any database, CQL to Cassandra alone.
    #[must_use]
    pub fn takes(&self, writer: Writer) -> bool {
        writer == Writer::Relational || self.plan.dialect == Dialect::Cassandra
    }
}
