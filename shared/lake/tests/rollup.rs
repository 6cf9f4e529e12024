//! Rollups of a lake against a straightforward recomputation from its samples.

#[cfg(test)]
#[expect(dead_code, reason = "the histories of the model are for its own tests")]
mod support;

#[cfg(test)]
mod rollup {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use bytes::Bytes;
    use weir_lake::{
        CompactMode, Incoming, Lake, LakeError, LakeOptions, RollupWish, Selection, SeriesInfo, TierWish,
    };
    use weir_model::{
        AddedUp, Aggregate, Batch, FloatSample, Histogram, HistogramSample, Interval, Intervals, Labels,
        MatchOp, Matcher, MetricKind, Record, STALE_NAN, Samples, Temporality, TenantId, Tier, is_stale_nan,
    };
    use weir_platform::{Clock, ManualClock, SequenceNumber, ShardId};

    use super::support::Random;
    use super::support::bucket::{Faults, FaultyBucket};

    /// 2026-11-21T00:00:00Z.
    const BASE_MS: i64 = 1_795_219_200_000;
    const DAY_MS: i64 = 86_400_000;
    const SHARD: ShardId = ShardId(0);

    fn seed() -> u64 {
        let seed = std::env::var("WEIR_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(11);
        eprintln!("WEIR_SEED={seed}");
        seed
    }

    struct World {
        bucket: Arc<FaultyBucket>,
        clock: Arc<ManualClock>,
        lake: Arc<Lake>,
        next: u128,
    }

    impl World {
        async fn new() -> Self {
            let bucket = Arc::new(FaultyBucket::default());
            let clock = Arc::new(ManualClock::new(BASE_MS));
            let options = LakeOptions { max_block_series: 3, ..LakeOptions::default() };
            let lake = Lake::open(bucket.clone(), clock.clone(), options).await.unwrap();
            Self { bucket, clock, lake, next: 1 }
        }

        async fn append(&mut self, rows: &[(Labels, Temporality, i64, f64)]) {
            let mut batch = Batch::new();
            for (labels, temporality, timestamp_ms, value) in rows {
                let series = batch.push_series(labels.borrowed(), MetricKind::Unknown, *temporality);
                batch.floats.push(FloatSample { series, timestamp_ms: *timestamp_ms, value: *value });
            }
            self.append_batch(batch).await;
        }

        async fn append_batch(&mut self, batch: Batch) {
            let received_ms = self.clock.now_ms();
            let record = Record { tenant: TenantId::default(), key: None, received_ms, batch };
            let payload = Bytes::from(record.encode().unwrap());
            let incoming = Incoming { sequence: SequenceNumber::from(self.next), payload, record };
            self.next += 1;
            self.lake.append(SHARD, vec![incoming]).await.unwrap();
        }

        async fn roll(&self) -> weir_lake::RollupReport {
            self.lake.roll_up(&RollupWish::default(), |_| {}).await.unwrap()
        }

        async fn objects(&self, prefix: &str) -> Vec<String> {
            self.bucket.keys(prefix).await
        }
    }

    fn labels(name: &str, of: usize) -> Labels {
        Labels::from_pairs([("__name__", name), ("of", &of.to_string())])
    }

    fn within(start_ms: i64, end_ms: i64) -> Selection {
        let (matchers, max_series, bypass_cache) = (Vec::new(), 1_000, false);
        Selection { matchers, start_ms, end_ms, max_series, bypass_cache }
    }

    /// Those that are kept of counters, too.
    const OF_ALL: [Aggregate; 7] = [
        Aggregate::Last,
        Aggregate::Count,
        Aggregate::Sum,
        Aggregate::Min,
        Aggregate::Max,
        Aggregate::First,
        Aggregate::Resets,
    ];

    fn wish(tier: Tier, aggregates: &[Aggregate]) -> TierWish {
        let (grid_ms, added_up) = (tier.width_ms(), AddedUp::None);
        TierWish { grid_ms, aggregates: aggregates.to_vec(), added_up, tier: Some(tier) }
    }

    /// The intervals of samples, worked out one by one.
    fn recomputed(samples: &Samples, tier: Tier) -> Vec<Interval> {
        let mut by_end: BTreeMap<i64, Vec<(i64, f64)>> = BTreeMap::new();
        for (at, value) in samples.timestamps.iter().zip(&samples.values) {
            if !is_stale_nan(*value) {
                by_end.entry(tier.interval_end(*at)).or_default().push((*at, *value));
            }
        }
        let interval = |(end_ms, rows): (i64, Vec<(i64, f64)>)| {
            let values: Vec<f64> = rows.iter().map(|r| r.1).collect();
            let sum: f64 = values.iter().sum();
            let mean = sum / values.len() as f64;
            Interval {
                end_ms,
                count: rows.len() as u64,
                sum,
                min: values.iter().copied().fold(f64::INFINITY, f64::min),
                max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                squares: values.iter().map(|v| (v - mean).powi(2)).sum(),
                first_ms: rows[0].0,
                first: rows[0].1,
                last_ms: rows[rows.len() - 1].0,
                last: rows[rows.len() - 1].1,
                resets: values.windows(2).filter(|w| w[1] < w[0]).map(|w| w[0]).sum(),
            }
        };
        by_end.into_iter().map(interval).collect()
    }

    fn assert_close(got: &[Interval], want: &[Interval], has_squares: bool, context: &str) {
        assert_eq!(got.len(), want.len(), "{context}: {got:?}\n{want:?}");
        for (a, b) in got.iter().zip(want) {
            let near = |x: f64, y: f64| (x - y).abs() <= 1e-9 * x.abs().max(y.abs()).max(1.0);
            let exact = |i: &Interval| (i.end_ms, i.count, i.first_ms, i.last_ms);
            assert_eq!(exact(a), exact(b), "{context}");
            for (what, x, y) in [
                ("sum", a.sum, b.sum),
                ("min", a.min, b.min),
                ("max", a.max, b.max),
                ("squares", a.squares, if has_squares { b.squares } else { a.squares }),
                ("first", a.first, b.first),
                ("last", a.last, b.last),
                ("resets", a.resets, b.resets),
            ] {
                assert!(near(x, y), "{context}: {what} is {x}, not {y}");
            }
        }
    }

    /// Distributions that are told are those of the samples, and the others follow.
    fn assert_distributed(intervals: &Intervals, samples: &Samples, tier: Tier, context: &str) {
        for interval in &intervals.floats {
            let rows = samples.timestamps.iter().zip(&samples.values);
            let own = rows.filter(|(t, v)| tier.interval_end(**t) == interval.end_ms && !is_stale_nan(**v));
            let want = Histogram::of_values(own.map(|(_, v)| *v));
            let told = intervals.distributions.iter().find(|(end_ms, _)| *end_ms == interval.end_ms);
            assert!(told.is_some() || interval.tells_distribution(), "{context}: {interval:?}");
            assert!(told.is_none_or(|(_, told)| told.same_data(&want)), "{context}: {told:?}, not {want:?}");
        }
    }

    /// Compares every tier with the samples over a range of days.
    async fn check(lake: &Lake, start_ms: i64, end_ms: i64, context: &str) -> usize {
        let mut answered = 0;
        for tier in Tier::ALL {
            if start_ms % tier.width_ms() != 0 || end_ms % tier.width_ms() != 0 {
                continue;
            }
            let context = format!("{context}, tier {}", tier.name());
            let mut range = within(start_ms + 1, end_ms);
            let found = check_tier(lake, &range, &wish(tier, &OF_ALL), &context).await;
            answered += usize::from(found);
            range.matchers = vec![Matcher::new("__name__", MatchOp::NotEqual, "counter_total").unwrap()];
            let all: Vec<_> = Aggregate::ALL.into_iter().filter(|a| a.is_of(tier)).collect();
            assert!(check_tier(lake, &range, &wish(tier, &all), &context).await || !found, "{context}");
        }
        answered
    }

    /// Compares a tier with the samples; false if it is not there.
    async fn check_tier(lake: &Lake, range: &Selection, wish: &TierWish, context: &str) -> bool {
        let tenant = TenantId::default();
        let tier = wish.tier.unwrap();
        let raw = lake.select(&tenant, range).await.unwrap();
        let Some(rolled) = lake.select_tier(&tenant, range, wish).await.unwrap() else { return false };
        let only_last = TierWish { aggregates: Vec::new(), ..wish.clone() };
        let last = lake.select_tier(&tenant, range, &only_last).await.unwrap().unwrap();
        let (mut of_raw, mut of_tier, mut of_last) = (raw.reader(), rolled.reader(), last.reader());
        let (mut samples, mut intervals, mut lasts) =
            (Samples::default(), Intervals::default(), Samples::default());
        assert_eq!(rolled.series().len(), last.series().len(), "{context}");
        let has = |aggregate| wish.aggregates.contains(&aggregate);
        for (at, info) in raw.series().iter().enumerate() {
            let context = format!("{context}, {}", info.labels);
            of_raw.read(at, &mut samples).unwrap();
            let same =
                |other: &SeriesInfo| (&other.labels, other.temporality) == (&info.labels, info.temporality);
            let Some(place) = rolled.series().iter().position(same) else {
                assert!(samples.is_empty(), "{context} is missing");
                continue;
            };
            of_tier.read_intervals(place, &mut intervals).unwrap();
            assert_close(&intervals.floats, &recomputed(&samples, tier), has(Aggregate::Squares), &context);
            if has(Aggregate::Distribution) {
                assert_distributed(&intervals, &samples, tier, &context);
            }
            of_last.read_last(place, &mut lasts).unwrap();
            let mut end = tier.interval_end(range.start_ms);
            while end <= range.end_ms {
                let newest = |s: &Samples| {
                    let n = s.timestamps.partition_point(|t| *t <= end);
                    n.checked_sub(1).map(|at| (s.timestamps[at], s.values[at].to_bits()))
                };
                assert_eq!(newest(&lasts), newest(&samples), "{context}: newest at {end}");
                end += tier.width_ms();
            }
        }
        true
    }

    /// Some days of random samples: counters with resets, gauges, changes, gaps, markers, repeats.
    async fn fill(world: &mut World, random: &mut Random, days: std::ops::Range<i64>, every_ms: i64) {
        let mut counters = [0.0; 4];
        for day in days {
            let mut rows = Vec::new();
            let mut at = BASE_MS + day * DAY_MS;
            while at < BASE_MS + (day + 1) * DAY_MS {
                for (of, counter) in counters.iter_mut().enumerate() {
                    let jitter = if of == 0 { 0 } else { random.below(2_000) as i64 };
                    if random.below(20) == 0 {
                        continue;
                    }
                    *counter =
                        if random.below(50) == 0 { 0.0 } else { *counter + random.below(100) as f64 / 10.0 };
                    let marker = random.below(60) == 0;
                    let value = if marker { STALE_NAN } else { *counter };
                    rows.push((labels("counter_total", of), Temporality::Cumulative, at + jitter, value));
                    let level = random.below(1_000) as f64 / 8.0 - 60.0;
                    rows.push((labels("level", of), Temporality::Cumulative, at + jitter, level));
                    rows.push((labels("changes", of), Temporality::Delta, at + jitter, level));
                    rows.push((labels("still", of), Temporality::Cumulative, at, 0.3));
                }
                at += every_ms;
            }
            world.append(&rows).await;
        }
    }

    #[tokio::test]
    async fn tiers_say_what_the_samples_say_whatever_comes_late() {
        let mut random = Random(seed());
        let mut world = World::new().await;
        fill(&mut world, &mut random, 0..10, 61 * 60_000).await;
        world.clock.advance(11 * DAY_MS);
        check(&world.lake, BASE_MS, BASE_MS + 10 * DAY_MS, "all hot").await;
        world.lake.compact(CompactMode::Full).await.unwrap();
        assert_eq!(check(&world.lake, BASE_MS, BASE_MS + 10 * DAY_MS, "nothing rolled up").await, 0);
        let report = world.roll().await;
        // The sample at the beginning of the first day closes the day before.
        assert_eq!((report.days, report.days_changed, report.days_left), (11, 0, 0));
        assert_eq!(check(&world.lake, BASE_MS, BASE_MS + 10 * DAY_MS, "rolled up").await, 3);
        let before = world.objects("blocks/").await;
        let again = world.roll().await;
        assert_eq!((again.days, world.objects("blocks/").await == before), (0, true), "nothing is due twice");

        for round in 0..6 {
            let context = format!("round {round}");
            let late: Vec<_> = (0..1 + random.below(4))
                .map(|_| {
                    let at = BASE_MS + random.below(11 * 24 * 60) as i64 * 60_000;
                    let of = random.below(6) as usize;
                    (labels("level", of), Temporality::Cumulative, at, random.below(50) as f64)
                })
                .collect();
            world.append(&late).await;
            let start = BASE_MS + random.below(9) as i64 * DAY_MS;
            let end = start + (1 + random.below(3) as i64) * DAY_MS;
            check(&world.lake, start, end, &format!("{context}, hot")).await;
            world.lake.compact(CompactMode::Full).await.unwrap();
            check(&world.lake, start, end, &format!("{context}, not rolled up again")).await;
            let hour = random.below(200) as i64 * 3_600_000;
            let (from, to) = (BASE_MS + hour, BASE_MS + hour + (1 + random.below(48) as i64) * 3_600_000);
            check(&world.lake, from, to, &format!("{context}, hours")).await;
            if round % 3 == 2 {
                let days = world.roll().await.days;
                assert!(days > 0, "{context}: late samples make days due");
                assert_eq!(check(&world.lake, BASE_MS, BASE_MS + 10 * DAY_MS, &context).await, 3);
            }
        }
        world.lake.collect_garbage().await.unwrap();
        check(&world.lake, BASE_MS, BASE_MS + 10 * DAY_MS, "after garbage collection").await;
        let options = LakeOptions::default();
        let reopened = Lake::open(world.bucket.clone(), world.clock.clone(), options).await.unwrap();
        let answered = check(&reopened, BASE_MS, BASE_MS + 10 * DAY_MS, "opened again").await;
        assert_eq!(answered, 3);
    }

    #[tokio::test]
    async fn which_series_there_are_is_the_same_of_rollups_and_of_samples() {
        let mut random = Random(seed());
        let mut world = World::new().await;
        let mut rows = Vec::new();
        for day in 0..9 {
            let at = BASE_MS + day * DAY_MS + random.below(DAY_MS as u64) as i64;
            rows.push((labels("of_day", day as usize), Temporality::Cumulative, at, 1.0));
            rows.push((labels("often", 0), Temporality::Cumulative, at + 1, 1.0));
        }
        world.append(&rows).await;
        world.lake.compact(CompactMode::Full).await.unwrap();
        world.clock.advance(12 * DAY_MS);
        let tenant = TenantId::default();
        let days: Vec<(i64, i64)> = (0..9).flat_map(|a| (a..9).map(move |b| (a, b))).collect();
        let mut before = Vec::new();
        for rolled in [false, true] {
            for (place, (first, last)) in days.iter().enumerate() {
                let (start_ms, end_ms) = (BASE_MS + first * DAY_MS, BASE_MS + (last + 1) * DAY_MS);
                let series = world.lake.series(&tenant, &[], start_ms, end_ms, 100).await.unwrap();
                let values =
                    world.lake.label_values(&tenant, "of", &[], start_ms, end_ms, 100).await.unwrap();
                match rolled {
                    false => before.push((series, values)),
                    true => assert_eq!((series, values), before[place], "days {first} to {last}"),
                }
            }
            world.roll().await;
        }
    }

    #[tokio::test]
    async fn two_runs_at_once_and_merges_between_leave_one_rollup() {
        let mut random = Random(seed());
        let mut world = World::new().await;
        fill(&mut world, &mut random, 0..2, 60 * 60_000).await;
        world.clock.advance(3 * DAY_MS);
        world.lake.compact(CompactMode::Scheduled).await.unwrap();
        let options = LakeOptions { sole_writer: false, ..LakeOptions::default() };
        let other = Lake::open(world.bucket.clone(), world.clock.clone(), options.clone()).await.unwrap();
        let another = Lake::open(world.bucket.clone(), world.clock.clone(), options).await.unwrap();
        let wish = RollupWish::default();
        let (a, b) = tokio::join!(other.roll_up(&wish, |_| {}), another.roll_up(&wish, |_| {}));
        let (a, b) = (a.unwrap(), b.unwrap());
        assert_eq!(a.days + b.days, 3, "{a:?} {b:?}");
        assert_eq!(a.days_changed + b.days_changed, 3, "{a:?} {b:?}");
        assert_eq!(check(&other, BASE_MS, BASE_MS + 2 * DAY_MS, "two runs").await, 3);
        other.compact(CompactMode::Full).await.unwrap();
        let again = other.roll_up(&wish, |_| {}).await.unwrap();
        assert_eq!(again.days, 0, "merging blocks changes no samples");
    }

    #[tokio::test]
    async fn only_settled_days_of_the_range_are_rolled_up_and_any_again_on_request() {
        let mut random = Random(seed());
        let mut world = World::new().await;
        fill(&mut world, &mut random, 0..3, 6 * 60 * 60_000).await;
        world.lake.compact(CompactMode::Full).await.unwrap();
        world.clock.advance(DAY_MS + 3_600_000);
        assert_eq!(world.roll().await.days, 1, "the sample at midnight belongs to the day before");
        world.clock.advance(600_000);
        assert_eq!(world.roll().await.days, 1, "an hour and ten minutes after its end");
        world.clock.advance(5 * DAY_MS);
        let range_ms = Some((BASE_MS + DAY_MS, BASE_MS + 2 * DAY_MS));
        let of_range = RollupWish { range_ms, ..RollupWish::default() };
        assert_eq!(world.lake.roll_up(&of_range, |_| {}).await.unwrap().days, 1);
        assert_eq!(world.lake.roll_up(&of_range, |_| {}).await.unwrap().days, 0);
        let mut seen = Vec::new();
        let again = RollupWish { again: true, ..of_range };
        let report = world.lake.roll_up(&again, |p| seen.push((p.done, p.total))).await.unwrap();
        assert_eq!((report.days, seen), (1, vec![(0, 1), (1, 1)]));
        let bounded = RollupWish { again: true, max_days: 2, ..RollupWish::default() };
        let report = world.lake.roll_up(&bounded, |_| {}).await.unwrap();
        assert_eq!((report.days, report.days_left), (2, 2));
        let folder = "blocks/tenant=default/res=1h/agg=last/";
        assert!(!world.objects(folder).await.is_empty());
    }

    #[tokio::test]
    async fn histograms_are_kept_by_their_last_and_answered_from_samples() {
        let mut world = World::new().await;
        let mut batch = Batch::new();
        let of = labels("latency", 0);
        let series = batch.push_series(of.borrowed(), MetricKind::Histogram, Temporality::Cumulative);
        for minute in 1..200 {
            let histogram =
                Histogram { count: minute as f64, zero_count: minute as f64, ..Histogram::default() };
            let timestamp_ms = BASE_MS + minute * 60_000;
            batch.histograms.push(HistogramSample { series, timestamp_ms, histogram: histogram.into() });
        }
        world.append_batch(batch).await;
        world.lake.compact(CompactMode::Full).await.unwrap();
        world.clock.advance(2 * DAY_MS);
        assert_eq!(world.roll().await.days, 1);
        let (tenant, range) = (TenantId::default(), within(BASE_MS + 1, BASE_MS + DAY_MS));
        let sums =
            world.lake.select_tier(&tenant, &range, &wish(Tier::Hour, &[Aggregate::Sum])).await.unwrap();
        assert!(sums.is_none());
        let last = world.lake.select_tier(&tenant, &range, &wish(Tier::Hour, &[])).await.unwrap().unwrap();
        let mut samples = Samples::default();
        last.reader().read_last(0, &mut samples).unwrap();
        let counts: Vec<f64> = samples.histograms.iter().map(|(_, h)| h.count).collect();
        assert_eq!(counts, [60.0, 120.0, 180.0, 199.0]);
    }

    /// News is looked for at every query, since the clock stands still meanwhile; and orphans only at the end,
    /// since the bucket's objects have no age by that clock.
    fn of_several() -> LakeOptions {
        let orphan_age_ms = i64::MAX / 4;
        LakeOptions { sole_writer: false, refresh_ms: -1, orphan_age_ms, ..LakeOptions::default() }
    }

    async fn open(world: &World, options: LakeOptions) -> Result<Arc<Lake>, LakeError> {
        Lake::open(world.bucket.clone(), world.clock.clone(), options).await
    }

    /// Crashes at any operation, and compactions, rollups and garbage collections side by side; `WEIR_SCHEDULES`
    /// sets how many histories.
    #[tokio::test]
    async fn crashes_and_runs_side_by_side_change_no_answer_and_leave_nothing_behind() {
        let count = std::env::var("WEIR_SCHEDULES").ok().and_then(|n| n.parse().ok()).unwrap_or(8u64);
        let given = std::env::var("WEIR_SEED").ok().and_then(|seed| seed.parse().ok());
        let (mut days, mut crashes) = (0, 0);
        for seed in given.map_or(0..count, |seed: u64| seed..seed + 1) {
            let context = format!("WEIR_SEED={seed}");
            let mut random = Random(seed);
            let mut world = World::new().await;
            world.lake = open(&world, of_several()).await.unwrap();
            let end_ms = BASE_MS + 9 * DAY_MS;
            for step in 0..10 {
                let now_ms = world.clock.now_ms();
                let rows: Vec<_> = (0..random.below(12))
                    .map(|_| {
                        let reach = if random.chance(20) { 3 * 24 } else { 4 };
                        let late_ms = random.below(reach) as i64 * 1_800_000;
                        let at = (now_ms - late_ms).max(BASE_MS + 1);
                        let value = if random.chance(10) { STALE_NAN } else { random.below(9) as f64 };
                        (labels("level", random.below(3) as usize), Temporality::Cumulative, at, value)
                    })
                    .collect();
                if !rows.is_empty() {
                    world.append(&rows).await;
                }
                world.bucket.set(match random.below(3) {
                    0 => Faults::None,
                    1 => Faults::Sometimes(Random(random.bits()), 2),
                    _ => {
                        let (operation, after_effect) = (random.below(120) as usize, random.chance(50));
                        Faults::CrashAt { operation, after_effect }
                    }
                });
                let (one, two) = (world.lake.clone(), open(&world, of_several()).await.ok());
                let wish = RollupWish::default();
                // Failures are what is tested; the next run makes up for them.
                let first = async {
                    let compacted = one.compact(CompactMode::Scheduled).await;
                    (compacted.is_ok(), one.roll_up(&wish, |_| {}).await)
                };
                let second = async {
                    let two = two?;
                    let rolled = two.roll_up(&wish, |_| {}).await.ok()?;
                    drop(two.collect_garbage().await);
                    Some(rolled)
                };
                let ((_, rolled), other) = tokio::join!(first, second);
                days += rolled.map_or(0, |report| report.days) + other.map_or(0, |report| report.days);
                crashes += u32::from(world.bucket.crashed());
                world.bucket.set(Faults::None);
                if random.chance(30) {
                    world.lake = open(&world, of_several()).await.unwrap();
                }
                check(&world.lake, BASE_MS, end_ms, &format!("{context} step {step}")).await;
                world.clock.advance((1 + random.below(20)) as i64 * 3_600_000);
            }
            // Undisturbed, all is rolled up, and every folder of a rollup holds one block.
            world.lake = open(&world, LakeOptions::default()).await.unwrap();
            world.clock.advance(25 * 3_600_000);
            world.lake.compact(CompactMode::Full).await.unwrap();
            world.roll().await;
            world.clock.advance(25 * 3_600_000);
            world.lake.collect_garbage().await.unwrap();
            assert_eq!(world.roll().await.days, 0, "{context}: all is rolled up");
            check(&world.lake, BASE_MS, end_ms, &context).await;
            let mut folders: BTreeMap<String, usize> = BTreeMap::new();
            for key in world.objects("blocks/").await.iter().filter(|key| key.contains("/agg=")) {
                *folders.entry(key.rsplit_once('/').unwrap().0.to_owned()).or_default() += 1;
            }
            assert!(folders.values().all(|objects| *objects == 2), "{context}: {folders:?}");
        }
        assert!(days > count && (given.is_some() || crashes > 0), "{days} days, {crashes} crashes");
    }
}
