//! Operators onto operands. A projection stays open: what follows it goes into its body, until a flattening, an infix
//! operator or the end of the expression closes it.

use super::guard::{DEPTH_MAX, too_deep};
use super::{Ast, Comparator, Kind, Name};
use crate::{Span, SyntaxError};

/// An expression that is being built from left to right.
pub(super) struct Chain {
    /// What is open, outermost first.
    frames: Vec<Frame>,
    /// The innermost body or, where nothing is open, the whole.
    ast: Ast,
    /// The levels of the whole, at most.
    depth: usize,
}

struct Frame {
    kind: FrameKind,
    /// The list that is projected; for `Not`, nothing yet.
    of: Ast,
}

#[derive(PartialEq)]
enum FrameKind {
    /// `[*]`, `.*`, a slice, `[]`
    Elements,
    /// `[?…]`: only a filter that follows at once goes into its body, a later one filters what it gives.
    Filter,
    /// `!` before something open.
    Not,
}

impl Chain {
    pub(super) fn of(ast: Ast) -> Self {
        let depth = depth(&ast);
        Self { frames: Vec::new(), ast, depth }
    }

    pub(super) fn node(kind: Kind, span: Span) -> Result<Self, SyntaxError> {
        Self::of(Ast { kind, span }).checked()
    }

    /// The same with another span: parentheses belong to what they hold.
    pub(super) const fn spanned(mut self, span: Span) -> Self {
        self.ast.span = span;
        self
    }

    fn checked(self) -> Result<Self, SyntaxError> {
        if self.depth > DEPTH_MAX {
            return Err(too_deep(self.ast.span, &format!("the expression nests deeper than {DEPTH_MAX} levels")));
        }
        Ok(self)
    }

    /// The whole expression, everything that was open closed.
    pub(super) fn close(mut self) -> Ast {
        while self.close_one() {}
        self.ast
    }

    fn close_one(&mut self) -> bool {
        let Some(Frame { kind, of }) = self.frames.pop() else {
            return false;
        };
        let body = std::mem::replace(&mut self.ast, of);
        let span = Span { start: self.ast.span.start.min(body.span.start), end: body.span.end };
        let of = std::mem::replace(&mut self.ast, Ast { kind: Kind::Current, span });
        self.ast.kind = match kind {
            FrameKind::Not => Kind::Not(Box::new(body)),
            FrameKind::Elements | FrameKind::Filter => Kind::Project(Box::new(of), Box::new(body)),
        };
        true
    }

    /// Puts an operator around the innermost expression.
    fn wrap(mut self, end: usize, make: impl FnOnce(Box<Ast>) -> Kind) -> Result<Self, SyntaxError> {
        let span = Span { start: self.ast.span.start, end };
        let of = std::mem::replace(&mut self.ast, Ast { kind: Kind::Current, span });
        self.ast.kind = make(Box::new(of));
        self.depth += 1;
        self.checked()
    }

    /// Opens a projection of the innermost expression.
    fn open(mut self, kind: FrameKind) -> Result<Self, SyntaxError> {
        let end = self.ast.span.end;
        let of = std::mem::replace(&mut self.ast, Ast { kind: Kind::Current, span: Span { start: end, end } });
        self.frames.push(Frame { kind, of });
        self.depth += 1;
        self.checked()
    }

    pub(super) fn elements(self, span: Span) -> Result<Self, SyntaxError> {
        let mut chain = self;
        chain.ast.span.end = span.end;
        chain.open(FrameKind::Elements)
    }

    pub(super) fn values(self, span: Span) -> Result<Self, SyntaxError> {
        self.wrap(span.end, Kind::Values)?.open(FrameKind::Elements)
    }

    pub(super) fn flatten(mut self, span: Span) -> Result<Self, SyntaxError> {
        while self.close_one() {}
        self.wrap(span.end, Kind::Flatten)?.open(FrameKind::Elements)
    }

    pub(super) fn filter(mut self, keep: Ast, span: Span) -> Result<Self, SyntaxError> {
        let begun = self.ast.kind != Kind::Current || self.ast.span.start < self.ast.span.end;
        while begun && self.frames.last().is_some_and(|frame| frame.kind == FrameKind::Filter) {
            self.close_one();
        }
        self.depth = self.depth.max(depth(&keep));
        self.wrap(span.end, |of| Kind::Filter(of, Box::new(keep)))?.open(FrameKind::Filter)
    }

    pub(super) fn index(self, at: i64, span: Span) -> Result<Self, SyntaxError> {
        self.wrap(span.end, |of| Kind::Index(of, at))
    }

    pub(super) fn slice(
        self,
        (start, stop, step): (Option<i64>, Option<i64>, Option<i64>),
        span: Span,
    ) -> Result<Self, SyntaxError> {
        self.wrap(span.end, |of| Kind::Slice { of, start, stop, step })?.open(FrameKind::Elements)
    }

    pub(super) fn sub(mut self, right: Ast) -> Result<Self, SyntaxError> {
        self.depth = self.depth.max(depth(&right));
        // What follows a projection at once is a body of its own: its current value needs no node.
        if self.ast.kind == Kind::Current && self.ast.span.start == self.ast.span.end {
            self.ast = right;
            return self.checked();
        }
        let end = right.span.end;
        self.wrap(end, |left| Kind::Sub(left, Box::new(right)))
    }

    pub(super) fn not(mut self, span: Span) -> Result<Self, SyntaxError> {
        let start = span.start;
        if self.frames.is_empty() {
            let end = self.ast.span.end;
            let mut chain = self.wrap(end, Kind::Not)?;
            chain.ast.span.start = start;
            return Ok(chain);
        }
        self.frames.insert(0, Frame { kind: FrameKind::Not, of: Ast { kind: Kind::Current, span } });
        self.depth += 1;
        self.checked()
    }

    pub(super) fn pipe(left: Self, right: Self) -> Result<Self, SyntaxError> {
        Self::join(left, right, |left, right| Kind::Pipe(Box::new(left), Box::new(right)))
    }

    pub(super) fn compare(op: Comparator, left: Self, right: Self) -> Result<Self, SyntaxError> {
        Self::join(left, right, |left, right| Kind::Compare(op, Box::new(left), Box::new(right)))
    }

    pub(super) fn or(left: Self, right: Self) -> Result<Self, SyntaxError> {
        Self::join(left, right, |left, right| match left {
            Ast { kind: Kind::Or(items), .. } => Kind::Or(with(items, right)),
            left => Kind::Or(vec![left, right]),
        })
    }

    pub(super) fn and(left: Self, right: Self) -> Result<Self, SyntaxError> {
        Self::join(left, right, |left, right| match left {
            Ast { kind: Kind::And(items), .. } => Kind::And(with(items, right)),
            left => Kind::And(vec![left, right]),
        })
    }

    fn join(left: Self, right: Self, make: impl FnOnce(Ast, Ast) -> Kind) -> Result<Self, SyntaxError> {
        let deepest = left.depth.max(right.depth);
        // A row of one operator is one node, however long it is.
        let grows = !matches!(left.ast.kind, Kind::Or(_) | Kind::And(_)) || right.depth >= left.depth;
        let (left, right) = (left.close(), right.close());
        let span = Span { start: left.span.start, end: right.span.end };
        let ast = Ast { kind: make(left, right), span };
        Self { frames: Vec::new(), ast, depth: deepest + usize::from(grows) }.checked()
    }
}

fn with(mut items: Vec<Ast>, last: Ast) -> Vec<Ast> {
    items.push(last);
    items
}

/// The levels of a tree. Each part was checked when it was made, so this recursion is bounded.
fn depth(ast: &Ast) -> usize {
    let all = |items: &[Ast]| items.iter().map(depth).max().unwrap_or(0);
    1 + match &ast.kind {
        Kind::Current | Kind::Field(_) | Kind::Literal(_) | Kind::Raw(_) => 0,
        Kind::Index(of, _)
        | Kind::Slice { of, .. }
        | Kind::Flatten(of)
        | Kind::Values(of)
        | Kind::Not(of)
        | Kind::Reference(of) => depth(of),
        Kind::Sub(left, right)
        | Kind::Pipe(left, right)
        | Kind::Filter(left, right)
        | Kind::Project(left, right)
        | Kind::Compare(_, left, right) => depth(left).max(depth(right)),
        Kind::List(items) | Kind::Or(items) | Kind::And(items) | Kind::Call(Name { .. }, items) => all(items),
        Kind::Object(fields) => fields.iter().map(|(_, value)| depth(value)).max().unwrap_or(0),
    }
}
