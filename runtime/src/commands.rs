//! One change into the commands that it asks of a Redis (`redis.write`). Knows no other change.

use redis_wb_plan::expr::Input;
use redis_wb_plan::plan::{OnUpdate, RedisContent, RedisField, RedisFields, RedisWrite};
use redis_wb_plan::value::Items;
use redis_wb_plan::{Expr, Reject, RejectCode, Slots, Value, convert, json};

use crate::evaluate::{Effect, passes};

/// A command: its name and its arguments.
pub(crate) type Command = Vec<Vec<u8>>;

/// The name of a field and its value.
type Field = (Vec<u8>, Vec<u8>);

/// How many fields one `HSET` takes; a script can hand on about 8,000 words at once.
const FIELDS_MAX: usize = 1_000;
/// How many fields an entry of a stream may have: they cannot be parted.
const ENTRY_FIELDS_MAX: usize = 3_500;

/// The commands of a change, in order; none where its condition does not hold.
pub(crate) fn commands(write: &RedisWrite, input: &Input<'_>, effect: Effect) -> Result<Vec<Command>, Reject> {
    if let Some(condition) = &write.when
        && !passes(condition, input, effect)?
    {
        return Ok(Vec::new());
    }
    let making = Making { write, slots: Slots::new(&write.shared), input };
    let key = making.key(effect)?;
    match effect {
        Effect::Upsert => making.upsert(&key),
        Effect::Delete => making.delete(key),
    }
}

struct Making<'b> {
    write: &'b RedisWrite,
    slots: Slots<'b>,
    input: &'b Input<'b>,
}

impl<'b> Making<'b> {
    fn value(&self, expr: &'b Expr) -> Result<Value<'b>, Reject> {
        self.slots.evaluate(expr, self.input)
    }

    /// A text that names something; there must be one.
    fn name(&self, expr: &'b Expr, what: &str) -> Result<Vec<u8>, Reject> {
        let missing = || Reject::new(RejectCode::NullKey, format!("{what} is null"));
        text(&self.value(expr)?).ok_or_else(missing)
    }

    fn key(&self, effect: Effect) -> Result<Vec<u8>, Reject> {
        let key = self.name(&self.write.key, "the key to write");
        match key {
            Ok(key) if key.is_empty() => Err(Reject::new(RejectCode::NullKey, "the key to write is an empty text")),
            Err(reject) if effect == Effect::Delete && self.input.before.is_null() => {
                let reason = "the key to write comes from the value, and the delete has no before image";
                let unknown = matches!(reject.code, RejectCode::NullKey);
                Err(if unknown { Reject::new(RejectCode::NoBeforeImage, reason) } else { reject })
            }
            key => key,
        }
    }

    fn upsert(&self, key: &[u8]) -> Result<Vec<Command>, Reject> {
        let replaces = self.write.on_update == OnUpdate::Replace;
        let mut commands = Vec::new();
        match &self.write.content {
            RedisContent::Hash(fields) => {
                let fields = self.texts(fields)?;
                if replaces {
                    commands.push(command("DEL", [key]));
                }
                commands.extend(fields.chunks(FIELDS_MAX).map(|fields| with_fields(command("HSET", [key]), fields)));
            }
            RedisContent::Json(fields) => {
                let document = self.document(fields)?;
                if replaces {
                    // Anything may stand there, a key of another type as well.
                    commands.push(command("DEL", [key]));
                    commands.push(command("JSON.SET", [key, b"$", &document]));
                } else {
                    commands.push(command("JSON.MERGE", [key, b"$", &document]));
                }
            }
            RedisContent::Set { member } => {
                commands.push(command("SADD", [key, &self.name(member, "the member")?]));
            }
            RedisContent::SortedSet { member, score } => {
                let score = self.name(score, "the score")?;
                commands.push(command("ZADD", [key, &score, &self.name(member, "the member")?]));
            }
            RedisContent::Stream(fields) => commands.push(self.entry(key, fields)?),
            RedisContent::String { value } => match text(&self.value(value)?) {
                Some(value) => commands.push(command("SET", [key, &value])),
                None => commands.push(command("DEL", [key])),
            },
            RedisContent::Nested { path, member, fields } => {
                let document = self.object(fields)?;
                let member = self.name(member, "the nesting key")?;
                let inner = nested(path, String::from_utf8_lossy(&member).into_owned(), document);
                commands.push(command("JSON.MERGE", [key, b"$", written(&inner)?.as_bytes()]));
            }
        }
        if self.write.expire_s > 0 {
            commands.push(command("EXPIRE", [key, self.write.expire_s.to_string().as_bytes()]));
        }
        Ok(commands)
    }

    fn delete(&self, key: Vec<u8>) -> Result<Vec<Command>, Reject> {
        Ok(match &self.write.content {
            RedisContent::Hash(_) | RedisContent::Json(_) | RedisContent::String { .. } => {
                vec![vec![b"DEL".to_vec(), key]]
            }
            RedisContent::Set { member } => vec![command("SREM", [key.as_slice(), &self.name(member, "the member")?])],
            RedisContent::SortedSet { member, .. } => {
                vec![command("ZREM", [key.as_slice(), &self.name(member, "the member")?])]
            }
            RedisContent::Stream(_) => Vec::new(),
            RedisContent::Nested { path, member, .. } => {
                let member = self.name(member, "the nesting key")?;
                let member = written(&Value::Text(String::from_utf8_lossy(&member)))?;
                vec![command("JSON.DEL", [key.as_slice(), format!("{path}[{member}]").as_bytes()])]
            }
        })
    }

    fn entry(&self, key: &[u8], fields: &'b RedisFields) -> Result<Command, Reject> {
        let fields = self.texts(fields)?;
        if fields.is_empty() || fields.len() > ENTRY_FIELDS_MAX {
            let reason = format!("an entry of a stream has 1 to {ENTRY_FIELDS_MAX} fields, not {}", fields.len());
            return Err(Reject::new(RejectCode::LimitExceeded, reason));
        }
        Ok(with_fields(command("XADD", [key, b"*"]), &fields))
    }

    /// The fields as texts; a null is left out.
    fn texts(&self, fields: &'b RedisFields) -> Result<Vec<Field>, Reject> {
        match fields {
            RedisFields::Whole(whole) => match self.value(whole)? {
                Value::Object(fields) => {
                    let field = |(name, value): &(_, Value<'_>)| {
                        let name: &std::borrow::Cow<'_, str> = name;
                        Some((name.as_bytes().to_vec(), text(value)?))
                    };
                    Ok(fields.iter().filter_map(field).collect())
                }
                other => Err(no_object(&other)),
            },
            RedisFields::Each(fields) => {
                let mut made = Vec::with_capacity(fields.len());
                for RedisField { path, expr, .. } in fields {
                    if let Some(value) = text(&self.value(expr)?) {
                        made.push((path.join(".").into_bytes(), value));
                    }
                }
                Ok(made)
            }
        }
    }

    fn document(&self, fields: &'b RedisFields) -> Result<Vec<u8>, Reject> {
        written(&self.object(fields)?).map(String::into_bytes)
    }

    /// The fields as an object.
    fn object(&self, fields: &'b RedisFields) -> Result<Value<'b>, Reject> {
        match fields {
            RedisFields::Whole(whole) => match self.value(whole)? {
                object @ Value::Object(_) => Ok(object),
                other => Err(no_object(&other)),
            },
            RedisFields::Each(fields) => {
                let mut object = Vec::new();
                for RedisField { path, expr, .. } in fields {
                    put(&mut object, path, self.value(expr)?);
                }
                Ok(Value::Object(object.into()))
            }
        }
    }
}

fn command<'w>(name: &'w str, words: impl IntoIterator<Item = &'w [u8]>) -> Command {
    std::iter::once(name.as_bytes()).chain(words).map(<[u8]>::to_vec).collect()
}

fn with_fields(mut command: Command, fields: &[Field]) -> Command {
    for (name, value) in fields {
        command.extend([name.clone(), value.clone()]);
    }
    command
}

/// A value as Redis keeps it; null is none.
fn text(value: &Value<'_>) -> Option<Vec<u8>> {
    match value {
        Value::Null => None,
        Value::Text(text) => Some(text.as_bytes().to_vec()),
        Value::Bytes(bytes) => Some(bytes.to_vec()),
        other => Some(convert::display(other).into_bytes()),
    }
}

fn written(value: &Value<'_>) -> Result<String, Reject> {
    json::write(value, json::JSON_BYTES_MAX)
}

fn no_object(value: &Value<'_>) -> Reject {
    let reason = format!("the record to write is no object of fields but a value of type {}", value.kind());
    Reject::new(RejectCode::NotConvertible, reason)
}

/// Puts a value into an object, making objects on the way to it.
fn put<'b>(object: &mut Vec<(std::borrow::Cow<'b, str>, Value<'b>)>, path: &'b [String], value: Value<'b>) {
    let Some((name, rest)) = path.split_first() else { return };
    let place = match object.iter().position(|(own, _)| own == name) {
        Some(place) => place,
        None => {
            object.push((name.as_str().into(), Value::Null));
            object.len() - 1
        }
    };
    let Some((_, own)) = object.get_mut(place) else { return };
    if rest.is_empty() {
        *own = value;
        return;
    }
    if !matches!(own, Value::Object(Items::Owned(_))) {
        *own = Value::Object(Items::Owned(Vec::new()));
    }
    if let Value::Object(Items::Owned(inner)) = own {
        put(inner, rest, value);
    }
}

/// A member within the map that a path leads to: `$.lines` and `7` give `{"lines": {"7": …}}`.
fn nested<'b>(path: &str, member: String, document: Value<'b>) -> Value<'b> {
    let within = Value::Object(vec![(member.into(), document)].into());
    let names = path.trim_start_matches('$').split('.').filter(|name| !name.is_empty());
    names.rev().fold(within, |inner, name| Value::Object(vec![(name.to_owned().into(), inner)].into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_goes_into_the_map_of_its_path() {
        let document = json::parse(r#"{"a": 1}"#).unwrap();
        assert_eq!(
            written(&nested("$.order.lines", "7".to_owned(), document)).unwrap(),
            r#"{"order":{"lines":{"7":{"a":1}}}}"#
        );
    }

    #[test]
    fn fields_share_the_objects_on_their_way() {
        let paths: [Vec<String>; 3] =
            ["p.lat", "p.lon", "city"].map(|path| path.split('.').map(str::to_owned).collect());
        let mut object = Vec::new();
        for (path, number) in paths.iter().zip(1_i64..) {
            put(&mut object, path, Value::Int(number));
        }
        assert_eq!(written(&Value::Object(object.into())).unwrap(), r#"{"p":{"lat":1,"lon":2},"city":3}"#);
    }
}
