//! What the names of an expression mean: each place of a job has a scope of its own.

use redis_wb_plan::expr::{Names, Root};
use redis_wb_plan::infer::Types;
use redis_wb_plan::{ColumnType, Expr, ExprType};

use crate::Diagnostic;
use crate::codes::Code;
use crate::source::Span;
use crate::suggest::{meant, nearest};

/// What names mean at one place of a job.
pub trait Scope {
    /// The whole record: JMESPath's `@`.
    fn root(&self) -> Expr;

    /// What a name at the start of a path means.
    ///
    /// # Errors
    /// The names that are known, where this one is not.
    fn name(&self, name: &str) -> Result<Expr, Vec<String>>;

    /// The step that took a field away, where one did.
    fn gone(&self, _names: &[String]) -> Option<Gone> {
        None
    }

    /// What a part of the record is.
    fn type_of(&self, root: Root) -> ExprType;

    /// Whether there may be no record at all. A job's record has at least its key, so its lists and objects are never
    /// null as a whole.
    fn may_be_null(&self) -> bool {
        true
    }

    /// The type in which a field is read, where the job declares one.
    fn declared(&self, _root: Root, _names: &[String]) -> Option<ColumnType> {
        None
    }
}

/// How a field came to be there no more.
#[derive(Debug, Clone, PartialEq)]
pub struct Gone {
    /// The step that took it away.
    pub span: Span,
    /// What that step did.
    pub what: String,
    /// What to do about it.
    pub help: String,
    /// The names that are there now, where the step left only these.
    pub known: Vec<String>,
}

impl Gone {
    /// The mistake of reading such a field.
    #[must_use]
    pub fn diagnostic(&self, span: Span, path: &str) -> Diagnostic {
        let message = format!("the record has no `{path}` any more");
        let diagnostic = Diagnostic::new(Code::E0210, span, message, "read here").because(self.span, &self.what);
        let near = nearest(path, self.known.iter().map(String::as_str));
        diagnostic.help(near.map_or_else(|| self.help.clone(), meant))
    }
}

/// Any record of which nothing is known, as `redis-wb eval` has it.
#[derive(Debug, Clone, Copy)]
pub struct AnyRecord;

impl Scope for AnyRecord {
    fn root(&self) -> Expr {
        Expr::Path { root: Root::Value, names: Names::new() }
    }

    fn name(&self, name: &str) -> Result<Expr, Vec<String>> {
        Ok(Expr::Path { root: Root::Value, names: vec![name.to_owned()].into() })
    }

    fn type_of(&self, _: Root) -> ExprType {
        ExprType::UNKNOWN
    }
}

pub(crate) const fn types<'t>(root: &'t dyn Fn(Root) -> ExprType, current: &'t ExprType) -> Types<'t> {
    Types { root, current, shared: &[] }
}
