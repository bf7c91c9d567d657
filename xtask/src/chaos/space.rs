//! All servers that hold keys, looked at together: one primary, or those of a cluster. It must not know which of the two.

use std::thread;
use std::time::{Duration, Instant};

use redis::{Connection, RedisResult};

use super::driver::connect;
use super::workload::{DOCS, GAMES, ITEMS, SLOTS, TAGS, TTL_MS_MAX, key};
use crate::Error;

/// How long it may take until all keys are served.
const SERVED_SECONDS_MAX: Duration = Duration::from_secs(60);
/// How long to wait between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Connections to all primaries.
pub(super) struct Space {
    primaries: Vec<Connection>,
    /// Which of them has the keys of each tag.
    owners: Vec<usize>,
}

impl Space {
    /// Connects to those of the servers that are primaries and have keys. Waits for those of a cluster to agree that all
    /// is served, as they soon do again on a busy machine.
    pub(super) fn open(ports: impl IntoIterator<Item = u16>) -> Result<Self, Error> {
        let (ports, start): (Vec<u16>, _) = (ports.into_iter().collect(), Instant::now());
        loop {
            match Self::look(&ports) {
                Err(_) if start.elapsed() < SERVED_SECONDS_MAX => thread::sleep(LOOK_AGAIN),
                looked => return looked,
            }
        }
    }

    fn look(ports: &[u16]) -> Result<Self, Error> {
        let mut primaries = Vec::new();
        for port in ports {
            let Ok(mut connection) = connect(*port) else { continue };
            let role: Vec<redis::Value> = redis::cmd("ROLE").query(&mut connection).map_err(failed)?;
            if matches!(role.first(), Some(redis::Value::BulkString(role)) if role == b"master") {
                primaries.push(connection);
            }
        }
        let mut owners = Vec::new();
        for slot in 0..SLOTS {
            let has = |connection: &mut Connection| {
                redis::cmd("EXISTS").arg(key("item", slot)).query::<bool>(connection).is_ok()
            };
            let owner = primaries.iter_mut().position(has);
            owners.push(owner.ok_or_else(|| Error::new(format!("no server has the keys of tag {slot}")))?);
        }
        Ok(Self { primaries, owners })
    }

    /// The connection to the server that has the keys of a number.
    pub(super) fn of(&mut self, id: u32) -> Result<&mut Connection, Error> {
        let slot = usize::try_from(id % SLOTS).unwrap_or_default();
        let owner = self.owners.get(slot).copied();
        let connection = owner.and_then(|owner| self.primaries.get_mut(owner));
        connection.ok_or_else(|| Error::new(format!("no server has the keys of tag {slot}")))
    }

    /// All connections.
    pub(super) fn all(&mut self) -> &mut [Connection] {
        &mut self.primaries
    }

    /// Looks at each key that matches a pattern.
    pub(super) fn each<T>(
        &mut self,
        pattern: &str,
        mut look: impl FnMut(&str, &mut Connection) -> RedisResult<T>,
    ) -> Result<Vec<T>, Error> {
        let mut found = Vec::new();
        for connection in &mut self.primaries {
            let names: Vec<String> = redis::cmd("KEYS").arg(pattern).query(connection).map_err(failed)?;
            for name in names {
                found.push(look(&name, connection).map_err(failed)?);
            }
        }
        Ok(found)
    }

    /// Sees to it that nothing lives on borrowed time: what was to expire soon has, asking for a key makes Redis look;
    /// what got its time while a clock was ahead lives on without.
    pub(super) fn settle_expiry(&mut self) -> Result<(), Error> {
        thread::sleep(Duration::from_millis(2 * TTL_MS_MAX));
        loop {
            for slot in 0..SLOTS {
                let mut pipe = redis::pipe();
                for (kind, count) in [("item", ITEMS), ("doc", DOCS), ("tags", TAGS), ("game", GAMES)] {
                    for key in (0..count / SLOTS).map(|at| key(kind, slot + SLOTS * at)) {
                        pipe.cmd("PERSIST").arg(&key);
                        pipe.cmd("HPERSIST").arg(&key).arg(&["FIELDS", "1", "note"]);
                    }
                }
                // Keys of other types have no fields.
                let _: Vec<RedisResult<redis::Value>> = pipe.ignore_errors().query(self.of(slot)?).map_err(failed)?;
            }
            // `db0:keys=812,expires=3,avg_ttl=120,subexpiry=0`: hashes with fields that expire.
            let is_left = |connection: &mut Connection| -> RedisResult<bool> {
                let info: String = redis::cmd("INFO").arg("keyspace").query(connection)?;
                Ok(info.lines().any(|line| line.contains("subexpiry=") && !line.ends_with("subexpiry=0")))
            };
            let mut left = false;
            for connection in &mut self.primaries {
                left |= is_left(connection).map_err(failed)?;
            }
            if !left {
                return Ok(());
            }
            thread::sleep(LOOK_AGAIN);
        }
    }
}

fn failed(error: redis::RedisError) -> Error {
    Error::during("read Redis")(error)
}
