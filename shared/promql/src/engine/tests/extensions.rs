//! What goes beyond Prometheus: delta series and series of sets.

use std::sync::Arc;

use weir_model::{DistributionBuilder, MetricKind, Samples, Temporality, UniqueSet};

use super::{floats, instant, labels};
use crate::memory::MemoryStorage;
use crate::{SampleValue, SelectedSeries, Value};

fn delta(name: &str, samples: Samples) -> MemoryStorage {
    let mut storage = MemoryStorage::new();
    let about = SelectedSeries {
        labels: labels(&[("__name__", name)]),
        kind: MetricKind::Counter,
        temporality: Temporality::Delta,
    };
    storage.push_series(about, samples);
    storage
}

#[test]
fn rates_of_delta_series_add_up_their_samples() {
    let samples = Samples {
        timestamps: vec![0, 10_000, 20_000, 50_000, 60_000],
        values: vec![100.0, 1.0, 2.0, 3.0, 4.0],
        ..Samples::default()
    };
    let storage = delta("clicks", samples);
    for (query, want) in [
        ("increase(clicks[1m])", 10.0),
        ("rate(clicks[1m])", 10.0 / 60.0),
        ("irate(clicks[1m])", 0.4),
        ("sum_over_time(clicks[1m])", 10.0),
        ("count_over_time(clicks[1m])", 4.0),
        ("sum(increase(clicks[30s]))", 7.0),
        ("clicks", 4.0),
        ("increase(clicks[5s])", 4.0),
    ] {
        let answer = instant(&storage, query, 60_000).unwrap();
        let got = floats(&answer)[0].1;
        assert!((got - want).abs() < 1e-12, "{query}: {got}");
        assert!(answer.infos.is_empty(), "a delta counter needs no suffix: {:?}", answer.infos);
    }
}

#[test]
fn rates_of_delta_histograms_add_them_up() {
    let of = |values: &[f64]| {
        let mut builder = DistributionBuilder::new();
        values.iter().for_each(|v| builder.observe(*v, 1.0));
        Arc::new(builder.build())
    };
    let histograms = vec![(10_000, of(&[1.0, 2.0])), (20_000, of(&[3.0])), (30_000, of(&[1.0]))];
    let storage = delta("sizes", Samples { histograms, ..Samples::default() });
    for (query, want) in [
        ("histogram_count(increase(sizes[30s]))", 4.0),
        ("histogram_sum(rate(sizes[30s]))", 7.0 / 30.0),
        ("histogram_count(irate(sizes[30s]))", 0.1),
    ] {
        let answer = instant(&storage, query, 30_000).unwrap();
        let got = floats(&answer)[0].1;
        assert!((got - want).abs() < 1e-12, "{query}: {got}");
        assert!(answer.warnings.is_empty(), "{:?}", answer.warnings);
    }
    let answer = instant(&storage, "increase(sizes[30s])", 30_000).unwrap();
    let Value::Vector(samples) = answer.value else { panic!() };
    let SampleValue::Histogram(histogram) = &samples[0].value else { panic!() };
    assert_eq!(histogram.count, 4.0);
}

#[test]
fn sets_count_their_members_and_unite_over_ranges() {
    let of = |members: std::ops::Range<u32>| {
        let mut set = UniqueSet::new();
        members.for_each(|m| set.insert(format!("user-{m}").as_bytes()));
        Arc::new(set)
    };
    let mut storage = MemoryStorage::new();
    let sets = vec![(10_000, of(0..20)), (20_000, of(10..30)), (30_000, of(25..40))];
    storage.push(labels(&[("__name__", "users")]), Samples { sets, ..Samples::default() });
    for (query, want) in [
        ("users", 15.0),
        ("distinct_over_time(users[30s])", 40.0),
        ("distinct_over_time(users[20s])", 30.0),
        ("max_over_time(users[30s])", 20.0),
        ("count_over_time(users[30s])", 3.0),
        ("sum(users) + 1", 16.0),
    ] {
        let got = floats(&instant(&storage, query, 30_000).unwrap())[0].1;
        assert!((got - want).abs() < 1e-3, "{query}: {got}");
    }
}

#[test]
fn a_cumulative_and_a_delta_series_of_the_same_labels_stay_apart() {
    let samples = Samples { timestamps: vec![10_000, 20_000], values: vec![5.0, 7.0], ..Samples::default() };
    let mut storage = delta("both_total", samples.clone());
    storage.push(labels(&[("__name__", "both_total")]), samples);
    let got = floats(&instant(&storage, "sum(increase(both_total[20s]))", 20_000).unwrap())[0].1;
    // 12 from the delta series, 2 stretched from 10 s to 20 s from the cumulative one.
    assert!((got - 16.0).abs() < 1e-9, "{got}");
}

/// Samples of one series, a minute apart, the last of them at `at(values.len() - 1)`.
fn every_minute(name: &str, values: &[f64]) -> MemoryStorage {
    let mut storage = MemoryStorage::new();
    let about = SelectedSeries {
        labels: labels(&[("__name__", name)]),
        kind: MetricKind::Gauge,
        temporality: Temporality::Cumulative,
    };
    let timestamps = (0..values.len() as i64).map(|i| i * 60_000).collect();
    storage.push_series(about, Samples { timestamps, values: values.to_vec(), ..Samples::default() });
    storage
}

#[test]
fn anomalies_bands_forecasts_and_trends_are_functions_of_ranges() {
    let wave = |minute: usize| 50.0 + 10.0 * (minute as f64 * std::f64::consts::TAU / 60.0).sin();
    let mut values: Vec<f64> = (0..300).map(wave).collect();
    values.push(wave(300) + 40.0);
    let storage = every_minute("load", &values);
    let (good, bad) = (299 * 60_000, 300 * 60_000);
    for (query, at, low, high) in [
        ("anomaly_score(load[5h])", good, 0.0, 0.9),
        ("anomaly_score(load[5h])", bad, 0.999, 1.0),
        ("seasonal_band_upper(load[5h])", bad, 49.0, 51.0),
        ("seasonal_band_lower(load[5h])", bad, 49.0, 51.0),
        ("forecast(load[5h], 900)", good, wave(314) - 0.5, wave(314) + 0.5),
        ("forecast(load[5h], 930)", good, wave(315) - 1.0, wave(314) + 1.0),
        ("forecast(load[5h], 0)", good, wave(299), wave(299)),
        ("trend(load[10m])", 50 * 60_000, 0.0, 0.02),
        ("trend((load * 0 + time())[1h:1m])", good, 1.0 - 1e-9, 1.0 + 1e-9),
    ] {
        let answer = instant(&storage, query, at).unwrap();
        let got = floats(&answer)[0].1;
        assert!((low - 1e-9..=high + 1e-9).contains(&got), "{query} at {at}: {got}");
    }
    for query in ["anomaly_score(load[8m])", "forecast(load[30s], 60)", "trend(load[30s])"] {
        assert!(floats(&instant(&storage, query, good).unwrap()).is_empty(), "{query} has too few samples");
    }
    for (query, want) in [
        ("forecast(load[1h], -5)", "invalid horizon in forecast(): -5"),
        ("forecast(load[1h], 1e6)", "at most 1000 are possible"),
    ] {
        let error = instant(&storage, query, good).unwrap_err().to_string();
        assert!(error.contains(want), "{query}: {error}");
    }
}

#[test]
fn outliers_are_scored_among_all_series_or_those_of_a_group() {
    let storage = super::loaded(
        r#"disk{job="a", host="1"} 10
            disk{job="a", host="2"} 11
            disk{job="a", host="3"} 9
            disk{job="a", host="4"} 90
            disk{job="b", host="5"} 90
            disk{job="b", host="6"} 91
            disk{job="b", host="7"} 89"#,
    );
    let far = |query: &str| -> Vec<String> {
        let scores = floats(&instant(&storage, query, 0).unwrap());
        assert_eq!(scores.len(), 7, "{query}: {scores:?}");
        scores.into_iter().filter(|(_, score)| score.abs() > 3.5).map(|(labels, _)| labels).collect()
    };
    let low = ["1", "2", "3"].map(|host| format!("{{host=\"{host}\", job=\"a\"}}"));
    assert_eq!(far("outlier_score(disk)"), low, "most of all disks are at about 90");
    let [only] = &far("outlier_score(disk, \"job\")")[..] else { panic!("not one outlier") };
    assert!(only.contains("host=\"4\"") && !only.contains("disk"), "{only}");
}
