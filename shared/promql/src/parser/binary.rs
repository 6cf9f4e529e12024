//! Binary operators: their modifiers, and what may stand on their sides.

use std::collections::HashSet;

use super::token::TokenKind;
use super::{Operand, ParseError, Parser, precedence};
use crate::ast::{Binary, BinaryOp, Cardinality, Node, Position, ValueType, VectorMatching};
use crate::printer::quote;

impl Parser<'_> {
    /// Continues after the left operand, at the operator.
    pub(super) fn binary(&mut self, left: Operand, op: BinaryOp) -> Result<Operand, ParseError> {
        let operator = self.advance();
        let return_bool = self.token.kind == TokenKind::Bool;
        if return_bool {
            self.advance();
        }
        let matching = self.matching()?;
        // Messages about the operator point at it and its modifiers.
        let operator = Position { start: operator.position.start, end: self.previous_end };
        // Only `^` associates to the right.
        let least = if op == BinaryOp::Pow { precedence(op) } else { precedence(op) + 1 };
        let right = self.expression(least)?;

        let position = Position { start: left.expr.position.start, end: right.expr.position.end };
        let vectors = left.kind == ValueType::Vector && right.kind == ValueType::Vector;
        let scalars = left.kind == ValueType::Scalar && right.kind == ValueType::Scalar;
        if return_bool && !op.is_comparison() {
            self.type_error(operator, "bool modifier can only be used on comparison operators".to_owned());
        }
        if op.is_comparison() && !return_bool && scalars {
            self.type_error(operator, "comparisons between scalars must use BOOL modifier".to_owned());
        }
        // A set keeps this linear for clauses as long as the query may be.
        let included: HashSet<&String> = matching.include.iter().collect();
        if matching.on
            && let Some(label) = matching.labels.iter().find(|l| included.contains(l))
        {
            let message = format!("label {} must not occur in ON and GROUP clause at once", quote(label));
            self.type_error(operator, message);
        }
        for side in [&left, &right] {
            if !matches!(side.kind, ValueType::Scalar | ValueType::Vector) {
                let message = "binary expression must contain only scalar and instant vector types";
                self.type_error(side.expr.position, message.to_owned());
            }
        }
        self.check_matching(op, &matching, vectors, position);

        let height = left.height.max(right.height);
        let binary = Binary {
            op,
            left: Box::new(left.expr),
            right: Box::new(right.expr),
            return_bool,
            matching: vectors.then(|| VectorMatching {
                cardinality: if op.is_set() { Cardinality::ManyToMany } else { matching.cardinality },
                ..matching
            }),
        };
        let kind = if scalars { ValueType::Scalar } else { ValueType::Vector };
        self.above(Node::Binary(binary), position, kind, height)
    }

    fn check_matching(&mut self, op: BinaryOp, matching: &VectorMatching, vectors: bool, position: Position) {
        let filled = matching.fill_left.is_some() || matching.fill_right.is_some();
        let message = if !vectors && !matching.labels.is_empty() {
            "vector matching only allowed between instant vectors".to_owned()
        } else if !vectors && filled {
            "filling in missing series only allowed between instant vectors".to_owned()
        } else if !vectors && op.is_set() {
            format!("set operator \"{}\" not allowed in binary scalar expression", op.symbol())
        } else if op.is_set() && matching.cardinality != Cardinality::OneToOne {
            format!("no grouping allowed for \"{}\" operation", op.symbol())
        } else if op.is_set() && filled {
            "filling in missing series not allowed for set operators".to_owned()
        } else {
            return;
        };
        self.type_error(position, message);
    }

    /// `on (…)` or `ignoring (…)`, then `group_left` or `group_right`, then `fill`.
    fn matching(&mut self) -> Result<VectorMatching, ParseError> {
        let mut matching = VectorMatching::default();
        if matches!(self.token.kind, TokenKind::On | TokenKind::Ignoring) {
            matching.on = self.advance().kind == TokenKind::On;
            matching.labels = self.label_list()?;
            matching.cardinality = match self.token.kind {
                TokenKind::GroupLeft => Cardinality::ManyToOne,
                TokenKind::GroupRight => Cardinality::OneToMany,
                _ => Cardinality::OneToOne,
            };
            if matching.cardinality != Cardinality::OneToOne {
                self.advance();
                if self.token.kind == TokenKind::LeftParen {
                    matching.include = self.label_list()?;
                }
            }
        }
        match self.token.kind {
            TokenKind::Fill => {
                let value = self.fill_value()?;
                matching.fill_left = Some(value);
                matching.fill_right = Some(value);
            }
            TokenKind::FillLeft => {
                matching.fill_left = Some(self.fill_value()?);
                if self.token.kind == TokenKind::FillRight {
                    matching.fill_right = Some(self.fill_value()?);
                }
            }
            TokenKind::FillRight => {
                matching.fill_right = Some(self.fill_value()?);
                if self.token.kind == TokenKind::FillLeft {
                    matching.fill_left = Some(self.fill_value()?);
                }
            }
            _ => {}
        }
        Ok(matching)
    }

    /// A number in parentheses after one of the `fill` words.
    fn fill_value(&mut self) -> Result<f64, ParseError> {
        self.advance();
        self.expect(TokenKind::LeftParen, "", "")?;
        let negative = match self.token.kind {
            TokenKind::Operator(op @ (BinaryOp::Add | BinaryOp::Sub)) => {
                self.advance();
                op == BinaryOp::Sub
            }
            _ => false,
        };
        let value = match self.token.kind {
            TokenKind::Number => {
                let token = self.advance();
                self.number(token)?
            }
            TokenKind::Duration => {
                let token = self.advance();
                self.duration_literal_ms(token)? as f64 / 1000.0
            }
            _ => return Err(self.unexpected("", "")),
        };
        self.expect(TokenKind::RightParen, "", "")?;
        Ok(if negative { -value } else { value })
    }
}
