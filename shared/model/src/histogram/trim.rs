//! Cutting a native histogram off above or below a value: PromQL's `</` and `>/`.
//!
//! Observations of a bucket that the value falls into are split by the same interpolation as quantiles. Count
//! and sum are estimated anew from the buckets' middles, but only if something was cut.

use super::quantile::fraction_below;
use super::{BucketSide, Histogram};

/// Which observations are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Those up to the value.
    Below,
    /// Those from the value on.
    Above,
}

impl Histogram {
    /// Removes the observations on one side of `value`.
    pub fn trim(&mut self, value: f64, keep: Keep) {
        let custom = self.has_custom_buckets();
        let (mut count, mut sum, mut cut) = (0.0, 0.0, false);
        let mut populated = [false; 2];
        for (at, side) in [BucketSide::Positive, BucketSide::Negative].into_iter().enumerate() {
            let cells: Vec<(i32, f64)> = match side {
                BucketSide::Negative => self.negative().collect(),
                _ => self.positive().collect(),
            };
            for (cell, (index, observations)) in cells.into_iter().enumerate() {
                if observations == 0.0 {
                    continue;
                }
                populated[at] = true;
                let bucket = Cut { bounds: self.raw_bounds(side, index), observations, side, custom };
                let (kept, middle) = bucket.trim(value, keep);
                count += kept;
                sum += middle * kept;
                if kept != observations {
                    cut = true;
                    match side {
                        BucketSide::Negative => self.negative_buckets[cell] = kept,
                        _ => self.positive_buckets[cell] = kept,
                    }
                }
            }
        }
        if self.zero_count > 0.0 {
            let (kept, middle) = self.trim_zero(value, keep, populated[0], populated[1]);
            cut |= kept != self.zero_count;
            self.zero_count = kept;
            count += kept;
            sum += middle * kept;
        }
        if cut {
            (self.count, self.sum) = (count, sum);
            self.compact();
        }
    }

    /// What remains of the zero bucket and its middle; it reaches only to the side that has observations.
    fn trim_zero(&self, value: f64, keep: Keep, positive: bool, negative: bool) -> (f64, f64) {
        let lower = if positive && !negative { 0.0 } else { -self.zero_threshold };
        let upper = if negative && !positive { 0.0 } else { self.zero_threshold };
        let whole = (self.zero_count, f64::midpoint(lower, upper));
        match keep {
            Keep::Below if value <= lower => (0.0, 0.0),
            Keep::Below if value >= upper => whole,
            Keep::Below => {
                (self.zero_count * ((value - lower) / (upper - lower)), f64::midpoint(lower, value))
            }
            Keep::Above if value <= lower => whole,
            Keep::Above if value >= upper => (0.0, 0.0),
            Keep::Above => {
                (self.zero_count * ((upper - value) / (upper - lower)), f64::midpoint(value, upper))
            }
        }
    }
}

/// A populated bucket about to be cut.
struct Cut {
    bounds: (f64, f64),
    observations: f64,
    side: BucketSide,
    custom: bool,
}

impl Cut {
    /// How many observations are kept, and the middle of the interval they lie in.
    fn trim(&self, value: f64, keep: Keep) -> (f64, f64) {
        let (lower, upper) = self.bounds;
        match keep {
            Keep::Below if upper <= value => (self.observations, self.middle(lower, upper)),
            Keep::Above if lower >= value => (self.observations, self.middle(lower, upper)),
            Keep::Below if lower < value => self.split(value, keep),
            Keep::Above if upper > value => self.split(value, keep),
            _ => (0.0, 0.0),
        }
    }

    fn split(&self, value: f64, keep: Keep) -> (f64, f64) {
        let (lower, upper) = self.bounds;
        if lower == f64::NEG_INFINITY {
            return self.split_without_lower(value, keep);
        }
        if upper == f64::INFINITY {
            // Nothing is known about how observations spread up to infinity.
            return match keep {
                Keep::Below => (0.0, finite_or_zero(lower)),
                Keep::Above if value >= lower => (self.observations, value),
                Keep::Above => (0.0, finite_or_zero(lower)),
            };
        }
        let below = if value <= lower {
            0.0
        } else if value >= upper {
            self.observations
        } else {
            self.observations * fraction_below(lower, upper, value, self.custom)
        };
        match keep {
            Keep::Below => (below, self.middle(lower, value)),
            Keep::Above => (self.observations - below, self.middle(value, upper)),
        }
    }

    /// The first custom bucket: it starts at -Inf, but counts from zero on when it ends above.
    fn split_without_lower(&self, value: f64, keep: Keep) -> (f64, f64) {
        let (_, upper) = self.bounds;
        let n = self.observations;
        match keep {
            Keep::Below if value >= upper => (n, 0.0),
            Keep::Below if value > 0.0 && upper > 0.0 && upper.is_finite() => {
                (n * value / upper, value / 2.0)
            }
            Keep::Below if upper <= 0.0 => (n, value),
            Keep::Above if value == f64::NEG_INFINITY => (n, 0.0),
            Keep::Above if value >= 0.0 && upper > value && upper.is_finite() => {
                (n * (1.0 - value / upper), f64::midpoint(value, upper))
            }
            _ => (0.0, finite_or_zero(upper)),
        }
    }

    fn middle(&self, lower: f64, upper: f64) -> f64 {
        match (lower.is_infinite(), upper.is_infinite()) {
            (true, true) => 0.0,
            (true, false) if upper > 0.0 => upper / 2.0,
            (true, false) => upper,
            (false, true) => lower,
            (false, false) if self.custom => f64::midpoint(lower, upper),
            (false, false) => {
                let geometric = (lower * upper).abs().sqrt();
                if self.side == BucketSide::Negative { -geometric } else { geometric }
            }
        }
    }
}

fn finite_or_zero(x: f64) -> f64 {
    if x.is_infinite() { 0.0 } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Span;

    fn custom(counts: &[f64]) -> Histogram {
        Histogram {
            schema: -53,
            custom_values: vec![5.0, 10.0],
            count: counts.iter().sum(),
            sum: 100.0,
            positive_spans: vec![Span { offset: 0, length: counts.len() as u32 }],
            positive_buckets: counts.to_vec(),
            ..Histogram::default()
        }
    }

    #[test]
    fn buckets_are_kept_cut_or_dropped() {
        for (shows, value, keep, want_count, want_sum) in [
            ("nothing to cut", 20.0, Keep::Above, 2.0, 40.0),
            ("below a bound", 10.0, Keep::Below, 8.0, 4.0 * 2.5 + 4.0 * 7.5),
            ("inside a bucket", 7.5, Keep::Below, 6.0, 4.0 * 2.5 + 2.0 * 6.25),
            ("above, inside a bucket", 7.5, Keep::Above, 4.0, 2.0 * 8.75 + 2.0 * 10.0),
        ] {
            let mut histogram = custom(&[4.0, 4.0, 2.0]);
            histogram.trim(value, keep);
            assert_eq!((histogram.count, histogram.sum), (want_count, want_sum), "{shows}");
        }
        let mut whole = custom(&[4.0, 4.0, 0.0]);
        whole.trim(f64::INFINITY, Keep::Below);
        assert_eq!(whole.sum, 100.0, "nothing was cut, so the sum stays exact");
    }
}
