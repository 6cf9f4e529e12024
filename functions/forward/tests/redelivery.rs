//! However a stream cuts its batches, delivers them again, and restarts the function: in a sink that knows versions
//! everything is there once.

#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use weir_forward::{Forward, RuleSource, SinkRules};
use weir_model::{FloatSample, Labels, MetricKind, Record, Temporality, TenantId};
use weir_platform::{
    Batch, Delivered, MemorySink, Point, PointKind, SequenceNumber, ShardId, Sink, Telemetry,
};

const METRICS: [&str; 4] = ["level_a", "level_b", "hits_a", "hits_b"];
const INTERVAL_MS: i64 = 5_000;
/// Deliveries after which nothing fails any more.
const MAX_FAILURES: usize = 30;

/// A sample: which metric, when, how much.
type Sample = (usize, i64, f64);

fn record(samples: &[Sample]) -> Bytes {
    let mut batch = weir_model::Batch::new();
    for (metric, timestamp_ms, value) in samples {
        let name = METRICS[*metric];
        let adds_up = name.starts_with("hits");
        let temporality = if adds_up { Temporality::Delta } else { Temporality::Cumulative };
        let labels = Labels::from_pairs([("__name__", name)]);
        let series = batch.push_series(labels.borrowed(), MetricKind::Unknown, temporality);
        batch.floats.push(FloatSample { series, timestamp_ms: *timestamp_ms, value: *value });
    }
    Record { tenant: TenantId::default(), key: None, received_ms: 0, batch }.encode().unwrap().into()
}

fn interval(timestamp_ms: i64) -> i64 {
    timestamp_ms.div_euclid(INTERVAL_MS) * INTERVAL_MS
}

/// What a service keeps that takes, of each series, time and part, the highest version; of one metric and interval
/// the last value of a level, the sum of what adds up.
fn kept(points: &[Point]) -> BTreeMap<(String, i64), f64> {
    let mut records: BTreeMap<(String, i64, u32), (i64, f64)> = BTreeMap::new();
    for point in points {
        let value = if point.kind == PointKind::Increase { point.sum } else { point.last };
        let record =
            records.entry((point.metric.clone(), point.start_ms, point.part)).or_insert((i64::MIN, 0.0));
        if point.version > record.0 {
            *record = (point.version, value);
        }
    }
    let mut kept = BTreeMap::new();
    for ((metric, start_ms, _), (_, value)) in records {
        *kept.entry((metric, start_ms)).or_insert(0.0) += value;
    }
    kept
}

fn wanted(records: &[Vec<Sample>]) -> BTreeMap<(String, i64), f64> {
    let mut last: BTreeMap<(String, i64), i64> = BTreeMap::new();
    let mut wanted = BTreeMap::new();
    for (metric, timestamp_ms, value) in records.iter().flatten() {
        let key = (METRICS[*metric].to_owned(), interval(*timestamp_ms));
        if METRICS[*metric].starts_with("hits") {
            *wanted.entry(key).or_insert(0.0) += value;
        } else if last.get(&key).is_none_or(|at| timestamp_ms > at) {
            last.insert(key.clone(), *timestamp_ms);
            wanted.insert(key, *value);
        }
    }
    wanted
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_sink_of_versions_has_everything_once_however_batches_are_cut_and_delivered_again(
        records in prop::collection::vec(prop::collection::vec((0..4usize, 0..20_000i64, 1..100u32), 1..6), 1..12),
        lengths in prop::collection::vec(1..6usize, 64),
        away in prop::collection::vec(prop::option::of(0..4usize), MAX_FAILURES),
        restarts in prop::collection::vec(any::<bool>(), 64),
    ) {
        // Of one series two readings at one time are told apart by their order in the stream, which versions are not.
        let mut times = std::collections::BTreeSet::new();
        let records: Vec<Vec<Sample>> = records
            .into_iter()
            .map(|samples| {
                samples
                    .into_iter()
                    .filter(|(metric, at, _)| *metric >= 2 || times.insert((*metric, *at)))
                    .map(|(metric, at, value)| (metric, at, f64::from(value)))
                    .collect()
            })
            .collect();
        let encoded: Vec<Bytes> = records.iter().map(|samples| record(samples)).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let sink = Arc::new(MemorySink::new("timestream"));
        let process = || {
            let rules = SinkRules::parse("rules", "sinks:\n- { metrics: ['.*'], every: 5s }\n").unwrap();
            let sinks: Vec<Arc<dyn Sink>> = vec![sink.clone()];
            Forward::new(sinks, RuleSource::fixed(rules), Arc::new(Telemetry::default()))
        };
        let (mut forward, mut next, mut turn) = (process(), 0, 0);
        while next < encoded.len() {
            let refused: Vec<&str> = away.get(turn).copied().flatten().map(|metric| METRICS[metric]).into_iter().collect();
            sink.refuse(&refused);
            if restarts[turn % restarts.len()] {
                forward = process();
            }
            let end = (next + lengths[turn % lengths.len()]).min(encoded.len());
            let delivered = (next..end).map(|at| {
                Delivered { sequence: SequenceNumber::from(at as u128), data: encoded[at].clone() }
            });
            let batch = Batch { shard: ShardId(3), records: delivered.collect() };
            let outcome = runtime.block_on(forward.handle(batch)).unwrap();
            next = (next..end).find(|at| outcome.first_failure == Some(SequenceNumber::from(*at as u128))).unwrap_or(end);
            turn += 1;
        }
        prop_assert_eq!(kept(&sink.sent()), wanted(&records));
    }
}
