//! Selectors and what may follow an operand: ranges, subqueries, `offset`, `@`, `anchored`, `smoothed`.

use weir_model::{METRIC_NAME, MatchOp, Matcher};

use super::duration::Place;
use super::token::{Token, TokenKind};
use super::{Operand, ParseError, Parser};
use crate::ast::{
    AtModifier, BinaryOp, DurationExpr, Expr, MatrixSelector, Node, Position, Subquery, ValueType,
    VectorSelector, WindowEdges,
};

/// Most regular expressions of one query: one may cost 5 ms to compile and 1 MiB to hold.
const MAX_PATTERNS: usize = 100;

/// The parts of a selector or subquery that modifiers set.
struct Modifiable<'e> {
    offset: &'e mut Option<DurationExpr>,
    at: &'e mut Option<AtModifier>,
    /// `None` for subqueries.
    edges: Option<&'e mut WindowEdges>,
}

fn modifiable(node: &mut Node) -> Option<Modifiable<'_>> {
    match node {
        Node::Vector(v) | Node::Matrix(MatrixSelector { vector: v, .. }) => {
            Some(Modifiable { offset: &mut v.offset, at: &mut v.at, edges: Some(&mut v.edges) })
        }
        Node::Subquery(s) => Some(Modifiable { offset: &mut s.offset, at: &mut s.at, edges: None }),
        _ => None,
    }
}

impl Parser<'_> {
    /// A selector whose metric name, if it has one, was just taken.
    pub(super) fn vector_selector(&mut self, name: Option<Token>) -> Result<Operand, ParseError> {
        let start = name.map_or(self.token.position, |n| n.position).start;
        let mut matchers = Vec::new();
        if self.token.kind == TokenKind::LeftBrace {
            self.matchers(&mut matchers)?;
        }
        let position = Position { start, end: self.previous_end };
        let name = name.map(|token| self.text_of(token).to_owned());
        if let Some(name) = &name {
            if let Some(other) = matchers.iter().find(|m| m.name() == METRIC_NAME) {
                let (first, second) = (crate::printer::quote(name), crate::printer::quote(other.value()));
                self.type_error(position, format!("metric name must not be set twice: {first} or {second}"));
            }
            matchers.push(Matcher::equal(METRIC_NAME, name));
        } else if matchers.iter().all(Matcher::matches_absent) {
            self.type_error(
                position,
                "vector selector must contain at least one non-empty matcher".to_owned(),
            );
        }
        let selector = VectorSelector { name, matchers, offset: None, at: None, edges: WindowEdges::Plain };
        Ok(Operand::leaf(Node::Vector(selector), position, ValueType::Vector))
    }

    /// `{a="b", "c.d"!~"e", "metric.name"}`
    fn matchers(&mut self, into: &mut Vec<Matcher>) -> Result<(), ParseError> {
        const CONTEXT: &str = "label matching";
        self.advance();
        while self.token.kind != TokenKind::RightBrace {
            into.push(self.matcher()?);
            match self.token.kind {
                TokenKind::Comma => self.advance(),
                TokenKind::RightBrace => break,
                _ => return Err(self.unexpected(CONTEXT, "\",\" or \"}\"")),
            };
        }
        self.advance();
        Ok(())
    }

    fn matcher(&mut self) -> Result<Matcher, ParseError> {
        const CONTEXT: &str = "label matching";
        let label = match self.token.kind {
            TokenKind::Identifier | TokenKind::String => self.advance(),
            _ => return Err(self.unexpected(CONTEXT, "identifier or \"}\"")),
        };
        let quoted = label.kind == TokenKind::String;
        let op = match self.token.kind {
            TokenKind::Assign => MatchOp::Equal,
            TokenKind::Operator(BinaryOp::NotEq) => MatchOp::NotEqual,
            TokenKind::MatchRegex => MatchOp::Regex,
            TokenKind::MatchNotRegex => MatchOp::NotRegex,
            TokenKind::Comma | TokenKind::RightBrace if quoted => {
                return Ok(Matcher::equal(METRIC_NAME, &self.unquote(label)?));
            }
            _ if quoted => return Err(self.unexpected(CONTEXT, "\",\" or \"}\"")),
            _ => return Err(self.unexpected(CONTEXT, "label matching operator")),
        };
        self.advance();
        let value = self.expect(TokenKind::String, CONTEXT, "string")?;
        let position = Position { start: label.position.start, end: value.position.end };
        let text = self.unquote(value)?;
        let trivial = matches!(text.as_str(), ".*" | ".+");
        if matches!(op, MatchOp::Regex | MatchOp::NotRegex) && !trivial {
            self.patterns += 1;
            if self.patterns > MAX_PATTERNS {
                let message = format!("query has more than {MAX_PATTERNS} regular expressions");
                return Err(self.error(position, message));
            }
        }
        let made = if quoted {
            Matcher::new(&self.unquote(label)?, op, &text)
        } else {
            Matcher::new(self.text_of(label), op, &text)
        };
        made.map_err(|error| self.error(position, error.to_string()))
    }

    /// Everything that binds to the operand before it.
    pub(super) fn postfix(&mut self, mut operand: Operand) -> Result<Operand, ParseError> {
        loop {
            match self.token.kind {
                TokenKind::LeftBracket => operand = self.range(operand)?,
                TokenKind::Offset => self.offset(&mut operand.expr)?,
                TokenKind::At => self.at(&mut operand.expr)?,
                TokenKind::Anchored => self.edges(&mut operand.expr, WindowEdges::Anchored)?,
                TokenKind::Smoothed => self.edges(&mut operand.expr, WindowEdges::Smoothed)?,
                _ => return Ok(operand),
            }
        }
    }

    /// `[5m]`, `[1h:]` or `[1h:5m]`
    fn range(&mut self, operand: Operand) -> Result<Operand, ParseError> {
        const EXPECTED: &str = "number, duration, step(), or range()";
        let bracket = self.advance();
        let place = Place { context: "subquery or range selector", expected: EXPECTED };
        let range = self.positive_duration(&place)?;
        let start = operand.expr.position.start;
        match self.token.kind {
            TokenKind::RightBracket => {
                self.advance();
                let vector = self.ranged(operand.expr, bracket)?;
                let position = Position { start, end: self.previous_end };
                let node = Node::Matrix(MatrixSelector { vector, range });
                Ok(Operand { expr: Expr { node, position }, kind: ValueType::Matrix, height: operand.height })
            }
            TokenKind::Colon => {
                self.advance();
                let step = if self.token.kind == TokenKind::RightBracket {
                    None
                } else {
                    let place = Place {
                        context: "subquery selector",
                        expected: "number, duration, step(), range(), or \"]\"",
                    };
                    Some(self.positive_duration(&place)?)
                };
                self.expect(TokenKind::RightBracket, "subquery selector", "\"]\"")?;
                let position = Position { start, end: self.previous_end };
                if operand.kind != ValueType::Vector {
                    let kind = match operand.kind {
                        ValueType::Matrix => "matrix",
                        other => other.documented(),
                    };
                    let message = format!("subquery is only allowed on instant vector, got {kind} instead");
                    self.type_error(position, message);
                }
                let subquery = Subquery { expr: Box::new(operand.expr), range, step, offset: None, at: None };
                self.above(Node::Subquery(subquery), position, ValueType::Matrix, operand.height)
            }
            _ => Err(self.unexpected("subquery or range", "\":\" or \"]\"")),
        }
    }

    /// The selector that a range stands behind; modifiers must come after the range, except, as in Prometheus,
    /// `@ start()` and `@ end()`.
    fn ranged(&self, expr: Expr, bracket: Token) -> Result<VectorSelector, ParseError> {
        let message = match expr.node {
            Node::Vector(v) if v.offset.is_some() => "no offset modifiers allowed before range",
            Node::Vector(v) if matches!(v.at, Some(AtModifier::Timestamp(_))) => {
                "no @ modifiers allowed before range"
            }
            Node::Vector(v) => return Ok(v),
            _ => "ranges only allowed for vector selectors",
        };
        let position = Position { start: bracket.position.start, end: self.previous_end };
        Err(self.error(position, message.to_owned()))
    }

    fn offset(&mut self, expr: &mut Expr) -> Result<(), ParseError> {
        self.advance();
        let duration = self.offset_duration()?;
        let position = expr.position;
        let Some(target) = modifiable(&mut expr.node) else {
            let message = "offset modifier must be preceded by an instant vector selector or range vector selector or a subquery";
            return Err(self.error(position, message.to_owned()));
        };
        if target.offset.is_some() {
            return Err(self.error(position, "offset may not be set multiple times".to_owned()));
        }
        // An offset of zero is none.
        *target.offset = Some(duration).filter(|d| *d != DurationExpr::Literal(0));
        expr.position.end = self.previous_end;
        Ok(())
    }

    fn at(&mut self, expr: &mut Expr) -> Result<(), ParseError> {
        self.advance();
        let at = self.timestamp(expr.position)?;
        let position = expr.position;
        let Some(target) = modifiable(&mut expr.node) else {
            let message = "@ modifier must be preceded by an instant vector selector or range vector selector or a subquery";
            return Err(self.error(position, message.to_owned()));
        };
        if target.at.is_some() {
            return Err(self.error(position, "@ <timestamp> may not be set multiple times".to_owned()));
        }
        *target.at = Some(at);
        expr.position.end = self.previous_end;
        Ok(())
    }

    /// What follows `@`: seconds, `start()` or `end()`.
    fn timestamp(&mut self, selector: Position) -> Result<AtModifier, ParseError> {
        const CONTEXT: &str = "@";
        if matches!(self.token.kind, TokenKind::Start | TokenKind::End) {
            let word = self.advance();
            self.expect(TokenKind::LeftParen, CONTEXT, "timestamp")?;
            self.expect(TokenKind::RightParen, CONTEXT, "timestamp")?;
            return Ok(if word.kind == TokenKind::Start { AtModifier::Start } else { AtModifier::End });
        }
        let negative = match self.token.kind {
            TokenKind::Operator(op @ (BinaryOp::Add | BinaryOp::Sub)) => {
                self.advance();
                op == BinaryOp::Sub
            }
            _ => false,
        };
        let seconds = match self.token.kind {
            TokenKind::Number => {
                let token = self.advance();
                self.number(token)?
            }
            TokenKind::Duration => {
                let token = self.advance();
                self.duration_literal_ms(token)? as f64 / 1000.0
            }
            _ => return Err(self.unexpected(CONTEXT, "timestamp")),
        };
        let seconds = if negative { -seconds } else { seconds };
        let ms = (seconds * 1000.0).round();
        // Stated positively, so that NaN is refused.
        if ms > -9.2e18 && ms < 9.2e18 {
            return Ok(AtModifier::Timestamp(ms as i64));
        }
        let message = format!("timestamp out of bounds for @ modifier: {}", crate::printer::number(seconds));
        Err(self.error(selector, message))
    }

    fn edges(&mut self, expr: &mut Expr, wanted: WindowEdges) -> Result<(), ParseError> {
        self.advance();
        let word = if wanted == WindowEdges::Anchored { "anchored" } else { "smoothed" };
        let message = match modifiable(&mut expr.node) {
            None => format!("{word} modifier not implemented"),
            Some(Modifiable { edges: None, .. }) => {
                format!("{word} modifier is not supported for subqueries")
            }
            Some(Modifiable { edges: Some(edges), .. }) => {
                if *edges == WindowEdges::Plain || *edges == wanted {
                    *edges = wanted;
                    expr.position.end = self.previous_end;
                    return Ok(());
                }
                "anchored and smoothed modifiers cannot be used together".to_owned()
            }
        };
        Err(self.error(expr.position, message))
    }
}
