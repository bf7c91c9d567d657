//! Measurements, each beside its goal, printed and written to `docs/benchmarks.md`.
//! It must not know how the crates work: it runs what a user runs.

mod asked;
mod capture;
mod documents;
mod drain;
mod employees;
mod existing;
mod latency;
mod memory;
mod shards;
mod snapshot;
mod times;
mod waiting;
mod worker;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use xtask::servers::Folder;
use xtask::{Error, cargo, root};

pub(crate) use capture::run as capture;
pub(crate) use documents::run as documents;
pub(crate) use drain::run as drain;
pub(crate) use existing::run as existing;
pub(crate) use latency::run as latency;
pub(crate) use memory::run as memory;
pub(crate) use shards::run as shards;
pub(crate) use snapshot::run as snapshot;

/// How often each command is timed; they take turns.
const RUNS: usize = 15;

/// The jobs of the large project.
const JOBS: usize = 1_000;

/// What the section begins with.
const HEADING: &str = "## Checking jobs\n";

/// Times `redis-wb check` over a project of one job and one of many, start of the program included.
pub(crate) fn check() -> Result<(), Error> {
    let program = cargo::build(&["redis-wb"], &["--locked", "--release"])?.file("redis-wb")?;
    let one = project(1)?;
    let many = project(JOBS)?;
    let mut times = [Vec::new(), Vec::new()];
    // The first turn only brings files and program into memory.
    for turn in 0..=RUNS {
        for (folder, times) in [&one, &many].into_iter().zip(&mut times) {
            let time = time(&program, folder.path())?;
            if turn > 0 {
                times.push(time);
            }
        }
    }
    let [one, many] = times;
    let section = format!(
        "{HEADING}\n`cargo xtask bench check`: {RUNS} runs of `redis-wb check`, in turns, start of the program included, \
         with the DDL of every table; {}.\n\n| | median | range | goal |\n|---|--:|--:|--:|\n{}{}",
        machine(),
        row("1 job", one, "20 ms"),
        row("1,000 jobs of 15 columns and 5 expressions", many, "1,000 ms"),
    );
    publish(HEADING, &section)
}

/// A project of jobs of 15 columns, 5 of them by expressions, each with a table of its own.
fn project(jobs: usize) -> Result<Folder, Error> {
    let folder = Folder::create("redis-wb-bench-")?;
    let path = folder.path();
    let written = (|| {
        fs::create_dir(path.join("jobs"))?;
        fs::write(path.join("config.yaml"), "connections:\n  target:\n    type: postgresql\n    ddl: schema.sql\n")?;
        let mut schema = String::new();
        for at in 0..jobs {
            schema.push_str(&table(at));
            fs::write(path.join("jobs").join(format!("job_{at:04}.yaml")), job(at))?;
        }
        fs::write(path.join("schema.sql"), schema)
    })();
    written.map_err(Error::during("write the jobs"))?;
    Ok(folder)
}

fn table(at: usize) -> String {
    let mut text = format!("CREATE TABLE t{at:04} (id integer PRIMARY KEY");
    for column in 1..15 {
        // Writing to a `String` cannot fail.
        let _ = write!(text, ", c{column:02} text");
    }
    text + ");\n"
}

fn job(at: usize) -> String {
    let mut text = format!(
        "source:\n  redis:\n    key_pattern: t{at:04}:*\n    trigger: write-behind\n    key: t{at:04}:<id:int>\noutput:\n  \
         - uses: relational.write\n    with:\n      connection: target\n      table: t{at:04}\n      keys: [id]\n      \
         mapping:\n"
    );
    for column in 1..10 {
        let _ = writeln!(text, "        - c{column:02}");
    }
    let expressions = [
        ("jmespath", "concat([upper(left(country, `2`)), '-', zip])"),
        ("jmespath", "phone && regex_replace(phone, '[^0-9]', '') || 'none'"),
        ("sql", "CASE WHEN state IN ('open', 'paid') THEN 'live' ELSE 'done' END"),
        ("sql", "upper(coalesce(nullif(trim(nick), ''), first))"),
        ("sql", "strftime('%Y-%m', created, 'start of month')"),
    ];
    for (column, (language, expression)) in (10..).zip(expressions) {
        let _ = writeln!(
            text,
            "        - c{column}:\n            language: {language}\n            expression: >-\n              {expression}"
        );
    }
    text
}

fn time(program: &Path, folder: &Path) -> Result<Duration, Error> {
    let start = Instant::now();
    let output = Command::new(program)
        .arg("check")
        .current_dir(folder)
        .stdout(Stdio::null())
        .output()
        .map_err(Error::during("run redis-wb"))?;
    let time = start.elapsed();
    if output.status.success() {
        return Ok(time);
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(Error::new(format!("`redis-wb check` refuses the jobs that are measured:\n{text}")))
}

fn row(name: &str, mut times: Vec<Duration>, goal: &str) -> String {
    times.sort();
    let at = |place: usize| times.get(place).map_or(0.0, |time| time.as_secs_f64() * 1_000.0);
    let last = times.len().saturating_sub(1);
    format!("| {name} | {:.0} ms | {:.0} to {:.0} ms | {goal} |\n", at(last / 2), at(0), at(last))
}

/// What the machine is, in words.
fn machine() -> String {
    let facts = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = facts.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("an unknown processor", |(_, model)| model.trim());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default().to_owned();
    format!("{model}, {cores} cores, load {load} at the end")
}

/// Prints a section and puts it into `docs/benchmarks.md`: in the place of the one with its heading, or at the end.
fn publish(heading: &str, section: &str) -> Result<(), Error> {
    print!("{section}");
    let path = root().join("docs/benchmarks.md");
    let page = fs::read_to_string(&path).map_err(Error::during("read docs/benchmarks.md"))?;
    fs::write(&path, placed(&page, heading, section)).map_err(Error::during("write docs/benchmarks.md"))
}

fn placed(page: &str, heading: &str, section: &str) -> String {
    let Some((before, rest)) = page.split_once(heading) else { return format!("{page}\n{section}") };
    match rest.split_once("\n## ") {
        Some((_, after)) => format!("{before}{section}\n## {after}"),
        None => format!("{before}{section}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_takes_the_place_of_the_one_before() {
        let section = format!("{HEADING}\nnew\n");
        assert_eq!(placed("# B\n", HEADING, &section), format!("# B\n\n{section}"));
        let page = format!("# B\n\n{HEADING}\nold\n\n## C\n\nc\n");
        assert_eq!(placed(&page, HEADING, &section), format!("# B\n\n{section}\n## C\n\nc\n"));
        let page = format!("# B\n\n{HEADING}\nold\n");
        assert_eq!(placed(&page, HEADING, &section), format!("# B\n\n{section}"));
    }
}
