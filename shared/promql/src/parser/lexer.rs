//! Cuts the text of a query into tokens, one at a time and without allocation.
//!
//! What a word or a colon means depends on the brackets around it, so the lexer follows braces and
//! brackets: within `{…}` every word is a label's name, within `[…]` only durations and their
//! arithmetic may stand.

use super::literal;
use super::token::{Token, TokenKind};
use crate::ast::{BinaryOp, Position};
use crate::printer::quote_char;

/// The state of the scan. Copying it is cheap, which gives the parser lookahead.
#[derive(Debug, Clone)]
pub(crate) struct Lexer<'a> {
    text: &'a str,
    at: usize,
    parens: u32,
    in_braces: bool,
    in_brackets: bool,
    /// A duration was seen since the bracket opened.
    seen_duration: bool,
    /// A colon was seen since the bracket opened.
    seen_colon: bool,
    /// Why the scan stopped.
    error: Option<String>,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            parens: 0,
            in_braces: false,
            in_brackets: false,
            seen_duration: false,
            seen_colon: false,
            error: None,
        }
    }

    /// What the last [`TokenKind::Error`] was about.
    pub(crate) fn take_error(&mut self) -> String {
        self.error.take().unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn peek_char(&self) -> Option<char> {
        self.text.get(self.at..)?.chars().next()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let hit = self.peek() == Some(byte);
        self.at += usize::from(hit);
        hit
    }

    fn skip_while(&mut self, keep: impl Fn(u8) -> bool) {
        while self.peek().is_some_and(&keep) {
            self.at += 1;
        }
    }

    /// Skips spaces and comments.
    fn skip_blank(&mut self) {
        loop {
            self.skip_while(is_space);
            if self.peek() != Some(b'#') {
                return;
            }
            self.skip_while(|b| b != b'\n' && b != b'\r');
        }
    }

    fn fail(&mut self, message: String) -> TokenKind {
        self.error = Some(message);
        TokenKind::Error
    }

    fn fail_at_char(&mut self, before: &str, after: &str) -> TokenKind {
        let found = self.peek_char().map_or_else(|| "end of input".to_owned(), quote_char);
        self.fail(format!("{before}{found}{after}"))
    }

    /// The next token; at the end [`TokenKind::Eof`] again and again.
    pub(crate) fn next(&mut self) -> Token {
        self.skip_blank();
        let start = self.at;
        let kind = if self.in_braces {
            self.inside_braces()
        } else if self.in_brackets {
            self.inside_brackets()
        } else {
            self.statement()
        };
        // An error covers the rest of the text.
        let end = if kind == TokenKind::Error { self.text.len() } else { self.at };
        Token { kind, position: Position { start: start as u32, end: end as u32 } }
    }

    /// True when the next token opens a parenthesis.
    fn paren_follows(&self) -> bool {
        let rest = &self.text.as_bytes()[self.at..];
        rest.iter().find(|b| !is_space(**b)) == Some(&b'(')
    }

    fn statement(&mut self) -> TokenKind {
        let Some(byte) = self.peek() else {
            if self.parens > 0 {
                return self.fail("unclosed left parenthesis".to_owned());
            }
            return TokenKind::Eof;
        };
        match byte {
            b'"' | b'\'' | b'`' => return self.string(byte),
            b'0'..=b'9' => return self.number_or_duration(),
            b'.' if self.text.as_bytes().get(self.at + 1).is_some_and(u8::is_ascii_digit) => {
                return self.number_or_duration();
            }
            b'_' | b':' | b'a'..=b'z' | b'A'..=b'Z' => return self.word(),
            b'{' => self.in_braces = true,
            b'[' => {
                self.in_brackets = true;
                self.seen_colon = false;
                self.seen_duration = false;
            }
            b']' => return self.fail_at_char("unexpected right bracket ", ""),
            _ => {}
        }
        self.symbol()
    }

    /// Operators and punctuation.
    fn symbol(&mut self) -> TokenKind {
        let Some(byte) = self.peek() else { return TokenKind::Eof };
        let start = self.at;
        self.at += 1;
        match byte {
            b',' => TokenKind::Comma,
            b'@' => TokenKind::At,
            b'{' => TokenKind::LeftBrace,
            b'[' => TokenKind::LeftBracket,
            b'(' => {
                self.parens += 1;
                TokenKind::LeftParen
            }
            b')' if self.parens == 0 => {
                self.at = start;
                self.fail_at_char("unexpected right parenthesis ", "")
            }
            b')' => {
                self.parens -= 1;
                TokenKind::RightParen
            }
            b'+' => TokenKind::Operator(BinaryOp::Add),
            b'-' => TokenKind::Operator(BinaryOp::Sub),
            b'*' => TokenKind::Operator(BinaryOp::Mul),
            b'/' => TokenKind::Operator(BinaryOp::Div),
            b'%' => TokenKind::Operator(BinaryOp::Mod),
            b'^' => TokenKind::Operator(BinaryOp::Pow),
            b'=' if self.eat(b'=') => TokenKind::Operator(BinaryOp::Eq),
            b'=' if self.peek() == Some(b'~') => self.fail_at_char("unexpected character after '=': ", ""),
            b'=' => TokenKind::Assign,
            b'!' if self.eat(b'=') => TokenKind::Operator(BinaryOp::NotEq),
            b'!' => self.fail_at_char("unexpected character after '!': ", ""),
            b'<' if self.eat(b'=') => TokenKind::Operator(BinaryOp::LessEq),
            b'<' if self.eat(b'/') => TokenKind::Operator(BinaryOp::TrimUpper),
            b'<' => TokenKind::Operator(BinaryOp::Less),
            b'>' if self.eat(b'=') => TokenKind::Operator(BinaryOp::GreaterEq),
            b'>' if self.eat(b'/') => TokenKind::Operator(BinaryOp::TrimLower),
            b'>' => TokenKind::Operator(BinaryOp::Greater),
            _ => {
                self.at = start;
                self.fail_at_char("unexpected character: ", "")
            }
        }
    }

    fn inside_braces(&mut self) -> TokenKind {
        let Some(byte) = self.peek() else {
            return self.fail("unexpected end of input inside braces".to_owned());
        };
        match byte {
            b'_' | b'a'..=b'z' | b'A'..=b'Z' => {
                self.skip_while(is_word);
                return TokenKind::Identifier;
            }
            b'"' | b'\'' | b'`' => return self.string(byte),
            b'{' => return self.fail_at_char("unexpected left brace ", ""),
            _ => {}
        }
        let start = self.at;
        self.at += 1;
        match byte {
            b',' => TokenKind::Comma,
            b'}' => {
                self.in_braces = false;
                TokenKind::RightBrace
            }
            b'=' if self.eat(b'~') => TokenKind::MatchRegex,
            b'=' => TokenKind::Assign,
            b'!' if self.eat(b'~') => TokenKind::MatchNotRegex,
            b'!' if self.eat(b'=') => TokenKind::Operator(BinaryOp::NotEq),
            b'!' => self.fail_at_char("unexpected character after '!' inside braces: ", ""),
            _ => {
                self.at = start;
                self.fail_at_char("unexpected character inside braces: ", "")
            }
        }
    }

    fn inside_brackets(&mut self) -> TokenKind {
        match self.peek() {
            None if self.seen_duration => {
                let what = if self.parens > 0 { "parenthesis" } else { "bracket" };
                self.fail(format!("unclosed left {what}"))
            }
            None => self.fail("unexpected end of input in duration expression".to_owned()),
            Some(b']') => {
                self.at += 1;
                self.in_brackets = false;
                TokenKind::RightBracket
            }
            Some(b'[') => self.fail_at_char("unexpected left bracket ", ""),
            Some(b':') if self.seen_colon => self.fail_at_char("unexpected colon ", ""),
            Some(b':') => {
                self.at += 1;
                self.seen_colon = true;
                TokenKind::Colon
            }
            Some(b'0'..=b'9' | b'.') => {
                self.seen_duration = true;
                self.number_or_duration()
            }
            Some(b'(' | b')' | b'+' | b'-' | b'*' | b'/' | b'%' | b'^' | b',') => self.symbol(),
            Some(byte) if is_word(byte) => self.duration_keyword(),
            Some(_) => self.not_a_duration(),
        }
    }

    fn duration_keyword(&mut self) -> TokenKind {
        let start = self.at;
        self.skip_while(is_word);
        let kind = TokenKind::keyword(&self.text[start..self.at]);
        match kind {
            Some(kind @ (TokenKind::Step | TokenKind::Range | TokenKind::MinOf | TokenKind::MaxOf)) => {
                self.seen_duration = true;
                kind
            }
            _ => {
                self.at = start;
                self.not_a_duration()
            }
        }
    }

    fn not_a_duration(&mut self) -> TokenKind {
        if self.seen_duration {
            self.fail_at_char("unexpected character: ", ", expected ':'")
        } else {
            self.fail_at_char("unexpected character in duration expression: ", "")
        }
    }

    fn word(&mut self) -> TokenKind {
        let start = self.at;
        self.skip_while(|b| is_word(b) || b == b':');
        let word = &self.text[start..self.at];
        match TokenKind::keyword(word) {
            // Names of metrics unless they can be the modifier: `fill + fill` stays valid.
            Some(TokenKind::Fill | TokenKind::FillLeft | TokenKind::FillRight) if !self.paren_follows() => {
                TokenKind::Identifier
            }
            Some(keyword) => keyword,
            None if word.contains(':') => TokenKind::MetricIdentifier,
            None => TokenKind::Identifier,
        }
    }

    fn number_or_duration(&mut self) -> TokenKind {
        let start = self.at;
        let rest = &self.text[start..];
        let (number, is_number) = literal::scan_number(rest);
        if is_number {
            self.at += number;
            return TokenKind::Number;
        }
        // A duration starts with the digits that the number began with.
        let (duration, is_duration) = literal::scan_duration(&rest[number..]);
        self.at += number + duration;
        if is_duration {
            return TokenKind::Duration;
        }
        let message =
            format!("bad number or duration syntax: {}", crate::printer::quote(&rest[..number + duration]));
        self.at = start;
        self.fail(message)
    }

    fn string(&mut self, quote: u8) -> TokenKind {
        let start = self.at;
        self.at += 1;
        match literal::scan_string(&self.text[self.at..], quote) {
            Ok(len) => {
                self.at += len;
                TokenKind::String
            }
            Err(message) => {
                self.at = start;
                self.fail(message)
            }
        }
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Letters, digits and the underscore.
pub(crate) fn is_word(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric()
}
