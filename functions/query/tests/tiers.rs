//! Answers from rollups are those from samples: random data, late, repeated, with markers, resets and gaps, of
//! floats, changes and histograms, asked with and without `tier=raw`.

#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use serde_json::Value;
use tower::ServiceExt;
use weir_lake::{Ages, CompactMode, Incoming, Lake, LakeOptions, RetentionPolicy, RollupWish};
use weir_model::{
    Batch, DistributionBuilder, FloatSample, HistogramSample, Labels, MetricKind, Record, STALE_NAN,
    SetSample, Temporality, TenantId, UniqueSet,
};
use weir_platform::{Clock, ManualClock, MemoryBucket, SequenceNumber, ShardId, Telemetry};
use weir_query::{Query, QueryOptions, router};

/// 2026-11-21T00:00:00Z.
const BASE_MS: i64 = 1_795_219_200_000;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
const DAYS: i64 = 3;

/// What is asked; `$r` is a range, `$o` an offset.
const TEXTS: &[&str] = &[
    "avg_over_time(level[$r])",
    "sum_over_time(level[$r] offset $o)",
    "min_over_time(level[$r])",
    "max_over_time(level[$r])",
    "count_over_time(level[$r])",
    "stddev_over_time(level[$r])",
    "stdvar_over_time(level[$r])",
    "last_over_time(level[$r])",
    "first_over_time(level[$r])",
    "present_over_time(level[$r])",
    "absent_over_time(level{of=\"9\"}[$r])",
    "ts_of_last_over_time(level[$r])",
    "ts_of_first_over_time(level[$r])",
    "rate(counter_total[$r])",
    "increase(counter_total[$r] offset $o)",
    "delta(level[$r])",
    "rate(changes[$r])",
    "increase(changes[$r])",
    "delta(changes[$r])",
    "sum by (of) (rate(counter_total[$r])) / sum by (of) (count_over_time(level[$r]))",
    "level",
    "level offset $o",
    "timestamp(level)",
    "counter_total @ end()",
    "avg_over_time(level[$r] @ end())",
    "sum(level)",
    "changes(level[$r])",
    "quantile_over_time(0.9, level[$r])",
    "max_over_time(rate(counter_total[$r])[4h:1h])",
    "sum_over_time(latency[$r])",
    "sum_over_time({__name__=~\"level|took\"}[$r])",
    "histogram_count(sum_over_time(latency[$r] offset $o))",
    "avg_over_time(took[$r])",
    "rate(latency[$r])",
    "rate(took[$r])",
    "histogram_quantile(0.9, sum(increase(took[$r] offset $o)))",
    "increase({__name__=~\"took|changes\"}[$r])",
    "distinct_over_time(visitors[$r])",
    "distinct_over_time({__name__=~\"visitors|level\"}[$r])",
    "sum_over_time(visitors[$r])",
    "latency",
    "{__name__=~\"level|latency\"}",
    "count_over_time({__name__=~\"level|latency\"}[$r])",
    "irate(counter_total[$r])",
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

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
}

struct World {
    random: Random,
    clock: Arc<ManualClock>,
    lake: Arc<Lake>,
    router: Router,
    sequence: u128,
}

impl World {
    async fn new(seed: u64) -> Self {
        let clock = Arc::new(ManualClock::new(BASE_MS));
        let options = LakeOptions::default();
        let lake = Lake::open(Arc::new(MemoryBucket::new()), clock.clone(), options).await.unwrap();
        let telemetry = Arc::new(Telemetry::default());
        let query = Query::new(lake.clone(), clock.clone(), telemetry, QueryOptions::default());
        Self { random: Random(seed), clock, lake, router: router(query), sequence: 1 }
    }

    async fn append(&mut self, batch: Batch) {
        let received_ms = self.clock.now_ms();
        let record = Record { tenant: TenantId::default(), key: None, received_ms, batch };
        let sequence = SequenceNumber::from(self.sequence);
        let incoming = Incoming { sequence, payload: record.encode().unwrap().into(), record };
        self.sequence += 1;
        self.lake.append(ShardId(0), vec![incoming]).await.unwrap();
    }

    /// One sample of a random series.
    fn sample(&mut self, batch: &mut Batch, timestamp_ms: i64) {
        let of = self.random.below(3).to_string();
        let (name, temporality) = self.random.one(&[
            ("level", Temporality::Cumulative),
            ("counter_total", Temporality::Cumulative),
            ("changes", Temporality::Delta),
        ]);
        let labels = Labels::from_pairs([("__name__", name), ("of", &of)]);
        let series = batch.push_series(labels.borrowed(), MetricKind::Unknown, temporality);
        let number = self.random.below(1_000) as f64 / 8.0;
        let value = match name {
            "counter_total" => (timestamp_ms - BASE_MS) as f64 / 1_000.0 % 20_000.0,
            _ if number < 1.0 => STALE_NAN,
            _ => number - 40.0,
        };
        batch.floats.push(FloatSample { series, timestamp_ms, value });
    }

    /// A histogram, a histogram that is a change, or a set.
    fn other(&mut self, batch: &mut Batch, timestamp_ms: i64) {
        let (name, kind, temporality) = self.random.one(&[
            ("latency", MetricKind::Histogram, Temporality::Cumulative),
            ("took", MetricKind::Histogram, Temporality::Delta),
            ("visitors", MetricKind::Unknown, Temporality::Delta),
        ]);
        let labels = Labels::from_pairs([("__name__", name)]);
        let series = batch.push_series(labels.borrowed(), kind, temporality);
        if name == "visitors" {
            let mut set = UniqueSet::new();
            (0..1 + self.random.below(60)).for_each(|_| set.insert(&self.random.below(200).to_le_bytes()));
            batch.sets.push(SetSample { series, timestamp_ms, set: Arc::new(set) });
            return;
        }
        let mut builder = DistributionBuilder::new();
        (0..3).for_each(|_| builder.observe(self.random.below(100) as f64 - 10.0, 2.0));
        batch.histograms.push(HistogramSample { series, timestamp_ms, histogram: Arc::new(builder.build()) });
    }

    async fn fill(&mut self) {
        let mut batch = Batch::new();
        let mut at = BASE_MS;
        while at < BASE_MS + DAYS * DAY_MS {
            for _ in 0..3 {
                let jitter = self.random.one(&[0, 0, 1, 30_000]);
                self.sample(&mut batch, at + jitter);
            }
            if self.random.below(4) == 0 {
                self.other(&mut batch, at);
            }
            at += self.random.one(&[60_000, 240_000, 600_000]);
        }
        self.append(batch).await;
    }

    async fn late(&mut self) {
        let mut batch = Batch::new();
        for _ in 0..5 {
            let at = BASE_MS + self.random.below((DAYS * 24 * 60) as u64) as i64 * 60_000;
            self.sample(&mut batch, at);
            self.other(&mut batch, at);
        }
        self.append(batch).await;
    }

    async fn ask(&self, text: &str, (start, end, step): (i64, i64, i64), extra: &str) -> Value {
        let query = text.bytes().map(|b| format!("%{b:02X}")).collect::<String>();
        let (start, end, step) = (start / 1000, end / 1000, step / 1000);
        let range = format!("query={query}&start={start}&end={end}&step={step}");
        self.get(&format!("query_range?{range}&nocache=1&explain=1{extra}")).await
    }

    async fn get(&self, path_and_query: &str) -> Value {
        let uri = format!("/api/v1/{path_and_query}");
        let request = Request::builder().uri(uri).body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let body = axum::body::to_bytes(response.into_body(), 64 << 20).await.unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    /// Asks from rollups and from samples, and gives the tiers that were read.
    async fn compare(&mut self) -> BTreeSet<String> {
        let unit = self.random.one(&[60_000, HOUR_MS, HOUR_MS, DAY_MS]);
        let step = unit * (1 + self.random.below(4) as i64);
        let start = BASE_MS + self.random.below((DAYS * DAY_MS / unit) as u64) as i64 * unit;
        let end = start + step * self.random.below(30) as i64;
        let range = unit * (1 + self.random.below(5) as i64);
        let offset = unit * self.random.below(3) as i64;
        let text = self.random.one(TEXTS);
        let text =
            text.replace("$r", &format!("{}s", range / 1000)).replace("$o", &format!("{}s", offset / 1000));
        let rolled = self.ask(&text, (start, end, step), "").await;
        let raw = self.ask(&text, (start, end, step), "&tier=raw").await;
        assert_eq!(raw["status"], "success", "{raw}");
        let context = format!("{text} from {start} to {end} by {step}");
        assert_same(&rolled["data"]["result"], &raw["data"]["result"], &context);
        let mut tiers = BTreeSet::new();
        collect_tiers(&rolled["data"]["explain"], &mut tiers);
        tiers
    }
}

fn collect_tiers(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect_tiers(item, into)),
        Value::Object(fields) => {
            into.extend(fields.get("tier").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|field| collect_tiers(field, into));
        }
        _ => {}
    }
}

/// Equal but for the ninth digit of numbers.
fn assert_same(a: &Value, b: &Value, context: &str) {
    match (a, b) {
        (Value::Array(x), Value::Array(y)) if x.len() == y.len() => {
            x.iter().zip(y).for_each(|(x, y)| assert_same(x, y, context));
        }
        (Value::Object(x), Value::Object(y)) if x.keys().eq(y.keys()) => {
            x.iter().for_each(|(key, x)| assert_same(x, &y[key], context));
        }
        (Value::String(x), Value::String(y)) => {
            let near = match (x.parse::<f64>(), y.parse::<f64>()) {
                (Ok(x), Ok(y)) => x == y || (x - y).abs() <= 1e-9 * x.abs().max(y.abs()).max(1.0),
                _ => false,
            };
            assert!(near || x == y, "{context}: {x}, from samples {y}");
        }
        _ => assert_eq!(a, b, "{context}"),
    }
}

fn seed() -> u64 {
    let clock = || std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
    std::env::var("WEIR_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(clock)
}

#[tokio::test]
async fn answers_from_rollups_are_those_from_samples() {
    let rounds: u64 = std::env::var("WEIR_TIER_ROUNDS").ok().and_then(|s| s.parse().ok()).unwrap_or(150);
    let seed = seed();
    eprintln!("WEIR_SEED={seed}");
    let mut world = World::new(seed).await;
    world.fill().await;
    world.lake.compact(CompactMode::Full).await.unwrap();
    world.clock.advance((DAYS + 1) * DAY_MS);
    let mut tiers = BTreeSet::new();
    for round in 0..rounds {
        if round % 10 == 0 {
            world.lake.roll_up(&RollupWish::default(), |_| {}).await.unwrap();
        }
        match world.random.below(30) {
            0 => world.late().await,
            1 => drop(world.lake.compact(CompactMode::Full).await.unwrap()),
            _ => tiers.extend(world.compare().await),
        }
    }
    assert_eq!(tiers.into_iter().collect::<Vec<_>>(), ["1d", "1h", "1m", "raw"], "each was read");
}

#[tokio::test]
async fn a_tier_that_is_asked_for_answers_or_says_why_not() {
    let mut world = World::new(7).await;
    world.fill().await;
    world.lake.compact(CompactMode::Full).await.unwrap();
    world.clock.advance((DAYS + 1) * DAY_MS);
    world.lake.roll_up(&RollupWish::default(), |_| {}).await.unwrap();
    let hours = (BASE_MS + HOUR_MS, BASE_MS + 20 * HOUR_MS, HOUR_MS);
    for (text, range, tier, good) in [
        ("sum_over_time(level[2h])", hours, "1h", true),
        ("sum_over_time(level[2h])", hours, "1m", true),
        ("sum_over_time(level[2h])", hours, "1d", false),
        ("sum_over_time(level[90m])", hours, "1h", false),
        ("quantile_over_time(0.5, level[2h])", hours, "1m", false),
        ("quantile_over_time(0.5, level[2h])", hours, "1h", true),
        ("quantile_over_time(0.5, counter_total[2h])", hours, "1h", false),
        ("sum_over_time(latency[2h])", hours, "1h", true),
        ("avg_over_time(latency[2h])", hours, "1h", false),
        ("rate(latency[2h])", hours, "1h", false),
        ("rate(took[2h])", hours, "1h", true),
        ("increase(took[2h])", hours, "1m", true),
        ("distinct_over_time(visitors[2h])", hours, "1h", true),
        ("sum_over_time(visitors[2h])", hours, "1h", false),
        ("stddev_over_time(counter_total[2h])", hours, "1h", false),
        ("level", (hours.0 + 1000, hours.1, HOUR_MS), "1m", false),
        ("level", hours, "5m", false),
    ] {
        let answer = world.ask(text, range, &format!("&tier={tier}")).await;
        assert_eq!(answer["status"] == "success", good, "{text} from {tier}: {answer}");
        if !good {
            assert!(answer["error"].as_str().unwrap().contains("tier"), "{answer}");
        }
    }
}

#[tokio::test]
async fn rollups_outlive_samples_exactly_where_they_can_and_approximately_with_a_note() {
    let mut world = World::new(9).await;
    world.fill().await;
    world.lake.compact(CompactMode::Full).await.unwrap();
    world.clock.advance((DAYS + 1) * DAY_MS);
    world.lake.roll_up(&RollupWish::default(), |_| {}).await.unwrap();
    let range = (BASE_MS + HOUR_MS, BASE_MS + 20 * HOUR_MS, HOUR_MS);
    let exact = [
        "sum_over_time(level[2h])",
        "rate(counter_total[3h])",
        "level",
        "max_over_time(changes[1h])",
        "sum_over_time(latency[2h])",
        "rate(took[3h])",
        "distinct_over_time(visitors[2h])",
    ];
    let mut before = Vec::new();
    for text in exact {
        before.push(world.ask(text, range, "&tier=raw").await);
    }
    let ages = Ages { raw_ms: Some(2 * DAY_MS), ..Ages::default() };
    let policy = RetentionPolicy { default: ages, ..RetentionPolicy::default() };
    world.lake.set_retention(None, &policy, "test").await.unwrap();
    world.lake.expire(world.clock.now_ms()).await.unwrap();
    for (text, before) in exact.iter().zip(before) {
        let raw = world.ask(text, range, "&tier=raw").await;
        assert_eq!(raw["data"]["result"].as_array().map(Vec::len), Some(0), "{text}: {raw}");
        let left = world.ask(text, range, "").await;
        assert_same(&left["data"]["result"], &before["data"]["result"], text);
        assert!(left.get("infos").is_none(), "{text}: {left}");
    }
    for text in [
        "quantile_over_time(0.5, level[90m])",
        "quantile_over_time(0.5, counter_total[2h])",
        "changes(level[90m])",
        "rate(latency[2h])",
    ] {
        let left = world.ask(text, range, "").await;
        assert!(left["data"]["result"].as_array().is_some_and(|series| !series.is_empty()), "{text}: {left}");
        assert!(
            left["infos"].to_string().contains("have expired; the last one of each 1m"),
            "{text}: {left}"
        );
    }
}

/// Values by series and time.
type Points = BTreeMap<(String, i64), f64>;

fn points(answer: &Value) -> Points {
    let mut points = Points::new();
    for series in answer["data"]["result"].as_array().unwrap() {
        for point in series["values"].as_array().unwrap() {
            let at = (point[0].as_f64().unwrap() * 1000.0) as i64;
            let value = point[1].as_str().unwrap().parse().unwrap();
            points.insert((series["metric"]["of"].to_string(), at), value);
        }
    }
    points
}

/// Compares quantiles with those of the samples; both values that one lies between may be off by 2.2 %.
fn assert_near(answer: &Value, samples: &Points, q: f64, range_ms: i64, windows: &Points, context: &str) {
    let got = points(answer);
    assert!(!got.is_empty() && got.keys().eq(windows.keys()), "{context}: {answer}");
    for ((series, at), value) in got {
        let own = samples.range((series.clone(), at - range_ms + 1)..=(series.clone(), at));
        let mut values: Vec<f64> = own.map(|(_, value)| *value).collect();
        values.sort_by(f64::total_cmp);
        let rank = q * (values.len() - 1) as f64;
        let (lower, weight) = (rank.floor() as usize, rank - rank.floor());
        let parts = [values[lower] * (1.0 - weight), values[(lower + 1).min(values.len() - 1)] * weight];
        let (want, allowed) = (parts[0] + parts[1], 0.0218 * (parts[0].abs() + parts[1].abs()) + 1e-9);
        assert!((value - want).abs() <= allowed, "{context}: {series} at {at} is {value}, exactly {want}");
    }
}

#[tokio::test]
async fn quantiles_from_rollups_are_off_by_no_more_than_they_say_while_samples_are_there_and_after() {
    let seed = seed();
    eprintln!("WEIR_SEED={seed}");
    let mut world = World::new(seed).await;
    world.fill().await;
    world.clock.advance((DAYS + 1) * DAY_MS);
    // Rolled up twice, since some samples come late.
    for _ in 0..2 {
        world.lake.compact(CompactMode::Full).await.unwrap();
        world.lake.roll_up(&RollupWish::default(), |_| {}).await.unwrap();
        world.late().await;
    }
    world.lake.compact(CompactMode::Full).await.unwrap();
    world.lake.roll_up(&RollupWish::default(), |_| {}).await.unwrap();
    let all =
        world.get(&format!("query?query=level[5d]&time={}&tier=raw", BASE_MS / 1000 + DAYS * 86_400)).await;
    let samples = points(&all);
    let mut asked = Vec::new();
    for (tier, unit) in [("1h", HOUR_MS), ("1d", DAY_MS)] {
        for q in [0.0, 0.01, 0.5, 0.9, 0.99, 1.0] {
            let range_ms = unit * (1 + world.random.below(3) as i64);
            let steps = (BASE_MS + unit, BASE_MS + DAYS * DAY_MS, unit);
            let text = format!("quantile_over_time({q}, level[{}s])", range_ms / 1000);
            let unasked = world.ask(&text, steps, "").await;
            assert!(unasked.get("infos").is_none(), "samples are there: {unasked}");
            let windows = points(&unasked);
            let rolled = world.ask(&text, steps, &format!("&tier={tier}")).await;
            assert!(rolled["infos"].to_string().contains("off by 2.2 %"), "{rolled}");
            assert_near(&rolled, &samples, q, range_ms, &windows, &text);
            asked.push((text, steps, q, range_ms, windows));
        }
    }
    let ages = Ages { raw_ms: Some(HOUR_MS), ..Ages::default() };
    let policy = RetentionPolicy { default: ages, ..RetentionPolicy::default() };
    world.lake.set_retention(None, &policy, "test").await.unwrap();
    world.lake.expire(world.clock.now_ms()).await.unwrap();
    for (text, steps, q, range_ms, windows) in asked {
        let left = world.ask(&text, steps, "").await;
        assert!(left["infos"].to_string().contains("off by 2.2 %"), "{left}");
        assert_near(&left, &samples, q, range_ms, &windows, &text);
    }
}
