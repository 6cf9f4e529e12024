//! One conformance suite for the bucket port, run on every adapter.

#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::sync::Arc;

use bytes::Bytes;
use weir_platform::{Bucket, BucketError, Created, LocalBucket, MemoryBucket};

async fn conforms(bucket: Arc<dyn Bucket>) {
    // create-only
    assert_eq!(bucket.create("a/b", Bytes::from_static(b"first")).await.unwrap(), Created::New);
    assert_eq!(bucket.create("a/b", Bytes::from_static(b"second")).await.unwrap(), Created::Existed);
    assert_eq!(bucket.get("a/b").await.unwrap(), "first");

    // ranges
    assert_eq!(bucket.get_range("a/b", 1..3).await.unwrap(), "ir");
    assert_eq!(bucket.get_range("a/b", 2..2).await.unwrap(), "");
    assert!(matches!(bucket.get_range("a/b", 3..6).await, Err(BucketError::BadRange { .. })));
    assert!(matches!(bucket.get("a/none").await, Err(BucketError::NotFound { .. })));

    // keys that are none
    for key in ["", "/a", "a//b", "../a", "a/./b", "a/"] {
        let refused = bucket.create(key, Bytes::new()).await;
        assert!(matches!(refused, Err(BucketError::BadKey { .. })), "{key:?} gave {refused:?}");
    }

    // listing, in key order whatever the folders are
    for key in ["a-b", "a/c/1", "a/c/2", "ab", "b/1"] {
        bucket.create(key, Bytes::from_static(b"xy")).await.unwrap();
    }
    let keys = |prefix: &'static str, after: Option<&'static str>, limit| {
        let bucket = bucket.clone();
        async move {
            let listed = bucket.list(prefix, after, limit).await.unwrap();
            listed.into_iter().map(|o| o.key).collect::<Vec<_>>()
        }
    };
    assert_eq!(keys("", None, 10).await, ["a-b", "a/b", "a/c/1", "a/c/2", "ab", "b/1"]);
    assert_eq!(keys("a/", None, 10).await, ["a/b", "a/c/1", "a/c/2"]);
    assert_eq!(keys("a", Some("a/b"), 2).await, ["a/c/1", "a/c/2"]);
    assert_eq!(keys("a/c", Some("a/c/1"), 10).await, ["a/c/2"]);
    assert_eq!(keys("none/", None, 10).await, [""; 0]);
    assert_eq!(bucket.list("a/b", None, 1).await.unwrap()[0].size, 5);

    // deleting, twice
    bucket.delete("a/b").await.unwrap();
    bucket.delete("a/b").await.unwrap();
    assert!(matches!(bucket.get("a/b").await, Err(BucketError::NotFound { .. })));
    assert_eq!(bucket.create("a/b", Bytes::from_static(b"third")).await.unwrap(), Created::New);

    // one of many racing creators wins
    let racers = (0..16).map(|n| {
        let bucket = bucket.clone();
        tokio::spawn(async move { (n, bucket.create("race/key", Bytes::from(vec![n])).await.unwrap()) })
    });
    let mut winners = Vec::new();
    for racer in racers.collect::<Vec<_>>() {
        let (n, created) = racer.await.unwrap();
        winners.extend((created == Created::New).then_some(n));
    }
    assert_eq!(bucket.get("race/key").await.unwrap(), winners);
    assert_eq!(winners.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_in_memory_conforms() {
    conforms(Arc::new(MemoryBucket::new())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_in_a_folder_conforms_and_lasts() {
    let folder = tempfile::tempdir().unwrap();
    conforms(Arc::new(LocalBucket::open(folder.path()).unwrap())).await;
    let again = LocalBucket::open(folder.path()).unwrap();
    assert_eq!(again.get("ab").await.unwrap(), "xy");
}
