//! The request: which series, which times, and what the reader takes as an answer.

use weir_model::{MatchOp, Matcher};

use crate::outcome::{FormatError, quote};
use crate::protobuf::{Reader, Value, WireError, repeated_varint};

/// Most queries of a request.
const MAX_QUERIES: usize = 100;
/// Most matchers of a query.
const MAX_MATCHERS: usize = 1_000;
/// Most kinds of answers that a reader may list.
const MAX_TYPES: usize = 100;

/// How to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseType {
    /// All samples in one message.
    Samples,
    /// A stream of messages with chunks of one series each.
    StreamedChunks,
}

/// One selection.
#[derive(Debug, Clone)]
pub struct Query {
    /// Earliest timestamp in milliseconds, inclusive.
    pub start_ms: i64,
    /// Latest timestamp, inclusive.
    pub end_ms: i64,
    /// Conditions on labels, all of which must hold.
    pub matchers: Vec<Matcher>,
}

/// What is asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// Selections, to be answered in this order.
    pub queries: Vec<Query>,
    /// The first kind of answer of those the reader takes that exists here.
    pub response: ResponseType,
}

/// Reads a decompressed `ReadRequest`.
///
/// # Errors
/// [`FormatError`] for damaged messages, bad regular expressions, too many parts, and readers that take no
/// answer that exists here.
pub fn parse(body: &[u8]) -> Result<Request, FormatError> {
    let mut queries = Vec::new();
    let mut types: Vec<u64> = Vec::new();
    let mut reader = Reader::new(body);
    while let Some((field, value)) = reader.next().map_err(damaged)? {
        match field {
            1 => {
                if queries.len() >= MAX_QUERIES {
                    return Err(FormatError::bad(None, format!("more than {MAX_QUERIES} queries")));
                }
                queries.push(query(value.bytes(field).map_err(damaged)?)?);
            }
            2 if !repeated_varint(field, value, MAX_TYPES, &mut types).map_err(damaged)? => {
                return Err(FormatError::bad(None, format!("more than {MAX_TYPES} accepted response types")));
            }
            _ => {}
        }
    }
    let known = |code: &u64| match code {
        0 => Some(ResponseType::Samples),
        1 => Some(ResponseType::StreamedChunks),
        _ => None,
    };
    // A reader that lists nothing is of before there was a choice.
    let response = if types.is_empty() { Some(ResponseType::Samples) } else { types.iter().find_map(known) };
    let response = response.ok_or_else(|| {
        FormatError::bad(None, format!(
            "none of the accepted response types {types:?} is supported: use 0 (samples) or 1 (streamed chunks)"
        ))
    })?;
    Ok(Request { queries, response })
}

fn damaged(error: WireError) -> FormatError {
    FormatError::bad(None, format!("the read request is damaged: {error}"))
}

fn query(message: &[u8]) -> Result<Query, FormatError> {
    let mut query = Query { start_ms: 0, end_ms: 0, matchers: Vec::new() };
    let mut reader = Reader::new(message);
    while let Some((field, value)) = reader.next().map_err(damaged)? {
        match (field, value) {
            (1, Value::Varint(ms)) => query.start_ms = ms as i64,
            (2, Value::Varint(ms)) => query.end_ms = ms as i64,
            (3, value) => {
                if query.matchers.len() >= MAX_MATCHERS {
                    return Err(FormatError::bad(
                        None,
                        format!("more than {MAX_MATCHERS} matchers in a query"),
                    ));
                }
                query.matchers.push(matcher(value.bytes(field).map_err(damaged)?)?);
            }
            // Hints say what the samples are for; the answer is the same without.
            _ => {}
        }
    }
    Ok(query)
}

fn matcher(message: &[u8]) -> Result<Matcher, FormatError> {
    let (mut op, mut name, mut pattern) = (MatchOp::Equal, "", "");
    let mut reader = Reader::new(message);
    while let Some((field, value)) = reader.next().map_err(damaged)? {
        match (field, value) {
            (1, Value::Varint(code)) => {
                op = match code {
                    0 => MatchOp::Equal,
                    1 => MatchOp::NotEqual,
                    2 => MatchOp::Regex,
                    3 => MatchOp::NotRegex,
                    other => {
                        return Err(FormatError::bad(
                            None,
                            format!("matcher type {other} is not known, 0 to 3 are"),
                        ));
                    }
                }
            }
            (2, value) => name = text(value.bytes(field).map_err(damaged)?)?,
            (3, value) => pattern = text(value.bytes(field).map_err(damaged)?)?,
            _ => {}
        }
    }
    Matcher::new(name, op, pattern).map_err(|error| FormatError::bad(None, quote(&error.to_string())))
}

fn text(bytes: &[u8]) -> Result<&str, FormatError> {
    std::str::from_utf8(bytes).map_err(|_| FormatError::bad(None, "a matcher is not UTF-8"))
}
