//! Constants. In a plan they are plain JSON; what JSON has no type for is an object with one `$` field:
//! `{"$decimal": "12.50"}`.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap as _, Serializer};

use crate::value::List;
use crate::{Value, convert};

/// A constant.
#[derive(Debug, Clone, PartialEq)]
pub struct Literal(pub Value<'static>);

impl Serialize for Literal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Plain(&self.0).serialize(serializer)
    }
}

/// The form of a constant in a plan.
struct Plain<'v>(&'v Value<'v>);

/// An object whose only field could be taken for a tag: `{"$object": [name, value]}`.
const OBJECT: &str = "$object";

impl Serialize for Plain<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Int(number) => serializer.serialize_i64(*number),
            Value::Float(number) if number.is_finite() => serializer.serialize_f64(*number),
            Value::Text(text) => serializer.serialize_str(text),
            Value::List(items) => serializer.collect_seq(items.iter().map(Plain)),
            Value::Object(fields) if looks_tagged(fields) => {
                let field = fields.first().map(|(name, value)| (name, Plain(value)));
                tagged(serializer, OBJECT, &field)
            }
            Value::Object(fields) => Fields(fields).serialize(serializer),
            Value::Date(days) => tagged(serializer, "$date", days),
            Value::Time(us) => tagged(serializer, "$time", us),
            Value::Timestamp(us) => tagged(serializer, "$timestamp", us),
            Value::TimestampTz(us) => tagged(serializer, "$timestamptz", us),
            other => tagged(serializer, &format!("${}", other.kind()), &convert::display(other)),
        }
    }
}

struct Fields<'v>(&'v [crate::value::Field<'v>]);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, Plain(value))))
    }
}

fn looks_tagged(fields: &[crate::value::Field<'_>]) -> bool {
    matches!(fields, [(name, _)] if name.starts_with('$'))
}

fn tagged<S: Serializer>(serializer: S, tag: &str, value: &impl Serialize) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry(tag, value)?;
    map.end()
}

impl<'de> Deserialize<'de> for Literal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LiteralVisitor)
    }
}

struct LiteralVisitor;

impl<'de> Visitor<'de> for LiteralVisitor {
    type Value = Literal;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a constant")
    }

    fn visit_unit<E>(self) -> Result<Literal, E> {
        Ok(Literal(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Literal, E> {
        Ok(Literal(Value::Bool(value)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Literal, E> {
        Ok(Literal(Value::Int(number)))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Literal, E> {
        i64::try_from(number).map(|number| Literal(Value::Int(number))).map_err(E::custom)
    }

    fn visit_f64<E>(self, number: f64) -> Result<Literal, E> {
        Ok(Literal(Value::Float(number)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Literal, E> {
        Ok(Literal(Value::Text(Cow::Owned(text.to_owned()))))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Literal, A::Error> {
        let mut items = Vec::new();
        while let Some(Literal(item)) = access.next_element()? {
            items.push(item);
        }
        Ok(Literal(Value::List(items.into())))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Literal, A::Error> {
        let mut fields: Vec<(Cow<'static, str>, Value<'static>)> = Vec::new();
        while let Some((name, Literal(value))) = access.next_entry::<String, Literal>()? {
            fields.push((Cow::Owned(name), value));
        }
        if !looks_tagged(&fields) {
            return Ok(Literal(Value::Object(fields.into())));
        }
        let value = fields.pop().and_then(|(tag, value)| untag(&tag, value));
        value.map(Literal).ok_or_else(|| A::Error::custom("an unknown kind of constant"))
    }
}

fn untag(tag: &str, value: Value<'static>) -> Option<Value<'static>> {
    let value = match (tag, value) {
        (OBJECT, Value::List(List::Owned(mut field))) => match (field.pop(), field.pop()) {
            (Some(value), Some(Value::Text(name))) => Value::Object(vec![(name, value)].into()),
            _ => return None,
        },
        ("$date", Value::Int(days)) => Value::Date(i32::try_from(days).ok()?),
        ("$time", Value::Int(us)) => Value::Time(us),
        ("$timestamp", Value::Int(us)) => Value::Timestamp(us),
        ("$timestamptz", Value::Int(us)) => Value::TimestampTz(us),
        ("$float", Value::Text(text)) => Value::Float(text.parse().ok()?),
        ("$decimal", Value::Text(text)) => Value::Decimal(text),
        ("$json", Value::Text(text)) => Value::Json(text),
        ("$uuid", Value::Text(text)) => convert::convert(Value::Text(text), &crate::Type::Uuid.into()).ok()?,
        ("$bytes", Value::Text(text)) => Value::Bytes(Cow::Owned(unhex(&text)?)),
        _ => return None,
    };
    Some(value)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    let pair = |pair: &[u32]| match pair {
        [high, low] => u8::try_from(high * 16 + low).ok(),
        _ => None,
    };
    digits?.chunks(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_constant_survives_json() {
        let object = |name: &'static str| Value::Object(vec![(name.into(), Value::Int(1))].into());
        for value in [
            Value::Null,
            Value::Int(i64::MIN),
            Value::Float(1.0),
            Value::Float(f64::INFINITY),
            Value::Decimal("-12.50".into()),
            Value::Text("$x".into()),
            Value::Bytes(vec![0, 255].into()),
            Value::Date(-1),
            Value::Time(1),
            Value::Timestamp(2),
            Value::TimestampTz(3),
            Value::Uuid([7; 16]),
            Value::Json("[1]".into()),
            Value::List(vec![Value::Null, object("a")].into()),
            object("$date"),
            object("$object"),
        ] {
            let json = serde_json::to_string(&Literal(value.clone())).unwrap();
            assert_eq!(serde_json::from_str::<Literal>(&json).unwrap(), Literal(value), "{json}");
        }
    }
}
