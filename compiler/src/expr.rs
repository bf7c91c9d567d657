//! Expressions: text in one of the two languages into the typed IR, every mistake reported in its place.
//!
//! | part | what it does |
//! |---|---|
//! | [`scope`] | what names mean, and of what types they are |
//! | `jmespath` | JMESPath's tree into the IR |
//! | `call` | calls of JMESPath's functions: arity, arguments, constants |
//! | [`sql`] | SQL's tree into the IR |
//! | [`template`] | key templates that stand where an expression is wanted |
//! | `foreign` | words and functions of other languages, for help |
//!
//! Used by the phases that meet expressions; knows neither YAML nor jobs.

pub mod scope;
pub mod sql;
pub mod template;

mod call;
mod foreign;
mod jmespath;

use redis_wb_plan::expr::{EXPR_DEPTH_MAX, Root};
use redis_wb_plan::functions::Function;
use redis_wb_plan::{Expr, ExprType, Type, fold, infer};

pub use scope::{Gone, Scope};

use crate::codes::Code;
use crate::source::Span;
use crate::{Diagnostic, Diagnostics};

/// A language of expressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// JMESPath.
    JmesPath,
    /// SQL, as SQLite has it.
    Sql,
}

impl Language {
    /// The languages by the names that jobs and commands give them.
    pub const NAMED: [(&'static str, Self); 2] = [("jmespath", Self::JmesPath), ("sql", Self::Sql)];
}

/// The text of an expression and the places of its parts.
#[derive(Clone, Copy)]
pub struct Text<'t> {
    /// The text.
    pub text: &'t str,
    /// Where the bytes `start..end` of the text stand in the file.
    pub place: &'t dyn Fn(usize, usize) -> Span,
}

impl Text<'_> {
    pub(crate) fn span(&self, span: redis_wb_grammar::Span) -> Span {
        (self.place)(span.start, span.end)
    }

    fn whole(&self) -> Span {
        (self.place)(0, self.text.len())
    }
}

/// A compiled expression.
#[derive(Debug, Clone, PartialEq)]
pub struct Compiled {
    /// What is evaluated.
    pub expr: Expr,
    /// What it gives.
    pub kind: ExprType,
}

/// Compiles an expression. `None` where there is an error, which is reported.
pub fn compile(
    language: Language,
    text: &Text<'_>,
    scope: &dyn Scope,
    diagnostics: &mut Diagnostics,
) -> Option<Compiled> {
    let expr = match language {
        Language::JmesPath => jmespath::compile(text, scope, diagnostics)?,
        Language::Sql => sql::compile(text, scope, diagnostics)?,
    };
    let expr = fold::fold(expr);
    if expr.depth() > EXPR_DEPTH_MAX {
        let message = format!("the expression nests deeper than {EXPR_DEPTH_MAX} levels");
        let diagnostic = Diagnostic::new(Code::E0103, text.whole(), message, "too deep");
        diagnostics.report(diagnostic.help("take it apart: let one field hold what another one uses"));
        return None;
    }
    let kind = infer::infer(&expr, scope::types(&|root| scope.type_of(root), &ExprType::UNKNOWN));
    Some(Compiled { expr, kind })
}

/// A field of an expression of this type, read as near to the record as it can be.
#[must_use]
pub fn field_of(of: Expr, kind: &ExprType, name: &str) -> Expr {
    match parsed(of, kind) {
        Expr::Path { root, mut names } if root != Root::Opcode => {
            names.push(name.to_owned());
            Expr::Path { root, names }
        }
        Expr::Object(fields) => {
            let found = fields.into_iter().find(|(known, _)| known == name);
            found.map_or(Expr::NULL, |(_, value)| value)
        }
        Expr::Altered { of, set, without } => match set.into_iter().find(|(known, _)| known == name) {
            Some((_, value)) => value,
            None if without.iter().any(|gone| gone == name) => Expr::NULL,
            None => field_of(*of, &ExprType::UNKNOWN, name),
        },
        of => Expr::Field { of: Box::new(of), name: name.to_owned() },
    }
}

/// A document of type `json` as the values that it holds.
fn parsed(expr: Expr, kind: &ExprType) -> Expr {
    match Function::named("json_parse") {
        Some(parse) if kind.kind == Type::Json => Expr::call(parse, vec![expr]),
        _ => expr,
    }
}

/// Whether a name needs no quotes in either language: letters, digits and underscores, no digit first.
fn is_plain(name: &str) -> bool {
    name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_')
        && name.chars().next().is_some_and(|char| !char.is_ascii_digit())
}
