//! Tokens of PromQL and how error messages call them.

use std::fmt;

use crate::ast::{AggregateOp, BinaryOp, Position};
use crate::printer::quote;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    Eof,
    /// The lexer stopped here; its error says why.
    Error,
    Identifier,
    /// An identifier with a colon.
    MetricIdentifier,
    String,
    Number,
    Duration,
    LeftParen,
    RightParen,
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
    Comma,
    Colon,
    /// `=`
    Assign,
    /// `=~`
    MatchRegex,
    /// `!~`
    MatchNotRegex,
    At,
    /// Every binary operator, `!=` (also a match operator) and the words among them included.
    Operator(BinaryOp),
    Aggregate(AggregateOp),
    Offset,
    Anchored,
    Smoothed,
    By,
    Without,
    On,
    Ignoring,
    GroupLeft,
    GroupRight,
    Fill,
    FillLeft,
    FillRight,
    Bool,
    Start,
    End,
    Step,
    Range,
    MinOf,
    MaxOf,
}

/// A token and the bytes it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) position: Position,
}

impl TokenKind {
    /// The keyword that `word` is, in any case; `inf` and `nan` are numbers.
    pub(crate) fn keyword(word: &str) -> Option<Self> {
        // Longest keyword: count_values. Lowering on the stack keeps words free of allocation.
        let mut buffer = [0u8; 12];
        let lower = buffer.get_mut(..word.len())?;
        lower.copy_from_slice(word.as_bytes());
        lower.make_ascii_lowercase();
        Some(match std::str::from_utf8(lower).ok()? {
            "and" => Self::Operator(BinaryOp::And),
            "or" => Self::Operator(BinaryOp::Or),
            "unless" => Self::Operator(BinaryOp::Unless),
            "atan2" => Self::Operator(BinaryOp::Atan2),
            "offset" => Self::Offset,
            "anchored" => Self::Anchored,
            "smoothed" => Self::Smoothed,
            "by" => Self::By,
            "without" => Self::Without,
            "on" => Self::On,
            "ignoring" => Self::Ignoring,
            "group_left" => Self::GroupLeft,
            "group_right" => Self::GroupRight,
            "fill" => Self::Fill,
            "fill_left" => Self::FillLeft,
            "fill_right" => Self::FillRight,
            "bool" => Self::Bool,
            "start" => Self::Start,
            "end" => Self::End,
            "step" => Self::Step,
            "range" => Self::Range,
            "min_of" => Self::MinOf,
            "max_of" => Self::MaxOf,
            "inf" | "nan" => Self::Number,
            other => Self::Aggregate(AggregateOp::from_name(other)?),
        })
    }

    /// True for tokens that may be a metric's name where an operand is expected.
    pub(crate) fn is_metric_name(self) -> bool {
        match self {
            Self::Operator(op) => matches!(op, BinaryOp::And | BinaryOp::Or | BinaryOp::Unless),
            Self::Identifier
            | Self::MetricIdentifier
            | Self::Aggregate(_)
            | Self::Offset
            | Self::Anchored
            | Self::Smoothed
            | Self::By
            | Self::Without
            | Self::Fill
            | Self::FillLeft
            | Self::FillRight
            | Self::Start
            | Self::End
            | Self::Step
            | Self::Range
            | Self::MinOf
            | Self::MaxOf => true,
            _ => false,
        }
    }

    /// True for tokens that may be a label's name in a grouping clause.
    pub(crate) fn is_label_name(self) -> bool {
        self.is_metric_name()
            || matches!(
                self,
                Self::Operator(BinaryOp::Atan2)
                    | Self::Bool
                    | Self::On
                    | Self::Ignoring
                    | Self::GroupLeft
                    | Self::GroupRight
            )
    }

    /// True for words that name a function as well as a keyword.
    pub(crate) fn is_function_keyword(self) -> bool {
        matches!(self, Self::Start | Self::End | Self::Step | Self::Range | Self::MinOf | Self::MaxOf)
    }

    /// True for the modifiers that messages show as `<offset>`.
    fn is_modifier(self) -> bool {
        matches!(
            self,
            Self::Offset
                | Self::Anchored
                | Self::Smoothed
                | Self::By
                | Self::Without
                | Self::On
                | Self::Ignoring
                | Self::GroupLeft
                | Self::GroupRight
                | Self::Fill
                | Self::FillLeft
                | Self::FillRight
                | Self::Bool
        )
    }
}

/// A token as Prometheus names it in "unexpected …" messages.
pub(crate) struct Description<'a>(pub(crate) TokenKind, pub(crate) &'a str);

impl fmt::Display for Description<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(kind, text) = self;
        let noun = match kind {
            TokenKind::Eof => return f.write_str("end of input"),
            TokenKind::Aggregate(_) => return write!(f, "<aggr:{text}>"),
            TokenKind::Operator(_) | TokenKind::MatchRegex | TokenKind::MatchNotRegex | TokenKind::At => {
                return write!(f, "<op:{text}>");
            }
            kind if kind.is_modifier() => return write!(f, "<{text}>"),
            TokenKind::Identifier => "identifier ",
            TokenKind::MetricIdentifier => "metric identifier ",
            TokenKind::String => "string ",
            TokenKind::Number => "number ",
            TokenKind::Duration => "duration ",
            _ => "",
        };
        let whole = matches!(kind, TokenKind::Identifier | TokenKind::MetricIdentifier);
        match text.char_indices().nth(10) {
            Some((cut, _)) if !whole => write!(f, "{noun}{}...", quote(&text[..cut])),
            _ => write!(f, "{noun}{}", quote(text)),
        }
    }
}
