//! JSON documents of metrics: custom metrics, events, CloudWatch's MetricData and plain metrics.
//!
//! A body holds one document, several of them one a line, or a list; their kinds may mix. A document
//! is told by its members:
//!
//! | members | kind | see |
//! |---|---|---|
//! | `custom_metrics` | a list of typed metrics with a common time and source | [`custom`] |
//! | `event_metrics` | one event and its numbers | [`event`] |
//! | `MetricName`, or `MetricData` | CloudWatch's PutMetricData | [`cloudwatch`] |
//! | `name` and a value | one metric | [`custom`] |
//! | `metrics` with a time or an origin, or as an object | like `custom_metrics` | [`custom`] |
//! | `metrics` or `batch`, a list | a list of any of these | here |
//!
//! What cannot be read is rejected with its place (`[1].metrics[2].value`, before it `line 3: ` when
//! there are several lines), and the rest proceeds. Unknown members are passed by.
//!
//! Times are ISO 8601 texts, or numbers (also as text) whose magnitude tells their unit: below 1e11
//! seconds, below 1e14 milliseconds, below 1e17 microseconds, else nanoseconds. A metric's own time
//! goes before its document's, and the time of arrival stands in for either.

pub mod cloudwatch;
pub mod custom;
pub mod event;
mod mapping;
mod series;
mod tape;

use std::fmt::Display;

use bumpalo::Bump;
use memchr::memchr_iter;

use crate::limits::Limits;
use crate::outcome::{FormatError, Parsed, Problem, RejectKind, quote};
use crate::sink::Sink;
use crate::statsd::GaugeMemory;
use crate::text::Dialect;
use crate::timestamp;
pub use mapping::EventMapping;
use series::Place;
use tape::{Node, Tape};

/// Deepest list in a list of documents.
const MAX_NESTING: u32 = 4;

/// Reads a body of documents. Samples without a time get `now_ms`.
///
/// # Errors
/// [`FormatError`] when the body is no JSON, or passes a bound on the whole request.
pub fn parse(body: &[u8], now_ms: i64, limits: &Limits) -> Result<Parsed, FormatError> {
    parse_mapped(body, now_ms, limits, None)
}

/// Reads a body of documents, events by a mapping where it names their types.
///
/// # Errors
/// As [`parse`].
pub fn parse_mapped(
    body: &[u8],
    now_ms: i64,
    limits: &Limits,
    events: Option<&EventMapping>,
) -> Result<Parsed, FormatError> {
    let mut sink = Sink::new(now_ms, limits);
    sink.events = events;
    parse_into(body, &mut sink, None)?;
    Ok(sink.parsed)
}

/// Reads a body of documents, which may hold texts of other formats when there is a memory of gauges.
pub(crate) fn parse_into<'m>(
    body: &[u8],
    sink: &mut Sink<'_>,
    gauges: Option<&'m mut (dyn GaugeMemory + 'm)>,
) -> Result<(), FormatError> {
    let text = std::str::from_utf8(body).map_err(|error| {
        FormatError::bad(format!("byte {}", error.valid_up_to()), "the body is not UTF-8")
    })?;
    if text.trim_ascii().is_empty() {
        return Err(FormatError::bad(None, "the body is empty"));
    }
    let mut reader = Reader { sink, gauges };
    if !reads_as_lines(text) {
        return reader.whole(text);
    }
    let (mut start, mut number) = (0, 0u64);
    let ends = memchr_iter(b'\n', body).chain([body.len()]);
    for end in ends {
        number += 1;
        let line = text.get(start..end).unwrap_or_default().trim_ascii();
        start = end + 1;
        if line.is_empty() {
            continue;
        }
        match serde_json::from_str::<Tape<'_>>(line) {
            Ok(tape) => {
                let before = reader.sink.enter(format!("line {number}: "));
                let result = reader.document(tape.root(), &Place::root(), 0);
                reader.sink.enter(before);
                result?;
            }
            Err(error) => {
                let reason = format!("not a JSON document: {error}");
                reader.sink.reject(1, format_args!("line {number}"), Problem::syntax(reason));
                reader.sink.check_size()?;
            }
        }
    }
    Ok(())
}

/// True when each line is a document of its own: there are several, and the first one is complete.
fn reads_as_lines(text: &str) -> bool {
    let text = text.trim_ascii();
    match text.split_once('\n') {
        Some((first, _)) => serde_json::from_str::<serde::de::IgnoredAny>(first).is_ok(),
        None => false,
    }
}

/// Walks through documents.
struct Reader<'r, 'l, 'm> {
    sink: &'r mut Sink<'l>,
    gauges: Option<&'m mut (dyn GaugeMemory + 'm)>,
}

impl Reader<'_, '_, '_> {
    fn whole(&mut self, text: &str) -> Result<(), FormatError> {
        let tape = serde_json::from_str::<Tape<'_>>(text).map_err(|error| {
            // A tape takes data of every shape, so the one thing wrong with data is that it is too much.
            if error.is_data() {
                return FormatError::too_large(format!("{error}: send it in pieces"));
            }
            FormatError::bad(None, format!("the body is not JSON: {error}"))
        })?;
        self.document(tape.root(), &Place::root(), 0)
    }

    /// Reads a document or a list of documents.
    fn document(&mut self, node: Node<'_, '_>, place: &Place<'_>, depth: u32) -> Result<(), FormatError> {
        if let Some(list) = node.list() {
            if depth == MAX_NESTING {
                return self.refuse(place, format!("lists of documents nest deeper than {MAX_NESTING}"));
            }
            for (index, element) in list.enumerate() {
                self.document(element, &place.index(index), depth + 1)?;
            }
            return Ok(());
        }
        if !node.is_object() {
            return self.refuse(place, format!("expected a document, found {}", node.describe()));
        }
        let arena = Bump::new();
        if let Some(custom) = node.get("custom_metrics") {
            custom::document(custom, &place.member("custom_metrics"), &arena, self.sink)?;
        } else if let Some(event) = node.get("event_metrics") {
            event::document(event, &place.member("event_metrics"), &arena, self.sink)?;
        } else if node.get("MetricData").is_some() {
            cloudwatch::document(node, place, &arena, self.sink)?;
        } else if node.get("MetricName").is_some() {
            cloudwatch::entry(node, None, place, &arena, self.sink);
        } else if self.gauges.is_some() && node.get("format").is_some() {
            return self.embedded(node, place);
        } else if node.get_any(&["name", "metric"]).is_some() {
            custom::metric(node, None, &custom::Common::default(), place, &arena, self.sink);
        } else if let Some((name, list)) = ["metrics", "batch"].iter().find_map(|n| Some((n, node.get(n)?))) {
            if *name == "metrics"
                && (list.is_object()
                    || node.get_any(&custom::ORIGINS).is_some()
                    || node.get("timestamp").is_some())
            {
                return custom::document(node, place, &arena, self.sink);
            }
            return self.document(list, &place.member(name), depth + 1);
        } else {
            let members: Vec<_> = node.members().take(5).map(|(name, _)| quote(name)).collect();
            return self.refuse(
                place,
                format!("a document of no known kind, with members [{}]", members.join(", ")),
            );
        }
        self.sink.check_size()
    }

    fn refuse(&mut self, place: &Place<'_>, reason: String) -> Result<(), FormatError> {
        self.sink.reject(1, place, Problem::new(RejectKind::Type, reason));
        self.sink.check_size()
    }

    /// Reads `{"format": ..., "data": ...}`: a text of another format within a list.
    fn embedded(&mut self, node: Node<'_, '_>, place: &Place<'_>) -> Result<(), FormatError> {
        let Some(data) = node.get("data") else {
            return self.refuse(&place.member("data"), "the item has no data".to_owned());
        };
        let format = node.get("format").and_then(Node::text).unwrap_or_default();
        if format == "json" {
            return match data.text() {
                None => self.document(data, &place.member("data"), 1),
                Some(_) => self.refuse(&place.member("data"), "expected a document, found text".to_owned()),
            };
        }
        let dialect = match format {
            "prometheus" | "text" => Some(Dialect::Prometheus),
            "openmetrics" => Some(Dialect::OpenMetrics),
            "statsd" | "dogstatsd" => None,
            other => {
                let reason =
                    format!("format {} is none of prometheus, openmetrics, statsd, json", quote(other));
                return self.refuse(&place.member("format"), reason);
            }
        };
        let Some(text) = data.text() else {
            return self.refuse(&place.member("data"), format!("expected text, found {}", data.describe()));
        };
        let scope = format!("{}{}: ", self.sink.scope(), place.member("data"));
        let before = self.sink.enter(scope);
        let result = match (dialect, self.gauges.as_deref_mut()) {
            (Some(dialect), _) => crate::text::parse_into(text.as_bytes(), dialect, self.sink),
            (None, Some(gauges)) => crate::statsd::parse_into(text.as_bytes(), self.sink, gauges),
            (None, None) => Ok(()),
        };
        self.sink.enter(before);
        result
    }
}

/// Milliseconds of a member that holds a time.
fn time(node: Node<'_, '_>) -> Result<i64, Problem> {
    let time = match node.text() {
        // A date starts with a year and a dash, which no number does.
        Some(text) if text.trim().as_bytes().get(4) == Some(&b'-') => timestamp::from_iso8601(text.trim()),
        _ => node.number().and_then(timestamp::from_number),
    };
    time.ok_or_else(|| {
        Problem::new(
            RejectKind::Timestamp,
            format!("timestamp {} is neither ISO 8601 nor a Unix time", node.describe()),
        )
    })
}

/// A rejection on its way to where it is told.
fn at(place: &impl Display, problem: Problem) -> (String, Problem) {
    (place.to_string(), problem)
}
