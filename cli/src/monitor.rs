//! `redis-wb monitor`: metrics of all streams, for whoever is no worker; RDI's name and options.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use redis_wb_runtime::metrics::Exporter;

use crate::exit::Failure;
use crate::redis::Redis;
use crate::run::{runtime, shutdown};
use crate::serve::{Told, collect, serve};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The port that Prometheus asks.
    #[arg(long, value_name = "PORT", default_value_t = 9121)]
    exporter_port: u16,
    /// The address that it asks; 0.0.0.0 for all of this machine.
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    exporter_address: IpAddr,
    /// How often Redis is looked at, in seconds.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    collect_interval: u64,
    #[command(flatten)]
    redis: Redis,
}

pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { exporter_port, exporter_address, collect_interval, redis } = arguments;
    runtime()?.block_on(async move {
        let mut shutdown = shutdown("stopping")?;
        let told = Arc::new(Told { exporter: Exporter::of_monitor(), vitals: None });
        serve(SocketAddr::from((exporter_address, exporter_port)), Arc::clone(&told)).await?;
        let every = Duration::from_secs(collect_interval);
        tokio::select! {
            () = collect(redis.into(), told, every) => Err(Failure::with_help("nothing can be seen", "see above")),
            () = shutdown.requested() => Ok(()),
        }
    })
}
