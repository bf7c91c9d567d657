//! The steps of `transform`, carried out on what is known when compiling: each field's value is an expression over the
//! captured record, and what is left for the runtime are conditions and lookups.

use redis_wb_plan::expr::{Names, Root};
use redis_wb_plan::plan::OnUnmatched;
use redis_wb_plan::{Expr, ExprType, Type};

use super::environment::Environment;
use super::field::{Field, Found, Set, has_fields};
use super::{Scope, compiled, redis_connection};
use crate::ast::{self, Expression, MapBody, Path};
use crate::codes::Code;
use crate::expr::Gone;
use crate::source::{Span, Spanned};
use crate::suggest::did_you_mean;
use crate::{Diagnostic, Diagnostics};

/// A step that is left for the runtime.
#[derive(Debug)]
pub enum Step<'a> {
    /// A condition.
    Filter {
        /// As written.
        ast: &'a Expression,
        /// The condition.
        expr: Expr,
        /// What it gives.
        kind: ExprType,
        /// `on_unmatched`, where the job says it.
        on_unmatched: Option<OnUnmatched>,
    },
    /// A lookup.
    Lookup(Lookup<'a>),
}

/// A lookup whose names are bound.
#[derive(Debug)]
pub struct Lookup<'a> {
    /// As written.
    pub ast: &'a ast::Lookup,
    /// Its arguments.
    pub args: Vec<Expr>,
}

/// Carries the steps out, one after the other.
pub(super) fn run<'a>(
    job: &'a ast::Job,
    scope: &Scope<'a>,
    environment: &mut Environment<'a>,
    diagnostics: &mut Diagnostics,
) -> Vec<Step<'a>> {
    let mut steps = Vec::new();
    let mut order = Order::default();
    for (number, step) in job.transform.iter().enumerate() {
        let before = environment.reads.take();
        steps.extend(Run { environment, scope, diagnostics, number }.step(step));
        order.note(step, environment, diagnostics);
        environment.reads.borrow_mut().steps.extend(before.steps);
    }
    steps
}

struct Run<'r, 'a> {
    environment: &'r mut Environment<'a>,
    scope: &'r Scope<'a>,
    diagnostics: &'r mut Diagnostics,
    number: usize,
}

impl<'a> Run<'_, 'a> {
    fn step(&mut self, step: &'a ast::Step) -> Option<Step<'a>> {
        match step {
            ast::Step::Add { field, expression } => self.add(field, expression.as_ref()),
            ast::Step::Rename { from, to } => self.rename(from, to),
            ast::Step::Remove { field } => self.remove(field),
            ast::Step::Map { body, span } => self.map(body, *span),
            ast::Step::Filter { expression, on_unmatched } => return self.filter(expression, *on_unmatched),
            ast::Step::Lookup(lookup) => return self.lookup(lookup),
            ast::Step::Unknown => self.environment.forget(),
        }
        None
    }

    fn set(&self, field: &Path) -> Set {
        Set { step: self.number, span: field.span }
    }

    fn add(&mut self, field: &Path, expression: Option<&Expression>) {
        let compiled = expression.and_then(|expression| compiled(expression, self.environment, self.diagnostics));
        let value = compiled.map_or_else(Environment::unknown_field, |compiled| Field::of(compiled.expr));
        self.environment.put(&field.names, value.set_by(self.set(field)));
    }

    fn rename(&mut self, from: &Path, to: &Path) {
        let field = match self.environment.find(&from.names) {
            Found::There(field) => field,
            Found::Gone(gone) => {
                self.diagnostics.report(gone.diagnostic(from.span, &from.text));
                Environment::unknown_field()
            }
            // A field that is not there is nothing to rename.
            Found::Unknown => return,
        };
        let gone = Gone {
            span: from.span,
            what: format!("renamed to `{}` here", to.text),
            help: format!("write `{}`, or move this before the step", to.text),
            known: Vec::new(),
        };
        self.environment.take(&from.names, gone);
        self.environment.put(&to.names, field.set_by(self.set(to)));
    }

    fn remove(&mut self, field: &Path) {
        let gone = Gone {
            span: field.span,
            what: "removed here".to_owned(),
            help: format!("take `{}` out of `remove_field`, or move this before the step", field.text),
            known: Vec::new(),
        };
        self.environment.take(&field.names, gone);
    }

    fn map(&mut self, body: &MapBody, span: Span) {
        let field = match body {
            MapBody::Expression(expression) => {
                let compiled = compiled(expression, self.environment, self.diagnostics);
                let record = compiled.filter(|compiled| self.is_record(expression, &compiled.kind));
                record.map(|compiled| Field::of(compiled.expr))
            }
            MapBody::Fields(fields) => Some(self.fields(fields)),
        };
        let Some(field) = field else {
            self.environment.forget();
            return;
        };
        let known = field.names();
        let list: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
        let gone = Gone {
            span,
            what: format!("this map keeps {} alone", list.join(", ")),
            help: "add it to the map".to_owned(),
            known,
        };
        self.environment.record = field.closed_by(gone);
    }

    fn fields(&mut self, fields: &[(Spanned<String>, Expression)]) -> Field {
        let field = |(name, expression): &(Spanned<String>, Expression)| {
            let compiled = compiled(expression, self.environment, self.diagnostics);
            let value = compiled.map_or_else(Environment::unknown_field, |compiled| Field::of(compiled.expr));
            (name.value.clone(), value.set_by(Set { step: self.number, span: name.span }))
        };
        let fields: Vec<(String, Field)> = fields.iter().map(field).collect();
        Field::object(fields.into_iter())
    }

    fn is_record(&mut self, expression: &Expression, kind: &ExprType) -> bool {
        if has_fields(kind) {
            return true;
        }
        let message = format!("`map` must give a record, not a value of type `{}`", kind.kind);
        let diagnostic = Diagnostic::new(Code::E0322, expression.span, message, "has no fields");
        let help = if expression.language == crate::expr::Language::Sql {
            "in SQL, write a column for each field:\nexpression:\n  id: id\n  name: upper(name)"
        } else {
            "give the fields names: `{id: id, name: upper(name)}`"
        };
        self.diagnostics.report(diagnostic.help(help));
        false
    }

    fn filter(&mut self, ast: &'a Expression, on_unmatched: Option<OnUnmatched>) -> Option<Step<'a>> {
        let compiled = compiled(ast, self.environment, self.diagnostics)?;
        Some(Step::Filter { ast, expr: compiled.expr, kind: compiled.kind, on_unmatched })
    }

    fn lookup(&mut self, ast: &'a ast::Lookup) -> Option<Step<'a>> {
        let args: Vec<Option<Expr>> = ast
            .args
            .iter()
            .map(|arg| compiled(arg, self.environment, self.diagnostics).map(|compiled| compiled.expr))
            .collect();
        let args: Option<Vec<Expr>> = args.into_iter().collect();
        let is_known = redis_connection(&ast.connection, "redis.lookup", self.scope.config, self.diagnostics);
        let reply = reply(&ast.command, self.diagnostics);
        let (Some(args), true, Some(reply)) = (args, is_known, reply) else {
            let unknown = Environment::unknown_field().set_by(self.set(&ast.field));
            self.environment.put(&ast.field.names, unknown);
            return None;
        };
        let at = u16::try_from(self.environment.lookups.len()).unwrap_or(u16::MAX);
        self.environment.lookups.push(reply);
        let value = Field::of(Expr::Path { root: Root::Lookup(at), names: Names::new() });
        self.environment.put(&ast.field.names, value.set_by(self.set(&ast.field)));
        Some(Step::Lookup(Lookup { ast, args }))
    }
}

/// The commands that read, and what they give.
const READS: [(&str, Reply); 24] = [
    ("GET", Reply::Text),
    ("HGET", Reply::Text),
    ("GETRANGE", Reply::Text),
    ("LINDEX", Reply::Text),
    ("ZSCORE", Reply::Number),
    ("HGETALL", Reply::Fields),
    ("HMGET", Reply::Texts),
    ("MGET", Reply::Texts),
    ("HKEYS", Reply::Texts),
    ("HVALS", Reply::Texts),
    ("LRANGE", Reply::Texts),
    ("SMEMBERS", Reply::Texts),
    ("ZRANGE", Reply::Texts),
    ("JSON.GET", Reply::Document),
    ("EXISTS", Reply::Count),
    ("HEXISTS", Reply::Count),
    ("HLEN", Reply::Count),
    ("LLEN", Reply::Count),
    ("SCARD", Reply::Count),
    ("SISMEMBER", Reply::Count),
    ("STRLEN", Reply::Count),
    ("TTL", Reply::Count),
    ("ZCARD", Reply::Count),
    ("ZRANK", Reply::Number),
];

#[derive(Clone, Copy)]
enum Reply {
    Text,
    Texts,
    Fields,
    Document,
    Number,
    Count,
}

fn reply(command: &Spanned<String>, diagnostics: &mut Diagnostics) -> Option<ExprType> {
    let Some((_, reply)) = READS.iter().find(|(name, _)| command.value.eq_ignore_ascii_case(name)) else {
        let message = format!("`{}` is not a command that a lookup can run", command.value);
        let diagnostic = Diagnostic::new(Code::E0213, command.span, message, "not one that only reads");
        diagnostics.report(diagnostic.maybe_help(did_you_mean(&command.value, READS.iter().map(|(name, _)| *name))));
        return None;
    };
    let text = || ExprType::of(Type::Text);
    Some(match reply {
        Reply::Text => text().or_null(),
        Reply::Texts => ExprType::list(text().or_null()),
        Reply::Fields => ExprType::record(Vec::new(), text().or_null()),
        Reply::Document => ExprType::of(Type::Json).or_null(),
        Reply::Number => ExprType::of(Type::Float).or_null(),
        Reply::Count => ExprType::of(Type::Int),
    })
}

/// What steps have read of the captured record, to tell a field that is read before it is set.
#[derive(Default)]
struct Order {
    read: Vec<(String, Span)>,
}

impl Order {
    fn note(&mut self, step: &ast::Step, environment: &Environment<'_>, diagnostics: &mut Diagnostics) {
        let captured = &environment.reads.borrow().captured;
        if let Some(span) = expression_span(step) {
            self.read.extend(captured.iter().map(|name| (name.clone(), span)));
        }
        let ast::Step::Add { field, expression: Some(_) } = step else { return };
        let [name] = field.names.as_slice() else { return };
        let is_declared = environment.source.fields.iter().any(|(declared, _)| declared.names == field.names);
        let read = self.read.iter().find(|(read, _)| read == name).map(|(_, span)| *span);
        self.read.retain(|(read, _)| read != name);
        // A step that makes a field of itself knows that the key holds it.
        if let Some(span) = read.filter(|_| !captured.contains(name) && !is_declared) {
            let message = format!("`{name}` is read before the step that sets it");
            let diagnostic = Diagnostic::new(Code::W0211, span, message, "reads what the key holds, if anything");
            let diagnostic = diagnostic.because(field.span, "set only here");
            diagnostics.report(diagnostic.help("move the step that sets it before this one"));
        }
    }
}

/// Where a step has its expression.
fn expression_span(step: &ast::Step) -> Option<Span> {
    match step {
        ast::Step::Add { expression, .. } => expression.as_ref().map(|expression| expression.span),
        ast::Step::Map { body: MapBody::Expression(expression), .. } | ast::Step::Filter { expression, .. } => {
            Some(expression.span)
        }
        ast::Step::Lookup(lookup) => lookup.args.first().map(|arg| arg.span),
        _ => None,
    }
}
