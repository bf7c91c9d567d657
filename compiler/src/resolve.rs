//! Binds names: outputs to connections and tables, paths and expressions to what the record holds where they stand.
//!
//! | part | what it does |
//! |---|---|
//! | `data_type` | what the keys hold, where the job does not say it |
//! | `field` | the record as a tree of fields, while steps change it |
//! | `environment` | what names mean at one place of the job |
//! | `transform` | carries the steps out on that tree |
//! | `foreach` | elements, and what ties them to their key |
//! | `table` | the table of an output and its columns |
//! | `redis` | `redis.write` |

mod data_type;
mod environment;
mod field;
mod foreach;
mod redis;
mod table;
mod transform;

use std::collections::BTreeSet;

use redis_wb_plan::expr::Root;
use redis_wb_plan::schema::{Schema, Table, TableColumn};
use redis_wb_plan::{Expr, ExprType, Type};

pub use foreach::Foreach;
pub use redis::RedisWrite;
pub use transform::{Lookup, Step};

use crate::ast;
use crate::codes::Code;
use crate::expr::{self, Compiled, Scope as _};
use crate::source::{Files, Span, Spanned};
use crate::suggest::did_you_mean;
use crate::{Diagnostic, Diagnostics};
use environment::{Environment, Reads, declared, template_field};
use field::Found;
use table::Place;

/// A job whose names are bound.
#[derive(Debug)]
pub struct Job<'a> {
    /// The job as written.
    pub ast: &'a ast::Job,
    /// The steps that are left for the runtime.
    pub steps: Vec<Step<'a>>,
    /// Its outputs, those whose connection is known.
    pub outputs: Vec<Output<'a>>,
    /// What it writes to Redis.
    pub redis: Vec<RedisWrite<'a>>,
    /// The names at the start of what the outputs read and no step sets.
    pub captured: BTreeSet<String>,
    /// The steps of `transform`, by number, whose fields nothing reads.
    pub unused: Vec<usize>,
}

impl<'a> Job<'a> {
    /// The lookups.
    pub fn lookups(&self) -> impl Iterator<Item = &Lookup<'a>> {
        self.steps.iter().filter_map(|step| match step {
            Step::Lookup(lookup) => Some(lookup),
            Step::Filter { .. } => None,
        })
    }

    /// Whether an expression depends on a part of the record, by itself or by the lookups that it uses.
    #[must_use]
    pub fn reads(&self, expr: &Expr, wanted: Root) -> bool {
        let mut lookups = (0_u16..).zip(self.lookups());
        expr.reads(wanted)
            || lookups.any(|(at, lookup)| {
                // A lookup sees those before it alone, so this ends.
                expr.reads(Root::Lookup(at)) && lookup.args.iter().any(|arg| self.reads(arg, wanted))
            })
    }

    /// Whether an expression depends on the content of the key, which a delete has from before only.
    #[must_use]
    pub fn reads_content(&self, expr: &Expr) -> bool {
        [Root::Value, Root::After, Root::Before].into_iter().any(|root| self.reads(expr, root))
    }
}

/// An output whose names are bound.
#[derive(Debug)]
pub struct Output<'a> {
    /// The output as written.
    pub ast: &'a ast::Relational,
    /// Its connection.
    pub connection: &'a ast::Connection,
    /// Its table, where the schema is known and has it.
    pub table: Option<&'a Table>,
    /// Whether nothing at all is known of the connection's tables.
    pub blind: bool,
    /// `when`.
    pub when: Option<Compiled>,
    /// `foreach`; `None` as well where it has an error.
    pub foreach: Option<Foreach<'a>>,
    /// `opcode_field`.
    pub opcode: Option<Expr>,
    /// Its columns, key columns first, each once.
    pub columns: Vec<Column<'a>>,
    /// How many of the columns are key columns.
    pub key_columns: usize,
}

impl<'a> Output<'a> {
    /// The columns whose values a delete needs: those that tie rows to their key, else the key columns.
    pub fn deleted_by(&self) -> impl Iterator<Item = &Column<'a>> {
        let parent = self.foreach.as_ref().map_or(&[][..], |foreach| &foreach.parent);
        let is_parent = move |at: usize| if parent.is_empty() { at < self.key_columns } else { parent.contains(&at) };
        self.columns.iter().enumerate().filter(move |(at, _)| is_parent(*at)).map(|(_, column)| column)
    }
}

/// A column whose names are bound.
#[derive(Debug)]
pub struct Column<'a> {
    /// The column as written.
    pub ast: &'a ast::Mapping,
    /// The column of the table, where the table is known and has it.
    pub target: Option<&'a TableColumn>,
    /// What gives its value; `None` where that has an error, which was reported.
    pub value: Option<Bound>,
}

/// What gives a value.
#[derive(Debug, Clone)]
pub struct Bound {
    /// The expression over the captured record.
    pub expr: Expr,
    /// What it gives; `None` for a captured field, of which the job says nothing.
    pub kind: Option<ExprType>,
    /// The type that the job declares for it, and where.
    pub declared: Option<(Type, Span)>,
    /// Where a step set the field.
    pub set: Option<Span>,
}

impl Column<'_> {
    /// Whether the value depends on a part of the record.
    #[must_use]
    pub fn reads(&self, wanted: Root) -> bool {
        self.value.as_ref().is_some_and(|bound| bound.expr.reads(wanted))
    }

    /// The type of the values, as far as the job tells.
    #[must_use]
    pub fn kind(&self) -> Option<Type> {
        let bound = self.value.as_ref()?;
        let kind = bound.kind.as_ref().map(|kind| kind.kind).filter(|kind| *kind != Type::Unknown);
        bound.declared.map(|(kind, _)| kind).or(kind)
    }
}

/// What is known of the tables of a connection.
#[derive(Debug, Clone, Copy)]
pub enum Tables<'a> {
    /// Nobody was asked.
    Nothing,
    /// They could not be read, which was reported: nothing follows from it.
    Unreadable,
    /// All of them.
    Known(&'a Schema),
}

/// What is known besides the job itself.
pub struct Scope<'a> {
    /// The configuration.
    pub config: &'a ast::Config,
    /// What is known of the tables of a connection.
    pub tables: &'a (dyn Fn(&str) -> Tables<'a> + Sync),
    /// The texts, to place what is inside a scalar.
    pub files: &'a Files,
}

/// Binds the names of a job.
pub fn job<'a>(job: &'a ast::Job, scope: &Scope<'a>, diagnostics: &mut Diagnostics) -> Job<'a> {
    let mut environment = Environment::new(&job.source, data_type::of(job), scope.files);
    let steps = transform::run(job, scope, &mut environment, diagnostics);
    let mut outputs: Vec<Output<'a>> = Vec::new();
    for ast in &job.outputs {
        let resolved = output(ast, scope, &environment, &outputs, diagnostics);
        outputs.extend(resolved);
    }
    let redis = job.redis.iter().filter_map(|ast| redis::write(ast, scope, &environment, diagnostics)).collect();
    let Reads { steps: read, captured, .. } = environment.reads.take();
    let sets =
        |step: &ast::Step| matches!(step, ast::Step::Add { .. } | ast::Step::Rename { .. } | ast::Step::Lookup(_));
    let is_whole = outputs.len() == job.outputs.len() && !job.transform.contains(&ast::Step::Unknown);
    let unused = job.transform.iter().enumerate().filter(|(at, step)| is_whole && sets(step) && !read.contains(at));
    let unused = unused.map(|(at, _)| at).collect();
    Job { ast: job, steps, outputs, redis, unused, captured }
}

fn output<'a>(
    ast: &'a ast::Relational,
    scope: &Scope<'a>,
    environment: &Environment<'a>,
    others: &[Output<'a>],
    diagnostics: &mut Diagnostics,
) -> Option<Output<'a>> {
    let connection = connection(ast, scope.config, diagnostics);
    let when = ast.when.as_ref().and_then(|when| compiled(when, environment, diagnostics));
    let opcode = ast.opcode_field.as_ref().and_then(|path| path_value(path, environment, diagnostics));
    let (mut foreach, inner) = match &ast.foreach {
        Some(foreach) => foreach::list(foreach, environment, diagnostics),
        None => (None, environment.clone()),
    };
    let tables = connection.map_or(Tables::Unreadable, |_| (scope.tables)(&ast.connection.value));
    let place = match tables {
        Tables::Known(schema) => connection.map(|connection| Place { schema, connection }),
        Tables::Nothing | Tables::Unreadable => None,
    };
    let found = place.and_then(|place| Some((place, place.table(ast, diagnostics)?)));
    let table = found.map(|(_, table)| table);
    let (columns, key_columns) = columns(ast, found, &inner, diagnostics);
    let Reads { steps, captured, .. } = inner.reads.take();
    environment.reads.borrow_mut().steps.extend(steps);
    environment.reads.borrow_mut().captured.extend(captured);
    if let Some(foreach) = &mut foreach {
        foreach.parent = foreach::parent(environment.source, foreach.ast, &columns, others, diagnostics);
    }
    let (connection, blind) = (connection?, matches!(tables, Tables::Nothing));
    let opcode = opcode.map(|bound| bound.expr);
    Some(Output { ast, connection, table, blind, when, foreach, opcode, columns, key_columns })
}

/// The columns, each once, and how many of them are key columns.
fn columns<'a>(
    ast: &'a ast::Relational,
    table: Option<(Place<'a>, &'a Table)>,
    environment: &Environment<'_>,
    diagnostics: &mut Diagnostics,
) -> (Vec<Column<'a>>, usize) {
    let mut columns: Vec<Column<'a>> = Vec::new();
    let mut key_columns = 0;
    for (at, mapping) in ast.keys.iter().chain(&ast.mapping).enumerate() {
        if let Some(first) = columns.iter().find(|column| column.ast.column.value == mapping.column.value) {
            let message = format!("the column `{}` is written twice", mapping.column.value);
            let diagnostic = Diagnostic::new(Code::E0202, mapping.column.span, message, "written again here");
            let diagnostic = diagnostic.because(first.ast.column.span, "written first here");
            diagnostics.report(diagnostic.help("keep one of the two; a column of `keys` is written without `mapping`"));
            continue;
        }
        let target = table.and_then(|(place, table)| place.column(table, &mapping.column, diagnostics));
        let mut value = bound(&mapping.from, environment, diagnostics);
        if let (Some(bound), Some(kind)) = (&mut value, &mapping.kind) {
            bound.declared = Some((kind.value, kind.span));
        }
        columns.push(Column { ast: mapping, target, value });
        key_columns += usize::from(at < ast.keys.len());
    }
    (columns, key_columns)
}

/// The connection of an output, if it is one that its writer can write to.
fn connection<'a>(
    ast: &ast::Relational,
    config: &'a ast::Config,
    diagnostics: &mut Diagnostics,
) -> Option<&'a ast::Connection> {
    let name = &ast.connection;
    let found = config.connections.iter().find(|(known, _)| known.value == name.value);
    let Some((known, connection)) = found else {
        match config.redis.iter().find(|(known, _)| known.value == name.value) {
            Some((known, _)) => {
                let help = "a row goes to a database; to Redis writes `uses: redis.write`";
                wrong_connection(name, ast.writer.name(), "a Redis", known.span, help, diagnostics);
            }
            None => unknown_connection(name, "postgresql", config, diagnostics),
        }
        return None;
    };
    if connection.takes(ast.writer) {
        return Some(connection);
    }
    let help = "to it writes `uses: relational.write`";
    wrong_connection(name, ast.writer.name(), connection.dialect().title(), known.span, help, diagnostics);
    None
}

/// Whether a name is that of a Redis connection; if not, that is reported.
fn redis_connection(name: &Spanned<String>, block: &str, config: &ast::Config, diagnostics: &mut Diagnostics) -> bool {
    if config.redis.iter().any(|(known, _)| known.value == name.value) {
        return true;
    }
    match config.connections.iter().find(|(known, _)| known.value == name.value) {
        Some((known, connection)) => {
            let help = "name a connection of `type: redis`";
            wrong_connection(name, block, connection.dialect().title(), known.span, help, diagnostics);
        }
        None => unknown_connection(name, "redis", config, diagnostics),
    }
    false
}

fn wrong_connection(
    name: &Spanned<String>,
    block: &str,
    what: &str,
    known: Span,
    help: &str,
    diagnostics: &mut Diagnostics,
) {
    let message = format!("`{block}` cannot use the connection `{}`", name.value);
    let diagnostic = Diagnostic::new(Code::E0212, name.span, message, format!("this is {what}"));
    diagnostics.report(diagnostic.because(known, "the connection is here").help(help));
}

/// A compiled expression of the job. `None` where it has an error, which is reported.
fn compiled(
    expression: &ast::Expression,
    environment: &Environment<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Compiled> {
    let place = |start: usize, end: usize| expression.place(environment.files, start, end);
    let text = expr::Text { text: &expression.text, place: &place };
    environment.begin();
    let compiled = expr::compile(expression.language, &text, environment, diagnostics);
    if !environment.is_too_large() {
        return compiled;
    }
    let message = "with the fields that it uses, this expression becomes too large";
    let label = format!("more than {} parts", environment::NODES_MAX);
    let diagnostic = Diagnostic::new(Code::E0018, expression.span, message, label);
    diagnostics.report(diagnostic.help(
        "a field that a step sets is put in wherever it is read: read it less often, or set it by a shorter expression",
    ));
    None
}

/// What gives the value of a column.
fn bound(from: &ast::From, environment: &Environment<'_>, diagnostics: &mut Diagnostics) -> Option<Bound> {
    match from {
        ast::From::Path(path) => path_value(path, environment, diagnostics),
        ast::From::Expression(expression) => {
            let Compiled { expr, kind } = compiled(expression, environment, diagnostics)?;
            Some(Bound { expr, kind: Some(kind), declared: None, set: None })
        }
    }
}

/// The field that a path names. `None` where there is none, which is reported.
fn path_value(path: &ast::Path, environment: &Environment<'_>, diagnostics: &mut Diagnostics) -> Option<Bound> {
    let source = environment.source;
    if let [first, name, ..] = path.names.as_slice()
        && first == "key"
        && (source.full || source.key.is_some())
        && name != "key"
        && template_field(source, name).is_none()
    {
        unknown_key_field(source, name, path, diagnostics);
        return None;
    }
    match environment.find(&path.names) {
        Found::There(field) => {
            let expr = field.expr();
            let (declared, kind) = match &expr {
                Expr::Path { root: root @ (Root::Value | Root::Before | Root::After), names } => {
                    (declared(source, *root, names, environment.files), None)
                }
                Expr::Path { root: Root::Key, names } => {
                    (declared(source, Root::Key, names, environment.files), Some(environment.kind(&expr)))
                }
                other => (None, Some(environment.kind(other))),
            };
            Some(Bound { expr, kind, declared, set: field.set.map(|set| set.span) })
        }
        Found::Gone(gone) => {
            diagnostics.report(gone.diagnostic(path.span, &path.text));
            None
        }
        Found::Unknown => {
            let first = path.names.first().map_or("", String::as_str);
            let message = format!("there is no `{first}` here");
            let known = environment.name(first).err().unwrap_or_default();
            let help = did_you_mean(first, known.iter().map(String::as_str));
            let span = path.span.part(0, if path.text.starts_with(first) { first.len() } else { path.text.len() });
            diagnostics.report(Diagnostic::new(Code::E0208, span, message, "unknown name").maybe_help(help));
            None
        }
    }
}

fn unknown_connection(name: &Spanned<String>, kind: &str, config: &ast::Config, diagnostics: &mut Diagnostics) {
    // A connection that could not be read was reported where it stands.
    if !config.complete {
        return;
    }
    let message = format!("there is no connection `{}`", name.value);
    let tables = config.connections.iter().map(|(known, _)| known.value.as_str());
    let redis = config.redis.iter().map(|(known, _)| known.value.as_str());
    let known: Vec<&str> = if kind == "redis" { redis.collect() } else { tables.collect() };
    let help = did_you_mean(&name.value, known.iter().copied()).unwrap_or_else(|| {
        let host = if kind == "redis" { "\n    host: 127.0.0.1" } else { "\n    host: localhost" };
        format!("add to `connections` in config.yaml:\n  {}:\n    type: {kind}{host}", name.value)
    });
    diagnostics.report(Diagnostic::new(Code::E0201, name.span, message, "not in `connections`").help(help));
}

fn unknown_key_field(source: &ast::Source, name: &str, path: &ast::Path, diagnostics: &mut Diagnostics) {
    let parts = source.key.as_ref().map_or(&[][..], |key| &key.parts);
    let mut known: Vec<&str> = vec!["key"];
    known.extend(parts.iter().filter_map(|part| match part {
        redis_wb_grammar::key::Part::Field { name, .. } => Some(name.as_str()),
        redis_wb_grammar::key::Part::Literal(_) => None,
    }));
    let message = format!("the key has no field `{name}`");
    let mut diagnostic = Diagnostic::new(Code::E0204, path.span, message, "not in the key template");
    if let Some(key) = &source.key {
        diagnostic = diagnostic.because(key.node.span, "the template is here");
    }
    diagnostics.report(diagnostic.maybe_help(did_you_mean(name, known)));
}
