//! Bodies that pass a bound.

use weir_formats::remote_write::{self, Version, encode};
use weir_formats::statsd::{self, NoGaugeMemory};
use weir_formats::text::{self, Dialect};
use weir_formats::{ErrorKind, Limits, json};

use super::{NOW_MS, check, field, join, series};

#[test]
fn requests_past_a_bound_are_too_large_in_every_format() {
    let limits = Limits { samples: 3, ..Limits::default() };
    let series: Vec<_> = (0..5).map(|i| series(&[("__name__", "up"), ("i", &i.to_string())])).collect();
    let lines = |line: &dyn Fn(u32) -> String| (0..5).map(line).collect::<String>();
    let results = [
        remote_write::parse(Version::V1, &encode::v1(&series, &[]), NOW_MS, &limits),
        remote_write::parse(Version::V2, &encode::v2(&series), NOW_MS, &limits),
        text::parse(lines(&|i| format!("a{i} 1\n")).as_bytes(), Dialect::Prometheus, NOW_MS, &limits),
        text::parse(
            lines(&|i| format!("# TYPE a{i} gauge\n")).as_bytes(),
            Dialect::OpenMetrics,
            NOW_MS,
            &limits,
        ),
        statsd::parse(lines(&|i| format!("a{i}:1|c\n")).as_bytes(), NOW_MS, &limits, &mut NoGaugeMemory),
        json::parse(lines(&|i| format!("{{\"name\":\"a{i}\",\"value\":1}}\n")).as_bytes(), NOW_MS, &limits),
    ];
    for result in results {
        let error = result.unwrap_err();
        assert_eq!(error.kind, ErrorKind::TooLarge);
        let told = error.to_string();
        assert!(told.contains("more than 3 ") && told.ends_with("send it in pieces"), "{told}");
    }
}

#[test]
fn symbols_that_are_referred_to_too_often_are_too_large() {
    let long = "v".repeat(4000);
    let series: Vec<_> = (0..50).map(|_| series(&[("__name__", "up"), ("x", &long)])).collect();
    let body = encode::v2(&series);
    assert!(body.len() < 10_000);
    let limits = Limits { label_bytes: 100_000, ..Limits::default() };
    let error = remote_write::parse(Version::V2, &body, NOW_MS, &limits).unwrap_err();
    assert_eq!(error.kind, ErrorKind::TooLarge);
}

#[test]
fn samples_from_the_future_are_rejected_when_a_limit_says_so() {
    let limits = Limits { future_ms: Some(60_000), ..Limits::default() };
    let body = format!("a 1 {}\nb 1 {}\n", NOW_MS + 60_000, NOW_MS + 60_001);
    let parsed = text::parse(body.as_bytes(), Dialect::Prometheus, NOW_MS, &limits).unwrap();
    assert_eq!(parsed.accepted.samples, 1);
    assert_eq!(
        parsed.rejections.first[0].to_string(),
        "line 2: timestamp 1760000060001 lies more than 60000 ms after its arrival at 1760000000000"
    );
}

#[test]
fn one_metric_cannot_multiply_its_labels_past_the_bound() {
    let long = "v".repeat(4000);
    let buckets: Vec<_> = (0..1000).map(|bound| format!("\"{bound}\":1")).collect();
    let members: Vec<_> = (0..1000).map(|member| format!("\"m{member}\":1")).collect();
    let limits = Limits { label_bytes: 100_000, ..Limits::default() };
    for body in [
        format!(
            r#"{{"name":"a","type":"histogram","labels":{{"x":"{long}"}},"buckets":{{{}}}}}"#,
            buckets.join(",")
        ),
        format!(
            r#"{{"event_metrics":{{"event_type":"a","labels":{{"x":"{long}"}},"metrics":{{{}}}}}}}"#,
            members.join(",")
        ),
    ] {
        let error = json::parse(body.as_bytes(), NOW_MS, &limits).unwrap_err();
        assert_eq!(error.kind, ErrorKind::TooLarge);
    }
}

#[test]
fn labels_without_number_are_refused_without_being_kept() {
    let many = field(1, &[]).repeat(60_000);
    let endless = field(1, &[]).repeat(100_000);
    let sample = field(2, b"\x10\x01");
    let exemplar =
        field(3, &join(&[field(1, &join(&[field(1, b"a"), field(2, b"b")])).repeat(1000), vec![0x18, 1]]));
    let name = field(1, &join(&[field(1, b"__name__"), field(2, b"up")]));
    let rows = [
        ("endless labels", field(1, &endless), "400 timeseries 0: field 1 stands more than 65536 times"),
        (
            "labels",
            field(1, &join(&[many, sample.clone()])),
            "labels: timeseries 0: 60000 labels, at most 64",
        ),
        (
            "an exemplar's labels",
            field(1, &join(&[name, sample, exemplar])),
            "labels: timeseries 0, exemplar 0: an exemplar has at most 64 labels",
        ),
    ];
    for (shows, body, want) in rows {
        check(shows, remote_write::parse(Version::V1, &body, NOW_MS, &Limits::default()), want);
    }
    let line = format!("up{{{}}} 1", "a=\"\",".repeat(2000));
    let told = text::parse(line.as_bytes(), Dialect::Prometheus, NOW_MS, &Limits::default());
    check("labels of a line", told, "labels: line 1: more than 1000 labels");
}

#[test]
fn a_body_of_nothing_but_mistakes_is_given_up() {
    let limits = Limits { samples: 100, ..Limits::default() };
    let results = [
        text::parse(&b"?\n".repeat(1000), Dialect::Prometheus, NOW_MS, &limits),
        statsd::parse(&b"?\n".repeat(1000), NOW_MS, &limits, &mut NoGaugeMemory),
        json::parse(format!("[{}0]", "0,".repeat(1000)).as_bytes(), NOW_MS, &limits),
        json::parse(&b"0\n".repeat(1000), NOW_MS, &limits),
        remote_write::parse(
            Version::V1,
            &encode::v1(&vec![series(&[("a", "b")]); 1000], &[]),
            NOW_MS,
            &limits,
        ),
    ];
    for result in results {
        let error = result.unwrap_err();
        assert_eq!(error.kind, ErrorKind::BadRequest);
        assert!(error.to_string().starts_with("more than 100 entries are wrong; the first at "), "{error}");
    }
}
