//! `check --connect`: asks the connections for their tables, and each Redis what it can do, all at once.

use std::collections::BTreeMap;

use redis_wb_compiler::{Live, RedisTarget, Target, Unanswered};
use redis_wb_runtime::Error;
use tokio::task::JoinSet;

use crate::exit::Failure;

/// What each connection tells, or why it does not.
pub(super) fn ask(targets: BTreeMap<String, Target>, redis: BTreeMap<String, RedisTarget>) -> Result<Live, Failure> {
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
        for (name, target) in redis {
            servers.spawn(async move {
                let told = redis_wb_runtime::look_at_redis(&name, &target.connection, &target.commands).await;
                told.err().map(|error| (name, unanswered(error)))
            });
        }
        let (tables, redis) = tokio::join!(tables.join_all(), servers.join_all());
        Live { tables: tables.into_iter().collect(), redis: redis.into_iter().flatten().collect() }
    }))
}
