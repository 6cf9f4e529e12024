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
