//! What queries of the stable language answer, case by case. Upstream's scripts, run elsewhere, cover far
//! more; here stands what must hold without them.

use super::{floats, instant, loaded, range};
use crate::Value;

/// What a row shows, the query, when, and the labels and values of the answer.
type Row = (&'static str, &'static str, i64, &'static [(&'static str, f64)]);

const DATA: &str = r#"
    http_requests_total{job="api", instance="0"} 0+10x100
    http_requests_total{job="api", instance="1"} 0+20x100
    http_requests_total{job="web", instance="0"} 0+30x100
    memory{job="api"} 5 1 3 _ _ 4
    limit{job="api"} 8x100
    gone{job="api"} 1 2 stale
    latency_bucket{le="0.1"} 0+2x100
    latency_bucket{le="1"} 0+6x100
    latency_bucket{le="+Inf"} 0+8x100
"#;

#[test]
fn instant_queries_answer_as_prometheus_does() {
    let storage = loaded(DATA);
    let rows: [Row; 42] = [
        ("the last sample counts", "memory", 45_000, &[("memory{job=\"api\"}", 3.0)]),
        ("for five minutes", "memory", 350_000, &[]),
        ("up to and excluding the bound", "memory", 349_999, &[("memory{job=\"api\"}", 4.0)]),
        ("staleness ends a series", "gone", 20_000, &[]),
        ("before it, there it is", "gone", 19_999, &[("gone{job=\"api\"}", 2.0)]),
        ("offset", "memory offset 40s", 50_000, &[("memory{job=\"api\"}", 1.0)]),
        ("negative offset", "memory offset -10s", 0, &[("memory{job=\"api\"}", 1.0)]),
        ("at", "memory @ 10", 500_000, &[("memory{job=\"api\"}", 1.0)]),
        ("ranges are open on the left", "count_over_time(memory[20s])", 20_000, &[("{job=\"api\"}", 2.0)]),
        ("rate reaches the edges", "sum(rate(http_requests_total[1m]))", 100_000, &[("{}", 6.0)]),
        (
            "increase",
            "increase(http_requests_total{job=\"web\"}[1m])",
            100_000,
            &[("{instance=\"0\", job=\"web\"}", 180.0)],
        ),
        (
            "irate",
            "irate(http_requests_total{job=\"web\"}[1m])",
            100_000,
            &[("{instance=\"0\", job=\"web\"}", 3.0)],
        ),
        ("delta may fall", "delta(memory[21s])", 20_000, &[("{job=\"api\"}", -2.1)]),
        ("idelta", "idelta(memory[21s])", 20_000, &[("{job=\"api\"}", 2.0)]),
        ("changes", "changes(memory[1m])", 50_000, &[("{job=\"api\"}", 3.0)]),
        ("resets", "resets(memory[1m])", 50_000, &[("{job=\"api\"}", 1.0)]),
        (
            "sum by",
            "sum by (job) (http_requests_total)",
            100_000,
            &[("{job=\"api\"}", 300.0), ("{job=\"web\"}", 300.0)],
        ),
        (
            "max without",
            "max without (instance) (http_requests_total)",
            100_000,
            &[("{job=\"api\"}", 200.0), ("{job=\"web\"}", 300.0)],
        ),
        ("count", "count(http_requests_total)", 0, &[("{}", 3.0)]),
        ("quantile", "quantile(0.5, http_requests_total)", 100_000, &[("{}", 200.0)]),
        ("stddev", "stddev(http_requests_total{job=\"api\"})", 100_000, &[("{}", 50.0)]),
        ("count_values", "count_values(\"v\", limit)", 0, &[("{v=\"8\"}", 1.0)]),
        (
            "topk",
            "topk(1, http_requests_total)",
            10_000,
            &[("http_requests_total{instance=\"0\", job=\"web\"}", 30.0)],
        ),
        (
            "bottomk",
            "bottomk(1, http_requests_total)",
            10_000,
            &[("http_requests_total{instance=\"0\", job=\"api\"}", 10.0)],
        ),
        ("vector and scalar", "limit * 2", 0, &[("{job=\"api\"}", 16.0)]),
        (
            "comparison filters",
            "http_requests_total > 250",
            100_000,
            &[("http_requests_total{instance=\"0\", job=\"web\"}", 300.0)],
        ),
        (
            "comparison with the scalar first",
            "250 < http_requests_total",
            100_000,
            &[("http_requests_total{instance=\"0\", job=\"web\"}", 300.0)],
        ),
        ("bool", "limit > bool 9", 0, &[("{job=\"api\"}", 0.0)]),
        ("one to one", "memory / limit", 0, &[("{job=\"api\"}", 0.625)]),
        (
            "group_left",
            "http_requests_total * on(job) group_left limit",
            10_000,
            &[("{instance=\"0\", job=\"api\"}", 80.0), ("{instance=\"1\", job=\"api\"}", 160.0)],
        ),
        (
            "and",
            "http_requests_total{instance=\"1\"} and on(job) limit",
            10_000,
            &[("http_requests_total{instance=\"1\", job=\"api\"}", 20.0)],
        ),
        (
            "unless",
            "sum by (job) (http_requests_total) unless on(job) limit",
            10_000,
            &[("{job=\"web\"}", 30.0)],
        ),
        ("or", "limit or on(job) memory", 0, &[("limit{job=\"api\"}", 8.0)]),
        (
            "subquery",
            "max_over_time(rate(http_requests_total{job=\"web\"}[1m])[5m:1m])",
            600_000,
            &[("{instance=\"0\", job=\"web\"}", 3.0)],
        ),
        ("classic quantile", "histogram_quantile(0.5, rate(latency_bucket[1m]))", 200_000, &[("{}", 0.55)]),
        ("classic fraction", "histogram_fraction(0, 0.1, latency_bucket)", 200_000, &[("{}", 0.25)]),
        (
            "label_replace",
            "label_replace(limit, \"j\", \"$1-x\", \"job\", \"(a).*\")",
            0,
            &[("limit{j=\"a-x\", job=\"api\"}", 8.0)],
        ),
        (
            "label_join",
            "label_join(limit, \"j\", \"+\", \"job\", \"none\", \"job\")",
            0,
            &[("limit{j=\"api++api\", job=\"api\"}", 8.0)],
        ),
        ("absent with labels", "absent(nothing{a=\"1\", b=~\"x\"})", 0, &[("{a=\"1\"}", 1.0)]),
        ("scalar of many is NaN", "count(vector(scalar(limit)) == 8)", 0, &[("{}", 1.0)]),
        ("timestamp of the sample", "timestamp(memory)", 45_000, &[("{job=\"api\"}", 20.0)]),
        (
            "date functions",
            "month(vector(951782400)) * 100 + day_of_month(vector(951782400))",
            0,
            &[("{}", 229.0)],
        ),
    ];
    for (shows, query, at, want) in rows {
        let answer = instant(&storage, query, at).unwrap_or_else(|e| panic!("{shows}: {query}: {e}"));
        let got = floats(&answer);
        assert_eq!(got.len(), want.len(), "{shows}: {query} gave {got:?}");
        for ((labels, x), (want_labels, want)) in got.iter().zip(want) {
            assert_eq!(labels, want_labels, "{shows}: {query}");
            assert!((x - want).abs() <= 1e-9 * want.abs(), "{shows}: {query} gave {x}, not {want}");
        }
    }
}

#[test]
fn errors_say_what_is_wrong_in_prometheus_words() {
    let storage = loaded(DATA);
    for (query, kind, message) in [
        (
            "limit * on(none) http_requests_total",
            "execution",
            "found duplicate series for the match group {} on the right hand-side",
        ),
        (
            "http_requests_total * on(job) limit",
            "execution",
            "multiple matches for labels: many-to-one matching must be explicit",
        ),
        (
            "label_replace(http_requests_total, \"instance\", \"x\", \"job\", \".*\")",
            "execution",
            "vector cannot contain metrics with the same labelset",
        ),
        (
            "rate({job=\"api\", instance=~\".*\"}[1m])",
            "execution",
            "vector cannot contain metrics with the same labelset",
        ),
        (
            "label_replace(limit, \"a\", \"b\", \"c\", \"(\")",
            "execution",
            "invalid regular expression in label_replace(): (",
        ),
        ("topk(scalar(nothing), limit)", "execution", "Parameter value is NaN"),
        ("double_exponential_smoothing(memory[1m], 2, 0.5)", "execution", "invalid smoothing factor"),
        ("limit[1m:1ms] @ 5 offset 3d", "", ""),
    ] {
        match instant(&storage, query, 20_000) {
            Ok(_) => assert!(kind.is_empty(), "{query} has an answer"),
            Err(error) => {
                assert_eq!(error.error_type(), kind, "{query}: {error}");
                assert!(error.to_string().contains(message), "{query}: {error}");
            }
        }
    }
    let error = range(&storage, "limit[1m]", (0, 10_000, 1_000)).unwrap_err();
    assert!(
        error.to_string().contains("invalid expression type \"range vector\" for range query"),
        "{error}"
    );
}

#[test]
fn annotations_carry_prometheus_words_and_places() {
    let storage = loaded(DATA);
    for (query, warning, info) in [
        (
            "quantile(2, limit)",
            Some("PromQL warning: quantile value should be between 0 and 1, got 2 (1:10)"),
            None,
        ),
        (
            "sum(rate(memory[1m]))",
            None,
            Some(
                "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \"memory\" (1:10)",
            ),
        ),
        (
            "histogram_quantile(0.5, limit)",
            Some(
                "PromQL warning: bucket label \"le\" is missing or has a malformed value of \"\" for metric name \"limit\" (1:25)",
            ),
            None,
        ),
        ("sum(rate(http_requests_total[1m]))", None, None),
    ] {
        let answer = instant(&storage, query, 50_000).unwrap();
        assert_eq!(answer.warnings.first().map(String::as_str), warning, "{query}");
        assert_eq!(answer.infos.first().map(String::as_str), info, "{query}");
    }
}

#[test]
fn range_answers_are_ordered_by_labels_and_leave_gaps() {
    let storage = loaded(DATA);
    let answer = range(&storage, "{__name__=~\"gone|memory\"}", (0, 40_000, 10_000)).unwrap();
    let Value::Matrix(series) = answer.value else { panic!("no matrix") };
    let shown: Vec<_> = series.iter().map(|s| (s.labels.to_string(), s.floats.clone())).collect();
    let want = [
        ("gone{job=\"api\"}".to_owned(), vec![(0, 1.0), (10_000, 2.0)]),
        (
            "memory{job=\"api\"}".to_owned(),
            vec![(0, 5.0), (10_000, 1.0), (20_000, 3.0), (30_000, 3.0), (40_000, 3.0)],
        ),
    ];
    assert_eq!(shown, want);
}

#[test]
fn a_series_whose_name_is_dropped_and_one_that_keeps_it_are_two() {
    let storage = loaded(DATA);
    let answer = range(&storage, "delta(memory[11s]) or memory", (0, 20_000, 10_000)).unwrap();
    let Value::Matrix(series) = answer.value else { panic!("no matrix") };
    let shown: Vec<_> = series.iter().map(|s| (s.labels.to_string(), s.floats.len())).collect();
    assert_eq!(shown, [("memory{job=\"api\"}".to_owned(), 1), ("{job=\"api\"}".to_owned(), 2)]);
}

#[test]
fn sorted_answers_keep_their_order() {
    let storage = loaded(DATA);
    let order = |query: &str| {
        let Value::Vector(samples) = instant(&storage, query, 10_000).unwrap().value else { panic!() };
        let label = |s: &crate::InstantSample| format!("{:?}", s.value);
        samples.iter().map(label).collect::<Vec<_>>()
    };
    assert_eq!(order("sort(http_requests_total)"), ["Float(10.0)", "Float(20.0)", "Float(30.0)"]);
    assert_eq!(order("sort_desc(http_requests_total)"), ["Float(30.0)", "Float(20.0)", "Float(10.0)"]);
    assert_eq!(order("topk(2, http_requests_total)"), ["Float(30.0)", "Float(20.0)"]);
}

#[test]
fn infinite_bounds_of_clamp_win_over_nan() {
    for (query, want) in [
        ("clamp_max(vector(NaN), -Inf)", "Float(-inf)"),
        ("clamp_min(vector(Inf), NaN)", "Float(inf)"),
        ("clamp_min(vector(NaN), Inf)", "Float(inf)"),
        ("clamp(vector(1), Inf, NaN)", "Float(inf)"),
        ("clamp_max(vector(NaN), 1)", "Float(NaN)"),
        ("clamp_min(vector(1), NaN)", "Float(NaN)"),
        ("clamp(vector(NaN), -Inf, Inf)", "Float(NaN)"),
        ("clamp(vector(5), 1, 3)", "Float(3.0)"),
    ] {
        let Value::Vector(samples) = instant(&loaded(DATA), query, 10_000).unwrap().value else { panic!() };
        assert_eq!(format!("{:?}", samples[0].value), want, "{query}");
    }
}
