//! Seeded schedules of everything that changes a lake, several processes at once, crashing at any request to the
//! bucket: append, compact, roll up, archive, expire, erase, garbage. Answers are compared with a model after each step;
//! at the end nothing erased is held by any object, and no object is left that the manifest does not name.
//! `WEIR_SCHEDULES` sets how many, `WEIR_SEED` repeats one.

#[cfg(test)]
#[expect(dead_code, reason = "the histories of the model are for its own tests")]
mod support;

#[cfg(test)]
#[path = "support/proof.rs"]
mod proof;

#[cfg(test)]
mod schedules {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;
    use std::time::Duration;

    use bytes::Bytes;
    use weir_lake::{
        Ages, ArchiveRule, CompactMode, Condition, EraseWish, Incoming, Lake, LakeError, LakeOptions,
        RetentionClass, RetentionPolicy, RollupWish, Selection,
    };
    use weir_model::{
        Batch, Exemplar, FloatSample, Labels, MatchOp, Matcher, MetricKind, Record, RecordKey, Samples,
        Temporality, TenantId,
    };
    use weir_platform::{Bucket, Clock, ManualClock, SequenceNumber, ShardId, StorageClass};

    use super::proof::holders;
    use super::support::Random;
    use super::support::bucket::{Faults, FaultyBucket};

    /// 2026-11-21T00:00:00Z.
    const BASE_MS: i64 = 1_795_219_200_000;
    const HOUR_MS: i64 = 3_600_000;
    const SHARDS: usize = 2;
    const LONG: Duration = Duration::from_secs(60);
    const PROCESSES: usize = 3;
    const TENANTS: [&str; 2] = ["default", "team-b"];
    const USERS: [&str; 3] = ["ann-o-nym", "bob-o-link", "carl-the-third"];
    /// Hours that samples of the short-lived metric are kept.
    const KEPT_HOURS: i64 = 34;
    /// A crash leaves an object that nobody names for at most so long: [`LakeOptions::orphan_age_ms`] until it
    /// counts as such, and six hours between looks.
    const ORPHANED_MS: i64 = 7 * HOUR_MS;

    fn options() -> LakeOptions {
        LakeOptions {
            sole_writer: false,
            refresh_ms: -1,
            merge_fan_in: 2,
            max_block_series: 5,
            max_segment_bytes: 2_000,
            concurrency: 4,
            archive_bytes: 20_000,
            cold_bytes: 0,
            ..LakeOptions::default()
        }
    }

    /// Whether samples are frozen when they are archived.
    fn policy(freezes: bool) -> RetentionPolicy {
        let condition = Condition { label: "__name__".into(), op: "=".into(), value: "short".into() };
        let ages = Ages { raw_ms: Some(KEPT_HOURS * HOUR_MS), ..Ages::default() };
        let class = RetentionClass { name: "short".into(), any_of: vec![vec![condition]], ages };
        let storage_class = if freezes { StorageClass::Glacier } else { StorageClass::Standard };
        let archive = ArchiveRule { after_ms: Some(HOUR_MS), storage_class };
        RetentionPolicy { classes: vec![class], default: Ages::default(), archive }
    }

    /// Tenant, user and metric.
    type Series = (String, String, String);
    type Answers = BTreeMap<Series, BTreeMap<i64, u64>>;
    /// Labels of the series, timestamp and own labels of exemplars.
    type Examples = BTreeSet<(Labels, i64, Labels)>;

    struct World {
        bucket: Arc<FaultyBucket>,
        clock: Arc<ManualClock>,
        lakes: Vec<Arc<Lake>>,
        shards: [Vec<(SequenceNumber, Record)>; SHARDS],
        /// Records of each shard that have been delivered for certain.
        delivered: [usize; SHARDS],
        /// Tenant, user and time of each erasure.
        erased: Vec<(String, &'static str, i64)>,
        values: u64,
        /// Merges of archived days at the end.
        archived: u64,
        /// Archived days that expiry cut into hours then.
        cut: u64,
        /// Erasures of users of whom nothing newer is left, so that no object may hold their name.
        proved: u64,
        /// Exemplars gone for their own labels, not for those of their series.
        by_own_labels: usize,
    }

    async fn open(bucket: &Arc<FaultyBucket>, clock: &Arc<ManualClock>, options: LakeOptions) -> Arc<Lake> {
        Lake::open(bucket.clone(), clock.clone(), options).await.unwrap()
    }

    impl World {
        async fn new(freezes: bool) -> Self {
            let clock = Arc::new(ManualClock::new(BASE_MS));
            let bucket = Arc::new(FaultyBucket::timed_by(clock.clone()));
            let mut lakes = Vec::new();
            for _ in 0..PROCESSES {
                lakes.push(open(&bucket, &clock, options()).await);
            }
            lakes[0].set_retention(None, &policy(freezes), "test").await.unwrap();
            let (shards, delivered, erased) = (Default::default(), [0; SHARDS], Vec::new());
            let (values, archived, cut, proved, by_own_labels) = (0, 0, 0, 0, 0);
            Self {
                bucket,
                clock,
                lakes,
                shards,
                delivered,
                erased,
                values,
                archived,
                cut,
                proved,
                by_own_labels,
            }
        }

        /// Adds a record to a shard: samples of now or late, some of them changes that must count once.
        fn produce(&mut self, random: &mut Random) {
            let shard = random.below(SHARDS as u64) as usize;
            let now_ms = self.clock.now_ms();
            let mut batch = Batch::new();
            for _ in 0..1 + random.below(3) {
                let user = USERS[random.below(USERS.len() as u64) as usize];
                let metric = ["short", "long", "changes"][random.below(3) as usize];
                let delta = metric == "changes";
                let temporality = if delta { Temporality::Delta } else { Temporality::Cumulative };
                let part = shard.to_string();
                // One shard for each cumulative series, so that its writes have an order.
                let shard_label = if delta { "" } else { part.as_str() };
                let labels =
                    Labels::from_pairs([("__name__", metric), ("user", user), ("shard", shard_label)]);
                let series = batch.push_series(labels.borrowed(), MetricKind::Unknown, temporality);
                let mut last_ms = now_ms;
                for _ in 0..1 + random.below(2) {
                    let late_ms = if random.chance(30) { random.below(30) as i64 * HOUR_MS } else { 0 };
                    let timestamp_ms = now_ms - late_ms - random.below(3) as i64 * 60_000;
                    self.values += 1;
                    batch.floats.push(FloatSample { series, timestamp_ms, value: self.values as f64 });
                    last_ms = timestamp_ms;
                }
                if random.chance(20) {
                    // Of its series' user, or of one of its own.
                    let own = match random.below(2 * USERS.len() as u64) as usize {
                        user if user < USERS.len() => Labels::from_pairs([("user", USERS[user])]),
                        _ => Labels::from_pairs([("trace_id", "t")]),
                    };
                    batch.exemplars.push(Exemplar { series, timestamp_ms: last_ms, value: 1.0, labels: own });
                }
            }
            let tenant = TenantId::new(TENANTS[usize::from(random.chance(25))]).unwrap();
            let key = Some(RecordKey(u128::from(random.bits())));
            let sequence = SequenceNumber::from(self.shards[shard].len() as u128 + 1);
            self.shards[shard].push((sequence, Record { tenant, key, received_ms: now_ms, batch }));
        }

        fn batch(&self, shard: usize, from: usize, to: usize) -> Vec<Incoming> {
            let incoming = |(sequence, record): &(SequenceNumber, Record)| Incoming {
                sequence: *sequence,
                payload: Bytes::from(record.encode().unwrap()),
                record: record.clone(),
            };
            self.shards[shard][from..to].iter().map(incoming).collect()
        }

        /// From when on a query shows samples of the short-lived metric.
        fn floor_ms(&self) -> i64 {
            self.clock.now_ms() - KEPT_HOURS * HOUR_MS
        }

        /// The erasures of a tenant that take what a record brought of a time.
        fn erasures_of(&self, record: &Record, at: i64) -> impl Iterator<Item = &'static str> {
            let takes = move |when: i64| record.received_ms.min(at) <= when;
            let of = self.erased.iter().filter(|(of, ..)| of == record.tenant.as_str());
            of.filter(move |(_, _, when)| takes(*when)).map(|(_, who, _)| *who)
        }

        /// Samples that a query must show.
        fn unexpired(&self, tenant: &str, floor_ms: i64) -> Answers {
            let mut all = Answers::new();
            for (shard, records) in self.shards.iter().enumerate() {
                for (_, record) in &records[..self.delivered[shard]] {
                    for sample in record.batch.floats.iter().filter(|_| record.tenant.as_str() == tenant) {
                        let labels = record.batch.labels_at(sample.series);
                        let user = labels.get("user").unwrap();
                        let at = sample.timestamp_ms;
                        let metric = labels.metric_name();
                        if self.erasures_of(record, at).any(|who| who == user)
                            || metric == "short" && at < floor_ms
                        {
                            continue;
                        }
                        let part = labels.get("shard").unwrap_or("");
                        let series = (tenant.to_owned(), user.to_owned(), format!("{metric}{part}"));
                        let value = all.entry(series).or_default().entry(at).or_insert(0);
                        let before = if metric == "changes" { *value } else { 0 };
                        *value = before + sample.value as u64;
                    }
                }
            }
            all
        }

        /// Exemplars that a query must show, and how many are gone for their own labels alone.
        fn unexpired_exemplars(&self, tenant: &str, floor_ms: i64) -> (Examples, usize) {
            let (mut all, mut gone) = (Examples::new(), 0);
            for (shard, records) in self.shards.iter().enumerate() {
                for (_, record) in &records[..self.delivered[shard]] {
                    for exemplar in record.batch.exemplars.iter().filter(|_| record.tenant.as_str() == tenant)
                    {
                        let (of, at) = (record.batch.labels_at(exemplar.series), exemplar.timestamp_ms);
                        let is_gone = |user| self.erasures_of(record, at).any(|who| Some(who) == user);
                        let by_series = is_gone(of.get("user"));
                        if !by_series && is_gone(exemplar.labels.get("user")) {
                            gone += 1;
                        } else if !by_series && (of.metric_name() != "short" || at >= floor_ms) {
                            all.insert((of.to_labels(), at, exemplar.labels.clone()));
                        }
                    }
                }
            }
            (all, gone)
        }

        async fn check_exemplars(&self, lake: &Arc<Lake>, context: &str) {
            for tenant in TENANTS {
                let any_of = [vec![Matcher::new("__name__", MatchOp::Regex, ".+").unwrap()]];
                let tenant_id = TenantId::new(tenant).unwrap();
                let found = lake.exemplars(&tenant_id, &any_of, i64::MIN, i64::MAX, 10_000).await.unwrap();
                let found = found.into_iter().flat_map(|series| {
                    series
                        .exemplars
                        .into_iter()
                        .map(move |e| (series.labels.clone(), e.timestamp_ms, e.labels))
                });
                let (model, _) = self.unexpired_exemplars(tenant, self.floor_ms());
                assert_eq!(found.collect::<Examples>(), model, "{context}, exemplars of {tenant}");
            }
        }

        async fn check(&self, lake: &Arc<Lake>, context: &str) {
            self.check_exemplars(lake, context).await;
            for tenant in TENANTS {
                let selection = Selection {
                    matchers: vec![Matcher::new("__name__", MatchOp::Regex, ".+").unwrap()],
                    start_ms: i64::MIN,
                    end_ms: i64::MAX,
                    max_series: 100,
                    bypass_cache: false,
                };
                let mut tries = 0..3;
                let selected = loop {
                    match lake.select(&TenantId::new(tenant).unwrap(), &selection).await {
                        // What was asked for is there when it has been restored.
                        Err(LakeError::Frozen { .. }) if tries.next().is_some() => {
                            self.bucket.inner.thaw();
                        }
                        selected => break selected.unwrap(),
                    }
                };
                let (mut found, mut samples) = (Answers::new(), Samples::default());
                for (place, info) in selected.series().iter().enumerate() {
                    selected.reader().read(place, &mut samples).unwrap();
                    let label = |name: &str| info.labels.get(name).unwrap_or("").to_owned();
                    let metric = format!("{}{}", label("__name__"), label("shard"));
                    let rows = samples.timestamps.iter().zip(&samples.values);
                    let rows: BTreeMap<i64, u64> = rows.map(|(at, value)| (*at, *value as u64)).collect();
                    if !rows.is_empty() {
                        found.insert((tenant.to_owned(), label("user"), metric), rows);
                    }
                }
                assert_eq!(found, self.unexpired(tenant, self.floor_ms()), "{context}, tenant {tenant}");
            }
        }

        fn faults(random: &mut Random) -> Faults {
            match random.below(4) {
                0 => Faults::None,
                1 => Faults::Sometimes(Random(random.bits()), 4),
                _ => {
                    Faults::CrashAt { operation: random.below(80) as usize, after_effect: random.chance(50) }
                }
            }
        }

        /// One thing that a process does; failures are what is tested, and made up for later.
        async fn work(&self, lake: Arc<Lake>, choice: u64, shard: usize, wish: &EraseWish) -> bool {
            match choice {
                0 => {
                    let (from, to) = (self.delivered[shard].saturating_sub(2), self.shards[shard].len());
                    let batch = self.batch(shard, from, to);
                    lake.append(ShardId(shard as u32), batch).await.is_ok()
                }
                1 => lake.compact(CompactMode::Scheduled).await.is_ok(),
                2 => lake.compact(CompactMode::Full).await.is_ok(),
                3 => lake.roll_up(&RollupWish::default(), |_| ()).await.is_ok(),
                4 => lake.expire(self.clock.now_ms()).await.is_ok(),
                5 => lake.collect_garbage().await.is_ok(),
                6 => match lake.request_erasure(wish).await {
                    Ok(report) => lake.run_erasure(report.number, |_| ()).await.is_ok(),
                    Err(_) => false,
                },
                7 => lake.continue_erasures().await.is_ok(),
                _ => lake.archive(self.clock.now_ms(), LONG).await.is_ok_and(|report| report.failed == 0),
            }
        }

        fn wish(tenant: &str, user: &str) -> EraseWish {
            EraseWish {
                tenant: TenantId::new(tenant).unwrap(),
                matchers: vec![Matcher::equal("user", user)],
                by: "test".into(),
                drop_unreadable: false,
            }
        }

        async fn step(&mut self, random: &mut Random) {
            for _ in 0..random.below(5) {
                self.produce(random);
            }
            let tenant = TENANTS[usize::from(random.chance(25))];
            let user = USERS[random.below(2) as usize];
            let wish = Self::wish(tenant, user);
            let choose = |random: &mut Random| {
                // Erasing is rarer, so that there is something to erase.
                let choice = random.below(9);
                if choice == 6 && !random.chance(40) { 1 } else { choice }
            };
            let jobs: Vec<(usize, u64, usize)> = (0..3)
                .map(|_| {
                    let process = random.below(PROCESSES as u64) as usize;
                    (process, choose(random), random.below(SHARDS as u64) as usize)
                })
                .collect();
            self.bucket.set(Self::faults(random));
            let work = |at: usize| {
                let (process, choice, shard) = jobs[at];
                self.work(self.lakes[process].clone(), choice, shard, &wish)
            };
            let done = tokio::join!(work(0), work(1), work(2));
            self.bucket.set(Faults::None);
            let done = [done.0, done.1, done.2];
            if jobs.iter().any(|(_, choice, _)| *choice == 6) {
                // Recorded or not when it failed, asking again makes it one; any process goes on with it.
                let lake = &self.lakes[random.below(PROCESSES as u64) as usize];
                let report = lake.request_erasure(&wish).await.unwrap();
                self.erased.push((tenant.to_owned(), user, report.requested_ms));
                lake.run_erasure(report.number, |_| ()).await.unwrap();
            }
            for shard in 0..SHARDS {
                let appended = jobs.iter().any(|(_, choice, of)| *choice == 0 && *of == shard);
                // Part of what failed may be there: it is delivered again, by another process perhaps.
                if appended || random.chance(40) {
                    let (from, to) = (self.delivered[shard], self.shards[shard].len());
                    let lake = &self.lakes[random.below(PROCESSES as u64) as usize];
                    lake.append(ShardId(shard as u32), self.batch(shard, from, to)).await.unwrap();
                    self.delivered[shard] = to;
                }
            }
            for (place, ok) in done.into_iter().enumerate() {
                if !ok && random.chance(50) {
                    self.lakes[jobs[place].0] = open(&self.bucket, &self.clock, options()).await;
                }
            }
        }

        /// Keys of the blocks' objects that the manifest names, read from its own objects.
        async fn named(&self) -> BTreeSet<String> {
            let mut blocks: BTreeMap<String, serde_json::Value> = BTreeMap::new();
            let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
            let mut keys = self.bucket.keys("manifest/").await;
            let checkpoint = keys.iter().rfind(|key| key.contains("checkpoint-")).cloned();
            let version = |key: &str| key.chars().filter(char::is_ascii_digit).collect::<String>();
            keys.retain(|key| !key.contains("checkpoint-"));
            if let Some(last) = &checkpoint {
                keys.retain(|key| version(key) > version(last));
                keys.insert(0, last.clone());
            }
            for key in keys {
                let bytes = self.bucket.get(&key).await.unwrap();
                let entry: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
                for id in entry["remove"].as_array().into_iter().flatten() {
                    blocks.remove(&text(id)).unwrap();
                }
                for block in ["add", "blocks"].iter().filter_map(|name| entry[name].as_array()).flatten() {
                    blocks.insert(text(&block["id"]), block.clone());
                }
            }
            let mut named = BTreeSet::new();
            for block in blocks.values() {
                if block["samples"].as_u64() > Some(0) {
                    named.extend([text(&block["samples_key"]), text(&block["series_key"])]);
                }
                named.extend(block["exemplars"].get("key").map(text));
            }
            named
        }

        /// Undisturbed, everything is caught up with, and nothing is left that nobody names.
        async fn finish(&mut self, random: &mut Random, context: &str) {
            let lake = open(&self.bucket, &self.clock, options()).await;
            for shard in 0..SHARDS {
                let to = self.shards[shard].len();
                lake.append(ShardId(shard as u32), self.batch(shard, 0, to)).await.unwrap();
                self.delivered[shard] = to;
            }
            self.check(&lake, context).await;
            // A last erasure, after which nothing comes.
            let wish = Self::wish(TENANTS[usize::from(random.chance(50))], USERS[0]);
            let report = lake.request_erasure(&wish).await.unwrap();
            self.erased.push((wish.tenant.to_string(), USERS[0], report.requested_ms));
            lake.run_erasure(report.number, |_| ()).await.unwrap();
            self.check(&lake, context).await;
            lake.compact(CompactMode::Full).await.unwrap();
            lake.roll_up(&RollupWish::default(), |_| ()).await.unwrap();
            // Rollups of frozen days, and erasures of what is frozen, are gone on with when it has been restored.
            self.bucket.inner.thaw();
            lake.roll_up(&RollupWish::default(), |_| ()).await.unwrap();
            let awaited = lake.continue_erasures().await.unwrap();
            assert!(
                awaited.iter().all(|report| (report.state == "running") == (report.frozen > 0)),
                "{context}"
            );
            self.bucket.inner.thaw();
            for report in lake.continue_erasures().await.unwrap() {
                assert_eq!((report.state.as_str(), report.frozen), ("watched", 0), "{context}");
            }
            self.check(&lake, context).await;
            let rolled = lake.roll_up(&RollupWish::default(), |_| ()).await.unwrap();
            assert_eq!(rolled.days_frozen, 0, "{context}");
            // Through the ages of all days: they are archived, cut into hours, and archived again.
            for _ in 0..6 {
                lake.roll_up(&RollupWish::default(), |_| ()).await.unwrap();
                let report = lake.archive(self.clock.now_ms(), LONG).await.unwrap();
                assert_eq!((report.failed, report.changed, report.left), (0, 0, 0), "{context}");
                self.archived += report.merged;
                self.clock.advance(12 * HOUR_MS);
                let other = open(&self.bucket, &self.clock, options()).await;
                self.bucket.set(Self::faults(random));
                // Whatever becomes of it: the next run makes up for it.
                let _ = other.expire(self.clock.now_ms()).await;
                self.bucket.set(Faults::None);
                let expired = lake.expire(self.clock.now_ms()).await.unwrap();
                self.cut += expired.cut;
                self.check(&lake, context).await;
                // What it asked for is there by the next run.
                self.bucket.inner.thaw();
            }
            lake.roll_up(&RollupWish::default(), |_| ()).await.unwrap();
            self.archived += lake.archive(self.clock.now_ms(), LONG).await.unwrap().merged;
            // What is archived is what it was: no rollup has to be made again.
            let again = lake.roll_up(&RollupWish::default(), |_| ()).await.unwrap();
            assert_eq!(again.days, 0, "{context}");
            let again = lake.archive(self.clock.now_ms(), LONG).await.unwrap();
            assert_eq!(again.merged, 0, "{context}");
            self.check(&lake, context).await;
            // The proof reads everything, what was dropped lately included.
            for key in self.bucket.keys("blocks/").await {
                self.bucket.restore(&key, 1).await.unwrap();
            }
            self.bucket.inner.thaw();
            let erased: BTreeSet<_> = self.erased.iter().map(|(of, who, _)| (of.clone(), *who)).collect();
            for (tenant, user) in erased {
                let is_of = |(of, _, own): &(Labels, i64, Labels)| {
                    [of, own].iter().any(|labels| labels.get("user") == Some(user))
                };
                let anything = |of: &&str| {
                    self.unexpired(of, i64::MIN).keys().any(|(_, who, _)| who == user)
                        || self.unexpired_exemplars(of, i64::MIN).0.iter().any(is_of)
                };
                // Unless there is something newer of the same user; of the other tenant, in the same segment.
                if !anything(&tenant.as_str()) {
                    let found = holders(&*self.bucket, user).await;
                    let shared = TENANTS.iter().any(anything);
                    let is_own = |key: &&String| match key.contains("tenant=") {
                        true => key.contains(&format!("tenant={tenant}/")),
                        false => !shared,
                    };
                    let left: Vec<_> = found.iter().filter(is_own).collect();
                    assert_eq!(left, Vec::<&String>::new(), "{context}: {user} of {tenant}");
                    self.proved += 1;
                }
            }
            self.by_own_labels +=
                TENANTS.map(|of| self.unexpired_exemplars(of, i64::MIN).1).iter().sum::<usize>();
            self.clock.advance(ORPHANED_MS);
            // A lasting process: it has looked before, and looks again after six hours.
            self.lakes[0].collect_garbage().await.unwrap();
            let objects: BTreeSet<String> = self.bucket.keys("blocks/").await.into_iter().collect();
            let named = self.named().await;
            assert_eq!(objects, named, "{context}: objects of blocks, and those that the manifest names");
            self.check(&lake, context).await;
        }
    }

    #[tokio::test]
    async fn answers_never_change_nothing_erased_is_left_and_nothing_is_orphaned_for_long() {
        let count = std::env::var("WEIR_SCHEDULES").ok().and_then(|n| n.parse().ok()).unwrap_or(60u64);
        let given = std::env::var("WEIR_SEED").ok().and_then(|seed| seed.parse().ok());
        let (mut erasures, mut archived, mut cut, mut proved, mut by_own_labels) = (0, 0, 0, 0, 0);
        for seed in given.map_or(0..count, |seed: u64| seed..seed + 1) {
            let mut random = Random(seed.wrapping_mul(0x9e37_79b9));
            let mut world = World::new(seed.is_multiple_of(3)).await;
            for step in 0..12 {
                let context = format!("WEIR_SEED={seed} step {step}");
                world.step(&mut random).await;
                let lake = world.lakes[random.below(PROCESSES as u64) as usize].clone();
                world.check(&lake, &context).await;
                // Within two days, for which late records are watched for.
                world.clock.advance(random.below(4) as i64 * HOUR_MS + 1 + random.below(120_000) as i64);
            }
            erasures += world.erased.len();
            world.finish(&mut random, &format!("WEIR_SEED={seed} at the end")).await;
            archived += world.archived;
            cut += world.cut;
            proved += world.proved;
            by_own_labels += world.by_own_labels;
        }
        let enough = erasures as u64 > count / 2 && archived > count / 4 && cut > count / 20;
        let enough = enough && proved > count / 4 && by_own_labels as u64 > count / 4;
        let done = format!(
            "{erasures} erasures and one at last, {proved} users proved gone, {by_own_labels} exemplars by their own labels, \
             {archived} days archived at last, {cut} cut into hours"
        );
        assert!(given.is_some() || enough, "{done}");
    }
}
