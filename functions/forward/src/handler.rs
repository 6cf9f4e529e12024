//! One batch of one shard: choose, gather, send; what was not sent is delivered again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use weir_model::Record;
use weir_platform::{
    Batch, BatchOutcome, BucketError, Point, SequenceNumber, ShardId, Sink, SinkError, Telemetry,
};

use crate::choices::Choices;
use crate::gather::{Counts, Gather, Gathered};
use crate::metrics;
use crate::rules::SinkRules;
use crate::source::RuleSource;

/// The function over its ports.
#[derive(Clone)]
pub struct Forward {
    inner: Arc<Inner>,
}

struct Inner {
    sinks: Vec<Arc<dyn Sink>>,
    rules: RuleSource,
    telemetry: Arc<Telemetry>,
    /// One for each sink.
    choices: Vec<Mutex<Choices>>,
    /// The last records of a shard that a sink has: when they come again since another sink failed, it is not
    /// sent them a second time, as long as this process lives.
    done: Mutex<HashMap<(usize, ShardId), (SequenceNumber, SequenceNumber)>>,
}

/// The rules could not be read, so nothing is known of the batch.
#[derive(Debug, thiserror::Error)]
#[error("the rules of sinks cannot be read")]
pub struct ForwardError(#[from] BucketError);

/// A record as it lies in its batch.
struct Numbered {
    sequence: SequenceNumber,
    identity: u128,
    record: Record,
}

impl Forward {
    /// Wires the function. Sinks have names of their own.
    #[must_use]
    pub fn new(sinks: Vec<Arc<dyn Sink>>, rules: RuleSource, telemetry: Arc<Telemetry>) -> Self {
        let choices = sinks.iter().map(|_| Mutex::default()).collect();
        Self { inner: Arc::new(Inner { sinks, rules, telemetry, choices, done: Mutex::default() }) }
    }

    /// Sends what rules choose of a batch. The answer names the first record of which something was not
    /// sent, so that it and all after it come again; a sink may get some of those a second time.
    ///
    /// # Errors
    /// [`ForwardError`] when the bucket failed: nothing was sent.
    pub async fn handle(&self, batch: Batch) -> Result<BatchOutcome, ForwardError> {
        let rules = self.inner.rules.rules(&self.inner.telemetry).await?;
        if rules.rules.is_empty() || batch.records.is_empty() {
            return Ok(BatchOutcome::default());
        }
        let shard = batch.shard;
        let records = self.decode(batch);
        let mut outcome = BatchOutcome::default();
        for index in 0..self.inner.sinks.len() {
            let failed = self.deliver(index, shard, &records, &rules).await;
            outcome.first_failure = match (outcome.first_failure, failed) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
        Ok(outcome)
    }

    fn decode(&self, batch: Batch) -> Vec<Numbered> {
        let mut records = Vec::with_capacity(batch.records.len());
        let mut damaged = 0;
        for delivered in batch.records {
            // Enrich sets it aside with its bytes and the reason.
            let Ok(record) = Record::decode(&delivered.data) else {
                damaged += 1;
                continue;
            };
            let sequence = delivered.sequence;
            // A sender's retry has another place in the stream, and the same key.
            let identity = record.key.map_or_else(|| place(batch.shard, sequence), |key| key.0);
            records.push(Numbered { sequence, identity, record });
        }
        self.count(&metrics::RECORDS, None, &[("read", records.len() as u64), ("damaged", damaged)]);
        records
    }

    /// Sends one sink what it is to have; the first record that has to come again.
    async fn deliver(
        &self,
        index: usize,
        shard: ShardId,
        records: &[Numbered],
        rules: &Arc<SinkRules>,
    ) -> Option<SequenceNumber> {
        let sink = &self.inner.sinks[index];
        let done = self.done().get(&(index, shard)).copied();
        let has = |at: SequenceNumber| done.is_some_and(|(first, last)| first <= at && at <= last);
        let mut gather = Gather::default();
        let mut failed: Option<usize> = None;
        for (at, numbered) in records.iter().enumerate().filter(|(_, numbered)| !has(numbered.sequence)) {
            let Some(chosen) = self.choose(index, rules, &numbered.record) else { continue };
            gather.take(at, numbered.identity, &numbered.record, &chosen);
            if gather.is_full() {
                failed = self.send(sink.as_ref(), gather.drain()).await;
                if failed.is_some() {
                    break;
                }
            }
        }
        if failed.is_none() {
            failed = self.send(sink.as_ref(), gather.drain()).await;
        }
        self.count_samples(sink.name(), gather.counts);
        let failed = failed.map(|at| records[at].sequence);
        if let (None, Some(first), Some(last)) = (failed, records.first(), records.last()) {
            self.done().insert((index, shard), (first.sequence, last.sequence));
        }
        failed
    }

    /// The interval of each series of a record for a sink; nothing when no rule concerns the record.
    fn choose(&self, index: usize, rules: &Arc<SinkRules>, record: &Record) -> Option<Vec<Option<i64>>> {
        let mut choices = self.inner.choices[index].lock().unwrap_or_else(PoisonError::into_inner);
        choices.of(self.inner.sinks[index].name(), rules, record)
    }

    /// Sends points; the first record of those that were not taken and may be later.
    async fn send(&self, sink: &dyn Sink, gathered: Vec<Gathered>) -> Option<usize> {
        if gathered.is_empty() {
            return None;
        }
        let (records, points): (Vec<usize>, Vec<Point>) =
            gathered.into_iter().map(|it| (it.record, it.point)).unzip();
        let results = sink.send(&points).await;
        let (mut sent, mut rejected, mut unavailable) = (0, 0, 0);
        let (mut lost, mut late): (Option<&SinkError>, Option<&SinkError>) = (None, None);
        let mut failed: Option<usize> = None;
        for (record, result) in records.iter().zip(&results) {
            match result {
                Ok(()) => sent += 1,
                Err(error @ SinkError::Unavailable { .. }) => {
                    unavailable += 1;
                    late = late.or(Some(error));
                    failed = Some(failed.map_or(*record, |first| first.min(*record)));
                }
                Err(error) => {
                    rejected += 1;
                    lost = lost.or(Some(error));
                }
            }
        }
        // One line each, with the first of them: a service that is away refuses thousands.
        let name = sink.name();
        if let Some(error) = lost {
            tracing::warn!(sink = name, points = rejected, %error, "points stay out of the sink");
        }
        if let Some(error) = late {
            tracing::error!(sink = name, points = unavailable, %error, "points were not sent; their records come again");
        }
        let outcomes = [("sent", sent), ("rejected", rejected), ("unavailable", unavailable)];
        self.count(&metrics::POINTS, Some(name), &outcomes);
        failed
    }

    fn count_samples(&self, sink: &str, counts: Counts) {
        let Counts { gathered, stale, not_finite, cumulative, empty } = counts;
        if cumulative > 0 {
            tracing::warn!(
                sink,
                samples = cumulative,
                "histograms that count since a start have no place in a sink; record their increases by a rule"
            );
        }
        let outcomes = [
            ("gathered", gathered),
            ("stale", stale),
            ("not_finite", not_finite),
            ("cumulative", cumulative),
            ("empty", empty),
        ];
        self.count(&metrics::SAMPLES, Some(sink), &outcomes);
    }

    fn count(&self, spec: &weir_platform::MetricSpec, sink: Option<&str>, outcomes: &[(&str, u64)]) {
        for (outcome, count) in outcomes.iter().filter(|(_, count)| *count > 0) {
            let mut labels = vec![("outcome", *outcome)];
            labels.extend(sink.map(|sink| ("sink", sink)));
            self.inner.telemetry.add(spec, &labels, *count as f64);
        }
    }

    fn done(&self) -> std::sync::MutexGuard<'_, HashMap<(usize, ShardId), (SequenceNumber, SequenceNumber)>> {
        self.inner.done.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Names a record by where it lies.
fn place(shard: ShardId, sequence: SequenceNumber) -> u128 {
    let mut bytes = shard.0.to_le_bytes().to_vec();
    bytes.extend_from_slice(&sequence.to_le_bytes());
    xxhash_rust::xxh3::xxh3_128(&bytes)
}
