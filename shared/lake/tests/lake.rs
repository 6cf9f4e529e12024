//! What a lake promises, one promise a test.

#[cfg(test)]
mod lake {
    use std::sync::Arc;

    use bytes::Bytes;
    use weir_lake::{CompactMode, Incoming, Lake, LakeError, LakeOptions, Selection};
    use weir_model::{
        Batch, Exemplar, FloatSample, Labels, Matcher, Metadata, MetricKind, Record, RecordKey, Samples,
        Temporality, TenantId,
    };
    use weir_platform::{Bucket, ManualClock, MemoryBucket, SequenceNumber, ShardId};

    /// 2026-11-21T00:00:00Z.
    const BASE_MS: i64 = 1_795_219_200_000;
    const SHARD: ShardId = ShardId(0);

    struct World {
        bucket: Arc<MemoryBucket>,
        clock: Arc<ManualClock>,
        lake: Arc<Lake>,
        options: LakeOptions,
    }

    impl World {
        async fn new(options: LakeOptions) -> Self {
            let bucket = Arc::new(MemoryBucket::new());
            let clock = Arc::new(ManualClock::new(BASE_MS));
            let lake = Lake::open(bucket.clone(), clock.clone(), options.clone()).await.unwrap();
            Self { bucket, clock, lake, options }
        }

        async fn open(&self) -> Result<Arc<Lake>, LakeError> {
            Lake::open(self.bucket.clone(), self.clock.clone(), self.options.clone()).await
        }

        async fn append(&self, sequence: u128, record: Record) {
            self.lake.append(SHARD, vec![incoming(sequence, record)]).await.unwrap();
        }

        async fn keys(&self, prefix: &str) -> Vec<String> {
            let listed = self.bucket.list(prefix, None, usize::MAX).await.unwrap();
            listed.into_iter().map(|o| o.key).collect()
        }

        /// Puts other bytes in the place of an object.
        async fn damage(&self, key: &str, change: impl Fn(&mut Vec<u8>)) {
            let mut bytes = self.bucket.get(key).await.unwrap().to_vec();
            change(&mut bytes);
            self.bucket.delete(key).await.unwrap();
            self.bucket.create(key, bytes.into()).await.unwrap();
        }
    }

    fn incoming(sequence: u128, record: Record) -> Incoming {
        let payload = Bytes::from(record.encode().unwrap());
        Incoming { sequence: SequenceNumber::from(sequence), payload, record }
    }

    fn labels(name: &str) -> Labels {
        Labels::from_pairs([("__name__", name), ("job", "test")])
    }

    fn record(rows: &[(Labels, i64, f64)]) -> Record {
        let mut batch = Batch::new();
        for (labels, timestamp_ms, value) in rows {
            let series = batch.push_series(labels.borrowed(), MetricKind::Unknown, Temporality::Cumulative);
            batch.floats.push(FloatSample { series, timestamp_ms: *timestamp_ms, value: *value });
        }
        Record { tenant: TenantId::default(), key: None, received_ms: BASE_MS, batch }
    }

    fn everything() -> Selection {
        Selection {
            matchers: Vec::new(),
            start_ms: i64::MIN,
            end_ms: i64::MAX,
            max_series: 1_000,
            bypass_cache: false,
        }
    }

    /// Every sample: labels, timestamp, value.
    async fn rows(lake: &Lake, selection: &Selection) -> Vec<(Labels, i64, f64)> {
        let selected = lake.select(&TenantId::default(), selection).await.unwrap();
        let (mut reader, mut samples, mut rows) = (selected.reader(), Samples::default(), Vec::new());
        for (index, info) in selected.series().iter().enumerate() {
            reader.read(index, &mut samples).unwrap();
            let columns = samples.timestamps.iter().zip(&samples.values);
            rows.extend(columns.map(|(at, value)| (info.labels.clone(), *at, *value)));
        }
        rows
    }

    #[tokio::test]
    async fn series_and_timestamps_of_every_kind_survive_compaction() {
        let world = World::new(LakeOptions::default()).await;
        let long = "v".repeat(100_000);
        let names = ["a", "ü ∞", "A.b/c"].map(|n| Labels::from_pairs([("__name__", n), ("Zone", "z\"\\\n")]));
        let odd = [Labels::empty(), Labels::from_pairs([("x", &long)]), Labels::from_pairs([("only", "1")])];
        let times =
            [i64::MIN, i64::MIN + 3_600_001, -3_600_001, -1, 0, 3_599_999, 3_600_000, BASE_MS, i64::MAX];
        let mut wanted = Vec::new();
        for labels in names.into_iter().chain(odd) {
            wanted.extend(times.iter().map(|at| (labels.clone(), *at, *at as f64 / 7.0)));
        }
        wanted.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
        world.append(1, record(&wanted)).await;
        assert_eq!(rows(&world.lake, &everything()).await, wanted, "hot");
        world.lake.compact(CompactMode::Scheduled).await.unwrap();
        assert_eq!(world.lake.hot().samples, 0);
        assert_eq!(rows(&world.lake, &everything()).await, wanted, "in blocks");
        let one = Selection { start_ms: -1, end_ms: 0, ..everything() };
        assert!(rows(&world.lake, &one).await.iter().all(|r| r.1 == -1 || r.1 == 0));
        let days = world.keys("blocks/tenant=default/res=raw/day=1969-12-31/hour=23/").await;
        assert_eq!(days.len(), 2, "the last hour before 1970 is one block of two objects: {days:?}");
    }

    #[tokio::test]
    async fn bounds_of_a_selection_are_named_errors() {
        let world = World::new(LakeOptions { max_select_bytes: 64, ..LakeOptions::default() }).await;
        world.append(1, record(&[(labels("a"), BASE_MS, 1.0), (labels("b"), BASE_MS, 2.0)])).await;
        let two = Selection { max_series: 2, ..everything() };
        let one = Selection { max_series: 1, ..everything() };
        for state in ["hot", "in blocks"] {
            assert_eq!(rows(&world.lake, &two).await.len(), 2, "{state}");
            let refused = world.lake.select(&TenantId::default(), &one).await.unwrap_err();
            assert!(matches!(refused, LakeError::Limit { found: 2, limit: 1, .. }), "{state}: {refused}");
            if state == "hot" {
                // The bound on bytes would refuse the block's pages.
                let wide = LakeOptions { max_select_bytes: 1 << 20, ..world.options.clone() };
                world.lake.compact(CompactMode::Full).await.unwrap();
                let refused = world.lake.select(&TenantId::default(), &two).await.unwrap_err();
                assert!(matches!(refused, LakeError::Limit { limit: 64, .. }), "{refused}");
                let lake = Lake::open(world.bucket.clone(), world.clock.clone(), wide).await.unwrap();
                assert_eq!(rows(&lake, &two).await.len(), 2);
                return;
            }
        }
    }

    #[tokio::test]
    async fn a_tenant_sees_nothing_of_another() {
        let world = World::new(LakeOptions::default()).await;
        let other = TenantId::new("other").unwrap();
        let theirs = Record { tenant: other.clone(), ..record(&[(labels("secret"), BASE_MS, 1.0)]) };
        world.append(1, theirs).await;
        for _ in 0..2 {
            assert_eq!(rows(&world.lake, &everything()).await, []);
            let (lake, mine) = (&world.lake, TenantId::default());
            assert!(lake.series(&mine, &[], i64::MIN, i64::MAX, 9).await.unwrap().is_empty());
            assert_eq!(lake.series(&other, &[], i64::MIN, i64::MAX, 9).await.unwrap(), [labels("secret")]);
            lake.compact(CompactMode::Full).await.unwrap();
        }
    }

    #[tokio::test]
    async fn discovery_answers_alike_from_hot_samples_and_from_blocks() {
        let world = World::new(LakeOptions::default()).await;
        let of = |name: &str, zone: &str| Labels::from_pairs([("__name__", name), ("zone", zone)]);
        let late = BASE_MS + 7_200_000;
        world.append(1, record(&[(of("a", "1"), BASE_MS, 1.0), (of("a", "2"), late, 1.0)])).await;
        world.append(2, record(&[(labels("b"), BASE_MS, 1.0)])).await;
        let tenant = TenantId::default();
        for state in ["hot", "in blocks"] {
            let lake = &world.lake;
            let a = vec![Matcher::equal("__name__", "a")];
            let b = vec![Matcher::equal("job", "test")];
            let series = lake.series(&tenant, &[a.clone(), b], BASE_MS, BASE_MS + 1, 9).await.unwrap();
            assert_eq!(series, [of("a", "1"), labels("b")], "{state}");
            let names = lake.label_names(&tenant, &[], BASE_MS, late, 9).await.unwrap();
            assert_eq!(names, ["__name__", "job", "zone"], "{state}");
            let names = lake.label_names(&tenant, std::slice::from_ref(&a), BASE_MS, late, 1).await.unwrap();
            assert_eq!(names, ["__name__"], "{state}, limited");
            let values = lake.label_values(&tenant, "zone", &[], BASE_MS, late, 9).await.unwrap();
            assert_eq!(values, ["1", "2"], "{state}");
            let values = lake.label_values(&tenant, "zone", &[a], late, late, 9).await.unwrap();
            assert_eq!(values, ["2"], "{state}, of the later hour");
            lake.compact(CompactMode::Scheduled).await.unwrap();
        }
    }

    #[tokio::test]
    async fn metadata_is_kept_and_the_latest_declaration_wins() {
        let world = World::new(LakeOptions::default()).await;
        let declare = |family: &str, help: &str| {
            let mut record = record(&[(labels(family), BASE_MS, 1.0)]);
            let (kind, unit) = (MetricKind::Counter, "bytes".to_owned());
            record.batch.metadata.push(Metadata { family: family.into(), kind, unit, help: help.into() });
            record
        };
        let helps = async |lake: &Lake, family: Option<&str>| {
            let found = lake.metadata(&TenantId::default(), family, 9).await.unwrap();
            found.into_iter().map(|m| format!("{}: {}", m.family, m.help)).collect::<Vec<_>>()
        };
        world.append(1, declare("a", "old")).await;
        world.append(2, declare("b", "b")).await;
        world.lake.compact(CompactMode::Full).await.unwrap();
        world.append(3, declare("a", "new")).await;
        assert_eq!(helps(&world.lake, None).await, ["a: new", "b: b"]);
        world.lake.compact(CompactMode::Full).await.unwrap();
        world.lake.collect_garbage().await.unwrap();
        let reopened = world.open().await.unwrap();
        for lake in [&world.lake, &reopened] {
            assert_eq!(helps(lake, None).await, ["a: new", "b: b"]);
            assert_eq!(helps(lake, Some("a")).await, ["a: new"]);
            assert!(helps(lake, Some("c")).await.is_empty());
        }
        assert_eq!(world.keys("metadata/").await.len(), 1, "the replaced object is gone");
        // The series got its kind from its family.
        let selected = reopened.select(&TenantId::default(), &everything()).await.unwrap();
        assert!(selected.series().iter().all(|s| s.kind == MetricKind::Counter));
        // Nothing new declared: no new object.
        world.append(4, declare("a", "new")).await;
        let before = world.keys("metadata/").await;
        world.lake.compact(CompactMode::Full).await.unwrap();
        assert_eq!(world.keys("metadata/").await, before);
    }

    /// A record of nothing but exemplars: series, timestamp, trace.
    fn examples(rows: &[(Labels, i64, &str)]) -> Record {
        let mut batch = Batch::new();
        for (labels, timestamp_ms, trace) in rows {
            let series = batch.push_series(labels.borrowed(), MetricKind::Counter, Temporality::Cumulative);
            let labels = Labels::from_pairs([("trace_id", *trace)]);
            batch.exemplars.push(Exemplar { series, timestamp_ms: *timestamp_ms, value: 0.5, labels });
        }
        Record { tenant: TenantId::default(), key: None, received_ms: BASE_MS, batch }
    }

    /// Every exemplar of series `name`: timestamp and trace.
    async fn traces(lake: &Arc<Lake>, name: &str) -> Vec<(i64, String)> {
        let any_of = [vec![Matcher::equal("__name__", name)]];
        let found = lake.exemplars(&TenantId::default(), &any_of, i64::MIN, i64::MAX, 100).await.unwrap();
        let of_series = found.into_iter().flat_map(|series| series.exemplars);
        of_series.map(|e| (e.timestamp_ms, e.labels.get("trace_id").unwrap().to_owned())).collect()
    }

    #[tokio::test]
    async fn exemplars_live_as_long_as_their_blocks_with_samples_or_without() {
        let world = World::new(LakeOptions::default()).await;
        let (a, b) = (labels("a"), labels("b"));
        let before = BASE_MS - 1;
        world.append(1, record(&[(a.clone(), BASE_MS, 1.0)])).await;
        world.append(2, examples(&[(a.clone(), BASE_MS, "x"), (a.clone(), before, "y")])).await;
        // Redelivered by its sender under no key.
        world.append(3, examples(&[(a.clone(), BASE_MS, "x"), (b.clone(), BASE_MS, "z")])).await;
        let wanted = [(before, "y".to_owned()), (BASE_MS, "x".to_owned())];
        assert_eq!(traces(&world.lake, "a").await, wanted, "hot");
        let report = world.lake.compact(CompactMode::Scheduled).await.unwrap();
        assert_eq!((report.blocks_written, report.exemplars, report.exemplars_dropped), (2, 3, 0));
        assert_eq!(traces(&world.lake, "a").await, wanted, "in blocks");
        let keys = world.keys("blocks/").await;
        assert_eq!(keys.len(), 1 + 3, "the hour of nothing but an exemplar is one object: {keys:?}");
        assert_eq!(rows(&world.lake, &everything()).await.len(), 1);
        let known = world.lake.series(&TenantId::default(), &[], before, BASE_MS, 9).await.unwrap();
        assert_eq!(known, std::slice::from_ref(&a), "series are those with samples");
        // The same again, and a sample where there was none.
        world.append(4, examples(&[(a.clone(), before, "y"), (b.clone(), BASE_MS, "z")])).await;
        world.append(5, record(&[(a.clone(), before, 0.0)])).await;
        world.lake.compact(CompactMode::Full).await.unwrap();
        world.lake.collect_garbage().await.unwrap();
        let reopened = world.open().await.unwrap();
        for lake in [&world.lake, &reopened] {
            assert_eq!(traces(lake, "a").await, wanted, "merged");
            assert_eq!(traces(lake, "b").await, [(BASE_MS, "z".to_owned())]);
            assert_eq!(lake.statistics().tenants["default"].exemplars, 3);
            let other = TenantId::new("other").unwrap();
            assert!(lake.exemplars(&other, &[Vec::new()], 0, i64::MAX, 9).await.unwrap().is_empty());
            let refused = lake.exemplars(&TenantId::default(), &[Vec::new()], 0, i64::MAX, 2).await;
            assert!(matches!(refused, Err(LakeError::Limit { found: 3, limit: 2, .. })), "{refused:?}");
        }
        let keys = world.keys("blocks/").await;
        assert_eq!(keys.len(), 3 + 3, "replaced objects are gone: {keys:?}");
        let exemplars = keys.iter().find(|key| key.contains("/exemplars-")).unwrap();
        world.damage(exemplars, |bytes| bytes[50] ^= 1).await;
        let refused = reopened.exemplars(&TenantId::default(), &[Vec::new()], 0, i64::MAX, 9).await;
        assert!(matches!(&refused, Err(LakeError::Damaged { key, .. }) if key == exemplars), "{refused:?}");
    }

    #[tokio::test]
    async fn the_newest_exemplars_of_a_series_and_hour_are_kept_and_the_others_counted() {
        let options = LakeOptions { max_exemplars_per_series: 2, ..LakeOptions::default() };
        let world = World::new(options).await;
        let append = async |sequence, after_ms: &[i64]| {
            let rows: Vec<_> = after_ms.iter().map(|at| (labels("a"), BASE_MS + at, "t")).collect();
            let batch = vec![incoming(sequence, examples(&rows))];
            let appended = world.lake.append(SHARD, batch).await.unwrap();
            (appended.exemplars, appended.exemplars_dropped)
        };
        assert_eq!(append(1, &[5, 1, 3, 3, 3_600_000]).await, (5, 1));
        world.lake.compact(CompactMode::Full).await.unwrap();
        assert_eq!(append(2, &[4]).await, (1, 0));
        let kept = |all: Vec<(i64, String)>| all.into_iter().map(|e| e.0 - BASE_MS).collect::<Vec<_>>();
        for _ in 0..2 {
            assert_eq!(kept(traces(&world.lake, "a").await), [4, 5, 3_600_000]);
            let dropped = world.lake.compact(CompactMode::Full).await.unwrap().exemplars_dropped;
            assert!(dropped <= 1, "when merged");
        }
        assert_eq!(world.lake.statistics().tenants["default"].exemplars, 3);
    }

    #[tokio::test]
    async fn a_retry_is_dropped_after_compaction_garbage_collection_and_a_restart() {
        let mut world = World::new(LakeOptions::default()).await;
        let keyed = |key: u128, after_ms: i64, value: f64| Record {
            key: Some(RecordKey(key)),
            received_ms: BASE_MS + after_ms,
            ..record(&[(labels("a"), BASE_MS + after_ms, value)])
        };
        world.clock.advance(3_600_000);
        world.append(1, keyed(1, 0, 1.0)).await;
        world.lake.compact(CompactMode::Full).await.unwrap();
        world.lake.collect_garbage().await.unwrap();
        assert_eq!(world.keys("hot/").await.len(), 1, "the segment stays for its key");
        world.lake = world.open().await.unwrap();
        let batch = vec![incoming(2, keyed(1, 60_000, 2.0)), incoming(3, keyed(2, 60_000, 3.0))];
        let appended = world.lake.append(SHARD, batch.clone()).await.unwrap();
        assert_eq!((appended.records, appended.repeated_keys, appended.already_covered), (1, 1, 0));
        assert_eq!(appended.covered_through, Some(SequenceNumber::from(3)));
        let again = world.lake.append(SHARD, batch).await.unwrap();
        assert_eq!((again.records, again.repeated_keys, again.already_covered), (0, 0, 2));
        assert_eq!(rows(&world.lake, &everything()).await.len(), 2);
        // More than ten minutes of arrivals later the first key no longer counts, and its segment goes.
        world.append(4, keyed(3, 640_001, 4.0)).await;
        world.lake.compact(CompactMode::Full).await.unwrap();
        assert_eq!(world.lake.collect_garbage().await.unwrap().segments, 1);
        let anew = world.lake.append(SHARD, vec![incoming(5, keyed(1, 700_000, 5.0))]).await.unwrap();
        assert_eq!((anew.records, anew.repeated_keys), (1, 0));
    }

    #[tokio::test]
    async fn quarantine_keeps_the_first_bytes_and_the_reason() {
        let world = World::new(LakeOptions::default()).await;
        let at = SequenceNumber::from(5);
        world.lake.quarantine(SHARD, at, Bytes::from_static(b"bad"), "cut off").await.unwrap();
        world.lake.quarantine(SHARD, at, Bytes::from_static(b"other"), "again").await.unwrap();
        let keys = world.keys("quarantine/").await;
        let name = format!("quarantine/shard=0/{at:078}");
        assert_eq!(keys, [format!("{name}.bin"), format!("{name}.json")]);
        assert_eq!(&world.bucket.get(&keys[0]).await.unwrap()[..], b"bad");
        let note: serde_json::Value =
            serde_json::from_slice(&world.bucket.get(&keys[1]).await.unwrap()).unwrap();
        assert_eq!(note["reason"], "cut off");
    }

    #[tokio::test]
    async fn damaged_objects_are_named() {
        let world = World::new(LakeOptions::default()).await;
        world.append(1, record(&[(labels("a"), BASE_MS, 1.0)])).await;
        world.lake.compact(CompactMode::Full).await.unwrap();
        world.append(2, record(&[(labels("a"), BASE_MS + 1, 1.0)])).await;
        let lake = world.open().await.unwrap();
        assert_eq!(rows(&lake, &everything()).await.len(), 2);
        for series in world.keys("blocks/").await.into_iter().filter(|k| k.contains("/series-")) {
            world.damage(&series, |bytes| bytes.truncate(50)).await;
            let anew = Selection { bypass_cache: true, ..everything() };
            let refused = lake.select(&TenantId::default(), &anew).await.unwrap_err();
            assert!(matches!(&refused, LakeError::Damaged { key, .. } if *key == series), "{refused}");
        }
    }

    #[tokio::test]
    async fn a_damaged_hot_segment_is_set_aside_and_holds_up_nothing() {
        let sample = |after_ms: i64| record(&[(labels("a"), BASE_MS + after_ms, 1.0)]);
        type Change = fn(&mut Vec<u8>);
        let changes: [(&str, Change); 5] = [
            ("a flipped bit", |bytes| bytes[100] ^= 1),
            ("another shard", |bytes| bytes[5] ^= 1),
            ("a damaged start", |bytes| bytes[0] ^= 1),
            ("a cut start", |bytes| bytes.truncate(9)),
            ("nothing at all", |bytes| bytes.clear()),
        ];
        for (shows, change) in changes {
            let mut world = World::new(LakeOptions::default()).await;
            for number in 1..=70u32 {
                world.append(u128::from(number), sample(i64::from(number))).await;
            }
            world.bucket.create("hot/stray", Bytes::new()).await.unwrap();
            // More than are read at a time, and the last one.
            let hot = world.keys("hot/shard").await;
            for key in hot[..66].iter().chain(hot.last()) {
                world.damage(key, change).await;
            }
            world.lake = world.open().await.unwrap();
            let kept = |all: Vec<(Labels, i64, f64)>| all.iter().map(|r| r.1 - BASE_MS).collect::<Vec<_>>();
            assert_eq!(kept(rows(&world.lake, &everything()).await), [67, 68, 69], "{shows}");
            assert_eq!(world.lake.hot().damaged, 67, "{shows}");
            assert_eq!(world.lake.covered_through(SHARD), Some(SequenceNumber::from(69)), "{shows}");
            let aside = world.keys("quarantine/hot/").await;
            assert_eq!(aside.len(), 2 * 67, "{shows}");
            assert!(aside[0].starts_with(&format!("quarantine/{}", hot[0])), "{shows}: {}", aside[0]);
            // What comes again takes the place of the damaged one, and the rest goes on.
            world.append(70, sample(70)).await;
            world.append(71, sample(71)).await;
            assert_eq!(kept(rows(&world.lake, &everything()).await), [67, 68, 69, 70, 71], "{shows}");
            assert_eq!(world.lake.hot().damaged, 66, "{shows}");
            world.lake.compact(CompactMode::Full).await.unwrap();
            assert_eq!(world.lake.collect_garbage().await.unwrap().segments, 71, "{shows}");
            assert_eq!(world.keys("hot/").await, ["hot/stray"], "{shows}");
            world.lake = world.open().await.unwrap();
            assert_eq!(kept(rows(&world.lake, &everything()).await), [67, 68, 69, 70, 71], "{shows}");
            assert_eq!(world.lake.hot().damaged, 0, "{shows}");
            assert_eq!(world.keys("quarantine/hot/").await, aside, "{shows}: each copy stays");
        }
    }

    #[tokio::test]
    async fn a_damaged_segment_kept_for_its_retry_keys_holds_up_nothing() {
        let mut world = World::new(LakeOptions::default()).await;
        let keyed = |at: u128| Record { key: Some(RecordKey(at)), ..record(&[(labels("a"), BASE_MS, 1.0)]) };
        world.append(1, keyed(1)).await;
        world.lake.compact(CompactMode::Full).await.unwrap();
        world.lake.collect_garbage().await.unwrap();
        let key = world.keys("hot/").await.pop().unwrap();
        for change in [(|bytes| bytes[2] ^= 1) as fn(&mut Vec<u8>), |bytes| bytes[100] ^= 1] {
            world.damage(&key, change).await;
            world.lake = world.open().await.unwrap();
            world.append(2, keyed(2)).await;
        }
        assert_eq!(world.keys("quarantine/hot/").await.len(), 4);
        world.lake.compact(CompactMode::Full).await.unwrap();
        world.lake.collect_garbage().await.unwrap();
        assert!(!world.keys("hot/").await.contains(&key), "the damaged one is gone");
    }

    #[tokio::test]
    async fn a_record_that_cannot_be_decoded_does_not_hold_up_its_segment() {
        let mut world = World::new(LakeOptions::default()).await;
        let good = incoming(2, record(&[(labels("a"), BASE_MS, 1.0)]));
        // As a later version may write it.
        let odd = Incoming { payload: Bytes::from_static(b"\xfflater"), ..incoming(1, good.record.clone()) };
        world.lake.append(SHARD, vec![odd, good]).await.unwrap();
        world.lake = world.open().await.unwrap();
        assert_eq!(rows(&world.lake, &everything()).await.len(), 1);
        assert_eq!(world.lake.covered_through(SHARD), Some(SequenceNumber::from(2)));
        let kept = world.keys("quarantine/shard=0/").await;
        assert_eq!(&world.bucket.get(&kept[0]).await.unwrap()[..], b"\xfflater");
    }

    #[tokio::test]
    async fn an_hour_of_more_series_than_a_block_takes_becomes_several_blocks() {
        let options = LakeOptions { max_block_series: 3, ..LakeOptions::default() };
        let mut world = World::new(options).await;
        let some = |names: &[u32], after_ms: i64| {
            let row = |n: &u32| (labels(&format!("m{n:02}")), BASE_MS + after_ms, f64::from(*n));
            record(&names.iter().map(row).collect::<Vec<_>>())
        };
        let blocks = |lake: &Lake| lake.statistics().tenants["default"].blocks;
        world.append(1, some(&[0, 1, 2, 3, 4, 5, 6, 7], 0)).await;
        world.append(2, examples(&[(labels("m00"), BASE_MS, "x")])).await;
        world.lake.compact(CompactMode::Scheduled).await.unwrap();
        assert_eq!(blocks(&world.lake), 3);
        // The rest of two series and new ones together are again too many.
        world.append(3, some(&[1, 7, 8, 9, 10], 0)).await;
        world.append(4, some(&[1, 7, 8], 1)).await;
        for _ in 0..3 {
            world.lake.compact(CompactMode::Full).await.unwrap();
        }
        let version = world.lake.statistics().version;
        assert_eq!(world.lake.compact(CompactMode::Full).await.unwrap(), Default::default(), "it is done");
        assert!(blocks(&world.lake) <= 6, "{}", blocks(&world.lake));
        world.lake.collect_garbage().await.unwrap();
        world.lake = world.open().await.unwrap();
        assert_eq!(world.lake.statistics().version, version);
        let found = rows(&world.lake, &everything()).await;
        assert_eq!(found.len(), 11 + 3, "{found:?}");
        assert_eq!(traces(&world.lake, "m00").await, [(BASE_MS, "x".to_owned())]);
    }

    #[tokio::test]
    async fn the_manifest_stays_short_and_says_the_same() {
        let world = World::new(LakeOptions::default()).await;
        for number in 0..140 {
            world.append(number + 1, record(&[(labels("a"), BASE_MS + number as i64, 1.0)])).await;
            world.lake.compact(CompactMode::Scheduled).await.unwrap();
            if number % 10 == 0 {
                world.lake.collect_garbage().await.unwrap();
            }
        }
        world.lake.collect_garbage().await.unwrap();
        let version = world.lake.statistics().version;
        assert!(version > 140, "merges are entries too: {version}");
        let kept = world.keys("manifest/").await;
        assert!(kept.len() as u64 <= 2 * 64 + 2, "{} objects, from {:?}", kept.len(), kept.first());
        let reopened = world.open().await.unwrap();
        assert_eq!(reopened.statistics().version, version);
        let stored = |lake: &Lake| {
            let of = lake.statistics().tenants["default"];
            (of.blocks, of.bytes, of.samples)
        };
        assert_eq!(stored(&reopened), stored(&world.lake));
        assert_eq!(rows(&reopened, &everything()).await.len(), 140);
        assert!(reopened.statistics().tenants["default"].blocks < 36, "blocks are merged on the way");
    }

    #[tokio::test]
    async fn compacting_what_is_compact_changes_nothing() {
        let world = World::new(LakeOptions::default()).await;
        assert_eq!(world.lake.compact(CompactMode::Full).await.unwrap(), Default::default(), "empty");
        world.append(1, record(&[(labels("a"), BASE_MS, 1.0)])).await;
        let hot = world.lake.hot();
        assert_eq!((hot.segments, hot.samples, hot.oldest_ms), (1, 1, Some(BASE_MS)));
        let report = world.lake.compact(CompactMode::Scheduled).await.unwrap();
        assert_eq!((report.segments, report.samples, report.blocks_written), (1, 1, 1));
        let version = world.lake.statistics().version;
        for mode in [CompactMode::Scheduled, CompactMode::Full] {
            assert_eq!(world.lake.compact(mode).await.unwrap(), Default::default());
        }
        assert_eq!(world.lake.statistics().version, version);
    }

    #[tokio::test]
    async fn replaced_objects_stay_for_other_readers_until_the_grace_period_is_over() {
        let options = LakeOptions { sole_writer: false, ..LakeOptions::default() };
        let world = World::new(options).await;
        world.append(1, record(&[(labels("a"), BASE_MS, 1.0)])).await;
        let reader = world.open().await.unwrap();
        world.lake.compact(CompactMode::Full).await.unwrap();
        world.append(2, record(&[(labels("a"), BASE_MS + 1, 1.0)])).await;
        world.lake.compact(CompactMode::Full).await.unwrap();
        let report = world.lake.collect_garbage().await.unwrap();
        assert_eq!((report.segments, report.replaced), (0, 0));
        // This reader still knows the first segment only, and finds everything it needs.
        assert_eq!(rows(&reader, &everything()).await.len(), 1);
        world.clock.advance(world.options.grace_ms);
        let report = world.lake.collect_garbage().await.unwrap();
        assert_eq!((report.segments, report.replaced), (2, 4), "two blocks of two objects");
        assert_eq!(rows(&reader, &everything()).await.len(), 2, "the reader has looked for news");
    }
}
