//! What a series is: its identity, its kind and its temporality.

use std::fmt;

use xxhash_rust::xxh3::{xxh3_128, xxh3_128_with_seed};

use crate::labels::LabelsRef;

/// The identity of a series: a 128-bit hash of its canonical labels and its temporality.
///
/// XXH3-128 of the canonical bytes, seeded with 1 for delta series, so that a cumulative and a delta
/// series of the same labels stay apart (their samples combine by different rules). The hash is not
/// keyed: a tenant could craft a collision, but only among its own series.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesId(pub u128);

impl SeriesId {
    /// The identity of a series.
    #[must_use]
    pub fn of(labels: LabelsRef<'_>, temporality: Temporality) -> Self {
        Self(match temporality {
            Temporality::Cumulative => xxh3_128(labels.as_bytes()),
            Temporality::Delta => xxh3_128_with_seed(labels.as_bytes(), 1),
        })
    }
}

impl fmt::Display for SeriesId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for SeriesId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What one sample says about time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Temporality {
    /// A state at its timestamp: gauges, and counters that only grow. The later of two samples at
    /// one timestamp wins.
    #[default]
    Cumulative,
    /// A change since the sample before (StatsD counters, OTLP delta sums). Two samples at one
    /// timestamp add up.
    Delta,
}

/// The metric types of the Prometheus and OpenMetrics specifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum MetricKind {
    /// Not declared.
    #[default]
    Unknown,
    /// Only grows, but for resets.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations in buckets.
    Histogram,
    /// A histogram whose buckets go up and down.
    GaugeHistogram,
    /// Quantiles computed by the sender.
    Summary,
    /// Constant 1 with labels that describe.
    Info,
    /// A set of named booleans.
    StateSet,
}

impl MetricKind {
    /// Every kind with the name that Prometheus' API and the text formats use, in the order of
    /// remote write 2.0's enumeration (0 to 7).
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::Unknown, "unknown"),
        (Self::Counter, "counter"),
        (Self::Gauge, "gauge"),
        (Self::Histogram, "histogram"),
        (Self::GaugeHistogram, "gaugehistogram"),
        (Self::Summary, "summary"),
        (Self::Info, "info"),
        (Self::StateSet, "stateset"),
    ];

    /// The name in Prometheus' API.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    /// The kind of that name; `untyped` is the text format's word for unknown.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        if name == "untyped" {
            return Some(Self::Unknown);
        }
        Self::ALL.iter().find(|(_, n)| *n == name).map(|(kind, _)| *kind)
    }

    /// The kind at that place of [`MetricKind::ALL`].
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).map(|(kind, _)| *kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::Labels;

    #[test]
    fn series_ids_never_change() {
        let up = Labels::from_pairs([("__name__", "up"), ("job", "api")]);
        let id = |t| SeriesId::of(up.borrowed(), t).to_string();
        assert_eq!(id(Temporality::Cumulative), "9f036561633b8981917db33c2a640338");
        assert_eq!(id(Temporality::Delta), "fa005c70235b1f7970c422ab142ae572");
        assert_eq!(
            SeriesId::of(Labels::empty().borrowed(), Temporality::Cumulative).to_string(),
            "99aa06d3014798d86001c324468d497f"
        );
    }

    #[test]
    fn kinds_keep_their_codes_and_names() {
        for (code, (kind, name)) in MetricKind::ALL.iter().enumerate() {
            assert_eq!(*kind as usize, code);
            assert_eq!(MetricKind::from_name(name), Some(*kind));
        }
    }
}
