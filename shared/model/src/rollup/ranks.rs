//! Quantiles of the values of several intervals, from their distributions.
//!
//! A value is only known to lie between two bounds, a bucket's or an interval's least and greatest value. If each
//! is put somewhere between its bounds, then the value of any rank is off by no more than single values are: order
//! is kept by whatever grows. So bounds of different intervals need not fit together.

use super::Interval;
use crate::histogram::{Histogram, VALUES_SCHEMA};

/// An interval has no distribution: of a running total, or of rollups made before there were any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no distribution of the interval that ends at {end_ms} ms is kept")]
pub struct NoDistribution {
    /// Where the interval ends.
    pub end_ms: i64,
}

/// Values and how many there are of each, and how far off they may be.
#[derive(Debug, Clone, Default)]
pub struct Ranks {
    values: Vec<(f64, u64)>,
    total: u64,
    coarsest: Option<i32>,
}

impl Interval {
    /// True when its distribution follows: no two values in between, or least and greatest within one bucket's width.
    #[must_use]
    pub fn tells_distribution(&self) -> bool {
        let (near, far) = match self.min >= 0.0 {
            true => (self.min, self.max),
            false => (-self.max, -self.min),
        };
        let growth = f64::from(-VALUES_SCHEMA).exp2().exp2();
        // NaN among the values is seen by the sum.
        self.count <= 2
            || (!self.sum.is_nan()
                && (near == far || (near > 0.0 && far.is_finite() && far <= near * growth)))
    }
}

impl Ranks {
    /// Forgets all values.
    pub fn clear(&mut self) {
        self.values.clear();
        (self.total, self.coarsest) = (0, None);
    }

    /// Takes in the values of an interval: count, sum, least, greatest, first and last one must be known.
    ///
    /// # Errors
    /// [`NoDistribution`] when it is not given and does not follow from the interval.
    pub fn add(
        &mut self,
        interval: &Interval,
        distribution: Option<&Histogram>,
    ) -> Result<(), NoDistribution> {
        self.total += interval.count;
        if let Some(distribution) = distribution {
            self.add_buckets(interval, distribution);
            return Ok(());
        }
        if !interval.tells_distribution() {
            return Err(NoDistribution { end_ms: interval.end_ms });
        }
        match interval.count {
            1 => self.values.push((interval.last, 1)),
            2 => self.values.extend([(interval.first, 1), (interval.last, 1)]),
            count => {
                self.values.extend([(interval.min, 1), (interval.max, 1)]);
                self.put(interval, interval.min, interval.max, count - 2, VALUES_SCHEMA);
            }
        }
        Ok(())
    }

    fn add_buckets(&mut self, interval: &Interval, distribution: &Histogram) {
        let held: f64 = distribution.buckets_ascending().map(|bucket| bucket.count).sum();
        let held = held as u64;
        // NaN lies in no bucket.
        self.values.push((f64::NAN, interval.count.saturating_sub(held)));
        if held == 0 {
            return;
        }
        self.values.push((interval.min, 1));
        if held > 1 {
            self.values.push((interval.max, 1));
        }
        let mut before = 0;
        for bucket in distribution.buckets_ascending() {
            let (lower, upper) = distribution.bounds(&bucket);
            let (from, to) = (before, before + bucket.count as u64);
            before = to;
            // Without the least and the greatest value, which are known.
            let inner = to.min(held.saturating_sub(1)).saturating_sub(from.max(1));
            if inner > 0 {
                self.put(
                    interval,
                    lower.max(interval.min),
                    upper.min(interval.max),
                    inner,
                    distribution.schema,
                );
            }
        }
    }

    /// Values between two bounds, at the place that none of them is far from.
    fn put(&mut self, interval: &Interval, lower: f64, upper: f64, count: u64, schema: i32) {
        let place = if lower == upper || upper == f64::INFINITY {
            upper
        } else if lower == f64::NEG_INFINITY {
            lower
        } else if lower <= 0.0 && upper >= 0.0 {
            0.0
        } else {
            2.0 / (lower.recip() + upper.recip())
        };
        if lower != upper {
            self.coarsest = Some(self.coarsest.map_or(schema, |coarsest| coarsest.min(schema)));
        }
        // Tiny numbers have no reciprocal.
        self.values.push((place.max(interval.min.max(lower)).min(interval.max.min(upper)), count));
    }

    /// The `q`-quantile by linear interpolation between the two nearest ranks, as PromQL has it: NaN comes first; NaN
    /// without values or for a NaN `q`, infinite for a `q` outside of 0 to 1.
    pub fn quantile(&mut self, q: f64) -> f64 {
        if self.total == 0 || q.is_nan() {
            return f64::NAN;
        }
        if q < 0.0 {
            return f64::NEG_INFINITY;
        }
        if q > 1.0 {
            return f64::INFINITY;
        }
        self.values.retain(|(_, count)| *count > 0);
        self.values.sort_unstable_by(|(a, _), (b, _)| b.is_nan().cmp(&a.is_nan()).then(a.total_cmp(b)));
        let last = self.total - 1;
        let rank = q * last as f64;
        let lower = (rank.floor() as u64).min(last);
        let weight = rank - rank.floor();
        self.at(lower) * (1.0 - weight) + self.at((lower + 1).min(last)) * weight
    }

    /// The value of a rank, counted from 0; the values are in order.
    fn at(&self, rank: u64) -> f64 {
        let mut before = 0;
        for (value, count) in &self.values {
            before += count;
            if rank < before {
                return *value;
            }
        }
        f64::NAN
    }

    /// By how much of itself each of the two values that a quantile lies between may be off; 0 if all are exact.
    /// What is nearer to zero than 2^-128 counts as zero.
    #[must_use]
    pub fn relative_error(&self) -> f64 {
        self.coarsest.map_or(0.0, Histogram::bucket_error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            6 => -1e3f64..1e3,
            6 => 99.0f64..101.0,
            2 => any::<f64>(),
            2 => (-5i32..5).prop_map(f64::from),
            1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX]),
        ]
    }

    /// An interval of values that are a second apart.
    fn interval(values: &[f64]) -> Interval {
        let mut rows = values.iter().enumerate();
        let one = |(at, value): (usize, &f64)| Interval::of(1_000_000, at as i64, *value);
        let mut all = one(rows.next().unwrap());
        rows.for_each(|row| all.join(&one(row)));
        all
    }

    fn exact(q: f64, values: &[f64]) -> (f64, f64, f64) {
        let mut sorted = values.to_vec();
        sorted.sort_by(|a, b| b.is_nan().cmp(&a.is_nan()).then(a.total_cmp(b)));
        let rank = q * (sorted.len() - 1) as f64;
        let weight = rank - rank.floor();
        let (lower, upper) =
            (sorted[rank.floor() as usize], sorted[(rank.floor() as usize + 1).min(sorted.len() - 1)]);
        (lower, upper, weight)
    }

    proptest! {
        #[test]
        fn quantiles_are_off_by_no_more_than_they_say(
            parts in prop::collection::vec(prop::collection::vec(value(), 1..300), 1..6),
            q in prop_oneof![0.0..=1.0, Just(0.0), Just(1.0)],
        ) {
            let mut ranks = Ranks::default();
            for part in &parts {
                let interval = interval(part);
                let distribution = Histogram::of_values(part.iter().copied());
                let given = (!interval.tells_distribution()).then_some(&distribution);
                ranks.add(&interval, given).unwrap();
            }
            let got = ranks.quantile(q);
            let (lower, upper, weight) = exact(q, &parts.concat());
            let want = lower * (1.0 - weight) + upper * weight;
            // Rounding may differ where values are as large as floats are.
            let allowed = (ranks.relative_error() + 1e-12) * (lower.abs() * (1.0 - weight) + upper.abs() * weight)
                + crate::DistributionBuilder::ZERO_THRESHOLD;
            prop_assert!(
                (got - want).abs() <= allowed || got.to_bits() == want.to_bits() || (got.is_nan() && want.is_nan()),
                "{got}, exactly {want}, allowed {allowed}"
            );
        }
    }

    #[test]
    fn what_is_exact_says_so() {
        for (values, q, want) in [
            (&[3.0][..], 0.5, 3.0),
            (&[3.0, 9.0], 0.5, 6.0),
            (&[7.0; 100], 0.9, 7.0),
            (&[-4.0, -4.0, -4.0], 0.1, -4.0),
        ] {
            let mut ranks = Ranks::default();
            ranks.add(&interval(values), None).unwrap();
            assert_eq!((ranks.quantile(q), ranks.relative_error()), (want, 0.0));
        }
        let apart = interval(&[1.0, 2.0, 3.0]);
        assert_eq!(Ranks::default().add(&apart, None), Err(NoDistribution { end_ms: 1_000_000 }));
    }
}
