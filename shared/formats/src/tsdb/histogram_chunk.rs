//! Chunks of native histograms: one bucket layout for all of a chunk, then differences of differences.

use weir_model::{CounterResetHint, Histogram, Span, is_stale_nan};

use super::TsdbError;
use super::bits::{Bits, XorFloat};
use super::chunk::announced;

/// The schema whose bounds the layout lists.
const CUSTOM_BUCKETS: i64 = -53;

/// What all histograms of a chunk share.
struct Layout {
    schema: i32,
    zero_threshold: f64,
    positive_spans: Vec<Span>,
    negative_spans: Vec<Span>,
    custom_values: Vec<f64>,
    positive: usize,
    negative: usize,
}

/// An integer that is stored as the change of its change.
#[derive(Clone, Copy, Default)]
struct Twice {
    value: i64,
    change: i64,
}

impl Twice {
    fn next(&mut self, bits: &mut Bits<'_>) -> Result<(), TsdbError> {
        self.change = self.change.wrapping_add(bits.varbit_int()?);
        self.value = self.value.wrapping_add(self.change);
        Ok(())
    }
}

/// Histograms with integer counts; buckets stand as differences from the bucket before.
pub(super) fn integers(content: &[u8], mut put: impl FnMut(i64, Histogram)) -> Result<(), TsdbError> {
    let Some((samples, flags, mut bits)) = open(content)? else { return Ok(()) };
    let layout = Layout::read(&mut bits)?;
    let mut at = Twice { value: bits.varbit_int()?, change: 0 };
    let mut count = Twice { value: bits.varbit_uint()? as i64, change: 0 };
    let mut zero = Twice { value: bits.varbit_uint()? as i64, change: 0 };
    let mut sum = XorFloat::first(bits.double()?);
    let mut buckets = vec![Twice::default(); layout.positive + layout.negative];
    for sample in 0..samples {
        if sample > 0 {
            at.next(&mut bits)?;
            count.next(&mut bits)?;
            zero.next(&mut bits)?;
            sum.next(&mut bits)?;
        }
        if is_stale_nan(sum.value) {
            put(at.value, Histogram { sum: sum.value, ..Histogram::default() });
            continue;
        }
        for bucket in &mut buckets {
            if sample == 0 {
                bucket.value = bits.varbit_int()?;
            } else {
                bucket.next(&mut bits)?;
            }
        }
        let (positive, negative) = buckets.split_at(layout.positive);
        let absolute = |side: &[Twice]| -> Vec<f64> {
            let running = side.iter().scan(0i64, |sum, bucket| {
                *sum = sum.wrapping_add(bucket.value);
                Some(*sum as f64)
            });
            running.collect()
        };
        let mut histogram = layout.histogram(flags, sample, absolute(positive), absolute(negative));
        histogram.count = count.value as u64 as f64;
        histogram.zero_count = zero.value as u64 as f64;
        histogram.sum = sum.value;
        put(at.value, checked(&bits, histogram)?);
    }
    Ok(())
}

/// Histograms with float counts; every number stands as its difference in bits from the sample before.
pub(super) fn floats(content: &[u8], mut put: impl FnMut(i64, Histogram)) -> Result<(), TsdbError> {
    let Some((samples, flags, mut bits)) = open(content)? else { return Ok(()) };
    let layout = Layout::read(&mut bits)?;
    let mut at = Twice { value: bits.varbit_int()?, change: 0 };
    let mut count = XorFloat::first(bits.double()?);
    let mut zero = XorFloat::first(bits.double()?);
    let mut sum = XorFloat::first(bits.double()?);
    let mut buckets = vec![XorFloat::first(0.0); layout.positive + layout.negative];
    for sample in 0..samples {
        if sample > 0 {
            at.next(&mut bits)?;
            count.next(&mut bits)?;
            zero.next(&mut bits)?;
            sum.next(&mut bits)?;
        }
        if is_stale_nan(sum.value) {
            put(at.value, Histogram { sum: sum.value, ..Histogram::default() });
            continue;
        }
        for bucket in &mut buckets {
            if sample == 0 {
                *bucket = XorFloat::first(bits.double()?);
            } else {
                bucket.next(&mut bits)?;
            }
        }
        let (positive, negative) = buckets.split_at(layout.positive);
        let values = |side: &[XorFloat]| side.iter().map(|bucket| bucket.value).collect();
        let mut histogram = layout.histogram(flags, sample, values(positive), values(negative));
        (histogram.count, histogram.zero_count, histogram.sum) = (count.value, zero.value, sum.value);
        put(at.value, checked(&bits, histogram)?);
    }
    Ok(())
}

/// Count of samples, flags and the bits behind them; `None` for a chunk without samples.
fn open(content: &[u8]) -> Result<Option<(u16, u8, Bits<'_>)>, TsdbError> {
    let (samples, rest) = announced(content)?;
    if samples == 0 {
        return Ok(None);
    }
    match rest {
        [flags, rest @ ..] => Ok(Some((samples, *flags, Bits::new(rest)))),
        [] => Err(TsdbError::new("a chunk's content", 2, "it has no flags")),
    }
}

fn checked(bits: &Bits<'_>, histogram: Histogram) -> Result<Histogram, TsdbError> {
    histogram.validate().map_err(|error| bits.damaged(error.to_string()))?;
    Ok(histogram)
}

impl Layout {
    fn read(bits: &mut Bits<'_>) -> Result<Self, TsdbError> {
        let zero_threshold = match bits.take(8)? {
            0 => 0.0,
            255 => bits.double()?,
            // One half times two to the power of the exponent that is left.
            code => f64::exp2(code as f64 - 244.0),
        };
        let schema = bits.varbit_int()?;
        let (positive_spans, positive) = spans(bits)?;
        let (negative_spans, negative) = spans(bits)?;
        let custom_values = if schema == CUSTOM_BUCKETS { bounds(bits)? } else { Vec::new() };
        let schema = i32::try_from(schema).map_err(|_| bits.damaged(format!("schema {schema}")))?;
        Ok(Self { schema, zero_threshold, positive_spans, negative_spans, custom_values, positive, negative })
    }

    fn histogram(&self, flags: u8, sample: u16, positive: Vec<f64>, negative: Vec<f64>) -> Histogram {
        let counter_reset_hint = match (flags >> 6, sample) {
            (3, _) => CounterResetHint::Gauge,
            // A chunk ends where a counter resets.
            (_, 1..) => CounterResetHint::NotReset,
            (2, 0) => CounterResetHint::Reset,
            _ => CounterResetHint::Unknown,
        };
        Histogram {
            counter_reset_hint,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            positive_spans: self.positive_spans.clone(),
            positive_buckets: positive,
            negative_spans: self.negative_spans.clone(),
            negative_buckets: negative,
            custom_values: self.custom_values.clone(),
            ..Histogram::default()
        }
    }
}

/// Spans, and how many buckets they cover.
fn spans(bits: &mut Bits<'_>) -> Result<(Vec<Span>, usize), TsdbError> {
    let count = bounded(bits, "spans")?;
    let (mut spans, mut buckets) = (Vec::new(), 0usize);
    for _ in 0..count {
        let (length, offset) = (bits.varbit_uint()?, bits.varbit_int()?);
        let (Ok(length), Ok(offset)) = (u32::try_from(length), i32::try_from(offset)) else {
            return Err(bits.damaged(format!("a span of {length} buckets at {offset}")));
        };
        buckets = buckets.saturating_add(length as usize);
        if buckets > Histogram::MAX_BUCKETS {
            return Err(bits.damaged(format!("more than {} buckets", Histogram::MAX_BUCKETS)));
        }
        spans.push(Span { offset, length });
    }
    Ok((spans, buckets))
}

/// Upper bounds of custom buckets: thousandths plus one where that is exact, else zero and the float.
fn bounds(bits: &mut Bits<'_>) -> Result<Vec<f64>, TsdbError> {
    let count = bounded(bits, "custom bounds")?;
    let mut bounds = Vec::new();
    for _ in 0..count {
        bounds.push(match bits.varbit_uint()? {
            0 => bits.double()?,
            thousandths => (thousandths - 1) as f64 / 1000.0,
        });
    }
    Ok(bounds)
}

fn bounded(bits: &mut Bits<'_>, what: &str) -> Result<u64, TsdbError> {
    let count = bits.varbit_uint()?;
    if count > Histogram::MAX_BUCKETS as u64 {
        return Err(bits.damaged(format!("{count} {what}, at most {}", Histogram::MAX_BUCKETS)));
    }
    Ok(count)
}
