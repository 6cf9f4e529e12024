//! Sums and means of many native histograms, with compensated summation in every bucket.

use super::arithmetic::{bucket_starts_within, common_bounds, widened_threshold};
use super::buckets::{SideBuilder, coarser_index, exponential_bound};
use super::kahan::kahan_add;
use super::{BucketSide, Histogram, IncompatibleBuckets, Reconciled};

/// A number and what rounding lost of it.
#[derive(Debug, Clone, Copy, Default)]
struct Exact {
    value: f64,
    lost: f64,
}

impl Exact {
    fn add(&mut self, increment: f64) {
        (self.value, self.lost) = kahan_add(increment, self.value, self.lost);
    }

    fn absorb(&mut self, other: Self) {
        self.add(other.value);
        self.add(other.lost);
    }

    fn map(&mut self, f: impl Fn(f64) -> f64) {
        (self.value, self.lost) = (f(self.value), f(self.lost));
    }

    fn total(self) -> f64 {
        self.value + self.lost
    }
}

/// A running sum of histograms.
#[derive(Debug, Clone)]
pub struct HistogramSum {
    /// Hint, schema, zero threshold and bounds; its counts are unused.
    frame: Histogram,
    zero: Exact,
    count: Exact,
    sum: Exact,
    positive: Vec<(i32, Exact)>,
    negative: Vec<(i32, Exact)>,
}

impl HistogramSum {
    /// Above a quarter of the largest number a further addition might overflow.
    const NEAR_OVERFLOW: f64 = f64::MAX / 4.0;

    /// The sum of one histogram.
    #[must_use]
    pub fn new(first: &Histogram) -> Self {
        let exact = |value| Exact { value, lost: 0.0 };
        Self {
            frame: Histogram {
                counter_reset_hint: first.counter_reset_hint,
                schema: first.schema,
                zero_threshold: first.zero_threshold,
                custom_values: first.custom_values.clone(),
                ..Histogram::default()
            },
            zero: exact(first.zero_count),
            count: exact(first.count),
            sum: exact(first.sum),
            positive: first.positive().map(|(i, n)| (i, exact(n))).collect(),
            negative: first.negative().map(|(i, n)| (i, exact(n))).collect(),
        }
    }

    /// Adds a histogram.
    ///
    /// # Errors
    /// [`IncompatibleBuckets`] when only one of the two has custom bounds; then nothing changed.
    pub fn add(&mut self, other: &Histogram) -> Result<Reconciled, IncompatibleBuckets> {
        let mut reconciled = self.frame.meet(other)?;
        self.count.add(other.count);
        self.sum.add(other.sum);
        if self.frame.has_custom_buckets() {
            if self.frame.custom_values == other.custom_values {
                add_side(&mut self.positive, other.positive());
            } else {
                reconciled.bounds = true;
                let bounds = common_bounds(&self.frame.custom_values, &other.custom_values);
                self.map_to_bounds(&bounds);
                let mapped = other.mapped_to(&bounds);
                let populated = mapped.iter().enumerate().filter(|(_, n)| **n != 0.0);
                add_side(&mut self.positive, populated.map(|(i, n)| (i as i32, *n)));
                self.frame.custom_values = bounds;
            }
            return Ok(reconciled);
        }
        let zero_count = self.widen_zero_bucket_for(other);
        self.zero.add(zero_count);
        self.reduce_resolution(other.schema);
        add_side(&mut self.positive, other.at_layout_of(&self.frame, BucketSide::Positive));
        add_side(&mut self.negative, other.at_layout_of(&self.frame, BucketSide::Negative));
        Ok(reconciled)
    }

    /// True when a further addition of `next` may overflow; cheap, and right as long as no bucket holds more
    /// than the count.
    #[must_use]
    pub fn may_overflow_with(&self, next: &Histogram) -> bool {
        let near = |x: f64| x.abs() > Self::NEAR_OVERFLOW || !x.is_finite();
        [self.count.value, self.sum.value, self.zero.value, next.count, next.sum].into_iter().any(near)
    }

    /// True when some count or the sum is infinite.
    #[must_use]
    pub fn has_overflow(&self) -> bool {
        let buckets = self.positive.iter().chain(&self.negative).map(|(_, exact)| exact);
        [&self.zero, &self.count, &self.sum].into_iter().chain(buckets).any(|e| e.value.is_infinite())
    }

    /// Multiplies the sum so far.
    pub fn scale(&mut self, factor: f64) {
        self.each(|x| x * factor);
    }

    /// Divides the sum so far.
    pub fn divide(&mut self, divisor: f64) {
        self.each(|x| x / divisor);
    }

    fn each(&mut self, f: impl Fn(f64) -> f64) {
        let buckets = self.positive.iter_mut().chain(&mut self.negative).map(|(_, exact)| exact);
        [&mut self.zero, &mut self.count, &mut self.sum].into_iter().chain(buckets).for_each(|e| e.map(&f));
    }

    /// The sum.
    #[must_use]
    pub fn total(&self) -> Histogram {
        let side = |cells: &[(i32, Exact)]| {
            let mut out = SideBuilder::with_capacity(cells.len());
            cells.iter().for_each(|(index, exact)| out.push(*index, exact.total()));
            (out.spans, out.counts)
        };
        let (positive_spans, positive_buckets) = side(&self.positive);
        let (negative_spans, negative_buckets) = side(&self.negative);
        Histogram {
            zero_count: self.zero.total(),
            count: self.count.total(),
            sum: self.sum.total(),
            positive_spans,
            positive_buckets,
            negative_spans,
            negative_buckets,
            ..self.frame.clone()
        }
    }

    /// Widens the zero bucket as [`Histogram::add`] does; returns the zero count of `other` under that width.
    fn widen_zero_bucket_for(&mut self, other: &Histogram) -> f64 {
        let (mut count, mut threshold) = (other.zero_count, other.zero_threshold);
        while threshold != self.frame.zero_threshold {
            if self.frame.zero_threshold > threshold {
                (count, threshold) = other.zero_count_within(self.frame.zero_threshold);
            }
            if threshold > self.frame.zero_threshold {
                let schema = self.frame.schema;
                let all = || self.positive.iter().chain(&self.negative).map(|(i, e)| (*i, e.total()));
                let wider = widened_threshold(schema, threshold, all);
                for side in [&mut self.positive, &mut self.negative] {
                    let covered = side.partition_point(|(i, _)| bucket_starts_within(*i, schema, wider));
                    side.drain(..covered).for_each(|(_, exact)| self.zero.absorb(exact));
                }
                self.frame.zero_threshold = wider;
            }
        }
        count
    }

    fn reduce_resolution(&mut self, schema: i32) {
        let from = self.frame.schema;
        if schema >= from {
            return;
        }
        for side in [&mut self.positive, &mut self.negative] {
            for (index, _) in side.iter_mut() {
                *index = coarser_index(*index, from, schema);
            }
            absorb_equal(side);
        }
        self.frame.schema = schema;
        let threshold = self.frame.zero_threshold;
        debug_assert!(self.positive.iter().all(|(i, _)| exponential_bound(*i, schema) > threshold));
    }

    fn map_to_bounds(&mut self, bounds: &[f64]) {
        for (index, _) in &mut self.positive {
            let upper = usize::try_from(*index).ok().and_then(|i| self.frame.custom_values.get(i));
            *index = upper.map_or(bounds.len(), |upper| bounds.partition_point(|b| b < upper)) as i32;
        }
        absorb_equal(&mut self.positive);
    }
}

/// Merges neighbours of equal index.
fn absorb_equal(side: &mut Vec<(i32, Exact)>) {
    side.dedup_by(|next, kept| {
        let equal = next.0 == kept.0;
        if equal {
            kept.1.absorb(next.1);
        }
        equal
    });
}

/// Adds ascending buckets to a side, creating the missing ones.
fn add_side(side: &mut Vec<(i32, Exact)>, buckets: impl Iterator<Item = (i32, f64)>) {
    let mut at = 0;
    let mut missing = Vec::new();
    for (index, count) in buckets {
        while side.get(at).is_some_and(|(i, _)| *i < index) {
            at += 1;
        }
        match side.get_mut(at) {
            Some((i, exact)) if *i == index => exact.add(count),
            _ => missing.push((index, Exact { value: count, lost: 0.0 })),
        }
    }
    if !missing.is_empty() {
        side.extend(missing);
        side.sort_by_key(|(index, _)| *index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CounterResetHint, Span};

    fn of(schema: i32, offset: i32, counts: &[f64]) -> Histogram {
        Histogram {
            schema,
            count: counts.iter().sum(),
            positive_spans: vec![Span { offset, length: counts.len() as u32 }],
            positive_buckets: counts.to_vec(),
            ..Histogram::default()
        }
    }

    #[test]
    fn the_sum_agrees_with_plain_addition_whatever_the_layouts() {
        let zero = Histogram { zero_threshold: 0.3, zero_count: 2.0, count: 2.0, ..Histogram::default() };
        let parts = [of(1, -4, &[1.0, 2.0, 3.0]), of(0, 3, &[5.0]), zero, of(2, 0, &[1.0, 1.0])];
        let mut sum = HistogramSum::new(&parts[0]);
        let mut plain = parts[0].clone();
        for part in &parts[1..] {
            sum.add(part).unwrap();
            plain.add(part).unwrap();
        }
        plain.compact();
        let mut total = sum.total();
        total.compact();
        assert_eq!(total, plain);
    }

    #[test]
    fn small_counts_survive_beside_large_ones() {
        let mut sum = HistogramSum::new(&of(0, 0, &[1.0]));
        for count in [1e100, 1.0, -1e100] {
            sum.add(&of(0, 0, &[count])).unwrap();
        }
        assert_eq!(sum.total().positive_buckets, [2.0]);
        assert_eq!(sum.total().count, 2.0);
    }

    #[test]
    fn custom_bounds_are_cut_to_the_common_ones() {
        let custom = |bounds: &[f64], counts: &[f64]| Histogram {
            custom_values: bounds.to_vec(),
            counter_reset_hint: CounterResetHint::Gauge,
            ..of(-53, 0, counts)
        };
        let mut sum = HistogramSum::new(&custom(&[1.0, 2.0, 3.0], &[1.0, 1.0, 1.0, 1.0]));
        assert!(sum.add(&custom(&[2.0, 5.0], &[4.0, 4.0, 4.0])).unwrap().bounds);
        assert_eq!(sum.total().positive_buckets, [6.0, 10.0]);
        assert!(sum.add(&of(0, 0, &[1.0])).is_err());
    }
}
