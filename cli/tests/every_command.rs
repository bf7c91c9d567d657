//! Commands that change what keys hold, each in its turn and one way or another: after each of them all targets say what
//! Redis says.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helping functions as well"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use redis::Commands as _;
use serde_json::{Value, json};
use support::everywhere::{contents, everywhere, field, write};
use support::maria::Maria;
use support::{Project, Row, cache};
use xtask::servers::{Redis, rejson_module};

/// How long targets may take until they say what Redis says.
const PATIENCE: Duration = Duration::from_secs(30);

const TABLES: &str = "
CREATE TABLE h (name varchar(99) NOT NULL PRIMARY KEY, a text, b text);
CREATE TABLE s (name varchar(99) NOT NULL, member varchar(99) NOT NULL, PRIMARY KEY (name, member));
CREATE TABLE z (name varchar(99) NOT NULL, member varchar(99) NOT NULL, score double precision, PRIMARY KEY (name, member));
CREATE TABLE j (name varchar(99) NOT NULL PRIMARY KEY, a text, n text);
CREATE TABLE line (name varchar(99) NOT NULL, no integer NOT NULL, article text, PRIMARY KEY (name, no));
";
/// In MariaDB, blanks at the end of a text count only where the collation says so.
const EXACT: &str = "varchar(99) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin";

/// All rows: the table, the name, and what else there is.
const SELECT: &str = "
SELECT 'h', name, a, b FROM h
UNION ALL SELECT 's', name, member, '' FROM s
UNION ALL SELECT 'z', name, member, CAST(CAST(score * 2 AS integer) AS text) FROM z
UNION ALL SELECT 'j', name, a, n FROM j
UNION ALL SELECT 'line', name, CAST(no AS text), article FROM line
";

const JOBS: [&str; 4] = ["h", "s", "z", "j"];

/// A job for each type of key, which writes to all databases and to another Redis.
fn jobs() -> [String; 4] {
    let source = |kind: &str, data_type: &str| {
        format!(
            "    key_pattern: {kind}:*\n    data_type: {data_type}\n    key: {kind}:<name>\n    on_expire: delete\n    \
             on_flush: delete"
        )
    };
    let hashes = everywhere(&source("h", "hash"), &["      table: h\n      keys: [name]\n      mapping: [a, b]"])
        + &write("'H:' || name", "mapping: [a, b]");
    let sets = everywhere(
        &format!("{}\ntransform:{}", source("s", "set"), field("all", "join(',', sort(members))")),
        &["      table: s\n      foreach: 'member: members'\n      keys: [name, member: member]"],
    ) + &write("'S:' || name", "data_type: string\n      args: {value: all}");
    let scores = everywhere(
        &source("z", "sorted_set"),
        &["      table: z\n      foreach: 'entry: members'\n      keys: [name, member: entry.member]\n      \
           mapping: [score: entry.score]"],
    ) + &write("'Z:' || name", "data_type: json\n      mapping: [members]");
    let documents = everywhere(
        &source("j", "json"),
        &[
            "      table: j\n      keys: [name]\n      mapping: [a, n]",
            "      table: line\n      foreach: 'line: lines[]'\n      keys: [name, no: line.no]\n      mapping: \
             [article: line.article]",
        ],
    ) + &write("'J:' || name", "data_type: json\n      mapping: [a, n, lines]");
    [hashes, sets, scores, documents]
}

/// The words of a line; those in single quotes may have blanks, and `\xff` is a byte.
fn words(line: &str) -> Vec<Vec<u8>> {
    let (mut words, mut word, mut quoted) = (Vec::new(), None::<Vec<u8>>, false);
    let mut rest = line.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        match byte {
            b'\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            b' ' if !quoted => words.extend(word.take()),
            b'\\' if rest.first() == Some(&b'x') => {
                let digits = std::str::from_utf8(&rest[1..3]).unwrap();
                word.get_or_insert_default().push(u8::from_str_radix(digits, 16).unwrap());
                rest = &rest[3..];
            }
            byte => word.get_or_insert_default().push(*byte),
        }
    }
    words.extend(word);
    words
}

/// What the source holds that the jobs are for: the rows and the keys that it calls for.
fn called_for(client: &mut redis::Connection) -> (BTreeSet<Row>, BTreeMap<String, Value>) {
    let (mut rows, mut keys) = (BTreeSet::new(), BTreeMap::new());
    let all: Vec<Vec<u8>> = client.keys("*").unwrap();
    for key in all {
        // A key that is no text has no rows: its records are rejected.
        let Ok(key) = String::from_utf8(key) else { continue };
        let Some((prefix, name)) = key.split_once(':') else { continue };
        let kind: String = client.key_type(&key).unwrap();
        let mut add = |columns: &[&str]| {
            rows.insert(columns.iter().map(|&column| column.to_owned()).collect::<Row>());
        };
        match (prefix, kind.as_str()) {
            ("h", "hash") => {
                let fields: BTreeMap<String, String> = client.hgetall(&key).unwrap();
                let field = |name: &str| fields.get(name).map_or("∅", String::as_str);
                add(&["h", name, field("a"), field("b")]);
                let written: BTreeMap<&String, &String> =
                    fields.iter().filter(|(name, _)| ["a", "b"].contains(&name.as_str())).collect();
                if !written.is_empty() {
                    keys.insert(format!("H:{name}"), json!(written));
                }
            }
            ("s", "set") => {
                let members: BTreeSet<String> = client.smembers(&key).unwrap();
                members.iter().for_each(|member| add(&["s", name, member, ""]));
                keys.insert(format!("S:{name}"), members.into_iter().collect::<Vec<_>>().join(",").into());
            }
            ("z", "zset") => {
                let members: Vec<(String, f64)> = client.zrange_withscores(&key, 0, -1).unwrap();
                members.iter().for_each(|(member, score)| add(&["z", name, member, &(score * 2.0).to_string()]));
                let members = members.iter().map(|(member, score)| json!({"member": member, "score": score}));
                keys.insert(format!("Z:{name}"), json!({"members": members.collect::<Vec<_>>()}));
            }
            ("j", "ReJSON-RL") => {
                let document: String = redis::cmd("JSON.GET").arg(&key).query(client).unwrap();
                let document: Value = serde_json::from_str(&document).unwrap();
                let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let field =
                    |name: &str| document.get(name).filter(|value| !value.is_null()).map_or("∅".to_owned(), text);
                add(&["j", name, &field("a"), &field("n")]);
                for line in document["lines"].as_array().unwrap_or(&Vec::new()) {
                    let article = Some(&line["article"]).filter(|value| !value.is_null()).map_or("∅".to_owned(), text);
                    add(&["line", name, &text(&line["no"]), &article]);
                }
                let written: BTreeMap<&str, &Value> =
                    ["a", "n", "lines"].into_iter().map(|name| (name, &document[name])).collect();
                keys.insert(format!("J:{name}"), json!(written));
            }
            _ => {}
        }
    }
    (rows, keys)
}

struct Targets {
    project: Project,
    maria: Maria,
    cache: Redis,
    client: redis::Connection,
    /// Another client of the source.
    other: redis::Connection,
    /// Whether another Redis may have more keys than are called for.
    stays: bool,
}

impl Targets {
    fn new() -> Self {
        let jobs = jobs();
        let mut project = Project::new(JOBS[0], &jobs[0], TABLES);
        let maria = Maria::join(&project, &TABLES.replace("varchar(99)", EXACT));
        let cache = cache::join(&project);
        project.redis = Redis::start_with(&["--loadmodule", &rejson_module().to_string_lossy()]);
        JOBS.iter().zip(&jobs).for_each(|(name, job)| project.write(&format!("jobs/{name}.yaml"), job));
        let (client, other) = (project.client(), project.client());
        Self { project, maria, cache, client, other, stays: false }
    }

    /// Sends a line: `other:` in front of what another client sends, `!` in front of what is refused.
    fn send(&mut self, line: &str) {
        let (client, line) = match line.strip_prefix("other:") {
            Some(line) => (&mut self.other, line),
            None => (&mut self.client, line),
        };
        if let Some(ms) = line.strip_prefix("sleep ") {
            std::thread::sleep(Duration::from_millis(ms.parse().unwrap()));
            return;
        }
        let (line, is_refused) = line.strip_prefix('!').map_or((line, false), |line| (line, true));
        let mut command = redis::Cmd::new();
        words(line).iter().for_each(|word| {
            command.arg(word);
        });
        let reply = command.query::<redis::Value>(client).and_then(redis::Value::extract_error);
        assert_eq!(reply.is_err(), is_refused, "{line}: {reply:?}");
    }

    /// Waits until all that was captured is applied, and all targets say what Redis says.
    fn assert_equal(&mut self, case: &str) {
        let start = Instant::now();
        loop {
            let drained = JOBS.iter().all(|job| self.other.xlen::<_, usize>(format!("wb:{{0}}:{job}")).unwrap() == 0);
            let differences = self.differences();
            if drained && differences.is_empty() {
                return;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "{case}: drained {drained}\n{}\n{}",
                differences.join("\n"),
                self.project.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn differences(&mut self) -> Vec<String> {
        let (rows, keys) = called_for(&mut self.other);
        let all = [
            ("pg", self.project.pg_rows(&SELECT.replace("AS integer", "AS bigint"))),
            ("lite", self.project.lite_rows(SELECT)),
            ("maria", self.maria.rows(SELECT)),
        ];
        let mut differences = Vec::new();
        for (target, found) in all {
            let found: BTreeSet<Row> = found.into_iter().collect();
            differences.extend(found.difference(&rows).map(|row| format!("{target} has {row:?}")));
            differences.extend(rows.difference(&found).map(|row| format!("{target} lacks {row:?}")));
        }
        let found = contents(&mut cache::client(&self.cache));
        for key in found.keys().chain(keys.keys()).collect::<BTreeSet<_>>() {
            let may_stay = self.stays && !keys.contains_key(key);
            if found.get(key) != keys.get(key) && !may_stay {
                differences.push(format!("{key} is {:?} in another Redis, not {:?}", found.get(key), keys.get(key)));
            }
        }
        differences
    }
}

/// What goes together, a line each; what is behind a line stays for those that follow.
const CASES: &[&str] = &[
    // Names.
    "HSET 'h:two words' a 1\nHSET 'h: ' a 2\nHSET 'h:x ' a 3\nHSET h:x a 4\nHSET h:X a 5",
    "HSET h:größe a ß\nHSET h:名前 a 名\nHSET h:🦀 a 🦀\nHSET h:e\u{301} a 1\nHSET h:\u{e9} a 2",
    "HSET h:a:b:c a 1\nHSET h:{tag} a 2\nHSET h:* a 3\nHSET h:[x]?\\x5c a 4\nHSET h:% a 5\nHSET h:_ a 6",
    "HSET h:O\\x27Hara a O\\x27Hara\nHSET h:\"q\" a \"\nHSET h:NULL a NULL\nHSET h:\\x09\\x0a a \\x09\\x0a\nHSET h:$1;-- a ${x}",
    "DEL 'h:two words' h:名前\nUNLINK h:🦀 h:{tag}\nHDEL h:% a\nHDEL 'h:x ' a",
    "SADD 's:two words' '' ' ' 'a ' a A ä 名 O\\x27Hara\nZADD 'z:two words' 1 '' 2 ' ' 3 'a ' 4 a 5 A 6 ä",
    "SREM 's:two words' a ''\nZREM 'z:two words' a ''",
    // Hashes.
    "HSET h:1 a 1 b 2 c 3\nHSETNX h:1 a 9\nHSETNX h:1 d 9\nHMSET h:2 a x b y\nHSET h:3 c 1",
    "HINCRBY h:1 a 41\nHINCRBYFLOAT h:1 b 0.5\nHSET h:2 a ''\nHDEL h:2 b nothing",
    "HDEL h:2 a\nHSET h:2 b 1\nHDEL h:2 b\nHDEL h:2 b\nHDEL h:3 c",
    "HSET h:2 a 1 b 2\nHDEL h:2 a b\nHSET h:3 a 1\nDEL h:3\nHSET h:3 b 2",
    "HPEXPIRE h:1 1 FIELDS 1 a\nsleep 20",
    "HSET h:4 a 1\nHPEXPIRE h:4 1 FIELDS 1 a\nsleep 20",
    "HSET h:4 a 1 b 2\nHEXPIRE h:4 0 FIELDS 1 a\nHPEXPIREAT h:4 1 FIELDS 1 b",
    "HSET h:4 a 1 b 2\nHEXPIRE h:4 100 FIELDS 2 a b\nHPERSIST h:4 FIELDS 1 a\nHSET h:4 b 3",
    "HGETDEL h:4 FIELDS 1 a\nHSETEX h:5 FIELDS 2 a 1 b 2\nHSETEX h:5 PX 1 FIELDS 1 b 3\nHSETEX h:6 FNX FIELDS 1 a 1\nsleep 20",
    "HGETDEL h:4 FIELDS 1 b\nHGETEX h:5 PX 1 FIELDS 1 a\nHGETEX h:6 PERSIST FIELDS 1 a\nsleep 20",
    // Sets.
    "SADD s:1 a b c d e\nSADD s:2 c d x\nSADD s:1 a\nSREM s:1 e nothing\nSMOVE s:1 s:2 a\nSMOVE s:2 s:3 x",
    "SINTERSTORE s:i s:1 s:2\nSUNIONSTORE s:u s:1 s:2 s:3\nSDIFFSTORE s:d s:1 s:2\nSUNIONSTORE h:1 s:1",
    "SINTERSTORE s:i s:1 s:3\nSDIFFSTORE s:d s:1 s:1\nSPOP s:u\nSPOP s:u 2\nSMOVE s:3 s:4 x",
    "SPOP s:u 99\nSREM s:2 a c\nSPOP s:1 1\nSORT s:1 ALPHA STORE s:1",
    // Sorted sets.
    "ZADD z:1 1 a 2.5 b 3 c 4 d 5 e\nZADD z:1 GT CH 9 a\nZADD z:1 NX 1 a\nZADD z:1 XX INCR 1 a\nZINCRBY z:1 -0.5 b\nZINCRBY z:1 1 f",
    "ZADD z:2 1 a 1 c 7 x\nZUNIONSTORE z:u 2 z:1 z:2 WEIGHTS 2 1 AGGREGATE MAX\nZINTERSTORE z:i 2 z:1 z:2\nZDIFFSTORE z:d 2 z:1 z:2",
    "ZRANGESTORE z:r z:1 0 1\nZRANGESTORE z:s z:1 (2 +inf BYSCORE\nZRANGESTORE z:r z:1 7 9\nZUNIONSTORE z:3 1 s:u\nZUNIONSTORE z:4 1 s:2 WEIGHTS 3",
    "ZPOPMIN z:1\nZPOPMAX z:1 2\nZMPOP 1 z:u MIN COUNT 1\nBZPOPMIN z:d 1\nBZPOPMAX z:u 1\nBZMPOP 1 1 z:u MAX",
    "ZREMRANGEBYRANK z:u 0 0\nZREMRANGEBYSCORE z:1 -inf +inf\nZADD z:lex 0 a 0 b 0 c\nZREMRANGEBYLEX z:lex [a (c\nZINTERSTORE z:i 2 z:1 z:2",
    "ZADD z:1 -1 a\nZADD z:1 1e3 b\nZADD z:1 0 b\nZREM z:1 a b\nGEOADD z:geo 0 0 p",
    "DEL z:geo\nGEOADD q:geo 13.4 52.5 p 13.5 52.5 q\nZADD z:geo 1 x\nDEL z:geo",
    // Documents.
    "JSON.SET j:1 $ {\"a\":\"x\",\"n\":1,\"lines\":[{\"no\":1,\"article\":\"p\"},{\"no\":2,\"article\":\"q\"},{\"no\":3,\"article\":\"r\"}]}",
    "JSON.SET j:1 $.a '\"two words\"'\nJSON.NUMINCRBY j:1 $.n 41\nJSON.ARRAPPEND j:1 $.lines {\"no\":4,\"article\":\"s\"}\nJSON.SET j:1 $.a 1 NX\n\
     JSON.STRAPPEND j:1 $.a '\"!\"'",
    "JSON.ARRTRIM j:1 $.lines 1 2\nJSON.ARRINSERT j:1 $.lines 0 {\"no\":9,\"article\":\"z\"}\nJSON.NUMMULTBY j:1 $.n 2\nJSON.SET j:1 $.lines[0].article '\"größe\"'",
    "JSON.ARRPOP j:1 $.lines 0\nJSON.MERGE j:1 $ {\"a\":null,\"n\":7,\"b\":{\"c\":1}}\nJSON.SET j:1 $.a true\nJSON.TOGGLE j:1 $.a",
    "JSON.MSET j:2 $ {\"a\":\"m\"} j:3 $ {\"n\":3,\"lines\":[{\"no\":1,\"article\":\"x\"}]} j:1 $.n 8 h:9 $ {\"a\":1}\nJSON.MERGE j:4 $ {\"a\":\"new\",\"lines\":[{\"no\":5,\"article\":null}]}",
    "JSON.CLEAR j:3 $.lines\nJSON.CLEAR j:4\nJSON.SET j:3 $.lines [{\"no\":7,\"article\":\"y\"}]\nJSON.DEL j:1 $.lines[0]\nJSON.FORGET j:1 $.n",
    "JSON.SET j:3 $ {\"a\":\"over\"} XX\nJSON.SET j:5 $ {\"a\":\"no\"} XX\nJSON.SET j:2 $ {\"lines\":[]}\nJSON.CLEAR j:1\nJSON.SET j:4 $.lines [{\"no\":6}]",
    "JSON.DEL j:1\nJSON.FORGET j:2 $\nJSON.DEL j:4 $.lines\nJSON.SET j:1 $ {\"a\":\"\\u0041\\ud83e\\udd80\",\"n\":1.5}",
    "JSON.SET j:6 $ {\"lines\":[{\"no\":1,\"article\":\"a\"},{\"no\":1,\"article\":\"b\"}]}\nJSON.DEL j:6",
    // Keys.
    "DEL h:1\nHSET h:1 a 1\nHSET h:2 a 2\nRENAME h:1 elsewhere\nRENAME h:2 h:3\nHSET h:2 a 5\nRENAME h:2 h:3\nRENAMENX h:3 h:2\nHSET h:4 a 4\nRENAMENX h:4 h:2",
    "RENAME elsewhere h:back\nHSET elsewhere a 7\nRENAME elsewhere h:2\nRENAME h:2 h:2\nSADD s:t a\nRENAME s:t h:4\nHSET x:1 a 1\nRENAME x:1 s:t",
    "COPY h:back h:copy\nCOPY h:2 h:copy REPLACE\nCOPY h:2 h:copy\nCOPY h:2 h:over DB 1\nCOPY s:t s:t2\nCOPY j:1 j:copy\nCOPY h:back out",
    "MOVE h:back 1\nSELECT 1\nHSET h:other a 1\nMOVE h:back 0\nMOVE h:other 0\nDEL h:over\nHSET h:3 a elsewhere\nSELECT 0",
    "EVAL 'return redis.call(\"RESTORE\", KEYS[2], 0, redis.call(\"DUMP\", KEYS[1]), \"REPLACE\")' 2 h:2 h:restored\n\
     EVAL 'return redis.call(\"RESTORE\", KEYS[2], 0, redis.call(\"DUMP\", KEYS[1]), \"REPLACE\")' 2 s:2 h:3\n\
     EVAL 'return redis.call(\"RESTORE\", KEYS[2], 0, redis.call(\"DUMP\", KEYS[1]))' 2 j:1 j:restored",
    "EVAL 'return redis.call(\"RESTORE\", KEYS[2], 1, redis.call(\"DUMP\", KEYS[1]), \"REPLACE\", \"ABSTTL\")' 2 h:restored h:copy\n\
     EVAL 'return redis.call(\"RESTORE\", KEYS[2], 5, redis.call(\"DUMP\", KEYS[1]))' 2 h:restored h:soon\nsleep 30\nTOUCH h:soon",
    "HSET h:1 a 1\nHSET h:2 a 2\nHSET h:3b a 3\nPEXPIRE h:1 0\nEXPIRE h:2 -1\nEXPIREAT h:3b 1\nPEXPIRE j:copy 1\nsleep 20\nTOUCH j:copy",
    "HSET h:1 a 1\nPEXPIRE h:1 100000\nPERSIST h:1\nEXPIRE h:1 1000\nHSET h:1 b 2\nDEL h:1\nHSET h:1 b 3",
    // Keys of another type.
    "SET h:1 x\nSET h:1 y\nAPPEND h:1 z\nHSET h:2 a 2\n!SET h:2 x GET\nSET h:2 x EX 100\nGETDEL h:2\n!HSET h:1 a 1\nDEL h:1\nHSET h:1 a 1",
    "HSET h:2 a 2\nSET h:2 x\nGETDEL h:2\nHSET h:2 a 3\nHSET h:3c a 1\nMSET h:3c x h:3d y\nSETEX h:1 100 x\nGETSET h:1 y\nINCR h:n",
    "DEL h:1 h:3c h:3d h:n\nHSET h:1 a 1\nBITOP NOT h:1 h:nothing\nHSET h:1 a 1\nSET bits x\nBITOP NOT h:1 bits\nSETBIT h:b 1 1\nDEL h:1\nPFADD h:pf a\nPFMERGE h:1 h:pf",
    "DEL h:1 h:b h:pf\nHSET h:1 a 1\nRPUSH list a b\nLMOVE list list2 LEFT LEFT\nRPUSH h:list a\nRPOPLPUSH list h:list\nRENAME list2 h:1\nLPOP h:1\nXADD h:stream * a 1\nXADD events * a 1",
    "DEL h:list h:stream\nHSET h:list a 1\nRPUSH nums 3 1 2\nSORT nums STORE h:list\nDEL h:list\nSORT nothing STORE h:2\n!SADD j:1 a\n!ZADD s:t 1 a",
    "HSET h:1 a 1\n!JSON.SET h:1 $ {\"a\":2}\nDEL h:1\nJSON.SET h:1 $ {\"a\":2}\n!HSET h:1 a 3\nDEL h:1\nHSET h:1 a 4\nHSET j:5 a 1\nDEL j:5\nJSON.SET j:5 $ {\"a\":\"back\"}",
    "SET j:5 x\nSADD s:9 a\nDEL s:9\nZADD z:9 1 a\nZUNIONSTORE s:9 1 z:9\nDEL s:9\nSADD s:9 b\nSUNIONSTORE z:9 s:9\nDEL z:9\nZADD z:9 2 c",
    // Transactions and scripts.
    "MULTI\nHSET h:m a 1\nHSET h:m a 2\nSADD s:m a\nZADD z:m 1 a\nJSON.SET j:m $ {\"a\":\"m\"}\nHSET h:m2 a 1\nDEL h:m2\nEXEC",
    "MULTI\nHSET h:m a 3\nDISCARD\nWATCH h:m\nother:HSET h:m a 4\nMULTI\nHSET h:m a 5\nEXEC\nMULTI\nHSET h:m b 6\nSADD h:m x\nHSET h:m2 a 7\n!EXEC",
    "MULTI\nDEL h:m\nHSET h:m b 9\nRENAME h:m h:m2\nCOPY h:m2 h:m3\nSET h:m x\nDEL h:m\nHSET h:m a 1\nEXEC",
    "MULTI\nSELECT 1\nHSET h:m a elsewhere\nSELECT 0\nHSET h:m b here\nEXEC\nMULTI\nSELECT 1\nMOVE h:m 0\nDEL h:m\nSELECT 0\nEXEC",
    "EVAL 'for i = 1, 300 do redis.call(\"HSET\", \"h:l\" .. i, \"a\", i) redis.call(\"SADD\", \"s:l\", i) end for i = 1, 290 do \
     redis.call(\"DEL\", \"h:l\" .. i) redis.call(\"SREM\", \"s:l\", i) end' 0",
    "!EVAL 'redis.call(\"HSET\", KEYS[1], \"a\", \"before\") error(\"stop\")' 1 h:e\nEVAL 'redis.pcall(\"SADD\", KEYS[1], 1) redis.call(\"HSET\", \
     KEYS[1], \"b\", 1)' 1 h:e",
    "EVAL 'redis.call(\"SELECT\", 1) redis.call(\"HSET\", KEYS[1], \"a\", \"db 1\")' 1 h:e\nHSET h:e b 2",
    "FUNCTION LOAD '#!lua name=lib\nredis.register_function(\"f\", function(keys) for i, key in ipairs(keys) do redis.call(\"HINCRBY\", key, \"a\", i) \
     redis.call(\"HSET\", key .. \"x\", \"b\", i) end end)'\nFCALL f 3 h:f1 h:f2 h:f3\nFCALL f 2 h:f1 h:f2",
    // Many at once.
    "DEL h:1 h:2 h:3 h:f1 h:f1x nothing s:1 z:2 j:1 j:5",
];

/// The same with databases that are emptied: what was written to another Redis stays there.
const FLUSHES: &[&str] = &[
    "FLUSHDB",
    "HSET h:1 a 1\nSADD s:1 a\nZADD z:1 1 a\nJSON.SET j:1 $ {\"a\":\"x\",\"lines\":[{\"no\":1,\"article\":\"p\"}]}\nMULTI\nHSET h:2 a 1\nFLUSHDB\nHSET h:3 a 1\nEXEC",
    "HSET h:4 a 1\nFLUSHALL ASYNC\nSADD s:1 b\nFLUSHDB SYNC\nZADD z:2 5 b",
    "SELECT 1\nFLUSHDB\nHSET h:5 a 1\nSELECT 0\nHSET h:1 a back",
];

#[test]
fn all_targets_follow_each_command() {
    let mut targets = Targets::new();
    let mut worker = targets.project.worker();
    let client = &mut targets.other;
    targets.project.wait("all jobs are tracked", || {
        redis::cmd("WB.RULES").query::<Vec<redis::Value>>(client).unwrap().len() == JOBS.len()
    });
    for case in CASES.iter().chain(FLUSHES) {
        targets.stays |= case.contains("FLUSH");
        split(case).into_iter().for_each(|line| targets.send(line));
        targets.assert_equal(case);
    }
    worker.stop();
    assert!(worker.status().unwrap().success(), "{}", targets.project.log());
    for job in JOBS {
        let rejected: usize = targets.client.xlen(format!("dlq:wb:{{0}}:{job}")).unwrap();
        assert_eq!(rejected, 0, "nothing of {job} is rejected: {}", targets.project.log());
    }
}

/// The lines of a case; a line ends outside of quotes.
fn split(case: &str) -> Vec<&str> {
    let (mut lines, mut start, mut quoted) = (Vec::new(), 0, false);
    for (at, byte) in case.bytes().enumerate() {
        match byte {
            b'\'' => quoted = !quoted,
            b'\n' if !quoted => {
                lines.push(&case[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    lines.push(&case[start..]);
    lines
}
