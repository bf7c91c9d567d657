//! `redis-wb status`: how each job is, in each unit and at each connection, whether a worker runs or not.

mod live;
mod table;

use clap::Args;
use redis_wb_runtime::status::Observer;

use crate::exit::{Failure, print};
use crate::format::Format;
use crate::redis::Redis;
use crate::run::{failure, runtime};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    redis: Redis,
    /// Show it on the whole screen, anew every second; q ends it.
    #[arg(long, conflicts_with = "format")]
    live: bool,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    let runtime = runtime()?;
    let mut observer = Observer::new(&arguments.redis.into()).map_err(failure)?;
    if arguments.live {
        return live::show(&runtime, observer);
    }
    let status = runtime.block_on(observer.look()).map_err(failure)?;
    match arguments.format {
        Format::Text => print(&table::text(&status)),
        Format::Json => print(&table::json(&status)),
    }
    Ok(())
}
