//! `redis-wb explain`: what a code means; all of them, one line each.

use clap::Args;
use redis_wb_compiler::codes::Code;
use redis_wb_plan::RejectCode;

use crate::exit::{Failure, print};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A code such as E0201, W0302 or R0504; without one, all of them are listed.
    code: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Some(given) = &arguments.code else {
        print(&list());
        return Ok(());
    };
    let name = given.to_ascii_uppercase();
    if let Some(code) = Code::named(&name) {
        print(&format!("{}\n\nAn example of it:\n\n{}", code.explanation(), indent(code.example())));
        return Ok(());
    }
    if let Some(code) = RejectCode::ALL.into_iter().find(|code| code.code() == name) {
        print(&format!("{}\n", code.explanation()));
        return Ok(());
    }
    Err(Failure::with_help(format!("there is no code `{given}`"), "`redis-wb explain` lists all of them"))
}

/// All codes: of errors, of warnings, of rejected records.
fn list() -> String {
    let (errors, warnings): (Vec<Code>, Vec<Code>) = Code::ALL.iter().partition(|code| code.name().starts_with('E'));
    let line = |code: Code| format!("{}  {}\n", code.name(), code.title());
    let rejected = RejectCode::ALL.into_iter().map(|code| {
        let page = code.explanation().replace('\n', " ");
        let first = page.split(". ").next().unwrap_or_default();
        format!("{}  {}\n", code.code(), first.trim_end_matches('.'))
    });
    let sections = [
        ("Errors of jobs and configuration: no plan is made", errors.into_iter().map(line).collect::<String>()),
        ("Warnings", warnings.into_iter().map(line).collect()),
        ("Records that are rejected while `redis-wb run` runs", rejected.collect()),
    ];
    sections.map(|(title, lines)| format!("{title}:\n{lines}")).join("\n")
}

fn indent(text: &str) -> String {
    text.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("    {line}\n") }).collect()
}
