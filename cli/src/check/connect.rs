//! `check --connect`: asks the connections for their tables, all at once, and Redis for settings that lose changes.

use std::collections::BTreeMap;

use redis_wb_compiler::{Target, Unanswered};
use redis_wb_runtime::{Server, UnsafeSetting};
use tokio::task::JoinSet;

use crate::exit::Failure;
use crate::project::Live;

/// What each connection tells, or why it does not; and the settings of Redis that lose changes, or why it does not tell.
pub(super) fn ask(
    targets: BTreeMap<String, Target>,
    redis: &Server,
) -> Result<(Live, Result<Vec<UnsafeSetting>, redis_wb_runtime::Error>), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Unable { message: format!("cannot start: {error}"), help: None })?;
    Ok(runtime.block_on(async {
        let mut asked = JoinSet::new();
        for (name, target) in targets {
            asked.spawn(async move {
                let told = redis_wb_runtime::schema(&target.connection, &target.tables).await;
                (name, told.map_err(|error| Unanswered { why: error.to_string(), help: error.help() }))
            });
        }
        let settings = redis_wb_runtime::unsafe_settings(redis).await;
        (asked.join_all().await.into_iter().collect(), settings)
    }))
}
