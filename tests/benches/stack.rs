//! The whole stack: an hour of a fleet by remote write, compaction, a restart, and queries over it.
//!
//! `cargo bench -p weir-tests --bench stack` prints a table; `-- --hosts 100 --minutes 60` sets the size
//! (10,000 series at 15 s, 2.4 million samples). `cargo test --benches` runs it small.

#![expect(clippy::unwrap_used, reason = "a step that fails fails the benchmark")]

use std::time::{Duration, Instant};

use weir_tests::fleet::{self, Fleet, SERIES_PER_HOST};
use weir_tests::weir::note;
use weir_tests::{Random, Weir, http, usage};

const INTERVAL_MS: i64 = 15_000;

const QUERIES: [(&str, &str, bool); 8] = [
    ("one series, now", "node_load1{instance=\"prod-0001.example.net:9100\"}", false),
    ("all of one host, now", "{instance=\"prod-0001.example.net:9100\"}", false),
    ("sum by mode of CPU rates, now", "sum by (mode) (rate(node_cpu_seconds_total[5m]))", false),
    ("count of everything by name, now", "count by (__name__) ({job=~\".+\"})", false),
    (
        "0.99 quantile by region, now",
        "histogram_quantile(0.99, sum by (le, region) (rate(http_request_duration_seconds_bucket[5m])))",
        false,
    ),
    ("one series, an hour", "node_load1{instance=\"prod-0001.example.net:9100\"}", true),
    ("CPU rates by mode, an hour", "sum by (mode) (rate(node_cpu_seconds_total[5m]))", true),
    (
        "0.95 quantile, an hour",
        "histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))",
        true,
    ),
];

struct Size {
    hosts: usize,
    minutes: i64,
    repeats: u32,
}

fn size() -> Size {
    let args: Vec<String> = std::env::args().collect();
    let number = |name: &str, default: i64| {
        let at = args.iter().position(|arg| arg == name);
        at.and_then(|at| args.get(at + 1)).and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    // `cargo bench` passes `--bench`; without it the benchmark is only to be kept from rotting.
    if !args.iter().any(|arg| arg == "--bench") {
        return Size { hosts: 2, minutes: 3, repeats: 1 };
    }
    Size {
        hosts: usize::try_from(number("--hosts", 100)).unwrap(),
        minutes: number("--minutes", 60),
        repeats: 30,
    }
}

fn main() {
    let Size { hosts, minutes, repeats } = size();
    let end_ms = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap() / INTERVAL_MS
        * INTERVAL_MS;
    let scrapes = minutes * 60_000 / INTERVAL_MS;
    let start_ms = end_ms - scrapes * INTERVAL_MS;
    let mut fleet = Fleet::new(hosts, Random::from_env());
    let bodies: Vec<Vec<Vec<u8>>> =
        (1..=scrapes).map(|n| fleet.scrape(start_ms + n * INTERVAL_MS - 3)).collect();
    let samples = (hosts * SERIES_PER_HOST) as i64 * scrapes;
    let millions = samples as f64 / 1e6;
    note(&format!("{} series, {minutes} min at 15 s, {millions:.2} M samples", hosts * SERIES_PER_HOST));

    let folder = tempfile::tempdir().unwrap();
    let weir = Weir::start(folder.path()).unwrap();
    let pid = weir.pid();
    let (started, cpu) = (Instant::now(), usage::cpu_seconds(pid));
    fleet::send(&weir.url, &bodies);
    let wall = started.elapsed().as_secs_f64();
    let acknowledged = usage::cpu_seconds(pid) - cpu;
    let end_s = end_ms as f64 / 1000.0;
    let count = format!("sum(count_over_time({{__name__!=\"\"}}[{}m]))", minutes + 1);
    let found = || weir.value_at(&count, end_s).unwrap().unwrap_or(0.0);
    usage::settle(pid);
    let background = usage::cpu_seconds(pid) - cpu;
    assert_eq!(found(), samples as f64, "samples found again");
    let cpu = usage::cpu_seconds(pid);
    assert_eq!(weir.post("/api/v1/admin/compact", &[], b"").unwrap().status, 200);
    let compaction = usage::cpu_seconds(pid) - cpu;
    std::thread::sleep(Duration::from_secs(3));
    let bytes = usage::disk_bytes(folder.path());
    for (what, value) in [
        ("samples/s while sending", samples as f64 / wall),
        ("CPU-s per million samples, to the last acknowledgement", acknowledged / millions),
        ("CPU-s per million samples, with background work", background / millions),
        ("CPU-s per million samples, to compact the rest", compaction / millions),
        ("bytes per sample on disk, compacted", bytes as f64 / samples as f64),
        ("peak memory, MiB", usage::peak_memory_mib(pid)),
    ] {
        note(&format!("| {what} | {value:.3} |"));
    }
    assert_eq!(found(), samples as f64, "samples found again after compaction");

    for (what, expr, range) in QUERIES {
        let path = if range {
            let (start, end) = (end_s - minutes as f64 * 60.0, end_s);
            format!(
                "/api/v1/query_range?query={}&start={start}&end={end}&step=60&nocache=1",
                http::encode(expr)
            )
        } else {
            format!("/api/v1/query?query={}&time={end_s}&nocache=1", http::encode(expr))
        };
        assert!(weir.get(&path).unwrap().status == 200, "{expr}");
        let cpu = usage::cpu_seconds(pid);
        let mut times: Vec<f64> = (0..repeats)
            .map(|_| {
                let asked = Instant::now();
                weir.get(&path).unwrap();
                asked.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        let cpu = (usage::cpu_seconds(pid) - cpu) * 1e3 / f64::from(repeats);
        times.sort_by(f64::total_cmp);
        let (median, last) = (times[times.len() / 2], times[times.len() - 1]);
        note(&format!("| {what} | {median:.2} ms median, {last:.2} worst, {cpu:.1} ms of CPU |"));
    }
    weir.kill().unwrap();
    let weir = Weir::start(folder.path()).unwrap();
    note(&format!("| ready again after kill -9, ms | {:.0} |", weir.ready_after.as_secs_f64() * 1e3));
}
