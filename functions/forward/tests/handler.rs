//! Batches of a stream become points in sinks: chosen ones alone, redelivered when a sink is away.

#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::sync::Arc;

use bytes::Bytes;
use weir_forward::{Forward, RULES_KEY, RuleSource, SinkRules};
use weir_model::{FloatSample, Labels, MetricKind, Record, Temporality, TenantId};
use weir_platform::{
    Batch, Bucket, Delivered, ManualClock, MemoryBucket, MemorySink, SequenceNumber, ShardId, Sink, Telemetry,
};

/// A record of one sample each of these metrics.
fn record(metrics: &[&str], value: f64) -> Bytes {
    let mut batch = weir_model::Batch::new();
    for metric in metrics {
        let labels = Labels::from_pairs([("__name__", *metric)]);
        let series = batch.push_series(labels.borrowed(), MetricKind::Gauge, Temporality::Cumulative);
        batch.floats.push(FloatSample { series, timestamp_ms: 60_000, value });
    }
    Record { tenant: TenantId::default(), key: None, received_ms: 0, batch }.encode().unwrap().into()
}

fn batch(records: &[(u128, Bytes)]) -> Batch {
    let delivered =
        |(at, data): &(u128, Bytes)| Delivered { sequence: SequenceNumber::from(*at), data: data.clone() };
    Batch { shard: ShardId(1), records: records.iter().map(delivered).collect() }
}

fn sent(sink: &MemorySink) -> Vec<(String, f64)> {
    sink.sent().into_iter().map(|point| (point.metric, point.last)).collect()
}

struct Functions {
    cloudwatch: Arc<MemorySink>,
    timestream: Arc<MemorySink>,
    telemetry: Arc<Telemetry>,
    forward: Forward,
}

fn functions(rules: RuleSource) -> Functions {
    let (cloudwatch, timestream) =
        (Arc::new(MemorySink::new("cloudwatch")), Arc::new(MemorySink::new("timestream")));
    let telemetry = Arc::new(Telemetry::default());
    let sinks: Vec<Arc<dyn Sink>> = vec![cloudwatch.clone(), timestream.clone()];
    let forward = Forward::new(sinks, rules, telemetry.clone());
    Functions { cloudwatch, timestream, telemetry, forward }
}

fn rules(text: &str) -> RuleSource {
    RuleSource::fixed(SinkRules::parse("rules", text).unwrap())
}

#[tokio::test]
async fn only_what_rules_choose_is_sent_and_a_damaged_record_holds_up_nothing() {
    let text = "sinks:\n- { metrics: [a], every: 60s }\n- { metrics: [b], every: 60s, to: [timestream] }\n";
    let functions = functions(rules(text));
    let records =
        [(1, record(&["a", "b", "c"], 1.0)), (2, Bytes::from_static(b"?")), (3, record(&["a"], 2.0))];
    let outcome = functions.forward.handle(batch(&records)).await.unwrap();
    assert_eq!(outcome.first_failure, None);
    assert_eq!(sent(&functions.cloudwatch), [("a".to_owned(), 2.0)]);
    assert_eq!(sent(&functions.timestream), [("a".to_owned(), 2.0), ("b".to_owned(), 1.0)]);
    let text = functions.telemetry.to_text();
    for want in [
        "weir_forward_points_total{outcome=\"sent\",sink=\"timestream\"} 2",
        "weir_forward_records_total{outcome=\"damaged\"} 1",
        "weir_forward_samples_total{outcome=\"gathered\",sink=\"cloudwatch\"} 2",
    ] {
        assert!(text.contains(want), "{text}");
    }
}

#[tokio::test]
async fn what_a_sink_did_not_take_comes_again_from_its_first_record_and_not_to_the_sink_that_has_it() {
    let functions = functions(rules("sinks:\n- { metrics: ['.*'], every: 60s }\n"));
    functions.timestream.refuse(&["b"]);
    let records = [(1, record(&["a"], 1.0)), (2, record(&["b"], 2.0)), (3, record(&["c"], 3.0))];
    let outcome = functions.forward.handle(batch(&records)).await.unwrap();
    assert_eq!(outcome.first_failure, Some(SequenceNumber::from(2)));
    functions.timestream.refuse(&[]);
    // The stream cuts its batches anew.
    let again = [records[1].clone(), records[2].clone(), (4, record(&["d"], 4.0))];
    assert_eq!(functions.forward.handle(batch(&again)).await.unwrap().first_failure, None);
    let names = |sink| sent(sink).into_iter().map(|(metric, _)| metric).collect::<String>();
    assert_eq!(names(&functions.cloudwatch), "abcd");
    assert_eq!(names(&functions.timestream), "acbcd");
}

#[tokio::test]
async fn what_no_sink_ever_takes_is_counted_and_does_not_come_again() {
    let functions = functions(rules("sinks:\n- { metrics: ['.*'], every: 60s, to: [cloudwatch] }\n"));
    // A sum beyond all numbers.
    let records = [(1, record(&["a"], f64::MAX)), (2, record(&["a"], f64::MAX)), (3, record(&["b"], 3.0))];
    assert_eq!(functions.forward.handle(batch(&records)).await.unwrap().first_failure, None);
    assert_eq!(sent(&functions.cloudwatch), [("b".to_owned(), 3.0)]);
    let text = functions.telemetry.to_text();
    assert!(
        text.contains("weir_forward_points_total{outcome=\"rejected\",sink=\"cloudwatch\"} 1\n"),
        "{text}"
    );
}

#[tokio::test]
async fn rules_of_the_bucket_come_into_force_within_a_minute_and_bad_ones_never() {
    let (store, clock) = (Arc::new(MemoryBucket::default()), Arc::new(ManualClock::new(0)));
    let functions = functions(RuleSource::bucket(store.clone(), clock.clone()));
    let forward = async |at: u128| {
        functions.forward.handle(batch(&[(at, record(&["a"], at as f64))])).await.unwrap();
        sent(&functions.cloudwatch).len()
    };
    assert_eq!(forward(1).await, 0, "there are none");
    let put = async |text: &'static str| store.replace(RULES_KEY, Bytes::from_static(text.as_bytes())).await;
    put("sinks:\n- { metrics: [a], every: 60s }\n").await.unwrap();
    assert_eq!(forward(2).await, 0, "read a moment ago");
    clock.advance(60_000);
    assert_eq!(forward(3).await, 1);
    put("sinks:\n- { metrics: [a] }\n").await.unwrap();
    clock.advance(60_000);
    assert_eq!(forward(4).await, 2, "those before stay");
    clock.advance(60_000);
    assert_eq!(forward(5).await, 3);
    put("sinks: []\n").await.unwrap();
    clock.advance(60_000);
    assert_eq!(forward(6).await, 3);
    // Each look at the bad file.
    assert!(functions.telemetry.to_text().contains("weir_forward_rules_refused_total 2\n"));
}
