//! Types to the byte: what lands of a JSON value in a column of a type, on every target, or which code rejects it.
//! `docs/types.md` is what this test prints; `UPDATE_DOCS=1 cargo test -p redis-wb --test types` writes it anew.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helping functions as well")]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use support::maria::Maria;
use support::{Project, text};
use xtask::servers::{Redis, rejson_module};

/// A column: what it is called here, and its type on PostgreSQL, MariaDB and SQLite.
type Column = (&'static str, [&'static str; 3]);

const COLUMNS: [Column; 15] = [
    ("smallint", ["smallint", "smallint", "smallint"]),
    ("integer", ["integer", "int", "integer"]),
    ("bigint", ["bigint", "bigint", "bigint"]),
    ("decimal(10,2)", ["numeric(10,2)", "decimal(10,2)", "decimal(10,2)"]),
    ("decimal(38,6)", ["numeric(38,6)", "decimal(38,6)", "decimal(38,6)"]),
    ("double", ["double precision", "double", "double"]),
    ("boolean", ["boolean", "boolean", "boolean"]),
    ("text", ["text", "longtext", "text"]),
    ("varchar(5)", ["varchar(5)", "varchar(5)", "varchar(5)"]),
    ("bytes", ["bytea", "longblob", "blob"]),
    ("date", ["date", "date", "date"]),
    ("time", ["time", "time(6)", "time"]),
    ("timestamp", ["timestamp", "datetime(6)", "timestamp"]),
    ("uuid", ["uuid", "uuid", "uuid"]),
    ("json", ["jsonb", "json", "json"]),
];

/// Values, as JSON.
const VALUES: [&str; 33] = [
    "null",
    r#""""#,
    r#""abc""#,
    r#""abcdef""#,
    r#""ß → 😀""#,
    r#""a\u0000b""#,
    "42",
    r#""42""#,
    r#""42.0""#,
    r#"" 42 ""#,
    "4.5",
    r#""4.5""#,
    "1.234",
    "32768",
    "9223372036854775807",
    "9223372036854775808",
    "123456789012345678901234567890",
    r#""123456789012345678901234567890.123456""#,
    "1e300",
    "true",
    r#""true""#,
    r#""yes""#,
    r#""maybe""#,
    r#""2024-02-29""#,
    r#""2023-02-29""#,
    r#""12:30:45.123456""#,
    r#""2024-02-29T12:30:45.123456""#,
    r#""2024-02-29T12:30:45+02:00""#,
    r#""6F1E0C54-1111-4222-8333-944455566677""#,
    r#""{\"a\": 1}""#,
    r#"{"a":[1,null]}"#,
    "[1,2]",
    r#""\\x00ff""#,
];

const TARGETS: [(&str, &str); 3] = [("pg", "PostgreSQL"), ("maria", "MariaDB"), ("lite", "SQLite")];

fn job(at: usize) -> String {
    let output = |connection| {
        format!(
            "  - uses: relational.write\n    with: {{connection: {connection}, table: t{at}, keys: [id], mapping: [v]}}\n"
        )
    };
    format!(
        "source:\n  redis:\n    trigger: write-behind\n    key_pattern: t{at}:*\n    data_type: json\n    \
         key: t{at}:<id:int>\noutput:\n{}{}{}",
        output("pg"),
        output("maria"),
        output("lite"),
    )
}

fn tables(target: usize) -> String {
    let table = |(at, (_, types)): (usize, &Column)| {
        let kind = types.get(target).unwrap();
        format!("CREATE TABLE t{at} (id integer PRIMARY KEY, v {kind});\n")
    };
    COLUMNS.iter().enumerate().map(table).collect()
}

/// What each value became in each column of a target, as text.
type Landed = BTreeMap<(usize, usize), String>;

fn landed(project: &Project, maria: &Maria, target: &str) -> Landed {
    let mut all = Landed::new();
    for (at, (name, _)) in COLUMNS.iter().enumerate() {
        let value = match (target, *name) {
            ("pg", "bytes") => "encode(v, 'hex')",
            ("maria" | "lite", "bytes") => "hex(v)",
            ("lite", _) => "CASE typeof(v) WHEN 'text' THEN v WHEN 'null' THEN NULL ELSE CAST(v AS text) END",
            _ => "CAST(v AS text)",
        };
        let select = format!("SELECT CAST(id AS text), {value} FROM t{at}");
        let rows = match target {
            "pg" => project.pg_rows(&select),
            "maria" => maria.rows(&select),
            _ => project.lite_rows(&select),
        };
        for row in rows {
            let [id, value] = row.as_slice() else { panic!("two columns") };
            let value =
                if *name == "bytes" && value != "∅" { format!("0x{}", value.to_lowercase()) } else { value.clone() };
            all.insert((at, id.parse().unwrap()), value);
        }
    }
    all
}

/// The codes of the dead-letter queues: by connection, column and value.
fn rejected(project: &Project) -> BTreeMap<(String, usize, usize), String> {
    let arguments = ["dlq", "list", "--max", "100000", "--format", "json", "--redis", &project.redis.url()];
    let output = project.command(&arguments).output().unwrap();
    let letters: serde_json::Value = serde_json::from_str(&text(&output.stdout)).unwrap();
    let letter = |letter: &serde_json::Value| {
        let field = |name: &str| letter.get(name).unwrap().as_str().unwrap().to_owned();
        let key = field("key");
        let (table, id) = key.split_once(':').unwrap();
        ((field("connection"), table.get(1..).unwrap().parse().unwrap(), id.parse().unwrap()), field("code"))
    };
    letters.as_array().unwrap().iter().map(letter).collect()
}

/// What is longer is not shown whole; the rows were read whole.
const CELL_CHARS_MAX: usize = 60;

fn cell(text: &str) -> String {
    let mut shown: String =
        text.chars().take(CELL_CHARS_MAX).map(|char| if char == '\0' { '␀' } else { char }).collect();
    if text.chars().nth(CELL_CHARS_MAX).is_some() {
        shown.push('…');
    }
    format!("`{}`", shown.replace('|', "\\|"))
}

fn document(project: &Project, maria: &Maria) -> String {
    let codes = rejected(project);
    let mut out = String::from(
        "# What lands in which column\n\n\
         Each row is a JSON value, each column a column type; a cell is what the table then holds, read as text (bytes\n\
         as hexadecimal digits, `∅` for NULL), or the code that rejects the record: `redis-wb explain R0504` and so on.\n\
         Values of a hash are texts. RedisJSON itself keeps a number beyond 64 bits as a floating-point number. Generated by `cli/tests/types.rs`, which fails where it is not true.\n",
    );
    for (target, title) in TARGETS {
        let landed = landed(project, maria, target);
        let _ = write!(out, "\n## {title}\n\n| value |");
        COLUMNS.iter().for_each(|(name, _)| {
            let _ = write!(out, " {name} |");
        });
        let _ = writeln!(out, "\n|---|{}", "---|".repeat(COLUMNS.len()));
        for (id, value) in VALUES.iter().enumerate() {
            let _ = write!(out, "| {} |", cell(value));
            for at in 0..COLUMNS.len() {
                let code = codes.get(&(target.to_owned(), at, id));
                let found = match (landed.get(&(at, id)), code) {
                    (Some(value), None) => cell(value),
                    (None, Some(code)) => code.clone(),
                    both => panic!("{target}, column {at}, value {id}: {both:?}"),
                };
                let _ = write!(out, " {found} |");
            }
            out.push('\n');
        }
    }
    out
}

#[test]
fn every_value_lands_in_every_column_or_is_rejected() {
    let mut project = Project::new("t0", &job(0), "CREATE TABLE unused (id integer);");
    project.redis = Redis::start_with(&["--loadmodule", &rejson_module().to_string_lossy()]);
    project.pg(&tables(0));
    project.lite().execute_batch(&tables(2)).unwrap();
    let maria = Maria::join(&project, &tables(1));
    // Each target tells its own types.
    let config = std::fs::read_to_string(project.path("config.yaml")).unwrap();
    project.write("config.yaml", &config.replace("    ddl: schema.sql\n", ""));
    (1..COLUMNS.len()).for_each(|at| project.write(&format!("jobs/t{at}.yaml"), &job(at)));
    project.drain();
    let mut client = project.client();
    for at in 0..COLUMNS.len() {
        for (id, value) in VALUES.iter().enumerate() {
            let document = format!(r#"{{"v": {value}}}"#);
            let () =
                redis::cmd("JSON.SET").arg(format!("t{at}:{id}")).arg("$").arg(document).query(&mut client).unwrap();
        }
    }
    project.drain();
    let document = document(&project, &maria);
    let path = xtask::root().join("docs/types.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &document).unwrap();
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    let differ = document.lines().zip(known.lines()).find(|(now, then)| now != then);
    assert!(document == known, "docs/types.md is not what is true: {differ:?}; UPDATE_DOCS=1 writes it anew");
}
