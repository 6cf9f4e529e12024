//! A range query gives what instant queries at its steps give, for random expressions over random data.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use weir_model::{DistributionBuilder, MetricKind, STALE_NAN, Samples, Temporality};

use super::{instant, labels, range};
use crate::memory::MemoryStorage;
use crate::{SampleValue, SelectedSeries, Value};

/// A sample of a series: none, an end, or a value.
fn sample() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![
        2 => Just(None),
        1 => Just(Some(STALE_NAN)),
        1 => Just(Some(f64::NAN)),
        1 => Just(Some(f64::INFINITY)),
        10 => (0.0f64..100.0).prop_map(Some),
        10 => (0u32..20).prop_map(|x| Some(f64::from(x))),
    ]
}

/// A few series of each of a few metrics over ten minutes, every 15 s or so.
fn data() -> impl Strategy<Value = MemoryStorage> {
    let series = prop::collection::vec((sample(), 0i64..3_000), 40);
    prop::collection::vec(series, 18).prop_map(|rows| {
        let mut storage = MemoryStorage::new();
        for (at, row) in rows.into_iter().enumerate() {
            let timed = row
                .into_iter()
                .enumerate()
                .filter_map(|(i, (x, jitter))| Some((i as i64 * 15_000 + jitter, x?)));
            let (x, y) = (["1", "2"][at % 2], ["p", "q", "r"][at % 3]);
            let mut samples = Samples::default();
            if (12..14).contains(&at) {
                for (t, value) in timed.filter(|(_, x)| x.is_finite()) {
                    let mut builder = DistributionBuilder::new();
                    builder.observe(value + 0.5, 3.0);
                    builder.observe(2.0, t as f64);
                    samples.histograms.push((t, Arc::new(builder.build())));
                }
                storage.push(labels(&[("__name__", "native"), ("x", x)]), samples);
                continue;
            }
            for (t, value) in timed {
                samples.timestamps.push(t);
                samples.values.push(value);
            }
            let about =
                |labels, temporality| SelectedSeries { labels, kind: MetricKind::Counter, temporality };
            if at >= 16 {
                // Deltas, which beside a cumulative series of the same labels stay series of their own.
                let set = labels(&[("__name__", "changes_total"), ("x", x), ("y", y)]);
                samples.values.iter_mut().filter(|v| !v.is_finite()).for_each(|v| *v = 1.0);
                storage.push_series(about(set, Temporality::Delta), samples);
                continue;
            }
            let set = match at {
                0..4 => labels(&[("__name__", "a_total"), ("x", x), ("y", y)]),
                14.. => labels(&[("__name__", "target_info"), ("x", x), ("version", y)]),
                4..8 => labels(&[("__name__", "b"), ("x", x), ("y", y)]),
                _ => labels(&[("__name__", "c_bucket"), ("x", x), ("le", ["1", "5", "25", "+Inf"][at % 4])]),
            };
            storage.push(set, samples);
        }
        storage
    })
}

fn selector() -> impl Strategy<Value = String> {
    let metric = prop::sample::select(vec![
        "a_total",
        "b",
        "a_total{x=\"1\"}",
        "b{y!=\"p\"}",
        "native",
        "changes_total",
        "{__name__=~\"b|native\"}",
    ]);
    let modifier =
        prop::sample::select(vec!["", "", "", " offset 20s", " offset -15s", " @ 200", " @ 300 offset 1m"]);
    (metric, modifier).prop_map(|(metric, modifier)| format!("{metric}{modifier}"))
}

fn ranged() -> impl Strategy<Value = String> {
    let metric = prop::sample::select(vec!["a_total", "b", "b{y=\"q\"}", "native", "changes_total"]);
    let width = prop::sample::select(vec!["30s", "1m", "100s", "5m", "2 * 40s"]);
    let modifier = prop::sample::select(vec!["", "", " offset 30s", " offset -25s", " @ 250"]);
    (metric, width, modifier).prop_map(|(metric, width, modifier)| format!("{metric}[{width}]{modifier}"))
}

fn over_range() -> impl Strategy<Value = String> {
    let function = prop::sample::select(vec![
        "rate",
        "increase",
        "delta",
        "irate",
        "idelta",
        "deriv",
        "changes",
        "resets",
        "avg_over_time",
        "sum_over_time",
        "count_over_time",
        "min_over_time",
        "max_over_time",
        "stddev_over_time",
        "stdvar_over_time",
        "last_over_time",
        "first_over_time",
        "present_over_time",
        "mad_over_time",
        "ts_of_max_over_time",
        "ts_of_min_over_time",
        "ts_of_first_over_time",
        "ts_of_last_over_time",
    ]);
    let edged = prop::sample::select(vec!["rate", "increase", "delta"]);
    let edges = prop::sample::select(vec!["anchored", "smoothed"]);
    let floats = prop::sample::select(vec!["a_total", "b", "a_total{y=\"p\"}"]);
    prop_oneof![
        8 => (function, ranged()).prop_map(|(f, r)| format!("{f}({r})")),
        1 => ranged().prop_map(|r| format!("quantile_over_time(0.7, {r})")),
        1 => ranged().prop_map(|r| format!("predict_linear({r}, 60)")),
        1 => ranged().prop_map(|r| format!("absent_over_time({r})")),
        1 => ranged().prop_map(|r| format!("anomaly_score({r}) + trend({r})")),
        1 => ranged().prop_map(|r| format!("seasonal_band_upper({r}) - seasonal_band_lower({r})")),
        1 => ranged().prop_map(|r| format!("forecast({r}, 45)")),
        1 => selector().prop_map(|s| format!("outlier_score({s}, \"y\")")),
        1 => ranged().prop_map(|r| format!("double_exponential_smoothing({r}, 0.5, 0.1)")),
        1 => ranged().prop_map(|r| format!("scalar(sum(b)) * first_over_time({r})")),
        2 => (edged, floats.clone(), edges).prop_map(|(f, m, e)| format!("{f}({m}[90s] {e})")),
        1 => floats.clone().prop_map(|m| format!("changes({m}[1m] anchored) + resets({m}[2m] anchored)")),
        1 => floats.prop_map(|m| format!("{m} smoothed")),
    ]
}

/// A random expression of vector type.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![selector(), over_range(), Just("vector(time())".to_owned())];
    leaf.prop_recursive(3, 12, 2, |inner| {
        let aggregation =
            prop::sample::select(vec!["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"]);
        let grouping = prop::sample::select(vec!["", " by (x)", " without (y)", " by (x, y)"]);
        let with_k =
            prop::sample::select(vec!["topk(2", "bottomk(1", "limitk(2", "quantile(0.4", "limit_ratio(0.5"]);
        let map = prop::sample::select(vec![
            "abs",
            "-",
            "round",
            "sgn",
            "hour",
            "timestamp",
            "histogram_count",
            "histogram_sum",
            "histogram_avg",
            "histogram_stddev",
            "histogram_quantile(0.7, ",
            "histogram_fraction(1, 9, ",
            "clamp_max(-",
            "day_of_year",
            "ln",
            "absent",
            "vector(scalar",
        ]);
        let op = prop::sample::select(vec![
            "+", "-", "*", "/", "%", "^", "==", "!= bool", ">", "<= bool", "atan2", "and", "or", "unless",
        ]);
        let matching = prop::sample::select(vec!["", " on (x)", " ignoring (y)", " on (x, y)"]);
        let filled = prop::sample::select(vec![
            " + on (x, y) fill(0) ",
            " - ignoring (y) fill_left(1) ",
            " * on (x, y) fill_right(2) ",
            " + on (x) group_left (version) ",
            " / on (x) group_right () ",
        ]);
        let window = prop::sample::select(vec![
            "[2m:30s]",
            "[1m:20s]",
            "[90s:]",
            "[2m:30s] offset 30s",
            "[1m:15s] @ 300",
        ]);
        let reducer =
            prop::sample::select(vec!["max_over_time", "rate", "sum_over_time", "last_over_time", "deriv"]);
        prop_oneof![
            (aggregation, grouping, inner.clone()).prop_map(|(f, g, e)| format!("{f}{g} ({e})")),
            (with_k, inner.clone()).prop_map(|(f, e)| format!("{f}, {e})")),
            (map, inner.clone()).prop_map(|(f, e)| {
                let open = if f.ends_with(", ") || f.ends_with("(-") { "" } else { "(" };
                let close = match f {
                    "vector(scalar" => "))",
                    "clamp_max(-" => ", 5)",
                    _ => ")",
                };
                format!("{f}{open}({e}){close}")
            }),
            (inner.clone(), op, matching, inner.clone())
                .prop_map(|(a, op, m, b)| format!("({a}) {op}{m} ({b})")),
            (inner.clone(), filled, inner.clone()).prop_map(|(a, op, b)| format!("({a}){op}({b})")),
            inner.clone().prop_map(|e| format!("({e}) / ({e})")),
            inner.clone().prop_map(|e| format!("sum by (x) ({e}) - sum by (x) ({e})")),
            inner.clone().prop_map(|e| format!("label_join({e}, \"w\", \"-\", \"x\", \"y\")")),
            inner.clone().prop_map(|e| format!("sort_by_label({e}, \"x\")")),
            Just("info(rate(a_total[1m]))".to_owned()),
            Just("histogram_quantiles(native, \"q\", 0.2, 0.8)".to_owned()),
            (inner.clone(), 0u32..5).prop_map(|(e, x)| format!("({e}) * {x}")),
            (inner.clone(), 0u32..5).prop_map(|(e, x)| format!("{x} < ({e})")),
            (reducer, inner.clone(), window).prop_map(|(f, e, w)| format!("{f}(({e}){w})")),
            inner.prop_map(|e| format!("label_replace({e}, \"z\", \"$1\", \"x\", \"(.*)\")")),
            Just("histogram_quantile(0.6, rate(c_bucket[2m]))".to_owned()),
            Just("histogram_quantile(0.6, sum by (le) (c_bucket))".to_owned()),
            Just("histogram_fraction(0, 3, c_bucket)".to_owned()),
            Just("count_values(\"v\", round(b))".to_owned()),
        ]
    })
}

type Points = BTreeMap<(i64, String), String>;

fn shown(value: &SampleValue) -> String {
    match value {
        // Twelve digits: parts of sums may be put together in another order.
        SampleValue::Float(x) => format!("{x:.11e}"),
        SampleValue::Histogram(h) => format!("{:.11e} {:.11e} {:?}", h.count, h.sum, h.positive_spans),
    }
}

proptest! {
    #[test]
    fn range_queries_equal_instant_queries_at_each_step(storage in data(), text in expression()) {
        let (start, end, step) = (120_000, 540_000, 35_000);
        let whole = range(&storage, &text, (start, end, step));
        let mut wanted = Points::new();
        let mut failed = false;
        for at in (start..=end).step_by(35_000) {
            match instant(&storage, &text, at) {
                Ok(answer) => {
                    let Value::Vector(samples) = answer.value else { panic!("{text} is no vector") };
                    for sample in samples {
                        wanted.insert((at, sample.labels.to_string()), shown(&sample.value));
                    }
                }
                Err(_) => failed = true,
            }
        }
        prop_assert_eq!(whole.is_err(), failed, "{}: {:?}", text, whole.map(|a| a.value));
        let Ok(whole) = whole else { return Ok(()) };
        let Value::Matrix(series) = whole.value else { panic!("{text} is no matrix") };
        let mut got = Points::new();
        for one in series {
            let labels = one.labels.to_string();
            for (t, x) in one.floats {
                got.insert((t, labels.clone()), shown(&SampleValue::Float(x)));
            }
            for (t, h) in one.histograms {
                got.insert((t, labels.clone()), shown(&SampleValue::Histogram(h)));
            }
        }
        prop_assert_eq!(got, wanted, "{}", text);
    }
}
