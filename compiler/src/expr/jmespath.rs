//! JMESPath's tree into the IR. Names are bound by the scope as long as the current value is the record itself, and
//! are fields of the current value behind a pipe or inside a projection.

use redis_wb_grammar::jmespath::{self, Ast, Kind, Name};
use redis_wb_plan::expr::{Comparator, Root};
use redis_wb_plan::infer::{self, Types};
use redis_wb_plan::{ColumnType, Expr, ExprType, Type, Value, json};

use super::{Language, Scope, Text, field_of, foreign, is_plain, parsed, scope};
use crate::codes::Code;
use crate::suggest::did_you_mean;
use crate::{Diagnostic, Diagnostics};

/// What the current value is.
#[derive(Clone, Copy)]
pub(super) enum Current<'c> {
    /// The record: names are bound by the scope.
    Record,
    /// A value of this type that the enclosing expression hands in.
    Value(&'c ExprType),
}

pub(super) struct Lowering<'l> {
    pub(super) text: Text<'l>,
    pub(super) scope: &'l dyn Scope,
    pub(super) diagnostics: &'l mut Diagnostics,
}

pub(super) fn compile(text: &Text<'_>, scope: &dyn Scope, diagnostics: &mut Diagnostics) -> Option<Expr> {
    compile_with(text, scope, diagnostics, Current::Record)
}

/// What to do about an expression that does not parse.
fn syntax_help(message: &str, rest: &str) -> String {
    let number = rest.len() - rest.trim_start_matches(|char: char| char.is_ascii_digit() || char == '.').len();
    if let Some(number) =
        rest.get(..number).filter(|number| !number.is_empty() && message.ends_with("cannot stand here"))
    {
        return format!("write a number in backticks: `` `{number}` ``");
    }
    let pairs = [("`(` is closed", ')'), ("`[` is closed", ']'), ("`{` is closed", '}')];
    let close = pairs.into_iter().find(|(open, _)| message.contains(open)).map(|(_, close)| format!("add `{close}`"));
    let what = close.as_deref().unwrap_or("mend the expression here");
    format!("{what}; `redis-wb functions` lists what JMESPath has here")
}

/// Compiles an expression whose current value is handed in.
pub(super) fn compile_with(
    text: &Text<'_>,
    scope: &dyn Scope,
    diagnostics: &mut Diagnostics,
    current: Current<'_>,
) -> Option<Expr> {
    let ast = match jmespath::parse(text.text) {
        Ok(ast) => ast,
        Err(error) => {
            let rest = text.text.get(error.span.start..).unwrap_or_default();
            let help =
                foreign::help(text.text, Language::JmesPath).unwrap_or_else(|| syntax_help(&error.message, rest));
            let diagnostic = Diagnostic::new(Code::E0103, text.span(error.span), error.message, "here");
            diagnostics.report(diagnostic.help(help));
            return None;
        }
    };
    Lowering { text: *text, scope, diagnostics }.lower(&ast, current)
}

impl Lowering<'_> {
    /// The IR of a tree. `None` where there is an error, which is reported.
    pub(super) fn lower(&mut self, ast: &Ast, current: Current<'_>) -> Option<Expr> {
        self.is_there(ast, current)?;
        match &ast.kind {
            Kind::Current => Some(self.current(current)),
            Kind::Field(name) => self.name(name, current),
            Kind::Literal(text) => self.literal(text, ast),
            Kind::Raw(text) => Some(Expr::literal(Value::Text(text.clone().into()))),
            Kind::Sub(left, right) | Kind::Pipe(left, right) => self.pipe(left, right, current),
            Kind::Index(of, at) => Some(Expr::Index { of: self.structure(of, current)?, at: *at }),
            Kind::Slice { of, start, stop, step } => self.slice(ast, of, (*start, *stop, *step), current),
            Kind::Flatten(of) => Some(Expr::Flatten(self.structure(of, current)?)),
            Kind::Values(of) => Some(Expr::Values(self.structure(of, current)?)),
            Kind::Filter(of, keep) => self.each(of, keep, current, |of, keep| Expr::Filter { of, keep }),
            Kind::Project(of, body) => self.each(of, body, current, |of, body| Expr::Project { of, body }),
            Kind::List(items) => {
                let items = self.all(items, current)?;
                Some(self.unless_null(Expr::List(items), current))
            }
            Kind::Object(fields) => self.object(fields, current),
            Kind::Or(items) => Some(Expr::Or(self.all(items, current)?)),
            Kind::And(items) => Some(Expr::And(self.all(items, current)?)),
            Kind::Not(of) => Some(Expr::Not(Box::new(self.lower(of, current)?))),
            Kind::Compare(op, left, right) => self.compare(*op, left, right, current),
            Kind::Call(name, arguments) => self.call(ast, name, arguments, current),
            Kind::Reference(_) => {
                let message = "an expression with `&` is an argument of a function";
                let help = "hand it to one that takes an expression, such as `sort_by(lines, &no)`".to_owned();
                self.report(Code::E0103, ast.span, message, "not an argument", Some(help));
                None
            }
        }
    }

    /// Reports a path to a field that a step took away.
    fn is_there(&mut self, ast: &Ast, current: Current<'_>) -> Option<()> {
        if let (Some(names), Current::Record) = (path(ast), current)
            && let Some(gone) = self.scope.gone(&names)
        {
            self.diagnostics.report(gone.diagnostic(self.text.span(ast.span), &names.join(".")));
            return None;
        }
        Some(())
    }

    pub(super) fn report(
        &mut self,
        code: Code,
        span: redis_wb_grammar::Span,
        message: impl Into<String>,
        label: impl Into<String>,
        help: Option<String>,
    ) {
        let diagnostic = Diagnostic::new(code, self.text.span(span), message, label);
        self.diagnostics.report(diagnostic.maybe_help(help));
    }

    /// The type of an expression.
    pub(super) fn infer(&self, expr: &Expr, current: Current<'_>) -> ExprType {
        self.with_types(current, |types| infer::infer(expr, types))
    }

    pub(super) fn with_types<R>(&self, current: Current<'_>, then: impl FnOnce(Types<'_>) -> R) -> R {
        let root = |root: Root| self.scope.type_of(root);
        match current {
            Current::Record => then(scope::types(&root, &ExprType::UNKNOWN)),
            Current::Value(current) => then(scope::types(&root, current)),
        }
    }

    fn current(&self, current: Current<'_>) -> Expr {
        match current {
            Current::Record => self.scope.root(),
            Current::Value(_) => Expr::Current,
        }
    }

    fn name(&mut self, name: &Name, current: Current<'_>) -> Option<Expr> {
        if let Current::Value(_) = current {
            return Some(self.field(Expr::Current, name, current));
        }
        match self.scope.name(&name.text) {
            Ok(expr) => Some(self.typed(expr)),
            Err(known) => {
                let message = format!("there is no `{}` here", name.text);
                let help = did_you_mean(&name.text, known.iter().map(String::as_str));
                self.report(Code::E0208, name.span, message, "unknown name", help);
                None
            }
        }
    }

    /// A path in the type that the job declares for it.
    fn typed(&self, path: Expr) -> Expr {
        let declared = match &path {
            Expr::Path { root, names } => self.scope.declared(*root, names),
            _ => None,
        };
        match declared {
            Some(to) if to != ColumnType::from(Type::Text) => Expr::Convert { from: Box::new(path), to },
            _ => path,
        }
    }

    /// A field of an expression.
    fn field(&mut self, of: Expr, name: &Name, current: Current<'_>) -> Expr {
        let kind = self.infer(&of, current);
        self.has_fields(&kind, name);
        self.typed(field_of(of, &kind, &name.text))
    }

    fn has_fields(&mut self, kind: &ExprType, name: &Name) {
        let help = match kind.kind {
            Type::Unknown | Type::Null | Type::Object | Type::Json => return,
            Type::List => format!("for the `{}` of each element write `[*].{}`", name.text, name.text),
            Type::Bool => "`!` binds tighter than a dot: write `!(a.b)`".to_owned(),
            _ => "if the text is JSON, write `json_parse(...)` around it".to_owned(),
        };
        let message = format!("`{}` is always null: a value of type `{}` has no fields", name.text, kind.kind);
        self.report(Code::W0307, name.span, message, "never there", Some(help));
    }

    /// An expression whose parts are wanted: a JSON document is parsed first.
    fn structure(&mut self, of: &Ast, current: Current<'_>) -> Option<Box<Expr>> {
        let of = self.lower(of, current)?;
        let kind = self.infer(&of, current);
        Some(Box::new(parsed(of, &kind)))
    }

    fn literal(&mut self, text: &str, ast: &Ast) -> Option<Expr> {
        if let Ok(value) = json::parse(text) {
            return Some(Expr::literal(value.into_static()));
        }
        // Before JSON literals were the rule, a text needed no quotes: `foo` is the text "foo".
        let quoted = format!("\"{}\"", text.trim_start());
        match json::parse(&quoted) {
            Ok(value) => Some(Expr::literal(value.into_static())),
            Err(reject) => {
                let help = "between backticks stands JSON; a text is written 'in single quotes'".to_owned();
                self.report(Code::E0103, ast.span, reject.reason.as_str(), "not JSON", Some(help));
                None
            }
        }
    }

    fn pipe(&mut self, left: &Ast, right: &Ast, current: Current<'_>) -> Option<Expr> {
        let of = self.lower(left, current)?;
        if let Kind::Field(name) = &right.kind {
            return Some(self.field(of, name, current));
        }
        let kind = self.infer(&of, current);
        let of = parsed(of, &kind);
        let kind = if kind.kind == Type::Json { ExprType::UNKNOWN } else { kind };
        let body = self.lower(right, Current::Value(&kind))?;
        Some(match body {
            // The current value of the inner pipe is the whole of the outer one.
            Expr::Pipe { of: inner, body, stops_at_null } if *inner == Expr::Current => {
                Expr::Pipe { of: Box::new(of), body, stops_at_null }
            }
            body => substituted(of, body),
        })
    }

    /// A list or object of JMESPath is null where the current value is.
    fn unless_null(&self, body: Expr, current: Current<'_>) -> Expr {
        let of = self.current(current);
        let is_record = matches!(current, Current::Record) && !self.scope.may_be_null();
        if is_record || !self.infer(&of, current).nullable {
            return body;
        }
        Expr::Pipe { of: Box::new(of), body: Box::new(body), stops_at_null: true }
    }

    fn object(&mut self, fields: &[(Name, Ast)], current: Current<'_>) -> Option<Expr> {
        let mut lowered: Vec<(String, Expr)> = Vec::new();
        for (name, value) in fields {
            let value = self.lower(value, current)?;
            match lowered.iter_mut().find(|(known, _)| *known == name.text) {
                Some((_, known)) => *known = value,
                None => lowered.push((name.text.clone(), value)),
            }
        }
        Some(self.unless_null(Expr::Object(lowered), current))
    }

    fn all(&mut self, items: &[Ast], current: Current<'_>) -> Option<Vec<Expr>> {
        let lowered: Vec<Option<Expr>> = items.iter().map(|item| self.lower(item, current)).collect();
        lowered.into_iter().collect()
    }

    fn slice(
        &mut self,
        ast: &Ast,
        of: &Ast,
        (start, stop, step): (Option<i64>, Option<i64>, Option<i64>),
        current: Current<'_>,
    ) -> Option<Expr> {
        let of = self.structure(of, current)?;
        if step == Some(0) {
            let help = "leave the step out, or write how many elements to go on each time".to_owned();
            self.report(Code::E0306, ast.span, "the step of a slice is 0", "goes nowhere", Some(help));
            return None;
        }
        Some(Expr::Slice { of, start, stop, step })
    }

    /// A projection or filter: the second expression sees an element of the first.
    fn each(
        &mut self,
        of: &Ast,
        body: &Ast,
        current: Current<'_>,
        make: impl FnOnce(Box<Expr>, Box<Expr>) -> Expr,
    ) -> Option<Expr> {
        let of = self.structure(of, current)?;
        let kind = self.infer(&of, current);
        let element = if kind.kind == Type::Object { ExprType::NULL } else { kind.item() };
        let body = self.lower(body, Current::Value(&element))?;
        Some(make(of, Box::new(body)))
    }

    fn compare(&mut self, op: jmespath::Comparator, left: &Ast, right: &Ast, current: Current<'_>) -> Option<Expr> {
        [left, right].into_iter().for_each(|operand| self.quoted(operand));
        let (lowered_left, lowered_right) = (self.lower(left, current), self.lower(right, current));
        let (left_expr, right_expr) = (lowered_left?, lowered_right?);
        let both_constant = left_expr.as_literal().is_some() && right_expr.as_literal().is_some();
        if !both_constant {
            let (left_kind, right_kind) = (self.infer(&left_expr, current), self.infer(&right_expr, current));
            self.comparable(comparator(op), (left, &left_kind), (right, &right_kind))?;
        }
        Some(Expr::Compare { op: comparator(op), left: Box::new(left_expr), right: Box::new(right_expr) })
    }

    /// A name that needs no quotes and has double ones is mostly meant as a text.
    pub(super) fn quoted(&mut self, operand: &Ast) {
        let Kind::Field(name) = &operand.kind else { return };
        let written = self.text.text.get(name.span.start..name.span.end).unwrap_or_default();
        let text = &name.text;
        // A name with other characters may need its quotes; one that ends in a sign, `"id:"`, is hardly any.
        let is_sign = text.ends_with(|char: char| !char.is_alphanumeric() && char != '_');
        if written.starts_with('"') && (is_plain(text) || is_sign) {
            let message = format!("`\"{text}\"` is the field `{text}`, not a text");
            let unquoted = if is_sign { String::new() } else { format!("; the field needs no quotes: `{text}`") };
            let help = format!("write `'{text}'` for the text{unquoted}");
            self.report(Code::W0313, name.span, message, "a field", Some(help));
        }
    }

    /// Refuses a comparison that gives the same for every record.
    fn comparable(&mut self, op: Comparator, left: (&Ast, &ExprType), right: (&Ast, &ExprType)) -> Option<()> {
        let (left_class, right_class) = (class(left.1), class(right.1));
        let sides = [(left, left_class), (right, right_class)];
        let message = if op.is_order() {
            let is_ordered = |class: &Class| matches!(class, Class::Any | Class::Number | Class::Time(_));
            let ordered = sides.iter().all(|(_, class)| is_ordered(class)) && left_class.meets(right_class);
            // Where one side is not known, JMESPath's null stands.
            if ordered || sides.iter().any(|(_, class)| *class == Class::Any) {
                return Some(());
            }
            "this comparison is always null: JMESPath orders only numbers"
        } else {
            let both_null = left.1.nullable && right.1.nullable;
            if both_null || left_class.meets(right_class) {
                return Some(());
            }
            "this comparison is always the same: its sides are never equal"
        };
        let label = |kind: &ExprType| format!("this is `{}`", kind.kind);
        let place = |ast: &Ast| self.text.span(ast.span);
        let mut diagnostic = Diagnostic::new(Code::E0305, place(left.0), message, label(left.1));
        diagnostic = diagnostic.because(place(right.0), label(right.1));
        let text = sides.iter().find(|(side, class)| *class == Class::Text && side.1.kind == Type::Text);
        let help = text.map(|((ast, _), _)| {
            let name = ast.to_string();
            format!("if it holds a number, write `to_number({name})`, or declare its type: `source.redis.fields`")
        });
        self.diagnostics.report(diagnostic.maybe_help(help));
        None
    }
}

/// The names of a path that starts from the record and goes from field to field.
fn path(ast: &Ast) -> Option<Vec<String>> {
    match &ast.kind {
        Kind::Field(name) => Some(vec![name.text.clone()]),
        Kind::Sub(of, right) => {
            let Kind::Field(name) = &right.kind else { return None };
            let mut names = path(of)?;
            names.push(name.text.clone());
            Some(names)
        }
        _ => None,
    }
}

/// What can be equal to what.
#[derive(Clone, Copy, PartialEq)]
enum Class {
    Any,
    Bool,
    Number,
    Text,
    Time(Type),
    Bytes,
    List,
    Object,
}

impl Class {
    fn meets(self, other: Self) -> bool {
        let is_text = |class| matches!(class, Self::Text | Self::Time(_));
        self == other || self == Self::Any || other == Self::Any || (is_text(self) && is_text(other) && self != other)
    }
}

const fn class(kind: &ExprType) -> Class {
    match kind.kind {
        Type::Unknown | Type::Null => Class::Any,
        Type::Bool => Class::Bool,
        Type::Int | Type::Float | Type::Decimal => Class::Number,
        Type::Text | Type::Json | Type::Uuid => Class::Text,
        Type::Date | Type::Time | Type::Timestamp | Type::TimestampTz => Class::Time(kind.kind),
        Type::Bytes => Class::Bytes,
        Type::List => Class::List,
        Type::Object => Class::Object,
    }
}

const fn comparator(op: jmespath::Comparator) -> Comparator {
    match op {
        jmespath::Comparator::Equal => Comparator::Equal,
        jmespath::Comparator::NotEqual => Comparator::NotEqual,
        jmespath::Comparator::Less => Comparator::Less,
        jmespath::Comparator::LessOrEqual => Comparator::LessOrEqual,
        jmespath::Comparator::Greater => Comparator::Greater,
        jmespath::Comparator::GreaterOrEqual => Comparator::GreaterOrEqual,
    }
}

/// `body` with its current value in place, where it stands there once; else a pipe.
fn substituted(of: Expr, mut body: Expr) -> Expr {
    let mut place = &mut body;
    loop {
        match place {
            Expr::Current => {
                *place = of;
                return body;
            }
            Expr::Index { of: inner, .. }
            | Expr::Field { of: inner, .. }
            | Expr::Slice { of: inner, .. }
            | Expr::Flatten(inner)
            | Expr::Values(inner)
            | Expr::Not(inner)
            | Expr::Project { of: inner, .. }
            | Expr::Filter { of: inner, .. } => place = inner,
            _ => return Expr::Pipe { of: Box::new(of), body: Box::new(body), stops_at_null: false },
        }
    }
}
