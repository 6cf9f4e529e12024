//! Throughput of each parser over one request of node-exporter-like series, in samples.
//!
//! 2,000 series of 12 labels with one sample each, which is what a Prometheus sends at once.

use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use weir_formats::remote_write::Version;
use weir_formats::remote_write::encode::{self, TimeSeries};
use weir_formats::statsd::NoGaugeMemory;
use weir_formats::text::Dialect;
use weir_formats::{Limits, encoding, json, remote_write, statsd, text};
use weir_model::MetricKind;

// As in the product: a request's large buffers come from kept memory rather than from the kernel.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SERIES: usize = 2_000;
const NOW_MS: i64 = 1_760_000_000_000;

fn series() -> Vec<TimeSeries> {
    (0..SERIES)
        .map(|i| {
            let pairs = [
                ("__name__", "node_cpu_seconds_total".to_owned()),
                ("availability_zone", format!("eu-central-1{}", ["a", "b", "c"][i % 3])),
                ("cluster", "production-blue".to_owned()),
                ("container", "node-exporter".to_owned()),
                ("cpu", (i % 16).to_string()),
                ("endpoint", "metrics".to_owned()),
                ("environment", "production".to_owned()),
                ("instance", format!("10.12.{}.{}:9100", i / 250, i % 250)),
                ("job", "node-exporter".to_owned()),
                ("mode", ["idle", "user", "system", "iowait"][i % 4].to_owned()),
                ("namespace", "monitoring".to_owned()),
                ("pod", format!("node-exporter-{:05x}", i * 2_654_435 % 1_048_576)),
            ];
            TimeSeries {
                labels: pairs.into_iter().map(|(n, v)| (n.to_owned(), v)).collect(),
                samples: vec![(NOW_MS + (i % 100) as i64, 1_000.0 + i as f64 * 0.25)],
                kind: MetricKind::Counter,
                ..TimeSeries::default()
            }
        })
        .collect()
}

fn labels(one: &TimeSeries, open: &str, between: &str, quote: &str) -> String {
    let label = |(n, v): &(String, String)| format!("{n}{open}{quote}{v}{quote}");
    one.labels[1..].iter().map(label).collect::<Vec<_>>().join(between)
}

fn page(series: &[TimeSeries], seconds: bool) -> String {
    let mut page =
        "# HELP node_cpu_seconds_total Seconds by mode.\n# TYPE node_cpu_seconds_total counter\n".to_owned();
    for one in series {
        let (time, value) = one.samples[0];
        let time = if seconds { format!("{:.3}", time as f64 / 1e3) } else { time.to_string() };
        let _ = writeln!(page, "node_cpu_seconds_total{{{}}} {value} {time}", labels(one, "=", ",", "\""));
    }
    if seconds {
        page.push_str("# EOF\n");
    }
    page
}

fn documents(series: &[TimeSeries]) -> String {
    let mut body = String::new();
    for host in series.chunks(100) {
        let metrics: Vec<_> = host
            .iter()
            .map(|one| {
                format!(
                    r#"{{"name":"node_cpu_seconds_total","type":"counter","labels":{{{}}},"value":{}}}"#,
                    one.labels[1..]
                        .iter()
                        .map(|(n, v)| format!(r#""{n}":"{v}""#))
                        .collect::<Vec<_>>()
                        .join(","),
                    one.samples[0].1
                )
            })
            .collect();
        let _ = writeln!(
            body,
            r#"{{"custom_metrics":{{"timestamp":{NOW_MS},"source":"h","metrics":[{}]}}}}"#,
            metrics.join(",")
        );
    }
    body
}

fn parsers(c: &mut Criterion) {
    let (limits, series) = (Limits::default(), series());
    let mut group = c.benchmark_group("parse");
    group.throughput(Throughput::Elements(SERIES as u64));

    for (name, version, body) in [
        ("remote_write_1", Version::V1, encode::v1(&series, &[])),
        ("remote_write_2", Version::V2, encode::v2(&series)),
    ] {
        group.bench_function(name, |b| {
            b.iter(|| remote_write::parse(version, black_box(&body), NOW_MS, &limits).map(|p| p.accepted));
        });
        let packed = snap::raw::Encoder::new().compress_vec(&body).unwrap_or_default();
        group.bench_function(format!("{name}_snappy"), |b| {
            b.iter(|| {
                let body = encoding::decompress(black_box(&packed), "snappy", &limits).unwrap_or_default();
                remote_write::parse(version, &body, NOW_MS, &limits).map(|p| p.accepted)
            });
        });
    }
    for (name, dialect) in [("text", Dialect::Prometheus), ("openmetrics", Dialect::OpenMetrics)] {
        let body = page(&series, dialect == Dialect::OpenMetrics);
        group.bench_function(name, |b| {
            b.iter(|| text::parse(black_box(body.as_bytes()), dialect, NOW_MS, &limits).map(|p| p.accepted));
        });
    }
    for (name, kind, time) in [
        ("dogstatsd_gauges", "g", "|T1760000000"),
        ("dogstatsd_counters", "c", ""),
        ("dogstatsd_timings", "ms", ""),
    ] {
        let mut body = String::new();
        for one in &series {
            let value = one.samples[0].1;
            let _ = writeln!(body, "node.cpu.seconds:{value}|{kind}|#{}{time}", labels(one, ":", ",", ""));
        }
        group.bench_function(name, |b| {
            b.iter(|| {
                statsd::parse(black_box(body.as_bytes()), NOW_MS, &limits, &mut NoGaugeMemory)
                    .map(|p| p.accepted)
            });
        });
    }
    let body = documents(&series);
    group.bench_function("json_custom", |b| {
        b.iter(|| json::parse(black_box(body.as_bytes()), NOW_MS, &limits).map(|p| p.accepted));
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(std::time::Duration::from_secs(3));
    targets = parsers
}
criterion_main!(benches);
