//! Reads lines of series.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::memchr;
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use weir_model::{MetricKind, Temporality, UniqueSet};

use super::{HistogramForm, Number};
use crate::limits::Limits;
use crate::outcome::{FormatError, Parsed, Problem, RejectKind, quote};
use crate::sink::Sink;

/// One line.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    metric: Pairs<'a>,
    #[serde(default)]
    values: Vec<Number>,
    #[serde(default)]
    timestamps: Vec<i64>,
    #[serde(default)]
    histograms: Vec<HistogramLine>,
    #[serde(default, borrow)]
    sets: Vec<SetLine<'a>>,
    #[serde(default, borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(default, borrow)]
    temporality: Cow<'a, str>,
}

#[derive(Deserialize)]
struct HistogramLine {
    timestamp: i64,
    histogram: HistogramForm,
}

#[derive(Deserialize)]
struct SetLine<'a> {
    timestamp: i64,
    #[serde(borrow)]
    set: Cow<'a, str>,
}

/// Label pairs in the order of the line; a repeated name must not be lost before it is refused.
struct Pairs<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

/// A text that borrows from the line where it has no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor;
        impl<'de> Visitor<'de> for PairsVisitor {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of labels")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'de>, A::Error> {
                // The labels of a series are bounded elsewhere; this bounds a line of nothing else.
                const MOST: usize = 10_000;
                let mut pairs = Vec::new();
                while let Some((Text(name), Text(value))) = map.next_entry()? {
                    if pairs.len() == MOST {
                        return Err(A::Error::custom(format_args!("more than {MOST} labels")));
                    }
                    pairs.push((name, value));
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(PairsVisitor)
    }
}

/// Reads lines of series.
///
/// # Errors
/// [`FormatError`] when the body passes a bound on the whole request. A bad line is rejected with its
/// number and the rest proceeds; of a line with a bad sample the other samples are taken.
pub fn parse(body: &[u8], now_ms: i64, limits: &Limits) -> Result<Parsed, FormatError> {
    let mut sink = Sink::new(now_ms, limits);
    let (mut start, mut number) = (0, 0u64);
    while start < body.len() {
        number += 1;
        let end = memchr(b'\n', &body[start..]).map_or(body.len(), |at| start + at);
        let line = body[start..end].trim_ascii();
        start = end + 1;
        if line.is_empty() {
            continue;
        }
        let read = std::str::from_utf8(line)
            .map_err(|_| Problem::syntax("the line is not UTF-8"))
            .and_then(|text| {
                serde_json::from_str::<Line<'_>>(text)
                    .map_err(|error| Problem::syntax(format!("not a series in JSON: {error}")))
            })
            .and_then(|line| take(line, number, &mut sink));
        if let Err(problem) = read {
            sink.reject(1, format_args!("line {number}"), problem);
        }
        sink.check_size()?;
    }
    Ok(sink.parsed)
}

/// Adds a line's series; what is wrong with all of it is returned, bad samples are rejected one by one.
fn take(line: Line<'_>, number: u64, sink: &mut Sink<'_>) -> Result<(), Problem> {
    let samples = line.values.len();
    if samples != line.timestamps.len() {
        let stamps = line.timestamps.len();
        return Err(Problem::syntax(format!("{samples} values and {stamps} timestamps, as many are needed")));
    }
    let most = sink.limits.samples;
    if samples.max(line.histograms.len()).max(line.sets.len()) > most {
        return Err(Problem::syntax(format!("more than {most} samples on a line: send it in pieces")));
    }
    let kind = match &*line.kind {
        "" => MetricKind::Unknown,
        name => MetricKind::from_name(name).ok_or_else(|| {
            Problem::new(RejectKind::Type, format!("metric type {} is unknown", quote(name)))
        })?,
    };
    let temporality = match &*line.temporality {
        "" | "cumulative" => Temporality::Cumulative,
        "delta" => Temporality::Delta,
        other => {
            let reason = format!("temporality {} is neither cumulative nor delta", quote(other));
            return Err(Problem::new(RejectKind::Type, reason));
        }
    };
    let pairs = line.metric.0.iter().map(|(name, value)| (&**name, &**value));
    let series = sink.series(pairs, kind, temporality)?;
    for (place, (value, at)) in line.values.iter().zip(&line.timestamps).enumerate() {
        if let Err(problem) = sink.float(series, *at, value.0) {
            sink.reject(1, format_args!("line {number}, values[{place}]"), problem);
        }
    }
    for (place, sample) in line.histograms.into_iter().enumerate() {
        match sink.histogram(series, sample.timestamp, sample.histogram.into()) {
            Ok(()) => sink.parsed.accepted.histograms += 1,
            Err(problem) => sink.reject(1, format_args!("line {number}, histograms[{place}]"), problem),
        }
    }
    for (place, sample) in line.sets.into_iter().enumerate() {
        match unpack(&sample.set).and_then(|set| sink.set(series, sample.timestamp, set)) {
            Ok(()) => sink.parsed.accepted.samples += 1,
            Err(problem) => sink.reject(1, format_args!("line {number}, sets[{place}]"), problem),
        }
    }
    Ok(())
}

/// A set out of the text that the writer made of it.
pub(crate) fn unpack(text: &str) -> Result<UniqueSet, Problem> {
    let bytes = STANDARD
        .decode(text)
        .map_err(|error| Problem::new(RejectKind::Value, format!("a set in base64 was expected: {error}")))?;
    UniqueSet::from_bytes(&bytes).map_err(|error| Problem::new(RejectKind::Value, error.to_string()))
}
