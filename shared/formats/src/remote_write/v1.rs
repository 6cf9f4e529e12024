//! Remote write 1.0: `prometheus.WriteRequest`.
//!
//! Labels are copied once, from the body straight into the canonical form that batches hold, when
//! they come sorted as the specification wants; only others are collected and sorted. Whether all
//! of them are ASCII is asked once per series, and UTF-8 is checked only if not.
//!
//! Metadata comes apart from the series in 1.0, so the kind of a series stays unknown, but for
//! series of native histograms.

use weir_model::{CounterResetHint, LabelsRef, Metadata, MetricKind, Temporality};

use super::{Content, damaged, histogram, kind, nothing_known, text};
use crate::canonical::{self, LabelRun};
use crate::limits::Limits;
use crate::outcome::{FormatError, Parsed, Problem, RejectKind};
use crate::protobuf::{Reader, Value, WireError};
use crate::sink::Sink;

/// Most labels of one series that are read at all, far above any limit on them.
const MAX_LABELS: usize = 1 << 16;

pub(super) fn parse(body: &[u8], now_ms: i64, limits: &Limits) -> Result<Parsed, FormatError> {
    let mut sink = Sink::new(now_ms, limits);
    let mut canonical = Vec::with_capacity(1024);
    // The canonical labels are a little shorter than their fields, and a series with one sample is
    // seldom shorter than 100 bytes.
    sink.reserve(body.len() / 100, body.len());
    let mut reader = Reader::new(body);
    let mut index = 0;
    let mut declared = 0;
    while let Some((field, value)) = reader.next().map_err(|error| damaged(index, error))? {
        match field {
            1 => {
                value
                    .bytes(field)
                    .and_then(|message| series(message, index, &mut canonical, &mut sink))
                    .map_err(|error| damaged(index, error))?;
                index += 1;
                sink.check_size()?;
            }
            3 => {
                let place = || format!("metadata {declared}");
                let entry = value
                    .bytes(field)
                    .and_then(metadata)
                    .map_err(|error| FormatError::bad(place(), error.to_string()))?;
                if let Err(problem) = entry.and_then(|entry| sink.metadata(entry)) {
                    sink.reject(1, place(), problem);
                }
                declared += 1;
                sink.check_size()?;
            }
            4 | 5 if matches!(value, Value::Bytes(_)) => {
                return Err(FormatError::bad(
                    format!("field {field}"),
                    "this is a remote write 2.0 message, but the content type says 1.0",
                ));
            }
            _ => {}
        }
    }
    if index + declared == 0 && !body.is_empty() {
        return Err(nothing_known("prometheus.WriteRequest"));
    }
    Ok(sink.parsed)
}

/// Reads one `TimeSeries`; an error means that the message is damaged.
fn series(
    message: &[u8],
    index: usize,
    canonical: &mut Vec<u8>,
    sink: &mut Sink<'_>,
) -> Result<(), WireError> {
    let mut reader = Reader::new(message);
    let mut labels = LabelRun::new(canonical);
    let mut content = Content::default();
    while let Some((run, rest)) = plain_label(reader.rest()) {
        labels.push_prefixed(run.name, run.value, sink.limits);
        reader = Reader::new(rest);
    }
    let mut after_labels = reader.rest();
    while let Some((field, value)) = reader.next()? {
        match field {
            1 => {
                let (name, value) = label(value.bytes(field)?)?;
                labels.push(name, value, sink.limits);
                if labels.count() > MAX_LABELS {
                    return Err(WireError::TooOften { field, most: MAX_LABELS });
                }
                // Labels come first with all known senders; if not, the second pass starts over.
                after_labels = if content.is_empty() { reader.rest() } else { message };
            }
            2 => content.samples += 1,
            3 => content.exemplars += 1,
            4 => content.histograms += 1,
            _ => {}
        }
    }
    if content.is_empty() {
        return Ok(());
    }
    let judged = if let Some(problem) = labels.too_many(sink.limits) {
        Err(problem)
    } else if labels.is_ascending() {
        let good = labels.is_good(sink.limits);
        checked(good, canonical, message, sink.limits)?
    } else {
        sorted(message, canonical, sink.limits)?
    };
    if let Err(problem) = judged {
        sink.reject(content.lost(), format_args!("timeseries {index}"), problem);
        return Ok(());
    }
    let labels = LabelsRef::from_canonical(canonical);
    let kind = if content.histograms > 0 { MetricKind::Histogram } else { MetricKind::Unknown };
    let place = sink.canonical_series(labels, kind, Temporality::Cumulative);
    let mut reader = Reader::new(after_labels);
    let before = (sink.parsed.batch.sample_count(), sink.parsed.batch.exemplars.len());
    let mut seen = Content::default();
    while let Some((field, value)) = reader.next()? {
        let result = match field {
            2 => {
                seen.samples += 1;
                let (timestamp_ms, number) = sample(value.bytes(field)?)?;
                sink.float(place, timestamp_ms, number)
            }
            3 => {
                seen.exemplars += 1;
                exemplar(value.bytes(field)?, place, sink)?
            }
            4 => {
                seen.histograms += 1;
                let (timestamp_ms, histogram) = histogram::read(value.bytes(field)?)?;
                histogram.and_then(|histogram| {
                    if histogram.counter_reset_hint == CounterResetHint::Gauge {
                        sink.parsed.batch.set_kind(place, MetricKind::GaugeHistogram);
                    }
                    sink.histogram(place, timestamp_ms, histogram)?;
                    sink.parsed.accepted.histograms += 1;
                    Ok(())
                })
            }
            _ => Ok(()),
        };
        if let Err(problem) = result {
            let place = match field {
                2 => format!("timeseries {index}, sample {}", seen.samples - 1),
                3 => format!("timeseries {index}, exemplar {}", seen.exemplars - 1),
                _ => format!("timeseries {index}, histogram {}", seen.histograms - 1),
            };
            sink.reject(1, place, problem);
        }
    }
    if before == (sink.parsed.batch.sample_count(), sink.parsed.batch.exemplars.len()) {
        sink.parsed.batch.pop_series();
    }
    Ok(())
}

/// Judges labels that came ascending.
fn checked(
    good: bool,
    canonical: &[u8],
    message: &[u8],
    limits: &Limits,
) -> Result<Result<(), Problem>, WireError> {
    if !good {
        let pairs = pairs(message)?;
        return Ok(Err(canonical::problem_of(&pairs, limits)));
    }
    // Lengths above 127 make the bytes look foreign too; the full check sorts that out.
    if !canonical.is_ascii()
        && let Err(error) = LabelsRef::check(canonical)
    {
        return Ok(Err(Problem::new(RejectKind::Labels, error.to_string())));
    }
    Ok(Ok(()))
}

/// Name and value, as they lie in the body.
type Pair<'a> = (&'a [u8], &'a [u8]);

/// All labels of a time series.
fn pairs(message: &[u8]) -> Result<Vec<Pair<'_>>, WireError> {
    let mut pairs = Vec::new();
    let mut reader = Reader::new(message);
    while let Some((field, value)) = reader.next()? {
        if field == 1 {
            pairs.push(label(value.bytes(field)?)?);
        }
    }
    Ok(pairs)
}

/// The way for labels out of order: collects, sorts and writes them.
fn sorted(
    message: &[u8],
    canonical: &mut Vec<u8>,
    limits: &Limits,
) -> Result<Result<(), Problem>, WireError> {
    let mut pairs = pairs(message)?;
    pairs.sort_unstable();
    let mut run = LabelRun::new(canonical);
    pairs.iter().for_each(|(name, value)| run.push(name, value, limits));
    if !run.is_ascending() {
        return Ok(Err(canonical::problem_of(&pairs, limits)));
    }
    let good = run.is_good(limits);
    checked(good, canonical, message, limits)
}

/// A label in the form that every known encoder gives short ones.
#[derive(Clone, Copy)]
struct PlainLabel<'a> {
    /// Name with its length of one byte before it.
    name: &'a [u8],
    /// Value, likewise.
    value: &'a [u8],
}

/// Takes one label off a time series when it is plain: field 1, name before value, both shorter than
/// 128 bytes. In that form the canonical bytes lie in the message as they are; nearly all labels
/// have it, and the general reader costs four times as much.
#[inline(always)]
fn plain_label(message: &[u8]) -> Option<(PlainLabel<'_>, &[u8])> {
    let [0x0a, len, 0x0a, name_len, ..] = message else { return None };
    let (len, name_len) = (usize::from(*len), usize::from(*name_len));
    let (name, rest) = message[3..].split_at_checked(1 + name_len)?;
    let [0x12, value_len, ..] = rest else { return None };
    let value_len = usize::from(*value_len);
    if len >= 0x80 || len != name_len + value_len + 4 {
        return None;
    }
    let (value, rest) = rest[1..].split_at_checked(1 + value_len)?;
    Some((PlainLabel { name, value }, rest))
}

/// A `Label`: name and value.
#[inline]
fn label(message: &[u8]) -> Result<Pair<'_>, WireError> {
    let (mut name, mut text): (&[u8], &[u8]) = (&[], &[]);
    let mut reader = Reader::new(message);
    while let Some((field, value)) = reader.next()? {
        match field {
            1 => name = value.bytes(field)?,
            2 => text = value.bytes(field)?,
            _ => {}
        }
    }
    Ok((name, text))
}

/// A `Sample`: timestamp in milliseconds and value.
#[inline]
pub(super) fn sample(message: &[u8]) -> Result<(i64, f64), WireError> {
    let (mut timestamp_ms, mut number) = (0, 0.0);
    let mut reader = Reader::new(message);
    while let Some((field, value)) = reader.next()? {
        match field {
            1 => number = value.double(field)?,
            2 => timestamp_ms = value.int64(field)?,
            _ => {}
        }
    }
    Ok((timestamp_ms, number))
}

fn exemplar(message: &[u8], place: u32, sink: &mut Sink<'_>) -> Result<Result<(), Problem>, WireError> {
    let (mut timestamp_ms, mut number) = (0, 0.0);
    let mut pairs = Vec::new();
    let mut problem = Ok(());
    let mut reader = Reader::new(message);
    while let Some((field, value)) = reader.next()? {
        match field {
            1 => {
                let (name, value) = label(value.bytes(field)?)?;
                match text(name).and_then(|name| Ok((name, text(value)?))) {
                    // One past the limit is enough for the refusal.
                    Ok(pair) if pairs.len() <= sink.limits.labels => pairs.push(pair),
                    Ok(_) => {}
                    Err(error) => problem = Err(error),
                }
            }
            2 => number = value.double(field)?,
            3 => timestamp_ms = value.int64(field)?,
            _ => {}
        }
    }
    Ok(problem.and_then(|()| sink.exemplar(place, timestamp_ms, number, &pairs)))
}

/// A `MetricMetadata`.
fn metadata(message: &[u8]) -> Result<Result<Metadata, Problem>, WireError> {
    let (mut family, mut help, mut unit): (&[u8], &[u8], &[u8]) = (&[], &[], &[]);
    let mut code = 0;
    let mut reader = Reader::new(message);
    while let Some((field, value)) = reader.next()? {
        match field {
            1 => code = value.varint(field)?,
            2 => family = value.bytes(field)?,
            4 => help = value.bytes(field)?,
            5 => unit = value.bytes(field)?,
            _ => {}
        }
    }
    let entry = || {
        Ok(Metadata {
            family: text(family)?.to_owned(),
            kind: kind(code),
            unit: text(unit)?.to_owned(),
            help: text(help)?.to_owned(),
        })
    };
    Ok(entry())
}
