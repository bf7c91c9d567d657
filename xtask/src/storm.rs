//! `cargo xtask chaos`: reads what is asked for, builds what is run. It must not know what a round is.

use std::fs;
use std::path::PathBuf;

use xtask::chaos::{self, KINDS, Kind, Options, Shape};
use xtask::servers::{CAPTURE_FILE, Folder};
use xtask::{Error, cargo};

/// What a round has where nothing else is asked for.
const CHANGES: u64 = 200_000;
/// How many changes there are in a second, where nothing else is asked for.
const CHANGES_PER_S: u64 = 2_000;

/// Runs the rounds that are asked for.
pub(crate) fn run(arguments: &[&str]) -> Result<(), Error> {
    let mut options = Options {
        program: "".into(),
        module: "".into(),
        rounds: 1,
        seed: 1,
        changes: CHANGES,
        changes_per_s: CHANGES_PER_S,
        shape: None,
        kinds: KINDS.iter().map(|(kind, ..)| *kind).collect(),
    };
    for pair in arguments.chunks(2) {
        let [name, value] = pair else {
            return Err(Error::new(format!("`{}` lacks its value", pair.join(" "))));
        };
        match *name {
            "--rounds" => options.rounds = number(name, value)?,
            "--seed" => options.seed = number(name, value)?,
            "--changes" => options.changes = number(name, value)?,
            "--pace" => options.changes_per_s = number(name, value)?,
            "--redis" => options.shape = Some(shape(value)?),
            "--kinds" => options.kinds = value.split(',').map(kind).collect::<Result<_, _>>()?,
            _ => {
                return Err(Error::new(format!("there is no option `{name}`"))
                    .with_help("these are --rounds, --seed, --changes, --pace, --redis and --kinds"));
            }
        }
    }
    let built = cargo::build(&["redis-wb", "redis-wb-capture"], &["--locked"])?;
    // What runs stays the same, whatever is built meanwhile.
    let folder = Folder::create("redis-wb-chaos-bin-")?;
    let copy = |file: PathBuf| {
        let at = folder.path().join(file.file_name().unwrap_or_default());
        fs::copy(&file, &at).map(|_| at).map_err(Error::during(format_args!("copy `{}`", file.display())))
    };
    (options.program, options.module) = (copy(built.file("redis-wb")?)?, copy(built.file(CAPTURE_FILE)?)?);
    let summary = chaos::run(&options)?;
    if summary.wrong.is_empty() {
        return Ok(());
    }
    let seeds: Vec<String> = summary.wrong.iter().map(|(seed, _)| seed.to_string()).collect();
    Err(Error::new(format!("rounds that are not clean, by their seed: {}", seeds.join(", ")))
        .with_help("`cargo xtask chaos --seed S` repeats the changes and the faults of one, though not their timing"))
}

fn number(name: &str, value: &str) -> Result<u64, Error> {
    value.parse().map_err(|_| Error::new(format!("`{name}` wants a number, not `{value}`")))
}

fn shape(name: &str) -> Result<Shape, Error> {
    match name {
        "pair" => Ok(Shape::Pair),
        "cluster" => Ok(Shape::Cluster),
        _ => Err(Error::new(format!("there is no Redis `{name}`")).with_help("these are pair and cluster")),
    }
}

fn kind(name: &str) -> Result<Kind, Error> {
    let known = KINDS.iter().find(|(_, known, _)| *known == name).map(|(kind, ..)| *kind);
    let names: Vec<&str> = KINDS.iter().map(|(_, name, _)| *name).collect();
    known.ok_or_else(|| {
        Error::new(format!("there is no fault `{name}`")).with_help(format!("these are {}", names.join(", ")))
    })
}
