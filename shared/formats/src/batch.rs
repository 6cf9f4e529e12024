//! Batches that mix formats: a list of JSON documents of any kind and of texts in other formats.
//!
//! ```json
//! [{"custom_metrics": {"metrics": []}},
//!  {"format": "prometheus", "data": "up 1\n"},
//!  {"format": "statsd", "data": "page.views:1|c"}]
//! ```
//!
//! `format` is `prometheus`, `openmetrics`, `statsd` or `json`. The list may also stand under `batch`
//! or `metrics`, and documents one a line do as well: everything [`crate::json`] reads is read here.

use crate::json::{self, EventMapping};
use crate::limits::Limits;
use crate::outcome::{FormatError, Parsed};
use crate::sink::Sink;
use crate::statsd::GaugeMemory;

/// Reads a batch. Samples without a time get `now_ms`; `gauges` serves relative StatsD gauges.
///
/// # Errors
/// [`FormatError`] when the body is no JSON, or passes a bound on the whole request.
pub fn parse(
    body: &[u8],
    now_ms: i64,
    limits: &Limits,
    gauges: &mut dyn GaugeMemory,
) -> Result<Parsed, FormatError> {
    parse_mapped(body, now_ms, limits, gauges, None)
}

/// Reads a batch, events by a mapping where it names their types.
///
/// # Errors
/// As [`parse`].
pub fn parse_mapped(
    body: &[u8],
    now_ms: i64,
    limits: &Limits,
    gauges: &mut dyn GaugeMemory,
    events: Option<&EventMapping>,
) -> Result<Parsed, FormatError> {
    let mut sink = Sink::new(now_ms, limits);
    sink.events = events;
    json::parse_into(body, &mut sink, Some(gauges))?;
    Ok(sink.parsed)
}
