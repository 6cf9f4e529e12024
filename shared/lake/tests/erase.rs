//! Erasure: nothing of what is erased is left in any object, everything else stays, and what comes late is caught.

#[cfg(test)]
#[expect(dead_code, reason = "the histories of the model are for its own tests")]
mod support;

#[cfg(test)]
#[path = "support/proof.rs"]
mod proof;

#[cfg(test)]
mod erase {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use bytes::Bytes;
    use weir_lake::{CompactMode, EraseWish, Incoming, Lake, LakeOptions, RollupWish, Selection};
    use weir_model::{
        Batch, Exemplar, FloatSample, Labels, MatchOp, Matcher, Metadata, MetricKind, Record, RecordKey,
        Samples, Temporality, TenantId,
    };
    use weir_platform::{Bucket, Clock, ManualClock, MemoryBucket, SequenceNumber, ShardId};

    use super::proof::holders;

    /// 2026-11-21T00:00:00Z.
    const BASE_MS: i64 = 1_795_219_200_000;
    const HOUR_MS: i64 = 3_600_000;
    const USERS: [&str; 2] = ["ann-o-nym", "bob"];

    struct World {
        bucket: Arc<MemoryBucket>,
        clock: Arc<ManualClock>,
        lake: Arc<Lake>,
        sequence: u128,
    }

    async fn open(world: &World) -> Arc<Lake> {
        // The bucket's clock is not the simulated one: nothing is an orphan by its age.
        let options = LakeOptions {
            sole_writer: false,
            orphan_age_ms: i64::MAX,
            refresh_ms: -1,
            ..LakeOptions::default()
        };
        Lake::open(world.bucket.clone(), world.clock.clone(), options).await.unwrap()
    }

    impl World {
        async fn new() -> Self {
            let bucket = Arc::new(MemoryBucket::new());
            let clock = Arc::new(ManualClock::new(BASE_MS));
            let lake = Lake::open(bucket.clone(), clock.clone(), LakeOptions::default()).await.unwrap();
            let mut world = Self { bucket, clock, lake, sequence: 0 };
            world.lake = open(&world).await;
            world
        }

        /// A record of a sample of each user and metric, as it is delivered.
        fn record(&mut self, tenant: &str, received_ms: i64, at_ms: i64) -> Incoming {
            let mut batch = Batch::new();
            for user in USERS {
                for metric in ["clicks", "logins"] {
                    let labels = Labels::from_pairs([("__name__", metric), ("user", user)]);
                    let series =
                        batch.push_series(labels.borrowed(), MetricKind::Gauge, Temporality::Cumulative);
                    batch.floats.push(FloatSample { series, timestamp_ms: at_ms, value: at_ms as f64 });
                    let own = Labels::from_pairs([("trace_id", "t")]);
                    batch.exemplars.push(Exemplar { series, timestamp_ms: at_ms, value: 1.0, labels: own });
                    let own = Labels::from_pairs([("user", USERS[0])]);
                    batch.exemplars.push(Exemplar { series, timestamp_ms: at_ms, value: 2.0, labels: own });
                }
            }
            let help = String::from("how often");
            let (family, kind) = (String::from("clicks"), MetricKind::Gauge);
            batch.metadata.push(Metadata { family, kind, unit: String::new(), help });
            self.sequence += 1;
            let key = Some(RecordKey(self.sequence));
            let record = Record { tenant: TenantId::new(tenant).unwrap(), key, received_ms, batch };
            let payload = Bytes::from(record.encode().unwrap());
            Incoming { sequence: SequenceNumber::from(self.sequence), payload, record }
        }

        /// A record of a series without a user, whose exemplars are of some.
        fn request(&mut self, received_ms: i64, at_ms: i64, users: &[&str]) -> Incoming {
            let mut incoming = self.record("default", received_ms, at_ms);
            let mut batch = Batch::new();
            let labels = Labels::from_pairs([("__name__", "requests")]);
            let series = batch.push_series(labels.borrowed(), MetricKind::Counter, Temporality::Cumulative);
            batch.floats.push(FloatSample { series, timestamp_ms: at_ms, value: 1.0 });
            for user in users {
                let labels = Labels::from_pairs([("trace_id", "t"), ("user", user)]);
                batch.exemplars.push(Exemplar { series, timestamp_ms: at_ms, value: 1.0, labels });
            }
            incoming.record.batch = batch;
            incoming.payload = Bytes::from(incoming.record.encode().unwrap());
            incoming
        }

        async fn write(&mut self, tenant: &str, at_ms: i64) {
            let incoming = self.record(tenant, self.clock.now_ms(), at_ms);
            self.lake.append(ShardId(0), vec![incoming]).await.unwrap();
        }

        /// Three days, rolled up, and some hot samples.
        async fn filled() -> Self {
            let mut world = Self::new().await;
            for hour in 0..72 {
                for tenant in ["default", "team-b"] {
                    world.write(tenant, world.clock.now_ms()).await;
                }
                world.clock.advance(HOUR_MS);
                if hour % 12 == 11 {
                    world.lake.compact(CompactMode::Scheduled).await.unwrap();
                }
            }
            world.clock.advance(3 * HOUR_MS);
            world.lake.compact(CompactMode::Full).await.unwrap();
            world.lake.roll_up(&RollupWish::default(), |_| ()).await.unwrap();
            world.write("default", world.clock.now_ms()).await;
            world
        }

        /// Keys of the blocks' objects of a table, ascending.
        async fn keys(&self, table: &str) -> Vec<String> {
            let listed = self.bucket.list("blocks/", None, usize::MAX).await.unwrap();
            let mut keys: Vec<_> = listed.into_iter().map(|object| object.key).collect();
            keys.retain(|key| key.contains(table));
            keys.sort();
            keys
        }

        fn wish(&self, user: &str) -> EraseWish {
            EraseWish {
                tenant: TenantId::default(),
                matchers: vec![Matcher::equal("user", user)],
                by: "test".into(),
                drop_unreadable: true,
            }
        }
    }

    /// Timestamps by user and metric.
    async fn answers(lake: &Arc<Lake>, tenant: &str) -> BTreeMap<(String, String), Vec<i64>> {
        let selection = Selection {
            matchers: vec![Matcher::new("user", MatchOp::Regex, ".+").unwrap()],
            start_ms: i64::MIN,
            end_ms: i64::MAX,
            max_series: 100,
            bypass_cache: false,
        };
        let selected = lake.select(&TenantId::new(tenant).unwrap(), &selection).await.unwrap();
        let (mut found, mut samples) = (BTreeMap::new(), Samples::default());
        for (place, info) in selected.series().iter().enumerate() {
            selected.reader().read(place, &mut samples).unwrap();
            let of = (info.labels.get("user").unwrap().to_owned(), info.labels.metric_name().to_owned());
            found.insert(of, samples.timestamps.clone());
        }
        found
    }

    fn of_bob(mut all: BTreeMap<(String, String), Vec<i64>>) -> BTreeMap<(String, String), Vec<i64>> {
        all.retain(|(user, _), _| user == "bob");
        all
    }

    async fn keys_by_kind(world: &World, user: &str) -> Vec<String> {
        let mut kinds: Vec<String> = holders(&*world.bucket, user)
            .await
            .iter()
            .map(|key| {
                let table = key.rsplit('/').next().unwrap().split('-').next().unwrap();
                let tier = key.split('/').find(|part| part.starts_with("res=")).unwrap_or(table);
                let folder = key.split('/').next().unwrap();
                match key.starts_with("blocks/") {
                    true => format!("{tier} {table}"),
                    false => folder.to_owned(),
                }
            })
            .collect();
        kinds.sort();
        kinds.dedup();
        kinds
    }

    #[tokio::test]
    async fn no_object_holds_what_was_erased_and_nothing_else_is_missing() {
        let mut world = World::filled().await;
        let readable = world.record("default", 1, 1).payload;
        let at = SequenceNumber::from(1_000_000);
        world.lake.quarantine(ShardId(0), at, readable, "kept failing").await.unwrap();
        let broken = Bytes::from_static(b"no record, but ann-o-nym");
        world.lake.quarantine(ShardId(0), at.next(), broken, "cannot be read").await.unwrap();
        let export = Bytes::from_static(b"user,value\nann-o-nym,1\n");
        world.bucket.create("exports/tenant=default/export_1/part-1.csv", export).await.unwrap();
        let all = "exports, hot, quarantine, res=1d series, res=1h series, res=1m series, res=raw exemplars, res=raw series";
        assert_eq!(keys_by_kind(&world, USERS[0]).await.join(", "), all, "the proof sees them all");
        let (before, team_b) = (answers(&world.lake, "default").await, answers(&world.lake, "team-b").await);
        let preview = world.lake.preview_erasure(&world.wish(USERS[0])).await.unwrap();
        assert_eq!(world.lake.erasures(&TenantId::default()).await.unwrap(), []);

        // Team b has a user of that name, too.
        let asked = world.lake.request_erasure(&world.wish(USERS[0])).await.unwrap();
        assert_eq!(asked.state, "running");
        let again = world.lake.request_erasure(&world.wish(USERS[0])).await.unwrap();
        assert_eq!(again.number, asked.number, "the same request is one");
        let mut seen = Vec::new();
        let report = world.lake.run_erasure(asked.number, |progress| seen.push(progress)).await.unwrap();
        assert!(seen.last().is_some_and(|last| last.done == last.total && last.total > 0));
        assert_eq!(report.state, "watched");
        assert_eq!(answers(&world.lake, "default").await, of_bob(before.clone()));
        assert_eq!(answers(&world.lake, "team-b").await, team_b);
        for tier in ["raw", "1m", "1h", "1d"] {
            let (done, wanted) = (report.counts[tier], preview[tier]);
            assert_eq!((done.examined, done.rewritten), (wanted.examined, wanted.rewritten), "{tier}");
        }
        let gone = |kind: &str| report.counts[kind].samples;
        let lost: usize =
            before.iter().filter(|((user, _), _)| user == USERS[0]).map(|(_, at)| at.len()).sum();
        let hot = report.counts["hot"];
        assert!(hot.rewritten > 0 && gone("raw") < lost as u64 && gone("raw") + hot.samples >= lost as u64);
        assert!(gone("1d") >= 2 * 3 && gone("1h") >= 2 * 70 && gone("1m") >= 2 * 70);
        assert_eq!(report.counts["quarantine"].dropped, 1);
        assert_eq!(report.counts["exports"].dropped, 1);
        let exemplars = report.counts["raw"].exemplars + hot.exemplars;
        assert!(exemplars >= 3 * lost as u64 / 2, "{exemplars} of {lost} samples and as many of others");
        for key in holders(&*world.bucket, USERS[0]).await {
            assert!(key.contains("team-b") || key.starts_with("hot/"), "{key}");
        }
        let mut wish = world.wish(USERS[0]);
        wish.tenant = TenantId::new("team-b").unwrap();
        let number = world.lake.request_erasure(&wish).await.unwrap().number;
        world.lake.run_erasure(number, |_| ()).await.unwrap();
        assert_eq!(holders(&*world.bucket, USERS[0]).await, Vec::<String>::new());
        let reopened = open(&world).await;
        assert_eq!(answers(&reopened, "default").await, of_bob(before));
        for labels in reopened.series(&TenantId::default(), &[], i64::MIN, i64::MAX, 100).await.unwrap() {
            assert_eq!(labels.get("user"), Some("bob"));
        }
        // Rollups of what is left are as before, and none is made again for it.
        let rolled = reopened.roll_up(&RollupWish::default(), |_| ()).await.unwrap();
        assert_eq!(rolled.days, 0);
    }

    #[tokio::test]
    async fn an_erasure_by_name_takes_the_declaration_along() {
        let world = World::filled().await;
        let wish = EraseWish { matchers: vec![Matcher::equal("__name__", "clicks")], ..world.wish("") };
        let number = world.lake.request_erasure(&wish).await.unwrap().number;
        world.lake.run_erasure(number, |_| ()).await.unwrap();
        let found = holders(&*world.bucket, "clicks").await;
        assert!(found.iter().all(|key| key.contains("team-b") || key.starts_with("hot/")), "{found:?}");
        assert!(found.iter().any(|key| key.starts_with("metadata/tenant=team-b")), "{found:?}");
    }

    #[tokio::test]
    async fn what_comes_late_is_caught_and_what_is_new_is_kept() {
        let mut world = World::filled().await;
        // A process that appends and does not know of the request: it reads the manifest when it starts.
        let options = LakeOptions { sole_writer: false, keep_hot: false, ..LakeOptions::default() };
        let appender = Lake::open(world.bucket.clone(), world.clock.clone(), options).await.unwrap();
        let stale = open(&world).await;
        let asked_ms = world.clock.now_ms();
        let number = world.lake.request_erasure(&world.wish(USERS[0])).await.unwrap().number;
        world.lake.run_erasure(number, |_| ()).await.unwrap();
        world.clock.advance(HOUR_MS);
        // One that lay in the stream, and one that its sender kept; then one of after the request.
        let now_ms = world.clock.now_ms();
        let late =
            [world.record("default", asked_ms, asked_ms), world.record("default", now_ms, asked_ms - 5)];
        appender.append(ShardId(0), late.to_vec()).await.unwrap();
        assert!(holders(&*world.bucket, USERS[0]).await.iter().any(|key| key.starts_with("hot/")));
        let new = world.record("default", now_ms, now_ms);
        appender.append(ShardId(0), vec![new]).await.unwrap();
        for lake in [&world.lake, &stale] {
            let found = answers(lake, "default").await;
            assert_eq!(found[&(USERS[0].to_owned(), "clicks".to_owned())], [now_ms]);
        }
        stale.compact(CompactMode::Full).await.unwrap();
        let reports = world.lake.continue_erasures().await.unwrap();
        assert_eq!(reports[0].state, "watched");
        let found = answers(&world.lake, "default").await;
        assert_eq!(found[&(USERS[0].to_owned(), "clicks".to_owned())], [now_ms], "new data is kept");
        let before = world.lake.statistics().version;
        world.lake.continue_erasures().await.unwrap();
        assert_eq!(world.lake.statistics().version, before, "watching adds nothing");
        world.clock.advance(48 * HOUR_MS);
        let settled = world.lake.continue_erasures().await.unwrap();
        assert_eq!((settled[0].number, settled[0].state.as_str()), (number, "settled"));
        assert_eq!(
            world.lake.erasure(&TenantId::default(), number).await.unwrap().as_ref(),
            Some(&settled[0])
        );
        assert_eq!(world.lake.erasures(&TenantId::default()).await.unwrap(), []);
        let elsewhere = TenantId::new("team-b").unwrap();
        assert_eq!(world.lake.erasure(&elsewhere, number).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_compaction_merge_or_rollup_planned_before_the_request_cannot_bring_anything_back() {
        for full in [false, true] {
            let mut world = World::filled().await;
            for _ in 0..3 {
                world.write("default", world.clock.now_ms()).await;
            }
            let others = [open(&world).await, open(&world).await];
            let before = answers(&world.lake, "default").await;
            let number = world.lake.request_erasure(&world.wish(USERS[0])).await.unwrap().number;
            let mode = if full { CompactMode::Full } else { CompactMode::Scheduled };
            let wish = RollupWish { again: true, ..RollupWish::default() };
            let (compacted, rolled, erased) = tokio::join!(
                others[0].compact(mode),
                others[1].roll_up(&wish, |_| ()),
                world.lake.run_erasure(number, |_| ()),
            );
            compacted.unwrap();
            rolled.unwrap();
            erased.unwrap();
            world.lake.continue_erasures().await.unwrap();
            let found = holders(&*world.bucket, USERS[0]).await;
            let left = found.iter().filter(|key| !key.contains("team-b") && !key.starts_with("hot/"));
            assert_eq!(left.collect::<Vec<_>>(), Vec::<&String>::new());
            assert_eq!(answers(&world.lake, "default").await, of_bob(before));
        }
    }

    #[tokio::test]
    async fn blocks_of_exemplars_alone_are_erased_too() {
        let mut world = World::new().await;
        let at_ms = world.clock.now_ms();
        let mut incoming = world.record("default", at_ms, at_ms);
        incoming.record.batch.floats.clear();
        incoming.payload = Bytes::from(incoming.record.encode().unwrap());
        world.lake.append(ShardId(0), vec![incoming]).await.unwrap();
        world.lake.compact(CompactMode::Scheduled).await.unwrap();
        assert!(world.keys("samples").await.is_empty());
        let report = world.lake.request_erasure(&world.wish(USERS[0])).await.unwrap();
        world.lake.run_erasure(report.number, |_| ()).await.unwrap();
        let left = holders(&*world.bucket, USERS[0]).await;
        assert_eq!(
            left.iter().filter(|key| !key.starts_with("hot/")).collect::<Vec<_>>(),
            Vec::<&String>::new()
        );
        assert_eq!(world.keys("exemplars").await.len(), 1, "those of others stay");
    }

    /// SQL sees no manifest: it takes the block of the greatest id for the latest write.
    #[tokio::test]
    async fn blocks_written_again_stay_behind_later_writes_in_the_order_of_their_names() {
        let mut world = World::new().await;
        let at_ms = world.clock.now_ms();
        for minute in 0..2 {
            world.write("default", at_ms + minute * 60_000).await;
            world.lake.compact(CompactMode::Scheduled).await.unwrap();
        }
        world.clock.advance(3 * HOUR_MS);
        world.lake.compact(CompactMode::Full).await.unwrap();
        world.clock.advance(HOUR_MS);
        world.lake.collect_garbage().await.unwrap();
        let first = world.keys("samples").await;
        let mut late = world.record("default", world.clock.now_ms(), at_ms);
        let batch = &mut late.record.batch;
        let is_other = |series| batch.labels_at(series).get("user") != Some(USERS[0]);
        let keep: Vec<bool> = batch.floats.iter().map(|sample| is_other(sample.series)).collect();
        let mut keep = keep.into_iter();
        batch.floats.retain(|_| keep.next().unwrap());
        batch.exemplars.clear();
        late.payload = Bytes::from(late.record.encode().unwrap());
        world.lake.append(ShardId(0), vec![late]).await.unwrap();
        world.lake.compact(CompactMode::Scheduled).await.unwrap();
        let second: Vec<_> =
            world.keys("samples").await.into_iter().filter(|key| !first.contains(key)).collect();
        assert_eq!((first.len(), second.len()), (1, 1));
        let report = world.lake.request_erasure(&world.wish(USERS[0])).await.unwrap();
        world.lake.run_erasure(report.number, |_| ()).await.unwrap();
        world.clock.advance(HOUR_MS);
        world.lake.collect_garbage().await.unwrap();
        let left = world.keys("samples").await;
        assert!(left.len() == 2 && left[0] != first[0], "the first was written again: {left:?}");
        assert_eq!(left.last(), second.last());
    }

    /// Own labels and times of all exemplars, and times of all samples, of the series without a user.
    async fn requests(lake: &Arc<Lake>) -> (Vec<(Labels, i64)>, Vec<i64>) {
        let (tenant, name) = (TenantId::default(), Matcher::equal("__name__", "requests"));
        let any_of = [vec![name.clone()]];
        let found = lake.exemplars(&tenant, &any_of, i64::MIN, i64::MAX, 1_000).await.unwrap();
        let exemplars = found.into_iter().flat_map(|series| series.exemplars);
        let selection = Selection {
            matchers: vec![name],
            start_ms: i64::MIN,
            end_ms: i64::MAX,
            max_series: 100,
            bypass_cache: false,
        };
        let selected = lake.select(&tenant, &selection).await.unwrap();
        let mut samples = Samples::default();
        selected.reader().read(0, &mut samples).unwrap();
        (exemplars.map(|e| (e.labels, e.timestamp_ms)).collect(), samples.timestamps)
    }

    #[tokio::test]
    async fn an_exemplar_goes_by_its_own_labels_and_leaves_the_samples_of_its_series_where_they_are() {
        let mut world = World::new().await;
        // An hour with exemplars of both, one of the first alone, one of the other alone; and a hot record.
        for users in [&USERS[..], &USERS[..1], &USERS[1..]] {
            let incoming = world.request(world.clock.now_ms(), world.clock.now_ms(), users);
            world.lake.append(ShardId(0), vec![incoming]).await.unwrap();
            world.clock.advance(HOUR_MS);
        }
        world.clock.advance(3 * HOUR_MS);
        world.lake.compact(CompactMode::Full).await.unwrap();
        world.clock.advance(HOUR_MS);
        world.lake.collect_garbage().await.unwrap();
        let asked_ms = world.clock.now_ms();
        let hot = world.request(asked_ms, asked_ms, &USERS);
        world.lake.append(ShardId(0), vec![hot]).await.unwrap();
        let stuck = world.request(asked_ms, asked_ms, &USERS).payload;
        let at = SequenceNumber::from(1_000_000);
        world.lake.quarantine(ShardId(0), at, stuck, "kept failing").await.unwrap();
        let (before, times) = requests(&world.lake).await;
        assert_eq!((before.len(), times.len()), (6, 4));
        let kept = [world.keys("/samples-").await, world.keys("/series-").await].concat();
        assert_eq!(kept.len(), 6);

        let preview = world.lake.preview_erasure(&world.wish(USERS[0])).await.unwrap();
        assert_eq!((preview["raw"].examined, preview["raw"].rewritten), (3, 2));
        assert_eq!((preview["hot"].rewritten, preview["hot"].samples, preview["hot"].exemplars), (1, 0, 1));
        let number = world.lake.request_erasure(&world.wish(USERS[0])).await.unwrap().number;
        let report = world.lake.run_erasure(number, |_| ()).await.unwrap();
        assert_eq!(report.state, "watched");
        // A compacted segment, of the third record, is still there for its retry key.
        for (kind, examined, rewritten, exemplars) in
            [("raw", 3, 2, 2), ("hot", 2, 1, 1), ("quarantine", 1, 1, 1)]
        {
            let done = report.counts[kind];
            let found = (done.examined, done.rewritten, done.dropped, done.samples, done.exemplars);
            assert_eq!(found, (examined, rewritten, 0, 0, exemplars), "{kind}");
        }
        // What comes late, too.
        world.clock.advance(HOUR_MS);
        let late = world.request(asked_ms, asked_ms - 1, &USERS);
        let stale = LakeOptions { sole_writer: false, keep_hot: false, ..LakeOptions::default() };
        let stale = Lake::open(world.bucket.clone(), world.clock.clone(), stale).await.unwrap();
        stale.append(ShardId(0), vec![late]).await.unwrap();
        world.lake.continue_erasures().await.unwrap();
        assert_eq!(holders(&*world.bucket, USERS[0]).await, Vec::<String>::new());

        // Long after nothing of the samples has been collected with what was replaced.
        world.clock.advance(3 * HOUR_MS);
        world.lake.collect_garbage().await.unwrap();
        let now = [world.keys("/samples-").await, world.keys("/series-").await].concat();
        assert_eq!(now, kept);
        assert_eq!(world.keys("/exemplars-").await.len(), 2);
        let of_bob = |mut all: Vec<(Labels, i64)>| {
            all.retain(|(own, _)| own.get("user") == Some(USERS[1]));
            all
        };
        let late = (Labels::from_pairs([("trace_id", "t"), ("user", USERS[1])]), asked_ms - 1);
        let (mut wanted, mut wanted_times) = (of_bob(before), times);
        wanted.insert(2, late);
        wanted_times.insert(3, asked_ms - 1);
        let reopened = open(&world).await;
        assert_eq!(requests(&reopened).await, (wanted, wanted_times));
        // Merged and erased again like any other: with them their objects go.
        reopened.compact(CompactMode::Full).await.unwrap();
        let wish = EraseWish { matchers: vec![Matcher::equal("__name__", "requests")], ..world.wish("") };
        let number = reopened.request_erasure(&wish).await.unwrap().number;
        reopened.run_erasure(number, |_| ()).await.unwrap();
        assert_eq!(world.keys("-").await, Vec::<String>::new());
    }

    #[tokio::test]
    async fn requests_that_would_take_everything_are_refused() {
        let world = World::new().await;
        let anything = Matcher::new("user", MatchOp::Regex, ".*").unwrap();
        for matchers in [vec![], vec![anything], vec![Matcher::equal("user", "")]] {
            let wish = EraseWish { matchers, ..world.wish("") };
            let error = world.lake.request_erasure(&wish).await.unwrap_err().to_string();
            assert!(error.contains("empty string"), "{error}");
        }
    }
}
