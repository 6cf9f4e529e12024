//! What the newest value of a window is expected to be given those before it, and how far off it is.

use crate::robust::{SIGMA_PER_MAD, median};

/// Fewest earlier values that say anything.
const FEWEST: usize = 8;
/// Student's t of four degrees of freedom within which 95 % lie.
const BAND: f64 = 2.776_445;

/// What the last of some values is expected to be.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Expectation {
    value: f64,
    /// The usual error, as a standard deviation.
    error: f64,
}

/// How anomalous the last of `values` is given the earlier ones, from 0 to 1: how probable a smaller error
/// than its error is. `None` of fewer than nine values, or if the last one is not finite.
///
/// Forecasters guess each value from those before: the median of all, the value before, and the value one
/// season ago for each of `seasons` (in values). The one with the smallest median error is believed. Errors
/// in units of the usual one follow Student's distribution with four degrees of freedom, whose tails are
/// about as heavy as those of metrics. Values are evenly spaced, NaN where one is missing.
#[must_use]
pub fn anomaly_score(values: &[f64], seasons: &[usize]) -> Option<f64> {
    let newest = values.last().copied().filter(|x| x.is_finite())?;
    let expected = expectation(values, seasons)?;
    let off = newest - expected.value;
    // An error where there never was one is as strange as can be.
    Some(if off == 0.0 { 0.0 } else { two_sided_student4(off / expected.error) })
}

/// The band in which the last of `values` is expected with 95 % probability given the earlier ones, as its
/// lower and upper edge: it lies outside when its [`anomaly_score`] is above 0.95.
#[must_use]
pub fn expected_band(values: &[f64], seasons: &[usize]) -> Option<(f64, f64)> {
    let expected = expectation(values, seasons)?;
    let reach = BAND * expected.error;
    Some((expected.value - reach, expected.value + reach))
}

fn expectation(values: &[f64], seasons: &[usize]) -> Option<Expectation> {
    let (_, earlier) = values.split_last()?;
    let known: Vec<f64> = earlier.iter().copied().filter(|x| x.is_finite()).collect();
    if known.len() < FEWEST {
        return None;
    }
    let middle = median(&known);
    let mut best = (usual(known.iter().map(|x| x - middle)), middle);
    for lag in [1].iter().chain(seasons).copied() {
        if lag == 0 || earlier.len() < lag + FEWEST || !earlier[earlier.len() - lag].is_finite() {
            continue;
        }
        let errors = usual(earlier.windows(lag + 1).map(|w| w[lag] - w[0]));
        if errors.median < best.0.median {
            best = (errors, earlier[earlier.len() - lag]);
        }
    }
    let (errors, value) = best;
    // When most errors are none, a single one is measured by their mean.
    let error = if errors.median > 0.0 { SIGMA_PER_MAD * errors.median } else { errors.mean };
    (value.is_finite() && !error.is_nan()).then_some(Expectation { value, error })
}

/// The sizes of errors.
struct Errors {
    median: f64,
    mean: f64,
}

fn usual(errors: impl Iterator<Item = f64>) -> Errors {
    let sizes: Vec<f64> = errors.map(f64::abs).filter(|x| x.is_finite()).collect();
    let count = sizes.len() as f64;
    Errors { median: median(&sizes), mean: sizes.iter().map(|x| x / count).sum() }
}

/// The probability that Student's variable with four degrees of freedom lies within ±`t` (Abramowitz and
/// Stegun 26.7.4, where theta is atan(t / 2)).
fn two_sided_student4(t: f64) -> f64 {
    if t.is_nan() {
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
        for (t, want) in [(0.0, 0.0), (BAND, 0.95), (4.604, 0.99), (8.610, 0.999), (f64::INFINITY, 1.0)] {
            assert!((two_sided_student4(t) - want).abs() < 1e-4, "t {t}");
        }
    }

    #[test]
    fn a_newest_value_unlike_the_earlier_ones_scores_high_and_lies_outside_the_band() {
        fn wave(i: usize) -> f64 {
            (i as f64 * std::f64::consts::TAU / 24.0).sin() * 10.0 + (i * 7 % 5) as f64 * 0.1
        }
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
            let (lower, upper) = expected_band(&values, &[24]).unwrap();
            let newest = *values.last().unwrap();
            assert_eq!((lower..=upper).contains(&newest), score <= 0.95, "{what}: {lower} to {upper}");
        }
        assert_eq!(anomaly_score(&[1.0; 8], &[]), None, "seven earlier values are too few");
    }
}
