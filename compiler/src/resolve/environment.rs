//! What names mean at one place of a job: the captured record, the fields of its key, and what the steps made of them.

use std::cell::RefCell;
use std::collections::BTreeSet;

use redis_wb_grammar::key::Part;
use redis_wb_plan::expr::{Names, Root};
use redis_wb_plan::plan::DataType;
use redis_wb_plan::{ColumnType, Expr, ExprType, Type, infer};

use super::field::{Field, Found};
use crate::ast;
use crate::expr::scope;
use crate::expr::{Gone, Scope};
use crate::source::{Files, Span};

/// The parts that a record has with `row_format: full`, besides the fields of its key.
const PARTS: [(&str, Root); 4] =
    [("key", Root::Key), ("before", Root::Before), ("after", Root::After), ("opcode", Root::Opcode)];

/// What is said of a value that an error keeps from being known: no lookup has this number.
const fn unknown() -> Expr {
    Expr::Path { root: Root::Lookup(u16::MAX), names: Names::new() }
}

/// The most nodes of the fields that one expression reads.
pub(super) const NODES_MAX: usize = 2_000;

/// The record at one place of a job.
#[derive(Debug, Clone)]
pub(super) struct Environment<'a> {
    pub(super) source: &'a ast::Source,
    pub(super) files: &'a Files,
    /// The type of the keys, said or supposed; `None` where it may be a document.
    data_type: Option<DataType>,
    pub(super) record: Field,
    /// What the lookups before this place give.
    pub(super) lookups: Vec<ExprType>,
    /// What an element is.
    element: ExprType,
    /// What was read so far.
    pub(super) reads: RefCell<Reads>,
}

/// What expressions have read of the record.
#[derive(Debug, Clone, Default)]
pub(super) struct Reads {
    /// The steps whose fields were read.
    pub(super) steps: BTreeSet<usize>,
    /// The names at the start of paths that no step had set.
    pub(super) captured: BTreeSet<String>,
    /// How many nodes the fields have that one expression reads.
    nodes: usize,
}

const fn whole(root: Root) -> Expr {
    Expr::Path { root, names: Names::new() }
}

impl<'a> Environment<'a> {
    /// The record as it was captured.
    pub(super) fn new(source: &'a ast::Source, data_type: Option<DataType>, files: &'a Files) -> Self {
        let record = if source.full {
            Field::object(PARTS.into_iter().map(|(name, root)| (name.to_owned(), Field::of(whole(root)))))
        } else {
            Field::of(whole(Root::Value))
        };
        let (lookups, reads) = (Vec::new(), RefCell::default());
        Self { source, files, data_type, record, lookups, element: ExprType::UNKNOWN, reads }
    }

    /// Begins another expression.
    pub(super) fn begin(&self) {
        self.reads.borrow_mut().nodes = 0;
    }

    /// Whether the expression that was begun has become too large: fields of fields of fields may double each time.
    pub(super) fn is_too_large(&self) -> bool {
        self.reads.borrow().nodes > NODES_MAX
    }

    /// A value for an expression, as long as that does not become too large.
    fn handed(&self, expr: Expr) -> Expr {
        let mut nodes = 0;
        expr.any(&mut |_| {
            nodes += 1;
            false
        });
        self.reads.borrow_mut().nodes += nodes;
        if self.is_too_large() { unknown() } else { expr }
    }

    /// Nothing is known any more: an error was reported.
    pub(super) fn forget(&mut self) {
        self.record = Field::of(unknown());
    }

    /// A field of which nothing is known, since its expression has an error.
    pub(super) fn unknown_field() -> Field {
        Field::of(unknown())
    }

    /// The same record, beside which an element of a list is visible.
    pub(super) fn with_element(&self, name: &str, kind: ExprType) -> Self {
        let mut inner = self.clone();
        inner.element = kind;
        inner.put(&[name.to_owned()], Field::of(whole(Root::Element)));
        inner
    }

    /// Sets a field.
    pub(super) fn put(&mut self, names: &[String], field: Field) {
        let mut record = self.record.clone();
        record.put(names, field, &|expr| self.kind(expr));
        self.record = record;
    }

    /// Takes a field away.
    pub(super) fn take(&mut self, names: &[String], gone: Gone) {
        let mut record = self.record.clone();
        record.take(names, gone, &|expr| self.kind(expr));
        self.record = record;
    }

    /// The type of an expression over this record.
    pub(super) fn kind(&self, expr: &Expr) -> ExprType {
        infer::infer(expr, scope::types(&|root| self.type_of(root), &ExprType::UNKNOWN))
    }

    /// What a path leads to.
    pub(super) fn find(&self, names: &[String]) -> Found {
        let found = match names.split_first() {
            Some((first, rest)) if !self.record.has(first) => match self.key(first) {
                Some(key) => Field::of(key).find(rest, &|expr| self.kind(expr)),
                None => {
                    self.reads.borrow_mut().captured.insert(first.clone());
                    self.record.find(names, &|expr| self.kind(expr))
                }
            },
            _ => self.record.find(names, &|expr| self.kind(expr)),
        };
        if let Found::There(field) = &found {
            self.reads.borrow_mut().steps.extend(field.steps());
        }
        found
    }

    /// A name of the key, where no field hides it: a field of the template, or `key`.
    fn key(&self, name: &str) -> Option<Expr> {
        if template_field(self.source, name).is_some() {
            return Some(Expr::Path { root: Root::Key, names: vec![name.to_owned()].into() });
        }
        (name == "key" && self.source.key.is_some()).then(|| whole(Root::Key))
    }

    /// The names of the key template's fields.
    pub(super) fn key_names(&self) -> impl Iterator<Item = &str> {
        self.source.key.iter().flat_map(ast::KeyTemplate::names)
    }

    fn key_type(&self) -> ExprType {
        let kind = |name: &str| {
            let kind = declared(self.source, Root::Key, &[name.to_owned()], self.files).map(|(kind, _)| kind);
            (name.to_owned(), ExprType::of(kind.unwrap_or(Type::Text)))
        };
        ExprType::object(self.key_names().chain(["key"]).map(kind).collect())
    }

    /// The names that are known here.
    fn known(&self) -> Vec<String> {
        self.record.names().into_iter().chain(self.key_names().map(str::to_owned)).collect()
    }
}

impl Scope for Environment<'_> {
    fn root(&self) -> Expr {
        self.reads.borrow_mut().steps.extend(self.record.steps());
        self.handed(self.record.expr())
    }

    fn name(&self, name: &str) -> Result<Expr, Vec<String>> {
        match self.find(&[name.to_owned()]) {
            Found::There(field) => Ok(self.handed(field.expr())),
            Found::Gone(_) | Found::Unknown => Err(self.known()),
        }
    }

    fn gone(&self, names: &[String]) -> Option<Gone> {
        match self.find(names) {
            Found::Gone(gone) => Some(gone),
            Found::There(_) | Found::Unknown => None,
        }
    }

    fn type_of(&self, root: Root) -> ExprType {
        match root {
            Root::Opcode => ExprType::of(Type::Text),
            Root::Key => self.key_type(),
            Root::Value | Root::Before | Root::After => content_type(self.data_type),
            Root::Element => self.element.clone(),
            Root::Lookup(at) => self.lookups.get(usize::from(at)).cloned().unwrap_or(ExprType::UNKNOWN),
        }
    }

    fn may_be_null(&self) -> bool {
        false
    }

    fn declared(&self, root: Root, names: &[String]) -> Option<ColumnType> {
        if root == Root::Key {
            // They were read in their types.
            return None;
        }
        declared(self.source, root, names, self.files).map(|(kind, _)| kind.into())
    }
}

/// What the content of a key is.
fn content_type(data_type: Option<DataType>) -> ExprType {
    let text = ExprType::of(Type::Text);
    let members = |member| ExprType::object(vec![("members".to_owned(), ExprType::list(member))]).or_null();
    match data_type {
        // A field of a hash is text, or bytes where it is no UTF-8, and may be missing.
        Some(DataType::Hash) => ExprType::record(Vec::new(), text.or_null()).or_null(),
        Some(DataType::Set) => members(text),
        Some(DataType::SortedSet) => members(ExprType::object(vec![
            ("member".to_owned(), text),
            ("score".to_owned(), ExprType::of(Type::Float)),
        ])),
        Some(DataType::Json) | None => ExprType::UNKNOWN,
    }
}

/// A field of the key template: its name, and the name of its type where it has one.
pub(super) fn template_field<'a>(
    source: &'a ast::Source,
    name: &str,
) -> Option<(&'a str, Option<&'a (String, redis_wb_grammar::Span)>)> {
    source.key.as_ref()?.parts.iter().find_map(|part| match part {
        Part::Field { name: own, kind, .. } if own == name => Some((own.as_str(), kind.as_ref())),
        _ => None,
    })
}

/// The type that the job declares for a field, and where.
pub(super) fn declared(source: &ast::Source, root: Root, names: &[String], files: &Files) -> Option<(Type, Span)> {
    match (root, names) {
        (Root::Key, [name]) => {
            let (_, kind) = template_field(source, name)?;
            let (kind, span) = kind?;
            let template = source.key.as_ref()?;
            Some((Type::named(kind)?, template.node.part_span(files, span.start, span.end)))
        }
        (Root::Value | Root::Before | Root::After, names) => {
            let (_, kind) = source.fields.iter().find(|(field, _)| field.names == names)?;
            Some((kind.value, kind.span))
        }
        _ => None,
    }
}
