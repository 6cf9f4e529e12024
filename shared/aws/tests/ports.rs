//! The ports' conformance suites on S3 and Kinesis, and with faults between the adapters and AWS: refusals,
//! replies that are lost or late, answers cut off, requests done in part.

#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

#[path = "../../platform/tests/conformance/bucket.rs"]
mod bucket;
#[path = "../../platform/tests/conformance/stream.rs"]
mod stream;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_sdk_kinesis::types::ShardIteratorType;
use bytes::Bytes;
use serde_json::{Value, json};
use weir_aws::{Account, KinesisOptions, KinesisStream, S3Bucket};
use weir_platform::SequenceNumber;
use weir_tests::cloud::Cloud;
use weir_tests::{Random, peers};

/// Rounds of the tests with faults; `WEIR_PORT_ROUNDS` sets more.
const ROUNDS: usize = 15;
/// Largest record of a stream, partition key included.
const MAX_RECORD_BYTES: usize = 1 << 20;

fn rounds() -> usize {
    std::env::var("WEIR_PORT_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(ROUNDS)
}

/// A name that nobody has in an account that may be anyone's.
fn fresh(what: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let (process, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let now_ms = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
    format!("weir-{what}-{now_ms}-{process}-{count}")
}

/// The adapters' account, at the endpoint or at a proxy before it.
fn account(cloud: &Cloud, url: &str) -> Account {
    let variable = |name: &str| match name {
        "AWS_ENDPOINT_URL" => Some(url.to_owned()),
        _ => cloud.variable(name),
    };
    Account::from_variables(variable).unwrap()
}

async fn new_bucket(cloud: &Cloud) -> String {
    let name = fresh("bucket");
    account(cloud, &cloud.url).s3().create_bucket().bucket(&name).send().await.unwrap();
    name
}

async fn new_stream(cloud: &Cloud, shards: i32) -> String {
    let (name, client) = (fresh("stream"), account(cloud, &cloud.url).kinesis());
    client.create_stream().stream_name(&name).shard_count(shards).send().await.unwrap();
    loop {
        let stream = client.describe_stream_summary().stream_name(&name).send().await.unwrap();
        if stream.stream_description_summary().unwrap().stream_status().as_str() == "ACTIVE" {
            return name;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

/// Everything that a stream holds.
async fn held(cloud: &Cloud, name: &str) -> stream::Held {
    let client = account(cloud, &cloud.url).kinesis();
    let mut held = stream::Held::new();
    for shard in client.list_shards().stream_name(name).send().await.unwrap().shards() {
        let id = weir_platform::ShardId(shard.shard_id().strip_prefix("shardId-").unwrap().parse().unwrap());
        let iterator = client.get_shard_iterator().stream_name(name).shard_id(shard.shard_id());
        let iterator = iterator.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await.unwrap();
        let mut next = iterator.shard_iterator;
        while let Some(iterator) = next.take() {
            let page = client.get_records().shard_iterator(iterator).send().await.unwrap();
            for record in &page.records {
                let sequence: SequenceNumber = record.sequence_number().parse().unwrap();
                held.insert((id, sequence), Bytes::copy_from_slice(record.data().as_ref()));
            }
            next = page.next_shard_iterator.filter(|_| page.millis_behind_latest != Some(0));
        }
    }
    held
}

/// A proxy with these faults; the numbers of a run and the faults come of one seed.
fn faults(cloud: &Cloud, random: &mut Random, rules: &Value) -> (peers::Peer, Account) {
    let (proxy, url) = cloud.faults(rules, random.number());
    (proxy, account(cloud, &url))
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_is_a_bucket() {
    let Some(cloud) = Cloud::start() else { return };
    let account = account(&cloud, &cloud.url);
    bucket::conforms(Arc::new(S3Bucket::new(&account, new_bucket(&cloud).await))).await;
    bucket::lists_pages(Arc::new(S3Bucket::new(&account, new_bucket(&cloud).await))).await;
    bucket::freezes(Arc::new(S3Bucket::new(&account, new_bucket(&cloud).await))).await;

    let mut random = Random::from_env();
    let (_proxy, faulty) = faults(
        &cloud,
        &mut random,
        &json!([
            { "target": "PUT /", "percent": 15, "lose": true },
            { "target": "PUT /", "percent": 10, "status": 409, "type": "ConditionalRequestConflict" },
            { "target": "PUT /", "every": 37, "late": 6 },
            { "target": "GET /", "percent": 10, "cut": true },
            { "target": "DELETE /", "percent": 30, "lose": true },
            { "target": "/", "percent": 8, "status": 503, "type": "SlowDown" },
            { "target": "/", "percent": 5, "status": 500, "type": "InternalError" },
        ]),
    );
    let name = new_bucket(&cloud).await;
    let faulty = Arc::new(S3Bucket::new(&faulty, &name));
    let sound = Arc::new(S3Bucket::new(&account, &name));
    let answered = bucket::has_one_creator_a_key(faulty, sound, |bound| random.below(bound), rounds()).await;
    assert!(answered >= rounds(), "{answered} creations answered in {} rounds", rounds());
}

#[tokio::test(flavor = "multi_thread")]
async fn kinesis_is_a_stream() {
    let Some(cloud) = Cloud::start() else { return };
    let name = new_stream(&cloud, 3).await;
    let sound = KinesisStream::new(&account(&cloud, &cloud.url), &name, KinesisOptions::default());
    stream::conforms(Arc::new(sound), MAX_RECORD_BYTES, || held(&cloud, &name)).await;

    let mut random = Random::from_env();
    let (_proxy, faulty) = faults(
        &cloud,
        &mut random,
        &json!([
            { "target": "PutRecords", "percent": 20, "partial": 3 },
            { "target": "PutRecords", "percent": 10, "status": 400, "type": "ProvisionedThroughputExceededException" },
            { "target": "PutRecords", "percent": 5, "status": 503, "type": "ServiceUnavailable" },
            { "target": "PutRecords", "percent": 15, "lose": true },
            { "target": "PutRecords", "percent": 5, "cut": true },
            { "target": "PutRecords", "every": 61, "late": 6 },
        ]),
    );
    let name = new_stream(&cloud, 3).await;
    let faulty = Arc::new(KinesisStream::new(&faulty, &name, KinesisOptions::default()));
    let below = |bound| random.below(bound);
    let read = || held(&cloud, &name);
    let acknowledged = stream::keeps_what_it_acknowledged(faulty, below, rounds(), read).await;
    assert!(acknowledged >= rounds(), "{acknowledged} records acknowledged in {} calls", rounds());
}
