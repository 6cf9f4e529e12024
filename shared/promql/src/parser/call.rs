//! Function calls and aggregations: their clauses, and the types of their arguments.

use super::token::{Token, TokenKind};
use super::{Operand, ParseError, Parser};
use crate::ast::{Aggregate, AggregateOp, Call, Grouping, Node, Position, ValueType};
use crate::functions_table::{Signature, signature};
use crate::printer::quote;

impl Parser<'_> {
    /// A call whose name was just taken.
    pub(super) fn call(&mut self, name: Token) -> Result<Operand, ParseError> {
        let text = self.text_of(name);
        let Some(function) = signature(&text.to_ascii_lowercase()).filter(|f| {
            // Words that are also keywords come in any case, other functions only as they are.
            f.name == text || name.kind.is_function_keyword()
        }) else {
            return Err(self.error(name.position, format!("unknown function with name {}", quote(text))));
        };
        let earlier = self.type_error.take();
        let mut args = Vec::new();
        let mut height = 0;
        let mut inner = None;
        self.advance();
        while self.token.kind != TokenKind::RightParen {
            let arg = self.expression(0)?;
            height = height.max(arg.height);
            self.check_argument(function, args.len(), &arg);
            // Errors of arguments come after that of their number.
            inner = inner.or(self.type_error.take());
            args.push(arg.expr);
            match self.token.kind {
                TokenKind::RightParen => break,
                TokenKind::Comma => {
                    let comma = self.advance();
                    if self.token.kind == TokenKind::RightParen {
                        let message = "trailing commas not allowed in function call args".to_owned();
                        return Err(self.error(comma.position, message));
                    }
                }
                _ => return Err(self.unexpected("", "")),
            }
        }
        self.advance();
        let position = Position { start: name.position.start, end: self.previous_end };
        self.type_error = earlier;
        if let Some(message) = wrong_count(function, args.len()) {
            self.type_error(position, message);
        }
        self.type_error = self.type_error.take().or(inner);
        let call = Call { function: function.name.to_owned(), args };
        self.above(Node::Call(call), position, function.returns, height)
    }

    fn check_argument(&mut self, function: &Signature, index: usize, arg: &Operand) {
        let position = arg.expr.position;
        if function.name == "info" && index == 1 && arg.kind == ValueType::Vector {
            match &arg.expr.node {
                // Here, and only here, a selector may match everything.
                Node::Vector(v) if v.name.is_none() => self.type_error = None,
                Node::Vector(_) => {
                    let message = "expected label selectors only, got vector selector instead".to_owned();
                    self.type_error(position, message);
                }
                _ => self.type_error(position, "expected label selectors only".to_owned()),
            }
        }
        if let Some(wanted) = function.arg_type(index)
            && wanted != arg.kind
        {
            let message = format!(
                "expected type {} in call to function \"{}\", got {}",
                wanted.documented(),
                function.name,
                arg.kind.documented()
            );
            self.type_error(position, message);
        }
    }

    /// An aggregation whose operator was just taken.
    pub(super) fn aggregate(&mut self, name: Token, op: AggregateOp) -> Result<Operand, ParseError> {
        let mut grouping = self.grouping()?;
        if self.token.kind != TokenKind::LeftParen {
            return Err(self.unexpected("aggregation", ""));
        }
        self.aggregations += 1;
        let args = self.aggregate_args()?;
        self.aggregations -= 1;
        if grouping.is_none() {
            grouping = self.grouping()?;
        }
        let position = Position { start: name.position.start, end: self.previous_end };
        let wanted = if op.param_type().is_some() { 2 } else { 1 };
        let height = args.iter().map(|a| a.height).max().unwrap_or(0);
        let mut args = args.into_iter();
        let (param, operand) = match (args.len(), op.param_type().is_some()) {
            (0, _) => {
                let message = "no arguments for aggregate expression provided".to_owned();
                return Err(self.error(position, message));
            }
            (1, false) => (None, args.next()),
            (2, true) => (args.next(), args.next()),
            (got, _) => {
                let message = format!(
                    "wrong number of arguments for aggregate expression provided, expected {wanted}, got {got}"
                );
                return Err(self.error(position, message));
            }
        };
        let Some(operand) = operand else {
            return Err(self.error(position, "no arguments for aggregate expression provided".to_owned()));
        };
        self.check_type(&operand, ValueType::Vector, "aggregation expression");
        if let (Some(param), Some(wanted)) = (&param, op.param_type()) {
            self.check_type(param, wanted, "aggregation parameter");
        }
        let aggregate = Aggregate {
            op,
            grouping: grouping.unwrap_or_else(|| Grouping::By(Vec::new())),
            param: param.map(|p| Box::new(p.expr)),
            expr: Box::new(operand.expr),
        };
        self.above(Node::Aggregate(aggregate), position, ValueType::Vector, height)
    }

    fn aggregate_args(&mut self) -> Result<Vec<Operand>, ParseError> {
        let mut args = Vec::new();
        self.advance();
        while self.token.kind != TokenKind::RightParen {
            args.push(self.expression(0)?);
            match self.token.kind {
                TokenKind::RightParen => break,
                TokenKind::Comma => {
                    let comma = self.advance();
                    if self.token.kind == TokenKind::RightParen {
                        let message = "trailing commas not allowed in function call args".to_owned();
                        return Err(self.error(comma.position, message));
                    }
                }
                _ => return Err(self.unexpected("", "")),
            }
        }
        self.advance();
        Ok(args)
    }

    fn check_type(&mut self, operand: &Operand, wanted: ValueType, context: &str) {
        if operand.kind != wanted {
            let message = format!(
                "expected type {} in {context}, got {}",
                wanted.documented(),
                operand.kind.documented()
            );
            self.type_error(operand.expr.position, message);
        }
    }

    /// `by (…)` or `without (…)`, if it stands here.
    fn grouping(&mut self) -> Result<Option<Grouping>, ParseError> {
        Ok(match self.token.kind {
            TokenKind::By => {
                self.advance();
                Some(Grouping::By(self.label_list()?))
            }
            TokenKind::Without => {
                self.advance();
                Some(Grouping::Without(self.label_list()?))
            }
            _ => None,
        })
    }

    /// `(a, b, "c.d")`
    pub(super) fn label_list(&mut self) -> Result<Vec<String>, ParseError> {
        const CONTEXT: &str = "grouping opts";
        self.expect(TokenKind::LeftParen, CONTEXT, "\"(\"")?;
        let mut labels = Vec::new();
        while self.token.kind != TokenKind::RightParen {
            let label = match self.token.kind {
                TokenKind::String => {
                    let token = self.advance();
                    let name = self.unquote(token)?;
                    if name.is_empty() {
                        let message = "invalid label name for grouping: \"\"".to_owned();
                        return Err(self.error(token.position, message));
                    }
                    name
                }
                kind if kind.is_label_name() => {
                    let token = self.advance();
                    self.text_of(token).to_owned()
                }
                _ => return Err(self.unexpected(CONTEXT, "label")),
            };
            labels.push(label);
            match self.token.kind {
                TokenKind::Comma => self.advance(),
                TokenKind::RightParen => break,
                _ => return Err(self.unexpected(CONTEXT, "\",\" or \")\"")),
            };
        }
        self.advance();
        Ok(labels)
    }
}

fn wrong_count(function: &Signature, got: usize) -> Option<String> {
    let (least, most, name) = (function.min_args(), function.max_args(), function.name);
    if most == Some(least) && got != least {
        Some(format!("expected {least} argument(s) in call to \"{name}\", got {got}"))
    } else if got < least {
        Some(format!("expected at least {least} argument(s) in call to \"{name}\", got {got}"))
    } else {
        let most = most.filter(|most| got > *most)?;
        Some(format!("expected at most {most} argument(s) in call to \"{name}\", got {got}"))
    }
}
