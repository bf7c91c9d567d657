//! Functions of objects.

use std::borrow::Cow;

use super::{Accepts, Args, Definition, Family, PLAIN, Param, Returns, eg};
use crate::evaluate::{Held, VALUE_UNITS};
use crate::expr_type::ExprType;
use crate::json::Fields;
use crate::value::{Field, Items};
use crate::{Reject, Type, Value, compare};

const OBJECT: Param = Param::new("object", Accepts::OBJECT);

pub(super) const ALL: &[Definition] = &[FILTER_ENTRIES, FROM_ENTRIES, KEYS, MERGE, TO_ENTRIES, VALUES];

/// The fields of an argument; `None` for null.
fn fields<'a>(args: &Args<'_, 'a>, at: usize) -> Result<Option<Vec<Field<'a>>>, Reject> {
    let Value::Object(fields) = args.value(at)? else {
        return Ok(None);
    };
    args.charge(fields.len().saturating_mul(size_of::<Field<'_>>()))?;
    Ok(Some(match fields {
        Items::Owned(fields) => fields,
        Items::Borrowed(fields) => {
            fields.iter().map(|(name, value)| (Cow::Borrowed(&**name), value.borrowed())).collect()
        }
    }))
}

const KEYS: Definition = Definition {
    name: "keys",
    family: Family::Object,
    params: &[OBJECT],
    returns: Returns::Infer(|_| ExprType::list(ExprType::of(Type::Text))),
    doc: "The names of an object's fields, in their order.",
    examples: &[eg("keys(@)", r#"{"a": 1, "b": 2}"#, r#"["a", "b"]"#)],
    body: |args| {
        let Value::Object(fields) = args.value(0)? else {
            return Ok(Value::List(Vec::new().into()));
        };
        args.charge(fields.len().saturating_mul(VALUE_UNITS))?;
        Ok(Value::List(match fields {
            Items::Owned(fields) => fields.into_iter().map(|(name, _)| Value::Text(name)).collect(),
            Items::Borrowed(fields) => fields.iter().map(|(name, _)| Value::Text(Cow::Borrowed(&**name))).collect(),
        }))
    },
    ..PLAIN
};

const VALUES: Definition = Definition {
    name: "values",
    family: Family::Object,
    params: &[OBJECT],
    returns: Returns::Infer(|args| ExprType::list(args.first().map_or(ExprType::UNKNOWN, ExprType::item))),
    doc: "The values of an object's fields, in their order.",
    examples: &[eg("values(@)", r#"{"a": 1, "b": 2}"#, "[1, 2]")],
    body: |args| Ok(Value::List(fields(args, 0)?.unwrap_or_default().into_iter().map(|(_, value)| value).collect())),
    ..PLAIN
};

const MERGE: Definition = Definition {
    name: "merge",
    family: Family::Object,
    params: &[OBJECT.many()],
    returns: Returns::Always(Type::Object),
    doc: "One object with the fields of all; of a doubled name the last counts.",
    examples: &[eg("merge(a, b)", r#"{"a": {"x": 1, "y": 1}, "b": {"y": 2}}"#, r#"{"x": 1, "y": 2}"#)],
    body: |args| {
        let mut merged = Fields::default();
        for at in 0..args.len() {
            fields(args, at)?.into_iter().flatten().for_each(|(name, value)| merged.insert(name, value));
        }
        Ok(merged.into_object())
    },
    ..PLAIN
};

/// An object of fields; of a doubled name the last counts, in the place of the first.
fn object<'a>(fields: impl Iterator<Item = Field<'a>>) -> Value<'a> {
    let mut object = Fields::default();
    fields.for_each(|(name, value)| object.insert(name, value));
    object.into_object()
}

/// What an entry of an object is.
fn entry<'a>((name, value): Field<'a>) -> Value<'a> {
    let (key, value) = ((Cow::Borrowed("key"), Value::Text(name)), (Cow::Borrowed("value"), value));
    Value::Object(vec![key, value].into())
}

const TO_ENTRIES: Definition = Definition {
    name: "to_entries",
    family: Family::Object,
    params: &[OBJECT.or_null()],
    returns: Returns::Infer(|args| {
        let value = args.first().map_or(ExprType::UNKNOWN, ExprType::item);
        let entry = ExprType::object(vec![("key".to_owned(), ExprType::of(Type::Text)), ("value".to_owned(), value)]);
        let list = ExprType::list(entry);
        if args.first().is_some_and(|object| object.nullable) { list.or_null() } else { list }
    }),
    doc: "The fields of an object as a list of `{key, value}`; null for null.",
    examples: &[eg("to_entries(@)", r#"{"a": 1}"#, r#"[{"key": "a", "value": 1}]"#)],
    body: |args| {
        let entries = fields(args, 0)?.map(|fields| Value::List(fields.into_iter().map(entry).collect()));
        Ok(entries.unwrap_or(Value::Null))
    },
    ..PLAIN
};

const FROM_ENTRIES: Definition = Definition {
    name: "from_entries",
    family: Family::Object,
    params: &[Param::new("entries", Accepts::LIST.or(Accepts::NULL))],
    returns: Returns::NullForNull(Type::Object),
    doc: "An object of a list of `{key, value}`; null for null.",
    examples: &[eg("from_entries(@)", r#"[{"key": "a", "value": 1}, {"key": "b"}]"#, r#"{"a": 1, "b": null}"#)],
    body: |args| {
        let held = args.look(0)?;
        if held.get().is_null() {
            return Ok(Value::Null);
        }
        let mut fields = Vec::new();
        for entry in args.elements(0)? {
            let name = match entry.get().field("key") {
                Some(Value::Null) | None => return Err(args.rejected("takes a list of objects with a `key`")),
                Some(key) => super::text::written(key)?,
            };
            args.charge(name.len())?;
            fields.push((Cow::Owned(name), args.keep(entry.field("value"))?));
        }
        Ok(object(fields.into_iter()))
    },
    ..PLAIN
};

const FILTER_ENTRIES: Definition = Definition {
    name: "filter_entries",
    family: Family::Object,
    params: &[OBJECT.or_null(), Param::new("predicate", Accepts::EXPRESSION)],
    returns: Returns::NullForNull(Type::Object),
    doc: "The fields of an object for which the predicate is true, which sees `key` and `value`; null for null. The \
          predicate is written in backticks, in quotes or as `&expression`.",
    examples: &[
        eg(
            "filter_entries(@, `key == 'name' || key == 'age'`)",
            r#"{"name": "John", "age": 30, "x": 1}"#,
            r#"{"name": "John", "age": 30}"#,
        ),
        eg("filter_entries(@, &value > `1`)", r#"{"a": 1, "b": 2}"#, r#"{"b": 2}"#),
    ],
    body: |args| {
        let Some(fields) = fields(args, 0)? else {
            return Ok(Value::Null);
        };
        let mut kept = Vec::new();
        for field in fields {
            let entry = Held::Own(entry(field));
            if compare::is_true(args.apply(1, entry.as_ref())?.get())
                && let Held::Own(Value::Object(Items::Owned(mut entry))) = entry
                && let (Some((_, value)), Some((_, Value::Text(name)))) = (entry.pop(), entry.pop())
            {
                kept.push((name, value));
            }
        }
        Ok(Value::Object(kept.into()))
    },
    ..PLAIN
};
