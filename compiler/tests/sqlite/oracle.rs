//! One record, one expression: what SQLite says, and what redis-wb says.

use redis_wb_compiler::expr::sql::{Manner, compile_as};
use redis_wb_compiler::expr::{Scope, Text};
use redis_wb_compiler::source::Span;
use redis_wb_compiler::{Diagnostics, Files};
use redis_wb_plan::expr::{Input, Names, Root};
use redis_wb_plan::{ColumnType, Expr, ExprType, Reject, RejectCode, Type, Value, sql};
use rusqlite::Connection;
use rusqlite::types::{ToSqlOutput, ValueRef};

/// The fields of every record: those without a type, and those that a job declares.
pub(crate) const FIELDS: [(&str, Option<Type>); 8] = [
    ("a", None),
    ("b", None),
    ("c", None),
    ("d", None),
    ("n", Some(Type::Int)),
    ("r", Some(Type::Float)),
    ("s", Some(Type::Text)),
    ("z", Some(Type::Bytes)),
];

/// A record: the values of [`FIELDS`].
pub(crate) type Record = Vec<Value<'static>>;

/// What one of the two says: a value, or that there is none and why.
pub(crate) type Answer = Result<Value<'static>, String>;

/// SQLite, and how it sees a record.
pub(crate) struct Sqlite(Connection);

impl Sqlite {
    pub(crate) fn new() -> Self {
        Self(Connection::open_in_memory().expect("SQLite in memory"))
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.0
    }

    /// The value of an expression over a record. Declared fields have the affinity of their type.
    pub(crate) fn evaluate(&self, expression: &str, record: &Record) -> Answer {
        let columns: Vec<String> = FIELDS
            .iter()
            .enumerate()
            .map(|(at, (name, kind))| {
                let parameter = format!("?{}", at + 1);
                match kind {
                    None => format!("{parameter} AS {name}"),
                    Some(kind) => format!("CAST({parameter} AS {}) AS {name}", type_name(*kind)),
                }
            })
            .collect();
        let query = format!("SELECT {expression}\nFROM (SELECT {})", columns.join(", "));
        let mut statement = self.0.prepare(&query).map_err(|error| format!("prepare: {error}"))?;
        let params = rusqlite::params_from_iter(record.iter().map(Bound));
        statement.query_row(params, |row| Ok(value(row.get_ref(0)?))).map_err(|error| error.to_string())?
    }
}

fn type_name(kind: Type) -> &'static str {
    match kind {
        Type::Int => "INTEGER",
        Type::Float => "REAL",
        Type::Text => "TEXT",
        _ => "BLOB",
    }
}

struct Bound<'v>(&'v Value<'static>);

impl rusqlite::ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Value::Null => ValueRef::Null,
            Value::Int(value) => ValueRef::Integer(*value),
            Value::Float(value) => ValueRef::Real(*value),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Bytes(bytes) => ValueRef::Blob(bytes),
            other => panic!("{other:?} is not a value of SQLite"),
        }))
    }
}

fn value(value: ValueRef<'_>) -> Answer {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(value) => Value::Int(value),
        ValueRef::Real(value) => Value::Float(value),
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => Value::Text(text.to_owned().into()),
            Err(_) => return Err("the text is not UTF-8".to_owned()),
        },
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec().into()),
    })
}

/// A scope of [`FIELDS`], which are fields of the record by these names.
pub(crate) struct Fields;

impl Scope for Fields {
    fn root(&self) -> Expr {
        Expr::Path { root: Root::Value, names: Names::new() }
    }

    fn name(&self, name: &str) -> Result<Expr, Vec<String>> {
        if FIELDS.iter().any(|(known, _)| *known == name) {
            return Ok(Expr::Path { root: Root::Value, names: vec![name.to_owned()].into() });
        }
        Err(FIELDS.iter().map(|(known, _)| (*known).to_owned()).collect())
    }

    fn type_of(&self, _: Root) -> ExprType {
        ExprType::UNKNOWN
    }

    fn declared(&self, _: Root, names: &[String]) -> Option<ColumnType> {
        let [name] = names else { return None };
        FIELDS.iter().find(|(known, _)| known == name).and_then(|(_, kind)| kind.map(ColumnType::from))
    }
}

/// Compiles an expression over [`FIELDS`].
pub(crate) fn compile(manner: Manner, expression: &str) -> Result<Expr, String> {
    let mut files = Files::new();
    let file = files.add("expression", expression);
    let place = |start: usize, end: usize| Span { file, start, end };
    let mut diagnostics = Diagnostics::default();
    let text = Text { text: expression, place: &place };
    let compiled = compile_as(manner, &text, &Fields, &mut diagnostics);
    let messages: Vec<String> =
        diagnostics.into_sorted().into_iter().map(|one| format!("{} {}", one.code.name(), one.message)).collect();
    compiled.ok_or_else(|| messages.join("; "))
}

/// The value of an expression over a record, as redis-wb sees it: in one of SQLite's storage classes.
pub(crate) fn evaluate(manner: Manner, expression: &str, record: &Record) -> Result<Value<'static>, Refusal> {
    let expr = compile(manner, expression).map_err(Refusal::Compile)?;
    run(&redis_wb_plan::fold::fold(expr), record)
}

/// Why there is no value.
#[derive(Debug, Clone)]
pub(crate) enum Refusal {
    Compile(String),
    Reject(Reject),
}

impl Refusal {
    /// Whether docs/sql.md says so: texts are UTF-8 and bounded here.
    pub(crate) fn is_documented(&self) -> bool {
        let bounded = [RejectCode::InvalidText, RejectCode::TooLong, RejectCode::LimitExceeded];
        matches!(self, Self::Reject(reject) if bounded.contains(&reject.code))
    }
}

pub(crate) fn run(expr: &Expr, record: &Record) -> Result<Value<'static>, Refusal> {
    let fields = FIELDS.iter().zip(record).map(|((name, _), value)| ((*name).into(), value.clone())).collect();
    let input = Input::of(Value::Object(fields));
    let value = expr.evaluate(&input).map_err(Refusal::Reject)?;
    let stored = sql::stored(&value).map_err(Refusal::Reject)?.into_static();
    Ok(match stored {
        Value::Json(text) => Value::Text(text),
        other => other,
    })
}

/// Whether two values are the same in value and type.
pub(crate) fn same(left: &Value<'_>, right: &Value<'_>) -> bool {
    match (left, right) {
        (Value::Float(left), Value::Float(right)) => left == right,
        _ => left == right,
    }
}
