//! The result cache is never stale: random histories of writes, late, repeated, of any hour, of histograms and
//! deltas, and of compactions, between queries that are asked again with `nocache=1` each time.

#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use serde_json::Value;
use tower::ServiceExt;
use weir_lake::{CompactMode, Incoming, Lake, LakeOptions};
use weir_model::{
    Batch, DistributionBuilder, FloatSample, HistogramSample, Labels, MetricKind, Record, STALE_NAN,
    Temporality, TenantId,
};
use weir_platform::{Clock, ManualClock, MemoryBucket, SequenceNumber, ShardId, Telemetry};
use weir_query::{Query, QueryOptions, router};

/// 2026-11-21T00:00:00Z.
const BASE_MS: i64 = 1_795_219_200_000;
const MINUTE_MS: i64 = 60_000;

/// What is asked; each round takes a few of them.
const TEXTS: &[&str] = &[
    "m_total",
    "sum(rate(m_total[5m]))",
    "sum by (instance) (increase(d_total[3m]))",
    "avg(m_total offset 20m) - avg(m_total)",
    "m_total offset -10m",
    "max_over_time(m_total[10m:1m])",
    "sum_over_time(rate(m_total[2m])[30m:] offset -15m)",
    "absent(m_total{instance=\"2\"})",
    "topk(2, m_total)",
    "histogram_quantile(0.9, sum(rate(h_total[10m])))",
    "rate(h_total[5m])",
    "m_total @ end()",
    "m_total * (end() - start())",
    "count(m_total) or vector(time())",
    "timestamp(m_total)",
    "quantile(2, m_total)",
    "sum(m_total) / sum(m_total)",
    "m_total[2m]",
    "rate(m_total[5m] smoothed)",
    "label_replace(m_total, \"x\", \"$1\", \"instance\", \"(.)\")",
    "sum_over_time(m_total[2 * step()])",
];

/// Random numbers from a printed seed (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound.max(1)
    }

    fn some<T: Copy>(&mut self, count: usize, of: &[T]) -> Vec<T> {
        (0..count).map(|_| of[self.below(of.len() as u64) as usize]).collect()
    }
}

struct World {
    random: Random,
    clock: Arc<ManualClock>,
    lake: Arc<Lake>,
    telemetry: Arc<Telemetry>,
    router: Router,
    sequence: u128,
    texts: Vec<&'static str>,
    steps_ms: Vec<i64>,
}

impl World {
    async fn new(seed: u64) -> Self {
        let clock = Arc::new(ManualClock::new(BASE_MS));
        let telemetry = Arc::new(Telemetry::default());
        // Sometimes as one of several processes, which looks for news before it answers.
        let options =
            LakeOptions { merge_fan_in: 3, sole_writer: seed.is_multiple_of(2), ..LakeOptions::default() };
        let lake = Lake::open(Arc::new(MemoryBucket::new()), clock.clone(), options).await.unwrap();
        // Small enough that answers are evicted, too.
        let options = QueryOptions {
            result_cache_bytes: if seed.is_multiple_of(3) { 100_000 } else { 10_000_000 },
            ..QueryOptions::default()
        };
        let query = Query::new(lake.clone(), clock.clone(), telemetry.clone(), options);
        let mut random = Random(seed);
        let texts = random.some(4, TEXTS);
        let steps_ms = random.some(2, &[15_000, MINUTE_MS, 5 * MINUTE_MS, 7_001]);
        Self { random, texts, steps_ms, clock, lake, telemetry, router: router(query), sequence: 1 }
    }

    /// A few samples of a few series: at the current end, or anywhere before or even after it.
    async fn write(&mut self) {
        let now_ms = self.clock.now_ms();
        let mut batch = Batch::new();
        for _ in 0..=self.random.below(6) {
            let (name, temporality) = match self.random.below(4) {
                0 => ("d_total", Temporality::Delta),
                1 => ("h_total", Temporality::Cumulative),
                _ => ("m_total", Temporality::Cumulative),
            };
            let instance = self.random.below(4).to_string();
            let labels = Labels::from_pairs([("__name__", name), ("instance", &instance)]);
            let series = batch.push_series(labels.borrowed(), MetricKind::Unknown, temporality);
            let from_ms = match self.random.below(10) {
                0 => now_ms - self.random.below(300) as i64 * MINUTE_MS,
                1 => now_ms + self.random.below(20) as i64 * MINUTE_MS,
                _ => now_ms - 2 * MINUTE_MS,
            };
            for i in 0..1 + self.random.below(8) as i64 {
                let timestamp_ms = from_ms + i * 15_000;
                let number = self.random.below(1000) as f64;
                if name == "h_total" {
                    let mut builder = DistributionBuilder::new();
                    builder.observe(number, 2.0);
                    let histogram = Arc::new(builder.build());
                    batch.histograms.push(HistogramSample { series, timestamp_ms, histogram });
                } else {
                    let value = if number < 20.0 { STALE_NAN } else { number * 0.1 };
                    batch.floats.push(FloatSample { series, timestamp_ms, value });
                }
            }
        }
        let tenant =
            if self.random.below(8) == 0 { TenantId::new("other").unwrap() } else { TenantId::default() };
        let record = Record { tenant, key: None, received_ms: now_ms, batch };
        let incoming = |sequence, record: &Record| Incoming {
            sequence: SequenceNumber::from(sequence),
            payload: record.encode().unwrap().into(),
            record: record.clone(),
        };
        let delivered = incoming(self.sequence, &record);
        self.sequence += 1;
        self.lake.append(ShardId(0), vec![delivered.clone()]).await.unwrap();
        if self.random.below(4) == 0 {
            self.lake.append(ShardId(0), vec![delivered]).await.unwrap();
        }
    }

    async fn ask(&self, text: &str, range: (i64, i64, i64), extra: &str) -> Value {
        let (start, end, step) = range;
        let query = text.bytes().map(|b| format!("%{b:02X}")).collect::<String>();
        let seconds = |ms: i64| format!("{}.{:03}", ms / 1000, ms % 1000);
        let (start, end, step) = (seconds(start), seconds(end), seconds(step));
        let uri = format!("/api/v1/query_range?query={query}&start={start}&end={end}&step={step}{extra}");
        let request = Request::builder().uri(uri).body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let body = axum::body::to_bytes(response.into_body(), 64 << 20).await.unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    /// Asks through the cache and around it; both must say the same.
    async fn compare(&mut self) {
        let text = self.texts[self.random.below(self.texts.len() as u64) as usize];
        let step_ms = self.steps_ms[self.random.below(2) as usize];
        // Mostly on multiples of the step, as dashboards ask, and up to now, sometimes beyond.
        let aligned = self.clock.now_ms() / step_ms * step_ms;
        let shift = if self.random.below(5) == 0 { self.random.below(60_000) as i64 } else { 0 };
        let end = aligned + shift - self.random.below(3) as i64 * step_ms * 5;
        let steps = [10, 40, 100, 240][self.random.below(4) as usize];
        let range = (end - steps * step_ms, end + self.random.below(30_000) as i64, step_ms);
        let cached = self.ask(text, range, "").await;
        let fresh = self.ask(text, range, "&nocache=1").await;
        let digits = |value: &Value| rounded(value).to_string();
        assert_eq!(digits(&cached), digits(&fresh), "{text} {range:?}");
    }
}

/// The answer with its numbers to twelve digits: sums may have been put together in another order.
fn rounded(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(rounded).collect(),
        Value::Object(fields) => fields.iter().map(|(k, v)| (k.clone(), rounded(v))).collect(),
        Value::String(text) => match text.parse::<f64>() {
            Ok(x) if text.len() > 12 => format!("{x:.11e}").into(),
            _ => value.clone(),
        },
        other => other.clone(),
    }
}

fn seed() -> u64 {
    let clock = || std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
    std::env::var("WEIR_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(clock)
}

#[tokio::test]
async fn answers_through_the_cache_are_those_around_it_whatever_is_written_meanwhile() {
    let rounds: u64 = std::env::var("WEIR_CACHE_ROUNDS").ok().and_then(|s| s.parse().ok()).unwrap_or(8);
    let seed = seed();
    eprintln!("WEIR_SEED={seed}");
    let mut metrics = String::new();
    for round in 0..rounds {
        let mut world = World::new(seed.wrapping_add(round)).await;
        for _ in 0..20 {
            world.write().await;
        }
        for _ in 0..120 {
            match world.random.below(20) {
                0..3 => world.write().await,
                3 => world.clock.advance(world.random.below(10) as i64 * MINUTE_MS),
                4 => {
                    let mode =
                        if world.random.below(2) == 0 { CompactMode::Scheduled } else { CompactMode::Full };
                    world.lake.compact(mode).await.unwrap();
                }
                5 => world.clock.advance(15_000),
                _ => world.compare().await,
            }
        }
        metrics.push_str(&world.telemetry.to_text());
    }
    for hit in ["whole", "part", "no"] {
        assert!(metrics.contains(&format!("hit=\"{hit}\"")), "{hit} never happened:\n{metrics}");
    }
}

#[tokio::test]
async fn what_is_kept_is_not_read_again() {
    let mut world = World::new(2).await;
    for _ in 0..60 {
        world.write().await;
        world.clock.advance(MINUTE_MS);
    }
    let now_ms = world.clock.now_ms();
    let range = (now_ms - 40 * MINUTE_MS, now_ms, MINUTE_MS);
    let text = "sum(rate(m_total[5m]))";
    let told = |answer: &Value| answer["data"]["explain"].clone();
    let first = told(&world.ask(text, range, "&explain=1").await);
    assert_eq!((&first["cache"]["steps"], first["evaluated"].as_array().unwrap().len()), (&0.into(), 1));
    let again = told(&world.ask(" sum( rate(m_total[5m]))", range, "&explain=1").await);
    assert_eq!((&again["cache"]["steps"], again["evaluated"].as_array().unwrap().len()), (&41.into(), 0));
    let later = (range.0 + 2 * MINUTE_MS, range.1 + 2 * MINUTE_MS, MINUTE_MS);
    let moved = told(&world.ask(text, later, "&explain=1").await);
    assert_eq!(moved["cache"]["steps"], 39);
    let plan = &moved["evaluated"][0]["plan"];
    assert_eq!((&plan["kind"], &plan["steps"]), (&"aggregation".into(), &2.into()));
    let around = told(&world.ask(text, later, "&explain=1&nocache=1").await);
    assert_eq!(
        (&around["cache"]["used"], &around["evaluated"][0]["plan"]["steps"]),
        (&false.into(), &41.into())
    );
    let storage = &around["evaluated"][0]["plan"]["children"][0]["children"][0]["storage"];
    assert_eq!((&storage["tier"], storage["bytes"].as_u64() > Some(0)), (&"raw".into(), true));
}
