//! What ingest counts about itself.

use weir_platform::{MetricSpec, MetricType};

const fn counter(name: &'static str, help: &'static str) -> MetricSpec {
    MetricSpec { name, help, kind: MetricType::Counter }
}

pub(crate) const REQUESTS: MetricSpec =
    counter("weir_ingest_requests_total", "Write requests by dialect and HTTP status.");
pub(crate) const BYTES: MetricSpec = counter("weir_ingest_bytes_total", "Bytes of write requests as sent.");
pub(crate) const ACCEPTED: MetricSpec =
    counter("weir_ingest_samples_accepted_total", "Samples made durable, by dialect.");
pub(crate) const REJECTED: MetricSpec =
    counter("weir_ingest_samples_rejected_total", "Samples refused, by dialect and sort of reason.");
pub(crate) const EXEMPLARS: MetricSpec =
    counter("weir_ingest_exemplars_total", "Exemplars accepted, by dialect.");
