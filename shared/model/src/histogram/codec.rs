//! The stored form of a native histogram: a versioned byte string, bit-exact and pinned by a test.
//!
//! Version 1: version, hint, schema (zigzag), zero threshold, zero count, count, sum (8 bytes each,
//! little-endian), then for positive and negative side: spans (count; offset zigzag, length) and
//! bucket counts (zigzag varint deltas when all are whole numbers below 2^53, else raw floats),
//! then the custom bounds as raw floats.

use super::{CounterResetHint, Histogram, Span};
use crate::varint::{put_i64, put_u64, take_bytes, take_f64, take_i64, take_u64};

const VERSION: u8 = 1;
const WHOLE: u8 = 0;
const RAW: u8 = 1;
/// Largest count for which every whole number is exact in a float.
const MAX_WHOLE: f64 = 9_007_199_254_740_992.0;

/// A histogram was refused or its bytes could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HistogramError {
    /// A rule of the specification is broken.
    #[error("invalid native histogram: {0}")]
    Invalid(String),
    /// The bytes end early or hold an impossible number.
    #[error("native histogram bytes are damaged")]
    Damaged,
    /// The bytes were written by a later version.
    #[error("native histogram of unknown version {0}")]
    Version(u8),
}

impl Histogram {
    /// Appends the stored form.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        out.push(self.counter_reset_hint as u8);
        put_i64(out, i64::from(self.schema));
        for number in [self.zero_threshold, self.zero_count, self.count, self.sum] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        put_side(out, &self.positive_spans, &self.positive_buckets);
        put_side(out, &self.negative_spans, &self.negative_buckets);
        put_u64(out, self.custom_values.len() as u64);
        self.custom_values.iter().for_each(|v| out.extend_from_slice(&v.to_le_bytes()));
    }

    /// The stored form.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + 3 * self.positive_buckets.len());
        self.encode(&mut out);
        out
    }

    /// Reads the stored form and checks the histogram.
    ///
    /// # Errors
    /// [`HistogramError`] says whether the bytes or the histogram are at fault.
    pub fn from_bytes(mut bytes: &[u8]) -> Result<Self, HistogramError> {
        let version = *bytes.first().ok_or(HistogramError::Damaged)?;
        if version != VERSION {
            return Err(HistogramError::Version(version));
        }
        bytes = &bytes[1..];
        let histogram = read(&mut bytes).ok_or(HistogramError::Damaged)?;
        histogram.validate()?;
        Ok(histogram)
    }
}

fn read(input: &mut &[u8]) -> Option<Histogram> {
    let counter_reset_hint = match *take_bytes(input, 1)?.first()? {
        0 => CounterResetHint::Unknown,
        1 => CounterResetHint::Reset,
        2 => CounterResetHint::NotReset,
        3 => CounterResetHint::Gauge,
        _ => return None,
    };
    let schema = i32::try_from(take_i64(input)?).ok()?;
    let zero_threshold = take_f64(input)?;
    let zero_count = take_f64(input)?;
    let count = take_f64(input)?;
    let sum = take_f64(input)?;
    let (positive_spans, positive_buckets) = take_side(input)?;
    let (negative_spans, negative_buckets) = take_side(input)?;
    let bounds = bounded_len(input)?;
    let custom_values = (0..bounds).map(|_| take_f64(input)).collect::<Option<_>>()?;
    Some(Histogram {
        counter_reset_hint,
        schema,
        zero_threshold,
        zero_count,
        count,
        sum,
        positive_spans,
        positive_buckets,
        negative_spans,
        negative_buckets,
        custom_values,
    })
}

fn put_side(out: &mut Vec<u8>, spans: &[Span], counts: &[f64]) {
    put_u64(out, spans.len() as u64);
    for span in spans {
        put_i64(out, i64::from(span.offset));
        put_u64(out, u64::from(span.length));
    }
    put_u64(out, counts.len() as u64);
    let whole = counts.iter().all(|c| *c >= 0.0 && *c < MAX_WHOLE && c.trunc().to_bits() == c.to_bits());
    if whole {
        out.push(WHOLE);
        let mut previous = 0i64;
        for count in counts {
            let now = *count as i64;
            put_i64(out, now - previous);
            previous = now;
        }
    } else {
        out.push(RAW);
        counts.iter().for_each(|c| out.extend_from_slice(&c.to_le_bytes()));
    }
}

fn take_side(input: &mut &[u8]) -> Option<(Vec<Span>, Vec<f64>)> {
    let spans = (0..bounded_len(input)?)
        .map(|_| {
            let offset = i32::try_from(take_i64(input)?).ok()?;
            let length = u32::try_from(take_u64(input)?).ok()?;
            Some(Span { offset, length })
        })
        .collect::<Option<Vec<_>>>()?;
    let len = bounded_len(input)?;
    let form = *take_bytes(input, 1)?.first()?;
    let counts = match form {
        WHOLE => {
            let mut now = 0i64;
            (0..len)
                .map(|_| {
                    now = now.checked_add(take_i64(input)?)?;
                    Some(now as f64)
                })
                .collect::<Option<Vec<_>>>()?
        }
        RAW => (0..len).map(|_| take_f64(input)).collect::<Option<Vec<_>>>()?,
        _ => return None,
    };
    Some((spans, counts))
}

fn bounded_len(input: &mut &[u8]) -> Option<usize> {
    let len = usize::try_from(take_u64(input)?).ok()?;
    (len <= Histogram::MAX_BUCKETS).then_some(len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Histogram {
        Histogram {
            schema: 3,
            zero_threshold: 0.001,
            zero_count: 2.0,
            count: 12.0,
            sum: 18.5,
            positive_spans: vec![Span { offset: -2, length: 2 }, Span { offset: 1, length: 1 }],
            positive_buckets: vec![1.0, 4.0, 3.0],
            negative_spans: vec![Span { offset: 0, length: 1 }],
            negative_buckets: vec![2.0],
            ..Histogram::default()
        }
    }

    #[test]
    fn the_stored_form_never_changes() {
        let hex: String = sample().to_bytes().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(
            hex,
            "010006fca9f1d24d62503f0000000000000040000000000000284000000000008032400203020201030002060101000101000400"
        );
        assert_eq!(Histogram::from_bytes(&sample().to_bytes()).unwrap(), sample());
        let indices: Vec<_> = sample().positive().collect();
        assert_eq!(indices, [(-2, 1.0), (-1, 4.0), (1, 3.0)]);
    }

    #[test]
    fn fractional_counts_keep_their_bits() {
        let histogram = Histogram { positive_buckets: vec![0.1, 2.5, 1e300], ..sample() };
        assert_eq!(Histogram::from_bytes(&histogram.to_bytes()).unwrap(), histogram);
    }

    #[test]
    fn broken_rules_are_named() {
        let rows = [
            ("unknown schema", Histogram { schema: 9, ..sample() }, "schema 9"),
            ("fewer counts than spans say", Histogram { positive_buckets: vec![1.0], ..sample() }, "cover 3"),
            ("a negative count", Histogram { negative_buckets: vec![-1.0], ..sample() }, "-1"),
            (
                "bounds on a standard schema",
                Histogram { custom_values: vec![1.0], ..sample() },
                "custom bounds",
            ),
        ];
        for (shows, histogram, part) in rows {
            let error = histogram.validate().unwrap_err().to_string();
            assert!(error.contains(part), "{shows}: {error}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(mut bytes: Vec<u8>, known: bool) {
            if known && !bytes.is_empty() {
                bytes[0] = VERSION;
            }
            let _ = Histogram::from_bytes(&bytes);
        }

        #[test]
        fn damaged_bytes_never_panic(at in 0usize..60, to: u8) {
            let mut bytes = sample().to_bytes();
            let at = at % bytes.len();
            bytes[at] = to;
            if let Ok(histogram) = Histogram::from_bytes(&bytes) {
                let _ = (histogram.positive().count(), histogram.negative().count());
            }
        }
    }
}
