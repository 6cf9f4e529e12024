//! Order statistics: quantiles, the median, and the median deviation from it.

/// Ratio of the standard deviation to the median deviation of a normal distribution.
pub(crate) const SIGMA_PER_MAD: f64 = 1.482_602_218_505_602;

/// The quantile `q` (0 to 1) of `values`, interpolated linearly between neighbours; NaN of nothing.
/// Values that are not finite are left out.
#[must_use]
pub fn quantile(q: f64, values: &[f64]) -> f64 {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|x| x.is_finite()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    quantile_of_sorted(q, &sorted)
}

/// [`quantile`] of values that are finite and ascending already.
pub(crate) fn quantile_of_sorted(q: f64, sorted: &[f64]) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = q.clamp(0.0, 1.0) * last as f64;
    let below = place.floor() as usize;
    let (low, high) = (sorted[below.min(last)], sorted[(below + 1).min(last)]);
    let share = place - below as f64;
    // Not low + (high - low) * share, whose difference may overflow.
    low * (1.0 - share) + high * share
}

/// The median; NaN of nothing.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    quantile(0.5, values)
}

/// The median distance from `center`, scaled so that it estimates the standard deviation of normal data.
#[must_use]
pub fn median_deviation(values: &[f64], center: f64) -> f64 {
    let distances: Vec<f64> = values.iter().map(|x| (x - center).abs()).collect();
    SIGMA_PER_MAD * median(&distances)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_interpolate_and_leave_out_what_is_not_finite() {
        let values = [4.0, f64::NAN, 1.0, 3.0, f64::INFINITY, 2.0];
        for (q, want) in [(0.0, 1.0), (0.5, 2.5), (1.0, 4.0), (2.0, 4.0), (1.0 / 3.0, 2.0)] {
            assert!((quantile(q, &values) - want).abs() < 1e-12, "quantile {q}");
        }
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn the_median_deviation_ignores_a_far_value() {
        let spread = median_deviation(&[1.0, 2.0, 3.0, 4.0, 1e9], 3.0);
        assert!((spread - SIGMA_PER_MAD).abs() < 1e-12);
    }
}
