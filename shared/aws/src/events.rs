//! Kinesis batches as Lambda hands them over, and what it is answered (ReportBatchItemFailures).

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use weir_platform::{Batch, Delivered, SequenceNumber};

use crate::stream::shard_id;

/// An event that is no Kinesis batch.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// It has another shape.
    #[error("the event is no batch of Kinesis records")]
    Shape(#[from] serde_json::Error),
    /// A record's place or bytes cannot be read.
    #[error("record {id:?} has no {what} that can be read")]
    Record {
        /// Its event id.
        id: String,
        /// What cannot be read.
        what: &'static str,
    },
}

#[derive(Deserialize)]
struct KinesisEvent {
    #[serde(rename = "Records")]
    records: Vec<EventRecord>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EventRecord {
    /// `shardId-000000000006:4954…`: shard and sequence number.
    #[serde(rename = "eventID")]
    event_id: String,
    kinesis: Payload,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    sequence_number: String,
    data: String,
}

/// The batches of an event, one a shard (Lambda sends one shard at a time).
///
/// # Errors
/// [`EventError`]: the event is of another source, or damaged.
pub fn batches(event: Value) -> Result<Vec<Batch>, EventError> {
    let event: KinesisEvent = serde_json::from_value(event)?;
    let mut shards: BTreeMap<_, Vec<Delivered>> = BTreeMap::new();
    for EventRecord { event_id, kinesis } in event.records {
        let unread = |what| EventError::Record { id: event_id.clone(), what };
        let shard = event_id.split_once(':').and_then(|(shard, _)| shard_id(shard));
        let shard = shard.ok_or_else(|| unread("shard"))?;
        let sequence = kinesis.sequence_number.parse().map_err(|_| unread("sequence number"))?;
        let data = STANDARD.decode(kinesis.data).map_err(|_| unread("data"))?.into();
        shards.entry(shard).or_default().push(Delivered { sequence, data });
    }
    Ok(shards.into_iter().map(|(shard, records)| Batch { shard, records }).collect())
}

/// The answer that has everything from these records on delivered again.
#[must_use]
pub fn failures(first: &[SequenceNumber]) -> Value {
    let items: Vec<Value> = first.iter().map(|n| json!({ "itemIdentifier": n.to_string() })).collect();
    json!({ "batchItemFailures": items })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: &str, sequence: &str, data: &str) -> Value {
        json!({ "eventID": id, "kinesis": { "sequenceNumber": sequence, "data": data, "partitionKey": "k" } })
    }

    #[test]
    fn records_become_batches_of_their_shards() {
        let far = "49590338271490256608559692538361571095921575989136588898";
        let event = json!({ "Records": [
            record(&format!("shardId-000000000006:{far}"), far, "aGVsbG8="),
            record("shardId-000000000001:7", "7", ""),
        ]});
        let batches = batches(event).unwrap();
        assert_eq!(batches.iter().map(|b| b.shard.0).collect::<Vec<_>>(), [1, 6]);
        assert_eq!(batches[1].records[0].data, "hello");
        assert_eq!(batches[1].records[0].sequence.to_string(), far);
        let answer = failures(&[batches[1].records[0].sequence]);
        assert_eq!(answer["batchItemFailures"][0]["itemIdentifier"], far);
    }

    #[test]
    fn the_examples_have_a_record_and_a_damaged_one() {
        for example in [
            include_str!("../../../events/enrich-records.json"),
            include_str!("../../../events/forward-records.json"),
        ] {
            let [batch] = batches(serde_json::from_str(example).unwrap()).unwrap().try_into().unwrap();
            let samples = |n: usize| {
                let record = weir_model::Record::decode(&batch.records[n].data).ok()?;
                Some(record.batch.sample_count())
            };
            assert_eq!((batch.records.len(), samples(0), samples(1)), (2, Some(2), None));
        }
    }

    #[test]
    fn what_is_no_batch_is_refused_with_its_place() {
        let rows = [
            (json!({}), "no batch of Kinesis"),
            (json!({ "Records": [record("shard-1:7", "7", "")] }), "no shard"),
            (json!({ "Records": [record("shardId-1:x", "x", "")] }), "no sequence number"),
            (json!({ "Records": [record("shardId-1:7", "7", "*")] }), "no data"),
        ];
        for (event, want) in rows {
            let error = batches(event).unwrap_err().to_string();
            assert!(error.contains(want), "{error} lacks {want}");
        }
    }
}
