//! Changes that Redis lost although a target has them, or that a target lost although Redis has let go of them: what is
//! asked of a shard to notice it, and where it is noted.

use redis_wb_plan::plan::Source;
use redis_wb_record::Opcode;

use super::{Connection, beside, entries, failure};
use crate::batch::is_of_streams;
use crate::checkpoint::{Applied, Epoch, epoch_text};
use crate::error::Failure;
use crate::position::Position;

/// What is noted of a loss that no snapshot has mended yet.
const OPEN: &str = "open";
/// What is noted of one that is mended.
const MENDED: &str = "mended";

/// Who lost changes that a connection has applied, and the last of them.
pub(crate) enum Loss {
    /// Redis did: a failover or a restart came before they had reached the replica or the disk.
    OfRedis((Epoch, Position)),
    /// The target did, and Redis has let go of them: it was restored from a backup, or its replica took over.
    OfTarget((Epoch, Position)),
}

impl Connection {
    /// What was lost of the changes of a stream that a connection has applied, where the last that the target knows is not
    /// in the stream.
    pub(crate) async fn loss(
        &mut self,
        stream: &str,
        connection: &str,
        source: &Source,
        (applied, at): (&Applied, usize),
    ) -> Result<Option<Loss>, Failure> {
        let noted: Option<String> =
            self.query(redis::cmd("HGET").arg(beside(stream, "applied", "")).arg(connection)).await?;
        let noted = noted.as_deref().and_then(parse);
        // Nothing is noted before it is committed.
        if let Some((epoch, position)) = noted.filter(|(epoch, position)| !applied.holds(at, *epoch, *position)) {
            return Ok(Some(Loss::OfTarget((epoch, position))));
        }
        let Some(last) = applied.last(at) else { return Ok(None) };
        Ok(self.has_lost(stream, source, noted, last).await?.then_some(Loss::OfRedis(last)))
    }

    /// Whether Redis has lost changes that a connection has applied, up to this entry, which is not in the stream.
    ///
    /// Replication and the disk keep the order of what Redis does. So where the entry arrived, it is there, or else what
    /// let go of it arrived, too: the note that it was applied.
    async fn has_lost(
        &mut self,
        stream: &str,
        source: &Source,
        noted: Option<(Epoch, Position)>,
        (epoch, position): (Epoch, Position),
    ) -> Result<bool, Failure> {
        let is_noted = noted.is_some_and(|(its, to)| its == epoch && to >= position);
        // In one life of a server only somebody's command takes entries away; a flush is told by its own record.
        Ok(!is_noted && self.epoch().await? != Some(epoch) && !self.begins_with_a_flush(stream, source).await?)
    }

    /// The epoch in which the server captures now, where this user may know it.
    async fn epoch(&mut self) -> Result<Option<Epoch>, Failure> {
        match self.query::<redis::InfoDict>(redis::cmd("INFO").arg("wb")).await {
            Ok(info) => Ok(info.get("wb_epoch")),
            Err(Failure::Configuration { .. }) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    async fn begins_with_a_flush(&mut self, stream: &str, source: &Source) -> Result<bool, Failure> {
        let first = self.query(redis::cmd("XRANGE").arg(stream).arg("-").arg("+").arg("COUNT").arg(1)).await?;
        let is_flush = |record: &redis_wb_record::Record<'_>| {
            record.opcode == Opcode::Flush && (record.db == source.db || is_of_streams(source, record))
        };
        let first = entries(0, first).into_iter().next();
        Ok(first.is_some_and(|entry| redis_wb_record::decode(&entry.record).is_ok_and(|record| is_flush(&record))))
    }

    /// Notes a loss beside the stream; whether it was not noted before.
    pub(crate) async fn note_loss(
        &mut self,
        stream: &str,
        connection: &str,
        (epoch, position): (Epoch, Position),
    ) -> Result<bool, Failure> {
        let place = format!("{} {position} ", epoch_text(epoch));
        if self.noted_loss(stream, connection).await?.is_some_and(|noted| noted.starts_with(&place)) {
            return Ok(false);
        }
        let mut note = redis::cmd("HSET");
        note.arg(beside(stream, "lost", "")).arg(connection).arg(place + OPEN);
        note.exec_async(&mut self.redis).await.map_err(failure)?;
        Ok(true)
    }

    /// Whether a loss is noted that no snapshot has mended yet.
    pub(crate) async fn has_open_loss(&mut self, stream: &str, connection: &str) -> Result<bool, Failure> {
        Ok(self.noted_loss(stream, connection).await?.is_some_and(|noted| noted.ends_with(OPEN)))
    }

    async fn noted_loss(&mut self, stream: &str, connection: &str) -> Result<Option<String>, Failure> {
        self.query(redis::cmd("HGET").arg(beside(stream, "lost", "")).arg(connection)).await
    }

    /// Takes note that a snapshot has mended all losses of a stream: it walked all keys after they happened.
    pub(crate) async fn note_mended(&mut self, stream: &str) -> Result<(), Failure> {
        let key = beside(stream, "lost", "");
        let noted: Vec<(String, String)> = self.query(redis::cmd("HGETALL").arg(&key)).await?;
        for (connection, noted) in noted {
            if let Some(place) = noted.strip_suffix(OPEN) {
                let mut note = redis::cmd("HSET");
                note.arg(&key).arg(connection).arg(format!("{place}{MENDED}"));
                note.exec_async(&mut self.redis).await.map_err(failure)?;
            }
        }
        Ok(())
    }
}

/// What `settle.lua` notes: epoch, milliseconds, number.
fn parse(noted: &str) -> Option<(Epoch, Position)> {
    let mut words = noted.split(' ');
    let epoch = Epoch::from_str_radix(words.next()?, 16).ok()?;
    Some((epoch, Position { ms: words.next()?.parse().ok()?, seq: words.next()?.parse().ok()? }))
}
