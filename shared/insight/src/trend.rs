//! Trends: the slope that half of the pairs exceed.

use crate::robust::median;

/// Most points whose pairs are all compared; of more, as many are chosen evenly.
const MOST: usize = 128;

/// The slope of `values` over `times` by the median of the slopes of all pairs (H. Theil 1950; P. K. Sen,
/// "Estimates of the regression coefficient based on Kendall's tau", 1968): up to 29 % of the points may be
/// wrong. `None` of fewer than two times. Points that are not finite are skipped; of more than 128 points
/// as many are chosen evenly, the first and the last among them.
#[must_use]
pub fn theil_sen(times: &[f64], values: &[f64]) -> Option<f64> {
    let usable = |(t, v): &(&f64, &f64)| t.is_finite() && v.is_finite();
    let points: Vec<(f64, f64)> = times.iter().zip(values).filter(usable).map(|(t, v)| (*t, *v)).collect();
    let kept = points.len().min(MOST);
    let chosen = |i: usize| points[i * (points.len() - 1) / (kept - 1).max(1)];
    let mut slopes = Vec::with_capacity(kept * kept.saturating_sub(1) / 2);
    for i in 0..kept {
        let (t, v) = chosen(i);
        let later = (i + 1..kept).map(chosen);
        slopes.extend(later.map(|(u, w)| (w - v) / (u - t)).filter(|slope| slope.is_finite()));
    }
    // Selection, not sorting: there are thousands of pairs, and only the middle is wanted.
    let (middle, slopes_are_even) = (slopes.len() / 2, slopes.len().is_multiple_of(2));
    if slopes.is_empty() {
        return None;
    }
    let (below, slope, _) = slopes.select_nth_unstable_by(middle, f64::total_cmp);
    let slope = *slope;
    Some(if slopes_are_even {
        below.iter().copied().fold(f64::MIN, f64::max) / 2.0 + slope / 2.0
    } else {
        slope
    })
}

/// A robust line through values at 0, 1, 2 and so on: its slope, and its value at 0; gaps are skipped.
pub(crate) fn line(values: &[f64]) -> (f64, f64) {
    let times: Vec<f64> = (0..values.len()).map(|i| i as f64).collect();
    let slope = theil_sen(&times, values).unwrap_or(0.0);
    let rest: Vec<f64> = values.iter().zip(&times).map(|(x, t)| x - slope * t).collect();
    let at_zero = median(&rest);
    (slope, if at_zero.is_nan() { 0.0 } else { at_zero })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_wrong_points_do_not_turn_the_slope() {
        let times: Vec<f64> = (0..600).map(|i| f64::from(i) * 15.0).collect();
        let values: Vec<f64> =
            times.iter().enumerate().map(|(i, t)| if i % 5 == 2 { 1e9 } else { 3.0 + 0.5 * t }).collect();
        assert!((theil_sen(&times, &values).unwrap() - 0.5).abs() < 1e-9);
    }

    #[test]
    fn one_point_or_one_time_has_no_slope() {
        assert_eq!(theil_sen(&[1.0], &[1.0]), None);
        assert_eq!(theil_sen(&[1.0, 1.0], &[1.0, 2.0]), None);
        assert_eq!(theil_sen(&[], &[]), None);
        assert_eq!(theil_sen(&[1.0, 2.0, 3.0], &[f64::NAN, 2.0, 4.0]), Some(2.0));
    }
}
