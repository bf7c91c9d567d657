//! How long the slices of a snapshot hold Redis up. It must not know how a slice is made: it asks for slices, and reads
//! Redis's slow log, which tells how long each took.

use std::fmt::Write as _;
use std::time::Duration;

use redis::{Connection, Value};
use xtask::servers::{CAPTURE_FILE, Redis};
use xtask::{Error, cargo, tools};

use super::{machine, publish};

/// What the section begins with.
const HEADING: &str = "## Slices of a snapshot\n";

/// What is walked: what it is, and the script that makes it.
const SCENES: [(&str, &str); 5] = [
    (
        "1,000,000 hashes of 5 fields",
        "for i = 1, 1000000 do redis.call('HSET', 'k:' .. i, 'name', 'Ann', 'salary', i, 'dept', 'ops', 'city', 'Rome', \
         'note', 'none') end",
    ),
    (
        "1,000 of 1,000,000 keys match",
        "for i = 1, 999000 do redis.call('SET', 'other:' .. i, i) end \
         for i = 1, 1000 do redis.call('HSET', 'k:' .. i, 'name', 'Ann') end",
    ),
    (
        "100 sets and 100 hashes of 50,000 each",
        "for i = 1, 100 do for j = 1, 50000 do redis.call('SADD', 'k:s' .. i, j) redis.call('HSET', 'k:h' .. i, j, j) end end",
    ),
    (
        "2,000 JSON documents of 50 kB",
        "local rows = {} for i = 1, 400 do rows[i] = {id = i, name = string.rep('x', 50), price = i / 4, tags = {'a', 'b'}} end \
         local text = cjson.encode({rows = rows}) \
         for i = 1, 2000 do redis.call('JSON.SET', 'k:' .. i, '$', text) end",
    ),
    (
        "100 JSON documents of 1 MB",
        "local rows = {} for i = 1, 8000 do rows[i] = {id = i, name = string.rep('x', 50), price = i / 4, tags = {'a', 'b'}} end \
         local text = cjson.encode({rows = rows}) \
         for i = 1, 100 do redis.call('JSON.SET', 'k:' .. i, '$', text) end",
    ),
];

/// Times the slices of each scene.
pub(crate) fn run() -> Result<(), Error> {
    let module = cargo::build(&["redis-wb-capture"], &["--locked", "--release"])?.file(CAPTURE_FILE)?;
    let mut rows = String::new();
    for (name, script) in SCENES {
        rows += &row(name, script, &module)?;
    }
    let section = format!(
        "{HEADING}\n`cargo xtask bench snapshot`: every `WB.SNAPSHOT` of a walk, as Redis's slow log has it; the goal is 5 ms; \
         {}.\n\n| | records | slices | median | 99 % | longest | records a second |\n|---|--:|--:|--:|--:|--:|--:|\n{rows}",
        machine(),
    );
    publish(HEADING, &section)
}

fn row(name: &str, script: &str, module: &std::path::Path) -> Result<String, Error> {
    let rejson = tools::rejson()?;
    let server = Redis::try_start(Some(module), &["--loadmodule", &rejson.to_string_lossy()])?;
    let mut redis = redis::Client::open(server.url())
        .and_then(|client| client.get_connection())
        .map_err(Error::during("connect to Redis"))?;
    let mut walked = || -> redis::RedisResult<(u64, Vec<u64>)> {
        redis::cmd("EVAL").arg(script).arg(0).exec(&mut redis)?;
        redis::cmd("WB.TRACK").arg("k").arg("k:*").exec(&mut redis)?;
        redis::cmd("CONFIG")
            .arg(&["SET", "slowlog-max-len", "10000000", "slowlog-log-slower-than", "0"])
            .exec(&mut redis)?;
        let appended = walk(&mut redis)?;
        let entries: Vec<Vec<Value>> = redis::cmd("SLOWLOG").arg("GET").arg(-1).query(&mut redis)?;
        let mut times: Vec<u64> = entries.iter().filter_map(|entry| slice_us(entry)).collect();
        times.sort_unstable();
        Ok((appended, times))
    };
    let (appended, times) = walked().map_err(Error::during(format_args!("walk {name}")))?;
    let ms = |share: usize| {
        let last = times.len().saturating_sub(1);
        let us = times.get(last * share / 100).copied().unwrap_or_default();
        Duration::from_micros(us).as_secs_f64() * 1_000.0
    };
    let mut row = String::new();
    let rate = appended.saturating_mul(1_000_000) / times.iter().sum::<u64>().max(1);
    // Writing to a `String` cannot fail.
    let _ = writeln!(
        row,
        "| {name} | {appended} | {} | {:.1} ms | {:.1} ms | {:.1} ms | {rate} |",
        times.len(),
        ms(50),
        ms(99),
        ms(100)
    );
    Ok(row)
}

/// Walks through all keys; gives how many records were appended. The stream is emptied meanwhile, as a worker would.
fn walk(redis: &mut Connection) -> redis::RedisResult<u64> {
    let (mut cursor, mut all) = ("0".to_owned(), 0);
    loop {
        let (next, _seen, appended, _walked): (String, u64, u64, u64) =
            redis::cmd("WB.SNAPSHOT").arg("k").arg(&cursor).query(redis)?;
        redis::cmd("XTRIM").arg("wb:{0}:k").arg("MAXLEN").arg(0).exec(redis)?;
        all += appended;
        if next == "0" {
            return Ok(all);
        }
        cursor = next;
    }
}

/// How long a command in the slow log took, in microseconds, if it was a slice.
fn slice_us(entry: &[Value]) -> Option<u64> {
    let (Value::Int(took_us), Value::Array(words)) = (entry.get(2)?, entry.get(3)?) else { return None };
    let is_slice = matches!(words.first()?, Value::BulkString(word) if word == b"WB.SNAPSHOT");
    is_slice.then(|| u64::try_from(*took_us).ok()).flatten()
}
