//! What a block costs: bytes per sample, encoding, opening, scanning, and reading one series of many.
//!
//! The data has the shape of node_exporter with one small HTTP service: 100 series a host, 15 s apart, all
//! series of a host at the same times, 3 % of the scrapes some milliseconds late.

use std::fmt::Debug;
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

const TICKS: usize = 240;
const INTERVAL_MS: i64 = 15_000;
const START_MS: i64 = 1_750_000_000_000;

/// splitmix64.
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Uniform in 0..1.
    fn share(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// About normal with mean 0 and deviation 1: the sum of twelve uniforms.
    fn noise(&mut self) -> f64 {
        (0..12).map(|_| self.share()).sum::<f64>() - 6.0
    }

    /// A count of events of which `mean` are expected.
    fn events(&mut self, mean: f64) -> f64 {
        (mean + self.noise() * mean.sqrt() + self.share() - 0.5).round().max(0.0)
    }
}

/// How a series moves.
#[derive(Clone, Copy)]
enum Course {
    /// Grows by so many events a tick, each `weight` large, then divided.
    Counter { mean: f64, weight: f64, divisor: f64 },
    /// Walks at random in multiples of a unit, from and by so many of them.
    Gauge { start: f64, spread: f64, unit: f64, divisor: f64 },
    /// Stays.
    Constant(f64),
    /// Sums observations in full precision.
    Sum(f64),
}

impl Course {
    fn values(self, random: &mut Random) -> Vec<f64> {
        let mut at = match self {
            Self::Counter { mean, weight, .. } => (mean * weight * 40_000.0 * (0.2 + random.share())).round(),
            Self::Gauge { start, .. } => (start * (0.5 + random.share())).round(),
            Self::Constant(value) => value,
            Self::Sum(mean) => mean * 40_000.0 * random.share(),
        };
        let load = 0.4 + random.share();
        let values = (0..TICKS).map(|_| match self {
            Self::Counter { mean, weight, divisor } => {
                let events = random.events(mean * load);
                // Packets and requests differ in size.
                let extra = if weight > 1.0 { (random.share() * weight * 4.0).round() } else { 0.0 };
                at += events * weight + if events > 0.0 { extra } else { 0.0 };
                at / divisor
            }
            Self::Gauge { spread, unit, divisor, .. } => {
                at = (at + (random.noise() * spread).round()).max(0.0);
                at * unit / divisor
            }
            Self::Constant(value) => value,
            Self::Sum(mean) => {
                at += mean * (0.5 + random.share());
                at
            }
        });
        values.collect()
    }
}

/// Name, further labels, course.
type Template = (&'static str, Vec<(&'static str, String)>, Course);

/// The 100 series of a host, but for the histogram.
fn templates() -> Vec<Template> {
    let mut all = Vec::new();
    let counter = |mean: f64, weight: f64, divisor: f64| Course::Counter { mean, weight, divisor };
    let gauge =
        |start: f64, spread: f64, unit: f64, divisor: f64| Course::Gauge { start, spread, unit, divisor };
    let modes = [
        ("idle", 900.0),
        ("iowait", 18.0),
        ("irq", 0.0),
        ("nice", 0.02),
        ("softirq", 12.0),
        ("steal", 0.0),
        ("system", 120.0),
        ("user", 400.0),
    ];
    for cpu in 0..4 {
        for (mode, mean) in modes {
            let labels = vec![("cpu", cpu.to_string()), ("mode", mode.to_owned())];
            all.push(("node_cpu_seconds_total", labels, counter(mean, 1.0, 100.0)));
        }
    }
    for (name, spread) in [
        ("node_memory_Active_bytes", 16_000.0),
        ("node_memory_Buffers_bytes", 50.0),
        ("node_memory_Cached_bytes", 8_000.0),
        ("node_memory_Dirty_bytes", 1_200.0),
        ("node_memory_Inactive_bytes", 40_000.0),
        ("node_memory_MemAvailable_bytes", 40_000.0),
        ("node_memory_MemFree_bytes", 32_000.0),
        ("node_memory_MemTotal_bytes", 0.0),
        ("node_memory_SwapFree_bytes", 0.0),
        ("node_memory_SwapTotal_bytes", 0.0),
    ] {
        all.push((name, vec![], gauge(4e6, spread, 1024.0, 1.0)));
    }
    for name in ["node_load1", "node_load15", "node_load5"] {
        all.push((name, vec![], gauge(150.0, 4.0, 1.0, 100.0)));
    }
    for device in ["nvme0n1", "nvme1n1"] {
        let labels = vec![("device", device.to_owned())];
        all.push(("node_disk_io_time_seconds_total", labels.clone(), counter(200.0, 1.0, 1000.0)));
        all.push(("node_disk_read_bytes_total", labels.clone(), counter(3.0, 16_384.0, 1.0)));
        all.push(("node_disk_reads_completed_total", labels.clone(), counter(4.0, 1.0, 1.0)));
        all.push(("node_disk_writes_completed_total", labels.clone(), counter(300.0, 1.0, 1.0)));
        all.push(("node_disk_written_bytes_total", labels, counter(300.0, 4096.0, 1.0)));
    }
    for (device, mean) in [("eth0", 6_000.0), ("lo", 400.0)] {
        let labels = vec![("device", device.to_owned())];
        all.push(("node_network_receive_bytes_total", labels.clone(), counter(mean, 400.0, 1.0)));
        all.push(("node_network_receive_errs_total", labels.clone(), counter(0.002, 1.0, 1.0)));
        all.push(("node_network_receive_packets_total", labels.clone(), counter(mean, 1.0, 1.0)));
        all.push(("node_network_transmit_bytes_total", labels.clone(), counter(mean, 450.0, 1.0)));
        all.push(("node_network_transmit_packets_total", labels, counter(mean, 1.0, 1.0)));
    }
    for (mountpoint, spread) in [("/", 20.0), ("/boot/efi", 0.0), ("/var/lib", 300.0)] {
        let labels = vec![("fstype", "ext4".to_owned()), ("mountpoint", mountpoint.to_owned())];
        all.push(("node_filesystem_avail_bytes", labels.clone(), gauge(9e6, spread, 4096.0, 1.0)));
        all.push(("node_filesystem_size_bytes", labels, Course::Constant(214_643_507_200.0)));
    }
    for code in ["200", "404", "500"] {
        for (method, mean) in [("GET", 60.0), ("POST", 15.0)] {
            let mean = if code == "200" { mean } else { mean / 100.0 };
            let labels = vec![("code", code.to_owned()), ("method", method.to_owned())];
            all.push(("http_requests_total", labels, counter(mean, 1.0, 1.0)));
        }
    }
    for (name, course) in [
        ("node_boot_time_seconds", Course::Constant(1_749_000_123.0)),
        ("node_context_switches_total", counter(80_000.0, 1.0, 1.0)),
        ("node_filefd_allocated", gauge(100.0, 0.6, 32.0, 1.0)),
        ("node_procs_running", gauge(4.0, 1.0, 1.0, 1.0)),
        ("up", Course::Constant(1.0)),
        ("go_goroutines", gauge(60.0, 2.0, 1.0, 1.0)),
        ("http_request_duration_seconds_sum", Course::Sum(3.0)),
        ("process_cpu_seconds_total", counter(200.0, 1.0, 100.0)),
        ("process_open_fds", gauge(40.0, 0.8, 1.0, 1.0)),
        ("process_resident_memory_bytes", gauge(60_000.0, 250.0, 4096.0, 1.0)),
    ] {
        all.push((name, vec![], course));
    }
    all
}

/// The cumulative buckets of a latency histogram and its count.
fn histogram(random: &mut Random) -> Vec<(&'static str, Option<&'static str>, Vec<f64>)> {
    let bounds = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"];
    let shares = [0.02, 0.05, 0.2, 0.25, 0.25, 0.15, 0.05, 0.02, 0.008, 0.0015, 0.0003, 0.0];
    let own: Vec<Vec<f64>> = shares
        .iter()
        .map(|share| Course::Counter { mean: 75.0 * share, weight: 1.0, divisor: 1.0 }.values(random))
        .collect();
    let mut sums = vec![0.0; TICKS];
    let mut all = Vec::new();
    for (bound, counts) in bounds.iter().zip(&own) {
        sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        all.push(("http_request_duration_seconds_bucket", Some(*bound), sums.clone()));
    }
    all.push(("http_request_duration_seconds_count", None, sums));
    all
}

/// A benchmark of a step that fails means nothing, so it ends.
fn must<T, E: Debug>(step: Result<T, E>) -> T {
    match step {
        Ok(value) => value,
        Err(error) => panic!("a step of the benchmark failed: {error:?}"),
    }
}

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
            add(name, job, &further, course.values(&mut random));
        }
        for (name, bound, values) in histogram(&mut random) {
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
