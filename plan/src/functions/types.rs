//! Functions of types and of null.

use std::borrow::Cow;

use super::{Accepts, Definition, Family, PLAIN, Param, Returns, eg};
use crate::expr_type::ExprType;
use crate::{Type, Value, compare, json, number};

const VALUE: Param = Param::new("value", Accepts::ANY);

pub(super) const ALL: &[Definition] = &[NOT_NULL, TO_ARRAY, TO_NUMBER, TO_STRING, TYPE];

const NOT_NULL: Definition = Definition {
    name: "not_null",
    family: Family::Type,
    params: &[VALUE.many()],
    returns: Returns::Infer(|args| {
        let nullable = args.iter().all(|arg| arg.nullable);
        let kind = args.iter().cloned().reduce(ExprType::either).unwrap_or(ExprType::UNKNOWN);
        ExprType { nullable, ..kind }
    }),
    doc: "The first of the values that is not null.",
    examples: &[eg("not_null(nick, name, 'nobody')", r#"{"nick": null, "name": "ada"}"#, r#""ada""#)],
    body: |args| {
        for at in 0..args.len() {
            let held = args.look(at)?;
            if !held.get().is_null() {
                return args.keep(held);
            }
        }
        Ok(Value::Null)
    },
    ..PLAIN
};

const TO_ARRAY: Definition = Definition {
    name: "to_array",
    family: Family::Type,
    params: &[VALUE],
    returns: Returns::Infer(|args| match args.first() {
        Some(list) if list.kind == Type::List && !list.nullable => list.clone(),
        Some(list) if list.kind == Type::List || list.kind == Type::Unknown => ExprType::list(ExprType::UNKNOWN),
        other => ExprType::list(other.cloned().unwrap_or(ExprType::UNKNOWN)),
    }),
    doc: "A list as it is, any other value as the only element of a list.",
    examples: &[eg("to_array(@)", "1", "[1]"), eg("to_array(@)", "[1]", "[1]")],
    body: |args| match args.value(0)? {
        Value::List(items) => Ok(Value::List(items)),
        other => {
            args.charge(1)?;
            Ok(Value::List(vec![other].into()))
        }
    },
    ..PLAIN
};

const TO_STRING: Definition = Definition {
    name: "to_string",
    family: Family::Type,
    params: &[VALUE],
    returns: Returns::Always(Type::Text),
    doc: "A text as it is, any other value as JSON.",
    examples: &[
        eg("to_string(@)", r#"{"a": [1, null]}"#, r#""{\"a\":[1,null]}""#),
        eg("to_string(@)", "2.50", r#""2.5""#),
    ],
    body: |args| match args.value(0)? {
        Value::Text(text) => Ok(Value::Text(text)),
        other => args.made(super::text::written(&other)?),
    },
    ..PLAIN
};

const TO_NUMBER: Definition = Definition {
    name: "to_number",
    family: Family::Type,
    params: &[VALUE],
    returns: Returns::Infer(|args| match args.first() {
        Some(arg) if matches!(arg.kind, Type::Int | Type::Float | Type::Decimal) => arg.clone(),
        _ => ExprType::UNKNOWN,
    }),
    doc: "The number that a text spells as JSON does, or null where it spells none; a number as it is; null for \
          anything else.",
    examples: &[
        eg("to_number(age)", r#"{"age": "42"}"#, "42"),
        eg("to_number(age)", r#"{"age": "old"}"#, "null"),
        eg("to_number(total)", r#"{"total": "12345678901234567890.5"}"#, "12345678901234567890.5"),
    ],
    body: |args| match args.value(0)? {
        value if number::is_number(&value) => Ok(value),
        Value::Text(Cow::Borrowed(text)) => Ok(spelled(text).unwrap_or(Value::Null)),
        Value::Text(Cow::Owned(text)) => Ok(spelled(&text).map_or(Value::Null, Value::into_static)),
        _ => Ok(Value::Null),
    },
    ..PLAIN
};

fn spelled(text: &str) -> Option<Value<'_>> {
    json::parse(text.trim()).ok().filter(number::is_number)
}

const TYPE: Definition = Definition {
    name: "type",
    family: Family::Type,
    params: &[VALUE],
    returns: Returns::Always(Type::Text),
    doc: "The type of a value as JSON has it: `number`, `string`, `boolean`, `array`, `object` or `null`.",
    examples: &[eg("type(@)", "[1]", r#""array""#)],
    body: |args| {
        let held = args.look(0)?;
        let name = match held.get() {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::List(_) => "array",
            Value::Object(_) => "object",
            other if number::is_number(other) => "number",
            other if compare::is_textual(other) => "string",
            _ => "string",
        };
        Ok(Value::Text(Cow::Borrowed(name)))
    },
    ..PLAIN
};
