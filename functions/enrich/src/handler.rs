//! One batch of one shard: decode, set aside what is damaged, append the rest to the lake.

use std::sync::Arc;

use weir_lake::{Incoming, Lake, LakeError};
use weir_model::Record;
use weir_platform::{Batch, BatchOutcome, Delivered, ShardId, Telemetry};

use crate::metrics;

/// The function over its ports.
#[derive(Clone)]
pub struct Enrich {
    lake: Arc<Lake>,
    telemetry: Arc<Telemetry>,
}

/// A batch could not be written; all of it must be delivered again.
#[derive(Debug, thiserror::Error)]
#[error("batch of {shard} was not written")]
pub struct EnrichError {
    shard: ShardId,
    #[source]
    source: LakeError,
}

impl Enrich {
    /// Wires the function.
    #[must_use]
    pub fn new(lake: Arc<Lake>, telemetry: Arc<Telemetry>) -> Self {
        Self { lake, telemetry }
    }

    /// Writes a batch. When this returns `Ok`, every record of it is in the lake or in quarantine,
    /// once, however often parts of the batch were delivered before.
    ///
    /// # Errors
    /// [`EnrichError`] when the bucket failed: nothing of the batch may be taken as done.
    pub async fn handle(&self, batch: Batch) -> Result<BatchOutcome, EnrichError> {
        let shard = batch.shard;
        let done = self.write(batch).await;
        let outcome = if done.is_ok() { "written" } else { "failed" };
        self.telemetry.add(&metrics::SEGMENTS, &[("outcome", outcome)], 1.0);
        done.map_err(|source| EnrichError { shard, source })
    }

    async fn write(&self, batch: Batch) -> Result<BatchOutcome, LakeError> {
        let shard = batch.shard;
        let Some(last) = batch.records.last().map(|r| r.sequence) else { return Ok(BatchOutcome::default()) };
        let mut incoming = Vec::with_capacity(batch.records.len());
        for Delivered { sequence, data } in batch.records {
            match Record::decode(&data) {
                Ok(record) => incoming.push(Incoming { sequence, payload: data, record }),
                Err(error) => {
                    tracing::warn!(%shard, %sequence, %error, "a record goes to quarantine");
                    self.lake.quarantine(shard, sequence, data, &error.to_string()).await?;
                    self.telemetry.add(&metrics::RECORDS, &[("outcome", "quarantined")], 1.0);
                }
            }
        }
        if incoming.is_empty() {
            return Ok(BatchOutcome::default());
        }
        let appended = self.lake.append(shard, incoming).await?;
        tracing::debug!(%shard, %last, ?appended, "appended a batch");
        self.telemetry.add(&metrics::SAMPLES, &[], appended.samples as f64);
        for (outcome, count) in [("written", appended.exemplars), ("dropped", appended.exemplars_dropped)] {
            if count > 0 {
                self.telemetry.add(&metrics::EXEMPLARS, &[("outcome", outcome)], count as f64);
            }
        }
        for (outcome, count) in [
            ("written", appended.records),
            ("repeated", appended.repeated_keys),
            ("covered", appended.already_covered),
        ] {
            if count > 0 {
                self.telemetry.add(&metrics::RECORDS, &[("outcome", outcome)], count as f64);
            }
        }
        Ok(BatchOutcome::default())
    }
}
