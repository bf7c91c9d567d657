//! `redis-wb functions`: the builtin functions of expressions, in both languages.

use clap::Args;
use redis_wb_plan::functions::{Definition, Family, Function, all, docs};
use redis_wb_plan::sql::function::{self as sql, SqlFunction};

use crate::eval::Language;
use crate::exit::{Failure, print};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The function of which to print everything; all of them in short, if none is given.
    name: Option<String>,
    /// Only those of one language.
    #[arg(long, value_enum)]
    language: Option<Language>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let wanted = |language| arguments.language.is_none_or(|only| only == language);
    let (jmespath, in_sql) = (wanted(Language::Jmespath), wanted(Language::Sql));
    let Some(name) = &arguments.name else {
        let lists = [jmespath.then(list), in_sql.then(sql_list)];
        print(&lists.into_iter().flatten().collect::<String>());
        return Ok(());
    };
    let found = [
        Function::named(name).filter(|_| jmespath).map(|function| docs::function(function.definition())),
        SqlFunction::named(name).filter(|_| in_sql).map(|function| function.definition().entry()),
    ];
    let text = found.into_iter().flatten().collect::<Vec<_>>().join("\n");
    if text.is_empty() {
        let help = "`redis-wb functions` lists all of them";
        return Err(Failure::with_help(format!("there is no function `{name}`"), help));
    }
    print(&text);
    Ok(())
}

fn list() -> String {
    let mut text = String::new();
    for family in Family::ALL {
        text.push_str(&format!("JMESPath: {}\n", family.title()));
        let functions = all().map(Function::definition).filter(|definition| definition.family == family);
        text.extend(functions.map(|definition: &Definition| line(&definition.signature(), definition.doc)));
        text.push('\n');
    }
    text
}

fn sql_list() -> String {
    let mut text = String::new();
    for family in sql::Family::ALL {
        text.push_str(&format!("SQL: {}\n", family.title()));
        let functions = sql::all().map(SqlFunction::definition).filter(|definition| definition.family == family);
        text.extend(functions.map(|definition| line(&definition.signature(), definition.doc)));
        text.push('\n');
    }
    text
}

fn line(signature: &str, doc: &str) -> String {
    let doc = doc.split_once(". ").map_or(doc, |(first, _)| first).trim_end_matches('.');
    format!("  {signature:<42} {doc}\n")
}
