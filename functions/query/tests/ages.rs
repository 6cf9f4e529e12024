//! Weeks to years of retention, compressed in time: every day is written, compacted, rolled up and expired; at every
//! age each tier answers as a straightforward recomputation does, or not at all; late samples of expired days
//! change nothing; and storage grows as the policy says.
//!
//! Small by itself. `WEIR_AGES_SERIES` and `_DAYS` set the size, and `--nocapture` shows what is stored by age:
//!
//! ```sh
//! WEIR_AGES_SERIES=200 WEIR_AGES_DAYS=400 cargo test --release -p weir-query --test ages -- --nocapture
//! ```

#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use serde_json::Value;
use tower::ServiceExt;
use weir_lake::{
    Ages, CompactMode, Condition, Incoming, Lake, LakeOptions, RetentionClass, RetentionPolicy, RollupWish,
    StorageTier,
};
use weir_model::{Batch, FloatSample, Labels, MetricKind, Record, Temporality, TenantId, Tier};
use weir_platform::{Bucket, Clock, ManualClock, MemoryBucket, SequenceNumber, ShardId, Telemetry};
use weir_query::{Query, QueryOptions, router};

/// 2026-01-01T00:00:00Z.
const BASE_MS: i64 = 1_767_225_600_000;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
const STEP_MS: i64 = HOUR_MS / 2;
/// Days that each tier of metric `fading` is kept; of metric `lasting` all are for ever.
const AGES: [(&str, i64); 4] = [("raw", 3), ("1m", 5), ("1h", 12), ("1d", 30)];
/// How many days ago late samples were.
const LATE_DAYS: i64 = 8;

fn setting(name: &str, default: i64) -> i64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn policy() -> RetentionPolicy {
    let days = |at: usize| Some(AGES[at].1 * DAY_MS);
    let ages = Ages {
        raw_ms: days(0),
        aggregated_1m_ms: days(1),
        aggregated_1h_ms: days(2),
        aggregated_1d_ms: days(3),
    };
    let condition = Condition { label: "__name__".into(), op: "=~".into(), value: "fading".into() };
    let fading = RetentionClass { name: "fading".into(), any_of: vec![vec![condition]], ages };
    RetentionPolicy { classes: vec![fading], ..RetentionPolicy::default() }
}

struct World {
    bucket: Arc<MemoryBucket>,
    clock: Arc<ManualClock>,
    lake: Arc<Lake>,
    router: Router,
    series: i64,
    sequence: u128,
    /// What came late, in days since [`BASE_MS`]: to be added to the sum of `lasting`.
    late: BTreeMap<i64, f64>,
}

/// The value of every series at a time: whole, so that sums are exact.
fn value(at_ms: i64) -> f64 {
    ((at_ms / STEP_MS).wrapping_mul(2_654_435_761) >> 7 & 63) as f64
}

impl World {
    async fn new(series: i64) -> Self {
        let bucket = Arc::new(MemoryBucket::new());
        let clock = Arc::new(ManualClock::new(BASE_MS));
        let lake = Lake::open(bucket.clone(), clock.clone(), LakeOptions::default()).await.unwrap();
        lake.set_retention(None, &policy(), "test").await.unwrap();
        let telemetry = Arc::new(Telemetry::default());
        let router = router(Query::new(lake.clone(), clock.clone(), telemetry, QueryOptions::default()));
        Self { bucket, clock, lake, router, series, sequence: 1, late: BTreeMap::new() }
    }

    async fn write(&mut self, times: &[(i64, f64)], late: bool) {
        let mut batch = Batch::new();
        for name in ["fading", "lasting"] {
            for of in 0..if late { 1 } else { self.series } {
                let labels = Labels::from_pairs([("__name__", name), ("of", &of.to_string())]);
                let series = batch.push_series(labels.borrowed(), MetricKind::Gauge, Temporality::Cumulative);
                let sample = |&(timestamp_ms, value)| FloatSample { series, timestamp_ms, value };
                batch.floats.extend(times.iter().map(sample));
            }
        }
        let record =
            Record { tenant: TenantId::default(), key: None, received_ms: self.clock.now_ms(), batch };
        let sequence = SequenceNumber::from(self.sequence);
        self.sequence += 1;
        let incoming = Incoming { sequence, payload: record.encode().unwrap().into(), record };
        self.lake.append(ShardId(0), vec![incoming]).await.unwrap();
    }

    async fn maintain(&self) {
        self.lake.compact(CompactMode::Full).await.unwrap();
        self.lake.roll_up(&RollupWish::default(), |_| {}).await.unwrap();
        self.lake.expire(self.clock.now_ms()).await.unwrap();
        self.lake.collect_garbage().await.unwrap();
    }

    /// The sum over a day of all series of a metric from a tier; `None` when it has nothing to say.
    async fn sum(&self, name: &str, day: i64, tier: &str) -> Option<f64> {
        let time = (BASE_MS + (day + 1) * DAY_MS) / 1000;
        let uri = format!("/api/v1/query?query=sum(sum_over_time({name}%5B1d%5D))&time={time}{tier}");
        let request = Request::builder().uri(uri).body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let said = response.headers().get("weir-tier").map(|tier| tier.to_str().unwrap().to_owned());
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        let answer: Value = serde_json::from_slice(&body).unwrap();
        if let Some(tier) = tier.strip_prefix("&tier=") {
            assert!(
                answer["status"] == "error" || said.as_deref() == Some(tier),
                "{said:?}, asked for {tier}"
            );
        }
        answer["data"]["result"][0]["value"][1].as_str().map(|text| text.parse().unwrap())
    }

    fn expected(&self, name: &str, day: i64) -> f64 {
        let one: f64 = (1..=DAY_MS / STEP_MS).map(|n| value(BASE_MS + day * DAY_MS + n * STEP_MS)).sum();
        let late = if name == "lasting" { self.late.get(&day).copied().unwrap_or(0.0) } else { 0.0 };
        one * self.series as f64 + late
    }

    async fn check(&self, today: i64) {
        for age in 1..AGES[3].1 + 3 {
            let day = today - age;
            if day < 0 {
                break;
            }
            for (tier, days) in AGES {
                // On the day itself a part of it has expired.
                for name in ["fading", "lasting"] {
                    let context = format!("{name} of day {day} on day {today} from {tier}");
                    let found = self.sum(name, day, &format!("&tier={tier}")).await;
                    let want = self.expected(name, day);
                    if name == "lasting" || age < days {
                        assert_eq!(found, Some(want), "{context}");
                    } else if age > days {
                        assert_eq!(found, None, "{context}");
                    }
                }
            }
            let found = self.sum("fading", day, "").await;
            assert_eq!(found.is_some(), age <= AGES[3].1, "day {day} on day {today}: {found:?}");
        }
        let tenant = TenantId::default();
        let names = self.lake.label_values(&tenant, "__name__", &[], i64::MIN, i64::MAX, 10).await;
        assert_eq!(names.unwrap(), ["fading", "lasting"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_tier_answers_to_its_age_and_no_longer_and_late_samples_do_not_bring_it_back() {
    let days = setting("WEIR_AGES_DAYS", 40);
    let mut world = World::new(setting("WEIR_AGES_SERIES", 2)).await;
    let every = (days / 8).max(1);
    eprintln!("day, KiB and newest to oldest day of each tier");
    let mut raw_samples = Vec::new();
    for day in 0..days {
        let from_ms = BASE_MS + day * DAY_MS;
        let times: Vec<_> = (1..=DAY_MS / STEP_MS).map(|n| from_ms + n * STEP_MS).collect();
        let times: Vec<_> = times.into_iter().map(|at| (at, value(at))).collect();
        world.clock.set(from_ms + DAY_MS);
        world.write(&times, false).await;
        // What closes the day, so that it is rolled up.
        world.clock.set(from_ms + DAY_MS + 2 * HOUR_MS);
        if day % 4 == 1 && day >= LATE_DAYS {
            world.write(&[(from_ms - LATE_DAYS * DAY_MS + STEP_MS / 2, 1000.0)], true).await;
            *world.late.entry(day - LATE_DAYS).or_default() += 1000.0;
        }
        world.maintain().await;
        let now_ms = world.clock.now_ms();
        let usage = world.lake.usage(None, (now_ms, now_ms)).await.unwrap();
        raw_samples.push(usage.total[&StorageTier::Raw].samples);
        if day % every == every - 1 {
            world.check(day + 1).await;
            let of = |(tier, of): (&StorageTier, &weir_lake::TierUsage)| {
                let age = |at_ms: i64| (now_ms - at_ms) / DAY_MS;
                let (first, last) = of.times_ms.unwrap_or_default();
                format!("{} {} ({}-{})", tier.name(), of.bytes / 1024, age(last), age(first))
            };
            eprintln!("{day:4}  {}", usage.total.iter().map(of).collect::<Vec<_>>().join(", "));
        }
    }
    // Everything of the one metric has gone but for the days that its tiers keep: what is there beyond is the other's.
    let usage = world.lake.usage(None, (0, 0)).await.unwrap();
    for (tier, days_kept) in [(Tier::Hour, AGES[2].1), (Tier::Day, AGES[3].1)] {
        let of = usage.total[&StorageTier::Rollup(tier)];
        let per_day = DAY_MS / tier.width_ms() * world.series;
        let kept = |days: i64| (days.min(days_kept + 1) * per_day) as u64;
        // At least the last sample and the count of every interval, at most nine aggregates.
        let least = 2 * (days as u64 * per_day as u64 + kept(days - 1));
        let most = 9 * (days as u64 * per_day as u64 + kept(days) + 2 * days as u64);
        assert!((least..=most).contains(&of.samples), "{tier:?}: {} in {least}..={most}", of.samples);
    }
    let per_day = (DAY_MS / STEP_MS * world.series) as u64;
    let raw = *raw_samples.last().unwrap();
    let kept = days as u64 * per_day + (AGES[0].1 as u64 + 1) * per_day + days as u64;
    assert!(raw <= kept, "{raw} samples are stored, {kept} are to be kept");
    let objects = world.bucket.list("blocks/", None, usize::MAX).await.unwrap().len() as u64;
    let named: u64 =
        usage.total.iter().filter(|(t, _)| **t != StorageTier::Hot).map(|(_, of)| of.objects).sum();
    assert!(objects <= named + 64, "{objects} objects, {named} of them named");
}
