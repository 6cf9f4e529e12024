//! What enrich counts about itself.

use weir_platform::{MetricSpec, MetricType};

const fn counter(name: &'static str, help: &'static str) -> MetricSpec {
    MetricSpec { name, help, kind: MetricType::Counter }
}

pub(crate) const SAMPLES: MetricSpec =
    counter("weir_enrich_samples_total", "Samples written to hot segments.");
pub(crate) const EXEMPLARS: MetricSpec = counter(
    "weir_enrich_exemplars_total",
    "Exemplars written to hot segments, and those dropped since a series or tenant had too many.",
);
pub(crate) const RECORDS: MetricSpec =
    counter("weir_enrich_records_total", "Stream records by what became of them.");
pub(crate) const SEGMENTS: MetricSpec =
    counter("weir_enrich_batches_total", "Batches of stream records by outcome.");
