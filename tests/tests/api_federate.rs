//! Federation: the latest sample of every selected series as a Prometheus would serve it.

use std::time::Duration;

use weir_formats::remote_write::encode::{self, TimeSeries};
use weir_model::{Histogram, SCHEMA_CUSTOM_BUCKETS, STALE_NAN, Span};
use weir_tests::{Weir, body, http};

#[test]
fn the_latest_samples_are_served_as_text() {
    let folder = tempfile::tempdir().unwrap();
    let weir = Weir::start(folder.path()).unwrap();
    let now_ms = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64;
    let (earlier, later, long_ago) = (now_ms - 60_000, now_ms - 1_000, now_ms - 600_000);
    let labels = |pairs: &[(&str, &str)]| -> encode::Pairs {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let series = |pairs: &[(&str, &str)], samples: Vec<(i64, f64)>| TimeSeries {
        labels: labels(pairs),
        samples,
        ..TimeSeries::default()
    };
    let histogram = |name: &str, histogram: Histogram| TimeSeries {
        labels: labels(&[("__name__", name)]),
        histograms: vec![(later, histogram)],
        ..TimeSeries::default()
    };
    let native = Histogram {
        count: 1.0,
        sum: 2.0,
        positive_spans: vec![Span { offset: 1, length: 1 }],
        positive_buckets: vec![1.0],
        ..Histogram::default()
    };
    let custom = Histogram {
        schema: SCHEMA_CUSTOM_BUCKETS,
        positive_spans: vec![Span { offset: 0, length: 1 }],
        custom_values: vec![0.5],
        ..native.clone()
    };
    let all = [
        series(&[("__name__", "up"), ("instance", "x"), ("job", "a")], vec![(earlier, 0.0), (later, 1.0)]),
        series(&[("__name__", "up"), ("job", "b")], vec![(earlier, 0.5)]),
        series(&[("__name__", "ended"), ("job", "a")], vec![(earlier, 1.0), (later, STALE_NAN)]),
        series(&[("__name__", "old"), ("job", "a")], vec![(long_ago, 1.0)]),
        histogram("native", native),
        histogram("custom", custom),
    ];
    let reply = weir.post("/api/v1/write", &[], &body::snappy(&encode::v1(&all, &[]))).unwrap();
    assert_eq!(reply.status, 204, "{}", reply.text());
    let page =
        "/federate?match[]=up&match[]=%7Bjob%3D%22a%22%7D&match[]=%7B__name__%3D~%22native%7Ccustom%22%7D";
    let want = format!(
        "# TYPE custom histogram\n\
         custom_bucket{{instance=\"\",le=\"0.5\"}} 1 {later}\ncustom_bucket{{instance=\"\",le=\"+Inf\"}} 1 {later}\n\
         custom_sum{{instance=\"\"}} 2 {later}\ncustom_count{{instance=\"\"}} 1 {later}\n\
         # TYPE up untyped\nup{{instance=\"x\",job=\"a\"}} 1 {later}\nup{{job=\"b\",instance=\"\"}} 0.5 {earlier}\n"
    );
    let mut text = String::new();
    for _ in 0..100 {
        let reply = http::get(&format!("{}{page}", weir.url), &[]).unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
        let kind = reply.header("content-type").unwrap_or("").to_owned();
        assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores");
        text = reply.text();
        if text == want {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(text, want);
    // Without a selector there is nothing, and a bad one is refused.
    assert_eq!(weir.get("/federate").unwrap().text(), "");
    assert_eq!(weir.get("/federate?match[]=%7B%7D").unwrap().status, 400);
}
