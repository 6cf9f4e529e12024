//! One line of the text formats: name, labels, value, timestamp, exemplar.

use bumpalo::Bump;
use memchr::memchr2;
use weir_model::METRIC_NAME;

use crate::names;
use crate::number;
use crate::outcome::{Problem, RejectKind, quote};

/// Most labels of a line, far above any limit on those of a series.
const MAX_LABELS: usize = 1000;

/// A sample's line without its labels, which lie in the caller's memory.
pub(super) struct Sample<'a> {
    pub(super) name: &'a str,
    pub(super) value: f64,
    pub(super) timestamp: Option<&'a str>,
    /// Value, and timestamp if there is one.
    pub(super) exemplar: Option<(f64, Option<&'a str>)>,
}

/// Place in a line, which only ever stops at ASCII characters and thus at boundaries.
struct Cursor<'a> {
    line: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    #[inline]
    fn peek(&self) -> Option<u8> {
        self.line.as_bytes().get(self.at).copied()
    }

    #[inline]
    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
    }

    /// A bare name: letters, digits and underscores (and colons), no digit first.
    #[inline]
    fn name(&mut self, colon: bool) -> Option<&'a str> {
        let len = names::bare_len(self.line.as_bytes().get(self.at..)?, colon);
        if len == 0 {
            return None;
        }
        let name = self.line.get(self.at..self.at + len)?;
        self.at += len;
        Some(name)
    }

    /// A quoted text, `at` being on its opening quote; borrowed unless it holds escapes.
    #[inline]
    fn quoted(&mut self, arena: &'a Bump) -> Result<&'a str, Problem> {
        let start = self.at + 1;
        let rest = self.line.as_bytes().get(start..).unwrap_or_default();
        match memchr2(b'"', b'\\', rest) {
            Some(len) if rest[len] == b'"' => {
                self.at = start + len + 1;
                Ok(self.line.get(start..start + len).unwrap_or_default())
            }
            Some(len) => self.escaped(start, len, arena),
            None => Err(Problem::syntax("a quoted text does not end")),
        }
    }

    /// A quoted text whose first backslash stands `clean` bytes after `start`.
    #[cold]
    fn escaped(&mut self, start: usize, clean: usize, arena: &'a Bump) -> Result<&'a str, Problem> {
        let rest = self.line.get(start..).unwrap_or_default();
        let mut text = String::with_capacity(rest.len().min(4 * clean + 64));
        let mut at = 0;
        loop {
            let Some(len) = memchr2(b'"', b'\\', &rest.as_bytes()[at..]) else {
                return Err(Problem::syntax("a quoted text does not end"));
            };
            text.push_str(&rest[at..at + len]);
            at += len + 1;
            if rest.as_bytes()[at - 1] == b'"' {
                self.at = start + at;
                return Ok(arena.alloc_str(&text));
            }
            match rest.as_bytes().get(at) {
                Some(b'n') => text.push('\n'),
                Some(b'"') => text.push('"'),
                Some(b'\\') => text.push('\\'),
                _ => return Err(Problem::syntax("a backslash stands before neither n, \\ nor \"")),
            }
            at += 1;
        }
    }

    /// Text up to the next blank or the end.
    #[inline]
    fn token(&mut self) -> &'a str {
        let rest = self.line.as_bytes().get(self.at..).unwrap_or_default();
        let len = rest.iter().position(|b| matches!(b, b' ' | b'\t')).unwrap_or(rest.len());
        let token = self.line.get(self.at..self.at + len).unwrap_or_default();
        self.at += len;
        token
    }

    fn found(&self) -> String {
        let rest = self.line.get(self.at..).unwrap_or_default();
        if rest.is_empty() { "the end of the line".to_owned() } else { quote(rest) }
    }

    /// Labels between braces, `at` being behind the opening one. A quoted text without a value is
    /// the metric's name and goes to `name`.
    fn labels(
        &mut self,
        arena: &'a Bump,
        pairs: &mut Vec<(&'a str, &'a str)>,
        name: &mut Option<&'a str>,
    ) -> Result<(), Problem> {
        loop {
            self.skip_blanks();
            let label = match self.peek() {
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'"') => {
                    let text = self.quoted(arena)?;
                    self.skip_blanks();
                    if self.peek() != Some(b'=') {
                        if name.replace(text).is_some() {
                            return Err(Problem::syntax(format!("{} is a second metric name", quote(text))));
                        }
                        self.separator()?;
                        continue;
                    }
                    text
                }
                _ => self.name(false).ok_or_else(|| {
                    Problem::syntax(format!("expected a label name or }}, found {}", self.found()))
                })?,
            };
            self.skip_blanks();
            if self.peek() != Some(b'=') {
                return Err(Problem::syntax(format!(
                    "expected = after label {}, found {}",
                    quote(label),
                    self.found()
                )));
            }
            self.at += 1;
            self.skip_blanks();
            if self.peek() != Some(b'"') {
                return Err(Problem::syntax(format!(
                    "expected a quoted value of label {}, found {}",
                    quote(label),
                    self.found()
                )));
            }
            let value = self.quoted(arena)?;
            if pairs.len() > MAX_LABELS {
                return Err(Problem::new(RejectKind::Labels, format!("more than {MAX_LABELS} labels")));
            }
            pairs.push((label, value));
            self.separator()?;
        }
    }

    /// A comma, or the closing brace ahead.
    #[inline]
    fn separator(&mut self) -> Result<(), Problem> {
        self.skip_blanks();
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                Ok(())
            }
            Some(b'}') => Ok(()),
            _ => Err(Problem::syntax(format!("expected , or }}, found {}", self.found()))),
        }
    }
}

/// Reads a sample's line; `pairs` gets its labels with the metric's name.
pub(super) fn sample<'a>(
    line: &'a str,
    exemplars: bool,
    arena: &'a Bump,
    pairs: &mut Vec<(&'a str, &'a str)>,
    exemplar_pairs: &mut Vec<(&'a str, &'a str)>,
) -> Result<Sample<'a>, Problem> {
    pairs.clear();
    let mut cursor = Cursor { line, at: 0 };
    let mut name = None;
    if cursor.peek() != Some(b'{') {
        name = cursor.name(true);
        if name.is_none() {
            return Err(Problem::syntax(format!("expected a metric name, found {}", cursor.found())));
        }
        cursor.skip_blanks();
    }
    // Here already, so that labels in order need no sorting.
    pairs.push((METRIC_NAME, name.unwrap_or_default()));
    if cursor.peek() == Some(b'{') {
        cursor.at += 1;
        cursor.labels(arena, pairs, &mut name)?;
    } else if !matches!(line.as_bytes().get(cursor.at.wrapping_sub(1)), Some(b' ' | b'\t')) {
        return Err(Problem::syntax(format!("a metric name is followed by {}", cursor.found())));
    }
    // `{__name__="up"} 1` names the metric by its label.
    let name = match name {
        Some(name) => {
            pairs[0].1 = name;
            name
        }
        None => {
            pairs.remove(0);
            pairs.iter().find(|(label, _)| *label == METRIC_NAME).map_or("", |(_, name)| *name)
        }
    };
    let (value, timestamp) = value_and_time(&mut cursor)?;
    let mut exemplar = None;
    if cursor.peek() == Some(b'#') {
        if !exemplars {
            return Err(Problem::syntax("exemplars belong to OpenMetrics: send it with that content type"));
        }
        cursor.at += 1;
        cursor.skip_blanks();
        if cursor.peek() != Some(b'{') {
            return Err(Problem::syntax(format!(
                "expected the labels of an exemplar, found {}",
                cursor.found()
            )));
        }
        cursor.at += 1;
        exemplar_pairs.clear();
        let mut unwanted = None;
        cursor.labels(arena, exemplar_pairs, &mut unwanted)?;
        if unwanted.is_some() {
            return Err(Problem::syntax("an exemplar has no metric name"));
        }
        exemplar = Some(value_and_time(&mut cursor)?);
    }
    if cursor.peek().is_some() {
        return Err(Problem::syntax(format!("expected the end of the line, found {}", cursor.found())));
    }
    Ok(Sample { name, value, timestamp, exemplar })
}

/// A value and perhaps a timestamp; leaves the cursor behind the blanks that follow.
#[inline]
fn value_and_time<'a>(cursor: &mut Cursor<'a>) -> Result<(f64, Option<&'a str>), Problem> {
    cursor.skip_blanks();
    let token = cursor.token();
    let Some(value) = number::float(token) else {
        let reason = if token.is_empty() {
            "the value is missing".to_owned()
        } else {
            format!("value {} is not a number", quote(token))
        };
        return Err(Problem::new(RejectKind::Value, reason));
    };
    cursor.skip_blanks();
    if matches!(cursor.peek(), None | Some(b'#')) {
        return Ok((value, None));
    }
    let timestamp = cursor.token();
    cursor.skip_blanks();
    Ok((value, Some(timestamp)))
}

/// The family's name that a declaration starts with, bare or quoted, and the rest.
pub(super) fn declared_name<'a>(text: &'a str, arena: &'a Bump) -> Result<(&'a str, &'a str), Problem> {
    let mut cursor = Cursor { line: text, at: 0 };
    let name = match cursor.peek() {
        Some(b'"') => Some(cursor.quoted(arena)?),
        _ => cursor.name(true),
    };
    match name {
        Some(name) if matches!(cursor.peek(), None | Some(b' ' | b'\t')) => {
            Ok((name, text.get(cursor.at..).unwrap_or_default()))
        }
        _ => Err(Problem::syntax(format!("expected a metric name, found {}", quote(text)))),
    }
}

/// Help text with its escapes undone: `\n`, `\\` and, in OpenMetrics, `\"`; others stay as they are.
pub(super) fn unescaped_help<'a>(help: &'a str, arena: &'a Bump) -> &'a str {
    if !help.contains('\\') {
        return help;
    }
    let mut text = String::with_capacity(help.len());
    let mut chars = help.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => text.push('\n'),
            Some(escaped @ ('\\' | '"')) => text.push(escaped),
            Some(other) => text.extend(['\\', other]),
            None => text.push('\\'),
        }
    }
    arena.alloc_str(&text)
}
