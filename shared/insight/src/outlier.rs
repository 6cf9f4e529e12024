//! Which members of a group stand apart from it at one moment.

use crate::robust::{SIGMA_PER_MAD, median};

/// How far each value is from the median of all, in standard deviations estimated by the median deviation:
/// the modified z-score (B. Iglewicz and D. Hoaglin, "How to detect and handle outliers", 1993, who call
/// values beyond 3.5 outliers). Signed: negative below the median.
///
/// When most values are equal their median deviation is 0, and the mean deviation takes its place (times
/// 1.2533, as for normal data). Values that are not finite score NaN; equal values score 0.
#[must_use]
pub fn outlier_scores(values: &[f64]) -> Vec<f64> {
    /// Ratio of the standard deviation to the mean deviation of a normal distribution, the root of pi / 2.
    const SIGMA_PER_MEAN_DEVIATION: f64 = 1.253_314_137_315_500_3;
    let middle = median(values);
    let distances: Vec<f64> = values.iter().map(|x| (x - middle).abs()).filter(|d| d.is_finite()).collect();
    let mut scale = SIGMA_PER_MAD * median(&distances);
    if scale == 0.0 {
        let count = distances.len() as f64;
        scale = SIGMA_PER_MEAN_DEVIATION * distances.iter().map(|d| d / count).sum::<f64>();
    }
    let score = |x: &f64| match x - middle {
        0.0 => 0.0,
        from_middle if from_middle.is_finite() => from_middle / scale,
        _ => f64::NAN,
    };
    values.iter().map(score).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_member_that_stands_apart_scores_high() {
        let cases: [(&str, &[f64], &[bool]); 5] = [
            ("one high", &[10.0, 11.0, 9.0, 10.5, 30.0], &[false, false, false, false, true]),
            ("one low", &[10.0, 11.0, 9.0, 10.5, -30.0], &[false, false, false, false, true]),
            ("all equal", &[4.0; 4], &[false; 4]),
            (
                "all equal but one",
                &[4.0, 4.0, 4.0, 4.0, 4.0, 4.0, 5.0],
                &[false, false, false, false, false, false, true],
            ),
            ("alone", &[4.0], &[false]),
        ];
        for (what, values, want) in cases {
            let scores = outlier_scores(values);
            let far: Vec<bool> = scores.iter().map(|s| s.abs() > 3.5).collect();
            assert_eq!(far, want, "{what}: {scores:?}");
        }
        assert!(outlier_scores(&[1.0, f64::NAN, 2.0])[1].is_nan());
    }
}
