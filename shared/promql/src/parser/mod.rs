//! Parses PromQL: a hand-written lexer and a Pratt parser that checks types as it goes.
//!
//! The language is that of Prometheus 3 with its experimental parts switched on: duration expressions,
//! `anchored` and `smoothed`, `fill`, histogram trimming. A syntax error is reported before any type error, as
//! Prometheus does. Time is linear in the length of the text; nesting and length are bounded.

mod binary;
mod call;
mod duration;
mod error;
mod lexer;
mod literal;
mod selector;
mod series;
mod token;

pub use error::ParseError;
pub(crate) use literal::{DURATION_UNITS, duration_ms};
pub(crate) use series::parse_series_labels;

use crate::ast::{BinaryOp, Expr, Node, Position, ValueType, VectorSelector};
use lexer::Lexer;
use token::{Description, Token, TokenKind};

/// Longest accepted query in bytes.
pub const MAX_QUERY_BYTES: usize = 64 * 1024;
/// Deepest accepted nesting: the height of the tree, chains of operators included. Bounds the stack
/// of everything that walks the tree.
pub const MAX_DEPTH: u16 = 200;

/// Reads a duration such as `5m` or `1h30m`; milliseconds, `None` for anything else.
#[must_use]
pub fn parse_duration_ms(text: &str) -> Option<i64> {
    literal::duration_ms(text).ok()
}

/// Parses an expression and checks its types.
///
/// # Errors
/// [`ParseError`] with the first syntax error, or else the first type error.
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    if text.len() > MAX_QUERY_BYTES {
        let message = format!("query of {} bytes is longer than {MAX_QUERY_BYTES} bytes", text.len());
        return Err(ParseError::new(text, Position::default(), message));
    }
    let mut parser = Parser::new(text);
    if parser.token.kind == TokenKind::Eof {
        return Err(ParseError::new(text, Position::default(), "no expression found in input".to_owned()));
    }
    let operand = parser.expression(0)?;
    parser.finish()?;
    Ok(operand.expr)
}

/// Parses an instant selector alone, as the `match[]` parameters of the API hold it.
///
/// # Errors
/// [`ParseError`] for anything else than one selector without modifiers.
pub fn parse_selector(text: &str) -> Result<VectorSelector, ParseError> {
    if text.len() > MAX_QUERY_BYTES {
        let message = format!("selector of {} bytes is longer than {MAX_QUERY_BYTES} bytes", text.len());
        return Err(ParseError::new(text, Position::default(), message));
    }
    let mut parser = Parser::new(text);
    let name = match parser.token.kind {
        TokenKind::LeftBrace => None,
        kind if kind.is_metric_name() => Some(parser.advance()),
        _ => return Err(parser.unexpected("", "")),
    };
    let operand = parser.vector_selector(name)?;
    parser.finish()?;
    match operand.expr.node {
        Node::Vector(selector) => Ok(selector),
        _ => Err(ParseError::new(text, operand.expr.position, "not a selector".to_owned())),
    }
}

/// How tightly a binary operator binds; more is tighter.
fn precedence(op: BinaryOp) -> u8 {
    match op {
        BinaryOp::Or => 1,
        BinaryOp::And | BinaryOp::Unless => 2,
        BinaryOp::Eq
        | BinaryOp::NotEq
        | BinaryOp::Less
        | BinaryOp::LessEq
        | BinaryOp::Greater
        | BinaryOp::GreaterEq
        | BinaryOp::TrimUpper
        | BinaryOp::TrimLower => 3,
        BinaryOp::Add | BinaryOp::Sub => 4,
        BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod | BinaryOp::Atan2 => 5,
        BinaryOp::Pow => 6,
    }
}

/// Least precedence of operators within the operand of a sign: `-a ^ b` is `-(a ^ b)`.
const UNARY_OPERAND: u8 = 6;

/// A parsed expression with what its parent needs to know.
struct Operand {
    expr: Expr,
    kind: ValueType,
    /// Height of the tree, a leaf being 1.
    height: u16,
}

impl Operand {
    fn leaf(node: Node, position: Position, kind: ValueType) -> Self {
        Self { expr: Expr { node, position }, kind, height: 1 }
    }
}

struct Parser<'a> {
    text: &'a str,
    lexer: Lexer<'a>,
    /// The token to be looked at next.
    token: Token,
    /// End of the token taken last.
    previous_end: u32,
    depth: u16,
    /// Aggregations around the current token: errors there mention them.
    aggregations: u16,
    /// Regular expressions so far.
    patterns: usize,
    /// The first type error; a later syntax error takes precedence.
    type_error: Option<ParseError>,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Self {
        let mut lexer = Lexer::new(text);
        let token = lexer.next();
        Self { text, lexer, token, previous_end: 0, depth: 0, aggregations: 0, patterns: 0, type_error: None }
    }

    fn finish(mut self) -> Result<(), ParseError> {
        if self.token.kind != TokenKind::Eof {
            return Err(self.unexpected("", ""));
        }
        self.type_error.take().map_or(Ok(()), Err)
    }

    fn text_of(&self, token: Token) -> &'a str {
        &self.text[token.position.start as usize..token.position.end as usize]
    }

    /// Takes the current token.
    fn advance(&mut self) -> Token {
        let token = self.token;
        self.previous_end = token.position.end;
        self.token = self.lexer.next();
        token
    }

    /// Takes a token of that kind.
    fn expect(&mut self, kind: TokenKind, context: &str, expected: &str) -> Result<Token, ParseError> {
        if self.token.kind == kind { Ok(self.advance()) } else { Err(self.unexpected(context, expected)) }
    }

    fn error(&self, position: Position, message: String) -> ParseError {
        ParseError::new(self.text, position, message)
    }

    /// Keeps a type error until the syntax is known to be good.
    fn type_error(&mut self, position: Position, message: String) {
        if self.type_error.is_none() {
            self.type_error = Some(self.error(position, message));
        }
    }

    /// The error that the current token should not be here.
    fn unexpected(&mut self, context: &str, expected: &str) -> ParseError {
        let position = self.token.position;
        if self.token.kind == TokenKind::Error {
            let message = self.lexer.take_error();
            return self.error(position, message);
        }
        let mut message = format!("unexpected {}", Description(self.token.kind, self.text_of(self.token)));
        let context = if context.is_empty() && self.aggregations > 0 { "aggregation" } else { context };
        if !context.is_empty() {
            message.push_str(" in ");
            message.push_str(context);
        }
        if !expected.is_empty() {
            message.push_str(", expected ");
            message.push_str(expected);
        }
        self.error(position, message)
    }

    /// One level deeper; [`Parser::leave`] comes back. After an error the parser is not used any more.
    fn enter(&mut self) -> Result<(), ParseError> {
        self.depth += 1;
        self.check_height(self.depth)
    }

    fn leave(&mut self) {
        self.depth -= 1;
    }

    fn check_height(&self, height: u16) -> Result<(), ParseError> {
        if height > MAX_DEPTH {
            let message = format!("expression nests deeper than {MAX_DEPTH} levels");
            return Err(self.error(self.token.position, message));
        }
        Ok(())
    }

    /// A node over children of that height.
    fn above(
        &self,
        node: Node,
        position: Position,
        kind: ValueType,
        height: u16,
    ) -> Result<Operand, ParseError> {
        self.check_height(height + 1)?;
        Ok(Operand { expr: Expr { node, position }, kind, height: height + 1 })
    }

    /// Operands joined by operators of at least the precedence `least`.
    fn expression(&mut self, least: u8) -> Result<Operand, ParseError> {
        self.enter()?;
        let mut left = self.operand()?;
        while let TokenKind::Operator(op) = self.token.kind
            && precedence(op) >= least
        {
            left = self.binary(left, op)?;
        }
        self.leave();
        Ok(left)
    }

    fn operand(&mut self) -> Result<Operand, ParseError> {
        match self.token.kind {
            TokenKind::Operator(op @ (BinaryOp::Add | BinaryOp::Sub)) => self.signed(op == BinaryOp::Sub),
            _ => {
                let operand = self.primary()?;
                self.postfix(operand)
            }
        }
    }

    /// `-x`, or `+x`, which is `x`. A sign before a number becomes part of it.
    fn signed(&mut self, negative: bool) -> Result<Operand, ParseError> {
        let start = self.advance().position.start;
        let mut operand = self.expression(UNARY_OPERAND)?;
        let position = Position { start, end: operand.expr.position.end };
        if let Node::Number(value) = &mut operand.expr.node {
            *value = if negative { -*value } else { *value };
            operand.expr.position = position;
            return Ok(operand);
        }
        if !matches!(operand.kind, ValueType::Scalar | ValueType::Vector) {
            let message = format!(
                "unary expression only allowed on expressions of type scalar or instant vector, got \"{}\"",
                operand.kind.documented()
            );
            self.type_error(position, message);
        }
        if !negative {
            return Ok(operand);
        }
        let (kind, height) = (operand.kind, operand.height);
        self.above(Node::Negate(Box::new(operand.expr)), position, kind, height)
    }

    fn primary(&mut self) -> Result<Operand, ParseError> {
        let kind = self.token.kind;
        match kind {
            TokenKind::Number | TokenKind::Duration => {
                let token = self.advance();
                let value = if kind == TokenKind::Number {
                    self.number(token)?
                } else {
                    self.duration_literal_ms(token)? as f64 / 1000.0
                };
                Ok(Operand::leaf(Node::Number(value), token.position, ValueType::Scalar))
            }
            TokenKind::String => {
                let token = self.advance();
                let text = self.unquote(token)?;
                Ok(Operand::leaf(Node::String(text), token.position, ValueType::String))
            }
            TokenKind::LeftParen => self.paren(),
            TokenKind::LeftBrace => self.vector_selector(None),
            kind if kind.is_metric_name() => {
                let word = self.advance();
                match (kind, self.token.kind) {
                    (TokenKind::Identifier, TokenKind::LeftParen) => self.call(word),
                    (kind, TokenKind::LeftParen) if kind.is_function_keyword() => self.call(word),
                    (TokenKind::Aggregate(op), TokenKind::LeftParen | TokenKind::By | TokenKind::Without) => {
                        self.aggregate(word, op)
                    }
                    _ => self.vector_selector(Some(word)),
                }
            }
            _ => Err(self.unexpected("", "")),
        }
    }

    fn paren(&mut self) -> Result<Operand, ParseError> {
        let start = self.advance().position.start;
        let inner = self.expression(0)?;
        self.expect(TokenKind::RightParen, "", "")?;
        let position = Position { start, end: self.previous_end };
        self.above(Node::Paren(Box::new(inner.expr)), position, inner.kind, inner.height)
    }

    fn number(&self, token: Token) -> Result<f64, ParseError> {
        literal::number(self.text_of(token)).map_err(|message| self.error(token.position, message))
    }

    fn unquote(&self, token: Token) -> Result<String, ParseError> {
        literal::unquote(self.text_of(token)).map_err(|message| self.error(token.position, message))
    }
}
