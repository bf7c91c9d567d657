//! Functions of lists.

use std::cmp::Ordering;

use super::{Accepts, Args, Definition, Family, PLAIN, Param, Returns, eg};
use crate::evaluate::{Held, Ref, VALUE_UNITS};
use crate::expr_type::ExprType;
use crate::{Reject, Type, Value, compare, convert, number};

const LIST: Param = Param::new("list", Accepts::LIST);
const SORTABLE: Param = Param::new("list", Accepts::NUMBERS.or(Accepts::TEXTS));
const BY: Param = Param::new("by", Accepts::EXPRESSION);

pub(super) const ALL: &[Definition] = &[IN, MAP, MAX, MAX_BY, MIN, MIN_BY, SORT, SORT_BY];

/// The order of two numbers or two texts.
fn order(left: &Value<'_>, right: &Value<'_>) -> Ordering {
    match (left, right) {
        (Value::Text(left), Value::Text(right)) => left.cmp(right),
        (left, right) if number::is_number(left) => number::order(left, right).unwrap_or(Ordering::Equal),
        (left, right) => convert::display(left).cmp(&convert::display(right)),
    }
}

/// An element of the list, or null where it is empty.
fn element(args: &[ExprType]) -> ExprType {
    args.first().map_or(ExprType::UNKNOWN, ExprType::item).or_null()
}

const MAX: Definition = Definition {
    name: "max",
    family: Family::List,
    params: &[SORTABLE],
    returns: Returns::Infer(element),
    doc: "The greatest of a list of numbers or of texts; null for an empty list.",
    examples: &[eg("max(@)", "[1, 3, 2]", "3"), eg("max(@)", "[]", "null")],
    body: |args| extreme(args, Ordering::Greater),
    ..PLAIN
};

const MIN: Definition = Definition {
    name: "min",
    family: Family::List,
    params: &[SORTABLE],
    returns: Returns::Infer(element),
    doc: "The least of a list of numbers or of texts; null for an empty list.",
    examples: &[eg("min(@)", r#"["b", "a"]"#, r#""a""#)],
    body: |args| extreme(args, Ordering::Less),
    ..PLAIN
};

fn extreme<'a>(args: &Args<'_, 'a>, wanted: Ordering) -> Result<Value<'a>, Reject> {
    let best = args.elements(0)?.reduce(|best, next| if order(next.get(), best.get()) == wanted { next } else { best });
    args.keep(best.unwrap_or(Held::NULL))
}

const SORT: Definition = Definition {
    name: "sort",
    family: Family::List,
    params: &[SORTABLE],
    returns: Returns::Infer(|args| args.first().cloned().unwrap_or(ExprType::UNKNOWN).not_null()),
    doc: "A list of numbers or of texts in ascending order.",
    examples: &[eg("sort(@)", "[3, 1, 2]", "[1, 2, 3]")],
    body: |args| {
        let elements = args.elements(0)?;
        let mut items = Vec::with_capacity(elements.len());
        for item in elements {
            items.push(args.keep(item)?);
        }
        items.sort_by(order);
        Ok(Value::List(items.into()))
    },
    ..PLAIN
};

/// What the second argument gives for each of some elements: all numbers, or all texts.
struct Keys<'k, 't, 'a> {
    args: &'k Args<'t, 'a>,
    are_numbers: Option<bool>,
}

impl<'t, 'a> Keys<'_, 't, 'a> {
    /// That of one element, only to look at.
    fn of<'s>(&mut self, element: Ref<'s, 'a>) -> Result<Held<'s, 'a>, Reject>
    where
        't: 's,
    {
        let key = self.args.apply(1, element)?;
        let is_number = number::is_number(key.get());
        if *self.are_numbers.get_or_insert(is_number) != is_number || !(is_number || compare::is_textual(key.get())) {
            let quoted = convert::quoted(key.get());
            let message = format_args!("compares numbers with numbers or texts with texts, not {quoted}");
            return Err(self.args.rejected(message));
        }
        Ok(key)
    }
}

const SORT_BY: Definition = Definition {
    name: "sort_by",
    family: Family::List,
    params: &[LIST, BY],
    returns: Returns::Infer(|args| args.first().cloned().unwrap_or(ExprType::UNKNOWN).not_null()),
    doc: "The list in ascending order of what an expression gives for each element; equal ones keep their order.",
    examples: &[eg(
        "sort_by(@, &age)[*].name",
        r#"[{"name": "b", "age": 2}, {"name": "a", "age": 1}]"#,
        r#"["a", "b"]"#,
    )],
    body: |args| {
        let elements = args.elements(0)?;
        let mut items = Vec::with_capacity(elements.len());
        let mut keys = Keys { args, are_numbers: None };
        for item in elements {
            let key = args.keep(keys.of(item.as_ref())?)?;
            items.push((key, args.keep(item)?));
        }
        items.sort_by(|(left, _): &(Value<'_>, Value<'_>), (right, _)| order(left, right));
        Ok(Value::List(items.into_iter().map(|(_, item)| item).collect()))
    },
    ..PLAIN
};

const MAX_BY: Definition = Definition {
    name: "max_by",
    family: Family::List,
    params: &[LIST, BY],
    returns: Returns::Infer(element),
    doc: "The first element for which an expression gives the greatest number or text; null for an empty list.",
    examples: &[eg("max_by(@, &age).name", r#"[{"name": "a", "age": 1}, {"name": "b", "age": 2}]"#, r#""b""#)],
    body: |args| extreme_by(args, Ordering::Greater),
    ..PLAIN
};

const MIN_BY: Definition = Definition {
    name: "min_by",
    family: Family::List,
    params: &[LIST, BY],
    returns: Returns::Infer(element),
    doc: "The first element for which an expression gives the least number or text; null for an empty list.",
    examples: &[eg("min_by(@, &age).name", r#"[{"name": "a", "age": 1}, {"name": "b", "age": 2}]"#, r#""a""#)],
    body: |args| extreme_by(args, Ordering::Less),
    ..PLAIN
};

fn extreme_by<'a>(args: &Args<'_, 'a>, wanted: Ordering) -> Result<Value<'a>, Reject> {
    let mut best: Option<(Value<'a>, Held<'_, 'a>)> = None;
    let mut keys = Keys { args, are_numbers: None };
    for item in args.elements(0)? {
        let key = keys.of(item.as_ref())?;
        if best.as_ref().is_none_or(|(best, _)| order(key.get(), best) == wanted) {
            best = Some((args.keep(key)?, item));
        }
    }
    best.map_or(Ok(Value::Null), |(_, item)| args.keep(item))
}

const MAP: Definition = Definition {
    name: "map",
    family: Family::List,
    params: &[Param::new("expression", Accepts::EXPRESSION), LIST],
    returns: Returns::Infer(|args| ExprType::list(args.first().cloned().unwrap_or(ExprType::UNKNOWN))),
    doc: "What an expression gives for each element. Other than a projection, it keeps nulls.",
    examples: &[eg("map(&name, @)", r#"[{"name": "a"}, {}]"#, r#"["a", null]"#)],
    body: |args| {
        let mut made = Vec::with_capacity(args.expected_len(1));
        args.each_applied(1, 0, &mut |value| {
            args.charge(VALUE_UNITS)?;
            made.push(value);
            Ok(())
        })?;
        Ok(Value::List(made.into()))
    },
    ..PLAIN
};

const IN: Definition = Definition {
    name: "in",
    family: Family::List,
    params: &[Param::new("value", Accepts::ANY), LIST],
    returns: Returns::Always(Type::Bool),
    doc: "Whether a list has the value among its elements.",
    examples: &[eg("in(country, `[\"DE\", \"AT\"]`)", r#"{"country": "AT"}"#, "true")],
    body: |args| {
        let value = args.look(0)?;
        Ok(Value::Bool(args.elements(1)?.any(|item| compare::equal(item.get(), value.get()))))
    },
    ..PLAIN
};
