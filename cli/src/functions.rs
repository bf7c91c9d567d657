//! `redis-wb functions`: the builtin functions of JMESPath expressions.

use clap::Args;
use redis_wb_plan::functions::{Definition, Family, Function, all, docs};

use crate::exit::{Failure, print};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The function of which to print everything; all of them in short, if none is given.
    name: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Some(name) = &arguments.name else {
        print(&list());
        return Ok(());
    };
    match Function::named(name) {
        Some(function) => {
            print(&docs::function(function.definition()));
            Ok(())
        }
        None => {
            let help = "`redis-wb functions` lists all of them";
            Err(Failure::with_help(format!("there is no function `{name}`"), help))
        }
    }
}

fn list() -> String {
    let mut text = String::new();
    for family in Family::ALL {
        text.push_str(&format!("{}\n", family.title()));
        let functions = all().map(Function::definition).filter(|definition| definition.family == family);
        text.extend(functions.map(line));
        text.push('\n');
    }
    text
}

fn line(definition: &Definition) -> String {
    let doc = definition.doc.split_once(". ").map_or(definition.doc, |(first, _)| first).trim_end_matches('.');
    format!("  {:<42} {doc}\n", definition.signature())
}
