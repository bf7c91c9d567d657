//! What a snapshot asks of a shard: rules, slices, and to keep where its walk stands.

use redis::{RedisError, Value};
use redis_wb_plan::plan::DataType;

use super::{Connection, beside, bytes, failure, failure_of};
use crate::error::Failure;

/// How many keys a slice has at most; the module bounds its time besides.
const SLICE_KEYS: u64 = 1_000;

/// A tracking rule, as far as a snapshot has to know it.
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) pattern: String,
    pub(crate) db: u32,
    pub(crate) stream: String,
}

/// Where a walk through the keys of a shard stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Walk {
    /// Where the next slice begins.
    pub(crate) cursor: String,
    /// How many records were appended.
    pub(crate) records: u64,
    /// How much of the database is behind it, in thousandths.
    pub(crate) walked: u64,
}

impl Walk {
    /// The cursor of the first slice, and that after the last.
    const ENDS: &str = "0";

    /// Before the first slice.
    pub(crate) fn start() -> Self {
        Self { cursor: Self::ENDS.to_owned(), records: 0, walked: 0 }
    }

    /// Whether no slice is left, once there was one.
    pub(crate) fn is_whole(&self) -> bool {
        self.cursor == Self::ENDS
    }
}

/// How much of a stream no worker has taken yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backlog {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

impl Connection {
    /// All tracking rules.
    pub(crate) async fn rules(&mut self) -> Result<Vec<Rule>, Failure> {
        let rules: Vec<Vec<Value>> = redis::cmd("WB.RULES").query_async(&mut self.redis).await.map_err(|error| {
            let is_unknown = error.detail().unwrap_or_default().contains("unknown command");
            if is_unknown { super::no_module() } else { failure(error) }
        })?;
        Ok(rules.iter().map(|rule| parse(rule)).collect())
    }

    /// Has a slice appended, and gives where the walk stands then. `None` where the walk cannot be gone on with.
    pub(crate) async fn slice(
        &mut self,
        rule: &Rule,
        data_type: Option<DataType>,
        walk: &Walk,
    ) -> Result<Option<Walk>, Failure> {
        let mut command = redis::cmd("WB.SNAPSHOT");
        command.arg(&rule.name).arg(&walk.cursor).arg("COUNT").arg(SLICE_KEYS);
        if let Some(data_type) = data_type {
            command.arg("TYPE").arg(data_type.name());
        }
        let reply: Result<(String, u64, u64, u64), _> = command.query_async(&mut self.redis).await;
        match reply {
            Ok((cursor, _seen, records, walked)) => {
                Ok(Some(Walk { cursor, records: walk.records.saturating_add(records), walked }))
            }
            Err(error) if error.code() == Some("STALE") => Ok(None),
            Err(error) => Err(refused(rule, &error)),
        }
    }

    /// Where an earlier walk stopped, if one did.
    pub(crate) async fn kept_walk(&mut self, stream: &str) -> Result<Option<Walk>, Failure> {
        let kept: (Option<String>, Option<u64>, Option<u64>) = redis::cmd("HMGET")
            .arg(beside(stream, "snapshot", ""))
            .arg(&["cursor", "records", "walked"])
            .query_async(&mut self.redis)
            .await
            .map_err(failure)?;
        Ok(match kept {
            (Some(cursor), Some(records), Some(walked)) => Some(Walk { cursor, records, walked }),
            _ => None,
        })
    }

    /// Keeps where a walk stands, beside its stream.
    pub(crate) async fn keep_walk(&mut self, stream: &str, walk: &Walk) -> Result<(), Failure> {
        let mut command = redis::cmd("HSET");
        command.arg(beside(stream, "snapshot", "")).arg("cursor").arg(&walk.cursor);
        command.arg("records").arg(walk.records).arg("walked").arg(walk.walked);
        command.exec_async(&mut self.redis).await.map_err(failure)
    }

    /// Forgets where a walk stands.
    pub(crate) async fn forget_walk(&mut self, stream: &str) -> Result<(), Failure> {
        redis::cmd("DEL").arg(beside(stream, "snapshot", "")).exec_async(&mut self.redis).await.map_err(failure)
    }

    /// Takes note that a walk is whole.
    pub(crate) async fn end_walk(&mut self, stream: &str) -> Result<(), Failure> {
        self.note_mended(stream).await?;
        self.forget_walk(stream).await
    }

    /// How much of the stream of a rule waits to be taken.
    pub(crate) async fn backlog(&mut self, rule: &Rule) -> Result<Backlog, Failure> {
        let rows = redis::cmd("XLEN").arg(&rule.stream).query_async(&mut self.redis).await;
        let rows: u64 = rows.map_err(|error| refused(rule, &error))?;
        let bytes = redis::cmd("MEMORY").arg("USAGE").arg(&rule.stream).query_async(&mut self.redis).await;
        let bytes: Option<u64> = bytes.map_err(|error| refused(rule, &error))?;
        Ok(Backlog { rows, bytes: bytes.unwrap_or(0) })
    }
}

/// One rule of `WB.RULES`: names and values.
fn parse(rule: &[Value]) -> Rule {
    let value = |name: &str| {
        let pair = rule.chunks_exact(2).find(|pair| pair.first().is_some_and(|found| bytes(found) == name.as_bytes()));
        pair.and_then(|pair| pair.get(1))
    };
    let text = |name| value(name).map(|value| String::from_utf8_lossy(bytes(value)).into_owned()).unwrap_or_default();
    let db = match value("db") {
        Some(Value::Int(db)) => u32::try_from(*db).unwrap_or_default(),
        _ => 0,
    };
    Rule { name: text("name"), pattern: text("pattern"), db, stream: text("stream") }
}

/// Why a slice was not appended.
fn refused(rule: &Rule, error: &RedisError) -> Failure {
    let (code, said) = (error.code().unwrap_or_default(), error.detail().unwrap_or_default());
    if code == "OOM" {
        return Failure::Transient("Redis has reached its `maxmemory` and takes no records".to_owned());
    }
    if said.contains("unknown command") {
        return Failure::configuration(
            "the capture module of this Redis is older than this command",
            "load the module of this version of redis-wb",
        );
    }
    match code {
        "ERR" | "WRONGTYPE" => Failure::configuration(
            format!("Redis makes no snapshot of job `{}`: {code} {said}", rule.name),
            "mend what the reason names, then run the same command again: it goes on from there",
        ),
        _ => failure_of(error),
    }
}
