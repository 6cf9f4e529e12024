//! A lake that archives beside one that does not, over the same random writes: every answer is the same.

#[cfg(test)]
#[expect(dead_code, reason = "the histories of the model are for its own tests")]
mod support;

#[cfg(test)]
mod archive {
    use std::sync::Arc;
    use std::time::Duration;

    use bytes::Bytes;
    use weir_lake::{
        ArchiveReport, ArchiveRule, CompactMode, EraseWish, Incoming, Lake, LakeError, LakeOptions,
        RetentionPolicy, RollupWish, Selection, StorageTier, TierWish,
    };
    use weir_model::{
        AddedUp, Aggregate, Batch, Exemplar, FloatSample, Histogram, HistogramSample, Labels, MatchOp,
        Matcher, MetricKind, Record, Samples, Temporality, TenantId,
    };
    use weir_platform::{Bucket, Clock, ManualClock, MemoryBucket, SequenceNumber, ShardId, StorageClass};

    use super::support::Random;

    /// 2026-11-21T00:00:00Z.
    const BASE_MS: i64 = 1_795_219_200_000;
    const HOUR_MS: i64 = 3_600_000;
    const DAY_MS: i64 = 24 * HOUR_MS;
    const DAYS: i64 = 3;

    fn seeds() -> Vec<u64> {
        let number = |name| std::env::var(name).ok().and_then(|text: String| text.parse::<u64>().ok());
        number("WEIR_SEED")
            .map_or_else(|| (0..number("WEIR_SEEDS").unwrap_or(3)).collect(), |seed| vec![seed])
    }

    /// The same writes to two lakes; only the first archives.
    struct Pair {
        clock: Arc<ManualClock>,
        buckets: [Arc<MemoryBucket>; 2],
        lakes: [Arc<Lake>; 2],
        next: u128,
    }

    impl Pair {
        async fn new(options: LakeOptions) -> Self {
            let clock = Arc::new(ManualClock::new(BASE_MS));
            let buckets = [Arc::new(MemoryBucket::default()), Arc::new(MemoryBucket::default())];
            let mut lakes = Vec::new();
            for bucket in &buckets {
                lakes.push(Lake::open(bucket.clone(), clock.clone(), options.clone()).await.unwrap());
            }
            let rule = ArchiveRule { after_ms: Some(DAY_MS), ..ArchiveRule::default() };
            let policy = RetentionPolicy { archive: rule, ..RetentionPolicy::default() };
            lakes[0].set_retention(None, &policy, "test").await.unwrap();
            let lakes = lakes.try_into().unwrap();
            Self { clock, buckets, lakes, next: 1 }
        }

        async fn write(&mut self, batch: Batch) {
            let received_ms = self.clock.now_ms();
            let record = Record { tenant: TenantId::default(), key: None, received_ms, batch };
            let payload = Bytes::from(record.encode().unwrap());
            for lake in &self.lakes {
                let (payload, record) = (payload.clone(), record.clone());
                let incoming = Incoming { sequence: SequenceNumber::from(self.next), payload, record };
                lake.append(ShardId(0), vec![incoming]).await.unwrap();
            }
            self.next += 1;
        }

        async fn compact(&self, mode: CompactMode) {
            for lake in &self.lakes {
                lake.compact(mode).await.unwrap();
            }
        }

        async fn roll(&self) {
            for lake in &self.lakes {
                lake.roll_up(&RollupWish::default(), |_| ()).await.unwrap();
            }
        }

        async fn archive(&self) -> ArchiveReport {
            let report = self.lakes[0].archive(self.clock.now_ms(), Duration::from_secs(60)).await.unwrap();
            assert_eq!((report.failed, report.changed), (0, 0), "{report:?}");
            report
        }

        async fn keys(&self) -> Vec<String> {
            let listed = self.buckets[0].list("blocks/", None, usize::MAX).await.unwrap();
            listed.into_iter().map(|object| object.key).collect()
        }

        /// Keys of the objects that cannot be read as they are.
        async fn frozen(&self) -> Vec<String> {
            let mut keys = self.keys().await;
            keys.retain(|key| self.buckets[0].placement(key).unwrap().class.is_frozen());
            keys
        }

        async fn check(&self, random: &mut Random, context: &str) {
            let tenant = TenantId::default();
            for _ in 0..6 {
                let start_ms = BASE_MS + random.below((DAYS * 24) as u64) as i64 * HOUR_MS / 2;
                // Some ranges begin or end at an hour's or a day's very edge.
                let length_ms = 1 + random.below(30) as i64 * HOUR_MS;
                let (start_ms, end_ms) = match random.below(4) {
                    0 => (i64::MIN, i64::MAX),
                    1 => {
                        (start_ms.div_euclid(DAY_MS) * DAY_MS, start_ms.div_euclid(DAY_MS) * DAY_MS + DAY_MS)
                    }
                    _ => (start_ms, start_ms + length_ms),
                };
                let selection = Selection {
                    matchers: vec![],
                    start_ms,
                    end_ms,
                    max_series: 1_000,
                    bypass_cache: random.chance(50),
                };
                let mut answers = Vec::new();
                for lake in &self.lakes {
                    let selected = lake.select(&tenant, &selection).await.unwrap();
                    let (mut reader, mut found) = (selected.reader(), Vec::new());
                    for (place, info) in selected.series().iter().enumerate() {
                        let mut samples = Samples::default();
                        reader.read(place, &mut samples).unwrap();
                        if !samples.is_empty() {
                            found.push(format!("{info:?} {samples:?}"));
                        }
                    }
                    let any_of = [vec![Matcher::equal("__name__", "m0")]];
                    let exemplars = lake.exemplars(&tenant, &any_of, start_ms, end_ms, 10_000).await.unwrap();
                    // Labels are told of whole blocks that touch the range.
                    let names = lake.label_values(&tenant, "i", &[], i64::MIN, i64::MAX, 99).await.unwrap();
                    answers.push((found, format!("{exemplars:?} {names:?}")));
                }
                assert_eq!(answers[0], answers[1], "{context}, {start_ms}..={end_ms}");
            }
        }
    }

    fn batch(random: &mut Random, now_ms: i64) -> Batch {
        let mut batch = Batch::new();
        for _ in 0..1 + random.below(5) {
            let number = random.below(7);
            let temporality =
                if number.is_multiple_of(3) { Temporality::Delta } else { Temporality::Cumulative };
            let name = format!("m{}", number % 2);
            let labels = Labels::from_pairs([("__name__", name.as_str()), ("i", &number.to_string())]);
            let series = batch.push_series(labels.borrowed(), MetricKind::Unknown, temporality);
            for _ in 0..1 + random.below(3) {
                // Few times, so that late samples meet others; midnights among them, which end a day.
                let slots = (now_ms - BASE_MS) / (HOUR_MS / 2) + 1;
                let timestamp_ms = BASE_MS + random.below(slots as u64) as i64 * HOUR_MS / 2;
                let value = random.below(1_000) as f64;
                if random.chance(10) {
                    let histogram = Histogram { count: value, zero_count: value, ..Histogram::default() };
                    batch.histograms.push(HistogramSample {
                        series,
                        timestamp_ms,
                        histogram: histogram.into(),
                    });
                } else {
                    batch.floats.push(FloatSample { series, timestamp_ms, value });
                }
                if random.chance(50) {
                    let labels = Labels::from_pairs([("trace_id", format!("t{}", random.below(40)))]);
                    let at = timestamp_ms + random.below(20) as i64;
                    batch.exemplars.push(Exemplar { series, timestamp_ms: at, value, labels });
                }
            }
        }
        batch
    }

    #[tokio::test]
    async fn answers_over_archived_days_are_those_of_days_by_the_hour() {
        let mut archived = 0;
        for seed in seeds() {
            let mut random = Random(seed);
            let options = LakeOptions {
                merge_fan_in: 2 + random.below(3) as usize,
                max_block_series: if random.chance(30) { 3 } else { 1_000 },
                archive_bytes: if random.chance(50) { 30_000 } else { 1 << 20 },
                max_exemplars_per_series: 2,
                max_exemplars: 6,
                ..LakeOptions::default()
            };
            let mut pair = Pair::new(options).await;
            pair.clock.advance(DAY_MS);
            for step in 0..24 {
                for _ in 0..random.below(4) {
                    let now_ms = pair.clock.now_ms().min(BASE_MS + DAYS * DAY_MS);
                    let batch = batch(&mut random, now_ms);
                    pair.write(batch).await;
                }
                // Exemplars are bounded while they are hot; so both lakes make blocks at the same moments.
                match random.below(6) {
                    0 => pair.compact(CompactMode::Full).await,
                    1 | 2 => pair.compact(CompactMode::Scheduled).await,
                    3 => pair.roll().await,
                    4 => archived += pair.archive().await.merged,
                    _ => pair.clock.advance(random.below(10) as i64 * HOUR_MS),
                }
                pair.check(&mut random, &format!("WEIR_SEED={seed} step {step}")).await;
            }
            pair.clock.advance(3 * DAY_MS);
            pair.compact(CompactMode::Full).await;
            pair.roll().await;
            archived += pair.archive().await.merged;
            pair.check(&mut random, &format!("WEIR_SEED={seed} at the end")).await;
            assert_eq!(pair.lakes[0].roll_up(&RollupWish::default(), |_| ()).await.unwrap().days, 0);
            pair.lakes[0].collect_garbage().await.unwrap();
            let hourly = pair.keys().await.into_iter().filter(|key| {
                key.contains("res=raw") && !key.contains("/hour=24/") && !key.contains("day=2026-11-24")
            });
            // What came last may be too little to be worth it.
            assert!(hourly.count() <= 3 * 2 * 5, "seed {seed}");
        }
        assert!(archived > 2, "{archived} days archived");
    }

    #[tokio::test]
    async fn a_day_is_archived_when_it_is_old_and_rolled_up_and_only_once() {
        let mut pair = Pair::new(LakeOptions::default()).await;
        let mut random = Random(1);
        pair.clock.advance(DAY_MS);
        for _ in 0..30 {
            let batch = batch(&mut random, BASE_MS + DAY_MS - 1);
            pair.write(batch).await;
        }
        pair.compact(CompactMode::Full).await;
        pair.roll().await;
        assert_eq!(pair.archive().await.merged, 0, "it is young");
        pair.clock.advance(DAY_MS);
        assert_eq!(pair.archive().await.merged, 0, "it is not rolled up");
        pair.roll().await;
        let report = pair.archive().await;
        assert_eq!((report.merged, report.blocks_written), (1, 1), "{report:?}");
        assert!(report.blocks_replaced > 10 && report.bytes_written < report.bytes_replaced, "{report:?}");
        assert_eq!(pair.archive().await, ArchiveReport::default());
        pair.lakes[0].collect_garbage().await.unwrap();
        let raw: Vec<_> = pair.keys().await.into_iter().filter(|key| key.contains("res=raw")).collect();
        assert!(raw.iter().all(|key| key.contains("/day=2026-11-21/hour=24/")), "{raw:?}");
        pair.check(&mut random, "at the end").await;
    }

    fn whole(matchers: Vec<Matcher>) -> Selection {
        Selection { matchers, start_ms: i64::MIN, end_ms: i64::MAX, max_series: 99, bypass_cache: false }
    }

    #[tokio::test]
    async fn frozen_samples_are_asked_for_once_and_read_when_they_are_restored() {
        let mut pair = Pair::new(LakeOptions { cold_bytes: 0, ..LakeOptions::default() }).await;
        let rule = ArchiveRule { after_ms: Some(DAY_MS), storage_class: StorageClass::DeepArchive };
        let policy = RetentionPolicy { archive: rule, ..RetentionPolicy::default() };
        pair.lakes[0].set_retention(None, &policy, "test").await.unwrap();
        let mut random = Random(3);
        pair.clock.advance(3 * DAY_MS);
        for _ in 0..40 {
            let batch = batch(&mut random, BASE_MS + 2 * DAY_MS - 1);
            pair.write(batch).await;
        }
        // Rollups answer for floats alone.
        let mut plain = Batch::new();
        let labels = Labels::from_pairs([("__name__", "plain")]);
        let series = plain.push_series(labels.borrowed(), MetricKind::Gauge, Temporality::Cumulative);
        plain.floats.push(FloatSample { series, timestamp_ms: BASE_MS + HOUR_MS, value: 1.0 });
        pair.write(plain).await;
        pair.compact(CompactMode::Full).await;
        pair.roll().await;
        assert_eq!(pair.archive().await.merged, 2);
        let (lake, tenant) = (&pair.lakes[0], TenantId::default());
        lake.collect_garbage().await.unwrap();

        // Where they lie, and what of them does not.
        let raw: Vec<_> = pair.keys().await.into_iter().filter(|key| key.contains("res=raw")).collect();
        for key in &raw {
            let placement = pair.buckets[0].placement(key).unwrap();
            let samples = key.contains("/samples-");
            let class = if samples { StorageClass::DeepArchive } else { StorageClass::Standard };
            assert_eq!(placement.class, class, "{key}");
            let tags = [("tenant", "default".to_owned()), ("tier", "raw".to_owned())];
            assert!(
                !samples || placement.tags.starts_with(&tags) && placement.tags.len() == 3,
                "{placement:?}"
            );
        }
        let usage = lake.usage(None, (i64::MIN, i64::MAX)).await.unwrap();
        let [standard, _, _, _, frozen] = usage.total[&StorageTier::Raw].bytes_by_class;
        assert!(standard > 0 && frozen > 0 && standard + frozen == usage.total[&StorageTier::Raw].bytes);

        // Labels, exemplars and rollups are there all the same.
        let names = lake.label_values(&tenant, "i", &[], BASE_MS + 5, BASE_MS + DAY_MS, 99).await.unwrap();
        assert!(names.len() > 3, "{names:?}");
        assert!(!lake.exemplars(&tenant, &[vec![]], i64::MIN, i64::MAX, 9_999).await.unwrap().is_empty());
        let (aggregates, added_up) = (vec![Aggregate::Count], AddedUp::None);
        let wish = TierWish { grid_ms: 3_600_000, aggregates, added_up, tier: None };
        let days = Selection {
            start_ms: BASE_MS + 1,
            end_ms: BASE_MS + 2 * DAY_MS,
            ..whole(vec![Matcher::equal("__name__", "plain")])
        };
        assert!(lake.select_tier(&tenant, &days, &wish).await.unwrap().is_some());

        let refused = lake.select(&tenant, &whole(vec![])).await.unwrap_err();
        let LakeError::Frozen { reason, retry_after_s } = &refused else { panic!("{refused}") };
        assert_eq!(*retry_after_s, 12 * 3_600);
        for part in ["2026-11-21, 2026-11-22", "DEEP_ARCHIVE", "about 12 hours"] {
            assert!(reason.contains(part), "{reason}");
        }
        assert!(matches!(lake.select(&tenant, &whole(vec![])).await, Err(LakeError::Frozen { .. })));
        assert_eq!(pair.buckets[0].thaw().len(), 2);
        pair.check(&mut random, "restored").await;
    }

    #[tokio::test]
    async fn what_is_frozen_waits_and_keeps_nothing_else_waiting() {
        let mut pair = Pair::new(LakeOptions { cold_bytes: 0, ..LakeOptions::default() }).await;
        let rule = ArchiveRule { after_ms: Some(DAY_MS), storage_class: StorageClass::Glacier };
        let policy = RetentionPolicy { archive: rule, ..RetentionPolicy::default() };
        pair.lakes[0].set_retention(None, &policy, "test").await.unwrap();
        let mut random = Random(4);
        pair.clock.advance(3 * DAY_MS);
        for _ in 0..40 {
            let batch = batch(&mut random, BASE_MS + 3 * DAY_MS - 1);
            pair.write(batch).await;
        }
        pair.compact(CompactMode::Full).await;
        pair.roll().await;
        assert_eq!(pair.archive().await.merged, 2, "the third day is young");
        let lake = &pair.lakes[0];

        // Late samples of a frozen day: its rollup waits, that of the new day does not.
        pair.clock.advance(DAY_MS + 2 * HOUR_MS);
        let late = batch(&mut random, BASE_MS);
        let record = Record { tenant: TenantId::default(), key: None, received_ms: 0, batch: late };
        let payload = Bytes::from(record.encode().unwrap());
        let incoming = Incoming { sequence: SequenceNumber::from(pair.next), payload, record };
        lake.append(ShardId(0), vec![incoming]).await.unwrap();
        lake.compact(CompactMode::Full).await.unwrap();
        let rolled = lake.roll_up(&RollupWish::default(), |_| ()).await.unwrap();
        assert!(rolled.days_frozen > 0, "{rolled:?}");
        assert!(lake.archive(pair.clock.now_ms(), Duration::from_secs(60)).await.unwrap().merged > 0);

        let wish = |label: &str, value: &str| EraseWish {
            tenant: TenantId::default(),
            matchers: vec![Matcher::equal(label, value)],
            by: "test".to_owned(),
            drop_unreadable: false,
        };
        // Exemplars that go by their own labels need none of the samples.
        let exemplars = async || {
            let found = lake.exemplars(&TenantId::default(), &[vec![]], i64::MIN, i64::MAX, 9_999).await;
            found.unwrap().into_iter().map(|series| series.exemplars.len()).sum::<usize>()
        };
        let (before, frozen) = (exemplars().await, pair.frozen().await);
        let number = lake.request_erasure(&wish("trace_id", "t7")).await.unwrap().number;
        let report = lake.run_erasure(number, |_| ()).await.unwrap();
        assert_eq!((report.state.as_str(), report.frozen), ("watched", 0), "{report:?}");
        let gone = report.counts["raw"].exemplars as usize;
        assert_eq!((report.total().samples, exemplars().await), (0, before - gone));
        assert!(gone > 0, "{report:?}");
        assert_eq!(pair.frozen().await, frozen, "they stay where they are");

        let number = lake.request_erasure(&wish("i", "1")).await.unwrap().number;
        let report = lake.run_erasure(number, |_| ()).await.unwrap();
        assert_eq!((report.state.as_str(), report.frozen > 0), ("running", true), "{report:?}");
        assert!(report.total().samples > 0, "rollups are not frozen");
        assert_eq!(lake.erasures(&TenantId::default()).await.unwrap()[1].frozen, report.frozen);
        pair.buckets[0].thaw();
        let report = lake.run_erasure(number, |_| ()).await.unwrap();
        assert_eq!((report.state.as_str(), report.frozen), ("watched", 0), "{report:?}");
        // Written again, they are frozen again.
        assert!(matches!(
            lake.select(&TenantId::default(), &whole(vec![Matcher::equal("__name__", "m0")])).await,
            Err(LakeError::Frozen { .. })
        ));
        pair.buckets[0].thaw();
        let left = lake.select(&TenantId::default(), &whole(vec![])).await.unwrap();
        assert!(left.series().iter().all(|series| series.labels.get("i") != Some("1")));
        assert!(left.series().len() > 3);
    }

    #[tokio::test]
    async fn frozen_blocks_that_go_whole_are_dropped_unread() {
        let mut pair = Pair::new(LakeOptions { cold_bytes: 0, ..LakeOptions::default() }).await;
        let rule = ArchiveRule { after_ms: Some(DAY_MS), storage_class: StorageClass::Glacier };
        let policy = RetentionPolicy { archive: rule, ..RetentionPolicy::default() };
        pair.lakes[0].set_retention(None, &policy, "test").await.unwrap();
        for seed in 0..9 {
            let batch = batch(&mut Random(seed), BASE_MS + DAY_MS - 1);
            pair.write(batch).await;
        }
        pair.compact(CompactMode::Full).await;
        pair.clock.advance(3 * DAY_MS);
        pair.roll().await;
        assert_eq!(pair.archive().await.merged, 1);
        let wish = EraseWish {
            tenant: TenantId::default(),
            matchers: vec![Matcher::new("i", MatchOp::Regex, "[0-6]").unwrap()],
            by: "test".to_owned(),
            drop_unreadable: false,
        };
        let number = pair.lakes[0].request_erasure(&wish).await.unwrap().number;
        let report = pair.lakes[0].run_erasure(number, |_| ()).await.unwrap();
        assert_eq!((report.state.as_str(), report.frozen), ("watched", 0), "{report:?}");
        assert!(report.counts["raw"].samples > 0 && report.counts["raw"].dropped == 1, "{report:?}");
        assert!(pair.buckets[0].thaw().is_empty(), "no restore was asked for");
    }

    #[tokio::test]
    async fn a_policy_may_leave_days_as_they_are() {
        let mut pair = Pair::new(LakeOptions::default()).await;
        let rule = ArchiveRule { after_ms: None, ..ArchiveRule::default() };
        let policy = RetentionPolicy { archive: rule, ..RetentionPolicy::default() };
        pair.lakes[0].set_retention(None, &policy, "test").await.unwrap();
        let batch = batch(&mut Random(2), BASE_MS + HOUR_MS);
        pair.write(batch).await;
        pair.compact(CompactMode::Full).await;
        pair.clock.advance(30 * DAY_MS);
        pair.roll().await;
        assert_eq!(pair.archive().await, ArchiveReport::default());
    }
}
