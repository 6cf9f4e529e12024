//! Cuts a template into text and the tokens of its actions.

use super::TemplateError;

/// A piece of a template.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// Text outside actions.
    Text(String),
    /// `{{`, white space before it trimmed already.
    Open,
    /// `}}`
    Close,
    /// `.name`
    Field(String),
    /// `.` alone.
    Dot,
    /// `$name`, or `$` alone as the empty name.
    Variable(String),
    /// A word: a keyword or the name of a function.
    Word(String),
    Int(i64),
    Float(f64),
    Str(String),
    Pipe,
    LeftParen,
    RightParen,
    Declare,
    Assign,
    Comma,
    /// Between operands, where it separates `f .x` from `f.x`.
    Space,
}

/// A token and the line it starts on, from 1.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Lexeme {
    pub(super) token: Token,
    pub(super) line: u32,
}

/// All tokens of a template.
pub(super) fn lex(text: &str) -> Result<Vec<Lexeme>, TemplateError> {
    let mut lexer = Lexer { rest: text, line: 1, out: Vec::new() };
    lexer.run()?;
    Ok(lexer.out)
}

struct Lexer<'t> {
    rest: &'t str,
    line: u32,
    out: Vec<Lexeme>,
}

impl<'t> Lexer<'t> {
    fn run(&mut self) -> Result<(), TemplateError> {
        let mut trim_left = false;
        loop {
            let open = self.rest.find("{{");
            let (mut text, found) = match open {
                Some(at) => (&self.rest[..at], true),
                None => (self.rest, false),
            };
            let raw = text;
            if trim_left {
                text = text.trim_start_matches(is_space);
            }
            let inside = self.rest.get(raw.len() + 2..).unwrap_or_default();
            // `{{- ` trims the text before; the space is part of the marker.
            let trims = found && inside.starts_with('-') && inside[1..].starts_with(is_space);
            if trims {
                text = text.trim_end_matches(is_space);
            }
            if !text.is_empty() {
                self.push(Token::Text(text.to_owned()));
            }
            self.advance(raw.len());
            if !found {
                return Ok(());
            }
            self.advance(2 + usize::from(trims));
            trim_left = self.action()?;
        }
    }

    /// One action after its `{{`; tells whether text behind it is trimmed.
    fn action(&mut self) -> Result<bool, TemplateError> {
        let line = self.line;
        let start = self.rest.trim_start_matches(is_space);
        if start.starts_with("/*") {
            let skipped = self.rest.len() - start.len();
            let end = start.find("*/").ok_or_else(|| self.error("unclosed comment"))?;
            self.advance(skipped + end + 2);
            let (trims, length) =
                self.closing().ok_or_else(|| self.error("comment ends before closing delimiter"))?;
            self.advance(length);
            return Ok(trims);
        }
        self.push(Token::Open);
        loop {
            if let Some((trims, length)) = self.closing() {
                self.push(Token::Close);
                self.advance(length);
                return Ok(trims);
            }
            let Some(next) = self.rest.chars().next() else {
                return Err(TemplateError { line, message: "unclosed action".to_owned() });
            };
            self.token(next)?;
        }
    }

    /// What closes an action here, if anything: whether it trims, and its length.
    fn closing(&self) -> Option<(bool, usize)> {
        let trimmed = self.rest.trim_start_matches(is_space);
        let spaces = self.rest.len() - trimmed.len();
        if spaces > 0 && trimmed.starts_with("-}}") {
            return Some((true, spaces + 3));
        }
        trimmed.starts_with("}}").then_some((false, spaces + 2))
    }

    fn token(&mut self, next: char) -> Result<(), TemplateError> {
        if is_space(next) {
            let spaces = self.rest.len() - self.rest.trim_start_matches(is_space).len();
            self.push(Token::Space);
            self.advance(spaces);
            return Ok(());
        }
        let second = self.rest[next.len_utf8()..].chars().next();
        let (token, length) = match next {
            '|' => (Token::Pipe, 1),
            '(' => (Token::LeftParen, 1),
            ')' => (Token::RightParen, 1),
            ',' => (Token::Comma, 1),
            '=' => (Token::Assign, 1),
            ':' if second == Some('=') => (Token::Declare, 2),
            '"' => self.quoted('"')?,
            '`' => {
                let end =
                    self.rest[1..].find('`').ok_or_else(|| self.error("unterminated raw quoted string"))?;
                (Token::Str(self.rest[1..=end].to_owned()), end + 2)
            }
            '\'' => match self.quoted('\'')? {
                (Token::Str(text), length) if text.chars().count() == 1 => {
                    (Token::Int(text.chars().next().map_or(0, |c| i64::from(u32::from(c)))), length)
                }
                _ => return Err(self.error("malformed character constant")),
            },
            '$' => {
                let name = word(&self.rest[1..]);
                (Token::Variable(name.to_owned()), 1 + name.len())
            }
            '.' if second.is_some_and(|c| c.is_ascii_digit()) => self.number()?,
            '.' => {
                let name = word(&self.rest[1..]);
                if name.is_empty() {
                    (Token::Dot, 1)
                } else {
                    (Token::Field(name.to_owned()), 1 + name.len())
                }
            }
            '+' | '-' | '0'..='9' => self.number()?,
            c if c.is_alphabetic() || c == '_' => {
                let name = word(self.rest);
                (Token::Word(name.to_owned()), name.len())
            }
            other => return Err(self.error(&format!("unexpected {other:?} in operand"))),
        };
        self.push(token);
        self.advance(length);
        Ok(())
    }

    fn number(&self) -> Result<(Token, usize), TemplateError> {
        let bytes = self.rest.as_bytes();
        let hex = self.rest.trim_start_matches(['+', '-']).starts_with("0x");
        let mut end = 1;
        while let Some(byte) = bytes.get(end) {
            let sign = matches!(byte, b'+' | b'-') && !hex && matches!(bytes[end - 1], b'e' | b'E');
            if !(byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_') || sign) {
                break;
            }
            end += 1;
        }
        let text = &self.rest[..end];
        let plain = text.replace('_', "");
        let bad = || self.error(&format!("bad number syntax: {text:?}"));
        let token = if hex {
            let (sign, digits) = match plain.strip_prefix('-') {
                Some(rest) => (-1, rest),
                None => (1, plain.trim_start_matches('+')),
            };
            Token::Int(sign * i64::from_str_radix(digits.trim_start_matches("0x"), 16).map_err(|_| bad())?)
        } else if plain.contains(['.', 'e', 'E']) {
            Token::Float(plain.parse().map_err(|_| bad())?)
        } else {
            Token::Int(plain.parse().map_err(|_| bad())?)
        };
        Ok((token, end))
    }

    /// A quoted text or character with its escapes resolved, and its length in the template.
    fn quoted(&self, quote: char) -> Result<(Token, usize), TemplateError> {
        let mut out = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            if c == quote {
                return Ok((Token::Str(out), at + 1));
            }
            if c == '\n' {
                break;
            }
            if c != '\\' {
                out.push(c);
                continue;
            }
            let escape = chars.next().map(|(_, c)| c);
            let digits = match escape {
                Some('x') => 2,
                Some('u') => 4,
                Some('U') => 8,
                _ => 0,
            };
            if digits > 0 {
                let code: String = chars.by_ref().take(digits).map(|(_, c)| c).collect();
                let code = u32::from_str_radix(&code, 16).ok().and_then(char::from_u32);
                out.push(code.ok_or_else(|| self.error("bad escape in quoted string"))?);
                continue;
            }
            out.push(match escape {
                Some('n') => '\n',
                Some('t') => '\t',
                Some('r') => '\r',
                Some('a') => '\u{7}',
                Some('b') => '\u{8}',
                Some('f') => '\u{c}',
                Some('v') => '\u{b}',
                Some(c @ ('\\' | '"' | '\'')) => c,
                _ => return Err(self.error("bad escape in quoted string")),
            });
        }
        Err(self.error("unterminated quoted string"))
    }

    fn push(&mut self, token: Token) {
        self.out.push(Lexeme { token, line: self.line });
    }

    fn advance(&mut self, bytes: usize) {
        let (passed, rest) = self.rest.split_at(bytes);
        self.line += passed.bytes().filter(|b| *b == b'\n').count() as u32;
        self.rest = rest;
    }

    fn error(&self, message: &str) -> TemplateError {
        TemplateError { line: self.line, message: message.to_owned() }
    }
}

/// The letters, digits and underscores at the start of `text`.
fn word(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
    &text[..end]
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}
