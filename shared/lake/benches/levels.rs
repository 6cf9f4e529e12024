//! What Zstandard's levels cost and save: the same day of series as blocks of an hour and as archived blocks.
//!
//! `-- --hosts N` sets the size (4 hosts, 112 series each, every 15 s). Times are of one thread.

mod host;

use std::io::Write;
use std::time::Instant;

use weir_lake::block::{
    BlockIndex, BlockOptions, BlockPages, BlockWriter, EncodedBlock, SeriesEntry, series_order,
};
use weir_model::{Labels, MetricKind, Samples, SeriesId, Temporality};

use host::{Random, histogram, must, templates};

/// 15 s apart, a day of them.
const TICKS: usize = 5_760;
const INTERVAL_MS: i64 = 15_000;
const START_MS: i64 = 1_750_032_000_000;

type Series = (Labels, Samples);

/// A day of hosts, in the order of blocks.
fn day(hosts: usize) -> Vec<Series> {
    let mut random = Random(1);
    let mut all = Vec::new();
    for host in 0..hosts {
        let instance = format!("host-{host:04}:9100");
        // 3 % of the scrapes are some milliseconds late.
        let late =
            |random: &mut Random| if random.share() < 0.03 { (random.share() * 40.0) as i64 } else { 0 };
        let offset = (random.share() * INTERVAL_MS as f64) as i64;
        let timestamps: Vec<i64> = (0..TICKS as i64)
            .map(|tick| START_MS + offset + tick * INTERVAL_MS + late(&mut random))
            .collect();
        let mut add = |pairs: Vec<(&str, &str)>, values: Vec<f64>| {
            let own = [("instance", instance.as_str()), ("job", "node")];
            let labels = Labels::from_pairs(pairs.into_iter().chain(own));
            all.push((labels, Samples { timestamps: timestamps.clone(), values, ..Samples::default() }));
        };
        for (name, labels, course) in templates() {
            let mut pairs = vec![("__name__", name)];
            pairs.extend(labels.iter().map(|(name, value)| (*name, value.as_str())));
            add(pairs, course.values(&mut random, TICKS));
        }
        for (name, le, values) in histogram(&mut random, TICKS) {
            let mut pairs = vec![("__name__", name)];
            pairs.extend(le.map(|le| ("le", le)));
            add(pairs, values);
        }
    }
    let key = |series: &Series| (series.0.clone(), Temporality::Cumulative);
    all.sort_by(|a, b| {
        let (a, b) = (key(a), key(b));
        series_order((a.0.borrowed(), a.1), (b.0.borrowed(), b.1))
    });
    all
}

/// Blocks of so many hours each.
fn encode(series: &[Series], hours: usize, options: &BlockOptions) -> Vec<EncodedBlock> {
    let width = TICKS * hours / 24;
    let blocks = (0..TICKS).step_by(width).map(|from| {
        let mut writer = must(BlockWriter::new(options.clone()));
        for (labels, samples) in series {
            let part = Samples {
                timestamps: samples.timestamps[from..from + width].to_vec(),
                values: samples.values[from..from + width].to_vec(),
                ..Samples::default()
            };
            let entry = SeriesEntry {
                id: SeriesId::of(labels.borrowed(), Temporality::Cumulative),
                labels: labels.borrowed(),
                kind: MetricKind::Counter,
                temporality: Temporality::Cumulative,
                unit: "",
            };
            must(writer.push(&entry, &part));
        }
        must(writer.finish())
    });
    blocks.collect()
}

/// Reads every sample, and says how many there are.
fn scan(blocks: &[EncodedBlock]) -> usize {
    let mut samples = Samples::default();
    let mut found = 0;
    for block in blocks {
        let index = std::sync::Arc::new(must(BlockIndex::decode(block.series.clone())));
        let ordinals: Vec<u32> = (0..index.len() as u32).collect();
        let plan = must(index.plan(&ordinals, i64::MIN, i64::MAX));
        let ranges = plan.ranges().iter();
        let parts =
            ranges.map(|range| block.samples.slice(range.start as usize..range.end as usize)).collect();
        let pages = must(BlockPages::new(plan, parts));
        let mut cursor = pages.cursor();
        for ordinal in ordinals {
            must(cursor.read(ordinal, i64::MIN, i64::MAX, &mut samples));
            found += samples.len();
        }
    }
    found
}

fn main() {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--hosts").skip(1);
    let hosts = arguments.next().map_or(4, |text| must(text.parse()));
    let series = day(hosts);
    let total = series.len() * TICKS;
    let mut out = std::io::stdout().lock();
    must(writeln!(out, "{} series, {total} samples", series.len()));
    must(writeln!(
        out,
        "| hours | rows a page | level | B/sample | ns a sample to write | M samples/s read |"
    ));
    must(writeln!(out, "|---|---|---|---|---|---|"));
    for (hours, rows) in [(1, 4_800), (24, 4_800), (24, 9_600), (24, 19_200)] {
        for level in [1, 3, 6, 9, 12, 15, 19] {
            let options =
                BlockOptions { rows_per_page: rows, zstd_level: level, ..BlockOptions::new("levels") };
            let began = Instant::now();
            let blocks = encode(&series, hours, &options);
            let written = began.elapsed();
            let began = Instant::now();
            assert_eq!(scan(&blocks), total);
            let read = began.elapsed();
            let bytes: usize = blocks.iter().map(|block| block.samples.len() + block.series.len()).sum();
            must(writeln!(
                out,
                "| {hours} | {rows} | {level} | {:.3} | {:.0} | {:.0} |",
                bytes as f64 / total as f64,
                written.as_nanos() as f64 / total as f64,
                total as f64 / read.as_secs_f64() / 1e6,
            ));
        }
    }
}
