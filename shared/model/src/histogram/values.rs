//! The distribution of the values of a series: a histogram of them with a bounded number of buckets.
//!
//! Each value lies in a bucket whose bounds differ by a factor of 2^(2^-schema), so that a value put in its
//! bucket's place is off by no more than [`Histogram::bucket_error`]. Counts are exact, and so distributions merge
//! without a further error. Infinities have buckets of their own; NaN lies in none and is not counted.

use std::sync::LazyLock;

use super::buckets::SideBuilder;
use super::{CounterResetHint, DistributionBuilder, Histogram, SCHEMA_MIN};

/// The resolution to begin with: buckets grow by 4.4 %.
pub(crate) const SCHEMA: i32 = 4;
/// Buckets that a doubling of the value takes.
const PER_OCTAVE: i32 = 1 << SCHEMA;

/// The buckets' upper bounds from 1 to 2.
static BOUNDS: LazyLock<[f64; PER_OCTAVE as usize]> =
    LazyLock::new(|| std::array::from_fn(|at| (at as f64 / f64::from(PER_OCTAVE)).exp2()));

/// The bucket of a magnitude above the zero bucket's: the smallest `i` with magnitude <= 2^(i / 16).
fn bucket_of(magnitude: f64) -> i32 {
    const MANTISSA: u64 = (1 << 52) - 1;
    if magnitude.is_infinite() {
        return 1024 * PER_OCTAVE + 1;
    }
    // The zero bucket covers what has no leading one.
    let exponent = (magnitude.to_bits() >> 52) as i32 - 1023;
    let mantissa = f64::from_bits((magnitude.to_bits() & MANTISSA) | 1.0f64.to_bits());
    exponent * PER_OCTAVE + BOUNDS.partition_point(|bound| *bound < mantissa) as i32
}

impl Histogram {
    /// Most buckets of a distribution of values: ten doublings at the resolution to begin with. More make it
    /// coarser, down to schema -4, at which every float there is fits.
    pub const MAX_VALUE_BUCKETS: usize = 160;

    /// The distribution of values. Its sum is left at 0.
    pub fn of_values(values: impl Iterator<Item = f64>) -> Self {
        let (mut positive, mut negative, mut zeros) = (Vec::new(), Vec::new(), 0u64);
        for value in values {
            match value.abs() {
                magnitude if magnitude <= DistributionBuilder::ZERO_THRESHOLD => zeros += 1,
                magnitude if value > 0.0 => positive.push(bucket_of(magnitude)),
                magnitude if value < 0.0 => negative.push(bucket_of(magnitude)),
                _ => {}
            }
        }
        let count = (positive.len() + negative.len()) as u64 + zeros;
        let [positive, negative] = [positive, negative].map(|mut indices| {
            indices.sort_unstable();
            let mut side = SideBuilder::default();
            indices.chunk_by(|a, b| a == b).for_each(|same| side.push(same[0], same.len() as f64));
            side
        });
        let mut distribution = Self {
            counter_reset_hint: CounterResetHint::Gauge,
            schema: SCHEMA,
            zero_threshold: DistributionBuilder::ZERO_THRESHOLD,
            zero_count: zeros as f64,
            count: count as f64,
            positive_spans: positive.spans,
            positive_buckets: positive.counts,
            negative_spans: negative.spans,
            negative_buckets: negative.counts,
            ..Self::default()
        };
        distribution.bound_value_buckets();
        distribution
    }

    /// Takes in another distribution of values.
    pub fn add_values(&mut self, other: &Self) {
        // Both are of standard schemas, which always meet.
        if self.add(other).is_ok() {
            self.bound_value_buckets();
        }
    }

    fn bound_value_buckets(&mut self) {
        while self.positive_buckets.len() + self.negative_buckets.len() > Self::MAX_VALUE_BUCKETS
            && self.schema > SCHEMA_MIN
        {
            self.reduce_resolution(self.schema - 1);
        }
    }

    /// By how much of itself a value can be off that is put in its bucket's place, at that schema.
    ///
    /// Between bounds a and b that place is 2ab / (a + b), which is off by (b - a) / (b + a) at either end.
    #[must_use]
    pub fn bucket_error(schema: i32) -> f64 {
        let growth = f64::from(-schema).exp2().exp2();
        (growth - 1.0) / (growth + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BucketSide;
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            6 => -1e3f64..1e3,
            2 => any::<f64>(),
            1 => prop::sample::select(vec![0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, 1e-310, 1.0, 2.0]),
        ]
    }

    #[test]
    fn bounds_belong_to_the_bucket_below_them() {
        for (value, want) in [(1.0, 0), (2.0, 16), (0.5, -16), (1.001, 1), (f64::MAX, 16_384)] {
            assert_eq!(bucket_of(value), want, "{value}");
        }
        assert_eq!(bucket_of(f64::INFINITY), 16_385);
    }

    proptest! {
        #[test]
        fn every_value_lies_in_its_bucket(value in value().prop_filter("NaN has none", |v| !v.is_nan())) {
            let distribution = Histogram::of_values([value].into_iter());
            distribution.validate().unwrap();
            let bucket = distribution.buckets_ascending().next().unwrap();
            let (lower, upper) = distribution.raw_bounds(bucket.side, bucket.index);
            let inside = match bucket.side {
                BucketSide::Positive => lower < value && value <= upper,
                BucketSide::Negative => lower <= value && value < upper,
                BucketSide::Zero => lower <= value && value <= upper,
            };
            prop_assert!(inside, "{value} in {lower} to {upper}");
        }

        #[test]
        fn merged_distributions_are_those_of_all_values_and_stay_within_their_bound(
            parts in prop::collection::vec(prop::collection::vec(value(), 0..400), 1..5),
        ) {
            let of = |values: &[f64]| Histogram::of_values(values.iter().copied());
            let mut merged = of(&[]);
            parts.iter().for_each(|part| merged.add_values(&of(part)));
            merged.validate().unwrap();
            let all: Vec<f64> = parts.concat();
            let mut direct = of(&all);
            prop_assert_eq!(direct.count as usize, all.iter().filter(|v| !v.is_nan()).count());
            prop_assert!(merged.positive_buckets.len() + merged.negative_buckets.len() <= Histogram::MAX_VALUE_BUCKETS);
            prop_assert!(merged.schema <= direct.schema, "never finer than it can be");
            direct.reduce_resolution(merged.schema);
            prop_assert!(direct.same_data(&merged), "{direct:?}\n{merged:?}");
        }
    }
}
