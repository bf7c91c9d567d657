//! `redis.write`: the key, the members and the fields of what is written.

use redis_wb_plan::functions::Function;
use redis_wb_plan::plan::{OnUpdate, RedisContent, RedisField, RedisFields};
use redis_wb_plan::{Expr, ExprType, Type, Value};

use super::environment::Environment;
use super::{Scope, bound, compiled, path_value, redis_connection};
use crate::ast::{self, From, Mapping, RedisType};
use crate::codes::Code;
use crate::expr::{Compiled, Scope as _};
use crate::source::Span;
use crate::{Diagnostic, Diagnostics};

/// A write to Redis whose names are bound.
#[derive(Debug)]
pub struct RedisWrite<'a> {
    /// As written.
    pub ast: &'a ast::RedisWrite,
    /// `when`.
    pub when: Option<Compiled>,
    /// The key.
    pub key: Expr,
    /// What is written there.
    pub content: RedisContent,
    /// What a write does to what is there.
    pub on_update: OnUpdate,
}

impl RedisWrite<'_> {
    /// The command that not every Redis has, where the write needs one.
    #[must_use]
    pub const fn command(&self) -> Option<&'static str> {
        match (&self.content, self.on_update) {
            (RedisContent::Json(_), OnUpdate::Replace) => Some("JSON.SET"),
            (RedisContent::Json(_), OnUpdate::Merge) | (RedisContent::Nested { .. }, _) => Some("JSON.MERGE"),
            _ => None,
        }
    }
}

/// Binds the names of a write. `None` where something that is always needed has an error, which is reported.
pub(super) fn write<'a>(
    ast: &'a ast::RedisWrite,
    scope: &Scope<'a>,
    environment: &Environment<'a>,
    diagnostics: &mut Diagnostics,
) -> Option<RedisWrite<'a>> {
    let is_known = redis_connection(&ast.connection, "redis.write", scope.config, diagnostics);
    let when = ast.when.as_ref().map(|when| compiled(when, environment, diagnostics));
    let mut write = Write { ast, environment, diagnostics };
    let key = write.key();
    let content = write.content();
    let when = match when {
        Some(None) => return None,
        when => when.flatten(),
    };
    let (true, Some(key), Some(content)) = (is_known, key, content) else { return None };
    Some(RedisWrite { ast, when, key, content, on_update: ast.on_update })
}

struct Write<'w, 'a> {
    ast: &'w ast::RedisWrite,
    environment: &'w Environment<'a>,
    diagnostics: &'w mut Diagnostics,
}

impl Write<'_, '_> {
    fn key(&mut self) -> Option<Expr> {
        if let Some(nest) = &self.ast.nest {
            let value = path_value(&nest.child_key, self.environment, self.diagnostics)?;
            let prefix = format!("{}:{}:", nest.table.value, nest.parent_key.value);
            let value = self.text("the key", nest.child_key.span, value.expr)?;
            let parts = vec![Expr::literal(Value::Text(prefix.into())), value];
            return Some(Expr::call(Function::named("concat")?, vec![Expr::List(parts)]));
        }
        let key = self.ast.key.as_ref()?;
        let expr = compiled(key, self.environment, self.diagnostics)?.expr;
        self.text("the key", key.span, expr)
    }

    /// A value that must be a text; what can be written as one is.
    fn text(&mut self, what: &str, span: Span, expr: Expr) -> Option<Expr> {
        let kind = self.environment.kind(&expr);
        let is_text = !matches!(kind.kind, Type::List | Type::Object | Type::Null);
        self.fits(what, span, &kind, is_text, "a text")?;
        let as_it_is = kind.kind == Type::Text;
        Some(if as_it_is { expr } else { Expr::Convert { from: Box::new(expr), to: Type::Text.into() } })
    }

    fn fits(&mut self, what: &str, span: Span, kind: &ExprType, fits: bool, wanted: &str) -> Option<()> {
        if !fits {
            let message = format!("{what} must be {wanted}, never a value of type `{}`", kind.kind);
            let diagnostic = Diagnostic::new(Code::E0327, span, message, format!("this is `{kind}`"));
            let made = match kind.kind {
                _ if wanted != "a text" => "`to_number(...)`",
                Type::List => "`join(',', ...)`",
                _ => "`to_string(...)`",
            };
            let help = format!("name a field that holds {wanted}, or make one of it, such as by {made}");
            self.diagnostics.report(diagnostic.help(help));
        }
        fits.then_some(())
    }

    fn content(&mut self) -> Option<RedisContent> {
        if let Some(nest) = &self.ast.nest {
            let member = path_value(&nest.nesting_key, self.environment, self.diagnostics)?;
            let member = self.text("the nesting key", nest.nesting_key.span, member.expr)?;
            return Some(RedisContent::Nested { path: nest.path.value.clone(), member, fields: self.fields(true)? });
        }
        Some(match self.ast.data_type {
            RedisType::Hash => RedisContent::Hash(self.fields(false)?),
            RedisType::Json => RedisContent::Json(self.fields(true)?),
            RedisType::Stream => RedisContent::Stream(self.fields(false)?),
            RedisType::Set => RedisContent::Set { member: self.member()? },
            RedisType::SortedSet => {
                let (member, score) = (self.member(), self.score());
                RedisContent::SortedSet { member: member?, score: score? }
            }
            RedisType::String => RedisContent::String { value: self.argument("value")?.1 },
        })
    }

    fn argument(&mut self, name: &str) -> Option<(Span, Expr)> {
        let (_, path) = self.ast.args.iter().find(|(known, _)| known.value == name)?;
        Some((path.span, path_value(path, self.environment, self.diagnostics)?.expr))
    }

    fn member(&mut self) -> Option<Expr> {
        let (span, member) = self.argument("member")?;
        self.text("a member", span, member)
    }

    fn score(&mut self) -> Option<Expr> {
        let (span, score) = self.argument("score")?;
        let kind = self.environment.kind(&score);
        let is_number =
            matches!(kind.kind, Type::Int | Type::Float | Type::Decimal | Type::Text | Type::Unknown | Type::Json);
        self.fits("a score", span, &kind, is_number, "a number")?;
        Some(Expr::Convert { from: Box::new(score), to: Type::Float.into() })
    }

    fn fields(&mut self, has_paths: bool) -> Option<RedisFields> {
        if self.ast.mapping.is_empty() {
            return Some(RedisFields::Whole(self.environment.root()));
        }
        let fields: Vec<_> = self.ast.mapping.iter().map(|mapping| self.field(mapping, has_paths)).collect();
        fields.into_iter().collect::<Option<Vec<_>>>().map(RedisFields::Each)
    }

    fn field(&mut self, mapping: &Mapping, has_paths: bool) -> Option<RedisField> {
        let value = bound(&mapping.from, self.environment, self.diagnostics)?;
        let name = &mapping.column.value;
        let names = redis_wb_grammar::path::parse(name).ok().filter(|_| has_paths);
        let path = match (names, &mapping.from) {
            (Some(names), _) => names.into_iter().map(|name| name.text).collect(),
            (None, From::Path(_) | From::Expression(_)) => vec![name.clone()],
        };
        let expr = match &mapping.kind {
            Some(kind) => Expr::Convert { from: Box::new(value.expr), to: kind.value.into() },
            None => value.expr,
        };
        Some(RedisField { path, expr, origin: mapping.from.text().to_owned() })
    }
}
