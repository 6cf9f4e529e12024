//! Whether a series repeats itself: autocorrelation at candidate periods.

use crate::robust::{median, median_deviation};
use crate::trend::line;

/// Least autocorrelation that counts as a season. Detrended noise and random walks stay far below it.
const CLEAR: f64 = 0.3;
/// How many median deviations an outlier keeps.
const CLIP: f64 = 4.0;

/// The period among `candidates` (in values) at which `values` correlate best with themselves, if they
/// clearly do; a candidate needs two whole periods of values. Values that are not finite are skipped over.
#[must_use]
pub fn find_period(values: &[f64], candidates: &[usize]) -> Option<usize> {
    if candidates.is_empty() {
        return None;
    }
    let flat = flattened(values);
    let fits = candidates.iter().filter(|period| (2..=values.len() / 2).contains(*period));
    let scored = fits.map(|period| (autocorrelation(&flat, *period), *period));
    // The first of equals wins, so that the result depends on the order of candidates alone.
    let best = scored.reduce(|best, next| if next.0 > best.0 { next } else { best });
    best.filter(|(correlation, _)| *correlation > CLEAR).map(|(_, period)| period)
}

/// The autocorrelation of values around 0 at a lag; 0 of a constant.
pub(crate) fn autocorrelation(values: &[f64], lag: usize) -> f64 {
    let square: f64 = values.iter().map(|x| x * x).sum();
    let product: f64 = values.iter().zip(values.iter().skip(lag)).map(|(a, b)| a * b).sum();
    // Fewer pairs than values would bias it towards 0.
    let pairs = values.len().saturating_sub(lag).max(1) as f64 / values.len().max(1) as f64;
    if square > 0.0 { (product / pairs / square).clamp(-1.0, 1.0) } else { 0.0 }
}

/// The values without their trend, outliers cut, in units of their spread; gaps become 0.
fn flattened(values: &[f64]) -> Vec<f64> {
    let (slope, at_zero) = line(values);
    let rest: Vec<f64> = values.iter().enumerate().map(|(i, x)| x - at_zero - slope * i as f64).collect();
    let middle = median(&rest);
    let mut spread = median_deviation(&rest, middle);
    if spread.is_nan() || spread <= 0.0 {
        spread = rest.iter().filter(|x| x.is_finite()).fold(0.0, |most, x| (x - middle).abs().max(most));
    }
    if spread <= 0.0 {
        return vec![0.0; values.len()];
    }
    let cut = |x: &f64| if x.is_finite() { ((x - middle) / spread).clamp(-CLIP, CLIP) } else { 0.0 };
    let mut cut: Vec<f64> = rest.iter().map(cut).collect();
    let mean = cut.iter().sum::<f64>() / cut.len().max(1) as f64;
    cut.iter_mut().for_each(|x| *x -= mean);
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(i: usize) -> f64 {
        let mut x = (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678;
        x ^= x >> 31;
        x = x.wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x ^= x >> 29;
        (x % 10_000) as f64 / 5_000.0 - 1.0
    }

    #[test]
    fn seasons_are_found_under_trend_noise_and_outliers_and_not_elsewhere() {
        fn wave(i: usize) -> f64 {
            (i as f64 * std::f64::consts::TAU / 24.0).sin()
        }
        type Case = (&'static str, fn(usize) -> f64, Option<usize>);
        let cases: [Case; 7] = [
            ("daily", |i| wave(i) + noise(i), Some(24)),
            ("daily on a trend", |i| wave(i) + 0.2 * i as f64, Some(24)),
            ("daily with outliers", |i| wave(i) + if i % 97 == 5 { 1e6 } else { 0.0 }, Some(24)),
            ("daily with gaps", |i| if i % 10 == 3 { f64::NAN } else { wave(i) }, Some(24)),
            ("noise", noise, None),
            ("a line", |i| i as f64, None),
            ("a constant", |_| 3.0, None),
        ];
        for (what, value, want) in cases {
            let values: Vec<f64> = (0..400).map(value).collect();
            assert_eq!(find_period(&values, &[17, 24]), want, "{what}");
        }
    }
}
