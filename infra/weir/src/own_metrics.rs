//! Weir feeding on itself: readings of the host and of the process, ingested like anyone's metrics.

use std::sync::Arc;
use std::time::Duration;

use weir_formats::Parsed;
use weir_ingest::{Dialect, Ingest};
use weir_lake::Lake;
use weir_model::{FloatSample, METRIC_NAME, Metadata, MetricKind, Temporality, TenantId};
use weir_platform::{Clock, LocalStream, MetricSpec, MetricType, Reading, Telemetry};

use crate::host::Host;
use crate::stop::Stop;

const fn gauge(name: &'static str, help: &'static str) -> MetricSpec {
    MetricSpec { name, help, kind: MetricType::Gauge }
}

const HOT_SAMPLES: MetricSpec = gauge("weir_hot_samples", "Samples not yet compacted into blocks.");
const HOT_SEGMENTS: MetricSpec = gauge("weir_hot_segments", "Segments not yet compacted into blocks.");
const HOT_BYTES: MetricSpec = gauge("weir_hot_bytes", "Bytes of segments not yet compacted into blocks.");
const WAITING_RECORDS: MetricSpec =
    gauge("weir_stream_waiting_records", "Stream records not yet in the lake.");
const WAITING_BYTES: MetricSpec =
    gauge("weir_stream_waiting_bytes", "Bytes of stream records not yet in the lake.");

/// Everything that is read at each interval.
pub(crate) struct OwnMetrics {
    pub(crate) ingest: Ingest,
    pub(crate) lake: Arc<Lake>,
    pub(crate) stream: LocalStream,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl OwnMetrics {
    /// Reads and ingests at once and then at every interval, until told to stop.
    pub(crate) async fn run(self, every: Duration, mut stop: Stop) {
        let mut host = match Host::new() {
            Ok(host) => Some(host),
            Err(error) => {
                tracing::warn!(%error, "this machine does not tell its readings; collecting only Weir's own");
                None
            }
        };
        let instance = Host::name();
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = stop.said() => return,
            }
            self.observe();
            let mut readings = self.telemetry.read();
            readings.extend(host.iter_mut().flat_map(Host::read));
            let parsed = batch(&readings, &instance, self.clock.now_ms());
            if let Err(error) = self.ingest.accept(&TenantId::default(), Dialect::Own, parsed, None).await {
                tracing::warn!(%error, "own metrics of one interval are lost");
            }
        }
    }

    /// Brings the gauges that others own up to date.
    pub(crate) fn observe(&self) {
        let hot = self.lake.hot();
        let (bytes, records) = self.stream.waiting();
        for (spec, value) in [
            (&HOT_SAMPLES, hot.samples as f64),
            (&HOT_SEGMENTS, hot.segments as f64),
            (&HOT_BYTES, hot.bytes as f64),
            (&WAITING_RECORDS, records as f64),
            (&WAITING_BYTES, bytes as f64),
        ] {
            self.telemetry.set(spec, &[], value);
        }
    }
}

fn batch(readings: &[Reading], instance: &str, timestamp_ms: i64) -> Parsed {
    let mut parsed = Parsed::default();
    let batch = &mut parsed.batch;
    let mut previous = "";
    for reading in readings {
        let MetricSpec { name, help, kind } = reading.spec;
        let kind = match kind {
            MetricType::Counter => MetricKind::Counter,
            MetricType::Gauge => MetricKind::Gauge,
        };
        let mut pairs = vec![(METRIC_NAME, name), ("instance", instance), ("job", "weir")];
        pairs.extend(reading.labels.iter().map(|(name, value)| (*name, value.as_str())));
        let series = batch.push_series_pairs(&mut pairs, kind, Temporality::Cumulative);
        batch.floats.push(FloatSample { series, timestamp_ms, value: reading.value });
        if name != previous {
            previous = name;
            let (family, help) = (name.to_owned(), help.to_owned());
            batch.metadata.push(Metadata { family, kind, unit: String::new(), help });
        }
    }
    parsed.accepted.samples = batch.floats.len() as u64;
    parsed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_become_series_of_this_instance() {
        let reading = Reading { spec: HOT_BYTES, labels: vec![("disk", "a".into())], value: 7.0 };
        let parsed = batch(&[reading], "host-1", 5);
        let labels = parsed.batch.labels_at(0).to_string();
        assert_eq!(labels, r#"weir_hot_bytes{disk="a", instance="host-1", job="weir"}"#);
        assert_eq!(parsed.batch.floats[0].value, 7.0);
        assert_eq!(parsed.batch.metadata.len(), 1);
    }
}
