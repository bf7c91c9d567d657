//! Expressions and records at random, from a seed. Most arguments are of a kind that makes sense where they stand;
//! some are anything.

use redis_wb_plan::Value;

use super::oracle::{FIELDS, Record};

/// A stream of random numbers (splitmix64).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<'p, T>(&mut self, from: &'p [T]) -> &'p T {
        &from[self.below(from.len())]
    }
}

const INTEGERS: [i64; 26] = [
    0,
    1,
    -1,
    2,
    3,
    5,
    7,
    10,
    12,
    42,
    -42,
    63,
    64,
    100,
    255,
    1000,
    20240131,
    1_700_000_000,
    -1_700_000_000,
    2_147_483_648,
    4_503_599_627_370_496,
    9_007_199_254_740_993,
    i64::MAX,
    i64::MIN,
    i64::MAX - 1,
    i64::MIN + 1,
];

const REALS: [f64; 30] = [
    0.0,
    -0.0,
    0.5,
    1.0,
    1.5,
    -1.5,
    2.5,
    0.1,
    0.2,
    0.3,
    1e-5,
    1e-10,
    123.456,
    49.47,
    1e15,
    1e16,
    1e17,
    1e18,
    9_223_372_036_854_775_807.0,
    1e100,
    1e308,
    -1e308,
    5e-324,
    3.14159,
    2_451_545.0,
    1_700_000_000.25,
    99.995,
    1e22,
    4_503_599_627_370_497.5,
    123_456_789.123_456_78,
];

const TEXTS: [&str; 44] = [
    "",
    "a",
    "abc",
    "ABC",
    "aBc",
    "hello world",
    " padded ",
    "trailing   ",
    "5",
    "05",
    "-7",
    "+7",
    "3.0",
    "3.5",
    ".5",
    "5.",
    "1e3",
    "1e400",
    " 12 ",
    "12abc",
    "abc12",
    "0x1F",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "123456789012345678901234567890",
    "é",
    "naïve café",
    "日本語",
    "😀",
    "it's",
    "\"quoted\"",
    "100%",
    "a_b",
    "a%b",
    "[a-c]",
    "back\\slash",
    "+49 (0)30 123-456",
    "true",
    "NULL",
    "a\ttab",
    "line\nbreak",
    "inf",
    "-5.50",
];

const JSONS: [&str; 20] = [
    r#"{"a":1,"b":[1,2,3],"c":{"d":"x"}}"#,
    r#"{"a":null,"b":true,"c":false,"d":1.5,"e":"text"}"#,
    r#"[1,"two",null,true,{"k":"v"},[4,5]]"#,
    "[]",
    "{}",
    "null",
    "true",
    "3.25",
    r#""just text""#,
    r#"{"a":{"b":{"c":{"d":7}}}}"#,
    r#" { "a" : [ 1 , 2 ] } "#,
    r#"{"a":"\u00e9\n\"q\"","b":"\ud83d\ude00"}"#,
    r#"{a:1,'b':2,}"#,
    r#"[0x1F,+5,.5,5.,Infinity,-inf,NaN]"#,
    r#"{"a":1,"a":2}"#,
    r#"{"bad":}"#,
    "[1,2",
    r#"{"x y":1,"a.b":2,"":3}"#,
    r#"[1,/*c*/2]//end"#,
    r#"{"n":9223372036854775807,"m":-9223372036854775808,"o":92233720368547758070,"e":1e400}"#,
];

const PATHS: [&str; 24] = [
    "$",
    "$.a",
    "$.b",
    "$.c.d",
    "$.b[0]",
    "$.b[#-1]",
    "$.b[#]",
    "$[1]",
    "$[#-2]",
    "$.a.b.c",
    "$.\"x y\"",
    "$.\"a.b\"",
    "$.zz",
    "$[9]",
    "$.e",
    "$.d",
    "$.new.deep[0]",
    "a",
    "b",
    "$.",
    "$[",
    "x y",
    "[1]",
    "$.b[1]",
];

const TIMES: [&str; 32] = [
    "2024-01-31",
    "2024-02-29",
    "2023-12-31 23:59:59.999",
    "2024-03-10T12:30:00Z",
    "2024-03-10 12:30:00+02:00",
    "12:34:56",
    "12:34",
    "1970-01-01",
    "0000-01-01",
    "9999-12-31 23:59:59",
    "-4713-11-24 12:00:00",
    "2451545",
    "1e6",
    "2024-13-01",
    "2024-02-30",
    "24:00",
    "2024-02-28 24:00",
    "not a date",
    "2024-01-01 00:00:00.1234567",
    "1700000000",
    "2000-02-30",
    "2024-06-15 06:07:08.9-05:30",
    "2024-1-1",
    "2024-01-01T01:01",
    "1582-10-15",
    "1900-02-28",
    "2024-12-30",
    "2021-01-03",
    "2005-01-01 13:00",
    "1969-12-31 23:59:59.5",
    "2024-01-01  05:00",
    "2024-07-04 00:00 Z",
];

const MODIFIERS: [&str; 48] = [
    "+1 day",
    "-1 day",
    "+1 month",
    "-13 months",
    "+1.5 months",
    "+2 years",
    "-0.5 years",
    "+36 hours",
    "-90 minutes",
    "+12.345 seconds",
    "start of month",
    "start of year",
    "start of day",
    "end of month",
    "end of year",
    "end of day",
    "weekday 0",
    "weekday 3",
    "weekday -1",
    "weekday 6",
    "weekday 7",
    "unixepoch",
    "julianday",
    "auto",
    "localtime",
    "utc",
    "subsec",
    "subsecond",
    "ceiling",
    "floor",
    "+0001-02-03",
    "-0001-02-03 04:05",
    "+00012-01-01 01:02:03",
    "+01:30",
    "-01:30:15.5",
    "00:10",
    "nonsense",
    "+5 fortnights",
    "5 days",
    "+5days",
    "START OF MONTH",
    "+1e3 seconds",
    "-1 month",
    "+11 months",
    "+9999999999 days",
    "+1 days ",
    "+ 1 day",
    "+2 weekdays",
];

const FORMATS: [&str; 24] = [
    "%Y-%m-%d",
    "%d/%e %f|%F",
    "%G-%V-%g",
    "%H %I %k %l %p %P",
    "%j %J",
    "%M %R %s %S %T",
    "%u %w %U %W",
    "%%",
    "%Q",
    "%",
    "plain",
    "",
    "%d%d",
    "%5d|%-5d|%05d|%+d|% d",
    "%x %X %o %u",
    "%f %e %g %G %E",
    "%.3f|%10.2f|%-10.2f|%010.2f",
    "%s|%10s|%-10s|%.2s|%!.2s",
    "%q %Q %w",
    "%c|%5c|%.3c",
    "%,d|%,.2f",
    "%!.17g|%!g|%#g|%#x",
    "%r %p %n %z",
    "%*d|%.*f",
];

const COLLATIONS: [&str; 3] = ["BINARY", "NOCASE", "RTRIM"];

const CASTS: [&str; 12] = [
    "INTEGER",
    "INT",
    "TEXT",
    "REAL",
    "NUMERIC",
    "BLOB",
    "VARCHAR(10)",
    "DECIMAL(10, 2)",
    "DOUBLE PRECISION",
    "BOOLEAN",
    "UNSIGNED BIG INT",
    "FLOATING POINT",
];

/// What an argument should be.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Any,
    Number,
    Text,
    Json,
    Path,
    Time,
    Modifier,
    Format,
    Pattern,
    Small,
    Char,
    Hex,
    Code,
}

use Kind::{Any, Char, Code, Format, Hex, Json, Modifier, Number, Path, Pattern, Small, Text, Time};

/// A function, its arguments, and what may follow them any number of times.
type Call = (&'static str, &'static [Kind], &'static [Kind]);

const CALLS: &[Call] = &[
    ("abs", &[Number], &[]),
    ("char", &[Code], &[Code]),
    ("coalesce", &[Any, Any], &[Any]),
    ("concat", &[Any], &[Any]),
    ("concat_ws", &[Text, Any], &[Any]),
    ("format", &[Format], &[Any]),
    ("printf", &[Format], &[Number]),
    ("printf", &[Format], &[Text]),
    ("glob", &[Pattern, Text], &[]),
    ("hex", &[Any], &[]),
    ("ifnull", &[Any, Any], &[]),
    ("iif", &[Any, Any], &[Any]),
    ("if", &[Any, Any, Any], &[]),
    ("instr", &[Text, Text], &[]),
    ("length", &[Any], &[]),
    ("like", &[Pattern, Text], &[]),
    ("like", &[Pattern, Text, Char], &[]),
    ("likelihood", &[Any], &[]),
    ("likely", &[Any], &[]),
    ("unlikely", &[Any], &[]),
    ("lower", &[Text], &[]),
    ("upper", &[Text], &[]),
    ("ltrim", &[Text], &[]),
    ("ltrim", &[Text, Text], &[]),
    ("rtrim", &[Text], &[]),
    ("rtrim", &[Text, Text], &[]),
    ("trim", &[Text], &[]),
    ("trim", &[Text, Text], &[]),
    ("max", &[Any, Any], &[Any]),
    ("min", &[Any, Any], &[Any]),
    ("nullif", &[Any, Any], &[]),
    ("octet_length", &[Any], &[]),
    ("quote", &[Any], &[]),
    ("unistr_quote", &[Any], &[]),
    ("replace", &[Text, Text, Text], &[]),
    ("round", &[Number], &[]),
    ("round", &[Number, Small], &[]),
    ("sign", &[Number], &[]),
    ("soundex", &[Text], &[]),
    ("substr", &[Text, Small], &[]),
    ("substr", &[Any, Small, Small], &[]),
    ("substring", &[Text, Small, Small], &[]),
    ("typeof", &[Any], &[]),
    ("unhex", &[Hex], &[]),
    ("unhex", &[Hex, Text], &[]),
    ("unicode", &[Text], &[]),
    ("unistr", &[Text], &[]),
    ("zeroblob", &[Small], &[]),
    ("acos", &[Number], &[]),
    ("asin", &[Number], &[]),
    ("atan", &[Number], &[]),
    ("atan2", &[Number, Number], &[]),
    ("acosh", &[Number], &[]),
    ("asinh", &[Number], &[]),
    ("atanh", &[Number], &[]),
    ("ceil", &[Number], &[]),
    ("ceiling", &[Number], &[]),
    ("cos", &[Number], &[]),
    ("cosh", &[Number], &[]),
    ("degrees", &[Number], &[]),
    ("exp", &[Number], &[]),
    ("floor", &[Number], &[]),
    ("ln", &[Number], &[]),
    ("log", &[Number], &[]),
    ("log", &[Number, Number], &[]),
    ("log10", &[Number], &[]),
    ("log2", &[Number], &[]),
    ("mod", &[Number, Number], &[]),
    ("pi", &[], &[]),
    ("pow", &[Number, Number], &[]),
    ("power", &[Number, Number], &[]),
    ("radians", &[Number], &[]),
    ("sin", &[Number], &[]),
    ("sinh", &[Number], &[]),
    ("sqrt", &[Number], &[]),
    ("tan", &[Number], &[]),
    ("tanh", &[Number], &[]),
    ("trunc", &[Number], &[]),
    ("date", &[Time], &[Modifier]),
    ("datetime", &[Time], &[Modifier]),
    ("julianday", &[Time], &[Modifier]),
    ("strftime", &[Format, Time], &[Modifier]),
    ("time", &[Time], &[Modifier]),
    ("timediff", &[Time, Time], &[]),
    ("unixepoch", &[Time], &[Modifier]),
    ("json", &[Json], &[]),
    ("jsonb", &[Json], &[]),
    ("json_array", &[], &[Any]),
    ("jsonb_array", &[], &[Any]),
    ("json_array_insert", &[Json, Path, Any], &[]),
    ("jsonb_array_insert", &[Json, Path, Any], &[]),
    ("json_array_length", &[Json], &[]),
    ("json_array_length", &[Json, Path], &[]),
    ("json_error_position", &[Json], &[]),
    ("json_extract", &[Json, Path], &[Path]),
    ("jsonb_extract", &[Json, Path], &[Path]),
    ("json_insert", &[Json, Path, Any], &[]),
    ("jsonb_insert", &[Json, Path, Any], &[]),
    ("json_object", &[Text, Any], &[]),
    ("json_object", &[Text, Any, Text, Json], &[]),
    ("jsonb_object", &[Text, Any], &[]),
    ("json_patch", &[Json, Json], &[]),
    ("jsonb_patch", &[Json, Json], &[]),
    ("json_pretty", &[Json], &[]),
    ("json_pretty", &[Json, Text], &[]),
    ("json_quote", &[Any], &[]),
    ("json_remove", &[Json], &[Path]),
    ("jsonb_remove", &[Json], &[Path]),
    ("json_replace", &[Json, Path, Any], &[]),
    ("jsonb_replace", &[Json, Path, Any], &[]),
    ("json_set", &[Json, Path, Any, Path, Any], &[]),
    ("jsonb_set", &[Json, Path, Any], &[]),
    ("json_type", &[Json], &[]),
    ("json_type", &[Json, Path], &[]),
    ("json_valid", &[Json], &[]),
    ("json_valid", &[Json, Small], &[]),
];

/// The names of the functions that are generated.
pub(crate) fn functions() -> impl Iterator<Item = &'static str> {
    CALLS.iter().map(|(name, ..)| *name)
}

/// A call of one function, or `None` for one that is not generated.
pub(crate) fn call_of(random: &mut Random, name: &str) -> Option<String> {
    let known: Vec<&Call> = CALLS.iter().filter(|(known, ..)| *known == name).collect();
    if known.is_empty() {
        return None;
    }
    let (_, fixed, _) = **random.pick(&known);
    let args: Vec<String> = fixed.iter().map(|kind| of_kind(random, *kind, 1)).collect();
    Some(format!("{name}({})", args.join(", ")))
}

/// A value of a record.
pub(crate) fn value(random: &mut Random) -> Value<'static> {
    match random.below(10) {
        0 => Value::Null,
        1 | 2 => Value::Int(*random.pick(&INTEGERS)),
        3 | 4 => Value::Float(real(random)),
        5..=8 => Value::Text(text(random).into()),
        _ => Value::Bytes(text(random).into_bytes().into()),
    }
}

fn real(random: &mut Random) -> f64 {
    match random.below(3) {
        0 => *random.pick(&REALS),
        1 => {
            let real = f64::from_bits(random.next());
            if real.is_finite() { real } else { 0.25 }
        }
        _ => (random.below(2_000_000) as f64 - 1e6) / *random.pick(&[1.0, 10.0, 100.0, 1000.0, 7.0]),
    }
}

fn text(random: &mut Random) -> String {
    let list: &[&str] = match random.below(8) {
        0 => &JSONS,
        1 => &TIMES,
        _ => &TEXTS,
    };
    (*random.pick(list)).to_owned()
}

/// A record of [`FIELDS`].
pub(crate) fn record(random: &mut Random) -> Record {
    FIELDS
        .iter()
        .map(|(name, _)| match *name {
            _ if random.chance(8) => Value::Null,
            "n" => Value::Int(*random.pick(&INTEGERS)),
            "r" => Value::Float(real(random)),
            "s" => Value::Text(text(random).into()),
            "z" => Value::Bytes(text(random).into_bytes().into()),
            _ => value(random),
        })
        .collect()
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn number_literal(random: &mut Random) -> String {
    match random.below(6) {
        0 | 1 => (*random.pick(&INTEGERS)).to_string(),
        // Minus the smallest integer is an error, which SQLite only finds where it needs the value.
        2 => format!("0x{:x}", (*random.pick(&INTEGERS)).max(-i64::MAX)),
        3 => format!("{:e}", real(random)),
        4 => (*random.pick(&["1_000.5", "9223372036854775808", "1.5e3", "10.", ".25", "1e400"])).to_owned(),
        _ => (random.below(40)).to_string(),
    }
}

fn literal(random: &mut Random) -> String {
    match random.below(9) {
        0 => "NULL".to_owned(),
        1 | 2 => number_literal(random),
        3 => (*random.pick(&["TRUE", "FALSE", "true"])).to_owned(),
        4 => {
            let hex: String = text(random).bytes().map(|byte| format!("{byte:02x}")).collect();
            format!("x'{hex}'")
        }
        _ => quoted(&text(random)),
    }
}

fn column(random: &mut Random) -> String {
    let (name, _) = random.pick(&FIELDS);
    match random.below(6) {
        0 => format!("\"{name}\""),
        1 => format!("`{name}`"),
        2 => format!("[{name}]"),
        _ => (*name).to_owned(),
    }
}

/// An expression of a kind.
fn of_kind(random: &mut Random, kind: Kind, depth: usize) -> String {
    if depth > 0 && random.chance(15) {
        return expression(random, depth - 1);
    }
    let from = |random: &mut Random, list: &[&str]| {
        let text: &&str = random.pick(list);
        quoted(text)
    };
    match kind {
        Any => expression(random, depth.saturating_sub(1)),
        Number if random.chance(50) => number_literal(random),
        Number => (*random.pick(&["n", "r", "a", "b", "'12'", "' 3.5 '"])).to_owned(),
        Text if random.chance(50) => from(random, &TEXTS),
        Text => (*random.pick(&["a", "b", "s", "c || d"])).to_owned(),
        Json if random.chance(20) => (*random.pick(&["json(a)", "jsonb(b)", "json_array(a, b)", "s"])).to_owned(),
        Json => from(random, &JSONS),
        Path => from(random, &PATHS),
        Time if random.chance(30) => number_literal(random),
        Time => from(random, &TIMES),
        Modifier => from(random, &MODIFIERS),
        Format => from(random, &FORMATS),
        Pattern => {
            from(random, &["%a%", "a_c", "A%", "*b*", "[a-c]*", "[^x]*", "100\\%", "%", "", "_%_", "?", "é%", "[]]"])
        }
        Small => (random.below(16) as i64 - 5).to_string(),
        Char => from(random, &["\\", "%", "_", "é", "", "ab", "a"]),
        Hex => from(random, &["6162", "61 62", "6", "zz", "61-62", "C3A9", "ff", ""]),
        Code => (*random.pick(&["65", "233", "128512", "0", "-1", "1114112", "'66'", "55296"])).to_owned(),
    }
}

fn call(random: &mut Random, depth: usize) -> String {
    let (name, fixed, more) = random.pick(CALLS);
    let mut args: Vec<String> = fixed.iter().map(|kind| of_kind(random, *kind, depth)).collect();
    if *name == "likelihood" {
        args.push("0.5".to_owned());
    }
    while !more.is_empty() && args.len() < 6 && random.chance(45) {
        args.extend(more.iter().map(|kind| of_kind(random, *kind, depth)));
    }
    let call = format!("{name}({})", args.join(", "));
    // SQLite changes JSONB in place and may write a size longer than it must be: its text is compared.
    let in_place = ["insert", "patch", "remove", "replace", "set"].iter().any(|end| name.ends_with(end));
    if name.starts_with("jsonb_") && in_place { format!("json({call})") } else { call }
}

const BINARY: [&str; 25] = [
    "+",
    "-",
    "*",
    "/",
    "%",
    "||",
    "&",
    "|",
    "<<",
    ">>",
    "=",
    "==",
    "<>",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "AND",
    "OR",
    "IS",
    "IS NOT",
    "IS DISTINCT FROM",
    "IS NOT DISTINCT FROM",
    "LIKE",
];

/// An expression of at most so many levels.
pub(crate) fn expression(random: &mut Random, depth: usize) -> String {
    if depth == 0 || random.chance(12) {
        return if random.chance(45) { column(random) } else { literal(random) };
    }
    let sub = |random: &mut Random| expression(random, depth - 1);
    match random.below(22) {
        0..=6 => format!("{} {} {}", sub(random), random.pick(&BINARY), sub(random)),
        7..=12 => call(random, depth),
        13 => format!("({})", sub(random)),
        14 => format!("{} {}", random.pick(&["-", "+", "~", "NOT", "- -"]), sub(random)),
        15 => format!("CAST({} AS {})", sub(random), random.pick(&CASTS)),
        16 => case(random, depth),
        17 => {
            let not = random.pick(&["", "NOT "]);
            let items: Vec<String> = (0..random.below(5)).map(|_| sub(random)).collect();
            format!("{} {not}IN ({})", sub(random), items.join(", "))
        }
        18 => format!("{} {}BETWEEN {} AND {}", sub(random), random.pick(&["", "NOT "]), sub(random), sub(random)),
        19 => format!("{} COLLATE {}", sub(random), random.pick(&COLLATIONS)),
        20 => {
            let word =
                random.pick(&["ISNULL", "NOTNULL", "NOT NULL", "IS NULL", "IS NOT NULL", "IS TRUE", "IS NOT FALSE"]);
            format!("{} {word}", sub(random))
        }
        _ => match random.below(3) {
            0 => {
                let op = random.pick(&["LIKE", "NOT LIKE", "GLOB", "NOT GLOB"]);
                format!("{} {op} {}", sub(random), of_kind(random, Pattern, depth))
            }
            1 => format!("{} LIKE {} ESCAPE '\\'", sub(random), of_kind(random, Pattern, depth)),
            _ => {
                let op = random.pick(&["->", "->>"]);
                let path = if random.chance(30) { random.below(4).to_string() } else { of_kind(random, Path, depth) };
                format!("{} {op} {path}", of_kind(random, Json, depth))
            }
        },
    }
}

fn case(random: &mut Random, depth: usize) -> String {
    let mut out = "CASE".to_owned();
    if random.chance(50) {
        out = format!("{out} {}", expression(random, depth - 1));
    }
    for _ in 0..=random.below(2) {
        out = format!("{out} WHEN {} THEN {}", expression(random, depth - 1), expression(random, depth - 1));
    }
    if random.chance(70) {
        out = format!("{out} ELSE {}", expression(random, depth - 1));
    }
    format!("{out} END")
}
