//! `redis-wb explain`: what a code means.

use clap::Args;
use redis_wb_compiler::codes::Code;
use redis_wb_plan::RejectCode;

use crate::exit::{Failure, print};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A code such as E0201, W0302 or R0504.
    code: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let name = arguments.code.to_ascii_uppercase();
    if let Some(code) = Code::named(&name) {
        print(&format!("{}\n\nAn example of it:\n\n{}", code.explanation(), indent(code.example())));
        return Ok(());
    }
    if let Some(code) = RejectCode::ALL.into_iter().find(|code| code.code() == name) {
        print(&format!("{}\n", code.explanation()));
        return Ok(());
    }
    let known = Code::ALL.iter().map(|code| code.name()).chain(RejectCode::ALL.into_iter().map(RejectCode::code));
    let help = format!("the codes are {}", known.collect::<Vec<_>>().join(", "));
    Err(Failure::with_help(format!("there is no code `{}`", arguments.code), help))
}

fn indent(text: &str) -> String {
    text.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("    {line}\n") }).collect()
}
