//! Weir beside Debian's Prometheus: the same data, the same questions, the same machine.
//!
//! `cargo bench -p weir-tests --bench versus` loads 10,000 series like a node exporter's and 10,000 histogram
//! buckets, 6 h at 15 s, into both, asks both in turns, and prints a table: wall time, processor time of the
//! server, and the ratio. `-- --hosts 100 --minutes 360 --seconds 2` sets the size and how long a query is
//! measured. Answers must be the same. Weir is asked with `nocache=1`, so that the engine is measured.
//! `cargo test --benches` runs it small.

#![expect(clippy::unwrap_used, reason = "a step that fails fails the benchmark")]

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use weir_tests::answers::{self, Tolerance};
use weir_tests::fleet::{self, Fleet};
use weir_tests::weir::note;
use weir_tests::{Prometheus, Random, Weir, http, usage};

const INTERVAL_MS: i64 = 15_000;
/// Scrapes that are made and sent at a time.
const SCRAPES: usize = 20;
/// Turns that the servers take with a query.
const TURNS: u32 = 5;
const CLIENTS: usize = 100;
/// Another order of adding up may change the last digits.
const SAME: Tolerance = Tolerance::STRICT;

#[derive(Clone, Copy)]
enum Kind {
    Instant,
    /// Over all the data, a point a minute.
    Range,
    /// A path with its own parameters.
    Discovery,
}

use Kind::{Discovery, Instant as Now, Range};

const QUERIES: [(&str, Kind, &str); 16] = [
    ("rates by mode", Range, "sum by (mode) (rate(node_cpu_seconds_total[5m]))"),
    ("rates by mode, now", Now, "sum by (mode) (rate(node_cpu_seconds_total[5m]))"),
    ("top 5 of rates", Range, "topk(5, rate(node_network_receive_bytes_total[5m]))"),
    ("top 5 of rates, now", Now, "topk(5, rate(node_network_receive_bytes_total[5m]))"),
    (
        "quantile by method",
        Range,
        "histogram_quantile(0.99, sum by (le, method) (rate(rpc_duration_seconds_bucket[5m])))",
    ),
    ("quantile of each, now", Now, "histogram_quantile(0.9, rate(rpc_duration_seconds_bucket[5m]))"),
    ("one series", Range, "node_load1{instance=\"prod-0001.example.net:9100\"}"),
    (
        "rate of one series",
        Range,
        "rate(node_cpu_seconds_total{instance=\"prod-0001.example.net:9100\",cpu=\"1\",mode=\"user\"}[5m])",
    ),
    ("one series, now", Now, "node_load1{instance=\"prod-0001.example.net:9100\"}"),
    ("all of one host, now", Now, "{instance=\"prod-0001.example.net:9100\"}"),
    ("count of everything by name, now", Now, "count by (__name__) ({job=~\".+\"})"),
    ("label names", Discovery, "labels?"),
    ("label names of a metric", Discovery, "labels?match[]=node_load1"),
    ("metric names", Discovery, "label/__name__/values?"),
    ("hosts of a metric", Discovery, "label/instance/values?match[]=node_load1"),
    ("series of a host", Discovery, "series?match[]={instance=\"prod-0001.example.net:9100\"}"),
];

/// What dashboards ask all the time.
const DASHBOARD: [&str; 6] = [
    "node_load1{instance=\"prod-0001.example.net:9100\"}",
    "sum by (mode) (rate(node_cpu_seconds_total{instance=\"prod-0001.example.net:9100\"}[5m]))",
    "sum by (region) (rate(node_cpu_seconds_total{mode!=\"idle\"}[5m]))",
    "histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))",
    "100 * node_memory_MemAvailable_bytes / (node_memory_MemFree_bytes + 1)",
    "topk(5, node_load5)",
];

struct Size {
    hosts: usize,
    minutes: i64,
    /// How long a query is measured, per server.
    seconds: f64,
    dashboards: usize,
}

fn size() -> Size {
    let args: Vec<String> = std::env::args().collect();
    let number = |name: &str, default: i64| {
        let at = args.iter().position(|arg| arg == name);
        at.and_then(|at| args.get(at + 1)).and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    // `cargo bench` passes `--bench`; without it the benchmark is only to be kept from rotting.
    if !args.iter().any(|arg| arg == "--bench") {
        return Size { hosts: 2, minutes: 8, seconds: 0.02, dashboards: 1 };
    }
    Size {
        hosts: usize::try_from(number("--hosts", 100)).unwrap(),
        minutes: number("--minutes", 360),
        seconds: number("--seconds", 2) as f64,
        dashboards: 5,
    }
}

fn bar(what: &'static str, length: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}, {eta} left").unwrap();
    ProgressBar::new(length).with_style(style).with_message(what)
}

/// A server under measurement.
struct Server {
    url: String,
    pid: u32,
    client: http::Client,
}

/// How a server did with a query: milliseconds.
struct Figures {
    median: f64,
    p95: f64,
    cpu: f64,
}

impl Server {
    fn new(url: &str, pid: u32) -> Self {
        Self { url: url.to_owned(), pid, client: http::Client::new() }
    }

    fn ask(&self, path: &str) -> http::Reply {
        self.client.get(&format!("{}{path}", self.url), &[]).unwrap()
    }
}

fn quantile(times: &mut [f64], q: f64) -> f64 {
    times.sort_by(f64::total_cmp);
    times[((times.len() - 1) as f64 * q).round() as usize]
}

fn path(kind: Kind, text: &str, start_s: f64, end_s: f64) -> String {
    let encoded = http::encode(text);
    match kind {
        Kind::Range => {
            format!("/api/v1/query_range?query={encoded}&start={start_s}&end={end_s}&step=60&nocache=1")
        }
        Kind::Instant => format!("/api/v1/query?query={encoded}&time={end_s}&nocache=1"),
        Kind::Discovery => {
            let (path, parameters) = text.split_once('?').unwrap();
            let parameters = parameters.split_once('=').map_or(String::new(), |(name, value)| {
                format!("{}={}&", http::encode(name), http::encode(value))
            });
            format!("/api/v1/{path}?{parameters}start={start_s}&end={end_s}")
        }
    }
}

/// Panics unless both answer the same.
fn check(kind: Kind, what: &str, theirs: &http::Reply, ours: &http::Reply) {
    if let Kind::Discovery = kind {
        let sorted = |reply: &http::Reply| {
            let mut all: Vec<String> =
                reply.json()["data"].as_array().unwrap().iter().map(ToString::to_string).collect();
            all.sort();
            all
        };
        assert_eq!(sorted(ours), sorted(theirs), "{what}");
        return;
    }
    let (theirs, ours) = (answers::read(theirs).unwrap(), answers::read(ours).unwrap());
    let differences = answers::differences(&theirs, &ours, SAME);
    assert!(differences.is_empty(), "{what}: {:?}", &differences[..differences.len().min(3)]);
    assert!(!theirs.series.is_empty(), "{what} has no answer");
}

/// Asks all servers in turns for `seconds` each.
fn measure(servers: &[Server; 2], path: &str, seconds: f64) -> Vec<Figures> {
    let mut times = [Vec::new(), Vec::new()];
    let mut cpu = [0.0; 2];
    for _ in 0..TURNS {
        for (at, server) in servers.iter().enumerate() {
            let (started, before) = (Instant::now(), usage::cpu_seconds(server.pid));
            while times[at].is_empty() || started.elapsed().as_secs_f64() < seconds / f64::from(TURNS) {
                let asked = Instant::now();
                server.ask(path);
                times[at].push(asked.elapsed().as_secs_f64() * 1e3);
            }
            cpu[at] += usage::cpu_seconds(server.pid) - before;
        }
    }
    let each = times.iter_mut().zip(cpu);
    each.map(|(times, cpu)| Figures {
        median: quantile(times, 0.5),
        p95: quantile(times, 0.95),
        cpu: cpu * 1e3 / times.len() as f64,
    })
    .collect()
}

/// A hundred clients at once, each going through the dashboard some times: median, 95th percentile, errors.
fn crowd(server: &Server, times: usize, end_s: f64) -> (f64, f64, usize) {
    let ask = |client: usize| {
        let http = http::Client::new();
        let count = DASHBOARD.len() * times;
        (0..count)
            .map(move |n| {
                // Each client looks at another hour, as far as there are.
                let end_s = end_s - (client % 5) as f64 * 61.0;
                let path = path(Range, DASHBOARD[(client + n) % DASHBOARD.len()], end_s - 3600.0, end_s);
                let asked = Instant::now();
                let good =
                    http.get(&format!("{}{path}", server.url), &[]).is_ok_and(|reply| reply.status == 200);
                (asked.elapsed().as_secs_f64() * 1e3, good)
            })
            .collect::<Vec<_>>()
    };
    let all: Vec<(f64, bool)> = std::thread::scope(|scope| {
        let ask = &ask;
        let clients: Vec<_> = (0..CLIENTS).map(|client| scope.spawn(move || ask(client))).collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    let mut walls: Vec<f64> = all.iter().map(|(wall, _)| *wall).collect();
    let errors = all.iter().filter(|(_, good)| !good).count();
    (quantile(&mut walls, 0.5), quantile(&mut walls, 0.95), errors)
}

fn main() {
    let Size { hosts, minutes, seconds, dashboards } = size();
    let folder = tempfile::tempdir().unwrap();
    let Some(prometheus) = Prometheus::start(folder.path()).unwrap() else { return };
    let weir = Weir::start(&folder.path().join("weir")).unwrap();
    let servers = [Server::new(&prometheus.url, prometheus.pid()), Server::new(&weir.url, weir.pid())];
    let end_ms =
        i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap() / 60_000 * 60_000;
    let scrapes = minutes * 60_000 / INTERVAL_MS;
    let start_ms = end_ms - scrapes * INTERVAL_MS;
    let mut fleet = Fleet::new(hosts, Random::from_env()).with_wide_histogram();
    let millions = (fleet.series() as i64 * scrapes) as f64 / 1e6;
    note(&format!("{} series, {minutes} min at 15 s, {millions:.2} M samples", fleet.series()));

    let progress = bar("loading both", scrapes as u64);
    let mut loading = [0.0; 2];
    let mut next = 1;
    while next <= scrapes {
        // No sample on the edge of a window, where versions of Prometheus differ.
        let times = (next..=scrapes).take(SCRAPES);
        let bodies: Vec<Vec<Vec<u8>>> = times.map(|n| fleet.scrape(start_ms + n * INTERVAL_MS - 3)).collect();
        for (server, loading) in servers.iter().zip(&mut loading) {
            let started = Instant::now();
            fleet::send(&server.url, &bodies);
            *loading += started.elapsed().as_secs_f64();
        }
        next += bodies.len() as i64;
        progress.inc(bodies.len() as u64);
    }
    progress.finish_and_clear();
    servers.iter().for_each(|server| usage::settle(server.pid));
    assert_eq!(weir.post("/api/v1/admin/compact", &[], b"").unwrap().status, 200);
    std::thread::sleep(Duration::from_secs(2));

    note("| | Prometheus: median, p95, CPU-ms | Weir: median, p95, CPU-ms | CPU ratio | wall ratio |");
    note("|---|---|---|---|---|");
    let (start_s, end_s) = (start_ms as f64 / 1e3 + 300.0, end_ms as f64 / 1e3);
    let progress = bar("asking both", QUERIES.len() as u64);
    let mut rows = Vec::new();
    for (what, kind, text) in QUERIES {
        let path = path(kind, text, start_s, end_s);
        let [theirs, ours] = &servers;
        check(kind, what, &theirs.ask(&path), &ours.ask(&path));
        let figures = measure(&servers, &path, seconds);
        let what = if matches!(kind, Range) { format!("{what}, all {minutes} min") } else { what.to_owned() };
        let [theirs, ours] = [&figures[0], &figures[1]];
        let shown = |f: &Figures| format!("{:.2}, {:.2}, {:.3}", f.median, f.p95, f.cpu);
        let (cpu, wall) = (ours.cpu / theirs.cpu, ours.median / theirs.median);
        rows.push(format!("| {what} | {} | {} | {cpu:.2} | {wall:.2} |", shown(theirs), shown(ours)));
        progress.inc(1);
    }
    progress.finish_and_clear();
    rows.iter().for_each(|row| note(row));

    for (server, name) in servers.iter().zip(["Prometheus", "Weir"]) {
        let before = usage::peak_memory_mib(server.pid);
        let cpu = usage::cpu_seconds(server.pid);
        let (median, p95, errors) = crowd(server, dashboards, end_s);
        let asked = (CLIENTS * DASHBOARD.len() * dashboards) as f64;
        let cpu = (usage::cpu_seconds(server.pid) - cpu) * 1e3 / asked;
        let peak = usage::peak_memory_mib(server.pid);
        note(&format!(
            "{name}: {CLIENTS} clients, {asked} dashboard queries over an hour, {errors} errors; {median:.0} ms \
             median, {p95:.0} ms p95, {cpu:.1} CPU-ms each; peak memory {before:.0} MiB before, {peak:.0} after"
        ));
        assert!(name != "Weir" || errors == 0, "{errors} queries were not answered");
    }
    note(&format!("loading took Prometheus {:.0} s, Weir {:.0} s", loading[0], loading[1]));
}
