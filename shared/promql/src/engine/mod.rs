//! The engine: evaluates queries series by series over all steps at once, on columns.
//!
//! A query goes through three stages. *Lowering* turns the syntax tree into a plan and a list of what it needs
//! from storage. *Preparing* fetches that, all selectors side by side; it is the only asynchronous stage.
//! *Evaluating* is plain computation: pipelines of selector, window function and value functions unpack one
//! series at a time per thread and fold it into whatever needs it, so that `sum by (x) (rate(m[5m]))` holds
//! its groups and never its series.
//!
//! Semantics are those of Prometheus 3, with names dropped at the very end (its feature
//! `promql-delayed-name-removal`). Beyond Prometheus: `rate`, `increase` and `irate` of a delta series add up
//! its samples, series of sets count their members, and `distinct_over_time` counts the members of a range.

mod accumulate;
mod aggregate;
mod binary;
mod buckets;
mod call;
mod classic;
mod column;
mod duration;
mod error;
mod eval;
mod explain;
mod extended;
mod float;
mod grid;
mod histogram_rate;
mod info;
mod instant;
mod labels;
mod limits;
mod lower;
mod map;
mod meter;
mod notes;
mod ops;
mod over_time;
mod parts;
mod pipe;
mod plan;
mod prepare;
mod query;
mod rate;
mod reach;
mod repeats;
mod result;
mod rolled;
mod select_k;
mod sort;
mod starts;
mod statistics;
#[cfg(test)]
mod tests;
mod values;
mod window;

pub use error::QueryError;
pub use explain::{Explained, ExplainedStorage};
pub use limits::Limits;
pub use prepare::{Prepared, evaluate, evaluate_prepared, prepare};
pub use query::{Answer, InstantSample, Query, RangeSeries, SampleValue, Stats, Timings, Value};
pub use reach::Reach;
