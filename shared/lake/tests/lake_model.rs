//! Random histories of appends, compactions, crashes and failures, compared with a plain model after
//! each step.

mod support;

use std::sync::Arc;

use support::bucket::{Faults, FaultyBucket};
use support::model::{self, check, covered};
use support::stream::{BASE_MS, SHARDS, TestStream};
use support::{Random, bucket};
use weir_lake::{CompactMode, Lake, LakeOptions};
use weir_platform::{Bucket, ManualClock, ShardId};

fn options() -> LakeOptions {
    LakeOptions { merge_fan_in: 3, max_segment_bytes: 700, ..LakeOptions::default() }
}

/// A lake under test with its surroundings.
struct World {
    bucket: Arc<FaultyBucket>,
    clock: Arc<ManualClock>,
    stream: TestStream,
    /// Records of each shard that an append has acknowledged.
    acknowledged: [usize; SHARDS],
    lake: Arc<Lake>,
    options: LakeOptions,
}

impl World {
    async fn new(options: LakeOptions) -> Self {
        let bucket = Arc::new(FaultyBucket::default());
        let clock = Arc::new(ManualClock::new(BASE_MS));
        let lake = Lake::open(bucket.clone(), clock.clone(), options.clone()).await.unwrap();
        Self { bucket, clock, stream: TestStream::default(), acknowledged: [0; SHARDS], lake, options }
    }

    async fn reopen(&mut self) {
        // Opening may fail while the bucket does; then it is tried again, as a restarted process does.
        for _ in 0..3 {
            let bucket: Arc<dyn Bucket> = self.bucket.clone();
            if let Ok(lake) = Lake::open(bucket, self.clock.clone(), self.options.clone()).await {
                self.lake = lake;
                return;
            }
        }
        self.bucket.set(Faults::None);
        self.lake = Lake::open(self.bucket.clone(), self.clock.clone(), self.options.clone()).await.unwrap();
    }

    /// Delivers a batch that begins at or before what was acknowledged.
    async fn deliver(&mut self, random: &mut Random) {
        let shard = random.below(SHARDS as u64) as usize;
        let done = self.acknowledged[shard];
        let from = done.saturating_sub(if random.chance(30) { random.below(4) as usize } else { 0 });
        let to = (from + 1 + random.below(6) as usize).min(self.stream.shards[shard].len());
        if from >= to {
            return;
        }
        let batch = self.stream.batch(shard, from, to);
        let appended = self.lake.append(ShardId(shard as u32), batch).await;
        // Sometimes the reply is lost on its way to the stream, which then delivers again.
        if appended.is_ok() && random.chance(80) {
            self.acknowledged[shard] = done.max(to);
        }
    }

    async fn check(&mut self, random: &mut Random, context: &str) {
        let covered = covered(&self.lake);
        for (shard, done) in self.acknowledged.iter().enumerate() {
            let last = done.checked_sub(1).map(|at| self.stream.shards[shard][at].0);
            assert!(covered[shard] >= last, "{context}: shard {shard} covers {covered:?}, not {last:?}");
        }
        let model = model::of_stream(&self.stream, covered, self.options.retry_window_ms);
        check(&self.lake, &model, random, context).await;
    }
}

async fn history(seed: u64, steps: usize) {
    let mut random = Random(seed);
    let mut world = World::new(options()).await;
    for step in 0..steps {
        let faults = match random.below(3) {
            0 => Faults::Sometimes(Random(random.bits()), 1 + random.below(25)),
            _ => Faults::None,
        };
        world.bucket.set(faults);
        let choice = random.below(100);
        let name = match choice {
            0..35 => {
                for _ in 0..1 + random.below(4) {
                    world.stream.produce(&mut random, world.clock_ms());
                }
                "produce"
            }
            35..65 => {
                world.deliver(&mut random).await;
                "deliver"
            }
            65..75 => {
                let _ = world.lake.compact(CompactMode::Scheduled).await;
                "compact"
            }
            75..80 => {
                let _ = world.lake.compact(CompactMode::Full).await;
                "compact fully"
            }
            80..88 => {
                let _ = world.lake.collect_garbage().await;
                "collect garbage"
            }
            88..94 => {
                world.reopen().await;
                "reopen"
            }
            _ => {
                world.clock.advance(random.below(20 * 60_000) as i64);
                "wait"
            }
        };
        world.bucket.set(Faults::None);
        world.check(&mut random, &format!("seed {seed}, step {step}, after {name}")).await;
    }
    finish(world, &mut random, &format!("seed {seed}, at the end")).await;
}

/// Delivers what is left, compacts and collects, and looks at what remains in the bucket.
async fn finish(mut world: World, random: &mut Random, context: &str) {
    for shard in 0..SHARDS {
        let records = world.stream.shards[shard].len();
        if records > 0 {
            let batch = world.stream.batch(shard, 0, records);
            world.lake.append(ShardId(shard as u32), batch).await.unwrap();
            world.acknowledged[shard] = records;
        }
    }
    world.check(random, context).await;
    world.lake.compact(CompactMode::Full).await.unwrap();
    world.check(random, context).await;
    // A later run finds nothing in use; orphans are looked for at the first run after opening.
    world.reopen().await;
    world.clock.advance(25 * 3_600_000);
    world.lake.collect_garbage().await.unwrap();
    world.check(random, context).await;
    let statistics = world.lake.statistics();
    let blocks: u64 = statistics.tenants.values().map(|t| t.blocks).sum();
    assert_eq!(world.bucket.keys("blocks/").await.len() as u64, blocks * 2, "{context}: no orphan is left");
    assert_eq!(world.bucket.keys("hot/").await, Vec::<String>::new(), "{context}: nothing hot is left");
    assert_eq!(statistics.hot.samples, 0, "{context}");
    world.reopen().await;
    world.check(random, context).await;
}

impl World {
    fn clock_ms(&self) -> i64 {
        weir_platform::Clock::now_ms(&*self.clock)
    }
}

/// `WEIR_LAKE_SEED=n` runs that history alone, `WEIR_LAKE_HISTORIES=n` so many of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_of_a_random_history_equals_the_models() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("WEIR_LAKE_SEED") {
        return history(seed, 120).await;
    }
    for seed in 0..number("WEIR_LAKE_HISTORIES").unwrap_or(40) {
        history(seed, 120).await;
    }
}

/// A lake with hot data, blocks to merge, and garbage.
async fn prepared(random: &mut Random) -> World {
    let mut world = World::new(LakeOptions { merge_fan_in: 2, ..options() }).await;
    for _ in 0..3 {
        for _ in 0..6 {
            world.stream.produce(random, world.clock_ms());
        }
        for shard in 0..SHARDS {
            let (from, to) = (world.acknowledged[shard], world.stream.shards[shard].len());
            let batch = world.stream.batch(shard, from, to);
            world.lake.append(ShardId(shard as u32), batch).await.unwrap();
            world.acknowledged[shard] = to;
        }
        world.clock.advance(60_000);
        if world.lake.statistics().version < 2 {
            world.lake.compact(CompactMode::Scheduled).await.unwrap();
        }
    }
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_at_any_operation_of_maintenance_loses_and_doubles_nothing() {
    for after_effect in [false, true] {
        for operation in 0.. {
            let context = format!("crash at operation {operation}, after its effect: {after_effect}");
            let mut random = Random(operation as u64 * 2 + u64::from(after_effect));
            let mut world = prepared(&mut Random(7)).await;
            world.bucket.set(Faults::CrashAt { operation, after_effect });
            let compacted = world.lake.compact(CompactMode::Full).await;
            let collected = world.lake.collect_garbage().await;
            let crashed = world.bucket.crashed();
            world.bucket.set(Faults::None);
            world.check(&mut random, &format!("{context}, while the process lives")).await;
            world.reopen().await;
            world.check(&mut random, &format!("{context}, reopened")).await;
            if !crashed {
                assert!(compacted.is_ok() && collected.is_ok(), "{context}: {compacted:?}, {collected:?}");
                break;
            }
            finish(world, &mut random, &context).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_at_any_operation_of_an_append_loses_and_doubles_nothing() {
    for after_effect in [false, true] {
        for operation in 0.. {
            let context = format!("crash at operation {operation}, after its effect: {after_effect}");
            let mut random = Random(operation as u64);
            let mut world = prepared(&mut Random(9)).await;
            for _ in 0..12 {
                world.stream.produce(&mut random, world.clock_ms());
            }
            world.bucket.set(Faults::CrashAt { operation, after_effect });
            let (from, to) = (world.acknowledged[0], world.stream.shards[0].len());
            let _ = world.lake.append(ShardId(0), world.stream.batch(0, from, to)).await;
            let crashed = world.bucket.crashed();
            world.bucket.set(Faults::None);
            world.check(&mut random, &format!("{context}, while the process lives")).await;
            world.reopen().await;
            // Delivered again, cut otherwise.
            let middle = from + (to - from) / 2;
            for (from, to) in [(from, middle), (middle.saturating_sub(1), to)] {
                world.lake.append(ShardId(0), world.stream.batch(0, from, to)).await.unwrap();
                world.check(&mut random, &context).await;
            }
            world.acknowledged[0] = to;
            if !crashed {
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_see_one_state_while_compaction_and_garbage_collection_run() {
    for seed in 0..10 {
        let mut random = Random(seed);
        let world = prepared(&mut random).await;
        let model = model::of_stream(&world.stream, covered(&world.lake), world.options.retry_window_ms);
        let lake = world.lake.clone();
        let work = tokio::spawn(async move {
            lake.compact(CompactMode::Scheduled).await.unwrap();
            lake.collect_garbage().await.unwrap();
            lake.compact(CompactMode::Full).await.unwrap();
            lake.collect_garbage().await.unwrap();
        });
        while !work.is_finished() {
            check(&world.lake, &model, &mut random, &format!("seed {seed}")).await;
        }
        work.await.unwrap();
        check(&world.lake, &model, &mut random, &format!("seed {seed}, at the end")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_processes_may_compact_and_append_at_once() {
    for seed in 0..10 {
        let mut random = Random(seed);
        let shared = LakeOptions { sole_writer: false, orphan_age_ms: i64::MAX, ..options() };
        let mut world = World::new(shared.clone()).await;
        let open = || Lake::open(world.bucket.clone(), world.clock.clone(), shared.clone());
        let (first, second, reader) = (open().await.unwrap(), open().await.unwrap(), open().await.unwrap());
        for round in 0..6 {
            for _ in 0..8 {
                world.stream.produce(&mut random, world.clock_ms());
            }
            // Each shard is written by one process or the other, and compacted by both at once.
            for shard in 0..SHARDS {
                let (from, to) = (world.acknowledged[shard], world.stream.shards[shard].len());
                let writer = if random.chance(50) { &first } else { &second };
                writer.append(ShardId(shard as u32), world.stream.batch(shard, from, to)).await.unwrap();
                world.acknowledged[shard] = to;
            }
            let compact = |lake: &Arc<Lake>| {
                let lake = lake.clone();
                tokio::spawn(async move {
                    lake.compact(CompactMode::Scheduled).await.unwrap();
                    lake.collect_garbage().await.unwrap();
                })
            };
            let (a, b) = (compact(&first), compact(&second));
            world.clock.advance(300_000);
            let context = format!("seed {seed}, round {round}");
            world.lake = reader.clone();
            let model_of = |lake: &Lake| {
                model::of_stream(&world.stream, covered(lake), world.options.retry_window_ms)
            };
            // The reader looks for news at most 200 ms ago; a step of the clock makes it look now.
            reader.series(&support::stream::tenant("default"), &[], 0, 0, 1).await.unwrap();
            let model = model_of(&reader);
            check(&reader, &model, &mut random, &context).await;
            a.await.unwrap();
            b.await.unwrap();
            world.clock.advance(1_000);
            for lake in [&first, &second, &reader] {
                check(lake, &model, &mut random, &context).await;
            }
            world.check(&mut random, &context).await;
        }
        let statistics = first.statistics();
        assert!(statistics.version > 0, "something was compacted");
        let _ = bucket::Faults::None;
    }
}
