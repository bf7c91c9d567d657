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

/// Values that are written to columns.
struct Part {
    /// What its tables and jobs begin with.
    prefix: &'static str,
    /// The targets: their connection and their title.
    targets: &'static [(&'static str, &'static str)],
    columns: &'static [Column],
    /// As JSON.
    values: &'static [&'static str],
}

const PARTS: [Part; 3] = [
    Part { prefix: "t", targets: &TARGETS, columns: &COLUMNS, values: &VALUES },
    Part { prefix: "a", targets: &PG, columns: &PG_COLUMNS, values: &PG_VALUES },
    Part { prefix: "m", targets: &MARIA, columns: &MARIA_COLUMNS, values: &MARIA_VALUES },
];

/// Arrays, which only PostgreSQL has.
const PG: [(&str, &str); 1] = [("pg", "PostgreSQL, arrays")];

const PG_COLUMNS: [Column; 5] = [
    ("text[]", ["text[]", "", ""]),
    ("integer[]", ["integer[]", "", ""]),
    ("numeric(6,2)[]", ["numeric(6,2)[]", "", ""]),
    ("boolean[]", ["boolean[]", "", ""]),
    ("date[]", ["date[]", "", ""]),
];

const PG_VALUES: [&str; 15] = [
    "null",
    "[]",
    "[1,2,3]",
    r#"["a","b c"]"#,
    r#"["quote \" backslash \\ comma, brace }"]"#,
    r#"["",null,"NULL"]"#,
    "[1.25,-3]",
    "[true,false]",
    r#"["2024-02-29"]"#,
    "[[1,2],[3,4]]",
    r#"[{"a":1}]"#,
    r#"["a\u0000b"]"#,
    r#""{1,2}""#,
    r#""[4,5]""#,
    "7",
];

/// Types that only MariaDB and MySQL have.
const MARIA: [(&str, &str); 1] = [("maria", "MariaDB, types of its own")];

const MARIA_COLUMNS: [Column; 6] = [
    ("enum('small','10')", ["", "enum('small','10')", ""]),
    ("set('a','b','10')", ["", "set('a','b','10')", ""]),
    ("float(7,2)", ["", "float(7,2)", ""]),
    ("year", ["", "year", ""]),
    ("bit(5)", ["", "bit(5)", ""]),
    ("time", ["", "time", ""]),
];

const MARIA_VALUES: [&str; 30] = [
    "null",
    r#""""#,
    r#""small""#,
    r#""SMALL""#,
    r#""small ""#,
    "1",
    r#""1""#,
    "2",
    "10",
    r#""10""#,
    r#""0""#,
    r#""a""#,
    r#""b,a""#,
    r#""a,1""#,
    "31",
    "32",
    "-1",
    "1.25",
    "1.255",
    "123456.5",
    "99",
    "1901",
    r#""1999""#,
    "2155",
    "2156",
    r#""23:59:59""#,
    r#""23:59:59.5""#,
    r#""24:00:00""#,
    r#""838:59:59""#,
    r#""-01:00:00""#,
];

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

fn job(part: &Part, at: usize) -> String {
    let table = format!("{}{at}", part.prefix);
    let output = |(connection, _): &(&str, _)| {
        format!(
            "  - uses: relational.write\n    with: {{connection: {connection}, table: {table}, keys: [id], mapping: [v]}}\n"
        )
    };
    format!(
        "source:\n  redis:\n    trigger: write-behind\n    key_pattern: {table}:*\n    data_type: json\n    \
         key: {table}:<id:int>\noutput:\n{}",
        part.targets.iter().map(output).collect::<String>(),
    )
}

fn tables(target: usize) -> String {
    let table = |part: &Part, at: usize, kind: &str| {
        format!("CREATE TABLE {}{at} (id integer PRIMARY KEY, v {kind});\n", part.prefix)
    };
    let of_part = |part: &'static Part| {
        let kinds = part.columns.iter().map(move |(_, types)| *types.get(target).unwrap()).enumerate();
        kinds.filter(|(_, kind)| !kind.is_empty()).map(move |(at, kind)| table(part, at, kind))
    };
    PARTS.iter().flat_map(of_part).collect()
}

/// What each value became in each column of a target, as text.
type Landed = BTreeMap<(usize, usize), String>;

fn landed(project: &Project, maria: &Maria, part: &Part, target: &str) -> Landed {
    let mut all = Landed::new();
    for (at, (name, _)) in part.columns.iter().enumerate() {
        let value = match (target, *name) {
            (_, "bit(5)") => "CAST(v + 0 AS text)",
            ("pg", "bytes") => "encode(v, 'hex')",
            ("maria" | "lite", "bytes") => "hex(v)",
            ("lite", _) => "CASE typeof(v) WHEN 'text' THEN v WHEN 'null' THEN NULL ELSE CAST(v AS text) END",
            _ => "CAST(v AS text)",
        };
        let select = format!("SELECT CAST(id AS text), {value} FROM {}{at}", part.prefix);
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

/// The codes of the dead-letter queues: by connection, table and value.
fn rejected(project: &Project) -> BTreeMap<(String, String, usize), String> {
    let arguments = ["dlq", "list", "--max", "100000", "--format", "json", "--redis", &project.redis.url()];
    let output = project.command(&arguments).output().unwrap();
    let letters: serde_json::Value = serde_json::from_str(&text(&output.stdout)).unwrap();
    let letter = |letter: &serde_json::Value| {
        let field = |name: &str| letter.get(name).unwrap().as_str().unwrap().to_owned();
        let key = field("key");
        let (table, id) = key.split_once(':').unwrap();
        ((field("connection"), table.to_owned(), id.parse().unwrap()), field("code"))
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
    for (part, (target, title)) in PARTS.iter().flat_map(|part| part.targets.iter().map(move |target| (part, target))) {
        let landed = landed(project, maria, part, target);
        let _ = write!(out, "\n## {title}\n\n| value |");
        part.columns.iter().for_each(|(name, _)| {
            let _ = write!(out, " {name} |");
        });
        let _ = writeln!(out, "\n|---|{}", "---|".repeat(part.columns.len()));
        for (id, value) in part.values.iter().enumerate() {
            let _ = write!(out, "| {} |", cell(value));
            for at in 0..part.columns.len() {
                let code = codes.get(&((*target).to_owned(), format!("{}{at}", part.prefix), id));
                let found = match (landed.get(&(at, id)), code) {
                    (Some(value), None) => cell(value),
                    (None, Some(code)) => code.clone(),
                    both => panic!("{target}, {}{at}, value {id}: {both:?}", part.prefix),
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
    let mut project = Project::new("t0", &job(&PARTS[0], 0), "CREATE TABLE unused (id integer);");
    project.redis = Redis::start_with(&["--loadmodule", &rejson_module().to_string_lossy()]);
    project.pg(&tables(0));
    project.lite().execute_batch(&tables(2)).unwrap();
    let maria = Maria::join(&project, &tables(1));
    // Each target tells its own types.
    let config = std::fs::read_to_string(project.path("config.yaml")).unwrap();
    project.write("config.yaml", &config.replace("    ddl: schema.sql\n", ""));
    let places = || PARTS.iter().flat_map(|part| (0..part.columns.len()).map(move |at| (part, at)));
    places().for_each(|(part, at)| project.write(&format!("jobs/{}{at}.yaml", part.prefix), &job(part, at)));
    project.drain();
    let mut client = project.client();
    for (part, at) in places() {
        for (id, value) in part.values.iter().enumerate() {
            let (key, document) = (format!("{}{at}:{id}", part.prefix), format!(r#"{{"v": {value}}}"#));
            let () = redis::cmd("JSON.SET").arg(key).arg("$").arg(document).query(&mut client).unwrap();
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
