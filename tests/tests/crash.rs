//! `kill -9` at random moments under load: everything acknowledged is there afterwards, once.

#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use weir_formats::remote_write::encode::{self, TimeSeries};
use weir_tests::{Random, Weir, body, http, weir};

const SENDERS: u64 = 4;
/// How long acknowledged samples may take to be visible on a busy machine; more would be a loss.
const SETTLE: Duration = Duration::from_secs(5);
/// A whole hour long before now, so that the hour of the data closes and blocks merge.
const EPOCH_MS: i64 = 1_700_000_000_000 / 3_600_000 * 3_600_000;

fn kills() -> u64 {
    std::env::var("WEIR_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(100)
}

/// A request that is sent until it is acknowledged, over as many crashes as it takes.
#[derive(Clone)]
struct Pending {
    path: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

fn snappy(raw: &[u8]) -> Vec<u8> {
    body::snappy(raw)
}

/// The `n`-th request of a sender: a gauge by remote write, or a counter's steps by StatsD.
fn request(sender: u64, n: u64) -> Pending {
    if n.is_multiple_of(2) {
        let series: Vec<TimeSeries> = (0..20)
            .map(|i| TimeSeries {
                labels: [("__name__", "crash_gauge"), ("i", &i.to_string()), ("sender", &sender.to_string())]
                    .map(|(n, v)| (n.to_owned(), v.to_owned()))
                    .to_vec(),
                samples: vec![(EPOCH_MS + n as i64, n as f64)],
                ..TimeSeries::default()
            })
            .collect();
        Pending { path: "/api/v1/write", headers: vec![], body: snappy(&encode::v1(&series, &[])) }
    } else {
        Pending {
            path: "/api/v1/import/statsd",
            headers: vec![("Idempotency-Key", format!("{sender}-{n}"))],
            body: format!("crash_hits:1|c|#sender:{sender}\ncrash_hits:2|c|#sender:{sender}\n").into_bytes(),
        }
    }
}

fn send(url: &str, pending: &Pending) -> bool {
    let headers: Vec<(&str, &str)> = pending.headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
    match http::post(&format!("{url}{}", pending.path), &headers, &pending.body) {
        Ok(reply) if reply.status < 300 => true,
        Ok(reply) => {
            assert!(reply.status == 503, "{}: {}", reply.status, reply.text());
            false
        }
        Err(_) => false,
    }
}

struct Sender {
    sent: AtomicU64,
    pending: Mutex<Option<Pending>>,
}

/// Sends until told to stop or until Weir is gone; what was not acknowledged stays pending.
fn load(url: &str, number: u64, sender: &Sender, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let mut pending = sender.pending.lock().unwrap();
        let request =
            pending.get_or_insert_with(|| request(number, sender.sent.fetch_add(1, Ordering::Relaxed)));
        if !send(url, request) {
            return;
        }
        *pending = None;
    }
}

fn check(weir: &Weir, senders: &[Sender]) {
    // Whatever was under way is sent again until it counts; then everything sent must count once.
    for sender in senders {
        let mut pending = sender.pending.lock().unwrap();
        while pending.as_ref().is_some_and(|request| !send(&weir.url, request)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        *pending = None;
    }
    let now_s = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64() + 60.0;
    let then_s = EPOCH_MS as f64 / 1000.0 + 80_000.0;
    for (number, sender) in senders.iter().enumerate() {
        let sent = sender.sent.load(Ordering::Relaxed);
        let evens = sent.div_ceil(2);
        let of = format!("{{sender=\"{number}\"}}[1d]");
        for (what, expr, at, want) in [
            ("gauge samples", format!("sum(count_over_time(crash_gauge{of}))"), then_s, evens * 20),
            (
                "gauge values",
                format!("sum(sum_over_time(crash_gauge{of}))"),
                then_s,
                20 * evens * evens.saturating_sub(1),
            ),
            ("counted hits", format!("sum(sum_over_time(crash_hits{of}))"), now_s, sent / 2 * 3),
        ] {
            // What was acknowledged just now may take a moment to be visible; too much is wrong at once.
            let asked = Instant::now();
            loop {
                let got = weir.value_at(&expr, at).unwrap().unwrap_or(0.0);
                if got == want as f64 {
                    break;
                }
                assert!(got < want as f64, "{what} of sender {number}: {got}, which is more than {want}");
                assert!(
                    asked.elapsed() < SETTLE,
                    "{what} of sender {number}: {got} of {want} after {SETTLE:?}"
                );
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

fn run(data: &Path, kills: u64) {
    let mut random = Random::from_env();
    let senders: Vec<Sender> =
        (0..SENDERS).map(|_| Sender { sent: AtomicU64::new(0), pending: Mutex::new(None) }).collect();
    let mut slowest = Duration::ZERO;
    for kill in 0..kills {
        // A low bar for compaction, so that kills meet it at work as well.
        let weir =
            Weir::start_with(data, &["--no-self", "--no-statsd", "--no-rules", "--hot-samples", "2000"])
                .unwrap();
        slowest = slowest.max(weir.ready_after);
        check(&weir, &senders);
        let stop = AtomicBool::new(false);
        let url = weir.url.clone();
        std::thread::scope(|scope| {
            for (number, sender) in senders.iter().enumerate() {
                let (url, stop) = (&url, &stop);
                scope.spawn(move || load(url, number as u64, sender, stop));
            }
            std::thread::sleep(Duration::from_millis(20 + random.below(350)));
            if kill % 10 == 9 {
                let _ = http::post(&format!("{url}/api/v1/admin/compact"), &[], b"");
            }
            weir.kill().unwrap();
            stop.store(true, Ordering::Relaxed);
        });
    }
    let weir = Weir::start(data).unwrap();
    check(&weir, &senders);
    let sent: u64 = senders.iter().map(|s| s.sent.load(Ordering::Relaxed)).sum();
    assert!(sent > kills, "the load was too light to show anything: {sent} requests");
    weir::note(&format!("{kills} kills, {sent} requests, slowest start {slowest:?}"));
    let took = weir.stop().unwrap();
    weir::note(&format!("stopped in {took:?}"));
}

#[test]
fn what_was_acknowledged_is_there_once_after_any_number_of_kills() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), kills());
}
