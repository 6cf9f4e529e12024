//! Turns single observations (StatsD timers, client distributions) into a native histogram.

use std::collections::BTreeMap;

use super::{Histogram, Span};

/// Collects observations at one resolution.
#[derive(Debug, Clone)]
pub struct DistributionBuilder {
    schema: i32,
    positive: BTreeMap<i32, f64>,
    negative: BTreeMap<i32, f64>,
    zero_count: f64,
    count: f64,
    sum: f64,
}

impl DistributionBuilder {
    /// The resolution of Weir's own distributions: buckets grow by 2^(1/32), 2.2 %, so a value read
    /// back as its bucket's middle is off by at most 1.1 %.
    pub const SCHEMA: i32 = 5;
    /// Magnitudes up to here count as zero: the default of Prometheus' client libraries, 2^-128.
    pub const ZERO_THRESHOLD: f64 = 2.938_735_877_055_719e-39;

    /// An empty distribution of [`DistributionBuilder::SCHEMA`].
    #[must_use]
    pub fn new() -> Self {
        Self {
            schema: Self::SCHEMA,
            positive: BTreeMap::new(),
            negative: BTreeMap::new(),
            zero_count: 0.0,
            count: 0.0,
            sum: 0.0,
        }
    }

    /// Adds `weight` observations of `value` (a sample rate of 0.1 makes the weight 10).
    ///
    /// Observations that are not finite, and weights that are not finite and above zero, are left to
    /// the caller to refuse; here they are ignored.
    pub fn observe(&mut self, value: f64, weight: f64) {
        if !(value.is_finite() && weight.is_finite() && weight > 0.0) {
            return;
        }
        self.count += weight;
        self.sum += value * weight;
        let magnitude = value.abs();
        if magnitude <= Self::ZERO_THRESHOLD {
            self.zero_count += weight;
            return;
        }
        let side = if value > 0.0 { &mut self.positive } else { &mut self.negative };
        *side.entry(bucket_index(magnitude, self.schema)).or_default() += weight;
    }

    /// True when nothing was observed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0.0
    }

    /// The histogram of everything observed.
    #[must_use]
    pub fn build(&self) -> Histogram {
        let (positive_spans, positive_buckets) = spans(&self.positive);
        let (negative_spans, negative_buckets) = spans(&self.negative);
        Histogram {
            schema: self.schema,
            zero_threshold: Self::ZERO_THRESHOLD,
            zero_count: self.zero_count,
            count: self.count,
            sum: self.sum,
            positive_spans,
            positive_buckets,
            negative_spans,
            negative_buckets,
            ..Histogram::default()
        }
    }
}

impl Default for DistributionBuilder {
    fn default() -> Self {
        Self::new()
    }
}

/// The bucket of a positive magnitude: the smallest `i` with magnitude <= base^i.
fn bucket_index(magnitude: f64, schema: i32) -> i32 {
    let scale = f64::from(schema).exp2();
    let bound = |index: f64| (index / scale).exp2();
    let mut index = (magnitude.log2() * scale).ceil();
    // The logarithm may be off by one unit in the last place at a bucket's edge.
    if magnitude <= bound(index - 1.0) {
        index -= 1.0;
    } else if magnitude > bound(index) {
        index += 1.0;
    }
    index as i32
}

fn spans(buckets: &BTreeMap<i32, f64>) -> (Vec<Span>, Vec<f64>) {
    let mut spans: Vec<Span> = Vec::new();
    let mut next = 0;
    for &index in buckets.keys() {
        match spans.last_mut() {
            Some(span) if index == next => span.length += 1,
            _ => spans.push(Span { offset: index - next, length: 1 }),
        }
        next = index + 1;
    }
    (spans, buckets.values().copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_power_of_two_lies_at_its_bucket_upper_bound() {
        for (value, index) in [(1.0, 0), (2.0, 32), (0.5, -32), (1.000_001, 1), (4.0, 64), (3.999, 64)] {
            assert_eq!(bucket_index(value, 5), index, "{value}");
        }
    }

    proptest! {
        #[test]
        fn every_observation_is_counted_in_a_valid_histogram(values in prop::collection::vec(-1e12f64..1e12, 0..200)) {
            let mut builder = DistributionBuilder::new();
            values.iter().for_each(|v| builder.observe(*v, 1.0));
            let histogram = builder.build();
            histogram.validate().unwrap();
            let inside: f64 = histogram.positive_buckets.iter().chain(&histogram.negative_buckets).sum();
            prop_assert_eq!(inside + histogram.zero_count, values.len() as f64);
            for v in values.iter().filter(|v| **v > 1e-30) {
                let index = bucket_index(*v, 5);
                let upper = (f64::from(index) / 32.0).exp2();
                let lower = (f64::from(index - 1) / 32.0).exp2();
                prop_assert!(lower * (1.0 - 1e-12) < *v && *v <= upper * (1.0 + 1e-12));
            }
        }
    }
}
