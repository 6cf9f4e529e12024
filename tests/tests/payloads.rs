//! Every example payload of the reference documents, posted and asked for; and malformed bodies of every
//! format, each with its own refusal.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use weir_tests::{Weir, body};

/// 2025-07-26T10:30:00Z, the time of most examples, and a moment after the latest of them.
const THEN: f64 = 1_753_525_810.0;
/// The Prometheus example is of 2024-07-27.
const PROMETHEUS_THEN: f64 = 1_722_076_810.0;

fn fixtures(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(folder)
}

/// A payload, where it is posted, and what it must answer to: expression, time (zero is now), value.
type Row = (&'static str, &'static str, &'static [(&'static str, f64, f64)]);

const PAYLOADS: &[Row] = &[
    (
        "prometheus.txt",
        "/api/v1/internal/metrics/prometheus",
        &[
            ("http_requests_total{status=\"200\"}", PROMETHEUS_THEN, 1247.0),
            ("prediction_accuracy", PROMETHEUS_THEN, 0.742),
            ("http_request_duration_seconds_bucket{le=\"0.05\"}", PROMETHEUS_THEN, 456.0),
            ("http_request_duration_seconds_sum", PROMETHEUS_THEN, 23.456),
        ],
    ),
    (
        "custom_metrics.json",
        "/api/v1/internal/metrics/custom",
        &[
            ("predictions_generated_total{symbol=\"AAPL\"}", THEN, 1247.0),
            ("model_inference_duration_ms_bucket{le=\"50\"}", THEN, 1123.0),
            ("model_inference_duration_ms_count", THEN, 1247.0),
            ("trading_profit_loss_usd", THEN, 12847.32),
        ],
    ),
    (
        "statsd.txt",
        "/api/v1/import/statsd",
        &[
            ("system_cpu_usage{instance=\"ml-inference-001\"}", 0.0, 67.5),
            ("increase(service_requests{status=\"200\"}[5m])", 0.0, 1.0),
            ("histogram_sum(increase(service_response_time{endpoint=\"/predict\"}[5m]))", 0.0, 23.0),
        ],
    ),
    (
        "event_metrics.json",
        "/api/v1/import/json",
        &[
            ("increase(prediction_completed_total{symbol=\"AAPL\"}[5m])", THEN, 1.0),
            ("prediction_completed_prediction_confidence", THEN, 0.78),
            ("histogram_sum(increase(prediction_completed_duration_ms[5m]))", THEN, 156.0),
        ],
    ),
    (
        "cloudwatch_entry.json",
        "/api/v1/import/json",
        &[("revenue_per_transaction{Geography=\"global\"}", THEN, 182.5)],
    ),
    (
        "cloudwatch_metric_data.json",
        "/api/v1/import/json",
        &[
            ("response_time_p95{Endpoint=\"/pay\",Namespace=\"CustomApp/Metrics\"}", THEN, 187.2),
            ("histogram_count(increase(latency[5m]))", THEN, 142.0),
            ("increase(request_size_sum[5m])", THEN, 88213.0),
        ],
    ),
    (
        "cloudwatch_stream.ndjson",
        "/api/v1/import/json",
        &[("conversion_rate", THEN, 3.1), ("churn_probability", THEN, 0.02)],
    ),
    (
        "dogstatsd_business.txt",
        "/api/v1/import/statsd",
        &[
            ("increase(business_payment_attempts{currency=\"USD\"}[5m])", 0.0, 1.0),
            ("distinct_over_time(business_user_daily_active[5m])", 0.0, 1.0),
            ("histogram_count(increase(queue_operations_processing_time[5m]))", 0.0, 6.0),
            ("k8s_pods_running", 0.0, 25.0),
        ],
    ),
    (
        "buffered_metrics.json",
        "/api/v1/import/json",
        &[
            ("increase(business_payment_attempts{payment_method=\"card\"}[5m])", THEN, 1.0),
            ("histogram_sum(increase(database_queries_execution_time{table=\"payments\"}[5m]))", THEN, 8.25),
        ],
    ),
    ("metric_data.json", "/api/v1/import/json", &[("system_cpu_percent{type=\"system\"}", THEN, 37.5)]),
    ("service_metrics.json", "/api/v1/import/json", &[("sum(error_rate)", THEN, 0.01)]),
    ("iot_device.json", "/api/v1/import/json", &[("temperature", THEN, 21.5), ("co2", THEN, 612.0)]),
    (
        "batch.json",
        "/api/v1/internal/metrics/batch",
        &[
            ("up{job=\"api\"}", THEN, 1.0),
            ("jobs_total", THEN, 17.0),
            ("orders_total", THEN, 12.0),
            ("CPUUtilization{InstanceId=\"i-0abc\"}", THEN, 61.5),
            ("queue_depth", THEN, 4.0),
        ],
    ),
];

#[test]
fn every_example_payload_is_accepted_and_answers_queries() {
    let present: BTreeSet<String> = std::fs::read_dir(fixtures("seeds"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "README.md")
        .collect();
    assert_eq!(
        PAYLOADS.iter().map(|row| row.0.to_owned()).collect::<BTreeSet<_>>(),
        present,
        "a payload without a row"
    );
    let mut broken = Vec::new();
    for (file, path, questions) in PAYLOADS {
        // A stack of its own each, since examples share names.
        let folder = tempfile::tempdir().unwrap();
        let weir = Weir::start(folder.path()).unwrap();
        let reply = weir.post(path, &[], &std::fs::read(fixtures("seeds").join(file)).unwrap()).unwrap();
        if reply.status != 200 || reply.json()["accepted"]["samples"] == 0 {
            broken.push(format!("{file}: {} {}", reply.status, reply.text()));
            continue;
        }
        std::thread::sleep(Duration::from_millis(100));
        for compacted in [false, true] {
            if compacted {
                assert_eq!(weir.post("/api/v1/admin/compact", &[], b"").unwrap().status, 200);
            }
            for (expr, at, want) in *questions {
                let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
                let got = weir.value_at(expr, if *at == 0.0 { now } else { *at });
                let same =
                    got.as_ref().is_ok_and(|v| v.is_some_and(|v| (v - want).abs() <= want.abs() * 1e-9));
                if !same {
                    broken.push(format!("{file} (compacted: {compacted}): {expr} is {got:?}, not {want}"));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn real_remote_write_bodies_are_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let weir = Weir::start(folder.path()).unwrap();
    for entry in std::fs::read_dir(fixtures("remote_write")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "snappy") {
            let headers = [("Content-Type", "application/x-protobuf"), ("Content-Encoding", "snappy")];
            let reply = weir.post("/api/v1/write", &headers, &std::fs::read(&path).unwrap()).unwrap();
            assert_eq!(reply.status, 204, "{}: {}", path.display(), reply.text());
        }
    }
}

/// What the row shows, path, content type, body, status, and a part of the reason.
type Refusal<'a> = (&'a str, &'a str, &'a str, Vec<u8>, u16, &'a str);

#[test]
fn malformed_bodies_of_every_format_get_their_own_refusal() {
    const WRITE: &str = "/api/v1/write";
    const TEXT: &str = "/api/v1/import/prometheus";
    const STATSD: &str = "/api/v1/import/statsd";
    const JSON: &str = "/api/v1/import/json";
    const BATCH: &str = "/api/v1/import/batch";
    let v1 = "application/x-protobuf";
    let v2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request";
    let openmetrics = "application/openmetrics-text; version=1.0.0";
    let rows: Vec<Refusal<'_>> = vec![
        ("remote write 1.0: no snappy", WRITE, v1, b"up 1".to_vec(), 400, "snappy"),
        ("remote write 1.0: no protobuf", WRITE, v1, body::snappy(b"\x0f\xff"), 400, "wire type"),
        ("remote write 1.0: cut off", WRITE, v1, body::snappy(b"\x0a\x10\x0a"), 400, "needs"),
        ("remote write 2.0: no symbols", WRITE, v2, body::snappy(b"\x2a\x04\x0a\x02\x00\x00"), 400, "symbol"),
        ("remote write: another message", WRITE, "application/x-protobuf;proto=x.Y", vec![], 415, "x.Y"),
        ("text: a word for a value", TEXT, "", b"up one\n".to_vec(), 400, "line 1: value \"one\""),
        ("text: an open quote", TEXT, "", b"ok 1\nup{a=\"b 1\n".to_vec(), 400, "line 2"),
        ("text: not UTF-8", TEXT, "", b"up\xff 1\n".to_vec(), 400, "UTF-8"),
        ("openmetrics: no end", TEXT, openmetrics, b"up 1\n".to_vec(), 400, "# EOF"),
        ("statsd: no type", STATSD, "", b"a:1".to_vec(), 400, "no type"),
        ("statsd: a word for a value", STATSD, "", b"a:x|c".to_vec(), 400, "value \"x\""),
        ("statsd: an impossible rate", STATSD, "", b"a:1|c|@7".to_vec(), 400, "sample rate"),
        ("json: nothing", JSON, "", vec![], 400, "empty"),
        ("json: no JSON", JSON, "", b"{\"a\":".to_vec(), 400, "not JSON"),
        ("json: no known document", JSON, "", b"{\"a\":1}".to_vec(), 400, "document"),
        ("json: a list for a value", JSON, "", b"{\"name\":\"a\",\"value\":[]}".to_vec(), 400, "value"),
        ("batch: an item without data", BATCH, "", b"[{\"format\":\"statsd\"}]".to_vec(), 400, "[0].data"),
        (
            "batch: an unknown format",
            BATCH,
            "",
            b"[{\"format\":\"x\",\"data\":\"\"}]".to_vec(),
            400,
            "[0].format",
        ),
    ];
    let folder = tempfile::tempdir().unwrap();
    let weir = Weir::start(folder.path()).unwrap();
    let mut broken = Vec::new();
    for (shows, path, content_type, body, status, part) in rows {
        let headers: &[(&str, &str)] =
            if content_type.is_empty() { &[] } else { &[("Content-Type", content_type)] };
        let reply = weir.post(path, headers, &body).unwrap();
        let told = reply.json()["error"].as_str().unwrap_or("").to_owned();
        if reply.status != status || !told.contains(part) {
            broken.push(format!("{shows}: {} {told:?} lacks {part:?}", reply.status));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert_eq!(weir.get("/-/healthy").unwrap().status, 200);
}
