//! Retention on a simulated clock: what is shown at every age, what is left in the blocks, and crashes.

#[cfg(test)]
#[expect(dead_code, reason = "the histories of the model are for its own tests")]
mod support;

#[cfg(test)]
mod retention {
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::time::Duration;

    use bytes::Bytes;
    use weir_lake::{
        Ages, ArchiveRule, CompactMode, Condition, Incoming, Lake, LakeOptions, RetentionClass,
        RetentionPolicy, RollupWish, Selection,
    };
    use weir_model::{
        Batch, Exemplar, FloatSample, Labels, Matcher, MetricKind, Record, Samples, Temporality, TenantId,
    };
    use weir_platform::{ManualClock, SequenceNumber, ShardId};

    use super::support::Random;
    use super::support::bucket::{Faults, FaultyBucket};

    /// 2026-11-21T00:00:00Z.
    const BASE_MS: i64 = 1_795_219_200_000;
    const MINUTE_MS: i64 = 60_000;
    const HOUR_MS: i64 = 60 * MINUTE_MS;
    /// Metrics with the hours that they are kept.
    const KEPT: [(&str, Option<i64>); 4] =
        [("fast_a", Some(25)), ("fast_b", Some(25)), ("slow", Some(60)), ("ever", None)];

    fn class(name: &str, pattern: &str, hours: i64) -> RetentionClass {
        let condition = Condition { label: "__name__".into(), op: "=~".into(), value: pattern.into() };
        let ages = Ages { raw_ms: Some(hours * HOUR_MS), ..Ages::default() };
        RetentionClass { name: name.into(), any_of: vec![vec![condition]], ages }
    }

    fn policy() -> RetentionPolicy {
        let classes = vec![class("fast", "fast_.*", 25), class("slow", "slow", 60)];
        RetentionPolicy { classes, ..RetentionPolicy::default() }
    }

    fn labels(name: &str) -> Labels {
        Labels::from_pairs([("__name__", name), ("job", "test")])
    }

    struct World {
        bucket: Arc<FaultyBucket>,
        clock: Arc<ManualClock>,
        lake: Arc<Lake>,
        sequence: u128,
        written: Vec<i64>,
        /// Whether there are rollups, which know series for longer than their samples are kept.
        rolled_up: bool,
    }

    impl World {
        async fn new(sole_writer: bool) -> Self {
            let bucket = Arc::new(FaultyBucket::default());
            let clock = Arc::new(ManualClock::new(BASE_MS));
            let lake = open(&bucket, &clock, sole_writer).await;
            Self { bucket, clock, lake, sequence: 0, written: Vec::new(), rolled_up: false }
        }

        fn now_ms(&self) -> i64 {
            weir_platform::Clock::now_ms(&*self.clock)
        }

        async fn write(&mut self, at_ms: i64) {
            let mut batch = Batch::new();
            for (name, _) in KEPT {
                let labels = labels(name);
                let series = batch.push_series(labels.borrowed(), MetricKind::Gauge, Temporality::Cumulative);
                batch.floats.push(FloatSample { series, timestamp_ms: at_ms, value: at_ms as f64 });
                let own = Labels::from_pairs([("trace_id", "t")]);
                batch.exemplars.push(Exemplar { series, timestamp_ms: at_ms, value: 1.0, labels: own });
            }
            let record = Record { tenant: TenantId::default(), key: None, received_ms: self.now_ms(), batch };
            self.sequence += 1;
            let payload = Bytes::from(record.encode().unwrap());
            let incoming = Incoming { sequence: SequenceNumber::from(self.sequence), payload, record };
            self.lake.append(ShardId(0), vec![incoming]).await.unwrap();
            self.written.push(at_ms);
        }

        /// What must be there now, by metric, when expiry comes later by that much.
        fn expected(&self, slack_ms: i64) -> BTreeMap<String, Vec<i64>> {
            let mut written = self.written.clone();
            written.sort_unstable();
            written.dedup();
            let shown = |hours: Option<i64>| {
                let floor = hours.map_or(i64::MIN, |hours| self.now_ms() - hours * HOUR_MS - slack_ms);
                written.iter().copied().filter(move |at| *at >= floor).collect::<Vec<_>>()
            };
            let all = KEPT.into_iter().map(|(name, hours)| (name.to_owned(), shown(hours)));
            all.filter(|(_, times)| !times.is_empty()).collect()
        }

        async fn check(&self, context: &str) {
            let lake = &self.lake;
            let want = self.expected(0);
            let selection = Selection {
                matchers: vec![Matcher::equal("job", "test")],
                start_ms: i64::MIN,
                end_ms: i64::MAX,
                max_series: 100,
                bypass_cache: false,
            };
            let tenant = TenantId::default();
            let selected = lake.select(&tenant, &selection).await.unwrap();
            let (mut found, mut samples) = (BTreeMap::new(), Samples::default());
            for (place, info) in selected.series().iter().enumerate() {
                selected.reader().read(place, &mut samples).unwrap();
                if !samples.timestamps.is_empty() {
                    found.insert(info.labels.metric_name().to_owned(), samples.timestamps.clone());
                }
            }
            assert_eq!(found, want, "samples, {context}");
            let series = lake.series(&tenant, &[], i64::MIN, i64::MAX, 100).await.unwrap();
            let mut names: Vec<_> = series.iter().map(|labels| labels.metric_name().to_owned()).collect();
            names.sort_unstable();
            assert!(self.rolled_up || names.iter().eq(want.keys()), "series {names:?}, {context}");
            let exemplars = lake.exemplars(&tenant, &[], i64::MIN, i64::MAX, 100_000).await.unwrap();
            for series in exemplars {
                let kept = &want[series.labels.metric_name()];
                let early = series.exemplars.iter().find(|e| e.timestamp_ms < kept[0]);
                assert!(early.is_none(), "an exemplar of {} has expired, {context}", series.labels);
            }
        }

        /// Samples in blocks.
        fn stored(&self) -> u64 {
            self.lake.statistics().tenants["default"].samples
        }
    }

    async fn open(bucket: &Arc<FaultyBucket>, clock: &Arc<ManualClock>, sole_writer: bool) -> Arc<Lake> {
        // The bucket's clock is the machine's: objects under way would look old by the simulated one.
        let orphan_age_ms = if sole_writer { HOUR_MS } else { i64::MAX };
        let options = LakeOptions { sole_writer, orphan_age_ms, refresh_ms: -1, ..LakeOptions::default() };
        Lake::open(bucket.clone(), clock.clone(), options).await.unwrap()
    }

    #[tokio::test]
    async fn at_every_age_what_is_kept_is_shown_and_what_has_expired_goes_within_the_hour() {
        let mut world = World::new(true).await;
        kept_through_all_ages(&mut world, None).await;
        let reopened = open(&world.bucket, &world.clock, true).await;
        let archive = ArchiveRule { after_ms: None, ..ArchiveRule::default() };
        let kept = RetentionPolicy { archive, ..policy() };
        assert_eq!(reopened.retention(&TenantId::default()), Some(kept), "the manifest knows it");
    }

    #[tokio::test]
    async fn of_an_archived_day_too_what_has_expired_goes_within_the_hour() {
        let mut world = World::new(true).await;
        let archived = kept_through_all_ages(&mut world, Some(HOUR_MS)).await;
        assert!(archived > 3, "{archived} merges: days are archived again when an age has passed them");
        let keys = world.bucket.keys("blocks/").await;
        let of_first_days = keys.iter().filter(|key| key.contains("hour=24/") && key.contains("samples"));
        assert!((3..=4).contains(&of_first_days.count()), "one block of each day: {keys:?}");
    }

    /// Writes two days of samples and follows them until all ages have passed; returns how many merges archiving
    /// made, days being archived at that age.
    async fn kept_through_all_ages(world: &mut World, archive_ms: Option<i64>) -> u64 {
        let archive = ArchiveRule { after_ms: archive_ms, ..ArchiveRule::default() };
        let policy = RetentionPolicy { archive, ..policy() };
        world.lake.set_retention(None, &policy, "test").await.unwrap();
        let (mut dropped, mut archived) = (0, 0);
        for half_hour in 0..200 {
            // Late samples are among them.
            if half_hour < 96 {
                world.write(world.now_ms()).await;
                if half_hour % 7 == 3 {
                    world.write(world.now_ms() - 20 * HOUR_MS).await;
                }
            } else if half_hour > 190 {
                world.clock.advance(10 * HOUR_MS);
            }
            world.check(&format!("before run {half_hour}")).await;
            world.lake.compact(CompactMode::Full).await.unwrap();
            if archive_ms.is_some() {
                world.rolled_up = true;
                world.lake.roll_up(&RollupWish::default(), |_| ()).await.unwrap();
            }
            archived += world.lake.archive(world.now_ms(), Duration::MAX).await.unwrap().merged;
            dropped += world.lake.expire(world.now_ms()).await.unwrap().dropped;
            world.lake.collect_garbage().await.unwrap();
            world.check(&format!("after run {half_hour}")).await;
            // What is stored besides is of hours whose last sample has not expired.
            let count = |slack_ms| world.expected(slack_ms).values().map(Vec::len).sum::<usize>();
            let stored = world.stored() as usize;
            assert!((count(0)..=count(HOUR_MS)).contains(&stored), "{stored} stored, {} shown", count(0));
            let again = world.lake.expire(world.now_ms()).await.unwrap();
            assert_eq!(again.examined, 0, "nothing is looked at twice");
            world.clock.advance(30 * MINUTE_MS);
        }
        assert_eq!(dropped, 0, "something of every hour is kept for ever");
        archived
    }

    #[tokio::test]
    async fn when_everything_expires_whole_blocks_go_unread_and_their_objects_with_them() {
        let mut world = World::new(true).await;
        let default = Ages { raw_ms: Some(6 * HOUR_MS), ..Ages::default() };
        let all = RetentionPolicy { default, ..RetentionPolicy::default() };
        world.lake.set_retention(Some(&TenantId::default()), &all, "test").await.unwrap();
        for _ in 0..12 {
            world.write(world.now_ms()).await;
            world.clock.advance(15 * MINUTE_MS);
        }
        world.lake.compact(CompactMode::Full).await.unwrap();
        world.lake.collect_garbage().await.unwrap();
        assert_eq!(world.lake.expire(i64::MAX).await.unwrap().examined, 0, "an event cannot be ahead");
        world.clock.advance(7 * HOUR_MS);
        let report = world.lake.expire(world.now_ms()).await.unwrap();
        assert_eq!((report.dropped, report.rewritten, report.samples), (3, 0, 48));
        world.lake.collect_garbage().await.unwrap();
        assert!(world.bucket.keys("blocks/").await.is_empty());
    }

    #[tokio::test]
    async fn changes_of_policies_are_numbered_and_say_what_was_before() {
        let world = World::new(true).await;
        let (lake, tenant) = (&world.lake, TenantId::default());
        lake.set_retention(None, &policy(), "file").await.unwrap();
        lake.set_retention(None, &policy(), "file").await.unwrap();
        let other = RetentionPolicy::default();
        lake.set_retention(Some(&tenant), &other, "ann").await.unwrap();
        assert_eq!(lake.retention(&tenant), Some(other.clone()));
        lake.set_retention(Some(&tenant), &policy(), "bob").await.unwrap();
        let history = lake.retention_history(Some(&tenant), 10).await.unwrap();
        let rows: Vec<_> = history.iter().map(|c| (c.number, c.by.as_str(), c.before.clone())).collect();
        assert_eq!(rows, [(1, "ann", None), (2, "bob", Some(other))]);
        assert_eq!(lake.retention_history(None, 10).await.unwrap().len(), 1, "no change is none");
    }

    /// Crashes at every operation of a run, and runs side by side; `WEIR_SCHEDULES` sets how many histories.
    #[tokio::test]
    async fn crashes_and_concurrent_runs_change_no_answer() {
        let count = std::env::var("WEIR_SCHEDULES").ok().and_then(|n| n.parse().ok()).unwrap_or(40u64);
        let given = std::env::var("WEIR_SEED").ok().and_then(|seed| seed.parse().ok());
        for seed in given.map_or(0..count, |seed: u64| seed..seed + 1) {
            let context = format!("WEIR_SEED={seed}");
            let mut random = Random(seed);
            let mut world = World::new(false).await;
            world.lake.set_retention(None, &policy(), "test").await.unwrap();
            for step in 0..12 {
                for _ in 0..random.below(4) {
                    let late_ms = if random.chance(30) { random.below(20) as i64 * HOUR_MS } else { 0 };
                    world.write(world.now_ms() - late_ms).await;
                }
                let fault = match random.below(3) {
                    0 => Faults::None,
                    1 => Faults::Sometimes(Random(random.bits()), 3),
                    _ => Faults::CrashAt {
                        operation: random.below(30) as usize,
                        after_effect: random.chance(50),
                    },
                };
                let other = open(&world.bucket, &world.clock, false).await;
                world.bucket.set(fault);
                let now_ms = world.now_ms();
                // Failures are what is tested; the next run makes up for them.
                let (one, two) = (world.lake.clone(), other.clone());
                let first =
                    async move { (one.compact(CompactMode::Scheduled).await, one.expire(now_ms).await) };
                let second = async move { (two.expire(now_ms).await, two.collect_garbage().await) };
                drop(tokio::join!(first, second));
                world.bucket.set(Faults::None);
                if random.chance(30) {
                    world.lake = open(&world.bucket, &world.clock, false).await;
                }
                world.check(&format!("{context} step {step}")).await;
                world.clock.advance(random.below(8) as i64 * HOUR_MS);
            }
            // Undisturbed, everything expired goes, and nothing is left that the manifest does not name.
            world.lake = open(&world.bucket, &world.clock, true).await;
            for _ in 0..3 {
                world.clock.advance(24 * HOUR_MS);
                world.lake.compact(CompactMode::Full).await.unwrap();
                world.lake.expire(world.now_ms()).await.unwrap();
                world.lake.collect_garbage().await.unwrap();
            }
            world.check(&context).await;
            let statistics = world.lake.statistics();
            let blocks = statistics.tenants.get("default").map_or(0, |tenant| tenant.blocks);
            let objects = world.bucket.keys("blocks/").await.len() as u64;
            assert_eq!(objects, 3 * blocks, "{context}: objects of blocks");
        }
    }
}
