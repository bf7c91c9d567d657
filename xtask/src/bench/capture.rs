//! What capture costs the writers, and how much memory its streams take. It must not know how capture works: it writes to
//! servers with and without the module, in turns.

use std::fmt::Write as _;
use std::time::Instant;

use redis::Connection;
use xtask::servers::{CAPTURE_FILE, Redis};
use xtask::{Error, cargo};

use super::times::median;
use super::{asked, machine, publish};

/// What the section begins with.
const HEADING: &str = "## What capture costs\n";
/// How often each is timed; they take turns.
const RUNS: usize = 9;
/// How many writes a run has.
const PIPELINED: usize = 96_000;
const SINGLE: usize = 20_000;
/// How many keys they go to.
const KEYS: usize = 10_000;
/// How many commands are sent at once.
const PIPELINE: usize = 16;
/// The fields of a write, each of ten bytes.
const FIELDS: usize = 10;

/// A server, whether it captures, and the seconds of each run.
struct Side {
    client: Connection,
    _server: Redis,
    pipelined: Vec<f64>,
    single: Vec<f64>,
}

pub(crate) fn run() -> Result<(), Error> {
    let module = cargo::build(&["redis-wb-capture"], &["--locked", "--release"])?.file(CAPTURE_FILE)?;
    let side = |module: Option<&std::path::Path>, pattern: Option<&str>| -> Result<Side, Error> {
        let server = Redis::try_start(module, &[])?;
        let mut client = asked::connect(&server)?;
        if let Some(pattern) = pattern {
            let tracked = redis::cmd("WB.TRACK").arg("k").arg(pattern).exec(&mut client);
            tracked.map_err(Error::during("track the keys"))?;
        }
        Ok(Side { client, _server: server, pipelined: Vec::new(), single: Vec::new() })
    };
    let mut without = side(None, None)?;
    let mut no_match = side(Some(&module), Some("other:*"))?;
    let mut matching = side(Some(&module), Some("k:*"))?;
    // The first turn only makes the keys.
    for turn in 0..=RUNS {
        for side in [&mut without, &mut no_match, &mut matching] {
            let timed = side.turn(turn > 0);
            timed.map_err(Error::during("write"))?;
        }
    }
    let mut rows = String::new();
    for (name, ratio, goal) in [
        ("no match, pipelined 16", median(&without.pipelined) / median(&no_match.pipelined), "0.97"),
        ("match, pipelined 16", median(&without.pipelined) / median(&matching.pipelined), "0.6"),
        ("no match, not pipelined", median(&without.single) / median(&no_match.single), ""),
        ("match, not pipelined", median(&without.single) / median(&matching.single), "0.9"),
    ] {
        // Writing to a `String` cannot fail.
        let _ = writeln!(rows, "| {name} | {ratio:.2} | {goal} |");
    }
    let (stream, payload) = memory(&mut matching.client).map_err(Error::during("measure the stream"))?;
    let section = format!(
        "{HEADING}\n`cargo xtask bench capture`: HSET of {FIELDS} fields of 10 bytes, writes a second beside a server without the \
         module, medians of {RUNS} runs in turns; and what the server's memory grows by beside the bytes of keys, names and values; {}.\n\n\
         | | share | goal |\n|---|--:|--:|\n{rows}\n| memory of the stream | payload | times | goal |\n|--:|--:|--:|--:|\n\
         | {stream} bytes a change | {payload} bytes | {:.2} | 1.5 |\n",
        machine(),
        stream / payload,
    );
    publish(HEADING, &section)
}

impl Side {
    fn turn(&mut self, counts: bool) -> redis::RedisResult<()> {
        let pipelined = write(&mut self.client, PIPELINED, PIPELINE)?;
        let single = write(&mut self.client, SINGLE, 1)?;
        if counts {
            self.pipelined.push(pipelined);
            self.single.push(single);
        }
        // The streams of one run do not burden the next.
        redis::cmd("XTRIM").arg("wb:{0}:k").arg("MAXLEN").arg(0).exec(&mut self.client)
    }
}

/// The seconds that some writes take.
fn write(client: &mut Connection, writes: usize, at_once: usize) -> redis::RedisResult<f64> {
    let start = Instant::now();
    for first in (0..writes).step_by(at_once) {
        let mut pipe = redis::pipe();
        for at in first..first + at_once {
            let command = pipe.cmd("HSET").arg(format!("k:{:06}", at % KEYS));
            for field in 0..FIELDS {
                command.arg(format!("field_{field:04}")).arg(format!("{:010}", at + field));
            }
            pipe.ignore();
        }
        pipe.exec(client)?;
    }
    Ok(start.elapsed().as_secs_f64())
}

/// The bytes that the server's memory grows by for each change of keys that it has, and those of what a change carries.
#[expect(clippy::cast_precision_loss, reason = "some bytes")]
fn memory(client: &mut Connection) -> redis::RedisResult<(f64, f64)> {
    redis::cmd("DEL").arg("wb:{0}:k").exec(client)?;
    let before = used(client)?;
    write(client, PIPELINED, PIPELINE)?;
    let bytes = used(client)?.saturating_sub(before);
    let payload = "k:000000".len() + FIELDS * ("field_0000".len() + 10);
    Ok(((bytes as f64 / PIPELINED as f64).round(), payload as f64))
}

/// What the server has allocated, in bytes.
fn used(client: &mut Connection) -> redis::RedisResult<u64> {
    let info: redis::InfoDict = redis::cmd("INFO").arg("memory").query(client)?;
    Ok(info.get("used_memory").unwrap_or_default())
}
