//! Small numerical helpers over slices of floats.

use std::cmp::Ordering;

use weir_model::kahan_add;

/// Ascending, with NaN before everything.
pub(crate) fn nan_first(a: f64, b: f64) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (false, false) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
        (a_nan, b_nan) => b_nan.cmp(&a_nan),
    }
}

/// The `q`-quantile by linear interpolation between the two nearest ranks; sorts the values.
///
/// NaN without values or for a NaN `q`, infinite for a `q` outside of 0 to 1.
pub(crate) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_unstable_by(|a, b| nan_first(*a, *b));
    let rank = q * (values.len() - 1) as f64;
    let lower = (rank.floor() as usize).min(values.len() - 1);
    let upper = (lower + 1).min(values.len() - 1);
    let weight = rank - rank.floor();
    values[lower] * (1.0 - weight) + values[upper] * weight
}

/// The compensated sum.
pub(crate) fn sum(values: &[f64]) -> f64 {
    let (mut sum, mut lost) = (0.0, 0.0);
    for x in values {
        (sum, lost) = kahan_add(*x, sum, lost);
    }
    if sum.is_infinite() { sum } else { sum + lost }
}

/// A running mean that goes over to updating the mean itself once the sum would overflow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mean {
    /// The sum, or the mean after an overflow.
    value: f64,
    lost: f64,
    count: f64,
    overflown: bool,
}

impl Mean {
    pub(crate) fn of(first: f64) -> Self {
        Self { value: first, lost: 0.0, count: 1.0, overflown: false }
    }

    #[inline]
    pub(crate) fn add(&mut self, x: f64) {
        self.count += 1.0;
        if !self.overflown {
            let (sum, lost) = kahan_add(x, self.value, self.lost);
            if !sum.is_infinite() {
                (self.value, self.lost) = (sum, lost);
                return;
            }
            self.overflow(self.count - 1.0);
        }
        let q = (self.count - 1.0) / self.count;
        (self.value, self.lost) = kahan_add(x / self.count, q * self.value, q * self.lost);
    }

    fn overflow(&mut self, count: f64) {
        if !self.overflown {
            self.overflown = true;
            self.value /= count;
            self.lost /= count;
        }
    }

    /// Takes in another mean.
    pub(crate) fn merge(&mut self, mut other: Self) {
        let count = self.count + other.count;
        if !self.overflown && !other.overflown {
            let (sum, lost) = kahan_add(other.value, self.value, self.lost);
            if !sum.is_infinite() {
                *self = Self { value: sum, lost: lost + other.lost, count, overflown: false };
                return;
            }
        }
        self.overflow(self.count);
        other.overflow(other.count);
        let (mine, theirs) = (self.count / count, other.count / count);
        let (value, lost) = kahan_add(other.value * theirs, self.value * mine, self.lost * mine);
        *self = Self { value, lost: lost + other.lost * theirs, count, overflown: true };
    }

    #[inline]
    pub(crate) fn mean(&self) -> f64 {
        if self.overflown { self.value + self.lost } else { self.value / self.count + self.lost / self.count }
    }
}

/// The compensated mean; zero values have none.
pub(crate) fn mean(values: &[f64]) -> f64 {
    let Some((first, rest)) = values.split_first() else { return f64::NAN };
    let mut mean = Mean::of(*first);
    rest.iter().for_each(|x| mean.add(*x));
    mean.mean()
}

/// The population variance by Welford's method with compensated sums.
pub(crate) fn variance(values: &[f64]) -> f64 {
    let (mut count, mut mean, mut mean_lost) = (0.0, 0.0, 0.0);
    let (mut squares, mut squares_lost) = (0.0, 0.0);
    for x in values {
        count += 1.0;
        let delta = x - (mean + mean_lost);
        (mean, mean_lost) = kahan_add(delta / count, mean, mean_lost);
        (squares, squares_lost) = kahan_add(delta * (x - (mean + mean_lost)), squares, squares_lost);
    }
    (squares + squares_lost) / count
}

/// True when both are equal or differ by at most `tolerance` of their size.
pub(crate) fn almost_equal(a: f64, b: f64, tolerance: f64) -> bool {
    if a.is_nan() && b.is_nan() || a == b {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < tolerance * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < tolerance
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_interpolate_between_ranks() {
        let values = [5.0, 1.0, 3.0, 2.0, 4.0];
        for (q, want) in [(0.0, 1.0), (0.5, 3.0), (0.9, 4.6), (1.0, 5.0), (-1.0, f64::NEG_INFINITY)] {
            assert!((quantile(q, &mut values.clone()) - want).abs() < 1e-12 || want.is_infinite());
        }
        assert!(quantile(0.0, &mut [1.0, f64::NAN]).is_nan(), "NaN comes first");
        assert!(quantile(0.5, &mut []).is_nan());
    }

    #[test]
    fn means_survive_sums_that_overflow() {
        let big = f64::MAX * 0.75;
        assert_eq!(mean(&[big, big, big]), big);
        let mut left = Mean::of(big);
        let mut right = Mean::of(big);
        right.add(big);
        left.merge(right);
        assert!((left.mean() / big - 1.0).abs() < 1e-15);
        assert_eq!(mean(&[1.0, 2.0, 6.0]), 3.0);
    }

    #[test]
    fn merged_means_equal_the_mean_of_all() {
        let mut left = Mean::of(1.0);
        left.add(1e100);
        let mut right = Mean::of(-1e100);
        right.add(1.0);
        left.merge(right);
        assert_eq!(left.mean(), 0.5);
    }
}
