//! Evaluates rules over the engine: recording rules, the states of alerts, and the samples both write.

mod alerting;
mod asking;
mod group;
mod overlay;
mod state;
#[cfg(test)]
mod tests;

use weir_model::Labels;
use weir_promql::{Limits, Query, SampleValue};

pub use asking::RuleError;
pub use group::evaluate_group;
pub use overlay::Overlay;
pub use state::{Alert, AlertState, GroupState, Health, RuleState};

/// The metric that tells the states of alerts.
pub const ALERTS: &str = "ALERTS";
/// The metric that tells since when an alert is active, in Unix seconds.
pub const ALERTS_FOR_STATE: &str = "ALERTS_FOR_STATE";
/// The label with an alert's name.
pub const ALERT_NAME: &str = "alertname";

/// How rules are evaluated.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Bounds of each query.
    pub limits: Limits,
    /// How far back an instant selector looks for a sample, in milliseconds.
    pub lookback_ms: i64,
    /// Time between evaluations of groups that do not say, in milliseconds.
    pub interval_ms: i64,
    /// What templates see as `$externalLabels`.
    pub external_labels: Labels,
    /// What templates see as `$externalURL`.
    pub external_url: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            // Groups run side by side, so one query needs no threads of its own.
            limits: Limits { threads: 1, ..Limits::default() },
            lookback_ms: Query::LOOKBACK_MS,
            interval_ms: 60_000,
            external_labels: Labels::empty(),
            external_url: String::new(),
        }
    }
}

/// A sample that a rule writes.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleSample {
    /// Its series.
    pub labels: Labels,
    /// When, in milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// What; the staleness marker where a series has ended.
    pub value: SampleValue,
}
