//! The functions' own binaries under a Lambda runtime API: how long they take to start, how much memory, and
//! the processor time that a million samples cost in ingest and in enrich.
//!
//! `infra/lambda/build x86_64 && cargo bench -p weir-tests --bench functions` prints the table;
//! `-- --functions FOLDER` takes other builds, `-- --millions 4` more samples. Buckets are an emulator's, the
//! stream keeps records in memory: their time is not counted. What is missing of AWS: TLS, and the zip's download.

#![expect(clippy::unwrap_used, reason = "a step that fails fails the benchmark")]

mod process;
mod runtime;
mod stream;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use weir_tests::cloud::{Cloud, FUNCTIONS};
use weir_tests::fleet::{Fleet, SERIES_PER_HOST};
use weir_tests::weir::note;
use weir_tests::{Random, build};

use process::{Function, Variables};
use runtime::Runtime;
use stream::Stream;

/// Hosts of the fleet that sends: 10,000 series.
const HOSTS: usize = 100;
const INTERVAL_MS: i64 = 15_000;
const BUCKET: &str = "functions";
/// Starts of each function.
const STARTS: usize = 10;
/// Records of an invocation of enrich: a second of a busy stream, and of a quiet one.
const BATCHES: [usize; 2] = [20, 1];

struct Size {
    folder: Option<PathBuf>,
    millions: f64,
    starts: usize,
}

fn size() -> Size {
    let args: Vec<String> = std::env::args().collect();
    let value = |name: &str| args.iter().position(|arg| arg == name).and_then(|at| args.get(at + 1));
    // `cargo bench` passes `--bench`; without it the benchmark is only to be kept from rotting.
    if !args.iter().any(|arg| arg == "--bench") {
        return Size { folder: None, millions: 0.02, starts: 1 };
    }
    let folder = value("--functions").map_or_else(default_folder, PathBuf::from);
    let millions = value("--millions").and_then(|text| text.parse().ok()).unwrap_or(2.0);
    Size { folder: Some(folder), millions, starts: STARTS }
}

fn default_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/lambda")
}

/// The binaries by name: those of a folder as `cargo lambda build` leaves it, else built here unoptimised.
fn binaries(folder: Option<&Path>) -> Vec<(&'static str, PathBuf)> {
    let Some(folder) = folder else { return build::functions() };
    let named = FUNCTIONS.into_iter().map(|name| (name, folder.join(name).join("bootstrap")));
    named
        .map(|(name, path)| {
            let zip = path.with_extension("zip");
            assert!(path.exists() || zip.exists(), "{} is missing: run infra/lambda/build", path.display());
            (name, if path.exists() { path } else { process::unzipped(&zip) })
        })
        .collect()
}

fn main() {
    let Size { folder, millions, starts } = size();
    let Some(cloud) = Cloud::start() else { return note("no emulator, so nothing is measured") };
    cloud.make_bucket(BUCKET);
    let (runtime, stream) = (Runtime::start(), Stream::start());
    let binaries = binaries(folder.as_deref());
    let variables =
        Variables { cloud: &cloud, stream: &stream.url, runtime: &runtime.address, bucket: BUCKET };
    note(&format!(
        "{:8} {:>10} {:>10} {:>10} {:>10}",
        "function", "start, ms", "longest", "MiB then", "zip, MB"
    ));
    for (name, binary) in &binaries {
        let mut times: Vec<f64> = Vec::new();
        let mut memory: f64 = 0.0;
        for _ in 0..starts {
            let function = Function::start(name, binary, &variables);
            times.push(function.started_in(&runtime).as_secs_f64() * 1e3);
            memory = memory.max(function.peak_memory_mib());
        }
        times.sort_by(f64::total_cmp);
        let zip = std::fs::metadata(binary.with_extension("zip")).map_or(0.0, |zip| zip.len() as f64 / 1e6);
        let (median, longest) = (times[times.len() / 2], times[times.len() - 1]);
        note(&format!("{name:8} {median:10.1} {longest:10.1} {memory:10.1} {zip:10.2}"));
    }

    let binary = |wanted: &str| &binaries.iter().find(|(name, _)| *name == wanted).unwrap().1;
    let (bodies, samples) = bodies(millions);
    let write: Value =
        serde_json::from_str(include_str!("../../../events/ingest-remote-write.json")).unwrap();
    let ingest = Function::start("ingest", binary("ingest"), &variables);
    let requests = bodies.iter().map(|body| {
        let mut event = write.clone();
        event["body"] = json!(runtime::base64(body));
        event.to_string()
    });
    let answers = |answer: &Value| assert_eq!(answer["statusCode"], 204, "{answer}");
    let cost = ingest.cost_of(&runtime, requests, answers);
    tell("ingest, requests of 2,000 samples", cost, samples, ingest.peak_memory_mib());
    drop(ingest);

    let records = stream.taken();
    for (shard, size) in BATCHES.into_iter().enumerate() {
        let enrich = Function::start("enrich", binary("enrich"), &variables);
        // A shard of its own, since records that come again are only recognised. The smaller batches cost an object
        // each: a tenth of the records will do.
        let some = if size == 1 { &records[..records.len().div_ceil(10)] } else { &records[..] };
        let events = some.chunks(size).map(|batch| stream::event(shard, batch).to_string());
        let answers = |answer: &Value| assert_eq!(answer["batchItemFailures"], json!([]), "{answer}");
        let cost = enrich.cost_of(&runtime, events, answers);
        let samples = samples * some.len() as f64 / records.len() as f64;
        tell(&format!("enrich, batches of {size} records"), cost, samples, enrich.peak_memory_mib());
    }
    let bytes: usize = records.iter().map(|record| record.data.len()).sum();
    note(&format!("{} records, {:.2} bytes a sample", records.len(), bytes as f64 / samples));
}

fn tell(what: &str, seconds: f64, samples: f64, memory: f64) {
    note(&format!(
        "{what}: {:.3} s of processor a million samples; {memory:.1} MiB",
        seconds / samples * 1e6
    ));
}

/// Remote-write bodies as Prometheus sends them, and how many samples they have.
fn bodies(millions: f64) -> (Vec<Vec<u8>>, f64) {
    let a_scrape = (HOSTS * SERIES_PER_HOST) as f64;
    let scrapes = (millions * 1e6 / a_scrape).ceil().max(1.0) as i64;
    let now_ms = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    let mut fleet = Fleet::new(HOSTS, Random::from_env());
    let bodies = (0..scrapes).flat_map(|n| fleet.scrape(now_ms - (scrapes - n) * INTERVAL_MS)).collect();
    (bodies, a_scrape * scrapes as f64)
}
