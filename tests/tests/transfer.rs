//! Data in bulk: what is exported imports into an empty Weir as the same data, in every format and way;
//! and a block of a real Prometheus is the same here as there.

#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use weir_formats::remote_write::encode::{self, TimeSeries};
use weir_model::{DistributionBuilder, STALE_NAN};
use weir_tests::{Weir, body, http, peers, weir};

const START_S: i64 = 1_760_000_400;
const END_S: i64 = START_S + 3 * 86_400;

/// Three days of counters, gauges with odd values, native histograms, deltas and sets.
fn fill(weir: &Weir) {
    let labels = |name: &str, host: &str| {
        [("__name__", name), ("host", host), ("ort", "Möhnesee, \"Damm\"")]
            .map(|(n, v)| (n.to_owned(), v.to_owned()))
            .to_vec()
    };
    let mut series = Vec::new();
    for host in 0..5 {
        let host = format!("h{host}");
        let at = |i: i64| (START_S + i * 600) * 1000 + i % 7;
        series.push(TimeSeries {
            labels: labels("litres_total", &host),
            samples: (0..432).map(|i| (at(i), i as f64 * 0.1)).collect(),
            ..TimeSeries::default()
        });
        let odd = |i: i64| match i % 50 {
            10 => f64::INFINITY,
            20 => STALE_NAN,
            30 => -0.0,
            _ => (i as f64).sin() * 1e9,
        };
        series.push(TimeSeries {
            labels: labels("level", &host),
            samples: (0..432).map(|i| (at(i), odd(i))).collect(),
            ..TimeSeries::default()
        });
    }
    let mut builder = DistributionBuilder::new();
    let histograms = (0..50).map(|i| {
        builder.observe(0.1 * (i + 1) as f64, 2.0);
        ((START_S + i * 3600) * 1000, builder.build())
    });
    series.push(TimeSeries {
        labels: labels("wait_seconds", "h0"),
        histograms: histograms.collect(),
        ..TimeSeries::default()
    });
    let request = body::snappy(&encode::v1(&series, &[]));
    let headers = [("content-type", "application/x-protobuf"), ("content-encoding", "snappy")];
    let reply = weir.post("/api/v1/write", &headers, &request).unwrap();
    assert_eq!(reply.status, 204, "{}", reply.text());
    let lines = format!(
        "hits:3|c|#host:h0|T{0}\nhits:4|c|#host:h0|T{1}\nusers:ann|s|T{0}\nusers:bob|s|T{0}\n",
        START_S,
        START_S + 60
    );
    let reply = weir.post("/api/v1/import/statsd", &[], lines.as_bytes()).unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
    std::thread::sleep(Duration::from_millis(300));
}

/// Everything as lines of JSON, a sample an entry: series and time to its value as text.
fn everything(weir: &Weir, selector: &str) -> BTreeMap<(String, i64), String> {
    let query = format!("/api/v1/export?match[]={}&start={START_S}&end={END_S}", http::encode(selector));
    let reply = weir.get(&query).unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
    let mut found = BTreeMap::new();
    for line in reply.text().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let series = format!("{} {}", line["metric"], line["temporality"]);
        let list = |name: &str| line[name].as_array().cloned().unwrap_or_default();
        for (at, value) in list("timestamps").iter().zip(list("values")) {
            found.insert((series.clone(), at.as_i64().unwrap()), value.to_string());
        }
        for name in ["histogram", "set"] {
            for sample in list(&format!("{name}s")) {
                let at = sample["timestamp"].as_i64().unwrap();
                found.insert((series.clone(), at), sample[name].to_string());
            }
        }
    }
    found
}

fn run(args: &[&str]) -> Output {
    let output = Command::new(weir::binary()).args(args).stdin(Stdio::null()).output().unwrap();
    assert!(
        output.status.success(),
        "weir {args:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

#[test]
fn an_export_imports_as_the_same_data_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let source = Weir::start(&folder.path().join("source")).unwrap();
    fill(&source);
    let all = everything(&source, "{__name__!=\"\"}");
    assert_eq!(all.len(), 5 * 432 * 2 + 50 + 3, "everything that was sent");
    source.post("/api/v1/admin/compact", &[], b"").unwrap();
    assert_eq!(everything(&source, "{__name__!=\"\"}"), all, "blocks say what hot segments said");

    let rows: [(&str, &str, &str, &str); 7] = [
        ("jsonl", "none", "all.jsonl", "{__name__!=\"\"}"),
        ("jsonl", "zstd", "all.jsonl.zst", "{__name__!=\"\"}"),
        ("csv", "none", "all.csv", "{__name__!=\"\"}"),
        ("csv", "gzip", "all.csv.gz", "{__name__!=\"\"}"),
        ("parquet", "none", "all.parquet", "{__name__!=\"\"}"),
        ("openmetrics", "none", "some.txt", "litres_total"),
        ("openmetrics", "gzip", "some.txt.gz", "litres_total"),
    ];
    for (place, (format, compression, name, selector)) in rows.into_iter().enumerate() {
        let file = folder.path().join(name);
        let file = file.to_str().unwrap();
        run(&[
            "export",
            "--url",
            &source.url,
            "--match",
            selector,
            "--start",
            &START_S.to_string(),
            "--end",
            &END_S.to_string(),
            "--format",
            format,
            "--compression",
            compression,
            "--output",
            file,
        ]);
        let target = Weir::start(&folder.path().join(format!("target-{place}"))).unwrap();
        run(&["import", "--url", &target.url, file]);
        // Once more: an import that was cut off is run again.
        run(&["import", "--url", &target.url, file]);
        std::thread::sleep(Duration::from_millis(300));
        let want = everything(&source, selector);
        assert!(!want.is_empty());
        let got = everything(&target, selector);
        assert!(got == want, "{format} {compression}: {} samples of {}", got.len(), want.len());
    }
}

#[test]
fn an_export_by_link_is_stored_in_parts_that_can_be_fetched() {
    let folder = tempfile::tempdir().unwrap();
    let weir = Weir::start(folder.path()).unwrap();
    fill(&weir);
    let query = format!(
        "/api/v1/export/csv?match[]={}&start={START_S}&end={END_S}&compression=gzip&delivery=link",
        http::encode("{__name__=~\"level|litres_total\"}")
    );
    let reply = weir.get(&query).unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
    let export = &reply.json()["metrics_export"];
    assert_eq!(export["record_count"], 2 * 5 * 432);
    assert_eq!(export["exported_metrics"], serde_json::json!(["level", "litres_total"]));
    assert_eq!((&export["format"], &export["compression"]), (&"csv".into(), &"gzip".into()));
    let file = weir.get(export["export_url"].as_str().unwrap()).unwrap();
    assert_eq!(file.body.len() as u64, export["size_bytes"].as_u64().unwrap());
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&file.body[..]), &mut text).unwrap();
    assert_eq!(text.lines().count(), 1 + 2 * 5 * 432, "a header and a row a sample");
    let gone = weir.get("/api/v1/export/files/default/export_20200101_000000_0/part-00001.csv.gz").unwrap();
    assert_eq!(gone.status, 404, "{}", gone.text());
}

#[test]
fn what_an_export_cannot_do_is_said_before_anything_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let weir = Weir::start(folder.path()).unwrap();
    fill(&weir);
    for (query, status, want) in [
        ("match[]=up", 400, "\"start\": it is missing"),
        ("start=1", 400, "no match[] parameter"),
        ("start=1&match[]=", 400, "invalid parameter \\\"match[]\\\""),
        ("start=2&end=1&match[]=up", 400, "end timestamp must not be before start"),
        ("start=1&match[]=up&format=xml", 400, "there is no export format \\\"xml\\\""),
        ("start=1&match[]=up&compression=lz4", 400, "\\\"lz4\\\" is none of"),
        ("start=1&match[]=up&delivery=mail", 400, "neither stream nor link"),
        ("start=1&match[]=up&format=parquet&compression=gzip", 400, "Parquet is compressed already"),
        ("start=1760000400&end=1760259600&match[]=wait_seconds&format=openmetrics", 422, "native histograms"),
        ("start=1760000400&end=1760259600&match[]=hits&format=openmetrics", 422, "changes instead of totals"),
    ] {
        let reply = weir.get(&format!("/api/v1/export?{}", query.replace('"', "%22"))).unwrap();
        let text = reply.text();
        assert_eq!(reply.status, status, "{query}: {text}");
        assert!(text.contains(want.replace("\"start\"", "\\\"start\\\"").as_str()), "{query}: {text}");
    }
}

#[test]
fn a_block_of_a_real_prometheus_answers_here_as_there() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tsdb/prometheus-2.42");
    let folder = tempfile::tempdir().unwrap();
    let weir = Weir::start(&folder.path().join("weir")).unwrap();
    run(&["backfill", "--url", &weir.url, fixture.to_str().unwrap()]);
    // Once more: an import that was cut off is run again.
    run(&["backfill", "--url", &weir.url, fixture.to_str().unwrap()]);
    std::thread::sleep(Duration::from_millis(300));
    let Some(prometheus) = peers::debian("prometheus", "prometheus") else { return };
    let data = folder.path().join("prometheus");
    copy(&fixture, &data.join("01M7YBNEP55XEGH7EWQQTTBQWR"));
    let config = folder.path().join("prometheus.yml");
    std::fs::write(&config, "global: {scrape_interval: 1h}\n").unwrap();
    let port = weir::free_port().unwrap();
    let mut peer = Command::new(prometheus);
    peer.arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", data.display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .args([
            "--storage.tsdb.retention.time=100y",
            "--enable-feature=native-histograms",
            "--log.level=error",
        ]);
    let _peer = peers::start(&mut peer);
    let url = format!("http://127.0.0.1:{port}");
    let ready = || http::get(&format!("{url}/-/ready"), &[]).is_ok_and(|reply| reply.status == 200);
    for _ in 0..200 {
        if ready() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let end = START_S + 100 * 60;
    let mut compared = 0;
    for (expr, step) in [
        // Raw samples at their own times, deleted ones left out.
        ("count_over_time(gaps[10m])", 600),
        ("count_over_time(request_seconds[10m])", 600),
        ("water_litres_total", 17),
        ("rate(water_litres_total[3m])", 41),
        ("water_level", 13),
        ("gaps", 29),
        ("histogram_count(request_seconds)", 31),
        ("histogram_count(rate(request_seconds_float[5m]))", 31),
        ("histogram_sum(batch_size)", 31),
    ] {
        // 2.42 counts a sample on the left edge of a window in, 3 does not: no edge falls on a sample.
        let query = format!(
            "/api/v1/query_range?query={}&start={}.0517&end={end}&step={step}",
            http::encode(expr),
            START_S + 600
        );
        let (there, here) = (http::get(&format!("{url}{query}"), &[]).unwrap(), weir.get(&query).unwrap());
        let (there, here) = (points(&there.json()), points(&here.json()));
        assert!(!there.is_empty(), "{expr}");
        assert_eq!(here.keys().collect::<Vec<_>>(), there.keys().collect::<Vec<_>>(), "{expr}");
        for (at, want) in &there {
            let got = here[at];
            let same =
                (got - want).abs() <= 1e-9 * want.abs() || got == *want || (got.is_nan() && want.is_nan());
            assert!(same, "{expr} at {at:?}: {got} here, {want} there");
            compared += 1;
        }
    }
    assert!(compared > 1_000, "{compared} points");
}

/// Points of a range query by series and time in milliseconds.
fn points(answer: &Value) -> BTreeMap<(String, i64), f64> {
    let mut found = BTreeMap::new();
    for series in answer["data"]["result"].as_array().unwrap_or_else(|| panic!("{answer}")) {
        for point in series["values"].as_array().into_iter().flatten() {
            let at = (point[0].as_f64().unwrap() * 1000.0).round() as i64;
            let value = point[1].as_str().unwrap().replace("Inf", "inf").parse().unwrap();
            found.insert((series["metric"].to_string(), at), value);
        }
    }
    found
}

fn copy(from: &Path, to: &PathBuf) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).unwrap();
        }
    }
}
