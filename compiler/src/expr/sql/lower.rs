//! The tree into the IR. Every node knows what a comparison needs of it: its affinity and its collation.

use std::borrow::Cow;

use redis_wb_plan::expr::{EXPR_DEPTH_MAX, Root};
use redis_wb_plan::sql::op::{Arithmetic, Bitwise, Cast, Collation, Comparator, SqlOp};
use redis_wb_plan::{ColumnType, Expr, ExprType, Type, Value, infer};
use sqlparser::ast::{self, BinaryOperator, CaseWhen, Ident, InTarget, Spanned as _, UnaryOperator};

use super::super::{Scope, Text, field_of, is_plain, scope};
use super::Manner;
use super::compare::ColumnAffinity;
use super::place::Places;
use crate::codes::Code;
use crate::suggest::did_you_mean;
use crate::{Diagnostic, Diagnostics};

pub(super) struct Lowering<'l> {
    pub(super) text: Text<'l>,
    pub(super) places: Places<'l>,
    pub(super) scope: &'l dyn Scope,
    pub(super) diagnostics: &'l mut Diagnostics,
    pub(super) manner: Manner,
}

/// A part of the expression.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) expr: Expr,
    /// The type that a comparison with it goes by.
    pub(super) affinity: Option<ColumnAffinity>,
    /// The collation that a `COLLATE` in it asks for.
    pub(super) collation: Option<Collation>,
    /// Where it stands, in bytes of the text.
    pub(super) span: (usize, usize),
}

impl Node {
    /// A node without affinity, whose collation is the first of its parts' (`sqlite3ExprCollSeq`).
    pub(super) fn of(op: SqlOp, parts: Vec<Self>, span: (usize, usize)) -> Self {
        let collation = parts.iter().find_map(|part| part.collation);
        let args = parts.into_iter().map(|part| part.expr).collect();
        Self { expr: Expr::sql(op, args), affinity: None, collation, span }
    }

    fn literal(value: Value<'static>, span: (usize, usize)) -> Self {
        Self { expr: Expr::literal(value), affinity: None, collation: None, span }
    }
}

impl Lowering<'_> {
    /// The IR of the whole expression.
    pub(super) fn expression(mut self, ast: &ast::Expr) -> Option<Expr> {
        self.lower(ast, 0).map(|node| node.expr)
    }

    pub(super) fn report(
        &mut self,
        code: Code,
        (start, end): (usize, usize),
        message: impl Into<String>,
        label: impl Into<String>,
        help: Option<String>,
    ) {
        let diagnostic = Diagnostic::new(code, (self.text.place)(start, end), message, label);
        self.diagnostics.report(diagnostic.maybe_help(help));
    }

    /// What has no meaning over one record.
    pub(super) fn refuse(&mut self, span: (usize, usize), message: impl Into<String>, help: &str) -> Option<Node> {
        self.report(Code::E0104, span, message, "not an expression over one record", Some(help.to_owned()));
        None
    }

    pub(super) fn infer(&self, expr: &Expr) -> ExprType {
        let root = |root: Root| self.scope.type_of(root);
        infer::infer(expr, scope::types(&root, &ExprType::UNKNOWN))
    }

    /// The node of a tree. `None` where there is an error, which is reported.
    pub(super) fn lower(&mut self, ast: &ast::Expr, depth: usize) -> Option<Node> {
        let span = self.places.of(ast);
        if depth > EXPR_DEPTH_MAX {
            let message = format!("the expression nests deeper than {EXPR_DEPTH_MAX} levels");
            self.report(Code::E0103, span, message, "too deep", Some(super::SIZE_HELP.to_owned()));
            return None;
        }
        let depth = depth + 1;
        match ast {
            ast::Expr::Nested(inner) => self.lower(inner, depth),
            ast::Expr::Value(value) => self.literal(value, span),
            ast::Expr::CompoundIdentifier(names) => self.column(names, span),
            ast::Expr::UnaryOp { op, expr } => self.unary(*op, expr, span, depth),
            ast::Expr::BinaryOp { left, op, right } => self.binary(left, op, right, span, depth),
            ast::Expr::Collate { expr, collation } => self.collate(expr, collation, depth),
            ast::Expr::IsNull(expr) => Some(Node::of(SqlOp::IsNull, vec![self.lower(expr, depth)?], span)),
            ast::Expr::IsNotNull(expr) => {
                let is_null = Node::of(SqlOp::IsNull, vec![self.lower(expr, depth)?], span);
                Some(Node::of(SqlOp::Not, vec![is_null], span))
            }
            ast::Expr::IsNotDistinctFrom(left, right) => self.is(left, right, span, depth),
            ast::Expr::IsDistinctFrom(left, right) => {
                let is = self.is(left, right, span, depth)?;
                Some(Node::of(SqlOp::Not, vec![is], span))
            }
            ast::Expr::Like { negated, expr, pattern, escape_char, .. } => {
                let node = self.like((expr, pattern, escape_char.as_deref()), span, depth)?;
                Some(negate(node, *negated, span))
            }
            ast::Expr::Between { expr, negated, low, high } => {
                let node = self.between((expr, low, high), span, depth)?;
                Some(negate(node, *negated, span))
            }
            ast::Expr::In { expr, target: InTarget::List(list), negated, .. } => {
                let node = self.is_in(expr, list, span, depth)?;
                if list.is_empty() {
                    return Some(Node::literal(Value::Int(i64::from(*negated)), span));
                }
                Some(negate(node, *negated, span))
            }
            ast::Expr::Case { operand, conditions, else_result, .. } => {
                self.case((operand.as_deref(), conditions, else_result.as_deref()), span, depth)
            }
            ast::Expr::Cast { expr, data_type, .. } => self.cast(expr, data_type, span, depth),
            ast::Expr::Function(function) => self.call(function, span, depth),
            other => self.foreign(other, span),
        }
    }

    pub(super) fn all<'e>(&mut self, asts: impl IntoIterator<Item = &'e ast::Expr>, depth: usize) -> Option<Vec<Node>> {
        // Each of them is lowered, so that one run reports what is wrong with all.
        let nodes: Vec<Option<Node>> = asts.into_iter().map(|ast| self.lower(ast, depth)).collect();
        nodes.into_iter().collect()
    }

    /// What sqlparser reads and SQLite, or an expression over one record, has not.
    fn foreign(&mut self, ast: &ast::Expr, span: (usize, usize)) -> Option<Node> {
        match ast {
            ast::Expr::Subquery(_) | ast::Expr::Exists { .. } | ast::Expr::In { .. } => {
                let message = "a subquery reads tables; an expression sees one record and nothing else";
                self.refuse(
                    span,
                    message,
                    "look up other data with the transform `redis.lookup`, or join in the target",
                )
            }
            ast::Expr::Tuple(_) => {
                let message = "a row value `(a, b)` is no single value";
                self.refuse(span, message, "compare the parts one by one: `a = 1 AND b = 2`")
            }
            _ => {
                self.report(
                    Code::E0103,
                    span,
                    "this is not an SQL expression of SQLite",
                    "here",
                    Some(super::SYNTAX_HELP.to_owned()),
                );
                None
            }
        }
    }

    fn literal(&mut self, literal: &ast::ValueWithSpan, span: (usize, usize)) -> Option<Node> {
        let value = match &literal.value {
            ast::Value::Null => Value::Null,
            ast::Value::Boolean(value) => Value::Int(i64::from(*value)),
            ast::Value::SingleQuotedString(text) => Value::Text(Cow::Owned(text.clone())),
            ast::Value::Number(digits, _) => return self.number(digits, false, span),
            ast::Value::HexStringLiteral(digits) => return self.blob(digits, span),
            ast::Value::Placeholder(_) => {
                let message = "a bind parameter has no value here";
                return self.refuse(span, message, "write the field's name, or the value itself");
            }
            _ => {
                self.report(
                    Code::E0103,
                    span,
                    "this is not a literal of SQLite",
                    "here",
                    Some(super::SYNTAX_HELP.to_owned()),
                );
                return None;
            }
        };
        Some(Node::literal(value, span))
    }

    /// A decimal number: an integer where it has neither point nor exponent and fits 64 bits, else a real.
    fn number(&mut self, digits: &str, negative: bool, span: (usize, usize)) -> Option<Node> {
        let digits = digits.replace('_', "");
        if let Some((_, radix)) = digits.split_at_checked(1).filter(|(_, rest)| rest.starts_with(['x', 'X', 'o', 'b']))
        {
            return self.hexadecimal(radix, negative, span);
        }
        let signed = if negative { format!("-{digits}") } else { digits };
        if let Ok(integer) = signed.parse::<i64>() {
            return Some(Node::literal(Value::Int(integer), span));
        }
        Some(Node::literal(Value::Float(redis_wb_plan::sql::real(&signed)), span))
    }

    /// `0x1f`, an integer whose 64 bits are written; of `digits` the `0` is gone.
    fn hexadecimal(&mut self, digits: &str, negative: bool, span: (usize, usize)) -> Option<Node> {
        let bits = digits.strip_prefix(['x', 'X']).and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let integer = bits.map(u64::cast_signed);
        let integer = if negative { integer.and_then(i64::checked_neg) } else { integer };
        if let Some(integer) = integer {
            return Some(Node::literal(Value::Int(integer), span));
        }
        let help = "a hexadecimal integer has at most 16 digits: `0x7fff`".to_owned();
        self.report(Code::E0103, span, format!("`0{digits}` is not an integer of 64 bits"), "here", Some(help));
        None
    }

    /// `x'1f'`, bytes.
    fn blob(&mut self, digits: &str, span: (usize, usize)) -> Option<Node> {
        let bytes = digits.len().is_multiple_of(2).then(|| unhex(digits)).flatten();
        if let Some(bytes) = bytes {
            return Some(Node::literal(Value::Bytes(Cow::Owned(bytes)), span));
        }
        let help = "a blob is written in pairs of hexadecimal digits: `x'53514c'`".to_owned();
        self.report(Code::E0103, span, format!("`x'{digits}'` is not a blob"), "here", Some(help));
        None
    }

    fn unary(&mut self, op: UnaryOperator, operand: &ast::Expr, span: (usize, usize), depth: usize) -> Option<Node> {
        // sqlparser hands over `-(x COLLATE c)` for what SQLite reads as `(-x) COLLATE c`.
        if let (ast::Expr::Collate { expr, collation }, false) = (operand, op == UnaryOperator::Not) {
            let node = self.unary(op, expr, span, depth + 1)?;
            return self.collated(node, collation);
        }
        let op = match (op, unwrapped(operand)) {
            // The sign belongs to the number: -9223372036854775808 is an integer although its digits alone are not.
            (UnaryOperator::Minus, ast::Expr::Value(literal)) => match &literal.value {
                ast::Value::Number(digits, _) => return self.number(digits, true, span),
                _ => SqlOp::Negate,
            },
            (UnaryOperator::Minus, _) => SqlOp::Negate,
            (UnaryOperator::Plus, _) => {
                let node = self.lower(operand, depth)?;
                return Some(Node { affinity: None, ..node });
            }
            (UnaryOperator::Not, _) => SqlOp::Not,
            (UnaryOperator::BitwiseNot, _) => SqlOp::Complement,
            (op, _) => {
                self.report(
                    Code::E0103,
                    span,
                    format!("`{op}` is not an operator of SQLite"),
                    "here",
                    Some(super::SYNTAX_HELP.to_owned()),
                );
                return None;
            }
        };
        Some(Node::of(op, vec![self.lower(operand, depth)?], span))
    }

    fn binary(
        &mut self,
        left: &ast::Expr,
        op: &BinaryOperator,
        right: &ast::Expr,
        span: (usize, usize),
        depth: usize,
    ) -> Option<Node> {
        let op = match op {
            BinaryOperator::And => return self.chain(left, right, BinaryOperator::And, span, depth),
            BinaryOperator::Or => return self.chain(left, right, BinaryOperator::Or, span, depth),
            BinaryOperator::StringConcat => return self.chain(left, right, BinaryOperator::StringConcat, span, depth),
            BinaryOperator::Eq => return self.compare(Comparator::Equal, left, right, span, depth),
            BinaryOperator::NotEq => return self.compare(Comparator::NotEqual, left, right, span, depth),
            BinaryOperator::Lt => return self.compare(Comparator::Less, left, right, span, depth),
            BinaryOperator::LtEq => return self.compare(Comparator::LessOrEqual, left, right, span, depth),
            BinaryOperator::Gt => return self.compare(Comparator::Greater, left, right, span, depth),
            BinaryOperator::GtEq => return self.compare(Comparator::GreaterOrEqual, left, right, span, depth),
            BinaryOperator::Plus => SqlOp::Arithmetic(Arithmetic::Add),
            BinaryOperator::Minus => SqlOp::Arithmetic(Arithmetic::Subtract),
            BinaryOperator::Multiply => SqlOp::Arithmetic(Arithmetic::Multiply),
            BinaryOperator::Divide => SqlOp::Arithmetic(Arithmetic::Divide),
            BinaryOperator::Modulo => SqlOp::Arithmetic(Arithmetic::Remainder),
            BinaryOperator::BitwiseAnd => SqlOp::Bitwise(Bitwise::And),
            BinaryOperator::BitwiseOr => SqlOp::Bitwise(Bitwise::Or),
            BinaryOperator::PGBitwiseShiftLeft => SqlOp::Bitwise(Bitwise::ShiftLeft),
            BinaryOperator::PGBitwiseShiftRight => SqlOp::Bitwise(Bitwise::ShiftRight),
            BinaryOperator::Arrow => SqlOp::Arrow,
            BinaryOperator::LongArrow => SqlOp::LongArrow,
            BinaryOperator::Glob => SqlOp::Glob,
            BinaryOperator::Regexp | BinaryOperator::Match => {
                let message = format!("SQLite has no `{op}` unless an extension defines it");
                let help = "use `GLOB` or `LIKE`, or the function `regex_replace` of JMESPath";
                return self.refuse(span, message, help);
            }
            other => {
                self.report(
                    Code::E0103,
                    span,
                    format!("`{other}` is not an operator of SQLite"),
                    "here",
                    Some(super::SYNTAX_HELP.to_owned()),
                );
                return None;
            }
        };
        let (left, right) = (self.lower(left, depth), self.lower(right, depth));
        Some(Node::of(op, vec![left?, right?], span))
    }

    /// `a AND b AND c` and its like as one operator: long chains nest no deeper than short ones.
    fn chain(
        &mut self,
        left: &ast::Expr,
        right: &ast::Expr,
        chained: BinaryOperator,
        span: (usize, usize),
        depth: usize,
    ) -> Option<Node> {
        let mut asts = vec![right];
        let mut rest = left;
        while let ast::Expr::BinaryOp { left, op, right } = rest
            && *op == chained
        {
            asts.push(right);
            rest = left;
        }
        asts.push(rest);
        asts.reverse();
        let op = match chained {
            BinaryOperator::And => SqlOp::And,
            BinaryOperator::Or => SqlOp::Or,
            _ => SqlOp::Concat,
        };
        let nodes = self.all(asts, depth)?;
        // As in SQLite, a constant that decides is the result, whatever stands beside it.
        let decides = match op {
            SqlOp::And => Some(0),
            SqlOp::Or => Some(1),
            _ => None,
        };
        let truth = |node: &Node| match node.expr.as_literal() {
            // Of integers SQLite looks at those of 31 bits.
            Some(Value::Int(value)) if node.collation.is_none() && (0..=i64::from(i32::MAX)).contains(value) => {
                Some(i64::from(*value != 0))
            }
            _ => None,
        };
        if let Some(decides) = decides.filter(|decides| nodes.iter().any(|node| truth(node) == Some(*decides))) {
            return Some(Node::literal(Value::Int(decides), span));
        }
        Some(Node::of(op, nodes, span))
    }

    fn collate(&mut self, expr: &ast::Expr, name: &ast::ObjectName, depth: usize) -> Option<Node> {
        let node = self.lower(expr, depth)?;
        self.collated(node, name)
    }

    fn collated(&mut self, node: Node, name: &ast::ObjectName) -> Option<Node> {
        let written = name.to_string();
        let bare = written.trim_matches(['"', '`', '[', ']']);
        if let Some(collation) = Collation::named(bare) {
            return Some(Node { collation: Some(collation), ..node });
        }
        let span = self.places.bytes(name.span());
        let help = did_you_mean(bare, ["BINARY", "NOCASE", "RTRIM"]);
        self.report(Code::E0209, span, format!("there is no collation `{bare}`"), "unknown collation", help);
        None
    }

    /// `x IS y`; against NULL, TRUE and FALSE it asks something of its own.
    fn is(&mut self, left: &ast::Expr, right: &ast::Expr, span: (usize, usize), depth: usize) -> Option<Node> {
        let op = match uncollated(right) {
            ast::Expr::Value(literal) => match &literal.value {
                ast::Value::Boolean(wanted) => Some(SqlOp::IsTruth(*wanted)),
                ast::Value::Null => Some(SqlOp::IsNull),
                _ => None,
            },
            // SQLite makes FALSE of `x IN ()` and TRUE of `x NOT IN ()` before anything else.
            ast::Expr::In { target: InTarget::List(list), negated, .. } if list.is_empty() => {
                Some(SqlOp::IsTruth(*negated))
            }
            _ => None,
        };
        if let Some(op) = op {
            return Some(Node::of(op, vec![self.lower(left, depth)?], span));
        }
        let (left, right) = (self.lower(left, depth), self.lower(right, depth));
        let (left, right) = (left?, right?);
        let how = self.comparison(&left, &right, false, span);
        Some(Node::of(SqlOp::Is(how), vec![left, right], span))
    }

    fn compare(
        &mut self,
        comparator: Comparator,
        left: &ast::Expr,
        right: &ast::Expr,
        span: (usize, usize),
        depth: usize,
    ) -> Option<Node> {
        [left, right].into_iter().for_each(|operand| self.quoted(operand));
        let (left, right) = (self.lower(left, depth), self.lower(right, depth));
        let (left, right) = (left?, right?);
        let how = self.comparison(&left, &right, comparator.orders(), span);
        Some(Node::of(SqlOp::Compare(comparator, how), vec![left, right], span))
    }

    /// A name that needs no quotes and has double ones is mostly meant as a text.
    fn quoted(&mut self, operand: &ast::Expr) {
        let ast::Expr::CompoundIdentifier(names) = operand else { return };
        let [name] = names.as_slice() else { return };
        if name.quote_style == Some('"') && is_plain(&name.value) {
            let text = &name.value;
            let message = format!("`\"{text}\"` is the field `{text}`, not a text");
            let help = format!("write `'{text}'` for the text; the field needs no quotes: `{text}`");
            let span = self.places.of(operand);
            self.report(Code::W0313, span, message, "a field", Some(help));
        }
    }

    fn like(
        &mut self,
        (text, pattern, escape): (&ast::Expr, &ast::Expr, Option<&ast::Expr>),
        span: (usize, usize),
        depth: usize,
    ) -> Option<Node> {
        let parts = self.all([text, pattern].into_iter().chain(escape), depth)?;
        Some(Node::of(SqlOp::Like, parts, span))
    }

    fn between(
        &mut self,
        (value, low, high): (&ast::Expr, &ast::Expr, &ast::Expr),
        span: (usize, usize),
        depth: usize,
    ) -> Option<Node> {
        let parts = self.all([value, low, high], depth)?;
        let [value, low, high] = parts.as_slice() else { return None };
        let how = (self.comparison(value, low, true, span), self.comparison(value, high, true, span));
        Some(Node::of(SqlOp::Between(how.0, how.1), parts, span))
    }

    /// The affinity and collation of `x IN (…)` are those of `x` alone.
    fn is_in(&mut self, value: &ast::Expr, list: &[ast::Expr], span: (usize, usize), depth: usize) -> Option<Node> {
        let mut parts = self.all(std::iter::once(value).chain(list), depth)?;
        let (value, list) = parts.split_first_mut()?;
        let how = self.membership(value, list);
        Some(Node::of(SqlOp::In(how), parts, span))
    }

    fn case(
        &mut self,
        (operand, branches, otherwise): (Option<&ast::Expr>, &[CaseWhen], Option<&ast::Expr>),
        span: (usize, usize),
        depth: usize,
    ) -> Option<Node> {
        let asts = branches.iter().flat_map(|branch| [&branch.condition, &branch.result]).chain(otherwise);
        let Some(operand) = operand else {
            return Some(Node::of(SqlOp::Case, self.all(asts, depth)?, span));
        };
        let parts = self.all(std::iter::once(operand).chain(asts), depth)?;
        let (operand, rest) = parts.split_first()?;
        let whens = rest.chunks(2).filter(|branch| branch.len() == 2).filter_map(<[Node]>::first);
        let how = whens.map(|when| self.comparison(operand, when, false, when.span)).collect();
        Some(Node::of(SqlOp::CaseOf(how), parts, span))
    }

    fn cast(
        &mut self,
        expr: &ast::Expr,
        data_type: &ast::DataType,
        span: (usize, usize),
        depth: usize,
    ) -> Option<Node> {
        let node = self.lower(expr, depth)?;
        let to = match data_type {
            ast::DataType::Custom(name, _) => {
                let words: Vec<&str> = name.0.iter().filter_map(|part| Some(part.as_ident()?.value.as_str())).collect();
                Cast::named(&words.join(" "))
            }
            _ => Cast::Blob,
        };
        let lossy = self.manner == Manner::Exact;
        if !lossy {
            self.warn_of_cast(&node, to, span);
        }
        let affinity = Some(ColumnAffinity::of_cast(to));
        Some(Node { affinity, ..Node::of(SqlOp::Cast { to, lossy }, vec![node], span) })
    }

    /// A text that is no number is 0 for SQLite's cast, and rejects the record here.
    fn warn_of_cast(&mut self, node: &Node, to: Cast, span: (usize, usize)) {
        let is_text = matches!(node.expr, Expr::Path { .. }) && self.infer(&node.expr).kind == Type::Text;
        let wanted = match to {
            Cast::Integer => "int",
            Cast::Real => "float",
            Cast::Numeric => "decimal",
            Cast::Text | Cast::Blob => return,
        };
        if is_text {
            let name = self.text.text.get(node.span.0..node.span.1).unwrap_or_default();
            let whole = if to == Cast::Integer { "a whole number" } else { "a number" };
            let message = format!("where `{name}` is not {whole}, the record is rejected");
            let help = format!(
                "SQLite would write 0; declare the field instead, `source.redis.fields: {{{name}: {wanted}}}`, or \
                 guard the cast: `CASE WHEN {name} GLOB '[0-9]*' THEN … END`"
            );
            self.report(Code::W0311, span, message, "rejects what is no number", Some(help));
        }
    }

    /// A field. Within backticks dots part names, as RDI writes nested fields; a backslash keeps a dot.
    fn column(&mut self, names: &[Ident], span: (usize, usize)) -> Option<Node> {
        if let [only] = names
            && only.quote_style.is_none()
            && let Some(node) = self.keyword(&only.value, span)
        {
            return Some(node);
        }
        if let Some(list) = names.iter().find(|name| name.quote_style == Some('[') && looks_like_a_list(&name.value)) {
            let message = format!("`[…]` quotes a name in SQL: this is the field `{}`", list.value);
            let help = "join texts by `||` or `concat(a, b)`, or write `language: jmespath`, which has lists";
            self.report(Code::E0208, span, message, "one name, not a list", Some(help.to_owned()));
            return None;
        }
        let names: Vec<String> = names.iter().flat_map(parted).collect();
        if let Some(gone) = self.scope.gone(&names) {
            self.diagnostics.report(gone.diagnostic((self.text.place)(span.0, span.1), &names.join(".")));
            return None;
        }
        let (first, rest) = names.split_first()?;
        let start = match self.scope.name(first) {
            Ok(expr) => expr,
            Err(known) => {
                let help = did_you_mean(first, known.iter().map(String::as_str));
                self.report(Code::E0208, span, format!("there is no `{first}` here"), "unknown name", help);
                return None;
            }
        };
        let expr = rest.iter().fold(start, |of, name| self.field(of, name));
        Some(self.typed(expr, span))
    }

    /// `CURRENT_DATE` and its like, which are written without parentheses.
    fn keyword(&self, word: &str, span: (usize, usize)) -> Option<Node> {
        let words = ["current_date", "current_time", "current_timestamp"];
        let word = words.into_iter().find(|known| known.eq_ignore_ascii_case(word))?;
        let function = redis_wb_plan::sql::op::SqlFunction::named(word)?;
        Some(Node::of(SqlOp::Call(function), Vec::new(), span))
    }

    fn field(&self, of: Expr, name: &str) -> Expr {
        let kind = self.infer(&of);
        field_of(of, &kind, name)
    }

    /// A path in the type that the job declares for it, which then is its affinity.
    fn typed(&self, path: Expr, span: (usize, usize)) -> Node {
        let declared = match &path {
            Expr::Path { root, names } => self.scope.declared(*root, names),
            _ => None,
        };
        let affinity = match (&declared, &path) {
            (Some(declared), _) => Some(ColumnAffinity::of_type(declared.kind)),
            // The fields of the key were read in their types already.
            (None, Expr::Path { root: Root::Key, .. }) => Some(ColumnAffinity::of_type(self.infer(&path).kind))
                .filter(|affinity| *affinity != ColumnAffinity::Text),
            (None, _) => None,
        };
        let expr = match declared {
            Some(to) if to != ColumnType::from(Type::Text) => Expr::Convert { from: Box::new(path), to },
            _ => path,
        };
        Node { expr, affinity, collation: None, span }
    }
}

fn negate(node: Node, negated: bool, span: (usize, usize)) -> Node {
    if negated { Node::of(SqlOp::Not, vec![node], span) } else { node }
}

/// An expression without the parentheses around it.
fn unwrapped(mut ast: &ast::Expr) -> &ast::Expr {
    while let ast::Expr::Nested(inner) = ast {
        ast = inner;
    }
    ast
}

/// An expression without parentheses and collations.
fn uncollated(mut ast: &ast::Expr) -> &ast::Expr {
    while let ast::Expr::Nested(inner) | ast::Expr::Collate { expr: inner, .. } = ast {
        ast = inner;
    }
    ast
}

/// Whether a name in brackets is rather a list of JMESPath.
fn looks_like_a_list(name: &str) -> bool {
    name.contains([',', '\'', '"', '`', '('])
}

/// The names of an identifier: several where it stands in backticks and has dots.
fn parted(ident: &Ident) -> Vec<String> {
    if ident.quote_style != Some('`') {
        return vec![ident.value.clone()];
    }
    let mut names = vec![String::new()];
    let mut chars = ident.value.chars().peekable();
    while let Some(char) = chars.next() {
        let last = names.last_mut();
        match char {
            '\\' if matches!(chars.peek(), Some('.' | '\\')) => {
                if let (Some(name), Some(escaped)) = (last, chars.next()) {
                    name.push(escaped);
                }
            }
            '.' => names.push(String::new()),
            other => {
                if let Some(name) = last {
                    name.push(other);
                }
            }
        }
    }
    names
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}
