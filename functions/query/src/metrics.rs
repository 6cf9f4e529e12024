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
pub(crate) const CACHE: MetricSpec = counter(
    "weir_query_cache_lookups_total",
    "Range queries that the result cache could answer: as a whole, in part, or not.",
);
pub(crate) const CACHED_STEPS: MetricSpec = counter(
    "weir_query_cache_steps_total",
    "Steps of such queries, by whether they came from the cache or from an evaluation.",
);
pub(crate) const CACHE_BYTES: MetricSpec = MetricSpec {
    name: "weir_query_cache_bytes",
    help: "Memory of the answers that the result cache holds.",
    kind: MetricType::Gauge,
};
pub(crate) const FEEDBACK: MetricSpec =
    counter("weir_alert_feedback_total", "Verdicts on firings of alerts that were counted, by verdict.");
