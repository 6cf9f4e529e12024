//! What holds of the statistics whatever the input.

use proptest::prelude::*;
use weir_insight::{Detector, anomaly_score, forecast, outlier_scores, theil_sen};

/// Any number at all, and often ones that make a series.
fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => (-1000i32..1000).prop_map(f64::from),
        1 => any::<f64>(),
        1 => prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(f64::MAX), Just(-f64::MAX), Just(0.0), Just(5e-324)],
    ]
}

fn any_series(most: usize) -> impl Strategy<Value = Vec<f64>> {
    prop_oneof![
        prop::collection::vec(any_value(), 0..most),
        (any_value(), 0..most).prop_map(|(value, count)| vec![value; count]),
    ]
}

/// Series of whole numbers, on which moving and doubling are exact.
fn whole_series(most: usize) -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec((-500i32..500).prop_map(f64::from), 0..most)
}

fn detected(values: &[f64]) -> Vec<f64> {
    let mut detector = Detector::new();
    values.iter().map(|value| detector.score(*value)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn scores_lie_from_0_to_1_and_those_of_a_prefix_are_the_prefix_of_the_scores(
        values in any_series(300), cut in 0usize..300,
    ) {
        let scores = detected(&values);
        prop_assert!(scores.iter().all(|score| (0.0..=1.0).contains(score)), "{scores:?}");
        let cut = cut.min(values.len());
        prop_assert_eq!(&detected(&values[..cut])[..], &scores[..cut]);
    }

    #[test]
    fn neither_the_unit_nor_the_zero_of_the_values_changes_a_score(
        values in whole_series(200), doublings in -20i32..20, shift in -1000i32..1000,
    ) {
        let moved: Vec<f64> = values.iter().map(|x| (x + f64::from(shift)) * 2f64.powi(doublings)).collect();
        prop_assert_eq!(detected(&moved), detected(&values));
        if let (Some(a), Some(b)) = (anomaly_score(&moved, &[24]), anomaly_score(&values, &[24])) {
            prop_assert!((a - b).abs() < 1e-9, "{} and {}", a, b);
        }
        for (a, b) in outlier_scores(&moved).iter().zip(outlier_scores(&values)) {
            prop_assert!((a - b).abs() < 1e-9, "{} and {}", a, b);
        }
    }

    #[test]
    fn the_score_of_a_newest_value_lies_from_0_to_1(values in any_series(100), season in 0usize..40) {
        if let Some(score) = anomaly_score(&values, &[season]) {
            prop_assert!((0.0..=1.0).contains(&score), "{}", score);
        }
    }

    #[test]
    fn a_forecast_is_finite_in_order_and_as_long_as_asked(
        values in any_series(120), horizon in 0usize..40, periods in prop::collection::vec(0usize..50, 0..4),
    ) {
        let forecast = forecast(&values, horizon, &periods);
        prop_assert_eq!(forecast.is_some(), values.iter().any(|x| x.is_finite()));
        if let Some(f) = forecast {
            prop_assert_eq!((f.values.len(), f.lower.len(), f.upper.len()), (horizon, horizon, horizon));
            for i in 0..horizon {
                prop_assert!(f.lower[i] <= f.values[i] && f.values[i] <= f.upper[i]);
                prop_assert!(f.lower[i].is_finite() && f.upper[i].is_finite());
            }
        }
    }

    #[test]
    fn a_forecast_follows_the_unit_of_the_values(values in whole_series(80), doublings in -20i32..20) {
        let unit = 2f64.powi(doublings);
        let scaled: Vec<f64> = values.iter().map(|x| x * unit).collect();
        let pair = (forecast(&values, 10, &[7]), forecast(&scaled, 10, &[7]));
        if let (Some(a), Some(b)) = pair {
            for (x, y) in a.values.iter().zip(&b.values) {
                prop_assert!((x * unit - y).abs() <= 1e-6 * unit * (1.0 + x.abs()), "{} and {}", x, y);
            }
        }
    }

    #[test]
    fn outliers_and_trends_take_any_input(values in any_series(60), times in any_series(60)) {
        prop_assert_eq!(outlier_scores(&values).len(), values.len());
        prop_assert!(theil_sen(&times, &values).is_none_or(f64::is_finite));
    }
}
