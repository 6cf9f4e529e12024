//! Random histories of appends, compactions, crashes and failures, compared with a plain model after
//! each step.

#[cfg(test)]
mod support;

use std::sync::Arc;

use support::Random;
use support::bucket::Faults;
use support::model::{self, check, covered};
use support::stream::{SHARDS, tenant};
use support::world::{World, finish, history, options, prepared};
use weir_lake::{CompactMode, Lake, LakeOptions};
use weir_platform::ShardId;

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
        let model = model::of_stream(&world.stream, covered(&world.lake), &world.options);
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
            let model_of = |lake: &Lake| model::of_stream(&world.stream, covered(lake), &world.options);
            // The reader looks for news at most 200 ms ago; a step of the clock makes it look now.
            reader.series(&tenant("default"), &[], 0, 0, 1).await.unwrap();
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
    }
}
