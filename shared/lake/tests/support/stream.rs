//! A stream of random records in shards, kept so that any part of it can be delivered any number of times.

use bytes::Bytes;
use weir_lake::Incoming;
use weir_model::{
    Batch, Exemplar, FloatSample, Histogram, HistogramSample, Labels, Metadata, MetricKind, Record,
    RecordKey, STALE_NAN, SetSample, Temporality, TenantId, UniqueSet,
};
use weir_platform::SequenceNumber;

use super::Random;

/// 2026-11-21T00:00:00Z.
pub(crate) const BASE_MS: i64 = 1_795_219_200_000;
pub(crate) const SHARDS: usize = 2;
pub(crate) const TENANTS: [&str; 2] = ["default", "team-b"];

pub(crate) fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

/// Records by shard, with ascending sequence numbers that leave gaps.
#[derive(Debug, Default)]
pub(crate) struct TestStream {
    pub(crate) shards: [Vec<(SequenceNumber, Record)>; SHARDS],
}

impl TestStream {
    /// Adds a record to a shard; now and then it repeats one that was sent before.
    pub(crate) fn produce(&mut self, random: &mut Random, now_ms: i64) {
        let at = random.below(SHARDS as u64) as usize;
        let shard = &mut self.shards[at];
        // Beyond 128 bits, as Kinesis' numbers are.
        let first = || "49590338271490256608559692538361571095921575989136588898".parse().unwrap();
        let mut sequence = shard.last().map_or_else(first, |(s, _)| s.next());
        (0..random.below(5)).for_each(|_| sequence = sequence.next());
        let keyed: Vec<&Record> = shard.iter().map(|(_, r)| r).filter(|r| r.key.is_some()).collect();
        let record = if random.chance(25) && !keyed.is_empty() {
            let recent = keyed.len().min(6);
            let mut again = keyed[keyed.len() - 1 - random.below(recent as u64) as usize].clone();
            again.received_ms = now_ms;
            again
        } else {
            record(random, at, now_ms)
        };
        shard.push((sequence, record));
    }

    /// Records `from..to` of a shard as a batch delivers them.
    pub(crate) fn batch(&self, shard: usize, from: usize, to: usize) -> Vec<Incoming> {
        let incoming = |(sequence, record): &(SequenceNumber, Record)| Incoming {
            sequence: *sequence,
            payload: Bytes::from(record.encode().unwrap()),
            record: record.clone(),
        };
        self.shards[shard][from..to].iter().map(incoming).collect()
    }
}

fn record(random: &mut Random, shard: usize, now_ms: i64) -> Record {
    let mut batch = Batch::new();
    for _ in 0..1 + random.below(4) {
        let delta = random.chance(50);
        let temporality = if delta { Temporality::Delta } else { Temporality::Cumulative };
        let number = random.below(5);
        let mut labels =
            vec![("__name__", format!("metric_{}", number % 3)), ("instance", format!("i{number}"))];
        if !delta {
            // As with a partition key: one shard per cumulative series, so that writes have an order.
            labels.push(("shard", shard.to_string()));
        }
        let labels = Labels::from_pairs(labels.iter().map(|(n, v)| (*n, v.as_str())));
        let kind = if random.chance(30) { MetricKind::Counter } else { MetricKind::Unknown };
        let series = batch.push_series(labels.borrowed(), kind, temporality);
        for _ in 0..1 + random.below(3) {
            let timestamp_ms = timestamp(random);
            let number = random.below(20);
            match random.below(10) {
                0 => {
                    let mut set = UniqueSet::new();
                    set.insert(&[number as u8]);
                    batch.sets.push(SetSample { series, timestamp_ms, set: set.into() });
                }
                1 => {
                    let count = number as f64;
                    let histogram = Histogram { count, zero_count: count, ..Histogram::default() };
                    batch.histograms.push(HistogramSample {
                        series,
                        timestamp_ms,
                        histogram: histogram.into(),
                    });
                }
                2 if !delta => batch.floats.push(FloatSample { series, timestamp_ms, value: STALE_NAN }),
                _ => batch.floats.push(FloatSample { series, timestamp_ms, value: number as f64 }),
            }
        }
    }
    for series in 0..batch.series().len() as u32 {
        if random.chance(40) {
            // Some in an hour in which no series has a sample.
            let timestamp_ms = timestamp(random) - i64::from(random.chance(10)) * 30 * 3_600_000;
            let labels = Labels::from_pairs([("trace_id", format!("t{}", random.below(2)))]);
            let value = random.below(2) as f64;
            batch.exemplars.push(Exemplar { series, timestamp_ms, value, labels });
        }
    }
    if random.chance(20) {
        let family = format!("metric_{}", random.below(3));
        let help = format!("help {}", random.below(3));
        batch.metadata.push(Metadata { family, kind: MetricKind::Gauge, unit: String::new(), help });
    }
    let key = random.chance(60).then(|| RecordKey(u128::from(random.bits())));
    let name = TENANTS[random.below(TENANTS.len() as u64) as usize];
    Record { tenant: tenant(name), key, received_ms: now_ms, batch }
}

/// Few timestamps, so that they repeat: the last three hours mostly, sometimes long ago.
fn timestamp(random: &mut Random) -> i64 {
    match random.below(30) {
        0 => -1 - random.below(3) as i64 * 3_600_000,
        1 => BASE_MS - 400 * 86_400_000,
        _ => BASE_MS + random.below(40) as i64 * 270_000,
    }
}
