//! What forward counts about itself.

use weir_platform::{MetricSpec, MetricType};

const fn counter(name: &'static str, help: &'static str) -> MetricSpec {
    MetricSpec { name, help, kind: MetricType::Counter }
}

pub(crate) const POINTS: MetricSpec = counter(
    "weir_forward_points_total",
    "Points by sink and by what became of them: sent, invalid, refused, unavailable.",
);
pub(crate) const SAMPLES: MetricSpec = counter(
    "weir_forward_samples_total",
    "Samples of chosen series by sink and by what became of them: gathered, stale, not_finite, cumulative, empty.",
);
pub(crate) const RECORDS: MetricSpec =
    counter("weir_forward_records_total", "Stream records that were looked at, or damaged.");
pub(crate) const RULES_REFUSED: MetricSpec = MetricSpec {
    name: "weir_forward_rules_refused",
    help: "Whether the rules of the bucket cannot be used, so that those before are in force.",
    kind: MetricType::Gauge,
};
