//! One Redis shard: tracking, reading and trimming of change streams, dead letters. Knows no target.

mod loss;
mod walk;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, RedisError, ServerErrorKind};
use redis::{TlsCertificates, Value};
use redis_wb_plan::plan::{Job, Source};
use redis_wb_record::{DataType, Flags, ORDER_FIELD, Opcode, Record, RecordWriter, STREAM_FIELD, StreamEntry};

use crate::batch::{Entry, Found};
use crate::checkpoint::{Epoch, epoch_text};
use crate::dead_letters::{Call, gone, is_replay};
use crate::error::Failure;
use crate::order::Order;
use crate::position::Position;
use crate::redis_server::certificates;
use crate::tls::{self, Mode};
use crate::topology::Cluster;
use crate::{Error, Server};
pub(crate) use loss::Loss;
pub(crate) use walk::{Backlog, Rule, Walk};

/// How long a connection may take to come about.
pub(crate) const CONNECT_SECONDS_MAX: Duration = Duration::from_secs(5);
/// How long Redis may take to answer; a read that waits for changes answers sooner by itself.
pub(crate) const RESPONSE_SECONDS_MAX: Duration = Duration::from_secs(30);
/// How long a read waits for changes before it comes back empty, in milliseconds.
const BLOCK_MS: u64 = 5_000;
/// Puts records into a dead-letter queue, each once.
const DEAD_LETTER_SCRIPT: &str = include_str!("dead_letter.lua");
/// Lets go of what was committed.
const SETTLE_SCRIPT: &str = include_str!("settle.lua");
/// Makes a consumer group.
const MAKE_GROUP_SCRIPT: &str = include_str!("make_group.lua");
/// Appends records to a stream.
const APPEND_SCRIPT: &str = include_str!("append.lua");
/// How many records one script appends.
const APPEND_ROWS_MAX: usize = 500;
/// Puts a dead letter back into its stream.
const REPLAY_SCRIPT: &str = include_str!("replay.lua");
/// Finds what waits in a stream.
const WAITING_SCRIPT: &str = include_str!("waiting.lua");
/// The most bytes of a key that are read at once: a document may have no more either.
const KEY_BYTES_MAX: usize = redis_wb_plan::json::JSON_BYTES_MAX;
/// A dead letter of more bytes is kept without images: it says "read the key now", as most of that size did before.
const LETTER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Reads a key of any type.
const READ_KEY_SCRIPT: &str = include_str!("read_key.lua");

/// The database of all change streams.
const STREAMS_DB: i64 = 0;

/// One Redis server that takes writes.
#[derive(Debug, Clone)]
pub(crate) struct Shard {
    client: Client,
    /// The cluster that it is of.
    cluster: Option<Arc<Cluster>>,
}

impl PartialEq for Shard {
    /// Whether it is the same server, at the same address.
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Redis at {}", self.client.get_connection_info().addr())
    }
}

/// A connection to it.
#[derive(Clone)]
pub(crate) struct Connection {
    redis: MultiplexedConnection,
    cluster: Option<Arc<Cluster>>,
}

/// A record for the dead-letter queue.
pub(crate) struct Letter<'l> {
    pub(crate) epoch: Epoch,
    pub(crate) position: Position,
    pub(crate) job: &'l str,
    pub(crate) key: &'l [u8],
    pub(crate) code: &'l str,
    pub(crate) reason: &'l str,
    pub(crate) statement: &'l str,
    pub(crate) record: &'l [u8],
}

impl Shard {
    /// The servers at the addresses, which commas separate, and what trusts them.
    pub(crate) fn all(server: &Server) -> Result<(Vec<Self>, Option<TlsCertificates>), Error> {
        let certificates = certificates_of(server, server.url.starts_with("rediss:"))?;
        let mut servers = Vec::new();
        for url in server.url.split(',') {
            let client = match &certificates {
                Some(certificates) => Client::build_with_tls(url, certificates.clone()),
                None => Client::open(url),
            };
            let client = client.map_err(|error| {
                Error::new(
                    format!("`--redis` is no address of a Redis server: {error}"),
                    "write it as redis://[user:password@]host:port, rediss://… for TLS, or \
                     redis+sentinel://host:port/name; commas separate several servers of one cluster",
                )
            })?;
            if client.get_connection_info().redis_settings().db() != STREAMS_DB {
                return Err(Error::new(
                    format!("`--redis` names a database, and change streams are in database {STREAMS_DB}"),
                    "leave it out of the address; where the keys are in another one, the job says so: `source.redis.db`",
                ));
            }
            servers.push(Self::of(client));
        }
        Ok((servers, certificates))
    }

    /// The server that a client is for.
    pub(crate) const fn of(client: Client) -> Self {
        Self { client, cluster: None }
    }

    /// The same as a server of a cluster.
    pub(crate) fn of_cluster(mut self, cluster: &Arc<Cluster>) -> Self {
        self.cluster = Some(Arc::clone(cluster));
        self
    }

    /// The cluster that it is of.
    pub(crate) const fn cluster(&self) -> Option<&Arc<Cluster>> {
        self.cluster.as_ref()
    }

    /// A server that takes the same user, password and certificates.
    pub(crate) fn elsewhere(&self, host: &str, port: u16) -> Result<Self, Failure> {
        let host = host.to_owned();
        let addr = match self.client.get_connection_info().addr() {
            ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
                ConnectionAddr::TcpTls { host, port, insecure: *insecure, tls_params: tls_params.clone() }
            }
            _ => ConnectionAddr::Tcp(host, port),
        };
        Client::open(self.connection_info().set_addr(addr)).map(Self::of).map_err(failure)
    }

    /// How it is connected to.
    pub(crate) fn connection_info(&self) -> ConnectionInfo {
        self.client.get_connection_info().clone()
    }

    pub(crate) fn has_tls(&self) -> bool {
        matches!(self.client.get_connection_info().addr(), ConnectionAddr::TcpTls { .. })
    }

    pub(crate) fn host(&self) -> String {
        match self.client.get_connection_info().addr() {
            ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => host.clone(),
            _ => String::new(),
        }
    }

    /// Connects, whatever the server's role.
    pub(crate) async fn open(&self) -> Result<Connection, Failure> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_SECONDS_MAX))
            .set_response_timeout(Some(RESPONSE_SECONDS_MAX));
        let unreachable = |error: RedisError| match failure(error) {
            Failure::Transient(why) => Failure::Transient(format!("{self} cannot be reached: {why}")),
            other => other.at(&self.to_string()),
        };
        let redis = self.client.get_multiplexed_async_connection_with_config(&config).await.map_err(unreachable)?;
        Ok(Connection { redis, cluster: self.cluster.clone() })
    }

    /// Connects, and makes sure that the server takes writes.
    pub(crate) async fn connect(&self) -> Result<Connection, Failure> {
        let mut connection = self.open().await?;
        if connection.is_primary().await? {
            return Ok(connection);
        }
        Err(Failure::Transient(format!("{self} is a replica: waiting until it is a primary")))
    }
}

impl Connection {
    /// Whether the server takes writes.
    pub(crate) async fn is_primary(&mut self) -> Result<bool, Failure> {
        let role: Vec<Value> = redis::cmd("ROLE").query_async(&mut self.redis).await.map_err(failure)?;
        Ok(matches!(role.first(), Some(Value::BulkString(role)) if role == b"master"))
    }

    /// Whether the server is of a cluster.
    pub(crate) async fn is_clustered(&mut self) -> Result<bool, Failure> {
        let info: redis::InfoDict =
            redis::cmd("INFO").arg("cluster").query_async(&mut self.redis).await.map_err(failure)?;
        Ok(info.get::<u8>("cluster_enabled") == Some(1))
    }

    /// Has the changes of a job's keys captured. Gives the name of the stream.
    pub(crate) async fn track(&mut self, job: &Job) -> Result<String, Failure> {
        let Source { key_pattern, db, exclude_commands, before_images, .. } = &job.source;
        let mut command = redis::cmd("WB.TRACK");
        command.arg(&job.name).arg(key_pattern).arg("DB").arg(*db);
        if !exclude_commands.is_empty() {
            command.arg("EXCLUDE").arg(exclude_commands);
        }
        if *before_images {
            command.arg("BEFORE");
        }
        command.query_async(&mut self.redis).await.map_err(|error| untracked(job, &error))
    }

    /// Makes the consumer group whose lag `XINFO GROUPS` shows, unless it is there.
    pub(crate) async fn make_group(&mut self, stream: &str, group: &str) -> Result<(), Failure> {
        let script = redis::Script::new(MAKE_GROUP_SCRIPT);
        script.key(stream).arg(group).invoke_async(&mut self.redis).await.map_err(failure)
    }

    /// Whether the stream still has the entry of this epoch at this position, so that all before it is known too.
    pub(crate) async fn has(&mut self, stream: &str, epoch: u64, position: Position) -> Result<bool, Failure> {
        Ok(self.entry(stream, 0, epoch, position).await?.is_some())
    }

    /// The entry of this epoch at this position of a stream, the layout's `job`-th.
    pub(crate) async fn entry(
        &mut self,
        stream: &str,
        job: usize,
        epoch: u64,
        position: Position,
    ) -> Result<Option<Entry>, Failure> {
        let position = position.to_string();
        let found: Value = redis::cmd("XRANGE")
            .arg(stream)
            .arg(&position)
            .arg(&position)
            .query_async(&mut self.redis)
            .await
            .map_err(failure)?;
        let is_it = |entry: &Entry| redis_wb_record::decode(&entry.record).is_ok_and(|record| record.epoch == epoch);
        Ok(entries(job, found).into_iter().next().filter(is_it))
    }

    /// Whether a stream began anew, with ids below those that were read: it was flushed or deleted.
    pub(crate) async fn began_anew(&mut self, stream: &str, place: Position) -> Result<bool, Failure> {
        let info: redis::RedisResult<redis::streams::StreamInfoStreamReply> =
            redis::cmd("XINFO").arg("STREAM").arg(stream).query_async(&mut self.redis).await;
        match info {
            Ok(info) => Ok(Position::parse(info.last_generated_id.as_bytes()).is_some_and(|last| last < place)),
            // There is no stream: what comes next is a new one.
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::ResponseError) => {
                Ok(place > Position::START)
            }
            Err(error) => Err(failure(error)),
        }
    }

    /// The last id that a stream has given out; the start where there is no stream.
    pub(crate) async fn last_id(&mut self, stream: &str) -> Result<Position, Failure> {
        if self.query::<u64>(redis::cmd("EXISTS").arg(stream)).await? == 0 {
            return Ok(Position::START);
        }
        let info: redis::streams::StreamInfoStreamReply =
            self.query(redis::cmd("XINFO").arg("STREAM").arg(stream)).await?;
        Ok(Position::parse(info.last_generated_id.as_bytes()).unwrap_or(Position::START))
    }

    /// The entries behind a place of each stream, as many as are asked for, as the capture module gives them.
    pub(crate) async fn read(
        &mut self,
        streams: &[(String, Position)],
        rows: usize,
        bytes: usize,
    ) -> Result<Vec<Entry>, Failure> {
        let mut pipe = redis::pipe();
        for (stream, position) in streams {
            pipe.cmd("WB.READ").arg(stream).arg(position.to_string()).arg(rows).arg(bytes);
        }
        let replies: Vec<Vec<u8>> = pipe.query_async(&mut self.redis).await.map_err(unread)?;
        let mut all = Vec::new();
        for (job, reply) in replies.into_iter().enumerate() {
            let reply = Bytes::from(reply);
            let entries = redis_wb_record::read_entries(&reply)
                .ok_or_else(|| Failure::Transient("the capture module gave what are no entries".to_owned()))?;
            all.extend(entries.into_iter().map(|StreamEntry { ms, seq, record, order }| {
                let order = order.and_then(|order| Order::parse(reply.get(order)?));
                let (position, record) = (Position { ms, seq }, reply.slice(record));
                Entry { job, position, record, order, found: Found::AsWritten }
            }));
        }
        Ok(all)
    }

    /// Waits for entries behind a place of a stream; gives the first of each stream that has one, or none after a while.
    pub(crate) async fn wait(&mut self, streams: &[(String, Position)]) -> Result<Vec<Entry>, Failure> {
        self.read_within(streams, 1, Some(BLOCK_MS)).await
    }

    /// Entries behind a place of each stream; waits so many milliseconds for the first, or not at all.
    pub(crate) async fn read_within(
        &mut self,
        streams: &[(String, Position)],
        count: usize,
        block_ms: Option<u64>,
    ) -> Result<Vec<Entry>, Failure> {
        let mut command = redis::cmd("XREAD");
        command.arg("COUNT").arg(count);
        if let Some(block_ms) = block_ms {
            command.arg("BLOCK").arg(block_ms);
        }
        command.arg("STREAMS");
        for (stream, _) in streams {
            command.arg(stream);
        }
        for (_, position) in streams {
            command.arg(position.to_string());
        }
        let reply: Value = command.query_async(&mut self.redis).await.map_err(failure)?;
        Ok(by_stream(streams, reply))
    }

    /// Entries of a stream that a connection has not applied: each with its order and the beginning of its record, and
    /// where the next page begins; empty where this was the last.
    pub(crate) async fn waiting(&mut self, page: &Waiting<'_>) -> Result<(String, Vec<Unapplied>), Failure> {
        let Waiting { stream, connection, from, last, rows, bytes, slots } = page;
        let script = redis::Script::new(WAITING_SCRIPT);
        let mut call = script.key(*stream);
        call.key(beside(stream, "applied", "")).arg(*connection).arg(*from);
        call.arg(last.map_or_else(|| "+".to_owned(), |last| last.to_string())).arg(*rows).arg(*bytes);
        if slots.is_empty() {
            call.arg("*");
        }
        slots.iter().for_each(|slot| {
            call.arg(slot);
        });
        call.invoke_async(&mut self.redis).await.map_err(failure)
    }

    /// Reads a key now, and gives the record again with what the key holds.
    pub(crate) async fn complete(&mut self, source: &Source, record: &Record<'_>) -> Result<Completed, Failure> {
        let script = redis::Script::new(READ_KEY_SCRIPT);
        let mut call = script.key(record.key);
        call.arg(source.db).arg(KEY_BYTES_MAX);
        let reply: redis::RedisResult<Vec<Value>> = match &self.cluster {
            // The key may be at another server by now.
            Some(cluster) => call.invoke_async(&mut cluster.keys().await?).await,
            None => call.invoke_async(&mut self.redis).await,
        };
        let (kind, content) = reply.map(kind_and_content).map_err(failure)?;
        let kind = match kind.as_str() {
            "hash" => DataType::Hash,
            "set" => DataType::Set,
            "zset" => DataType::SortedSet,
            "ReJSON-RL" => DataType::Json,
            "none" => return Ok(Completed::Gone),
            // Of any other type nothing becomes rows, and no later record need tell what becomes of those from before.
            _ => return Ok(Completed::Whole(without_content(record))),
        };
        let content = match content {
            Some(Value::Int(bytes)) => return Ok(Completed::TooLarge(bytes)),
            Some(content) if !is_empty(&content) => content,
            _ => return Ok(Completed::Gone),
        };
        let mut encoded = Vec::with_capacity(record.key.len() + 64);
        let mut writer = RecordWriter::new(&mut encoded);
        let Record { epoch, time_us, db, key, opcode, command, before, .. } = *record;
        let flags = Flags::from_bits(record.flags.bits() & !Flags::THIN.bits());
        writer.head(epoch, time_us, db, key, opcode, command, kind, flags);
        if !write_image(&mut writer, kind, &content) {
            return Ok(Completed::Gone);
        }
        drop(content);
        match before.filter(|_| !is_replay(command)) {
            Some(before) => writer.image(&before),
            None => writer.no_image(),
        }
        Ok(Completed::Whole(encoded))
    }

    /// Gives an entry that says "read the key now" what the key holds now.
    pub(crate) async fn complete_entry(&mut self, source: &Source, entry: &mut Entry) -> Result<(), Failure> {
        let Ok(record) = redis_wb_record::decode(&entry.record) else { return Ok(()) };
        match self.complete(source, &record).await? {
            Completed::Whole(record) => entry.record = record.into(),
            Completed::Gone => match gone(record) {
                Some(record) => entry.record = record.into(),
                None => entry.found = Found::Nothing,
            },
            Completed::TooLarge(bytes) => entry.found = Found::TooLarge(bytes),
        }
        Ok(())
    }

    /// Puts records into the dead-letter queue of a stream, each once however often its batch is tried. Gives how many
    /// older ones had to go.
    pub(crate) async fn bury(
        &mut self,
        stream: &str,
        connection: &str,
        rows_max: usize,
        letters: &[Letter<'_>],
    ) -> Result<usize, Failure> {
        let script = redis::Script::new(DEAD_LETTER_SCRIPT);
        let mut call = script.prepare_invoke();
        call.key(dead_letters(stream)).key(beside(stream, "open", connection)).key(beside(stream, "applied", ""));
        call.arg(rows_max).arg(connection);
        for letter in letters {
            let Position { ms, seq } = letter.position;
            call.arg(epoch_text(letter.epoch)).arg(ms).arg(seq).arg(letter.job).arg(letter.key).arg(letter.code);
            call.arg(letter.reason).arg(letter.statement).arg(without_images(letter.record));
        }
        call.invoke_async(&mut self.redis).await.map_err(failure)
    }

    /// Appends records to a stream, each with its order, which is empty where there is but one shard.
    pub(crate) async fn append(&mut self, stream: &str, records: &[(&[u8], &str)]) -> Result<(), Failure> {
        let script = redis::Script::new(APPEND_SCRIPT);
        for records in records.chunks(APPEND_ROWS_MAX) {
            let mut call = script.key(stream);
            for (record, order) in records {
                call.arg(*record).arg(*order);
            }
            call.invoke_async::<()>(&mut self.redis).await.map_err(failure)?;
        }
        Ok(())
    }

    /// The time by the clock of Redis, in microseconds since 1970.
    pub(crate) async fn now_us(&mut self) -> Result<u64, Failure> {
        let (seconds, micros): (u64, u64) = self.query(&redis::cmd("TIME")).await?;
        Ok(seconds.saturating_mul(1_000_000).saturating_add(micros))
    }

    /// Sends a command of the caller's.
    pub(crate) async fn query<T: redis::FromRedisValue>(&mut self, command: &redis::Cmd) -> Result<T, Failure> {
        command.query_async(&mut self.redis).await.map_err(failure)
    }

    /// Sends commands of the caller's at once.
    pub(crate) async fn ask_all<T: redis::FromRedisValue>(&mut self, commands: &redis::Pipeline) -> Result<T, Failure> {
        commands.query_async(&mut self.redis).await.map_err(failure)
    }

    /// Runs a script of the caller's.
    pub(crate) async fn invoke<T: redis::FromRedisValue>(
        &mut self,
        call: &redis::ScriptInvocation<'_>,
    ) -> Result<T, Failure> {
        call.invoke_async(&mut self.redis).await.map_err(failure)
    }

    /// Puts a dead letter back into its stream; false where it was no longer in its queue.
    pub(crate) async fn replay(&mut self, queue: &str, stream: &str, id: &str, call: &Call) -> Result<bool, Failure> {
        let script = redis::Script::new(REPLAY_SCRIPT);
        let mut invoke = script.prepare_invoke();
        invoke.key(queue).key(stream).arg(id).arg(&call.change).arg(call.db).arg(&call.key);
        invoke.arg(&call.present).arg(&call.gone).arg(&call.order);
        invoke.invoke_async(&mut self.redis).await.map_err(failure)
    }

    /// After a commit: notes the positions of a connection, trims what all connections of each stream have applied.
    pub(crate) async fn settle(&mut self, connection: &str, steps: &[Settled<'_>]) -> Result<(), Failure> {
        let script = redis::Script::new(SETTLE_SCRIPT);
        for step in steps {
            let Position { ms, seq } = step.position;
            let mut call = script.prepare_invoke();
            call.key(step.stream).key(beside(step.stream, "applied", "")).key(beside(step.stream, "open", connection));
            call.arg(connection).arg(epoch_text(step.epoch)).arg(ms).arg(seq);
            let (count, first) = step.entries.unzip();
            call.arg(count.unwrap_or(0)).arg(first.map_or_else(String::new, |first| first.to_string()));
            call.arg(&step.connections);
            match call.invoke_async::<()>(&mut self.redis).await.map_err(failure) {
                // A slot on its way lets no script at its keys: the next commit, or session, notes it.
                Err(Failure::Moving(why)) => tracing::debug!(stream = step.stream, "not settled yet: {why}"),
                settled => settled?,
            }
        }
        Ok(())
    }
}

/// A page of what waits in a stream.
pub(crate) struct Waiting<'w> {
    pub(crate) stream: &'w str,
    pub(crate) connection: &'w str,
    /// The entry behind which it begins; empty for the first page.
    pub(crate) from: &'w str,
    /// The last entry that matters, if not all do.
    pub(crate) last: Option<Position>,
    pub(crate) rows: usize,
    /// How much of each record is given.
    pub(crate) bytes: usize,
    /// The slots of the keys; any where none is named.
    pub(crate) slots: &'w BTreeSet<String>,
}

/// The id of an entry, its order, the beginning of its record.
pub(crate) type Unapplied = (Vec<u8>, Vec<u8>, Vec<u8>);

/// The record for a dead letter, which is kept in the memory of Redis.
fn without_images(record: &[u8]) -> Cow<'_, [u8]> {
    match redis_wb_record::decode(record) {
        Ok(decoded) if record.len() > LETTER_BYTES_MAX && decoded.opcode != Opcode::Delete => {
            let flags = decoded.flags.union(Flags::THIN);
            let mut encoded = Vec::new();
            redis_wb_record::encode(&Record { after: None, before: None, flags, ..decoded }, &mut encoded);
            Cow::Owned(encoded)
        }
        _ => Cow::Borrowed(record),
    }
}

/// How far a commit took one stream.
pub(crate) struct Settled<'s> {
    pub(crate) stream: &'s str,
    pub(crate) epoch: Epoch,
    pub(crate) position: Position,
    /// How many entries lead there, and the first of them, where a batch took it there.
    pub(crate) entries: Option<(usize, Position)>,
    /// All connections that its job writes to.
    pub(crate) connections: Vec<&'s str>,
}

/// The certificates that the options of `--redis` name; `None` without TLS.
pub(crate) fn certificates_of(server: &Server, has_tls: bool) -> Result<Option<TlsCertificates>, Error> {
    let Server { ca, cert, key, .. } = server;
    let tls = tls::Settings {
        mode: Mode::VerifyFull,
        root: ca.clone(),
        identity: tls::identity(cert.clone(), key.clone(), tls::OPTIONS)?,
    };
    if has_tls {
        return Ok(Some(certificates(&tls)?));
    }
    if tls.root.is_some() || tls.identity.is_some() {
        return Err(Error::new(
            "certificates are named, but `--redis` asks for no TLS",
            "write it as rediss://host:port",
        ));
    }
    Ok(None)
}

/// The dead-letter queue of a stream.
fn dead_letters(stream: &str) -> String {
    format!("dlq:{stream}")
}

/// A key that belongs to a stream and is in the same slot: `wb:{0}:emp` has `wb:{0}/applied/emp`.
pub(crate) fn beside(stream: &str, what: &str, connection: &str) -> String {
    let (shard, job) = stream.split_once("}:").unwrap_or(("", stream));
    format!("{shard}}}/{what}/{job}/{connection}")
}

/// The reply of [`READ_KEY_SCRIPT`].
fn kind_and_content(reply: Vec<Value>) -> (String, Option<Value>) {
    let mut reply = reply.into_iter();
    let kind = match reply.next() {
        Some(Value::BulkString(kind)) => String::from_utf8_lossy(&kind).into_owned(),
        Some(Value::SimpleString(kind)) => kind,
        _ => String::new(),
    };
    (kind, reply.next())
}

/// The entries of an `XREAD` reply, in the order of the streams.
fn by_stream(streams: &[(String, Position)], reply: Value) -> Vec<Entry> {
    let pairs: Vec<(Value, Value)> = match reply {
        Value::Map(pairs) => pairs,
        Value::Array(streams) => streams.into_iter().filter_map(pair).collect(),
        _ => Vec::new(),
    };
    let mut all = Vec::new();
    for (name, list) in pairs {
        let Value::BulkString(name) = name else { continue };
        if let Some(job) = streams.iter().position(|(stream, _)| stream.as_bytes() == name) {
            all.extend(entries(job, list));
        }
    }
    all
}

/// The entries of one stream. An entry without a record has an empty one, which is rejected as malformed.
fn entries(job: usize, list: Value) -> Vec<Entry> {
    let Value::Array(list) = list else {
        return Vec::new();
    };
    let entry = |value: Value| {
        let (id, fields) = pair(value)?;
        let Value::BulkString(id) = id else { return None };
        let (record, order) = record_and_order(fields);
        let position = Position::parse(&id)?;
        let order = order.and_then(|order| Order::parse(&order));
        Some(Entry { job, position, record: record.into(), order, found: Found::AsWritten })
    };
    list.into_iter().filter_map(entry).collect()
}

/// The record among the fields of an entry, and its order.
fn record_and_order(fields: Value) -> (Vec<u8>, Option<Vec<u8>>) {
    let (mut record, mut order) = (None, None);
    let Value::Array(fields) = fields else { return (Vec::new(), None) };
    let mut fields = fields.into_iter();
    while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
        if let (Value::BulkString(name), Value::BulkString(value)) = (name, value) {
            if name == STREAM_FIELD.as_bytes() {
                record = record.or(Some(value));
            } else if name == ORDER_FIELD.as_bytes() {
                order = order.or(Some(value));
            }
        }
    }
    (record.unwrap_or_default(), order)
}

fn pair(value: Value) -> Option<(Value, Value)> {
    let Value::Array(parts) = value else { return None };
    let mut parts = parts.into_iter();
    Some((parts.next()?, parts.next()?))
}

/// What is read of a key for a record that says "read it now".
pub(crate) enum Completed {
    /// The record with its image.
    Whole(Vec<u8>),
    /// There is nothing that becomes rows: a later record tells why, and what becomes of them.
    Gone,
    /// So many bytes are more than are read at once.
    TooLarge(i64),
}

/// A record of a key that holds what makes no rows.
fn without_content(record: &Record<'_>) -> Vec<u8> {
    let flags = Flags::from_bits(record.flags.bits() & !Flags::THIN.bits());
    let mut encoded = Vec::new();
    redis_wb_record::encode(&Record { after: None, flags, ..record.clone() }, &mut encoded);
    encoded
}

fn is_empty(content: &Value) -> bool {
    match content {
        Value::Nil => true,
        Value::Array(items) | Value::Set(items) => items.is_empty(),
        Value::Map(pairs) => pairs.is_empty(),
        _ => false,
    }
}

/// Writes the reply of a reading command as an image. False where it is none.
fn write_image(writer: &mut RecordWriter<'_>, kind: DataType, content: &Value) -> bool {
    match (kind, content) {
        (DataType::Json, Value::BulkString(text)) => writer.blob(kind, text),
        (DataType::Hash | DataType::SortedSet, Value::Map(pairs)) => {
            writer.open(kind, pairs.len());
            pairs.iter().for_each(|(name, value)| part(writer, kind, name, Some(value)));
        }
        (DataType::Hash | DataType::SortedSet, Value::Array(parts)) => {
            writer.open(kind, parts.len() / 2);
            parts.chunks_exact(2).for_each(|parts| {
                if let [name, value] = parts {
                    part(writer, kind, name, Some(value));
                }
            });
        }
        (DataType::Set, Value::Array(members) | Value::Set(members)) => {
            writer.open(kind, members.len());
            members.iter().for_each(|member| part(writer, kind, member, None));
        }
        _ => return false,
    }
    true
}

fn part(writer: &mut RecordWriter<'_>, kind: DataType, name: &Value, value: Option<&Value>) {
    let (name, value) = (bytes(name), value.map(bytes).unwrap_or_default());
    match kind {
        DataType::Hash => writer.field(name, value),
        DataType::SortedSet => {
            let score = std::str::from_utf8(value).ok().and_then(|score| score.parse().ok()).unwrap_or_default();
            writer.scored(name, score);
        }
        _ => writer.member(name),
    }
}

fn bytes(value: &Value) -> &[u8] {
    match value {
        Value::BulkString(bytes) => bytes,
        Value::SimpleString(text) => text.as_bytes(),
        _ => &[],
    }
}

/// What a Redis without the module lacks.
fn no_module() -> Failure {
    Failure::configuration(
        "this Redis has no capture module",
        "load it: start the server with `--loadmodule libredis_wb_capture.so`, or run \
         `MODULE LOAD /path/to/libredis_wb_capture.so` where `enable-module-command` allows it",
    )
}

/// Why a job's keys cannot be captured.
fn untracked(job: &Job, error: &RedisError) -> Failure {
    let said = error.detail().unwrap_or_default().to_owned();
    if said.contains("unknown command") {
        return no_module();
    }
    match error.kind() {
        ErrorKind::Server(ServerErrorKind::ResponseError) | ErrorKind::Extension => Failure::configuration(
            format!("Redis does not track the keys of job `{}`: {said}", job.name),
            "mend what the reason names, then start again",
        ),
        _ => failure_of(error),
    }
}

/// Why change streams cannot be read.
fn unread(error: RedisError) -> Failure {
    if error.detail().unwrap_or_default().contains("unknown command") {
        return Failure::configuration(
            "the capture module that Redis has loaded is older than this redis-wb",
            "restart the server with the `libredis_wb_capture.so` of this version: `MODULE LOAD` does not replace one",
        );
    }
    failure_of(&error)
}

fn failure(error: RedisError) -> Failure {
    failure_of(&error)
}

/// A failure of Redis: all pass by themselves but those of rights and passwords.
pub(crate) fn failure_of(error: &RedisError) -> Failure {
    if let Some(failure) = tls::refusal(error, tls::OPTIONS) {
        return failure;
    }
    let code = error.code().unwrap_or_default();
    if error.kind() == ErrorKind::AuthenticationFailed || matches!(code, "NOAUTH" | "WRONGPASS" | "NOPERM") {
        return Failure::configuration(
            format!("Redis refuses this worker: {error}"),
            "put a user with the needed rights into `--redis redis://user:password@host:port`",
        );
    }
    if matches!(code, "MOVED" | "ASK" | "TRYAGAIN" | "CLUSTERDOWN") {
        return Failure::Moving(format!("Redis: {error}"));
    }
    Failure::Transient(format!("Redis: {error}"))
}
