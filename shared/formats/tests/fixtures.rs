//! Every example payload, and bodies that a real Prometheus sent, are read whole.

use std::path::Path;

use weir_formats::remote_write::Version;
use weir_formats::statsd::GaugeTable;
use weir_formats::text::Dialect;
use weir_formats::{Limits, Parsed, batch, encoding, json, remote_write, statsd, text};
use weir_model::{Batch, MetricKind, Temporality};

const NOW_MS: i64 = 1_760_000_000_000;

fn fixture(path: &str) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures");
    std::fs::read(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn parse(path: &str) -> Parsed {
    let (limits, body) = (Limits::default(), fixture(path));
    let mut gauges = GaugeTable::new(100);
    let parsed = match path.rsplit_once('.') {
        Some(("seeds/prometheus", _)) => text::parse(&body, Dialect::Prometheus, NOW_MS, &limits),
        Some(("seeds/batch", _)) => batch::parse(&body, NOW_MS, &limits, &mut gauges),
        Some((_, "txt")) => statsd::parse(&body, NOW_MS, &limits, &mut gauges),
        Some((_, "snappy")) => {
            let plain = encoding::decompress(&body, "snappy", &limits).expect(path);
            remote_write::parse(Version::V1, &plain, NOW_MS, &limits)
        }
        _ => json::parse(&body, NOW_MS, &limits),
    };
    parsed.unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Each sample as a line: series, temporality, value, timestamp.
fn lines(batch: &Batch) -> Vec<String> {
    let name = |series: u32| {
        let delta = batch.series()[series as usize].temporality == Temporality::Delta;
        format!("{}{}", batch.labels_at(series), if delta { " +" } else { " " })
    };
    let floats = batch.floats.iter().map(|s| format!("{}{} @{}", name(s.series), s.value, s.timestamp_ms));
    let histograms = batch.histograms.iter().map(|s| {
        format!("{}{} in {} @{}", name(s.series), s.histogram.count, s.histogram.sum, s.timestamp_ms)
    });
    let sets =
        batch.sets.iter().map(|s| format!("{}|{}| @{}", name(s.series), s.set.count(), s.timestamp_ms));
    floats.chain(histograms).chain(sets).collect()
}

#[test]
fn every_example_payload_is_accepted_whole() {
    let rows = [
        ("seeds/prometheus.txt", 8, 3),
        ("seeds/custom_metrics.json", 10, 0),
        ("seeds/statsd.txt", 7, 0),
        ("seeds/event_metrics.json", 5, 0),
        ("seeds/cloudwatch_entry.json", 1, 0),
        ("seeds/cloudwatch_metric_data.json", 10, 5),
        ("seeds/cloudwatch_stream.ndjson", 2, 0),
        ("seeds/dogstatsd_business.txt", 15, 0),
        ("seeds/buffered_metrics.json", 4, 0),
        ("seeds/metric_data.json", 3, 0),
        ("seeds/service_metrics.json", 2, 0),
        ("seeds/iot_device.json", 3, 3),
        ("seeds/batch.json", 9, 3),
    ];
    for (path, samples, metadata) in rows {
        let parsed = parse(path);
        assert!(parsed.rejections.is_empty(), "{path}: {:?}", parsed.rejections);
        assert_eq!((parsed.accepted.samples, parsed.accepted.metadata), (samples, metadata), "{path}");
    }
    let tested: std::collections::BTreeSet<_> =
        rows.iter().filter_map(|(path, ..)| path.strip_prefix("seeds/")).map(str::to_owned).collect();
    let present: std::collections::BTreeSet<_> =
        std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/seeds"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "README.md")
            .collect();
    assert_eq!(tested, present, "a payload without a row");
}

#[test]
fn the_custom_document_keeps_its_classic_histogram_and_its_source() {
    let lines = lines(&parse("seeds/custom_metrics.json").batch);
    let labels = r#"model="momentum_transformer", service="ml-inference", source="prediction-service""#;
    for want in [
        format!(r#"model_inference_duration_ms_bucket{{le="5", {labels}}} 234 @1753525800000"#),
        format!(r#"model_inference_duration_ms_bucket{{le="+Inf", {labels}}} 1247 @1753525800000"#),
        format!("model_inference_duration_ms_sum{{{labels}}} 18734.5 @1753525800000"),
        format!("model_inference_duration_ms_count{{{labels}}} 1247 @1753525800000"),
    ] {
        assert!(lines.contains(&want), "{want} is not among {lines:#?}");
    }
}

#[test]
fn an_event_becomes_a_count_a_duration_and_its_numbers() {
    let parsed = parse("seeds/event_metrics.json");
    let labels = r#"{model_name="momentum_transformer", model_version="v2.1.3", prediction_horizon="60min", source_service="ml-inference", success="true", symbol="AAPL", user_id="user_12345"}"#;
    let want = [
        format!("prediction_completed_total{labels} +1 @1753525800000"),
        format!("prediction_completed_prediction_confidence{labels} 0.78 @1753525800000"),
        format!("prediction_completed_feature_count{labels} 23 @1753525800000"),
        format!("prediction_completed_strategy_confidence{labels} 0.85 @1753525800000"),
        format!("prediction_completed_duration_ms{labels} +1 in 156 @1753525800000"),
    ];
    assert_eq!(lines(&parsed.batch), want);
    assert!(parsed.own_timestamps);
}

#[test]
fn statsd_lines_arrive_at_the_time_of_the_packet() {
    let parsed = parse("seeds/statsd.txt");
    assert!(!parsed.own_timestamps);
    let lines = lines(&parsed.batch);
    for want in [
        r#"system_cpu_usage{instance="ml-inference-001", service="ml-inference"} 67.5 @1760000000000"#,
        r#"service_response_time{endpoint="/predict", service="ml-inference"} +1 in 23 @1760000000000"#,
        r#"service_requests{endpoint="/predict", service="ml-inference", status="200"} +1 @1760000000000"#,
    ] {
        assert!(lines.iter().any(|line| line == want), "{want} is not among {lines:#?}");
    }
}

#[test]
fn a_real_prometheus_is_understood_to_the_last_series() {
    let parsed = parse("remote_write/prometheus-2.42-self-scrape.snappy");
    assert_eq!((parsed.accepted.samples, parsed.rejections.total), (353, 0));
    let up = lines(&parsed.batch).into_iter().find(|line| line.starts_with("up{")).unwrap();
    assert!(
        up.starts_with(r#"up{cluster="fixture", instance="127.0.0.1:17190", job="prometheus"} 1 @"#),
        "{up}"
    );

    let metadata = parse("remote_write/prometheus-2.42-metadata.snappy").batch.metadata;
    let told: Vec<_> = metadata.iter().map(|m| (m.family.as_str(), m.kind, m.help.as_str())).collect();
    assert!(told.contains(&("orders_total", MetricKind::Counter, "Orders seen.")), "{told:?}");
    assert!(told.contains(&("latency_seconds", MetricKind::Histogram, "Request latency.")), "{told:?}");
}

#[test]
fn a_real_native_histogram_and_exemplar_keep_their_numbers() {
    let parsed = parse("remote_write/prometheus-2.42-histogram-exemplar.snappy");
    assert_eq!((parsed.accepted.samples, parsed.accepted.histograms, parsed.accepted.exemplars), (6, 1, 1));
    let batch = &parsed.batch;
    let sample = &batch.histograms[0];
    assert_eq!(batch.series()[sample.series as usize].kind, MetricKind::Histogram);
    let histogram = &sample.histogram;
    let inside: f64 = histogram.positive_buckets.iter().chain(&histogram.negative_buckets).sum();
    assert_eq!(inside + histogram.zero_count, histogram.count);
    assert_eq!((histogram.schema, histogram.zero_threshold), (3, 0.001));
    assert_eq!(histogram.positive().map(|(index, _)| index).collect::<Vec<_>>(), [-2, -1, 3]);
    assert_eq!(batch.exemplars[0].labels.get("trace_id"), Some("4bf92f3577b34da6"));
    assert!(
        lines(batch).iter().any(|line| line.starts_with("orders_total{") && line.contains("shop=\"café\""))
    );
}

#[test]
fn every_document_of_a_load_generator_body_is_read() {
    let document = |host: u32| {
        format!(
            r#"{{"custom_metrics":{{"timestamp":1700000000123,"source":"h{host}:9100","metrics":[{{"name":"node_load1","type":"gauge","labels":{{"instance":"h{host}:9100","job":"node"}},"value":0.25}},{{"name":"node_cpu_seconds_total","type":"counter","labels":{{"cpu":"0","mode":"idle"}},"value":12345.5}}]}}}}"#
        )
    };
    let body: String = (0..50).map(|host| document(host) + "\n").collect();
    let parsed = json::parse(body.as_bytes(), NOW_MS, &Limits::default()).unwrap();
    assert_eq!((parsed.accepted.samples, parsed.rejections.total), (100, 0));
    assert_eq!(
        lines(&parsed.batch)[3],
        r#"node_cpu_seconds_total{cpu="0", mode="idle", source="h1:9100"} 12345.5 @1700000000123"#
    );
}

#[test]
fn the_example_events_are_accepted_whole() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events");
    let read = |name: &str| std::fs::read(root.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let (limits, mut gauges) = (Limits::default(), GaugeTable::new(10));
    let rows = [
        ("prometheus.txt", text::parse(&read("prometheus.txt"), Dialect::Prometheus, NOW_MS, &limits), 8),
        ("openmetrics.txt", text::parse(&read("openmetrics.txt"), Dialect::OpenMetrics, NOW_MS, &limits), 3),
        ("statsd.txt", statsd::parse(&read("statsd.txt"), NOW_MS, &limits, &mut gauges), 7),
        ("custom_metrics.json", json::parse(&read("custom_metrics.json"), NOW_MS, &limits), 10),
        ("event_metrics.json", json::parse(&read("event_metrics.json"), NOW_MS, &limits), 5),
        ("cloudwatch.json", json::parse(&read("cloudwatch.json"), NOW_MS, &limits), 10),
        ("batch.json", batch::parse(&read("batch.json"), NOW_MS, &limits, &mut gauges), 9),
    ];
    for (name, parsed, samples) in rows {
        let parsed = parsed.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((parsed.accepted.samples, parsed.rejections.total), (samples, 0), "{name}");
    }
}
