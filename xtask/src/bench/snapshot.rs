//! How long the slices of a snapshot hold Redis up. It must not know how a slice is made: it asks for slices, and reads
//! Redis's slow log, which tells how long each took.

use std::fmt::Write as _;
use std::time::Duration;
use std::{fs, thread};

use redis::{Connection, Value};
use xtask::servers::{CAPTURE_FILE, Redis};
use xtask::{Error, cargo, tools};

use super::{machine, publish};

/// What the section begins with.
const HEADING: &str = "## Slices of a snapshot\n";

/// How long a slice may hold the server up.
const SLICE_US_MAX: u64 = 5_000;
/// How long a server may take to fall asleep after an answer.
const FALL_ASLEEP: Duration = Duration::from_micros(200);

/// What is walked: what it is, and the script that makes it.
const SCENES: [(&str, &str); 7] = [
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
    (
        "10 JSON documents of 10 MB, 10 of 1,000,000 numbers",
        "local rows = {} for i = 1, 80000 do rows[i] = {id = i, name = string.rep('x', 50), price = i / 4, tags = {'a', 'b'}} end \
         local text, numbers = cjson.encode({rows = rows}), '[' .. string.rep('7,', 999999) .. '7]' \
         for i = 1, 10 do redis.call('JSON.SET', 'k:r' .. i, '$', text) redis.call('JSON.SET', 'k:n' .. i, '$', numbers) end",
    ),
    (
        "100,000 JSON documents of 1 kB",
        "local rows = {} for i = 1, 10 do rows[i] = {id = i, name = string.rep('x', 50), price = i / 4, tags = {'a', 'b'}} end \
         local text = cjson.encode({rows = rows}) \
         for i = 1, 100000 do redis.call('JSON.SET', 'k:' .. i, '$', text) end",
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
        "{HEADING}\n`cargo xtask bench snapshot`: every `WB.SNAPSHOT` of a walk, as Redis's slow log has it; the goal is 5 ms. What \
         the server's thread spent at work for a slice, by the kernel's count, leaves out what other processes of this machine took \
         from it; {}.\n\n| | records | slices | median | 99 % | longest | above 5 ms | longest at work | above 5 ms at work | records a \
         second |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n{rows}",
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
    let mut walked = || -> redis::RedisResult<(u64, Vec<u64>, Vec<u64>)> {
        redis::cmd("EVAL").arg(script).arg(0).exec(&mut redis)?;
        redis::cmd("WB.TRACK").arg("k").arg("k:*").exec(&mut redis)?;
        redis::cmd("CONFIG")
            .arg(&["SET", "slowlog-max-len", "10000000", "slowlog-log-slower-than", "0"])
            .exec(&mut redis)?;
        let (appended, mut busy) = walk(&mut redis, server.pid())?;
        let entries: Vec<Vec<Value>> = redis::cmd("SLOWLOG").arg("GET").arg(-1).query(&mut redis)?;
        let mut times: Vec<u64> = entries.iter().filter_map(|entry| slice_us(entry)).collect();
        times.sort_unstable();
        busy.sort_unstable();
        Ok((appended, times, busy))
    };
    let (appended, times, busy) = walked().map_err(Error::during(format_args!("walk {name}")))?;
    let ms = |times: &[u64], share: usize| {
        let last = times.len().saturating_sub(1);
        let us = times.get(last * share / 100).copied().unwrap_or_default();
        Duration::from_micros(us).as_secs_f64() * 1_000.0
    };
    let long = |times: &[u64]| times.iter().filter(|us| **us > SLICE_US_MAX).count();
    let mut row = String::new();
    let rate = appended.saturating_mul(1_000_000) / times.iter().sum::<u64>().max(1);
    // Writing to a `String` cannot fail.
    let _ = writeln!(
        row,
        "| {name} | {appended} | {} | {:.1} ms | {:.1} ms | {:.1} ms | {} | {:.1} ms | {} | {rate} |",
        times.len(),
        ms(&times, 50),
        ms(&times, 99),
        ms(&times, 100),
        long(&times),
        ms(&busy, 100),
        long(&busy),
    );
    Ok(row)
}

/// Walks through all keys; gives how many records were appended. The stream is emptied meanwhile, as a worker would.
/// Also gives how long the server's main thread was at work for each slice, all that it does around it included.
fn walk(redis: &mut Connection, pid: u32) -> redis::RedisResult<(u64, Vec<u64>)> {
    let (mut cursor, mut all, mut busy) = ("0".to_owned(), 0, Vec::new());
    loop {
        let before = at_work_us(pid);
        let (next, _seen, appended, _walked): (String, u64, u64, u64) =
            redis::cmd("WB.SNAPSHOT").arg("k").arg(&cursor).query(redis)?;
        busy.push(at_work_us(pid).saturating_sub(before));
        redis::cmd("XTRIM").arg("wb:{0}:k").arg("MAXLEN").arg(0).exec(redis)?;
        all += appended;
        if next == "0" {
            return Ok((all, busy));
        }
        cursor = next;
    }
}

/// How long the main thread of a process has been on a processor so far, in microseconds. The kernel knows it to the
/// nanosecond for a thread that sleeps, as a server does once it has answered.
fn at_work_us(pid: u32) -> u64 {
    thread::sleep(FALL_ASLEEP);
    let stat = fs::read_to_string(format!("/proc/{pid}/task/{pid}/schedstat")).unwrap_or_default();
    let ns: Option<u64> = stat.split_whitespace().next().and_then(|ns| ns.parse().ok());
    ns.unwrap_or(0) / 1_000
}

/// How long a command in the slow log took, in microseconds, if it was a slice.
fn slice_us(entry: &[Value]) -> Option<u64> {
    let (Value::Int(took_us), Value::Array(words)) = (entry.get(2)?, entry.get(3)?) else { return None };
    let is_slice = matches!(words.first()?, Value::BulkString(word) if word == b"WB.SNAPSHOT");
    is_slice.then(|| u64::try_from(*took_us).ok()).flatten()
}
