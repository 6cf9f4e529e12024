//! The labels of a series as upstream's test scripts write them: `metric{label="value"}`.

use weir_model::{Labels, LabelsBuilder, METRIC_NAME};

use super::token::TokenKind;
use super::{MAX_QUERY_BYTES, ParseError, Parser};
use crate::ast::Position;

/// Parses the labels at the start of `text` and returns them with the rest of it.
///
/// # Errors
/// [`ParseError`] where the labels are malformed.
pub(crate) fn parse_series_labels(text: &str) -> Result<(Labels, &str), ParseError> {
    if text.len() > MAX_QUERY_BYTES {
        let message = format!("series of {} bytes is longer than {MAX_QUERY_BYTES} bytes", text.len());
        return Err(ParseError::new(text, Position::default(), message));
    }
    let mut parser = Parser::new(text);
    let mut labels = LabelsBuilder::new();
    let mut end = 0;
    if parser.token.kind.is_metric_name() {
        let name = parser.token;
        end = name.position.end as usize;
        labels.set(METRIC_NAME, parser.text_of(name));
        // Behind a space, braces belong to the values: `metric {{schema:0}}`.
        if text.as_bytes().get(end) == Some(&b'{') {
            parser.advance();
        }
    }
    if parser.token.kind == TokenKind::LeftBrace {
        end = parser.label_set(&mut labels)? as usize;
    } else if end == 0 {
        return Err(parser.unexpected("", ""));
    }
    Ok((labels.build(), text.get(end..).unwrap_or_default()))
}

impl Parser<'_> {
    /// `{a="b", "metric.name"}`; returns where it ends.
    fn label_set(&mut self, into: &mut LabelsBuilder) -> Result<u32, ParseError> {
        const CONTEXT: &str = "label set";
        self.advance();
        while self.token.kind != TokenKind::RightBrace {
            let name = match self.token.kind {
                TokenKind::Identifier => {
                    let token = self.advance();
                    self.text_of(token).to_owned()
                }
                TokenKind::String => {
                    let token = self.advance();
                    let text = self.unquote(token)?;
                    if matches!(self.token.kind, TokenKind::Comma | TokenKind::RightBrace) {
                        into.set(METRIC_NAME, &text);
                        if self.token.kind == TokenKind::Comma {
                            self.advance();
                        }
                        continue;
                    }
                    text
                }
                _ => return Err(self.unexpected(CONTEXT, "identifier or \"}\"")),
            };
            self.expect(TokenKind::Assign, CONTEXT, "\"=\"")?;
            let value = self.expect(TokenKind::String, CONTEXT, "string")?;
            into.set(&name, &self.unquote(value)?);
            match self.token.kind {
                TokenKind::Comma => drop(self.advance()),
                TokenKind::RightBrace => {}
                _ => return Err(self.unexpected(CONTEXT, "\",\" or \"}\"")),
            }
        }
        Ok(self.token.position.end)
    }
}
