//! Where the Redis is whose changes are carried over: the options that several commands have in common.

use clap::Args;
use redis_wb_runtime::Server;

#[derive(Debug, Args)]
pub(crate) struct Redis {
    /// The Redis whose changes are carried over: `redis://[user:password@]host:port`, where one server of a Redis
    /// Cluster leads to all of them and commas separate several, or, for the primary that sentinels know by a name,
    /// `redis+sentinel://[user:password@]host:26379[,host2:26379…]/name`; `rediss` for TLS.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        default_value = "redis://127.0.0.1:6379",
        env = "REDIS_WB_REDIS",
        hide_env_values = true
    )]
    redis: String,
    /// The certificates of the issuers that are trusted, in PEM; without it those of the system.
    #[arg(long, global = true, value_name = "FILE")]
    redis_ca: Option<String>,
    /// The certificate by which Redis knows this worker, in PEM.
    #[arg(long, global = true, value_name = "FILE")]
    redis_cert: Option<String>,
    /// Its key.
    #[arg(long, global = true, value_name = "FILE")]
    redis_key: Option<String>,
}

impl From<Redis> for Server {
    fn from(Redis { redis, redis_ca, redis_cert, redis_key }: Redis) -> Self {
        Self { url: redis, ca: redis_ca, cert: redis_cert, key: redis_key }
    }
}
