//! A server with the module, commands as text, records as text. It must not know what a test is about.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use redis::{Connection, Value};
use redis_wb_record::{DataType, Flags, Image, Opcode, Record, STREAM_FIELD, decode};
use xtask::servers::Redis;

/// How long anything that happens by itself may take; generous, since tests load all cores.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// A server with the module, and a connection to it.
pub(crate) struct Server {
    pub(crate) redis: Redis,
    connection: Connection,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        Self::of(Redis::start_with(arguments))
    }

    /// A server that already follows `primary`, with all that it had.
    pub(crate) fn replica_of(primary: &Self, arguments: &[&str]) -> Self {
        let port = primary.redis.port().to_string();
        let mut all = vec!["--replicaof", "127.0.0.1", &port];
        all.extend(arguments);
        let mut replica = Self::start_with(&all);
        replica.wait_for("the link to the primary", |replica| replica.info("master_link_status") == "up");
        replica
    }

    pub(crate) fn of(redis: Redis) -> Self {
        let connection = connect(&redis);
        Self { redis, connection }
    }

    /// Lets another client take the place of this one.
    pub(crate) fn reconnect(&mut self) {
        self.connection = connect(&self.redis);
    }

    /// Ends it by SIGKILL and starts it again.
    pub(crate) fn crash(&mut self) {
        self.redis.kill();
        self.redis.restart();
        self.connection = connect(&self.redis);
    }

    /// Stops it in order and starts it again.
    pub(crate) fn restart(&mut self) {
        self.redis.restart();
        self.connection = connect(&self.redis);
    }

    /// Sends a command whose words are separated by blanks.
    pub(crate) fn try_run(&mut self, command: &str) -> Result<Value, String> {
        self.try_send(&command.split_whitespace().map(str::as_bytes).collect::<Vec<_>>())
    }

    #[track_caller]
    pub(crate) fn run(&mut self, command: &str) -> Value {
        self.try_run(command).unwrap_or_else(|error| panic!("`{command}`: {error}"))
    }

    #[track_caller]
    pub(crate) fn run_all(&mut self, commands: &[&str]) {
        for command in commands {
            self.run(command);
        }
    }

    #[track_caller]
    pub(crate) fn send(&mut self, words: &[&[u8]]) -> Value {
        self.try_send(words).unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) fn try_send(&mut self, words: &[&[u8]]) -> Result<Value, String> {
        let mut command = redis::Cmd::new();
        words.iter().for_each(|word| {
            command.arg(*word);
        });
        let value: Value = command.query(&mut self.connection).map_err(|error| error.to_string())?;
        value.extract_error().map_err(|error| error.to_string())
    }

    /// A field of INFO.
    pub(crate) fn info(&mut self, field: &str) -> String {
        value_of(&text(&self.run("INFO everything")), field)
    }

    #[track_caller]
    pub(crate) fn wait_for(&mut self, what: &str, mut holds: impl FnMut(&mut Self) -> bool) {
        let start = Instant::now();
        while !holds(self) {
            assert!(start.elapsed() < WAIT_MAX, "still no {what}; the log:\n{}", self.redis.log());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until a replica of this server has all that was written.
    #[track_caller]
    pub(crate) fn wait_for_replica(&mut self) {
        let written = self.info("master_repl_offset");
        self.wait_for("acknowledgement of the replica", |server| {
            server.run("WAIT 1 1000") == Value::Int(1) && server.info("slave0").contains(&format!("offset={written}"))
        });
    }

    /// The entries of a stream as they are: id and record.
    pub(crate) fn entries(&mut self, stream: &str) -> Vec<(String, Vec<u8>)> {
        let Value::Array(entries) = self.send(&[b"XRANGE", stream.as_bytes(), b"-", b"+"]) else {
            panic!("XRANGE gives an array")
        };
        entries.into_iter().map(entry).collect()
    }

    /// The records of the job `name`, as text.
    pub(crate) fn records(&mut self, name: &str) -> Vec<String> {
        let entries = self.entries(&stream(name));
        entries.iter().map(|(_, record)| shown(&decode(record).expect("a record"))).collect()
    }

    /// The records that commands bring forth for the job `name`.
    #[track_caller]
    pub(crate) fn records_of(&mut self, name: &str, commands: &[&str]) -> Vec<String> {
        let earlier = self.records(name).len();
        self.run_all(commands);
        self.records(name).split_off(earlier)
    }

    /// What every key matching `pattern` in database 0 holds, as text.
    pub(crate) fn keyspace(&mut self, pattern: &str) -> BTreeMap<String, String> {
        let Value::Array(keys) = self.run(&format!("KEYS {pattern}")) else { panic!("KEYS gives an array") };
        let keys: Vec<String> = keys.iter().map(text).collect();
        keys.into_iter().map(|key| (key.clone(), self.content(&key))).collect()
    }

    fn content(&mut self, key: &str) -> String {
        let kind = text(&self.run(&format!("TYPE {key}")));
        let parts = match kind.as_str() {
            "string" => return "string".to_owned(),
            "hash" => strings(&self.run(&format!("HGETALL {key}"))),
            "set" => strings(&self.run(&format!("SMEMBERS {key}"))),
            "zset" => strings(&self.run(&format!("ZRANGE {key} 0 -1 WITHSCORES"))),
            _ => return "thin".to_owned(),
        };
        let parts: Vec<String> =
            if kind == "set" { parts } else { parts.chunks(2).map(|pair| pair.join("=")).collect() };
        listed(if kind == "zset" { "sorted_set" } else { &kind }, parts)
    }

    /// What the records of a job say that the keys hold: what a target would have.
    pub(crate) fn folded(&mut self, name: &str) -> BTreeMap<String, String> {
        let mut keys = BTreeMap::new();
        for (_, entry) in self.entries(&stream(name)) {
            let record = decode(&entry).expect("a record");
            let key = String::from_utf8_lossy(record.key).into_owned();
            match record.opcode {
                Opcode::Flush => keys.clear(),
                Opcode::Delete => drop(keys.remove(&key)),
                Opcode::Create | Opcode::Update => {
                    let content = match &record.after {
                        Some(after) => image(after),
                        None if record.flags.contains(Flags::THIN) => self.content(&key),
                        None => record.data_type.name().to_owned(),
                    };
                    keys.insert(key, content);
                }
            }
        }
        keys
    }

    /// The commands in the AOF, in its order.
    pub(crate) fn aof(&self) -> Vec<Vec<String>> {
        let folder = self.redis.dir().join("appendonlydir");
        let files = std::fs::read_dir(folder).expect("an AOF").flatten().map(|file| file.path());
        let mut files: Vec<_> = files.filter(|file| file.to_string_lossy().ends_with(".incr.aof")).collect();
        files.sort();
        files.iter().flat_map(|file| commands(&std::fs::read(file).expect("an AOF"))).collect()
    }
}

/// The commands of an AOF or of a replication feed, up to the first that is not complete.
pub(crate) fn commands(mut bytes: &[u8]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    while let Some(words) = command(&mut bytes) {
        found.push(words);
    }
    found
}

fn command(bytes: &mut &[u8]) -> Option<Vec<String>> {
    let count = number(bytes, b'*')?;
    (0..count)
        .map(|_| {
            let len = number(bytes, b'$')?;
            let word = bytes.get(..len)?;
            *bytes = bytes.get(len + 2..)?;
            Some(String::from_utf8_lossy(word).into_owned())
        })
        .collect()
}

fn number(bytes: &mut &[u8], sign: u8) -> Option<usize> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let number = bytes.get(..end)?.strip_prefix(&[sign])?.strip_suffix(b"\r")?;
    *bytes = &bytes[end + 1..];
    std::str::from_utf8(number).ok()?.parse().ok()
}

/// The stream of a job on a standalone server.
pub(crate) fn stream(name: &str) -> String {
    format!("wb:{{0}}:{name}")
}

fn connect(redis: &Redis) -> Connection {
    redis::Client::open(redis.url()).and_then(|client| client.get_connection()).expect("a connection")
}

fn value_of(info: &str, field: &str) -> String {
    let line = info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap_or_default().to_owned()
}

fn entry(entry: Value) -> (String, Vec<u8>) {
    let Value::Array(parts) = entry else { panic!("an entry is an array") };
    let [id, Value::Array(fields)] = parts.as_slice() else { panic!("an entry has an id and fields") };
    let [field, Value::BulkString(record)] = fields.as_slice() else { panic!("an entry has one field") };
    assert_eq!(text(field), STREAM_FIELD);
    (text(id), record.clone())
}

/// A reply as text.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::SimpleString(text) => text.clone(),
        Value::Int(number) => number.to_string(),
        Value::Array(values) => format!("[{}]", values.iter().map(text).collect::<Vec<_>>().join(" ")),
        Value::Okay => "OK".to_owned(),
        other => format!("{other:?}"),
    }
}

fn strings(value: &Value) -> Vec<String> {
    let Value::Array(values) = value else { panic!("an array, not {value:?}") };
    values.iter().map(text).collect()
}

/// A record on one line: `u hset emp:1 hash{a=1} was hash{a=0}`.
pub(crate) fn shown(record: &Record<'_>) -> String {
    let mut line = format!("{} {}", record.opcode.letter(), record.command);
    if record.db != 0 {
        line += &format!(" db{}", record.db);
    }
    if record.opcode != Opcode::Flush {
        line += &format!(" {}", String::from_utf8_lossy(record.key));
    }
    match &record.after {
        Some(after) => {
            assert_eq!(after.data_type(), record.data_type);
            line += &format!(" {}", image(after));
        }
        None if record.data_type != DataType::Unknown => line += &format!(" {}", record.data_type.name()),
        None => {}
    }
    if record.flags.contains(Flags::THIN) {
        line += " thin";
    }
    if let Some(before) = &record.before {
        line += &format!(" was {}", image(before));
    }
    line
}

fn image(image: &Image<'_>) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let parts = match image {
        Image::Hash(pairs) => pairs.iter().map(|(name, value)| format!("{}={}", text(name), text(value))).collect(),
        Image::Set(members) => members.iter().map(text).collect(),
        Image::SortedSet(members) => members.iter().map(|(name, score)| format!("{}={score}", text(name))).collect(),
        Image::Json(document) => return text(document),
        Image::String(bytes) => return format!("string {:?}", text(bytes)),
    };
    listed(image.data_type().name(), parts)
}

fn listed(kind: &str, mut parts: Vec<String>) -> String {
    parts.sort();
    format!("{kind}{{{}}}", parts.join(" "))
}
