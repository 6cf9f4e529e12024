//! Speed of the parser on queries as dashboards ask them, and at its bounds.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

fn queries(c: &mut Criterion) {
    let long = format!("a{{{}}}", (0..2000).map(|i| format!("label_{i}=\"value {i}\",")).collect::<String>());
    let wide = format!("sum({}a)", "a + ".repeat(190));
    let deep = format!("{}1{}", "(".repeat(199), ")".repeat(199));
    let rows = [
        ("selector", "up{job=\"api\",instance=~\"10\\\\..*\"}"),
        ("rate", "sum by (mode) (rate(node_cpu_seconds_total{job=\"node\",mode!=\"idle\"}[5m]))"),
        (
            "ratio",
            "histogram_quantile(0.99, sum by (le, route) (rate(http_request_duration_seconds_bucket[5m]))) > 0.5 \
             and on (route) (sum by (route) (rate(http_requests_total{code=~\"5..\"}[5m])) / \
             sum by (route) (rate(http_requests_total[5m])) > 0.01)",
        ),
        ("2000 matchers", long.as_str()),
        ("190 operators", wide.as_str()),
        ("200 levels", deep.as_str()),
    ];
    let mut group = c.benchmark_group("parse");
    for (name, text) in rows {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |b| b.iter(|| weir_promql::parse(black_box(text))));
    }
    group.finish();

    let text = rows[2].1;
    let expr = weir_promql::parse(text);
    c.bench_function("print", |b| b.iter(|| expr.as_ref().map(|e| black_box(e).to_string())));
}

criterion_group!(benches, queries);
criterion_main!(benches);
