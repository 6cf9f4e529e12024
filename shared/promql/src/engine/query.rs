//! What is asked and what is answered.

use std::sync::Arc;
use std::time::Duration;

use weir_model::{Histogram, Labels};

use super::explain::Explained;
use crate::ast::Expr;

/// A query.
#[derive(Debug, Clone)]
pub struct Query {
    /// What to evaluate.
    pub expr: Expr,
    /// The text it was parsed from, for the positions in annotations; may be empty.
    pub text: String,
    /// The first step, in milliseconds.
    pub start_ms: i64,
    /// The last step at most, in milliseconds.
    pub end_ms: i64,
    /// The distance of steps in milliseconds; zero for an instant query at `start_ms`.
    pub step_ms: i64,
    /// How far back an instant selector looks for a sample, in milliseconds.
    pub lookback_ms: i64,
    /// The step of subqueries that do not say, in milliseconds.
    pub subquery_step_ms: i64,
    /// Whether the answer tells the samples that each step looked at.
    pub stats: bool,
    /// Whether the answer explains what each part of the query took.
    pub explain: bool,
}

impl Query {
    /// Prometheus' default lookback, five minutes.
    pub const LOOKBACK_MS: i64 = 300_000;
    /// Prometheus' default evaluation interval, one minute.
    pub const SUBQUERY_STEP_MS: i64 = 60_000;

    /// A query at one time.
    #[must_use]
    pub fn instant(expr: Expr, text: &str, at_ms: i64) -> Self {
        Self::range(expr, text, at_ms, at_ms, 0)
    }

    /// A query over a range of time.
    #[must_use]
    pub fn range(expr: Expr, text: &str, start_ms: i64, end_ms: i64, step_ms: i64) -> Self {
        Self {
            expr,
            text: text.to_owned(),
            start_ms,
            end_ms,
            step_ms,
            lookback_ms: Self::LOOKBACK_MS,
            subquery_step_ms: Self::SUBQUERY_STEP_MS,
            stats: false,
            explain: false,
        }
    }
}

/// The answer to a query.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// The value.
    pub value: Value,
    /// What may be wrong with it, in Prometheus' words.
    pub warnings: Vec<String>,
    /// What may be worth knowing, in Prometheus' words.
    pub infos: Vec<String>,
    /// What it took.
    pub stats: Stats,
    /// The plan with what each part took, if the query asked for it.
    pub explain: Option<Explained>,
}

/// What a query took.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Stats {
    /// Series that its selectors found.
    pub series: u64,
    /// Samples read from storage.
    pub samples_read: u64,
    /// Most points held at once.
    pub peak_points: u64,
    /// Most memory held at once, in bytes, as estimated.
    pub peak_bytes: u64,
    /// Samples that each step looked at, those of overlapping windows again at each; empty unless asked for.
    pub samples_per_step: Vec<u64>,
    /// Where the time went.
    pub timings: Timings,
}

/// Where the time of a query went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timings {
    /// Finding series and fetching what their samples need.
    pub preparing: Duration,
    /// Computing.
    pub evaluating: Duration,
    /// Of the computing, putting series in order.
    pub sorting: Duration,
}

/// A value; range queries always give a matrix.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number at a time.
    Scalar {
        /// When, in milliseconds.
        timestamp_ms: i64,
        /// The number.
        value: f64,
    },
    /// A text at a time.
    String {
        /// When, in milliseconds.
        timestamp_ms: i64,
        /// The text.
        text: String,
    },
    /// A sample of each series at one time, in no order unless the query sorts.
    Vector(Vec<InstantSample>),
    /// Samples over time of each series, ascending by label names and values.
    Matrix(Vec<RangeSeries>),
}

impl Default for Value {
    fn default() -> Self {
        Self::Vector(Vec::new())
    }
}

/// A float or a histogram.
#[derive(Debug, Clone, PartialEq)]
pub enum SampleValue {
    /// A number.
    Float(f64),
    /// A native histogram.
    Histogram(Arc<Histogram>),
}

/// A sample of a series.
#[derive(Debug, Clone, PartialEq)]
pub struct InstantSample {
    /// Whose.
    pub labels: Labels,
    /// When, in milliseconds.
    pub timestamp_ms: i64,
    /// What.
    pub value: SampleValue,
}

/// Samples of a series over time, each list ascending by time.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RangeSeries {
    /// Whose.
    pub labels: Labels,
    /// Timestamps in milliseconds, and numbers.
    pub floats: Vec<(i64, f64)>,
    /// Timestamps in milliseconds, and histograms.
    pub histograms: Vec<(i64, Arc<Histogram>)>,
}
