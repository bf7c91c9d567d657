//! `cargo xtask …`: sets up tools, runs the tests and the demo.
//!
//! | part | what it does |
//! |---|---|
//! | [`test`] | everything that must hold before `main` moves, step by step |
//! | [`tidy`], [`licences`], [`snapshots`], [`fuzz`] | the steps that are no command of cargo |
//! | [`bench`] | measurements, for `docs/benchmarks.md` |
//! | [`storm`] | `cargo xtask chaos`, by [`xtask::chaos`] |
//! | [`demo`] | the whole chain on a private Redis and a SQLite file |
//!
//! It must not know how the crates work: it builds, starts and looks at them from outside.

mod bench;
mod demo;
mod fuzz;
mod licences;
mod snapshots;
mod sources;
mod storm;
mod test;
mod tidy;

use std::env;
use std::process::ExitCode;

use xtask::{Error, tools};

const USAGE: &str = "\
usage: cargo xtask <task>

  setup           find or install the tools that tests and demo need
  test            everything that must hold before main moves
  test --fast     the same without clippy and licences, and with shorter random tests
  bench           all of these, and write docs/benchmarks.md
  bench check     time `redis-wb check`
  bench drain     how fast waiting changes reach each target, beside the least that a program must do
  bench documents how fast JSON documents become rows of three tables, beside hashes and one
  bench shards    1, 2 and 4 shards, where each commit of the target takes its time
  bench existing  a snapshot of a million keys, beside the drain of a million changes
  bench latency   from the reply of a write to its row being committed
  bench capture   what capture costs the writers, and the memory of its streams
  bench snapshot  time how long slices of a snapshot hold Redis up
  bench memory    the peak memory of a worker with 5 million changes waiting
  chaos           a round of 200,000 changes while workers, servers and network fail at random
  chaos --rounds N --seed S --changes C --pace CHANGES_PER_S --redis pair|cluster --kinds KIND,KIND
  fuzz            each fuzz target for a minute
  demo            write to a private Redis, watch the rows follow in SQLite
  demo --keep     the same, and leave all running until Ctrl-C";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["setup"] => setup(),
        ["test"] => test::run(test::Depth::Full),
        ["test", "--fast"] => test::run(test::Depth::Fast),
        ["bench"] => all_benches(),
        ["bench", "check"] => bench::check(),
        ["bench", "drain"] => bench::drain(),
        ["bench", "documents"] => bench::documents(),
        ["bench", "shards"] => bench::shards(),
        ["bench", "existing"] => bench::existing(),
        ["bench", "latency"] => bench::latency(),
        ["bench", "capture"] => bench::capture(),
        ["bench", "snapshot"] => bench::snapshot(),
        ["bench", "memory"] => bench::memory(),
        ["chaos", arguments @ ..] => storm::run(arguments),
        ["fuzz"] => fuzz::run(60),
        ["demo"] => demo::run(demo::Ending::CleanUp),
        ["demo", "--keep"] => demo::run(demo::Ending::KeepRunning),
        [] | ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(())
        }
        _ => {
            eprintln!("error: no task `{}`\n\n{USAGE}", arguments.join(" "));
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn all_benches() -> Result<(), Error> {
    let benches: [fn() -> Result<(), Error>; 9] = [
        bench::check,
        bench::drain,
        bench::documents,
        bench::shards,
        bench::existing,
        bench::latency,
        bench::capture,
        bench::snapshot,
        bench::memory,
    ];
    benches.into_iter().try_for_each(|bench| bench())
}

fn setup() -> Result<(), Error> {
    let tools = tools::ensure()?;
    println!("redis-server  {}", tools.redis_server.display());
    println!("RedisJSON     {}", tools.rejson.display());
    println!("PostgreSQL    {}", tools.postgres_programs.display());
    println!("MariaDB       {}", tools.mariadb.server.display());
    if let Some(libclang) = tools.libclang {
        println!("libclang      {}", libclang.display());
    }
    Ok(())
}
