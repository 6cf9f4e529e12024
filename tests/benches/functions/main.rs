//! The functions' own binaries under a Lambda runtime API: how long they take to start, how much memory, and
//! the processor time that a million samples cost in ingest, enrich, compact and rollup.
//!
//! `infra/lambda/build x86_64 && cargo bench -p weir-tests --bench functions` prints the table;
//! `-- --functions FOLDER` takes other builds, `-- --millions 4` more samples, `-- --starts 1` fewer starts. Buckets are an emulator's, the
//! stream keeps records in memory: their time is not counted. What is missing of AWS: TLS, and the zip's download.

#![expect(clippy::unwrap_used, reason = "a step that fails fails the benchmark")]

mod load;
mod maintenance;
mod process;
mod runtime;
mod stream;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use weir_tests::build;
use weir_tests::cloud::Cloud;
use weir_tests::weir::note;

use load::Load;
use process::{Function, Site};
use stream::{Record, Stream};

/// Hosts of the fleet that sends: 10,000 series.
const HOSTS: usize = 100;
const BUCKET: &str = "functions";
/// Starts of each function.
const STARTS: usize = 10;
/// Records of an invocation of enrich: a second of a busy stream, and of a quiet one.
const BATCHES: [usize; 2] = [20, 1];

struct Size {
    folder: Option<PathBuf>,
    /// Scrapes of the fleet that ingest, enrich and compact are measured with.
    scrapes: usize,
    /// Scrapes of the day that rollup is measured with.
    day: usize,
    starts: usize,
}

fn size() -> Size {
    let args: Vec<String> = std::env::args().collect();
    let value = |name: &str| args.iter().position(|arg| arg == name).and_then(|at| args.get(at + 1));
    // `cargo bench` passes `--bench`; without it the benchmark is only to be kept from rotting.
    if !args.iter().any(|arg| arg == "--bench") {
        return Size { folder: None, scrapes: 2, day: 8, starts: 1 };
    }
    let folder = value("--functions").map_or_else(default_folder, PathBuf::from);
    // An hour's.
    let millions = value("--millions").and_then(|text| text.parse().ok()).unwrap_or(2.4);
    let scrapes = load::scrapes(HOSTS, millions);
    let starts = value("--starts").and_then(|text| text.parse().ok()).unwrap_or(STARTS).max(1);
    Size { folder: Some(folder), scrapes, day: load::SCRAPES_PER_DAY, starts }
}

fn default_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/lambda")
}

fn main() {
    let size = size();
    let Some(cloud) = Cloud::start() else { return note("no emulator, so nothing is measured") };
    let (stream, binaries) =
        (Stream::start(), size.folder.as_deref().map_or_else(build::functions, build::functions_of));
    let site = Site { cloud: &cloud, stream: &stream, binaries: &binaries };
    cloud.make_bucket(BUCKET);
    starts(&site, size.starts);

    let ingest = site.start("ingest", BUCKET);
    let hour = Load { hosts: HOSTS, scrapes: size.scrapes, start_ms: load::hour_to_come_ms() };
    let cost = take_in(&ingest, &hour);
    tell("ingest, requests of 2,000 samples", cost, hour.samples(), &ingest);
    let records = stream.take();
    for (shard, size) in BATCHES.into_iter().enumerate() {
        // A shard of its own, since records that come again are only recognised. The smaller batches cost an object
        // each: a tenth of the records will do.
        let some = if size == 1 { &records[..records.len().div_ceil(10)] } else { &records[..] };
        let enrich = site.start("enrich", BUCKET);
        let cost = enrich_all(&enrich, shard, size, some);
        let samples = hour.samples() * some.len() as f64 / records.len() as f64;
        tell(&format!("enrich, batches of {size} records"), cost, samples, &enrich);
    }
    let bytes: usize = records.iter().map(|record| record.data.len()).sum();
    note(&format!("{} records, {:.2} bytes a sample", records.len(), bytes as f64 / hour.samples()));

    maintenance::compactions(&site, &hour, &records);
    maintenance::rollups(&site, &ingest, size.day);
}

/// The table of how functions start.
fn starts(site: &Site<'_>, starts: usize) {
    note(&format!(
        "{:8} {:>10} {:>10} {:>10} {:>10}",
        "function", "start, ms", "longest", "MiB then", "zip, MB"
    ));
    for (name, binary) in site.binaries {
        let mut times: Vec<f64> = Vec::new();
        let mut memory: f64 = 0.0;
        for _ in 0..starts {
            let function = site.start(name, BUCKET);
            times.push(function.started_in.as_secs_f64() * 1e3);
            memory = memory.max(function.peak_memory_mib());
        }
        times.sort_by(f64::total_cmp);
        let zip = std::fs::metadata(binary.with_extension("zip")).map_or(0.0, |zip| zip.len() as f64 / 1e6);
        let (median, longest) = (times[times.len() / 2], times[times.len() - 1]);
        note(&format!("{name:8} {median:10.1} {longest:10.1} {memory:10.1} {zip:10.2}"));
    }
}

/// Sends a load to ingest: processor seconds.
fn take_in(ingest: &Function, load: &Load) -> f64 {
    let write: Value =
        serde_json::from_str(include_str!("../../../events/ingest-remote-write.json")).unwrap();
    let requests = load.bodies().map(|body| {
        let mut event = write.clone();
        event["body"] = json!(runtime::base64(&body));
        event.to_string()
    });
    ingest.cost_of(requests, |answer| assert_eq!(answer["statusCode"], 204, "{answer}"))
}

/// Hands a shard's records to enrich in batches of one size: processor seconds.
fn enrich_all(enrich: &Function, shard: usize, size: usize, records: &[Record]) -> f64 {
    let events = records.chunks(size).map(|batch| stream::event(shard, batch).to_string());
    enrich.cost_of(events, |answer| assert_eq!(answer["batchItemFailures"], json!([]), "{answer}"))
}

fn tell(what: &str, seconds: f64, samples: f64, function: &Function) {
    let memory = function.peak_memory_mib();
    note(&format!(
        "{what}: {:.3} s of processor a million samples; {memory:.1} MiB",
        seconds / samples * 1e6
    ));
}
