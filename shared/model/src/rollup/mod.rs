//! Rollups: the tiers of time, what is kept of each interval of a tier, and an interval itself.
//!
//! An interval of a tier is open on the left and closed on the right, `(T - width, T]` with `T` a multiple of
//! the width. That is the rule of PromQL's windows, so that a window whose edges are multiples of the width is a
//! union of intervals.

mod intervals;
mod ranks;

use serde::{Deserialize, Serialize};

use crate::series::{MetricKind, Temporality};
pub use intervals::{AddedUp, Intervals};
pub use ranks::{NoDistribution, Ranks};

/// A resolution of rollups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Tier {
    /// One minute.
    #[serde(rename = "1m")]
    Minute,
    /// One hour.
    #[serde(rename = "1h")]
    Hour,
    /// One day, of UTC.
    #[serde(rename = "1d")]
    Day,
}

impl Tier {
    /// All of them, the finest first.
    pub const ALL: [Self; 3] = [Self::Minute, Self::Hour, Self::Day];

    /// Its name, as in keys and parameters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Minute => "1m",
            Self::Hour => "1h",
            Self::Day => "1d",
        }
    }

    /// Reads [`Tier::name`].
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tier| tier.name() == name)
    }

    /// Width of an interval in milliseconds.
    #[must_use]
    pub fn width_ms(self) -> i64 {
        match self {
            Self::Minute => 60_000,
            Self::Hour => 3_600_000,
            Self::Day => 86_400_000,
        }
    }

    /// The end of the interval that a timestamp lies in.
    #[must_use]
    pub fn interval_end(self, at_ms: i64) -> i64 {
        let width = self.width_ms();
        // The interval of the last milliseconds there are ends beyond them.
        at_ms.saturating_sub(1).div_euclid(width).saturating_add(1).saturating_mul(width)
    }
}

/// What is kept of the samples of an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Aggregate {
    /// The last sample, with its own timestamp; a staleness marker that follows it, too.
    Last,
    /// Number of samples.
    Count,
    /// Sum of the values; of native histograms and of sets what they add up to.
    Sum,
    /// Least value.
    Min,
    /// Greatest value.
    Max,
    /// Sum of the squared deviations from the mean.
    Squares,
    /// The first sample, with its own timestamp.
    First,
    /// Sum of the values that a counter was reset from.
    Resets,
    /// A native histogram of the values; not by the minute.
    Distribution,
}

impl Aggregate {
    /// All of them. `Last` comes first: it has every series and interval.
    pub const ALL: [Self; 9] = [
        Self::Last,
        Self::Count,
        Self::Sum,
        Self::Min,
        Self::Max,
        Self::Squares,
        Self::First,
        Self::Resets,
        Self::Distribution,
    ];

    /// True when a tier keeps it.
    #[must_use]
    pub fn is_of(self, tier: Tier) -> bool {
        // Some samples a minute take no less room as a distribution than as samples.
        self != Self::Distribution || tier != Tier::Minute
    }

    /// True when it is kept of every series: how running totals spread says nothing.
    #[must_use]
    pub fn is_of_totals(self) -> bool {
        !matches!(self, Self::Squares | Self::Distribution)
    }

    /// Its name, as in keys.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Last => "last",
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Min => "min",
            Self::Max => "max",
            Self::Squares => "squares",
            Self::First => "first",
            Self::Resets => "resets",
            Self::Distribution => "distribution",
        }
    }
}

/// True for a series that counts up: one declared a counter, or named as Prometheus names counters and the parts of
/// classic histograms and summaries.
#[must_use]
pub fn is_running_total(metric: &str, kind: MetricKind, temporality: Temporality) -> bool {
    let is_named = || ["_total", "_sum", "_count", "_bucket"].iter().any(|ending| metric.ends_with(ending));
    temporality == Temporality::Cumulative && (kind == MetricKind::Counter || is_named())
}

/// The floats of one series within one interval, staleness markers left out; at least one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Where it ends, in milliseconds since the Unix epoch.
    pub end_ms: i64,
    /// Number of samples.
    pub count: u64,
    /// Sum of the values.
    pub sum: f64,
    /// Least value, NaN only if all are.
    pub min: f64,
    /// Greatest value, NaN only if all are.
    pub max: f64,
    /// Sum of the squared deviations from the mean.
    pub squares: f64,
    /// Timestamp of the first sample.
    pub first_ms: i64,
    /// The first sample.
    pub first: f64,
    /// Timestamp of the last sample.
    pub last_ms: i64,
    /// The last sample.
    pub last: f64,
    /// Sum of the values after which a smaller one followed.
    pub resets: f64,
}

impl Interval {
    /// The interval of one sample.
    #[must_use]
    pub fn of(end_ms: i64, at_ms: i64, value: f64) -> Self {
        Self {
            end_ms,
            count: 1,
            sum: value,
            min: value,
            max: value,
            squares: 0.0,
            first_ms: at_ms,
            first: value,
            last_ms: at_ms,
            last: value,
            resets: 0.0,
        }
    }

    /// Takes in the samples of `later`, which all lie after its own.
    ///
    /// Source of the squares: T. F. Chan, G. H. Golub, R. J. LeVeque, "Updating Formulae and a Pairwise
    /// Algorithm for Computing Sample Variances", 1979.
    pub fn join(&mut self, later: &Self) {
        let (a, b) = (self.count as f64, later.count as f64);
        let apart = later.sum / b - self.sum / a;
        self.squares += later.squares + apart * apart * (a * b / (a + b));
        self.resets += later.resets;
        if later.first < self.last {
            self.resets += self.last;
        }
        self.count += later.count;
        self.sum += later.sum;
        if later.min < self.min || self.min.is_nan() {
            self.min = later.min;
        }
        if later.max > self.max || self.max.is_nan() {
            self.max = later.max;
        }
        (self.last_ms, self.last) = (later.last_ms, later.last);
        self.end_ms = later.end_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_open_on_the_left_and_closed_on_the_right() {
        let rows = [(0, 0), (1, 60_000), (60_000, 60_000), (60_001, 120_000), (-1, 0), (-60_000, -60_000)];
        for (at, want) in rows {
            assert_eq!(Tier::Minute.interval_end(at), want, "{at}");
        }
        assert_eq!(Tier::Day.interval_end(i64::MAX), i64::MAX);
    }

    #[test]
    fn names_read_back() {
        for tier in Tier::ALL {
            assert_eq!(Tier::from_name(tier.name()), Some(tier));
            assert_eq!(serde_json::to_string(&tier).unwrap(), format!("\"{}\"", tier.name()));
        }
        for aggregate in Aggregate::ALL {
            assert_eq!(serde_json::to_string(&aggregate).unwrap(), format!("\"{}\"", aggregate.name()));
        }
    }

    #[test]
    fn joined_intervals_know_the_resets_between_them() {
        let mut counter = Interval::of(10, 1, 5.0);
        for (at, value) in [(2, 7.0), (3, 1.0), (4, 9.0)] {
            counter.join(&Interval::of(10, at, value));
        }
        assert_eq!((counter.count, counter.resets, counter.sum), (4, 7.0, 22.0));
        assert_eq!((counter.first, counter.last, counter.min, counter.max), (5.0, 9.0, 1.0, 9.0));
        assert_eq!(counter.squares, 35.0);
        let mut next = counter;
        next.join(&Interval::of(20, 11, 2.0));
        assert_eq!(next.resets, 16.0);
    }
}
