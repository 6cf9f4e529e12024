//! What every bucket does: objects are created once, by one creator, and read back as they were written.

use std::sync::Arc;

use bytes::Bytes;
use weir_platform::{Bucket, BucketError, Created, Placement, Restore, StorageClass};

/// A bucket on which nothing fails, empty at the start.
pub(crate) async fn conforms(bucket: Arc<dyn Bucket>) {
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

    // replacing, whether there is something or not
    for (key, bytes) in [("a/c/1", "other"), ("a/new", "xy")] {
        bucket.replace(key, Bytes::from_static(bytes.as_bytes())).await.unwrap();
        assert_eq!(bucket.get(key).await.unwrap(), bytes);
    }
    assert_eq!(bucket.create("a/new", Bytes::new()).await.unwrap(), Created::Existed);
    bucket.delete("a/new").await.unwrap();

    // deleting, twice
    bucket.delete("a/b").await.unwrap();
    bucket.delete("a/b").await.unwrap();
    assert!(matches!(bucket.get("a/b").await, Err(BucketError::NotFound { .. })));
    assert_eq!(bucket.create("a/b", Bytes::from_static(b"third")).await.unwrap(), Created::New);

    // storage classes, which a bucket may have or not; what is read at once is
    let placement = |class, day: &str| Placement {
        class,
        tags: vec![("tenant", "team-b".to_owned()), ("day", day.to_owned())],
    };
    for class in [StorageClass::Standard, StorageClass::StandardIa, StorageClass::GlacierIr] {
        let key = format!("kept/{class}");
        let placed =
            bucket.create_in(&key, Bytes::from_static(b"kept"), &placement(class, "2026-11-21")).await;
        assert_eq!(placed.unwrap(), Created::New, "{class}");
        assert_eq!(bucket.get(&key).await.unwrap(), "kept", "{class}");
        assert_eq!(bucket.restore(&key, 1).await.unwrap(), Restore::Readable, "{class}");
        let again = bucket.create_in(&key, Bytes::from_static(b"x"), &Placement::default()).await.unwrap();
        assert_eq!(again, Created::Existed);
    }
    assert!(matches!(bucket.restore("kept/none", 1).await, Err(BucketError::NotFound { .. })));

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

/// A bucket that has storage classes: what is frozen is told apart from what fails, and can be asked for any
/// number of times.
pub(crate) async fn freezes(bucket: Arc<dyn Bucket>) {
    assert!(bucket.has_classes());
    for class in StorageClass::ALL.into_iter().filter(|class| class.is_frozen()) {
        let (key, placement) = (format!("frozen/{class}"), Placement { class, tags: Vec::new() });
        let bytes = Bytes::from_static(b"frozen");
        assert_eq!(bucket.create_in(&key, bytes.clone(), &placement).await.unwrap(), Created::New);
        assert!(matches!(bucket.get(&key).await, Err(BucketError::Frozen { .. })), "{class}");
        assert!(matches!(bucket.get_range(&key, 0..2).await, Err(BucketError::Frozen { .. })), "{class}");
        assert_eq!(bucket.create_in(&key, bytes, &placement).await.unwrap(), Created::Existed);
        assert_eq!(bucket.list(&key, None, 2).await.unwrap()[0].size, 6);
        for _ in 0..2 {
            // An emulator may be done at once.
            let asked = bucket.restore(&key, 1).await.unwrap();
            assert_eq!(asked == Restore::Readable, bucket.get(&key).await.is_ok(), "{class} {asked:?}");
        }
        bucket.delete(&key).await.unwrap();
        assert!(matches!(bucket.get(&key).await, Err(BucketError::NotFound { .. })), "{class}");
    }
}

/// More objects than one listing of S3 answers are listed, in order.
pub(crate) async fn lists_pages(bucket: Arc<dyn Bucket>) {
    let keys: Vec<String> = (0..1_005).map(|n| format!("many/{n:06}")).collect();
    for some in keys.chunks(32) {
        let made = some.iter().cloned().map(|key| {
            let bucket = bucket.clone();
            tokio::spawn(async move { bucket.create(&key, Bytes::new()).await.unwrap() })
        });
        for made in made.collect::<Vec<_>>() {
            assert_eq!(made.await.unwrap(), Created::New);
        }
    }
    let listed = bucket.list("many/", None, 5_000).await.unwrap();
    assert!(listed.into_iter().map(|object| object.key).eq(keys));
}

/// A bucket whose calls fail at random, and the same one on which nothing does: creators race for keys, and
/// each key ends with the bytes of one of them; what is answered is right, or an error.
/// Returns how many calls were answered.
pub(crate) async fn has_one_creator_a_key(
    faulty: Arc<dyn Bucket>,
    sound: Arc<dyn Bucket>,
    mut below: impl FnMut(u64) -> u64,
    rounds: usize,
) -> usize {
    let mut answered = 0;
    for round in 0..rounds {
        let key = format!("faults/{round}");
        let racers = (0..2 + below(4)).map(|n| {
            let (bucket, key) = (faulty.clone(), key.clone());
            let bytes = Bytes::from(format!("{n} {}", "x".repeat(below(5_000) as usize)));
            tokio::spawn(async move { (bucket.create(&key, bytes.clone()).await, bytes) })
        });
        let (mut winners, mut owners, mut there) = (0, 0, false);
        let found = |key: String| {
            let sound = sound.clone();
            async move { sound.get(&key).await.ok() }
        };
        let mut outcomes = Vec::new();
        for racer in racers.collect::<Vec<_>>() {
            outcomes.push(racer.await.unwrap());
        }
        let object = found(key.clone()).await;
        for (outcome, bytes) in outcomes {
            let mine = object.as_ref() == Some(&bytes);
            owners += usize::from(mine);
            answered += usize::from(outcome.is_ok());
            there |= outcome.is_ok();
            if let Ok(Created::New) = outcome {
                winners += 1;
                assert!(mine, "{key}: another object than the one that was created");
            }
        }
        // A creator whose reply was lost is told that its object existed: it knows it by the bytes.
        assert!(winners <= 1, "{key}: {winners} creators were told that they won");
        assert_eq!(owners, usize::from(object.is_some()), "{key}: one creator's bytes, whole");
        assert!(object.is_some() || !there, "{key}: acknowledged and absent");
        let Some(object) = object else { continue };

        // What is read is right, or refused as unavailable.
        match faulty.get(&key).await {
            Ok(bytes) => assert_eq!(bytes, object),
            Err(error) => assert!(matches!(error, BucketError::Unavailable { .. }), "{error:?}"),
        }
        let end = 1 + below(object.len() as u64);
        match faulty.get_range(&key, 1..end).await {
            Ok(bytes) => assert_eq!(bytes, object.slice(1..end as usize)),
            Err(error) => assert!(matches!(error, BucketError::Unavailable { .. }), "{error:?}"),
        }
        let listed = faulty.list(&key, None, 1_000).await;
        if let Ok(listed) = listed {
            assert_eq!(listed.first().map(|found| found.size), Some(object.len() as u64), "{key}");
        }
        if below(3) == 0 && faulty.delete(&key).await.is_ok() {
            assert_eq!(found(key.clone()).await, None, "{key}: deleted and there");
        }
    }
    answered
}
