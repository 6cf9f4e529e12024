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

impl Parser<'_> {
    /// A range or a step: above zero as far as that shows without evaluating.
    pub(super) fn positive_duration(&mut self, place: &Place) -> Result<DurationExpr, ParseError> {
        let start = self.token.position;
        let duration = simplify(self.duration(0, place)?);
        if let DurationExpr::Literal(ms) = duration
            && ms <= 0
        {
            let position = Position { start: start.start, end: self.previous_end };
            return Err(self.error(position, "duration must be greater than 0".to_owned()));
        }
        Ok(duration)
    }

    /// What follows `offset`. Arithmetic needs parentheses here: `m offset 5m + 3m` adds 3m to the values.
    pub(super) fn offset_duration(&mut self) -> Result<DurationExpr, ParseError> {
        let place = Place { context: "offset", expected: "number, duration, step(), or range()" };
        if let TokenKind::Operator(op @ (BinaryOp::Add | BinaryOp::Sub)) = self.token.kind {
            self.advance();
            let operand = self.duration_operand(&place)?;
            return Ok(simplify(if op == BinaryOp::Sub { negate(operand) } else { operand }));
        }
        let parenthesised = self.token.kind == TokenKind::LeftParen;
        let mut duration = self.duration_operand(&place)?;
        // Upstream's grammar goes on with arithmetic after `offset (…)`, and so do we as long as
        // the other operand can be a duration.
        if parenthesised {
            while let TokenKind::Operator(op) = self.token.kind
                && precedence(op) >= precedence(BinaryOp::Add)
                && op != BinaryOp::Atan2
                && self.duration_follows()
            {
                duration = self.duration_chain(duration, precedence(op), &place)?;
            }
        }
        Ok(simplify(duration))
    }

    /// True when the token after the next one can begin a duration and nothing else.
    fn duration_follows(&self) -> bool {
        let mut ahead = self.lexer.clone();
        match ahead.next().kind {
            TokenKind::Number | TokenKind::Duration => true,
            TokenKind::Step | TokenKind::Range | TokenKind::MinOf | TokenKind::MaxOf => {
                ahead.next().kind == TokenKind::LeftParen
            }
            _ => false,
        }
    }

    fn duration(&mut self, least: u8, place: &Place) -> Result<DurationExpr, ParseError> {
        self.enter()?;
        let left = self.duration_operand(place)?;
        let whole = self.duration_chain(left, least, place)?;
        self.leave();
        Ok(whole)
    }

    /// Operators of at least the precedence `least` after a first operand.
    fn duration_chain(
        &mut self,
        mut left: DurationExpr,
        least: u8,
        place: &Place,
    ) -> Result<DurationExpr, ParseError> {
        let mut links = 0;
        while let TokenKind::Operator(op) = self.token.kind
            && precedence(op) >= least.max(precedence(BinaryOp::Add))
            && op != BinaryOp::Atan2
        {
            links += 1;
            self.check_height(links)?;
            let sign = self.advance();
            let inner = if op == BinaryOp::Pow { precedence(op) } else { precedence(op) + 1 };
            let right = self.duration(inner, place)?;
            let zero = matches!(right, DurationExpr::Literal(0)) || right == DurationExpr::Number(0.0);
            if zero && matches!(op, BinaryOp::Div | BinaryOp::Mod) {
                let what = if op == BinaryOp::Div { "division" } else { "modulo" };
                return Err(self.error(sign.position, format!("{what} by zero")));
            }
            left = DurationExpr::Binary(op, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn duration_operand(&mut self, place: &Place) -> Result<DurationExpr, ParseError> {
        match self.token.kind {
            TokenKind::Number => {
                let token = self.advance();
                let seconds = self.number(token)?;
                if seconds.is_nan() || seconds.abs() > literal::MAX_DURATION_MS as f64 / 1000.0 {
                    return Err(self.error(token.position, "duration out of range".to_owned()));
                }
                Ok(DurationExpr::Number(seconds))
            }
            TokenKind::Duration => {
                let token = self.advance();
                Ok(DurationExpr::Literal(self.duration_literal_ms(token)?))
            }
            TokenKind::Operator(op @ (BinaryOp::Add | BinaryOp::Sub)) => {
                self.advance();
                let operand = self.duration(UNARY_OPERAND, place)?;
                Ok(if op == BinaryOp::Sub { negate(operand) } else { operand })
            }
            TokenKind::Step | TokenKind::Range => {
                let word = self.advance();
                self.expect(TokenKind::LeftParen, place.context, place.expected)?;
                self.expect(TokenKind::RightParen, place.context, place.expected)?;
                Ok(if word.kind == TokenKind::Step { DurationExpr::Step } else { DurationExpr::Range })
            }
            TokenKind::MinOf | TokenKind::MaxOf => {
                let word = self.advance();
                self.expect(TokenKind::LeftParen, "", "")?;
                let a = Box::new(self.duration(0, place)?);
                self.expect(TokenKind::Comma, "", "")?;
                let b = Box::new(self.duration(0, place)?);
                self.expect(TokenKind::RightParen, "", "")?;
                Ok(if word.kind == TokenKind::MinOf {
                    DurationExpr::Min(a, b)
                } else {
                    DurationExpr::Max(a, b)
                })
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

    /// The value of a duration token in milliseconds.
    pub(super) fn duration_literal_ms(&self, token: Token) -> Result<i64, ParseError> {
        literal::duration_ms(self.text_of(token)).map_err(|message| self.error(token.position, message))
    }
}

fn negate(duration: DurationExpr) -> DurationExpr {
    match duration {
        DurationExpr::Literal(ms) => DurationExpr::Literal(-ms),
        DurationExpr::Number(seconds) => DurationExpr::Number(-seconds),
        other => DurationExpr::Negate(Box::new(other)),
    }
}

/// A bare number on its own means seconds.
fn simplify(duration: DurationExpr) -> DurationExpr {
    match duration {
        DurationExpr::Number(seconds) => DurationExpr::Literal((seconds * 1000.0).round() as i64),
        other => other,
    }
}
