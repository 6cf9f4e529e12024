//! How fast stream records are looked at: what forward costs for samples that are not chosen, and for those that are.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use weir_forward::{Forward, RuleSource, SinkRules};
use weir_model::{FloatSample, Labels, MetricKind, Record, Temporality, TenantId};
use weir_platform::{Batch, Delivered, MemorySink, SequenceNumber, ShardId, Telemetry};

/// Records of a batch, and series of a record, with a sample each.
const RECORDS: usize = 20;
const SERIES: usize = 2_000;

fn batch() -> Batch {
    let record = |at: usize| {
        let mut batch = weir_model::Batch::new();
        for n in 0..SERIES {
            let (host, cpu) = (format!("host-{:03}", n / 100), (n % 100).to_string());
            let pairs = [
                ("__name__", if n % 100 == 0 { "business_orders" } else { "node_cpu_seconds_total" }),
                ("instance", host.as_str()),
                ("cpu", cpu.as_str()),
                ("job", "node"),
                ("mode", "idle"),
            ];
            let labels = Labels::from_pairs(pairs);
            let series = batch.push_series(labels.borrowed(), MetricKind::Gauge, Temporality::Cumulative);
            let timestamp_ms = 1_800_000_000_000 + at as i64 * 15_000;
            batch.floats.push(FloatSample { series, timestamp_ms, value: (n * at) as f64 });
        }
        Record { tenant: TenantId::default(), key: None, received_ms: 0, batch }.encode().unwrap_or_default()
    };
    let delivered =
        |at: usize| Delivered { sequence: SequenceNumber::from(at as u128), data: record(at).into() };
    Batch { shard: ShardId(0), records: (0..RECORDS).map(delivered).collect() }
}

fn forward(criterion: &mut Criterion) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else { return };
    let mut group = criterion.benchmark_group("forward");
    group.throughput(Throughput::Elements((RECORDS * SERIES) as u64));
    let ten = "- { match: ['{__name__=~\"kpi_[0-9]+.*\",job!=\"x\"}'], every: 60s }\n".repeat(10);
    let rows = [
        ("one rule choosing 1 %", "- { metrics: ['business_.*'], every: 60s }\n".to_owned()),
        ("eleven rules choosing 1 %", format!("{ten}- {{ metrics: ['business_.*'], every: 60s }}\n")),
        ("everything", "- { metrics: ['.*'], every: 60s }\n".to_owned()),
    ];
    let batch = batch();
    for (name, text) in rows {
        let Ok(rules) = SinkRules::parse("rules", &format!("sinks:\n{text}")) else { return };
        group.bench_with_input(BenchmarkId::from_parameter(name), &rules, |bencher, rules| {
            bencher.iter(|| {
                // A new one each time: what was sent is not sent again.
                let sink = Arc::new(MemorySink::new("cloudwatch"));
                let source = RuleSource::fixed(rules.clone());
                let forward = Forward::new(vec![sink], source, Arc::new(Telemetry::default()));
                black_box(runtime.block_on(forward.handle(batch.clone())))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, forward);
criterion_main!(benches);
