//! Calls of functions: which function it is, how many arguments it takes and of what types, and what it gives where
//! that is known before any record comes.

use redis_wb_grammar::jmespath::{Ast, Kind, Name};
use redis_wb_plan::functions::{self, Accepts, Definition, Function, Param};
use redis_wb_plan::{Expr, ExprType, Type, Value, fold, infer};

use super::jmespath::{self, Current, Lowering};
use super::{Language, Text, foreign};
use crate::codes::Code;
use crate::suggest::meant;

impl Lowering<'_> {
    pub(super) fn call(&mut self, ast: &Ast, name: &Name, arguments: &[Ast], current: Current<'_>) -> Option<Expr> {
        let Some(function) = Function::named(&name.text) else {
            self.unknown_function(name, arguments);
            return None;
        };
        let definition = function.definition();
        self.arity(definition, name, arguments)?;
        let args = self.arguments(definition, arguments, current)?;
        self.constants(definition, arguments, &args)?;
        if definition.name == "concat" {
            self.left_out(arguments, &args, current);
        }
        let call = Expr::call(function, args);
        if let Some(Err(reject)) = fold::constant(&fold::fold(call.clone())) {
            let message = format!("this is rejected for every record: {}", reject.reason);
            let help = format!("`{}`: {}", definition.signature(), first_sentence(definition.doc));
            self.report(Code::E0306, ast.span, message, "always rejected", Some(help));
            return None;
        }
        Some(call)
    }

    /// Constant texts that the function could never use: a pattern that is none, an algorithm that does not exist.
    fn constants(&mut self, definition: &Definition, arguments: &[Ast], args: &[Expr]) -> Option<()> {
        for (at, check) in definition.checks {
            if let (Some(argument), Some(Value::Text(text))) =
                (arguments.get(*at), args.get(*at).and_then(Expr::as_literal))
                && let Err(reject) = check(text)
            {
                let help = format!("`{}`: {}", definition.signature(), first_sentence(definition.doc));
                self.report(Code::E0306, argument.span, reject.reason.as_str(), "always rejected", Some(help));
                return None;
            }
        }
        Some(())
    }

    /// Parts of a `concat` that are null in every record, and so never seen in its result.
    fn left_out(&mut self, arguments: &[Ast], args: &[Expr], current: Current<'_>) {
        let ([Ast { kind: Kind::List(parts), .. }], [Expr::List(values)]) = (arguments, args) else { return };
        parts.iter().for_each(|part| self.quoted(part));
        for (part, value) in parts.iter().zip(values) {
            if self.infer(value, current).kind == Type::Null {
                let message = "this part is always null, which `concat` writes as the empty string";
                let help = "take the part out, or name the field that is meant".to_owned();
                self.report(Code::W0312, part.span, message, "always null", Some(help));
            }
        }
    }

    fn unknown_function(&mut self, name: &Name, arguments: &[Ast]) {
        let names = functions::all().map(|function| function.definition().name);
        let args: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let help = foreign::function(&name.text, &args, Language::JmesPath).or_else(|| {
            let near = crate::suggest::nearest(&name.text, names);
            near.map_or_else(|| Some("`redis-wb functions` lists all of them".to_owned()), |near| Some(meant(near)))
        });
        self.report(Code::E0207, name.span, format!("there is no function `{}`", name.text), "unknown function", help);
    }

    fn arity(&mut self, definition: &Definition, name: &Name, arguments: &[Ast]) -> Option<()> {
        let (least, most) = definition.arity();
        if arguments.len() >= least && most.is_none_or(|most| arguments.len() <= most) {
            return Some(());
        }
        let wanted = match most {
            Some(most) if most == least => counted(least),
            Some(most) => format!("{least} to {most} arguments"),
            None => format!("at least {}", counted(least)),
        };
        let message = format!("`{}` takes {wanted}, not {}", definition.name, arguments.len());
        let parts: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let help = match definition.name {
            "concat" => format!("it takes one list: write `concat([{}])`", parts.join(", ")),
            _ => format!("it is written `{}`", definition.signature()),
        };
        self.report(Code::E0303, name.span, message, "wrong number of arguments", Some(help));
        None
    }

    /// The arguments, values first: what an expression argument sees depends on them.
    fn arguments(&mut self, definition: &Definition, arguments: &[Ast], current: Current<'_>) -> Option<Vec<Expr>> {
        let param = |at: usize| definition.params.get(at).or(definition.params.last());
        let takes_expression = |at: usize| param(at).is_some_and(|param| param.accepts == Accepts::EXPRESSION);
        let mut lowered: Vec<Option<Expr>> = Vec::new();
        for (at, argument) in arguments.iter().enumerate() {
            let value = if takes_expression(at) {
                Some(Expr::Lambda(Box::new(Expr::Current)))
            } else {
                param(at).and_then(|param| self.value(definition, param, argument, current))
            };
            lowered.push(value);
        }
        let mut args = lowered.into_iter().collect::<Option<Vec<Expr>>>()?;
        let element = self.with_types(current, |types| infer::lambda_sees(&args, types));
        for (at, argument) in arguments.iter().enumerate().filter(|(at, _)| takes_expression(*at)) {
            let body = self.expression(definition, argument, &element)?;
            if let Some(arg) = args.get_mut(at) {
                *arg = Expr::Lambda(Box::new(body));
            }
        }
        Some(args)
    }

    fn value(&mut self, definition: &Definition, param: &Param, argument: &Ast, current: Current<'_>) -> Option<Expr> {
        if let Kind::Reference(_) = argument.kind {
            let message = format!("`{}` takes a value here, not an expression", definition.name);
            let help = "leave the `&` out".to_owned();
            self.report(Code::E0304, argument.span, message, format!("wanted: {}", param.accepts), Some(help));
            return None;
        }
        let expr = self.lower(argument, current)?;
        let kind = self.infer(&expr, current);
        if param.accepts.may_take(&kind) {
            return Some(expr);
        }
        let article = if kind.kind == Type::Null { "null".to_owned() } else { format!("a value of type `{kind}`") };
        let message = format!("`{}` takes {} as `{}`, never {article}", definition.name, param.accepts, param.name);
        self.report(Code::E0304, argument.span, message, format!("this is `{kind}`"), remedy(param, &kind, argument));
        None
    }

    /// An argument that the function evaluates for each element: `&age`, or a text that holds the expression.
    fn expression(&mut self, definition: &Definition, argument: &Ast, element: &ExprType) -> Option<Expr> {
        match &argument.kind {
            Kind::Reference(body) => self.lower(body, Current::Value(element)),
            Kind::Raw(text) | Kind::Literal(text) => {
                let text = text.trim().trim_matches('"');
                let outer = self.text;
                let written = outer.text.get(argument.span.start + 1..argument.span.end).unwrap_or_default();
                let inside = written.find(text).map(|at| argument.span.start + 1 + at);
                let place = |start: usize, end: usize| match inside {
                    Some(at) => (outer.place)(at + start, at + end),
                    None => (outer.place)(argument.span.start, argument.span.end),
                };
                let inner = Text { text, place: &place };
                jmespath::compile_with(&inner, self.scope, self.diagnostics, Current::Value(element))
            }
            _ => {
                let message = format!("`{}` takes an expression here: `&age`", definition.name);
                let help = format!("write `&{argument}`");
                self.report(Code::E0304, argument.span, message, "a value", Some(help));
                None
            }
        }
    }
}

fn remedy(param: &Param, kind: &ExprType, argument: &Ast) -> Option<String> {
    let is_number = matches!(kind.kind, Type::Int | Type::Float | Type::Decimal | Type::Bool);
    if param.accepts.contains(Accepts::NUMBER) && kind.kind == Type::Text {
        return Some(format!("write `to_number({argument})`, or declare its type: `source.redis.fields`"));
    }
    (param.accepts.contains(Accepts::TEXT) && is_number).then(|| format!("write `to_string({argument})`"))
}

fn counted(count: usize) -> String {
    if count == 1 { "1 argument".to_owned() } else { format!("{count} arguments") }
}

fn first_sentence(doc: &str) -> &str {
    doc.split_once(". ").map_or(doc, |(first, _)| first).trim_end_matches('.')
}
