//! Jobs and configuration as they are written: checked in shape, every part with its place, no name bound yet.

use redis_wb_plan::Type;
use redis_wb_plan::plan::{Applier, Dialect, OnGone, Strategy};

use crate::expr::Language;
use crate::source::{FileId, Span, Spanned};
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
    /// What is written.
    pub outputs: Vec<Relational>,
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
    /// `fields`: declared types.
    pub fields: Vec<(Spanned<String>, Spanned<Type>)>,
    /// `db`.
    pub db: u32,
    /// `on_delete`.
    pub on_delete: OnGone,
    /// `on_expire`.
    pub on_expire: OnGone,
    /// `on_evict`.
    pub on_evict: OnGone,
}

/// A key template: its parts and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyTemplate {
    /// Its parts.
    pub parts: Vec<redis_wb_grammar::key::Part>,
    /// The YAML node, to place what is inside.
    pub node: Node,
}

/// `relational.write`.
#[derive(Debug, Clone, PartialEq)]
pub struct Relational {
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
    pub active: Spanned<String>,
    /// `inactive_record_mapping`: each `target` with its `source`.
    pub closing: Vec<(Spanned<String>, Spanned<String>)>,
}

/// One column of `keys` or `mapping`.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapping {
    /// The column.
    pub column: Spanned<String>,
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
    /// The YAML node of the text, to place what is inside.
    pub node: Node,
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
    /// Whether the whole of `connections` could be read, so that a name that is not there is really unknown.
    pub complete: bool,
    /// `applier`.
    pub applier: Applier,
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
    /// The dialect.
    #[must_use]
    pub const fn dialect(&self) -> Dialect {
        self.plan.dialect
    }
}
