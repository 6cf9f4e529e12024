//! A stream that takes PutRecords and keeps the records, so that they can be handed to enrich.

use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::runtime::serve;

/// The first sequence number; the length is that of Kinesis'.
const FIRST: u128 = 49_590_338_271_490_256_608_559_692_538_361_571_095;

/// A record as events carry it.
pub(crate) struct Record {
    /// Base64.
    pub(crate) data: String,
    key: String,
    sequence: String,
}

#[derive(Default)]
struct Kept {
    records: Vec<Record>,
    /// Of all that ever came.
    count: usize,
}

type Records = Arc<Mutex<Kept>>;

/// The stream's endpoint.
pub(crate) struct Stream {
    pub(crate) url: String,
    records: Records,
    _runtime: tokio::runtime::Runtime,
}

impl Stream {
    pub(crate) fn start() -> Self {
        let records = Records::default();
        let router = Router::new()
            .route("/", post(put_records))
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(records.clone());
        let (address, runtime) = serve(router);
        Self { url: format!("http://{address}"), records, _runtime: runtime }
    }

    /// The records since the last call.
    pub(crate) fn take(&self) -> Vec<Record> {
        std::mem::take(&mut self.records.lock().unwrap().records)
    }
}

async fn put_records(State(kept): State<Records>, body: String) -> Json<Value> {
    let request: Value = serde_json::from_str(&body).unwrap();
    let mut kept = kept.lock().unwrap();
    let mut places = Vec::new();
    for record in request["Records"].as_array().unwrap() {
        let sequence = format!("{}{:018}", FIRST, kept.count);
        let text = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
        places.push(json!({ "ShardId": "shardId-000000000000", "SequenceNumber": sequence }));
        kept.records.push(Record { data: text("Data"), key: text("PartitionKey"), sequence });
        kept.count += 1;
    }
    Json(json!({ "FailedRecordCount": 0, "Records": places }))
}

/// A batch of a shard as an event source mapping hands it over.
pub(crate) fn event(shard: usize, records: &[Record]) -> Value {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs_f64();
    let records = records.iter().map(|record| {
        json!({
            "kinesis": {
                "kinesisSchemaVersion": "1.0",
                "partitionKey": record.key,
                "sequenceNumber": record.sequence,
                "data": record.data,
                "approximateArrivalTimestamp": now,
            },
            "eventSource": "aws:kinesis",
            "eventVersion": "1.0",
            "eventID": format!("shardId-{shard:012}:{}", record.sequence),
            "eventName": "aws:kinesis:record",
            "invokeIdentityArn": "arn:aws:iam::123456789012:role/weir-EnrichRole",
            "awsRegion": "us-east-1",
            "eventSourceARN": "arn:aws:kinesis:us-east-1:123456789012:stream/weir-Stream",
        })
    });
    json!({ "Records": records.collect::<Vec<_>>() })
}
