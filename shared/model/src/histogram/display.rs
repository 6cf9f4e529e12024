//! Histograms as text, as PromQL's `count_values` shows them.

use std::fmt;

use super::{BucketSide, Histogram};

/// A number as Go's `%g` writes it: the shortest digits that read back, with an exponent below 1e-4 and from
/// 1e6 on, and infinities with their sign.
pub struct ShortFloat(pub f64);

impl fmt::Display for ShortFloat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let x = self.0;
        if x.is_nan() {
            return f.write_str("NaN");
        }
        if x.is_infinite() {
            return f.write_str(if x > 0.0 { "+Inf" } else { "-Inf" });
        }
        let scientific = format!("{x:e}");
        let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
        let exponent: i32 = exponent.parse().unwrap_or(0);
        if x == 0.0 || (-4..6).contains(&exponent) {
            return write!(f, "{x}");
        }
        let sign = if exponent < 0 { '-' } else { '+' };
        write!(f, "{digits}e{sign}{:02}", exponent.abs())
    }
}

impl fmt::Display for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{count:{}, sum:{}", ShortFloat(self.count), ShortFloat(self.sum))?;
        let custom = self.has_custom_buckets();
        for bucket in self.buckets_ascending().filter(|b| b.count != 0.0) {
            let (lower, upper) = self.raw_bounds(bucket.side, bucket.index);
            let (open, close) = match bucket.side {
                BucketSide::Zero => ('[', ']'),
                _ if custom => (if bucket.index == 0 { '[' } else { '(' }, ']'),
                _ => (if lower < 0.0 { '[' } else { '(' }, if upper > 0.0 { ']' } else { ')' }),
            };
            let (lower, upper) = (ShortFloat(lower), ShortFloat(upper));
            write!(f, ", {open}{lower},{upper}{close}:{}", ShortFloat(bucket.count))?;
        }
        f.write_str("}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Span;

    #[test]
    fn floats_are_short() {
        for (x, want) in [
            (1.5, "1.5"),
            (123_456.0, "123456"),
            (1_234_567.0, "1.234567e+06"),
            (1e21, "1e+21"),
            (1.25e-5, "1.25e-05"),
            (0.0001, "0.0001"),
            (-0.0, "-0"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(ShortFloat(x).to_string(), want);
        }
    }

    #[test]
    fn a_histogram_lists_its_populated_buckets() {
        let histogram = Histogram {
            count: 6.0,
            sum: 1.5,
            zero_threshold: 0.001,
            zero_count: 1.0,
            positive_spans: vec![Span { offset: 0, length: 2 }],
            positive_buckets: vec![2.0, 0.0],
            negative_spans: vec![Span { offset: 1, length: 1 }],
            negative_buckets: vec![3.0],
            ..Histogram::default()
        };
        assert_eq!(histogram.to_string(), "{count:6, sum:1.5, [-2,-1):3, [-0.001,0.001]:1, (0.5,1]:2}");
    }
}
