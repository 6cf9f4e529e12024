//! The sink port: chosen series copied to a metrics service beside the lake, as points of an interval each.
//!
//! A sink is a copy, not the database: delivery is at least once, and what a service cannot hold is refused
//! with its reason.

mod memory;

use async_trait::async_trait;

pub use memory::MemorySink;

/// Parts of a point's time, one below the other: nanoseconds of a millisecond.
pub const POINT_PARTS: u32 = 1_000_000;

/// What a point's observations are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PointKind {
    /// Readings: gauges, totals of counters, sizes of sets. The last one stands for the interval.
    Level,
    /// Changes of a counter: they add up, over points, too.
    Increase,
    /// Observations of a distribution.
    Distribution,
}

/// A value, and how often it was observed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observation {
    /// The value, in the metric's unit.
    pub value: f64,
    /// How often; above zero.
    pub count: f64,
}

/// What one series had in one interval of time, as far as it was known when the point was made.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Whose series it is.
    pub tenant: String,
    /// The metric's name.
    pub metric: String,
    /// Its labels by ascending name, without that of the metric.
    pub labels: Vec<(String, String)>,
    /// Start of the interval, milliseconds since the Unix epoch.
    pub start_ms: i64,
    /// Its length in milliseconds.
    pub every_ms: i64,
    /// What the observations are.
    pub kind: PointKind,
    /// Distinct values, ascending.
    pub observations: Vec<Observation>,
    /// Sum of all observations, exact where `observations` are those of a histogram's buckets.
    pub sum: f64,
    /// The last reading of a level.
    pub last: f64,
    /// Of points of one series, interval and part the one of the highest version is right: the timestamp of
    /// a level's last reading; what adds up has one version only.
    pub version: i64,
    /// Tells apart points of one series and interval that add up: below [`POINT_PARTS`], and the same
    /// whenever the same record of the stream is delivered. Zero for levels.
    pub part: u32,
}

impl Point {
    /// Observations in all.
    #[must_use]
    pub fn count(&self) -> f64 {
        self.observations.iter().map(|it| it.count).sum()
    }

    /// Whether it is one at all, whatever the sink.
    ///
    /// # Errors
    /// [`SinkError::Invalid`] says what is wrong.
    pub fn check(&self) -> Result<(), SinkError> {
        let invalid = |reason: String| Err(SinkError::Invalid { metric: self.metric.clone(), reason });
        if self.metric.is_empty() {
            return invalid("its metric has no name".to_owned());
        }
        if self.every_ms <= 0 || self.part >= POINT_PARTS {
            return invalid(format!("interval of {} ms, part {}", self.every_ms, self.part));
        }
        if self.observations.is_empty() {
            return invalid("it has no observations".to_owned());
        }
        let good = |it: &Observation| it.value.is_finite() && it.count.is_finite() && it.count > 0.0;
        if let Some(bad) = self.observations.iter().find(|it| !good(it)) {
            return invalid(format!("the value {} observed {} times", bad.value, bad.count));
        }
        if !self.sum.is_finite() || !self.last.is_finite() {
            return invalid(format!("its sum is {}, its last value {}", self.sum, self.last));
        }
        Ok(())
    }
}

/// Why a point is not in a sink, as far as is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SinkError {
    /// The sink has no place for such a point.
    #[error("a point of {metric:?} cannot be sent: {reason}")]
    Invalid {
        /// Its metric.
        metric: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The sink does not want it, now or later.
    #[error("a point of {metric:?} was refused: {reason}")]
    Refused {
        /// Its metric.
        metric: String,
        /// What the sink said.
        reason: String,
    },
    /// It may have arrived or not; sending it again may help.
    #[error("a point of {metric:?} was not taken: {reason}")]
    Unavailable {
        /// Its metric.
        metric: String,
        /// What happened last.
        reason: String,
    },
}

impl SinkError {
    /// Whether sending it again may help.
    #[must_use]
    pub fn retryable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

/// A metrics service that takes copies.
#[async_trait]
pub trait Sink: Send + Sync {
    /// What configuration calls it.
    fn name(&self) -> &'static str;

    /// Sends each point, checked by [`Point::check`]. Answers one result for each, in the order given; one that
    /// fails keeps none of the others back. What may pass is tried again here within the adapter's deadline.
    /// No two points of a call share series, interval and part.
    async fn send(&self, points: &[Point]) -> Vec<Result<(), SinkError>>;
}
