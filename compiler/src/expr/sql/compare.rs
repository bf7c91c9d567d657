//! What two sides of a comparison make of each other (`expr.c`: `sqlite3CompareAffinity`,
//! `sqlite3BinaryCompareCollSeq`), and warnings where that is not what it looks like.

use redis_wb_plan::sql::op::{Affinity, Cast, Comparison};
use redis_wb_plan::{Expr, Type, Value};

use super::Manner;
use super::lower::{Lowering, Node};
use crate::codes::Code;

/// The affinity of an expression that has one: a cast, or a field whose type the job declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ColumnAffinity {
    Blob,
    Text,
    Numeric,
}

impl ColumnAffinity {
    pub(super) const fn of_cast(cast: Cast) -> Self {
        match cast {
            Cast::Blob => Self::Blob,
            Cast::Text => Self::Text,
            Cast::Numeric | Cast::Integer | Cast::Real => Self::Numeric,
        }
    }

    pub(super) const fn of_type(kind: Type) -> Self {
        match kind {
            Type::Bool | Type::Int | Type::Float | Type::Decimal => Self::Numeric,
            Type::Bytes => Self::Blob,
            _ => Self::Text,
        }
    }
}

impl Lowering<'_> {
    /// How `left` and `right` are compared; `orders` where the question is which is greater.
    pub(super) fn comparison(&mut self, left: &Node, right: &Node, orders: bool, span: (usize, usize)) -> Comparison {
        use ColumnAffinity::{Numeric, Text};
        let affinity = match (left.affinity, right.affinity) {
            (None, None) => self.untyped(),
            (Some(Numeric), _) | (_, Some(Numeric)) => Affinity::Numeric,
            (Some(Text), None) | (None, Some(Text)) => Affinity::Text,
            _ => Affinity::None,
        };
        if affinity == Affinity::Read {
            self.warn_of_text(left, right, orders);
            self.warn_of_text(right, left, orders);
        }
        self.warn_of_never(left, right, span);
        Comparison { collation: left.collation.or(right.collation).unwrap_or_default(), affinity }
    }

    /// How the members of a list are compared with `value`, whose affinity and collation alone count.
    pub(super) fn membership(&mut self, value: &Node, list: &[Node]) -> Comparison {
        let affinity = match value.affinity {
            None => self.untyped(),
            Some(ColumnAffinity::Blob) => Affinity::None,
            Some(ColumnAffinity::Text) => Affinity::Text,
            Some(ColumnAffinity::Numeric) => Affinity::Numeric,
        };
        if let (Affinity::Read, Some(number)) = (affinity, list.iter().find(|item| self.is_number(item))) {
            self.warn_of_text(value, number, false);
        }
        Comparison { collation: value.collation.unwrap_or_default(), affinity }
    }

    /// How values are compared that no affinity says anything of: the arguments of `min()`, `max()`, `nullif()`.
    pub(super) fn plain(&self, args: &[Node]) -> Comparison {
        let collation = args.iter().find_map(|arg| arg.collation).unwrap_or_default();
        Comparison { collation, affinity: self.untyped() }
    }

    fn untyped(&self) -> Affinity {
        match self.manner {
            Manner::Safe => Affinity::Read,
            Manner::Exact => Affinity::None,
        }
    }

    fn is_number(&self, node: &Node) -> bool {
        matches!(self.infer(&node.expr).kind, Type::Int | Type::Float | Type::Decimal | Type::Bool)
    }

    /// A field that is text beside a number.
    fn warn_of_text(&mut self, field: &Node, number: &Node, orders: bool) {
        let is_text = matches!(field.expr, Expr::Path { .. }) && self.infer(&field.expr).kind == Type::Text;
        if !is_text || !self.is_number(number) {
            return;
        }
        let name = self.text.text.get(field.span.0..field.span.1).unwrap_or_default();
        let wanted = if self.infer(&number.expr).kind == Type::Int { "int" } else { "decimal" };
        let otherwise = if orders { "; what is no number rejects the record" } else { "" };
        let message = format!("the text `{name}` is read as a number, for it is compared with one{otherwise}");
        let help = format!(
            "declare the field, `source.redis.fields: {{{name}: {wanted}}}`; SQLite alone would find every text greater \
             than every number"
        );
        self.report(Code::W0309, field.span, message, "a text", Some(help));
    }

    /// What is never equal, and always greater or always less.
    fn warn_of_never(&mut self, left: &Node, right: &Node, span: (usize, usize)) {
        let (left_kind, right_kind) = (self.infer(&left.expr).kind, self.infer(&right.expr).kind);
        let is_blob = |kind: Type| kind == Type::Bytes;
        let is_other = |kind: Type| !matches!(kind, Type::Bytes | Type::Unknown | Type::Null);
        let blobs = (is_blob(left_kind) && is_other(right_kind)) || (is_blob(right_kind) && is_other(left_kind));
        let words = self.is_word_beside_number(left, right) || self.is_word_beside_number(right, left);
        if blobs || words {
            let message = format!("a value of type `{left_kind}` never equals one of type `{right_kind}`");
            let help = "compare values of one kind, or cast one of them".to_owned();
            self.report(Code::W0310, span, message, "always the same result", Some(help));
        }
    }

    fn is_word_beside_number(&self, word: &Node, number: &Node) -> bool {
        let Some(Value::Text(text)) = word.expr.as_literal() else { return false };
        text.trim().parse::<f64>().is_err() && self.is_number(number)
    }
}
