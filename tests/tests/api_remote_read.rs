//! Remote read: a real Prometheus that holds nothing itself asks Weir for what it is asked; and streamed
//! chunks hold what was written.

#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::json;
use weir_formats::remote_write::encode::{self, TimeSeries};
use weir_formats::tsdb::{Chunk, Encoding};
use weir_model::{Histogram, Samples, Span};
use weir_tests::{Weir, body, http, peers, weir};

/// Ends a peer with the test.
struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn labels(pairs: &[(&str, &str)]) -> encode::Pairs {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn histogram(at: i64) -> Histogram {
    let grown = at as f64;
    Histogram {
        schema: 2,
        count: 3.0 * grown,
        sum: 7.5 * grown,
        positive_spans: vec![Span { offset: 1, length: 2 }],
        positive_buckets: vec![2.0 * grown, grown],
        ..Histogram::default()
    }
}

/// Ten minutes of counters and of a native histogram, a sample every 15 s.
fn write(weir: &Weir, start_ms: i64) {
    let times = || (1..=40).map(|n| (n, start_ms + n * 15_000));
    let counter = |job: &str, pace: f64| TimeSeries {
        labels: labels(&[("__name__", "orders_total"), ("job", job)]),
        samples: times().map(|(n, at)| (at, pace * n as f64)).collect(),
        ..TimeSeries::default()
    };
    let distribution = TimeSeries {
        labels: labels(&[("__name__", "latency"), ("job", "a")]),
        histograms: times().map(|(n, at)| (at, histogram(n))).collect(),
        ..TimeSeries::default()
    };
    let series = [counter("a", 1.5), counter("b", 3.0), distribution];
    let reply = weir.post("/api/v1/write", &[], &body::snappy(&encode::v1(&series, &[]))).unwrap();
    assert_eq!(reply.status, 204, "{}", reply.text());
}

fn wait_until(what: &str, mut ready: impl FnMut() -> bool) {
    for _ in 0..300 {
        if ready() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("waited 30 s in vain: {what}");
}

#[test]
fn a_prometheus_reads_through_weir() {
    let Some(prometheus) = peers::debian("prometheus", "prometheus") else { return };
    let folder = tempfile::tempdir().unwrap();
    let weir = Weir::start(&folder.path().join("weir")).unwrap();
    let now_s = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() as i64;
    let start_s = now_s - 700;
    write(&weir, start_s * 1000);
    let config = folder.path().join("prometheus.yml");
    let text = format!("remote_read:\n- {{ url: '{}/api/v1/read', read_recent: true }}\n", weir.url);
    std::fs::write(&config, text).unwrap();
    let port = weir::free_port().unwrap();
    let url = format!("http://127.0.0.1:{port}");
    let _prometheus = Peer(
        Command::new(prometheus)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("prometheus").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(["--enable-feature=native-histograms", "--log.level=error"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap(),
    );
    wait_until("Prometheus is ready", || {
        http::get(&format!("{url}/-/ready"), &[]).is_ok_and(|reply| reply.status == 200)
    });
    let end_s = start_s + 600;
    // Of floats only: Debian's 2.42 does not read native histograms remotely yet.
    for query in [
        "orders_total",
        "sum by (job) (rate(orders_total[3m]))",
        "orders_total{job!~\"b|c\"} offset 1m",
        "count_over_time(orders_total[5m])",
        "none_such",
    ] {
        let encoded = http::encode(query);
        for path in [
            format!("/api/v1/query?query={encoded}&time={end_s}.5"),
            format!("/api/v1/query_range?query={encoded}&start={}.5&end={end_s}.5&step=30", start_s + 200),
        ] {
            let ask = |url: &str| http::get(&format!("{url}{path}"), &[]).unwrap().json()["data"].clone();
            let (theirs, ours) = (ask(&url), ask(&weir.url));
            assert_eq!(theirs, ours, "{path}");
            assert_eq!(ours["result"][0].is_null(), query == "none_such", "{path}: {ours}");
        }
    }
}

/// Chunks of `orders_total` and `latency` in frames, as `ChunkedReadResponse` has them.
fn chunks(mut stream: &[u8]) -> Vec<(Encoding, Vec<u8>)> {
    let mut found = Vec::new();
    while !stream.is_empty() {
        let length = varint(&mut stream) as usize;
        let (frame, rest) = stream[4..].split_at(length);
        stream = rest;
        for (_, series) in fields(frame).into_iter().filter(|(field, _)| *field == 1) {
            for (_, chunk) in fields(&series).into_iter().filter(|(field, _)| *field == 2) {
                let parts = fields(&chunk);
                let code = parts.iter().find(|(field, _)| *field == 3).unwrap().1[0];
                let encoding = if code == 1 { Encoding::Xor } else { Encoding::FloatHistogram };
                found.push((encoding, parts.iter().find(|(field, _)| *field == 4).unwrap().1.clone()));
            }
        }
    }
    found
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let (mut number, mut shift) = (0, 0);
    loop {
        let byte = bytes[0];
        *bytes = &bytes[1..];
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return number;
        }
        shift += 7;
    }
}

/// Field numbers and contents; numbers as their lowest byte.
fn fields(mut message: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut fields = Vec::new();
    while !message.is_empty() {
        let tag = varint(&mut message);
        let content = if tag & 7 == 2 {
            let length = varint(&mut message) as usize;
            let (content, rest) = message.split_at(length);
            message = rest;
            content.to_vec()
        } else {
            vec![varint(&mut message) as u8]
        };
        fields.push((tag >> 3, content));
    }
    fields
}

#[test]
fn streamed_chunks_hold_floats_and_native_histograms() {
    let folder = tempfile::tempdir().unwrap();
    let weir = Weir::start(folder.path()).unwrap();
    let start_ms = 1_760_000_000_000;
    write(&weir, start_ms);
    let query = |name: &str| {
        let mut matcher = b"\x12\x08__name__\x1a".to_vec();
        matcher.push(name.len() as u8);
        matcher.extend_from_slice(name.as_bytes());
        let mut query = vec![0x08];
        encode::put_varint(&mut query, start_ms as u64);
        query.push(0x10);
        encode::put_varint(&mut query, (start_ms + 600_000) as u64);
        query.extend_from_slice(&[0x1a, matcher.len() as u8]);
        query.extend_from_slice(&matcher);
        let mut request = vec![0x0a, query.len() as u8];
        request.extend_from_slice(&query);
        request
    };
    let request = [query("orders_total"), query("latency"), b"\x10\x01".to_vec()].concat();
    let mut found = Vec::new();
    wait_until("the samples are there", || {
        let reply = weir.post("/api/v1/read", &[], &body::snappy(&request)).unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
        let kind = reply.header("content-type").unwrap_or("");
        assert!(kind.starts_with("application/x-streamed-protobuf"), "{kind}");
        found = chunks(&reply.body);
        found.len() == 3
    });
    let mut samples = Samples::default();
    for (encoding, content) in &found {
        Chunk { encoding: *encoding, content }.read(&mut samples).unwrap();
    }
    assert_eq!((samples.values.len(), samples.histograms.len()), (80, 40));
    assert_eq!((samples.values[39], samples.values[79]), (60.0, 120.0));
    let last = &samples.histograms[39];
    assert_eq!(last.0, start_ms + 600_000);
    let want = Histogram { counter_reset_hint: last.1.counter_reset_hint, ..histogram(40) };
    assert_eq!(*last.1, want);
    // What is damaged is refused, in the envelope of every other refusal.
    let refused = weir.post("/api/v1/read", &[], b"\xff\xff").unwrap();
    assert_eq!((refused.status, &refused.json()["errorType"]), (400, &json!("bad_data")));
}
