//! What forward counts about itself.

use weir_platform::{MetricSpec, MetricType};

const fn counter(name: &'static str, help: &'static str) -> MetricSpec {
    MetricSpec { name, help, kind: MetricType::Counter }
}

pub(crate) const POINTS: MetricSpec = counter(
    "weir_forward_points_total",
    "Points by sink and by what became of them: sent, rejected for good, unavailable.",
);
pub(crate) const SAMPLES: MetricSpec = counter(
    "weir_forward_samples_total",
    "Samples of chosen series by sink and by what became of them: gathered, stale, not_finite, cumulative, empty.",
);
pub(crate) const RECORDS: MetricSpec =
    counter("weir_forward_records_total", "Stream records that were looked at, or damaged.");
/// Counted at each look, rather than a gauge: an alarm on it ends by itself once the file is mended, and the
/// metric costs nothing until a file is refused.
pub(crate) const RULES_REFUSED: MetricSpec = counter(
    "weir_forward_rules_refused_total",
    "Looks at rules of the bucket that cannot be used; those before, or none, are in force.",
);
