//! How long the engine computes, storage being in memory: selections are fetched before the clock runs.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use weir_model::{Labels, Samples};
use weir_promql::memory::MemoryStorage;
use weir_promql::{Limits, Query, evaluate_prepared, parse, prepare};

/// Distance of samples in milliseconds.
const INTERVAL_MS: i64 = 15_000;

/// Counters with twelve labels each, as a fleet of servers has them.
fn counters(series: usize, samples: usize) -> MemoryStorage {
    let mut storage = MemoryStorage::new();
    for at in 0..series {
        let mut pairs: Vec<(String, String)> =
            (0..8).map(|i| (format!("label_{i}"), format!("some-value-{i}"))).collect();
        pairs.push(("__name__".to_owned(), "node_cpu_seconds_total".to_owned()));
        pairs.push(("instance".to_owned(), format!("host-{:04}:9100", at / 16)));
        pairs.push(("cpu".to_owned(), (at % 16 / 8).to_string()));
        pairs.push(("mode".to_owned(), format!("mode-{}", at % 8)));
        storage.push(Labels::from_pairs(pairs), rising(samples, at as f64));
    }
    storage
}

fn rising(samples: usize, from: f64) -> Samples {
    let steps = 0..samples;
    Samples {
        timestamps: steps.clone().map(|i| i as i64 * INTERVAL_MS).collect(),
        values: steps.map(|i| from + i as f64 * 0.37).collect(),
        ..Samples::default()
    }
}

/// Classic histograms of twelve buckets.
fn buckets(series: usize, samples: usize) -> MemoryStorage {
    let mut storage = MemoryStorage::new();
    for at in 0..series {
        let le =
            if at % 12 == 11 { "+Inf".to_owned() } else { format!("{}", 0.001 * f64::from(1 << (at % 12))) };
        let instance = format!("host-{}", at / 12);
        let pairs = [("__name__", "latency_bucket"), ("instance", &instance), ("le", &le)];
        storage.push(Labels::from_pairs(pairs), rising(samples, (at % 12) as f64 * 10.0));
    }
    storage
}

struct Case {
    name: &'static str,
    storage: MemoryStorage,
    query: &'static str,
    series: usize,
    samples: usize,
    /// Steps before the last sample.
    steps: i64,
    step_ms: i64,
}

fn engine(criterion: &mut Criterion) {
    let rate = "rate(node_cpu_seconds_total[5m])";
    let sum = "sum by (mode) (rate(node_cpu_seconds_total[5m]))";
    let quantile = "histogram_quantile(0.9, rate(latency_bucket[5m]))";
    let average = "avg_over_time(node_cpu_seconds_total[1h])";
    type Make = fn(usize, usize) -> MemoryStorage;
    let rows: [(&str, Make, usize, usize, &str, i64, i64); 7] = [
        ("rate, 1,600 series, instant", counters, 1_600, 20, rate, 0, 0),
        ("sum by (rate), 3,200 series, 72 steps", counters, 3_200, 1_440, sum, 71, 300_000),
        ("sum by (rate), 1,000 series, 1,440 steps", counters, 1_000, 1_440, sum, 1_439, 15_000),
        ("histogram_quantile, 9,600 series, 60 steps", buckets, 9_600, 240, quantile, 59, 60_000),
        (
            "topk, 3,200 series, 60 steps",
            counters,
            3_200,
            240,
            "topk(10, node_cpu_seconds_total)",
            59,
            60_000,
        ),
        ("avg_over_time 1h, 100 series, 1,440 steps", counters, 100, 1_680, average, 1_439, 15_000),
        ("one series, instant", counters, 1, 20, "node_cpu_seconds_total", 0, 0),
    ];
    let cases = rows.map(|(name, make, series, samples, query, steps, step_ms)| Case {
        name,
        storage: make(series, samples),
        query,
        series,
        samples,
        steps,
        step_ms,
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap_or_else(|e| panic!("{e}"));
    let mut group = criterion.benchmark_group("engine");
    group.sample_size(20);
    for case in &cases {
        let expr = parse(case.query).unwrap_or_else(|e| panic!("{e}"));
        let last = (case.samples as i64 - 1) * INTERVAL_MS;
        let query = Query::range(expr, case.query, last - case.steps * case.step_ms, last, case.step_ms);
        group.throughput(Throughput::Elements((case.series * case.samples) as u64));
        for threads in [1, 2] {
            let limits = Limits { threads, ..Limits::default() };
            let prepared = runtime
                .block_on(prepare(&case.storage, &query, &limits))
                .unwrap_or_else(|e| panic!("{}: {e}", case.name));
            group.bench_with_input(BenchmarkId::new(case.name, threads), &prepared, |bencher, prepared| {
                bencher.iter(|| evaluate_prepared(prepared).unwrap_or_else(|e| panic!("{e}")));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, engine);
criterion_main!(benches);
