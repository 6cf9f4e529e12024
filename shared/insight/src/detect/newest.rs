//! The score of the newest value of a window, given those before it.

use crate::robust::{SIGMA_PER_MAD, median};
use crate::season;

/// Fewest earlier values for which a score says anything.
const FEWEST: usize = 8;
/// Most values that are looked at: the newest ones.
const MOST: usize = 4096;

/// How anomalous the last of `values` is given the earlier ones, from 0 to 1; `None` of fewer than nine.
///
/// Three forecasters guess each value from those before: the median of all, the value before, and, if one of
/// `seasons` (periods in values) is clear, the value one season ago. The one with the smallest median error is believed.
/// Its error at the newest value, in units of its usual error, becomes a probability by Student's
/// distribution with four degrees of freedom, whose tails are about as heavy as those of metrics.
/// Values that are not finite are skipped; if the newest one is not, there is no score.
#[must_use]
pub fn anomaly_score(values: &[f64], seasons: &[usize]) -> Option<f64> {
    let newest = *values.last()?;
    if !newest.is_finite() {
        return None;
    }
    let values: Vec<f64> =
        values[values.len().saturating_sub(MOST)..].iter().copied().filter(|x| x.is_finite()).collect();
    let (_, earlier) = values.split_last()?;
    if earlier.len() < FEWEST {
        return None;
    }
    let middle = median(earlier);
    let constant = median(&distances(earlier.iter().map(|x| x - middle)));
    let mut best = (constant, newest - middle);
    let period = season::find_period(earlier, seasons);
    for lag in [Some(1), period].into_iter().flatten() {
        let usual = median(&distances(earlier.windows(lag + 1).map(|w| w[lag] - w[0])));
        if usual < best.0 {
            best = (usual, newest - earlier[earlier.len() - lag]);
        }
    }
    let (usual, error) = best;
    // Most errors being none, any error counts in units of the average one.
    let scale = if usual > 0.0 {
        SIGMA_PER_MAD * usual
    } else {
        distances(earlier.iter().map(|x| x - middle)).iter().map(|d| d / earlier.len() as f64).sum()
    };
    Some(if error == 0.0 {
        0.0
    } else if scale > 0.0 {
        two_sided_student4(error / scale)
    } else {
        1.0
    })
}

fn distances(errors: impl Iterator<Item = f64>) -> Vec<f64> {
    errors.map(f64::abs).collect()
}

/// The probability that Student's variable with four degrees of freedom lies within ±`t` (Abramowitz and
/// Stegun 26.7.4, where theta is atan(t / 2)).
fn two_sided_student4(t: f64) -> f64 {
    if !t.is_finite() {
        return 1.0;
    }
    let (sine, cosine) = (t.abs() / 2.0).atan().sin_cos();
    (sine * (1.0 + cosine * cosine / 2.0)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_probability_agrees_with_the_tables_of_student() {
        for (t, want) in [(0.0, 0.0), (2.776, 0.95), (4.604, 0.99), (8.610, 0.999)] {
            assert!((two_sided_student4(t) - want).abs() < 1e-4, "t {t}");
        }
    }

    #[test]
    fn a_newest_value_unlike_the_earlier_ones_scores_high() {
        let wave =
            |i: usize| (i as f64 * std::f64::consts::TAU / 24.0).sin() * 10.0 + (i * 7 % 5) as f64 * 0.1;
        let season: Vec<f64> = (0..240).map(wave).collect();
        let with = |newest: f64| season.iter().copied().chain([newest]).collect::<Vec<_>>();
        let cases = [
            ("constant, then the same", [5.0; 20].to_vec(), 0.0..=0.0),
            ("constant, then another", [&[5.0; 20][..], &[6.0]].concat(), 1.0..=1.0),
            ("seasonal, as last day", with(wave(240)), 0.0..=0.9),
            ("seasonal, value of another hour", with(10.0), 0.999..=1.0),
            ("a line going on", (0..50).map(f64::from).collect(), 0.0..=0.9),
        ];
        for (what, values, range) in cases {
            let score = anomaly_score(&values, &[24]).unwrap();
            assert!(range.contains(&score), "{what}: {score}");
        }
        assert_eq!(anomaly_score(&[1.0; 8], &[]), None, "eight values are too few");
    }
}
