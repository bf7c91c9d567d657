//! Types to the byte: what lands of a JSON value in a column of a type, on every target, or which code rejects it.
//! `docs/types.md` is what this test prints; `UPDATE_DOCS=1 cargo test -p redis-wb --test types` writes it anew.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helping functions as well")]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use redis::Commands as _;
use support::maria::Maria;
use support::{Project, cache, text};
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
    /// As JSON; those of a hash as they are, with bytes that are no text as `\\xff`.
    values: &'static [&'static str],
    /// Whether they are those of a hash.
    of_hash: bool,
}

const PARTS: [Part; 5] = [
    Part { prefix: "t", targets: &TARGETS, columns: &COLUMNS, values: &VALUES, of_hash: false },
    Part { prefix: "h", targets: &HASH_TARGETS, columns: &COLUMNS, values: &HASH_VALUES, of_hash: true },
    Part { prefix: "a", targets: &PG, columns: &PG_COLUMNS, values: &PG_VALUES, of_hash: false },
    Part { prefix: "m", targets: &MARIA, columns: &MARIA_COLUMNS, values: &MARIA_VALUES, of_hash: false },
    Part { prefix: "r", targets: &REDIS, columns: &REDIS_COLUMNS, values: &VALUES, of_hash: false },
];

/// Structures of another Redis in place of columns, and how each is written.
const REDIS: [(&str, &str); 1] = [("cache", "Redis")];

const REDIS_COLUMNS: [Column; 6] = [
    ("field of a hash", ["mapping: [v]", "", ""]),
    ("json", ["data_type: json, mapping: [v]", "", ""]),
    ("string", ["data_type: string, args: {value: v}", "", ""]),
    ("member of a set", ["data_type: set, args: {member: v}", "", ""]),
    ("score", ["data_type: sorted_set, args: {member: id, score: v}", "", ""]),
    ("field of a stream", ["data_type: stream, mapping: [id, v]", "", ""]),
];

const HASH_TARGETS: [(&str, &str); 3] =
    [("pg", "PostgreSQL, from a hash"), ("maria", "MariaDB, from a hash"), ("lite", "SQLite, from a hash")];

const HASH_VALUES: [&str; 24] = [
    "",
    "42",
    "042",
    "+42",
    "-0",
    "4.50",
    "1e3",
    "0x10",
    "1_000",
    "NaN",
    "inf",
    "1",
    "0",
    "t",
    "F",
    "TRUE",
    "on",
    "off",
    "null",
    "2024-02-29 12:30:45",
    "0000-00-00",
    "24:00:00",
    "a\\x00b",
    "\\xff\\x00",
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

const COLUMNS: [Column; 19] = [
    ("smallint", ["smallint", "smallint", "smallint"]),
    ("integer", ["integer", "int", "integer"]),
    ("bigint", ["bigint", "bigint", "bigint"]),
    ("decimal(10,2)", ["numeric(10,2)", "decimal(10,2)", "decimal(10,2)"]),
    ("decimal(38,6)", ["numeric(38,6)", "decimal(38,6)", "decimal(38,6)"]),
    ("real", ["real", "float", "real"]),
    ("double", ["double precision", "double", "double"]),
    ("boolean", ["boolean", "boolean", "boolean"]),
    ("text", ["text", "longtext", "text"]),
    ("varchar(5)", ["varchar(5)", "varchar(5)", "varchar(5)"]),
    ("char(5)", ["char(5)", "char(5)", "char(5)"]),
    ("bytes", ["bytea", "longblob", "blob"]),
    ("date", ["date", "date", "date"]),
    ("time", ["time", "time(6)", "time"]),
    ("timestamp", ["timestamp", "datetime(6)", "timestamp"]),
    ("timestamp with time zone", ["timestamptz", "timestamp(6) NULL", "timestamptz"]),
    ("uuid", ["uuid", "uuid", "uuid"]),
    ("json", ["json", "json", "json"]),
    ("jsonb", ["jsonb", "json", "json"]),
];

const VALUES: [&str; 47] = [
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
    "32767",
    "32768",
    "-32768",
    "-32769",
    "2147483647",
    "2147483648",
    "99999999.99",
    "100000000",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775809",
    "123456789012345678901234567890",
    r#""123456789012345678901234567890.123456""#,
    "16777217",
    "1e300",
    "true",
    "false",
    r#""true""#,
    r#""F""#,
    r#""yes""#,
    r#""off""#,
    r#""maybe""#,
    r#""2024-02-29""#,
    r#""2023-02-29""#,
    r#""12:30:45.123456""#,
    r#""2024-02-29T12:30:45.123456""#,
    r#""2024-02-29T12:30:45Z""#,
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
    let (_, [structure, ..]) = part.columns.get(at).unwrap();
    let output = |(connection, _): &(&str, _)| match *connection {
        "cache" => format!(
            "  - uses: redis.write\n    with: {{connection: cache, key: {{expression: \"'{table}:' || id\", language: sql}}, \
             {structure}}}\n"
        ),
        _ => format!(
            "  - uses: relational.write\n    with: {{connection: {connection}, table: {table}, keys: [id], mapping: [v]}}\n"
        ),
    };
    let data_type = if part.of_hash { "hash" } else { "json" };
    format!(
        "source:\n  redis:\n    trigger: write-behind\n    key_pattern: {table}:*\n    data_type: {data_type}\n    \
         key: {table}:<id:int>\noutput:\n{}",
        part.targets.iter().map(output).collect::<String>(),
    )
}

/// The value of a hash that `\xff` in a text stands for.
fn bytes(value: &str) -> Vec<u8> {
    let mut parts = value.split("\\x");
    let mut bytes = parts.next().unwrap().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(part.get(..2).unwrap(), 16).unwrap());
        bytes.extend(part.get(2..).unwrap().bytes());
    }
    bytes
}

fn tables(target: usize) -> String {
    let table = |part: &Part, at: usize, kind: &str| {
        format!("CREATE TABLE {}{at} (id integer PRIMARY KEY, v {kind});\n", part.prefix)
    };
    let of_part = |part: &'static Part| {
        let kinds = part.columns.iter().map(move |(_, types)| *types.get(target).unwrap()).enumerate();
        kinds.filter(|(_, kind)| !kind.is_empty()).map(move |(at, kind)| table(part, at, kind))
    };
    PARTS.iter().filter(|part| part.prefix != "r").flat_map(of_part).collect()
}

/// What each value became in each column of a target, as text.
type Landed = BTreeMap<(usize, usize), String>;

/// What is in another Redis; nothing stands for a null.
fn landed_in_redis(cache: &mut redis::Connection, part: &Part) -> Landed {
    let mut all = Landed::new();
    for (at, (name, _)) in part.columns.iter().enumerate() {
        for id in 0..part.values.len() {
            let key = format!("r{at}:{id}");
            let value: Option<String> = match *name {
                "field of a hash" => cache.hget(key, "v").unwrap(),
                "json" => redis::cmd("JSON.GET").arg(key).arg(".v").query(cache).ok(),
                "string" => cache.get(key).unwrap(),
                "member of a set" => cache.srandmember(key).unwrap(),
                "score" => cache.zscore(key, id).unwrap(),
                _ => redis::cmd("EVAL").arg(VALUE_OF_ENTRY).arg(1).arg(key).query(cache).unwrap(),
            };
            all.insert((at, id), value.unwrap_or_else(|| "∅".to_owned()));
        }
    }
    all
}

/// The value in the first entry of a stream.
const VALUE_OF_ENTRY: &str = "
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do
  return entry[2][4]
end";

fn landed(project: &Project, maria: &Maria, part: &Part, target: &str) -> Landed {
    let mut all = Landed::new();
    for (at, (name, _)) in part.columns.iter().enumerate() {
        let value = match (target, *name) {
            (_, "bit(5)") => "CAST(v + 0 AS text)",
            ("pg", "bytes") => "encode(v, 'hex')",
            ("maria" | "lite", "bytes") => "hex(v)",
            ("pg", "timestamp with time zone") => "CAST(v AT TIME ZONE 'UTC' AS text)",
            ("maria", "timestamp with time zone") => "CAST(CONVERT_TZ(v, @@session.time_zone, '+00:00') AS text)",
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

fn document(project: &Project, maria: &Maria, cache: &mut redis::Connection) -> String {
    let codes = rejected(project);
    let mut out = String::from(
        "# What lands in which column\n\n\
         Each row is a JSON value or, where that is said, one of a hash; each column is a column type or, in another Redis, a\n\
         structure. A cell is what is then there, read as text (bytes as hexadecimal digits, `∅` for NULL or for nothing, times\n\
         with a zone as they are in UTC), or the code that rejects the record: `redis-wb explain R0504` and so on. Values of a\n\
         hash are texts, or bytes. RedisJSON itself keeps a number beyond 64 bits as a floating-point number. Generated by\n\
         `cli/tests/types.rs`, which fails where it is not true.\n",
    );
    for (part, (target, title)) in PARTS.iter().flat_map(|part| part.targets.iter().map(move |target| (part, target))) {
        let landed =
            if *target == "cache" { landed_in_redis(cache, part) } else { landed(project, maria, part, target) };
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
                    (Some(nothing), Some(code)) if *target == "cache" && nothing == "∅" => code.clone(),
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
    let cache = cache::join(&project);
    // Each target tells its own types.
    let config = std::fs::read_to_string(project.path("config.yaml")).unwrap();
    project.write("config.yaml", &config.replace("    ddl: schema.sql\n", ""));
    let places = || PARTS.iter().flat_map(|part| (0..part.columns.len()).map(move |at| (part, at)));
    places().for_each(|(part, at)| project.write(&format!("jobs/{}{at}.yaml", part.prefix), &job(part, at)));
    project.drain();
    let mut client = project.client();
    for (part, at) in places() {
        for (id, value) in part.values.iter().enumerate() {
            let key = format!("{}{at}:{id}", part.prefix);
            let () = if part.of_hash {
                client.hset(key, "v", bytes(value)).unwrap()
            } else {
                redis::cmd("JSON.SET").arg(key).arg("$").arg(format!(r#"{{"v": {value}}}"#)).query(&mut client).unwrap()
            };
        }
    }
    project.drain();
    let document = document(&project, &maria, &mut cache::client(&cache));
    let path = xtask::root().join("docs/types.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &document).unwrap();
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    let differ = document.lines().zip(known.lines()).find(|(now, then)| now != then);
    assert!(document == known, "docs/types.md is not what is true: {differ:?}; UPDATE_DOCS=1 writes it anew");
}
