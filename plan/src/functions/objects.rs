//! Functions of objects.

use super::{Accepts, Definition, Example, Family, Param, Returns};
use crate::expr_type::ExprType;
use crate::value::Items;
use crate::{Type, Value};

const OBJECT: Param = Param::new("object", Accepts::OBJECT);

pub(super) const ALL: &[Definition] = &[KEYS];

const KEYS: Definition = Definition {
    name: "keys",
    aliases: &[],
    family: Family::Object,
    params: &[OBJECT],
    returns: Returns::Infer(|_| ExprType::list(ExprType::of(Type::Text))),
    pure: true,
    doc: "The names of an object's fields, in their order.",
    examples: &[Example { expression: "keys(@)", input: r#"{"a": 1, "b": 2}"#, output: r#"["a", "b"]"# }],
    body: |args| match args.value(0)? {
        Value::Object(Items::Borrowed(fields)) => {
            args.charge(fields.len())?;
            Ok(Value::List(fields.iter().map(|(name, _)| Value::Text(name.as_ref().into())).collect()))
        }
        Value::Object(Items::Owned(fields)) => {
            Ok(Value::List(fields.into_iter().map(|(name, _)| Value::Text(name)).collect()))
        }
        _ => Ok(Value::Null),
    },
};
