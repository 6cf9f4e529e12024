//! Weeks to years of samples, compressed in time: every day is written, compacted and rolled up as it would be,
//! then dashboards over all of it are asked from rollups and, for comparison, from samples.
//!
//! Small by itself. `WEIR_MONTHS_SERIES`, `_DAYS` and `_STEP` (seconds between samples) set the size, and
//! `--nocapture` shows the figures; `WEIR_MONTHS_RAW=0` leaves the comparison out, which takes long:
//!
//! ```sh
//! WEIR_MONTHS_SERIES=10000 WEIR_MONTHS_DAYS=30 cargo test --release -p weir-query --test months -- --nocapture
//! ```

#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use serde_json::Value;
use tower::ServiceExt;
use weir_lake::{CompactMode, Incoming, Lake, LakeOptions, RollupWish};
use weir_model::{Batch, FloatSample, Labels, MetricKind, Record, Temporality, TenantId};
use weir_platform::{Bucket, Clock, ManualClock, MemoryBucket, SequenceNumber, ShardId, Telemetry};
use weir_query::{Query, QueryOptions, router};

/// 2026-01-01T00:00:00Z.
const BASE_MS: i64 = 1_767_225_600_000;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// Series of a stream record.
const RECORD_SERIES: usize = 1_000;

fn setting(name: &str, default: i64) -> i64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

struct World {
    bucket: Arc<MemoryBucket>,
    clock: Arc<ManualClock>,
    lake: Arc<Lake>,
    router: Router,
    labels: Vec<Labels>,
    step_ms: i64,
    sequence: u128,
}

/// Half counters that restart every few days, half gauges of a tenth that move slowly.
fn value(series: usize, at_ms: i64) -> f64 {
    let (minute, of) = ((at_ms - BASE_MS) / 60_000, series as i64);
    let noise = (minute.wrapping_mul(2_654_435_761).wrapping_add(of * 40_503) >> 7) & 63;
    match series % 2 {
        0 => ((minute * (3 + of % 50) + noise) % (5_000 * (3 + of % 50))) as f64,
        _ => (200 + of % 300 + (minute / 30 + of) % 97 + noise / 8) as f64 / 10.0,
    }
}

impl World {
    async fn new(series: usize, step_ms: i64) -> Self {
        let bucket = Arc::new(MemoryBucket::new());
        let clock = Arc::new(ManualClock::new(BASE_MS));
        let lake = Lake::open(bucket.clone(), clock.clone(), LakeOptions::default()).await.unwrap();
        let options = QueryOptions {
            timeout: Duration::from_secs(600),
            max_samples: usize::MAX >> 1,
            max_bytes: 8 << 30,
            ..QueryOptions::default()
        };
        let query = Query::new(lake.clone(), clock.clone(), Arc::new(Telemetry::default()), options);
        let of = |series: usize| {
            let name = if series.is_multiple_of(2) { "requests_total" } else { "temperature" };
            Labels::from_pairs([
                ("__name__", name),
                ("instance", &format!("host-{:03}.example.com:9100", series / 2 % 100)),
                ("path", &format!("/path/{}", series / 200)),
                ("job", "node"),
            ])
        };
        let labels = (0..series).map(of).collect();
        Self { bucket, clock, lake, router: router(query), labels, step_ms, sequence: 1 }
    }

    /// Six hours of samples of every series.
    async fn write(&mut self, from_ms: i64) {
        for chunk in 0..self.labels.len().div_ceil(RECORD_SERIES) {
            let mut batch = Batch::new();
            let own = chunk * RECORD_SERIES..((chunk + 1) * RECORD_SERIES).min(self.labels.len());
            for series in own {
                let labels = self.labels[series].borrowed();
                let place = batch.push_series(labels, MetricKind::Unknown, Temporality::Cumulative);
                let mut timestamp_ms = from_ms + series as i64 % (self.step_ms / 1000) * 1000;
                while timestamp_ms < from_ms + 6 * HOUR_MS {
                    let value = value(series, timestamp_ms);
                    batch.floats.push(FloatSample { series: place, timestamp_ms, value });
                    timestamp_ms += self.step_ms;
                }
            }
            let record =
                Record { tenant: TenantId::default(), key: None, received_ms: self.clock.now_ms(), batch };
            let sequence = SequenceNumber::from(self.sequence);
            self.sequence += 1;
            let incoming = Incoming { sequence, payload: record.encode().unwrap().into(), record };
            self.lake.append(ShardId(0), vec![incoming]).await.unwrap();
        }
    }

    async fn ask(&self, path_and_query: &str) -> (Value, Duration) {
        let started = Instant::now();
        let request = Request::builder().uri(path_and_query).body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let body = axum::body::to_bytes(response.into_body(), 1 << 30).await.unwrap();
        let took = started.elapsed();
        (serde_json::from_slice(&body).unwrap(), took)
    }

    /// Objects and bytes of each resolution.
    async fn sizes(&self) -> BTreeMap<String, (usize, u64)> {
        let mut sizes: BTreeMap<String, (usize, u64)> = BTreeMap::new();
        for object in self.bucket.list("", None, usize::MAX).await.unwrap() {
            let of =
                object.key.split('/').filter(|part| part.starts_with("res=") || part.starts_with("agg="));
            let mut name = of.collect::<Vec<_>>().join(" ");
            if name.is_empty() {
                name = object.key.split('/').next().unwrap_or_default().to_owned();
            }
            let size = sizes.entry(name).or_default();
            size.0 += 1;
            size.1 += object.size;
        }
        sizes
    }
}

fn encode(text: &str) -> String {
    text.bytes().map(|b| format!("%{b:02X}")).collect()
}

/// The numbers of an answer, in order.
fn numbers(value: &Value, into: &mut Vec<f64>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| numbers(item, into)),
        Value::Object(fields) => {
            fields.iter().filter(|(k, _)| *k != "metric").for_each(|f| numbers(f.1, into));
        }
        Value::String(text) => into.extend(text.parse::<f64>().ok()),
        Value::Number(number) => into.extend(number.as_f64()),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dashboards_over_months_are_answered_from_rollups_as_from_samples() {
    let series = setting("WEIR_MONTHS_SERIES", 8) as usize;
    let days = setting("WEIR_MONTHS_DAYS", 10);
    let step_ms = setting("WEIR_MONTHS_STEP", 600) * 1000;
    let compares = setting("WEIR_MONTHS_RAW", 1) != 0;
    let mut world = World::new(series, step_ms).await;
    let started = Instant::now();
    let mut rolling = Duration::ZERO;
    for day in 0..days {
        for quarter in 0..4 {
            let from_ms = BASE_MS + day * DAY_MS + quarter * 6 * HOUR_MS;
            world.write(from_ms).await;
            world.clock.advance(6 * HOUR_MS);
            world.lake.compact(CompactMode::Scheduled).await.unwrap();
        }
        let since = Instant::now();
        world.lake.roll_up(&RollupWish::default(), |_| {}).await.unwrap();
        rolling += since.elapsed();
        world.lake.collect_garbage().await.unwrap();
    }
    world.clock.advance(2 * HOUR_MS);
    world.lake.compact(CompactMode::Full).await.unwrap();
    world.lake.roll_up(&RollupWish::default(), |_| {}).await.unwrap();
    world.lake.collect_garbage().await.unwrap();
    let samples = series as i64 * days * DAY_MS / step_ms;
    eprintln!(
        "{samples} samples of {series} series, {days} days, written in {:?}, rolled up in {rolling:?}",
        started.elapsed()
    );
    for (name, (objects, bytes)) in world.sizes().await {
        let per_sample = bytes as f64 / samples as f64;
        eprintln!("{name:20} {objects:6} objects {bytes:12} bytes, {per_sample:.4} a sample of the raw data");
    }
    let (start, end) = (BASE_MS / 1000, (BASE_MS + days * DAY_MS) / 1000);
    let hours = (start + 6 * 3600, 6 * 3600);
    let of_days = (start + 86_400, 86_400);
    for (text, (start, step)) in [
        ("sum(avg_over_time(temperature[6h]))", hours),
        ("sum by (instance) (rate(requests_total[6h]))", hours),
        ("avg_over_time(temperature[6h])", hours),
        ("max(max_over_time(temperature[1d]))", of_days),
        ("topk(5, increase(requests_total[1d]))", of_days),
        ("sum by (path) (temperature)", hours),
    ] {
        let query = encode(text);
        let uri = format!(
            "/api/v1/query_range?query={query}&start={start}&end={end}&step={step}&nocache=1&explain=1"
        );
        let (first, cold) = world.ask(&uri).await;
        let (rolled, warm) = world.ask(&uri).await;
        assert_eq!(rolled["status"], "success", "{rolled}");
        assert!(
            rolled.to_string().contains("\"tier\":\"1"),
            "{text} is not answered from a rollup: {rolled}"
        );
        drop(first);
        let mut took = String::new();
        if compares {
            let (raw, slow) = world.ask(&format!("{uri}&tier=raw")).await;
            assert_eq!(raw["status"], "success", "{raw}");
            took = format!(", from samples {slow:?}");
            let (mut of_raw, mut of_tier) = (Vec::new(), Vec::new());
            numbers(&raw["data"]["result"], &mut of_raw);
            numbers(&rolled["data"]["result"], &mut of_tier);
            assert_eq!(of_raw.len(), of_tier.len(), "{text}");
            for (x, y) in of_tier.iter().zip(&of_raw) {
                assert!(
                    (x - y).abs() <= 1e-9 * x.abs().max(y.abs()).max(1.0),
                    "{text}: {x}, from samples {y}"
                );
            }
        }
        eprintln!("{text:48} first {cold:?}, again {warm:?}{took}");
    }
    for path in ["labels", "label/instance/values", "label/path/values"] {
        let uri = format!("/api/v1/{path}?start={start}&end={end}");
        let (_, cold) = world.ask(&uri).await;
        let (answer, warm) = world.ask(&uri).await;
        assert_eq!(answer["status"], "success", "{answer}");
        eprintln!("{path:48} first {cold:?}, again {warm:?}");
    }
}
