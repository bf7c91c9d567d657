//! Texts on their way through functions and `||`. A text of the record or the plan is handed on as it is; what is made
//! anew is written into one buffer, in which the next function works on it. So a chain of functions allocates one text.

use std::borrow::Cow;

use super::compare::{self, Comparison};
use super::condition::holds;
use super::evaluate::damaged;
use super::function::Body;
use super::op::SqlOp;
use super::storage::{self, TEXT_BYTES_MAX};
use crate::evaluate::{Evaluator, Item, Ref};
use crate::{Expr, Reject, Value};

/// For how many bytes `||` makes room at first.
const CONCAT_BYTES_EXPECTED: usize = 48;

/// What an expression gives where a text is asked for.
#[derive(Debug)]
pub enum Piece<'a> {
    /// NULL.
    Null,
    /// Of the record or the plan: a result can borrow it.
    Lasting(&'a str),
    /// All that the buffer holds behind what was in it before.
    Made,
    /// Bytes that are yet to be taken for a text.
    Bytes(Cow<'a, [u8]>),
}

impl<'a> Piece<'a> {
    /// The same, bytes being taken for a text.
    ///
    /// # Errors
    /// Bytes that are not UTF-8.
    #[inline]
    pub(super) fn text(self, out: &mut String) -> Result<Self, Reject> {
        match self {
            Self::Bytes(bytes) => Self::of_bytes(bytes, out),
            other => Ok(other),
        }
    }

    #[cold]
    fn of_bytes(bytes: Cow<'a, [u8]>, out: &mut String) -> Result<Self, Reject> {
        match bytes {
            Cow::Borrowed(bytes) => std::str::from_utf8(bytes).map(Self::Lasting).map_err(|_| storage::not_utf8()),
            Cow::Owned(bytes) => {
                push(out, std::str::from_utf8(&bytes).map_err(|_| storage::not_utf8())?);
                Ok(Self::Made)
            }
        }
    }

    /// The text that the piece is, if it is one; what was made stands in the buffer from `start` on.
    #[inline]
    pub(super) fn seen<'s>(&self, out: &'s str, start: usize) -> Option<&'s str>
    where
        'a: 's,
    {
        match self {
            Self::Lasting(text) => Some(text),
            Self::Made => out.get(start..),
            Self::Null | Self::Bytes(_) => None,
        }
    }

    /// A part of the text.
    #[inline]
    pub(super) fn part(self, out: &mut String, start: usize, (from, to): (usize, usize)) -> Self {
        match self {
            Self::Lasting(text) => Self::Lasting(text.get(from..to).unwrap_or_default()),
            Self::Made => {
                out.truncate(start + to);
                out.drain(start..start + from);
                Self::Made
            }
            other => other,
        }
    }
}

/// Appends a text, for which room is made at once where it is the first.
#[inline]
pub(super) fn push(out: &mut String, text: &str) {
    if out.capacity() == 0 {
        *out = String::with_capacity(text.len());
    }
    out.push_str(text);
}

/// Whether an operator gives a text wherever it gives anything but bytes or NULL.
pub(super) fn is_text(op: &SqlOp) -> bool {
    match op {
        SqlOp::Concat => true,
        SqlOp::Call(function) => matches!(function.definition().body, Body::Text(_)),
        _ => false,
    }
}

/// The value of an operator that [`is_text`].
pub(super) fn value<'a>(evaluator: &Evaluator<'_, 'a>, op: &'a SqlOp, args: &'a [Expr]) -> Result<Value<'a>, Reject> {
    let mut out = String::new();
    match of_op(evaluator, op, args, &mut out) {
        Ok(Piece::Null) => Ok(Value::Null),
        Ok(Piece::Lasting(text)) => Ok(Value::Text(Cow::Borrowed(text))),
        Ok(Piece::Made) => Ok(Value::Text(Cow::Owned(out))),
        Ok(Piece::Bytes(bytes)) => Ok(Value::Bytes(bytes)),
        Err(reject) => Err(reject),
    }
}

/// An expression as a text, or NULL.
///
/// # Errors
/// Bytes that are not UTF-8; whatever rejects the expression.
#[inline]
pub(super) fn text<'a>(evaluator: &Evaluator<'_, 'a>, expr: &'a Expr, out: &mut String) -> Result<Piece<'a>, Reject> {
    any(evaluator, expr, out)?.text(out)
}

/// The same, bytes being left alone.
#[inline]
pub(super) fn any<'a>(evaluator: &Evaluator<'_, 'a>, expr: &'a Expr, out: &mut String) -> Result<Piece<'a>, Reject> {
    match evaluator.plain(expr) {
        Some(Ref::Lasting(Value::Text(text))) => Ok(Piece::Lasting(text)),
        Some(Ref::Lasting(Value::Null)) => Ok(Piece::Null),
        _ => made(evaluator, expr, out),
    }
}

fn made<'a>(evaluator: &Evaluator<'_, 'a>, expr: &'a Expr, out: &mut String) -> Result<Piece<'a>, Reject> {
    match expr {
        Expr::Sql { op, args, .. } if hands_on(op, args) => of_op(evaluator, op, args, out),
        other => evaluator.taken(other, |item| of_item(item, out)),
    }
}

/// Whether an operator gives a text, or one of its arguments whose text will do.
fn hands_on(op: &SqlOp, args: &[Expr]) -> bool {
    match op {
        SqlOp::Coalesce | SqlOp::Case => true,
        // What is compared must be what it is, not its text.
        SqlOp::NullIf(_) => matches!(args.first(), Some(Expr::Sql { op, .. }) if is_text(op)),
        op => is_text(op),
    }
}

/// What an operator gives that [`hands_on`] a text, charged for what is made anew.
fn of_op<'a>(
    evaluator: &Evaluator<'_, 'a>,
    op: &'a SqlOp,
    args: &'a [Expr],
    out: &mut String,
) -> Result<Piece<'a>, Reject> {
    let start = out.len();
    let piece = match (op, args) {
        (SqlOp::Call(function), args) => match function.definition().body {
            Body::Text(body) => body(evaluator, args, out)?,
            _ => return Err(damaged()),
        },
        (SqlOp::Concat, args) => concat(evaluator, args, out)?,
        (SqlOp::Coalesce, args) => return coalesce(evaluator, args, out),
        (SqlOp::Case, args) => return case(evaluator, args, out),
        (SqlOp::NullIf(how), [value, other]) => return null_if(evaluator, *how, (value, other), out),
        _ => return Err(damaged()),
    };
    match &piece {
        Piece::Made => evaluator.charge(out.len() - start)?,
        Piece::Bytes(Cow::Owned(bytes)) => evaluator.charge(bytes.len())?,
        _ => {}
    }
    Ok(piece)
}

/// A value as a text. One that was made is taken where the buffer is still empty.
fn of_item<'a>(item: Item<'_, 'a>, out: &mut String) -> Result<Piece<'a>, Reject> {
    if let Some(text) = item.lasting_text() {
        return Ok(Piece::Lasting(text));
    }
    match item {
        Item::Lasting(Value::Bytes(bytes)) => return Ok(Piece::Bytes(Cow::Borrowed(bytes))),
        Item::Made(Value::Text(Cow::Owned(text))) if out.capacity() == 0 => {
            *out = std::mem::take(text);
            return Ok(Piece::Made);
        }
        _ => {}
    }
    match item.get() {
        Value::Null => return Ok(Piece::Null),
        Value::Int(number) => push(out, itoa::Buffer::new().format(*number)),
        Value::Bytes(bytes) => return Ok(Piece::Bytes(Cow::Owned(bytes.to_vec()))),
        other => push(out, &storage::text(other)?.unwrap_or_default()),
    }
    Ok(Piece::Made)
}

/// `x || y || …`: all as one text; NULL where one is NULL, which wins over bytes that are no text.
fn concat<'a>(evaluator: &Evaluator<'_, 'a>, args: &'a [Expr], out: &mut String) -> Result<Piece<'a>, Reject> {
    let start = out.len();
    let (mut is_null, mut reject) = (false, None);
    if out.capacity() == 0 {
        *out = String::with_capacity(CONCAT_BYTES_EXPECTED);
    }
    for arg in args {
        match any(evaluator, arg, out)? {
            Piece::Lasting(text) => append(out, start, text)?,
            Piece::Made => append(out, start, "")?,
            Piece::Null => is_null = true,
            Piece::Bytes(bytes) => match std::str::from_utf8(&bytes) {
                Ok(text) => append(out, start, text)?,
                Err(_) => reject = Some(storage::not_utf8()),
            },
        }
    }
    match reject {
        _ if is_null => {
            out.truncate(start);
            Ok(Piece::Null)
        }
        Some(reject) => Err(reject),
        None => Ok(Piece::Made),
    }
}

#[inline]
fn append(out: &mut String, start: usize, text: &str) -> Result<(), Reject> {
    if (out.len() - start).saturating_add(text.len()) > TEXT_BYTES_MAX {
        return Err(storage::too_long());
    }
    out.push_str(text);
    Ok(())
}

fn coalesce<'a>(evaluator: &Evaluator<'_, 'a>, args: &'a [Expr], out: &mut String) -> Result<Piece<'a>, Reject> {
    for arg in args {
        let piece = any(evaluator, arg, out)?;
        if !matches!(piece, Piece::Null) {
            return Ok(piece);
        }
    }
    Ok(Piece::Null)
}

fn case<'a>(evaluator: &Evaluator<'_, 'a>, args: &'a [Expr], out: &mut String) -> Result<Piece<'a>, Reject> {
    for branch in args.chunks(2) {
        match branch {
            [condition, then] => {
                if holds(evaluator, condition)? {
                    return any(evaluator, then, out);
                }
            }
            [otherwise] => return any(evaluator, otherwise, out),
            _ => return Err(damaged()),
        }
    }
    Ok(Piece::Null)
}

fn null_if<'a>(
    evaluator: &Evaluator<'_, 'a>,
    how: Comparison,
    (value, other): (&'a Expr, &'a Expr),
    out: &mut String,
) -> Result<Piece<'a>, Reject> {
    let start = out.len();
    let piece = any(evaluator, value, out)?;
    let is_other = evaluator.seen(other, |other| {
        let value = match &piece {
            Piece::Null => return Ok(true),
            Piece::Bytes(bytes) => Value::Bytes(Cow::Borrowed(bytes)),
            piece => Value::Text(Cow::Borrowed(piece.seen(out, start).unwrap_or_default())),
        };
        compare::is(how, &value, other.get())
    })?;
    if is_other {
        out.truncate(start);
    }
    Ok(if is_other { Piece::Null } else { piece })
}
