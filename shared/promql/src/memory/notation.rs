//! The series notation of upstream's test scripts: `metric{a="b"} 1 2+3x4 _ stale {{schema:1 count:2}}`.
//!
//! Points are separated by spaces: a number; `_` for none; `stale`; `axn` for a and n more of it; `a+bxn` or
//! `a-bxn` for a and n more, each b further; a native histogram in double braces, likewise repeatable.

use std::sync::Arc;

use weir_model::{CounterResetHint, Histogram, Labels, STALE_NAN, Span};

use crate::parser::{ParseError, duration_ms, parse_series_labels};

/// Most points of one series.
pub const MAX_POINTS: usize = 100_000;

/// A value of a series at one interval.
#[derive(Debug, Clone)]
pub enum Point {
    /// `_`
    Omitted,
    /// A number, or the staleness marker.
    Float(f64),
    /// `{{…}}`
    Histogram {
        /// The histogram.
        histogram: Arc<Histogram>,
        /// True when the text says `counter_reset_hint:`, so that a test checks it.
        hint_given: bool,
    },
}

/// A text is no series notation.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NotationError {
    /// The labels are malformed.
    #[error("bad labels: {0}")]
    Labels(#[from] ParseError),
    /// A point is malformed.
    #[error("bad point {point:?}: {reason}")]
    Point {
        /// The text of the point.
        point: String,
        /// What is wrong.
        reason: String,
    },
    /// A classic histogram is not cumulative, or its count is not that of its last bucket.
    #[error("bad classic histogram {name}: {reason}")]
    Buckets {
        /// Its labels.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// Something is wrong on a line of a block.
    #[error("line {line}: {error}")]
    Line {
        /// The line within the block, from 1.
        line: usize,
        /// What is wrong.
        error: Box<NotationError>,
    },
}

impl NotationError {
    pub(super) fn at_line(self, line: usize) -> Self {
        Self::Line { line, error: Box::new(self) }
    }
}

/// Parses labels and points.
///
/// # Errors
/// [`NotationError`]
pub fn parse_series(text: &str) -> Result<(Labels, Vec<Point>), NotationError> {
    let (labels, rest) = parse_series_labels(text)?;
    Ok((labels, parse_points(rest)?))
}

/// Parses points alone.
///
/// # Errors
/// [`NotationError::Point`]
pub fn parse_points(text: &str) -> Result<Vec<Point>, NotationError> {
    let mut points = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = item_end(rest);
        let (item, after) = rest.split_at(end);
        parse_item(item, &mut points)
            .map_err(|reason| NotationError::Point { point: item.to_owned(), reason })?;
        rest = after.trim_start();
    }
    Ok(points)
}

/// Where an item ends: at a space outside double braces.
fn item_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut inside = false;
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at..].starts_with(b"{{") {
            inside = true;
            at += 1;
        } else if bytes[at..].starts_with(b"}}") {
            inside = false;
            at += 1;
        } else if !inside && bytes[at].is_ascii_whitespace() {
            break;
        }
        at += 1;
    }
    at.min(bytes.len())
}

fn parse_item(item: &str, points: &mut Vec<Point>) -> Result<(), String> {
    if let Some(rest) = item.strip_prefix('_') {
        let count = if rest.is_empty() { 1 } else { times(rest)? };
        return push_all(points, count, std::iter::repeat(Point::Omitted));
    }
    if item.starts_with("{{") {
        return parse_histograms(item, points);
    }
    if item == "stale" {
        return push_all(points, 1, std::iter::once(Point::Float(STALE_NAN)));
    }
    let (first, rest) = number_prefix(item)?;
    if rest.is_empty() {
        return push_all(points, 1, std::iter::once(Point::Float(first)));
    }
    let (step, rest) = if rest.starts_with(['+', '-']) { number_prefix(rest)? } else { (0.0, rest) };
    let count = times(rest)? + 1;
    let mut value = first;
    let values = std::iter::from_fn(|| {
        let point = Point::Float(value);
        // As upstream: the step is added again and again, with the rounding that brings.
        value += step;
        Some(point)
    });
    push_all(points, count, values)
}

fn push_all(points: &mut Vec<Point>, count: usize, more: impl Iterator<Item = Point>) -> Result<(), String> {
    if points.len() + count > MAX_POINTS {
        return Err(format!("more than {MAX_POINTS} points in a series"));
    }
    points.extend(more.take(count));
    Ok(())
}

/// `x5`
fn times(text: &str) -> Result<usize, String> {
    let digits = text.strip_prefix('x').ok_or_else(|| format!("expected x and a count, got {text:?}"))?;
    let count: usize = digits.parse().map_err(|_| format!("{digits:?} is no count"))?;
    if count > MAX_POINTS {
        return Err(format!("more than {MAX_POINTS} points in a series"));
    }
    Ok(count)
}

/// A number with an optional sign at the start of `text`, and the rest.
fn number_prefix(text: &str) -> Result<(f64, &str), String> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
    let bytes = unsigned.as_bytes();
    for word in ["inf", "nan"] {
        if unsigned.get(..3).is_some_and(|w| w.eq_ignore_ascii_case(word)) {
            let value = if word == "inf" { f64::INFINITY } else { f64::NAN };
            return Ok((sign * value, &unsigned[3..]));
        }
    }
    let mut end = 0;
    while let Some(byte) = bytes.get(end) {
        let exponent_sign = matches!(byte, b'+' | b'-') && end > 0 && matches!(bytes[end - 1], b'e' | b'E');
        if !(byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E') || exponent_sign) {
            break;
        }
        end += 1;
    }
    let (digits, rest) = unsigned.split_at(end);
    // A duration such as 5m stands for its seconds.
    let units = rest.bytes().take_while(|b| b.is_ascii_alphanumeric() && *b != b'x').count();
    if end > 0 && units > 0 {
        let ms = duration_ms(&unsigned[..end + units])?;
        return Ok((sign * ms as f64 / 1000.0, &rest[units..]));
    }
    let value: f64 = digits.parse().map_err(|_| "expected a number, \"_\" or \"stale\"".to_owned())?;
    Ok((sign * value, rest))
}

/// `{{…}}`, `{{…}}x3`, `{{…}}+{{…}}x3` or with a minus.
fn parse_histograms(item: &str, points: &mut Vec<Point>) -> Result<(), String> {
    let (first, hint_given, rest) = parse_histogram(item)?;
    let point = |histogram, hint_given| Point::Histogram { histogram: Arc::new(histogram), hint_given };
    if rest.is_empty() {
        return push_all(points, 1, std::iter::once(point(first, hint_given)));
    }
    if rest.starts_with('x') {
        return push_all(points, times(rest)? + 1, std::iter::repeat(point(first, hint_given)));
    }
    let minus = rest.starts_with('-');
    let after =
        rest.strip_prefix(['+', '-']).ok_or_else(|| format!("unexpected {rest:?} after a histogram"))?;
    let (step, hint_given, rest) = parse_histogram(after)?;
    let count = times(rest)?;
    if points.len() + count >= MAX_POINTS {
        return Err(format!("more than {MAX_POINTS} points in a series"));
    }
    let mut current = first;
    for left in (0..=count).rev() {
        points.push(point(current.clone(), hint_given));
        if left > 0 {
            if current.schema > step.schema {
                return Err(format!("cannot merge from schema {} to {}", step.schema, current.schema));
            }
            let done = if minus { current.subtract(&step) } else { current.add(&step) };
            done.map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}

/// A histogram at the start of `text`, whether it gives a reset hint, and the rest.
fn parse_histogram(text: &str) -> Result<(Histogram, bool, &str), String> {
    let inner = text.strip_prefix("{{").ok_or("expected {{")?;
    let end = inner.find("}}").ok_or("histogram without }}")?;
    let (mut fields, rest) = (inner[..end].trim_start(), &inner[end + 2..]);
    let mut histogram = Histogram::default();
    let (mut offset, mut negative_offset) = (0, 0);
    let mut seen: Vec<&str> = Vec::new();
    while !fields.is_empty() {
        let (key, after) = fields.split_once(':').ok_or_else(|| format!("missing : after {fields:?}"))?;
        let (value, after) = if let Some(list) = after.strip_prefix('[') {
            list.split_once(']').ok_or("list without ]")?
        } else {
            after.split_once(char::is_whitespace).unwrap_or((after, ""))
        };
        if seen.contains(&key) {
            return Err(format!("duplicate key {key:?} in histogram"));
        }
        seen.push(key);
        match key {
            "schema" => histogram.schema = integer(value)?,
            "sum" => histogram.sum = whole_number(value)?,
            "count" => histogram.count = whole_number(value)?,
            "z_bucket" => histogram.zero_count = whole_number(value)?,
            "z_bucket_w" => histogram.zero_threshold = whole_number(value)?,
            "offset" => offset = integer(value)?,
            "n_offset" => negative_offset = integer(value)?,
            "buckets" => histogram.positive_buckets = numbers(value)?,
            "n_buckets" => histogram.negative_buckets = numbers(value)?,
            "custom_values" => histogram.custom_values = numbers(value)?,
            "counter_reset_hint" => {
                histogram.counter_reset_hint = match value {
                    "unknown" => CounterResetHint::Unknown,
                    "reset" => CounterResetHint::Reset,
                    "not_reset" => CounterResetHint::NotReset,
                    "gauge" => CounterResetHint::Gauge,
                    other => return Err(format!("unknown counter_reset_hint {other:?}")),
                }
            }
            other => return Err(format!("bad histogram descriptor found: {other:?}")),
        }
        fields = after.trim_start();
    }
    histogram.positive_spans = spans(offset, histogram.positive_buckets.len());
    histogram.negative_spans = spans(negative_offset, histogram.negative_buckets.len());
    Ok((histogram, seen.contains(&"counter_reset_hint"), rest))
}

fn spans(offset: i32, buckets: usize) -> Vec<Span> {
    if buckets == 0 { Vec::new() } else { vec![Span { offset, length: buckets as u32 }] }
}

fn integer(text: &str) -> Result<i32, String> {
    text.parse().map_err(|_| format!("{text:?} is no whole number"))
}

fn whole_number(text: &str) -> Result<f64, String> {
    match number_prefix(text)? {
        (value, "") => Ok(value),
        (_, rest) => Err(format!("unexpected {rest:?} after a number")),
    }
}

fn numbers(text: &str) -> Result<Vec<f64>, String> {
    text.split_whitespace().map(whole_number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(text: &str) -> Vec<Option<f64>> {
        let value = |point| match point {
            Point::Float(value) => Some(value),
            _ => None,
        };
        parse_points(text).unwrap().into_iter().map(value).collect()
    }

    #[test]
    fn points_expand() {
        let some = |values: &[f64]| values.iter().map(|v| Some(*v)).collect::<Vec<_>>();
        assert_eq!(floats("1 -2.5 1e3 0x2"), some(&[1.0, -2.5, 1000.0, 0.0, 0.0, 0.0]));
        assert_eq!(floats("1+2x2 5-1x1"), some(&[1.0, 3.0, 5.0, 5.0, 4.0]));
        assert_eq!(floats("_ 1 _x2"), [None, Some(1.0), None, None]);
        assert_eq!(floats("Inf -Inf 5m"), some(&[f64::INFINITY, f64::NEG_INFINITY, 300.0]));
        assert!(weir_model::is_stale_nan(floats("stale")[0].unwrap()));
    }

    #[test]
    fn histograms_take_their_fields() {
        let text = "{{schema:1 sum:-0.3 count:3.1 z_bucket:7.1 z_bucket_w:0.05 buckets:[5.1 10 7] offset:-3 \
                    n_buckets:[4.1 5] n_offset:-5 counter_reset_hint:gauge}}";
        let points = parse_points(text).unwrap();
        let [Point::Histogram { histogram, hint_given: true }] = points.as_slice() else {
            panic!("{points:?}")
        };
        assert_eq!((histogram.schema, histogram.sum, histogram.count), (1, -0.3, 3.1));
        assert_eq!((histogram.zero_count, histogram.zero_threshold), (7.1, 0.05));
        assert_eq!(histogram.positive_buckets, [5.1, 10.0, 7.0]);
        assert_eq!(histogram.positive_spans, [Span { offset: -3, length: 3 }]);
        assert_eq!(histogram.negative_spans, [Span { offset: -5, length: 2 }]);
        assert_eq!(histogram.counter_reset_hint, CounterResetHint::Gauge);
        assert_eq!(parse_points("{{}}x3 {{}} {{ }}").unwrap().len(), 6);
    }

    #[test]
    fn malformed_points_are_refused_with_a_reason() {
        let rows = [
            ("1x", "is no count"),
            ("foo", "expected a number"),
            ("1+x3", "expected a number"),
            ("{{sum:1", "without }}"),
            ("{{sum:1 sum:2}}", "duplicate key"),
            ("{{hum:1}}", "bad histogram descriptor"),
            ("{{buckets:[1 2}}", "list without ]"),
            ("1x18446744073709551615", "more than 100000 points"),
            ("1x100000", "more than 100000 points"),
            ("{{}}+{{}}x100000", "more than 100000 points"),
        ];
        for (text, want) in rows {
            let error = parse_points(text).unwrap_err().to_string();
            assert!(error.contains(want), "{text}: {error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_text_never_panics(text: String, soup in "[-+x_0-9.{}: a-z\\[\\]]{0,40}") {
            let _ = parse_series(&text);
            let _ = parse_points(&soup);
        }
    }
}
