//! What each format's finer points come to: kinds, time, aggregation, temporality.

use weir_formats::statsd::{GaugeTable, NoGaugeMemory};
use weir_formats::text::Dialect;
use weir_formats::{Limits, Parsed, json, statsd, text};
use weir_model::{Batch, MetricKind, Temporality};

const NOW_MS: i64 = 1_760_000_000_000;

fn page(body: &str, dialect: Dialect) -> Parsed {
    let parsed = text::parse(body.as_bytes(), dialect, NOW_MS, &Limits::default()).expect("the body is read");
    assert!(parsed.rejections.is_empty(), "{:?}", parsed.rejections);
    parsed
}

fn packet(body: &str) -> Parsed {
    statsd::parse(body.as_bytes(), NOW_MS, &Limits::default(), &mut NoGaugeMemory).expect("the body is read")
}

fn document(body: &str) -> Parsed {
    json::parse(body.as_bytes(), NOW_MS, &Limits::default()).expect("the body is read")
}

/// Float samples as text, in order.
fn floats(batch: &Batch) -> Vec<String> {
    batch
        .floats
        .iter()
        .map(|s| format!("{} {} @{}", batch.labels_at(s.series), s.value, s.timestamp_ms))
        .collect()
}

#[test]
fn series_take_the_kind_of_their_family() {
    let body = "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\nh_created 1\nh_other 1\n\
        # TYPE s summary\ns{quantile=\"0.5\"} 1\ns_sum 1\n# TYPE c counter\nc_total 1\nother 1\nc_total 2\n\
        # TYPE g gaugehistogram\ng_gsum 1\n# TYPE i info\ni_info 1\n# TYPE u unknown\nu 1\n# EOF\n";
    let parsed = page(body, Dialect::OpenMetrics);
    use MetricKind::{Counter, Gauge, GaugeHistogram, Histogram, Info, Summary, Unknown};
    let want = [
        Histogram,
        Histogram,
        Histogram,
        Gauge,
        Unknown,
        Summary,
        Summary,
        Counter,
        Unknown,
        Counter,
        GaugeHistogram,
        Info,
        Unknown,
    ];
    assert_eq!(parsed.batch.series().iter().map(|s| s.kind).collect::<Vec<_>>(), want);
}

#[test]
fn declarations_become_one_metadata_entry_a_family() {
    let body = "# HELP a First \\\\ line\\nsecond \\\"quoted\\\".\n# TYPE a_seconds gauge\n# UNIT a_seconds seconds\n\
        # TYPE a counter\n# a comment\n# HELP\n#\n# EOF\n";
    let metadata = page(body, Dialect::OpenMetrics).batch.metadata;
    assert_eq!(metadata.len(), 2);
    assert_eq!(metadata[0].help, "First \\ line\nsecond \"quoted\".");
    assert_eq!((metadata[0].kind, metadata[1].unit.as_str()), (MetricKind::Counter, "seconds"));
}

#[test]
fn time_is_milliseconds_in_text_and_seconds_in_openmetrics() {
    let rows = [
        ("a 1 1753525800123\n", Dialect::Prometheus, 1_753_525_800_123),
        ("a 1 -5\n", Dialect::Prometheus, -5),
        ("a 1\r\n", Dialect::Prometheus, NOW_MS),
        ("a 1 1753525800.123\n# EOF\n", Dialect::OpenMetrics, 1_753_525_800_123),
        ("a 1 1.7535258e9\n# EOF", Dialect::OpenMetrics, 1_753_525_800_000),
    ];
    for (body, dialect, want) in rows {
        assert_eq!(page(body, dialect).batch.floats[0].timestamp_ms, want, "{body:?}");
    }
}

#[test]
fn lines_may_be_written_loosely_and_names_quoted() {
    let rows = [
        ("up 1", "up"),
        ("  up\t{ a = \"b\" , } \t1", "up{a=\"b\"}"),
        ("up{} 1", "up"),
        ("up{a=\"\"} 1", "up"),
        ("up{b=\"2\",a=\"1\"} 1", "up{a=\"1\", b=\"2\"}"),
        ("{\"my.metric\",\"a.b\"=\"c\"} 1", "my.metric{a.b=\"c\"}"),
        ("{__name__=\"up\",job=\"x\"} 1", "up{job=\"x\"}"),
        ("up{a=\"\\\\ \\\" \\n é\"} 1", "up{a=\"\\\\ \\\" \\n é\"}"),
        ("job:up:sum 1", "job:up:sum"),
    ];
    for (line, want) in rows {
        let parsed = page(line, Dialect::Prometheus);
        assert_eq!(parsed.batch.labels_at(0).to_string(), want, "{line}");
    }
}

#[test]
fn exemplars_keep_their_labels_value_and_time() {
    let body =
        "a_total{x=\"y\"} 17 1753525800 # {trace_id=\"4bf9\"} 0.67 1753525799.5\nb_total 1 # {} 2\n# EOF\n";
    let parsed = page(body, Dialect::OpenMetrics);
    let [first, second] = parsed.batch.exemplars.as_slice() else { panic!("{:?}", parsed.batch.exemplars) };
    assert_eq!((first.value, first.timestamp_ms), (0.67, 1_753_525_799_500));
    assert_eq!(first.labels.get("trace_id"), Some("4bf9"));
    assert_eq!((second.value, second.timestamp_ms, second.labels.is_empty()), (2.0, NOW_MS, true));
    assert_eq!((parsed.accepted.samples, parsed.accepted.exemplars), (2, 2));
}

#[test]
fn values_of_a_statsd_series_are_put_together_within_a_packet() {
    let parsed = packet("a:1|c\na:2:3|c|@0.5\nt:5|ms\nt:7:9|ms|@0.1\ng:1|g\ng:4|g\nu:x|s\nu:y|s\nu:x|s\n");
    assert_eq!(floats(&parsed.batch), ["a 11 @1760000000000", "g 4 @1760000000000"]);
    let histogram = &parsed.batch.histograms[0].histogram;
    assert_eq!((histogram.count, histogram.sum), (21.0, 165.0));
    assert_eq!(parsed.batch.sets[0].set.count(), 2.0);
    assert_eq!(parsed.accepted.samples, 11);
    let temporalities: Vec<_> = parsed.batch.series().iter().map(|s| s.temporality).collect();
    use Temporality::{Cumulative, Delta};
    assert_eq!(temporalities, [Delta, Delta, Cumulative, Delta]);
}

#[test]
fn values_with_a_time_of_their_own_stay_apart() {
    let parsed = packet("a:1|c|T1753525800\na:2|c|T1753525801\nd:1|d|T1753525800\nd:2|d|T1753525800\n");
    assert_eq!(floats(&parsed.batch), ["a 1 @1753525800000", "a 2 @1753525801000"]);
    assert_eq!(parsed.batch.histograms.len(), 1);
    assert!(parsed.own_timestamps);
    assert!(!packet("a:1|c|T1753525800\na:2|c\n").own_timestamps);
    assert!(packet("a:1|g\n").own_timestamps, "gauges are no deltas");
}

#[test]
fn signed_gauges_change_what_is_remembered() {
    let mut gauges = GaugeTable::new(10);
    let mut last = |body: &str| {
        let parsed = statsd::parse(body.as_bytes(), NOW_MS, &Limits::default(), &mut gauges).unwrap();
        parsed.batch.floats.last().map(|sample| sample.value)
    };
    assert_eq!(last("depth:10|g|#q:a\n"), Some(10.0));
    assert_eq!(last("depth:+3|g|#q:a\ndepth:-1|g|#q:a\n"), Some(12.0));
    assert_eq!(last("depth:-5|g|#q:b\n"), Some(-5.0), "another series starts from zero");
    assert_eq!(last("depth:-5|g|#q:a|T1753525800\n"), Some(-5.0), "with a time a sign is just a sign");
    assert_eq!(last("depth:+1|g|#q:a\n"), Some(-4.0));
}

#[test]
fn tags_and_names_become_those_of_prometheus() {
    let parsed = packet("api.http-requests:1|c|#env:prod,canary,host-name:a:b,2nd:x,env:dev,,\n");
    assert_eq!(
        parsed.batch.labels_at(0).to_string(),
        r#"api_http_requests{_2nd="x", canary="true", env="dev", host_name="a:b"}"#
    );
}

#[test]
fn events_service_checks_and_comments_carry_no_metric() {
    let parsed =
        packet("_e{5,4}:title|text|#a:b\n_sc|redis|0|#a:b\n# comment\n\na:1|c|c:in-1|e:it-false|card:low\n");
    assert_eq!((parsed.ignored, parsed.accepted.samples, parsed.rejections.total), (2, 1, 0));
}

#[test]
fn a_metric_may_say_its_own_time_and_source() {
    let body = r#"{"custom_metrics":{"timestamp":1753525800,"source":"s","labels":{"env":"prod"},"metrics":[
        {"name":"a","value":1},
        {"name":"b","value":"2.5","timestamp":"2025-07-26T10:30:01.5+00:00","labels":{"source":"own","env":"dev"}},
        {"name":"c","value":true,"timestamp":"1753525800000","labels":{"code":200,"none":null}}]}}"#;
    assert_eq!(
        floats(&document(body).batch),
        [
            r#"a{env="prod", source="s"} 1 @1753525800000"#,
            r#"b{env="dev", source="own"} 2.5 @1753525801500"#,
            r#"c{code="200", env="prod", source="s"} 1 @1753525800000"#,
        ]
    );
}

#[test]
fn counters_are_states_unless_they_say_or_look_otherwise() {
    let rows = [
        (r#"{"name":"a","type":"counter","value":5}"#, Temporality::Cumulative),
        (r#"{"name":"a","type":"counter","value":5,"temporality":"delta"}"#, Temporality::Delta),
        (r#"{"name":"a","type":"counter","value":5,"tags":["x:y"]}"#, Temporality::Delta),
        (
            r#"{"name":"a","type":"counter","value":5,"tags":["x:y"],"temporality":"cumulative"}"#,
            Temporality::Cumulative,
        ),
    ];
    for (body, want) in rows {
        let parsed = document(body);
        assert_eq!(parsed.batch.series()[0].temporality, want, "{body}");
        assert_eq!(parsed.own_timestamps, want == Temporality::Cumulative);
    }
}

#[test]
fn every_type_of_custom_metric_is_read() {
    let body = r#"{"metrics":[
        {"name":"s","type":"summary","quantiles":{"0.5":1.5,"0.99":9},"sum":20,"count":7},
        {"name":"t","type":"timer","value":12.5},
        {"name":"d","type":"histogram","values":[1,2,3]},
        {"name":"u","type":"set","members":["x","y",3]},
        {"name":"h","type":"histogram","buckets":{"0.5":1},"count":2},
        {"name":"n","type":"untyped","value":1}]}"#;
    let parsed = document(body);
    assert_eq!(
        floats(&parsed.batch),
        [
            r#"s{quantile="0.5"} 1.5 @1760000000000"#,
            r#"s{quantile="0.99"} 9 @1760000000000"#,
            "s_sum 20 @1760000000000",
            "s_count 7 @1760000000000",
            r#"h_bucket{le="0.5"} 1 @1760000000000"#,
            r#"h_bucket{le="+Inf"} 2 @1760000000000"#,
            "h_count 2 @1760000000000",
            "n 1 @1760000000000",
        ]
    );
    assert_eq!(parsed.batch.histograms.iter().map(|s| s.histogram.sum).collect::<Vec<_>>(), [12.5, 6.0]);
    assert_eq!(parsed.batch.sets[0].set.count(), 3.0);
    assert!(parsed.rejections.is_empty(), "{:?}", parsed.rejections);
}

#[test]
fn one_bad_metric_leaves_its_neighbours_alone() {
    let body =
        r#"[{"custom_metrics":{"metrics":[{"name":"a","value":1},{"name":"b"},{"name":"c","value":3}]}}]"#;
    let parsed = document(body);
    assert_eq!((parsed.accepted.samples, parsed.rejections.total), (2, 1));
    assert_eq!(parsed.rejections.first[0].place, "[0].custom_metrics.metrics[1].value");
}
