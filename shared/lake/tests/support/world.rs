//! A lake under test with its surroundings, and the random histories it goes through.

use std::collections::BTreeMap;
use std::sync::Arc;

use weir_lake::{CompactMode, Lake, LakeOptions};
use weir_platform::{Bucket, Clock, ManualClock, ShardId};

use super::Random;
use super::bucket::{Faults, FaultyBucket};
use super::model::{self, check, covered};
use super::stream::{BASE_MS, SHARDS, TestStream};

pub(crate) fn options() -> LakeOptions {
    LakeOptions {
        merge_fan_in: 3,
        max_segment_bytes: 700,
        max_exemplars_per_series: 2,
        ..LakeOptions::default()
    }
}

/// A lake under test with its surroundings.
pub(crate) struct World {
    pub(crate) bucket: Arc<FaultyBucket>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) stream: TestStream,
    /// Records of each shard that an append has acknowledged.
    pub(crate) acknowledged: [usize; SHARDS],
    pub(crate) lake: Arc<Lake>,
    pub(crate) options: LakeOptions,
}

impl World {
    pub(crate) async fn new(options: LakeOptions) -> Self {
        let clock = Arc::new(ManualClock::new(BASE_MS));
        let bucket = Arc::new(FaultyBucket::timed_by(clock.clone()));
        let lake = Lake::open(bucket.clone(), clock.clone(), options.clone()).await.unwrap();
        Self { bucket, clock, stream: TestStream::default(), acknowledged: [0; SHARDS], lake, options }
    }

    pub(crate) async fn reopen(&mut self) {
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
    pub(crate) async fn deliver(&mut self, random: &mut Random) {
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

    pub(crate) async fn check(&mut self, random: &mut Random, context: &str) {
        let covered = covered(&self.lake);
        for (shard, done) in self.acknowledged.iter().enumerate() {
            let last = done.checked_sub(1).map(|at| self.stream.shards[shard][at].0);
            assert!(covered[shard] >= last, "{context}: shard {shard} covers {covered:?}, not {last:?}");
        }
        let model = model::of_stream(&self.stream, covered, &self.options);
        check(&self.lake, &model, random, context).await;
    }
}

pub(crate) async fn history(seed: u64, steps: usize) {
    let mut random = Random(seed);
    // Every other history has hours that do not fit into one block.
    let max_block_series = if seed.is_multiple_of(2) { 3 } else { LakeOptions::default().max_block_series };
    let mut world = World::new(LakeOptions { max_block_series, ..options() }).await;
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
pub(crate) async fn finish(mut world: World, random: &mut Random, context: &str) {
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
    let objects = world.bucket.keys("blocks/").await;
    let tables: BTreeMap<&str, u64> = objects.iter().fold(BTreeMap::new(), |mut tables, key| {
        let name = key.rsplit('/').next().and_then(|name| name.split_once('-'));
        *tables.entry(name.map_or("", |(table, _)| table)).or_default() += 1;
        tables
    });
    assert_eq!(tables.get("samples"), tables.get("series"), "{context}: no orphan is left");
    let alone = objects.iter().filter(|key| {
        key.contains("/exemplars-") && !objects.contains(&key.replace("/exemplars-", "/samples-"))
    });
    let samples = tables.get("samples").copied().unwrap_or_default();
    assert_eq!(samples + alone.count() as u64, blocks, "{context}: no orphan is left");
    assert_eq!(world.bucket.keys("hot/").await, Vec::<String>::new(), "{context}: nothing hot is left");
    assert_eq!(statistics.hot.samples, 0, "{context}");
    world.reopen().await;
    world.check(random, context).await;
}

impl World {
    pub(crate) fn clock_ms(&self) -> i64 {
        self.clock.now_ms()
    }
}

/// A lake with hot data, blocks to merge, and garbage.
pub(crate) async fn prepared(random: &mut Random) -> World {
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
