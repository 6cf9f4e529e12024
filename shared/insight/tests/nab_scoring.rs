//! The benchmark's scoring gives what its description says.

#[path = "../benches/nab/scoring.rs"]
mod scoring;

use scoring::{best_threshold, normalised, outcome, scored};

/// A hundred rows, a window over rows 50 to 59, alarms at the given rows.
fn alarms(at: &[usize]) -> scoring::Scored {
    let mut scores = vec![0.0; 100];
    at.iter().for_each(|row| scores[*row] = 1.0);
    scored(&scores, &[(50, 59)])
}

#[test]
fn a_window_pays_once_for_its_first_alarm_and_alarms_elsewhere_cost() {
    let cases: [(&str, &[usize], f64, f64); 7] = [
        ("nothing found", &[], -1.0, -1.0),
        ("found at once", &[50], 1.0, 1.0),
        ("found again and again", &[50, 51, 55], 1.0, 1.0),
        ("found late", &[59], 0.2, 0.3),
        ("a false alarm before", &[30, 50], 0.889, 0.891),
        ("a false alarm long after", &[50, 99], 0.889, 0.891),
        ("an alarm while learning", &[3, 50], 1.0, 1.0),
    ];
    for (what, rows, low, high) in cases {
        let raw = outcome(&alarms(rows), 0.5).raw;
        assert!((low..=high).contains(&raw), "{what}: {raw}");
    }
    let just_after = outcome(&alarms(&[50, 60]), 0.5).raw;
    assert!(just_after > 0.94 && just_after < 1.0, "an alarm just after a window costs less: {just_after}");
}

#[test]
fn the_best_threshold_is_the_best_of_all() {
    let scores: Vec<f64> = (0..400).map(|i| f64::from((i * 7919) % 101) / 101.0).collect();
    let series = [scored(&scores, &[(100, 120), (300, 340)]), scored(&scores, &[])];
    let all: Vec<&scoring::Scored> = series.iter().collect();
    let sum = |threshold: f64| all.iter().map(|s| outcome(s, threshold).raw).sum::<f64>();
    let best = sum(best_threshold(&all));
    for threshold in scores.iter().chain([&2.0]) {
        assert!(best >= sum(*threshold) - 1e-9, "threshold {threshold} is better");
    }
    assert_eq!((normalised(-2.0, 2), normalised(2.0, 2)), (0.0, 100.0));
    assert_eq!(series[0].windows, 2);
    assert_eq!(outcome(&series[0], 2.0).found + outcome(&series[0], 2.0).true_alarms, 0);
    assert_eq!(outcome(&series[0], 2.0).false_alarms, 0);
}
