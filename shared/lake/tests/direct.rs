//! Direct mode: many writers without a stream, each acknowledged sample in the lake once.

#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use weir_lake::{CompactMode, DirectStream, Lake, LakeOptions};
use weir_model::{Batch, FloatSample, Labels, MetricKind, Record, RecordKey, Temporality, TenantId};
use weir_platform::{
    Bucket, BucketError, Created, ManualClock, MemoryBucket, NewRecord, ObjectInfo, Placement, Stream,
};

/// A bucket that every third time creates an object and says that it was there already: what a writer
/// sees that tried again after a lost reply. Counts its listings of hot segments, too.
#[derive(Default)]
struct LosesReplies(MemoryBucket, AtomicU64, AtomicU64);

#[async_trait]
impl Bucket for LosesReplies {
    async fn create_in(
        &self,
        key: &str,
        bytes: Bytes,
        placement: &Placement,
    ) -> Result<Created, BucketError> {
        tokio::task::yield_now().await;
        let created = self.0.create_in(key, bytes, placement).await?;
        let lost = self.1.fetch_add(1, Ordering::SeqCst).is_multiple_of(3);
        Ok(if lost { Created::Existed } else { created })
    }
    async fn replace(&self, key: &str, bytes: Bytes) -> Result<(), BucketError> {
        self.0.replace(key, bytes).await
    }
    async fn get(&self, key: &str) -> Result<Bytes, BucketError> {
        self.0.get(key).await
    }
    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, BucketError> {
        self.0.get_range(key, range).await
    }
    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ObjectInfo>, BucketError> {
        tokio::task::yield_now().await;
        self.2.fetch_add(u64::from(prefix.starts_with("hot/")), Ordering::SeqCst);
        self.0.list(prefix, after, limit).await
    }
    async fn delete(&self, key: &str) -> Result<(), BucketError> {
        self.0.delete(key).await
    }
}

fn record(key: Option<RecordKey>) -> NewRecord {
    // One shard for all: the worst case.
    record_of("one", key)
}

fn record_of(sender: &str, key: Option<RecordKey>) -> NewRecord {
    let mut batch = Batch::new();
    let labels = Labels::from_pairs([("__name__", "hits")]);
    let series = batch.push_series(labels.borrowed(), MetricKind::Counter, Temporality::Delta);
    batch.floats.push(FloatSample { series, timestamp_ms: 1_000, value: 1.0 });
    let record = Record { tenant: TenantId::default(), key, received_ms: 1_000, batch };
    NewRecord { partition_key: sender.to_owned(), data: record.encode().unwrap().into() }
}

async fn open(bucket: &Arc<LosesReplies>, keep_hot: bool) -> Arc<Lake> {
    let options = LakeOptions { sole_writer: false, keep_hot, ..LakeOptions::default() };
    Lake::open(bucket.clone(), Arc::new(ManualClock::new(2_000)), options).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_put_of_racing_writers_counts_once_although_replies_are_lost() {
    let bucket = Arc::new(LosesReplies::default());
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..4_u128 {
        let stream = DirectStream::new(open(&bucket, false).await);
        writers.spawn(async move {
            for round in 0..10 {
                stream.put(vec![record(None), record(None)]).await.unwrap();
                // Sent again by a sender that names its deliveries, to this or another process.
                let key = RecordKey(1 << 100 | round);
                stream.put(vec![record(Some(key))]).await.unwrap();
                stream.put(vec![record(Some(RecordKey(writer << 64 | round)))]).await.unwrap();
                stream.put(vec![record(Some(RecordKey(writer << 64 | round)))]).await.unwrap();
            }
        });
    }
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
    let lake = open(&bucket, true).await;
    // 4 writers x 10 rounds x (2 without a key + 1 of their own key), and 10 keys that all share.
    assert_eq!(lake.hot().samples, 4 * 10 * 3 + 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_keeps_nothing_hot_still_covers_its_shard() {
    let bucket = Arc::new(LosesReplies::default());
    let lake = open(&bucket, false).await;
    let placed = DirectStream::new(lake.clone()).put(vec![record(None)]).await.unwrap();
    assert_eq!(lake.hot().samples, 0);
    assert_eq!(lake.covered_through(placed[0].shard), Some(placed[0].sequence));
}

#[tokio::test(flavor = "multi_thread")]
async fn compaction_goes_on_although_replies_are_lost() {
    let bucket = Arc::new(LosesReplies::default());
    let lake = open(&bucket, true).await;
    let stream = DirectStream::new(lake.clone());
    for round in 0..6 {
        stream.put(vec![record(None)]).await.unwrap();
        let report = lake.compact(CompactMode::Full).await;
        assert!(report.is_ok(), "round {round}: {report:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_at_the_lake_is_one_listing_of_all_shards_and_one_more_for_a_thousand_segments() {
    let bucket = Arc::new(LosesReplies::default());
    let stream = DirectStream::new(open(&bucket, false).await);
    let mut put = 0;
    for (senders, rounds, listings) in [(40, 1, 1), (1, 1_000, 2)] {
        for _ in 0..rounds {
            for sender in 0..senders {
                stream.put(vec![record_of(&sender.to_string(), None)]).await.unwrap();
                put += 1;
            }
        }
        bucket.2.store(0, Ordering::SeqCst);
        let lake = open(&bucket, true).await;
        assert_eq!(lake.hot().samples, put);
        assert_eq!(bucket.2.load(Ordering::SeqCst), listings);
    }
}
