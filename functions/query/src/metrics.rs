//! What query counts about itself.

use weir_platform::{MetricSpec, MetricType};

const fn counter(name: &'static str, help: &'static str) -> MetricSpec {
    MetricSpec { name, help, kind: MetricType::Counter }
}

pub(crate) const REQUESTS: MetricSpec =
    counter("weir_query_requests_total", "Requests of the query API by route and outcome.");
pub(crate) const SECONDS: MetricSpec =
    counter("weir_query_seconds_total", "Time spent on requests of the query API, by route.");
pub(crate) const SAMPLES: MetricSpec =
    counter("weir_query_samples_read_total", "Samples that queries have read.");
