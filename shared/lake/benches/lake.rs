//! What the lake costs: appending, compacting, and selecting from blocks and hot segments.
//!
//! 10,000 series of twelve labels, 100 on each of 100 hosts, 15 s apart, in stream records of 2,000 samples
//! as remote write brings them.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use tokio::runtime::Runtime;
use weir_lake::{CompactMode, Incoming, Lake, LakeOptions, Selection};
use weir_model::{
    Batch, FloatSample, Labels, MatchOp, Matcher, MetricKind, Record, Samples, Temporality, TenantId,
};
use weir_platform::{ManualClock, MemoryBucket, SequenceNumber, ShardId};

const HOSTS: usize = 100;
const SERIES: usize = HOSTS * 100;
const RECORD_SERIES: usize = 2_000;
const INTERVAL_MS: i64 = 15_000;
/// The start of an hour.
const START_MS: i64 = 1_795_219_200_000;

fn all_labels() -> Vec<Labels> {
    let of = |series: usize| {
        let (host, metric) = (series / 100, series % 100);
        let name = match metric {
            0..32 => "node_cpu_seconds_total".to_owned(),
            _ => format!("node_metric_{metric}_total"),
        };
        Labels::from_pairs([
            ("__name__", name),
            ("instance", format!("prod-{host:03}.eu-west-1.example.com:9100")),
            ("job", "node".to_owned()),
            ("region", ["eu-west-1", "us-east-1", "ap-south-1"][host % 3].to_owned()),
            ("zone", format!("zone-{}", host % 7)),
            ("cluster", "production-1".to_owned()),
            ("team", format!("team-{}", host % 11)),
            ("environment", "production".to_owned()),
            ("cpu", (metric / 8 % 4).to_string()),
            (
                "mode",
                ["idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user"][metric % 8].into(),
            ),
            ("kernel", "6.1.0-26-amd64".to_owned()),
            ("arch", "x86_64".to_owned()),
        ])
    };
    (0..SERIES).map(of).collect()
}

/// One scrape of everything as stream records.
fn scrape(labels: &[Labels], tick: i64) -> Vec<Incoming> {
    let records = labels.chunks(RECORD_SERIES).enumerate().map(|(part, labels)| {
        let mut batch = Batch::new();
        for (at, labels) in labels.iter().enumerate() {
            let series = batch.push_series(labels.borrowed(), MetricKind::Counter, Temporality::Cumulative);
            let grows = (at * 7 + part) % 13;
            let value = (tick * grows as i64 + (tick * 31 + at as i64) % 5) as f64 / 100.0;
            batch.floats.push(FloatSample { series, timestamp_ms: START_MS + tick * INTERVAL_MS, value });
        }
        let received_ms = START_MS + tick * INTERVAL_MS;
        let record = Record { tenant: TenantId::default(), key: None, received_ms, batch };
        let payload = Bytes::from(record.encode().expect("the bench's lake works"));
        Incoming { sequence: SequenceNumber::from(tick as u128 * 100 + part as u128 + 1), payload, record }
    });
    records.collect()
}

async fn empty_lake() -> Arc<Lake> {
    let clock = Arc::new(ManualClock::new(START_MS));
    Lake::open(Arc::new(MemoryBucket::new()), clock, LakeOptions::default())
        .await
        .expect("the bench's lake works")
}

/// A lake with scrapes `ticks` in it.
async fn lake_with(labels: &[Labels], ticks: std::ops::Range<i64>, lake: Option<Arc<Lake>>) -> Arc<Lake> {
    let lake = match lake {
        Some(lake) => lake,
        None => empty_lake().await,
    };
    for tick in ticks {
        lake.append(ShardId(0), scrape(labels, tick)).await.expect("the bench's lake works");
    }
    lake
}

fn append(c: &mut Criterion) {
    let runtime = Runtime::new().expect("the bench's lake works");
    let labels = all_labels();
    let mut group = c.benchmark_group("append");
    group.throughput(Throughput::Elements(20 * SERIES as u64)).sample_size(10);
    group.bench_function("20 scrapes of 10,000 known series", |b| {
        let setup = || {
            let lake = runtime.block_on(lake_with(&labels, 0..1, None));
            (lake, (1..21).map(|tick| scrape(&labels, tick)).collect::<Vec<_>>())
        };
        b.iter_batched(
            setup,
            |(lake, scrapes)| {
                for scrape in scrapes {
                    black_box(
                        runtime.block_on(lake.append(ShardId(0), scrape)).expect("the bench's lake works"),
                    );
                }
                lake
            },
            BatchSize::PerIteration,
        );
    });
    group.throughput(Throughput::Elements(SERIES as u64));
    group.bench_function("10,000 new series", |b| {
        let setup = || (runtime.block_on(empty_lake()), scrape(&labels, 0));
        b.iter_batched(
            setup,
            |(lake, scrape)| {
                black_box(runtime.block_on(lake.append(ShardId(0), scrape)).expect("the bench's lake works"));
                lake
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn compact(c: &mut Criterion) {
    let runtime = Runtime::new().expect("the bench's lake works");
    let labels = all_labels();
    let mut group = c.benchmark_group("compact");
    group.sample_size(10).measurement_time(Duration::from_secs(8));
    for ticks in [20i64, 240] {
        group.throughput(Throughput::Elements(ticks as u64 * SERIES as u64));
        group.bench_function(format!("hot to block, {ticks} samples a series"), |b| {
            b.iter_batched(
                || runtime.block_on(lake_with(&labels, 0..ticks, None)),
                |lake| {
                    black_box(
                        runtime
                            .block_on(lake.compact(CompactMode::Scheduled))
                            .expect("the bench's lake works"),
                    );
                    lake
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.throughput(Throughput::Elements(240 * SERIES as u64));
    group.bench_function("merge 12 blocks of an hour", |b| {
        let setup = || {
            let mut lake = None;
            for part in 0..12 {
                let filled = runtime.block_on(lake_with(&labels, part * 20..(part + 1) * 20, lake));
                if part < 11 {
                    runtime.block_on(filled.compact(CompactMode::Scheduled)).expect("the bench's lake works");
                }
                lake = Some(filled);
            }
            lake.expect("twelve parts make a lake")
        };
        b.iter_batched(
            setup,
            |lake| {
                black_box(runtime.block_on(lake.compact(CompactMode::Full)).expect("the bench's lake works"));
                lake
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

async fn read_all(lake: &Lake, selection: &Selection) -> usize {
    let selected = lake.select(&TenantId::default(), selection).await.expect("the bench's lake works");
    let (mut reader, mut samples, mut count) = (selected.reader(), Samples::default(), 0);
    for index in 0..selected.series().len() {
        reader.read(index, &mut samples).expect("the bench's lake works");
        count += samples.len();
    }
    count
}

fn select(c: &mut Criterion) {
    let runtime = Runtime::new().expect("the bench's lake works");
    let labels = all_labels();
    // Two hours in blocks, then five minutes hot.
    let lake = runtime.block_on(async {
        let lake = lake_with(&labels, 0..480, None).await;
        lake.compact(CompactMode::Full).await.expect("the bench's lake works");
        lake_with(&labels, 480..500, Some(lake)).await
    });
    let at = |tick: i64| START_MS + tick * INTERVAL_MS;
    let of = |matchers: Vec<Matcher>, start_ms, end_ms| Selection {
        matchers,
        start_ms,
        end_ms,
        max_series: 100_000,
        bypass_cache: false,
    };
    let cpu = |op, value: &str| Matcher::new("__name__", op, value).expect("the bench's lake works");
    let one = || {
        vec![
            cpu(MatchOp::Equal, "node_metric_77_total"),
            Matcher::equal("instance", "prod-042.eu-west-1.example.com:9100"),
        ]
    };
    let half = || {
        let modes =
            Matcher::new("mode", MatchOp::Regex, "idle|iowait|system|user").expect("the bench's lake works");
        vec![cpu(MatchOp::Equal, "node_cpu_seconds_total"), modes]
    };
    let rows = [
        ("one series, 5 minutes hot", of(one(), at(480), at(499))),
        ("one series, 5 minutes of a block", of(one(), at(300), at(319))),
        ("one series, 2 hours", of(one(), at(0), at(499))),
        ("1,600 series, 5 minutes hot", of(half(), at(480), at(499))),
        ("1,600 series, 5 minutes of a block", of(half(), at(300), at(319))),
        ("1,600 series, 2 hours", of(half(), at(0), at(499))),
        ("all series, instant, hot", of(vec![cpu(MatchOp::Regex, ".+")], at(480), at(499))),
        ("all series, instant, of a block", of(vec![cpu(MatchOp::Regex, ".+")], at(300), at(319))),
        ("no matcher, all series, instant, hot", of(vec![], at(480), at(499))),
    ];
    let mut group = c.benchmark_group("select");
    group.sample_size(20);
    for (name, selection) in rows {
        let samples = runtime.block_on(read_all(&lake, &selection));
        group.throughput(Throughput::Elements(samples as u64));
        group.bench_function(name, |b| b.iter(|| black_box(runtime.block_on(read_all(&lake, &selection)))));
    }
    group.throughput(Throughput::Elements(1));
    group.bench_function("values of a label", |b| {
        b.iter(|| {
            let tenant = TenantId::default();
            let values = lake.label_values(&tenant, "instance", &[], at(480), at(499), usize::MAX);
            black_box(runtime.block_on(values).expect("the bench's lake works"))
        });
    });
    group.finish();
}

criterion_group!(benches, append, compact, select);
criterion_main!(benches);
