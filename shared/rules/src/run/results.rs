//! Puts what rules gave into the stream, as metrics like any other.

use weir_model::{Batch, FloatSample, HistogramSample, MetricKind, Record, Temporality, TenantId};
use weir_platform::{NewRecord, Stream};
use weir_promql::SampleValue;

use super::{Job, RunError};
use crate::evaluate::RuleSample;

/// Samples of one record at most; it is cut further where that is still too much.
const RECORD_SAMPLES: usize = 10_000;

/// Makes samples durable. Putting them again changes nothing: they are states, and the same ones.
pub(super) async fn put(
    stream: &dyn Stream,
    tenant: &TenantId,
    job: Job,
    samples: &[RuleSample],
    now_ms: i64,
) -> Result<(), RunError> {
    // One key, so that a series stays in its shard.
    let partition_key = format!("{tenant}/rules/{}", job.name());
    let mut records = Vec::new();
    for part in samples.chunks(RECORD_SAMPLES) {
        let record = Record { tenant: tenant.clone(), key: None, received_ms: now_ms, batch: batch(part) };
        for data in record.encode_parts()? {
            records.push(NewRecord { partition_key: partition_key.clone(), data: data.into() });
        }
    }
    if !records.is_empty() {
        stream.put(records).await?;
    }
    Ok(())
}

fn batch(samples: &[RuleSample]) -> Batch {
    let mut batch = Batch::new();
    for sample in samples {
        let series = batch.push_series(sample.labels.borrowed(), MetricKind::Gauge, Temporality::Cumulative);
        let timestamp_ms = sample.timestamp_ms;
        match &sample.value {
            SampleValue::Float(value) => {
                batch.floats.push(FloatSample { series, timestamp_ms, value: *value });
            }
            SampleValue::Histogram(histogram) => {
                batch.histograms.push(HistogramSample { series, timestamp_ms, histogram: histogram.clone() });
            }
        }
    }
    batch
}
