//! Chunks out, as Prometheus' remote read streams them: floats by Gorilla's XOR encoding, native histograms
//! with float counts. What is written here is read back by `chunk`.

use std::sync::Arc;

use weir_model::{CounterResetHint, Histogram, SCHEMA_CUSTOM_BUCKETS, Samples, Span, is_stale_nan};

use super::chunk::Encoding;
use super::write_bits::{BitWriter, XorWriter, fits};

/// Samples of a chunk, as many as Prometheus aims at.
const CHUNK_SAMPLES: usize = 120;

/// A chunk with the times that it covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedChunk {
    /// First timestamp in milliseconds.
    pub min_ms: i64,
    /// Last timestamp.
    pub max_ms: i64,
    /// How the content is encoded.
    pub encoding: Encoding,
    /// The content without length and checksum.
    pub content: Vec<u8>,
}

/// Encodes the floats and histograms of a series: ascending, without overlaps. Sets have no form.
#[must_use]
pub fn encode(samples: &Samples) -> Vec<EncodedChunk> {
    let mut chunks = Vec::new();
    let (mut float, mut histogram) = (0, 0);
    // A chunk has one kind, so it ends where the other kind goes on.
    while float < samples.timestamps.len() || histogram < samples.histograms.len() {
        let next_float = samples.timestamps.get(float).copied().unwrap_or(i64::MAX);
        let next_histogram = samples.histograms.get(histogram).map_or(i64::MAX, |(at, _)| *at);
        if float < samples.timestamps.len() && next_float <= next_histogram {
            let run = samples.timestamps[float..].iter().take(CHUNK_SAMPLES);
            let length = run.take_while(|at| **at <= next_histogram).count();
            let end = float + length;
            chunks.push(floats(&samples.timestamps[float..end], &samples.values[float..end]));
            float = end;
        } else {
            let run = &samples.histograms[histogram..];
            let until = if float < samples.timestamps.len() { next_float } else { i64::MAX };
            let length = run_of_one_layout(run, until);
            chunks.push(histograms(&run[..length]));
            histogram += length;
        }
    }
    chunks
}

/// The count of samples, two bytes, that every chunk begins with.
fn counted(samples: usize) -> Vec<u8> {
    u16::try_from(samples).unwrap_or(u16::MAX).to_be_bytes().to_vec()
}

fn floats(timestamps: &[i64], values: &[f64]) -> EncodedChunk {
    let (min_ms, first) = (timestamps[0], values[0]);
    let mut out = BitWriter::behind(counted(timestamps.len()));
    out.varint(min_ms);
    out.double(first);
    let mut xor = XorWriter::first(first);
    let (mut at_before, mut step_before) = (min_ms, 0i64);
    for (place, (at, value)) in timestamps.iter().zip(values).enumerate().skip(1) {
        let step = at.wrapping_sub(at_before);
        if place == 1 {
            out.uvarint(step as u64);
        } else {
            change_of_step(&mut out, step.wrapping_sub(step_before));
        }
        xor.next(&mut out, *value);
        (at_before, step_before) = (*at, step);
    }
    EncodedChunk { min_ms, max_ms: at_before, encoding: Encoding::Xor, content: out.into_bytes() }
}

fn change_of_step(out: &mut BitWriter, change: i64) {
    if change == 0 {
        return out.bit(false);
    }
    match (1..).zip([14, 17, 20]).find(|(_, width)| fits(change, *width)) {
        Some((ones, width)) => {
            out.put((1 << (ones + 1)) - 2, ones + 1);
            out.put(change as u64, width);
        }
        None => {
            out.put(0b1111, 4);
            out.put(change as u64, 64);
        }
    }
}

/// How many histograms from the first one on, before `until_ms`, fit one chunk: buckets as the first one's,
/// and no counter reset in between, since the reader takes for granted that there is none.
fn run_of_one_layout(run: &[(i64, Arc<Histogram>)], until_ms: i64) -> usize {
    let follows = |pair: &&[(i64, Arc<Histogram>)]| {
        let (before, (at, next)) = (&pair[0].1, &pair[1]);
        *at < until_ms && fit_together(before, next)
    };
    1 + run.windows(2).take(CHUNK_SAMPLES - 1).take_while(follows).count()
}

fn fit_together(before: &Histogram, next: &Histogram) -> bool {
    if is_stale_nan(before.sum) || is_stale_nan(next.sum) {
        // Behind a staleness marker only another one may follow; and one fits behind anything.
        return is_stale_nan(next.sum);
    }
    let gauge = |histogram: &Histogram| histogram.counter_reset_hint == CounterResetHint::Gauge;
    let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    let alike = before.schema == next.schema
        && before.zero_threshold.to_bits() == next.zero_threshold.to_bits()
        && before.positive_spans == next.positive_spans
        && before.negative_spans == next.negative_spans
        && bits(&before.custom_values) == bits(&next.custom_values)
        && gauge(before) == gauge(next);
    let grown = |before: &[f64], next: &[f64]| before.iter().zip(next).all(|(before, next)| before <= next);
    alike
        && (gauge(next)
            || next.counter_reset_hint != CounterResetHint::Reset
                && before.count <= next.count
                && before.zero_count <= next.zero_count
                && grown(&before.positive_buckets, &next.positive_buckets)
                && grown(&before.negative_buckets, &next.negative_buckets))
}

fn histograms(run: &[(i64, Arc<Histogram>)]) -> EncodedChunk {
    let (min_ms, first) = &run[0];
    let mut content = counted(run.len());
    content.push(match first.counter_reset_hint {
        CounterResetHint::Unknown => 0,
        CounterResetHint::NotReset => 1 << 6,
        CounterResetHint::Reset => 2 << 6,
        CounterResetHint::Gauge => 3 << 6,
    });
    let mut out = BitWriter::behind(content);
    let stale = Histogram { sum: first.sum, ..Histogram::default() };
    let first = if is_stale_nan(first.sum) { &stale } else { first };
    layout(&mut out, first);
    out.varbit_int(*min_ms);
    let mut totals = [first.count, first.zero_count, first.sum].map(|value| {
        out.double(value);
        XorWriter::first(value)
    });
    let mut buckets: Vec<XorWriter> = buckets(first)
        .map(|count| {
            out.double(count);
            XorWriter::first(count)
        })
        .collect();
    let (mut at_before, mut step_before) = (*min_ms, 0i64);
    for (at, histogram) in &run[1..] {
        let is_stale = is_stale_nan(histogram.sum);
        let step = at.wrapping_sub(at_before);
        out.varbit_int(step.wrapping_sub(step_before));
        let numbers = if is_stale {
            [0.0, 0.0, histogram.sum]
        } else {
            [histogram.count, histogram.zero_count, histogram.sum]
        };
        for (total, number) in totals.iter_mut().zip(numbers) {
            total.next(&mut out, number);
        }
        if !is_stale {
            buckets
                .iter_mut()
                .zip(self::buckets(histogram))
                .for_each(|(xor, count)| xor.next(&mut out, count));
        }
        (at_before, step_before) = (*at, step);
    }
    EncodedChunk {
        min_ms: *min_ms,
        max_ms: at_before,
        encoding: Encoding::FloatHistogram,
        content: out.into_bytes(),
    }
}

fn buckets(histogram: &Histogram) -> impl Iterator<Item = f64> {
    histogram.positive_buckets.iter().chain(&histogram.negative_buckets).copied()
}

fn layout(out: &mut BitWriter, histogram: &Histogram) {
    zero_threshold(out, histogram.zero_threshold);
    out.varbit_int(i64::from(histogram.schema));
    spans(out, &histogram.positive_spans);
    spans(out, &histogram.negative_spans);
    if histogram.schema == SCHEMA_CUSTOM_BUCKETS {
        out.varbit_uint(histogram.custom_values.len() as u64);
        histogram.custom_values.iter().for_each(|bound| custom_bound(out, *bound));
    }
}

/// Powers of two from 2^-243 to 2^10 as one byte, others whole.
fn zero_threshold(out: &mut BitWriter, threshold: f64) {
    let bits = threshold.to_bits();
    let is_power = threshold > 0.0 && bits.trailing_zeros() >= 52;
    let exponent = (bits >> 52) as i64 - 1023;
    if bits == 0 {
        out.put(0, 8);
    } else if is_power && (-243..=10).contains(&exponent) {
        out.put((exponent + 244) as u64, 8);
    } else {
        out.put(255, 8);
        out.double(threshold);
    }
}

fn spans(out: &mut BitWriter, spans: &[Span]) {
    out.varbit_uint(spans.len() as u64);
    for span in spans {
        out.varbit_uint(u64::from(span.length));
        out.varbit_int(i64::from(span.offset));
    }
}

/// Thousandths plus one where that is exact and below 2^25, else zero and the float.
fn custom_bound(out: &mut BitWriter, bound: f64) {
    let thousandths = (bound * 1000.0).round();
    if (0.0..=33_554_430.0).contains(&thousandths) && (thousandths / 1000.0).to_bits() == bound.to_bits() {
        out.varbit_uint(thousandths as u64 + 1);
    } else {
        out.bit(false);
        out.double(bound);
    }
}
