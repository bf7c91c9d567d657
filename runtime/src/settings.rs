//! Settings of a Redis that would lose change streams or rules, looked at before anything runs. Knows no job.

use redis::{InfoDict, Value};

use crate::error::Failure;
use crate::shard::Connection;
use crate::topology::Topology;
use crate::{Error, Server};

/// A setting that loses something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsafeSetting {
    /// What it does.
    pub why: String,
    /// What to do.
    pub help: String,
}

/// The settings of a Redis, or of any server of a cluster, that would lose change streams or rules. What it does not
/// tell is taken for right.
///
/// # Errors
/// Where the address is none, or nobody answers there.
pub async fn unsafe_settings(redis: &Server) -> Result<Vec<UnsafeSetting>, Error> {
    let mut all = Vec::new();
    for server in Topology::new(redis)?.primaries().await? {
        for setting in of_server(&mut server.connect().await?).await? {
            if !all.contains(&setting) {
                all.push(setting);
            }
        }
    }
    Ok(all)
}

async fn of_server(redis: &mut Connection) -> Result<Vec<UnsafeSetting>, Failure> {
    let mut found = Vec::new();
    if let Some(policy) = policy(redis).await?.filter(|policy| policy.starts_with("allkeys-")) {
        found.push(UnsafeSetting {
            why: format!("`maxmemory-policy {policy}` evicts change streams whole, with all changes in them"),
            help: "`CONFIG SET maxmemory-policy noeviction` (or a `volatile-` one, which spares streams), and the same in \
                   redis.conf; until then `redis-wb run` is refused"
                .to_owned(),
        });
    }
    if config(redis, "aof-use-rdb-preamble").await?.is_some_and(|value| value == "no") {
        found.push(UnsafeSetting {
            why: "`aof-use-rdb-preamble no` loses what is tracked when the AOF is rewritten".to_owned(),
            help: "`CONFIG SET aof-use-rdb-preamble yes`, and the same in redis.conf; until then `redis-wb run` is refused"
                .to_owned(),
        });
    }
    Ok(found)
}

/// The policy at `maxmemory`. INFO tells it as well, for those who may not see CONFIG.
async fn policy(redis: &mut Connection) -> Result<Option<String>, Failure> {
    if let Some(policy) = config(redis, "maxmemory-policy").await? {
        return Ok(Some(policy));
    }
    let info: Result<InfoDict, Failure> = redis.query(redis::cmd("INFO").arg("memory")).await;
    told(info).map(|info| info.and_then(|info| info.get("maxmemory_policy")))
}

async fn config(redis: &mut Connection, name: &str) -> Result<Option<String>, Failure> {
    let reply: Result<Vec<Value>, Failure> = redis.query(redis::cmd("CONFIG").arg("GET").arg(name)).await;
    Ok(told(reply)?.and_then(|reply| match reply.get(1) {
        Some(Value::BulkString(value)) => Some(String::from_utf8_lossy(value).into_owned()),
        _ => None,
    }))
}

/// What a command told, if this user may give it and the server has it.
fn told<T>(reply: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match reply {
        Ok(told) => Ok(Some(told)),
        Err(Failure::Configuration { .. }) => Ok(None),
        Err(Failure::Transient(why)) if why.contains("unknown command") => Ok(None),
        Err(failure) => Err(failure),
    }
}
