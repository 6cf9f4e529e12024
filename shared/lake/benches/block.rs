//! What a block costs: bytes per sample, encoding, opening, scanning, and reading one series of many.
//!
//! The data has the shape of node_exporter with one small HTTP service: 100 series a host, 15 s apart, all
//! series of a host at the same times, 3 % of the scrapes some milliseconds late.

mod host;

use std::hint::black_box;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use weir_lake::block::{
    BlockIndex, BlockOptions, BlockPages, BlockWriter, EncodedBlock, SeriesEntry, series_order,
};
use weir_model::{Labels, MetricKind, Samples, SeriesId, Temporality};

use host::{Random, histogram, must, templates};

const TICKS: usize = 240;
const INTERVAL_MS: i64 = 15_000;
const START_MS: i64 = 1_750_000_000_000;

struct Fleet(Vec<(Labels, Samples)>);

fn fleet(hosts: usize) -> Fleet {
    let mut random = Random(7);
    let mut all = Vec::new();
    for host in 0..hosts {
        let region = ["eu-west-1", "us-east-1", "us-west-2", "ap-southeast-2"][host % 4];
        let env = ["prod", "prod", "prod", "staging"][host / 4 % 4];
        let offset = (random.share() * INTERVAL_MS as f64) as i64;
        let timestamps: Vec<i64> = (0..TICKS as i64)
            .map(|tick| {
                let late = if random.share() < 0.03 { (random.share() * 25.0) as i64 } else { 0 };
                START_MS + tick * INTERVAL_MS + offset + late
            })
            .collect();
        let mut add = |name: &str, job: &str, further: &[(&str, &str)], values: Vec<f64>| {
            let port = if job == "node" { 9100 } else { 8080 };
            let instance = format!("{env}-{host:04}.{region}.example.net:{port}");
            let mut pairs = vec![
                ("__name__", name),
                ("env", env),
                ("instance", &instance),
                ("job", job),
                ("region", region),
            ];
            pairs.extend_from_slice(further);
            let samples = Samples { timestamps: timestamps.clone(), values, ..Samples::default() };
            all.push((Labels::from_pairs(pairs), samples));
        };
        for (name, further, course) in templates() {
            let job = if name.starts_with("node_") || name == "up" { "node" } else { "api" };
            let further: Vec<(&str, &str)> = further.iter().map(|(n, v)| (*n, v.as_str())).collect();
            add(name, job, &further, course.values(&mut random, TICKS));
        }
        for (name, bound, values) in histogram(&mut random, TICKS) {
            let further: Vec<(&str, &str)> = bound.map(|le| ("le", le)).into_iter().collect();
            add(name, "api", &further, values);
        }
    }
    let delta = Temporality::Cumulative;
    all.sort_by(|(a, _), (b, _)| series_order((a.borrowed(), delta), (b.borrowed(), delta)));
    Fleet(all)
}

fn encode(fleet: &Fleet, options: BlockOptions) -> EncodedBlock {
    let mut writer = must(BlockWriter::new(options));
    for (labels, samples) in &fleet.0 {
        let temporality = Temporality::Cumulative;
        let labels = labels.borrowed();
        let entry = SeriesEntry {
            id: SeriesId::of(labels, temporality),
            labels,
            kind: MetricKind::Gauge,
            temporality,
            unit: "",
        };
        must(writer.push(&entry, samples));
    }
    must(writer.finish())
}

fn fetch(index: &Arc<BlockIndex>, samples: &Bytes, ordinals: &[u32]) -> BlockPages {
    let plan = must(index.plan(ordinals, i64::MIN, i64::MAX));
    let bytes =
        plan.ranges().iter().map(|range| samples.slice(range.start as usize..range.end as usize)).collect();
    must(BlockPages::new(plan, bytes))
}

fn sizes(fleet: &Fleet) {
    let mut out = std::io::stdout().lock();
    must(writeln!(out, "rows a page | samples B/sample | series B/sample | all | bytes for one series"));
    for rows_per_page in [2_400, 4_800, 9_600] {
        let block = encode(fleet, BlockOptions { rows_per_page, ..BlockOptions::new("bench") });
        let samples = block.stats.samples as f64;
        let index = Arc::new(must(BlockIndex::decode(block.series.clone())));
        must(writeln!(
            out,
            "{rows_per_page} | {:.3} | {:.3} | {:.3} | {}",
            block.stats.samples_bytes as f64 / samples,
            block.stats.series_bytes as f64 / samples,
            (block.stats.samples_bytes + block.stats.series_bytes) as f64 / samples,
            must(index.plan(&[index.len() as u32 / 2], i64::MIN, i64::MAX)).bytes(),
        ));
    }
}

fn blocks(criterion: &mut Criterion) {
    let fleet = fleet(100);
    sizes(&fleet);
    let block = encode(&fleet, BlockOptions::new("bench"));
    let samples = block.stats.samples;
    let index = Arc::new(must(BlockIndex::decode(block.series.clone())));
    let count = index.len() as u32;

    let mut group = criterion.benchmark_group("block");
    group.sample_size(10).measurement_time(Duration::from_secs(4)).throughput(Throughput::Elements(samples));
    group.bench_function("encode", |bencher| {
        bencher.iter(|| black_box(encode(&fleet, BlockOptions::new("bench"))));
    });
    let everything = fetch(&index, &block.samples, &(0..count).collect::<Vec<_>>());
    group.bench_function("scan", |bencher| {
        let mut into = Samples::default();
        bencher.iter(|| {
            let mut cursor = everything.cursor();
            for ordinal in 0..count {
                must(cursor.read(ordinal, i64::MIN, i64::MAX, &mut into));
                black_box(&into);
            }
        });
    });
    group.throughput(Throughput::Elements(1)).sample_size(50);
    for ordinal in [count / 10, count / 2, count * 9 / 10] {
        group.bench_with_input(BenchmarkId::new("one_series", ordinal), &ordinal, |bencher, &ordinal| {
            let mut into = Samples::default();
            bencher.iter(|| {
                let pages = fetch(&index, &block.samples, &[ordinal]);
                must(pages.cursor().read(ordinal, i64::MIN, i64::MAX, &mut into));
                black_box(&into);
            });
        });
    }
    group.bench_function("open", |bencher| {
        bencher.iter(|| black_box(must(BlockIndex::decode(block.series.clone()))));
    });
    group.bench_function("labels", |bencher| bencher.iter(|| black_box(must(index.labels()))));
    group.finish();
}

criterion_group!(benches, blocks);
criterion_main!(benches);
