//! Adding, subtracting and scaling native histograms, and bringing them to a common resolution.
//!
//! Source: Prometheus' native histogram specification. Two histograms of standard schemas meet at the
//! coarser schema and the wider zero bucket; two of custom bounds meet at the bounds both have.

use super::buckets::{SideBuilder, coalesce, coarser_index, exponential_bound, merge};
use super::{BucketSide, CounterResetHint, Histogram, Span};

/// One histogram has custom bounds and the other has not, so that no common layout exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot combine a histogram of custom buckets with one of exponential buckets")]
pub struct IncompatibleBuckets;

/// What had to be bent when two histograms were combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reconciled {
    /// One side said "reset", the other "no reset"; the result says nothing.
    pub counter_reset_collision: bool,
    /// The custom bounds differed and were cut down to the common ones.
    pub bounds: bool,
}

impl Histogram {
    /// Multiplies all counts and the sum; a negative factor makes it a gauge.
    pub fn scale(&mut self, factor: f64) {
        self.each(|x| x * factor);
        if factor < 0.0 {
            self.counter_reset_hint = CounterResetHint::Gauge;
        }
    }

    /// Divides all counts and the sum. Division by zero leaves no buckets; a negative divisor makes it a gauge.
    pub fn divide(&mut self, divisor: f64) {
        self.each(|x| x / divisor);
        if divisor == 0.0 {
            self.positive_spans.clear();
            self.positive_buckets.clear();
            self.negative_spans.clear();
            self.negative_buckets.clear();
        } else if divisor < 0.0 {
            self.counter_reset_hint = CounterResetHint::Gauge;
        }
    }

    fn each(&mut self, f: impl Fn(f64) -> f64) {
        self.zero_count = f(self.zero_count);
        self.count = f(self.count);
        self.sum = f(self.sum);
        self.positive_buckets.iter_mut().chain(&mut self.negative_buckets).for_each(|x| *x = f(*x));
    }

    /// Adds `other` to this histogram.
    ///
    /// # Errors
    /// [`IncompatibleBuckets`] when only one of the two has custom bounds; then nothing changed.
    pub fn add(&mut self, other: &Self) -> Result<Reconciled, IncompatibleBuckets> {
        self.combine(other, |a, b| a + b)
    }

    /// Subtracts `other` from this histogram; counts may become negative.
    ///
    /// # Errors
    /// [`IncompatibleBuckets`] when only one of the two has custom bounds; then nothing changed.
    pub fn subtract(&mut self, other: &Self) -> Result<Reconciled, IncompatibleBuckets> {
        self.combine(other, |a, b| a - b)
    }

    fn combine(
        &mut self,
        other: &Self,
        op: impl Fn(f64, f64) -> f64 + Copy,
    ) -> Result<Reconciled, IncompatibleBuckets> {
        let mut reconciled = self.meet(other)?;
        if self.has_custom_buckets() {
            self.count = op(self.count, other.count);
            self.sum = op(self.sum, other.sum);
            if self.custom_values == other.custom_values {
                merge_side(&mut self.positive_spans, &mut self.positive_buckets, other, op);
            } else {
                reconciled.bounds = true;
                let bounds = common_bounds(&self.custom_values, &other.custom_values);
                let mut counts = self.mapped_to(&bounds);
                for (count, more) in counts.iter_mut().zip(other.mapped_to(&bounds)) {
                    *count = op(*count, more);
                }
                self.set_custom(bounds, &counts);
            }
            return Ok(reconciled);
        }
        let other_zero = self.widen_zero_bucket_for(other);
        self.zero_count = op(self.zero_count, other_zero);
        self.count = op(self.count, other.count);
        self.sum = op(self.sum, other.sum);
        if other.schema < self.schema {
            self.reduce_resolution(other.schema);
        }
        if self.schema == other.schema && self.zero_threshold == other.zero_threshold {
            merge_side(&mut self.positive_spans, &mut self.positive_buckets, other, op);
        } else {
            let more = other.at_layout_of(self, BucketSide::Positive);
            let merged = merge(self.positive(), more, self.positive_buckets.len() + 8, op);
            (self.positive_spans, self.positive_buckets) = (merged.spans, merged.counts);
        }
        let more = other.at_layout_of(self, BucketSide::Negative);
        let merged = merge(self.negative(), more, self.negative_buckets.len(), op);
        (self.negative_spans, self.negative_buckets) = (merged.spans, merged.counts);
        Ok(reconciled)
    }

    /// Checks that two histograms can be combined and settles the hint of the result.
    pub(super) fn meet(&mut self, other: &Self) -> Result<Reconciled, IncompatibleBuckets> {
        use CounterResetHint::{Gauge, NotReset, Reset, Unknown};
        if self.has_custom_buckets() != other.has_custom_buckets() {
            return Err(IncompatibleBuckets);
        }
        let (hint, collision) = match (self.counter_reset_hint, other.counter_reset_hint) {
            (a, b) if a == b => (a, false),
            (Gauge, _) | (_, Gauge) => (Gauge, false),
            (Reset, NotReset) | (NotReset, Reset) => (Unknown, true),
            _ => (Unknown, false),
        };
        self.counter_reset_hint = hint;
        Ok(Reconciled { counter_reset_collision: collision, bounds: false })
    }

    /// One side's buckets at the schema of `target`, without those that its zero bucket covers.
    pub(super) fn at_layout_of<'a>(
        &'a self,
        target: &Self,
        side: BucketSide,
    ) -> impl Iterator<Item = (i32, f64)> + use<'a> {
        let (from, to, zero) = (self.schema, target.schema, target.zero_threshold);
        let (spans, counts) = match side {
            BucketSide::Negative => (&self.negative_spans, &self.negative_buckets),
            _ => (&self.positive_spans, &self.positive_buckets),
        };
        let coarser = super::indexed(spans, counts).map(move |(i, n)| (coarser_index(i, from, to), n));
        coalesce(coarser).skip_while(move |(index, _)| zero > 0.0 && exponential_bound(*index, to) <= zero)
    }

    /// Merges buckets until the schema is `schema`; does nothing at that or a coarser one, or with custom bounds.
    pub fn reduce_resolution(&mut self, schema: i32) {
        if self.has_custom_buckets() || schema >= self.schema {
            return;
        }
        let from = self.schema;
        for (spans, counts) in [
            (&mut self.positive_spans, &mut self.positive_buckets),
            (&mut self.negative_spans, &mut self.negative_buckets),
        ] {
            let mut out = SideBuilder::with_capacity(counts.len());
            let coarser = super::indexed(spans, counts).map(|(i, n)| (coarser_index(i, from, schema), n));
            coalesce(coarser).for_each(|(index, count)| out.push(index, count));
            (*spans, *counts) = (out.spans, out.counts);
        }
        self.schema = schema;
    }

    /// Removes empty buckets and joins adjacent spans.
    pub fn compact(&mut self) {
        for (spans, counts) in [
            (&mut self.positive_spans, &mut self.positive_buckets),
            (&mut self.negative_spans, &mut self.negative_buckets),
        ] {
            let tidy = counts.iter().all(|c| *c != 0.0)
                && spans.iter().all(|s| s.length > 0)
                && spans.iter().skip(1).all(|s| s.offset > 0);
            if tidy {
                continue;
            }
            let mut out = SideBuilder::with_capacity(counts.len());
            super::indexed(spans, counts).filter(|(_, n)| *n != 0.0).for_each(|(i, n)| out.push(i, n));
            (*spans, *counts) = (out.spans, out.counts);
        }
    }

    /// True when some count or the sum is infinite.
    #[must_use]
    pub fn has_overflow(&self) -> bool {
        [self.zero_count, self.count, self.sum]
            .iter()
            .chain(&self.positive_buckets)
            .chain(&self.negative_buckets)
            .any(|x| x.is_infinite())
    }

    /// Widens the zero bucket until it covers that of `other` and cuts no populated bucket of either.
    /// Returns what the zero count of `other` would be under the new width.
    fn widen_zero_bucket_for(&mut self, other: &Self) -> f64 {
        let (mut count, mut threshold) = (other.zero_count, other.zero_threshold);
        // Each round moves one of the two widths up to a bucket's bound, of which there are finitely many.
        while threshold != self.zero_threshold {
            if self.zero_threshold > threshold {
                (count, threshold) = other.zero_count_within(self.zero_threshold);
            }
            if threshold > self.zero_threshold {
                let (zero_count, zero_threshold) = self.zero_count_within(threshold);
                self.set_zero_bucket(zero_threshold, zero_count);
            }
        }
        count
    }

    /// Sets the zero bucket and empties the buckets it covers.
    pub(super) fn set_zero_bucket(&mut self, threshold: f64, count: f64) {
        (self.zero_threshold, self.zero_count) = (threshold, count);
        let schema = self.schema;
        for (spans, counts) in [
            (&self.positive_spans, &mut self.positive_buckets),
            (&self.negative_spans, &mut self.negative_buckets),
        ] {
            let indices: Vec<i32> = super::indexed(spans, counts).map(|(i, _)| i).collect();
            for (index, count) in indices.into_iter().zip(counts.iter_mut()) {
                if !bucket_starts_within(index, schema, threshold) {
                    break;
                }
                *count = 0.0;
            }
        }
        self.compact();
    }

    /// The zero bucket's count if it were at least `threshold` wide, and the width it would then have.
    pub(super) fn zero_count_within(&self, threshold: f64) -> (f64, f64) {
        if threshold == self.zero_threshold {
            return (self.zero_count, threshold);
        }
        let threshold = widened_threshold(self.schema, threshold, || self.positive().chain(self.negative()));
        let covered = |(index, _): &(i32, f64)| bucket_starts_within(*index, self.schema, threshold);
        let inside = self.positive().take_while(covered).chain(self.negative().take_while(covered));
        (inside.fold(self.zero_count, |count, (_, n)| count + n), threshold)
    }

    /// Counts per custom bucket under `bounds`, which are among this histogram's own; the last is up to +Inf.
    pub(super) fn mapped_to(&self, bounds: &[f64]) -> Vec<f64> {
        let mut counts = vec![0.0; bounds.len() + 1];
        for (index, count) in self.positive() {
            let upper = usize::try_from(index).ok().and_then(|i| self.custom_values.get(i));
            let at = upper.map_or(bounds.len(), |upper| bounds.partition_point(|b| b < upper));
            counts[at] += count;
        }
        counts
    }

    pub(super) fn set_custom(&mut self, bounds: Vec<f64>, counts: &[f64]) {
        let mut out = SideBuilder::with_capacity(counts.len());
        for (index, count) in counts.iter().enumerate().filter(|(_, n)| **n != 0.0) {
            out.push(i32::try_from(index).unwrap_or(i32::MAX), *count);
        }
        (self.positive_spans, self.positive_buckets) = (out.spans, out.counts);
        self.custom_values = bounds;
    }
}

/// True when the bucket, on either side, begins nearer to zero than `threshold`.
pub(super) fn bucket_starts_within(index: i32, schema: i32, threshold: f64) -> bool {
    exponential_bound(index.saturating_sub(1), schema) < threshold
}

/// The width a zero bucket of at least `threshold` must have so as not to cut a populated bucket of either
/// side, all of which `buckets` lists by index and count.
pub(super) fn widened_threshold<I: Iterator<Item = (i32, f64)>>(
    schema: i32,
    threshold: f64,
    buckets: impl Fn() -> I,
) -> f64 {
    let mut threshold = threshold;
    loop {
        let cut = buckets().find_map(|(index, count)| {
            let upper = exponential_bound(index, schema);
            let cuts = count != 0.0 && upper > threshold && bucket_starts_within(index, schema, threshold);
            cuts.then_some(upper)
        });
        // Each round moves the width up to a bucket's bound, of which there are finitely many.
        match cut {
            Some(upper) => threshold = upper,
            None => return threshold,
        }
    }
}

/// Combines the positive side of `other`, of the same schema and bounds, into spans and counts.
fn merge_side(
    spans: &mut Vec<Span>,
    counts: &mut Vec<f64>,
    other: &Histogram,
    op: impl Fn(f64, f64) -> f64 + Copy,
) {
    if *spans == other.positive_spans {
        counts.iter_mut().zip(&other.positive_buckets).for_each(|(a, b)| *a = op(*a, *b));
        return;
    }
    let merged = merge(super::indexed(spans, counts), other.positive(), counts.len() + 8, op);
    (*spans, *counts) = (merged.spans, merged.counts);
}

/// The bounds that both ascending lists have.
pub(super) fn common_bounds(a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut b = b.iter().peekable();
    a.iter()
        .copied()
        .filter(|x| {
            while b.next_if(|y| *y < x).is_some() {}
            b.peek() == Some(&x)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DistributionBuilder;
    use proptest::prelude::*;

    pub(crate) fn exponential(schema: i32, offset: i32, counts: &[f64]) -> Histogram {
        Histogram {
            schema,
            count: counts.iter().sum(),
            sum: 10.0,
            positive_spans: vec![Span { offset, length: counts.len() as u32 }],
            positive_buckets: counts.to_vec(),
            ..Histogram::default()
        }
    }

    fn custom(bounds: &[f64], counts: &[f64]) -> Histogram {
        Histogram { custom_values: bounds.to_vec(), ..exponential(-53, 0, counts) }
    }

    #[test]
    fn different_resolutions_meet_at_the_coarser_one() {
        let mut a = exponential(1, 1, &[1.0, 2.0, 3.0]);
        a.add(&exponential(0, 3, &[5.0])).unwrap();
        assert_eq!(a.schema, 0);
        assert_eq!(a.positive().collect::<Vec<_>>(), [(1, 3.0), (2, 3.0), (3, 5.0)]);
        assert_eq!(a.count, 11.0);
        assert_eq!(a.positive_spans.len(), 1);
    }

    #[test]
    fn the_wider_zero_bucket_swallows_the_buckets_it_covers() {
        let mut a = exponential(0, 0, &[1.0, 2.0]);
        let b = Histogram { zero_threshold: 1.0, zero_count: 4.0, count: 4.0, ..Histogram::default() };
        let mut reverse = b.clone();
        reverse.add(&a).unwrap();
        a.add(&b).unwrap();
        assert_eq!((a.zero_count, a.zero_threshold), (5.0, 1.0));
        assert_eq!(a.positive().collect::<Vec<_>>(), [(1, 2.0)]);
        assert_eq!((reverse.zero_count, reverse.positive_buckets), (a.zero_count, a.positive_buckets));
    }

    #[test]
    fn a_zero_bucket_that_would_cut_a_populated_bucket_grows_to_its_end() {
        let mut a = exponential(0, 1, &[7.0]);
        let b = Histogram { zero_threshold: 1.5, zero_count: 1.0, count: 1.0, ..Histogram::default() };
        a.add(&b).unwrap();
        assert_eq!((a.zero_threshold, a.zero_count), (2.0, 8.0));
        assert!(a.positive_buckets.is_empty());
    }

    #[test]
    fn different_custom_bounds_meet_at_the_common_ones() {
        let mut a = custom(&[1.0, 2.0, 3.0], &[1.0, 1.0, 1.0, 1.0]);
        let met = a.add(&custom(&[2.0, 5.0], &[4.0, 4.0, 4.0])).unwrap();
        assert!(met.bounds);
        assert_eq!(a.custom_values, [2.0]);
        assert_eq!(a.positive_buckets, [6.0, 10.0]);
        assert_eq!(a.add(&exponential(0, 0, &[1.0])), Err(IncompatibleBuckets));
    }

    #[test]
    fn hints_that_contradict_each_other_are_reported() {
        use CounterResetHint::{Gauge, NotReset, Reset, Unknown};
        for (a, b, want, collision) in [
            (Reset, Reset, Reset, false),
            (Gauge, Reset, Gauge, false),
            (NotReset, Gauge, Gauge, false),
            (Unknown, Reset, Unknown, false),
            (Reset, NotReset, Unknown, true),
        ] {
            let mut left = Histogram { counter_reset_hint: a, ..Histogram::default() };
            let met = left.add(&Histogram { counter_reset_hint: b, ..Histogram::default() }).unwrap();
            assert_eq!((left.counter_reset_hint, met.counter_reset_collision), (want, collision));
        }
    }

    proptest! {
        #[test]
        fn adding_and_subtracting_restores_the_counts(
            a in prop::collection::vec(-1e6f64..1e6, 0..50),
            b in prop::collection::vec(-1e6f64..1e6, 0..50),
        ) {
            let of = |values: &[f64]| {
                let mut builder = DistributionBuilder::new();
                values.iter().for_each(|v| builder.observe(*v, 1.0));
                builder.build()
            };
            let (first, second) = (of(&a), of(&b));
            let mut sum = first.clone();
            sum.add(&second).unwrap();
            let together: Vec<f64> = a.iter().chain(&b).copied().collect();
            prop_assert_eq!(&sum.positive_buckets, &of(&together).positive_buckets);
            prop_assert_eq!(&sum.negative_spans, &of(&together).negative_spans);
            sum.subtract(&second).unwrap();
            sum.compact();
            prop_assert_eq!(sum.positive_buckets, first.positive_buckets);
            prop_assert_eq!(sum.positive_spans, first.positive_spans);
            prop_assert_eq!(sum.count, first.count);
        }

        #[test]
        fn a_coarser_histogram_keeps_every_observation(
            values in prop::collection::vec(-1e6f64..1e6, 1..50), schema in -4i32..5,
        ) {
            let mut builder = DistributionBuilder::new();
            values.iter().for_each(|v| builder.observe(*v, 1.0));
            let mut histogram = builder.build();
            histogram.reduce_resolution(schema);
            histogram.validate().unwrap();
            let inside: f64 = histogram.buckets_ascending().map(|b| b.count).sum();
            prop_assert_eq!(inside, values.len() as f64);
        }
    }
}
