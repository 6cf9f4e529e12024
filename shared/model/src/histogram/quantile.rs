//! Quantiles, fractions and spread of a native histogram.
//!
//! Source: the documentation of Prometheus' `histogram_quantile` and `histogram_fraction`. Observations are
//! taken as spread evenly over a custom bucket and over the zero bucket, and evenly on a logarithmic scale
//! over an exponential bucket.

use super::kahan::kahan_add;
use super::{Bucket, Histogram};

/// What observations of NaN, which lie in no bucket, did to a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NanEffect {
    /// Nothing.
    #[default]
    None,
    /// They were left out, or count as above all others.
    Skewed,
    /// The result is NaN because of them.
    Undefined,
}

impl Histogram {
    /// The value below which the fraction `q` of the observations lies. NaN without observations or for a NaN
    /// `q`, infinite for a `q` outside of 0 to 1.
    #[must_use]
    pub fn quantile(&self, q: f64) -> (f64, NanEffect) {
        if q < 0.0 {
            return (f64::NEG_INFINITY, NanEffect::None);
        }
        if q > 1.0 {
            return (f64::INFINITY, NanEffect::None);
        }
        if self.count == 0.0 || q.is_nan() {
            return (f64::NAN, NanEffect::None);
        }
        // NaN observations raise the count without being in a bucket, so with them one counts from below.
        let from_below = self.sum.is_nan() || q < 0.5;
        let mut rank = if from_below { q * self.count } else { (1.0 - q) * self.count };
        let found = if from_below {
            advance(self.buckets_ascending(), rank)
        } else {
            advance(self.buckets_descending(), rank)
        };
        let (bucket, mut reached) = found;
        let (mut lower, mut upper) = bucket.as_ref().map_or((0.0, 0.0), |b| self.bounds(b));
        let count = bucket.map_or(0.0, |b| b.count);
        if self.has_custom_buckets() {
            if lower == f64::NEG_INFINITY {
                if upper <= 0.0 {
                    return (upper, NanEffect::None);
                }
                lower = 0.0;
            } else if upper == f64::INFINITY {
                return (lower, NanEffect::None);
            }
        } else if lower < 0.0 && upper > 0.0 {
            (lower, upper) = self.one_sided_zero(lower, upper);
        }
        reached = reached.min(self.count);
        if reached < rank {
            return if self.sum.is_nan() {
                (f64::NAN, NanEffect::Undefined)
            } else {
                (upper, NanEffect::None)
            };
        }
        rank = if from_below { rank - (reached - count) } else { reached - rank };
        let inside = || self.buckets_ascending().map(|b| b.count).sum::<f64>();
        let effect =
            if self.sum.is_nan() && inside() < self.count { NanEffect::Skewed } else { NanEffect::None };
        let fraction = rank / count;
        let value = if self.has_custom_buckets() || (lower <= 0.0 && upper >= 0.0) {
            lower + (upper - lower) * fraction
        } else {
            let (log_lower, log_upper) = (lower.abs().log2(), upper.abs().log2());
            if lower > 0.0 {
                (log_lower + (log_upper - log_lower) * fraction).exp2()
            } else {
                -(log_upper + (log_lower - log_upper) * (1.0 - fraction)).exp2()
            }
        };
        (value, effect)
    }

    /// The fraction of the observations between `lower` and `upper`.
    #[must_use]
    pub fn fraction(&self, lower: f64, upper: f64) -> (f64, NanEffect) {
        if self.count == 0.0 || lower.is_nan() || upper.is_nan() {
            return (f64::NAN, NanEffect::None);
        }
        if lower >= upper {
            return (0.0, NanEffect::None);
        }
        let (mut rank, mut lower_rank, mut upper_rank) = (0.0, None, None);
        for bucket in self.buckets_ascending() {
            let (mut from, mut to) = self.bounds(&bucket);
            let around_zero = from <= 0.0 && to >= 0.0;
            if around_zero {
                (from, to) = self.one_sided_zero(from, to);
            }
            let linear = self.has_custom_buckets() || around_zero;
            for (limit, found) in [(lower, &mut lower_rank), (upper, &mut upper_rank)] {
                if found.is_some() {
                    continue;
                }
                if from >= limit {
                    *found = Some(rank);
                } else if to > limit {
                    *found = Some(if linear && from == f64::NEG_INFINITY {
                        bucket.count
                    } else {
                        rank + bucket.count * fraction_below(from, to, limit, linear)
                    });
                }
            }
            if lower_rank.is_some() && upper_rank.is_some() {
                break;
            }
            rank += bucket.count;
        }
        let (mut count, mut effect) = (self.count, NanEffect::None);
        if self.sum.is_nan() {
            count = self.buckets_ascending().map(|b| b.count).sum();
            if count < self.count {
                effect = NanEffect::Skewed;
            }
        }
        let settle = |rank: Option<f64>| rank.map_or(count, |r| if r > count { count } else { r });
        ((settle(upper_rank) - settle(lower_rank)) / self.count, effect)
    }

    /// The variance of the observations, each taken at its bucket's middle (the geometric one in exponential
    /// buckets, zero in the zero bucket) around the exact mean.
    #[must_use]
    pub fn variance(&self) -> f64 {
        let mean = self.sum / self.count;
        let (mut sum, mut compensation) = (0.0, 0.0);
        for bucket in self.buckets_ascending().filter(|b| b.count != 0.0) {
            let (lower, upper) = self.bounds(&bucket);
            let middle = if self.has_custom_buckets() {
                f64::midpoint(upper, lower)
            } else if lower <= 0.0 && upper >= 0.0 {
                0.0
            } else {
                (upper * lower).sqrt().copysign(upper)
            };
            let delta = middle - mean;
            (sum, compensation) = kahan_add(bucket.count * delta * delta, sum, compensation);
        }
        (sum + compensation) / self.count
    }

    /// The zero bucket of a histogram with buckets on one side only reaches from zero to that side.
    fn one_sided_zero(&self, lower: f64, upper: f64) -> (f64, f64) {
        match (self.negative_buckets.is_empty(), self.positive_buckets.is_empty()) {
            (true, false) => (0.0, upper),
            (false, true) => (lower, 0.0),
            _ => (lower, upper),
        }
    }
}

/// Goes through buckets until they hold `rank` observations: the bucket reached, and the observations so far.
fn advance(buckets: impl Iterator<Item = Bucket>, rank: f64) -> (Option<Bucket>, f64) {
    let (mut last, mut reached) = (None, 0.0);
    for bucket in buckets {
        last = Some(bucket);
        if bucket.count == 0.0 {
            continue;
        }
        reached += bucket.count;
        if reached >= rank {
            break;
        }
    }
    (last, reached)
}

/// The share of a bucket's observations at or below `value`, which lies strictly inside its finite bounds.
pub(super) fn fraction_below(lower: f64, upper: f64, value: f64, linear: bool) -> f64 {
    if linear {
        return (value - lower) / (upper - lower);
    }
    let (log_lower, log_upper) = (lower.abs().log2(), upper.abs().log2());
    let log_value = value.abs().log2();
    if value > 0.0 {
        (log_value - log_lower) / (log_upper - log_lower)
    } else {
        1.0 - (log_value - log_upper) / (log_lower - log_upper)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DistributionBuilder, Span};
    use proptest::prelude::*;

    fn of(schema: i32, offset: i32, counts: &[f64]) -> Histogram {
        Histogram {
            schema,
            count: counts.iter().sum(),
            sum: 1.0,
            positive_spans: vec![Span { offset, length: counts.len() as u32 }],
            positive_buckets: counts.to_vec(),
            ..Histogram::default()
        }
    }

    #[test]
    fn quantiles_interpolate_as_the_specification_says() {
        let custom = |counts: &[f64]| Histogram { custom_values: vec![5.0, 10.0], ..of(-53, 0, counts) };
        let zero = Histogram { zero_threshold: 0.5, zero_count: 10.0, count: 10.0, ..Histogram::default() };
        let one_sided = Histogram { zero_count: 2.0, zero_threshold: 0.5, count: 4.0, ..of(0, 1, &[2.0]) };
        for (shows, histogram, q, want) in [
            ("middle of one bucket", of(0, 1, &[4.0]), 0.5, 2f64.sqrt()),
            ("top", of(0, 1, &[4.0]), 1.0, 2.0),
            ("custom buckets are linear", custom(&[2.0, 2.0, 0.0]), 0.75, 7.5),
            ("the first custom bucket starts at zero", custom(&[2.0, 2.0, 0.0]), 0.25, 2.5),
            ("the last custom bucket has no end", custom(&[0.0, 0.0, 2.0]), 0.9, 10.0),
            ("the zero bucket is linear", zero, 0.5, 0.0),
            ("a one-sided zero bucket", one_sided, 0.25, 0.25),
            ("below 0", of(0, 1, &[4.0]), -1.0, f64::NEG_INFINITY),
            ("above 1", of(0, 1, &[4.0]), 2.0, f64::INFINITY),
        ] {
            let (value, _) = histogram.quantile(q);
            assert!((value - want).abs() < 1e-12 || value == want, "{shows}: {value}");
        }
        assert!(Histogram::default().quantile(0.5).0.is_nan());
    }

    #[test]
    fn observations_of_nan_are_reported() {
        let histogram = Histogram { count: 10.0, sum: f64::NAN, ..of(0, 0, &[5.0]) };
        assert_eq!(histogram.quantile(0.25).1, NanEffect::Skewed);
        assert!(histogram.quantile(0.75).0.is_nan());
        assert_eq!(histogram.quantile(0.75).1, NanEffect::Undefined);
        assert_eq!(histogram.fraction(f64::NEG_INFINITY, f64::INFINITY), (0.5, NanEffect::Skewed));
    }

    proptest! {
        #[test]
        fn fraction_is_the_inverse_of_quantile(
            values in prop::collection::vec(-1e3f64..1e3, 1..60), q in 0.01f64..0.99,
        ) {
            let mut builder = DistributionBuilder::new();
            values.iter().for_each(|v| builder.observe(*v, 1.0));
            let histogram = builder.build();
            let (value, _) = histogram.quantile(q);
            let (fraction, _) = histogram.fraction(f64::NEG_INFINITY, value);
            prop_assert!((fraction - q).abs() < 1e-6, "{} {} {}", q, value, fraction);
        }

        #[test]
        fn quantiles_lie_within_a_bucket_of_the_exact_ones(
            values in prop::collection::vec(0.001f64..1e3, 1..60), q in 0.0f64..1.0,
        ) {
            let mut builder = DistributionBuilder::new();
            values.iter().for_each(|v| builder.observe(*v, 1.0));
            let (value, _) = builder.build().quantile(q);
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            let (low, high) = (sorted[0], sorted[sorted.len() - 1]);
            prop_assert!(value >= low / 1.03 && value <= high * 1.03);
        }
    }
}
