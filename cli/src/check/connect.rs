//! `check --connect`: asks the connections for their tables, and each Redis what it can do, all at once; and the Redis
//! whose changes are carried over for settings that lose some.

use std::collections::BTreeMap;

use redis_wb_compiler::{Live, RedisTarget, Target, Unanswered};
use redis_wb_runtime::{Error, Server, UnsafeSetting};
use tokio::task::JoinSet;

use crate::exit::Failure;

/// What each connection tells, or why it does not; and the settings of Redis that lose changes, or why it does not tell.
pub(super) fn ask(
    targets: BTreeMap<String, Target>,
    redis_targets: BTreeMap<String, RedisTarget>,
    source: &Server,
) -> Result<(Live, Result<Vec<UnsafeSetting>, Error>), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Unable { message: format!("cannot start: {error}"), help: None })?;
    let unanswered = |error: Error| Unanswered { why: error.to_string(), help: error.help() };
    Ok(runtime.block_on(async {
        let (mut tables, mut servers) = (JoinSet::new(), JoinSet::new());
        for (name, target) in targets {
            tables.spawn(async move {
                let told = redis_wb_runtime::schema(&target.connection, &target.tables).await;
                (name, told.map_err(unanswered))
            });
        }
        for (name, target) in redis_targets {
            servers.spawn(async move {
                let told = redis_wb_runtime::look_at_redis(&name, &target.connection, &target.commands).await;
                told.err().map(|error| (name, unanswered(error)))
            });
        }
        let settings = redis_wb_runtime::unsafe_settings(source);
        let (tables, redis, settings) = tokio::join!(tables.join_all(), servers.join_all(), settings);
        let redis = redis.into_iter().flatten().collect();
        (Live { tables: tables.into_iter().collect(), redis }, settings)
    }))
}
