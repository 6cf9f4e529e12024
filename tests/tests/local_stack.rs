//! The whole stack over real HTTP, as the README's reader meets it.

#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use weir_formats::remote_write::encode::{self, TimeSeries};
use weir_tests::{Weir, body, http, weir};

fn now_ms() -> i64 {
    i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap()
}

/// Asks until an answer satisfies, for at most `within`.
fn eventually(within: Duration, mut ask: impl FnMut() -> Option<Value>) -> Value {
    let started = Instant::now();
    loop {
        if let Some(value) = ask() {
            return value;
        }
        assert!(started.elapsed() < within, "not so within {within:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn names(value: &Value) -> Vec<&str> {
    value["data"].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect()
}

#[test]
fn a_first_session_works_as_the_readme_says() {
    let folder = tempfile::tempdir().unwrap();
    let weir = Weir::start_with(folder.path(), &["--no-statsd", "--self-interval", "200ms"]).unwrap();
    // It has something to say about itself at once.
    eventually(Duration::from_secs(5), || {
        weir.query("host_memory_bytes{state=\"total\"}").ok().filter(|r| !r[0].is_null())
    });
    let reply = weir.post("/api/v1/import/prometheus", &[], b"hello{from=\"curl\"} 1\n").unwrap();
    assert_eq!((reply.status, &reply.json()["accepted"]["samples"]), (200, &json!(1)));
    let result = eventually(Duration::from_secs(1), || weir.query("hello").ok().filter(|r| !r[0].is_null()));
    assert_eq!(result[0]["metric"], json!({ "__name__": "hello", "from": "curl" }));
    assert!(weir.get("/metrics").unwrap().text().contains("weir_ingest_samples_accepted_total"));
    let took = weir.stop().unwrap();
    assert!(took < Duration::from_secs(5), "took {took:?} to stop");
    let weir = Weir::start(folder.path()).unwrap();
    assert_eq!(weir.query("hello").unwrap()[0]["value"][1], "1", "it lasts");
}

#[test]
fn grafana_finds_what_its_prometheus_data_source_asks_for() {
    let folder = tempfile::tempdir().unwrap();
    let weir = Weir::start(folder.path()).unwrap();
    let body = "# HELP http_requests_total Requests.\n# TYPE http_requests_total counter\n\
                http_requests_total{job=\"api\",code=\"200\"} 5\nhttp_requests_total{job=\"web\",code=\"500\"} 7\n";
    weir.post("/api/v1/import/prometheus", &[], body.as_bytes()).unwrap();
    eventually(Duration::from_secs(1), || {
        weir.query("http_requests_total").ok().filter(|r| r[1].is_object())
    });
    assert_eq!(names(&weir.get("/api/v1/labels").unwrap().json()), ["__name__", "code", "job"]);
    assert_eq!(names(&weir.get("/api/v1/label/job/values").unwrap().json()), ["api", "web"]);
    let one = weir.get("/api/v1/label/job/values?match[]=http_requests_total%7Bcode%3D%22500%22%7D").unwrap();
    assert_eq!(names(&one.json()), ["web"]);
    let series = weir.get("/api/v1/series?match[]=http_requests_total").unwrap().json();
    assert_eq!(series["data"].as_array().unwrap().len(), 2);
    let metadata = weir.get("/api/v1/metadata").unwrap().json();
    let want = json!([{ "type": "counter", "help": "Requests.", "unit": "" }]);
    assert_eq!(metadata["data"]["http_requests_total"], want);
    assert_eq!(weir.get("/api/v1/status/buildinfo").unwrap().json()["status"], "success");
    // POST forms, as Grafana sends them by default.
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let reply = weir.post("/api/v1/query", &form, b"query=sum(http_requests_total)").unwrap();
    assert_eq!(reply.json()["data"]["result"][0]["value"][1], "12");
    let end = now_ms() / 1000;
    let body = format!("query=sum(http_requests_total)&start={}&end={end}&step=15", end - 60);
    let reply = weir.post("/api/v1/query_range", &form, body.as_bytes()).unwrap();
    assert_eq!(reply.json()["data"]["resultType"], "matrix");
    // Refusals in Prometheus' envelope.
    for (path, status, kind) in [
        ("/api/v1/query?query=sum(", 400, "bad_data"),
        ("/api/v1/query", 400, "bad_data"),
        ("/api/v1/query?query=up&time=soon", 400, "bad_data"),
        ("/api/v1/query_range?query=up&start=0&end=9&step=0", 400, "bad_data"),
        ("/api/v1/query_range?query=up&start=0&end=900000&step=1", 400, "bad_data"),
        ("/api/v1/series", 400, "bad_data"),
        ("/api/v1/nothing", 404, "not_found"),
    ] {
        let reply = weir.get(path).unwrap();
        assert_eq!(
            (reply.status, reply.json()["errorType"].as_str()),
            (status, Some(kind)),
            "{path}: {}",
            reply.text()
        );
    }
}

#[test]
fn a_write_is_visible_within_a_tenth_of_a_second_of_its_acknowledgement() {
    let folder = tempfile::tempdir().unwrap();
    let weir = Weir::start(folder.path()).unwrap();
    let mut waits: Vec<Duration> = (0..40)
        .map(|n| {
            weir.post("/api/v1/import/prometheus", &[], format!("seen {n}\n").as_bytes()).unwrap();
            let acknowledged = Instant::now();
            eventually(Duration::from_secs(2), || {
                weir.query("seen").ok().filter(|r| r[0]["value"][1].as_str() == Some(&format!("{n}")))
            });
            acknowledged.elapsed()
        })
        .collect();
    waits.sort();
    // Printed rather than asserted: a busy machine may take its time.
    weir::note(&format!(
        "visible after: median {:?}, worst {:?}",
        waits[waits.len() / 2],
        waits[waits.len() - 1]
    ));
}

#[test]
fn tenants_do_not_see_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let weir = Weir::start(folder.path()).unwrap();
    for (tenant, value) in [("team-a", "1"), ("team-b", "2")] {
        let body = format!("# TYPE secret gauge\nsecret{{of=\"{tenant}\"}} {value}\n");
        let reply =
            weir.post("/api/v1/import/prometheus", &[("X-Scope-OrgID", tenant)], body.as_bytes()).unwrap();
        assert_eq!(reply.status, 200);
    }
    let ask = |tenant: &str, path: &str| {
        http::get(&format!("{}{path}", weir.url), &[("X-Scope-OrgID", tenant)]).unwrap().json()
    };
    let check = || {
        for (tenant, value) in [("team-a", "1"), ("team-b", "2")] {
            let result = eventually(Duration::from_secs(1), || {
                Some(ask(tenant, "/api/v1/query?query=secret")["data"]["result"].clone())
                    .filter(|r| !r[0].is_null())
            });
            assert_eq!(result.as_array().unwrap().len(), 1);
            assert_eq!(result[0]["value"][1], value);
            assert_eq!(names(&ask(tenant, "/api/v1/label/of/values")), [tenant]);
        }
        assert_eq!(ask("default", "/api/v1/query?query=secret")["data"]["result"], json!([]));
        assert_eq!(ask("default", "/api/v1/metadata")["data"], json!({}));
    };
    check();
    assert_eq!(weir.post("/api/v1/admin/compact", &[], b"").unwrap().status, 200);
    check();
    for bad in ["a/b", "..", "a|b"] {
        let reply = http::get(&format!("{}/api/v1/labels", weir.url), &[("X-Scope-OrgID", bad)]).unwrap();
        assert_eq!(reply.status, 400, "{bad}: {}", reply.text());
    }
}

#[test]
fn every_content_encoding_is_understood_and_others_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let weir = Weir::start(folder.path()).unwrap();
    let plain = b"encoded 1\n".to_vec();
    for encoding in ["identity", "gzip", "zstd", "deflate", "snappy"] {
        let body = body::compress(encoding, &plain);
        let reply = weir.post("/api/v1/import/prometheus", &[("Content-Encoding", encoding)], &body).unwrap();
        assert_eq!(reply.status, 200, "{encoding}: {}", reply.text());
    }
    for (encoding, status) in
        [("br", 415), ("gzip, gzip", 415), ("gzip", 400), ("zstd", 400), ("snappy", 400)]
    {
        let reply =
            weir.post("/api/v1/import/prometheus", &[("Content-Encoding", encoding)], &plain).unwrap();
        assert_eq!(reply.status, status, "{encoding}: {}", reply.text());
        assert!(!reply.json()["error"].as_str().unwrap().is_empty());
    }
    let large = vec![b'#'; 5_000_000];
    assert_eq!(weir.post("/api/v1/import/prometheus", &[], &large).unwrap().status, 413);
    let bomb = body::compress("gzip", &vec![b'\n'; 80 << 20]);
    let reply = weir.post("/api/v1/import/prometheus", &[("Content-Encoding", "gzip")], &bomb).unwrap();
    assert_eq!(reply.status, 413, "{}", reply.text());
}

#[test]
fn remote_write_answers_as_its_specifications_want() {
    let folder = tempfile::tempdir().unwrap();
    let weir = Weir::start(folder.path()).unwrap();
    let series = |value: f64, name: &str| TimeSeries {
        labels: vec![("__name__".into(), "rw".into()), (name.into(), "x".into())],
        samples: vec![(now_ms(), value)],
        ..TimeSeries::default()
    };
    let v2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request";
    let snappy = body::snappy;
    let rows: [(&str, &str, Vec<u8>, u16, &str); 6] = [
        ("1.0", "application/x-protobuf", snappy(&encode::v1(&[series(1.0, "one")], &[])), 204, "1"),
        ("2.0", v2, snappy(&encode::v2(&[series(2.0, "two")])), 204, "1"),
        ("unknown message", "application/x-protobuf;proto=some.Other", snappy(b""), 415, "0"),
        ("another format", "application/json", b"{}".to_vec(), 415, "0"),
        ("not snappy", v2, b"\xff\xff\xff".to_vec(), 400, "0"),
        ("not protobuf", v2, snappy(b"\xff\xff\xff"), 400, "0"),
    ];
    for (shows, content_type, body, status, written) in rows {
        let reply = weir
            .post("/api/v1/write", &[("Content-Type", content_type), ("Content-Encoding", "snappy")], &body)
            .unwrap();
        assert_eq!(reply.status, status, "{shows}: {}", reply.text());
        let header = reply.header("x-prometheus-remote-write-samples-written");
        assert_eq!(header, Some(written), "{shows}");
    }
    let result =
        eventually(Duration::from_secs(1), || weir.query("sum(rw)").ok().filter(|r| r[0]["value"][1] == "3"));
    assert!(result.is_array());
}

#[test]
fn statsd_over_udp_becomes_counters_gauges_distributions_and_sets() {
    let folder = tempfile::tempdir().unwrap();
    let port = weir::free_port().unwrap();
    let address = format!("127.0.0.1:{port}");
    let weir =
        Weir::start_with(folder.path(), &["--no-self", "--no-rules", "--statsd-listen", &address]).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let send = |text: &str| {
        socket.send_to(text.as_bytes(), &address).unwrap();
    };
    send("jobs.done:2|c|@0.5|#queue:mail\njobs.done:1|c|#queue:mail");
    send("temperature:20|g\ntemperature:+2|g\ntemperature:-5|g");
    (1..=100).for_each(|n| send(&format!("latency:{n}|ms")));
    ["ann", "bob", "ann", "cid"].iter().for_each(|who| send(&format!("users:{who}|s")));
    let value = |expr: &str| -> Option<f64> { weir.query(expr).ok()?[0]["value"][1].as_str()?.parse().ok() };
    let settle = |expr: &str, want: f64, tolerance: f64| {
        let mut last = None;
        for _ in 0..400 {
            last = value(expr);
            if last.is_some_and(|got| (got - want).abs() <= tolerance) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("{expr} is {last:?}, not {want} ± {tolerance}");
    };
    settle("sum(increase(jobs_done{queue=\"mail\"}[5m]))", 5.0, 1e-9);
    settle("temperature", 17.0, 1e-9);
    settle("histogram_count(increase(latency[5m]))", 100.0, 1e-9);
    // 95 lies in a bucket of relative width 2^(1/32).
    settle("histogram_quantile(0.95, increase(latency[5m]))", 95.0, 95.0 * 0.03);
    settle("distinct_over_time(users[5m])", 3.0, 1e-6);
}

#[test]
fn compaction_changes_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let weir = Weir::start(folder.path()).unwrap();
    let start = now_ms() - 4 * 3_600_000;
    for round in 0..8 {
        let series: Vec<TimeSeries> = (0..30)
            .map(|i| TimeSeries {
                labels: vec![("__name__".into(), "m".into()), ("i".into(), i.to_string())],
                samples: (0..60)
                    .map(|n| (start + (round * 60 + n) * 30_000, (n * i) as f64 + 0.25))
                    .collect(),
                ..TimeSeries::default()
            })
            .collect();
        let reply = weir.post("/api/v1/write", &[], &body::snappy(&encode::v1(&series, &[]))).unwrap();
        assert_eq!(reply.status, 204, "{}", reply.text());
    }
    let end_s = (start + 4 * 3_600_000) / 1000;
    let questions = ["sum by (i) (rate(m[10m]))", "m", "max_over_time(m[1h])", "count(m)"];
    let ask = |extra: &str| -> Vec<Value> {
        questions
            .iter()
            .map(|q| {
                let path = format!(
                    "/api/v1/query_range?query={}&start={}&end={end_s}&step=60{extra}",
                    http::encode(q),
                    end_s - 14_400
                );
                weir.get(&path).unwrap().json()
            })
            .collect()
    };
    eventually(Duration::from_secs(2), || {
        weir.value_at("sum(count_over_time(m[5h]))", end_s as f64)
            .ok()
            .flatten()
            .filter(|n| *n == 14_400.0)
            .map(|_| json!(1))
    });
    let before = ask("");
    assert_eq!(before[0]["status"], "success");
    assert_eq!(weir.post("/api/v1/admin/compact", &[], b"").unwrap().status, 200);
    assert_eq!(ask(""), before, "after compaction");
    assert_eq!(ask("&nocache=1"), before, "around caches of answers");
    assert_eq!(ask("&nocache=all"), before, "around the indexes kept in memory, too");
    let data = folder.path().to_owned();
    weir.stop().unwrap();
    let weir = Weir::start(&data).unwrap();
    let again = weir.value_at("sum(count_over_time(m[5h]))", end_s as f64).unwrap();
    assert_eq!(again, Some(14_400.0), "after a restart");
}

#[test]
fn two_processes_do_not_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let _first = Weir::start(folder.path()).unwrap();
    let output = std::process::Command::new(weir::binary())
        .args(["--listen", "127.0.0.1:0", "--no-statsd", "--data"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("another weir is using"), "{said}");
}

#[test]
fn series_that_rules_of_sinks_choose_are_lines_of_a_file_and_bad_rules_are_told_with_their_line() {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("sinks.yaml");
    std::fs::write(&rules, "sinks:\n- { metrics: [visits], every: 60s, to: [cloudwatch] }\n").unwrap();
    let flags = ["--no-self", "--no-statsd", "--no-rules", "--sinks", rules.to_str().unwrap()];
    let data = folder.path().join("data");
    let weir = Weir::start_with(&data, &flags).unwrap();
    weir.post("/api/v1/import/statsd", &[], b"visits:3|c|#page:home\nothers:1|c\n").unwrap();
    let line = eventually(Duration::from_secs(5), || {
        let text = std::fs::read_to_string(data.join("sinks.jsonl")).ok()?;
        assert!(text.lines().count() <= 1, "{text}");
        serde_json::from_str(text.lines().next()?).ok()
    });
    assert_eq!(
        (&line["sink"], &line["metric"], &line["kind"]),
        (&json!("cloudwatch"), &json!("visits"), &json!("increase"))
    );
    assert_eq!((&line["labels"], &line["value"]), (&json!({ "page": "home" }), &json!(3.0)));
    assert_eq!(line["time"].as_i64().unwrap() % 60_000, 0);
    weir.stop().unwrap();
    std::fs::write(&rules, "sinks:\n- { metrics: [visits] }\n").unwrap();
    let refused = std::process::Command::new(weir::binary()).args(["check", "sinks"]).arg(&rules).output();
    let refused = refused.unwrap();
    let text = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && text.contains("sinks.yaml:2:3: the rule has no every"), "{text}");
}
