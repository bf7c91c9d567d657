//! What names mean in an expression over the record itself, before any transform.

use redis_wb_grammar::key::Part;
use redis_wb_plan::expr::Root;
use redis_wb_plan::{ColumnType, Expr, ExprType, Type};

use super::{declared, template_field};
use crate::ast;
use crate::expr::Scope;
use crate::source::Files;

/// The parts that a record has with `row_format: full`, besides the fields of its key.
const PARTS: [(&str, Root); 4] =
    [("key", Root::Key), ("before", Root::Before), ("after", Root::After), ("opcode", Root::Opcode)];

pub(super) struct RecordScope<'r> {
    pub(super) source: &'r ast::Source,
    pub(super) files: &'r Files,
}

const fn whole(root: Root) -> Expr {
    Expr::Path { root, names: Vec::new() }
}

impl RecordScope<'_> {
    /// The names of the key template's fields.
    fn key_names(&self) -> impl Iterator<Item = &str> {
        let parts = self.source.key.iter().flat_map(|key| &key.parts);
        parts.filter_map(|part| match part {
            Part::Field { name, .. } => Some(name.as_str()),
            Part::Literal(_) => None,
        })
    }

    fn key_type(&self) -> ExprType {
        let kind = |name: &str| {
            let kind = declared(self.source, Root::Key, &[name.to_owned()], self.files).map(|(kind, _)| kind);
            (name.to_owned(), ExprType::of(kind.unwrap_or(Type::Text)))
        };
        ExprType::object(self.key_names().chain(["key"]).map(kind).collect())
    }
}

impl Scope for RecordScope<'_> {
    fn root(&self) -> Expr {
        if !self.source.full {
            return whole(Root::Value);
        }
        Expr::Object(PARTS.into_iter().map(|(name, root)| (name.to_owned(), whole(root))).collect())
    }

    fn name(&self, name: &str) -> Result<Expr, Vec<String>> {
        if template_field(self.source, name).is_some() {
            return Ok(Expr::Path { root: Root::Key, names: vec![name.to_owned()] });
        }
        if name == "key" && self.source.key.is_some() {
            return Ok(whole(Root::Key));
        }
        if !self.source.full {
            return Ok(Expr::Path { root: Root::Value, names: vec![name.to_owned()] });
        }
        let known = PARTS.into_iter().find(|(known, _)| *known == name);
        known.map(|(_, root)| whole(root)).ok_or_else(|| {
            let fields = self.key_names().map(str::to_owned);
            PARTS.into_iter().map(|(known, _)| known.to_owned()).chain(fields).collect()
        })
    }

    fn type_of(&self, root: Root) -> ExprType {
        match root {
            Root::Opcode => ExprType::of(Type::Text),
            Root::Key => self.key_type(),
            // A field of a hash is text, or bytes where it is no UTF-8, and may be missing.
            Root::Value | Root::Before | Root::After => {
                ExprType::record(Vec::new(), ExprType::of(Type::Text).or_null()).or_null()
            }
        }
    }

    fn declared(&self, root: Root, names: &[String]) -> Option<ColumnType> {
        if root == Root::Key {
            // They were read in their types.
            return None;
        }
        declared(self.source, root, names, self.files).map(|(kind, _)| kind.into())
    }
}
