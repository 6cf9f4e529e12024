//! Quantiles and fractions of classic buckets.
//!
//! Source: the documentation of Prometheus' `histogram_quantile` and `histogram_fraction`. Buckets are
//! cumulative; observations are taken as spread evenly over a bucket, of which the first starts at zero unless
//! it ends at or below it.

use super::float::almost_equal;

/// Observations up to a bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bucket {
    pub(crate) upper: f64,
    pub(crate) count: f64,
}

/// What had to be corrected because counts fell from one bucket to the next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Correction {
    /// The lowest bound corrected.
    pub(crate) lowest: f64,
    /// The highest bound corrected.
    pub(crate) highest: f64,
    /// The largest fall.
    pub(crate) most: f64,
}

/// Falls and rises below this share of a count come from rounding and are passed over.
const ROUNDING: f64 = 1e-12;

/// The `q`-quantile of buckets in ascending order, which are tidied on the way.
pub(crate) fn quantile(q: f64, buckets: &mut Vec<Bucket>) -> (f64, Option<Correction>) {
    if q.is_nan() {
        return (f64::NAN, None);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    if buckets.last().is_none_or(|b| b.upper != f64::INFINITY) {
        return (f64::NAN, None);
    }
    coalesce(buckets);
    let correction = force_monotonic(buckets);
    let [inner @ .., last] = &buckets[..] else { return (f64::NAN, correction) };
    let observations = last.count;
    let Some(highest) = inner.last().filter(|_| observations != 0.0) else {
        return (f64::NAN, correction);
    };
    let mut rank = q * observations;
    let at = inner.iter().position(|b| b.count >= rank).unwrap_or(inner.len());
    let value = if at == inner.len() {
        highest.upper
    } else if at == 0 && inner[0].upper <= 0.0 {
        inner[0].upper
    } else {
        let (mut start, mut count) = (0.0, inner[at].count);
        if let Some(before) = at.checked_sub(1).map(|i| inner[i]) {
            start = before.upper;
            count -= before.count;
            rank -= before.count;
        }
        start + (inner[at].upper - start) * (rank / count)
    };
    (value, correction)
}

/// The share of observations between `lower` and `upper`.
pub(crate) fn fraction(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
    if buckets.last().is_none_or(|b| b.upper != f64::INFINITY) {
        return f64::NAN;
    }
    coalesce(buckets);
    let count = buckets.last().map_or(0.0, |b| b.count);
    if count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let mut from = if buckets[0].upper <= 0.0 { f64::NEG_INFINITY } else { 0.0 };
    let (mut rank, mut lower_rank, mut upper_rank) = (0.0, None, None);
    for bucket in buckets.iter() {
        for (limit, found) in [(lower, &mut lower_rank), (upper, &mut upper_rank)] {
            if found.is_some() {
                continue;
            }
            if from >= limit {
                *found = Some(rank);
            } else if bucket.upper > limit {
                // Without a lower end there is nothing to interpolate over.
                *found = Some(if from == f64::NEG_INFINITY {
                    bucket.count
                } else {
                    rank + (bucket.count - rank) * (limit - from) / (bucket.upper - from)
                });
            }
        }
        rank = bucket.count;
        from = bucket.upper;
    }
    let settle = |rank: Option<f64>| rank.map_or(count, |r| if r > count { count } else { r });
    (settle(upper_rank) - settle(lower_rank)) / count
}

/// Adds up buckets of the same bound.
fn coalesce(buckets: &mut Vec<Bucket>) {
    buckets.dedup_by(|next, kept| {
        let equal = next.upper == kept.upper;
        if equal {
            kept.count += next.count;
        }
        equal
    });
}

/// Lifts counts that fall below the bucket before, as they may when buckets were not scraped at once.
fn force_monotonic(buckets: &mut [Bucket]) -> Option<Correction> {
    let mut correction: Option<Correction> = None;
    let mut reached = buckets.first()?.count;
    for bucket in buckets.iter_mut().skip(1) {
        if bucket.count == reached {
            continue;
        }
        if almost_equal(reached, bucket.count, ROUNDING) {
            bucket.count = reached;
        } else if bucket.count < reached {
            let fall = reached - bucket.count;
            let known = correction.get_or_insert(Correction {
                lowest: f64::INFINITY,
                highest: f64::NEG_INFINITY,
                most: 0.0,
            });
            known.lowest = known.lowest.min(bucket.upper);
            known.highest = known.highest.max(bucket.upper);
            known.most = known.most.max(fall);
            bucket.count = reached;
        } else {
            reached = bucket.count;
        }
    }
    correction
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const INF: f64 = f64::INFINITY;

    fn of(pairs: &[(f64, f64)]) -> Vec<Bucket> {
        pairs.iter().map(|(upper, count)| Bucket { upper: *upper, count: *count }).collect()
    }

    #[test]
    fn quantiles_interpolate_within_a_bucket() {
        let positive = [(1.0, 2.0), (2.0, 6.0), (INF, 8.0)];
        for (shows, pairs, q, want) in [
            ("inside", &positive[..], 0.5, 1.5),
            ("the first bucket starts at zero", &positive, 0.125, 0.5),
            ("the last bucket has no end", &positive, 0.9, 2.0),
            ("a first bucket below zero", &[(-1.0, 2.0), (INF, 4.0)], 0.1, -1.0),
            ("equal bounds add up", &[(1.0, 1.0), (1.0, 1.0), (INF, 2.0)], 0.5, 0.5),
        ] {
            assert_eq!(quantile(q, &mut of(pairs)).0, want, "{shows}");
        }
        for (shows, pairs) in [
            ("no +Inf bucket", &[(1.0, 2.0)][..]),
            ("no observations", &[(1.0, 0.0), (INF, 0.0)]),
            ("one bucket", &[(INF, 3.0)]),
        ] {
            assert!(quantile(0.5, &mut of(pairs)).0.is_nan(), "{shows}");
        }
    }

    #[test]
    fn falling_counts_are_lifted_and_reported() {
        let (value, correction) = quantile(0.5, &mut of(&[(1.0, 4.0), (2.0, 3.0), (4.0, 8.0), (INF, 8.0)]));
        assert_eq!(value, 1.0);
        assert_eq!(correction, Some(Correction { lowest: 2.0, highest: 2.0, most: 1.0 }));
        let (_, rounding) = quantile(0.5, &mut of(&[(1.0, 4.0), (2.0, 4.0 - 1e-13), (INF, 8.0)]));
        assert_eq!(rounding, None);
    }

    proptest! {
        #[test]
        fn quantiles_rise_with_q(counts in prop::collection::vec(0.0f64..100.0, 2..12), a in 0.0f64..1.0, b in 0.0f64..1.0) {
            let mut total = 0.0;
            let mut buckets: Vec<Bucket> = counts.iter().enumerate().map(|(i, n)| {
                total += n;
                Bucket { upper: (i + 1) as f64, count: total }
            }).collect();
            buckets.push(Bucket { upper: INF, count: total + 1.0 });
            let (low, high) = if a < b { (a, b) } else { (b, a) };
            let (x, y) = (quantile(low, &mut buckets.clone()).0, quantile(high, &mut buckets.clone()).0);
            prop_assert!(x <= y || x.is_nan(), "{x} {y}");
        }
    }
}
