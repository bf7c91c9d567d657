//! `redis-wb eval`: one expression over one JSON document.

use std::fs;
use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use miette::{LabeledSpan, MietteDiagnostic, NamedSource};
use redis_wb_compiler::diagnostic::Report;
use redis_wb_compiler::expr::scope::AnyRecord;
use redis_wb_compiler::expr::{self, Compiled, Text};
use redis_wb_compiler::source::{Files, Span};
use redis_wb_compiler::{Diagnostics, Severity};
use redis_wb_plan::{Input, Reject, RejectCode, json};

use crate::exit::{Failure, print};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The language of the expression.
    #[arg(long, value_enum)]
    language: Language,
    /// The expression.
    #[arg(allow_hyphen_values = true)]
    expression: String,
    /// The file that holds the input, as JSON; standard input, if none is given.
    #[arg(long)]
    input: Option<PathBuf>,
    /// Print the type of the expression instead of its value.
    #[arg(long = "type", conflicts_with = "ir")]
    kind: bool,
    /// Print what the expression is compiled to instead of its value.
    #[arg(long)]
    ir: bool,
}

/// The language of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    /// JMESPath.
    Jmespath,
    /// SQL, as SQLite has it.
    Sql,
}

/// What the expression and the input are called in diagnostics.
const EXPRESSION: &str = "expression";

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let compiled = compile(arguments)?;
    if arguments.kind {
        print(&format!("{}\n", compiled.kind));
        return Ok(());
    }
    if arguments.ir {
        let ir = serde_json::to_string_pretty(&compiled.expr);
        let ir = ir.map_err(|error| Failure::with_help(error.to_string(), "this is a bug; please report it"))?;
        print(&format!("{ir}\n"));
        return Ok(());
    }
    let text = read(arguments.input.as_deref())?;
    let text = if text.trim().is_empty() { "null" } else { &text };
    let value = json::parse(text).map_err(|reject| refuse_input(&reject))?;
    let input = Input::of(value);
    let output = compiled.expr.evaluate(&input).and_then(|value| json::write(&value, json::JSON_BYTES_MAX));
    let output = output.map_err(|reject| refuse(&reject, &arguments.expression))?;
    print(&format!("{output}\n"));
    Ok(())
}

fn compile(arguments: &Arguments) -> Result<Compiled, Failure> {
    let language = match arguments.language {
        Language::Jmespath => expr::Language::JmesPath,
        Language::Sql => expr::Language::Sql,
    };
    let mut files = Files::new();
    let file = files.add(EXPRESSION, arguments.expression.as_str());
    // What is missing at the end is shown at the last character: behind it nothing can be shown.
    let last = arguments.expression.char_indices().last().map_or(0, |(at, _)| at);
    let place = |start: usize, end: usize| Span { file, start: start.min(last), end };
    let text = Text { text: &arguments.expression, place: &place };
    let mut diagnostics = Diagnostics::default();
    let compiled = expr::compile(language, &text, &AnyRecord, &mut diagnostics);
    let diagnostics = diagnostics.into_sorted();
    let has_error = diagnostics.iter().any(|one| one.severity() == Severity::Error);
    for diagnostic in diagnostics {
        eprintln!("{:?}", miette::Report::new(Report::new(diagnostic, &files)));
    }
    compiled.filter(|_| !has_error).ok_or(Failure::Reported)
}

fn read(path: Option<&Path>) -> Result<String, Failure> {
    if let Some(path) = path {
        let name = path.display();
        return fs::read_to_string(path)
            .map_err(|error| Failure::with_help(format!("`{name}` cannot be read: {error}"), "give a file of JSON"));
    }
    let mut stdin = std::io::stdin().lock();
    let mut text = String::new();
    // Nobody has to type an input that is not asked for.
    if !stdin.is_terminal() {
        let limit = u64::try_from(json::JSON_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
        stdin.by_ref().take(limit).read_to_string(&mut text).map_err(|error| {
            Failure::with_help(format!("the input cannot be read: {error}"), "give JSON in UTF-8 on standard input")
        })?;
    }
    Ok(text)
}

fn refuse_input(reject: &Reject) -> Failure {
    let diagnostic = MietteDiagnostic::new(reject.reason.clone()).with_code(reject.code.code());
    let help = match reject.code {
        RejectCode::LimitExceeded => "give a smaller input",
        _ => "the input is one JSON document, on standard input or in the file that `--input` names",
    };
    eprintln!("{:?}", miette::Report::new(diagnostic.with_help(help)));
    Failure::Reported
}

/// Prints why the evaluation was refused, with a label on the call that refused it or else on all of it.
fn refuse(reject: &Reject, expression: &str) -> Failure {
    let (start, len) = call_named_in(&reject.reason, expression).unwrap_or((0, expression.len()));
    let diagnostic = MietteDiagnostic::new(reject.reason.clone())
        .with_code(reject.code.code())
        .with_label(LabeledSpan::new(Some("evaluated here".to_owned()), start, len))
        .with_help(format!("`redis-wb explain {}` says more", reject.code));
    let source = NamedSource::new(EXPRESSION, expression.to_owned());
    eprintln!("{:?}", miette::Report::new(diagnostic).with_source_code(source));
    Failure::Reported
}

/// Where the function is called that a reason begins with, if it is called once.
fn call_named_in(reason: &str, expression: &str) -> Option<(usize, usize)> {
    let name = reason.strip_prefix('`')?.split_once('`')?.0;
    let call = format!("{name}(");
    let mut places = expression.match_indices(&call);
    let (start, _) = places.next()?;
    places.next().is_none().then_some((start, name.len()))
}
