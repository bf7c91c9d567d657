//! The list of SQL functions in `docs/sql.md` is made from their definitions.
//! `UPDATE_DOCS=1 cargo test -p redis-wb-compiler --test sql_docs` writes it anew.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use redis_wb_plan::sql::function::{self, Family};

const MARK: &str = "--test sql_docs -->\n";

fn functions() -> String {
    let mut out = String::new();
    for family in Family::ALL {
        let _ = write!(out, "\n### {}\n\n| | | example | gives |\n|---|---|---|---|\n", family.title());
        for function in function::all().filter(|function| function.definition().family == family) {
            let definition = function.definition();
            let names = std::iter::once(&definition.name).chain(definition.aliases);
            let names: Vec<String> = names.map(|name| format!("`{}`", definition.call(name))).collect();
            let (example, result) = definition.example;
            let cell = |text: &str| text.replace('|', "\\|").replace('\n', "⏎");
            let _ = writeln!(
                out,
                "| {} | {} | `{}` | `{}` |",
                names.join(" "),
                definition.doc,
                cell(example),
                cell(result)
            );
        }
    }
    out
}

#[test]
fn the_page_has_every_function_as_it_is_defined() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/sql.md");
    let page = fs::read_to_string(&path).expect("docs/sql.md");
    let (head, list) = page.split_once(MARK).expect("the mark before the list");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, format!("{head}{MARK}{}", functions())).expect("docs/sql.md can be written");
        return;
    }
    assert_eq!(list, functions(), "run UPDATE_DOCS=1 cargo test -p redis-wb-compiler --test sql_docs");
}
