//! The bucket port's conformance suite on the local adapters.

#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

#[path = "conformance/bucket.rs"]
mod conformance;

use std::sync::Arc;

use bytes::Bytes;
use conformance::{conforms, freezes, has_one_creator_a_key, lists_pages};
use weir_platform::{Bucket, LocalBucket, MemoryBucket, Placement, Restore, StorageClass};

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_in_memory_conforms() {
    let bucket = Arc::new(MemoryBucket::new());
    conforms(bucket.clone()).await;
    lists_pages(bucket.clone()).await;
    freezes(bucket.clone()).await;
    let frozen = Placement { class: StorageClass::Glacier, tags: Vec::new() };
    bucket.create_in("old/a", Bytes::from_static(b"a"), &frozen).await.unwrap();
    bucket.create_in("old/b", Bytes::from_static(b"b"), &frozen).await.unwrap();
    assert_eq!(bucket.restore("old/a", 1).await.unwrap(), Restore::UnderWay);
    assert_eq!(bucket.thaw(), ["old/a"]);
    assert_eq!(bucket.get("old/a").await.unwrap(), "a");
    assert_eq!(bucket.restore("old/a", 1).await.unwrap(), Restore::Readable);
    assert!(bucket.get("old/b").await.is_err());
    let answered = has_one_creator_a_key(bucket.clone(), bucket, |bound| bound - 1, 20).await;
    assert_eq!(answered, 20 * 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_in_a_folder_conforms_and_lasts() {
    let folder = tempfile::tempdir().unwrap();
    let bucket = Arc::new(LocalBucket::open(folder.path()).unwrap());
    conforms(bucket.clone()).await;
    let answered = has_one_creator_a_key(bucket.clone(), bucket, |bound| bound - 1, 20).await;
    assert_eq!(answered, 20 * 5);
    let again = LocalBucket::open(folder.path()).unwrap();
    assert_eq!(again.get("ab").await.unwrap(), "xy");
}
