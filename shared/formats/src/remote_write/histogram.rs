//! Native histograms: the message that both versions share, to absolute counts.
//!
//! Integer histograms carry differences between neighbouring buckets, float histograms the counts
//! themselves; the model holds absolute floats for either, exact up to 2^53.

use weir_model::{CounterResetHint, Histogram, Span};

use crate::outcome::{Problem, RejectKind};
use crate::protobuf::{Reader, Value, WireError, repeated_double, repeated_varint, zigzag};

/// One side's buckets as they came.
#[derive(Default)]
struct Side {
    spans: Vec<Span>,
    deltas: Vec<u64>,
    counts: Vec<f64>,
}

/// Reads a `Histogram` message: its timestamp in milliseconds, and the histogram or what is wrong with it.
pub(super) fn read(message: &[u8]) -> Result<(i64, Result<Histogram, Problem>), WireError> {
    let mut histogram = Histogram::default();
    let mut timestamp_ms = 0;
    let (mut positive, mut negative) = (Side::default(), Side::default());
    let mut bounded = true;
    let mut problem = None;
    let mut reader = Reader::new(message);
    while let Some((field, value)) = reader.next()? {
        match field {
            1 => histogram.count = value.varint(field)? as f64,
            2 => histogram.count = value.double(field)?,
            3 => histogram.sum = value.double(field)?,
            4 => match i32::try_from(value.sint(field)?) {
                Ok(schema) => histogram.schema = schema,
                Err(_) => problem = Some(invalid("the schema is no 32-bit number")),
            },
            5 => histogram.zero_threshold = value.double(field)?,
            6 => histogram.zero_count = value.varint(field)? as f64,
            7 => histogram.zero_count = value.double(field)?,
            8..=10 => bounded &= negative.read(field, field - 8, value, &mut problem)?,
            11..=13 => bounded &= positive.read(field, field - 11, value, &mut problem)?,
            14 => {
                histogram.counter_reset_hint = match value.varint(field)? {
                    0 => CounterResetHint::Unknown,
                    1 => CounterResetHint::Reset,
                    2 => CounterResetHint::NotReset,
                    3 => CounterResetHint::Gauge,
                    other => {
                        problem = Some(invalid(format!("reset hint {other} is none of 0 to 3")));
                        CounterResetHint::Unknown
                    }
                }
            }
            15 => timestamp_ms = value.int64(field)?,
            16 => {
                let bounds = &mut histogram.custom_values;
                bounded &= repeated_double(field, value, Histogram::MAX_BUCKETS, bounds)?;
            }
            _ => {}
        }
        if !bounded {
            problem = Some(invalid(format!("more than {} buckets or spans", Histogram::MAX_BUCKETS)));
            bounded = true;
        }
    }
    if let Some(problem) = problem {
        return Ok((timestamp_ms, Err(problem)));
    }
    let result = positive.finish("positive").and_then(|(spans, counts)| {
        (histogram.positive_spans, histogram.positive_buckets) = (spans, counts);
        let (spans, counts) = negative.finish("negative")?;
        (histogram.negative_spans, histogram.negative_buckets) = (spans, counts);
        Ok(histogram)
    });
    Ok((timestamp_ms, result))
}

fn invalid(reason: impl Into<String>) -> Problem {
    Problem::new(RejectKind::Histogram, format!("invalid native histogram: {}", reason.into()))
}

impl Side {
    /// Reads one of the side's three fields (spans, deltas, counts); `false` past the bound.
    fn read(
        &mut self,
        field: u32,
        which: u32,
        value: Value<'_>,
        problem: &mut Option<Problem>,
    ) -> Result<bool, WireError> {
        match which {
            0 => {
                if self.spans.len() >= Histogram::MAX_BUCKETS {
                    return Ok(false);
                }
                match span(value.bytes(field)?)? {
                    Some(span) => self.spans.push(span),
                    None => *problem = Some(invalid("a span's offset or length is no 32-bit number")),
                }
                Ok(true)
            }
            1 => repeated_varint(field, value, Histogram::MAX_BUCKETS, &mut self.deltas),
            _ => repeated_double(field, value, Histogram::MAX_BUCKETS, &mut self.counts),
        }
    }

    fn finish(self, side: &str) -> Result<(Vec<Span>, Vec<f64>), Problem> {
        if self.deltas.is_empty() {
            return Ok((self.spans, self.counts));
        }
        if !self.counts.is_empty() {
            return Err(invalid(format!("{side} buckets come both as integers and as floats")));
        }
        let mut count = 0i64;
        let counts = self
            .deltas
            .into_iter()
            .map(|delta| {
                count = count.checked_add(zigzag(delta))?;
                Some(count as f64)
            })
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| invalid(format!("{side} bucket deltas add up to more than 64 bits")))?;
        Ok((self.spans, counts))
    }
}

/// A `BucketSpan`; `None` when a number does not fit.
fn span(message: &[u8]) -> Result<Option<Span>, WireError> {
    let (mut offset, mut length) = (0i64, 0u64);
    let mut reader = Reader::new(message);
    while let Some((field, value)) = reader.next()? {
        match field {
            1 => offset = value.sint(field)?,
            2 => length = value.varint(field)?,
            _ => {}
        }
    }
    Ok(i32::try_from(offset)
        .ok()
        .zip(u32::try_from(length).ok())
        .map(|(offset, length)| Span { offset, length }))
}
