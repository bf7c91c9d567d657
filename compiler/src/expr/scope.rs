//! What the names of an expression mean. A job's source gives one scope, each transform step will give another.

use redis_wb_plan::expr::Root;
use redis_wb_plan::infer::Types;
use redis_wb_plan::{ColumnType, Expr, ExprType};

/// What names mean at one place of a job.
pub trait Scope {
    /// The whole record: JMESPath's `@`.
    fn root(&self) -> Expr;

    /// What a name at the start of a path means.
    ///
    /// # Errors
    /// The names that are known, where this one is not.
    fn name(&self, name: &str) -> Result<Expr, Vec<String>>;

    /// What a part of the record is.
    fn type_of(&self, root: Root) -> ExprType;

    /// The type in which a field is read, where the job declares one.
    fn declared(&self, _root: Root, _names: &[String]) -> Option<ColumnType> {
        None
    }
}

/// Any record of which nothing is known, as `redis-wb eval` has it.
#[derive(Debug, Clone, Copy)]
pub struct AnyRecord;

impl Scope for AnyRecord {
    fn root(&self) -> Expr {
        Expr::Path { root: Root::Value, names: Vec::new() }
    }

    fn name(&self, name: &str) -> Result<Expr, Vec<String>> {
        Ok(Expr::Path { root: Root::Value, names: vec![name.to_owned()] })
    }

    fn type_of(&self, _: Root) -> ExprType {
        ExprType::UNKNOWN
    }
}

pub(super) const fn types<'t>(root: &'t dyn Fn(Root) -> ExprType, current: &'t ExprType) -> Types<'t> {
    Types { root, current, shared: &[] }
}
