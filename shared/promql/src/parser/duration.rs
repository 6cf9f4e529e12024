//! Durations within brackets and after `offset`: literals, and arithmetic over them.

use super::token::{Token, TokenKind};
use super::{Parser, UNARY_OPERAND, literal, precedence};
use crate::ast::{BinaryOp, DurationExpr, Position};
use crate::parser::ParseError;

/// What stands around a duration, for messages.
pub(super) struct Place {
    /// "subquery or range selector"
    pub(super) context: &'static str,
    /// "number, duration, step(), or range()"
    pub(super) expected: &'static str,
}

/// A duration and the height of its tree.
struct Span {
    expr: DurationExpr,
    height: u16,
}

impl Parser<'_> {
    /// A range or a step: above zero as far as that shows without evaluating.
    pub(super) fn positive_duration(&mut self, place: &Place) -> Result<DurationExpr, ParseError> {
        let start = self.token.position;
        let duration = simplify(self.duration(0, place)?.expr);
        if let DurationExpr::Literal(ms) = duration
            && ms <= 0
        {
            let position = Position { start: start.start, end: self.previous_end };
            return Err(self.error(position, "duration must be greater than 0".to_owned()));
        }
        Ok(duration)
    }

    /// What follows `offset`. Arithmetic needs parentheses here, and ends with them: `m offset 5m + 3m` adds
    /// 3m to the values. (Upstream's grammar takes `m offset (5m) + 3m` for an offset of 8m, by accident it
    /// seems; nothing in its documentation or tests relies on it.)
    pub(super) fn offset_duration(&mut self) -> Result<DurationExpr, ParseError> {
        let place = Place { context: "offset", expected: "number, duration, step(), or range()" };
        if let TokenKind::Operator(op @ (BinaryOp::Add | BinaryOp::Sub)) = self.token.kind {
            self.advance();
            let operand = self.duration_operand(&place)?;
            return Ok(simplify(self.signed_duration(op, operand)?.expr));
        }
        Ok(simplify(self.duration_operand(&place)?.expr))
    }

    fn duration(&mut self, least: u8, place: &Place) -> Result<Span, ParseError> {
        self.enter()?;
        let mut left = self.duration_operand(place)?;
        while let TokenKind::Operator(op) = self.token.kind
            && precedence(op) >= least.max(precedence(BinaryOp::Add))
            && op != BinaryOp::Atan2
        {
            let sign = self.advance();
            let inner = if op == BinaryOp::Pow { precedence(op) } else { precedence(op) + 1 };
            let right = self.duration(inner, place)?;
            let zero =
                matches!(right.expr, DurationExpr::Literal(0)) || right.expr == DurationExpr::Number(0.0);
            if zero && matches!(op, BinaryOp::Div | BinaryOp::Mod) {
                let what = if op == BinaryOp::Div { "division" } else { "modulo" };
                return Err(self.error(sign.position, format!("{what} by zero")));
            }
            let height = left.height.max(right.height);
            let expr = DurationExpr::Binary(op, Box::new(left.expr), Box::new(right.expr));
            left = self.duration_above(expr, height)?;
        }
        self.leave();
        Ok(left)
    }

    fn duration_operand(&mut self, place: &Place) -> Result<Span, ParseError> {
        let leaf = |expr| Ok(Span { expr, height: 1 });
        match self.token.kind {
            TokenKind::Number => {
                let token = self.advance();
                let seconds = self.number(token)?;
                if seconds.is_nan() || seconds.abs() > literal::MAX_DURATION_MS as f64 / 1000.0 {
                    return Err(self.error(token.position, "duration out of range".to_owned()));
                }
                leaf(DurationExpr::Number(seconds))
            }
            TokenKind::Duration => {
                let token = self.advance();
                leaf(DurationExpr::Literal(self.duration_literal_ms(token)?))
            }
            TokenKind::Operator(op @ (BinaryOp::Add | BinaryOp::Sub)) => {
                self.advance();
                let operand = self.duration(UNARY_OPERAND, place)?;
                self.signed_duration(op, operand)
            }
            TokenKind::Step | TokenKind::Range => {
                let word = self.advance();
                self.expect(TokenKind::LeftParen, place.context, place.expected)?;
                self.expect(TokenKind::RightParen, place.context, place.expected)?;
                leaf(if word.kind == TokenKind::Step { DurationExpr::Step } else { DurationExpr::Range })
            }
            TokenKind::MinOf | TokenKind::MaxOf => {
                let word = self.advance();
                self.expect(TokenKind::LeftParen, "", "")?;
                let a = self.duration(0, place)?;
                self.expect(TokenKind::Comma, "", "")?;
                let b = self.duration(0, place)?;
                self.expect(TokenKind::RightParen, "", "")?;
                let height = a.height.max(b.height);
                let (a, b) = (Box::new(a.expr), Box::new(b.expr));
                let min = word.kind == TokenKind::MinOf;
                self.duration_above(
                    if min { DurationExpr::Min(a, b) } else { DurationExpr::Max(a, b) },
                    height,
                )
            }
            TokenKind::LeftParen => {
                self.advance();
                let inner = self.duration(0, place)?;
                self.expect(TokenKind::RightParen, "", "")?;
                Ok(inner)
            }
            _ => Err(self.unexpected(place.context, place.expected)),
        }
    }

    fn signed_duration(&self, sign: BinaryOp, operand: Span) -> Result<Span, ParseError> {
        let height = operand.height;
        let expr = match operand.expr {
            expr if sign == BinaryOp::Add => expr,
            DurationExpr::Literal(ms) => DurationExpr::Literal(-ms),
            DurationExpr::Number(seconds) => DurationExpr::Number(-seconds),
            other => return self.duration_above(DurationExpr::Negate(Box::new(other)), height),
        };
        Ok(Span { expr, height })
    }

    fn duration_above(&self, expr: DurationExpr, height: u16) -> Result<Span, ParseError> {
        self.check_height(height + 1)?;
        Ok(Span { expr, height: height + 1 })
    }

    /// The value of a duration token in milliseconds.
    pub(super) fn duration_literal_ms(&self, token: Token) -> Result<i64, ParseError> {
        literal::duration_ms(self.text_of(token)).map_err(|message| self.error(token.position, message))
    }
}

/// A bare number on its own means seconds.
fn simplify(duration: DurationExpr) -> DurationExpr {
    match duration {
        DurationExpr::Number(seconds) => DurationExpr::Literal((seconds * 1000.0).round() as i64),
        other => other,
    }
}
