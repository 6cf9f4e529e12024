//! What every stream does: each record that was put is in one shard, at the place named, as it was put.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use weir_platform::{NewRecord, Placed, SequenceNumber, ShardId, Stream, StreamError};

/// All that a stream holds.
pub(crate) type Held = BTreeMap<(ShardId, SequenceNumber), Bytes>;

/// More than one request of any stream takes.
const MANY: usize = 1_200;

fn record(key: usize, text: String) -> NewRecord {
    NewRecord { partition_key: format!("key {key}"), data: Bytes::from(text) }
}

/// A stream on which nothing fails, empty at the start. `limit` is the size of its largest record, `read`
/// reads it whole.
pub(crate) async fn conforms<F: Future<Output = Held>>(
    stream: Arc<dyn Stream>,
    limit: usize,
    read: impl FnOnce() -> F,
) {
    assert_eq!(stream.put(Vec::new()).await.unwrap(), []);

    // Records of one key stay in order, within one call and over calls.
    let mut put: Vec<(Placed, Bytes)> = Vec::new();
    let mut last: BTreeMap<usize, Placed> = BTreeMap::new();
    for call in 0..3 {
        let keys: Vec<usize> = (0..40).map(|n| n % 5).collect();
        let records: Vec<_> = (0..40).map(|n| record(keys[n], format!("{call} {n}"))).collect();
        let placed = stream.put(records.clone()).await.unwrap();
        assert_eq!(placed.len(), records.len());
        for ((key, place), record) in keys.into_iter().zip(placed).zip(records) {
            if let Some(before) = last.insert(key, place) {
                assert_eq!(before.shard, place.shard);
                assert!(before.sequence < place.sequence, "{before:?} {place:?}");
            }
            put.push((place, record.data));
        }
    }

    // Calls side by side, and one that is larger than a request.
    let calls = (0..8).map(|call| {
        let stream = stream.clone();
        let size = if call == 0 { MANY } else { 10 };
        tokio::spawn(async move {
            let records: Vec<_> = (0..size).map(|n| record(n, format!("side {call} {n}"))).collect();
            let placed = stream.put(records.clone()).await.unwrap();
            placed.into_iter().zip(records.into_iter().map(|record| record.data)).collect::<Vec<_>>()
        })
    });
    for call in calls.collect::<Vec<_>>() {
        put.extend(call.await.unwrap());
    }

    // A record just small enough, and a call of which one is too large: nothing of it is put.
    let key = "key 0".len();
    let full = stream.put(vec![record(0, "f".repeat(limit - key))]).await.unwrap();
    put.push((full[0], Bytes::from("f".repeat(limit - key))));
    let refused = stream.put(vec![record(0, "small".into()), record(1, "l".repeat(limit + 1))]).await;
    let Err(StreamError::TooLarge { bytes, limit: named }) = refused else { panic!("{refused:?}") };
    assert!(bytes > named && named == limit, "{bytes} {named}");

    let put: Held = put.into_iter().map(|(place, data)| ((place.shard, place.sequence), data)).collect();
    assert_eq!(put.len(), 3 * 40 + MANY + 7 * 10 + 1, "two records were put in one place");
    assert!(read().await == put, "the stream holds something else than what was put");
}

/// A stream whose calls fail at random: what it acknowledged is there as it was put, and nothing is there
/// that was not put. Returns how many records were acknowledged.
pub(crate) async fn keeps_what_it_acknowledged<F: Future<Output = Held>>(
    stream: Arc<dyn Stream>,
    mut below: impl FnMut(u64) -> u64,
    calls: usize,
    read: impl FnOnce() -> F,
) -> usize {
    let mut sent: BTreeSet<Bytes> = BTreeSet::new();
    let mut running = Vec::new();
    for call in 0..calls {
        // Now and then more than one request takes, else few.
        let size = if below(8) == 0 { 400 + below(400) } else { 1 + below(20) };
        let records: Vec<_> = (0..size)
            .map(|n| record(below(9) as usize, format!("{call} {n} {}", "x".repeat(below(2_000) as usize))))
            .collect();
        sent.extend(records.iter().map(|record| record.data.clone()));
        let stream = stream.clone();
        running.push(tokio::spawn(async move { (stream.put(records.clone()).await, records) }));
    }
    let mut acknowledged: Held = BTreeMap::new();
    let mut count = 0;
    for call in running {
        let (outcome, records) = call.await.unwrap();
        // A refusal means that the sender sends again, whatever became of the records.
        let Ok(placed) = outcome else { continue };
        assert_eq!(placed.len(), records.len());
        count += placed.len();
        acknowledged.extend(
            placed.into_iter().zip(records).map(|(place, r)| ((place.shard, place.sequence), r.data)),
        );
    }
    assert_eq!(acknowledged.len(), count, "two records were put in one place");
    let held = read().await;
    for (place, data) in &acknowledged {
        assert_eq!(held.get(place), Some(data), "the record acknowledged at {place:?}");
    }
    for (place, data) in &held {
        assert!(sent.contains(data), "{place:?} holds what nobody put");
    }
    count
}
