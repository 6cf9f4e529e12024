//! Why a text is no PromQL expression.

use crate::ast::Position;

/// A query was refused; `Display` gives Prometheus' form, `line:column: parse error: message`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: parse error: {message}")]
pub struct ParseError {
    /// What is wrong, in Prometheus' words where it has any.
    pub message: String,
    /// Where, in bytes of the text.
    pub position: Position,
    /// Line of the start of `position`, from 1.
    pub line: u32,
    /// Byte within the line, from 1.
    pub column: u32,
}

impl ParseError {
    pub(crate) fn new(text: &str, position: Position, message: String) -> Self {
        let before = &text.as_bytes()[..text.len().min(position.start as usize)];
        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
        let column = before.len() - before.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1) + 1;
        Self { message, position, line: line as u32, column: column as u32 }
    }
}
