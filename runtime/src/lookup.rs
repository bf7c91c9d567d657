//! `redis.lookup`: what the records of a batch ask another Redis, all at once, each question once a batch. Knows
//! neither streams nor targets.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis_wb_plan::expr::Input;
use redis_wb_plan::plan::{Job, Lookup, Step};
use redis_wb_plan::{Plan, Reject, RejectCode, Slots, Value, convert, json};

use crate::error::Failure;
use crate::evaluate::{Effect, passes};
use crate::redis_server;

/// How many questions go out in one round trip at most, and in the first one.
const QUESTIONS_MAX: usize = 1_000;
const QUESTIONS_FIRST: usize = 16;
/// How many bytes the replies of one round trip should have.
const ROUND_BYTES_AIM: usize = 4 * 1024 * 1024;
/// The most bytes of one reply: a record that asks for more is rejected. What a value takes in memory counts.
pub(crate) const REPLY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The most bytes of all replies of a batch, each counted once however many records share it.
const REPLIES_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How much less the largest reply counts with each round trip.
const LARGEST_FADES: usize = 4;

/// The connections that lookups ask, made when they are first needed.
pub(crate) struct Lookups {
    plan: Arc<Plan>,
    connections: BTreeMap<String, MultiplexedConnection>,
    /// How many questions the next round trip has.
    count: usize,
    /// About the largest reply of late.
    largest: usize,
}

/// A question: the command and its arguments.
type Question = Vec<Vec<u8>>;

/// One record that asks.
pub(crate) struct Asking<'i, 'b> {
    pub(crate) job: &'b Job,
    pub(crate) effect: Effect,
    pub(crate) input: &'i mut Input<'b>,
    /// Why the record must be rejected, once that is known.
    pub(crate) rejected: Option<Reject>,
}

impl Lookups {
    pub(crate) fn new(plan: &Arc<Plan>) -> Self {
        Self { plan: Arc::clone(plan), connections: BTreeMap::new(), count: QUESTIONS_FIRST, largest: 0 }
    }

    /// Gives each record the replies to its lookups, the first lookups of all records first: a later one may need
    /// what an earlier one gave, and a filter before it may make it needless. False where several records ask for more
    /// than may be held at once.
    pub(crate) async fn answer(&mut self, records: &mut [Asking<'_, '_>]) -> Result<bool, Failure> {
        let most = records.iter().map(|record| record.job.lookups().count()).max().unwrap_or(0);
        let (mut held, null) = (0, Arc::new(Value::Null));
        for at in 0..most {
            let mut asked: BTreeMap<&str, Vec<(usize, Question)>> = BTreeMap::new();
            for (place, record) in records.iter_mut().enumerate() {
                let Some(lookup) = record.job.lookups().nth(at) else { continue };
                match question(record, at, lookup) {
                    Ok(Some(question)) => asked.entry(&lookup.connection).or_default().push((place, question)),
                    Ok(None) => {}
                    Err(reject) => record.rejected = Some(reject),
                }
                record.input.lookups.push(Arc::clone(&null));
            }
            for (connection, questions) in asked {
                held += self.ask(connection, questions, records, REPLIES_BYTES_MAX.saturating_sub(held)).await?;
                if held > REPLIES_BYTES_MAX && records.len() > 1 {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Asks one connection; gives how many bytes its replies take. It goes no further once they are more than `max`,
    /// unless one record asks alone.
    async fn ask(
        &mut self,
        name: &str,
        questions: Vec<(usize, Question)>,
        records: &mut [Asking<'_, '_>],
        max: usize,
    ) -> Result<usize, Failure> {
        let mut places: HashMap<Question, Vec<usize>> = HashMap::new();
        for (place, question) in questions {
            places.entry(question).or_default().push(place);
        }
        let mut places: Vec<(Question, Vec<usize>)> = places.into_iter().collect();
        let mut held = 0;
        while !places.is_empty() && (held <= max || records.len() == 1) {
            let round: Vec<(Question, Vec<usize>)> = places.drain(..self.count.min(places.len())).collect();
            let mut pipe = redis::pipe();
            pipe.ignore_errors();
            for (question, _) in &round {
                let mut command = redis::Cmd::new();
                command.arg(question);
                pipe.add_command(command);
            }
            let replies: Vec<redis::RedisResult<redis::Value>> =
                pipe.query_async(self.connection(name).await?).await.map_err(|error| self.failed(name, &error))?;
            self.adapt(&replies);
            for ((question, places), reply) in round.into_iter().zip(replies) {
                let bytes = reply.as_ref().map_or(0, weight);
                let answer = self.read(name, &question, reply)?.map(Arc::new);
                held += if answer.is_ok() { bytes } else { 0 };
                for record in places {
                    let Some(record) = records.get_mut(record) else { continue };
                    match (&answer, record.input.lookups.last_mut()) {
                        (Ok(value), Some(place)) => *place = Arc::clone(value),
                        (Ok(_), None) => {}
                        (Err(reject), _) => record.rejected = Some(reject.clone()),
                    }
                }
            }
        }
        Ok(held)
    }

    /// Has the next round trip bring about as much as it should.
    fn adapt(&mut self, replies: &[redis::RedisResult<redis::Value>]) {
        let largest = replies.iter().map(|reply| reply.as_ref().map_or(0, weight)).max().unwrap_or(0);
        self.largest = largest.max(self.largest / LARGEST_FADES);
        self.count = (ROUND_BYTES_AIM / self.largest.max(1)).clamp(1, QUESTIONS_MAX).min(self.count * 4);
    }

    async fn connection(&mut self, name: &str) -> Result<&mut MultiplexedConnection, Failure> {
        if !self.connections.contains_key(name) {
            let plan = self.plan.redis.get(name).ok_or_else(|| {
                Failure::configuration(format!("the plan has no connection `{name}`"), "compile the jobs again")
            })?;
            self.connections.insert(name.to_owned(), redis_server::connect(name, plan).await?);
        }
        let lost = || Failure::Transient(format!("the connection `{name}` was lost"));
        self.connections.get_mut(name).ok_or_else(lost)
    }

    fn failed(&mut self, name: &str, error: &redis::RedisError) -> Failure {
        self.connections.remove(name);
        redis_server::failure(name, error)
    }

    /// A reply as a value, or why the record that asked must be rejected.
    fn read(
        &mut self,
        name: &str,
        question: &Question,
        reply: redis::RedisResult<redis::Value>,
    ) -> Result<Result<Value<'static>, Reject>, Failure> {
        let command = question.first().map(|command| String::from_utf8_lossy(command)).unwrap_or_default();
        let refused = |error: &dyn std::fmt::Display| {
            let key = question.get(1).map(|key| String::from_utf8_lossy(key)).unwrap_or_default();
            let reason = format!("the lookup `{command}` of `{key}` on connection `{name}`: {error}");
            Reject::new(RejectCode::Unreadable, reason)
        };
        match reply {
            Ok(reply) if weight(&reply) > REPLY_BYTES_MAX => {
                let mb = REPLY_BYTES_MAX / 1024 / 1024;
                let reject =
                    refused(&format!("the reply takes more than {mb} MB, which is the most that a lookup takes"));
                Ok(Err(Reject::new(RejectCode::LimitExceeded, reject.into_rejection().reason)))
            }
            Ok(reply) => Ok(value(&command, reply).map_err(|reject| refused(&reject))),
            Err(error) if lacks_command(&error) => Err(Failure::configuration(
                format!("the Redis of connection `{name}` has no command `{command}`"),
                "load the module that has it, RedisJSON for `JSON.GET`",
            )),
            // The key is of another type, or the arguments are none that the command takes.
            Err(error) if matches!(error.code(), Some("WRONGTYPE" | "ERR")) => Ok(Err(refused(&error))),
            Err(error) => Err(self.failed(name, &error)),
        }
    }
}

/// About how many bytes of memory a reply takes as a value.
fn weight(reply: &redis::Value) -> usize {
    let own = size_of::<Value<'_>>();
    own + match reply {
        redis::Value::BulkString(bytes) => bytes.len(),
        redis::Value::SimpleString(text) => text.len(),
        redis::Value::Array(items) | redis::Value::Set(items) => items.iter().map(weight).sum(),
        redis::Value::Map(pairs) => pairs.iter().map(|(name, value)| weight(name) + weight(value)).sum(),
        _ => 0,
    }
}

fn lacks_command(error: &redis::RedisError) -> bool {
    error.detail().is_some_and(|detail| detail.contains("unknown command"))
}

/// What a record asks; `None` where a filter before drops it, or an argument is null.
fn question(record: &Asking<'_, '_>, at: usize, lookup: &Lookup) -> Result<Option<Question>, Reject> {
    if record.rejected.is_some() || !reaches(record, at)? {
        return Ok(None);
    }
    let mut question = vec![lookup.command.clone().into_bytes()];
    for arg in &lookup.args {
        match Slots::new(&[]).evaluate(arg, record.input)? {
            Value::Null => return Ok(None),
            Value::Bytes(bytes) => question.push(bytes.into_owned()),
            Value::Text(text) => question.push(text.into_owned().into_bytes()),
            other => question.push(convert::display(&other).into_bytes()),
        }
    }
    Ok(Some(question))
}

/// Whether the filters before a lookup let the record pass.
fn reaches(record: &Asking<'_, '_>, at: usize) -> Result<bool, Reject> {
    let mut lookups = 0;
    for step in &record.job.steps {
        match step {
            Step::Lookup(_) if lookups == at => break,
            Step::Lookup(_) => lookups += 1,
            Step::Filter(filter) => {
                if !passes(&filter.condition, record.input, record.effect)? {
                    return Ok(false);
                }
            }
        }
    }
    Ok(true)
}

/// A reply as the compiler promised it: texts, lists of texts, an object for `HGETALL`, a document for `JSON.GET`.
fn value(command: &str, reply: redis::Value) -> Result<Value<'static>, Reject> {
    let text = |bytes: Vec<u8>| Value::from_redis(&bytes).into_static();
    Ok(match reply {
        redis::Value::Nil => Value::Null,
        redis::Value::Int(number) => Value::Int(number),
        redis::Value::Double(number) if number.is_finite() => Value::Float(number),
        redis::Value::Boolean(value) => Value::Bool(value),
        redis::Value::BulkString(bytes) if command == "JSON.GET" => match std::str::from_utf8(&bytes) {
            Ok(document) => json::parse(document)?.into_static(),
            Err(error) => return Err(Reject::new(RejectCode::InvalidText, error.to_string())),
        },
        redis::Value::BulkString(bytes) if command == "ZSCORE" => number(&bytes)?,
        redis::Value::BulkString(bytes) => text(bytes),
        redis::Value::SimpleString(word) => Value::Text(word.into()),
        redis::Value::Array(items) if command == "HGETALL" => {
            let mut items = items.into_iter();
            let mut fields = Vec::with_capacity(items.len() / 2);
            while let (Some(name), Some(item)) = (items.next(), items.next()) {
                let redis::Value::BulkString(name) = name else { continue };
                fields.push((String::from_utf8_lossy(&name).into_owned().into(), value("", item)?));
            }
            Value::Object(fields.into())
        }
        redis::Value::Array(items) | redis::Value::Set(items) => {
            Value::List(items.into_iter().map(|item| value("", item)).collect::<Result<_, _>>()?)
        }
        other => {
            let reason = format!("the reply is of a kind that a lookup does not take: {other:?}");
            return Err(Reject::new(RejectCode::Unreadable, reason));
        }
    })
}

/// A score. Infinite ones are no values.
fn number(bytes: &[u8]) -> Result<Value<'static>, Reject> {
    let number: Option<f64> = std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok());
    match number.filter(|number| number.is_finite()) {
        Some(number) => Ok(Value::Float(number)),
        None => Err(Reject::new(RejectCode::OutOfRange, "the score is no finite number")),
    }
}
