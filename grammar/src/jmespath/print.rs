//! A tree as text again, with more parentheses than a person would write; parsing it gives the same tree.

use std::fmt::{Formatter, Result};

use super::{Ast, Kind, Name};

pub(super) fn ast(ast: &Ast, out: &mut Formatter<'_>) -> Result {
    match &ast.kind {
        Kind::Current => out.write_str("@"),
        Kind::Field(field) => name(field, out),
        Kind::Literal(json) => write!(out, "`{}`", json.replace('`', "\\`")),
        Kind::Raw(text) => write!(out, "'{}'", text.replace('\'', "\\'")),
        Kind::Sub(left, right) => {
            operand(left, out)?;
            write!(out, ".{right}")
        }
        Kind::Pipe(left, right) => row(&[left, right], " | ", out),
        Kind::Compare(op, left, right) => row(&[left, right], &format!(" {} ", op.text()), out),
        Kind::Or(items) => row(&items.iter().collect::<Vec<_>>(), " || ", out),
        Kind::And(items) => row(&items.iter().collect::<Vec<_>>(), " && ", out),
        Kind::Not(of) => {
            out.write_str("!")?;
            tight(of, out)
        }
        Kind::Reference(of) => write!(out, "&{of}"),
        Kind::List(items) => {
            out.write_str("[")?;
            list(items, out)?;
            out.write_str("]")
        }
        Kind::Object(fields) => object(fields, out),
        Kind::Call(function, arguments) => {
            write!(out, "{}(", function.text)?;
            list(arguments, out)?;
            out.write_str(")")
        }
        Kind::Project(..)
        | Kind::Index(..)
        | Kind::Slice { .. }
        | Kind::Flatten(_)
        | Kind::Values(_)
        | Kind::Filter(..) => postfixes(ast, &operand, out),
    }
}

/// What begins a row of postfixes.
type Base<'b> = &'b dyn Fn(&Ast, &mut Formatter<'_>) -> Result;

/// Brackets and stars, behind what `base` makes of the expression they stand on.
fn postfixes(ast: &Ast, base: Base<'_>, out: &mut Formatter<'_>) -> Result {
    match &ast.kind {
        Kind::Project(of, body) => {
            match of.kind {
                Kind::Slice { .. } | Kind::Flatten(_) | Kind::Values(_) | Kind::Filter(..) => postfixes(of, base, out)?,
                _ => {
                    base(of, out)?;
                    out.write_str("[*]")?;
                }
            }
            suffix(body, out)
        }
        Kind::Index(of, at) => {
            base(of, out)?;
            write!(out, "[{at}]")
        }
        Kind::Slice { of, start, stop, step } => {
            let bound = |bound: &Option<i64>| bound.map_or(String::new(), |bound| bound.to_string());
            base(of, out)?;
            write!(out, "[{}:{}:{}]", bound(start), bound(stop), bound(step))
        }
        Kind::Flatten(of) => {
            base(of, out)?;
            out.write_str("[]")
        }
        Kind::Values(of) => {
            base(of, out)?;
            out.write_str(".*")
        }
        Kind::Filter(of, keep) => {
            base(of, out)?;
            write!(out, "[?{keep}]")
        }
        _ => base(ast, out),
    }
}

/// The body of a projection, behind it.
fn suffix(body: &Ast, out: &mut Formatter<'_>) -> Result {
    match &body.kind {
        Kind::Current => Ok(()),
        Kind::Sub(left, right) => {
            suffix(left, out)?;
            write!(out, ".{right}")
        }
        Kind::Project(..) | Kind::Index(..) | Kind::Slice { .. } | Kind::Values(_) | Kind::Filter(..) => {
            postfixes(body, &|of, out| suffix(of, out), out)
        }
        _ => write!(out, ".{body}"),
    }
}

/// What an operator or a postfix stands on: in parentheses unless they could not tear it apart.
fn operand(operand: &Ast, out: &mut Formatter<'_>) -> Result {
    match operand.kind {
        Kind::Sub(..) | Kind::Index(..) => ast(operand, out),
        _ => tight(operand, out),
    }
}

/// What `!` stands on: in parentheses unless nothing could tear it apart.
fn tight(operand: &Ast, out: &mut Formatter<'_>) -> Result {
    match operand.kind {
        Kind::Current
        | Kind::Field(_)
        | Kind::Literal(_)
        | Kind::Raw(_)
        | Kind::Call(..)
        | Kind::List(_)
        | Kind::Object(_) => ast(operand, out),
        _ => write!(out, "({operand})"),
    }
}

fn row(items: &[&Ast], between: &str, out: &mut Formatter<'_>) -> Result {
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.write_str(between)?;
        }
        operand(item, out)?;
    }
    Ok(())
}

fn list(items: &[Ast], out: &mut Formatter<'_>) -> Result {
    for (at, item) in items.iter().enumerate() {
        write!(out, "{}{item}", if at == 0 { "" } else { ", " })?;
    }
    Ok(())
}

fn object(fields: &[(Name, Ast)], out: &mut Formatter<'_>) -> Result {
    out.write_str("{")?;
    for (at, (field, value)) in fields.iter().enumerate() {
        out.write_str(if at == 0 { "" } else { ", " })?;
        name(field, out)?;
        write!(out, ": {value}")?;
    }
    out.write_str("}")
}

/// A name, in quotes where it needs them.
fn name(name: &Name, out: &mut Formatter<'_>) -> Result {
    let mut chars = name.text.chars();
    let plain = chars.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && chars.all(|char| char.is_ascii_alphanumeric() || char == '_');
    if plain {
        out.write_str(&name.text)
    } else {
        out.write_str(&serde_json::Value::from(name.text.as_str()).to_string())
    }
}
